"""One evaluation inside optimise against the kernel alone, on made-up counties."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from timing import table

SIZES = tuple(int(one) for one in os.environ.get("MEDFLOOR_PACKAGES", "50_000 1_000_000").split())
LEVERS = Path(__file__).parents[1] / "examples" / "optimise" / "resident.toml"


def main() -> None:
    """Print the times and their ratio."""
    table(
        "A package tried inside optimise: six numbers move, all aims are measured",
        [
            ["people", "claims", "kernel alone, ms", "asking the law, ms", "whole evaluation, ms", "ratio", "asked"],
            *(_row(size) for size in SIZES),
        ],
    )


def _row(size: int) -> list[str]:
    from medfloor.settlement.engines import run
    from medfloor.simulation import World, fresh_populations, read_levers, scenario
    from medfloor.simulation.trial import Trial
    from medfloor.synthetic import shipped_place

    base = scenario(shipped_place().policy_address)
    world = World.of(next(fresh_populations(1, size, seed=1)), base.law)
    trial = Trial.of(world, read_levers(LEVERS, base.law.policies))
    point = trial.levers.start()
    trial.figures(trial.batch(point))
    kernel = _least(lambda: run(world.batch, "kernel", threads=world.threads))
    asking = _least(lambda: trial.batch(point))
    whole = _least(lambda: trial.figures(trial.batch(point)))
    return [
        f"{size:,}", f"{world.batch.height:,}", f"{1000 * kernel:.1f}", f"{1000 * asking:.1f}", f"{1000 * whole:.1f}",
        f"{whole / kernel:.2f}", "≤ 3" if size >= 1_000_000 else "-",
    ]  # fmt: skip


def _least(work: Callable[[], object], times: int = 9) -> float:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


if __name__ == "__main__":
    main()
