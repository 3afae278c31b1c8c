"""Say in a reader's words where a reform comes from, which value of the law it moves, and changes of shares."""

from __future__ import annotations

import re
from collections.abc import Mapping

from medfloor.policy.model import Policy
from medfloor.words import knows, say

_SKIPPED = ("parts", "brackets", "only")


def document_of(seed: str, lang: str) -> str:
    """Name the document that asks for a reform, with the section where there is one.

    >>> document_of("004, section 3.1.3", "en")
    'study 004, on poor and other households in two provinces, section 3.1.3'
    """
    found = re.fullmatch(r"(\d{3})(?:, sections? (.+))?", seed)
    if found is None or not knows(f"reform_words.document_{found[1]}", lang):
        return seed
    name = say(f"reform_words.document_{found[1]}", lang)
    if not found[2]:
        return name
    section = found[2].replace(" and ", say("reform_words.and", lang))
    return say("reform_words.section", lang, document=name, section=section)


def value_of(path: str, law: Policy, lang: str) -> str:
    """Name a value of the law: its payer, the care, and what it is; a step without a name stays as it is written.

    >>> from medfloor.policy.load import load_policy
    >>> law = load_policy("synthetic/cn-2025").versions[-1]
    >>> value_of("tiers/assistance/parts/year/brackets/only/rate", law, "en")
    'medical assistance: over the year: rate'
    """
    steps = path.split("/")
    names = _names(law, lang)
    told: list[str] = []
    for place, step in enumerate(steps):
        here = "/".join(steps[: place + 1])
        if step in _SKIPPED or (place == 0 and len(steps) > 1 and step in ("tiers", "pots")):
            continue
        key = f"reform_words.step_{step}"
        told.append(names.get(here) or (say(key, lang) if knows(key, lang) else step))
    return say("reform_words.of", lang).join(told)


def in_points(text: str, lang: str) -> str:
    """Write a change of a share in percentage points, of which it is one.

    >>> in_points("-1.20 % (-2.00 % – -0.40 %)", "en")
    '-1.20 points (-2.00 points – -0.40 points)'
    """
    return text.replace(" %", say("reform_words.points", lang))


def _names(law: Policy, lang: str) -> Mapping[str, str]:
    found = {f"pots/{one.id}": getattr(one.name, lang) for one in law.pots}
    for tier in law.tiers:
        found[f"tiers/{tier.id}"] = getattr(tier.name, lang)
        for part in tier.parts:
            if part.name is not None:
                found[f"tiers/{tier.id}/parts/{part.id}"] = getattr(part.name, lang)
    return found
