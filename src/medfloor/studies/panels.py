"""Bring files of CFPS into the panels that its studies share: poverty lines, outcomes, insurance, members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.intake import Survey, poverty_lines, read_cfps
from medfloor.intake.cfps_files import find_cfps_files
from medfloor.layouts import Layout, read_layout
from medfloor.measures.lines import poverty_line
from medfloor.words import Phrase

USUAL_WAVES = "2012-2018"
STANDARD = 2300.0
"""Yuan a person and year at the prices of 2010: the rural poverty standard of 2010, carried by rural prices."""

SHARES = (0.4, 0.5, 0.6)
CATASTROPHIC = 0.4
"""Of consumption less food: the 40 % of the source documents, with the boundary itself not above it."""

ELDERLY = 65
ADULT = 16
UNHEALTHY = 5
"""The worst of five answers to the question on one's own health, in the wording of 2012 and later."""

AREAS = {
    "east": (11, 12, 13, 21, 31, 32, 33, 35, 37, 44, 46),
    "centre": (14, 22, 23, 34, 36, 41, 42, 43),
    "west": (15, 45, 50, 51, 52, 53, 54, 61, 62, 63, 64, 65),
}
"""Three areas of provinces (GB/T 2260), as studies usually cut China; the cut is a convention."""

_NUMBERS = (
    "size", "income", "income_per_head", "consumption", "food", "oop", "medical", "weight", "adults", "children",
)  # fmt: skip
_LABELS = ("region", "county", "residence", "psu", "stratum", "previous_household_id")


@dataclass(frozen=True, slots=True, eq=False)
class Panels:
    """Be the two panels of a survey with what the studies need.

    `homes` has one row a household and wave: `year`, `panel_id` (the chain of the core household), lines and outcomes
    (see `read_panels`); `people` one row a person and wave, with the household's income and outcomes beside. Columns
    that the files do not have are null. `lines` are the poverty lines by wave.
    """

    survey: Survey
    homes: pl.DataFrame
    people: pl.DataFrame
    lines: pl.DataFrame
    waves: tuple[int, ...]
    synthetic: bool

    def has(self, *columns: str) -> bool:
        """Say whether some row of the households has a value in each of these columns."""
        return all(self.homes[name].null_count() < self.homes.height for name in columns)


def read_panels(folder: Path, *, waves: str = USUAL_WAVES, layout: str | None = None) -> Panels:
    """Read the waves (2012-2018 or 2012,2014) that the folder has, and make the outcomes.

    Households get, in the prices of their wave: `income_head` (net income a head, as the survey constructs it, else
    income over size), `poor_absolute` (below 2,300 yuan of 2010 carried by rural prices), `poor_published` (below the
    line published for the year, where one is known), `poor_40`, `poor_50`, `poor_60` (below that share of the weighted
    median of all people), `poor_50_own` (half of the median of town or country), `ln_income` (above zero only),
    `ln_oop` (of oop + 1), `che` (oop above 40 % of consumption less food), `oop_share` (of consumption), and from their
    members `enrolled` (anybody in a residents' scheme), `elderly` (share of 65 and older), `any_stay`, `any_care`,
    `unhealthy` (share of adults whose own rating is the worst), `any_chronic`, `hours` (mean of `work_hours`, a column
    that only a layout of one's own can bring). `rich` is 1 for the upper half of its wave by income a head.

    Raises InputError few_waves, no_income, and what `read_cfps` raises; UsageError bad_setting.
    """
    asked = _years(waves)
    chosen = _waves_there(folder, asked)
    survey = read_cfps(folder, waves=chosen, layout=_layout(layout))
    homes = _complete(survey.households, numbers=_NUMBERS, labels=_LABELS)
    homes = homes.with_columns(
        year=pl.col("wave").cast(pl.Int64),
        income_head=pl.coalesce("income_per_head", pl.when(pl.col("size") > 0).then(pl.col("income") / pl.col("size"))),
    )
    if homes["income_head"].null_count() == homes.height:
        raise InputError(
            "no_income",
            f"no household of {folder} has an income: neither income per head (fincome1_per) nor net income (fincome1) "
            "with the family's size; take the whole famecon files",
        )
    lines = _lines(homes)
    homes = _outcomes(homes, lines)
    people = _people(survey.people)
    homes = _with_members(homes, people)
    homes = homes.sort("panel_id", "year")
    synthetic = "synthetic" in homes.columns and bool(homes["synthetic"].fill_null(False).any())
    beside = any((folder / name).is_file() for name in ("truth.json", "rollout_sim.csv"))
    return Panels(survey, homes, _with_home(people, homes), lines, tuple(chosen), synthetic or beside)


def _years(text: str) -> list[int]:
    years: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError("bad_setting", f"waves={text}: write 2012-2018 or 2012,2014,2018")
        years += range(int(first), int(last) + 1) if dash else [int(first)]
    return sorted(set(years))


def _waves_there(folder: Path, asked: Sequence[int]) -> list[int]:
    found, _ = find_cfps_files(folder)
    there = sorted({file.wave for file in found if file.kind == "famecon"})
    chosen = [wave for wave in there if wave in asked]
    if len(chosen) < 2:
        raise InputError(
            "few_waves",
            f"{folder} has the famecon files of {', '.join(map(str, there)) or 'no wave'}, and a study over time needs "
            f"at least two of {', '.join(str(y) for y in asked if y % 2 == 0) or asked}; add files "
            "(cfps2012famecon_..., ...), or choose others with --set waves=2010-2018",
        )
    return chosen


def _layout(path: str | None) -> Layout | None:
    return read_layout(path) if path else None


def _complete(frame: pl.DataFrame, *, numbers: Sequence[str], labels: Sequence[str]) -> pl.DataFrame:
    """Add columns that the files lack, empty."""
    kinds: dict[str, Any] = {**dict.fromkeys(numbers, pl.Float64), **dict.fromkeys(labels, pl.String)}
    return frame.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in kinds.items() if name not in frame.columns
    )


# Poverty


def _lines(homes: pl.DataFrame) -> pl.DataFrame:
    given = {"wave": "wave", "income_per_head": "income_head", "size": "size", "residence": "residence"}
    table = homes.select(pl.col(theirs).alias(ours) for ours, theirs in given.items())
    # A wave without any weight or size counts each household once rather than having no line.
    weight = pl.when(pl.col("weight").is_not_null().any().over("wave")).then("weight").otherwise(1.0)
    size = pl.when(pl.col("size").is_not_null().any().over("wave")).then("size").otherwise(1.0)
    table = table.with_columns(homes.select(weight.alias("weight"), size.alias("size")))
    lines = poverty_lines(table, absolute=STANDARD, year=2010, shares=SHARES)
    published = []
    for wave in homes["wave"].unique().sort().to_list():
        try:
            line = poverty_line("cn-2010", year=int(wave))
        except UsageError:
            continue  # none was published for that year, or none is known here
        published.append({"wave": wave, "area": "rural", "kind": "published", "value": line.value, "trust": line.trust})
    return pl.concat([lines, pl.DataFrame(published, schema=lines.schema)])


def line_of(lines: pl.DataFrame, kind: str, *, area: str, share: float | None = None) -> dict[str, float]:
    """Give a line by wave."""
    rows = lines.filter((pl.col("kind") == kind) & (pl.col("area") == area) & pl.col("share").eq_missing(pl.lit(share)))
    return dict(zip(rows["wave"].to_list(), rows["value"].to_list(), strict=True))


def _below(line: dict[str, float], name: str) -> pl.Expr:
    at = pl.col("wave").replace_strict(line, default=None, return_dtype=pl.Float64)
    return (pl.col("income_head") < at).cast(pl.Float64).alias(name)


def _outcomes(homes: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    own = {area: line_of(lines, "relative", area=area, share=0.5) for area in ("urban", "rural")}
    at_home = pl.when(pl.col("residence") == "urban")
    made = homes.with_columns(
        _below(line_of(lines, "absolute", area="rural"), "poor_absolute"),
        _below(line_of(lines, "published", area="rural"), "poor_published"),
        *(_below(line_of(lines, "relative", area="all", share=one), f"poor_{round(100 * one)}") for one in SHARES),
        at_home.then(_below(own["urban"], "a"))
        .when(pl.col("residence") == "rural")
        .then(_below(own["rural"], "b"))
        .alias("poor_50_own"),
        ln_income=pl.when(pl.col("income_head") > 0).then(pl.col("income_head").log()),
        ln_oop=(pl.col("oop") + 1).log(),
        able=pl.col("consumption") - pl.col("food"),
        oop_share=pl.when(pl.col("consumption") > 0).then(pl.col("oop") / pl.col("consumption")),
        child_share=pl.when(pl.col("size") > 0).then((pl.col("children") / pl.col("size")).clip(0, 1)),
        urban=pl.when(pl.col("residence").is_not_null()).then((pl.col("residence") == "urban").cast(pl.Float64)),
        area=_area(),
    )
    # As in `measures.catastrophic`: a capacity of zero or below is exceeded by any spending.
    che = ((pl.col("oop") > 0) & (pl.col("oop") > CATASTROPHIC * pl.col("able"))).cast(pl.Float64)
    return made.with_columns(
        che=pl.when(pl.col("able").is_not_null() & pl.col("oop").is_not_null()).then(che),
        rich=(pl.col("income_head") > pl.col("income_head").median().over("wave")).cast(pl.Float64),
        fifth=(1 + (5 * (pl.col("income_head").rank("ordinal") - 1) / pl.col("income_head").count()).floor())
        .over("wave")
        .cast(pl.Int64),
    ).drop("able")


def _area() -> pl.Expr:
    known = {str(code): area for area, codes in AREAS.items() for code in codes}
    return pl.col("region").str.slice(0, 2).replace_strict(known, default=None, return_dtype=pl.String)


# People


def _people(people: pl.DataFrame) -> pl.DataFrame:
    if not people.width:
        kinds = {"wave": pl.String, "person_id": pl.String, "household_id": pl.String}
        people = pl.DataFrame(schema=kinds)
    numbers = ("age", "health", "chronic", "hospitalised", "inpatient_cost", "outpatient_cost", "oop", "medical_total",
               "education_years", "work_hours", "insured", "weight")  # fmt: skip
    labels = ("sex", "scheme", "hukou", "insurance_codes", "marital", "residence", "region", "county", "household_id")
    people = _complete(people, numbers=numbers, labels=labels)
    stay, cost = pl.col("hospitalised") > 0, (pl.col("inpatient_cost") > 0) | (pl.col("outpatient_cost") > 0)
    codes = pl.col("insurance_codes").str.split(";")
    # Stays and costs are not asked in every wave; care is known where either is.
    care = pl.max_horizontal(
        stay.cast(pl.Float64), cost.cast(pl.Float64), (pl.col("medical_total") > 0).cast(pl.Float64)
    )
    return people.with_columns(
        year=pl.col("wave").cast(pl.Int64),
        enrolled=_in_scheme("resident"),
        employee=_in_scheme("employee"),
        merged=pl.when(pl.col("insurance_codes").is_not_null()).then(codes.list.contains("6").cast(pl.Float64)),
        any_stay=stay.cast(pl.Float64),
        any_care=care,
        bad_health=pl.when(pl.col("health").is_not_null()).then((pl.col("health") >= UNHEALTHY).cast(pl.Float64)),
        female=pl.when(pl.col("sex").is_not_null()).then((pl.col("sex") == "female").cast(pl.Float64)),
    )


def _in_scheme(name: str) -> pl.Expr:
    """Say who is in a scheme; other insurance alone (publicly funded care, a supplement) is known to be neither."""
    known = pl.col("scheme").is_not_null() | (pl.col("insured") > 0).fill_null(False)
    return pl.when(known).then((pl.col("scheme") == name).fill_null(False).cast(pl.Float64))


def _with_members(homes: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    adult = pl.col("age") >= ADULT
    members = (
        people.drop_nulls("household_id")
        .group_by("wave", "household_id")
        .agg(
            enrolled=pl.col("enrolled").max(),
            elderly=(pl.col("age") >= ELDERLY).mean(),
            any_stay=pl.col("any_stay").max(),
            any_care=pl.col("any_care").max(),
            unhealthy=pl.col("bad_health").filter(adult).mean(),
            any_chronic=pl.col("chronic").max(),
            hours=pl.col("work_hours").filter(adult).mean(),
            schooling=pl.col("education_years").filter(adult).max(),
        )
    )
    return homes.join(members, on=["wave", "household_id"], how="left", maintain_order="left")


def _with_home(people: pl.DataFrame, homes: pl.DataFrame) -> pl.DataFrame:
    """Give people what is known of their household."""
    names = ["income_head", "ln_income", "che", "oop_share", "ln_oop", "elderly", "child_share", "area",
             "poor_absolute", "poor_40", "poor_50", "poor_60", "poor_50_own", "fifth"]  # fmt: skip
    beside = homes.select(
        "wave", "household_id", *names, home_oop="oop", home_size="size", home_urban="urban", chain="panel_id",
        place="county", province="region",
    )  # fmt: skip
    return people.join(beside, on=["wave", "household_id"], how="left", maintain_order="left").sort("person_id", "year")


def first_of(frame: pl.DataFrame, unit: str, column: str, name: str) -> pl.DataFrame:
    """Give each unit the value of a column in its first wave that has one, under a name; `year` orders waves."""
    value = pl.col(column).sort_by("year").drop_nulls().first().over(unit)
    return frame.with_columns(value.alias(name))


def told_panel(panels: Panels) -> pl.DataFrame:
    """Count households, people and links by wave."""
    homes, people = panels.homes, panels.people
    counts = homes.group_by("year").agg(
        households=pl.len(),
        followed=pl.col("previous_household_id").is_not_null().sum(),
        with_income=pl.col("income_head").is_not_null().sum(),
        with_spending=pl.col("oop").is_not_null().sum(),
    )
    persons = people.group_by("year").agg(people=pl.len())
    return counts.join(persons, on="year", how="left").sort("year")


def remarks(panels: Panels) -> tuple[Phrase, ...]:
    """Give what the reader of the survey found that a user must know, and which waves have no weights."""
    waves = panels.homes.group_by("wave").agg(weights=pl.col("weight").count()).filter(pl.col("weights") == 0)
    told = tuple(one for one in panels.survey.findings.remarks if one.key != "surveys.synthetic")
    if waves.is_empty():
        return told
    return (*told, Phrase.of("studies.no_weights", waves=", ".join(waves["wave"].sort())))
