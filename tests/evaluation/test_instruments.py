"""Instrumental variables: against linearmodels, against tests done by hand, and against what must hold."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from evaluation_cases import table
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import UsageError
from medfloor.evaluation import instrument, leave_one_out

SMOKE = {"outcome": "y", "treatment": "lp", "covariates": ["li"]}
# Both libraries solve the same small systems.
RTOL = 1e-9


def smoke_1995() -> pl.DataFrame:
    return table("12_cigarettes_iv").filter(pl.col("year") == 1995)


def test_estimates_and_tests_are_those_of_linearmodels() -> None:
    from linearmodels.iv import IV2SLS

    found = instrument(smoke_1995(), **SMOKE, instruments=["tdiff", "rtax"], errors="iid")
    frame = smoke_1995().to_pandas().assign(one=1.0)
    other = IV2SLS(frame["y"], frame[["one", "li"]], frame["lp"], frame[["tdiff", "rtax"]]).fit(
        cov_type="unadjusted", debiased=True
    )
    for term in ("lp", "li"):
        one = found.pick(term, model="iv")
        assert (one.estimate, one.se) == pytest.approx((other.params[term], other.std_errors[term]), rel=RTOL)
    facts = found.facts
    assert facts["sargan"] == pytest.approx(other.sargan.stat, rel=RTOL)
    assert facts["sargan_p"] == pytest.approx(other.sargan.pval, rel=RTOL)
    assert facts["wu_hausman"] == pytest.approx(other.wu_hausman().stat, rel=1e-8)
    assert facts["wu_hausman_p"] == pytest.approx(other.wu_hausman().pval, rel=1e-8)
    first = other.first_stage.diagnostics.loc["lp"]
    assert facts["f_first_stage"] == pytest.approx(first["f.stat"], rel=RTOL)
    # The effective F with equal variances is the plain F.
    assert facts["f_effective"] == pytest.approx(first["f.stat"], rel=1e-8)


def test_published_diagnostics_of_the_cigarette_panel() -> None:
    # Stock and Watson's cross-section of 1995, as printed by AER's summary(ivreg, diagnostics = TRUE).
    facts = instrument(smoke_1995(), **SMOKE, instruments=["tdiff", "rtax"], errors="iid").facts
    assert round(float(facts["f_first_stage"]), 1) == 244.7
    assert round(float(facts["wu_hausman"]), 3) == 3.068
    assert round(float(facts["sargan"]), 3) == 0.333


def test_hansens_j_is_that_of_two_step_gmm() -> None:
    from linearmodels.iv import IVGMM

    found = instrument(smoke_1995(), **SMOKE, instruments=["tdiff", "rtax"], errors="hc1")
    frame = smoke_1995().to_pandas().assign(one=1.0)
    other = IVGMM(frame["y"], frame[["one", "li"]], frame["lp"], frame[["tdiff", "rtax"]], weight_type="robust").fit()
    assert found.facts["hansen"] == pytest.approx(other.j_stat.stat, rel=1e-7)


def test_fixed_effects_are_a_column_for_each_level() -> None:
    from linearmodels.iv import IV2SLS

    both = table("12_cigarettes_iv")
    found = instrument(
        both, **SMOKE, instruments=["tdiff", "rtax"], unit="state", time="year", cluster="state", small_sample="none"
    )
    frame = both.to_pandas().assign(one=1.0)
    for level in sorted(frame["state"].unique())[1:]:
        frame[f"s_{level}"] = (frame["state"] == level).astype(float)
    frame["later"] = (frame["year"] == 1995).astype(float)
    levels = [name for name in frame if name.startswith("s_")]
    other = IV2SLS(frame["y"], frame[["li", "one", "later", *levels]], frame["lp"], frame[["tdiff", "rtax"]]).fit(
        cov_type="clustered", clusters=frame["state"].astype("category").cat.codes, debiased=False
    )
    for term in ("lp", "li"):
        one = found.pick(term, model="iv")
        assert (one.estimate, one.se) == pytest.approx((other.params[term], other.std_errors[term]), rel=1e-8)


def test_anderson_rubin_is_a_regression_of_what_the_value_leaves() -> None:
    from medfloor.evaluation import two_way_fixed_effects

    frame = smoke_1995()
    found = instrument(frame, **SMOKE, instruments="tdiff", errors="hc1")
    low, high = (float(one) for one in str(found.facts["anderson_rubin_interval"]).strip("[]").split(", "))
    for edge in (low, high):
        rest = frame.with_columns(rest=pl.col("y") - edge * pl.col("lp"))
        test = two_way_fixed_effects(rest, outcome="rest", treatment="tdiff", covariates=["li"], errors="hc1")
        # The set's ends are printed to four decimals.
        assert test.pick("tdiff").p == pytest.approx(0.05, abs=1e-3)
    reduced = found.pick("tdiff", model="reduced_form")
    assert found.facts["anderson_rubin_p"] == pytest.approx(reduced.p, rel=1e-9)


def weak(seed: int, strength: float, rows: int = 200) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    z, hidden, noise, other = rng.normal(size=(4, rows))
    d = strength * z + hidden + other
    return pl.DataFrame({"y": d + 2 * hidden + noise, "d": d, "z": z, "w": rng.uniform(0.5, 2, rows)})


def test_a_weak_instrument_is_said_and_its_set_is_open() -> None:
    found = instrument(weak(4, 0.02), outcome="y", treatment="d", instruments="z")
    assert found.warnings[0].key == "instrument.weak"
    assert "inf" in str(found.facts["anderson_rubin_interval"])
    strong = instrument(weak(4, 2.0), outcome="y", treatment="d", instruments="z")
    assert not strong.warnings
    assert "inf" not in str(strong.facts["anderson_rubin_interval"])


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.sampled_from([1e-3, 1.0, 1e5]), st.booleans())
def test_scaling_and_order_do_not_matter(seed: int, by: float, weighted: bool) -> None:
    frame = weak(seed, 1.0, 60)
    asked = {"outcome": "y", "treatment": "d", "instruments": "z", "weight": "w" if weighted else None}
    whole = instrument(frame, **asked)  # type: ignore[arg-type]
    again = instrument(frame.reverse().with_columns(pl.col("d") * by, pl.col("z") / by), **asked)  # type: ignore[arg-type]
    first, second = whole.pick("d", model="iv"), again.pick("d", model="iv")
    assert (second.estimate * by, second.se * by) == pytest.approx((first.estimate, first.se), rel=1e-8)
    for name in ("f_effective", "wu_hausman_p", "anderson_rubin_p"):
        assert again.facts[name] == pytest.approx(whole.facts[name], rel=1e-6)


def test_weights_count_as_copies_of_rows() -> None:
    frame = weak(1, 1.0, 80).with_columns(w=pl.int_range(80) % 3 + 1, z2=pl.col("z") + pl.Series(np.sin(np.arange(80))))
    copies = frame.select(pl.all().repeat_by("w").explode())
    asked = {"outcome": "y", "treatment": "d", "instruments": ["z", "z2"], "errors": "iid", "small_sample": "none"}
    weighted, copied = instrument(frame, **asked, weight="w"), instrument(copies, **asked)  # type: ignore[arg-type]
    assert weighted.rows["estimate"].to_list() == pytest.approx(copied.rows["estimate"].to_list(), rel=1e-9)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"instruments": ()}, "no_instruments"),
        ({"instruments": "one"}, "no_first_stage"),
        ({"instruments": "fixed", "effects": ["home"]}, "no_first_stage"),
        ({"instruments": "d2"}, "instrument_is_treatment"),
        ({"outcome": "one"}, "no_variation"),
        ({"errors": "cr2", "cluster": "home"}, "bad_errors"),
        ({"treatment": "one"}, "no_variation"),
        ({"instruments": "nowhere"}, "unknown_column"),
    ],
)
def test_misuse_is_said(changes: dict[str, object], code: str) -> None:
    frame = weak(1, 1.0).with_columns(one=pl.lit(1.0), home=pl.int_range(200) // 4, fixed=pl.int_range(200) // 4 * 1.5)
    frame = frame.with_columns(d2=2 * pl.col("d"))
    with pytest.raises(UsageError) as error:
        instrument(frame, **{"outcome": "y", "treatment": "d", "instruments": "z"} | changes)  # type: ignore[arg-type]
    assert error.value.code == code


def test_others_are_those_of_the_same_place_and_wave_without_oneself() -> None:
    frame = pl.DataFrame(
        {
            "village": ["a", "a", "a", "a", "b", "b", None],
            "wave": [1, 1, 1, 2, 1, 1, 1],
            "home": [1, 1, 2, 1, 3, 4, 5],
            "covered": [1.0, 0.0, 1.0, 1.0, None, 0.0, 1.0],
            "w": [1.0, 1.0, 3.0, 1.0, 1.0, 1.0, 1.0],
        }
    )
    alone = leave_one_out(frame, column="covered", within=["village", "wave"])
    assert alone.to_list() == [0.5, 1.0, 0.5, None, 0.0, None, None]
    home = leave_one_out(frame, column="covered", within=["village", "wave"], unit="home")
    assert home.to_list() == [1.0, 1.0, 0.5, None, 0.0, None, None]
    weighted = leave_one_out(frame, column="covered", within=["village", "wave"], weight="w")
    assert weighted.to_list()[:3] == [0.75, 1.0, 0.5]


def test_others_must_be_numbers() -> None:
    with pytest.raises(UsageError, match="not numbers"):
        leave_one_out(pl.DataFrame({"v": ["a"], "c": ["x"]}), column="c", within="v")
