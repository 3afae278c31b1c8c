"""Pooling of places: what must hold whatever the numbers are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.fund.places import Places, counted_places, places_file, shipped_counties
from medfloor.fund.pooling import DESIGNS, Pooling, Terms, _adjusted, pool
from medfloor.synthetic import synthesise

FEW = {"sizes": (1_000, 400_000)}


def few(many: int = 4) -> Places:
    shipped = shipped_counties()
    return replace(shipped, all=shipped.all[:many])


@pytest.fixture(scope="module")
def found() -> Pooling:
    return pool(shipped_counties(), Terms(use_response=0.03, hazard=0.05, draws=2_000), **FEW)


def test_net_transfers_sum_to_zero_under_every_design(found: Pooling) -> None:
    sums = found.places.group_by("design", "response").agg((pl.col("transfer") * pl.col("members")).sum())
    # Yuan over four million members: the rounding of doubles.
    assert sums["transfer"].abs().max() < 1e-3  # type: ignore[operator]


def test_one_purse_pays_what_all_purses_paid_and_is_short_less_often_than_the_worst(found: Pooling) -> None:
    # Each county's mean is drawn once; equal ratios weigh them anew, by less than a thousandth of a yuan in a hundred.
    assert found.value("balance", "province") == pytest.approx(found.value("balance", "county"), abs=0.1)
    assert found.value("ruin_most", "province") < found.value("ruin_most", "county")
    assert found.value("shortfall", "province") < found.value("shortfall", "county")


def test_a_response_costs_money_where_there_is_one_purse_and_none_where_there_are_many(found: Pooling) -> None:
    assert found.value("balance", "county", "asked") == found.value("balance", "county")
    assert found.value("balance", "province", "asked") < found.value("balance", "province") - 30
    assert found.value("balance", "adjustment", "asked") < found.value("balance", "adjustment")


def test_without_a_response_only_one_setting_is_shown() -> None:
    made = pool(few(), Terms(draws=200), **FEW)
    assert made.total["response"].unique().to_list() == ["none"]
    assert made.total["design"].to_list() == list(DESIGNS)


def test_alike_places_move_nothing_between_them() -> None:
    one = shipped_counties().all[0]
    made = pool(replace(few(), all=(one, replace(one, name="b"))), Terms(draws=200), **FEW)
    unified = made.places.filter(pl.col("design") == "province")["transfer"]
    # Their means come from 200 draws of the same distribution, with an own shock of 2 %: some yuan of 1,400.
    assert unified.abs().max() < 10  # type: ignore[operator]


def test_places_alike_in_all_but_their_draws_move_nothing_into_a_purse_that_they_share() -> None:
    first = replace(few(1).all[0], members=2_000)
    alike = replace(few(1), all=[replace(first, name=name) for name in ("a", "b")])
    made = pool(alike, Terms(draws=100), sizes=(1_000,))
    purse = made.places.filter(pl.col("design").is_in(["city", "province"]))
    # Yuan a member: the rounding of doubles. The mean of so few draws would be several yuan off.
    assert purse["transfer"].abs().max() < 1e-6  # type: ignore[operator]
    for design in DESIGNS:
        # Incomes are the same, so nobody is the poorer half.
        assert made.value("transfer_poorer", design) == pytest.approx(0, abs=1e-6)


def test_the_words_say_that_large_pools_redistribute(found: Pooling) -> None:
    assert "redistributes rather than smooths" in found.text("en")
    assert "再分配" in found.text("zh")
    assert 100_000 < found.smooth < 300_000
    assert found.to_dict()["synthetic"] is True
    assert set(found.sources()["trust"].unique()) >= {"assumption", "yours", "derived"}


def test_a_shared_shock_of_nought_has_no_crossing() -> None:
    made = pool(few(2), Terms(common=0.0, draws=200), **FEW)
    assert np.isnan(made.crossing) and made.to_dict()["crossing"] is None


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.floats(0, 1), st.integers(0, 2**31))
def test_the_adjustment_fund_gives_what_it_takes_and_never_more_than_is_lacking(
    many: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    income = rng.uniform(10, 100, many)
    have = income - rng.uniform(5, 120, (20, many))
    moved = _adjusted(income, have, share)
    # Rounding of doubles.
    assert np.abs(moved.sum(axis=1)).max() < 1e-6
    assert (moved >= -share * income - 1e-9).all()


def test_places_come_from_csv_and_toml(tmp_path: Path) -> None:
    rows = few(2).to_frame().rename({"place": "name"})
    rows.write_csv(tmp_path / "places.csv")
    text = "".join(
        "[[places]]\n" + "".join(f"{name} = {value!r}\n" for name, value in row.items()) for row in rows.to_dicts()
    )
    (tmp_path / "places.toml").write_text(text, encoding="utf-8")
    made = [places_file(tmp_path / f"places{ending}") for ending in (".csv", ".toml")]
    for one in made:
        assert one.to_frame().equals(few(2).to_frame())
        assert not one.synthetic and one.sources[0].trust == "yours"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"members": -1}, "members is"),
        ({"members": 1.5}, "members is"),
        ({"ratio": 1.2}, "ratio is"),
        ({"income": "much"}, "income is"),
        ({"claims": None}, "has no claims"),
        ({"name": ""}, "has no name"),
        ({"contribution": 0, "subsidy": 0}, "takes in nothing"),
    ],
)
def test_a_place_that_cannot_be_is_refused_by_name(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    row = few(1).to_frame().rename({"place": "name"}).to_dicts()[0] | change
    pl.DataFrame([row]).write_csv(tmp_path / "p.csv")
    with pytest.raises(InputError, match=said):
        places_file(tmp_path / "p.csv")


def test_a_place_named_twice_or_none_at_all_is_refused(tmp_path: Path) -> None:
    rows = few(1).to_frame().rename({"place": "name"})
    pl.concat([rows, rows]).write_csv(tmp_path / "p.csv")
    with pytest.raises(InputError, match="twice"):
        places_file(tmp_path / "p.csv")
    (tmp_path / "p.toml").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(InputError, match="has no places"):
        places_file(tmp_path / "p.toml")
    (tmp_path / "p.toml").write_text("x = \n", encoding="utf-8")
    with pytest.raises(InputError, match="TOML"):
        places_file(tmp_path / "p.toml")
    with pytest.raises(InputError, match="there is no file"):
        places_file(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        (Terms(share=1.5), "bad_parameter"),
        (Terms(use_response=-0.1), "bad_parameter"),
        (Terms(months=-1), "negative_reserve"),
        (Terms(months=1e9), "bad_parameter"),
        (Terms(draws=1), "bad_draws"),
        (Terms(common=2), "bad_shock"),
        (Terms(lines=(-1.0,)), "bad_lines"),
        (Terms(seed=-1), "bad_seed"),
    ],
)
def test_terms_that_cannot_be_are_refused(terms: Terms, code: str) -> None:
    with pytest.raises(UsageError) as said:
        pool(few(1), terms, sizes=(1_000,))
    assert said.value.code == code


def test_a_population_is_a_place_that_pays_what_the_engine_settles(tmp_path: Path) -> None:
    made = synthesise(1_000, seed=3)
    for name in ("claims", "people", "households", "spells"):
        getattr(made, name).write_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(InputError, match=r"policy\.yaml"):
        counted_places([tmp_path])
    root = Path(__file__).resolve().parents[2] / "src/medfloor/policy/library/synthetic/cn-2025"
    text = next(root.glob("*.yaml")).read_text(encoding="utf-8")
    (tmp_path / "policy.yaml").write_text(text, encoding="utf-8")
    found = counted_places([tmp_path])
    assert found.synthetic and 400 < found.all[0].members <= 1_000
    assert found.all[0].payment == pytest.approx(found.all[0].claims * found.all[0].severity().mean())
