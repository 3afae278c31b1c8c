"""Turn a result into a figure, with its definition above and its weights and errors below."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from medfloor.errors import UsageError
from medfloor.intake.files import write_bytes
from medfloor.measures.result import Result
from medfloor.reports import bars, curves
from medfloor.reports.captions import differing
from medfloor.reports.drawing import Drawing, dressed
from medfloor.reports.selection import keep, without_differences
from medfloor.reports.typeface import register

if TYPE_CHECKING:
    import altair as alt

FigureKind = Literal[
    "concentration_curve", "pen_parade", "quantiles", "bands", "groups", "thresholds", "steps", "cliff", "estimates"
]
KINDS: tuple[str, ...] = get_args(FigureKind)

_CURVES = {
    "concentration": "concentration_curve",
    "lorenz": "concentration_curve",
    "parade": "pen_parade",
    "cliff": "cliff",
    "notch": "cliff",
}
"""Which figure draws a curve that a result carries."""

FORMATS = (".svg", ".png", ".pdf", ".json")
"""What `write_figure` writes, by the ending of the file's name."""


def figure(
    result: Result,
    lang: str = "en",
    kind: FigureKind | None = None,
    *,
    statistic: str | None = None,
    **labels: object,
) -> alt.VConcatChart:
    """Draw a result with Altair, at most 720 pixels wide.

    Kinds: `concentration_curve`, `pen_parade` and `cliff` draw the curves that the result carries; `quantiles` bars by
    quantile group; `groups` bars by group; `bands` shares by band and group; `thresholds` lines over thresholds;
    `steps` what each tier leaves; `estimates` bars along whatever else tells the estimates apart. Without a kind the
    one that fits is taken (`kind_of`). Bars and lines show the first statistic, or the one named, with its intervals.
    `labels` keep the estimates with these labels, such as threshold=0.1 or by="district", in all groups. An estimate
    without value is left out and counted below the figure. Title and definition stand above, weight, errors, special
    cases and notes below, in `lang` ("en" or "zh"). The typeface is shipped with the package.

    Raises UsageError: no_such_figure, no_such_estimate, many_estimates, unknown_language.

    >>> from medfloor.measures.catastrophic import catastrophic
    >>> homes = {"oop": [0.0, 5.0, 30.0], "consumption": [90.0, 100.0, 110.0], "place": ["A", "A", "B"]}
    >>> chart = figure(catastrophic(homes, by="place"), "zh")
    >>> chart.to_dict()["vconcat"][0]["title"]["text"]
    ['灾难性卫生支出：发生率']
    """
    result = keep(result, labels)
    chosen = kind_of(result) if kind is None else kind
    if chosen not in KINDS:
        raise UsageError("no_such_figure", f"there is no figure {chosen!r}; choose one of {', '.join(KINDS)}")
    drawn: alt.VConcatChart = dressed(_drawn(result, lang, chosen, statistic), result, lang)
    register()
    return drawn


def write_figure(
    result: Result,
    path: str | os.PathLike[str],
    lang: str = "en",
    kind: FigureKind | None = None,
    *,
    statistic: str | None = None,
    **labels: object,
) -> None:
    """Draw a result into a file, whole or not at all: .svg, .png (two dots a pixel), .pdf, or .json (Vega-Lite).

    PNG and PDF hold the letters themselves; SVG and JSON name the typeface, with others to fall back on.

    Raises what `figure` raises, UsageError unknown_format for another ending, OutputError cannot_write.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise UsageError("unknown_format", f"{os.fspath(path)} ends in none of {', '.join(FORMATS)}. Rename it.")
    chart = figure(result, lang, kind, statistic=statistic, **labels)
    write_bytes(_rendered(chart, ending), path)


def kind_of(result: Result) -> str:
    """Choose the figure that shows a result best: its curves, then bands, tiers, quantiles, thresholds, groups.

    >>> from medfloor.measures.catastrophic import catastrophic
    >>> kind_of(catastrophic({"oop": [0.0, 5.0], "consumption": [90.0, 100.0]}, thresholds=[0.1, 0.2, 0.3]))
    'thresholds'
    """
    for name, kind in _CURVES.items():
        if name in result.curves:
            return kind
    labels, rows = result.labels(), without_differences(result.rows)
    for name, kind in (("band", "bands"), ("tier", "steps")):
        if name in labels:
            return kind
    ways = set(rows["by"].drop_nulls().to_list()) if "by" in labels else set()
    if "quantile" in ways or "quantile" in labels:
        return "quantiles"
    if "threshold" in labels and rows["threshold"].drop_nulls().n_unique() > 2:
        return "thresholds"
    return "groups" if ways and rows["group"].n_unique() > 1 else "estimates"


def _drawn(result: Result, lang: str, kind: str, statistic: str | None) -> Drawing:
    if kind == "concentration_curve":
        return curves.concentration_curve(result, lang)
    if kind == "cliff":
        return curves.cliff(result, lang)
    if kind == "pen_parade":
        return curves.pen_parade(result, lang)
    if kind == "estimates":
        apart = differing(result.rows)
        return bars.estimates(result, lang, statistic, apart[0] if apart else "statistic")
    drawers = {
        "quantiles": bars.quantiles,
        "bands": bars.bands,
        "groups": bars.groups,
        "thresholds": bars.thresholds,
        "steps": bars.steps,
    }
    return drawers[kind](result, lang, statistic)


def _rendered(chart: alt.VConcatChart, ending: str) -> bytes:
    if ending == ".json":
        return chart.to_json(indent=1, ensure_ascii=False).encode("utf-8")
    if ending == ".svg":
        text = io.StringIO()
        chart.save(text, format="svg")
        return text.getvalue().encode("utf-8")
    raw = io.BytesIO()
    if ending == ".png":
        chart.save(raw, format="png", scale_factor=2)
    else:
        chart.save(raw, format="pdf")
    return raw.getvalue()
