"""Whatever an office does in whatever order: the ledger balances, its chain is whole, and it equals settling all from nothing."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ledgers import CLERK, NOW, bill, enrol, recognise

from medfloor.errors import ConflictError, InputError
from medfloor.store import Keyring, Store, arrears, ledger, open_store, resettle, schema
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.chain import seal_now, verify
from medfloor.store.ledger import Posted, Refused, Request
from medfloor.store.register import end

PEOPLE = ("p1", "p2")
DAYS = st.integers(0, 400).map(lambda number: date(2023, 12, 1) + timedelta(days=number))
WHO = st.sampled_from(PEOPLE)
Fresh = Callable[[], Any]


class Office(RuleBasedStateMachine):
    """Be an office in which anything may happen next."""

    fresh: Fresh
    keyring: Keyring
    books: Books

    @initialize()
    def open(self) -> None:
        self.context = self.fresh()
        self.store: Store = self.context.__enter__()
        enrol(self.store, self.keyring, *PEOPLE)
        self.books = Books.of(self.store, "cn/beijing")
        self.numbers = itertools.count(1)
        self.standing: dict[str, Bill] = {}
        self.taken: dict[str, Bill] = {}
        self.asked: dict[str, tuple[Request, Posted]] = {}
        self.moment = NOW

    def ask(self, requests: list[Request]) -> list[Posted | Refused]:
        """Settle, and remember what stands."""
        answers = ledger.settle(self.books, requests, actor=CLERK, now=self.moment)
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, Posted):
                assert request.key is not None
                self.standing[request.bill.claim_id] = request.bill
                self.asked[request.key] = (request, answer)
        return answers

    @rule(
        bills=st.lists(
            st.tuples(
                WHO, DAYS, st.integers(0, 300_000), st.sampled_from(["inpatient", "outpatient", "special_outpatient"]),
                st.sampled_from(["primary", "1", "2", "3"]), st.integers(0, 30),
            ),
            min_size=1, max_size=4,
        )
    )  # fmt: skip
    def settle(self, bills: list[tuple[str, date, int, str, str, int]]) -> None:
        requests = []
        for who, day, yuan, care, level, more in bills:
            one = bill(
                f"c{next(self.numbers)}", who, day, yuan, care_type=care, facility_level=level,
                settled_date=day + timedelta(days=more),
            )  # fmt: skip
            requests.append(Request(one, f"k-{one.claim_id}"))
        assert all(isinstance(answer, Posted) for answer in self.ask(requests))

    @rule(data=st.data(), more=st.integers(0, 20), yuan=st.integers(1, 100_000))
    def transfer(self, data: st.DataObject, more: int, yuan: int) -> None:
        stays = sorted(name for name, one in self.standing.items() if one.care_type == "inpatient")
        if not stays:
            return
        before = self.standing[data.draw(st.sampled_from(stays))]
        day = before.settled_date + timedelta(days=more)
        one = bill(f"c{next(self.numbers)}", before.person_id, day, yuan, continues=before.claim_id)
        (answer,) = self.ask([Request(one, f"k-{one.claim_id}")])
        assert isinstance(answer, Posted) or answer.code == "continues_later"

    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        if not self.asked:
            return
        request, first = self.asked[data.draw(st.sampled_from(sorted(self.asked)))]
        before = self.entries()
        (answer,) = ledger.settle(self.books, [request], actor=CLERK, now=self.moment)
        assert isinstance(answer, Posted) and answer.again and answer.hash == first.hash
        assert answer.amounts.facts() == first.amounts.facts() and answer.changes == first.changes
        assert self.entries() == before

    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        if not self.standing:
            return
        claim_id = data.draw(st.sampled_from(sorted(self.standing)))
        try:
            ledger.reverse(self.books, claim_id, reason="typed wrongly", actor=CLERK, now=self.moment)
        except ConflictError as error:
            assert error.code == "claim_continued"
            assert any(one.continues == claim_id for one in self.standing.values())
        else:
            self.taken[claim_id] = self.standing.pop(claim_id)

    @rule(data=st.data())
    def reverse_a_reversal(self, data: st.DataObject) -> None:
        if not self.taken:
            return
        claim_id = data.draw(st.sampled_from(sorted(self.taken)))
        try:
            ledger.reinstate(self.books, claim_id, reason="was right", actor=CLERK, now=self.moment)
        except InputError as error:
            assert error.code == "unknown_continues" and self.taken[claim_id].continues in self.taken
        else:
            self.standing[claim_id] = self.taken.pop(claim_id)

    @rule(data=st.data(), day=DAYS, yuan=st.integers(0, 100_000))
    def correct(self, data: st.DataObject, day: date, yuan: int) -> None:
        if not self.standing:
            return
        old = self.standing[data.draw(st.sampled_from(sorted(self.standing)))]
        one = bill(f"c{next(self.numbers)}", old.person_id, day, yuan)
        try:
            ledger.correct(self.books, old.claim_id, one, reason="wrong bill", actor=CLERK, now=self.moment)
        except ConflictError as error:
            assert error.code == "claim_continued"
        else:
            self.taken[old.claim_id] = self.standing.pop(old.claim_id)
            self.standing[one.claim_id] = one

    @rule(who=WHO, group=st.sampled_from(["dibao", "tekun", "returned_poor"]), day=DAYS)
    def backdate(self, who: str, group: str, day: date) -> None:
        self.moment += timedelta(hours=1)
        touched = recognise(self.store, who, group, day, now=self.moment)
        resettle.resettle_after(self.books, touched, actor=CLERK, now=self.moment)

    @rule(who=WHO, group=st.sampled_from(["dibao", "tekun", "returned_poor"]), day=DAYS)
    def end_a_status(self, who: str, group: str, day: date) -> None:
        self.moment += timedelta(hours=1)
        try:
            with self.store.writing() as connection:
                done = end(connection, "spell", (who, group), day=day, actor=CLERK, now=self.moment)
        except Exception as error:
            assert getattr(error, "code", "") == "nothing_recorded"
        else:
            resettle.resettle_after(self.books, done.touched, actor=CLERK, now=self.moment)

    @rule(data=st.data())
    def handle_an_arrear(self, data: st.DataObject) -> None:
        with self.store.reading() as connection:
            open_ones = [one for one in arrears.owed(connection) if one.state != "closed"]
        if not open_ones:
            return
        one = data.draw(st.sampled_from(open_ones))
        after = {"found": "notified", "notified": "paid" if one.amount_fen > 0 else "returned"}.get(one.state, "closed")
        arrears.move(self.books, one.id, after, on=date(2024, 7, 1), actor=CLERK, now=self.moment)

    @rule()
    def seal(self) -> None:
        seal_now(self.store, now=self.moment)

    def entries(self) -> int:
        with self.store.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(schema.entry)).scalar_one())

    @invariant()
    def what_stands_is_what_was_asked_and_money_comes_to_zero(self) -> None:
        if not hasattr(self, "store"):
            return
        with self.store.reading() as connection:
            total = connection.execute(sa.select(sa.func.sum(schema.posting.c.amount_fen))).scalar() or 0
            views = [ledger.year_of(connection, who, year) for who in PEOPLE for year in (2023, 2024, 2025)]
            standing = {line.bill.claim_id for view in views if view for line in view.lines}
            charged = sum(
                line.now.pay_total_fen + line.now.own_total_fen for view in views if view for line in view.lines
            )
        assert total == 0 and standing == set(self.standing)
        assert charged == sum(one.total_fen for one in self.standing.values())

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            found = verify(self.store, books=self.books)
            assert found.whole, found.findings
            assert found.claims == len(self.standing)
            for claim_id in sorted(self.standing, key=lambda name: -int(name[1:])):
                ledger.reverse(self.books, claim_id, reason="all of it", actor=CLERK, now=self.moment)
            with self.store.reading() as connection:
                burdens = connection.execute(
                    sa.select(schema.posting.c.party, sa.func.sum(schema.posting.c.amount_fen))
                    .where(schema.posting.c.party.not_in(["arrears", "bank"]))
                    .group_by(schema.posting.c.party)
                ).all()
                counters = connection.execute(sa.select(schema.account.c.state, schema.account.c.last_order)).all()
            assert all(total == 0 for _, total in burdens)
            assert all('"counters": {}' in state and order is None for state, order in counters)
            assert verify(self.store, books=self.books).whole
        finally:
            self.context.__exit__(None, None, None)


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    """Give a maker of fresh stores, because hypothesis runs many examples within one test."""
    numbers = itertools.count()

    @contextmanager
    def sqlite() -> Iterator[Store]:
        path = tmp_path / f"{next(numbers)}.sqlite"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        store = open_store(path)
        yield store
        store.close()
        path.unlink()

    @contextmanager
    def postgresql() -> Iterator[Store]:
        server = request.getfixturevalue("postgresql_server")
        name = server.fresh()
        store = open_store(server.address(name))
        yield store
        store.close()
        server.drop(name)

    return {"sqlite": sqlite, "postgresql": postgresql}[request.param]


@pytest.mark.parametrize("examples, steps", [(8, 15), pytest.param(60, 25, marks=pytest.mark.heavy)])
def test_an_office_may_do_anything_in_any_order(fresh: Fresh, keyring: Keyring, examples: int, steps: int) -> None:
    machine = type("Office", (Office,), {"fresh": staticmethod(fresh), "keyring": keyring})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=False,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
