"""Tell an explanation in words, for a clerk at a counter and for the person before it, in Chinese or English."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from medfloor.money import group_yuan
from medfloor.policy.quotations import retold
from medfloor.policy.wording import quote_text
from medfloor.settlement.explanation import (
    BracketPaid,
    CapUsed,
    Cited,
    DeductibleBorne,
    Explanation,
    PassedOver,
    StatusHeld,
    Text,
    TierExplained,
    Working,
    percent_text,
)
from medfloor.words import join, say

_WIDTH = 15  # the widest amount with its grouping that is set flush; wider ones push their line out


def render(explanation: Explanation, lang: str = "en") -> str:
    """Tell an explanation as lines of text, amounts to the fen, ending with a table of who pays."""
    page = _Page(explanation, lang)
    return "\n".join(line.rstrip() for line in page.lines()) + "\n"


class _Page:
    """Write one explanation in one language."""

    def __init__(self, told: Explanation, lang: str) -> None:
        self.told = told
        self.lang = lang
        self.names = {tier.tier: tier.name for tier in told.tiers}

    def say(self, key: str, **values: object) -> str:
        return say(f"explain.{key}", self.lang, **values)

    def text(self, text: Text | None) -> str:
        return "" if text is None else text.in_(self.lang)

    def lines(self) -> Iterator[str]:
        told = self.told
        if told.refusal is not None:
            yield self.say("refused", claim=told.claim_id)
            yield self.say("refused_why", meaning=self.text(told.refusal.meaning), code=told.refusal.reason)
            if self.lang == "en":  # details are written in English only
                yield self.say("refused_detail", detail=told.refusal.detail)
            return
        yield from self.head()
        yield ""
        yield from self.charges()
        yield ""
        yield from self.statuses()
        for number, tier in enumerate(told.tiers, 1):
            yield ""
            yield from self.tier(number, tier)
        if told.ceilings:
            yield ""
            yield from self.ceilings()
        yield from self.not_applied()
        yield ""
        yield from self.who_pays()

    def head(self) -> Iterator[str]:
        told, policy, care = self.told, self.told.policy, self.told.care
        assert policy is not None and care is not None, "only a refused row has neither"
        yield self.say("title", claim=told.claim_id, person=told.person_id)
        if told.taken_back is not None:
            key = "is_reversal" if told.state == "reversal" else "was_taken_back"
            back = told.taken_back
            yield self.say(key, claim=back.claim_id, reversal=back.reversal_id, day=back.settled_date)
        yield self.say("policy", name=self.text(policy.name), id=policy.id, start=policy.from_date)
        what = [
            say(f"{name}.{getattr(care, name)}", self.lang)
            for name in ("care_type", "facility_level", "area", "referral", "insured_class")
        ]
        yield self.say("care", what=join(what, self.lang))
        if care.start_date == care.end_date:
            yield self.say("days_one", day=care.start_date, settled=care.settled_date)
        else:
            yield self.say("days", first=care.start_date, last=care.end_date, settled=care.settled_date)
        yield self.say("year", year=told.benefit_year, n=told.sequence, count=told.claims_in_year)
        yield self.say(f"currency_{policy.currency.lower()}")
        if told.changes:
            yield self.say("changed")
            for change in told.changes:
                name = self.say("all_tiers") if change.tier == "total" else self.text(self.names[change.tier])
                yield "  " + self.say(
                    "change", tier=name, before=group_yuan(change.before_fen), after=group_yuan(change.after_fen)
                )

    def charges(self) -> Iterator[str]:
        charges = self.told.charges
        assert charges is not None, "only a refused row has none"
        yield self.say("charges")
        yield _row(charges.total_fen, self.say("total"))
        for pool in ("in_scope", "first_self_pay", "over_limit", "off_catalogue"):
            amount = getattr(charges, f"{pool}_fen")
            if amount or pool == "in_scope":
                yield _row(amount, self.say("of_it", pool=say(f"pool.{pool}", self.lang)))

    def statuses(self) -> Iterator[str]:
        told = self.told
        assert told.status_rule is not None, "only a refused row has none"
        yield self.say("statuses")
        if not told.statuses:
            yield "  " + self.say("no_status")
        for status in told.statuses:
            yield "  " + self.status(status)
        yield "  " + self.say("status_rule", day=say(f"status_day.{told.status_rule.day}", self.lang))
        if told.status_rule.cited is not None:
            yield from self.cited((told.status_rule.cited,), "    ")

    def status(self, status: StatusHeld) -> str:
        name = self.text(status.name)
        span = self.span(status.from_date, status.to_date)
        if not status.counts:
            return self.say("status_off", name=name, span=span)
        if not status.used_by:
            tier = next((one for one in self.told.tiers if one.tier == status.because), None)
            values = {"tier": self.text(tier.name), "used": self.text(tier.group_name)} if tier else {}
            return self.say(f"status_{status.unused}", name=name, span=span, **values)
        by = join([self.text(self.names[tier]) for tier in status.used_by], self.lang)
        return self.say("status_used", name=name, span=span, tiers=by)

    def span(self, first: date | None, last: date | None) -> str:
        key = ("span_from" if first else "span") + ("_to" if last else "_open")
        return self.say(key, first=first, last=last)

    def tier(self, number: int, tier: TierExplained) -> Iterator[str]:
        name, work = self.text(tier.name), tier.working
        if tier.closed_by is not None:
            yield self.say("tier_closed", n=number, tier=name, by=self.text(self.names[tier.closed_by]))
            return
        if work is None:
            yield self.say("tier_off", n=number, tier=name)
            return
        yield self.say("tier", n=number, tier=name, part=self.text(work.part_name))
        yield from ("   " + line for line in self.working(tier, work))

    def working(self, tier: TierExplained, work: Working) -> Iterator[str]:
        yield from self.cited(work.cited, "")
        if tier.prefers:
            order = join([self.text(one.name) for one in tier.prefers], self.lang)
            key = "uses_none" if tier.group == "none" else "uses"
            yield self.say(key, name=self.text(tier.group_name), order=order)
        if work.first_share is not None:
            share = work.first_share
            yield self.say("first_share", rate=percent_text(share.rate_bp), amount=group_yuan(share.amount_fen))
            yield from self.cited(share.cited)
        pools = [f"{say(f'pool.{one.pool}', self.lang)} {group_yuan(one.amount_fen)}" for one in work.pools]
        yield self.say("took_in", amount=group_yuan(work.base_fen), pools=join(pools, self.lang))
        if work.pays == "nothing":
            yield self.say("pays_nothing" if work.feeds else "pays_nothing_closed", left=group_yuan(work.left_fen))
            return
        if work.pays == "given":
            yield self.say("given", column=work.given_column, amount=group_yuan(work.due_fen))
        if work.deductible is not None:
            yield from self.deductible(work.deductible)
        yield from self.schedule(work)
        for cap in work.caps:
            yield self.cap(cap)
            yield from self.cited(cap.cited)
        yield from self.outcome(work)

    def deductible(self, ded: DeductibleBorne) -> Iterator[str]:
        full = group_yuan(ded.full_fen)
        parts = []
        if ded.standard_fen is not None and (
            ded.factor_bp is not None or ded.repeat_bp is not None or ded.repeat_less_fen
        ):
            parts.append(self.say("ded_standard", amount=group_yuan(ded.standard_fen)))
        if ded.factor_bp is not None:
            parts.append(self.say("ded_factor", rate=percent_text(ded.factor_bp)))
        if ded.admission:
            parts.append(self.say("ded_admission", n=ded.admission))
        if ded.repeat_bp is not None:
            parts.append(self.say("ded_repeat", rate=percent_text(ded.repeat_bp)))
        if ded.repeat_less_fen:
            parts.append(self.say("ded_less", amount=group_yuan(ded.repeat_less_fen)))
        if ded.continues is not None:
            parts.append(self.say("ded_transfer", claim=ded.continues))
        if ded.fixed_by is not None:
            parts.append(self.say("ded_fixed_by", claim=ded.fixed_by))
        elif ded.kept:
            parts.append(self.say("ded_kept"))
        how = self.say("ded_how", parts=join(parts, self.lang)) if parts else ""
        yield self.say("deductible", per=say(f"per.{ded.per}", self.lang), full=full, how=how)
        key = "ded_borne" if ded.borne_before_fen or ded.per == "year" or ded.continues else "ded_borne_now"
        yield "  " + self.say(key, before=group_yuan(ded.borne_before_fen), now=group_yuan(ded.borne_fen))
        yield from self.cited(ded.cited)

    def schedule(self, work: Working) -> Iterator[str]:
        if work.pays != "schedule":
            return
        if work.over_year:
            key = "over_year_absolute" if work.absolute else "over_year"
            key = key if work.deductible is not None else "over_year_plain"
            yield self.say(key, before=group_yuan(work.reached_before_fen), after=group_yuan(work.reached_after_fen))
        paying = [bracket for bracket in work.brackets if bracket.stretch_fen]
        if not paying:
            yield self.say("nothing_above")
        for bracket in paying:
            yield self.bracket(bracket, several=len(work.brackets) > 1)
            if bracket.changes:
                yield "  " + self.rate_made(bracket)
            yield from self.cited(bracket.cited)
        if len(paying) > 1:
            yield self.say("brackets_sum", amount=_grouped(work.exact_yuan))
        if work.floor is not None:
            floor = work.floor
            of, rate = say(f"show.floor_{floor.of}", self.lang), percent_text(floor.rate_bp)
            key = "floor_raised" if floor.raised else "floor"
            yield self.say(key, of=of, rate=rate, amount=group_yuan(floor.amount_fen))
            yield from self.cited(floor.cited)
        if work.rounded:
            mode, place = (
                say(f"show.round_{work.rounding_mode}", self.lang),
                say(f"show.place_{work.rounding_place}", self.lang),
            )
            key = "rounded_year" if work.over_year and work.reached_before_fen else "rounded"
            yield self.say(key, mode=mode, place=place, amount=group_yuan(work.due_fen))

    def bracket(self, bracket: BracketPaid, several: bool) -> str:
        said = self.say(
            "bracket",
            stretch=group_yuan(bracket.stretch_fen),
            rate=percent_text(bracket.rate_bp),
            product=_grouped(bracket.product_yuan),
        )
        if not several:
            return said
        first = group_yuan(bracket.from_fen)
        if bracket.up_to_fen is None:
            return said + self.say("bracket_beyond", first=first)
        return said + self.say("bracket_between", first=first, last=group_yuan(bracket.up_to_fen))

    def rate_made(self, bracket: BracketPaid) -> str:
        """Say how a rate came about from that of everybody."""
        made = self.say("rate_base", rate=bracket.base_percent)
        value = Decimal(bracket.base_percent)
        for change in bracket.changes:
            amount = Decimal(change.amount)
            if change.kind == "times":
                made += self.say("rate_times", rate=change.amount)
                value = value * amount / 100
            else:
                made += self.say("rate_more" if amount >= 0 else "rate_less", points=change.amount.lstrip("-"))
                value += amount
        key = "rate_made" if 0 <= value <= 100 else "rate_bounded"
        return self.say(key, made=made, rate=percent_text(bracket.rate_bp))

    def cap(self, cap: CapUsed) -> str:
        name = self.say("cap_claim") if cap.name is None else self.text(cap.name)
        used = group_yuan(cap.used_before_fen)
        if cap.cap_fen is None or cap.left_fen is None:
            return self.say("cap_none", name=name, used=used)
        return self.say("cap", name=name, cap=group_yuan(cap.cap_fen), used=used, left=group_yuan(cap.left_fen))

    def outcome(self, work: Working) -> Iterator[str]:
        paid, left = group_yuan(work.paid_at_first_fen), group_yuan(work.left_fen)
        if work.capped:
            yield self.say("capped", due=group_yuan(work.due_fen), paid=paid)
        if work.set_aside_fen:
            yield self.say("set_aside", amount=group_yuan(work.set_aside_fen))
        yield self.say("paid" if work.feeds else "paid_closed", paid=paid, left=left)
        if work.given_back_fen:
            yield self.say("gave_back", amount=group_yuan(work.given_back_fen), pay=group_yuan(work.pay_fen))

    def ceilings(self) -> Iterator[str]:
        yield self.say("ceilings")
        for one in self.told.ceilings:
            values = {
                "name": self.text(one.name),
                "rate": percent_text(one.rate_bp),
                "limit": group_yuan(one.limit_fen),
                "paid": group_yuan(one.paid_before_fen),
                "back": group_yuan(one.given_back_fen),
            }
            yield "  " + self.say("ceiling_back" if one.given_back_fen else "ceiling", **values)
            yield from self.cited(one.cited, "    ")

    def not_applied(self) -> Iterator[str]:
        told = [tier for tier in self.told.tiers if tier.passed_over]
        if not told:
            return
        yield ""
        yield self.say("not_applied")
        for tier in told:
            yield f"  {self.text(tier.name)}"
            if tier.working is None and all(part.condition == "group" for part in tier.passed_over):
                order = join([self.text(one.name) for one in tier.prefers], self.lang)
                yield "    " + self.say("needs_status", groups=order)
                continue
            used = self.text(tier.working.part_name) if tier.working else ""
            alike: dict[tuple[str, Text, Text], list[PassedOver]] = {}
            for part in tier.passed_over:
                alike.setdefault((part.condition, part.asked, part.found), []).append(part)
            for parts in alike.values():
                yield "    " + self.passed_over(parts, used, tier.group)

    def passed_over(self, parts: Sequence[PassedOver], used: str, group: str) -> str:
        """Say why parts were passed over that fell to the same condition."""
        names = say("when.and", self.lang).join(self.text(part.name) for part in parts)
        one = parts[0]
        if one.condition == "earlier_part":
            return self.say("earlier_part", part=names, used=used)
        key = "condition"
        if one.condition == "holds":
            key = "condition_not_held"
        elif one.condition == "group":
            key = "condition_no_status" if group == "none" else "condition_status"
        return self.say(key, part=names, asked=self.text(one.asked), found=self.text(one.found))

    def who_pays(self) -> Iterator[str]:
        told = self.told
        yield self.say("who_pays")
        for share in told.shares:
            yield _row(share.pay_fen, self.text(share.name))
        yield _row(told.pay_total_fen, self.say("paid_together"))
        yield _row(told.own_in_scope_fen, self.say("own_in_scope"))
        yield _row(told.own_outside_fen, self.say("own_outside"))
        yield _row(told.own_total_fen, self.say("own_total"))
        total = told.pay_total_fen + told.own_total_fen
        assert told.charges is not None and total == told.charges.total_fen, "no fen may be lost"
        sums = self.say("reconciled", paid=group_yuan(told.pay_total_fen), own=group_yuan(told.own_total_fen))
        yield _row(total, sums)

    def cited(self, cites: Sequence[Cited], indent: str = "  ") -> Iterator[str]:
        """Say what a line rests on."""
        for one in cites:
            document = self.text(one.document)
            where = f"{document} {one.article}" if document and one.article else document
            again = retold(one.quote, self.told.policy.currency if self.told.policy else "CNY")
            quote = quote_text(one.quote, self.lang, again=again) if one.quote else ""
            said = [where, f"[{say(f'trust.{one.trust}', self.lang)}]", quote]
            yield f"{indent}- {' '.join(word for word in said if word)}"
            if one.note is not None:
                yield f"{indent}  {say('show.note', self.lang, note=self.text(one.note))}"


def _row(amount_fen: int, label: str) -> str:
    """Write an amount flush right and its label behind it, so that Chinese and English columns stand alike."""
    return f"{group_yuan(amount_fen):>{_WIDTH}}  {label}"


def _grouped(yuan: str) -> str:
    whole, _, part = yuan.partition(".")
    return f"{int(whole):,}.{part}"
