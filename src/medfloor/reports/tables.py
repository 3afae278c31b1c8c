"""Turn a result into a table to print, with its definition above and its weights and errors below."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from medfloor.errors import UsageError
from medfloor.intake.files import write_bytes
from medfloor.measures.result import Result, figure_text, name_of
from medfloor.reports.captions import definition_of, differing, head_of, level_of, notes_of, said, title_of
from medfloor.reports.plain import as_csv, as_json, as_parquet
from medfloor.reports.printed import as_html, ready_tables
from medfloor.reports.typeface import FAMILIES
from medfloor.words import say

if TYPE_CHECKING:
    import great_tables

_MOST_COLUMNS = 7
"""As many values of a label as are spread over columns; more stand in rows."""

_MARKS = re.compile(r"([|<*`\\])")
_ESCAPED = r"\\\1"

_NUMBERS = ("estimate", "se", "low", "high", "p", "n")


@dataclass(frozen=True, slots=True)
class Grid:
    """Be a table as text: heads and cells of the columns, how many of them name a row, and each row's group.

    `spanner` names what `spread` columns of numbers are spread over, None where they are not.
    """

    heads: list[str]
    rows: list[list[str]]
    names: int
    groups: list[str]
    spanner: str | None = None
    spread: int = 0
    brackets: bool = False


def table(result: Result, lang: str = "en", *, title: str | None = None) -> great_tables.GT:
    """Lay a result out as a table of great_tables.

    Statistics stand in rows. One label with two to seven values (threshold, tier, definition, ...) is spread over
    columns, with the standard error in brackets after each estimate; otherwise estimate, standard error, interval, p
    and n have columns of their own. Groups and differences between groups follow as groups of rows. Numbers are written
    as their kind is read (per cent, index, amount); "-" stands for one that is not defined. Title and definition stand
    above, weight, errors, special cases and notes below, in `lang` ("en" or "zh").

    Raises UsageError unknown_language.

    >>> from medfloor.measures.catastrophic import catastrophic
    >>> homes = {"oop": [0.0, 5.0, 30.0], "consumption": [90.0, 100.0, 110.0]}
    >>> "灾难性卫生支出" in table(catastrophic(homes), "zh").as_raw_html()
    True
    """
    ready_tables()
    from great_tables import GT

    grid = grid_of(result, lang)
    columns = [f"c{place}" for place in range(len(grid.heads))]
    cells = {name: [row[place] for row in grid.rows] for place, name in enumerate(columns)}
    grouped = any(grid.groups)
    frame = pl.DataFrame(
        cells | ({"g": grid.groups} if grouped else {}), schema_overrides=dict.fromkeys(columns, pl.String())
    )
    numbers = columns[grid.names :]
    # A fixed id: the same result gives the same file.
    made = GT(frame, rowname_col=columns[0], groupname_col="g" if grouped else None, id="medfloor")
    made = made.tab_header(title or title_of(result, lang), " ".join(definition_of(result, lang)))
    made = made.tab_stubhead(grid.heads[0]).cols_label(dict(zip(columns[1:], grid.heads[1:], strict=True)))
    made = made.cols_align("right", numbers).cols_align("left", columns[: grid.names])
    if grid.spanner is not None:
        made = made.tab_spanner(grid.spanner, numbers[: grid.spread])
    for note in _notes(result, grid, lang):
        made = made.tab_source_note(note)
    return made.tab_options(table_font_names=list(FAMILIES), heading_align="left")


def write_table(result: Result, path: str | os.PathLike[str], lang: str = "en") -> None:
    """Write a result as a table, whole or not at all, in the format of the file's ending.

    .html (one file with nothing outside), .tex (LaTeX; Chinese needs ctex) and .md hold the table as people read it.
    .csv and .parquet hold one row an estimate with definition, line, weight and errors in words beside it, .json the
    same as one object with notes and special cases.

    Raises UsageError unknown_format for another ending, OutputError cannot_write.
    """
    ending = Path(path).suffix.lower()
    if ending not in _WRITERS:
        raise UsageError("unknown_format", f"{os.fspath(path)} ends in none of {', '.join(_WRITERS)}. Rename it.")
    write_bytes(_WRITERS[ending](result, lang), path)


def grid_of(result: Result, lang: str) -> Grid:
    """Lay the estimates of a result out as cells of text; see `table`."""
    spread = _spread(result.rows)
    names = _row_names(result.rows, spread)
    heads = [_head(result.rows, name, lang) for name in names]
    if spread is None:
        return _long(result, names, heads, lang)
    return _wide(result, spread, names, heads, lang)


def _long(result: Result, names: list[str], heads: list[str], lang: str) -> Grid:
    """Give each number of an estimate a column of its own."""
    rows = result.rows
    shown = [name for name in _NUMBERS if name == "estimate" or rows[name].null_count() < rows.height]
    interval = say("result.interval", lang, level=level_of(result))
    columns = [interval if name == "low" else name_of("column", name, lang) for name in shown if name != "high"]
    ways = _ways(rows)
    return Grid(
        heads=[*heads, *columns],
        rows=[[*_names(row, names, lang), *_numbers(row, shown)] for row in rows.iter_rows(named=True)],
        names=len(names),
        groups=[_group(row, names, ways, lang) for row in rows.iter_rows(named=True)],
    )


def _wide(result: Result, spread: str, names: list[str], heads: list[str], lang: str) -> Grid:
    """Spread the values of one label over columns; n follows where it is the same in all of them."""
    rows, ways = result.rows, _ways(result.rows)
    values = rows[spread].unique(maintain_order=True).to_list()
    found: dict[tuple[str, ...], dict[object, str]] = {}
    counts: dict[tuple[str, ...], set[object]] = {}
    for row in rows.iter_rows(named=True):
        key = (_group(row, names, ways, lang), *_names(row, names, lang))
        found.setdefault(key, {})[row[spread]] = _bracketed(row)
        counts.setdefault(key, set()).add(row["n"])
    counted = all(len(many) == 1 for many in counts.values()) and rows["n"].null_count() == 0
    cells = [[*key[1:], *(of.get(value, "") for value in values)] for key, of in found.items()]
    if counted:
        cells = [
            [*line, figure_text(_number(next(iter(many))), "count")]
            for line, many in zip(cells, counts.values(), strict=True)
        ]
    return Grid(
        heads=[
            *heads,
            *(said(spread, value, lang) for value in values),
            *([name_of("column", "n", lang)] if counted else []),
        ],
        rows=cells,
        names=len(names),
        groups=[key[0] for key in found],
        spanner=head_of(spread, lang),
        spread=len(values),
        brackets=rows["se"].null_count() < rows.height,
    )


def _spread(rows: pl.DataFrame) -> str | None:
    """Find the label whose values become columns: thresholds and tiers first, and none that leaves cells to share."""
    first = ("threshold", "tier", "definition", "quantile", "band")
    names = differing(rows)
    for name in [*(one for one in first if one in names), *(one for one in names if one not in first)]:
        values = rows[name].n_unique()
        labels = [one for one in ("statistic", "by", "group", "against", *names) if one in rows.columns]
        if (
            2 <= values <= _MOST_COLUMNS
            and not rows[name].null_count()
            and not rows.select(labels).is_duplicated().any()
        ):
            return name
    return None


def _row_names(rows: pl.DataFrame, spread: str | None) -> list[str]:
    """List the columns that name a row: the statistic, other labels, or the groups where nothing else does."""
    names = [name for name in differing(rows) if name != spread]
    if rows["statistic"].n_unique() > 1 or (
        not names and ("group" not in rows.columns or rows["group"].n_unique() <= 1)
    ):
        return ["statistic", *names]
    return names or ["group"]


def _names(row: dict[str, object], names: list[str], lang: str) -> list[str]:
    return [_group_name(row, lang) if name == "group" else said(name, row[name], lang) for name in names]


def _ways(rows: pl.DataFrame) -> list[str]:
    """List the ways of grouping."""
    return [str(way) for way in rows["by"].drop_nulls().unique(maintain_order=True)] if "by" in rows.columns else []


def _head(rows: pl.DataFrame, name: str, lang: str) -> str:
    """Name a column of labels; groups of one grouping bear its name."""
    ways = _ways(rows)
    return said("by", ways[0], lang) if name == "group" and len(ways) == 1 else head_of(name, lang)


def _group(row: dict[str, object], names: list[str], ways: list[str], lang: str) -> str:
    """Name the group of rows that a row stands in: its group, or its way of grouping where groups name the rows."""
    if not ways or ("group" in names and len(ways) == 1):
        return ""
    if row.get("by") is None:
        return say("result.all", lang)
    way = said("by", row["by"], lang)
    if "group" in names:
        return way
    return say("table.group", lang, by=way, group=_group_name(row, lang))


def _group_name(row: dict[str, object], lang: str) -> str:
    group = said("group", row.get("group"), lang)
    if row.get("against") is None:
        return group
    return say("table.difference", lang, group=group, against=said("against", row["against"], lang))


def _numbers(row: dict[str, object], shown: Sequence[str]) -> list[str]:
    """Write the numbers of a row; low and high share a cell."""
    written = {name: figure_text(_number(row[name]), str(row["kind"]), name) for name in shown}
    if "low" in written:
        low, high = written["low"], written.pop("high")
        written["low"] = "-" if low == high == "-" else f"{low} – {high}"
    return list(written.values())


def _bracketed(row: dict[str, object]) -> str:
    estimate = figure_text(_number(row["estimate"]), str(row["kind"]))
    error = _number(row["se"])
    if error is None:
        return estimate
    return f"{estimate} ({figure_text(error, str(row['kind']), 'se').removesuffix(' %')})"


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _notes(result: Result, grid: Grid, lang: str) -> list[str]:
    return ([say("table.in_brackets", lang)] if grid.brackets else []) + notes_of(result, lang)


def _html(result: Result, lang: str) -> bytes:
    page = as_html(table(result, lang), page=True)
    return page.replace('<html lang="en">', f'<html lang="{"zh-Hans" if lang == "zh" else "en"}">', 1).encode("utf-8")


def _latex(result: Result, lang: str) -> bytes:
    return table(result, lang).as_latex().encode("utf-8")


def _markdown(result: Result, lang: str) -> bytes:
    grid = grid_of(result, lang)
    lines = [f"**{title_of(result, lang)}**", "", *(f"{text}  " for text in definition_of(result, lang)), ""]
    grouped = any(grid.groups)
    heads = [head_of("by", lang), *grid.heads] if grouped else grid.heads
    left = len(heads) - (len(grid.heads) - grid.names)
    lines += [_piped(heads), _piped(["---"] * left + ["---:"] * (len(heads) - left))]
    lines += [_piped([group, *row] if grouped else row) for group, row in zip(grid.groups, grid.rows, strict=True)]
    lines += ["", *(f"{note}  " for note in _notes(result, grid, lang))]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _piped(cells: Sequence[str]) -> str:
    # What Markdown reads as more than text keeps its plain meaning behind a backslash.
    return f"| {' | '.join(_MARKS.sub(_ESCAPED, cell) for cell in cells)} |"


_WRITERS: dict[str, Callable[[Result, str], bytes]] = {
    ".html": _html,
    ".tex": _latex,
    ".md": _markdown,
    ".csv": as_csv,
    ".parquet": as_parquet,
    ".json": as_json,
}

FORMATS = tuple(_WRITERS)
"""What `write_table` writes, by the ending of the file's name."""
