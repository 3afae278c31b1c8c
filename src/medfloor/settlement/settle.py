"""Settle claims through every tier: the public functions of the room.

`settle` takes tables (paths or Polars frames in the columns of the data contract) and gives settlements, refusals, and
on request trace and closing accumulators. Its output is sorted by unit, benefit year and order of settlement, so that
shuffled input gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from medfloor.errors import MissingValueError
from medfloor.intake import Claims, People, Scan, Spells, read_claims, read_people, read_spells, sum_fen, yuan_of
from medfloor.policy.load import PolicySet, groups_of, load_policy
from medfloor.settlement.balance import (
    Accumulators,
    counter_columns,
    from_table,
    numbered_on,
    read_accumulators,
    with_claims_counted,
)
from medfloor.settlement.batch import Law, prepare
from medfloor.settlement.engines import Engine, run
from medfloor.settlement.results import in_yuan, money_columns, national_table, settlement_table
from medfloor.settlement.reversal import Worlds, replay
from medfloor.settlement.trace import trace_table
from medfloor.tables import WITHIN

Table = str | Path | pl.DataFrame


@dataclass(frozen=True)
class Settlements:
    """Be the result of a settlement.

    `fen` has one row a settled row of claims, money as Int64 in columns that end in _fen. `national_fen` has the same
    under the national platform's names, where it was asked for. `rejected` has the refused rows as they came, with
    reason and detail. `closing`, `trace` and `differences` are None where they were not asked for (trace, closing) or
    nothing was taken back (differences). `reversals` counts the rows that take back; `rejected_rows` are the places of
    the refused rows in the input. Money totals are in fen. `unpublished` is the first number that a claim needed and
    that was never published; `pays` says whether any claim met a tier that pays by known numbers.
    """

    fen: pl.DataFrame
    national_fen: pl.DataFrame | None
    rejected: pl.DataFrame
    rejected_rows: pl.Series
    tiers: tuple[str, ...]
    trace: pl.DataFrame | None
    closing: pl.DataFrame | None
    differences: pl.DataFrame | None
    reversals: int
    rows_in: int
    money_in_fen: int
    money_rejected_fen: int
    carried: tuple[str, ...]
    national: bool
    decimal_money: bool
    law: Law
    unpublished: MissingValueError | None
    pays: bool

    @property
    def settlements(self) -> pl.DataFrame:
        """Give the settlements in the contract's columns, yuan as Float64 (exact to the fen below 9 trillion)."""
        return in_yuan(self.fen, money_columns(self.tiers))

    @property
    def closing_yuan(self) -> pl.DataFrame | None:
        """Give the closing accumulators in file form, yuan."""
        if self.closing is None:
            return None
        money = [name for name, is_money in counter_columns(self.law.layout) if is_money]
        unset = [n for n, start in zip(self.law.layout.names, self.law.layout.initial, strict=True) if start < 0]
        frame = self.closing.with_columns(pl.when(pl.col(n) >= 0).then(pl.col(n)).alias(n) for n in unset)
        return frame.with_columns(yuan_of(pl.col(name)).alias(name) for name in money)

    @property
    def paid_fen(self) -> dict[str, int]:
        """Give what each tier paid in all."""
        return {tier: sum_fen(self.fen[f"pay_{tier}_fen"]) for tier in self.tiers}


def settle(
    claims: Table | Scan | Claims,
    people: Table | People,
    spells: Table | Spells | None = None,
    policy: str | PolicySet | Law = "cn/beijing",
    *,
    reforms: Sequence[str | Path] = (),
    engine: Engine = "auto",
    opening: Table | Accumulators | None = None,
    closing: bool = False,
    trace: bool = False,
    columns: Literal["ours", "national"] = "ours",
    threads: int | None = None,
    elsewhere: pl.DataFrame | None = None,
) -> Settlements:
    """Settle claims under a policy.

    Tables are file paths or frames in the contract's columns (ours or the national platform's), money in yuan.
    `opening` holds accumulators that an earlier run closed with. Rows that cannot be settled are in `rejected`, never
    lost. `elsewhere` says that `claims` are a part of a file, and lists the claims of its other parts that are named
    here (claim_id, person_id); a part raises no MissingValueError (see `Settlements.unpublished`).

    Raises InputError for a table that cannot be used at all, PolicyError for a policy that cannot be loaded, and
    MissingValueError for one whose numbers were not published.

    >>> import polars as pl
    >>> claims = pl.DataFrame({"claim_id": ["c1"], "person_id": ["p1"], "care_type": ["inpatient"],
    ...     "start_date": ["2024-03-01"], "end_date": ["2024-03-10"], "facility_level": ["3"],
    ...     "total": [150000], "off_catalogue": [20000], "in_scope": [130000]})
    >>> settle(claims, pl.DataFrame({"person_id": ["p1"]}), policy="cn/beijing").settlements["pay_basic"].item()
    96525.0
    """
    law = law_of(policy, reforms)
    claims, people, spells = read_all(claims, people, spells, law.policies)
    opened = opening_of(opening, law)
    accepted = [claims.accepted]
    claims = replace(claims, accepted=claims.accepted.select("row", "total_fen"))  # all that refusing needs
    batch, reversals, refusals = prepare(law, accepted, people, spells, opened, elsewhere)
    threads = threads or processors()
    worlds = replay(batch, reversals, engine, opened)
    survivors = worlds.survivors if worlds else batch
    if worlds and closing:
        opened = worlds.years_opened(opened, law.layout)
    outcome = run(survivors, engine, opening=opened, trace=trace, closing=closing, threads=threads)
    fen = settlement_table(survivors, outcome)
    if worlds:
        fen = _with_reversals(fen, worlds)
    if opened is not None:
        fen = numbered_on(fen, opened)
    closed = outcome.closing
    if closed is not None:
        closed = with_claims_counted(closed, survivors.frame.select("person_id", pl.col("_year").alias("benefit_year")))
    sifted = claims.refuse(refusals.rows)  # with the rows refused by intake, in the order of the input
    return Settlements(
        fen=fen.drop(WITHIN, strict=False),
        national_fen=national_table(fen, law.layout.tiers) if columns == "national" else None,
        rejected=sifted.rejected,
        rejected_rows=sifted.rejected_rows,
        tiers=law.layout.tiers,
        trace=trace_table(survivors, outcome) if trace else None,
        closing=closed,
        differences=worlds.differences(fen) if worlds else None,
        reversals=worlds.reversals.height if worlds else 0,
        rows_in=claims.rows_in,
        money_in_fen=claims.money_in_fen,
        money_rejected_fen=sifted.money_rejected_fen,
        carried=tuple(claims.carried),
        national=claims.national,
        decimal_money=claims.decimal_money,
        law=law,
        unpublished=refusals.unpublished,
        pays=batch.pays,
    )


def processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def law_of(policy: str | PolicySet | Law, reforms: Sequence[str | Path] = ()) -> Law:
    """Load a policy and make it ready, unless it is."""
    if isinstance(policy, Law):
        return policy
    return Law.of(load_policy(policy, reforms) if isinstance(policy, str) else policy)


def read_all(
    claims: Table | Scan | Claims, people: Table | People, spells: Table | Spells | None, policies: PolicySet
) -> tuple[Claims, People, Spells]:
    """Read the three tables with the codes and groups that the policy knows."""
    codes = policies.versions[-1].codes
    if not isinstance(claims, Claims):
        claims = read_claims(claims, med_type=codes.med_type, hosp_lv=codes.hosp_lv)
    if not isinstance(people, People):
        people = read_people(people)
    if not isinstance(spells, Spells):
        spells = read_spells(spells, known_groups=groups_of(policies))
    return claims, people, spells


def opening_of(opening: Table | Accumulators | None, law: Law) -> pl.DataFrame | None:
    """Read opening accumulators into inside form, unless they are."""
    if opening is None:
        return None
    if isinstance(opening, Accumulators):
        return opening.frame
    if isinstance(opening, pl.DataFrame):
        return from_table(opening, law.layout, "the opening accumulators")
    return read_accumulators(opening, law.layout)


def _with_reversals(fen: pl.DataFrame, worlds: Worlds) -> pl.DataFrame:
    """Add the claims that were taken back and the rows that take them back, and number all anew."""
    extra = worlds.taken_back()
    fen = pl.concat([fen, extra.select(fen.columns)], how="vertical")
    fen = fen.sort("_unit", "benefit_year", "settled_date", "_start", "claim_id")
    order = pl.int_range(1, pl.len() + 1).over("person_id", "benefit_year").cast(pl.Int32)
    return fen.with_columns(order.alias("sequence"))
