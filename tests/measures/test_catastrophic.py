"""Catastrophic spending: every definition, against other people's answers and against itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import check, expected, ids, table, vietnam

from medfloor.errors import InputError, UsageError
from medfloor.measures import Design, EuropeRule, SocietalLine, WhoRule, catastrophic, compare_definitions
from medfloor.measures.catastrophic import DEFINITIONS, Columns, rank_weighted

module = importlib.import_module("medfloor.measures.catastrophic")

COMMUNES = Design(psu="psu")
FLOOR = 941.77296


def _of(name: str) -> tuple[str, float, str]:
    """Read definition, threshold and unit from a case's name: F04_che_nonfood25_H_pop."""
    kind = "nonfood" if "nonfood" in name else "budget"
    share = name.split("nonfood" if kind == "nonfood" else "total")[1].split("_")[0]
    return kind, int(share) / 100, "person" if name.endswith("_pop") else "household"


@pytest.mark.parametrize("name", ids("F01", "F02", "F03", "F04"))
def test_counts_and_errors_are_those_of_r_survey(name: str) -> None:
    definition, threshold, unit = _of(name)
    found = catastrophic(vietnam(), definition=definition, thresholds=[threshold], unit=unit, design=COMMUNES)
    part = {"H": "headcount", "O": "overshoot", "MPO": "mean_positive_overshoot"}[name.split("_")[-2]]
    check(name, found.pick(part).estimate, found.pick(part).se)


@pytest.mark.parametrize("name", ids("F05"))
def test_rank_weighted_measures_are_those_of_the_world_bank(name: str) -> None:
    found = catastrophic(vietnam(), thresholds=[0.1], unit="person" if name.endswith("pop") else "household")
    names = ("concentration_headcount", "rank_weighted_headcount", "concentration_overshoot", "rank_weighted_overshoot")
    check(name, *(found.value(one) for one in names))


def test_who_capacity_to_pay() -> None:
    found = catastrophic(vietnam(), definition="who", design=COMMUNES)
    share = found.pick("headcount")
    check("F09_who_che40", share.estimate, share.se, round(share.estimate * share.n))


def test_capacity_below_zero_counts_and_is_never_dropped() -> None:
    found = catastrophic(vietnam(), definition="who", who=WhoRule(actual_food=False))
    counted = round(found.value("headcount") * 5999)
    want_counted, want_dropped, want_none = expected("F11_ctp_pitfall")
    assert counted == want_counted
    assert found.special["no_capacity"] == want_none
    # What public do-files lose in silence: spenders without capacity, whose ratio is negative there.
    assert counted - found.special["no_capacity_spending"] == want_dropped


def test_sdg_of_2025() -> None:
    line = SocietalLine(FLOOR, FLOOR * 1.15 / 2.15)
    found = catastrophic(vietnam(), definition="sdg", sdg=line, design=COMMUNES)
    median, level, share, impoverishing, large, error = expected("F12_sdg382_2025")
    assert found.line is not None
    assert f"{level:,.2f}" in found.line.say("en")
    assert f"{median:,.2f}" in found.line.say("zh")
    values = [found.value(one) for one in ("headcount", "impoverishing", "large_not_impoverishing")]
    check("F12_sdg382_2025", median, level, *values, found.pick("headcount").se)
    assert (share, impoverishing, large, error) == pytest.approx((*values, found.pick("headcount").se), rel=1e-8)


@pytest.mark.parametrize("name", ["I07_spl", "I08_spl2021"])
def test_the_societal_poverty_line_has_the_world_banks_constants(name: str) -> None:
    medians = {"I07_spl": (1.5, 2.0, 6.0, 20), "I08_spl2021": (3.0, 3.4, 6.0, 20)}[name]
    line = SocietalLine.of(2021 if name.endswith("2021") else 2017)
    check(name, *(line.at(median) for median in medians))


@pytest.mark.parametrize("name", ids("J03"))
def test_fpcata_on_the_vhlss(name: str) -> None:
    homes = table("vhlss2008_fpro")
    columns = Columns(oop="hh_hexpd", consumption="hh_expd", size="hh_size")
    threshold = int(name.removeprefix("J03_fpcata")) / 100
    found = catastrophic(
        homes, columns=columns, thresholds=[threshold], unit="person", design=Design("hh_sampleweight")
    )
    share, error, index, _, overshoot = expected(name)
    got = found.pick("headcount")
    # The fourth number of the case, the convenient regression's error, is asked of `concentration`.
    values = (got.estimate, got.se, found.value("concentration_headcount"), found.value("overshoot"))
    assert values == pytest.approx((share, error, index, overshoot), rel=1e-7)


@pytest.mark.parametrize("name", ids("J05"))
def test_fpcata_by_quintile(name: str) -> None:
    homes = table("vhlss2008_fpro")
    columns = Columns(oop="hh_hexpd", consumption="hh_expd", size="hh_size")
    threshold = int(name.removeprefix("J05_fpcata").removesuffix("_quintiles")) / 100
    found = catastrophic(
        homes, columns=columns, thresholds=[threshold], unit="person", quantiles=5, design=Design("hh_sampleweight")
    )
    check(name, *(found.value("headcount", by="quantile", group=str(group)) for group in range(1, 6)))


@pytest.mark.parametrize("name", ids("J06"))
def test_fpcata_without_weights_and_by_households(name: str) -> None:
    homes = table("vhlss2008_fpro")
    columns = Columns(oop="hh_hexpd", consumption="hh_expd", size="hh_size")
    threshold = int(name.removeprefix("J06_fpcata").removesuffix("_weights")) / 100
    plain, weighted = (
        catastrophic(homes, columns=columns, thresholds=[threshold], design=design).value("headcount")
        for design in (Design(), Design("hh_sampleweight"))
    )
    check(name, plain, weighted)


def test_a_logit_interval_and_a_difference_between_town_and_country() -> None:
    found = catastrophic(vietnam(), thresholds=[0.1], by="urban", against="no", design=COMMUNES)
    check("K06_ci_logit", *found.pick("headcount").interval)
    gap = found.pick("headcount", group="yes", against="no")
    check("K08_subgroup_diff", gap.estimate, gap.se)
    assert gap.rows["p"][0] < 0.001


@pytest.mark.parametrize("name", ids("P01", "P04"))
def test_published_rank_weights_follow_from_their_parts(name: str) -> None:
    share, index = {
        "P01_vietnam98_HW_5": (33.77, -0.0315),
        "P01_vietnam98_HW_10": (15.11, 0.027),
        "P01_vietnam98_HW_15": (8.47, 0.0971),
        "P01_vietnam98_HW_25": (2.89, 0.2955),
        "P04_vietnam98_nonfood_HW_15": (29.37, -0.1299),
        "P04_vietnam98_nonfood_HW_25": (15.10, -0.1020),
        "P04_vietnam98_nonfood_HW_40": (5.97, -0.0116),
    }[name]
    check(name, rank_weighted(share, index))


@pytest.mark.parametrize("name", ids("P03"))
def test_published_mean_positive_overshoot_follows_from_its_parts(name: str) -> None:
    share, overshoot = {
        "P03_vietnam98_MPO_5": (33.77, 2.53),
        "P03_vietnam98_MPO_10": (15.11, 1.39),
        "P03_vietnam98_MPO_15": (8.47, 0.81),
        "P03_vietnam98_MPO_25": (2.89, 0.30),
    }[name]
    check(name, 100 * overshoot / share)


# What a checkout alone tests: a small made-up table whose answers are worked out by hand.

HOMES = {
    "oop": [0.0, 5.0, 30.0, 50.0, 10.0],
    "consumption": [100.0, 100.0, 100.0, 100.0, 0.0],
    "food": [60.0, 90.0, 20.0, 100.0, 0.0],
    "housing": [10.0, 5.0, 10.0, 0.0, 0.0],
    "utilities": [5.0, 5.0, 5.0, 0.0, 0.0],
    "size": [1, 2, 3, 4, 5],
    "adults": [1, 1, 2, 2, 2],
    "children": [0, 1, 1, 2, 3],
}


def test_each_threshold_by_hand() -> None:
    found = catastrophic(HOMES, thresholds=[0.05, 0.3, 0.4])
    # 5 of 100 is not more than 5 %; the household without consumption spends, so it counts, at a ratio of 1.
    assert found.value("headcount", threshold=0.05) == pytest.approx(3 / 5)
    assert found.value("headcount", threshold=0.3) == pytest.approx(2 / 5)
    assert found.value("overshoot", threshold=0.4) == pytest.approx((0.1 + 0.6) / 5)
    assert found.value("mean_positive_overshoot", threshold=0.4) == pytest.approx((0.1 + 0.6) / 2)
    assert found.special == {
        "missing": 0, "no_spending": 1, "no_consumption": 1, "no_capacity": 1, "no_capacity_spending": 1, "more_than_consumption": 1,
    }  # fmt: skip
    assert [note.key for note in found.notes] == ["catastrophic.no_capacity"]


def test_the_sign_decides_whether_exactly_the_threshold_counts() -> None:
    assert catastrophic(HOMES, thresholds=[0.3], sign=">=").value("headcount") == pytest.approx(3 / 5)
    assert catastrophic(HOMES, thresholds=[0.3]).sign == ">"
    assert catastrophic(HOMES, definition="who", who=WhoRule((0, 1), inclusive=True)).sign == ">="


def test_nonfood_spending_counts_where_food_is_everything() -> None:
    found = catastrophic(HOMES, definition="nonfood")
    # Third: 30 of 80 is not over 40 %. Second: 5 of 10. Fourth and fifth have nothing left and spend.
    assert found.value("headcount") == pytest.approx(3 / 5)
    assert found.special["no_capacity_spending"] == 2


def test_who_europe_by_hand() -> None:
    found = catastrophic(HOMES, definition="europe", europe=EuropeRule((0.0, 1.0), inclusive=True))
    scale = np.array([1.0, 1.5, 2.2, 2.7, 3.2])
    basic = np.array([75.0, 100.0, 35.0, 100.0, 0.0])
    level = (basic / scale).mean()
    capacity = np.array(HOMES["consumption"]) - level * scale
    oop = np.array(HOMES["oop"])
    assert found.value("headcount") == pytest.approx(((oop > 0) & (oop > 0.4 * capacity)).mean())
    assert found.line is not None
    assert f"{level:,.2f}" in found.line.say("en")


def test_the_band_of_who_may_be_weighted_inclusive_or_neither() -> None:
    rng = np.random.default_rng(7)
    homes = {
        "consumption": rng.lognormal(9, 0.6, 403),
        "size": rng.integers(1, 7, 403),
        "weight": rng.integers(1, 9, 403).astype(float),
    }
    share = rng.beta(5, 5, 403)
    homes["weight"] += 20.0 * (share > 0.52)
    homes["food"] = homes["consumption"] * share
    homes["oop"] = homes["consumption"] * rng.beta(1, 12, 403)
    rules = [WhoRule(weighted=w, inclusive=i) for w in (True, False) for i in (True, False)]
    lines = {catastrophic(homes, definition="who", who=rule).line for rule in rules}
    assert len(lines) == 4
    # A whole weight is so many copies, also for the band.
    frame = pl.DataFrame(homes)
    copies = frame.select(pl.all().repeat_by(pl.col("weight").cast(pl.UInt32))).explode(pl.all()).drop("weight")
    rule = WhoRule(inclusive=True)
    one, other = (catastrophic(one, definition="who", who=rule) for one in (frame, copies))
    assert one.value("headcount") == pytest.approx(other.value("headcount"), rel=1e-12)
    assert one.value("rank_weighted_overshoot") == pytest.approx(other.value("rank_weighted_overshoot"), rel=1e-9)


@pytest.mark.parametrize("rule", [lambda: WhoRule(exponent=float("nan")), lambda: EuropeRule(child=-0.5)])
def test_an_equivalence_scale_that_is_none_is_refused(rule: Callable[[], object]) -> None:
    with pytest.raises(UsageError) as error:
        rule()
    assert error.value.code == "bad_scale"


def test_who_is_poor_by_subsistence_before_and_after_paying() -> None:
    homes = vietnam()
    found = catastrophic(homes, definition="who", impoverishment=True, design=COMMUNES)
    total, food, size, oop = (homes[name].to_numpy() for name in ("consumption", "food", "size", "oop"))
    share, scale = food / total, size**0.56
    # 45 and 55 % of 5,999 rows are no whole numbers, so that the percentiles are single rows.
    low, high = np.sort(share)[[int(np.ceil(0.45 * 5999)) - 1, int(np.ceil(0.55 * 5999)) - 1]]
    needs = (food / scale)[(share > low) & (share < high)].mean() * scale
    before, after, spends = total < needs, total - oop < needs, oop > 0
    want = {
        "gross_headcount": before,
        "net_headcount": after,
        "impoverished": ~before & after,
        "further_impoverished": before & spends,
        "at_risk": ~after & (total - oop < 1.2 * needs) & spends,
        "no_spending": ~spends,
    }
    for name, group in want.items():
        # The same sums in another order: rounding only.
        assert found.value(name, threshold=None) == pytest.approx(group.mean(), rel=1e-12), name
    groups = ("further_impoverished", "impoverished", "at_risk", "not_at_risk", "no_spending")
    assert sum(found.value(name) for name in groups) == pytest.approx(1, rel=1e-12)
    # Impoverishment asks nothing of catastrophic spending, which stays what it is.
    assert found.value("headcount") == catastrophic(homes, definition="who", design=COMMUNES).value("headcount")


@pytest.mark.parametrize("definition", ["europe", "sdg"])
def test_poverty_by_basic_needs_and_by_the_societal_line(definition: str) -> None:
    found = catastrophic(HOMES, definition=definition, impoverishment=True, sdg=SocietalLine(60.0, 10.0))
    groups = ("further_impoverished", "impoverished", "at_risk", "not_at_risk", "no_spending")
    # The five groups are everybody.
    assert sum(found.value(name) for name in groups) == pytest.approx(1, rel=1e-12)
    assert found.value("net_headcount") >= found.value("gross_headcount")
    assert "impover" in found.text("en")


def test_a_household_without_spending_is_never_catastrophic() -> None:
    homes = {"oop": [0.0, 0.0, -3.0], "consumption": [0.0, -5.0, 10.0]}
    found = catastrophic(homes, thresholds=[0.1], sign=">=")
    assert found.value("headcount") == 0
    assert np.isnan(found.pick("mean_positive_overshoot").estimate)
    assert found.special["negative_spending"] == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"weight": [1, 1, 1, 1, -1]}, "negative_weight"),
        ({"weight": [0, 0, 0, 0, 0]}, "no_weight"),
        ({"oop": [1, 2, 3, 4, float("inf")]}, "infinite_value"),
        ({"oop": [None] * 5}, "no_rows"),
        ({"oop": ["a", "b", "c", "d", "e"]}, "not_numeric"),
        ({"size": [1, 2, 3, 4, 0]}, "bad_size"),
    ],
)
def test_what_cannot_be_measured_is_said(change: dict[str, list[object]], code: str) -> None:
    with pytest.raises(InputError) as error:
        catastrophic({**HOMES, **change}, unit="person")
    assert error.value.code == code


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"definition": "who-ever"}, "no_such_definition"),
        ({"thresholds": [0]}, "bad_threshold"),
        ({"thresholds": [40]}, "bad_threshold"),
        ({"thresholds": []}, "bad_threshold"),
        ({"quantiles": 1}, "bad_quantiles"),
        ({"by": "size", "against": "9"}, "no_such_group"),
        ({"beyond": float("nan")}, "bad_beyond"),
        ({"beyond": -1.0}, "bad_beyond"),
        ({"impoverishment": True}, "bad_choice"),
        ({"impoverishment": True, "definition": "who", "near": 0.5, "who": WhoRule((0.1, 0.9))}, "bad_near"),
    ],
)
def test_misuse_is_said(options: dict[str, object], code: str) -> None:
    with pytest.raises(UsageError) as error:
        catastrophic(HOMES, **options)
    assert error.value.code == code


def test_a_missing_column_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no column 'food'.*foods"):
        catastrophic({"oop": [1.0], "consumption": [2.0], "foods": [1.0]}, definition="nonfood")


def test_missing_values_leave_a_row_out_and_are_counted() -> None:
    found = catastrophic({**HOMES, "oop": [0.0, None, 30.0, 50.0, float("nan")]}, thresholds=[0.1])
    assert found.special["missing"] == 2
    assert found.value("headcount") == pytest.approx(2 / 3)


def test_one_household_has_an_estimate_and_no_error() -> None:
    found = catastrophic({"oop": [5.0], "consumption": [10.0]}, thresholds=[0.1])
    assert found.value("headcount") == 1
    assert np.isnan(found.pick("headcount").se)
    assert np.isnan(found.pick("concentration_headcount").se) or found.pick("concentration_headcount").se == 0


def test_one_cluster_has_an_estimate_and_no_error() -> None:
    found = catastrophic({**HOMES, "psu": [1] * 5}, thresholds=[0.1])
    assert found.value("headcount") == pytest.approx(3 / 5)
    assert np.isnan(found.pick("headcount").se)


def test_all_equal_households_have_no_inequality() -> None:
    found = catastrophic({"oop": [20.0] * 6, "consumption": [100.0] * 6}, thresholds=[0.1])
    assert found.value("concentration_overshoot") == pytest.approx(0, abs=1e-15)
    assert found.value("headcount") == 1


def _values(rows: pl.DataFrame, name: str = "estimate") -> list[float]:
    """List numbers, with NaN where a number is not defined."""
    return [float("nan") if one is None else one for one in rows[name].to_list()]


amounts = st.lists(
    st.tuples(
        st.floats(0, 1e4), st.floats(0, 1e4), st.integers(1, 4),
    ).map(lambda row: (round(row[0], 2), round(row[1], 2), row[2])),
    min_size=2,
    max_size=30,
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(amounts, st.floats(0.01, 1000))
def test_units_of_money_do_not_matter(rows: list[tuple[float, float, int]], scale: float) -> None:
    oop, consumption, weight = (np.array(one, float) for one in zip(*rows, strict=True))
    # Powers of two keep every product exact, so that no household crosses a threshold by rounding.
    scale = 2.0 ** round(np.log2(scale))
    one = catastrophic({"oop": oop, "consumption": consumption, "weight": weight}, thresholds=[0.1])
    other = catastrophic({"oop": oop * scale, "consumption": consumption * scale, "weight": weight}, thresholds=[0.1])
    assert _values(one.rows) == pytest.approx(_values(other.rows), rel=1e-9, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(amounts)
def test_weights_are_copies_and_order_does_not_matter(rows: list[tuple[float, float, int]]) -> None:
    oop, consumption, weight = (np.array(one, float) for one in zip(*rows, strict=True))
    times = weight.astype(int)
    one = catastrophic({"oop": oop, "consumption": consumption, "weight": weight}, thresholds=[0.1, 0.25])
    turned = {"oop": np.repeat(oop, times)[::-1], "consumption": np.repeat(consumption, times)[::-1]}
    other = catastrophic(turned, thresholds=[0.1, 0.25])
    assert _values(one.rows) == pytest.approx(_values(other.rows), rel=1e-9, abs=1e-12, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(amounts)
def test_headcounts_fall_with_the_threshold_and_lie_between_none_and_all(rows: list[tuple[float, float, int]]) -> None:
    oop, consumption, _ = (np.array(one, float) for one in zip(*rows, strict=True))
    found = catastrophic({"oop": oop, "consumption": consumption}, thresholds=[0.1, 0.2, 0.4])
    shares = [found.value("headcount", threshold=z) for z in (0.1, 0.2, 0.4)]
    assert 1 >= shares[0] >= shares[1] >= shares[2] >= 0
    assert all(found.value("overshoot", threshold=z) >= 0 for z in (0.1, 0.2, 0.4))


def test_the_compiled_pass_gives_the_same_as_the_plain_version(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    n = 5_000
    consumption = np.where(rng.random(n) < 0.02, 0.0, rng.lognormal(9, 0.8, n).round(1))
    oop = np.where(rng.random(n) < 0.3, 0.0, (rng.choice([0.05, 0.1, 0.3, 0.7], n) * consumption).round(2))
    homes = {"oop": oop, "consumption": consumption, "weight": rng.integers(0, 4, n).astype(float)}
    for sign in (">", ">="):
        results = []
        for many in (10**9, 1):
            monkeypatch.setattr(module, "MANY", many)
            results.append(
                catastrophic(homes, thresholds=[0.4, 0.1, 0.05], sign=sign, rank_weighted=False, by="weight").rows
            )
        plain, quick = results
        assert plain.select("statistic", "threshold", "group", "n", "kind").equals(
            quick.select("statistic", "threshold", "group", "n", "kind")
        )
        for name in ("estimate", "se", "low", "high", "deff"):
            # Sums in another order differ in the last digits; an error is the root of a difference of such sums, so
            # that one of zero may come out as 1e-9.
            if name == "deff":
                plain, quick = (one.filter(plain["se"] > 1e-6) for one in (plain, quick))
            assert _values(plain, name) == pytest.approx(_values(quick, name), rel=1e-7, abs=1e-8, nan_ok=True), name


def test_all_definitions_side_by_side_on_the_same_rows() -> None:
    found = compare_definitions({**HOMES, "food": [60.0, 90.0, 20.0, 100.0, None]}, who=WhoRule((0, 1), inclusive=True))
    levels = found.rows.filter(statistic="headcount")
    assert set(levels["definition"]) == set(DEFINITIONS)
    assert set(levels["n"]) == {4}
    for row in found.rows.filter(statistic="agree").iter_rows(named=True):
        pair = {name: row[name] for name in ("definition", "threshold", "other", "other_threshold")}
        both, first, second = (found.value(one, **pair) for one in ("both", "first_only", "second_only"))
        one = found.value("headcount", definition=pair["definition"], threshold=pair["threshold"])
        other = found.value("headcount", definition=pair["other"], threshold=pair["other_threshold"])
        assert both + first == pytest.approx(one)
        assert both + second == pytest.approx(other)
        assert row["estimate"] == pytest.approx(1 - first - second)


def test_definitions_that_lack_a_column_are_named() -> None:
    found = compare_definitions({"oop": [1.0, 2.0], "consumption": [5.0, 50.0]})
    said = " ".join(note.say("en") for note in found.notes)
    assert (
        "WHO Europe basic needs is left out, because the table lacks food, housing, utilities, adults, children" in said
    )
    assert set(found.rows["definition"]) == {"budget"}


def test_a_small_table_is_compared_without_the_definitions_that_have_nobody_in_their_band() -> None:
    homes = {"oop": [1.0, 9.0], "consumption": [10.0, 20.0], "food": [5.0, 8.0], "size": [1, 2]}
    found = compare_definitions(homes)
    assert "who" not in found.rows["definition"].to_list()
    assert {"budget", "nonfood", "sdg"} <= set(found.rows["definition"].to_list())
    assert "WHO capacity to pay is left out, because no household lies in its band" in found.text("en")
    with pytest.raises(InputError) as error:
        catastrophic(homes, definition="who")
    assert error.value.code == "empty_band"


def test_definitions_on_vietnam_give_the_known_numbers() -> None:
    found = compare_definitions(vietnam(), sdg=SocietalLine(FLOOR, FLOOR * 1.15 / 2.15), design=COMMUNES)
    assert found.value("headcount", definition="budget", threshold=0.1) == pytest.approx(
        expected("F01_che_total10_H_hh")[0]
    )
    assert found.value("headcount", definition="who") == pytest.approx(expected("F09_who_che40")[0])
    assert found.value("headcount_people", definition="sdg") == pytest.approx(expected("F12_sdg382_2025")[2])


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_result_says_its_definition_in_both_languages(definition: str, lang: str) -> None:
    homes = {**HOMES, "food": [60.0, 90.0, 20.0, 50.0, 30.0]}
    found = catastrophic(
        homes, definition=definition, who=WhoRule((0, 1), inclusive=True), europe=EuropeRule((0, 1), inclusive=True)
    )
    told = found.text(lang)
    assert found.definition.say(lang) in told
    assert ("不等号" if lang == "zh" else "Inequality") in told
    assert "{" not in told


def test_spending_all_of_consumption_is_not_more_than_it() -> None:
    found = catastrophic({"oop": [10.0, 11.0, 1.0], "consumption": [10.0, 10.0, 10.0]})
    assert found.special["more_than_consumption"] == 1


@pytest.mark.parametrize("many", [10**9, 1])
def test_a_ratio_put_under_the_threshold_takes_nothing_off_the_overshoot(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MANY", many)
    homes = {"oop": [5.0, 1.0, 6.0], "consumption": [0.0, 10.0, 10.0]}
    found = catastrophic(homes, thresholds=[0.4], beyond=0.1, rank_weighted=False)
    assert found.value("headcount") == pytest.approx(2 / 3)
    assert found.value("overshoot") == pytest.approx(0.2 / 3)


def test_the_compiled_pass_knows_the_finite_population(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = []
    for many in (10**9, 1):
        monkeypatch.setattr(module, "MANY", many)
        homes = {**HOMES, "drawn": [0.25] * 5}
        errors.append(catastrophic(homes, rank_weighted=False, design=Design(fpc="drawn")).rows["se"].to_list())
    # Sums in another order differ in the last digits.
    assert errors[0] == pytest.approx(errors[1], rel=1e-9)


def test_errors_of_agreement_are_near_the_jackknife() -> None:
    rng = np.random.default_rng(5)
    homes = {"consumption": rng.lognormal(3, 0.6, 400), "food": rng.uniform(0.1, 0.6, 400)}
    homes["food"] *= homes["consumption"]
    homes["oop"] = homes["consumption"] * rng.beta(1, 4, 400)
    errors = [
        compare_definitions(homes, design=Design(method=method)).rows.filter(pl.col("other").is_not_null())
        for method in ("linearised", "jackknife")
    ]
    for name in ("agree", "both", "first_only", "second_only", "kappa"):
        one, other = (found.filter(statistic=name)["se"].to_list() for found in errors)
        # Both are of first order: at 400 rows a few per cent remain between them.
        assert one == pytest.approx(other, rel=0.05), name
