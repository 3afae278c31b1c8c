"""Libraries are imported without what is not used, and nothing of them is missing for who does use it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from medfloor.sparing import _Distribution, _Percentile

_SCRIPT = """
import sys
from medfloor.sparing import ready
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
from medfloor.sparing import sparing

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
from medfloor.sparing import sparing

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

_SINGLY = """
import sys
from medfloor.sparing import ready
ready("diff_diff.bacon")
import diff_diff
assert "diff_diff.synthetic_control" not in sys.modules
assert not hasattr(diff_diff, "__wrapped__") and "diff_diff.synthetic_control" not in sys.modules
from diff_diff import SyntheticControl, BaconDecomposition
assert BaconDecomposition is sys.modules["diff_diff.bacon"].BaconDecomposition
assert type(diff_diff) is type(sys) and "SunAbraham" in dir(diff_diff) and diff_diff.__version__
assert not hasattr(diff_diff, "no_such_name")
"""

_LISTED = """
import threading
from medfloor.sparing import ready
ready("diff_diff.bacon")
import diff_diff
seen = []
threads = [threading.Thread(target=lambda: seen.append(diff_diff.SunAbraham)) for _ in range(4)]
for one in threads: one.start()
for one in threads: one.join()
assert len(seen) == 4 and len(set(seen)) == 1
ready("diff_diff.sun_abraham")
assert seen[0] is diff_diff.sun_abraham.SunAbraham and "SunAbraham" in diff_diff.__all__
"""

_COPIED = """
import sys
import numpy
from medfloor.sparing import ready
ready("scipy.optimize")
away = {"numpy.f2py", "scipy.spatial", "scipy.linalg.interpolative"}
assert not away & set(sys.modules) and "f2py" not in vars(numpy)
from scipy.linalg import interpolative
from scipy.spatial import cKDTree
assert interpolative.__name__ in sys.modules and cKDTree([[0.0], [3.0]]).query([1.0])[1] == 0
assert callable(numpy.f2py.get_include) and sys.modules["numpy.f2py"] is numpy.f2py
from scipy import optimize
assert optimize.shgo(lambda x: (x[0] - 1) ** 2, [(-3, 3)]).success
"""

_OWN = """
from medfloor.sparing import sparing
with sparing(("colorsys",)):
    import colorsys
    from colorsys import rgb_to_hsv
    assert rgb_to_hsv(1.0, 0.0, 0.0) == (0.0, 1.0, 1.0)
assert colorsys.rgb_to_hsv(1.0, 0.0, 0.0) == (0.0, 1.0, 1.0)
"""


@pytest.mark.parametrize(
    "script",
    [_SCRIPT, _OTHERS, _WITHIN, _SINGLY, _LISTED, _COPIED, _OWN],
    ids=["libraries", "another thread", "by whoever imports", "singly", "threads", "copied names", "one's own"],
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


@pytest.mark.parametrize("many", [1, 2, 5, 100, 997])
def test_percentiles_are_bit_for_bit_those_of_scipy_stats(many: int) -> None:
    ours, values = _Percentile("scipy.stats", "scoreatpercentile"), np.random.default_rng(many).normal(size=many)
    for share in (0, 12.5, 25, 50, 75, 99.9, 100):
        assert ours(values, share) == stats.scoreatpercentile(values, share)
    assert ours(values, 50, limit=(-9, 9)) == stats.scoreatpercentile(values, 50, limit=(-9, 9))
    assert ours(values.tolist(), [25, 75]).tolist() == stats.scoreatpercentile(values.tolist(), [25, 75]).tolist()


def test_tails_of_single_numbers_are_those_of_columns() -> None:
    ours, values = _Distribution("scipy.stats", "norm"), np.random.default_rng(1).normal(size=500) * 4
    for name in ("cdf", "sf", "pdf"):
        wanted = getattr(stats.norm, name)(values).tolist()
        assert [getattr(ours, name)(one) for one in values] == wanted
        assert [getattr(ours, name)(one) for one in values.tolist()] == wanted
