"""The command `medfloor measure`: what all measures share, and catastrophic spending."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

HOMES = """household_id,med,totexp,foodexp,hhsize,w,village,region
1,0,100,60,1,1,a,east
2,5,100,90,2,2,a,east
3,30,100,20,3,1,b,west
4,50,100,100,4,1,b,west
5,12,80,30,4,1,c,west
6,,80,30,4,1,c,west
"""
MAP = "--map oop=med,consumption=totexp,food=foodexp,size=hhsize,weight=w,psu=village"


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "homes.csv").write_text(HOMES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(asked: str) -> Result:
    return CliRunner().invoke(program, ["measure", *shlex.split(asked)])


def test_help_lists_every_measure_at_once(homes: Path) -> None:
    done = measure("--help")
    assert done.exit_code == 0
    for name in ("catastrophic", "impoverishing", "poverty", "concentration", "by-tier", "survey"):
        assert name in done.stdout


def test_a_table_is_measured_with_its_own_names(homes: Path) -> None:
    done = measure(f"catastrophic homes.csv {MAP} --thresholds 10%,25% --format json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    first = told["estimates"][0]
    assert (first["statistic"], first["threshold"], first["n"]) == ("headcount", 0.1, 5)
    assert first["estimate"] == pytest.approx(3 / 6)
    assert told["special"]["missing"] == 1
    assert set(told["definition"]) == {"zh", "en"}


def test_the_result_is_printed_in_chinese(homes: Path) -> None:
    done = measure(f"catastrophic homes.csv {MAP} --by region --against east --lang zh")
    assert done.exit_code == 0, done.stderr
    for words in ("灾难性卫生支出", "发生率", "平均正超出度", "p值"):
        assert words in done.stdout


def test_all_definitions_are_compared(homes: Path) -> None:
    done = measure(f"catastrophic homes.csv {MAP} --compare-definitions --band 0-100 --band-ends")
    assert done.exit_code == 0, done.stderr
    for words in ("budget share", "non-food", "WHO capacity to pay", "SDG 3.8.2 (2025)", "kappa", "left out"):
        assert words in done.stdout


def test_unreadable_rows_are_kept_apart_and_end_with_1(homes: Path) -> None:
    (homes / "homes.csv").write_text(HOMES + "7,abc,80,30,4,1,c,west\n8,inf,80,30,4,1,c,west\n", encoding="utf-8")
    done = measure(f"catastrophic homes.csv {MAP}")
    assert done.exit_code == 1
    assert "2 of 8 rows" in done.stderr
    rejects = pl.read_csv(homes / "homes.rejects.csv")
    assert rejects["household_id"].to_list() == [7, 8]
    assert rejects["reason"].to_list() == ["bad_number", "infinite_value"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("catastrophic nowhere.csv", "nowhere.csv"),
        ("catastrophic homes.csv", "oop"),
        (f"catastrophic homes.csv {MAP} --thresholds 10,x", "'x' is not a share"),
        (f"catastrophic homes.csv {MAP} --thresholds 40", "write 0.1 for 10 %"),
        (f"catastrophic homes.csv {MAP} --definition who --band 45", "write 45-55"),
        (f"catastrophic homes.csv {MAP} --band 45-55", "--band is for --definition who or europe only"),
        (f"catastrophic homes.csv {MAP} --compare-definitions --thresholds 0.1", "does not go with"),
        (f"catastrophic homes.csv {MAP} --by regoin", "region"),
        (f"catastrophic homes.csv {MAP} --by region --against north", "east, west"),
        (f"catastrophic homes.csv {MAP} --definition europe", "housing"),
        (f"catastrophic homes.csv {MAP} --level 95", "write 0.95"),
        (f"catastrophic homes.csv {MAP} --replicate-weights rw --method replicates", "replicate"),
        ("catastrofic homes.csv", "did you mean catastrophic"),
    ],
)
def test_misuse_ends_with_2_and_says_the_next_step(homes: Path, asked: str, words: str) -> None:
    done = measure(asked)
    assert done.exit_code == 2, done.stdout
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("ending", ["csv", "parquet", "json", "html", "md"])
def test_the_result_is_written_whole(homes: Path, ending: str) -> None:
    done = measure(f"catastrophic homes.csv {MAP} --out result.{ending}")
    assert done.exit_code == 0, done.stderr
    assert (homes / f"result.{ending}").stat().st_size > 100


def test_replicates_stand_in_for_linearisation(homes: Path) -> None:
    for method in ("jackknife", "bootstrap --replicates 50"):
        done = measure(f"catastrophic homes.csv {MAP} --method {method} --format json")
        assert done.exit_code == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["estimates"][0]["se"] > 0
        assert method.split()[0] in told["errors"]
