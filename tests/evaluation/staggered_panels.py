"""Panels with staggered adoption for the tests: the made-up one of the examples, and made-up CFPS with known truth."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from medfloor.synthetic.cfps_world import make_world, truth_of

ROOT = Path(__file__).resolve().parents[2]
COLUMNS: dict[str, Any] = {"outcome": "y", "start": "start", "unit": "home", "time": "wave"}


def made(seed: int = 1, cities: int = 30, homes: int = 3, missing: float = 0.1, growth: float = 0.5) -> pl.DataFrame:
    """Make up a panel of six waves: cities begin at 2014, 2016, 2018 or never, and the effect grows by wave."""
    rng = np.random.default_rng(seed)
    waves = np.array([2010, 2012, 2014, 2016, 2018, 2020])
    units = cities * homes
    home, wave = np.repeat(np.arange(units), len(waves)), np.tile(waves, units)
    city = home % cities
    start = np.array([2014.0, 2016.0, 2018.0, np.nan])[city % 4]
    since = (wave - start) / 2
    effect = np.where(since >= 0, 1 + growth * np.nan_to_num(since), 0.0)
    y = rng.normal(size=units)[home] + 0.3 * (wave - 2010) + effect + rng.normal(0, 0.7, len(home))
    frame = pl.DataFrame({
        "home": [f"h{one:03d}" for one in home], "city": [f"c{one:02d}" for one in city],
        "region": city % 2, "wave": wave, "start": start, "covered": (since >= 0).astype(int),
        "y": y, "x": rng.normal(size=len(home)), "w": rng.uniform(0.5, 2, units)[home], "effect": effect,
    }).with_columns(pl.col("start").fill_nan(None))  # fmt: skip
    return frame.filter(pl.Series(rng.random(len(home)) >= missing))


@cache
def cfps(seed: int, scale: float = 0.1) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Make up households of CFPS, and the truth about them."""
    world = make_world(seed=seed, scale=scale)
    waves = [frame.with_columns(wave=pl.lit(year)) for year, frame in world.households.items()]
    homes = pl.concat(waves, how="diagonal").join(world.counties.select("county", "city"), on="county")
    return homes.with_columns(pl.col("log_income").fill_nan(None)), truth_of(world)
