"""Outcomes of yes and no: answers of R, invariances, and what is refused or warned of."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import UsageError
from medfloor.evaluation import Fit, binary
from medfloor.evaluation.binary import MODELS
from medfloor.words import LANGS

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "evaluation"
needs_cases = pytest.mark.skipif(
    not CASES.is_dir(), reason="shared/cases/evaluation does not lie beside the repository"
)

# R's glm stops when the deviance changes by less than 1e-8, and takes its variance from the step before: its own
# answers are good to about 1e-5 (variances) and 1e-6 (probit points), ours go on to the end.
LOOSE = 2e-5


def males() -> pl.DataFrame:
    return pl.read_csv(CASES / "02_males_twfe_cluster.csv")


def expected(name: str) -> dict[str, dict[str, dict[str, float]]]:
    answers = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))["expected"]
    return dict(answers)


def agree(fit: Fit, answers: dict[str, dict[str, float]], *, points: float, errors: float, **labels: object) -> None:
    for name, answer in answers.items():
        term = {"(Intercept)": "constant"}.get(name, name.replace("factor(year)", "year="))
        found = fit.pick(term, **labels)
        assert found.estimate == pytest.approx(answer["estimate"], rel=points), term
        assert found.se == pytest.approx(answer["se"], rel=errors), term


WITHIN = {"outcome": "lowwage", "treatment": "union01", "covariates": ("married01", "exper2"), "unit": "nr"}
POOLED = {**WITHIN, "covariates": ("married01", "exper2", "school")}


@needs_cases
def test_the_linear_model_is_that_of_fixest() -> None:
    fit = binary(males(), model="lpm", time="year", **WITHIN)  # type: ignore[arg-type]
    agree(fit, expected("03_males_binary")["lpm_twfe_cluster_nr"], points=1e-9, errors=1e-9)


@needs_cases
@pytest.mark.parametrize(("case", "waves"), [("clogit_exact", False), ("clogit_with_year", True)])
def test_the_conditional_logit_is_that_of_r(case: str, waves: bool) -> None:
    answers = expected("03_males_binary")
    fit = binary(males(), model="conditional_logit", time="year", waves=waves, errors="iid", **WITHIN)  # type: ignore[arg-type]
    agree(fit, answers[case], points=1e-9, errors=1e-9)
    loglik = answers["clogit_exact_loglik" if case == "clogit_exact" else "clogit_year_loglik"]
    assert fit.facts["loglik"] == pytest.approx(loglik, rel=1e-12)
    assert [(drop.reason, drop.rows, drop.units) for drop in fit.drops] == [("never_switches", 2_472, 309)]
    assert fit.warnings, "more than half of the rows are gone"


@needs_cases
def test_the_conditional_logit_of_the_infertility_study_is_that_of_r() -> None:
    # survival's own page for clogit prints these for data(infert): 1.9859 (0.3524) and 1.4090 (0.3607).
    table = pl.read_csv(CASES / "15_infert_clogit.csv")
    fit = binary(
        table, outcome="case", treatment="spontaneous", covariates=("induced",), unit="stratum",
        model="conditional_logit", errors="iid",
    )  # fmt: skip
    assert round(fit.value("spontaneous"), 4) == 1.9859
    assert round(fit.pick("spontaneous").se, 4) == 0.3524
    assert round(fit.value("induced"), 4) == 1.4090
    assert round(fit.pick("induced").se, 4) == 0.3607


@needs_cases
def test_pooled_models_and_their_marginal_effects_are_those_of_r() -> None:
    answers = expected("03_males_binary")
    iid = binary(males(), model="logit", errors="iid", **POOLED)  # type: ignore[arg-type]
    agree(iid, answers["pooled_logit_iid"], points=1e-9, errors=LOOSE)
    for link in ("logit", "probit"):
        fit = binary(males(), model=link, marginal=True, **POOLED)  # type: ignore[arg-type]
        points = 1e-9 if link == "logit" else LOOSE
        agree(fit, answers[f"pooled_{link}_vcovCL_nr"], points=points, errors=LOOSE, group=None)
        agree(fit, answers[f"ame_{link}_cluster_nr"], points=LOOSE, errors=LOOSE, group="ame")


@needs_cases
@pytest.mark.parametrize("link", ["logit", "probit"])
def test_ordered_models_are_those_of_mass(link: str) -> None:
    table = pl.read_csv(CASES / "14_housing_ordered.csv")
    columns = {
        "InflMedium": ("Infl", "Medium"), "InflHigh": ("Infl", "High"), "TypeApartment": ("Type", "Apartment"),
        "TypeAtrium": ("Type", "Atrium"), "TypeTerrace": ("Type", "Terrace"), "ContHigh": ("Cont", "High"),
    }  # fmt: skip
    table = table.select(pl.exclude("Freq").repeat_by("Freq").explode())
    table = table.with_columns(
        pl.col("Sat").replace_strict({"Low": 1, "Medium": 2, "High": 3}),
        *((pl.col(column) == value).cast(pl.Int8).alias(name) for name, (column, value) in columns.items()),
    )
    fit = binary(
        table,
        outcome="Sat",
        treatment="ContHigh",
        covariates=tuple(columns)[:-1],
        model=f"ordered_{link}",
        errors="iid",
    )
    answers = expected("14_housing_ordered")
    cuts = {"Low|Medium": "cut(1|2)", "Medium|High": "cut(2|3)"}
    named = {cuts.get(name, name): answer for name, answer in answers[link].items()}
    # polr stops before the top (its gradient is 1e-4 there); the deviances agree to 1e-11.
    agree(fit, named, points=1e-5, errors=1e-5)
    assert -2 * float(fit.facts["loglik"]) == pytest.approx(answers[f"{link}_deviance"], rel=1e-11)


def panel(units: int = 120, waves: int = 4, seed: int = 1) -> pl.DataFrame:
    """Make up a panel where a policy lowers the chance of being poor."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), waves)
    wave = np.tile(np.arange(waves), units)
    start = rng.integers(1, waves + 2, units)[unit]
    lasting = rng.normal(size=units)[unit]
    covered = (wave >= start).astype(int)
    age = rng.integers(20, 80, len(unit))
    index = 0.3 - 0.9 * covered + 0.02 * (age - 50) + lasting + 0.2 * wave
    poor = (rng.random(len(unit)) < 1 / (1 + np.exp(-index))).astype(int)
    return pl.DataFrame({
        "home": [f"h{one:03d}" for one in unit], "wave": 2012 + 2 * wave, "city": unit % 45, "poor": poor,
        "covered": covered, "age": age, "region": [("east", "middle", "west")[one % 3] for one in unit],
        "weight": rng.uniform(0.5, 2, len(unit)), "grade": np.clip(poor + rng.integers(0, 3, len(unit)), 0, 3),
    })  # fmt: skip


PANEL = panel()


def run(table: pl.DataFrame = PANEL, **given: object) -> Fit:
    asked = {
        "outcome": "grade" if str(given.get("model", "")).startswith("ordered") else "poor", "treatment": "covered",
        "unit": "home", "time": "wave", "covariates": ("age",), **given,
    }  # fmt: skip
    return binary(table, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_says_what_it_shows_and_what_not(model: str, lang: str) -> None:
    fit = run(model=model, cluster="city", marginal=model != "conditional_logit")
    text = fit.text(lang)
    assert fit.rows["model"].unique().to_list() == [model]
    assert fit.rows["term"][0] == "covered"
    assert fit.shows
    assert fit.not_shown
    assert "{" not in text
    assert fit.rows["clusters"].unique().to_list() == [45]


@settings(max_examples=6)
@given(model=st.sampled_from([one for one in MODELS if one != "lpm"]), seed=st.integers(0, 99))
def test_neither_order_nor_names_of_units_and_waves_matter(model: str, seed: int) -> None:
    one = run(model=model).rows
    shuffled = PANEL.sample(fraction=1.0, shuffle=True, seed=seed).with_columns(
        pl.col("home").str.replace("h", "unit ").str.reverse(), (pl.col("wave") - 2012) // 2 + 1
    )
    other = run(shuffled, model=model).rows
    # Sums are added in another order: differences of rounding, times what the iterations leave (1e-11).
    np.testing.assert_allclose(other["estimate"], one["estimate"], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(other["se"], one["se"], rtol=1e-6)


@pytest.mark.parametrize("model", [one for one in MODELS if one != "lpm"])
def test_a_covariate_in_other_units_has_its_coefficient_in_other_units(model: str) -> None:
    one = run(model=model)
    other = run(PANEL.with_columns(age=pl.col("age") * 10_000), model=model)
    assert other.value("covered") == pytest.approx(one.value("covered"), rel=1e-7)
    assert other.value("age") == pytest.approx(one.value("age") / 10_000, rel=1e-7)
    assert other.pick("age").se == pytest.approx(one.pick("age").se / 10_000, rel=1e-6)


@pytest.mark.parametrize("model", ["logit", "probit", "cre_logit"])
def test_weights_count_a_row_as_often_as_it_stands(model: str) -> None:
    table = PANEL.with_columns(weight=pl.lit(1) + (pl.col("age") % 2))
    twice = pl.concat([table, table.filter(pl.col("weight") == 2).with_columns(pl.col("home") + "b")])
    if model.startswith("cre"):
        table = PANEL.with_columns(weight=pl.lit(3.0))
        twice = PANEL
    weighted = run(table, model=model, weight="weight", cluster="city", marginal=True).rows
    repeated = run(twice, model=model, cluster="city", marginal=True).rows
    np.testing.assert_allclose(weighted["estimate"], repeated["estimate"], rtol=1e-8)
    np.testing.assert_allclose(weighted["se"], repeated["se"], rtol=1e-8)


def test_a_marginal_effect_is_the_mean_of_changed_chances() -> None:
    # With one column of zeros and ones a logit is saturated: the effect is the difference of two shares.
    shares = PANEL.group_by("covered").agg(pl.col("poor").mean()).sort("covered")["poor"].to_list()
    for model in ("logit", "probit"):
        fit = run(model=model, covariates=(), waves=False, marginal=True)
        assert fit.value("covered", group="ame") == pytest.approx(shares[1] - shares[0], abs=1e-10)


def test_levels_of_a_category_are_held_against_the_first_one_alone() -> None:
    fit = run(model="logit", treatment="age", covariates=("i.region",), waves=False, marginal=True)
    design = PANEL.with_columns(east=pl.col("region") == "east")
    index = fit.value("constant") + fit.value("age", group=None) * design["age"]
    chance = {
        name: float((1 / (1 + (-(index + shift)).exp())).mean())  # type: ignore[arg-type]
        for name, shift in (("east", 0.0), ("west", fit.value("region=west", group=None)))
    }
    assert fit.value("region=west", group="ame") == pytest.approx(chance["west"] - chance["east"], abs=1e-10)


def test_marginal_effects_of_ordered_values_add_up_to_nothing() -> None:
    fit = run(model="ordered_logit", marginal=True).pick(group="ame")
    sums = fit.rows.group_by("term").agg(pl.col("estimate").sum())
    assert sums["estimate"].abs().max() < 1e-12  # type: ignore[operator]
    assert fit.rows["at"].unique().sort().to_list() == [0.0, 1.0, 2.0, 3.0]


def test_an_ordered_model_of_two_values_is_the_logit() -> None:
    one, other = run(model="ordered_logit", outcome="poor"), run(model="logit")
    assert one.value("covered") == pytest.approx(other.value("covered"), rel=1e-8)
    assert one.value("cut(0|1)") == pytest.approx(-other.value("constant"), rel=1e-8)
    assert one.pick("covered").se == pytest.approx(other.pick("covered").se, rel=1e-7)


def test_unit_means_make_the_model_tell_within_from_between() -> None:
    fit = run(model="cre_logit")
    assert {"mean(covered)", "mean(age)"} <= set(fit.rows["term"])
    assert 0 <= float(fit.facts["means_p"]) <= 1
    # A balanced panel has the same waves in all units, whose means say nothing.
    assert not [term for term in fit.rows["term"] if term.startswith("mean(wave")]


def test_the_cluster_sandwich_of_a_conditional_logit_sums_scores() -> None:
    iid, units = run(model="conditional_logit", errors="iid"), run(model="conditional_logit")
    places = run(model="conditional_logit", cluster="city")
    assert units.value("covered") == iid.value("covered") == places.value("covered")
    assert len({fit.pick("covered").se for fit in (iid, units, places)}) == 3
    robust = run(model="conditional_logit", errors="robust")
    assert robust.pick("covered").se == pytest.approx(units.pick("covered").se, rel=1e-12)


def test_a_conditional_logit_of_two_waves_is_a_logit_of_changes() -> None:
    # Chamberlain (1980): with two waves the likelihood is that of a logit of the direction on differences.
    table = PANEL.filter(pl.col("wave").is_in([2012, 2016]))
    fit = run(table, model="conditional_logit", errors="iid", covariates=("age",))
    wide = table.pivot("wave", index="home", values=["poor", "covered", "age"])
    wide = wide.filter(pl.col("poor_2012") != pl.col("poor_2016")).select(
        up=pl.col("poor_2016"), covered=pl.col("covered_2016") - pl.col("covered_2012"),
        age=pl.col("age_2016") - pl.col("age_2012"),
    )  # fmt: skip
    plain = binary(wide, outcome="up", treatment="covered", covariates=("age",), errors="iid")
    assert fit.value("age") == pytest.approx(plain.value("age"), rel=1e-8)
    assert fit.pick("age").se == pytest.approx(plain.pick("age").se, rel=1e-7)
    assert fit.value("wave=2016") == pytest.approx(plain.value("constant"), rel=1e-8)


def test_rows_where_a_category_tells_the_outcome_are_left_out_with_a_warning() -> None:
    table = PANEL.with_columns(sure=((pl.col("poor") == 1) & (pl.col("age") > 70)).cast(pl.Int8))
    fit = run(table, model="logit", covariates=("age", "sure"))
    assert [drop.reason for drop in fit.drops] == ["tells_outcome"]
    assert fit.warnings
    assert "sure" not in fit.rows["term"].to_list()
    kept = run(table.filter(pl.col("sure") == 0), model="logit")
    assert fit.value("covered") == pytest.approx(kept.value("covered"), rel=1e-9)


def code_of(**given: object) -> str:
    with pytest.raises(UsageError) as caught:
        run(**given)  # type: ignore[arg-type]
    assert not caught.value.message.endswith("None")
    return caught.value.code


def test_what_cannot_be_estimated_is_refused_with_a_code() -> None:
    assert code_of(model="tobit") == "bad_model"
    assert code_of(outcome="age") == "not_binary"
    assert code_of(outcome="age", model="lpm") == "not_binary"
    assert code_of(model="conditional_logit", unit=None) == "no_unit"
    assert code_of(model="cre_probit", unit=None) == "no_unit"
    assert code_of(model="conditional_logit", weight="weight") == "no_weights"
    assert code_of(model="conditional_logit", marginal=True) == "no_marginal_effects"
    assert code_of(errors="cr9") == "bad_errors"
    assert code_of(errors="iid", weight="weight") == "bad_errors"
    assert code_of(errors="cluster", unit=None, time=None) == "bad_errors"
    assert code_of(level=95.0) == "bad_level"
    constant = PANEL.with_columns(always=pl.lit(1), one=pl.lit(1))
    assert code_of(table=constant, treatment="always") == "no_variation"
    assert code_of(table=constant, outcome="always") == "no_variation"
    assert code_of(table=constant, model="ordered_logit", outcome="always") == "no_variation"
    assert code_of(table=constant, cluster="one") == "one_cluster"
    fixed = PANEL.with_columns(lasting=pl.col("city") % 2, told=pl.col("poor"))
    assert code_of(table=fixed, model="conditional_logit", treatment="lasting") == "no_variation"
    assert code_of(table=fixed, treatment="told") == "separated"
    many = PANEL.with_columns(amount=pl.col("age") * 1.0)
    assert code_of(table=many, model="ordered_logit", outcome="amount") == "not_ordered"


def test_an_outcome_that_a_sum_of_columns_tells_is_found_out() -> None:
    table = PANEL.with_columns(
        a=pl.col("poor") * 2.0 - 1 + (pl.col("age") - 50) * 0.1, b=(pl.col("age") - 50) * 0.1
    )  # the outcome is the sign of a - b, and neither alone tells it
    for model in ("logit", "probit", "ordered_logit", "conditional_logit"):
        assert code_of(table=table, model=model, outcome="poor", covariates=("a", "b")) == "separated", model


def test_units_that_move_between_clusters_cannot_be_parted() -> None:
    table = PANEL.with_columns(city=pl.col("city") + (pl.col("wave") == 2018).cast(pl.Int64))
    assert code_of(table=table, model="conditional_logit", cluster="city") == "units_between_clusters"


def test_few_clusters_are_warned_of() -> None:
    assert not run(model="logit", cluster="city").warnings
    assert run(PANEL.with_columns(city=pl.col("city") % 9), model="logit", cluster="city").warnings


def test_columns_that_say_the_same_are_left_out_and_named() -> None:
    table = PANEL.with_columns(years=pl.col("age") * 2 + 3)
    one, other = run(table, model="logit", covariates=("age", "years")), run(model="logit")
    assert one.notes[0].say("en").startswith("years is left out")
    assert one.value("covered") == pytest.approx(other.value("covered"), rel=1e-9)


def test_the_interval_covers_the_truth_of_a_made_up_panel_about_as_often_as_it_says() -> None:
    # 20 panels, log odds -0.9 within units: fewer than 15 covered would happen once in 400 times at 95 %.
    covered = 0
    for seed in range(20):
        low, high = run(panel(seed=seed), model="conditional_logit").pick("covered").interval
        covered += low <= -0.9 <= high
    assert covered >= 15


def test_results_do_not_hang_on_the_libraries_defaults() -> None:
    # Defects that notes name: cov_type of ConditionalLogit is ignored, margins of 0/1 columns need differences.
    fit = run(model="logit", marginal=True)
    slope = run(model="logit", treatment="covered", marginal=True, covariates=("age",))
    assert fit.value("covered", group="ame") == slope.value("covered", group="ame")
    assert math.isfinite(fit.pick("covered", group="ame").se)
