"""Say what is wrong with the ledger: which chain, which entry, what."""

from __future__ import annotations

from dataclasses import dataclass

FINDINGS: dict[str, str] = {
    "entry_missing": "a number of the chain is missing, or stands twice",
    "link_broken": "the entry does not name the hash of the one before it",
    "hash_differs": "the entry is not what its hash was made of",
    "input_differs": "the input is not what its hash was made of",
    "not_balanced": "the postings do not come to zero",
    "postings_differ": "the postings are not those that follow from input and result",
    "claim_differs": "the claim is not the one that the entry settled",
    "claim_unposted": "a claim that no entry settled",
    "standing_differs": "the entry is about another state of the claim than the entries before it left",
    "head_moved": "length or head of the account are not those of its last entry",
    "state_differs": "the counters of the account are not those that its entries left",
    "orphan": "a row belongs to an account or an entry that is not there",
    "arrear_differs": "what is owed is not what the entry moved, or its state is not that of its last step",
    "payment_differs": "an arrear is paid without its payment, or a payment has no arrear",
    "seal_broken": "the seal is not what its hash was made of, or does not name the seal before it",
    "seal_missing": "the seal that was asked for is not there",
    "sealed_gone": "what was sealed is not in its chain any more",
    "result_differs": "the entry settled again from its own input gives another result",
    "year_differs": "the year settled again from nothing gives other amounts",
    "year_refused": "a claim that stands is refused when the year is settled again from nothing",
    "counters_differ": "the year settled again from nothing leaves other counters",
    "unreadable": "the row cannot be read",
}
"""Code of a finding -> what it says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Be one thing that is wrong. `chain` names the account (kind, owner, year), `number` the entry (0 = none)."""

    code: str
    chain: str
    number: int
    detail: str = ""

    def __post_init__(self) -> None:
        assert self.code in FINDINGS, self.code


@dataclass(frozen=True, slots=True)
class Verification:
    """Be the outcome: how much was looked at, and what is wrong.

    `recomputed` entries were settled again from their own input, `claims` from nothing with their years; `other_law`
    counts entries that were posted under another law or by another version of the program, which only that can
    recompute; `erased` counts years of people who are no longer in the register.
    """

    accounts: int
    entries: int
    seals: int
    recomputed: int
    other_law: int
    claims: int
    erased: int
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.findings
