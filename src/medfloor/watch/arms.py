"""Say whom each way of watching would have visited, and how much harm it expects: the arms that the loop compares.

An arm gives, at the start of a month, each household its expected harm in fen (0: it is not asked about). It knows what
an office can know by then; only the oracle knows what will happen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.watch.capacity import weighed
from medfloor.watch.features import FEATURES, features, outcome
from medfloor.watch.risk import fit
from medfloor.watch.rules import KINDS, load_rules
from medfloor.watch.world import HISTORY, Array, Setting, World

Harm = Callable[[int], Array]
"""Month (from the first watched one) -> expected harm by household, fen."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Be one way of watching: what it hears (`source`), and in which order visits are given.

    `source` is none, rule (all signals), a kind of signal, logistic or boosting (a model's scores, made anew each
    year), rule_logistic (households with an alert, their probability from the model), oracle (knows who will fall and
    how deep) or everybody. `lists` says that alerts stay in a list until somebody comes; else the arm asks anew each
    month. `yearly` says that who was refused is not asked about until the next year's scores.
    """

    name: str
    source: str
    method: str = "harm"
    lists: bool = True
    yearly: bool = False


ARMS: dict[str, Arm] = {
    one.name: one
    for one in (
        Arm("none", "none"),
        Arm("rule", "rule"),
        Arm("rule_first_come", "rule", method="first_come"),
        *(Arm(kind, kind) for kind in KINDS),
        Arm("rule_logistic", "rule_logistic"),
        Arm("logistic", "logistic", lists=False, yearly=True),
        Arm("boosting", "boosting", lists=False, yearly=True),
        Arm("oracle", "oracle", lists=False),
        Arm("everybody", "everybody", lists=False),
    )
}
"""Every arm by name; `everybody` goes to all households in turn and is for testing."""

DEFAULT = tuple(name for name in ARMS if name != "everybody")
_TRAIN_LEAST = 20


def arms_of(names: tuple[str, ...] | list[str]) -> tuple[Arm, ...]:
    """Find arms by name; `none` is always the first.

    Raises UsageError bad_choice.

    >>> [one.name for one in arms_of(["oracle"])]
    ['none', 'oracle']
    """
    unknown = [name for name in names if name not in ARMS]
    if unknown:
        raise UsageError("bad_choice", f"there is no arm {unknown[0]!r}; there are {', '.join(ARMS)}")
    return tuple(ARMS[name] for name in dict.fromkeys(("none", *names)))


def harms(world: World, setting: Setting, arms: tuple[Arm, ...]) -> dict[str, Harm]:
    """Give for each source that an arm needs what it expects month by month.

    Models are trained on the years before the watch and score each year with what was known on the day before it.
    """
    wanted = {one.source for one in arms}
    size = len(world.ids)
    nothing = np.zeros(size)
    found: dict[str, Harm] = {"none": lambda month: nothing}
    alerted = _alerted(world) if wanted & {"rule", "rule_logistic", *KINDS} else {}
    for source in wanted & {"rule", *KINDS}:
        found[source] = lambda month, of=alerted[source]: of[0].get(month, nothing)  # type: ignore[misc]
    kinds = {one for one in ("logistic", "boosting") if one in wanted}
    if "rule_logistic" in wanted:
        kinds.add("logistic")
    scores = _scores(world, setting, sorted(kinds)) if kinds else {}
    for kind in kinds:
        probability, depth = scores[kind]
        found[kind] = lambda month, p=probability, d=depth: p[month // 12] * d  # type: ignore[misc]
    if "rule_logistic" in wanted:
        probability, _ = scores["logistic"]
        found["rule_logistic"] = lambda month: probability[month // 12] * alerted["rule"][1].get(month, nothing)
    if "oracle" in wanted:
        found["oracle"] = lambda month: _truly(world, setting, month)
    if "everybody" in wanted:
        found["everybody"] = lambda month: np.where(world.free, 1.0, 0.0)
    return found


def _alerted(world: World) -> dict[str, tuple[dict[int, Array], dict[int, Array]]]:
    """Give by source and month the expected harm of those with an alert, and what is at stake without a probability."""
    place = pl.DataFrame({"household_id": world.ids, "home": np.arange(len(world.ids))})
    # The day plays no part in harm; any will do.
    rows = weighed(world.alerts, as_of=date(2026, 1, 1)).join(place, on="household_id")
    best = rows.group_by("month", "kind", "home").agg(
        pl.col("expected_harm").max().alias("harm"), (pl.col("depth") * pl.col("preventable")).max().alias("stake")
    )
    out: dict[str, tuple[dict[int, Array], dict[int, Array]]] = {}
    for source in ("rule", *KINDS):
        found: tuple[dict[int, Array], dict[int, Array]] = ({}, {})
        mine = best if source == "rule" else best.filter(pl.col("kind") == source)
        for (month,), some in mine.group_by("month"):
            assert isinstance(month, int)
            for by, name in zip(found, ("harm", "stake"), strict=True):
                by[month] = np.zeros(len(world.ids))
                # One fen more than nothing: an alert without a stake is an alert all the same.
                np.maximum.at(by[month], some["home"].to_numpy(), some[name].to_numpy() * 100 + 1.0)
        out[source] = found
    return out


def _scores(world: World, setting: Setting, kinds: list[str]) -> dict[str, tuple[Array, Array]]:
    """Train each kind of model before the watch, and score every household before each watched year.

    Gives probabilities by year and household, and the depth of a fall by household: what fell short a head, on average
    of those under the line in the training years.
    """
    first = world.first_year
    seen = []
    for year in range(first - HISTORY, first + world.years - 1):
        known = world.settled.filter(pl.col("benefit_year") <= year)
        seen.append(features(world.register, known, load_rules(setting.place, on=date(year, 12, 31)), year=year))
    parts, short, heads = [], 0.0, 0.0
    for step in range(HISTORY - 1):
        year = first - HISTORY + step + 1
        rules = load_rules(setting.place, on=date(year, 12, 31))
        then = outcome(
            world.register, world.settled.filter(pl.col("benefit_year") <= year), rules, year=year, target="line"
        )
        under = then.filter(pl.col("under_line"))
        short += float(under["depth_fen"].sum())
        heads += float(under.join(seen[step].select("household_id", "size"), on="household_id")["size"].sum())
        label = then.select("household_id", pl.col("under_line").alias("fell")).drop_nulls()
        parts.append(seen[step].join(label, on="household_id", maintain_order="left"))
    panel = pl.concat(parts)
    size = np.asarray(world.size, np.float64)
    depth = size * (short / heads if heads else 0.0)
    order = pl.DataFrame({"household_id": world.ids})
    out = {}
    for kind in kinds:
        if panel["fell"].sum() < _TRAIN_LEAST:
            raise InputError(
                "one_outcome",
                f"only {panel['fell'].sum()} households fell in the training years; ask for more people, or leave out "
                f"the arms with a model ({kind})",
            )
        model = fit(panel, kind=kind, seed=world.seed)  # type: ignore[arg-type]
        years = [
            order.join(
                pl.DataFrame({"household_id": frame["household_id"], "p": model.score(frame)}), on="household_id",
                how="left", maintain_order="left",
            )["p"].fill_null(0.0).to_numpy()
            for frame in seen[HISTORY - 1 :]
        ]  # fmt: skip
        out[kind] = (np.stack(years), depth)
    assert set(FEATURES) <= set(panel.columns)
    return out


def _truly(world: World, setting: Setting, month: int) -> Array:
    """Give what will be missing to the line, as far as help may go, of those who are under it or soon will be."""
    until = min(world.months, month + int(setting.number("oracle_months")))
    most = setting.number("help_at_most") * 100
    harm = np.zeros(len(world.ids))
    for year in range(month // 12, (until - 1) // 12 + 1):
        soon = world.under[max(month, 12 * year) : min(until, 12 * year + 12)].any(axis=0)
        harm += np.where(soon & world.free, np.minimum(world.gap[year], most), 0.0)
    return harm
