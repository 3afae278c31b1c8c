"""Settle files on a Spark cluster: read, bring units together, settle in the executors, and publish at the end.

The executors write part files beside the output and tell their names; what an attempt that failed has written is in no
list. Only when every task is done are the files put together and given their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from medfloor.errors import InputError, MedfloorError, MissingValueError, OutputError
from medfloor.intake import (
    FolderReplacement,
    Scan,
    TableWriter,
    check_folder,
    check_outputs,
    check_written,
    means_folder,
    read_keys,
    read_people,
    read_spells,
    scan_table,
)
from medfloor.intake.layout import match_columns
from medfloor.policy.load import PolicySet, groups_of
from medfloor.settlement.balance import Accumulators, from_table, to_file_form
from medfloor.settlement.batch import Law
from medfloor.settlement.chunks import Files, Tally, previous_of
from medfloor.settlement.results import NATIONAL_MONEY, money_columns
from medfloor.settlement.reversal import DIFFERENCES_ORDER, differences_between
from medfloor.settlement.settle import Settlements, law_of, settle
from medfloor.settlement.spark.blocks import blocks_of
from medfloor.settlement.spark.inputs import ROW, Inputs, Shape, Table, as_came, open_table, scratch
from medfloor.settlement.spark.pieces import NOTHING_ELSEWHERE, PIECE, Done, Job, Output, block_settler, settler
from medfloor.settlement.spark.session import (
    ROWS_A_TASK,
    carried_home,
    check_spark,
    share_out,
    spark_errors,
    spark_session,
)
from medfloor.settlement.work import sweep
from medfloor.tables import SPELLS

IN_MEMORY = 2_000_000
"""How many refused rows are put in order together by the driver."""

BYTES_A_TASK = 100_000_000
"""How many bytes of claims, as they came, a task holds at most: wide rows are shared out into more tasks."""


def settle_on_spark(
    files: Files,
    policy: str | PolicySet | Law,
    *,
    reforms: Sequence[str] = (),
    columns: Literal["ours", "national"] = "ours",
    master: str | None = None,
    rows_a_task: int = ROWS_A_TASK,
    piece: int = PIECE,
) -> Tally:
    """Settle files of claims on a Spark cluster; what comes out is what `settle_files` gives.

    Inputs are files or folders of Parquet files; an output that ends in / (or is a folder) is written as a folder, the
    settlements by place and month. All lie on a disk that every machine sees under the same path. `master` is the
    cluster's address (see `spark_session`).

    Raises what `settle_files` raises, UsageError spark_missing, java_missing, spark_unreachable, and OutputError
    spark_failed where the cluster gives up; what stood in the outputs before then still stands.
    """
    law = law_of(policy, reforms)
    named = files
    files = replace(
        files,
        rejects=files.rejects or _beside(files.out, "rejects"),
        differences=files.differences or _beside(files.out, "differences"),
    )
    _check(files)
    check_spark()
    sweep(files.outputs)
    with ExitStack() as stack:
        folder = stack.enter_context(scratch(files.out))
        run = _Run(files, law, columns, folder, stack)
        run.look()  # what is wrong with the inputs is told before Spark starts
        session = stack.enter_context(spark_session(master))
        with spark_errors("settling"):
            inputs = run.inputs(session)
            codes = law.policies.versions[-1].codes
            rows_a_task = max(1, min(rows_a_task, BYTES_A_TASK // _width(inputs.claims)))
            tasks = share_out(session, inputs.claims.rows, rows_a_task=rows_a_task)
            job, cut = run.job(piece), None
            if not law.layout.household and inputs.previous is None:
                cut = blocks_of(session, inputs, (codes.med_type, codes.hosp_lv), tasks, rows_a_task)
            if cut is not None:
                rows, work = cut[0], block_settler(job, cut[1].elsewhere)
            else:
                united = inputs.by_unit(law.layout.household, codes.med_type, codes.hosp_lv)
                rows = united.repartitionByRange(tasks, "unit").sortWithinPartitions("unit", "kind", ROW)
                work = settler(job)
            answers = rows.mapInArrow(work, "done string").collect()
            inputs.release()
        done = sorted((Done(**json.loads(row["done"])) for row in answers), key=lambda each: each.partition)
        tally = _sum(done, law.layout.tiers)
        assert tally.rows_in == inputs.claims.rows, "every row of claims is settled or refused, once"
        lacking = [each.unpublished for each in done if each.unpublished]
        if lacking and not any(each.pays for each in done):
            raise MissingValueError("policy_value_missing", lacking[0])
        tally.partitions = len(done)
        run.publish(named, done, tally)
    return tally


class _Run:
    """Be one run: its files, the shapes of its tables, and where its parts lie until they are published."""

    def __init__(
        self, files: Files, law: Law, columns: Literal["ours", "national"], folder: Path, stack: ExitStack
    ) -> None:
        self._files, self._law, self._columns, self._folder, self._stack = files, law, columns, folder, stack
        self._replacements: dict[str, FolderReplacement] = {}
        self._tables: dict[str, Table] = {}

    def look(self) -> None:
        """Look at every input as a whole, as the local reader does; what is CSV is written as Parquet."""
        files, law = self._files, self._law
        codes = law.policies.versions[-1].codes
        claims = read_keys(files.claims, med_type=codes.med_type, hosp_lv=codes.hosp_lv).scan
        people = _surveyed(scan_table(files.people, "people"))
        read_people(_head(people))
        spells = opening = previous = None
        groups = groups_of(law.policies)
        if files.spells:
            spells = _surveyed(scan_table(files.spells, "spells"))
            group = match_columns(spells, SPELLS).given["group"]
            read_spells(_only(spells, group), known_groups=groups)
        if files.opening:
            opening = _surveyed(scan_table(files.opening))
            opening = replace(opening, place=str(files.opening))
            from_table(opening.frame.head(0).collect(), law.layout, opening.place)
        if files.previous:
            previous = _surveyed(scan_table(files.previous, "settlements"))
            previous_of(_head(previous).frame.collect(), files.previous, law)
        for name, scan, given in (
            ("claims", claims, files.claims), ("people", people, files.people), ("spells", spells, files.spells),
            ("opening", opening, files.opening), ("previous", previous, files.previous),
        ):  # fmt: skip
            if scan is not None and given is not None:
                self._tables[name] = open_table(scan, given, self._folder, name)

    def inputs(self, session: Any) -> Inputs:
        """Give the inputs as Spark reads them."""
        tables = {name: table.on(session) for name, table in self._tables.items()}
        previous = self._previous(tables["previous"]) if "previous" in tables else None
        self._inputs = Inputs(tables["claims"], tables["people"], tables.get("spells"), tables.get("opening"), previous)
        self._empty = self._nothing()
        return self._inputs

    def _previous(self, table: Table) -> Any:
        """Read earlier settlements as fen, in the executors: claim_id, and all payments packed."""
        from pyspark.sql import functions as F

        path, law, schema = table.scan.place, self._law, table.schema
        names = previous_of(_head(table.scan).frame.collect(), path, law).columns

        def read(batches: Iterator[Any]) -> Iterator[Any]:
            import pyarrow as pa

            for batch in batches:
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                try:
                    found = previous_of(as_came(frame["all"], schema), path, law)
                except MedfloorError as error:
                    raise carried_home(error) from None
                kinds = [pa.string(), *([pa.int64()] * (len(names) - 1))]
                yield pa.RecordBatch.from_arrays(
                    [pa.array(found[name].to_list(), kind) for name, kind in zip(names, kinds, strict=True)], names
                )

        typed = ", ".join(["claim_id string", *(f"`{name}` bigint" for name in names[1:])])
        fen = table.frame.select(table.packed().alias("all")).mapInArrow(read, typed).persist()
        self._stack.callback(fen.unpersist)
        if fen.groupBy("claim_id").count().where("count > 1 and claim_id is not null").limit(1).count():
            raise InputError(
                "duplicate_claim_id", f"{path} has two rows of the same claim_id; name one run's settlements"
            )
        return fen.select(
            F.col("claim_id").alias("_claim_id"), F.struct(*(F.col(f"`{name}`") for name in names)).alias("previous")
        )

    def _nothing(self) -> Settlements:
        """Settle no claims at all, to know the columns of every table that comes out."""
        law, files, inputs = self._law, self._files, self._inputs
        rows = inputs.claims.scan
        empty = pl.DataFrame(schema={**rows.schema, ROW: pl.Int64})
        opening = None
        if inputs.opening is not None:
            rows_of_none = pl.DataFrame(schema=inputs.opening.schema)
            opening = Accumulators(from_table(rows_of_none, law.layout, str(files.opening)))
        return settle(
            Scan(empty.lazy(), empty.schema, rows.place, whole=False),
            pl.DataFrame(schema=inputs.people.schema), None, law, engine="reference", opening=opening,
            closing=files.closing is not None, trace=files.trace is not None, columns=self._columns,
            elsewhere=NOTHING_ELSEWHERE,
        )  # fmt: skip

    def job(self, piece: int) -> Job:
        """Say what the executors need to know."""
        inputs, files = self._inputs, self._files
        outputs = {}
        for table in ("out", "rejects", "trace", "closing", "differences"):
            path = getattr(files, table)
            if path is None:
                continue
            if means_folder(path):
                replacement = FolderReplacement(path)
                self._stack.callback(replacement.drop)
                self._replacements[table] = replacement
                outputs[table] = Output(str(replacement.here), self._decimal(table), partitioned=table == "out")
            else:
                at = self._folder / table
                at.mkdir()
                outputs[table] = Output(str(at), self._decimal(table) or path.lower().endswith(".csv"))

        def shape(table: Table | None) -> Shape | None:
            return None if table is None else Shape(table.schema, table.scan.place)

        claims, people = shape(inputs.claims), shape(inputs.people)
        assert claims is not None
        assert people is not None
        return Job(
            self._law, claims, people, shape(inputs.spells), shape(inputs.opening), self._columns, outputs,
            inputs.previous is not None, piece,
        )  # fmt: skip

    def _decimal(self, table: str) -> bool:
        """Say whether a table's amounts are decimals, as local settlement has them: where those of the claims are."""
        return table in ("out", "trace") and self._empty.decimal_money

    def publish(self, named: Files, done: Sequence[Done], tally: Tally) -> None:
        """Put the parts of every table together, all of them whole on the disk before the first gets its name."""
        files = self._files
        assert files.rejects is not None
        assert files.differences is not None
        tally.files = [("settlements", files.out)]
        tables = ["out"]
        if tally.rejected or named.rejects or Path(files.rejects).exists():
            tally.files.append(("rejects", files.rejects))
            tables.append("rejects")
        if any(each.files.get("differences") for each in done) or named.differences or Path(files.differences).exists():
            tally.files.append(("differences", files.differences))
            tables.append("differences")
        for name in ("trace", "closing"):
            if path := getattr(files, name):
                tally.files.append((name, path))
                tables.append(name)
        with ExitStack() as stack:
            writers, folders = [], []
            for table in tables:
                parts = {name: rows for each in done for name, rows in each.files.get(table, {}).items()}
                if table in self._replacements:
                    if not parts:
                        parts = self._write_nothing(table)
                    self._replacements[table].keep(parts)
                    folders.append(self._replacements[table])
                    continue
                there = [self._folder / table / name for name in parts]
                check_written(there, getattr(files, table))
                writer = stack.enter_context(TableWriter(getattr(files, table), money_columns=()))
                writer.append(self._head_of(table))
                for frame in self._in_order(table, there, tally):
                    writer.append(frame)
                writers.append(writer)
            for writer in writers:
                writer.finish()
            for folder in folders:
                folder.publish()

    def _head_of(self, table: str) -> pl.DataFrame:
        """Give a table of no rows with the columns of a result, in the form of its file."""
        empty, law = self._empty, self._law
        if table == "rejects":
            return empty.rejected.drop(ROW)
        if table == "trace":
            assert empty.trace is not None
            frame, money = (
                empty.trace,
                [name for name, kind in empty.trace.schema.items() if name.endswith("_fen") and kind == pl.Int64],
            )
        elif table == "differences":
            frame = differences_between(empty.fen, empty.fen)
            money = [name for name in frame.columns if name.endswith("_fen")]
        elif table == "closing":
            assert empty.closing is not None
            frame, counters = to_file_form(empty.closing, law.layout)
            money = [f"{name}_fen" for name in counters]
        elif self._columns == "national":
            assert empty.national_fen is not None
            frame, money = empty.national_fen, list(NATIONAL_MONEY)
        else:
            frame, money = empty.fen, money_columns(empty.tiers)
        path = getattr(self._files, table)
        exact = self._decimal(table) or (not means_folder(path) and path.lower().endswith(".csv"))
        kind = pl.Decimal(18, 2) if exact else pl.Float64()
        amounts = {name: pl.lit(None, kind).alias(name.removesuffix("_fen")) for name in money}
        return frame.select(amounts.get(name, pl.col(name)) for name in frame.columns).clear()

    def _in_order(self, table: str, parts: Sequence[Path], tally: Tally) -> Iterator[pl.DataFrame]:
        """Give the rows of a table part by part, in the order in which local settlement writes them."""
        if not parts:
            return
        every = pl.scan_parquet(list(parts), glob=False)
        if table == "rejects":
            passes = -(-tally.rejected // IN_MEMORY)
            for number in range(passes):
                first, last = (tally.rows_in * n // passes for n in (number, number + 1))
                yield every.filter(pl.col(ROW).is_between(first, last - 1)).sort(ROW).drop(ROW).collect()
        elif self._law.layout.household and table in ("closing", "differences"):
            # Households lie side by side there, but these two are in the order of persons.
            key = ["person_id", "benefit_year"] if table == "closing" else list(DIFFERENCES_ORDER)
            yield every.sort(key).collect(engine="streaming")
        else:
            for path in parts:
                yield pl.read_parquet(path, glob=False, hive_partitioning=False)

    def _write_nothing(self, table: str) -> dict[str, int]:
        """Write one part without rows, so that a folder of nothing still says its columns."""
        with TableWriter(self._replacements[table].here / "000000-nothing.parquet", money_columns=()) as writer:
            writer.append(self._head_of(table))
        return {"000000-nothing.parquet": 0}


def _check(files: Files) -> None:
    """Refuse, before any work is done, outputs that would replace an input, each other, or what is not ours."""
    folders = [path for path in files.outputs if means_folder(path)]
    check_outputs([path for path in files.outputs if path not in folders], files.inputs)
    seen: dict[Path, str] = {Path(path).resolve(): path for path in files.inputs}
    for path in folders:
        real = Path(path).resolve()
        for other, given in seen.items():
            if real == other or real in other.parents or other in real.parents:
                code = "would_replace_input" if given in files.inputs else "same_output"
                raise OutputError(code, f"{path} and {given} lie in each other. Name another folder for the output.")
        check_folder(path)
        seen[real] = path
    for path in files.outputs:
        whole = [one for one in folders if Path(one).resolve() in Path(path).resolve().parents]
        if whole:
            raise OutputError("same_output", f"{path} lies in {whole[0]}, another table. Name a file elsewhere.")
        with scratch(path):  # may it be written there? Better known before the work than after it
            pass


def _beside(out: str, word: str) -> str:
    path = Path(out)
    return f"{path}.{word}/" if means_folder(out) else str(path.with_name(f"{path.stem}.{word}{path.suffix}"))


def _surveyed(scan: Scan) -> Scan:
    from medfloor.intake.files import survey

    return survey(scan, ())[0]


def _width(table: Table) -> int:
    """Say how many bytes of memory a row takes, of the first that there are."""
    head = table.scan.frame.head(10_000).collect()
    return max(1, int(head.estimated_size()) // max(1, head.height))


def _head(scan: Scan) -> Scan:
    """Give the table without its rows: enough to see whether its columns can be read."""
    return replace(scan, frame=scan.frame.head(0), path=None)


def _only(scan: Scan, name: str) -> Scan:
    """Give the distinct values of one column, with nothing in the others."""
    from medfloor.intake.files import survey

    values = survey(scan, [name])[1][name]
    others = [pl.lit(None, dtype=kind).alias(other) for other, kind in scan.schema.items() if other != name]
    frame = pl.DataFrame({name: values}, schema={name: scan.schema[name]}).with_columns(others).select(scan.names)
    return replace(scan, frame=frame.lazy(), path=None)


def _sum(done: Sequence[Done], tiers: Sequence[str]) -> Tally:
    """Add the counts of all tasks."""
    whole = Tally(paid_fen=dict.fromkeys(tiers, 0))
    for each in done:
        whole.plus(Tally(**each.tally))
    return whole
