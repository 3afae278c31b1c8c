"""`medfloor measure burden`, `reimbursement` and `consistency` on small files."""

from __future__ import annotations

import json
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.measure import command

Shell = Callable[[str, Path], "subprocess.CompletedProcess[str]"]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CASES = """claim_id,total,pay_basic,pay_assistance,pay_total,income,ward
1,100,60,0,60,200,a
2,100,80,0,80,50,a
3,400,100,260,360,500,b
4,1000,300,500,800,800,b
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments])


def told(*arguments: str | Path) -> dict[str, object]:
    found = run(*arguments, "--format", "json")
    assert found.exit_code == 0, found.output
    read: dict[str, object] = json.loads(found.stdout)
    return read


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.csv"
    path.write_text(CASES, encoding="utf-8")
    return path


# burden


def test_burden_takes_the_payments_of_the_table_in_their_order(cases: Path) -> None:
    found = told("burden", cases, "--reference", "mean")
    tiers = [row["tier"] for row in found["estimates"] if row["statistic"] == "burden_reduction"]  # type: ignore[attr-defined]
    assert tiers == ["basic", "assistance"]
    assert found["special"] == {"missing": 0, "no_cost": 0}


def test_burden_without_a_reference_names_the_choices(cases: Path) -> None:
    found = run("burden", cases)
    assert found.exit_code != 0 and getattr(found.exception, "code", None) == "no_reference"


@pytest.mark.parametrize("reference", ["median", "250", "income"])
def test_burden_takes_a_word_a_number_or_a_column(cases: Path, reference: str) -> None:
    found = told("burden", cases, "--reference", reference)
    assert reference in str(found["line"]).replace(",", "")


def test_burden_shows_a_part_when_asked(cases: Path) -> None:
    found = told("burden", cases, "--reference", "income", "--show", "cross", "--by", "ward")
    assert {row["statistic"] for row in found["estimates"]} <= {  # type: ignore[attr-defined]
        "cross_cases",
        "cross_share",
        "odds_ratio",
        "pearson_chi2",
        "rao_scott_f",
    }
    summary = told("burden", cases, "--reference", "income", "--show", "summary")
    assert "cross_cases" not in str(summary) and "safe_share" in str(summary)


def test_burden_maps_columns_and_takes_the_edge_open(cases: Path) -> None:
    mapped = cases.with_name("mapped.csv")
    mapped.write_text(cases.read_text().replace("pay_basic", "tongchou").replace("pay_assistance", "jiuzhu"))
    found = told(
        "burden", mapped, "--map", "pay_basic=tongchou,pay_assistance=jiuzhu", "--reference", "mean", "--safe-open"
    )
    assert found["sign"] == ">"
    safe = [row["estimate"] for row in found["estimates"] if row["statistic"] == "safe_share"]  # type: ignore[attr-defined]
    assert safe == [0.0, 0.25]


def test_burden_ends_with_one_where_a_row_cannot_be_read(cases: Path) -> None:
    cases.write_text(CASES + "5,many,0,0,0,1,a\n", encoding="utf-8")
    found = run("burden", cases, "--reference", "mean", "--lang", "zh")
    assert found.exit_code == 1
    assert "减负指数" in found.stdout and "5 行中有 1 行无法读取" in found.stderr
    assert pl.read_csv(cases.with_suffix(".rejects.csv")).height == 1


# reimbursement


def test_reimbursement_measures_what_the_table_has(tmp_path: Path) -> None:
    path = tmp_path / "stays.csv"
    path.write_text("total,oop,chronic_disease,ward\n100,60,yes,a\n200,100,no,a\n400,100,是,b\n", encoding="utf-8")
    found = told("reimbursement", path, "--by", "ward", "--edges", "50%,75%")
    values = {row["statistic"]: row["estimate"] for row in found["estimates"] if row["by"] is None}  # type: ignore[attr-defined]
    assert values["chronic_disease_prevalence"] == pytest.approx(2 / 3)
    assert values["real_ratio"] == pytest.approx(440 / 700)
    assert "hospitalisation_rate" not in values
    only = told("reimbursement", path, "--part", "own", "--closed", "right", "--percentiles", "0.1")
    assert {row["statistic"] for row in only["estimates"]} == {  # type: ignore[attr-defined]
        "own_mean",
        "own_median",
        "own_percentile",
        "own_minimum",
        "own_maximum",
        "own_zero_share",
    }


def test_the_study_comes_out_of_one_command(tmp_path: Path) -> None:
    path = tmp_path / "seed_004.csv"
    runpy.run_path(str(EXAMPLES / "seed_004.py"))["households"]().write_csv(path)
    found = run("reimbursement", path, "--report", "seed-004", "--lang", "zh", "--out", tmp_path / "out.csv")
    assert found.exit_code == 0, found.output
    for part in ("表1", "图1", "图2", "图3、图4", "表2", "图5", "49,697.89", "25.66 %", "不可能"):
        assert part in found.stdout
    assert len(list(tmp_path.glob("out*.csv"))) == 7
    english = run("reimbursement", path, "--report", "seed-004", "--format", "json")
    assert len(json.loads(english.stdout)) == 7


def test_the_report_names_the_column_that_it_lacks(cases: Path) -> None:
    found = run("reimbursement", cases, "--report", "seed-004")
    assert found.exit_code != 0 and "missing_column" in str(getattr(found.exception, "code", ""))


def test_each_part_of_the_report_is_drawn_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "seed_004.csv"
    runpy.run_path(str(EXAMPLES / "seed_004.py"))["households"]().write_csv(path)
    found = run("reimbursement", path, "--report", "seed-004", "--figure", tmp_path / "study.json")
    assert found.exit_code == 0, found.output
    names = sorted(one.name for one in tmp_path.glob("study*.json"))
    parts = ["figure_1", "figure_2", "figure_5", "figures_3_4", "table_1", "table_2"]
    assert names == [f"study.{part}.json" for part in parts]


# consistency


def test_one_percentage_is_asked_without_a_table() -> None:
    wrong = run("consistency", "--percent", "12.55", "--of", "417")
    assert wrong.exit_code == 1
    assert "52 (12.47)" in wrong.stdout and "53 (12.71)" in wrong.stdout
    right = run("consistency", "--percent", "17.24%", "--of", "696", "--lang", "zh")
    assert right.exit_code == 0
    assert "可能" in right.stdout and "120" in right.stdout


def test_a_table_of_percentages_ends_with_one_if_one_is_impossible(tmp_path: Path) -> None:
    path = tmp_path / "printed.csv"
    path.write_text("what,percent,n\nchronic,40.37,696\nmajor,15.80,696\n", encoding="utf-8")
    assert run("consistency", path, "--map", "label=what").exit_code == 0
    path.write_text("what,percent,n\nchronic,40.37,696\nmajor,12.55,417\n", encoding="utf-8")
    found = run("consistency", path, "--map", "label=what", "--format", "json")
    assert found.exit_code == 1
    rows = json.loads(found.stdout)["estimates"]
    assert [(row["label"], row["verdict"]) for row in rows] == [("chronic", "possible"), ("major", "impossible")]


@pytest.mark.parametrize(
    "arguments", [[], ["--percent", "50"], ["--of", "2"], ["printed.csv", "--percent", "50", "--of", "2"]]
)
def test_a_table_or_a_percentage_is_asked_for(arguments: list[str]) -> None:
    found = run("consistency", *arguments)
    assert getattr(found.exception, "code", None) == "nothing_to_check"


@pytest.mark.parametrize("name", ["burden", "reimbursement", "consistency"])
def test_help_names_every_option_with_an_example(name: str) -> None:
    found = run(name, "--help")
    assert found.exit_code == 0 and "Examples:" in found.stdout
    assert ("--weight" in found.stdout) == (name != "consistency")


def test_the_program_ends_with_two_for_misuse_and_says_what_to_do(cases: Path, shell: Shell) -> None:
    done = shell(f"medfloor measure burden {cases.name}", cases.parent)
    assert done.returncode == 2
    assert "no_reference" in done.stdout and "mean or median" in done.stdout


SETTLED = """claim_id,person_id,total,in_scope,pay_basic,pay_assistance,pay_total,own_total
a,p,100.00,90.00,60.00,20.00,80.00,20.00
b,p,300.00,300.00,200.00,0.00,200.00,100.00
c,p,-300.00,-300.00,-200.00,0.00,-200.00,-100.00
"""
NATIONAL = """mdtrt_id,psn_no,year,medfee_sumamt,inscp_scp_amt,hifp_pay,hifes_pay,maf_pay,fund_pay_sumamt,psn_part_amt
a,p,2024,100.00,90.00,60.00,0.00,20.00,80.00,20.00
b,p,2024,300.00,300.00,200.00,0.00,0.00,200.00,100.00
c,p,2024,-300.00,-300.00,-200.00,0.00,0.00,-200.00,-100.00
"""


def value(read: dict[str, Any], statistic: str, **labels: str) -> float:
    rows = [one for one in read["estimates"] if one["statistic"] == statistic]
    (row,) = [one for one in rows if all(one[name] == text for name, text in labels.items())]
    return float(row["estimate"])


@pytest.mark.parametrize("text", [SETTLED, NATIONAL], ids=["ours", "national"])
def test_settlements_are_taken_as_they_are_and_without_what_was_taken_back(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settled.csv"
    path.write_text(text, encoding="utf-8")
    read: dict[str, Any] = told("burden", path, "--reference", "1000")
    assert value(read, "burden_reduction", tier="assistance") == pytest.approx(0.8)
    assert read["special"]["taken_back"] == 1 and "negative_cost" not in read["special"]
    assert {one["tier"] for one in read["estimates"]} - {None} == {"before", "basic", "assistance"}
    read = told("reimbursement", path)
    assert value(read, "real_ratio") == pytest.approx(0.8)
    assert value(read, "in_scope_ratio") == pytest.approx(80 / 90)


def test_columns_named_as_they_stand_in_the_platforms_table_keep_their_names(tmp_path: Path) -> None:
    path = tmp_path / "settled.csv"
    path.write_text(NATIONAL, encoding="utf-8")
    asked = ["--total", "medfee_sumamt", "--tiers", "hifp_pay,maf_pay", "--reference", "mean"]
    read = told("burden", path, *asked)
    assert value(read, "burden_reduction", tier="maf_pay") == pytest.approx(0.8)


def test_burden_puts_a_tier_on_a_line(cases: Path) -> None:
    done = run("burden", cases, "--reference", "mean", "--show", "summary")
    line = next(one for one in done.stdout.splitlines() if one.startswith("medical assistance"))
    # Of 1,600 yuan 540 are paid by the first tier and 760 by the second.
    assert "81.25 %" in line and "47.50 %" in line
