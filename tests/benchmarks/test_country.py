"""Hold the plan for the whole country against its simulation, cases worked by hand, and the page that shows it."""

import importlib
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@cache
def country() -> Any:
    # Behind everything else, so that no benchmark stands in for a package of the same name.
    if str(ROOT / "benchmarks") not in sys.path:
        sys.path.append(str(ROOT / "benchmarks"))
    return importlib.import_module("country")


@cache
def tables() -> dict[str, list[list[str]]]:
    return dict(country().tables())


def plain(**given: float) -> Any:
    """Give a way that takes a second a claim in one core, and no bytes."""
    bare = country().Way("by hand", 1, 1.0, start=0.0, storage=0.0)
    return replace(bare, **given)


def test_the_page_shows_what_is_computed() -> None:
    page = (ROOT / "docs" / "country.md").read_text(encoding="utf8")
    for title, rows in tables().items():
        for row in rows:
            assert "| " + " | ".join(row) + " |" in page, (title, row)


def test_claims_are_cut_without_loss() -> None:
    plan = country()
    for claims in plan.SIZES:
        for way in plan.WAYS:
            sizes = plan.tasks(claims, way)
            assert sizes.sum() == pytest.approx(claims)
            assert sizes.max() <= plan.LEAP
            assert list(sizes) == sorted(sizes, reverse=True)
    assert plan.provinces(100.0).sum() == pytest.approx(100)
    assert len(plan.POPULATION) == 31


@pytest.mark.parametrize(
    ("sizes", "way", "cluster", "seconds"),
    [
        ([3, 2, 2, 1], {}, {"machines": 1, "cores": 1}, 8),
        ([3, 2, 2, 1], {}, {"machines": 2, "cores": 1}, 4),
        ([9, 1, 1, 1], {}, {"machines": 4, "cores": 1}, 9),
        ([3, 2], {"start": 0.5, "begin": 10, "each": 2}, {"machines": 1, "cores": 1}, 20),
        # Two at once ask twice what the storage gives: half the speed, until the shorter has gone.
        ([3, 1], {"storage": 1}, {"machines": 2, "cores": 1, "storage": 1}, 4),
        # A disk is shared by the slots of one machine only.
        ([2, 2], {"scratch": 1}, {"machines": 1, "cores": 2, "disk": 1}, 4),
        ([2, 2], {"scratch": 1}, {"machines": 2, "cores": 1, "disk": 1}, 2),
        # Of four machines a task sends three quarters to others; alone it sends nothing.
        ([4, 4, 4, 4], {"wire": 2}, {"machines": 4, "cores": 1, "wire": 1}, 6),
        ([4], {"wire": 2}, {"machines": 1, "cores": 1, "wire": 1}, 4),
    ],
)
def test_simulated_by_hand(sizes: list[float], way: dict[str, float], cluster: dict[str, Any], seconds: float) -> None:
    plan = country()
    outcome = plan.simulate(np.array(sizes, float), plain(**way), plan.Cluster(**cluster))
    assert outcome.seconds == pytest.approx(seconds)
    assert (outcome.ended == 1).all()


def test_a_machine_that_dies_loses_its_tasks_and_nothing_else() -> None:
    plan = country()
    cluster, repaired = plan.Cluster(2, 1), replace(plan.NONE, repair=100.0)
    outcome = plan.simulate(np.array([6.0, 5.0]), plain(), cluster, repaired, kill=(0, 4.0))
    assert (outcome.seconds, outcome.lost, outcome.failed) == (11.0, 4.0, 1)  # 5 on the other, then all 6 again
    assert (outcome.ended == 1).all()
    soon = plan.simulate(np.array([6.0, 5.0]), plain(), cluster, replace(repaired, repair=0.5), kill=(0, 4.0))
    assert soon.seconds == 10.5


def test_failures_at_random_lose_no_task() -> None:
    plan = country()
    trouble = plan.Trouble(failures=30.0, repair=60.0)
    outcome = plan.simulate(np.full(40, 50.0), plain(), plan.Cluster(4, 2), trouble, seed=3)
    assert outcome.failed > 0
    assert (outcome.ended == 1).all()
    assert outcome.seconds > plan.simulate(np.full(40, 50.0), plain(), plan.Cluster(4, 2)).seconds


@pytest.mark.parametrize("machines", [1, 4, 64])
def test_simulation_stays_between_what_cannot_be_beaten_and_graham_s_bound(machines: int) -> None:
    plan = country()
    for claims in plan.SIZES:
        sizes, way = plan.tasks(claims, plan.ORDERED), replace(plan.ORDERED, storage=0.0)
        full = way.start + sizes * way.seconds
        slots = plan.Cluster(machines).slots(way)
        seconds = plan.simulate(sizes, way, plan.Cluster(machines)).seconds
        assert max(full.max(), full.sum() / slots) <= seconds * (1 + 1e-9)
        assert seconds <= full.sum() / slots + (1 - 1 / slots) * full.max() + 1e-6


def test_the_formula_is_near_the_simulation() -> None:
    rows = tables()["Formula and simulation"][1:]
    assert {row[0] for row in rows} == {f"{size:,}" for size in country().SIZES}
    for row in rows:
        assert 0.95 <= float(row[5]) <= 1.15, row
        assert 0.95 <= float(row[8]) <= 1.15, row


def test_the_rate_is_near_what_was_measured() -> None:
    for row in country().measured_table()[1:]:
        assert all(0.7 <= float(row[at]) <= 1.2 for at in (3, 5)), row


def test_trouble_has_the_mean_and_the_tail_that_it_says() -> None:
    trouble = country().Trouble()
    times = np.linspace(1, 4, 300_001)
    assert trouble.stretch() == pytest.approx(1 + trouble.beyond(times).sum() * (times[1] - times[0]), abs=1e-3)
    assert list(country().NONE.beyond(np.array([0.9, 1.1]))) == [1, 0]
