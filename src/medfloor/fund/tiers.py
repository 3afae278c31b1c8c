"""Hold one tier against several: who chooses which, adverse selection, what lifting the low tier costs, who pays."""

from __future__ import annotations

import functools
import itertools
import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.fund.places import OURS, YOURS, Source, population_members, source_name
from medfloor.fund.series import source_text, unit_text
from medfloor.sparing import ready
from medfloor.terminal import aligned
from medfloor.words import Phrase, join, knows, say

Array = npt.NDArray[np.float64]

_FILE = Path(__file__).parent / "tiers.toml"
SCENARIOS = ("before", "choice", "low", "same_cost", "lifted", "high")
"""Town in the highest tier and country in the lowest, two purses; choice in one purse; one tier: the low one, one at
the same cost, the high ratio at what members pay now, the high one."""
RESIDENCES = ("rural", "urban")
COLUMNS = ("residence", "income", "cost", "share")
_FLOOR = 0.1
"""The share of income below which spending on care does not press what is left; an assumption."""


@dataclass(frozen=True, slots=True)
class Tier:
    """Be a pair of what a member pays a year (yuan) and the share of cost that the fund pays."""

    name: str
    contribution: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Choosing:
    """Be how members choose and respond; parameters of the user's, all assumptions where nothing is said.

    `way` is utility (expected utility with constant relative risk aversion `aversion`) or logit (a stated one: the
    chance of a tier is proportional to the exponential of expected payment less contribution over `scale`, yuan).
    `response` is by how much (a share) cost rises with ten points of ratio: 0 is no response. `rounds` are the years of
    the experiment in which each tier must pay for itself.
    """

    way: str = "utility"
    aversion: float = 2.0
    scale: float = 150.0
    response: float = 0.0
    rounds: int = 10


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """Be members in cells: residence (place in RESIDENCES), income and expected cost (yuan), share of all."""

    residence: npt.NDArray[np.int64]
    income: Array
    cost: Array
    share: Array
    fifth: npt.NDArray[np.int64]
    spread: float
    sources: tuple[Source, ...]
    synthetic: bool
    counted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Tiering:
    """Be one tier held against several, on the same members.

    `tiers` has a row a scenario and tier: share of members, contribution, ratio, `risk` (expected cost of its members
    over that of all), payment a member and loss ratio (payments over contribution and subsidy). `scenarios` has money a
    member: contribution, subsidy, payment, balance, own payments, `lift` (payment less contribution, against choice)
    and the concentration index of payments by income. `transfers` has a row a scenario and group: payment, contribution
    and net transfer a member (what is paid beyond what the group puts in, its purse's surplus shared alike; sums to
    zero). `rounds` is the experiment in which each tier pays for itself: contribution and share of members a year.
    """

    tiers: pl.DataFrame
    scenarios: pl.DataFrame
    transfers: pl.DataFrame
    rounds: pl.DataFrame
    asked: tuple[Tier, ...]
    subsidy: float
    choosing: Choosing
    sources_of: tuple[Source, ...]
    synthetic: bool
    counted: bool = False

    def value(self, column: str, scenario: str) -> float:
        """Give a number of `scenarios`."""
        return float(self.scenarios.filter(pl.col("scenario") == scenario)[column].item())

    def transfer(self, scenario: str, group: str) -> float:
        """Give the net transfer a member of a group: rural, urban, 1 (poorest fifth) to 5; NaN without members."""
        rows = self.transfers.filter((pl.col("scenario") == scenario) & (pl.col("group") == group))
        return float(rows["transfer"].item()) if rows.height else math.nan

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give a row a scenario and tier, with the scenario in words."""
        names = {one: say(f"fund_tiers.{one}", lang) for one in SCENARIOS}
        return self.tiers.with_columns(pl.col("scenario").replace(names).alias("scenario_name"))

    def frames(self, lang: str = "en") -> dict[str, pl.DataFrame]:
        """Give all tables by name."""
        return {"tiers": self.to_frame(lang), "scenarios": self.scenarios, "transfers": self.transfers,
                "rounds": self.rounds, "sources": self.sources(lang)}  # fmt: skip

    def sources(self, lang: str = "en") -> pl.DataFrame:
        """Give every number that went in, with source and trust."""
        rows: list[dict[str, Any]] = [
            {"name": one.name, "title": source_name("tiers", one.name, lang),
             "value": None if math.isnan(one.value) else one.value,
             "unit": unit_text(one.unit, lang) if one.unit else "",
             "year": one.year or None, "source": source_text(one.source, lang), "trust": one.trust}
            for one in self.sources_of
        ]  # fmt: skip
        for name in ("aversion", "scale", "response"):
            given = getattr(self.choosing, name) != getattr(Choosing(), name)
            rows.append({"name": name, "title": source_name("tiers", name, lang),
                         "value": float(getattr(self.choosing, name)), "unit": "", "year": None,
                         "source": source_text(YOURS if given else OURS, lang),
                         "trust": "yours" if given else "assumption"})  # fmt: skip
        return pl.DataFrame(rows, infer_schema_length=None)

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON."""
        plain = {name: frame.to_dicts() for name, frame in self.frames(lang).items()}
        return {"synthetic": self.synthetic, "subsidy": self.subsidy, "way": self.choosing.way, **plain,
                "notes": [one.say(lang) for one in self.said()]}  # fmt: skip

    def said(self) -> list[Phrase]:
        """Say what must be known beside the numbers."""
        told = [
            Phrase.of(
                "fund_tiers.lifting",
                cost=f"{self.value('lift', 'lifted'):,.0f}",
                high=_money(self.value("lift", "high")),
            )
        ]
        poor, rich = self.transfer("choice", "1"), self.transfer("choice", "5")
        if not math.isnan(poor + rich):
            told.append(Phrase.of("fund_tiers.reverse" if poor < 0 < rich else "fund_tiers.forward",
                                  poor=_money(poor, "+"), rich=_money(rich, "+")))  # fmt: skip
        high = self.rounds.filter(pl.col("tier") == self.asked[-1].name)["share"]
        told.append(Phrase.of("fund_tiers.unravels" if high[-1] < 0.5 * high[0] else "fund_tiers.holds",
                              first=f"{high[0]:.0%}", last=f"{high[-1]:.0%}", years=self.choosing.rounds))  # fmt: skip
        told.append(Phrase(f"fund_tiers.way_{self.choosing.way}"))
        told.append(Phrase.of("fund_tiers.responds", by=f"{self.choosing.response:.1%}") if self.choosing.response
                    else Phrase("fund_tiers.no_response"))  # fmt: skip
        told += [Phrase("fund_tiers.transfer_is"), Phrase("fund_tiers.before_is")]
        if self.counted:
            told.append(Phrase("fund_tiers.counted"))
        made_up = Phrase("fund_tiers.made_up_population" if self.counted else "fund_tiers.made_up")
        return [*told, *([made_up] if self.synthetic else [])]

    def head(self, lang: str) -> str:
        """Say what was held against what."""
        pairs = join(
            [f"{tier_name(one.name, lang)} {one.contribution:g} / {one.ratio:.0%}" for one in self.asked], lang
        )
        return say("fund_tiers.head", lang, tiers=pairs, subsidy=f"{self.subsidy:g}")

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal: tiers, scenarios, transfers, rounds, notes."""
        lines = [self.head(lang), ""]
        for title, rows, right in self.tables(lang):
            lines += [title, *aligned(rows, right), ""]
        return "\n".join([*lines, say("fund_tiers.notes", lang), *(f"  - {one.say(lang)}" for one in self.said())])

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def tables(self, lang: str) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give the tables of the page: title, rows of cells (the first are heads), columns flush right."""

        def named(scenario: str) -> str:
            return say(f"fund_tiers.{scenario}", lang)

        def heads(*names: str) -> list[str]:
            return [say(f"fund_tiers.{one}", lang) for one in names]

        tiers = [heads("scenario", "tier", "share", "contribution", "ratio", "risk", "payment", "loss_ratio")]
        tiers += [[named(row["scenario"]), tier_name(row["tier"], lang), f"{row['share']:.1%}",
                   f"{row['contribution']:,.0f}",
                   f"{row['ratio']:.1%}", f"{row['risk']:.2f}", f"{row['payment']:,.0f}", f"{row['loss_ratio']:.2f}"]
                  for row in self.tiers.iter_rows(named=True)]  # fmt: skip
        money = ("contribution", "payment", "balance", "own", "lift")
        sums = [heads("scenario", *money, "concentration")]
        sums += [[named(row["scenario"]), *(_money(row[one]) for one in money), f"{row['concentration']:+.4f}"]
                 for row in self.scenarios.iter_rows(named=True)]  # fmt: skip
        groups = [*RESIDENCES, *"12345"]
        moved = [[*heads("scenario"), *(say(f"fund_tiers.group_{one}", lang) for one in groups)]]
        moved += [[named(one), *(self._cell(one, group) for group in groups)] for one in SCENARIOS]
        years = sorted({1, 2, 3, self.choosing.rounds} & set(self.rounds["round"].to_list()))
        turns = [heads("round", "tier", "contribution", "share")]
        turns += [[str(row["round"]), tier_name(row["tier"], lang), f"{row['contribution']:,.0f}",
                   f"{row['share']:.1%}"]
                  for row in self.rounds.filter(pl.col("round").is_in(years)).iter_rows(named=True)]  # fmt: skip
        return [
            (say("fund_tiers.by_tier", lang), tiers, list(range(2, 8))),
            (say("fund_tiers.by_scenario", lang), sums, list(range(1, 7))),
            (say("fund_tiers.by_group", lang), moved, list(range(1, 8))),
            (say("fund_tiers.by_round", lang), turns, [0, 2, 3]),
        ]

    def _cell(self, scenario: str, group: str) -> str:
        rows = self.transfers.filter((pl.col("scenario") == scenario) & (pl.col("group") == group))
        return _money(rows["transfer"].item(), "+") if rows.height else "-"


@functools.cache
def shipped_tiers() -> tuple[tuple[Tier, ...], Members, float]:
    """Give the made-up low and high tier, members in 30 cells, and the subsidy.

    >>> tiers, members, subsidy = shipped_tiers()
    >>> len(members.cost), round(float(members.cost @ members.share)), subsidy
    (30, 1717, 700.0)
    """
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    figure, told = data["figures"], data["sources"]
    at = {name: np.asarray(one["value"], dtype=float) for name, one in figure.items()}
    sources = [
        Source(
            f"{name} {place}" if at[name].ndim else name, float(value), one["unit"], one["year"], told[one["source"]],
            one["trust"],
        )
        for name, one in figure.items()
        for place, value in enumerate(np.atleast_1d(at[name]), 1)
    ]  # fmt: skip
    fifth, residence, level = (one.ravel() for one in np.meshgrid(range(5), range(2), range(3), indexing="ij"))
    rural = at["rural"][fifth]
    by_level = np.stack([1 - at["chronic"] - at["severe"], at["chronic"], at["severe"]])
    share = np.where(residence == 0, rural, 1 - rural) * by_level[level, fifth] / 5
    cost = at["risk"][level] * at["access"][fifth] * np.where(residence == 0, float(at["access_rural"]), 1.0)
    cost *= float(at["cost"]) / (cost @ share)
    members = Members(
        residence, at["income"][fifth], cost, share, fifth, float(at["spread"]), tuple(sources), True,
    )  # fmt: skip
    low, low_ratio, high, high_ratio = at["tiers"]
    return (Tier("low", low, low_ratio), Tier("high", high, high_ratio)), members, float(at["subsidy"])


def members_file(path: str | Path, *, spread: float = 2.0) -> Members:
    """Read members from a CSV or Parquet file: residence (rural, urban), income, expected cost, share (any weight).

    Raises InputError bad_members, and what reading a table raises.
    """
    from medfloor.intake import read_table

    frame = read_table(path, "members")
    missing = [one for one in COLUMNS[:3] if one not in frame.columns]
    if missing or not frame.height:
        raise InputError("bad_members", f"{Path(path).name} has no {', '.join(missing) or 'row'}; members need "
                         f"{', '.join(COLUMNS[:3])}, and may have share")  # fmt: skip
    shares = frame["share"] if "share" in frame.columns else pl.Series("share", [1.0] * frame.height)
    numbers = [(frame[one] if one != "share" else shares).cast(pl.Float64, strict=False).to_numpy()
               for one in ("income", "cost", "share")]  # fmt: skip
    places = frame["residence"].cast(pl.String).replace_strict({"rural": 0, "urban": 1}, default=-1).to_numpy()
    good = (places >= 0) & np.isfinite(numbers).all(axis=0) & (np.array(numbers) >= 0).all(axis=0) & (numbers[0] > 0)
    good &= (np.array(numbers) <= 1e12).all(axis=0)
    if not good.all() or numbers[2].sum() <= 0 or numbers[1].sum() <= 0:
        row = int(np.argmin(good)) + 1
        raise InputError("bad_members", f"{Path(path).name}, row {row}: residence is rural or urban, income above 0, "
                         "cost and share at or above zero and not all zero, "
                         "and nothing above 1e12")  # fmt: skip
    income, cost, share = numbers
    share = share / share.sum()
    fifth = _fifths(income, share)
    yours = (Source("members", math.nan, "", 0, Path(path).name, "yours"),)
    return Members(places.astype(np.int64), income, cost, share, fifth, spread, yours, False)


def counted_members(folder: str | Path, *, year: int | None = None) -> Members:
    """Count members from a population's folder: people of the residents' scheme, households, claims of a year.

    A class is residence, fifth of household income a head, age (0-14, 15-59, 60 and over) and whether somebody had
    outpatient care for a chronic disease; its members expect the mean in-scope cost of the class, and `spread` is what
    remains inside the classes. Only people with a household and an income above zero are counted.

    Raises InputError no_population, bad_members; UsageError many_years, no_such_year; what reading raises.
    """
    rows, made_up, left = population_members(Path(folder), year=year)
    if rows.is_empty() or not float(rows["cost"].sum()) > 0:
        raise InputError(
            "bad_members", f"{folder} has no member with income, or nobody had a claim; nothing to choose by"
        )
    weight = np.full(rows.height, 1 / rows.height)
    rows = rows.with_columns(pl.Series("fifth", _fifths(rows["income"].to_numpy(), weight)))
    cells = rows.group_by("residence", "fifth", "band", "history").agg(
        pl.len().alias("many"), pl.col("income").mean(), pl.col("cost").mean().alias("cost"),
        pl.col("cost").var(ddof=0).alias("var"),
    ).sort("residence", "fifth", "band", "history")  # fmt: skip
    many, cost = cells["many"].to_numpy(), cells["cost"].to_numpy()
    spread = math.sqrt(float(cells["var"].to_numpy() @ many) / float(cost**2 @ many))
    sources = [
        Source("members", float(rows.height), "persons", 0, Path(folder).name, "derived"),
        Source("spread", spread, "coefficient of variation of a year's cost", 0, Path(folder).name, "derived"),
    ]
    sources += [Source("left_out", float(left), "persons", 0, Path(folder).name, "derived")] if left else []
    return Members(
        cells["residence"].to_numpy().astype(np.int64), cells["income"].to_numpy(), cost, many / many.sum(),
        cells["fifth"].to_numpy(), max(spread, 0.01), tuple(sources), made_up, counted=True,
    )  # fmt: skip


def _fifths(income: Array, share: Array) -> npt.NDArray[np.int64]:
    """Give the fifth of income of each, from 0; who is astride two belongs to that of its middle."""
    order = np.argsort(income, kind="stable")
    middle = np.cumsum(share[order]) - share[order] / 2
    fifth = np.zeros(len(income), dtype=np.int64)
    fifth[order] = np.minimum((5 * middle).astype(np.int64), 4)
    return fifth


def read_tiers(texts: Sequence[str]) -> tuple[Tier, ...]:
    """Read tiers as NAME=CONTRIBUTION,RATIO, from low to high.

    Raises UsageError bad_tiers for fewer than two, a name twice, or a pair that cannot be.

    >>> read_tiers(["low=300,0.55", "high=600,0.75"])[1].ratio
    0.75
    """
    found = []
    for text in texts:
        name, _, pair = text.partition("=")
        try:
            contribution, ratio = (float(one) for one in pair.split(","))
        except ValueError:
            raise UsageError("bad_tiers", f"{text!r} is not NAME=CONTRIBUTION,RATIO such as low=300,0.55") from None
        found.append(Tier(name.strip(), contribution, ratio))
    _check_tiers(found)
    return tuple(found)


def tiering(
    tiers: Sequence[Tier] | None = None,
    members: Members | None = None,
    *,
    subsidy: float | None = None,
    choosing: Choosing | None = None,
) -> Tiering:
    """Hold one tier against several on the same members; without arguments, on made-up ones.

    Raises UsageError bad_tiers, bad_parameter.
    """
    shipped = shipped_tiers()
    yours = tiers is not None or subsidy is not None
    tiers, members = tuple(tiers or shipped[0]), members or shipped[1]
    subsidy, how = shipped[2] if subsidy is None else subsidy, choosing or Choosing()
    _check_tiers(tiers)
    _check(how, subsidy)
    chosen = _choices(tiers, members, how)
    mean = Tier("one", 0.0, 0.0)
    paid, given = _flows(tiers, chosen, members, how)
    contribution, net = float(given @ members.share), float((paid - given) @ members.share)
    mean = Tier("one", contribution, _same_cost(members, how, net + contribution))
    everyone = np.ones((len(members.cost), 1))
    assigned = np.zeros_like(chosen)
    assigned[np.arange(len(chosen)), np.where(members.residence == 1, len(tiers) - 1, 0)] = 1.0
    tried: dict[str, tuple[Sequence[Tier], Array]] = {
        "before": (tiers, assigned), "choice": (tiers, chosen), "low": (tiers[:1], everyone),
        "same_cost": ((mean,), everyone),
        "lifted": ((replace(tiers[-1], contribution=contribution),), everyone), "high": (tiers[-1:], everyone),
    }  # fmt: skip
    of_tiers, sums, moved = [], [], []
    for name, (offered, taken) in tried.items():
        of_tiers += [{"scenario": name} | one for one in _of_tiers(offered, taken, members, how, subsidy)]
        sums.append({"scenario": name} | _sums(offered, taken, members, how, subsidy, net))
        moved += [{"scenario": name} | one for one in _moved(offered, taken, members, how, apart=name == "before")]
    told = list(members.sources)
    if yours:
        told = [one for one in told if not one.name.startswith("tiers")]
        told += [Source(f"tier {one.name}", one.ratio, "ratio, at a contribution", 0, "yours", "yours")
                 for one in tiers]  # fmt: skip
    return Tiering(
        pl.DataFrame(of_tiers), pl.DataFrame(sums), pl.DataFrame(moved),
        pl.DataFrame(_rounds(tiers, members, how, subsidy)),
        tiers, subsidy, how, tuple(told), members.synthetic, members.counted,
    )  # fmt: skip


def tier_name(name: str, lang: str) -> str:
    """Name a tier: those that ship have words, the user's keep theirs."""
    key = f"fund_tiers.tier_{name}"
    return say(key, lang) if knows(key, lang) else name


def _money(value: float, sign: str = "") -> str:
    return f"{round(value) + 0.0:{sign},.0f}" if round(value) else "0"


def _check_tiers(tiers: Sequence[Tier]) -> None:
    names = [one.name for one in tiers]
    if not 2 <= len(tiers) <= 10 or len(set(names)) < len(names) or "" in names:
        raise UsageError("bad_tiers", f"{', '.join(names) or 'nothing'} are no tiers; give 2 to 10, each with a name")
    for one in tiers:
        if not (0 <= one.contribution <= 1e6 and 0 <= one.ratio <= 1):
            raise UsageError("bad_tiers", f"{one.name} asks {one.contribution:g} yuan and pays {one.ratio:g}; give at "
                             "least 0 yuan, and a share from 0 to 1")  # fmt: skip
    if any(b.ratio < a.ratio or b.contribution < a.contribution for a, b in itertools.pairwise(tiers)):
        raise UsageError("bad_tiers", "tiers go from low to high, in what they ask and in what they pay; reorder them")


def _check(how: Choosing, subsidy: float) -> None:
    if how.way not in ("utility", "logit"):
        raise UsageError("bad_parameter", f"way = {how.way!r} is unknown; write utility or logit")
    bounds = {"aversion": (0, 20), "scale": (0.01, 1e6), "response": (0, 1), "rounds": (1, 100)}
    for name, (low, high) in bounds.items():
        value = float(getattr(how, name))
        if not low <= value <= high:
            raise UsageError("bad_parameter", f"{name} = {value:g} is impossible; it lies between {low} and {high:g}")
    if not 0 <= subsidy <= 1e6:
        raise UsageError("bad_parameter", f"subsidy = {subsidy:g} is impossible; it lies between 0 and 1,000,000")


def _cost(members: Members, ratio: float, how: Choosing) -> Array:
    """Give the expected cost of each cell where the fund pays a ratio; at 0.66, the nation's, as it is."""
    return members.cost * max(0.0, 1 + how.response * (ratio - 0.66) / 0.1)


def _choices(tiers: Sequence[Tier], members: Members, how: Choosing) -> Array:
    """Give the share of each cell that takes each tier (cells x tiers)."""
    if how.way == "logit":
        worth = np.stack([one.ratio * _cost(members, one.ratio, how) - one.contribution for one in tiers], axis=1)
        worth = (worth - worth.max(axis=1, keepdims=True)) / how.scale
        chance = np.exp(worth)
        return np.asarray(chance / chance.sum(axis=1, keepdims=True))
    worth = np.stack([_utility(one, members, how) for one in tiers], axis=1)
    # Of tiers that are worth the same, the lower is taken.
    taken: Array = np.eye(len(tiers))[np.argmax(np.round(worth, 12), axis=1)]
    return taken


def _utility(tier: Tier, members: Members, how: Choosing) -> Array:
    """Give expected utility, as the certain share of income that is worth as much; a year's cost is lognormal."""
    places, weights = np.polynomial.hermite_e.hermegauss(40)
    sigma = math.sqrt(math.log1p(members.spread**2))
    times = np.exp(sigma * places - sigma**2 / 2)
    own = (1 - tier.ratio) * members.cost[:, None] * times
    left = np.maximum((members.income[:, None] - tier.contribution - own) / members.income[:, None], _FLOOR)
    value: Callable[[Array], Array] = np.log if how.aversion == 1 else lambda x: x ** (1 - how.aversion)
    mean = value(left) @ weights / weights.sum()
    return np.asarray(np.exp(mean) if how.aversion == 1 else mean ** (1 / (1 - how.aversion)), dtype=np.float64)


def _flows(tiers: Sequence[Tier], taken: Array, members: Members, how: Choosing) -> tuple[Array, Array]:
    """Give what the fund pays for and gets from a member of each cell, yuan."""
    paid = np.stack([one.ratio * _cost(members, one.ratio, how) for one in tiers], axis=1)
    return (paid * taken).sum(axis=1), taken @ np.array([one.contribution for one in tiers])


def _same_cost(members: Members, how: Choosing, payment: float) -> float:
    """Find the ratio at which one tier for all costs the fund a payment a member."""

    def miss(ratio: float) -> float:
        return float(ratio * _cost(members, ratio, how) @ members.share) - payment

    return float(ready("scipy.optimize").brentq(miss, 0.0, 1.0)) if miss(1.0) > 0 else 1.0


def _of_tiers(
    tiers: Sequence[Tier], taken: Array, members: Members, how: Choosing, subsidy: float
) -> list[dict[str, Any]]:
    overall, rows = members.cost @ members.share, []
    for place, one in enumerate(tiers):
        weight = taken[:, place] * members.share
        share = float(weight.sum())
        payment = float(one.ratio * _cost(members, one.ratio, how) @ weight) / share if share else 0.0
        into = one.contribution + subsidy
        rows.append({"tier": one.name, "share": share, "contribution": one.contribution, "ratio": one.ratio,
                     "risk": float(members.cost @ weight) / share / float(overall) if share else 0.0,
                     "payment": payment, "loss_ratio": payment / into if into else 0.0})  # fmt: skip
    return rows


def _sums(
    tiers: Sequence[Tier], taken: Array, members: Members, how: Choosing, subsidy: float, net: float
) -> dict[str, float]:
    paid, given = _flows(tiers, taken, members, how)
    share = members.share
    cost = sum(float(_cost(members, one.ratio, how) @ (taken[:, at] * share)) for at, one in enumerate(tiers))
    payment, contribution = float(paid @ share), float(given @ share)
    rank = _rank(members.income, share)
    index = 2 * float((paid - payment) * rank @ share) / payment if payment else 0.0
    return {"contribution": contribution, "subsidy": subsidy, "payment": payment,
            "balance": contribution + subsidy - payment, "own": cost - payment, "lift": payment - contribution - net,
            "concentration": index}  # fmt: skip


def _rank(income: Array, share: Array) -> Array:
    """Give the mid-rank by income, equal incomes sharing one."""
    values, place = np.unique(income, return_inverse=True)
    mass = np.bincount(place, weights=share, minlength=len(values))
    return np.asarray((np.cumsum(mass) - mass / 2)[place])


def _moved(
    tiers: Sequence[Tier], taken: Array, members: Members, how: Choosing, *, apart: bool
) -> list[dict[str, Any]]:
    """Give net transfers by residence and fifth; `apart`, each residence has a purse of its own."""
    paid, given = _flows(tiers, taken, members, how)
    net = paid - given
    for number in (0, 1) if apart else (None,):
        inside = members.residence == number if number is not None else np.ones(len(net), dtype=bool)
        weight = members.share[inside]
        if weight.sum() > 0:
            net[inside] -= net[inside] @ weight / weight.sum()
    rows = []
    groups = [(name, members.residence == place) for place, name in enumerate(RESIDENCES)]
    groups += [(str(fifth + 1), members.fifth == fifth) for fifth in range(5)]
    for name, inside in groups:
        weight = members.share[inside]
        if weight.sum() > 0:
            mean = [float(one[inside] @ weight / weight.sum()) for one in (paid, given, net)]
            rows.append({"group": name, "share": float(weight.sum()), "payment": mean[0], "contribution": mean[1],
                         "transfer": mean[2]})  # fmt: skip
    return rows


def _rounds(tiers: Sequence[Tier], members: Members, how: Choosing, subsidy: float) -> list[dict[str, Any]]:
    """Let each tier pay for itself: it asks this year's payment less the subsidy next year; members choose anew."""
    offered, rows = list(tiers), []
    for number in range(1, how.rounds + 1):
        taken = _choices(offered, members, how)
        made = _of_tiers(offered, taken, members, how, subsidy)
        rows += [{"round": number, "tier": one["tier"], "contribution": one["contribution"], "share": one["share"]}
                 for one in made]  # fmt: skip
        # A tier without members keeps its contribution: nobody shows what it would pay.
        offered = [replace(tier, contribution=max(0.0, one["payment"] - subsidy)) if one["share"] > 0 else tier
                   for tier, one in zip(offered, made, strict=True)]  # fmt: skip
    return rows
