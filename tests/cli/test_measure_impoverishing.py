"""The commands `medfloor measure impoverishing` and `medfloor measure by-tier`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

HOMES = """household_id,med,totexp,hhsize,residence,pline
a,0,8000,2,urban,5000
b,3000,12000,2,rural,5000
c,900,9000,2,rural,5000
d,2000,50000,1,urban,5000
e,100,7000,1,urban,5000
"""
MAP = "--map oop=med,consumption=totexp,size=hhsize"
SETTLED = """claim_id,person_id,benefit_year,total,pay_basic,pay_assistance,pay_total,own_total
1,p1,2024,3000.00,1800.00,600.00,2400.00,600.00
2,p2,2024,5000.00,2500.00,0.00,2500.00,2500.00
3,p9,2024,100.00,50.00,0.00,50.00,50.00
"""
PEOPLE = "person_id,household_id\np1,b\np2,e\np9,z\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("homes", HOMES), ("settled", SETTLED), ("people", PEOPLE)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(asked: str) -> Result:
    return CliRunner().invoke(program, ["measure", *shlex.split(asked)])


def estimates(done: Result) -> dict[tuple[object, ...], float | None]:
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    return {
        (one["statistic"], one.get("line"), one.get("tier"), one.get("of")): one["estimate"]
        for one in told["estimates"]
    }


def test_people_are_counted_before_and_after_payments() -> None:
    found = estimates(measure(f"impoverishing homes.csv {MAP} --line 5000 --line pline --format json"))
    # Eight people; a and c are poor before (four people), b after.
    assert found["gross_headcount", "5000", None, None] == pytest.approx(4 / 8)
    assert found["impoverished", "pline", None, None] == pytest.approx(2 / 8)


def test_a_published_line_is_named_with_its_year() -> None:
    done = measure(f"impoverishing homes.csv {MAP} --line cn-2010 --line wb-2.15 --year 2015 --ppp 3.9 --lang zh")
    assert done.exit_code == 0, done.stderr
    for words in ("cn-2010@2015", "wb-2.15", "2015 年价格", "官方文本", "因病致贫"):
        assert words in done.stdout


def test_the_published_lines_are_listed() -> None:
    done = measure("impoverishing --list-lines")
    assert done.exit_code == 0, done.stderr
    assert "cn-2010@2014" in done.stdout
    assert "unverified" in done.stdout


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (f"homes.csv {MAP}", "--line"),
        ("--line 5000", "TABLE"),
        (f"homes.csv {MAP} --line nothing", "nothing"),
        (f"homes.csv {MAP} --line cn-2010", "no_such_year"),
        (f"homes.csv {MAP} --line wb-2.15", "no_ppp"),
        ("homes.csv --line 5000", "missing_column"),
        (f"homes.csv {MAP} --line median:0.6 --bandwidth wide", "bad_bandwidth"),
    ],
)
def test_a_question_without_an_answer_ends_with_2(asked: str, says: str) -> None:
    done = measure(f"impoverishing {asked}")
    assert done.exit_code == 2
    assert says in done.stderr


def test_rows_that_cannot_be_read_are_kept_apart(folder: Path) -> None:
    (folder / "homes.csv").write_text(HOMES + "f,n/a?,100,1,urban,5000\n", encoding="utf-8")
    done = measure(f"impoverishing homes.csv {MAP} --line 5000")
    assert done.exit_code == 1
    assert (folder / "homes.rejects.csv").is_file()


def test_the_parade_is_drawn(folder: Path) -> None:
    done = measure(f"impoverishing homes.csv {MAP} --line 5000 --figure parade.json")
    assert done.exit_code == 0, done.stderr
    assert "poverty line" in (folder / "parade.json").read_text(encoding="utf-8")


TIERS = "by-tier homes.csv --map consumption=totexp,size=hhsize --settlements settled.csv --people people.csv"


def test_each_tier_takes_something_off() -> None:
    found = estimates(measure(f"{TIERS} --unknown leave_out --thresholds 20% --format json"))
    assert [found["headcount", None, tier, None] for tier in ("before", "basic", "assistance")] == pytest.approx(
        [0.4, 0.2, 0.2]
    )
    assert found["step_change", None, "basic", "headcount"] == pytest.approx(-0.2)
    # 4,300 yuan paid for five households take one of them off.
    assert found["change_per_10000", None, "basic", "headcount"] == pytest.approx(-1 / 4300 * 10_000)


def test_poverty_by_tier_is_that_of_what_is_left() -> None:
    found = estimates(measure(f"{TIERS} --unknown leave_out --of poverty --line 5000 --format json"))
    net = estimates(measure(f"{TIERS} --unknown leave_out --of impoverishing --line 5000 --format json"))
    for tier in ("before", "basic", "assistance"):
        assert found["headcount", None, tier, None] == pytest.approx(net["net_headcount", "5000", tier, None])
    assert found["change_per_10000", None, "basic", "headcount"] == pytest.approx(
        net["change_per_10000", "5000", "basic", "net_headcount"]
    )
    assert measure(f"{TIERS} --unknown leave_out --of progressivity").exit_code == 0


def test_impoverishment_by_tier_in_chinese_with_a_figure(folder: Path) -> None:
    done = measure(
        f"{TIERS} --unknown leave_out --of impoverishing --line 5000 --tiers basic+assistance --lang zh --figure s.json"
    )
    assert done.exit_code == 0, done.stderr
    for words in ("分保障层次测度", "基本医疗保险", "因病致贫", "未计入的结算"):
        assert words in done.stdout
    assert (folder / "s.json").is_file()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("", "unknown_household"),
        ("--unknown leave_out --year 2020", "no_such_year"),
        ("--unknown leave_out --tiers basic,tilt", "no_such_tier"),
        ("--unknown leave_out --of impoverishing", "no_line"),
        ("--unknown leave_out --of inequality --thresholds 10%", "no_such_option"),
        ("--unknown leave_out --of poverty", "no_line"),
        ("--unknown leave_out --of poverty --line median:0.6", "no_line"),
        ("--unknown leave_out --of progressivity --thresholds 10%", "no_such_option"),
        ("--unknown leave_out --definition who", "missing_column"),
        ("--unknown leave_out --besides chemist", "missing_column"),
    ],
)
def test_a_question_by_tier_without_an_answer_ends_with_2(asked: str, says: str) -> None:
    done = measure(f"{TIERS} {asked}")
    assert done.exit_code == 2
    assert says in done.stderr


def test_settlements_that_cannot_be_read_whole_are_refused(folder: Path) -> None:
    (folder / "settled.csv").write_text(SETTLED.replace("5000.00", "5000 yuan"), encoding="utf-8")
    done = measure(f"{TIERS} --unknown leave_out")
    assert done.exit_code == 2
    assert "bad_rows" in done.stderr


def test_a_region_can_be_its_own_group() -> None:
    done = measure(f"{TIERS} --unknown leave_out --by residence --against rural --format csv")
    assert done.exit_code == 0, done.stderr
    assert "rural" in done.stdout
