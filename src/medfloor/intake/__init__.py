"""Turn outside data into our tables, and our tables into files."""

from medfloor.intake.cfps import read_cfps
from medfloor.intake.charls import read_charls
from medfloor.intake.claims import Claims, Keys, read_claims, read_keys
from medfloor.intake.files import (
    Scan,
    TableWriter,
    check_outputs,
    collect,
    read_table,
    scan_table,
    sink_all,
    sum_fen,
    write_table,
    yuan_of,
)
from medfloor.intake.findings import Findings, Survey
from medfloor.intake.folders import (
    FolderReplacement,
    check_folder,
    check_written,
    means_folder,
    parquet_files,
    partition_keys,
    partition_path,
)
from medfloor.intake.households import Households, read_households
from medfloor.intake.microdata import REFUSED, Microdata, Reading, read_microdata, reading_of
from medfloor.intake.people import People, PeopleKeys, people_keys, read_people
from medfloor.intake.pieces import HeldPieces, Pieces, batches, number_of, writing
from medfloor.intake.prices import poverty_lines, price_level
from medfloor.intake.spells import Spells, read_spells, spells_keys
from medfloor.intake.surveys import read_survey

__all__ = [
    "REFUSED",
    "Claims",
    "Findings",
    "FolderReplacement",
    "HeldPieces",
    "Households",
    "Keys",
    "Microdata",
    "People",
    "PeopleKeys",
    "Pieces",
    "Reading",
    "Scan",
    "Spells",
    "Survey",
    "TableWriter",
    "batches",
    "check_folder",
    "check_outputs",
    "check_written",
    "collect",
    "means_folder",
    "number_of",
    "parquet_files",
    "partition_keys",
    "partition_path",
    "people_keys",
    "poverty_lines",
    "price_level",
    "read_cfps",
    "read_charls",
    "read_claims",
    "read_households",
    "read_keys",
    "read_microdata",
    "read_people",
    "read_spells",
    "read_survey",
    "read_table",
    "reading_of",
    "scan_table",
    "sink_all",
    "spells_keys",
    "sum_fen",
    "write_table",
    "writing",
    "yuan_of",
]
