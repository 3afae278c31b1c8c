"""Match the columns of a file with those of the contract, in either spelling.

Ours stands left and the national platform's right in the tables of `medfloor.tables`; a file may mix them. Letter case
and blanks around a name do not count, because exports from databases write names in capitals.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from medfloor.errors import InputError
from medfloor.intake.files import Scan
from medfloor.tables import Column, Table


@dataclass(frozen=True, slots=True)
class Layout:
    """Be where each column of the contract stands in a file.

    `given` maps our name to the name as it came; `carried` are the columns that the contract does not know; `national`
    says whether any column was found under the platform's spelling.
    """

    table: Table
    given: dict[str, str]
    carried: tuple[str, ...]
    national: bool

    def has(self, name: str) -> bool:
        """Say whether the file has a column of the contract, by our name."""
        return name in self.given

    def label(self, name: str) -> str:
        """Name a column for a message: as it came, with our name behind where they differ."""
        given = self.given.get(name, name)
        return given if given == name else f"{given} ({name})"

    def is_national(self, name: str) -> bool:
        """Say whether a column came under the platform's spelling."""
        return name in self.given and _plain(self.given[name]) == self.table.column(name).national


def match_columns(scan: Scan, table: Table, reserved: Iterable[str] = ()) -> Layout:
    """Find the columns of the contract in a file.

    `reserved` are names that carried columns may not have, because a frame inside the program uses them. Raises
    InputError: missing_column, ambiguous_column, reserved_column.
    """
    spellings = {_plain(name): column for column in table.columns for name in _spellings(column)}
    given: dict[str, str] = {}
    carried: list[str] = []
    national = False
    for name in scan.names:
        column = spellings.get(_plain(name))
        if column is None:
            carried.append(name)
            continue
        if column.name in given:
            raise InputError(
                "ambiguous_column",
                f"{scan.place} has {column.name} twice, as {given[column.name]} and as {name}. Keep one of them.",
            )
        given[column.name] = name
        national |= _plain(name) == column.national != column.name
    missing = [column for column in table.columns if column.required and column.name not in given]
    if missing:
        raise InputError("missing_column", _missing_words(scan, missing, carried))
    taken = sorted(set(reserved) & set(carried))
    if taken:
        raise InputError("reserved_column", f"{scan.place} has a column {taken[0]}, a name used inside. Rename it.")
    return Layout(table, given, tuple(carried), national)


def _plain(name: str) -> str:
    return name.strip().lower()


def _spellings(column: Column) -> tuple[str, ...]:
    return (column.name, column.national) if column.national else (column.name,)


def _missing_words(scan: Scan, missing: list[Column], unmatched: list[str]) -> str:
    sentences = []
    for column in missing:
        words = f"{scan.place} has no column {column.name}"
        if column.national:
            words += f" (national spelling {column.national})"
        plain = {_plain(name): name for name in unmatched}
        near = [match for name in _spellings(column) for match in difflib.get_close_matches(name, plain, 1, 0.5)]
        if near:
            words += f"; the nearest column present is {plain[near[0]]}"
        sentences.append(words + ".")
    if not any("nearest" in sentence for sentence in sentences):
        present = ", ".join(scan.names[:20]) or "none"
        sentences.append(f"Columns present: {present}{', ...' if len(scan.names) > 20 else ''}.")
    return " ".join(sentences)
