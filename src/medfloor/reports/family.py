"""Draw one family through all tiers: what it bears, and of one more yuan how much, under each law."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfloor.errors import UsageError
from medfloor.intake.files import write_bytes
from medfloor.measures.result import name_of
from medfloor.reports.drawing import COLOURS, GREY, LABEL, data_of, legend
from medfloor.reports.figures import FORMATS, _rendered
from medfloor.reports.typeface import FAMILIES, register
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

    family = curve.family
    title = say("household.title", lang)
    status = " + ".join(name_of("group", one, lang) for one in (family.status or ("none",)))
    told = say(
        "household.family", lang, size=family.size, age=family.age, care=say(f"care_type.{family.care_type}", lang),
        level=family.level, share=f"{100 * family.in_scope:g}", status=status,
    )  # fmt: skip
    names = {one.name: name_of("scenario", one.name, lang) for one in curve.scenarios}
    names |= {one.name: one.title(lang) for one in curve.scenarios if one.reforms}
    points = [
        {"x": row["amount"], "own": row["own"], "marginal": row["marginal"], "name": names[str(row["scenario"])]}
        for row in curve.rows.select("scenario", "amount", "own", "marginal").iter_rows(named=True)
    ]
    series = list(names.values())
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(series))]
    colour = alt.Color(
        field="name", type="nominal", scale=alt.Scale(domain=series, range=colours), legend=legend(series, None)
    )
    x = alt.X(field="x", type="quantitative", title=say(f"household.{curve.vary}", lang), axis=alt.Axis(format=",~f"))

    def panel(column: str, height: int, form: str) -> Any:
        y = alt.Y(field=column, type="quantitative", title=say(f"household.{column}", lang), axis=alt.Axis(format=form))
        line = alt.Chart(data_of(points)).mark_line(strokeWidth=2, interpolate="linear").encode(x=x, y=y, color=colour)
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


def write_family_figure(curve: HouseholdCurve, path: str | os.PathLike[str], lang: str = "en") -> None:
    """Draw a household curve into a file, whole or not at all: .svg, .png, .pdf or .json (Vega-Lite).

    Raises UsageError unknown_format for another ending, OutputError cannot_write.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise UsageError("unknown_format", f"{os.fspath(path)} ends in none of {', '.join(FORMATS)}. Rename it.")
    write_bytes(_rendered(family_figure(curve, lang), ending), path)
