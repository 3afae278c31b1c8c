"""Replicates: what the jackknife and the bootstrap do to weights, and what becomes of undefined ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from medfloor.errors import InputError, UsageError
from medfloor.measures import Design, survey
from medfloor.measures.design import MOST_JACKKNIFED
from medfloor.measures.replicate import Replicates, replicates_of, spread
from medfloor.measures.sample import take


def made(frame: dict[str, Any], design: Design) -> tuple[Replicates, Any]:
    sample = take(frame, {"y": "y"}, design=design)
    found = replicates_of(sample)
    assert found is not None
    return found, sample


def weights(found: Replicates, sample: Any) -> np.ndarray[Any, Any]:
    return np.array([found.weight_of(r, sample.weight, None) for r in range(found.number)])


TWO = {"y": [1.0, 2, 3, 4, 5, 6], "s": list("aaabbb"), "c": [1, 2, 3, 1, 2, 2], "w": [1.0, 1, 1, 2, 2, 2]}


def test_the_jackknife_leaves_a_cluster_out_and_raises_the_others_of_its_stratum() -> None:
    found, sample = made(TWO, Design(weight="w", strata="s", psu="c", method="jackknife"))
    assert weights(found, sample)[0].tolist() == [0, 1.5, 1.5, 2, 2, 2]
    assert weights(found, sample)[4].tolist() == [1, 1, 1, 4, 0, 0]
    assert found.scales.tolist() == pytest.approx([2 / 3] * 3 + [1 / 2] * 2)


def test_the_jackknife_keeps_the_lonely_and_counts_the_finite() -> None:
    frame = {**TWO, "c": [1, 2, 3, 1, 1, 1], "n": [6, 6, 6, 5, 5, 5]}
    found, sample = made(frame, Design(strata="s", psu="c", fpc="n", method="jackknife"))
    assert found.scales.tolist() == pytest.approx([(1 - 3 / 6) * 2 / 3] * 3 + [0])
    assert weights(found, sample)[3].tolist() == [1] * 6


def test_bootstrap_weights_are_multiples_within_strata_and_are_the_weights_on_average() -> None:
    found, sample = made(TWO, Design(weight="w", strata="s", psu="c", method="bootstrap", replicates=4000))
    drawn = weights(found, sample)
    assert (drawn >= 0).all()
    # Draws of two from three, times 3/2; draws of one from two, times 2.
    assert set(np.unique(drawn[:, :3])) <= {0.0, 1.5, 3.0} and set(np.unique(drawn[:, 3:])) <= {0.0, 4.0}
    assert (drawn[:, 4] == drawn[:, 5]).all()
    assert drawn[:, :3].sum(axis=1).tolist() == [3.0] * 4000
    # The mean of 4,000 factors has an error of about 1 %: 5 % are five of them.
    assert drawn.mean(axis=0) == pytest.approx(sample.weight, rel=0.05)


def test_a_finite_population_shrinks_the_bootstrap_and_a_census_stops_it() -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(0, 1, 40)
    for share in (0.75, 1.0):
        frame = {"y": y, "f": [share] * 40}
        line = survey.mean(frame, value="y", design=Design(fpc="f")).se
        boot = survey.mean(frame, value="y", design=Design(fpc="f", method="bootstrap", replicates=2000)).se
        # 2,000 replicates know a standard error to some 2 %; beyond lie three of that.
        assert boot == pytest.approx(line, rel=0.06, abs=1e-12)


def test_the_same_seed_gives_the_same_bootstrap_and_another_another() -> None:
    errors = [
        survey.mean(TWO, value="y", design=Design(method="bootstrap", replicates=30, seed=seed)).se
        for seed in (1, 1, 2)
    ]
    assert errors[0] == errors[1] != errors[2]


def test_an_undefined_replicate_makes_the_error_unknown() -> None:
    draws = Replicates(3, lambda r, w, rows: w, np.full(3, 1 / 3))
    assert math.isnan(spread(np.array([1.0, math.nan, 2.0]), 1.5, draws))
    assert math.isnan(spread(np.array([1.0, 1.0, 2.0]), math.nan, draws))
    assert spread(np.array([1.0, 2.0, 3.0]), 2.0, draws) == pytest.approx(math.sqrt(2 / 3))


def test_a_replicate_that_counts_nothing_is_not_in_the_mean_either() -> None:
    draws = Replicates(3, lambda r, w, rows: w, np.array([0.5, 0.5, 0.0]))
    assert spread(np.array([1.0, 3.0, 99.0]), 2.0, draws) == 1.0


def test_many_clusters_are_left_out_in_random_groups() -> None:
    n = MOST_JACKKNIFED + 1000
    rng = np.random.default_rng(2)
    frame = {"y": rng.lognormal(0, 1, n), "s": rng.choice(list("abc"), n), "w": rng.uniform(1, 2, n)}
    plain = Design(weight="w", strata="s")
    line = survey.mean(frame, value="y", design=plain)
    groups = survey.mean(frame, value="y", design=Design(weight="w", strata="s", method="jackknife"))
    # About 500 groups know a standard error to 1 / sqrt(2 x 500), some 3 %; beyond lie four of that.
    assert groups.se == pytest.approx(line.se, rel=0.13)
    assert 490 <= groups.rows["df"].item() <= 500
    assert "random groups" in groups.text()
    found, sample = made(frame, Design(weight="w", strata="s", method="jackknife"))
    drawn = weights(found, sample)
    assert ((drawn == 0).sum(axis=0) == 1).all()  # each row is left out once
    assert drawn.sum(axis=1) == pytest.approx(np.full(found.number, sample.weight.sum()), rel=0.02)


def test_too_many_strata_for_groups_are_refused() -> None:
    n = 3 * MOST_JACKKNIFED
    frame = {"y": np.ones(n), "s": np.repeat(np.arange(n // 2), 2)}
    with pytest.raises(UsageError, match="two runs or more in each"):
        survey.mean(frame, value="y", design=Design(strata="s", method="jackknife"))


def test_progress_counts_the_replicates_of_all_groups_once() -> None:
    told: list[tuple[int, int]] = []
    design = Design(method="bootstrap", replicates=7)
    survey.mean(TWO, value="y", by="s", against="a", design=design, progress=lambda done, of: told.append((done, of)))
    assert told == [(done, 21) for done in range(1, 22)]


def test_replicate_weights_follow_rows_that_are_left_out_and_count_people() -> None:
    frame = {"y": [1.0, 2.0, None, 4.0], "w": [1.0] * 4, "size": [1.0, 2, 3, 4]}
    frame |= {"r1": [2.0, 0, 2, 0], "r2": [0.0, 2, 0, 2], "r3": [2.0, 0, 0, 2]}
    design = Design(weight="w", method="replicates", replicate_weights=("r1", "r2", "r3"), kind="brr")
    found = survey.mean(frame, value="y", unit="person", design=design)
    values = [1.0, (2 * 2 + 4 * 4) / 6, (1 + 16) / 5]
    assert found.estimate == pytest.approx((1 + 4 + 16) / 7)
    assert found.se == pytest.approx(np.std(values))


def test_a_missing_replicate_weight_is_refused() -> None:
    frame = {"y": [1.0, 2.0], "r1": [1.0, None], "r2": [1.0, 1.0]}
    design = Design(method="replicates", replicate_weights=("r1", "r2"))
    with pytest.raises(InputError, match="replicate weight is missing"):
        survey.mean(frame, value="y", design=design)
