"""The command `medfloor watch prevention`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

FILES = {
    "people.csv": "person_id,birth_date,sex,hypertension,diabetes,family_doctor\n"
    "p1,1950-02-01,male,yes,no,yes\np2,1975-02-01,female,yes,no,yes\np3,1980-02-01,male,no,yes,no\np4,1990-02-01,male,no,no,yes\n",
    "claims.csv": "claim_id,person_id,care_type,start_date,end_date,facility_level,diagnosis,total,in_scope\n"
    "c1,p1,inpatient,2025-02-01,2025-02-05,2,I10,4000,4000\nc2,p3,inpatient,2025-03-01,2025-03-05,2,E11.9,6000,6000\n"
    "c3,p4,inpatient,2025-04-01,2025-04-05,3,K35,90000,90000\nc4,p4,outpatient,2024-04-01,2024-04-01,3,J06,100,100\n",
    "signed.csv": "person_id,signed,until,doctor_id\np1,2025-01-01,,d1\np2,2025-01-01,,d1\n",
    "visits.csv": "person_id,date,kind\n" + "".join(f"p1,2025-0{month}-01,随访\n" for month in (1, 4, 7, 9)) + "p1,2025-05-01,体检\n",
    "measured.csv": "person_id,date,systolic,diastolic,glucose\np1,2025-09-01,145,85,\np2,2025-09-01,145,85,\n",
    "doctors.csv": "doctor_id,hours\nd1,3\n",
}  # fmt: skip
ALL = "--contracts signed.csv --contacts visits.csv --measurements measured.csv --doctors doctors.csv"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prevention(asked: str) -> Result:
    return CliRunner().invoke(program, ["watch", "prevention", *shlex.split(asked)])


def test_people_and_claims_are_enough_and_the_rest_is_said_to_be_unknown() -> None:
    done = prevention("--people people.csv --claims claims.csv")
    assert done.exit_code == 0, done.output
    assert "who was served cannot be told" in done.stdout
    assert "no run may claim more than 8.63 % (8,630 yuan a year)" in done.stdout
    assert "sign all of the key groups, nothing more" in done.stdout


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_all_tables_are_told_and_written(here: Path, lang: str) -> None:
    done = prevention(f"--people people.csv --claims claims.csv {ALL} --out found --lang {lang} --seed 4 --draws 500")
    assert done.exit_code == 0, done.output
    report = json.loads((here / "found" / "prevention.json").read_text(encoding="utf-8"))
    assert (report["year"], report["seed"], report["draws"], report["synthetic"]) == (2025, 4, 500, False)
    assert report["load"]["load"] == pytest.approx(2 * 2 / 3)
    assert report["ceiling"]["share"] == 8.63
    assert all(one["source"] and one["trust"] for one in report["evidence"])
    service = {one["group"]: one for one in report["service"]}
    assert (service["all"]["fully"], service["all"]["not_served"]) == (1, 1)
    names = {file.stem for file in (here / "found").glob("*.csv")}
    assert names == {
        "coverage",
        "workload",
        "by_doctor",
        "service",
        "not_served",
        "control",
        "avoidable",
        "effect",
        "evidence",
    }
    assert pl.read_csv(here / "found" / "not_served.csv")["person_id"].to_list() == ["p2"]
    # p1 is 75 and in range below 150, p2 is 50 and is not below 140.
    control = pl.read_csv(here / "found" / "control.csv")
    assert control.filter(pl.col("who") == "all")["controlled"].to_list()[:1] == [1]
    effect = pl.read_csv(here / "found" / "effect.csv")
    assert (effect["saved_high"] <= effect["ceiling"]).all()
    assert all(f"p{number}" not in done.stdout.split() for number in range(1, 5))


def test_the_same_seed_prints_the_same() -> None:
    asked = "--people people.csv --claims claims.csv --programme intensive --seed 9"
    assert prevention(asked).stdout == prevention(asked).stdout


def test_rows_that_cannot_be_used_give_one(here: Path) -> None:
    (here / "visits.csv").write_text("person_id,date,kind\np1,2025-13-01,随访\np9,2025-01-01,随访\n", encoding="utf-8")
    done = prevention(f"--people people.csv --claims claims.csv {ALL} --out found")
    assert done.exit_code == 1, done.output
    assert "2 rows could not be used: bad_date 1, unknown_person 1." in done.stdout
    assert pl.read_csv(here / "found" / "rejected.csv")["row"].to_list() == [1, 2]
    claims = FILES["claims.csv"] + "c5,p1,inpatient,2025-02-30,2025-02-05,2,I10,4000,4000\n"
    (here / "claims.csv").write_text(claims, encoding="utf-8")
    assert prevention("--people people.csv --claims claims.csv").exit_code == 1


def test_a_reversed_stay_was_none(here: Path) -> None:
    text = FILES["claims.csv"].replace("total,in_scope\n", "total,in_scope,reverses\n").replace("00\n", "00,\n")
    (here / "claims.csv").write_text(
        text + "c6,p1,inpatient,2025-02-06,2025-02-06,2,I10,4000,4000,c1\n", encoding="utf-8"
    )
    done = prevention("--people people.csv --claims claims.csv --out found")
    assert done.exit_code == 0, done.output
    table = pl.read_csv(here / "found" / "avoidable.csv")
    assert table.filter(pl.col("condition") == "hypertension")["stays"].to_list() == [0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("--people nobody.csv --claims claims.csv", "file_not_found"),
        ("--people people.csv --claims claims.csv --year 2001", "empty_file"),
        ("--people people.csv --claims claims.csv --draws 3", "bad_draws"),
        ("--people people.csv --claims claims.csv --seed -3", "bad_seed"),
        ("--people people.csv --claims claims.csv --rules doctors.csv", "bad_rules"),
        ("--people people.csv --claims claims.csv --rules none.toml", "file_not_found"),
        ("--people people.csv --claims claims.csv --contacts doctors.csv", "missing_column"),
        ("--claims claims.csv", "--people"),
        ("--people people.csv --claims claims.csv --programme magic", "magic"),
    ],
)
def test_misuse_gives_two_and_says_what(asked: str, said: str) -> None:
    done = prevention(asked)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert "Traceback" not in done.output


def test_numbers_of_ones_own(here: Path) -> None:
    (here / "own.toml").write_text("[numbers]\nhour_cost = 0\ndrugs_usual = 0\ncontract_cost = 0\n", encoding="utf-8")
    done = prevention("--people people.csv --claims claims.csv --rules own.toml --out found")
    assert done.exit_code == 0, done.output
    assert pl.read_csv(here / "found" / "effect.csv")["cost"].to_list() == [0.0] * 20
