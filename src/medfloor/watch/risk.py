"""Say how likely a household is to fall next year: readable by default, saved as plain JSON, scored in plain numpy.

There is no weighting of classes, on purpose: giving the rare households more weight left their order as it was and
turned a mean probability of .036 into .24; a probability that is not one cannot be held against a capacity.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor import __version__
from medfloor.errors import InputError, UsageError
from medfloor.watch.features import FEATURES
from medfloor.watch.splines import basis, curve
from medfloor.watch.trees import Tree

Array = npt.NDArray[np.float64]
Kind = Literal["logistic", "boosting"]
KINDS = ("logistic", "boosting")
FORM = "medfloor-risk-1"
"""Which form of file it is; one that is not known is refused."""

_ROWS = 100_000
_CHUNK = 8_192
_PARTS = 10


@dataclass(frozen=True, slots=True)
class Term:
    """Be what one feature adds to the log odds: a spline or a straight line over its scale, and a number for missing.

    With two or more `knots`, `coefficients` are those of B-splines of the `degree` (`medfloor.watch.splines`); without,
    the one coefficient is that of the value itself. `missing` is added where the value is not known. `mean` is the mean
    of all that over the training rows: contributions are told as the distance from it.
    """

    feature: str
    scale: str
    degree: int
    knots: tuple[float, ...]
    coefficients: tuple[float, ...]
    missing: float
    mean: float

    def __call__(self, values: Array) -> Array:
        """Give what it adds for each value; missing is NaN."""
        known = ~np.isnan(values)
        found = np.full(len(values), self.missing)
        scaled = scaled_by(self.scale, values[known])
        if self.knots:
            found[known] = curve(scaled, self.knots, self.degree, self.coefficients)
        else:
            found[known] = scaled * self.coefficients[0]
        return found


@dataclass(frozen=True, slots=True)
class Bins:
    """Be how the training rows lay over a feature: edges, the share of rows in each bin, and of missing ones.

    A bin holds values above its lower and up to its upper edge; the first and the last have no end, so that there is
    one share more than edges.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    missing: float


@dataclass(frozen=True, slots=True)
class Model:
    """Be a trained model: everything that is needed to score, to explain, to judge its drift, and to say what it is.

    `kind` logistic has `terms`, boosting has `trees`; log odds are `intercept` and what those add. `features` are the
    columns that it reads (`medfloor.watch.features.FEATURES`), `target` says what it foretells (target, definition,
    threshold, place), `years` the years of the features it was trained on, `judged_year` the year of the features it
    was judged on. `rows` and `fell` count the training rows, `settings` how it was fitted, `bins` how each feature lay,
    `baseline` the mean probability over the training rows. `judged` are the figures of the judgement, `chosen` why this
    kind. `data` is a hash of the training rows; `synthetic` says that they were made up.
    """

    kind: str
    features: tuple[str, ...]
    intercept: float
    terms: tuple[Term, ...] = ()
    trees: tuple[Tree, ...] = ()
    target: Mapping[str, Any] = field(default_factory=dict)
    years: tuple[int, ...] = ()
    judged_year: int | None = None
    rows: int = 0
    fell: int = 0
    baseline: float = 0.0
    bins: Mapping[str, Bins] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    judged: Mapping[str, Any] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    synthetic: bool = False
    version: str = __version__

    def score(self, features: pl.DataFrame) -> Array:
        """Give each row its probability. Raises InputError missing_column."""
        return _probability(self.log_odds(features))

    def log_odds(self, features: pl.DataFrame) -> Array:
        """Give each row its log odds, without adding up what no reason code needs."""
        found = []
        for rows in _batches(features, self.features):
            total = np.full(len(rows), self.intercept)
            for place, term in enumerate(self.terms):
                total += term(rows[:, place])
            for tree in self.trees:
                tree.add(rows, total)
            found.append(total)
        return np.concatenate(found) if found else np.empty(0)

    def parts(self, features: pl.DataFrame) -> Array:
        """Give what each feature adds to the log odds, from the training rows' mean on: one column a feature.

        A row's parts and `base` add up to its log odds.
        """
        found = []
        for rows in _batches(features, self.features):
            part = np.zeros((len(rows), len(self.features)))
            for place, term in enumerate(self.terms):
                part[:, place] = term(rows[:, place]) - term.mean
            unused = np.zeros(len(rows))
            for tree in self.trees:
                tree.add(rows, unused, part)
            found.append(part)
        return np.concatenate(found) if found else np.empty((0, len(self.features)))

    @property
    def base(self) -> float:
        """Give the log odds that contributions are measured from: those of the training rows' mean."""
        return self.intercept + sum(term.mean for term in self.terms) + sum(float(t.value[0]) for t in self.trees)

    def contributions(self, features: pl.DataFrame) -> pl.DataFrame:
        """Give one row a household and feature: household_id, feature, value (null where missing), contribution.

        Contributions are in log odds and positive where the feature raises the risk.
        """
        parts = self.parts(features)
        rows = features.height
        values = pl.concat([features[name].cast(pl.Float64).rename("value") for name in self.features])
        return pl.DataFrame(
            {
                "household_id": pl.concat([features["household_id"]] * len(self.features)),
                "feature": pl.Series(np.repeat(np.asarray(self.features), rows), dtype=pl.String),
                "value": values.fill_nan(None),
                "contribution": parts.T.reshape(-1),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON, with the hash that tells whether the file was changed."""
        said = self._said()
        return {**said, "hash": hash_of(said)}

    @property
    def hash(self) -> str:
        """Give the hash of all that it says."""
        return hash_of(self._said())

    def _said(self) -> dict[str, Any]:
        return {
            "form": FORM,
            **{name: getattr(self, name) for name in ("version", "kind", "synthetic", "judged_year", *_PLAIN)},
            **{name: dict(getattr(self, name)) for name in ("target", "settings", "chosen", "judged")},
            "years": list(self.years),
            "features": list(self.features),
            "terms": [
                {"feature": one.feature, "scale": one.scale, "degree": one.degree, "knots": list(one.knots),
                 "coefficients": list(one.coefficients), "missing": one.missing, "mean": one.mean}
                for one in self.terms
            ],
            "trees": [one.to_dict() for one in self.trees],
            "bins": {
                name: {"edges": list(one.edges), "shares": list(one.shares), "missing": one.missing}
                for name, one in self.bins.items()
            },
        }  # fmt: skip


_PLAIN = ("intercept", "rows", "fell", "baseline", "data")


def fit(
    panel: pl.DataFrame,
    *,
    kind: Kind = "logistic",
    features: Sequence[str] | None = None,
    seed: int = 0,
    knots: int = 4,
    degree: int = 3,
    strength: float = 1.0,
    trees: int = 150,
    leaves: int = 6,
    rate: float = 0.05,
    least: int = 100,
) -> Model:
    """Fit a model to a panel of `medfloor.watch.features.panel`: columns of features, and `fell`.

    logistic: each amount on a log scale and each count on its own, as splines of a `degree` over `knots` at the
    quantiles, with a column of its own for missing values, and a penalty of 1 / `strength` (scikit-learn's C).
    boosting: `trees` trees of `leaves` leaves with at least `least` rows, at a learning rate, never falling where
    `Feature.sign` says that risk rises. Features that are the same in all rows are left out. The same seed gives the
    same model.

    Raises UsageError bad_choice; InputError missing_column, one_outcome (nobody fell, or all did).
    """
    if kind not in KINDS:
        raise UsageError("bad_choice", f"there is no kind of model {kind!r}; use {' or '.join(KINDS)}")
    names = [name for name in (features or FEATURES) if name in panel.columns]
    if not names or "fell" not in panel.columns:
        lacking = "fell" if names else "of features"
        raise InputError("missing_column", f"the panel has no column {lacking}; make it with watch.features.panel")
    matrix = np.concatenate([*_batches(panel, names), np.empty((0, len(names)))])
    fell = panel["fell"].cast(pl.Float64).to_numpy().astype(np.float64)
    count = int(fell.sum())
    if not 0 < count < len(fell):
        raise InputError(
            "one_outcome",
            f"of {len(fell):,} households {count:,} fell; a model needs some that did and some that did not",
        )
    moving = [place for place, name in enumerate(names) if _moves(matrix[:, place])]
    names, matrix = [names[place] for place in moving], matrix[:, moving]
    settings: dict[str, Any]
    if kind == "logistic":
        settings = {"knots": knots, "degree": degree, "strength": strength}
        model = _logistic(names, matrix, fell, **settings)
    else:
        settings = {"trees": trees, "leaves": leaves, "rate": rate, "least": least, "seed": seed}
        model = _boosting(names, matrix, fell, **settings)
    model = replace(
        model,
        rows=len(fell),
        fell=count,
        settings=settings,
        bins={name: _bins(matrix[:, place]) for place, name in enumerate(names)},
        data=_data_hash(panel, names),
        years=tuple(sorted(panel["year"].unique().to_list())) if "year" in panel.columns else (),
    )
    return replace(model, baseline=float(model.score(panel).mean()))


def model_of(said: Any) -> Model:
    """Make a model of what `to_dict` gave.

    Raises InputError bad_model (no model of this form), changed_model (the hash is not that of what it says).
    """
    if not isinstance(said, Mapping) or said.get("form") != FORM:
        raise InputError("bad_model", f"this is no model of medfloor ({FORM}); give what medfloor watch train wrote")
    if hash_of({name: value for name, value in said.items() if name != "hash"}) != said.get("hash"):
        raise InputError(
            "changed_model", "the model was changed after it was trained: its hash is another; take the file as written"
        )
    same = ("version", "kind", "synthetic", "judged_year", *_PLAIN, "target", "settings", "chosen", "judged")
    try:
        return Model(
            **{name: said[name] for name in same},
            features=tuple(said["features"]),
            years=tuple(said["years"]),
            terms=tuple(
                Term(**{**one, "knots": tuple(one["knots"]), "coefficients": tuple(one["coefficients"])})
                for one in said["terms"]
            ),
            trees=tuple(Tree.from_dict(one) for one in said["trees"]),
            bins={
                name: Bins(tuple(one["edges"]), tuple(one["shares"]), one["missing"])
                for name, one in said["bins"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("bad_model", f"the model lacks something that it needs ({error}); train it anew") from None


def hash_of(said: Mapping[str, Any]) -> str:
    """Give the SHA-256 of a record as JSON in one fixed form.

    >>> hash_of({"b": 1, "a": 2}) == hash_of({"a": 2, "b": 1})
    True
    """
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def scaled_by(scale: str, values: Array) -> Array:
    """Put values on the scale of a feature: log of yuan keeps the sign, and leaves zero at zero.

    >>> scaled_by("log", np.array([-1.0, 0.0, 1.0])).round(3).tolist()
    [-0.693, 0.0, 0.693]
    """
    return np.sign(values) * np.log1p(np.abs(values)) if scale == "log" else values


def _batches(frame: pl.DataFrame, names: Sequence[str]) -> list[Array]:
    """Give the features as doubles, missing as NaN, some rows at a time, so that a province fits into memory."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError("missing_column", f"there is no column {missing[0]}; give the features of watch.features")
    picked = frame.select(pl.col(name).cast(pl.Float64).fill_null(math.nan) for name in names)
    return [part.to_numpy().astype(np.float64, copy=False) for part in picked.iter_slices(_ROWS)]


def _probability(log_odds: Array) -> Array:
    """Turn log odds into probabilities, without overflow on either side."""
    small = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


def _moves(values: Array) -> bool:
    known = values[~np.isnan(values)]
    return len(known) > 0 and bool(known.min() < known.max() or len(known) < len(values))


def _logistic(names: Sequence[str], matrix: Array, fell: Array, *, knots: int, degree: int, strength: float) -> Model:
    blocks: list[Array] = []
    shapes: list[tuple[tuple[float, ...], bool]] = []
    for place, name in enumerate(names):
        values = matrix[:, place]
        known = ~np.isnan(values)
        scaled = scaled_by(FEATURES[name].scale, values[known])
        at = _knots(FEATURES[name].scale, scaled, knots)
        block = basis(scaled, at, degree) if at else scaled[:, None]
        full = np.zeros((len(values), block.shape[1]))
        full[known] = block
        lacking = not known.all()
        blocks += [full, (~known).astype(np.float64)[:, None]] if lacking else [full]
        shapes.append((at, lacking))
    design = np.concatenate(blocks, axis=1)
    with _one_thread("blas"):
        intercept, weights = penalised(design, fell, strength)
    terms, start = [], 0
    for place, (name, (at, lacking)) in enumerate(zip(names, shapes, strict=True)):
        width = len(at) + degree - 2 if at else 1
        own = tuple(float(one) for one in weights[start : start + width])
        start += width + lacking
        term = Term(name, FEATURES[name].scale, degree, at, own, 0.0, 0.0)
        known = ~np.isnan(matrix[:, place])
        # Where nothing was missing in training, a value that is missing later counts as the mean: it says nothing.
        unknown = float(weights[start - 1]) if lacking else float(term(matrix[known, place]).mean())
        term = replace(term, missing=unknown)
        terms.append(replace(term, mean=float(term(matrix[:, place]).mean())))
    return Model("logistic", tuple(names), intercept, terms=tuple(terms))


def penalised(design: Array, fell: Array, strength: float, *, most: int = 100) -> tuple[float, Array]:
    """Find the intercept and the weights of a logistic regression with a penalty on the weights, by Newton's method.

    The least of strength x (minus the log likelihood) + half the sum of squared weights: the same as scikit-learn's
    LogisticRegression(C=strength), some five times as fast on many rows and few columns. Steps are halved while they
    make it worse.

    >>> b, w = penalised(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0.0, 1.0, 1.0, 1.0]), 1.0)
    >>> round(b, 6), w.round(6).tolist()
    (0.898984, [0.421482])
    """
    width = design.shape[1]
    beta = np.zeros(width + 1)
    share = fell.mean()
    beta[0] = math.log(share / (1 - share))
    ridge = np.full(width + 1, 1.0)
    ridge[0] = 0.0
    loss = _loss(design, fell, beta, strength)
    for _ in range(most):
        gradient, hessian = np.zeros(width + 1), np.zeros((width + 1, width + 1))
        for start in range(0, len(fell), _CHUNK):
            rows = design[start : start + _CHUNK]
            chance = _probability(rows @ beta[1:] + beta[0])
            miss, weight = chance - fell[start : start + _CHUNK], chance * (1 - chance)
            gradient[0] += miss.sum()
            gradient[1:] += miss @ rows
            weighed = rows * weight[:, None]
            hessian[0, 0] += weight.sum()
            hessian[0, 1:] += weighed.sum(axis=0)
            hessian[1:, 1:] += rows.T @ weighed
        hessian[1:, 0] = hessian[0, 1:]
        step = np.linalg.solve(strength * hessian + np.diag(ridge), strength * gradient + ridge * beta)
        size = 1.0
        while (new := _loss(design, fell, beta - size * step, strength)) > loss + 1e-12 * abs(loss) and size > 1e-6:
            size /= 2
        beta = beta - size * step
        done, loss = abs(loss - new) <= 1e-13 * max(1.0, abs(loss)), new
        if done and float(np.abs(step).max()) < 1e-7:
            break
    return float(beta[0]), beta[1:]


def _loss(design: Array, fell: Array, beta: Array, strength: float) -> float:
    odds = design @ beta[1:] + beta[0]
    return float(strength * (np.logaddexp(0.0, odds) - fell * odds).sum() + 0.5 * beta[1:] @ beta[1:])


def _knots(scale: str, scaled: Array, count: int) -> tuple[float, ...]:
    """Put knots at quantiles of the values that are not zero, from the least to the largest of all.

    Most households pay nothing, and quantiles of all values would fall together there. A feature with fewer than four
    distinct values is a straight line.
    """
    if scale == "flag" or len(scaled) == 0 or len(np.unique(scaled[:10_000])) < 4:
        return ()
    some = scaled[scaled != 0]
    inner = np.quantile(some, np.linspace(0, 1, count)[1:-1]) if len(some) else np.empty(0)
    found = np.unique(np.concatenate([[scaled.min()], inner, [scaled.max()]]))
    # Knots that nearly fall together make a spline that nothing holds.
    apart = (found[-1] - found[0]) * 1e-3
    kept = [float(found[0])]
    for one in found[1:-1]:
        if one - kept[-1] > apart and found[-1] - one > apart:
            kept.append(float(one))
    return (*kept, float(found[-1]))


def _one_thread(of: Literal["blas", "openmp"]) -> AbstractContextManager[Any]:
    """Let one thread of a library add up for a while.

    Threads that wait for each other on a busy machine take ten times as long, and sums depend on their number: the same
    rows would give another model, by its last bits and its hash, on a machine with more processors.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api=of)
    return limits


def _boosting(
    names: Sequence[str], matrix: Array, fell: Array, *, trees: int, leaves: int, rate: float, least: int, seed: int
) -> Model:
    from sklearn.ensemble import HistGradientBoostingClassifier

    made = HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=leaves, learning_rate=rate, min_samples_leaf=least, l2_regularization=1.0,
        monotonic_cst=[FEATURES[name].sign for name in names], early_stopping=False, random_state=seed,
    )  # fmt: skip
    with _one_thread("openmp"):
        found = made.fit(matrix, fell)
    tables = tuple(Tree.of(stage[0].nodes) for stage in found._predictors)
    return Model("boosting", tuple(names), float(np.ravel(found._baseline_prediction)[0]), trees=tables)


def _bins(values: Array) -> Bins:
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _PARTS + 1)[1:-1])) if len(known) else np.empty(0)
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    total = max(1, len(values))
    return Bins(
        tuple(float(one) for one in edges),
        tuple(float(one) / total for one in counts),
        (len(values) - len(known)) / total,
    )


def _data_hash(panel: pl.DataFrame, names: Sequence[str]) -> str:
    """Hash the training rows, whatever their order."""
    keys = [name for name in ("household_id", "year") if name in panel.columns]
    rows = panel.select(*keys, *names, "fell")
    digest = hashlib.sha256(",".join(rows.columns).encode())
    for part in (rows.sort(keys) if keys else rows).iter_slices(_ROWS):
        digest.update(part.write_csv(include_header=False).encode())
    return digest.hexdigest()
