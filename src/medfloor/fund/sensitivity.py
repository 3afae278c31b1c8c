"""Say what a projection hangs on: each parameter moved through its range, the others where they are (a tornado)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from medfloor.fund.basis import Basis
from medfloor.fund.parameters import Parameters
from medfloor.fund.projection import trend_of
from medfloor.fund.reserves import months
from medfloor.terminal import aligned
from medfloor.words import Phrase, say

Make = Callable[[Mapping[str, float]], Basis]
"""Puts a basis together with some parameters replaced."""


@dataclass(frozen=True, slots=True, eq=False)
class Tornado:
    """Be the months of payment at the end of `year` as parameters move through their ranges, the widest swing first.

    `frame` has a row a parameter: value, low, high, `at_low` and `at_high` (months on the trend), `empty_low` and
    `empty_high` (the first year of an empty fund; null for none within the horizon), swing, unit, source, trust.
    """

    year: int
    middle: float
    frame: pl.DataFrame

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the frame with the parameters in words."""
        return self.frame.with_columns(pl.Series("title", [_title(one, lang) for one in self.frame["parameter"]]))

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON."""
        return {"year": self.year, "months": self.middle, "rows": self.to_frame(lang).to_dicts()}

    def said(self) -> list[Phrase]:
        """Say what must be known beside the swings."""
        return [Phrase("fund_project.tornado_note")]

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal."""
        lines: list[str] = []
        for title, rows, right in self.tables(lang):
            lines += [title, *aligned(rows, right), ""]
        return "\n".join([*lines, *(f"  - {one.say(lang)}" for one in self.said())])

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def tables(self, lang: str, most: int = 12) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give the table of the widest swings."""
        heads = ("parameter", "range", "months_low", "months_high", "empty_low", "empty_high", "trust")
        rows = [[say(f"fund_project.{one}", lang) for one in heads]]
        for row in self.frame.head(most).iter_rows(named=True):
            rows.append([
                _title(row["parameter"], lang), f"{row['low']:.3g} | {row['high']:.3g}", f"{row['at_low']:.1f}",
                f"{row['at_high']:.1f}",
                *("-" if row[one] is None else str(row[one]) for one in ("empty_low", "empty_high")),
                say(f"fund_trust.{row['trust']}", lang),
            ])  # fmt: skip
        title = say("fund_project.tornado", lang, year=self.year, months=f"{self.middle:.1f}")
        return [(title, rows, [1, 2, 3, 4, 5])]


def tornado(make: Make, *, years: int, given: Mapping[str, float] | None = None) -> Tornado:
    """Move each parameter that has a range to its ends, and see the months of payment at the horizon.

    `make` puts the basis together again, so that parameters which decide how the base is read work too; growth that is
    fitted moves by 1.645 standard errors. Parameters that move nothing are left out, and so are those that the user
    gave.

    Raises what `make` raises.

    >>> from medfloor.fund.basis import national
    >>> found = tornado(lambda given: national(given=given), years=10)
    >>> found.frame["swing"][0] >= found.frame["swing"][-1] > 0
    True
    """
    fixed = dict(given or {})
    basis = make(fixed)
    middle, _ = _ends(basis, years)
    rows = []
    for one in basis.parameters.all:
        if not (math.isfinite(one.low) and math.isfinite(one.high)) or one.name in fixed:
            continue
        ends = [
            _ends(make(fixed | {one.name: min(max(end, one.least), one.most)}), years) for end in (one.low, one.high)
        ]
        swing = abs(ends[1][0] - ends[0][0])
        if swing < 1e-9:
            continue
        rows.append({
            "parameter": one.name, "value": one.value, "low": one.low, "high": one.high, "at_low": ends[0][0],
            "at_high": ends[1][0], "empty_low": ends[0][1], "empty_high": ends[1][1], "swing": swing,
            "unit": one.unit, "source": one.source, "trust": one.trust,
        })  # fmt: skip
    schema = dict.fromkeys(("empty_low", "empty_high"), pl.Int64())
    frame = pl.DataFrame(rows, schema_overrides=schema, infer_schema_length=None)
    frame = frame.sort("swing", descending=True, maintain_order=True) if rows else frame
    return Tornado(basis.year + years, middle, frame)


def _ends(basis: Basis, years: int) -> tuple[float, int | None]:
    """Give the months of payment at the horizon on the trend, and the first year in which the fund is empty."""
    walked = trend_of(basis, years)
    empty = next((one.year for one in walked if one.of("reserve", "basic")[0] < 0), None)
    last = walked[-1]
    return float(months(last.of("reserve", "basic"), last.of("outgo", "basic"))[0]), empty


def _title(name: str, lang: str) -> str:
    return _known()[name].title(lang)


def _known() -> Parameters:
    from medfloor.fund.parameters import shipped_parameters

    return shipped_parameters()
