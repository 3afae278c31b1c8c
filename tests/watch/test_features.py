"""No future leaks: whatever comes after the day, no bit of a feature changes, in training and in scoring alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.watch.features import FEATURES, MONEY, RAW, derive, features, known, outcome, panel
from medfloor.watch.homes import Register
from medfloor.watch.risk import fit
from medfloor.watch.rules import Rules, load_rules
from medfloor.watch.screening import screen

YEAR = 2024
DAY = date(YEAR, 12, 31)
RULES = load_rules("cn", on=DAY)
World = tuple[Register, pl.DataFrame]


def on(day: date) -> Rules:
    return load_rules("cn", on=day)


def world(homes: int = 60, seed: int = 0) -> World:
    """Make up three years of a few households, with rows that were known late: settled, begun or born after the day."""
    rng = np.random.default_rng(seed)
    people = 2 * homes
    ids = [f"p{n:04d}" for n in range(people)]
    houses = [f"h{n // 2:04d}" for n in range(people)]
    births = [date(1940, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 28_000, people)]
    births[1] = date(YEAR + 1, 3, 3)  # a child that is not born yet
    persons = pl.DataFrame(
        {"person_id": ids, "household_id": houses, "birth_date": births, "scheme": ["resident"] * people,
         "enrolled_from": [date(2010, 1, 1) if n % 7 else date(YEAR + 1, 1, 1) for n in range(people)],
         "enrolled_to": [None if n % 5 else date(YEAR + 1, 6, 1) for n in range(people)],
         "death_date": [None if n % 11 else date(YEAR + 1, 2, 1) for n in range(people)],
         "residence": ["rural" if n % 3 else "urban" for n in range(people)]}
    )  # fmt: skip
    waves = pl.concat(
        pl.DataFrame(
            {"household_id": sorted(set(houses)), "wave": [year] * homes, "size": [2] * homes,
             "income_fen": (np.exp(rng.normal(10.3, 0.7, homes)) * 100).astype(np.int64),
             "consumption_fen": (np.exp(rng.normal(10.2, 0.4, homes)) * 100).astype(np.int64),
             "food_fen": [600_000] * homes, "labour_capacity": rng.integers(0, 3, homes),
             "township": [f"t{n % 3}" for n in range(homes)]}
        )
        for year in (2023, 2024, 2025)
    )  # fmt: skip
    bills = 6 * people
    who = rng.integers(0, people, bills)
    start = [date(2023, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 3 * 365, bills)]
    late = rng.integers(0, 60, bills)
    own = (np.exp(rng.normal(6.5, 1.6, bills)) * 100).astype(np.int64)
    settled = pl.DataFrame(
        {"claim_id": [f"c{n}" for n in range(bills)], "person_id": [ids[n] for n in who],
         "benefit_year": [day.year for day in start],
         "settled_date": [day + timedelta(days=int(d)) for day, d in zip(start, late, strict=True)],
         "own_in_scope_fen": own // 2, "own_total_fen": own}
    )  # fmt: skip
    claims = settled.select("claim_id", "person_id", "settled_date").with_columns(
        pl.Series("start_date", start),
        pl.Series("end_date", [day + timedelta(days=3) for day in start]),
        pl.Series("care_type", rng.choice(["inpatient", "outpatient", "special_outpatient"], bills)),
        pl.Series("diagnosis", rng.choice(["I10", "J18", "E11"], bills)),
        pl.lit(None, dtype=pl.String).alias("reverses"),
    )
    spells = pl.DataFrame(
        {"person_id": ids[:20], "group": ["dibao", "monitored"] * 10,
         "from_date": [date(2020, 1, 1) if n % 3 else date(YEAR + 1, 4, 1) for n in range(20)],
         "to_date": [None if n % 4 else date(YEAR + 1, 5, 1) for n in range(20)]}
    )  # fmt: skip
    return Register(persons, waves, spells, claims), settled


def future(frame: pl.DataFrame, *dates: str) -> pl.Expr:
    """Say which rows could not be known on the day."""
    found = [pl.col(name) > DAY for name in dates if name in frame.columns]
    if "wave" in frame.columns:
        found.append(pl.col("wave") > YEAR)
    return pl.any_horizontal(found).fill_null(value=False)


def removed(given: World) -> World:
    """Take everything away that came after the day."""
    register, settled = given
    assert register.spells is not None and register.claims is not None
    claims = register.claims.filter(~future(register.claims, "start_date", "end_date", "settled_date"))
    return Register(
        register.people.filter(~future(register.people, "birth_date")).with_columns(
            pl.when(pl.col("enrolled_to") > DAY).then(None).otherwise(pl.col("enrolled_to")).alias("enrolled_to"),
            pl.when(pl.col("death_date") > DAY).then(None).otherwise(pl.col("death_date")).alias("death_date"),
        ),
        register.households.filter(~future(register.households)),
        register.spells.filter(~future(register.spells, "from_date")).with_columns(
            pl.when(pl.col("to_date") > DAY).then(None).otherwise(pl.col("to_date")).alias("to_date")
        ),
        claims,
    ), settled.filter(~future(settled, "settled_date"))


def poisoned(given: World) -> World:
    """Put absurd amounts, people, illnesses and statuses into everything that came after the day."""
    register, settled = given
    assert register.spells is not None and register.claims is not None
    money = [pl.when(future(settled, "settled_date")).then(10**13).otherwise(pl.col(n)).alias(n)
             for n in ("own_in_scope_fen", "own_total_fen")]  # fmt: skip
    late = future(register.claims, "start_date", "end_date", "settled_date")
    names = ("income_fen", "consumption_fen", "food_fen", "size", "labour_capacity")
    return Register(
        register.people,
        register.households.with_columns(
            *(pl.when(future(register.households)).then(999_999_999).otherwise(pl.col(n)).alias(n) for n in names),
            pl.when(future(register.households)).then(pl.lit("poison")).otherwise("township").alias("township"),
        ),
        pl.concat(
            [register.spells]
            + [register.spells.with_columns(pl.lit(g).alias("group"), pl.lit(DAY + timedelta(days=1)).alias("from_date"))
               for g in ("tekun", "monitored")]
        ),
        register.claims.with_columns(
            pl.when(late).then(pl.lit("F20")).otherwise("diagnosis").alias("diagnosis"),
            pl.when(late).then(pl.lit("inpatient")).otherwise("care_type").alias("care_type"),
            # A reversal that is settled later takes nothing back yet.
            pl.when(late).then(pl.lit("c0")).otherwise("reverses").alias("reverses"),
        ),
    ), settled.with_columns(money)  # fmt: skip


def shuffled(given: World) -> World:
    register, settled = given
    assert register.spells is not None and register.claims is not None
    return Register(
        register.people.sample(fraction=1, shuffle=True, seed=1),
        register.households.sample(fraction=1, shuffle=True, seed=2),
        register.spells.sample(fraction=1, shuffle=True, seed=3),
        register.claims.sample(fraction=1, shuffle=True, seed=4),
    ), settled.sample(fraction=1, shuffle=True, seed=5)


CHANGES: list[Callable[[World], World]] = [removed, poisoned, shuffled, lambda w: shuffled(poisoned(w))]


@pytest.mark.parametrize("change", CHANGES, ids=["removed", "poisoned", "shuffled", "both"])
@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_after_the_day_changes_a_feature(change: Callable[[World], World], seed: int) -> None:
    given = world(seed=seed)
    plain = features(*given, RULES, year=YEAR)
    other = features(*change(given), RULES, year=YEAR)
    assert plain.equals(other)
    assert plain.select(list(FEATURES)).null_count().sum_horizontal().item() == 0, "every feature is tried"


@pytest.mark.parametrize("change", [removed, poisoned, shuffled])
def test_training_reads_features_by_the_same_path(change: Callable[[World], World]) -> None:
    given = world()
    rows = panel(*given, on, years=[2023, 2024])
    assert (
        rows.filter(pl.col("year") == YEAR)
        .select(*RAW, *FEATURES)
        .equals(
            features(*change(given), RULES, year=YEAR).join(
                rows.filter(pl.col("year") == YEAR).select("household_id"), on="household_id"
            )
        )
    )
    before = panel(*change(given), on, years=[2023])
    # What befell in 2024 is known on the day; nothing later reaches the rows that a model learns from.
    assert rows.filter(pl.col("year") == 2023).equals(before)


@pytest.mark.parametrize("change", [removed, poisoned, shuffled])
def test_a_model_trained_up_to_the_day_scores_the_same_whatever_comes(change: Callable[[World], World]) -> None:
    given = world(homes=300)
    models = [fit(panel(*one, on, years=[2023]), kind="logistic") for one in (given, change(given))]
    assert models[0].to_dict() == models[1].to_dict()
    scores = [models[0].score(features(*one, RULES, year=YEAR)) for one in (given, change(given))]
    assert scores[0].tobytes() == scores[1].tobytes()


def test_the_poison_would_be_seen_a_year_later() -> None:
    given = world()
    later = date(2025, 12, 31)
    assert not features(*given, on(later), year=2025).equals(features(*poisoned(given), on(later), year=2025))


def test_a_lag_of_income_takes_the_row_of_the_year_before() -> None:
    register, settled = world()
    now = features(register, settled, RULES, year=YEAR, income_lag=1)
    was = register.households.filter(pl.col("wave") == 2023).sort("household_id")["income_fen"]
    assert now["income_fen"].to_list() == was.to_list()


def one(**values: object) -> pl.DataFrame:
    return pl.DataFrame({"household_id": ["h"], "size": [2], **{name: [value] for name, value in values.items()}})


def paid(*bills: tuple[int, date]) -> pl.DataFrame:
    return pl.DataFrame(
        {"person_id": ["p"] * len(bills), "benefit_year": [2025] * len(bills), "settled_date": [d for _, d in bills],
         "own_in_scope_fen": [a for a, _ in bills], "own_total_fen": [a for a, _ in bills]},
        schema_overrides={"own_in_scope_fen": pl.Int64, "own_total_fen": pl.Int64},
    )  # fmt: skip


PERSON = pl.DataFrame({"person_id": ["p"], "household_id": ["h"]})
RULES_25 = load_rules("cn", on=date(2025, 12, 31))
LINE = RULES_25.line("monitoring", 2025).fen


def test_the_official_rule_is_that_of_the_screening() -> None:
    register, settled = world(homes=300)
    now = features(register, settled, RULES, year=YEAR)
    seen, money = known(register, settled, year=YEAR, as_of=DAY)
    alerts = screen(seen, money, RULES, year=YEAR, as_of=DAY).alerts.filter(pl.col("signal") == "burden_in_scope")
    found = now.filter(pl.col("rule_score") > 1)
    assert sorted(alerts["household_id"]) == found["household_id"].to_list()
    assert 0 < found.height < 100


@pytest.mark.parametrize(("more", "under", "day"), [(0, False, None), (1, True, date(2025, 9, 1))])
def test_a_fall_under_the_line_has_the_day_of_the_payment_that_did_it(more: int, under: bool, day: date | None) -> None:
    home = one(income_fen=2 * LINE + 500)
    came = outcome(
        Register(PERSON, home), paid((300, date(2025, 3, 1)), (200 + more, date(2025, 9, 1))), RULES_25, year=2025,
        target="line",
    )  # fmt: skip
    assert came.select("under_line", "fell", "fell_on", "depth_fen").row(0) == (under, under, day, more)


@pytest.mark.parametrize(("bill", "hit"), [(400, False), (401, True)])
def test_catastrophic_is_more_than_the_share(bill: int, hit: bool) -> None:
    home = one(income_fen=10**9, consumption_fen=1_000)
    came = outcome(
        Register(PERSON, home), paid((bill, date(2025, 5, 5))), RULES_25, year=2025, definition="budget", threshold=0.4
    )
    assert came.select("catastrophic", "fell").row(0) == (hit, hit)
    assert came["fell_on"][0] == (date(2025, 5, 5) if hit else None)


def test_who_was_under_the_line_does_not_fall_under_it_again() -> None:
    home, none = one(income_fen=1, consumption_fen=10**6), paid()
    register = Register(PERSON, home)
    before = features(register, none, RULES, year=2024)
    kept = {"year": 2025, "definition": "budget"}
    assert outcome(register, none, RULES_25, **kept)["fell"][0] is True  # type: ignore[arg-type]
    assert outcome(register, none, RULES_25, **kept, before=before)["fell"][0] is False  # type: ignore[arg-type]


def test_what_cannot_be_known_is_null_and_where_nothing_can_it_is_said() -> None:
    register = Register(PERSON, one(income_fen=None))
    found = features(register, paid(), RULES, year=2024)
    assert found.select("income_head", "own_share", "chronic", "oldest", "own_previous").row(0) == (None,) * 5
    with pytest.raises(InputError) as error:
        outcome(register, paid(), RULES_25, year=2025)
    assert error.value.code == "missing_value"


@pytest.mark.parametrize(
    ("asked", "code"),
    [({"definition": "x"}, "no_such_definition"), ({"threshold": 0.0}, "bad_threshold"), ({"target": "x"}, "bad_choice")],
)  # fmt: skip
def test_what_there_is_not_is_refused(asked: dict[str, object], code: str) -> None:
    with pytest.raises(UsageError) as error:
        outcome(Register(PERSON, one()), paid(), RULES_25, year=2025, **asked)  # type: ignore[arg-type]
    assert error.value.code == code


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9), st.integers(-(10**9), 10**9), st.integers(1, 9))
def test_less_to_pay_never_leaves_less(own: int, income: int, size: int) -> None:
    row = {name: [own] for name in MONEY} | {
        "income_fen": [income],
        "line_fen": [880_000],
        "allowed_fen": [100],
        "size": [size],
    }
    more, less = (
        derive(pl.DataFrame(row, schema_overrides=dict.fromkeys(MONEY, pl.Int64)).with_columns(own_total_fen=amount))
        for amount in (pl.lit(own), pl.lit(own // 2))
    )
    for name in ("own_share", "own_total"):
        assert less[name][0] <= more[name][0]
    for name in ("left_ratio", "room_head"):
        assert less[name][0] >= more[name][0]
    assert less["below_now"][0] <= more["below_now"][0]


def test_a_claim_that_is_taken_back_by_the_day_is_not_there() -> None:
    claims = pl.DataFrame(
        {"claim_id": ["a", "b"], "person_id": ["p", "p"], "start_date": [date(2024, 2, 1), date(2024, 3, 1)],
         "settled_date": [date(2024, 2, 9), date(2024, 3, 9)], "reverses": [None, "a"]}
    )  # fmt: skip
    register = Register(PERSON, one(), None, claims)
    for day, left in ((date(2024, 2, 28), 1), (DAY, 0)):
        seen = known(register, paid(), year=2024, as_of=day)[0].claims
        assert seen is not None and seen.height == left
