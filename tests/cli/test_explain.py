"""`medfloor explain` speaks both languages, and its exit codes tell refused from unknown."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Shell = Callable[[str, Path], "subprocess.CompletedProcess[str]"]
ASK = "--claims claims.csv --people people.csv --spells spells.csv --policy cn/beijing"


@pytest.fixture
def shell(warm_shell: Shell) -> Shell:
    return warm_shell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "claims.csv").write_text(
        "claim_id,person_id,care_type,start_date,end_date,facility_level,diagnosis,total,off_catalogue,in_scope\n"
        "ordinary,p1,inpatient,2024-03-01,2024-03-10,3,C34.9,150000,20000,130000\n"
        "poor,p2,inpatient,2024-03-01,2024-03-10,3,C34.9,150000,20000,130000\n"
        "wrong,p2,inpatient,2024-03-11,2024-03-10,3,,10,0,10\n",
        encoding="utf-8",
    )
    (tmp_path / "people.csv").write_text("person_id\np1\np2\n", encoding="utf-8")
    (tmp_path / "spells.csv").write_text("person_id,group,from_date,to_date\np2,dibao,2024-01-01,\n", encoding="utf-8")
    return tmp_path


def test_a_citizen_reads_it_in_english(shell: Shell, folder: Path) -> None:
    done = shell(f"medfloor explain ordinary {ASK}", folder)
    assert done.returncode == 0, done.stdout
    for line in (
        "   128,700.00 × 75 % = 96,525.00",
        "   3,071.00 × 60 % = 1,842.60 (bracket from 0.00 to 50,000.00)",
        "      51,632.40  the patient in all",
        "     150,000.00  charged = 98,367.60 + 51,632.40",
    ):
        assert f"\n{line}\n" in done.stdout
    assert "京人社农合发〔2017〕250号 第二十一条 [official text] “三级定点医疗机构75%”" in done.stdout
    assert "C34" not in done.stdout


def test_a_clerk_reads_it_in_chinese(shell: Shell, folder: Path) -> None:
    done = shell(f"medfloor explain poor {ASK} --lang zh", folder)
    assert done.returncode == 0, done.stdout
    for line in (
        "  低保对象（2024-01-01起，至今有效）：计入本次结算，用于城乡居民大病保险、医疗救助",
        "   起付标准（每年）：15,202.00（标准30,404.00、按50%计）",
        "   21,597.55 × 85% = 18,357.9175",
        "   四舍五入到分：18,357.92",
        "      23,239.63  个人负担合计",
    ):
        assert f"\n{line}\n" in done.stdout


def test_json_is_for_programs(shell: Shell, folder: Path) -> None:
    done = shell(f"medfloor explain poor {ASK} --json", folder)
    plain = json.loads(done.stdout)
    assert [share["pay"] for share in plain["shares"]] == ["96525.00", "11877.45", "18357.92"]


def test_a_refused_row_gives_its_reason_and_exit_code_1(shell: Shell, folder: Path) -> None:
    done = shell(f"medfloor explain wrong {ASK}", folder)
    assert done.returncode == 1
    assert "end_before_start" in done.stdout


def test_an_unknown_claim_gives_a_next_step_and_exit_code_2(shell: Shell, folder: Path) -> None:
    done = shell(f"medfloor explain nowhere {ASK}", folder)
    assert done.returncode == 2
    assert done.stdout.startswith("error [unknown_claim]: claims.csv has no row with claim_id nowhere;")
