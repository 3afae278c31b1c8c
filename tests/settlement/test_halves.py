"""Settle a year of files in two halves: what the first closes with opens the second, and nothing changes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from medfloor.settlement.chunks import Files, settle_files
from medfloor.settlement.engines import Engine

SAMPLE = Path(__file__).resolve().parents[2] / "src" / "medfloor" / "sample" / "beijing"
LATER = ("C06", "C10", "C14", "C16", "C17", "C20")
"""Claims of the second half: a second stay, a shared ceiling, the end of a transfer, a yearly deductible, a status."""


@pytest.mark.parametrize("engine", ["kernel", "reference"])
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_two_halves_in_files_close_and_pay_as_the_whole_year_does(tmp_path: Path, engine: Engine, ending: str) -> None:
    claims = pl.read_csv(SAMPLE / "claims.csv", infer_schema=False).filter(~pl.col("claim_id").is_in(["C21", "C22"]))
    later = pl.col("claim_id").is_in(LATER)
    parts = {"whole": claims, "first": claims.filter(~later), "second": claims.filter(later)}
    for name, part in parts.items():
        part.write_csv(tmp_path / f"{name}.csv")
        settle_files(
            Files(
                claims=str(tmp_path / f"{name}.csv"),
                people=str(SAMPLE / "people.csv"),
                spells=str(SAMPLE / "spells.csv"),
                opening=str(tmp_path / f"first-closing{ending}") if name == "second" else None,
                out=str(tmp_path / f"{name}-settled.csv"),
                closing=str(tmp_path / f"{name}-closing{ending}"),
            ),
            "cn/beijing",
            engine=engine,
        )
    assert (tmp_path / f"second-closing{ending}").read_bytes() == (tmp_path / f"whole-closing{ending}").read_bytes()
    pays = pl.all().exclude("sequence")
    whole = pl.read_csv(tmp_path / "whole-settled.csv", infer_schema=False).select(pays).sort("claim_id")
    halves = pl.concat(
        pl.read_csv(tmp_path / f"{name}-settled.csv", infer_schema=False).select(pays) for name in ("first", "second")
    )
    assert halves.sort("claim_id").equals(whole)
