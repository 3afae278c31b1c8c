"""The distribution of a pool's payments: against another package, against simulation, and what must always hold."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.fund.losses import empirical, lognormal, losses, risk, ruin_by_size, simulate_losses

STAY = lognormal(7674, 1.8)

# `aggregate` 0.30.1, frequency x lognormal(7674, cv 1.8), log2 18 to 22, `valid` NOT_UNREASONABLE for each of these: the
# probability to exceed 1.02, 1.05 and 1.2 of the mean. (members, own shock) at 0.207 claims a member.
AGGREGATE = {
    (100_000, 0.0): (0.08240854646246298, 0.0003720669277880173, 5.877448527868978e-10),
    (1_000, 0.05): (0.4168442580701266, 0.3423818316082373, 0.09637991365582088),
    (10_000, 0.05): (0.3747829310331926, 0.22551617449110462, 0.0026426395610886777),
    (100_000, 0.05): (0.3449814655986855, 0.16776807929992654, 0.00013736881489667674),
}


@pytest.mark.parametrize(("case", "expected"), AGGREGATE.items(), ids=str)
def test_probabilities_are_those_of_the_package_aggregate(case: tuple[int, float], expected: tuple[float, ...]) -> None:
    made = losses([risk(case[0], 0.207, STAY, own=case[1])])
    found = [made.exceeds(by * made.mean) for by in (1.02, 1.05, 1.2)]
    # aggregate rounds claims to a grid of 20 to 80 yuan; that moves its probabilities in the fifth digit.
    assert found == pytest.approx(expected, abs=3e-5)


_ASK = """
import json, sys
from aggregate import build
found = []
for members, own, log2 in json.loads(sys.argv[1]):
    spread = f"mixed gamma {own}" if own else "poisson"
    one = build(f"agg A{members} {members * 0.207:g} claims sev lognorm 7674 cv 1.8 {spread}", log2=log2)
    found.append([str(one.valid), *(float(one.sf(by * members * 0.207 * 7674)) for by in (1.02, 1.05, 1.2))])
print(json.dumps(found))
"""


def test_probabilities_are_those_of_aggregate_as_it_is_installed(tmp_path: Path) -> None:
    asked = [(1_000, 0.05, 18), (10_000, 0.05, 20), (100_000, 0.0, 22)]
    # In a process and a home of its own: it makes folders where it is at home, and warns on import.
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ASK, json.dumps(asked)],
        env={**os.environ, **home}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for (members, own, _), (valid, *theirs) in zip(asked, json.loads(done.stdout.splitlines()[-1]), strict=True):
        # It says of an answer whether it may be relied on; without that it proves nothing.
        assert valid == "Validation.NOT_UNREASONABLE"
        made = losses([risk(members, 0.207, STAY, own=own)])
        # As above for its grid; and the kept answers are those of this version.
        assert [made.exceeds(by * made.mean) for by in (1.02, 1.05, 1.2)] == pytest.approx(theirs, abs=3e-5)
        assert theirs == pytest.approx(list(AGGREGATE[members, own]), abs=3e-5)


@pytest.mark.parametrize(("members", "draws"), [(300, 60_000), (1_000, 40_000), (10_000, 4_000)])
def test_ruin_by_size_is_what_drawing_every_claim_of_every_year_gives(members: int, draws: int) -> None:
    # Nothing of ours draws here: numbers of claims by Poisson, each claim a lognormal, the common shock a gamma.
    rng = np.random.default_rng(11)
    sigma = math.sqrt(math.log1p(1.8**2))
    claims = rng.poisson(members * 0.207, draws)
    sizes = np.exp(math.log(7674) - sigma**2 / 2 + sigma * rng.standard_normal(claims.sum()))
    whole = np.concatenate([[0.0], np.cumsum(sizes)])
    ends = np.cumsum(claims)
    paid = (whole[ends] - whole[ends - claims]) / (members * 0.207 * 7674)
    shared = paid * rng.gamma(0.05**-2, 0.05**2, draws)
    _, over = ruin_by_size([members], 0.207, STAY, lines=(0.02, 0.05), common=0.05)
    for row, drawn in enumerate((paid, shared)):
        for place, line in enumerate((0.02, 0.05)):
            seen = float((drawn > 1 + line).mean())
            # Four standard errors of that many draws.
            assert over[row, 0, place] == pytest.approx(seen, abs=4 * math.sqrt(seen * (1 - seen) / draws))


@pytest.mark.parametrize(
    ("members", "two", "five"),
    [(1_000, 0.413, 0.335), (10_000, 0.320, 0.133), (100_000, 0.080, 0.0003), (400_000, 0.0026, 0.0)],
)
def test_the_table_of_pool_sizes_is_reproduced(members: int, two: float, five: float) -> None:
    _, over = ruin_by_size([members], 0.207, STAY, lines=(0.02, 0.05), common=0.05)
    # The earlier table was drawn at random and rounded to three digits; half a point covers its own error.
    assert over[0, 0] == pytest.approx([two, five], abs=0.005)


def test_a_common_shock_stays_however_large_the_pool() -> None:
    _, over = ruin_by_size([400_000, 4_000_000], 0.207, STAY, lines=(0.02, 0.05), common=0.05)
    # As above: rounded to three digits; a county's random claims still add a tenth of a point.
    assert over[1].tolist() == [pytest.approx([0.340, 0.159], abs=0.003)] * 2


def test_four_million_members_with_a_common_shock_are_within_a_fifth_of_a_point_of_simulation() -> None:
    city = risk(4_000_000, 0.207, STAY)
    made = losses([city], common=0.05)
    drawn = simulate_losses([city], draws=200_000, rng=np.random.default_rng(1), common=0.05)
    for by in (1.02, 1.05):
        # The bar is 0.2 points; the standard error of 200,000 draws is 0.1, and the seed is fixed.
        assert abs(made.exceeds(by * made.mean) - float((drawn > by * made.mean).mean())) < 0.002


@pytest.mark.parametrize(
    "severity", [lognormal(500, 3), lognormal(7674, 1.8, tail_share=0.01), empirical([10, 400, 9_000], [5, 3, 1])]
)
@pytest.mark.parametrize(("members", "own"), [(60, 0.0), (2_000, 0.1)])
def test_claim_by_claim_simulation_gives_the_same(severity: object, members: int, own: float) -> None:
    one = risk(members, 0.2, severity, own=own)  # type: ignore[arg-type]
    made = losses([one], common=0.1, tolerance=1e-4)
    drawn = simulate_losses([one], draws=20_000, rng=np.random.default_rng(2), common=0.1)
    # Four standard errors of 20,000 draws; amounts lie beside sizes of the table, where the distribution jumps.
    for by in (0.503, 1.007, 1.51):
        assert made.exceeds(by * made.mean) == pytest.approx(float((drawn > by * made.mean).mean()), abs=0.0145)


@settings(max_examples=8, deadline=None)
@given(st.integers(2_000, 200_000), st.floats(0.05, 2), st.floats(0.2, 3), st.floats(0, 0.2), st.floats(0, 0.2))
def test_a_distribution_rises_from_nought_to_one_with_the_mean_of_the_claims(
    members: int, frequency: float, cv: float, own: float, common: float
) -> None:
    made = losses([risk(members, frequency, lognormal(1000, cv), own=own)], common=common, tolerance=1e-4)
    assert made.mean == pytest.approx(members * frequency * 1000)
    amounts = np.linspace(0.1, 3, 5) * made.mean
    chances = np.array([made.exceeds(one) for one in amounts])
    assert ((chances >= 0) & (chances <= 1)).all() and (np.diff(chances) <= 1e-12).all()
    assert made.error <= 1e-4


def test_two_halves_of_a_pool_are_the_whole() -> None:
    whole = losses([risk(20_000, 0.2, STAY)])
    halves = losses([risk(10_000, 0.2, STAY), risk(10_000, 0.2, STAY)])
    # Both are known to a hundred thousandth.
    assert halves.exceeds(1.03 * whole.mean) == pytest.approx(whole.exceeds(1.03 * whole.mean), abs=2e-5)


def test_a_grid_that_is_too_coarse_is_refused_and_not_answered_wrongly() -> None:
    with pytest.raises(UsageError, match="leave terms out") as said:
        losses([risk(4_000_000, 0.207, STAY)], terms=16)
    assert said.value.code == "coarse_grid"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: lognormal(-1, 1), "bad_severity"),
        (lambda: lognormal(1, 0), "bad_severity"),
        (lambda: lognormal(1, 1, tail_share=0.9), "bad_severity"),
        (lambda: lognormal(1, 1, tail_share=0.1, alpha=2.0), "bad_severity"),
        (lambda: risk(0, 1, STAY), "bad_pool"),
        (lambda: risk(1.5, 1, STAY), "bad_pool"),
        (lambda: risk(10, -1, STAY), "bad_pool"),
        (lambda: risk(10, 1, STAY, own=2), "bad_shock"),
        (lambda: losses([]), "no_places"),
        (lambda: losses([risk(10, 1, STAY)], tolerance=1), "bad_tolerance"),
        (lambda: losses([risk(10, 1, STAY)], terms=1), "bad_tolerance"),
        (lambda: simulate_losses([], draws=10, rng=np.random.default_rng(1)), "no_places"),
        (lambda: simulate_losses([risk(10, 1, STAY)], draws=1, rng=np.random.default_rng(1)), "bad_draws"),
        (lambda: ruin_by_size([10], 1, STAY, lines=()), "bad_lines"),
    ],
)
def test_what_cannot_be_is_refused(call: object, code: str) -> None:
    with pytest.raises(UsageError) as said:
        call()  # type: ignore[operator]
    assert said.value.code == code


def test_claims_that_are_no_sizes_are_refused() -> None:
    for values in ([], [0.0], [-1.0], [float("nan")]):
        with pytest.raises(InputError):
            empirical(values)


def test_many_sizes_are_joined_and_keep_their_mean() -> None:
    sizes = np.random.default_rng(3).lognormal(8, 1, 60_000)
    made = empirical(sizes)
    assert len(made.values) <= 20_000
    assert made.mean() == pytest.approx(sizes.mean())
