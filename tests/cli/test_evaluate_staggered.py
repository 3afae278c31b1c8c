"""The commands `medfloor evaluate staggered`, `event-study`, `bacon`, `placebo`, `fixed-line` and `groups`. All data are made up."""

from __future__ import annotations

import json
import runpy
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "evaluate" / "staggered.py"
PANEL = "staggered.csv --unit household_id --time wave --cluster city"
START = f"{PANEL} --start start_wave"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    return (folder / "staggered.csv").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "staggered.csv").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(asked: str) -> Result:
    return CliRunner().invoke(program, ["evaluate", *shlex.split(asked)])


COMMANDS = {
    "staggered": f"staggered {START} --outcome ln_income",
    "event-study": f"event-study {START} --outcome ln_income --no-sensitivity",
    "bacon": f"bacon {START} --outcome ln_income",
    "placebo": f"placebo {START} --outcome ln_income --permutations 99 --seed 1",
    "fixed-line": f"fixed-line {START} --income income --line-weight size --by urban",
    "groups": f"groups {PANEL} --outcome ln_income --treatment covered --by urban",
}
ENDS = {"staggered": 1, "event-study": 0, "bacon": 1, "placebo": 0, "fixed-line": 1, "groups": 0}
"""What each ends with on this panel: its effect grows, so that checks of two-way fixed effects find something."""


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(("lang", "head"), [("en", "What this does not show:"), ("zh", "结果不能说明什么：")])
def test_a_command_tells_what_it_found_and_what_not(name: str, lang: str, head: str) -> None:
    done = evaluate(f"{COMMANDS[name]} --lang {lang}")
    assert done.exit_code == ENDS[name], done.output
    assert head in done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_writes_json_and_its_figure(name: str) -> None:
    done = evaluate(f"{COMMANDS[name]} --format json --figure figure.svg --out found.csv")
    assert done.exit_code == ENDS[name], done.output
    assert json.loads(done.stdout)["method"] == name
    assert "<svg" in Path("figure.svg").read_text(encoding="utf-8")
    assert Path("found.csv").stat().st_size > 100


def test_how_effects_are_told_apart_is_chosen() -> None:
    done = evaluate(f"{COMMANDS['staggered']} --by cohort,cells --format json --estimators callaway_santanna")
    told = json.loads(done.stdout)
    assert {row["term"] for row in told["estimates"]} == {"att", "cohort", "cohort_mean"}
    assert "cells" in told["tables"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (f"staggered {START} --outcome ln_income --estimators magic", "unknown_estimator"),
        (f"staggered {START} --outcome wealth", "missing_column"),
        (f"staggered {PANEL},province --start start_wave --outcome ln_income", "one_column"),
        (f"event-study {START} --outcome ln_income --window -3", "bad_window"),
        (f"event-study {START} --outcome ln_income --window a,b", "bad_window"),
        (f"placebo {START} --outcome ln_income --seed -1", "bad_seed"),
        (f"fixed-line {START} --income income --base 2011", "no_such_wave"),
        (f"groups {PANEL},province --outcome ln_income --treatment covered --by urban", "one_column"),
        (f"groups {PANEL} --outcome ln_income --treatment covered --by wave", "one_level"),
        (f"bacon {START} --outcome ln_income --winsorise 99,1", "bad_number"),
    ],
)  # fmt: skip
def test_misuse_ends_with_two_and_a_code(asked: str, code: str) -> None:
    done = evaluate(asked)
    assert done.exit_code == 2
    assert f"error [{code}]" in done.stderr


def test_help_does_not_load_estimators() -> None:
    import subprocess
    import sys

    program_text = (
        "import sys; from medfloor.cli.main import program; from click.testing import CliRunner;"
        "done = CliRunner().invoke(program, ['evaluate', 'staggered', '--help']); assert done.exit_code == 0;"
        "print([one for one in ('pandas', 'pyfixest', 'diff_diff', 'polars', 'numpy') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program_text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
