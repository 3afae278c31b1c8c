"""Let use respond to its price, by stated elasticities; with no response beside it."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.policy.model import GROUPS
from medfloor.settlement.batch import Batch
from medfloor.simulation.run import FAMILIES, World
from medfloor.words import Phrase

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Response = Literal["none", "stated"]
RESPONSES: tuple[Response, ...] = ("none", "stated")

_FILE = Path(__file__).parent / "elasticities.toml"
YOURS = "your assumption"
MOST_FORGONE = 5.0
_WIDE = 2 * 1.959964
"""The width of a normal 95 % interval in standard errors."""


@dataclass(frozen=True, slots=True)
class Stated:
    """Be one stated number of behaviour: its value, 95 % interval, unit, year, source and trust."""

    value: float
    low: float
    high: float
    unit: str
    year: int
    source: str
    trust: str

    def drawn(self, rng: np.random.Generator) -> float:
        """Draw the value: normal with the interval's width, cut off at three standard errors."""
        spread = (self.high - self.low) / _WIDE
        return self.value + spread * float(np.clip(rng.standard_normal(), -3, 3))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Be how use responds: an arc elasticity for each family of care, and the care of the poor that can come back."""

    inpatient: Stated
    outpatient: Stated
    forgone: Stated

    def of(self, family: str) -> float:
        """Give the elasticity of a family of care."""
        found: float = getattr(self, family).value
        return found

    def drawn(self, rng: np.random.Generator) -> Behaviour:
        """Draw every number; use never rises with its price, and what comes back is never below zero."""
        values = {name: getattr(self, name).drawn(rng) for name in (*FAMILIES, "forgone")}
        caps = {name: min(values[name], 0.0) for name in FAMILIES} | {"forgone": abs(values["forgone"])}
        return Behaviour(**{name: replace(getattr(self, name), value=caps[name]) for name in caps})

    def _forgone(self) -> Phrase:
        one = self.forgone
        if one.value == one.low == one.high == 0:
            return Phrase("simulation.forgone_none")
        source = Phrase("simulation.yours") if one.source == YOURS else _source(one.source)
        return Phrase.of("simulation.forgone", share=f"{100 * one.value:g}", source=source)

    def words(self) -> Phrase:
        """Say it in one sentence, with its sources."""
        return Phrase.of(
            "simulation.stated",
            inpatient=_told(self.inpatient),
            outpatient=_told(self.outpatient),
            source=_source(self.inpatient.source),
            forgone=self._forgone(),
        )


def stated(file: str | Path | None = None, *, forgone: float | None = None) -> Behaviour:
    """Read the stated elasticities: those shipped, or a file of the same form.

    `forgone` is an assumption of yours in the place of the file's: so much more of their present use people with a
    status would seek if its price fell to nothing (0.1: a tenth more); a smaller fall brings back its part. It is held
    at that value in draws.

    Raises InputError bad_elasticities, UsageError bad_share.

    >>> stated().inpatient.value, stated().outpatient.low
    (-0.372, -0.703)
    """
    found = _read(Path(file) if file else _FILE)
    if forgone is None:
        return found
    if not 0 <= forgone <= MOST_FORGONE:
        raise UsageError(
            "bad_share", f"forgone care that comes back lies between 0 and {MOST_FORGONE:g}, unlike {forgone:g}"
        )
    yours = replace(found.forgone, value=forgone, low=forgone, high=forgone, source=YOURS, trust="assumption")
    return replace(found, forgone=yours)


@functools.lru_cache(maxsize=8)
def _read(file: Path) -> Behaviour:
    try:
        with file.open("rb") as raw:
            data = tomllib.load(raw)
        entries = {one["care"]: one for one in data["elasticity"]} | {"forgone": data["forgone"]}
        return Behaviour(**{name: _one(entries[name], data["sources"]) for name in (*FAMILIES, "forgone")})
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "bad_elasticities",
            f"{file} cannot be used: {error}. It needs [sources], [[elasticity]] for inpatient and outpatient, and "
            "[forgone], each with value, low, high, unit, year, source and trust",
        ) from None


def _one(entry: dict[str, Any], sources: dict[str, str]) -> Stated:
    made = Stated(
        float(entry["value"]), float(entry["low"]), float(entry["high"]), str(entry["unit"]), int(entry["year"]),
        sources[entry["source"]], str(entry["trust"]),
    )  # fmt: skip
    if not made.low <= made.value <= made.high:
        raise ValueError(f"{made.value} does not lie between {made.low} and {made.high}")
    if "care" in entry and not (made.low > -2 and made.value <= 0):
        raise ValueError(f"an own-price elasticity lies above -2 and is not above 0, unlike {made.value}")
    return made


def _source(told: str) -> str | Phrase:
    """Say a source that is shipped in the reader's language; one of a user's file stands as it is written."""
    names = {text: name.replace("-", "_") for name, text in _shipped_sources().items()}
    return Phrase(f"simulation.source_{names[told]}") if told in names else told


@functools.lru_cache(maxsize=1)
def _shipped_sources() -> dict[str, str]:
    found: dict[str, str] = tomllib.loads(_FILE.read_text(encoding="utf-8"))["sources"]
    return found


def _told(one: Stated) -> str:
    return f"{one.value:g} ({one.low:g} – {one.high:g})"


def arc_ratio(elasticity: float | Array, before: Array, after: Array) -> Array:
    """Give use after a change of price over use before, by an arc elasticity.

    E = (Q1 - Q0) / (Q1 + Q0) over (P1 - P0) / (P1 + P0), so Q1 / Q0 = (1 + E x) / (1 - E x) with x the latter. It is
    finite for a price of zero, which is why arc elasticities are used for insurance. A price that stays zero changes
    nothing; the ratio is never below zero.

    >>> arc_ratio(-0.5, np.array([0.4, 0.4]), np.array([0.4, 0.0])).tolist()
    [1.0, 3.0]
    """
    whole = before + after
    x = np.divide(after - before, whole, out=np.zeros_like(whole), where=whole > 0)
    found: Array = np.maximum((1 + elasticity * x) / (1 - elasticity * x), 0.0)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Be the cells of claims whose patients expect the same price: family of care, status held, class of age.

    `cell` gives each claim its cell, `own` the share of charges that stays with the patients of each, under the
    baseline; `poor` marks the cells of people with a status of need, `family` is 0 for stays.
    """

    cell: Ints
    own: Array
    poor: npt.NDArray[np.bool_]
    family: npt.NDArray[np.int8]


def prices_of(world: World) -> Prices:
    """Work out what patients expect to pay under the baseline: the mean share of charges by cell.

    A person's own average price depends on the bill itself (a deductible, a ceiling), so that it would make dear
    patients look as if care had become cheap for them; the mean of patients alike is what can be known beforehand.
    """
    held = statuses_of(world)[world.batch.person]
    klass = world.batch.columns.insured_class
    age = world.batch.columns.age
    band = np.where(klass >= 0, klass + 1, np.where(age < 18, 1, np.where(age < 60, 2, 3))).astype(np.int64)
    cell = (world.family.astype(np.int64) * (len(GROUPS) + 1) + held + 1) * 4 + np.clip(band, 0, 3)
    cells = len(FAMILIES) * (len(GROUPS) + 1) * 4
    number = np.arange(cells) // 4
    return Prices(
        cell, _shares(cell, cells, world.batch, world),
        number % (len(GROUPS) + 1) > 0, (number // (len(GROUPS) + 1)).astype(np.int8),
    )  # fmt: skip


def expected_under(world: World, prices: Prices, batch: Batch) -> Array:
    """Give the share of charges that patients expect to pay under another law, by the cells of `prices`."""
    return _shares(prices.cell, len(prices.own), batch, world)


def copies_of(
    world: World, prices: Prices, batch: Batch, behaviour: Behaviour, *, seed: int, expected: Array | None = None
) -> Ints:
    """Say how often each claim happens under another law: forgone (0), as before (1), or once or more again.

    Each claim has one random number, the same under all laws and draws, so that two laws differ by their prices and
    not by chance. Claims of one law's batch and the world's must stand in the same order. `expected` is what
    `expected_under` gave for that law, where it is known.
    """
    after = expected_under(world, prices, batch) if expected is None else expected
    elasticity = np.where(prices.family == 0, behaviour.of("inpatient"), behaviour.of("outpatient"))
    ratio = arc_ratio(elasticity, prices.own, after)
    fall = np.divide(prices.own - after, prices.own, out=np.zeros_like(after), where=prices.own > 0)
    ratio = ratio + np.where(prices.poor, behaviour.forgone.value * np.maximum(fall, 0.0), 0.0)
    chance = np.random.default_rng([seed, 1]).random(world.batch.height)
    wanted = ratio[prices.cell]
    whole = np.floor(wanted)
    found: Ints = (whole + (chance < wanted - whole)).astype(np.int64)
    return found


def _shares(cell: Ints, cells: int, batch: Batch, world: World) -> Array:
    """Give the share of charges that stays with patients, by cell."""
    pay = world.paid(batch)
    total = np.bincount(cell, batch.frame["total_fen"].to_numpy(), minlength=cells)
    own = total - np.bincount(cell, pay, minlength=cells)
    found: Array = np.divide(own, total, out=np.zeros(cells), where=total > 0)
    return found


def statuses_of(world: World) -> Ints:
    """Give each person the first status of the contract's order that the year has: its place in GROUPS, -1 for none."""
    frame = world.spells.accepted.select("person_id", "group", "from_date", "to_date")
    first, last = world.batch.frame["start_date"].min(), world.batch.frame["end_date"].max()
    frame = frame.filter(
        (frame["from_date"].is_null() | (frame["from_date"] <= last))
        & (frame["to_date"].is_null() | (frame["to_date"] >= first))
    )
    order = pl.DataFrame({"group": list(GROUPS), "_place": np.arange(len(GROUPS))})
    held = frame.join(order, on="group", how="inner").group_by("person_id").agg(pl.col("_place").min())
    people = pl.DataFrame({"person_id": world.batch.register.person_ids})
    found = people.join(held, on="person_id", how="left", maintain_order="left")
    return found["_place"].fill_null(-1).to_numpy().astype(np.int64)
