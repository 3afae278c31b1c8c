"""Read what a hospital says of its month: one row a settlement or refund, summed claim by claim.

Amounts are yuan in the file and fen here. A row is a refund where its flag says so or its amounts are below zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from medfloor.errors import InputError
from medfloor.money import MAX_FEN, parse_fen
from medfloor.store.extracts import Extract, is_formula

COLUMNS: dict[str, tuple[str, ...]] = {
    "claim_id": ("claim_id", "mdtrt_id", "就诊id", "就诊号"),
    "pay_total": ("pay_total", "fund_pay_sumamt", "基金支付总额"),
    "own_total": ("own_total", "psn_part_amt", "个人负担总金额"),
    "total": ("total", "medfee_sumamt", "医疗费总额"),
    "reversed": ("reversed", "refd_setl_flag", "退费结算标志"),
    "provider_id": ("provider_id", "fixmedins_code", "定点医药机构编号"),
}
"""Our name -> the names under which a column is found: ours, the national platform's, those of printed lists."""

_REQUIRED = ("claim_id", "pay_total")
_FLAGS = {"1": True, "true": True, "是": True, "yes": True, "0": False, "false": False, "否": False, "no": False}


@dataclass(slots=True)
class Side:
    """Be one claim on one side: what it comes to in the month. An amount of None is not said by every row.

    `settled` counts settlements less refunds, `refunds` the refunds alone.
    """

    pay_fen: int = 0
    own_fen: int | None = 0
    total_fen: int | None = 0
    settled: int = 0
    refunds: int = 0

    @property
    def reversed(self) -> bool:
        """Say whether the month ends with the claim taken back, wherever it was settled."""
        return self.refunds > 0 and self.settled <= 0

    def add(self, pay_fen: int, own_fen: int | None, total_fen: int | None, refund: bool) -> None:
        """Count one more row."""
        self.pay_fen += pay_fen
        self.own_fen = None if self.own_fen is None or own_fen is None else self.own_fen + own_fen
        self.total_fen = None if self.total_fen is None or total_fen is None else self.total_fen + total_fen
        self.settled += -1 if refund else 1
        self.refunds += refund


@dataclass(frozen=True, slots=True)
class Unread:
    """Be a row that cannot be read, and why."""

    row: int
    reason: str
    detail: str
    cells: Sequence[Any]


def read_theirs(extract: Extract, provider_id: str) -> tuple[dict[str, Side], list[Unread]]:
    """Read their side, claim by claim, and the rows that cannot be read or are of another facility.

    Raises InputError: missing_column, ambiguous_column.
    """
    places = _places(extract.columns)
    found: dict[str, Side] = {}
    rejects: list[Unread] = []
    for number, cells in enumerate(extract.rows, extract.first):
        if all(cell is None for cell in cells):
            continue
        try:
            claim_id, amounts, taken_back = _row(cells, places, provider_id)
            side = found.get(claim_id, Side())
            if any(abs(fen) > MAX_FEN for fen in (side.pay_fen + amounts[0], *filter(None, amounts))):
                raise _Fault("amount_too_large", "the rows of this claim come to more than 9 trillion yuan")
            side.add(*amounts, taken_back)
            found[claim_id] = side
        except _Fault as fault:
            rejects.append(Unread(number, fault.reason, fault.detail, cells))
    return found, rejects


def _places(columns: Sequence[str]) -> dict[str, int]:
    """Find the columns by any of their names. Raises InputError: missing_column, ambiguous_column."""
    plain = [name.strip().lower() for name in columns]
    places: dict[str, int] = {}
    for ours, names in COLUMNS.items():
        there = [plain.index(name) for name in names if name in plain]
        if len(there) > 1:
            raise InputError("ambiguous_column", f"the file has {ours} under two names; keep one of them")
        if there:
            places[ours] = there[0]
        elif ours in _REQUIRED:
            raise InputError("missing_column", f"the file has no column {' or '.join(names[:2])}; add it")
    return places


def _row(
    cells: Sequence[Any], places: Mapping[str, int], provider_id: str
) -> tuple[str, tuple[int, int | None, int | None], bool]:
    """Read one row: claim, what funds and person paid and the total (None = not said), and whether it is a refund."""
    said = {name: cells[place] for name, place in places.items()}
    claim_id = "" if said["claim_id"] is None else str(said["claim_id"]).strip()
    if not claim_id:
        raise _Fault("missing_value", "claim_id is empty")
    if len(claim_id) > 64 or not claim_id.isprintable() or is_formula(claim_id):
        raise _Fault("bad_text", "claim_id is longer than 64 letters, holds what cannot be printed, or is a formula")
    if said.get("provider_id") is not None and str(said["provider_id"]).strip() != provider_id:
        raise _Fault("other_facility", "the row is of another facility than the file")
    if said["pay_total"] is None:
        raise _Fault("missing_value", "pay_total is empty")
    taken_back = _flag(said.get("reversed"))
    pay, own, total = (_fen(said.get(name), name) for name in ("pay_total", "own_total", "total"))
    assert pay is not None
    if taken_back:
        # Some systems write a refund with its sign, others without; it lowers what was advanced either way.
        pay, own, total = -abs(pay), None if own is None else -abs(own), None if total is None else -abs(total)
    elif pay < 0 or (total or 0) < 0:
        taken_back = True
    return claim_id, (pay, own, total), taken_back


def _flag(cell: Any) -> bool:
    if cell is None:
        return False
    text = str(cell).strip().lower().removesuffix(".0")
    if text not in _FLAGS:
        raise _Fault("unknown_code", "reversed is neither 1 nor 0")
    return _FLAGS[text]


def _fen(cell: Any, name: str) -> int | None:
    if cell is None:
        return None
    if isinstance(cell, (bool, date)):
        raise _Fault("bad_amount", f"{name} is not an amount of yuan")
    text = str(cell).replace(",", "").removesuffix("元").strip()
    if len(text) > 40 or not re.fullmatch(r"[+-]?[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]{1,2})?", text):
        raise _Fault("bad_amount", f"{name} is not an amount of yuan")
    if len(re.sub(r"[eE].*|[^0-9]", "", text).lstrip("0")) > 15:
        # A workbook holds doubles, which it shows with 15 digits: 97190.14999999999 stands for 97190.15.
        text = f"{float(text):.15g}"
    try:
        return parse_fen(text)
    except ValueError as error:
        if "decimals" in str(error):
            raise _Fault("three_decimals", f"{name} has more than two decimals") from None
        raise _Fault("bad_amount", f"{name} is not an amount of yuan") from None


class _Fault(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
