"""Hold two projections against each other: the law as it is, and with a reform, on the same people and shocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.fund.outlook import Outlook
from medfloor.terminal import aligned
from medfloor.words import Phrase, say

_ITEMS = ("outgo", "balance", "reserve", "months")


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Be what a reform changes: `frame` has a row a fund, item and year with `before`, `after` and `change` (trend)."""

    before: Outlook
    after: Outlook
    frame: pl.DataFrame

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the frame with the two scenarios named."""
        return self.frame.with_columns(
            pl.lit(self.before.title(lang)).alias("baseline"), pl.lit(self.after.title(lang)).alias("reform")
        )

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON."""
        return {
            "baseline": self.before.title(lang), "reform": self.after.title(lang), "rows": self.frame.to_dicts(),
            "notes": [one.say(lang) for one in self.said()],
        }  # fmt: skip

    def said(self) -> list[Phrase]:
        """Say what must be known beside the changes."""
        return [Phrase("fund_project.no_response")]

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal."""
        lines: list[str] = []
        for title, rows, right in self.tables(lang):
            lines += [title, *aligned(rows, right), ""]
        return "\n".join([*lines, *(f"  - {one.say(lang)}" for one in self.said())])

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def tables(self, lang: str) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give what changes in the first and the last year, fund by fund, and in months of payment."""
        unit, size = self.before.unit()
        heads = ("fund", "item", "year", "before", "after", "change")
        rows = [[say(f"fund_project.{one}", lang) for one in heads]]
        years = {self.before.base + 1, self.before.base + self.before.years}
        for row in self.frame.filter(pl.col("year").is_in(list(years))).iter_rows(named=True):
            if row["item"] == "months" and row["fund"] != "basic":
                continue
            by = 1.0 if row["item"] == "months" else size
            cells = ["-" if row[one] is None else f"{row[one] / by:,.1f}" for one in ("before", "after", "change")]
            rows.append([say(f"fund_project.{row['fund']}", lang), say(f"fund_project.{row['item']}", lang),
                         str(row["year"]), *cells])  # fmt: skip
        title = say(
            "fund_project.contrast", lang, reform=self.after.title(lang), unit=say(f"fund_project.{unit}", lang)
        )
        return [(title, rows, [2, 3, 4, 5])]


def contrast(before: Outlook, after: Outlook) -> Contrast:
    """Hold a projection under a reform against the one without it.

    Raises UsageError not_comparable where years, paths or seed differ: then the difference is not the reform's.
    """
    if (before.base, before.years, before.paths, before.seed) != (after.base, after.years, after.paths, after.seed):
        raise UsageError("not_comparable", "the two projections differ in years, paths or seed; project both alike")
    keys = ["fund", "item", "year"]
    wanted = pl.col("item").is_in(_ITEMS)
    frame = (
        before.frame.filter(wanted).select(*keys, pl.col("trend").alias("before"))
        .join(after.frame.filter(wanted).select(*keys, pl.col("trend").alias("after")), on=keys, maintain_order="left")
        .with_columns((pl.col("after") - pl.col("before")).alias("change"))
    )  # fmt: skip
    return Contrast(before, after, frame)
