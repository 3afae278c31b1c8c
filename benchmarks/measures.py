"""Measures of ten million made-up households, against one sort and one pass of the same columns; the bootstrap."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from timing import best, table

SIZE = int(os.environ.get("MEDFLOOR_HOUSEHOLDS", "10_000_000"))
THRESHOLDS = (0.05, 0.10, 0.15, 0.25, 0.40)


def households(size: int) -> pl.DataFrame:
    """Make up households: consumption, health spending (three in ten none), weights; no one is real."""
    rng = np.random.default_rng(1)
    consumption = rng.lognormal(10.0, 0.7, size)
    oop = np.where(rng.random(size) < 0.3, 0.0, rng.lognormal(7.0, 1.5, size))
    return pl.DataFrame({"oop": oop, "consumption": consumption, "weight": rng.random(size) + 0.5})


def measure_catastrophic(frame: pl.DataFrame) -> Any:
    from medfloor.measures import catastrophic

    return catastrophic(frame, thresholds=THRESHOLDS, rank_weighted=False)


def measure_concentration(frame: pl.DataFrame) -> Any:
    from medfloor.measures.concentration import concentration

    return concentration(frame, of="oop", rank="consumption", rank_by="household")


def main() -> None:
    """Print ratios of one run."""
    frame = households(SIZE)
    oop, consumption, weight = (frame[name].to_numpy() for name in ("oop", "consumption", "weight"))
    sort, _ = best(lambda: np.argsort(consumption), 3)
    one_pass, _ = best(lambda: np.average(oop > 0.1 * consumption, weights=weight), 5)
    rows = [
        [
            "work on 10 million households" if SIZE == 10**7 else f"work on {SIZE:,} households",
            "seconds",
            "against",
            "ratio",
            "asked",
        ]
    ]
    works: list[tuple[str, Callable[[pl.DataFrame], Any], str, float, str]] = [
        ("concentration index with standard error", measure_concentration, "np.argsort of the column", sort, "6"),
        ("catastrophic spending, five thresholds, errors", measure_catastrophic, "one plain headcount", one_pass, "10"),
    ]
    for name, work, against, seconds, asked in works:
        took, _ = best(lambda work=work: work(frame), 3)  # type: ignore[misc]
        rows.append([name, f"{took:.3f}", f"{against}, {seconds:.3f} s", f"{took / seconds:.1f}", f"≤ {asked}"])
    table("Measures", rows)
    memory = [["work", "columns, MB", "peak, MB", "ratio", "asked"]]
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/households.parquet"
        frame.write_parquet(path)
        for name, work, *_ in works:
            idle, peak = in_a_process(work, path)
            columns = SIZE * 3 * 8 / 1e6
            memory.append([name, f"{columns:.0f}", f"{peak - idle:.0f}", f"{(peak - idle) / columns:.1f}", "≤ 8"])
    table("Memory: peak of a fresh process over that of the same process without data", memory)
    bootstrap()


def in_a_process(work: Callable[[pl.DataFrame], Any], path: str) -> tuple[float, float]:
    """Run some work in a fresh process; give its peak in megabytes before it reads the columns, and at the end."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peaks, (work, path))


def _peaks(work: Callable[[pl.DataFrame], Any], path: str) -> tuple[float, float]:
    work(households(300_000))  # imports and compiled code are not memory of the work
    idle = peak_mb()
    work(pl.read_parquet(path))
    return idle, peak_mb()


def peak_mb() -> float:
    """Give the peak of this process, in megabytes; a child's ru_maxrss would begin with its parent's."""
    with open("/proc/self/status", encoding="utf8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1e3


def bootstrap() -> None:
    """Time 1,000 replicates on 50,000 households, in parallel, against one after the other."""
    from medfloor.measures import Design
    from medfloor.measures.concentration import concentration

    frame = households(50_000)
    start = time.perf_counter()
    once = concentration(frame, of="oop", rank="consumption", rank_by="household")
    single = time.perf_counter() - start
    start = time.perf_counter()
    design = Design(weight="weight", method="bootstrap", replicates=1_000)
    many = concentration(frame, of="oop", rank="consumption", rank_by="household", design=design)
    took = time.perf_counter() - start
    table(
        "Bootstrap of 1,000 replicates on 50,000 households (concentration index)",
        [
            ["errors", "seconds", "standard error"],
            ["linearised", f"{single:.3f}", f"{once.pick('concentration_index').se:.6f}"],
            ["bootstrap, all processors", f"{took:.2f}", f"{many.pick('concentration_index').se:.6f}"],
        ],
    )


if __name__ == "__main__":
    main()
