"""Made-up counties: margins met to the person, bars held, tables that settle without a refusal, the same seed the same bytes."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy.interpolate import PchipInterpolator

from medfloor import tables
from medfloor.errors import InputError, UsageError
from medfloor.intake import read_claims, read_households, read_people, read_spells, write_table
from medfloor.policy.load import groups_of, load_policy
from medfloor.settlement.settle import settle
from medfloor.simulation.validate import validate, with_own_spending
from medfloor.synthetic import County, Place, means, place_from, shipped_place, synthesise
from medfloor.synthetic.care import level_shares
from medfloor.synthetic.draws import allotted, chosen, counts_of, stream
from medfloor.synthetic.homes import CHILD, HEAD, make_homes, tilted_sizes
from medfloor.synthetic.means import IncomeCurve

PEOPLE = 50_000
NOT_MET_BY_CONSTRUCTION = ("spending", "settled", "burden", "care.elsewhere")


def changed(place: Place, name: str, **parts: float) -> Place:
    """Replace numbers of a figure (value= for a plain one)."""
    figures = [
        dataclasses.replace(f, values=tuple((k, parts.get(k or "value", v)) for k, v in f.values))
        if f.name == name
        else f
        for f in place.figures
    ]
    return dataclasses.replace(place, figures=tuple(figures))


@pytest.fixture(scope="module")
def county() -> County:
    return synthesise(PEOPLE, seed=7, years=2)


def test_every_bar_is_held_at_fifty_thousand_people(county: County) -> None:
    calibration = validate(county)
    assert not calibration.missed
    assert calibration.rejected == 0
    assert len([one for one in calibration.checks if one.within is not None]) > 60


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_drawn_exactly_is_met_by_any_seed(seed: int) -> None:
    for one in synthesise(20_000, seed=seed).calibration.checks:
        if not one.figure.startswith(NOT_MET_BY_CONSTRUCTION):
            assert one.within is not False, one


def test_published_spread_is_met_by_seeds_that_were_not_used_to_find_it() -> None:
    # Between twelve seeds at 50,000 people the distance to the bar is at least four standard deviations in all of these
    # but persistence (3.3 of 0.8), so that a seed that misses says that the shapes no longer fit.
    for seed in (99, 4242):
        found = validate(synthesise(PEOPLE, seed=seed))
        assert not found.missed, seed
        assert abs(found.find("spending.top5").reached - 68.01) < 2.5
        assert abs(found.find("settled.in_scope_ratio").reached - 66.0) < 1


def test_the_report_agrees_with_what_the_tables_say(county: County) -> None:
    """Work the spread, the fifths and the catastrophic share out again from the written columns alone."""
    report = validate(county)
    first = county.claims.filter(pl.col("start_date").dt.year() == 2025)
    cost = np.sort(first.group_by("person_id").agg(pl.col("total").sum())["total"].to_numpy())
    share = cost[-round(0.05 * len(cost)) :].sum() / cost.sum()
    # Twice the area between the diagonal and the Lorenz curve, by trapezia.
    lorenz = np.concatenate([[0.0], np.cumsum(cost) / cost.sum()])
    gini = 1 - (lorenz[1:] + lorenz[:-1]).sum() / len(cost)
    assert report.find("spending.top5").reached == pytest.approx(100 * share, abs=1e-6)  # sums of doubles
    assert report.find("spending.gini").reached == pytest.approx(100 * gini, abs=1e-6)
    homes = county.people.join(county.households, on="household_id")
    head = np.sort((homes["income"] / homes["size"]).to_numpy())
    for part, fifth in enumerate(np.array_split(head, 5), 1):
        assert report.find("income.fifths", str(part)).reached == pytest.approx(fifth.mean(), abs=0.01)  # whole fen
    done = settle(first, county.people, county.spells, shipped_place().policy_address)
    spent = with_own_spending(county, done)
    above = (spent["oop"] > 0.4 * (spent["consumption"] - spent["food"])).mean()
    assert report.find("burden.catastrophic").reached == pytest.approx(100 * above, abs=0.01)  # ties at the line
    paid = done.fen.filter(pl.col("pay_critical_illness_fen") > 0)
    residents = (county.people["scheme"] == "resident").sum()
    for part, value in {
        "share": 100 * paid["person_id"].n_unique() / residents,
        "times": 100 * paid.height / residents,
        "a_head": paid["pay_critical_illness_fen"].sum() / 100 / residents,
    }.items():
        assert report.find("settled.critical_illness", part).reached == pytest.approx(value, rel=1e-9)


PROVINCE = """
id = "province"
name = { zh = "省", en = "the province" }
[sources]
me = "mine"
[[counties]]
id = "old"
people = 40
[counties.figures.population.age]
values = { "0-14" = 11.12, "15-59" = 63.16, "60-64" = 8.30, "65+" = 17.42 }
unit = "%"
year = 2020
source = "me"
trust = "mirror"
[[counties]]
id = "plain"
people = 60
"""


def test_a_province_is_its_counties_each_with_its_own_figures() -> None:
    province = synthesise(10_000, seed=3, place=place_from(PROVINCE), years=2)
    for frame, key in ((province.people, "person_id"), (province.households, "household_id")):
        assert frame[key].is_unique().all()
        assert set(frame["region"]) == {"old", "plain"}
    assert province.claims["claim_id"].is_unique().all()
    assert province.people["region"].value_counts(sort=True).rows() == [("plain", 6_000), ("old", 4_000)]
    assert province.claims["person_id"].is_in(province.people["person_id"].implode()).all()
    assert all(frame["synthetic"].all() for frame in province.tables.values())
    report = validate(province)
    assert report.rejected == 0
    assert len(report.checks) == sum(len(validate(one).checks) for one in province.counties)
    # 17.42 % and 13.50 % of so many people, to one person.
    assert report.find("population.age", "65+", county="old").reached == pytest.approx(17.42, abs=0.02)
    assert report.find("population.age", "65+", county="plain").reached == pytest.approx(13.5, abs=0.02)
    page = report.to_markdown("en")
    assert "old: people by age: 65+" in page
    assert "省" in report.to_markdown("zh")


def test_a_county_of_a_province_does_not_depend_on_the_others() -> None:
    both = synthesise(10_000, seed=3, place=place_from(PROVINCE)).counties[0]
    only = PROVINCE[: PROVINCE.index('[[counties]]\nid = "plain"')].replace("people = 40", "people = 100")
    alone = synthesise(4_000, seed=3, place=place_from(only)).counties[0]
    assert both.households.drop("household_id").equals(alone.households.drop("household_id"))


def test_a_province_needs_enough_people_in_each_county() -> None:
    with pytest.raises(UsageError, match="only 800 live in county old") as raised:
        synthesise(2_000, seed=1, place=place_from(PROVINCE))
    assert raised.value.code == "bad_people"


def test_a_check_that_there_is_not_is_said(county: County) -> None:
    with pytest.raises(UsageError, match=r"no check spending\.ginny"):
        county.calibration.find("spending.ginny")


def test_a_law_that_refuses_claims_is_told_why() -> None:
    late = dataclasses.replace(shipped_place(), year=2031)
    report = validate(synthesise(1_000, seed=1, place=late))
    assert report.rejected
    assert "local_income has no value for 2030" in report.rejected_because
    assert "local_income" in "".join(report.said("en"))


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    def digests(seed: int, kind: str) -> dict[str, str]:
        made = synthesise(3_000, seed=seed)
        found = {}
        for name, frame in made.tables.items():
            path = tmp_path / f"{name}.{kind}"
            write_table(frame, path, money_columns=[])
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    for kind in ("parquet", "csv"):
        assert digests(5, kind) == digests(5, kind)
        assert not set(digests(5, kind).values()) & set(digests(6, kind).values())


def test_a_longer_run_begins_with_the_shorter_one() -> None:
    one, two = synthesise(2_000, seed=4), synthesise(2_000, seed=4, years=2)
    assert two.claims.head(one.claims.height).equals(one.claims)
    assert two.people.equals(one.people)
    assert two.households.equals(one.households)


def test_the_tables_are_read_without_a_bad_row(county: County, tmp_path: Path) -> None:
    for kind in ("parquet", "csv"):
        paths = {}
        for name, frame in county.tables.items():
            paths[name] = tmp_path / f"{name}.{kind}"
            write_table(frame.head(5_000), paths[name], money_columns=[])
        assert read_claims(paths["claims"]).rejected.height == 0
        assert read_people(paths["people"]).bad.height == 0
        assert read_households(paths["households"]).bad.height == 0
        known = groups_of(load_policy(shipped_place().policy_address))
        assert read_spells(paths["spells"], known).bad.height == 0


def test_both_years_settle_without_a_refusal(county: County) -> None:
    for policy in (shipped_place().policy_address, "cn/jiangxi/nanchang"):
        done = settle(county.claims, county.people, county.spells, policy)
        assert done.rejected.height == 0
        assert done.fen.height == county.claims.height
        assert set(done.fen["benefit_year"].unique()) == {2025, 2026}


def test_every_row_says_that_it_is_synthetic(county: County) -> None:
    assert all(frame["synthetic"].all() for frame in county.tables.values())


def test_codes_and_columns_are_those_of_the_contract(county: County) -> None:
    for table, frame in (
        (tables.CLAIMS, county.claims),
        (tables.PEOPLE, county.people),
        (tables.SPELLS, county.spells),
    ):
        for column in table.columns:
            assert not column.required or column.name in frame.columns
            if column.codes and column.name in frame.columns:
                assert set(frame[column.name].drop_nulls().unique()) <= set(column.codes)
    assert set(tables.HOUSEHOLDS.names) <= set(county.households.columns)


def test_parts_of_a_claim_add_up_to_the_fen(county: County) -> None:
    fen = [(county.claims[name] * 100).round().cast(pl.Int64) for name in
           ("total", "off_catalogue", "over_limit", "first_self_pay", "in_scope")]  # fmt: skip
    assert (fen[0] == fen[1] + fen[2] + fen[3] + fen[4]).all()
    assert all((one >= 0).all() for one in fen)


def test_nobody_lies_in_two_beds_on_one_night(county: County) -> None:
    stays = county.claims.filter(pl.col("care_type") == "inpatient").sort("person_id", "start_date")
    before = pl.col("end_date").shift(1).over("person_id")
    assert stays.filter(pl.col("start_date") < before).is_empty()
    assert (stays["end_date"].dt.year() == stays["start_date"].dt.year()).all()


def test_claims_are_of_residents_only_and_after_birth(county: County) -> None:
    joined = county.claims.join(county.people, on="person_id")
    assert joined["scheme"].unique().to_list() == ["resident"]
    assert (joined["birth_date"] <= joined["start_date"]).all()
    assert (joined["enrolled_from"] <= joined["start_date"]).all()


def test_ages_are_those_of_the_first_of_january(county: County) -> None:
    born = county.people["birth_date"]
    age = 2025 - born.dt.year() - (pl.Series(born.dt.ordinal_day() > 1).cast(pl.Int32))
    # 17.95 % exactly, to one person.
    assert abs(int((age < 15).sum()) - round(0.1795 * PEOPLE)) <= 1


def test_households_add_up_with_people(county: County) -> None:
    counted = county.people.group_by("household_id").len()
    joined = county.households.join(counted, on="household_id")
    assert joined.height == county.households.height
    assert (joined["size"] == joined["len"]).all()
    assert (joined["adults"] + joined["children"] == joined["size"]).all()
    assert (joined["consumption"] > joined["food"] + joined["oop_outside"]).all()


def test_food_takes_less_of_the_budget_of_the_rich() -> None:
    made = synthesise(10_000, seed=2)
    first, last = (made.calibration.find("consumption.food", f"fifth_{n}").reached for n in (1, 5))
    assert first > last + 2


def test_statuses_go_to_the_registered_poor_and_have_days(county: County) -> None:
    homes = county.people.join(county.households, on="household_id")
    head = homes.select("person_id", (pl.col("income") / pl.col("size")).alias("head"))
    dibao = county.spells.filter(pl.col("group") == "dibao").join(head, on="person_id")
    assert dibao["head"].mean() < 0.4 * head["head"].mean()  # far below the mean, though the register errs
    ended = county.spells.filter(pl.col("to_date").is_not_null())
    assert 0 < ended.height < 0.2 * county.spells.height
    assert (ended["from_date"] <= ended["to_date"]).all()
    details = county.spells.filter(pl.col("group") == "monitored")["detail"].unique()
    assert set(details) == {"unstable", "edge", "sudden_difficulty"}
    errors = dibao.height - dibao.filter(pl.col("head") < head["head"].quantile(0.05)).height
    assert errors > 0  # inclusion errors are wanted: the register sees income with an error


def test_nobody_holds_a_status_before_being_born_or_beside_an_employee(county: County) -> None:
    held = county.spells.join(county.people, on="person_id")
    assert (held["from_date"] >= held["birth_date"]).all()
    with_employee = county.people.filter(pl.col("scheme") == "employee")["household_id"].implode()
    assert not held["household_id"].is_in(with_employee).any()


@pytest.mark.parametrize(
    "figure",
    [
        '[figures.care.visits]\nvalue = 0\nunit = "per resident"',
        '[figures.care.primary_share]\nvalue = 0\nunit = "%"',
        '[figures.care.admissions]\nvalue = 0.0001\nunit = "per 100 residents"',
        '[figures.care.chronic_visits]\nvalue = 0\nunit = "per resident"',
    ],
)
def test_a_place_may_lack_a_kind_of_care(figure: str) -> None:
    text = f'id = "x"\n[sources]\nme = "mine"\n{figure}\nyear = 2025\nsource = "me"\ntrust = "assumption"\n'
    report = validate(synthesise(1_000, seed=1, place=place_from(text)))
    assert report.rejected == 0
    assert all(np.isfinite(one.reached) for one in report.checks)


def test_a_place_without_residents_is_refused() -> None:
    text = (
        'id = "x"\n[sources]\nme = "mine"\n[figures.insurance.residents]\nvalue = 0\nunit = "%"\nyear = 2025\n'
        'source = "me"\ntrust = "assumption"\n'
    )
    with pytest.raises(InputError, match="no resident"):
        synthesise(1_000, seed=1, place=place_from(text))


def test_heads_of_households_are_grown_up() -> None:
    homes = make_homes(shipped_place(), 30_000, 1)
    assert (homes.age[homes.role == HEAD] < 18).mean() < 0.005
    child = homes.role == CHILD
    head_of = homes.age[np.cumsum(homes.size) - homes.size][homes.home]
    # A few children come out nearly as old as the head, because ages are brought to the census after they are drawn.
    assert (head_of[child] - homes.age[child] < 12).mean() < 0.03


def test_sizes_are_tilted_to_the_published_mean() -> None:
    assert tilted_sizes(shipped_place()) @ np.arange(1, 11) == pytest.approx(2.62, abs=1e-9)  # found by bisection


def test_level_shares_give_the_mean_cost_back() -> None:
    place = shipped_place()
    shares, cost = level_shares(place), place.parts("care.cost_by_level")
    assert sum(shares[name] * cost[name] for name in shares) == pytest.approx(7339, rel=1e-12)  # rounding of doubles
    assert sum(shares.values()) == pytest.approx(1, rel=1e-12)


def test_no_level_shares_are_found_for_a_mean_outside_the_costs() -> None:
    with pytest.raises(InputError, match="no shares of levels") as raised:
        synthesise(1_000, seed=1, place=changed(shipped_place(), "care.cost_of_stay", value=20_000))
    assert raised.value.code == "bad_place"


@settings(max_examples=25)
@given(st.lists(st.floats(1e-6, 3.0), min_size=4, max_size=4), st.floats(-2, 12), st.integers(0, 9))
def test_the_income_curve_is_the_monotone_cubic_of_scipy_to_the_bit(
    steps: list[float], lowest: float, seed: int
) -> None:
    knots, logs = means._KNOTS, lowest + np.cumsum([0.0, *steps])
    if not (np.diff(logs) > 0).all():
        return
    share = np.concatenate([np.random.default_rng(seed).random(500), knots, [0.0, 1.0]])
    inner = np.clip(share, knots[0], knots[-1])
    low = np.sqrt(np.minimum(share, knots[0]) / knots[0])
    high = np.minimum(1.0, (1 - np.minimum(share, 1 - 1e-9)) / (1 - knots[-1])) ** (-1 / 2.5)
    wanted = np.exp(PchipInterpolator(knots, logs)(inner)) * low * high
    found = means._Places.of(np.minimum(share, 1 - 1e-9), 2.5).incomes(logs)
    np.testing.assert_array_equal(found, wanted)


def test_a_county_that_is_not_checked_has_the_same_tables() -> None:
    checked, bare = (synthesise(1_000, seed=5, checked=one) for one in (True, False))
    assert checked.calibration.checks
    assert not bare.calibration.checks
    for name, table in checked.tables.items():
        assert_frame_equal(table, bare.tables[name])


@settings(max_examples=25)
@given(
    steps=st.lists(st.floats(1.15, 3.0), min_size=4, max_size=4),
    lowest=st.floats(500, 50_000),
    index=st.floats(1.5, 6),
)
def test_income_has_the_means_of_fifths_that_were_asked_for(steps: list[float], lowest: float, index: float) -> None:
    fifths = lowest * np.cumprod([1.0, *steps])
    try:
        curve = IncomeCurve(fifths, index)
    except InputError as error:
        assert "no rising distribution" in error.message
        return
    share = (np.arange(20_000) + 0.5) / 20_000
    income = curve.at(share)
    assert (np.diff(income) >= 0).all()
    assert income.reshape(5, -1).mean(axis=1) == pytest.approx(fifths, rel=1e-3)  # sixty rounds of a slow iteration


@settings(max_examples=50)
@given(
    st.lists(st.floats(0.001, 100) | st.just(0.0), min_size=1, max_size=40).filter(any),
    st.integers(0, 50),
    st.integers(0, 9),
)
def test_draws_meet_their_totals(weights: list[float], total: int, seed: int) -> None:
    shares = np.array(weights)
    assert counts_of(shares, total).sum() == total
    picked = chosen(shares, total, stream(seed, "x"))
    assert picked.sum() == min(total, np.count_nonzero(shares))
    assert not picked[shares == 0].any()
    rows = allotted(shares, total, stream(seed, "x"))
    assert len(rows) == total
    assert (shares[rows] > 0).all()


def test_own_spending_is_claims_and_what_lies_outside(county: County) -> None:
    done = settle(
        county.claims.filter(pl.col("start_date").dt.year() == 2025),
        county.people,
        county.spells,
        "cn/jiangxi/nanchang",
    )
    homes = with_own_spending(county, done)
    whole = done.fen["own_total_fen"].sum() / 100 + county.households["oop_outside"].sum()
    assert homes["oop"].sum() == pytest.approx(whole, rel=1e-9)  # sums of doubles


def test_a_figure_of_ones_own_changes_the_county() -> None:
    old = changed(shipped_place(), "population.age", **{"0-14": 11.12, "15-59": 63.16, "60-64": 8.30, "65+": 17.42})
    made = synthesise(5_000, seed=3, place=old)
    assert made.calibration.find("population.age", "65+").reached == pytest.approx(17.42, abs=0.02)  # one person
    assert made.calibration.place.digest != shipped_place().digest


@pytest.mark.parametrize("urban", [0, 100])
def test_a_place_may_be_all_town_or_all_country(urban: float) -> None:
    made = synthesise(2_000, seed=3, place=changed(shipped_place(), "population.urban", value=urban))
    assert made.people["residence"].unique().to_list() == (["urban"] if urban else ["rural"])


@pytest.mark.parametrize(
    ("people", "seed", "years", "code"),
    [
        (999, 1, 1, "bad_people"),
        (5_000_001, 1, 1, "bad_people"),
        (2_000, -1, 1, "bad_seed"),
        (2_000, 1, 9, "bad_years"),
    ],
)
def test_what_cannot_be_made_is_said(people: int, seed: int, years: int, code: str) -> None:
    with pytest.raises(UsageError) as raised:
        synthesise(people, seed=seed, years=years)
    assert raised.value.code == code


@pytest.mark.heavy
def test_a_million_people_hold_every_bar() -> None:
    assert not validate(synthesise(1_000_000, seed=1)).missed
