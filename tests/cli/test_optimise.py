"""The command `medfloor optimise`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

ROOT = Path(__file__).resolve().parents[2]


def call(asked: str) -> Result:
    return CliRunner().invoke(program, shlex.split(asked))


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "county"
    done = call(f"synthesise --people 3000 --seed 4 --out {folder} --unsettled")
    assert (folder / "claims.parquet").is_file(), done.output
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def optimise(county: Path, asked: str = "", vary: str = "resident.toml") -> Result:
    return call(
        f"optimise --population {county} --baseline {county}/policy.yaml --vary {ROOT}/examples/optimise/{vary} {asked}"
    )


SMALL = "--budget same --evaluations 60 --beside 0 --fresh 2 --fresh-people 1000"


@pytest.mark.parametrize(("lang", "word"), [("zh", "发生率最小"), ("en", "least headcount")])
def test_packages_are_printed_and_written(county: Path, here: Path, lang: str, word: str) -> None:
    candidate = ROOT / "examples" / "optimise" / "lower_threshold.yaml"
    done = optimise(county, f"{SMALL} --minimise headcount --candidates {candidate} --out best --lang {lang}")
    assert done.exit_code in (0, 1), done.output
    told = json.loads((here / "best" / "optimum.json").read_text(encoding="utf-8"))
    assert (done.exit_code == 1) == bool(told["warnings"])
    assert word in done.stdout
    assert "lower_threshold" in done.stdout
    assert told["tried"] == 60
    assert all(one["cost"] <= told["budget"] for one in told["winners"])
    page = (here / "best" / "page.md").read_text(encoding="utf-8")
    assert word in page
    assert "<svg" in (here / "best" / "front.svg").read_text(encoding="utf-8")


def test_a_winner_is_a_reform_that_simulate_takes(county: Path, here: Path) -> None:
    done = optimise(county, f"{SMALL} --minimise gap --out best")
    assert done.exit_code in (0, 1), done.output
    done = call(
        f"simulate --population {county} --baseline {county}/policy.yaml --reform best/best_gap.yaml --out result --no-cliffs "
        "--behaviour none --fresh 0 --draws 0"
    )
    assert done.exit_code == 0, done.output
    told = json.loads((here / "best" / "optimum.json").read_text(encoding="utf-8"))
    rows = pl.read_parquet(here / "result" / "protection.parquet").filter(
        (pl.col("statistic") == "headcount") & (pl.col("threshold") == 0.4) & (pl.col("scenario") == "best_gap")
    )
    assert rows["estimate"].to_list() == pytest.approx([told["winners"][0]["headcount"]], rel=1e-9)


def test_nothing_is_written_without_a_folder(county: Path, here: Path) -> None:
    done = optimise(county, f"{SMALL} --minimise poverty-gap --fresh 0 --catastrophic budget:10% --line 9000")
    assert done.exit_code in (0, 1), done.output
    assert not list(here.iterdir())
    assert "9,000.00" in done.stdout


def test_a_fund_may_be_limited_and_who_counts_by_capacity_to_pay(county: Path, here: Path) -> None:
    done = optimise(
        county,
        f"{SMALL} --budget assistance=same --minimise gap --catastrophic who:0.4 --beside 1000 --out best --fresh 0",
    )
    assert done.exit_code in (0, 1), done.output
    told = json.loads((here / "best" / "optimum.json").read_text(encoding="utf-8"))
    assert told["definition"] == "who"
    assert (told["beside"], told["choosing"]) == (1000, 2000)
    assert all(one["paid"]["assistance"] <= told["funds"]["assistance"] for one in told["winners"])
    assert "capacity to pay by WHO" in done.stdout
    assert "of what assistance may pay" in done.stdout


def test_a_winner_that_does_not_stand_up_gives_one(county: Path) -> None:
    # Twenty packages on three thousand people find no package that a fresh thousand confirm beyond doubt, or that stays
    # within the budget once use responds; where they do, there is no warning and the code is 0.
    done = optimise(
        county, "--budget same --evaluations 20 --beside 0 --fresh 2 --fresh-people 1000 --minimise headcount"
    )
    assert done.exit_code == (1 if "What does not stand up" in done.stdout else 0)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("--budget lots --minimise gap", "bad_budget"),
        ("--budget same --minimise gap --evaluations 2", "bad_looks"),
        ("--budget same --budget dental=same --minimise gap", "bad_budget"),
        ("--budget assistance=same --minimise gap", "bad_budget"),
        ("--budget same --minimise gap --catastrophic sdg:0.4", "bad_ppp"),
        ("--budget same --minimise gap --line -5", "bad_line"),
        ("--budget same --minimise gap --line nan", "bad_line"),
        ("--budget 5 --minimise gap --evaluations 20 --beside 0 --fresh 0", "budget_out_of_reach"),
        ("--budget same --minimise gap --catastrophic whom:0.4", "no_such_definition"),
        ("--budget same --minimise gap --catastrophic nonfood", "bad_threshold"),
        ("--budget same --minimise gap --elasticities none.toml", "bad_elasticities"),
        ("--budget same --minimise gap --candidates none.yaml", "reform_not_found"),
    ],
)
def test_misuse_gives_two_and_says_the_code(county: Path, asked: str, code: str) -> None:
    done = optimise(county, asked)
    assert done.exit_code == 2
    assert f"error [{code}]" in done.stderr


def test_a_missing_file_of_levers_gives_two(county: Path) -> None:
    done = optimise(county, "--budget same --minimise gap", vary="nowhere.toml")
    assert done.exit_code == 2
    assert "error [bad_levers]" in done.stderr


def test_help_shows_examples() -> None:
    done = call("optimise --help")
    assert done.exit_code == 0
    assert "Exit codes" in done.stdout
    assert "--minimise" in done.stdout
