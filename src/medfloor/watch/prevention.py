"""Look over prevention in a county: contracts, load, service, control, avoidable stays, and what it may save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from medfloor.errors import InputError
from medfloor.watch.avoidable import Avoidable, avoidable
from medfloor.watch.contracts import GOT, OWED, Served, coverage, served, service
from medfloor.watch.control import control
from medfloor.watch.effect import Simulated, simulate_follow_up
from medfloor.watch.evidence import Evidence, shipped_evidence
from medfloor.watch.prevention_inputs import flags_of, prepare
from medfloor.watch.workload import Workload, workload
from medfloor.words import join, say

TABLES = (
    "coverage", "workload", "by_doctor", "avoidable", "effect", "evidence", "service", "not_served", "control",
    "rejected",
)  # fmt: skip
"""What `Prevention.tables` may hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """Be one table of the report in words: title, heads and rows of text, the columns set flush right, and notes."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    right: tuple[int, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Prevention:
    """Be the whole of it for a year.

    `service` and `control` are None where contacts or measurements are not known. `rejected` are rows of the four small
    tables that could not be used, and flags of people that are neither yes nor no.
    """

    year: int
    served: Served
    coverage: pl.DataFrame
    load: Workload
    service: pl.DataFrame | None
    control: pl.DataFrame | None
    stays: Avoidable
    simulated: Simulated
    rejected: pl.DataFrame
    evidence: Evidence
    synthetic: bool

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """Give the tables by name, as they are written; `not_served` lists persons who signed and got nothing."""
        found = {
            "coverage": self.coverage,
            "workload": self.load.by_group,
            "by_doctor": self.load.by_doctor,
            "avoidable": _in_yuan(self.stays.table),
            "effect": _effect_table(self.simulated),
            "evidence": _evidence_table(self.evidence),
        }
        if self.service is not None:
            found["service"] = self.service
            nothing = pl.col("contracted") & (OWED > 0) & (GOT == 0)
            names = ["person_id", *(n for n in ("place", "doctor_id") if n in self.served.people.columns)]
            found["not_served"] = self.served.people.filter(nothing).select(names)
        if self.control is not None:
            found["control"] = self.control
        if self.rejected.height:
            found["rejected"] = self.rejected
        return found

    def sections(self, lang: str) -> list[Section]:
        """Tell it in words. Raises UsageError unknown_language."""
        made = [_coverage_section(self, lang), _load_section(self, lang), _service_section(self, lang)]
        return [*made, _control_section(self, lang), _avoidable_section(self, lang), _effect_section(self, lang)]

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data for JSON, with the sources; it names nobody."""
        told = self.simulated
        return {
            "kind": "prevention", "year": self.year, "synthetic": self.synthetic,
            "coverage": self.coverage.to_dicts(),
            "not_asked": list(self.served.not_asked),
            "load": {
                "contracts": self.load.contracts, "hours": round(self.load.hours, 2), "capacity": self.load.capacity,
                "load": self.load.load, "feasible": self.load.feasible, "doctors": self.load.doctors,
            },
            "service": None if self.service is None else self.service.to_dicts(),
            "control": None if self.control is None else self.control.to_dicts(),
            "avoidable": _in_yuan(self.stays.table).to_dicts(),
            "ceiling": {"share": self.stays.ceiling_share, "yuan": self.stays.ceiling_fen / 100},
            "effect": _effect_table(told).to_dicts(),
            "seed": told.seed, "draws": told.draws, "programme": told.programme,
            "statement": say("watch_prevention.statement", "en", **_ceiling_words(self)),
            "evidence": _evidence_table(self.evidence).to_dicts(),
            "sources": dict(self.evidence.sources),
            "rejected": self.rejected.height,
        }  # fmt: skip


def prevention_of(
    people: pl.DataFrame,
    claims: pl.DataFrame,
    *,
    year: int,
    spells: pl.DataFrame | None = None,
    contracts: pl.DataFrame | None = None,
    contacts: pl.DataFrame | None = None,
    measurements: pl.DataFrame | None = None,
    doctors: pl.DataFrame | None = None,
    evidence: Evidence | None = None,
    programme: str = "usual",
    seed: int = 0,
    draws: int = 2_000,
) -> Prevention:
    """Look over a year.

    `people`: person_id, birth_date, and flags where known (hypertension, diabetes, pregnant, disabled, ...;
    family_doctor where there is no table of contracts). `claims`: person_id, care_type, start_date, diagnosis,
    total_fen. The other tables as in `prevention_inputs.prepare` say. What is not given is not guessed: the report
    says that it is not known.

    Raises InputError missing_column, wrong_type, empty_file (no claims of the year); UsageError unknown_programme,
    bad_draws, bad_seed.

    >>> from datetime import date
    >>> people = pl.DataFrame({"person_id": ["p1"], "birth_date": [date(1950, 1, 1)], "family_doctor": [True]})
    >>> claims = pl.DataFrame({"person_id": ["p1"], "care_type": ["inpatient"], "start_date": [date(2025, 2, 1)],
    ...     "diagnosis": ["I10"], "total_fen": [300_000]})
    >>> found = prevention_of(people, claims, year=2025)
    >>> round(found.stays.own_share), found.stays.ceiling_share
    (100, 8.63)
    """
    evidence = evidence or shipped_evidence()
    _need(people, "people", ("person_id", "birth_date"))
    _need(claims, "claims", ("person_id", "care_type", "start_date", "diagnosis", "total_fen"))
    if not (claims["start_date"].dt.year() == year).any():
        raise InputError("empty_file", f"the claims have no row of {year}; name another year")
    inputs = prepare(people, contracts=contracts, contacts=contacts, measurements=measurements, doctors=doctors)
    flags = [flag for one in evidence.groups for flag in one.flags]
    people, unread = flags_of(people, [*flags, "family_doctor"])
    found = served(
        people, evidence, year=year, spells=spells, claims=claims, contracts=inputs.contracts, contacts=inputs.contacts
    )
    asked = [one.name for one in evidence.groups if one.name not in found.not_asked]
    load = workload(found, evidence, inputs.doctors)
    stays = avoidable(claims, found.people, evidence, year=year)
    return Prevention(
        year,
        found,
        coverage(found, evidence),
        load,
        service(found, asked),
        control(found, inputs.measurements, evidence, year=year),
        stays,
        simulate_follow_up(found, stays, load, evidence, programme=programme, seed=seed, draws=draws),
        pl.concat([unread, inputs.rejected]),
        evidence,
        "synthetic" in people.columns,
    )


def _need(frame: pl.DataFrame, table: str, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError("missing_column", f"{table} has no column {missing[0]}; it needs {', '.join(names)}")


def _in_yuan(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns((pl.col("cost_fen") / 100).alias("cost")).drop("cost_fen").select(
        "condition", "stays", "cost", "of_stays", "of_spend"
    )  # fmt: skip


def _effect_table(told: Simulated) -> pl.DataFrame:
    """Give a row for each arm and year: saved (mean, low, high), cost and the ceiling, yuan."""
    rows = [
        {
            "arm": one.name, "programme": one.programme, "year": year, "people": one.people, "wanted": one.wanted,
            "hours": round(one.hours, 2), "cost": round(one.cost, 2), "base": round(one.base, 2),
            "saved": round(mean, 2), "saved_low": round(low, 2), "saved_high": round(high, 2),
            "ceiling": round(told.ceiling, 2), "capped": one.capped,
        }
        for one in told.arms
        for year, (mean, low, high) in enumerate(one.saved, 1)
    ]  # fmt: skip
    return pl.DataFrame(rows)


def _evidence_table(evidence: Evidence) -> pl.DataFrame:
    """List every number used with unit, source and trust; relative risks with their study type."""
    rows = [
        (one.name, one.value, None, None, one.unit, "", one.source, one.trust) for one in evidence.numbers.values()
    ] + [
        (f"rr_{one.programme}", one.rr, one.low, one.high, "relative risk", one.study, one.source, one.trust)
        for one in evidence.effects
    ]
    heads = ["name", "value", "low", "high", "unit", "study", "source", "trust"]
    kinds = dict(zip(heads, [pl.String, *[pl.Float64] * 3, *[pl.String] * 4], strict=True))
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _t(key: str, lang: str, /, **values: object) -> str:
    return say(f"watch_prevention.{key}", lang, **values)


def _group(name: str, lang: str) -> str:
    return say(f"watch_prevention_group.{name}", lang)


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _yuan(value: float) -> str:
    return f"{value:,.0f}"


def _coverage_section(one: Prevention, lang: str) -> Section:
    rows = [
        [_group(row["group"], lang), f"{row['people']:,}", f"{row['contracted']:,}", _p(row["share"]),
         f"{row['goal']:g}", f"{row['lacking']:,}"]
        for row in one.coverage.to_dicts()
    ]  # fmt: skip
    heads = [_t(name, lang) for name in ("group", "people", "contracted", "share", "goal", "lacking")]
    notes = []
    if one.served.not_asked:
        names = join([_group(name, lang) for name in one.served.not_asked], lang)
        notes.append(_t("not_asked", lang, groups=names))
    return Section(_t("coverage_title", lang), heads, rows, (1, 2, 3, 4, 5), tuple(notes))


def _load_section(one: Prevention, lang: str) -> Section:
    load = one.load
    unknown = _t("unknown", lang)
    rows = [
        [_t("contracts", lang), f"{load.contracts:,}"],
        [_t("hours_owed", lang), f"{load.hours:,.0f}"],
        [_t("hours_there", lang), unknown if load.capacity is None else f"{load.capacity:,.0f}"],
        [_t("load_ratio", lang), unknown if load.load is None else f"{load.load:.2f}"],
        [_t("feasible", lang), unknown if load.feasible is None else f"{load.feasible:,}"],
        [_t("doctors_needed", lang), f"{load.doctors_needed:,.1f}"],
    ]
    overloaded = load.by_doctor.filter(pl.col("load") > 1).height
    asked = {
        name: f"{one.evidence[key]:g}"
        for name, key in (("follow", "follow_up_minutes"), ("exam", "exam_minutes"), ("hours", "doctor_hours"))
    }
    notes = [_t("minutes_note", lang, **asked)]
    if load.by_doctor.height:
        notes.append(_t("overloaded", lang, count=overloaded, doctors=load.by_doctor.height))
    return Section(_t("load_title", lang), [_t("what", lang), _t("number", lang)], rows, (1,), tuple(notes))


def _service_section(one: Prevention, lang: str) -> Section:
    title = _t("service_title", lang)
    if one.service is None:
        return Section(title, [], [], (), (_t("no_contacts", lang),))
    rows = [
        [_group(row["group"], lang), f"{row['contracted']:,}", f"{row['fully']:,}", f"{row['partly']:,}",
         f"{row['not_served']:,}", _p(row["not_served_share"])]
        for row in one.service.to_dicts()
    ]  # fmt: skip
    heads = [_t(name, lang) for name in ("group", "contracted", "fully", "partly", "not_served", "share")]
    return Section(title, heads, rows, (1, 2, 3, 4, 5))


def _control_section(one: Prevention, lang: str) -> Section:
    title = _t("control_title", lang)
    if one.control is None:
        return Section(title, [], [], (), (_t("no_measurements", lang),))
    rows = [
        [_group(row["illness"], lang), _t(f"who_{row['who']}", lang), f"{row['people']:,}", f"{row['measured']:,}",
         f"{row['controlled']:,}", _p(row["of_measured"]), _p(row["of_all"])]
        for row in one.control.to_dicts()
    ]  # fmt: skip
    heads = [_t(name, lang) for name in ("group", "who", "people", "measured", "controlled", "of_measured", "of_all")]
    note = _t("control_note", lang, **{name: f"{one.evidence[name]:g}" for name in _LIMITS})
    return Section(title, heads, rows, (2, 3, 4, 5, 6), (note,))


_LIMITS = ("systolic", "diastolic", "systolic_old", "glucose")


def _avoidable_section(one: Prevention, lang: str) -> Section:
    rows = [
        [say(f"watch_prevention_condition.{row['condition']}", lang), f"{row['stays']:,}", _yuan(row["cost_fen"] / 100),
         _p(row["of_stays"]), _p(row["of_spend"])]
        for row in one.stays.table.to_dicts()
    ]  # fmt: skip
    heads = [_t(name, lang) for name in ("condition", "stays", "cost_yuan", "of_stays", "of_spend")]
    notes = [_t("avoidable_note", lang)]
    if one.stays.undiagnosed:
        notes.append(_t("undiagnosed", lang, count=f"{one.stays.undiagnosed:,}", stays=f"{one.stays.stays:,}"))
    return Section(_t("avoidable_title", lang), heads, rows, (1, 2, 3, 4), tuple(notes))


def _effect_section(one: Prevention, lang: str) -> Section:
    told = one.simulated
    rows = []
    for arm in told.arms:
        mean, low, high = arm.last
        rows.append(
            [_t(f"arm_{arm.name}", lang), f"{arm.people:,}", f"{arm.hours:,.0f}", _yuan(arm.cost), _yuan(mean),
             _t("interval", lang, low=_yuan(low), high=_yuan(high)), _yuan(arm.net)]
        )  # fmt: skip
    heads = [_t(name, lang) for name in ("arm", "reached", "hours", "cost_a_year", "saved_a_year", "range", "net")]
    effect = one.evidence.effect(told.programme)
    horizon = len(told.arms[0].saved)
    notes = [
        _t("effect_note", lang, programme=_t(f"programme_{told.programme}", lang), rr=f"{effect.rr:.2f}",
           low=f"{effect.low:.2f}", high=f"{effect.high:.2f}", study=_t(f"study_{told.programme}", lang),
           least=f"{one.evidence['delay_least']:g}", most=f"{one.evidence['delay_most']:g}", horizon=horizon,
           draws=f"{told.draws:,}", seed=told.seed),
        _t("carried_over", lang),
        _t("cost_note", lang, hour=f"{one.evidence['hour_cost']:g}", funding=f"{one.evidence['funding']:g}"),
        _t("statement", lang, **_ceiling_words(one)),
    ]  # fmt: skip
    if not one.served.contacts_known:
        notes.insert(0, _t("no_contacts_effect", lang))
    if one.load.capacity is None:
        notes.insert(0, _t("no_doctors_effect", lang))
    return Section(_t("effect_title", lang, year=horizon), heads, rows, (1, 2, 3, 4, 5, 6), tuple(notes))


def _ceiling_words(one: Prevention) -> Mapping[str, str]:
    stays = one.stays
    return {
        "own": f"{stays.own_share:.2f}",
        "published": f"{one.evidence['ceiling']:g}",
        "share": f"{stays.ceiling_share:.2f}",
        "yuan": _yuan(stays.ceiling_fen / 100),
    }
