"""Any survey by a mapping, with the report that known surveys have."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from medfloor.errors import UsageError
from medfloor.intake import read_survey

TABLE = pl.DataFrame({
    "hh": ["1", "2", "3", "4"], "med": ["300", "-8", "-2", "1,200"], "inc": ["-900", "-1", "100", "5"],
    "urb": ["1", "2", "-9", "1"], "note": ["a", "b", "c", "d"],
})  # fmt: skip
MAP = "household_id=hh,oop=med,income=inc,residence=urb"


def test_codes_are_set_aside_and_counted_and_bad_rows_refused() -> None:
    read = read_survey(
        TABLE, mapping=MAP, missing={-1: "does not know", -2: "refuses", -8: "", -9: ""}, zero={"oop": [-8]}
    )
    assert read.households.select("household_id", "oop", "income", "residence", "note").rows() == [
        ("1", 300.0, -900.0, "1", "a"), ("2", 0.0, None, "2", "b"), ("3", None, 100.0, None, "c"),
    ]  # fmt: skip
    assert read.rejects["reason"].to_list() == ["bad_number"]
    assert read.findings.dropped.select("reason", "rows").rows() == [("bad_number", 1)]
    codes = read.findings.codes.select("column", "code", "meaning", "read_as", "rows").rows()
    assert ("oop", "-8", "", "zero", 1) in codes
    assert ("income", "-1", "does not know", "missing", 1) in codes
    assert ("residence", "-9", "", "missing", 1) in codes


def test_nothing_negative_is_touched_without_codes() -> None:
    read = read_survey(TABLE[:3], mapping=MAP)
    assert read.households["oop"].to_list() == [300.0, -8.0, -2.0]
    assert read.findings.codes.height == 0


def test_a_survey_of_people_is_a_panel_of_people() -> None:
    read = read_survey(pl.DataFrame({"id": [1, 2], "yr": [2011, 2013]}), mapping="person_id=id,wave=yr")
    assert read.people.rows() == [("1", "2011"), ("2", "2013")]
    assert read.households.height == 0


def test_values_and_missing_add_up() -> None:
    read = read_survey(TABLE, mapping=MAP, missing=[-1, -2, -8, -9])
    told = read.findings.columns
    assert (told["values"] + told["missing"] == told["rows"]).all()
    assert told["taken_from"].to_list() == ["hh", "med", "inc", "urb"]


def test_a_mapping_file_does_as_well(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('oop = "med"\nhousehold_id = "hh"\n', encoding="utf-8")
    assert read_survey(TABLE[:1], mapping=tmp_path / "map.toml").households["oop"].to_list() == [300.0]


def test_without_a_mapping_there_is_nothing_to_read() -> None:
    with pytest.raises(UsageError) as caught:
        read_survey(TABLE, mapping={})
    assert caught.value.code == "no_mapping"


def test_units_are_counted_over_waves_where_the_mapping_gives_them() -> None:
    frame = pl.DataFrame({"y": ["1", "1", "2", "3"], "hh": ["a", "b", "a", None], "med": ["1", "2", "3", "4"]})
    links = read_survey(frame, mapping="wave=y,household_id=hh,oop=med").findings.links
    assert links.rows() == [
        ("household", "any wave", 2, 3), ("household", "two or more waves", 1, 2), ("household", "every wave", 0, 0),
        ("household", "1-2", 1, 2), ("household", "2-3", 0, 0),
    ]  # fmt: skip
    assert read_survey(frame, mapping="household_id=hh,oop=med").findings.links.height == 0
