"""Look claims over by all rules, in one piece or part by part."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from medfloor.errors import UsageError
from medfloor.fund.supervision import costs
from medfloor.fund.supervision.items import of_lines
from medfloor.fund.supervision.leads import Leads, counted, ordered
from medfloor.fund.supervision.people import enrolled_twice, of_persons, twice_leads
from medfloor.fund.supervision.reading import (
    Persons,
    Read,
    claims_parts,
    read_catalogue,
    read_facilities,
    read_lines,
    read_persons,
)
from medfloor.fund.supervision.rules import Rules, shipped_rules
from medfloor.fund.supervision.timeline import along_days
from medfloor.intake import Scan
from medfloor.intake.files import Source, scan_table, write_table
from medfloor.words import Phrase

_NEEDS = {
    "after_death": "death_date", "sex_diagnosis": "people", "age_diagnosis": "people", "double_enrolment": "people",
    "sex_item": "lines", "age_item": "lines", "day_limit": "lines", "price_limit": "lines",
    "near_budget": "facilities", "facility_peers": "provider", "facility_month": "provider", "duplicate": "provider",
    "split_stay": "provider", "stays_overlap": "provider", "two_facilities": "provider", "readmission": "diagnosis",
    "cost_outlier": "diagnosis",
}  # fmt: skip
"""What a rule cannot be asked without."""


def supervise(
    claims: Source,
    *,
    people: Source | None = None,
    items: Source | None = None,
    catalogue: Source | None = None,
    facilities: Source | None = None,
    rules: Rules | None = None,
    memory_gb: float = 8.0,
    folder: Path | None = None,
) -> Leads:
    """Look claims over by rules, and give leads with evidence in an order. Nothing is drawn at random.

    `people` may carry death_date, `claims` visit_time (HH:MM) and pay_basic or hifp_pay; `items` are charge lines and
    `catalogue` what limits them; `facilities` have a budget. Rules that lack what they need are named in `not_asked`.
    Above about `memory_gb` the file is cut into parts, in `folder` or where temporary files go; the leads are the same.

    Raises InputError as the readers do, UsageError bad_memory, and needs_catalogue for items or a catalogue alone.

    >>> claims = pl.DataFrame({"claim_id": ["1", "2"], "person_id": ["9", "9"], "care_type": ["inpatient"] * 2,
    ...     "start_date": ["2024-05-01"] * 2, "end_date": ["2024-05-03"] * 2, "facility_level": ["3"] * 2,
    ...     "provider_id": ["h", "h"], "total": ["800"] * 2, "in_scope": ["800"] * 2})
    >>> supervise(claims).leads.select("rule", "claim_id", "others", "money_fen").rows()
    [('duplicate', '2', '1', 80000)]
    """
    if not 0.01 <= memory_gb <= 10_000:
        raise UsageError("bad_memory", f"--memory {memory_gb:g} is impossible; give gigabytes from 0.01")
    if (items is None) != (catalogue is None):
        raise UsageError(
            "needs_catalogue", "charge lines and a catalogue belong together; give --items and --catalogue"
        )
    rules = shipped_rules() if rules is None else rules
    scan = scan_table(claims, "claims")
    persons = None if people is None else read_persons(people)
    lines = None if items is None else read_lines(items)
    limits = None if catalogue is None else read_catalogue(catalogue)
    budgets = None if facilities is None else read_facilities(facilities)
    work = _Work(rules, persons, lines, limits)
    with tempfile.TemporaryDirectory(prefix="medfloor-", dir=folder) as place:
        for number, part in enumerate(claims_parts(scan, memory_gb=memory_gb, folder=Path(place))):
            work.add(part, Path(place) / f"narrow-{number}.parquet")
        work.finish(budgets)
    leads = ordered(work.found, rules)
    by_rule, by_facility = counted(leads, costs.added(work.counted, ("provider_id", "year")))
    given = {"people": people is not None, "lines": items is not None, "facilities": facilities is not None}
    return Leads(
        rules, leads, by_rule, by_facility, pl.concat(work.rejected, how="vertical_relaxed"), work.rows, work.looked_at,
        work.reversed, work.money_fen, work.money_rejected_fen, _not_asked(rules, work, given),
        synthetic="synthetic" in scan.names,
    )  # fmt: skip


@dataclass(eq=False)
class _Work:
    """Gather what the parts of a run come to."""

    rules: Rules
    persons: Persons | None
    lines: Scan | None
    catalogue: pl.DataFrame | None
    found: list[pl.DataFrame] = field(default_factory=list)
    sums: list[pl.DataFrame] = field(default_factory=list)
    counted: list[pl.DataFrame] = field(default_factory=list)
    twice: list[pl.DataFrame] = field(default_factory=list)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    narrow: list[pl.LazyFrame] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    rows: int = 0
    looked_at: int = 0
    reversed: int = 0
    money_fen: int = 0
    money_rejected_fen: int = 0

    def add(self, part: Read, path: Path) -> None:
        """Look a part over, and keep what is needed of it once the whole is known."""
        live, rules = part.live, self.rules
        for name in ("provider_id", "diagnosis", "minute"):
            if live[name].null_count() < live.height:
                self.seen.add(name)
        self.found += along_days(live, rules)
        if self.persons is not None:
            self.found += of_persons(live, self.persons, rules)
            self.twice.append(enrolled_twice(live, self.persons))
        if self.lines is not None and self.catalogue is not None:
            self.found += of_lines(live, self.lines, self.catalogue, self.persons, rules)
        if rules["near_cap"].on:
            self.found.append(costs.near_ceilings(live, rules))
        self.sums.append(costs.sums_of(live))
        self.counted.append(costs.counted_of(live))
        self.rejected.append(part.rejected)
        self._keep(part, path)
        self.rows += part.rows
        self.looked_at += live.height
        self.reversed += part.reversed
        self.money_fen += part.money_fen
        self.money_rejected_fen += part.money_rejected_fen

    def finish(self, budgets: pl.DataFrame | None) -> None:
        """Ask the rules that need the whole: groups of claims, facilities, people enrolled twice."""
        rules = self.rules
        sums = costs.added(self.sums, (*costs.GROUP, "provider_id", "month"))
        if rules["cost_outlier"].on:
            lines = costs.thresholds(sums, rules)
            self.found += [costs.outliers(part, lines, rules) for part in self.narrow]
        self.found += costs.drifts(sums, rules)
        if budgets is not None and rules["near_budget"].on:
            whole = costs.added(self.counted, ("provider_id", "year"))
            self.found.append(costs.near_budgets(whole, budgets, rules))
        if self.persons is not None and rules["double_enrolment"].on:
            self.found.append(twice_leads(self.persons, pl.concat(self.twice)))

    def _keep(self, part: Read, path: Path) -> None:
        if not self.rules["cost_outlier"].on:
            return
        wanted = part.live.select(
            "claim_id", "person_id", "provider_id", "care", "level", "diagnosis", "start", "total_fen"
        )
        if part.alone:
            self.narrow.append(wanted.lazy())
            return
        write_table(wanted, path, money_columns=[])
        self.narrow.append(pl.scan_parquet(path, glob=False))


def _not_asked(rules: Rules, work: _Work, given: dict[str, bool]) -> tuple[tuple[str, Phrase], ...]:
    if not work.looked_at:
        return tuple((one.name, Phrase.of(f"supervision.without_{'rows' if one.on else 'on'}")) for one in rules.all)
    there = {
        **given,
        "death_date": work.persons is not None and work.persons.has_death,
        "provider": "provider_id" in work.seen,
        "diagnosis": "diagnosis" in work.seen,
    }
    found = [
        (name, Phrase.of(f"supervision.without_{_NEEDS[name]}"))
        for name in rules.names
        if name in _NEEDS and not there[_NEEDS[name]]
    ]
    found += [(one.name, Phrase.of("supervision.without_on")) for one in rules.all if not one.on]
    if given["lines"] and not given["people"]:
        found += [(one, Phrase.of("supervision.without_people")) for one in ("sex_item", "age_item") if rules[one].on]
    if "minute" not in work.seen and rules["two_facilities"].on and there["provider"]:
        found.append(("two_facilities", Phrase.of("supervision.without_time")))
    return tuple(found)
