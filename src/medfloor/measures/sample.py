"""Make a table ready to be measured: plain columns of numbers, weights, groups, and the design."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.design import Columns, Design, Structure, structure_of
from medfloor.measures.influence import Array
from medfloor.measures.result import MISSING_GROUP
from medfloor.words import Phrase

Unit = Literal["household", "person"]
Table: TypeAlias = Any
"""A Polars frame, or what Polars makes one of: a pandas frame, an Arrow table, a mapping of columns."""

Source: TypeAlias = str | pl.Expr
"""A column: its name, or a Polars expression over the table."""


_LARGEST = 1e100
"""Squares and products of larger numbers, and of weights that add up to less than its inverse, leave the doubles."""

_MOST_GROUPS = 5_000
"""As many groups as China has counties, and some; a column with more is an identity."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Be one way of parting the sample: its name, the labels, and each row's label as a position."""

    name: str
    labels: tuple[str, ...]
    code: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Be the rows that a measure uses, as columns of doubles without a missing value.

    `weight` counts households, or people where `unit` is person (weight times size). `kept` marks the rows of the table
    that stand here; `special` counts the rows that do not, and why. `replicate_weights` are the survey's own, one
    row a replicate and one column a row of the sample.
    """

    columns: dict[str, Array]
    weight: Array
    structure: Structure
    design: Design
    unit: Unit
    groupings: tuple[Grouping, ...] = ()
    special: dict[str, int] = field(default_factory=dict)
    kept: npt.NDArray[np.bool_] | None = None
    replicate_weights: Array | None = None
    weighted_by: Phrase = field(default_factory=lambda: Phrase("weight.rows"))

    def __getitem__(self, name: str) -> Array:
        """Give a column."""
        return self.columns[name]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.weight)

    def has(self, name: str) -> bool:
        """Say whether a column is there."""
        return name in self.columns

    def also(self, **columns: Array) -> Sample:
        """Add columns that were worked out of others."""
        return replace(self, columns={**self.columns, **columns})

    def parted(self, name: str, labels: Sequence[str], code: npt.NDArray[np.int64]) -> Sample:
        """Add a way of parting the sample."""
        return replace(self, groupings=(*self.groupings, Grouping(name, tuple(labels), code)))

    def only(self, rows: npt.NDArray[np.bool_]) -> Sample:
        """Keep some rows, as a domain of the same sample."""
        kept = None
        if self.kept is not None:
            kept = self.kept.copy()
            kept[np.flatnonzero(kept)[~rows]] = False
        return replace(
            self,
            columns={name: one[rows] for name, one in self.columns.items()},
            weight=self.weight[rows],
            structure=self.structure.keep(rows),
            groupings=tuple(replace(one, code=one.code[rows]) for one in self.groupings),
            kept=rows if kept is None else kept,
            replicate_weights=None if self.replicate_weights is None else self.replicate_weights[rows],
        )

    def noting(self, **counts: int) -> Sample:
        """Add counts of special cases."""
        return replace(self, special={**self.special, **counts})


def take(
    table: Table,
    columns: Mapping[str, Source | None],
    *,
    unit: Unit = "household",
    size: Source = "size",
    by: str | Sequence[str] | None = None,
    design: Design | None = None,
    positive_size: bool = True,
) -> Sample:
    """Take the columns that a measure needs out of a table.

    `columns` maps the measure's names to the table's; None leaves one out. Without a design the contract's columns
    `weight`, `stratum`, `psu` and `fpc` are used where the table has them; `Design()` says that every row counts once.
    Rows with a missing value in a needed column, weight or size are left out and counted in `special["missing"]`; they
    stay part of the design. A missing group is a group of its own.

    Raises InputError: missing_column, not_numeric, infinite_value, negative_weight, bad_size, no_rows, no_weight.

    >>> sample = take({"oop": [1.0, None, 3.0], "weight": [2.0, 1.0, 1.0]}, {"oop": "oop"})
    >>> sample["oop"].tolist(), sample.weight.tolist(), sample.special
    ([1.0, 3.0], [2.0, 1.0], {'missing': 1})
    """
    frame = frame_of(table)
    design = design_in(frame) if design is None else design
    made = {name: number(frame, source, name) for name, source in columns.items() if source is not None}
    weight = None if design.weight is None else number(frame, design.weight, "weight")
    people = number(frame, size, "size") if unit == "person" else None
    for column in (*made.values(), *(one for one in (weight, people) if one is not None)):
        if len(column) != frame.height:
            raise InputError("bad_column", f"a column has {len(column)} values, the table {frame.height} rows")
    needed = [*made.values(), *(one for one in (weight, people) if one is not None)]
    kept = _complete(needed)
    _check_weights(weight, people if positive_size else None, size)
    # Amounts are divided by the size, ranks too: it must be above zero also where people are not counted.
    if positive_size and people is None and "size" in made:
        _check_weights(None, made["size"], columns["size"] or size)
    special = {"missing": 0 if kept is None else int((~kept).sum())}

    def cut(column: Array) -> Array:
        return column if kept is None else column[kept]

    weights = np.ones(frame.height if kept is None else int(kept.sum())) if weight is None else cut(weight)
    if people is not None:
        weights = weights * cut(people)
    if not len(weights):
        raise InputError("no_rows", _no_rows(frame, columns))
    zero = len(weights) - int(np.count_nonzero(weights))
    if 0 < float(weights.sum()) < 1 / _LARGEST:
        raise InputError("no_weight", "the weights add up to next to nothing; multiply all of them by the same number")
    if zero == len(weights):
        raise InputError("no_weight", "every weight is zero; nobody is counted. Name another column of weights")
    if zero:
        special["zero_weight"] = zero
    structure = _structure(frame, design)
    if structure.lonely_strata:
        special["lonely_strata"] = structure.lonely_strata
    return Sample(
        columns={name: cut(column) for name, column in made.items()},
        weight=weights,
        structure=structure if kept is None else structure.keep(kept),
        design=design,
        unit=unit,
        groupings=_groupings(frame, by, kept),
        special=special,
        kept=kept,
        replicate_weights=_replicate_weights(frame, design, people, kept),
        weighted_by=_weighted_by(design, unit, size),
    )


def frame_of(table: Table) -> pl.DataFrame:
    """Make a Polars frame of a table. Raises InputError not_a_table, no_rows."""
    if isinstance(table, pl.LazyFrame):
        table = table.collect()
    if not isinstance(table, pl.DataFrame):
        if hasattr(table, "accepted"):
            table = table.accepted
        elif isinstance(table, (str, bytes, os.PathLike)):
            raise InputError("not_a_table", f"{table!r} is not a table; read it with medfloor.intake.read_microdata")
        elif hasattr(table, "iloc"):
            table = pl.from_pandas(table)
        else:
            try:
                if isinstance(table, Mapping):
                    # Lists that mix whole numbers and fractions are numbers all the same.
                    table = {name: np.asarray(one) if _is_mixed(one) else one for name, one in table.items()}
                table = pl.DataFrame(table)
            except (TypeError, ValueError, pl.exceptions.PolarsError):
                raise InputError(
                    "not_a_table",
                    f"a {type(table).__name__} is not a table; give a frame, or a mapping of columns of equal length",
                ) from None
    if not isinstance(table, pl.DataFrame) or table.height == 0:
        raise InputError("no_rows", "the table has no rows; check the file and what was taken out of it")
    return table


def _is_mixed(values: object) -> bool:
    kinds = {type(one) for one in values} if isinstance(values, (list, tuple)) else set()
    return kinds == {int, float}


def number(frame: pl.DataFrame, source: Source, name: str) -> Array:
    """Give a column as doubles, NaN where it is missing.

    Raises InputError: missing_column, not_numeric, infinite_value.
    """
    series = column(frame, source, name)
    if series.dtype == pl.Boolean:
        series = series.cast(pl.UInt8)
    if not series.dtype.is_numeric() and series.null_count() < len(series):
        raise InputError(
            "not_numeric",
            f"column {_told(source, name)} holds {series.dtype}, not numbers. Read the file with "
            "medfloor.intake.read_microdata, or cast it.",
        )
    values = series.cast(pl.Float64).to_numpy()
    highest, lowest = np.fmax.reduce(values, initial=0.0), np.fmin.reduce(values, initial=0.0)
    if highest <= _LARGEST and lowest >= -_LARGEST:
        return values
    wrong = np.abs(values) > _LARGEST
    row = int(np.argmax(wrong))
    said = "an infinite value" if np.isinf(values[row]) else f"{values[row]:g}, too large to be squared,"
    raise InputError(
        "infinite_value",
        f"column {_told(source, name)} has {said} in row {row + 1}. Make it missing, or leave the row out.",
    )


def column(frame: pl.DataFrame, source: Source, name: str) -> pl.Series:
    """Find a column of a table. Raises InputError missing_column, which names the nearest one."""
    if isinstance(source, pl.Expr):
        try:
            found = frame.select(source.alias(name)).to_series()
        except pl.exceptions.PolarsError as error:
            raise InputError("bad_expression", f"the expression for {name} cannot be worked out: {error}") from None
        return found.new_from_index(0, frame.height) if len(found) == 1 < frame.height else found
    if source not in frame.columns:
        near = difflib.get_close_matches(source, frame.columns, 1, 0.5)
        hint = f"the nearest is {near[0]}" if near else f"there are {', '.join(frame.columns[:20]) or 'none'}"
        said = "" if source == name else f" (for {name})"
        raise InputError(
            "missing_column", f"the table has no column {source!r}{said}; {hint}. Map it: {name}=<your column>"
        )
    return frame[source]


def design_in(frame: pl.DataFrame) -> Design:
    """Read the design off the contract's columns that a table has: weight, stratum, psu, fpc."""
    names = {"weight": "weight", "strata": "stratum", "psu": "psu", "fpc": "fpc"}
    return Design(**{field: name for field, name in names.items() if name in frame.columns})  # type: ignore[arg-type]


def _complete(columns: Sequence[Array]) -> npt.NDArray[np.bool_] | None:
    """Mark the rows without a missing value; None where all are."""
    kept: npt.NDArray[np.bool_] | None = None
    for one in columns:
        if np.isfinite(np.sum(one)):
            continue
        missing = np.isnan(one)
        if missing.any():
            kept = ~missing if kept is None else kept & ~missing
    return kept


def _check_weights(weight: Array | None, people: Array | None, size: Source) -> None:
    if weight is not None and np.nanmin(weight, initial=0.0) < 0:
        row = int(np.argmax(weight < 0))
        raise InputError(
            "negative_weight",
            f"the weight of row {row + 1} is {weight[row]:g}; a weight is zero or above. Correct it, or leave the "
            "row out.",
        )
    if people is not None and (people <= 0).any():
        row = int(np.argmax(people <= 0))
        raise InputError(
            "bad_size",
            f"column {_told(size, 'size')} has {people[row]:g} in row {row + 1}; a household has at least one member. "
            "Correct it, or leave the row out.",
        )


def _no_rows(frame: pl.DataFrame, columns: Mapping[str, Source | None]) -> str:
    names = ", ".join(_told(source, name) for name, source in columns.items() if source is not None)
    return f"none of {frame.height} rows has a value in all of {names} (and in weight and size, where they are used)"


def _structure(frame: pl.DataFrame, design: Design) -> Structure:
    def labels(name: str | None, what: str) -> pl.Series | None:
        if name is None:
            return None
        found = column(frame, name, what)
        empty = found.is_null() | found.is_nan() if found.dtype.is_float() else found.is_null()
        if empty.any():
            row = int(empty.arg_max() or 0)
            raise InputError(
                "missing_design",
                f"column {_told(name, what)} is empty in row {row + 1}; every row needs its {what}, also one that is "
                "not measured",
            )
        return found

    return structure_of(
        frame.height,
        Columns(
            strata=labels(design.strata, "stratum"),
            psu=labels(design.psu, "psu"),
            ssu=labels(design.ssu, "ssu"),
            fpc=None if design.fpc is None else number(frame, design.fpc, "fpc"),
            fpc2=None if design.fpc2 is None else number(frame, design.fpc2, "fpc2"),
        ),
        design.lonely,
    )


def _groupings(
    frame: pl.DataFrame, by: str | Sequence[str] | None, kept: npt.NDArray[np.bool_] | None
) -> tuple[Grouping, ...]:
    names = [by] if isinstance(by, str) else list(dict.fromkeys(by or ()))
    made = []
    for name in names:
        found = column(frame, name, "by")
        text = found.cast(pl.String).fill_null(MISSING_GROUP)
        if kept is not None:
            text = text.filter(pl.Series(kept))
        # Groups stand in the order of their values: numbers as numbers, text as text, the missing last.
        order = _in_order(found.unique().drop_nulls())
        here = set(text.unique().to_list())
        labels = tuple(label for label in [*order, MISSING_GROUP] if label in here)
        if len(labels) > _MOST_GROUPS:
            raise UsageError(
                "many_groups",
                f"column {name} has {len(labels):,} different values, more than {_MOST_GROUPS:,} groups; choose a "
                "coarser one",
            )
        code = text.replace_strict({label: place for place, label in enumerate(labels)}, return_dtype=pl.Int64)
        made.append(Grouping(name, labels, code.to_numpy()))
    return tuple(made)


def _in_order(values: pl.Series) -> list[str]:
    """Sort the values of a group: numbers as numbers, also where they are written as text."""
    if values.dtype == pl.String:
        as_numbers = values.cast(pl.Float64, strict=False)
        if as_numbers.null_count() == 0:
            return values.gather(as_numbers.arg_sort()).to_list()
    return values.sort().cast(pl.String).to_list()


def _replicate_weights(
    frame: pl.DataFrame, design: Design, people: Array | None, kept: npt.NDArray[np.bool_] | None
) -> Array | None:
    if design.method != "replicates":
        return None
    weights = np.empty((len(design.replicate_weights), frame.height if kept is None else int(kept.sum())))
    for place, name in enumerate(design.replicate_weights):
        given = number(frame, name, name)
        weights[place] = given if kept is None else given[kept]
        if people is not None:
            weights[place] *= people if kept is None else people[kept]
    if np.isnan(weights).any():
        raise InputError(
            "missing_value",
            f"a replicate weight is missing in a row that is measured; every column from "
            f"{design.replicate_weights[0]} to {design.replicate_weights[-1]} needs a value there",
        )
    return weights


def _weighted_by(design: Design, unit: Unit, size: Source) -> Phrase:
    values: dict[str, object] = {"size": _told(size, "size")}
    if design.weight is not None:
        values["weight"] = design.weight
    kind = "people" if unit == "person" else "rows"
    known = kind if design.weight is None else f"weighted_{kind}"
    return Phrase.of(f"weight.{known}", **values)


def _told(source: Source, name: str) -> str:
    return source if isinstance(source, str) else name
