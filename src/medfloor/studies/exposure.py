"""Say which household was under the policy when: by a roll-out table beside the files, else by the national date."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from medfloor.errors import InputError, MedfloorError, UsageError
from medfloor.intake import read_table
from medfloor.studies.panels import first_of
from medfloor.studies.study import Reason
from medfloor.words import Phrase

FULL = 2015
"""The year from which the source document calls the policy fully implemented."""

Timing = Literal["city", "county", "province", "national"]

_LEVELS = {"county": ("county", "countyid", "county_id"), "city": ("city", "cityid", "city_id", "citycode"),
           "province": ("province", "provcd", "prov", "provid")}  # fmt: skip
_CODES = ("admin_code", "gb_code", "gb2260", "gbcode", "code", "county_gb", "adcode")
_STARTS = ("start_date", "start", "start_wave", "start_year", "wave", "year")
_NEVER = ("", "never", "nan", "inf", "null", "none", "0")
FAR = 2100
"""Years from here on say never, as 9999 does."""


@dataclass(frozen=True, slots=True, eq=False)
class Exposed:
    """Be households with what they were exposed to.

    `homes` has three columns more: `covered` (0 or 1; null where it is not known), `start` (the first wave under the
    policy, null never), `place` (where starts are decided: by what errors are clustered; the unit's in its first wave).
    `timing` says by what level of place the policy starts, `table` tells starts by wave.
    """

    homes: pl.DataFrame
    timing: Timing
    table: pl.DataFrame
    found: tuple[Phrase, ...]
    warnings: tuple[Phrase, ...]


def expose_homes(
    homes: pl.DataFrame, folder: Path, *, rollout: str | None = None, crosswalk: str | None = None,
    policy: str | None = None,
) -> Exposed:  # fmt: skip
    """Bring a roll-out table to the households, by the place of their first wave; without one use the national date.

    The table is the file named, else `rollout.csv`, else another `rollout*.csv` of the folder. It has admin_level,
    admin_code and start_date, or a column of places (county, city or province) with start, start_wave or start_year.
    The `crosswalk` (else `county_crosswalk.csv`) translates the survey's serial numbers of counties. A place is under
    the policy from the wave of the year of its start on; a household keeps the place of its first wave, so that moving
    house changes nothing. Starts are worth only what the table is: nobody has published one.

    Without a table a household is under the policy from 2015 on if somebody of it was in a residents' scheme in its
    first wave: then all starts are one, and what else happened to the insured in these years cannot be told apart.

    Raises InputError no_exposure, no_roll_out_places; UsageError of `medfloor.evaluation.rollout`.
    """
    homes = first_of(homes, "panel_id", "county", "first_county")
    homes = first_of(homes, "panel_id", "region", "first_region")
    file = _file(folder, rollout, "rollout.csv", "rollout*.csv")
    if file is None:
        return _national(homes)
    try:
        return _by_table(homes, file, _file(folder, crosswalk, "county_crosswalk.csv", "*crosswalk*.csv"), policy)
    except MedfloorError as error:
        # A table that somebody named must be used; one that only lies there need not fit.
        if rollout:
            raise
        try:
            other = _national(homes)
        except MedfloorError:
            raise error from None
        why = Phrase.of("studies.rollout_unused", file=file.name, why=Reason.of_error(error))
        return replace(other, warnings=(why, *other.warnings))


def _file(folder: Path, given: str | None, usual: str, pattern: str) -> Path | None:
    if given:
        if not Path(given).is_file():
            raise InputError("file_not_found", f"{given} is not there; name the file, or leave the option out")
        return Path(given)
    if (folder / usual).is_file():
        return folder / usual
    return next(iter(sorted(folder.glob(pattern))), None)


# By a table


def _by_table(homes: pl.DataFrame, file: Path, crosswalk: Path | None, policy: str | None) -> Exposed:
    from medfloor.evaluation.rollout import check_rollout, expose, normal_code

    table, own = _normalised(read_table(file), file)
    codes = "gb2260" if all(normal_code(one) == one for one in table["admin_code"].to_list()) else "any"
    places = _crosswalk(read_table(crosswalk)) if crosswalk is not None else own
    checked = check_rollout(table, codes=codes)
    if checked.accepted.is_empty():
        first = (
            f"row {checked.refused['row'][0]}: {checked.refused['reason'][0]}" if checked.refused.height else "empty"
        )
        raise InputError("no_roll_out_places", f"no row of {file.name} could be used ({first}); see docs/studies.md")
    if places is not None and codes == "any":
        places = _with_levels(places, checked.accepted)
    lacks = places is None or (codes == "gb2260" and "admin_code" not in places.columns)
    if lacks and codes == "gb2260":
        places = None
    levels = set(checked.accepted["admin_level"])
    # Without a crosswalk the survey's serial numbers of counties say nothing; its codes of provinces do.
    place = "first_county"
    if places is None and not (levels == {"county"} and codes == "any"):
        place, levels = "first_region", levels & {"province"}
        if not levels:
            raise InputError(
                "no_roll_out_places",
                f"{file.name} tells starts of {' and '.join(sorted(set(checked.accepted['admin_level'])))}, and "
                "nothing tells which county of the survey lies where; add county_crosswalk.csv (county, admin_code) or "
                "rows of provinces",
            )
    frame = homes.drop("covered", "start", strict=False).with_columns(year=pl.col("year").cast(pl.Float64))
    given = expose(
        frame, checked, place=place, time="year", policy=policy or _policy(checked.accepted), crosswalk=places,
        codes=codes,
    )  # fmt: skip
    made = (
        given.frame.rename({"treated": "covered"})
        .drop("years_exposed")
        .with_columns(pl.col("covered").cast(pl.Float64), pl.col("year").cast(pl.Int64))
    )
    if made["covered"].null_count() == made.height:
        raise InputError("no_roll_out_places", f"no place of the survey is in {file.name} or in the crosswalk")
    made, timing = _with_place(made, places, codes, place, levels)
    warnings = [one for one in given.warnings if one.key != "rollout.no_source"]
    if timing == "province":
        warnings.append(Phrase.of("studies.province_timing"))
    # What the reader says of columns and of --when belongs to its command.
    told = [one for one in given.found if one.key not in ("rollout.added", "rollout.whole_years")]
    used = Phrase.of("studies.rollout_used", file=file.name, level=Phrase(f"studies.level_{timing}"))
    found = (used, *told, Phrase("studies.whole_years"))
    return Exposed(made, timing, _starts(made), found, tuple(warnings))


def _normalised(table: pl.DataFrame, file: Path) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Give a roll-out table the columns of `medfloor.evaluation.rollout`, and the crosswalk that it may itself be."""
    from medfloor.evaluation.rollout import COLUMNS

    table = table.rename({name: name.strip().lower() for name in table.columns})
    table = table.with_columns(pl.all().cast(pl.String).str.strip_chars())
    own: pl.DataFrame | None = None
    start = next((name for name in _STARTS if name in table.columns), None)
    if start is None:
        raise InputError("no_roll_out_places", f"{file.name} has no column start_date; see docs/studies.md")
    if "admin_code" not in table.columns or "admin_level" not in table.columns:
        found = {level: next((one for one in names if one in table.columns), None) for level, names in _LEVELS.items()}
        level = next((one for one in ("city", "county", "province") if found[one]), None)
        if level is None:
            raise InputError(
                "no_roll_out_places",
                f"{file.name} has neither admin_level and admin_code nor a column county, city or province; see "
                "docs/studies.md",
            )
        if found["county"] and level == "city":
            own = _crosswalk(table)
        table = table.with_columns(admin_level=pl.lit(level), admin_code=_whole(found[level] or ""))
    if "policy" not in table.columns:
        table = table.with_columns(policy=pl.lit("critical_illness_insurance"))
    year = pl.col(start).str.extract(r"^(\d{4})(?:\.0+)?$")
    later = pl.col(start).str.slice(0, 4).cast(pl.Int64, strict=False) >= FAR
    table = table.with_columns(start_date=pl.when(year.is_not_null()).then(year + "-01-01").otherwise(pl.col(start)))
    never = pl.col(start).is_null() | pl.col(start).str.to_lowercase().is_in(_NEVER) | later.fill_null(False)
    known = [name for name in COLUMNS if name in table.columns]
    return table.filter(~never).select(known).unique(maintain_order=True), own


def _whole(name: str) -> pl.Expr:
    return pl.col(name).str.replace(r"\.0+$", "")


def _crosswalk(table: pl.DataFrame) -> pl.DataFrame | None:
    """Give a crosswalk the columns that `expose` knows: place, and admin_code or county, city, province."""
    table = table.rename({name: name.strip().lower() for name in table.columns})
    table = table.with_columns(pl.all().cast(pl.String).str.strip_chars())
    place = next((one for one in ("place", *_LEVELS["county"]) if one in table.columns), None)
    if place is None:
        return None
    made = {"place": _whole(place)}
    code = next((one for one in _CODES if one in table.columns), None)
    if code:
        made["admin_code"] = _whole(code)
    made["county"] = _whole(place)
    for level in ("city", "province"):
        theirs = next((one for one in _LEVELS[level] if one in table.columns), None)
        if theirs:
            made[level] = _whole(theirs)
    return table.select(expression.alias(name) for name, expression in made.items()).unique(
        "place", maintain_order=True
    )


def _with_levels(places: pl.DataFrame, accepted: pl.DataFrame) -> pl.DataFrame:
    """Add levels that a crosswalk lacks, by what the roll-out table calls a place: its code, or the beginning."""
    if "admin_code" not in places.columns:
        return places
    for level in ("city", "province"):
        codes = set(accepted.filter(pl.col("admin_level") == level)["admin_code"])
        if not codes or (level in places.columns and codes & set(places[level])):
            continue
        digits = {"city": 4, "province": 2}[level]
        start = pl.col("admin_code").str.slice(0, digits)
        for way in (pl.col("admin_code"), start, start.str.pad_end(6, "0")):
            if codes & set(places.select(way).to_series()):
                places = places.with_columns(way.alias(level))
                break
    return places


def _policy(accepted: pl.DataFrame) -> str | None:
    """Choose the policy whose name speaks of critical illness, where the table has several."""
    names = accepted["policy"].unique().sort().to_list()
    if len(names) == 1:
        return None
    told = [one for one in names if any(word in one.lower() for word in ("critical", "major", "cii", "大病"))]
    return told[0] if len(told) == 1 else None


def _with_place(
    made: pl.DataFrame, places: pl.DataFrame | None, codes: str, place: str, levels: set[str]
) -> tuple[pl.DataFrame, Timing]:
    """Add the place by which starts are decided: the most general level of the table's rows that is known."""
    timing: Timing = "province" if levels == {"province"} else "city" if "city" in levels else "county"
    if timing == "province":
        return made.with_columns(place=pl.col("first_region")), timing
    if timing == "city" and places is not None and codes == "gb2260":
        city = places.select("place", _city=pl.col("admin_code").str.slice(0, 4))
    elif timing == "city" and places is not None and "city" in places.columns:
        city = places.select("place", _city="city")
    else:
        return made.with_columns(place=pl.col(place)), "county"
    joined = made.join(city, left_on=place, right_on="place", how="left", maintain_order="left")
    return joined.rename({"_city": "place"}), timing


def _starts(made: pl.DataFrame) -> pl.DataFrame:
    """Count places, households and rows by the wave of their start."""
    return (
        made.filter(pl.col("covered").is_not_null())
        .group_by("start")
        .agg(places=pl.col("place").n_unique(), households=pl.col("panel_id").n_unique(), rows=pl.len(),
             rows_covered=pl.col("covered").sum().cast(pl.Int64))
        .sort("start", nulls_last=True)
        .with_columns(start=pl.col("start").cast(pl.Int64).cast(pl.String).fill_null("never"))
    )  # fmt: skip


# By the national date


def _national(homes: pl.DataFrame) -> Exposed:
    homes = first_of(homes, "panel_id", "enrolled", "first_enrolled")
    if homes["first_enrolled"].null_count() == homes.height:
        raise InputError(
            "no_exposure",
            "nothing tells who was under the policy: the folder has no roll-out table (rollout.csv), and no file of "
            "people tells insurance (qp605_s_*); add one of them",
        )
    waves = sorted(homes["year"].unique())
    begun = [year for year in waves if year >= FULL]
    if not begun or begun[0] == waves[0]:
        raise UsageError(
            "no_exposure",
            f"the waves {', '.join(map(str, waves))} lie all on one side of {FULL}, when the policy became national; "
            "add waves, or a roll-out table",
        )
    # One level of clusters that the files surely have: the county, else the province, else the household.
    place = next(
        (one for one in ("first_county", "first_region") if homes[one].null_count() < homes.height), "panel_id"
    )
    on = (pl.col("first_enrolled") == 1) & (pl.col("year") >= FULL)
    made = homes.with_columns(
        covered=pl.when(pl.col("first_enrolled").is_not_null()).then(on.cast(pl.Float64)),
        start=pl.when(pl.col("first_enrolled") == 1).then(pl.lit(float(begun[0]))),
        place=pl.col(place),
    )
    return Exposed(
        made,
        "national",
        _starts(made),
        (Phrase.of("studies.national_used", year=FULL),),
        (Phrase.of("studies.national_timing", year=FULL),),
    )
