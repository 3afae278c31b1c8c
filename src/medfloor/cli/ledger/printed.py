"""Print a table of the ledger, and write it as .csv, .xlsx or .parquet; what its commands share.

Columns whose name ends in _fen are money: grouped yuan on the terminal, plain yuan in files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from medfloor.money import group_yuan
from medfloor.terminal import aligned
from medfloor.words import knows, say

if TYPE_CHECKING:
    import polars as pl

ENDINGS = (".csv", ".xlsx", ".parquet")
_COUNTS = ("claims", "reversals", "differences", "id", "fixmedins_setl_cnt")


def check_out(out: str | None, inputs: Sequence[str] = ()) -> None:
    """Refuse a file that cannot be written before anything is done. Raises UsageError, OutputError."""
    from pathlib import Path

    from medfloor.errors import UsageError
    from medfloor.intake import check_outputs

    if out is None:
        return
    if Path(out).suffix.lower() not in ENDINGS:
        raise UsageError("unknown_format", f"{out} ends in none of {', '.join(ENDINGS)}. Rename it.")
    check_outputs([out], inputs, any_format=True)


def tell(names: Sequence[str], rows: Sequence[Sequence[Any]], lang: str) -> None:
    """Print rows under the heads of `clearing.head_<name>`; None is an empty cell."""
    heads = [_head(name, lang) for name in names]
    shown = [[_cell(name, value) for name, value in zip(names, row, strict=True)] for row in rows]
    right = [place for place, name in enumerate(names) if name.endswith("_fen") or name in _COUNTS]
    for text in aligned([heads, *shown], right=right):
        click.echo(text)


def write(names: Sequence[str], rows: Sequence[Sequence[Any]], out: str, title: str, lang: str) -> None:
    """Write rows into a file: names of columns in .csv and .parquet, heads in words in .xlsx."""
    import polars as pl

    if out.lower().endswith(".xlsx"):
        _workbook(names, rows, out, title, lang)
    else:
        from medfloor.intake.files import write_table

        columns = [pl.Series(name, [row[place] for row in rows], _type(name)) for place, name in enumerate(names)]
        write_table(pl.DataFrame(columns), out)
    click.echo(say("clearing.written", lang, file=out, rows=len(rows)), err=True)


def _workbook(names: Sequence[str], rows: Sequence[Sequence[Any]], out: str, title: str, lang: str) -> None:
    from medfloor.reports.workbook import Cell, Figure, Sheet, write_workbook

    def cell(name: str, value: Any) -> Cell:
        if value is None:
            return None
        if name.endswith("_fen"):
            return Figure(value / 100, "amount")
        return Figure(value, "whole") if name in _COUNTS else str(value)

    body = [[cell(name, value) for name, value in zip(names, row, strict=True)] for row in rows]
    write_workbook([Sheet(title, [_head(name, lang) for name in names], body)], out)


def _head(name: str, lang: str) -> str:
    key = f"clearing.head_{name}"
    return say(key, lang) if knows(key, lang) else name.removesuffix("_fen")


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    return group_yuan(value) if name.endswith("_fen") else str(value)


def _type(name: str) -> pl.DataType:
    import polars as pl

    return pl.Int64() if name.endswith("_fen") or name in _COUNTS else pl.String()
