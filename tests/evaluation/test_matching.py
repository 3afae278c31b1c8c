"""Matching and weighting on the propensity score: answers of R, invariances, and what is refused or warned of.

Tables made here are synthetic.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from evaluation_cases import expected, table
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import UsageError
from medfloor.evaluation import Fit, match, matched_did, matched_rows, two_way_fixed_effects
from medfloor.evaluation.balance import balance

CASE = "08_lalonde_psm"
COVARIATES = ["age", "educ", "i.race", "married", "nodegree", "re74", "re75"]
LALONDE = {"outcome": "re78", "treatment": "treat", "covariates": COVARIATES}
# Sums over a few hundred rows in another order: the last digits of doubles.
EXACT = {"rel": 1e-10}


def lalonde(**asked: object) -> Fit:
    return match(table(CASE), **LALONDE, **asked)  # type: ignore[arg-type]


def made_up(rows: int = 300, seed: int = 4, effect: float = 2.0) -> pl.DataFrame:
    """Make people who are insured the more often the older they are, and whose outcome depends on age."""
    rng = np.random.default_rng(seed)
    age, ill, sex = rng.normal(50, 12, rows), rng.normal(0, 1, rows), rng.integers(0, 2, rows)
    insured = (rng.random(rows) < 1 / (1 + np.exp(0.5 - 0.04 * (age - 50) - 0.3 * ill))).astype(int)
    y = 0.1 * age + ill + effect * insured + rng.normal(0, 1, rows)
    return pl.DataFrame(
        {
            "age": age,
            "ill": ill,
            "sex": [("f", "m")[i] for i in sex],
            "insured": insured,
            "y": y,
            "city": np.arange(rows) // 5,
        }
    )


ASKED = {"outcome": "y", "treatment": "insured", "covariates": ["age", "ill", "i.sex"]}


def test_the_score_is_the_logit_of_r() -> None:
    found = {row["covariate"]: row for row in lalonde().tables["score"].to_dicts()}
    for name, answer in expected(CASE)["pscore_logit"].items():
        ours = {"(Intercept)": "(constant)", "racehispan": "race=hispan", "racewhite": "race=white"}.get(name, name)
        # R's glm stops at a change of the deviance of 1e-8 and takes its variance from the step before, which is good to
        # 5e-5 here; ours goes on to the end, as statsmodels does.
        assert found[ours]["estimate"] == pytest.approx(answer["estimate"], rel=1e-6)
        assert found[ours]["se"] == pytest.approx(answer["se"], rel=1e-4)


def test_without_replacement_the_largest_first_is_that_of_matchit() -> None:
    answer, found = expected(CASE)["matchit_nn_noreplace_largest"], lalonde(replace=False)
    assert found.estimate == pytest.approx(answer["att"], **EXACT)
    assert found.se == pytest.approx(answer["se_cluster_subclass"], **EXACT)
    assert found.rows["rows"][0] == answer["n_matched"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_standardised_differences_are_those_of_matchit(when: str) -> None:
    rows = {row["covariate"]: row[when] for row in lalonde(replace=False).tables["balance"].to_dicts()}
    for name, answer in expected(CASE)["matchit_nn_noreplace_largest"][f"smd_{when}"].items():
        ours = "(score)" if name == "distance" else name.replace("race", "race=")
        # The score is that of glm, which stops early: about 1e-8.
        assert rows[ours] == pytest.approx(answer, rel=1e-7 if name == "distance" else 1e-10)


def test_one_neighbour_with_replacement_is_that_of_matchit() -> None:
    answer, found = expected(CASE)["matchit_nn_replace"], lalonde(ties="order")
    assert found.estimate == pytest.approx(answer["att"], **EXACT)
    assert found.facts["controls_used"] == answer["n_controls_used"]


def test_a_caliper_is_that_of_matchit() -> None:
    answer, found = expected(CASE)["matchit_caliper02"], lalonde(replace=False, caliper=0.2)
    assert found.estimate == pytest.approx(answer["att"], **EXACT)
    assert found.rows["rows"][0] == answer["n_matched"]


@pytest.mark.parametrize("neighbours", [1, 4])
def test_ties_and_errors_of_abadie_and_imbens_are_those_of_matching(neighbours: int) -> None:
    answer, found = expected(CASE)[f"Matching_M{neighbours}_ties"], lalonde(neighbours=neighbours)
    assert found.estimate == pytest.approx(answer["att"], **EXACT)
    assert found.se == pytest.approx(answer["se_abadie_imbens"], **EXACT)


def test_weights_give_the_difference_of_r() -> None:
    found = lalonde(method="weights")
    # The weights come from a score that R's glm stopped early at.
    assert found.estimate == pytest.approx(expected(CASE)["ipw_att_hajek"], rel=1e-8)
    assert found.facts["difference_before"] == pytest.approx(expected(CASE)["naive_diff"], **EXACT)


def test_the_error_of_weights_is_that_of_a_bootstrap() -> None:
    people = made_up(400)
    found = match(people, **ASKED, method="weights")
    rng = np.random.default_rng(9)
    drawn = [match(people[rng.integers(0, 400, 400)], **ASKED, method="weights").estimate for _ in range(120)]
    # 120 draws know a standard deviation to about 6.5 %: three times that.
    assert found.se == pytest.approx(float(np.std(drawn, ddof=1)), rel=0.2)


@pytest.mark.parametrize(
    "asked",
    [{}, {"neighbours": 3}, {"method": "weights"}, {"estimand": "ate"}, {"estimand": "ate", "method": "weights"},
     {"distance": "mahalanobis"}, {"distance": "logit", "caliper": 0.2}, {"replace": False}, {"common_support": True}],
    ids=str,
)  # fmt: skip
def test_a_known_effect_is_found(asked: dict[str, object]) -> None:
    found = match(made_up(1500), **ASKED, **asked)  # type: ignore[arg-type]
    assert found.se > 0
    # Four errors, and 0.3 for what matching on a line leaves of a difference in covariates (without replacement most).
    assert abs(found.estimate - 2.0) < 4 * found.se + 0.3


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["nearest", "weights"]), st.sampled_from(["score", "mahalanobis"]))
def test_the_order_of_rows_and_the_unit_of_a_covariate_change_nothing(seed: int, method: str, distance: str) -> None:
    people = made_up(80, seed)
    asked = {**ASKED, "method": method, "distance": distance}
    first = match(people, **asked)
    other = match(people.sample(fraction=1, shuffle=True, seed=seed).with_columns(age=1000 * pl.col("age")), **asked)
    # Another order of summing, and of the steps of the logit.
    assert other.estimate == pytest.approx(first.estimate, rel=1e-7, abs=1e-9)
    assert other.se == pytest.approx(first.se, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.booleans())
def test_nobody_serves_twice_without_replacement_and_calipers_hold(seed: int, number: int, mahalanobis: bool) -> None:
    people = made_up(60, seed)
    rows = matched_rows(
        people,
        **ASKED,
        replace=False,
        neighbours=number,
        caliper=0.3,
        distance="mahalanobis" if mahalanobis else "score",
    )
    for pair in rows.partition_by("matching_pair"):
        controls = pair.filter(pl.col("insured") == 0)
        assert pair["insured"].sum() == 1
        assert 1 <= controls.height <= number
        assert controls["matching_weight"].sum() == pytest.approx(1)
    # A score of those rows again, with their own columns, tells how far apart pairs are.
    assert rows.select("age", "ill").unique().height == rows.height


def test_greedy_matching_is_what_a_plain_loop_does() -> None:
    people = made_up(120, 7)
    score = match(people, **ASKED).tables["score"]["estimate"].to_numpy()
    x = np.column_stack([np.ones(120), people["age"], people["ill"], people["sex"] == "m"])
    p = np.round(1 / (1 + np.exp(-x @ score)), 12)
    treated, free = people["insured"].to_numpy() == 1, set(np.flatnonzero(people["insured"].to_numpy() == 0).tolist())
    y, differences = people["y"].to_numpy(), []
    for row in sorted(np.flatnonzero(treated).tolist(), key=lambda one: -p[one]):
        if not free:
            break
        nearest = min(free, key=lambda one: abs(p[one] - p[row]))
        free.remove(nearest)
        differences.append(y[row] - y[nearest])
    assert match(people, **ASKED, replace=False).estimate == pytest.approx(np.mean(differences), rel=1e-10)


def test_mahalanobis_of_one_covariate_is_its_own_distance_whatever_the_score() -> None:
    people = made_up(150, 3).with_columns(insured=1 - pl.col("insured"))
    asked = {**ASKED, "covariates": ["age"], "ties": "order"}
    age, y = people["age"].to_numpy(), people["y"].to_numpy()
    treated = people["insured"].to_numpy() == 1
    pool = np.flatnonzero(~treated)
    nearest = [pool[np.abs(age[pool] - age[row]).argmin()] for row in np.flatnonzero(treated)]
    found = match(people, **asked, distance="mahalanobis")
    assert found.estimate == pytest.approx(float(np.mean(y[treated] - y[nearest])), rel=1e-10)


def test_variance_ratios_and_distributions_are_as_defined() -> None:
    x = np.array([1.0, 2.0, 3.0, 2.0, 4.0, 6.0])
    treated = np.array([True, True, True, False, False, False])
    found = balance({"x": x}, treated, np.array([1.0, 1, 1, 3, 0, 0])).to_dicts()[0]
    assert found["before"] == pytest.approx(-2.0)
    assert found["variance_before"] == pytest.approx(0.25)
    assert found["ecdf_before"] == pytest.approx(2 / 3)
    assert found["after"] == pytest.approx(0.0)
    # Controls that are one row three times have no variance.
    assert found["variance_after"] is None


def test_pairs_may_not_hang_on_the_seed_of_hashes() -> None:
    code = (
        "import numpy as np, polars as pl\n"
        "from medfloor.evaluation.matching import match\n"
        "x = np.round(np.sin(np.arange(90)), 1)\n"
        "people = pl.DataFrame({'x': x, 'g': [str(i % 4) for i in range(90)], 'd': [i % 3 == 0 for i in range(90)]})\n"
        "asked = dict(outcome='y', treatment='d', covariates=['x', 'i.g'], ties='order')\n"
        "people = people.with_columns(y=pl.col('x') ** 2 + pl.int_range(90) % 7)\n"
        "print([repr(match(people, **asked, replace=one).estimate) for one in (True, False)])"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = os.pathsep.join([os.path.join(root, "src"), os.environ.get("PYTHONPATH", "")])
    said = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1


@pytest.mark.parametrize(
    ("change", "asked", "code"),
    [
        ({}, {"covariates": []}, "no_covariates"),
        ({"insured": pl.lit(0)}, {}, "nobody_treated"),
        ({"insured": pl.lit(1)}, {}, "nobody_untreated"),
        ({"insured": pl.lit(2)}, {}, "not_binary"),
        ({}, {"estimand": "all"}, "bad_choice"),
        ({}, {"estimand": "ate", "replace": False}, "bad_choice"),
        ({}, {"neighbours": 0}, "bad_number"),
        ({}, {"caliper": -1.0}, "bad_number"),
        ({}, {"caliper": 1e-9}, "no_matches"),
        ({}, {"cluster": "city"}, "bad_errors"),
        ({}, {"outcome": "nobody"}, "unknown_column"),
        ({}, {"outcome": "insured"}, "same_column"),
        ({"insured": (pl.col("age") > 50).cast(pl.Int64)}, {}, "separated"),
        ({"insured": (pl.int_range(pl.len()) > 3).cast(pl.Int64)}, {"neighbours": 9, "covariates": ["ill"]}, "too_few_controls"),
        ({"city": pl.lit(1)}, {"cluster": "city", "method": "weights"}, "one_cluster"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)  # fmt: skip
def test_what_cannot_be_matched_is_refused_in_our_words(
    change: dict[str, pl.Expr], asked: dict[str, object], code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        match(made_up(60).with_columns(**change), **{**ASKED, **asked})  # type: ignore[arg-type]
    assert caught.value.code == code


def test_no_overlap_is_told_of_the_treatment_and_sends_nobody_to_a_model_that_is_no_score() -> None:
    with pytest.raises(UsageError) as caught:
        match(made_up(60).with_columns(insured=(pl.col("age") > 50).cast(pl.Int64)), **ASKED)  # type: ignore[arg-type]
    assert caught.value.code == "separated"
    assert "who is treated" in caught.value.message
    assert "linear probability" not in caught.value.message


def test_score_and_constant_are_named_in_both_languages() -> None:
    found = match(made_up(), **ASKED)  # type: ignore[arg-type]
    assert {"（倾向得分）", "（常数项）"} <= set(found.text("zh").split())
    assert {"(score)", "(constant)"} <= set(found.text("en").split())


def test_rows_left_out_are_counted() -> None:
    people = made_up(200).with_columns(age=pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise(pl.col("age")))
    found = match(people, **ASKED, replace=False, caliper=0.1, common_support=True)
    told = {drop.reason: drop.rows for drop in found.drops}
    assert told["missing"] == 7
    used = found.rows["rows"][0] / 2
    assert told.get("off_support", 0) + told["no_match"] + used == people.drop_nulls()["insured"].sum()


def test_imbalance_and_few_clusters_are_warned_of() -> None:
    said = " ".join(one.say("en") for one in lalonde(replace=False).warnings)
    assert "5 covariates still differ" in said
    few = match(made_up(200).with_columns(city=pl.int_range(pl.len()) % 9), **ASKED, method="weights", cluster="city")
    assert any("9 clusters" in one.say("en") for one in few.warnings)


def panel(seed: int = 2, homes: int = 240, effect: float = 0.5) -> pl.DataFrame:
    """Make a panel of four waves; the treated are older, and the old change in another way than the young."""
    rng = np.random.default_rng(seed)
    home, wave = np.repeat(np.arange(homes), 4), np.tile([2012, 2014, 2016, 2018], homes)
    age = rng.normal(50, 10, homes)
    treated = rng.random(homes) < 1 / (1 + np.exp(-(age - 52) / 12))
    covered = (treated[home] & (wave >= 2016)).astype(int)
    trend = 0.04 * (age[home] - 50) * (wave - 2012) / 2
    y = rng.normal(0, 1, homes)[home] + effect * covered + trend + rng.normal(0, 0.5, homes * 4)
    return pl.DataFrame({"home": home, "wave": wave, "age": age[home], "covered": covered, "y": y, "city": home // 4})


PANEL = {"outcome": "y", "treatment": "covered", "unit": "home", "time": "wave", "covariates": ["age"]}


@pytest.mark.parametrize("replace", [True, False])
def test_matching_before_takes_out_a_trend_that_goes_with_a_covariate(replace: bool) -> None:
    found = matched_did(panel(homes=800), **PANEL, replace=replace)
    matched, plain = found.pick(model="matched_did"), found.pick(model="twfe")
    assert plain.estimate > 0.7
    assert abs(matched.estimate - 0.5) < 3 * matched.se


def test_matched_before_and_after_is_a_weighted_regression_on_matched_units() -> None:
    table = panel()
    found = matched_did(table, **PANEL, common_support=False)
    base = table.filter(pl.col("wave") == 2012).with_columns(ever=pl.col("home").is_in(table.filter(pl.col("covered") == 1)["home"].implode()).cast(pl.Int64))  # fmt: skip
    kept = matched_rows(base, outcome="y", treatment="ever", covariates=["age"], caliper=0.2)
    joined = table.join(kept.select("home", "matching_weight"), on="home", how="inner")
    same = two_way_fixed_effects(
        joined, outcome="y", treatment="covered", unit="home", time="wave", weight="matching_weight"
    )
    assert found.pick(model="matched_did").estimate == pytest.approx(same.value("covered"), rel=1e-12)
    assert found.pick(model="matched_did").se == pytest.approx(same.pick("covered").se, rel=1e-12)


def test_units_and_waves_may_bear_any_names() -> None:
    table = panel()
    other = table.with_columns(
        home=pl.format("h{}", (pl.col("home") * 7919) % 10_007), wave=(pl.col("wave") - 2010) // 2
    ).sample(fraction=1, shuffle=True, seed=3)
    first, second = matched_did(table, **PANEL), matched_did(other, **PANEL)
    assert second.pick(model="matched_did").estimate == pytest.approx(
        first.pick(model="matched_did").estimate, rel=1e-10
    )


def test_units_without_a_base_wave_or_treated_in_it_are_counted() -> None:
    table = panel().filter((pl.col("home") != 3) | (pl.col("wave") != 2012))
    table = table.with_columns(covered=pl.when(pl.col("home") == 5).then(1).otherwise(pl.col("covered")))
    told = {drop.reason: (drop.rows, drop.units) for drop in matched_did(table, **PANEL).drops}
    assert told["treated_at_base"] == (4, 1)
    assert told["not_in_base"] == (3, 1)
    assert told["unmatched"][0] == 4 * told["unmatched"][1]


def test_a_base_wave_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        matched_did(panel(), **PANEL, base=2013)
    assert caught.value.code == "no_such_wave"
    assert "2012, 2014" in caught.value.message


def test_errors_without_replacement_go_by_pairs_and_else_by_what_is_named() -> None:
    pairs = matched_did(panel(), **PANEL, replace=False)
    assert pairs.pick(model="matched_did").rows["clusters"][0] == pairs.facts["treated_matched"]
    by_city = matched_did(panel(), **PANEL, cluster="city")
    assert "city" in by_city.errors.say("en")


@pytest.mark.parametrize(
    ("change", "code"),
    [(pl.col("covered"), "nobody_treated"), ((pl.col("wave") >= 2016).cast(pl.Int64), "nobody_untreated")],
)
def test_what_a_base_wave_lacks_is_told_in_the_names_of_the_user(change: pl.Expr, code: str) -> None:
    base = 2018 if code == "nobody_treated" else None
    with pytest.raises(UsageError) as caught:
        matched_did(panel().with_columns(covered=change), **PANEL, base=base)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert "'covered'" in caught.value.message
    assert "_ever" not in caught.value.message
