"""Put payments beside claims: the settlement table of the data contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor import tables
from medfloor.intake import yuan_of
from medfloor.settlement.batch import Batch
from medfloor.settlement.engines import Outcome


def settlement_table(batch: Batch, outcome: Outcome) -> pl.DataFrame:
    """Put payments beside claims, in the contract's order of columns."""
    frame = batch.frame
    total = frame["total_fen"].to_numpy()
    pay_total = outcome.pay.sum(axis=0) if len(outcome.pay) else np.zeros(batch.height, np.int64)
    own_total = total - pay_total
    columns: dict[str, Any] = {
        "claim_id": frame["claim_id"],
        "person_id": frame["person_id"],
        "benefit_year": frame["_year"].cast(pl.Int32),
        "sequence": _sequence(batch),
        "settled_date": frame["settled_date"],
        "total_fen": frame["total_fen"],
        "in_scope_fen": frame["in_scope_fen"],
    }
    columns |= {f"pay_{tier}_fen": outcome.pay[number] for number, tier in enumerate(batch.law.layout.tiers)}
    columns |= {
        "pay_total_fen": pay_total,
        "own_in_scope_fen": outcome.own_in_scope,
        "own_outside_fen": own_total - outcome.own_in_scope,
        "own_total_fen": own_total,
        "deductible_fen": outcome.deductible,
    }
    # A carried column with the name of one of ours (pay_basic, where what was paid is given) gives way to it.
    known = {*columns, *(name.removesuffix("_fen") for name in columns), *_INSIDE, *tables.WITHIN}
    columns |= {name: frame[name] for name in frame.columns if name not in known}
    hidden = {f"_{name}": frame[name] for name in OUTSIDE}
    hidden |= {"_start": frame["start_date"], "_unit": pl.Series(batch.unit)}
    return pl.DataFrame(columns | hidden)


_INSIDE = {
    "row", "care_type", "start_date", "end_date", "facility_level", "area", "referral", "continues", "reverses",
    "diagnosis", "provider_id", "off_catalogue_fen", "over_limit_fen", "first_self_pay_fen",
}  # fmt: skip


def _sequence(batch: Batch) -> npt.NDArray[np.int32]:
    """Number the claims of each person-year in their order."""
    if not batch.law.layout.household:
        begin = np.repeat(batch.segments.start[:-1], np.diff(batch.segments.start))
        return (np.arange(batch.height) - begin + 1).astype(np.int32)
    frame = pl.DataFrame({"p": batch.person, "y": batch.columns.year})
    return frame.select(pl.int_range(1, pl.len() + 1).over("p", "y").cast(pl.Int32)).to_series().to_numpy()


def money_columns(tiers: tuple[str, ...]) -> list[str]:
    """List the columns of a settlement table that hold fen; what is carried through is never one of them."""
    return ["total_fen", "in_scope_fen", *(f"pay_{tier}_fen" for tier in tiers), *_SUMS]


_SUMS = tuple(f"{name}_fen" for name in tables.SETTLEMENT_SUMS)

OUTSIDE = ("off_catalogue_fen", "over_limit_fen", "first_self_pay_fen")

NATIONAL_FUNDS = {"basic": "hifp_pay", "critical_illness": "hifmi_pay", "assistance": "maf_pay"}
"""Which field of setlinfo a tier is booked under; every other tier goes to othfund_pay."""


def national_table(fen: pl.DataFrame, tiers: tuple[str, ...]) -> pl.DataFrame:
    """Give settlements under the names of the national platform's setlinfo, money still in fen (*_fen).

    Employees' funds, personal accounts and the hospital's share are not settled here and stand at zero.
    pool_prop_selfpay is what the basic fund paid of the scope, four decimals. A carried column with a name of setlinfo
    gives way to it.
    """
    zero = pl.lit(0, dtype=pl.Int64)

    def fund(field: str) -> pl.Expr:
        mine = [pl.col(f"pay_{t}_fen") for t in tiers if NATIONAL_FUNDS.get(t, "othfund_pay") == field]
        return pl.sum_horizontal(mine) if mine else zero

    paid = pl.col("pay_basic_fen") if "basic" in tiers else zero
    share = pl.when(pl.col("in_scope_fen") == 0).then(0.0).otherwise(paid / pl.col("in_scope_fen")).round(4)
    columns = {
        "mdtrt_id": pl.col("claim_id"),
        "psn_no": pl.col("person_id"),
        "year": pl.col("benefit_year"),
        "sequence": pl.col("sequence"),
        "setl_time": pl.col("settled_date"),
        "medfee_sumamt_fen": pl.col("total_fen"),
        "fulamt_ownpay_amt_fen": pl.col("_off_catalogue_fen"),
        "overlmt_selfpay_fen": pl.col("_over_limit_fen"),
        "preselfpay_amt_fen": pl.col("_first_self_pay_fen"),
        "inscp_scp_amt_fen": pl.col("in_scope_fen"),
        "act_pay_dedc_fen": pl.col("deductible_fen"),
        "hifp_pay_fen": fund("hifp_pay"),
        "pool_prop_selfpay": share,
        "cvlserv_pay_fen": zero,
        "hifes_pay_fen": zero,
        "hifmi_pay_fen": fund("hifmi_pay"),
        "hifob_pay_fen": zero,
        "hifdm_pay_fen": zero,
        "maf_pay_fen": fund("maf_pay"),
        "othfund_pay_fen": fund("othfund_pay"),
        "fund_pay_sumamt_fen": pl.col("pay_total_fen"),
        "hosp_part_amt_fen": zero,
        "psn_part_amt_fen": pl.col("own_total_fen"),
        "acct_pay_fen": zero,
        "psn_cash_pay_fen": pl.col("own_total_fen"),
        "acct_mulaid_pay_fen": zero,
        "balc_fen": zero,
    }
    ours = {*money_columns(tiers), *tables.SETTLEMENT_KEYS, *tables.WITHIN, *_INSIDE}
    taken = {*columns, *(name.removesuffix("_fen") for name in columns), *ours}
    return fen.select(
        *(value.alias(name) for name, value in columns.items()),
        *(name for name in fen.columns if name not in taken),
    )


NATIONAL_MONEY = (
    "medfee_sumamt_fen", "fulamt_ownpay_amt_fen", "overlmt_selfpay_fen", "preselfpay_amt_fen", "inscp_scp_amt_fen",
    "act_pay_dedc_fen", "hifp_pay_fen", "cvlserv_pay_fen", "hifes_pay_fen", "hifmi_pay_fen", "hifob_pay_fen",
    "hifdm_pay_fen", "maf_pay_fen", "othfund_pay_fen", "fund_pay_sumamt_fen", "hosp_part_amt_fen", "psn_part_amt_fen",
    "acct_pay_fen", "psn_cash_pay_fen", "acct_mulaid_pay_fen", "balc_fen",
)  # fmt: skip
"""The columns of `national_table` that hold fen."""


def in_yuan(frame: pl.DataFrame, money: Sequence[str]) -> pl.DataFrame:
    """Turn the columns of fen into yuan under their contract names."""
    fen = set(money)
    return frame.select(
        yuan_of(pl.col(name)).alias(name.removesuffix("_fen")) if name in fen else pl.col(name)
        for name in frame.columns
    )
