"""Settle many person-years in compiled integers: the fast engine.

It does what `reference` does, claim by claim, over columns that are sorted by unit (person, or household where the
policy counts by household), benefit year and order of settlement. One *segment* is one unit-year; segments are
independent, so threads take ranges of them. Amounts are int64 fen; callers have checked them against `money.MAX_FEN`.
"""

from __future__ import annotations

import numpy as np

from medfloor.policy.compile import DED_ADMISSION, DED_CLAIM, DED_CURVE, DED_YEAR, MAX_STEPS, STEP_COLUMNS
from medfloor.settlement.jit import compiled, inlined

(
    TIER, PAYS, SHARE_BP, DED_PER, DED_FEN, DED_COLUMN, DED_FACTOR, DED_INDEX, DED_SET, REPEAT_START, REPEAT_COUNT,
    TRANSFER, PER_YEAR, COUNTER, ABSOLUTE, BRACKET_START, BRACKET_COUNT, FLOOR_BP, FLOOR_OF, CAP_FEN, CAP_COLUMN,
    CAP_FACTOR, POT_START, POT_COUNT, KEEPS_DED, KEEPS_CAP, GIVEN, BASE, BASE_COUNT, ELIGIBLE, DEDUCTIBLE, PAID,
    ADMISSIONS, ADMISSIONS_LEVEL, STAY, LEVEL, DED_SHARED, COUNTER_SHARED,
) = range(len(STEP_COLUMNS))  # fmt: skip

HALF = 5_000
WHOLE = 10_000
IN_SCOPE, REFERRAL_SHARE, SET_ASIDE = 0, 1, 2


@inlined
def _rounded(value: int, mode: int, unit: int) -> int:
    """Round fen times bp to fen; the twin of money.round_fen."""
    if mode == 0 and unit == 1:
        return np.int64(np.uint64(value + HALF) // np.uint64(WHOLE))
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
def _worth(brackets: np.ndarray, start: int, count: int, position: int) -> int:
    """Give the schedule's value at a position, in fen times bp."""
    row = start
    while row + 1 < start + count and brackets[row + 1, 0] <= position:
        row += 1
    return brackets[row, 1] + (position - brackets[row, 0]) * brackets[row, 2]


@inlined
def _column_or(columns: np.ndarray, column: int, factor: int, fen: int, claim: int) -> int:
    """Give the claim's own value of an amount where its column has one (-1 = empty)."""
    if column >= 0 and columns[column, claim] >= 0:
        return (columns[column, claim] * factor + HALF) // WHOLE
    return fen


@compiled(
    "n n r1 p1 r1 r2 r2 p1 p1 r1 r2 r2 r2 r2 r2 r2 r2 r1 b1 r1 w2 w3 n n r1 w2 w2 w1 w1"
)
def settle_segments(
    segment_from: int,
    segment_to: int,
    segment_start: np.ndarray,
    profile: np.ndarray,
    in_scope: np.ndarray,
    outside: np.ndarray,
    columns: np.ndarray,
    member: np.ndarray,
    stay_of: np.ndarray,
    first: np.ndarray,
    steps: np.ndarray,
    brackets: np.ndarray,
    pots: np.ndarray,
    repeats: np.ndarray,
    rounding: np.ndarray,
    ceilings: np.ndarray,
    ceiling_rows: np.ndarray,
    initial: np.ndarray,
    shared: np.ndarray,
    account_start: np.ndarray,
    account: np.ndarray,
    stays: np.ndarray,
    members_most: int,
    basic: int,
    trace_start: np.ndarray,
    trace: np.ndarray,
    pay: np.ndarray,
    own_in_scope: np.ndarray,
    deductible_out: np.ndarray,
) -> None:
    """Settle the segments from `segment_from` up to `segment_to`.

    Shapes, for n claims, s segments, t tiers, c counters, k input columns: segment_start (s+1); profile, in_scope,
    own_in_scope, deductible_out (n); outside (3, n) or (3, 0) where no tier looks outside the scope; columns (k, n), -1
    = empty; member (n) or (0) where every segment is one person; stay_of (n) or (0): the row of `stays` that the claim
    belongs to, -1 = none of interest; pay (t, n); account (rows, c) with the rows of segment i from account_start[i] to
    account_start[i+1], or (0, c) where nothing is carried; stays (rows, stay tiers, 7); trace (rows, 10) with the rows of
    claim i from trace_start[i], or (0, 10). `basic` is the tier whose deductible is reported. Outputs are written whole for every claim of the range.
    """
    n_tiers = pay.shape[0]
    n_counters = initial.shape[0]
    look_outside = outside.shape[1] > 0
    many = member.shape[0] > 0
    carried = account.shape[0] > 0
    traced = trace.shape[0] > 0
    follow = stay_of.shape[0] > 0
    # Row 0 is the household, rows from 1 on its members.
    used = np.empty((members_most + 1, n_counters), np.int64)
    pool = np.zeros(6, np.int64)
    taken = np.zeros((MAX_STEPS, 6), np.int64)
    paid_by = np.zeros(MAX_STEPS, np.int64)

    for segment in range(segment_from, segment_to):
        begin, stop = segment_start[segment], segment_start[segment + 1]
        rows = 1
        if carried:
            rows = account_start[segment + 1] - account_start[segment]
        elif many:
            rows = members_most
        for c in range(n_counters):
            used[0, c] = initial[c]
            for m in range(1, rows + 1):
                used[m, c] = initial[c]
        if carried:
            offset = account_start[segment]
            for m in range(rows):
                for c in range(n_counters):
                    used[m + 1, c] = account[offset + m, c]
                    if shared[c]:
                        used[0, c] = max(used[0, c], account[offset + m, c])

        for i in range(begin, stop):
            p = profile[i]
            me = member[i] + 1 if many else 1
            for t in range(n_tiers):
                pay[t, i] = 0
            scope = in_scope[i]
            pool[0] = scope
            pool[1] = 0
            pool[2] = 0
            total = scope
            if look_outside:
                for k in range(3):
                    pool[3 + k] = outside[k, i]
                    total += outside[k, i]
            mode, unit = rounding[p, 0], rounding[p, 1]
            ceiling_from, ceiling_to = ceilings[p, 0], ceilings[p, 1]
            borne_out = np.int64(0)
            step_from, step_to = first[p], first[p + 1]
            for s in range(step_from, step_to):
                row = steps[s]
                share = np.int64(0)
                if row[SHARE_BP] > 0 and row[PAYS] == 0:
                    share = min(pool[IN_SCOPE], _rounded(pool[IN_SCOPE] * row[SHARE_BP], mode, unit))
                    pool[IN_SCOPE] -= share
                    pool[REFERRAL_SHARE] += share
                base = pool[IN_SCOPE]
                simple = row[BASE_COUNT] == 1 and row[BASE] == 0
                if not simple:
                    base = np.int64(0)
                    digits = row[BASE]
                    for _ in range(row[BASE_COUNT]):
                        base += pool[digits & 7]
                        digits >>= 3
                if row[PAYS] == 1:
                    if traced:
                        at = trace_start[i] + s - step_from
                        trace[at, :] = 0
                        trace[at, 0] = base
                        trace[at, 1] = share
                        trace[at, 8] = -1
                    if ceiling_to > ceiling_from:
                        paid_by[s - step_from] = 0
                        for k in range(6):
                            taken[s - step_from, k] = 0
                    continue

                full = np.int64(0)
                borne = np.int64(0)
                start = np.int64(0)
                end = base
                origin = np.int64(0)
                due = np.int64(0)
                stay_row = np.int64(-1)
                if row[PAYS] == 2:
                    if row[GIVEN] >= 0 and columns[row[GIVEN], i] > 0:
                        due = min(base, columns[row[GIVEN], i])
                else:
                    full = _column_or(columns, row[DED_COLUMN], row[DED_FACTOR], row[DED_FEN], i)
                    per = row[DED_PER]
                    reached = np.int64(0)
                    whose = 0 if row[COUNTER_SHARED] else me
                    if row[PER_YEAR]:
                        reached = used[whose, row[COUNTER]]
                    if per == DED_CURVE:
                        after = reached + base
                        used[whose, row[COUNTER]] = after
                        borne = min(max(full - reached, 0), base)
                        if row[ABSOLUTE]:
                            origin = full
                            start, end = max(reached, full), max(after, full)
                        else:
                            start, end = max(reached - full, 0), max(after - full, 0)
                    else:
                        if per == DED_YEAR:
                            owner = 0 if row[DED_SHARED] else me
                            if row[DED_SET] >= 0:
                                if used[owner, row[DED_SET]] < 0:
                                    used[owner, row[DED_SET]] = full
                                full = used[owner, row[DED_SET]]
                            borne = min(max(full - used[owner, row[DED_INDEX]], 0), base)
                            used[owner, row[DED_INDEX]] += borne
                        elif per == DED_ADMISSION:
                            slot = np.int64(-1)
                            if follow:
                                slot = stay_of[i]
                            which = row[STAY]
                            continued = slot >= 0 and stays[slot, which, 0] == 1 and row[TRANSFER] != 2
                            level = row[LEVEL]
                            if continued:
                                admission = stays[slot, which, 4]
                                same = stays[slot, which, 5]
                                if level != stays[slot, which, 6]:
                                    same = used[me, row[ADMISSIONS_LEVEL]] + 1
                            else:
                                used[me, row[ADMISSIONS]] += 1
                                used[me, row[ADMISSIONS_LEVEL]] += 1
                                admission = used[me, row[ADMISSIONS]]
                                same = used[me, row[ADMISSIONS_LEVEL]]
                            for r in range(row[REPEAT_START], row[REPEAT_START] + row[REPEAT_COUNT]):
                                number = same if repeats[r, 1] else admission
                                if number >= repeats[r, 0]:
                                    part = (full * repeats[r, 2] + HALF) // WHOLE
                                    full = max(0, part - repeats[r, 3] * (number - 1))
                                    break
                            if continued:
                                if row[TRANSFER] == 1:
                                    full = max(full, stays[slot, which, 1])
                                elif stays[slot, which, 3]:
                                    full = stays[slot, which, 1]
                                stays[slot, which, 1] = full
                                borne = min(max(full - stays[slot, which, 2], 0), base)
                                stays[slot, which, 2] += borne
                            else:
                                borne = min(full, base)
                                if slot >= 0:
                                    stays[slot, which, 0] = 1
                                    stays[slot, which, 1] = full
                                    stays[slot, which, 2] = borne
                                    stays[slot, which, 3] = 0
                                    stays[slot, which, 4] = admission
                                    stays[slot, which, 5] = same
                                    stays[slot, which, 6] = level
                            stay_row = slot
                        elif per == DED_CLAIM:
                            borne = min(full, base)
                        if row[PER_YEAR]:
                            used[whose, row[COUNTER]] += base if row[ABSOLUTE] else base - borne
                        start = reached + (borne if row[ABSOLUTE] else 0)
                        end = reached + (base if row[ABSOLUTE] else base - borne)
                    if end > start:
                        b, count = row[BRACKET_START], row[BRACKET_COUNT]
                        rest = np.int64(0)
                        if origin > 0:
                            rest = _worth(brackets, b, count, origin)
                        due = _rounded(_worth(brackets, b, count, end) - rest, mode, unit)
                        if start > 0:
                            due -= _rounded(_worth(brackets, b, count, start) - rest, mode, unit)
                    if row[FLOOR_BP] > 0:
                        of = total
                        if row[FLOOR_OF] == 1:
                            of = total - borne
                        elif row[FLOOR_OF] == 2:
                            of = scope
                        due = max(due, _rounded(of * row[FLOOR_BP], mode, unit))
                    due = min(due, base)

                left = np.int64(-1)
                cap = _column_or(columns, row[CAP_COLUMN], row[CAP_FACTOR], row[CAP_FEN], i)
                if cap >= 0:
                    left = cap
                for q in range(row[POT_START], row[POT_START] + row[POT_COUNT]):
                    cap = _column_or(columns, pots[q, 2], pots[q, 3], pots[q, 1], i)
                    if cap >= 0:
                        cap = max(0, cap - used[0 if pots[q, 4] else me, pots[q, 0]])
                        if left < 0 or cap < left:
                            left = cap
                paid = due
                if left >= 0 and left < due:
                    paid = left
                if paid > 0:
                    for q in range(row[POT_START], row[POT_START] + row[POT_COUNT]):
                        used[0 if pots[q, 4] else me, pots[q, 0]] += paid
                    used[me, row[PAID]] += paid
                    if stay_row >= 0:
                        stays[stay_row, row[STAY], 3] = 1
                used[me, row[ELIGIBLE]] += base - borne
                used[me, row[DEDUCTIBLE]] += borne
                if simple:
                    pool[IN_SCOPE] -= paid
                    if ceiling_to > ceiling_from:
                        for k in range(6):
                            taken[s - step_from, k] = 0
                        taken[s - step_from, 0] = paid
                else:
                    rest = paid
                    digits = row[BASE]
                    for k in range(6):
                        taken[s - step_from, k] = 0
                    for _ in range(row[BASE_COUNT]):
                        k = digits & 7
                        digits >>= 3
                        part = min(rest, pool[k])
                        pool[k] -= part
                        taken[s - step_from, k] = part
                        rest -= part
                if row[KEEPS_DED]:
                    part = min(borne, pool[IN_SCOPE])
                    pool[IN_SCOPE] -= part
                    pool[SET_ASIDE] += part
                if row[KEEPS_CAP]:
                    part = min(due - paid, pool[IN_SCOPE])
                    pool[IN_SCOPE] -= part
                    pool[SET_ASIDE] += part
                pay[row[TIER], i] = paid
                paid_by[s - step_from] = paid
                if row[TIER] == basic:
                    borne_out = borne
                if traced:
                    at = trace_start[i] + s - step_from
                    trace[at, 0] = base
                    trace[at, 1] = share
                    trace[at, 2] = full
                    trace[at, 3] = borne
                    trace[at, 4] = base - borne
                    trace[at, 5] = start
                    trace[at, 6] = end
                    trace[at, 7] = due
                    trace[at, 8] = left
                    trace[at, 9] = paid

            for z in range(ceiling_from, ceiling_to):
                limit = _rounded(total * ceiling_rows[z, 0], mode, unit)
                excess = -limit
                for s in range(step_from, step_to):
                    excess += paid_by[s - step_from]
                k = 1
                while excess > 0 and k <= MAX_STEPS and ceiling_rows[z, k] >= 0:
                    n = ceiling_rows[z, k]
                    k += 1
                    row = steps[step_from + n]
                    back = min(excess, paid_by[n])
                    excess -= back
                    paid_by[n] -= back
                    pay[row[TIER], i] -= back
                    used[me, row[PAID]] -= back
                    for q in range(row[POT_START], row[POT_START] + row[POT_COUNT]):
                        used[0 if pots[q, 4] else me, pots[q, 0]] -= back
                    if traced:
                        trace[trace_start[i] + n, 9] -= back
                    digits = row[BASE]
                    for _ in range(row[BASE_COUNT]):
                        which_pool = digits & 7
                        digits >>= 3
                        part = min(back, taken[n, which_pool])
                        taken[n, which_pool] -= part
                        pool[which_pool] += part
                        back -= part
            own_in_scope[i] = pool[IN_SCOPE] + pool[REFERRAL_SHARE] + pool[SET_ASIDE]
            deductible_out[i] = borne_out

        if carried:
            offset = account_start[segment]
            for m in range(rows):
                for c in range(n_counters):
                    account[offset + m, c] = used[0, c] if shared[c] else used[m + 1, c]
