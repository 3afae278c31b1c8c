"""Inequality: against other people's answers, by hand, against replicates, and against itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import check, ids, table, vietnam

from medfloor.errors import MedfloorError
from medfloor.measures import Design, Result, inequality
from medfloor.measures.inequality import INEQUALITY_MEASURES

COMMUNES = Design(psu="psu")


def of(values: Sequence[float], **asked: object) -> Result:
    return inequality(pl.DataFrame({"consumption": values, "size": [1.0] * len(values)}), **asked)  # type: ignore[arg-type]


def eusilc(**asked: object) -> Result:
    """Measure EU-SILC, a table of people with equivalised income; three have none."""
    design = Design(weight="rb050", strata="db040", psu="db030")
    shown = {"of": "eqIncome", "per_head": False, "unit": "household", "design": design}
    return inequality(table("eusilc"), **shown, **asked)  # type: ignore[arg-type]


def estimates(found: Result) -> list[float]:
    """List the estimates, null as NaN."""
    return found.rows["estimate"].fill_null(math.nan).to_list()


# Other people's answers


def test_the_gini_index_is_exact_as_in_r_laeken_and_not_as_in_r_convey() -> None:
    found = eusilc(measures=["gini"]).value("gini")
    check("B07_gini", 100 * found)
    # R's convey 0.2.5 leaves out the sum of squared weights and gives 0.26497.
    assert round(found, 5) == 0.26490


@pytest.mark.parametrize("name", ids("B61", "B62"))
def test_atkinson_and_entropy_over_values_above_zero_are_those_of_r_convey(name: str) -> None:
    found = eusilc(measures=["ge", "atkinson"], nonpositive="leave_out")
    statistic = "atkinson" if name.startswith("B61") else "generalised_entropy"
    check(name, found.value(statistic, parameter=float(name[7:])))
    assert found.pick(statistic, parameter=2).n == 14824


def test_unweighted_indices_of_r_ineq() -> None:
    people = table("ineq_Ilocos")
    plain = inequality(people, of="income", per_head=False, unit="household")
    check("C01_gini", plain.value("gini"))
    check("C07_theil", plain.value("generalised_entropy", parameter=1))
    finite = inequality(people, of="income", per_head=False, unit="household", finite=True)
    check("C02_gini_corr", finite.value("gini"))


def test_weighted_atkinson_and_theil_of_r_ic2() -> None:
    design = Design(weight="hh_sampleweight")
    found = inequality(table("vhlss2008_fpro"), of="hh_expd", size="hh_size", design=design)
    check("J10_atk_theil", found.value("atkinson", parameter=1), found.value("generalised_entropy", parameter=1))


def test_gini_of_vietnam_and_its_error_by_communes() -> None:
    found = inequality(vietnam(), measures=["gini"], design=COMMUNES)
    # R's convey, within its tolerance of 2 %: its Gini has another convention (0.36530 for 0.36515).
    check("H18_gini_cluster_se", found.value("gini"), found.pick("gini").se)


def test_lorenz_ordinates_of_vietnam() -> None:
    found = inequality(vietnam(), measures=["lorenz"], design=COMMUNES)
    check("H16_lorenz", *found.pick("lorenz").rows["estimate"].to_list())


# By hand


def test_indices_of_four_people_by_hand() -> None:
    y = np.array([1.0, 2.0, 3.0, 6.0])
    found = of(y.tolist(), alphas=[-1, 0, 1, 2, 3], aversions=[0, 0.5, 1, 2], measures=INEQUALITY_MEASURES)
    r = y / 3
    assert found.value("gini") == pytest.approx(sum(abs(a - b) for a in y for b in y) / (2 * 16 * 3))
    entropy = {a: ((r**a).mean() - 1) / (a * (a - 1)) for a in (-1, 2, 3)}
    entropy |= {0: -np.log(r).mean(), 1: (r * np.log(r)).mean()}
    for alpha, value in entropy.items():
        assert found.value("generalised_entropy", parameter=alpha) == pytest.approx(value), alpha
    assert found.value("atkinson", parameter=0) == 0
    assert found.value("atkinson", parameter=0.5) == pytest.approx(1 - np.sqrt(r).mean() ** 2)
    assert found.value("atkinson", parameter=1) == pytest.approx(1 - math.exp(np.log(r).mean()))
    assert found.value("atkinson", parameter=2) == pytest.approx(1 - 1 / (1 / r).mean())
    # Percentiles: the lowest fifth is the lowest of four, the highest above the 80th percentile is nobody but the last.
    assert found.value("p90p10") == 6
    assert found.value("lorenz", parameter=0.5) == pytest.approx(3 / 12)


def test_share_ratios_of_ten_people_by_hand() -> None:
    y = [float(value) for value in range(1, 11)]
    found = of(y)
    assert found.value("quintile_share_ratio") == pytest.approx((9 + 10) / (1 + 2))
    assert found.value("palma") == pytest.approx(10 / (1 + 2 + 3 + 4))


def test_the_ratio_of_sums_of_fifths_differs_from_that_of_means_where_groups_are_uneven() -> None:
    # Of seven people, two stand at or below the 20th percentile and one above the 80th.
    found = of([1, 2, 3, 4, 5, 6, 21], measures=["quintile_share_ratio", "quintile_sum_ratio"])
    assert found.value("quintile_share_ratio") == pytest.approx(21 / 1.5)
    assert found.value("quintile_sum_ratio") == pytest.approx(21 / 3)


def test_the_ratio_of_sums_on_eusilc_is_that_of_the_formula_of_r_convey() -> None:
    frame = table("eusilc").sort("eqIncome")
    income, weight = frame["eqIncome"].to_numpy(), frame["rb050"].to_numpy()
    reached = np.cumsum(weight) / weight.sum()
    low, high = income[np.searchsorted(reached, [0.2, 0.8])]
    want = (weight * income)[income > high].sum() / (weight * income)[income <= low].sum()
    asked = {"of": "eqIncome", "per_head": False, "unit": "household", "design": Design(weight="rb050")}
    found = inequality(frame, measures=["quintile_sum_ratio"], **asked)
    assert found.value("quintile_sum_ratio") == pytest.approx(want, rel=1e-12)  # rounding only


def test_entropy_within_and_between_by_hand() -> None:
    frame = pl.DataFrame({"consumption": [1.0, 3.0, 4.0, 8.0], "size": 1.0, "region": ["a", "a", "b", "b"]})
    found = inequality(frame, measures=["ge"], alphas=[0, 1, 2, -1, 3], parts="region")
    means = np.array([2.0, 2.0, 6.0, 6.0]) / 4
    weights = {0: (0.5, 0.5), 1: (0.25, 0.75), 2: (0.125, 1.125), -1: (1.0, 1 / 3), 3: (0.0625, 1.6875)}
    between = {0: -np.log(means).mean(), 1: (means * np.log(means)).mean()}
    between |= {a: ((means**a).mean() - 1) / (a * (a - 1)) for a in (2, -1, 3)}
    for alpha, share in weights.items():
        inside = [found.value("generalised_entropy", parameter=alpha, group=group) for group in "ab"]
        # Shorrocks (1984): group g weighs (its share of people) (its mean over all)^alpha.
        assert found.value("entropy_within", parameter=alpha) == pytest.approx(np.dot(share, inside))
        assert found.value("entropy_between", parameter=alpha) == pytest.approx(between[alpha])
    assert found.rows.filter(pl.col("statistic").str.starts_with("entropy"))["by"].null_count() == 15


def test_curves_hold_the_lorenz_curve_of_all_and_of_a_few_groups() -> None:
    frame = pl.DataFrame({"consumption": [1.0, 3.0, 4.0, 8.0], "size": 1.0, "region": ["a", "a", "b", "b"]})
    drawn = inequality(frame, by="region").curves["lorenz"]
    assert drawn.filter(pl.col("group").is_null())["share"].to_list() == pytest.approx([0, 1 / 16, 4 / 16, 8 / 16, 1])
    assert drawn["group"].unique().len() == 3
    many = frame.with_columns(region=pl.Series(range(4))).select(pl.all().repeat_by(3).explode())
    many = many.with_columns(region=pl.Series(range(12)))
    assert inequality(many, by="region").curves["lorenz"]["group"].unique().to_list() == [None]


# Special cases


def test_indices_without_value_are_null_and_say_why() -> None:
    found = of([0.0, 2.0, 4.0], alphas=[-1, 0, 1, 2], aversions=[0.5, 1, 2])
    assert math.isnan(found.value("generalised_entropy", parameter=-1))
    assert math.isnan(found.value("generalised_entropy", parameter=0))
    assert math.isnan(found.value("atkinson", parameter=1))
    assert found.value("generalised_entropy", parameter=1) == pytest.approx(
        2 / 3 * math.log(2) + math.log(1 / 2) * 0 + 0
    )
    assert found.value("atkinson", parameter=0.5) > 0
    assert math.isnan(found.value("p90p10"))
    assert found.special["zero_value"] == 1
    assert [note.key for note in found.notes] == ["inequality.no_value", "inequality.no_ratio"]


def test_a_floor_or_leaving_out_gives_them_a_value() -> None:
    left = of([0.0, 2.0, 4.0], nonpositive="leave_out")
    pair = of([2.0, 4.0])
    for parameter in (0, 1, 2):
        assert left.value("generalised_entropy", parameter=parameter) == pytest.approx(
            pair.value("generalised_entropy", parameter=parameter)
        )
    assert left.pick("atkinson", parameter=0.5).n == 2
    assert left.value("gini") == of([0.0, 2.0, 4.0]).value("gini")
    assert [note.key for note in left.notes] == ["inequality.left_out", "inequality.no_ratio"]
    assert of([0.0, 2.0, 4.0], floor=1).value("gini") == pytest.approx(of([1.0, 2.0, 4.0]).value("gini"))


def test_values_below_zero_are_counted_and_keep_what_is_defined() -> None:
    found = of([-1.0, 2.0, 5.0], alphas=[0.5, 1, 2])
    assert found.special["negative_value"] == 1
    assert math.isnan(found.value("generalised_entropy", parameter=1))
    assert found.value("generalised_entropy", parameter=2) == pytest.approx((30 / 3 / 4 - 1) / 2)
    assert found.value("gini") == pytest.approx(2 * (-1 * 0.5 + 2 * 1.5 + 5 * 2.5) / (3 * 6) - 1)


@pytest.mark.parametrize("values", [[0.0, 0.0], [-3.0, 1.0]])
def test_a_mean_of_zero_or_below_leaves_every_index_null(values: list[float]) -> None:
    found = of(values, measures=INEQUALITY_MEASURES)
    kept = found.rows.filter(pl.col("estimate").is_not_null())
    assert kept.is_empty(), kept
    assert "inequality.no_mean" in {note.key for note in found.notes}


def test_equal_values_have_no_inequality() -> None:
    found = of([7.0] * 5, measures=INEQUALITY_MEASURES)
    for name, want in (("gini", 0.0), ("palma", 0.25), ("p90p10", 1.0)):
        assert found.value(name) == pytest.approx(want, abs=1e-15), name
    # Nobody stands above the 80th percentile, so there is no highest fifth, as in R's laeken.
    assert math.isnan(found.value("quintile_share_ratio"))
    assert [note.key for note in found.notes] == ["inequality.no_ratio"]
    for name in ("generalised_entropy", "atkinson"):
        assert found.value(name, parameter=2) == pytest.approx(0, abs=1e-15)


def test_one_household_has_no_inequality_and_no_error() -> None:
    found = of([5.0], finite=True)
    assert found.value("generalised_entropy", parameter=1) == 0
    assert math.isnan(found.value("gini"))  # n / (n - 1) has no value
    assert found.rows["se"].null_count() == found.rows.height


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"measures": ["theil"]}, "no_such_measure"),
        ({"measures": []}, "no_such_measure"),
        ({"alphas": [math.nan]}, "bad_alpha"),
        ({"aversions": [-1]}, "bad_alpha"),
        ({"shares": [1.0]}, "bad_share"),
        ({"nonpositive": "drop"}, "bad_choice"),
        ({"bandwidth": 0.0}, "bad_bandwidth"),
        ({"floor": math.nan}, "bad_floor"),
        ({"parts": "nowhere"}, "missing_column"),
    ],
)
def test_misuse_is_refused(asked: dict[str, object], code: str) -> None:
    with pytest.raises(MedfloorError) as raised:
        of([1.0, 2.0], **asked)
    assert raised.value.code == code


# Errors


def drawn() -> pl.DataFrame:
    """Give a synthetic sample: lognormal consumption in 60 clusters, unequal weights, three regions."""
    rng = np.random.default_rng(11)
    psu = rng.integers(0, 60, 1800)
    return pl.DataFrame(
        {
            "consumption": np.exp(rng.normal(0, 0.5, 1800) + 0.2 * rng.normal(size=60)[psu] + 0.3 * (psu < 20)),
            "size": rng.integers(1, 6, 1800).astype(float),
            "psu": psu,
            "weight": rng.uniform(1, 3, 1800),
            "region": np.where(psu < 20, "west", np.where(psu < 40, "middle", "east")),
        }
    )


def test_linearised_errors_agree_with_the_jackknife() -> None:
    asked = {"measures": ["gini", "ge", "atkinson", "palma", "lorenz"], "parts": "region"}
    linear = inequality(drawn(), design=Design(weight="weight", psu="psu"), **asked)  # type: ignore[arg-type]
    again = inequality(drawn(), design=Design(weight="weight", psu="psu", method="jackknife"), **asked)  # type: ignore[arg-type]
    # They differ in terms of order 1 / clusters: 60 in all, 20 in a region.
    assert linear.rows["se"].to_list() == pytest.approx(again.rows["se"].to_list(), rel=0.08)


def test_a_group_of_one_cluster_loses_its_error_with_the_jackknife_and_nothing_else() -> None:
    frame = drawn().with_columns(alone=(pl.col("psu") == 7).cast(pl.String))
    jackknife = Design(weight="weight", psu="psu", method="jackknife")
    found = inequality(frame, measures=INEQUALITY_MEASURES, parts="alone", design=jackknife)
    one = found.rows.filter(pl.col("group") == "true")
    assert one["estimate"].null_count() == 0
    assert one["se"].null_count() == one.height
    assert found.rows.filter(pl.col("group") == "false")["se"].null_count() == 0


def test_errors_of_ratios_between_percentiles_agree_with_the_bootstrap() -> None:
    asked = {"measures": ["p90p10", "quintile_share_ratio"], "bandwidth": "sample"}
    linear = inequality(drawn(), design=Design(weight="weight"), **asked)  # type: ignore[arg-type]
    again = inequality(drawn(), design=Design(weight="weight", method="bootstrap", replicates=300), **asked)  # type: ignore[arg-type]
    # 300 replicates have a noise of 4 %, and the kernel smooths the densities in both tails.
    assert linear.rows["se"].to_list() == pytest.approx(again.rows["se"].to_list(), rel=0.2)


# Properties

values_of = st.lists(st.integers(1, 60).map(float), min_size=3, max_size=14)


@settings(max_examples=30)
@given(values_of, st.floats(0.001, 1000))
def test_a_change_of_unit_changes_nothing(values: list[float], scale: float) -> None:
    one, other = of(values), of([scale * value for value in values])
    assert estimates(one) == pytest.approx(estimates(other), rel=1e-9, abs=1e-12, nan_ok=True)


@settings(max_examples=30)
@given(values_of, st.lists(st.integers(1, 4), min_size=14, max_size=14))
def test_weights_of_k_are_k_copies(values: list[float], weights: list[int]) -> None:
    weights = weights[: len(values)]
    weighted = pl.DataFrame({"consumption": values, "size": 1.0, "weight": weights})
    copies = [value for value, k in zip(values, weights, strict=True) for _ in range(k)]
    one, many = inequality(weighted, measures=INEQUALITY_MEASURES), of(copies, measures=INEQUALITY_MEASURES)
    assert estimates(one) == pytest.approx(estimates(many), rel=1e-9, abs=1e-12, nan_ok=True)


@settings(max_examples=30)
@given(values_of, st.lists(st.sampled_from("abc"), min_size=14, max_size=14))
def test_within_and_between_add_up_and_are_not_negative(values: list[float], groups: list[str]) -> None:
    frame = pl.DataFrame({"consumption": values, "size": 1.0, "g": groups[: len(values)]})
    found = inequality(frame, measures=["gini", "ge"], parts="g")
    assert 0 <= found.value("gini") < 1
    for alpha in (0, 1, 2):
        whole, within, between = (
            found.value(name, parameter=alpha) for name in ("generalised_entropy", "entropy_within", "entropy_between")
        )
        assert within + between == pytest.approx(whole, rel=1e-9, abs=1e-12)
        assert min(within, between) >= -1e-12


@settings(max_examples=20)
@given(st.permutations([3.0, 3.0, 3.0, 5.0, 5.0, 9.0, 20.0]))
def test_ties_in_any_order_give_the_same_indices(values: list[float]) -> None:
    one, other = of(values, measures=INEQUALITY_MEASURES), of(sorted(values), measures=INEQUALITY_MEASURES)
    assert one.rows["estimate"].to_list() == pytest.approx(other.rows["estimate"].to_list(), rel=1e-12)
    assert one.rows["se"].to_list() == pytest.approx(other.rows["se"].to_list(), rel=1e-9)


def test_weights_count_in_the_gini_index() -> None:
    # PySAL's inequality package ignores them.
    frame = pl.DataFrame({"consumption": [1.0, 2.0], "size": 1.0, "weight": [3.0, 1.0]})
    assert inequality(frame, measures=["gini"]).value("gini") == pytest.approx(of([1.0, 1, 1, 2]).value("gini"))


def test_a_quintile_that_ends_within_a_person_holds_the_whole_of_it() -> None:
    # The lowest fifth of seven ends in the second person and the lowest four fifths in the sixth (Eurostat: up to the
    # percentile, and above it).
    found = of([1, 2, 3, 4, 5, 6, 100], measures=["quintile_share_ratio"])
    assert found.estimate == pytest.approx(100 / 1.5)


def test_rows_of_weight_zero_are_no_part_of_a_small_sample() -> None:
    frame = pl.DataFrame({"consumption": [1.0, 4.0, 9.0], "size": 1.0, "weight": [1.0, 1.0, 0.0]})
    # Two people with 1 and 4: 3 / (2 * 5), times 2 / (2 - 1).
    assert inequality(frame, measures=["gini"], finite=True).estimate == pytest.approx(0.6)
