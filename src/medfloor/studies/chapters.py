"""Put diagnoses into the chapters of ICD-10 (`icd10.toml`)."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path

import polars as pl

UNKNOWN = "no_chapter"
"""What has no diagnosis, or one that is no code of ICD-10."""

_FILE = Path(__file__).parent / "icd10.toml"


def chapter_of(diagnosis: pl.Series) -> pl.Series:
    """Give the chapter of each code (icd_01 to icd_22), `no_chapter` for what is missing or no code of ICD-10.

    Only the first three characters count, so that codes of national versions (I10.x00, E11.900x001) are understood.

    Source: ICD-10, list of chapters (`icd10.toml`).

    >>> chapter_of(pl.Series(["I10.x00", "j18", " C34.9", "D49", None, "pneumonia"])).to_list()
    ['icd_09', 'icd_10', 'icd_02', 'no_chapter', 'no_chapter', 'no_chapter']
    """
    text = diagnosis.cast(pl.String)
    known = text.unique().drop_nulls()
    found = pl.DataFrame(
        {"code": known, "chapter": [_chapter(one) for one in known]},
        schema_overrides={"code": pl.String, "chapter": pl.String},
    )
    joined = text.to_frame("code").join(found, on="code", how="left", maintain_order="left")
    return joined["chapter"].fill_null(UNKNOWN).alias("chapter")


@functools.cache
def chapters() -> dict[str, tuple[str, str]]:
    """Give chapter -> its first and last category.

    >>> chapters()["icd_09"], len(chapters())
    (('I00', 'I99'), 22)
    """
    with _FILE.open("rb") as file:
        return {name: (first, last) for name, (first, last) in tomllib.load(file)["chapters"].items()}


@functools.cache
def source() -> str:
    """Name where the chapters are from."""
    with _FILE.open("rb") as file:
        return str(tomllib.load(file)["source"])


def _chapter(code: str) -> str:
    found = re.match(r"[A-Z]\d\d", code.strip().upper())
    if found is None:
        return UNKNOWN
    return next((name for name, (first, last) in chapters().items() if first <= found[0] <= last), UNKNOWN)
