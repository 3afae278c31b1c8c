"""Bring registered and other poor households into one table: as a survey has them, or out of a county's settlements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from medfloor.errors import InputError
from medfloor.intake import read_microdata
from medfloor.measures.flags import flag
from medfloor.studies.county import SETTLED, County, read_county
from medfloor.words import Phrase

ENDINGS = (".parquet", ".csv", ".dta", ".sav", ".sas7bdat")
NUMBERS = ("size", "total", "reimbursed", "oop", "income", "consumption", "food", "weight", "fpc", "villages")
LABELS = (
    "registered",
    "major_disease",
    "chronic_disease",
    "hospitalised",
    "province",
    "psu",
    "stratum",
    "household_id",
)
REQUIRED = (
    "registered",
    "major_disease",
    "chronic_disease",
    "hospitalised",
    "total",
    "reimbursed",
    "oop",
    "income",
    "consumption",
    "food",
)
NEAR = 0.4
"""Households beside the registered, out of a county: those whose income per head lies in this lowest part of the
countryside. A choice of ours, for the document says only that their income "is slightly higher"."""


@dataclass(frozen=True, slots=True, eq=False)
class Homes:
    """Be the households of the study: one row a household, `registered` yes or no, and what was asked of them.

    Columns are those of `REQUIRED` (yes and no; yuan a year), and as far as known size, province, weight, stratum, psu.
    `notes` say how they were chosen; `county` is where they are from, None for a survey.
    """

    frame: pl.DataFrame
    synthetic: bool
    notes: tuple[Phrase, ...]
    county: County | None
    refused: int = 0


def read_homes(folder: Path, *, policy: str | None = None, beside: str = "near") -> Homes:
    """Read the survey's table of households, or make one of a county's settlements, people, spells and households.

    A survey is a table in the folder (households.csv, or the only table there) with a column `registered`. Out of a
    county, a household is registered where a member held a status in the span of the claims; beside them stand other
    households of the countryside: "near", the lowest part (`NEAR`) by income per head, or "all".

    Raises InputError no_households, missing_column, not_two_groups and what reading and settling raise.
    """
    table = _survey_table(folder)
    if table is not None:
        return _survey(table)
    if not any((folder / f"{name}{one}").is_file() for name in ("claims", *SETTLED) for one in (".parquet", ".csv")):
        raise InputError(
            "no_households",
            f"{folder} has no table of households with a column registered, and no claims or settlements of a county "
            f"to make one of; such a table needs {', '.join(REQUIRED)}",
        )
    return _of_county(read_county(folder, policy=policy), beside)


def _survey_table(folder: Path) -> Path | None:
    """Find the table with the column registered: households.*, else the only table of the folder."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    named = [path for path in files if path.stem.lower() == "households"]
    others = [path for path in files if path.stem.lower() not in ("households", "villages")]
    for path in (*named, *(others if len(others) == 1 else [])):
        if "registered" in {name.strip().lower() for name in read_microdata(path).accepted.columns}:
            return path
    return None


def _survey(path: Path) -> Homes:
    read = read_microdata(path, numbers=NUMBERS, labels=LABELS, required=REQUIRED)
    frame = read.accepted
    has = flag(frame, "registered", "registered")
    frame = frame.with_columns(
        pl.when(has == 1).then(pl.lit("yes")).when(has == 0).then(pl.lit("no")).alias("registered")
    )
    frame = frame.filter(pl.col("registered").is_not_null())
    if frame["registered"].n_unique() < 2:
        raise InputError(
            "not_two_groups", f"column registered of {path.name} has not both yes and no; there is nothing to compare"
        )
    marked = "synthetic" in frame.columns and str(frame["synthetic"][0]).lower() in ("true", "1", "yes")
    notes = (Phrase.of("two_provinces.of_survey", file=path.name, households=f"{frame.height:,}"),)
    return Homes(frame, marked, notes, None, read.rejects.height)


def _of_county(county: County, beside: str) -> Homes:
    people, homes = county.people, county.households
    if people is None or homes is None or county.statuses is None:
        raise InputError(
            "no_households",
            "to make households of a county its folder needs people, households and spells beside the claims",
        )
    frame = homes.join(_of_people(people, county), on="household_id", how="inner", maintain_order="left")
    frame = frame.join(_of_care(county, people), on="household_id", how="left", maintain_order="left").with_columns(
        pl.col("hospitalised").fill_null("no"), pl.col("own").fill_null(0.0)
    )
    outside = pl.col("oop_outside").fill_null(0.0) if "oop_outside" in frame.columns else pl.lit(0.0)
    frame = frame.with_columns((pl.col("own") + outside).alias("oop"))
    if "residence" in frame.columns:
        frame = frame.filter(pl.col("residence") == "rural")
    frame, poorest = _beside(frame, beside)
    if frame["registered"].n_unique() < 2:
        raise InputError("not_two_groups", "the county has no household with a status beside others of the countryside")
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        raise InputError("missing_column", f"the county's tables do not tell {', '.join(missing)}; the study needs it")
    notes = (
        Phrase.of(
            "two_provinces.of_county",
            registered=f"{(frame['registered'] == 'yes').sum():,}",
            others=f"{(frame['registered'] == 'no').sum():,}",
            which=poorest,
        ),
    )
    return Homes(frame, county.synthetic, notes, county)


def _of_people(people: pl.DataFrame, county: County) -> pl.DataFrame:
    """Say of each household whether a member held a status, has a chronic or a major disease."""
    held = pl.col("person_id").is_in(county.holders()["person_id"].implode())
    asked: dict[str, pl.Expr] = {"registered": held}
    for name, columns in {
        "chronic_disease": ("chronic_disease", "chronic"),
        "major_disease": ("major_disease", "major"),
    }.items():
        there = next((one for one in columns if one in people.columns), None)
        if there is not None:
            asked[name] = flag(people, there, name) == 1
    marked = people.with_columns(**asked)
    return marked.group_by("household_id", maintain_order=True).agg(
        pl.when(pl.col(name).any()).then(pl.lit("yes")).otherwise(pl.lit("no")).alias(name) for name in asked
    )


def _of_care(county: County, people: pl.DataFrame) -> pl.DataFrame:
    """Add up hospital bills and what all care left to each household."""
    paid = county.paid.join(people.select("person_id", "household_id"), on="person_id", how="left")
    known = paid["care_type"].null_count() < paid.height
    stay = pl.col("care_type") == "inpatient" if known else pl.lit(True)
    return paid.group_by("household_id", maintain_order=True).agg(
        pl.when(stay.any()).then(pl.lit("yes")).otherwise(pl.lit("no")).alias("hospitalised"),
        pl.when(stay.any()).then(pl.col("total").filter(stay).sum()).alias("total"),
        pl.when(stay.any()).then((pl.col("total") - pl.col("own")).filter(stay).sum()).alias("reimbursed"),
        pl.col("own").sum(),
    )


def _beside(frame: pl.DataFrame, beside: str) -> tuple[pl.DataFrame, Phrase]:
    if beside == "all" or "income" not in frame.columns:
        return frame, Phrase("two_provinces.beside_all")
    head = pl.col("income") / pl.col("size")
    cut = frame.select(head.quantile(NEAR)).item()
    kept = frame.filter((pl.col("registered") == "yes") | (head <= cut))
    return kept, Phrase.of("two_provinces.beside_near", part=f"{100 * NEAR:g}", cut=f"{cut:,.0f}")
