"""Work out how each tier came to its payment on one claim: which numbers of law, and what they made.

The amounts are those of the reference; here they are joined with the articles that say them. What did not apply is
joined with the first condition that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from medfloor.errors import PolicyError
from medfloor.money import BP, round_fen
from medfloor.policy.model import (
    Adjust,
    Bracket,
    Case,
    Deductible,
    Part,
    Policy,
    Repeat,
    Sourced,
    StatusDay,
    Tier,
    When,
    Words,
)
from medfloor.policy.numbers import Ground, Number, conditions_of, ground_of, ground_of_holder
from medfloor.policy.resolve import NO_LIMIT, Facts, Step, case_for, fits, resolve
from medfloor.policy.wording import condition_text, figure_text, group_name
from medfloor.settlement.explanation import (
    BracketPaid,
    CapUsed,
    CeilingUsed,
    Cited,
    DeductibleBorne,
    FirstShare,
    FloorUsed,
    PassedOver,
    PoolFound,
    Preferred,
    RateChange,
    Text,
    TierExplained,
    Working,
    product_text,
)
from medfloor.settlement.reference import Account, Settled, TierResult, amount_fen, floor_fen
from medfloor.settlement.scope import Visit
from medfloor.words import join, knows, say

_CODED = ("care_type", "facility_level", "area", "referral", "scheme", "insured_class", "residence", "sex")
_NUMBERS = ("age", "continuous_years", "claim_free_years", "total")


@dataclass(frozen=True)
class Scene:
    """Be one settled claim with the law and facts behind it, and the account before and after it.

    `earlier` gives the claims of the unit-year that were settled before this one, the latest first.
    """

    policy: Policy
    facts: Facts
    visit: Visit
    settled: Settled
    before: Account
    after: Account
    earlier: Callable[[], Iterator[Scene]] = lambda: iter(())

    def day(self, tier: Tier) -> StatusDay:
        """Give the day that counts for a status in this tier."""
        return tier.status_day or self.policy.status_day

    def index_of(self, tier: str) -> int:
        """Give the place of a tier among those that had a part for this claim; -1 where it had none."""
        return next((n for n, result in enumerate(self.settled.tiers) if result.step.tier == tier), -1)

    @property
    def stay(self) -> str:
        """Give the first claim of the stay that this claim belongs to."""
        return self.after.first_of.get(self.settled.claim.claim_id, self.settled.claim.claim_id)


def explain_tier(scene: Scene, tier: Tier) -> TierExplained:
    """Explain one tier: its working, or why it did not apply."""
    day = scene.day(tier)
    held = scene.facts.held.get(day, frozenset())
    group = next((one for one in tier.prefer if one in held), "none")
    index = scene.index_of(tier.id)
    last = scene.settled.tiers[-1].step if scene.settled.tiers else None
    order = [one.id for one in scene.policy.tiers]
    closed = last is not None and not last.feeds and order.index(last.tier) < order.index(tier.id)
    working = None
    if index >= 0:
        part = next(one for one in tier.parts if one.id == scene.settled.tiers[index].step.part)
        working = _working(scene, tier, part, index)
    return TierExplained(
        tier=tier.id,
        name=text_of(tier.name),
        group=group,
        group_name=group_text(scene.policy, group),
        status_day=day,
        prefers=tuple(Preferred(one, group_text(scene.policy, one), one in held) for one in tier.prefer),
        closed_by=last.tier if closed and last is not None else None,
        working=working,
        passed_over=() if closed else tuple(_passed_over(scene, tier, group, working.part if working else None)),
    )


def _passed_over(scene: Scene, tier: Tier, group: str, used: str | None) -> list[PassedOver]:
    """Say of each part that was not used which condition failed first, or that an earlier part was used."""
    found = []
    for part in tier.parts:
        if part.id == used:
            continue
        name = text_of(part.name) if part.name else Text(part.id, part.id)
        failed = first_failure(scene, part.when, group, scene.day(tier))
        if failed is None:
            failed = ("earlier_part", Text("", ""), Text("", ""))
        found.append(PassedOver(part.id, name, *failed))
    return found


def first_failure(scene: Scene, when: When | None, group: str, day: StatusDay) -> tuple[str, Text, Text] | None:
    """Give the first condition that fails, what it asks, and what the claim has; None where all hold.

    The diagnosis of the claim is never said.
    """
    if fits(when, scene.facts, group, day) or when is None:
        return None
    asked = [name for name in When.model_fields if getattr(when, name) is not None]
    # In the order in which a reader would look: who and what first, then how much.
    for name in sorted(asked, key=lambda one: (one in _NUMBERS, one == "diagnosis")):
        alone = When.model_validate({name: getattr(when, name)})
        if not fits(alone, scene.facts, group, day):
            return name, _asked(scene, name, alone), _found(scene, name, group, day)
    raise AssertionError("a condition that fails has a part that fails")


def _asked(scene: Scene, name: str, alone: When) -> Text:
    """Say what a condition asks for; statuses by their names alone."""
    if name in ("group", "holds"):
        groups: list[str] = getattr(alone, name)
        return Text(*(say("when.or", x).join(group_name(scene.policy, g, x) for g in groups) for x in ("zh", "en")))
    return Text(*(condition_text(scene.policy, alone, lang) for lang in ("zh", "en")))


def _found(scene: Scene, name: str, group: str, day: StatusDay) -> Text:
    """Say what the claim has where a condition asks."""
    facts = scene.facts
    if name in _CODED:
        code = getattr(facts, name)
        return both("explain.unknown") if code is None else both(f"{name}.{code}")
    if name == "family_doctor":
        return both("when.family_doctor_yes" if facts.family_doctor else "when.family_doctor_no")
    if name == "group":
        return group_text(scene.policy, group)
    if name in ("holds", "lacks"):
        names = sorted(facts.held.get(day, frozenset())) or ["none"]
        return Text(*(join([group_name(scene.policy, one, lang) for one in names], lang) for lang in ("zh", "en")))
    if name == "total":
        return both("value.yuan", value=f"{facts.total_fen / 100:,.2f}")
    if name == "diagnosis":
        return both("explain.diagnosis_not_said")
    value = getattr(facts, name)
    return both("explain.unknown") if value is None else both(f"explain.found_{name}", n=value)


def _working(scene: Scene, tier: Tier, part: Part, index: int) -> Working:
    """Join what the reference made of a tier with the numbers of law behind it."""
    result, rules = scene.settled.tiers[index], scene.settled.rules
    step, claim = result.step, scene.settled.claim
    brackets = _brackets(scene, tier, part, result)
    exact = (
        sum(length * rate for length, (_, rate) in zip(result.stretches, step.brackets, strict=True)) if brackets else 0
    )
    floor = None
    if part.floor is not None and step.floor_bp:
        least = floor_fen(claim, step, result.deductible_fen, rules)
        raised = result.before_cap_fen == min(least, result.base_fen) and least * BP > exact + BP
        cites = _case_cited(scene, part.floor.share, step.group, tier, (part.floor, part, tier))
        floor = FloorUsed(step.floor_of, step.floor_bp, least, raised, cites)
    paid = result.pay_fen + result.given_back_fen
    reached = result.position
    schedule = step.pays == "schedule"
    return Working(
        part=part.id,
        part_name=text_of(part.name) if part.name else Text(part.id, part.id),
        pays=part.pays,
        feeds=part.feeds,
        given_column=part.given,
        pools=tuple(PoolFound(pool, amount) for pool, amount in result.found.items()),
        base_fen=result.base_fen,
        first_share=_first_share(scene, tier, part, result),
        deductible=_deductible(scene, tier, part, result),
        eligible_fen=result.eligible_fen,
        over_year=step.per_year,
        absolute=step.absolute,
        reached_before_fen=reached[0],
        reached_after_fen=reached[1],
        brackets=brackets,
        exact_yuan=product_text(exact),
        rounded=schedule and not (floor and floor.raised) and exact != result.before_cap_fen * BP,
        rounding_mode=rules.rounding_mode,
        rounding_place=rules.rounding_place,
        floor=floor,
        due_fen=result.before_cap_fen,
        caps=_caps(scene, tier, part, index),
        capped=paid < result.before_cap_fen,
        set_aside_fen=result.set_aside_fen,
        paid_at_first_fen=paid,
        given_back_fen=result.given_back_fen,
        pay_fen=result.pay_fen,
        left_fen=result.base_fen - paid - result.set_aside_fen,
        cited=_holders_cited(scene, (part, tier)),
    )


def _first_share(scene: Scene, tier: Tier, part: Part, result: TierResult) -> FirstShare | None:
    if not result.step.first_share_bp or part.first_share is None:
        return None
    cites = _case_cited(scene, part.first_share, result.step.group, tier, (part, tier))
    return FirstShare(result.step.first_share_bp, result.first_share_fen, cites)


def _deductible(scene: Scene, tier: Tier, part: Part, result: TierResult) -> DeductibleBorne | None:
    """Say what the deductible is, what was borne of it before, and which stay of the year this is."""
    rule, step = part.deductible, result.step
    if rule is None or step.pays != "schedule":
        return None
    claim_id = scene.settled.claim.claim_id
    found = _fixing(scene, tier.id)
    fixed = None if found is None else _standard(*found)
    kept = found is None or found[0] is not scene
    cites = [] if fixed is None else list(fixed.cited)
    admission = same_level = 0
    continued = None
    if step.deductible_per == "admission":
        stay = scene.after.stays[tier.id, scene.stay]
        admission, same_level = stay.admission, stay.same_level
        continued = scene.before.stays.get((tier.id, scene.stay))
    if kept or (rule.source and (continued is not None or step.deductible_fixed_first)):
        # The article that lets an earlier claim decide: that of the rule, else of the part it stands in.
        cites.append(cited(scene, next((one for one in (rule, part, tier) if one.source), rule)))
    return DeductibleBorne(
        per=rule.per,
        standard_fen=None if fixed is None else fixed.standard_fen,
        factor_bp=None if fixed is None else fixed.factor_bp,
        repeat_bp=None if fixed is None else fixed.repeat_bp,
        repeat_less_fen=0 if fixed is None else fixed.repeat_less_fen,
        full_fen=result.deductible_full_fen,
        borne_before_fen=_borne_before(scene, step, result),
        borne_fen=result.deductible_fen,
        admission=admission,
        same_level=same_level,
        continues=scene.stay if continued is not None and scene.stay != claim_id else None,
        kept=kept,
        fixed_by=found[0].settled.claim.claim_id if kept and found is not None else None,
        cited=tuple(dict.fromkeys(cites)),
    )


def _fixing(scene: Scene, tier: str) -> tuple[Scene, str] | None:
    """Find the claim, and the tier of it, whose facts fixed the amount of a deductible: this one, or an earlier one.

    None where it was one that only the opening accumulators know.
    """
    step = scene.settled.tiers[scene.index_of(tier)].step
    if step.deductible_fixed_first and step.deductible_per == "year":
        owner = _owner(scene, step)
        if (owner, f"counter_{step.deductible_counter}_deductible_set") not in scene.before.used:
            return scene, tier
        for one in scene.earlier():
            for result in one.settled.tiers:
                same = result.step.deductible_counter == step.deductible_counter and _owner(one, result.step) == owner
                if same and result.step.deductible_fixed_first:
                    return _fixing(one, result.step.tier)
        return None
    stay = scene.before.stays.get((tier, scene.stay)) if step.deductible_per == "admission" else None
    if stay is None or step.transfer == "new_admission":
        return scene, tier
    full_fen = scene.settled.tiers[scene.index_of(tier)].deductible_full_fen
    if not (full_fen <= stay.deductible_fen if step.transfer == "highest" else stay.paid):
        return scene, tier
    for one in scene.earlier():
        if one.stay == scene.stay and any(n.step.tier == tier and n.step.pays == "schedule" for n in one.settled.tiers):
            return _fixing(one, tier)
    return None


@dataclass(frozen=True)
class _Standard:
    """Be how the claim that fixed a deductible came to its amount, and the words that say so."""

    standard_fen: int | None
    factor_bp: int | None
    repeat_bp: int | None
    repeat_less_fen: int
    cited: tuple[Cited, ...]


def _standard(scene: Scene, tier_id: str) -> _Standard:
    """Say how the amount of a deductible comes about from the facts of this claim itself."""
    tier = next(one for one in scene.policy.tiers if one.id == tier_id)
    step = scene.settled.tiers[scene.index_of(tier_id)].step
    part = next(one for one in tier.parts if one.id == step.part)
    rule = part.deductible
    assert rule is not None, "a step that has a deductible comes from a part that has one"
    around, day, group = (rule, part, tier), scene.day(tier), step.group
    amount = case_for(rule.amount, scene.facts, group, day)
    factor = case_for(rule.factor, scene.facts, group, day)
    cites = [_cited(scene, case, around) for case in (amount, factor) if case is not None]
    repeat, less_fen = None, 0
    if step.deductible_per == "admission":
        stay = scene.after.stays[tier.id, scene.stay]
        same_level, level = stay.same_level, scene.facts.facility_level
        if level != stay.level:  # a transfer to another level counts there as it would on its own
            same_level = scene.before.get(scene.settled.claim.person_id, f"{tier.id}_admissions_{level}") + 1
        repeat = _repeat(scene, rule, stay.admission, same_level, group, day)
        if repeat is not None:
            less_fen = _less(repeat, stay.admission, same_level)
            cites += [
                _cited(scene, number, (repeat, *around)) for number in (repeat.percent, repeat.minus_each) if number
            ]
    standard_fen = None
    if amount is not None and amount.value is not None and amount.of is None and amount.column is None:
        standard_fen = int(amount.value * 100)
    return _Standard(
        standard_fen=standard_fen,
        factor_bp=None if factor is None or factor.value is None else int(factor.value * 100),
        repeat_bp=None if repeat is None or repeat.percent is None else int((repeat.percent.value or 0) * 100),
        repeat_less_fen=less_fen,
        cited=tuple(cites),
    )


def _owner(scene: Scene, step: Step) -> str:
    return "" if step.household else scene.settled.claim.person_id


def _borne_before(scene: Scene, step: Step, result: TierResult) -> int:
    owner = _owner(scene, step)
    if step.in_curve:
        return min(scene.before.get(owner, f"counter_{step.counter}_reached"), result.deductible_full_fen)
    if step.deductible_per == "year":
        return scene.before.get(owner, f"counter_{step.deductible_counter}_deductible")
    if step.deductible_per == "admission":
        stay = scene.before.stays.get((step.tier, scene.stay))
        return stay.borne_fen if stay else 0
    return 0


def _repeat(
    scene: Scene, rule: Deductible, admission: int, same_level: int, group: str, day: StatusDay
) -> Repeat | None:
    """Find the rule of repeated stays that was used: the first that applies."""
    for repeat in rule.repeat:
        if fits(repeat.when, scene.facts, group, day):
            number = same_level if repeat.count == "same_level" else admission
            if number >= repeat.from_admission:
                return repeat
    return None


def _less(repeat: Repeat, admission: int, same_level: int) -> int:
    number = same_level if repeat.count == "same_level" else admission
    value = repeat.minus_each.value if repeat.minus_each else None
    return int((value or 0) * 100) * (number - 1)


def _brackets(scene: Scene, tier: Tier, part: Part, result: TierResult) -> tuple[BracketPaid, ...]:
    step = result.step
    if step.pays != "schedule":
        return ()
    around = (part, tier)
    day = scene.day(tier)
    adjusts = [one for one in part.adjust if fits(one.when, scene.facts, step.group, day)]
    changes = tuple(_change(one) for one in adjusts)
    adjusting = [
        _cited(scene, case, (adjust, *around))
        for adjust in adjusts
        for case in (adjust.points, adjust.times)
        if case is not None
    ]
    ends: list[int | None] = [start for start, _ in step.brackets[1:]]
    ends.append(None)
    found = []
    for number, ((start, rate), stretch, end) in enumerate(zip(step.brackets, result.stretches, ends, strict=True)):
        bracket: Bracket = part.brackets[number]
        inner = (bracket, *around)
        base = case_for(bracket.rate, scene.facts, step.group, day)
        assert base is not None and base.value is not None, "a step has a known rate in every bracket"
        cites = tuple(dict.fromkeys([_cited(scene, base, inner), *adjusting]))
        product = product_text(stretch * rate)
        found.append(BracketPaid(start, end, stretch, rate, figure_text(base.value), changes, product, cites))
    return tuple(found)


def _change(adjust: Adjust) -> RateChange:
    """Take what changes every rate of a part."""
    if adjust.points is not None:
        return RateChange("points", figure_text(adjust.points.value or Decimal(0)))
    assert adjust.times is not None, "a change is by points or times"
    return RateChange("times", figure_text(adjust.times.value or Decimal(0)))


def _caps(scene: Scene, tier: Tier, part: Part, index: int) -> tuple[CapUsed, ...]:
    """List the claim's own limit and the pots, with what was used of each before this payment."""
    step, claim = scene.settled.tiers[index].step, scene.settled.claim
    if step.pays == "nothing":
        return ()
    found = []
    own = amount_fen(step.cap_per_claim, claim)
    if own != NO_LIMIT:
        cites = _case_cited(scene, part.cap_per_claim, step.group, tier, (part, tier))
        found.append(CapUsed("", None, own, 0, own, cites))
    for name, cap, shared in step.pots:
        pot = next(one for one in scene.policy.pots if one.id == name)
        used = scene.before.get("" if shared else claim.person_id, f"pot_{name}_paid")
        # Earlier tiers of the same claim may have drawn on the same pot.
        used += sum(
            r.pay_fen + r.given_back_fen
            for r in scene.settled.tiers[:index]
            if name in (one for one, _, _ in r.step.pots)
        )
        limit = amount_fen(cap, claim)
        cites = _case_cited(scene, pot.cap, step.group, tier, (pot,))
        whole, left = (None, None) if limit == NO_LIMIT else (limit, max(0, limit - used))
        found.append(CapUsed(name, text_of(pot.name), whole, used, left, cites))
    return tuple(found)


def explain_ceilings(scene: Scene) -> tuple[CeilingUsed, ...]:
    """Say what each ceiling over all tiers allowed, and what was given back under it."""
    rules, total = scene.settled.rules, scene.settled.claim.total_fen
    paid = sum(result.pay_fen + result.given_back_fen for result in scene.settled.tiers)
    found = []
    for rule in rules.ceilings:
        ceiling = next(one for one in scene.policy.ceilings if one.id == rule.id)
        limit = round_fen(total * rule.share_bp, rules.rounding_mode, rules.rounding_place)
        back = max(0, paid - limit)
        case = case_for(ceiling.share, scene.facts, "none", scene.policy.status_day)
        cites = () if case is None else (_cited(scene, case, (ceiling,)),)
        name = text_of(ceiling.name) if ceiling.name else Text(ceiling.id, ceiling.id)
        found.append(CeilingUsed(ceiling.id, name, rule.share_bp, limit, paid, back, cites))
        paid -= back
    return tuple(found)


def used_by(scene: Scene, told: Sequence[TierExplained], group: str) -> tuple[str, ...]:
    """Name the tiers that use a status: without it another rule would apply, or the part is for people who hold it."""
    held = {day: groups - {group} for day, groups in scene.facts.held.items()}
    try:
        without = {step.tier: step for step in resolve(scene.policy, replace(scene.facts, held=held)).steps}
    except PolicyError:  # a number that only people without the status would need was not published
        without = None
    here = {result.step.tier: result.step for result in scene.settled.tiers}
    found = []
    for tier, one in zip(scene.policy.tiers, told, strict=True):
        if one.closed_by is not None:
            break
        part = next((part for part in tier.parts if one.working and part.id == one.working.part), None)
        differs = (
            one.group == group and part is not None if without is None else here.get(tier.id) != without.get(tier.id)
        )
        named = part is not None and part.when is not None and group in (part.when.holds or ())
        if differs or named:
            found.append(one.tier)
        if without is not None and tier.id in without and not without[tier.id].feeds:
            without = None  # later tiers would not be asked, which says nothing about them
    return tuple(found)


def unused(scene: Scene, told: Sequence[TierExplained], group: str) -> tuple[str, str | None]:
    """Say why no tier uses a status that counts, and the tier that this is because of."""
    asking = [one for tier, one in zip(scene.policy.tiers, told, strict=True) if group in _asked_by(tier)]
    for one in asking:
        if one.closed_by is None and one.group not in ("none", group) and one.working is not None:
            return "outranked", one.tier
    closed = next((one.closed_by for one in asking if one.closed_by is not None), None)
    return ("not_asked", None) if closed is None else ("closed", closed)


def _asked_by(tier: Tier) -> set[str]:
    """Name the statuses that a tier asks for anywhere."""
    named = (group for when in conditions_of(tier) for group in (*(when.holds or ()), *(when.lacks or ())))
    return {*tier.prefer, *named}


# What the numbers rest on


def _case_cited(
    scene: Scene, cases: Sequence[Case] | None, group: str, tier: Tier, around: tuple[Sourced, ...]
) -> tuple[Cited, ...]:
    case = case_for(list(cases or ()), scene.facts, group, scene.day(tier))
    return () if case is None else (_cited(scene, case, around),)


def _cited(scene: Scene, case: Case, around: tuple[Sourced, ...]) -> Cited:
    return _of_ground(ground_of(scene.policy, Number((), (), case, around)), case.note)


def _holders_cited(scene: Scene, items: Sequence[Sourced]) -> tuple[Cited, ...]:
    """Say what part and tier rest on; a bare document is left out where another line already names its article."""
    found = list(dict.fromkeys(cited(scene, item) for item in items if item.source))
    told = {(one.document, article) for one in found if one.quote for article in (one.article, None)}
    return tuple(one for one in found if one.quote or one.note or (one.document, one.article) not in told)


def cited(scene: Scene, item: Sourced) -> Cited:
    """Say what a part, tier or rule rests on."""
    return _of_ground(ground_of_holder(scene.policy, item), item.note)


def _of_ground(ground: Ground, note: Words | None) -> Cited:
    document = None
    if ground.source is not None:
        title = ground.source.title
        document = Text(ground.source.document or title.zh, ground.source.document or title.en)
    address = ground.source.address if ground.source else None
    return Cited(document, ground.article, ground.quote, ground.trust, address, text_of(note) if note else None)


def text_of(words: Words) -> Text:
    """Take a text of the policy in both languages."""
    return Text(words.zh, words.en)


def group_text(policy: Policy, group: str) -> Text:
    """Name a status in both languages."""
    return Text(group_name(policy, group, "zh"), group_name(policy, group, "en"))


def both(key: str, **values: object) -> Text:
    """Say a sentence of the catalogue in both languages."""
    return Text(say(key, "zh", **values), say(key, "en", **values))


def reason_text(reason: str) -> Text:
    """Say in both languages what a reason of refusal means; its code where the catalogue does not know it."""
    return both(f"reason.{reason}") if knows(f"reason.{reason}") else Text(reason, reason)
