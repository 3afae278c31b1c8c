"""Say how a sample was drawn, and what that does to errors: strata, clusters, finite populations, replicate weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.influence import Array, dot

Codes: TypeAlias = npt.NDArray[np.int64]
Lonely = Literal["adjust", "average", "remove", "refuse"]
Method = Literal["linearised", "jackknife", "bootstrap", "replicates", "none"]
ReplicateKind = Literal["bootstrap", "brr", "fay", "jk1", "jk2", "jkn", "sdr"]
BootstrapInterval = Literal["t", "percentile"]

MOST_JACKKNIFED = 5_000
"""Above so many clusters the jackknife leaves out random groups of clusters instead of single ones."""


@dataclass(frozen=True, slots=True)
class Design:
    """Be the columns and choices of a survey design; every name is a column of the table.

    `weight` is the sampling weight (none: each row counts once). `strata` and `psu` are strata and first-stage
    clusters, `ssu` second-stage units inside them (none: each row is one). `fpc` is the number of clusters that the
    stratum has in the population, or, if at most 1, the share of them that was drawn; `fpc2` the same for units within
    a cluster. The second stage adds to the error only where both are given; without `fpc` clusters count as drawn with
    replacement, and the first stage holds all. Clusters with the same name in two strata are two clusters.

    `lonely` says what a stratum with one cluster adds: "adjust" its distance from the mean of all clusters (as Stata's
    centered, and R survey from 4.3), "average" the mean of what other strata add, "remove" nothing; "refuse" raises an
    error. A cluster that is all of its stratum (`fpc`) adds nothing under any rule.

    `method` says where errors come from: "linearised" (influence functions), "jackknife" (delete a cluster; above
    5,000 clusters a random group of them), "bootstrap" (Rao and Wu 1988; Rao, Wu and Yue 1992: n-1 clusters a stratum;
    with `fpc` rescaled), "replicates" (weights that the survey brings in the columns of `replicate_weights`, of a
    `kind`), "none". `fay` is the coefficient of kind fay, `replicate_scales` are the factors of kind jkn, one a
    replicate: (n-1)/n of its stratum. `replicates`, `seed` and `bootstrap_interval` (Student's t around the estimate,
    or percentiles of the replicates) are for the bootstrap. `degrees` overrides the degrees of freedom, where the
    survey's handbook gives them. `level` is that of intervals.

    Raises UsageError: bad_level, bad_replicates, no_replicates, bad_fay, bad_scales, bad_design, bad_degrees.

    >>> Design(weight="w", strata="province", psu="village").lonely
    'adjust'
    """

    weight: str | None = None
    strata: str | None = None
    psu: str | None = None
    ssu: str | None = None
    fpc: str | None = None
    fpc2: str | None = None
    lonely: Lonely = "adjust"
    method: Method = "linearised"
    replicates: int = 1000
    seed: int = 20201123
    replicate_weights: tuple[str, ...] = ()
    kind: ReplicateKind = "bootstrap"
    fay: float = 0.5
    level: float = 0.95
    replicate_scales: tuple[float, ...] = ()
    bootstrap_interval: BootstrapInterval = "t"
    degrees: float | None = None

    def __post_init__(self) -> None:
        """Refuse choices that mean nothing."""
        if not 0 < self.level < 1:
            raise UsageError("bad_level", f"level {self.level} is not between 0 and 1; write 0.95 for 95 %")
        if self.method == "bootstrap" and self.replicates < 2:
            raise UsageError("bad_replicates", f"{self.replicates} replicates give no error; ask for 200 or more")
        if self.method == "replicates" and len(self.replicate_weights) < 2:
            raise UsageError("no_replicates", "method 'replicates' needs the columns of replicate weights, two or more")
        if not 0 <= self.fay < 1:
            raise UsageError(
                "bad_fay", f"fay {self.fay} is not in [0, 1); take it from the survey's documentation (0.5 is usual)"
            )
        if self.method == "replicates" and self.kind == "jkn" and len(self.replicate_scales) == 0:
            raise UsageError("bad_scales", "kind jkn needs replicate_scales: (n-1)/n of each replicate's stratum")
        if self.replicate_scales and len(self.replicate_scales) != len(self.replicate_weights):
            raise UsageError(
                "bad_scales",
                f"there are {len(self.replicate_scales)} replicate_scales for {len(self.replicate_weights)} "
                "replicates; give one for each",
            )
        if self.fpc2 is not None and (self.psu is None or self.fpc is None):
            raise UsageError("bad_design", "fpc2 is of units within clusters: it needs psu, and fpc of the clusters")
        if self.degrees is not None and not self.degrees > 0:
            raise UsageError("bad_degrees", f"{self.degrees} degrees of freedom; give a number above zero")


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """Be the design of the rows at hand, as numbers.

    `cluster` gives each row its cluster and `stratum_of` each cluster its stratum; where `cluster` is None every row is
    a cluster of its own, and `stratum_of` belongs to rows (None: one stratum). `clusters` counts clusters by stratum in
    the whole sample, also those of which no row is left here, because a domain does not change how a sample was drawn.
    `fraction` is the share of clusters drawn, by stratum. `units` and `unit_fraction` are the second stage.
    """

    clusters: Codes
    cluster: Codes | None
    stratum_of: Codes | None
    fraction: Array | None = None
    units: Units | None = None
    lonely: Lonely = "adjust"

    @property
    def size(self) -> int:
        """Count the clusters of the whole sample."""
        return int(self.clusters.sum())

    @property
    def strata(self) -> int:
        """Count the strata."""
        return len(self.clusters)

    @property
    def lonely_strata(self) -> int:
        """Count the strata with one cluster only, unless that is all that the stratum has."""
        return int(self._alone().sum())

    def keep(self, rows: npt.NDArray[np.bool_]) -> Structure:
        """Keep some rows, as a domain of the same sample."""
        if self.cluster is None:
            stratum_of = None if self.stratum_of is None else self.stratum_of[rows]
            return replace(self, stratum_of=stratum_of)
        units = None if self.units is None else self.units.keep(rows)
        return replace(self, cluster=self.cluster[rows], units=units)

    def degrees(self, weight: Array) -> float:
        """Count the degrees of freedom of these rows: clusters less strata, of those with a weight above zero."""
        present = weight > 0
        if self.cluster is None:
            rows = int(np.count_nonzero(present))
            strata = 1 if self.stratum_of is None else _different(self.stratum_of[present], self.strata)
            return float(rows - strata)
        here = np.bincount(self.cluster[present], minlength=self.size) > 0
        strata = 1 if self.stratum_of is None else _different(self.stratum_of[here], self.strata)
        return float(np.count_nonzero(here) - strata)

    def totals(self, rows: Array) -> Array:
        """Add up w u by cluster; where every row is a cluster, the rows stand for themselves."""
        if self.cluster is None:
            return rows
        return np.asarray(np.bincount(self.cluster, rows, minlength=self.size), np.float64)

    def variance(self, rows: Array) -> float:
        """Estimate the variance of a total from w u by row.

        With replacement at the first stage unless fractions are known; then (1 - f) of it, and f times what the second
        stage adds (Saerndal, Swensson and Wretman 1992, result 4.3.1; R survey's recursion). Rows outside a domain add
        zero, and clusters without a row in it are totals of zero. NaN where no stratum has two clusters.
        """
        free = None if self.fraction is None else 1 - self.fraction
        spread = _spread(self.totals(rows), self.stratum_of, self.clusters, free)
        found = self._with_lonely(spread, free)
        if self.units is not None and self.fraction is not None:
            found += self.units.variance(rows, self)
        return found

    def _alone(self) -> npt.NDArray[np.bool_]:
        alone: npt.NDArray[np.bool_] = self.clusters == 1
        if self.fraction is not None:
            alone &= self.fraction < 1
        return alone

    def _with_lonely(self, spread: _Spread, free: Array | None) -> float:
        """Add up what the strata add, with the rule for those that have one cluster."""
        alone = self._alone()
        if not alone.any():
            return float(spread.within.sum())
        if self.lonely == "refuse":
            raise InputError(
                "lonely_cluster",
                f"{int(alone.sum())} strata have one cluster only, so that their error cannot be estimated. Join them "
                "with a neighbour, or choose lonely=adjust, average or remove.",
            )
        if self.size == 1 or (alone.all() and self.lonely != "adjust"):
            return math.nan
        if self.lonely == "remove":
            return float(spread.within.sum())
        if self.lonely == "average":
            return float(spread.within.sum() * self.strata / (~alone).sum())
        off = (spread.sums - spread.sums.sum() / self.size) ** 2 * alone
        return float(spread.within.sum() + (off if free is None else off * free).sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """Be totals by stratum, and n/(n-1) (1 - f) times the squares around the stratum's mean; 0 where n is 1."""

    sums: Array
    within: Array


def _spread(totals: Array, group_of: Codes | None, n: Codes, free: Array | None) -> _Spread:
    """Spread totals of clusters within strata; clusters that are not among the totals are zero."""
    number = n.astype(np.float64)
    if group_of is None:
        sums, seen = np.array([totals.sum()]), np.array([float(len(totals))])
        means = sums / number
        off = totals - means[0]
        squares = np.array([dot(off, off)])
    else:
        sums = np.bincount(group_of, totals, minlength=len(n))
        seen = np.bincount(group_of, minlength=len(n)).astype(np.float64)
        means = sums / number
        off = totals - means[group_of]
        off *= off
        squares = np.bincount(group_of, off, minlength=len(n))
    squares = squares + (number - seen) * means**2
    within = np.where(n > 1, number / np.maximum(number - 1, 1) * squares, 0.0)
    return _Spread(np.asarray(sums, np.float64), within if free is None else within * free)


def _different(codes: Codes, most: int) -> int:
    """Count the different codes; counting by place is faster than sorting millions of rows."""
    return int(np.count_nonzero(np.bincount(codes, minlength=most)))


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Be the second stage: units within clusters.

    `unit` gives each row its unit and `cluster_of` each unit its cluster; `drawn` counts units by cluster and
    `fraction` is the share of the cluster that they are.
    """

    unit: Codes
    cluster_of: Codes
    drawn: Codes
    fraction: Array

    def keep(self, rows: npt.NDArray[np.bool_]) -> Units:
        """Keep some rows, as a domain of the same sample."""
        return replace(self, unit=self.unit[rows])

    def variance(self, rows: Array, first: Structure) -> float:
        """Estimate what the second stage adds: f1 (1 - f2) n2/(n2-1) times the squares within each cluster.

        A cluster with one of several units drawn has no spread of its own: it adds nothing, or, under lonely=average,
        the mean of what the others add (its distance from other clusters' units would count the first stage twice).
        """
        assert first.fraction is not None
        totals = np.asarray(np.bincount(self.unit, rows, minlength=len(self.cluster_of)), np.float64)
        within = _spread(totals, self.cluster_of, self.drawn, 1 - self.fraction).within
        share = first.fraction[0] if first.stratum_of is None else first.fraction[first.stratum_of]
        found = float((share * within).sum())
        alone = (self.drawn == 1) & (self.fraction < 1)
        if alone.any() and first.lonely == "refuse":
            raise InputError(
                "lonely_unit",
                f"{int(alone.sum())} clusters have one unit only, though more were there to draw. Leave fpc2 away, or "
                "choose lonely=adjust, average or remove.",
            )
        if first.lonely == "average" and not alone.all():
            found *= len(alone) / float((~alone).sum())
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Be the columns of a design as they stand in a table; None where the design names none."""

    strata: pl.Series | None = None
    psu: pl.Series | None = None
    ssu: pl.Series | None = None
    fpc: Array | None = None
    fpc2: Array | None = None


def structure_of(rows: int, columns: Columns, lonely: Lonely) -> Structure:
    """Turn the design's columns into numbers.

    Raises InputError: bad_fpc (not constant in a stratum, below the number drawn, missing).
    """
    stratum = None if columns.strata is None else _codes(columns.strata)
    strata = 1 if stratum is None else int(stratum.max(initial=-1)) + 1
    if columns.psu is None:
        cluster, stratum_of = None, stratum
        clusters = np.array([rows]) if stratum is None else np.bincount(stratum, minlength=strata)
    else:
        named = _codes(columns.psu)
        cluster = named if stratum is None else _codes_of_pairs(stratum, named)
        size = int(cluster.max(initial=-1)) + 1
        stratum_of = None
        if stratum is not None:
            stratum_of = np.zeros(size, np.int64)
            stratum_of[cluster] = stratum
        clusters = np.array([size]) if stratum_of is None else np.bincount(stratum_of, minlength=strata)
    fraction = None
    if columns.fpc is not None:
        where = np.zeros(rows, np.int64) if stratum is None else stratum
        fraction = _fractions(columns.fpc, where, clusters, "fpc", "stratum")
    units = None
    if cluster is not None and columns.fpc2 is not None:
        unit = np.arange(rows) if columns.ssu is None else _codes_of_pairs(cluster, _codes(columns.ssu))
        cluster_of = np.zeros(int(unit.max(initial=-1)) + 1, np.int64)
        cluster_of[unit] = cluster
        drawn = np.bincount(cluster_of, minlength=int(clusters.sum()))
        units = Units(unit, cluster_of, drawn, _fractions(columns.fpc2, cluster, drawn, "fpc2", "cluster"))
    return Structure(clusters.astype(np.int64), cluster, stratum_of, fraction, units, lonely)


def _codes(values: pl.Series) -> Codes:
    """Number the different values of a column from 0."""
    return np.asarray(values.rank("dense").to_numpy().astype(np.int64) - 1, np.int64)


def _codes_of_pairs(first: Codes, second: Codes) -> Codes:
    pairs = first * (int(second.max(initial=0)) + 1) + second
    found: Codes = np.unique(pairs, return_inverse=True)[1].astype(np.int64)
    return found


def _fractions(given: Array, where: Codes, drawn: Codes, name: str, place: str) -> Array:
    """Read population sizes or sampling fractions, one a stratum or cluster."""
    if not np.isfinite(given).all():
        raise InputError("bad_fpc", f"column {name} is empty or not a number in some rows; give it for every row")
    lowest, highest = np.full(len(drawn), np.inf), np.full(len(drawn), -np.inf)
    np.minimum.at(lowest, where, given)
    np.maximum.at(highest, where, given)
    if (lowest != highest).any():
        raise InputError("bad_fpc", f"column {name} differs within a {place}; it must be the same in all its rows")
    if (lowest <= 0).any():
        raise InputError("bad_fpc", f"column {name} has {lowest.min():g}; a population or a fraction is above zero")
    fraction = np.where(lowest <= 1, lowest, drawn / lowest)
    if (fraction > 1).any():
        worst = int(np.argmax(fraction))
        raise InputError(
            "bad_fpc",
            f"column {name} says that a {place} has {lowest[worst]:g} units, but {drawn[worst]} were drawn from it",
        )
    return np.asarray(fraction, np.float64)
