"""Put what an optimisation found on a page, into tables, reform files and a figure of the front."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from medfloor.errors import UsageError
from medfloor.intake.files import write_bytes, write_table
from medfloor.reports.drawing import COLOURS, GREY, LABEL, data_of, legend
from medfloor.reports.figures import FORMATS, _rendered
from medfloor.reports.simulation import _piped, _plain
from medfloor.reports.typeface import FAMILIES, register
from medfloor.reports.workbook import Cell, Figure, Sheet, frame_sheet, words_sheet, write_workbook
from medfloor.simulation.choice import KINDS, Optimum, Package
from medfloor.words import join, knows, say

if TYPE_CHECKING:
    import altair as alt

_DOTS = 1_000
"""So many of the packages tried are drawn, evenly over the order in which they were tried."""
_SIZE = (600, 380)


def write_optimum(optimum: Optimum, folder: str | os.PathLike[str], lang: str = "en") -> list[Path]:
    """Write an optimisation into a folder: page.md, front.svg, optimum.json, the tables, and each winner as a reform.

    tried, again and confirmed stand there as CSV and Parquet, optimum.xlsx has them as sheets. Gives the files written.

    Raises OutputError cannot_write, UsageError unknown_language.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    plain = json.dumps(optimum.to_dict(lang), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    texts = {"page.md": markdown(optimum, lang), "optimum.json": plain}
    texts |= {f"{one.name}.yaml": optimum.reform(one) for one in optimum.winners}
    written = []
    for name, text in texts.items():
        write_bytes(text.encode("utf-8"), place / name)
        written.append(place / name)
    write_front_figure(optimum, place / "front.svg", lang)
    written.append(place / "front.svg")
    frames = {"tried": optimum.tried, "again": optimum.again, "confirmed": optimum.confirmed}
    for name, frame in frames.items():
        for ending in (".csv", ".parquet"):
            write_table(frame, place / f"{name}{ending}", money_columns=[])
            written.append(place / f"{name}{ending}")
    write_workbook(optimum_sheets(optimum, lang), place / "optimum.xlsx")
    return [*written, place / "optimum.xlsx"]


def optimum_sheets(optimum: Optimum, lang: str = "en") -> list[Sheet]:
    """Lay an optimisation out as sheets of a workbook: named packages, front, all tried, settled again, and words.

    Aims and costs are numbers; a lever's value is one where the package was searched for, and empty for a candidate.
    """
    levers = optimum.levers.all
    aims = {one: KINDS[one] for one in KINDS}
    heads = [say("optimise.package", lang), *(say(f"optimise.head_{one.replace('-', '_')}", lang) for one in aims)]
    heads += [say("optimise.cost", lang), say("optimise.head_of_budget", lang), *(one.title(lang) for one in levers)]

    def row(one: Package, name: str) -> list[Cell]:
        share = one.figures.cost / optimum.budget if optimum.budget > 0 else None
        values = [None] * len(levers) if one.values is None else [float(value) for value in one.values]
        cells: list[Cell] = [name, *(Figure(one.value(aim), kind) for aim, kind in aims.items())]
        cells += [Figure(one.figures.cost, "amount"), Figure(share, "percent")]
        return cells + [Figure(value, "any") for value in values]

    named = [row(one, one.title(lang)) for one in optimum.named]
    front = [row(one, one.title(lang)) for one in optimum.front]
    sheets = [Sheet(say("optimise.sheet_packages", lang), heads, named)]
    sheets += [Sheet(say("optimise.sheet_front", lang), heads, front)] if front else []
    sheets.append(_frame(optimum.tried, say("optimise.sheet_tried", lang), optimum, lang))
    for frame, name in ((optimum.confirmed, "confirmed"), (optimum.again, "again")):
        sheets += [_frame(frame, say(f"optimise.sheet_{name}", lang), optimum, lang)] if frame.height else []
    told = [(say("optimise.title", lang), [optimum.head(lang)])]
    told += [(say(f"optimise.{title}", lang), [one.say(lang) for one in phrases]) for title, phrases in optimum.said()]
    return [*sheets, words_sheet(told, lang)]


def _frame(frame: pl.DataFrame, name: str, optimum: Optimum, lang: str) -> Sheet:
    """Lay one of the tables out: heads and codes in words where there are any, numbers by what they are."""
    levers = {one.id: one.title(lang) for one in optimum.levers.all}
    titles = {one.name: one.title(lang) for one in optimum.named}
    heads, forms, columns = [], [], []
    for column in frame.columns:
        key = f"optimise.{'head_' if column in KINDS else ''}{column.replace('-', '_')}"
        heads.append(levers.get(column) or (say(key, lang) if knows(key, lang) else column))
        number = frame.schema[column].is_numeric()
        kind = KINDS.get(column) or ("amount" if column in ("cost", "budget") else "any")
        forms.append(kind if number else "")
        columns.append(frame[column] if number else frame[column].cast(pl.String).replace(titles))
    return frame_sheet(pl.DataFrame(columns), name, heads, forms)


def markdown(optimum: Optimum, lang: str = "en") -> str:
    """Write the page as Markdown."""
    lines = [f"# {say('optimise.title', lang)}", "", _plain(optimum.head(lang)), ""]
    for title, heads, rows, names in optimum.tables(lang):
        rules = ["---"] * names + ["---:"] * (len(heads) - names)
        lines += [f"## {title}", "", _piped(heads), _piped(rules, raw=True), *(_piped(row) for row in rows), ""]
    for title, phrases in optimum.said():
        lines += [f"## {say(f'optimise.{title}', lang)}", "", *(f"- {_plain(one.say(lang))}" for one in phrases), ""]
    return "\n".join(lines).rstrip() + "\n"


def front_figure(optimum: Optimum, lang: str = "en") -> alt.LayerChart:
    """Draw headcount against gap: what was tried within the budget, the front, and the named packages.

    All on the people searched on together. The front is of all aims, so that some of it may look beaten in these two.

    Raises UsageError unknown_language.
    """
    import altair as alt

    kinds = [say(f"optimise.{one}_dot", lang) for one in ("tried", "front", "named")]
    colours = alt.Color(
        field="kind", type="nominal", legend=legend(kinds, None),
        scale=alt.Scale(domain=kinds, range=[COLOURS[6], COLOURS[0], COLOURS[1]]),
    )  # fmt: skip
    x, y = (
        alt.X(
            field="headcount", type="quantitative", title=say("optimise.axis_headcount", lang),
            axis=alt.Axis(format=".1~%"), scale=alt.Scale(zero=False),
        ),
        alt.Y(
            field="gap", type="quantitative", title=say("optimise.axis_gap", lang), axis=alt.Axis(format=",~f"),
            scale=alt.Scale(zero=False),
        ),
    )  # fmt: skip
    tried = optimum.tried.filter(pl.col("within") & ~pl.col("front"))
    tried = tried.gather_every(max(1, -(-tried.height // _DOTS)))
    dots = [_dot(row, kinds[0]) for row in tried.iter_rows(named=True)]
    front = [_dot(one.together, kinds[1]) for one in optimum.front]
    named = _labelled(optimum, kinds[2], lang)

    def points(data: list[dict[str, Any]], size: int, opacity: float) -> Any:
        chart = alt.Chart(data_of(data)).mark_point(filled=True, size=size, opacity=opacity)
        return chart.encode(x=x, y=y, color=colours)

    def labels(data: list[dict[str, Any]], align: Literal["left", "right"], dx: int) -> Any:
        chart = alt.Chart(data_of(data)).mark_text(align=align, dx=dx, fontSize=LABEL)
        return chart.encode(x=x, y=y, text=alt.Text(field="name", type="nominal"))

    right, left = _sides(named, [one["headcount"] for one in (*dots, *front, *named)])
    sides = [labels(right, "left", 9), labels(left, "right", -9)]
    register()
    title = say("optimise.title", lang)
    made: alt.LayerChart = (
        alt.layer(points(dots, 16, 0.35), points(front, 45, 0.9), points(named, 110, 1.0), *sides)
        .properties(
            width=_SIZE[0], height=_SIZE[1],
            title=alt.TitleParams(
                [title], subtitle=_subtitle(optimum, lang), anchor="start", fontSize=17, subtitleFontSize=12.5
            ),
            background="white", padding=8, description=f"{title}. {optimum.head(lang)}",
        )
        .configure(font=", ".join(FAMILIES))
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=LABEL, titleFontSize=LABEL, titleFontWeight="normal", titlePadding=10, gridColor="#E4E4E4",
            domainColor=GREY,
        )
        .configure_legend(labelFontSize=LABEL, labelLimit=0)
    )  # fmt: skip
    return made


def write_front_figure(optimum: Optimum, path: str | os.PathLike[str], lang: str = "en") -> None:
    """Draw the front into a file, whole or not at all: .svg, .png, .pdf or .json (Vega-Lite).

    Raises UsageError unknown_format for another ending, OutputError cannot_write.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise UsageError("unknown_format", f"{os.fspath(path)} ends in none of {', '.join(FORMATS)}. Rename it.")
    write_bytes(_rendered(front_figure(optimum, lang), ending), path)  # type: ignore[arg-type]


def _dot(row: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"headcount": row["headcount"], "gap": row["gap"], "kind": kind}


def _labelled(optimum: Optimum, kind: str, lang: str) -> list[dict[str, Any]]:
    """Give the named packages from top to bottom; those at one place share a dot and a label."""
    places: dict[tuple[float, float], list[str]] = {}
    for one in optimum.named:
        places.setdefault((one.together["gap"], one.together["headcount"]), []).append(one.title(lang))
    return [
        {"headcount": headcount, "gap": gap, "kind": kind, "name": join(names, lang)}
        for (gap, headcount), names in sorted(places.items(), reverse=True)
    ]


def _sides(
    named: Sequence[dict[str, Any]], drawn: Sequence[float]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Part the names into those right and left of their dots: in turn, unless one side has no room for the name.

    In turn from top to bottom, so that neighbours do not cover each other; a name never runs over the axis.
    """
    low, high = min(drawn), max(drawn)
    sides: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for number, one in enumerate(named):
        at = _SIZE[0] * ((one["headcount"] - low) / (high - low) if high > low else 0.5)
        # A Chinese character is as wide as it is high, a Latin letter about half as wide.
        width = LABEL * sum(1.0 if ord(letter) > _WIDE else 0.55 for letter in one["name"]) + _MARGIN
        room = (_SIZE[0] - at, at)
        side = number % 2
        if width > room[side]:
            side = 0 if room[0] >= room[1] else 1
        sides[side].append(one)
    return sides


_WIDE = 0x2E80
_MARGIN = 15


def _subtitle(optimum: Optimum, lang: str) -> list[str]:
    from medfloor.reports.drawing import TEXT
    from medfloor.reports.typeface import wrapped

    return list(wrapped(optimum.head(lang), 12.5, TEXT))
