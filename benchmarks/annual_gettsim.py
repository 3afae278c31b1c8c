"""The three tiers of the annual job as gettsim's pages teach: typed functions of one person, parameters with units.

Imported in gettsim's own interpreter alone. It reckons with floats of 64 bits; its euros are our yuan.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from annual import RULES, YEAR
from gettsim import MainTarget, main
from gettsim.tt import (
    ConsecutiveIntLookupTableParam,
    ConsecutiveIntLookupTableParamValue,
    PiecewisePolynomialParam,
    PiecewisePolynomialParamValue,
    RoundingSpec,
    ScalarParam,
    TTSIMUnit,
    get_consecutive_int_lookup_table_param_value,
    get_piecewise_parameters,
    piecewise_polynomial,
    policy_function,
    policy_input,
)

MONEY, EURO, PURE = TTSIMUnit.CURRENCY.PER_YEAR, TTSIMUnit.EUR.PER_YEAR, TTSIMUnit.DIMENSIONLESS
FEN = RoundingSpec(
    base=0.01, unit=EURO, direction="nearest", reference="as its pages teach; a half goes to the even fen"
)
FEN_UP = RoundingSpec(base=0.01, unit=EURO, direction="down", reference="half up, once half a fen was added")


@policy_input(unit=PURE)
def p_id() -> int:
    """Number of the person."""


@policy_input(unit=MONEY)
def bill_y() -> float:
    """What the year's care costs."""


@policy_input(unit=PURE)
def level() -> int:
    """Number of the hospital's level."""


@policy_input(unit=PURE)
def group() -> int:
    """Number of the group in which the person is registered."""


def _basic_y(
    bill_y: float,
    level: int,
    deductible: ConsecutiveIntLookupTableParamValue,
    rate: ConsecutiveIntLookupTableParamValue,
    cap: float,
    added: float,
) -> float:
    return min(max(bill_y - deductible.look_up(level), 0.0) * rate.look_up(level) + added, cap + added)


def _critical_y(
    bill_y: float, basic_y: float, scale: PiecewisePolynomialParamValue, added: float, xnp: ModuleType
) -> float:
    return piecewise_polynomial(x=bill_y - basic_y, parameters=scale, xnp=xnp) + added


def _assistance_y(
    bill_y: float,
    basic_y: float,
    critical_y: float,
    group: int,
    share: ConsecutiveIntLookupTableParamValue,
    limit: float,
    added: float,
) -> float:
    return min((bill_y - basic_y - critical_y) * share.look_up(group) + added, limit + added)


TIERS = {"basic_y": _basic_y, "critical_y": _critical_y, "assistance_y": _assistance_y}


def environment(by_hand: bool) -> dict[str, Any]:
    """Make the policy, which keeps the date of the German one and nothing else.

    By hand a half goes up, as the law has it, with a hair for what a product of doubles falls short.
    """

    def table(values: tuple[float, ...], of: float, unit: Any) -> Any:
        raw = {number: value / of for number, value in enumerate(values)}
        value = get_consecutive_int_lookup_table_param_value(raw=raw, xnp=np)
        return ConsecutiveIntLookupTableParam(value=value, input_unit=PURE, output_unit=unit)

    def number(value: float) -> Any:
        return ScalarParam(value=float(value), unit=EURO)

    (_, _), (low, first), (high, second) = RULES["brackets"]
    pieces = [
        {"interval": f"(-inf, {low})", "intercept": 0, "slope": 0},
        {"interval": f"[{low}, {high})", "slope": first / 100},
        {"interval": f"[{high}, inf)", "slope": second / 100},
    ]
    scale = get_piecewise_parameters(func_type="piecewise_linear", parameter_list=pieces, leaf_name="scale", xnp=np)
    tiers = {
        name: policy_function(leaf_name=name, unit=MONEY, rounding_spec=FEN_UP if by_hand else FEN, verify_units=False)(
            function
        )
        for name, function in TIERS.items()
    }
    german = main(main_target=MainTarget.policy_environment, policy_date_str=f"{YEAR}-01-01")
    dates = {f"{of}_{part}" for of in ("policy", "evaluation") for part in ("year", "month", "day")}
    return {name: german[name] for name in dates} | {
        "p_id": p_id, "bill_y": bill_y, "level": level, "group": group, **tiers,
        "deductible": table(RULES["deductible"], 1, EURO), "rate": table(RULES["percent"], 100, PURE),
        "share": table(RULES["share"], 100, PURE), "cap": number(RULES["cap"]), "limit": number(RULES["limit"]),
        "scale": PiecewisePolynomialParam(
            value=scale, input_unit=EURO, output_unit=EURO
        ),
        "added": number(0.005 + 1e-8 if by_hand else 0),
    }  # fmt: skip
