"""Write a county's law as it was before town and country were joined, and what joining and pooling change of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medfloor.errors import UsageError
from medfloor.policy.load import load_policy
from medfloor.policy.model import Policy

LOWER = "joined_before"
"""The id of what makes the countryside's stays be paid less."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Be the files of three laws: before joining (a policy), one level (a reform of it), one level and one fund."""

    before: Path
    one_level: Path
    one_fund: Path
    personal: float
    subsidy: float


def write_levels(folder: Path, law: str, *, year: int, points: float, gap: float) -> Levels:
    """Write the three files into a folder.

    The law itself is taken as the one level of today. Before joining: stays of the countryside at hospitals of levels 2
    and 3 are paid `points` percentage points less, the countryside pays `gap` (a share) less premium and the town as
    much more. Both are assumptions, for the document names no number. Joining takes both away: everybody is paid as the
    law says, and pays its premium. One fund: the regions' funds become one beside. Premiums are the law's of the year,
    else the last before it; 400 and 700 yuan (personal, subsidy; 2025, unverified) where it has none.

    Raises UsageError no_stays; what loading the policy raises.
    """
    policy = load_policy(law).versions[-1]
    own = [row for row in policy.premiums if row.when is None or not row.when.model_dump(exclude_none=True)]
    known = max((row for row in own if row.benefit_year <= year), key=lambda row: row.benefit_year, default=None)
    personal, subsidy = _amount(known, "personal", 400.0), _amount(known, "subsidy", 700.0)
    removed = [{"id": row.id, "remove": True} for row in policy.premiums]
    lower = [
        {"id": LOWER, "when": {"residence": "rural", "facility_level": [2, 3]}, "points": _number(-points, "points")}
    ]
    parts = _stays(policy)
    before = {
        "schema": 1,
        "id": "study/before-joining",
        "from": policy.from_.isoformat(),
        "extends": str(Path(law).resolve()) if Path(law).is_file() else law,
        "name": {"zh": "城乡整合前（假设）", "en": "before town and country were joined (assumed)"},
        "tiers": [{"id": "basic", "parts": [{"id": part, "adjust": lower} for part in parts]}],
        "premiums": [
            *removed,
            _premium("country", year, personal * (1 - gap), subsidy, {"residence": "rural"}, "农村居民", "country"),
            _premium("town", year, personal * (1 + gap), subsidy, None, "城镇居民", "town"),
        ],
    }
    joined = {
        "reform": {
            "name": {"zh": "城乡整合（一制一档）", "en": "town and country joined at one level"},
            "seed": "002",
            "quote": "向“一制一档”过渡,增进医保权益公平",
        },
        "tiers": [
            {"id": "basic", "parts": [{"id": part, "adjust": [{"id": LOWER, "remove": True}]} for part in parts]}
        ],
        "premiums": [
            {"id": "country", "remove": True},
            {"id": "town", "remove": True},
            _premium("all", year, personal, subsidy, None, "全体居民", "all residents"),
        ],
    }
    pooled = {
        **joined,
        "reform": {
            "name": {"zh": "城乡整合加省级统筹", "en": "joined, and pooled over the regions"},
            "seed": "002",
            "quote": "应通过加快医保省级统筹",
            "pools": "regions",
        },
    }
    files = {"before": before, "one_level": joined, "one_fund": pooled}
    paths = {name: folder / f"{name}.yaml" for name in files}
    for name, content in files.items():
        # JSON is YAML, and needs no care for how text is quoted.
        paths[name].write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    return Levels(paths["before"], paths["one_level"], paths["one_fund"], personal, subsidy)


def _stays(policy: Policy) -> list[str]:
    """List the parts of basic insurance that pay for stays."""
    basic = next((tier for tier in policy.tiers if tier.id == "basic"), None)
    found = [
        part.id
        for part in (basic.parts if basic else [])
        if part.brackets and (part.when is None or part.when.care_type is None or "inpatient" in part.when.care_type)
    ]
    if not found:
        raise UsageError(
            "no_stays", f"{policy.id} has no part of a tier basic that pays for stays; there is nothing to join"
        )
    return found


def _number(value: float, unit: str) -> dict[str, Any]:
    return {"value": round(value, 2), "unit": unit, "trust": "unverified"}


def _amount(row: Any, name: str, otherwise: float) -> float:
    given = getattr(row, name, None)
    value = getattr(given, "value", None) if given is not None else None
    return otherwise if value is None else float(value)


def _premium(
    name: str, year: int, personal: float, subsidy: float, when: dict[str, str] | None, zh: str, en: str
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": name,
        "name": {"zh": zh, "en": en},
        "benefit_year": year,
        "personal": _number(personal, "yuan"),
        "subsidy": _number(subsidy, "yuan"),
    }
    return row if when is None else row | {"when": when}
