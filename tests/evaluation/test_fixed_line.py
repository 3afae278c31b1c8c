"""Relative poverty under lines that the policy moves, and under lines that it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from staggered_panels import cfps, made

from medfloor.errors import UsageError
from medfloor.evaluation.fixed_line import fixed_line
from medfloor.evaluation.staggered import staggered

CITY: dict[str, Any] = {"income": "income", "start": "start", "unit": "home", "time": "wave", "cluster": "city"}


def panel(gain: float = 0.3) -> pl.DataFrame:
    """Make incomes that the policy raises by a share in the wave of its start and after."""
    return made(cities=40, homes=6).with_columns(
        income=(9 + 0.5 * (pl.col("y") - 0.3 * (pl.col("wave") - 2010) - pl.col("effect")) + 0.04 * (pl.col("wave") - 2010)
                + gain * pl.col("covered")).exp()
    )  # fmt: skip


def test_each_line_is_estimated_as_staggered_does_with_its_poor() -> None:
    homes = panel()
    fit = fixed_line(homes, **CITY, share=0.6)
    line = fit.tables["lines"].filter(pl.col("line") == "base")["line_value"][0]
    poor = homes.with_columns(poor=(pl.col("income") < line).cast(pl.Int64))
    other = staggered(
        poor, outcome="poor", start="start", unit="home", time="wave", cluster="city", estimators=["imputation"]
    )
    for model in ("twfe", "imputation"):
        one = fit.pick("att", model=model, outcome="poor_base")
        two = other.pick("att", model=model)
        assert one.estimate == pytest.approx(two.estimate, rel=1e-12)
        assert one.se == pytest.approx(two.se, rel=1e-12)


def test_the_difference_of_two_lines_is_estimated_in_one_piece() -> None:
    fit = fixed_line(panel(), **CITY, share=0.6)
    for model in ("twfe", "imputation"):
        for name in ("base", "untreated"):
            moving = fit.value("att", model=model, outcome="poor_moving")
            fixed = fit.value("att", model=model, outcome=f"poor_{name}")
            both = fit.value("line_effect", model=model, outcome=f"poor_moving - poor_{name}")
            assert both == pytest.approx(moving - fixed, abs=1e-9)


def test_a_policy_that_raises_incomes_moves_the_line_and_it_is_warned_of() -> None:
    gains = fixed_line(panel(0.5), **CITY, share=0.6)
    assert gains.value("line_adds", outcome="poor_moving - poor_untreated") > 0.02
    assert "fixed_line.line_moves" in {one.key for one in gains.warnings}
    for lang in ("zh", "en"):
        assert gains.text(lang)


def test_in_made_up_cfps_the_line_adds_about_what_the_truth_says() -> None:
    homes, truth = cfps(1, 0.2)
    fit = fixed_line(
        homes, income="income_per_head", start="start", unit="number", time="wave", cluster="city", line_weight="weight"
    )
    real = truth["att"]["relative_poverty"] - truth["att"]["relative_poverty_fixed_line"]
    adds = fit.pick("line_adds", outcome="poor_moving - poor_untreated")
    assert abs(adds.estimate - real) < 2.5 * adds.se
    # Those under the policy and the others stand under one line, so that the estimate is near the effect with a fixed line.
    one = fit.pick("att", model="imputation", outcome="poor_moving")
    assert abs(one.estimate - truth["att"]["relative_poverty_fixed_line"]) < 3 * one.se


def test_lines_are_apart_by_group_and_weighted() -> None:
    half = (pl.col("city").str.tail(2).cast(pl.Int64) // 4) % 2
    homes = panel().with_columns(half=half).with_columns(income=pl.col("income") * (1 + pl.col("half")))
    fit = fixed_line(homes, **CITY, by="half", line_weight="w", base=2012)
    lines = fit.tables["lines"].filter((pl.col("line") == "base") & (pl.col("wave") == "2012"))
    low, high = lines.sort("group")["line_value"].to_list()
    assert high > 1.5 * low
    part = homes.filter((pl.col("wave") == 2012) & (pl.col("half") == 0)).sort("income")
    reached = np.cumsum(part["w"].to_numpy()) / part["w"].sum()
    assert low == pytest.approx(0.5 * part["income"].to_numpy()[np.searchsorted(reached, 0.5)])


@pytest.mark.parametrize(
    ("change", "asked", "code"),
    [
        ({}, {"share": 0.0}, "bad_share"), ({}, {"share": 60}, "bad_share"), ({}, {"base": 2011}, "no_such_wave"),
        ({"start": pl.col("start").fill_null(2018)}, {}, "no_never_treated"),
        ({"income": pl.col("income") - 100_000}, {}, "bad_share"),
    ],
)  # fmt: skip
def test_lines_that_cannot_be_drawn_are_refused(change: dict[str, Any], asked: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as refused:
        fixed_line(panel().with_columns(**change), **(CITY | asked))
    assert refused.value.code == code
