"""Explain one claim: what each tier took in, deducted, paid and left, which article says so, and what did not apply.

The claim's year is settled by the reference, and only the rows of its person (or household) are read into memory, so
that one claim of a large file is explained quickly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from medfloor import tables
from medfloor.errors import InputError, MissingValueError
from medfloor.intake import read_claims, read_people, read_spells, scan_table
from medfloor.intake.files import collect, survey
from medfloor.intake.layout import Layout as Columns
from medfloor.intake.layout import match_columns
from medfloor.periods import Span
from medfloor.policy.load import PolicySet, groups_of
from medfloor.settlement.balance import from_table
from medfloor.settlement.batch import Batch, Law, prepare
from medfloor.settlement.engines import person_at, spells_at, visit_at, working_at
from medfloor.settlement.explanation import (
    Care,
    Change,
    Charges,
    Explanation,
    PolicyNamed,
    Refusal,
    Share,
    StatusHeld,
    StatusRule,
    TakenBack,
    TierExplained,
)
from medfloor.settlement.narrative import render
from medfloor.settlement.reversal import replay, subset
from medfloor.settlement.scope import Spell, facts_of, statuses_held
from medfloor.settlement.settle import law_of
from medfloor.settlement.working import (
    Scene,
    cited,
    explain_ceilings,
    explain_tier,
    group_text,
    reason_text,
    text_of,
    unused,
    used_by,
)

Table = str | Path | pl.DataFrame

__all__ = ["Explanation", "explain", "render"]


def explain(
    claim_id: str,
    claims: Table,
    people: Table,
    spells: Table | None = None,
    policy: str | PolicySet | Law = "cn/beijing",
    opening: Table | None = None,
    *,
    reforms: Sequence[str | Path] = (),
) -> Explanation:
    """Explain the settlement of one claim, by the reference engine.

    Tables are those of `settle`; `opening` holds accumulators that an earlier run closed with. A row that was refused
    comes back with its reason, a reversal with the claim that it takes back.

    Raises InputError unknown_claim where no row has that claim_id, and otherwise what `settle` raises.

    >>> import polars as pl
    >>> claims = pl.DataFrame({"claim_id": ["c1"], "person_id": ["p1"], "care_type": ["inpatient"],
    ...     "start_date": ["2024-03-01"], "end_date": ["2024-03-10"], "facility_level": ["3"],
    ...     "total": [150000], "off_catalogue": [20000], "in_scope": [130000]})
    >>> told = explain("c1", claims, pl.DataFrame({"person_id": ["p1"]}))
    >>> told.own_total_fen, told.tiers[0].working.brackets[0].product_yuan
    (5163240, '96525.00')
    """
    law = law_of(policy, reforms)
    scene = _scene_of([claim_id], law, claims, people, spells, opening)
    return scene[claim_id] if isinstance(scene, dict) else _told(claim_id, *scene)


def explain_each(
    claim_ids: Sequence[str], claims: Table, people: Table, spells: Table | None, policy: str | PolicySet | Law
) -> list[Explanation]:
    """Explain the settlement of several claims, as `explain` does one; the tables are read and prepared once.

    Raises what `explain` raises.
    """
    law = law_of(policy)
    scene = _scene_of(claim_ids, law, claims, people, spells, None) if claim_ids else {}
    if isinstance(scene, dict):  # something was refused: each is told by itself, so that none is told of another
        return [explain(one, claims, people, spells, law) for one in claim_ids]
    return [_told(one, *scene) for one in claim_ids]


def _told(
    claim_id: str, batch: Batch, reversals: pl.DataFrame, held: pl.DataFrame, opened: pl.DataFrame | None
) -> Explanation:
    """Explain a claim of a prepared batch that holds all claims of its unit-year."""
    ids = batch.frame["claim_id"]
    undone = reversals.filter((pl.col("claim_id") == claim_id) | (pl.col("reverses") == claim_id))
    taken = None
    target = claim_id
    if undone.height:
        row = undone.row(0, named=True)
        target = row["reverses"]
        taken = TakenBack(row["claim_id"], target, row["settled_date"])
    world, i = _world_of(batch, reversals, int(np.flatnonzero((ids == target).to_numpy())[0]))
    told = _explain_at(world, i, held, opened)
    state: Any = "settled" if taken is None else ("reversal" if taken.reversal_id == claim_id else "taken_back")
    changes = () if taken is not None else _changes(batch, reversals, claim_id, opened)
    sequence, count = _place_of(claim_id, batch, reversals)
    return replace(
        told,
        claim_id=claim_id,
        state=state,
        taken_back=taken,
        changes=changes,
        sequence=sequence,
        claims_in_year=count,
    )


def _scene_of(
    claim_ids: Sequence[str], law: Law, claims: Table, people: Table, spells: Table | None, opening: Table | None
) -> dict[str, Explanation] | tuple[Batch, pl.DataFrame, pl.DataFrame, pl.DataFrame | None]:
    """Prepare the batch of the claims' persons or households; or say of the first row that was refused why it was."""
    rows, columns, persons = _rows_of_units(claim_ids, law, claims, people)
    codes = law.policies.versions[-1].codes
    read = read_claims(rows, med_type=codes.med_type, hosp_lv=codes.hosp_lv)
    register = read_people(_rows_of(people, "people", persons))
    statuses = read_spells(
        None if spells is None else _rows_of(spells, "spells", persons), known_groups=groups_of(law.policies)
    )
    opened = None if opening is None else _opened(opening, law, persons)
    mine = _plain(columns, "claim_id").is_in(list(claim_ids))
    claim_id, person = rows.filter(mine).select(_plain(columns, "claim_id"), _plain(columns, "person_id")).row(0)
    try:
        batch, reversals, refusals = prepare(law, [read.accepted], register, statuses, opened)
    except MissingValueError as error:
        return {claim_id: _refused(claim_id, person or "", error.code, error.message)}
    refused = read.refuse(refusals.rows).rejected.filter(mine)
    if refused.height:
        return {claim_id: _refused(claim_id, person or "", refused["reason"][0], refused["detail"][0])}
    return batch, reversals, statuses.accepted, opened


def _refused(claim_id: str, person: str, reason: str, detail: str) -> Explanation:
    return Explanation(claim_id, person, "refused", refusal=Refusal(reason, reason_text(reason), detail))


def _rows_of_units(
    claim_ids: Sequence[str], law: Law, claims: Table, people: Table
) -> tuple[pl.DataFrame, Columns, list[str]]:
    """Collect the rows of the claims' persons or households, and the rows of others that these name.

    Gives them as they came, where their columns stand, and all persons that occur in them.
    """
    scan = scan_table(claims, "claims")
    columns = match_columns(scan, tables.CLAIMS)
    scan, _ = survey(scan, ())
    asked = _plain(columns, "claim_id").is_in(list(claim_ids))
    person = _plain(columns, "person_id")
    found = collect(scan, scan.frame.filter(asked).select(_plain(columns, "claim_id").alias("claim_id"), person))
    unknown = [one for one in claim_ids if one not in set(found["claim_id"])]
    if unknown:
        raise InputError(
            "unknown_claim",
            f"{scan.place} has no row with {columns.label('claim_id')} {unknown[0]}; check the spelling, and that this "
            "is the file that was settled",
        )
    persons = _unit_of(set(found.drop("claim_id").to_series().drop_nulls()), law, people)
    rows = collect(scan, scan.frame.filter(person.is_in(persons) | asked))
    # Rows of others matter where an id occurs twice or a row names another's claim: they decide about a refusal.
    named = {
        value
        for name in ("claim_id", "continues", "reverses")
        if columns.has(name)
        for value in rows.select(_plain(columns, name)).to_series().drop_nulls()
    }
    mine = person.is_in(persons).fill_null(False)
    rows = collect(scan, scan.frame.filter(mine | _plain(columns, "claim_id").is_in(sorted(named))))
    return rows, columns, sorted(set(rows.select(person).to_series().drop_nulls()) | set(persons))


def _unit_of(persons: set[str], law: Law, people: Table) -> list[str]:
    """Add the other people of the household, where the policy counts by household."""
    if not law.layout.household:
        return sorted(persons)
    scan = scan_table(people, "people")
    columns = match_columns(scan, tables.PEOPLE)
    if not columns.has("household_id"):
        return sorted(persons)
    person, home = _plain(columns, "person_id"), _plain(columns, "household_id")
    homes = collect(scan, scan.frame.filter(person.is_in(sorted(persons))).select(home)).to_series().drop_nulls()
    members = collect(scan, scan.frame.filter(home.is_in(homes.implode())).select(person)).to_series().drop_nulls()
    return sorted(persons | set(members))


def _rows_of(table: Table, name: str, persons: Sequence[str]) -> pl.DataFrame:
    """Collect the rows of some people from a table that has a person_id."""
    scan = scan_table(table, name)
    columns = match_columns(scan, tables.PEOPLE if name == "people" else tables.SPELLS)
    scan, _ = survey(scan, ())
    return collect(scan, scan.frame.filter(_plain(columns, "person_id").is_in(list(persons))))


def _opened(opening: Table, law: Law, persons: Sequence[str]) -> pl.DataFrame:
    scan = scan_table(opening, "accumulators")
    if "person_id" not in scan.names:
        raise InputError("missing_column", f"{scan.place} has no column person_id; it is made by `settle --closing`")
    frame = collect(scan, scan.frame.filter(pl.col("person_id").cast(pl.String).is_in(list(persons))))
    return from_table(frame, law.layout, scan.place)


def _plain(columns: Columns, name: str) -> pl.Expr:
    """Give a column of ids as trimmed text."""
    return pl.col(columns.given[name]).cast(pl.String).str.strip_chars()


def _world_of(batch: Batch, reversals: pl.DataFrame, i: int) -> tuple[Batch, int]:
    """Give the unit-year of claim i and its place there, without what was taken back earlier.

    Of a claim that was itself taken back, this is the year as it stood just before.
    """
    segment = int(np.searchsorted(batch.segments.start, i, side="right") - 1)
    rows = np.arange(int(batch.segments.start[segment]), int(batch.segments.start[segment + 1]))
    ids = batch.frame["claim_id"]
    here = set(ids.gather(rows))
    gone: set[str] = set()
    for one in reversals.sort("settled_date", "start_date", "claim_id")["reverses"]:
        if one == ids[i]:
            break
        if one in here:
            gone.add(one)
    kept = np.array([row for row in rows if ids[int(row)] not in gone], np.int64)
    return subset(batch, kept), int(np.searchsorted(kept, i))


def _place_of(claim_id: str, batch: Batch, reversals: pl.DataFrame) -> tuple[int, int]:
    """Give the place of a row among those of its person-year, as settlements number them, and their count.

    Reversals are rows of the year of the claim that they take back.
    """
    keys = ["claim_id", "person_id", "_year", "settled_date", "start_date"]
    rows = batch.frame.select(keys)
    years = rows.select(pl.col("claim_id").alias("reverses"), "_year")
    if reversals.height:
        back = reversals.drop("_year", strict=False).join(years, on="reverses", how="inner")
        rows = pl.concat([rows, back.select(keys)])
    mine = rows.row(by_predicate=pl.col("claim_id") == claim_id, named=True)
    same = rows.filter((pl.col("person_id") == mine["person_id"]) & (pl.col("_year") == mine["_year"]))
    order = same.sort("settled_date", "start_date", "claim_id")["claim_id"].to_list()
    return order.index(claim_id) + 1, len(order)


def _changes(batch: Batch, reversals: pl.DataFrame, claim_id: str, opened: pl.DataFrame | None) -> tuple[Change, ...]:
    """List what later reversals changed in this claim's payments since it was first settled."""
    from medfloor.settlement.engines import run
    from medfloor.settlement.results import settlement_table

    worlds = replay(batch, reversals, "reference", opened)
    if worlds is None:
        return ()
    final = settlement_table(worlds.survivors, run(worlds.survivors, "reference", opening=opened))
    mine = worlds.differences(final).filter(pl.col("claim_id") == claim_id)
    return tuple(Change(r["tier"], r["before_fen"], r["after_fen"]) for r in mine.iter_rows(named=True))


def _explain_at(batch: Batch, i: int, held: pl.DataFrame, opened: pl.DataFrame | None) -> Explanation:
    """Explain claim i of a batch that holds what counts for it."""
    scene = _scene_at(batch, i, opened)
    policy, facts, visit, settled = scene.policy, scene.facts, scene.visit, scene.settled
    told = tuple(explain_tier(scene, tier) for tier in policy.tiers)
    person = settled.claim.person_id
    by_tier = {tier.id: text_of(tier.name) for tier in policy.tiers}
    return Explanation(
        claim_id=settled.claim.claim_id,
        person_id=person,
        state="settled",
        policy=PolicyNamed(
            batch.law.policies.address, policy.id, text_of(policy.name), policy.from_, policy.currency
        ),
        benefit_year=facts.benefit_year,
        care=Care(
            facts.care_type, facts.facility_level, facts.area, facts.referral, facts.insured_class,
            visit.start_date, visit.end_date, visit.settled_date,
        ),
        charges=Charges(
            settled.claim.total_fen, settled.claim.in_scope_fen, settled.claim.first_self_pay_fen,
            settled.claim.over_limit_fen, settled.claim.off_catalogue_fen,
        ),
        statuses=_statuses(scene, held.filter(pl.col("person_id") == person), told),
        status_rule=StatusRule(
            policy.status_day, None if policy.status_source is None else cited(scene, policy.status_source)
        ),
        tiers=told,
        ceilings=explain_ceilings(scene),
        shares=tuple(Share(name, text, settled.pay_of(name)) for name, text in by_tier.items()),
        pay_total_fen=settled.pay_total_fen,
        own_in_scope_fen=settled.own_in_scope_fen,
        own_outside_fen=settled.own_outside_fen,
        own_total_fen=settled.own_in_scope_fen + settled.own_outside_fen,
    )  # fmt: skip


def _scene_at(batch: Batch, i: int, opened: pl.DataFrame | None) -> Scene:
    """Settle claim i, and those before it where they are asked for."""
    policy = batch.law.policies.versions[int(batch.columns.version[i])]
    visit = visit_at(batch, i)
    facts = facts_of(policy, visit, person_at(batch, i), spells_at(batch, i))

    def earlier() -> Iterator[Scene]:
        return (_scene_at(batch, j, opened) for j in range(i - 1, -1, -1))

    return Scene(policy, facts, visit, *working_at(batch, i, opened), earlier)


def _statuses(scene: Scene, held: pl.DataFrame, told: Sequence[TierExplained]) -> tuple[StatusHeld, ...]:
    """List the statuses of the person in order of date, whether each counts for this claim, and who used it."""
    found = []
    for row in held.sort("from_date", "group").iter_rows(named=True):
        group, since, until = row["group"], row["from_date"], row["to_date"]
        spell = Spell(group, Span.from_days(since, until))
        counts = bool(statuses_held(scene.visit, [spell])[scene.policy.status_day])
        by = used_by(scene, told, group) if counts else ()
        why, because = unused(scene, told, group) if counts and not by else ("", None)
        found.append(StatusHeld(group, group_text(scene.policy, group), since, until, counts, by, why, because))
    return tuple(found)
