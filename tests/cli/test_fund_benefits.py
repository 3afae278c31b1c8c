"""`medfloor fund adjust` and `medfloor fund price`: exit codes, files, both languages."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.fund.steps import _FILE

QUICK = "fund adjust --paths 50 --years 3"


def call(asked: str) -> Result:
    return CliRunner().invoke(program, shlex.split(asked))


def test_three_years_of_the_nation_end_well() -> None:
    done = call(QUICK)
    assert done.exit_code == 0, done.output
    assert "a person decides and signs" in done.output
    assert "Open and closed loop" in done.output


def test_an_empty_fund_in_spite_of_the_table_is_a_finding() -> None:
    done = call("fund adjust --paths 50 --years 20 --lang zh")
    assert done.exit_code == 1, done.output
    assert "由负责人决定并签署" in done.output


def test_a_folder_gets_everything_and_its_record_is_signed_once(tmp_path: Path) -> None:
    out = tmp_path / "result"
    done = call(f"{QUICK} --out {out} --lang zh")
    assert done.exit_code == 0, done.output
    for name in ("page.html", "page.md", "adjustment.json", "adjustment.xlsx", "decision.json", "years.csv",
                 "benefits.parquet", "law.csv", "loops.svg", "benefits.svg"):  # fmt: skip
        assert (out / name).stat().st_size > 100, name
    assert "步骤表" in (out / "page.md").read_text(encoding="utf-8")
    signed = tmp_path / "signed.json"
    ask = f"fund adjust --sign {out / 'decision.json'} --by Li --on 2025-12-01 --out {signed}"
    assert call(ask).exit_code == 0
    assert json.loads(signed.read_text(encoding="utf-8"))["signature"]["by"] == "Li"
    for wrong, code in (
        (ask.replace("2025-12-01", "tomorrow"), "bad_day"),
        (ask.replace("--by Li", ""), "needs_signature"),
        (f"fund adjust --sign {signed} --by Li --on 2025-12-01 --out {tmp_path / 'again.json'}", "record_signed"),
        (f"fund adjust --sign {out / 'page.md'} --by Li --on 2025-12-01 --out {tmp_path / 'a.json'}", "bad_record"),
        ("fund adjust --by Li", "needs_sign"),
    ):
        done = call(wrong)
        assert (done.exit_code, code in done.output) == (2, True), done.output


def test_the_printed_table_is_the_shipped_one_and_runs_as_ones_own(tmp_path: Path) -> None:
    printed = call("fund adjust --print-rules")
    assert printed.exit_code == 0
    assert printed.output == _FILE.read_text(encoding="utf-8")
    mine = tmp_path / "steps.toml"
    mine.write_text(printed.output.replace("line = 6", "line = 5"), encoding="utf-8")
    assert call(f"{QUICK} --rules {mine} --start ratio=75 --out {tmp_path / 'fan.png'}").exit_code == 0
    assert (tmp_path / "fan.png").read_bytes().startswith(b"\x89PNG")
    mine.write_text(printed.output.replace("bound = 80", "bound = 10"), encoding="utf-8")
    done = call(f"{QUICK} --rules {mine}")
    assert done.exit_code == 2
    assert "steps.toml" in done.output


@pytest.mark.parametrize(
    "wrong",
    ["--start ratio=-1", "--start ratio", "--rules nowhere.toml", "--years 0", "--set growth.nothing=1",
     "--place nowhere.toml", "--out result.doc"],
)  # fmt: skip
def test_what_cannot_be_adjusted_is_one_line_of_error(wrong: str) -> None:
    done = call(f"{QUICK} {wrong}")
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_the_product_of_the_seed_runs_without_argument() -> None:
    done = call("fund price")
    assert done.exit_code == 0, done.output
    assert "Paying a premium of 168 yuan a year" in done.output


def test_a_premium_that_is_too_low_is_a_finding_and_everything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "price"
    done = call(f"fund price --premium 50 --history reduced --out {out} --out {tmp_path / 'p.xlsx'} --lang zh")
    assert done.exit_code == 1, done.output
    assert "低于盈亏平衡保费" in done.output
    for name in ("page.html", "page.md", "price.json", "price.xlsx", "figures.csv", "classes.parquet", "variants.csv",
                 "years.csv", "parameters.csv", "break_even.svg", "premiums.svg"):  # fmt: skip
        assert (out / name).stat().st_size > 100, name
    assert pl.read_parquet(out / "classes.parquet").height == 12
    assert (tmp_path / "p.xlsx").read_bytes().startswith(b"PK")


def test_a_population_is_priced_from_its_settlements(tmp_path: Path) -> None:
    county = tmp_path / "county"
    assert call(f"synthesise --people 1200 --seed 4 --unsettled --out {county}").exit_code in (0, 1)
    done = call(f"fund price --population {county} --draws 100 --out {tmp_path / 'p.json'}")
    assert done.exit_code in (0, 1), done.output
    plain = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert plain["losses_from"] == "population"
    assert plain["synthetic"]
    assert plain["figures"]["estimate_low"] <= plain["figures"]["loss_ratio"] <= plain["figures"]["estimate_high"]


@pytest.mark.parametrize(
    "wrong",
    ["--premium 0", "--cap -1", "--set market.take_up=200", "--set nothing=1", "--policy cn/beijing", "--years 0",
     "--population nowhere", "--out result.doc", "--set people.old=90"],
)  # fmt: skip
def test_what_cannot_be_priced_is_one_line_of_error(wrong: str) -> None:
    done = call(f"fund price {wrong}")
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_parameters_are_listed_with_their_trust_in_both_languages() -> None:
    assert "seed document" in call("fund price --parameters").output
    assert "假设" in call("fund price --parameters --lang zh").output


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ("fund adjust --seed -1", "bad_seed", "from 0"),
        ("fund price --seed -1", "bad_seed", "from 0"),
        ("fund adjust --start ratio=101", "bad_step_table", "give at most 80"),
        ("fund adjust --start diseases=2.5", "bad_step_table", "whole number"),
        ("fund adjust --start ratio", "bad_parameter", "write ratio=75"),
        ("fund adjust --policy cn/beijing", "needs_population", "--population DIR"),
        ("fund adjust --place x.toml --population y", "needs_no_population", "not both"),
        ("fund adjust --population nowhere", "no_population", "synthesise"),
    ],
)
def test_a_refusal_names_the_next_step(asked: str, code: str, told: str) -> None:
    done = call(asked)
    assert (done.exit_code, f"[{code}]" in done.output, told in done.output) == (2, True, True), done.output


@pytest.mark.parametrize("name", ["county", "national"])
def test_a_population_is_adjusted_from_where_it_stands(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    call(f"synthesise --people 2000 --seed 1 --unsettled --out {folder}")
    out = tmp_path / "out"
    done = call(f"{QUICK} --population {folder} --start ratio=75 --start diseases=8 --set reserve.start=2 --out {out}")
    assert done.exit_code in (0, 1), done.output
    assert "The place has no series of its own" in done.output
    decided = json.loads((out / "decision.json").read_text(encoding="utf-8"))["proposal"]
    assert (decided["seen"]["months"], decided["seen"]["margin"], decided["row"]) == (2.0, None, "alarm")
    assert (decided["before"], decided["after"]["diseases"]) == ({"ratio": 75, "deductible": 50, "diseases": 8}, 6)
    assert len(decided["listed"]["diseases"]["after"]) == 6
    lists = pl.read_csv(out / "lists.csv")
    assert lists.filter(pl.col("year") == lists["year"].min())["covered"].to_list() == [1.0] * 6 + [0.0] * 8


def test_chinese_steps_name_benefits_units_and_law_in_chinese() -> None:
    said = call(f"{QUICK} --lang zh").output
    for wrong in (" yuan", " count", " percent", "waiting_months", "the place's list"):
        assert wrong not in said
    for right in ("高血压", "门诊慢特病病种数", "1000 元", "大病保险年度封顶线"):
        assert right in said
