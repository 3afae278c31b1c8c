"""Write the made-up files of panel surveys: what may be asked for, and each file in the form of a package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from medfloor.errors import OutputError, UsageError

Form = Literal["dta", "sav", "xpt", "csv", "parquet"]

MOST = 3.0
"""The largest scale."""

Labels = dict[str, dict[int | float, str]]


def check_asked(
    survey: str, *, seed: int, scale: float, waves: Sequence[int], known: Sequence[int], tenth: str
) -> None:
    """Refuse a seed, scale or wave that there is not; `tenth` says how many households a scale of 0.1 is.

    Raises UsageError bad_seed, bad_scale, no_such_wave.
    """
    if not 0 <= seed < 1 << 63:
        raise UsageError("bad_seed", f"seed {seed}: give a whole number from 0")
    if not 0 < scale <= MOST:
        raise UsageError(
            "bad_scale", f"a scale of {scale} is not above 0 and at most {MOST:g}; 0.1 is {tenth} households"
        )
    unknown = [wave for wave in waves if wave not in known]
    if unknown:
        raise UsageError("no_such_wave", f"{survey} has no wave {unknown[0]}; it has {', '.join(map(str, known))}")


def write_file(frame: pl.DataFrame, path: Path, form: Form, labels: Labels, *, says: str) -> None:
    """Write one file in a form; Stata's and SPSS's files get the words of values, and say what they are.

    Raises OutputError cannot_write.
    """
    import pyreadstat

    try:
        if form == "csv":
            frame.write_csv(path)
        elif form == "parquet":
            frame.write_parquet(path)
        elif form == "dta":
            pyreadstat.write_dta(frame, str(path), version=14, file_label=says, variable_value_labels=labels)
        elif form == "sav":
            pyreadstat.write_sav(frame, str(path), file_label=says, variable_value_labels=labels)
        else:
            pyreadstat.write_xport(frame, str(path), file_format_version=8)
    except OSError as error:
        raise OutputError(
            "cannot_write", f"{path} could not be written: {error.strerror}. Name another folder."
        ) from None
