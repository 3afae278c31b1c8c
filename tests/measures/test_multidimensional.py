"""Alkire and Foster's measures: by hand, against replicates, and against themselves."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import vietnam

from medfloor.errors import MedfloorError
from medfloor.measures import Deprivation, Design, alkire_foster

# The example of the two authors' method, made for this test: four people in four dimensions.
PEOPLE = pl.DataFrame(
    {
        "income": [13.1, 15.2, 12.5, 20.0],
        "health": [4.0, 5.0, 3.0, 4.0],
        "schooling": [14.0, 7.0, 10.0, 11.0],
        "access": [1.0, 0.0, 1.0, 0.0],
        "size": [1.0, 1.0, 1.0, 1.0],
    }
)
WAYS = {
    "income": ("income", 13.0),
    "health": ("health", 4.0, "<"),
    "schooling": Deprivation("schooling", 12),
    "access": pl.col("access") == 0,
}


def test_four_people_in_four_dimensions_by_hand() -> None:
    # Deprivations: nobody's first row; schooling and access; income, health, schooling; schooling and access.
    found = alkire_foster(PEOPLE, dimensions=WAYS, k=0.5)  # type: ignore[arg-type]
    assert found.value("headcount") == 0.75
    assert found.value("intensity") == pytest.approx((2 + 3 + 2) / 4 / 3)
    assert found.value("adjusted_headcount") == pytest.approx(7 / 16)
    assert found.value("deprived", dimension="schooling") == 0.75
    assert found.value("deprived_poor", dimension="access") == 0.5
    assert found.value("contribution_m0", dimension="schooling") == pytest.approx(3 / 7)
    assert [note.key for note in found.notes] == ["multidimensional.no_gaps"]


def test_gaps_are_there_where_every_dimension_has_one() -> None:
    ways = {name: WAYS[name] for name in ("income", "health", "schooling")}
    found = alkire_foster(PEOPLE, dimensions=ways, k=1.0)  # type: ignore[arg-type]
    gaps = np.array([0.5 / 13, 1 / 4, 2 / 12])
    assert found.value("headcount") == 0.25
    assert found.value("adjusted_gap") == pytest.approx(gaps.mean() / 4)
    assert found.value("adjusted_severity") == pytest.approx((gaps**2).mean() / 4)


def test_weights_are_scaled_and_several_cutoffs_stand_side_by_side() -> None:
    weights = {"income": 2, "health": 1, "schooling": 1, "access": 1}
    found = alkire_foster(PEOPLE, dimensions=WAYS, k=[0.4, 0.8], weights=weights)  # type: ignore[arg-type]
    assert found.value("headcount", cutoff=0.4) == 0.75
    assert found.value("headcount", cutoff=0.8) == 0.25
    assert found.value("intensity", cutoff=0.8) == pytest.approx(0.8)


def test_thirds_reach_a_cutoff_of_two_thirds() -> None:
    flags = pl.DataFrame({"a": [1, 0], "b": [1, 0], "c": [0, 0], "size": [1, 1]})
    found = alkire_foster(flags, dimensions={name: name for name in "abc"}, k=2 / 3)
    assert found.value("headcount") == 0.5


def test_union_and_intersection_are_the_ends_of_k() -> None:
    found = alkire_foster(PEOPLE, dimensions=WAYS, k=[0.25, 1.0])  # type: ignore[arg-type]
    assert found.value("headcount", cutoff=0.25) == 0.75
    assert found.value("headcount", cutoff=1) == 0
    assert math.isnan(found.value("intensity", cutoff=1))
    assert math.isnan(found.value("contribution_m0", cutoff=1, dimension="income"))
    assert "multidimensional.no_poor" in {note.key for note in found.notes}


def test_more_can_be_worse_and_the_cutoff_itself_can_count() -> None:
    ways = {"over": ("health", 4.0, ">="), "under": ("health", 4.0, "<=")}
    found = alkire_foster(PEOPLE, dimensions=ways, k=1)  # type: ignore[arg-type]
    assert found.value("deprived", dimension="over") == 0.75
    assert found.value("deprived", dimension="under") == 0.75
    assert found.value("headcount") == 0.5


def test_a_row_with_a_missing_dimension_is_left_out_and_counted() -> None:
    frame = PEOPLE.with_columns(health=pl.Series([4.0, None, 3.0, 4.0]))
    found = alkire_foster(frame, dimensions=WAYS, k=0.5)  # type: ignore[arg-type]
    assert found.special["missing"] == 1
    assert found.pick("headcount").n == 3


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"dimensions": {}}, "no_dimension"),
        ({"k": 0}, "bad_k"),
        ({"k": 2}, "bad_k"),
        ({"k": []}, "bad_k"),
        ({"weights": {"income": 1}}, "bad_weights"),
        ({"weights": {"income": 1, "health": 0, "schooling": 1, "access": 1}}, "bad_weights"),
        ({"dimensions": {"income": "income"}}, "not_zero_or_one"),
        ({"dimensions": {"income": ("income", math.nan)}}, "bad_cutoff"),
        ({"dimensions": {"income": ("income",)}}, "bad_cutoff"),
        ({"dimensions": {"income": ("income", 1.0, "==")}}, "bad_sign"),
        ({"dimensions": {"income": ("incomes", 1.0)}}, "missing_column"),
    ],
)
def test_misuse_is_refused(asked: dict[str, object], code: str) -> None:
    with pytest.raises(MedfloorError) as raised:
        alkire_foster(PEOPLE, **({"dimensions": WAYS, "k": 0.5} | asked))  # type: ignore[arg-type]
    assert raised.value.code == code


def test_linearised_errors_agree_with_the_jackknife() -> None:
    ways = {
        "consumption": ("per_head", 1883.5459),
        "school": ("educyr", 6),
        "health": pl.col("oop") > 0.1 * pl.col("consumption"),
    }
    linear = alkire_foster(vietnam(), dimensions=ways, k=[0.3, 0.6], by="urban", design=Design(psu="psu"))  # type: ignore[arg-type]
    jackknife = Design(psu="psu", method="jackknife")
    again = alkire_foster(vietnam(), dimensions=ways, k=[0.3, 0.6], by="urban", design=jackknife)  # type: ignore[arg-type]
    # They differ in terms of order 1 / clusters; the towns have 55 of 194 communes.
    assert linear.rows["se"].to_list() == pytest.approx(again.rows["se"].to_list(), rel=0.06)


flags_of = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=12)


@settings(max_examples=30)
@given(flags_of, st.sampled_from([0.2, 1 / 3, 0.5, 2 / 3, 1.0]), st.lists(st.integers(1, 3), min_size=12, max_size=12))
def test_parts_add_up_and_weights_of_k_are_k_copies(
    flags: list[tuple[int, int, int]], k: float, weights: list[int]
) -> None:
    frame = pl.DataFrame(flags, schema=["a", "b", "c"], orient="row").with_columns(
        size=1, weight=pl.Series(weights[: len(flags)])
    )
    ways = {name: name for name in "abc"}
    found = alkire_foster(frame, dimensions=ways, k=k)
    copies = frame.select(pl.all().repeat_by("weight").explode()).drop("weight")
    again = alkire_foster(copies, dimensions=ways, k=k)
    here, there = (each.rows["estimate"].fill_null(math.nan).to_list() for each in (found, again))
    assert here == pytest.approx(there, rel=1e-12, nan_ok=True)
    headcount, m0 = found.value("headcount"), found.value("adjusted_headcount")
    assert 0 <= m0 <= headcount <= 1
    censored = [found.value("deprived_poor", dimension=name) for name in "abc"]
    assert sum(censored) / 3 == pytest.approx(m0)
    for name, one in zip("abc", censored, strict=True):
        assert one <= found.value("deprived", dimension=name) + 1e-12
    if headcount:
        assert found.value("intensity") * headcount == pytest.approx(m0)
        assert sum(found.value("contribution_m0", dimension=name) for name in "abc") == pytest.approx(1)


def test_eight_of_ten_reach_a_cutoff_of_eight_tenths_whatever_rounding_says() -> None:
    assert sum([0.1] * 8) < 0.8
    people = {f"d{place}": [float(place < 8)] for place in range(10)} | {"size": [1.0]}
    ways = {f"d{place}": f"d{place}" for place in range(10)}
    assert alkire_foster(people, dimensions=ways, k=0.8).value("headcount") == 1


def test_more_that_is_worse_has_no_gap() -> None:
    people = {"rooms": [1.0, 4.0, 2.0], "crowd": [5.0, 1.0, 2.0], "size": [1.0, 1.0, 1.0]}
    found = alkire_foster(people, dimensions={"rooms": ("rooms", 3.0), "crowd": ("crowd", 2.0, ">")}, k=0.5)
    assert "adjusted_gap" not in set(found.rows["statistic"])
    assert "multidimensional.no_gaps" in [note.key for note in found.notes]
