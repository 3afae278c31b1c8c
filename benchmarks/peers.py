"""Peers, one run: the same jobs by medfloor and by other programs, one table a job; `just peers`.

Each program works in a process of its own, in turns with the others (contest.py). What became known is kept in
benchmarks/out/peers.json at once: a run that was ended prints what there is, `--show` prints it once more, `--resume`
does the jobs that are not done. Medfloor is held against whole-fen numpy before any table is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import annual
import annual_floats
import annual_peers
import contest
import designs
import estimators
import evaluate
import numpy as np
import windows
from contest import Columns, Told
from timing import machine, table

OUT = Path(__file__).parent / "out" / "peers.json"
SAME = 1e-7
"""How far an estimate may be from the library's, relatively: the same sums in another order."""


class Differs(SystemExit):
    """Say that medfloor's results are not what they must be; no table is printed."""


@dataclass(frozen=True)
class Part:
    """Be one job at one size."""

    job: str
    title: str
    given: Callable[[], Columns]
    names: dict[str, str]
    against: Callable[[str], str]
    """Which of ours a program is held against."""
    correct: Callable[[Columns, dict[str, np.ndarray]], dict[str, list[str]]]
    """Tell of each result how correct it is; raises Differs where ours are not."""
    head: list[str]
    numpy: bool = False
    beside: Callable[[Columns, dict[str, np.ndarray]], dict[str, list[list[str]]]] = field(default=lambda *_: {})
    """Further tables."""


def parts(people: list[int], claims: int, homes: int, households: int) -> dict[str, Part]:
    """Give the jobs at these sizes."""
    found = {f"annual {size}": _annual(size) for size in people}
    found[f"windows {claims}"] = Part(
        "windows", f"Claims in order, three tiers, {claims:,} claims in random order, sorting included",
        lambda: windows.columns(claims), windows.NAMES, lambda _: "kernel", _same_payments, ["claims off"],
    )  # fmt: skip
    found[f"estimators {homes}"] = Part(
        "estimators", f"Evaluation, a panel of {homes * len(evaluate.WAVES):,} household-waves",
        lambda: _columns(evaluate.made_panel(homes)), estimators.NAMES, lambda name: estimators.PAIRS.get(name, name),
        partial(_same_estimates, estimators.PAIRS), ["relative difference from ours"],
    )  # fmt: skip
    drawn = f"{designs.CLUSTERS:,} clusters in {designs.STRATA} strata"
    found[f"designs {households}"] = Part(
        "designs", f"Survey estimates, {households:,} households, {drawn}",
        lambda: designs.columns(households), designs.NAMES, lambda name: designs.PAIRS.get(name, name),
        partial(_same_estimates, designs.PAIRS), ["relative difference from ours"],
    )  # fmt: skip
    return found


def _annual(people: int) -> Part:
    return Part(
        "annual_peers", f"One year, three tiers, {people:,} people", lambda: annual.columns(people),
        annual_peers.NAMES, lambda _: "kernel", _to_the_fen,
        ["people off by > 0.5 fen", f"of the first {annual_floats.EXPENSES:,} with a bill", "worst, fen"],
        numpy=True, beside=_why,
    )  # fmt: skip


def _columns(frame: Any) -> Columns:
    return {name: frame[name].to_numpy() for name in frame.columns}


def _to_the_fen(given: Columns, results: dict[str, np.ndarray]) -> dict[str, list[str]]:
    exact = annual.Numpy().work(given)
    for name in ("kernel", "world", "numpy"):
        if name in results and not np.array_equal(np.rint(results[name]), exact):
            raise Differs(f"{annual_peers.NAMES[name]} is not what whole-fen numpy pays")
    first = np.flatnonzero(given["bill_fen"] > 0)[: annual_floats.EXPENSES]
    found = {}
    for name, paid in results.items():
        off, worst = annual.misses(paid, exact)
        some = int((annual.missing(paid, exact)[first] > 0.5).sum())
        found[name] = [f"{off:,}", f"{some:,}" if len(first) == annual_floats.EXPENSES else "-", f"{worst:,.1f}"]
    return found


def _why(given: Columns, results: dict[str, np.ndarray]) -> dict[str, list[list[str]]]:
    people = f"{len(given['bill_fen']):,} people"
    return {
        f"Why fen are missed, {people}: numpy with the peers' arithmetic": annual_floats.same_people(given, results),
        f"Where they are missed, {people}: floats of 32 bits by the size of the bill": annual_floats.spacing(given),
    }


def _same_payments(_: Columns, results: dict[str, np.ndarray]) -> dict[str, list[str]]:
    ours = results.get("kernel")
    found = {}
    for name, paid in results.items() if ours is not None else ():
        off = int((paid != ours).any(axis=0).sum())
        if off:
            raise Differs(f"{windows.NAMES[name]} pays {off:,} claims otherwise than medfloor")
        found[name] = ["0"]
    return found


def _same_estimates(pairs: dict[str, str], _: Columns, results: dict[str, np.ndarray]) -> dict[str, list[str]]:
    found = {name: ["0"] for name in results if name not in pairs}
    for name, ours in pairs.items():
        if name in results and ours in results:
            apart = float(np.max(np.abs(results[name] / results[ours] - 1)))
            if not apart <= SAME:
                raise Differs(f"{name} and {ours} are {apart:.1e} apart")
            found[name] = [f"{apart:.0e}"]
    return found


def main(given: Sequence[str] = ()) -> None:
    """Do the jobs that are asked for and print a table for each."""
    asked = _asked(given)
    kept = _kept(asked.out) if asked.show or asked.resume else {}
    if asked.show and not kept:
        raise SystemExit(f"nothing is kept in {asked.out}: `just peers` runs the jobs, minutes at full size")
    kept = kept or {"started": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "machine": machine(), "parts": {}}
    wanted = parts(asked.people or [1_000_000, 5_000_000], asked.claims, asked.homes, asked.households)
    wanted = {name: part for name, part in wanted.items() if not asked.only or name.split()[0] in asked.only}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    try:
        for name, part in {} if asked.show else wanted.items():
            if not kept["parts"].get(name, {}).get("done"):
                _do(name, part, kept, asked)
    except Differs:
        raise
    except BaseException:
        show(kept)
        raise
    show(kept)


def _asked(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="just peers", description=__doc__)
    size = partial(parser.add_argument, type=lambda text: int(text.replace("_", "")))
    size("--people", action="append", metavar="N", help="people of the annual job; may be said again (1e6 and 5e6)")
    size("--claims", default=5_000_000, metavar="N", help="claims of the job that depends on order")
    size("--homes", default=evaluate.HOMES, metavar="N", help="households of the panel")
    size("--households", default=200_000, metavar="N", help="households of the survey")
    size("--repeats", metavar="N", help="rounds; more for quick programs and less for slow ones unless said")
    jobs = ("annual", "windows", "estimators", "designs")
    parser.add_argument("--only", action="append", choices=jobs, help="this job; may be said again")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="interpreter of a program")
    parser.add_argument("--timeout", type=float, default=900, metavar="S", help="for making ready and for each turn")
    parser.add_argument("--out", type=Path, default=OUT, help="where results are kept as JSON")
    parser.add_argument("--show", action="store_true", help="print what is kept, and do nothing")
    parser.add_argument("--resume", action="store_true", help="do what is not done")
    asked = parser.parse_args(given)
    known = {*annual_peers.PEERS, *windows.PEERS, *estimators.PEERS, *designs.PEERS}
    asked.pythons = {}
    for pair in asked.python:
        name, _, path = pair.partition("=")
        if name not in known or not path:
            parser.error(f"--python takes NAME=PATH with a name of {', '.join(sorted(known))}")
        asked.pythons[name] = path
    return asked


def _do(name: str, part: Part, kept: dict[str, Any], asked: argparse.Namespace) -> None:
    """Let the programs do one job, and keep what becomes known as it becomes known."""
    given = part.given()
    entry: dict[str, Any] = {
        "title": part.title, "names": part.names, "head": part.head, "numpy": part.numpy, "load": [_load()],
        "against": {one: part.against(one) for one in part.names}, "told": {}, "correct": {}, "beside": {},
        "done": False,
    }  # fmt: skip
    if "bill_fen" in given:
        entry["title"] += f", {int((given['bill_fen'] > 0).sum()):,} of them with a bill"
    kept["parts"][name] = entry

    def after(told: dict[str, Told], results: dict[str, np.ndarray]) -> None:
        entry["told"] = told
        # No program's times are kept before its result is compared, so no table can hold what was not.
        entry["correct"] |= part.correct(given, results) if set(results) - set(entry["correct"]) else {}
        _keep(kept, asked.out)

    try:
        told, results = contest.run(
            part.job, given, repeats=asked.repeats, pythons=asked.pythons, timeout=asked.timeout, after=after
        )
    except Differs:
        del kept["parts"][name]  # nor is it shown later
        _keep(kept, asked.out)
        raise
    entry |= {"told": told, "correct": part.correct(given, results), "beside": part.beside(given, results)}
    entry |= {"load": [*entry["load"], _load()], "done": True}
    _keep(kept, asked.out)
    print(f"{part.title}: done", file=sys.stderr)


def _load() -> float:
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else -1.0


def _keep(kept: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    part.write_text(json.dumps(kept, indent=1), encoding="utf8")
    part.replace(out)


def _kept(out: Path) -> dict[str, Any]:
    if not out.exists():
        return {}
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf8"))
    return found


def show(kept: dict[str, Any]) -> None:
    """Print a table for each job of which something is known."""
    print(f"{kept['started']}, {kept['machine']}")
    for entry in kept["parts"].values():
        table(entry["title"] + _circumstances(entry), _rows(entry))
        for name, one in entry["told"].items():
            why = one.get("missing") or one.get("failed")
            if not why and entry["against"][name] not in entry["correct"]:
                why = f"not shown, for {entry['names'][entry['against'][name]]} has no result to hold it against"
            if why:
                print(f"\n{entry['names'][name]}: {why}.")
        for title, rows in entry["beside"].items():
            table(title, rows)


def _circumstances(entry: dict[str, Any]) -> str:
    before, *after = entry["load"]
    return f" (load {before} before, {after[0]} after)" if after else f" (load {before} before; not finished)"


def _rows(entry: dict[str, Any]) -> list[list[str]]:
    able = {
        name: one
        for name, one in entry["told"].items()
        if one["seconds"] and {name, entry["against"][name]} <= set(entry["correct"])
    }
    busy = {name: statistics.median(one["busy"]) for name, one in able.items()}
    clock = {name: statistics.median(one["seconds"]) for name, one in able.items()}

    def times(of: dict[str, float], name: str, other: str) -> str:
        return f"{of[name] / of[other]:.2f}" if of.get(other) else "-"

    head = ["program", "runs", "median, s", "least to most, s", "of processors, s"]
    head += ["processors, times numpy"] if entry["numpy"] else []
    head += [
        "processors, times medfloor",
        "clock, times medfloor",
        "making ready, s",
        "holds, MB",
        "more at the peak, MB",
    ]
    rows = [head + entry["head"]]
    for name, one in able.items():
        ours = entry["against"][name]
        row = [entry["names"][name] + (f" ({one['version']})" if one.get("version") else ""), str(len(one["seconds"]))]
        row += [f"{clock[name]:.4f}", f"{min(one['seconds']):.4f}-{max(one['seconds']):.4f}", f"{busy[name]:.4f}"]
        row += [times(busy, name, "numpy")] if entry["numpy"] else []
        row += [times(busy, name, ours), times(clock, name, ours), f"{one['ready']:.1f}"]
        rows.append([*row, f"{one['held'] / 1e6:,.0f}", f"{one['peak'] / 1e6:,.0f}", *entry["correct"][name]])
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])
