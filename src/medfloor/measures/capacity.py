"""Work out what a household can pay: the denominators that definitions of catastrophic spending divide by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medfloor.errors import InputError, UsageError
from medfloor.measures.influence import Array
from medfloor.measures.rank import quantiles
from medfloor.words import Phrase

FLOORS = {2011: (1.90, 1.00, 0.5), 2017: (2.15, 1.15, 0.5), 2021: (3.00, 1.30, 0.5)}
"""World Bank's societal poverty line by PPP base year: floor, constant ($ a person and day), share of the median."""


@dataclass(frozen=True, slots=True)
class WhoRule:
    """Be the parameters of WHO's capacity to pay; the defaults are those of Xu (2005), food45 < food share < food55.

    The subsistence line is the weighted mean of food per equivalent person over the households whose food share lies
    in the `band` of its distribution. `weighted` says whether the percentiles of the band are weighted, `inclusive`
    whether households exactly at its ends belong to it, `actual_food` whether capacity is measured from actual food
    where that is less than subsistence (the min rule; without it capacity can be negative), `exponent` is the
    equivalence scale's.
    """

    band: tuple[float, float] = (0.45, 0.55)
    weighted: bool = True
    inclusive: bool = False
    actual_food: bool = True
    exponent: float = 0.56

    def __post_init__(self) -> None:
        """Refuse a band that holds nobody, and a scale that is none."""
        _check_band(self.band)
        _check_scale("exponent", self.exponent)


@dataclass(frozen=True, slots=True)
class EuropeRule:
    """Be the parameters of WHO Europe's line (Cylus, Thomson and Evetovits 2018).

    Basic needs are food, housing and utilities per equivalent adult, on average over the households between the
    percentiles of the `band` of consumption per equivalent adult. The scale is the OECD's: 1 for the first adult, then
    `adult` and `child`; a household of children only has one of them as its first adult.
    """

    band: tuple[float, float] = (0.25, 0.35)
    weighted: bool = True
    inclusive: bool = True
    adult: float = 0.7
    child: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a band that holds nobody, and a scale that is none."""
        _check_band(self.band)
        _check_scale("adult", self.adult)
        _check_scale("child", self.child)


@dataclass(frozen=True, slots=True)
class SocietalLine:
    """Be the World Bank's societal poverty line: max(floor, constant + share of the median).

    In the table's unit, a person and period.

    >>> SocietalLine.of(2017).at(6.0), SocietalLine.of(2021).at(20.0)
    (4.15, 11.3)
    """

    floor: float
    constant: float
    share: float = 0.5
    base: int = 0

    @classmethod
    def of(cls, base: int = 2017, *, ppp: float = 1.0, days: float = 1.0) -> SocietalLine:
        """Take the constants of a PPP base year (2011, 2017, 2021), and turn them into local units.

        `ppp` is how many units of the table's currency (at the survey's prices) buy one international dollar of the
        base year; `days` how many days the table's amounts cover. Raises UsageError unknown_base.

        Source: World Bank, wbpip compute_spl; Jolliffe and Prydz (2021). WHO and the World Bank's metadata of SDG
        indicator 3.8.2, adopted in March 2025, are in 2017 PPP.
        """
        if base not in FLOORS:
            known = ", ".join(map(str, FLOORS))
            raise UsageError("unknown_base", f"there are no constants for PPPs of {base}; there are {known}")
        if not (ppp > 0 and days > 0):
            raise UsageError(
                "bad_ppp",
                f"ppp {ppp} and days {days} must be above zero (currency per dollar; days covered)",
            )
        floor, constant, share = FLOORS[base]
        return cls(floor * ppp * days, constant * ppp * days, share, base)

    @property
    def in_dollars(self) -> bool:
        """Say whether the line is still in international dollars a person and day, as its constants are."""
        return self.base in FLOORS and self == SocietalLine.of(self.base)

    def at(self, median: float) -> float:
        """Give the line for a median of consumption per person."""
        return max(self.floor, self.constant + self.share * median)

    def words(self, median: float) -> Phrase:
        """Tell it, for a median of consumption per person."""
        return Phrase.of(
            "capacity.societal_line",
            level=f"{self.at(median):,.2f}",
            floor=f"{self.floor:,.2f}",
            constant=f"{self.constant:,.2f}",
            share=f"{self.share:g}",
            median=f"{median:,.2f}",
            base=Phrase.of("capacity.base", base=self.base) if self.base else Phrase("capacity.own"),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Capacity:
    """Be what households can pay: by row the amount, the line it was measured from (a household), and in words."""

    amount: Array
    needs: Array | None
    line: Phrase | None
    level: float | None = None
    median: float | None = None


def who_capacity(consumption: Array, food: Array, size: Array, weight: Array, rule: WhoRule) -> Capacity:
    """Give consumption less subsistence, or less actual food where that is smaller.

    Raises InputError empty_band.

    >>> ones = np.ones(4)
    >>> who_capacity(np.array([10.0, 20, 30, 40]), np.array([5.0, 8, 9, 8]), ones, ones, WhoRule((0.2, 0.9))).level
    8.5
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(consumption > 0, food / consumption, np.nan)
    equivalent = size**rule.exponent
    inside = _band(share, weight, rule.band, rule.weighted, rule.inclusive)
    level = _mean_in(inside, food / equivalent, weight, "food share", rule.band)
    needs = level * equivalent
    less = np.minimum(needs, food) if rule.actual_food else needs
    line = Phrase.of("capacity.who_line", level=f"{level:,.2f}", exponent=f"{rule.exponent:g}")
    return Capacity(consumption - less, needs, line, level)


def europe_capacity(
    consumption: Array, basic: Array, adults: Array, children: Array, weight: Array, rule: EuropeRule
) -> Capacity:
    """Give consumption less the line of basic needs; `basic` is food, housing and utilities.

    Raises InputError empty_band.
    """
    people = adults + children
    equivalent = np.where(
        adults >= 1,
        1 + rule.adult * (adults - 1) + rule.child * children,
        1 + rule.child * np.maximum(people - 1, 0),
    )
    inside = _band(consumption / equivalent, weight, rule.band, rule.weighted, rule.inclusive)
    level = _mean_in(inside, basic / equivalent, weight, "equivalent consumption", rule.band)
    needs = level * equivalent
    return Capacity(consumption - needs, needs, Phrase.of("capacity.europe_line", level=f"{level:,.2f}"), level)


def discretionary(consumption: Array, size: Array, people: Array, line: SocietalLine) -> Capacity:
    """Give the household's discretionary budget: consumption less the societal poverty line of its members.

    The median is that of people (`people` is weight times size).
    """
    median = float(quantiles(consumption / size, people, [0.5])[0])
    level = line.at(median)
    return Capacity(consumption - level * size, level * size, line.words(median), level, median)


def _check_band(band: tuple[float, float]) -> None:
    low, high = band
    if not 0 <= low < high <= 1:
        raise UsageError("bad_band", f"the band {low:g}-{high:g} must rise within 0 and 1, as 0.45-0.55 does")


def _check_scale(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError("bad_scale", f"{name} {value:g} of the equivalence scale is not between 0 and 1")


def _band(
    values: Array, weight: Array, band: tuple[float, float], weighted: bool, inclusive: bool
) -> npt.NDArray[np.bool_]:
    known = ~np.isnan(values)
    counted = weight if weighted else (weight > 0).astype(np.float64)
    low, high = quantiles(values[known], counted[known], band)
    with np.errstate(invalid="ignore"):
        inside: npt.NDArray[np.bool_] = (
            (values >= low) & (values <= high) if inclusive else (values > low) & (values < high)
        )
    return inside


def _mean_in(
    inside: npt.NDArray[np.bool_], values: Array, weight: Array, name: str, band: tuple[float, float]
) -> float:
    mass = float(weight[inside].sum())
    if not mass > 0:
        raise InputError(
            "empty_band",
            f"no household has a {name} between the percentiles {100 * band[0]:g} and {100 * band[1]:g}, ends "
            "excluded; widen the band or include its ends",
        )
    return float(weight[inside] @ values[inside]) / mass
