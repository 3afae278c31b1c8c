"""Put leads in claims on a page, into tables and workbooks; draw the money at issue by rule."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from medfloor.errors import OutputError, UsageError
from medfloor.fund.supervision import Judged, Leads
from medfloor.intake.files import write_bytes, write_table
from medfloor.reports.drawing import COLOURS, SPLIT, broken, data_of, set_in_words
from medfloor.reports.figures import _rendered
from medfloor.reports.fund_projection import check_outputs_of
from medfloor.reports.plain import json_of
from medfloor.reports.printed import Printed, as_markdown, as_page
from medfloor.reports.typeface import register
from medfloor.reports.workbook import Sheet, frame_sheet, words_sheet, write_workbook
from medfloor.words import knows, say

if TYPE_CHECKING:
    import altair as alt

_MOST_LEADS, _MOST_FACILITIES = 10_000, 50
"""How many leads stand in a workbook, and how many facilities on a page."""


def write_leads(
    leads: Leads, path: str | os.PathLike[str], lang: str = "en", *, judged: Judged | None = None
) -> list[Path]:
    """Write leads, each file whole or not at all, and give the files written.

    A path with an ending is one file: .csv and .parquet all leads, .xlsx the strongest of them with all counts, .html,
    .md and .json counts that name no person, .svg, .png and .pdf the figure. Another path is a folder, which gets all
    of them with the refused rows as they came; persons stand in leads, workbook and rejects alone.

    Raises UsageError unknown_format, OutputError cannot_write.
    """
    place = Path(path)
    if place.suffix and not place.is_dir():
        check_outputs_of([str(path)])
        _write_one(leads, judged, place, lang)
        return [place]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot_write", f"{place} cannot be made: {error.strerror}; choose another folder") from None
    names = ["page.html", "page.md", "supervision.json", "supervision.xlsx", "leads.csv", "leads.parquet"]
    names += ["by_rule.svg"] if leads.leads.height else []
    written = [place / name for name in names]
    for one in written:
        _write_one(leads, judged, one, lang)
    tables = {"by_rule": leads.by_rule, "by_facility": leads.by_facility, "rules": leads.rules.to_frame(lang)}
    tables |= {} if judged is None else {"judged": judged.to_frame(lang)}
    tables |= {"rejects": leads.rejected} if leads.rejected.height else {}
    for name, frame in tables.items():
        written.append(place / f"{name}.csv")
        write_table(frame, written[-1], money_columns=[] if name == "rejects" else None)
    return written


def rule_figure(leads: Leads, lang: str = "en") -> alt.VConcatChart:
    """Draw the money at issue by rule, in the order of their strength.

    Raises UsageError no_such_figure where there are no leads.
    """
    import altair as alt

    if not leads.by_rule.height:
        raise UsageError("no_such_figure", "there are no leads, and nothing to draw")
    points = [
        {
            "name": broken(f"{leads.rules[row['rule']].title(lang)} ({row['leads']:,})", 230),
            "yuan": row["money_fen"] / 100,
        }
        for row in leads.by_rule.iter_rows(named=True)
    ]
    names = [one["name"] for one in points]
    bars = (
        alt.Chart(data_of(points))
        .mark_bar(color=COLOURS[0])
        .encode(
            y=alt.Y(field="name", type="nominal", sort=names, title=None, axis=alt.Axis(labelExpr=SPLIT)),
            x=alt.X(field="yuan", type="quantitative", title=say("supervision.figure_axis", lang),
                    axis=alt.Axis(format=",~f", tickCount=5)),
        )
        .properties(width=430, height=alt.Step(30))
    )  # fmt: skip
    register()
    made: alt.VConcatChart = set_in_words(
        bars, say("supervision.figure", lang), above=[leads.head(lang)], below=[one.say(lang) for one in leads.said()],
        told=[leads.head(lang)],
    )  # fmt: skip
    return made


def _write_one(leads: Leads, judged: Judged | None, place: Path, lang: str) -> None:
    ending = place.suffix.lower()
    if ending == ".html":
        write_bytes(as_page(_pages(leads, judged, lang), lang), place)
    elif ending == ".md":
        head = f"# {say('supervision.page_title', lang)}\n\n{leads.head(lang)}\n\n"
        write_bytes(head.encode("utf-8") + as_markdown(_pages(leads, judged, lang)), place)
    elif ending == ".json":
        plain = leads.to_dict(lang) | ({} if judged is None else {"judged": judged.to_dict(lang)})
        write_bytes(json_of(plain), place)
    elif ending == ".xlsx":
        write_workbook(_sheets(leads, judged, lang), place)
    elif ending in (".csv", ".parquet"):
        write_table(leads.to_frame(lang), place)
    else:
        write_bytes(_rendered(rule_figure(leads, lang), ending), place)


def _pages(leads: Leads, judged: Judged | None, lang: str) -> list[Printed]:
    made = []
    for title, rows, right in leads.tables(lang):
        made.append(Printed(title, [rows[0]], rows[1:], min(right) if right else len(rows[0])))
    notes = [leads.head(lang), *leads.refusals(lang), *leads.left_out(lang), *(one.say(lang) for one in leads.said())]
    first = made[0]
    made[0] = Printed(first.title, first.heads, first.rows, first.names, notes)
    heads = [say(f"supervision.{one}", lang) for one in ("facility", "leads", "claims", "per_thousand", "money")]
    rows = [
        [row["provider_id"], f"{row['leads']:,}", f"{row['claims'] or 0:,}", f"{row['per_thousand'] or 0:,.1f}",
         f"{row['money_fen'] / 100:,.2f}"]
        for row in leads.by_facility.head(_MOST_FACILITIES).iter_rows(named=True)
    ]  # fmt: skip
    if rows:
        made.insert(1, Printed(say("supervision.by_facility", lang), [heads], rows, 1))
    if judged is not None:
        lines = ("rule", "planted", "found", "leads", "recall", "precision", "bar")
        body = [
            [row["title"], *(f"{row[one]:,}" for one in lines[1:4]),
             *("-" if row[one] is None else f"{row[one]:.3f}" for one in lines[4:])]
            for row in judged.to_frame(lang).iter_rows(named=True)
        ]  # fmt: skip
        note = [*judged.warnings(lang), say("supervision.judged_note", lang)]
        made.append(
            Printed(
                say("supervision.judged", lang), [[say(f"supervision.{one}", lang) for one in lines]], body, 1, note
            )
        )
    return made


def _sheets(leads: Leads, judged: Judged | None, lang: str) -> list[Sheet]:
    frames = {
        "by_rule": leads.by_rule, "by_facility": leads.by_facility, "leads": leads.to_frame(lang).head(_MOST_LEADS),
        "rules": leads.rules.to_frame(lang),
    }  # fmt: skip
    frames |= {} if judged is None else {"judged": judged.to_frame(lang)}
    sheets = []
    for name, frame in frames.items():
        shown = frame.with_columns((pl.col(one) / 100).alias(one) for one in frame.columns if one.endswith("_fen"))
        shown = shown.rename({one: one.removesuffix("_fen") for one in shown.columns})
        heads = [say(key, lang) if knows(key := f"supervision_column.{one}", lang) else one for one in shown.columns]
        forms = [_form(one, kind) for one, kind in shown.schema.items()]
        sheets.append(frame_sheet(shown, say(f"supervision.sheet_{name}", lang), heads, forms))
    told = [leads.head(lang), say("supervision.top", lang, many=f"{min(_MOST_LEADS, leads.leads.height):,}")]
    told += [*leads.refusals(lang), *leads.left_out(lang), *(one.say(lang) for one in leads.said())]
    return [words_sheet([(say("supervision.page_title", lang), told)], lang), *sheets]


def _form(name: str, kind: pl.DataType) -> str:
    if not kind.is_numeric():
        return ""
    return "whole" if kind.is_integer() else "amount" if name in ("money", "total", "score") else "any"
