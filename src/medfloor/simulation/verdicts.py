"""Say what a search for packages found: bounds, budget, what the aims do to each other, what does not stand up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from medfloor.measures.result import figure_text
from medfloor.simulation.aims import Yardsticks
from medfloor.simulation.behaviour import Behaviour
from medfloor.simulation.choice import BALANCED, Aim, Package
from medfloor.simulation.limits import Limits
from medfloor.simulation.notebook import Notebook
from medfloor.simulation.packages import Lever, Levers, plain
from medfloor.simulation.trial import Figures
from medfloor.words import Phrase

_NOTICED = 0.001
"""A package with response exceeds the budget where it does so by more than this share."""


def findings_of(
    levers: Levers, limits: Limits, now: Figures, winners: Sequence[Package], confirmed: pl.DataFrame, minimise: Aim
) -> Iterator[Phrase]:
    """Say what was found: the budget used, who beats the status quo, bounds that bind, what the aims do together."""
    yield from _about_budget(winners[0], limits)
    yield from _about_status_quo(winners, confirmed, minimise)
    yield from _about_bounds(levers, winners)
    yield from _about_aims(now, winners)
    yield from _about_depth(confirmed)


def warnings_of(confirmed: pl.DataFrame, winners: Sequence[Package], minimise: Aim) -> Iterator[Phrase]:
    """Say which winners do not stand up: on fresh populations, or once use responds to its price."""
    for one in winners:
        if one.aim == BALANCED or (not one.better and one.aim != minimise):
            continue
        if not one.better:
            yield Phrase.of("optimise.not_beaten", package=_named(one))
            continue
        rows = confirmed.filter((pl.col("package") == one.name) & (pl.col("aim") == one.aim))
        found = {(row["where"], row["response"]): row for row in rows.iter_rows(named=True)}
        fresh = found.get(("fresh", "none"))
        if fresh is not None and not _wins(fresh):
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


def notes_of(
    notebook: Notebook, chosen: Notebook, sticks: Yardsticks, behaviour: Behaviour, again: pl.DataFrame
) -> Iterator[Phrase]:
    """Say how it was counted and searched, and what it does not show."""
    world = notebook.trials[0].world
    yield Phrase.of(
        "optimise.counted", definition=Phrase(f"optimise.{sticks.definition}"), threshold=f"{100 * sticks.threshold:g}",
        line=figure_text(sticks.line, "amount"),
    )  # fmt: skip
    whole = math.prod(notebook.trials[0].levers.sizes)
    yield Phrase.of("optimise.all_tried" if notebook.used() >= whole else "optimise.searched", whole=f"{whole:,}")
    beside = sum(one.world.persons for one in notebook.trials[1:])
    further = sum(one.world.persons for one in chosen.trials[len(notebook.trials) :])
    if beside or further:
        yield Phrase.of("optimise.searched_on", beside=f"{beside:,}", further=f"{further:,}")
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


def _about_budget(best: Package, limits: Limits) -> Iterator[Phrase]:
    """Say how much of the budget the best package uses."""
    share = best.figures.cost / limits.total if limits.total else 1.0
    yield Phrase.of("optimise.uses", share=figure_text(share, "percent"))
    for fund in limits.funds:
        part = fund.paid(best.figures) / fund.limit if fund.limit else 1.0
        yield Phrase.of(
            "optimise.fund_uses", fund=fund.name, share=figure_text(part, "percent"), limit=f"{fund.limit:,.0f}"
        )


def _about_status_quo(winners: Sequence[Package], confirmed: pl.DataFrame, minimise: Aim) -> Iterator[Phrase]:
    """Say which winners beat the status quo in their own aim on people that nothing was chosen on, by how much."""
    for one in winners:
        if one.aim == BALANCED:
            continue
        row = _row(confirmed, one.name, one.aim)
        if one.better and row is not None and _wins(row):
            yield Phrase.of(
                "optimise.beats", package=_named(one), number=row["populations"], better=row["better"],
                change=_change(row),
            )  # fmt: skip
        elif not one.better and one.aim != minimise:
            yield Phrase.of("optimise.not_beaten", package=_named(one))


def _row(confirmed: pl.DataFrame, package: str, aim: str) -> dict[str, Any] | None:
    """Give what fresh populations say of a package's aim without response, if there are any."""
    rows = confirmed.filter(
        (pl.col("package") == package)
        & (pl.col("aim") == aim)
        & (pl.col("where") == "fresh")
        & (pl.col("response") == "none")
    )
    return rows.row(0, named=True) if rows.height else None


def _wins(row: dict[str, Any]) -> bool:
    """Say whether an aim is clearly lower: its interval lies below zero, and there is one."""
    return row["high"] is not None and row["high"] < 0


def _change(row: dict[str, Any]) -> str | Phrase:
    """Write a change with half the width of its interval; a change of a share is one in percentage points."""
    kind = "percent" if row["aim"] in ("headcount", "overshoot") else "amount"
    text = figure_text(row["change"], kind)
    text = text if row["high"] is None else f"{text} ± {figure_text((row['high'] - row['low']) / 2, kind)}"
    return _points(text) if kind == "percent" else text


def _points(text: str) -> Phrase:
    return Phrase.of("optimise.in_points", change=text.replace(" %", ""))


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
            "optimise.aims_differ", more=figure_text(more, "amount"), fewer=_points(figure_text(fewer, "percent")),
            gap=figure_text(deepest.figures.aims["gap"], "amount"),
            headcount=figure_text(deepest.figures.aims["headcount"], "proportion"),
        )  # fmt: skip


def _about_depth(confirmed: pl.DataFrame) -> Iterator[Phrase]:
    """Say what the package of least headcount does to headcount and gap on fresh populations, with intervals."""
    counted, gap = (_row(confirmed, "best_headcount", aim) for aim in ("headcount", "gap"))
    if counted is None or gap is None or gap["low"] is None:
        return
    key = "unsure"
    if gap["low"] > 0:
        key = "deepens" if _wins(counted) else "only_deepens"
    elif gap["high"] < 0:
        key = "lessens"
    yield Phrase.of(
        f"optimise.fresh_{key}", number=counted["populations"], headcount=_change(counted), gap=_change(gap)
    )
