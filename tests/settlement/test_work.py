"""Stop long runs wherever they may be stopped: the same command goes on, and what comes out is the same bytes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_chunks import HALF, OUTPUTS, claims_of, files_in, flawed_worlds, people_of, settle_both_ways
from worlds import examples

from medfloor.errors import OutputError, UsageError
from medfloor.settlement import chunks
from medfloor.settlement.chunks import Files, settle_files
from medfloor.settlement.work import Work, fingerprint

LAW = "cn/beijing"
KILLED = """
import json, os, signal, sys
from medfloor.intake import pieces
from medfloor.intake.files import TableWriter, _Replacement
from medfloor.settlement import chunks, work

files, options, (place, method, at) = (json.loads(text) for text in sys.argv[1:])
owner = {"Pieces": pieces.Pieces, "Work": work.Work, "TableWriter": TableWriter, "Replacement": _Replacement}[place]
real, calls = getattr(owner, method), []

def killed(*given, **more):
    calls.append(1)
    if len(calls) == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **more)

setattr(owner, method, killed)
chunks.settle_files(chunks.Files(**files), "cn/beijing", **options)
"""


def outputs_of(files: Files) -> dict[str, bytes]:
    return {n: Path(p).read_bytes() for n in OUTPUTS if (p := getattr(files, n)) and Path(p).exists()}


def a_run(folder: Path, ending: str = ".csv") -> Files:
    """Write files with refused rows, a stay of another's, and a claim taken back; in no order."""
    claims = claims_of(
        {"claim_id": "c03", "total": "1"},
        {"claim_id": "c15", "continues": "c02"},
        {"claim_id": "r1", "person_id": "p05", "reverses": "c05", "settled_date": "2024-06-01"},
    )
    return files_in(folder, claims.sample(fraction=1.0, shuffle=True, seed=5), people_of(), ending)


@pytest.mark.parametrize(
    ("place", "method", "at", "kept"),
    [
        ("Pieces", "append", 1, 0),  # while the inputs are cut
        ("Work", "keep", 6, 5),  # while the sixth of 20 parts is settled
        ("TableWriter", "finish", 2, 20),  # while the files are written to their end
        ("Replacement", "__exit__", 2, 20),  # while they take their places: one is there, the others are not
    ],
)
def test_a_run_that_was_killed_goes_on_and_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, method: str, at: int, kept: int
) -> None:
    files = a_run(tmp_path)
    whole = settle_files(files, LAW)
    before = outputs_of(files)
    for name in OUTPUTS:
        Path(getattr(files, name)).unlink()
    options = {"limit_memory": 1, "work": str(tmp_path / "work")}
    call = [json.dumps(part) for part in (vars(files), options, (place, method, at))]
    done = subprocess.run([sys.executable, "-c", KILLED, *call], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    for left in tmp_path.glob(".*"):  # as if a minute had passed
        os.utime(left, (0, 0))
    seen: list[Any] = []
    reads: list[Any] = []
    read = chunks._Run.read
    monkeypatch.setattr(chunks._Run, "read", lambda run, part: reads.append(part) or read(run, part))
    tally = settle_files(files, LAW, progress=lambda *told: seen.append(told), **options)
    assert len(reads) == 20 - kept  # what is kept is not read again, nor read ahead
    assert tally == replace(whole, partitions=20, kept=kept, files=tally.files)
    assert ("kept", kept, 20) in seen or kept == 0
    assert outputs_of(files) == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".") or path.name == "work"]


def test_a_killed_run_without_a_folder_of_its_own_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    files = a_run(tmp_path)
    call = [json.dumps(part) for part in (vars(files), {"limit_memory": 1}, ("TableWriter", "finish", 2))]
    assert subprocess.run([sys.executable, "-c", KILLED, *call], capture_output=True).returncode == -9
    left = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert {path.suffix for path in left} == {".part", ""} or len(left) > 2
    settle_files(files, LAW)
    assert [
        path for path in tmp_path.iterdir() if path.name.startswith(".")
    ] == left  # they may be of a run that begins
    for path in left:
        os.utime(path, (0, 0))
    held = next(path for path in left if path.suffix == ".part")
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        settle_files(files, LAW)
        assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == [held]
    settle_files(files, LAW)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@examples(5)
@given(flawed_worlds(), st.sampled_from([".csv", ".parquet"]), st.integers(2, 6))
def test_a_run_that_is_interrupted_again_and_again_gives_what_a_whole_run_gives(
    world: Any, ending: str, patience: int
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = files_in(folder, world.claims, world.people, ending, spells=world.spells)
        settle_both_ways(files, world.policies)
        before = outputs_of(files)
        done: list[int] = []

        def stop(stage: str, number: int, whole: int) -> None:
            if stage == "settle" and number > len(done) and number % patience == 0:
                done.append(number)
                raise KeyboardInterrupt

        for _ in range(40):
            try:
                settle_files(files, world.policies, limit_memory=1, work=str(folder / "work"), progress=stop)
            except KeyboardInterrupt:
                continue
            break
        assert outputs_of(files) == before
        assert not (folder / "work").exists()


def interrupted(files: Files, folder: Path, **options: Any) -> None:
    def stop(stage: str, number: int, whole: int) -> None:
        if (stage, number) == ("settle", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        settle_files(files, HALF, limit_memory=1, work=str(folder), progress=stop, **options)


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    files, folder = a_run(tmp_path), tmp_path / "work"
    interrupted(files, folder)
    for changed, options, told in (
        (files, {"limit_memory": 2}, "option limit-memory is"),
        (replace(files, trace=None), {"limit_memory": 1}, "option trace is"),
        (files, {"limit_memory": 1, "columns": "national"}, "option columns is"),
    ):
        with pytest.raises(UsageError, match=told) as caught:
            settle_files(changed, HALF, work=str(folder), **options)  # type: ignore[arg-type]
        assert caught.value.code == "other_run"
    with pytest.raises(UsageError, match="policy is not the same"):
        settle_files(files, LAW, work=str(folder), limit_memory=1)
    people = Path(files.people)
    people.write_text(people.read_text() + "p99\n")
    with pytest.raises(UsageError, match="people is not the same"):
        settle_files(files, HALF, work=str(folder), limit_memory=1)


def test_a_folder_of_files_is_another_one_where_a_partition_has_another_name(tmp_path: Path) -> None:
    for place in ("110101", "110102"):
        (tmp_path / f"place={place}").mkdir()
        (tmp_path / f"place={place}" / "part.parquet").write_bytes(b"rows")
    os.utime(tmp_path / "place=110102" / "part.parquet", (0, 0))
    then = fingerprint(str(tmp_path))
    (tmp_path / "_SUCCESS").touch()
    assert fingerprint(str(tmp_path)) == then
    (tmp_path / "place=110102").rename(tmp_path / "place=110103")
    assert fingerprint(str(tmp_path)) != then


def test_outputs_may_have_other_names_the_second_time(tmp_path: Path) -> None:
    files, folder = a_run(tmp_path), tmp_path / "work"
    interrupted(files, folder)
    tally = settle_files(replace(files, out=str(tmp_path / "new.parquet")), HALF, limit_memory=1, work=str(folder))
    assert tally.kept == 3
    assert pl.read_parquet(tmp_path / "new.parquet").height == tally.settled


def test_a_folder_that_is_in_use_or_holds_something_else_is_refused(tmp_path: Path) -> None:
    files, folder = a_run(tmp_path), tmp_path / "work"
    interrupted(files, folder)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError) as caught:
            settle_files(files, HALF, limit_memory=1, work=str(folder))
        assert caught.value.code == "work_in_use"
    for other in (tmp_path, Path(files.claims)):
        with pytest.raises(UsageError) as caught:
            settle_files(files, HALF, limit_memory=1, work=str(other))
        assert caught.value.code == "not_a_work_folder"
    assert Path(files.claims).exists()


def test_what_was_damaged_since_is_done_again(tmp_path: Path) -> None:
    files, folder = a_run(tmp_path), tmp_path / "work"
    settle_files(files, HALF)
    before = outputs_of(files)
    interrupted(files, folder)
    for name, left in (
        ("settlements-out-0001.arrow", b"half"),
        ("done-0001.json", b""),  # as after a loss of power
        ("plan.json", b""),
        ("claims-0011.arrow", None),
        ("people-0011.arrow", None),  # without it, its persons would count as not insured
        ("elsewhere.arrow", None),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        assert Work(copy, keeps=True).plan() is not None
        (copy / name).unlink() if left is None else (copy / name).write_bytes(left)
        assert Work(copy, keeps=True).plan() is None
        shutil.rmtree(copy)
    (folder / "people-0011.arrow").unlink()
    assert settle_files(files, HALF, limit_memory=1, work=str(folder)).kept == 0
    assert outputs_of(files) == before


def test_a_folder_that_lost_rows_is_never_taken_for_whole(tmp_path: Path) -> None:
    files, folder = a_run(tmp_path), tmp_path / "work"

    def lose(stage: str, number: int, whole: int) -> None:
        if (stage, number) == ("settle", 3):
            (folder / "claims-0011.arrow").unlink()

    with pytest.raises(UsageError, match="lost some of what it held"):
        settle_files(files, HALF, limit_memory=1, work=str(folder), progress=lose)
    assert not Path(files.out).exists()
    (folder / "run.json").write_bytes(b"")
    with pytest.raises(UsageError, match="lost some of what it held; delete it"):
        settle_files(files, HALF, limit_memory=1, work=str(folder))


def test_what_others_put_into_the_folder_stays_there(tmp_path: Path) -> None:
    files, folder = a_run(tmp_path), tmp_path / "work"
    folder.mkdir()
    files = replace(files, out=str(folder / "settled.csv"))
    interrupted(files, folder)
    (folder / "notes").mkdir()
    settled = settle_files(files, HALF, limit_memory=1, work=str(folder)).settled
    assert len(Path(files.out).read_text().splitlines()) == 1 + settled
    assert {path.name for path in folder.iterdir()} == {"settled.csv", "notes"}


def test_a_folder_that_is_made_is_closed_to_others(tmp_path: Path) -> None:
    files, folder = a_run(tmp_path), tmp_path / "deeper" / "work"
    interrupted(files, folder)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("what", ["cut", "keep"])
def test_a_full_disk_ends_with_a_sentence_and_what_is_done_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    files, folder = a_run(tmp_path), tmp_path / "work"

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(*((pa.ipc, "new_stream", full) if what == "cut" else (pl.DataFrame, "write_ipc", full)))
        with pytest.raises(OutputError, match="Free about as much space"):
            settle_files(files, HALF, limit_memory=1, work=str(folder))
    assert not Path(files.out).exists()
    assert settle_files(files, HALF, limit_memory=1, work=str(folder)).rejected == 2


def test_a_run_of_one_part_is_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, folder = a_run(tmp_path), tmp_path / "work"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OutputError):
            settle_files(files, HALF, work=str(folder))
    assert settle_files(files, HALF, work=str(folder)).kept == 1
    assert not folder.exists()
