"""Reach a Spark cluster: find pyspark and Java, open a session, and say in one line what goes wrong there.

pyspark is an optional extra, so that it is imported only here, and only when it is asked for.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfloor import errors
from medfloor.errors import MedfloorError, OutputError, UsageError

if TYPE_CHECKING:
    import polars as pl

DEFAULT_MASTER = "local[*]"

_ALWAYS = {
    "spark.sql.caseSensitive": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.parquet.filterPushdown": "true",
}
"""What the results rest on: names and text are taken as they are."""

_UNLESS_SAID = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    "spark.sql.execution.arrow.maxBytesPerBatch": "64m",
}
"""What only decides how fast it goes; `spark-submit --conf` or spark-defaults.conf win."""

_MARK = "medfloor-error:"


@contextmanager
def spark_session(master: str | None = None, *, name: str = "medfloor") -> Iterator[Any]:
    """Open a session on a cluster; one that runs in this process already is used, and stays open.

    `master` is an address such as spark://host:7077 or local[2]; without one that of spark-submit counts, then
    SPARK_MASTER, then this machine. Raises UsageError spark_missing, java_missing, spark_unreachable.
    """
    with quietly():
        check_spark()
        from pyspark import SparkConf, SparkContext
        from pyspark.sql import SparkSession

        # Workers take the interpreter of this program, in which medfloor is installed, unless the office says another.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        running = SparkContext._active_spark_context
        address = master or "the running session"
        try:
            SparkContext._ensure_initialized()  # else what spark-submit and spark-defaults.conf say would not be seen
        except Exception as error:
            raise _unreachable(address, error) from None
        conf = SparkConf() if running is None else running.getConf()
        if running is None:
            submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # else Java has a master and a name of its own making
            said = conf.get("spark.master", None) if submitted else os.environ.get("SPARK_MASTER")
            address = master or said or DEFAULT_MASTER
            conf.setMaster(address)
            if not submitted:
                conf.setAppName(name).set("spark.ui.showConsoleProgress", str(sys.stderr.isatty()).lower())
            # A task has one processor; with threads for all of them the tasks of a machine stand in each other's way.
            conf.setIfMissing("spark.executorEnv.POLARS_MAX_THREADS", conf.get("spark.task.cpus", None) or "1")
            # Executors in this very process would write their stack traces, with what stands in a cell, to stderr.
            debugging = "ERROR" if os.environ.get("MEDFLOOR_DEBUG") else "OFF"
            asks = conf.get("spark.log.level", None) is None and not address.startswith("local")
            conf.setIfMissing("spark.log.level", "ERROR" if asks else debugging)
        interrupted = signal.getsignal(signal.SIGINT)
        try:
            root = SparkSession.builder.config(conf=conf).getOrCreate()
        except Exception as error:
            raise _unreachable(address, error) from None
        if running is None and interrupted is not None and threading.current_thread() is threading.main_thread():
            # Spark's own handler would also interrupt what cleans up. The jobs end with the session.
            signal.signal(signal.SIGINT, interrupted)
        if running is None and asks:
            _let_it_say_that_it_waits(root)
        session = root.newSession()
        for key, value in _ALWAYS.items():
            session.conf.set(key, value)
        for key, value in _UNLESS_SAID.items():
            if conf.get(key, None) is None:
                session.conf.set(key, value)
        try:
            yield session
        finally:
            if running is None:
                root.stop()


def _let_it_say_that_it_waits(session: Any) -> None:
    """Let Spark warn while a job waits for workers, which would else go on in silence for ever."""
    with suppress(Exception):  # another way of logging: then it is for those who chose it
        log4j = session._jvm.org.apache.logging.log4j
        scheduler = "org.apache.spark.scheduler.TaskSchedulerImpl"
        log4j.core.config.Configurator.setLevel(scheduler, log4j.Level.WARN)


def _unreachable(address: str, error: Exception) -> UsageError:
    return UsageError(
        "spark_unreachable",
        f"no Spark session could be opened on {address}: {_first_line(error)}. Check the address, that the master and "
        "its workers are up, and that Java is 17 or newer.",
    )


@contextmanager
def quietly() -> Iterator[None]:
    """Keep pyspark from warning of the version of pandas, which we do not use with it, and py4j from stack traces.

    py4j logs an interruption, or a Java that is gone, as a stack trace; we say either in one line.
    """
    root, theirs = logging.getLogger(), logging.getLogger("py4j")
    level = theirs.level

    def ours(record: logging.LogRecord) -> bool:
        return "py4j" not in Path(record.pathname).parts

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)
        warnings.simplefilter("ignore", ResourceWarning)  # sockets that pyspark leaves to the collector
        root.addFilter(ours)
        theirs.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            root.removeFilter(ours)
            theirs.setLevel(level)


def check_spark() -> None:
    """Raise UsageError spark_missing or java_missing where no session could be opened; this takes no time."""
    if importlib.util.find_spec("pyspark") is None:
        raise UsageError(
            "spark_missing",
            "--engine spark needs pyspark, which is not installed here. Install it with "
            "pip install 'medfloor[spark]', or run without --engine spark.",
        )
    _check_java()


def _check_java() -> None:
    """Raise UsageError java_missing where pyspark would find no Java; it needs 17 or newer."""
    home = os.environ.get("JAVA_HOME")
    if home and Path(home, "bin", "java").exists():
        return
    if shutil.which("java") is None:
        raise UsageError(
            "java_missing",
            "--engine spark needs Java 17 or newer, and there is none here. Install it (Debian: "
            "apt-get install openjdk-17-jre-headless), or set JAVA_HOME.",
        )


def parallelism(session: Any) -> int:
    """Count the tasks that run at once."""
    return max(1, int(session.sparkContext.defaultParallelism))


ROWS_A_TASK = 1_000_000
"""About how many rows one task works through; more tasks than processors share the work evenly."""


def share_out(session: Any, rows: int, *, rows_a_task: int = ROWS_A_TASK) -> int:
    """Say into how many tasks rows are shared out, and shuffle them so, unless the office says otherwise."""
    tasks = max(parallelism(session), -(-rows // rows_a_task))
    if session.sparkContext.getConf().get("spark.sql.shuffle.partitions", None) is None:
        session.conf.set("spark.sql.shuffle.partitions", str(tasks))
    return tasks


def carried_home(error: MedfloorError) -> RuntimeError:
    """Turn an error of ours, in an executor, into one from which `spark_errors` makes it again at home."""
    told = {"kind": type(error).__name__, "code": error.code, "message": error.message}
    return RuntimeError(f"{_MARK}{json.dumps(told)}:end")


def over_batches(
    work: Callable[[pl.DataFrame], pl.DataFrame],
) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Make of a function of frames the one that mapInArrow runs over the batches of a task, in the executors.

    What it gives must have the columns that Spark was told; an error of ours is carried home.
    """

    def mapped(batches: Iterator[Any]) -> Iterator[Any]:
        import polars as pl

        for batch in batches:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            try:
                made = work(frame)
            except MedfloorError as error:
                raise carried_home(error) from None
            yield as_batch(made)

    return mapped


def as_batch(frame: pl.DataFrame) -> Any:
    """Give a frame as one Arrow batch with the types that Spark has: texts with 32-bit offsets.

    >>> import polars as pl
    >>> as_batch(pl.DataFrame({"person_id": ["p"], "fen": [100]})).schema.types
    [DataType(string), DataType(int64)]
    """
    import polars as pl
    import pyarrow as pa

    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    kinds = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    schema = pa.schema([(one.name, kinds.get(one.type, one.type)) for one in table.schema])
    columns = [table[name].combine_chunks().cast(kind) for name, kind in zip(schema.names, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@contextmanager
def spark_errors(doing: str) -> Iterator[None]:
    """Raise what an executor or Spark itself raised as an error of ours, in one line.

    Raises the error of ours that an executor met, else OutputError spark_failed.
    """
    try:
        with quietly():
            yield
    except MedfloorError:
        raise
    except Exception as error:
        if not type(error).__module__.startswith(("pyspark", "py4j")):
            raise
        found = re.search(re.escape(_MARK) + r"(\{.*?\}):end", str(error), re.DOTALL)
        if found:
            told = json.loads(found[1])
            raise getattr(errors, told["kind"])(told["code"], told["message"]) from None
        raise OutputError(
            "spark_failed",
            f"{doing} failed on the cluster: {_first_line(error)}. What stood in the outputs before is unchanged. Look "
            "into the logs of the driver and of the executor that failed, mend it, and run the same command again.",
        ) from None


def _first_line(error: BaseException) -> str:
    """Give what Spark says first, without the trace of its stack; never a cell of a table."""
    text = str(error).strip() or type(error).__name__
    missing = re.search(r"No module named '[\w.]+'", text)
    if missing:
        return f"{missing[0]} in the Python of an executor; set spark.pyspark.python to one that has medfloor[spark]"
    if text.startswith("An error occurred while calling"):
        text = text.partition("\n")[2].lstrip(": ") or text
    return text.split("\n", 1)[0][:300].rstrip(". ")
