"""A job of survey estimates: mean, ratio and median with errors by strata and clusters, by medfloor and by svy."""

from __future__ import annotations

from typing import Any

import numpy as np
from contest import Columns, Peer

STRATA, CLUSTERS = 30, 1_500


def columns(households: int, seed: int = 5) -> Columns:
    """Make up a sample of households: clusters of villages within strata, weights that differ, spending in yuan."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, CLUSTERS, households)
    consumption = np.exp(rng.normal(10.3, 0.7, households) + rng.normal(0, 0.3, CLUSTERS)[cluster]).round(2)
    return {
        "stratum": cluster % STRATA,
        "psu": cluster,
        "weight": rng.uniform(200, 3_000, households).round(3),
        "oop": (consumption * rng.beta(1, 8, households)).round(2),
        "consumption": consumption,
    }


class Medfloor:
    """From the table to the estimate with its error and interval, design and all."""

    package = "medfloor"
    repeats = 7
    estimate = "mean"

    def ready(self, given: Columns) -> Any:
        import polars as pl

        return pl.DataFrame(given)

    def work(self, made: Any) -> Any:
        from medfloor.measures import Design, survey

        design = Design(weight="weight", strata="stratum", psu="psu")
        if self.estimate == "ratio":
            return survey.ratio(made, value="oop", over="consumption", design=design)
        if self.estimate == "quantile":
            return survey.quantile(made, value="oop", probabilities=[0.5], design=design)
        return survey.mean(made, value="oop", design=design)

    def result(self, worked: Any) -> np.ndarray:
        row = worked.rows.row(0, named=True)
        return np.array([row[name] for name in ("estimate", "se", "low", "high")])


class Svy:
    """The same with the sample and its design made anew each time, as ours is."""

    package = "svy"
    repeats = 7
    estimate = "mean"
    kept = False

    def ready(self, given: Columns) -> Any:
        import polars as pl

        frame = pl.DataFrame(given)
        return self._sample(frame) if self.kept else frame

    def work(self, made: Any) -> Any:
        estimation = (made if self.kept else self._sample(made)).estimation
        if self.estimate == "ratio":
            return estimation.ratio("oop", "consumption")
        return estimation.quantile("oop", p=0.5) if self.estimate == "quantile" else estimation.mean("oop")

    def result(self, worked: Any) -> np.ndarray:
        row = worked.to_polars().row(0, named=True)
        return np.array([row[name] for name in ("est", "se", "lci", "uci")])

    def _sample(self, frame: Any) -> Any:
        import svy

        return svy.Sample(frame, svy.Design(wgt="weight", stratum="stratum", psu="psu"))


ESTIMATES = ("mean", "ratio", "quantile")
_KINDS: dict[str, tuple[type[Any], str, dict[str, Any]]] = {
    "medfloor": (Medfloor, "medfloor", {}),
    "svy": (Svy, "svy", {}),
    "svy-kept": (Svy, "svy, its sample kept", {"kept": True}),
}
PEERS: dict[str, type[Peer]] = {
    f"{estimate}-{name}": type(name, (kind,), {"estimate": estimate} | more)
    for estimate in ESTIMATES
    for name, (kind, _, more) in _KINDS.items()
}
NAMES = {
    f"{estimate}-{name}": f"{estimate}, {label}" for estimate in ESTIMATES for name, (_, label, _) in _KINDS.items()
}
PAIRS = {name: f"{name.partition('-')[0]}-medfloor" for name in PEERS if not name.endswith("medfloor")}
"""Against which of ours an estimate is held."""
