"""Time a reform on a made-up county: baseline and reform with five measures, against the kernel alone."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from timing import best, table

from medfloor.settlement.engines import run
from medfloor.simulation import World, aims_of, protection, read_population, scenarios_of

REFORM = Path(__file__).parent.parent / "examples" / "reforms" / "half_deductible.yaml"


def main(people: int = 1_000_000) -> None:
    """Print the table. Five measures: catastrophic spending, poverty, its gap, concentration, Kakwani; with errors."""
    folder = Path(__file__).parent / "out" / f"county-{people}"
    if not folder.is_dir():
        # In a process of its own, so that its memory is not counted here.
        call = [sys.executable, "-m", "medfloor.cli.main", "synthesise", "--people", str(people), "--seed", "1"]
        subprocess.run([*call, "--out", str(folder)], check=False, stdout=subprocess.DEVNULL)
    population = read_population(folder)
    scenarios = scenarios_of("cn/beijing@2024-01-01", [str(REFORM)])
    start = time.perf_counter()
    world = World.of(population, scenarios[0].law)
    prepared = time.perf_counter() - start
    batch = world.batch
    run(batch, "kernel", threads=world.threads)
    kernel, _ = best(lambda: run(batch, "kernel", threads=world.threads), 5)
    world.under(scenarios[1].law)  # what a law asks that asks the same is found once
    both, _ = best(lambda: _reform(world, scenarios))
    peak = _peak()
    outside = world.homes["oop_outside"].to_numpy()
    one, _ = best(lambda: aims_of(world.homes, world.by_home(world.settle(scenarios[1].law).own) + outside, line=1e4))
    rows = [["what", "seconds", "times the kernel"]]
    rows.append([f"kernel alone, {batch.height:,} claims", f"{kernel:.3f}", "1"])
    rows.append(["baseline and reform, five measures with errors", f"{both:.3f}", f"{both / kernel:.1f}"])
    rows.append(["one evaluation of a reform (plain aims)", f"{one:.3f}", f"{one / kernel:.1f}"])
    rows.append(["reading and preparing the population, once", f"{prepared:.1f}", f"{prepared / kernel:.0f}"])
    table(f"A reform on {people:,} made-up people, Beijing's full policy", rows)
    print(f"\nPeak memory of the process, reading and all: {peak / 1e9:.2f} GB.")


def _reform(world: World, scenarios: list) -> None:  # type: ignore[type-arg]
    bills = {str(place): world.settle(one.law) for place, one in enumerate(scenarios)}
    protection(
        world.households(bills),
        [(one.name, "none") for one in scenarios],
        definitions=[("nonfood", 0.4)],
        line=10_000.0,
    )


def _peak() -> float:
    return float(np.multiply(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 1024))


if __name__ == "__main__":
    main()
