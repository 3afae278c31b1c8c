"""`medfloor watch train` and `score`: files in, a model and scores out, in both languages, and clear refusals."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.settlement import settle
from medfloor.synthetic import synthesise
from medfloor.synthetic.dynamics import live


def call(asked: str) -> Result:
    return CliRunner().invoke(program, shlex.split(asked))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Live a small made-up county for four years, and settle its claims."""
    place = tmp_path_factory.mktemp("lived")
    years = live(synthesise(2_000, seed=3, years=4), seed=3)
    settled = settle(years.claims, years.people, years.spells, policy="cn/beijing").settlements
    tables = {"people": years.people, "households": years.households, "spells": years.spells, "claims": years.claims,
              "settlements": settled}  # fmt: skip
    for name, frame in tables.items():
        frame.write_parquet(place / f"{name}.parquet")
    return place


def files(place: Path) -> str:
    names = ("people", "households", "spells", "claims", "settlements")
    return " ".join(f"--{name} {place / name}.parquet" for name in names)


@pytest.fixture(scope="module")
def model(lived: Path) -> Path:
    out = lived / "model.json"
    done = call(
        f"watch train {files(lived)} --years 2025-2028 --capacity 2 --draws 20 --out {out} --report {lived}/judged"
    )
    assert done.exit_code == 0, done.output
    lines = done.output.split("\n")
    assert "2 visits a week reach 104" in lines[0] and "recall" in lines[1] and "official rule" in lines[2]
    assert "ROC" not in "".join(lines[:7]) and "made up" in done.output
    assert {one.name for one in (lived / "judged").iterdir()} == {
        "judgement.txt", "judgement.json", "deciles.csv", "by_capacity.csv", "slices.csv", "scores.csv"}  # fmt: skip
    return out


def test_the_same_files_and_seed_give_the_same_model(lived: Path, model: Path) -> None:
    said = json.loads(model.read_text())
    assert said["synthetic"] is True and said["judged_year"] == 2027 and said["years"] == [2025, 2026]
    again = lived / "again.json"
    done = call(f"watch train {files(lived)} --years 2025-2028 --capacity 2 --draws 20 --out {again} --lang zh")
    assert done.exit_code == 0, done.output
    assert "召回率" in done.output and "虚构" in done.output
    assert again.read_bytes() == model.read_bytes()


@pytest.mark.parametrize(("lang", "word"), [("en", "own"), ("zh", "元")])
def test_scores_have_rank_rule_and_reasons(lived: Path, model: Path, lang: str, word: str) -> None:
    out = lived / f"scores-{lang}.csv"
    done = call(f"watch score {model} {files(lived)} --year 2028 --out {out} --lang {lang}")
    assert done.exit_code == 0, done.output
    scores = pl.read_csv(out)
    columns = ["household_id", "probability", "rank", "rule_alert", "rule_ratio", "reason_1", "reason_2", "reason_3"]
    assert scores.columns[: len(columns)] == columns
    assert scores["rank"].to_list() == list(range(1, scores.height + 1))
    assert scores["probability"].is_sorted(descending=True) and scores["probability"].is_between(0, 1).all()
    assert (scores["rule_alert"] == (scores["rule_ratio"] > 1).cast(pl.Int64)).all()
    assert any(word in str(one) for one in scores["reason_1"].head(50))
    assert not any(one in done.output for one in scores["household_id"].head(20)), "nobody is named on the terminal"


def test_a_part_of_a_year_is_said(lived: Path, model: Path) -> None:
    done = call(f"watch score {model} {files(lived)} --year 2028 --as-of 2028-06-30 --reasons 0 --out {lived}/part.csv")
    assert done.exit_code == 0, done.output
    assert "part of the year" in done.output


def test_a_changed_model_is_refused(lived: Path, model: Path) -> None:
    said = json.loads(model.read_text())
    said["intercept"] += 0.1
    changed = lived / "changed.json"
    changed.write_text(json.dumps(said))
    done = call(f"watch score {changed} {files(lived)} --year 2028 --out {lived}/x.csv")
    assert done.exit_code == 2 and "changed" in done.output + done.stderr


@pytest.mark.parametrize(
    "asked",
    ["--years 2025-2026 --capacity 2", "--years soon --capacity 2", "--years 2025-2028 --capacity 0",
     "--years 2025-2028 --capacity 2 --threshold 0", "--years 2001-2004 --capacity 2"],
)  # fmt: skip
def test_misuse_is_exit_2_and_writes_nothing(lived: Path, asked: str) -> None:
    out = lived / "none.json"
    done = call(f"watch train {files(lived)} {asked} --out {out}")
    assert done.exit_code == 2, done.output
    assert not out.exists()


def test_another_year_than_the_day_is_refused(lived: Path, model: Path) -> None:
    done = call(f"watch score {model} {files(lived)} --year 2028 --as-of 2027-12-31 --out {lived}/x.csv")
    assert done.exit_code == 2 and not (lived / "x.csv").exists()


def test_a_year_without_settlements_is_refused_and_does_not_look_safe(lived: Path, model: Path) -> None:
    for asked in (f"score {model} {files(lived)} --year 2031 --out {lived}/x.csv",
                  f"drift {model} {files(lived)} --year 2031",
                  f"train {files(lived)} --years 2025-2029 --capacity 2 --out {lived}/x.csv"):  # fmt: skip
        done = call(f"watch {asked}")
        assert done.exit_code == 2 and "no_settlements" in done.output, done.output
    assert not (lived / "x.csv").exists()


def test_households_without_their_year_are_no_ground_to_train_on(lived: Path) -> None:
    pl.read_parquet(lived / "households.parquet").drop("wave").unique("household_id").write_parquet(
        lived / "flat.parquet"
    )
    asked = files(lived).replace("households.parquet", "flat.parquet")
    done = call(f"watch train {asked} --years 2025-2028 --capacity 2 --out {lived}/none.json")
    assert done.exit_code == 2 and "wave" in done.output and not (lived / "none.json").exists()


def test_help_tells_examples_and_exit_codes() -> None:
    for name in ("train", "score"):
        done = call(f"watch {name} --help")
        assert done.exit_code == 0 and "Examples:" in done.output and "Exit codes:" in done.output
