"""Run programs out of a process that has read all modules, so that hundreds of short commands need not read them each.

`medfloor` and `python <file>` on the path of `programs` are small clients. They hand their words, folder, environment
and open files to a server, which forks: what runs is the program itself from its first line on, in a process of its
own; only reading the modules is saved. That the program starts from nothing is for tests of their own (test_main.py,
and the README among the pages).
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

POSSIBLE = sys.platform == "linux"
"""Whether programs may be forked here; elsewhere they are started from nothing."""

READ_FIRST = (
    "altair", "argon2", "great_tables", "pandas", "polars", "pyarrow.parquet", "pyfixest", "scipy.optimize", "scipy.stats",
    "sqlalchemy.dialects.sqlite", "statsmodels.api", "typst", "xlsxwriter",
)  # fmt: skip
"""What commands import where they need it."""

# Isolated and without site: it starts in a hundredth of a second. `{server}` is the address of the server.
CLIENT = """
import array, json, os, signal, socket, sys
place, name = sys.argv[1:3]
with socket.socket(socket.AF_UNIX) as server:
    server.connect(place)
    said = json.dumps([name, sys.argv[3:], os.getcwd(), dict(os.environ)]).encode()
    files = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
    server.sendmsg([len(said).to_bytes(8, "big")], files)
    server.sendall(said)
    answer = server.recv(8)
status = int(answer) if answer else 70
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@contextmanager
def programs(folder: Path) -> Iterator[None]:
    """Put clients for `medfloor` and `python` into a folder; their server lives as long as the block."""
    # Beside, because the address of a socket has a hundred letters at most.
    home = Path(tempfile.mkdtemp(prefix="medfloor-warm-"))
    (folder / "client.py").write_text(CLIENT)
    for name in ("medfloor", "python"):
        client = folder / name
        client.write_text(f'#!/bin/sh\nexec {sys.executable} -ISE {folder}/client.py {home}/socket {name} "$@"\n')
        client.chmod(0o755)
    log = home / "log"
    with log.open("wb") as said:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        server = subprocess.Popen(
            [sys.executable, __file__, str(home / "socket")], env=environment, stdin=subprocess.DEVNULL, stdout=said,
            stderr=said, start_new_session=True,
        )  # fmt: skip
    try:
        ends = time.monotonic() + 120
        while not (home / "ready").exists():
            assert server.poll() is None and time.monotonic() < ends, log.read_text("utf-8", "replace")[-3000:]
            time.sleep(0.02)
        yield
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(home)


def _serve(place: Path) -> None:
    """Read the modules, then fork for each program that is asked for, for ever."""
    sys.path[0] = ""  # as `python -c` has it
    import medfloor

    for module in pkgutil.walk_packages(medfloor.__path__, "medfloor."):
        if not module.name.startswith("medfloor.service") and not module.name.endswith(("__main__", ".spark")):
            importlib.import_module(module.name)
    for name in READ_FIRST:
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen(16)
        place.with_name("ready").touch()
        while True:
            asked, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _keep(asked)
            asked.close()
            with suppress(ChildProcessError):  # those that ended since
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


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
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(OSError):  # the client may be gone
        asked.sendall(str(status).encode())
    os._exit(0)


def _run(files: list[int], name: str, words: list[str], folder: str, environment: dict[str, str]) -> None:
    """Be the program, in its folder, with its environment and its open files."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    # Anew, because the old ones know that they were opened on other kinds of files.
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
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
            sys.argv, sys.path[0] = words, str(Path(words[0]).resolve().parent)
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    if isinstance(status, str):
        print(status, file=sys.stderr)
        status = 1
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status or 0)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
