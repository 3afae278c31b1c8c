"""Say why rows are refused: the first fault of a row, as a stable code and a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from medfloor.intake.cells import Cell
from medfloor.intake.files import Scan, collect
from medfloor.tables import REASONS

POSITION = "__position"
"""The column that holds a row's place in the input while rows are fetched again."""


@dataclass(frozen=True, eq=False, slots=True)
class Fault:
    """Be one way in which a row can be wrong: when it is, the reason code, and a sentence about it."""

    when: pl.Expr
    reason: pl.Expr
    detail: pl.Expr

    @classmethod
    def of(cls, when: pl.Expr, reason: str, detail: pl.Expr | str) -> Fault:
        """Make a fault with one known reason."""
        assert reason in REASONS, reason
        return cls(when, pl.lit(reason), pl.lit(detail) if isinstance(detail, str) else detail)


def cell_faults(cells: Iterable[Cell], waived: dict[str, pl.Expr] | None = None) -> list[Fault]:
    """List the faults of single cells in the order of the contract: empty where needed, or unreadable.

    `waived` says, by column, in which rows a fault of its cell does not count.
    """
    faults = []
    for cell in cells:
        name, required = cell.column.name, cell.column.required
        counts = ~waived[name] if waived and name in waived else pl.lit(True)
        if required:
            faults.append(Fault.of(cell.empty & counts, "missing_value", f"{cell.label} is empty"))
        # Where a row need not have the value, an unreadable code in it is still a fault; an amount is not.
        still = pl.lit(True) if cell.column.kind == "code" else counts
        faults.append(Fault(cell.reason.is_not_null() & still, cell.reason, cell.detail))
    return faults


def first_fault(faults: Sequence[Fault]) -> tuple[pl.Expr, pl.Expr]:
    """Give the reason and the detail of the first fault of a row."""
    reason = pl.coalesce(*[pl.when(fault.when).then(fault.reason) for fault in faults])
    detail = pl.coalesce(*[pl.when(fault.when).then(fault.detail) for fault in faults])
    return reason.alias("reason"), detail.alias("detail")


def fetch_rows(scan: Scan, rows: pl.Series) -> pl.DataFrame:
    """Read some rows of the input once more, exactly as they came, by position; POSITION stands first."""
    wanted = rows.cast(pl.UInt32).alias(POSITION).to_frame()
    numbered = scan.frame.with_row_index(POSITION)
    return collect(scan, numbered.join(wanted.lazy(), on=POSITION, how="semi")).sort(POSITION)


def no_rows(scan: Scan) -> pl.DataFrame:
    """Make the empty table of rejects of an input."""
    kept = {name: dtype for name, dtype in scan.schema.items() if name not in ("reason", "detail")}
    return pl.DataFrame(schema={**kept, "reason": pl.String, "detail": pl.String})


def as_rejects(raw: pl.DataFrame, reason: pl.Series, detail: pl.Series) -> pl.DataFrame:
    """Put reason and detail behind rows as they came; those of an earlier run, in a corrected file, give way."""
    plain = raw.drop(POSITION, "reason", "detail", strict=False)
    return plain.with_columns(reason.alias("reason"), detail.alias("detail"))


def keep_rows(frame: pl.DataFrame, keep: pl.Series) -> pl.DataFrame:
    """Keep some rows, column by column, so that no second copy of the whole table is ever held.

    The frame is emptied on the way: it is not to be used afterwards.
    """
    if keep.all():
        return frame
    kept = []
    for name in frame.columns:
        kept.append(frame.drop_in_place(name).filter(keep))
    return pl.DataFrame(kept)
