"""Read settlements back in: what `medfloor settle` wrote, under our names or the national platform's."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from medfloor.errors import InputError
from medfloor.intake.cells import make_cells
from medfloor.intake.files import Scan, Source, scan_table, survey
from medfloor.intake.layout import match_columns
from medfloor.intake.rows import sift
from medfloor.tables import NATIONAL_SETTLEMENTS, SETTLEMENTS, Column, Table

_BAD = {"person_id": pl.String, "claim_id": pl.String, "reason": pl.String, "detail": pl.String}


@dataclass(frozen=True, eq=False, slots=True)
class Settlements:
    """Be the settlements of one input.

    `accepted` has claim_id, person_id, benefit_year (Int32), settled_date, own_in_scope_fen and own_total_fen (Int64),
    one `pay_<tier>_fen` a tier that the file has, and due_fen where it has `due`. `bad` lists the rows that cannot be
    used: person_id, claim_id, reason, detail. `own_total_fen` counts what the readable amounts of all rows come to,
    `own_rejected_fen` those of the bad ones. `rows` and `bad_rows` say which rows of the input were accepted, and which
    are bad.
    """

    accepted: pl.DataFrame
    bad: pl.DataFrame
    columns_in: tuple[str, ...]
    rows_in: int
    own_total_fen: int
    own_rejected_fen: int
    rows: pl.Series
    bad_rows: pl.Series


def read_settlements(source: Source, *, again: pl.Series | None = None) -> Settlements:
    """Read settlements from a CSV or Parquet file, or from a frame; money in them is yuan.

    The platform's form (setlinfo) does not say what stays with the patient inside the scope. It is worked out as the
    patient's part less what lies outside the scope (psn_part_amt - (medfee_sumamt - inscp_scp_amt)), which is too low
    where a fund paid something outside it. A second row of the same claim is refused; where the input is a part of a
    table, `again` says of each row whether it is one. Raises InputError as `read_claims`, and missing_column where
    neither own_in_scope nor total and in_scope are there.

    >>> frame = pl.DataFrame({"mdtrt_id": ["1"], "psn_no": ["9"], "year": ["2025"], "setl_time": ["2025-03-01"],
    ...     "medfee_sumamt": ["100"], "inscp_scp_amt": ["80"], "psn_part_amt": ["50.50"], "hifp_pay": ["49.50"]})
    >>> read_settlements(frame).accepted.select("own_in_scope_fen", "own_total_fen", "pay_basic_fen").row(0)
    (3050, 5050, 4950)
    """
    scan = scan_table(source, "settlements")
    table = _with_payments(scan)
    inside = [column.inside for column in table.columns]
    layout = match_columns(scan, table, reserved=("row", *(name for name in inside if name.endswith("_fen"))))
    if not layout.has("own_in_scope") and not (layout.has("total") and layout.has("in_scope")):
        raise InputError(
            "missing_column",
            f"{scan.place} has no column own_in_scope, nor total and in_scope (medfee_sumamt, inscp_scp_amt) to work "
            "it out from. Give what medfloor settle wrote.",
        )
    scan, distinct = survey(scan, ())
    signed = frozenset(column.name for column in table.columns if column.kind == "money")
    sifted = sift(scan, layout, make_cells(scan, layout, distinct, signed=signed))
    frame = sifted.frame
    if not layout.has("own_in_scope"):
        outside = pl.col("total_fen") - pl.col("in_scope_fen")
        frame = frame.with_columns((pl.col("own_total_fen") - outside).alias("own_in_scope_fen"))
    good, bad = _parted(frame, sifted.faults, again)
    wanted = [name for name in inside if name not in ("total_fen", "in_scope_fen")]
    return Settlements(
        good.select(wanted),
        bad.select(list(_BAD)),
        scan.names,
        frame.height,
        int(frame["own_total_fen"].sum()),
        int(bad["own_total_fen"].sum()),
        good["row"],
        bad["row"],
    )


def _with_payments(scan: Scan) -> Table:
    """Give the table with a column for each payment that the file has, under either name, and what is still due."""
    plain = {name.strip().lower() for name in scan.names}
    theirs = {ours: national for national, ours in NATIONAL_SETTLEMENTS.items() if ours.startswith("pay_")}
    pays = {name for name in plain if name.startswith("pay_")} | {name for name in theirs if theirs[name] in plain}
    more = [Column(name, theirs.get(name), "money") for name in sorted(pays - {"pay_total"})]
    due = [Column("due", None, "money")] if "due" in plain else []
    return Table(SETTLEMENTS.name, (*SETTLEMENTS.columns, *more, *due))


def _parted(frame: pl.DataFrame, faults: pl.DataFrame, again: pl.Series | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the rows that can be used from those that cannot, which get their reason and detail."""
    ids = frame["claim_id"]
    own = frame["own_in_scope_fen"].is_null()
    if again is None:
        again = ids.is_not_null() & ~ids.is_first_distinct()
    if not faults.height and not own.any() and not again.any():
        none = frame.clear().with_columns(pl.lit(None, pl.String).alias(name) for name in ("reason", "detail"))
        return frame, none
    said = frame.join(faults, on="row", how="left", maintain_order="left").with_columns(
        own.alias("_own"), again.alias("_again")
    )
    judged = said.with_columns(
        pl.coalesce(
            pl.col("reason"),
            pl.when("_own").then(pl.lit("missing_value")),
            pl.when("_again").then(pl.lit("duplicate_claim_id")),
        ).alias("reason"),
        pl.coalesce(
            pl.col("detail"),
            pl.when("_own").then(pl.lit("what stays with the patient inside the scope is empty")),
            pl.when("_again").then(pl.lit("a row before this one settles the same claim")),
        ).alias("detail"),
    )
    return judged.filter(pl.col("reason").is_null()), judged.filter(pl.col("reason").is_not_null())
