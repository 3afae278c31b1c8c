"""Keep what is asked to be settled: one claim as a hospital or a person brings it, whole and in fen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from medfloor import tables
from medfloor.errors import InputError
from medfloor.money import MAX_FEN
from medfloor.settlement.scope import Visit

if TYPE_CHECKING:
    import polars as pl

PAID_BY = ("facility", "person")
"""Who advanced what the funds pay: the facility (one-stop settlement), or the person, who is reimbursed by hand."""

Order = tuple[date, date, str]
"""By what claims of a year are settled: settled date, start date, claim_id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Be one claim to be settled, amounts in fen; None = not said.

    `extra` holds the further amounts that the policy reads (its input columns). `checked` says whether it can be used.

    >>> day = date(2024, 3, 1)
    >>> bill = Bill(claim_id="c1", person_id="p1", care_type="inpatient", facility_level="3", start_date=day,
    ...     end_date=day, settled_date=day, total_fen=100, in_scope_fen=100)
    >>> bill.checked() is bill
    True
    """

    claim_id: str
    person_id: str
    care_type: str
    facility_level: str
    start_date: date
    end_date: date
    settled_date: date
    total_fen: int
    in_scope_fen: int
    off_catalogue_fen: int = 0
    over_limit_fen: int = 0
    first_self_pay_fen: int = 0
    area: str = "local"
    referral: str = "regular"
    continues: str | None = None
    diagnosis: str | None = None
    provider_id: str | None = None
    extra: Mapping[str, int] = field(default_factory=dict)
    paid_by: str = "facility"

    @property
    def order(self) -> Order:
        """Give by what this claim is settled among those of its year."""
        return self.settled_date, self.start_date, self.claim_id

    @property
    def visit(self) -> Visit:
        """Give what the claim says of itself, as the law asks it."""
        return Visit(
            self.care_type, self.facility_level, self.start_date, self.end_date, self.settled_date, self.area,
            self.referral, self.diagnosis, self.total_fen,
        )  # fmt: skip

    def checked(self) -> Bill:
        """Give the bill itself if it can be settled at all; raise InputError with the code of a refused row if not.

        No message holds who it is or what ails them.
        """
        for name, most in (("claim_id", 64), ("person_id", 64)):
            value = getattr(self, name)
            if not value or len(value) > most or not value.isprintable():
                raise InputError("missing_value", f"{name} must be 1 to {most} printable characters")
        for name in ("continues", "provider_id", "diagnosis"):
            value = getattr(self, name)
            if value is not None and (len(value) > _WIDEST[name] or not value.isprintable()):
                raise InputError("bad_number", f"{name} must be at most {_WIDEST[name]} printable characters")
        for name, codes, reason in _CODES:
            if getattr(self, name) not in codes:
                raise InputError(reason, f"{name} is none of {', '.join(codes)}")
        parts = (self.in_scope_fen, self.first_self_pay_fen, self.over_limit_fen, self.off_catalogue_fen)
        if min(parts) < 0:
            raise InputError("negative_amount", f"a part of the total is {min(parts)} fen; amounts are not below zero")
        if sum(parts) != self.total_fen:
            raise InputError(
                "parts_not_total", f"total {self.total_fen} fen is not the sum of its parts, {sum(parts)} fen"
            )
        if self.total_fen > MAX_FEN:
            raise InputError("amount_too_large", f"total {self.total_fen} fen is beyond 9 trillion yuan")
        for name, fen in self.extra.items():
            if not 0 <= fen <= MAX_FEN:
                raise InputError("bad_amount", f"{name} is {fen} fen; an amount is from 0 to 9 trillion yuan")
        if self.end_date < self.start_date:
            raise InputError("end_before_start", f"end_date is {self.end_date}, before start_date {self.start_date}")
        return self

    def facts(self) -> dict[str, Any]:
        """Give the bill as plain values that JSON can hold; what is not said is left out."""
        said: dict[str, Any] = {
            "claim_id": self.claim_id, "person_id": self.person_id, "care_type": self.care_type,
            "facility_level": self.facility_level, "area": self.area, "referral": self.referral,
            "start_date": self.start_date.isoformat(), "end_date": self.end_date.isoformat(),
            "settled_date": self.settled_date.isoformat(), "total_fen": self.total_fen,
            "in_scope_fen": self.in_scope_fen, "off_catalogue_fen": self.off_catalogue_fen,
            "over_limit_fen": self.over_limit_fen, "first_self_pay_fen": self.first_self_pay_fen,
            "paid_by": self.paid_by,
        }  # fmt: skip
        for name in ("continues", "diagnosis", "provider_id"):
            if getattr(self, name) is not None:
                said[name] = getattr(self, name)
        if self.extra:
            said["extra"] = dict(self.extra)
        return said

    @classmethod
    def from_facts(cls, said: Mapping[str, Any]) -> Bill:
        """Read what `facts` gave."""
        days = {name: date.fromisoformat(said[name]) for name in ("start_date", "end_date", "settled_date")}
        return cls(**{**said, **days})

    def row(self) -> dict[str, Any]:
        """Give the bill as a row of the table of claims, without its account."""
        named = {name: getattr(self, name) for name in _COLUMNS}
        return {**named, "extra": json.dumps(dict(self.extra), sort_keys=True) if self.extra else None}

    @classmethod
    def from_row(cls, row: Any) -> Bill:
        """Read a row of the table of claims."""
        return cls(**{name: getattr(row, name) for name in _COLUMNS}, extra=json.loads(row.extra) if row.extra else {})


_CODES = (
    ("care_type", tables.CARE_TYPES, "unknown_care_type"),
    ("facility_level", tables.FACILITY_LEVELS, "unknown_facility_level"),
    ("area", tables.AREAS, "unknown_code"),
    ("referral", tables.REFERRALS, "unknown_code"),
    ("paid_by", PAID_BY, "unknown_code"),
)

_WIDEST = {"continues": 64, "provider_id": 64, "diagnosis": 32}

_COLUMNS = (
    "claim_id", "person_id", "care_type", "facility_level", "area", "referral", "start_date", "end_date",
    "settled_date", "continues", "diagnosis", "provider_id", "total_fen", "off_catalogue_fen", "over_limit_fen",
    "first_self_pay_fen", "in_scope_fen", "paid_by",
)  # fmt: skip


def bills_of(frame: pl.DataFrame, columns: Sequence[str]) -> tuple[list[Bill], list[tuple[str, str]]]:
    """Turn accepted rows of claims (`medfloor.intake.read_claims`) into bills, and list the rows that take others back.

    `columns` are the input columns that the policy reads, in yuan. Returns the bills, and pairs of a row's claim_id
    and the claim that it reverses. Raises InputError (`bad_amount`) for an input column that holds no amount.
    """
    bills: list[Bill] = []
    back: list[tuple[str, str]] = []
    read = [name for name in columns if name in frame.columns]
    for row in frame.iter_rows(named=True):
        if row["reverses"] is not None:
            back.append((row["claim_id"], row["reverses"]))
            continue
        said = {name: row[name] for name in _COLUMNS if name in row}
        for name, codes in _POSITIONS:
            said[name] = codes[row[name]]
        extra = {name: _fen(name, row[name]) for name in read if row[name] not in (None, "")}
        bills.append(Bill(**said, extra=extra))
    return bills, back


_POSITIONS = (
    ("care_type", tables.CARE_TYPES), ("facility_level", tables.FACILITY_LEVELS), ("area", tables.AREAS),
    ("referral", tables.REFERRALS),
)  # fmt: skip


def _fen(name: str, value: Any) -> int:
    try:
        fen = Decimal(str(value)) * 100
        if fen == int(fen):
            return int(fen)
    except (ArithmeticError, ValueError):
        pass
    raise InputError("bad_amount", f"{name}: the policy reads an amount here, in yuan with at most two decimals")
