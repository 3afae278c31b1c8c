"""Draw prevention: who signed with a family doctor beside the goal, and what follow-up may save beside its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medfloor.reports.drawing import COLOURS, GREY, SPLIT, broken, data_of, legend, set_in_words
from medfloor.reports.figures import _rendered
from medfloor.reports.typeface import register
from medfloor.watch.prevention import Prevention
from medfloor.words import say

if TYPE_CHECKING:
    import altair as alt

_NAMES = 210
_INSIDE = 420


def coverage_figure(found: Prevention, lang: str = "en") -> alt.VConcatChart:
    """Draw one bar a group: the share of it that signed, with a mark at its goal."""
    import altair as alt

    rows = [row for row in found.coverage.to_dicts() if row["share"] is not None]
    points = [
        {"name": broken(say(f"watch_prevention_group.{row['group']}", lang), _NAMES), "share": row["share"] / 100,
         "goal": row["goal"] / 100}
        for row in rows
    ]  # fmt: skip
    y = alt.Y(field="name", type="nominal", sort=[one["name"] for one in points], title=None,
              axis=alt.Axis(labelExpr=SPLIT))  # fmt: skip
    x = alt.X(field="share", type="quantitative", title=say("watch_prevention.figure_share", lang),
              scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="~%", tickCount=5))  # fmt: skip
    base = alt.Chart(data_of(points)).encode(y=y)
    bars = base.mark_bar(color=COLOURS[0], size=16).encode(x=x)
    goals = base.mark_tick(color="#000000", thickness=3, size=22).encode(x=alt.X(field="goal", type="quantitative"))
    chart = alt.layer(bars, goals).properties(width=_INSIDE, height=alt.Step(28))
    return _set(chart, say("watch_prevention.coverage_title", lang), [say("watch_prevention.figure_goal", lang)])


def effect_figure(found: Prevention, lang: str = "en") -> alt.VConcatChart:
    """Draw one row an arm: what it saves in the last year with its interval, beside what it costs, and the ceiling."""
    import altair as alt

    kinds = [say(f"watch_prevention.{name}", lang) for name in ("saved_a_year", "cost_a_year", "figure_ceiling")]
    points: list[dict[str, Any]] = []
    for arm in found.simulated.arms:
        name = broken(say(f"watch_prevention.arm_{arm.name}", lang), _NAMES)
        mean, low, high = arm.last
        points += [
            {"name": name, "kind": kinds[0], "yuan": mean, "low": low, "high": high},
            {"name": name, "kind": kinds[1], "yuan": arm.cost, "low": arm.cost, "high": arm.cost},
        ]
    names = list(dict.fromkeys(one["name"] for one in points))
    labels = [broken(one, 300) for one in kinds]
    for one in points:
        one["kind"] = broken(one["kind"], 300)
    scale = alt.Scale(domain=labels, range=[COLOURS[0], COLOURS[1], GREY])
    colour = alt.Color(field="kind", type="nominal", scale=scale, legend=legend(labels, None))
    y = alt.Y(field="name", type="nominal", sort=names, title=None, axis=alt.Axis(labelExpr=SPLIT))
    x = alt.X(field="yuan", type="quantitative", title=say("watch_prevention.figure_yuan", lang),
              axis=alt.Axis(format=",~f", tickCount=5))  # fmt: skip
    shape = alt.Shape(field="kind", type="nominal", legend=None,
                      scale=alt.Scale(domain=labels, range=["circle", "diamond", "stroke"]))  # fmt: skip
    base = alt.Chart(data_of(points)).encode(y=y, color=colour)
    spread = base.mark_rule(strokeWidth=2).encode(x=alt.X(field="low", type="quantitative"), x2=alt.X2(field="high"))
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(x=x, shape=shape)
    ceiling = alt.Chart(data_of([{"yuan": found.simulated.ceiling, "kind": labels[2]}])).mark_rule(
        strokeDash=[4, 4], strokeWidth=2
    ).encode(x=alt.X(field="yuan", type="quantitative"), color=colour)  # fmt: skip
    chart = alt.layer(ceiling, spread, dots).properties(width=_INSIDE, height=alt.Step(58))
    horizon = len(found.simulated.arms[0].saved)
    return _set(chart, say("watch_prevention.effect_title", lang, year=horizon),
                [say("watch_prevention.figure_effect", lang)])  # fmt: skip


def svg_of(chart: alt.VConcatChart) -> bytes:
    """Give a figure as SVG that needs nothing from outside, to be served as a file of its own."""
    return _rendered(chart, ".svg")


def _set(chart: Any, title: str, said: list[str]) -> alt.VConcatChart:
    register()
    made: alt.VConcatChart = set_in_words(chart, title, above=[], below=said, told=said)
    return made
