"""Time a run from Parquet to Parquet with all checks against Polars scanning, sorting and writing the same columns.

`python benchmarks/files.py [CLAIMS] [RUNS]`. Each run has a process of its own; the programs take turns, so that other
work stretches all alike. Memory a claim comes from the same runs at a fifth of the size: what the peak grew by.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from made_up import files
from timing import table

HERE = Path(__file__).parent
OUT = HERE / "out"

PLAIN = """
import polars as pl
(pl.scan_parquet({claims!r}).sort("person_id", "end_date")
 .select("claim_id", "person_id", pl.col("end_date").dt.year().alias("benefit_year"),
         pl.lit(1, dtype=pl.Int32).alias("sequence"), "end_date", "total", "in_scope",
         *(pl.col("in_scope").alias(f"x{{i}}") for i in range(8)))
 .sink_parquet({out!r}))
"""
OURS = """
from medfloor.settlement.chunks import Files, settle_files
settle_files(Files({claims!r}, {people!r}, {spells!r}, out={out!r}), "cn/beijing", limit_memory={limit})
"""
FRAME = """
import json, resource, time
start = time.perf_counter()
{code}
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which begins with what the process that started this one held.
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([time.perf_counter() - start, used.ru_utime + used.ru_stime, peak]))
"""
PROGRAMS = {
    "Polars: scan, sort, write the same columns": PLAIN,
    "medfloor settle": OURS.replace("{limit}", "None"),
    "medfloor settle --limit-memory 2GB": OURS.replace("{limit}", "2_000_000_000"),
}


class Run(NamedTuple):
    """One process: seconds by the clock and of processors, from after its start; its peak of memory in bytes."""

    seconds: float
    processor: float
    peak: float


def run(code: str) -> Run:
    """Run a program in a process of its own."""
    done = subprocess.run([sys.executable, "-c", FRAME.format(code=code)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Run(*json.loads(done.stdout.splitlines()[-1]))


def programs(claims: int, *, shuffled: bool) -> dict[str, str]:
    """Make the files of so many claims, and the code of each program on them."""
    paths = [str(path) for path in files(OUT, claims, claims // 5, shuffled)]
    names = dict(zip(("claims", "people", "spells"), paths, strict=True)) | {"out": str(OUT / "out.parquet")}
    return {what: code.format(**names) for what, code in PROGRAMS.items()}


def main(claims: int = 10_000_000, runs: int = 3) -> None:
    """Print the table: plain Polars, a whole run, and one below a limit of memory; sorted and shuffled input."""
    rows = [
        ["what", "seconds", "of processors", "times Polars", "of processors", "peak memory, GB", "bytes a claim more"]
    ]
    for shuffled in (False, True):
        few = {what: run(code) for what, code in programs(claims // 5, shuffled=shuffled).items()}
        whole = programs(claims, shuffled=shuffled)
        done: dict[str, list[Run]] = {what: [] for what in whole}
        for _ in range(runs):
            for what, code in whole.items():
                done[what].append(run(code))
        seconds = {what: statistics.median(one.seconds for one in all_) for what, all_ in done.items()}
        processor = {what: statistics.median(one.processor for one in all_) for what, all_ in done.items()}
        plain = next(iter(whole))
        for what, all_ in done.items():
            peak = max(one.peak for one in all_)
            rows.append(
                [
                    f"{what}; {'shuffled' if shuffled else 'sorted'} input",
                    f"{seconds[what]:.1f}",
                    f"{processor[what]:.1f}",
                    f"{seconds[what] / seconds[plain]:.2f}",
                    f"{processor[what] / processor[plain]:.2f}",
                    f"{peak / 1e9:.2f}",
                    f"{(peak - few[what].peak) / (claims - claims // 5):.0f}",
                ]
            )
    load = f"load {os.getloadavg()[0]:.1f}"
    table(f"Parquet to Parquet with all checks, Beijing's full policy, {claims:,} claims, {load}", rows)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
