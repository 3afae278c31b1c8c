"""Order of settlement, years, stays."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from worlds import examples

from medfloor.settlement.sequence import first_of_stays, order_of, segments_of

DAYS = st.integers(-3, 3)
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(2023, 2025), DAYS, DAYS, st.integers(0, 9)), max_size=40)


def ordered(rows: list[tuple[int, int, int, int, str]]) -> list[int]:
    """Ask order_of about rows of unit, year, settled, start and claim_id."""
    columns = list(zip(*rows, strict=True)) or [()] * 5
    unit, year, settled, start = (np.array(column, np.int64) for column in columns[:4])
    return [int(i) for i in order_of(unit, year, settled, start, pl.Series(columns[4], dtype=pl.String))]


@examples(200)
@given(ROWS, st.data())
def test_claims_are_ordered_by_unit_year_settled_start_and_id(rows: list[tuple[int, ...]], data: st.DataObject) -> None:
    named = [(*row[:4], f"{row[4]}#{number}") for number, row in enumerate(rows)]
    named = data.draw(st.permutations(named)) if named else named
    if data.draw(st.booleans(), label="sorted"):
        named.sort()
    assert ordered(named) == sorted(range(len(named)), key=lambda i: named[i])


def test_long_histories_are_sorted_like_short_ones() -> None:
    rng = np.random.default_rng(7)
    rows = [
        (int(u), 2024, int(d), int(s), f"{n:04}") for n, (u, d, s) in enumerate(rng.integers(0, [2, 40, 3], (500, 3)))
    ]
    assert ordered(rows) == sorted(range(len(rows)), key=lambda i: rows[i])


def test_ties_are_broken_by_the_id_as_text() -> None:
    assert ordered([(0, 2024, 1, 1, name) for name in ("9", "10", "é", "Z", "a")]) == [1, 0, 3, 4, 2]


def test_dates_far_apart_do_not_overflow_the_key() -> None:
    dawn, far = -719_162, 2_932_896
    rows = [(0, 9999, far, far, "b"), (0, 1, dawn, far, "a"), (0, 1, dawn, dawn, "c"), (0, 9999, dawn, far, "d")]
    assert ordered(rows) == [2, 1, 3, 0]


@examples(100)
@given(ROWS)
def test_segments_are_the_runs_of_one_unit_and_year(rows: list[tuple[int, ...]]) -> None:
    rows = sorted(rows)
    pieces = segments_of(np.array([r[0] for r in rows]), np.array([r[1] for r in rows]))
    found = [
        (int(unit), int(year), rows[start:stop])
        for unit, year, start, stop in zip(pieces.unit, pieces.year, pieces.start[:-1], pieces.start[1:], strict=True)
    ]
    keys = list(dict.fromkeys(row[:2] for row in rows))
    assert found == [(unit, year, [row for row in rows if row[:2] == (unit, year)]) for unit, year in keys]


def test_chains_and_branches_lead_to_the_first_claim_of_the_stay() -> None:
    claims = ["a", "b", "c", "d", "e", "f"]
    before = [None, "a", "b", "a", None, "x"]
    assert first_of_stays(claims, before) == {"b": "a", "c": "a", "d": "a", "f": "x"}
