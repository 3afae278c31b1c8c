"""Read the places that are to be pooled: made-up counties that ship, a file of the user's, or populations."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.fund.county import _made_up, _people_of
from medfloor.fund.losses import Severity, empirical, lognormal
from medfloor.tables import CARE_TYPES, SCHEMES
from medfloor.words import knows, say

_FILE = Path(__file__).parent / "counties.toml"
NUMBERS = ("members", "income", "contribution", "subsidy", "claims", "cost", "ratio", "cv", "own")
"""The columns of a place that are numbers; `own` and `cv` may be left out."""

OURS, YOURS = "no published figure was found; chosen here", "yours"
"""What a source says where nothing was published, and where the user gave the number."""

_RANGES = {
    "members": (1, 2e9), "income": (0.0, 1e8), "contribution": (0.0, 1e6), "subsidy": (0.0, 1e6),
    "claims": (1e-9, 1000), "cost": (0.01, 1e9), "ratio": (1e-6, 1.0), "cv": (0.01, 20), "own": (0.0, 1.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """Be where a number comes from: its value in a unit, year, source and trust."""

    name: str
    value: float
    unit: str
    year: int
    source: str
    trust: str


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Be one place: members, income a head, contribution and subsidy a member (yuan a year).

    Also claims a member, cost of a claim, the share of it that the fund pays, and the spread of claims and of a shock
    of its own. `seen` is the size of claims where claims were seen (yuan that the fund paid), else None.
    """

    name: str
    city: str
    members: int
    income: float
    contribution: float
    subsidy: float
    claims: float
    cost: float
    ratio: float
    cv: float
    own: float
    seen: Severity | None = None

    @property
    def financing(self) -> float:
        """Give what the fund takes in, yuan a member."""
        return self.contribution + self.subsidy

    @property
    def payment(self) -> float:
        """Give what the fund is expected to pay, yuan a member."""
        return self.claims * self.cost * self.ratio

    def severity(self) -> Severity:
        """Give the size of what the fund pays for a claim."""
        return self.seen or lognormal(self.cost * self.ratio, self.cv)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Be places with their name in both languages, whether they are made up, and where their numbers come from.

    `counted` says that they were counted from populations; `chinese` has the names of made-up places in Chinese.
    """

    names: tuple[tuple[str, str], ...]
    all: tuple[Place, ...]
    sources: tuple[Source, ...]
    synthetic: bool
    counted: bool = False
    chinese: Mapping[str, str] = field(default_factory=dict)

    def name(self, lang: str) -> str:
        """Name them in a language."""
        return dict(self.names)[lang]

    def title(self, place: str, lang: str) -> str:
        """Name one of the places, or a city of theirs, in a language."""
        return self.chinese.get(place, place) if lang == "zh" else place

    def to_frame(self) -> pl.DataFrame:
        """Give a row a place."""
        return pl.DataFrame(
            [{"place": one.name, "city": one.city} | {name: getattr(one, name) for name in NUMBERS} for one in self.all]
        )


@functools.cache
def shipped_counties() -> Places:
    """Give the made-up counties, at the nation's published level.

    >>> len(shipped_counties().all), shipped_counties().synthetic
    (12, True)
    """
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    told = data["sources"]
    sources = [
        Source(name, float(one["value"]), one["unit"], one["year"], told[one["source"]], one["trust"])
        for name, one in data["level"].items()
    ]
    at = {one.name: one.value for one in sources}
    made = []
    for name, city, members, income, financing, claims, cost, ratio in data["places"]["rows"]:
        of_claim = at["payment"] / at["claims"] / at["ratio"] * cost
        made.append(
            Place(
                name, city, members, at["income"] * income, at["contribution"],
                at["financing"] * financing - at["contribution"], at["claims"] * claims, of_claim, at["ratio"] * ratio,
                at["cv"], at["own"],
            )
        )  # fmt: skip
    return Places(tuple(data["name"].items()), tuple(made), tuple(sources), True, chinese=data["chinese"])


def places_file(path: str | Path) -> Places:
    """Read places from a CSV or Parquet file, or from TOML with a list [[places]]: a row a place with NUMBERS.

    Also name (text, once each) and city (text, may be left out). Money is yuan a head and year; cv is 1.8 and own 0
    where they are left out.

    Raises InputError file_not_found, bad_places, and what reading a table raises.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("file_not_found", f"there is no file {file}; name a .csv, .parquet or .toml, or a population")
    if file.suffix.lower() == ".toml":
        try:
            rows = tomllib.loads(file.read_text(encoding="utf-8")).get("places")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError("bad_places", f"{file.name} cannot be read as TOML: {error}") from None
    else:
        from medfloor.intake import read_table

        rows = read_table(file, "places").to_dicts()
    if not isinstance(rows, list) or not rows or not all(isinstance(one, Mapping) for one in rows):
        raise InputError("bad_places", f"{file.name} has no places; write [[places]] once a place, or a row each")
    made = [_place(one, f"{file.name}, place {number}") for number, one in enumerate(rows, 1)]
    names = [one.name for one in made]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError("bad_places", f"{file.name} names {twice} twice; a place has one row")
    return Places((("zh", file.stem), ("en", file.stem)), tuple(made), (_yours(file.name),), False)


def national_financing() -> tuple[Source, Source]:
    """Give what the nation's members pay and what the public purse adds (yuan a member), with source and trust.

    The subsidy is what the fund takes in a member by the published series, less the contribution.

    >>> [(one.name, one.value) for one in national_financing()]
    [('contribution', 400.0), ('subsidy', 793.0)]
    """
    at = {one.name: one for one in shipped_counties().sources}
    paid, whole = at["contribution"], at["financing"]
    source = f"financing less contribution: {whole.source}"
    return paid, replace(whole, name="subsidy", value=whole.value - paid.value, source=source, trust="derived")


def counted_places(
    folders: Sequence[str | Path],
    *,
    contribution: float | None = None,
    subsidy: float | None = None,
    year: int | None = None,
) -> Places:
    """Count places from folders of populations, each a place: its residents' scheme, settled under its policy.yaml.

    Income comes from the households, claims and what the basic fund pays for them from the settlement engine;
    contribution and subsidy are given, yuan a member, or the nation's (`national_financing`).

    Raises InputError no_population, bad_places; UsageError bad_parameter, many_years (without `year`), no_such_year;
    what reading and settling raise.
    """
    from medfloor.intake import read_households, read_people, read_table
    from medfloor.settlement import settle

    told = [_given(*pair) for pair in zip(national_financing(), (contribution, subsidy), strict=True)]
    made, made_up = [], []
    ends = [Path(one).name for one in folders]
    twice = next((one for one in folders if list(map(str, folders)).count(str(one)) > 1), None)
    if twice is not None:
        raise InputError("bad_places", f"{twice} is named twice; a population is one place")
    for folder in map(Path, folders):
        files: dict[str, Any] = {name: _table(folder, name) for name in ("people", "claims", "households", "spells")}
        policy = folder / "policy.yaml"
        missing = next((name for name in ("people", "claims", "households") if files[name] is None), None)
        if missing or not policy.is_file():
            raise InputError("no_population", f"{folder} has no {missing or 'policy.yaml'}; a population is a folder "
                             "such as `medfloor synthesise` writes")  # fmt: skip
        raw = read_table(files["people"], "people")
        made_up.append(_made_up(raw))
        people = read_people(raw).accepted.unique("person_id", keep="first", maintain_order=True)
        people = people.filter(pl.col("scheme").is_null() | (pl.col("scheme") == SCHEMES.index("resident")))
        homes = read_households(read_table(files["households"], "households")).accepted
        home = raw.select(*_home_of(raw, folder)).unique("person_id", keep="first")
        size = homes.select("household_id", (pl.col("income_fen") / 100 / pl.col("size")).alias("income"))
        income = people.select("person_id").join(home, on="person_id").join(size, on="household_id")["income"].mean()
        claims = read_table(files["claims"], "claims")
        base = str(_people_of({"people": raw, "claims": claims}, None, year)[1])
        end = "end_date" if "end_date" in claims.columns else "enddate"
        claims = claims.filter(pl.col(end).cast(pl.String).str.slice(0, 4) == base)
        done = settle(claims, files["people"], files["spells"], str(policy))
        paid = done.settlements.join(people.select("person_id"), on="person_id").filter(pl.col("pay_basic") > 0)
        if not people.height or not paid.height or income is None:
            raise InputError("bad_places", f"{folder} has no member with income, or the basic fund pays for no claim")
        sizes = paid["pay_basic"].to_numpy()
        total, mean = float(paid["total"].sum()), float(sizes.mean())
        made.append(
            Place(
                folder.name if ends.count(folder.name) == 1 else str(folder), "all", people.height,
                float(income), told[0].value, told[1].value, paid.height / people.height,  # type: ignore[arg-type]
                total / paid.height, float(sizes.sum()) / total, float(sizes.std()) / mean, 0.0, empirical(sizes),
            )
        )  # fmt: skip
    names = " + ".join(one.name for one in made)
    return Places((("zh", names), ("en", names)), tuple(made), (_yours(names), *told), any(made_up), counted=True)


def population_members(folder: Path, *, year: int | None = None) -> tuple[pl.DataFrame, bool, int]:
    """Read the people of the residents' scheme of a population with what they are and what their care cost in a year.

    Gives a row a person (residence, age `band`, income of the household a head and in-scope `cost`, yuan, and whether
    there was outpatient care for a chronic disease: `history`), whether the people are made up, and how many were left
    out because they have no household with an income above zero.

    Raises InputError no_population; UsageError many_years, no_such_year; what reading raises.
    """
    from medfloor.intake import read_claims, read_households, read_table

    files = {name: _table(folder, name) for name in ("people", "claims", "households")}
    missing = next((name for name, path in files.items() if path is None), None)
    if missing:
        raise InputError("no_population", f"{folder} has no {missing}; a population is a folder such as "
                         "`medfloor synthesise` writes")  # fmt: skip
    raw = {name: read_table(str(path), name) for name, path in files.items()}
    people, base = _people_of({"people": raw["people"], "claims": raw["claims"]}, None, year)
    homes = read_households(raw["households"]).accepted
    claims = read_claims(raw["claims"]).accepted.filter(pl.col("end_date").dt.year() == base)
    chronic = [CARE_TYPES.index(one) for one in ("special_outpatient", "two_disease")]
    borne = claims.group_by("person_id").agg(
        (pl.col("in_scope_fen").sum() / 100).alias("cost"), pl.col("care_type").is_in(chronic).any().alias("history")
    )
    home = raw["people"].select(*_home_of(raw["people"], folder))
    size = homes.select("household_id", (pl.col("income_fen") / 100 / pl.col("size")).alias("income"))
    joined = people.join(home.unique("person_id", keep="first"), on="person_id", how="left")
    joined = joined.join(size, on="household_id", how="left").join(borne, on="person_id", how="left")
    known = joined.filter(pl.col("income") > 0)
    band = pl.when(pl.col("age") < 15).then(0).when(pl.col("age") < 60).then(1).otherwise(2).alias("band")
    rows = known.select("residence", band, "income", pl.col("cost").fill_null(0.0), pl.col("history").fill_null(False))
    return rows, _made_up(raw["people"]), joined.height - known.height


def _home_of(people: pl.DataFrame, folder: Path) -> list[pl.Expr]:
    """Give person and household as text, by either spelling. Raises InputError no_population without households."""
    if "household_id" not in people.columns:
        raise InputError("no_population", f"people of {folder} have no household_id, so no income; add the column")
    person = "person_id" if "person_id" in people.columns else "psn_no"
    return [pl.col(person).cast(pl.String).alias("person_id"), pl.col("household_id").cast(pl.String)]


def source_name(subject: str, name: str, lang: str) -> str:
    """Name a number that went in; one of a list (`income 2`) keeps its place, and a name of the user's stays."""
    first, _, rest = name.partition(" ")
    key = f"fund_parameter.{subject}_{first}"
    return f"{say(key, lang)} {rest}".strip() if knows(key, lang) else name


def _given(national: Source, value: float | None) -> Source:
    """Take the user's number in place of the nation's. Raises UsageError bad_parameter."""
    if value is None:
        return national
    low, high = _RANGES[national.name]
    if not low <= value <= high:
        raise UsageError(
            "bad_parameter",
            f"{national.name} = {value:g} is impossible; it lies between {low:g} and {high:,.0f} (yuan)",
        )
    return Source(national.name, value, national.unit, 0, "yours", "yours")


def _table(folder: Path, name: str) -> Path | None:
    return next((path for end in (".parquet", ".csv") if (path := folder / f"{name}{end}").is_file()), None)


def _yours(name: str) -> Source:
    return Source("places", math.nan, "", 0, name, "yours")


def _place(row: Mapping[str, Any], where: str) -> Place:
    name = str(row.get("name") or row.get("place") or "").strip()
    if not name:
        raise InputError("bad_places", f"{where} has no name; give each place one")
    found: dict[str, float] = {}
    for column in NUMBERS:
        given = row.get(column)
        if given is None or str(given).strip() == "":
            if column not in ("cv", "own"):
                raise InputError(
                    "bad_places", f"{where} ({name}) has no {column}; a place needs {', '.join(NUMBERS[:7])}"
                )
            found[column] = 1.8 if column == "cv" else 0.0
            continue
        try:
            number = float(given) if not isinstance(given, bool) else math.nan
        except (TypeError, ValueError):
            number = math.nan
        low, high = _RANGES[column]
        if not low <= number <= high or (column == "members" and number != int(number)):
            raise InputError(
                "bad_places", f"{where} ({name}): {column} is {given!r}; it lies between {low:g} and {high:g}"
            )
        found[column] = number
    if found["contribution"] + found["subsidy"] <= 0:
        raise InputError("bad_places", f"{where} ({name}) takes in nothing; give contribution or subsidy above zero")
    members = int(found.pop("members"))
    return Place(name, str(row.get("city") or "all"), members, **found)  # type: ignore[arg-type]


def check_months(months: float) -> float:
    """Give back a reserve in months of payment where it can be.

    Raises UsageError negative_reserve, bad_parameter.
    """
    if math.isfinite(months) and months < 0:
        raise UsageError("negative_reserve", f"a reserve of {months:g} months is below zero; give what there is, or 0")
    if not 0 <= months <= 600:
        raise UsageError("bad_parameter", f"a reserve of {months:g} months is impossible; give 0 to 600")
    return months
