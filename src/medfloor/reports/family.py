"""Draw one family through all tiers: what it bears, and of one more yuan how much, under each law."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.intake.files import write_bytes
from medfloor.measures.result import name_of
from medfloor.reports.drawing import COLOURS, GREY, LABEL, data_of, legend
from medfloor.reports.figures import FORMATS, _rendered
from medfloor.reports.typeface import FAMILIES, register
from medfloor.reports.workbook import Cell, Figure, Sheet, frame_sheet, words_sheet
from medfloor.simulation.household import HouseholdCurve
from medfloor.words import say

if TYPE_CHECKING:
    import altair as alt

_SIZE = (600, 260, 140)
"""Pixels: the width of both panels, the height of the upper and of the lower."""


def family_figure(curve: HouseholdCurve, lang: str = "en") -> alt.VConcatChart:
    """Draw a household curve: the own part above, below it the share of one more yuan of the bill, with the cliffs.

    One line a law, in colours that stay apart for the colour-blind; a dashed rule stands at each cliff.

    Raises UsageError unknown_language.
    """
    import altair as alt

    title = say("household.title", lang)
    told = curve.head(lang)[0]
    names = {one.name: name_of("scenario", one.name, lang) for one in curve.scenarios}
    names |= {one.name: one.title(lang) for one in curve.scenarios if one.reforms}
    points = [
        {"x": row["amount"], "own": row["own"], "marginal": row["marginal"], "name": names[str(row["scenario"])]}
        for row in curve.rows.select("scenario", "amount", "own", "marginal").iter_rows(named=True)
    ]
    # Both sides of a cliff, so that it stands upright also between few amounts.
    points += [
        {"x": one.at_fen / 100 + side, "own": own / 100, "name": names[one.scenario]}
        for one in curve.cliffs
        for side, own in ((0.0, one.before_fen), (0.01, one.after_fen))
    ]
    series = list(names.values())
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(series))]
    colour = alt.Color(
        field="name", type="nominal", scale=alt.Scale(domain=series, range=colours), legend=legend(series, None)
    )
    x = alt.X(field="x", type="quantitative", title=say(f"household.{curve.vary}", lang), axis=alt.Axis(format=",~f"))

    def panel(column: str, height: int, form: str) -> Any:
        y = alt.Y(field=column, type="quantitative", title=say(f"household.{column}", lang), axis=alt.Axis(format=form))
        shown = [one for one in points if column in one]
        line = alt.Chart(data_of(shown)).mark_line(strokeWidth=2, interpolate="linear").encode(x=x, y=y, color=colour)
        rules = [{"x": one.at_fen / 100} for one in curve.cliffs]
        if rules:
            rule = alt.Chart(data_of(rules)).mark_rule(strokeDash=[4, 3], color=GREY).encode(x=x)
            line = alt.layer(rule, line)
        return line.properties(width=_SIZE[0], height=height)

    chart = alt.vconcat(panel("own", _SIZE[1], ",~f"), panel("marginal", _SIZE[2], "~%"))
    register()
    made: alt.VConcatChart = (
        chart.properties(
            title=alt.TitleParams([title], subtitle=[told], anchor="start", fontSize=17, subtitleFontSize=12.5),
            background="white",
            padding=8,
            description=f"{title}. {told}",
        )
        .configure(font=", ".join(FAMILIES))
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=LABEL, titleFontSize=LABEL, titleFontWeight="normal", gridColor="#E4E4E4")
        .configure_legend(labelFontSize=LABEL, labelLimit=0)
    )
    return made


def family_sheets(curve: HouseholdCurve, lang: str = "en") -> list[Sheet]:
    """Lay a household curve out as sheets of a workbook: every amount, the cliffs, and words."""
    names = {
        one.name: one.title(lang) if one.reforms else name_of("scenario", one.name, lang) for one in curve.scenarios
    }
    tiers = {
        tier.id: getattr(tier.name, lang) for one in curve.scenarios for tier in one.law.policies.versions[-1].tiers
    }
    heads, forms, columns = [], [], []
    for column in curve.rows.columns:
        tier = column.removeprefix("pay_")
        if column == "scenario":
            heads.append(name_of("column", column, lang))
        elif column == "amount":
            heads.append(say(f"household.{curve.vary}", lang))
        else:
            heads.append(
                say("household.pays", lang, tier=tiers[tier]) if tier != column else say(f"household.{column}", lang)
            )
        forms.append({"scenario": "", "status": "", "marginal": "percent", "share": "percent"}.get(column, "amount"))
        values = curve.rows[column]
        columns.append(values.replace(names) if column == "scenario" else values)
    kept = [place for place, name in enumerate(curve.rows.columns) if name != "bill" or curve.vary == "income"]
    statuses = pl.Series("status", [_statuses(one.split("+"), lang) for one in curve.rows["status"]], pl.String)
    frame = pl.DataFrame(columns).with_columns(statuses).select(curve.rows.columns[place] for place in kept)
    sheets = [
        frame_sheet(
            frame, say("household.amounts", lang), [heads[place] for place in kept], [forms[place] for place in kept]
        )
    ]
    cliffs: list[list[Cell]] = [
        [
            names[one.scenario], *(Figure(fen / 100, "amount") for fen in (one.at_fen, one.before_fen, one.after_fen)),
            Figure(one.jump_fen / 100, "amount"), _statuses(one.status_before, lang), _statuses(one.status_after, lang),
        ]
        for one in curve.cliffs
    ]  # fmt: skip
    told = [name_of("column", "scenario", lang), say(f"household.{curve.vary}", lang)]
    told += [say(f"household.{one}", lang) for one in ("before", "after", "jump", "status_before", "status_after")]
    sheets.append(Sheet(say("household.sheet_cliffs", lang), told, cliffs))
    return [*sheets, words_sheet([(say("household.title", lang), curve.head(lang))], lang)]


def _statuses(held: Sequence[str], lang: str) -> str:
    return " + ".join(name_of("group", one, lang) for one in (held or ("none",)))


def write_family_figure(curve: HouseholdCurve, path: str | os.PathLike[str], lang: str = "en") -> None:
    """Draw a household curve into a file, whole or not at all: .svg, .png, .pdf or .json (Vega-Lite).

    Raises UsageError unknown_format for another ending, OutputError cannot_write.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise UsageError("unknown_format", f"{os.fspath(path)} ends in none of {', '.join(FORMATS)}. Rename it.")
    write_bytes(_rendered(family_figure(curve, lang), ending), path)
