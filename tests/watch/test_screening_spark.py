"""Screen a register in random batches of whole households, as the machines of a cluster do: the result is the whole's.

No cluster is needed here: which rows belong together is worked out with Polars, as `watch.spark.units` has it worked
out by Spark. That Spark does the same is tested on a cluster (`screening_on_spark.py`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from made_registers import flawed
from polars.testing import assert_frame_equal

from medfloor.cli.watch.screen import command
from medfloor.errors import MedfloorError, OutputError
from medfloor.intake.households import read_households
from medfloor.intake.registers import ROW, groups_in, is_made_up, read_register_files, wave_of, waves_in
from medfloor.intake.settlements import read_settlements
from medfloor.settlement.spark.inputs import Shape
from medfloor.watch import Register, Standing, load_rules, screen
from medfloor.watch.screening import Screening, in_order, money_of
from medfloor.watch.signals import standing_from
from medfloor.watch.spark import engine
from medfloor.watch.spark.batches import KINDS, TABLES, Asked, Done, Parts, Tally, look, nothing, screened
from medfloor.watch.spark.units import with_usable

DAY = date(2025, 11, 30)
RULES = load_rules("cn", on=DAY)
GROUPS = sorted({one for rule in RULES.rules for one in rule.listed("groups")})
KNOWN = {"household_id": pl.String, "signal": pl.String, "suppressed_until": pl.Date, "excess": pl.Float64}


def by_unit(tables: dict[str, pl.DataFrame], known: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """Do what `Inputs.by_unit` does."""
    numbered = {name: table.with_row_index("n") for name, table in tables.items()}
    person, claim = pl.col("person_id").str.strip_chars().replace("", None), pl.col("claim_id")
    alone = pl.format("\0r{}", "n")
    homes = with_usable(
        numbered["people"].select(
            pl.col("n").cast(pl.Int64).alias(ROW), person.alias("_person_id"),
            pl.coalesce("household_id", person).alias("_home"), pl.col("death_date").alias("_died"),
        )
    ).drop_nulls("_person_id").sort("_usable", ROW).group_by("_person_id").agg(pl.col("_home").last())  # fmt: skip
    taken = read_settlements(tables["settlements"]).accepted["claim_id"].drop_nulls()
    parts = [nothing(asked)]
    for name, table in numbered.items():
        if name == "households":
            unit = pl.coalesce(pl.col("household_id").str.strip_chars().replace("", None), alone)
        else:
            table = table.with_columns(person.alias("_person_id")).join(
                homes, on="_person_id", how="left", maintain_order="left"
            )
            nobody = pl.lit("\0") if name == "people" else alone
            unit = pl.coalesce("_home", pl.format("\0p{}", "_person_id"), nobody)
        if name == "claims":
            unit = pl.when(claim.is_duplicated()).then(pl.format("\0c{}", "claim_id")).otherwise(unit)
        settled = name in ("settlements", "previous")
        again = claim.is_not_null() & ~claim.is_first_distinct() if settled else pl.lit(value=False)
        packed = pl.struct(pl.col(one).alias(f"c{number}") for number, one in enumerate(tables[name].columns))
        parts.append(
            table.select(
                unit.alias("unit"), pl.lit(KINDS.index(name), pl.Int8).alias("kind"),
                pl.col("n").cast(pl.Int64).alias(ROW), again.alias("again"),
                (claim.is_in(taken.implode()).fill_null(value=False) if name == "previous" else pl.lit(value=False))
                .alias("settled"),
                packed.alias(name),
            )
        )  # fmt: skip
    earlier = pl.struct("household_id", "signal", "suppressed_until", "excess")
    parts.append(
        known.select(pl.col("household_id").alias("unit"), pl.lit(6, pl.Int8).alias("kind"),
                     pl.lit(0, pl.Int64).alias(ROW), earlier.alias("known"))
    )  # fmt: skip
    flags = [pl.col("again", "settled").fill_null(value=False)]
    return pl.concat(parts, how="diagonal").with_columns(flags).sort("unit", "kind", ROW)


def in_batches(
    tables: dict[str, pl.DataFrame], known: pl.DataFrame, year: int, seed: int
) -> tuple[Screening, Tally, int | None]:
    """Screen random batches of units, and put what they found together as the driver does."""
    shapes = {name: Shape(tables[name].schema, f"the {name} table") for name in TABLES}
    homes = read_households(tables["households"]).accepted
    wave = wave_of(waves_in(homes), year)
    groups = tuple(groups_in(tables["spells"], GROUPS))
    asked = Asked(shapes, groups, wave, year, DAY, RULES, "")
    rows = by_unit(tables, known, asked)
    units = rows["unit"].unique().sort()
    share = np.random.default_rng(seed).integers(0, 3, units.len())
    chosen = rows.join(pl.DataFrame({"unit": units, "batch": share}), on="unit", how="left", maintain_order="left")
    batches = chosen.drop("unit").partition_by("batch", include_key=False, maintain_order=True)
    standing = standing_from([look(one, asked) for one in [nothing(asked), *batches]], RULES)
    asked = replace(asked, standing=standing)
    first, tally = screened(nothing(asked), asked)
    found = [first]
    for batch in batches:
        one, counted = screened(batch, asked)
        tally.add(counted)
        found.append(one)

    def below(name: str) -> Any:
        return pl.concat([getattr(one, name) for one in found])

    names = ("alerts", "households", "rejected", "suppressed")
    together = in_order(Screening(*(below(name) for name in names), standing, tally.counts))
    return together, tally, wave


@given(seed=st.integers(0, 100_000))
@settings(max_examples=5, deadline=None, phases=[Phase.generate])
def test_random_batches_of_households_give_what_the_whole_gives(seed: int) -> None:
    tables = flawed(seed)
    year = 2025 if seed % 4 else 2024
    read = read_register_files(**tables, groups=GROUPS, year=year)
    register = Register(read.people, read.households, read.spells, read.claims)
    first = screen(register, read.settlements, RULES, year=year, as_of=DAY)
    known = first.alerts.sample(fraction=0.4, seed=seed).select(
        pl.col(name) if name in first.alerts.columns else pl.lit(None, kind).alias(name) for name, kind in KNOWN.items()
    )
    whole = screen(register, read.settlements, RULES, year=year, as_of=DAY, known_alerts=known)
    found, tally, wave = in_batches(tables, known, year, seed)
    assert found.standing == whole.standing
    for name in ("alerts", "suppressed", "households"):
        assert_frame_equal(getattr(found, name), getattr(whole, name), check_exact=True)
    rejected = pl.concat([read.rejected, whole.rejected], how="diagonal")
    assert_frame_equal(found.rejected, rejected)
    assert found.counts == whole.counts
    assert {name: tally.rows[name] for name in read.rows} == dict(read.rows)
    assert tally.money == money_of(read, whole, year=year, as_of=DAY)
    assert (wave, tally.made_up) == (read.wave, is_made_up(read.people))


def test_the_made_up_registers_have_every_fault_that_screening_knows() -> None:
    seen: set[tuple[str, str]] = set()
    signals: set[str] = set()
    for seed in range(8):
        tables = flawed(seed)
        read = read_register_files(**tables, groups=GROUPS, year=2025)
        register = Register(read.people, read.households, read.spells, read.claims)
        whole = screen(register, read.settlements, RULES, year=2025, as_of=DAY)
        seen |= set(pl.concat([read.rejected, whole.rejected]).select("table", "reason").unique().iter_rows())
        signals |= set(whole.alerts["signal"])
    assert {
        ("people", "bad_person"), ("people", "duplicate_person"), ("people", "overlapping_schemes"),
        ("people", "bad_date"), ("households", "missing_value"), ("households", "repeated_row"),
        ("households", "bad_number"), ("households", "bad_amount"), ("settlements", "unknown_person"),
        ("settlements", "duplicate_claim_id"), ("settlements", "bad_date"), ("settlements", "missing_value"),
        ("previous", "duplicate_claim_id"), ("previous", "bad_amount"), ("spells", "bad_spell"),
        ("claims", "duplicate_claim_id"), ("claims", "negative_amount"),
    } <= seen, seen  # fmt: skip
    assert signals >= set(RULES.signals) - {"monitored_edge"}, set(RULES.signals) - signals


def test_households_are_read_back_in_the_order_of_the_register_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = np.random.default_rng(1).permutation(10)
    homes = pl.DataFrame({"household_id": [f"h{place}" for place in places], ROW: places})
    parts = [str(tmp_path / f"{number}.parquet") for number in range(2)]
    for path, some in zip(parts, (homes.head(4), homes.tail(6)), strict=True):
        some.write_parquet(path)
    monkeypatch.setattr(engine, "IN_MEMORY", 3)
    nothing_found = Screening(homes, homes, homes, homes, Standing(previous=False, claims_until=None), {})
    found = engine.Found(nothing_found, {}, {}, False, None, parts, homes.clear())
    read = list(found.households())
    assert [frame.height for frame in read] == [0, 3, 3, 3, 1]
    assert pl.concat(read)["household_id"].to_list() == [f"h{number}" for number in range(10)]


def test_parts_on_a_disk_that_not_all_machines_see_are_named(tmp_path: Path) -> None:
    done = Done(files={"means": [f"{tmp_path}/means-1.parquet", f"{tmp_path}/means-2.parquet"]})
    with pytest.raises(OutputError, match=r"means .* \(and 1 more\) is not there: .*means-1\.parquet\.") as driver:
        engine._parts_of([Done(), done], "means")
    with Parts(f"{tmp_path}/of-the-driver") as parts, pytest.raises(OutputError, match="of-the-driver") as executor:
        parts.append("means", pl.DataFrame({"fen": [1]}))
    for caught in (driver, executor):
        assert caught.value.code == "cannot_write"
        assert "Mount its disk everywhere or name another --out" in caught.value.message
    (tmp_path / "means-1.parquet").touch()
    (tmp_path / "means-2.parquet").touch()
    assert len(engine._parts_of([done], "means")) == 2


def test_files_that_are_not_there_are_told_before_spark_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("Spark was started")

    monkeypatch.setattr(engine, "spark_session", never)
    monkeypatch.setattr(engine, "check_spark", lambda: None)
    monkeypatch.chdir(tmp_path)
    tables = flawed(1)
    for name in ("people", "households", "settlements"):
        tables[name].write_csv(f"{name}.csv")
    named = {f"--{name}": f"{name}.csv" for name in ("people", "households", "settlements")}
    for name in (*named, "--spells", "--claims", "--known", "--previous"):
        given = named | {name: "lost.csv"} | {"--out": "o", "--engine": "spark", "--as-of": "2025-11-30"}
        done = CliRunner().invoke(command, [word for pair in given.items() for word in pair])
        assert isinstance(done.exception, MedfloorError), done.output
        assert done.exception.code == "file_not_found", name
        assert "lost.csv" in done.exception.message


def test_what_spark_cannot_do_is_refused_with_a_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = ("--people", "a.csv", "--households", "b.csv", "--settlements", "c.csv", "--engine", "spark")
    for code, said, arguments in (
        ("not_with_spark", "--one", (*files, "--out", "o", "--one", "h1")),
        ("not_with_spark", "--office", ("--office", "--engine", "spark", "--out", "o")),
        ("not_with_spark", "--out", (*files, "--page", "3")),
        ("spark_not_asked", "--engine spark", (*files[:-2], "--out", "o", "--spark-master", "local[1]")),
    ):
        done = CliRunner().invoke(command, list(arguments))
        assert isinstance(done.exception, MedfloorError), done.output
        assert done.exception.code == code
        assert said in done.exception.message
        assert not list(tmp_path.iterdir())
