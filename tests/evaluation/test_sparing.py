"""Libraries are imported without what is not used, and nothing of them is missing for who does use it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from scipy import stats

from medfloor.evaluation.sparing import _Distribution

_SCRIPT = """
import sys
from medfloor.evaluation.sparing import ready
ready("pyfixest.estimation.api")
ready("diff_diff")
heavy = {"scipy.stats", "matplotlib", "seaborn", "maketables"} & set(sys.modules)
assert not heavy, heavy
import scipy.stats, matplotlib
from pyfixest.report.summarize import maketables
assert scipy.stats.norm.ppf(0.5) == 0.0 and hasattr(matplotlib, "rcParams")
assert maketables.ETable._real().__name__ == "ETable"
"""


def test_heavy_parts_stay_away_until_they_are_used_and_are_whole_then() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "shapes"), [("t", (7.0,)), ("t", (0.5,)), ("norm", ()), ("chi2", (3.0,)), ("f", (3.0, 40.0))]
)
def test_tails_are_bit_for_bit_those_of_scipy_stats(name: str, shapes: tuple[float, ...]) -> None:
    ours, theirs = _Distribution(name), getattr(stats, name)
    for x in (0.0, 0.3, 1.7, 12.0):
        assert ours.cdf(x, *shapes) == theirs.cdf(x, *shapes)
        assert ours.sf(x, *shapes) == theirs.sf(x, *shapes)
        assert ours.pdf(x, *shapes) == theirs.pdf(x, *shapes)
    for q in (0.0, 0.025, 0.5, 0.975, 1.0):
        assert ours.ppf(q, *shapes) == theirs.ppf(q, *shapes)


def test_what_is_at_the_edge_or_asked_otherwise_is_scipys_own() -> None:
    ours = _Distribution("t")
    assert ours.cdf(float("inf"), 3) == 1.0 and ours.sf(0.0, df=3, loc=0.0) == 0.5
    assert ours.mean(3) == 0.0
    assert _Distribution("chi2").sf(-1.0, 3) == 1.0
