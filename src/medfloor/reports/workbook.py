"""Write tables into an Excel workbook: one sheet a table, numbers as numbers, the same bytes for the same tables."""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import polars as pl

from medfloor.errors import OutputError, UsageError
from medfloor.intake.files import write_bytes
from medfloor.measures.result import Result, name_of
from medfloor.reports.captions import definition_of, head_of, notes_of, said, title_of
from medfloor.terminal import width_of
from medfloor.words import say

ENDING = ".xlsx"

FORMS = {
    "proportion": "0.00%", "percent": "0.00%", "index": "0.0000", "amount": "#,##0.00", "count": "#,##0",
    "p": "0.0000", "whole": "0", "any": "General",
}  # fmt: skip
"""How Excel shows a number of each kind; the cell keeps sixteen digits, one more than Excel uses."""

_CREATED = datetime(2000, 1, 1)
"""A fixed day, so that the same tables give the same bytes."""

_MOST_ROWS, _MOST_LETTERS, _MOST_OF_NAME = 1_048_576, 32_767, 31
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_FIGURES = ("estimate", "se", "low", "high", "p", "n")


class Figure(NamedTuple):
    """Be a number in a cell, and how it is shown: one of FORMS."""

    value: float | int | None
    form: str


Cell: TypeAlias = "str | Figure | None"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Be one sheet: its name on the tab, heads, and rows of cells; None leaves a cell empty."""

    name: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def write_workbook(sheets: Sequence[Sheet], path: str | os.PathLike[str]) -> None:
    """Write sheets into one .xlsx file, whole or not at all; the same sheets give the same bytes.

    Text stays text, also where it looks like a formula or an address. A number that is not defined leaves its cell
    empty.

    Raises UsageError unknown_format for another ending, OutputError cannot_write and too_many_rows.
    """
    if Path(path).suffix.lower() != ENDING:
        raise UsageError("unknown_format", f"{os.fspath(path)} does not end in {ENDING}. Rename it.")
    write_bytes(workbook(sheets), path)


def workbook(sheets: Sequence[Sheet]) -> bytes:
    """Give the bytes of a workbook.

    >>> sheets = [Sheet("a", ["x"], [[Figure(0.5, "percent")]])]
    >>> workbook(sheets) == workbook(sheets)
    True
    """
    import xlsxwriter

    raw = io.BytesIO()
    # In memory: entries of the archive then bear a fixed date, and no file is left behind where something fails.
    book = xlsxwriter.Workbook(raw, {"in_memory": True})
    book.set_properties({"created": _CREATED})
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    forms = {name: book.add_format({"num_format": form}) for name, form in FORMS.items()}
    for sheet, name in zip(sheets, _names([one.name for one in sheets]), strict=True):
        if len(sheet.rows) >= _MOST_ROWS:
            raise OutputError(
                "too_many_rows",
                f"{sheet.name} has {len(sheet.rows):,} rows, and a sheet holds {_MOST_ROWS - 1:,}; save it as .parquet",
            )
        page = book.add_worksheet(name)
        for column, text in enumerate(sheet.heads):
            page.write_string(0, column, text[:_MOST_LETTERS], head)
        for number, row in enumerate(sheet.rows, 1):
            for column, cell in enumerate(row):
                if isinstance(cell, Figure):
                    if cell.value is not None and math.isfinite(cell.value):
                        page.write_number(number, column, cell.value, forms[cell.form])
                elif cell:
                    page.write_string(number, column, cell[:_MOST_LETTERS])
        page.freeze_panes(1, 0)
        for column in range(len(sheet.heads)):
            page.set_column(column, column, _wide(sheet, column))
    book.close()
    return raw.getvalue()


def result_sheet(
    result: Result,
    lang: str,
    name: str | None = None,
    label: Callable[[str, Mapping[str, Any]], str | None] | None = None,
) -> Sheet:
    """Lay the estimates of a result out, a row each: what it is of in words, then the numbers that it has.

    `label` may name a label of a row otherwise: it is given the column and the row, and None leaves the usual name.
    """
    rows = result.rows
    labels = result.labels()
    shown = [one for one in _FIGURES if one == "estimate" or rows[one].null_count() < rows.height]
    heads = [*(head_of(one, lang) for one in labels), *(name_of("column", one, lang) for one in shown)]
    body: list[list[Cell]] = [
        [
            *((label and label(one, row)) or _label(one, row[one], lang) for one in labels),
            *(Figure(row[one], {"p": "p", "n": "count"}.get(one, row["kind"])) for one in shown),
        ]
        for row in rows.iter_rows(named=True)
    ]
    return Sheet(name or title_of(result, lang), heads, body)


def words_sheet(sections: Iterable[tuple[str, Sequence[str]]], lang: str) -> Sheet:
    """Lay out what must be known beside the numbers: a title and a sentence a row."""
    rows: list[list[Cell]] = [[title, text] for title, texts in sections for text in texts]
    return Sheet(say("workbook.about", lang), [say("workbook.of", lang), say("workbook.words", lang)], rows)


def frame_sheet(frame: pl.DataFrame, name: str, heads: Sequence[str], forms: Sequence[str]) -> Sheet:
    """Lay a frame out as it stands: `heads` and `forms` for each column; a form "" is text."""
    columns = [
        [None if value is None else str(value) for value in column]
        if not form
        else [Figure(value, form) for value in column]
        for column, form in zip(frame.iter_columns(), forms, strict=True)
    ]
    return Sheet(name, heads, list(zip(*columns, strict=True)))


def words_of(result: Result, lang: str) -> tuple[str, list[str]]:
    """Give a result's title with its definition, line, weight, errors and notes."""
    return title_of(result, lang), [*definition_of(result, lang), *notes_of(result, lang)]


def _label(column: str, value: object, lang: str) -> Cell:
    # A threshold stays a number, which a person can sort and filter by.
    if isinstance(value, float):
        return Figure(value, "percent" if column == "threshold" else "index")
    return None if value is None and column != "group" else said(column, value, lang)


def _names(wanted: Sequence[str]) -> list[str]:
    """Make names that Excel takes: 31 letters, none of the signs []:*?/ and backslash, none twice in any case."""
    found: list[str] = []
    for number, name in enumerate(wanted, 1):
        made = _FORBIDDEN.sub(" ", name).strip(" '")[:_MOST_OF_NAME].strip(" '") or str(number)
        if made.lower() in {one.lower() for one in found} or made.lower() == "history":
            mark = f" {number}"
            made = made[: _MOST_OF_NAME - len(mark)] + mark
        found.append(made)
    return found


def _wide(sheet: Sheet, column: int) -> float:
    """Give a column's width in letters: that of its longest text among the first rows, within bounds."""
    cells = [row[column] for row in sheet.rows[:200]]
    longest = max((width_of(cell) for cell in cells if isinstance(cell, str)), default=0)
    return min(max(longest + 1, 13 if any(isinstance(cell, Figure) for cell in cells) else 8), 60)
