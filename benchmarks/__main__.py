"""Run the benchmarks and print their tables: `python benchmarks` (all), or `python benchmarks kernel peers`.

Each has a process of its own, so that what one has loaded or held is not measured with another. One that ends with an
error (something took longer than asked for, a program is not installed) is named at the end; the exit code is then 1.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from timing import machine

NAMES = (
    "start",
    "single",
    "peers",
    "kernel",
    "files",
    "scale",
    "country",
    "measures",
    "synthesise",
    "simulate",
    "optimise",
    "evaluate",
    "fund",
    "watch",
    "office",
    "ledger",
    "pages",
    "spark",
)
SMALLER = {"office": ("--seconds", "5", "--settlements", "2000")}
"""`just load` does more."""


def main() -> None:
    """Run those named, or all, each in a process of its own; each prints ratios that were measured in one run."""
    wanted = sys.argv[1:] or NAMES
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        raise SystemExit(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    print(f"{date.today()}, {machine()}", flush=True)
    ended = []
    for name in wanted:
        file = Path(__file__).with_name(f"{name}.py")
        if subprocess.run([sys.executable, file, *SMALLER.get(name, ())], check=False).returncode:
            ended.append(name)
    if ended:
        raise SystemExit(f"ended with an error, or slower than asked for: {', '.join(ended)}")


if __name__ == "__main__":
    main()
