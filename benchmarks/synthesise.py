"""A made-up county of a million people: time and memory of a fresh process, against what was asked."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time

from timing import table

SIZE = int(os.environ.get("MEDFLOOR_COUNTY", "1_000_000"))


def main() -> None:
    """Print how long it takes and how much memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        made, busy, settled, memory, claims = pool.apply(_made)
    table(
        f"A made-up county of {SIZE:,} people, {claims:,} claims",
        [
            ["work", "seconds", "of processors, seconds", "peak, GB", "asked"],
            ["synthesise", f"{made:.1f}", f"{busy:.1f}", f"{memory:.2f}", "≤ 20 s, ≤ 3 GB"],
            ["settle it and hold it against published ratios", f"{settled:.1f}", "-", "-", "-"],
        ],
    )


def _made() -> tuple[float, float, float, float, int]:
    from medfloor.simulation.validate import validate
    from medfloor.synthetic import synthesise

    start, before = time.perf_counter(), time.process_time()
    county = synthesise(SIZE, seed=1)
    made, busy = time.perf_counter() - start, time.process_time() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    start = time.perf_counter()
    validate(county)
    return made, busy, time.perf_counter() - start, memory, county.claims.height


if __name__ == "__main__":
    main()
