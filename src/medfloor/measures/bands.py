"""Put ratios into bands: edges, which band an edge belongs to, and what has no ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from medfloor.errors import UsageError
from medfloor.measures.influence import Array
from medfloor.words import Phrase

Closed = Literal["left", "right"]

NO_DIVISOR = "none"
"""The band of rows whose ratio has no value because nothing stands below it: an income of zero or less."""

_EDGE = 1e-9
"""How near a ratio must be to an edge to count as on it: 0.3 / 0.4 in doubles is not 0.75, in fen it is."""


@dataclass(frozen=True, slots=True)
class Bands:
    """Be bands of a ratio: their edges, rising, and whether an edge belongs to the band above it (left) or below.

    >>> Bands.of([0.5, 0.75, 0.9]).names
    ('<50%', '50-75%', '75-90%', '>=90%')
    >>> Bands.of([0.5], "right").names
    ('<=50%', '>50%')
    """

    edges: tuple[float, ...]
    closed: Closed

    @classmethod
    def of(cls, edges: Sequence[float], closed: Closed = "left") -> Bands:
        """Make bands. Raises UsageError bad_edges."""
        given = tuple(float(one) for one in edges)
        if not given or any(not 0 < one < 100 for one in given) or list(given) != sorted(set(given)):
            raise UsageError(
                "bad_edges", f"edges {', '.join(f'{one:g}' for one in given) or 'none'} must rise above 0: 0.5,0.75,0.9"
            )
        if closed not in ("left", "right"):
            raise UsageError("bad_choice", f"closed {closed!r} is not left or right; left: 50 % belongs to 50-75 %")
        return cls(given, closed)

    @property
    def names(self) -> tuple[str, ...]:
        """Name the bands, from the lowest."""
        at = [f"{100 * one:.10g}" for one in self.edges]
        below, above = ("<", ">=") if self.closed == "left" else ("<=", ">")
        between = [f"{low}-{high}%" for low, high in pairwise(at)]
        return (f"{below}{at[0]}%", *between, f"{above}{at[-1]}%")

    def codes(self, part: Array, whole: Array) -> npt.NDArray[np.int64]:
        """Number the band of part / whole from 0; rows whose whole is zero or below come last, whatever the part is.

        >>> Bands.of([0.5, 0.75]).codes(np.array([1.0, 2.0, 3.0, 1.0]), np.array([4.0, 4.0, 4.0, 0.0])).tolist()
        [0, 1, 2, 3]
        """
        known = whole > 0
        ratio = np.where(known, part, 0.0) / np.where(known, whole, 1.0)
        at = np.asarray(self.edges)
        if self.closed == "left":
            placed = np.searchsorted(at - _EDGE, ratio, side="right")
        else:
            placed = np.searchsorted(at + _EDGE, ratio, side="left")
        return np.where(known, placed, len(at) + 1).astype(np.int64)

    def words(self) -> Phrase:
        """Say the bands, and where an edge belongs."""
        return Phrase.of(f"bands.{self.closed}", names=", ".join(self.names))
