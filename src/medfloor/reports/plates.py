"""Draw the figures of printed reports as SVG without words around them: title and notes stand in the report itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from medfloor.measures.result import Result
from medfloor.reports.drawing import GREY, LABEL, SPLIT, broken, data_of, legend, number_format, palette
from medfloor.reports.typeface import FAMILIES, register

_WIDTH = 430
_NAMES = 190.0


class Bar(NamedTuple):
    """Be one piece of a bar: which bar, which piece of it, how much."""

    bar: str
    piece: str
    value: float


class Spot(NamedTuple):
    """Be an estimate with its interval (None: not known), of a series at a place."""

    place: str
    series: str
    value: float
    low: float | None
    high: float | None


def stacked(bars: Sequence[Bar], axis: str, *, kind: str = "percent") -> bytes:
    """Draw bars of pieces, one below the other, in the order given; pieces have shades and the legend their names."""
    import altair as alt

    names = list(dict.fromkeys(one.bar for one in bars))
    pieces = list(dict.fromkeys(one.piece for one in bars))
    shown = [
        {"bar": broken(one.bar, _NAMES), "piece": one.piece, "value": one.value, "at": pieces.index(one.piece)}
        for one in bars
    ]
    base = alt.Chart(data_of(shown)).encode(
        y=alt.Y("bar:N", sort=[broken(one, _NAMES) for one in names], title=None,
                axis=alt.Axis(labelExpr=SPLIT, ticks=False, domain=False)),
        x=alt.X("value:Q", stack="zero", title=axis,
                axis=alt.Axis(format=number_format(kind), tickCount=6)),
        color=alt.Color("piece:N", sort=pieces, scale=alt.Scale(domain=pieces, range=palette(len(pieces))),
                        legend=legend(pieces, None)),
        order=alt.Order("at:Q"),
    )  # fmt: skip
    # A white line between pieces tells them apart in grey too.
    return drawn(base.mark_bar(stroke="white", strokeWidth=1.2).properties(width=_WIDTH, height=alt.Step(34)))


def spots(points: Sequence[Spot], axis: str, *, kind: str = "proportion") -> bytes:
    """Draw estimates with their intervals along places, a series each in its colour and shape."""
    import altair as alt

    places = [broken(one, _NAMES) for one in dict.fromkeys(one.place for one in points)]
    series = list(dict.fromkeys(one.series for one in points))
    many = max(1, len(series))
    shown = [
        {"place": broken(one.place, _NAMES), "series": one.series, "value": one.value, "low": one.low, "high": one.high}
        for one in points
    ]
    y = alt.Y("place:N", sort=places, title=None, axis=alt.Axis(labelExpr=SPLIT, ticks=False, domain=False, grid=True))
    beside = alt.YOffset("series:N", sort=series)
    shades = alt.Color(
        "series:N", sort=series, scale=alt.Scale(domain=series, range=palette(many)),
        legend=legend(series, None) if many > 1 else None,
    )  # fmt: skip
    base = alt.Chart(data_of(shown)).encode(y=y, yOffset=beside, color=shades)
    axes = alt.X(
        "value:Q", title=axis, scale=alt.Scale(zero=True), axis=alt.Axis(format=number_format(kind), tickCount=6)
    )
    shape = alt.Shape("series:N", sort=series, legend=None)
    spans = base.mark_rule(strokeWidth=1.6).encode(x=alt.X("low:Q", title=axis), x2="high:Q")
    dots = base.mark_point(filled=True, size=62, opacity=1).encode(x=axes, shape=shape)
    return drawn((spans + dots).properties(width=_WIDTH, height=alt.Step(max(18, 36 // many))))


def curve(result: Result, lang: str) -> bytes:
    """Draw the concentration curve that a result carries."""
    from medfloor.reports.curves import concentration_curve

    return drawn(concentration_curve(result, lang).chart)


def drawn(chart: Any) -> bytes:
    """Give a chart as SVG, set in our typeface."""
    register()
    made = (
        chart.properties(background="white", padding=4)
        .configure(font=", ".join(FAMILIES))
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=LABEL, titleFontSize=LABEL, titleFontWeight="normal", labelLimit=0, titleLimit=0,
            titlePadding=8, gridColor="#E4E4E4", domainColor=GREY, tickColor=GREY, labelFlush=False,
        )
        .configure_legend(labelFontSize=LABEL, titleFontSize=LABEL, titleFontWeight="normal", labelLimit=0)
        .configure_header(labelFontSize=LABEL, titleFontSize=LABEL)
    )  # fmt: skip
    text = io.StringIO()
    made.save(text, format="svg")
    return text.getvalue().encode("utf-8")
