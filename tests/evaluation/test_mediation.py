"""Mediation: answers of R, what identities demand, and what is refused or warned of. Tables made here are synthetic."""

from __future__ import annotations

import math
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
from medfloor.evaluation import Fit, mediate, two_way_fixed_effects
from medfloor.evaluation.product import RHO

CASE = "09_jobs_mediation_linear"
JOBS = {"outcome": "depress2", "treatment": "treat", "mediator": "job_seek", "covariates": ["econ_hard", "sex", "age"]}
FRAMING = {
    "outcome": "cong_mesg", "treatment": "treat", "mediator": "emo",
    "covariates": ["age", "i.educ", "i.gender", "income"],
}  # fmt: skip


def jobs(**asked: object) -> Fit:
    return mediate(table(CASE), **JOBS, **asked)  # type: ignore[arg-type]


def test_paths_and_sobel_are_those_of_two_regressions_in_r() -> None:
    answer, found = expected(CASE)["baron_kenny"], jobs(errors="iid", draws=0)
    names = {"path_a": "a", "path_b": "b", "total": "c_total", "direct": "c_prime", "indirect": "ab"}
    for ours, theirs in names.items():
        # Digits of doubles; R solves by QR, we by a pseudo-inverse of scaled moments.
        assert found.value(ours) == pytest.approx(answer[theirs], rel=1e-9)
    assert found.facts["sobel_se"] == pytest.approx(answer["sobel_se"], rel=1e-9)
    assert found.facts["sobel_z"] == pytest.approx(answer["sobel_z"], rel=1e-9)


def test_errors_of_maximum_likelihood_are_those_of_lavaan() -> None:
    found = jobs(errors="ml", draws=0)
    names = {"path_a": "a", "path_b": "b", "total": "tot", "direct": "cp", "indirect": "ab"}
    for ours, theirs in names.items():
        answer = expected(CASE)["lavaan_ml"][theirs]
        assert found.value(ours) == pytest.approx(answer["estimate"], rel=1e-9)
        # lavaan maximises by iteration.
        assert found.pick(ours).se == pytest.approx(answer["se"], rel=1e-7)


@pytest.mark.parametrize(
    ("case", "asked"),
    [
        ("mediate_quasibayes_5000", {"approach": "quasi_bayes", "draws": 5000}),
        ("mediate_boot_2000", {"approach": "bootstrap", "draws": 2000}),
        ("mediate_interaction_5000", {"approach": "quasi_bayes", "draws": 5000, "interaction": True}),
    ],
)
def test_simulated_effects_are_those_of_mediate_in_r(case: str, asked: dict[str, object]) -> None:
    answer, found = expected(CASE)[case], jobs(**asked)
    draws = float(str(asked["draws"]))
    terms = {"acme_control": "acme_control", "acme_treated": "acme_treated", "acme": "acme_avg", "ade": "ade_avg", "total": "total"}  # fmt: skip
    for ours, theirs in terms.items():
        row = found.pick(ours)
        # Both are means of as many draws: five errors of their difference. The bootstrap's points are the sample's own.
        noise = 1e-9 if "boot" in case else 5 * row.se * math.sqrt(2 / draws)
        assert row.estimate == pytest.approx(answer[theirs], abs=noise)
        if f"{theirs}_ci" in answer:
            # The error of a 2.5 % percentile of n normal draws is about 2.67 se / sqrt(n): five errors of a difference.
            reach = 5 * 2.67 * row.se * math.sqrt(2 / draws)
            assert row.interval == pytest.approx(tuple(answer[f"{theirs}_ci"]), abs=reach)
    if case == "mediate_boot_2000":
        assert found.value("proportion") == pytest.approx(answer["prop_avg"], rel=1e-9)
    else:
        # A median of ratios whose denominator is near zero: its error is large, and not that of a mean.
        assert found.value("proportion") == pytest.approx(answer["prop_avg"], abs=0.05)


@pytest.mark.parametrize("outcome_model", ["logit", "probit"])
@pytest.mark.parametrize("mediator", ["emo", "upset"])
def test_binary_models_agree_with_statsmodels_own_simulation(outcome_model: str, mediator: str) -> None:
    import statsmodels.api as sm
    from statsmodels.stats.mediation import Mediation

    frame = table("10_mediation_binary").with_columns(upset=(pl.col("emo") >= 7).cast(pl.Int64))
    asked = {**FRAMING, "mediator": mediator, "covariates": ["age", "income"]}
    kind = "linear" if mediator == "emo" else "probit"
    found = mediate(
        frame, **asked, approach="quasi_bayes", outcome_model=outcome_model, mediator_model=kind, draws=2000
    )  # type: ignore[arg-type]
    held = frame.select("age", "income").to_numpy().astype(float)
    d, m, y = (frame[name].to_numpy().astype(float) for name in ("treat", mediator, "cong_mesg"))
    ones = np.ones(len(y))
    link = sm.families.links.Logit() if outcome_model == "logit" else sm.families.links.Probit()
    outcome = sm.GLM(y, np.column_stack([ones, d, m, held]), family=sm.families.Binomial(link=link))
    design = np.column_stack([ones, d, held])
    probit = sm.families.Binomial(link=sm.families.links.Probit())
    other = sm.OLS(m, design) if kind == "linear" else sm.GLM(m, design, family=probit)
    np.random.seed(5)
    kwargs = {} if kind == "linear" else {"mediator_fit_kwargs": {}}
    theirs = Mediation(outcome, other, (1, 1), 2, **kwargs).fit(method="parametric", n_rep=60)
    summary = theirs.summary()
    for ours, name in (("acme", "ACME (average)"), ("ade", "ADE (average)"), ("total", "Total effect")):
        # Means of 60 and of 2,000 draws: five errors. For a binary mediator statsmodels takes its chance instead of
        # drawing it, and for a linear one it draws errors twice: the means are the same up to a small curvature.
        noise = 5 * found.pick(ours).se * math.sqrt(1 / 60 + 1 / 2000) + 0.004
        assert found.value(ours) == pytest.approx(float(summary.loc[name, "Estimate"]), abs=noise)


def panel(seed: int = 1, homes: int = 200, path: float = -0.3, b: float = 0.5, direct: float = 0.2) -> pl.DataFrame:
    """Make a panel in which a policy lowers bad health, and bad health raises poverty."""
    rng = np.random.default_rng(seed)
    home, wave = np.repeat(np.arange(homes), 4), np.tile([2012, 2014, 2016, 2018], homes)
    city = home // 5
    covered = (wave >= rng.choice([2014, 2016, 2099], homes // 5 + 1)[city]).astype(float)
    lasting = rng.normal(0, 1, homes)[home]
    ill = lasting + path * covered + rng.normal(0, 1, homes * 4)
    y = lasting + direct * covered + b * ill + 0.1 * (wave - 2012) + rng.normal(0, 1, homes * 4)
    x = rng.normal(0, 1, homes * 4)
    frame = pl.DataFrame({"home": home, "wave": wave, "city": city, "covered": covered, "ill": ill, "y": y, "x": x})
    return frame.with_columns(w=pl.Series(rng.uniform(0.5, 2, homes * 4))).filter(
        pl.Series(rng.random(homes * 4) > 0.06)
    )


PANEL = {"outcome": "y", "treatment": "covered", "mediator": "ill", "unit": "home", "time": "wave", "covariates": ["x"]}


@pytest.mark.parametrize(
    "asked", [{"cluster": "city"}, {"cluster": "home"}, {"errors": "iid"}, {"errors": "hc1"}, {"cluster": "city", "weight": "w"}],
    ids=str,
)  # fmt: skip
def test_paths_and_errors_are_those_of_two_way_fixed_effects(asked: dict[str, str]) -> None:
    frame = panel()
    common = {"unit": "home", "time": "wave", "covariates": ["x"], **asked}
    found = mediate(frame, **{**PANEL, **asked}, draws=0)  # type: ignore[arg-type]
    both = two_way_fixed_effects(frame, outcome="y", treatment=["covered", "ill"], **common)  # type: ignore[arg-type]
    first = two_way_fixed_effects(frame, outcome="ill", treatment="covered", **common)  # type: ignore[arg-type]
    total = two_way_fixed_effects(frame, outcome="y", treatment="covered", **common)  # type: ignore[arg-type]
    for ours, theirs in (
        ("direct", both.pick("covered")), ("path_b", both.pick("ill")), ("path_a", first.pick("covered")),
        ("total", total.pick("covered")),
    ):  # fmt: skip
        # pyfixest takes effects out by iteration to 1e-10.
        assert found.value(ours) == pytest.approx(theirs.estimate, rel=1e-8)
        assert found.pick(ours).se == pytest.approx(theirs.se, rel=1e-8)
        assert found.pick(ours).p == pytest.approx(theirs.p, rel=1e-6)


def test_the_quick_bootstrap_is_the_slow_one() -> None:
    """Draw the clusters again with the same seed, copy their rows, and estimate everything anew."""
    frame = panel(homes=60)
    quick = mediate(frame, **PANEL, cluster="city", draws=12, seed=3)
    groups = frame["city"].unique().sort().to_list()
    rng = np.random.Generator(np.random.PCG64(3))
    drawn = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=12)
    slow = []
    for counts in drawn:
        copies = [
            frame.filter(pl.col("city") == city).with_columns(home=pl.format("{}-{}", "home", pl.lit(copy)))
            for city, count in zip(groups, counts, strict=True)
            for copy in range(count)
        ]
        slow.append(mediate(pl.concat(copies), **PANEL, draws=0).value("indirect"))
    assert quick.pick("indirect").se == pytest.approx(float(np.std(slow, ddof=1)), rel=1e-9)
    low, high = np.percentile(slow, [2.5, 97.5])
    assert quick.pick("indirect").interval == pytest.approx((low, high), rel=1e-9)


def test_a_known_path_is_found() -> None:
    found = mediate(panel(homes=1000), **PANEL, cluster="city")
    for term, truth in (("indirect", -0.15), ("direct", 0.2), ("total", 0.05), ("path_a", -0.3), ("path_b", 0.5)):
        row = found.pick(term)
        assert abs(row.estimate - truth) < 3.5 * row.se


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_parts_add_up_and_units_of_measurement_do_not_matter(seed: int, factor: float) -> None:
    frame = panel(seed, homes=40)
    first = mediate(frame, **PANEL, draws=0)
    assert first.value("indirect") + first.value("direct") == pytest.approx(first.value("total"), abs=1e-10)
    assert first.value("path_a") * first.value("path_b") == pytest.approx(first.value("indirect"), abs=1e-10)
    changed = frame.sample(fraction=1, shuffle=True, seed=seed).with_columns(
        ill=factor * pl.col("ill") + 3,
        home=pl.format("h{}", (pl.col("home") * 31) % 1009),
        wave=(pl.col("wave") - 2010) // 2,
    )
    second = mediate(changed, **PANEL, draws=0)
    # Another order of sums, and a mediator in another unit.
    for term in ("indirect", "direct", "total"):
        assert second.value(term) == pytest.approx(first.value(term), rel=1e-7, abs=1e-9)
        assert second.pick(term).se == pytest.approx(first.pick(term).se, rel=1e-6)
    assert second.facts["rho_zero"] == pytest.approx(first.facts["rho_zero"], rel=1e-7)


def test_the_indirect_effect_vanishes_at_rho_and_stands_at_zero() -> None:
    found = mediate(panel(), **PANEL, cluster="city", draws=50)
    curve = found.curves["sensitivity"]
    assert tuple(curve["rho"].to_list()) == RHO
    assert curve.filter(pl.col("rho") == 0)["estimate"][0] == pytest.approx(found.value("indirect"), rel=1e-10)
    zero = float(found.facts["rho_zero"])
    before, after = (curve.filter(side)["estimate"] for side in (pl.col("rho") < zero, pl.col("rho") > zero))
    assert (before[-1] > 0) != (after[0] > 0)
    assert found.facts["r2_residual_zero"] == pytest.approx(zero**2)


def test_a_confounder_of_known_strength_moves_the_effect_as_the_formula_says() -> None:
    """Errors are drawn with a correlation of 0.5: told so, the formula gives the true indirect effect back."""
    rng = np.random.default_rng(8)
    n = 40_000
    d, u = rng.integers(0, 2, n), rng.normal(0, 1, (n, 2))
    ill = 0.6 * d + u[:, 0]
    y = 0.3 * d + 0.4 * ill + 0.5 * u[:, 0] + math.sqrt(0.75) * u[:, 1]
    people = pl.DataFrame({"d": d, "ill": ill, "y": y})
    found = mediate(people, outcome="y", treatment="d", mediator="ill", draws=0)
    # a is known to 0.01 here, so 0.24 to about 0.01; without the correction it would be 0.54.
    assert found.value("indirect") == pytest.approx(0.6 * 0.9, abs=0.03)
    told = found.curves["sensitivity"].filter(pl.col("rho") == 0.5)["estimate"][0]
    assert told == pytest.approx(0.6 * 0.4, abs=0.02)


def test_numbers_hang_on_the_seed_and_on_nothing_else() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests/evaluation'); from test_mediation import panel, PANEL\n"
        "from medfloor.evaluation import mediate\n"
        "print(mediate(panel(), **PANEL, cluster='city', draws=50).rows.rows())"
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
    people = {"outcome": "y", "treatment": "covered", "mediator": "ill", "approach": "quasi_bayes", "draws": 50}
    one, same, other = (mediate(panel(homes=40), **people, seed=seed).value("acme") for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("approach", ["product", "quasi_bayes", "bootstrap"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_mediation_says_that_it_needs_sequential_ignorability(approach: str, lang: str) -> None:
    asked = {name: value for name, value in PANEL.items() if name not in ("unit", "time")}
    found = mediate(panel(homes=50), **asked, approach=approach, draws=20)  # type: ignore[arg-type]
    assert ("序贯可忽略性" if lang == "zh" else "sequential ignorability") in found.text(lang)


@pytest.mark.parametrize(
    ("change", "asked", "code"),
    [
        ({}, {"approach": "magic"}, "bad_choice"),
        ({}, {"outcome_model": "probit"}, "bad_model"),
        ({}, {"interaction": True}, "bad_model"),
        ({}, {"draws": 3}, "bad_draws"),
        ({}, {"errors": "odd"}, "bad_errors"),
        ({}, {"approach": "quasi_bayes"}, "bad_choice"),
        ({}, {"approach": "quasi_bayes", "unit": None, "outcome_model": "tobit"}, "bad_model"),
        ({}, {"approach": "quasi_bayes", "unit": None, "outcome_model": "probit"}, "not_binary"),
        ({"ill": pl.lit(1.0)}, {}, "no_variation"),
        ({"covered": pl.col("home") % 2}, {}, "no_variation"),
        ({"city": pl.lit(1)}, {"cluster": "city"}, "one_cluster"),
        ({"city": pl.int_range(pl.len()) % 7}, {"cluster": "city"}, "units_between_clusters"),
        ({}, {"mediator": "iil"}, "unknown_column"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
def test_what_cannot_be_mediated_is_refused_in_our_words(
    change: dict[str, pl.Expr], asked: dict[str, object], code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        mediate(panel(homes=30).with_columns(**change), **{**PANEL, **asked})  # type: ignore[arg-type]
    assert caught.value.code == code


def test_interactions_and_few_clusters_are_warned_of() -> None:
    frame = panel(homes=100).with_columns(y=pl.col("y") + 2 * pl.col("covered") * pl.col("ill"))
    said = " ".join(one.say("en") for one in mediate(frame, **PANEL, cluster="city", draws=20).warnings)
    assert "20 clusters" in said
    assert "works differently" in said
    assert "interaction_p" in mediate(frame, **PANEL, draws=0).facts


def test_effects_that_cancel_are_told_and_no_share_is_claimed() -> None:
    found = mediate(panel(homes=400), **PANEL, cluster="city", draws=50)
    assert found.value("indirect") * found.value("direct") < 0
    assert any("opposite signs" in one.say("en") for one in found.notes)
    assert not any("goes through the mediator, if" in one.say("en") for one in found.shows)


@pytest.mark.parametrize("approach", ["product", "quasi_bayes"])
def test_a_share_of_a_total_that_may_be_none_is_not_claimed(approach: str) -> None:
    rng = np.random.default_rng(1)
    treated = rng.integers(0, 2, 200)
    mediator = 0.5 * treated + rng.normal(size=200)
    people = pl.DataFrame({"t": treated, "m": mediator, "y": 0.1 * mediator + rng.normal(size=200)})
    found = mediate(people, outcome="y", treatment="t", mediator="m", approach=approach, draws=100)  # type: ignore[arg-type]
    low, high = found.pick("total").interval
    assert low < 0 < high
    assert "mediation.unstable_share" in {one.key for one in found.notes}
    assert "mediation.share" not in {one.key for one in found.shows}


@pytest.mark.parametrize("approach", ["product", "quasi_bayes"])
def test_a_mediator_that_is_the_treatment_or_the_outcome_is_refused(approach: str) -> None:
    rng = np.random.default_rng(2)
    people = pl.DataFrame({"t": rng.integers(0, 2, 60), "y": rng.normal(size=60)}).with_columns(copy=2.0 * pl.col("t"))
    for mediator, code in (("copy", "no_variation"), ("t", "same_column"), ("y", "same_column")):
        with pytest.raises(UsageError) as caught:
            mediate(people, outcome="y", treatment="t", mediator=mediator, approach=approach, draws=20)  # type: ignore[arg-type]
        assert caught.value.code == code


def test_a_seed_below_zero_is_refused() -> None:
    people = pl.DataFrame({"t": [0, 0, 1, 1, 0], "m": [1.0, 2, 4, 3, 5], "y": [3.0, 1, 2, 5, 4]})
    with pytest.raises(UsageError) as caught:
        mediate(people, outcome="y", treatment="t", mediator="m", draws=20, seed=-5)
    assert caught.value.code == "bad_seed"


# Perfect prediction


def _made() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    treat = rng.integers(0, 2, 300)
    mediator = rng.normal(size=300) + treat
    return pl.DataFrame(
        {"treat": treat, "mediator": mediator, "told": (mediator > 0.5).astype(int), "free": rng.integers(0, 2, 300)}
    )


@pytest.mark.parametrize("approach", ["quasi_bayes", "bootstrap"])
def test_an_equation_that_is_told_without_fail_is_named_with_the_next_step(approach: str) -> None:
    with pytest.raises(UsageError, match=r"outcome 'told'.*perfect prediction.*--outcome-model linear") as caught:
        mediate(_made(), outcome="told", treatment="treat", mediator="mediator", approach=approach,
                outcome_model="probit", draws=20)  # type: ignore[arg-type]  # fmt: skip
    assert caught.value.code == "separated"
    with pytest.raises(UsageError, match=r"mediator 'told'.*--mediator-model linear"):
        mediate(_made(), outcome="free", treatment="mediator", mediator="told", approach=approach,
                mediator_model="logit", outcome_model="logit", draws=20)  # type: ignore[arg-type]  # fmt: skip


def test_an_outcome_that_leaves_nothing_over_is_refused() -> None:
    table = _made().with_columns((2.0 * pl.col("told") - pl.col("treat")).alias("sum"))
    with pytest.raises(UsageError, match="'sum' is told without fail by 'treat', 'told'"):
        mediate(table, outcome="sum", treatment="treat", mediator="told")


def test_effects_held_fixed_are_said_in_both_languages() -> None:
    table = pl.concat([_made().with_columns(home=pl.int_range(300), wave=pl.lit(wave)) for wave in (1, 2)])
    table = table.with_columns(noise=(pl.int_range(600) * 7919 % 101) / 101.0, dose=pl.int_range(600) * 31 % 97)
    table = table.with_columns(late=(pl.int_range(600) * 613 % 89) / 89.0)
    found = mediate(table, outcome="noise", treatment="dose", mediator="late", unit="home", time="wave", draws=0)
    assert "+ effect(home) + effect(wave)" in found.equation.say("en")
    assert "+ 效应(home) + 效应(wave)" in found.equation.say("zh")
    assert "effect(" not in found.equation.say("zh")
