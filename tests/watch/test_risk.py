"""Models against scikit-learn, against coefficients that are known, and by the laws that their form promises."""

from __future__ import annotations

import inspect
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import SplineTransformer

from medfloor.errors import InputError, UsageError
from medfloor.watch.features import FEATURES
from medfloor.watch.judging import judge
from medfloor.watch.risk import Model, fit, hash_of, model_of, penalised, scaled_by
from medfloor.watch.splines import basis, curve
from medfloor.watch.training import Adoption, train_on


def made(rows: int = 3000, seed: int = 0, year: int = 2023) -> pl.DataFrame:
    """Make up a panel whose log odds are known: -3 + 0.5 log(1 + own_total / 1000) - 0.8 status + 0.4 elders."""
    rng = np.random.default_rng(seed)
    own = np.where(rng.random(rows) < 0.4, 0.0, np.exp(rng.normal(7, 1.5, rows)))
    elders = rng.integers(0, 4, rows).astype(float)
    status = (rng.random(rows) < 0.3).astype(float)
    left = rng.uniform(-1, 5, rows)
    odds = -3 + 0.5 * np.log1p(own / 1000) - 0.8 * status + 0.4 * elders
    chance = 1 / (1 + np.exp(-odds))
    return pl.DataFrame(
        {"household_id": [f"h{n:06d}" for n in range(rows)], "year": [year] * rows, "own_total": own, "elders": elders,
         "status_poor": status, "income_head": np.where(rng.random(rows) < 0.1, np.nan, np.exp(rng.normal(9, 1, rows))),
         "size": rng.integers(1, 6, rows).astype(float), "left_ratio": left, "rule_score": own / 5000,
         "true": chance, "fell": rng.random(rows) < chance}
    ).with_columns(pl.col("income_head").fill_nan(None))  # fmt: skip


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("knots", [[-2.0, -0.5, 1.0, 3.0], [0.0, 1.0], [1.0, 2.0, 4.0, 8.0, 16.0]])
def test_splines_are_those_of_scikit_learn(degree: int, knots: list[float]) -> None:
    values = np.concatenate([np.random.default_rng(1).normal(1, 4, 500), knots])
    theirs = SplineTransformer(
        degree=degree, knots=np.asarray(knots)[:, None], extrapolation="constant", include_bias=False
    ).fit(values[:, None])
    ours = basis(values, knots, degree)
    assert np.abs(theirs.transform(values[:, None]) - ours).max() < 1e-14
    weights = np.arange(1.0, ours.shape[1] + 1)
    assert np.abs(ours @ weights - curve(values, knots, degree, weights.tolist())).max() < 1e-12


def test_newton_finds_what_scikit_learn_finds() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 6))
    fell = (rng.random(2000) < 1 / (1 + np.exp(2 - rows[:, 0]))).astype(float)
    for strength in (0.1, 1.0, 100.0):
        theirs = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-12).fit(rows, fell)
        intercept, weights = penalised(rows, fell, strength)
        assert abs(intercept - theirs.intercept_[0]) < 1e-10
        assert np.abs(weights - theirs.coef_[0]).max() < 1e-10


def test_a_logistic_model_scores_as_the_pipeline_of_scikit_learn() -> None:
    rows = made()
    model = fit(rows, kind="logistic")
    fell = rows["fell"].to_numpy()
    columns = []
    for term in model.terms:
        values = rows[term.feature].cast(pl.Float64).fill_null(np.nan).to_numpy()
        gone = np.isnan(values)
        scaled = scaled_by(term.scale, np.where(gone, 0.0, values))[:, None]
        if term.knots:
            made_of = SplineTransformer(degree=term.degree, knots=np.asarray(term.knots)[:, None],
                                        extrapolation="constant", include_bias=False)  # fmt: skip
            scaled = made_of.fit(scaled).transform(scaled)
        columns += [np.where(gone[:, None], 0.0, scaled)] + ([gone[:, None].astype(float)] if gone.any() else [])
    design = np.concatenate(columns, axis=1)
    theirs = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-13, max_iter=500).fit(design, fell)
    assert np.abs(theirs.predict_proba(design)[:, 1] - model.score(rows)).max() < 1e-9
    # The saved coefficients over scikit-learn's own splines: our numpy gives the same to the last digits.
    weights: list[float] = []
    for term in model.terms:
        weights += [*term.coefficients, *([term.missing] if term.feature == "income_head" else [])]
    by_hand = 1 / (1 + np.exp(-(design @ np.asarray(weights) + model.intercept)))
    assert np.abs(by_hand - model.score(rows)).max() < 1e-12


def test_boosted_trees_score_as_scikit_learn() -> None:
    rows = made()
    model = fit(rows, kind="boosting", trees=40, leaves=8, least=20, rate=0.1)
    matrix = rows.select(model.features).with_columns(pl.all().cast(pl.Float64).fill_null(np.nan)).to_numpy()
    theirs = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=8, learning_rate=0.1, min_samples_leaf=20, l2_regularization=1.0,
        monotonic_cst=[FEATURES[name].sign for name in model.features], early_stopping=False, random_state=0,
    ).fit(matrix, rows["fell"].to_numpy())  # fmt: skip
    assert np.abs(theirs.predict_proba(matrix)[:, 1] - model.score(rows)).max() < 1e-9


@pytest.mark.parametrize("kind", ["logistic", "boosting"])
def test_json_and_back_is_the_same_to_the_bit(kind: str) -> None:
    rows = made()
    model = fit(rows, kind=kind, trees=20)  # type: ignore[arg-type]
    again = model_of(json.loads(json.dumps(model.to_dict(), allow_nan=False)))
    assert again.score(rows).tobytes() == model.score(rows).tobytes()
    assert again.hash == model.hash == model.to_dict()["hash"]
    assert fit(rows, kind=kind, trees=20).hash == model.hash  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["logistic", "boosting"])
def test_contributions_add_up(kind: str) -> None:
    rows = made(500)
    model = fit(rows, kind=kind, trees=20)  # type: ignore[arg-type]
    said = model.contributions(rows)
    sums = said.group_by("household_id", maintain_order=True).agg(pl.col("contribution").sum())
    assert np.allclose(sums["contribution"].to_numpy() + model.base, model.log_odds(rows), atol=1e-10)
    assert said["value"].null_count() == rows["income_head"].null_count()
    if kind == "logistic":
        assert np.abs(model.parts(rows).mean(axis=0)).max() < 1e-10


def test_known_coefficients_come_back() -> None:
    model = fit(made(60_000, seed=3), kind="logistic", features=["own_total", "elders", "status_poor"])
    terms = {one.feature: one for one in model.terms}
    assert terms["status_poor"].coefficients[0] == pytest.approx(-0.8, abs=0.12)
    elders = terms["elders"](np.array([0.0, 1.0, 2.0, 3.0]))
    assert np.diff(elders) == pytest.approx([0.4] * 3, abs=0.12)
    own = terms["own_total"](np.array([0.0, 1000.0, 8000.0]))
    assert own[1] - own[0] == pytest.approx(0.5 * np.log(2), abs=0.15)
    assert own[2] - own[0] == pytest.approx(0.5 * np.log(9), abs=0.2)


@pytest.mark.parametrize("kind", ["logistic", "boosting"])
def test_probabilities_are_right_on_households_never_seen(kind: str) -> None:
    model = fit(made(20_000, seed=4), kind=kind, trees=60)  # type: ignore[arg-type]
    new = made(20_000, seed=5)
    scores = pl.DataFrame({"household_id": new["household_id"], "probability": model.score(new)})
    found = judge(scores, new, capacity=10, draws=20)
    assert found["slope"].value == pytest.approx(1, abs=0.12)
    assert found["intercept"].value == pytest.approx(0, abs=0.1)
    assert np.abs(model.score(new) - new["true"].to_numpy()).mean() < 0.03
    assert model.baseline == pytest.approx(new["fell"].mean(), abs=0.02)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 3))
def test_boosted_risk_never_falls_with_more_to_pay(low: float, high: float, elders: int) -> None:
    model = _boosted()
    low, high = min(low, high), max(low, high)
    rows = made(2).with_columns(pl.Series("own_total", [low, high]), pl.lit(float(elders)).alias("elders"),
                                *(pl.lit(2.0).alias(n) for n in ("size", "left_ratio", "status_poor", "income_head")))  # fmt: skip
    scores = model.score(rows)
    assert scores[0] <= scores[1] + 1e-15


_KEPT: list[Model] = []


def _boosted() -> Model:
    if not _KEPT:
        _KEPT.append(fit(made(), kind="boosting", trees=40))
    return _KEPT[0]


def test_a_value_that_was_never_missing_says_nothing_when_it_is() -> None:
    model = fit(made(), kind="logistic")
    rows = made(5).with_columns(pl.lit(None, dtype=pl.Float64).alias("elders"))
    place = model.features.index("elders")
    assert np.abs(model.parts(rows)[:, place]).max() < 1e-12


def test_classes_are_never_weighted() -> None:
    asked = {name for function in (fit, train_on) for name in inspect.signature(function).parameters}
    assert not {name for name in asked if "weight" in name or "balanc" in name}


def test_a_changed_model_is_refused() -> None:
    said = fit(made(500), kind="logistic").to_dict()
    said["intercept"] += 1e-9
    with pytest.raises(InputError) as error:
        model_of(said)
    assert error.value.code == "changed_model"
    said.pop("terms")
    said["hash"] = hash_of({name: value for name, value in said.items() if name != "hash"})
    for wrong in (said, {}, [], None, "x", {"form": "other"}):
        with pytest.raises(InputError) as error:
            model_of(wrong)
        assert error.value.code == "bad_model"


def test_what_cannot_be_fitted_is_refused() -> None:
    rows = made(100)
    with pytest.raises(InputError, match="fell"):
        fit(rows.with_columns(fell=pl.lit(value=False)))
    with pytest.raises(InputError) as error:
        fit(rows.drop("fell"))
    assert error.value.code == "missing_column"
    with pytest.raises(UsageError):
        fit(rows, kind="forest")  # type: ignore[arg-type]
    with pytest.raises(InputError) as error:
        fit(rows).score(rows.drop("elders"))
    assert error.value.code == "missing_column"


def years() -> pl.DataFrame:
    parts = [made(1500, seed=n, year=2021 + n) for n in range(3)]
    extra = {"as_of": pl.date(2023, 12, 31), "residence": pl.lit("rural"), "status": pl.lit("none"),
             "township": pl.lit("t"), "oldest": pl.lit(60.0)}  # fmt: skip
    return pl.concat(parts).with_columns(**extra)


def test_boosting_is_adopted_only_where_it_is_better_at_both() -> None:
    rows = years()
    usual = train_on(rows, capacity=5, draws=20, adoption=Adoption(draws=40))
    assert usual.model.kind == "logistic"  # the truth is a logistic regression
    assert usual.choice is not None and usual.choice.apart and usual.choice.year == 2022
    easy = train_on(rows, capacity=5, draws=20, adoption=Adoption(-1.0, -1.0, draws=40))
    assert easy.model.kind == "boosting"
    half = train_on(rows, capacity=5, draws=20, adoption=Adoption(-1.0, 1.0, draws=40))
    assert half.model.kind == "logistic"
    assert usual.judged.orders == ("rule", "near", "boosting")
    assert usual.model.years == (2021, 2022) and usual.model.judged_year == 2023


def test_one_training_year_is_chosen_on_the_judged_one_and_says_so() -> None:
    found = train_on(years().filter(pl.col("year") > 2021), capacity=5, draws=20, adoption=Adoption(draws=20))
    assert found.choice is not None and not found.choice.apart
    with pytest.raises(InputError):
        train_on(years().filter(pl.col("year") == 2023), capacity=5)


@pytest.mark.heavy
def test_a_province_takes_seconds() -> None:
    import time

    rows = made(380_000)
    start = time.perf_counter()
    model = fit(rows)
    model.score(rows)
    assert time.perf_counter() - start < 30
