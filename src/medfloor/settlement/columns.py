"""Name the columns of the matrices that engines share."""

from __future__ import annotations

TRACE_COLUMNS = (
    "base", "first_share", "deductible_full", "deductible", "eligible", "start", "end", "before_cap", "cap_left", "pay",
)  # fmt: skip
"""What each column of the trace holds, one row a claim and step."""

STAY_COLUMNS = ("started", "deductible", "borne", "paid", "admission", "same_level", "level")
"""What is kept of a continuous stay in one tier."""
