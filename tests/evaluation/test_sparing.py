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
ready("statsmodels.discrete.conditional_models")
heavy = {"scipy.stats", "matplotlib", "seaborn", "maketables"} & set(sys.modules)
assert not heavy, heavy
import scipy.stats, matplotlib
from pyfixest.report.summarize import maketables
assert scipy.stats.norm.ppf(0.5) == 0.0 and hasattr(matplotlib, "rcParams")
assert isinstance(maketables.ETable, type) and maketables.ETable.__name__ == "ETable"
"""

_OTHERS = """
import threading
from medfloor.evaluation.sparing import sparing

def beside():
    from scipy.stats import norm, rv_continuous
    from scipy.stats.mstats import mquantiles
    seen.append(isinstance(norm, rv_continuous) and callable(mquantiles))

seen = []
with sparing():
    import scipy.stats as held
    from scipy.stats import rv_continuous
    thread = threading.Thread(target=beside)
    thread.start()
    thread.join()
assert seen == [True]
assert isinstance(held.norm, rv_continuous) and isinstance(held.norm, held.rv_continuous)
"""

_WITHIN = """
import sys
from medfloor.evaluation.sparing import sparing

with sparing():
    import scipy.stats as held
    from scipy.stats import norm, rv_continuous
    annotation = str | rv_continuous | None
    assert norm.ppf(0.5) == 0.0
assert held.norm.sf(0.0) == 0.5 and "scipy.stats" not in sys.modules
with sparing():
    assert held.norm.pdf(0.3) > 0 and "scipy.stats._mstats_basic" not in sys.modules
    from scipy.stats.mstats import mquantiles
    assert not isinstance(3, rv_continuous)
import scipy.stats
assert held.norm is scipy.stats.norm and scipy.stats.mstats.mquantiles is mquantiles
"""


@pytest.mark.parametrize(
    "script", [_SCRIPT, _OTHERS, _WITHIN], ids=["libraries", "another thread", "by whoever imports"]
)
def test_heavy_parts_stay_away_until_they_are_used_and_are_whole_then(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "shapes"), [("t", (7.0,)), ("t", (0.5,)), ("norm", ()), ("chi2", (3.0,)), ("f", (3.0, 40.0))]
)
def test_tails_are_bit_for_bit_those_of_scipy_stats(name: str, shapes: tuple[float, ...]) -> None:
    ours, theirs = _Distribution("scipy.stats", name), getattr(stats, name)
    for x in (0.0, 0.3, 1.7, 12.0):
        assert ours.cdf(x, *shapes) == theirs.cdf(x, *shapes)
        assert ours.sf(x, *shapes) == theirs.sf(x, *shapes)
        assert ours.pdf(x, *shapes) == theirs.pdf(x, *shapes)
    for q in (0.0, 0.025, 0.5, 0.975, 1.0):
        assert ours.ppf(q, *shapes) == theirs.ppf(q, *shapes)


def test_what_is_at_the_edge_or_asked_otherwise_is_scipys_own() -> None:
    ours = _Distribution("scipy.stats", "t")
    assert ours.cdf(float("inf"), 3) == 1.0 and ours.sf(0.0, df=3, loc=0.0) == 0.5
    assert ours.mean(3) == 0.0
    assert ours.sf(1.0, df=3) == ours.sf(1.0, 3) == stats.t.sf(1.0, 3)
    chances = _Distribution("scipy.stats", "f")
    assert chances.sf(1.0, dfd=40, dfn=3) == chances.sf(1.0, 3, dfd=40) == stats.f.sf(1.0, 3, 40)
    assert _Distribution("scipy.stats", "chi2").sf(-1.0, 3) == 1.0
