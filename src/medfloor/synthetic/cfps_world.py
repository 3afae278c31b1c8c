"""Make up a panel of households with a known effect of a policy: each lives in both worlds, with the same chances.

Every number is in cfps.toml and is made up. The effect on a household under the policy is the difference between its
two worlds, so that the truth (effects on the treated) is exact, not estimated.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

WAVES = (2010, 2012, 2014, 2016, 2018, 2020, 2022)
NEVER = 9999
OUTCOMES = ("log_income", "relative_poverty", "relative_poverty_fixed_line", "catastrophic", "oop", "unhealthy")


@dataclass(frozen=True, eq=False, slots=True)
class World:
    """Be the made-up panel: counties, and by wave the households and people that were interviewed.

    Frames hold true values (nothing missing, no codes). `households` has for each outcome its value without the policy
    under the name with `_0` behind; people have `unhealthy` and `unhealthy_0`.
    """

    counties: pl.DataFrame
    households: dict[int, pl.DataFrame]
    people: dict[int, pl.DataFrame]


@functools.cache
def parameters() -> dict[str, Any]:
    """Give the parameters of cfps.toml."""
    told: dict[str, Any] = tomllib.loads(Path(__file__).with_name("cfps.toml").read_text(encoding="utf-8"))
    return told


def make_world(*, seed: int, scale: float) -> World:
    """Make up the panel of all waves. The same seed and scale give the same values."""
    rng = np.random.default_rng(seed)
    p = parameters()
    counties = _counties(rng, p)
    homes, members = _first_wave(rng, p, counties, max(round(p["frame"]["households"] * scale), 50))
    shocks = rng.normal(0, p["income"]["county_wave_sd"], (len(counties), len(WAVES)))
    observed = np.ones(len(homes["number"]), bool)
    households, people = {}, {}
    history: dict[int, dict[int, int]] = {}
    for t, year in enumerate(WAVES):
        if t:
            observed = _still_there(rng, p, homes, observed)
            members = _births_and_deaths(rng, p, members, year)
            homes, members, observed = _splits(rng, p, homes, members, observed, year)
        home, person = _wave(rng, p, counties, homes, members, shocks[:, t], year)
        seen = observed & home["alive"].to_numpy()
        home = home.filter(seen).drop("alive")
        person = person.filter(pl.Series(seen[person["home"].to_numpy()]))
        earlier = {f"earlier_{w}": _earlier(homes, history[w], w) for w in history}
        index = np.flatnonzero(seen)
        home = home.with_columns(pl.Series(name, numbers[index]) for name, numbers in earlier.items())
        person = person.with_columns(pl.Series(n, v[person["home"].to_numpy()]) for n, v in earlier.items())
        history[year] = {int(i): int(homes["number"][i]) for i in index}
        households[year], people[year] = _with_poverty(home), person.drop("home")
    return World(counties, households, people)


def truth_of(world: World) -> dict[str, Any]:
    """Work out the effects on the treated: over all household-waves under the policy, and by the wave of its start.

    `log_income` is over rows with income above zero in both worlds; `relative_poverty` has each world's own line (half
    of its weighted median), `relative_poverty_fixed_line` the line of the world without the policy; `unhealthy` is of
    people.
    """
    homes = pl.concat(world.households.values(), how="diagonal")
    people = pl.concat(world.people.values(), how="diagonal")
    frames = {name: people if name == "unhealthy" else homes for name in OUTCOMES}
    starts = sorted(set(homes.filter(pl.col("treated"))["start"].to_list()))

    def effect(name: str, start: int | None) -> float:
        treated = pl.col("treated") if start is None else pl.col("treated") & (pl.col("start") == start)
        return _mean(frames[name].filter(treated).select(pl.col(name) - pl.col(f"{name}_0")).to_series())

    return {
        "att": {name: effect(name, None) for name in OUTCOMES},
        "att_by_start": {str(start): {name: effect(name, start) for name in OUTCOMES} for start in starts},
        "treated_household_waves": int(homes["treated"].sum()),
        "household_waves": homes.height,
        "person_waves": people.height,
        "mean": {name: _mean(frames[name][name]) for name in OUTCOMES},
    }


def _mean(values: pl.Series) -> float:
    known = values.drop_nulls().drop_nans().to_numpy()
    return float(known.mean()) if len(known) else 0.0


# The frame


def _counties(rng: np.random.Generator, p: dict[str, Any]) -> pl.DataFrame:
    frame = p["frame"]
    big, other = frame["big_provinces"], frame["other_provinces"]
    left = frame["counties"] - frame["counties_in_big"] * len(big) - len(other)
    counts = [frame["counties_in_big"]] * len(big) + list(1 + rng.multinomial(left, [1 / len(other)] * len(other)))
    province = np.repeat([*big, *other], counts)
    place = np.concatenate([np.arange(n) for n in counts])
    pair = place // frame["counties_in_city"]
    city = np.unique(province * 100 + pair, return_inverse=True)[1]
    starts = {int(year): share for year, share in p["policy"]["starts"].items()}
    waves = [*starts, NEVER]
    shares = [*starts.values(), 1 - sum(starts.values())]
    start = rng.choice(waves, city.max() + 1, p=shares)[city]
    stratum = np.where(np.isin(province, big), [big.index(code) + 1 if code in big else 0 for code in province], 6)
    urban = rng.random((len(province), frame["communities"])) < frame["urban_share"]
    return pl.DataFrame({
        "county": np.arange(1, len(province) + 1), "province": province, "city": city + 1, "stratum": stratum,
        "start": start, "urban": [row.tolist() for row in urban],
    })  # fmt: skip


def _first_wave(
    rng: np.random.Generator, p: dict[str, Any], counties: pl.DataFrame, n: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    county = np.sort(rng.integers(0, len(counties), n))
    community = rng.integers(0, p["frame"]["communities"], n)
    urban = np.array(counties["urban"].to_list())[county, community]
    start = counties["start"].to_numpy()[county]
    lasting = rng.normal(0, p["income"]["household_sd"], n) + p["policy"]["level_2014"] * (start == 2014)
    province = counties["province"].to_numpy()[county]
    homes = {
        "number": province * 100_000 + np.arange(n) + 1,
        "county": county,
        "urban": urban,
        "lasting": lasting,
        "parent": np.full(n, -1),
        "born": np.full(n, WAVES[0]),
    }
    sizes = rng.choice(np.arange(1, len(p["people"]["sizes"]) + 1), n, p=p["people"]["sizes"])
    return homes, _members(rng, p, homes, sizes)


def _members(rng: np.random.Generator, p: dict[str, Any], homes: dict[str, Any], sizes: Ints) -> dict[str, Any]:
    """Make up who lives in the households of 2010: a head, perhaps a spouse, children, and parents."""
    people = p["people"]
    home = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(home)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    head_age = np.clip(_normal(rng, people["head_age"], len(sizes)), 22, 88)[home]
    married = (rng.random(len(sizes)) < people["married"])[home] & (sizes[home] >= 2)
    gap = _normal(rng, people["child_gap"], len(home))
    age = np.where(place == 0, head_age, head_age - gap)
    age = np.where((place == 1) & married, head_age + rng.normal(-1.5, 3, len(home)), age)
    # Who would be born after the wave is a parent of the head instead.
    age = np.where(age < 0, np.clip(head_age + gap, 40, 95), age)
    child = (place > married) & (age < head_age) & (place > 0)
    count = len(home)
    country, town = p["insurance"]["rural_hukou"]
    rural_hukou = np.where(homes["urban"][home], town, country)
    return {
        "number": homes["number"][home] * 1000 + 101 + place,
        "home": home,
        "code": 101 + place,
        "birth": WAVES[0] - age.astype(int),
        "male": np.where(place == 0, rng.random(count) < 0.65, rng.random(count) < 0.49),
        "school": np.clip(np.round(_normal(rng, people["school_years"], count) + (40 - age) / 20), 0, 19),
        "frailty": rng.normal(0, p["health"]["frailty_sd"], count),
        "rural_hukou": rng.random(count) < rural_hukou,
        "child": child,
        "alive": np.ones(count, bool),
    }


# Between waves


def _still_there(rng: np.random.Generator, p: dict[str, Any], homes: dict[str, Any], observed: Bools) -> Bools:
    constant, urban, lasting = p["life"]["leave"]
    leaves = rng.random(len(observed)) < _logistic(constant + urban * homes["urban"] + lasting * homes["lasting"])
    returns = rng.random(len(observed)) < p["life"]["return"]
    return np.asarray(np.where(observed, ~leaves, returns))


def _births_and_deaths(
    rng: np.random.Generator, p: dict[str, Any], members: dict[str, Any], year: int
) -> dict[str, Any]:
    age = year - members["birth"]
    a, b = p["people"]["mortality"]
    members = {**members, "alive": members["alive"] & (rng.random(len(age)) >= np.minimum(a * np.exp(b * age), 0.9))}
    mother = members["alive"] & ~members["male"] & (age >= 20) & (age <= 38)
    born = np.flatnonzero(mother & (rng.random(len(age)) < p["people"]["birth"]))
    # One child of a household in a wave keeps the codes of its members apart.
    born = born[np.unique(members["home"][born], return_index=True)[1]]
    home = members["home"][born]
    code = _next_code(members, home)
    n = len(born)
    child = {
        "number": members["number"][born] // 1000 * 1000 + code,
        "home": home,
        "code": code,
        "birth": np.full(n, year - 1),
        "male": rng.random(n) < 0.52,
        "school": np.clip(np.round(rng.normal(12, 3, n)), 0, 19),
        "frailty": rng.normal(0, p["health"]["frailty_sd"], n),
        "rural_hukou": members["rural_hukou"][born],
        "child": np.ones(n, bool),
        "alive": np.ones(n, bool),
    }
    # A number may be taken by a child of somebody who moved out with it: such a child is not born.
    fresh = ~np.isin(child["number"], members["number"])
    return {name: np.concatenate([members[name], child[name][fresh]]) for name in members}


def _splits(
    rng: np.random.Generator,
    p: dict[str, Any],
    homes: dict[str, Any],
    members: dict[str, Any],
    observed: Bools,
    year: int,
) -> tuple[dict[str, Any], dict[str, Any], Bools]:
    """Let grown children leave with a new household number."""
    n = len(homes["number"])
    living = np.bincount(members["home"][members["alive"]], minlength=n)
    age = year - members["birth"]
    may = members["alive"] & members["child"] & (age >= 20) & (age <= 40) & (living[members["home"]] >= 3)
    may &= observed[members["home"]]
    leaver = np.flatnonzero(may)
    leaver = leaver[np.unique(members["home"][leaver], return_index=True)[1]]
    leaver = leaver[rng.random(len(leaver)) < p["people"]["split"]]
    parent = members["home"][leaver]
    number = homes["number"][parent] // 100_000 * 100_000 + 50_000 + (year - WAVES[0]) * 2_500
    number = number + np.arange(len(leaver)) % 5_000 + 1
    new = {
        "number": number,
        "county": homes["county"][parent],
        "urban": homes["urban"][parent],
        "lasting": 0.5 * homes["lasting"][parent] + rng.normal(0, p["income"]["household_sd"] / 2, len(leaver)),
        "parent": parent,
        "born": np.full(len(leaver), year),
    }
    homes = {name: np.concatenate([homes[name], new[name]]) for name in homes}
    home, child, code = members["home"].copy(), members["child"].copy(), members["code"].copy()
    home[leaver] = n + np.arange(len(leaver))
    child[leaver], code[leaver] = False, 101
    members = {**members, "home": home, "child": child, "code": code}
    return homes, members, np.concatenate([observed, np.ones(len(leaver), bool)])


def _next_code(members: dict[str, Any], home: Ints) -> Ints:
    top = np.full(int(members["home"].max()) + 1, 100)
    np.maximum.at(top, members["home"], members["code"])
    return np.asarray(top[home] + 1)


def _earlier(homes: dict[str, Any], then: dict[int, int], wave: int) -> Ints:
    """Give each household its number in an earlier wave, a later split-off that of its parent; 0 without one."""
    found = np.zeros(len(homes["number"]), np.int64)
    for i in range(len(found)):
        at = i
        while homes["born"][at] > wave:
            at = int(homes["parent"][at])
        found[i] = then.get(at, 0)
    return found


# One wave


def _wave(
    rng: np.random.Generator,
    p: dict[str, Any],
    counties: pl.DataFrame,
    homes: dict[str, Any],
    members: dict[str, Any],
    shock: Floats,
    year: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    n = len(homes["number"])
    start = counties["start"].to_numpy()[homes["county"]]
    treated = start <= year
    living = np.flatnonzero(members["alive"])
    person = {name: values[living] for name, values in members.items() if name != "alive"}
    care = _care(rng, p, person, treated[person["home"]], year)
    age = year - person["birth"]
    size = np.bincount(person["home"], minlength=n)
    head = _first_of(person["home"], np.where(age >= 16, age, -1), n)
    alive = (size > 0) & (head >= 0)
    at = np.maximum(head, 0)
    draws = {name: rng.normal(0, 1, n) for name in ("income", "spending", "food", "asset", "loss", "fitness", "debt")}
    chance = {name: rng.random(n) for name in ("loss", "debt", "fitness", "answers")}
    made: dict[str, Any] = {
        "number": homes["number"], "county": homes["county"] + 1, "urban": homes["urban"], "born": homes["born"],
        "start": start, "treated": treated, "size": size, "alive": alive, "head": person["number"][at],
    }  # fmt: skip
    for mark, d in (("", treated), ("_0", np.zeros(n, bool))):
        oop = np.bincount(person["home"], care[f"oop{mark}"], minlength=n)
        bad = care[f"health{mark}"][at] == 5
        made |= _money(p, homes, person, at, age, start, shock, year, d, bad, oop, size, draws, chance, mark)
    other = _first_of(person["home"], np.where((age >= 16) & (np.arange(len(age)) != head[person["home"]]), age, -1), n)
    answers = (chance["answers"] < p["people"]["head_answers"]) | (other < 0)
    made["respondent"] = person["number"][np.where(answers, at, np.maximum(other, 0))]
    made["respondent_code"] = person["code"][np.where(answers, at, np.maximum(other, 0))] - 100
    made["province"] = counties["province"].to_numpy()[homes["county"]]
    made["stratum"] = counties["stratum"].to_numpy()[homes["county"]]
    weight = np.where(made["stratum"] < 6, p["frame"]["weight_big"], p["frame"]["weight_other"])
    made["weight"] = weight * (1 + p["frame"]["weight_urban"] * homes["urban"])
    told = {**{k: v for k, v in person.items() if k != "child"}, **care, "age": age, "year": np.full(len(age), year)}
    for name in ("urban", "treated", "start", "county", "province", "weight", "stratum"):
        told[name] = np.asarray(made[name])[person["home"]]
    told["household"] = homes["number"][person["home"]]
    told |= _standing(rng, p, told)
    return pl.DataFrame(made), pl.DataFrame(told)


def _care(
    rng: np.random.Generator, p: dict[str, Any], person: dict[str, Any], treated: Bools, year: int
) -> dict[str, Any]:
    """Make up health, stays, visits and costs, in both worlds with the same chances."""
    h = p["health"]
    n = len(person["home"])
    age = year - person["birth"]
    lasting = person["frailty"] + h["per_year_of_age"] * (age - 50)
    noise, stay, visit = rng.normal(0, h["noise_sd"], n), rng.random(n), rng.random(n)
    growth = h["cost_growth"] * (year - WAVES[0])
    stay_cost = np.round(np.exp(h["stay_cost"][0] + growth + h["stay_cost"][1] * rng.normal(0, 1, n)))
    visit_cost = np.round(np.exp(h["visit_cost"][0] + growth + h["visit_cost"][1] * rng.normal(0, 1, n)))
    chronic = rng.random(n) < _logistic(h["chronic"][0] + h["chronic"][1] * lasting)
    made: dict[str, Any] = {"chronic": chronic}
    for mark, d in (("", treated), ("_0", np.zeros(n, bool))):
        latent = lasting + noise + p["policy"]["health"] * d
        made[f"health{mark}"] = 1 + np.digitize(latent, h["cuts"])
        made[f"unhealthy{mark}"] = (made[f"health{mark}"] == 5).astype(float)
        stays = stay < _logistic(h["stay"][0] + h["stay"][1] * latent)
        visits = visit < _logistic(h["visit"][0] + h["visit"][1] * latent)
        paid = (
            stays * stay_cost * (h["oop_stay"] - p["policy"]["reimbursed"] * d) + visits * visit_cost * h["oop_visit"]
        )
        made[f"oop{mark}"] = np.round(paid)
        if not mark:
            made |= {"stays": stays, "inpatient": stays * stay_cost, "outpatient": visits * visit_cost}
    return made


def _money(
    p: dict[str, Any], homes: dict[str, Any], person: dict[str, Any], head: Ints, age: Ints, start: Ints, shock: Floats,
    year: int, treated: Bools, bad: Bools, oop: Any, size: Ints, draws: dict[str, Floats], chance: dict[str, Floats],
    mark: str,
) -> dict[str, Any]:  # fmt: skip
    """Make up income, spending and assets of households in one world."""
    i, s, a = p["income"], p["spending"], p["assets"]
    waves = (year - start) / 2 * treated
    effect = treated * (
        p["policy"]["effect"] + p["policy"]["effect_per_wave"] * waves + p["policy"]["effect_2014"] * (start == 2014)
    )
    log_income = (
        i["constant"] + i["per_year"] * (year - WAVES[0]) + i["per_school_year"] * person["school"][head]
        + i["per_year_of_age"] * (age[head] - 50) + homes["lasting"] + shock[homes["county"]] + i["bad_health"] * bad
        + i["noise_sd"] * draws["income"] + effect
    )  # fmt: skip
    per_head = np.round(np.exp(log_income), 2)
    loss = chance["loss"] < i["negative"]
    per_head = np.where(loss, -np.round(np.exp(i["negative_mean"] + i["negative_sd"] * draws["loss"]), 2), per_head)
    above = log_income - i["constant"]
    spent = size * np.exp(s["constant"] + s["on_log_income"] * log_income + s["noise_sd"] * draws["spending"])
    share = np.clip(s["food_share"] + s["food_on_log_income"] * above + s["food_sd"] * draws["food"], 0.1, 0.8)
    fitness = (chance["fitness"] < s["fitness_share"]) * np.exp(s["fitness_mean"] + s["fitness_sd"] * draws["fitness"])
    food, spent = np.round(share * spent), np.round(spent)
    assets = np.exp(a["mean"] + a["on_log_income"] * above + a["sd"] * draws["asset"])
    owed = chance["debt"] < a["in_debt"]
    consumption = spent + oop
    worth = np.where(owed, -np.round(np.exp(a["debt_mean"] + a["debt_sd"] * draws["debt"])), np.round(assets))
    return {
        f"income_per_head{mark}": per_head,
        f"income{mark}": np.round(per_head * size, 2),
        f"log_income{mark}": np.where(loss, np.nan, log_income),
        f"food{mark}": food,
        f"oop{mark}": oop,
        f"consumption{mark}": consumption,
        f"catastrophic{mark}": (oop > 0.4 * (consumption - food)).astype(float),
        f"medical{mark}": oop + np.round(fitness),
        f"assets{mark}": worth,
    }


def _standing(rng: np.random.Generator, p: dict[str, Any], person: dict[str, Any]) -> dict[str, Any]:
    """Make up marital status and insurance; from 2018 the merged residents' scheme stands where the policy came."""
    n, i = len(person["home"]), p["insurance"]
    age, draw = person["age"], rng.random(n)
    merged = person["treated"] & (person["year"] >= 2018)
    urban = np.where(
        (age >= 16) & (draw < i["urban_employee"]), 2, np.where(draw < i["urban_employee"] + i["urban_resident"], 3, 78)
    )
    kind = np.where(person["rural_hukou"], np.where(draw < i["rural"], 5, 78), urban)
    kind = np.where(merged & np.isin(kind, (3, 5)), 6, kind)
    second = np.where((rng.random(n) < i["supplementary"]) & (kind != 78), 4, -8)
    marital = np.where(age < 22, 1, np.where(rng.random(n) < 0.85, 2, np.where(age > 65, 5, 1)))
    return {"kind": kind, "second": second, "marital": marital}


def _with_poverty(home: pl.DataFrame) -> pl.DataFrame:
    """Add relative poverty in both worlds, with each world's line, and with that of the world without the policy."""
    weight = home["weight"].to_numpy() * home["size"].to_numpy()
    lines = {mark: 0.5 * _weighted_median(home[f"income_per_head{mark}"].to_numpy(), weight) for mark in ("", "_0")}
    return home.with_columns(
        (pl.col("income_per_head") < lines[""]).cast(pl.Float64).alias("relative_poverty"),
        (pl.col("income_per_head_0") < lines["_0"]).cast(pl.Float64).alias("relative_poverty_0"),
        (pl.col("income_per_head") < lines["_0"]).cast(pl.Float64).alias("relative_poverty_fixed_line"),
        (pl.col("income_per_head_0") < lines["_0"]).cast(pl.Float64).alias("relative_poverty_fixed_line_0"),
    )


def _weighted_median(values: Floats, weight: Floats) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _first_of(home: Ints, score: Ints, n: int) -> Ints:
    """Give for each household the place of its member with the highest score, -1 where none is zero or above."""
    order = np.lexsort((np.arange(len(home)), -score, home))
    found = np.full(n, -1)
    homes, first = np.unique(home[order], return_index=True)
    found[homes] = np.where(score[order][first] >= 0, order[first], -1)
    return found


def _normal(rng: np.random.Generator, mean_and_sd: Sequence[float], n: int) -> Floats:
    return rng.normal(float(mean_and_sd[0]), float(mean_and_sd[1]), n)


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))
