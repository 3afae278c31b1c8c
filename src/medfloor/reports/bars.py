"""Draw estimates with their intervals: bars by group and quantile, bands, steps over tiers, lines over thresholds."""

from __future__ import annotations

from typing import Any

from medfloor.measures.result import Result
from medfloor.reports.captions import head_of, level_of
from medfloor.reports.drawing import (
    LABEL,
    SPLIT,
    Drawing,
    axis_title,
    broken,
    data_of,
    legend,
    number_format,
    palette,
)
from medfloor.reports.selection import Selection, select
from medfloor.reports.typeface import pixels
from medfloor.words import say

_NAMES = 190
"""Pixels for the names beside horizontal bars."""

_INSIDE = 480
"""Pixels for horizontal bars themselves."""

_STANDING = 600
"""Pixels for a drawing whose names stand below it."""


def groups(result: Result, lang: str, statistic: str | None) -> Drawing:
    """Draw one horizontal bar a group, the whole sample among them."""
    return _lying(select(result, lang, axis="group", statistic=statistic, quantiles=False), result, lang)


def estimates(result: Result, lang: str, statistic: str | None, axis: str) -> Drawing:
    """Draw one horizontal bar an estimate along any column of labels."""
    return _lying(select(result, lang, axis=axis, statistic=statistic), result, lang)


def steps(result: Result, lang: str, statistic: str | None) -> Drawing:
    """Draw what is left after each tier: points with intervals from the first tier down, joined by a line."""
    return _lying(select(result, lang, axis="tier", statistic=statistic), result, lang, joined=True)


def quantiles(result: Result, lang: str, statistic: str | None) -> Drawing:
    """Draw one standing bar a quantile group, the poorest first."""
    if "quantile" in result.labels():
        chosen = select(result, lang, axis="quantile", statistic=statistic)
    else:
        chosen = select(result, lang, axis="group", statistic=statistic, quantiles=True)
    return _standing(chosen, result, lang)


def bands(result: Result, lang: str, statistic: str | None) -> Drawing:
    """Draw how the members of each group fall into bands: shares in one bar a group, from light to dark."""
    import altair as alt

    chosen = select(result, lang, axis="group", statistic=statistic, series="band")
    series = chosen.values("series")
    colours = palette(len(series), ordered=True)
    size = 34 if len(chosen.values("place")) < 8 else 24
    points, names = _named(chosen, _NAMES)
    # A share is written where it has room; white on the dark half of the shades.
    for point in points:
        point["rank"] = series.index(str(point["series"]))
        point["shown"] = point["text"] if float(str(point["estimate"])) >= 0.07 else ""
        point["ink"] = "white" if int(str(point["rank"])) > (len(series) - 1) / 2 else "black"
    base = alt.Chart().encode(
        y=_names_axis(chosen, names),
        order=alt.Order(field="rank", type="quantitative"),
    )
    x = alt.X(
        field="estimate",
        type="quantitative",
        stack="zero",
        title=axis_title(chosen.statistic, chosen.kind, lang),
        axis=alt.Axis(format=number_format(chosen.kind), tickCount=6),
    )
    bars = base.mark_bar(stroke="white").encode(
        x=x,
        color=alt.Color(
            field="series",
            type="nominal",
            sort=series,
            scale=alt.Scale(domain=series, range=colours),
            legend=legend(series, chosen.series_head),
        ),
        tooltip=_tooltip("place", "series", "text"),
    )
    text = base.mark_text(fontSize=LABEL - 1).encode(
        x=alt.X(field="estimate", type="quantitative", stack="zero", bandPosition=0.5),
        detail=alt.Detail(field="series", type="nominal"),
        text=alt.Text(field="shown", type="nominal"),
        color=alt.Color(field="ink", type="nominal", scale=None),
    )
    chart = _panelled(alt.layer(bars, text), chosen, points, _INSIDE, _step(size))
    return Drawing(chart, chosen.statistic, chosen.fixed, _undrawn(chosen, lang))


def thresholds(result: Result, lang: str, statistic: str | None) -> Drawing:
    """Draw an estimate against the threshold, one line a group or definition, its interval shaded."""
    import altair as alt

    chosen = select(result, lang, axis="threshold", statistic=statistic)
    series = chosen.values("series")
    points = [{**point, "at": float(str(point["at"]))} for point in chosen.points]
    grid = sorted({float(str(point["at"])) for point in points})
    x = alt.X(
        field="at",
        type="quantitative",
        title=head_of("threshold", lang),
        scale=alt.Scale(nice=False, padding=12),
        axis=alt.Axis(format="~%", values=grid, labelOverlap=True),
    )
    y = alt.Y(
        field="estimate",
        type="quantitative",
        title=axis_title(chosen.statistic, chosen.kind, lang),
        axis=alt.Axis(format=number_format(chosen.kind), tickCount=6),
    )
    colour = _colour(chosen, series)
    base = alt.Chart().encode(x=x, color=colour)
    known = alt.datum.low != None  # noqa: E711 (an expression of Vega, not of Python)
    area = (
        base.mark_area(opacity=0.18)
        .transform_filter(known)
        .encode(y=alt.Y(field="low", type="quantitative"), y2=alt.Y2(field="high"))
    )
    line = base.mark_line(point=True).encode(y=y, tooltip=_tooltip("place", "series", "text"))
    return _drawing(_panelled(alt.layer(area, line), chosen, points, _STANDING, 330), chosen, result, lang)


def _lying(chosen: Selection, result: Result, lang: str, *, joined: bool = False) -> Drawing:
    """Draw horizontal bars (or joined points) with intervals, and the number beside each."""
    import altair as alt

    series = chosen.values("series")
    points, names = _named(chosen, _NAMES)
    step = max(26 if len(series) == 1 else 16 * len(series) + 10, 15 * max(name.count("\n") + 1 for name in names) + 6)
    low, high = _reach(points)
    room = (high - low) * (0.16 if len(series) == 1 else 0.14)
    x_scale = alt.Scale(domain=[low, high + room], nice=False, zero=False)
    y = _names_axis(chosen, names)
    x = alt.X(
        field="estimate",
        type="quantitative",
        title=axis_title(chosen.statistic, chosen.kind, lang) if chosen.statistic else None,
        scale=x_scale,
        axis=alt.Axis(format=number_format(chosen.kind), tickCount=6),
    )
    base = alt.Chart().encode(y=y)
    if len(series) > 1:
        base = base.encode(yOffset=alt.YOffset(field="series", type="nominal", sort=series))
    colour = _colour(chosen, series)
    known = alt.datum.low != None  # noqa: E711 (an expression of Vega, not of Python)
    tooltip = _tooltip("place", "series", "text")
    if joined:
        drawn = [
            base.mark_line(opacity=0.5).encode(x=x, color=colour, order=alt.Order(field="rank", type="quantitative")),
            base.mark_point(filled=True, size=70, opacity=1).encode(x=x, color=colour, tooltip=tooltip),
        ]
    else:
        drawn = [base.mark_bar().encode(x=x, color=colour, tooltip=tooltip)]
    rule = (
        base.mark_rule(strokeWidth=1.6, color="black")
        .transform_filter(known)
        .encode(x=alt.X(field="low", type="quantitative"), x2=alt.X2(field="high"))
    )
    for rank, point in enumerate(points):
        point["rank"] = rank
        point["edge"] = max(
            float(str(point["estimate"])), float(str(point["high"] or "-inf")), 0.0 if not joined else low
        )
    text = base.mark_text(align="left", dx=6, fontSize=LABEL - 1).encode(
        x=alt.X(field="edge", type="quantitative"), text=alt.Text(field="text", type="nominal")
    )
    chart = _panelled(alt.layer(*drawn, rule, text), chosen, points, _INSIDE, _step(step))
    return _drawing(chart, chosen, result, lang)


def _standing(chosen: Selection, result: Result, lang: str) -> Drawing:
    """Draw standing bars with intervals, side by side where there are several series."""
    import altair as alt

    series, places = chosen.values("series"), chosen.values("place")
    points, names = _named(chosen, _STANDING / len(places) - 8)
    x = alt.X(
        field="place",
        type="nominal",
        sort=names,
        title=chosen.axis_head,
        axis=alt.Axis(labelAngle=0, labelExpr=SPLIT),
        scale=alt.Scale(paddingInner=0.25, paddingOuter=0.2),
    )
    low, high = _reach(points)
    y = alt.Y(
        field="estimate",
        type="quantitative",
        title=axis_title(chosen.statistic, chosen.kind, lang),
        scale=alt.Scale(domain=[low, high + 0.07 * (high - low)]),
        axis=alt.Axis(format=number_format(chosen.kind), tickCount=6),
    )
    base = alt.Chart().encode(x=x)
    if len(series) > 1:
        base = base.encode(xOffset=alt.XOffset(field="series", type="nominal", sort=series))
    bars = base.mark_bar().encode(y=y, color=_colour(chosen, series), tooltip=_tooltip("place", "series", "text"))
    rule = (
        base.mark_rule(strokeWidth=1.6, color="black")
        .transform_filter(alt.datum.low != None)  # noqa: E711 (an expression of Vega, not of Python)
        .encode(y=alt.Y(field="low", type="quantitative"), y2=alt.Y2(field="high"))
    )
    layers = [bars, rule]
    widest = max(pixels(str(point["text"]), LABEL - 1) for point in points)
    # Numbers stand above the bars where each bar is as wide as its number.
    if widest < _STANDING * 0.75 / len(points) * max(1, len(chosen.values("panel"))):
        for point in points:
            point["edge"] = max(float(str(point["estimate"])), float(str(point["high"] or "-inf")), 0.0)
        text = base.mark_text(baseline="bottom", dy=-4, fontSize=LABEL - 1)
        layers.append(
            text.encode(y=alt.Y(field="edge", type="quantitative"), text=alt.Text(field="text", type="nominal"))
        )
    return _drawing(_panelled(alt.layer(*layers), chosen, points, _STANDING, 300), chosen, result, lang)


def _named(chosen: Selection, width: float) -> tuple[list[dict[str, Any]], list[str]]:
    """Break the names on the axis into lines; give the points anew and the names in their order."""
    points = [{**point, "place": broken(str(point["place"]), width)} for point in chosen.points]
    return points, list(dict.fromkeys(str(point["place"]) for point in points))


def _names_axis(chosen: Selection, names: list[str]) -> Any:
    """Set the names of horizontal bars, with their heading above them."""
    import altair as alt

    untitled = chosen.axis == "statistic" or chosen.panel == "by" or len(names) == 1
    return alt.Y(
        field="place",
        type="nominal",
        sort=names,
        title=None if untitled else chosen.axis_head,
        axis=alt.Axis(labelExpr=SPLIT, titleAngle=0, titleAlign="right", titleAnchor="end", titleY=-8, titleX=-6),
        scale=alt.Scale(paddingInner=0.25, paddingOuter=0.15),
    )


def _reach(points: list[dict[str, Any]]) -> tuple[float, float]:
    """Give the lowest and highest number to be drawn, zero among them."""
    drawn = [point[name] for point in points for name in ("estimate", "low", "high") if point[name] is not None]
    low, high = min(0.0, *drawn), max(0.0, *drawn)
    low = low - 0.06 * (high - low) if low < 0 else 0.0
    return (low, high) if high > low else (0.0, 1.0)


def _colour(chosen: Selection, series: list[str]) -> Any:
    """Colour by series, with a legend; one colour for all where there is one series."""
    import altair as alt

    if len(series) == 1:
        return alt.value(palette(1)[0])
    return alt.Color(
        field="series",
        type="nominal",
        sort=series,
        scale=alt.Scale(domain=series, range=palette(len(series))),
        legend=legend(series, chosen.series_head),
    )


def _panelled(chart: Any, chosen: Selection, points: list[dict[str, Any]], width: float, height: Any) -> Any:
    """Give a chart its points and size; one panel below the other where there are several."""
    import altair as alt

    # A label's own value may be a date, which JSON does not know; only thresholds are drawn by theirs.
    data = data_of([point if isinstance(point["at"], float) else {**point, "at": None} for point in points])
    panels = chosen.values("panel")
    if len(panels) == 1:
        return chart.properties(data=data, width=width, height=height)
    low = isinstance(height, (int, float)) and len(panels) > 3
    drawn = chart.properties(width=width, height=min(height, 200) if low else height)
    header = alt.Header(title=None, labelAnchor="start", labelPadding=6)
    return drawn.facet(
        facet=alt.Facet(field="panel", type="nominal", sort=panels, header=header), columns=1, data=data
    ).resolve_scale(y="independent")


def _step(size: float) -> Any:
    """Give each name on the axis so many pixels, whatever is drawn beside it."""
    import altair as alt

    return alt.Step(size, **{"for": "position"})


def _tooltip(*fields: str) -> list[Any]:
    import altair as alt

    return [alt.Tooltip(field=name, type="nominal") for name in fields]


def _drawing(chart: Any, chosen: Selection, result: Result, lang: str) -> Drawing:
    """Say below the drawing what its thin lines are, and what is not drawn."""
    intervals = any(point["low"] is not None for point in chosen.points)
    remarks = [say("caption.interval", lang, level=level_of(result))] if intervals else []
    return Drawing(chart, chosen.statistic, chosen.fixed, remarks + _undrawn(chosen, lang))


def _undrawn(chosen: Selection, lang: str) -> list[str]:
    return [say("caption.not_drawn", lang, number=chosen.undefined)] if chosen.undefined else []
