"""Tests between groups: against printed and plain formulas, and their failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl
import pytest
from scipy import stats

from medfloor.measures import Design
from medfloor.measures.association import MOST_GROUPS, equality, independence, is_plain, notes_of
from medfloor.measures.estimate import Bound, Statistic, evaluate
from medfloor.measures.influence import Array, mean
from medfloor.measures.sample import Sample, take


def made(rows: int = 600, clusters: int = 50, groups: int = 3, seed: int = 2) -> pl.DataFrame:
    """Make up rows in clusters, in groups, with a category and a number."""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, clusters, rows)
    group = rng.integers(0, groups, rows)
    return pl.DataFrame(
        {
            "y": rng.normal(0, 1, rows) + 0.2 * group + rng.normal(0, 0.4, clusters)[place],
            "category": rng.integers(0, 3, rows),
            "group": group,
            "village": place,
            "w": rng.uniform(0.5, 3, rows),
        }
    )


def mean_of_y(columns: Mapping[str, Array]) -> Bound:
    def bound(weight: Array) -> Iterator[Statistic]:
        yield Statistic("y", mean(weight, columns["y"]))

    return bound


def sampled(frame: pl.DataFrame, design: Design | None = None) -> Sample:
    return take(frame, {"y": "y", "category": "category"}, by="group", design=design or Design())


def codes(frame: pl.DataFrame, name: str) -> np.ndarray:
    return frame[name].to_numpy().astype(np.int64)


def test_catastrophic_spending_of_the_study_differs_as_the_notes_say() -> None:
    # 107 of 417 against 120 of 696: chi2 11.38, p .0007, without continuity correction.
    sick = np.array([1] * 107 + [0] * 310 + [1] * 120 + [0] * 576)
    group = np.array([0] * 417 + [1] * 696)
    sample = take({"sick": sick.astype(float)}, {"sick": "sick"})
    pearson, rao_scott = independence(sample, group, sick)
    assert round(pearson.statistic, 2) == 11.38 and round(pearson.p, 4) == 0.0007
    # In a plain sample the correction for the design is n / (n - 1).
    assert rao_scott.statistic == pytest.approx(pearson.statistic * 1112 / 1113, rel=1e-12)


def test_pearson_is_that_of_scipy_and_the_corrected_one_agrees_in_a_plain_sample() -> None:
    frame = made()
    sample = sampled(frame)
    table = frame.group_by("group", "category").len().sort("group", "category")["len"].to_numpy().reshape(3, 3)
    expected = stats.chi2_contingency(table, correction=False)
    pearson, rao_scott = independence(sample, codes(frame, "group"), codes(frame, "category"))
    assert (pearson.statistic, pearson.p, pearson.df) == pytest.approx((expected.statistic, expected.pvalue, 4))
    assert pearson.smallest == pytest.approx(expected.expected_freq.min())
    # Both are right for large samples; 600 rows leave a few per cent.
    assert rao_scott.statistic * 4 == pytest.approx(pearson.statistic, rel=0.05)
    assert rao_scott.df == pytest.approx(4, rel=0.05)


def test_labels_of_classes_and_their_order_do_not_matter() -> None:
    frame = made()
    sample = sampled(frame, Design(weight="w", psu="village"))
    one = independence(sample, codes(frame, "group"), codes(frame, "category"))[0]
    other = independence(sample, 7 - 3 * codes(frame, "category"), 9 - codes(frame, "group"))[0]
    # The same eigenvalues, found from matrices of another order.
    assert (one.statistic, one.df, one.p) == pytest.approx((other.statistic, other.df, other.p), rel=1e-9)


def test_rows_outside_the_table_stay_part_of_the_design() -> None:
    frame = made()
    sample = sampled(frame, Design(psu="village"))
    outside = np.where(frame["category"].to_numpy() == 2, -1, frame["category"].to_numpy())
    (test,) = independence(sample, codes(frame, "group"), outside)
    assert test.n == (outside >= 0).sum()
    assert test.below == pytest.approx(test.df * 49)


def test_two_groups_differ_by_the_square_of_their_t() -> None:
    frame = made(groups=2)
    sample = sampled(frame, Design(weight="w", psu="village"))
    (test,) = equality(sample, sample.groupings[0], mean_of_y)
    row = evaluate(sample, mean_of_y, against="0").filter(against="0").row(0, named=True)
    assert test.statistic == pytest.approx((row["estimate"] / row["se"]) ** 2, rel=1e-9)
    assert test.p == pytest.approx(row["p"], rel=1e-9)


def test_the_first_group_is_not_special() -> None:
    frame = made()
    turned = frame.with_columns(group=2 - pl.col("group"))
    found = []
    for one in (frame, turned):
        sample = sampled(one, Design(psu="village"))
        found.append(equality(sample, sample.groupings[0], mean_of_y)[0])
    assert found[0].statistic == pytest.approx(found[1].statistic, rel=1e-9)
    assert (found[0].df, found[0].below) == (2.0, 49 - 0.0)


def test_plain_is_a_sample_of_rows_that_count_once() -> None:
    frame = made()
    assert is_plain(sampled(frame))
    for design in (Design(weight="w"), Design(psu="village"), Design(strata="group"), Design(method="jackknife")):
        assert not is_plain(sampled(frame, design))
    assert [
        test.name
        for test in independence(sampled(frame, Design(psu="village")), codes(frame, "group"), codes(frame, "category"))
    ] == ["rao_scott_f"]


def test_one_class_one_cluster_or_too_many_groups_give_no_test() -> None:
    frame = made(groups=1)
    assert independence(sampled(frame), codes(frame, "group"), codes(frame, "category")) == []
    lonely = sampled(made().with_columns(village=pl.lit(1)), Design(psu="village"))
    assert equality(lonely, lonely.groupings[0], mean_of_y) == []
    assert independence(lonely, codes(made(), "group"), codes(made(), "category")) == []
    many = sampled(made(groups=MOST_GROUPS + 1))
    assert equality(many, many.groupings[0], mean_of_y) == []


def test_groups_without_spread_have_a_test_without_an_answer_and_a_note() -> None:
    frame = pl.DataFrame({"y": [1.0, 1.0, 2.0, 2.0], "category": [0, 1, 0, 1], "group": ["a", "a", "b", "b"]})
    sample = sampled(frame)
    (test,) = equality(sample, sample.groupings[0], mean_of_y)
    assert np.isnan(test.statistic) and np.isnan(test.p)
    assert [note.key for note in notes_of([test])] == ["association.undefined"]


def test_few_expected_in_a_cell_are_noted() -> None:
    frame = made(rows=12)
    tests = independence(sampled(frame), codes(frame, "group"), codes(frame, "category"))
    assert [note.key for note in notes_of(tests)][:1] == ["association.few"]


def test_numbers_of_classes_that_nobody_has_change_nothing() -> None:
    sample = take({"one": [1.0] * 8}, {"one": "one"})
    rows, columns = np.array([0, 0, 0, 1, 1, 1, 1, 0]), np.array([0, 1, 0, 1, 1, 0, 1, 0])
    dense = independence(sample, rows, columns)
    for one, other in zip(independence(sample, 3 * rows + 2, 5 * columns), dense, strict=True):
        assert (one.statistic, one.p) == (other.statistic, other.p)


def test_rows_of_weight_zero_stand_in_no_table() -> None:
    frame = made().with_columns(w=pl.when(pl.col("category") == 2).then(0.0).otherwise("w"))
    (found,) = independence(sampled(frame, Design(weight="w")), codes(frame, "group"), codes(frame, "category"))
    assert found.n == frame.filter(pl.col("w") > 0).height
    # The category without weight is no class: three groups by two categories have at most two degrees of freedom.
    assert found.df <= 2


def test_clusters_without_a_row_in_the_table_give_no_degrees_of_freedom() -> None:
    frame = made()
    rows = np.where(frame["village"].to_numpy() < 20, codes(frame, "group"), -1)
    (found,) = independence(sampled(frame, Design(psu="village")), rows, codes(frame, "category"))
    assert found.below == pytest.approx(found.df * (20 - 1), rel=1e-12)


def test_equal_weights_other_than_one_leave_no_plain_sample() -> None:
    frame = made().with_columns(w=pl.lit(2.0))
    sample = sampled(frame, Design(weight="w"))
    assert not is_plain(sample)
    tests = independence(sample, codes(frame, "group"), codes(frame, "category"))
    assert [one.name for one in tests] == ["rao_scott_f"]


def test_an_empty_cell_under_weights_has_the_correction_of_its_formula() -> None:
    frame = made().filter((pl.col("group") > 0) | (pl.col("category") > 0))
    (found,) = independence(sampled(frame, Design(weight="w")), codes(frame, "group"), codes(frame, "category"))
    weight, n = frame["w"].to_numpy(), frame.height
    inside = (codes(frame, "group") * 3 + codes(frame, "category"))[:, None] == np.arange(9)
    shares = weight @ inside / weight.sum()
    scores = weight[:, None] * (inside - shares) / weight.sum()
    inverse = np.diag(np.divide(1, shares, out=np.zeros(9), where=shares > 0))
    contrasts = np.kron(np.eye(3)[:, 1:] - 1 / 3, np.eye(3)[:, 1:] - 1 / 3)
    # Rao and Scott (1984), section 3, with matrices of all nine cells; the scores sum to zero.
    middle = contrasts.T @ inverse @ (n / (n - 1) * scores.T @ scores) @ inverse @ contrasts
    delta = np.linalg.solve(contrasts.T @ inverse @ contrasts / n, middle)
    assert found.df == pytest.approx(np.trace(delta) ** 2 / np.trace(delta @ delta), rel=1e-9)
