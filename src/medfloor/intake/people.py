"""Read people: who they are and how they are insured, one row a person or one for each span of enrolment."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from medfloor.intake.cells import coded_columns, make_cells, text_of
from medfloor.intake.files import Scan, Source, scan_table, survey
from medfloor.intake.layout import match_columns
from medfloor.intake.rows import order_fault, sift
from medfloor.tables import PEOPLE, SCHEMES

_RESIDENT = SCHEMES.index("resident")


@dataclass(frozen=True, eq=False, slots=True)
class People:
    """Be the people of one input.

    `accepted` holds every column of the contract in its inside form, then the carried columns (max_expenditure, say).
    A person may have several rows whose enrolment days do not meet. `bad` lists each person of whom a row cannot be
    read or two rows claim the same days, once: person_id (null where even that is missing), reason, detail. None of
    their rows is among the accepted, and their claims are for settlement to refuse. `bad_rows` says in which row of the
    input each of them was found out.
    """

    accepted: pl.DataFrame
    bad: pl.DataFrame
    columns_in: tuple[str, ...]
    carried: tuple[str, ...]
    rows_in: int
    national: bool
    bad_rows: pl.Series


def read_people(source: Source) -> People:
    """Read people from a CSV or Parquet file, or from a frame.

    Where empty, household_id is person_id (a household of one), scheme is resident and family_doctor is no. The bad
    have one of the reasons bad_person, overlapping_schemes and duplicate_person. Raises InputError as `read_claims`.

    >>> people = read_people(pl.DataFrame({"psn_no": ["1", "2", "2"], "gend": [1, 2, 2], "brdy": ["1960-02-01"] * 3}))
    >>> people.accepted["household_id"].to_list(), people.bad["reason"].to_list()
    (['1'], ['duplicate_person'])
    """
    scan = scan_table(source, "people")
    layout = match_columns(scan, PEOPLE, reserved=("row",))
    scan, distinct = survey(scan, coded_columns(scan, layout))
    cells = make_cells(scan, layout, distinct)
    sifted = sift(scan, layout, cells, order_fault(cells, "enrolled_from", "enrolled_to", "bad_person"))
    frame = sifted.frame.with_columns(
        pl.col("household_id").fill_null(pl.col("person_id")),
        pl.col("scheme").fill_null(pl.lit(_RESIDENT, pl.UInt8)),
        pl.col("family_doctor").fill_null(False),
    )
    unreadable = sifted.faults.join(frame.select("row", "person_id"), on="row", how="left", maintain_order="left")
    unreadable = unreadable.select("person_id", pl.lit("bad_person").alias("reason"), "detail", "row")
    bad = pl.concat([unreadable, _meeting(frame)])
    if bad.height:
        bad = bad.unique("person_id", keep="first", maintain_order=True)
        frame = frame.join(sifted.faults, on="row", how="anti", maintain_order="left")
        frame = frame.join(bad, on="person_id", how="anti", maintain_order="left")
    return People(
        frame.drop("row"), bad.drop("row"), scan.names, layout.carried, sifted.frame.height, layout.national, bad["row"]
    )


@dataclass(frozen=True, eq=False, slots=True)
class PeopleKeys:
    """Be who a row of people is of: expressions over `scan.frame`, as `read_people` reads them, null where empty.

    `household_id` and `enrolled_from` are None where the file lacks the column.
    """

    scan: Scan
    person_id: pl.Expr
    household_id: pl.Expr | None
    enrolled_from: pl.Expr | None


def people_keys(source: Source) -> PeopleKeys:
    """Look at a file of people as a whole, so that it can be read in parts. Raises InputError as `read_people`."""
    scan = scan_table(source, "people")
    layout = match_columns(scan, PEOPLE, reserved=("row",))
    scan, distinct = survey(scan, coded_columns(scan, layout))
    cells = make_cells(scan, layout, distinct)
    household = text_of(scan, layout, "household_id") if layout.has("household_id") else None
    since = cells["enrolled_from"].value if "enrolled_from" in cells else None
    return PeopleKeys(scan, text_of(scan, layout, "person_id"), household, since)


def _meeting(frame: pl.DataFrame) -> pl.DataFrame:
    """List the persons of whom two rows share a day: with two schemes, or merely twice."""
    schema = {"person_id": pl.String, "reason": pl.String, "detail": pl.String, "row": pl.UInt32}
    ids = frame["person_id"]
    if ids.n_unique() == ids.len():
        return pl.DataFrame(schema=schema)
    several = frame.filter(ids.is_duplicated() & ids.is_not_null()).select(
        "person_id",
        "scheme",
        "row",
        pl.col("enrolled_from").fill_null(pl.date(1, 1, 1)).alias("first"),
        pl.col("enrolled_to").fill_null(pl.date(9999, 12, 31)).alias("last"),
    )
    several = several.sort("person_id", "first", "row").with_columns(
        pl.col("last").cum_max().shift(1).over("person_id").alias("reached")
    )
    # A run of rows each of which meets an earlier one: two schemes in it mean that two that meet differ somewhere.
    runs = several.with_columns(
        (pl.col("first") > pl.col("reached")).fill_null(True).cum_sum().over("person_id").alias("run")
    )
    found = (
        runs.group_by("person_id", "run")
        .agg(pl.len().alias("rows"), pl.col("scheme").n_unique().alias("schemes"), pl.col("row").min())
        .filter(pl.col("rows") > 1)
        .sort("schemes", "row", descending=[True, False])
        .unique("person_id", keep="first", maintain_order=True)
        .sort("row")
    )
    two = pl.col("schemes") > 1
    return found.select(
        "person_id",
        pl.when(two).then(pl.lit("overlapping_schemes")).otherwise(pl.lit("duplicate_person")).alias("reason"),
        pl.when(two)
        .then(pl.lit("two rows of this person have different schemes on the same day"))
        .otherwise(pl.lit("two rows of this person hold for the same day; give each its enrolled_from and enrolled_to"))
        .alias("detail"),
        "row",
    )
