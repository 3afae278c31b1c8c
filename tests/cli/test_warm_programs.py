"""Programs that are forked do what programs do that are started, and none of them outlives who asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import warm_programs

pytestmark = pytest.mark.skipif(not warm_programs.POSSIBLE, reason="programs are forked on Linux only")

TELLS = """
import os, signal, sys
mask = os.umask(0)
print(sys.argv, os.getcwd(), oct(mask), os.environ.get("SAID"), __name__, __file__, sys.path[0], sys.stdin.read())
print(signal.getsignal(signal.SIGINT), sys.stdout.isatty(), sys.stdout.encoding, "错", file=sys.stderr)
sys.exit(eval(os.environ.get("EXIT", "0")))
"""


def eventually(what: Callable[[], bool]) -> bool:
    ends = time.monotonic() + 20
    while not what() and time.monotonic() < ends:
        time.sleep(0.02)
    return what()


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def warm(program_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a PATH with programs out of a server that has read nothing before."""
    folder = tmp_path_factory.mktemp("some programs")  # also where a folder has a blank in its name
    with warm_programs.programs(folder, Path(program_path.partition(os.pathsep)[0]), read=()):
        yield f"{folder}{os.pathsep}{os.environ['PATH']}"


def told(command: str, path: str, folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}, timeout=60,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "command",
    [
        "echo in | SAID=x python tells.py 'a b' '' \"c'd\"",
        "umask 027 && python tells.py < /dev/null > out; echo $?; cat out",
        "cd sub && python ../tells.py < /dev/null",
        "EXIT=7 python tells.py < /dev/null",
        "EXIT=\"'words'\" python tells.py < /dev/null",
        "EXIT=None python tells.py < /dev/null",
        "python ends.py; echo $?",
        "python missing.py 2> /dev/null || echo not there",
        "python -c 'import os; print(os.getcwd())' && python -m calendar 2024 2 && echo 'print(1)' | python",
        "XDG_CACHE_HOME=$PWD/cache python cache.py",
    ],
)
def test_a_forked_program_does_what_a_started_one_does(
    command: str, warm: str, program_path: str, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "tells.py").write_text(TELLS, encoding="utf-8")
    (tmp_path / "ends.py").write_text("import os\nos.kill(os.getpid(), 9)\n", encoding="utf-8")
    cache = "import sys, medfloor.jit\nassert 'pkgutil' not in sys.modules\nprint(medfloor.jit.cache_folder())\n"
    (tmp_path / "cache.py").write_text(cache, encoding="utf-8")
    assert told(command, warm, tmp_path) == told(command, program_path, tmp_path)


def test_programs_are_forked_unless_something_differs_that_is_read_at_start(
    warm: str, program_path: str, tmp_path: Path
) -> None:
    (tmp_path / "asks.py").write_text("import sys\nprint('pkgutil' in sys.modules)\n", encoding="utf-8")
    assert told("python asks.py", program_path, tmp_path) == (0, "False\n")
    assert told("SAID=x python asks.py", warm, tmp_path) == (0, "True\n")
    for other in ("POLARS_MAX_THREADS=1", "HOME=$PWD", "PYTHONHASHSEED=1", "LC_ALL=C"):
        assert told(f"{other} python asks.py", warm, tmp_path) == (0, "False\n")


def test_a_program_ends_with_its_client(warm: str, tmp_path: Path) -> None:
    (tmp_path / "sleeps.py").write_text(
        "import os, pathlib, time\npathlib.Path('at').write_text(str(os.getpid()))\npathlib.Path('on').touch()\n"
        "time.sleep(600)\n",
        encoding="utf-8",
    )
    with subprocess.Popen(["python", "sleeps.py"], cwd=tmp_path, env={**os.environ, "PATH": warm, "LC_ALL": "C.UTF-8"},
                          executable=f"{warm.partition(os.pathsep)[0]}/python") as client:  # fmt: skip
        assert eventually((tmp_path / "on").exists)
        program = int((tmp_path / "at").read_text())
        assert alive(program) and program != client.pid
        client.send_signal(signal.SIGKILL)
    assert eventually(lambda: not alive(program))


def test_no_server_outlives_who_started_it(program_path: str, tmp_path: Path) -> None:
    """Also where that had no time to say so."""
    folder = tmp_path / "warm"
    folder.mkdir()
    started = program_path.partition(os.pathsep)[0]
    code = f"""
import os, pathlib, signal, subprocess, sys
import warm_programs
with warm_programs.programs(pathlib.Path({str(folder)!r}), pathlib.Path({started!r}), read=()):
    pathlib.Path("sleeps.py").write_text("import os, time; print(os.getpid(), os.getppid(), flush=True); time.sleep(600)")
    running = subprocess.Popen([{str(folder / "python")!r}, "sleeps.py"], stdout=subprocess.PIPE)
    home = pathlib.Path({str(folder / "python")!r}).read_text().split()[5]
    program, keeper = running.stdout.readline().decode().split()
    print(home, program, keeper, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, encoding="utf-8", timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(warm_programs.__file__).parent), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    home, program, keeper = done.stdout.split()
    assert eventually(lambda: not Path(home).exists())
    assert eventually(lambda: not alive(int(program)) and not alive(int(keeper)))


def test_a_server_in_which_a_thread_runs_is_refused(
    program_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program forked from it would wait for that thread for ever."""
    pool = "import polars as pl\npl.DataFrame({'a': range(9)}).lazy().group_by('a').len().collect()\n"
    (tmp_path / "pooled.py").write_text(pool, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    started = Path(program_path.partition(os.pathsep)[0])
    with (
        pytest.raises(AssertionError, match="modules started threads"),
        warm_programs.programs(tmp_path, started, read=("pooled",)),
    ):
        pass
