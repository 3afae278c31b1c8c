"""Write an adjustment or a price of the fund: page, JSON, sheets, tables and figures, each file whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from medfloor.errors import OutputError
from medfloor.fund.adjustment import Adjustment
from medfloor.fund.commercial import Price, title_of
from medfloor.fund.floors import moving_benefits
from medfloor.fund.steps import benefit_name
from medfloor.intake.files import write_bytes, write_table
from medfloor.reports.drawing import COLOURS, GREY, data_of, legend, set_in_words
from medfloor.reports.figures import _rendered
from medfloor.reports.fund_projection import check_outputs_of
from medfloor.reports.printed import Printed, as_markdown, as_page
from medfloor.reports.typeface import register
from medfloor.reports.workbook import Sheet, frame_sheet, words_sheet, write_workbook
from medfloor.words import Phrase, knows, say

if TYPE_CHECKING:
    import altair as alt

Record: TypeAlias = Adjustment | Price

_SIZE = (590, 300)


def write_record(record: Record, path: str | os.PathLike[str], lang: str = "en") -> list[Path]:
    """Write a record: a path with an ending is one file, another path a folder that gets everything.

    .html and .md are the page, .json everything, .csv and .parquet the first table (an adjustment's years, a price's
    classes), .xlsx all tables, .svg, .png and .pdf the first figure. An adjustment's folder also has decision.json, the
    record that a signature is attached to. Gives the files written.

    Raises UsageError unknown_format, OutputError cannot_write.
    """
    place = Path(path)
    if place.suffix and not place.is_dir():
        check_outputs_of([str(path)])
        _write_one(record, place, lang)
        return [place]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot_write", f"{place} cannot be made: {error.strerror}; choose another folder") from None
    stem = "adjustment" if isinstance(record, Adjustment) else "price"
    written = [place / name for name in ("page.html", "page.md", f"{stem}.json", f"{stem}.xlsx")]
    for one in written:
        _write_one(record, one, lang)
    if isinstance(record, Adjustment):
        written.append(place / "decision.json")
        write_bytes(_json(record.decision.record()), written[-1])
    for name, frame in _frames(record, lang).items():
        for ending in (".csv", ".parquet"):
            written.append(place / f"{name}{ending}")
            write_table(frame, written[-1], money_columns=[])
    for name, chart in _charts(record, lang).items():
        written.append(place / f"{name}.svg")
        write_bytes(_rendered(chart, ".svg"), written[-1])
    return written


def loops_figure(found: Adjustment, lang: str = "en") -> alt.VConcatChart:
    """Draw months of payment in open and closed loop: middle path and a band of nine paths of ten, with the line."""
    import altair as alt

    kinds = [say(f"fund_adjust.{one}", lang) for one in ("open", "closed")]
    points = [
        {"kind": kind, "year": row["year"], **{one: row[f"{loop}_{one}"] for one in ("p5", "p50", "p95")}}
        for row in found.frame.iter_rows(named=True)
        for kind, loop in zip(kinds, ("open", "closed"), strict=True)
    ]
    colour = alt.Color(field="kind", type="nominal", legend=legend(kinds, None),
                       scale=alt.Scale(domain=kinds, range=[COLOURS[1], COLOURS[0]]))  # fmt: skip
    base = alt.Chart(data_of(points)).encode(x=_years(say("fund_adjust.year", lang)), color=colour)

    def y(field: str) -> alt.Y:
        return alt.Y(field=field, type="quantitative", title=say("fund_adjust.months_axis", lang))

    rule = alt.Chart(data_of([{"line": found.table.line}, {"line": 0}])).mark_rule(color=GREY, strokeDash=[2, 3])
    chart = alt.layer(
        base.mark_area(opacity=0.2).encode(y=y("p5"), y2=alt.Y2(field="p95")),
        base.mark_line(strokeWidth=2.5).encode(y=y("p50")),
        rule.encode(y=y("line")),
    ).properties(width=_SIZE[0], height=_SIZE[1])
    return _dressed(chart, say("fund_adjust.figure_title", lang), found.head(lang), [
        say("fund_adjust.figure_note", lang), say("fund_adjust.not_forecast", lang)])  # fmt: skip


def benefits_figure(found: Adjustment, lang: str = "en") -> alt.VConcatChart:
    """Draw each benefit in the closed loop, a panel each: middle path, nine paths of ten, and the floor."""
    import altair as alt

    floors = {one.id: one.floor.value for one in found.table.benefits}
    panels = []
    for name, floor in floors.items():
        rows = found.benefits.filter(pl.col("benefit") == name)
        points = rows.select("year", "p5", "p50", "p95", floor=pl.lit(floor)).to_dicts()
        title = benefit_name(name)
        base = alt.Chart(data_of(points)).encode(x=_years(None))

        def y(field: str, title: str | None = None) -> alt.Y:
            return alt.Y(field=field, type="quantitative", title=title, scale=alt.Scale(zero=False))

        panels.append(
            alt.layer(
                base.mark_area(opacity=0.25, color=COLOURS[0]).encode(y=y("p5"), y2=alt.Y2(field="p95")),
                base.mark_line(strokeWidth=2, color=COLOURS[0]).encode(y=y("p50")),
                base.mark_line(strokeDash=[2, 3], color=GREY).encode(y=y("floor")),
            ).properties(
                width=_SIZE[0], height=110, title=title.say(lang) if isinstance(title, Phrase) else title
            )
        )  # fmt: skip
    return _dressed(alt.vconcat(*panels), say("fund_adjust.benefits_title", lang), found.head(lang), [
        say("fund_adjust.floors_bind", lang)])  # fmt: skip


def price_figure(found: Price, lang: str = "en") -> alt.VConcatChart:
    """Draw what a member costs at each premium beside what the premium leaves: where they meet, it breaks even."""
    import altair as alt

    names = ("available", "cost_of_member")
    kinds = [say(f"fund_price.{one}", lang) for one in names]
    points = [
        {"premium": row["premium"], "kind": kind, "value": row[name]}
        for row in found.curve.iter_rows(named=True)
        for kind, name in zip(kinds, names, strict=True)
        if math.isfinite(row[name])
    ]
    lines = (
        alt.Chart(data_of(points))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X(field="premium", type="quantitative", title=say("fund_price.premium", lang)),
            y=alt.Y(field="value", type="quantitative", title=say("fund_price.curve_axis", lang)),
            color=alt.Color(field="kind", type="nominal", legend=legend(kinds, None),
                            scale=alt.Scale(domain=kinds, range=[COLOURS[0], COLOURS[1]])),
        )
    )  # fmt: skip
    at = {"at": found.product.premium}
    rule = alt.Chart(data_of([at])).mark_rule(color=GREY, strokeDash=[2, 3])
    rule = rule.encode(x=alt.X(field="at", type="quantitative"))
    chart = alt.layer(lines, rule).properties(width=_SIZE[0], height=_SIZE[1])
    return _dressed(chart, say("fund_price.figure_title", lang), found.head(lang), [
        say("fund_price.figure_note", lang), say("fund_price.unpublished", lang)])  # fmt: skip


def years_figure(found: Price, lang: str = "en") -> alt.VConcatChart:
    """Draw premium and take-up year by year, one panel each."""
    import altair as alt

    panels = []
    for place, name in enumerate(("premium", "take_up")):
        points = found.years.select("year", value=pl.col(name)).to_dicts()
        panels.append(
            alt.Chart(data_of(points))
            .mark_line(point=True, color=COLOURS[place])
            .encode(
                x=alt.X(field="year", type="quantitative", title=say("fund_price.year", lang),
                        axis=alt.Axis(format="d", tickMinStep=1)),
                y=alt.Y(field="value", type="quantitative", title=say(f"fund_price.{name}", lang),
                        axis=alt.Axis(format="~%" if name == "take_up" else ",~f")),
            )
            .properties(width=_SIZE[0], height=140)
        )  # fmt: skip
    return _dressed(alt.vconcat(*panels), say("fund_price.years_title", lang), found.head(lang), [
        say("fund_price.behaviour", lang)])  # fmt: skip


def _dressed(chart: Any, title: str, head: str, below: list[str]) -> alt.VConcatChart:
    register()
    made: alt.VConcatChart = set_in_words(chart, title, above=[head], below=below, told=[head])
    return made


def _years(title: str | None) -> alt.X:
    import altair as alt

    return alt.X(field="year", type="quantitative", title=title, axis=alt.Axis(format="d", tickMinStep=1),
                 scale=alt.Scale(zero=False, nice=False))  # fmt: skip


def _write_one(record: Record, place: Path, lang: str) -> None:
    ending = place.suffix.lower()
    section = "fund_adjust" if isinstance(record, Adjustment) else "fund_price"
    if ending == ".html":
        write_bytes(as_page(_pages(record, lang), lang), place)
    elif ending == ".md":
        title = f"# {say(f'{section}.page_title', lang)}\n\n{record.head(lang)}\n\n"
        write_bytes(title.encode("utf-8") + as_markdown(_pages(record, lang)), place)
    elif ending == ".json":
        write_bytes(_json(record.to_dict(lang)), place)
    elif ending == ".xlsx":
        write_workbook(_sheets(record, lang, section), place)
    elif ending in (".csv", ".parquet"):
        write_table(record.to_frame(lang), place, money_columns=[])
    else:
        write_bytes(_rendered(next(iter(_charts(record, lang).values())), ending), place)


def _json(plain: Mapping[str, Any]) -> bytes:
    return (json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode("utf-8")


def _pages(record: Record, lang: str) -> list[Printed]:
    made = []
    if isinstance(record, Adjustment):
        head, *lines = record.decision.text(lang).split("\n")
        why = [[line.removeprefix("  - ")] for line in lines]
        made.append(Printed(head, [[say("fund_adjust.quote", lang)]], why, 1))
    tables = record.tables(lang)
    for number, (title, rows, right) in enumerate(tables, 1):
        said = [*record.warnings, *record.said()] if number == len(tables) else []
        made.append(Printed(title, [rows[0]], rows[1:], min(right), [one.say(lang) for one in said]))
    if isinstance(record, Price):
        known = record.parameters_frame(lang)
        rows = [
            [row["title"], f"{row['value']:g}", row["unit"], str(row["year"]),
             say(f"fund_trust.{row['trust']}", lang), row["source"]]
            for row in known.iter_rows(named=True)
        ]  # fmt: skip
        heads = [say(f"fund_project.{one}", lang) for one in ("parameter", "value", "unit", "year", "trust", "source")]
        made.append(Printed(say("fund_price.parameters", lang), [heads], rows, 6))
    return made


def _frames(record: Record, lang: str) -> dict[str, pl.DataFrame]:
    if isinstance(record, Adjustment):
        return {
            "years": record.to_frame(lang),
            "benefits": record.benefits,
            "lists": record.lists,
            "law": moving_benefits(),
        }
    figures = [{"item": title_of(name, lang), "value": value} for name, value in record.figures.items()]
    return {
        "figures": pl.DataFrame(figures, schema={"item": pl.String, "value": pl.Float64}),
        "classes": record.to_frame(lang), "variants": record.variants, "years": record.years,
        "parameters": record.parameters_frame(lang),
    }  # fmt: skip


def _sheets(record: Record, lang: str, section: str) -> list[Sheet]:
    made = []
    for name, frame in _frames(record, lang).items():
        heads = []
        for one in frame.columns:
            keys = [f"{part}.{one}" for part in (section, "fund_project") if knows(f"{part}.{one}", lang)]
            heads.append(say(keys[0], lang) if keys and "{" not in _raw(keys[0], lang) else one)
        forms = ["any" if kind.is_numeric() else "" for kind in frame.schema.values()]
        made.append(frame_sheet(frame, say(f"{section}.sheet_{name}", lang), heads, forms))
    told = [one.say(lang) for one in (*record.warnings, *record.said())]
    return [*made, words_sheet([(say(f"{section}.page_title", lang), [record.head(lang), *told])], lang)]


def _raw(key: str, lang: str) -> str:
    """Give a sentence with its placeholders as they stand, so that a head never needs one filled."""
    from medfloor.words import section

    return section(key.partition(".")[0], lang)[key]


def _charts(record: Record, lang: str) -> dict[str, Any]:
    if isinstance(record, Adjustment):
        return {"loops": loops_figure(record, lang), "benefits": benefits_figure(record, lang)}
    return {"break_even": price_figure(record, lang), "premiums": years_figure(record, lang)}
