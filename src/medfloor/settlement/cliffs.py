"""Find cliffs: where one more fen of cost, or one status more or less, changes what the patient bears by a jump.

For one claim in a fresh year the patient's burden is piecewise linear in the cost. Its break points are where a total
decides a condition, a deductible ends, a bracket begins, a cap, a floor or a ceiling starts to bind, in any tier. They
are found to the fen by halving, with the reference as judge, so the jumps are exact and not sampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from itertools import pairwise, product
from typing import Any, Literal, get_args

from medfloor import tables
from medfloor.errors import MissingValueError, PolicyError
from medfloor.money import PLACE_FEN, group_yuan
from medfloor.policy.compile import Dimensions, dimensions_of
from medfloor.policy.load import PolicySet
from medfloor.policy.model import Policy, StatusDay, Tier
from medfloor.policy.numbers import conditions_of
from medfloor.policy.resolve import NO_LIMIT, NO_STATUS, Facts, Rules, Step, resolve
from medfloor.policy.wording import group_name
from medfloor.settlement.explanation import Text, plain
from medfloor.settlement.reference import INSIDE, Account, Claim, Settled, settle_claim
from medfloor.words import join, say

HORIZON_FEN = 100_000_000
"""Up to which cost cliffs are looked for: a million yuan."""

_DIMENSIONS = {
    "care_type": tables.CARE_TYPES,
    "facility_level": tables.FACILITY_LEVELS,
    "area": tables.AREAS,
    "insured_class": tables.INSURED_CLASSES,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Be a kind of claim; "" where the policy does not ask, so that it holds for every value."""

    care_type: str
    facility_level: str
    area: str
    insured_class: str


@dataclass(frozen=True, slots=True)
class Cliff:
    """Be one jump of the patient's burden.

    kind `cost`: from a cost of `at_fen` to one fen more, the burden goes from `before_fen` to `after_fen`, for each of
    `groups`. kind `status`: at a cost of `at_fen` the burden is `before_fen` with the first of the two `groups` and
    `after_fen` with the second; nowhere is the difference larger. kind `worse_off`: the same, where the second status
    should help and makes the patient pay more. `jump_fen` is after - before. `growing`: the difference still grows at
    the largest cost looked at. `pool` is where the cost lies, `paths` are the places of the policy that decide.
    """

    kind: Literal["cost", "status", "worse_off"]
    pool: str
    groups: tuple[str, ...]
    group_names: tuple[Text, ...]
    kinds: tuple[Kind, ...]
    at_fen: int
    before_fen: int
    after_fen: int
    jump_fen: int
    growing: bool
    paths: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the cliff as plain data for JSON: amounts as yuan in text."""
        found = plain(self)
        assert isinstance(found, dict)
        return found

    def text(self, lang: str) -> str:
        """Say the cliff in one sentence."""
        names = [name.in_(lang) for name in self.group_names]
        sign = "+" if self.jump_fen > 0 else ""
        return say(
            f"cliffs.{self.kind}",
            lang,
            at=group_yuan(self.at_fen),
            before=group_yuan(self.before_fen),
            after=group_yuan(self.after_fen),
            jump=f"{sign}{group_yuan(self.jump_fen)}",
            groups=join(names, lang) if self.kind == "cost" else "",
            first=names[0],
            second=names[-1],
            kinds=_kinds_text(self.kinds, lang),
            pool=say(f"pool.{self.pool}", lang),
            growing=say("cliffs.growing", lang) if self.growing else "",
            paths=join(list(self.paths), lang),
        )


@dataclass(frozen=True)
class Search:
    """Be what was found, and the kinds of claims that could not be looked at, with why."""

    cliffs: tuple[Cliff, ...]
    skipped: tuple[tuple[Kind, Text], ...]


def find_cliffs(
    policies: PolicySet | Policy,
    *,
    care_types: Sequence[str] = (),
    year: int | None = None,
    up_to_fen: int = HORIZON_FEN,
) -> list[Cliff]:
    """List the cliffs of a policy: of costs first, then where a status makes one worse off, then status differences.

    Of a set of versions the last is looked at. `care_types` narrows the search (default: all). `year` is the benefit
    year whose series count (default: that in which the version begins). Claims are looked at as the first of their
    year, following the rules of referral, with all of the cost in one pool.

    Raises MissingValueError where no kind of claim can be settled, because numbers were not published.

    >>> from medfloor.policy.load import load_policy
    >>> found = find_cliffs(load_policy("cn/neimenggu/ulanqab"), care_types=["inpatient"])
    >>> {cliff.at_fen for cliff in found if cliff.kind == "cost"}
    {3000000}
    """
    return list(search_cliffs(policies, care_types=care_types, year=year, up_to_fen=up_to_fen).cliffs)


def search_cliffs(
    policies: PolicySet | Policy,
    *,
    care_types: Sequence[str] = (),
    year: int | None = None,
    up_to_fen: int = HORIZON_FEN,
    ranks: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Search:
    """Do as `find_cliffs`, and say also which kinds of claims could not be looked at.

    `ranks` are the statuses to look at, the most helped first, and those without a rank (default: `ranks_of` the
    policy); with the ranks of another law its cliffs and these are between the same statuses.
    """
    policy = policies if isinstance(policies, Policy) else policies.versions[-1]
    dimensions = dimensions_of(PolicySet(policy.id, (policy,), True, ()))
    ground = _Ground(policy, dimensions, year or policy.from_.year, up_to_fen)
    preferred, others = ranks or ranks_of(policy)
    groups = (NO_STATUS, *preferred, *others)
    skipped: list[tuple[Kind, Text]] = []
    looked: list[tuple[Kind, dict[str, dict[str, _Curve]]]] = []
    last: MissingValueError | None = None
    for kind in _kinds(dimensions, care_types):
        try:
            by_group = {group: ground.curves(kind, group) for group in groups}
        except MissingValueError as error:
            last = error
            skipped.append((kind, _why(error)))
        except PolicyError as error:
            skipped.append((kind, _why(error)))
        else:
            looked.append((kind, by_group))
    if not looked and last is not None:
        raise last
    pairs = [(NO_STATUS, group) for group in (*preferred, *others)] + list(pairwise(reversed(preferred)))
    cliffs = [*_cost_cliffs(ground, looked), *_status_cliffs(ground, looked, pairs)]
    order = {"cost": 0, "worse_off": 1, "status": 2}
    cliffs.sort(key=lambda cliff: (order[cliff.kind], -abs(cliff.jump_fen) if cliff.kind != "status" else 0))
    return Search(tuple(cliffs), tuple(skipped))


def _why(error: PolicyError) -> Text:
    """Say what is wrong, without the advice that follows."""
    if not isinstance(error, MissingValueError) or not error.path:
        return Text(say("cliffs.why_policy", "zh", code=error.code), error.message)
    key = "cliffs.why_series" if error.series else "cliffs.why_missing"
    values = {"path": error.path} | ({"series": error.series, "year": error.year} if error.series else {})
    return Text(say(key, "zh", **values), say(key, "en", **values))


@dataclass(eq=False)
class _Curve:
    """Be the patient's burden as a function of the cost: the rules of each stretch of totals, and one pool."""

    pieces: tuple[tuple[int, Rules], ...]
    pool: str
    up_to_fen: int
    known: dict[int, Settled] = field(default_factory=dict)
    states: dict[int, tuple[tuple[int, ...], ...]] = field(default_factory=dict)

    def settled(self, cost_fen: int) -> Settled:
        """Settle a claim of this cost as the first of its year."""
        found = self.known.get(cost_fen)
        if found is None:
            rules = next(rules for start, rules in reversed(self.pieces) if start <= cost_fen)
            facts = Facts("inpatient", "3", total_fen=cost_fen)
            day = date(2000, 1, 1)
            claim = Claim(
                "claim",
                "person",
                day,
                day,
                facts,
                in_scope_fen=self._in("in_scope", cost_fen),
                first_self_pay_fen=self._in("first_self_pay", cost_fen),
                over_limit_fen=self._in("over_limit", cost_fen),
                off_catalogue_fen=self._in("off_catalogue", cost_fen),
            )
            found = self.known[cost_fen] = settle_claim(claim, rules, Account())
        return found

    def _in(self, pool: str, cost_fen: int) -> int:
        return cost_fen if pool == self.pool else 0

    def burden(self, cost_fen: int) -> int:
        """Give what the patient bears of a cost."""
        one = self.settled(cost_fen)
        return one.own_in_scope_fen + one.own_outside_fen

    @cached_property
    def slack_fen(self) -> int:
        """Give by how much rounding alone may move the burden."""
        most = max(len(rules.steps) + len(rules.ceilings) for _, rules in self.pieces)
        return max(PLACE_FEN[rules.rounding_place] for _, rules in self.pieces) * (most + 1)

    @cached_property
    def breaks(self) -> tuple[int, ...]:
        """List the costs at which the burden may bend or jump: the first fen of each new stretch."""
        starts = [start for start, _ in self.pieces if start <= self.up_to_fen]
        found: set[int] = set()
        for number, start in enumerate(starts):
            end = starts[number + 1] - 1 if number + 1 < len(starts) else self.up_to_fen
            found.add(start)
            marks = sorted({start, end, *(mark for mark in _marks() if start < mark < end)})
            for low, high in pairwise(marks):
                self._halve(low, high, found)
        return tuple(sorted(found - {0}))

    def _halve(self, low: int, high: int, found: set[int]) -> None:
        """Find every change of state between two costs; a state that holds at both ends holds between."""
        if self._state(low) == self._state(high):
            return
        if high - low == 1:
            found.add(high)
            return
        middle = (low + high) // 2
        self._halve(low, middle, found)
        self._halve(middle, high, found)

    def _state(self, cost_fen: int) -> tuple[tuple[int, ...], ...]:
        """Say for each tier how far its schedule is reached and what binds; between changes the burden is linear."""
        known = self.states.get(cost_fen)
        if known is not None:
            return known
        found = self.states[cost_fen] = tuple(
            (
                sum(result.base_fen >= bound for bound in _bounds(result.step)),
                int(result.cap_left_fen != NO_LIMIT and result.before_cap_fen >= result.cap_left_fen),
                int(bool(result.step.floor_bp) and self._floored(cost_fen, index)),
                int(result.given_back_fen > 0),
            )
            for index, result in enumerate(self.settled(cost_fen).tiers)
        )
        return found

    def _floored(self, cost_fen: int, index: int) -> bool:
        """Say whether the floor gives more than the schedule."""
        result = self.settled(cost_fen).tiers[index]
        value = sum(length * rate for length, (_, rate) in zip(result.stretches, result.step.brackets, strict=True))
        return result.before_cap_fen * 10_000 > value + 10_000


def _marks() -> Iterator[int]:
    """Give costs to look between, so that a floor or ceiling that binds for a stretch only is not overlooked."""
    for power in range(2, 14):
        for digit in (1, 2, 3, 5, 7):
            yield digit * 10**power


def _bounds(step: Step) -> Iterator[int]:
    """Give the amounts of a tier's base at which its schedule bends."""
    amount = step.deductible.fen
    yield 1
    if amount:
        yield amount
    for start, _ in step.brackets[1:]:
        yield start if step.absolute else start + amount


@dataclass
class _Ground:
    """Be the policy that is searched, with every curve kept once."""

    policy: Policy
    dimensions: Dimensions
    year: int
    up_to_fen: int
    curves_known: dict[tuple[tuple[tuple[int, Rules], ...], str], _Curve] = field(default_factory=dict)
    original: dict[tuple[Kind, str], tuple[tuple[int, Rules], ...]] = field(default_factory=dict)

    @cached_property
    def pools(self) -> tuple[str, ...]:
        """List the pools in which the cost may lie: the scope, and those outside it that some tier takes in."""
        outside = [pool for tier in self.policy.tiers for pool in tier.base if pool not in INSIDE]
        return tuple(dict.fromkeys(["in_scope", *outside]))

    def curves(self, kind: Kind, group: str) -> dict[str, _Curve]:
        """Give the burden curves of one kind of claim and one status, by pool."""
        pieces = tuple(
            (start, resolve(self.policy, self._facts(kind, group, start))) for start in (0, *self.dimensions.total_fen)
        )
        self.original[kind, group] = pieces
        bare = tuple((start, _without_names(rules)) for start, rules in pieces)
        found: dict[str, _Curve] = {}
        for pool in self.pools:
            key = (bare, pool)
            if key not in self.curves_known:
                self.curves_known[key] = _Curve(bare, pool, self.up_to_fen)
            found[pool] = self.curves_known[key]
        return found

    def _facts(self, kind: Kind, group: str, total_fen: int) -> Facts:
        held = frozenset() if group == NO_STATUS else frozenset({group})
        return Facts(
            care_type=kind.care_type,
            facility_level=kind.facility_level or "3",
            area=kind.area or "local",
            # Care elsewhere follows the rules where it was referred.
            referral="referred" if kind.area in ("province", "outside") else "regular",
            insured_class=kind.insured_class or "working_age",
            total_fen=total_fen,
            benefit_year=self.year,
            held=dict.fromkeys(get_args(StatusDay), held),
        )

    def names(self, groups: Iterable[str]) -> tuple[Text, ...]:
        """Name statuses in both languages."""
        return tuple(Text(group_name(self.policy, one, "zh"), group_name(self.policy, one, "en")) for one in groups)


def _without_names(rules: Rules) -> Rules:
    """Take out what does not change a payment, so that equal law makes one curve."""
    steps = tuple(replace(step, group="", level="", part="", article="") for step in rules.steps)
    return replace(rules, steps=steps)


def _kinds(dimensions: Dimensions, care_types: Sequence[str]) -> Iterator[Kind]:
    asked = [codes if name in dimensions.coded or name == "care_type" else ("",) for name, codes in _DIMENSIONS.items()]
    if care_types:
        asked[0] = tuple(care_types)
    for values in product(*asked):
        yield Kind(*values)


def ranks_of(policy: Policy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the statuses that tiers prefer, the most helped first, and those that only conditions name."""
    lists = sorted((tier.prefer for tier in policy.tiers), key=len, reverse=True)
    preferred = tuple(dict.fromkeys(group for groups in lists for group in groups))
    conditions = [when for tier in policy.tiers for when in conditions_of(tier)]
    named = [group for when in conditions for group in (*(when.holds or ()), *(when.lacks or ()))]
    return preferred, tuple(dict.fromkeys(group for group in named if group not in preferred))


_Looked = Sequence[tuple[Kind, dict[str, dict[str, _Curve]]]]


def _cost_cliffs(ground: _Ground, looked: _Looked) -> list[Cliff]:
    """List the jumps in cost, one entry for all kinds and statuses that share it."""
    jumps: dict[tuple[str, int, int, int, tuple[str, ...]], dict[str, list[Kind]]] = {}
    for kind, by_group in looked:
        for group, by_pool in by_group.items():
            for pool, curve in by_pool.items():
                for at in _jumps(curve):
                    paths = _total_paths(ground, kind, group, at + 1)
                    key = (pool, at, curve.burden(at), curve.burden(at + 1), paths)
                    jumps.setdefault(key, {}).setdefault(group, []).append(kind)
    found = []
    for (pool, at, before, after, paths), kinds_of in jumps.items():
        alike: dict[tuple[Kind, ...], list[str]] = {}
        for group, kinds in kinds_of.items():
            alike.setdefault(tuple(kinds), []).append(group)
        for kinds_alike, groups in alike.items():
            names = ground.names(groups)
            found.append(
                Cliff("cost", pool, tuple(groups), names, kinds_alike, at, before, after, after - before, False, paths)
            )
    return found


def _jumps(curve: _Curve) -> list[int]:
    """Give the costs after which one fen more moves the burden by more than a fen and rounding."""
    found = []
    for cost in curve.breaks:
        for at in (cost - 1, cost):
            step = curve.burden(at + 1) - curve.burden(at)
            if step > 1 + curve.slack_fen or step < -curve.slack_fen:
                found.append(at)
    return sorted(set(found))


def _total_paths(ground: _Ground, kind: Kind, group: str, total_fen: int) -> tuple[str, ...]:
    """Give the places of the policy that a total decides, among the tiers that change there."""
    pieces = ground.original[kind, group]
    after = next(rules for start, rules in reversed(pieces) if start <= total_fen)
    before = next(rules for start, rules in reversed(pieces) if start <= total_fen - 1)
    return _changed_paths(ground.policy, before, after)


def _changed_paths(policy: Policy, before: Rules, after: Rules) -> tuple[str, ...]:
    """Give the parts that differ between two readings of the law; where a tier uses none, the one that it uses else."""
    found: dict[str, None] = {}
    for tier in policy.tiers:
        old, new = _step_of(before, tier), _step_of(after, tier)
        if _unnamed(old) == _unnamed(new) and (old is None) == (new is None) and _part(old) == _part(new):
            continue
        for step in (old, new):
            if step is not None:
                found[f"tiers/{tier.id}/parts/{step.part}"] = None
    for old_rule, new_rule in (*((one, None) for one in before.ceilings), *((None, one) for one in after.ceilings)):
        rule = old_rule or new_rule
        if rule is not None and (rule in before.ceilings) != (rule in after.ceilings):
            found[f"ceilings/{rule.id}"] = None
    return tuple(found)


def _step_of(rules: Rules, tier: Tier) -> Step | None:
    return next((step for step in rules.steps if step.tier == tier.id), None)


def _part(step: Step | None) -> str:
    return step.part if step else ""


def _unnamed(step: Step | None) -> Step | None:
    return None if step is None else replace(step, group="", level="", part="", article="")


def _status_cliffs(ground: _Ground, looked: _Looked, pairs: Sequence[tuple[str, str]]) -> list[Cliff]:
    """List, for each pair of statuses, kind of care and pool, the largest difference and where one is worse off."""
    found = []
    for first, second in pairs:
        best: dict[tuple[str, str, str], tuple[int, int, list[Kind], bool]] = {}
        for kind, by_group in looked:
            for pool in ground.pools:
                one, other = by_group[first][pool], by_group[second][pool]
                if one is other:
                    continue
                for name, (jump, at) in _differences(one, other).items():
                    key = (name, kind.care_type, pool)
                    growing = at == ground.up_to_fen and _grows(one, other, at)
                    if key not in best or abs(jump) > abs(best[key][0]):
                        best[key] = (jump, at, [kind], growing)
                    elif (jump, at) == best[key][:2]:
                        best[key][2].append(kind)
        for (name, _care, pool), (jump, at, kinds, growing) in best.items():
            curves = next(by_group for kind, by_group in looked if kind == kinds[0])
            before, after = curves[first][pool].burden(at), curves[second][pool].burden(at)
            paths = _changed_paths(
                ground.policy, _rules_at(ground, kinds[0], first, at), _rules_at(ground, kinds[0], second, at)
            )
            said: Literal["status", "worse_off"] = "worse_off" if name == "worse_off" else "status"
            names = ground.names((first, second))
            pair = (first, second)
            found.append(Cliff(said, pool, pair, names, tuple(kinds), at, before, after, jump, growing, paths))
    return found


def _grows(one: _Curve, other: _Curve, at: int) -> bool:
    """Say whether the difference of two curves still grows at a cost, by more than rounding."""
    before = at - at // 1_000
    growth = abs(other.burden(at) - one.burden(at)) - abs(other.burden(before) - one.burden(before))
    return growth > 2 * max(one.slack_fen, other.slack_fen)


def _rules_at(ground: _Ground, kind: Kind, group: str, cost_fen: int) -> Rules:
    return next(rules for start, rules in reversed(ground.original[kind, group]) if start <= cost_fen)


def _differences(one: _Curve, other: _Curve) -> dict[str, tuple[int, int]]:
    """Give the largest gain of the second curve over the first, and its largest loss: (difference, cost)."""
    costs = sorted({cost for mark in (*one.breaks, *other.breaks) for cost in (mark - 1, mark)} | {one.up_to_fen})
    slack = max(one.slack_fen, other.slack_fen)
    gain = loss = (0, 0)
    for cost in costs:
        difference = other.burden(cost) - one.burden(cost)
        # At the last cost looked at, rounding alone must not make a difference that no longer grows look larger.
        more = slack if cost == one.up_to_fen else 0
        if difference < gain[0] - more:
            gain = (difference, cost)
        if difference > loss[0] + more:
            loss = (difference, cost)
    found = {}
    if gain[0] < -slack:
        found["status"] = gain
    if loss[0] > slack:
        found["worse_off"] = loss
    return found


def _kinds_text(kinds: Sequence[Kind], lang: str) -> str:
    """Say kinds of claims, by what they have in common where they are all combinations of it."""
    values = [tuple(dict.fromkeys(getattr(kind, name) for kind in kinds)) for name in _DIMENSIONS]
    whole = set(kinds) == {Kind(*row) for row in product(*values)}
    if not whole:
        return say("cliffs.or", lang).join(_kinds_text([kind], lang) for kind in kinds)
    words = []
    for (name, codes), used in zip(_DIMENSIONS.items(), values, strict=True):
        if used == ("",) or (len(used) == len(codes) and name != "care_type"):
            continue
        words.append("/".join(say(f"{name}.{code}", lang) for code in used))
    return join(words, lang)
