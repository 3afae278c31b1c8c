"""Test whether groups differ: tables of groups by categories, and numbers between groups, under the survey's design."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.measures.design import Structure
from medfloor.measures.estimate import Estimator, Statistic
from medfloor.measures.influence import Array, Quantity
from medfloor.measures.result import SCHEMA
from medfloor.measures.sample import Grouping, Sample
from medfloor.words import Phrase

Codes = npt.NDArray[np.int64]

MOST_GROUPS = 12
"""A test between more groups than this is not made: nobody reads it, and its covariances take long."""

FEW = 5.0
"""Below this expected count in a cell the chi-squared distribution is a poor guide (Cochran 1954)."""


@dataclass(frozen=True, slots=True)
class Test:
    """Be one test: which one, its statistic, degrees of freedom (above and below for an F), p, and rows.

    `smallest` is the smallest count expected in a cell of the table, in rows; None where there is no table.
    """

    __test__ = False  # the name is no test of pytest's

    name: str
    statistic: float
    df: float
    below: float | None
    p: float
    n: int
    weighted_n: float
    smallest: float | None = None
    labels: Mapping[str, object] = field(default_factory=dict)


def independence(sample: Sample, rows: Codes, columns: Codes, labels: Mapping[str, object] | None = None) -> list[Test]:
    """Test that two classifications of a sample have nothing to do with each other.

    `rows` and `columns` number the classes of each row of the sample from 0; a negative number leaves a row out of the
    table, and it stays part of the design. `rao_scott_f` is Pearson's chi-squared of the weighted table with the second
    order correction for the design, referred to an F distribution (Rao and Scott 1984; as R survey's svychisq).
    `pearson_chi2`, without continuity correction, comes first where every row counts once and there are neither strata
    nor clusters nor finite populations. Nothing comes back for a table with one class on either side.

    >>> from medfloor.measures.sample import take
    >>> sick = take({"sick": [1.0] * 120 + [0.0] * 576 + [1.0] * 107 + [0.0] * 310}, {"sick": "sick"})
    >>> registered = np.array([1] * 696 + [0] * 417)
    >>> pearson, design_based = independence(sick, registered, sick["sick"].astype(int))
    >>> round(pearson.statistic, 2), round(pearson.p, 4), round(design_based.p, 4)
    (11.38, 0.0007, 0.0008)
    """
    inside = (rows >= 0) & (columns >= 0) & (sample.weight > 0)
    named = dict(labels or {})
    row, column = _dense(rows[inside]), _dense(columns[inside])
    shape = (int(row.max(initial=-1)) + 1, int(column.max(initial=-1)) + 1)
    if min(shape) < 2:
        return []
    n, weight = int(inside.sum()), sample.weight[inside]
    cell = row * shape[1] + column
    whole = float(weight.sum())
    shares = np.bincount(cell, weight, minlength=shape[0] * shape[1]) / whole
    table = shares.reshape(shape)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0))
    chi2 = n * float(((table - expected) ** 2 / expected).sum())
    smallest = n * float(expected.min())
    df = (shape[0] - 1) * (shape[1] - 1)
    found = []
    if is_plain(sample):
        found.append(Test("pearson_chi2", chi2, float(df), None, _chi2_tail(chi2, df), n, whole, smallest, named))
    if sample.structure.size > 1:
        free = sample.structure.degrees(sample.weight * inside)
        trace, trace_squared = _deltas(sample.structure.keep(inside), weight, cell, shares, shape, n)
        above = trace**2 / trace_squared if trace_squared > 0 else math.nan
        f = chi2 / trace if trace > 0 else math.nan
        p = _f_tail(f, above, above * free)
        found.append(Test("rao_scott_f", f, above, above * free, p, n, whole, smallest, named))
    return found


def equality(sample: Sample, grouping: Grouping, estimator: Estimator) -> list[Test]:
    """Test that each statistic of an estimator is the same in all groups of a grouping.

    `wald_f`: W / k for the k differences from the first group, with the covariance that the design gives, referred to
    F(k, clusters less strata); for two groups the square of the t of their difference. Statistics that some group lacks
    or that have no influence (quantiles, extremes) are left out, and so is a grouping of more than 12 groups. The
    labels of a test hold those of the statistic, and its name as `of`.
    """
    here = [code for code in range(len(grouping.labels)) if (sample.weight[grouping.code == code] > 0).any()]
    if not 2 <= len(here) <= MOST_GROUPS or sample.structure.size < 2:
        return []
    parts = [grouping.code == code for code in here]
    bounds = [estimator({name: one[rows] for name, one in sample.columns.items()}) for rows in parts]
    said = [list(bound(sample.weight[rows])) for bound, rows in zip(bounds, parts, strict=True)]
    free = sample.structure.degrees(sample.weight * np.logical_or.reduce(parts))
    return list(_walds(sample, parts, said, free))


def rows_of(tests: Sequence[tuple[str | None, Test]], labels: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Write tests, each with the name of its grouping (None: all rows), as rows of a `Result` with these label columns.

    `df` is that of the chi-squared distribution, or the upper one of an F; `denominator_df` is the lower one.
    """
    made = []
    for by, test in tests:
        known = {**test.labels, "denominator_df": test.below}
        figures = {"estimate": test.statistic, "p": test.p, "df": test.df}
        made.append(
            {
                "statistic": test.name,
                **{name: known.get(name) for name in labels},
                "by": by,
                "group": None,
                "against": None,
                "kind": "index",
                **{name: None if math.isnan(value) else value for name, value in figures.items()},
                "n": test.n,
                "weighted_n": test.weighted_n,
            }
        )
    text = pl.String()
    schema = {"statistic": text, **labels, "by": text, "group": text, "against": text, **SCHEMA}
    return pl.DataFrame(made, schema=schema, orient="row")


def notes_of(tests: Sequence[Test]) -> tuple[Phrase, ...]:
    """Say what a reader of tests must know: few expected in a cell, or no answer."""
    notes = []
    few = sum(test.name == "rao_scott_f" and test.smallest is not None and test.smallest < FEW for test in tests)
    if few:
        notes.append(Phrase.of("association.few", tests=few, few=f"{FEW:g}"))
    undefined = sum(math.isnan(test.p) for test in tests)
    if undefined:
        notes.append(Phrase.of("association.undefined", tests=undefined))
    return tuple(notes)


def _dense(codes: Codes) -> Codes:
    """Number the classes that are there from 0, in their order, without sorting millions of rows."""
    there = np.bincount(codes) > 0
    return codes if there.all() else (np.cumsum(there) - 1)[codes]


def is_plain(sample: Sample) -> bool:
    """Say whether a sample is rows that count once each, without strata, clusters and finite populations."""
    design = sample.design
    if design.strata or design.psu or design.fpc or design.method not in ("linearised", "none"):
        return False
    return bool((sample.weight == sample.weight[:1]).all()) and (design.weight is None or sample.weight[0] == 1)


def _deltas(
    structure: Structure, weight: Array, cell: Codes, shares: Array, shape: tuple[int, int], n: int
) -> tuple[float, float]:
    """Give the sum of the generalised design effects of a table and the sum of their squares.

    They are the eigenvalues of (C' D^-1 C / n)^-1 (C' D^-1 V D^-1 C), where C spans the interaction, D holds the shares
    of the cells and V is their covariance (Rao and Scott 1984, section 3).
    """
    contrasts = np.kron(_contrasts(shape[0]), _contrasts(shape[1]))
    with np.errstate(divide="ignore"):
        inverse = np.where(shares > 0, 1 / shares, 0.0)
    slopes = contrasts * inverse[:, None]
    # The influence of a share is (1[cell] - share) / W, so that of a contrast is a look-up by cell.
    lookup = (slopes - shares @ slopes) / weight.sum()
    scores = [weight * lookup[cell, place] for place in range(slopes.shape[1])]
    plain = contrasts.T @ slopes / n
    try:
        delta = np.linalg.solve(plain, _covariance(structure, scores))
    except np.linalg.LinAlgError:
        return math.nan, math.nan
    return float(np.trace(delta)), float(np.trace(delta @ delta))


def _contrasts(classes: int) -> Array:
    """Give contrasts between classes that are orthogonal to the constant: one column fewer than classes."""
    return np.asarray(np.eye(classes)[:, 1:] - 1 / classes, np.float64)


def _covariance(structure: Structure, scores: Sequence[Array]) -> Array:
    """Give the covariance of totals from the variances of their sums: 2 cov = V(a + b) - V(a) - V(b)."""
    own = [structure.variance(one) for one in scores]
    found = np.diag(own)
    for one, other in combinations(range(len(scores)), 2):
        both = structure.variance(scores[one] + scores[other])
        found[one, other] = found[other, one] = (both - own[one] - own[other]) / 2
    return found


def _walds(
    sample: Sample, parts: Sequence[npt.NDArray[np.bool_]], said: Sequence[Sequence[Statistic]], free: float
) -> Iterator[Test]:
    by_key = [{(one.name, *one.labels.items()): one for one in statistics} for statistics in said]
    for first in said[0]:
        key = (first.name, *first.labels.items())
        if not all(key in statistics for statistics in by_key):
            continue
        group = [statistics[key] for statistics in by_key]
        if not all(one.known and one.inverse is None and math.isfinite(one.quantity.value) for one in group):
            continue
        scores = [_scores(sample, rows, one.quantity) for rows, one in zip(parts, group, strict=True)]
        values = np.array([one.quantity.value for one in group])
        off = np.hstack([-np.ones((len(values) - 1, 1)), np.eye(len(values) - 1)])
        spread = off @ _covariance(sample.structure, scores) @ off.T
        k = len(values) - 1
        f = _wald(off @ values, spread)
        n = sum(
            one.n if one.n is not None else int((sample.weight[r] > 0).sum())
            for r, one in zip(parts, group, strict=True)
        )
        counted = sum(
            one.weighted_n if one.weighted_n is not None else float(sample.weight[r].sum())
            for r, one in zip(parts, group, strict=True)
        )
        yield Test(
            "wald_f", f, float(k), free, _f_tail(f, k, free), n, counted, None, {**first.labels, "of": first.name}
        )


def _scores(sample: Sample, rows: npt.NDArray[np.bool_], quantity: Quantity) -> Array:
    scores = np.zeros(len(sample))
    scores[rows] = sample.weight[rows] * quantity.influence()
    return scores


def _wald(off: Array, spread: Array) -> float:
    """Give d' V^-1 d / k; NaN where the differences have no error of their own."""
    if not np.isfinite(spread).all():
        return math.nan
    try:
        f = float(off @ np.linalg.solve(spread, off)) / len(off)
    except np.linalg.LinAlgError:
        return math.nan
    return f if f >= 0 and math.isfinite(f) else math.nan


def _chi2_tail(value: float, df: float) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(df, value))


def _f_tail(value: float, above: float, below: float) -> float:
    from scipy.special import fdtrc

    if not (math.isfinite(value) and above > 0 and below > 0):
        return math.nan
    return float(fdtrc(above, below, value))
