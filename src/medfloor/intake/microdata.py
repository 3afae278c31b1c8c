"""Read any survey table, one row a household or a person, for the measures.

Surveys come in any currency, with any decimals and under any names, so a mapping says which column or expression stands
for which of our names, and numbers are read as doubles in the unit of the file. What a table does not say stays
missing; what it says and nobody can read is refused, row by row, with a reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.intake.files import FORMATS, Scan, Source, collect, scan_table, survey
from medfloor.intake.formulas import Formula, check_types, find_column, near_names, plain, read_formula
from medfloor.intake.mapping import Link, OneMapping, read_mapping
from medfloor.intake.packages import READERS, read_package_file
from medfloor.intake.rejects import POSITION, as_rejects, fetch_rows, keep_rows, no_rows
from medfloor.tables import REASONS


class ArrowTable(Protocol):
    """Be any table that hands over Arrow columns: of pyarrow, pandas, DuckDB and others."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Hand over the columns."""


@dataclass(frozen=True, eq=False, slots=True)
class Microdata:
    """Be the rows of one survey table that can be used, and those that cannot.

    `accepted` has the asked columns under our names (numbers Float64 in the unit of the file, labels String, null where
    missing), then every other column as it came. `rejects` has the refused rows as they came, with reason and detail.
    `mapped` says what each of our columns was taken from, `missing` how many of the accepted rows lack it. Always
    rows_in == accepted.height + rejects.height.
    """

    accepted: pl.DataFrame
    rejects: pl.DataFrame
    rows_in: int
    place: str
    mapped: dict[str, str]
    missing: dict[str, int]


def read_microdata(
    source: Source | ArrowTable,
    *,
    mapping: OneMapping | Sequence[OneMapping] | None = None,
    numbers: Sequence[str] = (),
    labels: Sequence[str] = (),
    required: Sequence[str] = (),
    carried: bool = True,
) -> Microdata:
    """Read a survey table: a file of CSV, Parquet, Stata, SPSS or SAS, a folder of Parquet files, or a frame.

    A frame is one of Polars, pandas or pyarrow.

    `numbers` are the columns, by our names, to be read as numbers and `labels` those to be read as text (a name in both
    is a number). A name that `mapping` does not give (see `read_mapping`) is looked for among the columns; letter case
    and blanks around it do not count. One that is nowhere is simply absent, unless `required` has it.

    A column of theirs that becomes one of ours stands under our name only; all others are carried untouched, also those
    that an expression uses, unless `carried` is False, which saves their memory. Where a column of the file has one of
    our names but the mapping takes ours from elsewhere, it is carried with `_as_given` behind its name. Names of ours
    that only the mapping has are carried as they come and refuse no row.

    Missing, and so null: an empty cell, null, NaN, and in text the marks `NA`, `NaN`, `null`, `.` and `.a` to `.z` in
    either case (in labels these marks count in CSV files only). Refused: text in a number that is not a plain decimal
    such as 12, -0.5 or 1e5 (`bad_number`; thousands separators are not read), and infinite values (`infinite_value`),
    also where an expression comes to them, as ln(0) does. Text columns in an expression are read as numbers where at
    least as many of their cells are numbers as are not. Labels are the words of a Stata or SPSS file where it has them,
    else the value; whole numbers have no decimals.

    Raises InputError: file_not_found, unknown_format, cannot_read, empty_file, broken_csv, broken_parquet,
    broken_survey_file, missing_column, ambiguous_column, reserved_column, unknown_column, wrong_type; UsageError:
    not_a_table, bad_expression; and what `read_mapping` raises.

    >>> frame = pl.DataFrame({"MED": ["12.5", ".", "1,200"], "lnx": ["4.0", "3.5", "5"], "prov": ["1", "2", "2"]})
    >>> data = read_microdata(frame, mapping="oop=med,consumption=exp(lnx)", numbers=["oop", "consumption", "size"])
    >>> data.accepted.select("oop", pl.col("consumption").round(1), "prov").rows()
    [(12.5, 54.6, '1'), (None, 33.1, '2')]
    >>> data.rejects["detail"].to_list()
    ["MED (oop) is '1,200', which is not a plain decimal number (thousands separators are not read)"]
    >>> data.mapped, data.missing
    ({'oop': 'MED', 'consumption': 'exp(lnx)'}, {'oop': 1, 'consumption': 0})
    """
    table = _open(source)
    asked = _ask(table.scan, read_mapping(mapping), numbers, labels, required)
    query = _Query(table, asked, _numeric_inputs(table.scan, asked))
    rows = query.rows()
    frame = _collect(table, rows if carried else rows.select(*(one.name for one in asked), POSITION), asked)
    wrong = frame.drop_in_place(POSITION)
    rows_in, rejects = frame.height, no_rows(table.scan)
    if wrong.any():
        rejects = _rejected(table, query, wrong.arg_true())
        frame = keep_rows(frame, ~wrong)
    missing = {one.name: frame[one.name].null_count() for one in asked}
    return Microdata(frame, rejects, rows_in, table.scan.place, {one.name: one.taken_from for one in asked}, missing)


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """Be how a table is read, settled for the table as a whole, so that its rows can be read part by part.

    `columns` are those of the table that are used. What is here goes to other machines; the table itself does not.
    """

    place: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    links: dict[str, Link]
    numbers: tuple[str, ...]
    labels: tuple[str, ...]
    required: tuple[str, ...]
    numeric: frozenset[str]

    def read(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Read some rows that have `columns` as they came: our columns (`names`), and `REFUSED`.

        What `read_microdata` accepts of the whole table is what is not refused here, and its rejects are the rest.
        """
        table = _Table(Scan(rows.lazy(), rows.schema, self.place), {}, in_memory=False)
        asked = _ask(table.scan, self.links, self.numbers, self.labels, self.required)
        query = _Query(table, asked, set(self.numeric)).rows()
        return query.select(*self.names, pl.col(POSITION).alias(REFUSED)).collect()

    def rejects(self, source: Source, rows: pl.Series) -> pl.DataFrame:
        """Give the rows of the table at some positions (from 0) as they are refused, with reason and detail."""
        table = _open(source)
        asked = _ask(table.scan, self.links, self.numbers, self.labels, self.required)
        return _rejected(table, _Query(table, asked, set(self.numeric)), rows)


REFUSED = "__refused"
"""The column of `Reading.read` that is true where `read_microdata` refuses the row."""


def reading_of(
    source: Source,
    *,
    mapping: OneMapping | Sequence[OneMapping] | None = None,
    numbers: Sequence[str] = (),
    labels: Sequence[str] = (),
    required: Sequence[str] = (),
) -> Reading:
    """Settle how a Parquet file, or a folder of them, is read part by part; arguments and errors: `read_microdata`.

    >>> frame = pl.DataFrame({"MED": ["12.5", "much"], "note": ["a", "b"]}).lazy()
    >>> reading = reading_of(frame, mapping="oop=med", numbers=["oop"])
    >>> reading.read(pl.DataFrame({"MED": ["much", "."]})).rows()
    [(None, True), (None, False)]
    """
    scan = _open(source).scan
    links = read_mapping(mapping)
    asked = _ask(scan, links, numbers, labels, required)
    numeric = _numeric_inputs(scan, asked)
    # Made once over the whole table, so that whatever is wrong with its columns is said before any row is read.
    _Query(_Table(scan, {}, in_memory=False), asked, numeric)
    used = {column for one in asked for column in one.formula.inputs.values()}
    return Reading(
        scan.place,
        tuple(name for name in scan.names if name in used),
        tuple(one.name for one in asked),
        links,
        tuple(numbers),
        tuple(labels),
        tuple(required),
        frozenset(numeric),
    )


def _rejected(table: _Table, query: _Query, rows: pl.Series) -> pl.DataFrame:
    raw = fetch_rows(table.scan, rows)
    told = query.faults(raw.lazy()).collect()
    return as_rejects(raw, told["reason"], told["detail"])


# Sources


@dataclass(frozen=True, eq=False, slots=True)
class _Table:
    """Be a source that was opened: its columns, the words of its values, and whether it already stands in memory."""

    scan: Scan
    words: Mapping[str, Mapping[Any, str]]
    in_memory: bool


def _open(source: Source | ArrowTable) -> _Table:
    words: Mapping[str, Mapping[Any, str]] = {}
    if isinstance(source, (str, os.PathLike)):
        path, place = Path(source), os.fspath(source)
        kind = path.suffix.lower()
        folder = path.is_dir()
        if not folder and kind not in FORMATS and kind not in READERS:
            raise _unknown_format(place, kind)
        if not folder and kind in READERS:
            read = read_package_file(path, place)
            scan, words = Scan(read.frame.lazy(), read.frame.schema, place), read.labels
        else:
            scan = scan_table(source, "survey")
    elif isinstance(source, (pl.LazyFrame, Scan)):
        scan = scan_table(source, "survey")
    else:
        scan = scan_table(_as_polars(source), "survey")
    taken = [name for name in scan.names if name == POSITION or name.startswith(_RAW)]
    if taken:
        raise InputError(
            "reserved_column", f"{scan.place} has a column {taken[0]}, a name used inside. Rename that column."
        )
    in_memory = scan.path is None and not isinstance(source, (pl.LazyFrame, Scan))
    return _Table(survey(scan, ())[0], words, in_memory)


def _as_polars(source: Any) -> pl.DataFrame:
    if isinstance(source, pl.DataFrame):
        return source
    try:
        # Handed over as Arrow, a frame of pandas would bring its index as one more column.
        if type(source).__module__.split(".")[0] == "pandas":
            made = pl.from_pandas(source)
        elif hasattr(source, "__arrow_c_stream__"):
            made = pl.DataFrame(source)
        else:
            made = None
    except Exception as error:
        # Arrow and pandas have errors of their own for columns of mixed things; the text may repeat a cell.
        raise InputError(
            "wrong_type",
            f"the survey table holds a column whose values are of several kinds ({type(error).__name__}). "
            "Give each column one type.",
        ) from None
    if not isinstance(made, pl.DataFrame):
        raise UsageError(
            "not_a_table",
            f"a {type(source).__name__} is no table. Give the path of a file, or a frame of Polars, pandas or pyarrow.",
        )
    return made


def _unknown_format(place: str, kind: str) -> InputError:
    known = ", ".join([*FORMATS, *READERS])
    what = "is a workbook. Save the sheet as CSV UTF-8" if kind in (".xlsx", ".xls", ".ods") else "has another ending"
    return InputError("unknown_format", f"{place} {what}. The endings that are read: {known}.")


# What is asked


@dataclass(frozen=True, eq=False, slots=True)
class _Asked:
    """Be one of our columns: how it is to be read (number, label, or as it comes), and where it comes from."""

    name: str
    kind: str
    formula: Formula
    origin: str

    @property
    def taken_from(self) -> str:
        return self.formula.column if self.formula.column is not None else self.formula.text


def _ask(
    scan: Scan, links: dict[str, Link], numbers: Sequence[str], labels: Sequence[str], required: Sequence[str]
) -> list[_Asked]:
    kinds = dict.fromkeys(numbers, "number")
    kinds |= {name: "label" for name in labels if name not in kinds}
    wanted = {plain(name): name for name in [*kinds, *required]}
    wanted |= {key: link.ours for key, link in links.items() if key not in wanted}
    asked, absent = [], []
    for key, name in wanted.items():
        link = links.get(key)
        if link is not None:
            formula = read_formula(link.theirs, scan.names, ours=name, place=scan.place, origin=link.origin)
        else:
            column = find_column(name, scan.names, place=scan.place)
            if column is None:
                absent.append(name)
                continue
            formula = Formula(column, column, pl.col(column), {column: column})
        asked.append(_Asked(name, kinds.get(name, "as it comes"), formula, link.origin if link else "the table"))
    missing = [name for name in required if name in absent]
    if missing:
        raise InputError("missing_column", _missing_words(scan, missing, links))
    return asked


def _missing_words(scan: Scan, missing: list[str], links: dict[str, Link]) -> str:
    sentences = []
    for name in missing:
        words = f"{scan.place} has no column {name}"
        near = near_names(name, scan.names)
        ours = near_names(name, [link.ours for link in links.values()])
        if ours:
            words += f", and the mapping gives {ours[0]}, which is another name"
        elif near:
            words += f"; the nearest {'columns' if len(near) > 1 else 'column'} present: {', '.join(near)}"
        sentences.append(words + ".")
    if not any("nearest" in sentence for sentence in sentences):
        sentences.append(
            f"Columns present: {', '.join(scan.names[:20]) or 'none'}{', ...' if scan.names[20:] else ''}."
        )
    return " ".join([*sentences, f"Say which column it is with a mapping: {missing[0]}=THEIRS."])


def _numeric_inputs(scan: Scan, asked: Iterable[_Asked]) -> set[str]:
    """Find the text columns of expressions whose cells are numbers: at least as many of them as are not."""
    used = {column for one in asked if one.formula.column is None for column in one.formula.inputs.values()}
    texts = sorted(column for column in used if _plain_type(scan.schema[column]) == pl.String())
    if not texts:
        return set()
    counts = []
    for position, column in enumerate(texts):
        text = pl.col(column).cast(pl.String).str.strip_chars()
        number = text.str.contains(_NUMBER)
        counts += [
            number.sum().alias(f"numbers{position}"),
            (~number & ~text.str.contains(_MISSING)).sum().alias(f"others{position}"),
        ]
    found = collect(scan, scan.frame.select(counts))
    return {column for i, column in enumerate(texts) if found[f"numbers{i}"][0] >= found[f"others{i}"][0]}


# Cells

_RAW = "__raw "
"""Stands before the name of a column as it came, so that expressions can have their own under the plain name."""

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_MISSING = r"^(?i:|na|nan|null|\.[a-z]?)$"
_INFINITE = r"^(?i:[+-]?inf(inity)?)$"
_THOUSANDS = r"^[^0-9]?[0-9]{1,3}([,，' ][0-9]{3})+(\.[0-9]+)?$"
_EXACT_FLOAT = 2**53


@dataclass(frozen=True, eq=False, slots=True)
class _Cell:
    """Be the expressions that read one column.

    `unreadable` and `infinite` say which rows are refused, None where no row can be; `shown` and `words` go into the
    detail: "med (oop) is" and the value as it came.
    """

    value: pl.Expr
    unreadable: pl.Expr | None = None
    infinite: pl.Expr | None = None
    shown: pl.Expr | None = None
    words: str = ""

    @property
    def may_be_wrong(self) -> bool:
        return self.unreadable is not None or self.infinite is not None

    @property
    def wrong(self) -> pl.Expr:
        faults = [fault for fault in (self.unreadable, self.infinite) if fault is not None]
        return pl.any_horizontal(faults).fill_null(False)

    @property
    def reason(self) -> pl.Expr:
        """Give the code of the fault, for rows that are wrong."""
        assert {"bad_number", "infinite_value"} <= set(REASONS)
        infinite = pl.lit(False) if self.infinite is None else self.infinite.fill_null(False)
        return pl.when(infinite).then(pl.lit("infinite_value")).otherwise(pl.lit("bad_number"))

    @property
    def detail(self) -> pl.Expr:
        assert self.shown is not None
        shown = self.shown.cast(pl.String).str.head(40)
        infinite = pl.lit(False) if self.infinite is None else self.infinite.fill_null(False)
        ending = (
            pl.when(infinite)
            .then(pl.lit("', which is infinite"))
            .when(shown.str.strip_chars().str.contains(_THOUSANDS))
            .then(pl.lit("', which is not a plain decimal number (thousands separators are not read)"))
            .otherwise(pl.lit("', which is not a plain decimal number"))
        )
        return pl.concat_str(pl.lit(f"{self.words} '"), shown, ending)


def _number(raw: pl.Expr, dtype: pl.DataType, words: str, place: str, *, computed: bool = False) -> _Cell:
    """Read a column of numbers; in a `computed` one NaN is a fault, because its inputs were not missing."""
    kind = _plain_type(dtype)
    if kind == pl.String():
        text = raw.cast(pl.String).str.strip_chars()
        value = pl.when(text.str.contains(_NUMBER)).then(text.cast(pl.Float64, strict=False))
        infinite = text.str.contains(_INFINITE) | value.is_infinite()
        unreadable = ~text.str.contains(_MISSING) & value.is_null()
        return _Cell(pl.when(value.is_finite()).then(value), unreadable, infinite, raw, words)
    if kind.is_float():
        return _Cell(
            raw.cast(pl.Float64).fill_nan(None), raw.is_nan() if computed else None, raw.is_infinite(), raw, words
        )
    if kind.is_numeric() or kind in (pl.Boolean(), pl.Null()):
        return _Cell(raw.cast(pl.Float64))
    raise _wrong_type(words, dtype, "numbers", place)


def _label(raw: pl.Expr, dtype: pl.DataType, words: Mapping[Any, str], place: str, label: str, *, csv: bool) -> _Cell:
    """Read a column of labels: the file's words for its values, else the values as text."""
    kind = _plain_type(dtype)
    if kind == pl.String():
        text = raw.cast(pl.String).str.strip_chars()
        missing = text.str.contains(_MISSING) if csv else text == ""
        text = pl.when(~missing).then(text).otherwise(None)
    elif kind.is_float() or kind.is_decimal():
        number = raw.cast(pl.Float64).fill_nan(None)
        whole = (number == number.round()) & (number.abs() < _EXACT_FLOAT)
        text = (
            pl.when(whole).then(number.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(number.cast(pl.String))
        )
    elif kind.is_integer() or kind in (pl.Boolean(), pl.Null()):
        text = raw.cast(pl.String)
    elif kind.is_temporal():
        text = raw.dt.to_string("iso")
    else:
        raise _wrong_type(label, dtype, "labels", place)
    keyed = {key: word.strip() for key, word in words.items() if isinstance(key, str) == (kind == pl.String())}
    if keyed:
        key = text if kind == pl.String() else raw.cast(pl.Float64)
        keys = list(keyed) if kind == pl.String() else [float(key) for key in keyed]
        text = key.replace_strict(keys, list(keyed.values()), default=text, return_dtype=pl.String)
    return _Cell(text)


def _plain_type(dtype: pl.DataType) -> pl.DataType:
    return pl.String() if isinstance(dtype, (pl.Categorical, pl.Enum)) else dtype


def _wrong_type(words: str, dtype: pl.DataType, wanted: str, place: str) -> InputError:
    return InputError(
        "wrong_type",
        f"{place}: {words.removesuffix(' is')} is a column of {dtype}, which cannot be read as {wanted}. "
        "Map another column, or an expression that comes to what is wanted.",
    )


# Queries


class _Query:
    """Be what is asked of a table, worked out once: expressions over its raw columns, and the names that come out."""

    def __init__(self, table: _Table, asked: list[_Asked], numeric: set[str]) -> None:
        self._scan = table.scan
        self._inputs: list[pl.Expr] = []
        self._cells: list[tuple[str, _Cell]] = []
        self._faults: dict[str, _Cell] = {}
        clean = _clean_floats(table, asked)
        for one in asked:
            if one.formula.column is not None:
                cell = self._plain(one, one.formula.column, table, clean)
            else:
                cell = self._computed(one, numeric)
            self._cells.append((one.name, cell))
            if cell.may_be_wrong:
                self._faults[one.name] = cell
        self._carried = _carried(table.scan, asked)

    def rows(self) -> pl.LazyFrame:
        """Give the query for all rows: ours, the carried ones, and POSITION, which is true where a row is refused."""
        wrong = [cell.wrong for cell in self._faults.values()]
        refused = pl.any_horizontal(wrong) if wrong else pl.lit(False)
        carried = [pl.col(_RAW + name).alias(shown) for name, shown in self._carried.items()]
        values = [cell.value.alias(name) for name, cell in self._cells]
        return self._staged(self._scan.frame).select(*values, *carried, refused.alias(POSITION))

    def faults(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Give the query for the reason and the detail of rows that are refused: the first fault of each."""
        cells = self._faults.values()
        return self._staged(rows).select(
            pl.coalesce(*[pl.when(cell.wrong).then(cell.reason) for cell in cells]).alias("reason"),
            pl.coalesce(*[pl.when(cell.wrong).then(cell.detail) for cell in cells]).alias("detail"),
        )

    def _plain(self, one: _Asked, column: str, table: _Table, clean: set[str]) -> _Cell:
        raw, dtype, place = pl.col(_RAW + column), self._scan.schema[column], self._scan.place
        label = column if column == one.name else f"{column} ({one.name})"
        if one.kind == "number" and column in clean:
            return _Cell(raw)
        if one.kind == "number":
            return _number(raw, dtype, f"{label} is", place)
        if one.kind == "label":
            return _label(raw, dtype, table.words.get(column, {}), place, label, csv=self._scan.is_csv)
        return _Cell(raw)

    def _computed(self, one: _Asked, numeric: set[str]) -> _Cell:
        """Read what an expression comes to; a number that it uses and nobody can read refuses the row, too."""
        place = self._scan.place
        for written, column in one.formula.inputs.items():
            raw, dtype = pl.col(_RAW + column), _plain_type(self._scan.schema[column])
            if dtype == pl.String() and column not in numeric:
                value = _label(raw, dtype, {}, place, column, csv=self._scan.is_csv).value
            elif dtype == pl.String() or dtype.is_numeric() or dtype == pl.Null():
                cell = _number(raw, dtype, f"{column} (in {one.name}) is", place)
                value = cell.value
                if one.kind != "as it comes" and cell.may_be_wrong:
                    self._faults.setdefault(f"{_RAW}{column}", cell)
            else:
                value = raw
            # Two expressions write the same name for the same column, so either's reading will do.
            if written not in [given.meta.output_name() for given in self._inputs]:
                self._inputs.append(value.alias(written))
        dtype = check_types(one.formula, self._staged(self._scan.frame), ours=one.name, origin=one.origin)
        value = one.formula.expression
        if one.kind == "number":
            words = f"{one.name}, worked out as {one.formula.text}, is"
            return _number(value, dtype, words, place, computed=True)
        if one.kind == "label":
            return _label(value, dtype, {}, place, one.name, csv=False)
        return _Cell(value)

    def _staged(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Give every raw column a second name, and expressions their columns under the names that they write."""
        raw = rows.select(pl.col(name).alias(_RAW + name) for name in self._scan.names)
        return raw.with_columns(self._inputs)


def _clean_floats(table: _Table, asked: Iterable[_Asked]) -> set[str]:
    """Find the doubles that stand in memory without NaN or infinity, so that they are handed on and never copied."""
    if not table.in_memory:
        return set()
    schema = table.scan.schema
    plain_ones = {one.formula.column for one in asked if one.kind == "number"} - {None}
    doubles = sorted(column for column in plain_ones if column is not None and schema[column] == pl.Float64())
    if not doubles:
        return set()
    found = table.scan.frame.select(
        (pl.col(column).is_finite().all() & True).alias(str(i)) for i, column in enumerate(doubles)
    ).collect()
    return {column for i, column in enumerate(doubles) if found[str(i)][0]}


def _carried(scan: Scan, asked: Iterable[_Asked]) -> dict[str, str]:
    """Say which columns are carried, and under which name: their own, unless that is now one of ours."""
    ours = {one.name for one in asked}
    moved = {one.formula.column for one in asked}
    carried = {name: f"{name}_as_given" if name in ours else name for name in scan.names if name not in moved}
    taken = ours | {name for name in carried if name not in ours}
    for name, shown in carried.items():
        if shown != name and shown in taken:
            raise InputError(
                "ambiguous_column",
                f"{scan.place} has a column {name} that is not the one mapped to {name}, and {shown} as well. "
                "Rename one of them.",
            )
    return carried


def _collect(table: _Table, query: pl.LazyFrame, asked: Iterable[_Asked]) -> pl.DataFrame:
    """Run the main query: in memory where the table already stands there, so that carried columns are not copied."""
    try:
        return query.collect(engine="in-memory" if table.in_memory else "streaming")
    except pl.exceptions.PolarsError:
        # A file that breaks on the way says so itself; what is left is an expression.
        collect(table.scan, table.scan.frame.select(pl.all().null_count()))
        computed = [f"{one.name}={one.formula.text}" for one in asked if one.formula.column is None]
        if not computed:
            raise
        raise UsageError(
            "bad_expression",
            f"{table.scan.place}: {' or '.join(computed)} cannot be worked out over the rows. "
            "Try each expression alone.",
        ) from None
