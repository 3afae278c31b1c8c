"""What the one test on a Spark cluster checks of screening: every file and line is, byte for byte, that of one machine.

`tests/settlement/test_spark.py` runs `CHECKS` on its cluster.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from made_registers import flawed

import medfloor.watch.spark.engine
from medfloor.cli.synthesise import command as synthesise
from medfloor.cli.watch.screen import command
from medfloor.errors import MedfloorError
from medfloor.intake import partition_path
from medfloor.settlement.chunks import Files, settle_files


@contextmanager
def tiny() -> Iterator[None]:
    """Let tasks and pieces have a few rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            medfloor.watch.spark, "run_on_spark", partial(medfloor.watch.spark.run_on_spark, rows_a_task=100, piece=70)
        )
        yield


@contextmanager
def wide_batches() -> Iterator[None]:
    """Let Arrow batches have more rows than the three of the tests' session."""
    opened = medfloor.watch.spark.engine.spark_session

    @contextmanager
    def wide(*arguments: Any, **named: Any) -> Iterator[Any]:
        with opened(*arguments, **named) as session:
            session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "2000")
            yield session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(medfloor.watch.spark.engine, "spark_session", wide)
        yield


def screen(files: dict[str, Path], *arguments: str) -> Result:
    """Run `medfloor watch screen`."""
    words = [word for table, path in files.items() for word in (f"--{table}", str(path))]
    return CliRunner().invoke(command, [*words, *arguments])


def held_against(folder: Path, files: dict[str, Path], arguments: str = "", code: int = 1, name: str = "") -> None:
    """Screen here and on the cluster; both print the same, end alike, and write the same files."""
    answers, written = [], []
    for far in (False, True):
        out = folder / f"{'far' if far else 'near'}{name}"
        engine = ["--engine", "spark"] if far else []
        done = screen(files, *arguments.split(), "--out", str(out), "--page", "5", *engine)
        if isinstance(done.exception, MedfloorError):  # which `main` says in one line
            answers.append((2, done.exception.code, done.exception.message))
        else:
            assert not done.exception or isinstance(done.exception, SystemExit), "".join(
                traceback.format_exception(done.exception)
            )
            answers.append((done.exit_code, done.stdout.replace(str(out), "out"), ""))
        written.append({path.name: path.read_bytes() for path in sorted(out.glob("*"))})
    assert answers[0] == answers[1], "\n".join(str(answer)[:3000] for answer in answers)
    assert answers[0][0] == code, answers[0]
    assert written[0].keys() == written[1].keys()
    for file, content in written[0].items():
        assert content == written[1][file], file
    assert bool(written[0]) == (code != 2)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def flawed_registers_with_known_alerts(folder: Path, _: Any) -> None:
    """Screen a panel out of CSV files; then another register, out of Parquet, with earlier alerts known."""
    for seed, arguments in ((3, ""), (8, f"--known {folder}/earlier --as-of 2025-10-20 --lang zh --format parquet")):
        at = folder / f"made{seed}"
        at.mkdir()
        tables = flawed(seed, homes=7 if seed == 3 else 12)
        files = {name: at / f"{name}.csv" for name in tables}
        for name, table in tables.items():
            table.write_csv(files[name])
        if seed == 8:
            files |= {"settlements": at / "settled", "people": at / "people.parquet"}
            _by_month(pl.read_csv(at / "settlements.csv", infer_schema=False), files["settlements"])
            pl.read_csv(at / "people.csv", infer_schema=False).write_parquet(files["people"])
            screen(files, "--as-of", "2025-09-30", "--out", str(folder / "earlier"))
        with tiny(), nullcontext() if seed == 3 else wide_batches():
            held_against(folder, files, arguments, name=str(seed))
    assert pl.read_parquet(folder / "far8" / "households.parquet")["suppressed"].sum() > 0


def what_cannot_be_screened_is_said_as_by_one_machine(folder: Path, _: Any) -> None:
    tables = flawed(1)
    files = {name: folder / f"{name}.csv" for name in tables}
    for name, table in tables.items():
        table.write_csv(files[name])
    wrong = tables["spells"].with_columns(group=pl.lit("Nobody knows"))
    wrong.write_csv(folder / "wrong.csv")
    held_against(folder, files | {"spells": folder / "wrong.csv"}, code=2)
    tables["households"].drop("household_id").write_csv(folder / "wrong.csv")
    held_against(folder, files | {"households": folder / "wrong.csv"}, code=2)
    held_against(folder, {"people": files["people"], "households": files["households"],
                          "settlements": files["settlements"]}, "--year 1999", code=2)  # fmt: skip


def a_county_by_place_and_month(folder: Path, _: Any) -> None:
    """Screen 3,000 made-up people, whose claims and settlements lie by place and month."""
    done = CliRunner().invoke(synthesise, ["--people", "3000", "--seed", "5", "--out", str(folder / "made"),
                                           "--format", "parquet"])  # fmt: skip
    assert done.exit_code in (0, 1), done.output
    made = {name: folder / "made" / f"{name}.parquet" for name in ("people", "households", "spells", "claims")}
    settled = folder / "settled.parquet"
    paths = {name: str(made[name]) for name in ("claims", "people", "spells")}
    settle_files(Files(**paths, out=str(settled)), str(folder / "made" / "policy.yaml"))
    files = made | {"claims": folder / "claims", "settlements": folder / "settled"}
    _by_month(pl.read_parquet(made["claims"]), files["claims"], "start_date")
    _by_month(pl.read_parquet(settled), files["settlements"])
    day = pl.read_parquet(settled)["settled_date"].max()
    assert day is not None
    with wide_batches():
        held_against(folder, files, f"--as-of {day} --place 520102", code=0)
    assert pl.read_csv(folder / "far" / "alerts.csv").height > 50


def _by_month(table: pl.DataFrame, folder: Path, day: str = "settled_date") -> None:
    """Write a table by place and month, of the last place two files a month."""
    place = (pl.col("person_id").fill_null("").hash(seed=1) % 2).cast(pl.String).alias("place")
    keyed = table.with_columns(place, pl.col(day).cast(pl.String).str.head(7).alias("month"))
    parts = keyed.partition_by("place", "month", include_key=False, as_dict=True, maintain_order=True)
    for (where, when), part in parts.items():
        at = folder / partition_path({"place": str(where), "month": None if when is None else str(when)})
        at.mkdir(parents=True)
        for number, some in enumerate((part.head(9), part.slice(9)) if where == "1" else (part,)):
            some.write_parquet(at / f"part-{number}.parquet")


CHECKS: tuple[Callable[[Path, Any], None], ...] = (
    flawed_registers_with_known_alerts,
    what_cannot_be_screened_is_said_as_by_one_machine,
    a_county_by_place_and_month,
)
