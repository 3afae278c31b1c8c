"""Keep the comparison with other programs honest: all do the same job, medfloor to the fen."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

PEOPLE = 20_000


@cache
def annual() -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / "annual.py"
    spec = importlib.util.spec_from_file_location("annual", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["annual"] = module
    spec.loader.exec_module(module)
    return module


@cache
def given() -> dict[str, np.ndarray]:
    columns = annual().columns(PEOPLE)
    # So few people seldom meet the last limits; a hundredth has bills thirty times as high.
    columns["bill_fen"][:200] = np.minimum(columns["bill_fen"][:200] * 30, 100_000_000)
    return columns


@cache
def exact() -> np.ndarray:
    return annual().Numpy().work(given())


@pytest.mark.parametrize("name", ["kernel", "world"])
def test_medfloor_pays_what_numpy_pays_to_the_fen(name: str) -> None:
    peer = annual().PEERS[name]()
    paid = peer.work(peer.ready(given()))
    # `World` gives yuan as doubles; times 100 they are whole fen but for the last bit.
    assert np.array_equal(np.rint(paid), exact())
    assert np.abs(paid - exact()).max() < 1e-6


def test_one_person_worked_out_by_hand() -> None:
    """100,000 yuan at a hospital of level 3, registered as dibao: three tiers pay 64,155, 12,507 and 18,670.40."""
    one = {"bill_fen": np.array([10_000_000]), "level": np.array([3]), "group": np.array([2])}
    # (100,000 - 1,300) x 65 %; (35,845 - 15,000) x 60 %; 80 % of the 23,338 that remain.
    assert annual().Numpy().work(one)[:, 0].tolist() == [6_415_500, 1_250_700, 1_867_040]


def test_every_tier_and_both_limits_are_met() -> None:
    """Else the peers could agree without having done the job."""
    basic, critical, assistance = exact()
    rules = annual().RULES
    assert basic.max() == rules["cap"] * 100
    assert assistance.max() == rules["limit"] * 100
    assert (given()["bill_fen"] - basic).max() > rules["brackets"][2][0] * 100 and critical.max() > 0


@pytest.mark.parametrize("name", ["openfisca", "by-hand"])
def test_openfisca_does_the_same_job_in_32_bits(name: str) -> None:
    if importlib.util.find_spec("openfisca_core") is None:
        pytest.skip("openfisca-core is not installed; `pip install -r requirements/dev.txt` brings it")
    # In a process of its own, as in the benchmark: its licence and its warnings stay there.
    told, paid = annual().measured(name, given(), repeats=1)
    assert told["version"].startswith("openfisca-core ")
    # A float of 32 bits has 24 of mantissa: up to 65,536 yuan it lies within 0.4 fen of any amount, up to a million
    # within 3.2; three payments and two of them worked out from kept ones add up to less than six times that.
    assert np.abs(paid - exact()).max() < 20
    off, _ = annual().misses(paid, exact())
    assert 0 < off < PEOPLE / 100
