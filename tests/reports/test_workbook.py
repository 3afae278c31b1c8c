"""Workbooks: numbers as numbers, text as text, the same bytes twice, for all results of reforms."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest
from made_small import BEIJING, small

from medfloor.errors import OutputError, UsageError
from medfloor.reports.saving import save
from medfloor.reports.workbook import Figure, Sheet, workbook, write_workbook
from medfloor.simulation import Family, HouseholdCurve, Simulation, household, simulate

CAP = str(Path(__file__).resolve().parents[2] / "examples" / "reforms" / "oop_cap.yaml")
NS = {"x": "http" + ":/" + "/schemas.openxmlformats.org/spreadsheetml/2006/main"}


def read(path: Path) -> dict[str, list[list[str | float | None]]]:
    """Read the sheets of a workbook with nothing but the standard library: text as str, numbers as float."""
    with zipfile.ZipFile(path) as raw:
        names = [
            one.attrib["name"] for one in ElementTree.fromstring(raw.read("xl/workbook.xml")).iterfind(".//x:sheet", NS)
        ]
        shared = ElementTree.fromstring(raw.read("xl/sharedStrings.xml")).findall("x:si", NS)
        texts = ["".join(one.itertext()) for one in shared]
        found = {}
        for number, name in enumerate(names, 1):
            rows = []
            for row in ElementTree.fromstring(raw.read(f"xl/worksheets/sheet{number}.xml")).iterfind(".//x:row", NS):
                cells: list[str | float | None] = []
                for cell in row.iterfind("x:c", NS):
                    assert cell.find("x:f", NS) is None, "no formula"
                    value = float(str(cell.findtext("x:v", None, NS)))
                    cells.append(texts[int(value)] if cell.attrib.get("t") == "s" else value)
                rows.append(cells)
            found[name] = rows
    return found


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate(small(600), BEIJING, [CAP], behaviour="stated", cliffs=False, most=2)


@pytest.fixture(scope="module")
def curve() -> HouseholdCurve:
    return household(Family(), BEIJING, [CAP], points=5)


def test_text_stays_text_and_numbers_stay_numbers(tmp_path: Path) -> None:
    rows = [
        ["=1+1", Figure(0.1 + 0.2, "percent")],
        ["https" + ":/" + "/x", Figure(math.nan, "index")],
        [None, Figure(3, "count")],
    ]
    write_workbook([Sheet("a", ["what", "number"], rows)], tmp_path / "a.xlsx")
    (sheet,) = read(tmp_path / "a.xlsx").values()
    # Sixteen digits are written, one more than Excel uses; what is not defined leaves its cell empty.
    assert sheet == [["what", "number"], ["=1+1", 0.3], ["https" + ":/" + "/x"], [3.0]]


def test_names_that_excel_refuses_are_made_fit(tmp_path: Path) -> None:
    names = ["a/b:c", "A b c", "'", "x" * 40, "x" * 35, "History"]
    write_workbook([Sheet(one, ["h"], [["t"]]) for one in names], tmp_path / "a.xlsx")
    made = list(read(tmp_path / "a.xlsx"))
    assert len({one.lower() for one in made}) == len(names)
    assert all(len(one) <= 31 for one in made)


def test_the_same_result_gives_the_same_bytes(simulation: Simulation, curve: HouseholdCurve, tmp_path: Path) -> None:
    for record in (simulation, curve):
        for name in ("a.xlsx", "b.xlsx"):
            save(record, tmp_path / name, "zh")
        assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_a_simulation_has_a_sheet_a_table_with_its_numbers(simulation: Simulation, tmp_path: Path) -> None:
    save(simulation, tmp_path / "en.xlsx", "en")
    save(simulation, tmp_path / "zh.xlsx", "zh")
    english, chinese = read(tmp_path / "en.xlsx"), read(tmp_path / "zh.xlsx")
    assert list(english) == ["Payers", "Protection", "Winners and losers", "Funds", "Use", "Households", "About"]
    assert [len(rows) for rows in english.values()] == [len(rows) for rows in chinese.values()]
    assert "基线方案" in [row[2] for row in chinese["基金"]]
    heads, *rows = english["Funds"]
    place = heads.index("estimate")
    # Sixteen digits of each double are written.
    assert [row[place] for row in rows] == pytest.approx(simulation.funds.rows["estimate"].to_list(), rel=1e-15)


def test_a_household_has_every_amount(curve: HouseholdCurve, tmp_path: Path) -> None:
    save(curve, tmp_path / "zh.xlsx", "zh")
    heads, *rows = read(tmp_path / "zh.xlsx")["各金额"]
    assert heads[:3] == ["方案", "总费用（元）", "身份"]
    assert [row[heads.index("个人负担")] for row in rows] == curve.rows["own"].to_list()


def test_each_ending_saves_and_another_is_refused(
    simulation: Simulation, curve: HouseholdCurve, tmp_path: Path
) -> None:
    for record in (simulation, curve, simulation.payers):
        for ending in ("json", "parquet", "csv", "xlsx"):
            save(record, tmp_path / f"a.{ending}")
        assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
        assert pl.read_parquet(tmp_path / "a.parquet").height
        with pytest.raises(UsageError, match="ends in none"):
            save(record, tmp_path / "a.ods")
    with pytest.raises(UsageError, match="does not end in"):
        write_workbook([], tmp_path / "a.xls")


def test_what_stood_there_stays_where_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_text("old")
    with pytest.raises(OutputError, match="rows"):
        write_workbook([Sheet("a", ["h"], [[None]] * 1_048_576)], path)
    assert path.read_text() == "old"
    with pytest.raises(OutputError):
        write_workbook([Sheet("a", ["h"], [])], tmp_path / "nowhere" / "a.xlsx")
    assert workbook([Sheet("a", ["h"], [])])
