"""Save what a simulation, an optimisation or a household found: one file, in the format of its ending."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from medfloor.errors import UsageError
from medfloor.intake.files import write_bytes, write_table
from medfloor.measures.result import Result
from medfloor.reports.family import family_sheets
from medfloor.reports.packages import optimum_sheets
from medfloor.reports.plain import json_of
from medfloor.reports.simulation import simulation_sheets
from medfloor.reports.workbook import Sheet, result_sheet, words_of, words_sheet, write_workbook
from medfloor.simulation.choice import Optimum
from medfloor.simulation.compare import Simulation
from medfloor.simulation.household import HouseholdCurve

Record: TypeAlias = "Simulation | Optimum | HouseholdCurve | Result"

FORMATS = (".xlsx", ".json", ".parquet", ".csv")
"""What `save` writes, by the ending of the file's name."""


def save(record: Record, path: str | os.PathLike[str], lang: str = "en") -> None:
    """Save a record of a result into one file, whole or not at all, in the format of the file's ending.

    .xlsx: a workbook with a sheet a table and one of words, labels in `lang`, numbers as numbers, the same bytes for
    the same record. .json: everything as one object. .parquet and .csv: the record's one table as programs read it (of
    a simulation its protection, of an optimisation every package tried); `write_simulation` and `write_optimum` write
    all tables into a folder.

    Raises UsageError unknown_format for another ending, OutputError cannot_write.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise UsageError("unknown_format", f"{os.fspath(path)} ends in none of {', '.join(FORMATS)}. Rename it.")
    if ending == ".xlsx":
        write_workbook(sheets_of(record, lang), path)
    elif ending == ".json":
        write_bytes(json_of(record.to_dict(lang)), path)
    elif isinstance(record, HouseholdCurve):
        write_table(record.rows, path, money_columns=[])
    elif isinstance(record, Optimum):
        write_table(record.tried, path, money_columns=[])
    else:
        result = record.protection if isinstance(record, Simulation) else record
        write_table(result.to_frame(lang), path, money_columns=[])


def sheets_of(record: Record, lang: str = "en") -> list[Sheet]:
    """Lay a record out as the sheets of a workbook.

    >>> from medfloor.simulation import Family, household
    >>> [one.name for one in sheets_of(household(Family(), points=3, high=2000.0), "zh")]
    ['各金额', '悬崖', '说明']
    """
    if isinstance(record, Simulation):
        return simulation_sheets(record, lang)
    if isinstance(record, Optimum):
        return optimum_sheets(record, lang)
    if isinstance(record, HouseholdCurve):
        return family_sheets(record, lang)
    return [result_sheet(record, lang), words_sheet([words_of(record, lang)], lang)]
