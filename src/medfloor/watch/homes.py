"""Bring register and settlements together: one row a household with what it bore in the year, up to a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from medfloor.errors import InputError
from medfloor.intake.registers import BEHIND, ROW, STAGE, STAGES
from medfloor.tables import CARE_TYPES, RESIDENCES, SCHEMES

_REJECTED = {"table": pl.String, "household_id": pl.String, "person_id": pl.String, "claim_id": pl.String,
             "reason": pl.String, "detail": pl.String}  # fmt: skip
_OWN = ("own_in_scope_fen", "own_total_fen")
_MONEY = ("income_fen", "consumption_fen", "food_fen", "housing_fen", "utilities_fen")
_SPELLS = {"person_id": pl.String, "group": pl.String, "from_date": pl.Date, "to_date": pl.Date}
_CLAIMS = {"person_id": pl.String, "care_type": pl.String, "start_date": pl.Date, "diagnosis": pl.String}


@dataclass(frozen=True, slots=True, eq=False)
class Register:
    """Be what an office knows of its people: tables of the data contract as frames, money in fen.

    `people` needs person_id and household_id. `households` needs household_id and may have size, income_fen (of the
    year before), consumption_fen, food_fen, housing_fen, utilities_fen, adults, children, place, residence,
    labour_capacity (how many can work). `spells` are dated statuses. `claims` (person_id, start_date, diagnosis,
    care_type; also of earlier years) say who has a chronic illness and when care was last seen. A missing income is not
    zero: what needs it cannot be asked of that household, and is told so.
    """

    people: pl.DataFrame
    households: pl.DataFrame
    spells: pl.DataFrame | None = None
    claims: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Be what only the whole register can say, so that one household is screened as it would be among all.

    `previous` says whether there are settlements of the year before, `claims_until` the last day on which claims are
    known (None: none are), `levels` the lines of the definitions of catastrophic spending (fen a year, by definition).
    """

    previous: bool
    claims_until: date | None
    levels: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Homes:
    """Be register and settlements made ready.

    `households`: one row a household with size, income_fen and the rest (null where not known), residence,
    own_in_scope_fen and own_total_fen (of the year, up to the day), previous_own_total_fen. `people`: person_id,
    household_id, enrolled, own_in_scope_fen, own_total_fen. `held`: person_id, household_id, group of statuses running
    on the day; `ever` the same for all that began by then. `settled`: this year's settlements up to the day.
    """

    households: pl.DataFrame
    people: pl.DataFrame
    held: pl.DataFrame
    ever: pl.DataFrame
    settled: pl.DataFrame
    spells: pl.DataFrame
    claims: pl.DataFrame | None
    rejected: pl.DataFrame
    year: int
    as_of: date
    counts: Mapping[str, int]

    def with_group(self, groups: Sequence[str], *, ever: bool = False) -> pl.Expr:
        """Ask of each household whether anybody in it holds one of these statuses (or ever did)."""
        among = self.ever if ever else self.held
        ids = among.filter(pl.col("group").is_in(list(groups)))["household_id"].unique()
        return pl.col("household_id").is_in(ids.implode())


def gather(register: Register, settlements: pl.DataFrame, *, year: int, as_of: date) -> Homes:
    """Bring them together; what is settled after the day is not looked at.

    Rows that cannot be used are set aside with a reason (`rejected`): a household or person without an id or twice, a
    settlement of an unknown person or without its amounts. Where the tables are parts of larger ones, whole households
    in each, and say by a column ROW where their rows stand there, households and rejected have it too.
    Raises InputError missing_column, wrong_type.
    """
    _need(register.people, "people", ("person_id", "household_id"))
    _need(register.households, "households", ("household_id",))
    _need(settlements, "settlements", ("person_id", "benefit_year", "settled_date", *_OWN))
    households, bad_households = _households(register.households)
    people, bad_people = _people(register.people, as_of)
    # A household that only its members name is watched all the same, with what is not known left empty.
    named = people.select("household_id", *_row(people)).unique("household_id", keep="first", maintain_order=True)
    only_named = named.join(households, on="household_id", how="anti", maintain_order="left")
    only_named = only_named.with_columns(pl.col(name) + BEHIND for name in _row(people))
    households = pl.concat([households, only_named], how="diagonal")
    settled, bad_settled = _settled(settlements, people)
    known = settled.height
    in_time = settled.filter(pl.col("settled_date") <= as_of)
    now = in_time.filter(pl.col("benefit_year") == year)
    before = in_time.filter(pl.col("benefit_year") == year - 1)
    by_person = now.group_by("person_id").agg(pl.col(_OWN).sum())
    people = people.join(by_person, on="person_id", how="left").with_columns(pl.col(_OWN).fill_null(0))
    spells = _typed(register.spells, "spells", _SPELLS, ("person_id", "group"))
    began = spells.filter(pl.col("from_date").is_null() | (pl.col("from_date") <= as_of))
    ever = began.join(people.select("person_id", "household_id"), on="person_id").select(
        "person_id", "household_id", "group", "to_date"
    )
    return Homes(
        households=_with_sums(households, people, before),
        people=people,
        held=ever.filter(pl.col("to_date").is_null() | (pl.col("to_date") >= as_of)).drop("to_date"),
        ever=ever.drop("to_date"),
        settled=now,
        spells=spells,
        claims=_claims(register.claims, as_of),
        rejected=pl.concat([bad_households, bad_people, bad_settled]),
        year=year,
        as_of=as_of,
        counts={
            "settlements": settlements.height,
            "used": now.height,
            "previous": before.height,
            "other": known - now.height - before.height,
            "rejected": bad_settled.height,
        },
    )


def _row(frame: pl.DataFrame) -> list[str]:
    return [ROW] if ROW in frame.columns else []


def _need(frame: pl.DataFrame, table: str, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError("missing_column", f"{table} has no column {missing[0]}; screening cannot do without it")
    for name in frame.columns:
        if name.endswith("_fen") and not frame.schema[name].is_integer() and frame.schema[name] != pl.Null:
            raise InputError("wrong_type", f"{table}: {name} is {frame.schema[name]}; money is whole fen in here")


def _households(given: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    kinds = {"household_id": pl.String, "place": pl.String, "size": pl.Int64, "residence": pl.String}
    kinds |= dict.fromkeys(("adults", "children"), pl.Int64) | dict.fromkeys(_MONEY, pl.Int64)
    frame = _typed(given, "households", kinds, ("household_id",), keep=("labour_capacity", "township", ROW))
    faults = (
        ("missing_value", "household_id is empty", pl.col("household_id").is_null()),
        ("bad_number", "size is below 1", pl.col("size") < 1),
        ("repeated_row", "the household has a row before this one", ~pl.col("household_id").is_first_distinct()),
    )
    return _sift(frame, faults, "households")


def _people(given: pl.DataFrame, as_of: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give one row a person; one with several rows (dated enrolments) is enrolled when one of them says so."""
    kinds: dict[str, type[pl.DataType]]
    kinds = {"person_id": pl.String, "household_id": pl.String, "scheme": pl.String, "residence": pl.String}
    kinds |= dict.fromkeys(("enrolled_from", "enrolled_to", "death_date"), pl.Date)
    frame = _typed(given, "people", kinds, ("person_id", "household_id"), keep=(ROW,))
    faults = (
        ("missing_value", "person_id is empty", pl.col("person_id").is_null()),
        ("missing_value", "household_id is empty", pl.col("household_id").is_null()),
    )
    frame, refused = _sift(frame, faults, "people")
    begun = pl.col("enrolled_from").is_null() | (pl.col("enrolled_from") <= as_of)
    running = pl.col("enrolled_to").is_null() | (pl.col("enrolled_to") >= as_of)
    frame = frame.select(
        "person_id",
        "household_id",
        "residence",
        (begun & running & (pl.col("scheme").fill_null("resident") != "none")).alias("enrolled"),
        (pl.col("death_date").is_null() | (pl.col("death_date") > as_of)).alias("alive"),
        *_row(frame),
    )
    if frame["person_id"].n_unique() < frame.height:
        rest = pl.col("household_id", "residence").last()
        frame = frame.group_by("person_id", maintain_order=True).agg(
            rest, pl.col("enrolled").any(), pl.col("alive").all(), *(pl.col(name).first() for name in _row(frame))
        )
    return frame, refused


def _settled(given: pl.DataFrame, people: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    kinds = {"person_id": pl.String, "benefit_year": pl.Int64, "settled_date": pl.Date, "claim_id": pl.String}
    kinds |= dict.fromkeys(_OWN, pl.Int64)
    extra = [name for name in given.columns if name.startswith("pay_") or name in ("due_fen", ROW)]
    frame = _typed(given, "settlements", kinds, ("person_id",), keep=extra)
    frame = frame.join(people.select("person_id", "household_id"), on="person_id", how="left")
    empty = pl.any_horizontal(pl.col(name).is_null() for name in kinds if name != "claim_id")
    faults = (
        ("missing_value", "the person, the year, the date or an own amount is empty", empty),
        ("unknown_person", "people has no usable row of this person", pl.col("household_id").is_null()),
    )
    return _sift(frame, faults, "settlements")


def _claims(given: pl.DataFrame | None, as_of: date) -> pl.DataFrame | None:
    if given is None:
        return None
    frame = _typed(given, "claims", _CLAIMS, ("person_id", "start_date"))
    return frame.filter(pl.col("start_date") <= as_of)


def _with_sums(households: pl.DataFrame, people: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    sums = people.group_by("household_id").agg(
        pl.col(_OWN).sum(),
        pl.col("alive").sum().cast(pl.Int64).alias("_members"),
        pl.col("residence").drop_nulls().first().alias("_residence"),
    )
    last = before.group_by("household_id").agg(pl.col("own_total_fen").sum().alias("previous_own_total_fen"))
    return (
        households.join(sums, on="household_id", how="left", maintain_order="left")
        .join(last, on="household_id", how="left", maintain_order="left")
        .with_columns(
            # The register's size counts; where it has none, the members that it knows.
            pl.col("size").fill_null(pl.when(pl.col("_members") > 0).then(pl.col("_members"))),
            pl.col("residence").fill_null(pl.col("_residence")),
            pl.col(*_OWN, "previous_own_total_fen").fill_null(0),
        )
        .drop("_members", "_residence")
    )


def _typed(
    given: pl.DataFrame | None,
    table: str,
    kinds: Mapping[str, type[pl.DataType]],
    needs: Sequence[str],
    keep: Sequence[str] = (),
) -> pl.DataFrame:
    """Take the columns that are used, under one type each; a column that is not there is empty."""
    if given is None:
        return pl.DataFrame(schema=dict(kinds))
    _need(given, table, needs)
    columns = [_column(given, table, name, kind) for name, kind in kinds.items()]
    return given.select(*columns, *(name for name in keep if name in given.columns))


_CODES = {"scheme": SCHEMES, "residence": RESIDENCES, "care_type": CARE_TYPES}


def _column(given: pl.DataFrame, table: str, name: str, kind: type[pl.DataType]) -> pl.Expr:
    if name not in given.columns:
        return pl.lit(None, dtype=kind).alias(name)
    found = given.schema[name]
    if name in _CODES and found.is_integer():
        codes = _CODES[name]
        return pl.col(name).replace_strict(dict(enumerate(codes)), default=None, return_dtype=pl.String)
    fits = found == kind or found == pl.Null or (kind == pl.Int64 and found.is_integer())
    if not fits:
        raise InputError("wrong_type", f"{table}: {name} is {found} and should be {kind.__name__}")
    return pl.col(name).cast(kind)


_Fault = tuple[str, str, pl.Expr]
_TABLES = ("households", "people", "settlements")


def _sift(frame: pl.DataFrame, faults: Sequence[_Fault], table: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part rows with a fault, under the first that they have (reason, detail), from those without."""
    wrong = pl.coalesce(pl.when(where).then(pl.lit(place)) for place, (_, _, where) in enumerate(faults))
    judged = frame.with_columns(wrong.alias("_fault"))
    kinds: dict[str, type[pl.DataType]] = dict(_REJECTED)
    if ROW in frame.columns:
        kinds |= {ROW: pl.Int64, STAGE: pl.Int8}
    if judged["_fault"].null_count() == judged.height:
        return frame, pl.DataFrame(schema=kinds)
    said = {
        "table": pl.lit(table),
        "reason": pl.col("_fault").replace_strict({n: one[0] for n, one in enumerate(faults)}, return_dtype=pl.String),
        "detail": pl.col("_fault").replace_strict({n: one[1] for n, one in enumerate(faults)}, return_dtype=pl.String),
    }
    said |= {name: pl.col(name) for name in (*_REJECTED, ROW) if name in frame.columns}
    # What is refused here stands behind what reading refused.
    said[STAGE] = pl.lit(len(STAGES) + _TABLES.index(table))
    refused = judged.filter(pl.col("_fault").is_not_null()).select(
        said.get(name, pl.lit(None)).cast(kind).alias(name) for name, kind in kinds.items()
    )
    return judged.filter(pl.col("_fault").is_null()).drop("_fault"), refused
