"""Say which cliffs a law opens, closes or changes against another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from medfloor.errors import MissingValueError, PolicyError
from medfloor.settlement.cliffs import Cliff, ranks_of, search_cliffs
from medfloor.simulation.scenario import Scenario

Fate = Literal["opened", "closed", "changed"]
MOVED = 0.01
"""A cliff between statuses counts as changed when its jump is another by more than so much of it."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Be one cliff that a scenario opens, closes, or makes another height: before and after, None where there is none.

    A cliff in cost is the same where it lies at the same amount for the same claims; one between statuses where it is
    between the same statuses for the same kind of care.
    """

    scenario: str
    fate: Fate
    before: Cliff | None
    after: Cliff | None

    @property
    def jump_before_fen(self) -> int:
        """Give the height before."""
        return 0 if self.before is None else self.before.jump_fen

    @property
    def jump_after_fen(self) -> int:
        """Give the height after."""
        return 0 if self.after is None else self.after.jump_fen

    def text(self, lang: str) -> str:
        """Say it: the cliff as it is after, or as it was."""
        told = self.after or self.before
        assert told is not None
        return told.text(lang)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {
            "scenario": self.scenario,
            "fate": self.fate,
            "before": self.before.to_dict() if self.before else None,
            "after": self.after.to_dict() if self.after else None,
        }


def jumps_of(scenarios: list[Scenario], year: int) -> tuple[Jump, ...]:
    """Compare the cliffs of each scenario with those of the first, for the benefit year given.

    A law of which no kind of claim can be looked at, because numbers were not published, has none to compare.
    """
    known: dict[Ranks, dict[tuple[Any, ...], Cliff]] = {}
    found: list[Jump] = []
    for one in scenarios[1:]:
        # A status that only the reform helps has no rights of its own before, so that both are asked about it.
        ranks = _ranks(scenarios[0], one)
        if ranks not in known:
            known[ranks] = _cliffs(scenarios[0], year, ranks)
        found += _compared(one.name, known[ranks], _cliffs(one, year, ranks))
    return tuple(found)


Ranks = tuple[tuple[str, ...], tuple[str, ...]]


def _ranks(before: Scenario, after: Scenario) -> Ranks:
    """Rank the statuses of two laws: in the order of the law that knows more of them, then what the other has more."""
    (one, loose), (other, more) = (ranks_of(law.law.policies.versions[-1]) for law in (before, after))
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    preferred = tuple(dict.fromkeys((*longer, *shorter)))
    return preferred, tuple(name for name in dict.fromkeys((*loose, *more)) if name not in preferred)


def _cliffs(one: Scenario, year: int, ranks: Ranks) -> dict[tuple[Any, ...], Cliff]:
    try:
        search = search_cliffs(one.law.policies, year=year, ranks=ranks)
    except (MissingValueError, PolicyError):
        return {}
    return {_identity(cliff): cliff for cliff in search.cliffs}


def _identity(cliff: Cliff) -> tuple[Any, ...]:
    care = tuple(dict.fromkeys(kind.care_type for kind in cliff.kinds))
    if cliff.kind == "cost":
        return cliff.kind, cliff.pool, cliff.groups, cliff.at_fen, cliff.kinds
    return cliff.kind, cliff.pool, cliff.groups, care


def _compared(name: str, base: dict[tuple[Any, ...], Cliff], here: dict[tuple[Any, ...], Cliff]) -> Iterator[Jump]:
    for key, cliff in here.items():
        before = base.get(key)
        if before is None:
            yield Jump(name, "opened", None, cliff)
        elif abs(cliff.jump_fen - before.jump_fen) > MOVED * abs(before.jump_fen):
            yield Jump(name, "changed", before, cliff)
    for key, cliff in base.items():
        if key not in here:
            yield Jump(name, "closed", cliff, None)
