"""Panels that are made up, for the tests of evaluation."""

from __future__ import annotations

import numpy as np
import polars as pl


def panel(seed: int = 1, units: int = 60, cities: int = 12, missing: float = 0.15) -> pl.DataFrame:
    """Make a panel of four waves, two years apart, in which cities come under a policy at different waves."""
    rng = np.random.default_rng(seed)
    waves = np.array([2012, 2014, 2016, 2018])
    home = np.repeat(np.arange(units), len(waves))
    wave = np.tile(waves, units)
    city = home % cities
    start = np.where(city % 4 == 3, 9999, 2014 + 2 * (city % 4))[...]
    covered = (wave >= start).astype(float)
    lasting = rng.normal(size=units)[home]
    age = rng.normal(40, 10, size=len(home))
    oop = 5 + lasting + 0.1 * (wave - 2012) - 0.5 * covered + 0.02 * age + rng.normal(size=len(home))
    frame = pl.DataFrame(
        {
            "home": [f"h{one}" for one in home], "wave": wave, "city": city, "covered": covered, "age": age,
            "oop": oop, "visits": rng.poisson(np.exp(0.3 * lasting + 0.3 * covered)).astype(float),
            "w": rng.uniform(0.5, 2, len(home)), "sex": np.where(home % 3 == 0, "f", "m"),
        }
    )  # fmt: skip
    return frame.filter(pl.Series(rng.random(len(home)) > missing))
