"""Keep what a long run has done, so that the same command goes on after it was stopped, or killed.

A folder holds how the inputs were cut, the pieces, and what came out of each part that is done. It belongs to one run:
its inputs, law, options and version. Whatever is named there is whole, because it is written under another name first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medfloor import __version__
from medfloor.errors import UsageError
from medfloor.intake import parquet_files, writing
from medfloor.settlement.batch import Law
from medfloor.settlement.partition import Plan

MANIFEST = "run.json"
PLAN = "plan.json"
LOCK = "lock"
TEMPORARY = ".medfloor-"
"""How the folders begin that a run makes beside its output, here and on a cluster; it holds them (`hold`)."""

STALE = 60
"""A temporary file that nobody holds is left behind by a killed run once it is so many seconds old."""

_SAMPLES = 64
_SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True)
class Done:
    """Be what came out of one part: frames by the name of their file, and what is counted of it (plain JSON)."""

    frames: dict[str, pl.DataFrame]
    counts: dict[str, Any]


class Work:
    """Be the folder of a run. `keeps` says that it was named, so that it stays when the run is stopped."""

    def __init__(self, path: Path, keeps: bool) -> None:
        self.path = path
        self.keeps = keeps

    def plan(self) -> Plan | None:
        """Give how the inputs were cut; None where that was not done to its end, or what is kept is damaged."""
        told = _read(self.path / PLAN)
        files = list(self.path.glob("done-*.json"))
        done = {file.stem.rpartition("-")[2]: one for file in files if (one := _read(file)) is not None}
        if told is not None and len(done) == len(files):
            sizes = {name: size for name, size in told["sizes"].items() if _part_of(name) not in done}
            for one in done.values():
                sizes |= one["sizes"]
            if all(_size(self.path / name) == size for name, size in sizes.items()):
                return Plan(**told["plan"])
        self.clear()
        return None

    def keep_plan(self, plan: Plan) -> None:
        """Remember how the inputs are cut."""
        if self.keeps:
            sizes = {path.name: path.stat().st_size for path in self.path.glob("*.arrow")}
            self._write(PLAN, {"plan": asdict(plan), "sizes": sizes})

    def clear(self) -> None:
        """Take away what was cut and done, such as pieces that were not written to their end; nothing else."""
        (self.path / PLAN).unlink(missing_ok=True)  # first: with it, a part without pieces would be one without rows
        for ours in ("done-*.json", "*.json.new", "*.arrow"):
            for path in self.path.glob(ours):
                path.unlink()

    def has(self, number: int) -> bool:
        """Say whether a part is done."""
        return (self.path / f"done-{number:04d}.json").exists()

    def done(self, number: int) -> Done:
        """Read what came out of a part that is done."""
        told = json.loads((self.path / f"done-{number:04d}.json").read_text())
        frames = {n: pl.read_ipc(self._frame(n, number)) for n in told["frames"]}
        return Done(frames, told["counts"])

    def keep(self, number: int, done: Done) -> None:
        """Remember what came out of a part. Raises OutputError cannot_write where the disk is full."""
        if not self.keeps:
            return
        sizes = {}
        for name, frame in done.frames.items():
            path = self._frame(name, number)
            with writing(self.path, "this run"):
                frame.write_ipc(path, compression="lz4")
            sizes[path.name] = path.stat().st_size
        self._write(f"done-{number:04d}.json", {"frames": list(done.frames), "counts": done.counts, "sizes": sizes})
        for path in self.path.glob(f"*-{number:04d}.arrow"):
            if path.name not in sizes:
                path.unlink()  # its rows of the inputs, which nobody reads again

    def lost(self) -> UsageError:
        """Say that rows are missing that were there when the inputs were cut."""
        return UsageError(
            "not_a_work_folder", f"--work {self.path} lost some of what it held; delete it and give the command again."
        )

    def remove(self) -> None:
        """Take the folder away, with what the run wrote there and nothing else."""
        self.clear()
        for name in (MANIFEST, LOCK):
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _frame(self, name: str, number: int) -> Path:
        return self.path / f"{name}-out-{number:04d}.arrow"

    def _write(self, name: str, told: Mapping[str, Any]) -> None:
        new = self.path / f"{name}.new"
        with writing(self.path, "this run"):
            new.write_text(json.dumps(told))
        new.replace(self.path / name)


def open_work(named: str | None, out: str, run: Mapping[str, Any], stack: ExitStack) -> Work:
    """Open the folder of a run: the one that was named, which stays, or a new one beside the output, which does not.

    `run` says what makes it this run (`run_of`). Raises UsageError other_run where the folder belongs to another,
    not_a_work_folder where something else stands in it, work_in_use where a run works there now.
    """
    if named is None:
        path = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=os.path.dirname(os.path.abspath(out))))
        stack.callback(shutil.rmtree, path, ignore_errors=True)
        hold(path, stack)
        return Work(path, keeps=False)
    path = Path(named)
    if path.exists() and not path.is_dir():
        raise UsageError("not_a_work_folder", f"--work {named} is a file; name a folder, or one that is not there yet.")
    manifest = path / MANIFEST
    begun = (LOCK, f"{MANIFEST}.new")
    if path.is_dir() and not manifest.exists() and any(other.name not in begun for other in path.iterdir()):
        raise UsageError(
            "not_a_work_folder",
            f"--work {named} holds other files; name an empty folder, or one that is not there yet.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)  # claims are personal data
    if not hold(path, stack):
        raise UsageError(
            "work_in_use", f"--work {named} is used by a run that goes on now; wait for it, or name another."
        )
    work = Work(path, keeps=True)
    if manifest.exists():
        then = _read(manifest)
        if then is None:
            raise work.lost()
        _check_same(named, then, run)
    else:
        work._write(MANIFEST, run)
    return work


def _check_same(named: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    other = [name for name in now if then.get(name) != now[name]]
    if other:
        raise UsageError(
            "other_run",
            f"--work {named} belongs to another run: {', '.join(other)} {'is' if len(other) == 1 else 'are'} not the "
            "same. Give the command of that run to go on with it, name another folder, or delete this one.",
        )


def run_of(law: Law, inputs: Mapping[str, str | None], options: Mapping[str, Any]) -> dict[str, Any]:
    """Say what makes a run: its inputs, law, options and version."""
    return {
        "version": __version__,
        "policy": hashlib.sha256(repr((law.policies.versions, law.policies.pinned)).encode()).hexdigest(),
        **{name: fingerprint(path) for name, path in inputs.items() if path is not None},
        **{f"option {name}": value for name, value in options.items()},
    }


def fingerprint(path: str) -> dict[str, Any]:
    """Tell a file, or a folder of Parquet files, from a changed one: by size, time of change, samples of its content.

    Raises InputError file_not_found for a folder without such a file.
    """
    digest = hashlib.blake2b(digest_size=16)
    place = Path(path)
    size = 0
    files = parquet_files(place) if place.is_dir() else [place]
    for file in files:
        if not file.is_file():
            continue  # the reader says that it is not there
        about = file.stat()
        size += about.st_size
        # Where a file lies in the folder is its partition, and so part of its rows.
        digest.update(f"{file.relative_to(place).as_posix()} {about.st_size} {about.st_mtime_ns}".encode())
        step = max(_SAMPLE_BYTES, about.st_size // _SAMPLES)
        with file.open("rb") as content:
            for at in range(0, about.st_size, step):
                content.seek(at)
                digest.update(content.read(_SAMPLE_BYTES))
    return {"bytes": size, "content": digest.hexdigest()}


def sweep(outputs: Sequence[str]) -> None:
    """Take away what killed runs left beside these outputs: folders and half-written files that no process holds."""
    for folder in {Path(out).resolve().parent for out in outputs}:
        stems = tuple(f".{Path(out).stem[:40]}." for out in outputs)
        for path in folder.glob(".*"):
            ours = path.name.startswith(TEMPORARY) and path.is_dir()
            half = path.name.startswith(stems) and path.name.endswith(".part") and path.is_file()
            with contextlib.suppress(OSError):
                if (ours or half) and time.time() - path.stat().st_mtime > STALE and _is_free(path):
                    shutil.rmtree(path, ignore_errors=True) if ours else path.unlink()


def hold(folder: Path, stack: ExitStack) -> bool:
    """Hold a folder for this process, until it ends in whatever way; False where another holds it."""
    file = stack.enter_context((folder / LOCK).open("w"))
    return _locked(file.fileno()) is not False


def _is_free(path: Path) -> bool:
    place = path / LOCK if path.is_dir() else path
    if not place.exists():
        return True
    with place.open("rb") as file:
        return _locked(file.fileno()) is True


def _locked(descriptor: int) -> bool | None:
    """Lock an open file; False where another process holds it, None where this system cannot say."""
    try:
        import fcntl
    except ImportError:  # Windows, where open files cannot be deleted anyway
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True


def _read(path: Path) -> dict[str, Any] | None:
    """Read what was written of a run; None where it is not there, or is damaged, such as by a loss of power."""
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _part_of(name: str) -> str:
    """Give the number of the part whose rows a file such as claims-0011.arrow holds; of no part is elsewhere.arrow."""
    return name.removesuffix(".arrow").rpartition("-")[2]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1
