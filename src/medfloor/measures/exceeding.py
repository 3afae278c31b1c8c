"""Hold the compiled pass behind large tables of catastrophic spending. Loaded only for many households.

One reading of the columns gives, for all thresholds together, the weighted sums and the sums of squares that estimates
and their errors are made of. `catastrophic` has the plain version; a test asks both the same.
"""

from __future__ import annotations

import numpy as np

from medfloor.jit import compiled

SUMS = 6
"""By threshold: w e, w o, w o^2, v e, v o, v o^2, where v = w^2."""


@compiled("f1 f1 f1 f1 n x n n g2 g1", counted=False)
def sums_of(
    oop: np.ndarray,
    capacity: np.ndarray,
    weight: np.ndarray,
    thresholds: np.ndarray,
    inclusive: int,
    beyond: float,
    first: int,
    last: int,
    sums: np.ndarray,
    whole: np.ndarray,
) -> None:
    """Add up rows `first` to `last`: by threshold (rising) into `sums`, over all rows into `whole` (w, w^2, n).

    e says whether a household's spending exceeds the threshold, o by how much of its capacity.
    """
    for i in range(first, last):
        w = weight[i]
        v = w * w
        whole[0] += w
        whole[1] += v
        whole[2] += w > 0
        spent = oop[i]
        if not spent > 0:
            continue
        able = capacity[i]
        ratio = spent / able if able > 0 else beyond
        for t in range(thresholds.shape[0]):
            limit = thresholds[t] * able
            if spent < limit or (spent == limit and inclusive == 0):
                break  # the thresholds rise: none of the others is exceeded
            over = max(ratio - thresholds[t], 0.0)
            sums[t, 0] += w
            sums[t, 1] += w * over
            sums[t, 2] += w * over * over
            sums[t, 3] += v
            sums[t, 4] += v * over
            sums[t, 5] += v * over * over
