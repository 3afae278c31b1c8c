"""Turn what an estimator found into a table to print, a file, or several fits side by side as a paper has them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.result import Fit, label_text, number_text, title_of
from medfloor.intake.files import write_bytes
from medfloor.reports.plain import as_csv, as_json, as_parquet
from medfloor.reports.printed import Printed, as_gt, as_latex, as_markdown, as_page
from medfloor.reports.workbook import Cell, Figure, Sheet, words_sheet, workbook
from medfloor.words import Phrase, say

if TYPE_CHECKING:
    import great_tables

_NUMBERS = ("estimate", "se", "low", "high", "p", "rows", "units", "clusters")
_COUNTS = ("rows", "units", "clusters")

_BELOW = ("rows", "units", "clusters", "r2", "r2_within", "pseudo_r2", "mean_outcome")
"""What stands below the coefficients of a regression table: names of the catalogue's section `fact`."""

_STARS = ((0.01, "***"), (0.05, "**"), (0.1, "*"))


def fit_table(fit: Fit, lang: str = "en", *, title: str | None = None) -> great_tables.GT:
    """Lay a fit out as a table of great_tables.

    Estimates stand in rows with standard error, interval and p; what counts and other facts follow below a line.
    Numbered notes say the equation, where the errors come from, what was left out, what the numbers show and do not
    show, warnings and sources. "-" stands for a number that is not defined.

    Raises UsageError unknown_language.
    """
    return as_gt(_estimates(fit, lang, title))


def write_fit(fit: Fit, path: str | os.PathLike[str], lang: str = "en") -> None:
    """Write a fit, whole or not at all, in the format of the file's ending.

    .html (stands alone), .tex (booktabs; Chinese needs ctex) and .md hold the tables with numbered notes as people read
    them; .xlsx a sheet a table, one a curve, and one of words, with the same bytes for the same fit. .csv and .parquet
    hold one row an estimate with equation and errors in words beside it, .json everything but the curves as one object.

    Raises UsageError unknown_format for another ending, OutputError cannot_write.
    """
    ending = Path(path).suffix.lower()
    if ending not in _WRITERS:
        raise UsageError("unknown_format", f"{os.fspath(path)} ends in none of {', '.join(_WRITERS)}. Rename it.")
    write_bytes(_WRITERS[ending](fit, lang), path)


def regression_table(
    fits: Sequence[Fit], lang: str = "en", *, titles: Sequence[str] | None = None, caption: str | None = None
) -> great_tables.GT:
    """Set several fits side by side as a paper prints them.

    One column for each fit, and for each estimator, outcome and group within it; a row for each term with its stars
    (* p < 0.1, ** p < 0.05, *** p < 0.01) and the standard error in brackets below; then fixed effects, rows, units,
    clusters, R² and the mean of the outcome where they are known. The notes number the errors and drops of each column.
    `titles` name the fits; else outcome and estimator stand above the columns.

    Raises UsageError no_fits where there are none, bad_titles where their number is another.
    """
    return as_gt(_side_by_side(fits, lang, titles, caption))


def write_regression_table(
    fits: Sequence[Fit],
    path: str | os.PathLike[str],
    lang: str = "en",
    *,
    titles: Sequence[str] | None = None,
    caption: str | None = None,
) -> None:
    """Write a regression table, whole or not at all: .html, .tex, .md or .xlsx, by the file's ending.

    Raises what `regression_table` raises, UsageError unknown_format, OutputError cannot_write.
    """
    ending = Path(path).suffix.lower()
    if ending not in REGRESSION_FORMATS:
        known = ", ".join(REGRESSION_FORMATS)
        raise UsageError("unknown_format", f"{os.fspath(path)} ends in none of {known}. Rename it.")
    table = _side_by_side(fits, lang, titles, caption)
    if ending == ".html":
        content = as_page([table], lang)
    elif ending == ".tex":
        content = as_latex([table])
    elif ending == ".md":
        content = as_markdown([table])
    else:
        heads = [" ".join(line[place] for line in table.heads if line[place]) for place in range(len(table.heads[0]))]
        content = workbook(
            [Sheet(table.title, heads, table.rows), words_sheet([("", [note]) for note in table.notes], lang)]
        )
    write_bytes(content, path)


REGRESSION_FORMATS = (".html", ".tex", ".md", ".xlsx")
"""What `write_regression_table` writes, by the ending of the file's name."""


def printed_fits(
    fits: Sequence[Fit], lang: str = "en", *, titles: Sequence[str] | None = None, caption: str | None = None
) -> Printed:
    """Give the regression table as text, for a page that holds more than it. Raises what `regression_table` raises."""
    return _side_by_side(fits, lang, titles, caption)


def printed_fit(fit: Fit, lang: str = "en", *, title: str | None = None) -> list[Printed]:
    """Give the tables of a fit as text, for a page that holds more: the estimates with their notes, then the others."""
    return [_estimates(fit, lang, title), *(_further(name, table, lang) for name, table in fit.tables.items())]


# One fit


def _printed(fit: Fit, lang: str) -> list[Printed]:
    return printed_fit(fit, lang)


def _estimates(fit: Fit, lang: str, title: str | None) -> Printed:
    labels, shown = fit.labels(), _shown(fit)
    heads = [_head(name, lang) for name in labels]
    heads += [_interval(fit, lang) if name == "low" else _head(name, lang) for name in shown if name != "high"]
    rows = [
        [*(label_text(name, row[name], lang) for name in labels), *_numbers(row, shown)]
        for row in fit.rows.iter_rows(named=True)
    ]
    told = [title_of("fact", name, lang) for name in fit.facts]
    facts = [
        [name, *[""] * (len(labels) - 1), number_text(value), *[""] * (len(heads) - len(labels) - 1)]
        for name, value in zip(told, fit.facts.values(), strict=True)
    ]
    return Printed(
        title=title or heading(fit, lang),
        heads=[heads],
        rows=[*rows, *facts],
        names=len(labels),
        notes=[f"{place}. {note}" for place, note in enumerate(notes_of_fit(fit, lang), 1)],
        rules=(len(rows),) if facts else (),
    )


def heading(fit: Fit, lang: str) -> str:
    """Name a fit: its method, and the outcome where there is one."""
    method = title_of("method", fit.method, lang)
    outcomes = fit.rows["outcome"].drop_nulls().unique().to_list()
    return say("fit_print.title", lang, method=method, outcome=outcomes[0]) if len(outcomes) == 1 else method


def notes_of_fit(fit: Fit, lang: str) -> list[str]:
    """Say all that must be known beside the numbers: one sentence or list an item, in the order of `Fit.text`."""
    notes = [say("fit.equation", lang, text=fit.equation.say(lang)), say("fit.errors", lang, text=fit.errors.say(lang))]
    notes += [
        say("fit.same", lang, name=_head(name, lang), value=label_text(name, fit.rows[name][0], lang))
        for name in ("model", "outcome", "group")
        if name not in fit.labels() and fit.rows.height and fit.rows[name][0] is not None
    ]
    for name, told in _lists(fit, lang):
        notes += [say("fit_print.list", lang, head=say(f"fit.{name}", lang), text=told)]
    return notes + ([say("fit.sources", lang, text="; ".join(fit.sources))] if fit.sources else [])


def _lists(fit: Fit, lang: str) -> Iterator[tuple[str, str]]:
    """List what a fit says in lists, with the key of the heading of each."""
    if fit.drops:
        yield "dropped", say("fit_print.between", lang).join(one.say(lang) for one in fit.drops)
    for name in ("warnings", "shows", "not_shown", "notes"):
        phrases = getattr(fit, name)
        if phrases:
            yield name, sentences(phrases, lang)


def sentences(phrases: Sequence[Phrase], lang: str) -> str:
    """Say sentences one after the other, with a blank between them where the language has one."""
    return say("fit_print.after", lang).join(one.say(lang) for one in phrases)


def _further(name: str, table: pl.DataFrame, lang: str) -> Printed:
    """Lay a further table out: columns of text to the left first, then numbers, in the order of the table."""
    texts = [one for one, dtype in table.schema.items() if not dtype.is_numeric()]
    ordered = [*texts, *(one for one in table.columns if one not in texts)]
    rows = [
        [_cell(column, value, lang) for column, value in row.items()]
        for row in table.select(ordered).iter_rows(named=True)
    ]
    return Printed(title_of("fit_table", name, lang), [[_head(one, lang) for one in ordered]], rows, len(texts))


def _cell(column: str, value: object, lang: str) -> str:
    return number_text(value) if isinstance(value, (int, float)) else label_text(column, value, lang)


def _shown(fit: Fit) -> list[str]:
    """List the numbers that a table of estimates has: no column that is empty, no count that a fact tells."""
    rows = fit.rows
    shown = [name for name in _NUMBERS if name == "estimate" or rows[name].null_count() < rows.height]
    return [name for name in shown if name not in _COUNTS or rows[name].n_unique() > 1 or name not in fit.facts]


def _numbers(row: Mapping[str, object], shown: Sequence[str]) -> list[str]:
    written = {name: _p_text(row[name]) if name == "p" else number_text(row[name]) for name in shown}
    if "low" in written:
        low, high = written["low"], written.pop("high")
        written["low"] = "-" if low == high == "-" else f"[{low}, {high}]"
    return list(written.values())


def _p_text(value: object) -> str:
    if not isinstance(value, float):
        return "-"
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def _head(name: str, lang: str) -> str:
    return title_of("fit_column", name, lang)


def _interval(fit: Fit, lang: str) -> str:
    return say("result.interval", lang, level=f"{100 * fit.level:g}%")


# Several fits


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """Be one column of a regression table: a fit, and those of its rows that are of one estimator, outcome, group."""

    fit: Fit
    rows: pl.DataFrame
    title: str
    alone: bool

    def fact(self, name: str) -> object:
        """Give what stands in the lower part: the rows' own count, else the fit's fact where it is of one column."""
        if name in _COUNTS:
            counts = self.rows[name].drop_nulls().unique().to_list()
            if len(counts) == 1:
                return counts[0]
            if len(counts) > 1:
                return None
        return self.fit.facts.get(name) if self.alone or name not in ("r2", "r2_within", "pseudo_r2") else None


def _side_by_side(fits: Sequence[Fit], lang: str, titles: Sequence[str] | None, caption: str | None) -> Printed:
    if not fits:
        raise UsageError("no_fits", "a regression table needs at least one fit; give a list of them")
    if titles is not None and len(titles) != len(fits):
        raise UsageError("bad_titles", f"{len(titles)} titles stand beside {len(fits)} fits; give one a fit")
    columns = [one for place, fit in enumerate(fits) for one in _columns(fit, titles[place] if titles else "")]
    keys = list(dict.fromkeys(key for column in columns for key in _keys(column)))
    body: list[list[str]] = []
    for term, at in keys:
        cells = [_found(column.rows, term, at) for column in columns]
        name = label_text("term", term, lang)
        body.append([name if at is None else f"{name} {at:g}", *(_starred(cell) for cell in cells)])
        if any(cell and cell["se"] is not None for cell in cells):
            body.append(["", *(f"({number_text(cell['se'])})" if cell and cell["se"] else "" for cell in cells)])
    effects = list(dict.fromkeys(name for column in columns for name in _effects_of(column.fit)))
    below = [
        [
            say("fit_print.effects", lang, of=name),
            *(_has_effect(column.fit, name, lang) for column in columns),
        ]
        for name in effects
    ]
    below += [
        [title_of("fact", name, lang), *(_fact_text(column.fact(name)) for column in columns)]
        for name in _BELOW
        if any(column.fact(name) is not None for column in columns)
    ]
    return Printed(
        title=caption or say("fit_print.regressions", lang),
        heads=_heads(columns, lang, titled=titles is not None),
        rows=[*body, *below],
        names=1,
        notes=_regression_notes(columns, lang),
        rules=(len(body),) if below else (),
    )


def _columns(fit: Fit, title: str) -> Iterator[_Column]:
    parts = fit.rows.partition_by("model", "outcome", "group", maintain_order=True)
    for part in parts:
        yield _Column(fit, part, title, alone=fit.rows.select("model", "outcome").n_unique() == 1)


def _keys(column: _Column) -> Iterator[tuple[str, float | None]]:
    """List what the rows of a column are of; a level of an effect that is told below has none."""
    levels = tuple(f"{name}=" for name in _effects_of(column.fit))
    for term, at in column.rows.select("term", "at").iter_rows():
        if not str(term).startswith(levels):
            yield term, at


def _found(rows: pl.DataFrame, term: str, at: float | None) -> dict[str, float | None] | None:
    there = rows.filter((pl.col("term") == term) & pl.col("at").eq_missing(pl.lit(at, pl.Float64)))
    return None if there.is_empty() else there.row(0, named=True)


def _starred(cell: Mapping[str, float | None] | None) -> str:
    if cell is None or cell["estimate"] is None:
        return ""
    p = cell["p"]
    stars = "" if p is None else next((mark for bound, mark in _STARS if p < bound), "")
    return number_text(cell["estimate"]) + stars


def _effects_of(fit: Fit) -> list[str]:
    """List the fixed effects that an equation names as effect(column)."""
    text = dict(fit.equation.values).get("text", "")
    return re.findall(r"effect\(([^()]*)\)", str(text))


def _has_effect(fit: Fit, name: str, lang: str) -> str:
    """Say whether a regression has this effect; nothing of estimators whose equation is no list of columns."""
    if "text" not in dict(fit.equation.values):
        return ""
    return say(f"fit_print.{'yes' if name in _effects_of(fit) else 'no'}", lang)


def _fact_text(value: object) -> str:
    return "" if value is None else number_text(value)


def _heads(columns: Sequence[_Column], lang: str, *, titled: bool) -> list[list[str]]:
    """Number the columns; below each its title, or its outcome, estimator and group where these tell columns apart."""
    lines = [["", *(f"({place})" for place in range(1, len(columns) + 1))]]
    if titled:
        lines.append(["", *(column.title for column in columns)])
    for name in ("outcome", "model", "group"):
        values = [column.rows[name][0] for column in columns]
        apart = len(set(values)) > 1 or (name == "outcome" and not titled)
        if apart and any(value is not None for value in values):
            lines.append(["", *(label_text(name, value, lang) for value in values)])
    return lines


def _regression_notes(columns: Sequence[_Column], lang: str) -> list[str]:
    """Say what brackets and stars mean, then for each fit its columns, equation, errors and drops."""
    notes = [say("fit_print.legend", lang)]
    places: dict[int, list[int]] = {}
    for place, column in enumerate(columns, 1):
        places.setdefault(id(column.fit), []).append(place)
    for column in columns:
        numbers = places.pop(id(column.fit), None)
        if numbers is None:
            continue
        fit = column.fit
        told = [fit.equation.say(lang), say("fit.errors", lang, text=fit.errors.say(lang))]
        told += [
            say("fit_print.list", lang, head=say(f"fit.{name}", lang), text=said)
            for name, said in _lists(fit, lang)
            if name in ("dropped", "warnings")
        ]
        which = ", ".join(f"({number})" for number in numbers)
        notes.append(say("fit_print.column", lang, columns=which, text=say("fit_print.between", lang).join(told)))
    return [f"{place}. {note}" for place, note in enumerate(notes, 1)]


# Files


def _excel(fit: Fit, lang: str) -> bytes:
    labels = fit.labels()
    shown = [name for name in ("estimate", "se", "statistic", "df", "low", "high", "p", *_COUNTS)
             if name == "estimate" or fit.rows[name].null_count() < fit.rows.height]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            *(label_text(name, row[name], lang) for name in labels),
            *(Figure(row[name], _form(name)) for name in shown),
        ]
        for row in fit.rows.iter_rows(named=True)
    ]
    sheets = [Sheet(title_of("method", fit.method, lang), [_head(name, lang) for name in [*labels, *shown]], rows)]
    sheets += [_sheet(title_of("fit_table", name, lang), table, lang) for name, table in fit.tables.items()]
    sheets += [_sheet(title_of("fit_curve", name, lang), curve, lang) for name, curve in fit.curves.items()]
    words = [(heading(fit, lang), [note]) for note in notes_of_fit(fit, lang)]
    words += [(title_of("fact", name, lang), [number_text(value)]) for name, value in fit.facts.items()]
    return workbook([*sheets, words_sheet(words, lang)])


def _sheet(title: str, table: pl.DataFrame, lang: str) -> Sheet:
    rows: list[list[Cell]] = [
        [Figure(value, "whole" if isinstance(value, int) else "any")
         if isinstance(value, (int, float)) and not isinstance(value, bool)
         else label_text(name, value, lang)
         for name, value in row.items()]
        for row in table.iter_rows(named=True)
    ]  # fmt: skip
    return Sheet(title, [_head(name, lang) for name in table.columns], rows)


def _form(name: str) -> str:
    return "count" if name in _COUNTS else "p" if name == "p" else "any"


_WRITERS: dict[str, Callable[[Fit, str], bytes]] = {
    ".csv": as_csv,
    ".parquet": as_parquet,
    ".json": as_json,
    ".xlsx": _excel,
    ".html": lambda fit, lang: as_page(_printed(fit, lang), lang),
    ".md": lambda fit, lang: as_markdown(_printed(fit, lang)),
    ".tex": lambda fit, lang: as_latex(_printed(fit, lang)),
}

FIT_FORMATS = tuple(_WRITERS)
"""What `write_fit` writes, by the ending of the file's name."""
