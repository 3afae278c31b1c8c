"""The jump at an eligibility line: R's rdrobust, the measure of the cliff, known jumps. Tables made here are synthetic."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import polars as pl
import pytest
from evaluation_cases import expected, table
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from medfloor.errors import InputError, UsageError
from medfloor.evaluation import Fit, discontinuity
from medfloor.evaluation.robust_line import RULES

CASE = "11_rdsenate"
needs_rdrobust = pytest.mark.skipif(
    importlib.util.find_spec("rdrobust") is None,
    reason="rdrobust is not installed: it is under the GPL-3 and comes with the extra discontinuity only",
)


def senate(**asked: object) -> Fit:
    return discontinuity(table(CASE), outcome="vote", running="margin", sign=">=", **asked)  # type: ignore[arg-type]


def made_up(rows: int = 2000, seed: int = 5, jump: float = 0.25) -> pl.DataFrame:
    """Make people whose reimbursement falls by `jump` at an income of 6,000; most below it have the status."""
    rng = np.random.default_rng(seed)
    income = rng.uniform(2000, 10_000, rows).round(2)
    has = (rng.random(rows) < np.where(income < 6000, 0.9, 0.1)).astype(int)
    share = 0.5 + jump * has - (income - 6000) * 1e-5 + rng.normal(0, 0.08, rows)
    return pl.DataFrame(
        {"income": income, "has": has, "share": share, "age": rng.normal(50, 10, rows), "size": rng.integers(1, 6, rows),
         "village": np.arange(rows) % 80, "w": rng.uniform(0.5, 2, rows)}
    )  # fmt: skip


ASKED = {"outcome": "share", "running": "income", "cutoff": 6000.0}


@pytest.mark.parametrize(
    ("case", "asked"), [("h10", {"bandwidth": 10}), ("hc1", {"bandwidth": 17.7036909439098}), ("uniform", {"bandwidth": 11.5968674158661, "kernel": "uniform"})]
)  # fmt: skip
def test_a_plain_local_line_has_the_conventional_jump_of_rdrobust(case: str, asked: dict[str, float]) -> None:
    # The bandwidth is given, so that both solve the same least squares.
    assert senate(**asked).estimate == pytest.approx(expected(CASE)[case]["coef_conv"], rel=1e-10)


def test_the_plain_error_is_that_of_rdrobust_up_to_its_small_sample_factor() -> None:
    """Both are HC1. Ours enlarges both sides by n/(n-4), rows within h; rdrobust each side by n/(n-2), rows within b."""
    answer = expected(CASE)["hc1"]
    found = senate(bandwidth=answer["h"][0])
    rows = int(found.facts["rows_below"]) + int(found.facts["rows_above"])
    whole, far = table(CASE), table(CASE).filter(pl.col("margin").abs() <= answer["b"][0])
    wide = float(t.ppf(0.975, whole.height - 1))
    variance = 0.0
    for row in found.curves["line"].filter(pl.col("x") == 0).to_dicts():
        n = far.filter((pl.col("margin") < 0) == (row["side"] == "below")).height
        variance += ((row["high"] - row["low"]) / 2 / wide) ** 2 / (rows / (rows - 4)) * n / (n - 2)
    # The bandwidth of the case is printed to 15 digits.
    assert math.sqrt(variance) == pytest.approx(answer["se_conv"], rel=1e-9)


@needs_rdrobust
@pytest.mark.parametrize(
    ("case", "asked"),
    [("default", {}), ("p2", {"order": 2}), ("uniform", {"kernel": "uniform"}), ("cerrd", {"bandwidth": "cerrd"}),
     ("h10", {"bandwidth": 10, "bias_bandwidth": 20}), ("hc1", {"errors": "hc1"})],
)  # fmt: skip
def test_rdrobust_gives_what_it_gives_in_r(case: str, asked: dict[str, object]) -> None:
    answer, found = expected(CASE)[case], senate(engine="rdrobust", **asked)
    # The versions for Python and R agree to about 1e-7: their bandwidths are found by slightly different steps.
    close = {"rel": 1e-6}
    assert found.value("jump") == pytest.approx(answer["coef_conv"], **close)
    assert found.value("jump_robust") == pytest.approx(answer["coef_bc"], **close)
    assert found.pick("jump").se == pytest.approx(answer["se_conv"], **close)
    assert found.pick("jump_robust").se == pytest.approx(answer["se_robust"], **close)
    assert found.pick("jump_robust").interval == pytest.approx(tuple(answer["ci_robust"]), **close)
    assert [found.facts["h_below"], found.facts["h_above"]] == pytest.approx(answer["h"], **close)
    assert [found.facts["b_below"], found.facts["b_above"]] == pytest.approx(answer["b"], **close)


@needs_rdrobust
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_of_rdrobust_has_the_bandwidth_of_r(rule: str) -> None:
    found = senate(engine="rdrobust", bandwidth=rule).facts
    answer = expected(CASE)["rdbwselect_all"][rule]
    assert [found[one] for one in ("h_below", "h_above", "b_below", "b_above")] == pytest.approx(answer, rel=1e-5)


@needs_rdrobust
def test_signs_turn_the_running_variable_and_not_the_answer() -> None:
    frame = table(CASE).with_columns(negative=-pl.col("margin"))
    asked = {"outcome": "vote", "engine": "rdrobust"}
    first = discontinuity(frame, running="margin", sign=">=", **asked)
    for running, sign in (("margin", ">"), ("negative", "<"), ("negative", "<=")):
        other = discontinuity(frame, running=running, sign=sign, **asked)  # type: ignore[arg-type]
        assert other.value("jump_robust") == pytest.approx(first.value("jump_robust"), rel=1e-9)
        assert other.pick("jump_robust").interval == pytest.approx(first.pick("jump_robust").interval, rel=1e-9)


@needs_rdrobust
def test_rdrobust_divides_jumps_where_not_all_keep_to_the_line() -> None:
    found = discontinuity(made_up(), **ASKED, treatment="has", engine="rdrobust")
    for term in ("wald", "wald_robust"):
        assert abs(found.value(term) - 0.25) < 4 * found.pick(term).se


def test_without_rdrobust_an_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rdrobust", None)
    with pytest.raises(UsageError, match=r"medfloor\[discontinuity\]") as caught:
        discontinuity(made_up(), **ASKED, engine="rdrobust")
    assert caught.value.code == "no_rdrobust"


@pytest.mark.parametrize("bandwidth", ["ik", "rot", 1500])
def test_a_known_jump_is_found_and_its_ratio(bandwidth: float | str) -> None:
    found = discontinuity(made_up(4000), **ASKED, treatment="has", bandwidth=bandwidth, covariates=["age", "i.size"])
    for term, truth in (("jump", 0.2), ("first_stage", 0.8), ("wald", 0.25)):
        assert abs(found.value(term) - truth) < 4 * found.pick(term).se
    # Seven tables of chance: none of the looks finds anything at its share of five percent.
    assert not found.warnings, [one.say("en") for one in found.warnings]
    assert found.tables["covariate_jumps"].height == 5
    assert found.tables["placebo_lines"].height == 6


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_order_of_rows_units_and_mirror_images_change_nothing(seed: int, factor: float) -> None:
    people = made_up(400, seed)
    first = discontinuity(people, **ASKED, bandwidth=2000)
    turned = people.with_columns(income=-pl.col("income") * factor).sample(fraction=1, shuffle=True, seed=seed)
    other = discontinuity(
        turned, outcome="share", running="income", cutoff=-6000 * factor, sign=">", bandwidth=2000 * factor
    )
    assert other.value("jump") == pytest.approx(first.value("jump"), rel=1e-8, abs=1e-10)
    assert other.pick("jump").se == pytest.approx(first.pick("jump").se, rel=1e-8)


def test_lines_end_in_the_levels_whose_difference_is_the_jump() -> None:
    found = discontinuity(made_up(), **ASKED, bandwidth=2000, cluster="village", weight="w")
    line = found.curves["line"].filter(pl.col("x") == 6000)
    ends = {row["side"]: row for row in line.to_dicts()}
    assert ends["below"]["y"] - ends["above"]["y"] == pytest.approx(found.value("jump"), rel=1e-10)
    # Sides are independent without clusters: the bands' half widths add up in squares to that of the jump.
    plain = discontinuity(made_up(), **ASKED, bandwidth=2000)
    halves = [
        (row["high"] - row["low"]) / 2 / float(t.ppf(0.975, 1999))
        for row in plain.curves["line"].filter(pl.col("x") == 6000).to_dicts()
    ]
    assert math.hypot(*halves) == pytest.approx(plain.pick("jump").se, rel=1e-9)
    assert set(found.curves["bins"].columns) == {"side", "x", "y", "n"}


def test_a_donut_leaves_out_and_counts_those_next_to_the_line() -> None:
    people = made_up()
    found = discontinuity(people, **ASKED, bandwidth=2000, donut=100)
    near = people.filter((pl.col("income") - 6000).abs() < 100).height
    assert [(drop.reason, drop.rows) for drop in found.drops] == [("in_donut", near)]
    far = people.filter((pl.col("income") - 6000).abs() >= 100)
    assert found.value("jump") == pytest.approx(discontinuity(far, **ASKED, bandwidth=2000).value("jump"), rel=1e-10)


def test_sorting_weak_lines_and_jumps_elsewhere_are_warned_of() -> None:
    rng = np.random.default_rng(3)
    people = made_up(4000)
    below = people.filter((pl.col("income") >= 6000) | pl.Series(rng.random(4000) < 0.5))
    assert any("McCrary" in one.say("en") for one in discontinuity(below, **ASKED, bandwidth=2000).warnings)
    weak = people.with_columns(has=pl.Series(rng.integers(0, 2, 4000)))
    said = [one.say("en") for one in discontinuity(weak, **ASKED, treatment="has", bandwidth=2000).warnings]
    assert any("moves the treatment little" in one for one in said)
    steps = people.with_columns(
        share=pl.col("share") + (pl.col("income") > 4000), age=pl.col("age") - 9 * pl.col("has")
    )
    said = [one.say("en") for one in discontinuity(steps, **ASKED, bandwidth=1000, covariates=["age"]).warnings]
    assert any("where there is no line" in one for one in said)
    assert any(one.startswith("age jumps") for one in said)
    few = discontinuity(people[:60], **ASKED, bandwidth=1000)
    assert any("Only" in one.say("en") for one in few.warnings)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"cutoff": 20_000.0}, "one_side"),
        ({"cutoff": math.nan}, "bad_cutoff"),
        ({"sign": "=="}, "bad_sign"),
        ({"engine": "magic"}, "bad_choice"),
        ({"errors": "nn"}, "bad_choice"),
        ({"errors": "odd", "engine": "rdrobust"}, "bad_errors"),
        ({"bandwidth": -1}, "bad_bandwidth"),
        ({"bandwidth": "mserd"}, "bad_bandwidth"),
        ({"bandwidth": "ik", "engine": "rdrobust"}, "bad_bandwidth"),
        ({"order": 0, "engine": "rdrobust"}, "bad_order"),
        ({"order": 9}, "bad_order"),
        ({"donut": -2}, "bad_donut"),
        ({"treatment": "age"}, "not_binary"),
        ({"running": "incomes"}, "unknown_column"),
        ({"kernel": "gauss"}, "bad_choice"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_of_a_line_is_refused_in_our_words(asked: dict[str, object], code: str) -> None:
    with pytest.raises((UsageError, InputError)) as caught:
        discontinuity(made_up(200), **{**ASKED, **asked})  # type: ignore[arg-type]
    assert caught.value.code == code


def test_words_hold_for_any_order_and_either_side() -> None:
    found = discontinuity(made_up(), **ASKED, order=2, sign=">")  # type: ignore[arg-type]
    said = " ".join(one.say("en") for one in found.not_shown)
    assert "straight line" not in said
    assert "below it" not in said
    # The table of jumps elsewhere must not read as if there were no jump at the line.
    assert "没有界线处的跳跃" not in found.text("zh")


@pytest.mark.parametrize(
    ("change", "asked", "code"),
    [
        ({"income": pl.col("income") * 1e60}, {}, "extreme_numbers"),
        ({"income": (pl.col("income") - 6000) * 1e-60}, {"cutoff": 0.0}, "extreme_numbers"),
        ({}, {"cutoff": 1e200}, "extreme_numbers"),
        ({}, {"bandwidth": 1e-320}, "bad_bandwidth"),
        ({}, {"bandwidth": -1.0}, "bad_bandwidth"),
        ({"village": pl.lit(1)}, {"cluster": "village"}, "one_cluster"),
    ],
)
def test_what_no_curve_can_be_fitted_to_is_refused_and_not_a_bug(
    change: dict[str, pl.Expr], asked: dict[str, object], code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        discontinuity(made_up(200).with_columns(**change), **{**ASKED, **asked})  # type: ignore[arg-type]
    assert caught.value.code == code
