"""Read from a form for whom and for which care a bill is settled: a few typical families, or one's own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from medfloor.policy.model import GROUPS, Policy
from medfloor.policy.wording import group_name
from medfloor.tables import AREAS, CARE_TYPES, FACILITY_LEVELS
from medfloor.words import say

if TYPE_CHECKING:
    from medfloor.simulation import Family

AGES = {"child": 10, "adult": 45, "elderly": 70}
HIGHEST = ("50000", "100000", "300000", "1000000")
MOST_YUAN = 10_000_000


@dataclass(frozen=True, slots=True)
class Typical:
    """Be a typical family: the patient, the care, the bill and the income, in yuan."""

    name: str
    values: Mapping[str, str]


TYPICAL = (
    Typical("adult_stay", {"status": "none", "age": "adult", "care": "inpatient", "level": "3", "bill": "50000"}),
    Typical("dibao_cancer", {
        "status": "dibao", "age": "adult", "care": "inpatient", "level": "3", "bill": "200000", "income": "18000",
    }),
    Typical("just_above", {
        "status": "none", "age": "adult", "care": "inpatient", "level": "3", "bill": "200000", "income": "27000",
    }),
    Typical("tekun_elderly", {
        "status": "tekun", "age": "elderly", "care": "inpatient", "level": "2", "bill": "30000", "income": "10000",
        "size": "1",
    }),
    Typical("child_illness", {
        "status": "illness_poor", "age": "child", "care": "inpatient", "level": "3", "bill": "500000",
        "income": "45000", "size": "4",
    }),
    Typical("chronic", {
        "status": "none", "age": "elderly", "care": "special_outpatient", "level": "2", "bill": "12000",
        "income": "30000", "size": "2",
    }),
)  # fmt: skip
"""Families to try a law on; amounts are made up, round and plausible."""

DEFAULTS = {
    "status": "none", "age": "adult", "care": "inpatient", "level": "3", "area": "local", "share": "80",
    "bill": "50000", "income": "60000", "size": "3", "high": "300000",
}  # fmt: skip


def family_of(given: Mapping[str, str], law: Policy, day: date) -> tuple[Family, dict[str, str]]:
    """Read a family; what is empty or cannot be meant is as the chosen typical family, or the usual one, has it.

    Gives it with its fields as they were understood.
    """
    from medfloor.simulation import Family

    typical = next((one for one in TYPICAL if one.name == given.get("family")), None)
    fields = DEFAULTS | dict(typical.values if typical else {})
    allowed = {
        "status": statuses_of(law), "age": tuple(AGES), "care": CARE_TYPES, "level": FACILITY_LEVELS, "area": AREAS,
        "high": HIGHEST,
    }  # fmt: skip
    for name, codes in allowed.items():
        chosen = str(given.get(name) or "")
        if chosen in codes:
            fields[name] = chosen
    if fields["status"] not in allowed["status"]:
        fields["status"] = "none"
    for name, least, most in (("share", 0, 100), ("bill", 0, MOST_YUAN), ("income", 0, MOST_YUAN), ("size", 1, 20)):
        number = _number(str(given.get(name) or ""), least, most)
        if number is not None:
            fields[name] = number
    fields["family"] = typical.name if typical else ""
    held = () if fields["status"] == "none" else (fields["status"],)
    family = Family(
        size=int(float(fields["size"])), age=AGES[fields["age"]], status=held, care_type=fields["care"],
        level=fields["level"], area=fields["area"], in_scope=float(fields["share"]) / 100, bill=float(fields["bill"]),
        referral="regular" if fields["area"] == "local" else "referred", income=float(fields["income"]), day=day,
        scheme="resident",
    )  # fmt: skip
    return family, fields


def statuses_of(law: Policy) -> tuple[str, ...]:
    """List the statuses that a law knows, none first."""
    return ("none", *dict.fromkeys((*GROUPS, *(group.id for group in law.groups))))


def choices_of(law: Policy, lang: str) -> dict[str, list[tuple[str, str]]]:
    """Give the choices of the form in words."""
    return {
        "family": [(one.name, say(f"policy_family.{one.name}", lang)) for one in TYPICAL],
        "status": [
            (one, say("group.none", lang) if one == "none" else group_name(law, one, lang)) for one in statuses_of(law)
        ],
        "age": [(one, say(f"policy_age.{one}", lang)) for one in AGES],
        "care": [(one, say(f"care_type.{one}", lang)) for one in CARE_TYPES],
        "level": [(one, say(f"facility_level.{one}", lang)) for one in FACILITY_LEVELS],
        "area": [(one, say(f"area.{one}", lang)) for one in AREAS],
        "high": [(one, f"{int(one):,}") for one in HIGHEST],
    }


def told_of(fields: Mapping[str, str], law: Policy, lang: str) -> str:
    """Say in one line for whom and for which care the numbers are."""
    choices = {name: dict(pairs) for name, pairs in choices_of(law, lang).items()}
    said = {name: choices[name][fields[name]] for name in ("status", "age", "care", "level", "area")}
    return say("policy_page.told", lang, share=fields["share"], **said)


def _number(text: str, least: int, most: int) -> str | None:
    """Read a number within bounds; None where there is none.

    >>> _number("50,000", 0, 10**7), _number("1e400", 0, 100), _number("-3", 0, 9)
    ('50000', None, None)
    """
    try:
        value = float(text.replace(",", "").replace("，", "").strip())
    except ValueError:
        return None
    return f"{value:.2f}".rstrip("0").rstrip(".") if least <= value <= most else None
