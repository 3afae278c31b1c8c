"""Say in words and yuan why a signal fired, and with what it would not have."""

from __future__ import annotations

import polars as pl

from medfloor.money import group_yuan
from medfloor.watch.signals import Signal
from medfloor.words import Chain, Phrase, say

_INCOME = ("monitored_unstable", "monitored_edge")
_OTHERWISE = ("not_enrolled", "missed_assistance", "absent_care")
_NET = ("after_medical", "monitored_sudden")


def why(signal: Signal) -> Phrase:
    """Say why a signal fired: what was borne, what it is held against, and the line.

    >>> from datetime import date
    >>> fired = Signal("burden_in_scope", "h1", date(2025, 4, 1), 20657.01, 20657.0, "yuan", "burden", "other", "p1",
    ...     2_065_701, 4_131_400, 2_065_700)
    >>> why(fired).say("zh")
    '一名成员本年度政策范围内个人自付 20,657.01 元，超过预警线 20,657.00 元（当地人均可支配收入 41,314.00 元的 50%）'
    >>> unless(fired).say("en")
    'It would not have fired if 20,657.00 yuan or less had been borne.'
    """
    name = _why_name(signal.code, signal.detail, home=signal.person_id is None)
    return Phrase.of(f"watch_why.{name}", **_told(signal))


def unless(signal: Signal) -> Phrase:
    """Say with what it would not have fired, everything else as it is."""
    name, amount = _unless_name(signal.code, signal.detail, signal.spent_fen, signal.base_fen, signal.allowed_fen)
    return Phrase.of(f"watch_unless.{name}", **(_told(signal) if amount is None else {"amount": amount}))


def told(alerts: pl.DataFrame, lang: str) -> pl.DataFrame:
    """Add to alerts what they are called (`title`), why they fired (`why`) and what would have kept them (`unless`).

    The sentences are those of `why` and `unless`; a hundred thousand take a second or two.
    """
    titles = {code: say(f"watch_signal.{code}", lang) for code in alerts["signal"].unique()}
    catastrophic = alerts.filter(pl.col("signal") == "catastrophic")["detail"].unique()
    meant = {one: _definitions(one).say(lang) for one in catastrophic if one}
    whys, others = [], []
    columns = ("signal", "detail", "person_id", "value", "threshold", "spent_fen", "base_fen", "allowed_fen")
    for code, detail, person_id, *numbers in alerts.select(columns).iter_rows():
        values = _values(*numbers)
        if code == "catastrophic":
            values["definitions"] = meant.get(detail, "")
        whys.append(say(f"watch_why.{_why_name(code, detail, home=person_id is None)}", lang, **values))
        name, amount = _unless_name(code, detail, *numbers[2:])
        others.append(say(f"watch_unless.{name}", lang, **values, amount=amount))
    return alerts.with_columns(
        pl.col("signal").replace_strict(titles, return_dtype=pl.String).alias("title"),
        pl.Series("why", whys, pl.String),
        pl.Series("unless", others, pl.String),
    )


def _why_name(code: str, detail: str | None, *, home: bool) -> str:
    """Name the sentence of why: by person or by household, and by what was seen, each has one of its own."""
    if code not in ("burden_in_scope", "missed_assistance", "monitored_sudden") or not detail:
        return code
    return f"{code}_{'household' if home and code == 'burden_in_scope' else detail}"


def _unless_name(
    code: str, detail: str | None, spent_fen: int | None, base_fen: int | None, allowed_fen: int | None
) -> tuple[str, str | None]:
    """Name the sentence of unless, and the one amount that it names; None where it takes what why takes."""
    if code in _OTHERWISE:
        return (f"{code}_{detail}" if code == "missed_assistance" else code), None
    allowed = allowed_fen or 0
    if code in _NET and allowed < 0:
        # Income itself is under the line: no spending, however low, would have been low enough.
        return "income", group_yuan((spent_fen or 0) - allowed + (base_fen or 0))
    return ("income" if code in _INCOME else "spending"), group_yuan(allowed)


def _told(signal: Signal) -> dict[str, object]:
    """Give what sentences may name; each takes what it needs."""
    values = _values(signal.value, signal.threshold, signal.spent_fen, signal.base_fen, signal.allowed_fen)
    if signal.code == "catastrophic":
        return values | {"definitions": _definitions(signal.detail)}
    return values


def _definitions(detail: str) -> Chain:
    return Chain.of(" / ", *(Phrase.of(f"watch_definition.{one}") for one in detail.split(";") if one))


def _values(
    value: float, threshold: float, spent_fen: int | None, base_fen: int | None, allowed_fen: int | None
) -> dict[str, object]:
    base = base_fen or 0
    return {
        "spent": group_yuan(spent_fen or 0),
        "base": group_yuan(base),
        "allowed": group_yuan(allowed_fen or 0),
        "value": f"{value:,.2f}",
        "line": f"{threshold:,.2f}",
        "share": f"{100 * threshold * 100 / base:.4g}" if base > 0 else "0",
        "count": f"{value:.0f}",
        "days": f"{value:.0f}",
        "window": f"{threshold:.0f}",
    }
