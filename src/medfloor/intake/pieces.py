"""Cut a table that may be larger than memory into pieces on the disk, in one pass over it, and read them back.

A piece is a file to which batches of rows are appended, each an Arrow stream of its own; so no piece is held open, and
there may be many. Rows keep their order and every value its type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import OutputError
from medfloor.intake.files import Scan, broken, is_full

BATCH = 250_000
"""So many rows are looked at together: enough for both processors, little beside everything else."""


def batches(scan: Scan, query: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Run a query over a scan and give its rows in order, some at a time.

    Raises InputError where the file breaks on the way, as `collect` does.
    """
    try:
        yield from query.collect_batches(chunk_size=BATCH, maintain_order=True, engine="streaming")
    except pl.exceptions.PolarsError as error:
        if scan.path is None:
            raise
        raise broken(scan, error) from None


class Pieces:
    """Append rows to numbered pieces of a folder, named `<name>-<number>.arrow`; a piece without rows has no file.

    `place` is the table that is cut, and named where the disk is full.
    """

    def __init__(self, folder: Path, name: str, place: str) -> None:
        self._folder = folder
        self._name = name
        self._place = place

    def path(self, number: int) -> Path:
        """Give the file of a piece."""
        return self._folder / f"{self._name}-{number:04d}.arrow"

    def append(self, frame: pl.DataFrame, numbers: pl.Series) -> None:
        """Add each row to the piece of its number; rows of a piece keep their order.

        Raises OutputError cannot_write where the disk is full.
        """
        import pyarrow as pa

        order, starts = _by_number(numbers)
        table = _plain(frame.rechunk()[order]).to_arrow(compat_level=pl.CompatLevel.oldest())
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        for number in np.flatnonzero(np.diff(starts)):
            some = table.slice(starts[number], starts[number + 1] - starts[number])
            with (
                writing(self._folder, self._place),
                self.path(int(number)).open("ab") as file,
                pa.ipc.new_stream(file, table.schema, options=options) as stream,
            ):
                stream.write_table(some)

    def read(self, number: int, schema: pl.Schema) -> pl.DataFrame:
        """Read a piece, with the columns of `schema`; without rows where it has no file."""
        import pyarrow as pa

        path = self.path(number)
        if not path.exists():
            return pl.DataFrame(schema=schema)
        found = []
        with pa.OSFile(str(path)) as file:
            while file.tell() < path.stat().st_size:
                with pa.ipc.open_stream(file) as stream:
                    found.append(stream.read_all())
        frame = pl.from_arrow(pa.concat_tables(found))
        assert isinstance(frame, pl.DataFrame)
        return frame.cast(schema)


class writing:
    """Turn a full disk into OutputError cannot_write, which says where to make room; other errors pass."""

    def __init__(self, folder: Path, place: str) -> None:
        self._folder = folder
        self._place = place

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and is_full(error):
            raise OutputError(
                "cannot_write",
                f"the parts of {self._place} do not fit on the disk of {self._folder.parent}. What stood there before "
                "is unchanged. Free about as much space as the file takes, or write to another disk.",
            ) from None


class HeldPieces:
    """Append rows to numbered pieces in memory, and take each out once it is read; otherwise as `Pieces`."""

    def __init__(self) -> None:
        self._held: dict[int, list[pl.DataFrame]] = {}

    def append(self, frame: pl.DataFrame, numbers: pl.Series) -> None:
        """Add each row to the piece of its number; rows of a piece keep their order."""
        order, starts = _by_number(numbers)
        frame = frame.rechunk()  # to pick rows out of several chunks takes four times as long
        for number in np.flatnonzero(np.diff(starts)):
            # Taken out, because a slice would keep the rows of all pieces until the last is dropped.
            some = frame[order[starts[number] : starts[number + 1]]]
            self._held.setdefault(int(number), []).append(some)

    def read(self, number: int, schema: pl.Schema) -> pl.DataFrame:
        """Give a piece, with the columns of `schema`."""
        found = self._held.get(number)
        return pl.concat(found).cast(schema) if found else pl.DataFrame(schema=schema)

    def drop(self, number: int) -> None:
        """Let a piece go, which nobody reads again."""
        self._held.pop(number, None)


def _by_number(numbers: pl.Series) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Give the order in which rows of the same number stand together, and where each number begins."""
    piece = numbers.to_numpy()
    order = np.argsort(piece.astype(np.uint16), kind="stable")
    return order, np.concatenate([[0], np.cumsum(np.bincount(piece))])


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Give categories as text: each batch of them would bring a dictionary of its own."""
    coded = [n for n, kind in frame.schema.items() if isinstance(kind, (pl.Categorical, pl.Enum))]
    return frame.with_columns(pl.col(coded).cast(pl.String)) if coded else frame


def number_of(bounds: Sequence[str], keys: pl.Series) -> pl.Series:
    """Number the range of each key: range k holds the keys from bound k - 1 up to bound k; 0 for an empty key."""
    if not bounds:
        return pl.zeros(len(keys), pl.UInt16, eager=True)
    found = pl.Series(bounds, dtype=pl.String).search_sorted(keys, side="right").cast(pl.UInt16)
    return found.set(keys.is_null(), 0) if keys.null_count() else found
