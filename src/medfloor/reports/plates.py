"""Draw the figures of printed reports as SVG without words around them: title and notes stand in the report itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from medfloor.measures.result import Result
from medfloor.reports.drawing import GREY, LABEL, SPLIT, broken, legend_of, number_format, palette, payer_colours
from medfloor.reports.typeface import FAMILIES, register

_WIDTH = 430
_NAMES = 190.0
_LEGEND = {"labelFontSize": LABEL, "labelLimit": 0, "titleFontSize": LABEL, "titleFontWeight": "normal"}
_CONFIG: dict[str, Any] = {
    "font": ", ".join(FAMILIES),
    "view": {"continuousWidth": 300, "continuousHeight": 300, "stroke": None},
    "axis": {
        "domainColor": GREY, "gridColor": "#E4E4E4", "labelFlush": False, "labelFontSize": LABEL, "labelLimit": 0,
        "tickColor": GREY, "titleFontSize": LABEL, "titleFontWeight": "normal", "titleLimit": 0, "titlePadding": 8,
    },
    "legend": _LEGEND,
    "header": {"labelFontSize": LABEL, "titleFontSize": LABEL},
}  # fmt: skip
"""The face, the sizes and the quiet colours of all figures in reports."""


class Bar(NamedTuple):
    """Be one piece of a bar: which bar, which piece of it, how much; of money also the code of who pays it."""

    bar: str
    piece: str
    value: float
    payer: str = ""


class Spot(NamedTuple):
    """Be an estimate with its interval (None: not known), of a series at a place."""

    place: str
    series: str
    value: float
    low: float | None
    high: float | None


def stacked(bars: Sequence[Bar], axis: str, *, kind: str = "percent") -> bytes:
    """Draw bars of pieces, one below the other, in the order given; pieces have shades and the legend their names."""
    names = [broken(one, _NAMES) for one in dict.fromkeys(one.bar for one in bars)]
    payers = {one.piece: one.payer for one in bars}
    pieces = list(payers)
    colours = payer_colours(list(payers.values())) if any(payers.values()) else palette(max(1, len(pieces)))
    shown = [
        {"bar": broken(one.bar, _NAMES), "piece": one.piece, "value": one.value, "at": pieces.index(one.piece)}
        for one in bars
    ]
    return _set(
        {
            "data": {"values": shown},
            # A white line between pieces tells them apart in grey too.
            "mark": {"type": "bar", "stroke": "white", "strokeWidth": 1.2},
            "encoding": {
                "color": {**_shades("piece", pieces), "scale": {"domain": pieces, "range": colours}},
                "order": {"field": "at", "type": "quantitative"},
                "x": {"axis": _axis(kind), "field": "value", "stack": "zero", "title": axis, "type": "quantitative"},
                "y": _lines("bar", names),
            },
            "height": {"step": 34},
            "width": _WIDTH,
        }
    )


def spots(points: Sequence[Spot], axis: str, *, kind: str = "proportion") -> bytes:
    """Draw estimates with their intervals along places, a series each in its colour and shape."""
    places = [broken(one, _NAMES) for one in dict.fromkeys(one.place for one in points)]
    series = list(dict.fromkeys(one.series for one in points))
    many = max(1, len(series))
    shown = [
        {"place": broken(one.place, _NAMES), "series": one.series, "value": one.value, "low": one.low, "high": one.high}
        for one in points
    ]
    both = {
        "color": _shades("series", series, named=many > 1),
        "y": _lines("place", places, grid=True),
        "yOffset": {"field": "series", "sort": series, "type": "nominal"},
    }
    spans = {"x": {"field": "low", "title": axis, "type": "quantitative"}, "x2": {"field": "high"}}
    dots = {
        "shape": {"field": "series", "legend": None, "sort": series, "type": "nominal"},
        "x": {"axis": _axis(kind), "field": "value", "scale": {"zero": True}, "title": axis, "type": "quantitative"},
    }
    return _set(
        {
            "data": {"values": shown},
            "layer": [
                {"mark": {"type": "rule", "strokeWidth": 1.6}, "encoding": both | spans},
                {"mark": {"type": "point", "filled": True, "opacity": 1, "size": 62}, "encoding": both | dots},
            ],
            "height": {"step": max(18, 36 // many)},
            "width": _WIDTH,
        }
    )


def curve(result: Result, lang: str) -> bytes:
    """Draw the concentration curve that a result carries."""
    from medfloor.reports.curves import concentration_curve

    return drawn(concentration_curve(result, lang).chart)


def drawn(chart: Any) -> bytes:
    """Give a chart of Altair as SVG, set in our typeface."""
    return _set(chart.to_dict())


def _set(spec: dict[str, Any]) -> bytes:
    """Set a figure, as Vega-Lite reads it, in our typeface and sizes.

    Configured as a chart, each step would copy the chart and all its points, and Altair takes as long to load as all
    of a short report to make.
    """
    import vl_convert

    register()
    face = {"config": {**spec.get("config", {}), **_CONFIG}, "background": "white", "padding": 4}
    svg: str = vl_convert.vegalite_to_svg({**spec, **face})
    return svg.encode("utf-8")


def _shades(field: str, names: list[str], *, named: bool = True) -> dict[str, Any]:
    return {
        "field": field,
        "legend": {**legend_of(names), "title": None} if named else None,
        "scale": {"domain": names, "range": palette(max(1, len(names)))},
        "sort": names,
        "type": "nominal",
    }


def _lines(field: str, names: list[str], **axis: bool) -> dict[str, Any]:
    """Name the lines of a figure at its left."""
    axes = {"domain": False, "labelExpr": SPLIT, "ticks": False, **axis}
    return {"axis": axes, "field": field, "sort": names, "title": None, "type": "nominal"}


def _axis(kind: str) -> dict[str, Any]:
    return {"format": number_format(kind), "tickCount": 6}
