"""Put a projection of the funds on a page, into tables and workbooks; draw its fan, tornado and back-test."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from medfloor.errors import OutputError, UsageError
from medfloor.fund.backtest import Backtest
from medfloor.fund.contrast import Contrast
from medfloor.fund.outgo import FUNDS
from medfloor.fund.outlook import Outlook
from medfloor.fund.sensitivity import Tornado
from medfloor.fund.series import series_text, source_text, unit_text, value_text
from medfloor.intake.files import write_bytes, write_table
from medfloor.reports.drawing import COLOURS, GREY, SHADES, SPLIT, broken, data_of, legend, set_in_words
from medfloor.reports.figures import FORMATS, _rendered
from medfloor.reports.printed import Printed, as_markdown, as_page
from medfloor.reports.typeface import register
from medfloor.reports.workbook import Sheet, frame_sheet, words_sheet, write_workbook
from medfloor.words import knows, say

if TYPE_CHECKING:
    import altair as alt

Record: TypeAlias = Outlook | Contrast | Backtest | Tornado

ENDINGS = (".html", ".md", ".json", ".csv", ".parquet", ".xlsx", *(one for one in FORMATS if one != ".json"))
_SIZE = (590, 330)
_MOST_BARS = 14


def check_outputs_of(paths: Sequence[str]) -> None:
    """Refuse what cannot be written before anything is worked out.

    Raises UsageError unknown_format for a file whose ending is none of ENDINGS.
    """
    for path in paths:
        ending = Path(path).suffix.lower()
        if ending and ending not in ENDINGS and not Path(path).is_dir():
            raise UsageError("unknown_format", f"{path} ends in none of {', '.join(ENDINGS)}. Rename it.")


def write_projection(
    records: Sequence[Record], path: str | os.PathLike[str], lang: str = "en", *, fund: str = "basic"
) -> list[Path]:
    """Write a projection and what stands beside it (the first record is the outlook), each file whole or not at all.

    A path with an ending is one file: .html and .md the page, .json everything, .csv and .parquet the funds year by
    year, .xlsx all tables, .svg, .png and .pdf the fan of `fund`. Another path is a folder, which gets all of them,
    with the tables apart, the fan of every fund and a figure for each record that has one. Gives the files written.

    Raises UsageError unknown_format, OutputError cannot_write.
    """
    place = Path(path)
    outlook = records[0]
    assert isinstance(outlook, Outlook), "the first record is the outlook"
    if place.suffix and not place.is_dir():
        check_outputs_of([str(path)])
        _write_one(records, outlook, place, lang, fund)
        return [place]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot_write", f"{place} cannot be made: {error.strerror}; choose another folder") from None
    written = [place / name for name in ("page.html", "page.md", "projection.json", "projection.xlsx")]
    for one in written:
        _write_one(records, outlook, one, lang, fund)
    for name, frame in _frames(records, lang).items():
        for ending in (".csv", ".parquet"):
            write_table(frame, place / f"{name}{ending}", money_columns=[])
            written.append(place / f"{name}{ending}")
    for name, chart in _charts(records, lang).items():
        write_bytes(_rendered(chart, ".svg"), place / f"{name}.svg")
        written.append(place / f"{name}.svg")
    return written


def fan_figure(outlook: Outlook, lang: str = "en", fund: str = "basic") -> alt.VConcatChart:
    """Draw a fund's months of payment as a fan, with what was published of the basic fund, and the reserve lines.

    Raises UsageError unknown_language.
    """
    import altair as alt

    rows = outlook.frame.filter((pl.col("fund") == fund) & (pl.col("item") == "months"))
    points = [
        {"year": row["year"], **{one: row[one] for one in ("trend", "p5", "p25", "p50", "p75", "p95")}}
        for row in rows.iter_rows(named=True)
    ]
    held = [
        {"year": point.year, "value": 12 * point.value / outlook.book["spending"].value(point.year)}
        for point in outlook.book["cumulative"].points
        if fund == "basic"
        and outlook.id == outlook.book.id
        and outlook.book["spending"].has(point.year)
        and point.year <= outlook.base
    ]
    x = alt.X(field="year", type="quantitative", title=say("fund_project.year", lang),
              axis=alt.Axis(format="d", tickMinStep=1), scale=alt.Scale(zero=False, nice=False))  # fmt: skip

    def y(field: str) -> alt.Y:
        return alt.Y(field=field, type="quantitative", title=say("fund_project.months", lang))

    names = ("most_band", "half_band", "middle_path", "trend_path", *(["published"] if held else []))
    kinds = [say(f"fund_project.{one}", lang) for one in names]
    colours = [SHADES[1], SHADES[2], SHADES[4], COLOURS[1], COLOURS[7]][: len(kinds)]
    colour = alt.Scale(domain=kinds, range=colours)

    told = alt.Color(field="kind", type="nominal", scale=colour, legend=legend(kinds, None))

    def of(number: int, rows: list[dict[str, Any]]) -> alt.Chart:
        return alt.Chart(data_of([row | {"kind": kinds[number]} for row in rows])).encode(x=x, color=told)

    layers: list[Any] = [
        of(0, points).mark_area(opacity=0.75).encode(y=y("p5"), y2=alt.Y2(field="p95")),
        of(1, points).mark_area(opacity=0.85).encode(y=y("p25"), y2=alt.Y2(field="p75")),
        of(2, points).mark_line(strokeWidth=2).encode(y=y("p50")),
        of(3, points).mark_line(strokeWidth=2, strokeDash=[6, 4]).encode(y=y("trend")),
    ]
    if held:
        layers.append(of(4, held).mark_line(point=True).encode(y=y("value")))
    rules = [{"line": line} for line in (0.0, *outlook.asked)]
    layers.append(alt.Chart(data_of(rules)).mark_rule(color=GREY, strokeDash=[2, 3]).encode(y=y("line")))
    chart = alt.layer(*layers).properties(width=_SIZE[0], height=_SIZE[1])
    title = say(
        "fund_project.fan_title",
        lang,
        fund=say(f"fund_project.{fund}", lang),
        place=outlook.name(lang),
        scenario=outlook.title(lang),
    )
    register()
    made: alt.VConcatChart = set_in_words(
        chart, title, above=[outlook.head(lang)],
        below=[say("fund_project.fan_bands", lang), *(one.say(lang) for one in outlook.said()[:1])],
        told=[outlook.head(lang)],
    )  # fmt: skip
    return made


def contrast_figure(found: Contrast, lang: str = "en") -> alt.VConcatChart:
    """Draw the basic fund's months of payment on the trend as it is and changed, with the reserve lines.

    Raises UsageError unknown_language.
    """
    import altair as alt

    rows = found.frame.filter((pl.col("fund") == "basic") & (pl.col("item") == "months"))
    kinds = [found.before.title(lang), found.after.title(lang)]
    points = [
        {"year": row["year"], "value": row[side], "kind": kind}
        for row in rows.iter_rows(named=True)
        for kind, side in zip(kinds, ("before", "after"), strict=True)
        if row[side] is not None
    ]
    told = legend(kinds, None)
    scale = alt.Scale(domain=kinds, range=[COLOURS[0], COLOURS[1]])
    dashes = alt.Scale(domain=kinds, range=[[1, 0], [6, 4]])
    lines = alt.Chart(data_of(points)).mark_line(strokeWidth=2.5).encode(
        x=alt.X(field="year", type="quantitative", title=say("fund_project.year", lang),
                axis=alt.Axis(format="d", tickMinStep=1), scale=alt.Scale(zero=False, nice=False)),
        y=alt.Y(field="value", type="quantitative", title=say("fund_project.months", lang)),
        color=alt.Color(field="kind", type="nominal", scale=scale, legend=told),
        strokeDash=alt.StrokeDash(field="kind", type="nominal", scale=dashes, legend=told),
    )  # fmt: skip
    rules = alt.Chart(data_of([{"line": line} for line in (0.0, *found.after.asked)])).mark_rule(
        color=GREY, strokeDash=[2, 3]
    ).encode(y=alt.Y(field="line", type="quantitative"))  # fmt: skip
    register()
    head = found.after.head(lang)
    made: alt.VConcatChart = set_in_words(
        alt.layer(rules, lines).properties(width=_SIZE[0], height=_SIZE[1]),
        say("fund_project.contrast_title", lang, place=found.after.name(lang)), above=[head],
        below=[say("fund_project.contrast_lines", lang), *(one.say(lang) for one in found.said())], told=[head],
    )  # fmt: skip
    return made


def tornado_figure(found: Tornado, lang: str = "en") -> alt.VConcatChart:
    """Draw the swing of each parameter as a bar around the trend, the widest on top.

    Raises UsageError no_such_figure where no parameter has a range.
    """
    import altair as alt

    if not found.frame.height:
        raise UsageError("no_such_figure", "no parameter has a range to be moved through; there is no tornado to draw")
    ends = [say(f"fund_project.{one}", lang) for one in ("low_end", "high_end")]
    points = []
    for row in found.to_frame(lang).head(_MOST_BARS).iter_rows(named=True):
        name = broken(f"{row['title']} ({row['low']:.3g} | {row['high']:.3g})", 230)
        points += [
            {"name": name, "end": end, "from": found.middle, "to": row[f"at_{side}"]}
            for end, side in zip(ends, ("low", "high"), strict=True)
        ]
    names = list(dict.fromkeys(one["name"] for one in points))
    title = found.head(lang)
    bars = (
        alt.Chart(data_of(points))
        .mark_bar(opacity=0.9)
        .encode(
            y=alt.Y(field="name", type="nominal", sort=names, title=None, axis=alt.Axis(labelExpr=SPLIT)),
            x=alt.X(field="from", type="quantitative", title=say("fund_project.tornado_axis", lang),
                    scale=alt.Scale(zero=False)),
            x2=alt.X2(field="to"),
            color=alt.Color(field="end", type="nominal", scale=alt.Scale(domain=ends, range=[COLOURS[0], COLOURS[1]]),
                            legend=legend(ends, None)),
        )
    )  # fmt: skip
    rule = (
        alt.Chart(data_of([{"at": found.middle}]))
        .mark_rule(color=GREY)
        .encode(x=alt.X(field="at", type="quantitative"))
    )
    step = alt.Step(34 if any("\n" in name for name in names) else 26)
    register()
    made: alt.VConcatChart = set_in_words(
        alt.layer(bars, rule).properties(width=430, height=step), title, above=[],
        below=[one.say(lang) for one in found.said()], told=[],
    )  # fmt: skip
    return made


def backtest_figure(found: Backtest, lang: str = "en") -> alt.VConcatChart:
    """Draw forecast and range of income and outgo beside what happened."""
    import altair as alt

    rows = found.frame.filter(pl.col("item").is_in(["income", "outgo"]))
    kinds = [say(f"fund_project.{one}", lang) for one in ("forecast", "actual")]
    points = [
        {"what": say(f"fund_project.{row['item']}", lang), "year": row["year"], "kind": kind, "value": row[name],
         **{end: row[end if name == "forecast" else name] for end in ("low", "high")}}
        for row in rows.iter_rows(named=True)
        for kind, name in zip(kinds, ("forecast", "actual"), strict=True)
    ]  # fmt: skip
    sides = [say(f"fund_project.{one}", lang) for one in ("income", "outgo")]
    base = alt.Chart().encode(
        x=alt.X(field="year", type="ordinal", title=None, axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset(field="kind", type="nominal", sort=kinds),
        color=alt.Color(field="kind", type="nominal", scale=alt.Scale(domain=kinds, range=[COLOURS[0], COLOURS[7]]),
                        legend=legend(kinds, None)),
    )  # fmt: skip
    axis = alt.Scale(zero=False)
    dots = base.mark_point(filled=True, size=70).encode(
        y=alt.Y(field="value", type="quantitative", title=None, scale=axis)
    )
    lines = base.mark_rule(strokeWidth=2).encode(
        y=alt.Y(field="low", type="quantitative", title=None, scale=axis), y2=alt.Y2(field="high")
    )
    chart = alt.layer(lines, dots).properties(width=260, height=260).facet(
        data=data_of(points), column=alt.Column(field="what", type="nominal", title=None, sort=sides)
    )  # fmt: skip
    register()
    head = found.head(lang)
    made: alt.VConcatChart = set_in_words(
        chart, say("fund_project.backtest_title", lang), above=[head], below=[one.say(lang) for one in found.said()],
        told=[head],
    )  # fmt: skip
    return made


def _write_one(records: Sequence[Record], outlook: Outlook, place: Path, lang: str, fund: str) -> None:
    ending = place.suffix.lower()
    if ending == ".html":
        write_bytes(as_page(_pages(records, lang), lang), place)
    elif ending == ".md":
        title = f"# {say('fund_project.page_title', lang)}\n\n{outlook.head(lang)}\n\n"
        write_bytes(title.encode("utf-8") + as_markdown(_pages(records, lang)), place)
    elif ending == ".json":
        plain = {_name(one): one.to_dict(lang) for one in records}
        text = json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False)
        write_bytes((text + "\n").encode("utf-8"), place)
    elif ending == ".xlsx":
        write_workbook(_sheets(records, lang), place)
    elif ending in (".csv", ".parquet"):
        write_table(outlook.to_frame(lang), place, money_columns=[])
    else:
        write_bytes(_rendered(fan_figure(outlook, lang, fund), ending), place)


_NAMES: dict[type, str] = {Outlook: "outlook", Contrast: "contrast", Backtest: "backtest", Tornado: "tornado"}


def _name(record: Record) -> str:
    """Name a record; the tornado of another fund than the basic one bears its name."""
    of_fund = f"_{record.fund}" if isinstance(record, Tornado) and record.fund != "basic" else ""
    return _NAMES[type(record)] + of_fund


def _pages(records: Sequence[Record], lang: str) -> list[Printed]:
    made = []
    for record in records:
        tables = record.tables(lang, funds=FUNDS) if isinstance(record, Outlook) else record.tables(lang)
        for number, (title, rows, right) in enumerate(tables, 1):
            said = [*getattr(record, "warnings", ()), *record.said()] if number == len(tables) else []
            names = min(right) if right else len(rows[0])
            made.append(Printed(title, [rows[0]], rows[1:], names, [one.say(lang) for one in said]))
    return [*made, *_parameters(records[0], lang)]


def _parameters(outlook: Record, lang: str) -> list[Printed]:
    assert isinstance(outlook, Outlook)
    heads = [say(f"fund_project.{one}", lang) for one in ("parameter", "value", "unit", "year", "trust", "source")]
    rows = [
        [
            one.title(lang),
            value_text(one.value),
            unit_text(one.unit, lang),
            str(one.year),
            say(f"fund_trust.{one.trust}", lang),
            source_text(one.source, lang),
        ]
        for one in outlook.parameters.all
    ]
    series = outlook.book.to_frame(lang)
    told = [
        say(f"fund_project.{one}", lang)
        for one in ("series", "year", "value", "unit", "definition_version", "status", "trust", "source")
    ]
    points = [
        [series_text(row["series"], lang), str(row["year"]), f"{row['value']:,.2f}", unit_text(row["unit"], lang),
         str(row["definition_version"]),
         say(f"fund_status.{row['status']}", lang), say(f"fund_trust.{row['trust']}", lang), row["source"]]
        for row in series.iter_rows(named=True)
    ]  # fmt: skip
    return [
        Printed(say("fund_project.parameters", lang), [heads], rows, 6),
        Printed(say("fund_project.series", lang), [told], points, 8),
    ]


def _frames(records: Sequence[Record], lang: str) -> dict[str, pl.DataFrame]:
    outlook = records[0]
    assert isinstance(outlook, Outlook)
    found = {
        "funds": outlook.to_frame(lang), "lines": outlook.lines, "firsts": outlook.firsts, "people": outlook.people,
        "fiscal": outlook.fiscal, "parameters": outlook.parameters.to_frame(lang),
        "series": outlook.book.to_frame(lang), "cells": outlook.cells,
    }  # fmt: skip
    return found | {_name(one): one.to_frame(lang) for one in records[1:]}


def _sheets(records: Sequence[Record], lang: str) -> list[Sheet]:
    made = []
    for name, frame in _frames(records, lang).items():
        heads = [say(key, lang) if knows(key := f"fund_project.{one}", lang) else one for one in frame.columns]
        forms = [_form(one, kind) for one, kind in frame.schema.items()]
        made.append(frame_sheet(frame, say(f"fund_project.sheet_{name}", lang), heads, forms))
    told = [(say("fund_project.page_title", lang), [one.say(lang) for one in record.said()]) for record in records]
    return [*made, words_sheet(told, lang)]


def _form(name: str, kind: Any) -> str:
    if not kind.is_numeric():
        return ""
    return "whole" if kind.is_integer() else "percent" if name in ("now", "ever", "share", "old_share") else "any"


def _charts(records: Sequence[Record], lang: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for record in records:
        if isinstance(record, Outlook):
            for fund in FUNDS:
                made["fan" if fund == "basic" else f"fan_{fund}"] = fan_figure(record, lang, fund)
        elif isinstance(record, Contrast):
            made["contrast"] = contrast_figure(record, lang)
        elif isinstance(record, Backtest):
            made["backtest"] = backtest_figure(record, lang)
        elif record.frame.height:
            made[_name(record)] = tornado_figure(record, lang)
    return made
