"""Pay for it: will the fund last, who shares the risk, what may be given, what must be looked at."""

from medfloor.fund.adjustment import Adjustment, Decision, adjust, decide, sign
from medfloor.fund.backtest import Backtest, backtest
from medfloor.fund.basis import Basis, Place, national, place_basis, place_from, read_place
from medfloor.fund.commercial import Price, price
from medfloor.fund.contrast import Contrast, contrast
from medfloor.fund.county import county
from medfloor.fund.outlook import Outlook
from medfloor.fund.projection import Controls, project
from medfloor.fund.risks import Product, Risks, population_risks, pricing_parameters, product_of, stated_risks
from medfloor.fund.sensitivity import Tornado, tornado, tornadoes
from medfloor.fund.series import shipped_series
from medfloor.fund.steps import Steps, read_steps, shipped_steps

__all__ = [
    "Adjustment",
    "Backtest",
    "Basis",
    "Contrast",
    "Controls",
    "Decision",
    "Outlook",
    "Place",
    "Price",
    "Product",
    "Risks",
    "Steps",
    "Tornado",
    "adjust",
    "backtest",
    "contrast",
    "county",
    "decide",
    "national",
    "place_basis",
    "place_from",
    "population_risks",
    "price",
    "pricing_parameters",
    "product_of",
    "project",
    "read_place",
    "read_steps",
    "shipped_series",
    "shipped_steps",
    "sign",
    "stated_risks",
    "tornado",
    "tornadoes",
]
