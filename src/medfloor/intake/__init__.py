"""Turn outside data into our tables, and our tables into files."""

from medfloor.intake.claims import Claims, Keys, read_claims, read_keys
from medfloor.intake.files import (
    Scan,
    TableWriter,
    check_outputs,
    collect,
    read_table,
    scan_table,
    sink_all,
    write_table,
    yuan_of,
)
from medfloor.intake.households import Households, read_households
from medfloor.intake.microdata import Microdata, read_microdata
from medfloor.intake.people import People, read_people
from medfloor.intake.spells import Spells, read_spells

__all__ = [
    "Claims",
    "Households",
    "Keys",
    "Microdata",
    "People",
    "Scan",
    "Spells",
    "TableWriter",
    "check_outputs",
    "collect",
    "read_claims",
    "read_households",
    "read_keys",
    "read_microdata",
    "read_people",
    "read_spells",
    "read_table",
    "scan_table",
    "sink_all",
    "write_table",
    "yuan_of",
]
