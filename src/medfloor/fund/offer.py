"""Offer the commercial product in a projection: who joins and what they cost, as `medfloor fund price` prices it.

The price is that of the members of the projection: their ages, how many of them are assisted, and what of the premium
of the assisted is paid. Losses are stated ones, or counted from a population.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from medfloor.fund.outgo import FUNDS, Cells
from medfloor.fund.parameters import Parameters
from medfloor.words import Phrase

if TYPE_CHECKING:
    from medfloor.fund.risks import Product, Risks

Array = npt.NDArray[np.float64]

SOURCE = "the price of the product: medfloor fund price"
_PLACE = FUNDS.index("commercial")
_STARTS = (0, 15, 60)
"""First ages of the bands of a price: young, adult, old."""


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """Be what a price says of the members: shares that join (ordinary, assisted), and losses of the base year.

    `losses` has shape (bands, statuses): yuan that an insured person costs the product, joined or not.
    """

    take_up: tuple[float, float]
    losses: Array
    counted: bool


def with_offer(
    cells: Cells,
    members: Array,
    parameters: Parameters,
    *,
    year: int,
    given: Mapping[str, float],
    count: Callable[[Product], Risks] | None = None,
) -> tuple[Cells, Parameters, Phrase]:
    """Let the commercial fund be the priced product: its cells, the parameters that follow, and a sentence on it.

    `members` is the base year's (ages, sexes, residences, statuses). The product pays for stays, as a share of their
    cost that differs by age band and status, so that the base year pays what the price expects of those who join.
    `commercial.take_up`, `commercial.take_up_assisted` and `commercial.payout` follow from the price unless `given`.
    `count` counts the risks of a product from a population; without it they are those stated for a price.

    Raises UsageError bad_parameter where the parameters of a price cannot be together.
    """
    premium = parameters.value("commercial.premium")
    nobody = premium <= 0 or given.get("commercial.take_up") == 0 or members.sum() <= 0
    offer = Offer((0.0, 0.0), np.zeros((3, 2)), False) if nobody else _priced(members, parameters, given, count)
    found = parameters
    for name, place in (("commercial.take_up", 0), ("commercial.take_up_assisted", 1)):
        if name not in given:
            found = found.with_value(name, 100 * offer.take_up[place], source=SOURCE, trust="assumption", year=year)
    joined = np.array([found.share("commercial.take_up"), found.share("commercial.take_up_assisted")])
    # As if all were members, because the projection multiplies by those who join.
    wanted = np.divide(offer.losses, offer.take_up, out=np.zeros((3, 2)), where=np.array(offer.take_up) > 0)
    by_band = np.add.reduceat(members.sum(axis=(1, 2)), _STARTS, axis=0)
    stays = np.add.reduceat((members * (cells.use * cells.cost)[0]).sum(axis=(1, 2)), _STARTS, axis=0)
    shares = np.divide(wanted * by_band, stays, out=np.zeros_like(stays), where=stays > 0)
    ratio = cells.ratio.copy()
    ratio[_PLACE] = 0.0
    ratio[_PLACE, 0] = np.repeat(shares, np.diff([*_STARTS, members.shape[0]]), axis=0)[:, None, None]
    income = float(premium * (by_band.sum(axis=0) @ joined))
    losses = float((wanted * by_band).sum(axis=0) @ joined)
    if "commercial.payout" not in given:
        payout = min(100 * losses / income, found["commercial.payout"].most) if income > 0 else 0.0
        found = found.with_value("commercial.payout", payout, source=SOURCE, trust="assumption", year=year)
    made = replace(cells, ratio=ratio)
    paid = float(made.expected(members[None])[0, _PLACE].sum(axis=0) @ joined)
    made = made.scaled("commercial", found.share("commercial.payout") * income / paid if paid > 0 else 0.0)
    return made, found, _said(_asked(members, parameters, given), found, offer)


def _priced(
    members: Array, parameters: Parameters, given: Mapping[str, float], count: Callable[[Product], Risks] | None
) -> Offer:
    # Imported here, because risks counts populations with what itself stands on the base of a projection.
    from medfloor.fund.commercial import joining
    from medfloor.fund.risks import BANDS, pricing_parameters, product_of, stated_risks

    known = pricing_parameters(_asked(members, parameters, given))
    product = product_of(known)
    risks = count(product) if count else stated_risks(known, product)
    classes = joining(risks, product, known)
    sums = np.zeros((3, len(BANDS), 2))
    for row in classes.iter_rows(named=True):
        sums[:, BANDS.index(row["band"]), int(row["poor"])] += (row["persons"], row["members"], row["loss"])
    persons, joined, loss = sums
    of_status = np.divide(joined.sum(axis=0), persons.sum(axis=0), out=np.zeros(2), where=persons.sum(axis=0) > 0)
    each = np.divide(loss, persons, out=np.zeros_like(loss), where=persons > 0)
    return Offer((float(of_status[0]), float(of_status[1])), each, count is not None)


def _asked(members: Array, parameters: Parameters, given: Mapping[str, float]) -> dict[str, float]:
    """Give what the price is told of the members, and of the product."""
    whole = max(float(members.sum()), 1e-9)
    young, _, old = (float(one) / whole for one in np.add.reduceat(members.sum(axis=(1, 2, 3)), _STARTS))
    asked = {
        "product.premium": parameters.value("commercial.premium"),
        "market.poor_paid": parameters.value("commercial.poor_paid"),
        "market.poor": min(100 * float(members[..., 1].sum()) / whole, 100.0),
        "people.young": 100 * young,
        # Rounding may leave a hair more than all of them.
        "people.old": min(100 * old, 100 - 100 * young),
    }
    if "commercial.take_up" in given:
        asked["market.take_up"] = min(max(given["commercial.take_up"], 0.01), 99.99)
    return asked


def _said(asked: dict[str, float], parameters: Parameters, offer: Offer) -> Phrase:
    told = {
        "premium": f"{parameters.value('commercial.premium'):g}",
        "take_up": f"{parameters.share('commercial.take_up'):.1%}",
        "assisted": f"{parameters.share('commercial.take_up_assisted'):.1%}",
        "payout": f"{parameters.share('commercial.payout'):.1%}",
    }
    if not offer.losses.any():
        return Phrase.of("fund_project.commercial_empty", **told)
    # Classes are counted where there is a population, so that a price is told nothing of them.
    names = [one for one in asked if not (offer.counted and one.startswith(("people.", "market.poor")))]
    names += ["market.poor_paid"] if offer.counted else []
    options = " ".join(f"--set {name}={asked[name]:.4g}" for name in names)
    key = "counted" if offer.counted else "priced"
    return Phrase.of(f"fund_project.commercial_{key}", **told, asked=options)
