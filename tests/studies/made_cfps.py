"""Make small files in the layout of CFPS for the tests of studies, with what the tests ask to be otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from medfloor.synthetic.cfps import write_cfps

WAVES = (2012, 2014, 2016, 2018)
BESIDE = ("rollout_sim.csv", "county_crosswalk.csv", "truth.json", "truth_households.csv")


def made(folder: Path, *, scale: float = 0.03, seed: int = 3, without: Sequence[str] = ()) -> Path:
    """Write CSV files of the four waves; `without` leaves out files whose names hold one of these words."""
    write_cfps(folder, seed=seed, scale=scale, waves=WAVES, form="csv")
    for file in folder.iterdir():
        if any(word in file.name for word in without):
            file.unlink()
    return folder


def drop_columns(folder: Path, *names: str) -> None:
    """Take columns out of all files, with whatever year stands behind their name."""
    for file in folder.glob("cfps*.csv"):
        frame = pl.read_csv(file, infer_schema_length=None)
        gone = [one for one in frame.columns if re.sub(r"\d+n?$", "", one) in names or one in names]
        frame.drop(gone).write_csv(file)
