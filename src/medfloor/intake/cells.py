"""Read the cells of one column: text, dates, money, whole numbers, codes and flags.

Every kind of cell becomes a handful of column expressions, so that millions of rows are read in one pass and nothing
is looked at row by row: `value` (null where the cell is empty or cannot be read), `empty`, and for the rows that are
refused a `reason` and the text that is `shown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from medfloor.errors import InputError
from medfloor.intake.codes import BLANK, check_leading_zeros, code_reader, plain_code
from medfloor.intake.files import Scan, yuan_of
from medfloor.intake.layout import Layout
from medfloor.money import MAX_FEN
from medfloor.tables import Column

_PLAIN_AMOUNT = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$"
_FEN_AMOUNT = r"^[+-]?(0*[0-9]{1,13}(\.[0-9]{0,2}0*)?|\.[0-9]{1,2}0*)$"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?$"
_WHOLE = r"^\+?([0-9]{1,4})(\.0*)?$"
_LARGEST_WHOLE = 9999
_EXACT_FLOAT = 2**53
_MANY_CODES = 24

WORDS = {
    "bad_date": "is not a day written YYYY-MM-DD",
    "bad_amount": "is not a plain decimal number",
    "negative_amount": "is below zero",
    "three_decimals": "has more than two decimals",
    "amount_too_large": "is beyond 9 trillion yuan",
    "unknown_care_type": "is no care type that the contract or the policy's codes know",
    "unknown_facility_level": "is no facility level that the contract or the policy's codes know",
    "unknown_code": "is not one of the codes of this column",
    "bad_number": "is not a whole number from 0 to 9999",
}
"""How a detail goes on after the value."""


@dataclass(frozen=True, eq=False, slots=True)
class Cell:
    """Be the expressions that read one column of a file.

    `value` is null where the cell is empty or unreadable; money is Int64 fen and may be negative; codes are UInt8
    positions. `reason` is null where the cell is empty or readable. `label` names the column in messages.
    """

    column: Column
    label: str
    value: pl.Expr
    empty: pl.Expr
    reason: pl.Expr
    shown: pl.Expr
    may_be_unreadable: bool

    @property
    def detail(self) -> pl.Expr:
        """Put the fault into words: the column, at most 40 letters of the value, what is wrong; null where none is."""
        ending = self.reason.replace_strict(list(WORDS), list(WORDS.values()), default=None, return_dtype=pl.String)
        return pl.concat_str(pl.lit(f"{self.label} is '"), self.shown.str.head(40), pl.lit("', which "), ending)


def make_cells(
    scan: Scan,
    layout: Layout,
    distinct: Mapping[str, pl.Series],
    overrides: Mapping[str, Mapping[str, str] | None] | None = None,
    signed: frozenset[str] = frozenset(),
) -> dict[str, Cell]:
    """Make the cells of every column of the contract that a file has, by our names.

    `distinct` holds the distinct values of the columns that `coded_columns` names; `overrides` the local codes of a
    column; `signed` the money columns that may be negative. Raises InputError wrong_type, lost_zeros.
    """
    cells = {}
    for column in layout.table.columns:
        given = layout.given.get(column.name)
        if given is None:
            continue
        raw, dtype, label = pl.col(given), scan.schema[given], layout.label(column.name)
        if isinstance(dtype, (pl.Categorical, pl.Enum, pl.Null)):
            dtype = pl.String()
        if column.kind == "money":
            value, empty, reason = _money(raw, dtype, scan, label, column.name in signed)
        elif column.kind == "date":
            value, empty, reason = _day(raw, dtype, scan, label)
        elif column.kind == "integer":
            value, empty, reason = _whole(raw, dtype, scan, label)
        elif column.kind == "text":
            value, empty, reason = _text(raw, dtype, scan, label)
        elif isinstance(dtype, pl.Boolean) and column.kind == "flag":
            value, empty, reason = raw, raw.is_null(), _never()
        else:
            local = (overrides or {}).get(column.name)
            if column.name == "facility_level" and scan.whole and layout.is_national(column.name) and not local:
                check_leading_zeros(map(plain_code, _texts(distinct[given])), scan.place, label)
            value, empty, reason = _code(raw, dtype, column, distinct[given], local, scan, label)
        shown = raw.dt.to_string("iso") if isinstance(dtype, (pl.Date, pl.Datetime)) else raw.cast(pl.String)
        if column.kind == "text":
            shown = pl.lit("...")  # identities and diagnoses are never repeated in a message
        safe = column.kind == "text" and not dtype.is_float()
        cells[column.name] = Cell(column, label, value, empty, reason, shown, not safe)
    return cells


def text_of(scan: Scan, layout: Layout, name: str) -> pl.Expr:
    """Give the expression that reads one text column of a file as it came: trimmed, null where nothing is left."""
    dtype, text = scan.schema[layout.given[name]], pl.col(layout.given[name])
    if isinstance(dtype, (pl.Categorical, pl.Enum, pl.Null)):
        dtype, text = pl.String(), text.cast(pl.String)
    if isinstance(dtype, pl.String):
        # Not `replace`, which holds the whole column: this is asked of files larger than memory.
        stripped = text.str.strip_chars()
        text = pl.when(stripped != "").then(stripped)
    value, _, _ = _text(text, dtype, scan, layout.label(name))
    return value


def coded_columns(scan: Scan, layout: Layout) -> list[str]:
    """List, as they came, the columns whose distinct values decide how they are read."""
    return [
        layout.given[column.name]
        for column in layout.table.columns
        if column.kind in ("code", "flag")
        and column.name in layout.given
        and not isinstance(scan.schema[layout.given[column.name]], (pl.Boolean, pl.Null))
    ]


def trimmed(frame: pl.LazyFrame, scan: Scan, layout: Layout) -> pl.LazyFrame:
    """Trim the text columns of the contract, and leave null where nothing is left: the form that cells read.

    Codes are left as they came, because their distinct values are.
    """
    changed: dict[str, pl.Expr] = {}
    for column in layout.table.columns:
        given = layout.given.get(column.name)
        if given is None:
            continue
        dtype, text = scan.schema[given], pl.col(given)
        if isinstance(dtype, (pl.Categorical, pl.Enum, pl.Null)):
            dtype, text = pl.String(), text.cast(pl.String)
            changed[given] = text
        if isinstance(dtype, pl.String) and column.kind not in ("code", "flag"):
            changed[given] = text.str.strip_chars().replace("", None)
    return frame.with_columns(**changed)


_Parts = tuple[pl.Expr, pl.Expr, pl.Expr]


def _never() -> pl.Expr:
    return pl.lit(None, dtype=pl.String)


def _text(raw: pl.Expr, dtype: pl.DataType, scan: Scan, label: str) -> _Parts:
    if dtype.is_integer():
        return raw.cast(pl.String), raw.is_null(), _never()
    if dtype.is_float():
        # Numbers with gaps arrive as floats; a whole one below 2**53 is still exact.
        empty = raw.is_null() | raw.is_nan()
        whole = (raw == raw.round()) & (raw.abs() < _EXACT_FLOAT)
        value = pl.when(whole).then(raw.cast(pl.Int64, strict=False)).cast(pl.String)
        return value, empty, pl.when(~empty & value.is_null()).then(pl.lit("bad_number"))
    if not isinstance(dtype, pl.String):
        raise _wrong_type(scan, label, dtype, "text")
    return raw, raw.is_null(), _never()


def _day(raw: pl.Expr, dtype: pl.DataType, scan: Scan, label: str) -> _Parts:
    if isinstance(dtype, pl.Datetime):
        empty, day = raw.is_null(), raw.dt.date()
    elif isinstance(dtype, pl.Date):
        empty, day = raw.is_null(), raw
    elif isinstance(dtype, pl.String):
        empty = raw.is_null()
        day = pl.when(raw.str.contains(_DAY)).then(raw.str.head(10).str.to_date("%Y-%m-%d", strict=False))
    else:
        raise _wrong_type(scan, label, dtype, "a date")
    value = pl.when(day.is_between(pl.date(1, 1, 1), pl.date(9999, 12, 31))).then(day)
    return value, empty, pl.when(~empty & value.is_null()).then(pl.lit("bad_date"))


def _whole(raw: pl.Expr, dtype: pl.DataType, scan: Scan, label: str) -> _Parts:
    if dtype.is_integer():
        empty, number = raw.is_null(), raw
    elif dtype.is_float():
        empty, number = raw.is_null() | raw.is_nan(), pl.when(raw == raw.round()).then(raw)
    elif isinstance(dtype, pl.String):
        empty, number = raw.is_null(), raw.str.extract(_WHOLE, 1).cast(pl.Int32, strict=False)
    else:
        raise _wrong_type(scan, label, dtype, "a whole number")
    value = pl.when(number.is_between(0, _LARGEST_WHOLE)).then(number).cast(pl.Int32, strict=False)
    return value, empty, pl.when(~empty & value.is_null()).then(pl.lit("bad_number"))


def _money(raw: pl.Expr, dtype: pl.DataType, scan: Scan, label: str, signed: bool) -> _Parts:
    if dtype.is_integer():
        parts = _money_of_integers(raw)
    elif isinstance(dtype, pl.Decimal):
        parts = _money_of_decimals(raw, dtype)
    elif isinstance(dtype, pl.Float64):
        parts = _money_of_floats(raw)
    elif isinstance(dtype, pl.String):
        parts = _money_of_text(raw)
    else:
        # A 32-bit float cannot hold the fen of more than 167,772.15 yuan, so it is refused as a whole.
        raise _wrong_type(scan, label, dtype, "money (text, integer, Float64 or Decimal)")
    value, empty, reason = parts
    if not signed:
        reason = pl.when(value < 0).then(pl.lit("negative_amount")).otherwise(reason)
    return value, empty, reason


def _money_of_integers(raw: pl.Expr) -> _Parts:
    fits = raw.is_between(-MAX_FEN // 100, MAX_FEN // 100)
    value = pl.when(fits).then(raw.cast(pl.Int64, strict=False) * 100)
    return value, raw.is_null(), pl.when(~fits).then(pl.lit("amount_too_large"))


def _money_of_decimals(raw: pl.Expr, dtype: pl.Decimal) -> _Parts:
    cents = raw.cast(pl.Decimal(38, 2), strict=False)
    fen = cents.to_physical().cast(pl.Int64, strict=False)
    fits = fen.is_between(-MAX_FEN, MAX_FEN).fill_null(False)
    exact = cents == raw if (dtype.scale or 0) > 2 else pl.lit(True)
    value = pl.when(fits & exact).then(fen)
    reason = pl.when(raw.is_null()).then(_never()).when(~fits).then(pl.lit("amount_too_large"))
    return value, raw.is_null(), reason.when(~exact).then(pl.lit("three_decimals"))


def _money_of_floats(raw: pl.Expr) -> _Parts:
    cents = raw * 100
    fen = cents.round()
    # Within a millionth of a fen, or, for large amounts whose doubles lie apart, the double nearest to the fen.
    exact = ((cents - fen).abs() <= 1e-6) | (yuan_of(fen) == raw)
    fits = raw.abs() <= MAX_FEN / 100
    value = pl.when(exact & fits).then(fen.cast(pl.Int64, strict=False))
    reason = (
        pl.when(~raw.is_finite())
        .then(pl.lit("bad_amount"))
        .when(~fits)
        .then(pl.lit("amount_too_large"))
        .when(~exact)
        .then(pl.lit("three_decimals"))
    )
    return value, raw.is_null(), reason


def _money_of_text(text: pl.Expr) -> _Parts:
    cents = text.cast(pl.Decimal(38, 2), strict=False)
    # Checked first: the cast alone would read 1e3 and round a third decimal away.
    fen = pl.when(text.str.contains(_FEN_AMOUNT)).then(cents.to_physical().cast(pl.Int64, strict=False))
    value = pl.when(fen.is_between(-MAX_FEN, MAX_FEN)).then(fen)
    whole_digits = text.str.extract(r"^[+-]?0*([0-9]*)", 1).str.len_bytes()
    reason = (
        pl.when(text.is_null() | value.is_not_null())
        .then(_never())
        .when(~text.str.contains(_PLAIN_AMOUNT))
        .then(pl.lit("bad_amount"))
        .when((whole_digits > 13) | fen.is_not_null())
        .then(pl.lit("amount_too_large"))
        .when(text.str.contains(r"\.[0-9]{2}[0-9]*[1-9]"))
        .then(pl.lit("three_decimals"))
        .otherwise(pl.lit("bad_amount"))
    )
    return value, text.is_null(), reason


def _code(
    raw: pl.Expr,
    dtype: pl.DataType,
    column: Column,
    distinct: pl.Series,
    overrides: Mapping[str, str] | None,
    scan: Scan,
    label: str,
) -> _Parts:
    if not (dtype.is_integer() or dtype.is_float() or isinstance(dtype, (pl.String, pl.Boolean))):
        raise _wrong_type(scan, label, dtype, "a code")
    read = code_reader(column, overrides)
    known: dict[str, int] = {}
    blank = []
    for text in _texts(distinct):
        code = plain_code(text)
        position = BLANK if code in ("", "nan") and (dtype.is_float() or not code) else read(code)
        if position == BLANK:
            blank.append(text)
        elif position is not None:
            known[text] = position
    text_of = raw if isinstance(dtype, pl.String) else raw.cast(pl.String)
    value = _positions(text_of, known)
    if column.kind == "flag":
        value = value.cast(pl.Boolean)
    empty = raw.is_null() | text_of.is_in(blank) if blank else raw.is_null()
    own = f"unknown_{column.name}"
    reason = pl.lit(own if own in WORDS else "unknown_code")
    return value, empty, pl.when(~empty & value.is_null()).then(reason)


def _positions(text: pl.Expr, known: dict[str, int]) -> pl.Expr:
    if len(known) > _MANY_CODES:
        return text.replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.UInt8)
    # A chain of comparisons takes a fraction of the time and memory of a look-up while the codes are few.
    value: pl.Expr = pl.lit(None, pl.UInt8)
    for code, position in known.items():
        value = pl.when(text == code).then(pl.lit(position, pl.UInt8)).otherwise(value)
    return value


def _texts(distinct: pl.Series) -> list[str]:
    return distinct.drop_nulls().cast(pl.String).to_list()


def _wrong_type(scan: Scan, label: str, dtype: pl.DataType, wanted: str) -> InputError:
    return InputError("wrong_type", f"{scan.place}: {label} is of type {dtype}, which cannot be read as {wanted}.")
