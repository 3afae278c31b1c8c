"""Settle the same files on this machine and on a Spark cluster, in one run: seconds, processors, memory, equal files.

`python benchmarks/spark.py [CLAIMS] [MASTER]`; without a master a cluster of two workers is started on loopback, as the
tests do. One machine comes first, then the cluster: with its start, and warm. Then the same with 100,000 of the claims
under one person (`SKEW`), which no task can share out. The second table has what a warm run takes by stage: seconds of
processors of all processes and bytes shuffled. "a worker" is the most memory that one Python worker held.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "settlement")]

from made_up import claims_and_people  # noqa: E402
from timing import table  # noqa: E402

CLAIMS_A_PERSON = 5
SKEW = 100_000
"""Claims of the one person who has by far the most, in the second table."""

LARGE = 5_000_000
"""From so many claims on only what the table of sizes needs is run."""

WARM = "cluster, warm"
KINDS = {
    "CoarseGrainedExecutorBackend": "executors' Java", "SparkSubmit": "driver's Java",
    "deploy.worker.Worker": "master and workers", "deploy.master.Master": "master and workers",
    "pyspark.daemon": "executors' Python",
}  # fmt: skip
DRIVER = "driver's Python"


def main(claims: int = 2_000_000, master: str | None = None) -> None:
    """Print the tables."""
    from clusters import missing

    if missing():
        raise SystemExit(missing())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "events").mkdir()
        log = {"enabled": "true", "compress": "false", "dir": f"file://{folder}/events"}
        options = " ".join(f"--conf spark.eventLog.{key}={value}" for key, value in log.items())
        os.environ.setdefault("PYSPARK_SUBMIT_ARGS", f"{options} pyspark-shell")
        runs, same = _runs(folder, *_tables(folder, claims), master)
        load = f"{os.getloadavg()[0]:.1f}"
        one = 0.0
        head = ("run", "seconds", "against one machine", "seconds of processors", "peak of memory, GB", "a worker, MB")
        rows = [head]
        for what, watch in runs:
            one = watch.seconds if what.startswith("one machine") else one
            ratio, spent = f"{watch.seconds / one:.1f}", sum(watch.spent.values())
            rows.append((what, f"{watch.seconds:.1f}", ratio, f"{spent:.1f}", f"{watch.peak / 1e9:.1f}",
                         f"{watch.worker / 1e6:.0f}"))  # fmt: skip
        table(f"Spark: {claims:,} claims, shuffled, Parquet to Parquet; files equal: {same}; load {load}", rows)
        watch = next(watch for what, watch in runs if what == WARM)
        _stages(watch, _shuffled(folder / "events"), claims)


def _tables(folder: Path, claims: int) -> tuple[dict[str, str], dict[str, str]]:
    import polars as pl

    tables = claims_and_people(claims, claims // CLAIMS_A_PERSON, shuffled=True)
    paths = {}
    for kind, frame in zip(("claims", "people", "spells"), tables, strict=True):
        paths[kind] = str(folder / f"{kind}.parquet")
        frame.write_parquet(paths[kind])
    if claims >= LARGE:
        return paths, {}
    one_person = pl.when(pl.int_range(pl.len()) < SKEW).then(pl.lit("00000000")).otherwise("person_id")
    skewed = {**paths, "claims": str(folder / "skewed.parquet")}
    tables[0].with_columns(one_person.alias("person_id")).write_parquet(skewed["claims"])
    return paths, skewed


def _runs(
    folder: Path, paths: dict[str, str], skewed: dict[str, str], master: str | None
) -> tuple[list[tuple[str, _Watch]], bool]:
    import polars as pl

    from medfloor.settlement.chunks import Files, settle_files
    from medfloor.settlement.spark import settle_on_spark, spark_session

    runs: list[tuple[str, _Watch]] = []

    def told(what: str, work: Callable[[], Any]) -> None:
        with _watched() as watch:
            work()
        runs.append((what, watch))

    def files(out: str, given: dict[str, str]) -> Files:
        return Files(**given, out=str(folder / f"{out}.parquet"))

    def equal() -> bool:
        return pl.read_parquet(folder / "one.parquet").equals(pl.read_parquet(folder / "far.parquet"))

    settle_files(files("one", paths), "cn/beijing")  # compiled, and the files in the cache of the disk
    told("one machine", lambda: settle_files(files("one", paths), "cn/beijing"))
    with _cluster(folder, master) as address, spark_session(address):
        for what in ("cluster, first job", WARM):
            told(what, lambda: settle_on_spark(files("far", paths), "cn/beijing"))
        same = equal()
        if skewed:
            told("cluster, warm, into a folder by month", lambda: settle_on_spark(
                Files(**paths, out=f"{folder}/far/"), "cn/beijing"))  # fmt: skip
            one, far = (f"{what}, {SKEW:,} claims of one person" for what in ("one machine", "cluster, warm"))
            told(one, lambda: settle_files(files("one", skewed), "cn/beijing"))
            told(far, lambda: settle_on_spark(files("far", skewed), "cn/beijing"))
            same &= equal()
    return runs, same


def _stages(watch: _Watch, shuffled: dict[int, int], claims: int) -> None:
    """Print what a run took by stage; what no stage takes is the driver's, before them and after them."""
    kinds = [*dict.fromkeys(KINDS.values()), DRIVER]
    rows = [("stage", "seconds", *kinds, "all, a million claims", "bytes shuffled a claim")]
    for number, stage in enumerate(watch.stages):
        spent = {kind: watch.by_stage[stage, kind] for kind in kinds}
        name = "the driver" if stage < 0 else f"stage {number}"
        a_million = f"{sum(spent.values()) / claims * 1e6:.2f}"
        rows.append((name, f"{watch.clock[stage]:.1f}", *(f"{spent[kind]:.1f}" for kind in kinds), a_million,
                     f"{shuffled.get(stage, 0) / claims:.0f}"))  # fmt: skip
    rows.append(("all", f"{watch.seconds:.1f}", *(f"{watch.spent[kind]:.1f}" for kind in kinds),
                 f"{sum(watch.spent.values()) / claims * 1e6:.2f}",
                 f"{sum(shuffled.get(stage, 0) for stage in watch.stages) / claims:.0f}"))  # fmt: skip
    table("A warm run by stage, seconds of processors", rows)


def _shuffled(folder: Path) -> dict[int, int]:
    """Read off the event log how many bytes each stage shuffled."""
    found: dict[int, int] = defaultdict(int)
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # the last line of a log that is still written
                event = json.loads(line)
                if event.get("Event") == "SparkListenerTaskEnd":
                    metrics = (event.get("Task Metrics") or {}).get("Shuffle Write Metrics") or {}
                    found[event["Stage ID"]] += metrics.get("Shuffle Bytes Written", 0)
    return found


@contextmanager
def _cluster(folder: Path, master: str | None) -> Iterator[str]:
    if master:
        yield master
        return
    from clusters import cluster

    with cluster(folder) as running:
        yield running.address


@dataclass
class _Watch:
    """Be what a run took: seconds by the clock and of processors, bytes held at most by all and by a Python worker.

    `by_stage` has the seconds of processors by stage (-1 where none runs) and kind of process.
    """

    seconds: float = 0.0
    peak: int = 0
    worker: int = 0
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    by_stage: dict[tuple[int, str], float] = field(default_factory=lambda: defaultdict(float))
    clock: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    stages: list[int] = field(default_factory=list)
    before: dict[int, float] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)

    def look(self, seconds: float) -> None:
        """Count what all processes took since the last look, for the stage that runs now."""
        import psutil

        stage, held = _stage_now(), 0
        if stage not in self.stages:
            self.stages.append(stage)
        self.clock[stage] += seconds
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                times, memory = process.cpu_times(), process.memory_info().rss
                if process.pid not in self.kinds:
                    words = " ".join(process.cmdline())
                    self.kinds[process.pid] = next((kind for word, kind in KINDS.items() if word in words), DRIVER)
            except psutil.Error:
                continue
            kind, taken = self.kinds[process.pid], times.user + times.system
            spent = taken - self.before.get(process.pid, 0.0)
            self.before[process.pid] = taken
            self.spent[kind] += spent
            self.by_stage[stage, kind] += spent
            held += memory
            if kind == KINDS["pyspark.daemon"]:
                self.worker = max(self.worker, memory)
        self.peak = max(self.peak, held)

    def begin(self) -> None:
        """Forget what was before."""
        self.look(0.0)
        for counts in (self.spent, self.by_stage, self.clock):
            counts.clear()
        self.stages.clear()
        self.peak = self.worker = 0


def _stage_now() -> int:
    from pyspark import SparkContext

    context = SparkContext._active_spark_context
    if context is None:
        return -1
    return max(context.statusTracker().getActiveStageIds(), default=-1)


@contextmanager
def _watched() -> Iterator[_Watch]:
    """Watch what this process and all that it started take, five times a second."""
    watch, over = _Watch(), threading.Event()
    watch.begin()
    begun = last = time.perf_counter()

    def look() -> None:
        nonlocal last
        ended = False
        while not ended:
            ended = over.wait(0.2)
            now = time.perf_counter()
            watch.look(now - last)
            last = now

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield watch
    finally:
        watch.seconds = time.perf_counter() - begun
        over.set()
        watcher.join()


if __name__ == "__main__":
    main(*(int(sys.argv[1]),) if len(sys.argv) > 1 else (), *sys.argv[2:3])
