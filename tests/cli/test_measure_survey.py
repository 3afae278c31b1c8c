"""The command `medfloor measure survey`. The table here is made up."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.measures import Design, survey

HOMES = "id,stratum,village,w,paid,cost,insured,residence,r1,r2\n" + "".join(
    f"{i},{'ab'[i % 2]},v{i % 8},{1 + i % 3},{10 * i + (i * i) % 7},{20 * i + 5},{i % 4 // 3},"
    f"{'urban' if i % 5 < 2 else 'rural'},{2 * (i % 2)},{2 - 2 * (i % 2)}\n"
    for i in range(1, 81)
)
DESIGN = "--weight w --psu village"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "homes.csv").write_text(HOMES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(asked: str) -> Result:
    return CliRunner().invoke(program, ["measure", "survey", *shlex.split(asked)])


def rows(done: Result) -> pl.DataFrame:
    assert done.exit_code == 0, done.stderr
    return pl.DataFrame(json.loads(done.stdout)["estimates"], infer_schema_length=None)


def test_the_command_says_what_the_function_finds() -> None:
    found = rows(measure(f"homes.csv --value paid --value cost {DESIGN} --by residence --against rural --format json"))
    frame = pl.read_csv("homes.csv")
    expected = survey.mean(
        frame,
        value=["paid", "cost"],
        by="residence",
        against="rural",
        design=Design(weight="w", strata="stratum", psu="village"),
    ).rows
    assert found["estimate"].to_list() == pytest.approx(expected["estimate"].to_list())
    assert found["se"].to_list() == pytest.approx(expected["se"].to_list())


@pytest.mark.parametrize(
    ("asked", "estimate"),
    [
        ("--estimate total --value paid", "total"),
        ("--estimate ratio --value paid --over cost", "ratio"),
        ("--estimate proportion --value insured --interval beta", "proportion"),
        ("--estimate proportion --value residence --category urban", "proportion"),
        ("--estimate quantile --value paid --probabilities 50%,0.9 --rule midpoint", "quantile"),
        ("--estimate crosstab --rows residence --columns insured --share row", "share_of_row"),
        ("--estimate design --by stratum", "rows"),
    ],
)
def test_every_estimate_has_its_command(asked: str, estimate: str) -> None:
    assert rows(measure(f"homes.csv {asked} {DESIGN} --format json"))["statistic"][0] == estimate


def test_a_share_of_0_and_1_is_one_number_and_of_words_one_a_category() -> None:
    assert rows(measure(f"homes.csv --estimate proportion --value insured {DESIGN} --format json")).height == 1
    assert rows(measure(f"homes.csv --estimate proportion --value residence {DESIGN} --format json")).height == 2


def test_an_expression_is_a_column_of_the_mapping() -> None:
    done = measure(f"homes.csv --value share --map share=paid/cost {DESIGN} --format json")
    frame = pl.read_csv("homes.csv")
    mean = (frame["paid"] / frame["cost"] * frame["w"]).sum() / frame["w"].sum()
    assert rows(done)["estimate"].item() == pytest.approx(mean)


def test_the_surveys_own_replicate_weights_and_degrees_are_used() -> None:
    options = "--weight w --method replicates --replicate-weights r1,r2 --kind brr --degrees 1"
    found = rows(measure(f"homes.csv --value paid {options} --format json"))
    assert found["df"].item() == 1 and found["se"].item() > 0


def test_the_bootstrap_takes_percentiles() -> None:
    options = "--method bootstrap --replicates 30 --bootstrap-interval percentile"
    done = measure(f"homes.csv --value paid {DESIGN} {options}")
    assert done.exit_code == 0 and "percentiles" in done.stdout


def test_it_answers_in_chinese() -> None:
    done = measure(f"homes.csv --estimate quantile --value paid {DESIGN} --by residence --lang zh")
    assert done.exit_code == 0, done.stderr
    for words in ("分位数", "标准误", "按城乡", "城镇", "农村", "层"):
        assert words in done.stdout


def test_rows_that_cannot_be_read_end_with_1_and_are_kept(here: Path) -> None:
    (here / "bad.csv").write_text(HOMES.replace("\n3,b,v3,1,", "\n3,b,v3,1,x", 1), encoding="utf-8")
    done = measure(f"bad.csv --value paid {DESIGN}")
    assert done.exit_code == 1 and "Mean" in done.stdout
    assert pl.read_csv(here / "bad.rejects.csv").height == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("homes.csv", "needs --value COLUMN"),
        ("homes.csv --estimate ratio --value paid", "needs --over COLUMN"),
        ("homes.csv --estimate ratio --value paid --value cost --over cost", "needs --value COLUMN, once"),
        ("homes.csv --estimate crosstab --rows residence", "--rows COLUMN and --columns COLUMN"),
        ("homes.csv --estimate crosstab --rows residence --columns insured --by w", "has no --by"),
        ("homes.csv --estimate design --against a", "has no --against"),
        ("homes.csv --value payd", "paid"),
        ("homes.csv --value paid --by residence --against town", "no group 'town'"),
        ("homes.csv --estimate quantile --value paid --probabilities 2", "between 0 and 1"),
        ("homes.csv --value paid --fpc2 w", "needs psu"),
        ("nowhere.csv --value paid", "nowhere.csv"),
    ],
)
def test_misuse_ends_with_2_and_a_sentence(asked: str, said: str) -> None:
    done = measure(asked)
    assert done.exit_code == 2 and said in done.stderr, done.stderr


def test_a_column_of_text_is_no_number_and_the_first_refused_row_says_so() -> None:
    done = measure("homes.csv --value residence")
    assert done.exit_code == 2
    assert "all 80 rows were refused, the first because residence is 'urban'" in done.stderr


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("--value paid --interval beta", "--interval is for --estimate proportion, not mean"),
        ("--estimate design --value paid", "--value is for --estimate mean or total"),
        ("--value paid --probabilities 0.5", "--probabilities is for --estimate quantile"),
    ],
)
def test_an_option_that_the_estimate_takes_no_notice_of_is_misuse(asked: str, said: str) -> None:
    done = measure(f"homes.csv {asked}")
    assert done.exit_code == 2
    assert said in done.stderr
