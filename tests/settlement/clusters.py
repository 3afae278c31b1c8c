"""Start a real Spark cluster on loopback: a master and two workers, each a process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

SRC = Path(__file__).resolve().parents[2] / "src"


def missing() -> str | None:
    """Say why no cluster can be started here; None where one can."""
    if importlib.util.find_spec("pyspark") is None:
        return "no Spark cluster: pyspark is not installed (pip install -r requirements/spark.txt)"
    if not shutil.which("java") and not os.environ.get("JAVA_HOME"):
        return "no Spark cluster: there is no Java (apt-get install openjdk-17-jre-headless)"
    return None


@dataclass(frozen=True)
class Cluster:
    """Be a running cluster: its address, and the processes of its workers."""

    address: str
    workers: tuple[int, ...]

    def executors(self) -> list[psutil.Process]:
        """List the executors that run now, a Java process each."""
        found = []
        for pid in self.workers:
            for child in psutil.Process(pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):  # Python workers come and go
                    if "CoarseGrainedExecutorBackend" in " ".join(child.cmdline()):
                        found.append(child)
        return found


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Run a master and two workers of one processor and 1 GB each, until the block ends."""
    import pyspark

    program = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
    path = os.pathsep.join(filter(None, (str(SRC), os.environ.get("PYTHONPATH"))))
    place = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(folder), "PYTHONPATH": path}
    place |= {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
    }
    env = {**os.environ, **place}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"spark://127.0.0.1:{port}"
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("wb") as log:
            command = [program, *arguments, "--webui-port", "0"]
            process = subprocess.Popen(
                command, env=env, stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_us
            )
        processes.append(process)
        return process

    try:
        start("master", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port))
        workers = []
        for name in ("one", "two"):
            worker = ("org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g")
            workers.append(start(name, *worker, "--work-dir", str(folder / name), address).pid)
        _wait(folder, ("one", "two"))
        yield Cluster(address, tuple(workers))
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)


def _end_with_us() -> None:
    """Ask the system to end a process when the one that started it is gone, also by signal 9; on Linux only."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _wait(folder: Path, names: tuple[str, ...], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if all("Successfully registered with master" in (folder / f"{name}.log").read_text() for name in names):
            return
        time.sleep(0.2)
    raise TimeoutError(f"the workers did not reach the master in {seconds} s; their logs are in {folder}")
