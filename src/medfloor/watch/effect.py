"""Simulate what follow-up does that is delivered and not only signed for: its cost beside it, a ceiling above it.

Effect = avoidable cost of those newly served x (1 - relative risk), after a delay; the relative risk is drawn from a
published interval of a trial (its study type is told), and is 1 for signing alone and for conditions without a trial.
No draw may save more than the ceiling, which is the avoidable share of what stays cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import UsageError
from medfloor.watch.avoidable import Avoidable
from medfloor.watch.contracts import KINDS, Served
from medfloor.watch.evidence import PROGRAMMES, Effect, Evidence
from medfloor.watch.workload import Workload

ARMS = ("signing", "signed", "key", "key_unlimited")
"""Sign all of the key groups and do nothing more; serve who has signed; serve all of the key groups, within the hours
that there are and as if there were enough."""
_Z = 1.959963984540054
_LEAST, _MOST = 100, 1_000_000
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arm:
    """Be what one arm would do. Money is yuan a year.

    `people` are newly served (or, of signing, newly contracted), `wanted` those who would be were there hours enough,
    `hours` what they take. `cost` is yearly; `saved` has for each year of the horizon mean, low and high (2.5 and
    97.5 % of the draws); `capped` is the share of draws in which the ceiling held the last year's saving back.
    `base` is the avoidable cost on which the effect works.
    """

    name: str
    programme: str
    people: int
    wanted: int
    hours: float
    cost: float
    base: float
    saved: tuple[tuple[float, float, float], ...]
    capped: float

    @property
    def last(self) -> tuple[float, float, float]:
        """Give what is saved in the last year of the horizon: mean, low, high."""
        return self.saved[-1]

    @property
    def net(self) -> float:
        """Give saving less cost, over the whole horizon, on average."""
        return sum(mean for mean, _, _ in self.saved) - self.cost * len(self.saved)


@dataclass(frozen=True, slots=True)
class Simulated:
    """Be the simulated effect: arms, the ceiling in yuan a year, and how it was drawn."""

    arms: tuple[Arm, ...]
    programme: str
    ceiling: float
    spend: float
    seed: int
    draws: int
    conditions: tuple[str, ...]

    def arm(self, name: str) -> Arm:
        """Find an arm."""
        return next(one for one in self.arms if one.name == name)


def simulate_follow_up(
    found: Served,
    stays: Avoidable,
    load: Workload,
    evidence: Evidence,
    *,
    programme: str = "usual",
    seed: int = 0,
    draws: int = 2_000,
) -> Simulated:
    """Simulate the arms; the same seed gives the same numbers.

    Those who had all contacts owed are served already and gain nothing more. Where no contacts are known nobody is
    taken to be served, which makes the effect as large as it can be. Where no doctors are known, hours are unlimited.

    Raises UsageError unknown_programme, bad_draws, bad_seed.
    """
    if programme not in PROGRAMMES:
        raise UsageError("unknown_programme", f"there is no programme {programme!r}; there are {', '.join(PROGRAMMES)}")
    if not _LEAST <= draws <= _MOST:
        raise UsageError("bad_draws", f"{draws} draws: ask for {_LEAST} to {_MOST:,}")
    if not 0 <= seed < 1 << 63:
        raise UsageError("bad_seed", f"seed {seed}: give a whole number from 0")
    effect = evidence.effect(programme)
    people = _with_base(found, stays, effect, evidence)
    ceiling = stays.ceiling_fen / 100
    room = None if load.capacity is None else max(0.0, load.capacity - _hours_had(found, evidence))
    horizon = max(1, int(evidence["horizon"]))
    taken = _taken(effect, evidence, horizon, seed, draws)
    unserved = people.filter(pl.col("eligible") & ~pl.col("served"))
    arms = [_signing(found, evidence, horizon)]
    for name, who, limit in (
        ("signed", unserved.filter(pl.col("contracted")), room),
        ("key", unserved, room),
        ("key_unlimited", unserved, None),
    ):
        arms.append(_arm(name, who, limit, taken, ceiling, effect, evidence))
    return Simulated(tuple(arms), programme, ceiling, stays.spend_fen / 100, seed, draws, effect.conditions)


def _with_base(found: Served, stays: Avoidable, effect: Effect, evidence: Evidence) -> pl.DataFrame:
    """Say of each person whether the effect can work on him, whether he is served, and his avoidable cost in yuan."""
    base = stays.by_person.filter(pl.col("condition").is_in(list(effect.conditions)))
    base = base.group_by("person_id").agg((pl.col("cost_fen").sum() / 100).alias("base"))
    groups = [name for name in effect.groups if name not in found.not_asked]
    eligible = pl.any_horizontal(groups) if groups else pl.lit(False)
    if found.contacts_known:
        full = pl.all_horizontal(pl.col(f"had_{kind}") >= pl.col(f"owed_{kind}") for kind in KINDS)
    else:
        full = pl.lit(False)
    need = pl.col("owed_follow_up")
    if effect.programme == "intensive":
        # Who has the usual contacts still lacks the rest of the intensive ones.
        need = pl.max_horizontal(need, pl.lit(int(evidence["intensive_follow_up"])))
        full = full & (pl.col("had_follow_up") >= need) if found.contacts_known else full
    # Contacts that were had are not owed once more.
    missing = pl.max_horizontal(pl.lit(0), need - pl.col("had_follow_up").fill_null(0)) * evidence["follow_up_minutes"]
    exams = pl.max_horizontal(pl.lit(0), pl.col("owed_exam") - pl.col("had_exam").fill_null(0))
    hours = (missing + exams * evidence["exam_minutes"]) / 60
    return found.people.join(base, on="person_id", how="left", maintain_order="left").select(
        "contracted",
        eligible.alias("eligible"),
        full.alias("served"),
        pl.col("base").fill_null(0.0),
        hours.alias("hours"),
    )


def _hours_had(found: Served, evidence: Evidence) -> float:
    """Give the hours that today's contacts take; none where they are not known."""
    if not found.contacts_known:
        return 0.0
    minutes = sum(float(found.people[f"had_{kind}"].sum()) * evidence[f"{kind}_minutes"] for kind in KINDS)
    return minutes / 60


def _taken(effect: Effect, evidence: Evidence, horizon: int, seed: int, draws: int) -> _Array:
    """Draw the share of avoidable cost that is taken away, draws by years.

    The relative risk is lognormal with the published interval; where that includes no effect, so do the draws, and a
    draw may do harm.
    """
    rng = np.random.default_rng([seed, 7])
    spread = (np.log(effect.high) - np.log(effect.low)) / (2 * _Z)
    risk = effect.rr * np.exp(spread * rng.standard_normal(draws))
    least, most = int(evidence["delay_least"]), int(evidence["delay_most"])
    delay = rng.integers(least, most + 1, draws)
    years = np.arange(1, horizon + 1)
    return np.asarray(np.where(years[None, :] > delay[:, None], 1 - risk[:, None], 0.0), np.float64)


def _signing(found: Served, evidence: Evidence, horizon: int) -> Arm:
    """Sign all of the key groups: it costs papers, and nothing is claimed of it."""
    new = found.people.filter(pl.col("key") & ~pl.col("contracted")).height
    nothing = ((0.0, 0.0, 0.0),) * horizon
    return Arm("signing", "signing", new, new, 0.0, new * evidence["contract_cost"], 0.0, nothing, 0.0)


def _arm(
    name: str, who: pl.DataFrame, room: float | None, taken: _Array, ceiling: float, effect: Effect, evidence: Evidence
) -> Arm:
    asked = float(who["hours"].sum())
    share = 1.0 if room is None or asked <= room else room / asked
    # Whom the hours reach is not chosen here: the same share of people, hours and avoidable cost.
    base = float(who["base"].sum()) * share
    saved = taken * base
    held = np.minimum(saved, ceiling)
    signed = int((~who["contracted"]).sum()) * share
    reached = int(who.height * share)
    cost = asked * share * evidence["hour_cost"] + reached * evidence[f"drugs_{effect.programme}"]
    cost += signed * evidence["contract_cost"]
    summary: Sequence[tuple[float, float, float]] = [
        (float(year.mean()), float(np.quantile(year, 0.025)), float(np.quantile(year, 0.975))) for year in held.T
    ]
    capped = float((saved[:, -1] > ceiling).mean())
    return Arm(name, effect.programme, reached, who.height, asked * share, cost, base, tuple(summary), capped)
