"""Bring all rows of a household together on the cluster: which unit each row goes to, and what whole tables say of it.

A unit is a household. A person counts in the household of the last usable row of people, as screening has it. Rows of
persons whom people does not have go together by person, rows that name nobody go alone, and claims whose id another
row has go together by id, because reading refuses them wherever they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from medfloor.intake.layout import match_columns
from medfloor.intake.registers import ROW
from medfloor.intake.settlements import read_settlements
from medfloor.settlement.spark import Table, as_came, over_batches, text
from medfloor.settlement.spark.inputs import Shape, few
from medfloor.tables import CLAIMS, HOUSEHOLDS, PEOPLE, SETTLEMENTS, SPELLS
from medfloor.watch.spark.batches import KINDS

_CONTRACTS = {
    "people": PEOPLE, "households": HOUSEHOLDS, "settlements": SETTLEMENTS, "previous": SETTLEMENTS, "spells": SPELLS,
    "claims": CLAIMS,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Inputs:
    """Be the tables of a run as Spark reads them, by name; `known` are earlier alerts, one a household and signal.

    `kept` is what the executors keep until the end of the run; `made` what `settled` gave, which is worked out once.
    """

    tables: Mapping[str, Table]
    known: Any = None
    kept: list[Any] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)

    def release(self) -> None:
        """Let go what the executors kept for the run."""
        for frame in self.kept:
            frame.unpersist()

    def by_unit(self) -> Any:
        """Give every row that its unit needs: unit, kind, ROW, again, settled, and one packed column for each kind."""
        from pyspark.sql import functions as F

        homes = self._homes()
        parts = {"households": self._households(), **self.settled()}
        for name in ("people", "spells", "claims"):
            if name in self.tables:
                parts[name] = self._keyed(name)
        for name, frame in parts.items():
            if name != "households":
                parts[name] = _with_unit(name, frame, homes)
        if self.known is not None:
            rows = F.struct("household_id", "signal", "suppressed_until", "excess").alias("known")
            parts["known"] = self.known.select(F.col("household_id").alias("unit"), F.lit(0).alias(ROW), rows)
        types = {name: frame.schema[name].dataType for name, frame in parts.items()}
        types.setdefault("known", "struct<household_id string, signal string, suppressed_until date, excess double>")
        united = None
        for kind, frame in parts.items():
            flags = [
                F.coalesce(F.col(flag), F.lit(False)).alias(flag) if flag in frame.columns else F.lit(False).alias(flag)
                for flag in ("again", "settled")
            ]
            packed = [
                (F.col(name) if name == kind else F.lit(None).cast(dtype)).alias(name) for name, dtype in types.items()
            ]
            number = F.lit(KINDS.index(kind)).cast("tinyint").alias("kind")
            rows = frame.select("unit", number, F.col(ROW).cast("bigint").alias(ROW), *flags, *packed)
            united = rows if united is None else united.unionByName(rows)
        return united

    def settled(self) -> dict[str, Any]:
        """Give settlements, and previous where there are any, with `again` and `settled`, as reading needs to know."""
        from pyspark.sql import functions as F

        if self.made:
            return self.made
        parts = self.made
        for name in (one for one in ("settlements", "previous") if one in self.tables):
            rows = self._keyed(name)
            ids = rows.where("_claim_id is not null").groupBy("_claim_id")
            first = ids.agg(F.min(ROW).alias("_first"), F.count("*").alias("_rows")).where("_rows > 1")
            several = few(first.select("_claim_id", "_first"), self.kept)
            if several is not None:
                rows = rows.join(several, "_claim_id", "left").withColumn("again", F.col(ROW) > F.col("_first"))
            else:
                rows = rows.withColumn("again", F.lit(False))
            parts[name] = rows
        if "previous" in parts:
            parts["previous"] = self._with_settled(parts["settlements"], parts["previous"])
        return parts

    def _with_settled(self, settlements: Any, previous: Any) -> Any:
        """Mark the rows of previous whose claim a readable row of settlements settles."""
        from pyspark.sql import functions as F

        ids = [one.select("_claim_id").where("_claim_id is not null").distinct() for one in (settlements, previous)]
        shared = few(ids[1].join(ids[0], "_claim_id", "left_semi"), self.kept)
        if shared is None:
            return previous
        table = self.tables["settlements"]
        shape = Shape(table.schema, table.scan.place)

        def readable(rows: pl.DataFrame) -> pl.DataFrame:
            part = shape.scan(as_came(rows["settlements"], shape.schema))
            found = read_settlements(part, again=rows["again"].fill_null(value=False))
            return found.accepted.select(pl.col("claim_id").alias("_claim_id"))

        both = settlements.join(shared, "_claim_id", "left_semi").select("settlements", "again")
        taken = both.mapInArrow(over_batches(readable), "_claim_id string").distinct()
        return previous.join(taken.withColumn("settled", F.lit(True)), "_claim_id", "left")

    def _keyed(self, name: str) -> Any:
        """Give the rows of a table with the person that they are of, and the claim where they are of one."""
        from pyspark.sql import functions as F

        table = self.tables[name]
        layout = match_columns(table.scan, _CONTRACTS[name])
        keys = [text(table, layout.given["person_id"]).alias("_person_id")]
        if name in ("settlements", "previous", "claims"):
            given = layout.given["claim_id"] if layout.has("claim_id") else None
            keys.append((F.lit(None).cast("string") if given is None else text(table, given)).alias("_claim_id"))
        rows = table.frame.select(ROW, table.packed().alias(name), *keys)
        if name != "claims":
            return rows
        ids = rows.where("_claim_id is not null").groupBy("_claim_id").count().where("count > 1")
        twice = few(ids.select("_claim_id", F.lit(True).alias("_twice")), self.kept)
        if twice is None:
            return rows.withColumn("_twice", F.lit(False))
        return rows.join(twice, "_claim_id", "left")

    def _households(self) -> Any:
        from pyspark.sql import functions as F

        table = self.tables["households"]
        given = match_columns(table.scan, HOUSEHOLDS).given["household_id"]
        unit = F.coalesce(text(table, given), _alone())
        return table.frame.select(unit.alias("unit"), ROW, table.packed().alias("households"))

    def _homes(self) -> Any:
        """Say in which household each person counts: that of the last row whose day of death, if any, can be read."""
        from pyspark.sql import functions as F

        table = self.tables["people"]
        layout = match_columns(table.scan, PEOPLE)
        person = text(table, layout.given["person_id"])
        home = text(table, layout.given["household_id"]) if layout.has("household_id") else F.lit(None).cast("string")
        rows = table.frame.select(ROW, person.alias("_person_id"), F.coalesce(home, person).alias("_home"))
        if table.schema.get("death_date") == pl.String:
            died = table.column("death_date").alias("_died")
            rows = table.frame.select(ROW, person.alias("_person_id"), F.coalesce(home, person).alias("_home"), died)
            rows = rows.mapInArrow(
                over_batches(with_usable), f"{ROW} bigint, _person_id string, _home string, _usable boolean"
            )
        else:
            rows = rows.withColumn("_usable", F.lit(True))
        last = F.max_by("_home", F.struct("_usable", ROW)).alias("_home")
        return rows.where("_person_id is not null").groupBy("_person_id").agg(last)


def with_usable(rows: pl.DataFrame) -> pl.DataFrame:
    """Say of rows of people whether their day of death, a text, is empty or can be read.

    >>> rows = pl.DataFrame({ROW: [0, 1], "_person_id": ["p", "p"], "_home": ["h", "i"], "_died": [" ", "soon"]})
    >>> with_usable(rows)["_usable"].to_list()
    [True, False]
    """
    said = pl.col("_died").str.strip_chars()
    bad = said.is_not_null() & (said != "") & said.str.to_date("%Y-%m-%d", strict=False).is_null()
    return rows.select(ROW, "_person_id", "_home", (~bad.fill_null(value=False)).alias("_usable"))


def _alone() -> Any:
    from pyspark.sql import functions as F

    return F.concat(F.lit("\0r"), F.col(ROW).cast("string"))


def _with_unit(kind: str, frame: Any, homes: Any) -> Any:
    from pyspark.sql import functions as F

    joined = frame.join(homes, "_person_id", "left")
    # People without an id are one row of what is refused, however many they are.
    nobody = F.lit("\0") if kind == "people" else _alone()
    unit = F.coalesce(F.col("_home"), F.concat(F.lit("\0p"), F.col("_person_id")), nobody)
    if kind == "claims":
        unit = F.when(F.col("_twice"), F.concat(F.lit("\0c"), F.col("_claim_id"))).otherwise(unit)
    return joined.withColumn("unit", unit)
