"""The acceptance cases of evaluation: answers of R packages by others, and the tables that they are about.

Both are read from the folder `shared` beside the repository, because some of the tables may not be copied into it; a
test is skipped, with the reason, where the folder is not there.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "cases" / "evaluation"


def expected(name: str) -> dict[str, Any]:
    """Give what a case expects, or skip the test where the case is not at hand."""
    path = SHARED / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{name}.json is not here: the folder shared/cases/evaluation is not beside the repository")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["expected"]
    return found


@cache
def _read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema_length=None, null_values=["NA"])


def table(name: str) -> pl.DataFrame:
    """Read the table of a case, or skip the test where it is not at hand."""
    path = SHARED / f"{name}.csv"
    if not path.is_file():
        pytest.skip(f"{name}.csv is not here: it may not be copied, and shared/cases is not beside the repository")
    return _read(path)
