"""Estimates of a survey: cases of R survey, the package svy on synthetic data, and what is defined where little is there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import check, table, vietnam
from scipy.stats import t as student

from medfloor.errors import InputError, UsageError
from medfloor.measures import Design, survey
from medfloor.measures.catastrophic import catastrophic

# The package svy and we do the same sums in another order; 1e-9 leaves room for rounding and for nothing else.
SAME = 1e-9


# Cases of R survey and R sampling


def test_case_a01_mean_of_a_stratified_sample() -> None:
    design = Design(weight="pw", strata="stype", fpc="fpc")
    found = survey.mean(table("api_strat"), value="api00", design=design)
    check("A01_mean_strat", found.estimate, found.se)


def test_case_a07_domain_of_a_cluster_sample() -> None:
    design = Design(weight="pw", psu="dnum", fpc="fpc")
    found = survey.mean(table("api_clus1"), value="api00", by="stype", design=design).pick(group="H")
    check("A07_domain_cluster", found.estimate, found.se)
    # R's degf(subset(design, stype == "H")): 8 districts have such a school.
    assert found.rows["df"].item() == 7


def test_case_a08_domain_of_a_two_stage_sample_drawn_with_replacement() -> None:
    design = Design(weight="pw", psu="dnum", ssu="snum")
    found = survey.mean(table("api_clus2"), value="api00", by="awards", design=design).pick(group="Yes")
    check("A08_domain_2stage", found.estimate, found.se)


def test_case_a09_logit_interval_of_a_proportion() -> None:
    design = Design(weight="pw", psu="dnum", fpc="fpc")
    found = survey.proportion(table("api_clus1"), value="awards", category="Yes", design=design)
    check("A09_prop_logit_ci", *found.interval)


def test_cases_k01_and_k02_probabilities_proportional_to_size() -> None:
    check("K01_pps", *survey.pps_inclusion_probabilities([5, 10, 20, 40, 80, 160, 320, 900], n=4))
    check("K02_pps", *survey.pps_inclusion_probabilities(range(1, 11), n=3))


def test_case_k06_logit_interval_of_catastrophic_spending() -> None:
    homes = vietnam().with_columns(che=pl.col("oop") > 0.1 * pl.col("consumption"))
    check("K06_ci_logit", *survey.proportion(homes, value="che", design=Design(psu="psu")).interval)


def test_case_k08_difference_of_two_domains_carries_their_covariance() -> None:
    found = catastrophic(vietnam(), thresholds=[0.1], by="urban", against="no", design=Design(psu="psu"))
    row = found.rows.filter(pl.col("statistic") == "headcount", pl.col("against").is_not_null())
    check("K08_subgroup_diff", row["estimate"].item(), row["se"].item())


def test_case_k11_three_rules_for_a_stratum_with_one_cluster() -> None:
    six = {"y": [1.0, 2, 3, 4, 5, 6], "stratum": list("aaabcc")}
    rules = [Design(strata="stratum", lonely=lonely) for lonely in ("remove", "average", "adjust")]
    check("K11_lonely_psu", *(survey.mean(six, value="y", design=rule).se for rule in rules))


# The package svy on synthetic data


def synthetic(seed: int = 7, clusters: int = 24, rows: int = 10) -> pl.DataFrame:
    """Make a sample of three strata; nothing in it was observed."""
    rng = np.random.default_rng(seed)
    n = clusters * rows
    stratum = np.repeat(["a", "b", "c"], n // 3)
    return pl.DataFrame(
        {
            "stratum": stratum,
            "psu": np.repeat(np.arange(clusters), rows),
            "ssu": np.arange(n),
            "w": rng.uniform(1, 5, n).round(3),
            "y": rng.lognormal(0, 1, n).round(3),
            "x": rng.uniform(1, 3, n).round(3),
            "g": rng.choice(["r", "u"], n),
            "h": rng.choice(["k", "l", "m"], n),
            "drawn_from": np.where(stratum == "a", 20.0, 40.0),
            "of_cluster": np.full(n, 25.0),
        }
    )


def peer(frame: pl.DataFrame, **design: Any) -> Any:
    svy = pytest.importorskip("svy", reason="the package svy, a test dependency, is not installed")
    return svy.Sample(frame, svy.Design(wgt="w", **design))


def frame_of(estimate: Any) -> pl.DataFrame:
    return estimate.to_polars()


DESIGNS = {
    "rows": ({}, Design(weight="w")),
    "strata": ({"stratum": "stratum"}, Design(weight="w", strata="stratum")),
    "clusters": ({"psu": "psu"}, Design(weight="w", psu="psu")),
    "both": ({"stratum": "stratum", "psu": "psu"}, Design(weight="w", strata="stratum", psu="psu")),
    "finite": (
        {"stratum": "stratum", "psu": "psu", "pop_size": "drawn_from"},
        Design(weight="w", strata="stratum", psu="psu", fpc="drawn_from"),
    ),
}


def two_stages() -> tuple[dict[str, Any], Design]:
    svy = pytest.importorskip("svy", reason="the package svy, a test dependency, is not installed")
    theirs = {
        "stratum": "stratum",
        "psu": "psu",
        "ssu": "ssu",
        "pop_size": svy.core.design.PopSize(psu="drawn_from", ssu="of_cluster"),
    }
    ours = Design(weight="w", strata="stratum", psu="psu", ssu="ssu", fpc="drawn_from", fpc2="of_cluster")
    return theirs, ours


def both_designs(name: str) -> tuple[dict[str, Any], Design]:
    return two_stages() if name == "two_stages" else DESIGNS[name]


@pytest.mark.parametrize("name", [*DESIGNS, "two_stages"])
def test_svy_finds_the_same_means_totals_and_ratios(name: str) -> None:
    theirs, ours = both_designs(name)
    frame = synthetic()
    estimation = peer(frame, **theirs).estimation
    for found, expected in (
        (survey.mean(frame, value="y", design=ours), estimation.mean("y", deff="wr")),
        (survey.total(frame, value="y", design=ours), estimation.total("y", deff="wr")),
        (survey.ratio(frame, value="y", over="x", design=ours), estimation.ratio("y", "x", deff="wr")),
    ):
        row, other = found.rows.row(0, named=True), frame_of(expected).row(0, named=True)
        assert row["estimate"] == pytest.approx(other["est"], rel=SAME)
        assert row["se"] == pytest.approx(other["se"], rel=SAME)
        assert (row["low"], row["high"]) == pytest.approx((other["lci"], other["uci"]), rel=SAME)
        assert row["df"] == other["df"] and row["n"] == other["n"]
        assert row["deff"] == pytest.approx(other["deff"], rel=SAME)


@pytest.mark.parametrize("name", [*DESIGNS, "two_stages"])
def test_svy_finds_the_same_domains(name: str) -> None:
    theirs, ours = both_designs(name)
    frame = synthetic()
    estimation = peer(frame, **theirs).estimation
    for found, expected in (
        (survey.mean(frame, value="y", by="g", design=ours), estimation.mean("y", by="g")),
        (survey.total(frame, value="y", by="g", design=ours), estimation.total("y", by="g")),
    ):
        groups = found.rows.filter(pl.col("by") == "g").sort("group")
        other = frame_of(expected).sort("g")
        assert groups["se"].to_list() == pytest.approx(other["se"].to_list(), rel=SAME)
        assert groups["low"].to_list() == pytest.approx(other["lci"].to_list(), rel=SAME)
        assert groups["df"].to_list() == other["df"].to_list()


def test_svy_finds_the_same_difference_of_domains() -> None:
    svy = pytest.importorskip("svy", reason="the package svy, a test dependency, is not installed")
    frame = synthetic()
    theirs, ours = DESIGNS["both"]
    contrast = peer(frame, **theirs).estimation.mean("y", by="g").contrast(svy.estd("u") - svy.estd("r"))
    other = frame_of(contrast).row(0, named=True)
    found = survey.mean(frame, value="y", by="g", against="r", design=ours).pick(group="u", against="r")
    assert found.estimate == pytest.approx(other["est"], rel=SAME)
    assert found.se == pytest.approx(other["se"], rel=SAME)
    assert found.rows["p"].item() == pytest.approx(other["p_value"], rel=SAME)


@pytest.mark.parametrize("deff", ["replacement", "population"])
def test_svy_finds_the_same_design_effect_against_either_reference(deff: str) -> None:
    frame = synthetic()
    theirs, ours = DESIGNS["both"]
    expected = peer(frame, **theirs).estimation.mean("y", deff={"replacement": "wr", "population": "wor"}[deff])
    found = survey.mean(frame, value="y", design=ours, deff=deff)
    assert found.rows["deff"].item() == pytest.approx(frame_of(expected)["deff"][0], rel=SAME)


def test_wald_and_arcsine_intervals_are_those_of_their_formulas() -> None:
    frame = synthetic()
    shares = survey.proportion(frame, value="h", interval="wald", design=DESIGNS["both"][1]).rows
    curved = survey.proportion(frame, value="h", interval="arcsine", design=DESIGNS["both"][1]).rows
    for plain, other in zip(shares.iter_rows(named=True), curved.iter_rows(named=True), strict=True):
        p, half = plain["estimate"], student.ppf(0.975, plain["df"]) * plain["se"]
        middle, wide = np.arcsin(np.sqrt(p)), half / (2 * np.sqrt(p * (1 - p)))
        assert (plain["low"], plain["high"]) == pytest.approx((p - half, p + half), rel=SAME)
        ends = np.sin(middle - wide) ** 2, np.sin(middle + wide) ** 2
        assert (other["low"], other["high"]) == pytest.approx(ends, rel=SAME)
    nobody = survey.proportion({"h": [0.0] * 5}, value="h", interval="arcsine")
    assert nobody.rows["low"][0] is None


@pytest.mark.parametrize("interval", ["logit", "beta", "wilson"])
def test_svy_finds_the_same_intervals_of_proportions(interval: str) -> None:
    frame = synthetic()
    theirs, ours = DESIGNS["both"]
    other = frame_of(peer(frame, **theirs).estimation.prop("h", ci_method=interval)).sort("h")
    found = survey.proportion(frame, value="h", interval=interval, design=ours).rows
    assert found["category"].to_list() == other["h"].to_list()
    assert found["low"].to_list() == pytest.approx(other["lci"].to_list(), rel=SAME)
    assert found["high"].to_list() == pytest.approx(other["uci"].to_list(), rel=SAME)


@pytest.mark.parametrize("by", [None, "g"])
@pytest.mark.parametrize("name", [*DESIGNS, "two_stages"])
def test_svy_finds_the_same_quantiles(name: str, by: str | None) -> None:
    theirs, ours = both_designs(name)
    frame = synthetic()
    found = survey.quantile(frame, value="y", by=by, probabilities=[0.1, 0.5, 0.9], design=ours).rows
    for share in (0.1, 0.5, 0.9):
        other = frame_of(peer(frame, **theirs).estimation.quantile("y", p=share, by=by))
        rows = found.filter(pl.col("probability") == share, pl.col("by").eq_missing(by))
        if by is not None:
            other, rows = other.sort("g"), rows.sort("group")
        assert rows["estimate"].to_list() == other["est"].to_list()
        assert rows["low"].to_list() == other["lci"].to_list()
        assert rows["high"].to_list() == other["uci"].to_list()
        assert rows["se"].to_list() == pytest.approx(other["se"].to_list(), rel=SAME)


@pytest.mark.parametrize(("lonely", "singleton"), [("adjust", "center"), ("average", "scale"), ("remove", "skip")])
def test_svy_finds_the_same_with_a_lonely_cluster(lonely: str, singleton: str) -> None:
    frame = synthetic().filter(~((pl.col("stratum") == "c") & (pl.col("psu") > 16)))
    estimation = peer(frame, stratum="stratum", psu="psu", singleton=singleton).estimation
    design = Design(weight="w", strata="stratum", psu="psu", lonely=lonely)
    mean, total = (f(frame, value="y", design=design) for f in (survey.mean, survey.total))
    assert mean.se == pytest.approx(frame_of(estimation.mean("y"))["se"][0], rel=SAME)
    # For a total, too, the lonely cluster is held against the mean of all clusters (R survey did not before 4.3).
    assert total.se == pytest.approx(frame_of(estimation.total("y"))["se"][0], rel=SAME)
    assert "one cluster" in mean.text() and mean.special["lonely_strata"] == 1


REPLICATES = {
    "bootstrap": ("create_bs_wgts", {"n_reps": 40, "rstate": 3}, {}),
    "brr": ("create_brr_wgts", {}, {}),
    "fay": ("create_brr_wgts", {"fay_coef": 0.3}, {"fay": 0.3}),
    "jkn": ("create_jk_wgts", {}, {"replicate_scales": (0.875,) * 24}),
    "jk2": ("create_jk_wgts", {"paired": True}, {}),
    "sdr": ("create_sdr_wgts", {"n_reps": 8}, {}),
}


@pytest.mark.parametrize("kind", REPLICATES)
def test_svy_finds_the_same_from_its_replicate_weights(kind: str) -> None:
    make, options, more = REPLICATES[kind]
    made = getattr(peer(synthetic(), stratum="stratum", psu="psu").weighting, make)(**options)
    names = tuple(made.design.rep_wgts.columns)
    design = Design(weight="w", method="replicates", replicate_weights=names, kind=kind, **more)
    for by in (None, "g"):
        for ours, theirs in ((survey.mean, made.estimation.mean), (survey.total, made.estimation.total)):
            found = ours(made.data, value="y", by=by, design=design).rows.filter(pl.col("by").eq_missing(by))
            other = frame_of(theirs("y", by=by, method="replication"))
            other = other if by is None else other.sort("g")
            assert found["se"].to_list() == pytest.approx(other["se"].to_list(), rel=SAME)
    found = survey.ratio(made.data, value="y", over="x", design=design)
    other = frame_of(made.estimation.ratio("y", "x", method="replication"))
    assert found.se == pytest.approx(other["se"][0], rel=SAME)


def test_our_jackknife_is_that_of_svy() -> None:
    frame = synthetic()
    made = peer(frame, stratum="stratum", psu="psu").weighting.create_jk_wgts()
    design = Design(weight="w", strata="stratum", psu="psu", method="jackknife")
    for ours, theirs in ((survey.mean, made.estimation.mean), (survey.total, made.estimation.total)):
        found = ours(frame, value="y", by="g", design=design).rows
        other = frame_of(theirs("y", by="g", method="replication")).sort("g")
        assert found.filter(by="g")["se"].to_list() == pytest.approx(other["se"].to_list(), rel=SAME)


def test_degrees_of_freedom_of_replicates_are_their_rank_less_one() -> None:
    made = peer(synthetic(), stratum="stratum", psu="psu").weighting.create_jk_wgts()
    names = tuple(made.design.rep_wgts.columns)
    given = {"method": "replicates", "replicate_weights": names, "kind": "jkn", "replicate_scales": (0.875,) * 24}
    # The replicates of each stratum add up to the same, so that 24 of them in 3 strata span 22 dimensions (R's degf).
    assert survey.mean(made.data, value="y", design=Design(weight="w", **given)).rows["df"].item() == 21
    handbook = survey.mean(made.data, value="y", design=Design(weight="w", degrees=10, **given))
    assert handbook.rows["df"].item() == 10


# Properties and failures


samples = st.lists(
    st.tuples(st.floats(0, 100), st.integers(1, 5), st.integers(0, 3), st.integers(0, 1)), min_size=6, max_size=30
)


def framed(rows: list[tuple[float, int, int, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["y", "w", "psu", "g"], orient="row")


@settings(max_examples=25)
@given(samples)
def test_weights_of_k_are_k_copies_of_a_row_in_its_cluster(rows: list[tuple[float, int, int, int]]) -> None:
    frame = framed(rows)
    copies = frame.select(pl.all().repeat_by("w").explode())
    for function, options in (
        (survey.mean, {}),
        (survey.total, {}),
        (survey.quantile, {"probabilities": [0.3, 0.5]}),
        (survey.quantile, {"probabilities": [0.5], "rule": "midpoint"}),
    ):
        weighted = function(frame, value="y", design=Design(weight="w", psu="psu"), **options).rows
        copied = function(copies, value="y", design=Design(psu="psu"), **options).rows
        for column in ("estimate", "se", "low"):
            # The same sums in another order; a variance of zero may come out as 1e-16 of the squares it is made of.
            left, right = (f[column].fill_null(-1).to_list() for f in (weighted, copied))
            assert left == pytest.approx(right, rel=1e-6, abs=1e-6)


@settings(max_examples=25)
@given(samples, st.floats(0.01, 1000))
def test_estimates_scale_with_the_unit_and_not_with_the_weights(
    rows: list[tuple[float, int, int, int]], k: float
) -> None:
    frame = framed(rows)
    plain = survey.mean(frame, value="y", design=Design(weight="w", psu="psu"))
    scaled = survey.mean(frame, value=pl.col("y") * k, design=Design(weight="w", psu="psu"))
    heavier = survey.mean(frame.with_columns(pl.col("w") * k), value="y", design=Design(weight="w", psu="psu"))
    assert scaled.estimate == pytest.approx(k * plain.estimate, rel=1e-9)
    assert scaled.se == pytest.approx(k * plain.se, rel=1e-6, abs=1e-9 * k, nan_ok=True)
    assert heavier.se == pytest.approx(plain.se, rel=1e-6, abs=1e-9, nan_ok=True)


@settings(max_examples=25)
@given(samples)
def test_totals_of_groups_add_up_and_categories_make_one(rows: list[tuple[float, int, int, int]]) -> None:
    frame = framed(rows)
    found = survey.total(frame, value="y", by="g", design=Design(weight="w")).rows
    whole = found.filter(pl.col("by").is_null())["estimate"].item()
    assert found.filter(by="g")["estimate"].sum() == pytest.approx(whole, rel=1e-12, abs=1e-9)
    shares = survey.proportion(
        frame.with_columns(pl.col("psu").cast(pl.String)), value="psu", design=Design(weight="w")
    )
    assert shares.rows["estimate"].sum() == pytest.approx(1)
    within = shares.rows.filter(pl.col("low").is_not_null())
    assert (within["low"] <= within["estimate"]).all() and (within["high"] <= 1).all()


def test_rows_with_a_missing_value_stay_in_the_design() -> None:
    frame = synthetic()
    holes = frame.with_columns(pl.when(pl.col("g") == "r").then(pl.col("y")))
    design = Design(weight="w", strata="stratum", psu="psu")
    for method in ("linearised", "jackknife", "bootstrap"):
        chosen = Design(**{**vars_of(design), "method": method, "replicates": 50})
        gone = survey.mean(holes, value="y", design=chosen)
        domain = survey.mean(frame, value="y", by="g", design=chosen).pick(group="r")
        assert (gone.estimate, gone.se) == pytest.approx((domain.estimate, domain.se), rel=1e-12)
        assert gone.special["missing"] == (frame["g"] == "u").sum()


@pytest.mark.parametrize("method", ["linearised", "jackknife", "bootstrap"])
def test_rows_with_a_missing_value_stay_in_a_design_without_clusters(method: str) -> None:
    frame = synthetic(clusters=6, rows=8)
    holes = frame.with_columns(pl.when(pl.col("g") == "r").then(pl.col("y")))
    rows = frame.with_row_index("row")
    for function in (survey.mean, survey.total):
        options = {"weight": "w", "strata": "stratum", "method": method, "replicates": 60}
        plain = function(holes, value="y", design=Design(**options))
        # The same design with every row named as a cluster of its own takes another path through the engine.
        named = function(rows, value="y", by="g", design=Design(psu="row", **options)).pick(group="r")
        # The bootstrap gives the rows other places, so that other rows are drawn; the rest is the same to rounding.
        assert plain.se == pytest.approx(named.se, rel=0.5 if method == "bootstrap" else 1e-9)


def vars_of(design: Design) -> dict[str, Any]:
    return {name: getattr(design, name) for name in Design.__slots__}


def test_jackknife_and_bootstrap_come_near_the_linearised_error() -> None:
    frame = synthetic(clusters=60, rows=20)
    known = {"weight": "w", "strata": "stratum", "psu": "psu", "fpc": "of"}
    frame = frame.with_columns(of=pl.lit(60.0))
    line = survey.ratio(frame, value="y", over="x", design=Design(**known)).se
    # With 60 clusters the jackknife differs by terms of the order 1/60, the bootstrap of 800 also by 1/sqrt(1600).
    assert survey.ratio(frame, value="y", over="x", design=Design(**known, method="jackknife")).se == pytest.approx(
        line, rel=0.02
    )
    boot = Design(**known, method="bootstrap", replicates=800)
    assert survey.ratio(frame, value="y", over="x", design=boot).se == pytest.approx(line, rel=0.1)


def test_percentile_intervals_of_the_bootstrap_lie_around_the_estimate_and_need_not_be_symmetric() -> None:
    frame = synthetic()
    design = Design(weight="w", psu="psu", method="bootstrap", replicates=200, bootstrap_interval="percentile")
    found = survey.mean(frame, value="y", design=design)
    low, high = found.interval
    assert low < found.estimate < high
    assert high - low == pytest.approx(2 * 1.96 * found.se, rel=0.2)  # 200 replicates give ends within some 10 %
    assert "percentiles" in found.text()


def test_quantiles_by_jackknife_replicate_the_share_and_by_bootstrap_the_quantile() -> None:
    frame = synthetic()
    known = {"weight": "w", "strata": "stratum", "psu": "psu"}
    line, jack, boot = (
        survey.quantile(
            frame,
            value="y",
            probabilities=[0.5],
            by="g",
            against="r",
            design=Design(**known, method=method, replicates=300),
        )
        for method in ("linearised", "jackknife", "bootstrap")
    )
    # The share is a ratio of totals: 24 clusters leave some per cent between jackknife and linearised error, which
    # may move the ends of the interval by one value of the sample.
    assert jack.pick(probability=0.5).se == pytest.approx(line.pick(probability=0.5).se, rel=0.1)
    assert jack.pick(group="u", against="r").se == pytest.approx(line.pick(group="u", against="r").se, rel=0.15)
    # The bootstrap looks at jumps from value to value; it agrees in size only.
    assert boot.pick(group="u", against="r").se == pytest.approx(line.pick(group="u", against="r").se, rel=0.5)


def test_a_quantile_has_no_error_where_the_interval_of_the_share_leaves_0_to_1() -> None:
    found = survey.quantile({"y": [1.0, 2.0, 3.0, 4.0, 5.0]}, value="y", probabilities=[0.05])
    assert found.estimate == 1 and math.isnan(found.se) and found.rows["low"].item() is None
    assert "no error" in found.text()


def test_a_share_of_nobody_has_no_logit_interval_and_a_one_sided_other() -> None:
    nobody = {"sick": [0] * 50}
    assert survey.proportion(nobody, value="sick").rows["high"].item() is None
    low, high = survey.proportion(nobody, value="sick", interval="beta").interval
    # Clopper and Pearson: 1 - 0.025^(1/50), with n - 1 degrees of freedom on both sides.
    assert (low, high) == pytest.approx((0.0, 1 - 0.025 ** (1 / 50)))
    assert 0 < survey.proportion(nobody, value="sick", interval="wilson").interval[1] < 0.1


def test_one_cluster_one_household_and_a_constant_column() -> None:
    alone = survey.mean({"y": [3.0]}, value="y")
    assert alone.estimate == 3 and math.isnan(alone.se)
    village = survey.mean({"y": [1.0, 2.0], "psu": [1, 1]}, value="y")
    assert village.estimate == 1.5 and math.isnan(village.se) and village.rows["df"].item() == 0
    same = survey.mean({"y": [7.0] * 5}, value="y")
    assert same.se == 0 and same.interval == (7, 7) and same.rows["deff"].item() is None
    flat = survey.quantile({"y": [7.0] * 5}, value="y", probabilities=[0.5])
    assert flat.estimate == 7


def test_a_ratio_over_nothing_is_null_with_a_note() -> None:
    found = survey.ratio({"y": [1.0, 2.0], "x": [0.0, 0.0]}, value="y", over="x")
    assert found.rows["estimate"].item() is None and "not defined" in found.text()


def test_weights_that_are_negative_zero_missing_or_infinite() -> None:
    with pytest.raises(InputError, match="weight of row 2 is -1"):
        survey.mean({"y": [1.0, 2.0], "weight": [1.0, -1.0]}, value="y")
    with pytest.raises(InputError, match="every weight is zero"):
        survey.mean({"y": [1.0, 2.0], "weight": [0.0, 0.0]}, value="y")
    with pytest.raises(InputError, match="infinite"):
        survey.mean({"y": [1.0, 2.0], "weight": [1.0, math.inf]}, value="y")
    found = survey.mean({"y": [1.0, 2.0, 9.0, 4.0], "weight": [1.0, 1.0, 0.0, None]}, value="y")
    assert found.estimate == 1.5 and found.n == 2
    assert found.special["missing"] == 1 and found.special["zero_weight"] == 1


def test_huge_weights_and_values_lose_no_digits() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(0, 1, 400)
    plain = survey.mean({"y": y, "weight": np.ones(400)}, value="y").rows.row(0, named=True)
    far = survey.mean({"y": y + 1e9, "weight": np.full(400, 1e12)}, value="y").rows.row(0, named=True)
    # y + 1e9 keeps seven decimals of y; nothing more is lost on the way.
    assert far["se"] == pytest.approx(plain["se"], rel=1e-6)
    assert far["deff"] == pytest.approx(1, rel=1e-6)


def test_categories_are_refused_where_they_are_too_many_or_not_there() -> None:
    with pytest.raises(UsageError, match="60 different values"):
        survey.proportion({"y": list(range(60))}, value="y")
    with pytest.raises(UsageError, match="is never 'maybe'; it is no, yes"):
        survey.proportion({"y": ["yes", "no"]}, value="y", category="maybe")


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda t: survey.mean(t, value=[]), "no_columns"),
        (lambda t: survey.mean(t, value="y", deff="wor"), "bad_choice"),
        (lambda t: survey.mean(t, value="y", against="x"), "no_such_group"),
        (lambda t: survey.quantile(t, value="y", probabilities=[1.0]), "bad_probability"),
        (lambda t: survey.quantile(t, value="y", rule="hf7"), "bad_choice"),
        (lambda t: survey.proportion(t, value="y", interval="exact"), "bad_choice"),
        (lambda t: survey.pps_inclusion_probabilities([1.0, -1.0], n=1), "bad_size"),
        (lambda t: survey.pps_inclusion_probabilities([1.0, 0.0], n=2), "bad_number"),
    ],
)
def test_misuse_is_named(call: Any, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        call({"y": [1.0, 2.0]})
    assert caught.value.code == code


def test_several_columns_and_expressions_keep_their_names() -> None:
    frame = {"y": [1.0, 2.0, None], "x": [2.0, 2.0, 2.0]}
    found = survey.mean(frame, value=["y", pl.col("x") * 2, (pl.col("y") + pl.col("x")).alias("both")])
    assert found.rows["variable"].to_list() == ["y", "x", "both"]
    assert found.rows["estimate"].to_list() == [1.5, 4.0, 3.5]
    assert found.special["missing"] == 1


def test_people_are_counted_by_the_size_of_their_household() -> None:
    frame = {"y": [1.0, 4.0], "size": [2, 1]}
    assert survey.mean(frame, value="y", unit="person").estimate == 2
    assert survey.total(frame, value="y", unit="person").weighted_n == 3


def test_the_design_is_summed_up() -> None:
    frame = synthetic()
    found = survey.design_summary(frame, design=Design(weight="w", strata="stratum", psu="psu"), by="stratum")
    assert found.value("clusters") == 24 and found.value("strata") == 3 and found.value("rows") == 240
    assert found.value("clusters", group="a") == 8 and found.value("strata", group="a") == 1
    weights = frame["w"].to_numpy()
    assert found.value("effective_rows") == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert found.rows.filter(pl.col("statistic") == "rows")["df"].to_list() == [21, 7, 7, 7]


@settings(max_examples=40)
@given(st.lists(st.floats(0.1, 1000), min_size=2, max_size=30), st.data())
def test_inclusion_probabilities_add_up_to_the_sample(sizes: list[float], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(sizes)))
    found = survey.pps_inclusion_probabilities(sizes, n=n)
    assert found.sum() == pytest.approx(n) and found.min() > 0 and found.max() <= 1
    order = np.argsort(sizes)
    assert (np.diff(found[order]) >= -1e-12).all()  # a larger unit is never less likely


def test_the_variation_of_weights_is_their_spread_over_their_mean() -> None:
    found = survey.design_summary({"weight": [1.0, 3.0]}, design=Design(weight="weight"))
    assert found.value("weight_cv") == pytest.approx(0.5)
    assert found.value("kish_deff") == pytest.approx(1.25)
    assert found.value("effective_rows") == pytest.approx(1.6)


def test_half_the_weight_exactly_reached_has_its_quantile_midway_only_by_that_rule() -> None:
    for rule, median in (("inverse", 2.0), ("midpoint", 2.5)):
        found = survey.quantile({"y": [4.0, 1.0, 3.0, 2.0]}, value="y", probabilities=[0.5], rule=rule)  # type: ignore[arg-type]
        assert found.value("quantile") == median
        uneven = {"y": [1.0, 2.0, 3.0], "weight": [1.0, 1.0, 2.5]}
        assert survey.quantile(uneven, value="y", probabilities=[0.5], rule=rule).value("quantile") == 3  # type: ignore[arg-type]
