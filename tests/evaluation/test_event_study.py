"""Event studies: against fixest, and what they say of earlier trends and of other trends."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from evaluation_cases import expected, table
from staggered_panels import COLUMNS, made

from medfloor.errors import UsageError
from medfloor.evaluation.event_study import event_study
from medfloor.evaluation.honest import sensitivity

CITY: dict[str, Any] = {**COLUMNS, "cluster": "city"}


def test_effects_by_wave_and_the_test_of_earlier_waves_are_those_of_fixest() -> None:
    want = expected("04_base_did_event_study")
    panel = table("04_base_did_event_study").with_columns(start=pl.when(pl.col("treat") == 1).then(6))
    fit = event_study(panel, outcome="y", start="start", unit="id", time="period", covariates=["x1"], honest=False)
    for name, numbers in want["event_study"].items():
        one = fit.pick("x1") if name == "x1" else fit.pick("event", at=float(name.split(":")[2]) - 6)
        # The README of the cases: 1e-9 or better.
        assert one.estimate == pytest.approx(numbers["estimate"], rel=1e-9)
        assert one.se == pytest.approx(numbers["se"], rel=1e-9)
    test = want["pretrend_joint_wald"]
    assert fit.facts["pretrend_f"] == pytest.approx(test["F"], rel=1e-9)
    assert fit.facts["pretrend_p"] == pytest.approx(test["p"], rel=1e-9)
    assert (fit.facts["pretrend_df1"], fit.facts["pretrend_df2"]) == (test["df1"], test["df2"])
    assert fit.facts["rows"] == want["n"]


@pytest.mark.parametrize("estimator", ["sun_abraham", "callaway_santanna"])
def test_estimators_made_for_staggered_starts_find_a_growing_effect(estimator: Any) -> None:
    panel = made(missing=0, growth=0.5).with_columns(y=pl.col("effect") + pl.col("wave") / 10 + pl.col("y") / 1e6)
    fit = event_study(panel, **CITY, estimator=estimator, honest=False)
    for at in (0.0, 1.0, 2.0):
        # The noise is a millionth of the effect.
        assert fit.value("event", at=at) == pytest.approx(1 + 0.5 * at, abs=1e-4)
    assert -1.0 not in fit.rows["at"].to_list()
    assert "event_study.mixed" not in {one.key for one in fit.not_shown}


def test_one_regression_says_that_it_mixes_waves() -> None:
    fit = event_study(made(), **CITY, honest=False)
    assert "event_study.mixed" in {one.key for one in fit.not_shown}


def test_ends_are_pooled() -> None:
    fit = event_study(made(), **CITY, window=(-2, 1), honest=False)
    assert fit.rows.filter(pl.col("term") == "event")["at"].to_list() == [-2.0, 0.0, 1.0]
    assert "event_study.pooled" in {one.key for one in fit.notes}


def test_other_trends_before_the_start_are_found_and_warned_of() -> None:
    drifting = made().with_columns(y=pl.col("y") + pl.col("start").is_not_null() * (pl.col("wave") - 2010) * 0.5)
    fit = event_study(drifting, **CITY, honest=False)
    assert fit.facts["pretrend_p"] < 0.01  # type: ignore[operator]
    assert "event_study.rejected" in {one.key for one in fit.warnings}


def test_the_more_other_trends_are_allowed_the_wider_the_interval() -> None:
    fit = event_study(made(), **CITY)
    for kind in ("relative", "smooth"):
        rows = fit.tables["sensitivity"].filter(pl.col("restriction") == kind).sort("m")
        width = (rows["high"] - rows["low"]).to_numpy()
        assert (np.diff(width) > 0).all()
    # Without any other trend the interval under relative magnitudes is the usual one, from the normal.
    first, after = fit.tables["sensitivity"].row(0, named=True), fit.pick("after_mean")
    assert first["low"] == pytest.approx(after.estimate - 1.959964 * after.se, rel=1e-6)
    assert {"breakdown_relative", "breakdown_smooth"} <= fit.facts.keys()
    for lang in ("zh", "en"):
        assert fit.text(lang)


def test_the_breakdown_value_is_where_the_interval_meets_zero() -> None:
    at, beta = (-3, -2, 0, 1), np.array([0.5, 0.25, 1.0, 1.2])
    vcov = np.eye(4) * 0.01 + 0.005
    found = sensitivity(at, beta, vcov, 0.95)
    assert found is not None and found.relative is not None
    after = np.array([0, 0, 0.5, 0.5])
    lower = after @ beta - 1.959964 * np.sqrt(after @ vcov @ after)
    # The largest step before is 0.25, from -3 to -2 as from -2 to -1; after one wave trends may be off by M times it, after
    # two by twice that, in the mean by 1.5 times. The value is sought to 2 %.
    assert found.relative == pytest.approx(lower / (1.5 * 0.25), rel=0.02)
    bigger = sensitivity(at, 1000 * beta, 1000**2 * vcov, 0.95)
    assert bigger is not None and bigger.relative == pytest.approx(found.relative)
    assert bigger.smooth == pytest.approx(1000 * (found.smooth or 0))


def test_without_earlier_waves_there_is_no_test_and_no_sensitivity() -> None:
    panel = made().filter(pl.col("wave") >= 2012).filter((pl.col("start") == 2014) | pl.col("start").is_null())
    fit = event_study(panel, **CITY)
    assert "pretrend_p" not in fit.facts and not fit.tables
    assert "event_study.no_sensitivity" in {one.key for one in fit.notes}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"estimator": "magic"}, "unknown_estimator"),
        ({"control": "all"}, "unknown_estimator"),
        ({"window": (-1, 2)}, "bad_window"),
        ({"window": (-2, 2), "estimator": "sun_abraham"}, "bad_window"),
        ({"outcome": "one"}, "no_variation"),
        ({"cluster": "one", "estimator": "callaway_santanna"}, "one_cluster"),
        ({"start": "same"}, "not_estimable"),
        ({"start": "same", "estimator": "sun_abraham"}, "no_never_treated"),
    ],
)
def test_misuse_is_refused(asked: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as refused:
        event_study(made().with_columns(one=pl.lit(1), same=pl.lit(2014)), **CITY | asked)
    assert refused.value.code == code


@pytest.mark.parametrize("estimator", ["event_study", "callaway_santanna"])
def test_an_outcome_made_from_the_policy_is_estimated_without_a_test(estimator: Any) -> None:
    panel = made().with_columns(y=pl.col("covered").cast(float))
    fit = event_study(panel, **CITY, estimator=estimator, honest=False)
    assert fit.value("after_mean") == pytest.approx(1, abs=1e-9)  # rounding alone


def test_without_anybody_never_treated_the_ends_must_be_pooled() -> None:
    panel = made().filter(pl.col("start").is_not_null())
    with pytest.raises(UsageError, match="window"):
        event_study(panel, **CITY, honest=False)
    assert event_study(panel, **CITY, honest=False, window=(-3, 1)).rows.height > 3


@pytest.mark.parametrize("estimator", ["event_study", "sun_abraham"])
def test_weights_that_leave_no_wave_under_the_policy_are_refused(estimator: Any) -> None:
    panel = made().with_columns(w=1.0 - pl.col("covered"))
    with pytest.raises(UsageError) as refused:
        event_study(panel, **CITY, weight="w", estimator=estimator, honest=False)
    assert refused.value.code == "not_estimable"
