"""Find what is not dominated: packages that no other one beats in every aim."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def non_dominated(values: Array) -> npt.NDArray[np.bool_]:
    """Say which rows no other row dominates; all columns are to be small.

    `values` is (points, aims), finite. A row dominates another where it is nowhere larger and somewhere smaller; of
    equal rows none dominates. Plain comparison after sorting, of order n times the size of the front.

    >>> non_dominated(np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0], [2.0, 2.0]])).tolist()
    [True, True, False, True]
    """
    order = np.lexsort(values.T[::-1])
    kept = np.zeros(len(values), bool)
    front = np.empty((0, values.shape[1]))
    for row in order:
        # Sorted rows can only be dominated by earlier ones, and by one on the front if by any.
        one = values[row]
        if not ((front <= one).all(axis=1) & (front < one).any(axis=1)).any():
            kept[row] = True
            front = np.vstack([front, one])
    return kept
