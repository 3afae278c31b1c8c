"""Find what is wrong, missing or doubtful in a policy file, with file and line.

Findings are data: an *error* is a fault of the file, a *warning* a doubt that a person should look at, a *notice*
something to know. Nothing here raises for a finding; a file that cannot be loaded raises PolicyError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from medfloor.errors import MissingValueError, PolicyError
from medfloor.policy.coverage import check_tiers
from medfloor.policy.load import files_behind, groups_of, line_of, load_policy
from medfloor.policy.model import Case, Policy, Sourced
from medfloor.policy.numbers import (
    Names,
    Number,
    address_of,
    conditions_of,
    ground_of,
    ground_of_holder,
    numbers_of,
    series_of,
    sourced_in,
)
from medfloor.policy.quotations import says
from medfloor.policy.resolve import Facts, resolve
from medfloor.policy.wording import figure_text, group_name, value_text
from medfloor.tables import CARE_TYPES, FACILITY_LEVELS, INSURED_CLASSES
from medfloor.words import join, say

Severity = Literal["error", "warning", "notice"]

SEVERITIES: dict[str, Severity] = {
    "gap": "error",
    "uncovered": "notice",
    "unreachable_case": "warning",
    "unreachable_part": "warning",
    "overlapping_cases": "warning",
    "overlapping_parts": "warning",
    "unsourced": "error",
    "unknown_source": "error",
    "unquoted": "warning",
    "derived_without_note": "warning",
    "number_not_in_quote": "warning",
    "rate_rises_with_level": "warning",
    "cap_under_deductible": "warning",
    "bracket_under_deductible": "warning",
    "bracket_order": "error",
    "expired": "warning",
    "unverified": "notice",
    "rule_unverified": "notice",
    "missing": "notice",
    "nothing_settles": "error",
    "series_gap": "notice",
    "unknown_series": "error",
    "unused_pot": "warning",
    "unused_series": "warning",
    "unused_source": "warning",
    "unused_group": "warning",
    "group_not_preferred": "error",
    "unknown_group": "error",
    "ceiling_above_whole": "error",
    "rate_out_of_range": "error",
    "cliff": "notice",
}
"""Every code of a finding with its severity (`nothing_settles` is a notice where a note says why)."""

Said = Callable[[str], str]
"""A text that is made for a language."""


@dataclass(frozen=True)
class Finding:
    """Be one finding: what (`code`), how bad, where in the law (`path`) and in the files, and in words."""

    code: str
    severity: Severity
    path: str
    file: Path
    line: int
    zh: str
    en: str

    def message(self, lang: str) -> str:
        """Give the sentence in a language."""
        return self.zh if lang == "zh" else self.en


@dataclass
class Report:
    """Collect the findings of one version of a policy; the same one at the same line is kept once."""

    policy: Policy
    places: tuple[Path, ...]
    found: dict[tuple[str, Path, int, str], Finding] = field(default_factory=dict)

    def add(self, code: str, names: Names, /, severity: Severity | None = None, **values: str | int | Said) -> None:
        """Add a finding at a path; a value may be a text, a number, or a function of the language."""
        file, line = line_of(self.places, names)
        zh, en = (
            say(f"check.{code}", lang, **{key: v(lang) if callable(v) else v for key, v in values.items()})
            for lang in ("zh", "en")
        )
        finding = Finding(code, severity or SEVERITIES[code], address_of(names), file, line, zh, en)
        self.found.setdefault((code, file, line, zh), finding)

    def kinds(self, kinds: Sequence[Any]) -> Said:
        """Describe kinds of claims: the first in words, and how many more there are."""

        def said(lang: str) -> str:
            first = kinds[0].said(self.policy, lang)
            more = len(kinds) - 1
            return say("check.more_kinds", lang, kind=first, count=more) if more else str(first)

        return said

    def value(self, case: Case) -> Said:
        """Say a case's value in a language."""
        return lambda lang: value_text(self.policy, case, lang)


def check(address: str, reforms: Sequence[str | Path] = ()) -> list[Finding]:
    """Check every version that an address names, with reforms applied, and list the findings by file and line.

    Raises PolicyError for a file that cannot be loaded.

    >>> [finding.code for finding in check("cn/beijing@2026-01-01") if finding.severity == "error"]
    []
    """
    policies = load_policy(address, reforms)
    reform_files = tuple(Path(reform) for reform in reforms)
    places = [(*files, *reform_files) for files in files_behind(address)]
    reports = [Report(policy, files) for policy, files in zip(policies.versions, places, strict=True)]
    for index, report in enumerate(reports):
        first, last = (report.policy.from_, report.policy.to) if policies.pinned else policies.span(index)
        check_tiers(report)
        _check_numbers(report)
        _check_rules(report)
        _check_missing(report, _years(first, last))
        _check_groups(report, groups_of(policies))
        _check_cliffs(report)
    _check_unused(reports)
    found: dict[tuple[str, Path, int, str], Finding] = {}
    for report in reports:
        for key, finding in report.found.items():
            found.setdefault(key, finding)
    return sorted(found.values(), key=lambda finding: (str(finding.file), finding.line, finding.code))


def count_severities(findings: Sequence[Finding]) -> dict[Severity, int]:
    """Count findings by severity."""
    counts: dict[Severity, int] = {"error": 0, "warning": 0, "notice": 0}
    for finding in findings:
        counts[finding.severity] += 1
    return counts


def _check_numbers(report: Report) -> None:
    """Look at each number by itself: source, quotation, trust, dates."""
    policy = report.policy
    for number in numbers_of(policy):
        case = number.case
        value = report.value(case)
        ground = ground_of(policy, number)
        if case.missing and case.column is None:
            report.add("missing", number.path)
            continue
        _check_ground(report, number)
        until = case.to or (ground.source.to if ground.source else None)
        if until is not None and until < policy.from_:
            report.add("expired", number.path, value=value, until=until.isoformat(), start=policy.from_.isoformat())
        is_rate = case.unit == "percent" and number.param[-1] in ("rate", "share", "first_share")
        if is_rate and case.value is not None and not 0 <= case.value <= 100:
            if number.path[0] == "ceilings" and case.value > 100:
                report.add("ceiling_above_whole", number.path, share=figure_text(case.value))
            else:
                report.add("rate_out_of_range", number.path, rate=figure_text(case.value))


def _check_ground(report: Report, number: Number) -> None:
    """See that a number has a source, and that its words say it."""
    case = number.case
    ground = ground_of(report.policy, number)
    value = report.value(case)
    if ground.key is not None and ground.source is None:
        report.add("unknown_source", number.path, key=ground.key)
    elif ground.source is None and case.trust not in ("derived", "unverified"):
        report.add("unsourced", number.path, value=value)
    elif ground.trust == "derived":
        if case.note is None and not any(holder.note for holder in number.around):
            report.add("derived_without_note", number.path, value=value)
    elif ground.trust == "unverified":
        report.add("unverified", number.path, value=value)
    elif ground.quote is None:
        report.add("unquoted", number.path, value=value)
    if ground.quote and ground.trust != "derived" and not says(case, ground.quote):
        report.add("number_not_in_quote", number.path, value=value, quote=ground.quote)


def _check_rules(report: Report) -> None:
    """Look at rules that are no numbers: unknown sources of parts and tiers, unverified rounding."""
    policy = report.policy
    items: list[tuple[Sourced, Names]] = [(item, ("left_open", item.id)) for item in policy.left_open]
    for tier in policy.tiers:
        items.append((tier, ("tiers", tier.id)))
        items.extend((part, ("tiers", tier.id, "parts", part.id)) for part in tier.parts)
    for item, names in items:
        if item.source is not None and item.source not in policy.sources:
            report.add("unknown_source", names, key=item.source)
    rules: tuple[tuple[str, Sourced], ...] = (("rounding", policy.rounding), ("benefit_year", policy.benefit_year))
    for name, rule in rules:
        written = (rule.source or rule.trust) is not None
        if written and ground_of_holder(policy, rule).trust == "unverified":
            report.add("rule_unverified", (name,), rule=name)


def _years(first: date, last: date | None) -> range:
    """Give the years that a version certainly serves; an open end is not guessed at."""
    if last is None or last.year >= date.max.year or first == date.min:
        return range(first.year, first.year + 1)
    return range(first.year, last.year + 1)


def _check_missing(report: Report, years: range) -> None:
    """See that series have the values that the version's years need, and that any claim at all can be settled."""
    policy = report.policy
    for number in numbers_of(policy):
        of = number.case.of
        if of is None:
            continue
        series = series_of(policy, of.series)
        if series is None:
            report.add("unknown_series", number.path, series=of.series)
            continue
        known = {value.year for value in series.values}
        for year in years:
            if year - of.lag not in known:
                report.add("series_gap", number.path, series=of.series, year=year - of.lag, benefit_year=year)
    why = _why_nothing_settles(policy, years)
    if why is not None:
        said = any(number.case.note for number in numbers_of(policy) if number.case.missing) or policy.note is not None
        report.add("nothing_settles", ("tiers",), "notice" if said else "error", why=why.split(". Supply")[0])


def _why_nothing_settles(policy: Policy, years: range) -> str | None:
    """Give the first reason why no claim of an insured person can be settled; None where one can, or none is tried."""
    why: str | None = None
    groups = {group for tier in policy.tiers for group in tier.prefer}
    for year in years:
        for held in (frozenset[str](), *(frozenset({group}) for group in sorted(groups))):
            for care_type in CARE_TYPES:
                for level in FACILITY_LEVELS:
                    for insured_class in INSURED_CLASSES:
                        facts = Facts(
                            care_type,
                            level,
                            insured_class=insured_class,
                            age=40,
                            benefit_year=year,
                            held=dict.fromkeys(("any_day", "start", "end", "settled"), held),
                        )
                        try:
                            if any(step.pays != "nothing" for step in resolve(policy, facts).steps):
                                return None
                        except MissingValueError as error:
                            why = why or error.message
                        except PolicyError:
                            continue
    return why


def _check_groups(report: Report, known: tuple[str, ...]) -> None:
    """See that conditions ask for statuses that exist, and that a tier can use the ones it asks for."""
    policy = report.policy
    for tier in policy.tiers:
        for part in tier.parts:
            path: Names = ("tiers", tier.id, "parts", part.id)
            _check_groups_in(report, part, path, tier.prefer, ("tiers/" + tier.id + "/prefer",), known)
    for pot in policy.pots:
        users = [tier for tier in policy.tiers if any(pot.id in part.pots for part in tier.parts)]
        prefer = [group for tier in users for group in tier.prefer]
        where = tuple(f"tiers/{tier.id}/prefer" for tier in users)
        _check_groups_in(report, pot, ("pots", pot.id), prefer, where, known)
    for ceiling in policy.ceilings:
        _check_groups_in(report, ceiling, ("ceilings", ceiling.id), [], ("ceilings use holds",), known)
    for premium in policy.premiums:
        asked = premium.when
        for group in (*((asked.group or []) if asked else []), *((asked.holds or []) if asked else [])):
            if group not in (*known, "none"):
                report.add("unknown_group", ("premiums", premium.id), group=group)


def _check_groups_in(
    report: Report, item: Any, path: Names, prefer: Sequence[str], where: tuple[str, ...], known: tuple[str, ...]
) -> None:
    def place(when: Any) -> Names:
        return _place_of(item, path, when)

    for when in conditions_of(item):
        for group in when.group or ():
            if group not in (*known, "none"):
                report.add("unknown_group", place(when), group=group)
            elif group != "none" and group not in prefer:

                def name(lang: str, group: str = group) -> str:
                    return f"{group_name(report.policy, group, lang)} ({group})"

                report.add("group_not_preferred", place(when), group=name, where=lambda lang: join(list(where), lang))
        for group in (*(when.holds or ()), *(when.lacks or ())):
            if group not in (*known, "none"):
                report.add("unknown_group", place(when), group=group)


def _place_of(item: Any, path: Names, wanted: Any) -> Names:
    """Give the path of a condition inside an item, by identity."""
    for name in type(item).model_fields:
        value = getattr(item, name)
        if value is wanted:
            return (*path, name)
        if isinstance(value, list):
            for index, one in enumerate(value):
                if hasattr(type(one), "model_fields") and any(when is wanted for when in conditions_of(one)):
                    alone = len(value) == 1 and isinstance(one, Case)
                    step: Names = () if alone else (getattr(one, "id", None) or index,)
                    return _place_of(one, (*path, name, *step), wanted)
        elif hasattr(type(value), "model_fields") and any(when is wanted for when in conditions_of(value)):
            return _place_of(value, (*path, name), wanted)
    return path


def _check_cliffs(report: Report) -> None:
    """Say where a claim's total decides: there a larger claim could be paid less."""
    policy = report.policy
    holders: list[tuple[Any, Names]] = [(pot, ("pots", pot.id)) for pot in policy.pots]
    holders += [(part, ("tiers", tier.id, "parts", part.id)) for tier in policy.tiers for part in tier.parts]
    holders += [(ceiling, ("ceilings", ceiling.id)) for ceiling in policy.ceilings]
    for item, path in holders:
        for when in conditions_of(item):
            if when.total is not None:
                report.add("cliff", _place_of(item, path, when))


def _check_unused(reports: Sequence[Report]) -> None:
    """Find what is declared and used in no version that has it; only where a version's own file declares it."""
    for kind in ("pots", "series", "sources", "groups"):
        used = set[str]().union(*(_used(report.policy, kind) for report in reports))
        for report in reports:
            for name in _declared(report.policy, kind):
                if name in used:
                    continue
                file, _ = line_of(report.places, (kind, name))
                if file == report.places[-1]:
                    report.add(f"unused_{kind.removesuffix('s') if kind != 'series' else kind}", (kind, name), id=name)


def _declared(policy: Policy, kind: str) -> list[str]:
    if kind == "sources":
        return list(policy.sources)
    return [item.id for item in getattr(policy, kind)]


def _used(policy: Policy, kind: str) -> set[str]:
    if kind == "pots":
        return {name for tier in policy.tiers for part in tier.parts for name in part.pots}
    if kind == "series":
        return {number.case.of.series for number in numbers_of(policy) if number.case.of is not None}
    if kind == "sources":
        return {item.source for item in sourced_in(policy) if item.source is not None}
    names = {group for tier in policy.tiers for group in tier.prefer}
    names |= {group for applied in policy.applied for group in applied.excludes}
    for when in conditions_of(policy):
        names.update(when.group or (), when.holds or (), when.lacks or ())
    return names


def summary_text(findings: Sequence[Finding], lang: str) -> str:
    """Sum up findings in one line.

    >>> summary_text([], "en")
    'errors: 0, warnings: 0, notices: 0'
    """
    counts = count_severities(findings)
    return say("check.summary", lang, errors=counts["error"], warnings=counts["warning"], notices=counts["notice"])
