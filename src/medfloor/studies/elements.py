"""Set side by side what shipped policies say of critical illness insurance: deductible, rates, ceilings, sources."""

from __future__ import annotations

import polars as pl

from medfloor.policy.load import LIBRARY, list_policies, load_policy
from medfloor.policy.model import Case, Part, Policy, Tier
from medfloor.policy.numbers import ground_of, numbers_of
from medfloor.policy.wording import condition_text, value_text

TIER = "critical_illness"
_ELEMENTS = (
    "deductible",
    "rate",
    "up_to",
    "cap",
    "growth",
    "cap_per_claim",
    "factor",
    "first_share",
    "repeat",
    "adjust",
)

COLUMNS = (
    "policy", "from", "element", "part@zh", "part@en", "value@zh", "value@en", "condition@zh", "condition@en", "trust",
    "source@zh", "source@en", "quote",
)  # fmt: skip


def elements() -> pl.DataFrame:
    """List every number of the tier of critical illness insurance in the latest version of each policy of China.

    One row a number: policy, the day from which it holds, element (deductible, rate, bound of a bracket, cap, ...), the
    part of the tier, its value and condition in both languages, the source, how far it is trusted, and the words of the
    law. A column with @zh or @en holds words of that language.
    """
    assert LIBRARY.is_dir()
    rows: list[dict[str, object]] = []
    for address, _ in list_policies():
        if not address.startswith("cn/"):
            continue
        policy = load_policy(address).versions[-1]
        tier = next((one for one in policy.tiers if one.id == TIER), None)
        if tier is not None:
            rows += _rows(address, policy, tier)
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String))


def _rows(address: str, policy: Policy, tier: Tier) -> list[dict[str, object]]:
    pots = {name for part in tier.parts for name in getattr(part, "pots", [])}
    parts = {part.id: part for part in tier.parts}
    rows = []
    for number in numbers_of(policy):
        path = [str(one) for one in number.path]
        in_tier = path[:2] == ["tiers", TIER]
        in_pot = path[0] == "pots" and path[1] in pots
        if not (in_tier or in_pot):
            continue
        element = next((one for one in reversed(path) if one in _ELEMENTS), "cap" if in_pot else "other")
        part = parts.get(path[3]) if in_tier and len(path) > 3 and path[2] == "parts" else None
        rows.append(_row(address, policy, element, part, number.case, ground_of(policy, number)))
    return rows


def _row(
    address: str, policy: Policy, element: str, part: Part | None, case: Case, ground: object
) -> dict[str, object]:
    row: dict[str, object] = {"policy": address, "from": policy.from_.isoformat(), "element": element}
    source = getattr(ground, "source", None)
    for lang in ("zh", "en"):
        row[f"part@{lang}"] = getattr(part.name, lang) if part is not None and part.name else None
        row[f"value@{lang}"] = value_text(policy, case, lang)
        row[f"condition@{lang}"] = condition_text(policy, case.when, lang) if case.when is not None else None
        row[f"source@{lang}"] = getattr(source.title, lang) if source is not None else None
    return row | {"trust": getattr(ground, "trust", None), "quote": getattr(ground, "quote", None)}
