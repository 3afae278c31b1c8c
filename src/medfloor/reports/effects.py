"""Draw what an estimator found: coefficients, effects by event time, checks of matching, cutoffs and mediation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.result import Fit, label_text, number_text, title_of
from medfloor.intake.files import write_bytes
from medfloor.reports.drawing import (
    COLOURS,
    GREY,
    LABEL,
    SPLIT,
    Drawing,
    broken,
    data_of,
    legend,
    palette,
    set_in_words,
)  # fmt: skip
from medfloor.reports.figures import FORMATS, _rendered
from medfloor.reports.fits import heading, sentences
from medfloor.reports.selection import MOST_SERIES
from medfloor.reports.typeface import register
from medfloor.words import say

if TYPE_CHECKING:
    import altair as alt

FitFigureKind = Literal[
    "coefficients", "event_study", "quantiles", "placebo", "balance", "cutoff", "comparisons", "sensitivity"
]
FIT_KINDS: tuple[str, ...] = get_args(FitFigureKind)

_BY_EXTRAS = {
    "placebo": ("curves", "placebo", ("estimate",)),
    "sensitivity": ("curves", "sensitivity", ("rho", "estimate")),
    "cutoff": ("curves", "bins", ("side", "x", "y")),
    "balance": ("tables", "balance", ("covariate", "before", "after")),
    "comparisons": ("tables", "comparisons", ("kind", "weight", "estimate")),
}
"""Figure -> where in a fit it lies, under which name, and the columns that it needs."""

_EVENT_TERMS = ("event", "event_time", "dynamic")
_CONSTANTS = ("constant", "intercept")
_SIZE = (590, 340)
_NAMES, _INSIDE = 190, 480
_MOST_PLACES = 40
"""As many coefficients as one figure of them holds."""


def fit_figure(fit: Fit, lang: str = "en", kind: FitFigureKind | None = None) -> alt.VConcatChart:
    """Draw a fit with Altair, at most 720 pixels wide.

    Kinds: `coefficients` (points with intervals, estimators apart in colour), `event_study` (effects by event time, the
    omitted wave shown at zero), `quantiles` (a coefficient over quantiles), `placebo` (what permuted timing gives, with
    the estimate), `balance` (standardised differences before and after matching), `cutoff` (means by bins and lines on
    both sides), `comparisons` (Bacon's weights and estimates), `sensitivity` (a mediated effect against ρ). Without a
    kind the one that fits is taken (`fit_kind`). Title and equation stand above, errors and what it does not show
    below, in `lang` ("en" or "zh").

    Raises UsageError no_such_figure where the fit lacks what the figure needs, unknown_language.
    """
    chosen = fit_kind(fit) if kind is None else kind
    if chosen not in FIT_KINDS:
        raise UsageError("no_such_figure", f"there is no figure {chosen!r}; choose one of {', '.join(FIT_KINDS)}")
    drawing = _DRAWERS[chosen](fit, lang)
    equation = say("fit.equation", lang, text=fit.equation.say(lang))
    below = [*drawing.remarks, say("fit.errors", lang, text=fit.errors.say(lang))]
    for name in ("warnings", "not_shown"):
        phrases = getattr(fit, name)
        if phrases:
            told = sentences(phrases, lang)
            below.append(say("fit_print.list", lang, head=say(f"fit.{name}", lang), text=told))
    register()
    above = [*drawing.fixed, equation]
    made: alt.VConcatChart = set_in_words(drawing.chart, heading(fit, lang), above=above, below=below, told=[equation])
    return made


def write_fit_figure(
    fit: Fit, path: str | os.PathLike[str], lang: str = "en", kind: FitFigureKind | None = None
) -> None:
    """Draw a fit into a file, whole or not at all: .svg, .png (two dots a pixel), .pdf, or .json (Vega-Lite).

    Raises what `fit_figure` raises, UsageError unknown_format for another ending, OutputError cannot_write.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise UsageError("unknown_format", f"{os.fspath(path)} ends in none of {', '.join(FORMATS)}. Rename it.")
    write_bytes(_rendered(fit_figure(fit, lang, kind), ending), path)


def fit_kind(fit: Fit) -> str:
    """Choose the figure that shows a fit best: what it carries to draw, then event times, then coefficients."""
    for kind, (place, name, needed) in _BY_EXTRAS.items():
        frame = getattr(fit, place).get(name)
        if frame is not None and frame.height and set(needed) <= set(frame.columns):
            return kind
    if fit.method == "quantile":
        return "quantiles"
    events = fit.rows.filter(pl.col("term").is_in(_EVENT_TERMS))
    return "event_study" if events["at"].drop_nulls().n_unique() > 1 else "coefficients"


# Estimates with intervals


def _coefficients(fit: Fit, lang: str) -> Drawing:
    """Draw one line a term, a point an estimator with its interval, and zero as a rule."""
    import altair as alt

    slopes = fit.rows.filter(~pl.col("term").is_in(_CONSTANTS) & ~pl.col("term").str.starts_with("cut("))
    # Log odds and percentage points cannot share an axis; the latter are what people read.
    marginal = slopes.filter(pl.col("group") == "ame")
    shown = marginal if marginal.height else slopes if slopes.height else fit.rows
    # A first stage is in units of the treatment: on the outcome's axis it would look like nothing.
    drawn = pl.col("model").ne_missing("first_stage") | (pl.lit(shown["model"].n_unique()) == 1)
    rows = shown.filter(pl.col("estimate").is_not_null() & drawn)
    labels = [name for name in fit.labels() if rows[name].n_unique() > 1]
    place, series = _roles(labels, rows)
    points = [_point(row, lang) | {"place": _told(row, place, lang), "series": _told(row, series, lang)}
              for row in rows.iter_rows(named=True)][:_MOST_PLACES]  # fmt: skip
    if not points:
        raise UsageError("no_such_figure", f"no estimate of this {fit.method} has a value to draw")
    for point in points:
        point["place"] = broken(str(point["place"]), _NAMES)
    names = list(dict.fromkeys(str(point["place"]) for point in points))
    groups = list(dict.fromkeys(str(point["series"]) for point in points))
    y = alt.Y(field="place", type="nominal", sort=names, title=None, axis=alt.Axis(labelExpr=SPLIT))
    base = alt.Chart().encode(y=y, color=_colour(groups))
    if len(groups) > 1:
        base = base.encode(yOffset=alt.YOffset(field="series", type="nominal", sort=groups))
    lines = max(name.count("\n") + 1 for name in names)
    step = max(30 if len(groups) == 1 else 16 * len(groups) + 12, 15 * lines + 8)
    layers = [_zero("x"), *_marks(base, "x", say("fit_figure.coefficient", lang))]
    size = alt.Step(step, **{"for": "position"})
    chart = alt.layer(*layers).properties(data=data_of(points), width=_INSIDE, height=size)
    undrawn = shown.height - len(points)
    remarks = [*_intervals(points, fit, lang)]
    remarks += [say("fit_figure.constants", lang)] if slopes.height < fit.rows.height and shown is not fit.rows else []
    remarks += [say("caption.not_drawn", lang, number=undrawn)] if undrawn else []
    fixed = [say("fit.same", lang, name=title_of("fit_column", "group", lang), value=label_text("group", "ame", lang))]
    return Drawing(chart, fixed=fixed if marginal.height else [], remarks=remarks)


def _event_study(fit: Fit, lang: str) -> Drawing:
    """Draw effects by waves since the policy began, estimators side by side; the omitted wave stands at zero."""
    import altair as alt

    rows = fit.rows.filter(pl.col("at").is_not_null() & pl.col("estimate").is_not_null())
    terms = rows["term"].unique(maintain_order=True).to_list()
    chosen = next((one for one in _EVENT_TERMS if one in terms), terms[0] if terms else "")
    rows = rows.filter(pl.col("term") == chosen)
    if rows.is_empty():
        raise UsageError("no_such_figure", f"this {fit.method} has no estimates by event time; draw coefficients")
    apart = [name for name in ("model", "outcome", "group") if rows[name].n_unique() > 1]
    points = [_point(row, lang) | {"x": row["at"], "series": _told(row, apart, lang), "base": False}
              for row in rows.iter_rows(named=True)]  # fmt: skip
    series = list(dict.fromkeys(str(point["series"]) for point in points))
    _few(series, fit)
    shown_base = [_base(name) for name in series if _omits_base([p["x"] for p in points if p["series"] == name])]
    points += shown_base
    # Estimators of one wave stand side by side, a tenth of a wave apart.
    for point in points:
        point["x"] += (series.index(str(point["series"])) - (len(series) - 1) / 2) * min(0.1, 0.6 / len(series))
    ticks = list(range(round(min(p["x"] for p in points)), round(max(p["x"] for p in points)) + 1))
    x = alt.X(
        field="x", type="quantitative", title=say("fit_figure.waves", lang),
        scale=alt.Scale(nice=False, zero=False, padding=24), axis=alt.Axis(format="d", values=ticks, grid=False),
    )  # fmt: skip
    base = alt.Chart().encode(x=x, color=_colour(series))
    start = alt.Chart(data_of([{"x": -0.5}])).mark_rule(strokeDash=[6, 3], color=GREY)
    layers = [_zero("y"), start.encode(x=alt.X(field="x", type="quantitative"))]
    layers += _marks(base, "y", _effect(fit, lang))
    chart = alt.layer(*layers).properties(data=data_of(points), width=_SIZE[0], height=_SIZE[1])
    remarks = _intervals(points, fit, lang) + ([say("fit_figure.base", lang)] if shown_base else [])
    return Drawing(chart, remarks=remarks)


def _quantiles(fit: Fit, lang: str) -> Drawing:
    """Draw each coefficient over the quantiles, one panel a term; the constant is left out."""
    import altair as alt

    rows = fit.rows.filter(pl.col("at").is_not_null() & (pl.col("term") != "constant"))
    terms = rows["term"].unique(maintain_order=True).to_list()[:9]
    rows = rows.filter(pl.col("term").is_in(terms) & pl.col("estimate").is_not_null())
    if rows.is_empty():
        raise UsageError("no_such_figure", f"this {fit.method} has no estimates by quantile; draw coefficients")
    points = [_point(row, lang) | {"x": row["at"], "panel": label_text("term", row["term"], lang)}
              for row in rows.iter_rows(named=True)]  # fmt: skip
    ticks = sorted({point["x"] for point in points})
    outcome = fit.rows["outcome"][0] or ""
    x = alt.X(
        field="x", type="quantitative", title=say("fit_figure.quantile", lang, outcome=outcome),
        scale=alt.Scale(nice=False, zero=False, padding=16),
        axis=alt.Axis(format=".2~f", values=ticks, labelOverlap=True),
    )  # fmt: skip
    base = alt.Chart().encode(x=x)
    line = base.mark_line(color=COLOURS[0]).encode(y=alt.Y(field="estimate", type="quantitative"))
    zero = alt.Chart().mark_rule(color=GREY).encode(y=alt.datum(0))
    drawn = alt.layer(zero, line, *_marks(base.encode(color=_colour([""])), "y", say("fit_figure.coefficient", lang)))
    panels = list(dict.fromkeys(str(point["panel"]) for point in points))
    header = alt.Header(title=None, labelAnchor="start", labelPadding=6)
    facet = alt.Facet(field="panel", type="nominal", sort=panels, header=header)
    height = _SIZE[1] if len(panels) == 1 else 180
    chart = drawn.properties(width=_SIZE[0], height=height).facet(facet=facet, columns=1, data=data_of(points))
    return Drawing(chart.resolve_scale(y="independent"), remarks=_intervals(points, fit, lang))


def _roles(labels: Sequence[str], rows: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Choose which labels name a line, and which become colours: estimators, where they are few."""
    if "model" in labels and len(labels) > 1 and rows["model"].n_unique() <= MOST_SERIES:
        rest = [name for name in labels if name != "model"]
        return rest, ["model"]
    return list(labels) or ["term"], []


def _told(row: dict[str, Any], names: Sequence[str], lang: str) -> str:
    return " · ".join(label_text(name, row[name], lang) for name in names if row[name] is not None)


def _point(row: dict[str, Any], lang: str) -> dict[str, Any]:
    known = row["low"] is not None and row["high"] is not None
    return {
        "estimate": row["estimate"],
        "low": row["low"] if known else None,
        "high": row["high"] if known else None,
        "text": number_text(row["estimate"]),
        "base": False,
    }


def _base(series: str) -> dict[str, Any]:
    return {"estimate": 0.0, "low": None, "high": None, "text": "0", "x": -1.0, "series": series, "base": True}


def _omits_base(times: Sequence[float]) -> bool:
    """Say whether -1 is what others are held against: earlier waves have estimates and it has none."""
    return -1.0 not in times and any(time < -1 for time in times)


def _marks(base: Any, way: Literal["x", "y"], title: str) -> list[Any]:
    """Draw intervals as lines and estimates as points, along x or y; what is zero by construction is hollow."""
    import altair as alt

    one, other = (alt.X, alt.X2) if way == "x" else (alt.Y, alt.Y2)
    axis = alt.Axis(format=".3~g", tickCount=6)
    scale = alt.Scale(zero=False, padding=14)
    estimate = one(field="estimate", type="quantitative", title=title, axis=axis, scale=scale)
    rule = base.mark_rule(strokeWidth=2).transform_filter(alt.datum.low != None)  # noqa: E711 (an expression of Vega)
    rule = rule.encode(**{way: one(field="low", type="quantitative", title=title), f"{way}2": other(field="high")})
    tip = [alt.Tooltip(field="text", type="nominal")]
    full = base.mark_point(filled=True, size=60, opacity=1).transform_filter("!datum.base")
    hollow = base.mark_point(filled=False, size=60, opacity=1).transform_filter("datum.base")
    return [rule, full.encode(**{way: estimate}, tooltip=tip), hollow.encode(**{way: estimate})]


def _zero(way: Literal["x", "y"]) -> Any:
    import altair as alt

    made = alt.Chart(data_of([{"zero": 0}])).mark_rule(color=GREY)
    if way == "x":
        return made.encode(x=alt.X(field="zero", type="quantitative"))
    return made.encode(y=alt.Y(field="zero", type="quantitative"))


def _colour(series: Sequence[str]) -> Any:
    import altair as alt

    if len(series) < 2:
        return alt.value(COLOURS[0])
    return alt.Color(
        field="series", type="nominal", sort=list(series), legend=legend(list(series), None),
        scale=alt.Scale(domain=list(series), range=palette(len(series))),
    )  # fmt: skip


def _few(series: Sequence[str], fit: Fit) -> None:
    if len(series) > MOST_SERIES:
        raise UsageError(
            "many_estimates",
            f"one figure cannot hold {len(series)} lines of this {fit.method}; choose some with pick(model=...) or "
            "pick(group=...)",
        )


def _intervals(points: Sequence[dict[str, Any]], fit: Fit, lang: str) -> list[str]:
    known = any(point["low"] is not None for point in points)
    return [say("fit_figure.interval", lang, level=f"{100 * fit.level:g} %")] if known else []


def _effect(fit: Fit, lang: str) -> str:
    outcome = fit.rows["outcome"].drop_nulls().unique().to_list()
    return (
        say("fit_figure.effect", lang, outcome=outcome[0]) if len(outcome) == 1 else say("fit_figure.coefficient", lang)
    )


# Checks


def _placebo(fit: Fit, lang: str) -> Drawing:
    """Draw how the estimates under permuted timing lie, with the real one as a rule."""
    import altair as alt

    frame = _extra(fit, "placebo")
    points = data_of([{"x": value} for value in frame["estimate"].to_list()])
    # Bins as columns of their own, so that the axis keeps round numbers and reaches to the estimate.
    bars = (
        alt.Chart(points)
        .mark_bar(color=COLOURS[5], stroke="white")
        .transform_bin(["from", "to"], "x", bin=alt.Bin(maxbins=40))
        .encode(
            x=alt.X(
                field="from",
                type="quantitative",
                title=say("fit_figure.permuted", lang),
                axis=alt.Axis(format=".3~g", tickCount=7),
            ),
            x2=alt.X2(field="to"),
            y=alt.Y(aggregate="count", type="quantitative", title=say("fit_figure.draws", lang)),
        )
    )
    real = fit.rows["estimate"][0]
    told = f"{say('fit_figure.estimate', lang)} {number_text(real)}"
    # On the side of the rule where there is more room.
    left = real > (frame["estimate"].min() + frame["estimate"].max()) / 2  # type: ignore[operator]
    mark = alt.Chart(data_of([{"x": real, "text": told}])).encode(x=alt.X(field="x", type="quantitative"))
    text = mark.mark_text(align="right" if left else "left", dx=-6 if left else 6, fontSize=LABEL)
    layers = [
        bars,
        mark.mark_rule(color=COLOURS[1], strokeWidth=2.5),
        text.encode(y=alt.value(8), text=alt.Text(field="text", type="nominal")),
    ]
    return Drawing(alt.layer(*layers).properties(width=_SIZE[0], height=_SIZE[1]))


def _balance(fit: Fit, lang: str) -> Drawing:
    """Draw standardised differences of the covariates before and after matching, the largest first."""
    import altair as alt

    frame = _extra(fit, "balance").sort(pl.col("before").abs(), descending=True, nulls_last=True)
    names = [say(f"fit_figure.{one}", lang) for one in ("before", "after")]
    points = [
        {"place": broken(label_text("covariate", row["covariate"], lang), _NAMES), "x": row[column], "name": name}
        for row in frame.iter_rows(named=True)
        for column, name in zip(("before", "after"), names, strict=True)
        if row[column] is not None
    ]
    places = list(dict.fromkeys(str(point["place"]) for point in points))
    base = alt.Chart(data_of(points)).encode(
        y=alt.Y(field="place", type="nominal", sort=places, title=None, axis=alt.Axis(labelExpr=SPLIT, grid=True)),
        x=alt.X(field="x", type="quantitative", title=say("fit_figure.balance", lang),
                axis=alt.Axis(format=".2~f", tickCount=7), scale=alt.Scale(padding=14)),
    )  # fmt: skip
    colour = alt.Color(
        field="name", type="nominal", legend=legend(names, None),
        scale=alt.Scale(domain=names, range=[COLOURS[1], COLOURS[0]]),
    )  # fmt: skip
    shape = alt.Shape(field="name", type="nominal", scale=alt.Scale(domain=names, range=["circle", "square"]))
    dots = base.mark_point(filled=True, size=75, opacity=1).encode(color=colour, shape=shape.legend(None))
    bound = alt.Chart(data_of([{"x": -0.1}, {"x": 0.1}])).mark_rule(strokeDash=[5, 4], color=GREY)
    layers = [_zero("x"), bound.encode(x=alt.X(field="x", type="quantitative")), dots]
    lines = max(place.count("\n") + 1 for place in places)
    size = alt.Step(max(26, 15 * lines + 8), **{"for": "position"})
    chart = alt.layer(*layers).properties(width=_INSIDE, height=size)
    return Drawing(chart, remarks=[say("fit_figure.tenth", lang)])


def _cutoff(fit: Fit, lang: str) -> Drawing:
    """Draw means of narrow intervals on both sides of a cutoff, and the lines fitted there with their bands."""
    import altair as alt

    bins, line = _extra(fit, "cutoff"), fit.curves.get("line")
    x = alt.X(
        field="x", type="quantitative", title=say("fit_figure.running", lang),
        scale=alt.Scale(zero=False, nice=False, padding=10), axis=alt.Axis(format=",.4~g", tickCount=7),
    )  # fmt: skip
    y = alt.Y(
        field="y", type="quantitative", title=say("fit_figure.mean", lang), scale=alt.Scale(zero=False),
        axis=alt.Axis(format=",.3~g", tickCount=6),
    )  # fmt: skip
    dots = alt.Chart(data_of(bins.to_dicts())).mark_point(filled=True, opacity=1, color=COLOURS[5]).encode(x=x, y=y)
    if "n" in bins.columns:
        dots = dots.encode(size=alt.Size(field="n", type="quantitative", legend=None, scale=alt.Scale(range=[25, 110])))
    layers: list[Any] = []
    remarks = [say("fit_figure.sides", lang)]
    if line is not None and line.height:
        sided = alt.Detail(field="side", type="nominal")
        lined = alt.Chart(data_of(line.to_dicts())).encode(x=x, detail=sided)
        if {"low", "high"} <= set(line.columns) and line["low"].null_count() < line.height:
            band = lined.mark_area(opacity=0.18, color=COLOURS[1]).transform_filter("datum.low != null")
            layers.append(
                band.encode(y=alt.Y(field="low", type="quantitative", title=say("fit_figure.mean", lang)),
                            y2=alt.Y2(field="high"))
            )  # fmt: skip
            remarks.append(say("fit_figure.interval_band", lang, level=f"{100 * fit.level:g} %"))
        layers.append(lined.mark_line(strokeWidth=2.5, color=COLOURS[1]).encode(y=y))
    at = data_of([{"x": _cut(fit, bins)}])
    layers.append(
        alt.Chart(at).mark_rule(strokeDash=[6, 3], color=GREY).encode(x=alt.X(field="x", type="quantitative"))
    )
    return Drawing(alt.layer(*layers, dots).properties(width=_SIZE[0], height=_SIZE[1]), remarks=remarks)


def _cut(fit: Fit, bins: pl.DataFrame) -> float:
    """Give the cutoff: the fact of that name, else the middle between the two sides."""
    told = fit.facts.get("cutoff")
    if isinstance(told, (int, float)):
        return float(told)
    ends = bins.group_by("side").agg(low=pl.col("x").min(), high=pl.col("x").max()).sort("low")
    return float((ends["high"][0] + ends["low"][-1]) / 2)


def _comparisons(fit: Fit, lang: str) -> Drawing:
    """Draw the comparisons of two groups that make up a two-way fixed effects estimate: weight and estimate."""
    import altair as alt

    frame = _extra(fit, "comparisons")
    points = [{**row, "series": title_of("comparison", str(row["kind"]), lang)} for row in frame.to_dicts()]
    series = list(dict.fromkeys(str(point["series"]) for point in points))
    base = alt.Chart(data_of(points)).encode(
        x=alt.X(field="weight", type="quantitative", title=say("fit_figure.weight", lang),
                axis=alt.Axis(format=".3~g", tickCount=7)),
        y=alt.Y(field="estimate", type="quantitative", title=say("fit_figure.comparison", lang),
                axis=alt.Axis(format=".3~g", tickCount=6)),
        color=_colour(series),
    )  # fmt: skip
    layers = [_zero("y"), base.mark_point(filled=True, size=60, opacity=0.85)]
    remarks: list[str] = []
    if fit.rows.height == 1 and fit.rows["estimate"][0] is not None:
        whole = alt.Chart(data_of([{"y": fit.rows["estimate"][0]}])).mark_rule(strokeDash=[6, 3], strokeWidth=1.8)
        layers.append(whole.encode(y=alt.Y(field="y", type="quantitative")))
        remarks.append(say("fit_figure.whole", lang))
    return Drawing(alt.layer(*layers).properties(width=_SIZE[0], height=_SIZE[1]), remarks=remarks)


def _sensitivity(fit: Fit, lang: str) -> Drawing:
    """Draw a mediated effect against the correlation of errors that an unseen confounder would bring."""
    import altair as alt

    frame = _extra(fit, "sensitivity")
    base = alt.Chart(data_of(frame.to_dicts())).encode(
        x=alt.X(field="rho", type="quantitative", title=say("fit_figure.rho", lang),
                axis=alt.Axis(format=".2~f", tickCount=9), scale=alt.Scale(nice=False, zero=False))
    )  # fmt: skip
    title = say("fit_figure.mediated", lang)
    layers, remarks = [_zero("y")], []
    if {"low", "high"} <= set(frame.columns) and frame["low"].null_count() < frame.height:
        band = base.mark_area(opacity=0.18, color=COLOURS[0]).transform_filter("datum.low != null")
        low = alt.Y(field="low", type="quantitative", title=title)
        layers.append(band.encode(y=low, y2=alt.Y2(field="high")))
        remarks.append(say("fit_figure.interval_band", lang, level=f"{100 * fit.level:g} %"))
    y = alt.Y(field="estimate", type="quantitative", title=title, axis=alt.Axis(format=".3~g", tickCount=6))
    layers.append(base.mark_line(strokeWidth=2.5, color=COLOURS[0]).encode(y=y))
    at = alt.Chart(data_of([{"rho": 0}])).mark_rule(strokeDash=[6, 3], color=GREY)
    layers.append(at.encode(x=alt.X(field="rho", type="quantitative")))
    return Drawing(alt.layer(*layers).properties(width=_SIZE[0], height=_SIZE[1]), remarks=remarks)


def _extra(fit: Fit, kind: str) -> pl.DataFrame:
    place, name, needed = _BY_EXTRAS[kind]
    frame = getattr(fit, place).get(name)
    if frame is None or frame.is_empty() or not set(needed) <= set(frame.columns):
        raise UsageError(
            "no_such_figure",
            f"this {fit.method} carries no {name!r} with {', '.join(needed)}; choose another kind of figure",
        )
    kept: pl.DataFrame = frame.drop_nulls([one for one in needed if one not in ("before", "after")])
    return kept


_DRAWERS: dict[str, Callable[[Fit, str], Drawing]] = {
    "coefficients": _coefficients,
    "event_study": _event_study,
    "quantiles": _quantiles,
    "placebo": _placebo,
    "balance": _balance,
    "cutoff": _cutoff,
    "comparisons": _comparisons,
    "sensitivity": _sensitivity,
}
