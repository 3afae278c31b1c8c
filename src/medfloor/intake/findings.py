"""Be what reading a survey found: the same report for CFPS, CHARLS and any survey that a mapping brings.

Every table of it has one row a fact, so that it can be filtered, summed and printed; nothing is only said in a log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from medfloor.words import Phrase

FILES = {
    "file": pl.String, "wave": pl.String, "kind": pl.String, "release": pl.String, "used": pl.Boolean, "rows": pl.Int64,
    "why": pl.String,
}  # fmt: skip
COLUMNS = {
    "wave": pl.String, "table": pl.String, "column": pl.String, "taken_from": pl.String, "file": pl.String,
    "status": pl.String, "rows": pl.Int64, "values": pl.Int64, "missing": pl.Int64, "source": pl.String,
}  # fmt: skip
CODES = {
    "wave": pl.String, "table": pl.String, "column": pl.String, "taken_from": pl.String, "file": pl.String,
    "code": pl.String, "meaning": pl.String, "read_as": pl.String, "rows": pl.Int64,
}  # fmt: skip
DROPPED = {"wave": pl.String, "table": pl.String, "file": pl.String, "reason": pl.String, "rows": pl.Int64}
LINKS = {"link": pl.String, "between": pl.String, "units": pl.Int64, "rows": pl.Int64}

STATUSES = ("read", "unverified", "not_in_file", "not_known", "not_asked")
"""Of a column: read; read, but no source was seen for its name; the file lacks it; no name is known for this wave; by
design not in this wave."""


@dataclass(frozen=True, eq=False, slots=True)
class Findings:
    """Be the report on a survey that was read.

    `files`: every file of the survey that was found, used or not and why. `columns`: each of our columns by wave, what
    it was taken from, its status and how many rows have a value. `codes`: how often each code for missing stood in a
    column, and what it was read as (missing, zero). `dropped`: rows that did not make it into a panel, by reason.
    `links`: how many units each way of linking waves holds. `remarks`: sentences that a user must know.
    """

    files: pl.DataFrame
    columns: pl.DataFrame
    codes: pl.DataFrame
    dropped: pl.DataFrame
    links: pl.DataFrame
    remarks: tuple[Phrase, ...] = ()

    def tables(self) -> dict[str, pl.DataFrame]:
        """Give the tables of the report by name."""
        return {
            "files": self.files,
            "columns": self.columns,
            "codes": self.codes,
            "dropped": self.dropped,
            "links": self.links,
        }


@dataclass(frozen=True, eq=False, slots=True)
class Survey:
    """Be a survey in our columns: a panel of households, a panel of people, the refused rows, and the report.

    Both panels have one row a unit and wave. Money is in yuan (of each wave, or of the year that was asked for) as
    doubles; null is missing. `rejects` are rows as they came, as text, with file, reason and detail.
    """

    name: str
    households: pl.DataFrame
    people: pl.DataFrame
    rejects: pl.DataFrame
    findings: Findings

    def __repr__(self) -> str:
        waves = self.households if self.households.height else self.people
        known = ", ".join(waves["wave"].unique().sort()) if "wave" in waves.columns else ""
        return (
            f"Survey({self.name}: {self.households.height:,} rows of households, {self.people.height:,} of people"
            f"{', waves ' + known if known else ''}; {self.rejects.height:,} refused)"
        )


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Be one file's part of a panel, with what is to be reported about it."""

    frame: pl.DataFrame
    rejects: pl.DataFrame
    columns: list[dict[str, Any]] = field(default_factory=list)
    codes: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)


def report(
    *,
    files: Iterable[Mapping[str, Any]] = (),
    pieces: Iterable[Piece] = (),
    dropped: Iterable[Mapping[str, Any]] = (),
    links: Iterable[Mapping[str, Any]] = (),
    remarks: Iterable[Phrase] = (),
) -> Findings:
    """Put the report together from the facts about files, pieces and links; facts about no row are left out."""
    pieces = list(pieces)
    lost = [*(row for piece in pieces for row in piece.dropped), *dropped]
    return Findings(
        files=_table(files, FILES),
        columns=_table((row for piece in pieces for row in piece.columns), COLUMNS),
        codes=_table((row for piece in pieces for row in piece.codes if row["rows"]), CODES),
        dropped=_table((row for row in lost if row["rows"]), DROPPED),
        links=_table(links, LINKS),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def stack(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Put frames below each other; a column that one of them lacks is null there."""
    kept = [frame for frame in frames if frame.width]
    return pl.concat(kept, how="diagonal_relaxed") if kept else pl.DataFrame()


def refuse(raw: pl.DataFrame, *, file: str, reason: str, detail: str) -> pl.DataFrame:
    """Make rejects of rows as they came: text, with file, reason and detail behind."""
    plain = raw.select(pl.all().cast(pl.String, strict=False))
    return plain.with_columns(file=pl.lit(file), reason=pl.lit(reason), detail=pl.lit(detail))


def _table(rows: Iterable[Mapping[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([dict(row) for row in rows], schema=schema)
