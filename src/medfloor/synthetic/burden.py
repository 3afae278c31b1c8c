"""Make what households spend on health outside the claims: self-medication, pharmacies, care outside the scheme."""

from __future__ import annotations

import numpy as np

from medfloor.synthetic.draws import Array, stream
from medfloor.synthetic.health import Health
from medfloor.synthetic.homes import Homes
from medfloor.synthetic.means import Means
from medfloor.synthetic.place import Place
from medfloor.synthetic.standing import RESIDENT, Enrolment


def make_burden(
    place: Place, homes: Homes, means: Means, health: Health, enrolment: Enrolment, claimed: Array, seed: int
) -> tuple[Array, Array]:
    """Give each household's own spending outside the claims, and its expected own part of the claims, yuan a year.

    `claimed` is the cost of people's claims. All own spending together closes at the published share of consumption
    (`burden.own_share`), the same a head for residents, of whom the part of their claims is counted that the fund
    usually leaves, and for others, whose care is not among the claims, so that all their own spending lies here.
    """
    rng = stream(seed, "burden")
    shape = place.parts("burden.outside")
    shared = np.sqrt(shape["household"])
    noise = shared * rng.standard_normal(len(homes.size))[homes.home]
    noise += np.sqrt(1 - shape["household"]) * rng.standard_normal(homes.people)
    # Drawn at random for a share of people: a household of several rarely spends nothing.
    some = rng.random(homes.people) >= shape["none"] / 100
    logs = shape["spread"] * noise + shape["income"] * means.standing + shape["chronic"] * health.chronic
    spent = np.where(some, np.exp(logs), 0.0)
    expected = claimed * (1 - place.share("burden.fund_share"))
    resident = enrolment.scheme == RESIDENT
    consumption = place.share("consumption.of_income") * float(means.income.sum()) / homes.people
    whole = place.share("burden.own_share") * consumption
    for rows, mean in ((resident, whole - float(expected[resident].mean())), (~resident, whole)):
        if rows.any():
            spent[rows] *= max(0.0, mean) / max(1e-9, float(spent[rows].mean()))
    return homes.total(spent), homes.total(expected)
