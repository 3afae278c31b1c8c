"""Every acceptance case is asked by some test, and two that belong to no single measure."""

from __future__ import annotations

import ast
from pathlib import Path

import polars as pl
import pytest
from protection_cases import check, ids, table

from medfloor.measures import Design, catastrophic, survey
from medfloor.measures.catastrophic import Columns

HERE = Path(__file__).resolve().parent


def test_every_case_is_asked_by_a_test() -> None:
    named: set[str] = set()
    for file in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ids":
                named |= set(ids(*(str(one.value) for one in node.args if isinstance(one, ast.Constant))))
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named.add(node.value)
    assert set(ids("")) <= named


def test_quintile_cuts_are_those_of_the_world_bank() -> None:
    homes = table("vhlss2008_fpro").with_columns(
        per_head=pl.col("hh_expd") / pl.col("hh_size"), people=pl.col("hh_sampleweight") * pl.col("hh_size")
    )
    shares = [0.2, 0.4, 0.6, 0.8]
    found = survey.quantile(homes, value="per_head", probabilities=shares, design=Design("people"))
    check("J01_quintile_cuts", *(found.value("quantile", probability=share) for share in shares))


def test_people_are_households_times_size() -> None:
    columns = Columns(oop="hh_hexpd", consumption="hh_expd", size="hh_size")
    found = catastrophic(
        table("vhlss2008_fpro"), columns=columns, thresholds=[0.1], unit="person", design=Design("hh_sampleweight")
    )
    check("J02_population", found.pick("headcount").weighted_n)


def test_an_unknown_case_is_a_mistake_of_the_test() -> None:
    with pytest.raises(KeyError):
        check("Z99_nothing", 1.0)
