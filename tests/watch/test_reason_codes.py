"""Reasons of a score and what would have kept the alert: asked again of the model, at the amount and one fen more."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_homes import homes, model

from medfloor.errors import InputError, UsageError
from medfloor.watch.features import FEATURES, MONEY, features
from medfloor.watch.homes import Register
from medfloor.watch.reason_codes import (
    THEMES,
    by_model,
    by_rule,
    counterfactuals,
    line_at,
    reason_codes,
    reasons,
    unless,
    unless_of,
    with_spending,
)
from medfloor.watch.rules import load_rules
from medfloor.words import LANGS, knows


def test_every_feature_is_in_one_reason_and_has_a_name_and_a_unit() -> None:
    named = [name for names in THEMES.values() for name in names]
    assert sorted(named) == sorted(FEATURES)
    for lang in LANGS:
        assert all(knows(f"watch_feature.{name}", lang) for name in FEATURES)
        assert all(knows(f"watch_feature_unit.{one.unit}", lang) for one in FEATURES.values())


@pytest.mark.parametrize("kind", ["logistic", "boosting"])
def test_reasons_are_the_largest_contributions_of_the_model(kind: str) -> None:
    trained, now = model(kind), homes(200, 9)
    codes = reason_codes(trained, now, most=len(THEMES))
    table = trained.contributions(now)
    theme = {name: one for one, names in THEMES.items() for name in names}
    sums = (
        table.with_columns(pl.col("feature").replace(theme).alias("reason"))
        .group_by("household_id", "reason")
        .agg(pl.col("contribution").sum())
    )
    # All contributions and the base are the log odds, and what is listed is what of them raises the odds.
    total = sums.group_by("household_id").agg(pl.col("contribution").sum()).sort("household_id")
    assert np.allclose(total["contribution"] + trained.base, trained.log_odds(now), atol=1e-9)
    listed = codes.join(sums, on=["household_id", "reason"], suffix="_again")
    assert listed.height == codes.height
    assert np.allclose(listed["contribution"], listed["contribution_again"], atol=1e-9)
    assert codes.height == sums.filter(pl.col("contribution") >= math.log(1.05)).height
    for _, rows in codes.group_by("household_id"):
        assert rows.sort("rank")["contribution"].to_list() == sorted(rows["contribution"], reverse=True)
    three = reason_codes(trained, now)
    assert three.equals(codes.filter(pl.col("rank") <= 3))


@pytest.mark.parametrize("lang", LANGS)
def test_reasons_are_words_with_yuan_in_the_order_of_the_households(lang: str) -> None:
    now = homes(50, 9).reverse()
    told = reasons(model(), now, lang)
    assert told.columns == ["household_id", "reason_1", "reason_2", "reason_3"]
    assert told["household_id"].to_list() == now["household_id"].to_list()
    spent = now.filter(pl.col("own_total_fen") > 2_000_000)["household_id"][0]
    own = now.filter(pl.col("household_id") == spent)["own_total_fen"][0]
    words = " ".join(one for one in told.filter(pl.col("household_id") == spent).row(0)[1:] if one)
    assert f"{own / 100:,.2f}" in words


def test_what_is_not_known_is_told_so_and_no_household_gives_no_row() -> None:
    now = homes(60, 9).with_columns(
        pl.lit(None, dtype=pl.Int64).alias("own_previous_fen"),
        *(pl.lit(None, dtype=pl.Float64).alias(name) for name in FEATURES),
    )
    assert reasons(model(), now, "en").height == 60
    assert reasons(model(), now.clear(), "en").height == 0
    assert reason_codes(model(), now.clear()).height == 0


def test_asking_for_no_reason_is_misuse() -> None:
    with pytest.raises(UsageError) as error:
        reason_codes(model(), homes(5, 9), most=0)
    assert error.value.code == "bad_count"
    with pytest.raises(UsageError):
        line_at([0.1], 0)


@pytest.mark.parametrize("kind", ["logistic", "boosting"])
def test_the_amount_does_not_alert_and_one_fen_more_does(kind: str) -> None:
    trained, now = model(kind), homes(400, 9)
    alerted = by_model(trained, line_at(trained.score(now), 60))
    found = now.join(counterfactuals(alerted, now), on="household_id", maintain_order="left")
    moved = found.filter(pl.col("found").is_in(["below", "between"]))
    assert moved.height > 20
    assert not alerted(with_spending(moved, moved["allowed_fen_right"])).any()
    assert alerted(with_spending(moved, moved["allowed_fen_right"] + 1)).all()
    low = found.filter(pl.col("found") == "between")
    assert not alerted(with_spending(low, low["down_to_fen"])).any()
    assert alerted(with_spending(low, low["down_to_fen"] - 1)).all()
    never = found.filter(pl.col("found") == "never")
    assert alerted(with_spending(never, pl.Series([0] * never.height, dtype=pl.Int64))).all()
    quiet = found.filter(pl.col("found") == "not_alerted")
    assert quiet.height == int((~alerted(now)).sum())


def test_of_the_official_rule_the_amount_is_the_line_itself() -> None:
    now = homes(400, 9)
    found = now.join(counterfactuals(by_rule, now), on="household_id", maintain_order="left")
    fired = found.filter(pl.col("found") == "below")
    assert fired.height == int(by_rule(now).sum()) > 5
    # The largest total whose part of the member who bore most, to whole fen, is still no more than the line allows.
    for row in fired.iter_rows(named=True):
        top, own, most = row["own_top_fen"], row["own_total_fen"], row["allowed_fen"]
        assert top * row["allowed_fen_right"] // own <= most < top * (row["allowed_fen_right"] + 1) // own


def test_where_other_things_decide_no_amount_is_named() -> None:
    now = homes(30, 9)
    found = counterfactuals(lambda rows: np.ones(rows.height, bool), now)
    assert found["found"].unique().to_list() == ["never"]
    assert found["allowed_fen"].null_count() == 30
    assert "other things decide" in unless_of(found.row(0, named=True), "en")
    assert counterfactuals(by_rule, now.clear()).height == 0


@pytest.mark.parametrize(("lang", "quiet"), [("en", "It is not alerted."), ("zh", "未预警。")])
def test_both_are_told_of_each_household_in_its_order(lang: str, quiet: str) -> None:
    trained, now = model(), homes(80, 9)
    line = line_at(trained.score(now), 10)
    told = unless(trained, now, line, lang)
    assert told["household_id"].to_list() == now["household_id"].to_list()
    # The first household below the capacity stands at the line itself and counts as alerted.
    assert (told["unless"] != quiet).to_list() == (trained.score(now) >= line).tolist()
    assert (told["rule_unless"] != quiet).to_list() == by_rule(now).tolist()


@given(low=st.integers(0, 4_000_000), wide=st.integers(0, 4_000_000), own=st.integers(0, 5_000_000))
@settings(max_examples=50, deadline=None)
def test_a_quiet_stretch_is_found_to_the_fen_when_a_grid_point_lies_in_it(low: int, wide: int, own: int) -> None:
    now = homes(1, 9).with_columns(pl.lit(own, dtype=pl.Int64).alias("own_total_fen"))

    def alerted(rows: pl.DataFrame) -> np.ndarray:
        return ~rows["own_total_fen"].is_between(low, low + wide).to_numpy()

    row = counterfactuals(alerted, now).row(0, named=True)
    if low <= own <= low + wide:
        assert row["found"] == "not_alerted"
    elif low > own:
        assert row["found"] == "never"
    elif row["found"] != "never":
        assert row["allowed_fen"] == low + wide
        assert (row["found"], row["down_to_fen"]) == (("below", 0) if low == 0 else ("between", low))
    else:
        # Only a stretch that is narrower than two of the amounts asked can be missed.
        assert wide < own // 40 + 1


def test_the_line_of_the_official_rule_is_that_of_the_screening() -> None:
    # 50 % of the shipped income per head of 2024; basis points times fen are more than 32 bits hold.
    people = pl.DataFrame({"person_id": ["p"], "household_id": ["h"], "birth_date": [date(1970, 1, 1)]})
    waves = pl.DataFrame({"household_id": ["h"], "wave": [2025], "size": [1], "income_fen": [3_000_000]})
    settled = pl.DataFrame({"person_id": ["p"], "benefit_year": [2025], "settled_date": [date(2025, 3, 1)],
                            "own_in_scope_fen": [2_065_701], "own_total_fen": [2_500_000]})  # fmt: skip
    rules = load_rules("cn", on=date(2025, 12, 31))
    now = features(Register(people, waves), settled, rules, year=2025)
    assert now["allowed_fen"].to_list() == [2_065_700]
    assert by_rule(now).tolist() == [True]
    assert counterfactuals(by_rule, now)["found"].to_list() == ["below"]


@given(share=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_less_spending_is_less_of_every_part_and_of_nothing_else(share: int) -> None:
    now = homes(40, 9)
    less = with_spending(now, now["own_total_fen"] * share // 100)
    for name in MONEY:
        if name in ("own_previous_fen", "income_fen"):
            assert less[name].equals(now[name])
        else:
            assert (less[name] <= now[name]).all()
    assert with_spending(now, now["own_total_fen"]).equals(now)


def test_a_frame_without_the_amounts_is_refused() -> None:
    with pytest.raises(InputError) as error:
        counterfactuals(by_rule, homes(5, 9).drop("own_late_fen"))
    assert error.value.code == "missing_column"
