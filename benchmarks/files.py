"""Time a run from Parquet to Parquet with all checks against Polars scanning, sorting and writing the same columns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
print(json.dumps([time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def measure(code: str, runs: int) -> tuple[float, float]:
    """Run a program in processes of its own; give the shortest time in seconds and the peak of memory in GB."""
    times, peaks = [], []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", FRAME.format(code=code)], capture_output=True, text=True, check=True, cwd=HERE
        )
        seconds, peak = json.loads(done.stdout.splitlines()[-1])
        times.append(seconds)
        peaks.append(peak * 1024 / 1e9)
    return min(times), max(peaks)


def main(claims: int = 10_000_000, runs: int = 3) -> None:
    """Print the table: plain Polars, a whole run, and one below a limit of memory; sorted and shuffled input."""
    rows = [["what", "seconds", "times Polars", "peak memory, GB"]]
    for shuffled in (False, True):
        paths = [str(path) for path in files(OUT, claims, claims // 5, shuffled)]
        names = dict(zip(("claims", "people", "spells"), paths, strict=True)) | {"out": str(OUT / "out.parquet")}
        order = "shuffled" if shuffled else "sorted"
        base, memory = measure(PLAIN.format(**names), runs)
        rows.append([f"Polars: scan, sort, write the same columns; {order} input", f"{base:.1f}", "1", f"{memory:.1f}"])
        for label, limit in (("settle", None), ("settle --limit-memory 2GB", 2_000_000_000)):
            seconds, memory = measure(OURS.format(**names, limit=limit), runs)
            rows.append(
                [f"medfloor {label}; {order} input", f"{seconds:.1f}", f"{seconds / base:.1f}", f"{memory:.1f}"]
            )
    table(f"Parquet to Parquet with all checks, Beijing's full policy, {claims:,} claims", rows)


if __name__ == "__main__":
    main()
