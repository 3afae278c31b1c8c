"""The commands `medfloor measure cliff` and `medfloor measure resources`. All tables here are made up."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

PEOPLE = "inc,share,own,ben,group,pay,cost,kind\n" + "".join(
    f"{income},{0.9 if income < 3000 else 0.65},{100 if income < 3000 else 350},{900 if income < 3000 else 650},"
    f"{'dibao' if income < 3000 else 'none'},{90 if income < 3000 else 65},100,{'a' if income % 200 else 'b'}\n"
    for income in range(1000, 5000, 100)
)
COUNTIES = """county,residence,doctors,population,km2,lon,lat
A,urban,300,100000,50,115.0,28.0
B,rural,100,100000,500,115.1,28.0
C,rural,60,50000,450,117.0,28.0
"""
CLINICS = "name,staff,lon,lat\nx,100,115.0,28.0\ny,20,115.05,28.0\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("people", PEOPLE), ("counties", COUNTIES), ("clinics", CLINICS)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(asked: str) -> Result:
    return CliRunner().invoke(program, ["measure", *shlex.split(asked)])


def estimates(done: Result) -> dict[str, float]:
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)["estimates"]
    return {row["statistic"]: row["estimate"] for row in reversed(rows) if row["group"] is None}


def test_the_jump_is_measured_with_the_tables_own_names(files: Path) -> None:
    done = measure(
        "cliff people.csv --of share --running inc --cutoff 3000 --kernel triangular --by kind --format json"
    )
    found = estimates(done)
    assert found["jump"] == pytest.approx(0.25)
    assert found["level_ineligible"] == pytest.approx(0.65)
    assert any(row["statistic"] == "sensitivity" for row in json.loads(done.stdout)["estimates"])


def test_contract_names_can_be_mapped_and_options_reach_the_measure(files: Path) -> None:
    asked = "cliff people.csv --map reimbursed=share,income=inc --cutoff 3000 --bandwidth 1000 --order 2 --donut 50"
    done = measure(f"{asked} --no-sensitivity --no-density --lang zh")
    assert done.exit_code == 0, done.stderr
    for words in ("悬崖", "2 阶多项式", "离线 1000 以内的行", "因离线太近而未计入的行数"):
        assert words in done.stdout
    assert "McCrary" not in done.stdout


def test_the_notch_is_measured(files: Path) -> None:
    asked = "cliff people.csv --notch --running inc --map oop=own,benefit=ben --cutoff 3000 --window 1000 --format json"
    found = estimates(measure(asked))
    assert found["dominated_width"] == pytest.approx(250)
    assert "marginal_benefit" in found
    plain = estimates(measure("cliff people.csv --notch --running inc --map oop=own --cutoff 3000 --format json"))
    assert "marginal_benefit" not in plain


def test_statuses_are_compared(files: Path) -> None:
    asked = "cliff people.csv --status group --eligible dibao --map paid=pay,total=cost --format json"
    assert estimates(measure(asked))["jump"] == pytest.approx(0.25)


def test_rates_need_no_table() -> None:
    found = estimates(measure("cliff --rates 90%,65% --cost 10000 --format json"))
    assert found["dominated_width"] == pytest.approx(2500)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("cliff", "Missing argument 'TABLE'"),
        ("cliff people.csv --running inc --of share", "Missing option '--cutoff'"),
        ("cliff people.csv --running inc --of share --cutoff 9000", "nobody stands above the line"),
        (
            "cliff people.csv --running inc --of share --cutoff 3000 --bandwidth wide",
            "neither a number nor one of ik, rot",
        ),
        ("cliff people.csv --running inc --of shar --cutoff 3000", "share"),
        ("cliff people.csv --status group", "Missing option '--eligible'"),
        ("cliff --rates 90%", "needs --cost"),
        ("cliff --rates 90,65 --cost 1", "write 0.9 for 90 %"),
        ("resources counties.csv --unit person", "does not apply"),
        ("resources counties.csv --norm -1", "no number above zero"),
        ("resources counties.csv --supply clinics.csv --of staff", "Missing option '--radius'"),
        ("resources counties.csv --supply people.csv --of cost --radius 5", "lon and lat"),
    ],
)
def test_what_cannot_be_meant_ends_with_2_and_a_sentence(files: Path, asked: str, words: str) -> None:
    done = measure(asked)
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert not done.stdout


def test_unreadable_rows_end_with_1_and_are_kept(files: Path) -> None:
    (files / "people.csv").write_text(PEOPLE + "abc,1,1,1,none,1,1,a\n", encoding="utf-8")
    done = measure("cliff people.csv --of share --running inc --cutoff 3000")
    assert done.exit_code == 1
    assert pl.read_csv(files / "people.rejects.csv").height == 1


def test_resources_are_measured_as_a_census(files: Path) -> None:
    done = measure("resources counties.csv --norm 2.59 --area km2 --by residence --place county --format json")
    told = json.loads(done.stdout)
    assert done.exit_code == 0, done.stderr
    found = {(row["statistic"], row["place"], row["group"]): row for row in told["estimates"]}
    assert found["density", None, "rural"]["estimate"] == pytest.approx(160 / 150)
    assert found["places_below", None, None]["estimate"] == 2
    assert found["lacking", "C", None]["estimate"] == pytest.approx(2.59 * 50 - 60)
    assert found["hrad", "urban", None]["estimate"] == pytest.approx((300 / 460) / (50 / 1000))
    assert all(row["se"] is None for row in told["estimates"])
    assert "all places there are" in told["errors"]


def test_a_design_makes_places_a_sample(files: Path) -> None:
    done = measure("resources counties.csv --method jackknife --lang zh")
    assert done.exit_code == 0, done.stderr
    assert "刀切法" in done.stdout


def test_access_is_measured_from_two_tables(files: Path) -> None:
    asked = "resources counties.csv --supply clinics.csv --map-supply doctors=staff --radius 20 --place county --format json"
    done = measure(asked)
    assert done.exit_code == 0, done.stderr
    found = {(row["statistic"], row["place"]): row["estimate"] for row in json.loads(done.stdout)["estimates"]}
    # Both clinics serve A and B, 200,000 people; C is 190 km away.
    assert found["access", "A"] == found["access", "B"] == pytest.approx(0.6)
    assert found["without_access", None] == 50_000


def test_unreadable_facilities_end_with_1_and_are_kept(files: Path) -> None:
    (files / "clinics.csv").write_text(CLINICS + "z,many,115,28\n", encoding="utf-8")
    done = measure("resources counties.csv --supply clinics.csv --map-supply doctors=staff --radius 20")
    assert done.exit_code == 1
    assert pl.read_csv(files / "clinics.rejects.csv")["name"].to_list() == ["z"]


@pytest.mark.parametrize("name", ["cliff", "resources"])
def test_help_has_examples_and_both_write_tables_and_figures(files: Path, name: str) -> None:
    told = measure(f"{name} --help")
    assert told.exit_code == 0
    assert "Examples:" in told.stdout
    asked = {"cliff": "people.csv --of share --running inc --cutoff 3000", "resources": "counties.csv --by residence"}
    done = measure(f"{name} {asked[name]} --out found.html --figure found.svg")
    assert done.exit_code == 0, done.stderr
    assert (files / "found.html").stat().st_size > 0
    assert (files / "found.svg").stat().st_size > 0
