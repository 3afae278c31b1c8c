"""Look a panel over before anything is estimated: waves, singletons, switchers, balance, and every drop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.result import Drop, number_text
from medfloor.evaluation.sample import check_columns
from medfloor.terminal import in_columns
from medfloor.words import Phrase, say

ADDED = ("wave_index", "cohort")
"""The columns that `look_over` adds to a panel."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Be a panel with what is to be known of it before anything is estimated.

    `frame` are the rows kept, in the order of the table and with all its columns, and `wave_index` (Int64, 1..k) and,
    where a treatment of zeros and ones was named, `cohort` (Float64: the first wave in which the unit is treated, as
    the user counts waves; null for units never treated). `waves` has one row a wave (wave, index, rows, units seen for
    the first and for the last time, mean of the treatment), `patterns` one row a pattern of presence (such as "110",
    from the commonest down), `cohorts` one row a first treated wave (null: never). `counts` are numbers by the names
    of the catalogue's section `panel_count`; they are of the rows kept.
    """

    frame: pl.DataFrame
    unit: str
    time: str
    treatment: str | None
    waves: pl.DataFrame
    patterns: pl.DataFrame
    cohorts: pl.DataFrame
    counts: dict[str, int]
    drops: tuple[Drop, ...]
    warnings: tuple[Phrase, ...]

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything but the rows as plain data, ready for JSON."""
        return {
            "counts": dict(self.counts),
            "waves": self.waves.to_dicts(),
            "patterns": self.patterns.to_dicts(),
            "cohorts": self.cohorts.to_dicts(),
            "drops": [{"reason": one.reason, "of": one.of, "rows": one.rows, "units": one.units} for one in self.drops],
            "warnings": [one.say(lang) for one in self.warnings],
        }

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal."""
        title = "panel.title_treatment" if self.treatment else "panel.title"
        lines = [say(title, lang, unit=self.unit, time=self.time, treatment=self.treatment), ""]
        dose = "_dose" if self.treatment and "never" not in self.counts else ""
        counts = [
            [say(f"panel_count.{name}{dose if name.startswith('switch_') else ''}", lang), f"{count:,}"]
            for name, count in self.counts.items()
        ]
        lines += in_columns(counts, right=[1])
        for name, table in (("waves", self.waves), ("cohorts", self.cohorts), ("patterns", self.patterns)):
            if table.height:
                lines += ["", say(f"panel.{name}", lang), *_table(table, lang)]
        for heading, phrases in (("dropped", self.drops), ("warnings", self.warnings)):
            if phrases:
                lines += ["", say(f"fit.{heading}", lang)]
                lines += [say("fit.item", lang, text=one.say(lang)) for one in phrases]
        return "\n".join(lines)

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")


def look_over(
    table: pl.DataFrame,
    *,
    unit: str,
    time: str,
    treatment: str | None = None,
    needed: Sequence[str] = (),
    balanced: bool = False,
    drop_singletons: bool = False,
) -> Panel:
    """Look over a table with one row a unit and wave, and give the rows to use, with every drop counted.

    Left out in this order: rows without unit, wave or treatment, rows that lack one of the columns `needed`, with
    `drop_singletons` units with one wave only (they say nothing in a comparison within units), with `balanced` units
    that lack any wave. Waves are counted 1, 2, ... in their order, whatever years lie between them. A switcher is a
    unit whose treatment changes: on (from 0 to 1, once or more), off, or both. Warnings tell of treatments that end
    again (estimators of staggered adoption need them to stay), of fewer than a tenth of the units that switch, and of
    more singletons than others.

    Raises UsageError unknown_column, not_numbers, no_rows_left, repeated_rows.

    >>> table = pl.DataFrame({"home": [1, 1, 2, 2, 3], "year": [2012, 2018, 2012, 2018, 2012], "on": [0, 1, 0, 0, 0]})
    >>> panel = look_over(table, unit="home", time="year", treatment="on", drop_singletons=True)
    >>> panel.frame["cohort"].to_list(), panel.drops[0].rows
    ([2018.0, 2018.0, None, None], 1)
    """
    named = [unit, time, *([treatment] if treatment else [])]
    check_columns(table, [*named, *needed])
    for name in named[1:]:
        if not (table.schema[name].is_numeric() or table.schema[name] == pl.Boolean):
            raise UsageError("not_numbers", f"{name!r} holds {table.schema[name]}, not numbers; name another column")
    frame, drops = _complete(table, unit, [*named, *needed])
    if frame.select(unit, time).is_duplicated().any():
        raise UsageError(
            "repeated_rows",
            f"some units of {unit} have two rows in one wave of {time}; keep one row each, or name another unit",
        )
    if drop_singletons:
        frame, drops = _keep(frame, pl.len().over(unit) > 1, "singleton", unit, drops)
    if balanced:
        waves = frame[time].n_unique()
        frame, drops = _keep(frame, pl.len().over(unit) == waves, "unbalanced", unit, drops)
    frame = frame.with_columns(pl.col(time).rank("dense").cast(pl.Int64).alias("wave_index"))
    units = _units(frame, unit, time, treatment)
    if treatment and _is_binary(frame, treatment):
        frame = frame.join(units.select(unit, "cohort"), on=unit, how="left", maintain_order="left")
    counts = _counts(frame, units, treatment)
    return Panel(
        frame=frame,
        unit=unit,
        time=time,
        treatment=treatment,
        waves=_waves(frame, unit, time, treatment),
        patterns=_patterns(frame, unit),
        cohorts=_cohorts(units, frame, unit) if "cohort" in units.columns else pl.DataFrame(),
        counts=counts,
        drops=tuple(drops),
        warnings=_warnings(counts, treatment),
    )


def _complete(table: pl.DataFrame, unit: str, names: Sequence[str]) -> tuple[pl.DataFrame, list[Drop]]:
    drops: list[Drop] = []
    frame = table.drop([name for name in ADDED if name in table.columns and name not in names])
    for name in dict.fromkeys(names):
        known = pl.col(name).is_not_null()
        if frame.schema[name].is_float():
            known = known & pl.col(name).is_finite()
        frame, drops = _keep(frame, known, "missing", unit, drops, of=name)
    return frame, drops


def _keep(
    frame: pl.DataFrame, rows: pl.Expr, reason: str, unit: str, drops: Sequence[Drop], of: str = ""
) -> tuple[pl.DataFrame, list[Drop]]:
    kept = frame.filter(rows)
    if kept.is_empty():
        raise UsageError("no_rows_left", f"no row is left after dropping those with {reason.replace('_', ' ')} {of}")
    if kept.height == frame.height:
        return frame, [*drops]
    lost = frame[unit].drop_nulls().n_unique() - kept[unit].drop_nulls().n_unique()
    return kept, [*drops, Drop(reason, frame.height - kept.height, lost, of)]


def _is_binary(frame: pl.DataFrame, treatment: str) -> bool:
    return bool(frame[treatment].cast(pl.Float64).is_in([0.0, 1.0]).all())


def _units(frame: pl.DataFrame, unit: str, time: str, treatment: str | None) -> pl.DataFrame:
    """Say of each unit how many waves it has, whether there are gaps between them, and how its treatment moves."""
    ordered = frame.sort(time)
    asked = [
        pl.len().alias("n"),
        (pl.col("wave_index").max() - pl.col("wave_index").min() + 1 > pl.len()).alias("gap"),
    ]
    if treatment:
        change = pl.col(treatment).cast(pl.Float64).diff()
        asked += [(change > 0).any().alias("on"), (change < 0).any().alias("off")]
        if _is_binary(frame, treatment):
            value = pl.col(treatment).cast(pl.Float64)
            asked += [
                pl.col(time).cast(pl.Float64).filter(value == 1).first().alias("cohort"),
                (value == 1).all().alias("always"),
                (value == 0).all().alias("never"),
            ]
    return ordered.group_by(unit, maintain_order=True).agg(asked)


def _counts(frame: pl.DataFrame, units: pl.DataFrame, treatment: str | None) -> dict[str, int]:
    waves = frame["wave_index"].n_unique()
    counts = {
        "rows": frame.height,
        "units": units.height,
        "waves": waves,
        "balanced": int((units["n"] == waves).sum()),
        "singletons": int((units["n"] == 1).sum()),
        "gaps": int(units["gap"].sum()),
    }
    if treatment:
        on, off = units["on"].fill_null(False), units["off"].fill_null(False)
        counts |= {
            "switch_on": int((on & ~off).sum()),
            "switch_off": int((off & ~on).sum()),
            "switch_both": int((on & off).sum()),
        }
    if "cohort" in units.columns:
        counts |= {"always": int(units["always"].sum()), "never": int(units["never"].sum())}
    return counts


def _waves(frame: pl.DataFrame, unit: str, time: str, treatment: str | None) -> pl.DataFrame:
    index = pl.col("wave_index")
    marked = frame.with_columns(
        _first=(index == index.min().over(unit)).cast(pl.Int64), _last=(index == index.max().over(unit)).cast(pl.Int64)
    )
    asked = [
        pl.len().cast(pl.Int64).alias("rows"),
        pl.col("_first").sum().alias("entered"),
        pl.col("_last").sum().alias("left"),
    ]
    if treatment:
        asked.append(pl.col(treatment).cast(pl.Float64).mean().alias("treated"))
    table = marked.group_by("wave_index").agg(pl.col(time).first().cast(pl.Float64).alias("wave"), *asked)
    return table.sort("wave_index").select("wave", "wave_index", *(one.meta.output_name() for one in asked))


def _patterns(frame: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Count the patterns of presence, from the commonest down; equal counts in the order of the pattern."""
    waves = frame["wave_index"].max()
    assert isinstance(waves, int)
    marks = [
        pl.when((pl.col("wave_index") == wave).any()).then(pl.lit("1")).otherwise(pl.lit("0"))
        for wave in range(1, waves + 1)
    ]
    seen = frame.group_by(unit).agg(pl.concat_str(marks).alias("pattern"))
    counted = seen.group_by("pattern").agg(pl.len().cast(pl.Int64).alias("units"))
    return counted.sort(["units", "pattern"], descending=[True, True])


def _cohorts(units: pl.DataFrame, frame: pl.DataFrame, unit: str) -> pl.DataFrame:
    counted = units.group_by("cohort").agg(
        pl.len().cast(pl.Int64).alias("units"),
        pl.col("n").sum().cast(pl.Int64).alias("rows"),
    )
    return counted.sort("cohort", nulls_last=True)


def _warnings(counts: dict[str, int], treatment: str | None) -> tuple[Phrase, ...]:
    phrases = []
    if treatment:
        off = counts["switch_off"] + counts["switch_both"]
        if off:
            phrases.append(
                Phrase.of(
                    "panel.goes_off" if "never" in counts else "panel.goes_down", treatment=treatment, units=f"{off:,}"
                )
            )
        switchers = off + counts["switch_on"]
        if switchers < 0.1 * counts["units"]:
            phrases.append(
                Phrase.of("panel.few_switch", treatment=treatment, units=f"{switchers:,}", of=f"{counts['units']:,}")
            )
    if counts["singletons"] > 0.5 * counts["units"]:
        phrases.append(
            Phrase.of("panel.many_singletons", singletons=f"{counts['singletons']:,}", units=f"{counts['units']:,}")
        )
    return tuple(phrases)


def _table(table: pl.DataFrame, lang: str, most: int = 12) -> list[str]:
    heads = [say(f"panel_column.{name}", lang) for name in table.columns]
    body = []
    for row in table.head(most).iter_rows(named=True):
        cells = [
            say("panel.never", lang) if value is None and name == "cohort"
            else f"{value:g}" if name in ("wave", "cohort") and isinstance(value, float)
            else str(value) if isinstance(value, str) else number_text(value)
            for name, value in row.items()
        ]  # fmt: skip
        body.append(cells)
    lines = in_columns([heads, *body], right=range(1 if table.columns[0] == "pattern" else 0, len(heads)))
    return lines + ([say("fit.more_rows", lang, rows=f"{table.height - most:,}")] if table.height > most else [])
