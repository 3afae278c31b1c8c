"""Prepare what several pages about claims show: who pays as parts of a bar, the names of tiers, forms of claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from medfloor.errors import MedfloorError
from medfloor.money import MAX_FEN, format_yuan, parse_fen
from medfloor.service.bodies.settlements import ClaimBody
from medfloor.service.details import detail_in
from medfloor.service.problems import field_errors, title_of
from medfloor.service.running import Running
from medfloor.store.claims import ClaimLine
from medfloor.words import knows, say

Part = tuple[str, str, int]
"""Class of the colour, name, amount in fen."""

_COLOURS = ("basic", "critical_illness", "assistance", "tilt", "government", "commercial", "oop_cap")

AMOUNTS = ("total", "off_catalogue", "over_limit", "first_self_pay", "in_scope")
TEXTS = (
    "claim_id", "person_id", "care_type", "facility_level", "start_date", "end_date", "settled_date", "area",
    "referral", "continues", "diagnosis", "provider_id", "paid_by",
)  # fmt: skip
_MODEL_ERRORS = {"parts_not_total": "in_scope", "end_before_start": "end_date"}


def tier_name(run: Running, tier: str, lang: str) -> str:
    """Name a tier as the policy in use does, else by its code."""
    if run.books is not None:
        for version in reversed(run.books.law.policies.versions):
            for one in version.tiers:
                if one.id == tier:
                    return one.name.zh if lang == "zh" else one.name.en
    key = f"tier.{tier}"
    return say(key, lang) if knows(key, lang) else tier


def colour_of(tier: str) -> str:
    """Give the class of a tier's colour.

    >>> colour_of("basic"), colour_of("a_tier_of_a_reform")
    ('tier-basic', 'tier-other')
    """
    return f"tier-{tier}" if tier in _COLOURS else "tier-other"


def parts_of(
    run: Running, payments: Mapping[str, int], own_in_scope_fen: int, own_outside_fen: int, lang: str
) -> list[Part]:
    """Say who pays, in the order in which they pay, the patient last."""
    order = [] if run.books is None else list(run.books.law.layout.tiers)
    listed = [*order, *(tier for tier in payments if tier not in order)]
    parts = [(colour_of(tier), tier_name(run, tier, lang), payments.get(tier, 0)) for tier in listed]
    parts.append(("tier-self", say("split.own_in_scope", lang), own_in_scope_fen))
    parts.append(("tier-outside", say("split.own_outside", lang), own_outside_fen))
    return parts


def shown_line(run: Running, line: ClaimLine, lang: str) -> dict[str, Any]:
    """Give a claim of a list with its bar."""
    amounts = line.amounts
    return {
        "line": line,
        "parts": parts_of(run, amounts.pay, amounts.own_in_scope_fen, amounts.own_outside_fen, lang),
    }


def why_not(error: MedfloorError, status: int, lang: str) -> str:
    """Say why a claim was not taken, with what the detail knows of value and place where a reader can read it.

    >>> why_not(MedfloorError("outside_policy_dates", "no version of the policy is in force on 1950-06-06"), 422, "zh")
    '该日没有有效的政策版本：1950-06-06 没有有效的政策版本；请核对结算日期'
    """
    title, detail = title_of(error.code, status, lang), detail_in(error.message, lang)
    if detail is None and lang == "en":
        detail = error.message
    return say("settle_form.why_not", lang, title=title, detail=detail) if detail else title


def form_of(body: ClaimBody) -> dict[str, str]:
    """Give a claim as the fields of its form: amounts in yuan, what is not said empty."""
    found = {name: str(getattr(body, name) or "") for name in TEXTS}
    found |= {name: format_yuan(getattr(body, f"{name}_fen")) for name in AMOUNTS}
    found |= {f"extra_{name}": format_yuan(fen) for name, fen in body.extra_fen.items()}
    return found


def claim_from(
    form: Mapping[str, str], columns: Iterable[str], lang: str
) -> tuple[ClaimBody | None, dict[str, str], dict[str, str]]:
    """Read a claim from the fields of its form; gives it (None: not readable), the fields as read, and their errors.

    The amount in scope is what is left of the total where its field is empty; where it is given it must agree. An
    error names a field and the rule that it breaks.
    """
    fields = {name: text.strip() for name, text in form.items()}
    errors: dict[str, str] = {}
    amounts: dict[str, int] = {}
    for name in AMOUNTS:
        text = fields.get(name, "")
        if text:
            amounts[name] = _fen(text, name, errors, lang)
        elif name == "total":
            errors[name] = say("invalid.missing", lang)
    if "in_scope" not in amounts and not errors:
        rest = amounts["total"] - sum(fen for name, fen in amounts.items() if name != "total")
        if rest < 0:
            errors["total"] = say("settle_form.parts_above_total", lang)
        amounts["in_scope"] = max(0, rest)
    extra = {}
    for name in columns:
        text = fields.get(f"extra_{name}", "")
        if text:
            extra[name] = _fen(text, f"extra_{name}", errors, lang)
    said: dict[str, Any] = {name: fields[name] for name in TEXTS if fields.get(name)}
    said |= {f"{name}_fen": amounts.get(name, 0) for name in AMOUNTS}
    if extra:
        said["extra_fen"] = extra
    try:
        body = ClaimBody.model_validate(said)
    except ValidationError as error:
        for one in field_errors(error.errors(include_url=False), lang):
            name = _MODEL_ERRORS.get(one["code"], one["field"].removesuffix("_fen"))
            if one["code"] != "parts_not_total":
                errors.setdefault(name, one["message"])
            elif not errors.keys() & set(AMOUNTS):
                errors[name] = say("settle_form.parts_not_total", lang)
        return None, fields, errors
    if errors:
        return None, fields, errors
    fields |= form_of(body)
    return body, fields, {}


def _fen(text: str, name: str, errors: dict[str, str], lang: str) -> int:
    """Read an amount in yuan, with commas between thousands or without; what is wrong with it goes to `errors`."""
    try:
        if len(text) > 40:
            raise ValueError
        fen = parse_fen(text.replace(",", "").replace("，", "").removeprefix("¥"))
    except ValueError:
        errors[name] = say("settle_form.bad_amount", lang)
        return 0
    if not 0 <= fen <= MAX_FEN:
        errors[name] = say("settle_form.bad_amount", lang)
        return 0
    return fen
