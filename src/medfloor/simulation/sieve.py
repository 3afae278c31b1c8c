"""Be the rows of a survey that can be simulated, and those set aside: a household is whole, or it is set aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

SPENDING = ("inpatient", "outpatient")
ONCE = ("size", "consumption")
"""What a household has once, whichever of its rows says it."""

_OLDEST = 130


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """Be the rows of a survey that are used, and those set aside, with what they spend, in yuan.

    `rejects` has the rows set aside in our columns, as text, with reason and detail; `rows_in` = rows used + rows set
    aside, and `spent_in` = `spent` + `spent_aside` (readable amounts only). `unknown` counts amounts among the rows set
    aside that are missing or unreadable, `zeroed` missing ones that were taken as zero because it was asked for.
    """

    frame: pl.DataFrame
    rejects: pl.DataFrame
    rows_in: int
    homes_aside: int
    spent_in: float
    spent: float
    spent_aside: float
    unknown: int
    zeroed: int

    @property
    def reasons(self) -> dict[str, int]:
        """Count the rows set aside by reason."""
        counts = self.rejects["reason"].value_counts(sort=True)
        return {str(reason): int(number) for reason, number in counts.iter_rows()}


def sifted(frame: pl.DataFrame, *, zero: bool, unreadable: pl.DataFrame | None = None) -> Sifted:
    """Set aside the rows of a survey that cannot be simulated, and with each its whole household.

    A household's burden is that of all its members: with one of them unknown it would look lighter than it is. Reasons:
    `missing_value` (household_id, spending, or what a household has once), `bad_number`, `negative_amount` (such as
    the codes -1 and -8), `duplicate_person`, and `bad_household` for rows whose housemates have one of these, or do
    not say the same of the household. With `zero` a missing amount of spending is zero; without, it is zero only where
    `stays` says that there was no admission. `unreadable` are rows that could not even be read, in our columns, with
    reason and detail.

    >>> rows = pl.DataFrame({"household_id": ["a", "a", "b"], "inpatient": [1.0, None, 2.0], "consumption": [9.0] * 3})
    >>> found = sifted(rows, zero=False)
    >>> found.frame["household_id"].to_list(), found.rejects["reason"].to_list()
    (['b'], ['bad_household', 'missing_value'])
    """
    spends = [one for one in SPENDING if one in frame.columns]
    read, faults = _read(frame)
    filled = _filled(read, spends, zero)
    zeroed = sum(read[one].null_count() - filled[one].null_count() for one in spends) if zero else 0
    faults += list(_faults(filled, spends))
    reason = pl.coalesce(*(pl.when(when).then(pl.lit(code)) for when, code, _ in faults))
    detail = pl.coalesce(*(pl.when(when).then(told) for when, _, told in faults))
    told = filled.with_columns(reason.alias("_reason"), detail.alias("_detail"))
    lost = told.filter(pl.col("_reason").is_not_null())["household_id"].drop_nulls().unique()
    if unreadable is not None and "household_id" in unreadable.columns:
        lost = pl.concat([lost, unreadable["household_id"].drop_nulls().cast(pl.String)]).unique()
    mates = pl.col("household_id").is_in(lost.implode()).fill_null(False)
    told = told.with_columns(
        pl.col("_reason").fill_null(pl.when(mates).then(pl.lit("bad_household"))),
        pl.col("_detail").fill_null(pl.format("another row of household {} cannot be used", pl.col("household_id"))),
    )
    aside = told["_reason"].is_not_null()
    rejects = frame.filter(aside).cast(pl.String).with_columns(
        told.filter(aside)["_reason"].alias("reason"), told.filter(aside)["_detail"].alias("detail")
    )  # fmt: skip
    if unreadable is not None and unreadable.height:
        rejects = pl.concat([rejects, unreadable.cast(pl.String)], how="diagonal_relaxed")
    used = filled.filter(~aside)
    spent, left = _spent(used, spends), _spent(rejects, spends)
    return Sifted(
        used, rejects, used.height + rejects.height, rejects["household_id"].n_unique(), spent[0] + left[0], spent[0],
        left[0], left[1], zeroed,
    )  # fmt: skip


Fault = tuple[pl.Expr, str, pl.Expr]


def _read(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Fault]]:
    """Read the numbers; a cell that is there and is none is a fault."""
    made, faults = [], []
    for name in (*SPENDING, *ONCE, "stays", "age", "oop_outside"):
        if name in frame.columns:
            number = pl.col(name).cast(pl.Float64, strict=False)
            made.append(pl.when(number.is_finite()).then(number).alias(name))
            bad = (frame[name].is_not_null() & ~frame.select(number.is_finite().fill_null(False)).to_series()).rename(
                f"_bad_{name}"
            )
            if bad.any():
                raw = frame[name].cast(pl.String).fill_null("")
                faults.append((pl.lit(bad), "bad_number", pl.lit(pl.Series([f"{name} is {one!r}" for one in raw]))))
    return frame.with_columns(made), faults


def _filled(frame: pl.DataFrame, spends: list[str], zero: bool) -> pl.DataFrame:
    if "inpatient" in spends and "stays" in frame.columns:
        # A questionnaire asks what a stay cost only where there was one.
        none = (pl.col("stays") == 0) & pl.col("inpatient").is_null()
        frame = frame.with_columns(pl.when(none).then(0.0).otherwise(pl.col("inpatient")).alias("inpatient"))
    return frame.with_columns(pl.col(one).fill_null(0.0) for one in spends) if zero else frame


def _faults(frame: pl.DataFrame, spends: list[str]) -> Iterator[Fault]:
    yield pl.col("household_id").is_null(), "missing_value", pl.lit("household_id is empty")
    for name in (*spends, "stays", "age", "oop_outside"):
        if name in frame.columns:
            told = pl.format(f"{name} is {{}}; a code for missing is to be made empty", pl.col(name))
            yield pl.col(name) < 0, "negative_amount", told
    if "age" in frame.columns:
        yield pl.col("age") > _OLDEST, "bad_number", pl.format("age is {}", pl.col("age"))
    for name in spends:
        yield pl.col(name).is_null(), "missing_value", pl.lit(f"{name} is empty")
    if "person_id" in frame.columns:
        yield pl.col("person_id").is_null(), "missing_value", pl.lit("person_id is empty")
        told = pl.format("person_id {} stands in several rows", pl.col("person_id"))
        yield pl.col("person_id").is_duplicated(), "duplicate_person", told
    for name in ONCE:
        if name in frame.columns:
            yield pl.col(name).max().over("household_id").is_null(), "missing_value", pl.lit(f"{name} is empty")
            yield pl.col(name) < 0, "negative_amount", pl.format(f"{name} is {{}}", pl.col(name))
            unlike = pl.col(name).drop_nulls().n_unique().over("household_id") > 1
            yield unlike, "bad_household", pl.lit(f"rows of this household differ in {name}")
    if "size" in frame.columns:
        yield pl.col("size") <= 0, "bad_number", pl.format("size is {}", pl.col("size"))


def _spent(frame: pl.DataFrame, spends: list[str]) -> tuple[float, int]:
    """Add up the readable amounts, and count the others."""
    amounts = [frame[one].cast(pl.Float64, strict=False) for one in spends if one in frame.columns]
    known = [one.filter(one.is_finite().fill_null(False) & (one >= 0)) for one in amounts]
    whole = sum(float(one.sum()) for one in known)
    return whole, sum(frame.height - len(one) for one in known)
