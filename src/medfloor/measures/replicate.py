"""Replicate: errors from weights drawn again, for any statistic: jackknife, bootstrap, a survey's own weights."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from medfloor.errors import UsageError
from medfloor.measures.design import MOST_JACKKNIFED, Design, Structure
from medfloor.measures.influence import Array
from medfloor.measures.sample import Sample

Rows: TypeAlias = npt.NDArray[np.bool_]
Progress: TypeAlias = Callable[[int, int], None]
"""Told how many replicates are done, and of how many."""

_RANDOM_GROUPS = 500
"""About so many random groups take the place of single clusters where there are more than MOST_JACKKNIFED."""


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """Be the replicates of a sample.

    `weight_of` gives the weights of one of them, by its number, the full weights and the rows of a group (None for
    all). `scales` weighs the squared distance of each replicate from their mean. `degrees` gives the degrees of
    freedom that the replicates allow the rows with these weights; None where they allow as many as the design has.
    `smooth` says that they fit smooth statistics only: the jackknife is wrong for quantiles (Efron 1982).
    """

    number: int
    weight_of: Callable[[int, Array, Rows | None], Array]
    scales: Array
    progress: Progress | None = None
    degrees: Callable[[Array, Rows | None], float] | None = None
    smooth: bool = False

    def run(
        self,
        values: Callable[[Array], Sequence[float]],
        weight: Array,
        rows: Rows | None,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.float64]:
        """Work out the values under every replicate, in parallel; one row a value, one column a replicate."""

        def one(replicate: int) -> Sequence[float]:
            with np.errstate(divide="ignore", invalid="ignore"):
                return values(self.weight_of(replicate, weight, rows))

        progress = progress or self.progress
        found: list[Sequence[float]] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done, value in enumerate(pool.map(one, range(self.number)), 1):
                found.append(value)
                if progress is not None:
                    progress(done, self.number)
        return np.array(found, np.float64).T


def spread(replicated: Array, value: float, draws: Replicates) -> float:
    """Give the standard error: squared distances of the replicates from their mean, scaled; NaN if one is undefined.

    Replicates with a scale of zero (the cluster of a stratum that has one only) are not in the mean either.

    >>> draws = Replicates(4, lambda r, w, rows: w, np.full(4, 0.25))
    >>> spread(np.array([1.0, 3.0, 1.0, 3.0]), 2.0, draws)
    1.0
    """
    counted = draws.scales > 0
    if not math.isfinite(value) or not counted.any() or not np.isfinite(replicated[counted]).all():
        return math.nan
    off = replicated[counted] - replicated[counted].mean()
    return math.sqrt(float(draws.scales[counted] @ (off * off)))


def replicates_of(sample: Sample, progress: Progress | None = None) -> Replicates | None:
    """Make the replicates that a sample's design asks for; None where errors are linearised.

    Raises UsageError many_clusters for a jackknife of more strata than one can wait for.
    """
    design = sample.design
    if design.method == "jackknife":
        return _jackknife(sample.structure, len(sample), design.seed, progress)
    if design.method == "bootstrap":
        return _bootstrap(sample.structure, len(sample), design.replicates, design.seed, progress)
    if design.method == "replicates":
        assert sample.replicate_weights is not None
        return _given(sample.replicate_weights, design, progress)
    return None


def _given(weights: Array, design: Design, progress: Progress | None) -> Replicates:
    """Use the survey's own weights: one row a replicate, one column a row of the table."""
    number = len(weights)
    scale: float = {
        "bootstrap": 1 / number,
        "brr": 1 / number,
        "fay": 1 / (number * (1 - design.fay) ** 2),
        "jk1": (number - 1) / number,
        "jk2": 1.0,
        "sdr": 4 / number,
    }.get(design.kind, 1.0)
    scales = np.asarray(design.replicate_scales, np.float64) if design.replicate_scales else np.full(number, scale)

    def weight_of(replicate: int, _: Array, rows: Rows | None) -> Array:
        return np.asarray(weights[replicate] if rows is None else weights[replicate][rows], np.float64)

    def degrees(weight: Array, rows: Rows | None) -> float:
        return _rank(weights[:, weight > 0] if rows is None else weights[:, np.flatnonzero(rows)[weight > 0]]) - 1.0

    return Replicates(number, weight_of, scales, progress, degrees, smooth=design.kind in ("jk1", "jk2", "jkn"))


def _rank(weights: Array) -> int:
    """Count the replicates that say something of their own: the rank of their weights (R survey's degf).

    From the R x R matrix of products, which is small where rows are millions; directions under 1e-5 of the longest
    column count as none, as in R.
    """
    lengths = np.sqrt((weights * weights).sum(axis=1))
    weights = weights[lengths > 0] / lengths[lengths > 0][:, None]
    return int((np.linalg.eigvalsh(weights @ weights.T) > 1e-10).sum())


def _row_factors(structure: Structure, factors: Array, rows: Rows | None) -> Array:
    by_row = factors if structure.cluster is None else factors[structure.cluster]
    return by_row if rows is None else by_row[rows]


def _strata_of(structure: Structure, rows: int) -> npt.NDArray[np.int64]:
    """Give each cluster of the whole sample its stratum.

    Where every row is a cluster, the rows that are measured stand first; behind them come those that miss a value,
    because they stay part of the design.
    """
    if structure.stratum_of is not None:
        here = structure.stratum_of
    else:
        here = np.zeros(rows if structure.cluster is None else structure.size, np.int64)
    missing = structure.clusters - np.bincount(here, minlength=structure.strata)
    return np.concatenate([here, np.repeat(np.arange(structure.strata), missing)])


def _jackknife(structure: Structure, rows_in: int, seed: int, progress: Progress | None) -> Replicates:
    """Leave out one cluster at a time and raise the others of its stratum (JK1, JKn); of many clusters, a group."""
    strata = _strata_of(structure, rows_in)
    groups = _groups_of(structure)
    group_of = np.arange(len(strata)) if groups is None else _dealt(strata, groups, np.random.default_rng(seed))
    n = structure.clusters if groups is None else groups
    free = 1.0 if structure.fraction is None else 1 - structure.fraction
    # A stratum with one cluster cannot lose it; it adds nothing, as with lonely=remove.
    scale = np.where(n > 1, (n - 1) / np.maximum(n, 1) * free, 0.0)
    stratum_of = np.repeat(np.arange(len(n)), n) if groups is not None else strata
    holds = np.bincount(group_of)
    measured = len(strata) if structure.cluster is not None else rows_in

    def leave_out(replicate: int, weight: Array, rows: Rows | None) -> Array:
        stratum = stratum_of[replicate]
        factors = np.ones(measured)
        if n[stratum] > 1:
            whole = float(structure.clusters[stratum])
            factors[strata[:measured] == stratum] = whole / (whole - holds[replicate])
            factors[group_of[:measured] == replicate] = 0.0
        return weight * _row_factors(structure, factors, rows)

    most = float((n - 1).sum())
    degrees = None if groups is None else lambda weight, rows: most
    return Replicates(len(stratum_of), leave_out, scale[stratum_of], progress, degrees, smooth=True)


def _groups_of(structure: Structure) -> npt.NDArray[np.int64] | None:
    """Say into how many random groups each stratum's clusters go; None where they are few enough for one at a time."""
    n = structure.clusters
    if structure.size <= MOST_JACKKNIFED:
        return None
    groups = np.clip(np.round(n * (_RANDOM_GROUPS / structure.size)).astype(np.int64), np.minimum(n, 2), n)
    if groups.sum() > MOST_JACKKNIFED:
        raise UsageError(
            "many_clusters",
            f"a jackknife over {structure.strata:,} strata takes two runs or more in each, too many; use "
            "linearised errors, or the bootstrap",
        )
    return np.asarray(groups, np.int64)


def _dealt(
    strata: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Deal the clusters of each stratum out to its groups at random, so that their sizes differ by one at most."""
    shuffled = rng.permutation(len(strata))
    places = _places(strata[shuffled])
    dealt = np.empty(len(strata), np.int64)
    of = strata[shuffled]
    dealt[shuffled] = (np.cumsum(groups) - groups)[of] + places % groups[of]
    return dealt


def _places(strata: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number the clusters of each stratum from 0."""
    order = np.argsort(strata, kind="stable")
    sizes = np.bincount(strata)
    places = np.empty(len(strata), np.int64)
    places[order] = np.arange(len(strata)) - (np.cumsum(sizes) - sizes)[strata[order]]
    return places


def _bootstrap(structure: Structure, rows_in: int, number: int, seed: int, progress: Progress | None) -> Replicates:
    """Draw n-1 clusters of each stratum with replacement, and scale up by n/(n-1) (Rao, Wu and Yue 1992).

    With a finite population weights move only by sqrt(1 - f) of that (Rao and Wu 1988, section 2.2): the variance is
    (1 - f) times as large. A second stage is not drawn again. Strata with one cluster keep their weights.
    """
    strata = _strata_of(structure, rows_in)
    sizes = structure.clusters
    starts = np.cumsum(sizes) - sizes
    slot = starts[strata] + _places(strata)
    # A stratum of n clusters has n - 1 draws, and each draw knows its stratum.
    drawn_from = np.repeat(np.arange(len(sizes)), np.maximum(sizes - 1, 0))
    begin, width = starts[drawn_from], sizes[drawn_from]
    moves = 1.0 if structure.fraction is None else np.sqrt(1 - structure.fraction)
    moved = np.where(sizes > 1, moves, 0.0)[strata]
    raised = (sizes / np.maximum(sizes - 1, 1))[strata]
    measured = len(strata) if structure.cluster is not None else rows_in
    seeds = np.random.SeedSequence(seed).spawn(number)

    def draw(replicate: int, weight: Array, rows: Rows | None) -> Array:
        rng = np.random.default_rng(seeds[replicate])
        picks = begin + np.floor(rng.random(len(begin)) * width).astype(np.int64)
        times = np.bincount(picks, minlength=len(strata))[slot]
        factors = 1 - moved + moved * raised * times
        return weight * _row_factors(structure, factors[:measured], rows)

    return Replicates(number, draw, np.full(number, 1 / number), progress)
