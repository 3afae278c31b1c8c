"""`medfloor demo`: the first thing that a stranger sees."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from medfloor.cli.main import program
from medfloor.intake import read_table

FILES = ("claims", "people", "spells", "settlements", "settlements.differences", "trace", "closing")
SAID = {
    "en": (
        "Every person and claim of this sample is made up",
        "Settled under cn/beijing",
        "medical assistance",
        "Try next",
    ),
    "zh": ("按 cn/beijing 结算", "基本医疗保险", "大病保险", "医疗救助", "个人"),
}


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_demo_settles_prints_and_says_where_the_files_are(tmp_path: Path, lang: str) -> None:
    result = CliRunner().invoke(program, ["demo", "--out", str(tmp_path / "d"), "--lang", lang])
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    for words in (*SAID[lang], "96,525.00", "18,357.92", "23,239.63", "20,000.00", "43,717.20", "15,288.00"):
        assert words in result.stdout
    assert sorted(files_of(tmp_path / "d")) == sorted(f"{name}.csv" for name in FILES)
    for name in ("settlements", "settlements.differences", "trace", "closing"):
        assert str(tmp_path / "d" / f"{name}.csv") in result.stdout
    claims = read_table(tmp_path / "d" / "settlements.csv")["claim_id"]
    lines = result.stdout.splitlines()
    for claim_id in claims:
        assert sum(line.startswith(f"{claim_id} ") for line in lines) == 1


def test_the_demo_goes_to_a_folder_beside_where_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(program, ["demo"]).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["medfloor-demo"]


def test_the_demo_can_be_run_again_and_gives_the_same(tmp_path: Path) -> None:
    results = [CliRunner().invoke(program, ["demo", "--out", str(tmp_path / "d")]) for _ in range(2)]
    assert results[0].stdout == results[1].stdout
    first = files_of(tmp_path / "d")
    CliRunner().invoke(program, ["demo", "--out", str(tmp_path / "d"), "--lang", "zh"])
    assert files_of(tmp_path / "d") == first


def test_what_the_demo_says_to_try_next_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(program, ["demo", "--lang", "zh"]).stdout.splitlines()
    commands = [line.split()[1:] for line in said if line.startswith("  medfloor ")]
    assert len(commands) == 2
    for command in commands:
        result = CliRunner().invoke(program, command)
        assert result.exit_code == 0, result.output


def test_a_folder_that_is_a_file_is_misuse(tmp_path: Path) -> None:
    (tmp_path / "d").touch()
    result = CliRunner().invoke(program, ["demo", "--out", str(tmp_path / "d")])
    assert result.exit_code == 2
    assert "is a file" in result.stderr


def test_a_folder_that_holds_something_else_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    result = CliRunner().invoke(program, ["demo", "--serve", "--port", "0", "--folder", str(tmp_path)])
    assert result.exit_code == 2
    assert "[not_a_demo]" in result.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.heavy
def test_the_made_up_office_is_filled_once_and_served_to_this_machine(tmp_path: Path) -> None:
    folder = tmp_path / "office"
    command = [sys.executable, "-m", "medfloor.cli.main", "demo", "--serve", "--port", "0", "--people", "1000"]
    made = []
    for _ in range(2):
        server = subprocess.Popen(
            [*command, "--folder", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert server.stdout is not None
        said: list[str] = []
        for line in server.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:[0-9]+", line):
                break
        for _ in range(100):
            try:
                page = urllib.request.urlopen(f"{found[0]}/login?lang=en", timeout=10).read().decode()  # type: ignore[index]
                break
            except OSError:
                assert server.poll() is None
        assert 'class="made-up"' in page
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=60)
        assert server.returncode == 0, errors
        assert "EVERYTHING HERE IS MADE UP" in said[0]
        made.append(any("settled claims" in line for line in said))
    assert made == [True, False]
    assert {one.name for one in folder.iterdir()} >= {"office.db", "office.keys", "service.log"}
