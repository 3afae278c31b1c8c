"""Remember every package that was tried, on the people given and on those beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from medfloor.errors import PolicyError, UsageError
from medfloor.simulation.limits import Limits
from medfloor.simulation.search import Point
from medfloor.simulation.trial import Figures, Trial

PENALTY = 10.0
"""What each part by which a package exceeds the budget adds to its aim, which is 1 for the status quo."""
_IMPOSSIBLE = 1e6
_FAR = 1.05
"""A package that exceeds its limits by more on the people given is not tried on those beside them."""


@dataclass(frozen=True, slots=True)
class Tried:
    """Be one package that was tried: what it does to the people given, and to all that were searched on.

    `aims` are means over all populations searched on, by their numbers of households. `share` is the part of the
    tightest limit that it uses, the larger of that here and that on all together.
    """

    here: Figures
    aims: dict[str, float]
    share: float


@dataclass(slots=True, eq=False)
class Notebook:
    """Remember packages. `trials` are the people given and those beside them; `limits` and `now` are theirs, in turn.

    `whole` is the status quo on all of them together.
    """

    trials: tuple[Trial, ...]
    now: tuple[Figures, ...]
    limits: tuple[Limits, ...]
    whole: dict[str, float] = field(init=False)
    seen: dict[Point, Tried | None] = field(default_factory=dict)
    told: Callable[[int], None] | None = None
    why: PolicyError | None = None

    def __post_init__(self) -> None:
        """Take together what the status quo does."""
        self.whole = self.together([one.aims for one in self.now])

    @classmethod
    def of(cls, trials: Sequence[Trial], now: Figures, limits: Limits) -> Notebook:
        """Open one for the people given (the first trial, with what the status quo does to them) and others."""
        others = [one.figures(one.world.batch, by_tier=True) for one in trials[1:]]
        return cls(tuple(trials), (now, *others), (limits, *(limits.elsewhere(now, one) for one in others)))

    def look(self, point: Point) -> Tried | None:
        """Try a package, once; None where it is no law."""
        if point not in self.seen:
            try:
                self.seen[point] = self._tried(point)
            except PolicyError as error:
                self.seen[point], self.why = None, error
            if self.told is not None:
                self.told(len(self.seen))
        return self.seen[point]

    def known(self, point: Point) -> Tried:
        """Give a package that is known to be a law."""
        found = self.look(point)
        assert found is not None
        return found

    def used(self) -> int:
        """Count the packages that were tried."""
        return len(self.seen)

    @property
    def impossible(self) -> int:
        """Count those that are no law."""
        return sum(one is None for one in self.seen.values())

    def score(self, point: Point, aims: Sequence[str]) -> float:
        """Give what a search makes small: the mean of aims over their value now, and the penalty."""
        found = self.look(point)
        if found is None:
            return _IMPOSSIBLE
        return self.aim(found, aims) + PENALTY * max(0.0, found.share - 1.0)

    def excess(self, point: Point) -> float:
        """Give by which part a package exceeds its tightest limit; below zero where something is left."""
        found = self.look(point)
        return 0.0 if found is None else found.share - 1.0

    def aim(self, tried: Tried, aims: Sequence[str]) -> float:
        """Give the mean of aims, each over its value under the status quo."""
        return float(np.mean([tried.aims[one] / (self.whole[one] or 1.0) for one in aims]))

    def within(self) -> list[tuple[Point, Tried]]:
        """List the packages that keep all limits. Raises UsageError budget_out_of_reach where none does."""
        laws = [(point, one) for point, one in self.seen.items() if one is not None]
        if not laws and self.why is not None:
            raise self.why
        found = [(point, one) for point, one in laws if self.keeps(one)]
        if not found:
            nearest = min((one for _, one in laws), key=lambda one: one.share)
            raise UsageError(
                "budget_out_of_reach",
                f"none of {len(laws):,} packages keeps the budget of {self.limits[0].total:,.2f} yuan; the nearest "
                f"costs {nearest.here.cost:,.2f} and uses {100 * nearest.share:,.1f} % of the tightest limit. Raise "
                "--budget, widen the bounds, or look longer",
            )
        return found

    def keeps(self, tried: Tried) -> bool:
        """Say whether a package keeps the limits of the people given, to the fen, and those of all together."""
        return self.limits[0].within(tried.here) and tried.share <= 1.0 + 1e-12

    def ranked(self, aims: Sequence[str]) -> list[Point]:
        """Put the packages within the budget in order, best first.

        Of those equal in the aim the better in the other aims stands first, so that no package tried dominates the
        first; then the cheaper, then the grid's first.
        """
        every = list(self.whole)
        found = [(self.aim(one, aims), self.aim(one, every), one.here.cost, point) for point, one in self.within()]
        return [point for *_, point in sorted(found)]

    def _tried(self, point: Point) -> Tried:
        by_tier = bool(self.limits[0].funds)
        found, shares = [], []
        for trial, limits in zip(self.trials, self.limits, strict=True):
            figures = trial.figures(trial.batch(point), by_tier=by_tier)
            found.append(figures)
            shares.append(limits.share(figures))
            if shares[0] > _FAR:
                break
        if len(found) < len(self.trials):
            # Far out of reach: the aims are those here, moved as if the others had changed in the same proportion.
            here, now = found[0].aims, self.now[0].aims
            aims = {name: here[name] * self.whole[name] / (now[name] or 1.0) for name in here}
            return Tried(found[0], aims, shares[0])
        return Tried(found[0], self.together([one.aims for one in found]), max(shares[0], self._mean(shares)))

    def together(self, aims: Sequence[dict[str, float]]) -> dict[str, float]:
        """Take together aims on each population, by its number of households."""
        return {name: self._mean([one[name] for one in aims]) for name in aims[0]}

    def _mean(self, values: Iterable[float]) -> float:
        return float(np.average(list(values), weights=[one.world.homes.height for one in self.trials]))
