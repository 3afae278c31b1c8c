"""Hold what all figures share: sizes, colours, the format of numbers, and the words around a drawing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from medfloor.measures.result import Result, name_of
from medfloor.reports.captions import definition_of, notes_of, title_of
from medfloor.reports.typeface import BOLD, FAMILIES, pixels, wrapped
from medfloor.words import say

WIDTH = 720
"""No figure is wider than this, in pixels."""

TEXT = 690
"""Width of the lines above and below a drawing."""

LABEL = 12
"""Size of labels on axes and in legends."""

# Okabe and Ito (2008), told apart by people with any kind of colour blindness; yellow is left out on white ground.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")

SHADES = ("#DCE9F5", "#A6CBE3", "#5BA3CF", "#2171B5", "#08306B", "#03152F")
"""From light to dark, for what has an order; read also in grey."""

PAYERS = {
    "basic": "#0072B2", "critical_illness": "#56B4E9", "assistance": "#009E73", "tilt": "#B0A500",
    "government": "#8C6BB1", "commercial": "#E69F00", "oop_cap": "#CC79A7", "own": "#D55E00",
}  # fmt: skip
"""Who pays, always in the same colour; the office's pages have the same (`pages.css`, --tier-...)."""

GREY = "#6B6B6B"

SPLIT = "split(datum.label, '\\n')"
"""Vega's way to break a label where `broken` put a line end."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Be a chart without its words: the statistic that it shows ("" for none), remarks above and below."""

    chart: Any
    statistic: str = ""
    fixed: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def dressed(drawing: Drawing, result: Result, lang: str) -> Any:
    """Put title and definition above a drawing, remarks, weights and errors below, and set everything in our face."""
    return set_in_words(
        drawing.chart,
        title_of(result, lang, drawing.statistic),
        above=[*drawing.fixed, *definition_of(result, lang)],
        below=[*drawing.remarks, *notes_of(result, lang)],
        told=definition_of(result, lang),
    )


def set_in_words(chart: Any, name: str, *, above: list[str], below: list[str], told: list[str]) -> Any:
    """Put a title and sentences above a chart and sentences below it; `told` is for who cannot see it."""
    import altair as alt

    meant = {"above": list(above), "below": list(below)}
    above = [line for text in above for line in wrapped(text, 12.5, TEXT)]
    below = [line for text in below for line in wrapped(text, 11.5, TEXT)]
    title = alt.TitleParams(
        wrapped(name, 17 * BOLD, TEXT), subtitle=above, anchor="start", fontSize=17, subtitleFontSize=12.5, offset=14
    )
    notes = alt.TitleParams(
        below, orient="bottom", anchor="start", fontSize=11.5, fontWeight="normal", color=GREY, offset=10, lineHeight=16
    )
    families = ", ".join(FAMILIES)
    # Independent scales keep the legend with the drawing; shared ones would lift it above the title.
    apart = alt.Resolve(scale=alt.ScaleResolveMap(color="independent", strokeDash="independent"))
    # All is given at once: each further call to a chart would copy it, with all its points.
    return alt.vconcat(
        alt.vconcat(chart, title=title, resolve=apart),
        title=notes,
        resolve=apart,
        # The sentences before they were broken into lines, for who sets them elsewhere.
        description=" ".join([name, *told]),
        background="white",
        padding=8,
        usermeta=meant,
        config=alt.Config(
            font=families,
            title=alt.TitleConfig(subtitleColor="#333333", lineHeight=21, subtitleLineHeight=17, subtitlePadding=6),
            view=alt.ViewConfig(stroke=None),
            axis=alt.AxisConfig(
                labelFontSize=LABEL,
                titleFontSize=LABEL,
                titleFontWeight="normal",
                labelLimit=0,
                titleLimit=0,
                titlePadding=8,
                gridColor="#E4E4E4",
                domainColor=GREY,
                tickColor=GREY,
                labelFlush=False,
            ),
            legend=alt.LegendConfig(
                labelFontSize=LABEL, titleFontSize=LABEL, titleFontWeight="normal", labelLimit=0, titleLimit=0
            ),
            header=alt.HeaderConfig(labelFontSize=LABEL, labelFontWeight="bold", titleFontSize=LABEL, labelLimit=0),
        ),
    )


def data_of(points: list[dict[str, Any]]) -> Any:
    """Put points into a chart as they are; Altair's limit of rows is for frames only."""
    import altair as alt

    return alt.Data(values=points)  # type: ignore[no-untyped-call]


def number_format(kind: str) -> str:
    """Give the format of numbers on an axis, in d3's language.

    >>> number_format("proportion"), number_format("amount")
    ('~%', ',~f')
    """
    return "~%" if kind in ("proportion", "percent") else ",~f" if kind in ("amount", "count") else ".3~f"


def axis_title(statistic: str, kind: str, lang: str) -> str:
    """Name a statistic with its unit; per cent stands at the numbers themselves.

    >>> axis_title("headcount", "proportion", "zh"), axis_title("mean", "amount", "en")
    ('发生率', 'mean (unit of the table)')
    """
    name = name_of("statistic", statistic, lang)
    return say("axis.amount", lang, name=name, unit=unit_words(lang)) if kind == "amount" else name


_UNIT: ContextVar[Literal["table", "yuan"]] = ContextVar("unit of amounts", default="table")


@contextmanager
def amounts_in_yuan() -> Iterator[None]:
    """Name yuan as the unit on axes of the figures drawn within: the tables of an office are in yuan.

    A measure does not know the currency of its table; who draws for an office does.

    >>> with amounts_in_yuan():
    ...     axis_title("mean", "amount", "en")
    'mean (yuan)'
    """
    before = _UNIT.set("yuan")
    try:
        yield
    finally:
        _UNIT.reset(before)


def unit_words(lang: str) -> str:
    """Say in which unit amounts are."""
    return say(f"axis.unit_{_UNIT.get()}", lang)


def broken(label: str, width: float) -> str:
    r"""Break a label into lines of at most so many pixels, with line ends that `SPLIT` finds.

    >>> broken("after critical illness insurance", 90)
    'after critical\nillness\ninsurance'
    """
    return "\n".join(wrapped(label, LABEL, width))


def legend(labels: list[str], title: str | None, width: float = 640) -> Any:
    """Lay a legend above the drawing, in as many columns as fit."""
    import altair as alt

    return alt.Legend(title=title, **legend_of(labels, width))


def legend_of(labels: list[str], width: float = 640) -> dict[str, Any]:
    """Give a legend above a drawing as Vega-Lite reads it, without its title.

    >>> legend_of(["a", "b", "c"])["columns"]
    3
    """
    widest = max(pixels(line, LABEL) for label in labels for line in label.split("\n")) + 40
    rows = math.ceil(len(labels) / max(1, int(width // widest)))
    return {
        "orient": "top", "direction": "horizontal", "columns": math.ceil(len(labels) / rows), "symbolOpacity": 1,
        "labelExpr": SPLIT, "symbolLimit": 0,
    }  # fmt: skip


def payer_colours(payers: Sequence[str]) -> list[str]:
    """Give payers their colours; tiers that only one place has get others, by their order.

    >>> payer_colours(["basic", "of_a_reform", "own"])
    ['#0072B2', '#7F7F7F', '#D55E00']
    """
    spare = itertools.cycle(["#7F7F7F", "#000000", "#C9A66B", "#B3B3B3"])
    return [PAYERS[one] if one in PAYERS else next(spare) for one in payers]


def palette(many: int, ordered: bool = False) -> list[str]:
    """Give so many colours; shades from light to dark where the labels have an order.

    >>> palette(2), palette(3, ordered=True)
    (['#0072B2', '#D55E00'], ['#DCE9F5', '#5BA3CF', '#08306B'])
    """
    if not ordered:
        return [COLOURS[place % len(COLOURS)] for place in range(many)]
    last = len(SHADES) - 2 if many <= len(SHADES) - 1 else len(SHADES) - 1
    return [SHADES[round(place * last / max(1, many - 1))] for place in range(many)]
