"""Be the one result of every measure: numbers that never travel without their definition."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import polars as pl

from medfloor.errors import UsageError
from medfloor.terminal import in_columns
from medfloor.words import Phrase, knows, say

Kind = Literal["proportion", "percent", "index", "amount", "count"]
"""How a number is read: a proportion (printed in %, interval on the logit scale, inside 0 and 1), another share of one
(printed in %), an index (four decimals), an amount in the unit of the file, a count."""

KINDS: tuple[str, ...] = get_args(Kind)

MISSING_GROUP = "(missing)"
"""The group of the rows whose group is missing."""

FIGURES = ("estimate", "se", "low", "high", "p", "df", "deff", "n", "weighted_n")
"""The columns of `Result.rows` that hold numbers about an estimate; the columns before them say what it is of."""

SCHEMA: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "estimate": pl.Float64(),
    "se": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "p": pl.Float64(),
    "df": pl.Float64(),
    "deff": pl.Float64(),
    "n": pl.Int64(),
    "weighted_n": pl.Float64(),
}


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Be what a measure found, with all that is needed to read it.

    `rows` has one row an estimate: `statistic`, then the columns that tell estimates apart (threshold, tier, ...),
    `by` and `group` (null for all), `against` (the reference of a difference, null otherwise), `kind`, then
    estimate, se (standard error), low and high (interval at `level`), p (two-sided test of no difference; only where a
    row is a difference or the measure says so), df, deff (against simple random sampling with replacement), n (rows
    with a weight above zero), weighted_n (the sum of their weights). A number that is not defined or not known is null.

    `definition` says in words what was computed, `line` which poverty line or reference, `weight` what was counted
    (households or people, and by which column), `errors` how the standard errors were made, `sign` the inequality
    ("" where there is none), `special` how many rows were zero, negative, missing and so on. `curves` hold points to
    draw. `notes` are warnings and choices that a reader must know. `spreads` names statistics that a terminal shows
    side by side, one table a group of them.
    """

    measure: str
    rows: pl.DataFrame
    definition: Phrase
    weight: Phrase
    errors: Phrase
    line: Phrase | None = None
    sign: str = ""
    level: float = 0.95
    special: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Phrase, ...] = ()
    curves: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    spreads: tuple[tuple[str, ...], ...] = ()

    @property
    def estimate(self) -> float:
        """Give the estimate of a result with one row."""
        return self._only("estimate")

    @property
    def se(self) -> float:
        """Give the standard error of a result with one row; NaN where it is not known."""
        return self._only("se")

    @property
    def interval(self) -> tuple[float, float]:
        """Give the interval of a result with one row."""
        return self._only("low"), self._only("high")

    @property
    def n(self) -> int:
        """Give the number of rows behind a result with one row."""
        return int(self._only("n"))

    @property
    def weighted_n(self) -> float:
        """Give the sum of weights behind a result with one row."""
        return self._only("weighted_n")

    def pick(self, statistic: str | None = None, /, **labels: object) -> Result:
        """Keep the rows of a statistic and of some labels; without `by` and `group`, those of the whole sample.

        Labels name columns of `rows`; None asks for null. Raises UsageError no_such_estimate, which says what there is.
        """
        asked: dict[str, object] = {"by": None, "group": None, "against": None}
        if "group" in labels:
            del asked["by"]
        asked |= labels
        if statistic is not None:
            asked["statistic"] = statistic
        rows = self.rows
        for name, value in asked.items():
            if name not in rows.columns:
                if value is None:
                    continue
                there = ", ".join(name for name in rows.columns if name not in SCHEMA)
                raise UsageError("no_such_estimate", f"{self.measure} has no label {name!r}; it has {there}")
            same = pl.col(name).is_null() if value is None else _is(rows.schema[name], name, value)
            kept = rows.filter(same)
            if kept.is_empty() and rows.height:
                values = ", ".join(repr(one) for one in rows[name].unique(maintain_order=True).to_list()[:20])
                raise UsageError("no_such_estimate", f"{self.measure} has no {name} {value!r} here; it has {values}")
            rows = kept
        return replace(self, rows=rows)

    def value(self, statistic: str | None = None, /, **labels: object) -> float:
        """Give one estimate: `pick` and `estimate` in one."""
        return self.pick(statistic, **labels).estimate

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the rows with definition, line, weight and errors in words beside each estimate.

        Where a label of the rows has such a name, the words are called `<name>_in_words`.
        """
        words = {
            "measure": self.measure,
            "definition": self.definition.say(lang),
            "line": self.line.say(lang) if self.line else None,
            "sign": self.sign or None,
            "weight": self.weight.say(lang),
            "errors": self.errors.say(lang),
            "level": self.level,
            "special": json.dumps(dict(self.special)),
        }
        # A label of the same name (which of several lines, which definition) stays; the words stand beside it.
        named = {f"{name}_in_words" if name in self.rows.columns else name: value for name, value in words.items()}
        return self.rows.with_columns(
            *[pl.lit(value, pl.Float64 if name == "level" else pl.String).alias(name) for name, value in named.items()]
        )

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON; a number that is not defined is None."""
        return {
            "measure": self.measure,
            "definition": {one: self.definition.say(one) for one in ("zh", "en")},
            "line": self.line.say(lang) if self.line else None,
            "sign": self.sign or None,
            "weight": self.weight.say(lang),
            "errors": self.errors.say(lang),
            "level": self.level,
            "special": dict(self.special),
            "notes": [note.say(lang) for note in self.notes],
            "estimates": self.rows.to_dicts(),
        }

    def labels(self) -> list[str]:
        """List the columns that tell the rows apart, leaving out those that never say anything."""
        names = [name for name in self.rows.columns if name not in SCHEMA]
        return [name for name in names if name == "statistic" or self.rows[name].null_count() < self.rows.height]

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal: the definition first, then tables, then the special cases and notes.

        All rows without a group make the first table, each way of grouping and each comparison one of its own. There
        rows of one statistic stand together, group by group, and its name is not said again. Labels that are the same
        everywhere stand above the tables; columns that say nothing are left out.
        """
        lines = [name_of("measure", self.measure, lang), ""]
        lines += [f"{say('result.definition', lang)}{self.definition.say(lang)}"]
        lines += [f"{say('result.line', lang)}{self.line.say(lang)}"] if self.line else []
        lines += [f"{say('result.sign', lang)}{self.sign}"] if self.sign else []
        lines += [f"{say('result.weight', lang)}{self.weight.say(lang)}"]
        lines += [f"{say('result.errors', lang)}{self.errors.say(lang)}"]
        same = self._same()
        lines += [
            say("result.same", lang, name=name_of("column", n, lang), value=label_of(n, v, lang)) for n, v in same
        ]
        lines += self._tables([name for name, _ in same], lang)
        if self.special:
            told = [
                say("result.same", lang, name=name_of("special", name, lang), value=f"{number:,}")
                for name, number in self.special.items()
            ]
            lines += ["", say("result.special", lang) + say("result.between", lang).join(told)]
        lines += [say("result.note", lang, note=note.say(lang)) for note in self.notes]
        return "\n".join(lines)

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def _same(self) -> list[tuple[str, object]]:
        """List the labels that all rows share, with their value."""
        labels = [name for name in self.labels() if name not in ("statistic", "by", "group", "against")]
        return [(name, self.rows[name][0]) for name in labels if self.rows[name].n_unique() == 1]

    def _tables(self, same: list[str], lang: str) -> list[str]:
        lines: list[str] = []
        labels = [name for name in self.labels() if name not in (*same, "by", "group", "against")]
        # A result of plain numbers has neither groups nor comparisons.
        absent = [name for name in ("by", "group", "against") if name not in self.rows.columns]
        whole = self.rows.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)
        ways = whole.select("by", "against").unique(maintain_order=True).rows()
        for by, against in ways:
            rows = whole.filter(pl.col("by").eq_missing(by), pl.col("against").eq_missing(against))
            way = name_of("column", by, lang) if by else ""
            if by and against:
                lines += ["", say("result.difference", lang, name=way, group=label_of("group", against, lang))]
            elif by and len(ways) > 1:
                lines += ["", say("result.by", lang, name=way)]
            else:
                lines += [""]
            grouped = not by and rows["group"].null_count() < rows.height
            head = way or (name_of("column", "group", lang) if grouped else "")
            for spread in self.spreads:
                beside = rows.filter(pl.col("statistic").is_in(spread))
                lines += [*_spread(beside, labels, spread, head, lang), ""] if beside.height else []
            rest = rows.filter(~pl.col("statistic").is_in([name for spread in self.spreads for name in spread]))
            lines += self._table(rest, labels, head, lang) if rest.height else []
        return lines[:-1] if lines and not lines[-1] else lines

    def _table(self, rows: pl.DataFrame, labels: list[str], way: str, lang: str) -> list[str]:
        """Align the rows of one way of grouping; `way` is the head of the groups, "" where there are none."""
        labels = [name for name in labels if rows[name].null_count() < rows.height]
        shown = [name for name in ("estimate", "se", "low", "high", "p", "n") if _says(rows, name)]
        heads = [name_of("column", name, lang) for name in labels] + ([way] if way else [])
        heads += [name_of("column", name, lang) for name in shown]
        if "low" in shown:
            at = len(heads) - len(shown) + shown.index("low")
            heads[at : at + 2] = [say("result.interval", lang, level=f"{100 * self.level:g}%"), ""]
        names = [*labels, "group"] if way else labels
        ordered = _together(rows, labels) if way else rows
        body, before = [], [""] * len(names)
        for row in ordered.iter_rows(named=True):
            told = [label_of(name, row[name], lang) for name in names]
            body.append([*_once(told, before, len(labels) if way else 0)])
            body[-1] += [figure_text(row[name], row["kind"], name) for name in shown]
            before = told
        return in_columns([heads, *body], right=range(len(names), len(names) + len(shown)))

    def _only(self, name: str) -> float:
        if self.rows.height != 1:
            raise UsageError(
                "many_estimates",
                f"this result of {self.measure} has {self.rows.height} estimates; choose one with "
                f"pick(statistic, label=...), such as {self._example()}",
            )
        value = self.rows[name][0]
        return math.nan if value is None else float(value)

    def _example(self) -> str:
        if self.rows.is_empty():
            return "none"
        first = self.rows.row(0, named=True)
        labels = [name for name in self.labels() if name != "statistic" and first[name] is not None]
        return f"pick({', '.join([repr(first['statistic']), *(f'{name}={first[name]!r}' for name in labels)])})"


def _spread(rows: pl.DataFrame, labels: list[str], across: tuple[str, ...], way: str, lang: str) -> list[str]:
    """Align statistics side by side, each with its standard error behind it in brackets."""
    names = [name for name in labels if name != "statistic" and rows[name].null_count() < rows.height]
    names += ["group"] if way else []
    told: dict[tuple[object, ...], dict[str, str]] = {}
    for row in rows.iter_rows(named=True):
        figures = [figure_text(row[name], row["kind"], name) for name in ("estimate", "se") if row[name] is not None]
        cell = figures[0] if len(figures) == 1 else f"{figures[0]} ({figures[1]})" if figures else "-"
        told.setdefault(tuple(row[name] for name in names), {})[row["statistic"]] = cell
    shown = [name for name in across if any(name in cells for cells in told.values())]
    heads = [way if name == "group" else name_of("column", name, lang) for name in names]
    heads += [name_of("statistic", name, lang) for name in shown]
    body = [
        [
            *(label_of(name, value, lang) for name, value in zip(names, values, strict=True)),
            *(cells.get(one, "") for one in shown),
        ]
        for values, cells in told.items()
    ]
    return in_columns([heads, *body], right=range(len(names), len(heads)))


def _says(rows: pl.DataFrame, name: str) -> bool:
    return name == "estimate" or rows[name].null_count() < rows.height


def _together(rows: pl.DataFrame, labels: list[str]) -> pl.DataFrame:
    """Bring rows with the same first label together, within them those with the same second, as they first stand."""
    keys = [pl.col("_at").min().over(labels[:place]).alias(f"_{place}") for place in range(1, len(labels) + 1)]
    ordered = rows.with_row_index("_at").with_columns(keys)
    names = [f"_{place}" for place in range(1, len(labels) + 1)]
    return ordered.sort([*names, "_at"]).select(rows.columns)


def _once(told: list[str], before: list[str], labels: int) -> list[str]:
    """Leave out the first labels where they say what the row before said."""
    same = 0
    while same < labels and told[same] == before[same]:
        same += 1
    return [""] * same + told[same:]


def name_of(section: str, name: str, lang: str) -> str:
    """Name a statistic, a column or a special case in a language; one that the catalogue lacks stays as it is.

    >>> name_of("column", "estimate", "en"), name_of("column", "hukou", "en")
    ('estimate', 'hukou')
    """
    return say(f"{section}.{name}", lang) if knows(f"{section}.{name}", lang) else name


def label_of(column: str, value: object, lang: str) -> str:
    """Say one label of a row: a statistic or a code by its name, a threshold in per cent, null of `group` as all."""
    if value is None:
        return say("result.all", lang) if column == "group" else ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    if column == "group" and value == MISSING_GROUP:
        return say("result.missing", lang)
    if column in ("group", "against", "place") and knows(f"residence.{value}", lang):
        return say(f"residence.{value}", lang)
    if column == "tier" and "+" in str(value):
        return " + ".join(name_of("tier", one, lang) for one in str(value).split("+"))
    section = {"by": "column", "between": "column", "of": "statistic"}.get(column, column)
    return name_of(section, str(value), lang)


def figure_text(value: float | None, kind: str, column: str = "estimate") -> str:
    """Write a number as its kind is read.

    >>> figure_text(0.27821, "proportion"), figure_text(1234.5, "amount"), figure_text(-0.0312, "index")
    ('27.82 %', '1,234.50', '-0.0312')
    >>> figure_text(-1e-17, "index"), figure_text(-1e-17, "percent")
    ('0.0000', '0.00 %')
    """
    if value is None or math.isnan(value):
        return "-"
    if column == "p":
        return "<0.0001" if value < 0.0001 else f"{value:.4f}"
    if column in ("n", "weighted_n") or kind == "count":
        return _without_minus_zero(f"{value:,.0f}")
    if column in ("df", "deff"):
        return f"{value:,.2f}"
    if kind in ("proportion", "percent"):
        return _without_minus_zero(f"{100 * value:,.2f} %")
    # Amounts below one are told to four decimals, or a standard error would come out as zero.
    decimals = 2 if kind == "amount" and not 0 < abs(value) < 1 else 4
    return _without_minus_zero(f"{value:,.{decimals}f}")


def _without_minus_zero(text: str) -> str:
    """Leave out the minus of a number that rounds to zero: -0.0000 tells a reader nothing but rounding."""
    return text if any(letter in "123456789" for letter in text) else text.removeprefix("-")


def _is(dtype: pl.DataType, name: str, value: object) -> pl.Expr:
    # Thresholds come as 0.1 from a person and as 0.1 from a file; a label that is a number is compared as one.
    if dtype.is_float() and isinstance(value, (int, float)):
        return (pl.col(name) - float(value)).abs() <= 1e-12 * max(1.0, abs(float(value)))
    return pl.col(name).eq(value)
