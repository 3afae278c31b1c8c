"""Two jobs of evaluation: the libraries alone beside medfloor, which works with them, on the panel of evaluate.py."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from contest import Columns, Peer


class TwoWay:
    """medfloor's two-way fixed effects with errors by city, with all that it checks and tells beside."""

    package = "medfloor"
    repeats = 7

    def ready(self, given: Columns) -> Any:
        import polars as pl

        return pl.DataFrame(given)

    def work(self, made: Any) -> Any:
        from medfloor.evaluation import two_way_fixed_effects

        return two_way_fixed_effects(
            made, outcome="outcome", treatment="covered", covariates=["age"], unit="home", time="wave", cluster="city"
        )

    def result(self, worked: Any) -> np.ndarray:
        found = worked.pick("covered")
        return np.array([found.estimate, found.se])


class Pyfixest:
    """The same regression by `feols` alone."""

    package = "pyfixest"
    repeats = 7

    def ready(self, given: Columns) -> Any:
        import pandas as pd

        return pd.DataFrame(given)

    def work(self, made: Any) -> Any:
        import pyfixest

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pyfixest.feols("outcome ~ covered + age | home + wave", made, vcov={"CRV1": "city"})

    def result(self, worked: Any) -> np.ndarray:
        return np.array([worked.coef()["covered"], worked.se()["covered"]])


class Staggered(TwoWay):
    """medfloor's Callaway-Sant'Anna with all its averages; two-way fixed effects and their weights are beside it."""

    def work(self, made: Any) -> Any:
        from medfloor.evaluation import staggered

        return staggered(
            made, outcome="outcome", start="start", unit="home", time="wave", cluster="city",
            estimators=["callaway_santanna"],
        )  # fmt: skip

    def result(self, worked: Any) -> np.ndarray:
        found = worked.pick("att", model="callaway_santanna")
        return np.array([found.estimate, found.se])


class DiffDiff(Pyfixest):
    """The same estimator by diff-diff alone, with the averages by event time and by group."""

    package = "diff-diff"

    def ready(self, given: Columns) -> Any:
        made = super().ready(given)
        first = made["wave"].min()
        made["first"] = np.where(made["start"] > 0, (made["start"] - first) // 2 + 1, 0)
        made["period"] = (made["wave"] - first) // 2 + 1
        return made

    def work(self, made: Any) -> Any:
        from diff_diff import CallawaySantAnna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = CallawaySantAnna(cluster="city").fit(made, "outcome", "home", "period", "first")
            for way in ("event_study", "group"):
                fit.aggregate(way)
            return fit

    def result(self, worked: Any) -> np.ndarray:
        return np.array([worked.overall_att, worked.overall_se])


PEERS: dict[str, type[Peer]] = {
    "two-way": TwoWay,
    "pyfixest": Pyfixest,
    "staggered": Staggered,
    "diff-diff": DiffDiff,
}
NAMES = {
    "two-way": "medfloor, two-way fixed effects",
    "pyfixest": "pyfixest alone",
    "staggered": "medfloor, Callaway-Sant'Anna",
    "diff-diff": "diff-diff alone",
}
PAIRS = {"pyfixest": "two-way", "diff-diff": "staggered"}
"""Against which of ours a library is held."""
