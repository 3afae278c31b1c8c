"""Projection of the funds: what must hold whatever the numbers are, and what the published series say."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.fund import (
    Controls,
    backtest,
    contrast,
    national,
    place_from,
    project,
    read_place,
    shipped_series,
    tornado,
    tornadoes,
)
from medfloor.fund.cohorts import AGES, SHAPE, carry, life_expectancy, read_people_by_year, survival
from medfloor.fund.outgo import FUNDS
from medfloor.fund.parameters import assignments, shipped_parameters
from medfloor.fund.projection import ITEMS, draw, one_year, prepare, still, trend_of
from medfloor.fund.reserves import below, fan, first_year
from medfloor.fund.series import Series, changes, growth, source_text

NO_CHANCE = dict.fromkeys(
    ("shock.use", "shock.cost", "shock.outpatient", "shock.chronic", "shock.financing", "shock.participation"), 0.0
) | {"shock.drift": 0.0}

# Series


def test_growth_never_crosses_the_break_of_2023() -> None:
    book = shipped_series()
    for name in ("admissions", "inpatient_cost", "outpatient_cost", "chronic_cost"):
        years = [one.year for one in changes(book[name], book["insured"], since=2020, until=2025)]
        assert years == [2021, 2022, 2024, 2025]


def test_money_of_the_fund_has_no_break_in_2023_and_uses_every_change() -> None:
    book = shipped_series()
    assert [one.year for one in changes(book["spending"], book["insured"], since=2020, until=2025)][2] == 2023


def test_a_year_that_was_not_published_is_an_error_that_names_the_years() -> None:
    with pytest.raises(InputError, match="2018, 2020") as error:
        shipped_series()["income"].value(2019)
    assert error.value.code == "missing_year"


def test_flash_and_final_figures_stand_apart() -> None:
    book = shipped_series()
    assert book["income"].at(2023).status == "final"
    assert book["income_flash"].at(2023).status == "flash"
    assert book["income"].value(2023) != book["income_flash"].value(2023)


def test_every_value_has_a_source_and_a_trust() -> None:
    frame = shipped_series().to_frame()
    assert frame.null_count().sum_horizontal().item() == 0
    assert frame.filter(pl.col("source") == "").is_empty()


def test_the_shipped_values_are_those_of_the_collected_margins(root: object) -> None:
    from pathlib import Path

    from ruamel.yaml import YAML

    file = Path(str(root)).parent / "shared" / "data" / "margins.yaml"
    if not file.is_file():
        pytest.skip("the collected margins are not beside the repository")
    margins = YAML(typ="safe").load(file.read_text(encoding="utf-8"))["national"]
    pairs = {
        "insured": "insured_residents",
        "income": "resident_fund_income",
        "spending": "resident_fund_spending",
        "admissions": "resident_discharges",
        "inpatient_cost": "resident_inpatient_cost",
        "outpatient_cost": "resident_outpatient_cost",
        "chronic_cost": "resident_chronic_outpatient_cost",
        "assistance": "medical_assistance_total",
        "assisted": "ma_subsidised_enrolment",
        "subsidy": "resident_subsidy_standard_floor",
        "in_scope_ratio": "resident_in_scope_inpatient_ratio",
    }
    for ours, theirs in pairs.items():
        assert {p.year: p.value for p in shipped_series()[ours].points} == margins[theirs]["values"], ours
    held = {p.year: p.value for p in shipped_series()["cumulative"].points if p.trust != "derived" or p.year == 2020}
    assert held == margins["resident_fund_cumulative"]["values"]
    # Our years are benefit years; there a premium bears the year in which it is collected, one earlier.
    premium = {year + 1: value for year, value in margins["resident_premium_standard"]["values"].items() if year < 2024}
    assert {p.year: p.value for p in shipped_series()["premium"].points if 2021 <= p.year <= 2024} == premium


# Cohorts


@settings(max_examples=25)
@given(st.floats(55, 90))
def test_survival_has_the_life_expectancy_asked_for(years: float) -> None:
    # The root is found to 2e-12 in the level; a millionth of a year is far more than that allows.
    assert life_expectancy(survival(years)) == pytest.approx(round(years, 4), abs=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.floats(0, 3), st.floats(-20, 20), st.floats(0, 10))
def test_people_are_never_negative_and_towns_only_move_them(
    seed: int, fertility: float, migration: float, urbanising: float
) -> None:
    people = np.random.default_rng(seed).uniform(0, 1000, SHAPE)
    given = {"population.fertility": fertility, "population.migration": migration}
    moved = carry(
        people, shipped_parameters().with_yours(given | {"population.urbanising": urbanising}), first=2025, years=3
    )
    stayed = carry(people, shipped_parameters().with_yours(given | {"population.urbanising": 0.0}), first=2025, years=3)
    assert (moved >= 0).all()
    # Only rounding of doubles: moving from country to town changes where people live and nothing else.
    np.testing.assert_allclose(moved.sum(axis=3), stayed.sum(axis=3), rtol=1e-9)


def test_without_births_and_migration_a_cohort_only_loses() -> None:
    given = {"population.fertility": 0.0, "population.migration": 0.0}
    found = carry(np.ones(SHAPE), shipped_parameters().with_yours(given), first=2025, years=5).sum(axis=3)
    assert (found[1:, 1:-1] <= found[:-1, :-2]).all()
    assert found[1:, 0].sum() == 0


def table(years: int = 2) -> pl.DataFrame:
    rows = [
        {"year": 2025 + year, "age": str(age), "sex": sex, "persons": 7_000_000.0}
        for year in range(years + 1)
        for age in range(AGES)
        for sex in ("male", "female")
    ]
    rows += [{"year": 2025 + year, "age": "all", "sex": "all", "persons": 7e6 * 2 * AGES} for year in range(years + 1)]
    return pl.DataFrame(rows)


def test_a_table_of_people_is_read_as_it_stands() -> None:
    found = read_people_by_year(table(), first=2025, years=2)
    assert found.shape == (3, *SHAPE)
    assert found.sum() == 3 * 7e6 * 2 * AGES


def test_rows_that_do_not_come_to_their_total_are_refused() -> None:
    wrong = table().with_columns(
        pl.when(pl.col("age") == "40").then(pl.col("persons") + 1000).otherwise(pl.col("persons")).alias("persons")
    )
    with pytest.raises(InputError, match="rows come to") as error:
        read_people_by_year(wrong, first=2025, years=2)
    assert error.value.code == "does_not_add_up"


def test_flows_that_do_not_lead_from_year_to_year_are_refused() -> None:
    flows = table().with_columns(births=pl.lit(9e6), deaths=pl.lit(9e6), migration=pl.lit(0.0))
    assert read_people_by_year(flows, first=2025, years=2).sum() > 0
    with pytest.raises(InputError, match="births, deaths and migration"):
        read_people_by_year(flows.with_columns(births=pl.lit(19e6)), first=2025, years=2)


def _refused(rows: pl.DataFrame) -> InputError:
    with pytest.raises(InputError) as error:
        read_people_by_year(rows, first=2025, years=2)
    return error.value


def test_a_cell_that_is_given_twice_is_refused_with_its_line() -> None:
    again = pl.concat([table(), table().filter((pl.col("age") == "40") & (pl.col("sex") == "female"))[:1]])
    found = _refused(again)
    assert found.code == "given_twice"
    assert f"age 40, female, urban again in line {again.height + 1}" in str(found)


def test_an_age_that_is_absent_is_refused_by_name() -> None:
    lacking = table().filter(~((pl.col("age") == "40") & (pl.col("year") == 2026)) & (pl.col("age") != "all"))
    found = _refused(lacking)
    assert found.code == "missing_age"
    assert "year 2026, age 40, male, urban (2 rows in all)" in str(found)
    old = table().filter(pl.col("age").cast(pl.Int64, strict=False) < 60)
    assert "ends at age 59" in str(_refused(old))


def test_a_place_that_shrinks_to_a_seventh_in_a_year_is_refused() -> None:
    rows = table().filter(pl.col("age") != "all")
    leap = rows.with_columns(pl.when(pl.col("year") == 2027).then(1e6).otherwise("persons").alias("persons"))
    found = _refused(leap)
    assert found.code == "does_not_add_up"
    assert "1,414,000,000 people in 2026 to 202,000,000 in 2027" in str(found)


def test_nobody_at_all_is_refused() -> None:
    assert "nobody in 2025" in str(_refused(table().with_columns(persons=pl.lit(0.0))))


@pytest.mark.parametrize("lacking", ["births", "deaths", "migration"])
def test_flows_of_which_one_is_absent_are_refused_and_not_ignored(lacking: str) -> None:
    flows = table().with_columns(births=pl.lit(9e6), deaths=pl.lit(9e6), migration=pl.lit(0.0)).drop(lacking)
    found = _refused(flows)
    assert found.code == "missing_column"
    assert f"no {lacking}" in str(found)


def test_flows_of_which_one_year_is_absent_are_refused() -> None:
    flows = table().with_columns(
        births=pl.when(pl.col("year") < 2027).then(9e6), deaths=pl.lit(9e6), migration=pl.lit(0.0)
    )
    assert "not for 2027" in str(_refused(flows))


def test_a_leap_that_births_deaths_and_migration_explain_is_taken() -> None:
    rows = table().with_columns(
        pl.when(pl.col("year") == 2027).then(pl.col("persons") * 1.5).otherwise("persons").alias("persons"),
        births=pl.lit(0.0), deaths=pl.lit(0.0),
        migration=pl.when(pl.col("year") == 2027).then(7e6 * AGES).otherwise(0.0),
    )  # fmt: skip
    assert read_people_by_year(rows, first=2025, years=2)[2].sum() == pytest.approx(1.5 * 7e6 * 2 * AGES)


def test_a_year_missing_in_the_table_of_people_is_named() -> None:
    with pytest.raises(InputError, match="lacks 2026"):
        read_people_by_year(table().filter(pl.col("year") != 2026), first=2025, years=2)


def test_a_projection_on_a_table_of_people_uses_it() -> None:
    outlook = project(national(table=table(), years=2), years=2, paths=20)
    assert outlook.people["people"].to_list() == [7e6 * 2 * AGES] * 3


def test_more_insured_than_people_do_not_add_up() -> None:
    with pytest.raises(InputError, match="do not fit"):
        national(persons=5e8)


# The national base


def test_the_base_year_pays_what_was_published() -> None:
    basis = national()
    members = (basis.people * basis.share)[..., None] * basis.assisted
    paid = basis.cells.expected(members[None])[0].sum(axis=(1, 2)) / 1e8
    margin = basis.parameters.share("critical.margin")
    enrolled = basis.parameters.value("assistance.enrolment") * members[..., 1].sum() / 1e8
    # Sums of a few thousand doubles.
    assert paid[0] + paid[1] * (1 + margin) == pytest.approx(10678.63, rel=1e-9)
    assert paid[2] + enrolled == pytest.approx(794.2, rel=1e-9)
    assert members.sum() / 1e4 == pytest.approx(94213.3, rel=1e-9)
    assert basis.reserve[0] / 1e8 == pytest.approx(8742.11, rel=1e-9)


def test_months_of_payment_are_those_of_the_notes() -> None:
    book = shipped_series()
    found = {y: 12 * book["cumulative"].value(y) / book["spending"].value(y) for y in (2020, 2021, 2022, 2023, 2024)}
    # Printed with one decimal.
    assert {year: round(one, 1) for year, one in found.items()} == {
        2020: 8.9,
        2021: 8.7,
        2022: 9.7,
        2023: 8.8,
        2024: 9.2,
    }


def test_published_standards_of_the_next_year_are_used_and_do_not_move() -> None:
    outlook = project(national(), years=2, paths=200)
    insured = outlook.people.filter(pl.col("year") == 2026)["insured"].item()
    above = outlook.parameters.value("income.above_standard")
    assert outlook.value("subsidy", 2026) == pytest.approx(insured * 724 * above, rel=1e-9)
    assert outlook.value("premium", 2026) == pytest.approx(insured * 400 * above, rel=1e-9)


def test_every_parameter_has_a_value_a_source_and_a_name_in_both_languages() -> None:
    for one in national().parameters.all:
        assert math.isfinite(one.value), one.name
        assert one.source
        assert one.title("zh") != one.name
        assert one.title("en") != one.name
        assert one.least <= one.value <= one.most


# One year, and many


def test_money_that_leaves_one_fund_for_another_arrives() -> None:
    setting = prepare(national(given={"commercial.poor_paid": 50.0}), 6)
    drivers = draw(setting, 50, np.random.default_rng(3))
    reserve = np.repeat(setting.basis.reserve[:, None], 50, axis=1)
    for place in range(6):
        year = one_year(setting, drivers, place, reserve)
        moved = [year.values[ITEMS.index(one)].sum(axis=0) for one in ("transfers_in", "transfers_out")]
        # Yuan of some 1e11, summed in doubles.
        np.testing.assert_allclose(moved[0], moved[1], rtol=1e-9)
        np.testing.assert_allclose(
            year.values[ITEMS.index("reserve")],
            reserve + year.values[ITEMS.index("income")] - year.values[ITEMS.index("outgo")],
        )
        reserve = year.values[ITEMS.index("reserve")]


def test_critical_illness_insurance_shares_its_losses_with_the_fund() -> None:
    setting = prepare(national(), 1)
    drivers = still(setting)
    dear = dataclasses.replace(drivers, care=drivers.care * 1.5)
    start = setting.basis.reserve[:, None]
    calm, costly = (one_year(setting, one, 0, start) for one in (drivers, dear))
    # The margin stays, everything else is shared; doubles of 1e10.
    assert costly.of("balance", "critical_illness") == pytest.approx(calm.of("balance", "critical_illness"), rel=1e-6)
    assert costly.of("transfers_out", "basic") > calm.of("transfers_out", "basic")


def test_without_chance_every_path_is_the_trend() -> None:
    outlook = project(national(given=NO_CHANCE), years=5, paths=7)
    for item in ("income", "outgo", "reserve"):
        rows = outlook.frame.filter((pl.col("fund") == "basic") & (pl.col("item") == item))
        np.testing.assert_allclose(rows["p5"], rows["trend"], rtol=1e-12)
        np.testing.assert_allclose(rows["p95"], rows["trend"], rtol=1e-12)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    first, again, other = (project(national(), years=4, paths=200, seed=seed) for seed in (1, 1, 2))
    assert first.frame.equals(again.frame)
    assert not first.frame.equals(other.frame)


@settings(max_examples=15)
@given(
    st.sampled_from(
        ["growth.inpatient_cost", "growth.inpatient_use", "growth.outpatient", "growth.chronic", "growth.ratio"]
    ),
    st.floats(-3, 10),
    st.floats(0.1, 5),
)
def test_more_growth_of_costs_never_leaves_more(name: str, low: float, more: float) -> None:
    kept = [trend_of(national(given={name: value}), 8)[-1].of("reserve", "basic")[0] for value in (low, low + more)]
    assert kept[1] < kept[0]


@settings(max_examples=15)
@given(st.floats(0.5, 1.0), st.floats(1.0, 1.5))
def test_controls_move_the_reserve_the_way_they_should(cut: float, raised: float) -> None:
    def last(controls: Controls) -> float:
        outlook = project(national(given=NO_CHANCE), years=3, paths=1, rule=lambda *_: controls)
        return outlook.value("reserve", 2028)

    assert last(Controls(ratio=cut)) >= last(Controls()) >= last(Controls(ratio=raised))
    assert last(Controls(subsidy=raised)) >= last(Controls()) >= last(Controls(premium=cut))


def test_a_cut_for_the_ordinary_leaves_the_assisted_alone() -> None:
    setting = prepare(national(), 1)
    start = setting.basis.reserve[:, None]
    plain, cut = (one_year(setting, still(setting), 0, start, one) for one in (Controls(), Controls(ratio=0.0)))
    of_poor = setting.expected[1, 0, :, 1] @ setting.trend[1]
    assert cut.of("benefits", "basic")[0] == pytest.approx(of_poor, rel=1e-12)
    assert plain.of("benefits", "basic")[0] > of_poor


@settings(max_examples=25)
@given(st.lists(st.lists(st.floats(-20, 20), min_size=3, max_size=3), min_size=1, max_size=6), st.floats(0, 10))
def test_probabilities_of_lines_rise_with_the_line_and_with_time(held: list[list[float]], line: float) -> None:
    values = np.array(held)
    now, ever = below(values, line)
    higher, _ = below(values, line + 1)
    assert (now <= higher).all()
    assert (np.diff(ever) >= 0).all()
    assert (ever >= now).all()


def test_first_years_and_fans_of_small_numbers() -> None:
    happens = np.array([[False, True, False], [True, False, False]])
    assert first_year(happens, 2026).tolist() == [2027.0, 2026.0, math.inf]
    assert fan(np.arange(101.0)[None]).tolist() == [[5.0], [25.0], [50.0], [75.0], [95.0]]


def test_lower_lines_are_crossed_less_often() -> None:
    outlook = project(national(), years=8, paths=500)
    wide = outlook.lines.filter(pl.col("fund") == "basic").pivot("line", index="year", values="now")
    assert (wide["3.0"] <= wide["6.0"]).all()
    assert (wide["6.0"] <= wide["9.0"]).all()


def test_growth_that_the_user_gives_is_taken_as_known() -> None:
    assert national().errors["cost"] > 0
    assert national(given={"growth.inpatient_cost": 2.0}).errors["cost"] == 0


def test_the_subsidy_is_split_without_loss() -> None:
    fiscal = project(national(), years=3, paths=5).fiscal
    parts = fiscal.select(pl.sum_horizontal("centre", "province", "city", "county")).to_series()
    np.testing.assert_allclose(parts, fiscal["subsidy"], rtol=1e-12)


def test_the_premium_in_hand_is_that_of_the_next_year() -> None:
    fiscal = project(national(), years=4, paths=5).fiscal
    np.testing.assert_allclose(fiscal["collected_ahead"][:-1], fiscal["premium"][1:], rtol=1e-9)


# The commercial product, and the cells


def test_the_commercial_fund_pays_what_the_price_says_of_its_members() -> None:
    from medfloor.fund import price, pricing_parameters, product_of, stated_risks

    asked: list[dict[str, float]] = [
        {}, {"commercial.poor_paid": 100.0}, {"commercial.take_up": 45.0, "commercial.premium": 99.0}
    ]  # fmt: skip
    for told in asked:
        basis = national(given=told)
        members = (basis.people * basis.share)[..., None] * basis.assisted
        whole = members.sum()
        known = pricing_parameters({
            "product.premium": basis.parameters.value("commercial.premium"),
            "market.take_up": told.get("commercial.take_up", 30.0),
            "market.poor_paid": basis.parameters.value("commercial.poor_paid"),
            "market.poor": 100 * members[..., 1].sum() / whole,
            "people.young": 100 * members[:15].sum() / whole, "people.old": 100 * members[60:].sum() / whole,
        })  # fmt: skip
        product = product_of(known)
        found = price(stated_risks(known, product), product, known, draws=1)
        # Two ways to the same sums, each of a few thousand doubles.
        assert basis.parameters.share("commercial.payout") == pytest.approx(found.figures["loss_ratio"], rel=1e-9)
        assert basis.parameters.share("commercial.take_up") == pytest.approx(found.figures["take_up"], rel=1e-9)
        year = project(basis, years=1, paths=1).cells.filter(pl.col("year") == basis.year)
        losses = (found.figures["losses"] or 0.0) / known.value("market.insured") * whole
        assert year["pay_commercial"].sum() == pytest.approx(losses, rel=1e-9)


def test_the_old_cost_the_product_more_than_the_young_as_the_price_says() -> None:
    cells = project(national(), years=1, paths=1).cells.filter((pl.col("year") == 2025) & (pl.col("members") > 0))
    heads = cells.filter(pl.col("kind") == "inpatient")
    old, young = (
        float(part["pay_commercial"].sum()) / float(part["members"].sum())
        for part in (heads.filter(pl.col("age") >= 60), heads.filter(pl.col("age") < 15))
    )
    assert old > 3 * young


def test_a_product_that_nobody_may_join_pays_nothing_and_says_so() -> None:
    for told in ({"commercial.take_up": 0.0}, {"commercial.premium": 0.0}):
        basis = national(given=told)
        outlook = project(basis, years=2, paths=5)
        assert outlook.value("outgo", 2027, "commercial") == 0.0
        assert any(note.key == "fund_project.commercial_empty" for note in basis.notes)
        assert "-" in outlook.text("en", funds=("commercial",))


def test_cells_add_up_to_what_every_fund_pays_on_the_trend() -> None:
    outlook = project(national(given={"growth.ratio": 1.0, "commercial.poor_paid": 50.0}), years=6, paths=5)
    last = outlook.cells.filter(pl.col("year") == 2031)
    assert last.height == 3 * AGES * 2 * 2 * 2
    for fund in FUNDS:
        # Sums of 2,424 doubles in another order.
        assert last[f"pay_{fund}"].sum() == pytest.approx(outlook.value("benefits", 2031, fund), rel=1e-9)
        product = pl.col("members") * pl.col("use") * pl.col("cost") * pl.col("growth") * pl.col(f"ratio_{fund}")
        np.testing.assert_allclose(last.select(product).to_series(), last[f"pay_{fund}"], rtol=1e-9)


# Words


def test_every_source_and_note_is_said_in_chinese() -> None:
    basis = national()
    for one in basis.parameters.all:
        assert source_text(one.source, "zh") != one.source, one.source
        assert not one.note or one.said("zh") != one.note, one.name
        assert one.said("en") == one.note
    for name, source in shipped_series().sources:
        assert source_text(source, "zh") != source, name


# Back-test, sensitivity, contrast


def test_a_back_test_knows_nothing_of_what_came_after() -> None:
    book = shipped_series()
    changed = dataclasses.replace(book, series=tuple(_doubled(one) for one in book.series))
    one, other = (backtest(book=each, paths=50) for each in (book, changed))
    assert one.frame["forecast"].equals(other.frame["forecast"])
    assert not one.frame["actual"].equals(other.frame["actual"])


def _doubled(series: Series) -> Series:
    """Double what came after 2023, and after 2022 in series that are not standards."""
    last = 2023 if series.name in ("premium", "subsidy") else 2022
    points = tuple(dataclasses.replace(p, value=2 * p.value) if p.year > last else p for p in series.points)
    return dataclasses.replace(series, points=points)


def test_the_back_test_prints_errors_that_are_forecast_less_actual() -> None:
    found = backtest(paths=200)
    assert (found.frame["error"] - (found.frame["forecast"] - found.frame["actual"])).abs().max() == 0
    # Bars of ours on what this method reached when it was written (0.3, 0.3 and 5.3 %; -3.6, 2.0 and 9.7 %): a change
    # of method that is worse by more than a point shows.
    assert abs(found.error_of("income", 2024)) < 0.02
    assert abs(found.error_of("outgo", 2023)) < 0.05
    assert abs(found.error_of("outgo", 2025)) < 0.11


def test_the_break_is_carried_from_its_first_year_and_tested_after_it() -> None:
    frame = backtest(paths=50).frame.filter(pl.col("item") == "stays_per_100")
    assert (frame["definition"] != frame["fitted_definition"]).all()
    assert frame["carried_share"][0] == pytest.approx(0.0, abs=1e-12)
    assert abs(frame["carried_share"][1]) < abs(frame["error_share"][1])


def test_a_tornado_is_sorted_and_leaves_out_what_the_user_fixed() -> None:
    fixed = {"growth.chronic": 5.0}
    found = tornado(lambda given: national(given=given), years=6, given=fixed)
    assert found.frame["swing"].is_sorted(descending=True)
    assert "growth.chronic" not in found.frame["parameter"].to_list()
    assert found.frame["parameter"][0].startswith("growth.")


def test_every_fund_has_a_tornado_of_its_own() -> None:
    found = {one.fund: one for one in tornadoes(lambda given: national(given=given), years=4)}
    assert set(found) == set(FUNDS)
    assert found["basic"].frame.equals(tornado(lambda given: national(given=given), years=4).frame)
    assert found["commercial"].frame["parameter"][0] == "commercial.payout"
    assert "assistance.follows" in found["assistance"].frame["parameter"].to_list()
    assert "医疗救助" in found["assistance"].text("zh")


def test_a_place_is_tested_against_its_own_years_and_says_so() -> None:
    read = read_place(place(spending={2025: 3.0}), where="mine.toml")
    found = backtest(place=read, paths=50)
    assert (found.since, found.until, found.through) == (2020, 2022, 2025)
    assert "my-county" in found.text("en")
    actual = found.frame.filter((pl.col("item") == "outgo") & (pl.col("year") == 2025))["actual"].item()
    assert actual == 3.0
    # As many people for its insured as the nation, so that the place differs from the nation by its size alone.
    nation = backtest(given={"growth.long_run": 4.0}, paths=50)
    scaled = backtest(place=read_place(place().replace("people = 400_000", "")), paths=50)
    np.testing.assert_allclose(
        scaled.frame.filter(item="outgo")["forecast"] * 4000, nation.frame.filter(item="outgo")["forecast"], rtol=1e-6
    )


def test_a_place_of_two_years_allows_no_back_test() -> None:
    read = read_place(place().replace("people = 400_000", "people = 400_000\nsince = 2024"))
    with pytest.raises(UsageError, match="two fitted years and one after them"):
        backtest(place=read, paths=5)


def test_a_reserve_given_for_the_base_is_not_that_of_an_earlier_year() -> None:
    one, other = (backtest(given=told, paths=20) for told in (None, {"reserve.start": 1.0}))
    assert one.frame["forecast"].equals(other.frame["forecast"])


def test_projections_of_other_seeds_are_not_comparable() -> None:
    one, other = (project(national(), years=2, paths=5, seed=seed) for seed in (1, 2))
    with pytest.raises(UsageError, match="seed"):
        contrast(one, other)


# Misuse


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"growth.fade": 0.0}, "bad_parameter"),
        ({"population.fertility": -1.0}, "bad_parameter"),
        ({"reserve.start": -3.0}, "bad_parameter"),
        ({"growth.long_run": math.nan}, "bad_parameter"),
        ({"growth.longrun": 3.0}, "no_such_parameter"),
        ({"fiscal.county": 30.0}, "fiscal_split"),
    ],
)
def test_impossible_parameters_are_refused(given: dict[str, float], code: str) -> None:
    with pytest.raises(UsageError) as error:
        national(given=given)
    assert error.value.code == code


def test_years_out_of_order_are_refused() -> None:
    with pytest.raises(UsageError, match="2022 to 2020"):
        national(since=2022, until=2020)


def test_what_is_set_must_be_a_number() -> None:
    with pytest.raises(UsageError, match="NAME=VALUE"):
        assignments(["growth.long_run=three"])


PLACE = """
id = "my-county"
people = 400_000
[sources]
mine = "my yearbook"
[parameters]
"growth.long_run" = {{ value = 4.0, source = "mine", trust = "official", year = 2024 }}
{series}
"""


def place(**changed: dict[int, float]) -> str:
    scale = 4000.0
    names = ("insured", "income", "spending", "cumulative", "admissions", "inpatient_cost", "outpatient_cost",
             "chronic_cost", "assistance", "assisted")  # fmt: skip
    told = []
    for name in names:
        series = shipped_series()[name]
        values = {p.year: p.value / scale for p in series.points if p.year >= 2020} | changed.get(name, {})
        said = ", ".join(f"{year} = {value}" for year, value in values.items() if not math.isnan(value))
        told.append(
            f'[series.{name}]\nunit = "{series.unit}"\nsource = "mine"\ntrust = "official"\nvalues = {{ {said} }}'
        )
    return PLACE.format(series="\n".join(told))


def test_a_place_of_ones_own_is_projected_with_what_it_says() -> None:
    basis = place_from(place())
    assert basis.parameters["growth.long_run"].source == "my yearbook"
    assert basis.parameters["growth.long_run"].trust == "official"
    outlook = project(basis, years=3, paths=20)
    assert outlook.unit()[0] == "ten_thousand"
    assert outlook.people["insured"][0] == pytest.approx(94213.3e4 / 4000)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("id = ", "bad_series"),
        ("colour = 3", "bad_series"),
        ("people = 'many'", "bad_series"),
        (place(income={2023: math.nan}), "missing_year"),
        (place(cumulative={2025: -1.0}), "negative_reserve"),
        (place(spending={2025: -1.0}), "bad_series"),
        (place().replace("[series.assisted]", "[series.other]"), "missing_series"),
        (place().replace('"mine"\ntrust', '"yours"\ntrust'), "bad_series"),
        (place().replace('trust = "official"\n', 'trust = "hearsay"\n'), "bad_series"),
        (place().replace('unit = "100 million yuan"', 'unit = "yuan"'), "bad_series"),
    ],
)
def test_a_place_file_that_cannot_be_is_refused_with_its_place(text: str, code: str) -> None:
    with pytest.raises(InputError) as error:
        place_from(text, where="mine.toml")
    assert error.value.code == code


NEEDED = ("insured", "income", "spending", "cumulative", "admissions", "inpatient_cost", "outpatient_cost",
          "chronic_cost", "assistance", "assisted")  # fmt: skip


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("year", [2023, 2025])
def test_a_year_that_any_series_lacks_is_refused_with_the_series_and_the_year(name: str, year: int) -> None:
    with pytest.raises(InputError, match=f"mine.toml: series.{name} has no value for {year}") as error:
        place_from(place(**{name: {year: math.nan}}), where="mine.toml")
    assert error.value.code == "missing_year"


@pytest.mark.parametrize("name", [one for one in NEEDED if one not in ("cumulative", "assistance", "assisted")])
@pytest.mark.parametrize("year", [2021, 2025])
def test_nothing_where_something_must_be_is_refused_with_its_place(name: str, year: int) -> None:
    with pytest.raises(InputError, match=f"mine.toml: series.{name}, {year}: 0"):
        place_from(place(**{name: {year: 0.0}}), where="mine.toml")


def test_a_place_without_a_reserve_or_poor_people_is_projected() -> None:
    basis = place_from(place(cumulative={2025: 0.0}, assisted={2025: 0.0}))
    assert basis.reserve[0] == 0
    assert math.isfinite(project(basis, years=2, paths=5).value("reserve", 2027))


def test_more_spent_than_all_care_cost_does_not_add_up() -> None:
    with pytest.raises(InputError, match="spending and assistance of 2024 come to") as error:
        place_from(place(spending={2024: 1e6}), where="mine.toml")
    assert error.value.code == "does_not_add_up"


def test_more_assisted_than_insured_do_not_add_up() -> None:
    with pytest.raises(InputError, match=r"more than 23\.55 insured in 2025"):
        place_from(place(assisted={2025: 24.0}))


def test_series_that_all_end_early_move_the_base_and_say_so() -> None:
    basis = place_from(place(**{name: {2025: math.nan} for name in NEEDED}))
    assert basis.year == 2024
    assert any(note.key == "fund_project.other_base" for note in basis.notes)


@pytest.mark.parametrize("text", ["", 'id = "x"', "[sources]\nmine = 'a yearbook'"])
def test_a_place_file_that_says_nothing_is_no_place(text: str) -> None:
    with pytest.raises(InputError, match="says nothing of a place") as error:
        place_from(text, where="mine.toml")
    assert error.value.code == "empty_place"


def test_a_place_of_parameters_alone_says_that_its_series_are_the_nations() -> None:
    basis = place_from('[parameters]\n"growth.long_run" = 4.0', where="mine.toml")
    assert any(note.key == "fund_project.nations_series" for note in basis.notes)


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="below 0"):
        project(national(), years=1, paths=1, seed=-1)


def test_growth_of_nothing_has_no_logarithm() -> None:
    with pytest.raises(InputError, match="growth"):
        place_from(place(admissions={2022: 0.0}))


def test_one_change_alone_has_no_error() -> None:
    book = shipped_series()
    assert math.isnan(growth(changes(book["insured"], since=2024, until=2025)).error)
    assert national(since=2024, until=2025).errors["use"] == 0


def test_the_text_is_whole_in_both_languages() -> None:
    outlook = project(national(), years=3, paths=20)
    for lang in ("zh", "en"):
        text = outlook.text(lang)
        assert str(2028) in text
        assert "{" not in text
    assert "可支付月数" in outlook.text("zh")
    assert len(FUNDS) == 4


@pytest.mark.parametrize(
    "text",
    [
        place().replace('trust = "official", year = 2024', 'trust = "official", year = "last"'),
        place().replace("[series.insured]", "[series.insured]\nflash = 2025"),
        place().replace("[series.insured]", "[series.insured]\nbreaks = 2023"),
        place().replace('[sources]\nmine = "my yearbook"', "sources = 3"),
        place().replace("people = 400_000", 'since = "then"'),
        place().replace("people = 400_000", "people = 0"),
        "series = 3",
        "parameters = 4",
        place().replace('"growth.long_run" = {', 'population = 3\n"growth.long_run" = {'),
    ],
)
def test_slips_of_the_pen_in_a_place_file_are_errors_of_ours(text: str) -> None:
    with pytest.raises((InputError, UsageError)):
        place_from(text, where="mine.toml")


def test_a_total_without_persons_is_an_error() -> None:
    empty = table().with_columns(
        pl.when(pl.col("age") != "all").then(pl.col("persons")).otherwise(None).alias("persons")
    )
    with pytest.raises(InputError, match="total"):
        read_people_by_year(empty, first=2025, years=2)
