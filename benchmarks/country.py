"""Plan the settlement of the whole country on paper, and try the plan out by simulation at three sizes.

`python benchmarks/country.py` prints the tables of docs/country.md in some two seconds. Nothing is settled: rates and
bytes were measured elsewhere (docs/performance.md), machines, failures and slow tasks are assumed. All stand below.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parent))

from timing import table

Floats = NDArray[np.float64]

CLAIMS, INSURED = 5_000_000_000, 1_330_693_900
SIZES = (10_000_000, 100_000_000, CLAIMS)
MACHINES = (1, 4, 16, 64, 256)
LEAP = 30_000_000
"""Claims that one process settles at most: small tasks fill machines better. 100 million take the same memory."""

MEASURED = {
    1_000_000: 2.764, 3_000_000: 5.017, 10_000_000: 15.804, 30_000_000: 34.890, 100_000_000: 98.496,
}  # fmt: skip
"""Seconds by the clock of `benchmarks/scale.py`, in order of persons, two processors, 2026-11-22, load 2 to 4."""

PROCESSOR = 168.0 / 100e6
"""Seconds of processors a claim in the largest of those runs."""

CLOCK = MEASURED[100_000_000] / 100e6
START = MEASURED[1_000_000] - 1e6 * (MEASURED[3_000_000] - MEASURED[1_000_000]) / 2e6

INPUT, OUTPUT, PIECES, PERSON = 21.0, 31.0, 71.0, 4.4
"""Bytes measured on made-up claims: one as it comes, as it goes, in pieces (Arrow, lz4); a person with statuses."""

SPARK_SECONDS, SHUFFLED = 5.6e-6, 53.0
"""Seconds of processors and bytes shuffled a claim of `benchmarks/spark.py`, 10 million, warm, but for the one file."""

ROWS_SECONDS, ROWS_SHUFFLED = 20e-6, 92.0
"""The same where Spark joins and sorts rows (households, --previous): 1 million, as the whole was before blocks."""

POPULATION = {
    "Guangdong": 126.01, "Shandong": 101.53, "Henan": 99.37, "Jiangsu": 84.75, "Sichuan": 83.67, "Hebei": 74.61,
    "Hunan": 66.44, "Zhejiang": 64.57, "Anhui": 61.03, "Hubei": 57.75, "Guangxi": 50.13, "Yunnan": 47.21,
    "Jiangxi": 45.19, "Liaoning": 42.59, "Fujian": 41.54, "Shaanxi": 39.53, "Guizhou": 38.56, "Shanxi": 34.92,
    "Chongqing": 32.05, "Heilongjiang": 31.85, "Xinjiang": 25.85, "Gansu": 25.02, "Shanghai": 24.87, "Jilin": 24.07,
    "Inner Mongolia": 24.05, "Beijing": 21.89, "Tianjin": 13.87, "Hainan": 10.08, "Ningxia": 7.20, "Qinghai": 5.92,
    "Tibet": 3.65,
}  # fmt: skip
"""Millions of people, census of 2020, from general knowledge (not seen by us): used for shares only."""

WHOLE = ("Beijing", "Shanghai", "Tianjin", "Chongqing")
AREAS, SKEW = 333, 0.6
"""Pooling areas of the country and the spread of their sizes in a province (of the logarithm): assumed."""


@dataclass(frozen=True)
class Way:
    """Be one way to settle: what a claim costs in one slot (so many cores), in seconds and in bytes.

    `start` is of each task, `begin` of the whole run, `each` what the driver does for a task while nothing else runs.
    """

    name: str
    cores: int
    seconds: float
    start: float = START
    begin: float = 0.0
    each: float = 0.0
    storage: float = INPUT + OUTPUT + PERSON * INSURED / CLAIMS
    scratch: float = 0.0
    wire: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """Be so many machines of so many cores; bytes a second of each disk and wire, and of the storage that all share."""

    machines: int
    cores: int = 16
    disk: float = 0.5e9
    wire: float = 1.25e9
    storage: float = 2e9

    def slots(self, way: Way) -> int:
        return self.machines * (self.cores // way.cores)


@dataclass(frozen=True)
class Trouble:
    """Be what goes wrong: tasks are up to `spread` longer, a share `rare` is `slow` times as long, machines fail."""

    spread: float = 0.2
    rare: float = 0.02
    slow: float = 3.0
    failures: float = 0.01
    repair: float = 300.0

    def stretch(self) -> float:
        """Give how much longer a task is in the mean."""
        return (1 + self.spread / 2) * (1 + self.rare * (self.slow - 1))

    def beyond(self, times: Floats) -> Floats:
        """Give the probability that a task takes more than so many times its time."""
        spread = max(self.spread, 1e-9)
        usual = np.clip((1 + spread - times) / spread, 0, 1)
        rarely = np.clip((1 + spread - times / self.slow) / spread, 0, 1)
        return np.asarray((1 - self.rare) * usual + self.rare * rarely)


NONE = Trouble(0, 0, 1, 0, 0)
ORDERED = Way("in order of persons", 2, CLOCK)
MONTHS = replace(
    ORDERED, name="folders by month", seconds=3.1e-6 * CLOCK / PROCESSOR,
    storage=ORDERED.storage + INPUT, scratch=2 * PIECES,
)  # fmt: skip
SPARK = replace(
    MONTHS, name="Spark", cores=1, seconds=SPARK_SECONDS, start=0.0, begin=30.0, each=0.005, wire=SHUFFLED,
    scratch=2 * SHUFFLED,
)  # fmt: skip
SPARK_ROWS = replace(
    SPARK, name="Spark, row by row", seconds=ROWS_SECONDS, wire=ROWS_SHUFFLED, scratch=2 * ROWS_SHUFFLED
)
WAYS = (ORDERED, MONTHS, SPARK, SPARK_ROWS)

PREVIOUS = 2.4e-6
"""Seconds of one processor a claim more with --previous: measured at 1 and 2 million claims."""


def provinces(claims: float) -> Floats:
    """Give the claims of each province, as its people."""
    people = np.array(list(POPULATION.values()))
    return np.asarray(claims * people / people.sum())


def tasks(claims: float, way: Way, most: float | None = None, seed: int = 10) -> Floats:
    """Cut claims into tasks, the largest first: pooling areas of uneven size, and ranges of persons of the large ones.

    Spark cuts at a million, whatever the place; its ranges differ by a tenth, because they come from a sample.
    """
    rng = np.random.default_rng(seed)
    if way.cores == 1:
        count = int(np.ceil(claims / 1e6))
        found = rng.uniform(0.9, 1.1, count)
        return np.sort(found * claims / found.sum())[::-1]
    found = []
    for name, all_of in zip(POPULATION, provinces(claims), strict=True):
        areas = 1 if name in WHOLE else max(1, round(AREAS * float(all_of) / claims))
        sizes = rng.lognormal(0, SKEW, areas)
        for size in sizes * all_of / sizes.sum():
            cuts = int(np.ceil(size / (most or LEAP)))
            found += [size / cuts] * cuts
    return np.sort(np.array(found))[::-1]


def bounds(sizes: Floats, way: Way, cluster: Cluster, trouble: Trouble = NONE) -> dict[str, float]:
    """Give the seconds below which each resource alone does not let the run end.

    The longest task is the median of the longest, when each is stretched by chance.
    """
    full = way.start + sizes * way.seconds
    slots, claims = cluster.slots(way), float(sizes.sum())
    lost = 1 + trouble.failures / 3600 * (full.mean() / 2 + trouble.repair)
    least, most = float(full.max()), float(full.max()) * (1 + trouble.spread) * trouble.slow
    for _ in range(20):
        middle = (least + most) / 2
        if trouble.beyond(middle / full).sum() > np.log(2):
            least = middle
        else:
            most = middle
    sent = way.wire * (1 - 1 / cluster.machines)
    return {
        "processors": float(full.sum()) * trouble.stretch() * lost / slots,
        "longest task": most,
        "disks": claims * way.scratch / (cluster.machines * cluster.disk),
        "wires": claims * sent / (cluster.machines * cluster.wire),
        "storage": claims * way.storage / cluster.storage,
    }


def planned(sizes: Floats, way: Way, cluster: Cluster, trouble: Trouble = NONE) -> tuple[float, str]:
    """Give the plan's seconds by the clock, and which resource decides.

    The scarcest resource; at the end half a task that others wait for, and a slow one where one is to be expected among
    the last; what the driver does alone; and the beginning.
    """
    found = bounds(sizes, way, cluster, trouble)
    slots = cluster.slots(way)
    last = way.start + np.sort(sizes)[:slots] * way.seconds  # the largest come first, so these run at the end
    slow = float(np.median(last)) * (trouble.slow - 1) if len(last) * trouble.rare > np.log(2) else 0.0
    for name in found:
        found[name] += slow if name != "longest task" else 0.0
    found["processors"] += float(last.mean()) * trouble.stretch() / 2 * (1 - 1 / slots)
    which = max(found, key=lambda name: found[name])
    return found[which] + way.begin + way.each * len(sizes), which


@dataclass(frozen=True)
class Outcome:
    """Be what a simulated run came to: seconds, tasks that ended, seconds of slots lost, machines that failed."""

    seconds: float
    ended: NDArray[np.int64]
    lost: float
    failed: int


class _Run:
    """Be the state of a simulated run: which slot does which task, and what is left of it in seconds at full speed."""

    def __init__(self, sizes: Floats, way: Way, cluster: Cluster, trouble: Trouble, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._rng, self._cluster, self._trouble = rng, cluster, trouble
        longer = 1 + trouble.spread * rng.random(len(sizes))
        longer *= np.where(rng.random(len(sizes)) < trouble.rare, trouble.slow, 1)
        self.full = (way.start + sizes * way.seconds) * longer
        each = sizes / self.full  # claims a second at full speed
        self._scratch, self._storage = each * way.scratch, each * way.storage
        self._wire = each * way.wire * (1 - 1 / cluster.machines)
        slots = cluster.slots(way)
        self.machine = np.arange(slots) % cluster.machines
        self.task = np.full(slots, -1)
        self.left = np.full(slots, np.inf)
        self.waiting = list(range(len(sizes)))[::-1]
        self.down = np.zeros(cluster.machines, bool)
        self.turns = self._until_failure(cluster.machines)

    def _until_failure(self, count: int) -> Floats:
        if not self._trouble.failures:
            return np.full(count, np.inf)
        return np.asarray(self._rng.exponential(3600 / self._trouble.failures, count))

    def begin(self) -> None:
        """Give waiting tasks, the largest first, to slots that are free."""
        free = np.flatnonzero((self.task < 0) & ~self.down[self.machine])[: len(self.waiting)]
        for slot in free:
            self.task[slot] = self.waiting.pop()
        self.left[free] = self.full[self.task[free]]

    def speed(self, busy: NDArray[np.int64]) -> Floats:
        """Give the speed of each busy slot: disks and wires are shared on a machine, the storage by all."""
        cluster, now, at = self._cluster, self.task[busy], self.machine[busy]
        asked = np.full(cluster.machines, 1.0)
        for wanted, room in ((self._scratch, cluster.disk), (self._wire, cluster.wire)):
            asked = np.maximum(asked, np.bincount(at, wanted[now], cluster.machines) / room)
        return np.asarray(1 / np.maximum(asked[at], self._storage[now].sum() / cluster.storage))

    def turn(self, machine: int, now: float) -> float:
        """Let a machine fail, or come back; give the seconds of its slots that are lost."""
        if self.down[machine]:
            self.down[machine] = False
            self.turns[machine] = now + self._until_failure(1)[0]
            return 0.0
        hit = np.flatnonzero((self.machine == machine) & (self.task >= 0))
        lost = float((self.full[self.task[hit]] - self.left[hit]).sum())
        self.waiting += [int(each) for each in self.task[hit]]  # next, because they have waited longest
        self.task[hit], self.left[hit] = -1, np.inf
        self.down[machine] = True
        self.turns[machine] = now + self._trouble.repair
        return lost


def simulate(
    sizes: Floats,
    way: Way,
    cluster: Cluster,
    trouble: Trouble = NONE,
    seed: int = 1,
    kill: tuple[int, float] | None = None,
) -> Outcome:
    """Run tasks on slots, the largest first, with shared disks, wires and storage, slow tasks and machines that fail.

    `kill` names a machine that fails, and at which second. A task whose machine fails begins anew elsewhere.
    """
    run = _Run(sizes, way, cluster, trouble, seed)
    if kill:
        run.turns[kill[0]] = kill[1]
    ended = np.zeros(len(sizes), np.int64)
    now, lost, failed = 0.0, 0.0, 0
    while ended.sum() < len(sizes):
        run.begin()
        busy = np.flatnonzero(run.task >= 0)
        speed = run.speed(busy)
        step = float((run.left[busy] / speed).min()) if len(busy) else np.inf
        machine = int(run.turns.argmin())
        ahead = float(run.turns[machine]) - now
        run.left[busy] -= speed * min(step, ahead)
        now += min(step, ahead)
        if ahead < step:
            failed += not run.down[machine]
            lost += run.turn(machine, now)
            continue
        done = busy[run.left[busy] <= 1e-9 * run.full[run.task[busy]]]
        ended[run.task[done]] += 1
        run.task[done], run.left[done] = -1, np.inf
    return Outcome(now + way.begin + way.each * len(sizes), ended, lost, failed)


def _told(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def bytes_table() -> list[list[str]]:
    """Say how many bytes the year has."""
    rows = [["what", "bytes", "the year, GB"]]
    told: list[tuple[str, float, float]] = [
        ("claims, as they come", INPUT, CLAIMS), ("people and statuses, a person", PERSON, INSURED),
        ("settlements", OUTPUT, CLAIMS), ("pieces", PIECES, CLAIMS), ("shuffle of Spark", SHUFFLED, CLAIMS),
        ("most on disk, in order of persons", INPUT + OUTPUT, CLAIMS),
        ("most on disk, cut into pieces", INPUT + OUTPUT + PIECES, CLAIMS),
        ("hashes of claim_id, all in one", 8, CLAIMS), ("the same, Guangdong alone", 8, provinces(CLAIMS)[0]),
    ]  # fmt: skip
    return rows + [[what, f"{size:g}", f"{size * count / 1e9:,.1f}"] for what, size, count in told]


def partitions_table() -> list[list[str]]:
    """Say into how many tasks, parts and files the year is cut, and how even they are."""
    cut, spark = tasks(CLAIMS, ORDERED), tasks(CLAIMS, SPARK)
    files = AREAS * 12
    rows = [["what", "how many", "claims each, million", "largest, million"]]
    even = f"{CLAIMS / files / 1e6:.2f}"
    told = [
        ("provinces", provinces(CLAIMS)),
        ("pooling areas, cut at 30 million claims", cut),
        ("tasks of Spark", spark),
    ]
    for what, sizes in told:
        rows.append([what, f"{len(sizes):,}", f"{sizes.mean() / 1e6:.2f}", f"{sizes.max() / 1e6:.2f}"])
    rows.append(["parts within processes (35 for 100 million)", f"{CLAIMS * 35 / 1e8:,.0f}", f"{100 / 35:.2f}", "-"])
    return [*rows, ["Parquet files by place and month", f"{files:,}", even, "-"]]


def hours_table(cores: int) -> list[list[str]]:
    """Say how long the year takes on so many machines, and what decides."""
    rows = [["way", "tasks", *(f"{machines}" for machines in MACHINES)]]
    one_job = ("31 provinces, one process each", ORDERED, np.sort(provinces(CLAIMS))[::-1])
    for name, way, sizes in (one_job, *((way.name, way, tasks(CLAIMS, way)) for way in WAYS)):
        found = [planned(sizes, way, Cluster(machines, cores), Trouble()) for machines in MACHINES]
        rows.append([name, f"{len(sizes):,}", *(f"{_told(seconds)} ({which})" for seconds, which in found)])
    return rows


SIMULATED = ((ORDERED, 1), (ORDERED, 4), (ORDERED, 64), (MONTHS, 16), (SPARK, 16))


def check_table(sizes: tuple[int, ...] = SIZES) -> list[list[str]]:
    """Hold the formula against the simulation: without trouble, and with trouble (the median of five runs)."""
    rows = [["claims", "way", "machines", "formula", "simulated", "ratio", "formula, trouble", "simulated", "ratio"]]
    for claims in sizes:
        for way, machines in SIMULATED:
            cut, cluster, told = tasks(claims, way), Cluster(machines), []
            for trouble, seeds in ((NONE, 1), (Trouble(), 1 if len(cut) > 1000 else 5)):
                plan = planned(cut, way, cluster, trouble)[0]
                runs = [simulate(cut, way, cluster, trouble, seed).seconds for seed in range(seeds)]
                seen = float(np.median(runs))
                told += [_told(plan), _told(seen), f"{seen / plan:.2f}"]
            rows.append([f"{claims:,}", way.name, f"{machines}", *told])
    return rows


def measured_table() -> list[list[str]]:
    """Hold one process against the measured runs, with the rate of the largest run and of the two smallest."""
    small = (MEASURED[3_000_000] - MEASURED[1_000_000]) / 2e6
    head = ["claims", "measured, s", "rate of 100 million, s", "ratio", "rate of 1 and 3 million, s", "ratio"]
    rows = [head]
    for claims in (10_000_000, 30_000_000, 100_000_000):
        row = [f"{claims:,}", f"{MEASURED[claims]:.1f}"]
        for rate in (CLOCK, small):
            seen = simulate(np.array([float(claims)]), replace(ORDERED, seconds=rate), Cluster(1, 2)).seconds
            row += [f"{seen:.1f}", f"{seen / MEASURED[claims]:.2f}"]
        rows.append(row)
    return rows


def again_table() -> list[list[str]]:
    """Say what settling again takes, on one machine of 16 cores and on four."""
    previous = replace(MONTHS, seconds=MONTHS.seconds + PREVIOUS, storage=MONTHS.storage + OUTPUT)
    shares: Any = dict(zip(POPULATION, provinces(1.0), strict=True))
    cases = [
        ("one province (Hubei), June to December, from the accumulators of May", shares["Hubei"] * 7 / 12),
        ("one province (Hubei), back to January", shares["Hubei"]),
        ("Guangdong, back to January", shares["Guangdong"]),
        ("all provinces, June to December", 7 / 12),
        ("all provinces, back to January", 1.0),
    ]
    rows = [["what", "million claims", "read and written, GB", "core-hours", "1 machine", "4 machines"]]
    for what, share in cases:
        whole = tasks(CLAIMS, previous) * share
        claims = CLAIMS * share
        if share < 7 / 12:  # of one place: its areas, not a little of each area of the country
            whole = np.full(max(1, int(np.ceil(claims / LEAP))), claims / np.ceil(claims / LEAP))
        times = [_told(planned(whole, previous, Cluster(n), Trouble())[0]) for n in (1, 4)]
        hours = (previous.start * len(whole) + claims * previous.seconds) * previous.cores / 3600
        told = [f"{claims / 1e6:,.0f}", f"{claims * previous.storage / 1e9:,.1f}", f"{hours:.2f}", *times]
        rows.append([what, *told])
    return rows


def stress_table() -> list[list[str]]:
    """Say what wider rows, slower storage, a machine that dies and a placeholder for a person do to the year."""
    cut, four = tasks(CLAIMS, ORDERED), Cluster(4)
    usual = simulate(cut, ORDERED, four).seconds
    wide = replace(ORDERED, storage=10 * ORDERED.storage)
    pile = np.sort(np.append(cut * 0.99, CLAIMS * 0.01))[::-1]
    cases = [
        ("as planned", usual),
        ("rows of ten times the bytes (and no more time)", simulate(cut, wide, four).seconds),
        ("the same, storage of 200 MB a second", simulate(cut, wide, replace(four, storage=2e8)).seconds),
        (
            "one machine dies half-way, back after 5 minutes",
            simulate(cut, ORDERED, four, REPAIRED, 1, (0, usual / 2)).seconds,
        ),
        ("one claim in a hundred under one placeholder", simulate(pile, ORDERED, four).seconds),
    ]
    rows = [["5 billion claims on 4 machines of 16 cores, simulated", "time", "times"]]
    return rows + [[what, _told(seconds), f"{seconds / usual:.2f}"] for what, seconds in cases]


REPAIRED = replace(NONE, repair=300.0)


def cost_table() -> list[list[str]]:
    """Say what the year costs in core-hours, at an assumed 0.5 yuan each."""
    rows = [["way", "core-hours", "machine-hours of 16 cores", "yuan"]]
    for way in WAYS:
        cut = tasks(CLAIMS, way)
        hours = float((way.start + cut * way.seconds).sum()) * Trouble().stretch() * way.cores / 3600
        rows.append([way.name, f"{hours:.1f}", f"{hours / 16:.2f}", f"{hours * 0.5:.1f}"])
    return rows


def tables() -> list[tuple[str, list[list[str]]]]:
    """Give all tables, in the order of docs/country.md."""
    return [
        ("Bytes", bytes_table()),
        ("Partitions", partitions_table()),
        ("Time on n machines of 16 cores", hours_table(16)),
        ("Time on n machines of 2 cores", hours_table(2)),
        ("One process, against what was measured", measured_table()),
        ("Formula and simulation", check_table()),
        ("What could go otherwise", stress_table()),
        ("Settling again", again_table()),
        ("Cost", cost_table()),
    ]


def main() -> None:
    """Print the tables."""
    for title, rows in tables():
        table(title, rows)


if __name__ == "__main__":
    main()
