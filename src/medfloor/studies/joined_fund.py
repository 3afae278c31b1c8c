"""Carry the residents' fund of a county into the years to come, before joining and joined, on the same people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from medfloor.errors import InputError
from medfloor.fund import Basis, Contrast, contrast, county, project
from medfloor.fund.income import CLASSES
from medfloor.simulation import Population
from medfloor.studies.levels import Levels
from medfloor.studies.study import Table
from medfloor.words import Phrase

YEARS, PATHS = 10, 1_000
"""How many years are told where none are asked for, and on how many paths chances are counted."""

_LINE = 6.0
"""Months of payment; the lower end of what a rule for employees of 2009 calls normal (general knowledge, unseen)."""

_FORMS = {
    "projected": "plain", "months_before": "index", "months_joined": "index", "balance_before": "count",
    "balance_joined": "count", "below_before": "percent", "below_joined": "percent",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Years:
    """Be the fund before joining and joined, year by year, on the same people and shocks."""

    contrast: Contrast
    years: int
    premiums: float

    def table(self) -> Table:
        """Give years with months of payment, balance (yuan) and the chance of standing below six months."""
        return Table("years", _words("title_years"), self._frame(), forms=_FORMS, notes=(
            _words("note_years", line=f"{_LINE:g}", paths=f"{PATHS:,}"), _words("note_growth"),
            _words("note_premiums", share=f"{100 * self.premiums:.1f}")))  # fmt: skip

    def found(self) -> Phrase:
        """Say in which year each law first pays out more than it takes in, and what is left at the end."""
        last = self._frame().row(-1, named=True)
        return _words(
            "found_years", before=self._deficit(joined=False), joined=self._deficit(joined=True),
            year=last["projected"], months_before=f"{last['months_before']:.1f}",
            months_joined=f"{last['months_joined']:.1f}",
        )  # fmt: skip

    def _deficit(self, *, joined: bool) -> Phrase:
        outlook = self.contrast.after if joined else self.contrast.before
        firsts = outlook.firsts.filter(pl.col("fund") == "basic", pl.col("event") == "deficit")
        year = firsts["trend"][0] if firsts.height else None
        return _words("no_deficit") if year is None else _words("deficit_in", year=year)

    def _frame(self) -> pl.DataFrame:
        frame = self.contrast.frame.filter(pl.col("fund") == "basic")
        kept = frame.filter(pl.col("item") == "months").select(
            pl.col("year").alias("projected"),
            pl.col("before").alias("months_before"),
            pl.col("after").alias("months_joined"),
        )
        balance = frame.filter(pl.col("item") == "balance").select(
            pl.col("year").alias("projected"),
            pl.col("before").alias("balance_before"),
            pl.col("after").alias("balance_joined"),
        )
        made = kept.join(balance, on="projected", maintain_order="left")
        for name, outlook in (("before", self.contrast.before), ("joined", self.contrast.after)):
            lines = outlook.lines.filter(pl.col("fund") == "basic", pl.col("line") == _LINE)
            below = lines.select(pl.col("year").alias("projected"), pl.col("now").alias(f"below_{name}"))
            made = made.join(below, on="projected", how="left", maintain_order="left")
        return made


def years_to_come(
    population: Population, levels: Levels, *, year: int, years: int, premiums: float, seed: int
) -> Years:
    """Project the fund under the law before joining and under the one level, with the same shocks.

    `premiums` is what people pay in before joining as a share of what they pay joined; the law before has one for the
    country and another for the town, which the fund's classes do not tell apart. Both begin with the same reserve (the
    nation's months of payment at what the law before pays). Raises InputError no_premiums, and what counting and
    projecting raise.
    """
    if not premiums > 0:
        raise InputError("no_premiums", "nobody pays a premium under one of the laws; a fund has no income to project")
    tables = {"people": population.people, "claims": population.claims, "spells": population.spells}
    if not isinstance(population.claims, pl.DataFrame):
        tables["claims"] = population.claims.frame.collect()
    joined = county(tables, str(levels.before), reforms=[str(levels.one_level)], year=year, name=population.name)
    before = county(tables, str(levels.before), year=year, name=population.name, given=_paid_in(joined, premiums))
    # Joining begins with the reserve that there is, in yuan; as many months of dearer payments would be a gift.
    joined = replace(joined, reserve=before.reserve)
    first, second = (project(one, years=years, paths=PATHS, seed=seed, lines=[_LINE]) for one in (before, joined))
    return Years(contrast(first, second), years, premiums)


def _paid_in(joined: Basis, share: float) -> Mapping[str, float]:
    return {f"income.{one}": joined.parameters.value(f"income.{one}") * share for one in CLASSES}


def _words(name: str, /, **values: object) -> Phrase:
    return Phrase.of(f"integration.{name}", **values)
