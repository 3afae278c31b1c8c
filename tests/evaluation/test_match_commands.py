"""`medfloor evaluate match`, `mediate` and `discontinuity`: exit codes, files, both languages. Tables are made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(6)
    place = tmp_path_factory.mktemp("made")
    age, ill = rng.normal(50, 12, 800), rng.integers(0, 2, 800)
    insured = (rng.random(800) < 1 / (1 + np.exp(1 - 0.03 * (age - 50)))).astype(int)
    oop = 1000 + 10 * age + 200 * ill - 300 * insured + rng.normal(0, 200, 800)
    sex = [("f", "m")[i] for i in rng.integers(0, 2, 800)]
    pl.DataFrame({"age": age, "ill": ill, "sex": sex, "insured": insured, "oop": oop}).write_csv(place / "people.csv")
    home, wave = np.repeat(np.arange(240), 3), np.tile([2014, 2016, 2018], 240)
    city, old = home // 4, rng.normal(50, 10, 240)[home]
    covered = ((wave >= 2016) & (city % 2 == 0)).astype(int)
    bad = rng.normal(0, 1, 240)[home] - 0.4 * covered + rng.normal(0, 1, 720)
    y = bad + rng.normal(0, 1, 720)
    panel = {"home": home, "wave": wave, "city": city, "old": old, "covered": covered, "bad": bad, "y": y}
    pl.DataFrame(panel).write_csv(place / "panel.csv")
    # Six placebo lines find something by chance in one table of twenty; this seed is not of that kind.
    rng = np.random.default_rng(11)
    income = rng.uniform(2000, 10_000, 1500)
    share = 0.6 + 0.25 * (income < 6000) + rng.normal(0, 0.05, 1500)
    pl.DataFrame({"income": income, "share": share}).write_csv(place / "line.csv")
    return place


def run(*arguments: object) -> Result:
    return CliRunner().invoke(program, ["evaluate", *map(str, arguments)])


MATCH = ("--outcome", "oop", "--treatment", "insured", "--covariates", "age,ill,i.sex", "--method", "weights")
DID = ("--outcome", "y", "--treatment", "covered", "--unit", "home", "--time", "wave", "--cluster", "city")
MEDIATE = (*DID, "--mediator", "bad", "--draws", "100")
LINE = ("--outcome", "share", "--running", "income", "--cutoff", "6000", "--bandwidth", "2000")


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(
    ("method", "table", "asked", "words"),
    [
        ("match", "people.csv", MATCH, {"en": "Balance", "zh": "平衡性"}),
        ("mediate", "panel.csv", MEDIATE, {"en": "sequential ignorability", "zh": "序贯可忽略性"}),
        ("discontinuity", "line.csv", LINE, {"en": "jump at the line", "zh": "界线处的跳跃"}),
    ],
)
def test_sound_tables_end_with_zero_in_both_languages(
    folder: Path, lang: str, method: str, table: str, asked: tuple[str, ...], words: dict[str, str]
) -> None:
    done = run(method, folder / table, *asked, "--lang", lang)
    assert done.exit_code == 0, done.output
    assert words[lang] in done.output


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_warned_of_ends_with_one(folder: Path, lang: str) -> None:
    heading = "警告" if lang == "zh" else "Warnings"
    few = ("--map", "place=city % 6", "--cluster", "place")
    for arguments in (
        ("match", folder / "people.csv", *MATCH[:6], "--without-replacement", "--neighbours", "2"),
        ("mediate", folder / "panel.csv", *MEDIATE[:8], *few, "--mediator", "bad", "--draws", "20"),
        ("discontinuity", folder / "line.csv", *LINE[:6], "--bandwidth", "40"),
    ):
        done = run(*arguments, "--lang", lang)
        assert done.exit_code == 1, done.output
        assert heading in done.output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("match", "people.csv", *MATCH[:4]), "no_covariates"),
        (("match", "people.csv", *MATCH[:6], "--caliper", "wide"), "bad_number"),
        (("match", "people.csv", *MATCH[:6], "--unit", "sex"), "--unit and --time go together"),
        (("match", "people.csv", *MATCH[:6], "--base", "2014"), "need --unit and --time"),
        (("match", "panel.csv", *DID, "--covariates", "old", "--method", "weights"), "only nearest neighbours"),
        (("mediate", "panel.csv", *MEDIATE, "--outcome-model", "probit"), "bad_model"),
        (("discontinuity", "line.csv", *LINE[:6], "--bandwidth", "wide"), "bad_bandwidth"),
        (("discontinuity", "line.csv", *LINE, "--treatment", "nobody"), "nobody"),
    ],
    ids=str,
)
def test_misuse_ends_with_two_and_no_traceback(folder: Path, arguments: tuple[str, ...], code: str) -> None:
    done = run(arguments[0], folder / arguments[1], *arguments[2:])
    assert done.exit_code == 2 or getattr(done.exception, "code", "") == code, done.output
    assert code in done.output + str(getattr(done.exception, "code", "")) + str(done.exception)


def test_units_are_matched_before_and_compared_before_and_after(folder: Path, tmp_path: Path) -> None:
    done = run("match", folder / "panel.csv", *DID, "--covariates", "old", "--format", "json")
    assert done.exit_code in (0, 1), done.output
    told = json.loads(done.output)
    assert [row["model"] for row in told["estimates"]] == ["matched_did", "twfe"]
    assert {"balance", "score"} <= set(told["tables"])


def test_results_are_written_and_drawn(folder: Path, tmp_path: Path) -> None:
    for method, table, asked in (
        ("match", "people.csv", MATCH), ("mediate", "panel.csv", MEDIATE), ("discontinuity", "line.csv", LINE)
    ):  # fmt: skip
        out, figure = tmp_path / f"{method}.xlsx", tmp_path / f"{method}.svg"
        done = run(method, folder / table, *asked, "--out", out, "--figure", figure, "--lang", "zh")
        assert done.exit_code == 0, done.output
        assert out.stat().st_size > 0
        assert figure.read_text(encoding="utf-8").startswith("<svg")
