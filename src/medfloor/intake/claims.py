"""Read claims: one row a stay or a visit, under our names or the national platform's.

Rows that can be settled come back as `accepted`, all others as `rejected` with a reason; together they are the rows
that came in. The file is read twice at most: once for all its columns in batches, and once more, only where rows are
refused, to hand them back exactly as they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from medfloor.intake.cells import Cell, coded_columns, make_cells, text_of, trimmed
from medfloor.intake.files import Scan, Source, collect, scan_table, sum_fen, survey
from medfloor.intake.layout import Layout, match_columns
from medfloor.intake.rejects import (
    POSITION,
    Fault,
    as_rejects,
    cell_faults,
    fetch_rows,
    first_fault,
    keep_rows,
    no_rows,
)
from medfloor.tables import CLAIMS, REASONS, WITHIN

_MONEY = tuple(column for column in CLAIMS.columns if column.kind == "money")
_PARTS = ("off_catalogue", "over_limit", "first_self_pay", "in_scope")
_NEEDLESS_IN_REVERSAL = ("care_type", "facility_level", *(column.name for column in _MONEY))
_INSIDE = tuple(column.inside for column in CLAIMS.columns)
_READABLE = "__readable"
_RESERVED = (*_INSIDE, *WITHIN, _READABLE)
_EMPTY = "__empty_"


@dataclass(frozen=True, eq=False, slots=True)
class Claims:
    """Be the claims of one input, sifted.

    `accepted` holds the columns of the contract in their inside form (money Int64 fen, codes UInt8 positions in the
    tuples of `medfloor.tables`, every column present), then the carried columns, then `row`, the position in the
    input. `rejected` holds the refused rows as they came, plus reason and detail. Money sums are over `total`, in fen;
    a row that reverses another counts 0, and an amount that cannot be read counts nothing.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    columns_in: tuple[str, ...]
    carried: tuple[str, ...]
    rows_in: int
    money_in_fen: int
    money_rejected_fen: int
    national: bool
    decimal_money: bool
    rejected_rows: pl.Series = field(repr=False)
    scan: Scan = field(repr=False)

    def refuse(self, refusals: pl.DataFrame) -> Claims:
        """Move accepted rows to the rejected, for reasons that show only later (an unknown person, say).

        `refusals` has columns row, reason (a code of tables.REASONS) and detail; of several for one row the first
        counts, and rows that are not among the accepted are passed over.

        >>> frame = pl.DataFrame({"claim_id": ["1"], "person_id": ["9"], "care_type": ["inpatient"],
        ...     "start_date": ["2024-05-01"], "end_date": ["2024-05-03"], "facility_level": ["3"],
        ...     "total": ["12.50"], "in_scope": ["12.50"]})
        >>> claims = read_claims(frame)
        >>> late = pl.DataFrame({"row": [0], "reason": ["unknown_person"], "detail": ["person_id is not in people"]})
        >>> claims.refuse(late).rejected["reason"].to_list()
        ['unknown_person']
        """
        if refusals.is_empty():
            return self
        wanted = refusals.select(pl.col("row").cast(pl.UInt32), "reason", "detail").unique("row", keep="first")
        wanted = wanted.join(self.accepted.select("row"), on="row", how="semi").sort("row")
        assert set(wanted["reason"]) <= REASONS.keys(), "reasons are declared in tables.REASONS"
        if wanted.is_empty():
            return self
        raw = fetch_rows(self.scan, wanted["row"])
        rejected = pl.concat([self.rejected, as_rejects(raw, wanted["reason"], wanted["detail"])], how="vertical")
        rows = pl.concat([self.rejected_rows, wanted["row"]])
        order = rows.arg_sort()
        leaves = self.accepted["row"].is_in(wanted["row"].implode())
        return replace(
            self,
            accepted=self.accepted.filter(~leaves),
            rejected=rejected[order],
            rejected_rows=rows.gather(order),
            money_rejected_fen=self.money_rejected_fen + sum_fen(self.accepted["total_fen"].filter(leaves)),
        )


def read_claims(
    source: Source,
    *,
    med_type: Mapping[str, str] | None = None,
    hosp_lv: Mapping[str, str] | None = None,
    distinct: Mapping[str, pl.Series] | None = None,
) -> Claims:
    """Read claims from a CSV or Parquet file, or from a frame, and refuse the rows that cannot be settled.

    `med_type` and `hosp_lv` are a place's own codes, by prefix, which override the national ones. Money is yuan and
    dates are ISO in the input. A row that reverses another (`reverses` is set) needs no amounts, care type or level:
    its amounts are ignored and read as 0. All rows of a claim_id that occurs twice are refused, because which one
    counts is not ours to guess. `distinct` brings what `read_keys` found of the whole file, where this is a part of it.

    Raises InputError: file_not_found, unknown_format, empty_file, broken_csv, broken_parquet, missing_column,
    ambiguous_column, reserved_column, wrong_type, lost_zeros.

    >>> frame = pl.DataFrame({"mdtrt_id": ["1", "2"], "psn_no": ["9", "9"], "med_type": ["21", "11"],
    ...     "begndate": ["2024-05-01", "2024-06-01"], "enddate": ["2024-05-03", "2024-06-01"], "hosp_lv": ["02", "09"],
    ...     "medfee_sumamt": ["1300.00", "80"], "inscp_scp_amt": ["1300", "79.99"]})
    >>> claims = read_claims(frame)
    >>> claims.accepted["total_fen"].to_list(), claims.rejected["reason"].to_list()
    ([130000], ['parts_not_total'])
    """
    scan = scan_table(source, "claims")
    layout = match_columns(scan, CLAIMS, reserved=_RESERVED if scan.whole else ())
    if distinct is None:
        scan, distinct = survey(scan, coded_columns(scan, layout))
    cells = make_cells(scan, layout, distinct, {"care_type": med_type, "facility_level": hosp_lv})
    frame = _read_values(scan, layout, cells)
    readable, twice = frame.drop_in_place(_READABLE), _repeated(frame["claim_id"])
    keep = readable if twice is None else readable & ~twice
    money_in_fen = sum_fen(frame["total_fen"])
    rows_in = frame.height
    rejected, rows, money_rejected_fen = no_rows(scan), pl.Series("row", [], pl.UInt32), 0
    if not keep.all():
        rows = frame["row"].filter(~keep)
        money_rejected_fen = sum_fen(frame["total_fen"].filter(~keep))
        rejected = _explain(scan, layout, cells, rows, twice)
    return Claims(
        accepted=_complete(keep_rows(frame, keep), layout),
        rejected=rejected,
        columns_in=scan.names,
        carried=layout.carried,
        rows_in=rows_in,
        money_in_fen=money_in_fen,
        money_rejected_fen=money_rejected_fen,
        national=layout.national,
        decimal_money=any(
            isinstance(scan.schema[layout.given[column.name]], pl.Decimal)
            for column in _MONEY
            if layout.has(column.name)
        ),
        rejected_rows=rows,
        scan=scan,
    )


@dataclass(frozen=True, eq=False, slots=True)
class Keys:
    """Be what ties the rows of a claims file together: expressions over `scan.frame`, as `read_claims` reads them.

    They are null where a cell is empty; `continues` and `reverses` are None where the file lacks the column. `distinct`
    has the distinct values of the columns that hold codes.
    """

    scan: Scan
    claim_id: pl.Expr
    person_id: pl.Expr
    continues: pl.Expr | None
    reverses: pl.Expr | None
    distinct: Mapping[str, pl.Series]


def read_keys(
    source: Source, *, med_type: Mapping[str, str] | None = None, hosp_lv: Mapping[str, str] | None = None
) -> Keys:
    """Look at a claims file as a whole, reading no row but for what codes it holds, so that it can be read in parts.

    Raises InputError as `read_claims` does.
    """
    scan = scan_table(source, "claims")
    layout = match_columns(scan, CLAIMS, reserved=_RESERVED)
    scan, distinct = survey(scan, coded_columns(scan, layout))
    make_cells(scan, layout, distinct, {"care_type": med_type, "facility_level": hosp_lv})

    def text(name: str) -> pl.Expr | None:
        return text_of(scan, layout, name) if layout.has(name) else None

    claim_id, person_id = text_of(scan, layout, "claim_id"), text_of(scan, layout, "person_id")
    return Keys(scan, claim_id, person_id, text("continues"), text("reverses"), distinct)


def _read_values(scan: Scan, layout: Layout, cells: dict[str, Cell]) -> pl.DataFrame:
    """Read every column in one pass; __readable says whether the row has no fault of its own."""
    values, empties = [], []
    for name, cell in cells.items():
        values.append(cell.value.alias(cell.column.inside))
        if cell.may_be_unreadable and (not cell.column.required or name in _NEEDLESS_IN_REVERSAL):
            empties.append(cell.empty.alias(_EMPTY + name))
    carried = [pl.col(name) for name in layout.carried]
    # In steps, because each expression of a step is worked out anew wherever it is written.
    query = (
        trimmed(scan.frame, scan, layout)
        .with_row_index(POSITION)
        .select(*values, *carried, pl.col(POSITION).alias("row"), *empties)
    )
    query = query.with_columns(pl.all_horizontal(_readable_flags(cells)).alias(_READABLE), *_filled(cells))
    parts = [pl.col(f"{name}_fen") for name in _PARTS if layout.has(name)]
    together = pl.col(_READABLE) & (pl.col("end_date") >= pl.col("start_date"))
    together &= sum(parts[1:], parts[0]) == pl.col("total_fen")
    # Nulls remain only in rows that are unreadable already; they are not to turn the flag itself into a null.
    query = query.with_columns(together.fill_null(False).alias(_READABLE)).drop(f"^{_EMPTY}.*$")
    if layout.has("settled_date"):
        query = query.with_columns(pl.col("settled_date").fill_null(pl.col("end_date")))
    return collect(scan, query)


def _readable_flags(cells: dict[str, Cell]) -> list[pl.Expr]:
    """Say of every column that was read whether its cell is as it should be."""
    flags = []
    for name, cell in cells.items():
        value, empty = pl.col(cell.column.inside), pl.col(_EMPTY + name)
        if not (cell.may_be_unreadable or cell.column.required):
            continue
        if cell.column.kind == "money":
            good = (value >= 0).fill_null(False)
        elif cell.column.kind == "text":
            good = (value != "").fill_null(False)
        else:
            good = value.is_not_null()
        if not cell.column.required:
            good |= empty
        if "reverses" in cells and name in _NEEDLESS_IN_REVERSAL:
            reversing = pl.col("reverses").is_not_null()
            good |= reversing if cell.column.kind == "money" else reversing & empty
        flags.append(good)
    return flags


def _filled(cells: dict[str, Cell]) -> list[pl.Expr]:
    """Put defaults into empty cells, and nought into what a reversal need not say."""
    filled = []
    for name, cell in cells.items():
        value, default = pl.col(cell.column.inside), _default(name)
        needless = "reverses" in cells and name in _NEEDLESS_IN_REVERSAL
        if cell.column.kind == "money":
            if default is not None:
                value = pl.when(pl.col(_EMPTY + name)).then(pl.lit(0, pl.Int64)).otherwise(value)
            if needless:
                value = pl.when(pl.col("reverses").is_not_null()).then(pl.lit(0, pl.Int64)).otherwise(value)
        elif default is not None or needless:
            value = value.fill_null(pl.lit(default or 0, pl.UInt8))
        else:
            continue
        filled.append(value.alias(cell.column.inside))
    return filled


def _reversing(cells: dict[str, Cell]) -> pl.Expr | None:
    return cells["reverses"].value.is_not_null() if "reverses" in cells else None


def _default(name: str) -> int | None:
    column = CLAIMS.column(name)
    if column.default is None:
        return None
    return column.codes.index(column.default) if column.codes else int(column.default)


def _repeated(ids: pl.Series) -> pl.Series | None:
    """Mark the rows whose claim_id another row has too; None where all differ, which is found out cheaply."""
    if ids.len() < 2:
        return None
    known = ids if ids.null_count() == 0 else ids.drop_nulls()
    if (known > known.shift(1)).all():
        return None
    # Ids of different hash are different; only when two hashes agree are the ids themselves compared.
    if known.hash().n_unique() == known.len():
        return None
    twice = ids.is_duplicated() & ids.is_not_null()
    return twice if twice.any() else None


def _explain(
    scan: Scan, layout: Layout, cells: dict[str, Cell], rows: pl.Series, twice: pl.Series | None
) -> pl.DataFrame:
    """Fetch the refused rows as they came and put the first fault of each into words."""
    raw = fetch_rows(scan, rows)
    reversing = _reversing(cells)
    waived = {} if reversing is None else dict.fromkeys(_NEEDLESS_IN_REVERSAL, reversing)
    faults = cell_faults(cells.values(), waived)
    label = layout.label
    days = [cells[name].value for name in ("start_date", "end_date")]
    faults.append(
        Fault.of(
            days[1] < days[0],
            "end_before_start",
            pl.format(
                f"{label('end_date')} is {{}}, before {label('start_date')} {{}}",
                days[1].dt.to_string("iso"),
                days[0].dt.to_string("iso"),
            ),
        )
    )
    present = [name for name in _PARTS if name in cells]
    parts_fen = pl.sum_horizontal([cells[name].value for name in present])
    total_fen = cells["total"].value
    unequal = (parts_fen != total_fen) & (pl.lit(True) if reversing is None else ~reversing)
    faults.append(
        Fault.of(
            unequal,
            "parts_not_total",
            pl.format(
                f"{' + '.join(label(name) for name in present)} is {{}}, but {label('total')} is {{}}",
                _yuan(parts_fen),
                _yuan(total_fen),
            ),
        )
    )
    same_id = pl.lit(False) if twice is None else pl.lit(twice.gather(rows))
    detail = f"{label('claim_id')} stands in more than one row, so that which one counts is not known"
    faults.append(Fault.of(same_id, "duplicate_claim_id", detail))
    reason, words = first_fault(faults)
    told = trimmed(raw.lazy(), scan, layout).select(reason, words).collect()
    assert told["reason"].null_count() == 0, "every refused row has a fault"
    return as_rejects(raw, told["reason"], told["detail"])


def _complete(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Add the columns that the file lacks, with their defaults, and put all in the order of the contract."""
    missing = []
    for column in CLAIMS.columns:
        if layout.has(column.name):
            continue
        default = _default(column.name)
        if column.name == "settled_date":
            missing.append(pl.col("end_date").alias("settled_date"))
        elif column.kind == "money":
            missing.append(pl.lit(default, pl.Int64).alias(column.inside))
        elif column.kind == "code":
            missing.append(pl.lit(default, pl.UInt8).alias(column.inside))
        else:
            missing.append(pl.lit(None, pl.String).alias(column.inside))
    return frame.with_columns(missing).select(*_INSIDE, *layout.carried, "row")


def _yuan(fen: pl.Expr) -> pl.Expr:
    return (fen.cast(pl.Decimal(38, 2)) / 100).cast(pl.String)
