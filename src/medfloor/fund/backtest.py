"""Fit to some years, project the years after them, and show what happened beside it, with the errors.

A series whose definition changes within the years shown is compared twice: as it is, where the error is mostly the
change of definition, and with the break carried, where the first year of the new definition sets a factor and only
later years are a test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.fund.basis import Basis, Place, national, place_basis
from medfloor.fund.outlook import Outlook
from medfloor.fund.projection import PATHS, SEED, prepare, project
from medfloor.fund.series import Book, series_text, shipped_series, source_text
from medfloor.terminal import aligned
from medfloor.words import Phrase, say

_MONEY = {"income": "income", "outgo": "spending", "balance": None, "reserve": "cumulative", "months": None}
_SIZES = {"insured": 1e4, "income": 1e8, "outgo": 1e8, "balance": 1e8, "reserve": 1e8, "months": 1.0}
_BROKEN = ("stays_per_100", "cost_of_stay")


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """Be a projection held against what happened.

    `frame` has a row an item and year: `forecast` (the trend), `low` and `high` (nine paths of ten lie between), `same`
    (what the last year fitted would have said), `actual`, `error` (forecast less actual), `error_share` (of the actual;
    null for months and balance), `inside`, `definition` and `fitted_definition`, `carried` (the forecast times the
    factor of the break, null where nothing broke) and `carried_share`. Units are those of the series: 10,000 persons,
    100 million yuan, months, stays, yuan. `breaks` have the year, the series and what changed.
    """

    since: int
    until: int
    through: int
    frame: pl.DataFrame
    outlook: Outlook
    breaks: tuple[tuple[int, str, str], ...]

    def error_of(self, item: str, year: int) -> float:
        """Give the error of a forecast as a share of what happened."""
        row = self.frame.filter((pl.col("item") == item) & (pl.col("year") == year))
        return float(row["error_share"].item())

    def head(self, lang: str) -> str:
        """Say of which place it is, and of which years."""
        return say(
            "fund_project.backtest", lang, place=self.outlook.name(lang), since=self.since, until=self.until,
            through=self.through,
        )  # fmt: skip

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the frame with the items in words."""
        return self.frame.with_columns(
            pl.col("item").replace({one: say(f"fund_project.{one}", lang) for one in self.frame["item"].unique()})
            .alias("title")
        )  # fmt: skip

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON."""
        return {
            "place": self.outlook.name(lang),
            "since": self.since, "until": self.until, "through": self.through, "rows": self.frame.to_dicts(),
            "breaks": [
                {"year": year, "series": series_text(name, lang), "what": source_text(what, lang)}
                for year, name, what in self.breaks
            ],
            "notes": [one.say(lang) for one in self.said()],
        }  # fmt: skip

    def said(self) -> list[Phrase]:
        """Say what must be known beside the errors."""
        told = [Phrase.of("fund_project.backtest_points", points=self.until - self.since)]
        told += [
            Phrase.of("fund_project.backtest_break", year=year) for year in sorted({one for one, _, _ in self.breaks})
        ]
        told += [one for one in self.outlook.notes if one.key == "fund_project.nations_series"]
        return [*told, Phrase("fund_project.backtest_same")]

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal."""
        lines = [self.head(lang), ""]
        for title, rows, right in self.tables(lang):
            lines += [title, *aligned(rows, right), ""]
        return "\n".join([*lines, *(f"  - {one.say(lang)}" for one in self.said())])

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def tables(self, lang: str) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give the table of comparable series, and that of series that broke."""
        heads = ["item", "year", "forecast", "range", "actual", "error", "error_share", "same_share"]
        rows = [[say(f"fund_project.{one}", lang) for one in heads]]
        plain = self.frame.filter(~pl.col("item").is_in(_BROKEN))
        for row in plain.iter_rows(named=True):
            rows.append([
                say(f"fund_project.{row['item']}", lang), str(row["year"]), _told(row["forecast"]),
                f"{_told(row['low'])} | {_told(row['high'])}", _told(row["actual"]), _signed(row["error"]),
                _share(row["error_share"]), _share(row["same_share"]),
            ])  # fmt: skip
        broken = [[say(f"fund_project.{one}", lang) for one in (
            "item", "year", "forecast", "actual", "error_share", "carried", "carried_share")]]  # fmt: skip
        for row in self.frame.filter(pl.col("item").is_in(_BROKEN)).iter_rows(named=True):
            broken.append([
                say(f"fund_project.{row['item']}", lang), str(row["year"]), _told(row["forecast"]),
                _told(row["actual"]), _share(row["error_share"]), _told(row["carried"]), _share(row["carried_share"]),
            ])  # fmt: skip
        tables = [(say("fund_project.backtest_table", lang), rows, [1, 2, 3, 4, 5, 6, 7])]
        if len(broken) > 1:
            tables.append((say("fund_project.backtest_broken", lang), broken, [1, 2, 3, 4, 5, 6]))
        return tables


def backtest(
    *,
    since: int | None = None,
    until: int | None = None,
    through: int | None = None,
    given: Mapping[str, float] | None = None,
    paths: int = PATHS,
    seed: int = SEED,
    book: Book | None = None,
    place: Place | None = None,
) -> Backtest:
    """Fit the nation or a place to `since`..`until`, project to `through`, and hold it against the series.

    The nation is fitted to 2020-2022 and shown to 2025; a place to what is left of its years before the last three (of
    three or four years: the last one or two). The projection knows nothing after `until` but the standards of the year
    after, which are published ahead. A reserve at the start that is `given` is that of another year, and is not used.

    Raises UsageError bad_fit_years where the years are out of order or too few; what `national` raises; InputError
    missing_year where a year that is compared was not published.

    >>> found = backtest(paths=200)
    >>> abs(found.error_of("insured", 2023)) < 0.02
    True
    """
    first = since if since is not None else place.since if place else 2020
    shown = through if through is not None else place.until if place else 2025
    fitted = until if until is not None else max(shown - 3, min(first + 2, shown - 1), first + 1)
    since, until, through = first, fitted, shown
    if not since < until < through:
        raise UsageError(
            "bad_fit_years",
            f"a back-test needs at least two fitted years and one after them, in order, not {since} to {until} and "
            f"{through}; give more years",
        )
    whole = place.book if place else book or shipped_series()
    known = {name: value for name, value in (given or {}).items() if name != "reserve.start"}
    if place is None:
        basis = national(since=since, until=until, given=known, book=whole)
    else:
        told = {name: value for name, value in place.told.items() if name != "reserve.start"}
        basis = place_basis(replace(place, told=told), given=known, since=since, until=until)
    outlook = project(basis, years=through - until, paths=paths, seed=seed)
    rows = [*_of_funds(whole, basis, outlook, through), *_of_care(whole, basis, through)]
    broken = {name: whole[name].breaks for name in ("admissions", "inpatient_cost", "spending", "income")}
    breaks = tuple(
        (year, name, what) for name, found in broken.items() for year, what in found if until < year <= through
    )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return Backtest(since, until, through, frame, outlook, breaks)


def _of_funds(book: Book, basis: Basis, outlook: Outlook, through: int) -> list[dict[str, Any]]:
    people = dict(outlook.people.select("year", "insured").iter_rows())
    rows = []
    for item, size in _SIZES.items():
        for year in range(basis.year + 1, through + 1):
            if item == "insured":
                low = high = None
                forecast = people[year] / size
            else:
                forecast, low, high = (outlook.value(item, year, column=one) / size for one in ("trend", "p5", "p95"))
            rows.append(
                _row(item, year, forecast, low, high, _actual(book, item, year), _actual(book, item, basis.year))
            )
    return rows


def _actual(book: Book, item: str, year: int) -> float:
    if item == "insured":
        return book["insured"].value(year)
    income, outgo, held = (book[name].value(year) for name in ("income", "spending", "cumulative"))
    return {"income": income, "outgo": outgo, "balance": income - outgo, "reserve": held, "months": 12 * held / outgo}[
        item
    ]


def _row(
    item: str, year: int, forecast: float, low: float | None, high: float | None, actual: float, same: float
) -> dict[str, Any]:
    shares = item not in ("balance", "months")
    return {
        "item": item, "year": year, "forecast": forecast, "low": low, "high": high, "same": same, "actual": actual,
        "error": forecast - actual, "error_share": (forecast - actual) / actual if shares and actual else None,
        "same_share": (same - actual) / actual if shares and actual else None,
        "inside": None if low is None or high is None else low <= actual <= high,
        "definition": 1, "fitted_definition": 1, "carried": None, "carried_share": None,
    }  # fmt: skip


def _of_care(book: Book, basis: Basis, through: int) -> list[dict[str, Any]]:
    """Forecast stays per 100 insured and the cost of a stay in the old definition, and carry the break."""
    years = through - basis.year
    setting = prepare(basis, years)
    stays = _stays(basis, setting)
    costs = setting.trend[:, 0] * basis.cells.charged(_members(basis, setting))[:, 0] / (
        setting.classes.sum(axis=1) * stays / 100
    )  # fmt: skip
    rows = []
    for item, forecast, above, below, scale in (
        ("stays_per_100", stays, "admissions", "insured", 100.0),
        ("cost_of_stay", costs, "inpatient_cost", "admissions", 1e4),
    ):
        factor = math.nan
        for place in range(1, years + 1):
            year = basis.year + place
            actual = scale * book[above].value(year) / book[below].value(year)
            now = book[above].definition(year)
            same = scale * book[above].value(basis.year) / book[below].value(basis.year)
            row = _row(item, year, float(forecast[place]), None, None, actual, same)
            broken = now != book[above].definition(basis.year)
            if broken and now != book[above].definition(year - 1):
                factor = actual / float(forecast[place])
            carried = float(forecast[place]) * factor if broken else None
            row |= {"definition": now, "fitted_definition": book[above].definition(basis.year), "carried": carried}
            row["carried_share"] = None if carried is None else (carried - actual) / actual
            rows.append(row)
    return rows


def _members(basis: Basis, setting: Any) -> Any:
    members = (setting.people * basis.share)[..., None] * basis.assisted
    return members * setting.part[:, None, None, None, None]


def _stays(basis: Basis, setting: Any) -> Any:
    """Give stays per 100 insured by year on the trend: need by age times the growth of use."""
    from medfloor.fund.income import rates

    need = np.einsum("yaxrs,axrs->y", _members(basis, setting), basis.cells.use[0])
    grown = np.cumprod(
        np.concatenate([[1.0], 1 + rates(basis.parameters, "growth.inpatient_use", setting.years, None)])
    )
    return 100 * need * grown / setting.classes.sum(axis=1)


def _told(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}"


def _signed(value: float) -> str:
    return f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+,.1f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1%}"
