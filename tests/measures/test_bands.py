"""Bands of a ratio: edges that rounding misses still count as edges."""

from __future__ import annotations

import numpy as np

from medfloor.measures.bands import Bands


def test_a_ratio_that_rounding_puts_beside_the_edge_lies_on_it() -> None:
    # In doubles 0.3 / 0.4 is a little under 0.75 and (0.1 + 0.2) / 0.4 a little over it.
    part, whole = np.array([0.3, 0.1 + 0.2]), np.array([0.4, 0.4])
    assert Bands.of([0.75], "left").codes(part, whole).tolist() == [1, 1]
    assert Bands.of([0.75], "right").codes(part, whole).tolist() == [0, 0]
