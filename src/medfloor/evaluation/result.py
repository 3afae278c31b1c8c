"""Be the one result of every estimator: numbers that never travel without what they do and do not show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.sparing import ready
from medfloor.terminal import in_columns
from medfloor.words import Phrase, knows, say

SCHEMA: dict[str, pl.DataType] = {
    "model": pl.String(),
    "outcome": pl.String(),
    "term": pl.String(),
    "at": pl.Float64(),
    "group": pl.String(),
    "estimate": pl.Float64(),
    "se": pl.Float64(),
    "statistic": pl.Float64(),
    "df": pl.Float64(),
    "p": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "rows": pl.Int64(),
    "units": pl.Int64(),
    "clusters": pl.Int64(),
}
"""The columns of `Fit.rows`. The first five say what an estimate is of, the last three what it stands on."""

_SECTIONS = {
    "model": "model", "term": "term", "kind": "comparison", "restriction": "restriction", "error_kind": "error_kind",
    "kernel": "kernel", "side": "side", "covariate": "covariate",
}  # fmt: skip
"""Columns whose values the catalogue says, and its section for each."""

LABELS = ("model", "outcome", "term", "at", "group")
FIGURES = ("estimate", "se", "statistic", "df", "p", "low", "high")


@dataclass(frozen=True, slots=True)
class Drop:
    """Be one step that left rows out: why (a name of the catalogue's section `drop`), how many rows, of how many units.

    `units` counts the units that lost all their rows at this step; None where rows have no unit.
    """

    reason: str
    rows: int
    units: int | None = None
    of: str = ""

    def say(self, lang: str) -> str:
        """Tell it in a language; `of` names the column or the value that it was about."""
        told = say(f"drop.{self.reason}", lang, of=self.of, rows=f"{self.rows:,}")
        return told + (say("fit.units_lost", lang, units=f"{self.units:,}") if self.units else "")


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Be what an estimator found, with all that is needed to read it.

    `rows` has one row an estimate, its columns are those of `SCHEMA`: `model` (which estimator, a name of the
    catalogue's section `model`), `outcome`, `term` (what the coefficient belongs to, or the name of an estimand such as
    `att`), `at` (event time, quantile, wave; null where there is none), `group`, then the estimate with its standard
    error, the statistic t or z, its degrees of freedom (null for the normal), p (two-sided), the interval at `level`,
    and how many rows, units and clusters it stands on. What is not defined or not known is null.

    `equation` and `errors` say in words what was estimated and where the errors come from. `facts` are other numbers
    by the names of the catalogue's section `fact` (r2, waves, f_first_stage, ...). `drops` tells every row left out, in
    order. `tables` are further tables by name (balance, weights of comparisons, matched pairs), `curves` points to
    draw. `shows` and `not_shown` say what the numbers do and do not show, `warnings` what a check found (a command
    then ends with 1). `sources` name papers, and libraries with their versions.
    """

    method: str
    rows: pl.DataFrame
    equation: Phrase
    errors: Phrase
    drops: tuple[Drop, ...] = ()
    facts: Mapping[str, float | int | str] = field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    curves: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    shows: tuple[Phrase, ...] = ()
    not_shown: tuple[Phrase, ...] = ()
    warnings: tuple[Phrase, ...] = ()
    notes: tuple[Phrase, ...] = ()
    sources: tuple[str, ...] = ()
    level: float = 0.95

    @property
    def estimate(self) -> float:
        """Give the estimate of a fit with one row."""
        return self._only("estimate")

    @property
    def se(self) -> float:
        """Give the standard error of a fit with one row; NaN where it is not known."""
        return self._only("se")

    @property
    def p(self) -> float:
        """Give the two-sided p of a fit with one row; NaN where it is not known."""
        return self._only("p")

    @property
    def interval(self) -> tuple[float, float]:
        """Give the interval of a fit with one row."""
        return self._only("low"), self._only("high")

    def pick(self, term: str | None = None, /, **labels: object) -> Fit:
        """Keep the rows of a term and of some labels (model, outcome, at, group, term); None asks for null.

        Raises UsageError no_such_estimate, which says what there is.
        """
        asked = ({"term": term} if term is not None else {}) | labels
        rows = self.rows
        for name, value in asked.items():
            if name not in LABELS:
                raise UsageError("no_such_estimate", f"a fit has no label {name!r}; it has {', '.join(LABELS)}")
            kept = rows.filter(pl.col(name).is_null() if value is None else pl.col(name) == pl.lit(value))
            if kept.is_empty():
                values = ", ".join(repr(one) for one in rows[name].unique(maintain_order=True).to_list()[:20])
                raise UsageError("no_such_estimate", f"{self.method} has no {name} {value!r} here; it has {values}")
            rows = kept
        return replace(self, rows=rows)

    def value(self, term: str | None = None, /, **labels: object) -> float:
        """Give one estimate: `pick` and `estimate` in one."""
        return self.pick(term, **labels).estimate

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the rows with method, equation and errors in words beside each estimate."""
        return self.rows.with_columns(
            pl.lit(self.method).alias("method"),
            pl.lit(self.equation.say(lang)).alias("equation"),
            pl.lit(self.errors.say(lang)).alias("errors"),
            pl.lit(self.level).alias("level"),
        )

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON; a number that is not defined is None."""
        return {
            "method": self.method,
            "equation": {one: self.equation.say(one) for one in ("zh", "en")},
            "errors": self.errors.say(lang),
            "level": self.level,
            "estimates": [_finite(row) for row in self.rows.to_dicts()],
            "facts": _finite(dict(self.facts)),
            "drops": [{"reason": one.reason, "of": one.of, "rows": one.rows, "units": one.units} for one in self.drops],
            "tables": {name: [_finite(row) for row in table.to_dicts()] for name, table in self.tables.items()},
            "shows": [one.say(lang) for one in self.shows],
            "not_shown": [one.say(lang) for one in self.not_shown],
            "warnings": [one.say(lang) for one in self.warnings],
            "notes": [one.say(lang) for one in self.notes],
            "sources": list(self.sources),
        }

    def labels(self) -> list[str]:
        """List the columns that tell the rows apart, leaving out those that never say anything."""
        told = [name for name in LABELS if self.rows[name].null_count() < self.rows.height]
        return [name for name in told if name == "term" or self.rows[name].n_unique() > 1]

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal: the equation, the estimates, what was dropped, what it shows and what not."""
        lines = [title_of("method", self.method, lang), ""]
        lines += [say("fit.equation", lang, text=self.equation.say(lang))]
        lines += [say("fit.errors", lang, text=self.errors.say(lang))]
        same = [name for name in ("model", "outcome") if name not in self.labels() and self._first(name) is not None]
        lines += [
            say("fit.same", lang, name=say(f"fit_column.{name}", lang), value=label_text(name, self._first(name), lang))
            for name in same
        ]
        lines += ["", *self._table(lang)]
        if self.facts:
            told = [
                say("fit.same", lang, name=title_of("fact", name, lang), value=number_text(value))
                for name, value in self.facts.items()
            ]
            lines += ["", *told]
        for name, table in self.tables.items():
            lines += ["", title_of("fit_table", name, lang), *table_lines(table, lang)]
        if self.drops:
            lines += ["", say("fit.dropped", lang)]
            lines += [say("fit.item", lang, text=one.say(lang)) for one in self.drops]
        for heading, phrases in (
            ("shows", self.shows), ("not_shown", self.not_shown), ("warnings", self.warnings), ("notes", self.notes),
        ):  # fmt: skip
            if phrases:
                lines += ["", say(f"fit.{heading}", lang)]
                lines += [say("fit.item", lang, text=one.say(lang)) for one in phrases]
        if self.sources:
            lines += ["", say("fit.sources", lang, text="; ".join(self.sources))]
        return "\n".join(lines)

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def _first(self, name: str) -> object:
        return self.rows[name][0] if self.rows.height else None

    def _table(self, lang: str) -> list[str]:
        labels = self.labels()
        known = {name for name in self.rows.columns if self.rows[name].null_count() < self.rows.height}
        # An interval with an open end has two columns all the same: one heading stands over both.
        known |= {"low", "high"} if known & {"low", "high"} else set()
        shown = [
            name for name in ("estimate", "se", "low", "high", "p", "rows", "clusters")
            if name == "estimate" or name in known
        ]  # fmt: skip
        # Counts that are the same in all rows are told once, by the facts of an estimator.
        shown = [
            one for one in shown
            if one not in ("rows", "clusters") or self.rows[one].n_unique() > 1 or one not in self.facts
        ]  # fmt: skip
        heads = [say(f"fit_column.{name}", lang) for name in (*labels, *shown)]
        if "low" in shown:
            at = len(labels) + shown.index("low")
            heads[at : at + 2] = [say("result.interval", lang, level=f"{100 * self.level:g}%"), ""]
        body = [
            [*(label_text(name, row[name], lang) for name in labels), *(_cell(row[name], name) for name in shown)]
            for row in self.rows.iter_rows(named=True)
        ]
        return in_columns([heads, *body], right=range(len(labels), len(heads)))

    def _only(self, name: str) -> float:
        if self.rows.height != 1:
            terms = ", ".join(repr(one) for one in self.rows["term"].unique(maintain_order=True).to_list()[:20])
            raise UsageError(
                "many_estimates",
                f"this fit of {self.method} has {self.rows.height} estimates; choose one with pick(term, model=..., "
                f"at=...); terms are {terms}",
            )
        value = self.rows[name][0]
        return math.nan if value is None else float(value)


def estimates(rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """Make the rows of a fit from plain records: missing columns become null, numbers that are not finite too.

    >>> estimates([{"term": "covered", "estimate": 0.1, "se": float("nan")}]).select("term", "se").row(0)
    ('covered', None)
    """
    assert all(name in SCHEMA for row in rows for name in row), "an estimate with an unknown column"
    columns = {name: [_known(row.get(name)) for row in rows] for name in SCHEMA}
    return pl.DataFrame(columns, schema=SCHEMA, strict=False)


def inference(
    estimate: float, se: float, *, df: float | None = None, level: float = 0.95, null: float = 0.0
) -> dict[str, float | None]:
    """Give statistic, df, p (two-sided) and interval of an estimate; the normal where `df` is None.

    >>> {name: round(value, 4) for name, value in inference(1.0, 0.5).items() if value is not None}
    {'estimate': 1.0, 'se': 0.5, 'statistic': 2.0, 'p': 0.0455, 'low': 0.02, 'high': 1.98}
    """
    ready("scipy.special")
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    if not 0 < level < 1:
        raise UsageError("bad_level", f"the level of intervals is a share between 0 and 1, not {level:g}; write 0.95")
    if not (math.isfinite(estimate) and math.isfinite(se) and se > 0):
        return {"estimate": estimate, "se": se, "statistic": None, "df": df, "p": None, "low": None, "high": None}
    statistic = (estimate - null) / se
    # The functions themselves: scipy's distributions take a thousand times as long to be made.
    half = se * float(ndtri(0.5 + level / 2) if df is None else stdtrit(df, 0.5 + level / 2))
    tail = ndtr(-abs(statistic)) if df is None else stdtr(df, -abs(statistic))
    return {
        "estimate": float(estimate), "se": float(se), "statistic": float(statistic), "df": df,
        "p": float(2 * tail), "low": float(estimate - half), "high": float(estimate + half),
    }  # fmt: skip


def title_of(section: str, name: str, lang: str) -> str:
    """Name something by the catalogue; a name that it lacks stays as it is.

    >>> title_of("fact", "r2", "en"), title_of("fact", "unheard_of", "en")
    ('R²', 'unheard_of')
    """
    return say(f"{section}.{name}", lang) if knows(f"{section}.{name}", lang) else name


def label_text(column: str, value: object, lang: str) -> str:
    """Say a label of a row: models and estimands by their names, event times as whole numbers, null as nothing."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    if column == "group":
        return title_of("fit_group", str(value), lang)
    if column in _SECTIONS:
        return title_of(_SECTIONS[column], str(value), lang)
    return str(value)


def number_text(value: object) -> str:
    """Write a number so that its leading four digits are seen.

    >>> [number_text(one) for one in (21900, 0.038123, -0.12, 1234.567, 3.2e-7, 12.3456, "city")]
    ['21,900', '0.03812', '-0.1200', '1,234.57', '3.2e-07', '12.346', 'city']
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-4:
        return f"{value:.3g}"
    return f"{value:,.{2 if size >= 100 else 3 if size >= 10 else 4 if size >= 0.1 else 5}f}"


def table_lines(table: pl.DataFrame, lang: str, *, most: int = 40) -> list[str]:
    """Align a further table of a fit; beyond `most` rows say how many there are more."""
    heads = [title_of("fit_column", name, lang) for name in table.columns]
    body = [
        [number_text(value) if isinstance(value, (int, float)) else label_text(name, value, lang)
         for name, value in row.items()]
        for row in table.head(most).iter_rows(named=True)
    ]  # fmt: skip
    right = [place for place, dtype in enumerate(table.dtypes) if dtype.is_numeric()]
    lines = in_columns([heads, *body], right=right)
    return lines + ([say("fit.more_rows", lang, rows=f"{table.height - most:,}")] if table.height > most else [])


def _cell(value: object, name: str) -> str:
    if name == "p" and isinstance(value, float):
        return "<0.0001" if value < 0.0001 else f"{value:.4f}"
    return number_text(value)


def _known(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(one, float) and not math.isfinite(one) else one for name, one in row.items()}
