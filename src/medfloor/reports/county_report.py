"""Lay a county's yearly protection report out: tables and figures of what was measured, small cells hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from medfloor.measures.county_year import NONE, CountyYear
from medfloor.measures.result import Result, name_of
from medfloor.policy.model import GROUPS
from medfloor.reports.captions import notes_of
from medfloor.reports.plates import Bar, Spot, curve, spots, stacked
from medfloor.reports.printing import Block, Grid, Part, Plate, Points, Printout, cell_text, day_text
from medfloor.reports.workbook import Cell, Figure
from medfloor.settlement.cliffs import Cliff
from medfloor.tables import CARE_TYPES, FACILITY_LEVELS
from medfloor.words import join, knows, say

MOST_CLIFFS = 12
"""So many cliffs are printed, the largest first; `medfloor policy check` lists all."""


@dataclass(frozen=True, slots=True)
class OfficeCounts:
    """Be what an office counts in a year.

    `alerts` are signal and number, `cases` state, number and how many are overdue, `arrears` state, whether owed to
    people, number and fen.
    """

    alerts: tuple[tuple[str, int], ...] = ()
    cases: tuple[tuple[str, int, int], ...] = ()
    arrears: tuple[tuple[str, bool, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class FundYear:
    """Be what one fund took in and paid out in the year, yuan; None for income that the policy does not tell."""

    fund: str
    paid_in: float | None
    subsidy: float | None
    paid_out: float


@dataclass(frozen=True, slots=True)
class CountyInputs:
    """Be all that a report is made of beside the measures; `name` is the county as it is to be called.

    `data` and `law` say where the claims come from and under what they were settled; `few` is the number of people
    below which a cell is hidden. `cliffs` are those of the law, None where they were not looked for.
    """

    name: str
    data: str
    law: str | None
    synthetic: bool = False
    few: int = 5
    refused: int = 0
    taken_back: int = 0
    cliffs: tuple[Cliff, ...] | None = None
    office: OfficeCounts | None = None
    funds: tuple[FundYear, ...] = ()


def county_report(found: CountyYear, given: CountyInputs, *, made: date, lang: str = "en") -> Printout:
    """Lay the report out in a language; `made` is the day that stands on it."""
    words = _Words(found, given, lang)
    parts = [
        words.enrolment(), words.payments(), words.reimbursement(), words.catastrophic(), words.impoverishing(),
        words.relief(), words.evenness(), words.cliffs(), words.monitoring(), words.arrears(), words.funds(),
        words.about(),
    ]  # fmt: skip
    marks = [words.say("synthetic")] if given.synthetic else []
    facts = [
        (words.say("fact_year"), str(found.year)),
        (words.say("fact_data"), given.data),
        (words.say("fact_law"), given.law or words.say("law_unknown")),
        (words.say("fact_made"), day_text(made, lang)),
    ]
    return Printout(
        words.say("title", name=given.name, year=found.year), lang, made, [one for one in parts if one is not None],
        subtitle=words.say("subtitle"), marks=marks, facts=facts, short=words.short(),
    )  # fmt: skip


class _Words:
    """Say one report in one language."""

    def __init__(self, found: CountyYear, given: CountyInputs, lang: str) -> None:
        self.found, self.given, self.lang = found, given, lang

    def say(self, key: str, **values: object) -> str:
        return say(f"county_report.{key}", self.lang, **values)

    def tier(self, name: str) -> str:
        return name_of("tier", name, self.lang)

    def group(self, by: str, name: str | None) -> str:
        if name is None:
            return self.say("everybody" if by == "all" else "unknown")
        if by == "status":
            return self.say("no_status") if name == NONE else name_of("group", name, self.lang)
        return name_of(by, name, self.lang)

    def source(self) -> str:
        return self.given.data

    def hidden(self) -> str:
        return self.say("hidden", few=self.given.few)

    def small(self) -> str:
        return f"<{self.given.few}"

    # What it says in short

    def short(self) -> list[str]:
        care = self.care("all").row(0, named=True)
        told = []
        insured = self.found.insured
        if insured is not None:
            row = insured.filter(pl.col("by") == "all").row(0, named=True)
            told.append(self.say("short_insured", people=f"{row['people']:,}", insured=f"{row['insured']:,}",
                                 share=_share(row["share"])))  # fmt: skip
        told.append(self.say(
            "short_care", claims=f"{care['claims']:,}", people=f"{care['people']:,}", total=_yuan(care["total"]),
            share=_share(care["real_ratio"]), own=_yuan(care["own"]),
        ))  # fmt: skip
        poor = [row for row in self.care("status").iter_rows(named=True) if row["group"] != NONE]
        if poor:
            total, own = (sum(row[name] for row in poor) for name in ("total", "own"))
            if total > 0 and sum(row["people"] for row in poor) >= self.given.few:
                told.append(self.say("short_poor", share=_share(1 - own / total)))
        for definition, threshold, result in self.found.catastrophic[:1]:
            before, after = (_value(result, "headcount", tier) for tier in ("before", self.found.tiers[-1]))
            what = self.defined(definition, threshold)
            told.append(self.say("short_catastrophic", what=what, before=_share(before), after=_share(after)))
        if self.found.impoverishing is not None:
            after = _value(self.found.impoverishing, "impoverished", self.found.tiers[-1])
            told.append(self.say("short_impoverished", share=_share(after)))
        return told

    # Sections

    def enrolment(self) -> Part | None:
        insured = self.found.insured
        if insured is None:
            return None
        whole = insured.filter(pl.col("by") != "status")
        blocks: list[Block] = [
            self.say("text_enrolment"),
            self.sifted_grid(self.say("table_insured", year=self.found.year),
                             ("way", "group", "people", "insured", "share"),
                             list(self.enrolled(whole)), 2, self.say("define_insured")),
        ]  # fmt: skip
        poor = _ordered(insured.filter(pl.col("by") == "status"))
        if poor.height:
            rows = [row[1:] for row in self.enrolled(poor)]
            names = ("status", "people", "insured", "share")
            blocks.append(self.sifted_grid(self.say("table_insured_poor"), names, rows, 1, self.say("define_status")))
        return Part(self.say("part_enrolment"), blocks)

    def enrolled(self, rows: pl.DataFrame) -> Iterator[list[Cell]]:
        few = self.given.few
        for row, hide in self.sifted(rows):
            names: list[Cell] = [self.say(f"way_{row['by']}"), self.group(row["by"], row["group"])]
            uninsured = row["people"] - row["insured"]
            if hide:
                yield [*names, self.small(), "-", "-"]
            elif 0 < uninsured < few and row["by"] != "scheme":
                least = row["people"] - few
                yield [*names, Figure(row["people"], "count"), f">{least:,}", f">{_share(least / row['people'])}"]
            elif 0 < row["insured"] < few:
                yield [*names, Figure(row["people"], "count"), self.small(), f"<{_share(few / row['people'])}"]
            else:
                numbers = (("people", "count"), ("insured", "count"), ("share", "percent"))
                yield [*names, *(Figure(row[name], form) for name, form in numbers)]

    def payments(self) -> Part:
        row = self.care("all").row(0, named=True)
        heads = self.heads("payer", "amount", "of_total", "per_person")
        rows: list[list[Cell]] = []
        parts = [("in_scope", row["in_scope"]), *((f"pay_{one}", row[f"pay_{one}"]) for one in self.found.tiers)]
        paid = sum(row[f"pay_{one}"] for one in self.found.tiers)
        parts = [("total", row["total"]), *parts, ("paid", paid), ("own", row["own"])]
        for name, amount in parts:
            if amount is None:
                continue
            told = self.tier(name.removeprefix("pay_")) if name.startswith("pay_") else self.say(f"amount_{name}")
            share = amount / row["total"] if row["total"] > 0 else None
            rows.append([told, Figure(amount, "amount"), Figure(share, "percent"),
                         Figure(amount / row["people"] if row["people"] else None, "amount")])  # fmt: skip
        levels = self.care("facility_level")
        blocks: list[Block] = [
            self.say("text_payments"),
            Grid(self.say("table_payments", year=self.found.year), heads, rows, 1, self.say("define_payments"),
                 self.source()),
            self.care_table("table_care_type", "care_type"),
        ]  # fmt: skip
        if levels.height:
            blocks += [self.care_table("table_level", "facility_level"), *self.payers("figure_level", "facility_level")]
        return Part(self.say("part_payments"), blocks)

    def reimbursement(self) -> Part | None:
        if self.care("status").is_empty():
            return None
        return Part(
            self.say("part_reimbursement"),
            [self.say("text_reimbursement"), self.care_table("table_status", "status"),
             *self.payers("figure_status", "status")],
        )  # fmt: skip

    def care_table(self, title: str, by: str) -> Grid:
        names = ["claims", "people", "total", "paid", "own", "real_ratio", "scope_ratio"]
        forms = dict(zip(names, ("count", "count", "amount", "amount", "amount", "percent", "percent"), strict=True))
        rows: list[list[Cell]] = []
        for row, hide in self.sifted(self.care(by)):
            values = {**row, "paid": sum(row[f"pay_{one}"] for one in self.found.tiers)}
            told: list[Cell] = [self.small(), *["-"] * (len(names) - 1)]
            rows.append([
                self.group(by, row["group"]), *(told if hide else [Figure(values[one], forms[one]) for one in names]),
            ])  # fmt: skip
        heads = (by if by != "status" else "status_care", *names)
        return self.sifted_grid(self.say(title), heads, rows, 1, self.say("define_ratios"))

    def payers(self, title: str, by: str) -> Iterator[Plate]:
        """Draw who paid; nothing where every row is hidden."""
        bars = []
        kept = [row for row, hide in self.sifted(self.care(by)) if not hide and row["total"] > 0]
        for row in kept:
            name = self.group(by, row["group"])
            bars += [Bar(name, self.tier(one), row[f"pay_{one}"] / row["total"], one) for one in self.found.tiers]
            bars.append(Bar(name, self.say("amount_own"), row["own"] / row["total"], "own"))
        told = join([f"{self.group(by, row['group'])} {_share(row['real_ratio'])}" for row in kept], self.lang)
        alt = self.say("alt_payers", what=self.say(title), told=told)
        if bars:
            yield Plate(self.say(title), stacked(bars, self.say("axis_share")), alt, self.source())

    def catastrophic(self) -> Part | None:
        if not self.found.catastrophic:
            return None
        rows: list[list[Cell]] = []
        points: list[Spot] = []
        for definition, threshold, result in self.found.catastrophic:
            what = self.defined(definition, threshold)
            for tier in ("before", *self.found.tiers):
                row = result.pick("headcount", tier=tier).rows.row(0, named=True)
                over = _value(result, "overshoot", tier)
                rows.append([what, self.stage(tier), *_estimate(row), Figure(over, "percent")])
                if tier in ("before", self.found.tiers[-1]):
                    points.append(Spot(what, self.stage(tier), row["estimate"], row["low"], row["high"]))
        first = self.found.catastrophic[0][2]
        heads = self.heads("definition", "stage", "headcount", "low", "high", "overshoot")
        notes = dict.fromkeys(note for _, _, one in self.found.catastrophic for note in notes_of(one, self.lang)[:2])
        plate = Plate(
            self.say("figure_catastrophic"), spots(points, self.say("axis_households")),
            self.say("alt_catastrophic", told=join([
                f"{one.place} {one.series} {_share(one.value)}" for one in points], self.lang)),
            self.source(), [self.say("note_interval")],
        )  # fmt: skip
        table = Grid(
            self.say("table_catastrophic"), heads, rows, 2, first.definition.say(self.lang), self.source(), list(notes),
        )  # fmt: skip
        return Part(
            self.say("part_catastrophic"),
            [self.say("text_catastrophic", households=f"{self.found.households:,}"), table, plate],
        )

    def impoverishing(self) -> Part | None:
        result = self.found.impoverishing
        if result is None:
            return None
        rows: list[list[Cell]] = []
        for tier in ("before", *self.found.tiers):
            net = result.pick("net_headcount", tier=tier).rows.row(0, named=True)
            gap = _value(result, "net_gap", tier)
            poor = _value(result, "impoverished", tier)
            rows.append([self.stage(tier), *_estimate(net), Figure(poor, "percent"), Figure(gap, "amount")])
        heads = self.heads("stage", "net_headcount", "low", "high", "impoverished", "net_gap")
        table = Grid(
            self.say("table_impoverishing"), heads, rows, 1, self.say("define_impoverishing"), self.source(),
            [*(([result.line.say(self.lang)]) if result.line else []), *notes_of(result, self.lang)[:2]],
        )  # fmt: skip
        return Part(self.say("part_impoverishing"), [self.say("text_impoverishing"), table])

    def relief(self) -> Part | None:
        result = self.found.burden
        if result is None:
            return None
        rows: list[list[Cell]] = []
        for tier in self.found.tiers:
            row = result.pick("burden_reduction", tier=_paid(result, tier)).rows.row(0, named=True)
            more = [_value(result, name, _paid(result, tier)) for name in ("added_reduction", "safe_share")]
            rows.append([self.stage(tier), *_estimate(row), *(Figure(one, "percent") for one in more)])
        heads = self.heads("stage", "burden_reduction", "low", "high", "added_reduction", "safe_share")
        blocks: list[Block] = [
            self.say("text_relief"),
            Grid(self.say("table_relief"), heads, rows, 1, self.say("define_relief"), self.source(),
                 notes_of(result, self.lang)[:2]),
        ]  # fmt: skip
        kept = {row["group"]: hide for row, hide in self.sifted(self.care("status"))}
        if kept:
            last = _paid(result, self.found.tiers[-1])
            body: list[list[Cell]] = []
            for name, hide in kept.items():
                labels = {"tier": last, "by": "status", "group": name}
                found = result.rows.filter(
                    (pl.col("statistic") == "burden_reduction") & pl.col("against").is_null()
                    & (pl.col("tier") == last) & (pl.col("by") == "status") & (pl.col("group") == name)
                )  # fmt: skip
                if hide or found.is_empty():
                    body.append([self.group("status", name), self.small() if hide else "-", *["-"] * 3])
                    continue
                safe = result.pick("safe_share", **labels).estimate
                body.append([self.group("status", name), *_estimate(found.row(0, named=True)), Figure(safe, "percent")])
            names = ("status_care", "burden_reduction", "low", "high", "safe_share")
            told = self.say("define_relief")
            blocks.append(self.sifted_grid(self.say("table_relief_status"), names, body, 1, told))
        return Part(self.say("part_relief"), blocks)

    def evenness(self) -> Part | None:
        result = self.found.concentration
        if result is None:
            return None
        rows: list[list[Cell]] = []
        for tier in ("before", *self.found.tiers):
            row = result.pick("concentration_index", tier=tier).rows.row(0, named=True)
            spending = Figure(_value(result, "mean_spending", tier), "amount")
            rows.append(
                [self.stage(tier), *(Figure(row[one], "index") for one in ("estimate", "low", "high")), spending]
            )
        heads = self.heads("stage", "concentration_index", "low", "high", "mean_spending")
        blocks: list[Block] = [
            self.say("text_evenness"),
            Grid(self.say("table_evenness"), heads, rows, 1, self.say("define_evenness"), self.source(),
                 notes_of(result, self.lang)[:2]),
        ]  # fmt: skip
        if self.found.curve is not None:
            alt = self.say("alt_curve", index=f"{self.found.curve.estimate:.4f}")
            blocks.append(Plate(self.say("figure_curve"), curve(self.found.curve, self.lang), alt, self.source(),
                                share=0.6))  # fmt: skip
        return Part(self.say("part_evenness"), blocks)

    def cliffs(self) -> Part | None:
        found = self.given.cliffs
        if found is None:
            return None
        if not found:
            return Part(self.say("part_cliffs"), [self.say("no_cliffs")])
        # The same jump in several kinds of claims is one row here.
        once: dict[tuple[object, ...], Cliff] = {}
        for one in found:
            once.setdefault((one.kind, one.groups, one.at_fen, one.before_fen, one.after_fen), one)
        most = list(once.values())[:MOST_CLIFFS]
        rows: list[list[Cell]] = []
        for one in most:
            groups = join([text.in_(self.lang) for text in one.group_names], self.lang)
            amounts = (one.at_fen, one.before_fen, one.after_fen, one.jump_fen)
            rows.append([self.say(f"cliff_{one.kind}"), groups, *(Figure(fen / 100, "amount") for fen in amounts)])
        heads = self.heads("cliff", "cliff_groups", "cliff_at", "cliff_before", "cliff_after", "cliff_jump")
        notes = [self.say("more_cliffs", shown=len(most), all=len(once))] if len(once) > len(most) else []
        notes += [self.say("note_growing")] if any(one.growing for one in most) else []
        table = Grid(self.say("table_cliffs"), heads, rows, 2, self.say("define_cliffs"), self.given.law or "", notes)
        return Part(self.say("part_cliffs"), [self.say("text_cliffs"), table])

    def monitoring(self) -> Part | None:
        office = self.given.office
        if office is None:
            return None
        alerts: list[list[Cell]] = [
            [name_of("watch_signal", name, self.lang), self.counted(number)] for name, number in office.alerts
        ]
        cases: list[list[Cell]] = [
            [name_of("case_state", name, self.lang), self.counted(number), self.counted(late)]
            for name, number, late in office.cases
        ]
        blocks: list[Block] = [self.say("text_monitoring")]
        for name, heads, rows in (
            ("alerts", ("signal", "alerts"), alerts), ("cases", ("state", "cases", "overdue"), cases),
        ):  # fmt: skip
            told = self.say(f"define_{name}")
            made = self.sifted_grid(self.say(f"table_{name}"), heads, rows, 1, told)
            blocks.append(made if rows else self.say(f"no_{name}"))
        return Part(self.say("part_monitoring"), blocks)

    def counted(self, number: int) -> Cell:
        return self.small() if 0 < number < self.given.few else Figure(number, "count")

    def arrears(self) -> Part | None:
        office = self.given.office
        if office is None:
            return None
        if not office.arrears:
            return Part(self.say("part_arrears"), [self.say("no_arrears")])
        rows: list[list[Cell]] = []
        for state, owed, number, fen in office.arrears:
            few = 0 < number < self.given.few
            amount: Cell = "-" if few else Figure(abs(fen) / 100, "amount")
            names: list[Cell] = [self.say("owed" if owed else "owing"), name_of("ledger", f"state_{state}", self.lang)]
            rows.append([*names, self.counted(number), amount])
        heads = ("direction", "state", "arrears", "amount")
        table = self.sifted_grid(self.say("table_arrears"), heads, rows, 2, self.say("define_arrears"))
        return Part(self.say("part_arrears"), [self.say("text_arrears"), table])

    def funds(self) -> Part | None:
        if not self.given.funds:
            return None
        rows: list[list[Cell]] = []
        for one in self.given.funds:
            income = None if one.paid_in is None else one.paid_in + (one.subsidy or 0.0)
            balance = None if income is None else income - one.paid_out
            name = say(f"fund.{one.fund}", self.lang) if knows(f"fund.{one.fund}", self.lang) else self.tier(one.fund)
            amounts = (one.paid_in, one.subsidy, one.paid_out, balance)
            rows.append([name, *(Figure(value, "amount") for value in amounts)])
        heads = self.heads("fund", "paid_in", "subsidy", "paid_out", "balance")
        table = Grid(self.say("table_funds"), heads, rows, 1, self.say("define_funds"), self.given.law or "",
                     [self.say("note_funds")])  # fmt: skip
        return Part(self.say("part_funds"), [self.say("text_funds"), table])

    def about(self) -> Part:
        told = [self.say("about_data", refused=f"{self.given.refused:,}", taken_back=f"{self.given.taken_back:,}")]
        told += [self.hidden()]
        told += [
            self.say("about_undone", what=self.say(f"part_of_{name}"), code=code) for name, code in self.found.undone
        ]
        absent = [one for one in ("insured", "impoverishing") if getattr(self.found, one) is None]
        told += [self.say(f"absent_{one}") for one in absent]
        told.append(self.say("about_medfloor"))
        return Part(self.say("part_about"), [Points(told)])

    # Rows

    def care(self, by: str) -> pl.DataFrame:
        return _ordered(self.found.care.filter(pl.col("by") == by))

    def stage(self, tier: str) -> str:
        return self.say("before") if tier == "before" else self.say("after", tier=self.tier(tier))

    def defined(self, definition: str, threshold: float) -> str:
        return self.say(f"defined_{definition}", threshold=f"{100 * threshold:g}")

    def heads(self, *names: str) -> list[str]:
        return [self.say(f"head_{name}") for name in names]

    def sifted_grid(
        self, title: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], names: int, definition: str
    ) -> Grid:
        """Make a table whose small cells are hidden, and say so where one is."""
        hides = any(isinstance(cell, str) and cell[:1] in ("<", ">") for row in rows for cell in row)
        return Grid(title, self.heads(*heads), rows, names, definition, self.source(), [self.hidden()] if hides else [])

    def sifted(self, rows: pl.DataFrame) -> list[tuple[dict[str, Any], bool]]:
        """Say of each row whether it is hidden: too few people, or the one that alone would give a hidden one away."""
        found = list(rows.iter_rows(named=True))
        hidden = {place for place, row in enumerate(found) if 0 < row["people"] < self.given.few}
        for by in {row["by"] for row in found}:
            mine = [place for place, row in enumerate(found) if row["by"] == by and row["people"] > 0]
            if len(hidden & set(mine)) == 1 and len(mine) > 1:
                hidden.add(min((one for one in mine if one not in hidden), key=lambda one: found[one]["people"]))
        return [(row, place in hidden) for place, row in enumerate(found)]


def _ordered(rows: pl.DataFrame) -> pl.DataFrame:
    """Bring levels, kinds of care and statuses into the order of the field; what is not known comes last."""
    order = {name: place for place, name in enumerate((*CARE_TYPES, *FACILITY_LEVELS, *GROUPS, NONE))}
    at = pl.col("group").replace_strict(order, default=len(order), return_dtype=pl.Int64)
    return rows.sort(at, maintain_order=True)


def _estimate(row: Mapping[str, Any]) -> list[Cell]:
    return [Figure(row[name], "percent") for name in ("estimate", "low", "high")]


def _value(result: Result, statistic: str, tier: str) -> float:
    return result.value(statistic, tier=tier, **({"of": None} if "of" in result.rows.columns else {}))


def _paid(result: Result, tier: str) -> str:
    """Find how a burden names a tier."""
    names = result.rows["tier"].drop_nulls().unique().to_list()
    return tier if tier in names else f"pay_{tier}"


def _share(value: float | None) -> str:
    return cell_text(Figure(value, "percent"))


def _yuan(value: float) -> str:
    return cell_text(Figure(value, "amount"))
