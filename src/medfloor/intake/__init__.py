"""Turn outside data into our tables, and our tables into files."""

from medfloor.intake.claims import Claims, read_claims
from medfloor.intake.files import TableWriter, check_outputs, read_table, scan_table, write_table

__all__ = [
    "Claims",
    "TableWriter",
    "check_outputs",
    "read_claims",
    "read_table",
    "scan_table",
    "write_table",
]
