"""Settle one person's (or household's) benefit year in plain Python: the normative engine.

It is written to be read beside the articles and favours words over speed. `kernel` does the same with compiled
integers; where the two differ, this one is right. The idea is that of settlement.md: a tier is a rising schedule, and
what it pays on a claim is schedule(after this claim) - schedule(before this claim).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from medfloor.money import BP, MAX_FEN, round_fen
from medfloor.policy.resolve import NO_LIMIT, Amount, Facts, Rules, Step

INSIDE = ("in_scope", "referral_share", "set_aside")
"""The pools that lie inside the insurance's scope."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Be one settlement unit with its person's facts; amounts in fen."""

    claim_id: str
    person_id: str
    start_date: date
    settled_date: date
    facts: Facts
    in_scope_fen: int
    first_self_pay_fen: int = 0
    over_limit_fen: int = 0
    off_catalogue_fen: int = 0
    continues: str | None = None
    columns: Mapping[str, int] = field(default_factory=dict)

    @property
    def total_fen(self) -> int:
        """Give all that the hospital charged."""
        return self.in_scope_fen + self.first_self_pay_fen + self.over_limit_fen + self.off_catalogue_fen


@dataclass(slots=True)
class Stay:
    """Be what one continuous stay has borne in one tier; `level` is that of its first facility."""

    deductible_fen: int
    borne_fen: int
    paid: bool
    admission: int
    same_level: int
    level: str


@dataclass(slots=True)
class Account:
    """Be what has been used so far in the benefit year: counters by (owner, name), and the stays by claim.

    The owner is a person_id, or "" for the household. Counter names are those of `policy.compile.layout_of`. `stays`
    are kept by tier and by the first claim of the stay; `first_of` leads from any claim of a stay to its first.
    """

    used: dict[tuple[str, str], int] = field(default_factory=dict)
    stays: dict[tuple[str, str], Stay] = field(default_factory=dict)
    first_of: dict[str, str] = field(default_factory=dict)
    last_stay: dict[str, str] = field(default_factory=dict)

    def get(self, owner: str, name: str) -> int:
        """Give a counter, 0 where nothing was counted."""
        return self.used.get((owner, name), 0)

    def add(self, owner: str, name: str, amount: int) -> None:
        """Count more."""
        self.used[owner, name] = self.get(owner, name) + amount


@dataclass(frozen=True, slots=True)
class TierResult:
    """Be what one tier did with one claim, for the trace and the explanation; amounts in fen.

    `position` is the stretch of the schedule's axis that this claim covers, `stretches` how much of it lies in each
    bracket. `cap_left_fen` is -1 where no cap binds this tier. `found` is what the tier found in each pool of its base
    after the first share, `set_aside_fen` what it hid from later tiers.
    """

    step: Step
    base_fen: int
    first_share_fen: int
    deductible_full_fen: int
    deductible_fen: int
    eligible_fen: int
    position: tuple[int, int]
    stretches: tuple[int, ...]
    before_cap_fen: int
    cap_left_fen: int
    pay_fen: int
    given_back_fen: int = 0
    found: Mapping[str, int] = field(default_factory=dict)
    set_aside_fen: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """Be one claim settled: what each tier paid, and what stays with the patient, in all and by pool (`left`); fen."""

    claim: Claim
    rules: Rules
    tiers: tuple[TierResult, ...]
    own_in_scope_fen: int
    own_outside_fen: int
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def pay_total_fen(self) -> int:
        """Give the sum of all payments."""
        return sum(result.pay_fen for result in self.tiers)

    def pay_of(self, tier: str) -> int:
        """Give one tier's payment, 0 where it did not apply."""
        return sum(result.pay_fen for result in self.tiers if result.step.tier == tier)


def in_order(claims: Iterable[Claim]) -> list[Claim]:
    """Put claims in the order in which they are settled.

    Same-day bills keep their order of start, then of claim_id, because the deductible belongs to the earlier one.
    """
    return sorted(claims, key=lambda claim: (claim.settled_date, claim.start_date, claim.claim_id))


def settle_year(
    claims: Sequence[Claim], rules_of: Callable[[Claim], Rules], account: Account | None = None
) -> tuple[list[Settled], Account]:
    """Settle one benefit year of one person, or of one household's people.

    `rules_of` gives the law for a claim (`policy.resolve`). `account` holds what was used before; it is changed and
    given back. Claims may come in any order.
    """
    account = account or Account()
    return [settle_claim(claim, rules_of(claim), account) for claim in in_order(claims)], account


def settle_claim(claim: Claim, rules: Rules, account: Account) -> Settled:
    """Settle one claim on top of an account, tier by tier, and count it."""
    pools = {
        "in_scope": claim.in_scope_fen,
        "referral_share": 0,
        "set_aside": 0,
        "first_self_pay": claim.first_self_pay_fen,
        "over_limit": claim.over_limit_fen,
        "off_catalogue": claim.off_catalogue_fen,
    }
    account.first_of[claim.claim_id] = account.first_of.get(claim.continues or "", claim.continues or claim.claim_id)
    if claim.facts.care_type == "inpatient" or any(step.deductible_per == "admission" for step in rules.steps):
        account.last_stay[claim.person_id] = claim.claim_id
    taken: list[dict[str, int]] = []
    results: list[TierResult] = []
    for step in rules.steps:
        result, from_pools = _settle_tier(claim, step, rules, pools, account)
        results.append(result)
        taken.append(from_pools)
    results = _give_back(claim, rules, results, taken, pools, account)
    own_in_scope = sum(pools[name] for name in INSIDE)
    settled = Settled(claim, rules, tuple(results), own_in_scope, sum(pools.values()) - own_in_scope, pools)
    assert settled.pay_total_fen + sum(pools.values()) == claim.total_fen, "no fen may be lost"
    return settled


def _settle_tier(
    claim: Claim, step: Step, rules: Rules, pools: dict[str, int], account: Account
) -> tuple[TierResult, dict[str, int]]:
    """Let one tier look at the claim (scope), then at the year (schedule), and pay."""
    # Scope: the first share leaves the base for a pool of its own.
    first_share = 0
    if step.pays == "schedule" and step.first_share_bp:
        first_share = min(pools["in_scope"], _round(pools["in_scope"] * step.first_share_bp, rules))
        pools["in_scope"] -= first_share
        pools["referral_share"] += first_share
    found = {name: pools[name] for name in step.base}
    base = sum(found.values())
    if step.pays == "nothing":
        return TierResult(step, base, first_share, 0, 0, 0, (0, 0), (), 0, NO_LIMIT, 0, found=found), {}

    owner = "" if step.household else claim.person_id
    if step.pays == "given":
        full = deductible = 0
        eligible, start, end = base, 0, base
        due = min(base, claim.columns.get(step.given or "", 0))
    else:
        full, deductible, start, end = _deductible_and_position(claim, step, base, owner, account)
        eligible = base - deductible
        # Schedule: what the year is worth after this claim, less what it was worth before.
        origin = full if step.absolute and step.in_curve else 0
        due = _worth(step, end, origin, rules) - _worth(step, start, origin, rules)
        due = min(base, max(due, floor_fen(claim, step, deductible, rules)))

    cap_left = _cap_left(claim, step, account)
    pay = due if cap_left == NO_LIMIT else min(due, cap_left)
    from_pools = _take(pools, step.base, pay)
    set_aside = _set_aside(pools, deductible) if step.keeps_deductible else 0
    set_aside += _set_aside(pools, due - pay) if step.keeps_over_cap else 0

    for name, _cap, shared in step.pots:
        account.add("" if shared else claim.person_id, f"pot_{name}_paid", pay)
    account.add(claim.person_id, f"{step.tier}_eligible", eligible)
    account.add(claim.person_id, f"{step.tier}_deductible", deductible)
    account.add(claim.person_id, f"{step.tier}_paid", pay)
    if step.deductible_per == "admission":
        stay = account.stays[step.tier, account.first_of[claim.claim_id]]
        stay.paid = stay.paid or pay > 0
    stretches = _stretches(step, start, end) if step.pays == "schedule" else ()
    result = TierResult(
        step, base, first_share, full, deductible, eligible, (start, end), stretches, due, cap_left, pay,
        found=found, set_aside_fen=set_aside,
    )  # fmt: skip
    return result, from_pools


def _deductible_and_position(
    claim: Claim, step: Step, base: int, owner: str, account: Account
) -> tuple[int, int, int, int]:
    """Give the full deductible, what of it falls on this claim, and where the claim begins and ends on the axis.

    The axis is the schedule's: zero for a schedule over the claim, the year's counter for one over the year. Brackets
    on the excess count what is above the deductible, brackets on the absolute burden count the deductible too.
    """
    amount = amount_fen(step.deductible, claim)
    reached = account.get(owner, f"counter_{step.counter}_reached") if step.per_year else 0

    if step.in_curve:
        # Deductible and brackets are one curve over the year's base, so that a change of status in the year
        # acts as schedule_new(after) - schedule_new(before).
        after = reached + base
        account.add(owner, f"counter_{step.counter}_reached", base)
        deductible = min(max(amount - reached, 0), base)
        if step.absolute:
            return amount, deductible, max(reached, amount), max(after, amount)
        return amount, deductible, max(reached - amount, 0), max(after - amount, 0)

    if step.deductible_per == "year":
        amount, deductible = _yearly(step, amount, base, owner, account)
    elif step.deductible_per == "admission":
        amount, deductible = _of_the_stay(claim, step, amount, base, account)
    else:
        deductible = min(amount, base)

    if step.per_year:
        account.add(owner, f"counter_{step.counter}_reached", base if step.absolute else base - deductible)
    if step.absolute:
        return amount, deductible, reached + deductible, reached + base
    return amount, deductible, reached, reached + base - deductible


def _yearly(step: Step, amount: int, base: int, owner: str, account: Account) -> tuple[int, int]:
    """Bear a deductible once in the year; where the law fixes it, the first claim's amount holds for all."""
    name = f"counter_{step.deductible_counter}_deductible"
    if step.deductible_fixed_first:
        amount = account.used.setdefault((owner, f"{name}_set"), amount)
    deductible = min(max(amount - account.get(owner, name), 0), base)
    account.add(owner, name, deductible)
    return amount, deductible


def _of_the_stay(claim: Claim, step: Step, amount: int, base: int, account: Account) -> tuple[int, int]:
    """Bear the deductible of a stay: less on later admissions; a transfer goes on with the stay that it continues."""
    level = claim.facts.facility_level
    person = claim.person_id
    first = account.first_of[claim.claim_id]
    stay = account.stays.get((step.tier, first))
    if stay is None or step.transfer == "new_admission":
        admission = account.get(person, f"{step.tier}_admissions") + 1
        same_level = account.get(person, f"{step.tier}_admissions_{level}") + 1
        account.add(person, f"{step.tier}_admissions", 1)
        account.add(person, f"{step.tier}_admissions_{level}", 1)
        amount = _repeated(step, amount, admission, same_level)
        stay = Stay(amount, 0, False, admission, same_level, level)
    else:
        same_level = stay.same_level
        if level != stay.level:
            same_level = account.get(person, f"{step.tier}_admissions_{level}") + 1
        own = _repeated(step, amount, stay.admission, same_level)
        if step.transfer == "highest":
            amount = max(stay.deductible_fen, own)
        else:
            amount = stay.deductible_fen if stay.paid else own
        stay.deductible_fen = amount
    deductible = min(max(amount - stay.borne_fen, 0), base)
    stay.borne_fen += deductible
    account.stays[step.tier, first] = stay
    return amount, deductible


def _repeated(step: Step, amount: int, admission: int, same_level: int) -> int:
    """Give the deductible of the n-th admission: the first rule that applies changes it."""
    for rule in step.repeats:
        number = same_level if rule.same_level else admission
        if number >= rule.from_admission:
            share = min(MAX_FEN, (amount * rule.percent_bp + BP // 2) // BP)
            return max(0, share - rule.minus_each_fen * (number - 1))
    return amount


def _worth(step: Step, position: int, origin: int, rules: Rules) -> int:
    """Give what the schedule has paid once `position` is reached, rounded by the policy's rule."""
    return _round(_value_at(step, position) - _value_at(step, origin), rules)


def _value_at(step: Step, position: int) -> int:
    """Give the schedule's value at a position, in fen times bp."""
    if position <= 0:
        return 0
    return sum(length * rate for length, (_, rate) in zip(_stretches(step, 0, position), step.brackets, strict=True))


def _stretches(step: Step, start: int, end: int) -> tuple[int, ...]:
    """Give how much of the way from start to end lies in each bracket."""
    starts = [start_fen for start_fen, _ in step.brackets]
    ends = [*starts[1:], max(end, starts[-1])]
    return tuple(max(0, min(end, upper) - max(start, lower)) for lower, upper in zip(starts, ends, strict=True))


def floor_fen(claim: Claim, step: Step, deductible: int, rules: Rules) -> int:
    """Give the floor under the payment, 0 where the policy has none."""
    if not step.floor_bp:
        return 0
    of = {
        "total": claim.total_fen,
        "total_less_deductible": claim.total_fen - deductible,
        "in_scope": claim.in_scope_fen,
    }[step.floor_of]
    return _round(of * step.floor_bp, rules)


def _cap_left(claim: Claim, step: Step, account: Account) -> int:
    """Give what the claim's own cap and every pot still allow; -1 where nothing limits."""
    caps = [amount_fen(step.cap_per_claim, claim)]
    for name, cap, shared in step.pots:
        limit = amount_fen(cap, claim)
        if limit != NO_LIMIT:
            limit = max(0, limit - account.get("" if shared else claim.person_id, f"pot_{name}_paid"))
        caps.append(limit)
    return min((cap for cap in caps if cap != NO_LIMIT), default=NO_LIMIT)


def _give_back(
    claim: Claim,
    rules: Rules,
    results: list[TierResult],
    taken: list[dict[str, int]],
    pools: dict[str, int],
    account: Account,
) -> list[TierResult]:
    """Bring the sum of payments under every ceiling; the policy's order says who gives back first."""
    results = list(results)
    for ceiling in rules.ceilings:
        limit = _round(claim.total_fen * ceiling.share_bp, rules)
        excess = max(0, sum(result.pay_fen for result in results) - limit)
        for tier in ceiling.give_back:
            for index, result in enumerate(results):
                if result.step.tier != tier or excess == 0:
                    continue
                back = min(excess, result.pay_fen)
                excess -= back
                results[index] = _less(result, back)
                for name, _cap, shared in result.step.pots:
                    account.add("" if shared else claim.person_id, f"pot_{name}_paid", -back)
                account.add(claim.person_id, f"{tier}_paid", -back)
                for name in result.step.base:
                    part = min(back, taken[index].get(name, 0))
                    taken[index][name] = taken[index].get(name, 0) - part
                    pools[name] += part
                    back -= part
    return results


def _less(result: TierResult, back: int) -> TierResult:
    return replace(result, pay_fen=result.pay_fen - back, given_back_fen=result.given_back_fen + back)


def _take(pools: dict[str, int], base: Sequence[str], pay: int) -> dict[str, int]:
    """Take a payment out of the pools of the base, in its order."""
    taken: dict[str, int] = {}
    for name in base:
        part = min(pay, pools[name])
        pools[name] -= part
        taken[name] = part
        pay -= part
    assert pay == 0, "a tier never pays more than its base"
    return taken


def _set_aside(pools: dict[str, int], amount: int) -> int:
    """Move what later tiers must not see out of the scope's pool; gives how much could be moved."""
    amount = min(amount, pools["in_scope"])
    pools["in_scope"] -= amount
    pools["set_aside"] += amount
    return amount


def amount_fen(amount: Amount, claim: Claim) -> int:
    """Give an amount: that of the claim's column where there is one, else the policy's."""
    if amount.column is not None and amount.column in claim.columns:
        return min(MAX_FEN, (claim.columns[amount.column] * amount.factor_bp + BP // 2) // BP)
    return amount.fen


def _round(value_fen_bp: int, rules: Rules) -> int:
    return round_fen(value_fen_bp, rules.rounding_mode, rules.rounding_place)
