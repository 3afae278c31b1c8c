"""Screen the office: read register and ledger as frames, keep what was found, open cases, work off what was settled.

A screening of the office reads one state of the store, judges outside of any transaction, and writes some households at
a time, so that tills go on settling meanwhile. What another screening raised in between is not raised twice. Every
entry that changes what a person bears is queued by the ledger itself, in its own transaction; whoever works the queue
off takes an entry out in the transaction in which the alerts of its household are written. So a crash loses nothing,
and nothing is raised twice.

An alert asks somebody to look. It opens a case where it is about burden or poverty; the others (not enrolled,
assistance missed, care not seen) are mended at other desks, and are added to a case that is open.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa

from medfloor.errors import InputError, NotFoundError, UsageError
from medfloor.periods import add_months
from medfloor.store import audit
from medfloor.store.cases import add_many, cases_of_households, day_of, lock_opening, open_many
from medfloor.store.engine import Store
from medfloor.store.entries import canonical, sha256
from medfloor.store.history import believed, chunks, holding
from medfloor.store.office import office_of
from medfloor.store.postings import SETTLING
from medfloor.store.roles import Actor, place_prefix
from medfloor.store.schema import (
    account,
    alert,
    claim,
    enrolment,
    entry,
    household,
    person_fact,
    screening,
    spell,
    watch_pending,
)
from medfloor.watch.cases import OPEN, Event
from medfloor.watch.homes import Register, Standing
from medfloor.watch.rules import Rules, load_rules
from medfloor.watch.screening import ALERTS, Screening, screen, screen_some

OPENS = frozenset({"burden", "poverty"})
"""Kinds of alerts that open a case."""

AT_ONCE = 500
"""So many households are written in one transaction."""


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """Be a screening that was kept: what it found, its run, the cases that it opened (again) and that it added to.

    `run` is 0 for one after settlements that found nothing new: it leaves no row.
    """

    screening: Screening
    run: int
    opened: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Be one run of the screening as the store has it; `finished_at` is None for one that was broken off."""

    id: int
    kind: str
    year: int
    as_of: date
    place: str
    rules_hash: str
    by: str
    started_at: datetime
    finished_at: datetime | None
    households: int
    alerts: int
    suppressed: int
    cases: int
    counts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Worked:
    """Say what was worked off: entries taken from the queue, households, alerts and cases; `left` are still waiting.

    `unscreened` are entries of years for which the rules have no line: nobody can screen them, so they do not wait.
    """

    entries: int
    households: int
    alerts: int
    cases: int
    left: int
    unscreened: int = 0


def screen_office(
    store: Store,
    rules: Rules | None = None,
    *,
    year: int,
    as_of: date,
    actor: Actor,
    now: datetime,
    claims_until: date | None = None,
    opens: Collection[str] = OPENS,
) -> Screened:
    """Screen the whole register by the rules (None: those of the office's place), and keep run, alerts and cases.

    The same day or month again raises no second alert while its window lasts. A run that breaks off leaves what it
    wrote and is simply run again. Whatever place the actor has, the whole register is screened: lines are of all.

    Raises UsageError (`case_day_ahead`) for a day ahead, InputError: no_line, bad_rules.
    """
    if as_of > day_of(now):
        raise UsageError("case_day_ahead", f"{as_of} lies ahead; screen by what is known today")
    with store.reading() as connection:
        rules = rules or rules_of(connection, on=as_of)
        seen = _last_alert(connection)
        waiting = [one.entry_id for one in _waiting(connection, None, year)]
        register = register_of(connection, as_of=as_of, claims_from=_claims_from(rules, as_of))
        settled = settled_of(connection, year=year, tiers=_tiers(rules))
        known = known_alerts(connection)
    found = screen(
        register, settled, rules, year=year, as_of=as_of, known_alerts=known, claims_until=claims_until
    )  # fmt: skip
    return _keep(store, found, rules, "office", year, as_of, actor, now, seen, opens, waiting)


def screen_after(
    store: Store,
    person_ids: Iterable[str],
    *,
    year: int,
    actor: Actor,
    now: datetime,
    rules: Rules | None = None,
    opens: Collection[str] = OPENS,
    entries: Sequence[int] = (),
) -> Screened | None:
    """Screen the households of some people after their claims were settled, with the standing of the last screening.

    `entries` are taken from the queue with what is written. None where the year was never screened as a whole.
    """
    as_of = day_of(now)
    with store.reading() as connection:
        standing = standing_of_year(connection, year)
        if standing is None:
            return None
        rules = rules or rules_of(connection, on=as_of)
        if not _care_is_known(connection, rules, as_of):
            standing = replace(standing, claims_until=None)
        seen = _last_alert(connection)
        homes = _households_of(connection, person_ids, as_of)
        register = register_of(
            connection, as_of=as_of, households=homes, claims_from=_claims_from(rules, as_of)
        )  # fmt: skip
        people = register.people["person_id"].to_list()
        settled = settled_of(connection, year=year, people=people, tiers=_tiers(rules))
        known = known_alerts(connection, homes)
    found = screen_some(
        register, settled, rules, household_ids=homes, standing=standing, year=year, as_of=as_of, known_alerts=known
    )  # fmt: skip
    return _keep(store, found, rules, "after", year, as_of, actor, now, seen, opens, entries)


def work_pending(
    store: Store, *, actor: Actor, now: datetime, limit: int = 200, whole: bool = True, rules: Rules | None = None
) -> Worked:
    """Work off entries that wait to be screened, the oldest first, at most `limit` of them; call again while some left.

    A year that was never screened is screened as a whole first; without `whole` its entries go on waiting.
    """
    with store.reading() as connection:
        years = _years_waiting(connection)
        ready = [year for year in years if standing_of_year(connection, year) is not None]
    unscreened = done = homes = alerts = opened = 0
    for year in [one for one in years if one not in ready] if whole else ():
        with store.reading() as connection:
            before = [one.entry_id for one in _waiting(connection, None, year)]
        try:
            made = screen_office(store, rules, year=year, as_of=day_of(now), actor=actor, now=now)
        except InputError as error:
            if error.code != "no_line":
                raise
            unscreened += len(before)
            store.attempt(lambda connection, ids=before: _take_out(connection, ids))  # type: ignore[misc]
            continue
        done, homes = done + len(before), homes + made.screening.households.height
        alerts, opened = alerts + made.screening.alerts.height, opened + len(made.opened)
    for year in ready:
        with store.reading() as connection:
            rows = _waiting(connection, limit, year)
        after = screen_after(
            store, [one.person_id for one in rows], year=year, actor=actor, now=now, rules=rules,
            entries=[one.entry_id for one in rows],
        )  # fmt: skip
        assert after is not None, "a year once screened stays screened"
        done, homes = done + len(rows), homes + after.screening.households.height
        alerts, opened = alerts + after.screening.alerts.height, opened + len(after.opened)
    with store.reading() as connection:
        return Worked(done, homes, alerts, opened, pending(connection), unscreened)


def pending(connection: sa.Connection) -> int:
    """Count the entries that wait to be screened."""
    return connection.execute(sa.select(sa.func.count()).select_from(watch_pending)).scalar_one()


def rules_of(connection: sa.Connection, *, on: date) -> Rules:
    """Load the rules of signals that are in force in the office's place on a day."""
    place = office_of(connection).place
    return load_rules(place if len(place) >= 6 else "cn", on=on)


def runs(connection: sa.Connection, *, year: int | None = None, limit: int = 20) -> list[Run]:
    """List runs of the screening, the latest first."""
    asked = sa.select(screening).order_by(screening.c.id.desc()).limit(limit)
    return [_run(row) for row in connection.execute(asked if year is None else asked.where(screening.c.year == year))]


def run_of(connection: sa.Connection, run: int) -> Run:
    """Give a run. Raises NotFoundError (`unknown_screening`)."""
    row = connection.execute(sa.select(screening).where(screening.c.id == run)).first()
    if row is None:
        raise NotFoundError("unknown_screening", "there is no such screening; look at the list of screenings")
    return _run(row)


def alerts_of(
    connection: sa.Connection,
    actor: Actor,
    *,
    household_id: str | None = None,
    signal: str | None = None,
    kind: str | None = None,
    urgency: str | None = None,
    place: str | None = None,
    year: int | None = None,
    case_id: str | None = None,
    run: int | None = None,
    alert_id: int | None = None,
    before: int | None = None,
    limit: int | None = 100,
) -> pl.DataFrame:
    """List alerts of the actor's place, the latest first: the columns of `ALERTS`, alert_id, case_id, place and run.

    `before` is the alert_id from which to go on. `watch.reasons.told` puts them into words.
    """
    same = {
        "household_id": household_id, "signal": signal, "kind": kind, "urgency": urgency, "year": year,
        "case_id": case_id, "screening_id": run, "id": alert_id,
    }  # fmt: skip
    clauses = [alert.c[name] == value for name, value in same.items() if value is not None]
    clauses += [alert.c.place.startswith(place_prefix(one), autoescape=True) for one in (actor.place, place) if one]
    if before is not None:
        clauses.append(alert.c.id < before)
    more = [alert.c.id, alert.c.case_id, alert.c.place, alert.c.screening_id]
    asked = sa.select(*(alert.c[name] for name in ALERTS), *more).where(*clauses).order_by(alert.c.id.desc())
    kinds = {**ALERTS, "alert_id": pl.Int64, "case_id": pl.String, "place": pl.String, "run": pl.Int64}
    return _frame(connection.execute(asked.limit(limit)).all(), kinds)


def known_alerts(connection: sa.Connection, households: Collection[str] | None = None) -> pl.DataFrame:
    """Give, for each household and signal, until when it is silent and the worst that was raised."""
    asked = sa.select(
        alert.c.household_id, alert.c.signal, sa.func.max(alert.c.suppressed_until), sa.func.max(alert.c.excess)
    ).group_by(alert.c.household_id, alert.c.signal)
    kinds = {"household_id": pl.String, "signal": pl.String, "suppressed_until": pl.Date, "excess": pl.Float64}
    return _frame(_asked(connection, asked, alert.c.household_id, households), kinds)


def standing_of_year(connection: sa.Connection, year: int) -> Standing | None:
    """Give what the last screening of the whole office in a year left for screening one household; None without one."""
    asked = sa.select(screening.c.standing).where(
        screening.c.kind == "office", screening.c.year == year, screening.c.finished_at.is_not(None)
    )
    text = connection.execute(asked.order_by(screening.c.id.desc()).limit(1)).scalar()
    if text is None:
        return None
    said = json.loads(text)
    until = said["claims_until"]
    return Standing(said["previous"], date.fromisoformat(until) if until else None, said["levels"])


# --- Register and ledger as frames -----------------------------------------------------------------------------------


def register_of(
    connection: sa.Connection,
    *,
    as_of: date,
    known_at: datetime | None = None,
    households: Collection[str] | None = None,
    claims_from: date | None = None,
) -> Register:
    """Give the register as it holds on a day and was known at a moment (None: now), as frames with money in fen.

    `households` keeps some of them; `claims_from` leaves earlier care out. Claims that were taken back are no care.
    Nobody's name, number or village is in it; who belongs to no household is one of their own.
    """
    fact, paid = person_fact, enrolment
    home = sa.func.coalesce(fact.c.household_id, fact.c.person_id)
    asked: sa.Select[Any] = (
        sa.select(
            fact.c.person_id, home, fact.c.residence, fact.c.birth_date, fact.c.sex, fact.c.deceased_on,
            sa.func.coalesce(paid.c.scheme, "none"), fact.c.place,
        )
        .outerjoin(
            paid,
            sa.and_(paid.c.person_id == fact.c.person_id, believed(paid, known_at), holding(paid, as_of)),
        )
        .where(believed(fact, known_at), holding(fact, as_of))
    )  # fmt: skip
    people = _frame(_asked(connection, asked, home, households), _PEOPLE)
    members = people["person_id"].to_list() if households is not None else None
    wanted: sa.Select[Any] = sa.select(*(household.c[name] for name in _HOMES)).where(
        believed(household, known_at), holding(household, as_of)
    )
    homes = _frame(_asked(connection, wanted, household.c.household_id, households), _HOMES)
    places = people.filter(pl.col("place") != "").group_by("household_id").agg(pl.col("place").min().alias("_place"))
    named = people.select("household_id").unique(maintain_order=True)
    homes = (
        pl.concat([homes, named.join(homes, on="household_id", how="anti")], how="diagonal")
        .join(places, on="household_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("place").fill_null("") == "")
            .then(pl.col("_place"))
            .otherwise(pl.col("place"))
            .alias("place")
        )
        .with_columns(pl.col("place").str.slice(0, 9).alias("township"))
        .drop("_place")
    )
    held: sa.Select[Any] = sa.select(
        spell.c.person_id, spell.c.group, spell.c.valid_from, spell.c.valid_to, spell.c.detail
    ).where(believed(spell, known_at), spell.c.valid_from <= as_of)
    spells = _frame(_asked(connection, held, spell.c.person_id, members), _SPELLS).with_columns(
        # The store's last day is the first on which it no longer held.
        pl.col("to_date").dt.offset_by("-1d")
    )
    return Register(people.drop("place"), homes, spells, _claims(connection, as_of, known_at, members, claims_from))


def settled_of(
    connection: sa.Connection,
    *,
    year: int,
    known_at: datetime | None = None,
    people: Collection[str] | None = None,
    tiers: Sequence[str] = (),
) -> pl.DataFrame:
    """Give what claims of a benefit year and of the year before stand at, from the ledger's last entry of each.

    Columns: claim_id, person_id, benefit_year, settled_date, own_in_scope_fen, own_total_fen, and `pay_<tier>_fen` for
    each of `tiers`. `known_at` gives them as they stood at a moment.
    """
    asked = (
        sa.select(
            entry.c.claim_id, claim.c.person_id, account.c.benefit_year, claim.c.settled_date, entry.c.number,
            entry.c.kind, entry.c.result,
        )
        .join_from(entry, account, account.c.id == entry.c.account_id)
        .join(claim, claim.c.claim_id == entry.c.claim_id)
        .where(account.c.benefit_year.in_([year - 1, year]), entry.c.kind.in_((*SETTLING, "difference", "reversal")))
    )  # fmt: skip
    if known_at is not None:
        asked = asked.where(entry.c.posted_at <= known_at)
    rows = _frame(_asked(connection, asked, claim.c.person_id, people), _ENTRIES)
    stands = (
        rows.sort("number").unique("claim_id", keep="last", maintain_order=True).filter(pl.col("kind") != "reversal")
    )
    pay = pl.Struct(dict.fromkeys(tiers, pl.Int64)) if tiers else pl.Struct({"-": pl.Int64})
    said = pl.Struct({"own_in_scope": pl.Int64, "own_total": pl.Int64, "pay": pay})
    result = pl.col("result").str.json_decode(said)
    return stands.with_columns(result.alias("_said")).select(
        "claim_id", "person_id", "benefit_year", "settled_date",
        pl.col("_said").struct["own_in_scope"].alias("own_in_scope_fen"),
        pl.col("_said").struct["own_total"].alias("own_total_fen"),
        *(pl.col("_said").struct["pay"].struct[one].fill_null(0).alias(f"pay_{one}_fen") for one in tiers),
    )  # fmt: skip


_PEOPLE = {
    "person_id": pl.String, "household_id": pl.String, "residence": pl.String, "birth_date": pl.Date, "sex": pl.String,
    "death_date": pl.Date, "scheme": pl.String, "place": pl.String,
}  # fmt: skip
_HOMES = {
    "household_id": pl.String, "place": pl.String, "size": pl.Int64, "income_fen": pl.Int64,
    "consumption_fen": pl.Int64, "food_fen": pl.Int64, "labour_capacity": pl.Boolean,
}  # fmt: skip
_SPELLS = {"person_id": pl.String, "group": pl.String, "from_date": pl.Date, "to_date": pl.Date, "detail": pl.String}
_CARE = {
    "claim_id": pl.String, "person_id": pl.String, "care_type": pl.String, "start_date": pl.Date,
    "diagnosis": pl.String,
}  # fmt: skip
_ENTRIES = {
    "claim_id": pl.String, "person_id": pl.String, "benefit_year": pl.Int64, "settled_date": pl.Date,
    "number": pl.Int64, "kind": pl.String, "result": pl.String,
}  # fmt: skip


def _claims(
    connection: sa.Connection,
    as_of: date,
    known_at: datetime | None,
    members: Collection[str] | None,
    since: date | None,
) -> pl.DataFrame:
    """Give the care of people up to a day, without what was taken back."""
    asked = sa.select(*(claim.c[name] for name in _CARE)).where(claim.c.start_date <= as_of)
    if since is not None:
        asked = asked.where(claim.c.start_date >= since)
    turned = sa.select(entry.c.claim_id, entry.c.number, entry.c.kind).where(
        entry.c.kind.in_(("reversal", "reinstatement"))
    )
    if known_at is not None:
        posted = sa.select(entry.c.claim_id).where(entry.c.kind == "settlement", entry.c.posted_at <= known_at)
        asked = asked.where(claim.c.claim_id.in_(posted))
        turned = turned.where(entry.c.posted_at <= known_at)
    kinds = {"claim_id": pl.String, "number": pl.Int64, "kind": pl.String}
    care = _frame(_asked(connection, asked, claim.c.person_id, members), _CARE)
    some = None if members is None else care["claim_id"].to_list()
    back = _frame(_asked(connection, turned, entry.c.claim_id, some), kinds).sort("number")
    gone = back.unique("claim_id", keep="last", maintain_order=True).filter(pl.col("kind") == "reversal")
    return care.join(gone, on="claim_id", how="anti").drop("claim_id")


def _asked(
    connection: sa.Connection, asked: sa.Select[Any], key: Any, some: Collection[str] | None
) -> list[tuple[Any, ...]]:
    """Ask for all, or for those of some keys, and give rows as the driver has them (SQLite: days as text)."""
    if some is None:
        return _plain(connection.execute(asked))
    return [row for part in chunks(sorted(set(some))) for row in _plain(connection.execute(asked.where(key.in_(part))))]


def _plain(result: sa.CursorResult[Any]) -> list[tuple[Any, ...]]:
    # A row object and a date for each of a million rows cost as much as everything else together.
    try:
        return list(result.cursor.fetchall())
    finally:
        result.close()


def _frame(rows: Sequence[Any], kinds: Mapping[str, Any]) -> pl.DataFrame:
    """Make a frame column by column, which is several times faster than row by row."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(kinds)
    return pl.DataFrame([_series(*pair, values) for pair, values in zip(kinds.items(), columns, strict=True)])


def _series(name: str, kind: Any, values: Sequence[Any]) -> pl.Series:
    if kind == pl.Date and isinstance(next((one for one in values if one is not None), None), str):
        return pl.Series(name, values, dtype=pl.String).str.to_date("%Y-%m-%d")
    if kind == pl.Boolean:
        return pl.Series(name, [None if one is None else bool(one) for one in values], dtype=kind)
    return pl.Series(name, values, dtype=kind)


def _households_of(connection: sa.Connection, person_ids: Iterable[str], day: date) -> list[str]:
    fact = person_fact
    home = sa.func.coalesce(fact.c.household_id, fact.c.person_id)
    asked = sa.select(home).where(believed(fact, None), holding(fact, day)).distinct()
    return sorted({row[0] for row in _asked(connection, asked, fact.c.person_id, list(person_ids))})


def _care_is_known(connection: sa.Connection, rules: Rules, as_of: date) -> bool:
    """Say whether the ledger has care of the last months; where it has none, everybody would seem to go without."""
    if "absent_care" not in rules.signals:
        return False
    since = add_months(as_of, -int(rules["absent_care"]["months"].value))
    recent = sa.select(claim.c.id).where(claim.c.start_date.between(since, as_of))
    # From the latest row on: an office that settles finds one at once.
    return connection.execute(recent.order_by(claim.c.id.desc()).limit(1)).first() is not None


def _claims_from(rules: Rules, as_of: date) -> date:
    """Give the first day of care that a rule looks back to."""
    if "absent_care" not in rules.signals:
        return as_of
    rule = rules["absent_care"]
    return add_months(as_of, -int(rule["months"].value) - int(rule["look_back"].value)) - timedelta(days=31)


def _tiers(rules: Rules) -> tuple[str, ...]:
    return rules["missed_assistance"].listed("columns") if "missed_assistance" in rules.signals else ()


# --- The queue -------------------------------------------------------------------------------------------------------


def _waiting(connection: sa.Connection, limit: int | None, year: int) -> list[Any]:
    asked = (
        sa.select(watch_pending.c.entry_id, account.c.benefit_year, claim.c.person_id)
        .join_from(watch_pending, entry, entry.c.id == watch_pending.c.entry_id)
        .join(account, account.c.id == entry.c.account_id)
        .join(claim, claim.c.claim_id == entry.c.claim_id)
        .where(account.c.benefit_year == year)
        .order_by(watch_pending.c.entry_id)
    )
    return list(connection.execute(asked.limit(limit)))


def _years_waiting(connection: sa.Connection) -> list[int]:
    asked = (
        sa.select(account.c.benefit_year)
        .join_from(watch_pending, entry, entry.c.id == watch_pending.c.entry_id)
        .join(account, account.c.id == entry.c.account_id)
    )
    return sorted(connection.execute(asked.distinct()).scalars())


def _take_out(connection: sa.Connection, entries: Sequence[int]) -> None:
    for some in chunks(entries):
        connection.execute(watch_pending.delete().where(watch_pending.c.entry_id.in_(some)))


# --- Keeping what was found ------------------------------------------------------------------------------------------


def _keep(
    store: Store,
    found: Screening,
    rules: Rules,
    kind: str,
    year: int,
    as_of: date,
    actor: Actor,
    now: datetime,
    seen: int,
    opens: Collection[str],
    entries: Sequence[int],
) -> Screened:
    """Write run, alerts and cases, some households at a time; with the last of them, the queue and the run's end."""
    alerts = _placed(found)
    homes = alerts["household_id"].unique(maintain_order=True).to_list()
    if kind == "after" and not homes:
        store.attempt(lambda connection: _take_out(connection, entries))
        return Screened(found, 0, (), ())
    parts = [homes[start : start + AT_ONCE] for start in range(0, len(homes), AT_ONCE)] or [[]]
    counts = {**found.counts, "signals": dict(alerts.group_by("signal").len().sort("signal").iter_rows())}
    first = {
        "kind": kind, "year": year, "as_of": as_of, "place": rules.place, "rules_hash": _hash_of(rules),
        "by": actor.login, "started_at": now, "households": found.households.height, "counts": canonical(counts),
        "suppressed": found.suppressed.height, "standing": _standing(found.standing) if kind == "office" else None,
    }  # fmt: skip
    run, raised = 0, 0
    opened: list[str] = []
    added: list[str] = []
    for place, part in enumerate(parts):
        rows = alerts.filter(pl.col("household_id").is_in(part))
        # The row of the run comes with the first part and its end with the last: what a settlement asks for is one
        # transaction.
        ending = (raised, len(opened)) if place == len(parts) - 1 else None

        def work(
            connection: sa.Connection,
            rows: pl.DataFrame = rows,
            run: int = run,
            ending: tuple[int, int] | None = ending,
        ) -> tuple[int, tuple[int, list[str], list[str]]]:
            number = run or _begin(connection, first)
            did = _raise(connection, rows, number, actor, now, seen, opens)
            if ending is not None:
                told = {"alerts": ending[0] + did[0], "cases": ending[1] + len(did[1]), "finished_at": now}
                connection.execute(screening.update().where(screening.c.id == number).values(**told))
                _take_out(connection, entries)
                if kind == "office" or told["alerts"]:
                    detail = f"run={number} kind={kind} year={year} as_of={as_of} alerts={told['alerts']}"
                    audit.record(connection, actor, "screen", detail=detail, now=now)
            return number, did

        run, did = store.attempt(work)
        raised, opened, added = raised + did[0], opened + did[1], added + did[2]
    return Screened(found, run, tuple(opened), tuple(added))


def _begin(connection: sa.Connection, row: Mapping[str, Any]) -> int:
    done = connection.execute(screening.insert().values(**row))
    (number,) = done.inserted_primary_key or (0,)
    return int(number)


def _raise(
    connection: sa.Connection,
    rows: pl.DataFrame,
    run: int,
    actor: Actor,
    now: datetime,
    seen: int,
    opens: Collection[str],
) -> tuple[int, list[str], list[str]]:
    """Write the alerts of some households and what they make of cases: how many, cases opened, cases added to."""
    lock_opening(connection)
    rows = _unless_raised(connection, rows, seen)
    if rows.is_empty():
        return 0, [], []
    by_home: dict[str, list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        by_home.setdefault(row["household_id"], []).append(row)
    there = cases_of_households(connection, by_home)
    day, new, steps = day_of(now), [], []
    for home, raised in by_home.items():
        signals = tuple(dict.fromkeys(one["signal"] for one in raised))
        case = there.get(home)
        opening = any(one["kind"] in opens for one in raised)
        on = day if case is None else max(day, case.changed_on)
        if case is not None and case.state in OPEN:
            steps.append((case, Event("alerted", on, actor.login, signals=signals)))
        elif case is not None and opening:
            steps.append((case, Event("re_entered", on, actor.login, source="alert", signals=signals)))
        elif opening:
            found = Event("found", on, actor.login, source="alert", signals=signals)
            new.append((home, raised[0]["place"], found))
    made = open_many(connection, new, now=now)
    again = add_many(connection, steps, now=now)
    case_ids = {one.case.household_id: one.case.case_id for one in (*made, *again)}
    names = [*ALERTS, "place"]
    connection.execute(
        alert.insert(),
        [
            {**{name: row[name] for name in names}, "screening_id": run, "case_id": case_ids.get(home), "at": now}
            for home, raised in by_home.items()
            for row in raised
        ],
    )
    back = [one.case.case_id for one in again if one.case.state == "found" and one.case.events[-1].kind == "re_entered"]
    opened = [one.case.case_id for one in made] + back
    return rows.height, opened, [one.case.case_id for one in again if one.case.case_id not in back]


def _unless_raised(connection: sa.Connection, rows: pl.DataFrame, seen: int) -> pl.DataFrame:
    """Leave out what another screening raised since this one looked."""
    asked = sa.select(alert.c.household_id, alert.c.signal).where(alert.c.id > seen)
    since = _asked(connection, asked, alert.c.household_id, rows["household_id"].unique().to_list())
    there = _frame(since, {"household_id": pl.String, "signal": pl.String})
    return rows.join(there, on=["household_id", "signal"], how="anti", maintain_order="left")


def _placed(found: Screening) -> pl.DataFrame:
    """Give the new alerts with the place of their household."""
    places = found.households.select("household_id", pl.col("place").fill_null(""))
    return found.alerts.join(places, on="household_id", how="left", maintain_order="left").with_columns(
        pl.col("place").fill_null("")
    )


def _last_alert(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.max(alert.c.id))).scalar() or 0


def _standing(standing: Standing) -> str:
    until = standing.claims_until
    return canonical({
        "previous": standing.previous, "claims_until": until.isoformat() if until else None,
        "levels": dict(standing.levels),
    })  # fmt: skip


def _hash_of(rules: Rules) -> str:
    return sha256(json.dumps(asdict(rules), sort_keys=True, ensure_ascii=False, default=str))


def _run(row: Any) -> Run:
    said = {name: value for name, value in row._mapping.items() if name != "standing"}
    return Run(**{**said, "counts": json.loads(row.counts)})
