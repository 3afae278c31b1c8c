"""Quantities with their influence: the chain rule against derivatives taken by moving weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.measures.influence import Array, Quantity, count, mean, total

Y = np.array([1.0, 4.0, 2.0, 8.0, 3.0])
X = np.array([2.0, 1.0, 5.0, 3.0, 7.0])

FORMULAS: dict[str, Callable[[Array], Quantity]] = {
    "total": lambda w: total(w, Y),
    "share": lambda w: mean(w, Y > 2),
    "mean": lambda w: mean(w, Y),
    "ratio": lambda w: total(w, Y) / total(w, X),
    "variance": lambda w: mean(w, Y * Y) - mean(w, Y) ** 2,
    "sum with a number": lambda w: 3 + 2 * mean(w, Y) - 1,
    "difference from a number": lambda w: 5 - mean(w, X),
    "number over it": lambda w: 5 / mean(w, X),
    "coefficient of variation": lambda w: (mean(w, Y * Y) - mean(w, Y) ** 2) ** 0.5 / mean(w, Y),
    "logarithm": lambda w: mean(w, Y).log() - mean(w, X).log(),
    "exponential": lambda w: (mean(w, np.log(Y))).exp() / mean(w, Y),
    "product with itself": lambda w: mean(w, Y) * mean(w, Y) * count(w),
    "minus": lambda w: -(total(w, Y) / 7),
    "power": lambda w: total(w, X) ** -1.5,
}


def by_moving(formula: Callable[[Array], Quantity], weight: Array) -> list[float]:
    """Take the derivative by each weight as a central difference."""
    slopes = []
    for place in range(len(weight)):
        step = np.zeros(len(weight))
        step[place] = 1e-5 * weight[place]
        slopes.append((formula(weight + step).value - formula(weight - step).value) / (2 * step[place]))
    return slopes


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=25)
@given(weight=st.lists(st.floats(0.5, 20), min_size=5, max_size=5).map(np.array))
def test_the_chain_rule_gives_the_derivative_by_the_weights(name: str, weight: Array) -> None:
    formula = FORMULAS[name]
    influence = np.broadcast_to(formula(weight).influence(), (5,))
    # A central difference with steps of 1e-5 is off by some 1e-10 of the curvature and 1e-11 of rounding.
    assert influence == pytest.approx(by_moving(formula, weight), rel=1e-5, abs=1e-7)


def test_terms_of_the_same_base_are_added_up_and_made_once() -> None:
    made = []

    def influence() -> Array:
        made.append(1)
        return Y

    once = total(np.ones(5), influence, float(Y.sum()))
    whole = once + once * 2 - once
    assert whole.value == 2 * Y.sum()
    assert np.asarray(whole.influence()).tolist() == (2 * Y).tolist() and len(made) == 1


def test_nothing_is_made_before_it_is_asked_for() -> None:
    def never() -> Array:
        raise AssertionError

    quantity = total(np.ones(2), never, 3.0) / count(np.ones(2))
    assert quantity.value == 1.5


def test_an_influence_does_not_change_the_column_it_comes_from() -> None:
    column = Y.copy()
    quantity = total(np.ones(5), column)
    out = np.asarray(quantity.influence())
    out += 1
    assert column.tolist() == Y.tolist()
    assert np.asarray((quantity + 0.0).influence()).tolist() == Y.tolist()


def test_truth_values_and_plain_numbers_count() -> None:
    weight = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert total(weight, Y > 2).value == 2 + 4 + 5
    assert total(weight, 2.0).value == 30 and total(weight, 2.0).influence() == 2.0
    assert count(weight).value == 15


@pytest.mark.parametrize(
    "undefined",
    [
        mean(np.zeros(5), Y),
        total(np.ones(5), Y) / 0.0,
        1 / total(np.ones(1), np.array([5e-324])),
        Quantity(1000.0).exp(),
        Quantity(-1.0) ** 0.5,
        Quantity(0.0) ** -1,
        Quantity(0.0).log(),
        Quantity(-1.0).log(),
        Quantity(math.nan) * 2 + 1,
    ],
)
def test_what_is_not_defined_is_nan_and_stays_nan(undefined: Quantity) -> None:
    assert math.isnan(undefined.value) and math.isnan((undefined * 2 + 1).value)


def test_a_power_of_zero_is_zero_with_the_slope_that_it_has() -> None:
    nothing = total(np.ones(2), np.array([1.0, -1.0]))
    assert (nothing**2).value == 0 and np.asarray((nothing**2).influence()).tolist() == [0, 0]
    assert (nothing**0.5).value == 0 and np.isnan((nothing**0.5).influence()).all()  # its slope has no end


def test_what_only_rounding_parts_is_no_difference() -> None:
    weight = np.array([0.1, 0.2, 0.3, 0.7, 1.1])
    same = mean(weight, np.full(5, 0.7)) - mean(weight[:3], np.full(3, 0.7))
    assert same.value == 0.0
    # What differs in a digit that the data can hold stays.
    assert (Quantity(1.0 + 1e-9) - 1.0).value == pytest.approx(1e-9, rel=1e-6)
