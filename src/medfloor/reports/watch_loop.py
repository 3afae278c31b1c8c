"""Write a simulation of watching: page, JSON, tables, workbook and a figure, each file whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from medfloor.errors import OutputError, UsageError
from medfloor.intake.files import write_bytes, write_table
from medfloor.reports.drawing import COLOURS, GREY, data_of, set_in_words
from medfloor.reports.figures import FORMATS, _rendered
from medfloor.reports.printed import Printed, as_markdown, as_page
from medfloor.reports.typeface import register
from medfloor.reports.workbook import Sheet, frame_sheet, words_sheet, write_workbook
from medfloor.watch.tally import Simulated, assumption_rows
from medfloor.words import say

if TYPE_CHECKING:
    import altair as alt

ENDINGS = (".html", ".md", ".json", ".csv", ".parquet", ".xlsx", *(one for one in FORMATS if one != ".json"))
_WIDTH = 460


def check_loop_outputs(paths: Sequence[str]) -> None:
    """Refuse what cannot be written before counties are lived.

    Raises UsageError unknown_format; OutputError cannot_write where the folder of a file is not there.
    """
    for path in paths:
        place = Path(path)
        ending = place.suffix.lower()
        if ending and ending not in ENDINGS and not place.is_dir():
            raise UsageError("unknown_format", f"{path} ends in none of {', '.join(ENDINGS)}. Rename it.")
        if ending and not place.parent.is_dir():
            raise OutputError("cannot_write", f"{path}: there is no folder {place.parent}; make it first")


def write_simulated(found: Simulated, path: str | os.PathLike[str], lang: str = "en") -> list[Path]:
    """Write a simulation: a path with an ending is one file, another path a folder that gets everything.

    .html and .md are the page, .json everything, .csv and .parquet arms by measure, .xlsx all tables, .svg, .png and
    .pdf the figure. Gives the files written. Raises UsageError unknown_format, OutputError cannot_write.
    """
    place = Path(path)
    if place.suffix and not place.is_dir():
        check_loop_outputs([str(path)])
        _write_one(found, place, lang)
        return [place]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot_write", f"{place} cannot be made: {error.strerror}; choose another folder") from None
    names = ("page.html", "page.md", "simulated.json", "simulated.xlsx", "arms.csv", "arms.parquet", "averted.svg")
    written = [place / name for name in names]
    for one in written:
        _write_one(found, one, lang)
    for ending in (".csv", ".parquet"):
        written.append(place / f"runs{ending}")
        write_table(found.runs, written[-1])
    return written


def averted_figure(found: Simulated, lang: str = "en") -> alt.VConcatChart:
    """Draw what each arm keeps above the line, with intervals, the oracle in grey.

    Raises UsageError unknown_language.
    """
    import altair as alt

    points = [
        {
            "arm": say(f"watch_arm.{arm}", lang), "colour": GREY if arm == "oracle" else COLOURS[0],
            **{name: found.value(arm, "averted", name) for name in ("mean", "low", "high")},
        }
        for arm in found.arms
        if arm != "none"
    ]  # fmt: skip
    y = alt.Y(field="arm", type="nominal", sort=[str(one["arm"]) for one in points], title=None)
    base = alt.Chart(data_of(points)).encode(y=y)
    bars = base.mark_bar(opacity=0.85).encode(
        x=alt.X(field="mean", type="quantitative", title=say("watch_loop.axis", lang)),
        color=alt.Color(field="colour", type="nominal", scale=None),
    )
    lines = base.mark_rule(strokeWidth=2).encode(x=alt.X(field="low", type="quantitative"), x2=alt.X2(field="high"))
    layers = [bars, lines] if found.seeds > 1 else [bars]
    register()
    made: alt.VConcatChart = set_in_words(
        alt.layer(*layers).properties(width=_WIDTH, height=alt.Step(26)), say("watch_loop.title", lang),
        above=[found.head(lang)], below=[say("watch_loop.synthetic", lang)], told=[found.head(lang)],
    )  # fmt: skip
    return made


def _write_one(found: Simulated, place: Path, lang: str) -> None:
    ending = place.suffix.lower()
    if ending == ".html":
        write_bytes(as_page(_pages(found, lang), lang), place)
    elif ending == ".md":
        title = f"# {say('watch_loop.page_title', lang)}\n\n{found.head(lang)}\n\n"
        write_bytes(title.encode("utf-8") + as_markdown(_pages(found, lang)), place)
    elif ending == ".json":
        text = json.dumps(found.to_dict(lang), ensure_ascii=False, indent=1, allow_nan=False)
        write_bytes((text + "\n").encode("utf-8"), place)
    elif ending == ".xlsx":
        write_workbook(_sheets(found, lang), place)
    elif ending in (".csv", ".parquet"):
        write_table(found.frame, place, money_columns=[])
    else:
        write_bytes(_rendered(averted_figure(found, lang), ending), place)


def _pages(found: Simulated, lang: str) -> list[Printed]:
    notes = [found.head(lang), *found.said(lang)]
    made = [Printed(title, [rows[0]], rows[1:], 1) for title, rows, _ in found.tables(lang)]
    rows = assumption_rows(found.setting, lang)
    return [*made, Printed(say("watch_loop.assumptions", lang), [rows[0]], rows[1:], 1, notes)]


def _sheets(found: Simulated, lang: str) -> list[Sheet]:
    said = [(say("watch_loop.page_title", lang), [found.head(lang), *found.said(lang)])]
    frame = found.frame.with_columns(
        pl.col("arm").replace_strict({one: say(f"watch_arm.{one}", lang) for one in found.arms})
    )
    heads = [say(f"watch_loop.{name}", lang) for name in frame.columns]
    assumed = assumption_rows(found.setting, lang)
    return [
        frame_sheet(frame, say("watch_loop.sheet_arms", lang), heads, _forms(frame)),
        frame_sheet(found.runs, say("watch_loop.sheet_runs", lang), found.runs.columns, _forms(found.runs)),
        Sheet(say("watch_loop.sheet_assumptions", lang), assumed[0], assumed[1:]),
        words_sheet(said, lang),
    ]


def _forms(frame: pl.DataFrame) -> list[str]:
    return ["" if not kind.is_numeric() else "whole" if kind.is_integer() else "any" for kind in frame.dtypes]
