"""Price an inclusive commercial product: who joins, what they cost, what it must cost, and whether it lives for years.

The odds of joining go with the own premium and with the loss that a person expects (adverse selection); the poor may
have theirs paid. Losses are those of `risks`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import UsageError
from medfloor.fund.parameters import Parameters
from medfloor.fund.risks import COVER, PRODUCT, Product, Risks
from medfloor.fund.series import source_text, unit_text
from medfloor.sparing import ready
from medfloor.terminal import aligned
from medfloor.words import Phrase, knows, say

Array = npt.NDArray[np.float64]

SEED, DRAWS, YEARS = 20201123, 10_000, 10
QUOTE = "Paying a premium of 168 yuan a year can enjoy a medical insurance of up to 3.3 million yuan"
"""What seed 004 says of the product, word for word (section 4.4)."""

QUOTE_HISTORY = "does not limit other restrictions such as past medical history and age"
"""What it says of who may join."""

QUOTE_POOR = "can be purchased by the government for extremely difficult groups"
"""What it says of the poorest."""


@dataclass(frozen=True, slots=True, eq=False)
class Price:
    """Be a price with what it rests on.

    `classes` has a row a class: persons, expected loss of one, share that joins, members, premium and loss. `figures`
    has the sums: members, premium income, losses, loss ratio with its interval of one year (95 %) and of the estimate
    (null without a population), break-even premium (null where there is none), technical premium, what the poor's
    premium costs. `variants` has the same for each treatment of prior disease, and without selection. `years` shows the
    product when each year's premium follows last year's members; `curve` what a member costs at each premium.
    """

    product: Product
    classes: pl.DataFrame
    figures: dict[str, float | None]
    variants: pl.DataFrame
    years: pl.DataFrame
    curve: pl.DataFrame
    spiral: bool
    parameters: Parameters
    source: str
    seed: int
    synthetic: bool

    @property
    def warnings(self) -> tuple[Phrase, ...]:
        """Say whether the premium is too low, and whether the product dies of its own selection."""
        found = []
        even = self.figures["break_even"]
        if even is None:
            found.append(Phrase("fund_price.no_break_even"))
        elif even > self.product.premium:
            found.append(
                Phrase.of("fund_price.too_low", premium=f"{self.product.premium:g}", even=f"{even:.2f}")
            )  # fmt: skip
        if self.spiral:
            found.append(Phrase.of("fund_price.spiral", alive=f"{self.parameters.value('market.alive'):g}"))
        return tuple(found)

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the classes, with the band in words."""
        return self.classes.with_columns(
            pl.col("band").replace({one: say(f"fund_price.{one}", lang) for one in ("young", "adult", "old")})
            .alias("title")
        )  # fmt: skip

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON."""
        return {
            "product": {one: getattr(self.product, one) for one in ("premium", "cap", "deductible", "rate", "cover")},
            "quotes": [QUOTE, QUOTE_HISTORY, QUOTE_POOR], "policy": PRODUCT, "losses_from": self.source,
            "seed": self.seed, "synthetic": self.synthetic, "classes": self.classes.to_dicts(),
            "figures": self.figures, "variants": self.variants.to_dicts(), "years": self.years.to_dicts(),
            "curve": self.curve.to_dicts(),
            "spiral": self.spiral, "parameters": self.parameters_frame(lang).to_dicts(),
            "notes": [one.say(lang) for one in self.said()], "warnings": [one.say(lang) for one in self.warnings],
        }  # fmt: skip

    def parameters_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give every parameter with unit, source and trust."""
        return pl.DataFrame(
            [
                {
                    "parameter": one.name, "title": one.title(lang), "value": one.value,
                    "unit": unit_text(one.unit, lang), "year": one.year,
                    "trust": one.trust, "source": source_text(one.source, lang),
                }
                for one in self.parameters.all
            ]
        )  # fmt: skip

    def said(self) -> list[Phrase]:
        """Say what must be known beside the numbers."""
        told = [Phrase.of("fund_price.seed", quote=QUOTE), Phrase.of("fund_price.unpublished")]
        told.append(Phrase(f"fund_price.from_{self.source}"))
        told += [Phrase("fund_price.intervals"), Phrase("fund_price.behaviour")]
        return [*told, Phrase("fund_price.made_up")] if self.synthetic else told

    def head(self, lang: str) -> str:
        """Say what was priced."""
        one = self.product
        return say(
            "fund_price.head", lang, premium=f"{one.premium:g}", cap=f"{one.cap:,.0f}",
            deductible=f"{one.deductible:,.0f}", rate=f"{one.rate:.0%}", cover=say(f"fund_price.{one.cover}", lang),
        )  # fmt: skip

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal: the figures, the classes, the variants, the years, notes."""
        lines = [self.head(lang), ""]
        for title, rows, right in self.tables(lang):
            lines += [title, *aligned(rows, right), ""]
        for heading, phrases in (("warnings", list(self.warnings)), ("notes", self.said())):
            if phrases:
                lines += [say(f"fund_project.{heading}", lang), *(f"  - {one.say(lang)}" for one in phrases), ""]
        return "\n".join(lines).rstrip()

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def tables(self, lang: str) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give the tables of the page: title, rows of cells (the first are heads), columns flush right."""
        return [self._figures(lang), self._classes(lang), self._variants(lang), self._years(lang)]

    def _figures(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        rows = [[say(f"fund_price.{one}", lang) for one in ("item", "value")]]
        for name, value in self.figures.items():
            if value is None and name.startswith("estimate"):
                continue
            rows.append([say(f"fund_price.{name}", lang), told(name, value)])
        return say("fund_price.figures", lang), rows, [1]

    def _classes(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        heads = ("age", "history", "poor", "persons", "expected", "joins", "members", "loss_ratio")
        rows = [[say(f"fund_price.{one}", lang) for one in heads]]
        for row in self.classes.iter_rows(named=True):
            marks = [say("fund_price.yes" if row[one] else "fund_price.no", lang) for one in ("history", "poor")]
            rows.append([
                say(f"fund_price.{row['band']}", lang), *marks, f"{row['persons']:,.0f}", f"{row['expected']:,.2f}",
                f"{row['take_up']:.1%}", f"{row['members']:,.0f}", told("loss_ratio", row["loss_ratio"]),
            ])  # fmt: skip
        return say("fund_price.classes", lang), rows, [3, 4, 5, 6, 7]

    def _variants(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        heads = ("cover", "selection", "take_up", "expected", "loss_ratio", "break_even")
        rows = [[say(f"fund_price.{one}", lang) for one in heads]]
        for row in self.variants.iter_rows(named=True):
            rows.append([
                say(f"fund_price.{row['cover']}", lang), f"{row['selection']:g}",
                *(told(one, row[one]) for one in heads[2:]),
            ])  # fmt: skip
        return say("fund_price.variants", lang), rows, [1, 2, 3, 4, 5]

    def _years(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        heads = ("year", "premium", "take_up", "members", "expected", "loss_ratio")
        rows = [[say(f"fund_price.{one}", lang) for one in heads]]
        for row in self.years.iter_rows(named=True):
            rows.append([str(row["year"]), *(told(one, row[one]) for one in heads[1:])])
        return say("fund_price.years", lang), rows, [1, 2, 3, 4, 5]


def price(
    risks: Risks, product: Product, parameters: Parameters, *, years: int = YEARS, seed: int = SEED, draws: int = DRAWS
) -> Price:
    """Price a product for people: who joins at its premium, the loss ratio, what breaks even, and the years after.

    The base of the odds is set once, so that `market.take_up` of the ordinary join with every disease covered at the
    product's premium; changes of cover, premium and selection then move them.

    Raises UsageError bad_horizon for years or draws that cannot be, bad_seed for a seed below 0.

    >>> from medfloor.fund.risks import pricing_parameters, product_of, stated_risks
    >>> known = pricing_parameters()
    >>> found = price(stated_risks(known, product_of(known)), product_of(known), known, draws=100)
    >>> round(found.figures["loss_ratio"], 1) > 0, found.spiral
    (True, False)
    """
    if not 1 <= years <= 75 or not 1 <= draws <= 1_000_000:
        raise UsageError("bad_horizon", f"{years} years and {draws} draws cannot be; use 1 to 75 and 1 to 1,000,000")
    if seed < 0:
        raise UsageError("bad_seed", f"the seed {seed} is below 0; use a whole number from 0 on")
    rng = np.random.default_rng(seed)
    joined = _Market(risks, product, parameters)
    classes = joined.classes()
    figures = joined.figures() | _intervals(joined, rng, draws)
    figures |= {
        "break_even": joined.break_even(0.0),
        "technical": joined.break_even(parameters.share("product.margin")),
    }
    figures |= {"poor_cost": joined.poor_cost()}
    variants = []
    for cover in COVER:
        for power in sorted({0.0, parameters.value("market.selection")}):
            other = _Market(risks, replace(product, cover=cover), parameters.with_value("market.selection", power))
            sums = other.figures()
            variants.append({
                "cover": cover, "selection": power, "take_up": sums["take_up"], "expected": sums["expected"],
                "loss_ratio": sums["loss_ratio"], "break_even": other.break_even(0.0),
            })  # fmt: skip
    walked, spiral = _walk(joined, years)
    kinds = dict.fromkeys(("take_up", "expected", "loss_ratio", "break_even"), pl.Float64())
    return Price(
        product, classes, figures, pl.DataFrame(variants, schema_overrides=kinds), walked, joined.curve(), spiral,
        parameters, risks.source, seed, risks.synthetic,
    )  # fmt: skip


def joining(risks: Risks, product: Product, parameters: Parameters) -> pl.DataFrame:
    """Give the classes of `price` alone: persons, members, premium and loss at the product's premium.

    >>> from medfloor.fund.risks import pricing_parameters, product_of, stated_risks
    >>> known = pricing_parameters()
    >>> joining(stated_risks(known, product_of(known)), product_of(known), known)["members"].sum() > 0
    True
    """
    return _Market(risks, product, parameters).classes()


@dataclass(frozen=True, eq=False)
class _Market:
    """Be people, a product and how they decide. Without slots, so that what a premium does not move is found once."""

    risks: Risks
    product: Product
    parameters: Parameters

    @functools.cached_property
    def factor(self) -> Array:
        """Give the share of full losses that is paid, for each class: less for those with a disease before."""
        kept = {"covered": 1.0, "reduced": self.parameters.share("product.reduced"), "excluded": 0.0}
        lost = self.parameters.share("loss.of_history") * (1 - kept[self.product.cover])
        return np.where(self.risks.history, 1 - lost, 1.0)

    @functools.cached_property
    def each(self) -> Array:
        """Give the loss expected of one person of each class."""
        return np.asarray(self.risks.mean * self.factor, np.float64)

    def take_up(self, premium: float, grown: float = 1.0) -> Array:
        """Give the share of each class that joins at a premium, when losses have grown."""
        value, share = self.parameters.value, self.parameters.share
        poor = self.risks.poor
        own = premium * np.where(poor, 1 - share("market.poor_paid"), 1.0)
        with np.errstate(divide="ignore"):
            pull = self._pull(self.each * grown) - value("market.price") * np.log(own / self.product.premium)
        # Above 700 the exponential overflows; the share is 1 long before.
        odds = np.exp(np.clip(self.base + pull, -700, 700))
        return np.asarray(np.where(own <= 0, 1.0, odds / (1 + odds)), np.float64)

    def _pull(self, expected: Array) -> Array:
        """Give what the expected loss adds to the log-odds; the mean of full cover adds nothing."""
        mean = float(self.risks.persons @ self.risks.mean / self.risks.persons.sum())
        power = self.parameters.value("market.selection")
        if mean <= 0 or power == 0:
            return np.zeros(len(expected))
        # Who expects nothing is taken to expect a thousandth of the mean: nobody is sure.
        return np.asarray(power * np.log(np.maximum(expected / mean, 1e-3)), np.float64)

    @functools.cached_property
    def base(self) -> float:
        """Find the log-odds at which the asked share of the ordinary joins, with every disease covered."""
        ordinary = ~self.risks.poor if (~self.risks.poor).any() else np.ones(len(self.risks.mean), bool)
        persons, pull = self.risks.persons[ordinary], self._pull(self.risks.mean)[ordinary]
        asked = self.parameters.share("market.take_up")

        def off(base: float) -> float:
            return float(persons @ (1 / (1 + np.exp(-np.clip(base + pull, -700, 700)))) / persons.sum() - asked)

        return float(ready("scipy.optimize").brentq(off, -80, 80))

    def members(self, premium: float, grown: float = 1.0) -> Array:
        """Count the members of each class."""
        return np.asarray(self.risks.persons * self.take_up(premium, grown), np.float64)

    def a_member(self, premium: float, grown: float = 1.0) -> float:
        """Give the loss of a member at a premium; NaN without members."""
        members = self.members(premium, grown)
        whole = members.sum()
        return float(members @ self.each * grown / whole) if whole > 0 else math.nan

    def ordinary_take_up(self, members: Array) -> float:
        """Give the share of the ordinary that joined."""
        ordinary = ~self.risks.poor
        whole = self.risks.persons[ordinary].sum()
        return float(members[ordinary].sum() / whole) if whole > 0 else math.nan

    def classes(self) -> pl.DataFrame:
        """Give the classes with who joins and what they cost."""
        taken, expected = self.take_up(self.product.premium), self.each
        members = self.risks.persons * taken
        return self.risks.frame.with_columns(
            pl.Series("expected", expected), pl.Series("take_up", taken), pl.Series("members", members),
            pl.Series("premium", members * self.product.premium), pl.Series("loss", members * expected),
            pl.Series("loss_ratio", expected / self.product.premium),
        )  # fmt: skip

    def figures(self) -> dict[str, float | None]:
        """Give the sums at the product's premium; the loss ratio is losses over premium."""
        members = self.members(self.product.premium)
        income = float(members.sum() * self.product.premium)
        losses = float(members @ self.each)
        none = income <= 0
        return {
            "members": float(members.sum()), "take_up": self.ordinary_take_up(members), "premium": income,
            "losses": losses, "expected": None if none else losses / float(members.sum()),
            "loss_ratio": None if none else losses / income,
        }  # fmt: skip

    def poor_cost(self) -> float:
        """Give what is paid of the premiums of the poor, in yuan."""
        members = self.members(self.product.premium)[self.risks.poor].sum()
        return float(members * self.product.premium * self.parameters.share("market.poor_paid"))

    def curve(self, points: int = 60) -> pl.DataFrame:
        """Give at premiums from a fifth to three times the product's: premium less costs, loss of a member, take-up."""
        left = 1 - self.parameters.share("product.costs")
        rows = [
            {
                "premium": float(one), "available": float(one) * left, "cost_of_member": self.a_member(float(one)),
                "take_up": self.ordinary_take_up(self.members(float(one))),
            }
            for one in np.linspace(0.2, 3.0, points) * self.product.premium
        ]  # fmt: skip
        return pl.DataFrame(rows)

    def break_even(self, margin: float) -> float | None:
        """Find the least premium at which losses, costs and a margin are paid by those who then join.

        Raising a premium drives the well away, so there may be none. It is sought from a hundredth to 10,000 times the
        mean loss.
        """
        left = 1 - self.parameters.share("product.costs") - margin
        low = max(float(self.risks.persons @ self.each / self.risks.persons.sum()), 1e-6) * 1e-2
        grid = np.geomspace(low, low * 1e6, 400)

        def gap(premium: float) -> float:
            return left * premium - self.a_member(premium)

        gaps = np.array([gap(float(one)) for one in grid])
        above = np.flatnonzero(gaps >= 0)
        if not len(above) or self.each.max() <= 0:
            return None if not len(above) else 0.0
        first = int(above[0])
        if first == 0:
            return float(grid[0])
        return float(ready("scipy.optimize").brentq(gap, float(grid[first - 1]), float(grid[first])))


def _intervals(joined: _Market, rng: np.random.Generator, draws: int) -> dict[str, float | None]:
    """Give the interval of one year's loss ratio, and that of its estimate where persons were resampled.

    A year's losses are a gamma with the mean and variance of the members' sum, times a lognormal factor that all share
    (`loss.common`). Variance: each member is his own draw, so members x (mean square - mean^2).
    """
    members = joined.members(joined.product.premium)
    income = members.sum() * joined.product.premium
    expected, factor = joined.each, joined.factor
    mean = float(members @ expected)
    empty: dict[str, float | None] = dict.fromkeys(("year_low", "year_high", "estimate_low", "estimate_high"))
    if income <= 0 or mean <= 0:
        return empty
    variance = float(members @ np.maximum(joined.risks.square * factor - expected**2, 0.0))
    losses = rng.gamma(mean**2 / variance, variance / mean, draws) if variance > 0 else np.full(draws, mean)
    scale = math.sqrt(math.log1p(joined.parameters.share("loss.common") ** 2))
    losses = losses * np.exp(rng.standard_normal(draws) * scale - scale**2 / 2)
    low, high = np.quantile(losses / income, (0.025, 0.975))
    empty |= {"year_low": float(low), "year_high": float(high)}
    if joined.risks.resampled is not None:
        drawn = members @ (joined.risks.resampled * factor[:, None]) / income
        least, most = np.quantile(drawn, (0.025, 0.975))
        empty |= {"estimate_low": float(least), "estimate_high": float(most)}
    return empty


def _walk(joined: _Market, years: int) -> tuple[pl.DataFrame, bool]:
    """Walk the years: each premium pays last year's losses a member, grown, with costs and margin; say if it dies.

    People weigh a premium against what care costs in its year, so that growth alone drives nobody away.
    """
    parameters = joined.parameters
    left = 1 - parameters.share("product.costs") - parameters.share("product.margin")
    premium, rows = joined.product.premium, []
    for year in range(1, years + 1):
        grown = (1 + parameters.share("market.growth")) ** (year - 1)
        members = joined.members(premium / grown)
        loss = float(members @ joined.each) * grown
        whole = float(members.sum())
        each = loss / whole if whole > 0 else math.nan
        rows.append({
            "year": year, "premium": premium, "take_up": joined.ordinary_take_up(members), "members": whole,
            "expected": each, "loss_ratio": each / premium if premium > 0 else math.nan,
        })  # fmt: skip
        if not whole > 0 or not each > 0:
            break
        premium = each * (1 + parameters.share("market.growth")) / left
    frame = pl.DataFrame(rows)
    taken = frame["take_up"].to_list()
    alive = parameters.share("market.alive")
    # Death: the ordinary fall under the line that they began above, while the premium outgrows care.
    return frame, bool(taken[-1] < alive <= taken[0])


def told(name: str, value: float | None) -> str:
    """Write a figure as its kind asks: shares in per cent, counts whole, money with two places."""
    if value is None or math.isnan(value):
        return "-"
    if name in ("take_up", "loss_ratio", "year_low", "year_high", "estimate_low", "estimate_high"):
        return f"{value:.1%}"
    return f"{value:,.0f}" if name in ("members", "persons") else f"{value:,.2f}"


def title_of(name: str, lang: str) -> str:
    """Name a column; one without words keeps its name."""
    return say(f"fund_price.{name}", lang) if knows(f"fund_price.{name}", lang) else name
