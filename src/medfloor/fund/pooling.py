"""Pool places: county, city, province; adjustment fund, one purse, or equal benefits only; who gains and who pays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import UsageError
from medfloor.fund.losses import TOLERANCE, Risk, Severity, empirical, lognormal, losses, risk, ruin_by_size
from medfloor.fund.places import OURS, YOURS, Place, Places, check_months, source_name
from medfloor.fund.series import source_text, unit_text
from medfloor.terminal import aligned
from medfloor.words import Phrase, say

Array = npt.NDArray[np.float64]

DESIGNS = ("county", "benefits", "adjustment", "city", "province")
"""Each county its own purse; benefits made equal but purses kept; an adjustment fund; one purse a city; one in all."""

SIZES = (1_000, 10_000, 100_000, 400_000, 4_000_000)
"""Members of a village, a township, a small county, a county and a city."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Be the terms of pooling: parameters of the user's, with these values where nothing is said (all assumptions).

    `share` of income goes to the adjustment fund; `months` of payment are each county's reserve; `common` is the spread
    of the shock that all share. `use_response` is by how much (a share) payments rise where there is one purse, and
    `hazard` by how much where others would pay every yuan: 0 is no response.
    """

    share: float = 0.1
    months: float = 0.0
    common: float = 0.05
    use_response: float = 0.0
    hazard: float = 0.0
    lines: tuple[float, ...] = (0.02, 0.05)
    draws: int = 10_000
    seed: int = 20201123


@dataclass(frozen=True, slots=True, eq=False)
class Pooling:
    """Be what pooling does to places.

    `sizes` has a row a pool size: spread and `over_<line>` (probability to pay beyond 1 + line of what is expected),
    with random claims alone and (`common_...`) with the shock that all share. `funds` has a row a design, response and
    purse: members, income and expected outgo (yuan), `ruin` (probability that income and reserve do not suffice) and
    expected shortfall. `places` has a row a design, response and county: expected payments for its members and
    `transfer` (yuan a member a year; above zero it receives). `total` sums a design up. `crossing` is how many members
    make random claims as small as the common shock (NaN without one), `smooth` how many bring them to 1 %.
    """

    of: Places
    terms: Terms
    sizes: pl.DataFrame
    funds: pl.DataFrame
    places: pl.DataFrame
    total: pl.DataFrame
    crossing: float
    smooth: float

    def value(self, column: str, design: str, response: str = "none") -> float:
        """Give a number of `total`."""
        found = self.total.filter((pl.col("design") == design) & (pl.col("response") == response))
        return float(found[column].item())

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give a row a design, response and county, with the design in words."""
        names = {one: say(f"fund_pool.{one}", lang) for one in DESIGNS}
        return self.places.with_columns(pl.col("design").replace(names).alias("design_name"))

    def frames(self, lang: str = "en") -> dict[str, pl.DataFrame]:
        """Give all tables by name."""
        return {
            "sizes": self.sizes, "designs": self.total, "purses": self.funds, "transfers": self.to_frame(lang),
            "counties": self.of.to_frame(), "sources": self.sources(lang),
        }  # fmt: skip

    def sources(self, lang: str = "en") -> pl.DataFrame:
        """Give every number that went in beside the places, with source and trust."""
        rows: list[dict[str, Any]] = [
            {"name": one.name, "title": source_name("pool", one.name, lang),
             "value": None if math.isnan(one.value) else one.value,
             "unit": unit_text(one.unit, lang) if one.unit else "",
             "year": one.year or None, "source": source_text(one.source, lang), "trust": one.trust}
            for one in self.of.sources
        ]  # fmt: skip
        for name in ("share", "months", "common", "use_response", "hazard"):
            given = getattr(self.terms, name) != getattr(Terms(), name)
            rows.append({"name": name, "title": source_name("pool", name, lang),
                         "value": float(getattr(self.terms, name)), "unit": "", "year": None,
                         "source": source_text(YOURS if given else OURS, lang),
                         "trust": "yours" if given else "assumption"})  # fmt: skip
        return pl.DataFrame(rows, infer_schema_length=None)

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON."""
        plain = {name: frame.to_dicts() for name, frame in self.frames(lang).items()}
        lines = {"smooth": self.smooth, "crossing": None if math.isnan(self.crossing) else self.crossing}
        return {"places": self.of.name(lang), "synthetic": self.of.synthetic, "seed": self.terms.seed,
                "draws": self.terms.draws, **plain, **lines,
                "notes": [one.say(lang) for one in self.said()]}  # fmt: skip

    def said(self) -> list[Phrase]:
        """Say what must be known beside the numbers."""
        told = [Phrase.of("fund_pool.redistributes", smooth=f"{_rounded(self.smooth):,}")]
        if not math.isnan(self.crossing):
            told.append(Phrase.of("fund_pool.crossing", members=f"{_rounded(self.crossing):,}",
                                  common=f"{self.terms.common:.1%}"))  # fmt: skip
        poor, rich = (self.value(f"transfer_{one}", "province") for one in ("poorer", "richer"))
        told.append(Phrase.of("fund_pool.reverse" if poor < 0 else "fund_pool.forward",
                              poor=f"{poor:+.1f}", rich=f"{rich:+.1f}"))  # fmt: skip
        if self.terms.use_response or self.terms.hazard:
            told.append(Phrase.of("fund_pool.responds", use=f"{self.terms.use_response:.1%}",
                                  hazard=f"{self.terms.hazard:.1%}"))  # fmt: skip
        else:
            told.append(Phrase("fund_pool.no_response"))
        told += [Phrase("fund_pool.evidence"), Phrase("fund_pool.definitions"), Phrase("fund_pool.transfer_is")]
        made_up = Phrase("fund_pool.made_up_population" if self.of.counted else "fund_pool.made_up")
        return [*told, *([made_up] if self.of.synthetic else [])]

    def head(self, lang: str) -> str:
        """Say what was pooled."""
        members = sum(one.members for one in self.of.all)
        return say("fund_pool.head", lang, places=self.of.name(lang), many=len(self.of.all), members=f"{members:,}",
                   common=f"{self.terms.common:.1%}", share=f"{self.terms.share:.0%}", months=f"{self.terms.months:g}",
                   draws=f"{self.terms.draws:,}", seed=self.terms.seed)  # fmt: skip

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal: pool sizes, designs, transfers, notes."""
        lines = [self.head(lang), ""]
        for title, rows, right in self.tables(lang):
            lines += [title, *aligned(rows, right), ""]
        return "\n".join([*lines, say("fund_pool.notes", lang), *(f"  - {one.say(lang)}" for one in self.said())])

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def tables(self, lang: str) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give the tables of the page: title, rows of cells (the first are heads), columns flush right."""
        lines = self.terms.lines
        over = [say("fund_pool.over", lang, line=f"{line:.0%}") for line in lines]
        heads = [say("fund_pool.members", lang), say("fund_pool.spread", lang), *over,
                 *(say("fund_pool.with_common", lang, what=one) for one in over)]  # fmt: skip
        keys = [f"{kind}over_{line:g}" for kind in ("", "common_") for line in lines]
        sizes = [[f"{row['members']:,}", f"{row['spread']:.2%}", *(_chance(row[one]) for one in keys)]
                 for row in self.sizes.iter_rows(named=True)]  # fmt: skip
        return [
            (say("fund_pool.by_size", lang), [heads, *sizes], list(range(len(heads)))),
            self._designs(lang),
            self._transfers(lang),
        ]

    def _designs(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        heads = ["design", "response", "purses", "ruin_mean", "ruin_most", "balance", "shortfall", "transfer_poorer",
                 "transfer_richer"]  # fmt: skip
        rows = [[say(f"fund_pool.{one}", lang) for one in heads]]
        for row in self.total.iter_rows(named=True):
            rows.append([say(f"fund_pool.{row['design']}", lang), say(f"fund_pool.response_{row['response']}", lang),
                         str(row["purses"]), f"{row['ruin_mean']:.1%}", f"{row['ruin_most']:.1%}",
                         *(f"{row[one]:+,.1f}" for one in heads[5:])])  # fmt: skip
        return say("fund_pool.by_design", lang), rows, list(range(2, len(heads)))

    def _transfers(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        last = "asked" if "asked" in self.places["response"] else "none"
        rows = [[*(say(f"fund_pool.{one}", lang) for one in ("place", "members", "income_head", "own_balance")),
                 *(say(f"fund_pool.{one}", lang) for one in DESIGNS[2:])]]  # fmt: skip
        frame = self.places.filter(pl.col("response") == last)
        for one in sorted(self.of.all, key=lambda one: one.income):
            here = {row["design"]: row["transfer"] for row in frame.filter(pl.col("place") == one.name).to_dicts()}
            rows.append([self.of.title(one.name, lang), f"{one.members:,}", f"{one.income:,.0f}",
                         f"{one.financing - one.payment:+,.1f}",
                         *(f"{here[design]:+,.1f}" for design in DESIGNS[2:])])  # fmt: skip
        return say("fund_pool.by_place", lang), rows, list(range(1, len(rows[0])))


def pool(places: Places, terms: Terms | None = None, *, sizes: Sequence[float] = SIZES) -> Pooling:
    """Pool places under every design, with and without the response to pooling that the terms state.

    A county's payments are drawn from their exact distribution (`losses`), times the shock that all share; every design
    sees the same draws. Equal benefits mean one ratio, set so that all together would cost what they cost (within the
    city for one purse a city). The adjustment fund takes its share of income, and pays counties that lack money, in
    proportion to what each lacks where it does not suffice for all; what is left goes back as it was paid.

    Raises UsageError bad_parameter, bad_shock, bad_draws, bad_lines, negative_reserve, no_places, coarse_grid.
    """
    terms = terms or Terms()
    _check(terms, places, sizes)
    rng = np.random.default_rng(terms.seed)
    table, crossing, smooth = _by_size(places, terms, [int(one) for one in sizes])
    drawn = _draws(places, terms, rng)
    funds: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    total: list[dict[str, Any]] = []
    responses = ["none", "asked"] if terms.use_response or terms.hazard else ["none"]
    for design in DESIGNS:
        for response in responses:
            made = _tried(design, places.all, drawn, terms, respond=response == "asked")
            said = {"design": design, "response": response}
            funds += [said | one for one in made[0]]
            rows += [said | one for one in made[1]]
            total.append(said | _summed(places.all, *made))
    return Pooling(places, terms, table, pl.DataFrame(funds), pl.DataFrame(rows), pl.DataFrame(total), crossing, smooth)


def _check(terms: Terms, places: Places, sizes: Sequence[float]) -> None:
    if not places.all:
        raise UsageError("no_places", "there is no place to pool; name at least one")
    for name, most in (("share", 1.0), ("use_response", 1.0), ("hazard", 1.0)):
        value = getattr(terms, name)
        if not 0 <= value <= most:
            raise UsageError("bad_parameter", f"{name} = {value:g} is impossible; it lies between 0 and {most:g}")
    if not 100 <= terms.draws <= 1_000_000:
        raise UsageError("bad_draws", f"{terms.draws:,} draws are impossible; give 100 to 1,000,000")
    if terms.seed < 0:
        raise UsageError("bad_seed", f"{terms.seed} is no seed; give a whole number from 0")
    if not sizes or any(not 1 <= one <= 2e9 or one != int(one) for one in sizes):
        raise UsageError(
            "bad_pool", f"{list(sizes)} are no pool sizes; give whole numbers of members from 1 to 2,000,000,000"
        )
    check_months(terms.months)


def _by_size(places: Places, terms: Terms, sizes: Sequence[int]) -> tuple[pl.DataFrame, float, float]:
    """Work the table of pool sizes out for the mean county, and how many members smooth what can be smoothed."""
    weights = np.array([one.members for one in places.all], dtype=float)
    claims = float(np.average([one.claims for one in places.all], weights=weights))
    payment = float(np.average([one.payment for one in places.all], weights=weights))
    severity = _of_all(places.all, payment / claims, weights)
    spread, over = ruin_by_size(sizes, claims, severity, lines=terms.lines, common=terms.common)
    made: dict[str, Any] = {"members": list(sizes)}
    for row, kind in enumerate(("", "common_")):
        made[f"{kind}spread"] = spread[row]
        made |= {f"{kind}over_{line:g}": over[row, :, place] for place, line in enumerate(terms.lines)}
    # The square of the random spread falls as one over the members.
    one = severity.second() / severity.mean() ** 2 / claims
    return pl.DataFrame(made), one / terms.common**2 if terms.common else math.nan, one / 0.01**2


def _of_all(places: Sequence[Place], mean: float, weights: Array) -> Severity:
    if places[0].seen is None:
        return lognormal(mean, float(np.average([one.cv for one in places], weights=weights)))
    seen = [one.seen for one in places if one.seen is not None]
    claims = [one.members * one.claims for one in places if one.seen is not None]
    return empirical(
        np.concatenate([one.values for one in seen]),
        np.concatenate([one.weights / one.weights.sum() * many for one, many in zip(seen, claims, strict=True)]),
    )


def _draws(places: Places, terms: Terms, rng: np.random.Generator) -> Array:
    """Draw what each county pays in a year (draws x counties, yuan), one shock over all."""
    risks: list[Risk] = [risk(one.members, one.claims, one.severity(), own=one.own) for one in places.all]
    drawn = [losses([one], tolerance=10 * TOLERANCE).quantiles(rng.random(terms.draws)) for one in risks]
    common = rng.gamma(terms.common**-2, terms.common**2, (terms.draws, 1)) if terms.common else 1.0
    return np.maximum(np.array(drawn).T, 0.0) * common


def _tried(
    design: str, places: Sequence[Place], drawn: Array, terms: Terms, *, respond: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Try a design on the draws: a row a purse, and a row a county."""
    members = np.array([one.members for one in places], dtype=float)
    income = members * np.array([one.financing for one in places])
    purse = _purses(design, places)
    factor = _factor(design, places, purse, income, terms, respond=respond)
    paid = drawn * factor
    # Months of what is paid today, so that a design or a response gives no county a richer start.
    today = members * np.array([one.payment for one in places])
    reserve = terms.months / 12 * today
    # Known without the draws, whose mean would show transfers between places that are alike.
    expected = today * factor
    moved = np.zeros_like(paid)
    if design == "adjustment":
        moved = _adjusted(income, income + reserve - paid, terms.share)
    have = income + reserve + moved - paid
    purses, transfer = [], moved.mean(axis=0)
    for number in range(purse.max() + 1):
        inside = purse == number
        left = have[:, inside].sum(axis=1)
        purses.append({
            "purse": _named(design, places, inside), "members": int(members[inside].sum()),
            "income": float(income[inside].sum()), "outgo": float(expected[inside].sum()),
            "ruin": float((left < 0).mean()), "shortfall": float(np.maximum(-left, 0).mean()),
        })  # fmt: skip
        if design in ("city", "province"):
            surplus = income[inside].sum() - expected[inside].sum()
            share = income[inside] / income[inside].sum()
            transfer[inside] = expected[inside] - income[inside] + share * surplus
    rows = [
        {"place": one.name, "city": one.city, "members": one.members, "income": one.income, "purse": int(purse[at]),
         "financing": one.financing, "payment": float(expected[at] / one.members),
         "transfer": float(transfer[at] / one.members)}
        for at, one in enumerate(places)
    ]  # fmt: skip
    return purses, rows


def _purses(design: str, places: Sequence[Place]) -> npt.NDArray[np.int64]:
    if design == "province":
        return np.zeros(len(places), dtype=np.int64)
    if design != "city":
        return np.arange(len(places))
    cities = list(dict.fromkeys(one.city for one in places))
    return np.array([cities.index(one.city) for one in places])


def _named(design: str, places: Sequence[Place], inside: npt.NDArray[np.bool_]) -> str:
    first = places[int(np.flatnonzero(inside)[0])]
    return "all" if design == "province" else first.city if design == "city" else first.name


def _factor(
    design: str, places: Sequence[Place], purse: npt.NDArray[np.int64], income: Array, terms: Terms, *, respond: bool
) -> Array:
    """Give by what each county's payments are multiplied: equal benefits, and the response to pooling."""
    factor = np.ones(len(places))
    cost = np.array([one.members * one.claims * one.cost for one in places])
    ratio = np.array([one.ratio for one in places])
    level = np.zeros_like(purse) if design == "benefits" else purse
    if design in ("benefits", "city", "province"):
        for number in range(level.max() + 1):
            inside = level == number
            factor[inside] = (cost[inside] @ ratio[inside]) / cost[inside].sum() / ratio[inside]
    if respond:
        whole = np.array([income[purse == number].sum() for number in purse])
        others = np.full(len(places), terms.share) if design == "adjustment" else 1 - income / whole
        factor = factor * (1 + terms.hazard * others)
        if design in ("city", "province"):
            factor = factor * (1 + terms.use_response)
    return factor


def _adjusted(income: Array, have: Array, share: float) -> Array:
    """Give what the adjustment fund moves (draws x counties): above zero a county gets more than it puts in."""
    fund = share * income
    # A county lacks money after it has paid its share in; the fund pays what is lacking as far as it goes.
    lack = np.maximum(fund - have, 0.0)
    need, there = lack.sum(axis=1, keepdims=True), fund.sum()
    paid = lack * np.minimum(1.0, there / np.maximum(need, 1e-9))
    back = (there - paid.sum(axis=1, keepdims=True)) * fund / there if there > 0 else 0.0
    return np.asarray(paid + back - fund)


def _summed(places: Sequence[Place], purses: list[dict[str, Any]], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum a design up: ruin over members, the worst purse, balance and shortfall a member, transfers by income."""
    members = np.array([one["members"] for one in purses], dtype=float)
    ruin = np.array([one["ruin"] for one in purses])
    balance = sum(one["income"] - one["outgo"] for one in purses) / members.sum()
    heads = np.array([one.members for one in places], dtype=float)
    # The poorer half of members: counties at whose income half is reached count to both, by their parts.
    level = np.unique([one.income for one in places], return_inverse=True)[1]
    there = np.bincount(level, heads)
    poorer = np.clip((heads.sum() / 2 - (np.cumsum(there) - there)) / there, 0, 1)[level]
    transfer = np.array([one["transfer"] for one in rows])
    return {
        "purses": len(purses), "ruin_mean": float(np.average(ruin, weights=members)), "ruin_most": float(ruin.max()),
        "balance": float(balance), "shortfall": float(sum(one["shortfall"] for one in purses) / members.sum()),
        "transfer_poorer": float((transfer * heads * poorer).sum() / (heads * poorer).sum()),
        "transfer_richer": float((transfer * heads * (1 - poorer)).sum() / (heads * (1 - poorer)).sum()),
    }  # fmt: skip


def _rounded(value: float) -> int:
    """Round to two figures, for a sentence."""
    digits = max(0, math.floor(math.log10(max(value, 1.0))) - 1)
    return int(round(value, -digits))


def _chance(value: float) -> str:
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"
