"""Screen files on a Spark cluster: look at whole tables, work out the constants of all households, then screen.

The executors run the same reading and the same screening as one machine, on whole households. They write part files
beside the output; the driver holds the alerts, what was refused, and of each household a few narrow columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.intake import Scan, people_keys, read_households, read_keys, scan_table, spells_keys
from medfloor.intake.files import survey
from medfloor.intake.registers import ROW, groups_in, wave_of, waves_in
from medfloor.intake.settlements import read_settlements
from medfloor.settlement.spark import (
    as_came,
    check_spark,
    open_table,
    over_batches,
    scratch,
    share_out,
    spark_errors,
    spark_session,
)
from medfloor.settlement.spark.inputs import Shape
from medfloor.watch.rules import Rules
from medfloor.watch.screening import Screening, in_order
from medfloor.watch.signals import Seen, standing_from
from medfloor.watch.spark.batches import (
    PIECE,
    TABLES,
    Asked,
    Done,
    Tally,
    look,
    lost_part,
    nothing,
    screened,
    tasks_of,
)
from medfloor.watch.spark.units import Inputs

ROWS_A_TASK = 1_000_000
"""About how many rows of all tables one task screens."""

IN_MEMORY = 2_000_000
"""How many rows of households are put in order together by the driver."""

_COUNTED = ("place", "township", "alerts", "suppressed", "urgency", "absent_care", "not_asked", ROW)
"""What counts need of a household; the rest stays in the part files."""


@dataclass(frozen=True, eq=False)
class Found:
    """Be what a cluster found: a screening whose `households` have only the columns that counts need.

    `rows`, `money` and `made_up` are those of all tables, `wave` the year of the households taken from a panel.
    `households` gives all their columns, piece by piece in the order of the register; it reads part files, which are
    there until the run ends.
    """

    screening: Screening
    rows: Mapping[str, int]
    money: Mapping[str, int]
    made_up: bool
    wave: int | None
    parts: Sequence[str] = field(repr=False)
    head: pl.DataFrame = field(repr=False)

    def households(self) -> Iterator[pl.DataFrame]:
        """Read the households back, at most IN_MEMORY at a time."""
        yield self.head.drop(ROW)
        if not self.parts:
            return
        every = pl.scan_parquet(list(self.parts), glob=False)
        places = every.select(ROW).collect()[ROW].sort()
        for first in range(0, places.len(), IN_MEMORY):
            last = min(first + IN_MEMORY, places.len()) - 1
            mine = every.filter(pl.col(ROW).is_between(places[first], places[last]))
            yield mine.collect(engine="streaming").sort(ROW).drop(ROW)


@contextmanager
def run_on_spark(
    files: Mapping[str, str],
    groups: Sequence[str],
    *,
    beside: str,
    master: str | None = None,
    rows_a_task: int = ROWS_A_TASK,
    piece: int = PIECE,
) -> Iterator[Tables]:
    """Open the files of a register on a cluster, by the names of `read_register_files`.

    `beside` is a path on the disk that all machines see, beside which the part files lie while the run lasts. `groups`
    are the statuses that rules name. Raises what `read_register_files` raises for files as a whole, UsageError
    spark_missing, java_missing and spark_unreachable, and OutputError spark_failed.
    """
    check_spark()
    scans, known = _looked_at({name: files[name] for name in TABLES if files.get(name)}, groups)
    with scratch(beside) as folder:
        looked = {name: open_table(scan, files[name], folder, name) for name, scan in scans.items()}
        with spark_session(master, name="medfloor watch screen") as session:
            opened = {name: table.on(session) for name, table in looked.items()}
            tables = Tables(session, Inputs(opened), folder, known, rows_a_task, piece)
            try:
                yield tables
            finally:
                with suppress(Exception):  # a cluster that is gone keeps nothing, and what ended the run is said
                    tables.release()


class Tables:
    """Be the tables of a run, open on the cluster."""

    def __init__(
        self, session: Any, inputs: Inputs, folder: Path, groups: Sequence[str], rows_a_task: int, piece: int
    ) -> None:
        self._session, self._inputs, self._folder, self._groups = session, inputs, folder, tuple(groups)
        self._rows_a_task, self._piece = rows_a_task, piece
        self._shapes = {name: Shape(table.schema, table.scan.place) for name, table in inputs.tables.items()}
        self._ordered: Any = None

    def release(self) -> None:
        """Let go what the executors keep."""
        if self._ordered is not None:
            self._ordered.unpersist()
        self._inputs.release()

    def days(self) -> pl.DataFrame:
        """Give each benefit year of usable settlements with its last settled_date."""
        shapes, found = self._shapes, []
        with spark_errors("screening"):
            for name, frame in self._inputs.settled().items():
                rows = frame if "settled" in frame.columns else frame.selectExpr("*", "false as settled")
                work = over_batches(_Days(name, shapes[name]))
                told = rows.select(name, "again", "settled").mapInArrow(work, "benefit_year int, settled_date date")
                found += [tuple(row) for row in told.groupBy("benefit_year").agg({"settled_date": "max"}).collect()]
        schema = {"benefit_year": pl.Int32, "settled_date": pl.Date}
        return pl.DataFrame(found, schema=schema, orient="row").group_by("benefit_year").agg(pl.all().max())

    def screen(
        self,
        rules: Rules,
        *,
        year: int,
        as_of: date,
        known_alerts: pl.DataFrame | None = None,
        claims_until: date | None = None,
    ) -> Found:
        """Screen all households, as `watch.screen` does what `read_register_files` read.

        Raises what those two raise, and OutputError spark_failed.
        """
        with spark_errors("screening"):
            wave = self._wave(year)
            asked = Asked(self._shapes, self._groups, wave, year, as_of, rules, str(self._folder), piece=self._piece)
            empty = nothing(asked)
            first = look(empty, asked)
            self._ordered = self._by_unit(known_alerts)
            seen = _seen(self._run(asked), first)
            standing = standing_from([seen], rules, claims_until)
            asked = replace(asked, standing=standing)
            head, tally = screened(empty, asked)
            done = self._run(asked)
        return self._found(done, head, tally, wave)

    def _wave(self, year: int) -> int | None:
        table = self._inputs.tables["households"]
        if "wave" not in table.schema:
            return None
        work = over_batches(_Waves(self._shapes["households"]))
        told = table.frame.select(table.packed().alias("all")).mapInArrow(work, "wave bigint").distinct().collect()
        return wave_of(sorted(row[0] for row in told), year)

    def _by_unit(self, known: pl.DataFrame | None) -> Any:
        """Sort all rows by unit, and keep them on the executors' disks: they are gone through twice."""
        from pyspark import StorageLevel

        if known is not None:
            worst = known.drop_nulls("household_id").group_by("household_id", "signal")
            path = self._folder / "known.parquet"
            worst.agg(pl.col("suppressed_until", "excess").max()).write_parquet(path)
            kinds = "household_id string, signal string, suppressed_until date, excess double"
            self._inputs = replace(self._inputs, known=self._session.read.schema(kinds).parquet(str(path)))
        rows = sum(table.rows for table in self._inputs.tables.values())
        tasks = share_out(self._session, rows, rows_a_task=self._rows_a_task)
        united = self._inputs.by_unit().repartitionByRange(tasks, "unit")
        return united.sortWithinPartitions("unit", "kind", ROW).persist(StorageLevel.DISK_ONLY)

    def _run(self, asked: Asked) -> list[Done]:
        answers = self._ordered.mapInArrow(tasks_of(asked), "done string").collect()
        return [Done(**json.loads(row["done"])) for row in answers]

    def _found(self, done: Sequence[Done], head: Screening, tally: Tally, wave: int | None) -> Found:
        for each in done:
            tally.add(Tally(**each.tally))
        for name, table in self._inputs.tables.items():
            assert tally.rows[name] == table.rows, f"every row of {name} was read, once"
        parts = {name: _parts_of(done, name) for name in ("alerts", "suppressed", "households", "rejected")}

        def whole(name: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
            first: pl.DataFrame = getattr(head, name)
            taken = first.columns if columns is None else [one for one in columns if one in first.columns]
            frames = [first.select(taken)]
            if parts[name]:
                frames.append(pl.scan_parquet(parts[name], glob=False).select(taken).collect())
            return pl.concat(frames)

        found = Screening(
            whole("alerts"), whole("households", _COUNTED), whole("rejected"), whole("suppressed"), head.standing,
            tally.counts,
        )  # fmt: skip
        return Found(
            in_order(found), tally.rows, tally.money, tally.made_up, wave, parts["households"], head.households
        )


@dataclass(frozen=True)
class _Days:
    """Give the benefit years of some settlements, each with its last day."""

    table: str
    shape: Shape

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        found = read_settlements(
            self.shape.scan(as_came(rows[self.table], self.shape.schema)), again=rows["again"].fill_null(value=False)
        )
        kept = found.accepted.filter(~rows["settled"].fill_null(value=False).gather(found.rows))
        return kept.group_by("benefit_year").agg(pl.col("settled_date").max())


@dataclass(frozen=True)
class _Waves:
    """Give the years of a panel that some households are of."""

    shape: Shape

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        found = read_households(self.shape.scan(as_came(rows["all"], self.shape.schema)))
        return pl.DataFrame({"wave": waves_in(found.accepted)}, schema={"wave": pl.Int64})


def _parts_of(done: Sequence[Done], name: str) -> list[str]:
    """List the parts of a table that the executors wrote. Raises OutputError cannot_write where one is not here."""
    parts = [path for each in done for path in each.files.get(name, [])]
    lost = [path for path in parts if not Path(path).is_file()]
    if lost:
        more = f" (and {len(lost) - 1:,} more)" if len(lost) > 1 else ""
        raise lost_part(lost[0], f"a part of {name} that an executor wrote{more}")
    return parts


def _seen(done: Sequence[Done], first: Seen) -> Seen:
    """Put together what the tasks saw of all households."""
    parts = _parts_of(done, "means")
    means = [first.means] + ([pl.read_parquet(parts, glob=False)] if parts else [])
    days = [date.fromisoformat(each.last_claim) for each in done if each.last_claim]
    return Seen(sum(each.previous for each in done), max(days, default=None), pl.concat(means))


def _looked_at(files: Mapping[str, str], groups: Sequence[str]) -> tuple[dict[str, Scan], list[str]]:
    """Look at every table as a whole, in the order in which one machine reads them; give the statuses, too."""
    scans: dict[str, Scan] = {}
    every = list(groups)
    for name in ("people", "households", "settlements", "previous", "spells", "claims"):
        if name not in files:
            continue
        scan = scan_table(files[name], "settlements" if name == "previous" else name)
        if name == "people":
            scan = people_keys(scan).scan
        elif name == "claims":
            scan = read_keys(scan).scan
        elif name == "spells":
            every = groups_in(scan, groups)
            scan, _ = spells_keys(scan, every)
        else:
            scan, _ = survey(scan, ())
            head = replace(scan, frame=scan.frame.head(0), path=None)
            read_households(head) if name == "households" else read_settlements(head)
        scans[name] = scan
    return scans, every
