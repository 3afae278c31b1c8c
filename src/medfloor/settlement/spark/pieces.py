"""Settle the rows of a task piece by piece: whole units at a time, in bounded memory, into part files.

Spark hands a task its rows in batches that end anywhere, also in the middle of a household's year. The last unit of
what has come is therefore held back until the next one begins; a unit is never settled in two halves.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from medfloor.errors import MedfloorError
from medfloor.intake import TableWriter, partition_path, read_people, read_spells
from medfloor.policy.load import groups_of
from medfloor.settlement.balance import Accumulators, from_table, to_file_form
from medfloor.settlement.batch import Law
from medfloor.settlement.chunks import Tally, differences_of
from medfloor.settlement.results import NATIONAL_MONEY, money_columns
from medfloor.settlement.settle import Settlements, settle
from medfloor.settlement.spark.blocks import Ranges
from medfloor.settlement.spark.inputs import KINDS, ROW, Shape, as_came
from medfloor.settlement.spark.session import carried_home

PIECE = 100_000
"""How many rows are settled together: some 100 MB in the executor's Python with all that can be asked for."""

NOTHING_ELSEWHERE = pl.DataFrame(schema={"claim_id": pl.String, "person_id": pl.String})


@dataclass(frozen=True)
class Output:
    """Be where the parts of one table go, whether amounts are decimals, and whether parts lie by place and month."""

    folder: str
    decimal: bool
    partitioned: bool = False


@dataclass(frozen=True)
class Job:
    """Be all that an executor needs to know about a run."""

    law: Law
    claims: Shape
    people: Shape
    spells: Shape | None
    opening: Shape | None
    columns: Literal["ours", "national"]
    outputs: dict[str, Output]
    compares: bool
    piece: int = PIECE


@dataclass
class Done:
    """Be what one task has done: its part files (path -> rows) by table, what it counted, and what the law lacked."""

    partition: int
    files: dict[str, dict[str, int]] = field(default_factory=dict)
    tally: dict[str, Any] = field(default_factory=dict)
    unpublished: str | None = None
    pays: bool = False


def whole_units(batches: Iterator[Any], rows: int) -> Iterator[list[Any]]:
    """Put Arrow batches, sorted by their column `unit`, together to pieces of at least `rows` rows and whole units.

    >>> import pyarrow as pa
    >>> batches = [pa.RecordBatch.from_pydict({"unit": list(text)}) for text in ("aab", "bb", "bcd")]
    >>> ["".join(v for b in piece for v in b["unit"].to_pylist()) for piece in whole_units(iter(batches), 3)]
    ['aabbbbc', 'd']
    """
    import numpy as np

    ready: list[Any] = []
    held: list[Any] = []  # of the last unit, which may go on
    count, last = 0, None
    for batch in batches:
        if not batch.num_rows:
            continue
        units = batch.column("unit")
        end = units[batch.num_rows - 1].as_py()
        if end == units[0].as_py():
            begins = 0
        else:
            begins = int(np.argmax(units.to_numpy(zero_copy_only=False) == end))
        if begins or end != last:
            ready += held
            held = []
            if begins:
                ready.append(batch.slice(0, begins))
        held.append(batch.slice(begins))
        last = end
        count = sum(part.num_rows for part in ready)
        if count >= rows:
            yield ready
            ready = []
    if ready or held:
        yield ready + held


def settler(job: Job) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Make the function that Spark runs over the batches of a task; it gives one row: what was done, as JSON."""

    def work(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa
        from pyspark import TaskContext

        task = TaskContext.get()
        assert task is not None
        try:
            with Parts(job, task.partitionId()) as parts:
                for piece in whole_units(batches, job.piece):
                    parts.settle(piece)
            done = json.dumps(asdict(parts.done))
        except MedfloorError as error:
            raise carried_home(error) from None
        yield pa.RecordBatch.from_pydict({"done": [done]})

    return work


def block_settler(job: Job, elsewhere: pl.DataFrame) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Make the function that Spark runs over the blocks of a task (part, kind, block); it gives what `settler` does.

    `elsewhere` are the claims that rows of other persons may name.
    """
    shapes = {"people": job.people, "spells": job.spells, "opening": job.opening, "claims": job.claims}
    given = {kind: shape for kind, shape in shapes.items() if shape is not None}

    def work(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        ranges: dict[int, Ranges] = {}
        for batch in batches:
            for part, kind, block in zip(*(batch.column(name) for name in ("part", "kind", "block")), strict=True):
                ranges.setdefault(part.as_py(), Ranges(given)).add(kind.as_py(), block.as_buffer())
        for part in sorted(ranges):
            try:
                with Parts(job, part) as parts:
                    for rows in ranges.pop(part).pieces(job.piece):
                        parts.settle_rows(rows, elsewhere)
                done = json.dumps(asdict(parts.done))
            except MedfloorError as error:
                raise carried_home(error) from None
            yield pa.RecordBatch.from_pydict({"done": [done]})

    return work


class Parts:
    """Settle the pieces of one task into part files, whose names no other attempt of the task has."""

    def __init__(self, job: Job, partition: int) -> None:
        self._job = job
        self._name = f"{partition:06d}-{secrets.token_hex(4)}.parquet"
        self._stack = ExitStack()
        self._open: dict[tuple[str, str], TableWriter] = {}
        self._tally = Tally()
        self.done = Done(partition)

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *error: Any) -> None:
        # A failed attempt leaves nothing; one that is killed leaves files that are in no list, and go at the end.
        self._stack.__exit__(*error)
        self.done.tally = asdict(self._tally)

    def settle(self, piece: Sequence[Any]) -> None:
        """Settle some whole units, which came row by row: unit, kind, ROW, and each kind of rows packed."""
        import pyarrow as pa

        job = self._job
        frame = pl.from_arrow(pa.Table.from_batches(piece))
        assert isinstance(frame, pl.DataFrame)
        kinds = {name: frame.filter(pl.col("kind") == number) for number, name in enumerate(KINDS)}
        claims = kinds["claims"]
        shapes = {"claims": job.claims, "people": job.people, "spells": job.spells, "opening": job.opening}
        rows = {
            name: as_came(kinds[name][name], shape.schema).with_columns(kinds[name][ROW])
            for name, shape in shapes.items()
            if shape is not None
        }
        elsewhere = NOTHING_ELSEWHERE
        if kinds["elsewhere"].height:
            elsewhere = kinds["elsewhere"]["elsewhere"].struct.unnest()
        previous = None
        if job.compares:
            found = claims.select(pl.col("previous")).drop_nulls()
            previous = found["previous"].struct.unnest().unique("claim_id")
        self.settle_rows(rows, elsewhere, previous)

    def settle_rows(
        self, rows: Mapping[str, pl.DataFrame], elsewhere: pl.DataFrame, previous: pl.DataFrame | None = None
    ) -> None:
        """Settle the rows of some whole units by kind, as they came and with ROW."""
        job, claims = self._job, rows["claims"]
        if not claims.height and not ("opening" in rows and rows["opening"].height):
            return
        spells = opening = None
        if job.spells is not None:
            spells = job.spells.scan(rows["spells"].drop(ROW))
        if job.opening is not None:
            opening = Accumulators(from_table(rows["opening"].drop(ROW), job.law.layout, job.opening.place))
        settled = settle(
            job.claims.scan(claims, whole=False),
            read_people(job.people.scan(rows["people"].drop(ROW))),
            read_spells(spells, known_groups=groups_of(job.law.policies)),
            job.law,
            opening=opening,
            closing="closing" in job.outputs,
            trace="trace" in job.outputs,
            columns=job.columns,
            threads=1,
            elsewhere=elsewhere,
        )
        if settled.unpublished is not None:
            self.done.unpublished = self.done.unpublished or settled.unpublished.message
        self.done.pays |= settled.pays
        self._tally.add(settled)
        self._write(settled, differences_of(settled, previous))

    def _write(self, settled: Settlements, differences: pl.DataFrame | None) -> None:
        job = self._job
        if settled.fen.height:
            self._write_settlements(settled)
        if settled.trace is not None and settled.trace.height:
            self._append("trace", settled.trace, None)
        if settled.closing is not None and settled.closing.height:
            shown, money = to_file_form(settled.closing.sort("person_id", "benefit_year"), job.law.layout)
            self._append("closing", shown, [f"{name}_fen" for name in money])
        if settled.rejected.height:
            self._append("rejects", settled.rejected, ())
        if differences is not None and differences.height:
            self._append("differences", differences, None)
            self._tally.add_differences(differences)

    def _write_settlements(self, settled: Settlements) -> None:
        job = self._job
        money: Sequence[str] = NATIONAL_MONEY if job.columns == "national" else money_columns(settled.tiers)
        frame = settled.national_fen if job.columns == "national" else settled.fen
        assert frame is not None
        if not job.outputs["out"].partitioned:
            self._append("out", frame, money)
            return
        keys = partitions_of(settled, frame)
        rest = frame.select(name for name in frame.columns if name not in keys.columns)
        apart = rest.with_columns(keys.get_columns()).partition_by(keys.columns, as_dict=True, maintain_order=True)
        for values, part in sorted(apart.items(), key=lambda item: [str(value) for value in item[0]]):
            inside = partition_path(dict(zip(keys.columns, values, strict=True)))
            self._append("out", part.drop(keys.columns), money, inside)

    def _append(self, table: str, frame: pl.DataFrame, money: Sequence[str] | None, inside: str = "") -> None:
        """Append rows to the part file of a table; it is made when its first rows come."""
        output, name = self._job.outputs[table], os.path.join(inside, self._name)
        if (table, name) not in self._open:
            path = Path(output.folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = TableWriter(path, money_columns=money, decimal=output.decimal)
            self._open[table, name] = self._stack.enter_context(writer)
        self._open[table, name].append(frame)
        files = self.done.files.setdefault(table, {})
        files[name] = files.get(name, 0) + frame.height


def partitions_of(settled: Settlements, frame: pl.DataFrame) -> pl.DataFrame:
    """Say into which partition each settlement goes: place, where claims carry one, and month.

    The month is the one that the claims carry (as those of a folder by month do), else that of settled_date.
    """
    keys = []
    if "place" in frame.columns:
        keys.append(frame["place"].cast(pl.String))
    month = settled.fen["settled_date"].dt.strftime("%Y-%m")
    if "month" in frame.columns:
        month = frame["month"].cast(pl.String)
    return pl.DataFrame([*keys, month.alias("month")])
