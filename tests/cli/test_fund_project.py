"""`medfloor fund project`: exit codes, files, both languages."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

QUICK = "fund project --paths 200 --years 5 --no-tornado"


def call(asked: str) -> Result:
    return CliRunner().invoke(program, shlex.split(asked))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("county") / "county"
    done = call(f"synthesise --people 1500 --seed 4 --unsettled --out {place}")
    assert done.exit_code == 0, done.output
    return place


def test_the_nation_runs_without_argument_and_is_found_to_run_empty() -> None:
    done = call("fund project")
    assert done.exit_code == 1, done.output
    assert "On the trend the basic fund is empty in" in done.output
    assert "What the months of payment at the end of 2045 hang on" in done.output


def test_within_five_years_nothing_is_found() -> None:
    assert call(QUICK).exit_code == 0


def test_a_folder_gets_the_page_the_tables_and_the_figures(tmp_path: Path) -> None:
    out = tmp_path / "result"
    done = call(f"fund project --paths 100 --years 5 --backtest --out {out} --lang zh")
    assert done.exit_code == 0, done.output
    for name in ("page.html", "page.md", "projection.json", "projection.xlsx", "funds.csv", "funds.parquet",
                 "parameters.csv", "backtest.csv", "tornado.csv", "fan.svg", "tornado.svg", "backtest.svg"):  # fmt: skip
        assert (out / name).stat().st_size > 100, name
    plain = json.loads((out / "projection.json").read_text(encoding="utf-8"))
    others = ("critical_illness", "assistance", "commercial")
    assert set(plain) == {"outlook", "backtest", "tornado", *(f"tornado_{fund}" for fund in others)}
    for fund in others:
        assert (out / f"fan_{fund}.svg").stat().st_size > 100
        assert (out / f"tornado_{fund}.svg").stat().st_size > 100
    assert all(one["trust"] and one["source"] for one in plain["outlook"]["parameters"])
    assert "居民基本医保基金" in (out / "page.md").read_text(encoding="utf-8")
    assert "假设" in (out / "page.html").read_text(encoding="utf-8")
    assert pl.read_parquet(out / "funds.parquet").height == 4 * 10 * 5


def test_a_file_is_written_by_its_ending(tmp_path: Path) -> None:
    files = [tmp_path / f"fan{ending}" for ending in (".png", ".csv", ".xlsx", ".html")]
    assert call(f"{QUICK} {' '.join(f'--out {file}' for file in files)}").exit_code == 0
    assert files[0].read_bytes().startswith(b"\x89PNG")
    assert files[2].read_bytes().startswith(b"PK")


def test_the_same_call_writes_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.xlsx", "b.xlsx", "a.json", "b.json", "a.svg", "b.svg")]
    for file in files:
        assert call(f"{QUICK} --out {file}").exit_code == 0
    for one, other in zip(files[::2], files[1::2], strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_reform_is_held_against_the_law_as_it_is(folder: Path, tmp_path: Path) -> None:
    reform = tmp_path / "generous.yaml"
    reform.write_text("change:\n  tiers/basic/parts/stay/brackets/only/rate: {plus: 5}\n", encoding="utf-8")
    done = call(f"{QUICK} --population {folder} --reform {reform} --set reserve.start=12")
    assert done.exit_code in (0, 1), done.output
    assert "What generous changes" in done.output
    first = next(line for line in done.output.splitlines() if line.startswith("basic fund  ") and "outgo  " in line)
    assert first.split()[-1] != "0.0"


def test_the_parameters_are_listed_with_trust() -> None:
    done = call("fund project --parameters --lang zh --set growth.long_run=3")
    assert done.exit_code == 0
    line = next(one for one in done.output.splitlines() if one.startswith("growth.long_run"))
    assert "用户给定" in line


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("--set growth.fade=0", "bad_parameter"),
        ("--set growth", "bad_parameter"),
        ("--set growth.nothing=1", "no_such_parameter"),
        ("--set fiscal.county=90", "fiscal_split"),
        ("--lines 3,-1", "bad_lines"),
        ("--years 0", "bad_horizon"),
        ("--paths 0", "bad_horizon"),
        ("--policy cn/beijing", "needs_population"),
        ("--reform a.yaml", "needs_population"),
        ("--place nothing.toml", "file_not_found"),
        ("--population nothing", "no_population"),
        ("--population nothing --backtest", "needs_no_population"),
        ("--out page.docx", "unknown_format"),
        ("--cells cells.xlsx", "unknown_format"),
        ("--seed -1", "bad_seed"),
        ("--people nothing.csv", "file_not_found"),
    ],
)
def test_misuse_ends_with_two_and_says_what_to_do(asked: str, code: str) -> None:
    done = call(f"fund project {asked}")
    assert done.exit_code == 2, done.output
    assert f"error [{code}]" in done.output


def test_cells_are_written_by_age_sex_residence_and_status(tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    assert call(f"{QUICK} --cells {file}").exit_code == 0
    frame = pl.read_csv(file)
    assert set(frame["year"].unique()) == {2025, 2030}
    assert {"age", "sex", "residence", "status", "use", "cost", "ratio_basic", "pay_assistance"} <= set(frame.columns)


def test_other_funds_are_shown_when_they_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "fan.svg"
    done = call(f"fund project --paths 50 --years 3 --fund commercial --fund assistance --out {file}")
    assert done.exit_code == 0, done.output
    assert "Commercial product, on the trend" in done.output
    assert "What the months of payment of the medical assistance at the end of 2028" in done.output
    assert "Basic fund, on the trend" not in done.output
    assert "commercial product" in file.read_text(encoding="utf-8")


def test_the_output_says_how_the_commercial_fund_was_priced_and_the_price_says_the_same() -> None:
    done = call(f"{QUICK} --set commercial.poor_paid=100")
    said = next(line for line in done.output.splitlines() if "`medfloor fund price" in line)
    command = said.split("`")[3].removeprefix("medfloor ")
    priced = call(f"{command} --draws 10")
    ratio = next(line.split()[-1] for line in priced.output.splitlines() if line.startswith("loss ratio  "))
    assert f"{ratio} of the premium is paid out" in said


def test_a_populations_commercial_fund_is_priced_for_it(folder: Path) -> None:
    done = call(f"{QUICK} --population {folder}")
    said = next(line for line in done.output.splitlines() if "priced for what the members of this population" in line)
    priced = call(f"{said.split('`')[3].removeprefix('medfloor ')} --draws 10 --population {folder}")
    ratio = next(line.split()[-1] for line in priced.output.splitlines() if line.startswith("loss ratio  "))
    assert f"{ratio} of the premium is paid out" in said


def test_help_of_the_fund_loads_no_numerics() -> None:
    import subprocess
    import sys

    for asked in ("fund --help", "fund project --help"):
        code = (
            "import sys\nfrom medfloor.cli.main import program\n"
            f"try:\n    program({shlex.split(asked)!r})\nexcept SystemExit:\n    pass\n"
            "print([one for one in ('scipy', 'numpy', 'polars') if one in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_population_without_a_policy_asks_for_one(folder: Path, tmp_path: Path) -> None:
    for name in ("claims", "people"):
        (tmp_path / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    done = call(f"fund project --population {tmp_path}")
    assert done.exit_code == 2
    assert "error [no_policy]" in done.output


def test_a_mistyped_command_gets_the_nearest() -> None:
    done = call("fund projekt")
    assert done.exit_code == 2
    assert "project" in done.output
