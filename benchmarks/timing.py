"""Time functions in one process and print tables of ratios."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def best(work: Callable[[], Any], runs: int = 3) -> tuple[float, Any]:
    """Give the shortest time of several runs in seconds, and what the last one gave."""
    times = []
    result = None
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


def copy_seconds(size: int) -> float:
    """Give the time of one numpy copy of so many bytes."""
    source = np.ones(size // 8, np.int64)
    target = np.empty_like(source)
    return best(lambda: np.copyto(target, source), 5)[0]


def table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    print(f"\n### {title}\n")
    for number, row in enumerate(rows):
        print("| " + " | ".join(row) + " |")
        if number == 0:
            print("|" + "---|" * len(row))


def machine() -> str:
    """Say what machine this is, without its name."""
    import os

    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf8") as info:
            model = next(line.split(":")[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {len(os.sched_getaffinity(0))} processors, Python {platform.python_version()}"
