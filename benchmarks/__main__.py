"""Run the benchmarks and print their tables: `python benchmarks` (all), or `python benchmarks kernel peers`."""

from __future__ import annotations

import importlib
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
)


def main() -> None:
    """Run those named, or all; each prints ratios that were measured in one run."""
    print(f"{date.today()}, {machine()}")
    for name in sys.argv[1:] or NAMES:
        importlib.import_module(name).main()


if __name__ == "__main__":
    main()
