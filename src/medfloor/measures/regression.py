"""Fit weighted least squares whose coefficients carry their influence, for decompositions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.influence import Array, Quantity, total
from medfloor.measures.ranked import told
from medfloor.measures.sample import Source, column

Regressors = Sequence[Source] | Mapping[str, Source]
"""Columns that explain: names or expressions, or names of one's own for them."""

_TEXT = (pl.String, pl.Categorical, pl.Enum)

MOST_VALUES = 200
"""A category has no more values than this."""


def regressors(frame: pl.DataFrame, columns: Regressors) -> dict[str, Source]:
    """Name the columns that explain; a category becomes one column of 0 and 1 for each of its values but the first.

    Columns of text are categories, and so is a column that is written `i.region`, as in Stata. The first value (numbers
    by size, text by the alphabet) is what the others are compared with. Raises UsageError no_columns, InputError
    one_value.

    >>> homes = pl.DataFrame({"age": [40, 30, 20], "sex": ["male", "female", "male"], "region": [1, 2, 3]})
    >>> list(regressors(homes, ["age", "sex", "i.region"]))
    ['age', 'sex=male', 'region=2', 'region=3']
    """
    named = dict(columns) if isinstance(columns, Mapping) else {told(one): one for one in columns}
    if not named:
        raise UsageError("no_columns", "no column was named that could explain anything; name one or more")
    made: dict[str, Source] = {}
    for name, source in named.items():
        category = _category(frame, source)
        if category is None:
            made[name] = source
        else:
            made |= _dummies(frame, name.removeprefix("i."), category)
    return made


@dataclass(frozen=True, slots=True, eq=False)
class Regressed:
    """Be regressors, centred and scaled once so that age and its square can stand side by side.

    `matrix` has a column of ones and one for each regressor.
    """

    matrix: Array
    scale: Array

    @classmethod
    def of(cls, columns: Sequence[Array]) -> Regressed:
        """Centre and scale columns."""
        matrix = np.ones((len(columns[0]), len(columns) + 1))
        scale = np.ones(len(columns))
        for place, values in enumerate(columns):
            spread = float(values.std())
            scale[place] = spread if spread > 0 else 1.0
            matrix[:, place + 1] = (values - values.mean()) / scale[place]
        return cls(matrix, scale)

    def fit(self, weight: Array, y: Array) -> list[Quantity]:
        """Give the slope of each regressor, in its own unit: b = (X'WX)^-1 X'Wy.

        The influence of row i on b is (X'WX)^-1 x_i e_i (Binder 1983). All are NaN where the regressors cannot be told
        apart.

        >>> x = np.array([1.0, 2.0, 4.0])
        >>> [round(b.value, 12) for b in Regressed.of([x]).fit(np.ones(3), 3 * x + 1)]
        [3.0]
        """
        weighted = self.matrix * weight[:, None]
        cross = weighted.T @ self.matrix
        inverse = _inverse(cross)
        if inverse is None:
            return [Quantity(math.nan)] * len(self.scale)
        slopes = inverse @ (weighted.T @ y)
        left = y - self.matrix @ slopes
        return [
            total(weight, _Pull(self.matrix, left, inverse[place + 1] / scale), float(slopes[place + 1] / scale))
            for place, scale in enumerate(self.scale)
        ]


def check_rank(weight: Array, columns: Mapping[str, Array]) -> None:
    """Refuse regressors that are constant or sums of others. Raises InputError collinear, which names them."""
    kept: list[Array] = []
    for name, values in columns.items():
        matrix = Regressed.of([*kept, values]).matrix
        if _inverse((matrix * weight[:, None]).T @ matrix) is None:
            why = "has one value in all rows" if np.ptp(values[weight > 0]) == 0 else "follows from those before it"
            raise InputError("collinear", f"column {name} {why}, so that its part cannot be told; leave it out")
        kept.append(values)


@dataclass(frozen=True, slots=True, eq=False)
class _Pull:
    """Make the influences on one coefficient, when an error is asked for."""

    matrix: Array
    left: Array
    row: Array

    def __call__(self) -> Array:
        pulled = self.matrix @ self.row
        pulled *= self.left
        return np.asarray(pulled, np.float64)


def _category(frame: pl.DataFrame, source: Source) -> str | None:
    """Say which column is a category, if the regressor is one."""
    if not isinstance(source, str):
        return None
    if source.startswith("i.") and source not in frame.columns:
        column(frame, source[2:], source)
        return source[2:]
    return source if source in frame.columns and frame[source].dtype in _TEXT else None


def _dummies(frame: pl.DataFrame, name: str, category: str) -> dict[str, Source]:
    values = frame[category].drop_nulls().unique().sort()
    if values.dtype.is_float():
        values = values.filter(values.is_not_nan())
    if len(values) < 2:
        raise InputError(
            "one_value", f"column {category} has one value only, so that it explains nothing; leave it out"
        )
    if len(values) > MOST_VALUES:
        raise InputError("many_values", f"column {category} has {len(values)} values; is it a number? Then cast it")
    if values.dtype.is_numeric():
        return {f"{name}={value:g}": pl.col(category) == value for value in values[1:].to_list()}
    text = values.cast(pl.String).sort()[1:].to_list()
    return {f"{name}={value}": pl.col(category).cast(pl.String) == value for value in text}


def _inverse(cross: Array) -> Array | None:
    """Invert X'WX; None where it cannot be, judged on the scale of correlations."""
    size = np.sqrt(np.diag(cross))
    if not (size > 0).all() or not np.isfinite(size).all():
        return None
    scaled = cross / np.outer(size, size)
    values, vectors = np.linalg.eigh(scaled)
    if values[0] <= 1e-12 * values[-1]:
        return None
    inverse = (vectors / values) @ vectors.T
    return np.asarray(inverse / np.outer(size, size), np.float64)
