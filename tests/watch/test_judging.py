"""Judgements against scikit-learn and by hand, and what must never be shown alone."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from medfloor.errors import InputError, UsageError
from medfloor.watch.judging import WEEKS, Order, judge, tenths, wilson


def table(chance: list[float], fell: list[bool]) -> tuple[pl.DataFrame, pl.DataFrame]:
    ids = [f"h{n:05d}" for n in range(len(chance))]
    return (
        pl.DataFrame({"household_id": ids, "probability": chance}, schema_overrides={"probability": pl.Float64}),
        pl.DataFrame({"household_id": ids, "fell": fell}),
    )


def drawn(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    chance = rng.beta(1, 12, rows)
    return chance, rng.random(rows) < chance


cases = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda one: 0 < sum(one) < len(one)),
    )
)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_rankings_are_those_of_scikit_learn(case: tuple[list[float], list[bool]]) -> None:
    chance, fell = case
    order = Order.of(np.asarray(chance), np.asarray(fell, float))
    assert order.average_precision() == pytest.approx(average_precision_score(fell, chance), abs=1e-12)
    assert order.auroc() == pytest.approx(roc_auc_score(fell, chance), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(cases, st.floats(0, 60), st.floats(0, 60))
def test_recall_never_falls_with_more_visits(case: tuple[list[float], list[bool]], one: float, other: float) -> None:
    order = Order.of(np.asarray(case[0]), np.asarray(case[1], float))
    low, high = sorted((one, other))
    assert order.recall(low) <= order.recall(high) + 1e-12
    assert order.recall(len(case[0])) == pytest.approx(1)
    assert order.caught(low) <= low + 1e-9


@settings(max_examples=25, deadline=None)
@given(cases, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(case: tuple[list[float], list[bool]], capacity: int, random) -> None:  # type: ignore[no-untyped-def]
    scores, truth = table(*case)
    mixed = truth.sample(fraction=1, shuffle=True, seed=random.randint(0, 99))
    plain, other = (judge(scores, one, capacity=capacity, draws=2) for one in (truth, mixed))
    assert plain.to_dict() == other.to_dict()


def test_figures_by_hand() -> None:
    # 52 visits in a year, 104 households: the visits reach all of the upper half, where 26 of 30 who fell are.
    chance = [0.8] * 52 + [0.1] * 52
    fell = [n < 26 for n in range(52)] + [n < 4 for n in range(52)]
    scores, truth = table(chance, fell)
    scores = scores.with_columns(pl.lit(1.0).alias("rule"))
    found = judge(scores, truth, capacity=1, draws=50)
    assert found.visited == WEEKS
    assert found["recall"].value == pytest.approx(26 / 30)
    assert found["precision"].value == pytest.approx(0.5)
    assert found["inclusion_error"].value == pytest.approx(0.5)
    assert found["exclusion_error"].value == pytest.approx(4 / 30)
    # A rule that tells nobody apart catches what chance does: half of them.
    assert found["recall_rule"].value == pytest.approx(0.5)
    assert found["gain_rule"].value == pytest.approx(26 / 30 - 0.5)
    assert found["brier"].value == pytest.approx(brier_score_loss(fell, chance))
    assert found["observed_to_expected"].value == pytest.approx(30 / (52 * 0.9))
    assert found["calibration_error"].value == pytest.approx((52 * 0.3 + 52 * abs(0.1 - 4 / 52)) / 104)
    for name in ("recall", "precision", "gain_rule", "average_precision"):
        one = found[name]
        assert one.low <= one.value <= one.high
    assert found.deciles["households"].sum() == 104
    json.dumps(found.to_dict(), allow_nan=False)


def test_right_probabilities_are_found_right_and_wrong_ones_wrong() -> None:
    chance, fell = drawn(30_000)
    right = judge(*table(chance.tolist(), fell.tolist()), capacity=20, draws=20)
    assert right["slope"].low < 1 < right["slope"].high
    assert right["intercept"].low < 0 < right["intercept"].high
    assert right["calibration_error"].value < 0.01
    # Classes weighed against each other: the order stays, the probabilities do not.
    weighed = 10 * chance / (10 * chance + 1 - chance)
    wrong = judge(*table(weighed.tolist(), fell.tolist()), capacity=20, draws=20)
    assert wrong["recall"].value == right["recall"].value
    assert wrong["intercept"].value == pytest.approx(-np.log(10), abs=0.1)
    assert wrong["calibration_error"].value > 0.2
    sharp = chance**2 / (chance**2 + (1 - chance) ** 2)
    assert judge(*table(sharp.tolist(), fell.tolist()), capacity=20, draws=20)["slope"].value == pytest.approx(
        0.5, abs=0.05
    )


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_area_under_the_curve_is_never_alone_nor_first(lang: str) -> None:
    chance, fell = drawn(2000)
    found = judge(*table(chance.tolist(), fell.tolist()), capacity=5, draws=20)
    lines = found.text(lang).split("\n")
    shown = f"{found['auroc'].value:.3f}"
    with_it = [line for line in lines if "ROC" in line]
    assert len(with_it) == 1 and shown in with_it[0]
    assert f"{found['average_precision'].value:.3f}" in with_it[0]
    recall = f"{100 * found['recall'].value:.1f} %"
    assert recall in lines[1] and lines.index(with_it[0]) == len(lines) - 1
    names = [one.name for one in found.figures]
    assert names[:2] == ["recall", "precision"] and names[-1] == "auroc"
    assert {"recall", "average_precision", "slope"} < {one["name"] for one in found.to_dict()["figures"]}


def test_slices_have_intervals_and_small_ones_are_marked() -> None:
    chance, fell = drawn(4000)
    scores, truth = table(chance.tolist(), fell.tolist())
    groups = truth.select(
        "household_id", pl.Series("town", ["a"] * 3980 + ["b"] * 20), pl.lit(None, dtype=pl.String).alias("township")
    )
    found = judge(scores, truth, capacity=10, slices=groups, draws=20).slices
    assert found["column"].unique().to_list() == ["town"], "a column that is empty for all is no slice"
    large, small = found.to_dicts()
    assert (large["small"], small["small"]) == (False, True)
    assert large["households"] + small["households"] == 4000
    assert large["fell"] + small["fell"] == int(fell.sum())
    assert large["visited"] + small["visited"] == pytest.approx(520)
    assert large["recall_low"] < large["recall"] < large["recall_high"]


def test_lead_time_counts_days_of_those_reached() -> None:
    scores, _ = table([0.9, 0.8, 0.7, 0.1] + [0.05] * 60, [False] * 64)
    days = [date(2025, 3, 1), date(2025, 5, 1), None, date(2025, 1, 2)] + [None] * 60
    truth = scores.select("household_id", pl.Series("fell", [True, True, True, True] + [False] * 60),
                          pl.Series("fell_on", days, dtype=pl.Date))  # fmt: skip
    found = judge(scores, truth, capacity=1, as_of=date(2024, 12, 31), draws=5)
    assert found["lead_dated"].value == 3
    assert found["lead_days"].value == pytest.approx(60)
    assert np.isnan(judge(scores, truth.drop("fell_on"), capacity=1, draws=5)["lead_days"].value)


def test_intervals_by_wilson() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10)[1] == pytest.approx(1.0)
    assert all(np.isnan(one) for one in wilson(0, 0))


def test_tenths_hold_as_many_each_and_keep_equals_together() -> None:
    assert np.bincount(tenths(np.arange(100.0))).tolist() == [10] * 10
    assert len(set(tenths(np.ones(50)).tolist())) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [(lambda s, t: (s.drop("probability"), t), "missing_column"), (lambda s, t: (s, t.drop("fell")), "missing_column"),
     (lambda s, t: (s.with_columns(probability=pl.lit(1.5)), t), "bad_probability"),
     (lambda s, t: (s.with_columns(probability=pl.lit(None, dtype=pl.Float64)), t), "bad_probability"),
     (lambda s, t: (s, t.with_columns(fell=pl.lit(value=True))), "one_outcome"), (lambda s, t: (s, t.clear()), "no_rows")],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(change, code: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as error:
        judge(*change(*table([0.1, 0.9], [False, True])), capacity=1)
    assert error.value.code == code


def test_no_capacity_below_zero() -> None:
    with pytest.raises(UsageError):
        judge(*table([0.1, 0.9], [False, True]), capacity=-1)
    none = judge(*table([0.1, 0.9], [False, True]), capacity=0, draws=5)
    assert none["recall"].value == 0 and np.isnan(none["precision"].value)
