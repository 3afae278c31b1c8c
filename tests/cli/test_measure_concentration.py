"""The commands `medfloor measure concentration`, `progressivity` and `incidence`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

HOMES = """med,totexp,hhsize,w,village,region,wave,visits,age,sex,premium,paid_back
1,100,2,1,a,east,2018,3,30,f,10,0
5,300,2,2,a,east,2018,1,40,m,10,30
30,200,3,1,b,west,2018,4,70,f,10,20
50,500,4,1,b,west,2018,2,55,m,10,80
12,80,3,1,c,west,2020,0,25,f,20,5
8,160,1,1,c,east,2020,5,64,m,20,9
21,90,4,2,d,west,2020,2,35,m,20,0
2,250,2,1,d,east,2020,1,50,f,20,60
"""
MAP = "--map oop=med,consumption=totexp,size=hhsize,weight=w,psu=village"


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "homes.csv").write_text(HOMES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(asked: str) -> Result:
    return CliRunner().invoke(program, ["measure", *shlex.split(asked)])


def told(asked: str) -> dict[str, object]:
    done = measure(f"{asked} --format json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def statistics(asked: str) -> list[str]:
    estimates = told(asked)["estimates"]
    assert isinstance(estimates, list)
    return list(dict.fromkeys(one["statistic"] for one in estimates))


def test_the_index_is_worked_out_over_consumption_per_head() -> None:
    found = told(f"concentration homes.csv {MAP}")
    assert found["definition"]["en"].count("consumption per head")  # type: ignore[index]
    first = found["estimates"][0]  # type: ignore[index]
    assert (first["statistic"], first["n"], first["weighted_n"]) == ("concentration_index", 8, 10.0)


def test_several_indices_with_ordinates_are_asked_for_at_once() -> None:
    names = statistics(
        f"concentration homes.csv {MAP} --index standard,erreygers,extended --bounds 0,100 --nu 2,3 --achievement --ordinates 4"
    )
    assert names == [
        "concentration_index",
        "erreygers_index",
        "extended_index",
        "achievement",
        "concentration_ordinate",
        "lorenz_ordinate",
    ]


@pytest.mark.parametrize(
    ("asked", "measured", "statistic"),
    [
        ("--dominance lorenz --points 3", "dominance", "curve_gap"),
        ("--dominance visits --points 3", "dominance", "curve_gap"),
        ("--decompose age,i.sex", "decomposition", "determinant_contribution"),
        ("--decompose age --by wave --change 2018,2020", "oaxaca_change", "change_from_elasticity"),
        ("--of visits --need age,i.sex --control hhsize --quantiles 2", "horizontal_inequity", "standardised_use"),
        ("--of visits --need age", "horizontal_inequity", "need_index"),
    ],
)
def test_further_questions_print_their_own_table(asked: str, measured: str, statistic: str) -> None:
    assert told(f"concentration homes.csv --map consumption=totexp,oop=med {asked}")["measure"] == measured
    assert statistic in statistics(f"concentration homes.csv --map consumption=totexp,oop=med {asked}")


def test_two_questions_give_two_tables() -> None:
    done = measure(f"concentration homes.csv {MAP} --dominance equality --points 3 --decompose age --format json")
    assert done.exit_code == 0, done.stderr
    assert [one["measure"] for one in json.loads(done.stdout)] == ["dominance", "decomposition"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (f"concentration homes.csv {MAP} --by region --against east", ["集中指数", "误差："]),
        (f"concentration homes.csv {MAP} --dominance equality --points 3", ["多重比较准则", "曲线占优检验"]),
        (f"progressivity homes.csv {MAP} --bands 3", ["Kakwani 指数", "再排序效应", "水平效应"]),
        (f"incidence homes.csv {MAP} --benefit paid_back --quantiles 2", ["受益份额", "分位组"]),
        (f"incidence homes.csv {MAP} --benefit paid_back --contribution premium --by region", ["净转移", "缴费份额"]),
    ],
)
def test_results_are_printed_in_chinese(asked: str, words: list[str]) -> None:
    done = measure(f"{asked} --lang zh")
    assert done.exit_code == 0, done.stderr
    for word in words:
        assert word in done.stdout


def test_payments_are_measured_one_by_one_and_together() -> None:
    found = told(f"progressivity homes.csv {MAP} --payment oop,premium")
    assert {one["payment"] for one in found["estimates"]} == {None, "all", "oop", "premium"}  # type: ignore[attr-defined]


def test_benefits_are_worked_out_as_asked() -> None:
    names = statistics(f"incidence homes.csv {MAP} --use visits --unit-subsidy 40 --fee premium --quantiles 2")
    assert {"benefit_share", "benefit_kakwani"} <= set(names)
    text = told(f"incidence homes.csv {MAP} --use visits --unit-subsidy premium --floor")["definition"]
    assert "visits × premium - 0, zero where it is less" in text["en"]  # type: ignore[index]


def test_net_transfers_come_by_group_and_quantile() -> None:
    names = statistics(
        f"incidence homes.csv {MAP} --total totexp --oop oop --contribution premium --subsidy paid_back "
        "--by region --rank consumption --quantiles 2 --per-head"
    )
    assert {"net_transfer", "own_return", "reverse_subsidy", "share_gap"} <= set(names)


def test_rows_that_cannot_be_read_are_set_aside(homes: Path) -> None:
    (homes / "homes.csv").write_text(HOMES.replace("30,200", "thirty,200"), encoding="utf-8")
    done = measure(f"concentration homes.csv {MAP}")
    assert done.exit_code == 1
    assert (homes / "homes.rejects.csv").is_file()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("concentration homes.csv --of med --rank nobody", "nobody"),
        (f"concentration homes.csv {MAP} --index best", "there is no index 'best'"),
        (f"concentration homes.csv {MAP} --index erreygers", "needs bounds"),
        (f"concentration homes.csv {MAP} --bounds 1", "write 0,1"),
        (f"concentration homes.csv {MAP} --nu two", "write 2,3"),
        (f"concentration homes.csv {MAP} --control age", "--need"),
        (f"concentration homes.csv {MAP} --change 2018,2020", "--decompose"),
        (f"concentration homes.csv {MAP} --decompose age --by wave --change 2018", "write 2018,2020"),
        (f"progressivity homes.csv {MAP} --bands 5 --band-width 10", "not both"),
        (f"incidence homes.csv {MAP} --total totexp", "in one way"),
        (f"incidence homes.csv {MAP}", "benefit"),
    ],
)
def test_misuse_is_said_in_one_line(asked: str, said: str) -> None:
    done = measure(asked)
    assert done.exit_code == 2, done.output
    assert said in done.stderr


@pytest.mark.parametrize("name", ["concentration", "progressivity", "incidence"])
def test_help_shows_examples(name: str) -> None:
    done = measure(f"{name} --help")
    assert done.exit_code == 0
    assert f"medfloor measure {name}" in done.stdout
