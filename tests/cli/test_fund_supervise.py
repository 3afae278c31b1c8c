"""`medfloor fund supervise`: exit codes, files, both languages."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

HEAD = "claim_id,person_id,care_type,start_date,end_date,facility_level,provider_id,diagnosis,total,in_scope\n"
STAY = "c1,p1,inpatient,2024-05-01,2024-05-09,2,h1,J18,1000,1000\n"


def call(asked: str) -> Result:
    return CliRunner().invoke(program, shlex.split(asked))


def written(place: Path, *rows: str) -> Path:
    file = place / "claims.csv"
    file.write_text(HEAD + "".join(rows), encoding="utf-8")
    return file


def test_nothing_found_is_exit_0(tmp_path: Path) -> None:
    done = call(f"fund supervise {written(tmp_path, STAY)}")
    assert done.exit_code == 0, done.output
    assert "0 leads" in done.output


def test_leads_and_refused_rows_are_exit_1(tmp_path: Path) -> None:
    done = call(f"fund supervise {written(tmp_path, STAY, STAY.replace('c1', 'c2'))} --lang zh")
    assert done.exit_code == 1, done.output
    assert "重复结算" in done.output
    assert "h1" not in done.output
    assert (
        call(f"fund supervise {written(tmp_path, STAY, STAY.replace('c1', 'c2').replace('2024-05-09', '9'))}").exit_code
        == 1
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "CLAIMS is missing"),
        ("nowhere.csv", "file_not_found"),
        ("{claims} --out leads.docx", "unknown_format"),
        ("{claims} --rules nowhere.toml", "file_not_found"),
        ("{claims} --plant 1", "plant_alone"),
        ("{claims} --people {claims} --plant 1", "not_made_up"),
        ("{claims} --planted {claims}", "bad_truth"),
        ("{claims} --memory 0", "bad_memory"),
        ("{claims} --out {claims}", "would_replace_input"),
        ("{claims} --items {claims}", "needs_catalogue"),
        ("{claims} --people {claims}", "wrong_table"),
    ],
)
def test_misuse_is_exit_2_and_named(asked: str, said: str, tmp_path: Path) -> None:
    done = call("fund supervise " + asked.format(claims=written(tmp_path, STAY)))
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_folder_gets_everything_and_pages_name_nobody(tmp_path: Path) -> None:
    stay = STAY.replace("p1", "person-7")
    rows = [stay, stay.replace("c1", "claim-2"), stay.replace("c1", "c3").replace("2024-05-09", "2023-05-09")]
    claims, out = written(tmp_path, *rows), tmp_path / "out"
    done = call(f"fund supervise {claims} --out {out}")
    assert done.exit_code == 1, done.output
    names = {"page.html", "page.md", "supervision.json", "supervision.xlsx", "leads.csv", "leads.parquet", "by_rule.svg",
             "by_rule.csv", "by_facility.csv", "rules.csv", "rejects.csv"}  # fmt: skip
    assert {one.name for one in out.iterdir()} == names
    for name in ("page.html", "page.md", "supervision.json", "by_rule.csv"):
        text = (out / name).read_text(encoding="utf-8")
        assert not any(one in text for one in ("person-7", "claim-2")), name
    assert pl.read_csv(out / "leads.csv")["person_id"].to_list() == ["person-7"]
    assert pl.read_csv(out / "leads.csv")["money"].to_list() == [1000.0]
    assert pl.read_csv(out / "rejects.csv")["reason"].to_list() == ["end_before_start"]
    plain = json.loads((out / "supervision.json").read_text(encoding="utf-8"))
    assert plain["leads"] == 1
    assert all(one["source"] and one["trust"] for one in plain["rules"])


def test_a_file_is_written_by_its_ending_and_the_same_twice(tmp_path: Path) -> None:
    claims = written(tmp_path, STAY, STAY.replace("c1", "c2"))
    files = [tmp_path / f"leads{ending}" for ending in (".png", ".parquet", ".xlsx", ".html", ".md", ".json")]
    asked = f"fund supervise {claims} --lang zh {' '.join(f'--out {file}' for file in files)}"
    assert call(asked).exit_code == 1
    first = [file.read_bytes() for file in files]
    assert call(asked).exit_code == 1
    assert [file.read_bytes() for file in files] == first
    assert first[0].startswith(b"\x89PNG")


def test_planted_errors_are_judged_and_can_be_looked_over_again(tmp_path: Path) -> None:
    county, out = tmp_path / "county", tmp_path / "out"
    assert call(f"synthesise --people 4000 --seed 2 --unsettled --out {county}").exit_code == 0
    asked = f"fund supervise {county}/claims.parquet --people {county}/people.parquet --plant 1 --many 4 --out {out}"
    done = call(asked)
    assert done.exit_code == 1, done.output
    assert "Planted errors" in done.output
    made = out / "planted"
    tables = " ".join(f"--{name} {made}/{name}.parquet" for name in ("people", "items", "catalogue", "facilities"))
    again = call(f"fund supervise {made}/claims.parquet {tables} --planted {made}/truth.parquet")
    assert again.exit_code == 1, again.output
    assert again.output == done.output[: len(again.output)]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_rules_are_listed_with_source_and_trust(lang: str) -> None:
    done = call(f"fund supervise --list --lang {lang}")
    assert done.exit_code == 0
    assert "分解住院" in done.output
    assert {"en": "[assumption: chosen here]", "zh": "［假设：本软件自定］"}[lang] in done.output
    if lang == "zh":
        # Names of rules and parameters, ICD and places of reading aside, no run of English words is left.
        assert not re.search(r"[a-z]+ [a-z]+ [a-z]+", done.output)
