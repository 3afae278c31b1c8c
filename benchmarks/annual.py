"""The annual job, one bill a person and year: what is given, the rules, numpy in whole fen, and who is off.

The programs that do it are in annual_peers.py; `just peers` lets them work in turns. Some have interpreters of their
own, so this module imports no more than numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from contest import Columns

YEAR = "2024"
LEVELS = ("primary", "1", "2", "3")
GROUPS = ("none", "tekun", "dibao")
RULES: dict[str, Any] = {
    "deductible": (100, 300, 800, 1300),  # yuan, by level
    "percent": (90, 80, 78, 65),
    "cap": 100_000,
    "brackets": ((0, 0), (15_000, 60), (65_000, 70)),  # of the year's burden: from (yuan), per cent
    "share": (0, 100, 80),  # per cent, by group
    "limit": 20_000,
}
"""The numbers of three_tiers.yaml, for the peers."""


def columns(people: int, seed: int = 3) -> Columns:
    """Make up people: two of three have a bill (in fen, all in scope), one in ten is registered as poor.

    A bill is 2,750 yuan on average and a head costs 1,790, near the 1,756 of personal health spending in 2023.
    """
    rng = np.random.default_rng(seed)
    bill = np.minimum(np.exp(rng.normal(11.4, 1.5, people)), 1e8).astype(np.int64)
    return {
        "bill_fen": np.where(rng.random(people) < 0.65, bill, 0),
        "level": rng.integers(0, len(LEVELS), people),
        "group": rng.choice(len(GROUPS), people, p=[0.9, 0.02, 0.08]),
    }


class Numpy:
    """Whole fen in 64 bits, by hand."""

    package = "numpy"
    repeats = 5

    def ready(self, given: Columns) -> Columns:
        return given

    def work(self, made: Columns) -> np.ndarray:
        def of(name: str, index: np.ndarray, unit: int) -> np.ndarray:
            return np.array(RULES[name], np.int64)[index] * unit

        bill = made["bill_fen"]
        eligible = np.maximum(bill - of("deductible", made["level"], 100), 0)
        basic = np.minimum((eligible * of("percent", made["level"], 100) + 5000) // 10_000, RULES["cap"] * 100)
        burden = bill - basic
        (_, _), (low, first), (high, second) = RULES["brackets"]
        one = np.clip(burden - low * 100, 0, (high - low) * 100)
        two = np.maximum(burden - high * 100, 0)
        critical = (one * first * 100 + two * second * 100 + 5000) // 10_000
        shared = ((burden - critical) * of("share", made["group"], 100) + 5000) // 10_000
        return np.stack([basic, critical, np.minimum(shared, RULES["limit"] * 100)])

    def result(self, worked: np.ndarray) -> np.ndarray:
        return worked


def misses(paid: np.ndarray, exact: np.ndarray) -> tuple[int, float]:
    """Count the people whose three payments together are off by more than half a fen, and give the largest miss in fen.

    >>> misses(np.array([[100.0, 201.0]]), np.array([[100, 200]]))
    (1, 1.0)
    """
    off = missing(paid, exact)
    return int((off > 0.5).sum()), float(off.max())


def missing(paid: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Say by how many fen each person's three payments together are off."""
    return np.abs(paid.sum(axis=0) - exact.sum(axis=0))
