"""Time first use: help, the demo before and after anything was compiled, and a file large enough for the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from made_up import claims_and_people
from timing import table


def seconds(arguments: list[str], cache: str, runs: int) -> float:
    """Give the shortest wall time of a command."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "medfloor.cli.main", *arguments],
            check=True,
            capture_output=True,
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
        )
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print the table."""
    rows = [["command", "seconds"]]
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = f"{folder}/cold", f"{folder}/warm"
        claims, people, spells = claims_and_people(50_000, 10_000)
        for name, frame in (("claims", claims), ("people", people), ("spells", spells)):
            frame.write_csv(Path(folder) / f"{name}.csv")
        settle = ["settle", f"{folder}/claims.csv", "--people", f"{folder}/people.csv", "--spells"]
        settle += [f"{folder}/spells.csv", "--policy", "cn/beijing", "--out", f"{folder}/out.csv"]
        demo = ["demo", "--out", f"{folder}/demo"]
        rows.append(["medfloor --help", f"{seconds(['--help'], warm, 5):.2f}"])
        rows.append(["medfloor demo, nothing compiled", f"{seconds(demo, cold, 3):.2f}"])
        rows.append(["medfloor settle, 50,000 claims, nothing compiled", f"{seconds(settle, warm, 1):.2f}"])
        rows.append(["medfloor settle, 50,000 claims, compiled", f"{seconds(settle, warm, 3):.2f}"])
        rows.append(["medfloor demo, compiled", f"{seconds(demo, warm, 3):.2f}"])
    table("First use", rows)


if __name__ == "__main__":
    main()
