"""Draw far values in to percentiles, and say how many were drawn in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medfloor.errors import UsageError
from medfloor.words import Phrase

Floats: TypeAlias = NDArray[np.float64]
Percentiles: TypeAlias = tuple[float, float]
"""Two percentiles, such as (1, 99)."""


@dataclass(frozen=True, slots=True, eq=False)
class Winsorised:
    """Be values drawn in to two bounds, with how many lay beyond each."""

    values: Floats
    low: float
    high: float
    below: int
    above: int

    def note(self, of: str, percentiles: Percentiles) -> Phrase:
        """Tell it in words: `of` is the user's name of the column."""
        return Phrase.of(
            "winsor.note", of=of, below=f"{self.below:,}", above=f"{self.above:,}", low=f"{self.low:.6g}",
            high=f"{self.high:.6g}", p_low=f"{percentiles[0]:g}", p_high=f"{percentiles[1]:g}",
        )  # fmt: skip


def winsorise(values: Floats, percentiles: Percentiles = (1, 99)) -> Winsorised:
    """Replace values below the first percentile by it, and values above the second by that.

    Percentiles are of the given values, all waves together, without weights, interpolated between neighbours (type 7 of
    Hyndman and Fan 1996, The American Statistician 50, 361-365: the default of numpy and R). Values are never left out.

    Raises UsageError bad_number where the percentiles do not go up from 0 to 100.

    >>> drawn = winsorise(np.array([1.0, 2.0, 3.0, 4.0, 100.0]), (0, 75))
    >>> drawn.values.tolist(), drawn.above
    ([1.0, 2.0, 3.0, 4.0, 4.0], 1)
    """
    check_percentiles(percentiles)
    low, high = (float(one) for one in np.percentile(values, percentiles))
    below, above = int((values < low).sum()), int((values > high).sum())
    return Winsorised(np.clip(values, low, high), low, high, below, above)


def check_percentiles(percentiles: Percentiles) -> None:
    """Refuse percentiles that do not go up from 0 to 100. Raises UsageError bad_number."""
    if not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise UsageError("bad_number", f"winsorise {tuple(percentiles)}: percentiles go up from 0 to 100, as (1, 99)")
