"""Bring amounts of several years to the prices of one, and carry poverty lines to each year.

The shipped index numbers are in prices.toml, each with its source and how far it can be trusted. Whoever knows better
gives an index of their own.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from medfloor.errors import UsageError
from medfloor.layouts import Layout
from medfloor.words import Phrase

Area = Literal["all", "urban", "rural"]
OwnIndex = Mapping[int, float]
"""A price index by year, the year before = 100."""

RELATIVE = (0.4, 0.5, 0.6)
"""Shares of the median that relative poverty lines are made of."""

LINES = {
    "wave": pl.String, "area": pl.String, "kind": pl.String, "share": pl.Float64, "value": pl.Float64,
    "households": pl.UInt32, "trust": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """Be how dear things were in one year against another: what cost 1 in `base` costs `value` in `year`."""

    year: int
    base: int
    value: float
    area: Area
    trust: str
    sources: tuple[str, ...]


def price_level(year: int, *, base: int, area: Area = "all", index: OwnIndex | None = None) -> PriceLevel:
    """Give the price level of a year against a base year, from the shipped consumer price index or from `index`.

    `trust` is the weakest of the years between: secondary, unverified, or own. Raises UsageError no_price_index where a
    year between is not in the index.

    >>> level = price_level(2012, base=2010)
    >>> round(level.value, 6), level.trust
    (1.081404, 'secondary')
    >>> round(price_level(2010, base=2012).value * level.value, 12)
    1.0
    """
    first, last = min(year, base), max(year, base)
    numbers = {y: (v, "own", "own") for y, v in index.items()} if index is not None else _shipped()[area]
    lacking = [y for y in range(first + 1, last + 1) if y not in numbers]
    if lacking:
        raise UsageError(
            "no_price_index",
            f"the price index ({area}) has no number for {_told(lacking)}; it covers "
            f"{min(numbers, default='no year')} to {max(numbers, default='')}. Give an index of your own.",
        )
    value = 1.0
    for y in range(first + 1, last + 1):
        value *= numbers[y][0] / 100
    used = [numbers[y] for y in range(first + 1, last + 1)]
    trust = next((mark for mark in ("unverified", "secondary", "own") if any(one[1] == mark for one in used)), "exact")
    sources = tuple(dict.fromkeys(one[2] for one in used))
    return PriceLevel(year, base, value if year >= base else 1 / value, area, trust, sources)


def _told(years: list[int]) -> str:
    """Name a few years each, and of many the first and the last."""
    return ", ".join(map(str, years)) if len(years) <= 4 else f"{years[0]} ... {years[-1]}"


def in_prices(
    households: pl.DataFrame,
    people: pl.DataFrame,
    *,
    layout: Layout,
    year: int,
    index: OwnIndex | None = None,
    made: Sequence[str] = (),
) -> tuple[pl.DataFrame, pl.DataFrame, Phrase]:
    """Bring the money of both panels to the prices of a year, and say by which index.

    Money is what the layout says, and the columns `made` of it. `price_level` tells by what a row was divided. Raises
    UsageError no_price_index.
    """
    waves = {wave for frame in (households, people) if "wave" in frame.columns for wave in frame["wave"].unique()}
    levels = {wave: price_level(int(wave), base=year, index=index) for wave in sorted(waves)}
    values = {wave: level.value for wave, level in levels.items()}
    panels = []
    for frame, part in ((households, layout.household), (people, layout.person)):
        money = [*(v.name for v in part if v.kind == "money"), *made]
        money = [name for name in dict.fromkeys(money) if name in frame.columns]
        if "wave" in frame.columns:
            level = pl.col("wave").replace_strict(values, return_dtype=pl.Float64)
            frame = frame.with_columns(level.alias("price_level")).with_columns(pl.col(money) / pl.col("price_level"))
        panels.append(frame)
    weakest = {level.trust for level in levels.values()}
    trust = next((mark for mark in ("unverified", "secondary", "own") if mark in weakest), "exact")
    return panels[0], panels[1], Phrase.of("surveys.prices", year=year, trust=Phrase(f"price_trust.{trust}"))


def poverty_lines(
    households: pl.DataFrame,
    *,
    absolute: float | None = None,
    year: int = 2010,
    prices: int | None = None,
    shares: Sequence[float] = RELATIVE,
    index: OwnIndex | None = None,
) -> pl.DataFrame:
    """Give the poverty lines of each wave: relative ones, and an absolute one carried by the price index.

    `households` is a panel of households with wave, income_per_head (or income and size), and where they are known
    weight and residence. A relative line is a share of the median income per head of people (weight times size; a
    household without a weight or size is left out) in its wave, for all and for town and country apart. `absolute` is
    a line at the prices of `year`, carried to each wave by the rural index, as a rural line is. `prices` says in which
    year's prices the panel already is; without it each wave is in its own. `households` counts who stood behind a
    relative line; without incomes there is none.

    Raises UsageError no_price_index.

    >>> panel = pl.DataFrame({"wave": ["2012", "2012"], "income_per_head": [1000.0, 3000.0], "size": [1.0, 1.0]})
    >>> poverty_lines(panel, absolute=2300.0, shares=[0.5]).select("kind", "area", pl.col("value").round(1)).rows()
    [('relative', 'all', 1000.0), ('absolute', 'rural', 2494.2)]
    """
    rows: list[dict[str, object]] = []
    for wave in households["wave"].unique().sort().to_list():
        one = households.filter(pl.col("wave") == wave)
        for area in ("all", "urban", "rural"):
            rows += _relative(one, wave, area, shares)
        if absolute is not None:
            level = price_level(prices or int(wave), base=year, area="rural", index=index)
            line = {"wave": wave, "area": "rural", "kind": "absolute", "value": absolute * level.value}
            rows.append({**line, "trust": level.trust})
    return pl.DataFrame(rows, schema=LINES)


def _relative(wave: pl.DataFrame, name: str, area: str, shares: Sequence[float]) -> list[dict[str, object]]:
    if area != "all":
        if "residence" not in wave.columns:
            return []
        wave = wave.filter(pl.col("residence") == area)
    if not {"income_per_head", "income"} & set(wave.columns) or not {"income_per_head", "size"} & set(wave.columns):
        return []
    head = pl.col("income_per_head") if "income_per_head" in wave.columns else pl.col("income") / pl.col("size")
    people = pl.col("size") if "size" in wave.columns else pl.lit(1.0)
    weight = pl.col("weight") if "weight" in wave.columns else pl.lit(1.0)
    used = wave.select(head.alias("value"), (people * weight).alias("people")).drop_nulls().filter(pl.col("people") > 0)
    if used.height == 0:
        return []
    ordered = used.sort("value")
    reached = ordered["people"].cum_sum() / ordered["people"].sum()
    # The middle of the two values where the half is met exactly, as a plain median does.
    at = int((reached < 0.5 - 1e-12).sum())
    median = float(ordered["value"][at])
    if abs(float(reached[at]) - 0.5) <= 1e-12 and at + 1 < ordered.height:
        median = (median + float(ordered["value"][at + 1])) / 2
    return [
        {"wave": name, "area": area, "kind": "relative", "share": share, "value": share * median,
         "households": used.height, "trust": "estimated"}
        for share in shares
    ]  # fmt: skip


@functools.cache
def _shipped() -> dict[str, dict[int, tuple[float, str, str]]]:
    told = tomllib.loads(Path(__file__).with_name("prices.toml").read_text(encoding="utf-8"))
    return {
        one["area"]: {v["year"]: (v["value"], v["trust"], told["sources"][v["source"]]) for v in one["values"]}
        for one in told["index"]
    }
