"""Train on the years before, judge on the last one, and take boosted trees only where they are better at both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.watch.features import panel
from medfloor.watch.homes import Register
from medfloor.watch.judging import Judged, Order, calibration_error, judge, resamples, tenths
from medfloor.watch.profile import profile_of
from medfloor.watch.reason_codes import line_at
from medfloor.watch.risk import KINDS, Kind, Model, fit
from medfloor.watch.rules import Rules

Array = npt.NDArray[np.float64]
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Adoption:
    """Be the rule by which boosted trees are adopted in place of logistic regression.

    Out of time, both must be better: average precision by more than `precision`, and the calibration error (mean gap
    over tenths) by more than `calibration`; each with the lower end of the paired bootstrap's interval of this `level`
    over `draws` draws of households. The margins are ours: a model that people can read is given up for no less.
    """

    precision: float = 0.0
    calibration: float = 0.0
    level: float = 0.95
    draws: int = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """Be which kind was taken and why: the differences (boosting less logistic, more is better) with intervals.

    `year` is that of the features it was chosen on. `apart` says that this is not the judged year; with too few years
    it is, and the judgement of the chosen kind is a little too kind.
    """

    kind: str
    year: int
    apart: bool
    precision: tuple[float, float, float]
    calibration: tuple[float, float, float]
    adoption: Adoption

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {**asdict(self), "precision": list(self.precision), "calibration": list(self.calibration)}


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """Be a trained model with its judgement: scores (household_id, probability, and other orders) of the judged year.

    `panel` are all rows with features and outcomes; `choice` is None where the kind was asked for.
    """

    model: Model
    judged: Judged
    choice: Choice | None
    scores: pl.DataFrame
    panel: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Target:
    """Be what is foretold: catastrophic spending by a definition and threshold, or a fall under the line, or both."""

    target: str = "both"
    definition: str = "who"
    threshold: float = 0.40
    income_lag: int = 0
    place: str = "cn"


_TARGET = Target()
_ADOPTION = Adoption()


def train(
    register: Register,
    settlements: pl.DataFrame,
    rules: Callable[[date], Rules],
    *,
    first: int,
    last: int,
    capacity: int,
    kind: str = AUTO,
    target: Target = _TARGET,
    adoption: Adoption = _ADOPTION,
    draws: int = 200,
    seed: int = 0,
    synthetic: bool = False,
) -> Trained:
    """Train on what befell households up to the year before the `last`, and judge on what befell them in the last.

    Features of a year stand beside what befell in the next; the first features are those of `first`. The kind `auto`
    takes logistic regression unless boosted trees are better by the rule of `adoption`, on the last training year,
    which neither of the two compared was trained on; with only one training year, on the judged one. `rules` gives the
    rules in force on a day. The official rule, the order of
    who is nearest above the line, and the other kind of model are judged beside it.

    Raises UsageError bad_years (fewer than three), bad_choice, bad_capacity; InputError missing_column where households
    do not say of which year a row is (the years before would see a later income), no_settlements for a year without
    any (nobody would have fallen in it); what `panel`, `fit` and `judge` raise.
    """
    if last - first < 2:
        raise UsageError(
            "bad_years",
            f"{first}-{last}: one year to train on, one to judge on and the one after are three at least; give "
            f"--years {last - 2}-{last}, or longer",
        )
    if kind not in (AUTO, *KINDS):
        raise UsageError("bad_choice", f"there is no kind of model {kind!r}; use {AUTO}, {' or '.join(KINDS)}")
    _check_years(register, settlements, first, last)
    rows = panel(
        register, settlements, rules, years=range(first, last), definition=target.definition,
        threshold=target.threshold, target=target.target, income_lag=target.income_lag,
    )  # fmt: skip
    return train_on(
        rows, capacity=capacity, kind=kind, target=target, adoption=adoption, draws=draws, seed=seed,
        synthetic=synthetic,
    )  # fmt: skip


def train_on(
    rows: pl.DataFrame,
    *,
    capacity: int,
    kind: str = AUTO,
    target: Target = _TARGET,
    adoption: Adoption = _ADOPTION,
    draws: int = 200,
    seed: int = 0,
    synthetic: bool = False,
) -> Trained:
    """Do what `train` does with a panel that is made already: its last year is judged, all before it are trained on."""
    years = rows["year"].unique().sort().to_list()
    if len(years) < 2:
        raise InputError("no_rows", "fewer than two years have known outcomes; give more years, or fuller tables")
    judged_year, before = years[-1], years[:-1]
    past, now = rows.filter(pl.col("year") < judged_year), rows.filter(pl.col("year") == judged_year)
    models: dict[str, Model] = {name: fit(past, kind=name, seed=seed) for name in _kinds()}
    choice = None
    if kind == AUTO:
        apart = len(before) > 1
        earlier = past.filter(pl.col("year") < before[-1])
        rivals: dict[str, Model] = models
        if apart:
            rivals = {name: fit(earlier, kind=name, seed=seed) for name in _kinds()}
        choice = chosen(rivals, past.filter(pl.col("year") == before[-1]) if apart else now, adoption, seed, apart)
        kind = choice.kind
    other = next(name for name in KINDS if name != kind)
    left = pl.col("left_ratio")
    # Who is under the line already comes after those above it, who can still fall.
    near = pl.when(left >= 1).then(-left).otherwise(left - 1_000)
    scores = now.select(
        "household_id", pl.Series("probability", models[kind].score(now)), pl.col("rule_score").alias("rule"),
        near.alias("near"), pl.Series(other, models[other].score(now)),
    )  # fmt: skip
    judged = judge(scores, now, capacity=capacity, slices=slices_of(now), as_of=now["as_of"][0], draws=draws, seed=seed)
    # What later years are held against, to see whether they have drifted (`medfloor.watch.drift`).
    chances = models[kind].score(now)
    line = line_at(chances, max(1, judged.visited))
    profile = profile_of(now, chances, line=line, inputs=models[kind].features, by="township")
    model = replace(
        models[kind], target=asdict(target), judged_year=judged_year, synthetic=synthetic,
        judged=judged.to_dict() | {"profile": profile.to_dict()},
        chosen=choice.to_dict() if choice else {"kind": kind, "asked": True},
    )  # fmt: skip
    return Trained(model, judged, choice, scores, rows)


def chosen(rivals: Mapping[str, Model], rows: pl.DataFrame, adoption: Adoption, seed: int, apart: bool) -> Choice:
    """Compare boosted trees with logistic regression on rows that neither was trained on, and take one by the rule."""
    fell = rows["fell"].cast(pl.Float64).to_numpy().astype(np.float64)
    if not 0 < fell.sum() < len(fell):
        raise InputError(
            "one_outcome", "in the year that is compared on, nobody fell or everybody did; give more years"
        )
    sides = [_Side.of(rivals[name].score(rows), fell) for name in ("boosting", "logistic")]
    ones = np.ones(len(fell))
    value = _difference(sides, ones, fell)
    drawn = []
    for weight in resamples(len(fell), adoption.draws, seed):
        if 0 < float(weight @ fell) < len(fell):
            drawn.append(_difference(sides, weight, fell))
    tail = (1 - adoption.level) / 2
    low, high = np.quantile(np.asarray(drawn), [tail, 1 - tail], axis=0) if drawn else (value, value)
    taken = bool(low[0] > adoption.precision and low[1] > adoption.calibration)
    return Choice(
        "boosting" if taken else "logistic", int(rows["year"][0]), apart,
        (value[0], float(low[0]), float(high[0])), (value[1], float(low[1]), float(high[1])), adoption,
    )  # fmt: skip


def slices_of(features: pl.DataFrame) -> pl.DataFrame:
    """Give the groups that a judgement is shown for: residence, age of the oldest, status, township.

    >>> rows = {"household_id": ["h"], "residence": ["rural"], "oldest": [70.0], "status": ["none"], "township": ["a"]}
    >>> slices_of(pl.DataFrame(rows)).row(0)
    ('h', 'rural', '65+', 'none', 'a')
    """
    oldest = pl.col("oldest")
    age = (
        pl.when(oldest < 45).then(pl.lit("0-44")).when(oldest < 65).then(pl.lit("45-64")).when(oldest >= 65)
        .then(pl.lit("65+"))
    )  # fmt: skip
    return features.select("household_id", "residence", age.alias("age"), "status", "township")


def _check_years(register: Register, settlements: pl.DataFrame, first: int, last: int) -> None:
    if "wave" not in register.households.columns:
        raise InputError(
            "missing_column",
            "households has no column wave, the year of each row; without it the features of a year would be worked "
            "out with what is known only later",
        )
    there = set(settlements["benefit_year"].drop_nulls().to_list())
    empty = [str(year) for year in range(first, last + 1) if year not in there]
    if empty:
        raise InputError(
            "no_settlements",
            f"there is no settlement of {', '.join(empty)}; give the file of each year from {first} to {last}, or "
            "other years",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    chance: Array
    order: Order
    part: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def of(cls, chance: Array, fell: Array) -> _Side:
        return cls(chance, Order.of(chance, fell), tenths(chance))


def _kinds() -> tuple[Kind, ...]:
    return ("logistic", "boosting")


def _difference(sides: list[_Side], weight: Array, fell: Array) -> tuple[float, float]:
    """Give by how much the first is better: in average precision, and in calibration error."""
    found = [
        (one.order.with_weights(weight, fell).average_precision(),
         calibration_error(one.chance, fell, weight, one.part))
        for one in sides
    ]  # fmt: skip
    return found[0][0] - found[1][0], found[1][1] - found[0][1]
