"""The notch behind a status line: dominated width, marginal benefit, rank reversals. All tables here are synthetic."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.measures.cliff import arithmetic_cliff
from medfloor.measures.design import Design
from medfloor.measures.notch import notch


def made_up(rows: int = 1000, seed: int = 1) -> pl.DataFrame:
    """Make people below and above an income of 3,000 whose costs are paid at 90 and 65 %."""
    rng = np.random.default_rng(seed)
    income, cost = rng.uniform(1000, 5000, rows), rng.gamma(2, 1000, rows)
    rate = np.where(income < 3000, 0.9, 0.65)
    frame = {"income": income, "oop": (1 - rate) * cost, "benefit": rate * cost, "psu": np.arange(rows) // 20}
    return pl.DataFrame(frame | {"residence": np.where(rng.random(rows) < 0.5, "urban", "rural")})


def flat(cost: float = 1000.0) -> dict[str, list[float]]:
    """Make incomes in even steps, with one cost for all: what the arithmetic speaks of."""
    income = [float(s) for s in range(1000, 5000, 10)]
    rate = [0.9 if s < 3000 else 0.65 for s in income]
    return {
        "income": income,
        "oop": [(1 - one) * cost for one in rate],
        "benefit": [one * cost for one in rate],
    }


def test_one_cost_for_all_gives_what_the_arithmetic_gives() -> None:
    found = notch(flat(), cutoff=3000, benefit="benefit")
    said = arithmetic_cliff(cost=1000)
    assert found.value("loss") == pytest.approx(said.value("loss"))
    assert found.value("dominated_width") == pytest.approx(said.value("dominated_width"))
    # Bins of 400 whose first mean, 3,195 - 350, is below 2,900 and whose second is above.
    assert found.value("dominated_width_binned") == 400


def test_marginal_benefit_across_the_line_is_the_loss_over_the_step() -> None:
    found = notch(flat(), cutoff=3000, benefit="benefit", window=500, steps=5)
    across = found.value("marginal_benefit", at=3000)
    # 250 of benefit go with a step of 100: two and a half yuan for each yuan earned.
    assert across == pytest.approx(2.5)
    assert found.value("marginal_benefit", at=2900) == pytest.approx(0, abs=1e-9)
    assert found.rows.filter(pl.col("statistic") == "marginal_benefit").height == 9


def test_rank_reversals_count_pairs_as_a_double_loop_does() -> None:
    frame = made_up(120).with_columns(weight=pl.Series(np.random.default_rng(3).uniform(0, 2, 120)))
    found = notch(frame, cutoff=3000, window=1500, design=Design(weight="weight"))
    near = frame.filter((pl.col("income") - 3000).abs() <= 1500).with_columns(net=pl.col("income") - pl.col("oop"))
    low, high = near.filter(pl.col("income") < 3000), near.filter(pl.col("income") >= 3000)
    pairs = np.outer(low["weight"], high["weight"])
    turned = low["net"].to_numpy()[:, None] > high["net"].to_numpy()[None, :]
    assert found.value("rank_reversals") == pytest.approx((pairs * turned).sum() / pairs.sum(), rel=1e-12)


def test_ties_after_paying_are_no_reversals() -> None:
    people = {"income": [1.0, 2.0, 3.0, 4.0], "oop": [0.0, 0.0, 1.0, 2.0]}
    assert notch(people, cutoff=2.5, order=0).value("rank_reversals") == 0


@pytest.mark.parametrize("order", [1, 2])
def test_linearised_and_jackknife_errors_agree(order: int) -> None:
    errors = []
    for method in ("linearised", "jackknife"):
        design = Design(psu="psu", method=method)
        found = notch(made_up(2000), cutoff=3000, benefit="benefit", window=1500, order=order, design=design)
        errors.append(found.rows.filter(pl.col("statistic") != "dominated_width_binned")["se"])
    # The jackknife adds curvature over a hundred clusters and has no n/(n-k); quadratics bend more.
    assert errors[0].to_list() == pytest.approx(errors[1].to_list(), rel=0.03 if order == 1 else 0.06)


def test_the_dominated_width_solves_its_equation_for_curves_too() -> None:
    income = np.linspace(0, 10, 401)
    above = income >= 5
    d = income - 5
    own = np.where(above, 2 + 0.3 * d + 0.02 * d**2, 1.0)
    found = notch({"income": income, "oop": own}, cutoff=5, order=2)
    width = found.value("dominated_width")
    # N(c + d) = N(c-): what one has more is eaten by the jump and by what grows behind it.
    assert width - 0.3 * width - 0.02 * width**2 == pytest.approx(1.0, abs=1e-9)
    assert width < 5


def test_no_loss_means_no_width_and_no_error() -> None:
    people = {"income": [float(s) for s in range(20)], "oop": [2.0] * 10 + [1.0] * 10}
    found = notch(people, cutoff=10)
    assert found.value("dominated_width") == 0
    assert math.isnan(found.pick("dominated_width").se)
    assert found.value("dominated_width_binned") == 0


def test_a_curve_that_never_comes_back_has_no_width_and_says_so() -> None:
    income = [float(s) for s in range(20)]
    own = [0.0 if s < 10 else 1 + 1.5 * (s - 10) for s in income]
    found = notch({"income": income, "oop": own}, cutoff=10)
    assert math.isnan(found.value("dominated_width"))
    assert any(note.key == "cliff.never_back" for note in found.notes)


def test_a_width_beyond_the_window_is_told() -> None:
    income = [float(s) for s in range(20)]
    found = notch({"income": income, "oop": [0.0 if s < 10 else 6.0 for s in income]}, cutoff=10, window=4)
    assert found.value("dominated_width") == pytest.approx(6)
    assert any(note.key == "cliff.beyond_window" for note in found.notes)
    assert math.isnan(found.value("dominated_width_binned"))


def test_the_bootstrap_gives_the_binned_width_an_error() -> None:
    found = notch(made_up(400), cutoff=3000, design=Design(method="bootstrap", replicates=60))
    assert found.pick("dominated_width_binned").se > 0


def test_groups_and_differences() -> None:
    found = notch(made_up(), cutoff=3000, by="residence", against="urban")
    gap = found.value("loss", group="rural", against="urban")
    assert gap == pytest.approx(found.value("loss", group="rural") - found.value("loss", group="urban"))


@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.01, 100.0]))
@settings(max_examples=25)
def test_amounts_follow_the_unit_and_shares_do_not(seed: int, scale: float) -> None:
    frame = made_up(150, seed)
    plain = notch(frame, cutoff=3000, benefit="benefit", window=2000).rows
    amounts = frame.with_columns(pl.col("income", "oop", "benefit") * scale)
    other = notch(amounts, cutoff=3000 * scale, benefit="benefit", window=2000 * scale).rows
    for mine, theirs in zip(plain.iter_rows(named=True), other.iter_rows(named=True), strict=True):
        unit = scale if mine["kind"] == "amount" else 1.0
        # A loss near zero may change its sign by rounding alone; everything else keeps its digits.
        assert theirs["estimate"] == (
            None if mine["estimate"] is None else pytest.approx(mine["estimate"] * unit, rel=1e-6, abs=1e-7 * unit)
        )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_reversals_are_a_share_and_weights_of_k_are_k_copies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = made_up(60, seed).with_columns(
        (pl.col("oop") / 100).round() * 100, weight=pl.Series(rng.integers(1, 4, 60))
    )
    copies = frame.select(pl.all().repeat_by("weight").explode())
    weighted = notch(frame, cutoff=3000, benefit="benefit", design=Design(weight="weight"))
    copied = notch(copies, cutoff=3000, benefit="benefit", design=Design())
    assert 0 <= weighted.value("rank_reversals") <= 1
    for mine, theirs in zip(weighted.rows["estimate"], copied.rows["estimate"], strict=True):
        assert (mine is None) == (theirs is None)
        assert mine is None or mine == pytest.approx(theirs, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize(
    ("options", "code"),
    [({"sign": ">"}, "bad_sign"), ({"window": -1}, "bad_window"), ({"order": 9}, "bad_order"), ({"steps": 0}, "bad_steps")],
)  # fmt: skip
def test_misuse_is_refused_by_name(options: dict[str, object], code: str) -> None:
    with pytest.raises(UsageError) as found:
        notch(made_up(50), **{"cutoff": 3000, **options})
    assert found.value.code == code


def test_one_side_is_refused() -> None:
    with pytest.raises(InputError, match="nobody stands below the line"):
        notch(made_up(50), cutoff=10)
    with pytest.raises(InputError, match="within the window"):
        notch(made_up(50), cutoff=9000, window=10)


def test_two_people_have_a_loss_only_as_levels() -> None:
    people = {"income": [1.0, 4.0], "oop": [0.0, 1.0]}
    assert math.isnan(notch(people, cutoff=2).value("loss"))
    assert notch(people, cutoff=2, order=0).value("loss") == 1


def test_curve_shows_net_resources_on_both_sides() -> None:
    found = notch(flat(), cutoff=3000)
    curve = found.curves["notch"]
    assert curve.height <= 1000
    edge = curve.filter((pl.col("series") == "fit") & (pl.col("x") == 3000)).sort("side")["y"].to_list()
    assert edge == pytest.approx([2650, 2900])
    assert curve.filter(pl.col("series") == "bin")["n"].sum() == 400


def test_the_result_says_what_it_is_in_both_languages() -> None:
    found = notch(made_up(), cutoff=3000, benefit="benefit")
    assert "own wording" in found.text("en")
    assert "受支配宽度" in found.text("zh")


def test_errors_of_reversals_know_ties() -> None:
    frame = made_up().with_columns(
        income=(pl.col("income") / 250).floor() * 250, oop=(pl.col("oop") / 500).floor() * 500
    )
    share = [
        notch(frame, cutoff=3000, design=Design(method=method)).pick("rank_reversals")  # type: ignore[arg-type]
        for method in ("linearised", "jackknife")
    ]
    # A share of pairs: at 1,000 rows the second order is below a hundredth.
    assert share[0].se == pytest.approx(share[1].se, rel=0.01)


def test_a_bin_whose_mean_is_exactly_what_those_below_have_is_back() -> None:
    people = {"income": [1.5, 2.5, 3.5, 4.5], "oop": [0.0, 0.0, 0.5, 0.5]}
    found = notch(people, cutoff=3, order=0, window=2.0, steps=2)
    # Those below keep 3 at the line; the first bin above keeps 3.5 - 0.5.
    assert found.value("dominated_width_binned") == 0
