"""Lay a simulation out as sections in words: titles, text and tables, in both languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from medfloor.measures.result import Result, figure_text, label_of, name_of
from medfloor.reports.reform_words import document_of, in_points
from medfloor.reports.workbook import Cell, Figure, Sheet
from medfloor.simulation.compare import Simulation
from medfloor.simulation.groups import group_name
from medfloor.simulation.households import Changed
from medfloor.words import knows, say

MOST_CHANGED_CLIFFS = 10
"""Of cliffs that only change, so many are shown, those that change most; the JSON has all."""


@dataclass(frozen=True, slots=True)
class Section:
    """Be one part of the page: a title, lines of text, and a table (its first `names` columns name a row)."""

    title: str
    text: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    names: int = 1


def sections_of(simulation: Simulation, lang: str = "en") -> list[Section]:
    """Lay a whole simulation out as sections: those of the appendix."""
    words = SimulationWords(simulation, lang)
    made = [
        words.reforms(),
        words.flags(),
        words.payers(),
        words.levels(),
        words.changes("reform_change", "change"),
        words.levels(premiums=True),
        words.changes("reform_change", "change_with_premiums", premiums=True),
        words.changes("change_per_10000", "price"),
        words.changes("change_per_10000_paid", "price_paid"),
        words.groups(),
        words.funds(),
        words.regions(),
        words.use(),
        words.cliffs(),
        words.households(),
        words.notes(),
    ]
    return [one for one in made if one is not None]


@dataclass(frozen=True, slots=True)
class SimulationWords:
    """Say the sections of a simulation in one language."""

    of: Simulation
    lang: str

    def say(self, key: str, **values: object) -> str:
        """Say a key of the page."""
        return say(f"page.{key}", self.lang, **values)

    def scenario(self, name: str, response: str) -> str:
        """Name a law by its title, with the response where there are both."""
        found = next(one for one in self.of.scenarios if one.name == name)
        title = name_of("scenario", name, self.lang) if not found.reforms else found.title(self.lang)
        both = "stated" in self.of.protection.rows["response"].to_list()
        if not both or not found.reforms:
            return title
        return f"{title} ({name_of('response', response, self.lang)})"

    def payer(self, name: str) -> str:
        """Name a payer: a tier, the patients, or all."""
        if name in ("own", "all"):
            return name_of("payer", name, self.lang)
        for one in self.of.scenarios:
            for tier in one.law.policies.versions[-1].tiers:
                if tier.id == name:
                    return str(getattr(tier.name, self.lang))
        return name_of("tier", name, self.lang)

    def reforms(self) -> Section | None:
        """Tell what the reforms say about themselves."""
        lines = []
        for one in self.of.scenarios[1:]:
            for path, about in zip(one.reforms, one.about, strict=True):
                name = getattr(about.name, self.lang) if about.name else path.stem
                seed = self.say(
                    "from_seed",
                    seed=document_of(about.seed or "", self.lang),
                    trust=name_of("trust", about.trust, self.lang),
                )
                note = f" {getattr(about.note, self.lang)}" if about.note else ""
                lines.append(f"{name} ({path.name}){': ' + seed if about.seed else ''}.{note}")
        return Section(self.say("reforms"), tuple(lines))

    def flags(self) -> Section | None:
        """List the conclusions that hold only without response; None where there is no response."""
        if "stated" not in self.of.protection.rows["response"].to_list():
            return None
        told = tuple(flag.text(self.lang) for flag in self.of.flags) or (self.say("no_flags"),)
        return Section(self.say("flags"), told)

    def payers(self) -> Section:
        """Tell who pays what under each law."""
        rows = self.of.payers.rows
        found = [
            (self.payer(str(row["payer"])), self.scenario(row["scenario"], row["response"]), *self.figures(row))
            for row in rows.filter(pl.col("statistic") == "amount").iter_rows(named=True)
        ]
        changed = {
            (row["payer"], row["scenario"], row["response"]): self.figures(row)[0]
            for row in rows.filter(pl.col("statistic") == "reform_change").iter_rows(named=True)
        }
        keys = rows.filter(pl.col("statistic") == "amount").select("payer", "scenario", "response").rows()
        body = tuple((*cells, changed.get(key, "")) for cells, key in zip(found, keys, strict=True))
        heads = [name_of("column", one, self.lang) for one in ("payer", "scenario")]
        heads += [say("statistic.amount", self.lang), *self.errors(), name_of("statistic", "reform_change", self.lang)]
        return Section(self.say("who_pays"), (self.of.payers.definition.say(self.lang),), tuple(heads), body, 2)

    def errors(self) -> list[str]:
        """Name the columns of errors."""
        return [name_of("column", "se", self.lang), self.say("interval")]

    def figures(self, row: Mapping[str, Any]) -> tuple[str, str, str]:
        """Write estimate, error and interval of a row."""
        low, high = (figure_text(row[one], row["kind"]) for one in ("low", "high"))
        around = "-" if low == high == "-" else f"{low} – {high}"
        told = figure_text(row["estimate"], row["kind"]), figure_text(row["se"], row["kind"], "se"), around
        if row["statistic"] != "reform_change":
            return told
        first, second, third = (in_points(one, self.lang) for one in told)
        return first, second, third

    def what(self, row: Mapping[str, Any]) -> str:
        """Name a statistic with its definition, threshold or line."""
        name = name_of("statistic", row["of"] or row["statistic"], self.lang)
        more = []
        if row["definition"] is not None:
            more.append(f"{label_of('definition', row['definition'], self.lang)} {100 * row['threshold']:g} %")
        if row["line"] is not None:
            more.append(label_of("line", row["line"], self.lang))
        if row.get("group") is not None:
            more.append(f"{name_of('column', row['by'], self.lang)}: {label_of('group', row['group'], self.lang)}")
        return f"{name} ({', '.join(more)})" if more else name

    def levels(self, *, premiums: bool = False) -> Section | None:
        """Tell protection under each law; None where nothing was measured."""
        result = self.of.with_premiums if premiums else self.of.protection
        if result is None:
            return None
        views = ("reform_change", "change_per_10000", "change_per_10000_paid")
        rows = result.rows.filter(~pl.col("statistic").is_in(views))
        lines = [result.definition.say(self.lang)]
        lines += [result.line.say(self.lang)] if result.line else []
        lines += [result.weight.say(self.lang), result.errors.say(self.lang)]
        order = list(dict.fromkeys(self.what(row) for row in rows.iter_rows(named=True)))
        told = [
            (self.what(row), self.scenario(row["scenario"], row["response"]), *self.figures(row))
            for row in rows.iter_rows(named=True)
        ]
        told.sort(key=lambda cells: order.index(cells[0]))
        heads = [name_of("column", one, self.lang) for one in ("statistic", "scenario", "estimate")]
        title = self.say("with_premiums" if premiums else "protection")
        return Section(title, tuple(lines), (*heads, *self.errors()), tuple(told), 2)

    def changes(self, view: str, title: str, *, premiums: bool = False) -> Section | None:
        """Tell one view of changes; None where there is none."""
        result = self.of.with_premiums if premiums else self.of.protection
        rows = pl.DataFrame() if result is None else result.rows.filter(pl.col("statistic") == view)
        if rows.is_empty():
            return None
        order = list(dict.fromkeys(self.what(row) for row in rows.iter_rows(named=True)))
        told = [
            (
                self.what(row), self.scenario(row["scenario"], row["response"]), *self.figures(row),
                figure_text(row["p"], "index", "p"),
            )
            for row in rows.iter_rows(named=True)
        ]  # fmt: skip
        told.sort(key=lambda cells: order.index(cells[0]))
        heads = [name_of("column", one, self.lang) for one in ("statistic", "scenario", "estimate")]
        heads += [*self.errors(), name_of("column", "p", self.lang)]
        if view != "reform_change":  # a price has no test
            text = (say("simulation.per_10000", self.lang),) if view == "change_per_10000" else ()
            return Section(self.say(title), text, tuple(heads[:-1]), tuple(cells[:-1] for cells in told), 2)
        return Section(self.say(title), (), tuple(heads), tuple(told), 2)

    def groups(self) -> Section:
        """Tell winners and losers by group."""
        result = self.of.groups
        shown = ["better_off", "worse_off", "mean_change"]
        if (result.rows["statistic"] == "bill_change").any():
            shown += ["bill_better_off", "bill_worse_off", "bill_change"]
        rows: dict[tuple[str, str, str, int], dict[str, str]] = {}
        for row in result.rows.iter_rows(named=True):
            by = name_of("column", row["by"], self.lang) if row["by"] else say("result.all", self.lang)
            group = self.group(row["by"], row["group"]) if row["group"] else ""
            key = (by, group, self.scenario(row["scenario"], row["response"]), int(row["n"]))
            estimate, _, around = self.figures(row)
            rows.setdefault(key, {})[row["statistic"]] = f"{estimate} ({around})" if around != "-" else estimate
        heads = [name_of("column", one, self.lang) for one in ("by", "group", "scenario", "n")]
        heads += [name_of("statistic", one, self.lang) for one in shown]
        body = tuple((*key[:3], f"{key[3]:,}", *(cells.get(one, "-") for one in shown)) for key, cells in rows.items())
        return Section(self.say("groups"), (result.definition.say(self.lang),), tuple(heads), body, 3)

    def group(self, by: str, group: str) -> str:
        """Name a group of people."""
        return group_name(by, group, self.lang)

    def fund(self, name: str) -> str:
        """Name a fund: the residents' insurance, a tier of its own, or all."""
        return name_of("fund", name, self.lang) if knows(f"fund.{name}", self.lang) else self.payer(name)

    def funds(self) -> Section:
        """Tell what each fund takes in and pays out."""
        columns = (
            "paid_in",
            "subsidy",
            "paid_out",
            "balance",
            "extra",
            "extra_paid_in",
            "extra_subsidy",
            "public_cost",
        )
        return self.across(self.of.funds, "funds", "fund", self.fund, columns)

    def regions(self) -> Section | None:
        """Tell what pooling moves; None where nothing is pooled."""
        if self.of.regions is None:
            return None
        return self.across(self.of.regions, "pools", "region", str, ("balance_apart", "balance_pooled", "transfer"))

    def use(self) -> Section | None:
        """Tell how use responds; None where it does not."""
        if "stated" not in self.of.use.rows["response"].to_list():
            return None
        return self.across(
            self.of.use, "use", "care", lambda one: self.named("care", one), ("units", "use_ratio", "bill")
        )

    def named(self, section: str, name: str) -> str:
        """Name a code of a section of the catalogue."""
        return name_of(section, name, self.lang)

    def across(
        self, result: Result, title: str, label: str, named: Callable[[str], str], columns: Sequence[str]
    ) -> Section:
        """Lay totals out, a column a statistic, each with its interval; statistics that nothing has are left out."""
        cells: dict[tuple[str, str], dict[str, str]] = {}
        for row in result.rows.iter_rows(named=True):
            key = (self.scenario(row["scenario"], row["response"]), named(str(row[label])))
            # Yuan and fen of a total tell nothing that its error does not take away.
            kind = "count" if row["kind"] == "amount" else row["kind"]
            low, high = (figure_text(row[one], kind) for one in ("low", "high"))
            around = f" ({low} – {high})" if low != "-" and low != high else ""
            cells.setdefault(key, {})[row["statistic"]] = figure_text(row["estimate"], kind) + around
        shown = [one for one in columns if any(one in found for found in cells.values())]
        body = tuple((*key, *(found.get(one, "-") for one in shown)) for key, found in cells.items())
        heads = [name_of("column", one, self.lang) for one in ("scenario", label)]
        heads += [name_of("statistic", one, self.lang) for one in shown]
        text = (result.definition.say(self.lang), self.say("around"))
        return Section(self.say(title), text, tuple(heads), body, 2)

    def cliffs(self) -> Section:
        """Tell cliffs opened, closed and changed."""
        title = self.say("cliffs")
        if self.of.jumps is None:
            return Section(title, (self.say("cliffs_not_sought"),))
        changed = [one for one in self.of.jumps if one.fate == "changed"]
        changed.sort(key=lambda one: -abs(one.jump_after_fen - one.jump_before_fen))
        shown = [one for one in self.of.jumps if one.fate != "changed"] + changed[:MOST_CHANGED_CLIFFS]
        if not shown:
            return Section(title, (self.say("no_cliffs"),))
        body = tuple(
            (
                self.scenario(one.scenario, "none"), self.say(one.fate), one.text(self.lang),
                f"{one.jump_before_fen / 100:,.2f}", f"{one.jump_after_fen / 100:,.2f}",
            )
            for one in shown
        )  # fmt: skip
        heads = [name_of("column", "scenario", self.lang)]
        heads += [self.say(one) for one in ("what", "cliff", "before", "after")]
        return Section(title, (), tuple(heads), body, 3)

    def households(self) -> Section | None:
        """List the households most changed; None where there are none."""
        if not self.of.changed:
            return None
        body = tuple(self.household(one) for one in self.of.changed)
        return Section(self.say("households"), (), tuple(self.household_heads()), body, 4)

    def household(self, one: Changed) -> tuple[str, ...]:
        """Lay one household out as cells."""
        moved = [
            self.say("by_payer", payer=self.payer(name), before=f"{old:,.2f}", after=f"{new:,.2f}")
            for name, old, new in one.payers
            if abs(new - old) >= 0.01
        ]
        moved.append(self.say("claim", claim=one.claim_id))
        moved += [self.say("article", payer=self.payer(name), article=article) for name, article in one.articles]
        # What a reform adds rests on no article of the law.
        rested = {name for name, _ in one.articles}
        files = " + ".join(path.name for law in self.of.scenarios if law.name == one.scenario for path in law.reforms)
        moved += [
            self.say("by_reform", payer=self.payer(name), files=files)
            for name, old, new in one.payers
            if abs(new - old) >= 0.01 and name not in rested
        ]
        return (
            self.scenario(one.scenario, "none"), one.household_id, name_of("group", one.status, self.lang),
            "; ".join(moved), f"{one.size:g}", f"{one.before:,.2f}", f"{one.after:,.2f}", f"{one.difference:+,.2f}",
        )  # fmt: skip

    def label(self, column: str, row: Mapping[str, Any]) -> str | None:
        """Name what a row of a result is about: laws, payers, funds and groups by their titles; None: as anywhere."""
        value = row[column]
        if value is None:
            return None
        if column == "scenario":
            return self.scenario(value, "none").removesuffix(f" ({name_of('response', 'none', self.lang)})")
        if column == "group":
            return self.group(str(row["by"]), str(value))
        return {"payer": self.payer, "fund": self.fund}[column](str(value)) if column in ("payer", "fund") else None

    def cliff_sheet(self) -> Sheet | None:
        """Lay the cliffs out as a sheet of a workbook."""
        if not self.of.jumps:
            return None
        rows: list[list[Cell]] = [
            [
                self.scenario(one.scenario, "none"), self.say(one.fate), one.text(self.lang),
                Figure(one.jump_before_fen / 100, "amount"), Figure(one.jump_after_fen / 100, "amount"),
            ]
            for one in self.of.jumps
        ]  # fmt: skip
        heads = [name_of("column", "scenario", self.lang)]
        heads += [self.say(one) for one in ("what", "cliff", "before", "after")]
        return Sheet(self.say("sheet_cliffs"), heads, rows)

    def household_sheet(self) -> Sheet | None:
        """Lay the households most changed out as a sheet of a workbook."""
        if not self.of.changed:
            return None
        rows: list[list[Cell]] = []
        for one in self.of.changed:
            told = self.household(one)
            numbers = (one.before, one.after, one.difference)
            rows.append([*told[:4], Figure(one.size, "whole"), *(Figure(value, "amount") for value in numbers)])
        return Sheet(self.say("sheet_households"), self.household_heads(), rows)

    def household_heads(self) -> list[str]:
        """Name the columns of households."""
        names = ("household", "status", "why", "size", "before", "after", "difference")
        return [name_of("column", "scenario", self.lang), *(self.say(one) for one in names)]

    def notes(self) -> Section:
        """Tell the notes of measures and of the run."""
        told = [note.say(self.lang) for note in (*self.of.protection.notes, *self.of.notes)]
        return Section(self.say("notes"), tuple(dict.fromkeys(told)))
