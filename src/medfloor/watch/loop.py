"""Live five made-up years with and without watching, in several ways, at the same number of visits.

Spells of illness bring bills, bills are settled by the place's law, screening finds, visits are given as far as they
go, cases are recognised and helped by rule, and end by rule. Each seed is one county; every arm of a seed meets the
same people, bills and chance, so that differences between arms are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from medfloor.errors import UsageError
from medfloor.watch.arms import DEFAULT, arms_of, harms
from medfloor.watch.following import Followed, follow
from medfloor.watch.tally import Simulated, tally
from medfloor.watch.world import Setting, World, check_setting, make_world

Mapper = Callable[[Callable[[int], list[dict[str, Any]]], Sequence[int]], Iterable[list[dict[str, Any]]]]
"""What works through the seeds in order, in one process (`map`) or in several."""


def simulate(
    setting: Setting,
    *,
    seeds: int = 20,
    first_seed: int = 1,
    arms: Sequence[str] = DEFAULT,
    mapper: Mapper = map,
    told: Callable[[int], None] | None = None,
) -> Simulated:
    """Live so many counties, each with every arm, and compare the arms.

    `told` hears how many seeds are done. The same setting, seeds and arms give the same result, in however many
    processes.

    Raises UsageError bad_seed, bad_choice (no such arm), what `check_setting` raises and what settling raises.

    >>> found = simulate(Setting(people=1_000, years=1), seeds=2, arms=["rule"])
    >>> found.frame["arm"].unique(maintain_order=True).to_list(), found.runs.height
    (['none', 'rule'], 4)
    """
    check_setting(setting)
    if seeds < 1 or not 0 <= first_seed < 1 << 62:
        raise UsageError("bad_seed", f"{seeds} seeds from {first_seed}: give 1 seed or more, from 0 on")
    names = tuple(one.name for one in arms_of(list(arms)))
    rows: list[dict[str, Any]] = []
    work = partial(run_seed, setting=setting, arms=names)
    for number, found in enumerate(mapper(work, range(first_seed, first_seed + seeds)), 1):
        rows += found
        if told is not None:
            told(number)
    return tally(rows, setting, names)


def run_seed(seed: int, *, setting: Setting, arms: Sequence[str]) -> list[dict[str, Any]]:
    """Live one county with every arm: one row an arm, counts and money (fen) of all its years.

    >>> row = run_seed(1, setting=Setting(people=1_000, years=1), arms=["none"])[0]
    >>> row["arm"], row["visits"], row["help_fen"]
    ('none', 0, 0)
    """
    world = make_world(setting, seed)
    chosen = arms_of(list(arms))
    expected = harms(world, setting, chosen)
    return [measured(world, setting, one.name, follow(world, setting, one, expected[one.source])) for one in chosen]


def measured(world: World, setting: Setting, arm: str, done: Followed) -> dict[str, Any]:
    """Count what an arm came to: poverty, who was reached before falling, visits, hours, money in fen.

    `under` counts households under the line at the end of a year, once a year; `falls` those that come under it without
    watching and were not under it the year before: `caught` before the month in which it happens, `late` within the
    same year, else `missed`. `averted` and `pushed` compare ends of years with those without any watching. `fund_fen`
    is what funds pay more because of the status, `help_fen` what was given once.
    """
    gap, falls = done.gap, world.falls
    caught = late = ahead = 0
    for year, home in np.argwhere(falls >= 0).tolist():
        month = 12 * year + int(falls[year, home])
        if done.monitored[month, home]:
            caught += 1
            begun = month
            while begun and done.monitored[begun - 1, home]:
                begun -= 1
            ahead += month - begun
        else:
            late += bool(done.monitored[month : 12 * year + 12, home].any())
    counts = done.counts
    hours = counts["visits"] * setting.number("hours_visit") + counts["follow_ups"] * setting.number("hours_follow_up")
    return {
        "seed": world.seed,
        "arm": arm,
        "households": int(gap.size),
        "under": int((gap > 0).sum()),
        "averted": int(((gap == 0) & (world.gap > 0)).sum()),
        "pushed": int(((gap > 0) & (world.gap == 0)).sum()),
        "shortfall_fen": int(gap.sum()),
        "falls": int((falls >= 0).sum()),
        "caught": caught,
        "late": late,
        "missed": int((falls >= 0).sum()) - caught - late,
        "months_ahead": ahead,
        **{name: int(count) for name, count in counts.items() if name != "late"},
        "late_visits": int(counts["late"]),
        "hours": float(hours),
        "help_fen": int(done.help.sum()),
        "fund_fen": int((world.own[0] - done.own).sum()),
        "own_fen": int(done.own.sum()),
        "billed_fen": int(world.billed.sum()),
    }
