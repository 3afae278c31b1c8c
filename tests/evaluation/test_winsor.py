"""Winsorising, and unit and wave effects taken out by counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import UsageError
from medfloor.evaluation.winsor import winsorise
from medfloor.evaluation.within import two_way_residuals


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), low=st.floats(0, 49), high=st.floats(51, 100))
@settings(max_examples=40)
def test_values_are_drawn_in_and_never_out(values: list[float], low: float, high: float) -> None:
    given_values = np.array(values)
    drawn = winsorise(given_values, (low, high))
    assert drawn.values.min() == pytest.approx(drawn.low, abs=1e-9) or not drawn.below
    assert ((drawn.values == given_values) | (given_values < drawn.low) | (given_values > drawn.high)).all()
    assert drawn.below + drawn.above == int((drawn.values != given_values).sum())


@pytest.mark.parametrize("percentiles", [(99, 1), (-1, 50), (1, 101), (5, 5)])
def test_percentiles_that_do_not_go_up_are_refused(percentiles: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="percentiles"):
        winsorise(np.array([1.0]), percentiles)


@given(seed=st.integers(0, 1000), weighted=st.booleans())
@settings(max_examples=30)
def test_what_is_left_is_what_least_squares_with_dummies_leaves(seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = 40
    unit, period = rng.integers(0, 8, rows), rng.integers(1, 5, rows)
    column = rng.normal(size=(rows, 2))
    weight = rng.uniform(0.5, 2, rows) if weighted else None
    dummies = np.column_stack([np.eye(8)[unit], np.eye(5)[period]])
    root = np.sqrt(weight)[:, None] if weight is not None else 1.0
    slope = np.linalg.lstsq(dummies * root, column * root, rcond=None)[0]
    left = two_way_residuals(column, unit, period, weight)
    assert left == pytest.approx(column - dummies @ slope, abs=1e-9)
