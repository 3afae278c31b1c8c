"""Say what a projection hangs on: each parameter moved through its range, the others where they are (a tornado)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from medfloor.fund.basis import Basis
from medfloor.fund.outgo import FUNDS
from medfloor.fund.parameters import Parameters
from medfloor.fund.projection import trend_of
from medfloor.fund.reserves import months
from medfloor.fund.series import source_text
from medfloor.terminal import aligned
from medfloor.words import Phrase, say

Make = Callable[[Mapping[str, float]], Basis]
"""Puts a basis together with some parameters replaced."""


@dataclass(frozen=True, slots=True, eq=False)
class Tornado:
    """Be a fund's months of payment at the end of `year` as parameters move through their ranges, widest swing first.

    `frame` has a row a parameter: value, low, high, `at_low` and `at_high` (months on the trend), `empty_low` and
    `empty_high` (the first year of an empty fund; null for none within the horizon), swing, unit, source, trust.
    """

    year: int
    middle: float
    frame: pl.DataFrame
    fund: str = "basic"

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the frame with the parameters in words."""
        if not self.frame.height:
            return self.frame
        titles = [_title(one, lang) for one in self.frame["parameter"]]
        sources = [source_text(one, lang) for one in self.frame["source"]]
        return self.frame.with_columns(pl.Series("source", sources), pl.Series("title", titles))

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON."""
        middle = self.middle if math.isfinite(self.middle) else None
        return {"fund": self.fund, "year": self.year, "months": middle, "rows": self.to_frame(lang).to_dicts()}

    def head(self, lang: str) -> str:
        """Say what hangs on the parameters."""
        told = "-" if math.isnan(self.middle) else f"{self.middle:.1f}"
        if self.fund == "basic":
            return say("fund_project.tornado", lang, year=self.year, months=told)
        fund = say(f"fund_project.{self.fund}", lang)
        return say("fund_project.tornado_of", lang, year=self.year, months=told, fund=fund)

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
        return [(self.head(lang), rows, [1, 2, 3, 4, 5])]


def tornado(make: Make, *, years: int, given: Mapping[str, float] | None = None, fund: str = "basic") -> Tornado:
    """Move each parameter that has a range to its ends, and see a fund's months of payment at the horizon.

    `make` puts the basis together again, so that parameters which decide how the base is read work too; growth that is
    fitted moves by 1.645 standard errors. Parameters that move nothing are left out, and so are those that the user
    gave.

    Raises what `make` raises.

    >>> from medfloor.fund.basis import national
    >>> found = tornado(lambda given: national(given=given), years=10)
    >>> found.frame["swing"][0] >= found.frame["swing"][-1] > 0
    True
    """
    return tornadoes(make, years=years, given=given, funds=(fund,))[0]


def tornadoes(
    make: Make, *, years: int, given: Mapping[str, float] | None = None, funds: Sequence[str] = FUNDS
) -> list[Tornado]:
    """Give the tornado of each fund; the same moves serve all of them.

    Raises what `make` raises.
    """
    fixed = dict(given or {})
    basis = make(fixed)
    middle = _ends(basis, years)
    rows: dict[str, list[dict[str, Any]]] = {fund: [] for fund in funds}
    for one in basis.parameters.all:
        if not (math.isfinite(one.low) and math.isfinite(one.high)) or one.name in fixed:
            continue
        low, high = (
            _ends(make(fixed | {one.name: min(max(end, one.least), one.most)}), years) for end in (one.low, one.high)
        )
        for fund in funds:
            swing = abs(high[fund][0] - low[fund][0])
            if not swing >= 1e-9:
                continue
            rows[fund].append({
                "parameter": one.name, "value": one.value, "low": one.low, "high": one.high, "at_low": low[fund][0],
                "at_high": high[fund][0], "empty_low": low[fund][1], "empty_high": high[fund][1], "swing": swing,
                "unit": one.unit, "source": one.source, "trust": one.trust,
            })  # fmt: skip
    schema = dict.fromkeys(("empty_low", "empty_high"), pl.Int64())
    made = []
    for fund in funds:
        frame = pl.DataFrame(rows[fund], schema_overrides=schema, infer_schema_length=None)
        frame = frame.sort("swing", descending=True, maintain_order=True) if rows[fund] else frame
        made.append(Tornado(basis.year + years, middle[fund][0], frame, fund))
    return made


def _ends(basis: Basis, years: int) -> dict[str, tuple[float, int | None]]:
    """Give each fund's months of payment at the horizon on the trend, and the first year in which it is empty."""
    walked = trend_of(basis, years)
    last, found = walked[-1], {}
    for fund in FUNDS:
        # What is less than a millionth of a year's payments is the rounding of doubles.
        empty = next((y.year for y in walked if y.of("reserve", fund)[0] < -1e-6 * y.of("outgo", fund)[0]), None)
        found[fund] = (float(months(last.of("reserve", fund), last.of("outgo", fund))[0]), empty)
    return found


def _title(name: str, lang: str) -> str:
    return _known()[name].title(lang)


def _known() -> Parameters:
    from medfloor.fund.parameters import shipped_parameters

    return shipped_parameters()
