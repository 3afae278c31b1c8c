"""Let programs do one job in turns, each in a process and, where it needs one, an interpreter of its own.

A job is a module with PEERS, a table of classes with `ready`, `work` and `result`. All peers of a job are made ready
first; then each has its turn in every round, so that other work on the machine stretches the times of all alike. Of a
peer that is not installed, fails or takes too long it is said so, and the others go on.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

HERE = Path(__file__).parent
VENVS = HERE.parent / ".venv-peers"
"""Where `just peers-setup` makes the interpreters of peers whose packages do not go with ours."""

WORKS, TURN = 5, 1.0
"""In its turn a quick peer works up to five times within a second: once would measure how cold the caches are."""

Columns = dict[str, np.ndarray]
Told = dict[str, Any]


class Peer(Protocol):
    """Be one program that can do the job."""

    package: str
    """The distribution whose version is told; "medfloor" for ourselves."""
    repeats: int
    """How many turns it has; less for a slow one."""

    def ready(self, given: Columns) -> Any:
        """Bring the columns into the program's own form; done once."""

    def work(self, made: Any) -> Any:
        """Do the job; timed again and again."""

    def result(self, worked: Any) -> np.ndarray:
        """Bring what `work` gave into the numbers that are compared; not timed."""


def interpreter(package: str) -> Path:
    """Give the interpreter for a package: one made by `just peers-setup` for it alone, or the one that runs now."""
    own = VENVS / package / "bin" / "python"
    return own if package in SETUPS else Path(sys.executable)


SETUPS = ("policyengine-core", "gettsim")
"""Packages with an interpreter of their own, each from requirements/NAME.txt."""


class Contestant:
    """One peer in its process, which has its turn when it is sent a line."""

    def __init__(self, job: str, name: str, package: str, folder: Path, *, python: Path, timeout: float) -> None:
        self.timeout = timeout
        self.told: Told = {"seconds": [], "busy": [], "peak": 0}
        self.folder = folder
        folder.mkdir(exist_ok=True)
        if not python.exists():
            self.told["missing"] = f"{package} is not installed: there is no {python}; `just peers-setup` makes one"
            self.process = None
            return
        # The source tree is for medfloor alone; a peer finds its own package in its own interpreter.
        path = {"PYTHONPATH": str(HERE.parent / "src")} if package == "medfloor" else {}
        with (folder / "stderr.txt").open("w", encoding="utf8") as errors:
            self.process = subprocess.Popen(
                [str(python), __file__, job, name, str(folder)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf8",
                env=os.environ | path,
            )  # fmt: skip
        self._hear()

    @property
    def able(self) -> bool:
        return self.process is not None

    def turn(self) -> None:
        """Let the peer work once more, a quick one a few times; keep how long that took and how much memory."""
        assert self.process is not None and self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("work\n")
            self.process.stdin.flush()
        self._hear()

    def result(self) -> np.ndarray:
        """Give what the peer worked out."""
        return np.load(self.folder / "result.npy")

    def end(self) -> None:
        """End the peer's process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _hear(self) -> None:
        """Wait for the peer's line; without one in time, or without one at all, say why and end it."""
        assert self.process is not None and self.process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            if self.process is not None:
                self.process.kill()

        clock = threading.Timer(self.timeout, give_up)
        clock.start()
        try:
            line = self.process.stdout.readline()
        finally:
            clock.cancel()  # also where the run is ended: a clock that runs on would keep this process
        heard: Told = json.loads(line) if line.endswith("\n") else {}
        if not heard:
            tail = (self.folder / "stderr.txt").read_text(encoding="utf8").strip().splitlines()[-1:]
            why = f"took longer than {self.timeout:,.0f} s" if late.is_set() else " ".join(["failed:", *tail])
            heard = {"failed": why}
        for key in ("seconds", "busy"):
            self.told[key] += heard.pop(key, [])
        self.told["peak"] = max(self.told["peak"], heard.pop("peak", 0))
        self.told |= heard
        if {"failed", "missing"} & set(heard):
            self.end()


def run(
    job: str,
    given: Columns,
    *,
    names: list[str] | None = None,
    repeats: int | None = None,
    pythons: dict[str, str] | None = None,
    timeout: float = 900,
    after: Callable[[dict[str, Told], dict[str, np.ndarray]], None] = lambda *_: None,
) -> tuple[dict[str, Told], dict[str, np.ndarray]]:
    """Let the peers of a job work in turns; give what is told of each, and the result of each that has one.

    `after` is called with what is known, whenever something became known. `timeout` is in seconds, for making ready and
    for each turn.
    """
    peers: dict[str, type[Peer]] = importlib.import_module(job).PEERS
    told: dict[str, Told] = {}
    results: dict[str, np.ndarray] = {}
    with TemporaryDirectory(prefix="medfloor-peers-") as folder, contextlib.ExitStack() as stack:
        np.savez(Path(folder) / "given.npz", **given)
        here: dict[str, Contestant] = {}
        for name in names or list(peers):
            package = peers[name].package
            python = Path((pythons or {}).get(name, interpreter(package)))
            one = Contestant(job, name, package, Path(folder) / name, python=python, timeout=timeout)
            stack.callback(one.end)
            here[name], told[name] = one, one.told
            if one.able:
                results[name] = one.result()
            after(told, results)
        for number in range(repeats or max(peer.repeats for peer in peers.values())):
            for name, one in here.items():
                if one.able and number < (repeats or peers[name].repeats):
                    one.turn()
                    after(told, results)
    return told, results


def _contest(job: str, name: str, folder: str) -> None:
    """Do the job as one peer; called in the peer's own process."""
    # What a program prints goes to the other stream; this one is for the lines that are agreed on.
    answers = os.fdopen(os.dup(1), "w", encoding="utf8", buffering=1)
    os.dup2(2, 1)

    def say(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")

    peer: Peer = importlib.import_module(job).PEERS[name]()
    with np.load(Path(folder).parent / "given.npz") as kept:
        given = {key: kept[key] for key in kept.files}
    before, start = _memory("VmRSS"), time.perf_counter()
    try:
        made = peer.ready(given)
    except ModuleNotFoundError as error:
        say(missing=f"{peer.package} is not installed ({error})")
        return
    ready = time.perf_counter() - start
    np.save(
        Path(folder) / "result.npy", peer.result(peer.work(made))
    )  # what is compiled or cached on first use is not the job
    held = _memory("VmRSS")
    found = "" if peer.package == "medfloor" else f"{peer.package} {version(peer.package)}"
    say(ready=ready, held=held - before, version=found, numpy=np.__version__)
    for _ in sys.stdin:
        _forget_peak()
        held, end = _memory("VmRSS"), time.perf_counter() + TURN
        seconds, busy = [], []
        while not seconds or (len(seconds) < WORKS and time.perf_counter() < end):
            start, before_work = time.perf_counter(), time.process_time()
            peer.work(made)
            seconds.append(time.perf_counter() - start)
            busy.append(time.process_time() - before_work)
        say(seconds=seconds, busy=busy, peak=max(_memory("VmHWM") - held, 0))


def _memory(field: str) -> int:
    """Read what the process holds now (VmRSS) or has held at most (VmHWM), in bytes; 0 where there is no /proc."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


if __name__ == "__main__":
    _contest(*sys.argv[1:])
