"""Read tables from files and write them back whole or not at all.

CSV is UTF-8, with or without a byte order mark, and every cell is read as text; Parquet keeps its types. Scans are
lazy, so that a reader takes only what it needs and large files never stand in memory as text. A file is written under
another name in the same folder and renamed at the end: whoever looks sees the old file or the new one, both whole.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from medfloor.errors import InputError, OutputError
from medfloor.intake.folders import parquet_files, partition_keys

FORMATS = {".csv": "csv", ".parquet": "parquet"}

_HEADER_BYTES = 1 << 20


@dataclass(frozen=True, eq=False, slots=True)
class Scan:
    """Be a table that is known by its columns but not yet read.

    `place` is how messages name it: the path as it was given, or "the claims table" for a frame. `whole` is False for a
    part of a table that was looked at as a whole before.
    """

    frame: pl.LazyFrame
    schema: pl.Schema
    place: str
    path: Path | None = None
    whole: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """List the columns as they came."""
        return tuple(self.schema.names())

    @property
    def is_csv(self) -> bool:
        """Say whether every cell is text from a CSV file."""
        return self.path is not None and file_format(self.path) == "csv"


Source = str | os.PathLike[str] | pl.DataFrame | pl.LazyFrame | Scan
"""What every reader takes: the path of a CSV or Parquet file or of a folder of Parquet files, a frame, or what
`scan_table` made of one."""


def scan_table(source: Source, table: str = "input") -> Scan:
    """Open a CSV or Parquet file, a folder of Parquet files (place=.../month=...), or a frame, reading no row.

    The rows of a folder come in the order of the names of its files; the keys of its partitions are text columns.

    Raises InputError: file_not_found, unknown_format, empty_file, broken_csv, broken_parquet, ambiguous_column.

    >>> scan_table(pl.DataFrame({"claim_id": ["1"]}), "claims").names
    ('claim_id',)
    """
    if isinstance(source, Scan):
        return source
    if isinstance(source, (pl.DataFrame, pl.LazyFrame)):
        lazy = source.lazy()
        return Scan(lazy, lazy.collect_schema(), f"the {table} table")
    path, place = Path(source), os.fspath(source)
    if path.is_dir():
        return _scan_folder(path, place, table)
    if not path.suffix and not path.exists():
        raise InputError(
            "file_not_found",
            f"{place} is not there. Give the path of the {table}: a file, or a folder of Parquet files.",
        )
    kind = file_format(path)
    if not path.is_file():
        raise InputError(
            "file_not_found", f"{place} is not there. Give the path of the {table} file (.csv or .parquet)."
        )
    try:
        if kind == "csv":
            _check_header(path, place)
            frame = pl.scan_csv(path, infer_schema=False, glob=False)
        else:
            frame = pl.scan_parquet(path, glob=False)
        return Scan(frame, frame.collect_schema(), place, path)
    except PermissionError:
        raise InputError("cannot_read", f"{place} may not be read by this user. Check its permissions.") from None
    except pl.exceptions.PolarsError as error:
        raise _broken(kind, place, error) from None


def _scan_folder(path: Path, place: str, table: str) -> Scan:
    files = parquet_files(path, table)
    keys = list(dict.fromkeys(key for file in files for key in partition_keys(path, file)))
    # Never guessed from the names: a place 0101 or a month 01 is text, as every code is.
    hive = dict.fromkeys(keys, pl.String()) if keys else None
    try:
        frame = pl.scan_parquet(
            files, glob=False, hive_partitioning=bool(keys), hive_schema=hive, try_parse_hive_dates=False
        )
        return Scan(frame, frame.collect_schema(), place, files[0])
    except PermissionError:
        raise InputError("cannot_read", f"{place} may not be read by this user. Check its permissions.") from None
    except pl.exceptions.PolarsError as error:
        raise _broken("parquet", place, error) from None


def read_table(source: Source, table: str = "input") -> pl.DataFrame:
    """Read a whole file as it is: text columns from CSV, typed ones from Parquet.

    Raises InputError as `scan_table` does.
    """
    scan, _ = survey(scan_table(source, table), ())
    return collect(scan, scan.frame)


def survey(scan: Scan, columns: Sequence[str]) -> tuple[Scan, dict[str, pl.Series]]:
    """Find the distinct values of some columns in one pass, and see whether a CSV file is well formed.

    Returns the scan to read on with: blank lines of a CSV file are no rows of it. Raises InputError broken_csv where a
    line has more or fewer fields than the header.
    """
    names = list(dict.fromkeys(columns))
    shape = [pl.len().alias("__rows")]
    if scan.is_csv and scan.names:
        shape += [
            pl.col(scan.names[-1]).null_count().alias("__last_empty"),
            pl.all_horizontal(pl.all().is_null()).any().alias("__blank"),
        ]
    if not names and len(shape) == 1:
        return scan, {}
    # By the combinations that occur, which are few: the values of a column would all be in memory at once otherwise.
    query = scan.frame.group_by(names).agg(shape) if names else scan.frame.select(shape)
    found = collect(scan, query)
    distinct = {name: found[name].unique() for name in names}
    if scan.is_csv and "__last_empty" in found.columns and found["__last_empty"].sum():
        scan = _settle_short_lines(scan, bool(found["__blank"].any()))
    return scan, distinct


def collect(scan: Scan, query: pl.LazyFrame) -> pl.DataFrame:
    """Run a query over a scan, in batches; a file that breaks on the way raises InputError."""
    try:
        return query.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        if scan.path is None:
            raise
        raise _broken(file_format(scan.path), scan.place, error, scan.path) from None


def sink_all(scan: Scan, queries: Sequence[pl.LazyFrame], paths: Sequence[Path]) -> None:
    """Write several queries over a scan as Parquet files, in one pass over it.

    Raises what `collect` raises, and OutputError cannot_write where the disk is full.
    """
    sinks = [query.sink_parquet(path, lazy=True) for query, path in zip(queries, paths, strict=True)]
    try:
        pl.collect_all(sinks, engine="streaming")
    except (OSError, pl.exceptions.PolarsError) as error:
        if is_full(error):
            place = paths[0].parent.parent
            raise OutputError(
                "cannot_write",
                f"the parts of {scan.place} do not fit on the disk of {place}. What stood there before is unchanged. "
                "Free about as much space as the file takes, or write to another disk.",
            ) from None
        if scan.path is None or isinstance(error, OSError):
            raise
        raise _broken(file_format(scan.path), scan.place, error, scan.path) from None


def file_format(path: str | os.PathLike[str]) -> str:
    """Tell csv from parquet by the file's ending; raise InputError unknown_format for any other.

    >>> file_format("claims.CSV")
    'csv'
    """
    kind = FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise InputError(
            "unknown_format",
            f"{os.fspath(path)} ends in neither .csv nor .parquet. Rename it, or save it as one of the two.",
        )
    return kind


def check_outputs(outputs: Iterable[Any], inputs: Iterable[Any] = (), *, any_format: bool = False) -> None:
    """Refuse, before any work is done, outputs that would replace an input or each other.

    None among either is passed over, and so are frames among the inputs. With `any_format` endings are not looked at. A
    folder among the inputs is read as a whole, so that no Parquet file may be written into it.
    Raises OutputError: would_replace_input, same_output, cannot_write (no such folder, or not a file); InputError
    unknown_format for a wrong ending.
    """
    seen: dict[Path, str] = {}
    for given in inputs:
        if isinstance(given, (str, os.PathLike)):
            seen[Path(given).resolve()] = "would_replace_input"
    for given in outputs:
        if given is None:
            continue
        real = Path(given).resolve()
        if not any_format:
            file_format(given)
        code = next((code for path, code in seen.items() if _same_file(path, real)), None)
        if code == "would_replace_input":
            raise OutputError(code, f"{given} is one of the inputs, which stay as they are. Name another output file.")
        if code:
            raise OutputError(code, f"{given} is named for two outputs. Give each a file of its own.")
        if real.suffix.lower() == ".parquet" and any(seen.get(at) == "would_replace_input" for at in real.parents):
            raise OutputError(
                "would_replace_input",
                f"{given} lies in a folder that is an input, and would be read with it the next time. Name a file "
                "elsewhere.",
            )
        if not real.parent.is_dir():
            raise OutputError("cannot_write", f"{given} lies in a folder that is not there. Create it first.")
        if real.exists() and not real.is_file():
            raise OutputError("cannot_write", f"{given} is not a file that could be replaced. Name another.")
        seen[real] = "same_output"


def write_table(
    frame: pl.DataFrame,
    path: str | os.PathLike[str],
    *,
    money_columns: Sequence[str] | None = None,
    decimal: bool = False,
    inputs: Iterable[Any] = (),
) -> None:
    """Write a frame to a CSV or Parquet file, whole or not at all.

    `money_columns` are Int64 columns in fen (default: all whose name ends in _fen); each is written in yuan under its
    name without the suffix: in CSV as text with exactly two decimals, in Parquet as Float64, or as Decimal(18, 2) where
    `decimal` is set. Dates are ISO. A file that stood there before is replaced at the very end and keeps its
    permissions. Raises OutputError cannot_write (the old file stays whole) and would_replace_input.
    """
    check_outputs([path], inputs)
    kind = file_format(path)
    shown = _in_yuan(frame, money_columns, as_decimal=decimal or kind == "csv")
    with _Replacement(path) as new:
        if kind == "csv":
            shown.write_csv(new.file)
        else:
            shown.write_parquet(new.file)


def write_bytes(content: bytes, path: str | os.PathLike[str]) -> None:
    """Write a file of any kind, whole or not at all; one that stood there before is replaced at the very end.

    Raises OutputError cannot_write (the old file stays whole).
    """
    with _Replacement(path) as new:
        new.file.write(content)


def yuan_of(fen: pl.Expr) -> pl.Expr:
    """Give the double nearest to fen / 100, which rounds back to the fen for all amounts below 9e12 yuan.

    >>> pl.DataFrame({"fen": [184260, 29]}).select(yuan_of(pl.col("fen")))["fen"].to_list()
    [1842.6, 0.29]
    """
    # By a column of 100: a division by one number becomes a multiplication by 0.01 in Polars, which is not exact.
    return fen / (fen * 0 + 100)


def sum_fen(amounts: pl.Series) -> int:
    """Add amounts in fen, empty ones as nothing, without overflow: some thousand of the largest leave 64 bits.

    >>> sum_fen(pl.Series([9 * 10**14] * 20_000)), sum_fen(pl.Series([], dtype=pl.Int64))
    (18000000000000000000, 0)
    """
    low, high = amounts.min(), amounts.max()
    if not isinstance(low, int) or not isinstance(high, int):
        return 0
    if max(-low, high) * len(amounts) < 1 << 63:
        return int(amounts.sum())
    return int(amounts.cast(pl.Int128).sum())


class TableWriter:
    """Write a table piece by piece; the file appears whole when the block ends well, and not at all when it fails.

    Every piece has the columns of the first. Append at least one frame, which may hold 0 rows.

    Example::

        with TableWriter("settled.parquet") as writer:
            for part in parts:
                writer.append(part)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        money_columns: Sequence[str] | None = None,
        decimal: bool = False,
        inputs: Iterable[Any] = (),
    ) -> None:
        check_outputs([path], inputs)
        self._kind = file_format(path)
        self._money_columns = money_columns
        self._as_decimal = decimal or self._kind == "csv"
        self._replacement = _Replacement(path)
        self._parquet: Any = None
        self._schema: pl.Schema | None = None
        self._few: list[str] = []
        self._begun = False
        self._rest: pl.DataFrame | None = None
        self._hand: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        self._replacement.__enter__()
        return self

    def append(self, frame: pl.DataFrame) -> None:
        """Add the rows of a frame. Raises OutputError cannot_write, be it for rows that were added before.

        Many rows are written while the caller goes on: at the next `append`, or at the end, they are waited for.
        """
        groups = self._groups(frame)  # here, because encoding is what a run waits for
        self._wait()
        if frame.height < _MANY:
            self._write(groups)
            return
        if self._hand is None:
            self._hand = ThreadPoolExecutor(1)
        self._pending = self._hand.submit(self._write, groups)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _groups(self, frame: pl.DataFrame) -> list[Any]:
        """Give the groups of rows that are whole by now, as they are written; what is left waits for the next piece.

        They are of a fixed size, so that the file does not show in which pieces it came; nor does a dictionary of
        categories, which are written as text.
        """
        coded = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Categorical)]
        if coded:
            frame = frame.with_columns(pl.col(coded).cast(pl.String))
        if self._rest is not None:
            frame, self._rest = pl.concat([self._rest, frame]), None
        if self._kind == "csv":  # text takes much room, so that a group becomes text only when it is written
            firsts = range(0, frame.height, ROW_GROUP) if frame.height or self._schema is not None else (0,)
            self._schema = self._schema or frame.schema
            assert frame.schema == self._schema, "every piece has the columns of the first"
            return [frame.slice(first, ROW_GROUP) for first in firsts]
        whole = frame.height // ROW_GROUP * ROW_GROUP
        groups = [self._table(frame.slice(first, ROW_GROUP)) for first in range(0, whole, ROW_GROUP)]
        # Taken out, because a slice would keep all of the frame.
        self._rest = frame[list(range(whole, frame.height))] if whole else frame
        return groups

    def _table(self, frame: pl.DataFrame) -> Any:
        """Give rows as an Arrow table, money in yuan."""
        shown = _in_yuan(frame, self._money_columns, self._as_decimal)
        if self._schema is None:
            self._schema, self._few = shown.schema, _of_few_values(shown)
        assert shown.schema == self._schema, "every piece has the columns of the first"
        return shown.to_arrow(compat_level=pl.CompatLevel.oldest())

    def _write(self, groups: list[Any]) -> None:
        with self._replacement.writing():
            while groups:
                self._write_group(groups.pop(0))

    def _write_group(self, rows: Any) -> None:
        first, self._begun = not self._begun, True
        if self._kind == "csv":
            shown = _in_yuan(rows, self._money_columns, self._as_decimal)
            shown.write_csv(self._replacement.file, include_header=first)
            return
        import pyarrow.parquet as pq

        if first:
            self._parquet = pq.ParquetWriter(
                self._replacement.file, rows.schema, compression="zstd", use_dictionary=self._few
            )
        self._parquet.write_table(rows, row_group_size=ROW_GROUP)

    def finish(self) -> None:
        """Bring all that was appended to the disk; the end of the block then only puts the file in its place.

        Several files of one run are finished before the first of them replaces an old one. Raises OutputError
        cannot_write.
        """
        self._wait()
        rest, self._rest = self._rest, None
        if rest is not None and (rest.height or self._schema is None):
            self._write([self._table(rest)])
        assert self._schema is not None, "append at least one frame, which may hold 0 rows"
        with self._replacement.writing():
            if self._parquet is not None:
                self._parquet.close()
            self._replacement.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
        except BaseException:
            self._give_up()
            raise
        if kind is not None:
            self._give_up()
            return
        self._let_go()
        self._replacement.__exit__(None, None, None)

    def _let_go(self) -> None:
        if self._hand is not None:
            self._hand.shutdown(wait=True, cancel_futures=True)
            self._hand = None

    def _give_up(self) -> None:
        self._let_go()
        if self._parquet is not None:
            with contextlib.suppress(Exception):
                self._parquet.close()
        self._replacement.drop()


ROW_GROUP = 1 << 18
"""How many rows a group of a Parquet file holds."""

_MANY = 100_000
"""From how many rows on it is worth writing them beside other work."""


def _of_few_values(frame: pl.DataFrame) -> list[str]:
    """List the columns that a dictionary makes smaller, by their first rows; of unique values it only costs time."""
    head = frame.head(10_000)
    return [
        name
        for name, kind in frame.schema.items()
        if not kind.is_float() and not kind.is_nested() and 4 * head[name].n_unique() <= max(4, head.height)
    ]


class _Replacement:
    """Be a new file beside an old one, which takes its place when the block ends well."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.given = os.fspath(path)
        self.target = Path(path).resolve()
        self.temporary = self.target.with_name(f".{self.target.stem[:40]}.{secrets.token_hex(6)}.part")

    def __enter__(self) -> Self:
        try:
            # Opened like any new file, so that the user's umask decides who may read it.
            descriptor = os.open(self.temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            self.file: BufferedWriter = os.fdopen(descriptor, "wb")
        except OSError as error:
            raise self._failure(error) from None
        except BaseException:  # an interruption between the two lines
            self.drop()
            raise
        _hold(descriptor)
        with contextlib.suppress(OSError):
            # Settlements are personal data: a file that was closed to others stays closed.
            os.fchmod(descriptor, stat.S_IMODE(self.target.stat().st_mode))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
                self.file.close()
                self.temporary.replace(self.target)
                return
        except OSError as failure:
            error = failure
        self.drop()
        if _is_writing_failure(error):
            raise self._failure(error) from None

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn what goes wrong while this file is written into OutputError cannot_write, which names it."""
        try:
            yield
        except Exception as error:
            if _is_writing_failure(error):
                raise self._failure(error) from None
            raise

    def flush(self) -> None:
        """Bring the new file to the disk, still beside the old one."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def drop(self) -> None:
        """Give the new file up, opened or not; the old one stays."""
        with contextlib.suppress(OSError, AttributeError):
            self.file.close()
        self.temporary.unlink(missing_ok=True)

    def _failure(self, error: BaseException | None) -> OutputError:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error).split("\n", 1)[0]
        return OutputError(
            "cannot_write",
            f"{self.given} could not be written: {why}. What stood there before is unchanged. "
            "Free some space, or name a file in a folder where you may write.",
        )


def _hold(descriptor: int) -> None:
    """Lock a half-written file while its process lives, so that what a killed one left can be told from it."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_full(error: Exception) -> bool:
    """Say whether an error means that nothing more can be written; Polars tells the system's number in words only."""
    told = re.search(r"\(os error (\d+)\)", str(error))
    number = getattr(error, "errno", None) or (int(told[1]) if told else None)
    return number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _is_writing_failure(error: BaseException | None) -> bool:
    if isinstance(error, (OSError, pl.exceptions.PolarsError)):
        return True
    return type(error).__module__.startswith("pyarrow")


def _in_yuan(frame: pl.DataFrame, money_columns: Sequence[str] | None, as_decimal: bool) -> pl.DataFrame:
    if money_columns is None:
        money_columns = [n for n, t in frame.schema.items() if n.endswith("_fen") and t == pl.Int64]
    money = set(money_columns)
    assert money <= set(frame.columns), f"no such columns: {money - set(frame.columns)}"
    shown = []
    for name in frame.columns:
        column = pl.col(name)
        if name in money:
            if as_decimal:
                # 10**16 fen beyond the largest sum would not fit into 18 digits; Decimal keeps the count of fen as is.
                column = (column.cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(18, 2))
            else:
                column = yuan_of(column)
            column = column.alias(name.removesuffix("_fen"))
        shown.append(column)
    return frame.select(shown)


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


def _check_header(path: Path, place: str) -> None:
    """Read the first line strictly: encoding, emptiness and repeated names, which the reader would let pass."""
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    if not start.strip(b"\xef\xbb\xbf \t\r\n"):
        raise InputError("empty_file", f"{place} is empty: not even a line with column names. Export it again.")
    line = start.split(b"\n", 1)[0].removeprefix(b"\xef\xbb\xbf").rstrip(b"\r")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise _not_utf8(place) from None
    if "\r" in text:
        raise InputError("broken_csv", f"{place} ends its lines with a bare carriage return. Save it as CSV UTF-8.")
    names = next(csv.reader([text]), [])
    other = {";": "semicolons", "\t": "tabs", "|": "bars"}
    if len(names) == 1 and (found := [told for mark, told in other.items() if mark in names[0]]):
        raise InputError(
            "broken_csv",
            f"{place} has {found[0]} between its columns, not commas. Save it as CSV with commas, in UTF-8.",
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError("ambiguous_column", f"{place} has more than one column {twice[0]!r}. Keep one of them.")


def _settle_short_lines(scan: Scan, blank_lines: bool) -> Scan:
    """Tell an empty last cell from a missing one; the fast reader takes both for empty."""
    assert scan.path is not None
    fault = _csv_fault(scan.path)
    if fault:
        raise InputError("broken_csv", f"{scan.place}: {fault}. Export it again, or mend the line.")
    if not blank_lines:
        return scan
    import pyarrow.csv as pa_csv

    table = pa_csv.read_csv(scan.path, **_strict_csv(scan.names))
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return replace(scan, frame=frame.lazy())


def _strict_csv(names: Sequence[str] | None) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    text = dict.fromkeys(names, pa.string()) if names else None
    return {
        "read_options": pa_csv.ReadOptions(use_threads=False, block_size=8 << 20),
        "parse_options": pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=True),
        "convert_options": pa_csv.ConvertOptions(
            column_types=text, strings_can_be_null=True, quoted_strings_can_be_null=True, null_values=[""]
        ),
    }


def _csv_fault(path: Path) -> str | None:
    """Say what is wrong with a CSV file and in which row, without repeating its content; None where nothing is."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    try:
        names = pl.scan_csv(path, infer_schema=False, glob=False).collect_schema().names()
        with pa_csv.open_csv(path, **_strict_csv(names)) as reader:
            for _ in reader:
                pass
    except pa.ArrowInvalid as error:
        row = re.search(r"Row #(\d+)", str(error))
        fields = re.search(r"Expected (\d+) columns, got (\d+)", str(error))
        where = f"row {row[1]} of the file" if row else "a row"
        return f"{where} has {fields[2]} fields where the header has {fields[1]}" if fields else f"{where} is malformed"
    return None


def broken(scan: Scan, error: Exception) -> InputError:
    """Say of a scanned file that it broke on the way, without repeating its cells."""
    assert scan.path is not None
    return _broken(file_format(scan.path), scan.place, error, scan.path)


def _broken(kind: str, place: str, error: Exception, path: Path | None = None) -> InputError:
    if kind == "parquet":
        first = str(error).split("\n", 1)[0]
        if isinstance(error, (pl.exceptions.SchemaError, pl.exceptions.ColumnNotFoundError)):
            words = re.split(", (?:hint|consider)", first)[
                0
            ]  # what follows is for those who call the reader themselves
            return InputError(
                "wrong_type",
                f"{place} has files of other columns or types than its first ({words}). Write them alike.",
            )
        return InputError("broken_parquet", f"{place} is not a whole Parquet file ({first}). Export or copy it again.")
    if "utf-8" in str(error).lower() or "utf8" in str(error).lower():
        return _not_utf8(place)
    fault = _csv_fault(path) if path else None
    # The reader's own words may repeat cells, so they are not passed on.
    return InputError("broken_csv", f"{place}: {fault or 'the quotation marks do not match'}. Export it again.")


def _not_utf8(place: str) -> InputError:
    return InputError(
        "broken_csv", f"{place} is not UTF-8 text (it may be GBK or UTF-16). Save it as CSV UTF-8, or as Parquet."
    )


__all__ = [
    "Scan",
    "Source",
    "TableWriter",
    "check_outputs",
    "collect",
    "file_format",
    "read_table",
    "scan_table",
    "sink_all",
    "survey",
    "write_bytes",
    "write_table",
]
