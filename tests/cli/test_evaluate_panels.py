"""The commands `medfloor evaluate panel`, `rollout`, `fixed-effects` and `instrument`. All tables here are made up."""

from __future__ import annotations

import json
import runpy
import shlex
import shutil
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

ROLLOUT = Path(__file__).resolve().parents[2] / "examples" / "evaluate"
PANEL = "panel.csv --unit household_id --time wave"
FIT = f"fixed-effects {PANEL} --outcome oop --treatment covered"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        runpy.run_path(str(ROLLOUT / "panel.py"), run_name="__main__")
    shutil.copy(ROLLOUT / "rollout.csv", folder)
    return folder


@pytest.fixture(autouse=True)
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in made.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(asked: str) -> Result:
    return CliRunner().invoke(program, ["evaluate", *shlex.split(asked)])


@pytest.mark.parametrize(("lang", "words"), [("en", "units never treated"), ("zh", "从未受政策的个体")])
def test_a_panel_is_looked_over_and_written(lang: str, words: str) -> None:
    done = evaluate(f"panel {PANEL} --treatment covered --balanced --out kept.csv --lang {lang}")
    assert done.exit_code == 0, done.output
    assert words in done.output
    kept = pl.read_csv("kept.csv")
    assert kept.group_by("household_id").len()["len"].unique().to_list() == [5]
    assert kept["wave_index"].unique().sort().to_list() == [1, 2, 3, 4, 5]
    assert kept.schema["cohort"] == pl.Int64


def test_a_panel_as_json_and_with_warnings_ends_with_one() -> None:
    table = pl.read_csv("panel.csv").with_columns(covered=pl.col("covered") * (pl.col("wave") != 2020))
    table.write_csv("panel.csv")
    done = evaluate(f"panel {PANEL} --treatment covered --format json")
    assert done.exit_code == 1
    assert json.loads(done.output)["counts"]["switch_both"] > 0


@pytest.mark.parametrize(("lang", "words"), [("en", "9 rows accepted, 0 refused"), ("zh", "接受 9 行，拒收 0 行")])
def test_a_rollout_is_checked_and_joined(lang: str, words: str) -> None:
    assert evaluate(f"rollout --rollout rollout.csv --lang {lang}").exit_code == 0
    done = evaluate(f"rollout panel.csv --rollout rollout.csv --place county --time wave --out out.csv --lang {lang}")
    assert done.exit_code == 0, done.output
    assert words in done.output
    joined = pl.read_csv("out.csv")
    # The made-up panel was made by the very starts of the made-up table.
    assert joined["treated"].to_list() == joined["covered"].to_list()
    assert joined.schema["start"] == pl.Int64


def test_refused_rows_of_a_rollout_end_with_one() -> None:
    text = Path("rollout.csv").read_text(encoding="utf-8")
    Path("rollout.csv").write_text(text + "cii,city,4299,2013-01-01,x,,both,\n", encoding="utf-8")
    done = evaluate("rollout --rollout rollout.csv --format json")
    assert done.exit_code == 1
    assert json.loads(done.output)["refused"] == ["row 10: admin_code '4299' is not six digits"]


def test_fixed_effects_end_with_zero_one_and_two() -> None:
    fine = evaluate(f"{FIT} --cluster county --format json")
    assert fine.exit_code == 0, fine.output
    told = json.loads(fine.output)
    assert told["method"] == "fixed-effects"
    # The truth is -300, less what own payments that would be below zero take off.
    assert abs(told["estimates"][0]["estimate"] + 300) < 4 * told["estimates"][0]["se"]
    few = evaluate(f"{FIT} --cluster city --covariates i.sex --lang zh")
    assert few.exit_code == 1
    assert "只有 12 个聚类" in few.output
    wrong = evaluate(f"{FIT} --cluster nowhere")
    assert wrong.exit_code == 2
    assert "[missing_column]" in wrong.output


def test_a_wild_bootstrap_is_the_same_for_the_same_seed() -> None:
    asked = f"{FIT} --cluster city --wild 199 --seed 3 --format csv"
    first, again = evaluate(asked), evaluate(asked)
    assert first.exit_code == 0, first.output
    assert first.output == again.output
    assert "wild_bootstrap" in first.output
    assert evaluate(f"{FIT} --wild 199 --errors hc1").exit_code == 2
    assert evaluate(f"{FIT} --wild 5").exit_code == 2


def test_least_squares_and_poisson_are_asked_for_by_options() -> None:
    plain = evaluate("fixed-effects panel.csv --outcome oop --treatment covered --effects none --errors hc1")
    assert plain.exit_code == 0, plain.output
    assert "ordinary least squares" in plain.output
    counts = evaluate(
        f"fixed-effects {PANEL} --outcome visits --treatment covered --family poisson "
        "--effects household_id,wave --winsorise 1,99 --cluster county"
    )
    assert counts.exit_code == 0, counts.output
    assert "Poisson" in counts.output


def test_instruments_are_named_or_made_of_others() -> None:
    asked = f"instrument {PANEL} --outcome oop --treatment enrolled --cluster county"
    named = evaluate(f"{asked} --instruments covered --lang zh")
    assert named.exit_code == 0, named.output
    assert "有效 F" in named.output
    others = evaluate(f"{asked} --others-in county,wave --format json")
    assert others.exit_code in (0, 1), others.output
    terms = {row["term"] for row in json.loads(others.output)["estimates"] if row["model"] == "first_stage"}
    assert terms == {"enrolled_of_others"}
    assert evaluate(asked).exit_code == 2
    assert evaluate(f"{asked} --instruments age,household_id").exit_code == 2


@pytest.mark.parametrize("asked", ["panel --unit household_id --time wave", "panel nowhere.csv --unit a --time b"])
def test_a_command_without_table_is_misuse(asked: str) -> None:
    assert evaluate(asked).exit_code == 2


def test_a_table_is_never_written_over_its_source() -> None:
    before = Path("panel.csv").read_bytes()
    done = evaluate(f"panel {PANEL} --out panel.csv")
    assert done.exit_code == 2
    assert "[would_replace_input]" in done.output
    assert Path("panel.csv").read_bytes() == before
    assert evaluate("rollout --rollout rollout.csv --out x.csv").exit_code == 2
    assert evaluate("rollout panel.csv --rollout rollout.csv --place county --time wave --out x.xlsx").exit_code == 2
