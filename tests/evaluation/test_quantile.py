"""Quantile regression: answers of R's quantreg, invariances, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import UsageError
from medfloor.evaluation import Fit, quantile
from medfloor.words import LANGS

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "evaluation"
needs_cases = pytest.mark.skipif(
    not CASES.is_dir(), reason="shared/cases/evaluation does not lie beside the repository"
)


@needs_cases
def test_points_and_errors_are_those_of_quantreg() -> None:
    answers = json.loads((CASES / "17_engel_quantreg.json").read_text(encoding="utf-8"))["expected"]
    table = pl.read_csv(CASES / "17_engel_quantreg.csv")
    fit = quantile(table, outcome="foodexp", treatment="income", quantiles=(0.25, 0.5, 0.75))
    for at, name in ((0.25, "q25"), (0.5, "q50"), (0.75, "q75")):
        for term, theirs in (("constant", "(Intercept)"), ("income", "income")):
            found = fit.pick(term, at=at)
            # Both stand on the same rows of the table; errors have the same bandwidth, to the rounding of 1e-9.
            assert found.estimate == pytest.approx(answers[name][theirs]["estimate"], rel=1e-9)
            assert found.se == pytest.approx(answers[name][theirs]["se"], rel=1e-8)


def made_up(rows: int = 240) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    covered, age = rng.integers(0, 2, rows), rng.uniform(20, 80, rows)
    oop = 5 + 2 * covered + 0.1 * age + rng.exponential(1 + covered, rows)
    return pl.DataFrame({
        "oop": oop, "covered": covered, "age": age, "home": [f"h{i // 2}" for i in range(rows)],
        "wave": [2012 + 2 * (i % 2) for i in range(rows)], "city": [i // 4 for i in range(rows)],
        "weight": rng.integers(1, 3, rows),
    })  # fmt: skip


TABLE = made_up()


def run(table: pl.DataFrame = TABLE, **given: object) -> Fit:
    return quantile(table, **{"outcome": "oop", "treatment": "covered", "covariates": ("age",), **given})  # type: ignore[arg-type]


@settings(max_examples=8)
@given(seed=st.integers(0, 99), factor=st.sampled_from([1e-4, 0.5, 1e5]))
def test_order_does_not_matter_and_scale_passes_through(seed: int, factor: float) -> None:
    one = run(quantiles=(0.3, 0.8))
    other = run(
        TABLE.sample(fraction=1.0, shuffle=True, seed=seed).with_columns(oop=pl.col("oop") * factor),
        quantiles=(0.3, 0.8),
    )
    np.testing.assert_allclose(other.rows["estimate"], one.rows["estimate"] * factor, rtol=1e-8)
    np.testing.assert_allclose(other.rows["se"], one.rows["se"] * factor, rtol=1e-6)


def test_the_order_of_rows_does_not_choose_among_answers_that_fit_equally_well() -> None:
    # Whole yuan and no numbers beside the treatment: many planes have the same loss.
    table = TABLE.with_columns(pl.col("oop").round())
    answers = {
        run(table.sample(fraction=1.0, shuffle=True, seed=seed), quantiles=(0.5,), covariates=()).value("covered")
        for seed in range(6)
    }
    assert len(answers) == 1


def test_quantiles_turn_round_with_the_outcome() -> None:
    one, other = run(quantiles=(0.2,)), run(TABLE.with_columns(oop=-pl.col("oop")), quantiles=(0.8,))
    assert other.value("covered") == pytest.approx(-one.value("covered"), rel=1e-9)


def test_without_columns_it_is_the_quantile_of_each_group() -> None:
    fit = run(quantiles=(0.5,), covariates=())
    medians = TABLE.group_by("covered").agg(pl.col("oop").quantile(0.5, "lower")).sort("covered")["oop"]
    above = TABLE.group_by("covered").agg(pl.col("oop").quantile(0.5, "higher")).sort("covered")["oop"]
    assert medians[0] - 1e-9 <= fit.value("constant") <= above[0] + 1e-9


def test_a_weight_counts_a_row_as_often_as_it_stands() -> None:
    twice = pl.concat([TABLE, TABLE.filter(pl.col("weight") == 2)])
    one = run(weight="weight", draws=20, quantiles=(0.4,))
    assert one.value("covered") == pytest.approx(run(twice, quantiles=(0.4,)).value("covered"), rel=1e-9)


def test_a_cluster_of_its_own_for_each_row_is_the_plain_sandwich() -> None:
    table = TABLE.with_row_index("row")
    one, other = run(table, cluster="row"), run(table, errors="robust")
    # Scores vary about q (1 - q) and G/(G-1) enlarges: equal in large samples, here within some per cent.
    np.testing.assert_allclose(one.rows["se"], other.rows["se"], rtol=0.15)


def test_the_bootstrap_draws_clusters_and_repeats_itself() -> None:
    given = {"errors": "bootstrap", "cluster": "city", "draws": 30, "quantiles": (0.5,)}
    one, same, other = run(**given), run(**given), run(**given, seed=2)  # type: ignore[arg-type]
    assert one.rows["se"].to_list() == same.rows["se"].to_list() != other.rows["se"].to_list()
    assert one.rows["clusters"].to_list() == [60, 60, 60]
    # 30 draws know an error to about an eighth; the sandwich lies within half as much again.
    np.testing.assert_allclose(one.rows["se"], run(cluster="city", quantiles=(0.5,)).rows["se"], rtol=0.6)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("errors", ["cluster", "robust", "iid", "bootstrap"])
def test_it_says_where_its_errors_come_from(errors: str, lang: str) -> None:
    fit = run(errors=errors, unit="home", time="wave", draws=20, quantiles=(0.5,))
    assert "{" not in fit.text(lang)
    assert fit.errors.say(lang)
    assert "wave=2014" in fit.rows["term"].to_list()


def test_a_heap_of_equal_values_and_few_clusters_are_warned_of() -> None:
    heaped = TABLE.with_columns(oop=pl.when(pl.col("age") < 40).then(5.0).otherwise(pl.col("oop")))
    assert any(one.key == "quantile.heaped" for one in run(heaped, quantiles=(0.8,)).warnings)
    few = TABLE.with_columns(city=pl.col("city") % 7)
    assert any(one.key == "quantile.few_clusters" for one in run(few, cluster="city").warnings)
    assert not run(cluster="city").warnings


def code_of(**given: object) -> str:
    with pytest.raises(UsageError) as caught:
        run(**given)  # type: ignore[arg-type]
    return caught.value.code


def test_what_cannot_be_estimated_is_refused_with_a_code() -> None:
    assert code_of(quantiles=()) == "bad_quantile"
    assert code_of(quantiles=(0.5, 1.0)) == "bad_quantile"
    assert code_of(errors="hc3") == "bad_errors"
    assert code_of(errors="cluster") == "bad_errors"
    assert code_of(errors="robust", weight="weight") == "bad_errors"
    assert code_of(errors="bootstrap", draws=3) == "bad_draws"
    assert code_of(table=TABLE.with_columns(one=pl.lit(1)), cluster="one") == "one_cluster"
    assert code_of(table=TABLE.with_columns(one=pl.lit(1)), treatment="one") == "no_variation"
    assert code_of(table=TABLE.with_columns(flat=pl.lit(7.0)), outcome="flat") == "not_estimable"
