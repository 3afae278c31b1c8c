"""Render a policy in words, in Chinese or English, each value with its condition, source, quotation and trust."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
)
from medfloor.policy.numbers import Number, ground_of, ground_of_holder, leaves_of
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
    return "\n".join(line.rstrip() for line in _Page(policy, lang).lines()) + "\n"


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


class _Page:
    """Write one policy in one language; every method gives lines, deeper ones indented by two spaces."""

    def __init__(self, policy: Policy, lang: str) -> None:
        self.policy = policy
        self.lang = lang

    def say(self, key: str, /, **values: object) -> str:
        return say(f"show.{key}", self.lang, **values)

    def lines(self) -> Iterator[str]:
        policy = self.policy
        yield self.say("header", name=text_of(policy.name, self.lang), id=policy.id, start=policy.from_) + (
            self.say("until", end=policy.to) if policy.to else ""
        )
        yield from self.note(policy.note)
        starts, belongs = policy.benefit_year.starts, self.say(f"belongs_{policy.benefit_year.belongs_by}")
        yield self.say("benefit_year", starts=starts, by=belongs)
        yield from self.ground(policy.benefit_year)
        yield self.say("status_day", day=say(f"status_day.{policy.status_day}", self.lang))
        if policy.status_source is not None:
            yield from self.ground(policy.status_source)
        rounding = policy.rounding
        yield self.say("rounding", mode=self.say(f"round_{rounding.mode}"), place=self.say(f"place_{rounding.place}"))
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

    def titled(self, key: str, lines: Iterable[str]) -> Iterator[str]:
        """Give lines under a title, and nothing where there are none."""
        found = list(lines)
        if found:
            yield ""
            yield self.say(key)
            yield from _deeper(found)

    def note(self, note: object) -> Iterator[str]:
        if note is not None:
            yield "  " + self.say("note", note=text_of(note, self.lang))  # type: ignore[arg-type]

    def ground(self, item: Sourced) -> Iterator[str]:
        """Say what a statement rests on, where it says so itself."""
        if item.source or item.trust:
            yield "  " + ground_text(ground_of_holder(self.policy, item), self.lang)
        yield from self.note(item.note)

    def cases(self, label: str, cases: Sequence[Case] | None, around: Sequence[Sourced]) -> Iterator[str]:
        """Give a parameter: one line a case with its condition and value, and below it what it rests on."""
        if not cases:
            return
        if len(cases) > 1:
            yield label
        for place, case in enumerate(cases):
            otherwise = place > 0 and case.when is None
            said = say("when.otherwise", self.lang) if otherwise else condition_text(self.policy, case.when, self.lang)
            value = value_text(self.policy, case, self.lang)
            ground = ground_text(ground_of(self.policy, Number((), (), case, tuple(around))), self.lang)
            head = f"  {said}: " if len(cases) > 1 else f"{label}: "
            if len(cases) == 1 and case.when is not None:
                value += f" ({said})"
            pad = "    " if len(cases) > 1 else "  "
            yield head + value
            yield f"{pad}- {ground}"
            if case.note is not None:
                yield f"{pad}- {self.say('note', note=text_of(case.note, self.lang))}"

    def condition(self, when: When | None) -> Iterator[str]:
        if when is not None:
            yield self.say("condition", when=condition_text(self.policy, when, self.lang))

    def groups(self, groups: Sequence[str]) -> str:
        return join([group_name(self.policy, group, self.lang) for group in groups], self.lang)

    def sources(self) -> Iterator[str]:
        for key, source in self.policy.sources.items():
            document = f" {source.document}" if source.document else ""
            trust = say(f"trust.{source.trust}", self.lang)
            yield f"{key}: {text_of(source.title, self.lang)}{document} [{trust}]"
            if source.address:
                yield f"  {source.address}"
            yield from self.note(source.note)

    def tiers(self) -> Iterator[str]:
        for number, tier in enumerate(self.policy.tiers, 1):
            yield f"{number}. {text_of(tier.name, self.lang)} ({tier.id})"
            yield from _deeper(self.tier(tier))

    def tier(self, tier: Tier) -> Iterator[str]:
        yield self.say("takes", pools=join([say(f"pool.{pool}", self.lang) for pool in tier.base], self.lang))
        if tier.prefer:
            yield self.say("prefers", groups=self.groups(tier.prefer))
        if tier.status_day is not None:
            yield self.say("status_day", day=say(f"status_day.{tier.status_day}", self.lang))
        if tier.accumulate == "household":
            yield self.say("household")
        yield from self.ground(tier)
        for part in tier.parts:
            yield f"* {text_of(part.name, self.lang) or part.id} ({part.id})"
            yield from _deeper(self.part(tier, part))

    def part(self, tier: Tier, part: Part) -> Iterator[str]:
        around = (part, tier)
        yield from self.condition(part.when)
        yield from self.ground(part)
        if part.pays != "schedule":
            yield say(f"pays.{part.pays}", self.lang, column=part.given)
        if not part.feeds:
            yield self.say("feeds_not")
        yield from self.cases(self.say("first_share"), part.first_share, around)
        if part.deductible is not None:
            yield from self.deductible(part.deductible, around)
        if part.brackets:
            key = "schedule_year" if part.per == "year" else "schedule_claim"
            yield self.say(key, counter=part.counter or f"{tier.id}_{part.id}")
            if len(part.brackets) > 1:
                yield self.say(f"origin_{part.origin}")
            yield from self.brackets(part.brackets, around)
        for adjust in part.adjust:
            yield from self.adjust(adjust, around)
        if part.floor is not None:
            label = self.say("floor", of=self.say(f"floor_{part.floor.of}"))
            yield from self.cases(label, part.floor.share, (part.floor, *around))
        yield from self.cases(self.say("cap_per_claim"), part.cap_per_claim, around)
        if part.pots:
            pots = [text_of(pot.name, self.lang) for pot in self.policy.pots if pot.id in part.pots]
            yield self.say("pots", pots=join(pots, self.lang))
        if part.keeps_from_later:
            yield self.say("keeps", what=join([self.say(f"keeps_{one}") for one in part.keeps_from_later], self.lang))

    def deductible(self, deductible: Deductible, around: Sequence[Sourced]) -> Iterator[str]:
        inner = (deductible, *around)
        label = self.say("deductible", per=say(f"per.{deductible.per}", self.lang))
        yield from self.cases(label, deductible.amount, inner)
        if deductible.fixed_by == "first":
            yield "  " + self.say("fixed_first")
        yield from self.cases(self.say("factor"), deductible.factor, inner)
        for repeat in deductible.repeat:
            key = "repeat_same_level" if repeat.count == "same_level" else "repeat"
            yield self.say(key, n=repeat.from_admission)
            yield from _deeper(self.condition(repeat.when))
            for name, case in (("factor", repeat.percent), ("minus_each", repeat.minus_each)):
                if case is not None:
                    yield from _deeper(self.cases(self.say(name), [case], (repeat, *inner)))

    def brackets(self, brackets: Sequence[Bracket], around: Sequence[Sourced]) -> Iterator[str]:
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

    def adjust(self, adjust: Adjust, around: Sequence[Sourced]) -> Iterator[str]:
        for key, case in (("adjust_points", adjust.points), ("adjust_times", adjust.times)):
            if case is not None:
                when = condition_text(self.policy, adjust.when, self.lang)
                yield from self.cases(f"{self.say(key)} ({when})", [case], (adjust, *around))

    def pot(self, pot: Pot) -> Iterator[str]:
        yield from self.cases(f"{text_of(pot.name, self.lang)} ({pot.id})", pot.cap, (pot,))
        if pot.scope == "household":
            yield "  " + self.say("pot_household")
        if pot.growth is not None:
            growth = pot.growth
            for key, case in (
                ("growth_after", growth.continuous_after),
                ("growth_continuous", growth.per_continuous_year),
                ("growth_claim_free", growth.per_claim_free_year),
                ("growth_at_most", growth.at_most),
            ):
                yield from _deeper(self.cases(self.say(key), [case] if case else None, (growth, pot)))

    def ceilings(self) -> Iterator[str]:
        for ceiling in self.policy.ceilings:
            label = text_of(ceiling.name, self.lang) or ceiling.id
            yield from self.cases(f"{label} ({ceiling.id})", ceiling.share, (ceiling,))
            yield from _deeper(self.condition(ceiling.when))
            names = [tier_name(self.policy, tier, self.lang) for tier in ceiling.give_back]
            yield "  " + self.say("give_back", tiers=join(names, self.lang))

    def applied(self, applied: Applied) -> Iterator[str]:
        yield f"{text_of(applied.name, self.lang)} ({applied.id})"
        yield "  " + self.say("takes", pools=join([say(f"pool.{pool}", self.lang) for pool in applied.base], self.lang))
        if applied.excludes:
            yield "  " + self.say("excludes", groups=self.groups(applied.excludes))
        yield from _deeper(self.ground(applied))
        yield from _deeper(self.brackets(applied.brackets, (applied,)))
        yield from _deeper(self.cases(self.say("cap"), applied.cap, (applied,)))
        if applied.income_test is not None:
            test = applied.income_test
            yield from _deeper(self.cases(self.say("monthly_line"), test.monthly_line, (test, applied)))
        for condition in applied.conditions:
            yield f"  {self.say('by_hand')}: {text_of(condition.name, self.lang)}"
            if condition.amount is None:
                yield from _deeper(self.ground(condition))
            else:
                yield from _deeper(_deeper(self.cases(condition.id, condition.amount, (condition, applied))))

    def premium(self, row: Premium) -> Iterator[str]:
        option = f", {row.option}" if row.option else ""
        yield f"{text_of(row.name, self.lang)} ({row.id}{option}), {self.say('premium_year')} {row.benefit_year}"
        yield from _deeper(self.condition(row.when))
        yield from _deeper(self.cases(self.say("premium_personal"), [row.personal], (row,)))
        yield from _deeper(self.cases(self.say("premium_subsidy"), [row.subsidy] if row.subsidy else None, (row,)))
        if row.collected_from or row.collected_to:
            yield f"  {self.say('premium_collected')}: {row.collected_from or ''} .. {row.collected_to or ''}"

    def classes(self) -> Iterator[str]:
        for rule in self.policy.classes:
            when = condition_text(self.policy, rule.when, self.lang)
            yield f"{say(f'insured_class.{rule.insured_class}', self.lang)}: {when}"
            yield from self.ground(rule)

    def series(self) -> Iterator[str]:
        for series in self.policy.series:
            yield f"{text_of(series.name, self.lang)} ({series.id})"
            if not series.values:
                yield "  " + self.say("series_empty")
            for value in series.values:
                said = say(f"value.{value.unit}", self.lang, value=figure_text(value.value))
                yield f"  {value.year}: {said} - {ground_text(ground_of_holder(self.policy, value), self.lang)}"

    def parameters(self) -> Iterator[str]:
        for parameter in self.policy.parameters:
            label = f"{text_of(parameter.name, self.lang)} ({parameter.id})"
            yield from self.cases(label, parameter.amount, (parameter,))

    def left_open(self) -> Iterator[str]:
        for item in self.policy.left_open:
            whom = self.say("left_to", whom=self.say(f"left_to_{item.left_to}"))
            yield f"{text_of(item.name, self.lang)} ({item.id}): {whom}"
            yield from self.ground(item)


def _deeper(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {line}" if line else line
