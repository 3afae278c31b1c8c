"""The wild cluster bootstrap: against wildboottest's own loop, against a slow one by hand, and against itself."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import polars as pl
import pytest
from made_panels import panel

from medfloor.errors import UsageError
from medfloor.evaluation import two_way_fixed_effects, wild_bootstrap

module = importlib.import_module("medfloor.evaluation.wild")
HOMES = {"outcome": "oop", "treatment": "covered", "covariates": ["age"], "unit": "home", "time": "wave"}


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_p_is_that_of_wildboottest_with_its_own_denominators(weights: str) -> None:
    from wildboottest.wildboottest import WildboottestCL

    rng = np.random.default_rng(1)
    design, cluster = rng.normal(size=(300, 4)), np.repeat(np.arange(15), 20)
    outcome = 0.1 * design[:, 0] + rng.normal(size=300) + rng.normal(size=15)[cluster]
    ours = module._bootstrap(design, outcome, cluster, 199, 7, weights)
    theirs = WildboottestCL(X=design, Y=outcome, cluster=cluster, R=np.eye(4)[0], B=199, seed=7, parallel=False)
    theirs.get_scores("11", True)
    theirs.get_weights(weights)
    theirs.get_numer()
    theirs.get_denom()
    theirs.get_tboot()
    theirs.get_vcov()
    theirs.get_tstat()
    theirs.get_pvalue()
    assert ours.p(0.0) == theirs.pvalue
    # The same sums in another order.
    assert ours.squares[0] == pytest.approx(theirs.denom, rel=1e-10)
    assert ours.estimate / ours.se == pytest.approx(theirs.t_stat, rel=1e-10)


def test_all_patterns_of_signs_give_the_p_of_a_slow_loop_at_any_null() -> None:
    rng = np.random.default_rng(2)
    cluster = np.repeat(np.arange(6), 10)
    design = np.column_stack([rng.normal(size=60), rng.normal(size=60), np.ones(60)])
    outcome = 0.4 * design[:, 0] + rng.normal(size=60)
    ours = module._bootstrap(design, outcome, cluster, 999, 1, "rademacher")
    assert ours.enumerated
    assert ours.draws == 2**6

    def t_of(values: np.ndarray, null: float) -> float:
        inverse = np.linalg.inv(design.T @ design)
        beta = inverse @ design.T @ values
        rest = values - design @ beta
        sums = np.array([design[cluster == g].T @ rest[cluster == g] for g in range(6)])
        return float((beta[0] - null) / np.sqrt((inverse @ sums.T @ sums @ inverse)[0, 0]))

    for null in (0.0, 0.3, -0.2):
        others = design[:, 1:]
        fitted = others @ np.linalg.lstsq(others, outcome - null * design[:, 0], rcond=None)[0] + null * design[:, 0]
        draws = [
            t_of(fitted + np.array(signs)[cluster] * (outcome - fitted), null)
            for signs in itertools.product([-1, 1], repeat=6)
        ]
        # A pattern that gives the data themselves ties with them, up to rounding: it does not count as larger.
        larger = np.mean(np.abs(draws) > abs(t_of(outcome, null)) * (1 + 1e-9))
        assert abs(ours.p(null) - larger) <= 2 / 64 + 1e-12


def test_estimate_is_that_of_fixed_effects_and_the_ends_are_just_not_rejected() -> None:
    homes = panel()
    plain = two_way_fixed_effects(homes, **HOMES, cluster="city")
    wild = wild_bootstrap(homes, **HOMES, cluster="city", draws=499)
    row = wild.rows.row(0, named=True)
    assert (row["estimate"], row["se"]) == (plain.value("covered"), plain.pick("covered").se)
    assert row["low"] < row["estimate"] < row["high"]
    assert (row["p"] < 0.05) == (row["low"] > 0 or row["high"] < 0)
    assert wild_bootstrap(homes, **HOMES, cluster="city", draws=499).rows.equals(wild.rows)
    assert not wild_bootstrap(homes, **HOMES, cluster="city", draws=499, seed=2).rows.equals(wild.rows)


def test_few_clusters_take_six_points_and_it_is_noted() -> None:
    homes = panel(cities=8, units=40)
    wild = wild_bootstrap(homes, **HOMES, cluster="city", draws=199)
    assert "webb" in wild.errors.say("en")
    assert any(note.key == "fixed_effects.webb" for note in wild.notes)
    signs = wild_bootstrap(homes, **HOMES, cluster="city", draws=999, weights="rademacher")
    assert signs.facts["draws"] == 2**8
    assert any(note.key == "fixed_effects.enumerated" for note in signs.notes)


def test_weights_and_units_that_move_are_taken_and_said() -> None:
    homes = panel()
    moved = homes.with_columns(city=pl.when(pl.col("wave") == 2018).then(pl.col("city") // 2).otherwise("city"))
    assert any(one.key == "fixed_effects.crossing" for one in wild_bootstrap(moved, **HOMES, cluster="city").notes)
    weighted = wild_bootstrap(homes, **HOMES, cluster="city", weight="w", draws=199)
    plain = two_way_fixed_effects(homes, **HOMES, cluster="city", weight="w")
    assert weighted.estimate == plain.value("covered")
    # The bootstrap's own estimate, on demeaned and weighted data, is the same number.
    model = module.model_of("home", "wave", None, "city", "cluster", "fixest", "linear")
    sample, _ = module.sample_of(homes, "oop", ("covered",), ["age"], "w", model, None)
    design, outcome, cluster = module.demeaned(module.without_silent_rows(sample, model.columns), model, ["d0", "x0"])
    again = module._bootstrap(design, outcome, cluster, 199, 1, "rademacher")
    assert again.estimate == pytest.approx(weighted.estimate, rel=1e-9)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"draws": 5}, "bad_draws"),
        ({"weights": "six"}, "bad_model"),
        ({"treatment": "city"}, "no_variation"),
        ({"cluster": "one"}, "one_cluster"),
        ({"outcome": "one"}, "no_variation"),
        ({"outcome": "made"}, "not_estimable"),
        ({"effects": ["home", "home2"]}, "too_many_levels"),
    ],
)
def test_misuse_is_said(changes: dict[str, object], code: str) -> None:
    homes = panel(units=340, missing=0).with_columns(
        one=pl.lit(1), home2=pl.col("home").str.reverse(), made=100 * pl.col("covered")
    )
    with pytest.raises(UsageError) as error:
        wild_bootstrap(homes, **HOMES | {"cluster": "city"} | changes)  # type: ignore[arg-type]
    assert error.value.code == code


def test_two_clusters_are_warned_of_and_an_open_end_keeps_its_column() -> None:
    homes = panel(missing=0).with_columns(half=pl.col("city") % 2)
    found = wild_bootstrap(homes, **HOMES | {"cluster": "half"}, draws=99)  # type: ignore[arg-type]
    assert [one.key for one in found.warnings] == ["fixed_effects.wild_too_few"]
    assert found.rows["high"].null_count() + found.rows["low"].null_count() > 0
    head = next(line for line in found.text("en").splitlines() if line.startswith("term"))
    assert head.split()[-1] == "p"
    assert "∞" in found.text("en")
