"""The program: help at once, errors in one line, exit codes."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from medfloor import __version__
from medfloor.cli import main as main_module
from medfloor.cli.main import SUBJECTS, program
from medfloor.errors import InputError

SOURCE = Path(__file__).parents[2] / "src"
HEAVY = ("polars", "numba", "pydantic", "numpy", "pyarrow", "ruamel")


def _imports(*args: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "medfloor.cli.main", *args],
        capture_output=True,
        text=True,
        env=env,
        check=True,
    )
    return run.stderr


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["policy", "--help"], ["policy", "check", "--help"]])
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in _imports(*args).splitlines()}
    assert "click" in imported
    assert imported.isdisjoint(HEAVY)


def test_help_lists_every_subject_and_an_example() -> None:
    result = CliRunner().invoke(program, ["--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output
    for name in SUBJECTS:
        assert f"\n  {name} " in result.output


def test_version_is_printed() -> None:
    assert CliRunner().invoke(program, ["--version"]).output == f"medfloor, version {__version__}\n"


def test_a_mistyped_subject_is_misuse_with_the_nearest_name() -> None:
    result = CliRunner().invoke(program, ["setle"])
    assert result.exit_code == 2
    assert "did you mean settle?" in result.output


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Any:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(main_module.Program, "get_command", lambda self, ctx, name: command)
    return CliRunner().invoke(program, ["demo"])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            InputError("missing_column", "claims.csv has no column total"),
            2,
            "error [missing_column]: claims.csv has no",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "out.csv"),
            2,
            "error [disk_full]: the disk is full (out.csv)",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "out.csv"), 2, "error [permission]"),
        (FileNotFoundError(errno.ENOENT, "No such file", "in.csv"), 2, "error [file_not_found]"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ValueError("Zhang San 110101"), 70, "error [bug]: ValueError inside medfloor"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    monkeypatch.delenv("MEDFLOOR_DEBUG", raising=False)
    result = _raising(monkeypatch, error)
    assert result.exit_code == code
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Zhang" not in result.output


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDFLOOR_DEBUG", "1")
    result = _raising(monkeypatch, ValueError("shown"))
    assert "Traceback" in result.stderr
    assert result.exit_code == 70


def test_garbage_is_looked_for_as_usual_once_the_imports_are_done() -> None:
    usual, others = gc.get_threshold(), list(gc.callbacks)
    try:
        main_module._look_for_garbage_later()
        assert gc.get_threshold()[0] > 100 * usual[0] and gc.isenabled()
        gc.collect(0)
        assert (gc.get_threshold(), gc.callbacks) == (usual, others)
    finally:
        gc.set_threshold(*usual)
        gc.callbacks[:] = others


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(
        [sys.executable, "-m", "medfloor.cli.main", "policy", "show", "cn/beijing"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait() == 141
