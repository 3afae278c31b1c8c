"""Poverty: against other people's answers, by hand, against replicates, and against itself."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import check, ids, table, vietnam

from medfloor.errors import InputError, MedfloorError, UsageError
from medfloor.measures import Design, Result, poverty
from medfloor.measures.capacity import SocietalLine
from medfloor.measures.lines import Line, RelativeLine
from medfloor.measures.poverty import POVERTY_MEASURES, estimated_line
from medfloor.measures.quantile import density, estimated_quantile, width

PEOPLE = Design(weight="rb050", strata="db040", psu="rb030")
HOUSEHOLDS = Design(weight="rb050", strata="db040", psu="db030")
COMMUNES = Design(psu="psu")
FGT = {"0": "headcount", "1": "gap", "2": "severity"}


def eusilc(line: str | float, design: Design = HOUSEHOLDS) -> Result:
    """Measure EU-SILC, a table of people with equivalised income."""
    return poverty(table("eusilc"), of="eqIncome", per_head=False, unit="household", line=line, design=design)


def homes(values: list[float], sizes: list[float] | None = None) -> pl.DataFrame:
    return pl.DataFrame({"consumption": values, "size": sizes or [1.0] * len(values)})


# Other people's answers


@pytest.mark.parametrize("design", [PEOPLE, HOUSEHOLDS])
@pytest.mark.parametrize("line", ["median:0.6", "mean:0.5"])
def test_errors_below_relative_lines_are_those_of_the_formulas_that_r_convey_has(line: str, design: Design) -> None:
    frame = table("eusilc")
    y, w = frame["eqIncome"].to_numpy(), frame["rb050"].to_numpy()
    whole, centre = w.sum(), w @ y / w.sum()
    wide = math.sqrt(w @ (y - centre) ** 2 / whole) / whole**0.2

    def dense(at: float) -> float:
        return float(w @ np.exp(-(((at - y) / wide) ** 2) / 2)) / (whole * wide * math.sqrt(2 * math.pi))

    if line == "mean:0.5":
        z, moves = 0.5 * centre, 0.5 * (y - centre) / whole
    else:
        order = np.argsort(y)
        middle = y[order][np.searchsorted(np.cumsum(w[order]), whole / 2)]
        z, moves = 0.6 * middle, 0.6 * (0.5 - (y <= middle)) / (whole * dense(middle))
    found, poor = eusilc(line, design), y < z
    for alpha in (0, 1, 2):
        gaps = np.where(poor, np.abs(1 - y / z), 0.0) ** alpha * poor
        steep = (
            dense(z) if alpha == 0 else alpha * w @ (np.where(poor, 1 - y / z, 1.0) ** (alpha - 1) * poor * y) / z**2
        )
        scores = w * ((gaps - w @ gaps / whole) / whole + (steep if alpha == 0 else steep / whole) * moves)
        sums = frame.with_columns(u=pl.Series(scores)).group_by("db040", design.psu).agg(pl.col("u").sum())
        strata = sums.group_by("db040").agg(pl.col("u").var() * pl.len())
        # Both add up the same terms: rounding only.
        assert found.pick(FGT[str(alpha)]).se == pytest.approx(math.sqrt(strata["u"].sum()), rel=1e-10)


def test_the_median_and_its_line_are_those_of_r_laeken() -> None:
    check("B01_wmedian", eusilc("median:1").value("poverty_line"))
    check("B02_arpt60", eusilc("median:0.6").value("poverty_line"))


@pytest.mark.parametrize("name", ids("B03", "B04"))
def test_headcounts_below_shares_of_the_median_are_those_of_r_laeken(name: str) -> None:
    check(name, 100 * eusilc(f"median:0.{name[-2:-1]}").value("headcount"))


@pytest.mark.parametrize("name", ids("B10", "B12", "B20", "B21"))
def test_fixed_lines_have_the_errors_of_r_convey(name: str) -> None:
    found = eusilc(10000, PEOPLE if "indiv" in name else HOUSEHOLDS).pick(FGT[name[2]])
    check(name, found.estimate, found.se)


@pytest.mark.parametrize("name", ids("B30", "B31", "B32", "B40", "B41", "B42"))
def test_relative_lines_give_the_estimates_of_r_convey(name: str) -> None:
    line = "median:0.6" if name[1] == "3" else "mean:0.5"
    check(name, eusilc(line).value(FGT[name[2]]))


@pytest.mark.parametrize(
    ("name", "statistic"),
    [
        ("C03_sen", "sen"),
        ("C04_watts", "watts"),
        ("C05_foster1", "headcount"),
        ("C05_foster2", "gap"),
        ("C05_foster3", "severity"),
    ],
)
def test_indices_of_r_ineq_where_foster_of_k_is_fgt_of_k_less_one(name: str, statistic: str) -> None:
    people = table("ineq_Ilocos")
    found = poverty(people, of="income", per_head=False, unit="household", line="median:0.6", alphas=[0, 1, 2])
    check(name, found.value(statistic))
    if name.startswith("C05"):
        check(name, found.value("fgt", alpha=float(name[-1]) - 1))


@pytest.mark.parametrize("name", ids("H17"))
def test_vietnam_by_people_and_communes_is_that_of_r_convey(name: str) -> None:
    found = poverty(vietnam(), line=1883.5459, design=COMMUNES).pick(FGT[name[7]])
    check(name, found.estimate, found.se)


@pytest.mark.parametrize("name", ids("J11", "J12"))
def test_weighted_households_of_2008_are_those_of_r_convey(name: str) -> None:
    line = "PL2" if name.startswith("J11") else RelativeLine(0.6)
    design = Design(weight="hh_sampleweight")
    found = poverty(table("vhlss2008_fpro"), of="hh_expd", size="hh_size", line=line, design=design).pick(FGT[name[7]])
    check(name, found.estimate, *([found.se] if name.startswith("J11") else []))


# By hand


def test_every_index_of_four_people_by_hand() -> None:
    found = poverty(homes([2.0, 6.0, 10.0, 30.0]), line=8, measures=POVERTY_MEASURES)
    gini = 2 * (2 * 0.5 + 6 * 1.5) / (2 * 8) - 1
    assert gini == 0.25
    assert found.value("headcount") == 0.5
    assert found.value("gap") == pytest.approx((0.75 + 0.25) / 4)
    assert found.value("severity") == pytest.approx((0.75**2 + 0.25**2) / 4)
    assert found.value("watts") == pytest.approx((math.log(4) + math.log(8 / 6)) / 4)
    assert found.value("income_gap") == pytest.approx(0.5)
    assert found.value("gini_poor") == pytest.approx(gini)
    assert found.value("sen") == pytest.approx(0.5 * (0.5 + 0.5 * gini))
    # Gaps in order: 0, 0, .25, .75; each with the people below it, the middle of ties.
    assert found.value("sst") == pytest.approx(0.25 * (1 + 2 * (0.25 * 2.5 + 0.75 * 3.5) / (4 * 1.0) - 1))
    assert found.value("median_gap") == pytest.approx(1 - 4 / 8)


def test_sen_of_1976_takes_q_over_q_plus_one() -> None:
    found = poverty(homes([2.0, 6.0, 10.0, 30.0]), line=8, sen="1976", measures=["sen"])
    assert found.value("sen") == pytest.approx(0.5 * (0.5 + 0.5 * 0.25 * 2 / 3))


def test_people_are_counted_and_amounts_divided_by_size() -> None:
    found = poverty(homes([30.0, 10.0], [3.0, 1.0]), line=10.5)
    assert found.value("headcount") == 1
    assert poverty(homes([30.0, 12.0], [3.0, 1.0]), line=11).value("headcount") == 0.75
    assert poverty(homes([30.0, 12.0], [3.0, 1.0]), line=11, unit="household").value("headcount") == 0.5


@pytest.mark.parametrize(("sign", "share"), [("<", 0.25), ("<=", 0.5)])
def test_one_exactly_at_the_line_is_poor_only_if_asked(sign: str, share: float) -> None:
    found = poverty(homes([2.0, 8.0, 10.0, 30.0]), line=8, sign=sign)  # type: ignore[arg-type]
    assert found.value("headcount") == share
    assert found.sign == sign


def test_a_line_may_stand_in_a_column_or_be_an_expression() -> None:
    frame = homes([2.0, 8.0, 10.0, 30.0]).with_columns(pline=pl.Series([8.0, 8.0, 12.0, 12.0]))
    by_column = poverty(frame, line="pline")
    assert by_column.value("headcount") == 0.5
    assert poverty(frame, line=pl.col("pline") * 1).value("sst") == by_column.value("sst")
    assert by_column.line is not None
    assert "pline" in by_column.line.say("en")
    assert poverty(frame, line=Line(8.0)).value("gap") == poverty(frame, line="8").value("gap")


def test_the_societal_line_moves_with_the_median_only_above_its_floor() -> None:
    frame = homes([1.0, 2.0, 10.0, 12.0, 40.0])
    high = poverty(frame, line=SocietalLine.of(2017))
    assert high.value("poverty_line") == pytest.approx(1.15 + 0.5 * 10)
    low = poverty(homes([0.5, 1.0, 1.5, 2.0, 40.0]), line=SocietalLine.of(2017))
    # At its floor the line is no estimate, so it is no statistic.
    assert "poverty_line" not in low.rows["statistic"].to_list()
    assert low.value("headcount") == 0.8


# Special cases


def test_values_without_a_logarithm_are_counted_and_leave_only_the_watts_index() -> None:
    frame = homes([-4.0, 0.0, 4.0, 20.0])
    found = poverty(frame, line=8)
    assert (found.special["zero_value"], found.special["negative_value"]) == (1, 1)
    assert found.value("headcount") == 0.75
    assert found.value("severity") == pytest.approx((1.5**2 + 1 + 0.25) / 4)
    assert found.value("watts") == pytest.approx(math.log(2) / 2)
    assert (found.pick("watts").n, found.pick("gap").n) == (2, 4)
    assert {note.key for note in found.notes} == {"poverty.no_logarithm", "poverty.negative"}


def test_a_floor_keeps_everyone_in_the_watts_index() -> None:
    found = poverty(homes([-4.0, 0.0, 4.0, 20.0]), line=8, floor=1.0)
    assert found.value("watts") == pytest.approx((2 * math.log(8) + math.log(2)) / 4)
    assert found.special["floored"] == 2
    assert not found.notes


def test_without_poor_shares_are_zero_and_means_of_the_poor_are_null() -> None:
    found = poverty(homes([20.0, 30.0]), line=8, measures=POVERTY_MEASURES)
    for name in ("headcount", "gap", "severity", "watts", "sen", "sst"):
        assert found.value(name) == 0, name
    for name in ("income_gap", "gini_poor", "median_gap"):
        assert math.isnan(found.value(name)), name
    assert [note.key for note in found.notes] == ["poverty.undefined"]


def test_a_line_above_everyone_makes_all_poor() -> None:
    found = poverty(homes([2.0, 4.0]), line=8, measures=POVERTY_MEASURES)
    assert found.value("headcount") == 1
    assert found.value("income_gap") == found.value("gap") == pytest.approx(0.625)


def test_one_household_and_one_cluster_have_no_error() -> None:
    assert math.isnan(poverty(homes([2.0]), line=8).pick("gap").se)
    frame = homes([2.0, 9.0]).with_columns(psu=pl.lit("a"))
    assert math.isnan(poverty(frame, line=8).pick("gap").se)


def test_a_constant_column_is_not_below_its_own_median() -> None:
    found = poverty(homes([5.0] * 6), line="median:0.6", measures=POVERTY_MEASURES)
    assert found.value("headcount") == 0
    assert found.pick("poverty_line").estimate == 3
    assert found.pick("poverty_line").se == 0


def test_half_without_anything_leave_no_line() -> None:
    found = poverty(homes([0.0, 0.0, 0.0, 9.0]), line="median:0.6", measures=POVERTY_MEASURES)
    assert all(math.isnan(found.value(name)) for name in POVERTY_MEASURES)
    assert "poverty.undefined" in {note.key for note in found.notes}


def test_missing_values_and_weights_of_zero_are_counted() -> None:
    frame = homes([2.0, 9.0, 3.0]).with_columns(
        consumption=pl.Series([2.0, None, 3.0]), weight=pl.Series([1.0, 1.0, 0.0])
    )
    found = poverty(frame, line=8)
    assert (found.special["missing"], found.special["zero_weight"]) == (1, 1)
    assert found.pick("headcount").n == 1


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"line": -1}, "bad_line"),
        ({"line": "nowhere"}, "missing_column"),
        ({"line": "cn-2010"}, "no_such_year"),
        ({"line": 8, "measures": ["fgt3"]}, "no_such_measure"),
        ({"line": 8, "measures": []}, "no_such_measure"),
        ({"line": 8, "alphas": [-1]}, "bad_alpha"),
        ({"line": 8, "floor": math.inf}, "bad_floor"),
        ({"line": "median:0.6", "bandwidth": -1.0}, "bad_bandwidth"),
        ({"line": "median:0.6", "bandwidth": "wide"}, "bad_bandwidth"),
        ({"line": "zero"}, "bad_line"),
        ({"line": 8, "of": "endless"}, "infinite_value"),
        ({"line": 8, "by": "zero", "against": "7"}, "no_such_group"),
    ],
)
def test_misuse_is_refused(given_: dict[str, object], code: str) -> None:
    frame = homes([2.0, 9.0]).with_columns(zero=pl.lit(0.0), endless=pl.lit(math.inf))
    with pytest.raises(MedfloorError) as raised:
        poverty(frame, **given_)  # type: ignore[arg-type]
    assert raised.value.code == code


def test_negative_weights_and_empty_tables_are_refused() -> None:
    with pytest.raises(InputError, match="weight of row 1"):
        poverty(homes([2.0, 9.0]).with_columns(weight=pl.lit(-1.0)), line=8)
    with pytest.raises(InputError, match="no rows"):
        poverty(homes([2.0]).clear(), line=8)


# Errors


def drawn(rows: int = 1500) -> pl.DataFrame:
    """Give a synthetic sample: lognormal consumption in 60 clusters, unequal weights, two regions."""
    rng = np.random.default_rng(5)
    psu = rng.integers(0, 60, rows)
    return pl.DataFrame(
        {
            "consumption": np.exp(rng.normal(0, 0.6, rows) + 0.2 * rng.normal(size=60)[psu]),
            "size": 1.0,
            "psu": psu,
            "weight": rng.uniform(1, 3, rows),
            "region": np.where(psu < 25, "west", "east"),
        }
    )


@pytest.mark.parametrize("line", [0.7, "mean:0.7"])
def test_linearised_errors_agree_with_the_jackknife(line: float | str) -> None:
    design = Design(weight="weight", psu="psu")
    smooth = ["gap", "severity", "watts", "sst"]
    smooth += ["headcount", "sen", "income_gap", "gini_poor"] if line == 0.7 else []
    linear = poverty(drawn(), line=line, measures=smooth, design=design, by="region", against="west")
    again = poverty(
        drawn(),
        line=line,
        measures=smooth,
        by="region",
        against="west",
        design=Design(weight="weight", psu="psu", method="jackknife"),
    )
    # Both estimate the same variance and differ in terms of order 1 / clusters: 60 in all, 25 in the smaller region.
    assert linear.rows["se"].to_list() == pytest.approx(again.rows["se"].to_list(), rel=0.05)


def test_errors_that_need_a_density_agree_with_the_bootstrap() -> None:
    # The jackknife does not work for quantiles; the bootstrap does. Its own noise with 400 replicates is about 3.5 %,
    # and the kernel smooths the density over its width: a fifth is what can be asked.
    names = ["headcount", "gap", "sen", "sst", "median_gap"]
    free, bootstrap = Design(weight="weight"), Design(weight="weight", method="bootstrap", replicates=400)
    linear = poverty(drawn(), line="median:0.6", measures=names, design=free, bandwidth="sample")
    again = poverty(drawn(), line="median:0.6", measures=names, design=bootstrap)
    assert linear.rows["se"].to_list() == pytest.approx(again.rows["se"].to_list(), rel=0.2)


def test_the_error_of_the_line_is_in_that_of_the_groups() -> None:
    free = Design(weight="weight")
    estimated = poverty(drawn(), line="median:0.6", by="region", design=free)
    level = estimated.value("poverty_line")
    fixed = poverty(drawn(), line=level, by="region", design=free)
    for group in (None, "west", "east"):
        both = [one.pick("gap", group=group) for one in (estimated, fixed)]
        assert both[0].estimate == pytest.approx(both[1].estimate)
        assert both[0].se != pytest.approx(both[1].se, rel=1e-3)
        assert both[0].n == both[1].n
        assert both[0].weighted_n == pytest.approx(both[1].weighted_n)


def test_groups_may_be_held_against_their_own_line() -> None:
    own = poverty(drawn(), line="median:0.6", by="region", own_line=True)
    west = poverty(drawn().filter(pl.col("region") == "west"), line="median:0.6")
    assert own.value("poverty_line", group="west") == west.value("poverty_line")
    assert own.value("sst", group="west") == pytest.approx(west.value("sst"))


def test_a_group_of_one_cluster_loses_its_error_with_the_jackknife_and_nothing_else() -> None:
    frame = drawn(600).with_columns(
        alone=pl.when(pl.col("psu") == 7).then(pl.lit("yes")).otherwise(pl.lit("no")), pline=pl.lit(0.7)
    )
    jackknife = Design(weight="weight", psu="psu", method="jackknife")
    for line in ("pline", "median:0.6", 0.7):
        for own in (False, True):
            found = poverty(frame, line=line, measures=POVERTY_MEASURES, own_line=own, by="alone", design=jackknife)
            gap = found.pick("gap", group="yes")
            assert math.isfinite(gap.estimate)
            # Without its one cluster the group has nobody: the replicate has no value.
            assert math.isnan(gap.se)
            assert math.isfinite(found.pick("gap", group="no").se)


def test_groups_of_the_whole_add_up_to_it() -> None:
    found = poverty(drawn(), line="median:0.6", measures=["gap"], by="region")
    parts = [found.pick("gap", group=group) for group in ("west", "east")]
    weight = found.pick("gap").weighted_n
    assert sum(one.estimate * one.weighted_n for one in parts) / weight == pytest.approx(found.value("gap"))


# Densities


def test_bandwidths_are_those_they_say() -> None:
    values, weight = np.array([1.0, 2.0, 3.0, 6.0]), np.array([1.0, 1.0, 1.0, 2.0])
    centre = float(weight @ values) / 5
    spread = math.sqrt(float(weight @ (values - centre) ** 2) / 5)
    assert width(values, weight, "population") == pytest.approx(spread / 5**0.2)
    kernel = np.exp(-0.5 * ((2.5 - values) / 0.7) ** 2) / math.sqrt(2 * math.pi)
    assert density(values, weight, 2.5, 0.7) == pytest.approx(float(weight @ kernel) / (5 * 0.7))


def test_weights_of_another_scale_change_only_the_population_bandwidth() -> None:
    values, weight = drawn()["consumption"].to_numpy(), drawn()["weight"].to_numpy()
    assert width(values, weight, "sample") == pytest.approx(width(values, 1000 * weight, "sample"))
    assert width(values, weight, "population") == pytest.approx(width(values, 1000 * weight, "population") * 1000**0.2)


def test_the_influence_of_a_quantile_sums_to_about_nothing() -> None:
    values, weight = drawn()["consumption"].to_numpy(), drawn()["weight"].to_numpy()
    influence = estimated_quantile(values, weight, 0.3).influence() * weight
    # One row's weight of 4,500 lies at the quantile itself.
    assert abs(float(np.sum(influence))) < 1e-3 * float(np.sum(np.abs(influence)))


def test_a_mean_line_is_a_share_of_the_mean() -> None:
    assert estimated_line(RelativeLine(0.4, "mean"), np.array([5.0, 15.0]), np.array([1.0, 3.0])).value == 5.0


# Properties

values_of = st.lists(st.integers(1, 60).map(float), min_size=3, max_size=14)


@settings(max_examples=30)
@given(values_of, st.sampled_from(["median:0.6", "mean:0.7", 13]), st.floats(0.01, 1000))
def test_a_change_of_unit_changes_no_index(values: list[float], line: str | float, scale: float) -> None:
    one = poverty(homes(values), line=line, measures=POVERTY_MEASURES)
    scaled = homes([scale * value for value in values])
    other = poverty(scaled, line=line if isinstance(line, str) else scale * line, measures=POVERTY_MEASURES)
    for name in ("gap", "severity", "sst"):
        assert other.value(name) == pytest.approx(one.value(name), rel=1e-9, abs=1e-12)


@settings(max_examples=30)
@given(values_of, st.lists(st.integers(1, 4), min_size=14, max_size=14))
def test_weights_of_k_are_k_copies(values: list[float], weights: list[int]) -> None:
    repeated = [value for value, k in zip(values, weights, strict=False) for _ in range(k)]
    weighted = homes(values).with_columns(weight=pl.Series(weights[: len(values)]))
    for line in ("median:0.6", "mean:0.7", 13):
        one = poverty(weighted, line=line, measures=POVERTY_MEASURES, design=Design(weight="weight"))
        many = poverty(homes(repeated), line=line, measures=POVERTY_MEASURES)
        for name in POVERTY_MEASURES:
            assert one.value(name) == pytest.approx(many.value(name), rel=1e-9, abs=1e-12, nan_ok=True)


@settings(max_examples=30)
@given(values_of)
def test_indices_stay_in_their_bounds_and_order(values: list[float]) -> None:
    found = poverty(homes(values), line=20, measures=POVERTY_MEASURES)
    headcount, gap, severity = (found.value(FGT[alpha]) for alpha in "012")
    assert 0 <= severity <= gap + 1e-12 <= headcount + 2e-12 <= 1 + 3e-12
    assert gap - 1e-12 <= found.value("sen") <= headcount + 1e-12
    assert gap - 1e-12 <= found.value("sst") <= 1 + 1e-12
    assert found.value("watts") >= gap - 1e-12


@settings(max_examples=25)
@given(st.permutations([3.0, 3.0, 3.0, 5.0, 5.0, 9.0, 20.0]))
def test_ties_in_any_order_give_the_same_indices(values: list[float]) -> None:
    one = poverty(homes(values), line=8, measures=POVERTY_MEASURES)
    other = poverty(homes(sorted(values)), line=8, measures=POVERTY_MEASURES)
    for name in POVERTY_MEASURES:
        assert one.value(name) == pytest.approx(other.value(name), rel=1e-12)
        assert one.pick(name).se == pytest.approx(other.pick(name).se, rel=1e-9)


def test_an_unknown_choice_names_what_there_is() -> None:
    with pytest.raises(UsageError, match="headcount, gap, severity"):
        poverty(homes([1.0]), line=1, measures=["sens"])


def test_rows_of_weight_zero_change_neither_sens_small_sample_nor_its_error() -> None:
    frame = drawn(300).with_columns(weight=pl.when(pl.col("psu") < 20).then(0.0).otherwise("weight"))
    both = [poverty(one, line=0.7, measures=["sen"], sen="1976") for one in (frame, frame.filter(pl.col("weight") > 0))]
    assert both[0].estimate == pytest.approx(both[1].estimate, rel=1e-12)


def test_a_value_at_the_floor_was_not_raised() -> None:
    assert poverty(homes([1.0, 2.0, 9.0]), line=8, floor=2.0).special["floored"] == 1


def test_a_bandwidth_is_in_the_unit_of_the_values_also_for_the_median_gap() -> None:
    cents = drawn().with_columns(pl.col("consumption") * 100)
    one = poverty(drawn(), line="median:0.6", measures=["median_gap"], bandwidth=0.2)
    other = poverty(cents, line="median:0.6", measures=["median_gap"], bandwidth=20.0)
    assert one.pick("median_gap").se == pytest.approx(other.pick("median_gap").se, rel=1e-9)


def test_the_bandwidth_of_a_sample_is_silvermans_with_the_rows_that_weights_are_worth() -> None:
    values, weight = np.array([1.0, 2.0, 3.0, 4.0, 100.0]), np.array([1.0, 1.0, 1.0, 1.0, 4.0])
    # Equal weights: quartiles 2 and 4; the other spread, 38.9, is larger. Silverman (1986), equation 3.31.
    assert width(values, np.ones(5), "sample") == pytest.approx(0.9 * (2 / 1.34) / 5**0.2, rel=1e-12)
    # 8 squared over 20: the weights are worth 3.2 rows; of 8, 2 lie at or below 2, and 100 reaches three quarters.
    centre = float(weight @ values) / 8
    spread = float(np.sqrt(weight @ (values - centre) ** 2 / 8))
    assert width(values, weight, "sample") == pytest.approx(0.9 * min(spread, 97.5 / 1.34) / 3.2**0.2, rel=1e-12)
