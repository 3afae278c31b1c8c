"""Settle files larger than memory on one machine: what a claim costs from a million to a hundred million of them.

`python benchmarks/scale.py --claims 100000000` makes the files (about 2.5 GB of Parquet for so many), settles each size
below a limit of memory in a process of its own, prints the table, draws the figure, and settles random persons of each
run again by the reference engine: their rows must be the same, to the fen.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

sys.path.insert(0, str(Path(__file__).parent))

from made_up import stream
from timing import table

HERE = Path(__file__).parent
FIGURE = HERE.parent / "docs" / "figures" / "scale.svg"
SIZES = (1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000)
LAW = "cn/beijing"
PERSONS = 2_000

RUN = """
import json, resource, sys, time
from medfloor.settlement.chunks import Files, settle_files

given = json.loads(sys.argv[1])
start = time.perf_counter()
tally = settle_files(Files(**given["files"]), given["law"], limit_memory=given["limit"], work=given["work"])
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_SELF)
with open("/proc/self/status") as status:  # of this program alone, which ru_maxrss need not be
    peak = int(status.read().split("VmHWM:")[1].split()[0]) * 1024
print(json.dumps([tally.settled, tally.partitions, seconds, used.ru_utime + used.ru_stime, peak]))
"""


@dataclass(frozen=True)
class Measured:
    """Be what one run took: claims, parts, seconds by the clock and of processors, bytes of memory and on the disk.

    `on_disk` is the most that stood there beside the inputs, half-written output and parts together.
    """

    claims: int
    parts: int
    seconds: float
    processor: float
    peak: int
    on_disk: int
    load: float


def settle(paths: tuple[Path, Path, Path], folder: Path, limit: int | None, work: bool) -> Measured:
    """Settle files in a process of its own, into a folder that is empty before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = dict(zip(("claims", "people", "spells"), map(str, paths), strict=True)) | {
        "out": str(folder / "out.parquet")
    }
    given = {"files": files, "law": LAW, "limit": limit, "work": str(folder / "work") if work else None}
    most, ended = [0], threading.Event()
    watching = threading.Thread(target=_watch, args=(folder, most, ended))
    watching.start()
    try:
        call = [sys.executable, "-c", RUN, json.dumps(given)]
        done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True)
    finally:
        ended.set()
        watching.join()
    claims, parts, seconds, processor, peak = json.loads(done.stdout.splitlines()[-1])
    return Measured(claims, parts, seconds, processor, peak, most[0], _load())


def _watch(folder: Path, most: list[int], ended: threading.Event) -> None:
    while not ended.wait(0.5):
        held = 0
        for path in folder.rglob("*"):
            try:
                held += path.stat().st_size
            except OSError:
                continue  # it was there a moment ago
        most[0] = max(most[0], held)


def _load() -> float:
    return float(Path("/proc/loadavg").read_text().split()[0])


def agrees(paths: tuple[Path, Path, Path], out: Path, seed: int = 11, persons: int = PERSONS) -> int:
    """Settle random persons of a run again by the reference engine, and hold every row against the run's.

    Gives how many claims that were. Raises AssertionError where one differs.
    """
    from medfloor.settlement.settle import settle as settled_by

    claims, people, spells = (pl.scan_parquet(path) for path in paths)
    count = people.select(pl.len()).collect().item()
    chosen = np.sort(np.random.default_rng(seed).choice(count, min(persons, count), replace=False))
    places = pl.DataFrame({"at": chosen}).cast(pl.UInt32).lazy()
    some = people.select("person_id").with_row_index("at").join(places, on="at", how="semi").collect(engine="streaming")
    ids = some["person_id"].implode()
    theirs = [each.filter(pl.col("person_id").is_in(ids)) for each in (claims, people, spells, pl.scan_parquet(out))]
    *mine, settled = (each.collect(engine="streaming") for each in theirs)
    again = settled_by(mine[0], mine[1], mine[2], LAW, engine="reference").settlements
    assert_frame_equal(settled, again.select(settled.columns), check_exact=True)
    return again.height


def draw(rows: list[Measured], path: Path) -> None:
    """Draw the cost of a claim and the peak of memory over the number of claims."""
    import altair as alt

    from medfloor.reports.plates import drawn

    cost, peak = "microseconds of processors a claim", "peak, GB"
    points = [{"claims": r.claims, cost: 1e6 * r.processor / r.claims, peak: r.peak / 1e9} for r in rows]
    across = alt.X("claims:Q", scale=alt.Scale(type="log"), axis=alt.Axis(format="~s", title="claims", tickCount=5))
    panels = [
        alt.Chart(alt.Data(values=points), width=290, height=200)
        .mark_line(point=True, color="#0072B2")
        .encode(x=across, y=alt.Y(f"{name}:Q", scale=alt.Scale(zero=True)))
        for name in (cost, peak)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(drawn(alt.hconcat(*panels)))


def main(arguments: list[str] | None = None) -> None:
    """Print the table for sizes up to the one asked for, draw the figure, and check each run."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--claims", type=int, default=10_000_000, help="the largest size; smaller ones come before it")
    asked.add_argument("--limit-gb", type=float, default=2.5, help="--limit-memory of the runs")
    asked.add_argument("--shuffled", action="store_true", help="claims in no order, so that they are cut first")
    asked.add_argument("--work", action="store_true", help="keep what is done, as --work does")
    asked.add_argument("--folder", type=Path, default=HERE / "out" / "scale")
    asked.add_argument("--figure", type=Path, help=f"where the figure goes; for the documentation {FIGURE}")
    asked.add_argument("--keep", action="store_true", help="keep the files that were made")
    given = asked.parse_args(arguments if arguments is not None else [])
    sizes = [size for size in SIZES if size < given.claims] + [given.claims]
    rows, checked = [], 0
    for size in sizes:
        paths = stream(given.folder, size, given.shuffled)
        out = given.folder / "run"
        rows.append(settle(paths, out, int(given.limit_gb * 1e9), given.work))
        assert rows[-1].claims == size
        checked += agrees(paths, out / "out.parquet")
        print(f"{size:,}: {rows[-1]}", file=sys.stderr, flush=True)
        if not given.keep:
            for path in paths:
                path.unlink()
        shutil.rmtree(out)
    head = ["claims", "parts", "seconds", "of processors", "microseconds a claim", "of processors", "peak, GB"]
    lines = [[*head, "most on disk, GB", "load"]]
    for r in rows:
        each = [f"{1e6 * r.seconds / r.claims:.2f}", f"{1e6 * r.processor / r.claims:.2f}"]
        sizes_of = [f"{r.peak / 1e9:.2f}", f"{r.on_disk / 1e9:.2f}", f"{r.load:.0f}"]
        lines.append([f"{r.claims:,}", f"{r.parts}", f"{r.seconds:.1f}", f"{r.processor:.1f}", *each, *sizes_of])
    order = "in no order" if given.shuffled else "in the order of persons"
    kept = ", keeping what is done" if given.work else ""
    table(f"Larger than memory: {LAW}, {order}{kept}, --limit-memory {given.limit_gb:g}GB", lines)
    print(f"\n{checked:,} claims of random persons were settled again by the reference engine: the same, to the fen.")
    if given.figure:
        draw(rows, given.figure)


if __name__ == "__main__":
    main(sys.argv[1:])
