"""Draw the curves that a result carries: concentration curves and Pen's parade."""

from __future__ import annotations

from typing import Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.result import Result, figure_text
from medfloor.reports.captions import said
from medfloor.reports.drawing import COLOURS, GREY, Drawing, data_of, legend, number_format, palette, unit_words
from medfloor.reports.selection import MOST_SERIES
from medfloor.words import join, say

_SIDE = 440
"""Pixels of the side of the square in which concentration curves stand."""


def concentration_curve(result: Result, lang: str) -> Drawing:
    """Draw the cumulative share against the cumulative share of people, with the line of equality.

    `curves["concentration"]`, or `curves["lorenz"]`, has p and share (0 to 1), and may have `curve` (such as lorenz)
    and `group` to tell several curves apart, and low and high for a band. Where there are more curves than colours,
    only those of the whole are drawn.
    """
    import altair as alt

    key = "lorenz" if "concentration" not in result.curves and "lorenz" in result.curves else "concentration"
    frame, remarks = _few(_curve(result, key, ("p", "share")), lang)
    equality = say("curve.equality", lang)
    several: list[str] = [name for name in ("curve", "group") if name in frame.columns and frame[name].n_unique() > 1]
    names: list[str] = several or (["curve"] if "curve" in frame.columns else [])
    told = [_told(row, names, result, lang) for row in frame.iter_rows(named=True)]
    points: list[dict[str, Any]] = [
        {"p": p, "share": share, "name": name}
        for p, share, name in zip(frame["p"].to_list(), frame["share"].to_list(), told, strict=True)
    ]
    series = list(dict.fromkeys(told))
    points += [{"p": end, "share": end, "name": equality} for end in (0.0, 1.0)]
    scale = alt.Scale(domain=[*series, equality], range=[*palette(len(series)), GREY])
    dashes = [[1, 0]] * len(series) + [[5, 4]]
    # One key for colour and dashes, so that the two legends become one.
    key_of_both = legend([*series, equality], None)
    base = alt.Chart(data_of(points)).encode(
        x=_share_axis("p", say("axis.lowest" if key == "lorenz" else "axis.people", lang)),
        color=alt.Color(field="name", type="nominal", scale=scale, legend=key_of_both),
        strokeDash=alt.StrokeDash(
            field="name", type="nominal", scale=alt.Scale(domain=[*series, equality], range=dashes), legend=key_of_both
        ),
    )
    layers = [base.mark_line(strokeWidth=2).encode(y=_share_axis("share", say("axis.share", lang)))]
    if {"low", "high"} <= set(frame.columns) and frame["low"].null_count() < frame.height:
        layers.insert(0, _band(frame, told, scale))
    return Drawing(alt.layer(*layers).properties(width=_SIDE, height=_SIDE), remarks=remarks)


def pen_parade(result: Result, lang: str) -> Drawing:
    """Draw people from poor to rich before health payments, what the payments take, and the poverty line.

    `curves["parade"]` has p (0 to 1), gross and net, and may have `line`. The few tall at the end would flatten all
    others; the frame ends above 95 % of the parade, and a remark says how many stand above.
    """
    import altair as alt

    frame = _curve(result, "parade", ("p", "gross", "net")).sort("p")
    line = (
        float(frame["line"].drop_nulls()[0])
        if "line" in frame.columns and not frame["line"].drop_nulls().is_empty()
        else None
    )
    bottom, top, remarks = _frame(frame, line, lang)
    gross, drop, pushed, poverty = (say(f"curve.{name}", lang) for name in ("gross", "drop", "pushed", "line"))
    series = [gross, drop, pushed] + ([poverty] if line is not None else [])
    colours = {gross: COLOURS[0], drop: "#9A9A9A", pushed: COLOURS[1], poverty: "#000000"}
    colour = alt.Color(
        field="name",
        type="nominal",
        scale=alt.Scale(domain=series, range=[colours[name] for name in series]),
        legend=legend(series, None),
    )
    x = _share_axis("p", say("axis.parade", lang))
    scale = alt.Scale(domain=[bottom, top], nice=False, zero=False)
    title = say("axis.money", lang, unit=unit_words(lang))

    def y(name: str) -> Any:
        axis = alt.Axis(format=",~f", tickCount=7)
        return alt.Y(field=name, type="quantitative", scale=scale, title=title, axis=axis)

    falls = [
        {"p": p, "gross": before, "net": after, "name": pushed if line is not None and after < line <= before else drop}
        for p, before, after in frame.select("p", "gross", "net").iter_rows()
        if after < before
    ]
    rise = [{"p": p, "gross": before, "name": gross} for p, before in frame.select("p", "gross").iter_rows()]
    layers = [
        alt.Chart(data_of(falls))
        .mark_rule(clip=True, strokeWidth=1)
        .encode(x=x, y=y("gross"), y2=alt.Y2(field="net"), color=colour),
        alt.Chart(data_of(rise)).mark_line(clip=True, strokeWidth=2).encode(x=x, y=y("gross"), color=colour),
    ]
    if line is not None:
        ends = [{"p": end, "gross": line, "name": poverty} for end in (0.0, 1.0)]
        layers.append(
            alt.Chart(data_of(ends))
            .mark_line(strokeDash=[6, 3], strokeWidth=1.5)
            .encode(x=x, y=y("gross"), color=colour)
        )
    return Drawing(alt.layer(*layers).properties(width=590, height=360), remarks=remarks)


def cliff(result: Result, lang: str) -> Drawing:
    """Draw what jumps at a line: means of narrow intervals, and the curve fitted on either side.

    `curves["cliff"]`, or `curves["notch"]`, has series (bin or fit), side (below or above), x, y and n.
    """
    import altair as alt

    key = "notch" if "cliff" not in result.curves and "notch" in result.curves else "cliff"
    frame = _curve(result, key, ("series", "side", "x", "y"))
    kind = "amount" if key == "notch" else str(result.rows["kind"][0])
    bins, fitted = say("curve.bin", lang), say("curve.fit", lang)
    colour = alt.Color(
        field="name",
        type="nominal",
        scale=alt.Scale(domain=[bins, fitted], range=[COLOURS[5], COLOURS[1]]),
        legend=legend([bins, fitted], None),
    )
    y = alt.Y(
        field="y",
        type="quantitative",
        title=say(f"axis.{key}_y", lang, unit=unit_words(lang)),
        scale=alt.Scale(zero=False),
        axis=alt.Axis(format=number_format(kind), tickCount=6),
    )
    names = {"bin": bins, "fit": fitted}
    points = [{**row, "name": names.get(str(row["series"]), str(row["series"]))} for row in frame.to_dicts()]
    base = alt.Chart().encode(
        x=alt.X(
            field="x",
            type="quantitative",
            title=say(f"axis.{key}_x", lang, unit=unit_words(lang)),
            scale=alt.Scale(zero=False, nice=False, padding=10),
            axis=alt.Axis(format=",~f", tickCount=6),
        ),
        y=y,
        color=colour,
    )
    dots = base.mark_point(filled=True, size=45, opacity=1).transform_filter(alt.datum.series == "bin")
    lines = base.mark_line(strokeWidth=2.5).transform_filter(alt.datum.series == "fit")
    lines = lines.encode(detail=alt.Detail(field="side", type="nominal"))
    below = frame.filter((pl.col("series") == "fit") & (pl.col("side") == "below"))
    layers = [dots, lines]
    if not below.is_empty():
        # The fitted curve of the lower side ends where the status changes.
        at = data_of([{"x": float(str(below["x"].max()))}])
        layers.append(
            alt.Chart(at).mark_rule(strokeDash=[6, 3], color=GREY).encode(x=alt.X(field="x", type="quantitative"))
        )
    return Drawing(alt.layer(*layers, data=data_of(points)).properties(width=590, height=340))


def _curve(result: Result, name: str, needed: tuple[str, ...]) -> pl.DataFrame:
    frame = result.curves.get(name)
    if frame is None or frame.is_empty() or not set(needed) <= set(frame.columns):
        raise UsageError(
            "no_such_figure",
            f"this {result.measure} carries no curve {name!r} with {', '.join(needed)}; choose another kind of figure",
        )
    return frame.drop_nulls(list(needed))


def _few(frame: pl.DataFrame, lang: str) -> tuple[pl.DataFrame, list[str]]:
    """Leave the curves of groups out where there are more curves than colours."""
    if "group" not in frame.columns:
        return frame, []
    apart = [name for name in ("curve", "group") if name in frame.columns]
    whole = frame.filter(pl.col("group").is_null())
    many = frame.select(apart).unique().height
    if many <= MOST_SERIES or whole.is_empty():
        return frame, []
    return whole, [say("caption.curves", lang, number=many - whole.select(apart).unique().height)]


def _told(row: dict[str, Any], names: list[str], result: Result, lang: str) -> str:
    """Name a curve: what it is of, and the group where it is one of a group."""
    told = [said(name, row[name], lang) for name in names if row[name] is not None]
    ways = result.rows["by"].drop_nulls().unique().to_list() if "by" in result.rows.columns else []
    if "group" in names and row["group"] is not None and len(ways) == 1:
        told[-1] = say("table.group", lang, by=said("by", ways[0], lang), group=said("group", row["group"], lang))
    return join(told, lang) if told else say("curve.concentration", lang)


def _band(frame: pl.DataFrame, told: list[str], scale: Any) -> Any:
    import altair as alt

    points = [
        {"p": row["p"], "low": row["low"], "high": row["high"], "name": name}
        for row, name in zip(frame.iter_rows(named=True), told, strict=True)
        if row["low"] is not None and row["high"] is not None
    ]
    return (
        alt.Chart(data_of(points))
        .mark_area(opacity=0.18)
        .encode(
            x=alt.X(field="p", type="quantitative"),
            y=alt.Y(field="low", type="quantitative"),
            y2=alt.Y2(field="high"),
            color=alt.Color(field="name", type="nominal", scale=scale, legend=None),
        )
    )


def _share_axis(name: str, title: str) -> Any:
    import altair as alt

    axis = alt.Axis(format="~%", values=[step / 5 for step in range(6)])
    # A share of something that can be negative leaves the square below; the domain then grows with it.
    if name == "p":
        return alt.X(field=name, type="quantitative", title=title, axis=axis, scale=alt.Scale(domain=[0, 1]))
    return alt.Y(field=name, type="quantitative", title=title, axis=alt.Axis(format="~%", tickCount=6))


def _frame(frame: pl.DataFrame, line: float | None, lang: str) -> tuple[float, float, list[str]]:
    """Say where the frame of a parade ends, and in words what stands outside of it."""
    highest, lowest = float(str(frame["gross"].max())), float(str(frame["net"].min()))
    most = float(str(frame.filter(pl.col("p") <= 0.95)["gross"].max() or highest))
    top = max(most, 1.2 * line if line is not None else 0.0) * 1.05
    remarks = []
    if highest <= 1.3 * top:
        top = highest * 1.05 if highest > 0 else 1.0
    else:
        above = 1 - float(str(frame.filter(pl.col("gross") <= top)["p"].max()))
        remarks.append(say("caption.above", lang, top=figure_text(top, "amount"), share=figure_text(above, "percent")))
    bottom = min(0.0, lowest)
    if bottom < -0.3 * top:
        bottom = -0.3 * top
        remarks.append(say("caption.below", lang, bottom=figure_text(bottom, "amount")))
    return bottom, top, remarks
