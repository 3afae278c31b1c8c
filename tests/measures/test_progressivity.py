"""Kakwani, Reynolds-Smolensky and the parts of the redistributive effect."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import expected, rtol, vietnam

from medfloor.errors import InputError, UsageError
from medfloor.measures import Design, concentration, progressivity

ROWS = Design()


def synthetic(rows: int = 400, seed: int = 6) -> pl.DataFrame:
    """Make up households in 40 villages that pay a premium by income and out of pocket when they are ill."""
    rng = np.random.default_rng(seed)
    income = np.round(rng.lognormal(3, 0.6, rows), 0) + 1
    return pl.DataFrame(
        {
            "oop": np.round(rng.exponential(0.1, rows) * income**0.8, 2),
            "premium": 0.02 * income,
            "consumption": income,
            "village": rng.integers(0, 40, rows),
            "weight": rng.uniform(1, 3, rows),
            "residence": np.where(rng.random(rows) < 0.5, "urban", "rural"),
        }
    )


def gini(values: np.ndarray, weight: np.ndarray) -> float:
    """Work the Gini index out of all pairs: the mean difference over twice the mean."""
    pairs = np.outer(weight, weight)
    return float(
        (pairs * np.abs(np.subtract.outer(values, values))).sum()
        / (2 * pairs.sum() * np.average(values, weights=weight))
    )


def test_gini_and_payment_concentration_on_vietnam_are_those_of_r_survey() -> None:
    found = progressivity(vietnam(), unit="person", design=Design(psu="psu"))
    for statistic, case in (
        ("gini_before", "G07_ci_design_se_pc_pop"),
        ("payment_concentration", "G07_ci_design_se_pcoop_pop"),
    ):
        assert found.value(statistic) == pytest.approx(expected(case)[0], rel=1e-9), statistic
        assert found.pick(statistic).se == pytest.approx(expected(case)[1], rel=rtol(case)), statistic
    assert found.special["negative_after_payment"] == 78
    assert "progressivity.negative" in [note.key for note in found.notes]


def test_each_index_is_what_its_formula_says() -> None:
    frame = synthetic()
    w, x, t = (frame[name].to_numpy() for name in ("weight", "consumption", "oop"))
    found = progressivity(frame)
    g_x, g_n = gini(x, w), gini(x - t, w)
    c_t, c_n = (concentration(frame.with_columns(y=y), of="y").estimate for y in (t, x - t))
    share = np.average(t, weights=w) / np.average(x, weights=w)
    for statistic, value in (
        ("gini_before", g_x),
        ("gini_after", g_n),
        ("payment_concentration", c_t),
        ("kakwani", c_t - g_x),
        ("payment_share", share),
        ("concentration_after", c_n),
        ("reynolds_smolensky", g_x - c_n),
        ("redistributive_effect", g_x - g_n),
        ("vertical", share / (1 - share) * (c_t - g_x)),
        ("reranking", g_n - c_n),
    ):
        assert found.value(statistic) == pytest.approx(value, rel=1e-9), statistic


@pytest.mark.parametrize("choices", [{}, {"bands": 10}, {"bands": 50}, {"band_width": 5.0}])
def test_the_redistributive_effect_is_the_sum_of_its_parts(choices: dict[str, Any]) -> None:
    found = progressivity(synthetic(), **choices)
    parts = found.value("vertical") - found.value("reranking")
    parts -= found.value("horizontal") if choices else 0
    assert found.value("redistributive_effect") == pytest.approx(parts, rel=1e-9)


def test_horizontal_effect_adds_up_the_gini_indices_within_bands() -> None:
    frame = synthetic()
    w, x, t = (frame[name].to_numpy() for name in ("weight", "consumption", "oop"))
    band = np.floor(x / 5.0)
    horizontal = 0.0
    for one in np.unique(band):
        inside = band == one
        people = w[inside].sum() / w.sum()
        money = (w * (x - t))[inside].sum() / (w * (x - t)).sum()
        horizontal += people * money * gini((x - t)[inside], w[inside])
    assert progressivity(frame, band_width=5.0).value("horizontal") == pytest.approx(horizontal, rel=1e-9)


def test_bands_that_hold_one_income_each_have_the_vertical_effect_of_no_bands() -> None:
    # Incomes are whole numbers, so bands of width one hold equals; only those who pay differently are parted in them.
    fine, none = progressivity(synthetic(), band_width=1.0), progressivity(synthetic())
    assert fine.value("vertical") == pytest.approx(none.value("vertical"), rel=1e-9)
    assert fine.value("horizontal") + fine.value("reranking") == pytest.approx(none.value("reranking"), rel=1e-9)


def test_a_payment_in_proportion_to_income_changes_nothing() -> None:
    found = progressivity(synthetic(), payment="premium")
    for statistic in ("kakwani", "reynolds_smolensky", "redistributive_effect", "reranking"):
        assert found.value(statistic) == pytest.approx(0, abs=1e-12), statistic


def test_a_poll_tax_is_regressive_and_a_tax_on_the_rich_progressive() -> None:
    frame = synthetic().with_columns(poll=pl.lit(1.0), top=pl.when(pl.col("consumption") > 40).then(5.0).otherwise(0.0))
    assert progressivity(frame, payment="poll").value("kakwani") == pytest.approx(
        -progressivity(frame).value("gini_before"), rel=1e-9
    )
    assert progressivity(frame, payment="top").value("kakwani") > 0


def test_several_payments_are_also_measured_together() -> None:
    found = progressivity(synthetic(), payment=["oop", "premium"])
    share = {one: found.value("payment_share", payment=one) for one in ("all", "oop", "premium")}
    kakwani = {one: found.value("kakwani", payment=one) for one in ("all", "oop", "premium")}
    assert share["all"] == pytest.approx(share["oop"] + share["premium"], rel=1e-9)
    # Kakwani's index of the sum is the mean of the indices, weighted by what is paid.
    mean = (share["oop"] * kakwani["oop"] + share["premium"] * kakwani["premium"]) / share["all"]
    assert kakwani["all"] == pytest.approx(mean, rel=1e-9)


@settings(max_examples=25)
@given(
    income=st.lists(st.integers(1, 9), min_size=8, max_size=8),
    paid=st.lists(st.integers(0, 5), min_size=8, max_size=8).filter(any),
    copies=st.lists(st.integers(1, 3), min_size=8, max_size=8),
)
def test_weights_of_k_are_k_copies(income: list[int], paid: list[int], copies: list[int]) -> None:
    x, t = np.array(income) + 5.0, np.array(paid) * 1.0  # so that something is left after payment
    weighted = progressivity({"consumption": x, "oop": t, "weight": copies}, bands=3)
    copied = progressivity({"consumption": np.repeat(x, copies), "oop": np.repeat(t, copies)}, bands=3)
    assert weighted.rows["estimate"].to_list() == pytest.approx(copied.rows["estimate"].to_list(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("choices", [{}, {"band_width": 5.0}])
def test_linearised_errors_agree_with_the_jackknife_over_villages(choices: dict[str, Any]) -> None:
    design = {"weight": "weight", "psu": "village"}
    line = progressivity(synthetic(1500), **choices, design=Design(**design))
    jack = progressivity(synthetic(1500), **choices, design=Design(**design, method="jackknife"))
    both = line.rows.select("statistic", "se", other=jack.rows["se"])
    ratio = (both["se"] / both["other"]).to_numpy()
    # Two estimates of one error over 40 clusters, whose difference is of the order of 1/40.
    assert np.abs(ratio - 1).max() < 0.06, both


def test_groups_are_compared() -> None:
    found = progressivity(synthetic(), by="residence", against="urban")
    gap = found.pick("kakwani", group="rural", against="urban")
    assert gap.estimate == pytest.approx(
        found.value("kakwani", group="rural") - found.value("kakwani", group="urban"), rel=1e-9
    )
    assert gap.rows["p"][0] is not None


def test_no_payment_at_all_is_undefined_and_changes_nothing() -> None:
    found = progressivity({"oop": [0.0, 0.0], "consumption": [1.0, 3.0]})
    assert math.isnan(found.value("kakwani"))
    assert found.value("redistributive_effect") == 0.0
    assert "concentration.undefined" in [note.key for note in found.notes]


def test_no_income_at_all_is_undefined() -> None:
    found = progressivity({"oop": [1.0, 2.0], "consumption": [0.0, 0.0]})
    assert math.isnan(found.value("gini_before"))
    assert found.special["income_not_positive"] == 2


def test_one_household_has_indices_of_zero_and_no_error() -> None:
    found = progressivity({"oop": [1.0], "consumption": [5.0]})
    assert found.value("kakwani") == 0.0
    assert math.isnan(found.pick("kakwani").se)


@pytest.mark.parametrize(
    "choices",
    [{"bands": 1}, {"band_width": 0.0}, {"bands": 5, "band_width": 1.0}, {"payment": []}],
)
def test_choices_that_mean_nothing_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        progressivity(synthetic(20), **choices)


def test_an_infinite_payment_is_refused() -> None:
    with pytest.raises(InputError, match="infinite"):
        progressivity({"oop": [1.0, math.inf], "consumption": [5.0, 6.0]})


def test_results_speak_both_languages_and_bring_curves() -> None:
    found = progressivity(synthetic(), payment=["oop", "premium"], bands=10)
    assert "Reynolds-Smolensky" in found.text("en")
    assert "再分配效应" in found.text("zh")
    assert set(found.curves["concentration"]["curve"]) == {"lorenz", "concentration"}


def test_a_payment_of_all_income_leaves_nothing_and_not_less() -> None:
    found = progressivity({"oop": [5.0, 6.0, 1.0], "consumption": [5.0, 5.0, 9.0]})
    assert found.special["negative_after_payment"] == 1
