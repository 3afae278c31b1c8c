"""`medfloor fund pool` and `medfloor fund tiers`: exit codes, files, both languages."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

POOL = "fund pool --draws 200 --sizes 1000,100000"


def call(asked: str) -> Result:
    return CliRunner().invoke(program, shlex.split(asked))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("places") / "places.csv"
    file.write_text(
        "name,city,members,income,contribution,subsidy,claims,cost,ratio\n"
        "poor,east,80000,20000,400,800,0.2,8000,0.65\nrich,west,200000,60000,400,1000,0.22,9000,0.7\n",
        encoding="utf-8",
    )
    return file


def test_pool_tells_in_words_and_writes_everything(places: Path, tmp_path: Path) -> None:
    out = tmp_path / "result"
    done = call(f"{POOL} --places {places} --out {out} --lang zh")
    assert done.exit_code == 0, done.output
    assert "再分配" in done.output
    for name in ("page.html", "page.md", "pool.json", "pool.xlsx", "sizes.csv", "transfers.parquet", "sources.csv",
                 "figure_ruin.svg", "figure_transfers.svg"):  # fmt: skip
        assert (out / name).stat().st_size > 100, name
    assert json.loads((out / "pool.json").read_text(encoding="utf-8"))["synthetic"] is False


def test_a_pool_that_is_short_more_often_than_not_ends_with_one(places: Path) -> None:
    assert call(f"{POOL} --places {places} --use-response 0.3").exit_code == 1


def test_tiers_tell_in_words_and_write_files(tmp_path: Path) -> None:
    files = [tmp_path / f"tiers{ending}" for ending in (".html", ".md", ".json", ".xlsx", ".csv", ".png")]
    done = call(f"fund tiers {' '.join(f'--out {file}' for file in files)}")
    # Under free choice of the made-up tiers the fund pays more than it takes.
    assert done.exit_code == 1, done.output
    assert "Adverse selection" in done.output
    assert all(file.stat().st_size > 100 for file in files)
    assert files[-1].read_bytes().startswith(b"\x89PNG")
    assert call("fund tiers --subsidy 1000 --lang zh").exit_code == 0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("fund pool --months -1", "negative_reserve"),
        ("fund pool --share 2", "bad_parameter"),
        ("fund pool --sizes x", "bad_lines"),
        ("fund pool --sizes 0", "bad_pool"),
        ("fund pool --places nowhere.csv", "file_not_found"),
        ("fund pool --places a.csv --population b", "needs_no_population"),
        ("fund pool --population nowhere", "no_population"),
        ("fund pool --out x.doc", "unknown_format"),
        ("fund tiers --tier low=1,0.5", "bad_tiers"),
        ("fund tiers --members nowhere.csv", "file_not_found"),
        ("fund tiers --aversion -1", "bad_parameter"),
        ("fund tiers --out x.doc", "unknown_format"),
    ],
)
def test_misuse_is_told_in_one_line_and_ends_with_two(asked: str, code: str) -> None:
    done = call(asked)
    assert done.exit_code == 2, done.output
    assert f"error [{code}]" in done.output
    assert "Traceback" not in done.output


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "county"
    done = call(f"synthesise --people 3000 --seed 1 --unsettled --out {folder}")
    assert done.exit_code in (0, 1), done.output
    return folder


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("fund pool --sizes nan", "bad_pool"),
        ("fund pool --sizes 1e400", "bad_pool"),
        ("fund pool --sizes 1.5", "bad_pool"),
        ("fund pool --sizes 0", "bad_pool"),
        ("fund pool --seed -1", "bad_seed"),
        ("fund pool --subsidy 700", "needs_population"),
        ("fund pool --population {county} --subsidy -5", "bad_parameter"),
        ("fund pool --population {county} --contribution nan", "bad_parameter"),
        ("fund pool --population {county} --population {county}", "bad_places"),
        ("fund pool --year 2025", "needs_population"),
        ("fund pool --population {county} --year 1999", "no_such_year"),
        ("fund tiers --year 2025", "needs_population"),
        ("fund tiers --population {county} --members x.csv", "needs_no_population"),
        ("fund tiers --population {county} --year 1999", "no_such_year"),
        ("fund tiers --population {county}/claims.parquet", "no_population"),
    ],
)
def test_what_cannot_be_is_refused_with_a_code(county: Path, asked: str, code: str) -> None:
    done = call(asked.format(county=county))
    assert (done.exit_code, f"[{code}]" in done.output) == (2, True), done.output


def test_places_of_one_member_and_of_billions_are_pooled_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "places.csv"
    head = "name,members,income,contribution,subsidy,claims,cost,ratio\n"
    for rows in ("a,1,0,0,1,1e-9,0.01,1e-6\n", "b,2000000000,1e8,1e6,1e6,1000,1e9,1\n", "c,5,0,1,1,1,100,0.5\n"):
        file.write_text(head + rows, encoding="utf-8")
        done = call(f"{POOL} --places {file}")
        assert done.exit_code in (0, 1, 2), done.output


def test_two_members_leave_fifths_empty_and_are_told(tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    file.write_text("residence,income,cost\nrural,9000,800\nurban,40000,2500\n", encoding="utf-8")
    for lang in ("en", "zh"):
        done = call(f"fund tiers --members {file} --lang {lang} --out {tmp_path / lang}")
        assert done.exit_code in (0, 1), done.output
        assert "nan" not in done.output


def test_tiers_of_a_population_say_that_it_is_counted_and_made_up(county: Path, tmp_path: Path) -> None:
    done = call(f"fund tiers --population {county} --out {tmp_path / 'tiers.json'}")
    assert done.exit_code in (0, 1), done.output
    assert "Members are counted from a population" in done.output
    assert "The population is made up" in done.output
    found = json.loads((tmp_path / "tiers.json").read_text(encoding="utf-8"))
    people = pl.read_parquet(county / "people.parquet").filter(pl.col("scheme") == "resident")
    assert {one["name"]: one["value"] for one in found["sources"]}["members"] == people.height
    # All are in the low tier, so the fund pays 0.55 of the mean in-scope cost; to the last digits of a double.
    claims = pl.read_parquet(county / "claims.parquet").join(people, on="person_id", how="semi")
    low = next(one for one in found["tiers"] if one["scenario"] == "low")
    assert low["payment"] == pytest.approx(0.55 * claims["in_scope"].sum() / people.height, rel=1e-9)


def test_a_pool_of_a_population_names_the_source_of_its_financing(county: Path, tmp_path: Path) -> None:
    for given, value, trust in (("", 793, "derived"), ("--subsidy 900", 900, "yours")):
        call(f"{POOL} --population {county} {given} --out {tmp_path / 'pool.json'}")
        sources = json.loads((tmp_path / "pool.json").read_text(encoding="utf-8"))["sources"]
        found = next(one for one in sources if one["name"] == "subsidy")
        assert (found["value"], found["trust"]) == (value, trust)


# What stays as it is in Chinese: options and ids, money and the names of papers, files and packages.
ENGLISH = re.compile(r"(?<![-./\w])[A-Za-z]{4,}(?![-./=\w])")
KNOWN = {
    "medfloor",
    "price",
    "fund",
    "simulate",
    "logit",
    "CFPS",
    "draws",
    "series",
    "toml",
    "NHSA",
    "national",
    "county",
}


@pytest.mark.parametrize(
    "asked", ["fund pool --draws 200", "fund tiers", "fund tiers --choose logit", "fund price --parameters"]
)
def test_chinese_output_holds_no_english_words(asked: str) -> None:
    said = call(f"{asked} --lang zh").output
    assert set(ENGLISH.findall(said)) <= KNOWN


@pytest.mark.parametrize("asked", ["fund pool --draws 200", "fund tiers", "fund price --draws 200"])
def test_a_chinese_page_names_numbers_units_and_sources_in_chinese(asked: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    call(f"{asked} --lang zh --out {page}")
    # What the seed says is quoted as it stands.
    said = re.sub("“[^”]*”", "", page.read_text(encoding="utf-8"))
    assert set(ENGLISH.findall(said)) <= KNOWN
