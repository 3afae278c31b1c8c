"""Write a made-up file in the layout of the harmonised CHARLS, whose truth is known.

CHARLS may not be passed on, so that programs which read it cannot be tried with it. This file has the names, the shape
(one row a person, all waves side by side) and the interview statuses of H_CHARLS_D_Data, and nothing of its data: its
label, and a column `synthetic`, say so. Every number behind it is in charls.toml and is made up.
"""

from __future__ import annotations

import functools
import json
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.errors import OutputError
from medfloor.layouts import shipped_layout
from medfloor.synthetic.panel_files import Form, check_asked, write_file

Floats: TypeAlias = NDArray[np.float64]

SAYS = "SYNTHETIC: made up by medfloor in the layout of CHARLS; no data of CHARLS"
WAVES = (2011, 2013, 2015, 2018)
NAME = "H_CHARLS_D_Data"

_ANSWERED, _SILENT, _DIED, _DEAD, _NOT_YET = 1.0, 4.0, 5.0, 6.0, 0.0
_CONSTANT = ("person_id", "household_id", "psu", "sex", "education")


@dataclass(frozen=True, eq=False, slots=True)
class MadeCharls:
    """Be what was written: the file, what a reader should find in it by wave, and the truth behind."""

    path: Path
    people: pl.DataFrame
    households: pl.DataFrame
    truth: dict[str, Any]


def write_charls(
    folder: str | os.PathLike[str],
    *,
    seed: int,
    scale: float = 0.1,
    waves: Sequence[int] = WAVES,
    form: Form = "dta",
    capitals: bool = False,
) -> MadeCharls:
    """Write a made-up harmonised file, with truth.json, truth_people.csv and truth_households.csv.

    The panel is always made for all waves; `waves` chooses whose columns are written. `scale` is the size against
    10,000 households, at most 3; `capitals` writes the names of columns in capitals. The same seed gives the same
    values (a .dta file also holds the time of its writing).

    The two CSV files hold what a reader should find, with what was left unanswered as missing; truth.json counts it,
    and holds shares of the made-up households as they truly are, before answers were left out. Stata's and SPSS's files
    have a plain missing value where CHARLS has .d, .r or .m; a CSV file has these letters.

    Raises UsageError bad_seed, bad_scale, no_such_wave; OutputError cannot_write.
    """
    check_asked("CHARLS", seed=seed, scale=scale, waves=waves, known=WAVES, tenth="1,000")
    rng, p = np.random.default_rng([seed, 2]), parameters()
    homes, people = _first_interviews(rng, p, max(round(p["frame"]["households"] * scale), 30))
    wide = _constant(people)
    true, shown = [], []
    statuses = _statuses(rng, p, homes, people)
    for at, wave in enumerate(WAVES):
        said = _answers(rng, p, homes, people, at, statuses[at])
        true.append(said)
        kept = _left_out(rng, p, said)
        if wave in waves:
            shown.append(kept)
            wide = wide.join(_in_names(kept, wave), on="ID", how="left", maintain_order="left")
            status = next(v for v in shipped_layout("charls").person if v.name == "interview").names(wave)[0]
            wide = wide.with_columns(pl.Series(status, statuses[at]))
    wide = wide.with_columns(synthetic=pl.lit(1.0))
    persons, households = _panels(shown)
    truth = {
        "synthetic": True, "says": SAYS, "seed": seed, "scale": scale, "waves": sorted(waves),
        "people": people.height, "households": homes.height, "person_waves": persons.height,
        "household_waves": households.height, "parted": _parted(shown), "shares": _shares(true),
    }  # fmt: skip
    place = Path(folder)
    path = place / f"{NAME}.{form}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        named = wide.rename(str.upper) if capitals else wide
        labels = _labels(wide, capitals=capitals)
        write_file(_marked(named) if form == "csv" else named, path, form, labels, says=SAYS)
        persons.write_csv(place / "truth_people.csv")
        households.write_csv(place / "truth_households.csv")
        (place / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError("cannot_write", f"{folder} cannot be written to: {error.strerror}. Name another.") from None
    return MadeCharls(path, persons, households, truth)


@functools.cache
def parameters() -> dict[str, Any]:
    """Give the parameters of charls.toml."""
    told: dict[str, Any] = tomllib.loads(Path(__file__).with_name("charls.toml").read_text(encoding="utf-8"))
    return told


# The panel


def _first_interviews(rng: np.random.Generator, p: dict[str, Any], n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make up households with the wave of their first interview, and the one or two people interviewed."""
    frame = p["frame"]
    enters = np.repeat(np.arange(len(WAVES)), [n, *(round(share * n) for share in frame["join"][1:])])
    count = len(enters)
    community = rng.integers(0, frame["communities"], count)
    rural = rng.random(frame["communities"]) < frame["rural"]
    place = np.zeros(count, np.int64)
    for one in np.unique(community):
        place[community == one] = np.arange(int((community == one).sum())) + 1
    # Communities have seven figures and households ten, of which the first is zero, as numbers there begin with one.
    communities = [f"0{100_000 + one:06d}" for one in community]
    homes = pl.DataFrame({
        "home": np.arange(count), "enters": enters, "psu": communities,
        "household_id": [f"{c}{k:03d}" for c, k in zip(communities, place, strict=True)],
        "rural": rural[community].astype(float), "others": rng.poisson(1.2, count).astype(float),
        "lasting": rng.normal(0, 0.4, count), "assets": _normal(rng, p["means"]["assets"], count),
    })  # fmt: skip
    couple = rng.random(count) < frame["couples"]
    home = np.repeat(np.arange(count), 1 + couple)
    second = np.append(False, home[1:] == home[:-1])
    youngest, spread = p["life"]["age"]
    age = youngest + np.abs(rng.normal(0, spread, len(home))).astype(int)
    male = rng.random(len(home)) < 0.5
    male = np.where(second, ~np.roll(male, 1), male)
    people = pl.DataFrame({
        "home": home, "second": second, "born": np.asarray(WAVES)[enters[home]] - age, "male": male,
        "education": rng.integers(1, 9, len(home)).astype(float), "frailty": rng.normal(0, 1, len(home)),
        "hukou": rng.integers(1, 3, len(home)).astype(float),
        "weight": np.round(p["frame"]["weight"][0] * np.exp(rng.normal(0, p["frame"]["weight"][1], len(home))), 4),
    })  # fmt: skip
    number = pl.when("second").then(pl.lit("02")).otherwise(pl.lit("01"))
    people = people.join(homes.select("home", "household_id", "psu"), on="home", maintain_order="left")
    return homes, people.with_columns(person_id=pl.col("household_id") + number)


def _statuses(rng: np.random.Generator, p: dict[str, Any], homes: pl.DataFrame, people: pl.DataFrame) -> list[Floats]:
    """Say for each wave who answered, who did not, who died before it, and who was not yet in the survey."""
    enters = homes["enters"].to_numpy()[people["home"].to_numpy()]
    alive = np.ones(people.height, bool)
    a, b = p["life"]["mortality"]
    told = []
    for at, wave in enumerate(WAVES):
        age = wave - people["born"].to_numpy()
        dies = (rng.random(people.height) < np.minimum(a * np.exp(b * (age - 45)), 0.9)) & alive & (at > enters)
        answers = (rng.random(people.height) < p["life"]["answers"]) | (at == enters)
        status = np.where(answers, _ANSWERED, _SILENT)
        status = np.where(alive, np.where(dies, _DIED, status), _DEAD)
        told.append(np.where(at < enters, _NOT_YET, status))
        alive &= ~dies
    return told


def _answers(
    rng: np.random.Generator, p: dict[str, Any], homes: pl.DataFrame, people: pl.DataFrame, at: int, status: Floats
) -> pl.DataFrame:
    """Give what those who answer would truly say in a wave, one row a person with the household's answers beside."""
    wave = WAVES[at]
    person = pl.concat([people, _care(rng, p, people, wave)], how="horizontal")
    apart = (rng.random(homes.height) < p["life"]["parted"])[people["home"].to_numpy()] & people["second"].to_numpy()
    # Who lives apart tells of another home, though the number is the same.
    told = [_living(rng, p, homes, at).select(pl.all().gather(people["home"].to_numpy())) for _ in range(2)]
    mixed = [
        pl.when(pl.Series(apart)).then(told[1][name]).otherwise(told[0][name]).alias(name) for name in told[0].columns
    ]
    home = pl.select(mixed)
    return (
        pl.concat([person, home], how="horizontal")
        .filter(pl.Series(status == _ANSWERED))
        .with_columns(
            wave=pl.lit(str(wave)), interview=pl.lit(_ANSWERED), interview_year=pl.lit(float(wave)), year=pl.lit(wave)
        )
    )


def _care(rng: np.random.Generator, p: dict[str, Any], people: pl.DataFrame, wave: int) -> pl.DataFrame:
    care, n = p["care"], people.height
    stay = rng.random(n) < care["stay"] * np.exp(0.4 * people["frailty"].to_numpy())
    visit = rng.random(n) < care["visit"]
    stay_cost, visit_cost = (np.round(np.exp(_normal(rng, care[name], n))) for name in ("stay_cost", "visit_cost"))
    stay_paid, visit_paid = (np.round(cost * _uniform(rng, care["paid"], n)) for cost in (stay_cost, visit_cost))
    health = np.clip(np.round(3 + people["frailty"].to_numpy() + rng.normal(0, 0.5, n)), 1, 5)
    return pl.DataFrame({
        "age": (wave - people["born"].to_numpy()).astype(float), "marital": np.where(people["second"], 1.0, 3.0),
        "health": health, "hospitalised": stay.astype(float),
        "stays": np.where(stay, 1.0 + rng.poisson(care["stays"], n), 0.0),
        # Who had no stay is not asked what it cost.
        "inpatient_cost": np.where(stay, stay_cost, np.nan), "inpatient_oop": np.where(stay, stay_paid, np.nan),
        "visited": visit.astype(float), "outpatient_cost_month": np.where(visit, visit_cost, np.nan),
        "outpatient_oop_month": np.where(visit, visit_paid, np.nan),
        **{f"insured_{kind}": (rng.random(n) < care[kind]).astype(float) for kind in ("public", "private", "other")},
    }, nan_to_null=True)  # fmt: skip


def _living(rng: np.random.Generator, p: dict[str, Any], homes: pl.DataFrame, at: int) -> pl.DataFrame:
    means, n, wave = p["means"], homes.height, WAVES[at]
    size = 1 + homes["others"].to_numpy()
    growth: float = means["growth"] * (wave - WAVES[0])
    head: Floats = np.exp(_normal(rng, means["consumption"], n) + homes["lasting"].to_numpy() + growth)
    consumption = np.round(head * size)
    income = np.round(consumption * np.exp(_normal(rng, means["income"], n)))
    income = np.where(rng.random(n) < means["negative"], -np.round(income / 10), income)
    assets = np.round(np.exp(homes["assets"].to_numpy()))
    assets = np.where(rng.random(n) < means["in_debt"], -np.round(assets / 20), assets)
    return pl.DataFrame({
        "size": size, "rural": homes["rural"], "income": income, "consumption": consumption,
        "consumption_per_head": np.round(consumption / size, 2),
        "food_week": np.round(consumption * _uniform(rng, means["food_share"], n) / 52, 1),
        "net_assets": assets, "price_index": np.full(n, p["prices"][str(wave)]),
    })  # fmt: skip


def _normal(rng: np.random.Generator, told: Sequence[float], n: int) -> Floats:
    return rng.normal(told[0], told[1], n)


def _uniform(rng: np.random.Generator, told: Sequence[float], n: int) -> Floats:
    return rng.uniform(told[0], told[1], n)


def _left_out(rng: np.random.Generator, p: dict[str, Any], said: pl.DataFrame) -> pl.DataFrame:
    """Leave some answers out; the answers about a household are left out for all its members alike."""
    share = p["missing"]["share"]
    for name in ("size", "income", "consumption", "consumption_per_head", "food_week", "net_assets"):
        silent = rng.random(int(said["home"].to_numpy().max(initial=0)) + 1) < share
        said = said.with_columns(pl.when(pl.Series(~silent[said["home"].to_numpy()])).then(name).alias(name))
    for name in ("health", "stays", "inpatient_cost", "inpatient_oop", "outpatient_cost_month", "outpatient_oop_month"):
        said = said.with_columns(pl.when(pl.Series(rng.random(said.height) >= share)).then(name).alias(name))
    return said


# The file


def _constant(people: pl.DataFrame) -> pl.DataFrame:
    return people.select(
        ID="person_id", householdID="household_id", communityID="psu",
        ragender=pl.when("male").then(1.0).otherwise(2.0), raeduc_c="education",
    )  # fmt: skip


def _in_names(said: pl.DataFrame, wave: int) -> pl.DataFrame:
    """Put the answers of a wave under its names."""
    layout = shipped_layout("charls")
    ours = {"residence": "rural", "net_assets_couple": "net_assets"}
    made = {"ID": said["person_id"]}
    for variable in (*layout.household, *layout.person):
        names = variable.names(wave)
        if names and variable.name not in _CONSTANT:
            made[names[0]] = said[ours.get(variable.name, variable.name)].cast(pl.Float64)
    at = WAVES.index(wave) + 1
    if wave != WAVES[-1]:
        # The other scale of self-rated health, which the last wave does not have: whoever reads it is wrong.
        made[f"r{at}shlt"] = 6.0 - said["health"].cast(pl.Float64)
    return pl.DataFrame(made)


def _labels(wide: pl.DataFrame, *, capitals: bool) -> dict[str, dict[int | float, str]]:
    yes: dict[int | float, str] = {0: "0.no", 1: "1.yes"}
    rural: dict[int | float, str] = {0: "0.urban community", 1: "1.rural community"}
    words: dict[str, dict[int | float, str]] = {"ragender": {1: "1.man", 2: "2.woman"}}
    for name in wide.columns:
        if name.startswith("h") and name.endswith("rural"):
            words[name] = dict(rural)
        elif name.endswith(("hosp1y", "doctor1m", "higov", "hipriv", "hiothp")) and "oop" not in name:
            words[name] = dict(yes)
    return {name.upper() if capitals else name: labels for name, labels in words.items()}


def _marked(frame: pl.DataFrame) -> pl.DataFrame:
    """Put the letters of CHARLS where a CSV file has nothing."""
    return frame.with_columns(
        pl.col(name).cast(pl.String).fill_null(pl.lit((".d", ".r", ".m")[i % 3])).alias(name)
        for i, (name, kind) in enumerate(frame.schema.items())
        if kind == pl.Float64
    )


# What a reader should find


def _panels(shown: Sequence[pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Work out the panels by hand, from what was shown: nothing of the reader is used here."""
    said = pl.concat(list(shown), how="vertical")
    stay = pl.when(pl.col("hospitalised") == 0).then(0.0).otherwise("inpatient_oop")
    visits = pl.when(pl.col("visited") == 0).then(0.0).otherwise(12 * pl.col("outpatient_oop_month"))
    said = said.with_columns(
        oop=stay + visits,
        sex=pl.when("male").then(pl.lit("male")).otherwise(pl.lit("female")),
        residence=pl.when(pl.col("rural") == 1).then(pl.lit("rural")).otherwise(pl.lit("urban")),
        insured=pl.max_horizontal("insured_public", "insured_private", "insured_other"),
        food=52 * pl.col("food_week"),
        net_assets_couple=pl.when(pl.col("year") > 2013).then("net_assets"),
        net_assets=pl.when(pl.col("year") <= 2013).then("net_assets"),
    )
    persons = said.select(
        "wave", "person_id", "household_id", "age", "sex", "health", "hospitalised", "stays", "inpatient_cost",
        "inpatient_oop", "visited", "outpatient_cost_month", "outpatient_oop_month", "oop", "insured", "weight", "psu",
    )  # fmt: skip
    whole = pl.when(pl.col("oop").null_count() == 0).then(pl.col("oop").sum())
    first = [
        pl.col(name).first()
        for name in (
            "size",
            "residence",
            "income",
            "consumption",
            "food",
            "net_assets",
            "net_assets_couple",
            "weight",
            "psu",
        )
    ]
    households = said.group_by("wave", "household_id", maintain_order=True).agg(*first, whole.alias("oop"))
    return persons, households


def _parted(shown: Sequence[pl.DataFrame]) -> int:
    """Count the household-waves whose members tell of different homes."""
    told = pl.concat(list(shown), how="vertical").group_by("wave", "household_id")
    differs = [pl.col(name).drop_nulls().n_unique() > 1 for name in ("size", "income", "consumption", "rural")]
    return int(told.agg(pl.any_horizontal(differs).alias("differs"))["differs"].sum())


def _shares(true: Sequence[pl.DataFrame]) -> dict[str, dict[str, float]]:
    """Give, by wave, shares among households as they truly are: nothing is missing, and each counts once."""
    told = {}
    for said in true:
        stay, visits = pl.col("inpatient_oop").fill_null(0), 12 * pl.col("outpatient_oop_month").fill_null(0)
        home = said.group_by("household_id").agg(
            (stay + visits).sum().alias("oop"), pl.col("consumption").first(), pl.col("food_week").first() * 52
        )
        told[said["wave"][0]] = {
            "mean_oop": float(home["oop"].mean()),  # type: ignore[arg-type]
            "above_tenth_of_consumption": float((home["oop"] > 0.1 * home["consumption"]).mean()),  # type: ignore[arg-type]
            "hospitalised": float(said["hospitalised"].mean()),  # type: ignore[arg-type]
        }
    return told
