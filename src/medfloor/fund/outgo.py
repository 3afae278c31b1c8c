"""Say what the funds pay: cells of age, sex, residence and status, each with use, cost and the share that a fund pays.

Care is of three kinds: stays, ordinary outpatient care, and outpatient care of chronic diseases. A cell's payments are
members x use x cost x ratio. Cells come from the published series (a shape by age, scaled to the totals), from
settlements in a folder, or from the settlement engine on a population, so that a reform changes the ratios.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError
from medfloor.fund.cohorts import AGES, SHAPE
from medfloor.fund.parameters import Parameters

Array = npt.NDArray[np.float64]

KINDS = ("inpatient", "outpatient", "chronic")
KIND_OF = {"inpatient": 0, "outpatient": 1, "special_outpatient": 2, "two_disease": 2}
"""The kind of each care type of the contract."""

FUNDS = ("basic", "critical_illness", "assistance", "commercial")
FUND_OF = {"basic": "basic", "critical_illness": "critical_illness", "commercial": "commercial"}
"""The fund of each tier of a policy; every other tier (assistance, tilt, government) is of assistance."""

STATUSES = ("ordinary", "assisted")
_BANDS = (0, 5, 15, 30, 45, 60, 70, 80, AGES)
"""Ages whose people share use, cost and ratio where they are counted from claims: fewer would be chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Be use (units a member and year), cost (yuan a unit) and ratio (share of the cost that a fund pays).

    `use` and `cost` have shape (kinds, ages, sexes, residences, statuses), `ratio` has the funds before that. Units are
    stays and visits where claims were counted; from national series, outpatient care of one average member is 1.
    """

    use: Array
    cost: Array
    ratio: Array

    def expected(self, members: Array) -> Array:
        """Give the payments expected of members (years, ages, sexes, residences, statuses), at the prices of the base.

        The shape is (years, funds, kinds, statuses), in yuan.
        """
        charged = self.use * self.cost
        found: Array = np.einsum("yaxrs,kaxrs,fkaxrs->yfks", members, charged, self.ratio, optimize=True)
        return found

    def charged(self, members: Array) -> Array:
        """Give what the care of members costs in all: shape (years, kinds), yuan."""
        found: Array = np.einsum("yaxrs,kaxrs->yk", members, self.use * self.cost, optimize=True)
        return found

    def scaled(self, fund: str, factor: float, kind: int | None = None) -> Cells:
        """Give the cells with the ratio of a fund multiplied, of one kind or of all."""
        ratio = self.ratio.copy()
        ratio[FUNDS.index(fund), slice(None) if kind is None else kind] *= factor
        return replace(self, ratio=ratio)


def shaped(curve: Mapping[int, float], members: Array, parameters: Parameters, totals: Mapping[str, float]) -> Cells:
    """Shape national cells: use by age along a curve, more in the country and of the assisted, scaled to totals.

    `members` is one year's (ages, sexes, residences, statuses); `totals` has stays, and the cost of each kind in yuan.
    Ratios are relative ones (stays 1), to be scaled to what the fund paid.
    """
    ages = np.interp(np.arange(AGES), list(curve), list(curve.values()))
    shape = np.ones((*SHAPE, 2)) * ages[:, None, None, None]
    shape[:, :, 1] *= parameters.value("outgo.rural_use")
    shape[..., 1] *= parameters.value("outgo.assisted_use")
    weighed = float((shape * members).sum())
    use = np.empty((3, *shape.shape))
    cost = np.empty_like(use)
    use[0] = shape * totals["stays"] / weighed
    cost[0] = totals["inpatient"] / totals["stays"]
    for kind in (1, 2):
        use[kind] = shape * members.sum() / weighed
        cost[kind] = totals[KINDS[kind]] / members.sum()
    ratio = np.zeros((len(FUNDS), *use.shape))
    ratio[0, 0] = 1.0
    ratio[0, 1] = parameters.value("outgo.outpatient_ratio")
    ratio[0, 2] = parameters.value("outgo.chronic_ratio")
    ratio[0, ..., 1] *= parameters.value("outgo.assisted_ratio")
    ratio[1, 0] = ratio[3, 0] = 1.0
    ratio[2, ..., 1] = 1.0
    return Cells(use, cost, ratio)


def counted(people: pl.DataFrame, settled: pl.DataFrame, tiers: tuple[str, ...]) -> Cells:
    """Count cells from settlements: people (age, sex, residence, status as numbers), settled (person, kind, money).

    `people` has person_id, age, sex, residence, status; `settled` has person_id, kind, total and pay_<tier> in yuan.
    People of an age band, a sex, a residence and a status share their numbers; a cell without people, or without care,
    takes those of its age band.

    Raises InputError no_rows where there are no people or no claims of theirs.
    """
    joined = settled.join(people, on="person_id", how="inner")
    if people.is_empty() or joined.is_empty():
        raise InputError("no_rows", "no settled claim belongs to an insured person; check the people's scheme and ids")
    shape = (len(_BANDS) - 1, 2, 2, 2)
    places = _places(people)
    persons = np.zeros(shape)
    np.add.at(persons, places, 1.0)
    kinds = joined["kind"].to_numpy()
    at = _places(joined)

    def summed(values: Array) -> Array:
        found = np.zeros((len(KINDS), *shape))
        np.add.at(found, (kinds, *at), values)
        return found

    units = summed(np.ones(joined.height))
    money = summed(joined["total"].to_numpy())
    paid = np.zeros((len(FUNDS), *money.shape))
    for tier in tiers:
        paid[FUNDS.index(FUND_OF.get(tier, "assistance"))] += summed(joined[f"pay_{tier}"].to_numpy())
    use = _quotient(units, np.broadcast_to(persons, units.shape))
    cost = _quotient(money, units)
    ratio = np.stack([_quotient(one, money) for one in paid])
    band = np.searchsorted(_BANDS, np.arange(AGES), side="right") - 1
    return Cells(use[:, band], cost[:, band], ratio[:, :, band])


def counted_people(people: pl.DataFrame) -> Array:
    """Count people by single year of age, sex and residence and status: shape (ages, 2, 2, 2)."""
    found = np.zeros((*SHAPE, 2))
    columns = tuple(people[name].to_numpy() for name in ("age", "sex", "residence", "status"))
    np.add.at(found, columns, 1.0)
    return found


def _places(frame: pl.DataFrame) -> tuple[npt.NDArray[np.int64], ...]:
    band = np.searchsorted(_BANDS, frame["age"].to_numpy(), side="right") - 1
    return (band, *(frame[name].to_numpy() for name in ("sex", "residence", "status")))


def _quotient(above: Array, below: Array) -> Array:
    """Divide cell by cell; where there is nothing below, take the quotient of the age band, then that of the kind."""
    band_above, band_below = above.sum(axis=(2, 3, 4), keepdims=True), below.sum(axis=(2, 3, 4), keepdims=True)
    all_above, all_below = band_above.sum(axis=1, keepdims=True), band_below.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_all = np.where(all_below > 0, all_above / all_below, 0.0)
        of_band = np.where(band_below > 0, band_above / band_below, of_all)
        found: Array = np.where(below > 0, above / below, of_band)
    return found
