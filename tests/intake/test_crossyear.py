"""The cross-year file of CFPS: where households came from, and their sampling units, where the waves' files lack it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from medfloor.errors import InputError
from medfloor.intake import read_cfps
from medfloor.synthetic.cfps import write_cfps


def write(folder: Path, cross: str | None, *, name: str = "cfps2018crossyearid_202104.csv") -> Path:
    """Write two waves by hand: household 1 splits into 1 and 9, and the files do not say where 9 came from."""
    pl.DataFrame({"fid16": [1, 2], "resp1pid": [101, 201]}).write_csv(folder / "cfps2016famecon_201807.csv")
    pl.DataFrame({"fid18": [1, 9, 2], "resp1pid": [101, 103, 202]}).write_csv(folder / "cfps2018famecon_202101.csv")
    people = {"pid": [101, 102, 103, 201, 202], "fid18": [1, 1, 9, 2, 2]}
    pl.DataFrame(people).write_csv(folder / "cfps2018person_202012.csv")
    if cross is not None:
        (folder / name).write_text(cross, encoding="utf-8")
    return folder


CROSS = "pid,fid16,fid18,psu,subpopulation\n101,1,1,7,6\n102,1,1,7,6\n103,1,9,7,6\n201,2,2,8,1\n202,2,-8,8,1\n"


def test_without_it_nobody_knows_where_a_new_household_came_from(tmp_path: Path) -> None:
    read = read_cfps(write(tmp_path, None))
    assert read.households.filter(pl.col("household_id") == "9")["previous_household_id"].to_list() == [None]


def test_it_tells_where_a_household_came_from(tmp_path: Path) -> None:
    read = read_cfps(write(tmp_path, CROSS))
    homes = read.households.filter(pl.col("wave") == "2018").sort("household_id")
    assert homes.select("household_id", "previous_household_id", "split_off", "panel_id").rows() == [
        ("1", "1", 0, "1"), ("2", "2", 0, "2"), ("9", "1", 1, "9"),
    ]  # fmt: skip


def test_it_gives_the_sampling_unit_that_the_files_lack(tmp_path: Path) -> None:
    read = read_cfps(write(tmp_path, CROSS))
    assert read.households.select("wave", "household_id", "psu", "stratum").rows() == [
        ("2016", "1", "7", "6"), ("2016", "2", "8", "1"), ("2018", "1", "7", "6"), ("2018", "2", "8", "1"), ("2018", "9", "7", "6"),
    ]  # fmt: skip
    told = next(r for r in read.findings.remarks if r.key == "surveys.crossyear")
    # Households 1, 2 and 9 of 2018 got their origin, all five of both waves their unit and stratum.
    assert "cells: 3" in told.say("en") and "households: 5" in told.say("en")


def test_what_a_waves_own_file_says_is_never_replaced(tmp_path: Path) -> None:
    write(tmp_path, CROSS)
    pl.DataFrame({"fid18": [9], "fid16": [2], "psu": [3]}).write_csv(tmp_path / "cfps2018famecon_202101.csv")
    homes = read_cfps(tmp_path).households.filter(pl.col("household_id") == "9")
    assert homes.select("previous_household_id", "psu").rows() == [("2", "3")]


def test_most_of_the_members_decide_and_a_tie_goes_to_its_own_number(tmp_path: Path) -> None:
    write(tmp_path, "pid,fid16,fid18\n101,2,9\n102,2,9\n103,1,9\n201,1,2\n202,2,2\n")
    homes = read_cfps(tmp_path).households.filter(pl.col("wave") == "2018").sort("household_id")
    assert homes.select("household_id", "previous_household_id").rows() == [("1", "1"), ("2", "2"), ("9", "2")]


def test_people_are_counted_as_it_links_them_and_where_it_differs(tmp_path: Path) -> None:
    read = read_cfps(write(tmp_path, CROSS.replace("102,1,1", "102,1,2")))
    links = {(a, b): u for a, b, u, _ in read.findings.links.iter_rows()}
    assert links["crossyear", "any wave"] == 5 and links["crossyear", "every wave"] == 4
    assert links["person", "any wave"] == 5 and links["person", "two or more waves"] == 0
    dropped = read.findings.dropped.filter(pl.col("reason") == "other_household_in_crossyear")
    assert dropped.select("wave", "rows").rows() == [("2018", 1)]


def test_rows_without_a_person_and_second_rows_are_told(tmp_path: Path) -> None:
    read = read_cfps(write(tmp_path, CROSS + "-9,1,1,7,6\n101,2,2,8,1\n"))
    dropped = read.findings.dropped.filter(pl.col("table") == "crossyear")
    assert dropped.select("reason", "rows").rows() == [("no_person_in_crossyear", 1), ("second_in_crossyear", 1)]
    assert read.households.filter(pl.col("household_id") == "1")["psu"].to_list() == ["7", "7"]


@pytest.mark.parametrize(
    "name", ["cfps2018_crossyear.csv", "ecfps2018crossyearid_202104.csv", "CFPS2018CROSSYEARID.csv"]
)
def test_its_name_varies_as_the_others_do(tmp_path: Path, name: str) -> None:
    read = read_cfps(write(tmp_path, CROSS.upper(), name=name))
    assert read.households["psu"].null_count() == 0


def test_of_two_the_latest_wave_is_read(tmp_path: Path) -> None:
    write(tmp_path, CROSS)
    (tmp_path / "cfps2020crossyearid_202312.csv").write_text(CROSS.replace(",7,", ",5,"), encoding="utf-8")
    read = read_cfps(tmp_path)
    assert set(read.households["psu"]) == {"5", "8"}
    files = read.findings.files.filter(pl.col("kind") == "crossyearid").select("wave", "used", "why").rows()
    assert files == [("2018", False, "later_one_read"), ("2020", True, "")]


def test_one_without_person_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_cfps(write(tmp_path, "fid16,fid18\n1,1\n"))
    assert caught.value.code == "no_person_number"


def test_files_of_2011_and_of_communities_are_named_and_not_read(tmp_path: Path) -> None:
    write(tmp_path, None)
    for name in ("cfps2011adult_102014.csv", "cfps2014comm_201906.csv"):
        (tmp_path / name).write_text("pid\n1\n", encoding="utf-8")
    read = read_cfps(tmp_path)
    told = next(r for r in read.findings.remarks if r.key == "surveys.not_used").say("en")
    assert "2011" in told and "comm" in told
    left = read.findings.files.filter(~pl.col("used")).select("kind", "why").rows()
    assert left == [("adult", "other_wave"), ("comm", "other_wave")]


def test_a_made_up_panel_links_by_it_as_by_its_own_numbers(tmp_path: Path) -> None:
    """Take the earlier numbers out of every economy file: the cross-year file gives them back."""
    made = write_cfps(tmp_path, seed=7, scale=0.05, waves=[2014, 2016, 2018], form="csv")
    own = read_cfps(tmp_path)
    for name in made.files:
        if "famecon" in name:
            frame = pl.read_csv(tmp_path / name)
            earlier = [c for c in frame.columns if c.startswith("fid") and c != f"fid{name[6:8]}"]
            frame.drop(earlier, "psu", "subpopulation").write_csv(tmp_path / name)
    by_people = read_cfps(tmp_path)
    same = ("wave", "household_id", "panel_id", "previous_wave", "psu", "stratum")
    assert by_people.households.select(same).equals(own.households.select(same))
    # Where a child left a household that then dropped out, the roster of people knows no more than the file did.
    assert by_people.households["split_off"].equals(own.households["split_off"])
