"""Settle files: whole, in ranges of their rows, or in parts by person where a limit of memory asks for it.

The results are the same bytes. A run that is given a folder to work in goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from medfloor.errors import InputError, MissingValueError
from medfloor.intake import (
    Claims,
    TableWriter,
    check_outputs,
    collect,
    read_claims,
    read_people,
    read_spells,
    read_table,
    scan_table,
    sum_fen,
)
from medfloor.money import MAX_FEN
from medfloor.policy.load import PolicySet, groups_of
from medfloor.settlement.balance import Accumulators, to_file_form
from medfloor.settlement.batch import Law
from medfloor.settlement.engines import Engine
from medfloor.settlement.partition import ROW, Held, Inputs, Part, Plan, Seen, count_parts, count_rows, cut, look
from medfloor.settlement.results import NATIONAL_MONEY, money_columns
from medfloor.settlement.reversal import DIFFERENCES_ORDER, differences_between
from medfloor.settlement.settle import Settlements, law_of, opening_of, settle
from medfloor.settlement.spool import Spool
from medfloor.settlement.work import Done, Work, open_work, run_of, sweep

BYTES_A_CLAIM = 750
"""What one claim takes in memory at the peak of a run, with all checks, beside its row as it came, while the next part
is read and the one before is written (measured)."""

BYTES_A_TRACED_TIER = 350
"""What each tier of the trace of a claim adds to it (measured)."""

BYTES_A_CLOSED_CLAIM = 150
"""What closing accumulators add to it (measured, with five claims a person-year)."""

BYTES_OF_PROGRAM = 400_000_000
"""What the program itself takes, with its libraries and a batch of rows that is cut (measured)."""

AT_ONCE = 2_000_000
"""So many claims of a Parquet file are settled together where no limit says otherwise. A larger one is taken in parts
of about half as many, so that one is read and another is written while a third is settled."""

Progress = Callable[[str, int, int], None]
"""What is told of a run: a stage, how much of it is done, and of how much.

`cut` counts claims, `kept` the parts that an earlier run had done, `settle` parts."""


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
    """Count a run: rows and money in and out, in fen. Rows in = settled + rejected, and so is the money.

    `partitions` counts the parts in which it was settled, `kept` those of them that an earlier run had done.
    """

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
    kept: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)

    def add(self, part: Settlements) -> None:
        """Count a part of the run."""
        total = part.fen["total_fen"]
        taken_back = sum_fen(total.filter(total < 0))
        self.rows_in += part.rows_in
        self.settled += part.fen.height
        self.rejected += part.rejected.height
        self.reversals += part.reversals
        self.money_in_fen += part.money_in_fen
        self.money_settled_fen += sum_fen(total) - taken_back
        self.money_rejected_fen += part.money_rejected_fen
        self.money_taken_back_fen -= taken_back
        self.own_fen += sum_fen(part.fen["own_total_fen"])
        for tier, paid in part.paid_fen.items():
            self.paid_fen[tier] = self.paid_fen.get(tier, 0) + paid
        for reason, count in part.rejected["reason"].value_counts().iter_rows():
            self.reasons[reason] = self.reasons.get(reason, 0) + count

    def add_differences(self, found: pl.DataFrame) -> None:
        """Count settlements that changed, from a table of differences in fen."""
        whole = found.filter(pl.col("tier") == "total")["difference_fen"]
        self.differences += whole.len()
        self.owed_fen += sum_fen(whole.filter(whole > 0))
        self.owes_fen -= sum_fen(whole.filter(whole < 0))

    def plain(self) -> dict[str, Any]:
        """Give what was counted of a part, as JSON can hold it."""
        return {name: getattr(self, name) for name in _COUNTED}

    def plus(self, part: Tally) -> None:
        """Add what was counted of another part."""
        for name in _COUNTED:
            mine, other = getattr(self, name), getattr(part, name)
            if isinstance(mine, dict):
                for key, value in other.items():
                    mine[key] = mine.get(key, 0) + value
            else:
                setattr(self, name, mine + other)


_COUNTED = (
    "rows_in", "settled", "rejected", "reversals", "money_in_fen", "money_settled_fen", "money_rejected_fen",
    "money_taken_back_fen", "paid_fen", "own_fen", "reasons", "differences", "owed_fen", "owes_fen",
)  # fmt: skip
"""What is counted part by part."""


def settle_files(
    files: Files,
    policy: str | PolicySet | Law,
    *,
    reforms: Sequence[str] = (),
    columns: Literal["ours", "national"] = "ours",
    engine: Engine = "auto",
    limit_memory: int | None = None,
    work: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Settle a file of claims into files, whole or not at all.

    `limit_memory` (bytes) makes parts so small that a run stays below it. `work` names a folder that keeps what is
    done, so that the same call goes on after it was stopped; it is taken away at the end. `progress` is told what is
    done (`Progress`). Rejects are written where a row was refused, beside the output where no place was named;
    differences where something was taken back or changed since `previous`. Where such a file of an earlier run stands
    beside the output, it is written anew, be it without rows.

    Raises InputError, PolicyError, OutputError, UsageError; what stood in the output files before then still stands.
    """
    law = law_of(policy, reforms)
    named = files
    files = replace(
        files,
        rejects=files.rejects or _beside(files.out, "rejects"),
        differences=files.differences or _beside(files.out, "differences"),
    )
    check_outputs(files.outputs, files.inputs)
    sweep(files.outputs)
    told = progress or _untold
    with ExitStack() as stack:
        run = _Run(files, law, columns, engine, threads, limit_memory)
        place, plan, parts = _parts(run, work, told, stack)
        count = plan.count
        tally = Tally(partitions=count)
        writers = _Writers(files, law, columns, place.path if place and count > 1 else None, stack)
        unpublished: MissingValueError | None = None
        pays = False
        is_kept = place.has if place is not None else _never
        for number, read in enumerate(_read_ahead(run, parts, stack, is_kept)):
            if place is not None and place.has(number):
                done = place.done(number)
                tally.kept += 1
            else:
                done = run.settle(*read())
                if place is not None:
                    place.keep(number, done)
            unpublished = unpublished or _error_of(done.counts["unpublished"])
            pays = pays or done.counts["pays"]
            tally.plus(Tally(**done.counts["tally"]))
            writers.write(done)
            told("settle", number + 1, count)
            del done, read  # before the next part is read
        if place is not None and count > 1 and tally.rows_in != plan.rows:
            if place.keeps:
                raise place.lost()
            raise InputError(
                "broken_parquet", f"{files.claims} changed while it was read. Run the same command again when it rests."
            )
        if unpublished is not None and not pays:
            raise unpublished
        writers.end(named, tally)
    if place is not None and place.keeps:
        place.remove()
    return tally


def _never(number: int) -> bool:
    """Say that no part was done before."""
    return False


def _untold(stage: str, done: int, whole: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class _Run:
    """Be what every part of a run is settled with."""

    files: Files
    law: Law
    columns: Literal["ours", "national"]
    engine: Engine
    threads: int | None
    limit: int | None

    @property
    def inputs(self) -> dict[str, str | None]:
        """Name the files that are read."""
        return {name: getattr(self.files, name) for name in ("claims", "people", "spells", "opening", "previous")}

    @property
    def options(self) -> dict[str, Any]:
        """List what the results of a part depend on, beside inputs and law."""
        asked = {"columns": self.columns, "engine": self.engine, "limit-memory": self.limit}
        return asked | {name: bool(getattr(self.files, name)) for name in ("trace", "closing")}

    def read(self, part: Part) -> tuple[Part, Claims]:
        """Read the claims of a part."""
        codes = self.law.policies.versions[-1].codes
        return part, read_claims(part.claims, med_type=codes.med_type, hosp_lv=codes.hosp_lv, distinct=part.distinct)

    def settle(self, part: Part, claims: Claims) -> Done:
        """Settle a part."""
        settled = settle(
            claims, part.people, part.spells, self.law,
            engine=self.engine, opening=None if part.opening is None else Accumulators(part.opening),
            columns=self.columns, closing=self.files.closing is not None, trace=self.files.trace is not None,
            threads=self.threads, elsewhere=part.elsewhere,
        )  # fmt: skip
        shown = settled.national_fen if self.columns == "national" else settled.fen
        frames = {"settlements": shown, "rejects": settled.rejected, "trace": settled.trace, "closing": settled.closing}
        if part.previous is not None:
            frames |= self._changed(settled, part.previous, part.elsewhere is not None)
        else:
            frames["differences"] = settled.differences
        counted = Tally()
        counted.add(settled)
        counts = {
            "tally": counted.plain(),
            "decimal": settled.decimal_money,
            "pays": settled.pays,
            "unpublished": _plain_error(settled.unpublished),
        }
        return Done({name: frame for name, frame in frames.items() if frame is not None}, counts)

    def _changed(self, settled: Settlements, before: pl.DataFrame, is_part: bool) -> dict[str, pl.DataFrame | None]:
        """Compare with earlier settlements; claims that a part of them lacks are kept, to be looked for in the rest."""
        assert self.files.previous is not None
        previous = previous_of(before, self.files.previous, self.law)
        found = {"differences": differences_of(settled, previous)}
        if is_part:
            stands = settled.fen.filter(pl.col("total_fen") >= 0)
            keys = ["claim_id", "person_id", "benefit_year", "settled_date"]
            pays = [n for n in stands.columns if n.startswith("pay_") and n.endswith("_fen")]
            found["late"] = stands.join(previous, on="claim_id", how="anti").select(*keys, *pays)
        return found


_Ready = Callable[[], tuple[Part, Claims]]


def _read_ahead(
    run: _Run, parts: Iterator[Callable[[], Part]], stack: ExitStack, is_kept: Callable[[int], bool]
) -> Iterator[_Ready]:
    """Read each part, but for those that are kept, in a thread while the one before is settled; give what waits."""
    pool = stack.enter_context(ThreadPoolExecutor(1))
    begun: _Ready | None = None
    for number, part in enumerate(parts):
        read: _Ready = lambda part=part: run.read(part())  # type: ignore[misc]  # noqa: E731
        following = read if is_kept(number) else partial(_taken, [pool.submit(read)])
        if begun is not None:
            yield begun
        begun = following
    if begun is not None:
        yield begun


def _taken(waiting: list[Future[tuple[Part, Claims]]]) -> tuple[Part, Claims]:
    """Wait for a part, and take it out, so that only who settles it holds its claims."""
    return waiting.pop().result()


def _plain_error(error: MissingValueError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {n: getattr(error, n) for n in ("code", "message", "path", "series", "year")}


def _error_of(told: dict[str, Any] | None) -> MissingValueError | None:
    if told is None:
        return None
    error = MissingValueError(told["code"], told["message"])
    error.path, error.series, error.year = told["path"], told["series"], told["year"]
    return error


def _beside(out: str, word: str) -> str:
    path = Path(out)
    return str(path.with_name(f"{path.stem}.{word}{path.suffix}"))


def previous_of(table: pl.DataFrame, path: str, law: Law) -> pl.DataFrame:
    """Read earlier settlements from a table, or from some rows of it; `path` names it in messages.

    Raises InputError missing_column, bad_amount, duplicate_claim_id.
    """
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


def differences_of(settled: Settlements, previous: pl.DataFrame | None) -> pl.DataFrame | None:
    """Give what changed against an earlier run, or by what was taken back; None where nothing can have changed."""
    if previous is None:
        return settled.differences
    return differences_between(previous, settled.fen.filter(pl.col("total_fen") >= 0))


def _parts(
    run: _Run, work: str | None, told: Progress, stack: ExitStack
) -> tuple[Work | None, Plan, Iterator[Callable[[], Part]]]:
    """Give the parts of a run: one where all fits, else one a range of units; and the folder that holds them."""
    about = run_of(run.law, run.inputs, run.options) if work else {}
    place = open_work(work, run.files.out, about, stack) if work else None
    plan = place.plan() if place is not None else None
    inputs: Inputs | None = None
    held: Held | None = {} if run.limit is None and work is None else None
    if plan is not None and place is not None:
        told("kept", sum(place.has(number) for number in range(plan.count)), plan.count)
    else:
        count, rows, inputs, seen = _count(run)
        plan = Plan(rows, 1)
        if count > 1 and inputs is not None:
            place = place or open_work(None, run.files.out, about, stack)
            plan = cut(
                inputs, seen or look(inputs), rows=rows, count=count, limit=run.limit, folder=place.path,
                told=lambda done, whole: told("cut", done, whole), held=held,
            )  # fmt: skip
        if place is not None:
            place.keep_plan(plan)
    if place is None or not plan.edges:
        return place, plan, iter([lambda: _whole(run)])
    return place, plan, plan.parts(inputs or Inputs.of(run.law, run.inputs), place.path, held)


def _whole(run: _Run) -> Part:
    """Read everything beside the claims at once."""
    files, law = run.files, run.law
    people = read_people(files.people)
    spells = read_spells(files.spells, known_groups=groups_of(law.policies))
    opening = opening_of(files.opening, law)
    previous = None if files.previous is None else read_table(files.previous, "settlements")
    return Part(files.claims, people, spells, opening, previous, None)


def _count(run: _Run) -> tuple[int, int, Inputs | None, Seen | None]:
    """Say into how many parts the files are cut, how many claims there are, and what is known of the files by then."""
    files, law = run.files, run.law
    if run.limit is None and (scan_table(files.claims, "claims").is_csv or law.layout.household):
        return 1, 0, None, None
    inputs = Inputs.of(law, run.inputs)
    rows = count_rows(inputs.claims)
    if run.limit is None:
        seen = look(inputs, stop=True) if rows > AT_ONCE else None
        return (-(-rows // (AT_ONCE // 2)) if seen else 1), rows, inputs, seen
    a_row = BYTES_A_CLAIM + BYTES_A_CLOSED_CLAIM * bool(files.closing)
    a_row += BYTES_A_TRACED_TIER * len(law.layout.tiers) * bool(files.trace)
    return count_parts(inputs.claims, rows, a_row, run.limit, BYTES_OF_PROGRAM), rows, inputs, None


class _Writers:
    """Hold the output files of a run open until all is written; `folder` holds what is put in order at the end."""

    def __init__(self, files: Files, law: Law, columns: str, folder: Path | None, stack: ExitStack) -> None:
        self._law = law
        self._money = NATIONAL_MONEY if columns == "national" else money_columns(law.layout.tiers)
        self._stack = stack
        self._files = files
        self._open: dict[str, TableWriter] = {}
        self._rejects = Spool(folder, "rejects", (ROW,))
        self._differences = Spool(folder, "differences", DIFFERENCES_ORDER)
        self._closing = Spool(folder, "closing", ("person_id", "benefit_year"))
        self._late = Spool(folder, "late", ("person_id",))

    def write(self, done: Done) -> None:
        """Append one part."""
        frames, decimal = done.frames, done.counts["decimal"]
        self._append(self._files.out, frames["settlements"], self._money, decimal)
        if self._files.trace and "trace" in frames:
            self._append(self._files.trace, frames["trace"], None, decimal)
        if self._files.closing and "closing" in frames:
            if self._law.layout.household:
                self._closing.keep(frames["closing"])
            else:  # parts are ranges of persons, so they close in order
                self._close(frames["closing"].sort("person_id", "benefit_year"))
        for name, spool in (("differences", self._differences), ("late", self._late), ("rejects", self._rejects)):
            if name in frames:
                spool.keep(frames[name])

    def end(self, named: Files, tally: Tally) -> None:
        """Write what is known only at the end, and name every file that was written."""
        files = self._files
        assert files.rejects is not None
        assert files.differences is not None
        tally.files = [("settlements", files.out)]
        if files.closing and self._law.layout.household:
            for frame in (self._closing.empty, *self._closing.in_order()):
                self._close(frame)
        if tally.rejected or named.rejects or Path(files.rejects).exists():
            self._append(files.rejects, self._rejects.empty.drop(ROW, strict=False), ())
            for frame in self._rejects.in_order():
                self._append(files.rejects, frame.drop(ROW, strict=False), ())
            tally.files.append(("rejects", files.rejects))
        for late in self._late.in_order():
            self._differences.keep(self._changed_elsewhere(late))
        if self._differences.rows or named.differences or Path(files.differences).exists():
            self._append(files.differences, differences_between(_NOTHING, _NOTHING), None)
            for found in self._differences.in_order():
                self._append(files.differences, found, None)
                tally.add_differences(found)
            tally.files.append(("differences", files.differences))
        tally.files += [(name, path) for name in ("trace", "closing") if (path := getattr(files, name))]
        # All are whole on the disk before the first takes the place of an old one.
        for writer in self._open.values():
            writer.finish()

    def _changed_elsewhere(self, late: pl.DataFrame) -> pl.DataFrame:
        """Compare claims with earlier settlements that stand under another person, or under none."""
        assert self._files.previous is not None
        scan = scan_table(self._files.previous, "settlements")
        wanted = late["claim_id"].implode()
        rows = collect(scan, scan.frame.filter(pl.col("claim_id").cast(pl.String).is_in(wanted)))
        return differences_between(previous_of(rows, self._files.previous, self._law), late)

    def _close(self, frame: pl.DataFrame) -> None:
        """Write closing accumulators."""
        assert self._files.closing is not None
        shown, money = to_file_form(frame, self._law.layout)
        self._append(self._files.closing, shown, [f"{name}_fen" for name in money])

    def _append(self, path: str, frame: pl.DataFrame, money: Sequence[str] | None, decimal: bool = False) -> None:
        if path not in self._open:
            self._open[path] = TableWriter(path, money_columns=money, decimal=decimal)
            self._stack.push(self._open[path])  # before its file is made, so that no interruption comes between
            self._open[path].__enter__()
        self._open[path].append(frame)


_NOTHING = pl.DataFrame(
    schema={
        "claim_id": pl.String, "person_id": pl.String, "benefit_year": pl.Int32, "settled_date": pl.Date,
        "pay_total_fen": pl.Int64,
    }
)  # fmt: skip
