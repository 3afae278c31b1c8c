"""A made-up county lives through a whole year: whatever happened in whatever order, everything agrees to the fen.

Two tills settle the claims of each month in random order, some late, some asked twice; claims are taken back and stand
again; statuses are recognised months after they began; statements are drawn, agreed and cleared; a hospital sends its
file; arrears are notified and paid; in the middle a backup is taken while the tills go on. The short year runs always,
that of 2,000 people with the heavy tests.
"""

from __future__ import annotations

import calendar
import functools
import itertools
import random
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from ledgers import CLERK, posted
from test_statements import SUPERVISOR, sums

from medfloor.money import format_yuan
from medfloor.settlement import settle
from medfloor.store import Keyring, Store, arrears, ledger, open_store, reconciliation, resettle, schema, statements
from medfloor.store.backup import back_up, content_of, restore
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.chain import seal_now, verify
from medfloor.store.ledger import Request
from medfloor.store.register import add_person, record

YEAR = 2025
FACILITIES = ("H1", "H2")
MONEY = ("total", "in_scope", "off_catalogue", "over_limit", "first_self_pay")
BEFORE = datetime(2024, 12, 1, 2, 0, tzinfo=UTC)


class CountyYear:
    """Be an office that lives through the year of some people of a made-up county."""

    def __init__(self, store: Store, keyring: Keyring, tables: tuple[pl.DataFrame, ...], seed: int) -> None:
        self.people, self.claims, self.spells = tables
        self.store, self.keyring, self.random = store, keyring, random.Random(seed)
        self.late: list[dict[str, Any]] = []
        self.standing: dict[str, Bill] = {}
        self.taken: list[str] = []
        self._register()
        self.books = Books.of(store, "cn/beijing")
        self.waiting = [self._bill(number, row) for number, row in enumerate(self.claims.iter_rows(named=True))]

    def live(self, other: Store, folder: Path) -> None:
        """Live from January to the next January; `other` gets the backup of June."""
        for month in range(1, 14):
            now = datetime(YEAR + month // 13, (month - 1) % 12 + 1, 20, 2, 0, tzinfo=UTC)
            last = date(now.year, now.month, calendar.monthrange(now.year, now.month)[1])
            # Every twentieth claim comes in a later month than its care.
            due = [one for one in self.waiting if one.end_date <= last and (month == 13 or self.random.random() > 0.05)]
            self.waiting = [one for one in self.waiting if one not in due]
            self.random.shuffle(due)
            backing = threading.Thread(target=self._back_up, args=(other, folder, now)) if month == 6 else None
            if backing:
                backing.start()
            self._settle(due, now)
            if backing:
                backing.join()
                assert self.backed == content_of(other)
                assert verify(other, books=Books.of(other, "cn/beijing")).whole
            self._take_back(now + timedelta(hours=1))
            self._recognise(month, now + timedelta(hours=2))
            self._pay_arrears(now + timedelta(hours=3))
            if month > 1:
                self._clear(statements.month_before(now.strftime("%Y-%m")), now + timedelta(hours=4), file=month == 4)
            seal_now(self.store, now=now + timedelta(hours=5))

    def differing(self) -> list[tuple[str, int, int]]:
        """List claims that the ledger and the batch pay otherwise: claim, what the ledger says, what the batch says."""
        stands = self.claims.filter(pl.col("claim_id").is_in(list(self.standing)))
        batch = settle(stands, self.people, self.spells, "cn/beijing").fen
        asked = (
            sa.select(schema.entry.c.claim_id, sa.func.sum(schema.posting.c.amount_fen))
            .join(schema.posting)
            .where(schema.posting.c.party.like("fund:%"), schema.entry.c.claim_id.is_not(None))
            .group_by(schema.entry.c.claim_id)
        )
        with self.store.reading() as connection:
            paid = {claim_id: int(fen) for claim_id, fen in connection.execute(asked)}
        told = dict(zip(batch["claim_id"], batch["pay_total_fen"], strict=True))
        assert len(told) == len(self.standing)
        # A claim that is taken back has been paid nothing in the end.
        return [
            (one, paid.get(one, 0), told.get(one, 0)) for one in {*paid, *told} if paid.get(one, 0) != told.get(one, 0)
        ]

    def _register(self) -> None:
        said: dict[str, Any] = {"actor": CLERK, "now": BEFORE}
        with self.store.writing() as connection:
            for one in self.people.iter_rows(named=True):
                add_person(connection, self.keyring, now=BEFORE, person_id=one["person_id"])
                facts = {
                    name: one[name] for name in ("birth_date", "sex", "residence", "household_id", "family_doctor")
                }
                record(
                    connection, "person", one["person_id"], {**facts, "place": "150981"}, start=date(2010, 1, 1), **said
                )
                names = ("scheme", "insured_class", "continuous_years", "claim_free_years")
                enrolment = {"benefit_year": YEAR, **{name: one[name] for name in names}}
                if one["scheme"] != "none":
                    record(connection, "enrolment", one["person_id"], enrolment, start=one["enrolled_from"], **said)
            for number, one in enumerate(self.spells.iter_rows(named=True)):
                if number % 3:
                    self._hold(connection, one, BEFORE)
                else:
                    self.late.append(one)

    def _hold(self, connection: sa.Connection, one: dict[str, Any], now: datetime) -> Any:
        return record(
            connection, "spell", (one["person_id"], one["group"]), {"detail": one["detail"]}, start=one["from_date"],
            end=one["to_date"], actor=CLERK, now=now,
        ).touched  # fmt: skip

    def _bill(self, number: int, row: dict[str, Any]) -> Bill:
        kept = {
            name: row[name]
            for name in ("claim_id", "person_id", "care_type", "facility_level", "area", "referral", "diagnosis")
        }
        fen = {f"{name}_fen": round(row[name] * 100) for name in MONEY}
        return Bill(
            **kept, **fen, start_date=row["start_date"], end_date=row["end_date"], settled_date=row["end_date"],
            provider_id=FACILITIES[number % len(FACILITIES)],
        )  # fmt: skip

    def _settle(self, bills: list[Bill], now: datetime) -> None:
        """Settle bills at two tills; every tenth is asked again, at either."""
        asked = [Request(one, f"k-{one.claim_id}") for one in bills]
        asked += self.random.sample(asked, len(asked) // 10)
        failed: list[BaseException] = []

        def till(mine: list[Request]) -> None:
            try:
                for group in itertools.batched(mine, 6) if hasattr(itertools, "batched") else _batched(mine, 6):
                    posted(ledger.settle(self.books, group, actor=CLERK, now=now))
            except BaseException as error:
                failed.append(error)

        tills = [threading.Thread(target=till, args=(asked[number::2],)) for number in range(2)]
        for one in tills:
            one.start()
        for one in tills:
            one.join()
        assert not failed, failed
        self.standing |= {one.claim_id: one for one in bills}

    def _take_back(self, now: datetime) -> None:
        """Let half of what was taken back stand again, and take some others back."""
        for claim_id in self.taken[::2]:
            ledger.reinstate(self.books, claim_id, reason="was right", actor=CLERK, now=now)
            self.standing[claim_id] = self._bill_of(claim_id)
        self.taken = self.taken[1::2]
        for claim_id in self.random.sample(sorted(self.standing), len(self.standing) // 50):
            ledger.reverse(self.books, claim_id, reason="typed wrongly", actor=CLERK, now=now)
            del self.standing[claim_id]
            self.taken.append(claim_id)

    def _bill_of(self, claim_id: str) -> Bill:
        with self.store.reading() as connection:
            row = connection.execute(sa.select(schema.claim).where(schema.claim.c.claim_id == claim_id)).one()
        return Bill.from_row(row)

    def _recognise(self, month: int, now: datetime) -> None:
        """Recognise some statuses that began long ago, and settle again what they touch."""
        several = self.late if month >= 12 else self.late[: max(1, len(self.late) // (13 - month))]
        self.late = self.late[len(several) :]
        for one in several:
            with self.store.writing() as connection:
                touched = self._hold(connection, one, now)
            resettle.resettle_after(self.books, touched, actor=CLERK, now=now)

    def _pay_arrears(self, now: datetime) -> None:
        with self.store.reading() as connection:
            open_ones = [one for one in arrears.owed(connection) if one.state != "closed"]
        for one in open_ones:
            paid = "paid" if one.amount_fen > 0 else "returned"
            after = {"found": "notified", "notified": paid}.get(one.state, "closed")
            arrears.move(self.books, one.id, after, on=now.date(), actor=CLERK, now=now)

    def _clear(self, month: str, now: datetime, *, file: bool) -> None:
        statements.draw(self.store, month, actor=SUPERVISOR, now=now)
        if file:
            self._reconcile("H1", month, now)
        with self.store.reading() as connection:
            facilities = {one.provider_id for one in statements.statements(connection, month=month)}
        for one in sorted(facilities):
            statements.agree(self.store, one, month, actor=SUPERVISOR, now=now)
            if not one.startswith("*"):
                statements.clear(self.books, one, month, actor=SUPERVISOR, now=now + timedelta(minutes=1))

    def _reconcile(self, facility: str, month: str, now: datetime) -> None:
        """Have a hospital send a file that lacks a claim, has one too many, and one with another amount."""
        with self.store.reading() as connection:
            lines = statements.lines_of(connection, facility, month)
        rows = [f"{one.claim_id},{format_yuan(one.pay_fen)},{int(one.kind == 'reversal')}" for one in lines]
        missing = next(one for one in lines if one.pay_fen > 0)
        rows = [one for one in rows if not one.startswith(f"{missing.claim_id},")]
        other = next(one for one in lines if one.pay_fen > 0 and one.claim_id != missing.claim_id)
        rows.append(f"{other.claim_id},0.01,0")
        rows.append("never-heard-of,12.00,0")
        text = "\n".join(["claim_id,pay_total,reversed", *rows, ""]).encode()
        found = reconciliation.reconcile(
            self.store, text, facility, month, actor=SUPERVISOR, now=now, keyring=self.keyring
        )
        assert {missing.claim_id, other.claim_id, "never-heard-of"} <= {one.claim_id for one in found.items}
        assert found.ours_fen - found.theirs_fen == sum(one.difference_fen for one in found.items)
        for one in found.items:
            reconciliation.resolve(
                self.books, one.id, "their_error", note="they mend it", actor=SUPERVISOR, now=now
            )  # fmt: skip

    def _back_up(self, other: Store, folder: Path, now: datetime) -> None:
        self.backed = back_up(self.store, folder / "june.backup", now=now).tables
        restore(other, folder / "june.backup")


def _batched(items: list[Request], size: int) -> Iterable[list[Request]]:
    return (items[start : start + size] for start in range(0, len(items), size))


@pytest.fixture
def other(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Iterator[Store]:
    """Give an empty store of the other kind."""
    if store.is_postgresql:
        made = open_store(tmp_path / "other.sqlite")
        yield made
        made.close()
        return
    server = request.getfixturevalue("postgresql_server")
    name = server.fresh(template="template1")
    made = open_store(server.address(name))
    yield made
    made.close()
    server.drop(name)


@functools.cache
def tables_of(people: int | None) -> tuple[pl.DataFrame, ...]:
    """Give people, claims and spells of a county of 2,000; or of some people only, those with a status first."""
    from medfloor.synthetic import synthesise

    county = synthesise(2_000 if people is None else 1_000, seed=11)
    claims = county.claims
    if people is None:
        return county.people, claims, county.spells
    ids = county.spells["person_id"].unique(maintain_order=True).to_list()
    ids = list(dict.fromkeys([*ids, *claims["person_id"].to_list()]))[:people]
    mine = pl.col("person_id").is_in(ids)
    return county.people.filter(mine), claims.filter(mine), county.spells.filter(mine)


@pytest.mark.parametrize("people", [24, pytest.param(None, marks=pytest.mark.heavy)])
def test_a_year_of_a_county_agrees_to_the_fen(
    store: Store, other: Store, keyring: Keyring, people: int | None, tmp_path: Path
) -> None:
    year = CountyYear(store, keyring, tables_of(people), seed=5)
    year.live(other, tmp_path)
    found = verify(store, books=year.books)
    assert found.whole, found.findings
    assert found.claims == len(year.standing)
    assert year.differing() == []
    drawn, moved, advanced, funds = sums(year.books)
    assert (drawn, drawn + moved) == (advanced, funds)
    with store.reading() as connection:
        total = connection.execute(sa.select(sa.func.sum(schema.posting.c.amount_fen))).scalar_one()
        states = {one.state for one in statements.statements(connection)}
        kinds = set(connection.execute(sa.select(schema.entry.c.kind).distinct()).scalars())
        closed = [one for one in arrears.owed(connection) if one.state == "closed"]
    assert total == 0 and "cleared" in states and closed
    assert kinds == {"settlement", "reversal", "reinstatement", "difference", "payment", "clearing"}
