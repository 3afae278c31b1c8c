"""Settle files: whole, or in person partitions where a limit of memory asks for it. The results are the same bytes.

Partitions are ranges of units in their order (person_id, or household_id), so their outputs, put one behind the other,
are in the order in which a whole run writes them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from medfloor.intake import People, Spells, TableWriter, check_outputs, read_people, read_spells, read_table, scan_table
from medfloor.policy.load import groups_of
from medfloor.settlement.balance import Accumulators, to_file_form
from medfloor.settlement.batch import Law
from medfloor.settlement.engines import Engine
from medfloor.settlement.reversal import differences_between
from medfloor.settlement.settle import Settlements, law_of, opening_of, settle

BYTES_A_CLAIM = 700
"""What one claim takes in memory at the peak of a run, with all checks (measured, with room to spare)."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Files:
    """Be the files of a run: what is read, and what is written (None = not asked for)."""

    claims: str
    people: str
    spells: str | None = None
    opening: str | None = None
    previous: str | None = None
    out: str = "settlements.csv"
    rejects: str | None = None
    trace: str | None = None
    closing: str | None = None
    differences: str | None = None

    @property
    def inputs(self) -> list[str]:
        """List the files that are read."""
        return [f for f in (self.claims, self.people, self.spells, self.opening, self.previous) if f]

    @property
    def outputs(self) -> list[str]:
        """List the files that are written."""
        return [f for f in (self.out, self.rejects, self.trace, self.closing, self.differences) if f]


@dataclass
class Tally:
    """Count a run: rows and money in and out, in fen. Rows in = settled + rejected, and so is the money."""

    rows_in: int = 0
    settled: int = 0
    rejected: int = 0
    reversals: int = 0
    money_in_fen: int = 0
    money_settled_fen: int = 0
    money_rejected_fen: int = 0
    money_taken_back_fen: int = 0
    paid_fen: dict[str, int] = field(default_factory=dict)
    own_fen: int = 0
    differences: int = 0
    owed_fen: int = 0
    owes_fen: int = 0
    partitions: int = 1
    reasons: dict[str, int] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)

    def add(self, part: Settlements) -> None:
        """Count a part of the run."""
        total = part.fen["total_fen"]
        self.rows_in += part.rows_in
        self.settled += part.fen.height
        self.rejected += part.rejected.height
        self.reversals += int((total < 0).sum())
        self.money_in_fen += part.money_in_fen
        self.money_settled_fen += int(total.filter(total >= 0).sum())
        self.money_rejected_fen += part.money_rejected_fen
        self.money_taken_back_fen -= int(total.filter(total < 0).sum())
        self.own_fen += int(part.fen["own_total_fen"].sum())
        for tier, paid in part.paid_fen.items():
            self.paid_fen[tier] = self.paid_fen.get(tier, 0) + paid
        for reason, count in part.rejected["reason"].value_counts().iter_rows():
            self.reasons[reason] = self.reasons.get(reason, 0) + count


def settle_files(
    files: Files,
    policy: str,
    *,
    reforms: Sequence[str] = (),
    columns: Literal["ours", "national"] = "ours",
    engine: Engine = "auto",
    limit_memory: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Settle a file of claims into files, whole or not at all.

    `limit_memory` (bytes) makes partitions so small that a run stays below it, as far as the file of people allows.
    `progress` is told (partitions done, partitions). Rejects are written where a row was refused, beside the output
    where no place was named; differences where something was taken back or changed since `previous`.

    Raises InputError, PolicyError, OutputError; what stood in the output files before then still stands.
    """
    law = law_of(policy, reforms)
    named = files
    files = replace(
        files,
        rejects=files.rejects or _beside(files.out, "rejects"),
        differences=files.differences or _beside(files.out, "differences"),
    )
    check_outputs(files.outputs, files.inputs)
    people = read_people(files.people)
    spells = read_spells(files.spells, known_groups=groups_of(law.policies))
    opening = opening_of(files.opening, law)
    previous = _previous(files.previous)
    tally = Tally()
    rejects: list[pl.DataFrame] = []
    differences: list[pl.DataFrame] = []
    with ExitStack() as stack:
        parts = _parts(files, law, people, spells, opening, limit_memory, stack)
        tally.partitions = len(parts)
        writers = _Writers(files, law, columns, stack)
        for number, part in enumerate(parts):
            claims, people_here, spells_here, opening_here = part()
            opened = None if opening_here is None else Accumulators(opening_here)
            settled = settle(
                claims, people_here, spells_here, law, engine=engine, opening=opened, columns=columns,
                closing=files.closing is not None, trace=files.trace is not None, threads=threads,
            )  # fmt: skip
            tally.add(settled)
            writers.write(settled)
            rejects.append(settled.rejected)
            differences.append(_differences(settled, previous))
            if progress:
                progress(number + 1, len(parts))
        _finish(files, named, tally, writers, rejects, differences, len(parts) > 1, stack)
    return tally


def _beside(out: str, word: str) -> str:
    path = Path(out)
    return str(path.with_name(f"{path.stem}.{word}{path.suffix}"))


def _previous(path: str | None) -> pl.DataFrame | None:
    """Read earlier settlements, payments as fen."""
    if path is None:
        return None
    table = read_table(path, "settlements")
    pays = [name for name in table.columns if name.startswith("pay_")]
    fen = [
        (pl.col(name).cast(pl.Decimal(20, 2)) * 100).cast(pl.Int64).alias(f"{name}_fen")
        if table.schema[name] == pl.String or table.schema[name].is_decimal()
        else (pl.col(name) * 100).round().cast(pl.Int64).alias(f"{name}_fen")
        for name in pays
    ]
    return table.select("claim_id", *fen)


def _differences(settled: Settlements, previous: pl.DataFrame | None) -> pl.DataFrame:
    found = [settled.differences] if settled.differences is not None else []
    if previous is not None:
        found = [differences_between(previous, settled.fen.filter(pl.col("total_fen") >= 0))]
    return found[0] if found else pl.DataFrame()


class _Writers:
    """Hold the output files of a run open until all of it is written."""

    def __init__(self, files: Files, law: Law, columns: str, stack: ExitStack) -> None:
        self._law = law
        self._columns = columns
        self._stack = stack
        self._files = files
        self._open: dict[str, TableWriter] = {}
        self.closing: list[pl.DataFrame] = []

    def write(self, settled: Settlements) -> None:
        """Append one part."""
        decimal = settled.decimal_money
        table = settled.national_fen if self._columns == "national" else settled.fen
        assert table is not None
        self._append(self._files.out, table, None, decimal)
        if self._files.trace and settled.trace is not None:
            self._append(self._files.trace, settled.trace, None, decimal)
        if self._files.closing and settled.closing is not None:
            self.closing.append(settled.closing)

    def end(self, decimal: bool) -> None:
        """Write the closing accumulators, sorted by person and year."""
        if self._files.closing and self.closing:
            frame = pl.concat(self.closing).sort("person_id", "benefit_year")
            shown, money = to_file_form(frame, self._law.layout)
            self._append(self._files.closing, shown, [f"{name}_fen" for name in money], decimal)

    def _append(self, path: str, frame: pl.DataFrame, money: list[str] | None, decimal: bool) -> None:
        if path not in self._open:
            writer = TableWriter(path, money_columns=money, decimal=decimal)
            self._open[path] = self._stack.enter_context(writer)
        self._open[path].append(frame)


def _finish(
    files: Files,
    named: Files,
    tally: Tally,
    writers: _Writers,
    rejects: list[pl.DataFrame],
    differences: list[pl.DataFrame],
    partitioned: bool,
    stack: ExitStack,
) -> None:
    """Write what is known only at the end, and name every file that was written."""
    writers.end(False)
    tally.files = [("settlements", files.out)]
    refused = pl.concat(rejects) if rejects else pl.DataFrame()
    if partitioned and ROW in refused.columns:
        refused = refused.sort(ROW).drop(ROW)
    if refused.height or named.rejects:
        assert files.rejects is not None
        stack.enter_context(TableWriter(files.rejects, money_columns=[])).append(refused)
        tally.files.append(("rejects", files.rejects))
    changed = [frame for frame in differences if frame.height]
    if changed or named.differences:
        found = pl.concat(changed) if changed else differences_between(_NOTHING, _NOTHING)
        assert files.differences is not None
        stack.enter_context(TableWriter(files.differences)).append(found)
        tally.files.append(("differences", files.differences))
        whole = found.filter(pl.col("tier") == "total")["difference_fen"]
        tally.differences = whole.len()
        tally.owed_fen = int(whole.filter(whole > 0).sum())
        tally.owes_fen = -int(whole.filter(whole < 0).sum())
    for name in ("trace", "closing"):
        path = getattr(files, name)
        if path:
            tally.files.append((name, path))


_NOTHING = pl.DataFrame(
    schema={
        "claim_id": pl.String, "person_id": pl.String, "benefit_year": pl.Int32, "settled_date": pl.Date,
        "pay_total_fen": pl.Int64,
    }
)  # fmt: skip

ROW = "__row"
Part = Callable[[], tuple[Any, People, Spells, pl.DataFrame | None]]


def _parts(
    files: Files,
    law: Law,
    people: People,
    spells: Spells,
    opening: pl.DataFrame | None,
    limit: int | None,
    stack: ExitStack,
) -> list[Part]:
    """Give the parts of a run: one where all fits, else one a range of units."""
    count = 1
    if limit is not None:
        rows = int(scan_table(files.claims, "claims").frame.select(pl.len()).collect().item())
        room = max(limit - int(people.accepted.estimated_size()) * 3, limit // 4)
        count = max(1, -(-rows * BYTES_A_CLAIM // room))
    if count == 1:
        return [lambda: (files.claims, people, spells, opening)]
    unit = "household_id" if law.layout.household else "person_id"
    units = people.accepted.select("person_id", pl.col(unit).alias("__unit")).unique("person_id")
    order = units["__unit"].sort()
    bounds = list(dict.fromkeys(order[len(order) * k // count] for k in range(1, count))) if len(order) else []
    folder = tempfile.mkdtemp(prefix=".medfloor-", dir=os.path.dirname(os.path.abspath(files.out)))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    _partition(files.claims, units, bounds, law.layout.household, folder)

    def ids(k: int) -> pl.Series:
        here = _part_of(pl.col("__unit"), bounds) == k
        return units.filter(here)["person_id"]

    def part(k: int) -> Part:
        def load() -> tuple[Any, People, Spells, pl.DataFrame | None]:
            here = ids(k).implode()
            claims = pl.read_parquet(f"{folder}/{k}.parquet")
            return (
                claims,
                replace(people, accepted=people.accepted.filter(pl.col("person_id").is_in(here))),
                replace(spells, accepted=spells.accepted.filter(pl.col("person_id").is_in(here))),
                _opening_here(opening, here, k, units),
            )

        return load

    return [part(k) for k in range(len(bounds) + 1)]


def _opening_here(opening: pl.DataFrame | None, here: pl.Series, k: int, units: pl.DataFrame) -> pl.DataFrame | None:
    """Give the opening of a part; people that nobody knows go with the first."""
    if opening is None:
        return None
    mine = pl.col("person_id").is_in(here)
    if k == 0:
        mine = mine | ~pl.col("person_id").is_in(units["person_id"].implode())
    return opening.filter(mine)


def _part_of(unit: pl.Expr, bounds: Sequence[str]) -> pl.Expr:
    """Number the range that a unit lies in; units that nobody knows lie in the first."""
    number = pl.lit(0, dtype=pl.Int32)
    for bound in bounds:
        number = number + (unit >= bound).fill_null(False).cast(pl.Int32)
    return number


def _partition(claims: str, units: pl.DataFrame, bounds: Sequence[str], household: bool, folder: str) -> None:
    """Write the claims file as one Parquet file a range, in batches, each row with its place in the input.

    Rows that share a claim_id go together, wherever their people are, so that duplicates are seen.
    """
    scan = scan_table(claims, "claims")
    names = scan.names
    person = next((name for name in names if name.strip().lower() in ("person_id", "psn_no")), None)
    claim = next((name for name in names if name.strip().lower() in ("claim_id", "mdtrt_id")), None)
    frame = scan.frame.with_row_index(ROW)
    if person is None or claim is None:
        number = pl.lit(0, dtype=pl.Int32)
    else:
        key = pl.col(person).cast(pl.String).str.strip_chars()
        if household:
            frame = frame.with_columns(key.alias("__person")).join(
                units.lazy(), left_on="__person", right_on="person_id", how="left"
            )
            number = _part_of(pl.col("__unit"), bounds)
        else:
            number = _part_of(key, bounds)
        hashes = scan.frame.select(pl.col(claim).hash()).collect(engine="streaming").to_series()
        twice = hashes.filter(hashes.is_duplicated()).unique()
        if len(twice):
            number = pl.when(pl.col(claim).hash().is_in(twice.implode())).then(0).otherwise(number)
    frame = frame.with_columns(number.alias("__part"))
    for k in range(len(bounds) + 1):
        mine = frame.filter(pl.col("__part") == k).select(*names, ROW)
        mine.sink_parquet(f"{folder}/{k}.parquet", maintain_order=True)
