"""Settle the same files on this machine and on a Spark cluster, in one run: seconds, memory, equal files.

`python benchmarks/spark.py [CLAIMS] [MASTER]`; without a master a cluster of two workers is started on loopback, as the
tests do. One machine comes first, then the cluster twice: with its start, and warm. Then the same with 100,000 of the
claims under one person (`SKEW`), which no task can share out.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "settlement")]

from made_up import claims_and_people  # noqa: E402
from timing import table  # noqa: E402

CLAIMS_A_PERSON = 5
SKEW = 100_000
"""Claims of the one person who has by far the most, in the second table."""


def main(claims: int = 2_000_000, master: str | None = None) -> None:
    """Print the table."""
    import polars as pl
    from clusters import missing

    from medfloor.settlement.chunks import Files, settle_files
    from medfloor.settlement.spark import settle_on_spark, spark_session

    if missing():
        raise SystemExit(missing())

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = claims_and_people(claims, claims // CLAIMS_A_PERSON, shuffled=True)
        paths = {}
        for kind, frame in zip(("claims", "people", "spells"), tables, strict=True):
            paths[kind] = str(folder / f"{kind}.parquet")
            frame.write_parquet(paths[kind])
        one_person = pl.when(pl.int_range(pl.len()) < SKEW).then(pl.lit("00000000")).otherwise("person_id")
        skewed = {**paths, "claims": str(folder / "skewed.parquet")}
        tables[0].with_columns(one_person.alias("person_id")).write_parquet(skewed["claims"])
        del tables, frame
        rows = [("run", "seconds", "against one machine", "million claims a second", "peak of memory, GB")]

        def told(what: str, one: float | None, work: Callable[[], Any]) -> float:
            with _watched() as peak:
                begun = time.perf_counter()
                work()
                seconds = time.perf_counter() - begun
            rate = f"{claims / seconds / 1e6:.2f}"
            rows.append((what, f"{seconds:.1f}", f"{seconds / (one or seconds):.1f}", rate, f"{peak[0] / 1e9:.1f}"))
            return seconds

        def files(out: str) -> Files:
            return Files(**paths, out=str(folder / f"{out}.parquet"))

        def uneven(out: str) -> Files:
            return Files(**skewed, out=str(folder / f"{out}.parquet"))

        settle_files(files("one"), "cn/beijing")  # compiled, and the files in the cache of the disk
        one = told("one machine", None, lambda: settle_files(files("one"), "cn/beijing"))
        with _cluster(folder, master) as address, spark_session(address):
            told("cluster, first job", one, lambda: settle_on_spark(files("far"), "cn/beijing"))
            told("cluster, warm", one, lambda: settle_on_spark(files("far"), "cn/beijing"))
            told("cluster, warm, into a folder by month", one, lambda: settle_on_spark(
                Files(**paths, out=f"{folder}/far/"), "cn/beijing"))  # fmt: skip
            same = pl.read_parquet(files("one").out).equals(pl.read_parquet(files("far").out))
            one = told(f"one machine, {SKEW:,} claims of one person", None,
                       lambda: settle_files(uneven("one"), "cn/beijing"))  # fmt: skip
            told(f"cluster, warm, {SKEW:,} claims of one person", one,
                 lambda: settle_on_spark(uneven("far"), "cn/beijing"))  # fmt: skip
            same &= pl.read_parquet(files("one").out).equals(pl.read_parquet(files("far").out))
        load = f"{os.getloadavg()[0]:.1f}"
        table(f"Spark: {claims:,} claims, shuffled, Parquet to Parquet; files equal: {same}; load {load}", rows)


@contextmanager
def _cluster(folder: Path, master: str | None) -> Iterator[str]:
    if master:
        yield master
        return
    from clusters import cluster

    with cluster(folder) as running:
        yield running.address


@contextmanager
def _watched() -> Iterator[list[int]]:
    """Watch what this process and all that it started hold in memory, twice a second."""
    import psutil

    peak, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            held = 0
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    held += process.memory_info().rss
                except psutil.Error:
                    continue
            peak[0] = max(peak[0], held)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


if __name__ == "__main__":
    main(*(int(sys.argv[1]),) if len(sys.argv) > 1 else (), *sys.argv[2:3])
