"""Say estimates in words, judge them against what a document printed, and put fits of many kinds into one frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import polars as pl

from medfloor.evaluation.result import Fit, number_text
from medfloor.words import Phrase

SURE = 0.05
"""An estimate whose p is below this is told apart from zero, as the source documents do."""

Direction = Literal["lower", "higher", "none"]

ROWS = {
    "check": pl.String, "outcome": pl.String, "model": pl.String, "estimate": pl.Float64, "se": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "p": pl.Float64, "rows": pl.Int64, "clusters": pl.Int64,
}  # fmt: skip


def direction_of(fit: Fit) -> Direction:
    """Say where one estimate lies: lower or higher than zero, or not told apart from it at 5 %."""
    if not fit.p < SURE:
        return "none"
    return "lower" if fit.estimate < 0 else "higher"


def verdict_of(found: Direction, printed: Direction) -> str:
    """Judge a direction against the printed one.

    >>> verdict_of("lower", "lower"), verdict_of("none", "lower"), verdict_of("lower", "none")
    ('same', 'unclear', 'other')
    """
    if found == printed:
        return "same"
    return "unclear" if found == "none" else "other"


def told(fit: Fit, outcome: str) -> Phrase:
    """Say one estimate in words."""
    low, high = fit.interval
    return Phrase.of(
        "studies.effect",
        outcome=Phrase(f"study_value.{outcome}"),
        estimate=number_text(fit.estimate),
        low=number_text(low),
        high=number_text(high),
        p="<0.0001" if fit.p < 0.0001 else f"{fit.p:.4f}",
        reading=Phrase(f"studies.reads_{direction_of(fit)}"),
    )


def row_of(fit: Fit, *, check: str, outcome: str) -> dict[str, object]:
    """Give one estimate as a row of a frame of many."""
    row = fit.rows.row(0, named=True)
    return {"check": check, "outcome": outcome} | {name: row[name] for name in ROWS if name not in ("check", "outcome")}


def rows_frame(rows: Iterable[Mapping[str, object]]) -> pl.DataFrame:
    """Make a frame of estimates; columns in which nothing stands are left out."""
    frame = pl.DataFrame([dict(row) for row in rows], schema=ROWS, strict=False)
    return frame.select(name for name in frame.columns if frame[name].null_count() < frame.height or name == "estimate")


def joined(parts: Iterable[Phrase]) -> Phrase | None:
    """Put sentences one after the other; None where there are none."""
    found: Phrase | None = None
    for part in parts:
        found = part if found is None else Phrase.of("studies.both", first=found, second=part)
    return found


FORMS = {"p": "p", "rows": "count", "clusters": "count"}
"""How the columns of such frames are shown."""
