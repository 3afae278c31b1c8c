"""Capacity to pay by hand: what each rule takes off consumption."""

from __future__ import annotations

import numpy as np
import pytest

from medfloor.measures.capacity import EuropeRule, europe_capacity


def test_the_first_child_of_a_household_without_adults_counts_as_one() -> None:
    consumption, basic = np.array([90.0, 110.0, 100.0]), np.array([10.0, 30.0, 20.0])
    adults, children = np.array([1.0, 0.0, 2.0]), np.array([0.0, 3.0, 0.0])
    rule = EuropeRule((0.0, 1.0), inclusive=True)
    found = europe_capacity(consumption, basic, adults, children, np.ones(3), rule)
    scale = np.array([1.0, 1 + 0.5 * 2, 1.7])
    assert found.level == pytest.approx((basic / scale).mean(), rel=1e-12)
    assert found.amount == pytest.approx(consumption - (basic / scale).mean() * scale, rel=1e-12)
