"""Keep the comparison with other programs honest: all do the same jobs, medfloor to the fen. At size: `just peers`."""

import importlib
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PEOPLE = 20_000
BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")

pytestmark = pytest.mark.peers


def module(name: str) -> Any:
    # Behind everything else, so that no benchmark stands in for a package of the same name.
    if BENCHMARKS not in sys.path:
        sys.path.append(BENCHMARKS)
    return importlib.import_module(name)


@cache
def given() -> dict[str, np.ndarray]:
    columns = module("annual").columns(PEOPLE)
    # So few people seldom meet the last limits; a hundredth has bills thirty times as high.
    columns["bill_fen"][:200] = np.minimum(columns["bill_fen"][:200] * 30, 100_000_000)
    return columns


@cache
def exact() -> np.ndarray:
    return module("annual").Numpy().work(given())


@cache
def paid_by(name: str) -> np.ndarray:
    """Let a program work in a process of its own, as in the benchmark: its licence and its warnings stay there."""
    told, results = module("contest").run("annual_peers", given(), names=[name], repeats=1, timeout=300)
    if "missing" in told[name]:
        pytest.skip(told[name]["missing"])
    assert "failed" not in told[name], told[name]
    assert told[name]["version"] and told[name]["seconds"][0] > 0
    return results[name]


@pytest.mark.parametrize("name", ["kernel", "world", "polars", "duckdb"])
def test_whole_fen_are_what_numpy_pays_to_the_fen(name: str) -> None:
    if name == "duckdb":
        pytest.importorskip("duckdb", reason="duckdb is not installed; `pip install -r requirements/dev.txt` brings it")
    peer = module("annual_peers").PEERS[name]()
    paid = peer.result(peer.work(peer.ready(given())))
    # `World` gives yuan as doubles; times 100 they are whole fen but for the last bit.
    assert np.array_equal(np.rint(paid), exact())
    assert np.abs(paid - exact()).max() < 1e-6


def test_one_person_worked_out_by_hand() -> None:
    """100,000 yuan at a hospital of level 3, registered as dibao: three tiers pay 64,155, 12,507 and 18,670.40."""
    one = {"bill_fen": np.array([10_000_000]), "level": np.array([3]), "group": np.array([2])}
    # (100,000 - 1,300) x 65 %; (35,845 - 15,000) x 60 %; 80 % of the 23,338 that remain.
    assert module("annual").Numpy().work(one)[:, 0].tolist() == [6_415_500, 1_250_700, 1_867_040]


def test_every_tier_and_both_limits_are_met() -> None:
    """Else the peers could agree without having done the job."""
    basic, critical, assistance = exact()
    rules = module("annual").RULES
    assert basic.max() == rules["cap"] * 100
    assert assistance.max() == rules["limit"] * 100
    assert (given()["bill_fen"] - basic).max() > rules["brackets"][2][0] * 100 and critical.max() > 0


@pytest.mark.parametrize("name", ["openfisca", "openfisca-by-hand", "policyengine", "policyengine-by-hand"])
def test_floats_of_32_bits_miss_the_same_people_in_numpy(name: str) -> None:
    annual = module("annual")
    paid = paid_by(name)
    # A float of 32 bits has 24 of mantissa: up to 65,536 yuan it lies within 0.4 fen of any amount, up to a million
    # within 3.2; three payments and two of them worked out from kept ones add up to less than six times that.
    assert np.abs(paid - exact()).max() < 20
    off = annual.missing(paid, exact()) > 0.5
    assert 0 < off.sum() < PEOPLE / 100
    redone = module("annual_floats").redone(given(), kept=np.float32, by_hand=name.endswith("by-hand"))
    assert np.array_equal(off, annual.missing(redone, exact()) > 0.5)


def test_numpy_with_care_and_64_bits_misses_nobody() -> None:
    redone = module("annual_floats").redone(given(), kept=np.float64, by_hand=True)
    assert module("annual").misses(redone, exact())[0] == 0


def test_gettsim_with_care_and_64_bits_misses_nobody() -> None:
    assert module("annual").misses(paid_by("gettsim-by-hand"), exact())[0] == 0


def test_the_table_of_sizes_counts_everybody_once() -> None:
    floats = module("annual_floats")
    head, *rows = floats.spacing(given())
    assert "32 bits" in head[1]
    assert sum(int(row[2].replace(",", "")) for row in rows) == (given()["bill_fen"] > 0).sum()
    assert [float(row[1]) for row in rows] == sorted(float(row[1]) for row in rows)
    off = int((floats.missing(floats.redone(given(), kept=np.float32, by_hand=True), exact()) > 0.5).sum())
    assert sum(int(row[4].replace(",", "")) for row in rows) == off
