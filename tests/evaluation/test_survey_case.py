"""Case 13, schools of California in clusters: answers of R's survey through the survey functions and the estimators."""

from __future__ import annotations

import pytest
from evaluation_cases import expected, table

from medfloor.evaluation import binary, two_way_fixed_effects
from medfloor.measures import Design, survey

CASE = "13_apiclus_survey"
# The case was made without a finite population: clusters (dnum) and weights only.
DESIGN = Design(weight="pw", psu="dnum")
# Sums over 183 schools in another order: the last digits of doubles.
EXACT = {"rel": 1e-10}


def test_the_mean_of_clusters_and_its_error_are_those_of_r() -> None:
    answer, found = expected(CASE)["mean"], survey.mean(table(CASE), value="api00", design=DESIGN)
    assert found.estimate == pytest.approx(answer["estimate"], **EXACT)
    assert found.se == pytest.approx(answer["se"], **EXACT)


def test_quantiles_are_those_of_r() -> None:
    found = survey.quantile(table(CASE), value="api00", probabilities=(0.25, 0.5, 0.75), design=DESIGN)
    # R's rule "math" is the inverse of the distribution, which is our default: values of the table, exactly.
    assert found.rows["estimate"].to_list() == expected(CASE)["quantile_math"]


def test_a_ratio_of_totals_and_its_error_are_those_of_r() -> None:
    answer = expected(CASE)["ratio"]
    found = survey.ratio(table(CASE), value="api00", over="enroll", design=DESIGN)
    assert found.estimate == pytest.approx(answer["estimate"], **EXACT)
    assert found.se == pytest.approx(answer["se"], **EXACT)


def test_means_of_domains_keep_the_clusters_of_the_whole_sample() -> None:
    answer, found = expected(CASE)["by_stype"], survey.mean(table(CASE), value="api00", by="stype", design=DESIGN)
    for group, mean, se in zip(answer["stype"], answer["mean"], answer["se"], strict=True):
        one = found.pick("mean", group=group)
        assert one.estimate == pytest.approx(mean, **EXACT)
        assert one.se == pytest.approx(se, **EXACT)


def test_a_weighted_regression_with_clusters_is_svyglm_up_to_the_small_sample_factor() -> None:
    found = two_way_fixed_effects(
        table(CASE), outcome="api00", treatment="ell", covariates=["meals", "mobility"], weight="pw", cluster="dnum",
        small_sample="none",
    )  # fmt: skip
    # svyglm enlarges by G/(G-1) and nothing else; errors without any small-sample factor are multiplied by just that.
    clusters = int(found.facts["clusters"])
    factor = (clusters / (clusters - 1)) ** 0.5
    for term, answer in expected(CASE)["svyglm"].items():
        one = found.pick("intercept" if term == "(Intercept)" else term)
        assert one.estimate == pytest.approx(answer["estimate"], **EXACT)
        assert one.se * factor == pytest.approx(answer["se"], rel=1e-9)


def test_a_weighted_logit_with_clusters_is_svyglm() -> None:
    found = binary(
        table(CASE), outcome="low", treatment="ell", covariates=["meals"], weight="pw", cluster="dnum", model="logit"
    )
    for term, answer in expected(CASE)["svyglm_logit"].items():
        one = found.pick("constant" if term == "(Intercept)" else term)
        # R's glm stops when the deviance changes by less than 1e-8, and takes its variance from the step before.
        assert one.estimate == pytest.approx(answer["estimate"], rel=1e-6)
        assert one.se == pytest.approx(answer["se"], rel=2e-5)
