"""Years that a made-up county lives: the county's own claims and margins, illness that costs income, the truth."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.synthetic import County, Years, live, synthesise
from medfloor.synthetic.assumed import shipped_numbers
from medfloor.synthetic.dynamics import KINDS

PEOPLE, LAST = 20_000, 2028


@pytest.fixture(scope="module")
def county() -> County:
    return synthesise(PEOPLE, seed=3, years=4)


@pytest.fixture(scope="module")
def lived(county: County) -> Years:
    return live(county, seed=3)


def test_same_seed_same_tables_and_another_seed_others(county: County, lived: Years) -> None:
    again, other = live(county, seed=3), live(county, seed=4)
    for name, table in lived.tables.items():
        assert table.equals(again.tables[name]), name
        assert not table.equals(other.tables[name]), name
        assert table["synthetic"].all()


def test_the_first_year_and_the_claims_are_the_countys_own(county: County, lived: Years) -> None:
    first = lived.wave(2025).drop("labour_capacity")
    assert first.equals(county.households)
    assert lived.claims.equals(county.claims)
    assert lived.spells.equals(county.spells)


def test_later_years_keep_the_distribution_of_incomes(lived: Years) -> None:
    heads = lived.households.with_columns((pl.col("income") / pl.col("size")).alias("head"))
    by_wave = heads.group_by("wave").agg(
        (pl.col("income").sum() / pl.col("size").sum()).alias("mean"),
        pl.col("head").quantile(0.05).alias("low"),
        (pl.col("income").filter(pl.col("residence") == "urban").mean()
         / pl.col("income").filter(pl.col("residence") == "rural").mean()).alias("ratio"),
    )  # fmt: skip
    for name, room in (("mean", 0.03), ("low", 0.10), ("ratio", 0.06)):
        values = by_wave[name].to_numpy()
        assert np.ptp(values) / values.mean() < room, name


def test_income_of_one_year_tells_much_of_the_next_but_not_all(lived: Years) -> None:
    wide = lived.households.pivot(on="wave", index="household_id", values="income")
    first, next_, last = (np.log(wide[str(year)].to_numpy() + 1) for year in (2025, 2026, LAST))
    assert 0.75 < np.corrcoef(first, next_)[0, 1] < 0.95
    assert np.corrcoef(first, last)[0, 1] < np.corrcoef(first, next_)[0, 1]


def test_who_is_ill_this_year_is_likelier_ill_and_dearer_next_year(lived: Years) -> None:
    residents = lived.people.filter(pl.col("scheme") == "resident").select("person_id")
    year = pl.col("start_date").dt.year()
    cost = lived.claims.group_by("person_id").agg(
        *(pl.col("total").filter(year == one).sum().alias(str(one)) for one in (2026, 2027))
    )
    days = pl.col("ill_from") <= pl.date(2026, 12, 31)
    runs = pl.col("ill_to").is_null() | (pl.col("ill_to") >= pl.date(2026, 1, 1))
    ill = lived.illness.filter(days & runs).select("person_id").unique()
    lasting = lived.illness.filter("lasting", days).select("person_id").unique()
    known = residents.join(cost, on="person_id", how="left").with_columns(pl.col("2026", "2027").fill_null(0.0))
    mean = float(known["2027"].mean())  # type: ignore[arg-type]
    assert float(known.join(ill, on="person_id")["2027"].mean()) > 1.3 * mean  # type: ignore[arg-type]
    assert float(known.join(lasting, on="person_id")["2027"].mean()) > 4 * mean  # type: ignore[arg-type]


def test_illness_takes_income_and_more_where_it_is_worse(lived: Years) -> None:
    worker = lived.illness.filter(
        (pl.col("ill_from") >= pl.date(2026, 1, 1)) & (pl.col("ill_from") < pl.date(2026, 7, 1))
    )
    causes = lived.causes.filter(pl.col("wave") == 2026)
    share = (pl.col("income_lost") / pl.col("healthy_income")).mean()

    def lost(low: float, high: float) -> float:
        ids = worker.filter(pl.col("severity").is_between(low, high)).select("household_id").unique()
        return float(causes.join(ids, on="household_id", how="semi").select(share).item())

    never = causes.join(lived.truth.select("household_id").unique(), on="household_id", how="anti")
    assert never["income_lost"].max() == 0
    assert lost(0, 0.2) < lost(0.3, 0.5) < lost(0.6, 1)
    waves = lived.households.join(lived.causes, on=["household_id", "wave"]).filter(pl.col("wave") > 2025)
    gap = (waves["healthy_income"] - waves["income_lost"] - waves["income"]).abs().max()
    assert gap < 0.02  # type: ignore[operator]


def test_spells_are_in_order_apart_and_cover_every_stay(lived: Years) -> None:
    ill = lived.illness
    assert (ill["known_from"] >= ill["ill_from"]).all()
    assert ill["severity"].is_between(0, 1).all()
    assert (ill["ill_to"].is_null() == ill["lasting"]).all()
    after = ill.with_columns(pl.col("ill_from").shift(-1).over("person_id").alias("next")).filter(
        pl.col("next").is_not_null()
    )
    assert (after["ill_to"] < after["next"]).all()
    assert after["ill_to"].null_count() == 0
    stays = lived.claims.filter(pl.col("care_type") == "inpatient").select("person_id", "start_date", "end_date")
    covered = stays.join(ill.filter("in_claims"), on="person_id").filter(
        pl.col("ill_from") <= pl.col("start_date"),
        pl.col("ill_to").fill_null(pl.date(9999, 1, 1)) >= pl.col("end_date"),
    )
    assert covered.height == stays.height


def test_those_without_claims_fall_ill_as_others_do(lived: Years) -> None:
    ill = lived.illness.select("person_id", "in_claims")
    schemes = ill.join(lived.people.select("person_id", "scheme"), on="person_id")
    assert (schemes["in_claims"] == (schemes["scheme"] == "resident")).all()
    share = 1 - float(ill["in_claims"].mean())  # type: ignore[arg-type]
    outside = float((lived.people["scheme"] != "resident").mean())  # type: ignore[arg-type]
    assert 0.6 * outside < share < 1.1 * outside


def test_the_truth_dates_each_trouble_within_its_household(lived: Years) -> None:
    truth = lived.truth
    assert set(truth["kind"]) == set(KINDS)
    home = truth.join(lived.people.select("person_id", home="household_id"), on="person_id")
    assert (home["home"] == home["household_id"]).all()
    assert (truth["wave"] == truth["onset"].dt.year().clip(2025, LAST)).all()
    assert truth["onset"].is_sorted()
    assert (truth["lost"] >= 0).all() and (truth["care"] >= 0).all()
    income = lived.households.select("household_id", "wave", "income")
    known = truth.join(income, on=["household_id", "wave"])
    harm = known["lost"] + known["care"] - 0.1 * known["income"]
    clear = harm.abs() > 0.05
    assert ((harm > 0) == known["large"]).filter(clear).all()
    # A household in trouble is the exception in every year, and there always are some.
    troubled = truth.filter("large").group_by("wave").agg(pl.col("household_id").n_unique().alias("homes"))
    assert troubled["homes"].is_between(0.03 * lived.wave(2025).height, 0.2 * lived.wave(2025).height).all()


def test_labour_capacity_counts_those_of_age_who_are_not_ill(lived: Years) -> None:
    day = pl.date(2026, 12, 31)
    ill = lived.illness.filter((pl.col("ill_from") <= day) & (pl.col("ill_to").fill_null(day) >= day))
    age = 2026 - pl.col("birth_date").dt.year()
    able = lived.people.filter((age >= 16) & (age < 65)).join(ill.select("person_id"), on="person_id", how="anti")
    assert able.height == lived.wave(2026)["labour_capacity"].sum()


def test_without_loss_and_luck_incomes_stay(county: County) -> None:
    still = shipped_numbers().but(
        {"work_lost.chance": 0, "transitory": 0, "persistence": 1, "loss.least": 0, "loss.severe": 0, "loss.lasting": 0,
         "loss.scar": 0, "loss.carer": 0}
    )  # fmt: skip
    lived = live(county, seed=3, years=2, numbers=still)
    first, second = lived.wave(2025), lived.wave(2026)
    assert np.allclose(first["income"], second["income"], atol=0.011)
    assert lived.causes["income_lost"].max() == 0
    assert "work_lost" not in set(lived.truth["kind"])


def test_more_illness_never_gives_more_income(county: County) -> None:
    more = shipped_numbers().but({"loss.severe": 1.0, "loss.least": 0.3, "loss.scar": 0.3})
    # The first year is given, so that who lost more in it is taken to be better off; the loss itself only rises.
    less, lost = (live(county, seed=3, years=1, numbers=one).causes["income_lost"] for one in (None, more))
    assert (lost >= less - 0.01).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**62), years=st.integers(1, 2))
def test_any_seed_gives_whole_tables(seed: int, years: int) -> None:
    lived = live(synthesise(1_000, seed=seed, years=years), seed=seed)
    assert lived.households.height == years * lived.wave(2025).height
    assert (lived.households["income"] >= 0).all()
    assert lived.households.null_count().transpose().sum().item() == 0
    assert (lived.households["consumption"] >= lived.households["food"]).all()


def test_a_province_lives_as_well() -> None:
    from medfloor.synthetic import place_from

    place = place_from(
        'id = "two"\nname = { zh = "两县", en = "two" }\n[[counties]]\nid = "a"\npeople = 60\n[[counties]]\nid = "b"\npeople = 40\n'
    )
    lived = live(synthesise(4_000, seed=1, years=2, place=place), seed=1)
    assert set(lived.households["region"]) == {"a", "b"}


def test_what_cannot_be_asked_is_refused(county: County, lived: Years) -> None:
    for asked, code in (
        ({"seed": 1, "years": 5}, "bad_years"),
        ({"seed": -1}, "bad_seed"),
        ({"seed": 1, "years": 0}, "bad_years"),
    ):
        with pytest.raises(UsageError) as caught:
            live(county, **asked)
        assert caught.value.code == code
    with pytest.raises(UsageError):
        lived.wave(2031)
    with pytest.raises(InputError):
        shipped_numbers().but({"luck": 1})
