"""Put the values and conditions of a policy into words, in Chinese or English."""

from __future__ import annotations

from decimal import Decimal

from medfloor.policy.model import Case, Policy, Range, When, Words
from medfloor.policy.numbers import Ground, series_of
from medfloor.words import join, knows, say


def text_of(words: Words | None, lang: str) -> str:
    """Give a text of the policy in a language; an absent one is empty."""
    if words is None:
        return ""
    return words.zh if lang == "zh" else words.en


def group_name(policy: Policy, group: str, lang: str) -> str:
    """Name a status: as the policy declares it, else as the data contract does.

    Raises KeyError where neither knows it; such a policy does not pass `check`.
    """
    declared = next((one for one in policy.groups if one.id == group), None)
    if declared is not None:
        return text_of(declared.name, lang)
    return say(f"group.{group}", lang) if knows(f"group.{group}") else group


def tier_name(policy: Policy, tier: str, lang: str) -> str:
    """Name a tier: as the policy does, else by the default names."""
    declared = next((one for one in policy.tiers if one.id == tier), None)
    if declared is not None:
        return text_of(declared.name, lang)
    return say(f"tier.{tier}", lang) if knows(f"tier.{tier}") else tier


def figure_text(value: Decimal) -> str:
    """Write a number for people: thousands grouped, no needless zeros.

    >>> figure_text(Decimal("200000")), figure_text(Decimal("12.50"))
    ('200,000', '12.5')
    """
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def value_text(policy: Policy, case: Case, lang: str) -> str:
    """Say what a case gives: a value with its unit, a share of a series, a column, no limit, or that it is missing."""
    if case.unlimited:
        return say("value.unlimited", lang)
    plain = None
    if case.value is not None:
        plain = say(f"value.{case.unit}", lang, value=figure_text(case.value))
    if case.of is not None and case.value is not None:
        series = series_of(policy, case.of.series)
        name = text_of(series.name, lang) if series else case.of.series
        key = {0: "of_this_year", 1: "of_last_year"}.get(case.of.lag, "of_series")
        return say(f"value.{key}", lang, value=figure_text(case.value), series=name, lag=case.of.lag)
    if case.column is not None:
        if plain is None:
            return say("value.column", lang, column=case.column)
        return say("value.column_or", lang, column=case.column, value=plain)
    return plain if plain is not None else say("value.missing", lang)


def condition_text(policy: Policy, when: When | None, lang: str) -> str:
    """Say a condition; none at all is said to hold in every case.

    >>> from medfloor.policy.load import load_policy
    >>> policy = load_policy("cn/beijing@2018-01-01").versions[0]
    >>> condition_text(policy, When(facility_level=[2, 3], age={"at_least": 70}), "en")
    'level 2 or level 3; age ≥ 70'
    """
    if when is None or not when.model_fields_set:
        return say("when.always", lang)
    between = say("when.or", lang)
    said: list[str] = []
    for field in ("care_type", "facility_level", "area", "referral", "scheme", "insured_class", "residence", "sex"):
        codes: list[str] | None = getattr(when, field)
        if codes is not None:
            said.append(between.join(say(f"{field}.{code}", lang) for code in codes))
    if when.family_doctor is not None:
        said.append(say("when.family_doctor_yes" if when.family_doctor else "when.family_doctor_no", lang))
    for field in ("group", "holds", "lacks"):
        groups: list[str] | None = getattr(when, field)
        if groups is not None:
            said.append(say(f"when.{field}", lang, groups=between.join(group_name(policy, g, lang) for g in groups)))
    for field in ("age", "continuous_years", "claim_free_years", "total"):
        asked: Range | None = getattr(when, field)
        if asked is not None:
            none = field == "continuous_years" and asked == Range(at_most=Decimal(0))
            text = (
                say("when.not_continuous", lang) if none else say(f"when.{field}", lang, range=_range_text(asked, lang))
            )
            said.append(text)
    if when.diagnosis is not None:
        said.append(say("when.diagnosis", lang, codes=join(when.diagnosis, lang)))
    return say("when.and", lang).join(said)


def quote_text(quote: str, lang: str, *, again: bool) -> str:
    """Put a quotation in its marks; `again` marks for Chinese readers what only an English retelling gives.

    >>> quote_text("unified to the half", "zh", again=True), quote_text("统一至50%", "zh", again=False)
    ('“unified to the half”（英文转述，非文件原文）', '“统一至50%”')
    """
    return say("show.quote_retold" if again and lang == "zh" else "show.quote", lang, quote=quote)


def ground_text(ground: Ground, lang: str, quoted: bool = True) -> str:
    """Say what a number rests on: document, article, trust mark, and the words."""
    parts = []
    if ground.source is not None:
        document = ground.source.document or text_of(ground.source.title, lang)
        parts.append(f"{document} {ground.article}" if ground.article else document)
    parts.append(f"[{say(f'trust.{ground.trust}', lang)}]")
    if quoted and ground.quote:
        parts.append(quote_text(ground.quote, lang, again=ground.retold))
    return " ".join(parts)


def _range_text(asked: Range, lang: str) -> str:
    bounds = (("≥", asked.at_least), (">", asked.over), ("≤", asked.at_most), ("<", asked.under))
    gap = "" if lang == "zh" else " "
    return join([f"{sign}{gap}{figure_text(value)}" for sign, value in bounds if value is not None], lang)
