"""Find the best package that a budget can buy: named numbers of a policy move, the people and the claims stay."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.catastrophic import Definition
from medfloor.simulation.aims import Yardsticks
from medfloor.simulation.behaviour import Behaviour, prices_of, stated
from medfloor.simulation.choice import AIMS, BALANCED, STATUS_QUO, Aim, Optimum, Package, confirmations
from medfloor.simulation.front import non_dominated
from medfloor.simulation.limits import Budget, Limits, limits_of
from medfloor.simulation.notebook import Notebook
from medfloor.simulation.packages import Lever, Levers, levers_of, read_levers
from medfloor.simulation.population import Population, population_of
from medfloor.simulation.run import World
from medfloor.simulation.scenario import Scenario, scenario
from medfloor.simulation.search import Point, search
from medfloor.simulation.trial import Figures, Trial
from medfloor.simulation.verdicts import findings_of, notes_of, warnings_of

if TYPE_CHECKING:
    from medfloor.synthetic import Place

Progress = Callable[[int, int], None]

FRONT: tuple[Aim, ...] = ("headcount", "gap", "poverty-gap")
SHORTLIST = 20
"""So many of the best packages of each aim are tried on further people, to choose among them."""


def optimise(
    population: Population,
    baseline: str,
    vary: str | Path | Sequence[Lever],
    *,
    budget: Budget = "same",
    minimise: Aim = "headcount",
    candidates: Sequence[str] = (),
    baseline_reforms: Sequence[str] = (),
    front: Sequence[Aim] = FRONT,
    looks: int = 2_000,
    seed: int = 20201123,
    beside: Iterable[Population] = (),
    choosing: Iterable[Population] = (),
    fresh: Iterable[Population] = (),
    behaviour: Behaviour | None = None,
    definition: Definition = "nonfood",
    threshold: float = 0.4,
    line: float | None = None,
    ppp: float | None = None,
    progress: Progress | None = None,
) -> Optimum:
    """Find the package of named numbers that protects best within a budget.

    `vary` is a file of levers (see `read_levers`) or the levers themselves. `budget` is what all tiers together may pay
    a year for this population, in yuan, or "same": what they pay now; or such amounts by fund, as in
    `{"all": "same", "assistance": 1_500_000}` (see `limits_of`). `minimise` is the aim: `headcount` (share of
    households with catastrophic spending), `overshoot` (by how much of their capacity to pay they exceed the
    threshold, mean over all), `gap` (the same in yuan a household), `poverty-gap` (shortfall below the line after
    paying, yuan a person). `looks` packages are tried: half for the aim asked for, the rest for the other aims of
    `front` and for their balance (the mean of the aims, each over its value now). An aim grows by PENALTY times the
    part by which a package exceeds the budget; what is answered lies within it. The front is what no other of all tried
    packages beats.

    All are tried on the same people and claims: those given and, together with them, those `beside`. The best
    SHORTLIST of each aim are tried on `choosing` too, and the best on all of them together wins; that is what keeps a
    package from winning by the luck of a few households. The winners, and `candidates` (reform files, joined with +
    laid over together; the search begins at them too), are then settled on `fresh` populations, which nothing was
    chosen on, and with use responding to its price by `behaviour` (default: the stated elasticities).
    `baseline_reforms` lie under the baseline, and so under every package and candidate.

    Raises UsageError: bad_budget, bad_choice, bad_looks, same_reform, budget_out_of_reach; and what reading levers,
    policies, populations and settling raise.

    >>> from decimal import Decimal
    >>> (people,) = fresh_populations(1, 1000, seed=1)
    >>> path = "tiers/basic/parts/stay_adult/brackets/0/rate"
    >>> rate = Lever("rate", (path,), Decimal(-10), Decimal(10), Decimal(5), "plus")
    >>> found = optimise(people, "cn/beijing@2024-01-01", [rate], minimise="gap", looks=10)
    >>> [str(value) for value in found.best.values], found.tried.height
    (['0'], 5)
    """
    aims = _aims(minimise, front)
    if looks < 10:
        raise UsageError("bad_looks", f"{looks} packages are too few to search; try at least 10")
    base = scenario(baseline, baseline_reforms=baseline_reforms)
    others = [scenario(baseline, one.split("+"), baseline_reforms=baseline_reforms) for one in candidates]
    _check_names([one.name for one in others])
    levers = (
        read_levers(vary, base.law.policies) if isinstance(vary, (str, Path)) else levers_of(vary, base.law.policies)
    )
    sticks = Yardsticks(definition, threshold, line, ppp)
    world = World.of(population, base.law, often=looks)
    trial = Trial.of(world, levers, sticks)
    now = trial.figures(world.batch, by_tier=True)
    limits = limits_of(budget, now)
    notebook = Notebook.of([trial, *_trials(beside, trial, base, sticks)], now, limits)
    starts = list(dict.fromkeys([levers.start(), *(levers.nearest(one.law.policies) for one in others)]))
    _look(notebook, aims, looks, seed, starts, progress)
    chosen = _chosen(notebook, aims, _trials(choosing, trial, base, sticks))
    goals: list[tuple[str, Sequence[Aim]]] = [*((aim, [aim]) for aim in aims), (BALANCED, aims)]
    winners = tuple(_winner(notebook, chosen, aim, goal) for aim, goal in goals)
    status_quo = Package(STATUS_QUO, "status_quo", None, now, limits.within(now), together=notebook.whole)
    known = [_candidate(notebook, one, limits) for one in others]
    tried, best = _front(notebook, aims)
    behaviour = behaviour or stated()
    again = pl.concat(
        [
            _settled_again(number, here, winners, others, (limits, now), behaviour, seed)
            for number, here in enumerate([trial, *_trials(fresh, trial, base, sticks)])
        ]
    )
    confirmed = confirmations(again, [one.name for one in (*known, *winners)])
    return Optimum(
        baseline=base.address, population=population.name, synthetic=population.synthetic, people=_people(world),
        households=world.homes.height, claims=world.batch.height, levers=levers, minimise=minimise, aims=aims,
        limits=limits, yardsticks=trial.yardsticks, status_quo=status_quo, candidates=tuple(known), winners=winners,
        front=best, tried=tried, impossible=notebook.impossible, beside=sum(map(_persons, notebook.trials[1:])),
        choosing=sum(map(_persons, chosen.trials[len(notebook.trials) :])), again=again, confirmed=confirmed,
        findings=tuple(findings_of(levers, limits, now, winners, confirmed, minimise)),
        warnings=tuple(warnings_of(confirmed, winners, minimise)),
        notes=tuple(notes_of(notebook, chosen, trial.yardsticks, behaviour, again)),
    )  # fmt: skip


def fresh_populations(
    number: int, people: int, *, seed: int, place: Place | None = None, role: int = 3
) -> Iterator[Population]:
    """Make up fresh populations of a place, one after another, each of a seed of its own.

    Those of another `role` are others under the same seed, so that what is chosen on some is tested on others.

    Raises what `synthesise` raises.

    >>> [one.people.height for one in fresh_populations(2, 1000, seed=1)]
    [1000, 1000]
    """
    from medfloor.synthetic import synthesise

    for one in np.random.SeedSequence([seed, role]).generate_state(number):
        county = synthesise(people, seed=int(one), place=place, checked=False)
        yield population_of(county.claims, county.people, county.households, county.spells, name=f"seed {one}")


def _aims(minimise: Aim, front: Sequence[Aim]) -> tuple[Aim, ...]:
    """Put the aim asked for before the others of the front."""
    for one in (minimise, *front):
        if one not in AIMS:
            raise UsageError("bad_choice", f"there is no aim {one!r}; use {', '.join(AIMS)}")
    aims = tuple(dict.fromkeys((minimise, *front)))
    if len(aims) < 3:
        raise UsageError("bad_choice", f"a front is of at least three aims; {', '.join(aims)} are {len(aims)}")
    return aims


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise UsageError("same_reform", f"two candidates are called {', '.join(twice)}; rename a file, or keep one")


def _persons(trial: Trial) -> int:
    return trial.world.persons


def _people(world: World) -> float:
    homes = world.homes
    if "weight" not in homes.columns:
        return float(world.persons)
    return float((homes["weight"].fill_null(0.0) * homes["size"]).sum()) + float((world.home < 0).sum())


def _trials(more: Iterable[Population], trial: Trial, base: Scenario, sticks: Yardsticks) -> Iterator[Trial]:
    """Give the trial of the same levers on each of more populations."""
    for one in more:
        yield Trial.of(
            World.of(one, base.law, threads=trial.world.threads, often=_OFTEN), trial.levers, sticks, like=trial
        )


_OFTEN = 20
"""At least so often the claims of more people are settled: each for the status quo, four winners and a shortlist."""


def _look(
    notebook: Notebook,
    aims: tuple[Aim, ...],
    looks: int,
    seed: int,
    starts: Sequence[Point],
    progress: Progress | None,
) -> None:
    """Search for each aim and for their balance; each search begins with what the earlier ones found."""
    levers = notebook.trials[0].levers
    if progress is not None:
        notebook.told = lambda done: progress(min(done, looks), looks)
    goals: list[tuple[Aim, ...]] = [*((one,) for one in aims[1:]), aims, (aims[0],)]
    # Where all packages can be tried, one search sees them all.
    share = looks if math.prod(levers.sizes) <= looks else looks // (2 * (len(goals) - 1))
    begun = list(starts)
    for number, goal in enumerate(goals):
        last = number == len(goals) - 1
        score = functools.partial(notebook.score, aims=goal)
        # The best so far for this aim stands among the first, whatever it was found for.
        if notebook.seen:
            begun.append(min(notebook.seen, key=lambda point: (score(point), point)))
        search(
            levers.sizes,
            score,
            looks=looks - notebook.used() if last else share,
            used=notebook.used,
            seed=seed + number,
            starts=list(dict.fromkeys(begun)),
            excess=notebook.excess,
        )
        if notebook.used() >= math.prod(levers.sizes):
            break
    if progress is not None:
        progress(looks, looks)


def _chosen(notebook: Notebook, aims: Sequence[Aim], choosing: Iterator[Trial]) -> Notebook:
    """Try the best of each aim on further people, too; without such people the notebook is as it was."""
    shortlist = {
        point: None for goal in (*([one] for one in aims), aims) for point in notebook.ranked(goal)[:SHORTLIST]
    }
    more = list(choosing)
    if not more:
        return notebook
    found = Notebook.of([*notebook.trials, *more], notebook.now[0], notebook.limits[0])
    for point in shortlist:
        found.look(point)
    # A shortlist that lies within the budget on some people and not on all is no choice; the first search stands.
    return found if any(found.keeps(one) for one in found.seen.values() if one is not None) else notebook


def _winner(notebook: Notebook, chosen: Notebook, aim: str, goal: Sequence[Aim]) -> Package:
    """Give the best that was chosen for an aim, with its aims on the people that all packages were tried on."""
    trial = notebook.trials[0]
    point = chosen.ranked(goal)[0]
    levers = trial.levers
    binds: list[tuple[str, Literal["low", "high"]]] = []
    for lever, place in zip(levers.all, point, strict=True):
        if place in (0, lever.size - 1):
            binds.append((lever.id, "low" if place == 0 else "high"))
    name = BALANCED if aim == BALANCED else f"best_{aim.replace('-', '_')}"
    figures = trial.figures(trial.batch(point), by_tier=True)
    better = chosen.aim(chosen.known(point), goal) < 1.0 - _NO_BETTER
    together = notebook.known(point).aims
    return Package(name, "best", levers.values(point), figures, True, aim, tuple(binds), together, better)


_NO_BETTER = 1e-9
"""A part by which an aim must fall below the status quo to count as better at all."""


def _candidate(notebook: Notebook, one: Scenario, limits: Limits) -> Package:
    found = [trial.figures(trial.world.under(one.law), by_tier=True) for trial in notebook.trials]
    together = notebook.together([figures.aims for figures in found])
    return Package(one.name, "candidate", None, found[0], limits.within(found[0]), together=together)


def _front(notebook: Notebook, aims: Sequence[Aim]) -> tuple[pl.DataFrame, tuple[Package, ...]]:
    """List all packages tried, and find the front of those within the budget."""
    levers, within = notebook.trials[0].levers, notebook.within()
    mask = non_dominated(np.array([[one.aims[aim] for aim in aims] for _, one in within]))
    # Packages that come to the same in every aim are one point of the front: the cheapest, then the grid's first.
    distinct: dict[tuple[float, ...], tuple[float, Point]] = {}
    for (point, one), kept in zip(within, mask, strict=True):
        if kept:
            reached = tuple(one.aims[aim] for aim in aims)
            distinct[reached] = min(distinct.get(reached, (math.inf, point)), (one.here.cost, point))
    front = {point for _, point in distinct.values()}
    rows = [
        {
            **{lever.id: float(value) for lever, value in zip(levers.all, levers.values(point), strict=True)},
            **found.aims, "cost": found.here.cost, "of_budget": found.share, "within": notebook.keeps(found),
            "front": point in front,
        }
        for point, found in notebook.seen.items()
        if found is not None
    ]  # fmt: skip
    ordered = sorted(front, key=lambda point: (*(notebook.known(point).aims[aim] for aim in aims), point))
    packages = tuple(
        Package(
            f"front_{number}", "front", levers.values(point), replace(one.here, aims=one.aims), True, together=one.aims
        )
        for number, point in enumerate(ordered, 1)
        for one in [notebook.known(point)]
    )  # fmt: skip
    return pl.DataFrame(rows), packages


def _settled_again(
    number: int,
    trial: Trial,
    winners: Sequence[Package],
    candidates: Sequence[Scenario],
    asked: tuple[Limits, Figures],
    behaviour: Behaviour,
    seed: int,
) -> pl.DataFrame:
    """Settle status quo, candidates and winners on one population, without response and with it.

    `asked` are the limits, and what the status quo does to the people that they are for.
    """
    world = trial.world
    now = trial.figures(world.batch, by_tier=True)
    limits = asked[0].elsewhere(asked[1], now)
    prices = prices_of(world)
    batches = {one.name: world.under(one.law) for one in candidates}
    batches |= {one.name: trial.batch(_point(trial.levers, one)) for one in winners}
    found = [(STATUS_QUO, "none", now)]
    for name, batch in batches.items():
        found.append((name, "none", trial.figures(batch, by_tier=True)))
        # Claims answer by their place, so a law that sorts people otherwise has no response here.
        if batch.register is world.batch.register:
            found.append((name, "stated", trial.responding(batch, prices, behaviour, seed=seed)))
    rows = [
        {
            "population": number, "name": world.population.name, "package": name, "response": response,
            **one.aims, "cost": one.cost, "budget": limits.total, "of_budget": limits.share(one),
        }
        for name, response, one in found
    ]  # fmt: skip
    return pl.DataFrame(rows)


def _point(levers: Levers, package: Package) -> Point:
    assert package.values is not None
    pairs = zip(levers.all, package.values, strict=True)
    return tuple(int((value - lever.low) / lever.step) for lever, value in pairs)
