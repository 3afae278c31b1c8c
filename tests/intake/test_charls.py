"""The harmonised CHARLS: one row a person with all waves side by side, to panels."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyreadstat
import pytest

from medfloor.errors import InputError
from medfloor.intake import read_charls

PEOPLE = pl.DataFrame({
    "ID": ["011", "012", "021"],
    "householdID": ["01", "01", "02"],
    "communityID": ["c1", "c1", "c2"],
    "ragender": [1.0, 2.0, 2.0],
    "r1agey": [60.0, 58.0, 71.0], "r2agey": [62.0, None, 73.0],
    "h1rural": [1.0, 1.0, 0.0], "h2rural": [1.0, None, 0.0],
    "h1hhres": [2.0, 2.0, 1.0], "h2hhres": [2.0, None, 1.0],
    "hh1itot": [9000.0, 9000.0, -50.0], "hh2itot": [9500.0, None, 100.0],
    "hh1ctot": [20000.0, 20000.0, 8000.0], "hh2ctot": [21000.0, None, 8100.0],
    "r1hosp1y": [1.0, 0.0, 0.0], "r2hosp1y": [0.0, None, 1.0],
    "r1oophos1y": [3000.0, None, None], "r2oophos1y": [None, None, None],
    "r1doctor1m": [0.0, 1.0, 0.0], "r2doctor1m": [0.0, None, 0.0],
    "r1oopdoc1m": [None, 50.0, None], "r2oopdoc1m": [None, None, None],
    "r1higov": [1.0, 1.0, 0.0], "r1hipriv": [0.0, 0.0, 0.0], "r1hiothp": [0.0, None, 0.0],
    "r1wtresp": [1.5, 1.5, 2.0], "r2wtresp": [1.6, None, 2.1],
    "r1wthh": [1.2, 1.2, 2.2], "r2wthh": [1.3, None, 2.3],
}, strict=False)  # fmt: skip


def write(folder: Path, frame: pl.DataFrame = PEOPLE) -> Path:
    path = folder / "H_CHARLS_D_Data.dta"
    pyreadstat.write_dta(frame, str(path), version=14)
    return path


def test_a_wide_file_becomes_one_row_a_person_and_wave(tmp_path: Path) -> None:
    read = read_charls(write(tmp_path))
    assert read.people.select("wave", "person_id", "household_id", "age", "sex").rows() == [
        ("2011", "011", "01", 60.0, "male"), ("2011", "012", "01", 58.0, "female"), ("2011", "021", "02", 71.0, "female"),
        ("2013", "011", "01", 62.0, "male"), ("2013", "021", "02", 73.0, "female"),
    ]  # fmt: skip
    assert read.households.select("wave", "household_id", "size", "income", "residence").rows() == [
        ("2011", "01", 2.0, 9000.0, "rural"), ("2011", "02", 1.0, -50.0, "urban"),
        ("2013", "01", 2.0, 9500.0, "rural"), ("2013", "02", 1.0, 100.0, "urban"),
    ]  # fmt: skip


def test_a_year_of_own_payments_is_stays_and_twelve_months_of_visits(tmp_path: Path) -> None:
    read = read_charls(write(tmp_path))
    assert read.people["oop"].to_list() == [3000.0, 600.0, 0.0, 0.0, None]
    # A stay whose payment is unknown leaves the household's payment unknown.
    assert read.households["oop"].to_list() == [3600.0, 0.0, 0.0, None]
    assert read.people.filter(pl.col("wave") == "2011")["insured"].to_list() == [1, 1, 0]


def test_people_are_linked_and_counted(tmp_path: Path) -> None:
    links = read_charls(write(tmp_path)).findings.links
    assert links.select("between", "units", "rows").rows() == [
        ("any wave", 3, 5), ("two or more waves", 2, 4), ("every wave", 2, 4),
    ]  # fmt: skip


def test_what_the_file_lacks_is_reported(tmp_path: Path) -> None:
    told = read_charls(write(tmp_path)).findings.columns
    lacking = told.filter((pl.col("status") == "not_in_file") & (pl.col("wave") == "2011"))["column"].to_list()
    assert {"food", "price_index", "health"} <= set(lacking)


def test_a_csv_of_the_same_reads_alike(tmp_path: Path) -> None:
    PEOPLE.write_csv(tmp_path / "charls.csv")
    one, other = read_charls(write(tmp_path)), read_charls(tmp_path / "charls.csv")
    assert other.people.equals(one.people)
    assert other.households.equals(one.households)


def test_a_second_row_of_a_person_is_refused(tmp_path: Path) -> None:
    read = read_charls(write(tmp_path, pl.concat([PEOPLE, PEOPLE[:1]])))
    assert read.rejects.height == 1
    assert read.people.height == 5


def test_a_wave_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no columns of 2018; it has 2011, 2013") as caught:
        read_charls(write(tmp_path), waves=[2018])
    assert caught.value.code == "no_such_wave"


def test_another_file_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"hhid": [1]}).write_csv(tmp_path / "other.csv")
    with pytest.raises(InputError) as caught:
        read_charls(tmp_path / "other.csv")
    assert caught.value.code == "no_person_number"
    with pytest.raises(InputError) as caught:
        read_charls(tmp_path / "other.xlsx")
    assert caught.value.code == "unknown_format"
