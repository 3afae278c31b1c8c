"""Lay a simulation of reforms out as a brief of four to six pages: what changes, for whom, at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.measures.result import Result, name_of
from medfloor.policy.diff import Change, diff_policies
from medfloor.policy.model import Policy
from medfloor.reports.plates import Bar, Spot, spots, stacked
from medfloor.reports.printing import Block, Grid, Part, Plate, Points, Printout, cell_text, day_text
from medfloor.reports.reform_words import in_points, value_of
from medfloor.reports.sections import SimulationWords
from medfloor.reports.workbook import Cell, Figure
from medfloor.simulation.compare import Simulation
from medfloor.words import join, say

MOST_CHANGES = 16
"""So many changed values of the law are printed; `medfloor policy diff` lists all."""

MOST_CLIFFS, MOST_FLAGS = 5, 6

FEW = 5
"""Groups of fewer people are hidden."""

_LEVELS = ("headcount", "net_headcount", "impoverished", "net_gap", "concentration_index")
_WAYS = ("quintile", "status", "residence")


def policy_brief(found: Simulation, *, made: date, lang: str = "en") -> Printout:
    """Lay the brief out in a language; `made` is the day that stands on it."""
    words = _Words(found, lang)
    titles = join([one.title(lang) for one in found.scenarios[1:]], lang)
    facts = [
        (words.say("fact_baseline"), words.address()),
        (words.say("fact_reforms"), titles),
        (words.say("fact_people"), words.say("people", people=f"{found.people:,}", households=f"{found.households:,}",
                                             claims=f"{found.claims:,}")),
        (words.say("fact_made"), day_text(made, lang)),
    ]  # fmt: skip
    parts = [
        words.reforms(), words.payers(), words.protection(), words.groups(), words.funds(), words.prices(),
        words.cliffs(), words.remarks(),
    ]  # fmt: skip
    return Printout(
        words.say("title", reforms=titles), lang, made, [one for one in parts if one is not None],
        subtitle=words.say("subtitle"), marks=[words.say("synthetic")] if found.synthetic else [], facts=facts,
        short=words.short(),
    )  # fmt: skip


class _Words:
    """Say one brief in one language."""

    def __init__(self, found: Simulation, lang: str) -> None:
        self.found, self.lang, self.sections = found, lang, SimulationWords(found, lang)
        self.base = found.scenarios[0].name

    def say(self, key: str, **values: object) -> str:
        return say(f"policy_brief.{key}", self.lang, **values)

    def heads(self, *names: str) -> list[str]:
        return [self.say(f"head_{name}") for name in names]

    def address(self) -> str:
        """Name the baseline: a policy of the library by its address, a file by its name alone."""
        return " + ".join(Path(one).name if one.endswith(".yaml") else one
                          for one in self.found.scenarios[0].address.split(" + "))  # fmt: skip

    def law(self, row: Mapping[str, Any]) -> str:
        return self.sections.scenario(row["scenario"], row["response"])

    def source(self) -> str:
        return self.say("source", people=f"{self.found.people:,}", claims=f"{self.found.claims:,}")

    # In short

    def short(self) -> list[str]:
        told = []
        for one in self.found.scenarios[1:]:
            title = one.title(self.lang)
            if self.changes_nothing(one.name):
                told.append(self.say("short_unchanged", title=title))
                continue
            change = self.changed("headcount", one.name)
            if change is not None:
                told.append(self.say(
                    "short_headcount", title=title, what=self.sections.what(change),
                    change=_points(change["estimate"]), low=_points(change["low"]), high=_points(change["high"]),
                ))  # fmt: skip
            better = self.of_groups("better_off", one.name)
            worse = self.of_groups("worse_off", one.name)
            if better is not None and worse is not None:
                told.append(self.say("short_groups", title=title, better=_told(better, "percent"),
                                     worse=_told(worse, "percent")))  # fmt: skip
            cost = self.cost(one.name)
            if cost is not None:
                told.append(self.say("short_cost", title=title, cost=_told(cost["estimate"], "count"),
                                     low=_told(cost["low"], "count"), high=_told(cost["high"], "count"),
                                     response=name_of("response", cost["response"], self.lang)))  # fmt: skip
        if self.found.flags:
            told.append(self.say("short_flags", number=len(self.found.flags)))
        return told

    def changes_nothing(self, scenario: str) -> bool:
        """Say whether no payer pays anything else under a law than under the baseline, whatever use does."""
        rows = self.found.payers.rows.filter(pl.col("scenario") == scenario)
        moved = rows.filter(pl.col("statistic") == "reform_change")["estimate"].drop_nulls()
        gone = (self.of_groups("better_off", scenario), self.of_groups("worse_off", scenario))
        cost = self.cost(scenario)
        free = cost is None or abs(cost["estimate"] or 0) < 0.005
        return moved.len() > 0 and bool((moved.abs() < 0.00005).all()) and not any(gone) and free

    def changed(self, statistic: str, scenario: str) -> dict[str, Any] | None:
        rows = self.found.protection.rows
        asked = (pl.col("statistic") == "reform_change") & (pl.col("of") == statistic)
        asked &= (pl.col("scenario") == scenario) & (pl.col("response") == "none") & pl.col("group").is_null()
        found = rows.filter(asked)
        return found.row(0, named=True) if found.height else None

    def of_groups(self, statistic: str, scenario: str) -> float | None:
        rows = self.found.groups.rows
        found = rows.filter(
            (pl.col("statistic") == statistic) & (pl.col("scenario") == scenario) & (pl.col("response") == "none")
            & pl.col("group").is_null()
        )  # fmt: skip
        return float(found["estimate"][0]) if found.height else None

    def cost(self, scenario: str) -> dict[str, Any] | None:
        """Find the public cost with the response where there is one, else the extra paid out."""
        rows = self.found.funds.rows.filter((pl.col("scenario") == scenario) & (pl.col("fund") == "all"))
        for statistic in ("public_cost", "extra"):
            for response in ("stated", "none"):
                found = rows.filter((pl.col("statistic") == statistic) & (pl.col("response") == response))
                if found.height:
                    return found.row(0, named=True)
        return None

    # Sections

    def reforms(self) -> Part:
        about = self.sections.reforms()
        blocks: list[Block] = [Points(about.text)] if about is not None and about.text else []
        before = self.found.scenarios[0].law.policies.versions[-1]
        rows: list[list[Cell]] = []
        for one in self.found.scenarios[1:]:
            after = one.law.policies.versions[-1]
            rows += [[one.title(self.lang), *self.change(change, after if change.new is not None else before)]
                     for change in diff_policies(before, after, self.lang)]  # fmt: skip
        if rows:
            more = [self.say("more_changes", shown=MOST_CHANGES, all=len(rows))] if len(rows) > MOST_CHANGES else []
            heads = self.heads("reform", "value", "old", "new")
            told = self.say("define_law")
            blocks.append(Grid(self.say("table_law"), heads, rows[:MOST_CHANGES], 4, told, self.address(), more))
        return Part(self.say("part_reforms"), blocks or [self.say("no_changes")])

    def change(self, one: Change, law: Policy) -> list[Cell]:
        named = value_of(one.path, law, self.lang)
        return [
            f"{named} ({one.when})" if one.when else named,
            one.old or self.say("absent"),
            one.new or self.say("absent"),
        ]

    def payers(self) -> Part:
        rows = self.found.payers.rows.filter(pl.col("statistic") == "amount")
        changes = {
            (row["payer"], row["scenario"], row["response"]): row
            for row in self.found.payers.rows.filter(pl.col("statistic") == "reform_change").iter_rows(named=True)
        }
        body: list[list[Cell]] = []
        bars: list[Bar] = []
        for row in rows.iter_rows(named=True):
            change = changes.get((row["payer"], row["scenario"], row["response"]))
            numbers = [Figure(row["estimate"], "amount")]
            numbers += [Figure(change[one] if change else None, "amount") for one in ("estimate", "low", "high")]
            body.append([self.sections.payer(row["payer"]), self.law(row), *numbers])
            if row["payer"] != "all":
                bars.append(Bar(self.law(row), self.sections.payer(row["payer"]), row["estimate"], row["payer"]))
        # Bars stand in the order of the laws, their pieces in that of the payers.
        order = {name: place for place, name in enumerate(dict.fromkeys(one.bar for one in bars))}
        bars.sort(key=lambda one: order[one.bar])
        result = self.found.payers
        told = join([f"{one.bar} {one.piece} {one.value:,.2f}" for one in bars if one.value], self.lang)
        plate = Plate(self.say("figure_payers"), stacked(bars, self.say("axis_payers"), kind="amount"),
                      self.say("alt_payers", told=told), self.source())  # fmt: skip
        heads = self.heads("payer", "law", "amount", "change", "low", "high")
        table = Grid(self.say("table_payers"), heads, body, 2, result.definition.say(self.lang), self.source(),
                     [result.errors.say(self.lang)])  # fmt: skip
        return Part(self.say("part_payers"), [self.say("text_payers"), table, plate])

    def protection(self) -> Part:
        result = self.found.protection
        changes = {
            (self.sections.what(row), self.law(row)): row
            for row in _rows(result, "reform_change").iter_rows(named=True)
        }
        rows: list[list[Cell]] = []
        for statistic in _LEVELS:
            for row in _rows(result, statistic).iter_rows(named=True):
                key = (self.sections.what(row), self.law(row))
                change = changes.get(key)
                told: list[Cell] = [None] * 4
                if change:
                    shown = [in_points(cell_text(one), self.lang) for one in _numbers(change)]
                    told = [*shown, Figure(change["p"], "p")]
                rows.append([*key, _numbers(row)[0], *told])
        heads = self.heads("statistic", "law", "estimate", "change", "low", "high", "p")
        notes = [self.say("define_changes"), *([result.line.say(self.lang)] if result.line else []),
                 result.weight.say(self.lang), result.errors.say(self.lang)]  # fmt: skip
        blocks: list[Block] = [self.say("text_protection")]
        blocks.append(Grid(self.say("table_levels"), heads, rows, 2, result.definition.say(self.lang), self.source(),
                           notes))  # fmt: skip
        points = [
            Spot(self.sections.what(row), self.law(row), row["estimate"], row["low"], row["high"])
            for row in _rows(result, "headcount").iter_rows(named=True)
        ]
        points += [
            Spot(self.sections.what(row), self.law(row), row["estimate"], row["low"], row["high"])
            for row in _rows(result, "net_headcount").iter_rows(named=True)
        ]
        seen = join([f"{one.place} {one.series} {_told(one.value, 'percent')}" for one in points], self.lang)
        drawing = spots(points, self.say("axis_protection"))
        alt = self.say("alt_protection", told=seen)
        blocks.append(Plate(self.say("figure_protection"), drawing, alt, self.source(), [self.say("note_interval")]))
        return Part(self.say("part_protection"), blocks)

    def groups(self) -> Part:
        result = self.found.groups
        rows: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
        for row in result.rows.iter_rows(named=True):
            # Without response only: with it, spending holds care that would not have been sought.
            if (row["by"] is not None and row["by"] not in _WAYS) or row["response"] != "none":
                continue
            by = name_of("column", row["by"], self.lang) if row["by"] else say("result.all", self.lang)
            group = self.sections.group(row["by"], row["group"]) if row["group"] else say("result.all", self.lang)
            rows.setdefault((by, group, self.law(row)), {})[row["statistic"]] = row
        body: list[list[Cell]] = []
        for key, cells in rows.items():
            people = next(iter(cells.values()))["n"]
            if people < FEW:
                body.append([*key, f"<{FEW}", *["-"] * 5])
                continue
            shown = [cells.get(one) for one in ("better_off", "worse_off", "mean_change")]
            numbers = [Figure(one["estimate"] if one else None, form) for one, form in zip(
                shown, ("percent", "percent", "amount"), strict=True)]  # fmt: skip
            last = cells.get("mean_change")
            ends = [Figure(last[one] if last else None, "amount") for one in ("low", "high")]
            body.append([*key, Figure(people, "count"), *numbers, *ends])
        heads = self.heads("by", "group", "law", "people", "better_off", "worse_off", "mean_change", "low", "high")
        table = Grid(self.say("table_groups"), heads, body, 3, result.definition.say(self.lang), self.source())
        return Part(self.say("part_groups"), [self.say("text_groups"), table])

    def funds(self) -> Part:
        result = self.found.funds
        names = ("paid_in", "subsidy", "paid_out", "balance", "extra", "public_cost")
        cells: dict[tuple[str, str], dict[str, Any]] = {}
        for row in result.rows.filter(pl.col("statistic").is_in(names)).iter_rows(named=True):
            cells.setdefault((self.law(row), self.sections.fund(row["fund"])), {})[row["statistic"]] = row["estimate"]
        shown = [one for one in names if any(one in found for found in cells.values())]
        body: list[list[Cell]] = [
            [*key, *(Figure(found.get(one), "count") for one in shown)] for key, found in cells.items()
        ]
        heads = [*self.heads("law", "fund"), *(name_of("statistic", one, self.lang) for one in shown)]
        table = Grid(self.say("table_funds"), heads, body, 2, result.definition.say(self.lang), self.source(),
                     [self.say("note_funds")])  # fmt: skip
        return Part(self.say("part_funds"), [self.say("text_funds"), table])

    def prices(self) -> Part | None:
        rows = _rows(self.found.protection, "change_per_10000").filter(pl.col("estimate").is_not_null())
        body: list[list[Cell]] = [
            [self.sections.what(row), self.law(row), *_numbers(row)]
            for row in rows.iter_rows(named=True)
            if row["of"] in ("headcount", "net_headcount")
        ]
        if not body:
            return None
        table = Grid(self.say("table_prices"), self.heads("statistic", "law", "per_10000", "low", "high"), body, 2,
                     say("simulation.per_10000", self.lang), self.source())  # fmt: skip
        return Part(self.say("part_prices"), [self.say("text_prices"), table])

    def cliffs(self) -> Part | None:
        jumps = self.found.jumps
        if jumps is None:
            return None
        if not jumps:
            return Part(self.say("part_cliffs"), [self.say("no_cliffs")])
        most = sorted(jumps, key=lambda one: (one.fate == "changed", -abs(one.jump_after_fen - one.jump_before_fen)))
        body: list[list[Cell]] = [
            [self.sections.scenario(one.scenario, "none"), self.sections.say(one.fate), one.text(self.lang),
             Figure(one.jump_before_fen / 100, "amount"), Figure(one.jump_after_fen / 100, "amount")]
            for one in most[:MOST_CLIFFS]
        ]  # fmt: skip
        notes = [self.say("more_cliffs", shown=MOST_CLIFFS, all=len(jumps))] if len(jumps) > MOST_CLIFFS else []
        table = Grid(self.say("table_cliffs"), self.heads("law", "fate", "cliff", "before", "after"), body, 3,
                     self.say("define_cliffs"), self.address(), notes)  # fmt: skip
        return Part(self.say("part_cliffs"), [table])

    def remarks(self) -> Part:
        told = [
            one.text(self.lang) for one in sorted(self.found.flags, key=lambda one: one.group is not None)[:MOST_FLAGS]
        ]
        told += [note.say(self.lang) for note in self.found.notes]
        if self.found.rejects is not None:
            told.append(self.say("set_aside", rows=f"{self.found.rejects.height:,}"))
        return Part(self.say("part_remarks"), [Points(list(dict.fromkeys([*told, self.say("about_medfloor")])))])


def _rows(result: Result, statistic: str) -> pl.DataFrame:
    return result.rows.filter((pl.col("statistic") == statistic) & pl.col("group").is_null())


def _numbers(row: Mapping[str, Any]) -> Sequence[Cell]:
    form = "percent" if row["kind"] == "proportion" else str(row["kind"])
    return [Figure(row[one], form) for one in ("estimate", "low", "high")]


def _told(value: float | None, form: str) -> str:
    return cell_text(Figure(value, form))


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.2f}"
