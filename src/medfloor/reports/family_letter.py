"""Write a letter to a family about settled claims in plain language: who paid what by which article, what is left.

It is read by people who never met a code or a table of the law: large type, short sentences, amounts to the fen. The
diagnosis is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from medfloor.money import group_yuan
from medfloor.reports.printing import Block, Grid, Part, Points, Printout, day_text
from medfloor.reports.workbook import Cell, Figure
from medfloor.settlement.explanation import (
    BillLine,
    Cited,
    DeductibleBorne,
    Explanation,
    PassedOver,
    Text,
    TierExplained,
    Working,
    percent_text,
)
from medfloor.words import join, say

HOTLINE = "12393"
"""The national telephone of medical security."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Be who writes and who is written to; what is not known is left out or said in general."""

    name: str = ""
    office: str = ""
    address: str = ""
    telephone: str = ""


MOST_EXPLAINED = 4
"""How many bills a letter explains; of more, all are listed, and those explained of which the family pays most."""


def to_explain(lines: Sequence[BillLine]) -> list[str]:
    """Choose the bills that a letter explains, in the order of the list: all of few, else the dearest to the family.

    >>> day = date(2026, 3, 1)
    >>> lines = [BillLine(f"c{n}", "p", day, day, "inpatient", "2", 900, 900 - n, n) for n in range(8)]
    >>> to_explain(lines)
    ['c4', 'c5', 'c6', 'c7']
    """
    dearest = sorted(lines, key=lambda line: -line.own_fen)[:MOST_EXPLAINED]
    return [line.claim_id for line in lines if line in dearest]


def family_letter(
    told: Sequence[Explanation], sender: Sender, *, made: date, lang: str = "en", listed: Sequence[BillLine] = ()
) -> Printout:
    """Write the letter in a language; `made` is the day that stands on it. One claim or several of a household.

    `listed` are all bills where `told` explains only those that `to_explain` chose. Of more than `MOST_EXPLAINED`
    explanations the same choice is made here.

    >>> refused = Explanation("c1", "p1", "refused")
    >>> family_letter([refused], Sender(), made=date(2026, 3, 1)).parts[0].title
    'What to do now'
    """
    words = _Words(told, sender, lang, listed)
    closing = [*([sender.office] if sender.office else []), day_text(made, lang)]
    return Printout(
        words.say("title"), lang, made, list(words.parts()), kind="letter", greeting=words.greeting(),
        opening=list(words.opening()), marks=list(words.marks()), closing=closing,
    )  # fmt: skip


class _Words:
    """Say one letter in one language."""

    def __init__(self, told: Sequence[Explanation], sender: Sender, lang: str, listed: Sequence[BillLine] = ()) -> None:
        settled = [one for one in told if one.refusal is None and one.state != "refused"]
        self.refused = [one for one in told if one not in settled]
        self.lines = list(listed) or [one.line() for one in settled]
        chosen = set(to_explain(self.lines))
        self.settled = [one for one in settled if one.claim_id in chosen]
        self.many = len(self.lines) > MOST_EXPLAINED
        self.sender, self.lang = sender, lang

    def say(self, key: str, **values: object) -> str:
        return say(f"family_letter.{key}", self.lang, **values)

    def text(self, text: Text | None) -> str:
        return "" if text is None else text.in_(self.lang)

    def greeting(self) -> str:
        return self.say("greeting_name", name=self.sender.name) if self.sender.name else self.say("greeting")

    def marks(self) -> Iterator[str]:
        for one in self.settled:
            if one.taken_back is not None:
                yield self.say("taken_back", claim=one.claim_id)

    def opening(self) -> Iterator[str]:
        for one in self.refused:
            meaning = self.text(one.refusal.meaning) if one.refusal else ""
            yield self.say("refused", claim=one.claim_id, meaning=meaning)
        for line in [] if self.many else self.lines:
            yield self.about(line)
        if len(self.lines) > 1:
            total, paid, own = (
                group_yuan(sum(getattr(line, name) for line in self.lines))
                for name in ("total_fen", "paid_fen", "own_fen")
            )
            yield self.say("together", number=len(self.lines), total=total, paid=paid, own=own)

    def days(self, line: BillLine) -> str:
        first = day_text(line.start_date, self.lang)
        if line.start_date == line.end_date:
            return self.say("on_day", day=first)
        return self.say("days", first=first, last=day_text(line.end_date, self.lang))

    def about(self, line: BillLine) -> str:
        return self.say(
            "about", days=self.days(line), care=say(f"family_letter.care_{line.care_type}", self.lang),
            level=say(f"facility_level.{line.facility_level}", self.lang), total=group_yuan(line.total_fen),
            paid=group_yuan(line.paid_fen), own=group_yuan(line.own_fen),
        )  # fmt: skip

    def all_bills(self) -> Grid:
        rows: list[list[Cell]] = [
            [str(number), say(f"family_letter.care_{line.care_type}", self.lang), _short(line),
             _yuan(line.total_fen), _yuan(line.paid_fen), _yuan(line.own_fen)]
            for number, line in enumerate(self.lines, 1)
        ]  # fmt: skip
        rows.append(["", self.say("all_together"), "",
                     *(_yuan(sum(getattr(line, name) for line in self.lines))
                       for name in ("total_fen", "paid_fen", "own_fen"))])  # fmt: skip
        heads = [self.say(f"head_{name}") for name in ("number", "care", "days", "total", "paid", "own")]
        return Grid(self.say("all_bills_table"), heads, rows, 3)

    def parts(self) -> Iterator[Part]:
        if self.many:
            yield Part(self.say("all_bills"), [self.all_bills(), self.say("dearest", number=len(self.settled))])
        several = len(self.lines) > 1
        numbers = {line.claim_id: number for number, line in enumerate(self.lines, 1)}
        for one in self.settled:
            number = numbers[one.claim_id]
            title = self.say("who_paid_of", number=number) if several else self.say("who_paid")
            yield Part(title, [self.payers(one), self.say("article_note")])
            yield Part(self.say("how_of", number=number) if several else self.say("how"), [Points(list(self.how(one)))])
            yield Part(self.say("left_of", number=number) if several else self.say("left"),
                       [Points(list(self.left(one)))])  # fmt: skip
        if self.settled:
            yield Part(self.say("help"), list(self.help()))
        yield Part(self.say("ask" if self.settled else "do_now"), [Points(list(self.ask()))])

    def payers(self, one: Explanation) -> Grid:
        tiers = {tier.tier: tier for tier in one.tiers}
        rows: list[list[Cell]] = []
        for share in one.shares:
            if share.pay_fen:
                rows.append([self.text(share.name), self.rests_on(tiers.get(share.tier)), _yuan(share.pay_fen)])
        rows.append([self.say("paid_together"), "", _yuan(one.pay_total_fen)])
        rows.append([self.say("yours"), "", _yuan(one.own_total_fen)])
        charges = one.charges
        rows.append([self.say("whole"), "", _yuan(charges.total_fen if charges is not None else 0)])
        heads = [self.say(f"head_{name}") for name in ("payer", "article", "amount")]
        policy = self.text(one.policy.name) if one.policy is not None else ""
        return Grid(self.say("table"), heads, rows, 2, source=self.say("policy", policy=policy))

    def rests_on(self, tier: TierExplained | None) -> str:
        """Name the documents and articles behind a payment, each once."""
        if tier is None or tier.working is None:
            return ""
        work = tier.working
        cited: list[Cited] = [*work.cited]
        for bracket in work.brackets:
            cited += bracket.cited if bracket.stretch_fen else ()
        told = dict.fromkeys(self.cited(one) for one in cited if one.document is not None)
        return join(list(told), self.lang)

    def cited(self, one: Cited) -> str:
        document = self.text(one.document)
        return self.say("article", document=document, article=one.article) if one.article else document

    def how(self, one: Explanation) -> Iterator[str]:
        paid = one.pay_total_fen > 0
        if not paid:
            outside = one.charges is not None and not one.charges.in_scope_fen
            yield self.say("nothing_paid_outside" if outside else "nothing_paid")
        for tier in one.tiers:
            work = tier.working
            if work is None or tier.closed_by is not None or (work.pays == "nothing" and not work.pay_fen):
                if not paid:
                    yield self.why_not(tier, one)
            elif not work.base_fen:
                yield self.say("nothing_left", tier=self.named(tier))
            else:
                yield self.worked(tier, work)

    def worked(self, tier: TierExplained, work: Working) -> str:
        """Say what a tier looked at and how its payment came about, or why nothing came of it."""
        said = [self.say("looked_at", tier=self.named(tier), amount=group_yuan(work.base_fen))]
        borne = work.deductible
        if borne is not None and borne.borne_fen and not work.eligible_fen and not work.pay_fen:
            said.append(self.below(borne))
            return self.say("between").join(said) + self.say("stop")
        if borne is not None and borne.borne_fen:
            said.append(self.say("deductible", amount=group_yuan(borne.borne_fen)))
        rates = list(dict.fromkeys(percent_text(b.rate_bp) for b in work.brackets if b.stretch_fen))
        if rates:
            rates = [f"{rate} %" for rate in rates]
            said.append(self.say("rate", rates=join(rates, self.lang)))
        if work.capped:
            said.append(self.say("capped"))
        said.append(self.say("pays", amount=group_yuan(work.pay_fen)) if work.pay_fen else self.say("pays_nothing"))
        return self.say("between").join(said) + self.say("stop")

    def below(self, borne: DeductibleBorne) -> str:
        """Say that all lies below the deductible; of a year's, what was borne so far."""
        full = group_yuan(borne.full_fen)
        if borne.per == "year":
            so_far = group_yuan(borne.borne_before_fen + borne.borne_fen)
            return self.say("below_of_year", full=full, so_far=so_far)
        return self.say("below", full=full)

    def why_not(self, tier: TierExplained, one: Explanation) -> str:
        """Say why a tier did not look at a bill, or looked and by law pays nothing for it."""
        name = self.named(tier)
        if tier.closed_by is not None:
            closing = next(self.text(other.name) for other in one.tiers if other.tier == tier.closed_by)
            return self.say("not_asked", tier=name, closing=closing)
        if tier.working is not None:
            part = tier.working.part_name
            # A part that the law does not name has its code in the place of a name.
            if part.en == tier.working.part:
                return self.say("not_covered", tier=name)
            return self.say("not_covered_part", tier=name, part=self.text(part))
        reasons = dict.fromkeys(self.reason(part) for part in tier.passed_over)
        return self.say("not_for", tier=name, reasons=self.say("between").join(reasons))

    def reason(self, part: PassedOver) -> str:
        if part.condition == "diagnosis":
            return self.say("needs_disease")
        if part.condition in ("group", "holds"):
            return self.say("needs_status", asked=self.text(part.asked))
        return self.say("needs", asked=self.text(part.asked), found=self.text(part.found))

    def named(self, tier: TierExplained) -> str:
        name = self.text(tier.name)
        return name[:1].upper() + name[1:]

    def left(self, one: Explanation) -> Iterator[str]:
        if not one.own_total_fen:
            yield self.say("nothing_to_pay")
            return
        yield self.say("own_total", amount=group_yuan(one.own_total_fen))
        if one.own_in_scope_fen:
            kind = "own_in_scope" if one.pay_total_fen else "own_in_scope_unpaid"
            yield self.say(kind, amount=group_yuan(one.own_in_scope_fen))
        if one.own_outside_fen:
            yield self.say("own_outside", amount=group_yuan(one.own_outside_fen))

    def help(self) -> Iterator[Block]:
        held = [self.text(status.name) for one in self.settled for status in one.statuses if status.counts]
        held = list(dict.fromkeys(held))
        yield self.say("held", groups=join(held, self.lang)) if held else self.say("none_held")
        asked = dict.fromkeys(
            self.text(group.name)
            for one in self.settled
            for tier in one.tiers
            for group in tier.prefers
            if not group.held
        )
        wanted = [name for name in asked if name not in held]
        if wanted and not held:
            yield self.say("may_ask", groups=join(wanted, self.lang))
        yield self.say("ill_poor")
        yield self.say("never_refused")

    def ask(self) -> Iterator[str]:
        sender = self.sender
        if self.refused:
            yield self.say("bring")
        yield self.say("ask_office", office=sender.office) if sender.office else self.say("ask_any")
        if sender.address:
            yield self.say("at", address=sender.address)
        if sender.telephone:
            yield self.say("telephone", number=sender.telephone)
        yield self.say("hotline", number=HOTLINE)
        if self.settled:
            yield self.say("review")


def _short(line: BillLine) -> str:
    same = line.start_date == line.end_date
    return f"{line.start_date}" if same else f"{line.start_date} – {line.end_date}"


def _yuan(fen: int) -> Figure:
    return Figure(fen / 100, "amount")
