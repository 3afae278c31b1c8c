"""Compiled code: where it is kept, that nothing waits for it, and that it says what plain Python says."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from medfloor import jit

SAMPLE = Path(__file__).resolve().parents[1] / "src" / "medfloor" / "sample" / "beijing"
HOMES = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME")


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Give a folder for each place that compiled code may lie in; the system's temporary folder is one of its own too."""
    folders = {name: tmp_path / name.lower() for name in (*HOMES, "TMPDIR")}
    for name, folder in folders.items():
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folders["TMPDIR"]))
    return folders


def test_the_users_own_choice_of_folder_wins_then_the_cache_home_then_the_home(
    homes: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []
    for name in (*HOMES, "none"):
        folder = jit.cache_folder()
        assert folder is not None
        assert folder.is_dir()
        assert folder.stat().st_mode & 0o777 == 0o700
        places.append(folder)
        if name == "HOME":
            monkeypatch.setenv("HOME", str(homes["HOME"] / "a file"))
            (homes["HOME"] / "a file").touch()
        elif name != "none":
            monkeypatch.delenv(name)
    assert [place.relative_to(homes["HOME"].parent).parts[0] for place in places] == [
        *(n.lower() for n in HOMES),
        "tmpdir",
    ]
    assert places[2].is_relative_to(homes["HOME"] / ".cache" / "medfloor")


@pytest.mark.parametrize("mode", [0o777, 0o770])
@pytest.mark.parametrize("which", ["medfloor", "compiled"])
def test_a_folder_in_which_others_may_write_is_refused(homes: dict[str, Path], mode: int, which: str) -> None:
    first = jit.cache_folder()
    assert first is not None
    shared = first if which == "compiled" else first.parent
    shared.chmod(mode)
    second = jit.cache_folder()
    assert second is not None
    assert second.is_relative_to(homes["XDG_CACHE_HOME"])
    shared.chmod(0o700)
    assert jit.cache_folder() == first


def test_a_home_in_which_strangers_may_rename_folders_is_refused(homes: dict[str, Path]) -> None:
    first = jit.cache_folder()
    for mode, fine in ((0o777, False), (0o1777, True), (0o775, True), (0o755, True)):
        homes["NUMBA_CACHE_DIR"].chmod(mode)
        assert (jit.cache_folder() == first) is fine, oct(mode)


def test_a_umask_that_lets_the_group_write_does_not_open_the_folder(homes: dict[str, Path]) -> None:
    before = os.umask(0o002)
    try:
        folder = jit.cache_folder()
    finally:
        os.umask(before)
    assert folder is not None
    assert folder.is_relative_to(homes["NUMBA_CACHE_DIR"])


def test_where_no_folder_can_be_had_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").touch()
    for name in HOMES:
        monkeypatch.setenv(name, str(tmp_path / "a file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a file"))
    assert jit.cache_folder() is None


SETTLE = """
import hashlib, os, sys
from medfloor import jit
from medfloor.settlement import settle
sample = {sample!r}
tables = [f"{{sample}}/{{name}}.csv" for name in ("claims", "people", "spells")]
settled = settle(*tables, "cn/beijing", engine={engine!r}, trace=True, closing=True)
print(*(hashlib.sha256(t.write_csv().encode()).hexdigest() for t in (settled.fen, settled.trace, settled.closing)))
print(jit._FOLDER, "numba" in sys.modules, os.environ.get("NUMBA_CACHE_DIR"))
"""


def settle_apart(engine: str, **environment: str) -> tuple[str, str]:
    """Settle the sample in a Python of its own; give what came out, and where compiled code lay."""
    done = subprocess.run(
        [sys.executable, "-c", SETTLE.format(sample=str(SAMPLE), engine=engine)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    sums, place = done.stdout.splitlines()
    return sums, place


def test_the_kernel_gives_the_same_compiled_and_as_plain_python() -> None:
    reference, _ = settle_apart("reference")
    compiled, _ = settle_apart("kernel")
    plain, _ = settle_apart("kernel", NUMBA_DISABLE_JIT="1")
    assert compiled == plain == reference


def test_a_few_claims_need_no_compiler(tmp_path: Path) -> None:
    _, place = settle_apart("auto", NUMBA_CACHE_DIR=str(tmp_path))
    folder, imported, given = place.split()
    assert Path(folder).is_relative_to(tmp_path)
    assert imported == "False"
    assert given == str(tmp_path)  # programs that are started from here find the same folder, not one inside it
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parent.name for path in kept} <= {"policies"}  # texts of law that were parsed, nothing compiled


def test_a_service_without_a_home_that_it_may_write_settles_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    nowhere = str(tmp_path / "a file")
    names = dict.fromkeys((*HOMES, "TMPDIR", "TMP", "TEMP"), nowhere)
    sums, place = settle_apart("auto", **names)
    assert sums == settle_apart("reference")[0]
    assert not place.split()[0].startswith(nowhere)
