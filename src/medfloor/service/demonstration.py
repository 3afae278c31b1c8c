"""Fill an empty store with an office of a made-up county: a year of claims, arrears, statements, cases, proposals.

Everything goes the way it goes in an office, through the ledger, the register and the rules, only by an invented clock.
The office's present is the morning of 15 June 2026 when it is filled, and goes on from there, so that the same seed
gives the same office whenever it is made, and no law of a later year is missing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from medfloor.errors import ConflictError
from medfloor.periods import OFFICE_ZONE
from medfloor.service import invented, jobs
from medfloor.service.bodies.jobs import SuperviseJob
from medfloor.service.invented import FACILITIES, PLACE, Someone
from medfloor.store import cases, ledger, proposals, reconciliation, statements, users
from medfloor.store.arrears import move, owed
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.engine import Store
from medfloor.store.imports import import_file
from medfloor.store.keys import Keyring
from medfloor.store.office import Office, decide_setting, mark_made_up
from medfloor.store.postings import SETTLING
from medfloor.store.resettle import resettle_after
from medfloor.store.roles import Actor
from medfloor.store.schema import claim, entry, posting
from medfloor.store.watching import screen_office
from medfloor.synthetic import synthesise
from medfloor.watch.cases import Event

POLICY = "synthetic/cn-2025"
SEED = 2026
BEGINS = date(2025, 7, 1)
TODAY = date(2026, 6, 15)
SCREENED = date(2026, 5, 6)
PASSWORD = "made-up county 2026"

PEOPLE: tuple[tuple[str, str, str, str], ...] = (
    ("clerk", "county_clerk", PLACE, "窗口经办"),
    ("town", "county_clerk", invented.TOWNSHIPS[0], "乡镇经办"),
    ("officer", "assistance_officer", PLACE, "帮扶专员"),
    ("second", "assistance_officer", PLACE, "帮扶复核"),
    ("head", "fund_supervisor", PLACE, "负责人"),
    ("analyst", "analyst", PLACE, "分析员"),
    ("auditor", "auditor", PLACE, "审计员"),
    ("admin", "administrator", "", "管理员"),
)
"""Who works in the made-up office: login, role, place, name. All have the password that is printed."""

_ACTORS = {login: Actor(login, role, place) for login, role, place, _ in PEOPLE}
_AT_ONCE = 150


@dataclass(frozen=True, slots=True)
class Filled:
    """Say what a made-up office holds."""

    people: int
    claims: int
    cases: int
    arrears: int


def at(day: date, hour: int = 10) -> datetime:
    """Give a moment of an office's day.

    >>> at(date(2026, 6, 15)).isoformat()
    '2026-06-15T02:00:00+00:00'
    """
    return datetime.combine(day, time(hour), OFFICE_ZONE).astimezone(UTC)


def fill(
    store: Store, keyring: Keyring, *, people: int, now: datetime, seed: int = SEED, tell: Callable[[str], None]
) -> Filled:
    """Fill a migrated, empty store.

    `now` is the real moment, from which the office's clock goes on; `tell` hears each step by its name in the catalogue
    (`demo_office.<step>`).
    """
    tell("county")
    county = synthesise(people, seed=seed, years=2)
    tell("register")
    admin = _ACTORS["admin"]

    def begin(connection: sa.Connection) -> list[Someone]:
        start = at(BEGINS, 8)
        for name, value in {"place": PLACE, "policy": POLICY, "name": "示范县医疗保障局（虚构）"}.items():
            decide_setting(connection, name, value, actor=admin, now=start)
        for login, role, place, name in PEOPLE:
            users.create_user(
                connection, login, role=role, place=place, display_name=name, password=PASSWORD, actor=admin, now=start
            )
        return invented.settle_people(connection, county, keyring, seed=seed, now=start, by="clerk")

    known = store.attempt(begin)
    books = Books.of(store, POLICY)
    bills = invented.bills_of(county, known, first=BEGINS, last=TODAY - timedelta(days=1))
    late = [one for one in bills if one.settled_date.month == 5 and one.care_type == "inpatient"][:4]
    story = _Story(store, keyring, books, known)
    tell("claims")
    on_time = [one for one in bills if one not in late]
    story.settle([one for one in on_time if one.settled_date <= SCREENED])
    tell("watch")
    story.screen(SCREENED)
    story.follow()
    tell("claims")
    story.settle([one for one in on_time if one.settled_date > SCREENED])
    story.settle([*late, *_doubled(on_time)], on=TODAY - timedelta(days=2))
    story.take_back()
    tell("office")
    story.import_lists()
    story.clear()
    story.compare()
    story.propose()
    story.settle_arrears()
    tell("watch")
    story.screen(TODAY - timedelta(days=3))
    story.ask_supervision()
    store.attempt(lambda connection: mark_made_up(connection, office=at(TODAY), real=now))
    return story.told()


@dataclass
class _Story:
    """Be what happened in the office, step by step."""

    store: Store
    keyring: Keyring
    books: Books
    people: list[Someone]

    def settle(self, bills: Sequence[Bill], *, on: date | None = None) -> None:
        """Settle claims at the end of the day on which the last of a bundle came in, or on a day."""
        bundle: list[Bill] = []
        for one in bills:
            full = bundle and (one.settled_date.month != bundle[-1].settled_date.month or len(bundle) == _AT_ONCE)
            if full:
                self._post(bundle, on)
                bundle = []
            bundle.append(one)
        if bundle:
            self._post(bundle, on)

    def _post(self, bundle: Sequence[Bill], on: date | None) -> None:
        requests = [ledger.Request(one, f"demo-{one.claim_id}") for one in bundle]
        ledger.settle(self.books, requests, actor=_ACTORS["clerk"], now=at(on or bundle[-1].settled_date, 17))

    def screen(self, day: date) -> None:
        """Screen the whole office."""
        screen_office(self.store, year=day.year, as_of=day, actor=_ACTORS["officer"], now=at(day, 18))

    def follow(self) -> None:
        """Bring the first cases to every state that a case can have."""
        with self.store.reading() as connection:
            found = cases.cases(connection, _ACTORS["officer"], limit=None)
        ordered = sorted(found, key=lambda one: one.household_id)
        for number, line in enumerate(ordered):
            income = 900_000 + 40_000 * (number % 9)
            # Most that are found turn out, when somebody looks, to need no help; a few wait too long.
            steps = _STEPS[number % len(_STEPS)] if number < 4 * len(_STEPS) else _refused if number % 6 else _STEPS[0]
            for event in steps(income):
                try:
                    done = cases.add_event(
                        self.store, self.keyring, line.case_id, event, actor=_ACTORS[event.actor],
                        now=at(event.day, 15),
                    )  # fmt: skip
                except ConflictError:
                    break  # the rule of the place asks for more in this case; it stays where it is
                if done.touched:
                    resettle_after(self.books, done.touched, actor=_ACTORS[event.actor], now=at(event.day, 16))

    def take_back(self) -> None:
        """Take a few claims back; what came after them in their year is settled again."""
        with self.store.reading() as connection:
            asked = (
                sa.select(claim.c.claim_id, claim.c.settled_date)
                .join(entry, entry.c.claim_id == claim.c.claim_id)
                .join(posting, posting.c.entry_id == entry.c.id)
                .where(
                    entry.c.kind.in_(SETTLING), posting.c.party == "fund:basic",
                    posting.c.amount_fen.between(100_000, 480_000), claim.c.settled_date >= date(2026, 2, 1),
                )
                .order_by(claim.c.claim_id)
                .limit(60)
            )  # fmt: skip
            found = connection.execute(asked).all()[::7]
        for claim_id, settled in found:
            day = min(settled + timedelta(days=6), TODAY - timedelta(days=1))
            ledger.reverse(
                self.books, claim_id, reason="重复上传 billed twice", key=f"demo-back-{claim_id}",
                actor=_ACTORS["clerk"], now=at(day, 11), on=day,
            )  # fmt: skip

    def import_lists(self) -> None:
        """Take two departments' lists in; rows of the first cannot be used."""
        free = [one for one in self.people if not one.groups and one.scheme == "resident"]
        busy = self._with_stays([one.person_id for one in free])
        new = [*[one for one in free if one.person_id in busy][:6], *free[:8]]
        rows = [[one.name, one.number, "低保对象", "2026-01-01", "示范县民政局"] for one in new]
        wrong = free[20]
        rows += [
            [wrong.name, wrong.number[:-1] + ("0" if wrong.number[-1] != "0" else "1"), "低保对象", "2026-01-01", ""],
            ["查无此人", "990181197001010019", "特困人员", "2026-03-01", ""],
            [free[21].name, free[21].number, "来源不明", "2026-03-01", ""],
            [free[22].name, free[22].number, "低保对象", "2026年13月", ""],
        ]
        self._import(
            rows, ["姓名", "身份证号", "人员类别", "开始日期", "认定机关"], "civil_affairs", TODAY - timedelta(days=4)
        )
        farmed = free[30:36]
        rows = [[one.name, one.number, "突发严重困难户", "2026-06-01", "示范县农业农村局"] for one in farmed]
        self._import(
            rows, ["姓名", "身份证号", "监测对象类别", "开始日期", "认定机关"], "rural_revitalisation",
            TODAY - timedelta(days=3),
        )  # fmt: skip

    def _import(self, rows: list[list[str]], heads: list[str], source: str, day: date) -> None:
        out = io.StringIO()
        csv.writer(out).writerows([heads, *rows])
        report = import_file(
            self.store, "spells", out.getvalue().encode(), source, actor=_ACTORS["clerk"], now=at(day, 9),
            keyring=self.keyring, as_of=day,
        )  # fmt: skip
        if report.touched:
            resettle_after(self.books, report.touched, actor=_ACTORS["clerk"], now=at(day, 10))

    def _with_stays(self, person_ids: Sequence[str]) -> set[str]:
        with self.store.reading() as connection:
            asked = sa.select(claim.c.person_id).where(
                claim.c.care_type == "inpatient", claim.c.settled_date >= date(2026, 1, 1)
            )
            return set(connection.execute(asked.distinct()).scalars()) & set(person_ids)

    def clear(self) -> None:
        """Draw the statements of all months; earlier ones are agreed and cleared."""
        head = _ACTORS["head"]
        last = TODAY.replace(day=1) - timedelta(days=1)
        drawn = statements.draw(self.store, f"{last:%Y-%m}", actor=head, now=at(last + timedelta(days=3)))
        assert drawn, "a month without a statement"
        with self.store.reading() as connection:
            found = {(one.provider_id, one.month): one for one in statements.statements(connection)}
        for provider_id, month in sorted(found, key=lambda key: key[1]):
            day = date(int(month[:4]), int(month[5:]), 8) + timedelta(days=31)
            if month <= "2026-04":
                statements.agree(
                    self.store, provider_id, month, note="机构已盖章确认", actor=head, now=at(day)
                )  # fmt: skip
            if month <= "2026-03":
                statements.clear(
                    self.books, provider_id, month, on=day + timedelta(days=2), actor=head,
                    now=at(day + timedelta(days=2)),
                )  # fmt: skip

    def compare(self) -> None:
        """Compare one hospital's file of May with the books; a few lines differ."""
        provider_id, month = "H21", "2026-05"
        with self.store.reading() as connection:
            ours = sorted(reconciliation.ours_of(connection, provider_id, month).items())
        rows = [[one, _yuan(side.pay_fen), _yuan(side.own_fen or 0)] for one, side in ours if not side.reversed]
        if len(rows) > 2:
            rows[1][1] = _yuan(ours[1][1].pay_fen + 3_050)
            rows = [*rows[:-1], ["h21-2026-05-unknown", "812.40", "301.20"]]
        out = io.StringIO()
        csv.writer(out).writerows([["claim_id", "pay_total", "own_total"], *rows])
        reconciliation.reconcile(
            self.store, out.getvalue().encode(), provider_id, month, actor=_ACTORS["clerk"],
            now=at(TODAY - timedelta(days=6)), keyring=self.keyring,
        )  # fmt: skip

    def propose(self) -> None:
        """Propose what takes two pairs of eyes: one waits for each kind, one was refused."""
        clerk, day = _ACTORS["clerk"], TODAY - timedelta(days=2)
        places = {one.person_id: one.place for one in self.people}

        def work(connection: sa.Connection) -> None:
            dear = (
                sa.select(claim.c.claim_id, claim.c.person_id)
                .where(claim.c.care_type == "inpatient", claim.c.settled_date >= date(2026, 3, 1))
                .order_by(claim.c.total_fen.desc())
                .limit(2)
            )
            why = "费用清单与病案不符 the bill does not match the record"
            made = [
                proposals.propose(
                    connection, "reversal", {"claim_id": claim_id, "reason": why}, reason=why, actor=clerk,
                    now=at(day, 9 + number), person_id=person_id, place=places[person_id],
                )
                for number, (claim_id, person_id) in enumerate(connection.execute(dear))
            ]  # fmt: skip
            if len(made) > 1:
                proposals.decide(
                    connection, made[1].id, approve=False, actor=_ACTORS["head"], now=at(day, 15),
                    note="医院已补充病案 the hospital sent the record",
                )  # fmt: skip
            poor = next((one for one in self.people if not one.groups), None)
            if poor is not None:
                payload = {
                    "person_id": poor.person_id, "action": "record", "group": "illness_poor",
                    "from_date": "2026-06-01", "recognised_by": "示范县民政局",
                }  # fmt: skip
                proposals.propose(
                    connection, "status_change", payload, reason="因病致贫，乡镇已核查 verified by the township",
                    actor=clerk, now=at(day, 14), person_id=poor.person_id, place=poor.place,
                )  # fmt: skip

        self.store.attempt(work)

    def settle_arrears(self) -> None:
        """Take some arrears some steps on; the office says what its fund holds."""
        day, officer = TODAY - timedelta(days=1), _ACTORS["officer"]
        with self.store.reading() as connection:
            found = owed(connection)
            spent = connection.execute(
                sa.select(sa.func.sum(posting.c.amount_fen)).where(posting.c.party == "fund:basic")
            ).scalar()
        for number, one in enumerate(found[:8]):
            if number % 2 == 0:
                move(self.books, one.id, "notified", on=day, note="电话告知", actor=officer, now=at(day, 11))
            if number % 4 == 0:
                last = "paid" if one.amount_fen > 0 else "returned"
                move(self.books, one.id, last, on=day, actor=officer, now=at(day, 16))
        # About eight months of what the ledger paid in eleven and a half.
        reserve = int(spent or 0) * 8 // 1150 * 100
        self.store.attempt(
            lambda connection: decide_setting(
                connection, "fund_reserve_fen", reserve, actor=_ACTORS["admin"], now=at(day, 9)
            )
        )

    def ask_supervision(self) -> None:
        """Let the queue look the year's claims over, once the office is served."""
        asked = SuperviseJob(kind="supervise", population=None, office_year=TODAY.year).model_dump(mode="json")
        asked |= {"smallest_cell": Office().smallest_cell, "made": TODAY.isoformat()}
        self.store.attempt(
            lambda connection: jobs.ask(connection, "supervise", asked, actor=_ACTORS["head"], now=at(TODAY, 9))
        )

    def told(self) -> Filled:
        """Count what the office holds."""
        with self.store.reading() as connection:
            claims = connection.execute(sa.select(sa.func.count()).select_from(claim)).scalar_one()
            rows = cases.count_cases(connection, _ACTORS["officer"], on=TODAY)
            return Filled(len(self.people), claims, sum(row[2] for row in rows), len(owed(connection)))


def _doubled(bills: Sequence[Bill]) -> list[Bill]:
    """Bill two stays of this month once more from another hospital, for somebody to find."""
    stays = [one for one in bills if one.care_type == "inpatient" and one.settled_date >= TODAY.replace(day=1)]
    return [
        replace(one, claim_id=f"{one.claim_id}-2", provider_id="H12") for one in stays if one.end_date > one.start_date
    ][:2]


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _verified(income: int) -> list[Event]:
    said: dict[str, Any] = {"income_head_fen": income, "line_head_fen": 880_000, "labour_capacity": True}
    return [Event("verified", date(2026, 5, 8), "officer", **said)]


def _refused(income: int) -> list[Event]:
    return [*_verified(income), Event("refused", date(2026, 5, 14), "second", reason="核实后收入高于标准，家庭能承担")]


def _published(income: int) -> list[Event]:
    return [*_verified(income), Event("published", date(2026, 5, 9), "officer", category="sudden")]


def _recognised(income: int) -> list[Event]:
    return [*_published(income), Event("recognised", date(2026, 5, 20), "second", category="sudden")]


def _helped(income: int) -> list[Event]:
    given = Event("helped", date(2026, 5, 27), "officer", measure="临时救助", given_by="示范县民政局")
    return [*_recognised(income), given]


def _stable(income: int) -> list[Event]:
    said: dict[str, Any] = {
        "income_head_fen": income, "line_head_fen": 880_000, "stable_since": date(2026, 6, 8), "spending_solved": True,
        "guarantees_met": True, "labour_capacity": True,
    }  # fmt: skip
    return [*_helped(income), Event("risk_stable", date(2026, 6, 10), "officer", **said)]


_STEPS: tuple[Callable[[int], list[Event]], ...] = (
    lambda _: [],
    _verified,
    _published,
    lambda income: [
        *_published(income),
        Event("objected", date(2026, 5, 12), "officer", reason="邻居反映有收入未申报"),
    ],
    _recognised,
    _helped,
    lambda income: [
        *_helped(income),
        Event(
            "visited", date(2026, 6, 8), "officer", income_head_fen=income, line_head_fen=880_000, labour_capacity=True
        ),
    ],
    _refused,
    _stable,
)
"""How far cases go, one after the other."""

NAMES = {code: name for code, name, _, _ in FACILITIES}
"""Made-up facilities by id."""
