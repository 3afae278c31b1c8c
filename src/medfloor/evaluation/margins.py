"""Turn coefficients of logits and probits into percentage points: average marginal effects, with their errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from medfloor.evaluation.likelihood import bend, chance, slope

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]


def average_marginal_effects(
    x: Numbers,
    beta: Numbers,
    *,
    link: str,
    columns: Sequence[int],
    siblings: Mapping[int, Sequence[int]],
    weight: Numbers | None = None,
) -> tuple[Numbers, Numbers]:
    """Give the average marginal effect of some columns on the chance of 1, and its slopes in the coefficients.

    A column of zeros and ones is changed from 0 to 1 in every row, with its `siblings` (the other levels of its
    category) at 0; of any other column the slope is averaged. Errors follow by the delta method: J V J', J the slopes.

    Returns effects (one a column) and J (columns by coefficients). Source: Cameron and Trivedi (2005), 14.3.
    """
    import numpy as np

    w = np.ones(len(x)) if weight is None else weight
    w = w / w.sum()
    index = x @ beta
    effects, slopes = np.zeros(len(columns)), np.zeros((len(columns), len(beta)))
    for place, column in enumerate(columns):
        if _is_binary(x[:, column]):
            with_it, without = _switched(x, column, siblings.get(column, ()))
            high, low = with_it @ beta, without @ beta
            effects[place] = w @ (chance(link, high) - chance(link, low))
            slopes[place] = (w * slope(link, high)) @ with_it - (w * slope(link, low)) @ without
        else:
            mean = w @ slope(link, index)
            effects[place] = mean * beta[column]
            slopes[place] = beta[column] * ((w * bend(link, index)) @ x)
            slopes[place, column] += mean
    return effects, slopes


def ordered_marginal_effects(
    x: Numbers,
    theta: Numbers,
    *,
    link: str,
    levels: int,
    columns: Sequence[int],
    siblings: Mapping[int, Sequence[int]],
    weight: Numbers | None = None,
) -> tuple[Numbers, Numbers]:
    """Give average marginal effects on the chance of each level of an ordered outcome, and their slopes.

    Returns effects (a row for each column and level, levels within columns) and slopes by coefficients and cut points,
    by central differences.
    """
    import numpy as np

    w = np.ones(len(x)) if weight is None else weight
    w = w / w.sum()

    def effects(at: Numbers) -> Numbers:
        cuts = np.concatenate([[-np.inf], at[x.shape[1] :], [np.inf]])
        beta = at[: x.shape[1]]
        found = []
        for column in columns:
            if _is_binary(x[:, column]):
                with_it, without = _switched(x, column, siblings.get(column, ()))
                change = [
                    w @ chance(link, cut - with_it @ beta) - w @ chance(link, cut - without @ beta) for cut in cuts
                ]
            else:
                ends = (cuts[:, None] - (x @ beta)[None, :]).clip(-1e3, 1e3)
                change = [-beta[column] * (w @ slope(link, end)) for end in ends]
            found += list(np.diff(change))
        return np.asarray(found, float)

    assert levels == len(theta) - x.shape[1] + 1
    return effects(theta), _differences(effects, theta)


def _differences(function: Callable[[Numbers], Numbers], at: Numbers) -> Numbers:
    import numpy as np

    columns = []
    for place in range(len(at)):
        step = np.zeros(len(at))
        step[place] = 1e-5 * max(1e-3, abs(at[place]))
        columns.append((function(at + step) - function(at - step)) / (2 * step[place]))
    return np.column_stack(columns)


def _is_binary(column: Numbers) -> bool:
    import numpy as np

    return bool(np.isin(column, (0.0, 1.0)).all())


def _switched(x: Numbers, column: int, siblings: Sequence[int]) -> tuple[Numbers, Numbers]:
    """Give the rows with a column at 1 and at 0, the other levels of its category at 0 in both."""
    with_it = x.copy()
    with_it[:, list(siblings)] = 0.0
    without = with_it.copy()
    with_it[:, column], without[:, column] = 1.0, 0.0
    return with_it, without
