"""Keep the register twice dated: the store answers as a plain list of changes does, on both stores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medfloor.errors import ConflictError, InputError, NotFoundError, UsageError
from medfloor.periods import OPEN_END
from medfloor.store import register, schema
from medfloor.store.engine import Store
from medfloor.store.history import Touched
from medfloor.store.keys import Keyring
from medfloor.store.roles import Actor

FIRST = date(2024, 1, 1)
START = datetime(2024, 6, 1, tzinfo=UTC)
NUMBER = "11010519491231002X"


@pytest.fixture
def person(store: Store, keyring: Keyring, now: datetime) -> str:
    with store.writing() as connection:
        return register.add_person(connection, keyring, now=now, person_id="p1", name="张三丰", identity_number=NUMBER)


# --- The model: a list of changes, asked in the plainest way --------------------------------------------------------


@dataclass(frozen=True)
class Op:
    way: str  # record, correct, retract
    kind: str
    start: int  # days after FIRST
    end: int | None
    values: dict[str, Any]


def model(ops: list[tuple[int, Op]], kind: str, day: int, moment: int) -> dict[str, Any] | None:
    """Say what holds on a day as known at a moment: the changes known by then, one after the other, on that day."""
    state: dict[str, Any] | None = None
    for known_from, op in ops:
        if op.kind != kind or known_from > moment or not (op.start <= day and (op.end is None or day < op.end)):
            continue
        if op.way == "record":
            state = dict(op.values)
        elif op.way == "correct" and state is not None:
            state = {**state, **op.values}
        elif op.way == "retract":
            state = None
    return state


def ops_of(kind: str, values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Op]:
    return st.builds(
        lambda way, start, length, found: Op(way, kind, start, None if length is None else start + length, found),
        st.sampled_from(["record", "record", "correct", "retract"]),
        st.integers(0, 12),
        st.none() | st.integers(1, 8),
        values,
    )


FACTS = st.fixed_dictionaries(
    {"place": st.sampled_from(["150981102", "150981103"])},
    optional={"residence": st.sampled_from(["urban", "rural"]), "household_id": st.sampled_from(["h1", "h2"])},
)
ENROLMENTS = st.fixed_dictionaries(
    {"benefit_year": st.just(2024), "scheme": st.sampled_from(["resident", "employee"])},
    optional={"continuous_years": st.integers(0, 3)},
)
SPELLS = st.fixed_dictionaries({}, optional={"detail": st.sampled_from(["edge", "sudden"])})
HISTORY = st.lists(
    st.one_of(ops_of("person", FACTS), ops_of("enrolment", ENROLMENTS), ops_of("spell", SPELLS)), max_size=9
)
ACTOR = Actor("clerk1", "county_clerk", "150981")


def apply(connection: sa.Connection, op: Op, person_id: str, now: datetime) -> None:
    key: Any = (person_id, "monitored") if op.kind == "spell" else person_id
    span = {"start": FIRST + timedelta(op.start), "end": None if op.end is None else FIRST + timedelta(op.end)}
    try:
        if op.way == "record":
            register.record(connection, op.kind, key, op.values, **span, actor=ACTOR, now=now)  # type: ignore[arg-type]
        elif op.way == "correct":
            register.correct(connection, op.kind, key, op.values, **span, actor=ACTOR, now=now)  # type: ignore[arg-type]
        else:
            register.retract(connection, op.kind, key, **span, actor=ACTOR, now=now)  # type: ignore[arg-type]
    except NotFoundError as error:
        assert error.code == "nothing_recorded"  # then nothing changes in the model either


COUNT = iter(range(1_000_000))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORY)
def test_any_day_as_known_at_any_moment_equals_the_list_of_changes(
    store: Store, keyring: Keyring, history: list[Op]
) -> None:
    person_id = f"p{next(COUNT)}"
    ops = list(enumerate(history, 1))
    with store.writing() as connection:
        register.add_person(connection, keyring, now=START, person_id=person_id)
        for number, op in ops:
            apply(connection, op, person_id, START + timedelta(minutes=number))
    with store.reading() as connection:
        for moment in range(len(ops) + 1):
            # The last moment is also asked as `now`.
            for known_at in [START + timedelta(minutes=moment)] + ([None] if moment == len(ops) else []):
                known = register.known(connection, [person_id], known_at)[person_id]
                for day in range(-1, 23):
                    on = FIRST + timedelta(day)
                    check_day(known, on, *(model(ops, kind, day, moment) for kind in ("person", "enrolment", "spell")))
                    assert_one_a_day(known, on)


def check_day(known: register.Known, on: date, fact: Any, enrolment: Any, spell: Any) -> None:
    found, enrolled = known.fact(on), known.enrolment(on)
    statuses = [status for status in known.statuses if status.span.holds(on)]
    assert (found is None) == (fact is None)
    if found is not None:
        assert {name: getattr(found, name) for name in ("place", "residence", "household_id")} == {
            "place": fact["place"], "residence": fact.get("residence"), "household_id": fact.get("household_id")
        }  # fmt: skip
    assert (enrolled is None) == (enrolment is None)
    if enrolled is not None:
        assert (enrolled.scheme, enrolled.continuous_years) == (enrolment["scheme"], enrolment.get("continuous_years"))
    assert [status.detail for status in statuses] == ([] if spell is None else [spell.get("detail")])
    person = known.person(on)
    assert person.scheme == ("none" if enrolment is None else enrolment["scheme"])
    assert person.household_id == ((fact or {}).get("household_id") or known.person_id)
    assert any(one.span.holds(on) for one in known.spells()) == (spell is not None)


def assert_one_a_day(known: register.Known, on: date) -> None:
    for pieces in (known.facts, known.enrolments, known.statuses):
        assert sum(piece.span.holds(on) for piece in pieces) <= 1


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORY)
def test_who_is_touched_covers_every_day_on_which_settlement_would_read_something_else(
    store: Store, keyring: Keyring, history: list[Op]
) -> None:
    person_id = f"t{next(COUNT)}"
    with store.writing() as connection:
        register.add_person(connection, keyring, now=START, person_id=person_id)
        for number, op in enumerate(history, 1):
            before = register.known(connection, [person_id])[person_id]
            key: Any = (person_id, "monitored") if op.kind == "spell" else person_id
            span = {"start": FIRST + timedelta(op.start), "end": None if op.end is None else FIRST + timedelta(op.end)}
            change = {"record": register.record, "correct": register.correct, "retract": register.retract}[op.way]
            values = [] if op.way == "retract" else [op.values]
            try:
                done = change(
                    connection, op.kind, key, *values, **span, actor=ACTOR, now=START + timedelta(minutes=number)
                )  # type: ignore[operator]
            except NotFoundError:
                continue
            after = register.known(connection, [person_id])[person_id]
            differing = [d for d in range(-1, 23) if read(before, d) != read(after, d)]
            if not differing:
                continue
            assert done.touched
            assert done.touched[0].person_id == person_id
            assert done.touched[0].from_date <= FIRST + timedelta(min(differing))


def read(known: register.Known, day: int) -> Any:
    on = FIRST + timedelta(day)
    person = known.person(on)
    rest = (person.scheme, person.continuous_years, person.household_id, person.residence)
    return rest, any(one.span.holds(on) for one in known.spells())


# --- Plain cases ----------------------------------------------------------------------------------------------------


def test_a_backdated_status_says_from_which_day_claims_must_be_settled_again(
    store: Store, person: str, clerk: Actor, now: datetime
) -> None:
    with store.writing() as connection:
        done = register.record(connection, "spell", (person, "dibao"), {}, start=date(2024, 3, 1), actor=clerk, now=now)
        assert done.touched == (Touched(person, date(2024, 3, 1)),)
        again = register.record(
            connection, "spell", (person, "dibao"), {}, start=date(2024, 4, 1), actor=clerk, now=now
        )
        assert again.outcomes == ("unchanged",)
        assert again.touched == ()
        other = register.record(
            connection,
            "spell",
            (person, "dibao"),
            {"recognised_by": "民政局"},
            start=date(2024, 4, 1),
            actor=clerk,
            now=now,
        )
        assert other.outcomes == ("changed",)
        assert other.touched == (), "who recognised it moves no money"


def test_what_was_known_on_the_day_of_settlement_has_an_answer(
    store: Store, person: str, clerk: Actor, now: datetime
) -> None:
    later = now + timedelta(days=30)
    with store.writing() as connection:
        register.record(
            connection,
            "person",
            person,
            {"residence": "rural", "place": "150981102"},
            start=register.DAWN,
            actor=clerk,
            now=now,
        )
    with store.writing() as connection:
        register.correct(connection, "person", person, {"residence": "urban"}, actor=clerk, now=later)
    with store.reading() as connection:
        assert register.person_on(connection, person, FIRST, known_at=now).residence == "rural"
        assert register.person_on(connection, person, FIRST, known_at=later).residence == "urban"
        assert register.person_on(connection, person, FIRST).residence == "urban"
        with pytest.raises(NotFoundError):
            register.person_on(connection, person, FIRST, known_at=now - timedelta(days=1))


def test_a_clock_that_goes_back_loses_nothing(store: Store, person: str, clerk: Actor, now: datetime) -> None:
    with store.writing() as connection:
        for minutes, detail in ((10, "edge"), (5, "sudden"), (1, None)):
            moment = now + timedelta(minutes=minutes)
            register.record(
                connection, "spell", (person, "monitored"), {"detail": detail}, start=FIRST, actor=clerk, now=moment
            )
        table = schema.spell
        rows = connection.execute(sa.select(table.c.known_from, table.c.known_to).order_by(table.c.id)).all()
    assert all(end is None or start <= end for start, end in rows)
    with store.reading() as connection:
        statuses = register.known(connection, [person])[person].statuses
    assert [status.detail for status in statuses] == [None]


def test_an_identity_number_finds_its_person_in_any_spelling_and_stands_nowhere_in_clear(
    store: Store, person: str, keyring: Keyring, now: datetime
) -> None:
    with store.writing() as connection:
        assert register.find(connection, keyring, " 11010519491231002x") == person
        assert register.find(connection, keyring, "110105491231002") == person
        assert register.find(connection, keyring, "110105194912310038") is None
        assert register.identity_of(connection, keyring, person).name == "张三丰"
        assert register.identity_of(connection, keyring, person).masked().identity_number == "110*************2X"
        row = connection.execute(sa.select(schema.person)).mappings().one()
        assert not any(b"11010519491231002X" in bytes(str(value), "utf-8") for value in row.values())
        with pytest.raises(ConflictError):
            register.add_person(connection, keyring, now=now, identity_number=NUMBER)
        with pytest.raises(InputError):
            register.add_person(connection, keyring, now=now, identity_number="110105194912310021")


def test_a_household_has_members_of_the_day(store: Store, keyring: Keyring, clerk: Actor, now: datetime) -> None:
    with store.writing() as connection:
        for one in ("a", "b"):
            register.add_person(connection, keyring, now=now, person_id=one)
            register.record(
                connection, "person", one, {"household_id": "h1", "place": "150981"}, start=FIRST, actor=clerk, now=now
            )
        register.record(connection, "person", "b", {"household_id": "h2"}, start=date(2024, 5, 1), actor=clerk, now=now)
        register.record(
            connection, "household", "h1", {"size": 2, "income_fen": -500}, start=FIRST, actor=clerk, now=now
        )
        assert register.household_on(connection, "h1", date(2024, 4, 30)).members == ("a", "b")
        found = register.household_on(connection, "h1", date(2024, 5, 1))
        assert (found.members, found.size, found.income_fen, found.place) == (("a",), 2, -500, "")
        with pytest.raises(NotFoundError):
            register.household_on(connection, "h9", FIRST)


@pytest.mark.parametrize(
    ("kind", "key", "values", "error"),
    [
        ("person", "p1", {"sex": "x"}, InputError),
        ("person", "p1", {"height": 170}, UsageError),
        ("person", "p1", {"birth_date": "2024-01-01"}, InputError),
        ("person", "p1", {"place": "Beijing"}, InputError),
        ("enrolment", "p1", {"scheme": "resident"}, InputError),
        ("enrolment", "p1", {"scheme": "resident", "benefit_year": 2024, "premium_fen": -1}, InputError),
        ("enrolment", "p1", {"scheme": "resident", "benefit_year": 2024, "premium_fen": 10**30}, InputError),
        ("spell", "p1", {}, UsageError),
        ("spell", ("p1", " "), {}, InputError),
        ("nothing", "p1", {}, UsageError),
        ("spell", ("nobody", "dibao"), {}, NotFoundError),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    store: Store,
    person: str,
    clerk: Actor,
    now: datetime,
    kind: str,
    key: Any,
    values: dict[str, Any],
    error: type[Exception],
) -> None:
    with store.writing() as connection, pytest.raises(error):
        register.record(connection, kind, key, values, start=FIRST, actor=clerk, now=now)
    with store.writing() as connection, pytest.raises(InputError, match="ends"):
        register.record(connection, "spell", (person, "dibao"), {}, start=FIRST, end=FIRST, actor=clerk, now=now)


def test_two_who_record_at_once_leave_one_status_a_day(store: Store, person: str, clerk: Actor, now: datetime) -> None:
    import threading

    def work(number: int) -> None:
        def change(connection: sa.Connection) -> None:
            moment = now + timedelta(seconds=number)
            register.record(
                connection,
                "spell",
                (person, "monitored"),
                {"detail": str(number)},
                start=FIRST + timedelta(number % 3),
                actor=clerk,
                now=moment,
            )

        store.attempt(change)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as connection:
        known = register.known(connection, [person])[person]
    for day in range(10):
        assert_one_a_day(known, FIRST + timedelta(day))
    assert known.statuses[-1].span.end == OPEN_END
