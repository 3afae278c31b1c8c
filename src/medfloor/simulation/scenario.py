"""Be a scenario: a baseline with reforms laid over it, made ready to settle under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medfloor.errors import UsageError
from medfloor.policy.load import load_policy
from medfloor.settlement.batch import Law
from medfloor.simulation.reform import About, read_about

BASELINE = "baseline"


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """Be one law to try: its name, the policy and the reforms over it, and what the reforms say about themselves."""

    name: str
    law: Law
    address: str
    reforms: tuple[Path, ...] = ()
    about: tuple[About, ...] = ()

    @property
    def pools(self) -> bool:
        """Say whether the funds of regions become one."""
        return any(one.pools == "regions" for one in self.about)

    def title(self, lang: str) -> str:
        """Name it in a language, by what its reforms call themselves."""
        said = [one.name for one in self.about if one.name is not None]
        return " + ".join(getattr(name, lang) for name in said) or self.name


def scenario(address: str, reforms: Sequence[str | Path] = (), *, name: str | None = None) -> Scenario:
    """Load a policy with reforms laid over it, in the order given.

    Raises what `load_policy` raises, and PolicyError reform_about.

    >>> scenario("cn/beijing@2024-01-01").name
    'baseline'
    """
    files = tuple(Path(one) for one in reforms)
    name = name or ("+".join(file.stem for file in files) if files else BASELINE)
    about = tuple(read_about(file) for file in files)
    return Scenario(name, Law.of(load_policy(address, files)), address, files, about)


def scenarios_of(address: str, reforms: Sequence[str]) -> list[Scenario]:
    """Load the baseline and one scenario for each of `reforms`; files joined with + are laid over it together.

    Raises UsageError no_reform, same_reform; and what `scenario` raises.
    """
    if not reforms:
        raise UsageError("no_reform", "no reform was given; --reform FILE lays one over the baseline")
    found = [scenario(address), *(scenario(address, one.split("+")) for one in reforms)]
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError("same_reform", f"two scenarios are called {', '.join(twice)}; rename a file, or keep one")
    return found
