"""Synthetic fits, one for each kind of figure; none of their numbers was estimated anywhere."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from medfloor.evaluation.result import Drop, Fit, estimates, inference
from medfloor.words import Phrase

# Any sentences of the catalogue do; long ones test that they are broken.
EQUATION = Phrase.of("catastrophic.dollars")
ERRORS = Phrase.of("weight.rows")


def fit(rows: list[dict[str, object]], method: str = "fixed-effects", **more: Any) -> Fit:
    """Make a fit of rows; intervals follow from the standard errors."""
    full = [
        {"model": "twfe", "outcome": "poor", "rows": 21_900, "units": 7_150, "clusters": 160, **row}
        | inference(float(str(row["estimate"])), float(str(row.get("se", math.nan))))
        for row in rows
    ]
    given: dict[str, Any] = {
        "facts": {"rows": 21_900, "r2": 0.7312},
        "drops": (Drop("missing", 412, 33, "poor"), Drop("singleton", 1_204, 1_204)),
        "shows": (Phrase.of("catastrophic.dollars"),),
        "not_shown": (Phrase.of("catastrophic.dollars"),),
        "sources": ("A made-up paper (2026)",),
        **more,
    }
    return Fit(method, estimates(full), EQUATION, ERRORS, **given)


def one() -> Fit:
    return fit([{"term": "covered", "estimate": -0.038, "se": 0.012}])


def several() -> Fit:
    names = ["covered", "household size & co_residents", "年龄", "i.region=the west of the country with a long name"]
    rows: list[dict[str, object]] = [
        {"term": name, "estimate": -0.04 + 0.03 * place, "se": 0.015} for place, name in enumerate(names)
    ]
    return fit([*rows, {"term": "nothing known", "estimate": math.nan}])


def estimators() -> Fit:
    models = ("twfe", "callaway_santanna", "imputation")
    return fit(
        [
            {"term": term, "model": model, "estimate": 0.1 + 0.02 * place, "se": 0.02}
            for term in ("att", "covered")
            for place, model in enumerate(models)
        ]
    )


def event_study() -> Fit:
    return fit(
        [
            {"term": "event", "at": float(at), "model": model, "estimate": 0.02 * max(0, at + 1) + push, "se": 0.012}
            for model, push in (("event_study", 0.0), ("sun_abraham", 0.004))
            for at in (-4, -3, -2, 0, 1, 2, 3)
        ],
        "event-study",
    )


def quantiles() -> Fit:
    return fit(
        [
            {"term": term, "at": q, "model": "quantile", "estimate": 0.4 + 0.3 * q, "se": 0.03}
            for term in ("income", "age", "constant")
            for q in (0.1, 0.25, 0.5, 0.75, 0.9)
        ],
        "quantile",
    )


def placebo() -> Fit:
    draws = [0.001 * ((7 * i) % 41 - 20) for i in range(200)]
    return fit(
        [{"term": "covered", "estimate": -0.038, "se": 0.012}],
        "placebo",
        curves={"placebo": pl.DataFrame({"estimate": draws})},
    )


def balance() -> Fit:
    table = pl.DataFrame(
        {
            "covariate": ["age", "educ", "black", "i.region=a long name that has to be broken in two", "re74"],
            "before": [-0.31, 0.05, 1.76, 0.2, -0.72],
            "after": [0.02, 0.09, 0.3, None, -0.1],
        }
    )
    return fit([{"term": "att", "estimate": 1_200.0, "se": 700.0}], "match", tables={"balance": table})


def cutoff() -> Fit:
    x = [-9.0, -7.0, -5.0, -3.0, -1.0, 1.0, 3.0, 5.0, 7.0, 9.0]
    side = ["below" if one < 0 else "above" for one in x]
    y = [0.3 + 0.01 * one - (0.1 if one > 0 else 0) for one in x]
    bins = pl.DataFrame({"side": side, "x": x, "y": y, "n": [20 + 3 * i for i in range(10)]})
    line = pl.DataFrame({"side": side, "x": x, "y": y, "low": [v - 0.03 for v in y], "high": [v + 0.03 for v in y]})
    rows: list[dict[str, object]] = [{"term": "jump", "estimate": -0.1, "se": 0.02}]
    return fit(rows, "discontinuity", curves={"bins": bins, "line": line}, facts={"cutoff": 0.0})


def comparisons() -> Fit:
    kinds = ["treated_vs_never", "earlier_vs_later", "later_vs_earlier"]
    table = pl.DataFrame(
        {
            "kind": [kinds[i % 3] for i in range(12)],
            "treated": [float(i) for i in range(12)],
            "control": [float(i + 1) for i in range(12)],
            "weight": [0.02 * (i % 5 + 1) for i in range(12)],
            "estimate": [0.2 - 0.03 * i for i in range(12)],
        }
    )
    return fit([{"term": "covered", "estimate": 0.05, "se": 0.02}], "bacon", tables={"comparisons": table})


def sensitivity() -> Fit:
    rho = [i / 10 for i in range(-9, 10)]
    values = [0.02 - 0.05 * one for one in rho]
    curve = pl.DataFrame(
        {
            "rho": rho,
            "estimate": values,
            "low": [one - 0.01 for one in values],
            "high": [one + 0.01 for one in values],
        }
    )
    return fit([{"term": "indirect", "estimate": 0.02, "se": 0.005}], "mediate", curves={"sensitivity": curve})


FITS = {
    "one": one,
    "several": several,
    "estimators": estimators,
    "event_study": event_study,
    "quantiles": quantiles,
    "placebo": placebo,
    "balance": balance,
    "cutoff": cutoff,
    "comparisons": comparisons,
    "sensitivity": sensitivity,
}
KINDS = {"one": "coefficients", "several": "coefficients", "estimators": "coefficients"}
"""Which figure shows which fit; the others bear the name of their figure."""
