"""Staggered adoption: against R's did and fixest, against diff-diff and pyfixest, against the truth, and against itself."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from evaluation_cases import expected, table
from hypothesis import given, settings
from hypothesis import strategies as st
from staggered_panels import COLUMNS, cfps, made

from medfloor.errors import UsageError
from medfloor.evaluation import Fit
from medfloor.evaluation.absorbed import regress
from medfloor.evaluation.adoption import adopt
from medfloor.evaluation.group_time import as_pandas, group_time
from medfloor.evaluation.staggered import TwoWay, staggered

COUNTIES: dict[str, Any] = {"outcome": "lemp", "start": "first.treat", "unit": "countyreal", "time": "year"}
VARIANTS: dict[str, dict[str, Any]] = {
    "uncond_never": {},
    "uncond_notyet": {"control": "not_yet"},
    "lpop_dr_never": {"covariates": ["lpop"]},
    "lpop_reg_never": {"covariates": ["lpop"], "covariate_method": "reg"},
    "lpop_ipw_never": {"covariates": ["lpop"], "covariate_method": "ipw"},
}
CITY: dict[str, Any] = {**COLUMNS, "cluster": "city"}


def counties(variant: str, **more: object) -> Fit:
    asked = VARIANTS[variant] | {"estimators": ["callaway_santanna"], "cohort_mean_errors": "did"} | more
    return staggered(table("06_mpdta_cs"), **COUNTIES, **asked).pick(model="callaway_santanna")


def agrees(fit: Fit, want: dict[str, float], variant: str) -> None:
    # The README of the cases: 1e-9, but about 1e-6 where there are propensity scores, whose iterations stop there.
    close = {"abs": 2e-6} if "dr" in variant or "ipw" in variant else {"rel": 1e-9}
    assert fit.estimate == pytest.approx(want["estimate"], **close)
    assert fit.se == pytest.approx(want["se"], **close)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_average_of_callaway_and_santanna_is_that_of_did(variant: str) -> None:
    want = expected("06_mpdta_cs")[variant]
    fit = counties(variant)
    agrees(fit.pick("att"), want["simple"], variant)
    for part, mean, term, label in (
        ("dynamic", "event_mean", "event", "at"), ("group_agg", "cohort_mean", "cohort", "group"),
        ("calendar", "wave_mean", "wave", "at"),
    ):  # fmt: skip
        agrees(fit.pick(mean), want[part]["overall"], variant)
        for at, att, se in zip(want[part]["egt"], want[part]["att"], want[part]["se"], strict=True):
            value = f"{at:g}" if label == "group" else float(at)
            agrees(fit.pick(term, **{label: value}), {"estimate": att, "se": se}, variant)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_cell_of_callaway_and_santanna_is_that_of_did(variant: str) -> None:
    want = expected("06_mpdta_cs")[variant]
    cells = counties(variant).tables["cells"]
    for cohort, wave, att, se in zip(want["group"], want["t"], want["att"], want["se"], strict=True):
        row = cells.filter((pl.col("cohort") == f"{cohort}") & (pl.col("wave") == f"{wave}"))
        # Doubly robust cells of diff-diff 3.13 lie up to 7e-6 from those of did, a two-thousandth of their errors.
        close = {"abs": 1e-5} if "dr" in variant or "ipw" in variant else {"rel": 1e-9}
        # The wave before each start has no cell in some listings of did.
        if row.height:
            assert row["estimate"].item() == pytest.approx(att, **close)
            assert row["se"].item() == pytest.approx(se, **close)
    assert cells.height == len(want["att"])


def test_the_error_over_cohorts_knows_that_their_shares_are_estimated() -> None:
    exact = counties("uncond_never", cohort_mean_errors="exact").pick("cohort_mean")
    slipped = counties("uncond_never").pick("cohort_mean")
    assert exact.estimate == slipped.estimate
    # By a bootstrap over counties the truth cannot be told apart from either: they differ by a quarter of a percent.
    assert 0 < exact.se / slipped.se - 1 < 0.005


def test_two_way_fixed_effects_and_sun_abraham_are_those_of_fixest() -> None:
    want = expected("06_mpdta_cs")
    fit = staggered(table("06_mpdta_cs"), **COUNTIES, estimators=["sun_abraham"])
    for model, numbers in (("twfe", want["twfe"]["treat1"]), ("sun_abraham", want["sunab_att"]["ATT"])):
        one = fit.pick("att", model=model)
        assert one.estimate == pytest.approx(numbers["estimate"], rel=1e-9)
        assert one.se == pytest.approx(numbers["se"], rel=1e-9)


def test_two_way_fixed_effects_with_a_covariate_are_those_of_fixest() -> None:
    want = expected("04_base_did_event_study")["twfe_did"]["treat:post"]
    panel = table("04_base_did_event_study").with_columns(start=pl.when(pl.col("treat") == 1).then(6))
    fit = staggered(panel, outcome="y", start="start", unit="id", time="period", covariates=["x1"], estimators=["twfe"])
    assert fit.estimate == pytest.approx(want["estimate"], rel=1e-9)
    assert fit.se == pytest.approx(want["se"], rel=1e-9)


@pytest.mark.parametrize("estimator", ["imputation", "gardner"])
@pytest.mark.parametrize(
    ("name", "case", "columns"),
    [
        (
            "base_stagg_nocov",
            "05_base_stagg_sunab",
            {"outcome": "y", "start": "year_treated", "unit": "id", "time": "year"},
        ),
        ("mpdta_nocov", "06_mpdta_cs", COUNTIES),
    ],
)
def test_imputation_points_are_those_of_a_hand_calculation(
    name: str, case: str, columns: dict[str, Any], estimator: str
) -> None:
    want = expected("07_imputation_points")[name]
    fit = staggered(table(case), **columns, estimators=[estimator]).pick(model=estimator)
    # fixest's demeaning stops at 1e-6 of its own; notes give 1e-8 for this comparison.
    assert fit.value("att") == pytest.approx(want["att"], abs=1e-8)
    for at, value in want["by_event"].items():
        assert fit.value("event", at=float(at)) == pytest.approx(value, abs=1e-7)


def test_sun_abraham_of_base_stagg_is_what_fixest_prints() -> None:
    # fixest's vignette on staggered adoption prints -1.133749 (0.205070) for this call.
    panel = table("05_base_stagg_sunab")
    fit = staggered(
        panel, outcome="y", start="year_treated", unit="id", time="year", covariates=["x1"], estimators=["sun_abraham"]
    )
    one = fit.pick("att", model="sun_abraham")
    assert (round(one.estimate, 6), round(one.se, 6)) == (-1.133749, 0.205070)


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("covariates", [[], ["x"]])
def test_two_way_fixed_effects_are_those_of_pyfixest(weight: str | None, covariates: list[str]) -> None:
    adoption = adopt(made(), **CITY, weight=weight, covariates=covariates)
    other = regress(
        adoption.frame, y="y", x=["treated", *adoption.within], effects=("unit", "period"), errors="cluster",
        clusters=("cluster",), weight=adoption.weight,
    )  # fmt: skip
    found = TwoWay.of(adoption)
    assert found.estimate == pytest.approx(other.beta[other.place("treated")], rel=1e-9)
    assert found.se == pytest.approx(other.se("treated"), rel=1e-9)


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_averages_by_city_are_those_of_diff_diff(weight: str | None, missing: float) -> None:
    from diff_diff import CallawaySantAnna, SurveyDesign

    adoption = adopt(made(missing=missing), **CITY, weight=weight)
    cells = group_time(adoption)
    names = ["y", "unit", "period", "cohort", "cluster", *(["w"] if weight else [])]
    data = as_pandas(adoption.frame, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CallawaySantAnna(cluster=None if weight else "cluster")
        design = SurveyDesign(weights="w", psu="cluster") if weight else None
        theirs = model.fit(data, "y", "unit", "period", "cohort", survey_design=design)
        events = theirs.aggregate("event_study").to_dataframe()
    if missing:
        # With missing waves diff-diff weighs cells by cohorts when clustered, and by the units seen otherwise; we always
        # take the units seen, so that the estimate does not change with the choice of errors. Cells are the same.
        for (g, t), effect in zip(cells.cells, cells.effects, strict=True):
            assert effect.value == pytest.approx(theirs.group_time_effects[g, t]["effect"], rel=1e-12)
            assert cells.se(effect) == pytest.approx(theirs.group_time_effects[g, t]["se"], rel=1e-9)
        return
    assert cells.simple().value == pytest.approx(theirs.overall_att, rel=1e-10)
    # With weights diff-diff counts the share of a cohort a little otherwise in the error (1e-3).
    assert cells.se(cells.simple()) == pytest.approx(theirs.overall_se, rel=5e-3 if weight else 1e-9)
    for row in events.itertuples():
        effect = cells.by_event_time()[row.event_time]
        assert effect.value == pytest.approx(row.att, rel=1e-10)
        assert cells.se(effect) == pytest.approx(row.se, rel=5e-3 if weight else 1e-9)


def test_weights_of_treated_rows_add_up_to_one_and_give_the_estimate_of_a_known_effect() -> None:
    panel = made(growth=0.5)
    # Nothing but the effect: two-way fixed effects are then exactly the weighted mean of the effects.
    adoption = adopt(panel.with_columns(y=pl.col("effect")), **CITY)
    found = TwoWay.of(adoption)
    effects = adoption.frame.filter(pl.col("treated") > 0)["y"].to_numpy()
    assert found.share.sum() == pytest.approx(1)
    assert float(found.share @ effects) == pytest.approx(found.estimate, rel=1e-9)
    assert found.negative > 0


@pytest.mark.parametrize("estimators", [["callaway_santanna"], ["imputation"], ["sun_abraham"], ["gardner"]])
def test_a_growing_effect_without_noise_is_found_exactly(estimators: list[str]) -> None:
    panel = made(missing=0, growth=0.5).with_columns(y=pl.col("effect") + 0.1 * (pl.col("wave") - 2010))
    fit = staggered(panel, **CITY, estimators=estimators)
    for at in (0.0, 1.0, 2.0):
        assert fit.value("event", model=estimators[0], at=at) == pytest.approx(1 + 0.5 * at, abs=1e-8)
    truth = panel.filter(pl.col("covered") == 1)["effect"].mean()
    assert fit.value("att", model=estimators[0]) == pytest.approx(truth, abs=1e-8)
    assert fit.value("att", model="twfe") < truth - 0.05  # type: ignore[operator]


def test_estimates_apart_are_warned_of_with_the_error_that_was_used() -> None:
    fit = staggered(made(growth=1.5), **CITY)
    keys = {one.key for one in fit.warnings}
    assert {"staggered.far_paired", "staggered.far_larger", "staggered.negative_weights"} <= keys
    assert set(fit.tables["compared"]["error_kind"]) == {"paired", "larger"}
    for lang in ("zh", "en"):
        assert fit.text(lang)


def test_another_sign_is_warned_of() -> None:
    panel = made(growth=4.0, cities=24).filter(pl.col("start").is_not_null() | (pl.col("city") == "c03"))
    fit = staggered(panel, **CITY, estimators=["imputation"])
    signs = {row["model"]: row["estimate"] > 0 for row in fit.rows.filter(pl.col("term") == "att").to_dicts()}
    assert ("staggered.other_sign" in {one.key for one in fit.warnings}) == (len(set(signs.values())) == 2)


def test_the_paired_error_is_that_of_a_bootstrap_over_cities() -> None:
    panel = made(cities=40)
    fit = staggered(panel, **CITY, estimators=["callaway_santanna"])
    said = fit.tables["compared"]["se"].item()
    rng = np.random.default_rng(1)
    parts = {part["city"][0]: part for part in panel.partition_by("city")}
    differences = []
    for _ in range(60):
        drawn = rng.choice(sorted(parts), len(parts))
        copies = [
            parts[city].with_columns(home=pl.col("home") + f"-{copy}", city=pl.lit(f"{copy}"))
            for copy, city in enumerate(drawn)
        ]
        adoption = adopt(pl.concat(copies), **CITY)
        differences.append(group_time(adoption).simple().value - TwoWay.of(adoption).estimate)
    # 60 draws tell a standard deviation to about 10 %; 30 % is three of these errors.
    assert float(np.std(differences)) == pytest.approx(said, rel=0.3)


@given(seed=st.integers(0, 10_000), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
@settings(max_examples=8)
def test_neither_order_nor_names_nor_the_count_of_years_change_an_estimate(
    seed: int, shift: float, scale: float
) -> None:
    panel = made()
    names = ["callaway_santanna", "imputation"]
    fit = staggered(panel, **CITY, estimators=names)
    other = panel.sample(fraction=1, shuffle=True, seed=seed).with_columns(
        home=pl.col("home").str.reverse() + "x", wave=(pl.col("wave") - 2008) // 2, start=(pl.col("start") - 2008) // 2,
        y=shift + scale * pl.col("y"),
    )  # fmt: skip
    again = staggered(other, **CITY, estimators=names)
    cols = ["model", "term", "estimate", "se"]
    one, two = (
        each.rows.filter(pl.col("term").is_in(["att", "event", "cohort"])).select(cols) for each in (fit, again)
    )
    assert two["estimate"].to_list() == pytest.approx((one["estimate"] * scale).to_list(), rel=1e-6, abs=1e-8 * scale)
    assert two["se"].to_list() == pytest.approx((one["se"] * scale).to_list(), rel=1e-6)


def test_results_do_not_depend_on_the_seed_of_pythons_hashes(tmp_path: Path) -> None:
    made().write_csv(tmp_path / "panel.csv")
    program = (
        "import polars as pl; from medfloor.evaluation.staggered import staggered;"
        "fit = staggered(pl.read_csv('panel.csv'), outcome='y', start='start', unit='home', time='wave', cluster='city',"
        "covariates=['x']); print(fit.rows.select('estimate', 'se').rows(), [one.key for one in fit.warnings])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1


def test_who_is_under_the_policy_from_the_first_wave_on_is_left_out_and_counted() -> None:
    panel = made().with_columns(start=pl.when(pl.col("city") == "c00").then(2010).otherwise("start"))
    fit = staggered(panel, **CITY, estimators=["twfe"])
    drop = next(one for one in fit.drops if one.reason == "always_treated")
    assert (drop.rows, drop.units) == (panel.filter(pl.col("city") == "c00").height, 3)


@pytest.mark.parametrize("never", [None, 0.0, float("inf"), 2030.0])
def test_never_is_written_in_four_ways(never: float | None) -> None:
    panel = made().with_columns(start=pl.when(pl.col("start").is_null()).then(never).otherwise("start"))
    fit = staggered(panel, **CITY, estimators=["twfe"])
    assert fit.value("att") == staggered(made(), **CITY, estimators=["twfe"]).value("att")


def test_a_start_between_two_waves_counts_from_the_next_one() -> None:
    fit = staggered(made().with_columns(pl.col("start") - 1), **CITY, estimators=["twfe"])
    assert fit.value("att") == staggered(made(), **CITY, estimators=["twfe"]).value("att")


def test_a_weight_that_changes_is_that_of_the_first_wave() -> None:
    panel = made()
    changing = panel.with_columns(w=pl.when(pl.col("wave") > 2012).then(pl.col("w") * 3).otherwise("w"))
    first = changing.sort("wave").with_columns(pl.col("w").first().over("home"))
    one = staggered(changing, **CITY, weight="w", estimators=["callaway_santanna"])
    two = staggered(first, **CITY, weight="w", estimators=["callaway_santanna"])
    assert one.rows["estimate"].to_list() == pytest.approx(two.rows["estimate"].to_list(), rel=1e-12)
    assert "adoption.weight_of_first_wave" in {note.key for note in one.notes}


def test_winsorising_is_said_and_does_what_winsorising_before_does() -> None:
    panel = made()
    low, high = np.percentile(panel["y"], [5, 95])
    one = staggered(panel, **CITY, winsorise=(5, 95), estimators=["twfe"])
    two = staggered(panel.with_columns(pl.col("y").clip(low, high)), **CITY, estimators=["twfe"])
    assert one.value("att") == pytest.approx(two.value("att"), rel=1e-12)
    assert "winsor.note" in {note.key for note in one.notes}


@pytest.mark.parametrize(
    ("change", "asked", "code"),
    [
        ({}, {"estimators": ["magic"]}, "unknown_estimator"),
        ({}, {"control": "all"}, "unknown_estimator"),
        ({}, {"covariate_method": "x"}, "unknown_estimator"),
        ({}, {"by": ["moon"]}, "unknown_estimator"),
        ({}, {"anticipation": -1}, "bad_number"),
        ({}, {"cohort_mean_errors": "y"}, "bad_errors"),
        ({}, {"level": 95}, "bad_level"),
        ({}, {"outcome": "wealth"}, "unknown_column"),
        ({"start": pl.lit(None)}, {}, "nobody_treated"),
        ({"start": pl.lit(2010)}, {}, "no_rows_left"),
        ({"start": pl.lit(2014)}, {"estimators": ["twfe"]}, "not_estimable"),
        ({"start": pl.lit(2014)}, {}, "not_estimable"),
        ({"start": pl.col("start").fill_null(2018)}, {"estimators": ["callaway_santanna"]}, "no_never_treated"),
        ({"start": pl.col("wave")}, {}, "start_changes"),
        ({"city": pl.col("wave")}, {}, "cluster_changes"),
        ({"city": pl.lit("c")}, {}, "one_cluster"),
        ({"wave": pl.lit(2010), "home": pl.int_range(pl.len())}, {}, "one_wave"),
        ({"wave": pl.col("wave") - 2010, "start": (pl.col("start") - 2010).fill_null(0)}, {}, "ambiguous_never"),
        ({"start": pl.col("city")}, {}, "not_numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_estimated_is_refused_with_its_own_code(
    change: dict[str, Any], asked: dict[str, Any], code: str
) -> None:
    panel = made().with_columns(**change)
    with pytest.raises(UsageError) as refused:
        staggered(panel, **(CITY | asked))
    assert refused.value.code == code


def test_every_estimator_runs_on_the_same_panel_and_tells_both_languages() -> None:
    names = ["callaway_santanna", "sun_abraham", "imputation", "gardner", "stacked"]
    fit = staggered(made(), **CITY, estimators=names, control="not_yet", covariates=["x", "i.region"])
    assert fit.rows.filter(pl.col("term") == "att")["model"].to_list() == ["twfe", *names]
    for lang in ("zh", "en"):
        assert fit.text(lang)
        assert fit.to_dict(lang)["estimates"]


@pytest.mark.parametrize("seed", [1, 2])
def test_made_up_cfps_is_estimated_and_two_way_fixed_effects_are_flagged(seed: int) -> None:
    panel, truth = cfps(seed)
    fit = staggered(
        panel, outcome="log_income", start="start", unit="number", time="wave", cluster="city",
        estimators=["callaway_santanna", "imputation"], by=[],
    )  # fmt: skip
    for model in ("callaway_santanna", "imputation"):
        one = fit.pick("att", model=model)
        # Two runs alone: within three errors of the truth; how often 95 % intervals cover it is tried in the heavy test.
        assert abs(one.estimate - truth["att"]["log_income"]) < 3 * one.se
    assert "staggered.negative_weights" in {warning.key for warning in fit.warnings}


@pytest.mark.heavy
def test_in_thirty_made_up_surveys_the_truth_is_covered_and_the_bias_of_two_way_fixed_effects_is_found() -> None:
    found: dict[str, list[tuple[float, bool, float]]] = {}
    flagged = 0
    for seed in range(1, 31):
        panel, truth = cfps(seed, 0.27)
        for outcome in ("log_income", "catastrophic"):
            fit = staggered(
                panel, outcome=outcome, start="start", unit="number", time="wave", cluster="city",
                estimators=["callaway_santanna", "imputation"], by=[],
            )  # fmt: skip
            real = truth["att"][outcome]
            for row in fit.rows.iter_rows(named=True):
                bias = row["estimate"] - real
                found.setdefault(f"{row['model']} {outcome}", []).append(
                    (bias, row["low"] <= real <= row["high"], real)
                )
            flagged += outcome == "log_income" and bool(fit.warnings)
    for model in ("callaway_santanna", "imputation"):
        for outcome in ("log_income", "catastrophic"):
            bias, covers, _ = (np.array(one, float) for one in zip(*found[f"{model} {outcome}"], strict=True))
            assert covers.mean() >= 0.85
            # Three Monte Carlo errors of the mean bias.
            assert abs(bias.mean()) < 3 * bias.std(ddof=1) / np.sqrt(len(bias))
    bias = np.array([one[0] for one in found["twfe log_income"]])
    assert bias.mean() < -3 * bias.std(ddof=1) / np.sqrt(len(bias))
    assert flagged == 30
