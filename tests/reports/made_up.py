"""Synthetic results, one for each kind of table and figure; none of their numbers was measured anywhere."""

from __future__ import annotations

import math

import polars as pl

from medfloor.measures.catastrophic import catastrophic
from medfloor.measures.result import SCHEMA, Result
from medfloor.words import Phrase

# Long words as they are really said; the numbers below are made up.
SAID = catastrophic(
    {
        "oop": [float(i % 4) for i in range(40)],
        "consumption": [10.0 + i for i in range(40)],
        "food": [3.0 + i / 2 for i in range(40)],
        "size": [1 + i % 5 for i in range(40)],
        "weight": [1.0 + i % 3 for i in range(40)],
        "psu": [i // 4 for i in range(40)],
    },
    definition="who",
    unit="person",
)
SPECIAL = {"missing": 12, "zero_weight": 3, "lonely_strata": 1}


def row(statistic: str, estimate: float | None, kind: str = "proportion", **labels: object) -> dict[str, object]:
    """Make one row; the standard error is a tenth of the estimate."""
    se = None if estimate is None or math.isnan(estimate) else abs(estimate) / 10
    low, high = (None, None) if se is None else (estimate - 1.96 * se, estimate + 1.96 * se)
    numbers = {"kind": kind, "estimate": estimate, "se": se, "low": low, "high": high, "df": 187.0, "deff": 1.4}
    return {"statistic": statistic, **labels, **numbers, "n": 5_999, "weighted_n": 27_765.0}


def result(rows: list[dict[str, object]], *, measure: str = "catastrophic", **more: object) -> Result:
    """Make a result of rows; labels that a row does not name are null."""
    names = list(dict.fromkeys(name for one in rows for name in one if name not in SCHEMA))
    kinds = {n: pl.Float64() if n == "threshold" else pl.String() for n in [*names, "by", "group", "against"]}
    table = pl.DataFrame([{**dict.fromkeys([*kinds, *SCHEMA]), **one} for one in rows], schema={**kinds, **SCHEMA})
    given: dict[str, object] = {"special": SPECIAL, "sign": ">=", "notes": (Phrase("catastrophic.dollars"),), **more}
    return Result(measure, table, SAID.definition, SAID.weight, SAID.errors, **given)  # type: ignore[arg-type]


def by_group() -> Result:
    places = ["registered poor households", "非登记贫困户", "A township with a name that is quite long, 石城县"]
    rows = [row("headcount", 0.1650)]
    rows += [row("headcount", 0.12 + 0.09 * i, by="village", group=name) for i, name in enumerate(places)]
    return result(rows)


def by_quantile() -> Result:
    return result([row("headcount", 0.31 - 0.05 * i, by="quantile", group=str(i + 1)) for i in range(5)])


def by_quantile_and_threshold() -> Result:
    return result(
        [
            row("headcount", (0.31 - 0.05 * i) / (j + 1), by="quantile", group=str(i + 1), threshold=z)
            for j, z in enumerate((0.1, 0.25, 0.4))
            for i in range(5)
        ]
    )


def by_band() -> Result:
    bands = ["<50 %", "50-75 %", "75-90 %", ">=90 %"]
    shares = {
        None: (0.25, 0.3, 0.25, 0.2),
        "registered": (0.22, 0.2, 0.3, 0.28),
        "not registered": (0.3, 0.44, 0.2, 0.06),
    }
    return result(
        [
            row("share", share, band=band, by=None if group is None else "registered", group=group)
            for group, many in shares.items()
            for band, share in zip(bands, many, strict=True)
        ]
    )


def by_threshold() -> Result:
    grid = (0.05, 0.1, 0.15, 0.25, 0.4)
    return result(
        [
            row(statistic, start * math.exp(-6 * z), kind, threshold=z, definition=definition)
            for definition, start in (("budget", 0.45), ("nonfood", 0.6), ("who", 0.7), ("sdg", 0.9))
            for z in grid
            for statistic, kind in (("headcount", "proportion"), ("overshoot", "percent"))
        ]
    )


def by_tier() -> Result:
    tiers = [
        "before insurance",
        "after basic insurance",
        "after critical illness insurance",
        "after medical assistance",
    ]
    return result(
        [row("headcount", 0.32 * 0.62**i, tier=tier) for i, tier in enumerate(tiers)]
        + [row("mean", 8_000 * 0.55**i, "amount", tier=tier) for i, tier in enumerate(tiers)]
    )


def by_index() -> Result:
    rows = [row("index", -0.0312, "index", line="standard"), row("index", 0.0821, "index", line="Erreygers")]
    rows += [row("index", None, "index", line="Wagstaff")]
    return result(rows, sign="")


def concentrations() -> Result:
    p = [i / 200 for i in range(201)]
    shapes = {"concentration": 1.3, "lorenz": 2.1}
    frame = pl.concat(
        [
            pl.DataFrame({"p": p, "share": [x**power for x in p], "curve": [name] * len(p)})
            for name, power in shapes.items()
        ]
    )
    return result([row("standard", 0.13, "index")], curves={"concentration": frame}, sign="")


def parade() -> Result:
    many = 1_000
    p = [(i + 0.5) / many for i in range(many)]
    gross = [2_000 + 6_000 * x + 900 / (1.004 - x) for x in p]
    net = [g * (1 - 0.9 * ((i * 37) % 101 / 101) ** 6) - (3_000 if i % 97 == 0 else 0) for i, g in enumerate(gross)]
    frame = pl.DataFrame({"p": p, "gross": gross, "net": net, "line": [4_000.0] * many})
    return result(
        [row("impoverished", 0.04)], curves={"parade": frame}, sign="<", line=Phrase.of("capacity.base", base="2021")
    )


def jump() -> Result:
    """Make a jump at 3.5: means below and above, and a straight line on either side."""
    sides = {"below": [1.0, 2.0, 3.0, 3.5], "above": [3.5, 4.0, 5.0, 6.0]}
    frame = pl.DataFrame(
        [
            {"series": series, "side": side, "x": x, "y": (0.9 if side == "below" else 0.65) + 0.01 * x, "n": 7}
            for series in ("bin", "fit")
            for side, places in sides.items()
            for x in places
        ]
    )
    return result([row("jump", -0.25, "percent")], curves={"cliff": frame})


ALL = {
    "groups": by_group,
    "quantiles": by_quantile,
    "quantiles_thresholds": by_quantile_and_threshold,
    "bands": by_band,
    "thresholds": by_threshold,
    "steps": by_tier,
    "estimates": by_index,
    "concentration_curve": concentrations,
    "pen_parade": parade,
    "cliff": jump,
}
