"""Read the answers of one survey column: codes for missing, codes that mean zero, yes and no, several answers at once.

A code is never dropped silently: how often each stood in the column comes back with the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from medfloor.layouts import InsuranceKind

MEDICAL = ("医", "合作", "medic", "health")
"""A label of an insurance has one of these where the insurance pays for care: a pension is insurance, too."""

INSURED = ("government", "employee", "urban_resident", "supplementary", "rural_cooperative", "resident")


@dataclass(frozen=True, eq=False, slots=True)
class Answers:
    """Be one column that was read: values, and by code (and what it was read as) how many rows had it."""

    values: pl.Series
    codes: dict[tuple[str, str], int] = field(default_factory=dict)


def read_numbers(raw: pl.Series, *, missing: Sequence[int], zero: Sequence[int] = (), signed: bool = False) -> Answers:
    """Read numbers: `missing` codes become null, `zero` codes 0.

    In a column that cannot be negative any other negative number is missing as well, counted as `other_negative`; text
    that is no number is counted as `not_a_number`. In a `signed` one only the codes themselves are missing, so that a
    truth of exactly -8 yuan is lost and any other negative amount is kept.

    >>> read = read_numbers(pl.Series([5.0, -8.0, -1.0, -300.0]), missing=[-1, -2, -8], zero=[-8])
    >>> read.values.to_list(), read.codes
    ([5.0, 0.0, None, None], {('-1', 'missing'): 1, ('-8', 'zero'): 1, ('other_negative', 'missing'): 1})
    >>> read_numbers(pl.Series([-8.0, -300.0]), missing=[-8], signed=True).values.to_list()
    [None, -300.0]
    """
    number, unreadable = _as_number(raw)
    counts: dict[tuple[str, str], int] = {}
    value = pl.col("x")
    for code in dict.fromkeys([*missing, *zero]):
        found = int((number == code).sum())
        if found:
            counts[str(code), "zero" if code in zero else "missing"] = found
        value = pl.when(pl.col("x") == code).then(0.0 if code in zero else None).otherwise(value)
    known = [float(code) for code in dict.fromkeys([*missing, *zero])]
    if not signed:
        others = int(((number < 0) & ~number.is_in(known)).sum())
        if others:
            counts["other_negative", "missing"] = others
        value = pl.when((pl.col("x") < 0) & ~pl.col("x").is_in(known)).then(None).otherwise(value)
    if unreadable:
        counts["not_a_number", "missing"] = unreadable
    return Answers(number.to_frame("x").select(value.cast(pl.Float64).alias(raw.name)).to_series(), counts)


def read_ids(raw: pl.Series, *, missing: Sequence[int]) -> Answers:
    """Read identifiers as text without decimals; zero and negative ones are missing.

    >>> read_ids(pl.Series([110001.0, -8.0]), missing=[-8]).values.to_list()
    ['110001', None]
    """
    if raw.dtype == pl.String:
        text = raw.str.strip_chars().str.replace(r"\.0+$", "")
        value = text.set(text.str.contains(r"^(-.*|0*|\.|NA|NaN)$").fill_null(False), None)
        return Answers(value, {})
    read = read_numbers(raw, missing=missing)
    whole = read.values.cast(pl.Int64, strict=False)
    return Answers(whole.set((whole <= 0).fill_null(False), None).cast(pl.String), read.codes)


def read_codes(raw: pl.Series, *, missing: Sequence[int], words: Mapping[int, str] | None = None) -> Answers:
    """Read codes as text (`3`), or as `words` where those are given.

    >>> read_codes(pl.Series([1.0, 3.0, -9.0]), missing=[-9], words={1: "urban"}).values.to_list()
    ['urban', '3', None]
    """
    if raw.dtype == pl.String and raw.cast(pl.Float64, strict=False).null_count() > raw.null_count():
        return Answers(raw.str.strip_chars(), {})
    read = read_numbers(raw, missing=missing)
    text = read.values.cast(pl.Int64, strict=False).cast(pl.String)
    if words:
        text = text.replace({str(code): word for code, word in words.items()})
    return Answers(text, read.codes)


def read_flag(raw: pl.Series, *, missing: Sequence[int]) -> Answers:
    """Read yes and no as 1 and 0: 1 is yes, 0 and 5 are no (waves differ), 79 and everything else is missing.

    >>> read_flag(pl.Series([1.0, 0.0, 5.0, 79.0, -8.0]), missing=[-8]).values.to_list()
    [1, 0, 0, None, None]
    """
    read = read_numbers(raw, missing=[*missing, 79])
    values = read.values.replace_strict([1.0, 0.0, 5.0], [1, 0, 0], default=None, return_dtype=pl.Int8)
    others = values.null_count() - read.values.null_count()
    return Answers(values, read.codes | ({("other_code", "missing"): others} if others else {}))


def read_insurance(
    slots: Mapping[str, pl.Series],
    words: Mapping[str, Mapping[Any, str]],
    kinds: Sequence[InsuranceKind],
    *,
    missing: Sequence[int],
    words_only: bool = False,
) -> tuple[dict[str, pl.Series], dict[tuple[str, str], int], bool]:
    """Read the slots of a question about insurance: which kinds a person has.

    Where the file gives words to its codes, a kind is known by its word; else by its code, unless `words_only` says
    that the codes of this wave mean something else. Gives `insurance_codes` (the codes as they stand, `2;4`), `insured`
    (1 with any kind that pays for care, 0 without), `rural_cooperative` (0, 1) and `scheme` (employee before resident,
    none; null where neither is known), the counts of codes, and whether words were read. In `words_only` waves without
    words only the codes come back.
    """
    counts: dict[tuple[str, str], int] = {}
    read = {}
    for name, raw in slots.items():
        one = read_numbers(raw, missing=missing)
        read[name] = one.values.cast(pl.Int64, strict=False)
        for key, found in one.codes.items():
            counts[key] = counts.get(key, 0) + found
    by_word = {code: _kind_of(word, kinds) for labels in words.values() for code, word in labels.items()}
    by_word = {code: kind for code, kind in by_word.items() if float(code) >= 0}
    has_words = bool(by_word)
    meaning: dict[int, str] = {}
    if has_words:
        meaning = {int(float(code)): kind for code, kind in by_word.items() if kind}
    elif not words_only:
        meaning = {kind.code: kind.kind for kind in kinds}
    frame = pl.DataFrame(read)
    codes = frame.select(
        pl.concat_list(pl.all()).list.drop_nulls().list.unique().list.sort().alias("codes")
    ).to_series()
    text = codes.cast(pl.List(pl.String)).list.join(";")
    answered = codes.list.len() > 0
    held = {kind: _holds(codes, [code for code, known in meaning.items() if known == kind]) for kind in set(INSURED)}
    anything = _either(held[kind] for kind in INSURED)
    told = pl.DataFrame({"answered": answered, "any": anything, **held})
    known = bool(meaning)
    out = told.select(
        insured=pl.when("answered").then(pl.col("any")).cast(pl.Int8) if known else pl.lit(None, pl.Int8),
        rural_cooperative=pl.when("answered").then("rural_cooperative").cast(pl.Int8)
        if known
        else pl.lit(None, pl.Int8),
        scheme=pl.when("employee")
        .then(pl.lit("employee"))
        .when(pl.col("urban_resident") | pl.col("rural_cooperative") | pl.col("resident"))
        .then(pl.lit("resident"))
        .when(pl.col("answered") & ~pl.col("any"))
        .then(pl.lit("none"))
        if known
        else pl.lit(None, pl.String),
    )
    # A select of literals alone has one row, whatever the table's length.
    made = out if out.height == told.height else pl.concat([out] * told.height) if told.height else out.clear()
    values = {"insurance_codes": text.set(text == "", None), **{name: made[name] for name in made.columns}}
    return values, counts, has_words


def _as_number(raw: pl.Series) -> tuple[pl.Series, int]:
    if raw.dtype == pl.String:
        text = raw.str.strip_chars()
        text = text.set(text.str.contains(r"^(|\.[a-z]?|NA|NaN)$").fill_null(False), None)
        number = text.cast(pl.Float64, strict=False).fill_nan(None)
        return number, number.null_count() - text.null_count()
    return raw.cast(pl.Float64, strict=False).fill_nan(None), 0


def _kind_of(word: str, kinds: Sequence[InsuranceKind]) -> str:
    plain = word.strip().lower()
    if not any(part in plain for part in MEDICAL):
        return ""
    return next((kind.kind for kind in kinds if any(part in plain for part in kind.words)), "")


def _holds(codes: pl.Series, wanted: list[int]) -> pl.Series:
    if not wanted:
        return pl.Series([False] * codes.len(), dtype=pl.Boolean)
    return (
        pl.DataFrame({"c": codes})
        .select(pl.any_horizontal(pl.col("c").list.contains(code) for code in wanted))
        .to_series()
    )


def _either(flags: Any) -> pl.Series:
    return pl.DataFrame({str(i): flag for i, flag in enumerate(flags)}).select(pl.any_horizontal(pl.all())).to_series()
