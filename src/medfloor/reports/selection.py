"""Choose which estimates of a result a figure shows, and what goes on its axis, into its colours and its panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.result import SCHEMA, Result, figure_text, name_of
from medfloor.reports.captions import differing, head_of, said
from medfloor.words import say

MOST_SERIES = 8
"""As many colours as can be told apart, also by the colour-blind."""

MOST_PANELS = 9


@dataclass(frozen=True, slots=True)
class Selection:
    """Be the estimates that are drawn.

    `points` are one dictionary an estimate: place (label on the axis), at (the label's own value), series and panel
    (labels, "" where there is only one), estimate, low, high (None where not known) and text. `axis`, `series` and
    `panel` name the columns of labels, None where there is none; `axis_head` and `series_head` say the first two in
    words. `kind` is the kind of number, `fixed` the labels that all points share, `undefined` how many estimates have
    no value and are left out.
    """

    points: list[dict[str, object]]
    statistic: str
    kind: str
    axis: str
    series: str | None
    panel: str | None
    axis_head: str
    series_head: str
    fixed: list[str]
    undefined: int

    def values(self, role: str) -> list[str]:
        """List the labels of a role (place, series, panel) in their order."""
        return list(dict.fromkeys(str(point[role]) for point in self.points))


def keep(result: Result, labels: Mapping[str, object]) -> Result:
    """Keep the estimates with some labels, in all groups (`Result.pick` keeps one group); `by` keeps the whole too.

    Raises UsageError no_such_estimate.
    """
    rows = result.rows
    for name, value in labels.items():
        if name not in rows.columns or name in SCHEMA:
            there = ", ".join(result.labels())
            raise UsageError("no_such_estimate", f"{result.measure} has no label {name!r}; it has {there}")
        same = pl.col(name).eq(pl.lit(value))
        if isinstance(value, (int, float)) and rows.schema[name].is_float():
            # 0.1 from a person and 0.1 from a file are one threshold.
            same = (pl.col(name) - value).abs() <= 1e-12 * max(1.0, abs(value))
        kept = rows.filter(same.fill_null(False))
        if kept.is_empty():
            values = ", ".join(repr(one) for one in rows[name].unique(maintain_order=True).to_list()[:20])
            raise UsageError("no_such_estimate", f"{result.measure} has no {name} {value!r}; it has {values}")
        rows = rows.filter(same.fill_null(False) | pl.col("by").is_null()) if name == "by" else kept
    return replace(result, rows=rows)


def without_differences(rows: pl.DataFrame) -> pl.DataFrame:
    """Leave out the differences between groups, unless there is nothing else."""
    if "against" not in rows.columns or not rows["against"].null_count():
        return rows
    return rows.filter(pl.col("against").is_null())


def select(
    result: Result,
    lang: str,
    *,
    axis: str,
    statistic: str | None = None,
    series: str | None = None,
    quantiles: bool | None = None,
) -> Selection:
    """Choose the estimates of one statistic, laid along the labels of a column.

    `axis` is that column (`group`, `tier`, `threshold`, ... or `statistic` for all statistics of one kind). Without
    `statistic` the first one is taken. `series` forces a column into the colours; other columns that tell the estimates
    apart go into colours, then into panels. `quantiles` keeps the quantile groups only, or leaves them out. Differences
    between groups are not drawn.

    Raises UsageError: no_such_figure where nothing is left to draw, no_such_estimate for a statistic that is not there,
    many_estimates where one figure cannot hold them all; `keep` and `Result.pick` then choose.
    """
    rows = _grouped(without_differences(result.rows), axis, quantiles)
    for needed in (axis, *([series] if series else [])):
        if needed not in rows.columns:
            raise _nothing(result, needed)
        if needed != "group":
            rows = rows.filter(pl.col(needed).is_not_null())
    if rows.is_empty():
        raise _nothing(result, axis)
    rows, chosen = _of_statistic(result, rows, axis, statistic)
    others = [name for name in _apart(rows) if name not in (axis, series)]
    if axis == "group" and "by" in others:  # two ways of grouping never share an axis
        others.remove("by")
        panel: str | None = "by"
    else:
        panel = None
    for name in others:
        many = rows[name].n_unique()
        if series is None and many <= MOST_SERIES:
            series = name
        elif panel is None and many <= MOST_PANELS:
            panel = name
        else:
            raise _too_many(result, name, rows)
    keys = list(dict.fromkeys(name for name in (axis, series, panel) if name))
    if rows.select(keys).is_duplicated().any():
        raise _too_many(result, axis, rows)
    seen = rows.filter(pl.col("estimate").is_not_null() & pl.col("estimate").is_nan().not_())
    if seen.is_empty():
        raise UsageError("no_such_figure", f"no estimate of {chosen} in this {result.measure} has a value to draw")
    return Selection(
        points=[_point(row, axis, series, panel, lang) for row in seen.iter_rows(named=True)],
        statistic=chosen,
        kind=str(seen["kind"][0]),
        axis=axis,
        series=series,
        panel=panel,
        axis_head=_head(seen, axis, lang),
        series_head=_head(seen, series, lang) if series else "",
        fixed=_fixed(rows, (*keys, "statistic"), lang),
        undefined=rows.height - seen.height,
    )


def _grouped(rows: pl.DataFrame, axis: str, quantiles: bool | None) -> pl.DataFrame:
    """Keep what belongs on one axis: groups with the whole, quantile groups alone, or a first grouping as colours."""
    if "by" not in rows.columns:
        return rows
    ways = [way for way in rows["by"].unique(maintain_order=True).to_list() if way is not None]
    plain = [way for way in ways if way != "quantile"]
    if axis == "group" and (quantiles or (quantiles is None and ways == ["quantile"])):
        return rows.filter(pl.col("by") == "quantile")
    if axis == "group" and quantiles is None and not ways:
        return rows
    if axis == "group":
        kept = rows.filter(pl.col("by").is_null() | pl.col("by").is_in(plain)) if plain else rows.clear()
        # The whole stands beside the groups of one grouping; with several it would need a panel of its own.
        return kept.with_columns(pl.col("by").fill_null(plain[0])) if len(plain) == 1 else kept.drop_nulls("by")
    if axis == "statistic" or not plain:
        return rows.filter(pl.col("by").is_null()) if rows["by"].null_count() else rows
    return rows.filter(pl.col("by").is_null() | (pl.col("by") == plain[0])).with_columns(pl.lit(plain[0]).alias("by"))


def _of_statistic(result: Result, rows: pl.DataFrame, axis: str, statistic: str | None) -> tuple[pl.DataFrame, str]:
    if axis == "statistic":
        # Percentages and amounts cannot share an axis: keep what is of the first one's kind.
        first = rows["kind"][0]
        alike = ("proportion", "percent") if first in ("proportion", "percent") else (first,)
        return rows.filter(pl.col("kind").is_in(alike)), ""
    there = [str(name) for name in rows["statistic"].unique(maintain_order=True).to_list()]
    if statistic is not None and statistic not in there:
        raise UsageError(
            "no_such_estimate", f"{result.measure} has no statistic {statistic!r} to draw; it has {', '.join(there)}"
        )
    chosen = statistic or there[0]
    return rows.filter(pl.col("statistic") == chosen), chosen


def _apart(rows: pl.DataFrame) -> list[str]:
    names = differing(rows)
    for name in ("group", "by"):
        if name in rows.columns and rows[name].n_unique() > 1:
            names.append(name)
    return names


def _point(row: dict[str, object], axis: str, series: str | None, panel: str | None, lang: str) -> dict[str, object]:
    number = {name: row.get(name) for name in ("estimate", "low", "high")}
    known = number["low"] is not None and number["high"] is not None
    estimate = number["estimate"]
    assert isinstance(estimate, float)
    return {
        "place": said(axis, row[axis], lang),
        "at": row[axis],
        "series": said(series, row[series], lang) if series else "",
        "panel": said(panel, row[panel], lang) if panel else "",
        "estimate": estimate,
        "low": number["low"] if known else None,
        "high": number["high"] if known else None,
        "text": figure_text(estimate, str(row["kind"])),
    }


def _head(rows: pl.DataFrame, name: str, lang: str) -> str:
    """Name a column of labels; groups bear the name of their grouping where there is one."""
    ways = rows["by"].drop_nulls().unique().to_list() if name == "group" and "by" in rows.columns else []
    return said("by", ways[0], lang) if len(ways) == 1 else head_of(name, lang)


def _fixed(rows: pl.DataFrame, shown: tuple[str, ...], lang: str) -> list[str]:
    """Name the labels that all estimates share, so that none is lost from the figure."""
    told = []
    for name in rows.columns:
        if name in SCHEMA or name in shown or name == "by":
            continue
        values = rows[name].unique().to_list()
        if len(values) == 1 and values[0] is not None:
            told.append(say("caption.fixed", lang, label=head_of(name, lang), value=said(name, values[0], lang)))
    return told


def _nothing(result: Result, axis: str) -> UsageError:
    there = ", ".join(result.labels())
    return UsageError(
        "no_such_figure",
        f"this {result.measure} has nothing to lay along {name_of('column', axis, 'en')}; its labels are {there}. "
        "Choose another kind of figure, or ask the measure for these groups",
    )


def _too_many(result: Result, name: str, rows: pl.DataFrame) -> UsageError:
    values = ", ".join(repr(one) for one in rows[name].unique(maintain_order=True).to_list()[:8])
    return UsageError(
        "many_estimates",
        f"one figure cannot hold all estimates of this {result.measure}; choose one {name}, such as "
        f"figure(..., {name}=...) with one of {values}",
    )
