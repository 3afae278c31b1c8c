"""Settle many person-years in compiled integers: the fast engine.

It does what `reference` does, claim by claim, over columns that are sorted by unit (person, or household where the
policy counts by household), benefit year and order of settlement. One *segment* is one unit-year; segments are
independent, so threads take ranges of them. Amounts are int64 fen; callers have checked them against `money.MAX_FEN`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medfloor.jit import compiled, inlined
from medfloor.money import MAX_FEN
from medfloor.policy.compile import DED_ADMISSION, DED_CLAIM, DED_CURVE, DED_YEAR, MAX_STEPS, POOLS, STEP_COLUMNS

(
    TIER, PAYS, SHARE_BP, DED_PER, DED_FEN, DED_COLUMN, DED_FACTOR, DED_INDEX, DED_SET, REPEAT_START, REPEAT_COUNT,
    TRANSFER, PER_YEAR, COUNTER, ABSOLUTE, BRACKET_START, BRACKET_COUNT, FLOOR_BP, FLOOR_OF, CAP_FEN, CAP_COLUMN,
    CAP_FACTOR, POT_START, POT_COUNT, KEEPS_DED, KEEPS_CAP, GIVEN, BASE, BASE_COUNT, ELIGIBLE, DEDUCTIBLE, PAID,
    ADMISSIONS, ADMISSIONS_LEVEL, STAY, LEVEL, DED_SHARED, COUNTER_SHARED, ODD,
) = range(len(STEP_COLUMNS))  # fmt: skip

Column = Any
"""An array as compiled code sees it; shapes and types are in the docstring of `settle_segments`."""

HALF = 5_000
WHOLE = 10_000
IN_SCOPE, REFERRAL_SHARE, SET_ASIDE = 0, 1, 2


@inlined
def _rounded(value: int, mode: int, unit: int) -> int:
    """Round fen times bp to fen; the twin of money.round_fen."""
    if mode == 0 and unit == 1:
        return int(np.uint64(value + HALF) // np.uint64(WHOLE))
    step = WHOLE * unit
    whole = value // step
    rest = value - whole * step
    up = 0
    if (
        (mode == 0 and 2 * rest >= step)
        or (mode == 1 and (2 * rest > step or (2 * rest == step and whole % 2 == 1)))
        or (mode == 3 and rest > 0)
    ):
        up = 1
    return (whole + up) * unit


@inlined
def _worth(brackets: Column, start: int, count: int, position: int) -> int:
    """Give the schedule's value at a position, in fen times bp."""
    row = start
    while row + 1 < start + count and brackets[row + 1, 0] <= position:
        row += 1
    worth: int = brackets[row, 1] + (position - brackets[row, 0]) * brackets[row, 2]
    return worth


@inlined
def _share_of(amount: int, share_bp: int) -> int:
    """Give a share of an amount, to the nearest fen; in two steps, because amount times bp may leave 64 bits."""
    whole = amount // WHOLE
    return min(MAX_FEN, whole * share_bp + ((amount - whole * WHOLE) * share_bp + HALF) // WHOLE)


@inlined
def _column_or(columns: Column, column: int, factor: int, fen: int, claim: int) -> int:
    """Give the claim's own value of an amount where its column has one (-1 = empty)."""
    if column >= 0 and columns[column, claim] >= 0:
        return _share_of(columns[column, claim], factor)
    return fen


@inlined
def _reaching(row: Column, pool: Column, mode: int, unit: int) -> tuple[int, int]:
    """Scope: move the first share into its own pool. Gives it, and the base, what reaches the tier."""
    share = 0
    if row[SHARE_BP] > 0 and row[PAYS] == 0:
        share = min(pool[IN_SCOPE], _rounded(pool[IN_SCOPE] * row[SHARE_BP], mode, unit))
        pool[IN_SCOPE] -= share
        pool[REFERRAL_SHARE] += share
    base = 0
    digits = row[BASE]
    for _ in range(row[BASE_COUNT]):
        base += pool[digits & 7]
        digits >>= 3
    return share, base


@inlined
def _borne_in_year(row: Column, owner: Column, full: int, base: int) -> tuple[int, int]:
    """Bear a deductible once in the year. Gives its full amount (the first claim's, where fixed) and the part."""
    if row[DED_SET] >= 0:
        if owner[row[DED_SET]] < 0:
            owner[row[DED_SET]] = full
        full = owner[row[DED_SET]]
    borne = min(max(full - owner[row[DED_INDEX]], 0), base)
    owner[row[DED_INDEX]] += borne
    return full, borne


@inlined
def _borne_by_stay(
    row: Column, repeats: Column, mine: Column, stays: Column, slot: int, full: int, base: int
) -> tuple[int, int]:
    """Bear the deductible of a stay: less on later admissions; a transfer goes on with its stay (-1 = none)."""
    which = row[STAY]
    continued = slot >= 0 and stays[slot, which, 0] == 1 and row[TRANSFER] != 2
    if continued:
        admission = stays[slot, which, 4]
        same = stays[slot, which, 5]
        if row[LEVEL] != stays[slot, which, 6]:
            same = mine[row[ADMISSIONS_LEVEL]] + 1
    else:
        mine[row[ADMISSIONS]] += 1
        mine[row[ADMISSIONS_LEVEL]] += 1
        admission = mine[row[ADMISSIONS]]
        same = mine[row[ADMISSIONS_LEVEL]]
    for r in range(row[REPEAT_START], row[REPEAT_START] + row[REPEAT_COUNT]):
        number = same if repeats[r, 1] else admission
        if number >= repeats[r, 0]:
            full = max(0, _share_of(full, repeats[r, 2]) - repeats[r, 3] * (number - 1))
            break
    if slot < 0:
        return full, min(full, base)
    if continued:
        if row[TRANSFER] == 1:
            full = max(full, stays[slot, which, 1])
        elif stays[slot, which, 3]:
            full = stays[slot, which, 1]
        borne = min(max(full - stays[slot, which, 2], 0), base)
        stays[slot, which, 1] = full
        stays[slot, which, 2] += borne
        return full, borne
    borne = min(full, base)
    stays[slot, which, 0] = 1
    stays[slot, which, 1] = full
    stays[slot, which, 2] = borne
    stays[slot, which, 3] = 0
    stays[slot, which, 4] = admission
    stays[slot, which, 5] = same
    stays[slot, which, 6] = row[LEVEL]
    return full, borne


@inlined
def _least(row: Column, total: int, borne: int, scope: int, mode: int, unit: int) -> int:
    """Give the floor under the payment."""
    of = total
    if row[FLOOR_OF] == 1:
        of = total - borne
    elif row[FLOOR_OF] == 2:
        of = scope
    return _rounded(of * row[FLOOR_BP], mode, unit)


@inlined
def _left(row: Column, pots: Column, columns: Column, home: Column, mine: Column, claim: int) -> int:
    """Give what the claim's own cap and every pot still allow; -1 where nothing limits."""
    left = -1
    cap = _column_or(columns, row[CAP_COLUMN], row[CAP_FACTOR], row[CAP_FEN], claim)
    if cap >= 0:
        left = cap
    for q in range(row[POT_START], row[POT_START] + row[POT_COUNT]):
        cap = _column_or(columns, pots[q, 2], pots[q, 3], pots[q, 1], claim)
        if cap >= 0:
            cap = max(0, cap - (home if pots[q, 4] else mine)[pots[q, 0]])
            if left < 0 or cap < left:
                left = cap
    return left


@inlined
def _take(row: Column, pool: Column, taken: Column, at: int, paid: int) -> None:
    """Take a payment out of the pools of the base, in its order."""
    digits = row[BASE]
    for k in range(6):
        taken[at, k] = 0
    for _ in range(row[BASE_COUNT]):
        k = digits & 7
        digits >>= 3
        part = min(paid, pool[k])
        pool[k] -= part
        taken[at, k] = part
        paid -= part


@inlined
def _set_aside(pool: Column, amount: int) -> None:
    """Move what later tiers must not see out of the scope's pool."""
    part = min(amount, pool[IN_SCOPE])
    pool[IN_SCOPE] -= part
    pool[SET_ASIDE] += part


@inlined
def _give_back(
    limit: int, order: Column, step_from: int, step_to: int, steps: Column, pots: Column, home: Column,
    mine: Column, paid_by: Column, taken: Column, pool: Column,
) -> None:  # fmt: skip
    """Bring the payments under a ceiling; `order` has, behind the share, the steps in the order of giving back."""
    excess = -limit
    for n in range(step_to - step_from):
        excess += paid_by[n]
    k = 1
    while excess > 0 and k <= MAX_STEPS and order[k] >= 0:
        n = order[k]
        k += 1
        row = steps[step_from + n]
        back = min(excess, paid_by[n])
        excess -= back
        paid_by[n] -= back
        mine[row[PAID]] -= back
        for q in range(row[POT_START], row[POT_START] + row[POT_COUNT]):
            (home if pots[q, 4] else mine)[pots[q, 0]] -= back
        digits = row[BASE]
        for _ in range(row[BASE_COUNT]):
            from_pool = digits & 7
            digits >>= 3
            part = min(back, taken[n, from_pool])
            taken[n, from_pool] -= part
            pool[from_pool] += part
            back -= part


@inlined
def _open(
    segment: int, carried: bool, rows: int, initial: Column, shared: Column, any_shared: bool,
    account_start: Column, account: Column, used: Column,
) -> None:  # fmt: skip
    """Begin a unit-year: nothing used, or what was carried over. Row 0 is the household, rows from 1 on its members."""
    mine = used[1]
    for c in range(initial.shape[0]):
        mine[c] = initial[c]
    if any_shared or rows > 1:
        for c in range(initial.shape[0]):
            used[0, c] = initial[c]
            for m in range(2, rows + 1):
                used[m, c] = initial[c]
    if carried:
        offset = account_start[segment]
        for m in range(rows):
            for c in range(initial.shape[0]):
                used[m + 1, c] = account[offset + m, c]
                if shared[c]:
                    used[0, c] = max(used[0, c], account[offset + m, c])


def settle_segments(
    segment_from: int,
    segment_to: int,
    segment_start: Column,
    profile: Column,
    in_scope: Column,
    outside: Column,
    columns: Column,
    member: Column,
    stay_of: Column,
    first: Column,
    steps: Column,
    brackets: Column,
    pots: Column,
    repeats: Column,
    rounding: Column,
    ceilings: Column,
    ceiling_rows: Column,
    initial: Column,
    shared: Column,
    account_start: Column,
    account: Column,
    stays: Column,
    members_most: int,
    basic: int,
    trace_start: Column,
    trace: Column,
    pay: Column,
    own_in_scope: Column,
    deductible_out: Column,
) -> None:
    """Settle the segments from `segment_from` up to `segment_to`.

    Shapes, for n claims, s segments, t tiers, c counters, k input columns: segment_start (s+1); profile, in_scope,
    own_in_scope, deductible_out (n); outside (3, n) or (3, 0) where no tier looks outside the scope; columns (k, n),
    -1 = empty; member (n) or (0) where every segment is one person; stay_of (n) or (0): the row of `stays` that the
    claim belongs to, -1 = none of interest; pay (t, n); account (rows, c) with the rows of segment i from
    account_start[i] to account_start[i+1], or (0, c) where nothing is carried; stays (rows, stay tiers, 7); trace
    (rows, 10) with the rows of claim i from trace_start[i], or (0, 10). `basic` is the tier whose deductible is
    reported. Outputs are written whole for every claim of the range.
    """
    used = np.empty((members_most + 1, initial.shape[0]), np.int64)
    pool = np.zeros(len(POOLS), np.int64)
    taken = np.zeros((MAX_STEPS, len(POOLS)), np.int64)
    paid_by = np.zeros(MAX_STEPS, np.int64)
    _settle(
        segment_from, segment_to, segment_start, profile, in_scope, outside, columns, member, stay_of, first, steps,
        brackets, pots, repeats, rounding, ceilings, ceiling_rows, initial, shared, account_start, account, stays,
        members_most, basic, trace_start, trace, pay, own_in_scope, deductible_out, used, pool, taken, paid_by,
    )  # fmt: skip


@compiled(
    "n n r1 p1 r1 r2 r2 p1 p1 r1 r2 r2 r2 r2 r2 r2 r2 r1 b1 r1 w2 w3 n n r1 w2 w2 w1 w1 w2 w1 w2 w1", counted=False
)
def _settle(
    segment_from: int,
    segment_to: int,
    segment_start: Column,
    profile: Column,
    in_scope: Column,
    outside: Column,
    columns: Column,
    member: Column,
    stay_of: Column,
    first: Column,
    steps: Column,
    brackets: Column,
    pots: Column,
    repeats: Column,
    rounding: Column,
    ceilings: Column,
    ceiling_rows: Column,
    initial: Column,
    shared: Column,
    account_start: Column,
    account: Column,
    stays: Column,
    members_most: int,
    basic: int,
    trace_start: Column,
    trace: Column,
    pay: Column,
    own_in_scope: Column,
    deductible_out: Column,
    used: Column,
    pool: Column,
    taken: Column,
    paid_by: Column,
) -> None:
    """Do what `settle_segments` says, with scratch space: `used` (members + 1, c), pool, taken and paid_by.

    The heart of it stays in one piece: taken apart into a function for the schedule it ran 1.6 times as long, because
    the compiler does not put functions of so many arrays back together (docs/performance.md).
    """
    look_outside = outside.shape[1] > 0
    many = member.shape[0] > 0
    carried = account.shape[0] > 0
    traced = trace.shape[0] > 0
    follow = stay_of.shape[0] > 0
    any_shared = False
    for c in range(shared.shape[0]):
        any_shared = any_shared or shared[c]
    home = used[0]
    any_ceiling = ceiling_rows.shape[0] > 0
    for segment in range(segment_from, segment_to):
        rows = 1
        if carried:
            rows = account_start[segment + 1] - account_start[segment]
        elif many:
            rows = members_most
        _open(segment, carried, rows, initial, shared, any_shared, account_start, account, used)

        for i in range(segment_start[segment], segment_start[segment + 1]):
            p = profile[i]
            mine = used[member[i] + 1 if many else 1]
            scope = in_scope[i]
            total = scope
            pool[IN_SCOPE], pool[REFERRAL_SHARE], pool[SET_ASIDE] = scope, 0, 0
            if look_outside:
                for k in range(3):
                    pool[3 + k] = outside[k, i]
                    total += outside[k, i]
            for t in range(pay.shape[0]):
                pay[t, i] = 0
            mode, unit = rounding[p, 0], rounding[p, 1]
            step_from, step_to = first[p], first[p + 1]
            capped = any_ceiling and ceilings[p, 1] > ceilings[p, 0]
            borne_out = 0
            for s in range(step_from, step_to):
                row = steps[s]
                at = s - step_from
                share = 0
                base = pool[IN_SCOPE]
                if row[ODD]:
                    share, base = _reaching(row, pool, mode, unit)
                paid_by[at] = 0
                if row[PAYS] == 1:
                    if traced:
                        line = trace_start[i] + at
                        trace[line, :] = 0
                        trace[line, 0], trace[line, 1], trace[line, 8] = base, share, -1
                    continue

                full = 0
                borne = 0
                start = 0
                end = base
                due = 0
                slot = -1
                if row[PAYS] == 2:
                    if row[GIVEN] >= 0 and columns[row[GIVEN], i] > 0:
                        due = min(base, columns[row[GIVEN], i])
                else:
                    origin = 0
                    full = row[DED_FEN]
                    if row[DED_COLUMN] >= 0:
                        full = _column_or(columns, row[DED_COLUMN], row[DED_FACTOR], row[DED_FEN], i)
                    whose = home if row[COUNTER_SHARED] else mine
                    reached = 0
                    if row[PER_YEAR]:
                        reached = whose[row[COUNTER]]
                    if row[DED_PER] == DED_CURVE:
                        after = reached + base
                        whose[row[COUNTER]] = after
                        if after <= full and not row[ODD] and not traced:
                            # All of it lies under the deductible: nothing is paid, which is what most claims meet.
                            if row[TIER] == basic:
                                borne_out = base
                            if carried:
                                mine[row[DEDUCTIBLE]] += base
                            continue
                        borne = min(max(full - reached, 0), base)
                        if row[ABSOLUTE]:
                            origin = full
                            start, end = max(reached, full), max(after, full)
                        else:
                            start, end = max(reached - full, 0), max(after - full, 0)
                    else:
                        if row[DED_PER] == DED_ADMISSION:
                            if follow:
                                slot = stay_of[i]
                            full, borne = _borne_by_stay(row, repeats, mine, stays, slot, full, base)
                        elif row[DED_PER] == DED_YEAR:
                            full, borne = _borne_in_year(row, home if row[DED_SHARED] else mine, full, base)
                        elif row[DED_PER] == DED_CLAIM:
                            borne = min(full, base)
                        start, end = reached, reached + base - borne
                        if row[ABSOLUTE]:
                            start, end = reached + borne, reached + base
                        if row[PER_YEAR]:
                            whose[row[COUNTER]] = reached + (base if row[ABSOLUTE] else base - borne)
                    if end > start:
                        b, count = row[BRACKET_START], row[BRACKET_COUNT]
                        rest = 0
                        if origin > 0:
                            rest = _worth(brackets, b, count, origin)
                        due = _rounded(_worth(brackets, b, count, end) - rest, mode, unit)
                        if start > 0:
                            due -= _rounded(_worth(brackets, b, count, start) - rest, mode, unit)
                    if row[FLOOR_BP] > 0:
                        due = max(due, _least(row, total, borne, scope, mode, unit))
                    due = min(due, base)

                paid = due
                left = -1
                if due > 0 or traced:
                    left = _left(row, pots, columns, home, mine, i)
                    if left >= 0 and left < due:
                        paid = left
                if row[ODD] or capped:
                    _take(row, pool, taken, at, paid)
                else:
                    pool[IN_SCOPE] -= paid
                if paid > 0:
                    for q in range(row[POT_START], row[POT_START] + row[POT_COUNT]):
                        (home if pots[q, 4] else mine)[pots[q, 0]] += paid
                    if slot >= 0:
                        stays[slot, row[STAY], 3] = 1
                    pay[row[TIER], i] = paid
                    paid_by[at] = paid
                if carried:
                    mine[row[PAID]] += paid
                    mine[row[ELIGIBLE]] += base - borne
                    mine[row[DEDUCTIBLE]] += borne
                if row[KEEPS_DED]:
                    _set_aside(pool, borne)
                if row[KEEPS_CAP]:
                    _set_aside(pool, due - paid)
                if row[TIER] == basic:
                    borne_out = borne
                if traced:
                    line = trace_start[i] + at
                    trace[line, 0], trace[line, 1], trace[line, 2], trace[line, 3] = base, share, full, borne
                    trace[line, 4], trace[line, 5], trace[line, 6] = base - borne, start, end
                    trace[line, 7], trace[line, 8], trace[line, 9] = due, left, paid

            if capped:
                for z in range(ceilings[p, 0], ceilings[p, 1]):
                    limit = _rounded(total * ceiling_rows[z, 0], mode, unit)
                    _give_back(
                        limit, ceiling_rows[z], step_from, step_to, steps, pots, home, mine, paid_by, taken, pool
                    )
                for s in range(step_from, step_to):
                    pay[steps[s, TIER], i] = paid_by[s - step_from]
                    if traced:
                        trace[trace_start[i] + s - step_from, 9] = paid_by[s - step_from]
            own_in_scope[i] = pool[IN_SCOPE] + pool[REFERRAL_SHARE] + pool[SET_ASIDE]
            deductible_out[i] = borne_out

        if carried:
            offset = account_start[segment]
            for m in range(rows):
                for c in range(initial.shape[0]):
                    account[offset + m, c] = used[0, c] if shared[c] else used[m + 1, c]
