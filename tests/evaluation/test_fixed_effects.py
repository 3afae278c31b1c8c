"""Two-way fixed effects: against R's fixest, estimatr and clubSandwich, against plain least squares, and against itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from evaluation_cases import expected, table
from hypothesis import given, settings
from hypothesis import strategies as st
from made_panels import panel

from medfloor.errors import UsageError
from medfloor.evaluation import two_way_fixed_effects
from medfloor.evaluation.absorbed import regress

MEN = {"outcome": "wage", "treatment": "union01", "covariates": ["married01", "exper2"], "unit": "nr", "time": "year"}
HOMES = {"outcome": "oop", "treatment": "covered", "covariates": ["age"], "unit": "home", "time": "wave"}
# What the README of the cases promises for pyfixest against fixest; numbers here are in fact equal to 1e-12.
RTOL = 1e-9


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("fixest_cluster_nr", {}),
        ("fixest_cluster_nr", {"cluster": "nr"}),
        ("fixest_iid", {"errors": "iid"}),
        ("fixest_hetero", {"errors": "hc1"}),
        ("fixest_cluster_nr_year", {"cluster": ("nr", "year")}),
        ("estimatr_stata_cluster", {"small_sample": "full"}),
    ],
)
def test_coefficients_and_errors_are_those_of_r(kind: str, asked: dict[str, object]) -> None:
    want = expected("02_males_twfe_cluster")[kind]
    found = two_way_fixed_effects(table("02_males_twfe_cluster"), **MEN, **asked)  # type: ignore[arg-type]
    for term, numbers in want.items():
        one = found.pick(term)
        assert one.estimate == pytest.approx(numbers["estimate"], rel=RTOL)
        assert one.se == pytest.approx(numbers["se"], rel=RTOL)
    assert found.facts["rows"] == expected("02_males_twfe_cluster")["n"]


def test_bias_reduced_errors_and_their_degrees_of_freedom_are_those_of_clubsandwich() -> None:
    want = expected("02_males_twfe_cluster")["clubSandwich_CR2_first60"]
    men = table("02_males_twfe_cluster")
    first = men["nr"].unique(maintain_order=True)[:60]
    found = two_way_fixed_effects(men.filter(pl.col("nr").is_in(first.implode())), **MEN, errors="cr2")
    for term, numbers in want.items():
        row = found.pick(term).rows.row(0, named=True)
        assert row["estimate"] == pytest.approx(numbers["estimate"], rel=RTOL)
        # Roots and inverses of small matrices are taken in another order than R takes them.
        assert row["se"] == pytest.approx(numbers["se"], rel=1e-8)
        assert row["df"] == pytest.approx(numbers["df"], rel=1e-7)


def test_poisson_with_plain_robust_errors_is_that_of_r() -> None:
    want = expected("16_affairs_tobit_poisson")["poisson_HC0"]
    affairs = table("16_affairs_tobit_poisson")
    found = two_way_fixed_effects(
        affairs, outcome="affairs", treatment="age", covariates=affairs.columns[2:], family="poisson", errors="hc1",
        small_sample="none",
    )  # fmt: skip
    for term, numbers in want.items():
        one = found.pick("intercept" if term == "(Intercept)" else term)
        assert one.estimate == pytest.approx(numbers["estimate"], rel=RTOL)
        # R's glm stops its iterations at 1e-8, and its errors are of the last but one step.
        assert one.se == pytest.approx(numbers["se"], rel=1e-7)


def _dummies(frame: pl.DataFrame, names: list[str]) -> np.ndarray:
    columns = [
        (frame[name] == level).to_numpy().astype(float) for name in names for level in frame[name].unique().sort()
    ]
    return np.column_stack(columns)


def _by_hand(frame: pl.DataFrame, y: str, x: list[str], effects: list[str], cluster: str, w: str | None) -> tuple:
    """Least squares with a column for each level, and Arellano's errors without small-sample factor."""
    design = np.column_stack([frame.select(pl.col(x).cast(float)).to_numpy(), _dummies(frame, effects)])
    weight = frame[w].to_numpy().astype(float) if w else np.ones(frame.height)
    root = np.sqrt(weight)
    outcome = frame[y].to_numpy() * root
    design = design * root[:, None]
    inverse = np.linalg.pinv(design.T @ design)
    beta = inverse @ design.T @ outcome
    scores = design * (outcome - design @ beta)[:, None]
    codes = np.unique(frame[cluster].to_numpy(), return_inverse=True)[1]
    sums = np.zeros((codes.max() + 1, design.shape[1]))
    np.add.at(sums, codes, scores)
    errors = np.sqrt(np.diag(inverse @ sums.T @ sums @ inverse))
    return beta[: len(x)], errors[: len(x)]


@pytest.mark.parametrize("weight", [None, "w"])
def test_unbalanced_and_weighted_panels_agree_with_a_column_for_each_level(weight: str | None) -> None:
    men = table("18_males_unbalanced_weighted")
    # Dummies of 545 men are much for a test; every fifth will do.
    men = men.filter(pl.col("nr").rank("dense") % 5 == 0)
    found = two_way_fixed_effects(men, **MEN, weight=weight, small_sample="none")
    beta, errors = _by_hand(men, "wage", ["union01", "married01", "exper2"], ["nr", "year"], "nr", weight)
    # The pseudo-inverse of a singular matrix of 117 columns costs some digits.
    assert found.rows["estimate"].to_list() == pytest.approx(beta.tolist(), rel=1e-8)
    assert found.rows["se"].to_list() == pytest.approx(errors.tolist(), rel=1e-8)


def test_arellano_errors_are_those_of_linearmodels() -> None:
    from linearmodels.panel import PanelOLS

    firms = table("01_grunfeld_fe").with_columns(pl.col("firm").cast(pl.Int64))
    found = two_way_fixed_effects(
        firms, outcome="inv", treatment="value", covariates=["capital"], unit="firm", time="year", small_sample="none",
        effects=["firm"],
    )  # fmt: skip
    frame = firms.to_pandas().set_index(["firm", "year"])
    other = PanelOLS(frame["inv"], frame[["value", "capital"]], entity_effects=True).fit(
        cov_type="clustered",
        cluster_entity=True,
        debiased=False,
        auto_df=False,
        count_effects=False,
        group_debias=False,
    )
    assert found.rows["estimate"].to_list() == pytest.approx(other.params.tolist(), rel=RTOL)
    assert found.rows["se"].to_list() == pytest.approx(other.std_errors.tolist(), rel=RTOL)


def test_without_effects_it_is_least_squares() -> None:
    homes = panel()
    found = two_way_fixed_effects(homes, outcome="oop", treatment="covered", covariates=["i.sex"], errors="iid")
    design = np.column_stack([homes["covered"], (homes["sex"] == "m").cast(float), np.ones(homes.height)])
    beta = np.linalg.lstsq(design, homes["oop"].to_numpy(), rcond=None)[0]
    assert found.rows["term"].to_list() == ["covered", "sex=m", "intercept"]
    assert found.rows["model"].unique().to_list() == ["ols"]
    assert found.rows["estimate"].to_list() == pytest.approx(beta.tolist(), rel=1e-9)


def test_poisson_leaves_out_units_that_are_always_zero_and_says_so() -> None:
    homes = panel().with_columns(visits=pl.when(pl.col("home").is_in(["h1", "h2"])).then(0.0).otherwise("visits"))
    asked = {"outcome": "visits", "treatment": "covered", "unit": "home", "time": "wave", "family": "poisson"}
    found = two_way_fixed_effects(homes, **asked)  # type: ignore[arg-type]
    dropped = {drop.reason: drop.rows for drop in found.drops}
    assert found.facts["rows"] == homes.height - sum(dropped.values())
    always = homes.group_by("home").agg(pl.col("visits").sum()).filter(pl.col("visits") == 0)
    assert dropped["always_zero"] >= homes.filter(pl.col("home").is_in(always["home"].implode())).height - 2
    assert "shows_poisson" in found.shows[0].key


def test_a_crossed_effect_is_a_level_for_each_pair() -> None:
    homes = panel(missing=0).with_columns(region=pl.col("city") % 2, mark=pl.col("city") % 2 * 10_000 + pl.col("wave"))
    crossed = two_way_fixed_effects(homes, **HOMES, effects=["home", "region^wave"])
    marked = two_way_fixed_effects(homes, **HOMES, effects=["home", "mark"])
    assert crossed.rows["estimate"].to_list() == pytest.approx(marked.rows["estimate"].to_list(), rel=RTOL)
    assert crossed.rows["model"].unique().to_list() == ["effects"]


def test_a_joint_test_of_several_treatments_is_given() -> None:
    homes = panel().with_columns(long=pl.col("covered") * (pl.col("wave") >= 2016))
    found = two_way_fixed_effects(homes, **HOMES | {"treatment": ["covered", "long"]})
    assert found.rows["term"].to_list() == ["covered", "long", "age"]
    assert 0 <= float(found.facts["joint_p"]) <= 1


@settings(max_examples=8)
@given(st.randoms(use_true_random=False))
def test_neither_order_nor_names_nor_labels_of_waves_matter(random: object) -> None:
    homes = panel()
    whole = two_way_fixed_effects(homes, **HOMES, cluster="city").rows
    order = list(range(homes.height))
    random.shuffle(order)  # type: ignore[attr-defined]
    other = homes[order].with_columns(
        home=pl.col("home").replace_strict({one: f"z{len(one)}{one[::-1]}" for one in homes["home"].unique()}),
        wave=(pl.col("wave") - 2010) // 2,
    )
    again = two_way_fixed_effects(other, **HOMES, cluster="city").rows
    # Sums are taken in another order.
    for name in ("estimate", "se", "df", "p"):
        assert again[name].to_list() == pytest.approx(whole[name].to_list(), rel=1e-9)


@settings(max_examples=8)
@given(st.sampled_from([1e-9, 1e-4, 3.0, 1e6, 1e12]), st.sampled_from([1e-6, 7.0, 1e8]))
def test_units_of_measurement_do_not_matter(by: float, outcome_by: float) -> None:
    homes = panel()
    whole = two_way_fixed_effects(homes, **HOMES, cluster="city")
    scaled = homes.with_columns(pl.col("age") * by, pl.col("oop") * outcome_by)
    again = two_way_fixed_effects(scaled, **HOMES, cluster="city")
    for name in ("estimate", "se"):
        want = whole.rows[name].to_list()
        assert again.rows[name].to_list() == pytest.approx([want[0] * outcome_by, want[1] * outcome_by / by], rel=1e-8)


def test_the_seed_of_hashes_does_not_matter() -> None:
    code = (
        "import polars as pl, warnings\n"
        "from made_panels import panel\n"
        "from medfloor.evaluation import two_way_fixed_effects as fit\n"
        "homes = panel(units=24)\n"
        "print(fit(homes, outcome='oop', treatment='covered', unit='home', time='wave').rows.row(0))\n"
        "print(fit(homes, outcome='oop', treatment='covered', unit='home', time='wave', weight='w', "
        "cluster=['home', 'wave']).rows.row(0))\n"
    )
    folder = str(__import__("pathlib").Path(__file__).parent)
    import os

    told = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{os.environ['PYTHONPATH']}{os.pathsep}{folder}"},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    # To the last digit: clusters are columns of their own.
    assert len(told) == 1


def test_every_row_left_out_is_counted() -> None:
    homes = panel(missing=0.5).with_columns(age=pl.when(pl.col("home") != "h7").then("age"))
    found = two_way_fixed_effects(homes, **HOMES)
    assert homes.height == int(found.facts["rows"]) + sum(drop.rows for drop in found.drops)
    kept = two_way_fixed_effects(homes, **HOMES, keep_singletons=True)
    alone = sum(drop.rows for drop in found.drops if drop.reason == "singleton")
    assert alone > 0
    assert int(kept.facts["rows"]) == int(found.facts["rows"]) + alone
    # Singletons say nothing: the coefficients are the same with them.
    assert kept.rows["estimate"].to_list() == pytest.approx(found.rows["estimate"].to_list(), rel=RTOL)


def test_what_it_says_fits_what_it_found() -> None:
    found = two_way_fixed_effects(panel(), **HOMES, cluster="city")
    assert found.warnings[0].key == "fixed_effects.few_clusters"
    told = found.text("en")
    assert "lower where covered is one higher" in told
    assert "parallel trends" in told
    assert "began in 3 different waves" in told
    assert "平行趋势" in found.text("zh")
    binary = panel().with_columns(oop=(pl.col("oop") > 6).cast(float))
    assert "percentage points" in two_way_fixed_effects(binary, **HOMES).text("en")


def test_a_covariate_that_effects_explain_is_left_out_and_told() -> None:
    homes = panel().with_columns(height=pl.col("city") * 1e9 + 170.0)
    found = two_way_fixed_effects(homes, **HOMES | {"covariates": ["age", "height"]})
    assert found.rows["term"].to_list() == ["covered", "age"]
    assert any(note.key == "fixed_effects.left_out" for note in found.notes)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"treatment": "city"}, "no_variation"),
        ({"treatment": "one"}, "no_variation"),
        ({"treatment": "sex"}, "not_numbers"),
        ({"treatment": "nowhere"}, "unknown_column"),
        ({"cluster": "one"}, "one_cluster"),
        ({"cluster": "one", "errors": "cr2"}, "one_cluster"),
        ({"outcome": "one"}, "no_variation"),
        ({"outcome": "city"}, "no_variation"),
        ({"outcome": "huge"}, "extreme_numbers"),
        ({"outcome": "tiny"}, "extreme_numbers"),
        ({"family": "gamma"}, "bad_model"),
        ({"family": "poisson", "outcome": "below"}, "negative_counts"),
        ({"errors": "hac"}, "bad_errors"),
        ({"errors": "cr2", "weight": "w"}, "bad_errors"),
        ({"small_sample": "huge"}, "bad_errors"),
        ({"unit": None, "time": None, "errors": "cluster"}, "bad_errors"),
        ({"level": 0.95, "covariates": ["i.one"]}, "one_level"),
    ],
)
def test_misuse_is_said(changes: dict[str, object], code: str) -> None:
    homes = panel().with_columns(
        one=pl.lit(1.0), below=pl.lit(-1.0), huge=pl.col("oop") * 1e150, tiny=pl.col("oop") * 1e-200
    )
    with pytest.raises(UsageError) as error:
        two_way_fixed_effects(homes, **HOMES | changes)  # type: ignore[arg-type]
    assert error.value.code == code


def test_an_outcome_made_from_the_treatment_is_warned_of() -> None:
    homes = panel().with_columns(oop=100 * pl.col("covered"))
    found = two_way_fixed_effects(homes, **HOMES)
    assert "fixed_effects.exact" in {one.key for one in found.warnings}


def test_few_clusters_are_sent_only_to_errors_that_the_model_has() -> None:
    homes = panel().with_columns(city2=pl.col("city") % 5)
    asked = [{}, {"weight": "w"}, {"family": "poisson", "outcome": "visits"}, {"cluster": ["city", "city2"]}]
    told = [two_way_fixed_effects(homes, **HOMES | {"cluster": "city"} | one).warnings[0].key for one in asked]  # type: ignore[arg-type]
    ends = ["few_clusters", "few_clusters_wild", "few_clusters_alone", "few_clusters_alone"]
    assert told == [f"fixed_effects.{one}" for one in ends]


def test_a_column_is_never_effect_and_cluster_at_once() -> None:
    with pytest.raises(AssertionError, match="effect and cluster"):
        regress(pl.DataFrame(), y="y", x=["x"], effects=["unit"], errors="cluster", clusters=["unit"])
