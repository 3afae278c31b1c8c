"""Write the trace: one row a claim and tier, with everything that led to the payment."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from medfloor.settlement.batch import Batch
from medfloor.settlement.columns import TRACE_COLUMNS
from medfloor.settlement.engines import Outcome


def trace_table(batch: Batch, outcome: Outcome) -> pl.DataFrame:
    """Give the trace in fen, one row a claim and tier, in the columns of the data contract.

    `bracket_k` is how much of the claim lies in the k-th bracket of the tier's schedule. cap_left is empty where
    nothing limits the tier.
    """
    profiles = batch.profiles
    counts = np.diff(profiles.first)[batch.profile] if batch.height else np.zeros(0, np.int64)
    claim = np.repeat(np.arange(batch.height), counts)
    offset = np.arange(len(claim)) - np.repeat(np.cumsum(counts) - counts, counts)
    step = profiles.first[batch.profile][claim] + offset if len(claim) else np.zeros(0, np.int64)
    steps = [one for rules in batch.rules for one in rules.steps]
    values = {name: outcome.trace[:, number] for number, name in enumerate(TRACE_COLUMNS)}
    columns: dict[str, Any] = {
        "claim_id": batch.frame["claim_id"].gather(claim),
        "tier": pl.Series([one.tier for one in steps], dtype=pl.String).gather(step),
        "group": pl.Series([one.group for one in steps], dtype=pl.String).gather(step),
        "base_fen": values["base"],
        "deductible_fen": values["deductible"],
        "eligible_fen": values["eligible"],
    }
    # As many columns as the law has brackets, so that the parts of a partitioned run fit together.
    parts = [part for version in batch.law.policies.versions for tier in version.tiers for part in tier.parts]
    most = max((len(part.brackets) for part in parts), default=0)
    edges = np.full((len(steps), most + 1), np.iinfo(np.int64).max)
    for number, one in enumerate(steps):
        edges[number, : len(one.brackets)] = [start for start, _ in one.brackets]
    for k in range(most):
        lower, upper = edges[step, k], edges[step, k + 1]
        inside = np.minimum(values["end"], upper) - np.maximum(values["start"], lower)
        columns[f"bracket_{k + 1}_fen"] = np.maximum(inside, 0)
    columns["before_cap_fen"] = values["before_cap"]
    columns["cap_left_fen"] = pl.Series(values["cap_left"]).replace(-1, None)
    columns["pay_fen"] = values["pay"]
    columns["source"] = pl.Series([one.article for one in steps], dtype=pl.String).gather(step)
    return pl.DataFrame(columns)
