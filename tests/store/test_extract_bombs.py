"""Small files that would become more than a machine holds are refused before they do."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from medfloor.errors import InputError
from medfloor.store import extracts
from medfloor.store.engine import Store
from medfloor.store.extracts import read_extract
from medfloor.store.imports import import_file
from medfloor.store.keys import Keyring
from medfloor.store.reconciliation import reconcile
from medfloor.store.roles import Actor

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def workbook(sheet: str, strings: str = "") -> bytes:
    """Make a workbook of one sheet, from the XML inside of sheetData."""
    parts = {
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets><sheet name="1" sheetId="1" '
        'r:id="a"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="a" Target="worksheets/s.xml"/></Relationships>',
        "xl/worksheets/s.xml": f'<worksheet xmlns="{_MAIN}"><sheetData>{sheet}</sheetData></worksheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}">{strings}</sst>',
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in parts.items():
            package.writestr(name, text)
    return made.getvalue()


def cell(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def test_a_workbook_with_a_cell_far_out_and_a_row_far_down_is_refused() -> None:
    far = workbook(
        f'<row r="1">{cell("A1", "name")}{cell("XFD1", "other")}</row><row r="1048576">{cell("A1048576", "x")}</row>'
    )
    assert len(far) < 5_000
    with pytest.raises(InputError, match="cells") as error:
        read_extract(far)
    assert error.value.code == "file_too_large"


def test_a_csv_file_of_a_wide_head_and_empty_rows_is_refused() -> None:
    head = ",".join(f"c{n}" for n in range(20_000))
    with pytest.raises(InputError, match="cells"):
        read_extract(f"{head}\n{chr(10) * 100_000}{',' * 19_999}x\n".encode())


def test_empty_rows_of_a_csv_file_keep_their_places() -> None:
    assert read_extract(b"a,b\n\n1,2\n").rows == [[None, None], ["1", "2"]]


def test_a_parquet_file_of_one_value_many_times_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def packed(frame: pl.DataFrame) -> bytes:
        made = io.BytesIO()
        frame.write_parquet(made)
        return made.getvalue()

    monkeypatch.setattr(extracts, "_MOST_CELLS", 1_000_000)
    with pytest.raises(InputError, match="cells"):
        read_extract(packed(pl.DataFrame({"a": ["x"]}).select(pl.col("a").repeat_by(2_000_000).explode())))
    monkeypatch.setattr(extracts, "_UNPACKED", 1_000_000)
    with pytest.raises(InputError, match="texts"):
        read_extract(packed(pl.DataFrame({"a": ["x" * 50_000] * 100})))
    assert read_extract(packed(pl.DataFrame({"a": ["x"], "b": [1]}))).rows == [["x", 1]]


def test_shared_texts_of_a_workbook_are_read_whole_and_trimmed() -> None:
    strings = "<si><t>name </t></si><si><r><t>张</t></r><r><t>三</t></r><rPh><t>zhang</t></rPh></si><si/>"
    rows = "".join(f'<row r="{n + 1}"><c r="A{n + 1}" t="s"><v>{n}</v></c></row>' for n in range(2))
    found = read_extract(workbook(rows + '<row r="3"><c r="A3" t="s"><v>2</v></c></row>', strings))
    assert found.columns == ("name",) and found.rows[0] == ["张三"]


def test_a_workbook_whose_parts_unpack_to_more_than_any_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracts, "_LARGEST_PART", 100)
    with pytest.raises(InputError, match="unpacked"):
        read_extract(workbook(""))


def test_a_formula_does_not_come_in_as_a_name_or_a_claim(sqlite_store: Store, keyring: Keyring, clerk: Actor) -> None:
    text = '姓名,身份证号,性别,区划\n"=HYPERLINK(""http://x"")",11010519491231002X,女,150981\n'
    given: dict[str, Any] = {"actor": clerk, "now": datetime(2024, 6, 3, tzinfo=UTC), "keyring": keyring}
    report = import_file(sqlite_store, "people", text.encode(), "civil_affairs", **given)
    assert dict(report.reasons) == {"bad_text": 1}
    found = reconcile(sqlite_store, b"claim_id,pay_total\n=cmd|' /C calc'!A0,1.00\n", "H1", "2024-03", **given)
    assert dict(found.reasons) == {"bad_text": 1}
