"""Follow a household from the day it was found until its risk is gone: events in, a case out, nothing ever lost.

::

    found -> verified -> published -> recognised -> helped -> risk stable -> removed
      |         |            |                        ^            |            |
      +---------+------------+--> refused             +- relapsed -+            |
                                     |                                           |
      ^------------------------------+------------- re-entered ------------------+

A case is what its events make of it. `apply` holds an event against the rule before it takes it in; `replay` rebuilds a
case from events that were taken in once, whatever the rule says today. An event gives or asks; none of them takes a
benefit away: settlement does not read cases. Recognition and removal need two people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, Literal, get_args

from medfloor.errors import ConflictError, UsageError
from medfloor.money import MAX_FEN
from medfloor.watch.calendar import Calendar, shipped_calendar
from medfloor.watch.deadlines import (
    CaseRules,
    Due,
    decision_due,
    help_due,
    notice_until,
    removal_from,
    visit_due,
)

State = Literal["found", "verified", "published", "recognised", "helped", "risk_stable", "removed", "refused"]
Kind = Literal[
    "found", "alerted", "verified", "published", "objected", "answered", "recognised", "helped", "visited",
    "risk_stable", "relapsed", "removed", "refused", "re_entered",
]  # fmt: skip
Category = Literal["unstable", "edge", "sudden"]
"""The three kinds of monitored household: 脱贫不稳定户, 边缘易致贫户, 突发严重困难户."""
Source = Literal["alert", "application", "cadre", "department"]
"""Who found it: the screening, the household itself, a cadre, another department."""

OPEN: tuple[State, ...] = ("found", "verified", "published", "recognised", "helped", "risk_stable")
"""States of a case that somebody must work on."""
MONITORED: tuple[State, ...] = ("recognised", "helped", "risk_stable")
"""States in which a household is monitored by decision."""

_MOVES: dict[Kind, tuple[State, ...]] = {
    "found": (),
    "alerted": OPEN,
    "verified": ("found", "verified", "published"),
    "published": ("verified", "published", "risk_stable"),
    "objected": ("published", "risk_stable"),
    "answered": ("published", "risk_stable"),
    "recognised": ("published",),
    "helped": MONITORED,
    "visited": MONITORED,
    "risk_stable": ("recognised", "helped"),
    "relapsed": ("risk_stable",),
    "removed": ("risk_stable",),
    "refused": ("found", "verified", "published"),
    "re_entered": ("removed", "refused"),
}
_INCOME = ("income_head_fen", "line_head_fen", "labour_capacity")
_NEEDED: dict[Kind, tuple[str, ...]] = {
    "found": ("source",),
    "alerted": ("signals",),
    "verified": _INCOME,
    "published": (),
    "objected": ("reason",),
    "answered": ("reason",),
    "recognised": ("category",),
    "helped": ("measure", "given_by"),
    "visited": _INCOME,
    "risk_stable": ("income_head_fen", "line_head_fen", "stable_since", "spending_solved", "guarantees_met"),
    "relapsed": ("reason",),
    "removed": (),
    "refused": ("reason",),
    "re_entered": ("source",),
}


_MAY: dict[Kind, tuple[str, ...]] = {
    "found": ("signals",),
    "published": ("category",),
    "risk_stable": ("labour_capacity",),
    "re_entered": ("signals",),
}
"""What a kind may say beside what it needs; a reason may stand with all. What else were said would change the case
unseen, such as an income that comes in with a measure."""
_TYPES: dict[str, type] = {
    "day": date, "actor": str, "reason": str, "signals": tuple, "income_head_fen": int, "line_head_fen": int,
    "labour_capacity": bool, "stable_since": date, "spending_solved": bool, "guarantees_met": bool, "measure": str,
    "given_by": str,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """Be one thing that happened to a case, on a day, by an actor; what else it says depends on its kind.

    Incomes and lines are fen a head and year. `labour_capacity` says whether anyone of the household can work,
    `spending_solved` whether large rigid spending is, `guarantees_met` whether schooling, care, housing and water are
    secure. `measure` is what was given, `given_by` by whom. `reason` is for the file and is never published.
    """

    kind: Kind
    day: date
    actor: str
    reason: str = ""
    source: Source | None = None
    signals: tuple[str, ...] = ()
    category: Category | None = None
    income_head_fen: int | None = None
    line_head_fen: int | None = None
    labour_capacity: bool | None = None
    stable_since: date | None = None
    spending_solved: bool | None = None
    guarantees_met: bool | None = None
    measure: str = ""
    given_by: str = ""


_FIELDS = tuple(field.name for field in fields(Event))


@dataclass(frozen=True, slots=True)
class Measure:
    """Be one measure of help: what, by whom, when."""

    measure: str
    given_by: str
    day: date


@dataclass(frozen=True, slots=True)
class Case:
    """Be where a case stands after its events.

    Everything but `events` belongs to the present round: a household that comes back starts a new one, and its earlier
    rounds stay in `events`. `proposed_by` are those who may not decide, because the step rests on what they did.
    """

    case_id: str
    household_id: str
    place: str
    state: State
    round: int
    found_on: date
    source: Source
    signals: tuple[str, ...]
    events: tuple[Event, ...]
    verified_on: date | None = None
    published_on: date | None = None
    objections: int = 0
    recognised_on: date | None = None
    category: Category | None = None
    income_head_fen: int | None = None
    line_head_fen: int | None = None
    labour_capacity: bool | None = None
    measures: tuple[Measure, ...] = ()
    stable_on: date | None = None
    stable_since: date | None = None
    spending_solved: bool | None = None
    guarantees_met: bool | None = None
    exit_published_on: date | None = None
    removed_on: date | None = None
    refused_on: date | None = None
    proposed_by: tuple[str, ...] = ()


def open_case(event: Event, *, case_id: str, household_id: str, place: str) -> Case:
    """Open the case of a household that was found.

    Raises UsageError case_event_incomplete; ConflictError case_wrong_step when the event is not `found`.

    >>> alert = Event("found", date(2026, 3, 2), "clerk1", source="alert", signals=("burden",))
    >>> open_case(alert, case_id="c1", household_id="h1", place="150981").state
    'found'
    """
    _complete(event)
    if event.kind != "found" or event.source is None:
        raise ConflictError("case_wrong_step", f"a case begins with found, not with {event.kind}")
    return Case(case_id, household_id, place, "found", 1, event.day, event.source, event.signals, (event,))


def apply(case: Case, event: Event, rules: CaseRules, calendar: Calendar | None = None) -> Case:
    """Give the case after an event, if the rule allows it; without a calendar, the shipped one counts.

    A step that is late is taken all the same, and the quality checks find it: a late recognition is better than none.
    A visit that finds income at or below the line while the risk was called gone takes the case back like a relapse.

    Raises UsageError case_event_incomplete for an event that lacks what its kind needs or names an amount that cannot
    be (a line that is not above zero, an income beyond MAX_FEN); ConflictError: case_wrong_step
    (the step does not follow on this state), case_day_back (before the last event), case_same_person (who proposed may
    not decide), case_too_early (notice still stands, or the months before removal are not over), case_objection_open,
    case_wrong_category (income above the line is a sudden difficulty only), case_under_line (also where a visit found
    it at or below the line after the day since when it is said to be stable), case_risk_open, case_no_labour,
    case_without_measure.

    >>> from medfloor.watch.deadlines import load_case_rules
    >>> rules = load_case_rules("cn", on=date(2026, 3, 2))
    >>> alert = Event("found", date(2026, 3, 2), "clerk1", source="alert")
    >>> case = open_case(alert, case_id="c1", household_id="h1", place="150981")
    >>> case = apply(case, Event("refused", date(2026, 3, 4), "officer1", reason="moved away"), rules)
    >>> case.state, len(case.events)
    ('refused', 2)
    """
    _complete(event)
    _amounts(event)
    _follows(case, event)
    check = _CHECKS.get(event.kind)
    if check is not None:
        check(case, event, rules, shipped_calendar() if calendar is None else calendar)
    return _moved(case, event)


def replay(events: Iterable[Event], *, case_id: str, household_id: str, place: str) -> Case:
    """Rebuild a case from events that were taken in once. What the rule says today is not asked, the order of steps is.

    Raises UsageError case_event_incomplete, no_case_events; ConflictError case_wrong_step, case_day_back.
    """
    all_events = tuple(events)
    if not all_events:
        raise UsageError("no_case_events", f"case {case_id} has no event; a case begins with found")
    case = open_case(all_events[0], case_id=case_id, household_id=household_id, place=place)
    for event in all_events[1:]:
        _complete(event)
        _follows(case, event)
        case = _moved(case, event)
    return case


def may_follow(case: Case) -> tuple[Kind, ...]:
    """List the kinds of events that the state of a case lets follow; the rule may still forbid one on its day.

    >>> alert = Event("found", date(2026, 3, 2), "clerk1", source="alert")
    >>> may_follow(open_case(alert, case_id="c1", household_id="h1", place="150981"))
    ('alerted', 'verified', 'refused')
    """
    return tuple(kind for kind, states in _MOVES.items() if case.state in states)


def due_dates(case: Case, rules: CaseRules, calendar: Calendar | None = None) -> dict[str, Due]:
    """Say what a case waits for, and the days: for the desk of whoever works on it.

    Keys: `visit`, `decision` and `help` give the last day in time; `notice` the last day on which the notice stands;
    `removal` the first day on which the case may end.

    >>> from medfloor.watch.deadlines import load_case_rules
    >>> alert = Event("found", date(2026, 3, 2), "clerk1", source="alert")
    >>> case = open_case(alert, case_id="c1", household_id="h1", place="150981")
    >>> due_dates(case, load_case_rules("cn", on=date(2026, 3, 2)))["decision"].day
    datetime.date(2026, 3, 17)
    """
    calendar = shipped_calendar() if calendar is None else calendar
    found: dict[str, Due] = {}
    if case.state == "found":
        found["visit"] = visit_due(case.found_on, rules, calendar)
    if case.state in ("found", "verified", "published"):
        found["decision"] = decision_due(case.found_on, rules, calendar)
    notice = case.published_on if case.state == "published" else case.exit_published_on
    if notice is not None and case.state in ("published", "risk_stable"):
        found["notice"] = notice_until(notice, rules, calendar)
    if case.state == "recognised" and case.recognised_on is not None and not case.measures:
        found["help"] = help_due(case.recognised_on, rules, calendar)
    if case.state == "risk_stable" and case.exit_published_on is not None:
        assert case.recognised_on is not None and case.stable_since is not None
        until, _ = removal_from(case.recognised_on, case.stable_since, case.exit_published_on, rules, calendar)
        found["removal"] = until
    return found


def event_record(event: Event) -> dict[str, Any]:
    """Give an event as a plain record for JSON: days as text, and only what it says.

    >>> event_record(Event("published", date(2026, 3, 2), "clerk1"))
    {'kind': 'published', 'day': '2026-03-02', 'actor': 'clerk1'}
    """
    said = {name: getattr(event, name) for name in _FIELDS}
    plain = {name: value.isoformat() if isinstance(value, date) else value for name, value in said.items()}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in plain.items()
        if value is not None and value not in ("", ())
    }


def event_of(record: Mapping[str, Any]) -> Event:
    """Read an event back from its record.

    Raises UsageError case_event_incomplete for an unknown field or kind, or a value that cannot be read.

    >>> event_of({"kind": "published", "day": "2026-03-02", "actor": "clerk1"}).day
    datetime.date(2026, 3, 2)
    """
    unknown = set(record).difference(_FIELDS)
    if unknown or not {"kind", "day", "actor"} <= set(record):
        raise UsageError("case_event_incomplete", f"an event has kind, day, actor, and of {', '.join(sorted(_FIELDS))}")
    said = dict(record)
    try:
        for name in ("day", "stable_since"):
            if isinstance(said.get(name), str):
                said[name] = date.fromisoformat(said[name])
        said["signals"] = tuple(said.get("signals", ()))
    except (TypeError, ValueError) as error:
        raise UsageError("case_event_incomplete", f"{name} of an event is written as 2026-03-02") from error
    event = Event(**said)
    _complete(event)
    return event


def _complete(event: Event) -> None:
    """Refuse an event that lacks what its kind needs, or says what cannot be."""
    if event.kind not in _NEEDED:
        raise UsageError("case_event_incomplete", f"there is no step {event.kind!r}; there are {', '.join(_NEEDED)}")
    for name, of in _TYPES.items():
        value = getattr(event, name)
        # A datetime is a date to isinstance, and True an int: neither is meant.
        if value is not None and type(value) is not of:
            raise UsageError("case_event_incomplete", f"{name} of the step {event.kind} is no {of.__name__}")
    may = {"kind", "day", "actor", "reason", *_NEEDED[event.kind], *_MAY.get(event.kind, ())}
    said = [name for name in _FIELDS if name not in may and getattr(event, name) not in (None, "", ())]
    if said:
        raise UsageError("case_event_incomplete", f"the step {event.kind} does not say {', '.join(said)}")
    missing = [name for name in _NEEDED[event.kind] if getattr(event, name) in (None, "", ())]
    if not _same(event.actor):
        missing.insert(0, "actor")
    if missing:
        raise UsageError("case_event_incomplete", f"the step {event.kind} also needs {', '.join(missing)}")
    for name, choices in (("source", get_args(Source)), ("category", get_args(Category))):
        if getattr(event, name) not in (None, *choices):
            raise UsageError("case_event_incomplete", f"{name} is one of {', '.join(choices)}")
    if event.stable_since is not None and event.stable_since > event.day:
        raise UsageError("case_event_incomplete", f"stable_since is {event.stable_since}, after the day {event.day}")


def _amounts(event: Event) -> None:
    """Refuse an amount that cannot be; what was once taken in is not asked, so that a kept case can always be read."""
    income, line = event.income_head_fen, event.line_head_fen
    if income is not None and abs(income) > MAX_FEN:
        raise UsageError(
            "case_event_incomplete", "income_head_fen is larger than any income; it is of one head and one year"
        )
    if line is not None and not 0 < line <= MAX_FEN:
        raise UsageError(
            "case_event_incomplete", "line_head_fen is no line; name the line of the place, above 0, a head and year"
        )


def _follows(case: Case, event: Event) -> None:
    """Refuse an event that the state does not let follow, or whose day lies before the last."""
    if case.state not in _MOVES[event.kind]:
        raise ConflictError(
            "case_wrong_step",
            f"case {case.case_id} is {case.state}, so {event.kind} cannot follow; "
            f"what can: {', '.join(may_follow(case))}",
        )
    if event.kind in ("objected", "answered") and case.state == "risk_stable" and case.exit_published_on is None:
        raise ConflictError("case_wrong_step", f"no removal of case {case.case_id} was published; publish it first")
    if event.kind == "answered" and not case.objections:
        raise ConflictError("case_wrong_step", f"case {case.case_id} has no objection that waits for an answer")
    last = case.events[-1].day
    if event.day < last:
        raise ConflictError("case_day_back", f"{event.day} is before {last}, the last step of case {case.case_id}")


def _may_recognise(case: Case, event: Event, rules: CaseRules, calendar: Calendar) -> None:
    _other_eyes(case, event)
    _objections_answered(case, event)
    assert case.published_on is not None
    until = notice_until(case.published_on, rules, calendar).day
    if event.day <= until:
        raise ConflictError(
            "case_too_early",
            f"the notice of case {case.case_id} stands until {until}; recognise it from the next day on",
        )
    if case.category not in (None, event.category):
        raise ConflictError(
            "case_wrong_category",
            f"case {case.case_id} was published as {case.category}, not as {event.category}; publish it again",
        )
    if event.category != "sudden" and not _within_line(case.income_head_fen, case.line_head_fen):
        raise ConflictError(
            "case_wrong_category",
            f"the income found in case {case.case_id} is above the line; above it a household can be sudden only",
        )


def _may_be_stable(case: Case, event: Event, rules: CaseRules, calendar: Calendar) -> None:
    if len(case.measures) < rules.number("measures_at_least"):
        raise ConflictError(
            "case_without_measure",
            f"case {case.case_id} has {len(case.measures)} measures of help, and needs "
            f"{rules.number('measures_at_least')} before its risk can be called gone",
        )
    _above_line(case.case_id, event.income_head_fen, event.line_head_fen)
    _not_seen_under(case, event)
    _risk_solved(case.case_id, event.spending_solved, event.guarantees_met)


def _may_remove(case: Case, event: Event, rules: CaseRules, calendar: Calendar) -> None:
    if case.exit_published_on is None:
        raise ConflictError(
            "case_wrong_step", f"the removal of case {case.case_id} was not published; publish it first"
        )
    _other_eyes(case, event)
    _objections_answered(case, event)
    if not case.labour_capacity and not rules.number("removal_without_labour"):
        raise ConflictError(
            "case_no_labour",
            f"nobody of the household of case {case.case_id} can work; it is not removed, keep following it",
        )
    _above_line(case.case_id, case.income_head_fen, case.line_head_fen)
    _risk_solved(case.case_id, case.spending_solved, case.guarantees_met)
    assert case.recognised_on is not None and case.stable_since is not None
    since, held_by = removal_from(case.recognised_on, case.stable_since, case.exit_published_on, rules, calendar)
    if event.day < since.day:
        raise ConflictError(
            "case_too_early", f"case {case.case_id} may be removed from {since.day} on ({held_by}), not on {event.day}"
        )


_CHECKS: dict[Kind, Callable[[Case, Event, CaseRules, Calendar], None]] = {
    "recognised": _may_recognise,
    "risk_stable": _may_be_stable,
    "removed": _may_remove,
}


def _other_eyes(case: Case, event: Event) -> None:
    if _same(event.actor) in case.proposed_by:
        raise ConflictError(
            "case_same_person",
            f"who verified or published case {case.case_id} may not decide it; ask a second person",
        )


def _objections_answered(case: Case, event: Event) -> None:
    if case.objections:
        raise ConflictError(
            "case_objection_open", f"case {case.case_id} has {case.objections} objections without an answer"
        )


def _above_line(case_id: str, income_fen: int | None, line_fen: int | None) -> None:
    if _within_line(income_fen, line_fen):
        raise ConflictError(
            "case_under_line", f"the income a head in case {case_id} is not above the line; keep helping it"
        )


def _not_seen_under(case: Case, event: Event) -> None:
    """Refuse months of stable income in which somebody who went there found it at or below the line."""
    seen = [
        one.day
        for one in _of_round(case)
        if one.kind in ("verified", "visited") and _within_line(one.income_head_fen, one.line_head_fen)
    ]
    if seen and event.stable_since is not None and event.stable_since <= max(seen):
        raise ConflictError(
            "case_under_line",
            f"on {max(seen)} the income a head in case {case.case_id} was found at or below the line, so it is not "
            f"stable since {event.stable_since}; count from a later day",
        )


def _of_round(case: Case) -> tuple[Event, ...]:
    """Give the events of the present round."""
    begun = max(place for place, event in enumerate(case.events) if event.kind in ("found", "re_entered"))
    return case.events[begun:]


def _within_line(income_fen: int | None, line_fen: int | None) -> bool:
    """Say whether income is at or below the line; what is unknown counts as below."""
    return income_fen is None or line_fen is None or income_fen <= line_fen


def _risk_solved(case_id: str, spending: bool | None, guarantees: bool | None) -> None:
    if not spending or not guarantees:
        raise ConflictError(
            "case_risk_open",
            f"in case {case_id} large spending is unsolved, or schooling, care, housing or water is not secure",
        )


def _moved(case: Case, event: Event) -> Case:
    """Take an event in."""
    case = replace(case, events=(*case.events, event), **_read_of(event))
    match event.kind:
        case "alerted":
            new = tuple(signal for signal in event.signals if signal not in case.signals)
            return replace(case, signals=case.signals + new)
        case "verified":
            proposers = _proposers(case, event)
            return replace(case, state="verified", verified_on=event.day, published_on=None, proposed_by=proposers)
        case "published":
            step: dict[str, Any] = (
                {"exit_published_on": event.day}
                if case.state == "risk_stable"
                else {"state": "published", "published_on": event.day}
            )
            return replace(case, **step, proposed_by=_proposers(case, event))
        case "objected":
            return replace(case, objections=case.objections + 1)
        case "answered":
            return replace(case, objections=case.objections - 1, proposed_by=_proposers(case, event))
        case "recognised":
            return replace(case, state="recognised", recognised_on=event.day, category=event.category, proposed_by=())
        case "helped":
            given = (*case.measures, Measure(event.measure, event.given_by, event.day))
            return replace(case, state="risk_stable" if case.state == "risk_stable" else "helped", measures=given)
        case "risk_stable":
            return replace(case, state="risk_stable", stable_on=event.day, proposed_by=_proposers(case, event))
        case "relapsed":
            return _taken_back(case)
        case "visited" if case.state == "risk_stable" and _within_line(case.income_head_fen, case.line_head_fen):
            return _taken_back(case)
        case "removed":
            return replace(case, state="removed", removed_on=event.day, proposed_by=())
        case "refused":
            return replace(case, state="refused", refused_on=event.day, objections=0, proposed_by=())
        case "re_entered":
            assert event.source is not None
            return Case(
                case.case_id, case.household_id, case.place, "found", case.round + 1, event.day, event.source,
                event.signals, case.events,
            )  # fmt: skip
    return case


def _taken_back(case: Case) -> Case:
    """Take a case back whose risk is there again."""
    return replace(
        case, state="helped" if case.measures else "recognised", stable_on=None, stable_since=None,
        spending_solved=None, guarantees_met=None, exit_published_on=None, objections=0, proposed_by=(),
    )  # fmt: skip


def _read_of(event: Event) -> dict[str, Any]:
    """Give what an event says about the household, beside the step itself."""
    names = (
        "category", "income_head_fen", "line_head_fen", "labour_capacity", "stable_since", "spending_solved",
        "guarantees_met",
    )  # fmt: skip
    return {name: getattr(event, name) for name in names if getattr(event, name) is not None}


def _proposers(case: Case, event: Event) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*case.proposed_by, _same(event.actor))))


def _same(actor: str) -> str:
    """Give an actor as two are compared: case and blanks do not make another person."""
    return actor.strip().casefold()
