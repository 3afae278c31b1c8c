"""`medfloor apply` and `medfloor policy cliffs` print what they found, and where it is."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Shell = Callable[[str, Path], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(warm_shell: Shell) -> Shell:
    return warm_shell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "claims.csv").write_text(
        "claim_id,person_id,care_type,start_date,end_date,facility_level,total,first_self_pay,in_scope\n"
        "c1,p1,inpatient,2023-03-01,2023-03-10,3,80000,80000,0\n"
        "c2,p2,inpatient,2023-03-01,2023-03-10,3,350000,350000,0\n",
        encoding="utf-8",
    )
    (tmp_path / "people.csv").write_text("person_id,household_id\np1,h1\np2,h2\n", encoding="utf-8")
    (tmp_path / "homes.csv").write_text("household_id,size,income\nh1,3,100000\nh2,2,390000\n", encoding="utf-8")
    return tmp_path


ASK = (
    "medfloor apply claims.csv --people people.csv --households homes.csv --policy cn/beijing --year 2023 --out out.csv"
)


def test_the_assistance_of_each_household_is_written_and_summed_up(shell: Shell, folder: Path) -> None:
    done = shell(ASK, folder)
    assert done.returncode == 0, done.stdout
    assert (folder / "out.csv").read_text(encoding="utf-8").splitlines()[1:] == [
        "h1,2023,3,100000.00,0.00,80000.00,555.56,2420.00,0,yes,granted,32000.00,32000.00",
        "h2,2023,2,390000.00,0.00,350000.00,1666.67,2420.00,0,yes,granted,150000.00,150000.00",
    ]
    assert "182,000.00" in done.stdout
    assert "no motor vehicle or large farm machine" in done.stdout


def test_an_undecided_household_gives_exit_code_1_and_is_said_in_chinese(shell: Shell, folder: Path) -> None:
    (folder / "homes.csv").write_text("household_id,size,income\nh1,3,\n", encoding="utf-8")
    done = shell(f"{ASK} --lang zh", folder)
    assert done.returncode == 1
    assert "缺少收入，无法认定" in done.stdout


def test_an_input_is_never_replaced(shell: Shell, folder: Path) -> None:
    done = shell(ASK.replace("out.csv", "homes.csv"), folder)
    assert done.returncode == 2
    assert "would_replace_input" in done.stdout


def test_cliffs_are_printed_in_both_languages_and_as_json(shell: Shell, tmp_path: Path) -> None:
    english = shell("medfloor policy cliffs cn/neimenggu/ulanqab --care-type inpatient", tmp_path).stdout
    assert "from 11,280.00 to 6,768.00 (-4,512.00): stay, level 3, in the pooling area; status: no status" in english
    chinese = shell("medfloor policy cliffs cn/beijing --care-type inpatient --lang zh", tmp_path).stdout
    assert "没有发现悬崖" in chinese
    found = json.loads(shell("medfloor policy cliffs cn/neimenggu/ulanqab --json", tmp_path).stdout)
    assert {cliff["at"] for cliff in found if cliff["kind"] == "cost"} == {"30000.00"}
