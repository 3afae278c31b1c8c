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
    """Be one law to try: its name, the policy and the reforms over it, and what the reforms say about themselves.

    `under` are reforms that belong to the baseline: they lie under the baseline itself and under every reform.
    `address` names the policy and, after a +, these.
    """

    name: str
    law: Law
    address: str
    reforms: tuple[Path, ...] = ()
    about: tuple[About, ...] = ()
    under: tuple[Path, ...] = ()
    about_under: tuple[About, ...] = ()

    @property
    def pools(self) -> bool:
        """Say whether the funds of regions become one."""
        return any(one.pools == "regions" for one in (*self.about_under, *self.about))

    @property
    def before(self) -> tuple[float, float] | None:
        """Give the premium and subsidy of a person that its reforms say were paid before, in yuan; None: unsaid."""
        said = [one.before for one in self.about if one.before is not None]
        return (float(said[-1].personal), float(said[-1].subsidy)) if said else None

    def title(self, lang: str) -> str:
        """Name it in a language, by what its reforms call themselves."""
        said = [one.name for one in self.about if one.name is not None]
        return " + ".join(getattr(name, lang) for name in said) or self.name


def scenario(
    address: str,
    reforms: Sequence[str | Path] = (),
    *,
    name: str | None = None,
    baseline_reforms: Sequence[str | Path] = (),
) -> Scenario:
    """Load a policy with reforms laid over it, in the order given: first those of the baseline, then the others.

    Raises what `load_policy` raises, and PolicyError reform_about.

    >>> scenario("cn/beijing@2024-01-01").name
    'baseline'
    """
    files = tuple(Path(one) for one in reforms)
    under = files_of(baseline_reforms)
    name = name or ("+".join(file.stem for file in files) if files else BASELINE)
    about, about_under = (tuple(read_about(file) for file in some) for some in (files, under))
    law = Law.of(load_policy(address, (*under, *files)))
    return Scenario(name, law, " + ".join([address, *(file.name for file in under)]), files, about, under, about_under)


def files_of(reforms: Sequence[str | Path]) -> tuple[Path, ...]:
    """List the files of reforms, each a file or several joined with +.

    >>> [file.name for file in files_of(["one.yaml+two.yaml", "three.yaml"])]
    ['one.yaml', 'two.yaml', 'three.yaml']
    """
    return tuple(Path(part) for one in reforms for part in ([one] if isinstance(one, Path) else one.split("+")))


def scenarios_of(
    address: str, reforms: Sequence[str], *, baseline_reforms: Sequence[str | Path] = ()
) -> list[Scenario]:
    """Load the baseline and one scenario for each of `reforms`; files joined with + are laid over it together.

    `baseline_reforms` lie under the baseline and under each of `reforms`.

    Raises UsageError no_reform, same_reform; and what `scenario` raises.
    """
    if not reforms:
        raise UsageError("no_reform", "no reform was given; --reform FILE lays one over the baseline")
    every: list[Sequence[str]] = [(), *(one.split("+") for one in reforms)]
    found = [scenario(address, one, baseline_reforms=baseline_reforms) for one in every]
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError("same_reform", f"two scenarios are called {', '.join(twice)}; rename a file, or keep one")
    return found
