"""Time the first use of every command: its help, and a small job with nothing compiled and with all caches there.

`python benchmarks/start.py [--only WORD] [--no-cold] [--once]` walks the tree of commands, so that none is forgotten.

- *cold*: a new process; no byte code of medfloor's modules, no code compiled by numba, no cache of ours. The byte code
  of Python's own library and of installed packages is there, as pip leaves it; files may lie in the system's memory.
- *warm*: the second run with the caches that the first one left, at the same data.
- *help*: `--help`, warm.

Both the clock and the processors' time are measured. The machine is shared, so that a command is judged by the lesser
of both: work of one thread takes no longer on a quiet machine. `times` is the processors' time over that of
`python -c "import polars, numpy"`, measured between the commands of the same run. Exit code 1: something is above its
limit.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import click
from first_use import CASES, PLACES, SECRETS, Case
from timing import machine, table

from medfloor.cli.main import program

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {"help": 0.3, "warm": 1.5, "cold": 3.0}
"""Seconds that are asked for."""

BARE = "import polars, numpy"


@dataclass(frozen=True)
class Taken:
    """Be what a run took: seconds by the clock and of the processors, and its exit code."""

    clock: float
    processors: float
    code: int

    @property
    def judged(self) -> float:
        """Give the lesser of both."""
        return min(self.clock, self.processors)


@dataclass
class Measured:
    """Be what was measured of a command, each beside the bare import next to it."""

    name: str
    note: str
    help: Taken
    bare: Taken
    cold: Taken | None = None
    warm: Taken | None = None
    above: list[str] = field(default_factory=list)


class Caches:
    """Be two sets of caches below a folder: `warm`, kept over runs, and `cold`, made new for each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def warm(self) -> dict[str, str]:
        """Give an environment with caches that are kept."""
        return self._environment(self.folder / "warm")

    def cold(self) -> dict[str, str]:
        """Give an environment whose caches are empty, but for the byte code of everything that is not medfloor's."""
        new = self.folder / "cold"
        shutil.rmtree(new, ignore_errors=True)
        here, there = new / "bytes", self.folder / "warm" / "bytes"
        for part in (ROOT / "src" / "medfloor").parts[1:]:
            here.mkdir(parents=True)
            for one in there.iterdir() if there.is_dir() else ():
                if one.name != part:
                    (here / one.name).symlink_to(one)
            here, there = here / part, there / part
        return self._environment(new)

    def _environment(self, caches: Path) -> dict[str, str]:
        """Give an environment whose caches lie in a folder."""
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        for key in [key for key in kept if key.startswith("MEDFLOOR_")]:
            del kept[key]
        return {
            **kept,
            **SECRETS,
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONPYCACHEPREFIX": str(caches / "bytes"),
            "NUMBA_CACHE_DIR": str(caches / "numba"),
            "XDG_CACHE_HOME": str(caches / "cache"),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }

    def write_programs(self) -> None:
        """Write `medfloor` and `python` for shells."""
        (self.folder / "bin").mkdir()
        for name, words in (("medfloor", "-m medfloor.cli.main"), ("python", "")):
            file = self.folder / "bin" / name
            file.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            file.chmod(0o755)


def leaves(command: click.Command, context: click.Context, path: tuple[str, ...] = ()) -> list[str]:
    """List every command that is not a group."""
    if not isinstance(command, click.Group):
        return [" ".join(path)]
    found: list[str] = []
    for name in command.list_commands(context):
        one = command.get_command(context, name)
        if one is not None:
            found += leaves(one, click.Context(one, info_name=name, parent=context), (*path, name))
    return found


def block_of(page: str, number: int) -> str:
    """Give a Python block of a page as a program; a session's answers are left out."""
    text = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)[number]
    if ">>>" not in text:
        return str(text)
    return "\n".join(line[4:] for line in text.splitlines() if line[:4] in (">>> ", "... "))


def fill(name: str, folder: Path, caches: Caches) -> Path:
    """Fill the folder of a place, once."""
    here = folder / name
    if here.is_dir():
        return here
    place = PLACES[name]
    if place.after:
        shutil.copytree(fill(place.after, folder, caches), here, symlinks=True)
    else:
        here.mkdir()
        (here / "examples").symlink_to(ROOT / "examples")
    for file, text in place.files:
        (here / file).write_text(text, encoding="utf-8")
    calls = [[sys.executable, "-c", block_of(*page)] for page in place.pages]
    calls += [["sh", "-c", command] for command in place.commands]
    for call in calls:
        done = subprocess.run(call, cwd=here, env=caches.warm(), capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{name}: {call[-1]} ended with {done.returncode}: {done.stderr}")
    return here


def timed(call: list[str], folder: Path, environment: dict[str, str], serves: bool = False) -> Taken:
    """Run a program to its end, or until it answers, and give what it and its children took."""
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        with subprocess.Popen(
            call, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        ) as run:
            clock = 0.0
            if serves:
                wait_for_answer(said.name if isinstance(said.name, str) else f"/proc/self/fd/{said.fileno()}")
                clock = time.perf_counter() - start
                run.send_signal(signal.SIGTERM)
            _, status, used = os.wait4(run.pid, 0)
            clock = clock or time.perf_counter() - start
            run.returncode = os.waitstatus_to_exitcode(status)
        if run.returncode not in (0, 1):
            said.seek(0)
            print(f"{call[-1]} ended with {run.returncode}: {said.read()}", file=sys.stderr)
    return Taken(clock, used.ru_utime + used.ru_stime, run.returncode)


def wait_for_answer(log: str) -> None:
    """Wait until a service whose address stands in a log answers anything."""
    until = time.monotonic() + 60
    address = None
    while time.monotonic() < until:
        text = Path(log).read_text(encoding="utf-8")
        address = re.search(r"http://127\.0\.0\.1:\d+", text)
        if address:
            try:
                urllib.request.urlopen(address[0] + "/", timeout=30).close()
            except urllib.error.HTTPError:
                return
            except OSError:
                pass
            else:
                return
        time.sleep(0.01)
    raise SystemExit(f"the service did not answer: {log}")


def measure(name: str, case: Case, folder: Path, caches: Caches, cold: bool, again: bool) -> Measured:
    """Measure one command: bare import, help, cold, a first run that fills the caches, and the second."""
    place = fill(case.place, folder, caches)
    python = [sys.executable, "-m", "medfloor.cli.main"]
    helped = timed([*python, *name.split(), "--help"], place, caches.warm())
    bare = timed([sys.executable, "-c", BARE], place, caches.warm())
    call = ["sh", "-c", f'exec "{sys.executable}" -m medfloor.cli.main {case.line}']

    def once(environment: dict[str, str]) -> Taken:
        with tempfile.TemporaryDirectory(dir=folder) as copy:
            shutil.copytree(place, copy, symlinks=True, dirs_exist_ok=True)
            return timed(call, Path(copy), environment, case.serves)

    first = once(caches.warm()) if again else None
    warm = once(caches.warm())
    made = Measured(name, case.note, helped, bare, once(caches.cold()) if cold else None, warm)
    if first and first.judged < warm.judged:
        made.warm = first
    if warm.code not in ((2,) if case.refused else (0, 1)):
        made.above.append(f"exit {warm.code}")
    for kind, taken in (("help", made.help), ("warm", made.warm), ("cold", made.cold)):
        if taken and taken.judged > LIMITS[kind]:
            made.above.append(kind)
    return made


def row_of(one: Measured) -> list[str]:
    """Give a row of the table."""

    def both(taken: Taken | None) -> list[str]:
        return [f"{taken.clock:.2f}", f"{taken.processors:.2f}"] if taken else ["", ""]

    times = f"{one.warm.processors / one.bare.processors:.1f}" if one.warm else ""
    return [one.name, one.note, *both(one.warm), times, *both(one.cold), f"{one.help.judged:.2f}", ", ".join(one.above)]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the table, slowest first; exit with 1 where something is above its limit."""
    asked = argparse.ArgumentParser(description="Time the first use of every command.")
    asked.add_argument("--only", default="", help="commands whose name matches this pattern")
    asked.add_argument("--no-cold", action="store_true", help="leave the cold runs out")
    asked.add_argument("--once", action="store_true", help="one warm run, where the caches were filled before")
    asked.add_argument("--keep", metavar="FOLDER", help="keep caches and folders of data here, and use those there")
    options = asked.parse_args(arguments)
    names = leaves(program, click.Context(program))
    missing = set(names) ^ set(CASES)
    if missing:
        raise SystemExit(f"first_use.py and the program differ in: {', '.join(sorted(missing))}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary).absolute()
        folder.mkdir(exist_ok=True)
        caches = Caches(folder)
        if not (folder / "bin").exists():
            caches.write_programs()
        wanted = [name for name in names if re.search(options.only, name)]
        load = os.getloadavg()[0]
        found = []
        for name in wanted:
            found.append(measure(name, CASES[name], folder, caches, not options.no_cold, not options.once))
            print(" | ".join(row_of(found[-1])), file=sys.stderr, flush=True)
    found.sort(key=lambda one: -(one.warm.judged if one.warm else 0))
    heads = ["command", "job", "warm, s", "of processors", f"times `{BARE}`", "cold, s", "of processors", "help, s"]
    table(
        f"First use ({machine()}; load {load:.1f} to {os.getloadavg()[0]:.1f})",
        [[*heads, "above"], *map(row_of, found)],
    )
    if any(one.above for one in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
