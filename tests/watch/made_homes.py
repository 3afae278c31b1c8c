"""Make up features of households and a trained model, for the tests of cards, drift and reason codes; all synthetic."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import polars as pl

from medfloor.watch.features import FEATURES, RAW, derive
from medfloor.watch.judging import judge
from medfloor.watch.profile import profile_of
from medfloor.watch.reason_codes import line_at
from medfloor.watch.risk import Model, fit
from medfloor.watch.training import slices_of


@cache
def homes(many: int, seed: int, year: int = 2024, shift: float = 0.0) -> pl.DataFrame:
    """Make features of some households, and whether they fell; `shift` raises the log of what they paid."""
    draw = np.random.default_rng(seed)
    size = draw.integers(1, 6, many)
    head = (draw.lognormal(10.3, 0.6, many) * 100).astype(int)
    own = np.where(draw.random(many) < 0.5, (draw.lognormal(8.5 + shift, 1.2, many) * 100).astype(int), 0)
    rural = draw.random(many) < 0.6
    columns = {
        "household_id": [f"h{number:06d}" for number in range(many)], "year": [year] * many,
        "as_of": [date(year, 12, 31)] * many, "township": [f"t{number % 3}" for number in range(many)],
        "residence": np.where(rural, "rural", "urban"), "status": ["none"] * many, "own_total_fen": own,
        "own_in_scope_fen": own * 7 // 10, "own_top_fen": own * 6 // 10, "own_late_fen": own * 3 // 10,
        "own_previous_fen": np.where(draw.random(many) < 0.5, (draw.lognormal(8, 1.2, many) * 100).astype(int), 0),
        "income_fen": head * size, "line_fen": [880_000] * many, "allowed_fen": [2_065_700] * many, "size": size,
        "children": draw.integers(0, 3, many), "elders": draw.integers(0, 3, many),
        "oldest": draw.integers(20, 95, many), "labour": draw.integers(0, 3, many), "rural": rural.astype(float),
        "chronic": draw.integers(0, 2, many), "stays": draw.poisson(0.3, many), "visits": draw.poisson(2, many),
        "months_since_care": draw.uniform(0, 60, many), "status_poor": [0.0] * many,
        "status_monitored": [0.0] * many, "not_enrolled": [0.0] * many,
    }  # fmt: skip
    frame = derive(pl.DataFrame(columns))
    kinds = {**RAW, **dict.fromkeys(FEATURES, pl.Float64)}
    frame = frame.select(
        pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, dtype=kind).alias(name)
        for name, kind in kinds.items()
    )
    odds = -3 + np.log1p(own / 100) / 4 + 0.8 * columns["chronic"] - 0.5 * np.log(head / 2e6)
    fell = draw.random(many) < 1 / (1 + np.exp(-odds))
    return frame.with_columns(pl.Series("fell", fell), pl.lit(None, dtype=pl.Date).alias("fell_on"))


@cache
def model(kind: str = "logistic", seed: int = 1) -> Model:
    """Train on two made-up years and judge on a third, as `medfloor.watch.training` does, with few draws."""
    past = pl.concat([homes(1500, seed, 2022), homes(1500, seed + 1, 2023)])
    now = homes(1500, seed + 2, 2024)
    fitted = fit(past.head(800), kind="boosting", trees=8) if kind == "boosting" else fit(past)
    chances = fitted.score(now)
    scores = now.select("household_id", pl.Series("probability", chances), pl.col("rule_score").alias("rule"))
    judged = judge(scores, now, capacity=3, slices=slices_of(now), as_of=date(2024, 12, 31), draws=20)
    line = line_at(chances, judged.visited)
    profile = profile_of(now, chances, line=line, inputs=fitted.features, by="township")
    return replace(
        fitted,
        target={"target": "both", "definition": "who", "threshold": 0.4, "income_lag": 0, "place": "cn"},
        judged_year=2024,
        judged=judged.to_dict() | {"profile": profile.to_dict()},
        synthetic=True,
    )
