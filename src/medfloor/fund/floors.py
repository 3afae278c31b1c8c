"""Read from the policy library what may not be undercut, and which benefits move by themselves under the law."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from medfloor.errors import InputError
from medfloor.fund.series import TRUSTS

if TYPE_CHECKING:
    from medfloor.policy.model import Policy
    from medfloor.policy.numbers import Number

NATIONAL: Mapping[str, tuple[str, str]] = {
    "ratio": ("cn/national@2025-01-01", "parameters/county_inpatient_rate/amount"),
    "critical": ("cn/national@2025-01-01", "tiers/critical_illness/parts/year/deductible/amount"),
}
"""Where the national line of each kind of benefit stands in the library."""

MOVING = (("cn/national@2025-01-01", "parameters/"), ("cn/jiangxi/nanchang@2025-06-01", "growth/"))
"""Policies whose numbers move a benefit by themselves, and what the addresses of such numbers hold."""

_NAMES = ("incentive", "waiting_months", "growth/")


@dataclass(frozen=True, slots=True)
class Floor:
    """Be a line that no step may cross: value, the words of the law, and how far they can be trusted."""

    value: float
    unit: str
    quote: str
    titles: tuple[tuple[str, str], ...]
    document: str
    policy: str
    path: str
    trust: str

    def title(self, lang: str) -> str:
        """Name the source in a language."""
        return dict(self.titles).get(lang, "")


def read_floor(given: Any, moves: str, where: str) -> Floor:
    """Read a floor: { policy, path } of the library, or { value, source, trust }, and hold it against the national one.

    `source` is a text, or { zh, en }.

    Raises InputError bad_step_table, and under_floor for a line that is harder than the national one.
    """
    if not isinstance(given, Mapping) or not (set(given) == {"policy", "path"} or set(given) == {
        "value", "source", "trust"
    }):  # fmt: skip
        raise InputError("bad_step_table", f"{where}: floor is {{ policy, path }} or {{ value, source, trust }}")
    if "policy" in given:
        found = law_number(str(given["policy"]), str(given["path"]), where)
    else:
        value = given["value"]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InputError("bad_step_table", f"{where}: floor {value!r} is no number")
        said = given["source"]
        if given["trust"] not in TRUSTS:
            raise InputError(
                "bad_step_table", f"{where}: floor: trust {given['trust']!r} is none of {', '.join(TRUSTS)}"
            )
        if isinstance(said, Mapping) and not {"zh", "en"} <= set(said):
            raise InputError("bad_step_table", f"{where}: floor: source is a text, or one in zh and one in en")
        both = said if isinstance(said, Mapping) else {"zh": said, "en": said}
        titles = tuple((lang, str(both[lang])) for lang in ("zh", "en"))
        found = Floor(float(value), "", "", titles, "", "", "", str(given["trust"]))
    if moves in NATIONAL:
        national = law_number(*NATIONAL[moves], where)
        hard = found.value > national.value if moves == "critical" else found.value < national.value
        if hard:
            raise InputError(
                "under_floor",
                f"{where}: a floor of {found.value:g} is harder than the national line of {national.value:g} "
                f"({national.document or national.policy}: {national.quote}); give a kinder one, or the national",
            )
    return found


def law_number(policy: str, path: str, where: str = "the table") -> Floor:
    """Find a number of the policy library with the words that say it.

    Raises InputError bad_step_table where the policy has no such number.

    >>> law_number("cn/national@2025-01-01", "parameters/county_inpatient_rate/amount").value
    70.0
    """
    from medfloor.policy.load import load_policy
    from medfloor.policy.numbers import address_of, numbers_of

    version = load_policy(policy).versions[-1]
    for number in numbers_of(version):
        if address_of(number.path) == path:
            return _floor(version, number, policy, path)
    raise InputError(
        "bad_step_table", f"{where}: {policy} has no number {path}; `medfloor policy show {policy} --names`"
    )


def moving_benefits() -> pl.DataFrame:
    """List what the law already moves by itself: the rise of the ceiling for continuous years, waiting periods.

    The settlement engine carries them (continuous_years, claim_free_years of people); shown here, not applied twice.

    >>> moving_benefits().filter(pl.col("path").str.contains("continuous_years_incentive"))["value"].item()
    1000.0
    """
    from medfloor.policy.load import load_policy
    from medfloor.policy.numbers import address_of, numbers_of

    rows = []
    for policy, _ in MOVING:
        version = load_policy(policy).versions[-1]
        names = {one.id: one.name for one in version.parameters} | {one.id: one.name for one in version.pots}
        for number in numbers_of(version):
            path = address_of(number.path)
            parts = path.split("/")
            known = names.get(parts[1]) if parts[0] in ("parameters", "pots") else None
            if any(one in path for one in _NAMES) and number.case.value is not None:
                one = _floor(version, number, policy, path)
                rows.append({
                    "policy": policy, "path": path, "name_zh": known.zh if known else "",
                    "name_en": known.en if known else "", "value": one.value, "unit": one.unit,
                    "document": one.document,
                    "quote": one.quote, "trust": one.trust,
                })  # fmt: skip
    return pl.DataFrame(rows)


def _floor(version: Policy, number: Number, policy: str, path: str) -> Floor:
    from medfloor.policy.numbers import ground_of

    ground = ground_of(version, number)
    source = version.sources.get(ground.key) if ground.key else None
    titles = (("zh", source.title.zh), ("en", source.title.en)) if source else ()
    value = number.case.value
    assert value is not None, f"{policy} {path} has no value"
    return Floor(
        float(value), str(number.case.unit), ground.quote or "", titles, (source.document or "") if source else "",
        policy, path, str(ground.trust),
    )  # fmt: skip
