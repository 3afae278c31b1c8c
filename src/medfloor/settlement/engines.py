"""Run a batch through an engine: the compiled kernel over all of it, or the reference person by person.

Both give the same `Outcome`. This is the only place that knows both.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor import tables
from medfloor.jit import is_compiled
from medfloor.periods import Span
from medfloor.policy.compile import Layout
from medfloor.policy.resolve import Facts, Rules, resolve
from medfloor.settlement.balance import STAY_FIELDS, empty_accumulators
from medfloor.settlement.batch import Batch
from medfloor.settlement.columns import STAY_COLUMNS, TRACE_COLUMNS
from medfloor.settlement.reference import Account, Claim, Settled, Stay, in_order, settle_claim, settle_year
from medfloor.settlement.scope import DAWN, FAR, Person, Spell, Visit, facts_of

Ints = npt.NDArray[np.int64]
Engine = Literal["auto", "kernel", "reference"]
EPOCH = date(1970, 1, 1)
FEW = 1_000
FEW_AT_FIRST = 5_000
"""Up to how many claims, settled one by one, are settled sooner without compiled code: warm, and before anything was
compiled."""

FEW_AT_ONCE = 15_000
FEW_AT_ONCE_AT_FIRST = 30_000
"""The same for the claims of whole batches, whose law was asked before: all that one process settles, added up."""


@dataclass(frozen=True)
class Outcome:
    """Be what an engine gives: payments (tiers, n), what stays inside the scope (n), the basic deductible (n), in fen.

    `trace` has TRACE_COLUMNS for each claim and step, rows of claim i from trace_start[i]; empty where none was
    asked. `closing` has the accumulators of every person-year that the batch or the opening touched; None where none
    were asked.
    """

    pay: Ints
    own_in_scope: Ints
    deductible: Ints
    trace_start: Ints
    trace: Ints
    closing: pl.DataFrame | None


def run(
    batch: Batch,
    engine: Engine | Literal["few"] = "auto",
    *,
    opening: pl.DataFrame | None = None,
    trace: bool = False,
    closing: bool = False,
    threads: int = 1,
) -> Outcome:
    """Settle a batch. `opening` is in the inside form of `balance`; `threads` share the unit-years.

    `auto` takes the kernel, but the reference for a few claims, which it settles sooner than compiled code is loaded
    (or, at first use, compiled): on what the law answered when the batch was made, as the kernel does. Both give the
    same. Who asks for the `reference` by name has every claim's law asked anew, which checks those answers too. `few`
    is what `engine_for` answered to a caller who settles the same claims under several laws.
    """
    if engine == "auto":
        engine = engine_for(batch.height)
    if engine == "kernel":
        return _run_kernel(batch, opening, trace, closing, threads)
    return _run_reference(batch, opening, trace, closing, anew=engine == "reference")


class _Spared:
    """Count the claims that this process settled without loading compiled code."""

    def __init__(self) -> None:
        self._claims = 0

    def would_take(self, claims: int) -> bool:
        """Say whether so many more are still few."""
        return self._claims + claims <= (FEW_AT_ONCE if is_compiled() else FEW_AT_ONCE_AT_FIRST)

    def take(self, claims: int) -> bool:
        """Say whether so many more are still few, and if so count them."""
        if not self.would_take(claims):
            return False
        self._claims += claims
        return True


_SPARED = _Spared()


def engine_for(claims: int) -> Engine | Literal["few"]:
    """Choose for so many claims, of which each counts as often as it will be settled: `few` or the kernel."""
    return "few" if not is_loaded() and _SPARED.take(claims) else "kernel"


def are_few(claims: int) -> bool:
    """Say whether so many claims, of whole batches that will be settled by `auto`, would all be settled as few."""
    return not is_loaded() and _SPARED.would_take(claims)


def few() -> int:
    """Say up to how many claims, one by one, are settled sooner than the kernel is loaded (or compiled)."""
    return FEW if is_compiled() else FEW_AT_FIRST


def is_loaded() -> bool:
    """Say whether the kernel is loaded in this process, so that using it costs nothing more; not while it is."""
    # A service loads it beside its work: the module is there at once, its last function when all is compiled.
    return hasattr(sys.modules.get("medfloor.settlement.kernel"), "_settle")


def _trace_start(batch: Batch) -> Ints:
    counts = np.diff(batch.profiles.first)[batch.profile]
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _basic(layout: Layout) -> int:
    return layout.tiers.index("basic") if "basic" in layout.tiers else 0


def _looks_outside(batch: Batch) -> bool:
    """Say whether any rule looks at the pools outside the scope, or at the total."""
    return any(
        rules.ceilings
        or any(step.floor_bp or set(step.base) - {"in_scope", "referral_share", "set_aside"} for step in rules.steps)
        for rules in batch.rules
    )


def _run_kernel(batch: Batch, opening: pl.DataFrame | None, trace: bool, closing: bool, threads: int) -> Outcome:
    layout, profiles, n = batch.law.layout, batch.profiles, batch.height
    carry = closing or opening is not None
    segments = batch.segments
    account_start, account = (
        _account(batch, opening) if carry else (np.zeros(1, np.int64), np.zeros((0, len(layout.names)), np.int64))
    )
    stay_of, stay_ids, last_of = (
        _stays_followed(batch, account_start) if closing else (batch.stay_of, batch.stay_first, None)
    )
    stays = np.zeros((max(1, len(stay_ids)), max(1, len(layout.stay_tiers)), len(STAY_COLUMNS)), np.int64)
    if opening is not None and layout.stay_tiers and len(stay_ids):
        _open_stays(batch, opening, stays)
    trace_start = _trace_start(batch) if trace else np.zeros(1, np.int64)
    traced = np.zeros((int(trace_start[-1]) if trace else 0, len(TRACE_COLUMNS)), np.int64)
    outside = np.zeros((3, 0), np.int64)
    if _looks_outside(batch):
        names = ("first_self_pay_fen", "over_limit_fen", "off_catalogue_fen")
        outside = np.stack([batch.frame[name].to_numpy() for name in names])
    members = np.zeros(0, np.int32)
    most = 1
    if layout.household:
        members = (batch.person - batch.register.unit_first[batch.unit]).astype(np.int32)
        most = int(np.diff(batch.register.unit_first).max(initial=1))
    pay = np.empty((len(layout.tiers), n), np.int64)
    own = np.empty(n, np.int64)
    deductible = np.empty(n, np.int64)
    arguments = (
        segments.start, batch.profile, batch.frame["in_scope_fen"].to_numpy(), outside,
        np.ascontiguousarray(batch.amounts), members,
        stay_of, profiles.first, profiles.steps, profiles.brackets, profiles.pots, profiles.repeats,
        profiles.rounding, profiles.ceilings, profiles.ceiling_rows, np.array(layout.initial, np.int64),
        np.array(layout.shared, bool), account_start, account, stays, most, _basic(layout), trace_start, traced, pay,
        own,
        deductible,
    )  # fmt: skip
    _in_threads(segments.start, arguments, threads)
    frame = _closing(batch, account_start, account, opening, stays, stay_ids, last_of) if closing else None
    return Outcome(pay, own, deductible, trace_start, traced, frame)


def _in_threads(start: Ints, arguments: tuple[Any, ...], threads: int) -> None:
    """Share the segments out by claims, one range a thread; the kernel releases the GIL."""
    from medfloor.settlement.kernel import settle_segments  # compiled code is loaded only where it is used

    count = len(start) - 1
    if count == 0:
        return
    threads = min(threads, int(start[-1]) // _WORTH_A_THREAD + 1)
    cuts = np.searchsorted(start, np.linspace(0, start[-1], max(1, threads) + 1)[1:-1]).tolist()
    edges = [0, *cuts, count]
    ranges = [(a, b) for a, b in pairwise(edges) if b > a]
    if len(ranges) == 1:
        settle_segments(0, count, *arguments)
        return
    with ThreadPoolExecutor(len(ranges)) as pool:
        for done in [pool.submit(settle_segments, a, b, *arguments) for a, b in ranges]:
            done.result()


_WORTH_A_THREAD = 20_000
"""Claims that the kernel settles in some milliseconds: for fewer a thread takes longer to begin than it saves."""


def _account(batch: Batch, opening: pl.DataFrame | None) -> tuple[Ints, Ints]:
    """Make the account rows: all members of the unit for each unit-year, opened with what was used before."""
    layout, register, segments = batch.law.layout, batch.register, batch.segments
    sizes = np.diff(register.unit_first)[segments.unit]
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    account = np.tile(np.array(layout.initial, np.int64), (int(start[-1]), 1)).reshape(
        int(start[-1]), len(layout.names)
    )
    if opening is not None and opening.height:
        rows = _account_rows(batch, start).join(
            opening.with_row_index("_from"), on=["person_id", "benefit_year"], how="inner"
        )
        values = opening.select(layout.names).to_numpy().reshape(opening.height, len(layout.names))
        account[rows["_row"].to_numpy()] = values[rows["_from"].to_numpy()]
    return start, account


def _account_rows(batch: Batch, start: Ints) -> pl.DataFrame:
    """List which person-year each account row is."""
    register, segments = batch.register, batch.segments
    sizes = np.diff(start)
    first = np.repeat(register.unit_first[segments.unit], sizes)
    person = first + np.arange(len(first)) - np.repeat(start[:-1], sizes)
    return pl.DataFrame(
        {
            "person_id": register.person_ids.gather(person),
            "benefit_year": np.repeat(segments.year, sizes),
            "_row": np.arange(len(person)),
            "_person": person,
        }
    )


def _stays_followed(
    batch: Batch, account_start: Ints
) -> tuple[npt.NDArray[np.int32], tuple[str, ...], npt.NDArray[np.int64] | None]:
    """Follow the stays that are continued here, and the last of each person-year: a later file may continue it.

    Gives stay_of, the names of the stays, and for each account row the claim that was its last stay (-1 = none).
    """
    stay_of = batch.stay_of.copy() if len(batch.stay_of) else np.full(batch.height, -1, np.int32)
    names = list(batch.stay_first)
    admits = np.array([any(s.deductible_per == "admission" for s in rules.steps) for rules in batch.rules], bool)
    inpatient = batch.columns.care_type == tables.CARE_TYPES.index("inpatient")
    rows = np.flatnonzero(inpatient | admits[batch.profile]) if len(admits) else np.zeros(0, np.int64)
    segment = np.repeat(np.arange(len(batch.segments.unit)), np.diff(batch.segments.start))
    row_of = account_start[segment] + batch.person - batch.register.unit_first[batch.unit]
    last = np.full(int(account_start[-1]), -1, np.int64)
    last[row_of[rows]] = rows  # later claims overwrite earlier ones
    fresh = last[last >= 0]
    fresh = fresh[stay_of[fresh] < 0]
    stay_of[fresh] = len(names) + np.arange(len(fresh), dtype=np.int32)
    names += [""] * len(fresh)
    return stay_of, tuple(names), last


def _open_stays(batch: Batch, opening: pl.DataFrame, stays: Ints) -> None:
    """Fill the stays that were begun before this file."""
    layout = batch.law.layout
    chained = np.flatnonzero(batch.stay_of >= 0) if len(batch.stay_of) else np.zeros(0, np.int64)
    if not len(chained):
        return
    asked = batch.frame[chained].select(
        "person_id", pl.col("_year").alias("benefit_year"),
        pl.Series("last_stay", [batch.stay_first[i] for i in batch.stay_of[chained]]),
        pl.Series("_slot", batch.stay_of[chained]),
    )  # fmt: skip
    found = asked.join(opening, on=["person_id", "benefit_year", "last_stay"], how="inner").unique("_slot")
    for row in found.iter_rows(named=True):
        for number, tier in enumerate(layout.stay_tiers):
            if row[f"{tier}_stay_admission"] > 0:
                stays[row["_slot"], number] = [1, *(row[f"{tier}_stay_{field}"] for field in STAY_FIELDS)]


def _closing(
    batch: Batch,
    account_start: Ints,
    account: Ints,
    opening: pl.DataFrame | None,
    stays: Ints,
    stay_names: Sequence[str],
    last_of: npt.NDArray[np.int64] | None,
) -> pl.DataFrame:
    """Write the account rows that a claim or an opening touched; other openings go on as they were."""
    layout = batch.law.layout
    rows = _account_rows(batch, account_start)
    touched = np.zeros(rows.height, bool)
    segment = np.repeat(np.arange(len(batch.segments.unit)), np.diff(batch.segments.start))
    touched[account_start[segment] + batch.person - batch.register.unit_first[batch.unit]] = True
    values = {name: account[:, number] for number, name in enumerate(layout.names)}
    frame = pl.DataFrame({"person_id": rows["person_id"], "benefit_year": rows["benefit_year"], **values})
    if last_of is not None:
        named = last_of >= 0
        stay_of = _slots(batch, last_of, stay_names)
        ids = batch.frame["claim_id"]
        last = pl.Series("last_stay", [None] * rows.height, dtype=pl.String)
        if named.any():
            last = pl.DataFrame({"at": np.flatnonzero(named), "id": ids.gather(last_of[named])}).join(
                pl.DataFrame({"at": np.arange(rows.height)}), on="at", how="right", maintain_order="right"
            )["id"]
        frame = frame.with_columns(last.alias("last_stay"))
        for number, tier in enumerate(layout.stay_tiers):
            for field_number, field in enumerate(STAY_FIELDS):
                column = np.zeros(rows.height, np.int64)
                column[named] = stays[stay_of[named], number, field_number + 1]
                frame = frame.with_columns(pl.Series(f"{tier}_stay_{field}", column))
    before = opening if opening is not None else empty_accumulators(layout)
    known = rows.select("person_id", "benefit_year").join(
        before.select("person_id", "benefit_year", pl.lit(True).alias("_known")),
        on=["person_id", "benefit_year"], how="left", maintain_order="left",
    )["_known"].fill_null(False).to_numpy()  # fmt: skip
    if last_of is not None and before.height:
        frame = _older_stays(frame, before, layout)
    kept = frame.filter(pl.Series(touched | known))
    others = before.join(rows.select("person_id", "benefit_year"), on=["person_id", "benefit_year"], how="anti")
    return pl.concat([kept, others.select(kept.columns)]).sort("person_id", "benefit_year")


def _slots(batch: Batch, last_of: npt.NDArray[np.int64], stay_names: Sequence[str]) -> npt.NDArray[np.int64]:
    """Give the stay row of each account row's last stay, as `_stays_followed` numbered them."""
    slots = np.full(len(last_of), -1, np.int64)
    named = last_of >= 0
    known = batch.stay_of[last_of[named]] if len(batch.stay_of) else np.full(int(named.sum()), -1)
    fresh = known < 0
    numbers = known.astype(np.int64)
    numbers[fresh] = len(batch.stay_first) + np.arange(int(fresh.sum()))
    slots[named] = numbers
    assert slots.max(initial=-1) < max(1, len(stay_names))
    return slots


def _older_stays(frame: pl.DataFrame, before: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Keep the opening's last stay where this file brought no stay."""
    fields = ["last_stay", *(f"{tier}_stay_{field}" for tier in layout.stay_tiers for field in STAY_FIELDS)]
    old = before.select("person_id", "benefit_year", *(pl.col(name).alias(f"_old_{name}") for name in fields))
    joined = frame.join(old, on=["person_id", "benefit_year"], how="left", maintain_order="left")
    keep = pl.col("last_stay").is_null() & pl.col("_old_last_stay").is_not_null()
    return joined.with_columns(
        pl.when(keep).then(pl.col(f"_old_{name}")).otherwise(pl.col(name)).alias(name) for name in fields
    ).select(frame.columns)


def _run_reference(batch: Batch, opening: pl.DataFrame | None, trace: bool, closing: bool, *, anew: bool) -> Outcome:
    """Settle by the reference; `anew` asks the law about every claim instead of taking the batch's answers."""
    layout, n = batch.law.layout, batch.height
    trace_start = _trace_start(batch)
    rows = np.zeros((int(trace_start[-1]) if trace else 0, len(TRACE_COLUMNS)), np.int64)
    pay = np.zeros((len(layout.tiers), n), np.int64)
    own = np.zeros(n, np.int64)
    deductible = np.zeros(n, np.int64)
    account_start, account = _account(batch, opening)
    stays_before = _stay_rows(opening)
    last_of = np.full(int(account_start[-1]), -1, np.int64)
    stays_after: list[tuple[int, dict[str, Stay]]] = []
    basic = layout.tiers[_basic(layout)] if layout.tiers else ""
    asked = _asked_anew(batch) if anew else _asked_before(batch)
    for segment, (begin, stop) in enumerate(pairwise(batch.segments.start.tolist())):
        members = _members(batch, account_start, segment) if opening is not None or closing else []
        book = _open_account(layout, account, members, stays_before, int(batch.segments.year[segment]))
        pairs = list(itertools.islice(asked, stop - begin))
        claims = [claim for claim, _ in pairs]
        law = {claim.claim_id: rules for claim, rules in pairs}
        settled, book = settle_year(claims, lambda claim, law=law: law[claim.claim_id], book)  # type: ignore[misc]
        for i, one in zip(range(begin, stop), settled, strict=True):
            for number, tier in enumerate(layout.tiers):
                pay[number, i] = one.pay_of(tier)
            own[i] = one.own_in_scope_fen
            deductible[i] = sum(r.deductible_fen for r in one.tiers if r.step.tier == basic)
            if trace:
                for at, result in enumerate(one.tiers, int(trace_start[i])):
                    rows[at] = _trace_row(result)
        if not closing:
            continue
        where = {claim.claim_id: i for i, claim in zip(range(begin, stop), claims, strict=True)}
        for row, name in members:
            for number, counter in enumerate(layout.names):
                owner = "" if layout.shared[number] else name
                account[row, number] = book.used.get((owner, counter), layout.initial[number])
            last = book.last_stay.get(name)
            if last in where:
                last_of[row] = where[last]
                first = book.first_of[last]
                stays_after.append(
                    (row, {t: book.stays[t, first] for t in layout.stay_tiers if (t, first) in book.stays})
                )
    frame = None
    if closing:
        slots = np.zeros((max(1, len(stays_after)), max(1, len(layout.stay_tiers)), len(STAY_COLUMNS)), np.int64)
        frame = _closing_of_reference(batch, account_start, account, opening, slots, stays_after, last_of)
    return Outcome(pay, own, deductible, trace_start if trace else np.zeros(1, np.int64), rows, frame)


def _asked_anew(batch: Batch) -> Iterator[tuple[Claim, Rules]]:
    """Give each claim with the law for it, asked in plain Python."""
    for i in range(batch.height):
        claim = claim_at(batch, i)
        yield claim, resolve(batch.law.policies.versions[int(batch.columns.version[i])], claim.facts)


_AS_THEY_STAND = (
    "claim_id", "person_id", "start_date", "settled_date", "in_scope_fen", "first_self_pay_fen", "over_limit_fen",
    "off_catalogue_fen", "care_type", "facility_level",
)  # fmt: skip


def _asked_before(batch: Batch) -> Iterator[tuple[Claim, Rules]]:
    """Give each claim with what the law answered when the batch was made.

    Of its facts it has those that settling looks at: the kind of care and the level of the hospital.
    """
    frame, rules = batch.frame, batch.rules
    columns = batch.law.dimensions.columns
    continues = frame["continues"].to_list()
    facts = {
        (care, level): Facts(tables.CARE_TYPES[care], tables.FACILITY_LEVELS[level])
        for care, level in frame.select("care_type", "facility_level").unique().iter_rows()
    }
    answers = batch.profile.tolist()
    amounts = batch.amounts.T.tolist() if columns else []
    for i, row in enumerate(frame.select(_AS_THEY_STAND).iter_rows()):
        claim_id, person_id, start, settled, inside, first, over, outside, care, level = row
        given = {name: value for name, value in zip(columns, amounts[i], strict=True) if value >= 0} if columns else {}
        before = None if continues[i] is None else batch.stay_first[int(batch.stay_of[i])]
        claim = Claim(
            claim_id, person_id, start, settled, facts[care, level], inside, first, over, outside, before, given
        )
        yield claim, rules[answers[i]]


def _closing_of_reference(
    batch: Batch,
    account_start: Ints,
    account: Ints,
    opening: pl.DataFrame | None,
    slots: Ints,
    stays_after: Sequence[tuple[int, dict[str, Stay]]],
    last_of: npt.NDArray[np.int64],
) -> pl.DataFrame:
    frame = _closing(batch, account_start, account, opening, slots, (), None)
    layout = batch.law.layout
    rows = _account_rows(batch, account_start)
    by_row = dict(stays_after)
    records = []
    ids = batch.frame["claim_id"]
    for row, stays in by_row.items():
        record: dict[str, Any] = {
            "person_id": rows["person_id"][row],
            "benefit_year": int(rows["benefit_year"][row]),
            "last_stay": ids[int(last_of[row])],
        }
        for tier in layout.stay_tiers:
            stay = stays.get(tier)
            values = _stay_values(stay) if stay else [0] * len(STAY_FIELDS)
            record |= {f"{tier}_stay_{field}": value for field, value in zip(STAY_FIELDS, values, strict=True)}
        records.append(record)
    schema = {name: kind for name, kind in empty_accumulators(layout).schema.items() if name not in layout.names}
    found = pl.DataFrame(records, schema=schema)
    frame = frame.select(name for name in frame.columns if name not in schema or name in ("person_id", "benefit_year"))
    frame = frame.join(found, on=["person_id", "benefit_year"], how="left", maintain_order="left")
    fields = [name for name in schema if "_stay_" in name]
    frame = frame.with_columns(pl.col(name).fill_null(0) for name in fields)
    if opening is not None and opening.height:
        frame = _older_stays(frame, opening, layout)
    return frame.select("person_id", "benefit_year", *layout.names, "last_stay", *fields)


def _stay_values(stay: Stay) -> list[int]:
    return [
        stay.deductible_fen,
        stay.borne_fen,
        int(stay.paid),
        stay.admission,
        stay.same_level,
        tables.FACILITY_LEVELS.index(stay.level),
    ]


def _members(batch: Batch, account_start: Ints, segment: int) -> list[tuple[int, str]]:
    first = int(batch.register.unit_first[batch.segments.unit[segment]])
    start, stop = int(account_start[segment]), int(account_start[segment + 1])
    return [(row, batch.register.person_ids[first + row - start]) for row in range(start, stop)]


def _stay_rows(opening: pl.DataFrame | None) -> dict[tuple[str, int], dict[str, Any]]:
    if opening is None or "last_stay" not in opening.columns:
        return {}
    known = opening.filter(pl.col("last_stay").is_not_null())
    return {(row["person_id"], row["benefit_year"]): row for row in known.iter_rows(named=True)}


def _open_account(
    layout: Layout,
    account: Ints,
    members: Sequence[tuple[int, str]],
    stays: dict[tuple[str, int], dict[str, Any]],
    year: int,
) -> Account:
    book = Account()
    for row, name in members:
        for number, counter in enumerate(layout.names):
            value = int(account[row, number])
            if value == layout.initial[number]:
                continue
            owner = "" if layout.shared[number] else name
            book.used[owner, counter] = max(value, book.used.get((owner, counter), value))
        stay = stays.get((name, year))
        if stay is not None:
            for tier in layout.stay_tiers:
                if stay[f"{tier}_stay_admission"] > 0:
                    values = [stay[f"{tier}_stay_{field}"] for field in STAY_FIELDS]
                    level = tables.FACILITY_LEVELS[values[5]]
                    book.stays[tier, stay["last_stay"]] = Stay(
                        values[0], values[1], bool(values[2]), values[3], values[4], level
                    )
            book.first_of[stay["last_stay"]] = stay["last_stay"]
    return book


def _trace_row(result: Any) -> list[int]:
    return [
        result.base_fen,
        result.first_share_fen,
        result.deductible_full_fen,
        result.deductible_fen,
        result.eligible_fen,
        *result.position,
        result.before_cap_fen,
        result.cap_left_fen,
        result.pay_fen,
    ]


def _day(number: int) -> date:
    if number <= DAWN:
        return date.min
    return date.max if number >= FAR else EPOCH + timedelta(days=int(number))


def visit_at(batch: Batch, i: int) -> Visit:
    """Give claim i as a visit, read from the table afresh."""
    row = batch.frame.row(i, named=True)
    return Visit(
        tables.CARE_TYPES[row["care_type"]],
        tables.FACILITY_LEVELS[row["facility_level"]],
        row["start_date"],
        row["end_date"],
        row["settled_date"],
        tables.AREAS[row["area"]],
        tables.REFERRALS[row["referral"]],
        row["diagnosis"],
        row["total_fen"],
    )


def person_at(batch: Batch, i: int) -> Person:
    """Give the person of claim i: of several rows the one that covers the first day of the care."""
    rows = batch.register.rows
    p = int(batch.person[i])
    people = [
        _person(rows.row(row, named=True))
        for row in range(int(batch.register.row_first[p]), int(batch.register.row_first[p + 1]))
    ]
    start = batch.frame["start_date"][i]
    return next((person for person in people if person.enrolled.holds(start)), people[0])


def _person(row: dict[str, Any]) -> Person:
    return Person(
        row["person_id"],
        row["household_id"],
        row["birth_date"],
        None if row["sex"] is None else tables.SEXES[row["sex"]],
        tables.SCHEMES[row["scheme"]],
        None if row["residence"] is None else tables.RESIDENCES[row["residence"]],
        None if row["insured_class"] is None else tables.INSURED_CLASSES[row["insured_class"]],
        Span.from_days(row["enrolled_from"], row["enrolled_to"]),
        row["continuous_years"],
        row["claim_free_years"],
        bool(row["family_doctor"]),
    )


def spells_at(batch: Batch, i: int) -> list[Spell]:
    """Give the statuses of the person of claim i."""
    marks, p = batch.spells, int(batch.person[i])
    return [
        Spell(marks.groups[int(marks.group[s])], Span(_day(int(marks.since[s])), _day(int(marks.until[s]))))
        for s in range(int(marks.first[p]), int(marks.first[p + 1]))
    ]


def claim_at(batch: Batch, i: int) -> Claim:
    """Give claim i as the reference wants it."""
    row = batch.frame.row(i, named=True)
    policy = batch.law.policies.versions[int(batch.columns.version[i])]
    amounts = batch.amounts[:, i]
    return Claim(
        row["claim_id"],
        row["person_id"],
        row["start_date"],
        row["settled_date"],
        facts_of(policy, visit_at(batch, i), person_at(batch, i), spells_at(batch, i)),
        row["in_scope_fen"],
        row["first_self_pay_fen"],
        row["over_limit_fen"],
        row["off_catalogue_fen"],
        _stay_continued(batch, i),
        {name: int(value) for name, value in zip(batch.law.dimensions.columns, amounts, strict=True) if value >= 0},
    )


def _stay_continued(batch: Batch, i: int) -> str | None:
    """Give the stay that claim i goes on with, by its first claim; also where the claims between were taken back."""
    if batch.frame["continues"][i] is None:
        return None
    return batch.stay_first[int(batch.stay_of[i])]


def settled_at(batch: Batch, i: int, opening: pl.DataFrame | None = None) -> Settled:
    """Settle the unit-year of claim i by the reference and give that claim with all its working."""
    return working_at(batch, i, opening)[0]


def working_at(batch: Batch, i: int, opening: pl.DataFrame | None = None) -> tuple[Settled, Account, Account]:
    """Settle the unit-year by the reference as far as claim i: that claim, the account before it, and the one after."""
    segment = int(np.searchsorted(batch.segments.start, i, side="right") - 1)
    claim_id = batch.frame["claim_id"][i]
    book, claims, law = _opened(batch, segment, opening)
    for claim in in_order(claims):
        before = deepcopy(book) if claim.claim_id == claim_id else None
        settled = settle_claim(claim, law[claim.claim_id], book)
        if before is not None:
            return settled, before, book
    raise AssertionError("claim i lies in its own segment")


def settled_all(batch: Batch, opening: pl.DataFrame | None = None) -> list[Settled]:
    """Settle every claim by the reference and give each with all its working, in the order of the batch."""
    found: list[Settled] = []
    for segment in range(len(batch.segments.unit)):
        book, claims, law = _opened(batch, segment, opening)
        found += settle_year(claims, lambda claim, law=law: law[claim.claim_id], book)[0]  # type: ignore[misc]
    return found


def _opened(batch: Batch, segment: int, opening: pl.DataFrame | None) -> tuple[Account, list[Claim], dict[str, Rules]]:
    """Open the account of one unit-year, and give its claims with the law for each."""
    layout = batch.law.layout
    account_start, account = _account(batch, opening)
    members = _members(batch, account_start, segment)
    book = _open_account(layout, account, members, _stay_rows(opening), int(batch.segments.year[segment]))
    rows = range(int(batch.segments.start[segment]), int(batch.segments.start[segment + 1]))
    claims = [claim_at(batch, j) for j in rows]
    policies = batch.law.policies.versions
    law = {
        one.claim_id: resolve(policies[int(batch.columns.version[j])], one.facts)
        for j, one in zip(rows, claims, strict=True)
    }
    return book, claims, law
