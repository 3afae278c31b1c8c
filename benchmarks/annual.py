"""Settle one bill a person and year with medfloor, plain numpy and OpenFisca-core: time, memory, and who is off a fen.

Each peer works in a process of its own, so that its memory is its own and its interpreter may be another one:
`python benchmarks/annual.py --python openfisca=/path/to/python 1_000_000 5_000_000`. A further peer is one more class
with `ready` and `work`, and a line in PEERS; it needs no more than numpy and its own package.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

POLICY = Path(__file__).with_name("three_tiers.yaml")
"""The schedule. With one stay a person its deductible of a stay is one of the year."""

Columns = dict[str, np.ndarray]
YEAR = "2024"
LEVELS = ("primary", "1", "2", "3")
GROUPS = ("none", "tekun", "dibao")
RULES: dict[str, Any] = {
    "deductible": (100, 300, 800, 1300),  # yuan, by level
    "percent": (90, 80, 78, 65),
    "cap": 100_000,
    "brackets": ((0, 0), (15_000, 60), (65_000, 70)),  # of the year's burden: from (yuan), per cent
    "share": (0, 100, 80),  # per cent, by group
    "limit": 20_000,
}
"""The numbers of three_tiers.yaml, for the peers."""


def columns(people: int, seed: int = 3) -> Columns:
    """Make up people: two of three have a bill (in fen, all in scope), one in ten is registered as poor.

    A bill is 2,750 yuan on average and a head costs 1,790, near the 1,756 of personal health spending in 2023.
    """
    rng = np.random.default_rng(seed)
    bill = np.minimum(np.exp(rng.normal(11.4, 1.5, people)), 1e8).astype(np.int64)
    return {
        "bill_fen": np.where(rng.random(people) < 0.65, bill, 0),
        "level": rng.integers(0, len(LEVELS), people),
        "group": rng.choice(len(GROUPS), people, p=[0.9, 0.02, 0.08]),
    }


class Peer(Protocol):
    """Be one program that can do the job."""

    package: str
    repeats: int

    def ready(self, given: Columns) -> Any:
        """Bring the people into the program's own form; done once."""

    def work(self, made: Any) -> np.ndarray:
        """Work out what the three tiers pay, in fen, shape (3, people); timed again and again."""


class Numpy:
    """Whole fen in 64 bits, by hand."""

    package = "numpy"
    repeats = 5

    def ready(self, given: Columns) -> Columns:
        return given

    def work(self, made: Columns) -> np.ndarray:
        def of(name: str, index: np.ndarray, unit: int) -> np.ndarray:
            return np.array(RULES[name], np.int64)[index] * unit

        bill = made["bill_fen"]
        eligible = np.maximum(bill - of("deductible", made["level"], 100), 0)
        basic = np.minimum((eligible * of("percent", made["level"], 100) + 5000) // 10_000, RULES["cap"] * 100)
        burden = bill - basic
        (_, _), (low, first), (high, second) = RULES["brackets"]
        one = np.clip(burden - low * 100, 0, (high - low) * 100)
        two = np.maximum(burden - high * 100, 0)
        critical = (one * first * 100 + two * second * 100 + 5000) // 10_000
        shared = ((burden - critical) * of("share", made["group"], 100) + 5000) // 10_000
        return np.stack([basic, critical, np.minimum(shared, RULES["limit"] * 100)])


class OpenFisca:
    """Formulas over yearly variables, with its tables and scales of parameters, as its pages teach them.

    A rate by category is node[category], which asks person by person; floats are taken as they come. What a variable of
    floats keeps has 32 bits, whatever the formula reckons in.
    """

    package = "openfisca-core"
    repeats = 2
    by_hand = False

    def ready(self, given: Columns) -> Any:
        from openfisca_core.entities import build_entity
        from openfisca_core.parameters import ParameterNode
        from openfisca_core.simulations import SimulationBuilder
        from openfisca_core.taxbenefitsystems import TaxBenefitSystem

        person = build_entity(key="person", plural="persons", label="", is_person=True)
        system = TaxBenefitSystem([person])
        system.parameters = ParameterNode("", data=_parameters())
        system.add_variables(*_variables(person, self.by_hand))
        simulation = SimulationBuilder().build_default_simulation(system, len(given["bill_fen"]))
        simulation.set_input("bill", YEAR, given["bill_fen"] / 100)
        for name in ("level", "group"):
            kind = system.get_variable(name).possible_values
            names = np.array([one.name for one in kind])
            simulation.set_input(name, YEAR, kind.encode(names[given[name]]))
        return simulation

    def work(self, made: Any) -> np.ndarray:
        for name in _PAID:
            made.delete_arrays(name)  # a reform works them out anew
        return np.stack([made.calculate(name, YEAR) for name in _PAID]).astype(np.float64) * 100


class OpenFiscaByHand(OpenFisca):
    """With all care: tables are indexed by hand, and each kept amount is brought back to its fen in 64 bits."""

    repeats = 5
    by_hand = True


_PAID = ("basic", "critical", "assistance")


def _parameters() -> dict[str, Any]:
    def at(value: object) -> dict[str, Any]:
        return {"values": {"2024-01-01": {"value": value}}}

    def by(prefix: str, names: tuple[str, ...], values: tuple[float, ...], of: float) -> dict[str, Any]:
        return {f"{prefix}{name}": at(value / of) for name, value in zip(names, values, strict=True)}

    def date(value: float) -> dict[str, Any]:
        return {"2024-01-01": {"value": value}}

    return {
        "deductible": by("level_", LEVELS, RULES["deductible"], 1),
        "rate": by("level_", LEVELS, RULES["percent"], 100),
        "share": by("", GROUPS, RULES["share"], 100),
        "cap": at(RULES["cap"]),
        "limit": at(RULES["limit"]),
        "scale": {"brackets": [{"threshold": date(low), "rate": date(rate / 100)} for low, rate in RULES["brackets"]]},
    }


def _variables(person: Any, by_hand: bool) -> list[type]:
    from openfisca_core.indexed_enums import Enum
    from openfisca_core.periods import DateUnit
    from openfisca_core.variables import Variable

    Level = Enum("Level", {f"level_{name}": name for name in LEVELS})  # type: ignore[misc]
    Group = Enum("Group", {name: name for name in GROUPS})  # type: ignore[misc]

    def fen(yuan: np.ndarray) -> np.ndarray:
        return np.floor(yuan.astype(np.float64) * 100 + (0.5 + 1e-6 if by_hand else 0.5)) / 100  # half up, to the fen

    def kept(amount: np.ndarray) -> np.ndarray:
        return np.rint(amount.astype(np.float64) * 100) / 100 if by_hand else amount

    def of(node: Any, kind: Any) -> np.ndarray:
        if not by_hand:
            return node[kind]
        return np.array([getattr(node, one.name) for one in kind.possible_values])[kind.view(np.ndarray)]

    def basic(person: Any, period: Any, parameters: Any) -> np.ndarray:
        law, level = parameters(period), person("level", period)
        eligible = np.maximum(kept(person("bill", period)) - of(law.deductible, level), 0)
        return np.minimum(fen(eligible * of(law.rate, level)), law.cap)

    def critical(person: Any, period: Any, parameters: Any) -> np.ndarray:
        return fen(parameters(period).scale.calc(kept(person("bill", period)) - kept(person("basic", period))))

    def assistance(person: Any, period: Any, parameters: Any) -> np.ndarray:
        law = parameters(period)
        burden = kept(person("bill", period)) - kept(person("basic", period)) - kept(person("critical", period))
        return np.minimum(fen(burden * of(law.share, person("group", period))), law.limit)

    def variable(name: str, **what: Any) -> type:
        return type(name, (Variable,), {"entity": person, "definition_period": DateUnit.YEAR, "label": "", **what})

    return [
        variable("bill", value_type=float),
        variable("level", value_type=Enum, possible_values=Level, default_value=next(iter(Level))),
        variable("group", value_type=Enum, possible_values=Group, default_value=next(iter(Group))),
        *(variable(one.__name__, value_type=float, formula=one) for one in (basic, critical, assistance)),
    ]


class World:
    """What `medfloor simulate` does to these people: asks the law anew, settles, adds up by person; all processors."""

    package = "medfloor"
    repeats = 5
    threads: int | None = None

    def ready(self, given: Columns) -> Any:
        import polars as pl

        from medfloor import simulation

        bill = given["bill_fen"]
        ids = pl.Series(np.arange(len(bill))).cast(pl.String).str.zfill(9)
        day, has = pl.lit(f"{YEAR}-07-01").str.to_date(), np.flatnonzero(bill > 0)
        claims = pl.DataFrame(
            {
                "claim_id": ids.gather(has),
                "person_id": ids.gather(has),
                "facility_level": pl.Series(np.array(LEVELS)).gather(given["level"][has]),
                "total": bill[has] / 100,
                "in_scope": bill[has] / 100,
            }
        ).with_columns(care_type=pl.lit("inpatient"), start_date=day, end_date=day)
        poor = np.flatnonzero(given["group"] > 0)
        spells = pl.DataFrame(
            {"person_id": ids.gather(poor), "group": pl.Series(np.array(GROUPS)).gather(given["group"][poor])}
        )
        homes = pl.DataFrame({"household_id": ids}).with_columns(size=1, consumption=1.0)
        people = pl.DataFrame({"person_id": ids, "household_id": ids})
        population = simulation.population_of(claims, people, homes, spells)
        return simulation.World.of(population, self.law(), threads=self.threads), len(bill)

    def law(self) -> Any:
        from medfloor.settlement.settle import law_of

        return law_of(str(POLICY))

    def work(self, made: Any) -> np.ndarray:
        return made[0].settle(self.law()).paid * 100


class Kernel(World):
    """The compiled engine alone, on claims in the order of settlement; one processor, as the others."""

    threads = 1

    def work(self, made: Any) -> np.ndarray:
        from medfloor.settlement.engines import run

        world, people = made
        pay = run(world.batch, "kernel", threads=1).pay
        paid = np.zeros((len(pay), people), np.int64)
        paid[:, world.batch.person] = pay
        return paid


PEERS: dict[str, type[Peer]] = {
    "kernel": Kernel,
    "world": World,
    "numpy": Numpy,
    "by-hand": OpenFiscaByHand,
    "openfisca": OpenFisca,
}
NAMES = {
    "kernel": "medfloor, compiled engine",
    "world": "medfloor, World.settle, law asked anew",
    "numpy": "numpy, whole fen",
    "by-hand": "OpenFisca-core, with all care by hand",
    "openfisca": "OpenFisca-core, as its pages teach",
}


def measured(
    name: str, given: Columns, *, repeats: int | None = None, python: str = sys.executable
) -> tuple[dict, np.ndarray]:  # type: ignore[type-arg]
    """Let one peer do the job in a process of its own; give its times, memory and version, and what it pays in fen."""
    with TemporaryDirectory(prefix="medfloor-annual-") as folder:
        np.savez(Path(folder) / "given.npz", **given)
        # The source tree is for medfloor alone; a peer finds its own package in its own interpreter.
        path = {"PYTHONPATH": str(Path(__file__).parents[1] / "src")} if PEERS[name].package == "medfloor" else {}
        call = [python, __file__, "--one", name, folder, str(repeats or PEERS[name].repeats)]
        done = subprocess.run(call, capture_output=True, text=True, encoding="utf8", env=os.environ | path, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} failed with {python}:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1]), np.load(Path(folder) / "paid.npy")


def _one(name: str, folder: str, repeats: str) -> None:
    """Do the job as one peer; called in the peer's own process."""
    with np.load(Path(folder) / "given.npz") as kept:
        given = {key: kept[key] for key in kept.files}
    peer = PEERS[name]()
    before = _memory("VmRSS")
    start = time.perf_counter()
    made = peer.ready(given)
    ready = time.perf_counter() - start
    peer.work(made)  # what is compiled or cached on first use is not the job
    _forget_peak()
    held = _memory("VmRSS")
    seconds, busy = [], []
    for _ in range(int(repeats)):
        start, before_work = time.perf_counter(), time.process_time()
        paid = peer.work(made)
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - before_work)
    peak = _memory("VmHWM")
    np.save(Path(folder) / "paid.npy", paid)
    found = f"{peer.package} {version(peer.package)}" if peer.package != "medfloor" else ""
    told = {"ready": ready, "seconds": seconds, "busy": busy, "held": held - before, "peak": peak - held}
    print(json.dumps(told | {"version": found, "numpy": np.__version__}))


def _memory(field: str) -> int:
    """Read what the process holds now (VmRSS) or has held at most (VmHWM), in bytes; 0 where there is no /proc."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def misses(paid: np.ndarray, exact: np.ndarray) -> tuple[int, float]:
    """Count the people whose three payments together are off by more than half a fen, and give the largest miss in fen.

    >>> misses(np.array([[100.0, 201.0]]), np.array([[100, 200]]))
    (1, 1.0)
    """
    off = np.abs(paid.sum(axis=0) - exact.sum(axis=0))
    return int((off > 0.5).sum()), float(off.max())


def main(sizes: tuple[int, ...] = (1_000_000, 5_000_000), pythons: dict[str, str] | None = None) -> None:
    """Print a table for each size. Every ratio is of one run; medfloor must agree with numpy to the fen."""
    from timing import table

    for people in sizes:
        given = columns(people)
        exact = Numpy().work(given)
        told = {}
        for name, peer in PEERS.items():
            told[name], paid = measured(name, given, python=(pythons or {}).get(name, sys.executable))
            told[name]["off"], told[name]["worst"] = misses(paid, exact)
            assert not (peer.package == "medfloor" and (paid.round() != exact).any()), f"{name} differs"
        # Ratios are of processor time, because other work beside this one stretches the clock.
        middle = {name: statistics.median(one["busy"]) for name, one in told.items()}
        head = [
            "engine",
            "median, s",
            "least to most, s",
            "of processors, s",
            "times numpy",
            "times the compiled engine",
        ]
        head += ["making ready, s", "holds, MB", "more at the peak, MB", "people off by > 0.5 fen", "worst, fen"]
        rows = [head]
        for name, one in told.items():
            clock, busy = one["seconds"], middle[name]
            rows.append(
                [
                    NAMES[name] + (f" ({one['version']})" if one["version"] else ""),
                    f"{statistics.median(clock):.3f}", f"{min(clock):.3f}-{max(clock):.3f}", f"{busy:.3f}",
                    f"{busy / middle['numpy']:.1f}", f"{busy / middle['kernel']:.1f}", f"{one['ready']:.1f}",
                    f"{one['held'] / 1e6:,.0f}", f"{one['peak'] / 1e6:,.0f}", f"{one['off']:,}", f"{one['worst']:,.1f}",
                ]
            )  # fmt: skip
        having = int((given["bill_fen"] > 0).sum())
        table(f"One year, three tiers, {people:,} people, {having:,} of them with a bill", rows)


def _arguments(given: list[str]) -> None:
    sizes, pythons = [], {}
    rest = iter(given)
    for one in rest:
        if one == "--python":
            name, _, path = next(rest, "").partition("=")
            if name not in PEERS or not path:
                sys.exit(f"--python takes name=path with a name of {', '.join(PEERS)}")
            pythons[name] = path
        else:
            sizes.append(int(one))
    main(tuple(sizes) or (1_000_000, 5_000_000), pythons)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(*sys.argv[2:])
    else:
        _arguments(sys.argv[1:])
