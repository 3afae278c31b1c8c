"""What has moved since a model was judged: PSI by hand, chance, rates, calibration, rules as data."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_homes import homes, model

from medfloor.errors import InputError, UsageError
from medfloor.watch.drift import Drift, drift, psi, psi_by_chance, read_drift_rules, shipped_drift_rules
from medfloor.watch.profile import binned, profile_from, profile_of
from medfloor.words import LANGS

COUNTS = st.lists(st.integers(0, 1000), min_size=2, max_size=8)


def looked(now: pl.DataFrame, **asked: object) -> Drift:
    trained = model()
    kept = profile_from(trained.judged["profile"])
    return drift(kept, now, trained.score(now), **{"by": "township", **asked})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("then", "now", "by_hand"),
    [
        ([50, 50], [60, 40], 0.1 * math.log(1.2) - 0.1 * math.log(0.8)),
        ([25, 25, 50], [50, 25, 25], 0.25 * math.log(2) - 0.25 * math.log(0.5)),
        ([10, 90], [10, 90], 0.0),
        # An empty bin counts as half a household: .005 of a hundred. A bin that is empty on both sides does not count.
        ([50, 50, 0], [100, 0, 0], 0.5 * math.log(2) + (0.005 - 0.5) * math.log(0.005 / 0.5)),
    ],
)
def test_psi_is_what_is_worked_out_by_hand(then: list[int], now: list[int], by_hand: float) -> None:
    assert psi(then, now) == pytest.approx(by_hand, abs=1e-12)


@given(then=COUNTS, now=COUNTS)
@settings(max_examples=50)
def test_psi_is_never_below_zero_and_says_the_same_from_both_sides(then: list[int], now: list[int]) -> None:
    wide = min(len(then), len(now))
    then, now = then[:wide], now[:wide]
    if not sum(then) or not sum(now):
        assert math.isnan(psi(then, now))
        return
    assert psi(then, now) == pytest.approx(psi(now, then))
    assert psi(then, now) >= -1e-15
    assert psi(then, [3 * one for one in then]) < 1e-12 or 0 in then


def test_what_chance_does_is_seldom_exceeded_where_nothing_moved() -> None:
    draw = np.random.default_rng(5)
    bound = psi_by_chance(400, 300, 5, 95.0)
    found = [psi(*(draw.multinomial(many, [0.2] * 5) for many in (400, 300))) for _ in range(2000)]
    # 5 % of 2,000 is 100, with a standard deviation of 9.7: four of them to each side.
    assert 61 <= sum(one > bound for one in found) <= 139


@given(
    values=st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), min_size=1, max_size=60),
    bins=st.integers(2, 12),
)
@settings(max_examples=50)
def test_every_household_is_in_one_bin_and_no_bin_of_the_training_is_empty(values: list[float], bins: int) -> None:
    frame = pl.DataFrame({"household_id": [str(n) for n in range(len(values))], "x": values})
    kept = profile_of(frame, [0.5] * len(values), line=0.5, inputs=["x"], bins=bins)
    counts, edges = kept.counts[""]["x"], kept.edges["x"]
    assert sum(counts) == len(values) == kept.households[""] == kept.alerted[""]
    assert counts[-1] == sum(math.isnan(one) for one in values)
    if counts[-1] < len(values):
        assert all(counts[:-1])
    assert len(counts) == len(edges) + 2 <= bins + 2
    assert profile_from(kept.to_dict()) == kept
    assert tuple(binned(np.asarray(values), edges)) == counts


def test_the_same_households_have_not_moved() -> None:
    found = looked(homes(1500, 3, 2024))
    assert not found.found
    assert found.inputs["psi"].abs().max() < 1e-12
    assert set(found.alerts["band"]) == {"stable"}


def test_other_households_of_the_same_kind_have_not_moved() -> None:
    found = looked(homes(1500, 77, 2025))
    assert not found.found
    assert found.inputs.filter(pl.col("place") == "")["band"].unique().to_list() == ["stable"]


def test_dearer_care_is_found_and_named() -> None:
    found = looked(homes(1500, 8, 2025, 1.5))
    assert found.found
    drifted = found.drifted()
    assert ("inputs", "", "own_total") in drifted
    assert ("alerts", "", "") in drifted
    assert not any(name in ("size", "oldest", "chronic") for _, _, name in drifted)


def test_a_column_that_is_empty_this_year_is_found() -> None:
    now = homes(1500, 77, 2025).with_columns(pl.lit(None, dtype=pl.Float64).alias("chronic"))
    row = looked(now).inputs.filter((pl.col("feature") == "chronic") & (pl.col("place") == "")).row(0, named=True)
    assert (row["missing_then"], row["missing_now"], row["band"]) == (0.0, 1.0, "drift")


def test_few_households_are_no_more_than_chance() -> None:
    now = homes(1500, 8, 2025, 0.9).head(14)
    bands = looked(now, by=None).inputs
    moved = bands.filter(pl.col("psi") >= 0.25)
    assert moved.height > 0
    assert "chance" in moved["band"].to_list()


def test_a_township_is_held_against_itself_and_a_new_one_is_not_judged() -> None:
    now = homes(1500, 3, 2024)
    own = now.with_columns(
        pl.when(pl.col("township") == "t1").then(pl.lit("new")).otherwise("township").alias("township")
    )
    found = looked(own)
    assert found.not_kept == ("new",)
    assert "new" not in found.inputs["place"].to_list()
    assert found.alerts.filter(pl.col("place") == "new")["band"].to_list() == ["unknown"]
    assert not found.found


def test_a_small_township_is_not_kept() -> None:
    frame = pl.DataFrame({"household_id": ["a", "b", "c"], "township": ["x", "x", "y"], "stays": [0, 1, 2]})
    kept = profile_of(frame, [0.1, 0.2, 0.3], line=0.15, by="township", smallest=2)
    assert set(kept.counts) == {"", "x"}
    assert kept.alerted == {"": 2, "x": 1}


def told_of(now: pl.DataFrame, outcome: str, many: int, other: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"household_id": now["household_id"].head(many + other), "outcome": [outcome] * many + ["false_alarm"] * other}
    )


def test_the_confirmed_rate_is_of_what_was_decided_and_held_against_an_earlier_one() -> None:
    now = homes(1500, 3, 2024)
    visits = told_of(now, "confirmed", 30, 70).vstack(
        pl.DataFrame({"household_id": ["x1", "x2"], "outcome": ["visited", None]})
    )
    alone = looked(now, outcomes=visits, by=None).confirmed.row(0, named=True)
    assert (alone["visited"], alone["decided"], alone["rate"], alone["band"]) == (101, 100, 0.3, "unknown")
    # Wilson's interval of 30 in 100 at 99 %, with z = 2.5758.
    assert (alone["low"], alone["high"]) == (pytest.approx(0.19747, abs=1e-5), pytest.approx(0.42743, abs=1e-5))
    earlier = told_of(now, "confirmed", 70, 30)
    fallen = looked(now, outcomes=visits, earlier=earlier, by=None)
    assert fallen.confirmed.row(0, named=True)["band"] == "drift"
    assert ("confirmed", "", "") in fallen.drifted()
    same = looked(now, outcomes=visits, earlier=told_of(now, "confirmed", 33, 67), by=None)
    assert same.confirmed.row(0, named=True)["band"] == "stable"
    few = looked(now, outcomes=told_of(now, "confirmed", 1, 4), earlier=told_of(now, "confirmed", 3, 2), by=None)
    assert few.confirmed.row(0, named=True)["band"] == "chance"


def test_calibration_is_those_who_fell_against_those_foretold() -> None:
    now = homes(1500, 77, 2025)
    scores = model().score(now)
    fell = now.select("household_id", pl.lit(None, dtype=pl.String).alias("outcome"), "fell")
    right = looked(now, outcomes=fell, by=None).calibration.row(0, named=True)
    assert right["expected"] == pytest.approx(scores.sum())
    assert right["observed"] == int(now["fell"].sum())
    assert right["ratio"] == pytest.approx(right["observed"] / right["expected"])
    assert right["band"] == "stable"
    spread = math.sqrt((scores * (1 - scores)).sum()) / scores.sum()
    assert right["high"] == pytest.approx(1 + 2.5758293 * spread)
    wrong = looked(now, outcomes=fell.with_columns(pl.lit(value=True).alias("fell")))
    assert {row["place"] for row in wrong.calibration.to_dicts() if row["band"] == "drift"} == {"", "t0", "t1", "t2"}


@pytest.mark.parametrize("lang", LANGS)
def test_the_page_says_what_was_found_and_how_it_is_meant(lang: str) -> None:
    found = looked(homes(1500, 8, 2025, 1.5))
    text = found.text(lang)
    assert "PSI" in text
    assert len(found.said()) == 5
    frame = found.to_frame(lang)
    assert frame.height == sum(part.height for part in (found.inputs, found.alerts, found.confirmed, found.calibration))
    assert frame["words"].null_count() == 0
    plain = found.to_dict(lang)
    assert plain["found"] is True
    assert {one["trust"] for one in plain["rules"]} == {"secondary", "office"}
    assert not set(homes(1500, 8, 2025, 1.5)["household_id"].head(50)) & set(text.split())


def test_every_number_has_a_source_or_is_marked_as_the_offices() -> None:
    for one in shipped_drift_rules().parameters:
        assert one.trust == "office" or (one.words and one.source != "office"), one.name


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x", "no TOML"),
        ("[other]", "nothing else"),
        ('[[parameter]]\nname = "psi"', "'psi'"),
        ('[[parameter]]\nname = "ratio"\nvalue = 0.5', "between 1"),
        ('[[parameter]]\nname = "smallest_place"\nvalue = 1.5', "whole"),
        ('[[parameter]]\nname = "ratio"\nvalue = 2\ntrust = "mine"', "trust"),
        ('[[parameter]]\nname = "psi_watch"\nvalue = 0.5', "psi_watch"),
    ],
)
def test_a_wrong_file_of_lines_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(InputError) as error:
        read_drift_rules(text, where="own.toml", over=shipped_drift_rules())
    assert error.value.code == "bad_drift_rules"
    assert named in error.value.message


def test_tables_that_cannot_be_used_are_refused() -> None:
    now = homes(100, 9)
    cases = {
        "missing_column": pl.DataFrame({"household_id": ["a"]}),
        "bad_outcome": pl.DataFrame({"household_id": ["a"], "outcome": ["ok"]}),
        "repeated_rows": pl.DataFrame({"household_id": ["a", "a"], "outcome": ["refused", "confirmed"]}),
    }
    for code, outcomes in cases.items():
        with pytest.raises(InputError) as error:
            looked(now, outcomes=outcomes)
        assert error.value.code == code
    kept = profile_from(model().judged["profile"])
    for code, frame, scores in (
        ("no_rows", now.clear(), []),
        ("missing_column", now.drop("own_total"), [0.1] * 100),
        ("wrong_type", now, [0.1]),
        ("wrong_type", now.with_columns(pl.lit("x").alias("own_total")), [0.1] * 100),
    ):
        with pytest.raises(InputError) as error:
            drift(kept, frame, scores)
        assert error.value.code == code
    with pytest.raises(InputError) as error:
        drift(kept, now, [0.1] * 100, by="village")
    assert error.value.code == "missing_column"
    with pytest.raises(InputError) as error:
        profile_from({})
    assert error.value.code == "no_bins"
    with pytest.raises(UsageError):
        profile_of(now, [0.1] * 100, line=0.5, bins=1)
    with pytest.raises(InputError):
        profile_of(now.clear(), [], line=0.5)
