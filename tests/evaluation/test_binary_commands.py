"""`medfloor evaluate binary` and `quantile`: exit codes, files, both languages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(5)
    home = np.repeat(np.arange(100), 3)
    covered = rng.integers(0, 2, 300)
    ill = (rng.random(300) < 0.4 - 0.1 * covered).astype(int)
    path = tmp_path_factory.mktemp("panel") / "panel.csv"
    frame = pl.DataFrame(
        {"home": home, "wave": np.tile([1, 2, 3], 100), "ill": ill, "covered": covered, "city": home // 2,
         "sex": [("f", "m")[i % 2] for i in range(300)], "oop": rng.lognormal(5, 1, 300)}
    )  # fmt: skip
    frame.write_csv(path)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(program, ["evaluate", *map(str, arguments)])


BINARY = ("--outcome", "ill", "--treatment", "covered", "--unit", "home", "--time", "wave", "--cluster", "city")
QUANTILE = ("--outcome", "oop", "--treatment", "covered", "--quantiles", "0.5", "--cluster", "city")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_sound_table_ends_with_zero_in_both_languages(table: Path, lang: str) -> None:
    done = run("binary", table, *BINARY, "--model", "cre-logit", "--ame", "--covariates", "i.sex", "--lang", lang)
    assert done.exit_code == 0, done.output
    assert ("平均边际效应" if lang == "zh" else "average marginal effect") in done.output
    done = run("quantile", table, *QUANTILE, "--lang", lang)
    assert done.exit_code == 0, done.output
    assert ("分位数回归" if lang == "zh" else "Quantile regression") in done.output


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_warned_of_ends_with_one(table: Path, lang: str) -> None:
    few = ("--map", "place=city % 5", "--cluster", "place", "--lang", lang)
    done = run("binary", table, *BINARY[:4], *few)
    assert done.exit_code == 1, done.output
    assert ("警告" if lang == "zh" else "Warnings") in done.output
    assert run("quantile", table, *QUANTILE[:6], *few).exit_code == 1


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_misuse_is_an_error_of_ours(table: Path, lang: str) -> None:
    for arguments, code in (
        (("binary", table, *BINARY[:4], "--model", "conditional-logit"), "no_unit"),
        (("binary", table, "--outcome", "oop", "--treatment", "covered"), "not_binary"),
        (("binary", table, *BINARY[:4], "--cluster", "city,home"), "bad_errors"),
        (("quantile", table, *QUANTILE[:4], "--quantiles", "half"), "bad_quantile"),
        (("quantile", table, "--outcome", "nothing", "--treatment", "covered"), "missing_column"),
    ):
        done = run(*arguments, "--lang", lang)
        assert done.exit_code == 2, done.output
        assert f"error [{code}]" in done.output
    assert run("binary", table).exit_code == 2


def test_files_and_plain_output_hold_the_fit(table: Path, tmp_path: Path) -> None:
    done = run(
        "binary", table, *BINARY, "--format", "json", "--out", tmp_path / "fit.xlsx", "--figure", tmp_path / "fit.svg"
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["method"] == "binary"
    assert (tmp_path / "fit.xlsx").read_bytes()[:2] == b"PK"
    assert (tmp_path / "fit.svg").stat().st_size > 1_000
    done = run("quantile", table, *QUANTILE, "--format", "csv", "--out", tmp_path / "fit.md")
    assert done.stdout.startswith("model,outcome,term")


def test_an_ending_that_cannot_be_written_is_refused_before_any_work(table: Path, tmp_path: Path) -> None:
    done = run("binary", table, *BINARY, "--out", tmp_path / "fit.doc")
    assert done.exit_code == 2
    assert "error [unknown_format]" in done.output
