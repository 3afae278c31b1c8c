"""Settle files: whole, or in parts by person where a limit of memory asks for it. The results are the same bytes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import polars as pl

from medfloor.errors import InputError, MissingValueError
from medfloor.intake import (
    People,
    Spells,
    TableWriter,
    check_outputs,
    collect,
    read_keys,
    read_people,
    read_spells,
    read_table,
)
from medfloor.money import MAX_FEN
from medfloor.policy.load import PolicySet, groups_of
from medfloor.settlement.balance import Accumulators, to_file_form
from medfloor.settlement.batch import Law
from medfloor.settlement.engines import Engine
from medfloor.settlement.partition import ROW, Part, count_parts, cut
from medfloor.settlement.results import NATIONAL_MONEY, money_columns
from medfloor.settlement.reversal import DIFFERENCES_ORDER, differences_between
from medfloor.settlement.settle import Settlements, law_of, opening_of, settle

BYTES_A_CLAIM = 500
"""What one claim takes in memory at the peak of a run, with all checks, beside its row as it came (measured)."""

BYTES_A_TRACED_TIER = 350
"""What each tier of the trace of a claim adds to it (measured)."""

BYTES_A_CLOSED_CLAIM = 150
"""What closing accumulators add to it (measured, with five claims a person-year)."""

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
        taken_back = _sum(total.filter(total < 0))
        self.rows_in += part.rows_in
        self.settled += part.fen.height
        self.rejected += part.rejected.height
        self.reversals += part.reversals
        self.money_in_fen += part.money_in_fen
        self.money_settled_fen += _sum(total) - taken_back
        self.money_rejected_fen += part.money_rejected_fen
        self.money_taken_back_fen -= taken_back
        self.own_fen += _sum(part.fen["own_total_fen"])
        for tier, paid in part.paid_fen.items():
            self.paid_fen[tier] = self.paid_fen.get(tier, 0) + paid
        for reason, count in part.rejected["reason"].value_counts().iter_rows():
            self.reasons[reason] = self.reasons.get(reason, 0) + count


def _sum(amounts_fen: pl.Series) -> int:
    """Add without overflow: a few thousand rows of the largest amount leave 64 bits."""
    return int(amounts_fen.cast(pl.Int128).sum() or 0)


def settle_files(
    files: Files,
    policy: str | PolicySet | Law,
    *,
    reforms: Sequence[str] = (),
    columns: Literal["ours", "national"] = "ours",
    engine: Engine = "auto",
    limit_memory: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Settle a file of claims into files, whole or not at all.

    `limit_memory` (bytes) makes parts so small that a run stays below it, as far as the file of people allows.
    `progress` is told (parts done, parts). Rejects are written where a row was refused, beside the output where no
    place was named; differences where something was taken back or changed since `previous`. Where such a file of an
    earlier run stands beside the output, it is written anew, be it without rows.

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
    previous = None if files.previous is None else _previous(files.previous, law)
    tally = Tally()
    with ExitStack() as stack:
        folder, tally.partitions, parts = _parts(files, law, people, spells, opening, limit_memory, stack)
        writers = _Writers(files, law, columns, folder, stack)
        unpublished: MissingValueError | None = None
        pays = False
        for number, part in enumerate(parts):
            settled = settle(
                part.claims, part.people, part.spells, law,
                engine=engine, opening=None if part.opening is None else Accumulators(part.opening), columns=columns,
                closing=files.closing is not None, trace=files.trace is not None, threads=threads,
                elsewhere=part.elsewhere,
            )  # fmt: skip
            unpublished, pays = unpublished or settled.unpublished, pays or settled.pays
            tally.add(settled)
            writers.write(settled, _differences(settled, previous))
            if progress:
                progress(number + 1, tally.partitions)
            del settled, part  # before the next part is read
        if unpublished is not None and not pays:
            raise unpublished
        writers.end(named, tally)
    return tally


def _beside(out: str, word: str) -> str:
    path = Path(out)
    return str(path.with_name(f"{path.stem}.{word}{path.suffix}"))


def _previous(path: str, law: Law) -> pl.DataFrame:
    """Read earlier settlements: claim_id and the payments of the law's tiers, as fen.

    Raises InputError missing_column, bad_amount, duplicate_claim_id.
    """
    table = read_table(path, "settlements")
    for name in ("claim_id", "pay_total"):
        if name not in table.columns:
            raise InputError(
                "missing_column",
                f"{path} has no column {name}; --previous takes settlements as `settle` writes them with our columns",
            )
    fen = []
    for name in (*(f"pay_{tier}" for tier in law.layout.tiers), "pay_total"):
        if name not in table.columns:
            continue
        given = table[name]
        text = given.cast(pl.String).str.strip_chars()
        exact = given * 100 if given.dtype.is_float() else text.cast(pl.Decimal(38, 6), strict=False) * 100
        whole = exact.round().cast(pl.Int64, strict=False)
        # The double nearest to an amount differs from it by less than a thousandth of a fen up to the largest amount.
        good = ((exact - whole).abs() <= 1e-3 if given.dtype.is_float() else exact == whole) & (whole.abs() <= MAX_FEN)
        bad = text.filter(~good.fill_null(False))
        if bad.len():
            raise InputError("bad_amount", f"{path}: {name} holds {bad[0]!r}, which `settle` does not write")
        fen.append(whole.alias(f"{name}_fen"))
    found = pl.DataFrame([table["claim_id"].cast(pl.String), *fen])
    if found["claim_id"].is_duplicated().any():
        raise InputError("duplicate_claim_id", f"{path} has two rows of the same claim_id; name one run's settlements")
    return found


def _differences(settled: Settlements, previous: pl.DataFrame | None) -> pl.DataFrame | None:
    """Give what changed against an earlier run, or by what was taken back; None where nothing can have changed."""
    if previous is None:
        return settled.differences
    return differences_between(previous, settled.fen.filter(pl.col("total_fen") >= 0))


def _parts(
    files: Files,
    law: Law,
    people: People,
    spells: Spells,
    opening: pl.DataFrame | None,
    limit: int | None,
    stack: ExitStack,
) -> tuple[str | None, int, Iterator[Part]]:
    """Give the parts of a run: one where all fits, else one a range of units and the folder that holds them."""
    whole = iter([Part(files.claims, people, spells, opening, None)])
    if limit is None:
        return None, 1, whole
    codes = law.policies.versions[-1].codes
    keys = read_keys(files.claims, med_type=codes.med_type, hosp_lv=codes.hosp_lv)
    rows = int(collect(keys.scan, keys.scan.frame.select(pl.len())).item())
    held = sum(int(t.estimated_size()) for t in (people.accepted, spells.accepted, opening) if t is not None)
    a_row = BYTES_A_CLAIM + BYTES_A_CLOSED_CLAIM * bool(files.closing)
    a_row += BYTES_A_TRACED_TIER * len(law.layout.tiers) * bool(files.trace)
    count = count_parts(keys, rows, a_row, limit, 3 * held)
    if count == 1:
        return None, 1, whole
    folder = tempfile.mkdtemp(prefix=".medfloor-", dir=os.path.dirname(os.path.abspath(files.out)))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    sizes = {"rows": rows, "count": count, "limit": limit}
    return folder, *cut(keys, law, people, spells, opening, folder=Path(folder), **sizes)


class _Writers:
    """Hold the output files of a run open until all of it is written."""

    def __init__(self, files: Files, law: Law, columns: str, folder: str | None, stack: ExitStack) -> None:
        self._law = law
        self._national = columns == "national"
        self._stack = stack
        self._files = files
        self._open: dict[str, TableWriter] = {}
        self._closing: list[pl.DataFrame] = []
        self._differences: list[pl.DataFrame] = []
        self._rejects = _Rejects(folder)

    def write(self, settled: Settlements, differences: pl.DataFrame | None) -> None:
        """Append one part."""
        decimal = settled.decimal_money
        if self._national:
            assert settled.national_fen is not None
            self._append(self._files.out, settled.national_fen, NATIONAL_MONEY, decimal)
        else:
            self._append(self._files.out, settled.fen, money_columns(settled.tiers), decimal)
        if self._files.trace and settled.trace is not None:
            self._append(self._files.trace, settled.trace, None, decimal)
        if self._files.closing and settled.closing is not None:
            self._closing.append(settled.closing)
            if not self._law.layout.household:  # parts are ranges of persons, so they close in order
                self._close()
        if differences is not None:
            self._differences.append(differences)
        self._rejects.keep(settled.rejected)

    def end(self, named: Files, tally: Tally) -> None:
        """Write what is known only at the end, and name every file that was written."""
        files = self._files
        assert files.rejects is not None
        assert files.differences is not None
        tally.files = [("settlements", files.out)]
        if self._closing:
            self._close()
        if tally.rejected or named.rejects or Path(files.rejects).exists():
            for frame in self._rejects.in_order(tally.rows_in):
                self._append(files.rejects, frame, ())
            tally.files.append(("rejects", files.rejects))
        changed = [frame for frame in self._differences if frame.height]
        if changed or named.differences or Path(files.differences).exists():
            found = pl.concat(changed).sort(DIFFERENCES_ORDER) if changed else differences_between(_NOTHING, _NOTHING)
            self._append(files.differences, found, None)
            tally.files.append(("differences", files.differences))
            whole = found.filter(pl.col("tier") == "total")["difference_fen"]
            tally.differences = whole.len()
            tally.owed_fen = _sum(whole.filter(whole > 0))
            tally.owes_fen = -_sum(whole.filter(whole < 0))
        tally.files += [(name, path) for name in ("trace", "closing") if (path := getattr(files, name))]
        # All are whole on the disk before the first takes the place of an old one.
        for writer in self._open.values():
            writer.finish()

    def _close(self) -> None:
        """Write closing accumulators, sorted by person and year."""
        assert self._files.closing is not None
        frame = pl.concat(self._closing).sort("person_id", "benefit_year")
        self._closing.clear()
        shown, money = to_file_form(frame, self._law.layout)
        self._append(self._files.closing, shown, [f"{name}_fen" for name in money])

    def _append(self, path: str, frame: pl.DataFrame, money: Sequence[str] | None, decimal: bool = False) -> None:
        if path not in self._open:
            self._open[path] = TableWriter(path, money_columns=money, decimal=decimal)
            self._stack.push(self._open[path])  # before its file is made, so that no interruption comes between
            self._open[path].__enter__()
        self._open[path].append(frame)


class _Rejects:
    """Keep the refused rows of a run; those of parts on the disk, because they may be most of the file."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._whole = pl.DataFrame()
        self._paths: list[str] = []

    def keep(self, rejected: pl.DataFrame) -> None:
        """Keep the refused rows of one part."""
        if self._folder is None:
            self._whole = rejected
            return
        self._whole = rejected.clear().drop(ROW)
        if rejected.height:
            self._paths.append(f"{self._folder}/rejects-{len(self._paths)}.parquet")
            rejected.write_parquet(self._paths[-1])

    def in_order(self, rows_in: int) -> Iterator[pl.DataFrame]:
        """Give the refused rows as they came, in the order of the input, in pieces; the first may have no rows."""
        yield self._whole
        if not self._paths:
            return
        kept = pl.scan_parquet(self._paths, glob=False)
        for first in range(0, rows_in, PIECE):
            piece = kept.filter(pl.col(ROW).is_between(first, first + PIECE - 1)).collect()
            if piece.height:
                yield piece.sort(ROW).drop(ROW)


PIECE = 1_000_000
"""How many rows of the input are looked at together when refused rows are put in order."""


_NOTHING = pl.DataFrame(
    schema={
        "claim_id": pl.String, "person_id": pl.String, "benefit_year": pl.Int32, "settled_date": pl.Date,
        "pay_total_fen": pl.Int64,
    }
)  # fmt: skip
