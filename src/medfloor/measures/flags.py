"""Read columns of yes and no, however a survey wrote them."""

from __future__ import annotations

import polars as pl

from medfloor.errors import InputError
from medfloor.measures.sample import Source, column

YES = ("yes", "y", "true", "1", "是", "有")
NO = ("no", "n", "false", "0", "否", "无", "没有")
"""Words of text columns, in lower case; blanks around them do not count. Numbers such as 1.0 are numbers."""


def flag(frame: pl.DataFrame, source: Source, name: str) -> pl.Expr:
    """Read a column as 1 (yes) and 0 (no), null where it is missing: booleans, the numbers 1 and 0, or words.

    Raises InputError: missing_column, not_yes_no.

    >>> frame = pl.DataFrame({"ill": ["yes", "否", None]})
    >>> frame.select(flag(frame, "ill", "ill")).to_series().to_list()
    [1.0, 0.0, None]
    """
    given = column(frame, source, name)
    if given.dtype == pl.Boolean:
        read = given.cast(pl.Float64)
    elif given.dtype.is_numeric():
        read = given.cast(pl.Float64).fill_nan(None)
    elif given.null_count() == len(given):
        read = pl.Series([None] * len(given), dtype=pl.Float64)
    else:
        text = given.cast(pl.String).str.strip_chars().str.to_lowercase()
        as_number = text.cast(pl.Float64, strict=False)
        words = {**dict.fromkeys(YES, 1.0), **dict.fromkeys(NO, 0.0)}
        read = text.replace_strict(words, default=as_number, return_dtype=pl.Float64)
        unread = read.is_null() & text.is_not_null()
        read = read.set(unread, 2.0)
    neither = read.is_not_null() & (read != 0) & (read != 1)
    if neither.any():
        # The value itself is not repeated: where a wrong column was named, it may be a diagnosis.
        raise InputError(
            "not_yes_no",
            f"column {name} is neither yes nor no in row {(neither.arg_max() or 0) + 1}; write yes/no, 1/0, 是/否, or "
            f"map it to a condition: {name}=case when ... then 1 else 0 end",
        )
    return pl.lit(read)
