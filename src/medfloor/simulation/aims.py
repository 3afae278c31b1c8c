"""Be the aims of a reform as plain numbers: made ready for a set of households once, then quick for each law."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.capacity import EuropeRule, SocietalLine, WhoRule, discretionary, europe_capacity, who_capacity
from medfloor.measures.catastrophic import STANDARDS, Definition, thresholds_of
from medfloor.measures.rank import quantiles

Array = npt.NDArray[np.float64]

DAYS = 365.0
"""Days that the amounts of a population cover: a year."""


@dataclass(frozen=True, slots=True)
class Yardsticks:
    """Be how aims are counted: the definition and threshold of catastrophic spending, and the poverty line.

    `line` is in yuan a head and year; None is half the median of consumption a head, before any payment. `ppp` is how
    many yuan buy one international dollar of 2017; definition sdg needs it.
    """

    definition: Definition = "nonfood"
    threshold: float = 0.4
    line: float | None = None
    ppp: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Aims:
    """Be households made ready to measure aims on: their capacity to pay, what is too much, their weights.

    `limit` is what a household may bear before it counts, `reached` says that bearing just that counts already.
    `counted` are the weights that headcount and overshoot count by: people for sdg, households for the others.
    """

    yardsticks: Yardsticks
    line: float
    limit: Array
    capacity: Array
    reached: bool
    weight: Array
    counted: Array
    people: Array
    size: Array
    gross: Array

    @classmethod
    def of(cls, homes: pl.DataFrame, yardsticks: Yardsticks | None = None) -> Aims:
        """Make households ready; `homes` has consumption and size, and food, ... where the definition needs them.

        Raises InputError missing_column, missing_value, empty_band; UsageError no_such_definition, bad_line,
        bad_threshold, bad_ppp.
        """
        sticks = yardsticks or Yardsticks()
        if sticks.definition not in STANDARDS:
            known = ", ".join(STANDARDS)
            raise UsageError("no_such_definition", f"there is no definition {sticks.definition!r}; use {known}")
        if sticks.line is not None and not (math.isfinite(sticks.line) and sticks.line > 0):
            raise UsageError("bad_line", f"a poverty line of {sticks.line:g}: give yuan a head and year, above zero")
        thresholds_of([sticks.threshold])
        standard = STANDARDS[sticks.definition]
        _check_columns(homes, sticks.definition)
        weight = homes["weight"].fill_null(0.0).to_numpy() if "weight" in homes.columns else np.ones(homes.height)
        size = homes["size"].to_numpy()
        gross, people = homes["consumption"].to_numpy() / size, weight * size
        capacity = _capacity(homes, weight, sticks)
        line = sticks.line if sticks.line is not None else 0.5 * float(quantiles(gross, people, [0.5])[0])
        counted = people if standard.unit == "person" else weight
        return cls(
            replace(sticks, line=line), line, sticks.threshold * capacity, capacity, standard.sign == ">=", weight,
            counted, people, size, gross,
        )  # fmt: skip

    def at(self, own: Array) -> dict[str, float]:
        """Give the aims where each household bears `own` yuan a year."""
        event = (own > 0) & (own >= self.limit if self.reached else own > self.limit)
        where = np.flatnonzero(event)
        capacity, bears = self.capacity[where], own[where]
        over = bears - np.maximum(self.limit[where], 0.0)
        # Who can pay nothing bears all of it, as `measure catastrophic` counts it.
        share = np.divide(over, capacity, out=np.full(len(where), self._most), where=capacity > 0)
        net = self.gross - own / self.size
        poor = np.flatnonzero(net < self.line)
        counted, homes, people = (float(one.sum()) for one in (self.counted, self.weight, self.people))
        return {
            "headcount": float(self.counted[where].sum()) / counted,
            "overshoot": float(self.counted[where] @ share) / counted,
            "gap": float(self.weight[where] @ over) / homes,
            "poverty": float(self.people[poor].sum()) / people,
            "poverty-gap": float(self.people[poor] @ (self.line - net[poor])) / people,
        }

    @property
    def _most(self) -> float:
        return max(1.0 - self.yardsticks.threshold, 0.0)


def aims_of(
    homes: pl.DataFrame,
    own: Array,
    *,
    definition: Definition = "nonfood",
    threshold: float = 0.4,
    line: float | None = None,
    ppp: float | None = None,
) -> dict[str, float]:
    """Give the aims that a reform may pursue as plain numbers, quickly and without errors.

    `own` is what each household bears. `headcount` and `overshoot` are those of catastrophic spending by any of the
    five definitions, `gap` the mean of what lies above the threshold in yuan a household, `poverty` and `poverty-gap`
    the share of people below a line (half the median of consumption a head) after paying, and their mean shortfall in
    yuan.

    Raises what `Aims.of` raises.

    >>> homes = pl.DataFrame({"consumption": [100.0, 100.0], "size": [1.0, 1.0]})
    >>> aims_of(homes, np.array([0.0, 60.0]), definition="budget", line=50.0)["gap"]
    10.0
    """
    return Aims.of(homes, Yardsticks(definition, threshold, line, ppp)).at(own)


def _check_columns(homes: pl.DataFrame, definition: str) -> None:
    for one in STANDARDS[definition].needs:
        if one not in homes.columns:
            raise InputError(
                "missing_column", f"the households have no column {one}, which definition {definition} needs"
            )
        missing = homes[one].null_count()
        if missing:
            raise InputError(
                "missing_value", f"{one} is missing in {missing:,} households, and definition {definition} needs it"
            )


def _capacity(homes: pl.DataFrame, weight: Array, sticks: Yardsticks) -> Array:
    """Give what each household can pay, by the rules that `measure catastrophic` uses unless told otherwise."""

    def of(name: str) -> Array:
        return homes[name].cast(pl.Float64).to_numpy()

    consumption = of("consumption")
    if sticks.definition == "budget":
        return consumption
    if sticks.definition == "nonfood":
        return consumption - of("food")
    if sticks.definition == "who":
        return who_capacity(consumption, of("food"), of("size"), weight, WhoRule()).amount
    if sticks.definition == "europe":
        basic = of("food") + of("housing") + of("utilities")
        return europe_capacity(consumption, basic, of("adults"), of("children"), weight, EuropeRule()).amount
    if sticks.ppp is None or not sticks.ppp > 0:
        raise UsageError(
            "bad_ppp", "definition sdg needs the yuan that buy one international dollar of 2017: --ppp 4.2 (ppp=)"
        )
    societal = SocietalLine.of(2017, ppp=sticks.ppp, days=DAYS)
    return discretionary(consumption, of("size"), weight * of("size"), societal).amount
