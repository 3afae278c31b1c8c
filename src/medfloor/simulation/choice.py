"""Be what a search for packages found: the packages, what they protect and cost, and how they stand up elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import polars as pl

from medfloor.measures.estimate import interval
from medfloor.measures.result import figure_text
from medfloor.simulation.aims import Yardsticks
from medfloor.simulation.limits import Limits
from medfloor.simulation.packages import Levers, plain
from medfloor.simulation.trial import Figures
from medfloor.terminal import aligned
from medfloor.words import Phrase, say

Aim = Literal["headcount", "overshoot", "gap", "poverty-gap"]
AIMS: tuple[Aim, ...] = ("headcount", "overshoot", "gap", "poverty-gap")
BALANCED = "balanced"
STATUS_QUO = "status_quo"
Kind = Literal["status_quo", "candidate", "best", "front"]
SHOWN_OF_FRONT = 12

KINDS = {
    "headcount": "proportion",
    "overshoot": "proportion",
    "gap": "amount",
    "poverty": "proportion",
    "poverty-gap": "amount",
}
"""How the aims are written: shares of households (people for poverty), yuan a household (a person for poverty)."""


@dataclass(frozen=True, slots=True)
class Package:
    """Be one package: its name, the values of the levers (None: not told by levers), what it does, what binds.

    `figures` are for the people given; on the front, where packages are compared on all people searched on, the aims
    are theirs. `aim` is what a best package minimises; `binds` names levers that stand at an
    end of their range, with the end. `together` has the aims on all people that were searched on; `better` says
    whether a best package beats the status quo at all on the people that it was chosen on.
    """

    name: str
    kind: Kind
    values: tuple[Decimal, ...] | None
    figures: Figures
    within: bool
    aim: str = ""
    binds: tuple[tuple[str, Literal["low", "high"]], ...] = ()
    together: dict[str, float] = field(default_factory=dict)
    better: bool = True

    def value(self, aim: str) -> float:
        """Give one aim, or `cost`."""
        return self.figures.cost if aim == "cost" else self.figures.aims[aim]

    def title(self, lang: str) -> str:
        """Name it in a language; candidates have the names of their files."""
        if self.kind == "best" and self.aim != BALANCED:
            return say("optimise.best", lang, aim=say(f"optimise.aim_{self.aim.replace('-', '_')}", lang))
        if self.kind == "best" or self.kind == "status_quo":
            return say(f"optimise.{self.name}", lang)
        if self.kind == "front":
            return say("optimise.front_point", lang, number=self.name.rpartition("_")[2])
        return self.name

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {
            "name": self.name, "kind": self.kind, "aim": self.aim or None,
            "values": None if self.values is None else [plain(one) for one in self.values],
            **self.figures.aims, "cost": self.figures.cost,
            "paid": dict(zip(self.figures.tiers, self.figures.paid, strict=True)),
            "within_budget": self.within, "binds": dict(self.binds), "together": self.together or None,
            **({"better": self.better} if self.kind == "best" else {}),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """Be the best packages that a budget can buy, and all that was tried.

    `winners` are the best for the aim that was asked for (first), for each other aim of the front, and the balanced
    one; `front` are all packages within the budget that no other one beats in every aim of `aims`, in order of the
    first. `tried` has one row a package: the levers' values, aims on all people searched on,
    cost in yuan for the people given, `of_budget` (the tightest limit), `within` and `front`. `beside` and `choosing`
    count people that were searched and chosen on beside them. `again` has one
    row a population (0: the one searched on), package and response, with aims and cost; `confirmed` what they say
    together (see `confirmations`). `findings` are sentences about bounds, budget, trade-offs and what does not hold.
    """

    baseline: str
    population: str
    synthetic: bool
    people: float
    households: int
    claims: int
    levers: Levers
    minimise: Aim
    aims: tuple[Aim, ...]
    limits: Limits
    yardsticks: Yardsticks
    status_quo: Package
    candidates: tuple[Package, ...]
    winners: tuple[Package, ...]
    front: tuple[Package, ...]
    tried: pl.DataFrame
    impossible: int
    beside: int
    choosing: int
    again: pl.DataFrame
    confirmed: pl.DataFrame
    findings: tuple[Phrase, ...]
    warnings: tuple[Phrase, ...]
    notes: tuple[Phrase, ...]

    @property
    def budget(self) -> float:
        """Give what all tiers together may pay a year for the people given, in yuan."""
        return self.limits.total

    @property
    def best(self) -> Package:
        """Give the best package for the aim that was asked for."""
        return self.winners[0]

    @property
    def named(self) -> tuple[Package, ...]:
        """Give the packages with a name: status quo, candidates, winners."""
        return (self.status_quo, *self.candidates, *self.winners)

    def reform(self, package: Package) -> str:
        """Write a package as a reform file. Only packages that were searched for can be written."""
        assert package.values is not None, "a candidate has a file already"
        point = [
            int((value - lever.low) / lever.step) for lever, value in zip(self.levers.all, package.values, strict=True)
        ]
        return self.levers.reform(point, package.title("zh"), package.title("en"))

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal."""
        return "\n".join(self.lines(lang))

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def lines(self, lang: str) -> list[str]:
        """Tell it line by line: the packages, their values, how they stand up, findings and notes."""
        found = [self.head(lang), ""]
        for title, heads, rows, names in self.tables(lang):
            found += [title, *aligned([heads, *rows], right=range(names, len(heads))), ""]
        for title, phrases in self.said():
            found += [say(f"optimise.{title}", lang), *(f"  {one.say(lang)}" for one in phrases), ""]
        return found[:-1]

    def head(self, lang: str) -> str:
        """Say in one sentence what was asked."""
        return say(
            "optimise.head", lang, aim=say(f"optimise.aim_{self.minimise.replace('-', '_')}", lang),
            baseline=self.baseline, budget=f"{self.budget:,.0f}", head=f"{self.budget / self.people:,.2f}",
            population=self.population, people=f"{self.people:,.0f}", tried=f"{self.tried.height:,}",
        )  # fmt: skip

    def said(self) -> list[tuple[str, tuple[Phrase, ...]]]:
        """Give the sentences by the key of their title."""
        parts = (("warnings", self.warnings), ("findings", self.findings), ("notes", self.notes))
        return [(title, phrases) for title, phrases in parts if phrases]

    def tables(self, lang: str) -> list[tuple[str, list[str], list[list[str]], int]]:
        """Lay it out as tables: title, heads, rows, and how many columns name a row."""
        found = [self._protection(self.named, "protects", lang), self._values(lang)]
        if self.front:
            found.append(self._protection(_spread(self.front), "front_title", lang, of=len(self.front)))
        if self.confirmed.height:
            found.append(self._confirmed(lang))
        return found

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything but the list of what was tried as plain data, ready for JSON."""
        return {
            "baseline": self.baseline, "population": self.population, "synthetic": self.synthetic,
            "people": self.people, "households": self.households, "claims": self.claims,
            "minimise": self.minimise, "aims": list(self.aims), "budget": self.budget,
            "funds": {one.name: one.limit for one in self.limits.funds},
            "beside": self.beside, "choosing": self.choosing,
            "definition": self.yardsticks.definition, "threshold": self.yardsticks.threshold,
            "line": self.yardsticks.line,
            "levers": [
                {
                    "id": one.id, "paths": list(one.paths), "as": one.way, "unit": one.unit, "low": plain(one.low),
                    "high": plain(one.high), "step": plain(one.step), "source": one.source,
                    "now": self.levers.now(number),
                }
                for number, one in enumerate(self.levers.all)
            ],
            "status_quo": self.status_quo.to_dict(),
            "candidates": [one.to_dict() for one in self.candidates],
            "winners": [one.to_dict() for one in self.winners],
            "front": [one.to_dict() for one in self.front],
            "tried": self.tried.height, "impossible": self.impossible,
            "confirmed": [{key: _known(value) for key, value in row.items()} for row in self.confirmed.to_dicts()],
            "warnings": [one.say(lang) for one in self.warnings],
            "findings": [one.say(lang) for one in self.findings],
            "notes": [one.say(lang) for one in self.notes],
        }  # fmt: skip

    def _protection(
        self, packages: Sequence[Package], title: str, lang: str, **told: object
    ) -> tuple[str, list[str], list[list[str]], int]:
        """Lay out what packages protect: headcount, overshoot, gap and poverty gap always stand together."""
        heads = [
            say("optimise.package", lang),
            *(say(f"optimise.head_{one.replace('-', '_')}", lang) for one in KINDS),
        ]
        heads += [say("optimise.head_cost", lang), say("optimise.head_of_budget", lang)]
        rows = [
            [
                one.title(lang), *(figure_text(one.value(aim), kind) for aim, kind in KINDS.items()),
                f"{one.figures.cost / self.people:,.2f}", _share(one.figures.cost, self.budget),
            ]
            for one in packages
        ]  # fmt: skip
        return say(f"optimise.{title}", lang, **told), heads, rows, 1

    def _values(self, lang: str) -> tuple[str, list[str], list[list[str]], int]:
        heads = [say("optimise.lever", lang), say("optimise.bounds", lang), say("optimise.now", lang)]
        heads += [one.title(lang) for one in self.winners]
        rows = []
        for number, lever in enumerate(self.levers.all):
            added = lever.way == "plus" and lever.unit == "percent"
            unit = say(f"optimise.way_{lever.way}", lang, unit=_unit("points" if added else lever.unit, lang))
            cells = [
                f"{lever.title(lang)} ({unit})",
                f"{plain(lever.low)} – {plain(lever.high)}",
                self.levers.now(number),
            ]
            for one in self.winners:
                assert one.values is not None
                bound = dict(one.binds).get(lever.id)
                mark = f" ({say(f'optimise.at_{bound}', lang)})" if bound else ""
                cells.append(plain(one.values[number]) + mark)
            rows.append(cells)
        return say("optimise.values", lang), heads, rows, 1

    def _confirmed(self, lang: str) -> tuple[str, list[str], list[list[str]], int]:
        """Lay out the changes on the population searched on and on the fresh ones, with half the interval's width."""
        titles = {one.name: one.title(lang) for one in self.named}
        heads = [say(f"optimise.{one}", lang) for one in ("package", "where", "use")]
        heads += [say(f"optimise.head_{one.replace('-', '_')}", lang) for one in AIMS]
        heads.append(say("optimise.head_of_budget", lang))
        rows: dict[tuple[str, ...], list[str]] = {}
        for row in self.confirmed.iter_rows(named=True):
            place = say(f"optimise.{row['where']}", lang, number=row["populations"])
            key = (titles[row["package"]], place, say(f"response.{row['response']}", lang))
            kind = "percent" if KINDS[row["aim"]] == "proportion" else "amount"
            known = row["low"] is not None and math.isfinite(row["low"])
            wide = f" ± {figure_text((row['high'] - row['low']) / 2, kind)}" if known else ""
            told = figure_text(row["change"], kind) + wide
            if kind == "percent":  # a change of a share is one in points
                told = told.replace(" %", f" {say('optimise.unit_points', lang)}")
            rows.setdefault(key, []).append(told)
            if row["aim"] == AIMS[-1]:
                rows[key].append(figure_text(row["of_budget"], "percent"))
        return say("optimise.again", lang), heads, [[*key, *cells] for key, cells in rows.items()], 3


def confirmations(again: pl.DataFrame, packages: Sequence[str], level: float = 0.95) -> pl.DataFrame:
    """Say what runs on several populations show together.

    One row a package, where (`here`: the population searched on; `fresh`: the others together), response and aim: the
    mean change against the status quo of the same population, its interval between populations (Student's t; none
    for fewer than two), in how many of them it is better, and the mean and greatest share of the budget that is spent.
    The budget of a fresh population is its status quo's cost times the ratio that the budget has to it here.
    """
    found = []
    base = again.filter((pl.col("package") == STATUS_QUO) & (pl.col("response") == "none"))
    for package in packages:
        for where in ("here", "fresh"):
            part = again.filter((pl.col("population") == 0) if where == "here" else (pl.col("population") > 0))
            for response in ("none", "stated"):
                rows = part.filter((pl.col("package") == package) & (pl.col("response") == response))
                if rows.is_empty():
                    continue
                joined = rows.join(base, on="population", how="inner", suffix="_0", maintain_order="left")
                share = joined["of_budget"]
                for aim in AIMS:
                    change = (joined[aim] - joined[f"{aim}_0"]).to_numpy()
                    low, high = _interval(change, level)
                    found.append(
                        {
                            "package": package, "where": where, "response": response, "aim": aim,
                            "populations": len(change), "change": float(change.mean()), "low": low, "high": high,
                            "better": int((change < 0).sum()), "of_budget": float(share.mean()),  # type: ignore[arg-type]
                            "of_budget_most": float(share.max()),  # type: ignore[arg-type]
                        }
                    )  # fmt: skip
    return pl.DataFrame(found, schema=CONFIRMED)


CONFIRMED: dict[str, Any] = {
    "package": pl.String, "where": pl.String, "response": pl.String, "aim": pl.String, "populations": pl.Int64,
    "change": pl.Float64, "low": pl.Float64, "high": pl.Float64, "better": pl.Int64, "of_budget": pl.Float64,
    "of_budget_most": pl.Float64,
}  # fmt: skip


def _interval(change: Any, level: float) -> tuple[float | None, float | None]:
    if len(change) < 2:
        return None, None
    error = float(change.std(ddof=1)) / math.sqrt(len(change))
    return interval(float(change.mean()), error, len(change) - 1, level)


def _spread(front: Sequence[Package]) -> list[Package]:
    """Give at most so many of the front as are shown, evenly spaced, with both ends."""
    many = min(SHOWN_OF_FRONT, len(front))
    return [front[int(place)] for place in np.unique(np.linspace(0, len(front) - 1, many).round())]


def _share(cost: float, budget: float) -> str:
    return figure_text(cost / budget if budget > 0 else math.nan, "percent")


def _unit(unit: str, lang: str) -> str:
    return say(f"optimise.unit_{unit}", lang) if unit else ""


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
