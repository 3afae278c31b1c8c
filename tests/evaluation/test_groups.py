"""Effects by group: apart, in one regression, tested for equality, corrected."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from staggered_panels import made

from medfloor.errors import UsageError
from medfloor.evaluation import two_way_fixed_effects
from medfloor.evaluation.groups import by_group

CITY: dict[str, Any] = {"outcome": "y", "treatment": "covered", "unit": "home", "time": "wave", "cluster": "city"}


def panel(gap: float = 0.0, seed: int = 1) -> pl.DataFrame:
    """Make a panel whose effect is greater by `gap` in half of the cities."""
    homes = made(cities=48, seed=seed, growth=0.0)
    half = (pl.col("city").str.tail(2).cast(pl.Int64) // 4) % 2
    return homes.with_columns(half=half).with_columns(y=pl.col("y") + gap * pl.col("half") * pl.col("covered"))


@pytest.mark.parametrize(("weight", "covariates"), [(None, []), ("w", ["x"])])
def test_a_group_alone_is_the_regression_of_its_rows(weight: str | None, covariates: list[str]) -> None:
    homes = panel()
    fit = by_group(homes, by=["half"], covariates=covariates, weight=weight, **CITY)
    for value in (0, 1):
        part = homes.filter(pl.col("half") == value)
        other = two_way_fixed_effects(part, covariates=covariates, weight=weight, **CITY).pick("covered")
        one = fit.pick("separate", group=f"half={value}")
        assert one.estimate == pytest.approx(other.estimate, rel=1e-9)
        assert one.se == pytest.approx(other.se, rel=1e-9)


def test_groups_that_differ_are_told_apart_and_those_that_do_not_are_not() -> None:
    for gap, key in ((2.0, "groups.differ"), (0.0, "groups.equal")):
        fit = by_group(panel(gap), by=["half"], **CITY)
        assert key in {one.key for one in fit.shows}
        difference = fit.value("interacted", group="half=1") - fit.value("interacted", group="half=0")
        # Errors of the difference are about 0.15.
        assert difference == pytest.approx(gap, abs=0.5)


def test_corrections_are_those_of_their_authors() -> None:
    fit = by_group(panel(1.0), by=["half", "region"], **CITY)
    found = fit.tables["corrected"].sort("p")
    p = found["p"].to_list()
    count = len(p)
    assert count == 4
    assert found["bonferroni"].to_list() == pytest.approx([min(1, count * one) for one in p])
    holm = [max(min(1, (count - k) * p[k]) for k in range(place + 1)) for place in range(count)]
    assert found["holm"].to_list() == pytest.approx(holm)
    hochberg = [min(min(1, count * p[k] / (k + 1)) for k in range(place, count)) for place in range(count)]
    assert found["benjamini_hochberg"].to_list() == pytest.approx(hochberg)


def test_a_group_whose_treatment_does_not_vary_is_left_out_and_counted() -> None:
    homes = panel().with_columns(
        kind=pl.when(pl.col("start").is_null()).then(pl.lit("never")).otherwise(pl.col("half").cast(pl.String))
    )
    homes = homes.with_columns(
        kind=pl.when(pl.col("start").is_null() & (pl.col("half") == 1)).then(pl.lit("1")).otherwise("kind")
    )
    fit = by_group(homes, by=["kind"], **CITY)
    assert [drop.of for drop in fit.drops if drop.reason == "group_without_variation"] == ["kind=never"]


def test_a_group_that_changes_within_units_is_warned_of() -> None:
    homes = panel().with_columns(rich=(pl.col("x") > 0).cast(pl.Int64))
    fit = by_group(homes, by=["rich"], **CITY)
    assert "groups.moving" in {one.key for one in fit.warnings}
    for lang in ("zh", "en"):
        assert fit.text(lang)


@pytest.mark.parametrize(
    ("by", "code"), [([], "no_columns"), (["always"], "one_level"), (["wealth"], "unknown_column")]
)
def test_groups_that_cannot_be_compared_are_refused(by: list[str], code: str) -> None:
    with pytest.raises(UsageError) as refused:
        by_group(panel().with_columns(always=1), by=by, **CITY)
    assert refused.value.code == code
