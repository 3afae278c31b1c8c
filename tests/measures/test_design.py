"""Designs as numbers: variances by hand, degrees of freedom, finite populations, what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.measures.design import Columns, Design, Lonely, Structure, structure_of


def structure(
    rows: int,
    strata: list[Any] | None = None,
    psu: list[Any] | None = None,
    ssu: list[Any] | None = None,
    fpc: list[float] | None = None,
    fpc2: list[float] | None = None,
    lonely: Lonely = "adjust",
) -> Structure:
    series = {name: None if one is None else pl.Series(one) for name, one in (("a", strata), ("b", psu), ("c", ssu))}
    numbers = [None if one is None else np.array(one, float) for one in (fpc, fpc2)]
    return structure_of(rows, Columns(series["a"], series["b"], series["c"], *numbers), lonely)


U = np.array([1.0, 3.0, 2.0, 6.0, 4.0, 8.0])


def test_rows_drawn_one_by_one_have_n_times_their_sample_variance() -> None:
    assert structure(6).variance(U) == pytest.approx(6 * U.var(ddof=1))


def test_strata_add_up() -> None:
    found = structure(6, strata=list("aabbbb")).variance(U)
    assert found == pytest.approx(2 * U[:2].var(ddof=1) + 4 * U[2:].var(ddof=1))


def test_clusters_are_summed_first_and_named_within_strata() -> None:
    totals = np.array([4.0, 8.0, 12.0])
    assert structure(6, psu=[1, 1, 2, 2, 3, 3]).variance(U) == pytest.approx(3 * totals.var(ddof=1))
    # Cluster 1 of stratum a is not cluster 1 of stratum b.
    nested = structure(6, strata=list("aaabbb"), psu=[1, 1, 2, 1, 2, 2])
    assert nested.size == 4
    assert nested.variance(U) == pytest.approx(2 * np.var([4, 2], ddof=1) + 2 * np.var([6, 12], ddof=1))


def test_a_finite_population_may_be_given_as_a_count_or_a_share() -> None:
    count = structure(6, strata=list("aabbbb"), fpc=[10, 10, 8, 8, 8, 8])
    share = structure(6, strata=list("aabbbb"), fpc=[0.2, 0.2, 0.5, 0.5, 0.5, 0.5])
    by_hand = 0.8 * 2 * U[:2].var(ddof=1) + 0.5 * 4 * U[2:].var(ddof=1)
    assert count.variance(U) == pytest.approx(by_hand) and share.variance(U) == pytest.approx(by_hand)
    assert structure(6, fpc=[6] * 6).variance(U) == 0


def test_two_stages_add_f_times_what_the_second_leaves_open() -> None:
    found = structure(6, psu=[1, 1, 1, 2, 2, 2], fpc=[4] * 6, fpc2=[9] * 6).variance(U)
    first = (1 - 2 / 4) * 2 * np.var([6.0, 18.0], ddof=1)
    second = 2 / 4 * (1 - 3 / 9) * 3 * (U[:3].var(ddof=1) + U[3:].var(ddof=1))
    assert found == pytest.approx(first + second)
    # Units that are named may have several rows.
    named = structure(6, psu=[1, 1, 1, 2, 2, 2], ssu=list("xxyxyy"), fpc=[4] * 6, fpc2=[4] * 6).variance(U)
    units = 2 / 4 * (1 - 2 / 4) * 2 * (np.var([4.0, 2.0], ddof=1) + np.var([6.0, 12.0], ddof=1))
    assert named == pytest.approx(first + units)


@settings(max_examples=40)
@given(st.data())
def test_a_domain_is_the_whole_sample_with_zeros_outside(data: st.DataObject) -> None:
    n = data.draw(st.integers(6, 24))
    strata = data.draw(st.lists(st.sampled_from("ab"), min_size=n, max_size=n))
    psu = data.draw(st.none() | st.lists(st.integers(0, 4), min_size=n, max_size=n))
    two_stages = psu is not None and data.draw(st.booleans())
    more: dict[str, Any] = {"fpc": [50.0] * n, "fpc2": [50.0] * n} if two_stages else {}
    whole = structure(n, strata=strata, psu=psu, **more)
    rows = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    u = np.array(data.draw(st.lists(st.floats(-100, 100), min_size=n, max_size=n)))
    inside = whole.keep(rows).variance(u[rows])
    # The same squares, added up with and without the zeros.
    assert inside == pytest.approx(whole.variance(np.where(rows, u, 0.0)), rel=1e-9, abs=1e-6, nan_ok=True)
    assert whole.keep(rows).degrees(np.ones(int(rows.sum()))) == whole.degrees(rows.astype(float))


def test_degrees_of_freedom_count_clusters_and_strata_with_a_weight() -> None:
    whole = structure(6, strata=list("aaabbb"), psu=[1, 2, 3, 1, 2, 2])
    assert whole.degrees(np.ones(6)) == 3
    assert whole.degrees(np.array([1.0, 1, 1, 0, 0, 0])) == 2
    assert whole.degrees(np.array([1.0, 0, 0, 1, 0, 0])) == 0
    assert structure(6).degrees(np.array([1.0, 1, 1, 0, 0, 0])) == 2
    assert structure(6, strata=list("aabbbb")).degrees(np.ones(6)) == 4


LONELY = {"strata": list("aabccc"), "psu": [1, 2, 1, 1, 2, 3]}


def test_three_rules_for_a_lonely_cluster() -> None:
    known = 2 * U[:2].var(ddof=1) + 3 * U[3:].var(ddof=1)
    assert structure(6, **LONELY, lonely="remove").variance(U) == pytest.approx(known)
    assert structure(6, **LONELY, lonely="average").variance(U) == pytest.approx(known * 3 / 2)
    assert structure(6, **LONELY, lonely="adjust").variance(U) == pytest.approx(known + (2 - U.mean()) ** 2)
    with pytest.raises(InputError, match="1 strata have one cluster only"):
        structure(6, **LONELY, lonely="refuse").variance(U)


def test_the_mean_that_a_lonely_cluster_is_held_against_is_that_of_all_clusters_also_in_a_domain() -> None:
    rows = np.array([True, True, True, False, False, False])
    found = structure(6, **LONELY).keep(rows).variance(U[rows])
    # Stata divides by the clusters of the domain; those without a row in it are totals of zero and count here.
    assert found == pytest.approx(2 * U[:2].var(ddof=1) + (2 - 6 / 6) ** 2)


@pytest.mark.parametrize("lonely", ["adjust", "average", "remove", "refuse"])
def test_a_cluster_that_is_all_of_its_stratum_is_not_lonely(lonely: Lonely) -> None:
    census = structure(6, **LONELY, fpc=[20, 20, 1, 30, 30, 30], lonely=lonely)
    assert census.lonely_strata == 0
    assert census.variance(U) == pytest.approx(0.9 * 2 * U[:2].var(ddof=1) + 0.9 * 3 * U[3:].var(ddof=1))


def test_one_cluster_in_all_says_nothing_about_its_error() -> None:
    assert math.isnan(structure(3, psu=[1, 1, 1]).variance(U[:3]))
    assert math.isnan(structure(2, strata=["a", "b"], lonely="remove").variance(U[:2]))
    assert math.isfinite(structure(2, strata=["a", "b"], lonely="adjust").variance(U[:2]))


def test_a_lonely_unit_adds_nothing_or_the_mean_of_the_others() -> None:
    given: dict[str, Any] = {"psu": [1, 1, 1, 2, 3, 3], "fpc": [9] * 6, "fpc2": [6] * 6}
    first = (1 - 3 / 9) * 3 * np.var([6.0, 6.0, 12.0], ddof=1)
    second = 3 / 9 * (0.5 * 3 * U[:3].var(ddof=1) + (1 - 2 / 6) * 2 * U[4:].var(ddof=1))
    assert structure(6, **given).variance(U) == pytest.approx(first + second)
    assert structure(6, **given, lonely="average").variance(U) == pytest.approx(first + second * 3 / 2)
    with pytest.raises(InputError, match="1 clusters have one unit only"):
        structure(6, **given, lonely="refuse").variance(U)


@pytest.mark.parametrize(
    ("fpc", "said"),
    [
        ([10, 10, 10, 10, 10, 11], "differs within a stratum"),
        ([5] * 6, "has 5 units, but 6 were drawn"),
        ([0] * 6, "above zero"),
        ([math.nan] * 6, "empty or not a number"),
    ],
)
def test_a_finite_population_that_cannot_be_is_refused(fpc: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        structure(6, fpc=fpc)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"level": 1.0}, "bad_level"),
        ({"method": "bootstrap", "replicates": 1}, "bad_replicates"),
        ({"method": "replicates"}, "no_replicates"),
        ({"fay": 1.0}, "bad_fay"),
        ({"method": "replicates", "replicate_weights": ("a", "b"), "kind": "jkn"}, "bad_scales"),
        ({"method": "replicates", "replicate_weights": ("a", "b"), "replicate_scales": (0.5,)}, "bad_scales"),
        ({"fpc2": "units"}, "bad_design"),
        ({"degrees": 0}, "bad_degrees"),
    ],
)
def test_choices_that_mean_nothing_are_refused(wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        Design(**wrong)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "psu",
    [
        ["x", "x", "y"],
        [1, 1, 2],
        [0.5, 0.5, 1.5],
        [True, True, False],
        pl.Series(["x", "x", "y"], dtype=pl.Categorical),
    ],
)
def test_clusters_may_be_named_by_text_numbers_truth_values_or_categories(psu: Any) -> None:
    assert structure_of(3, Columns(psu=pl.Series(psu)), "adjust").size == 2


def test_what_a_lonely_cluster_is_off_the_mean_shrinks_with_its_finite_population() -> None:
    found = structure(6, **LONELY, fpc=[20, 20, 4, 30, 30, 30]).variance(U)
    known = 0.9 * 2 * U[:2].var(ddof=1) + 0.9 * 3 * U[3:].var(ddof=1)
    assert found == pytest.approx(known + (1 - 1 / 4) * (2 - U.mean()) ** 2)


def test_a_share_of_one_is_a_census() -> None:
    assert structure(6, fpc=[1.0] * 6).variance(U) == 0
