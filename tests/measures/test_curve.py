"""Sums of the poorest as quantities: laws that their errors keep."""

from __future__ import annotations

import numpy as np
import pytest

from medfloor.measures import Design, concentration
from medfloor.measures.curve import curve
from medfloor.measures.rank import Ranking


def test_equal_values_have_a_share_without_error_near_both_ends() -> None:
    ranking, weight, equal = Ranking.of(np.arange(400.0)), np.ones(400), np.full(400, 3.0)
    for share, found in zip(shares := [0.02, 0.5, 0.98], curve(ranking, weight, equal, shares), strict=True):
        assert found.value == pytest.approx(share)
        # Whoever is drawn, the poorest 98 % hold 98 %: nothing is left but rounding.
        assert np.abs(np.asarray(found.influence())).max() < 1e-15


def test_errors_of_ordinates_do_not_know_the_unit_of_weights() -> None:
    rng = np.random.default_rng(3)
    frame = {"oop": rng.exponential(1, 300), "consumption": rng.lognormal(3, 1, 300), "weight": rng.uniform(1, 3, 300)}
    errors = [
        concentration(
            {**frame, "weight": frame["weight"] * k}, ordinates=[0.1, 0.5, 0.9], design=Design(weight="weight")
        )
        .rows["se"]
        .to_list()
        for k in (1.0, 1000.0)
    ]
    assert errors[0] == pytest.approx(errors[1], rel=1e-9)
