"""Make the county of one seed: everything that is the same whoever is visited, worked out once for all arms.

Bills are settled by `medfloor.settlement` under the place's law, as the households are and as they would be with a
status that begins on the first of any month. So an arm only has to look up what its decisions cost and spare.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import UsageError
from medfloor.policy.load import groups_of
from medfloor.settlement.batch import Law
from medfloor.settlement.engines import Engine, are_few
from medfloor.settlement.settle import law_of, settle
from medfloor.synthetic import Years, live, synthesise
from medfloor.synthetic.county import LEAST
from medfloor.watch.homes import Register
from medfloor.watch.rules import Rules, load_rules
from medfloor.watch.screening import screen

Array: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

HISTORY = 3
"""Years lived before the watch begins: models learn from the step from each to the next."""
MOST_YEARS = 5
MOST = 200_000
"""People of a county at most: a month is screened whole, sixty times."""
_FILE = Path(__file__).parent / "loop.toml"
_TOWNS = {"east": 0.35, "hill": 0.25, "lake": 0.2, "north": 0.12, "west": 0.08}
_HOLDING = ("tekun", "dibao", "dibao_marginal", "monitored", "orphan")
_MONEY = ("consumption", "food", "housing", "utilities")


@dataclass(frozen=True, slots=True)
class Setting:
    """Be what is asked of a simulation: a county, a law, an office with so many visits a week.

    `place` is a policy of the library, by whose law is settled; `status` is the group in which a recognised household
    is settled. `share` is kept for townships. `numbers` lie over those of `loop.toml`.
    """

    people: int = 5_000
    years: int = 5
    capacity: int = 2
    place: str = "cn/beijing"
    status: str = "dibao_marginal"
    share: float = 0.3
    numbers: Mapping[str, float] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """Give an assumption.

        >>> Setting().number("help_at_most"), Setting(numbers={"help_at_most": 5.0}).number("help_at_most")
        (10000.0, 5.0)
        """
        return float(self.numbers.get(name, loop_numbers()[name].value))


@dataclass(frozen=True, slots=True)
class LoopNumber:
    """Be one assumption of the loop: value, unit, trust (office: chosen; assumption: ours)."""

    name: str
    value: float
    unit: str
    trust: str


@dataclass(frozen=True, eq=False)
class World:
    """Be a made-up county as it lives by itself; money is whole fen, months count from the first watched one.

    By household: `ids`, `township` (a place in `towns`), `size`, `free` (holds no status that helps, so that it can be
    found). `able` and `income` are by year and household, income as it truly is. `line` is the monitoring line a head
    by year. `own` is what households pay themselves, by start of the status (0 never, 1 to 12 the month), year,
    household and month; `billed` all bills by year, household and month. `before` is `own` of the twelve months before
    the first, with `income_before`. `alerts` are those of all months, with the column `month`.
    """

    seed: int
    first_year: int
    years: int
    ids: list[str]
    towns: tuple[str, ...]
    township: Ints
    size: Ints
    free: Flags
    able: Flags
    income: Ints
    income_before: Ints
    line: Ints
    own: Ints
    before: Ints
    billed: Ints
    alerts: pl.DataFrame
    register: Register
    settled: pl.DataFrame

    @property
    def months(self) -> int:
        """Count the months that are watched."""
        return 12 * self.years

    @functools.cached_property
    def gap(self) -> Ints:
        """Give by year and household what is missing to the line after paying for care, without any watching."""
        lacking = self.line[:, None] * self.size - (self.income - self.own[0].sum(axis=2))
        return np.asarray(np.maximum(0, lacking), np.int64)

    @functools.cached_property
    def under(self) -> Flags:
        """Say by month and household whether income less what was paid so far in the year is under the line."""
        left = self.income[:, :, None] - np.cumsum(self.own[0], axis=2)
        found = left < (self.line[:, None] * self.size)[:, :, None]
        return np.asarray(found.transpose(0, 2, 1).reshape(self.months, len(self.size)), np.bool_)

    @functools.cached_property
    def falls(self) -> Ints:
        """Give by year and household the month of the year in which it falls: -1 where it does not, or was under."""
        by_year = self.under.reshape(self.years, 12, len(self.size))
        first = np.where(by_year.any(axis=1), by_year.argmax(axis=1), -1)
        left_before = self.income_before - self.before.sum(axis=1)
        was = np.concatenate([[left_before < self.line[0] * self.size], by_year[:-1, 11]])
        return np.where(was | ~self.free, -1, first)


def make_world(setting: Setting, seed: int) -> World:
    """Make, settle and screen the county of a seed.

    Raises what `check_setting` raises.

    >>> world = make_world(Setting(people=1_000, years=1), 1)
    >>> world.own.shape[0], world.months, bool((world.own[1] <= world.billed).all())
    (13, 12, True)
    """
    law = check_setting(setting)
    lived = live(synthesise(setting.people, seed=seed, years=HISTORY + setting.years), seed=seed)
    first = lived.first_year + HISTORY
    homes = lived.wave(first)
    ids = homes["household_id"].to_list()
    rng = np.random.default_rng([seed, 20201123])
    township = rng.choice(len(_TOWNS), len(ids), p=list(_TOWNS.values()))
    register = _register(lived, pl.DataFrame({"household_id": ids, "township": np.array(list(_TOWNS))[township]}))
    held = _held(lived, law, setting, first)
    engine: Engine = "auto" if are_few(lived.claims.height + held.claims.height) else "kernel"
    settled = settle(lived.claims, lived.people, lived.spells, law, engine=engine, threads=1).fen
    found = settle(held.claims, held.people, held.spells, law, engine=engine, threads=1).fen
    place = pl.DataFrame({"household_id": ids, "home": np.arange(len(ids))})
    home_of = (
        lived.people.select("person_id", "household_id").join(place, on="household_id").select("person_id", "home")
    )
    own = _by_month(settled, home_of, "own_total_fen", first - 1, setting.years + 1, len(ids))
    supported = lived.spells.filter(
        pl.col("group").is_in(_HOLDING) & (pl.col("to_date").is_null() | (pl.col("to_date") >= date(first, 1, 1)))
    ).join(home_of, on="person_id")["home"].unique().to_numpy()  # fmt: skip
    free = np.ones(len(ids), np.bool_)
    free[supported] = False
    waves = [lived.wave(first + year) for year in range(-1, setting.years)]
    income = np.stack([np.rint(one["income"].to_numpy() * 100).astype(np.int64) for one in waves])
    rules = [_rules(setting.place, date(first + year, 1, 1)) for year in range(setting.years)]
    return World(
        seed=seed, first_year=first, years=setting.years, ids=ids, towns=tuple(_TOWNS), township=township,
        size=homes["size"].cast(pl.Int64).to_numpy(), free=free,
        able=np.stack([one["labour_capacity"].to_numpy() > 0 for one in waves[1:]]),
        income=income[1:], income_before=income[0],
        line=np.array([one.line("monitoring", first + year).fen for year, one in enumerate(rules)], np.int64),
        own=_with_status(held, found, settled, own[1:], home_of, first), before=own[0],
        billed=_by_month(settled, home_of, "total_fen", first, setting.years, len(ids)),
        alerts=_alerts(register, settled, setting, first), register=register, settled=settled,
    )  # fmt: skip


def check_setting(setting: Setting) -> Law:
    """Refuse a setting that cannot be lived, before counties are made; give the law of the place.

    Raises UsageError bad_people, bad_years, bad_capacity, bad_choice (an assumption that there is not, a status that
    the law does not know), and PolicyError.
    """
    if not LEAST <= setting.people <= MOST:
        raise UsageError("bad_people", f"{setting.people} people: ask for {LEAST:,} to {MOST:,}")
    if not 1 <= setting.years <= MOST_YEARS:
        raise UsageError("bad_years", f"{setting.years} years: ask for 1 to {MOST_YEARS} to be watched")
    if setting.capacity < 0 or not 0 <= setting.share <= 1:
        raise UsageError(
            "bad_capacity",
            f"{setting.capacity} visits a week, a share of {setting.share:g}: give 0 visits or more, 0 to 1",
        )
    unknown = sorted(set(setting.numbers) - set(loop_numbers()))
    if unknown:
        raise UsageError("bad_choice", f"there is no assumption {unknown[0]!r}; there are {', '.join(loop_numbers())}")
    law = _law(setting.place)
    groups = groups_of(law.policies)
    if setting.status not in groups:
        raise UsageError(
            "bad_choice", f"{setting.place} knows no status {setting.status!r}; it has {', '.join(groups)}"
        )
    return law


@functools.cache
def loop_numbers() -> dict[str, LoopNumber]:
    """Give the assumptions of `loop.toml` by name."""
    given = tomllib.loads(_FILE.read_text(encoding="utf-8"))["numbers"]
    return {name: LoopNumber(name, float(one["value"]), one["unit"], one["trust"]) for name, one in given.items()}


def month_start(world: World, month: int) -> date:
    """Give the first day of a month, counted from the first watched one (it may lie beyond the last).

    >>> from types import SimpleNamespace
    >>> month_start(SimpleNamespace(first_year=2028), 13)
    datetime.date(2029, 2, 1)
    """
    return date(world.first_year + month // 12, month % 12 + 1, 1)


@functools.lru_cache(maxsize=4)
def _law(place: str) -> Law:
    return law_of(place)


@functools.lru_cache(maxsize=512)
def _rules(place: str, on: date) -> Rules:
    return load_rules(place, on=on)


def _register(lived: Years, towns: pl.DataFrame) -> Register:
    """Give what the office knows: incomes as registered, by year (`wave`)."""
    money = {"income_fen": "registered_income", **{f"{name}_fen": name for name in _MONEY}}
    households = lived.households.join(towns, on="household_id", maintain_order="left").with_columns(
        (pl.col(column) * 100).round().cast(pl.Int64).alias(name) for name, column in money.items()
    )
    return Register(lived.people, households, lived.spells, lived.claims)


def _by_month(settled: pl.DataFrame, home_of: pl.DataFrame, column: str, first: int, years: int, homes: int) -> Ints:
    """Add up an amount by year, household and month of settlement."""
    rows = settled.select("person_id", "settled_date", column).join(home_of, on="person_id")
    year, month = rows["settled_date"].dt.year().to_numpy() - first, rows["settled_date"].dt.month().to_numpy() - 1
    inside = (year >= 0) & (year < years)
    out = np.zeros((years, homes, 12), np.int64)
    np.add.at(out, (year[inside], rows["home"].to_numpy()[inside], month[inside]), rows[column].to_numpy()[inside])
    return out


@dataclass(frozen=True, slots=True)
class _Held:
    """Be the bills that are settled again with the status: claims, people and spells under new ids, `start~id`.

    `starts` says for each person and first month (1 to 12) which `start` stands for it.
    """

    claims: pl.DataFrame
    people: pl.DataFrame
    spells: pl.DataFrame
    starts: pl.DataFrame


def _held(lived: Years, law: Law, setting: Setting, first: int) -> _Held:
    """Lay out each year's bills with the status from the first of each month on, of whoever has bills after that day.

    In each of the twelve counties beside the true one, everybody holds the status from that month to the end of every
    year. The law asks who holds it on days of a bill: two months between which a person has no such day are one, unless
    a household's bills count together.
    """
    watched = range(first, first + setting.years)
    day = pl.col("end_date")
    claims = lived.claims.filter(day.dt.year().is_between(watched[0], watched[-1])).with_columns(
        day.dt.month().max().over("person_id", day.dt.year()).alias("_last")
    )
    months = pl.DataFrame({"month": range(1, 13)}, schema={"month": pl.Int64})
    if law.layout.household:
        starts = claims.select("person_id").unique().join(months.with_columns(start="month"), how="cross")
    else:
        days = [name for name in ("start_date", "end_date", "settled_date") if name in claims.columns]
        seen = pl.concat([claims.select("person_id", pl.col(name).dt.month().alias("seen")) for name in days])
        after = seen.drop_nulls().unique().select("person_id", month=pl.col("seen").cast(pl.Int64) + 1)
        starts = (
            claims.select("person_id").unique().join(months, how="cross")
            .join(after.with_columns(start=pl.col("month")), on=["person_id", "month"], how="left")
            .sort("person_id", "month")
            .with_columns(pl.col("start").forward_fill().over("person_id").fill_null(1))
        )  # fmt: skip
    own = starts.select("person_id", "start").unique()

    def named(rows: pl.DataFrame, *names: str) -> pl.DataFrame:
        return rows.with_columns(pl.format("{}~{}", "start", name).alias(name) for name in names).drop("start")

    spells = lived.spells.select("person_id", "group", "from_date", "to_date")
    status = own.join(pl.DataFrame({"year": watched}), how="cross").select(
        "person_id", "start", pl.lit(setting.status).alias("group"),
        pl.date(pl.col("year"), pl.col("start"), 1).alias("from_date"),
        pl.date(pl.col("year"), 12, 31).alias("to_date"),
    )  # fmt: skip
    return _Held(
        named(
            claims.join(own, on="person_id").filter(pl.col("_last") >= pl.col("start")).drop("_last"),
            "claim_id", "person_id",
        ),
        named(lived.people.join(own, on="person_id"), "person_id"),
        pl.concat([named(spells.join(own, on="person_id"), "person_id"), named(status, "person_id")]),
        starts,
    )  # fmt: skip


def _with_status(
    held: _Held, found: pl.DataFrame, settled: pl.DataFrame, base: Ints, home_of: pl.DataFrame, first: int
) -> Ints:
    """Add up by first month of the status what the households pay; `found` are the bills `held`, settled.

    A person's bills before that day are settled as they were: the tables differ by what comes after.
    """
    out = np.repeat(base[None], 13, axis=0)
    cut = pl.col("person_id").str.splitn("~", 2).struct
    rows = found.select(
        cut.field("field_0").cast(pl.Int64).alias("start"), cut.field("field_1").alias("person_id"),
        pl.col("claim_id").str.splitn("~", 2).struct.field("field_1").alias("claim_id"), "settled_date",
        pl.col("own_total_fen").alias("with_fen"),
    ).join(settled.select("claim_id", "own_total_fen"), on="claim_id").join(home_of, on="person_id").join(
        held.starts, on=["person_id", "start"]
    )  # fmt: skip
    year, month = rows["settled_date"].dt.year().to_numpy() - first, rows["settled_date"].dt.month().to_numpy() - 1
    spared = (rows["with_fen"] - rows["own_total_fen"]).to_numpy()
    inside = (year >= 0) & (year < base.shape[0])
    at = (rows["month"].to_numpy(), year, rows["home"].to_numpy(), month)
    np.add.at(out, tuple(one[inside] for one in at), spared[inside])
    return out


def _alerts(register: Register, settled: pl.DataFrame, setting: Setting, first: int) -> pl.DataFrame:
    """Screen on the last day before each month, with the registered incomes of the year before that day's."""
    money = settled.filter(pl.col("benefit_year") >= first - 2)
    parts = []
    for month in range(12 * setting.years):
        as_of = date(first + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        wave = register.households.filter(pl.col("wave") == as_of.year - 1)
        claims = register.claims
        assert claims is not None
        seen = Register(
            register.people, wave, register.spells,
            claims.filter(pl.col("start_date").is_between(as_of - timedelta(days=1000), as_of)),
        )  # fmt: skip
        recent = money.filter((pl.col("settled_date") <= as_of) & (pl.col("benefit_year") >= as_of.year - 1))
        found = screen(seen, recent, _rules(setting.place, as_of), year=as_of.year, as_of=as_of)
        parts.append(found.alerts.with_columns(pl.lit(month, dtype=pl.Int64).alias("month")))
    return pl.concat(parts)
