"""Find the best package that a budget can buy: named numbers of a policy move, the people and the claims stay."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from medfloor.errors import PolicyError, UsageError
from medfloor.measures.catastrophic import Definition
from medfloor.measures.result import figure_text
from medfloor.simulation.behaviour import Behaviour, prices_of, stated
from medfloor.simulation.choice import AIMS, BALANCED, STATUS_QUO, Aim, Optimum, Package, confirmations
from medfloor.simulation.front import non_dominated
from medfloor.simulation.packages import Lever, Levers, levers_of, plain, read_levers
from medfloor.simulation.population import Population, population_of
from medfloor.simulation.run import World
from medfloor.simulation.scenario import Scenario, scenario
from medfloor.simulation.search import Point, search
from medfloor.simulation.trial import Figures, Trial, Yardsticks
from medfloor.synthetic import Place, synthesise
from medfloor.words import Phrase

Budget = float | Literal["same"]
Progress = Callable[[int, int], None]

FRONT: tuple[Aim, ...] = ("headcount", "gap", "poverty-gap")
PENALTY = 10.0
"""What each part by which a package exceeds the budget adds to its aim, which is 1 for the status quo."""
_NOTICED = 0.001
"""A package with response exceeds the budget where it does so by more than this share."""
_IMPOSSIBLE = 1e6


def optimise(
    population: Population,
    baseline: str,
    vary: str | Path | Sequence[Lever],
    *,
    budget: Budget = "same",
    minimise: Aim = "headcount",
    candidates: Sequence[str] = (),
    front: Sequence[Aim] = FRONT,
    looks: int = 2_000,
    seed: int = 20201123,
    fresh: Iterable[Population] = (),
    behaviour: Behaviour | None = None,
    definition: Definition = "nonfood",
    threshold: float = 0.4,
    line: float | None = None,
    progress: Progress | None = None,
) -> Optimum:
    """Find the package of named numbers that protects best within a budget.

    `vary` is a file of levers (see `read_levers`) or the levers themselves. `budget` is what all tiers together may pay
    a year for this population, in yuan, or "same": what they pay now. `minimise` is the aim: `headcount` (share of
    households with catastrophic spending), `overshoot` (by how much of their capacity to pay they exceed the
    threshold, mean over all), `gap` (the same in yuan a household), `poverty-gap` (shortfall below the line after
    paying, yuan a person). `looks` packages are tried: half for the aim asked for, the rest for the other aims of
    `front` and for their balance (the mean of the aims, each over its value now). All are tried on the same people and
    claims. An aim grows by PENALTY times the part by which a package exceeds the budget; what is answered lies within
    it. The front is what no other of all tried packages beats.

    The winners, and `candidates` (reform files, joined with + laid over together), are settled again on `fresh`
    populations and with use responding to its price by `behaviour` (default: the stated elasticities).

    Raises UsageError: bad_budget, bad_choice, bad_looks, same_reform, budget_out_of_reach; and what reading levers,
    policies, populations and settling raise.

    >>> from decimal import Decimal
    >>> (people,) = fresh_populations(1, 1000, seed=1)
    >>> path = "tiers/basic/parts/stay_adult/brackets/0/rate"
    >>> rate = Lever("rate", (path,), Decimal(-10), Decimal(10), Decimal(5), "plus")
    >>> found = optimise(people, "cn/beijing@2024-01-01", [rate], minimise="gap", looks=10)
    >>> [plain(value) for value in found.best.values], found.tried.height
    (['0'], 5)
    """
    aims = _aims(minimise, front)
    if looks < 10:
        raise UsageError("bad_looks", f"{looks} packages are too few to search; try at least 10")
    base = scenario(baseline)
    others = [scenario(baseline, one.split("+")) for one in candidates]
    _check_names([one.name for one in others])
    levers = (
        read_levers(vary, base.law.policies) if isinstance(vary, (str, Path)) else levers_of(vary, base.law.policies)
    )
    sticks = Yardsticks(definition, threshold, line)
    world = World.of(population, base.law)
    trial = Trial.of(world, levers, sticks)
    now = trial.figures(world.batch, by_tier=True)
    limit = _limit(budget, now)
    notebook = _Notebook(trial, now, limit)
    _look(notebook, aims, looks, seed, progress)
    winners = (*(_winner(notebook, aim, [aim]) for aim in aims), _winner(notebook, BALANCED, aims))
    status_quo = Package(STATUS_QUO, "status_quo", None, now, now.cost <= limit)
    known = [_candidate(trial, one, limit) for one in others]
    tried, best = _front(notebook, aims)
    behaviour = behaviour or stated()
    again = pl.concat(
        [
            _settled_again(number, here, winners, others, limit / now.cost if now.cost else 1.0, behaviour, seed)
            for number, here in enumerate(_trials(trial, fresh, base, sticks))
        ]
    )
    names = [one.name for one in (*known, *winners)]
    confirmed = confirmations(again, names)
    return Optimum(
        baseline=baseline, population=population.name, synthetic=population.synthetic, people=_people(world),
        households=world.homes.height, claims=world.batch.height, levers=levers, minimise=minimise, aims=aims,
        budget=limit, yardsticks=trial.yardsticks, status_quo=status_quo, candidates=tuple(known), winners=winners,
        front=best, tried=tried, impossible=notebook.impossible, again=again, confirmed=confirmed,
        findings=(*_about_budget(winners[0], limit), *_about_bounds(levers, winners), *_about_aims(now, winners)),
        warnings=tuple(_warnings(confirmed, winners)),
        notes=tuple(_notes(world, notebook, trial.yardsticks, behaviour, again)),
    )  # fmt: skip


def fresh_populations(number: int, people: int, *, seed: int, place: Place | None = None) -> Iterator[Population]:
    """Make up fresh populations of a place, one after another, each of a seed of its own.

    Raises what `synthesise` raises.

    >>> [one.people.height for one in fresh_populations(2, 1000, seed=1)]
    [1000, 1000]
    """
    for one in np.random.SeedSequence([seed, 3]).generate_state(number):
        county = synthesise(people, seed=int(one), place=place)
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


def _limit(budget: Budget, now: Figures) -> float:
    if budget == "same":
        return now.cost
    if not np.isfinite(budget) or budget < 0:
        raise UsageError("bad_budget", f"a budget of {budget}: give `same`, or yuan a year for these people, from 0")
    return float(budget)


def _people(world: World) -> float:
    homes = world.homes
    if "weight" not in homes.columns:
        return float(world.persons)
    return float((homes["weight"].fill_null(0.0) * homes["size"]).sum()) + float((world.home < 0).sum())


@dataclass(slots=True, eq=False)
class _Notebook:
    """Remember every package that was tried: what it does, or None where it is no law."""

    trial: Trial
    now: Figures
    limit: float
    seen: dict[Point, Figures | None] = field(default_factory=dict)
    told: Callable[[int], None] | None = None
    why: PolicyError | None = None

    def look(self, point: Point) -> Figures | None:
        """Try a package, once."""
        if point not in self.seen:
            try:
                self.seen[point] = self.trial.figures(self.trial.batch(point))
            except PolicyError as error:
                self.seen[point], self.why = None, error
            if self.told is not None:
                self.told(len(self.seen))
        return self.seen[point]

    def used(self) -> int:
        """Count the packages that were tried."""
        return len(self.seen)

    @property
    def impossible(self) -> int:
        """Count those that are no law."""
        return sum(one is None for one in self.seen.values())

    def score(self, point: Point, aims: Sequence[Aim]) -> float:
        """Give what a search makes small: the mean of aims over their value now, and the penalty."""
        found = self.look(point)
        if found is None:
            return _IMPOSSIBLE
        return self.aim(found, aims) + PENALTY * max(0.0, found.cost / self.limit - 1 if self.limit else found.cost)

    def aim(self, figures: Figures, aims: Sequence[Aim]) -> float:
        """Give the mean of aims, each over its value under the status quo."""
        return float(np.mean([figures.aims[one] / (self.now.aims[one] or 1.0) for one in aims]))

    def within(self) -> list[tuple[Point, Figures]]:
        """List the packages within the budget. Raises UsageError budget_out_of_reach where none is."""
        laws = [(point, one) for point, one in self.seen.items() if one is not None]
        if not laws and self.why is not None:
            raise self.why
        found = [(point, one) for point, one in laws if one.cost <= self.limit]
        if not found:
            least = min(one.cost for _, one in laws)
            raise UsageError(
                "budget_out_of_reach",
                f"none of {len(laws):,} packages costs {self.limit:,.2f} yuan or less; the cheapest found costs "
                f"{least:,.2f}. Raise --budget, widen the bounds, or look longer",
            )
        return found

    def best(self, aims: Sequence[Aim]) -> Point:
        """Give the best package within the budget; of equals the cheaper, then the first on the grid."""
        return min((self.aim(one, aims), one.cost, point) for point, one in self.within())[2]


def _look(notebook: _Notebook, aims: tuple[Aim, ...], looks: int, seed: int, progress: Progress | None) -> None:
    """Search for each aim and for their balance; each search begins with what the earlier ones found."""
    levers = notebook.trial.levers
    if progress is not None:
        notebook.told = lambda done: progress(min(done, looks), looks)
    goals: list[tuple[Aim, ...]] = [*((one,) for one in aims[1:]), aims, (aims[0],)]
    # Where all packages can be tried, one search sees them all.
    share = looks if math.prod(levers.sizes) <= looks else looks // (2 * (len(goals) - 1))
    starts: list[Point] = [levers.start()]
    for number, goal in enumerate(goals):
        last = number == len(goals) - 1
        search(
            levers.sizes,
            functools.partial(notebook.score, aims=goal),
            looks=looks - notebook.used() if last else share,
            used=notebook.used,
            seed=seed + number,
            starts=starts,
        )
        starts.append(min(notebook.seen, key=lambda point, goal=goal: (notebook.score(point, goal), point)))  # type: ignore[misc]
        if notebook.used() >= math.prod(levers.sizes):
            break
    if progress is not None:
        progress(looks, looks)


def _winner(notebook: _Notebook, aim: str, goal: Sequence[Aim]) -> Package:
    trial = notebook.trial
    point = notebook.best(goal)
    levers = trial.levers
    binds: list[tuple[str, Literal["low", "high"]]] = []
    for lever, place in zip(levers.all, point, strict=True):
        if place in (0, lever.size - 1):
            binds.append((lever.id, "low" if place == 0 else "high"))
    name = BALANCED if aim == BALANCED else f"best_{aim.replace('-', '_')}"
    figures = trial.figures(trial.batch(point), by_tier=True)
    return Package(name, "best", levers.values(point), figures, True, aim, tuple(binds))


def _candidate(trial: Trial, one: Scenario, limit: float) -> Package:
    figures = trial.figures(trial.world.under(one.law), by_tier=True)
    return Package(one.name, "candidate", None, figures, figures.cost <= limit)


def _front(notebook: _Notebook, aims: Sequence[Aim]) -> tuple[pl.DataFrame, tuple[Package, ...]]:
    """List all packages tried, and find the front of those within the budget."""
    levers, within = notebook.trial.levers, notebook.within()
    mask = non_dominated(np.array([[one.aims[aim] for aim in aims] for _, one in within]))
    front = {point for (point, _), kept in zip(within, mask, strict=True) if kept}
    rows = [
        {
            **{lever.id: float(value) for lever, value in zip(levers.all, levers.values(point), strict=True)},
            **found.aims, "cost": found.cost, "within": found.cost <= notebook.limit, "front": point in front,
        }
        for point, found in notebook.seen.items()
        if found is not None
    ]  # fmt: skip
    ordered = sorted(front, key=lambda point: (*(_known(notebook, point).aims[aim] for aim in aims), point))
    packages = tuple(
        Package(f"front_{number}", "front", levers.values(point), _known(notebook, point), True)
        for number, point in enumerate(ordered, 1)
    )
    return pl.DataFrame(rows), packages


def _known(notebook: _Notebook, point: Point) -> Figures:
    found = notebook.seen[point]
    assert found is not None
    return found


def _trials(trial: Trial, fresh: Iterable[Population], base: Scenario, sticks: Yardsticks) -> Iterator[Trial]:
    """Give the trial on the population searched on, and one on each fresh population."""
    yield trial
    for one in fresh:
        yield Trial.of(World.of(one, base.law, threads=trial.world.threads), trial.levers, sticks)


def _settled_again(
    number: int,
    trial: Trial,
    winners: Sequence[Package],
    candidates: Sequence[Scenario],
    ratio: float,
    behaviour: Behaviour,
    seed: int,
) -> pl.DataFrame:
    """Settle status quo, candidates and winners on one population, without response and with it."""
    world = trial.world
    now = trial.figures(world.batch)
    prices = prices_of(world)
    batches = {one.name: world.under(one.law) for one in candidates}
    batches |= {one.name: trial.batch(_point(trial.levers, one)) for one in winners}
    found = [(STATUS_QUO, "none", now)]
    for name, batch in batches.items():
        found.append((name, "none", trial.figures(batch)))
        # Claims answer by their place, so a law that sorts people otherwise has no response here.
        if batch.register is world.batch.register:
            found.append((name, "stated", trial.responding(batch, prices, behaviour, seed=seed)))
    rows = [
        {
            "population": number, "name": world.population.name, "package": name, "response": response,
            **one.aims, "cost": one.cost, "budget": now.cost * ratio,
        }
        for name, response, one in found
    ]  # fmt: skip
    return pl.DataFrame(rows)


def _point(levers: Levers, package: Package) -> Point:
    assert package.values is not None
    pairs = zip(levers.all, package.values, strict=True)
    return tuple(int((value - lever.low) / lever.step) for lever, value in pairs)


def _about_budget(best: Package, limit: float) -> Iterator[Phrase]:
    """Say how much of the budget the best package uses."""
    yield Phrase.of("optimise.uses", share=figure_text(best.figures.cost / limit if limit else 1.0, "percent"))


def _about_bounds(levers: Levers, winners: Sequence[Package]) -> Iterator[Phrase]:
    """Say which levers of which winners stand at an end of their range."""
    for one in winners:
        for name, end in one.binds:
            number = next(at for at, lever in enumerate(levers.all) if lever.id == name)
            assert one.values is not None
            yield Phrase.of(
                f"optimise.binds_{end}", package=_named(one), lever=_lever_name(levers.all[number]),
                value=plain(one.values[number]),
            )  # fmt: skip
    if not any(one.binds for one in winners):
        yield Phrase("optimise.no_bound")


@dataclass(frozen=True, slots=True)
class _Title(Phrase):
    """Be the name of a lever, which its file gives in both languages."""

    zh: str = ""
    en: str = ""

    def say(self, lang: str) -> str:
        """Say it in a language."""
        return self.zh if lang == "zh" else self.en


def _lever_name(lever: Lever) -> Phrase:
    return _Title("optimise.lever", (), lever.title("zh"), lever.title("en"))


def _named(package: Package) -> Phrase:
    if package.aim == BALANCED:
        return Phrase("optimise.balanced")
    return Phrase.of("optimise.best", aim=Phrase(f"optimise.aim_{package.aim.replace('-', '_')}"))


def _about_aims(now: Figures, winners: Sequence[Package]) -> Iterator[Phrase]:
    """Show what minimising the headcount does to those who are hit hardest, against now and against the least gap."""
    by_aim = {one.aim: one for one in winners}
    counted, deepest = by_aim.get("headcount"), by_aim.get("gap")
    if counted is None:
        return
    values = {
        name: figure_text(figures.aims[aim], kind)
        for figures, mark in ((now, "0"), (counted.figures, "1"))
        for aim, kind in (("headcount", "proportion"), ("gap", "amount"), ("poverty-gap", "amount"))
        for name in (f"{aim.replace('-', '_')}_{mark}",)
    }
    deeper = counted.figures.aims["gap"] > now.aims["gap"]
    yield Phrase.of("optimise.headcount_deepens" if deeper else "optimise.headcount_beside", **values)
    if deepest is not None:
        more = counted.figures.aims["gap"] - deepest.figures.aims["gap"]
        fewer = deepest.figures.aims["headcount"] - counted.figures.aims["headcount"]
        yield Phrase.of(
            "optimise.aims_differ", more=figure_text(more, "amount"), fewer=figure_text(fewer, "percent"),
            gap=figure_text(deepest.figures.aims["gap"], "amount"),
            headcount=figure_text(deepest.figures.aims["headcount"], "proportion"),
        )  # fmt: skip


def _warnings(confirmed: pl.DataFrame, winners: Sequence[Package]) -> Iterator[Phrase]:
    """Say which winners do not stand up: on fresh populations, or once use responds to its price."""
    for one in winners:
        if one.aim == BALANCED:
            continue
        rows = confirmed.filter((pl.col("package") == one.name) & (pl.col("aim") == one.aim))
        found = {(row["where"], row["response"]): row for row in rows.iter_rows(named=True)}
        here = found["here", "none"]
        fresh = found.get(("fresh", "none"))
        if fresh is not None and here["change"] < 0 and not (fresh["high"] or fresh["change"]) < 0:
            yield Phrase.of("optimise.unconfirmed", package=_named(one), number=fresh["populations"])
        for where in ("fresh", "here"):
            zero, acting = found.get((where, "none")), found.get((where, "stated"))
            if zero is None or acting is None:
                continue
            if zero["change"] < 0 <= acting["change"]:
                yield Phrase.of("optimise.only_at_zero", package=_named(one))
            if acting["of_budget"] > max(1.0, zero["of_budget"]) + _NOTICED:
                share = figure_text(acting["of_budget"], "percent")
                yield Phrase.of("optimise.dear_with_response", package=_named(one), share=share)
            break


def _notes(
    world: World, notebook: _Notebook, sticks: Yardsticks, behaviour: Behaviour, again: pl.DataFrame
) -> Iterator[Phrase]:
    yield Phrase.of(
        "optimise.counted", definition=Phrase(f"optimise.{sticks.definition}"), threshold=f"{100 * sticks.threshold:g}",
        line=figure_text(sticks.line, "amount"),
    )  # fmt: skip
    whole = math.prod(notebook.trial.levers.sizes)
    yield Phrase.of("optimise.all_tried" if notebook.used() >= whole else "optimise.searched", whole=f"{whole:,}")
    yield Phrase("optimise.front_is")
    yield Phrase("optimise.all_tiers")
    if notebook.impossible:
        yield Phrase.of("optimise.impossible", number=notebook.impossible)
    yield behaviour.words()
    yield Phrase("simulation.more_care")
    fresh = again["population"].n_unique() - 1
    yield Phrase.of("optimise.fresh_made", number=fresh) if fresh else Phrase("optimise.no_fresh")
    if world.population.synthetic:
        yield Phrase("simulation.synthetic")
    if world.refused:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in world.refused.items())
        yield Phrase.of("simulation.refused", number=f"{sum(world.refused.values()):,}", reasons=reasons)
