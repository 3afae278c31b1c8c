"""Permuted timing: each permutation is a regression, and a policy without effect is not found more often than said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from staggered_panels import COLUMNS, made

from medfloor.errors import UsageError
from medfloor.evaluation.adoption import adopt
from medfloor.evaluation.placebo import _sums, _warnings, placebo
from medfloor.evaluation.staggered import TwoWay

CITY: dict[str, Any] = {**COLUMNS, "cluster": "city"}


@pytest.mark.parametrize(("weight", "covariates"), [(None, []), ("w", ["x"])])
def test_each_permutation_is_the_regression_with_permuted_starts(weight: str | None, covariates: list[str]) -> None:
    panel = made(cities=12)
    adoption = adopt(panel, **CITY, weight=weight, covariates=covariates)
    sums, starts, _ = _sums(adoption, "city", None)
    cohorts = np.unique(adoption.frame["cohort"].to_numpy())
    cities = adoption.frame["cluster"].unique().sort().to_list()
    rng = np.random.default_rng(1)
    for _ in range(5):
        drawn = rng.permutation(starts)
        begins = dict(zip(cities, cohorts[drawn].tolist(), strict=True))
        frame = adoption.frame.with_columns(cohort=pl.col("cluster").replace_strict(begins)).with_columns(
            treated=((pl.col("cohort") > 0) & (pl.col("period") >= pl.col("cohort"))).cast(pl.Float64)
        )
        other = replace(adoption, sample=replace(adoption.sample, frame=frame))
        assert sums.estimates(drawn[None, :])[0] == pytest.approx(TwoWay.of(other).estimate, rel=1e-9)


def test_the_same_seed_gives_the_same_and_rows_in_any_order_do() -> None:
    one = placebo(made(), **CITY, permutations=200, seed=3)
    two = placebo(made().reverse(), **CITY, permutations=200, seed=3)
    assert one.curves["placebo"]["estimate"].to_list() == pytest.approx(two.curves["placebo"]["estimate"].to_list())
    other = placebo(made(), **CITY, permutations=200, seed=4)
    assert one.curves["placebo"]["estimate"].to_list() != other.curves["placebo"]["estimate"].to_list()
    assert one.facts["permutation_p"] == 1 / 201


def test_p_counts_the_real_assignment_among_the_permutations() -> None:
    fit = placebo(made(), **CITY, permutations=99)
    as_far = (fit.curves["placebo"]["estimate"].abs() >= abs(fit.estimate)).sum()
    assert fit.facts["permutation_p"] == pytest.approx((1 + as_far) / 100)


def test_a_policy_without_effect_is_not_found_more_often_than_said() -> None:
    found = []
    for seed in range(60):
        panel = made(seed=seed, cities=16, homes=1).with_columns(y=pl.col("y") - pl.col("effect"))
        found.append(placebo(panel, **CITY, permutations=99, seed=seed).facts["permutation_p"])
    # Of 60 runs 3 are expected below 5 %; more than 8 would happen in one of 200 cases.
    assert sum(p <= 0.05 for p in found) <= 8  # type: ignore[operator]


def test_within_a_region_starts_stay_in_the_region() -> None:
    # Region is the parity of the city, and starts are laid out so that region 0 has 2014 and 2018 only.
    fit = placebo(made(), **CITY, within="region", permutations=50)
    free = placebo(made(), **CITY, permutations=50)
    assert fit.curves["placebo"]["estimate"].to_list() != free.curves["placebo"]["estimate"].to_list()
    assert "region" in fit.equation.say("en")


@pytest.mark.parametrize(("analytic", "p", "warned"), [(0.01, 0.2, True), (0.01, 0.01, False), (0.2, 0.2, False)])
def test_errors_of_the_regression_that_permutations_contradict_are_warned_of(
    analytic: float, p: float, warned: bool
) -> None:
    assert bool(_warnings(analytic, p)) is warned


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"seed": -1}, "bad_seed"), ({"permutations": 0}, "bad_number"), ({"cluster": "region"}, "start_differs"),
        ({"within": "home"}, "start_differs"),
    ],
)  # fmt: skip
def test_misuse_is_refused(asked: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as refused:
        placebo(made(), **(CITY | asked))
    assert refused.value.code == code
