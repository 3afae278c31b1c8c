"""Visits: never more than there are, each township its credits, harm first, and nothing by the order of rows."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.watch.capacity import all_assumptions, assumptions, credits, give_week, plan_visits, queue, weighed
from medfloor.watch.deadlines import load_case_rules, with_values

DAY = date(2026, 3, 2)
TOWNS = ("east", "north", "west")


@st.composite
def waiting(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(
        st.lists(st.tuples(st.sampled_from(TOWNS), st.floats(0, 1), st.integers(0, 9), st.integers(0, 40)), max_size=25)
    )
    return pl.DataFrame(
        {
            "household_id": [f"h{n:02d}" for n in range(len(rows))],
            "township": [row[0] for row in rows],
            "probability": [row[1] for row in rows],
            "depth": [1000.0 * row[2] for row in rows],
            "preventable": [1.0] * len(rows),
            "found_on": [DAY - timedelta(days=row[3]) for row in rows],
        },
        schema_overrides={"household_id": pl.String, "township": pl.String, "found_on": pl.Date,
                          "probability": pl.Float64, "depth": pl.Float64, "preventable": pl.Float64},
    )  # fmt: skip


MANY = settings(max_examples=40, deadline=None)


@MANY
@given(waiting(), st.integers(1, 6), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from(["harm", "first_come"]))
def test_no_week_has_more_than_its_visits_and_all_are_visited_once(
    alerts: pl.DataFrame, capacity: int, share: float, method: str
) -> None:
    plan = plan_visits(alerts, capacity=capacity, as_of=DAY, share=share, method=method)  # type: ignore[arg-type]
    assert plan["household_id"].sort().to_list() == alerts["household_id"].to_list()
    by_week = plan.group_by("week").len().sort("week")["len"].to_list()
    assert all(count == capacity for count in by_week[:-1])
    assert not by_week or by_week[-1] <= capacity


@MANY
@given(
    waiting(), st.integers(1, 6), st.sampled_from([0.3, 0.5, 1.0]), st.tuples(*[st.integers(1, 50)] * 3),
    st.sampled_from(["harm", "first_come"]),
)  # fmt: skip
def test_after_every_week_a_township_has_its_credits_or_nobody_left(
    alerts: pl.DataFrame, capacity: int, share: float, counts: tuple[int, int, int], method: str
) -> None:
    homes = dict(zip(TOWNS, counts, strict=True))
    plan = plan_visits(alerts, capacity=capacity, as_of=DAY, share=share, households=homes, method=method)  # type: ignore[arg-type]
    for week in range(1, (plan["week"].max() or 0) + 1):  # type: ignore[operator]
        owed = credits(counts, capacity, str(share), week)
        done = plan.filter(pl.col("week") <= week)
        for town, own in zip(TOWNS, owed.tolist(), strict=True):
            there = alerts.filter(pl.col("township") == town).height
            assert done.filter(pl.col("township") == town).height >= min(own, there)


@MANY
@given(waiting(), st.randoms(use_true_random=False), st.sampled_from(["first", "by_harm"]))
def test_the_order_of_rows_changes_nothing(alerts: pl.DataFrame, random: object, overdue: str) -> None:
    rows = list(range(alerts.height))
    random.shuffle(rows)  # type: ignore[attr-defined]
    other = alerts[rows]
    plans = [plan_visits(one, capacity=2, as_of=DAY, overdue=overdue) for one in (alerts, other)]  # type: ignore[arg-type]
    assert plans[0].equals(plans[1])


@MANY
@given(waiting(), st.integers(1, 5), st.integers(0, 5), st.sampled_from([("harm", "by_harm"), ("first_come", "first")]))
def test_without_shares_and_by_one_order_more_visits_make_nobody_wait_longer(
    alerts: pl.DataFrame, capacity: int, more: int, how: tuple[str, str]
) -> None:
    said = {"as_of": DAY, "share": 0.0, "method": how[0], "overdue": how[1]}
    few, many = (
        dict(plan_visits(alerts, capacity=k, **said).select("household_id", "week").iter_rows())  # type: ignore[arg-type]
        for k in (capacity, capacity + more)
    )
    assert all(many[home] <= week for home, week in few.items())


@MANY
@given(waiting(), st.integers(1, 5))
def test_by_harm_alone_no_later_visit_has_more_harm(alerts: pl.DataFrame, capacity: int) -> None:
    plan = plan_visits(alerts, capacity=capacity, as_of=DAY, share=0.0, overdue="by_harm")
    assert plan["expected_harm"].is_sorted(descending=True)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(0, 7), st.sampled_from(["0", "0.3", "1"]))
@settings(max_examples=40, deadline=None)
def test_credits_never_shrink_and_add_up_to_the_share(counts: list[int], capacity: int, share: str) -> None:
    before = np.zeros(len(counts), np.int64)
    for week in range(1, 9):
        now = credits(tuple(counts), capacity, share, week)
        assert (now >= before).all()
        whole = int(float(share) * capacity * week + 1e-9) if sum(counts) else 0
        assert int(now.sum()) == whole
        assert now[np.array(counts) == 0].sum() == 0
        before = now


def test_credits_of_a_far_week_are_near_the_exact_part() -> None:
    found = credits((60, 30, 10), 3, "0.5", 400)
    assert np.abs(found - np.array([360, 180, 60])).max() <= 1


def test_who_would_be_late_comes_before_greater_harm_that_can_wait() -> None:
    alerts = pl.DataFrame(
        {"household_id": ["dear", "late"], "probability": [0.9, 0.1], "depth": [9000.0, 1000.0],
         "preventable": [1.0, 1.0], "found_on": [DAY, DAY - timedelta(days=7)]}
    )  # fmt: skip
    rules = with_values(load_case_rules("cn", on=DAY), visit_within=10)
    first = plan_visits(alerts, capacity=1, as_of=DAY, rules=rules)
    assert first.select("household_id", "reason", "late").rows() == [
        ("late", "overdue", False), ("dear", "overdue", False)]  # fmt: skip
    by_harm = plan_visits(alerts, capacity=1, as_of=DAY, rules=rules, overdue="by_harm")
    assert by_harm["household_id"].to_list() == ["dear", "late"]
    assert by_harm["late"].to_list() == [False, True]


def test_a_visit_in_the_week_after_its_day_is_late() -> None:
    alerts = pl.DataFrame({"household_id": ["a", "b"], "found_on": [DAY, DAY]})
    plan = plan_visits(alerts, capacity=1, as_of=DAY)
    assert plan.select("week", "due", "late").rows() == [(1, date(2026, 3, 5), False), (2, date(2026, 3, 5), True)]


def test_a_share_that_a_township_cannot_use_flows_back() -> None:
    alerts = pl.DataFrame({"household_id": ["a", "b", "c"], "township": ["east"] * 3, "found_on": [DAY] * 3})
    plan = plan_visits(alerts, capacity=3, as_of=DAY, share=1.0, households={"east": 1, "west": 9})
    assert plan["week"].to_list() == [1, 1, 1]


def test_a_townships_share_is_given_although_others_have_more_harm() -> None:
    alerts = pl.DataFrame(
        {"household_id": ["a", "b", "c"], "township": ["east", "east", "west"], "found_on": [DAY] * 3,
         "probability": [0.9, 0.8, 0.1], "depth": [5e4, 5e4, 10.0], "preventable": [1.0] * 3}
    )  # fmt: skip
    plan = plan_visits(alerts, capacity=2, as_of=DAY, share=1.0, households={"east": 5, "west": 5})
    assert plan.select("week", "household_id", "reason").rows() == [
        (1, "a", "overdue"), (1, "c", "share"), (2, "b", "overdue")]  # fmt: skip


def test_depth_is_how_far_amounts_are_beyond_their_line() -> None:
    alerts = pl.DataFrame(
        {"household_id": ["spent", "poor", "uninsured"], "unit": ["yuan", "yuan", "people"],
         "urgency": ["urgent", "routine", "soon"], "kind": ["burden", "poverty", "enrolment"],
         "spent_fen": [900_000, None, None], "base_fen": [5_000_000, 600_000, None],
         "allowed_fen": [500_000, 880_000, None]}
    )  # fmt: skip
    found = weighed(alerts, as_of=DAY).select("probability", "depth", "expected_harm").rows()
    assert found == [(0.8, 4000.0, 2240.0), (0.2, 2800.0, 280.0), (0.5, 2000.0, 900.0)]


def test_a_household_with_several_alerts_waits_once_since_the_first_for_the_worst() -> None:
    alerts = pl.DataFrame(
        {"household_id": ["a", "a"], "signal": ["x", "w"], "probability": [0.5, 0.1], "depth": [100.0, 100.0],
         "preventable": [1.0, 1.0], "found_on": [DAY, DAY - timedelta(days=3)]}
    )  # fmt: skip
    found = queue(alerts, as_of=DAY)
    assert found.select("expected_harm", "waited_days", "signals").rows() == [(50.0, 3, "w;x")]


def test_no_capacity_and_no_alerts_give_an_empty_plan() -> None:
    alerts = pl.DataFrame({"household_id": ["a"]})
    assert plan_visits(alerts, capacity=0, as_of=DAY).is_empty()
    assert plan_visits(alerts.clear(), capacity=3, as_of=DAY).is_empty()


def test_owed_visits_go_to_the_township_most_behind() -> None:
    order, nobody = np.arange(4), np.zeros(4, np.bool_)
    chosen, why = give_week(order, nobody, np.array([0, 0, 1, 2]), ~nobody, capacity=1, owed=np.array([0, 1, 2]))
    assert (chosen.tolist(), why) == ([3], ["share"])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"capacity": -1}, "bad_capacity"), ({"share": 1.5}, "bad_capacity"), ({"weeks": 0}, "bad_capacity"),
        ({"method": "luck"}, "bad_capacity"), ({"overdue": "never"}, "bad_capacity"),
        ({"households": {"east": -1}}, "bad_capacity"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused(said: dict[str, object], code: str) -> None:
    alerts = pl.DataFrame({"household_id": ["a"]})
    with pytest.raises(UsageError) as error:
        plan_visits(alerts, **{"capacity": 1, "as_of": DAY, **said})  # type: ignore[arg-type]
    assert error.value.code == code


@pytest.mark.parametrize(
    "columns",
    [
        {"household_id": [None]}, {"household_id": ["a"], "probability": [1.2]}, {"household_id": ["a"], "depth": [-1.0]},
        {"household_id": ["a"], "depth": [float("nan")]}, {"household_id": ["a"], "found_on": ["soon"]},
        {"household_id": ["a"], "preventable": [2.0]},
    ],
)  # fmt: skip
def test_alerts_that_cannot_be_are_refused(columns: dict[str, list[object]]) -> None:
    with pytest.raises(InputError) as error:
        plan_visits(pl.DataFrame(columns), capacity=1, as_of=DAY)
    assert error.value.code == "bad_alerts"


def test_alerts_without_households_are_refused() -> None:
    with pytest.raises(InputError, match="household_id"):
        queue(pl.DataFrame({"person_id": ["p"]}), as_of=DAY)


def test_every_number_that_no_document_sets_says_so() -> None:
    assert {one.trust for one in all_assumptions()} == {"office"}
    assert all(one.note for one in all_assumptions())
    assert assumptions()["fair_share"] == 0.3
