"""Screen the rows of a task batch by batch: whole households at a time, in bounded memory, into part files.

Nothing in here knows Spark but `tasks_of`. A batch is a frame with one row for each row of the tables: `kind` (the
place of its table in KINDS), ROW (its place in that table), `again` and `settled` (what the whole tables say about it),
and the row itself, packed under the name of its table.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import MedfloorError, OutputError
from medfloor.intake import TableWriter
from medfloor.intake.registers import REFUSED, ROW, STAGE, Part, RegisterFiles, is_made_up, read_register_files
from medfloor.settlement.spark import as_came, carried_home, whole_units
from medfloor.settlement.spark.inputs import Shape
from medfloor.watch.homes import Register, Standing, gather
from medfloor.watch.rules import Rules
from medfloor.watch.screening import Screening, money_of, screen_batch
from medfloor.watch.signals import Seen, seen_of

TABLES = ("people", "households", "settlements", "previous", "spells", "claims")
KINDS = (*TABLES, "known")
"""The kinds of rows of a batch; `known` are earlier alerts, as `read_known` gives them."""

PIECE = 100_000
"""How many rows are screened together: some 250 MB in the executor's Python."""

OUTPUTS = ("alerts", "suppressed", "households", "rejected")


@dataclass(frozen=True)
class Asked:
    """Be what every task is told: the tables' columns, and the constants of all households.

    `groups` are the statuses that there are, `wave` the year of the households taken from a panel. Without `standing`
    tasks only look, so that it can be worked out.
    """

    shapes: Mapping[str, Shape]
    groups: tuple[str, ...]
    wave: int | None
    year: int
    as_of: date
    rules: Rules
    folder: str
    standing: Standing | None = None
    piece: int = PIECE


@dataclass
class Tally:
    """Be what was counted: rows of each table, settlements by where they went and their money in fen."""

    rows: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    money: dict[str, int] = field(default_factory=dict)
    made_up: bool = False

    def add(self, other: Tally) -> None:
        """Add what another part counted."""
        for mine, more in ((self.rows, other.rows), (self.counts, other.counts), (self.money, other.money)):
            for name, number in more.items():
                mine[name] = mine.get(name, 0) + number
        self.made_up |= other.made_up


@dataclass
class Done:
    """Be what one task has done: its part files by table, what it counted, and what it saw for the standing."""

    files: dict[str, list[str]] = field(default_factory=dict)
    tally: dict[str, Any] = field(default_factory=dict)
    previous: int = 0
    last_claim: str | None = None


def read_batch(rows: pl.DataFrame, asked: Asked) -> tuple[RegisterFiles, pl.DataFrame]:
    """Read the rows of a batch as a whole register is read; give it with the alerts that were known before."""
    parts = {name: rows.filter(pl.col("kind") == number) for number, name in enumerate(KINDS)}
    tables = {
        name: shape.scan(as_came(parts[name][name], shape.schema).with_columns(parts[name][ROW]), whole=False)
        for name, shape in asked.shapes.items()
    }
    before = parts["previous"]
    part = Part(parts["settlements"]["again"], before["again"], before["settled"], asked.wave)
    known = parts["known"]["known"].struct.unnest()
    read = read_register_files(
        people=tables["people"], households=tables["households"], settlements=tables["settlements"],
        previous=tables.get("previous"), spells=tables.get("spells"), claims=tables.get("claims"),
        groups=asked.groups, part=part,
    )  # fmt: skip
    return read, known


def look(rows: pl.DataFrame, asked: Asked) -> Seen:
    """See what the households of a batch add to the standing of all."""
    read, _ = read_batch(rows, asked)
    register = Register(read.people, read.households, read.spells, read.claims)
    return seen_of(gather(register, read.settlements, year=asked.year, as_of=asked.as_of))


def screened(rows: pl.DataFrame, asked: Asked) -> tuple[Screening, Tally]:
    """Screen the households of a batch; `rejected` has what reading refused, too."""
    assert asked.standing is not None
    read, known = read_batch(rows, asked)
    register = Register(read.people, read.households, read.spells, read.claims)
    found = screen_batch(
        register, read.settlements, asked.rules, standing=asked.standing, year=asked.year, as_of=asked.as_of,
        known_alerts=known,
    )  # fmt: skip
    columns = [*REFUSED, ROW, STAGE]
    kinds = {ROW: pl.Int64, STAGE: pl.Int8}
    rejected = pl.concat([one.select(columns).cast(kinds) for one in (read.rejected, found.rejected)])  # type: ignore[arg-type]
    whole = Screening(
        found.alerts, found.households.with_columns(pl.col(ROW).cast(pl.Int64)), rejected, found.suppressed,
        found.standing, found.counts,
    )  # fmt: skip
    money = money_of(read, found, year=asked.year, as_of=asked.as_of)
    return whole, Tally(dict(read.rows), dict(found.counts), money, is_made_up(read.people))


def lost_part(path: str, what: str) -> OutputError:
    """Make the error of a part, or of the folder of the parts, that one machine wrote and another does not see."""
    return OutputError(
        "cannot_write",
        f"{what} is not there: {path}. With --engine spark all machines must see the folder in which --out lies under "
        "the same path. Mount its disk everywhere or name another --out, and run the same command again.",
    )


class Parts:
    """Write part files under names that no other attempt of the task has."""

    def __init__(self, folder: str) -> None:
        self._folder, self._name = Path(folder), f"{secrets.token_hex(8)}.parquet"
        self._stack = ExitStack()
        self._open: dict[str, TableWriter] = {}
        self.files: dict[str, list[str]] = {}

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def append(self, table: str, frame: pl.DataFrame) -> None:
        """Append rows to the part of a table; money stays in fen.

        Raises OutputError cannot_write where this machine does not see the folder of the parts.
        """
        if table not in self._open:
            if not self._folder.is_dir():
                raise lost_part(str(self._folder), "the folder of the parts, which the driver made,")
            path = self._folder / f"{table}-{self._name}"
            self._open[table] = self._stack.enter_context(TableWriter(path, money_columns=()))
            self.files[table] = [str(path)]
        self._open[table].append(frame)


def tasks_of(asked: Asked) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Make the function that Spark runs over the Arrow batches of a task; it gives one row: what was done, as JSON."""

    def work(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        done, tally = Done(), Tally()
        try:
            with Parts(asked.folder) as parts:
                for piece in whole_units(batches, asked.piece):
                    rows = pl.from_arrow(pa.Table.from_batches(piece))
                    assert isinstance(rows, pl.DataFrame)
                    if asked.standing is None:
                        _look(rows, asked, parts, done)
                        continue
                    found, counted = screened(rows, asked)
                    tally.add(counted)
                    for table in OUTPUTS:
                        parts.append(table, getattr(found, table))
            done.files, done.tally = parts.files, asdict(tally)
        except MedfloorError as error:
            raise carried_home(error) from None
        yield pa.RecordBatch.from_pydict({"done": [json.dumps(asdict(done))]})

    return work


def _look(rows: pl.DataFrame, asked: Asked, parts: Parts, done: Done) -> None:
    seen = look(rows, asked)
    parts.append("means", seen.means)
    done.previous += seen.previous
    days = [day for day in (done.last_claim, seen.last_claim and seen.last_claim.isoformat()) if day]
    done.last_claim = max(days, default=None)


def nothing(asked: Asked) -> pl.DataFrame:
    """Make a batch of no rows."""
    packed = {
        name: pl.Struct({f"c{number}": kind for number, kind in enumerate(shape.schema.values())})
        for name, shape in asked.shapes.items()
    }
    known = pl.Struct({"household_id": pl.String(), "signal": pl.String(), "suppressed_until": pl.Date(),
                       "excess": pl.Float64()})  # fmt: skip
    return pl.DataFrame(
        schema={"kind": pl.Int8(), ROW: pl.Int64(), "again": pl.Boolean(), "settled": pl.Boolean(), **packed,
                "known": known}
    )  # fmt: skip
