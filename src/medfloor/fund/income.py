"""Say what comes into the funds: insured by class times premium and subsidy by year, and who pays the subsidy.

Two clocks, as in policy/premiums.py: the premium that buys benefit year T is collected in T-1, the subsidy of T is paid
in T. Income is counted in the benefit year that it pays for; what is in hand at the end of a year for the next is told
apart.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medfloor.errors import InputError
from medfloor.fund.parameters import LEVELS, Parameters
from medfloor.fund.series import Series

Array = npt.NDArray[np.float64]

CLASSES = ("student_child", "working_age", "elderly")
"""Classes of insured; ages 0-17, 18-59, 60 and over."""

CLASS_STARTS = (0, 18, 60)


@dataclass(frozen=True, slots=True)
class Standards:
    """Be the least premium and subsidy of benefit years, yuan a person, from `first` on; `known` is the last published.

    `premium` has one year more than `subsidy`, because it is collected a year ahead. `free` says of each year of
    premium and subsidy by what part it may still move (0: published, 1: not yet).
    """

    first: int
    premium: Array
    subsidy: Array
    premium_known: int
    subsidy_known: int
    premium_free: Array
    subsidy_free: Array


def standards(premium: Series, subsidy: Series, parameters: Parameters, *, first: int, years: int) -> Standards:
    """Give the standards of `first` and of so many years after it: as published, then growing.

    Growth is `income.premium_growth` and `income.subsidy_growth` in `first`, and fades to `growth.long_run`.

    Raises InputError missing_year where a year between the first and the last published is missing.
    """
    made, last, free = [], [], []
    for series, name, more in ((premium, "premium", 1), (subsidy, "subsidy", 0)):
        known = max(point.year for point in series.points)
        grown = rates(parameters, f"income.{name}_growth", years + more, "growth.long_run")
        values, moves = [series.value(first)], [0.0]
        for place in range(1, years + more + 1):
            year = first + place
            published = year <= known
            values.append(series.value(year) if published else values[-1] * (1 + grown[place - 1]))
            moves.append(0.0 if published else 1.0)
        made.append(np.array(values))
        last.append(known)
        free.append(np.array(moves))
    return Standards(first, made[0], made[1], last[0], last[1], free[0], free[1])


def rates(parameters: Parameters, name: str, years: int, long_run: str | None, excess: float = 0.0) -> Array:
    """Give the growth of each year as a share of one: as fitted at first, then fading to the long run.

    >>> from medfloor.fund.parameters import shipped_parameters
    >>> found = rates(shipped_parameters().with_value("growth.chronic", 14.5), "growth.chronic", 12, "growth.long_run")
    >>> found[[0, 5, 11]].round(3).tolist()
    [0.145, 0.095, 0.045]
    """
    start = parameters.share(name)
    end = (parameters.share(long_run) if long_run else 0.0) + excess
    found: Array = end + (start - end) * fading(parameters, years)
    return found


def fading(parameters: Parameters, years: int) -> Array:
    """Give how much of fitted growth is left in each year: 1 in the first, 0 after `growth.fade` years."""
    found: Array = np.maximum(0.0, 1 - np.arange(years) / parameters.value("growth.fade"))
    return found


def by_class(members: Array) -> Array:
    """Add members up by class: the first axis after years is age; gives shape (years, classes)."""
    edges = [*CLASS_STARTS, members.shape[1]]
    flat = members.reshape(members.shape[0], members.shape[1], -1).sum(axis=2)
    parts = [flat[:, low:high].sum(axis=1) for low, high in itertools.pairwise(edges)]
    return np.stack(parts, axis=1)


def class_factors(parameters: Parameters) -> Array:
    """Give the premium of each class as a multiple of the standard."""
    return np.array([parameters.value(f"income.{name}") for name in CLASSES])


def split_subsidy(subsidy: Array, parameters: Parameters) -> dict[str, Array]:
    """Split a subsidy between centre, province, city and county.

    >>> from medfloor.fund.parameters import shipped_parameters
    >>> parts = split_subsidy(np.array([100.0]), shipped_parameters())
    >>> sum(float(one[0]) for one in parts.values())
    100.0
    """
    return {level: subsidy * parameters.share(f"fiscal.{level}") for level in LEVELS}


def above_standard(income_yuan: float, insured: float, premium: float, subsidy: float) -> float:
    """Say by how much income a head exceeds the least premium and subsidy of its benefit year.

    Raises InputError bad_series where nobody is insured or the standards are nothing.

    >>> round(above_standard(1193.0, 1.0, 400, 700), 3)
    1.085
    """
    if insured <= 0 or premium + subsidy <= 0:
        raise InputError("bad_series", "income a head needs insured people and a premium or subsidy above 0")
    return income_yuan / insured / (premium + subsidy)
