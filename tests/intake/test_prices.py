"""Prices of one year, and poverty lines by wave."""

from __future__ import annotations

import tomllib
from pathlib import Path

import polars as pl
import pytest

import medfloor.intake.prices as prices
from medfloor.errors import UsageError
from medfloor.intake.prices import poverty_lines, price_level


def test_prices_there_and_back_are_one() -> None:
    for area in ("all", "urban", "rural"):
        there = price_level(2022, base=2010, area=area).value  # type: ignore[arg-type]
        back = price_level(2010, base=2022, area=area).value  # type: ignore[arg-type]
        # A product of twelve doubles and its inverse: a few units in the last place.
        assert there * back == pytest.approx(1, rel=1e-14)


def test_prices_chain_over_a_year_between() -> None:
    whole = price_level(2018, base=2010).value
    assert whole == pytest.approx(price_level(2014, base=2010).value * price_level(2018, base=2014).value, rel=1e-14)


def test_the_same_year_needs_no_index() -> None:
    level = price_level(1990, base=1990)
    assert (level.value, level.trust) == (1.0, "exact")


def test_a_level_is_as_trusted_as_its_weakest_year() -> None:
    assert price_level(2020, base=2012, area="rural").trust == "secondary"
    assert price_level(2020, base=2010, area="rural").trust == "unverified"


def test_an_index_of_ones_own_goes_before_the_shipped() -> None:
    level = price_level(2012, base=2010, index={2011: 110, 2012: 100})
    assert (round(level.value, 12), level.trust) == (1.1, "own")


def test_a_year_without_a_number_is_misuse() -> None:
    with pytest.raises(UsageError, match="no number for 2023") as caught:
        price_level(2023, base=2020)
    assert caught.value.code == "no_price_index"


def test_every_index_number_has_a_source_and_a_mark() -> None:
    told = tomllib.loads((Path(prices.__file__).parent / "prices.toml").read_text(encoding="utf-8"))
    for index in told["index"]:
        assert index["unit"]
        for value in index["values"]:
            assert value["source"] in told["sources"]
            assert value["trust"] in ("official", "secondary", "unverified")
            assert (value["source"] == "none") == (value["trust"] == "unverified")


PANEL = pl.DataFrame({
    "wave": ["2012"] * 4, "income_per_head": [1000.0, 2000.0, 4000.0, None], "size": [2.0, 1.0, 1.0, 9.0],
    "weight": [1.0, 1.0, 2.0, 9.0], "residence": ["rural", "rural", "urban", "urban"],
})  # fmt: skip


def test_a_relative_line_is_a_share_of_the_weighted_median_of_people() -> None:
    lines = poverty_lines(PANEL, shares=[0.5])
    # People: 2 with 1000, 1 with 2000, 2 with 4000; the middle one has 2000.
    assert lines.rows() == [
        ("2012", "all", "relative", 0.5, 1000.0, 3, "estimated"),
        ("2012", "urban", "relative", 0.5, 2000.0, 1, "estimated"),
        ("2012", "rural", "relative", 0.5, 500.0, 2, "estimated"),
    ]


def test_an_absolute_line_rises_with_rural_prices_unless_the_panel_is_deflated() -> None:
    nominal = poverty_lines(PANEL, absolute=2300.0, shares=[])
    assert nominal["value"].to_list() == pytest.approx([2300 * 1.058 * 1.025], rel=1e-14)
    assert poverty_lines(PANEL, absolute=2300.0, shares=[], prices=2010)["value"].to_list() == [2300.0]
