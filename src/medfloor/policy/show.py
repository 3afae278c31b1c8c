"""Render a policy in words, in Chinese or English, each value with its condition, source, quotation and trust."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from medfloor.policy.model import (
    Adjust,
    Applied,
    Bracket,
    Case,
    Deductible,
    Part,
    Policy,
    Pot,
    Premium,
    Sourced,
    Tier,
    When,
    Words,
)
from medfloor.policy.numbers import Ground, Number, ground_of, ground_of_holder, leaves_of
from medfloor.policy.wording import (
    condition_text,
    figure_text,
    ground_text,
    group_name,
    text_of,
    tier_name,
    value_text,
)
from medfloor.words import join, say


def show(policy: Policy, lang: str = "en") -> str:
    """Render a policy in words: documents, tiers with parts and numbers, ceilings, premiums, and what is left open.

    >>> from medfloor.policy.load import load_policy
    >>> print(show(load_policy("cn/beijing@2023-01-01").versions[0], "zh").splitlines()[0])
    北京市城乡居民（cn/beijing），自2023-01-01起
    """
    return "\n".join(("  " * one.depth + one.text).rstrip() for one in _Page(policy, lang).lines()) + "\n"


@dataclass
class Entry:
    """Be one statement of a policy in words: what it rests on, notes to it, and the statements below it.

    `title` says that it heads a part of the page (documents, tiers, ceilings, ...).
    """

    text: str
    title: bool = False
    grounds: list[Ground] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


def outline(policy: Policy, lang: str = "en") -> list[Entry]:
    """Give the same words as `show` as a tree, with what each value rests on beside it: for pages.

    >>> from medfloor.policy.load import load_policy
    >>> found = outline(load_policy("cn/beijing@2023-01-01").versions[0], "en")
    >>> [one.text for one in found if one.title][:2]
    ['Documents', 'Tiers, in the order in which they pay']
    """
    found: list[Entry] = []
    open_: list[Entry] = []
    for one in _Page(policy, lang).lines():
        del open_[one.depth :]
        if one.note and open_:
            open_[-1].notes.append(one.text.removeprefix("- "))
        elif one.ground is not None and one.short is None and open_:
            open_[-1].grounds.append(one.ground)
        elif one.text:
            entry = Entry(one.short or one.text, one.title, [one.ground] if one.ground else [])
            (open_[-1].entries if open_ else found).append(entry)
            open_.append(entry)
    return found


def names_text(policy: Policy, lang: str = "en") -> str:
    """List every path that a reform may change, with its value now."""
    lines = []
    for leaf in leaves_of(policy):
        if leaf.number is not None:
            case = leaf.number.case
            value = value_text(policy, case, lang)
            if case.when is not None:
                value += f"   # {condition_text(policy, case.when, lang)}"
        elif isinstance(leaf.value, list):
            value = f"[{', '.join(str(item) for item in leaf.value)}]"
        else:
            value = str(leaf.value).lower() if isinstance(leaf.value, bool) else str(leaf.value)
        lines.append(f"{leaf.address}: {value}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Said:
    """Be one line: its text, how deep it stands, the ground that it tells, or that it is a note or a title.

    `short` is the text without its ground, where both stand in one line.
    """

    text: str
    depth: int = 0
    ground: Ground | None = None
    note: bool = False
    title: bool = False
    short: str | None = None


class _Page:
    """Write one policy in one language; every method gives lines, deeper ones indented by two spaces."""

    def __init__(self, policy: Policy, lang: str) -> None:
        self.policy = policy
        self.lang = lang

    def say(self, key: str, /, **values: object) -> str:
        return say(f"show.{key}", self.lang, **values)

    def lines(self) -> Iterator[_Said]:
        policy = self.policy
        until = self.say("until", end=policy.to) if policy.to else ""
        yield _Said(self.say("header", name=text_of(policy.name, self.lang), id=policy.id, start=policy.from_) + until)
        yield from self.note(policy.note)
        starts, belongs = policy.benefit_year.starts, self.say(f"belongs_{policy.benefit_year.belongs_by}")
        yield _Said(self.say("benefit_year", starts=starts, by=belongs))
        yield from self.ground(policy.benefit_year)
        yield _Said(self.say("status_day", day=say(f"status_day.{policy.status_day}", self.lang)))
        if policy.status_source is not None:
            yield from self.ground(policy.status_source)
        rounding = policy.rounding
        mode, place = self.say(f"round_{rounding.mode}"), self.say(f"place_{rounding.place}")
        yield _Said(self.say("rounding", mode=mode, place=place))
        yield from self.ground(rounding)
        yield from self.titled("sources", self.sources())
        yield from self.titled("tiers", self.tiers())
        yield from self.titled("pots_title", (line for pot in policy.pots for line in self.pot(pot)))
        yield from self.titled("ceilings_title", self.ceilings())
        yield from self.titled("applied_title", (line for one in policy.applied for line in self.applied(one)))
        yield from self.titled("premiums_title", (line for one in policy.premiums for line in self.premium(one)))
        yield from self.titled("classes_title", self.classes())
        yield from self.titled("series_title", self.series())
        yield from self.titled("parameters_title", self.parameters())
        yield from self.titled("left_open_title", self.left_open())

    def titled(self, key: str, lines: Iterable[_Said]) -> Iterator[_Said]:
        """Give lines under a title, and nothing where there are none."""
        found = list(lines)
        if found:
            yield _Said("")
            yield _Said(self.say(key), title=True)
            yield from _deeper(found)

    def note(self, note: Words | None) -> Iterator[_Said]:
        if note is not None:
            yield _Said(self.say("note", note=text_of(note, self.lang)), 1, note=True)

    def ground(self, item: Sourced) -> Iterator[_Said]:
        """Say what a statement rests on, where it says so itself."""
        if item.source or item.trust:
            ground = ground_of_holder(self.policy, item)
            yield _Said(ground_text(ground, self.lang), 1, ground)
        yield from self.note(item.note)

    def cases(self, label: str, cases: Sequence[Case] | None, around: Sequence[Sourced]) -> Iterator[_Said]:
        """Give a parameter: one line a case with its condition and value, and below it what it rests on."""
        if not cases:
            return
        if len(cases) > 1:
            yield _Said(label)
        for place, case in enumerate(cases):
            otherwise = place > 0 and case.when is None
            said = say("when.otherwise", self.lang) if otherwise else condition_text(self.policy, case.when, self.lang)
            value = value_text(self.policy, case, self.lang)
            ground = ground_of(self.policy, Number((), (), case, tuple(around)))
            head = f"{said}: " if len(cases) > 1 else f"{label}: "
            if len(cases) == 1 and case.when is not None:
                value += f" ({said})"
            deeper = 2 if len(cases) > 1 else 1
            yield _Said(head + value, deeper - 1)
            yield _Said(f"- {ground_text(ground, self.lang)}", deeper, ground)
            if case.note is not None:
                yield _Said(f"- {self.say('note', note=text_of(case.note, self.lang))}", deeper, note=True)

    def condition(self, when: When | None) -> Iterator[_Said]:
        if when is not None:
            yield _Said(self.say("condition", when=condition_text(self.policy, when, self.lang)))

    def groups(self, groups: Sequence[str]) -> str:
        return join([group_name(self.policy, group, self.lang) for group in groups], self.lang)

    def sources(self) -> Iterator[_Said]:
        for key, source in self.policy.sources.items():
            document = f" {source.document}" if source.document else ""
            trust = say(f"trust.{source.trust}", self.lang)
            yield _Said(f"{key}: {text_of(source.title, self.lang)}{document} [{trust}]")
            if source.address:
                yield _Said(source.address, 1)
            yield from self.note(source.note)

    def tiers(self) -> Iterator[_Said]:
        for number, tier in enumerate(self.policy.tiers, 1):
            yield _Said(f"{number}. {text_of(tier.name, self.lang)} ({tier.id})")
            yield from _deeper(self.tier(tier))

    def tier(self, tier: Tier) -> Iterator[_Said]:
        yield _Said(self.say("takes", pools=join([say(f"pool.{pool}", self.lang) for pool in tier.base], self.lang)))
        if tier.prefer:
            yield _Said(self.say("prefers", groups=self.groups(tier.prefer)))
        if tier.status_day is not None:
            yield _Said(self.say("status_day", day=say(f"status_day.{tier.status_day}", self.lang)))
        if tier.accumulate == "household":
            yield _Said(self.say("household"))
        yield from self.ground(tier)
        for part in tier.parts:
            yield _Said(f"* {text_of(part.name, self.lang) or part.id} ({part.id})")
            yield from _deeper(self.part(tier, part))

    def part(self, tier: Tier, part: Part) -> Iterator[_Said]:
        around = (part, tier)
        yield from self.condition(part.when)
        yield from self.ground(part)
        if part.pays != "schedule":
            yield _Said(say(f"pays.{part.pays}", self.lang, column=part.given))
        if not part.feeds:
            yield _Said(self.say("feeds_not"))
        yield from self.cases(self.say("first_share"), part.first_share, around)
        if part.deductible is not None:
            yield from self.deductible(part.deductible, around)
        if part.brackets:
            key = "schedule_year" if part.per == "year" else "schedule_claim"
            yield _Said(self.say(key, counter=part.counter or f"{tier.id}_{part.id}"))
            if len(part.brackets) > 1:
                yield _Said(self.say(f"origin_{part.origin}"))
            yield from self.brackets(part.brackets, around)
        for adjust in part.adjust:
            yield from self.adjust(adjust, around)
        if part.floor is not None:
            label = self.say("floor", of=self.say(f"floor_{part.floor.of}"))
            yield from self.cases(label, part.floor.share, (part.floor, *around))
        yield from self.cases(self.say("cap_per_claim"), part.cap_per_claim, around)
        if part.pots:
            pots = [text_of(pot.name, self.lang) for pot in self.policy.pots if pot.id in part.pots]
            yield _Said(self.say("pots", pots=join(pots, self.lang)))
        if part.keeps_from_later:
            kept = [self.say(f"keeps_{one}") for one in part.keeps_from_later]
            yield _Said(self.say("keeps", what=join(kept, self.lang)))

    def deductible(self, deductible: Deductible, around: Sequence[Sourced]) -> Iterator[_Said]:
        inner = (deductible, *around)
        label = self.say("deductible", per=say(f"per.{deductible.per}", self.lang))
        yield from self.cases(label, deductible.amount, inner)
        if deductible.fixed_by == "first":
            yield _Said(self.say("fixed_first"), 1)
        yield from self.cases(self.say("factor"), deductible.factor, inner)
        for repeat in deductible.repeat:
            key = "repeat_same_level" if repeat.count == "same_level" else "repeat"
            yield _Said(self.say(key, n=repeat.from_admission))
            yield from _deeper(self.condition(repeat.when))
            for name, case in (("factor", repeat.percent), ("minus_each", repeat.minus_each)):
                if case is not None:
                    yield from _deeper(self.cases(self.say(name), [case], (repeat, *inner)))

    def brackets(self, brackets: Sequence[Bracket], around: Sequence[Sourced]) -> Iterator[_Said]:
        for place, bracket in enumerate(brackets):
            inner = (bracket, *around)
            if len(brackets) == 1:
                label = self.say("bracket_whole")
            elif bracket.up_to is None:
                label = self.say("bracket_last") + " " + self.bounds(brackets[place - 1])
            else:
                label = self.say("bracket_next" if place else "bracket_first") + " " + self.bounds(bracket)
            yield from self.cases(label, bracket.rate, inner)
            yield from _deeper(self.cases(self.say("up_to"), bracket.up_to, inner))

    def bounds(self, bracket: Bracket) -> str:
        return " / ".join(value_text(self.policy, case, self.lang) for case in bracket.up_to or ())

    def adjust(self, adjust: Adjust, around: Sequence[Sourced]) -> Iterator[_Said]:
        for key, case in (("adjust_points", adjust.points), ("adjust_times", adjust.times)):
            if case is not None:
                when = condition_text(self.policy, adjust.when, self.lang)
                yield from self.cases(f"{self.say(key)} ({when})", [case], (adjust, *around))

    def pot(self, pot: Pot) -> Iterator[_Said]:
        yield from self.cases(f"{text_of(pot.name, self.lang)} ({pot.id})", pot.cap, (pot,))
        if pot.scope == "household":
            yield _Said(self.say("pot_household"), 1)
        if pot.growth is not None:
            growth = pot.growth
            for key, case in (
                ("growth_after", growth.continuous_after),
                ("growth_continuous", growth.per_continuous_year),
                ("growth_claim_free", growth.per_claim_free_year),
                ("growth_at_most", growth.at_most),
            ):
                yield from _deeper(self.cases(self.say(key), [case] if case else None, (growth, pot)))

    def ceilings(self) -> Iterator[_Said]:
        for ceiling in self.policy.ceilings:
            label = text_of(ceiling.name, self.lang) or ceiling.id
            yield from self.cases(f"{label} ({ceiling.id})", ceiling.share, (ceiling,))
            yield from _deeper(self.condition(ceiling.when))
            names = [tier_name(self.policy, tier, self.lang) for tier in ceiling.give_back]
            yield _Said(self.say("give_back", tiers=join(names, self.lang)), 1)

    def applied(self, applied: Applied) -> Iterator[_Said]:
        yield _Said(f"{text_of(applied.name, self.lang)} ({applied.id})")
        pools = join([say(f"pool.{pool}", self.lang) for pool in applied.base], self.lang)
        yield _Said(self.say("takes", pools=pools), 1)
        if applied.excludes:
            yield _Said(self.say("excludes", groups=self.groups(applied.excludes)), 1)
        yield from _deeper(self.ground(applied))
        yield from _deeper(self.brackets(applied.brackets, (applied,)))
        yield from _deeper(self.cases(self.say("cap"), applied.cap, (applied,)))
        if applied.income_test is not None:
            test = applied.income_test
            yield from _deeper(self.cases(self.say("monthly_line"), test.monthly_line, (test, applied)))
        for condition in applied.conditions:
            yield _Said(f"{self.say('by_hand')}: {text_of(condition.name, self.lang)}", 1)
            if condition.amount is None:
                yield from _deeper(self.ground(condition))
            else:
                yield from _deeper(_deeper(self.cases(condition.id, condition.amount, (condition, applied))))

    def premium(self, row: Premium) -> Iterator[_Said]:
        option = f", {row.option}" if row.option else ""
        yield _Said(f"{text_of(row.name, self.lang)} ({row.id}{option}), {self.say('premium_year')} {row.benefit_year}")
        yield from _deeper(self.condition(row.when))
        yield from _deeper(self.cases(self.say("premium_personal"), [row.personal], (row,)))
        yield from _deeper(self.cases(self.say("premium_subsidy"), [row.subsidy] if row.subsidy else None, (row,)))
        if row.collected_from or row.collected_to:
            yield _Said(f"{self.say('premium_collected')}: {row.collected_from or ''} .. {row.collected_to or ''}", 1)

    def classes(self) -> Iterator[_Said]:
        for rule in self.policy.classes:
            when = condition_text(self.policy, rule.when, self.lang)
            yield _Said(f"{say(f'insured_class.{rule.insured_class}', self.lang)}: {when}")
            yield from self.ground(rule)

    def series(self) -> Iterator[_Said]:
        for series in self.policy.series:
            yield _Said(f"{text_of(series.name, self.lang)} ({series.id})")
            if not series.values:
                yield _Said(self.say("series_empty"), 1)
            for value in series.values:
                said = say(f"value.{value.unit}", self.lang, value=figure_text(value.value))
                ground = ground_of_holder(self.policy, value)
                yield _Said(
                    f"{value.year}: {said} - {ground_text(ground, self.lang)}", 1, ground, short=f"{value.year}: {said}"
                )

    def parameters(self) -> Iterator[_Said]:
        for parameter in self.policy.parameters:
            label = f"{text_of(parameter.name, self.lang)} ({parameter.id})"
            yield from self.cases(label, parameter.amount, (parameter,))

    def left_open(self) -> Iterator[_Said]:
        for item in self.policy.left_open:
            whom = self.say("left_to", whom=self.say(f"left_to_{item.left_to}"))
            yield _Said(f"{text_of(item.name, self.lang)} ({item.id}): {whom}")
            yield from self.ground(item)


def _deeper(lines: Iterable[_Said]) -> Iterator[_Said]:
    for line in lines:
        yield replace(line, depth=line.depth + 1) if line.text else line
