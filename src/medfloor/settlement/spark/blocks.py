"""Let the executors read the files, cut their rows into ranges of units, and hand the ranges over in blocks.

Row by row, Spark's own way of reading, sorting and handing over to Python took far longer than settling did. Here it
carries whole blocks: some rows of one table and one range, as an Arrow stream. A task of the last stage has a range. So
it goes where a unit is a person and no earlier settlements are compared; else Spark joins rows with what they need
(`Inputs.by_unit`), and so it does where more claims occur twice or are named by others than every task can be told.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from medfloor.errors import InputError, MedfloorError, UsageError
from medfloor.intake import Scan, batches, number_of, read_claims
from medfloor.intake.cells import text_of
from medfloor.intake.layout import match_columns
from medfloor.settlement.spark.inputs import FEW, KINDS, ROW, Inputs, Shape, Stretch, Table, typed_as
from medfloor.settlement.spark.session import as_batch, carried_home
from medfloor.tables import CLAIMS, PEOPLE, SPELLS

BATCH = 250_000
"""How many rows of a file a task cuts at a time."""

BLOCK = 50_000
"""How many rows a block has at most: it is one cell of a Spark table, and stands in memory as a whole."""

SAMPLE = 200
"""From about how many rows of each range its bounds are chosen."""

MOST_TASKS = 60_000
"""Into how many ranges claims are cut at most: they are numbered in two bytes."""

TWICE = "__twice"
_PROBE = "person_id 0123456789"
_CONTRACTS = {"claims": CLAIMS, "people": PEOPLE, "spells": SPELLS, "opening": None}
_NAMED = {"claim_id": pl.String, "person_id": pl.String}
_COUNTS = "id string, person string, rows bigint"

Work = Callable[[Iterator[Any]], Iterator[Any]]


@dataclass(frozen=True, eq=False)
class Whole:
    """Be what every task must know of the whole claims.

    `bounds` are the units at which ranges begin but the first, of `tasks` ranges at most; `twice` the claim_ids of more
    than one row; `elsewhere` the readable claims that rows of other persons may name: claim_id, person_id.
    """

    bounds: list[str]
    tasks: int
    twice: pl.Series
    elsewhere: pl.DataFrame


@dataclass(frozen=True, eq=False)
class _Source:
    """Be a table that tasks read: `tasks` has the stretches of its files that each of them reads."""

    kind: str
    shape: Shape
    tasks: list[list[Stretch]]

    def batches(self, number: int, names: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Read the rows of a task, some at a time, with ROW; `names` are the columns, default all."""
        wanted = self.shape.schema if names is None else {name: self.shape.schema[name] for name in names}
        for stretch in self.tasks[number]:
            first = stretch.place
            for frame in self._read(stretch, pl.Schema(wanted)):
                row = pl.int_range(first, first + frame.height, dtype=pl.Int64).alias(ROW)
                yield frame.select(row, pl.all())
                first += frame.height
            if first != stretch.place + stretch.rows:
                raise InputError(
                    "broken_parquet",
                    f"{stretch.file} changed while it was read. Run the same command again when it rests.",
                )

    def _read(self, stretch: Stretch, wanted: pl.Schema) -> Iterator[pl.DataFrame]:
        keys = [pl.lit(value, pl.String).alias(name) for name, value in stretch.keys]
        try:
            query = pl.scan_parquet(stretch.file, glob=False, hive_partitioning=False)
            query = query.slice(stretch.first, stretch.rows).with_columns(keys)
            query = query.select(typed_as(pl.col(name), kind).alias(name) for name, kind in wanted.items())
            for frame in batches(Scan(query, wanted, self.shape.place, Path(stretch.file)), query):
                yield from frame.iter_slices(BATCH)
        except OSError as error:
            raise InputError(
                "cannot_read",
                f"an executor cannot read {stretch.file}: {error.strerror or type(error).__name__}. Every machine must "
                "see the inputs under the same path; mount the disk there, and run the same command again.",
            ) from None

    def text(self, name: str, frame: pl.DataFrame) -> pl.Series | None:
        """Read a text column of the contract as `read_claims` does; None where the table lacks it."""
        contract = _CONTRACTS[self.kind]
        if contract is None:  # accumulators are matched as they stand
            return frame.select(pl.col(name).cast(pl.String)).to_series()
        scan = self.shape.scan(frame, whole=False)
        layout = match_columns(self.shape.scan(pl.DataFrame(schema=self.shape.schema)), contract)
        return frame.select(text_of(scan, layout, name)).to_series() if layout.has(name) else None

    def keys(self) -> list[str]:
        """Name, as they came, the columns that tie claims together."""
        layout = match_columns(self.shape.scan(pl.DataFrame(schema=self.shape.schema)), CLAIMS)
        return [layout.given[name] for name in ("claim_id", "person_id", *_NAMING) if layout.has(name)]


_NAMING = ("continues", "reverses")


def blocks_of(
    session: Any, inputs: Inputs, codes: tuple[Mapping[str, str], Mapping[str, str]], tasks: int, rows_a_task: int
) -> tuple[Any, Whole] | None:
    """Look at the claims as a whole, and have all rows cut into the ranges of `tasks` tasks: part, kind, block.

    `codes` are the place's own of care types and levels. Gives None where more claims occur twice or are named by rows
    of others than every task can be told. Raises InputError cannot_read where an executor does not see a file.
    """
    tables = {"people": inputs.people, "spells": inputs.spells, "opening": inputs.opening, "claims": inputs.claims}
    at_once = max(1, min(rows_a_task, -(-inputs.claims.rows // _at_once(session))))
    sources = [_source(kind, table, at_once) for kind, table in tables.items() if table is not None]
    tasks = min(tasks, MOST_TASKS)
    whole = _look(session, sources[-1], codes, tasks)
    if whole is None:
        return None
    # One row for each task of each table; what is read of several is put together in the next stage.
    numbered = [(at, number) for at, source in enumerate(sources) for number in range(len(source.tasks))]
    rows = _numbers(session, len(numbered))
    found = rows.mapInArrow(_each(_Cut(sources, numbered, whole)), "part int, kind int, block binary")
    return found.repartitionById(tasks, "part"), whole


def _at_once(session: Any) -> int:
    return max(1, int(session.sparkContext.defaultParallelism))


def _source(kind: str, table: Table, at_once: int) -> _Source:
    """Share the stretches of a table out into tasks of about so many rows; those that meet are read together."""
    tasks: list[list[Stretch]] = []
    count = at_once
    for stretch in table.stretches:
        if count >= at_once:
            tasks.append([])
            count = 0
        mine = tasks[-1]
        if mine and mine[-1].file == stretch.file:  # row groups come in the order of their file
            mine[-1] = replace(mine[-1], rows=mine[-1].rows + stretch.rows)
        else:
            mine.append(stretch)
        count += stretch.rows
    return _Source(kind, Shape(table.schema, table.scan.place), tasks)


def _numbers(session: Any, count: int) -> Any:
    return session.range(0, count, 1, max(1, count))


def _each(work: Callable[[int], Iterator[Any]]) -> Work:
    """Make of what is done for a number the function that mapInArrow runs; errors of ours are carried home.

    Where texts have other hashes than here, UsageError spark_unlike is raised: an id that occurs twice could be missed.
    """
    ours = _hash_of_probe()

    def mapped(numbers: Iterator[Any]) -> Iterator[Any]:
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                try:
                    _check_hashes(ours)
                    yield from work(number)
                except MedfloorError as error:
                    raise carried_home(error) from None

    return mapped


# --- the claims as a whole --------------------------------------------------------------------------------------------


def _look(
    session: Any, claims: _Source, codes: tuple[Mapping[str, str], Mapping[str, str]], tasks: int
) -> Whole | None:
    """Find the bounds, the claim_ids that occur twice and the claims that others name; None where these are many."""
    every = max(1, sum(part.rows for task in claims.tasks for part in task) // (SAMPLE * tasks))
    read = _numbers(session, len(claims.tasks))
    seen = read.mapInArrow(_each(_Look(claims, tasks, every)), "part int, kind string, block binary")
    met = seen.repartitionById(tasks, "part").mapInArrow(_Meet(tasks), "kind string, block binary").collect()
    told = [(row["kind"], _unpacked(row["block"])) for row in met]

    def all_of(kind: str, dtype: Any) -> pl.Series:
        return pl.concat([pl.Series(kind, [], dtype), *(frame[kind] for name, frame in told if name == kind)])

    units, hashes, names = all_of("unit", pl.String), all_of("hash", pl.UInt64), all_of("name", pl.String).unique()
    twice, elsewhere = pl.Series("id", [], pl.String), pl.DataFrame(schema=_NAMED)
    if max(len(hashes), len(names)) > FEW or any(kind == "many" for kind, _ in told):
        return None
    if len(hashes) or len(names):
        fetched = read.mapInArrow(_each(_Fetch(claims, hashes, names, codes)), _COUNTS).toArrow()
        rows = pl.from_arrow(fetched)
        assert isinstance(rows, pl.DataFrame)
        ids = rows.filter(pl.col("person").is_null()).group_by("id").agg(pl.col("rows").sum())
        twice = ids.filter(pl.col("rows") > 1)["id"]
        readable = rows.filter(pl.col("person").is_not_null() & ~pl.col("id").is_in(twice.implode()))
        elsewhere = readable.select(pl.col("id").alias("claim_id"), pl.col("person").alias("person_id")).unique()
    return Whole(bounds_of(units, tasks), tasks, twice.sort(), elsewhere)


def bounds_of(units: pl.Series, count: int) -> list[str]:
    """Cut a sample of units into at most `count` ranges of about as many: give where each but the first begins.

    >>> bounds_of(pl.Series(["a", "b", "b", "b", "c", "d"]), 3)
    ['b', 'c']
    """
    order = units.sort()
    cuts = [order[len(order) * number // count] for number in range(1, count)] if len(order) else []
    return [cut for cut in dict.fromkeys(cuts) if cut != order[0]]


def _hash_of_probe() -> int:
    return int(pl.Series([_PROBE]).hash()[0])


def _check_hashes(ours: int) -> None:
    if _hash_of_probe() != ours:
        raise UsageError(
            "spark_unlike",
            "the Polars of an executor is another one than that of the driver: texts have other hashes there. Install "
            "the same medfloor[spark] on every machine.",
        )


@dataclass(frozen=True, eq=False)
class _Look:
    """Give of the claims of a task a sample of units, and the hashes of their ids, and who names which others."""

    source: _Source
    parts: int
    every: int

    def __call__(self, number: int) -> Iterator[Any]:
        source, names = self.source, self.source.keys()
        for frame in source.batches(number, names):
            text = {name: source.text(name, frame) for name in ("claim_id", "person_id", *_NAMING)}
            ids, persons = text["claim_id"], text["person_id"]
            assert ids is not None
            assert persons is not None
            units = persons.filter(frame[ROW] % self.every == 0).drop_nulls()
            yield _row(number % self.parts, "unit", pl.DataFrame({"unit": units}))
            naming = [text[name] for name in _NAMING if text[name] is not None]
            columns = {"hash": ids.hash()} | ({"of": persons.hash()} if naming else {})
            yield from self._sent("id", pl.DataFrame(columns).filter(ids.is_not_null()))
            for one in naming:
                assert one is not None
                other = pl.DataFrame({"hash": one.hash(), "name": one, "by": persons.hash()})
                yield from self._sent("name", other.filter(one.is_not_null() & persons.is_not_null()))

    def _sent(self, kind: str, frame: pl.DataFrame) -> Iterator[Any]:
        """Send hashes to the task where equal ones meet."""
        if frame.height:
            for part, rows in _apart(frame, (frame["hash"] % self.parts).cast(pl.Int32)):
                yield _row(part, kind, rows)


@dataclass(frozen=True)
class _Meet:
    """Find hashes that occur twice, and names of claims of which a row of the same hash is of another person.

    Samples of units pass through. Where one of `parts` tasks finds far more than its share of FEW, it says only that
    there are many.
    """

    parts: int

    def __call__(self, blocks: Iterator[Any]) -> Iterator[Any]:
        found: dict[str, list[pl.DataFrame]] = {"id": [], "name": [], "unit": []}
        for batch in blocks:
            for kind, block in zip(batch.column("kind").to_pylist(), batch.column("block").to_pylist(), strict=True):
                found[kind].append(_unpacked(block))
        told = [("unit", frame) for frame in found["unit"]]
        if found["id"]:
            ids = pl.concat(found["id"])
            hashes = np.sort(ids["hash"].to_numpy())
            twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
            told.append(self._few("hash", pl.Series("hash", twice, pl.UInt64)))
            if found["name"]:
                # One row a hash: a placeholder that stands in many rows would else meet itself in all of them.
                owners = ids.group_by("hash").agg(pl.col("of").min().alias("least"), pl.col("of").max().alias("most"))
                both = pl.concat(found["name"]).join(owners, on="hash")
                others = both.filter((pl.col("least") != pl.col("by")) | (pl.col("most") != pl.col("by")))
                told.append(self._few("name", others["name"].unique()))
        some = [(kind, frame) for kind, frame in told if frame.height]
        kinds = {"kind": pl.String, "block": pl.Binary}
        yield as_batch(pl.DataFrame([(kind, _packed(frame)) for kind, frame in some], schema=kinds, orient="row"))

    def _few(self, kind: str, keys: pl.Series) -> tuple[str, pl.DataFrame]:
        many = len(keys) > 1000 + 4 * FEW // self.parts  # hashes are even, so that a share is never far off
        return ("many", keys.head(1).to_frame()) if many else (kind, keys.to_frame())


@dataclass(frozen=True, eq=False)
class _Fetch:
    """Give the ids that have a hash of some with their rows, and the readable claims of some names with their person.

    A row without a person is an id and how often it stands in the rows of the task.
    """

    source: _Source
    hashes: pl.Series
    names: pl.Series
    codes: tuple[Mapping[str, str], Mapping[str, str]]

    def __call__(self, number: int) -> Iterator[Any]:
        source, keys = self.source, self.source.keys()
        found = []
        for frame in source.batches(number, None if len(self.names) else keys):
            ids = source.text("claim_id", frame)
            assert ids is not None
            suspects = ids.filter(ids.hash().is_in(self.hashes.implode())).drop_nulls()
            found.append(_counted(suspects))
            rows = frame.filter(ids.is_in(self.names.implode()).fill_null(value=False))
            if rows.height:
                scan = source.shape.scan(rows.drop(ROW), whole=False)
                claims = read_claims(scan, med_type=self.codes[0], hosp_lv=self.codes[1]).accepted
                found.append(claims.select(id="claim_id", person="person_id", rows=pl.lit(1, pl.Int64)))
        if found:
            counted = pl.concat(found).group_by("id", "person").agg(pl.col("rows").sum())
            yield as_batch(counted.select("id", "person", "rows"))


def _counted(ids: pl.Series) -> pl.DataFrame:
    frame = pl.DataFrame({"id": ids}, schema={"id": pl.String})
    return frame.group_by("id").agg(pl.lit(None, pl.String).alias("person"), pl.len().cast(pl.Int64).alias("rows"))


# --- cutting and meeting again ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Cut:
    """Give the rows of a task of a table in blocks, each with the range that its units lie in."""

    sources: list[_Source]
    numbered: list[tuple[int, int]]
    whole: Whole

    def __call__(self, number: int) -> Iterator[Any]:
        import pyarrow as pa

        at, task = self.numbered[number]
        source = self.sources[at]
        for frame in source.batches(task):
            part = self._part(source, frame)
            rows = frame.select(ROW, *(pl.col(name).alias(f"c{n}") for n, name in enumerate(source.shape.schema)))
            if source.kind == "claims":
                rows = rows.with_columns(self._twice(source, frame).alias(TWICE))
            rows = rows.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
            for range_of, some in _apart(rows, part):
                for first in range(0, some.height, BLOCK):
                    block = _packed(some.slice(first, BLOCK))
                    yield pa.RecordBatch.from_pydict({
                        "part": pa.array([range_of], pa.int32()),
                        "kind": pa.array([KINDS.index(source.kind)], pa.int32()),
                        "block": pa.array([block], pa.binary()),
                    })  # fmt: skip

    def _twice(self, source: _Source, frame: pl.DataFrame) -> pl.Series:
        """Mark the rows whose claim_id another row has; null where none has one."""
        twice = self.whole.twice
        ids = source.text("claim_id", frame) if len(twice) else None
        if ids is None:
            return pl.Series(TWICE, [None] * frame.height, pl.Boolean)
        return ids.is_in(twice.implode()).fill_null(value=False)

    def _part(self, source: _Source, frame: pl.DataFrame) -> pl.Series:
        """Number the range of each row.

        Rows without a person are refused or of no use wherever they are, so they are spread; claims that share an id
        go together, whosever they are, so that they are seen to.
        """
        persons, tasks = source.text("person_id", frame), self.whole.tasks
        assert persons is not None
        part = number_of(self.whole.bounds, persons)
        if persons.null_count():
            part = (frame[ROW] % tasks).cast(pl.UInt16).zip_with(persons.is_null(), part)
        if source.kind == "claims" and len(self.whole.twice):
            ids = source.text("claim_id", frame)
            assert ids is not None
            shared = ids.is_in(self.whole.twice.implode()).fill_null(value=False)
            place = self.whole.twice.search_sorted(ids.fill_null(""))  # they are sorted, and few
            part = (place % tasks).cast(pl.UInt16).zip_with(shared, part)
        return part


def _apart(frame: pl.DataFrame, part: pl.Series) -> Iterator[tuple[int, pl.DataFrame]]:
    """Take rows apart by their part; within one they keep their order.

    >>> [(n, f["a"].to_list()) for n, f in _apart(pl.DataFrame({"a": [1, 2, 3]}), pl.Series([1, 0, 1]))]
    [(0, [2]), (1, [1, 3])]
    """
    number = part.to_numpy()
    if not len(number):
        return
    order = np.argsort(number.astype(np.uint16), kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(number))])
    ordered = frame[order]
    for at in np.flatnonzero(np.diff(starts)):
        yield int(at), ordered.slice(starts[at], starts[at + 1] - starts[at])


def _row(part: int, kind: str, frame: pl.DataFrame) -> Any:
    import pyarrow as pa

    return pa.RecordBatch.from_pydict({
        "part": pa.array([part], pa.int32()), "kind": pa.array([kind]),
        "block": pa.array([_packed(frame)], pa.binary()),
    })  # fmt: skip


def _packed(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_ipc_stream(stream, compression="lz4")
    return stream.getvalue()


def _unpacked(block: bytes) -> pl.DataFrame:
    return pl.read_ipc_stream(io.BytesIO(block))


class Ranges:
    """Gather the blocks of a task, and give their rows piece by piece: whole units, in order."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self._blocks: dict[str, list[pl.DataFrame]] = {kind: [] for kind in shapes}

    def add(self, kind: int, block: bytes) -> None:
        """Take a block of a kind of rows."""
        self._blocks[KINDS[kind]].append(_unpacked(block))

    def pieces(self, rows: int) -> Iterator[dict[str, pl.DataFrame]]:
        """Give the rows of each kind, as they came and with ROW, at least so many of whole units together."""
        tables, orders, units = {}, {}, {}
        for kind, shape in self._shapes.items():
            table = self._table(kind)
            # Within a group rows keep their order, and of the groups, which are fewer, only the names are sorted.
            placed = pl.DataFrame({"unit": _units(kind, table, shape)}).with_row_index("at")
            grouped = placed.group_by("unit").agg(pl.col("at")).sort("unit")
            tables[kind], orders[kind] = table.drop(TWICE, strict=False), grouped["at"].explode()
            units[kind] = grouped.select("unit", pl.col("at").list.len().cast(pl.Int64).alias("rows"))
        ends = _ends(list(units.values()), rows)
        edges = {}
        for kind, counted in units.items():
            upto = pl.concat([pl.Series("rows", [0], pl.Int64), counted["rows"].cum_sum()])
            edges[kind] = [0, *upto.gather(counted["unit"].search_sorted(ends, side="right")).to_list()]
        for at in range(len(ends)):
            yield {kind: table[orders[kind][edges[kind][at] : edges[kind][at + 1]]] for kind, table in tables.items()}

    def _table(self, kind: str) -> pl.DataFrame:
        """Put the blocks of a kind together under the names and types of the file.

        They come from any executor in any order: they are put in that of the file first.
        """
        schema = self._shapes[kind].schema
        blocks = sorted(self._blocks.pop(kind, []), key=lambda block: int(block[ROW][0]))
        columns = [typed_as(pl.col(f"c{n}"), dtype).alias(name) for n, (name, dtype) in enumerate(schema.items())]
        marks = [TWICE] if kind == "claims" else []
        if not blocks:
            flags = {TWICE: pl.Boolean} if marks else {}
            return pl.DataFrame(schema={**schema, ROW: pl.Int64, **flags})
        # In one piece of memory, else picking rows out would take ten times as long.
        return pl.concat(blocks, rechunk=False).select(*columns, ROW, *marks).rechunk()


def _units(kind: str, table: pl.DataFrame, shape: Shape) -> pl.Series:
    """Name the unit of each row; claims that are refused wherever they are come first, those of one id together."""
    source = _Source(kind, shape, [])
    persons = source.text("person_id", table)
    assert persons is not None
    if kind != "claims":
        return persons.fill_null("\0")
    if persons.null_count():
        persons = pl.select(pl.format("\0{}", table[ROW])).to_series().zip_with(persons.is_null(), persons)
    twice = table[TWICE].fill_null(value=False)
    if twice.any():
        ids = source.text("claim_id", table)
        assert ids is not None
        persons = pl.select(pl.format("\0{}", ids.fill_null(""))).to_series().zip_with(twice, persons)
    return persons


def _ends(units: Sequence[pl.DataFrame], rows: int) -> pl.Series:
    """Give the last unit of each piece of at least so many rows, of units with their rows.

    >>> one = pl.DataFrame({"unit": ["a", "b"], "rows": [2, 1]})
    >>> _ends([one, pl.DataFrame({"unit": ["a", "b", "c", "d"], "rows": [1, 1, 1, 1]})], 3).to_list()
    ['a', 'c', 'd']
    """
    counted = pl.concat(units).group_by("unit").agg(pl.col("rows").sum()).sort("unit")
    ends, held = [], 0
    for at, count in enumerate(counted["rows"].to_list()):
        held += count
        if held >= rows:
            ends.append(at)
            held = 0
    if held:
        ends.append(counted.height - 1)
    return counted["unit"].gather(ends)
