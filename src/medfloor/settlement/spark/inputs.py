"""Give the tables of a run to Spark: the rows as they came, their place in the file, and the unit they belong to.

What local settlement judges over the whole file is judged over the whole file here too: claim_ids that occur twice,
and claims that rows of another person name. A unit is a household where the law counts by household, else a person.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import InputError, MedfloorError, OutputError
from medfloor.intake import Scan, parquet_files, partition_keys, read_claims, sink_all
from medfloor.intake.layout import Layout, match_columns
from medfloor.settlement.spark.session import carried_home
from medfloor.settlement.work import TEMPORARY, hold
from medfloor.tables import CLAIMS, PEOPLE, SPELLS

ROW = "__row"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
KINDS = ("people", "spells", "opening", "elsewhere", "claims")
"""The kinds of rows of a unit, in the order in which they come."""

BLANKS = "".join(
    map(chr, (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
)
"""What is trimmed off a text: white space as Unicode has it, which is what Polars trims."""

_TYPES: Mapping[Any, str] = {
    pl.String: "string", pl.Categorical: "string", pl.Enum: "string", pl.Boolean: "boolean", pl.Binary: "binary",
    pl.Int8: "tinyint", pl.Int16: "smallint", pl.Int32: "int", pl.Int64: "bigint", pl.UInt8: "smallint",
    pl.UInt16: "int", pl.UInt32: "bigint", pl.UInt64: "decimal(20,0)", pl.Float32: "float", pl.Float64: "double",
    pl.Date: "date", pl.Null: "int",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shape:
    """Be a table of the run as the executors know it: its columns as they came, and how messages name it."""

    schema: pl.Schema
    place: str

    def scan(self, rows: pl.DataFrame, whole: bool = True) -> Scan:
        """Give some rows of the table as a reader takes them."""
        return Scan(rows.lazy(), rows.schema, self.place, whole=whole)


@dataclass(frozen=True)
class Stretch:
    """Be rows of a Parquet file that are read together: `rows` from `first` on, the first of them row `place` of all.

    `keys` are the partition that the path of the file tells, in order; None stands for an empty value.
    """

    file: str
    first: int
    rows: int
    place: int
    keys: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, eq=False)
class Table:
    """Be a table of a run: what its files are, seen before Spark starts, and how Spark reads them once it has.

    `stretches` are the rows of its files that executors may read by themselves.
    """

    scan: Scan
    rows: int
    stretches: Sequence[Stretch]
    read: Callable[[Any], Any] = field(repr=False)
    session: Any = field(default=None, repr=False)

    def on(self, session: Any) -> Table:
        """Give the table as a session reads it."""
        return replace(self, session=session)

    @cached_property
    def frame(self) -> Any:
        """Let Spark read it: the columns as they came, named c0, c1, ..., and ROW."""
        return self.read(self.session)

    @property
    def schema(self) -> pl.Schema:
        """Give the columns as they came, with the types that the file has."""
        return self.scan.schema

    def column(self, name: str) -> Any:
        """Give a column by the name it came with."""
        from pyspark.sql import functions as F

        return F.col(f"c{self.scan.names.index(name)}")

    def packed(self) -> Any:
        """Give all columns as one."""
        from pyspark.sql import functions as F

        return F.struct(*(F.col(f"c{number}") for number in range(len(self.scan.names))))


def spark_type(dtype: pl.DataType, place: str, name: str) -> str:
    """Name the type under which Spark carries a column without loss; raise InputError wrong_type where it has none."""
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision or 38},{dtype.scale})"
    if isinstance(dtype, pl.Datetime) and dtype.time_unit != "ns":
        return "timestamp" if dtype.time_zone else "timestamp_ntz"
    found = _TYPES.get(type(dtype))
    if found is None:
        raise InputError(
            "wrong_type",
            f"{place}: {name} is of type {dtype}, which Spark cannot carry. Leave the column out or give it another "
            "type, or run without --engine spark.",
        )
    return found


def as_came(packed: pl.Series, schema: pl.Schema) -> pl.DataFrame:
    """Give rows that came back from Spark the names and types that they had in their file."""
    frame = packed.struct.unnest()

    typed = zip(frame.columns, schema.items(), strict=True)
    return frame.select(typed_as(pl.col(given), dtype).alias(name) for given, (name, dtype) in typed)


def typed_as(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Give a column the type that it had in its file."""
    return pl.lit(None) if isinstance(dtype, pl.Null) else column.cast(dtype)


def open_table(scan: Scan, given: str, folder: Path, name: str) -> Table:
    """Look at the files of a table, before Spark starts. A CSV file is first written as Parquet, by one machine.

    Raises InputError cannot_read or broken_parquet where a file cannot be read, wrong_type where a column has a type
    that Spark lacks or the files of a folder differ.
    """
    import pyarrow.parquet as pq

    root = Path(given).resolve()
    if root.is_dir():
        files = parquet_files(root)
    elif scan.is_csv:
        files = [folder / f"{name}.parquet"]
        sink_all(scan, [scan.frame], files)
        scan = replace(scan, frame=pl.scan_parquet(files, glob=False), path=files[0])
    else:
        files = [root]
    kinds = [spark_type(dtype, scan.place, column) for column, dtype in scan.schema.items()]
    stretches, begins, rows, first = list[Stretch](), [], 0, None
    for file in files:
        try:
            told = pq.ParquetFile(file)
        except PermissionError:
            raise InputError("cannot_read", f"{file} may not be read by this user. Check its permissions.") from None
        except Exception:
            raise InputError(
                "broken_parquet", f"{file} is not a whole Parquet file. Export or copy it again."
            ) from None
        plain = _columns_of(told.schema_arrow)
        if first is not None and plain != first:
            raise InputError(
                "wrong_type",
                f"{scan.place}: {file.name} has other columns or types than {files[0].name}. Write both alike.",
            )
        first = plain
        keys = partition_keys(root, file) if root.is_dir() else {}
        stretches += _stretches_of(file, told.metadata, rows, keys, scan.schema)
        begins.append((file, rows))
        rows += told.metadata.num_rows
    base = root if root.is_dir() and any(partition_keys(root, file) for file in files) else None
    return Table(scan, rows, stretches, lambda session: _read_by_spark(session, scan, kinds, begins, base))


def _stretches_of(
    file: Path, told: Any, place: int, keys: Mapping[str, str], schema: Mapping[str, Any]
) -> Iterator[Stretch]:
    """Give the row groups of a Parquet file, which can be read one by one; `schema` has the columns of the table."""
    there = set(told.schema.to_arrow_schema().names)
    known = [name for name in schema if name in keys or name not in there]
    # What Hive and Spark write where a value is empty.
    named = tuple((name, None if (value := keys.get(name)) == _NO_VALUE else value) for name in known)
    first = 0
    for number in range(told.num_row_groups):
        rows = told.row_group(number).num_rows
        if rows:
            yield Stretch(str(file), first, rows, place + first, named)
        first += rows


def _read_by_spark(
    session: Any, scan: Scan, kinds: Sequence[str], begins: Sequence[tuple[Path, int]], base: Path | None
) -> Any:
    """Let Spark read Parquet files, the first row of each of which is so many rows behind the first of all."""
    from pyspark.sql import functions as F

    path_of = session._jvm.org.apache.hadoop.fs.Path
    names = [f"`{column.replace('`', '``')}`" for column in scan.schema]
    reader = session.read.schema(", ".join(map(" ".join, zip(names, kinds, strict=True))))
    reader = reader.option("__globPaths__", "false")  # [1] and * in a path are what they are
    if base is not None:
        reader = reader.option("basePath", str(base))
    frame = reader.parquet(*(str(file) for file, _ in begins)).select(
        *(F.col(column).alias(f"c{number}") for number, column in enumerate(names)),
        F.col("_metadata.file_path").alias("__file"),
        F.col("_metadata.row_index").alias(ROW),
    )
    if len(begins) > 1:
        offsets = [(f"file:{path_of(str(file)).toUri().toString()}", first) for file, first in begins]
        known = session.createDataFrame(offsets, "__file string, __first bigint")
        frame = frame.join(F.broadcast(known), "__file", "left")
        lost = F.raise_error(F.lit("a file of the folder changed its name while it was read")).cast("bigint")
        frame = frame.withColumn(ROW, F.col(ROW) + F.coalesce("__first", lost)).drop("__first")
    return frame.drop("__file")


def _columns_of(schema: Any) -> dict[str, Any]:
    """Give the types of an Arrow schema by column, texts alike whichever program wrote them; their order is free."""
    import pyarrow as pa

    texts = (pa.large_string(), pa.string_view())
    return {one.name: pa.string() if one.type in texts else one.type for one in schema}


@contextmanager
def scratch(beside: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a hidden folder beside a file or folder, on the disk that all machines see; it goes when the block ends.

    Raises OutputError cannot_write where none can be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=Path(beside).absolute().parent))
    except OSError as error:
        raise OutputError(
            "cannot_write",
            f"no folder for parts can be made beside {os.fspath(beside)}: {error.strerror}. With --engine spark all "
            "machines must be able to write there; choose another place for the output.",
        ) from None
    try:
        mask = os.umask(0o077)
        os.umask(mask)
        os.chmod(folder, 0o777 & ~mask)  # the executors may run as another user of this group
        with ExitStack() as stack:
            hold(folder, stack)  # else a run of one machine beside it would take it for one that was left behind
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def text(table: Table, name: str) -> Any:
    """Give a text column as `read_claims` reads it: trimmed, null where nothing is left."""
    from pyspark.sql import functions as F

    column, dtype = table.column(name), table.schema[name]
    if isinstance(dtype, (pl.String, pl.Categorical, pl.Enum)):
        return F.nullif(F.btrim(column, F.lit(BLANKS)), F.lit(""))
    if dtype.is_float():  # a whole number below 2**53 that came with gaps
        whole = (column == F.floor(column)) & (F.abs(column) < 2**53)
        return F.when(whole, column.cast("bigint")).cast("string")
    return column.cast("string")


@dataclass(frozen=True, eq=False)
class Inputs:
    """Be the tables of a run as Spark reads them; None where there is none."""

    claims: Table
    people: Table
    spells: Table | None
    opening: Table | None
    previous: Any = None
    kept: list[Any] = field(default_factory=list)

    def release(self) -> None:
        """Let go what the executors kept for the run."""
        for frame in self.kept:
            frame.unpersist()

    def by_unit(self, household: bool, med_type: Mapping[str, str], hosp_lv: Mapping[str, str]) -> Any:
        """Give every row that its unit needs: unit, kind, ROW, and one packed column for each kind of rows."""
        from pyspark.sql import functions as F

        layout = match_columns(self.claims.scan, CLAIMS)
        homes = self._homes() if household else None
        claims = self._claims(layout, homes)
        parts = {"claims": claims, "people": _of_persons(self.people, PEOPLE, "people", homes)}
        if self.spells is not None:
            parts["spells"] = _of_persons(self.spells, SPELLS, "spells", homes)
        if self.opening is not None:
            parts["opening"] = _of_persons(self.opening, None, "opening", homes)
        if layout.has("continues") or layout.has("reverses"):
            elsewhere = _named_by_others(claims, self.claims.scan, med_type, hosp_lv, self.kept)
            if elsewhere is not None:
                parts["elsewhere"] = elsewhere
        holders = {name: name for name in KINDS if name in parts}
        if self.previous is not None:
            holders["previous"] = "claims"
        types = {column: parts[holder].schema[column].dataType for column, holder in holders.items()}
        united = None
        for kind, frame in parts.items():
            packed = [
                (F.col(column) if holder == kind else F.lit(None).cast(types[column])).alias(column)
                for column, holder in holders.items()
            ]
            rows = frame.select("unit", F.lit(KINDS.index(kind)).cast("tinyint").alias("kind"), ROW, *packed)
            united = rows if united is None else united.unionByName(rows)
        return united

    def _claims(self, layout: Layout, homes: Any) -> Any:
        """Give the claims with their keys and their unit.

        Rows whose claim_id another row has go together, whosever they are, and each row without a person goes alone:
        they are refused wherever they are.
        """
        from pyspark.sql import functions as F

        table, nothing = self.claims, F.lit(None).cast("string")
        keys = [
            (text(table, layout.given[name]) if layout.has(name) else nothing).alias(f"_{name}")
            for name in ("claim_id", "person_id", "continues", "reverses")
        ]
        claims = table.frame.select(ROW, table.packed().alias("claims"), *keys)
        ids = claims.where("_claim_id is not null").groupBy("_claim_id").count().where("count > 1")
        twice = few(ids.select("_claim_id", F.lit(True).alias("_twice")), self.kept)
        if twice is None:
            claims = claims.withColumn("_twice", F.lit(None).cast("boolean"))
        else:
            claims = claims.join(twice, "_claim_id", "left")
        if self.previous is not None:
            claims = claims.join(self.previous, "_claim_id", "left")
        claims = _with_unit(claims, F.col("_person_id"), homes)
        together = F.concat(F.lit("\0"), F.col("_claim_id"))
        alone = F.concat(F.lit("\0"), F.col(ROW).cast("string"))
        unit = F.when(F.col("_twice"), together).when(F.col("_person_id").isNull(), alone).otherwise(F.col("unit"))
        return claims.withColumn("unit", unit)

    def _homes(self) -> Any:
        """Say in which household each person counts: that of the first row of people, as `register_of` has it."""
        from pyspark.sql import functions as F

        table, layout = self.people, match_columns(self.people.scan, PEOPLE)
        person = text(table, layout.given["person_id"])
        home = text(table, layout.given["household_id"]) if layout.has("household_id") else F.lit(None).cast("string")
        since = F.lit(None).cast("string")
        if layout.has("enrolled_from"):
            told = table.column(layout.given["enrolled_from"]).cast("string")
            since = F.substring(F.btrim(told, F.lit(BLANKS)), 1, 10)
        rows = table.frame.select(
            person.alias("_person_id"),
            F.coalesce(home, person).alias("_home"),
            F.struct(F.coalesce(since, F.lit("")), ROW).alias("_order"),
        )
        return (
            rows.where("_person_id is not null").groupBy("_person_id").agg(F.min_by("_home", "_order").alias("_home"))
        )


FEW = 1_000_000
"""Up to how many keys are sent to every executor, so that the claims need not be shuffled to meet them."""


def few(keys: Any, kept: list[Any]) -> Any:
    """Work keys out now, and let every executor have them where they are few; None where there are none.

    What is kept in the executors until the end of the run is added to `kept`. Where this was left to Spark, all claims
    were shuffled once more to meet a handful of keys, or none.
    """
    from pyspark.sql import functions as F

    keys = keys.persist()
    kept.append(keys)
    count = keys.count()
    if not count:
        return None
    return F.broadcast(keys) if count <= FEW else keys


def _with_unit(frame: Any, person: Any, homes: Any) -> Any:
    """Add the unit: the person, or the household of those that people has."""
    from pyspark.sql import functions as F

    if homes is None:
        return frame.withColumn("unit", F.coalesce(person, F.lit("\0")))
    other = F.concat(F.lit("\0"), F.coalesce(person, F.lit("")))
    joined = frame.withColumn("_person_id", person).join(homes, "_person_id", "left")
    return joined.withColumn("unit", F.coalesce(F.col("_home"), other)).drop("_home")


def _of_persons(table: Table, contract: Any, kind: str, homes: Any) -> Any:
    from pyspark.sql import functions as F

    given = "person_id" if contract is None else match_columns(table.scan, contract).given["person_id"]
    frame = table.frame.select(ROW, table.packed().alias(kind), text(table, given).alias("_person_id"))
    return _with_unit(frame, F.col("_person_id"), homes)


def _named_by_others(
    claims: Any, scan: Scan, med_type: Mapping[str, str], hosp_lv: Mapping[str, str], kept: list[Any]
) -> Any:
    """List for each unit the readable claims of others that its rows continue or reverse; None where none names any."""
    from pyspark.sql import functions as F

    naming = None
    for column in ("_continues", "_reverses"):
        some = claims.select("unit", F.col("_person_id").alias("_by"), F.col(column).alias("_named"))
        some = some.where("_named is not null and _by is not null")
        naming = some if naming is None else naming.unionByName(some)
    assert naming is not None
    naming = few(naming, kept)
    if naming is None:
        return None
    single = claims.where("_twice is null").select("_claim_id", "_person_id", "claims")
    others = (F.col("_claim_id") == F.col("_named")) & (F.col("_person_id") != F.col("_by"))
    named = single.join(naming, others, "left_semi").select("claims")
    schema, place = scan.schema, scan.place

    def readable(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for batch in batches:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            part = Scan(as_came(frame["claims"], schema).lazy(), schema, place, whole=False)
            try:
                found = read_claims(part, med_type=med_type, hosp_lv=hosp_lv).accepted
            except MedfloorError as error:
                raise carried_home(error) from None
            yield pa.RecordBatch.from_pydict(
                {name: pa.array(found[name].to_list(), pa.string()) for name in ("claim_id", "person_id")}
            )

    known = named.mapInArrow(readable, "claim_id string, person_id string")
    pairs = known.join(naming, (F.col("claim_id") == F.col("_named")) & (F.col("person_id") != F.col("_by")))
    pairs = pairs.select("unit", "claim_id", "person_id").distinct()
    return pairs.select(
        "unit", F.lit(0).cast("bigint").alias(ROW), F.struct("claim_id", "person_id").alias("elsewhere")
    )
