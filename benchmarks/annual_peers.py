"""The programs that do the annual job, each in a process of its own (contest.py), as its own pages teach it.

What is compared is the work on people made ready: three payments each. `Kernel` and `World` are medfloor.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from annual import GROUPS, LEVELS, RULES, YEAR, Numpy
from contest import Columns, Peer

POLICY = Path(__file__).with_name("three_tiers.yaml")
"""The schedule. With one stay a person its deductible of a stay is one of the year."""


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

    def work(self, made: Any) -> Any:
        return made[0].settle(self.law()).paid

    def result(self, worked: Any) -> np.ndarray:
        return worked * 100


class Kernel(World):
    """The compiled engine alone, on claims in the order of settlement; one processor, as the others."""

    threads = 1

    def work(self, made: Any) -> Any:
        from medfloor.settlement.engines import run

        world, people = made
        pay = run(world.batch, "kernel", threads=1).pay
        paid = np.zeros((len(pay), people), np.int64)
        paid[:, world.batch.person] = pay
        return paid

    def result(self, worked: Any) -> np.ndarray:
        return worked


class Polars:
    """Expressions over whole columns of fen, with a table for each lookup; all processors."""

    package = "polars"
    repeats = 5

    def ready(self, given: Columns) -> Any:
        import polars as pl

        return pl.DataFrame(given)

    def work(self, made: Any) -> Any:
        import polars as pl

        def of(name: str, column: str, unit: int) -> Any:
            table = {number: value * unit for number, value in enumerate(RULES[name])}
            return pl.col(column).replace_strict(table, return_dtype=pl.Int64)

        def share(amount: Any) -> Any:
            return (amount + 5000) // 10_000

        (_, _), (low, first), (high, second) = RULES["brackets"]
        bill, rest = pl.col("bill_fen"), pl.col("bill_fen") - pl.col("basic")
        eligible = (bill - of("deductible", "level", 100)).clip(0)
        one, two = (rest - low * 100).clip(0, (high - low) * 100), (rest - high * 100).clip(0)
        return (
            made.lazy()
            .with_columns(basic=share(eligible * of("percent", "level", 100)).clip(None, RULES["cap"] * 100))
            .with_columns(critical=share(one * (first * 100) + two * (second * 100)))
            .with_columns(
                assistance=share((rest - pl.col("critical")) * of("share", "group", 100)).clip(
                    None, RULES["limit"] * 100
                )
            )
            .select(_PAID)
            .collect()
        )

    def result(self, worked: Any) -> np.ndarray:
        return np.stack([worked[name].to_numpy() for name in _PAID])


class DuckDB:
    """One query over a table of fen in its own format; all processors."""

    package = "duckdb"
    repeats = 5

    def ready(self, given: Columns) -> Any:
        import duckdb

        connection = duckdb.connect()
        connection.register("given", given)
        connection.sql("create table people as select * from given")
        connection.unregister("given")
        return connection

    def work(self, made: Any) -> Any:
        return made.sql(_SQL).fetchnumpy()

    def result(self, worked: Any) -> np.ndarray:
        return np.stack([worked[name] for name in _PAID])


def _case(name: str, column: str, unit: int) -> str:
    when = " ".join(f"when {number} then {value * unit}" for number, value in enumerate(RULES[name]))
    return f"case {column} {when} end"


def _sql() -> str:
    (_, _), (low, first), (high, second) = RULES["brackets"]
    return f"""
    with one as (
      select *, least(
        (greatest(bill_fen - {_case("deductible", "level", 100)}, 0)
          * {_case("percent", "level", 100)} + 5000) // 10000,
        {RULES["cap"] * 100}) as basic from people
    ), two as (
      select *, bill_fen - basic as rest, (least(greatest(rest - {low * 100}, 0), {(high - low) * 100}) * {first * 100}
        + greatest(rest - {high * 100}, 0) * {second * 100} + 5000) // 10000 as critical from one
    )
    select basic, critical, least(((rest - critical) * {_case("share", '"group"', 100)} + 5000) // 10000,
      {RULES["limit"] * 100}) as assistance from two"""


_SQL = _sql()


class Gettsim:
    """Functions of one person that it makes into functions of columns of 64-bit floats, rounded by its own rounding."""

    package = "gettsim"
    repeats = 5
    by_hand = False

    def ready(self, given: Columns) -> Any:
        from annual_gettsim import environment

        people = {"p_id": np.arange(len(given["bill_fen"])), "bill_y": given["bill_fen"] / 100}
        return environment(self.by_hand), people | {name: given[name] for name in ("level", "group")}

    def work(self, made: Any) -> Any:
        from gettsim import InputData, MainTarget, TTTargets, main

        law, people = made
        return main(
            main_target=MainTarget.results.df_with_nested_columns,
            policy_date_str=f"{YEAR}-01-01",
            input_data=InputData.tree(people),
            tt_targets=TTTargets.tree(dict.fromkeys(f"{name}_y" for name in _PAID)),
            policy_environment=law,
            include_warn_nodes=not self.by_hand,
            include_fail_nodes=not self.by_hand,
        )

    def result(self, worked: Any) -> np.ndarray:
        return np.stack([worked[f"{name}_y"].to_numpy().ravel() for name in _PAID]) * 100


class GettsimByHand(Gettsim):
    """With a half that goes up, as the law has it, and without its checks and warnings."""

    by_hand = True


class OpenFisca:
    """Formulas over yearly variables, with its tables and scales of parameters, as its pages teach them.

    A rate by category is node[category], which asks person by person; floats are taken as they come. What a variable of
    floats keeps has 32 bits, whatever the formula reckons in.
    """

    package = "openfisca-core"
    core = "openfisca_core"
    enums = "indexed_enums"
    repeats = 2
    by_hand = False

    def ready(self, given: Columns) -> Any:
        def of(module: str) -> Any:
            return importlib.import_module(f"{self.core}.{module}")

        person = of("entities").build_entity(key="person", plural="persons", label="", is_person=True)
        system = of("taxbenefitsystems").TaxBenefitSystem([person])
        system.parameters = of("parameters").ParameterNode("", data=_parameters())
        system.add_variables(
            *_variables(person, of(self.enums).Enum, of("variables").Variable, of("periods").YEAR, self.by_hand)
        )
        simulation = of("simulations").SimulationBuilder().build_default_simulation(system, len(given["bill_fen"]))
        simulation.set_input("bill", YEAR, given["bill_fen"] / 100)
        for name in ("level", "group"):
            kind = system.get_variable(name).possible_values
            names = np.array([one.name for one in kind])
            simulation.set_input(name, YEAR, kind.encode(names[given[name]]))
        return simulation

    def work(self, made: Any) -> Any:
        for name in _PAID:
            made.delete_arrays(name)  # a reform works them out anew
        return [made.calculate(name, YEAR) for name in _PAID]

    def result(self, worked: Any) -> np.ndarray:
        return np.stack(worked).astype(np.float64) * 100


class OpenFiscaByHand(OpenFisca):
    """With all care: tables are indexed by hand, and each kept amount is brought back to its fen in 64 bits."""

    repeats = 5
    by_hand = True


class PolicyEngine(OpenFisca):
    """The same formulas: it is a fork of OpenFisca-Core. Its node[category] looks all people up at once."""

    package = "policyengine-core"
    core = "policyengine_core"
    enums = "enums"
    repeats = 5


class PolicyEngineByHand(PolicyEngine):
    """With the same care."""

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


def _variables(person: Any, Enum: Any, Variable: Any, year: Any, by_hand: bool) -> list[type]:
    Level = Enum("Level", {f"level_{name}": name for name in LEVELS})
    Group = Enum("Group", {name: name for name in GROUPS})

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
        return type(name, (Variable,), {"entity": person, "definition_period": year, "label": name, **what})

    return [
        variable("bill", value_type=float),
        variable("level", value_type=Enum, possible_values=Level, default_value=next(iter(Level))),
        variable("group", value_type=Enum, possible_values=Group, default_value=next(iter(Group))),
        *(variable(one.__name__, value_type=float, formula=one) for one in (basic, critical, assistance)),
    ]


PEERS: dict[str, type[Peer]] = {
    "kernel": Kernel,
    "world": World,
    "numpy": Numpy,
    "polars": Polars,
    "duckdb": DuckDB,
    "gettsim-by-hand": GettsimByHand,
    "gettsim": Gettsim,
    "policyengine-by-hand": PolicyEngineByHand,
    "policyengine": PolicyEngine,
    "openfisca-by-hand": OpenFiscaByHand,
    "openfisca": OpenFisca,
}
NAMES = {
    "kernel": "medfloor, compiled engine",
    "world": "medfloor, World.settle, law asked anew",
    "numpy": "numpy, whole fen",
    "polars": "Polars, whole fen",
    "duckdb": "DuckDB, whole fen",
    "gettsim-by-hand": "gettsim, with all care by hand",
    "gettsim": "gettsim, as its pages teach",
    "policyengine-by-hand": "PolicyEngine-core, with all care by hand",
    "policyengine": "PolicyEngine-core, as its pages teach",
    "openfisca-by-hand": "OpenFisca-core, with all care by hand",
    "openfisca": "OpenFisca-core, as its pages teach",
}
