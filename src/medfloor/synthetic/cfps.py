"""Write made-up files in exactly the layout of CFPS, whose truth is known.

CFPS may not be passed on, so that programs which read it cannot be tried with it. These files have its names, codes
for missing and renumbered questions wave by wave (`medfloor.layouts`), and nothing of its data: every file, and a
column `synthetic`, says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from medfloor.errors import OutputError
from medfloor.layouts import Layout, Variable, shipped_layout
from medfloor.synthetic.cfps_world import NEVER, WAVES, World, make_world, parameters, truth_of
from medfloor.synthetic.panel_files import Form, check_asked, write_file

SAYS = "SYNTHETIC: made up by medfloor in the layout of CFPS; no data of CFPS"

_ANSWER: dict[int | float, str] = {-1: "不知道", -2: "拒绝回答", -8: "不适用", -9: "缺失", -10: "无法判断"}
_WORDS: dict[str, dict[int | float, str]] = {
    "residence": {0: "乡村", 1: "城镇"},
    "sex": {0: "女", 1: "男"},
    "yes_no": {0: "否", 1: "是"},
    "hukou": {1: "农业户口", 3: "非农户口", 5: "没有户口", 7: "居民户口", 79: "不适用"},
    "marital": {1: "未婚", 2: "在婚（有配偶）", 3: "同居", 4: "离婚", 5: "丧偶"},
    "health": {1: "非常健康", 2: "很健康", 3: "比较健康", 4: "一般", 5: "不健康"},
    "health_2010": {1: "健康", 2: "一般", 3: "比较不健康", 4: "不健康", 5: "非常不健康"},
    "insurance": {
        1: "公费医疗", 2: "城镇职工医疗保险", 3: "城镇居民医疗保险", 4: "补充医疗保险", 5: "新型农村合作医疗",
        6: "城乡居民基本医疗保险", 78: "以上都没有", 79: "不适用",
    },
}  # fmt: skip

_INSURANCE_2010: dict[int | float, int] = {2: 11, 3: 12, 4: 13, 5: 14, 78: 78, -8: -8}
"""In 2010 the question lists all kinds of insurance with other codes; these are made up, and only words tell them."""


@dataclass(frozen=True, eq=False, slots=True)
class MadeFiles:
    """Be what was written: the files, the truth, and the world that they were made from."""

    folder: Path
    files: tuple[str, ...]
    truth: dict[str, Any]
    world: World


def write_cfps(
    folder: str | os.PathLike[str],
    *,
    seed: int,
    scale: float = 0.1,
    waves: Sequence[int] = WAVES,
    form: Form = "dta",
    english: bool = False,
    capitals: bool = False,
) -> MadeFiles:
    """Write made-up files of CFPS into a folder, with their truth, rollout_sim.csv and county_crosswalk.csv.

    The panel is always made for all waves; `waves` chooses which are written. `scale` is the size against 14,797
    households in 2010, at most 3. `english` puts an e before the names of files, `capitals` writes columns in capitals,
    as some releases do. The same seed gives the same values (a .dta file also holds the time of its writing).

    truth.json holds the effects on the treated, how often each code for missing was written into each column, rows of
    each file, and how households go on and split; truth_households.csv what each household has in both worlds. Nothing
    here estimates anything about China.

    Raises UsageError bad_seed, bad_scale, no_such_wave; OutputError cannot_write.
    """
    check_asked("CFPS", seed=seed, scale=scale, waves=waves, known=WAVES, tenth="1,480")
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot_write", f"{folder} cannot be made: {error.strerror}. Name another folder.") from None
    layout, world = shipped_layout("cfps"), make_world(seed=seed, scale=scale)
    rng = np.random.default_rng([seed, 1])
    written, codes, rows = [], {}, {}
    for wave in WAVES:
        # Codes are drawn for all waves, so that a wave does not depend on which others are written.
        for kind, frame in _files_of(world, wave, layout, rng).items():
            if wave not in waves:
                continue
            name = _name(wave, kind, form, english=english)
            _write(frame, place / name, form, _labels(frame, layout, wave), capitals=capitals)
            written.append(name)
            rows[name] = frame.height
            codes[name] = _codes_in(frame, layout)
    truth = {
        "synthetic": True, "says": SAYS, "seed": seed, "scale": scale, "waves": list(waves),
        "effects": truth_of(world), "rows": rows, "codes": codes, "links": _links(world, waves),
    }  # fmt: skip
    _write_beside(place, truth, world)
    return MadeFiles(place, tuple(written), truth, world)


# The files of a wave


def _files_of(world: World, wave: int, layout: Layout, rng: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Give the files of a wave by kind, in its names and codes."""
    homes, people = world.households[wave], world.people[wave]
    economy = _encoded(homes, _of_households(homes, wave), layout.household, layout, wave, rng)
    files = {"famecon": economy, "famconf": _roster(people, layout, wave)}
    said = _of_people(people, wave)
    for kind in layout.files["person"][wave]:
        if kind not in parameters()["files"][str(wave)]:
            continue  # a release that has the children in another file
        child = kind in ("child", "childproxy")
        first, last = {"adult": (16, 200), "person": (10, 200)}.get(kind, (0, 15))
        chosen = (people["age"] >= first) & (people["age"] <= last)
        part = {name: values.filter(chosen) for name, values in said.items()}
        files[kind] = _encoded(people.filter(chosen), part, layout.person, layout, wave, rng, child=child)
    if "crossyearid" in parameters()["files"][str(wave)]:
        files["crossyearid"] = _cross_years(world, wave, layout)
    return files


def _of_households(homes: pl.DataFrame, wave: int) -> dict[str, pl.Series]:
    """Say what a wave asks of households, by our names."""
    same = {
        "household_id": "number", "region": "province", "county": "county", "residence": "urban", "size": "size",
        "respondent_id": "respondent", "respondent_code": "respondent_code", "income": "income",
        "income_comparable": "income", "income_per_head": "income_per_head",
        "income_per_head_comparable": "income_per_head", "consumption": "consumption", "food": "food", "oop": "oop",
        "medical": "medical", "net_assets": "assets", "weight": "weight", "panel_weight": "weight", "psu": "county",
        "stratum": "stratum",
    }  # fmt: skip
    return {ours: homes[theirs].cast(pl.Float64) for ours, theirs in same.items()}


def _of_people(people: pl.DataFrame, wave: int) -> dict[str, pl.Series]:
    """Say what a wave asks of people, by our names; -8 where a question does not concern somebody."""
    stays, cost = people["stays"], people["inpatient"] + people["outpatient"]
    hukou = people["rural_hukou"].cast(pl.Float64) * -2 + 3
    if wave >= 2020:
        hukou = hukou.set(people["treated"] & people["rural_hukou"], 7.0)
    number = {
        "person_id": "number", "household_id": "household", "age": "age", "sex": "male", "education_years": "school",
        "marital": "marital", "health": "health", "health_2010": "health", "chronic": "chronic",
        "hospitalised": "stays", "weight": "weight", "panel_weight": "weight",
    }  # fmt: skip
    told = {ours: people[theirs].cast(pl.Float64) for ours, theirs in number.items()}
    school = told["education_years"]
    told["education"] = pl.Series(1 + np.digitize(school.to_numpy(), [1, 6, 9, 12, 15, 16, 19]), dtype=pl.Float64)
    told["hukou"] = hukou
    told["inpatient_cost"] = people["inpatient"].cast(pl.Float64).set(~stays, -8.0)
    told["outpatient_cost"] = people["outpatient"].cast(pl.Float64)
    told["oop"] = people["oop"].cast(pl.Float64).set(cost == 0, -8.0)
    told["medical_total"] = cost.cast(pl.Float64)
    told["insurance_1"], told["insurance_2"] = people["kind"].cast(pl.Float64), people["second"].cast(pl.Float64)
    told["stays"] = stays.cast(pl.Float64)
    return told


def _encoded(
    frame: pl.DataFrame,
    said: Mapping[str, pl.Series],
    variables: Sequence[Variable],
    layout: Layout,
    wave: int,
    rng: np.random.Generator,
    *,
    child: bool = False,
) -> pl.DataFrame:
    """Put answers under a wave's names, with codes for missing."""
    made: dict[str, pl.Series] = {}
    for variable in variables:
        names = variable.names(wave, child=child)
        if variable.kind == "slots":
            made |= _slots(said, names[0], wave)
        elif names:
            values = _with_missing(said[variable.name], variable, rng)
            second = variable.otherwise.get(wave, ())
            if second and not child:
                # Two questions: this one for those who were in hospital, the other for everybody else.
                made[second[0]] = values.set(said["stays"] == 1, -8.0)
                values = values.set(said["stays"] == 0, -8.0)
            made[names[0]] = values
    for name in frame.columns:
        if name.startswith("earlier_"):
            number = frame[name].cast(pl.Float64)
            made[layout.earlier.format(yy=name[-2:])] = number.set(number == 0, -8.0)
    if wave == 2012 and "oop" in said and not child and "fp509" in made:
        # In 2012 the number fp511 belongs to another question: whoever takes it for medical expenses is wrong.
        made["fp511"] = pl.Series(np.round(rng.lognormal(6, 1, frame.height)), dtype=pl.Float64)
    made["synthetic"] = pl.Series(np.ones(frame.height))
    return pl.DataFrame(made)


def _with_missing(values: pl.Series, variable: Variable, rng: np.random.Generator) -> pl.Series:
    """Write codes for missing over some answers; -8 is left to those whom a question does not concern."""
    p = parameters()["missing"]
    if variable.name not in p["columns"]:
        return values
    shares = {int(code): share for code, share in p["shares"].items() if int(code) not in variable.zero}
    rate = rng.uniform(*p["total"])
    hit = rng.random(values.len()) < rate
    weights = np.array(list(shares.values()))
    code = rng.choice(list(shares), values.len(), p=weights / weights.sum()).astype(float)
    kept = values.to_numpy()
    return pl.Series(np.where(hit & (kept != -8), code, kept))


def _slots(said: Mapping[str, pl.Series], pattern: str, wave: int) -> dict[str, pl.Series]:
    first, second = said["insurance_1"], said["insurance_2"]
    if wave == 2010:
        codes = {float(new): float(old) for new, old in _INSURANCE_2010.items()}
        first, second = first.replace(codes), second.replace(codes)
    return {pattern.replace("*", "1"): first, pattern.replace("*", "2"): second}


def _roster(people: pl.DataFrame, layout: Layout, wave: int) -> pl.DataFrame:
    said = {
        "person_id": people["number"], "household_id": people["household"], "member_code": people["code"],
        "birth_year": people["birth"], "in_household": pl.Series(np.ones(people.height)),
        "alive": pl.Series(np.ones(people.height)),
    }  # fmt: skip
    made = {v.names(wave)[0]: said[v.name].cast(pl.Float64) for v in layout.roster}
    return pl.DataFrame(made | {"synthetic": pl.Series(np.ones(people.height))})


def _cross_years(world: World, last: int, layout: Layout) -> pl.DataFrame:
    """Give one row a person of any wave until this one: the household of every wave, -8 where there was none."""
    waves = [wave for wave in WAVES if wave <= last]
    everybody = pl.concat(
        world.people[wave].select("number", "birth", "male", "household", "county", "stratum", wave=pl.lit(wave))
        for wave in waves
    )
    constant = everybody.unique("number", keep="first", maintain_order=True).sort("number")
    made = constant.select(
        pid=pl.col("number").cast(pl.Float64), birthy=pl.col("birth").cast(pl.Float64),
        gender=pl.col("male").cast(pl.Float64), psu=pl.col("county").cast(pl.Float64),
        subpopulation=pl.col("stratum").cast(pl.Float64),
    )  # fmt: skip
    for wave in waves:
        one = everybody.filter(pl.col("wave") == wave)
        number = dict(zip(one["number"].to_list(), one["household"].to_list(), strict=True))
        household = [float(number.get(person, -8)) for person in constant["number"].to_list()]
        made = made.with_columns(pl.Series(layout.earlier.format(yy=f"{wave % 100:02d}"), household))
    return made.with_columns(synthetic=pl.lit(1.0))


# Writing


def _name(wave: int, kind: str, form: str, *, english: bool) -> str:
    release = parameters()["files"][str(wave)][kind]
    return f"{'e' if english else ''}cfps{wave}{kind}_{release}.{form}"


def _labels(frame: pl.DataFrame, layout: Layout, wave: int) -> dict[str, dict[int | float, str]]:
    """Give the Chinese words of a file's codes."""
    found: dict[str, dict[int | float, str]] = {}
    for variable in (*layout.household, *layout.person, *layout.roster):
        words = _WORDS.get(variable.name) or _WORDS.get(variable.kind, {})
        for name in (*variable.names(wave, child=True), *variable.otherwise.get(wave, ())):
            if variable.kind == "slots":
                kinds = _WORDS["insurance"]
                if wave == 2010:
                    kinds = {_INSURANCE_2010[code]: word for code, word in kinds.items() if code in _INSURANCE_2010}
                for slot in ("1", "2"):
                    found[name.replace("*", slot)] = {**_ANSWER, **kinds}
            elif variable.kind != "id":
                found.setdefault(name, {**_ANSWER, **words})
    return {name: words for name, words in found.items() if name in frame.columns}


def _write(
    frame: pl.DataFrame, path: Path, form: Form, labels: dict[str, dict[int | float, str]], *, capitals: bool
) -> None:
    if capitals:
        frame = frame.rename(str.upper)
        labels = {name.upper(): words for name, words in labels.items()}
    write_file(frame, path, form, labels, says=SAYS)


def _write_beside(place: Path, truth: dict[str, Any], world: World) -> None:
    counties = world.counties.with_columns(
        start_date=pl.when(pl.col("start") != NEVER).then(pl.format("{}-01-01", "start")),
    )
    cities = counties.drop_nulls("start_date").unique("city", keep="first", maintain_order=True).sort("city")
    rollout = cities.select(
        policy=pl.lit("critical_illness_insurance"), admin_level=pl.lit("city"), admin_code="city",
        start_date="start_date", document_no=pl.lit("SYNTHETIC"), url=pl.lit(""), scope=pl.lit("both"),
        note=pl.lit("made up"),
    )  # fmt: skip
    try:
        (place / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        rollout.write_csv(place / "rollout_sim.csv")
        _both_worlds(world, truth["waves"]).write_csv(place / "truth_households.csv")
        counties.select("county", "province", "city").write_csv(place / "county_crosswalk.csv")
    except OSError as error:
        raise OutputError(
            "cannot_write", f"{place} cannot be written to: {error.strerror}. Name another folder."
        ) from None


# Truth


def _both_worlds(world: World, waves: Sequence[int]) -> pl.DataFrame:
    """Give what each household has, and would have without the policy (`_0`): any effect on the treated is known.

    `unhealthy` is the share of its members of 16 and older whose health is the worst.
    """
    frames = []
    for wave in sorted(waves):
        adults = world.people[wave].filter(pl.col("age") >= 16)
        members = adults.group_by("household").agg(pl.col("unhealthy", "unhealthy_0").mean())
        told = ("income_per_head", "oop", "consumption", "food")
        frames.append(
            world.households[wave]
            .join(members, left_on="number", right_on="household", how="left", maintain_order="left")
            .select(
                pl.lit(wave).alias("wave"), pl.col("number").alias("household_id"), "start", "treated",
                *(f"{name}{mark}" for name in (*told, "unhealthy") for mark in ("", "_0")),
            )
        )  # fmt: skip
    return pl.concat(frames)


def _codes_in(frame: pl.DataFrame, layout: Layout) -> dict[str, dict[str, int]]:
    """Count the codes for missing in every column of a file, as it was written."""
    found: dict[str, dict[str, int]] = {}
    for name in frame.columns:
        counts = {str(code): int((frame[name] == code).sum()) for code in layout.missing}
        counts = {code: n for code, n in counts.items() if n}
        if counts:
            found[name] = counts
    return found


def _links(world: World, waves: Sequence[int]) -> dict[str, Any]:
    """Count households that go on under the same number, and those that left another one."""
    numbers = {wave: set(world.households[wave]["number"].to_list()) for wave in sorted(waves)}
    every = set.intersection(*numbers.values())
    split = pl.concat([world.households[w].filter(pl.col("born") > WAVES[0]).select("number") for w in sorted(waves)])
    return {
        "households": len(set.union(*numbers.values())),
        "in_every_wave": len(every),
        "split_off": split["number"].n_unique(),
    }
