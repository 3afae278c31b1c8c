"""Say who should be contracted with a family doctor, who is, and who was served of those who signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from medfloor.watch.evidence import Evidence, Group

KINDS = ("follow_up", "exam")
"""Kinds of contact that are owed."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Be people with what they are owed and got in the year.

    `people`: person_id, age, a flag for each group, `key` (in any), contracted, owed_follow_up, owed_exam, and
    had_follow_up, had_exam (null where no contacts are known), place and doctor_id where given. `not_asked` names the
    groups that nothing in the data could tell.
    """

    people: pl.DataFrame
    not_asked: tuple[str, ...]
    contacts_known: bool


def served(
    people: pl.DataFrame,
    evidence: Evidence,
    *,
    year: int,
    spells: pl.DataFrame | None = None,
    claims: pl.DataFrame | None = None,
    contracts: pl.DataFrame | None = None,
    contacts: pl.DataFrame | None = None,
) -> Served:
    """Bring people, contracts and contacts of a year together.

    `people` (person_id, birth_date and flags), `claims` (person_id, start_date, diagnosis: all up to the year's end
    count), `spells` (person_id, group, from_date, to_date), `contracts` (person_id, signed, until, doctor_id: running
    on the last day), `contacts` (person_id, date, kind). Without contracts the column family_doctor says who signed;
    where people have a flag of an illness it tells who is ill, else the diagnoses do.
    """
    last = date(year, 12, 31)
    frame = people.with_columns((year - pl.col("birth_date").dt.year()).alias("age"))
    asked = [_member(one, frame, spells, claims, last) for one in evidence.groups]
    names = [one.name for one in evidence.groups]
    found = dict(zip(names, asked, strict=True))
    not_asked = tuple(name for name in names if found[name] is None)
    frame = frame.with_columns(
        pl.lit(False).alias(name) if flag is None else flag.fill_null(value=False).alias(name)
        for name, flag in found.items()
    ).with_columns(pl.any_horizontal(names).alias("key"))
    frame = _with_contracts(frame, contracts, last)
    frame = frame.with_columns(*_owed(evidence))
    frame = _with_contacts(frame, contacts, year)
    # A person's own columns with names of groups stay: they were read into the groups already.
    keep = [name for name in ("place", "doctor_id") if name in frame.columns]
    return Served(
        frame.select(
            "person_id", "age", *names, "key", "contracted", *(f"owed_{kind}" for kind in KINDS),
            *(f"had_{kind}" for kind in KINDS), *keep,
        ),
        not_asked,
        contacts is not None,
    )  # fmt: skip


def _member(
    group: Group, people: pl.DataFrame, spells: pl.DataFrame | None, claims: pl.DataFrame | None, last: date
) -> pl.Expr | None:
    """Say by an expression who belongs to a group; None where nothing in the data can tell."""
    told = [pl.col(name) for name in group.flags if name in people.columns]
    # A register of the ill says more than single codes in bills, some of which were only suspected.
    if group.diagnoses and not told and claims is not None and "diagnosis" in claims.columns:
        code = pl.col("diagnosis").str.to_uppercase()
        seen = claims.filter(
            pl.any_horizontal(code.str.starts_with(one) for one in group.diagnoses) & (pl.col("start_date") <= last)
        )
        told.append(pl.col("person_id").is_in(seen["person_id"].unique().implode()))
    if group.statuses and spells is not None:
        runs = (pl.col("from_date").is_null() | (pl.col("from_date") <= last)) & (
            pl.col("to_date").is_null() | (pl.col("to_date") >= last)
        )
        held = spells.filter(pl.col("group").is_in(list(group.statuses)) & runs)
        told.append(pl.col("person_id").is_in(held["person_id"].unique().implode()))
    by_age = pl.col("age").is_between(*group.ages)
    if not (group.flags or group.diagnoses or group.statuses):
        return by_age if people["birth_date"].null_count() < people.height else None
    if not told:
        return None
    # An illness known without an age counts: the age limits only whom screening is for.
    return pl.any_horizontal(told) & by_age.fill_null(value=True)


def _with_contracts(people: pl.DataFrame, contracts: pl.DataFrame | None, last: date) -> pl.DataFrame:
    if contracts is None:
        flag = pl.col("family_doctor").fill_null(value=False) if "family_doctor" in people.columns else pl.lit(False)
        return people.with_columns(flag.alias("contracted"))
    runs = (pl.col("signed") <= last) & (pl.col("until").is_null() | (pl.col("until") >= last))
    running = contracts.filter(runs).sort("person_id", "signed")
    running = running.group_by("person_id").agg(pl.col("doctor_id").last(), pl.lit(True).alias("contracted"))
    return people.drop("doctor_id", "contracted", strict=False).join(
        running, on="person_id", how="left", maintain_order="left"
    ).with_columns(pl.col("contracted").fill_null(value=False))  # fmt: skip


def _owed(evidence: Evidence) -> list[pl.Expr]:
    """Give the contacts owed: of each kind the most that any of a person's groups asks, for one contact serves all."""
    owed = []
    for kind in KINDS:
        ordinary = int(evidence["ordinary_follow_up"]) if kind == "follow_up" else 0
        each = [
            pl.when(pl.col(one.name)).then(getattr(one, kind)).otherwise(0).cast(pl.Int64) for one in evidence.groups
        ]
        rest = pl.when(pl.col("key")).then(0).otherwise(ordinary).cast(pl.Int64)
        owed.append(pl.max_horizontal(*each, rest).alias(f"owed_{kind}"))
    return owed


def _with_contacts(people: pl.DataFrame, contacts: pl.DataFrame | None, year: int) -> pl.DataFrame:
    if contacts is None:
        return people.with_columns(pl.lit(None, dtype=pl.Int64).alias(f"had_{kind}") for kind in KINDS)
    # Two contacts of one kind on one day are one.
    year_s = contacts.filter(pl.col("date").dt.year() == year).unique(["person_id", "date", "kind"])
    counts = year_s.group_by("person_id").agg(
        (pl.col("kind") == kind).sum().cast(pl.Int64).alias(f"had_{kind}") for kind in KINDS
    )
    return people.join(counts, on="person_id", how="left", maintain_order="left").with_columns(
        pl.col(f"had_{kind}").fill_null(0) for kind in KINDS
    )


OWED = pl.sum_horizontal(*(f"owed_{kind}" for kind in KINDS))
GOT = pl.sum_horizontal(*(pl.min_horizontal(f"owed_{kind}", f"had_{kind}") for kind in KINDS))
"""Contacts owed, and those of them that were had: more of one kind does not stand for another."""


def coverage(found: Served, evidence: Evidence) -> pl.DataFrame:
    """Count by group: people, contracted, share, the goal, and how many contracts it lacks.

    Rows are the groups that could be asked, then `key` (in any), then `all`.
    """
    people = found.people
    names = [one.name for one in evidence.groups if one.name not in found.not_asked]
    rows = []
    for name in [*names, "key", "all"]:
        here = people if name == "all" else people.filter(pl.col(name))
        goal = evidence["goal_all" if name == "all" else "goal_key"]
        signed = int(here["contracted"].sum())
        rows.append((name, here.height, signed, goal, max(0, -int(-goal * here.height // 100) - signed)))
    frame = pl.DataFrame(rows, schema=["group", "people", "contracted", "goal", "lacking"], orient="row")
    return frame.insert_column(3, _percent(frame, "contracted", "people", "share"))


def service(found: Served, names: Sequence[str]) -> pl.DataFrame | None:
    """Count by group the contracted who were served fully, partly and not at all; None where no contacts are known.

    `not_served` are those who signed, are owed something, and had no contact of the kinds owed to them.
    """
    if not found.contacts_known:
        return None
    signed = found.people.filter(pl.col("contracted") & (OWED > 0))
    rows = []
    for name in [*names, "key", "all"]:
        here = signed if name == "all" else signed.filter(pl.col(name))
        owed, got = (here.select(one.alias("x"))["x"] for one in (OWED, GOT))
        fully, none = int((got >= owed).sum()), int((got == 0).sum())
        rows.append((name, here.height, fully, here.height - fully - none, none, int(owed.sum()), int(got.sum())))
    heads = ["group", "contracted", "fully", "partly", "not_served", "owed", "had"]
    frame = pl.DataFrame(rows, schema=heads, orient="row")
    return frame.with_columns(_percent(frame, "not_served", "contracted", "not_served_share"))


def _percent(frame: pl.DataFrame, part: str, whole: str, name: str) -> pl.Series:
    """Give a share in per cent, null of nothing."""
    share = pl.when(pl.col(whole) > 0).then(100.0 * pl.col(part) / pl.col(whole))
    return frame.select(share.alias(name)).to_series()
