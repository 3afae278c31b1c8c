"""Files in and out: what is read as it stands, what is refused as a whole, and that nothing is left half written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfloor.errors import InputError, OutputError
from medfloor.intake import TableWriter, check_outputs, read_claims, read_table, write_table
from medfloor.money import MAX_FEN, format_yuan

HEADER = "claim_id,person_id,care_type,start_date,end_date,facility_level,total,in_scope,备注,provider_id"
LINE = "{},P1,inpatient,2024-05-01,2024-05-03,3,1300.00,1300,重复住院,H1"


def csv_file(tmp_path: Path, *lines: str, prefix: bytes = b"", encoding: str = "utf-8") -> Path:
    path = tmp_path / "claims.csv"
    path.write_bytes(prefix + "\n".join(lines).encode(encoding))
    return path


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_csv_is_read_with_or_without_a_byte_order_mark(prefix: bytes, ending: str, tmp_path: Path) -> None:
    path = csv_file(tmp_path, HEADER + ending[:-1], LINE.format(1) + ending, prefix=prefix)
    claims = read_claims(path)
    assert claims.columns_in[0] == "claim_id"
    assert claims.accepted["total_fen"].to_list() == [130_000]
    assert claims.accepted["备注"].to_list() == ["重复住院"]


def test_a_header_without_rows_is_an_empty_table(tmp_path: Path) -> None:
    for text in (HEADER, HEADER + "\n"):
        claims = read_claims(csv_file(tmp_path, text))
        assert claims.rows_in == 0
        write_table(claims.accepted, tmp_path / "out.csv")
        write_table(claims.accepted, tmp_path / "out.parquet")
        assert read_table(tmp_path / "out.parquet").height == 0


def test_blank_lines_are_no_rows_but_lines_of_commas_are(tmp_path: Path) -> None:
    path = csv_file(tmp_path, HEADER, LINE.format(1), "", LINE.format(2), "," * 9, "", "")
    claims = read_claims(path)
    assert claims.rows_in == 3
    assert claims.accepted["claim_id"].to_list() == ["1", "2"]
    assert claims.rejected["reason"].to_list() == ["missing_value"]


def test_a_quoted_cell_may_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    line = '1,P1,inpatient,2024-05-01,2024-05-03,3,1300.00,1300,"a, ""b""\nc",'
    assert read_claims(csv_file(tmp_path, HEADER, line)).accepted["备注"].to_list() == ['a, "b"\nc']


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        ((), "empty_file", "empty"),
        ((" ", ""), "empty_file", "empty"),
        ((HEADER, LINE.format(1) + ",more"), "broken_csv", "11 fields where the header has 10"),
        ((HEADER, LINE.format(1), "2,P1,inpatient"), "broken_csv", "row 3 of the file has 3 fields"),
        ((HEADER, LINE.format('"1')), "broken_csv", "quot|malformed|fields"),
        ((HEADER + ",claim_id", LINE.format(1) + ",2"), "ambiguous_column", "more than one column 'claim_id'"),
        ((HEADER.replace(",", "\t"), ""), "broken_csv", "tabs between its columns"),
        ((HEADER.replace(",", ";"), LINE.format(1)), "broken_csv", "semicolons between its columns"),
        ((HEADER.replace("claim_id", "claim"), ""), "missing_column", "national spelling mdtrt_id"),
        ((HEADER.replace("total", "totals"), LINE.format(1)), "missing_column", "nearest column present is totals"),
    ],
)
def test_a_csv_file_that_cannot_be_read_says_why(lines: tuple[str, ...], code: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_claims(csv_file(tmp_path, *lines))
    assert caught.value.code == code
    assert "claims.csv" in caught.value.message
    assert "P1" not in caught.value.message


@pytest.mark.parametrize("lines", [(HEADER, LINE.format(1)), ("claim_id,person_id", "1,人")])
def test_a_csv_file_that_is_not_utf8_is_refused(lines: tuple[str, ...], tmp_path: Path) -> None:
    for encoding in ("gbk", "utf-16"):
        with pytest.raises(InputError, match="UTF-8") as caught:
            read_table(csv_file(tmp_path, *lines, encoding=encoding))
        assert caught.value.code == "broken_csv"


def test_a_broken_parquet_file_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    pl.DataFrame({"claim_id": list(map(str, range(50_000)))}).write_parquet(whole)
    content = whole.read_bytes()
    broken = tmp_path / "claims.parquet"
    middle = len(content) // 2
    for damaged in (b"", b"not parquet at all", content[:-7], content[:middle] + bytes(400) + content[middle + 400 :]):
        broken.write_bytes(damaged)
        with pytest.raises(InputError, match="Parquet") as caught:
            read_table(broken)
        assert caught.value.code == "broken_parquet"


def test_a_file_that_is_not_there_or_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    for path, code in (
        (tmp_path / "no.csv", "file_not_found"),
        (tmp_path / "x.xlsx", "unknown_format"),
        (tmp_path / "folder.csv", "file_not_found"),
    ):
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        with pytest.raises(InputError) as caught:
            read_table(path)
        assert caught.value.code == code


def test_money_is_written_in_yuan_exactly_and_read_back_to_the_fen(tmp_path: Path) -> None:
    fen = [0, 5, 100, 184_260, -5, -184_260, MAX_FEN - 1, None]
    frame = pl.DataFrame(
        {"id": ["甲"] * 8, "pay_fen": fen, "on": [date(2024, 1, 31)] * 8}, schema_overrides={"pay_fen": pl.Int64}
    )
    write_table(frame, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id,pay,on"
    assert [line.split(",")[1] for line in lines[1:]] == ["" if x is None else format_yuan(x) for x in fen]
    assert lines[1].endswith("2024-01-31")
    write_table(frame, tmp_path / "a.parquet", money_columns=["pay_fen"])
    back = read_table(tmp_path / "a.parquet")
    assert back.schema["pay"] == pl.Float64
    assert [None if x is None else round(x * 100) for x in back["pay"]] == fen
    write_table(frame, tmp_path / "b.parquet", decimal=True)
    assert pq.read_schema(tmp_path / "b.parquet").field("pay").type.scale == 2
    assert read_table(tmp_path / "b.parquet")["pay"][3] == Decimal("1842.60")


@given(st.lists(st.integers(-MAX_FEN, MAX_FEN), max_size=20))
def test_csv_money_has_two_decimals_whatever_the_amount(amounts: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.csv"
        write_table(
            pl.DataFrame({"pay_fen": amounts, "n": amounts}, schema=dict.fromkeys(("pay_fen", "n"), pl.Int64)), path
        )
        rows = path.read_text().splitlines()[1:]
    assert rows == [f"{format_yuan(fen)},{fen}" for fen in amounts]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_written_in_pieces_is_the_table_written_at_once(ending: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [str(i) for i in range(10)], "pay_fen": list(range(10))})
    with TableWriter(tmp_path / f"pieces.{ending}") as writer:
        for start in (0, 4, 8):
            writer.append(frame[start : start + 4])
        assert not (tmp_path / f"pieces.{ending}").exists()
    write_table(frame, tmp_path / f"whole.{ending}")
    assert read_table(tmp_path / f"pieces.{ending}").equals(read_table(tmp_path / f"whole.{ending}"))


def test_a_column_of_categories_does_not_show_in_which_pieces_it_came(tmp_path: Path) -> None:
    words = ["a", "b", "c", "d"]
    pieces = [pl.DataFrame({"ward": pl.Series(words[at:], dtype=pl.Categorical)}) for at in (2, 0)]
    with TableWriter(tmp_path / "pieces.parquet") as writer:
        for piece in pieces:
            writer.append(piece)
    with TableWriter(tmp_path / "plain.parquet") as writer:
        writer.append(pl.DataFrame({"ward": ["c", "d", *words]}))
    assert pl.read_parquet(tmp_path / "pieces.parquet")["ward"].to_list() == ["c", "d", *words]
    assert (tmp_path / "pieces.parquet").read_bytes() == (tmp_path / "plain.parquet").read_bytes()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_failed_run_leaves_the_old_file_whole_and_nothing_beside_it(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{ending}"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), TableWriter(path) as writer:
        writer.append(pl.DataFrame({"a": [1]}))
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


FULL_DISK = """
import resource, sys
import polars as pl
from medfloor.errors import OutputError
from medfloor.intake import TableWriter, write_table
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
frame = pl.DataFrame({"a": [str(i * 7919 % 1_000_003) for i in range(300_000)]})
try:
    if sys.argv[2] == "whole":
        write_table(frame, sys.argv[1])
    else:
        with TableWriter(sys.argv[1]) as writer:
            writer.append(frame)
            writer.append(frame)
except OutputError as error:
    print(error.code, error)
"""


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("way", ["whole", "pieces"])
def test_a_full_disk_leaves_the_old_file_whole(ending: str, way: str, tmp_path: Path) -> None:
    path = tmp_path / f"out.{ending}"
    path.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), way], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.startswith("cannot_write"), done.stdout + done.stderr
    assert "unchanged" in done.stdout
    assert done.stderr == ""
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_a_folder_that_is_not_there_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        write_table(pl.DataFrame({"a": [1]}), tmp_path / "no" / "out.csv")
    assert caught.value.code == "cannot_write"


def test_an_output_never_replaces_an_input_or_another_output(tmp_path: Path) -> None:
    path, link = tmp_path / "in.csv", tmp_path / "link.csv"
    path.write_text("a\n1\n")
    link.symlink_to(path)
    for given_path in (path, link, str(path)):
        with pytest.raises(OutputError, match="inputs") as caught:
            write_table(pl.DataFrame({"a": [1]}), given_path, inputs=[None, pl.DataFrame(), path])
        assert caught.value.code == "would_replace_input"
    with pytest.raises(OutputError) as caught:
        check_outputs([tmp_path / "out.csv", None, tmp_path / "." / "out.csv"])
    assert caught.value.code == "same_output"
    assert path.read_text() == "a\n1\n"
    (tmp_path / "folder").mkdir()  # an input that is a folder is read with all that lies in it
    check_outputs([tmp_path / "folder" / "out.csv"], [tmp_path / "folder"])
    with pytest.raises(OutputError, match="lies in a folder that is an input") as caught:
        check_outputs([tmp_path / "folder" / "month=1" / ".." / "out.parquet"], [tmp_path / "folder"])
    assert caught.value.code == "would_replace_input"


def test_a_new_file_follows_the_umask_and_a_replaced_one_keeps_its_mode(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_table(pl.DataFrame({"a": [1]}), tmp_path / "new.csv")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new.csv").stat().st_mode) == 0o640
    (tmp_path / "new.csv").chmod(0o600)
    write_table(pl.DataFrame({"a": [2]}), tmp_path / "new.csv")
    assert stat.S_IMODE((tmp_path / "new.csv").stat().st_mode) == 0o600
