"""Whoever does whatever with cases in whatever order: the store has what the rule makes of it, and nothing vanishes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ledgers import enrol

from medfloor.errors import ConflictError, MedfloorError, NotFoundError, UsageError
from medfloor.store import Actor, Keyring, Store, open_store, schema
from medfloor.store import cases as store_cases
from medfloor.store.cases import add_event, case_of, case_rules, open_case, verify_cases
from medfloor.store.register import known
from medfloor.watch.cases import MONITORED, OPEN, Case, Event, apply, event_record, replay
from medfloor.watch.cases import open_case as pure_open

HOMES = ("h1", "h2")
ACTORS = tuple(Actor(f"officer{number}", "assistance_officer", "150981") for number in (1, 2, 3))
KINDS = (
    "alerted", "verified", "published", "objected", "answered", "recognised", "helped", "visited", "risk_stable",
    "relapsed", "removed", "refused", "re_entered",
)  # fmt: skip
WHO = st.sampled_from(ACTORS)
HOME = st.sampled_from(HOMES)
DAYS = st.sampled_from([0, 1, 6, 45, 200])
"""Steps of days after which notices, months and halves of years have passed, or not."""
Fresh = Callable[[], Any]


def event(kind: Any, day: date, actor: Actor, *, good: bool) -> Event:
    """Make a step that says what its kind needs; `good` says how the household stands."""
    income = {"income_head_fen": 900_000 if good else 500_000, "line_head_fen": 730_000, "labour_capacity": good}
    said: dict[str, dict[str, Any]] = {
        "found": {"source": "cadre"}, "re_entered": {"source": "alert", "signals": ("burden_in_scope",)},
        "alerted": {"signals": ("rigid_jump",)}, "verified": income, "visited": income,
        "recognised": {"category": "sudden"}, "helped": {"measure": "relief", "given_by": "the office"},
        "risk_stable": {
            **income, "stable_since": day - timedelta(days=100), "spending_solved": good, "guarantees_met": good,
        },
    }  # fmt: skip
    reason = "as was seen" if kind in ("objected", "answered", "relapsed", "refused", "visited") else ""
    return Event(kind, day, actor.login, reason=reason, **said.get(kind, {}))


class Office(RuleBasedStateMachine):
    """Be an office in which anything may happen next; `model` is what the rule alone makes of it."""

    fresh: Fresh
    keyring: Keyring

    @initialize()
    def open(self) -> None:
        self.context = self.fresh()
        self.store: Store = self.context.__enter__()
        enrol(self.store, self.keyring, "p1", household="h1")
        enrol(self.store, self.keyring, "p2", household="h2")
        self.model: dict[str, Case] = {}
        self.day = date(2024, 7, 1)

    @property
    def now(self) -> datetime:
        return datetime(self.day.year, self.day.month, self.day.day, 4, tzinfo=UTC)

    @rule(home=HOME, who=WHO)
    def find(self, home: str, who: Actor) -> None:
        made = event("found", self.day, who, good=False)
        try:
            found = open_case(self.store, self.keyring, home, made, actor=who, now=self.now)
        except ConflictError as error:
            assert error.code == "case_exists" and home in self.model
            return
        assert home not in self.model
        case_id = found.case.case_id
        self.model[home] = pure_open(made, case_id=case_id, household_id=home, place="150981")

    @rule(home=HOME, who=WHO, kind=st.sampled_from(KINDS), days=DAYS, good=st.booleans())
    def step(self, home: str, who: Actor, kind: str, days: int, good: bool) -> None:
        if home not in self.model:
            return
        self.day += timedelta(days=days)
        self.take(home, event(kind, self.day, who, good=good), who)

    @rule(home=HOME, far=st.integers(2, 9), good=st.booleans())
    def as_the_rule_wants(self, home: str, far: int, good: bool) -> None:
        """Go the whole way, so that late states are reached at all."""
        if home not in self.model or self.model[home].state in ("removed", "refused"):
            return
        one, other = ACTORS[:2]
        way = (
            ("verified", one, 1), ("published", one, 1), ("recognised", other, 9), ("helped", one, 5),
            ("risk_stable", one, 150), ("published", one, 2), ("removed", other, 120),
        )  # fmt: skip
        for kind, who, days in way[:far]:
            self.day += timedelta(days=days)
            self.take(home, event(kind, self.day, who, good=kind != "verified" or good), who)

    def take(self, home: str, said: Event, who: Actor) -> None:
        """Ask the rule and the store; both take it, or both refuse it with the same code."""
        case, expected = self.model[home], None
        with self.store.reading() as connection:
            rules = case_rules(connection, on=said.day)
        try:
            expected = apply(case, said, rules)
        except MedfloorError as error:
            with pytest.raises(MedfloorError) as refused:
                add_event(self.store, self.keyring, case.case_id, said, actor=who, now=self.now)
            assert refused.value.code == error.code
            return
        done = add_event(
            self.store, self.keyring, case.case_id, said, actor=who, now=self.now, expected=len(case.events)
        )
        assert done.case == expected
        self.model[home] = expected

    @rule(home=HOME, who=WHO, kind=st.sampled_from(KINDS), good=st.booleans())
    def of_two_writers_the_second_is_told(self, home: str, who: Actor, kind: str, good: bool) -> None:
        if home not in self.model:
            return
        seen, case_id = len(self.model[home].events), self.model[home].case_id
        self.take(home, event(kind, self.day, who, good=good), who)
        if len(self.model[home].events) == seen:
            return
        other = ACTORS[(ACTORS.index(who) + 1) % 3]
        with pytest.raises(ConflictError) as refused:
            late = event(kind, self.day, other, good=good)
            add_event(self.store, self.keyring, case_id, late, actor=other, now=self.now, expected=seen)
        assert refused.value.code == "case_changed"

    @rule(home=HOME, who=WHO, kind=st.sampled_from(KINDS), good=st.booleans())
    def crash(self, home: str, who: Actor, kind: str, good: bool) -> None:
        """Break off just before the transaction ends: the invariant then sees nothing of it."""
        if home not in self.model:
            return
        before = store_cases.audit.record

        def breaks(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        store_cases.audit.record = breaks  # type: ignore[assignment]
        try:
            said = event(kind, self.day, who, good=good)
            add_event(self.store, self.keyring, self.model[home].case_id, said, actor=who, now=self.now)
        except (KeyboardInterrupt, MedfloorError):
            pass
        finally:
            store_cases.audit.record = before

    @rule(home=HOME)
    def a_step_of_tomorrow_is_refused(self, home: str) -> None:
        if home not in self.model:
            return
        ahead = event("alerted", self.day + timedelta(days=1), ACTORS[0], good=True)
        with pytest.raises(UsageError) as refused:
            add_event(self.store, self.keyring, self.model[home].case_id, ahead, actor=ACTORS[0], now=self.now)
        assert refused.value.code == "case_day_ahead"

    @rule(home=HOME)
    def who_is_elsewhere_sees_nothing(self, home: str) -> None:
        away = Actor("officer9", "assistance_officer", "150982")
        with self.store.reading() as connection, pytest.raises(NotFoundError):
            case_of(connection, self.model[home].case_id if home in self.model else "k0", actor=away)

    @invariant()
    def the_store_has_what_the_rule_makes_of_it(self) -> None:
        if not hasattr(self, "model"):
            return
        with self.store.reading() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(schema.watch_case)).scalar() == len(
                self.model
            )
            assert verify_cases(connection, self.keyring) == []
            for home, case in self.model.items():
                kept = case_of(connection, case.case_id, keyring=self.keyring)
                assert kept.case == case and kept.number == len(case.events)
                assert kept.case == replay(case.events, case_id=case.case_id, household_id=home, place="150981")
                assert [event_record(one) for one in kept.case.events] == [event_record(one) for one in case.events]
                assert (kept.due_on is not None) <= (case.state in OPEN)

    @invariant()
    def members_are_monitored_while_their_case_says_so(self) -> None:
        if not hasattr(self, "model"):
            return
        with self.store.reading() as connection:
            held = known(connection, ["p1", "p2"])
        for home, who in zip(HOMES, ("p1", "p2"), strict=True):
            running = any(one.group == "monitored" and one.span.holds(self.day) for one in held[who].statuses)
            assert running == (home in self.model and self.model[home].state in MONITORED)

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.__exit__(None, None, None)


def run(fresh: Fresh, keyring: Keyring, *, examples: int, steps: int) -> None:
    machine = type("Machine", (Office,), {"fresh": staticmethod(fresh), "keyring": keyring})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None,
            suppress_health_check=list(HealthCheck), database=None,
        ),
    )  # fmt: skip


def test_cases_on_sqlite(migrated_sqlite: Path, tmp_path: Path, keyring: Keyring) -> None:
    @contextmanager
    def fresh() -> Iterator[Store]:
        path = tmp_path / "machine.sqlite"
        for old in tmp_path.glob("machine.sqlite*"):
            old.unlink()
        shutil.copy(migrated_sqlite, path)
        store = open_store(path)
        try:
            yield store
        finally:
            store.close()

    run(fresh, keyring, examples=18, steps=25)


def test_cases_on_postgresql(postgresql_server: Any, keyring: Keyring) -> None:
    @contextmanager
    def fresh() -> Iterator[Store]:
        name = postgresql_server.fresh()
        store = open_store(postgresql_server.address(name), connections=2)
        try:
            yield store
        finally:
            store.close()
            postgresql_server.drop(name)

    run(fresh, keyring, examples=5, steps=25)
