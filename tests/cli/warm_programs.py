"""Run programs out of a process that has read all modules, so that hundreds of short commands need not read them each.

`medfloor` and `python <file>` on the path of `programs` are small clients. They hand their words, folder, environment
and open files to a server, which forks: what runs is the program itself from its first line on, in a process of its
own; only reading the modules is saved. That the program starts from nothing is for tests of their own (test_main.py,
and the README among the pages). What an interpreter or a library reads once, when it starts (`read_at_start`), must be
what the server has; else, and for `python -c` and the like, the program is started after all. One thing is not done
that a started program does: what was registered with `atexit` is not called.

The server lives as long as whoever started it, also where that is killed, and takes its programs along. A program whose
client is gone (a test that took too long, Ctrl-C) is ended.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pkgutil
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

POSSIBLE = sys.platform == "linux"
"""Whether programs may be forked here; elsewhere they are started from nothing."""

READ_FIRST = (
    "altair", "argon2", "great_tables", "pandas", "polars", "pyarrow.parquet", "pyfixest", "scipy.optimize", "scipy.stats",
    "sqlalchemy.dialects.sqlite", "statsmodels.api", "typst", "xlsxwriter",
)  # fmt: skip
"""What commands import where they need it."""

NOBODY_WAITS = ("polars-ooc-clea", "jemalloc_bg_thd")
"""Threads that Polars starts as it is read: they clear away what earlier programs left, and memory that was freed."""

# Isolated and without site: it starts in a hundredth of a second.
CLIENT = """
import array, json, os, signal, socket, sys
home, started, name, *words = sys.argv[1:]

def read_at_start():
    first = ("HOME", "LANG", "LC_", "LD_", "MALLOC_", "NUMBA_", "POLARS_", "PYTHON", "TMPDIR", "XDG_")
    return {name: value for name, value in os.environ.items() if name.startswith(first)}

if name == "":  # asked by the server
    json.dump(read_at_start(), sys.stdout)
    sys.exit()
with open(home + "/environment") as kept:
    other = json.load(kept) != read_at_start()
if other or (name == "python" and (not words or words[0].startswith("-"))):
    os.execv(started + "/" + name, [name, *words])
with socket.socket(socket.AF_UNIX) as server:
    server.connect(home + "/socket")
    said = json.dumps([name, words, os.getcwd(), dict(os.environ), os.umask(0)]).encode()
    files = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
    server.sendmsg([len(said).to_bytes(8, "big")], files)
    server.sendall(said)
    answer = server.recv(8)
status = int(answer) if answer else 70
if status < 0:
    if -status != signal.SIGKILL:  # which nobody handles
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@contextmanager
def programs(folder: Path, started: Path, read: tuple[str, ...] = ("medfloor", *READ_FIRST)) -> Iterator[None]:
    """Put clients for `medfloor` and `python` into a folder; their server lives as long as the block.

    `started` is a folder with the programs that start from nothing; `read` are the modules that are read before.
    """
    # Beside, because the address of a socket has a hundred letters at most.
    home = Path(tempfile.mkdtemp(prefix="medfloor-warm-"))
    try:
        client = folder / "client.py"
        client.write_text(CLIENT)
        words = [sys.executable, "-ISE", str(client), str(home), str(started)]
        for name in ("medfloor", "python"):
            (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join([*words, name])} "$@"\n')
            (folder / name).chmod(0o755)
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        with (home / "environment").open("wb") as kept:
            subprocess.run([*words, ""], env=environment, stdout=kept, check=True)
        with _server(home, read, environment):
            yield
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _server(home: Path, read: tuple[str, ...], environment: dict[str, str]) -> Iterator[None]:
    """Start a server, wait until it has read the modules, and end it with its programs."""
    log = home / "log"
    with log.open("wb") as said:
        server = subprocess.Popen(
            [sys.executable, __file__, str(home), *read], env=environment, stdin=subprocess.PIPE, stdout=said,
            stderr=said, start_new_session=True,
        )  # fmt: skip
    with server:
        try:
            ends = time.monotonic() + 120
            while not (home / "ready").exists():
                assert server.poll() is None and time.monotonic() < ends, log.read_text("utf-8", "replace")[-3000:]
                time.sleep(0.02)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)


def _serve(home: Path, read: list[str]) -> None:
    """Read the modules, then fork for each program that is asked for, until whoever started this is gone."""
    sys.path[0] = ""  # as `python -c` has it
    for name in read:
        package = importlib.import_module(name)
        if name == "medfloor":
            for module in pkgutil.walk_packages(package.__path__, "medfloor."):
                if not module.name.startswith("medfloor.service") and not module.name.endswith(("__main__", ".spark")):
                    importlib.import_module(module.name)
    # A fork takes one thread along. Whoever waits for another (one of Polars' pool) would wait for ever.
    threads = {task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")}
    pools = threads - {Path("/proc/self/comm").read_text().strip(), *NOBODY_WAITS}
    assert not pools, f"modules started threads as they were read: {', '.join(sorted(pools))}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "socket"))
        listening.listen(16)
        (home / "ready").touch()
        while 0 not in select.select([listening, 0], [], [])[0]:
            asked, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _keep(asked)
            asked.close()
            with suppress(ChildProcessError):  # those that ended since
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    shutil.rmtree(home, ignore_errors=True)
    os.killpg(0, signal.SIGTERM)  # itself, and the programs that still run


def _keep(asked: socket.socket) -> None:
    """Run one program, and tell how it ended: its exit code, or less the signal that ended it."""
    head, files, _, _ = socket.recv_fds(asked, 8, 3)
    said = b""
    while len(said) < int.from_bytes(head, "big"):
        said += asked.recv(65536)
    child = os.fork()
    if child == 0:
        asked.close()
        _run(files, *json.loads(said))
    for file in (*files, 0, 1, 2):
        os.close(file)
    if asked in select.select([os.pidfd_open(child), asked], [], [])[0]:  # a client that is there says nothing more
        os.kill(child, signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(OSError):  # the client may be gone
        asked.sendall(str(status).encode())
    os._exit(0)


def _run(files: list[int], name: str, words: list[str], folder: str, environment: dict[str, str], mask: int) -> None:
    """Be the program, in its folder, with its environment and its open files."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    # Anew, because the old ones know that they were opened on other kinds of files.
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = _stream(1, "surrogateescape", environment)
    sys.stderr = _stream(2, "backslashreplace", environment)
    os.umask(mask)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    status: Any = 0
    try:
        if name == "medfloor":
            from medfloor.cli.main import main

            sys.argv = ["medfloor", *words]
            main()
        else:
            file = str(Path.cwd() / words[0])
            sys.argv, sys.path[0] = words, str(Path(file).resolve().parent)
            sys.modules["__main__"] = module = ModuleType("__main__")
            module.__file__ = file
            exec(compile(Path(file).read_bytes(), file, "exec"), vars(module))
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        if status is not None and not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
        sys.stderr.flush()
    os._exit(status or 0)


def _stream(number: int, errors: str, environment: dict[str, str]) -> io.TextIOWrapper:
    """Give the open file of a number as an interpreter that starts has it."""
    at_once = bool(environment.get("PYTHONUNBUFFERED"))
    lines = at_once or number == 2 or os.isatty(number)
    bare = open(number, "wb", 0 if at_once else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(bare, encoding="utf-8", errors=errors, line_buffering=lines, write_through=at_once)  # type: ignore[type-var]


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2:])
