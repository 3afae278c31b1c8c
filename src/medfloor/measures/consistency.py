"""Ask whether a printed percentage can be k of n (the GRIM test), and which k make it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.result import SCHEMA, Result
from medfloor.measures.sample import Table, frame_of
from medfloor.words import Phrase

Rounding = Literal["any", "half-up", "half-even", "truncation"]
ROUNDINGS: tuple[str, ...] = get_args(Rounding)

MOST_DECIMALS = 6
"""More decimals than this are no printed percentage, and would leave the range of exact integers."""

MOST_N = 10**9

Ints = npt.NDArray[np.int64]

LABELS = {
    "label": pl.String(),
    "percent": pl.String(),
    "verdict": pl.String(),
    "counts": pl.String(),
    "below": pl.String(),
    "above": pl.String(),
}


def consistency(table: Table, *, decimals: int | None = None, rounding: Rounding = "any") -> Result:
    """Ask of each printed percentage whether a count out of n can give it.

    Columns: `percent` as printed (text keeps the decimals of 15.80; "%" may follow), `n`, and optionally `label` and
    `part_of`. One row of the result a percentage: `verdict` possible or impossible, `counts` the k that make it ("281",
    or "280-284"), the estimate how many they are, and `below` and `above` the nearest attainable values with their k.

    `decimals` overrides how many decimals were printed (those of the text otherwise). `rounding` says how the printer
    rounded: half-up, half-even, truncation, or "any", where one of them suffices, so that nothing is called impossible
    that some way of rounding could print.

    `part_of` names the label of the row that this row is a part of. Then totals are asked too (statistic "pooled"): do
    counts of the parts and of the total exist that add up? Where parts are missing, the rest of the total may have any
    count; `counts` then gives the counts of the rest, which the print implies.

    Source: Brown and Heathers (2017), Social Psychological and Personality Science 8, 363-369, for means of integers; a
    percentage is 100 times the mean of zeros and ones. Exact integer arithmetic.

    Raises UsageError: bad_decimals, bad_choice; InputError: missing_column, bad_percent, bad_n, bad_part.

    >>> found = consistency({"label": ["major", "chronic"], "percent": ["12.55", "40.37"], "n": [417, 696]})
    >>> found.rows.select("percent", "n", "verdict", "counts", "below", "above").rows()
    [('12.55', 417, 'impossible', None, '52 (12.47)', '53 (12.71)'), ('40.37', 696, 'possible', '281', None, None)]
    """
    frame = frame_of(table)
    if rounding not in ROUNDINGS:
        raise UsageError("bad_choice", f"there is no rounding {rounding!r}; use {', '.join(ROUNDINGS)}")
    for name in ("percent", "n"):
        if name not in frame.columns:
            raise InputError("missing_column", f"the table has no column {name}; it needs percent and n")
    frame, missing = _printed(frame)
    text = _texts(frame["percent"])
    n = _sizes(frame["n"])
    scaled, places = _scaled(text, decimals)
    low, high = _range(scaled, places, n, rounding)
    labels = frame["label"].cast(pl.String) if "label" in frame.columns else pl.Series([None] * len(n), dtype=pl.String)
    checked = _checked(labels, text, n, scaled, places, low, high)
    rows = [checked]
    if "part_of" in frame.columns:
        rows.append(_pooled(labels, frame["part_of"].cast(pl.String), text, n, low, high))
    whole = pl.concat(rows)
    wrong = whole.filter(pl.col("verdict") == "impossible")["statistic"]
    special = {"percentages": len(n), **missing, "impossible": int((wrong == "consistent").sum())}
    totals = int((wrong == "pooled").sum())
    return Result(
        measure="consistency",
        rows=whole,
        definition=Phrase.of("consistency.definition", rounding=Phrase(f"rounding.{rounding.replace('-', '_')}")),
        weight=Phrase("consistency.printed"),
        errors=Phrase("consistency.exact"),
        special=special | ({"impossible_totals": totals} if totals else {}),
    )


def consistent(
    percent: str | float, n: int, *, decimals: int | None = None, rounding: Rounding = "any"
) -> tuple[int, ...]:
    """List the counts k out of n that print as this percentage; none if it is impossible.

    Text keeps its decimals: "15.80" was printed with two, 15.8 with one. Parameters and errors are those of
    `consistency`.

    >>> consistent("17.24", 696), consistent("12.55", 417), consistent("14.22", 1113)
    ((120,), (), ())
    >>> consistent("50", 3), consistent(33, 3), consistent("66", 3, rounding="half-up")
    ((), (1,), ())
    """
    low, high = _counts(percent, n, decimals, rounding)
    return tuple(range(low, high + 1))


def _counts(percent: str | float, n: int, decimals: int | None, rounding: Rounding) -> tuple[int, int]:
    if rounding not in ROUNDINGS:
        raise UsageError("bad_choice", f"there is no rounding {rounding!r}; use {', '.join(ROUNDINGS)}")
    scaled, places = _scaled(_texts(pl.Series([percent])), decimals)
    low, high = _range(scaled, places, _sizes(pl.Series([n])), rounding)
    return int(low[0]), int(high[0])


def _printed(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Leave out rows where nothing was printed, a percentage or what it is of; count them, where there are any."""
    there = frame.select(*(_is_there(frame[name]) for name in ("percent", "n"))).select(pl.all_horizontal(pl.all()))
    kept = frame.filter(there.to_series())
    if kept.is_empty():
        raise InputError("no_rows", f"none of {frame.height:,} rows has both a percent and an n; fill them in")
    missing = frame.height - kept.height
    return kept, {"missing": missing} if missing else {}


def _is_there(given: pl.Series) -> pl.Series:
    blank = given.is_nan() if given.dtype.is_float() else given.cast(pl.String).str.strip_chars() == ""
    return (given.is_not_null() & ~blank.fill_null(False)).alias(given.name)


_PLAIN = r"^[+-]?\d{1,9}(\.\d*)?$|^[+-]?\.\d+$"


def _texts(given: pl.Series) -> pl.Series:
    """Give percentages as they were printed, without the sign %."""
    if given.dtype.is_float():
        # repr gives the shortest text that is the same number: 12.55, and 15.8 for 15.80.
        text = pl.Series([None if one is None else _shortest(one) for one in given.to_list()], dtype=pl.String)
    else:
        text = (
            given.cast(pl.String).str.replace_all("％", "%").str.strip_chars().str.strip_suffix("%").str.strip_chars()
        )
    bad = ~text.str.contains(_PLAIN).fill_null(False)
    if bad.any():
        row = bad.arg_max() or 0
        raise InputError(
            "bad_percent", f"the percentage of row {row + 1} is {given[row]!r}; write it as printed, such as 12.55"
        )
    return text


def _shortest(value: float) -> str:
    if value != value or abs(value) > 1e9:
        return "?"
    text = format(Decimal(repr(value)), "f")
    return re.sub(r"\.0$", "", text)


def _sizes(given: pl.Series) -> Ints:
    numbers = given.cast(pl.Float64, strict=False)
    bad = ~((numbers >= 1) & (numbers <= MOST_N) & (numbers == numbers.floor())).fill_null(False)
    if bad.any():
        row = bad.arg_max() or 0
        raise InputError("bad_n", f"n of row {row + 1} is {given[row]!r}; it is a whole number from 1 to {MOST_N:,}")
    return numbers.cast(pl.Int64).to_numpy().astype(np.int64)


def _scaled(text: pl.Series, decimals: int | None) -> tuple[Ints, Ints]:
    """Give each percentage as an integer, and the number of its decimals: 12.55 is 1255 and 2."""
    if decimals is not None and not 0 <= decimals <= MOST_DECIMALS:
        raise UsageError("bad_decimals", f"decimals {decimals} is not between 0 and {MOST_DECIMALS}")
    fraction = text.str.extract(r"\.(\d*)$").fill_null("")
    printed = fraction.str.len_chars().cast(pl.Int64)
    if (printed > (MOST_DECIMALS if decimals is None else decimals)).any():
        most = MOST_DECIMALS if decimals is None else decimals
        row = (printed > most).arg_max() or 0
        raise UsageError(
            "bad_decimals", f"the percentage of row {row + 1} is {text[row]}, with more than {most} decimals"
        )
    places = printed if decimals is None else pl.Series([decimals], dtype=pl.Int64).new_from_index(0, len(text))
    integer = (text.str.replace(r"\..*$", "") + fraction).str.replace(r"^\+", "").cast(pl.Int64).to_numpy()
    at = places.to_numpy().astype(np.int64)
    scaled = integer.astype(np.int64) * 10 ** (at - printed.to_numpy().astype(np.int64))
    # Below 0 and above 100 nothing is possible, however far; cut there, all that follows stays exact in 64 bits.
    return np.clip(scaled, -(10**at), 102 * 10**at), at


def _range(scaled: Ints, places: Ints, n: Ints, rounding: str) -> tuple[Ints, Ints]:
    """Give the lowest and the highest k that print as the percentage; the lowest is above the highest where none does.

    With P = the printed integer and S = 100 x 10^decimals, k prints as P if S k / n lies in [P - 1/2, P + 1/2)
    (half-up), in [P, P + 1) (truncation), or between P - 1/2 and P + 1/2 with both ends for an even P and none for an
    odd one (half-even).
    """
    scale = 100 * 10**places
    half = {
        "half-up": (_up((2 * scaled - 1) * n, 2 * scale), _up((2 * scaled + 1) * n, 2 * scale) - 1),
        "truncation": (_up(scaled * n, scale), _up((scaled + 1) * n, scale) - 1),
    }
    even = scaled % 2 == 0
    lowest, highest = (2 * scaled - 1) * n, (2 * scaled + 1) * n
    half["half-even"] = (
        np.where(even, _up(lowest, 2 * scale), lowest // (2 * scale) + 1),
        np.where(even, highest // (2 * scale), _up(highest, 2 * scale) - 1),
    )
    # The three overlap or touch, so that together they are one range.
    low = np.minimum.reduce([one[0] for one in half.values()]) if rounding == "any" else half[rounding][0]
    high = np.maximum.reduce([one[1] for one in half.values()]) if rounding == "any" else half[rounding][1]
    return np.maximum(low, 0), np.minimum(high, n)


def _up(part: Ints, whole: Ints) -> Ints:
    return -(-part // whole)


def _checked(
    labels: pl.Series, text: pl.Series, n: Ints, scaled: Ints, places: Ints, low: Ints, high: Ints
) -> pl.DataFrame:
    # The nearest count below, and the next; beyond 0 and n there is a neighbour on one side only.
    under = np.clip(scaled * n // (100 * 10**places), -1, n)
    columns = {"label": labels, "percent": text, "of": n, "fewest": low, "most": high, "under": under, "places": places}
    impossible = pl.col("most") < pl.col("fewest")
    return _as_rows(
        pl.DataFrame(columns).with_columns(
            statistic=pl.lit("consistent"),
            verdict=_verdict(impossible),
            counts=pl.when(~impossible).then(_between("fewest", "most")),
            below=pl.when(impossible & (pl.col("under") >= 0)).then(_attained(pl.col("under"))),
            above=pl.when(impossible & (pl.col("under") < pl.col("of"))).then(_attained(pl.col("under") + 1)),
            estimate=pl.max_horizontal(pl.col("most") - pl.col("fewest") + 1, 0).cast(pl.Float64),
            n=pl.col("of"),
        )
    )


def _verdict(impossible: pl.Expr) -> pl.Expr:
    return pl.when(impossible).then(pl.lit("impossible")).otherwise(pl.lit("possible"))


def _between(low: str, high: str) -> pl.Expr:
    return (
        pl.when(pl.col(high) > pl.col(low)).then(pl.format("{}-{}", low, high)).otherwise(pl.col(low).cast(pl.String))
    )


def _attained(count: pl.Expr) -> pl.Expr:
    """Write a count with its percentage, rounded half up to the decimals of the printed one: 52 (12.47)."""
    unit = 10 ** pl.col("places")
    printed = (200 * unit * count + pl.col("of")) // (2 * pl.col("of"))
    fraction = (printed % unit + unit).cast(pl.Int64).cast(pl.String).str.slice(1)
    point = pl.when(pl.col("places") > 0).then(pl.lit(".")).otherwise(pl.lit(""))
    return pl.format("{} ({}{}{})", count, (printed // unit).cast(pl.Int64), point, fraction)


def _pooled(labels: pl.Series, part_of: pl.Series, text: pl.Series, n: Ints, low: Ints, high: Ints) -> pl.DataFrame:
    """Ask of each total whether its parts, and a rest that was not printed, can add up to it."""
    rows = pl.DataFrame(
        {"label": labels, "part_of": part_of.str.strip_chars(), "percent": text, "of": n, "fewest": low, "most": high}
    ).with_columns(pl.when(pl.col("part_of") != "").then(pl.col("part_of")).alias("part_of"))
    parts = (
        rows.filter(pl.col("part_of").is_not_null())
        .group_by("part_of", maintain_order=True)
        .agg(
            pl.col("of").sum().alias("parts"),
            pl.col("fewest").sum().alias("parts_low"),
            pl.col("most").sum().alias("parts_high"),
            (pl.col("most") < pl.col("fewest")).any().alias("broken"),
        )
    )
    whole = parts.join(rows.drop("part_of"), left_on="part_of", right_on="label", how="left", maintain_order="left")
    _check_parts(whole)
    rest = pl.col("of") - pl.col("parts")
    least = pl.max_horizontal(pl.lit(0), pl.col("fewest") - pl.col("parts_high"))
    most = pl.min_horizontal(rest, pl.col("most") - pl.col("parts_low"))
    impossible = pl.col("broken") | (pl.col("most") < pl.col("fewest")) | (pl.col("rest_most") < pl.col("rest_least"))
    return _as_rows(
        whole.with_columns(rest=rest, rest_least=least, rest_most=most).with_columns(
            statistic=pl.lit("pooled"),
            label=pl.col("part_of"),
            verdict=_verdict(impossible),
            counts=pl.when(~impossible & (pl.col("rest") > 0)).then(
                pl.format("{} / {}", _between("rest_least", "rest_most"), "rest")
            ),
            estimate=pl.when(impossible)
            .then(0.0)
            .otherwise((pl.col("rest_most") - pl.col("rest_least") + 1).cast(pl.Float64)),
            n=pl.col("of"),
        )
    )


def _check_parts(whole: pl.DataFrame) -> None:
    if whole["part_of"].is_duplicated().any():
        name = whole.filter(pl.col("part_of").is_duplicated())["part_of"][0]
        raise InputError("bad_part", f"part_of names {name!r}, which is the label of several rows; give it to one only")
    lost = whole.filter(pl.col("of").is_null())
    if lost.height:
        raise InputError("bad_part", f"part_of names {lost['part_of'][0]!r}, which is the label of no row")
    large = whole.filter(pl.col("parts") > pl.col("of"))
    if large.height:
        name, parts, of = large.select("part_of", "parts", "of").row(0)
        raise InputError("bad_part", f"the parts of {name!r} have n = {parts:,} together, more than its own {of:,}")


def _as_rows(made: pl.DataFrame) -> pl.DataFrame:
    text = pl.String()
    schema = {"statistic": text, **LABELS, "by": text, "group": text, "against": text, **SCHEMA}
    fixed = {"kind": pl.lit("count"), "weighted_n": pl.col("n").cast(pl.Float64)}
    made = made.with_columns(**fixed)
    return made.select(
        (pl.col(name) if name in made.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in schema.items()
    )
