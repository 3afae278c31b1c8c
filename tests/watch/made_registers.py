"""Make up registers with every fault that screening knows, as the texts of files; all synthetic."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

GROUPS = ("dibao", "tekun", "monitored", "registered_poor", "低保边缘家庭成员", "own_status")


def flawed(seed: int, homes: int = 12) -> dict[str, pl.DataFrame]:
    """Make the tables of a register: people, households, settlements, previous, spells, claims, all cells text.

    Among the rows are repeated ids, people unknown, moved, twice or without a household, households that only one
    table names, days and amounts that cannot be read, and claims that both years settle.
    """
    draw = np.random.default_rng(seed)

    def some(many: int, share: float) -> np.ndarray[Any, Any]:
        return draw.random(many) < share

    def either(column: list[Any], where: np.ndarray[Any, Any], other: Any) -> list[Any]:
        return [other if hit else value for value, hit in zip(column, where, strict=True)]

    def one_of(texts: list[Any], many: int) -> list[Any]:
        return [texts[number] for number in draw.integers(0, len(texts), many)]

    def days(many: int, first: date, length: int) -> list[Any]:
        told = [str(first + timedelta(int(number))) for number in draw.integers(0, length, many)]
        return either(told, some(many, 0.02), "soon")

    ids = [f"h{number:02d}" for number in range(homes)]
    named = draw.permutation(ids + one_of(ids, homes // 6)).tolist()
    many = len(named)
    consumption = draw.lognormal(10.5, 0.7, many)
    households = pl.DataFrame(
        {
            "household_id": either(either(named, some(many, 0.05), "lonely"), some(many, 0.04), " "),
            "size": either(one_of(["1", "2", "3", "4", None], many), some(many, 0.05), "0"),
            "adults": one_of(["1", "2", None], many), "children": one_of(["0", "1"], many),
            "income": either([f"{v:.2f}" for v in draw.lognormal(10.3, 1, many)], some(many, 0.1), None),
            "consumption": either([f"{v:.2f}" for v in consumption], some(many, 0.1), "none"),
            "food": [f"{v * s:.2f}" for v, s in zip(consumption, draw.uniform(0.2, 0.7, many), strict=True)],
            "housing": [f"{v / 10:.2f}" for v in consumption], "utilities": [f"{v / 20:.2f}" for v in consumption],
            "residence": one_of(["rural", "urban", "农村", "moon", None], many),
            "township": one_of(["East", "West", None], many),
        }
    )  # fmt: skip
    if seed % 3 == 0:
        households = households.with_columns(wave=pl.Series(one_of(["2022", "2024", "2025", "x"], many)))
    persons = [f"p{number:02d}" for number in range(2 * homes)]
    rows = draw.permutation(persons + one_of(persons, homes // 3)).tolist()
    many = len(rows)
    home = [ids[int(name[1:]) % homes] for name in rows]
    people = pl.DataFrame(
        {
            "person_id": either(either(rows, some(many, 0.04), None), some(many, 0.02), "\u3000"),
            "household_id": either(either(home, some(many, 0.1), None), some(many, 0.1), "only named"),
            "scheme": one_of(["resident", "employee", "none", None, "odd"], many),
            "residence": one_of(["rural", "urban", None], many),
            "enrolled_from": one_of(["2020-01-01", "2023-01-01", "2025-01-01"], many),
            "enrolled_to": one_of(["2022-12-31", "2024-12-31", None, "2019-01-01"], many),
            "death_date": either(one_of([None, " ", "2024-05-05"], many), some(many, 0.1), "long ago"),
            "synthetic": one_of(["false", "no"], many),
        }
    )  # fmt: skip
    asked = [*persons, "stranger", f" {persons[0]} ", None]
    return {
        "people": people,
        "households": households,
        "settlements": _settlements(draw, asked, one_of, either, some, days(5 * homes, date(2025, 1, 1), 300), 2025),
        "previous": _settlements(draw, asked, one_of, either, some, days(3 * homes, date(2024, 1, 1), 360), 2024),
        "spells": pl.DataFrame(
            {
                "person_id": one_of(asked, homes), "group": one_of(list(GROUPS), homes),
                "from_date": one_of(["2020-01-01", None, "2025-08-01", "never"], homes),
                "to_date": one_of([None, "2025-12-31", "2024-12-31"], homes),
            }
        ),
        "claims": _claims(draw, asked, one_of, either, some, days(6 * homes, date(2024, 6, 1), 500)),
    }  # fmt: skip


def _settlements(
    draw: np.random.Generator, asked: list[Any], one_of: Any, either: Any, some: Any, on: list[Any], year: int
) -> pl.DataFrame:
    many = len(on)
    own = draw.lognormal(8, 1.7, many)
    claims = [f"c{number:03d}" if number % 3 else None for number in draw.integers(0, 4 * many, many)]
    return pl.DataFrame(
        {
            "claim_id": claims, "person_id": one_of(asked, many),
            "benefit_year": either(one_of([str(year), str(year), str(year - 1)], many), some(many, 0.02), "y"),
            "settled_date": on, "pay_assistance": one_of(["0", "12.50"], many),
            "own_in_scope": either([f"{v * 0.8:.2f}" for v in own], some(many, 0.03), None),
            "own_total": either([f"{v:.2f}" for v in own], some(many, 0.03), "?"),
        }
    )  # fmt: skip


def _claims(draw: np.random.Generator, asked: list[Any], one_of: Any, either: Any, some: Any, on: list[Any]) -> Any:
    many = len(on)
    total = one_of(["100.00", "2500", "3.75"], many)
    return pl.DataFrame(
        {
            "claim_id": either([f"k{number}" for number in range(many)], some(many, 0.06), "twice"),
            "person_id": one_of(asked, many), "care_type": one_of(["outpatient", "inpatient", "special_outpatient"], many),
            "facility_level": either(one_of(["1", "2", "3"], many), some(many, 0.02), "9"), "start_date": on, "end_date": on,
            "total": either(total, some(many, 0.03), "-1"), "in_scope": total,
            "diagnosis": one_of(["I10.x", "E11.9", "J06", None], many),
        }
    )  # fmt: skip
