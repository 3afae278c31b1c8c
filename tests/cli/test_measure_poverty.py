"""The command `medfloor measure poverty`: poverty, inequality, dimensions, vulnerability."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

HOMES = """household_id,total,hhsize,w,village,region,school,tap,trade,age
1,8,1,1,a,east,3,no,farm,30
2,20,2,2,a,east,9,yes,farm,40
3,90,3,1,b,west,12,yes,shop,50
4,16,4,1,b,west,2,no,farm,35
5,80,4,1,c,west,8,yes,shop,45
6,44,2,1,c,west,5,no,shop,60
7,oops,4,1,c,west,5,no,shop,60
"""
MAP = "--map consumption=total,size=hhsize,weight=w,psu=village"


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    good = "\n".join(HOMES.splitlines()[:-1]) + "\n"
    (tmp_path / "homes.csv").write_text(good, encoding="utf-8")
    (tmp_path / "bad.csv").write_text(HOMES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(asked: str) -> Result:
    return CliRunner().invoke(program, ["measure", "poverty", *shlex.split(asked)])


def told(asked: str) -> list[dict[str, object]]:
    done = measure(f"{asked} --format json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    return answer if isinstance(answer, list) else [answer]


def estimates(result: dict[str, object], *labels: str) -> dict[tuple[object, ...], float]:
    rows = result["estimates"]
    assert isinstance(rows, list)
    return {tuple(row[name] for name in ("statistic", *labels)): row["estimate"] for row in rows}


def test_a_line_gives_poverty_by_people() -> None:
    found = told(f"homes.csv {MAP} --line 11 --alphas 3")[0]
    by_name = estimates(found, "alpha")
    # People below 11 a head: 1 of one, 2 x 2 of two, 4 of four; of 1 + 4 + 3 + 4 + 4 + 2.
    assert by_name["headcount", None] == pytest.approx(9 / 18)
    assert by_name["fgt", 3.0] == pytest.approx(((3 / 11) ** 3 + 4 * (1 / 11) ** 3 + 4 * (7 / 11) ** 3) / 18)
    assert found["sign"] == "<"


def test_everything_at_once_is_four_results() -> None:
    found = told(
        f"homes.csv {MAP} --line median:0.6 --inequality gini,ge --parts region --vulnerable age --categories trade "
        "--dimension school='school<6' --dimension water=\"tap = 'no'\" --dimension-weights school=1,water=3 --k 0.5"
    )
    assert [one["measure"] for one in found] == ["poverty", "inequality", "multidimensional", "vulnerability"]
    many = estimates(found[2], "dimension")
    assert many["headcount", None] == pytest.approx(7 / 18)
    assert many["deprived", "school"] == many["deprived", "water"]
    assert ("entropy_between", 1.0) in estimates(found[1], "parameter")
    assert "poverty_line" in {name for name, *_ in estimates(found[0])}


def test_a_table_of_people_stands_as_it_is() -> None:
    found = told("homes.csv --map weight=w --line 50 --of total --as-it-stands --unit household --no-design")
    assert estimates(found[0])[("headcount",)] == pytest.approx(4 / 6)


def test_inequality_alone_needs_no_line() -> None:
    found = told(f"homes.csv {MAP} --inequality all --by region --against west")
    assert found[0]["measure"] == "inequality"


def test_the_result_is_printed_in_chinese() -> None:
    done = measure(f"homes.csv {MAP} --line median:0.6 --inequality gini --lang zh --by region")
    assert done.exit_code == 0, done.stderr
    for words in ("贫困发生率", "基尼系数", "贫困深度", "人均中位数的 60 %"):
        assert words in done.stdout


def test_unreadable_rows_are_kept_and_said() -> None:
    done = measure(f"bad.csv {MAP} --line 11")
    assert done.exit_code == 1
    assert "1 of 7 rows" in done.stderr
    assert Path("bad.rejects.csv").is_file()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("", "Missing option '--line'"),
        ("--k 0.5 --line 3", "--k needs --dimension"),
        ("--vulnerable age --inequality gini", "--vulnerable needs --line"),
        ("--dimension ill=tap", "--dimension needs --k"),
        ("--dimension ill --k 0.5", "is not NAME=RULE"),
        ("--dimension s='school<6' --k 0.5 --dimension-weights s", "is not NAME=WEIGHT"),
        ("--line 11 --measures gap,depth", "no poverty measure 'depth'"),
        ("--line cn-2010", "give the year"),
        ("--line wb-2.15", "give ppp"),
        ("--line median:0.6 --bandwidth wide", "no bandwidth 'wide'"),
        ("--line 11 --against south --by region", "no group 'south'"),
        ("--line pline", "pline"),
    ],
)
def test_what_cannot_be_meant_ends_with_two(asked: str, words: str) -> None:
    done = measure(f"homes.csv {MAP} {asked}")
    assert done.exit_code == 2
    assert words in done.output
