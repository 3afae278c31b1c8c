"""Estimators of evaluation against the libraries alone, on a made-up panel of about 50,000 household-waves."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from contest import Peer
from estimators import DiffDiff, Pyfixest, Staggered, TwoWay
from timing import table

HOMES = int(os.environ.get("MEDFLOOR_HOMES", "7_150"))
WAVES = tuple(range(2010, 2024, 2))
CITIES, PROVINCES = 160, 27


def main() -> None:
    """Print the times and their ratios; each pair is timed in turns, because the machine is shared."""
    panel = made_panel()
    table(
        f"Evaluation of a panel of {panel.height:,} household-waves",
        [
            ["what", "seconds", "library alone", "ratio", "asked"],
            _pair(panel, TwoWay, Pyfixest, "two-way fixed effects"),
            _pair(panel, Staggered, DiffDiff, "Callaway-Sant'Anna"),
            _placebo(panel),
            *_wild(panel),
        ],
    )


def made_panel(homes: int = HOMES, seed: int = 1) -> pl.DataFrame:
    """Make a panel whose cities come under a policy in different waves."""
    rng = np.random.default_rng(seed)
    home, wave = np.repeat(np.arange(homes), len(WAVES)), np.tile(WAVES, homes)
    city = home % CITIES
    start = rng.choice([*WAVES[1:6], 9999], CITIES)[city]
    covered = (wave >= start).astype(float)
    age = rng.normal(45, 12, len(home))
    outcome = rng.normal(size=homes)[home] + 0.1 * covered + 0.01 * age + rng.normal(size=len(home))
    return pl.DataFrame(
        {"home": home, "wave": wave, "city": city, "province": city % PROVINCES, "covered": covered,
         "start": np.where(start == 9999, 0, start), "age": age, "outcome": outcome}
    )  # fmt: skip


def in_turns(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = 7) -> tuple[float, float]:
    """Give the least seconds of both, run in turns, after one run that compiles and imports."""
    import time

    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for work, kept in zip((ours, theirs), times, strict=True):
            before = time.perf_counter()
            work()
            if number:
                kept.append(time.perf_counter() - before)
    return min(times[0]), min(times[1])


def _pair(panel: pl.DataFrame, ours: type[Peer], theirs: type[Peer], what: str) -> list[str]:
    given = {name: panel[name].to_numpy() for name in panel.columns}
    our, their = ours(), theirs()
    mine, other = our.ready(given), their.ready(given)
    seconds, library = in_turns(lambda: our.work(mine), lambda: their.work(other))
    return [what, f"{seconds:.3f}", f"{library:.3f}", f"{seconds / library:.2f}", "1.3"]


def _placebo(panel: pl.DataFrame) -> list[str]:
    import time

    from medfloor.evaluation import placebo

    before = time.perf_counter()
    placebo(
        panel, outcome="outcome", start="start", unit="home", time="wave", cluster="city", covariates=["age"],
        permutations=500,
    )  # fmt: skip
    return ["placebo, 500 permutations", f"{time.perf_counter() - before:.2f}", "-", "-", "under 10 s"]


def _wild(panel: pl.DataFrame) -> list[list[str]]:
    import time

    from medfloor.evaluation import wild_bootstrap

    rows = []
    for cluster in ("province", "city"):
        before = time.perf_counter()
        wild_bootstrap(
            panel, outcome="outcome", treatment="covered", covariates=["age"], unit="home", time="wave",
            cluster=cluster, draws=999,
        )  # fmt: skip
        seconds = time.perf_counter() - before
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        clusters = panel[cluster].n_unique()
        what = f"wild bootstrap, 999 draws, {clusters} clusters (peak of the process {most:.2f} GB)"
        rows.append([what, f"{seconds:.2f}", "-", "-", "under 10 s, 1 GB"])
    return rows


if __name__ == "__main__":
    main()
