"""Goodman-Bacon's decomposition: it is an identity."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from staggered_panels import COLUMNS, made

from medfloor.errors import UsageError
from medfloor.evaluation.bacon import bacon
from medfloor.evaluation.staggered import staggered

CITY: dict[str, Any] = {**COLUMNS, "cluster": "city"}


@pytest.mark.parametrize("weight", [None, "w"])
def test_comparisons_add_up_to_two_way_fixed_effects(weight: str | None) -> None:
    panel = made(missing=0)
    fit = bacon(panel, **CITY, weight=weight)
    comparisons = fit.tables["comparisons"]
    whole = staggered(panel, **CITY, weight=weight, estimators=["twfe"]).pick("att")
    assert comparisons["weight"].sum() == pytest.approx(1)
    # An identity: what is left is rounding.
    assert comparisons["contribution"].sum() == pytest.approx(whole.estimate, rel=1e-9)
    assert fit.se == pytest.approx(whole.se, rel=1e-12)
    kinds = fit.tables["kinds"]
    assert kinds["kind"].to_list() == ["treated_never", "earlier_later", "later_earlier"]
    forbidden = kinds.filter(pl.col("kind") == "later_earlier")["weight"].item()
    assert fit.facts["forbidden_share"] == pytest.approx(forbidden)


def test_units_that_miss_a_wave_are_left_out_and_counted() -> None:
    fit = bacon(made(missing=0.05), **CITY)
    assert "not_in_all_waves" in {drop.reason for drop in fit.drops}
    assert fit.facts["rows"] == 6 * fit.facts["units"]  # type: ignore[operator]


def test_forbidden_comparisons_of_a_growing_effect_are_off_and_warned_of() -> None:
    fit = bacon(made(missing=0, growth=2.0), **CITY)
    kinds = dict(fit.tables["kinds"].select("kind", "estimate").rows())
    assert kinds["later_earlier"] < 0 < kinds["treated_never"]
    assert "bacon.forbidden" in {one.key for one in fit.warnings}
    assert "later against earlier" in fit.text("en") and "后实施者对已实施者" in fit.text("zh")


def test_one_start_and_nobody_else_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        bacon(made(missing=0).with_columns(start=pl.lit(2014)), **CITY)
    assert refused.value.code == "not_estimable"
