"""Set up what every test shares: where the repository is, how hypothesis runs, how `medfloor` is called."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

# Tests that start a Python of their own find this tree, installed or not.
os.environ["PYTHONPATH"] = str(ROOT / "src")

# The first call of a compiled function compiles it, so a deadline would fail the first example for no fault of its own.
# Derandomized: a run tells the same every time, in CI as at home. MEDFLOOR_HYPOTHESIS=search looks further.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("MEDFLOOR_HYPOTHESIS", "steady"))


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def program_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a PATH on which `medfloor` and `python` are those under test, whether installed or run from src."""
    folder = tmp_path_factory.mktemp("bin")
    calls = {
        "medfloor": "-c 'import sys; from medfloor.cli.main import main; sys.argv[0] = \"medfloor\"; sys.exit(main())'",
        "python": "",
    }
    for name, arguments in calls.items():
        file = folder / name
        file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n')
        file.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def shell(program_path: str) -> Callable[[str, Path], subprocess.CompletedProcess[str]]:
    """Give a function that runs a shell command in a folder, with UTF-8 and lines of 100 columns."""
    environment = {
        **os.environ,
        "PATH": program_path,
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
    }

    def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )

    return run
