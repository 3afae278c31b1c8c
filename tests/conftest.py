"""Set up what every test shares: where the repository is, how hypothesis runs, how `medfloor` is called."""

from __future__ import annotations

import gc
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import warm_programs
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
Shell = Callable[[str, Path], subprocess.CompletedProcess[str]]

# Tests that start a Python of their own find this tree, installed or not.
os.environ["PYTHONPATH"] = str(ROOT / "src")
# And find it compiled: to compile the program anew took a fifth of each start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The first call of a compiled function compiles it, so a deadline would fail the first example for no fault of its own.
# Derandomized: a run tells the same every time, in CI as at home. MEDFLOOR_HYPOTHESIS=search looks further.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("MEDFLOOR_HYPOTHESIS", "steady"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without looking for garbage: there is none, and looking took a quarter of the time, in every process."""
    gc.disable()
    try:
        return (yield)  # type: ignore[return-value]
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the one test that takes minutes, so that the others can go on beside it to the end."""
    items.sort(key=lambda item: item.path.name != "test_spark.py")


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
def warm_path(program_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a PATH with the same programs, which need not read their modules again for each command."""
    if not warm_programs.POSSIBLE:
        yield program_path
        return
    folder = tmp_path_factory.mktemp("warm")
    with warm_programs.programs(folder, Path(program_path.partition(os.pathsep)[0])):
        yield f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def shell(program_path: str) -> Shell:
    """Give a function that runs a shell command in a folder, with UTF-8 and lines of 100 columns."""
    return _shell_with(program_path)


@pytest.fixture(scope="session")
def warm_shell(warm_path: str) -> Shell:
    """Give the same for many commands: each is a process of its own that is forked instead of started."""
    return _shell_with(warm_path)


def _shell_with(path: str) -> Shell:
    environment = {
        **os.environ,
        "PATH": path,
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
