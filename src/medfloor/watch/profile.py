"""Keep how inputs and scores of households lay when a model was judged, so that later years can be held against it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.watch.features import FEATURES

SCORE = "score"
"""The name under which the model's own probability is binned beside its inputs."""

WHOLE = ""
"""The place that stands for all households together."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Profile:
    """Be what a model file keeps of households for drift: counts by bin, and no household.

    `edges` has for each input the upper ends of its bins but the last: a value v is in the first bin with v <= edge, in
    the last bin where there is none, and missing values have a bin of their own at the end. `counts` has households
    by place, input and bin, where place "" is everybody. `alerted` has households by place at or above `line`, the
    probability from which on a household is alerted.
    """

    edges: Mapping[str, tuple[float, ...]]
    counts: Mapping[str, Mapping[str, tuple[int, ...]]]
    households: Mapping[str, int]
    alerted: Mapping[str, int]
    line: float

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data for a model file."""
        return {
            "edges": {name: list(ends) for name, ends in self.edges.items()},
            "counts": {place: {name: list(of) for name, of in all_of.items()} for place, all_of in self.counts.items()},
            "households": dict(self.households),
            "alerted": dict(self.alerted),
            "line": self.line,
        }


def profile_of(
    features: pl.DataFrame,
    scores: npt.ArrayLike,
    *,
    line: float,
    inputs: Sequence[str] | None = None,
    bins: int = 10,
    by: str | None = None,
    smallest: int = 100,
) -> Profile:
    """Bin the inputs and scores of the households that later years are to be held against.

    `features` has a row a household, `inputs` are those of its columns that the model takes (without them all that
    `medfloor.watch.features` knows); null and NaN are missing. Bins end at the quantiles of what is there (`bins` of
    them, ends that coincide once); an input with no more than `bins` different values has one bin for each. `line` is
    the probability from which on a household is alerted. `by` names a column of places (townships); a place with fewer
    than `smallest` households is not kept apart: chance would move it, and its counts would say much of few.

    Raises UsageError bad_bins for fewer than two bins, InputError no_rows for no household, missing_column.

    >>> frame = pl.DataFrame({"household_id": ["a", "b", "c"], "stays": [0, 0, 2]})
    >>> profile = profile_of(frame, [0.1, 0.2, 0.9], line=0.5)
    >>> profile.edges["stays"], profile.counts[""]["stays"], profile.alerted[""]
    ((0.0,), (2, 1, 0), 1)
    """
    if bins < 2:
        raise UsageError("bad_bins", f"{bins} bins show nothing; ask for two or more")
    if not features.height:
        raise InputError("no_rows", "there is no household to bin; give the features of the judged year")
    taken = [name for name in features.columns if name in FEATURES] if inputs is None else inputs
    found = numbers_of(features, scores, taken)
    edges = {name: _edges(values, bins) for name, values in found.items()}
    places = places_of(features, by, smallest)
    return Profile(
        edges=edges,
        counts={
            place: {name: tuple(int(n) for n in binned(found[name][among], edges[name])) for name in edges}
            for place, among in places.items()
        },
        households={place: int(among.sum()) for place, among in places.items()},
        alerted={place: int((found[SCORE][among] >= line).sum()) for place, among in places.items()},
        # JSON has no infinity; where everybody can be visited, everybody from 0 on is.
        line=max(float(line), 0.0),
    )


def profile_from(plain: Mapping[str, Any], *, where: str = "the model file") -> Profile:
    """Read a profile from a model file.

    Raises InputError no_bins where it is none, or was trained without one.

    >>> made = profile_of(pl.DataFrame({"household_id": ["a", "b"], "stays": [0, 1]}), [0.1, 0.9], line=0.5)
    >>> profile_from(made.to_dict()) == made
    True
    """
    try:
        return Profile(
            edges={name: tuple(float(end) for end in ends) for name, ends in plain["edges"].items()},
            counts={
                place: {name: tuple(int(n) for n in of) for name, of in all_of.items()}
                for place, all_of in plain["counts"].items()
            },
            households={place: int(n) for place, n in plain["households"].items()},
            alerted={place: int(n) for place, n in plain["alerted"].items()},
            line=float(plain["line"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            "no_bins", f"{where} keeps no bins of its inputs; train it again with medfloor watch train"
        ) from (None)


def numbers_of(
    features: pl.DataFrame, scores: npt.ArrayLike, inputs: Sequence[str]
) -> dict[str, npt.NDArray[np.float64]]:
    """Give each input, and the scores, as doubles with NaN for what is missing.

    Raises InputError missing_column, and wrong_type for a column that is neither number nor yes/no, or for scores of
    another length.
    """
    found: dict[str, npt.NDArray[np.float64]] = {}
    for name in inputs:
        if name not in features.columns:
            raise InputError("missing_column", f"features has no column {name}, which the model was trained with")
        kind = features.schema[name]
        if not (kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
            raise InputError("wrong_type", f"features: {name} is {kind}; an input is a number, or yes or no")
        found[name] = features[name].cast(pl.Float64).fill_null(math.nan).to_numpy()
    score = np.asarray(scores, float)
    if score.shape != (features.height,):
        raise InputError("wrong_type", f"there are {features.height} households and scores of shape {score.shape}")
    return found | {SCORE: score}


def places_of(features: pl.DataFrame, by: str | None, smallest: int = 1) -> dict[str, npt.NDArray[np.bool_]]:
    """Say which rows are in which place; "" is everybody. Places with fewer than `smallest` households are left out.

    Raises InputError missing_column.
    """
    places: dict[str, npt.NDArray[np.bool_]] = {WHOLE: np.ones(features.height, bool)}
    if by is None:
        return places
    if by not in features.columns:
        raise InputError("missing_column", f"features has no column {by}; leave --by out, or add it to the households")
    named = features[by].cast(pl.String)
    for place in sorted(named.drop_nulls().unique().to_list()):
        among = (named == place).fill_null(value=False).to_numpy()
        if among.sum() >= smallest:
            places[place] = among
    return places


def binned(values: npt.NDArray[np.float64], edges: Sequence[float]) -> Counts:
    """Count values by bin; the last bin holds what is missing.

    >>> binned(np.array([0.0, 1.0, 5.0, math.nan]), (0.0, 1.0)).tolist()
    [1, 1, 1, 1]
    """
    place = np.searchsorted(np.asarray(edges, float), values, side="left")
    place[np.isnan(values)] = len(edges) + 1
    return np.bincount(place, minlength=len(edges) + 2).astype(np.int64)


def _edges(values: npt.NDArray[np.float64], bins: int) -> tuple[float, ...]:
    there = values[np.isfinite(values)]
    different = np.unique(there)
    if len(different) <= bins:
        return tuple(different[:-1].tolist())
    ends = np.unique(np.quantile(there, np.arange(1, bins) / bins, method="inverted_cdf"))
    # An end at the largest value would leave the last bin empty from the start.
    return tuple(ends[ends < different[-1]].tolist())
