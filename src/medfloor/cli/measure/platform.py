"""Read settlements under the national platform's names where the table has them and not ours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path


def in_our_names(place: str, mapping: Sequence[str], used: Collection[str] = ()) -> tuple[str, ...]:
    """Put a mapping of the platform's names before the user's own, which wins; unchanged for any other table.

    `used` are columns that the user names as they stand in the file; they keep their names.
    """
    from medfloor.intake import scan_table
    from medfloor.intake.mapping import read_mapping
    from medfloor.tables import NATIONAL_SETTLEMENTS

    if Path(place).suffix.lower() not in (".csv", ".parquet") and not Path(place).is_dir():
        return tuple(mapping)
    there = {name.strip().lower(): name for name in scan_table(place).names}
    own = read_mapping(list(mapping))
    if "medfee_sumamt" not in there or "total" in there:
        return tuple(mapping)
    kept = {name.strip().lower() for name in used} | {link.theirs.strip().lower() for link in own.values()}
    links = [
        f"{ours}={there[theirs]}"
        for theirs, ours in NATIONAL_SETTLEMENTS.items()
        if theirs in there and theirs not in kept and ours not in there
    ]
    return (",".join(links), *mapping) if links else tuple(mapping)
