"""Cases: what may follow on what, who may decide, when; and that nothing is ever lost."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import FrozenInstanceError, replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import event as note
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from medfloor.errors import ConflictError, UsageError
from medfloor.periods import add_months
from medfloor.watch.cases import (
    OPEN,
    Case,
    Event,
    Kind,
    apply,
    due_dates,
    event_of,
    event_record,
    may_follow,
    open_case,
    replay,
)
from medfloor.watch.deadlines import CaseRules, load_case_rules, with_values

RULES = load_case_rules("cn", on=date(2025, 1, 1))
LINE = 730_000
SEEN = {"income_head_fen": 700_000, "line_head_fen": LINE, "labour_capacity": True}
STABLE = {"income_head_fen": 900_000, "line_head_fen": LINE, "spending_solved": True, "guarantees_met": True}

FOUND = Event("found", date(2025, 3, 3), "system", source="alert", signals=("burden",))
ENTRY = (
    FOUND,
    Event("verified", date(2025, 3, 5), "village", **SEEN),
    Event("published", date(2025, 3, 6), "township", category="edge"),
    Event("recognised", date(2025, 3, 12), "county", category="edge"),
)
EXIT = (
    Event("helped", date(2025, 3, 20), "village", measure="medical assistance", given_by="medical security bureau"),
    Event("risk_stable", date(2025, 10, 9), "village", stable_since=date(2025, 4, 1), **STABLE),
    Event("published", date(2025, 10, 10), "township"),
    Event("removed", date(2025, 10, 16), "county"),
)
WHOLE = ENTRY + EXIT


def follow(*events: Event, rules: CaseRules = RULES) -> Case:
    case = open_case(events[0], case_id="c1", household_id="h1", place="150981")
    for event in events[1:]:
        case = apply(case, event, rules)
    return case


def refused(case: Case, event: Event, code: str, rules: CaseRules = RULES) -> None:
    with pytest.raises(ConflictError) as raised:
        apply(case, event, rules)
    assert raised.value.code == code


def test_a_household_goes_all_the_way_by_rule() -> None:
    states = [follow(*WHOLE[:n]).state for n in range(1, len(WHOLE) + 1)]
    assert states == [
        "found", "verified", "published", "recognised", "helped", "risk_stable", "risk_stable", "removed",
    ]  # fmt: skip
    assert follow(*WHOLE).events == WHOLE


def test_a_case_is_never_recognised_by_who_verified_or_published_it() -> None:
    published = follow(*ENTRY[:3])
    for same in ("village", "township", " Township "):
        refused(published, replace(ENTRY[3], actor=same), "case_same_person")
    # Who found it rests on somebody else's visit.
    assert apply(published, replace(ENTRY[3], actor="system"), RULES).state == "recognised"


def test_a_case_is_never_removed_by_who_proposed_it() -> None:
    stable = follow(*WHOLE[:-1])
    for same in ("village", "TOWNSHIP"):
        refused(stable, replace(EXIT[-1], actor=same), "case_same_person")


def test_a_notice_stands_five_full_days_before_anything_is_decided() -> None:
    published = follow(*ENTRY[:3])
    refused(published, replace(ENTRY[3], day=date(2025, 3, 11)), "case_too_early")
    assert apply(published, replace(ENTRY[3], day=date(2025, 3, 12)), RULES).state == "recognised"
    stable = follow(*WHOLE[:-1])
    refused(stable, replace(EXIT[-1], day=date(2025, 10, 15)), "case_too_early")


def test_half_a_year_of_stable_income_is_counted_to_the_day() -> None:
    until = follow(*WHOLE[:5], replace(EXIT[1], stable_since=date(2025, 4, 30)), *EXIT[2:3])
    refused(until, replace(EXIT[3], day=date(2025, 10, 29)), "case_too_early")
    assert apply(until, replace(EXIT[3], day=date(2025, 10, 30)), RULES).state == "removed"


def test_nobody_is_removed_in_the_same_or_the_next_month_even_where_half_a_year_is_not_asked() -> None:
    quick = with_values(RULES, stable_at_least=0, monitored_at_least=0)
    case = follow(
        *ENTRY,
        replace(EXIT[0], day=date(2025, 3, 13)),
        replace(EXIT[1], day=date(2025, 3, 14), stable_since=date(2025, 3, 6)),
        replace(EXIT[2], day=date(2025, 3, 15)),
        rules=quick,
    )
    for day in (date(2025, 3, 31), date(2025, 4, 30)):
        refused(case, replace(EXIT[3], day=day), "case_too_early", quick)
    assert apply(case, replace(EXIT[3], day=date(2025, 5, 1)), quick).state == "removed"


def test_a_household_in_which_nobody_can_work_is_not_removed() -> None:
    stable = follow(*WHOLE[:-1])
    visit = Event(
        "visited", date(2025, 10, 10), "village", **{**SEEN, "income_head_fen": 900_000, "labour_capacity": False}
    )
    refused(apply(stable, visit, RULES), EXIT[3], "case_no_labour")
    allowed = with_values(RULES, removal_without_labour=1)
    assert apply(apply(stable, visit, allowed), EXIT[3], allowed).state == "removed"


@pytest.mark.parametrize(("income", "allowed"), [(LINE - 1, False), (LINE, False), (LINE + 1, True)])
def test_risk_is_gone_only_above_the_line(income: int, allowed: bool) -> None:
    helped = follow(*WHOLE[:5])
    stable = replace(EXIT[1], income_head_fen=income)
    if allowed:
        assert apply(helped, stable, RULES).state == "risk_stable"
    else:
        refused(helped, stable, "case_under_line")


@pytest.mark.parametrize(
    ("income", "category", "allowed"),
    [(LINE, "edge", True), (LINE + 1, "edge", False), (LINE + 1, "sudden", True), (LINE + 1, "unstable", False)],
)
def test_above_the_line_a_household_can_be_sudden_only(income: int, category: str, allowed: bool) -> None:
    seen = Event("verified", date(2025, 3, 5), "village", **{**SEEN, "income_head_fen": income})
    published = follow(FOUND, seen, replace(ENTRY[2], category=category))
    recognised = replace(ENTRY[3], category=category)
    if allowed:
        assert apply(published, recognised, RULES).category == category
    else:
        refused(published, recognised, "case_wrong_category")


def test_a_household_is_recognised_as_what_was_published() -> None:
    refused(follow(*ENTRY[:3]), replace(ENTRY[3], category="unstable"), "case_wrong_category")


def test_months_in_which_a_visit_found_it_under_the_line_are_not_stable() -> None:
    seen = date(2025, 3, 5)
    for since, allowed in ((seen - timedelta(1), False), (seen, False), (seen + timedelta(1), True)):
        called = replace(EXIT[1], stable_since=since)
        if allowed:
            assert apply(follow(*WHOLE[:5]), called, RULES).state == "risk_stable"
        else:
            refused(follow(*WHOLE[:5]), called, "case_under_line")
    again = follow(*WHOLE[:5], Event("visited", date(2025, 8, 1), "village", **{**SEEN, "income_head_fen": LINE}))
    refused(again, EXIT[1], "case_under_line")
    above = follow(*WHOLE[:5], Event("visited", date(2025, 8, 1), "village", **{**SEEN, "income_head_fen": LINE + 1}))
    assert apply(above, EXIT[1], RULES).state == "risk_stable"


def test_what_an_earlier_round_saw_does_not_bind_a_later_one() -> None:
    sudden = {**SEEN, "income_head_fen": LINE + 1}
    again = follow(
        *WHOLE,
        Event("re_entered", date(2025, 11, 3), "village", source="application"),
        Event("verified", date(2025, 11, 4), "village", **sudden),
        Event("published", date(2025, 11, 5), "township", category="sudden"),
        Event("recognised", date(2025, 11, 12), "county", category="sudden"),
        replace(EXIT[0], day=date(2025, 11, 13)),
    )
    called = replace(EXIT[1], day=date(2026, 6, 1), stable_since=date(2025, 3, 1))
    assert apply(again, called, RULES).state == "risk_stable"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"income_head_fen": 10**20}, "income_head_fen"),
        ({"income_head_fen": -(10**20)}, "income_head_fen"),
        ({"line_head_fen": 10**20}, "line_head_fen"),
        ({"line_head_fen": 0}, "line_head_fen"),
        ({"line_head_fen": -730_000}, "line_head_fen"),
    ],
)
def test_an_amount_that_cannot_be_is_refused_and_yet_read_once_it_is_kept(said: dict[str, int], name: str) -> None:
    odd = Event("verified", date(2025, 3, 5), "village", **{**SEEN, **said})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=name) as raised:
        apply(follow(FOUND), odd, RULES)
    assert raised.value.code == "case_event_incomplete"
    assert replay([FOUND, odd], case_id="c1", household_id="h1", place="p").state == "verified"


def test_unsolved_spending_or_guarantees_hold_a_case() -> None:
    for open_risk in ("spending_solved", "guarantees_met"):
        refused(follow(*WHOLE[:5]), replace(EXIT[1], **{open_risk: False}), "case_risk_open")


def test_a_case_without_a_measure_is_not_called_stable() -> None:
    refused(follow(*ENTRY), EXIT[1], "case_without_measure")
    natural = with_values(RULES, measures_at_least=0)
    assert apply(follow(*ENTRY), EXIT[1], natural).state == "risk_stable"


def test_an_objection_waits_for_an_answer_and_who_answers_does_not_decide() -> None:
    case = apply(follow(*ENTRY[:3]), Event("objected", date(2025, 3, 8), "neighbour", reason="has a car"), RULES)
    refused(case, ENTRY[3], "case_objection_open")
    answered = apply(case, Event("answered", date(2025, 3, 9), "county", reason="it was sold"), RULES)
    refused(answered, ENTRY[3], "case_same_person")
    assert apply(answered, replace(ENTRY[3], actor="leader"), RULES).state == "recognised"


def test_a_new_visit_after_an_objection_asks_for_a_new_notice() -> None:
    again = apply(follow(*ENTRY[:3]), replace(ENTRY[1], day=date(2025, 3, 9)), RULES)
    assert (again.state, again.published_on) == ("verified", None)
    refused(again, ENTRY[3], "case_wrong_step")


def test_a_visit_that_finds_poverty_again_takes_the_case_back() -> None:
    stable = follow(*WHOLE[:-1])
    poor = Event("visited", date(2025, 10, 12), "village", **{**SEEN, "income_head_fen": LINE})
    back = apply(stable, poor, RULES)
    assert (back.state, back.exit_published_on, back.stable_since) == ("helped", None, None)
    refused(back, EXIT[3], "case_wrong_step")


def test_a_removal_that_was_not_published_is_no_removal() -> None:
    refused(follow(*WHOLE[:6]), EXIT[3], "case_wrong_step")


def test_a_household_comes_back_in_a_new_round_and_keeps_its_history() -> None:
    back = apply(follow(*WHOLE), Event("re_entered", date(2026, 2, 2), "clerk", source="application"), RULES)
    assert (back.state, back.round, back.measures, back.recognised_on) == ("found", 2, (), None)
    assert back.events[: len(WHOLE)] == WHOLE
    refused(back, Event("recognised", date(2026, 3, 2), "county", category="edge"), "case_wrong_step")
    gone = apply(back, Event("refused", date(2026, 2, 5), "clerk", reason="income well above the line"), RULES)
    assert apply(gone, Event("re_entered", date(2026, 5, 5), "clerk", source="cadre"), RULES).round == 3


def test_a_further_alert_opens_no_second_case() -> None:
    case = apply(follow(FOUND), Event("alerted", date(2025, 3, 4), "system", signals=("burden", "poverty")), RULES)
    assert (case.state, case.signals) == ("found", ("burden", "poverty"))
    refused(follow(*WHOLE), Event("alerted", date(2025, 12, 1), "system", signals=("burden",)), "case_wrong_step")


def test_a_step_cannot_lie_before_the_last() -> None:
    refused(follow(*ENTRY[:2]), replace(ENTRY[2], day=date(2025, 3, 4)), "case_day_back")


@pytest.mark.parametrize(
    "event",
    [
        Event("refused", date(2025, 3, 4), "clerk"),
        Event("refused", date(2025, 3, 4), " ", reason="x"),
        Event("verified", date(2025, 3, 4), "clerk", income_head_fen=1, line_head_fen=2),
        Event("verified", date(2025, 3, 4), "clerk", income_head_fen=1.5, line_head_fen=2, labour_capacity=True),  # type: ignore[arg-type]
        Event("verified", date(2025, 3, 4), "clerk", income_head_fen=1, line_head_fen=2, labour_capacity="no"),  # type: ignore[arg-type]
        Event("verified", datetime(2025, 3, 4), "clerk", **SEEN),
        Event("forgotten", date(2025, 3, 4), "clerk"),  # type: ignore[arg-type]
        Event("verified", date(2025, 3, 4), "clerk", category="rich", **SEEN),  # type: ignore[arg-type]
        Event("verified", date(2025, 3, 4), "clerk", stable_since=date(2025, 3, 5), **SEEN),
    ],
)
def test_an_event_that_lacks_what_its_kind_needs_is_refused(event: Event) -> None:
    with pytest.raises(UsageError) as raised:
        apply(follow(FOUND), event, RULES)
    assert raised.value.code == "case_event_incomplete"


def test_a_step_says_only_what_belongs_to_it() -> None:
    """No income, capacity or stable months slip in with a measure or an objection."""
    stable = follow(*WHOLE[:-1])
    helped = Event("helped", date(2025, 10, 12), "village", measure="loan", given_by="bank")
    slips = {
        "income_head_fen": 2_000_000, "labour_capacity": True, "stable_since": date(2025, 1, 1), "category": "sudden",
        "spending_solved": True,
    }  # fmt: skip
    assert apply(stable, helped, RULES).state == "risk_stable"
    for name, value in slips.items():
        with pytest.raises(UsageError, match=name):
            apply(stable, replace(helped, **{name: value}), RULES)


def test_an_event_survives_its_record() -> None:
    assert tuple(event_of(json.loads(json.dumps(event_record(event)))) for event in WHOLE) == WHOLE
    for wrong in ({}, {"kind": "found"}, {**event_record(FOUND), "name": "x"}, {**event_record(FOUND), "day": "soon"}):
        with pytest.raises(UsageError):
            event_of(wrong)


def test_a_history_once_taken_in_is_rebuilt_whatever_the_rule_says_today() -> None:
    harder = with_values(RULES, notice_at_least=30)
    with pytest.raises(ConflictError):
        follow(*WHOLE, rules=harder)
    assert replay(iter(WHOLE), case_id="c1", household_id="h1", place="150981") == follow(*WHOLE)
    with pytest.raises(UsageError):
        replay([], case_id="c1", household_id="h1", place="150981")
    with pytest.raises(ConflictError):
        replay(WHOLE[1:], case_id="c1", household_id="h1", place="150981")
    with pytest.raises(ConflictError):
        replay((*ENTRY[:2], ENTRY[3]), case_id="c1", household_id="h1", place="150981")


def test_a_case_cannot_be_changed_behind_its_events() -> None:
    with pytest.raises(FrozenInstanceError):
        follow(FOUND).state = "removed"  # type: ignore[misc]


def test_what_is_due_follows_the_state() -> None:
    due = [{name: one.day for name, one in due_dates(follow(*WHOLE[:n]), RULES).items()} for n in range(1, 9)]
    assert due == [
        {"visit": date(2025, 3, 6), "decision": date(2025, 3, 18)},
        {"decision": date(2025, 3, 18)},
        {"decision": date(2025, 3, 18), "notice": date(2025, 3, 11)},
        {"help": date(2025, 4, 14)},  # 12 April is a Saturday
        {},
        {},
        {"notice": date(2025, 10, 15), "removal": date(2025, 10, 16)},
        {},
    ]


QUICK = with_values(RULES, stable_at_least=1, monitored_at_least=2, notice_at_least=3)
ACTORS = ("ann", "bo", "cai", "dan")
EVENTS = {
    "source": st.sampled_from(["alert", "application"]),
    "signals": st.just(("burden",)),
    "category": st.sampled_from(["edge", "sudden"]),
    "income_head_fen": st.sampled_from([LINE - 1, LINE, LINE + 1, LINE + 1]),
    "line_head_fen": st.just(LINE),
    "labour_capacity": st.sampled_from([True, True, True, False]),
    "spending_solved": st.sampled_from([True, True, True, False]),
    "guarantees_met": st.just(True),
    "reason": st.just("because"),
    "measure": st.just("assistance"),
    "given_by": st.just("bureau"),
}
NEEDS: dict[Kind, tuple[str, ...]] = {
    "found": ("source",),
    "alerted": ("signals",),
    "verified": ("income_head_fen", "line_head_fen", "labour_capacity"),
    "published": (),
    "objected": ("reason",),
    "answered": ("reason",),
    "recognised": ("category",),
    "helped": ("measure", "given_by"),
    "visited": ("income_head_fen", "line_head_fen", "labour_capacity"),
    "risk_stable": ("income_head_fen", "line_head_fen", "spending_solved", "guarantees_met"),
    "relapsed": ("reason",),
    "removed": (),
    "refused": ("reason",),
    "re_entered": ("source",),
}
FORWARD: dict[str, Kind] = {
    "found": "verified", "verified": "published", "published": "recognised", "recognised": "helped",
    "helped": "risk_stable", "removed": "re_entered", "refused": "re_entered",
}  # fmt: skip
"""The step that brings a case further, so that cases get to their end and back again."""


class Following(RuleBasedStateMachine):
    """Throw any step at a case and hold what was let in against the rule, worked out anew from the events."""

    def __init__(self) -> None:
        super().__init__()
        self.case = open_case(FOUND, case_id="c1", household_id="h1", place="p")
        self.let_in = [FOUND]

    @rule(data=st.data(), kind=st.sampled_from(list(NEEDS)), actor=st.sampled_from(ACTORS), days=st.integers(-1, 45))
    def any_step(self, data: st.DataObject, kind: Kind, actor: str, days: int) -> None:
        self.step(data, kind, actor, days)

    @rule(data=st.data(), actor=st.sampled_from(ACTORS), days=st.sampled_from([2, 4, 40]))
    def step_forward(self, data: st.DataObject, actor: str, days: int) -> None:
        proposed: Kind = "removed" if self.case.exit_published_on else "published"
        self.step(data, FORWARD.get(self.case.state, proposed), actor, days)

    @rule(data=st.data(), actor=st.sampled_from(ACTORS), days=st.sampled_from([2, 4, 40]))
    def another_step_forward(self, data: st.DataObject, actor: str, days: int) -> None:
        self.step_forward(data, actor, days)

    def step(self, data: st.DataObject, kind: Kind, actor: str, days: int) -> None:
        day = self.let_in[-1].day + timedelta(days)
        said = {name: data.draw(EVENTS[name]) for name in NEEDS[kind]}
        if kind == "risk_stable":
            said["stable_since"] = day - timedelta(data.draw(st.integers(0, 60)))
        self.take(Event(kind, day, actor, **said))

    def take(self, event: Event) -> None:
        before = self.case
        try:
            self.case = apply(before, event, QUICK)
        except ConflictError:
            assert self.case is before
            return
        self.let_in.append(event)
        note(f"let in: {event.kind}")
        assert event.kind in may_follow(before)
        if event.kind == "recognised":
            self.rightly_recognised(event)
        if event.kind == "removed":
            self.rightly_removed(event)

    def rightly_recognised(self, event: Event) -> None:
        part = self.present()
        published = [one.day for one in part if one.kind == "published"][-1]
        assert event.day > published + timedelta(3)
        assert event.actor not in {one.actor for one in part if one.kind in ("verified", "published", "answered")}
        counts = Counter(one.kind for one in part)
        assert counts["objected"] == counts["answered"]

    def rightly_removed(self, event: Event) -> None:
        part = self.present()
        recognised = next(one for one in part if one.kind == "recognised")
        place = max(n for n, one in enumerate(part) if one.kind == "risk_stable")
        proposal, after = part[place], part[place + 1 : -1]
        assert any(one.kind == "helped" for one in part)
        assert event.day > [one.day for one in after if one.kind == "published"][-1] + timedelta(3)
        assert proposal.stable_since is not None
        assert event.day >= add_months(proposal.stable_since, 1)
        assert event.day >= add_months(recognised.day, 2)
        months = (event.day.year - recognised.day.year) * 12 + event.day.month - recognised.day.month
        assert months >= 2
        assert event.actor not in {
            one.actor for one in (proposal, *after) if one.kind in ("risk_stable", "published", "answered")
        }
        counts = Counter(one.kind for one in after)
        assert counts["objected"] == counts["answered"]
        read = [one for one in part if one.income_head_fen is not None][-1]
        assert read.income_head_fen is not None and read.income_head_fen > LINE
        assert [one for one in part if one.labour_capacity is not None][-1].labour_capacity
        assert not [one for one in after if one.kind == "visited" and (one.income_head_fen or 0) <= LINE]
        looked = [one for one in part[:place] if one.kind in ("verified", "visited")]
        assert all(one.day < proposal.stable_since for one in looked if (one.income_head_fen or 0) <= LINE)

    def present(self) -> list[Event]:
        """List the events of the present round."""
        starts = [n for n, one in enumerate(self.let_in) if one.kind in ("found", "re_entered")]
        return self.let_in[starts[-1] :]

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.case.events == tuple(self.let_in)
        assert self.case.round == sum(one.kind in ("found", "re_entered") for one in self.let_in)
        assert (self.case.state in OPEN) != (self.case.state in ("removed", "refused"))

    @invariant()
    def the_events_alone_rebuild_the_case(self) -> None:
        kept = [event_of(event_record(one)) for one in self.let_in]
        assert replay(kept, case_id="c1", household_id="h1", place="p") == self.case

    @invariant()
    def nobody_is_monitored_without_a_decision(self) -> None:
        if self.case.state in ("recognised", "helped", "risk_stable", "removed"):
            assert any(one.kind == "recognised" for one in self.present())


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=50, stateful_step_count=50, deadline=None)
