"""Sentences for many alerts are those of one alert."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from medfloor.watch import ALERTS, Signal, told, unless, why

_DETAILS = {
    "burden_in_scope": ("poor", "other"),
    "catastrophic": ("who;sdg", "budget"),
    "monitored_sudden": ("net", "jump"),
    "missed_assistance": ("resettled", "unpaid"),
}
_CODES = (
    "burden_in_scope", "medical_share", "catastrophic", "after_medical", "rigid_jump", "monitored_unstable",
    "monitored_edge", "monitored_sudden", "not_enrolled", "missed_assistance", "absent_care",
)  # fmt: skip


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_many_are_told_as_one_is(lang: str) -> None:
    rows = [
        {"household_id": "h", "signal": code, "kind": "burden", "as_of": date(2025, 6, 1), "detail": detail,
         "person_id": person, "unit": "yuan", "value": 1234.5, "threshold": 12.0, "spent_fen": 4_567_890,
         "base_fen": base, "allowed_fen": allowed, "urgency": "soon"}
        for code in _CODES
        for detail in _DETAILS.get(code, ("",))
        for person in ("p", None)
        for base, allowed in ((None, None), (0, -5), (9_999, 123_456_789))
    ]  # fmt: skip
    many = told(pl.DataFrame(rows, schema_overrides={name: ALERTS[name] for name in rows[0]}), lang)
    for row in many.iter_rows(named=True):
        one = Signal.of(row)
        assert (row["why"], row["unless"]) == (why(one).say(lang), unless(one).say(lang))
        assert row["title"]
    assert told(many.clear(), lang).height == 0
