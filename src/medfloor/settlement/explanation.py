"""Hold the explanation of one settled claim: plain records with both languages, ready to be printed or sent as JSON.

Amounts are in fen (`*_fen`), rates in basis points (`*_bp`); `to_dict` gives them as yuan and per cent in text. A
record holds codes and numbers; the sentences around them are written by `narrative`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from medfloor.money import format_yuan

State = Literal["settled", "taken_back", "reversal", "refused"]


@dataclass(frozen=True, slots=True)
class Text:
    """Be a text in both languages."""

    zh: str
    en: str

    def in_(self, lang: str) -> str:
        """Give the text in one language."""
        return self.zh if lang == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Cited:
    """Be what a number rests on: document, article, the words that say it, and how far they can be trusted."""

    document: Text | None
    article: str | None
    quote: str | None
    trust: str
    address: str | None = None
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Be why a row was not settled."""

    reason: str
    meaning: Text
    detail: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Be the row that takes a settlement back."""

    reversal_id: str
    claim_id: str
    settled_date: date


@dataclass(frozen=True, slots=True)
class PolicyNamed:
    """Be the version of the law that was used."""

    address: str
    id: str
    name: Text
    from_date: date
    currency: str


@dataclass(frozen=True, slots=True)
class Care:
    """Be what was settled, as the law sees it. The diagnosis is left out on purpose."""

    care_type: str
    facility_level: str
    area: str
    referral: str
    insured_class: str
    start_date: date
    end_date: date
    settled_date: date


@dataclass(frozen=True, slots=True)
class Charges:
    """Be what the hospital charged, and its parts."""

    total_fen: int
    in_scope_fen: int
    first_self_pay_fen: int
    over_limit_fen: int
    off_catalogue_fen: int


@dataclass(frozen=True, slots=True)
class StatusHeld:
    """Be a status of the person; `counts` says whether it was held on the day that counts.

    `used_by` names the tiers for which it made a difference. Where there are none, `unused` says why: "closed" (the
    tiers that ask for it were not reached, because what `because` refuses goes to no later tier), "outranked" (the tier
    `because` uses another status, which comes first in its order), or "not_asked"; else it is empty.
    """

    group: str
    name: Text
    from_date: date | None
    to_date: date | None
    counts: bool
    used_by: tuple[str, ...]
    unused: str = ""
    because: str | None = None


@dataclass(frozen=True, slots=True)
class StatusRule:
    """Be which day decides about a status."""

    day: str
    cited: Cited | None


@dataclass(frozen=True, slots=True)
class Preferred:
    """Be a status in a tier's order of preference."""

    group: str
    name: Text
    held: bool


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Be a part of a tier that was not used.

    `condition` is the first condition that failed, with what it asks and what the claim has; "earlier_part" where the
    part fits too, but an earlier one was used.
    """

    part: str
    name: Text
    condition: str
    asked: Text
    found: Text


@dataclass(frozen=True, slots=True)
class PoolFound:
    """Be what a tier found in one pool of its base."""

    pool: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class FirstShare:
    """Be the share that stays with the patient before the tier looks."""

    rate_bp: int
    amount_fen: int
    cited: tuple[Cited, ...]


@dataclass(frozen=True, slots=True)
class DeductibleBorne:
    """Be the deductible: the standard, what of it applies here, and what was borne before and now.

    `admission` is the number of the stay in the year, 0 where stays are not counted. `continues` is the first claim of
    the stay that this one goes on with. `kept` says that an earlier claim fixed the amount, and `fixed_by` which one;
    of a claim that only opening accumulators know, neither its id nor the words of its amount are known.
    """

    per: str
    standard_fen: int | None
    factor_bp: int | None
    repeat_bp: int | None
    repeat_less_fen: int
    full_fen: int
    borne_before_fen: int
    borne_fen: int
    admission: int
    same_level: int
    continues: str | None
    kept: bool
    fixed_by: str | None
    cited: tuple[Cited, ...]


@dataclass(frozen=True, slots=True)
class RateChange:
    """Be a change of a rate for some people: by `points`, or `times` a share in per cent; `amount` as plain text."""

    kind: Literal["points", "times"]
    amount: str


@dataclass(frozen=True, slots=True)
class BracketPaid:
    """Be one bracket: where it lies, how much of this claim lies in it, and what that makes, exactly.

    `base_percent` is the rate before `changes`, which make it `rate_bp` (never below 0 % or above 100 %).
    """

    from_fen: int
    up_to_fen: int | None
    stretch_fen: int
    rate_bp: int
    base_percent: str
    changes: tuple[RateChange, ...]
    product_yuan: str
    cited: tuple[Cited, ...]


@dataclass(frozen=True, slots=True)
class CapUsed:
    """Be a limit: the claim's own (pot is empty) or a pot of the year."""

    pot: str
    name: Text | None
    cap_fen: int | None
    used_before_fen: int
    left_fen: int | None
    cited: tuple[Cited, ...]


@dataclass(frozen=True, slots=True)
class FloorUsed:
    """Be the least that the tier pays; `raised` where it was more than the schedule gives."""

    of: str
    rate_bp: int
    amount_fen: int
    raised: bool
    cited: tuple[Cited, ...]


@dataclass(frozen=True, slots=True)
class Working:
    """Be how a tier came to its payment."""

    part: str
    part_name: Text
    pays: str
    feeds: bool
    given_column: str | None
    pools: tuple[PoolFound, ...]
    base_fen: int
    first_share: FirstShare | None
    deductible: DeductibleBorne | None
    eligible_fen: int
    over_year: bool
    absolute: bool
    reached_before_fen: int
    reached_after_fen: int
    brackets: tuple[BracketPaid, ...]
    exact_yuan: str
    rounded: bool
    rounding_mode: str
    rounding_place: str
    floor: FloorUsed | None
    due_fen: int
    caps: tuple[CapUsed, ...]
    capped: bool
    set_aside_fen: int
    paid_at_first_fen: int
    given_back_fen: int
    pay_fen: int
    left_fen: int
    cited: tuple[Cited, ...]


@dataclass(frozen=True, slots=True)
class TierExplained:
    """Be one tier: the status it used, its working where a part applied, and what did not apply and why.

    `closed_by` names the tier that let nothing through, where one did; such a tier was not asked.
    """

    tier: str
    name: Text
    group: str
    group_name: Text
    status_day: str
    prefers: tuple[Preferred, ...]
    closed_by: str | None
    working: Working | None
    passed_over: tuple[PassedOver, ...]


@dataclass(frozen=True, slots=True)
class CeilingUsed:
    """Be a ceiling over all tiers: its share of the total, what had been paid, and what was given back."""

    ceiling: str
    name: Text
    rate_bp: int
    limit_fen: int
    paid_before_fen: int
    given_back_fen: int
    cited: tuple[Cited, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Be a payment that reversals in the same year changed after it was first made."""

    tier: str
    before_fen: int
    after_fen: int


@dataclass(frozen=True, slots=True)
class Share:
    """Be one line of the final table: a tier's payment."""

    tier: str
    name: Text
    pay_fen: int


@dataclass(frozen=True, slots=True)
class BillLine:
    """Be one settled bill in a list: whose, its days, its care, and what it came to, in fen."""

    claim_id: str
    person_id: str
    start_date: date
    end_date: date
    care_type: str
    facility_level: str
    total_fen: int
    paid_fen: int
    own_fen: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Be one claim explained. Of a refused row only `refusal` is known.

    state: settled; taken_back (it was settled so, and later taken back); reversal (the row takes back the claim that is
    explained); refused.
    """

    claim_id: str
    person_id: str
    state: State
    refusal: Refusal | None = None
    taken_back: TakenBack | None = None
    policy: PolicyNamed | None = None
    benefit_year: int = 0
    sequence: int = 0
    claims_in_year: int = 0
    care: Care | None = None
    charges: Charges | None = None
    statuses: tuple[StatusHeld, ...] = ()
    status_rule: StatusRule | None = None
    tiers: tuple[TierExplained, ...] = ()
    ceilings: tuple[CeilingUsed, ...] = ()
    changes: tuple[Change, ...] = ()
    shares: tuple[Share, ...] = ()
    pay_total_fen: int = 0
    own_in_scope_fen: int = 0
    own_outside_fen: int = 0
    own_total_fen: int = 0

    def line(self) -> BillLine:
        """Give the bill as one line of a list; a refused row has none."""
        care, charges = self.care, self.charges
        assert care is not None and charges is not None, "only a refused row has neither"
        return BillLine(
            self.claim_id, self.person_id, care.start_date, care.end_date, care.care_type, care.facility_level,
            charges.total_fen, self.pay_total_fen, self.own_total_fen,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Give the explanation as plain data for JSON: amounts as yuan in text, rates as per cent in text."""
        found = plain(self)
        assert isinstance(found, dict)
        return found


def percent_text(rate_bp: int) -> str:
    """Write basis points as per cent without needless zeros.

    >>> percent_text(7500), percent_text(1250)
    ('75', '12.5')
    """
    return f"{Decimal(rate_bp) / 100:f}".rstrip("0").rstrip(".") if rate_bp % 100 else str(rate_bp // 100)


def product_text(value_fen_bp: int) -> str:
    """Write fen times basis points as yuan, exactly, with at least two decimals.

    >>> product_text(2_159_755 * 8_500), product_text(12_870_000 * 7_500)
    ('18357.9175', '96525.00')
    """
    text = f"{Decimal(value_fen_bp) / 1_000_000:.6f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"{whole}.{part:0<2}"


def plain(value: Any) -> Any:
    """Turn records into plain data: fen to yuan in text, basis points to per cent, dates to ISO text.

    >>> plain(CapUsed("", None, 500, 0, 500, ()))["cap"]
    '5.00'
    """
    if is_dataclass(value) and not isinstance(value, type):
        found: dict[str, Any] = {}
        for one in fields(value):
            item = getattr(value, one.name)
            if one.name.endswith("_fen"):
                found[one.name.removesuffix("_fen")] = None if item is None else format_yuan(item)
            elif one.name.endswith("_bp"):
                found[one.name.removesuffix("_bp") + "_percent"] = None if item is None else percent_text(item)
            else:
                found[one.name] = plain(item)
        return found
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return value
