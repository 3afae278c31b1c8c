"""Be the one result of a projection: fans of every fund, probabilities of every line, first years, people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.fund.income import CLASSES, split_subsidy
from medfloor.fund.ledger import cells_frame
from medfloor.fund.outgo import FUNDS
from medfloor.fund.parameters import Parameters
from medfloor.fund.reserves import QUANTILES, below, fan, first_year, months
from medfloor.fund.series import Book
from medfloor.terminal import aligned
from medfloor.words import Phrase, say

if TYPE_CHECKING:
    from medfloor.fund.projection import Setting, Year

Array = npt.NDArray[np.float64]

FANNED = ("income", "outgo", "balance", "reserve", "months")
PARTS = ("premium", "subsidy", "benefits", "transfers_in", "transfers_out")
_NAMES = tuple(f"p{100 * share:.0f}" for share in QUANTILES)


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """Be a projection with all that is needed to read it.

    `frame` has a row a fund, item and year: `trend` (nothing left to chance), and of the paths `mean`, `p5` to `p95`
    (null for items without a fan); yuan, months for item months. `lines` has the probability of months of payment below
    each line, in the year (`now`) and in it or any year before (`ever`). `firsts` has the first year of deficit and of
    an empty fund: on the trend (null: never within the horizon), the share of paths, and the year by which a tenth,
    half and nine tenths of the paths are there. `people` counts people and members; `fiscal` splits the subsidy of the
    basic fund, and has what is collected ahead, in hand for the next year. `cells` lays open the outgo of the base year
    and of the last one, cell by cell (see `ledger.cells_frame`).
    """

    id: str
    names: tuple[tuple[str, str], ...]
    scenario: str
    base: int
    years: int
    paths: int
    seed: int
    asked: tuple[float, ...]
    frame: pl.DataFrame
    lines: pl.DataFrame
    firsts: pl.DataFrame
    people: pl.DataFrame
    fiscal: pl.DataFrame
    cells: pl.DataFrame
    parameters: Parameters
    book: Book
    synthetic: bool
    notes: tuple[Phrase, ...] = ()

    def name(self, lang: str) -> str:
        """Name the place in a language."""
        return dict(self.names).get(lang, self.id)

    def value(self, item: str, year: int, fund: str = "basic", column: str = "trend") -> float:
        """Give one number of the frame."""
        found = self.frame.filter((pl.col("fund") == fund) & (pl.col("item") == item) & (pl.col("year") == year))[
            column
        ].item()
        return math.nan if found is None else float(found)

    @property
    def warnings(self) -> tuple[Phrase, ...]:
        """Say which funds run empty on the trend, or on more than half of the paths."""
        found = []
        for row in self.firsts.filter(pl.col("event") == "empty").iter_rows(named=True):
            if row["fund"] == "basic" and row["trend"] is not None:
                found.append(Phrase.of("fund_project.empties", year=row["trend"]))
        return tuple(found)

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the frame with the place, the scenario and names of funds and items in words."""
        return self.frame.with_columns(
            pl.lit(self.name(lang)).alias("place"),
            pl.lit(self.scenario).alias("scenario"),
            pl.col("fund").replace({one: say(f"fund_project.{one}", lang) for one in FUNDS}).alias("fund_name"),
            pl.col("item").replace({one: say(f"fund_project.{one}", lang) for one in (*FANNED, *PARTS)}).alias("title"),
        )

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON; what is not defined is None."""
        return {
            "place": self.name(lang), "scenario": self.scenario, "base": self.base, "years": self.years,
            "paths": self.paths, "seed": self.seed, "lines_asked": list(self.asked), "synthetic": self.synthetic,
            "funds": _plain(self.frame), "lines": _plain(self.lines), "firsts": _plain(self.firsts),
            "people": _plain(self.people), "fiscal": _plain(self.fiscal),
            "parameters": _plain(self.parameters.to_frame(lang)), "series": _plain(self.book.to_frame(lang)),
            "notes": [one.say(lang) for one in self.said()], "warnings": [one.say(lang) for one in self.warnings],
        }  # fmt: skip

    def said(self) -> list[Phrase]:
        """List what must be known beside the numbers."""
        told = [Phrase("fund_project.not_forecast"), Phrase("fund_project.assumed"), Phrase("fund_project.two_clocks")]
        told += [Phrase("fund_project.break_left_out"), Phrase("fund_project.debts"), Phrase("fund_project.lines_ours")]
        told += [Phrase("fund_project.made_up")] if self.synthetic else []
        return [*told, *self.notes]

    def unit(self) -> tuple[str, float]:
        """Choose the unit of money by the size of the fund: 100 million or 10,000 yuan."""
        return ("hundred_million", 1e8) if self.value("outgo", self.base + 1) >= 1e9 else ("ten_thousand", 1e4)

    def text(self, lang: str = "en", *, every: int | None = None, funds: Sequence[str] = FUNDS[:1]) -> str:
        """Tell it on a terminal: `funds` year by year with their lines, first years, all funds, people, notes."""
        lines = [self.head(lang), ""]
        for title, rows, right in self.tables(lang, every=every, funds=funds):
            lines += [title, *aligned(rows, right), ""]
        for heading, phrases in (("warnings", list(self.warnings)), ("notes", self.said())):
            if phrases:
                lines += [say(f"fund_project.{heading}", lang), *(f"  - {one.say(lang)}" for one in phrases), ""]
        return "\n".join(lines).rstrip()

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def head(self, lang: str) -> str:
        """Say what was projected."""
        return say(
            "fund_project.head", lang, place=self.name(lang), scenario=self.title(lang), first=self.base + 1,
            last=self.base + self.years, paths=f"{self.paths:,}", seed=self.seed,
        )  # fmt: skip

    def title(self, lang: str) -> str:
        """Name the scenario."""
        return say("fund_project.baseline", lang) if self.scenario == "baseline" else self.scenario

    def tables(
        self, lang: str, *, every: int | None = None, funds: Sequence[str] = FUNDS[:1]
    ) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give the tables of the page: title, rows of cells (the first are heads), columns flush right.

        `every` shows each so manieth year only; without it about ten years are shown, always the first and the last.
        """
        shown = self._shown(every)
        each = [made(lang, shown, fund) for fund in funds for made in (self._years, self._lines)]
        return [*each, self._firsts(lang), self._funds(lang), self._members(lang, shown), self._fiscal(lang, shown)]

    def _shown(self, every: int | None) -> list[int]:
        step = every or max(1, math.ceil(self.years / 10))
        years = list(range(self.base + 1, self.base + self.years + 1))
        return [year for year in years if (year - years[0]) % step == 0 or year == years[-1]]

    def _years(self, lang: str, shown: list[int], fund: str) -> tuple[str, list[list[str]], list[int]]:
        unit, size = self.unit()
        heads = ["year", "income", "outgo", "balance", "reserve", "months", "fan"]
        rows = [[say(f"fund_project.{one}", lang) for one in heads]]
        for year in shown:
            money = [f"{self.value(one, year, fund) / size:,.1f}" for one in ("income", "outgo", "balance", "reserve")]
            held = [_months(self.value("months", year, fund, one)) for one in ("trend", "p5", "p50", "p95")]
            rows.append([str(year), *money, held[0], " | ".join(held[1:])])
        title = say("fund_project.by_year", lang, fund=named(fund, lang), unit=say(f"fund_project.{unit}", lang))
        return title, rows, [1, 2, 3, 4, 5, 6]

    def _lines(self, lang: str, shown: list[int], fund: str) -> tuple[str, list[list[str]], list[int]]:
        heads = [say("fund_project.below_line", lang, line=f"{line:g}") for line in self.asked]
        rows = [[say("fund_project.year", lang), *heads]]
        mine = self.lines.filter(pl.col("fund") == fund)
        for year in shown:
            here = mine.filter(pl.col("year") == year)
            cells = [here.filter(pl.col("line") == line).row(0, named=True) for line in self.asked]
            rows.append([str(year), *(f"{one['now']:.0%} ({one['ever']:.0%})" for one in cells)])
        return say("fund_project.lines", lang, fund=named(fund, lang)), rows, list(range(1, len(heads) + 1))

    def _firsts(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        heads = ["fund", "event", "trend", "share", "tenth", "half", "nine_tenths"]
        rows = [[say(f"fund_project.{one}", lang) for one in heads]]
        for row in self.firsts.iter_rows(named=True):
            cells = [say(f"fund_project.{row['fund']}", lang), say(f"fund_project.{row['event']}", lang)]
            cells += [_year(row["trend"]), f"{row['share']:.0%}", *(_year(row[one]) for one in ("p10", "p50", "p90"))]
            rows.append(cells)
        return say("fund_project.firsts", lang), rows, [2, 3, 4, 5, 6]

    def _funds(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        unit, size = self.unit()
        heads = ["fund", "year", "income", "outgo", "balance", "reserve", "transfers_in", "transfers_out"]
        rows = [[say(f"fund_project.{one}", lang) for one in heads]]
        for fund in FUNDS:
            for year in (self.base + 1, self.base + self.years):
                money = [f"{self.value(one, year, fund) / size:,.1f}" for one in heads[2:]]
                rows.append([say(f"fund_project.{fund}", lang), str(year), *money])
        return say("fund_project.all_funds", lang, unit=say(f"fund_project.{unit}", lang)), rows, [2, 3, 4, 5, 6, 7]

    def _members(self, lang: str, shown: list[int]) -> tuple[str, list[list[str]], list[int]]:
        heads = ["year", "people", "insured", *CLASSES, "assisted", "old_share"]
        rows = [[say(f"fund_project.{one}", lang) for one in heads]]
        for row in self.people.filter(pl.col("year").is_in([self.base, *shown])).iter_rows(named=True):
            counts = [f"{row[one]:,.0f}" for one in heads[1:-1]]
            rows.append([str(row["year"]), *counts, f"{row['old_share']:.1%}"])
        return say("fund_project.population", lang), rows, list(range(1, len(heads)))

    def _fiscal(self, lang: str, shown: list[int]) -> tuple[str, list[list[str]], list[int]]:
        unit, size = self.unit()
        heads = ["year", "premium", "subsidy", "centre", "province", "city", "county", "collected_ahead"]
        rows = [[say(f"fund_project.{one}", lang) for one in heads]]
        for row in self.fiscal.filter(pl.col("year").is_in(shown)).iter_rows(named=True):
            rows.append([str(row["year"]), *(f"{row[one] / size:,.1f}" for one in heads[1:])])
        return say("fund_project.who_pays", lang, unit=say(f"fund_project.{unit}", lang)), rows, list(range(1, 8))


def named(fund: str, lang: str) -> str:
    """Name a fund as a title begins with it."""
    said = say(f"fund_project.{fund}", lang)
    return said[:1].upper() + said[1:]


def outlook_of(
    setting: Setting, trend: list[Year], chance: list[Year], *, lines: Sequence[float], seed: int
) -> Outlook:
    """Gather years on the trend and on paths into a result."""
    basis = setting.basis
    years = [one.year for one in trend]
    frames, at_lines, firsts = [], [], []
    for fund in FUNDS:
        fans: dict[str, Array] = {}
        flat: dict[str, Array] = {}
        for item in ("income", "outgo", "balance", "reserve"):
            fans[item] = np.stack([one.of(item, fund) for one in chance])
            flat[item] = np.concatenate([one.of(item, fund) for one in trend])
        fans["months"] = months(fans["reserve"], fans["outgo"])
        flat["months"] = months(flat["reserve"], flat["outgo"])
        for item in FANNED:
            frames.append(_fan_rows(fund, item, years, flat[item], fans[item]))
        for item in PARTS:
            values = np.concatenate([one.of(item, fund) for one in trend])
            frames.append(_fan_rows(fund, item, years, values, None))
        for line in lines:
            now, ever = below(fans["months"], line)
            at_lines.append(pl.DataFrame({"fund": fund, "line": float(line), "year": years, "now": now, "ever": ever}))
        for event, values, one in (
            ("deficit", fans["balance"], flat["balance"]),
            ("empty", fans["reserve"], flat["reserve"]),
        ):
            firsts.append(_first_row(fund, event, first_year(values < -1e-6 * _size(fans), years[0]),
                                     first_year((one < -1e-6 * _size(flat))[:, None], years[0])[0]))  # fmt: skip
    return Outlook(
        basis.id, basis.names, basis.scenario, basis.year, setting.years, chance[0].values.shape[2], seed,
        tuple(float(line) for line in lines), pl.concat(frames), pl.concat(at_lines), pl.DataFrame(firsts),
        _people_rows(setting), _fiscal_rows(setting, trend),
        cells_frame(setting, (basis.year, basis.year + setting.years)), basis.parameters,
        basis.book, basis.synthetic, basis.notes,
    )  # fmt: skip


def _size(items: dict[str, Array]) -> float:
    """Give what a balance is compared with, so that the rounding of doubles is no deficit."""
    return float(np.abs(items["outgo"]).max())


def _fan_rows(fund: str, item: str, years: list[int], trend: Array, paths: Array | None) -> pl.DataFrame:
    empty = np.full(len(years), np.nan)
    fans = fan(paths) if paths is not None else [empty] * len(_NAMES)
    mean = paths.mean(axis=1) if paths is not None else empty
    made = {"fund": [fund] * len(years), "item": [item] * len(years), "year": years, "trend": trend, "mean": mean}
    made |= dict(zip(_NAMES, fans, strict=True))
    numbers = ("trend", "mean", *_NAMES)
    return pl.DataFrame(made).with_columns(pl.when(pl.col(n).is_finite()).then(pl.col(n)).alias(n) for n in numbers)


def _first_row(fund: str, event: str, found: Array, trend: float) -> dict[str, Any]:
    ordered = np.sort(found)
    ranks = [ordered[math.ceil((len(ordered) - 1) * share)] for share in (0.1, 0.5, 0.9)]
    tenth, half, most = (None if math.isinf(one) else int(one) for one in ranks)
    return {
        "fund": fund, "event": event, "trend": None if math.isinf(trend) else int(trend),
        "share": float(np.isfinite(found).mean()), "p10": tenth, "p50": half, "p90": most,
    }  # fmt: skip


def _people_rows(setting: Setting) -> pl.DataFrame:
    people = setting.people.sum(axis=(2, 3))
    made: dict[str, Any] = {"year": list(range(setting.basis.year, setting.basis.year + setting.years + 1))}
    made |= {"people": people.sum(axis=1), "insured": setting.classes.sum(axis=1)}
    made |= {name: setting.classes[:, place] for place, name in enumerate(CLASSES)}
    made |= {"assisted": setting.assisted, "old_share": people[:, 60:].sum(axis=1) / people.sum(axis=1)}
    return pl.DataFrame(made)


def _fiscal_rows(setting: Setting, trend: list[Year]) -> pl.DataFrame:
    parameters = setting.basis.parameters
    premium = np.concatenate([one.of("premium", "basic") for one in trend])
    subsidy = np.concatenate([one.of("subsidy", "basic") for one in trend])
    # In hand at the end of a year: the premium of the next. The members of the year after the last are not projected.
    ahead = premium * setting.standards.premium[2:] / setting.standards.premium[1:-1]
    grown = setting.classes.sum(axis=1)
    ahead[:-1] *= grown[2:] / grown[1:-1]
    made = {"year": [one.year for one in trend], "premium": premium, "subsidy": subsidy}
    return pl.DataFrame(made | split_subsidy(subsidy, parameters) | {"collected_ahead": ahead})


def _plain(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return [
        {name: None if isinstance(one, float) and not math.isfinite(one) else one for name, one in row.items()}
        for row in frame.iter_rows(named=True)
    ]


def _months(value: float) -> str:
    """Write months of payment; a fund that pays nothing has none."""
    return "-" if math.isnan(value) else f"{value:.1f}"


def _year(value: int | None) -> str:
    return "-" if value is None else str(value)
