"""Lay outgo open, cell by cell: age, sex, residence and status, with use, cost, ratio and payments of each fund."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.fund.cohorts import AGES
from medfloor.fund.outgo import FUNDS, KINDS, STATUSES
from medfloor.tables import RESIDENCES, SEXES

if TYPE_CHECKING:
    from medfloor.fund.projection import Setting

Array = npt.NDArray[np.float64]


def cells_frame(setting: Setting, years: Sequence[int]) -> pl.DataFrame:
    """Give a row a year, kind of care, age, sex, residence and status, on the trend.

    `members` are insured persons, `use` units a member (stays; of the other kinds one unit is a member's care of a
    year, or a visit where claims were counted), `cost` yuan a unit at prices of the base year, `growth` what use and
    cost have grown by since, `ratio_<fund>` the share of the cost that a fund pays, `pay_<fund>` its payments in yuan:
    the product of these. The commercial product pays for those who joined. Summed over a year, `pay_<fund>` are the
    benefits of the fund on the trend.

    >>> from medfloor.fund.basis import national
    >>> from medfloor.fund.projection import prepare
    >>> cells_frame(prepare(national(), 1), [2026]).height
    2424
    """
    basis, parameters = setting.basis, setting.basis.parameters
    places = [year - basis.year for year in years]
    members = (setting.people[places] * basis.share)[..., None] * basis.assisted
    members = (members * setting.part[places][:, None, None, None, None])[:, None]
    shape = (len(places), *basis.cells.use.shape)
    growth = setting.trend[places][:, :, None, None, None, None]
    charged = members * basis.cells.use * basis.cells.cost * growth
    names = (list(years), KINDS, range(AGES), SEXES, RESIDENCES, STATUSES)
    index = [one.ravel() for one in np.indices(shape)]
    heads = ("year", "kind", "age", "sex", "residence", "status")
    made: dict[str, Array] = {
        head: np.asarray(known)[place] for head, known, place in zip(heads, names, index, strict=True)
    }

    def spread(values: Array) -> Array:
        return np.broadcast_to(values, shape).ravel()

    made |= {
        "members": spread(members), "use": spread(basis.cells.use), "cost": spread(basis.cells.cost),
        "growth": spread(growth),
    }  # fmt: skip
    joined = np.array([parameters.share("commercial.take_up"), parameters.share("commercial.take_up_assisted")])
    factors: dict[str, Array] = {
        "basic": setting.paid[places][:, None, None, None, None, None],
        "commercial": joined,
    }
    for fund, ratio in zip(FUNDS, basis.cells.ratio, strict=True):
        of_fund = ratio * factors.get(fund, np.ones(1))
        made |= {f"ratio_{fund}": spread(of_fund), f"pay_{fund}": spread(charged * of_fund)}
    return pl.DataFrame(made)
