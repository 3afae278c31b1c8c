"""Every answer of the acceptance cases of evaluation is asked by a test, or a reason stands here why it is not."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from evaluation_cases import SHARED, expected, table

from medfloor.evaluation import two_way_fixed_effects

HERE = Path(__file__).parent

# (case, part of its answers) -> the test that asks it. A part is a key of `expected`.
ASKED: dict[str, dict[str, str]] = {
    "02_males_twfe_cluster": {
        "fixest_cluster_nr": "test_fixed_effects.test_coefficients_and_errors_are_those_of_r",
        "fixest_iid": "test_fixed_effects.test_coefficients_and_errors_are_those_of_r",
        "fixest_hetero": "test_fixed_effects.test_coefficients_and_errors_are_those_of_r",
        "fixest_cluster_nr_year": "test_fixed_effects.test_coefficients_and_errors_are_those_of_r",
        "estimatr_stata_cluster": "test_fixed_effects.test_coefficients_and_errors_are_those_of_r",
        "clubSandwich_CR2_first60": (
            "test_fixed_effects.test_bias_reduced_errors_and_their_degrees_of_freedom_are_those_of_clubsandwich"
        ),
        "n": "test_fixed_effects.test_coefficients_and_errors_are_those_of_r",
    },
    "03_males_binary": {
        "lpm_twfe_cluster_nr": "test_binary.test_the_linear_model_is_that_of_fixest",
        "clogit_exact": "test_binary.test_the_conditional_logit_is_that_of_r",
        "clogit_exact_loglik": "test_binary.test_the_conditional_logit_is_that_of_r",
        "clogit_with_year": "test_binary.test_the_conditional_logit_is_that_of_r",
        "clogit_year_loglik": "test_binary.test_the_conditional_logit_is_that_of_r",
        "pooled_logit_iid": "test_binary.test_pooled_models_and_their_marginal_effects_are_those_of_r",
        "pooled_logit_vcovCL_nr": "test_binary.test_pooled_models_and_their_marginal_effects_are_those_of_r",
        "pooled_probit_vcovCL_nr": "test_binary.test_pooled_models_and_their_marginal_effects_are_those_of_r",
        "ame_logit_cluster_nr": "test_binary.test_pooled_models_and_their_marginal_effects_are_those_of_r",
        "ame_probit_cluster_nr": "test_binary.test_pooled_models_and_their_marginal_effects_are_those_of_r",
    },
    "04_base_did_event_study": {
        "event_study": "test_event_study.test_effects_by_wave_and_the_test_of_earlier_waves_are_those_of_fixest",
        "pretrend_joint_wald": "test_event_study.test_effects_by_wave_and_the_test_of_earlier_waves_are_those_of_fixest",
        "n": "test_event_study.test_effects_by_wave_and_the_test_of_earlier_waves_are_those_of_fixest",
        "twfe_did": "test_staggered.test_two_way_fixed_effects_with_a_covariate_are_those_of_fixest",
    },
    "06_mpdta_cs": {
        **dict.fromkeys(
            ("uncond_never", "uncond_notyet", "lpop_dr_never", "lpop_reg_never", "lpop_ipw_never"),
            "test_staggered.test_every_average_of_callaway_and_santanna_is_that_of_did",
        ),
        "twfe": "test_staggered.test_two_way_fixed_effects_and_sun_abraham_are_those_of_fixest",
        "sunab_att": "test_staggered.test_two_way_fixed_effects_and_sun_abraham_are_those_of_fixest",
    },
    "07_imputation_points": dict.fromkeys(
        ("base_stagg_nocov", "mpdta_nocov"), "test_staggered.test_imputation_points_are_those_of_a_hand_calculation"
    ),
    "08_lalonde_psm": {
        "pscore_logit": "test_matching.test_the_score_is_the_logit_of_r",
        "matchit_nn_noreplace_largest": ("test_matching.test_without_replacement_the_largest_first_is_that_of_matchit"),
        "matchit_nn_replace": "test_matching.test_one_neighbour_with_replacement_is_that_of_matchit",
        "matchit_caliper02": "test_matching.test_a_caliper_is_that_of_matchit",
        "Matching_M1_ties": "test_matching.test_ties_and_errors_of_abadie_and_imbens_are_those_of_matching",
        "Matching_M4_ties": "test_matching.test_ties_and_errors_of_abadie_and_imbens_are_those_of_matching",
        "ipw_att_hajek": "test_matching.test_weights_give_the_difference_of_r",
        "naive_diff": "test_matching.test_weights_give_the_difference_of_r",
    },
    "09_jobs_mediation_linear": {
        "baron_kenny": "test_mediation.test_paths_and_sobel_are_those_of_two_regressions_in_r",
        "lavaan_ml": "test_mediation.test_errors_of_maximum_likelihood_are_those_of_lavaan",
        **dict.fromkeys(
            ("mediate_quasibayes_5000", "mediate_boot_2000", "mediate_interaction_5000"),
            "test_mediation.test_simulated_effects_are_those_of_mediate_in_r",
        ),
    },
    "11_rdsenate": {
        **dict.fromkeys(
            ("default", "p2", "uniform", "cerrd", "h10", "hc1"),
            "test_discontinuity.test_rdrobust_gives_what_it_gives_in_r",
        ),
        "rdbwselect_all": "test_discontinuity.test_every_rule_of_rdrobust_has_the_bandwidth_of_r",
    },
    "13_apiclus_survey": {
        "mean": "test_survey_case.test_the_mean_of_clusters_and_its_error_are_those_of_r",
        "quantile_math": "test_survey_case.test_quantiles_are_those_of_r",
        "ratio": "test_survey_case.test_a_ratio_of_totals_and_its_error_are_those_of_r",
        "by_stype": "test_survey_case.test_means_of_domains_keep_the_clusters_of_the_whole_sample",
        "svyglm": ("test_survey_case.test_a_weighted_regression_with_clusters_is_svyglm_up_to_the_small_sample_factor"),
        "svyglm_logit": "test_survey_case.test_a_weighted_logit_with_clusters_is_svyglm",
    },
    "14_housing_ordered": dict.fromkeys(
        ("logit", "logit_deviance", "probit", "probit_deviance"), "test_binary.test_ordered_models_are_those_of_mass"
    ),
    "16_affairs_tobit_poisson": {
        "poisson_HC0": "test_fixed_effects.test_poisson_with_plain_robust_errors_is_that_of_r",
    },
    "17_engel_quantreg": dict.fromkeys(
        ("q25", "q50", "q75"), "test_quantile.test_points_and_errors_are_those_of_quantreg"
    ),
}

_TOBIT = "no method of issue D: spending with many zeros is asked by Poisson, shares by linear or binary models"
NOT_ASKED: dict[tuple[str, str], str] = {
    ("03_males_binary", "fixest_feglm_logit_twfe_cluster_nr"): (
        "a logit with a dummy for each man is biased where waves are few (incidental parameters); not offered"
    ),
    ("03_males_binary", "feglm_nobs"): "of the logit with dummies, which is not offered",
    ("03_males_binary", "clogit_n_note"): "a sentence, not a number",
    ("03_males_binary", "re_logit_glmer_nAGQ15"): (
        "a random-intercept logit is no method of issue D, which asks for correlated random effects"
    ),
    ("11_rdsenate", "cluster"): "README: do not compare, bandwidths of the versions for Python and R differ",
    ("16_affairs_tobit_poisson", "tobit"): _TOBIT,
    ("16_affairs_tobit_poisson", "tobit_scale"): _TOBIT,
    ("16_affairs_tobit_poisson", "tobit_loglik"): _TOBIT,
}

CASES = ("02", "03", "04", "06", "07", "08", "09", "11", "13", "14", "16", "17")


def test_the_table_names_every_case_that_is_at_hand() -> None:
    assert tuple(sorted(name[:2] for name in ASKED)) == CASES
    if not SHARED.is_dir():
        pytest.skip("shared/cases/evaluation does not lie beside the repository")
    assert sorted(path.stem for path in SHARED.glob("*.json")) == sorted(ASKED)


@pytest.mark.parametrize("case", ASKED)
def test_every_part_of_a_case_is_asked_once_or_has_a_reason(case: str) -> None:
    apart = {part for name, part in NOT_ASKED if name == case}
    assert not apart & set(ASKED[case])
    assert apart | set(ASKED[case]) == set(expected(case))


@pytest.mark.parametrize("case", ASKED)
def test_the_tests_that_are_named_exist_and_read_the_case(case: str) -> None:
    for part, test in ASKED[case].items():
        module, function = test.split(".")
        text = (HERE / f"{module}.py").read_text(encoding="utf-8")
        assert f"def {function}(" in text, f"{case}: {part}"
        assert case in text, f"{case} is not read by {module}"


def test_the_plain_before_and_after_has_the_numbers_of_fixest_for_the_covariate_too() -> None:
    panel = table("04_base_did_event_study")
    panel = panel.with_columns(after=((pl.col("treat") == 1) & (pl.col("period") >= 6)).cast(pl.Int64))
    found = two_way_fixed_effects(panel, outcome="y", treatment="after", covariates=["x1"], unit="id", time="period")
    for ours, theirs in (("after", "treat:post"), ("x1", "x1")):
        answer = expected("04_base_did_event_study")["twfe_did"][theirs]
        # The README of the cases: 1e-9 or better.
        assert found.pick(ours).estimate == pytest.approx(answer["estimate"], rel=1e-9)
        assert found.pick(ours).se == pytest.approx(answer["se"], rel=1e-9)
