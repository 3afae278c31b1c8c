"""Read settlements on a Spark cluster for measures that then work on one machine, in narrow rows.

The executors run the functions that read and add up settlements here, part by part; sums are whole fen, so that they
are the same in whatever order the parts come. No estimate is made on the cluster: the driver measures what has come
with the same functions, over rows in the same order, and so to the same last digit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from medfloor.errors import MedfloorError, OutputError
from medfloor.intake import REFUSED, Microdata, Reading, read_microdata, reading_of, scan_table
from medfloor.intake.files import FORMATS
from medfloor.intake.mapping import read_mapping
from medfloor.measures.sample import frame_of
from medfloor.measures.settled import Cases, small_funds, without_taken_back
from medfloor.measures.stages import (
    Added,
    Facts,
    by_key,
    check_people_given,
    of_year,
    row_sums,
    unreadable,
    used_columns,
)
from medfloor.settlement.spark import (
    ROW,
    Table,
    as_batch,
    as_came,
    carried_home,
    check_spark,
    open_table,
    over_batches,
    scratch,
    share_out,
    spark_errors,
    spark_session,
)
from medfloor.settlement.spark.inputs import spark_type

_NOTE = "__note"


Matched: TypeAlias = Callable[[Sequence[str]], tuple[str, Sequence[str]]]
"""Says of the columns that there are by which of them settlements that were taken back are found: total, and paid."""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Be a table to read, with the arguments of `read_microdata`: a file, or a folder of Parquet files."""

    path: str
    mapping: Sequence[str] = ()
    numbers: Sequence[str] = ()
    labels: Sequence[str] = ()
    required: Sequence[str] = ()

    @property
    def arguments(self) -> dict[str, Any]:
        """Give the arguments of `read_microdata`."""
        return {"mapping": self.mapping, "numbers": self.numbers, "labels": self.labels, "required": self.required}


def add_up(
    settlements: Wanted,
    people: Wanted | None = None,
    *,
    tiers: Sequence[str] | None = None,
    year: int | None = None,
    master: str | None = None,
    beside: str | None = None,
) -> Added:
    """Add up settlements by household on a cluster: what `stages_of` and `by_tier` take in the place of settlements.

    `people` says by person_id and household_id who lives where; without it settlements have household_id. `tiers` and
    `year` are those of `by_tier`. Parts are written beside `beside` (default: the settlements) and go at the end.

    Raises what `read_microdata` and `stages_of` raise of settlements and people, InputError bad_rows where a row cannot
    be read, and what `spark_session` and `spark_errors` raise.
    """
    check_spark()
    with scratch(beside or settlements.path) as folder:
        # What is wrong with the files is told before Spark starts.
        rows = _Rows.open(settlements, folder, "settlements")
        used = used_columns(rows.reading.names, tiers)
        homes, twice = None, 0
        rest = None
        if people is None:
            check_people_given(rows.reading.names)
        else:
            rest = _Rows.open(people, folder, "people")
        key = "household_id" if people is None else "person_id"
        with spark_session(master) as session, spark_errors("adding up settlements"):
            share_out(session, rows.table.rows)
            if rest is not None:
                homes, twice = _homes(rest.on(session))
            sums = _sums(rows.on(session), key, used, year)
            if homes is not None:
                found = sums.join(homes, sums["key"] == homes["person_id"], "left")
                sums = _summed(found.drop("key", "person_id").withColumnRenamed("household_id", "key"))
            frame = _parts(sums, folder / "sums").collect()
            if homes is not None:
                homes.unpersist()
        if not is_whole(frame, rows.table.rows):
            raise _lost(folder)
        return _added(frame, rows, used, twice)


def read_cases(
    cases: Wanted,
    *,
    matched: Matched | None = None,
    used: Collection[str] = (),
    master: str | None = None,
    beside: str | None = None,
) -> tuple[Microdata, Cases | None]:
    """Read cases on a cluster, with the columns that are asked for and no others: as read, and as a measure takes them.

    Settlements that were taken back are found by the columns that `matched` names of those that are there (the total,
    and what was paid), as `burden` and `reimbursement` do it, and left out of the second; it is None where nothing
    would be left. Columns in `used` stay as they stand. Parts are written beside `beside` (default: the cases), and go
    at the end.

    Raises what `read_microdata`, `spark_session` and `spark_errors` raise.
    """
    there = [] if matched is None else _carried(cases)
    wanted = replace(cases, required=[*cases.required, *there])
    check_spark()
    with scratch(beside or cases.path) as folder:
        rows = _Rows.open(wanted, folder, "cases")
        with spark_session(master) as session, spark_errors("reading cases"):
            parts = _parts(rows.on(session).narrow(), folder / "parts")
        if int(parts.select(pl.len()).collect().item()) != rows.table.rows:
            raise _lost(folder)
        return _cases(rows, parts, matched, used)


_IDENTITY = ("claim_id", "reverses")
_NO_REJECTS = pl.DataFrame(schema={"reason": pl.String, "detail": pl.String})


def _carried(cases: Wanted) -> list[str]:
    """Name the columns by which settlements are taken back, where the table has both under these names."""
    path = Path(cases.path)
    if not path.is_dir() and path.suffix.lower() not in FORMATS:
        return []
    names = {*scan_table(cases.path).names, *(link.ours for link in read_mapping(list(cases.mapping)).values())}
    return list(_IDENTITY) if set(_IDENTITY) <= names else []


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Be a table on the cluster: how it is read, and where what is not Parquet was refused already."""

    wanted: Wanted
    reading: Reading
    table: Table
    schema: pl.Schema
    refused: Microdata | None = None

    @classmethod
    def open(cls, wanted: Wanted, folder: Path, name: str) -> _Rows:
        """Settle how the table is read, before Spark starts; what is not Parquet the driver turns into it."""
        path = Path(wanted.path)
        refused = None
        arguments = wanted.arguments
        if not path.is_dir() and path.suffix.lower() != ".parquet":
            refused = read_microdata(wanted.path, **arguments)
            path = folder / f"{name}.parquet"
            there = list(refused.mapped)
            refused.accepted.select(there).write_parquet(path)
            arguments = {kind: [one for one in arguments[kind] if one in there] for kind in ("numbers", "labels")}
            arguments["required"] = there
        reading = reading_of(path, **arguments)
        scan = scan_table(path, name)
        schema = pl.Schema({one: scan.schema[one] for one in reading.columns})
        return cls(wanted, reading, open_table(scan, str(path), folder, name), schema, refused)

    def on(self, session: Any) -> _Rows:
        """Give the rows as a session reads them."""
        return replace(self, table=self.table.on(session))

    def packed(self) -> Any:
        """Give the place of each row, and the columns that are used as one."""
        from pyspark.sql import functions as F

        columns = [self.table.column(name) for name in self.reading.columns] or [F.lit(0)]
        return self.table.frame.select(ROW, F.struct(*columns).alias("rows"))

    def reader(self) -> Callable[[pl.DataFrame], pl.DataFrame]:
        """Make the function that reads a batch in the executors: our columns, ROW, and whether a row is refused."""
        reading, schema = self.reading, self.schema
        return lambda batch: reading.read(as_came(batch["rows"], schema)).with_columns(batch[ROW])

    def narrow(self) -> Any:
        """Give the rows under our names, with ROW and whether they are refused."""
        empty = self.reading.read(pl.DataFrame(schema=self.schema))
        typed = (f"`{name}` {spark_type(kind, self.wanted.path, name)}" for name, kind in empty.schema.items())
        return self.packed().mapInArrow(over_batches(self.reader()), ", ".join([*typed, f"{ROW} bigint"]))

    def rejects(self, places: pl.Series) -> pl.DataFrame:
        """Give the refused rows as `read_microdata` has them."""
        return self.refused.rejects if self.refused is not None else self.reading.rejects(self.wanted.path, places)

    @property
    def rows_in(self) -> int:
        """Count the rows of the table."""
        return self.table.rows if self.refused is None else self.refused.rows_in


def _sums(rows: _Rows, key: str, used: Sequence[str], year: int | None) -> Any:
    """Add up the rows of each batch, and then of all; what was seen of them stands beside, one row a task."""
    read, funds = rows.reader(), small_funds(rows.reading.names)
    assert key in rows.reading.names

    def work(batches: Iterator[Any]) -> Iterator[Any]:
        from pyspark import TaskContext

        task = TaskContext.get()
        assert task is not None
        return sums_of_task(batches, read, key, used, year=year, funds=funds, task=task.partitionId())

    names = [name for name, kind in _sums_schema(used).items() if kind == pl.Int64]
    typed = ", ".join(["key string", f"{_NOTE} string", *(f"`{name}` bigint" for name in names)])
    return _summed(rows.packed().mapInArrow(work, typed))


def _sums_schema(used: Sequence[str]) -> dict[str, Any]:
    names = ["rows", *(name for name in used if name != "pay_total")]
    return {"key": pl.String, _NOTE: pl.String, **dict.fromkeys(names, pl.Int64)}


def sums_of_task(
    batches: Iterator[Any],
    read: Callable[[pl.DataFrame], pl.DataFrame],
    key: str,
    used: Sequence[str],
    *,
    year: int | None,
    funds: Sequence[str],
    task: int,
) -> Iterator[Any]:
    """Add up the rows of a task by key, batch by batch; the last batch is one row, the note of what was seen of them.

    `read` brings a batch under our names, with ROW and REFUSED; `funds` are those of which it is asked whether they
    ever pay. The note bears the number of the task: one that runs again, because an executor died, says the same.
    """
    seen: dict[str, Any] = {"task": task, "all": 0, "refused": 0, "first": None, "paying": []}
    facts, schema = Facts(), _sums_schema(used)
    for batch in batches:
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        try:
            found = read(frame)
            seen["all"] += found.height
            refused = found.filter(REFUSED)[ROW]
            if len(refused):
                seen["refused"] += len(refused)
                seen["first"] = min(each for each in (seen["first"], refused.min()) if each is not None)
            found = found.filter(~pl.col(REFUSED))
            seen["paying"] += [one for one in funds if one not in seen["paying"] and (found[one] != 0).any()]
            kept, years = of_year(found, year)
            sums, here = row_sums(kept, used)
        except MedfloorError as error:
            raise carried_home(error) from None
        facts.add(Facts(here.rows, years, here.missing, here.off))
        added = by_key(sums.with_columns(kept[key].alias("key")), "key")
        yield as_batch(added.with_columns(pl.lit(None, pl.String).alias(_NOTE)).select(schema.keys()))
    told = {**seen, "rows": facts.rows, "missing": facts.missing, "off": facts.off}
    told["years"] = None if facts.years is None else sorted(facts.years)
    nothing = {name: [0] for name, kind in schema.items() if kind == pl.Int64}
    yield as_batch(pl.DataFrame({"key": [None], _NOTE: [json.dumps(told)], **nothing}, schema=schema))


def _summed(frame: Any) -> Any:
    from pyspark.sql import functions as F

    names = [name for name in frame.columns if name not in ("key", _NOTE)]
    return frame.groupBy("key", _NOTE).agg(*(F.sum(F.col(f"`{name}`")).alias(name) for name in names))


def is_whole(frame: pl.DataFrame, rows: int) -> bool:
    """Say whether all parts of the sums of so many rows are there.

    The notes say how many rows the tasks saw and kept, and each row that was kept is in one of the sums.

    >>> note = json.dumps({"all": 3, "rows": 2})
    >>> sums = pl.DataFrame({"key": ["h", "i", None], _NOTE: [None, None, note], "rows": [1, 1, 0]})
    >>> is_whole(sums, 3), is_whole(sums.tail(2), 3), is_whole(sums.head(2), 3)
    (True, False, False)
    """
    notes = [json.loads(note) for note in frame[_NOTE].drop_nulls()]
    kept = frame.filter(pl.col(_NOTE).is_null())["rows"].sum()
    return (sum(note["all"] for note in notes), sum(note["rows"] for note in notes)) == (rows, kept)


def _homes(people: _Rows) -> tuple[Any, int]:
    """Give each person's household, and count the people who have several."""
    from pyspark.sql import functions as F

    pairs = people.narrow().where("person_id is not null and household_id is not null")
    homes = pairs.groupBy("person_id").agg(
        F.min("household_id").alias("household_id"), F.max("household_id").alias("other")
    )
    homes = homes.persist()
    twice = homes.where("household_id <> other").count()
    return homes.drop("other"), int(twice)


def _parts(frame: Any, folder: Path) -> pl.LazyFrame:
    """Let the executors write a frame on the disk that all machines see, and read it from there.

    Not through the driver's Java, which would hold all of it, up to the limit spark.driver.maxResultSize.
    """
    frame.write.parquet(f"file://{folder}")
    found = sorted(folder.glob("*.parquet"))
    if not found:
        raise _lost(folder.parent)
    return pl.scan_parquet(found, glob=False)


def _lost(folder: Path) -> OutputError:
    return OutputError(
        "cannot_write",
        f"parts that the executors wrote are not in {folder.parent}. With --engine spark that folder must be on "
        "a disk that all machines see under the same path; name such a place with --out.",
    )


def _added(frame: pl.DataFrame, rows: _Rows, used: Sequence[str], twice: int) -> Added:
    """Put together what the tasks have seen with what they have added up."""
    notes = [json.loads(note) for note in frame[_NOTE].drop_nulls()]
    places = [note["first"] for note in notes if note["first"] is not None]
    refused = sum(note["refused"] for note in notes)
    if rows.refused is not None:
        refused = rows.refused.rejects.height
    if refused:
        first = rows.rejects(pl.Series([min(places, default=0)], dtype=pl.Int64))["detail"][0]
        raise unreadable(refused, rows.rows_in, rows.wanted.path, first)
    if not rows.table.rows:
        frame_of(frame.clear())
    facts = Facts(two_households=twice)
    for note in notes:
        years = None if note["years"] is None else set(note["years"])
        facts.add(Facts(note["rows"], years, note["missing"], note["off"]))
    idle = [name for name in small_funds(rows.reading.names) if not any(name in note["paying"] for note in notes)]
    columns = tuple(name for name in rows.reading.names if name not in idle)
    sums = frame.filter(pl.col(_NOTE).is_null()).drop(_NOTE).rename({"key": "household_id"})
    return Added(sums, columns, facts)


def _cases(
    rows: _Rows, parts: pl.LazyFrame, matched: Matched | None, used: Collection[str]
) -> tuple[Microdata, Cases | None]:
    """Collect the cases in their order, without those that were taken back and the columns that only say so."""
    wrong = parts.filter(REFUSED).select(ROW).collect()[ROW].sort()
    rejects = rows.rejects(wrong) if len(wrong) or rows.refused is not None else _NO_REJECTS
    good = parts.filter(~pl.col(REFUSED)).drop(REFUSED)
    names = list(rows.reading.names)
    funds = small_funds(names, used)
    paying = good.select((pl.col(one) != 0).any() for one in funds).collect().row(0) if funds else ()
    idle = {one for one, pays in zip(funds, paying, strict=True) if not pays}
    gone, pairs = pl.DataFrame(schema={ROW: pl.Int64}), 0
    if matched is not None:
        total, paid = matched(names)
        gone, pairs = taken_back(good, names, total, [one for one in paid if one not in idle])
    known = {"person_id", *_IDENTITY} - set(used)
    kept = [name for name in names if name not in idle | known]
    query = good.join(gone.lazy(), on=ROW, how="anti") if gone.height else good
    frame = query.select(ROW, *kept).sort(ROW).drop(ROW).collect(engine="streaming")
    place, mapped = rows.wanted.path, dict.fromkeys(names, "")
    if pairs and not frame.height:  # few enough for the measure to find it out, and to say so
        frame, cases = good.sort(ROW).select(names).collect(), None
    else:
        cases = Cases(frame, pairs)
    return Microdata(frame, rejects, rows.rows_in, place, mapped, {}), cases


def taken_back(good: pl.LazyFrame, names: Sequence[str], total: str, paid: Sequence[str]) -> tuple[pl.DataFrame, int]:
    """Find the rows that were taken back and those that take them back: ROW; and count the former.

    Only rows of people with a negative amount, or rows that name others or are named, can be among them; the function
    that looks through a whole table looks through these.
    """
    none = pl.DataFrame(schema={ROW: pl.Int64})
    if any(name not in names for name in (total, *paid)):
        return none, 0
    if set(_IDENTITY) <= set(names):
        named = good.select(pl.col("reverses").cast(pl.String)).filter(pl.col("reverses").str.strip_chars() != "")
        there = pl.col("reverses").cast(pl.String).str.strip_chars() != ""
        claims = pl.col("claim_id").cast(pl.String).is_in(named.unique().collect()["reverses"].implode())
        some = good.filter(there.fill_null(False) | claims.fill_null(False)).select(ROW, *_IDENTITY)
    elif "person_id" in names:
        people = good.filter(pl.col(total) < 0).select("person_id").unique()
        some = good.join(people, on="person_id", how="semi").select(ROW, "person_id", total, *paid)
    else:
        return none, 0
    found = some.collect(engine="streaming").sort(ROW)
    if not found.height:
        return none, 0
    kept, pairs = without_taken_back(found, total=total, paid=paid)
    return found.select(ROW).join(kept.select(ROW), on=ROW, how="anti"), pairs
