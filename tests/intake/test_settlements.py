"""Settlements and whole registers, read back from files."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from medfloor.errors import InputError
from medfloor.intake.registers import read_known, read_register_files
from medfloor.intake.settlements import read_settlements

SETTLED = pl.DataFrame({
    "claim_id": ["c1", "c2", "c2", "c3", "c4"],
    "person_id": ["p1", "p1", "p1", "p2", None],
    "benefit_year": ["2025", "2025", "2025", "2025", "2025"],
    "settled_date": ["2025-03-01", "2025-04-01", "2025-04-01", "2025-02-30", "2025-05-01"],
    "pay_basic": ["10.00", "0", "0", "1", "1"],
    "own_in_scope": ["5.00", "-5.00", "-5.00", "1", "1"],
    "own_total": ["7.01", "-7.01", "-7.01", "1", "1"],
})  # fmt: skip


def test_each_row_is_accepted_or_refused_with_a_reason_and_money_reconciles() -> None:
    read = read_settlements(SETTLED)
    assert read.accepted.select("claim_id", "own_in_scope_fen", "own_total_fen", "pay_basic_fen").rows() == [
        ("c1", 500, 701, 1000),
        ("c2", -500, -701, 0),
    ]
    assert read.bad["reason"].to_list() == ["duplicate_claim_id", "bad_date", "missing_value"]
    assert read.rows_in == read.accepted.height + read.bad.height
    assert read.own_total_fen == read.accepted["own_total_fen"].sum() + read.own_rejected_fen


def test_a_file_without_what_stays_inside_the_scope_is_refused() -> None:
    with pytest.raises(InputError, match="own_in_scope") as error:
        read_settlements(SETTLED.drop("own_in_scope"))
    assert error.value.code == "missing_column"


def test_a_register_gathers_what_its_files_refuse(tmp_path: Path) -> None:
    homes = tmp_path / "households.csv"
    homes.write_text("household_id,size,income,wave\nh1,2,x,2024\nh1,2,50000,2023\nh2,1,20000,2024\nh2,1,1,2025\n")
    people = pl.DataFrame({
        "person_id": ["p1", "p2", "p3"], "household_id": ["h1", "h2", "h2"], "death_date": [None, "2025-01-05", "soon"],
    })  # fmt: skip
    spells = pl.DataFrame({"person_id": ["p1", "p2"], "group": ["低保对象", "veteran"]})
    read = read_register_files(
        people=people, households=homes, settlements=SETTLED[:1], previous=SETTLED[:2], spells=spells, year=2025
    )
    assert read.wave == 2024 and read.households["household_id"].to_list() == ["h2"]
    assert read.people["person_id"].to_list() == ["p1", "p2"]
    assert read.spells is not None and read.spells["group"].to_list() == ["dibao", "veteran"]
    assert sorted(read.rejected.select("table", "reason").rows()) == [
        ("households", "bad_amount"),
        ("people", "bad_date"),
        ("previous", "duplicate_claim_id"),
    ]
    assert read.rows == {"people": 3, "households": 4, "settlements": 1, "previous": 2, "spells": 2, "other_waves": 2}
    assert read.own_fen == 701 and read.own_rejected_fen == 701


def test_known_alerts_need_their_columns(tmp_path: Path) -> None:
    assert read_known([]) is None
    with pytest.raises(InputError) as error:
        read_known([pl.DataFrame({"household_id": ["h1"]})])
    assert error.value.code == "missing_column"
