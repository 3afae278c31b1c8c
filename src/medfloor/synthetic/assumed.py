"""Read the numbers by which made-up years move on, each with unit, source and trust (`dynamics.toml`)."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medfloor.errors import InputError

_FILE = Path(__file__).with_name("dynamics.toml")


@dataclass(frozen=True, slots=True)
class Assumed:
    """Be the numbers of `dynamics.toml` by name and part ("loss.severe"), and how far each can be trusted."""

    values: Mapping[str, float]
    trust: Mapping[str, str]
    notes: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def share(self, name: str) -> float:
        """Give a number in per cent as a share of one."""
        return self.values[name] / 100

    def but(self, changes: Mapping[str, float]) -> Assumed:
        """Replace numbers, as for a sensitivity run; what is replaced is trusted as an assumption.

        Raises InputError unknown_figure for a name that there is not.

        >>> shipped_numbers().but({"work_lost.chance": 0}).trust["work_lost.chance"]
        'assumption'
        """
        for name in changes:
            if name not in self.values:
                raise InputError("unknown_figure", f"dynamics.toml has no number {name!r}: {', '.join(self.values)}")
        trust = {**self.trust, **dict.fromkeys(changes, "assumption")}
        return Assumed({**self.values, **changes}, trust, self.notes)


@functools.cache
def shipped_numbers() -> Assumed:
    """Give the numbers that are shipped.

    >>> shipped_numbers()["labour_share"]
    73.2
    """
    given = tomllib.loads(_FILE.read_text(encoding="utf-8"))["numbers"]
    values, trust, notes = {}, {}, {}
    for name, one in given.items():
        for part, value in one.get("values", {"": one.get("value")}).items():
            key = f"{name}.{part}" if part else name
            values[key], trust[key], notes[key] = float(value), one["trust"], one.get("note", "")
    return Assumed(values, trust, notes)
