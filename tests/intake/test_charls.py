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
    people = links.filter(pl.col("link") == "person")
    assert people.select("between", "units", "rows").rows() == [
        ("any wave", 3, 5), ("two or more waves", 2, 4), ("every wave", 2, 4), ("2011-2013", 2, 4),
    ]  # fmt: skip
    homes = links.filter(pl.col("link") != "person")
    assert homes.filter(pl.col("between") == "any wave").rows() == [
        ("household", "any wave", 2, 4), ("balanced", "any wave", 2, 4),
    ]  # fmt: skip


def test_what_the_file_lacks_is_reported(tmp_path: Path) -> None:
    told = read_charls(write(tmp_path)).findings.columns
    lacking = told.filter((pl.col("status") == "not_in_file") & (pl.col("wave") == "2011"))["column"].to_list()
    assert {"food_week", "price_index", "health"} <= set(lacking)


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


def test_a_folder_is_said_to_be_one_and_the_file_in_it_is_named(tmp_path: Path) -> None:
    for name in ("H_CHARLS_D_Data.dta", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        InputError, match=r"is a folder.*name the harmonised file in it: .*H_CHARLS_D_Data.dta"
    ) as caught:
        read_charls(tmp_path)
    assert caught.value.code == "file_not_found"


def test_food_of_a_week_becomes_that_of_a_year(tmp_path: Path) -> None:
    read = read_charls(write(tmp_path, PEOPLE.with_columns(hh1cfood=pl.Series([100.0, 100.0, 30.0]))))
    first = read.households.filter(pl.col("wave") == "2011")
    assert first.select("household_id", "food").rows() == [("01", 5200.0), ("02", 1560.0)]


def test_wealth_of_the_household_and_of_the_couple_are_never_one_column(tmp_path: Path) -> None:
    wealth = PEOPLE.with_columns(hh1atotb=pl.Series([-5.0, -5.0, 9.0]), h3atotb=pl.Series([7.0, 7.0, None]))
    read = read_charls(write(tmp_path, wealth.with_columns(r3agey=pl.Series([64.0, 62.0, None]))))
    rows = read.households.select("wave", "household_id", "net_assets", "net_assets_couple").rows()
    assert rows[0] == ("2011", "01", -5.0, None) and rows[-1] == ("2015", "01", None, 7.0)


def test_the_two_scales_of_health_are_never_pooled(tmp_path: Path) -> None:
    both = PEOPLE.with_columns(r1shlt=pl.Series([1.0, 1.0, 1.0]), r1shlta=pl.Series([4.0, 5.0, None]))
    assert read_charls(write(tmp_path, both), waves=[2011]).people["health"].to_list() == [4.0, 5.0, None]


def test_the_interview_status_decides_who_has_a_row(tmp_path: Path) -> None:
    # The dead of 2013 still have a household that answers, and an age that was filled in.
    told = PEOPLE.with_columns(r2iwstat=pl.Series([1.0, 5.0, 4.0]))
    people = read_charls(write(tmp_path, told)).people
    assert people.filter(pl.col("wave") == "2013")["person_id"].to_list() == ["011"]
    assert people.filter(pl.col("wave") == "2011").height == 3


def test_a_version_whose_waves_are_of_other_years_is_refused(tmp_path: Path) -> None:
    """Version C has the life history of 2014 as wave 3 and 2015 as wave 4."""
    other = PEOPLE.with_columns(r4iwy=pl.Series([2015.0, 2015.0, 2016.0]), r4agey=pl.Series([64.0, 62.0, 75.0]))
    with pytest.raises(
        InputError, match="r4iwy says that the interviews of the wave of 2018 were held in 2015"
    ) as caught:
        read_charls(write(tmp_path, other))
    assert caught.value.code == "other_version"
    right = other.with_columns(r4iwy=pl.Series([2018.0, 2019.0, 2018.0]))
    assert read_charls(write(tmp_path, right)).people.filter(pl.col("wave") == "2018").height == 3


def test_members_who_tell_of_different_homes_are_counted(tmp_path: Path) -> None:
    apart = PEOPLE.with_columns(hh1ctot=pl.Series([20000.0, 6000.0, 8000.0]))
    read = read_charls(write(tmp_path, apart))
    dropped = read.findings.dropped.filter(pl.col("reason") == "household_answers_differ")
    assert dropped.select("wave", "rows").rows() == [("2011", 1)]
    assert read.households["consumption"].to_list()[0] == 20000.0


def test_rows_without_a_number_are_refused_as_such(tmp_path: Path) -> None:
    PEOPLE.with_columns(ID=pl.Series(["011", "", "011"])).write_csv(tmp_path / "c.csv")
    read = read_charls(tmp_path / "c.csv")
    assert read.rejects["reason"].to_list() == ["missing_value", "duplicate_row"]
    assert read.findings.dropped.select("reason", "rows").rows() == [("missing_value", 1), ("duplicate_row", 1)]


def test_money_is_brought_to_the_prices_of_one_year(tmp_path: Path) -> None:
    food = PEOPLE.with_columns(hh2cfood=pl.Series([100.0, None, 30.0]))
    plain, read = read_charls(write(tmp_path, food)), read_charls(write(tmp_path, food), prices=2011)
    later = pl.col("wave") == "2013"
    level = 1.026 * 1.026  # the shipped index of 2012 and 2013: 102.6 twice
    for name in ("consumption", "income", "oop", "food"):
        before, after = (one.households.filter(later)[name].to_list() for one in (plain, read))
        # A last place may differ, for the level is a product.
        assert [value is None for value in after] == [value is None for value in before], name
        known = [value for value in before if value is not None]
        assert [value for value in after if value is not None] == pytest.approx([v / level for v in known], rel=1e-12)
    assert read.households.filter(~later)["consumption"].equals(plain.households.filter(~later)["consumption"])
    assert read.people.filter(later)["price_level"].to_list() == pytest.approx([level] * 2, rel=1e-12)


def test_of_thousands_of_columns_only_the_wanted_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    real = pyreadstat.read_dta

    def watched(path: str, **options: object) -> object:
        asked.append(options.get("usecols"))
        return real(path, **options)

    monkeypatch.setattr(pyreadstat, "read_dta", watched)
    read_charls(write(tmp_path, PEOPLE.with_columns(r1cesd10=pl.lit(3.0))))
    assert asked[-1] == PEOPLE.columns


def test_a_column_in_two_spellings_is_refused(tmp_path: Path) -> None:
    PEOPLE.with_columns(R1AGEY=pl.lit(1.0)).write_csv(tmp_path / "c.csv")
    with pytest.raises(InputError) as caught:
        read_charls(tmp_path / "c.csv")
    assert caught.value.code == "ambiguous_column"
