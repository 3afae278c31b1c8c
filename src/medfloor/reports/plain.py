"""Write results as programs read them: CSV, Parquet and JSON, with full numbers."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any, Protocol

import polars as pl


class Record(Protocol):
    """Be a result that knows its one table and all that it holds as plain data."""

    def to_frame(self, lang: str = ...) -> pl.DataFrame:
        """Give the table."""

    def to_dict(self, lang: str = ...) -> dict[str, Any]:
        """Give everything."""


def as_csv(record: Record, lang: str) -> bytes:
    """Write the table of a record as CSV."""
    return record.to_frame(lang).write_csv().encode("utf-8")


def as_parquet(record: Record, lang: str) -> bytes:
    """Write the table of a record as Parquet."""
    raw = io.BytesIO()
    record.to_frame(lang).write_parquet(raw)
    return raw.getvalue()


def as_json(record: Record, lang: str) -> bytes:
    """Write all of a record as one object."""
    return json_of(record.to_dict(lang))


def json_of(plain: Mapping[str, Any]) -> bytes:
    r"""Write plain data as JSON that people can read; a day becomes text, a number that is none is an error.

    >>> json_of({"比例": 0.5})
    b'{\n "\xe6\xaf\x94\xe4\xbe\x8b": 0.5\n}\n'
    """
    return (json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False, default=str) + "\n").encode("utf-8")
