"""Adjust benefits year by year by a published table of steps: a decision to be signed, and twenty years of closed loop.

Open loop is the law as it is; in the closed loop each year's benefits follow from the year before, on the same shocks.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError
from medfloor.fund.basis import Basis
from medfloor.fund.floors import moving_benefits
from medfloor.fund.outlook import Outlook
from medfloor.fund.projection import PATHS, SEED, YEARS, Controls, Year, prepare, project
from medfloor.fund.reserves import fan, months
from medfloor.fund.series import unit_text
from medfloor.fund.steps import Benefit, Seen, State, Step, Steps, begin, benefit_name, reasons, shipped_steps, step
from medfloor.terminal import aligned
from medfloor.words import Phrase, knows, say

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decision:
    """Be one proposed step: what was seen, which row of the table holds, what moves, and why, in both languages.

    `listed` has, for a benefit with a ranked list, which of it are in before and after, and for the poor. `record` is
    what a signature is attached to; its digest is of everything that was decided on.
    """

    year: int
    place: str
    table: str
    seen: Mapping[str, float | None]
    row: str
    benefit: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    poor: Mapping[str, float]
    floors: Mapping[str, float]
    why: tuple[Phrase, ...]
    listed: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Give the record to be signed: the proposal, its digest (SHA-256), and an empty signature."""
        proposal = {
            "kind": "adjustment", "schema": 1, "year": self.year, "place": self.place, "table": self.table,
            "seen": dict(self.seen), "row": self.row, "benefit": self.benefit, "before": dict(self.before),
            "after": dict(self.after), "after_poor": dict(self.poor), "floors": dict(self.floors),
            "listed": {name: {when: list(ids) for when, ids in one.items()} for name, one in self.listed.items()},
            "reasons": {lang: [one.say(lang) for one in self.why] for lang in ("zh", "en")},
        }  # fmt: skip
        return {"proposal": proposal, "digest": _digest(proposal), "signature": None}

    def text(self, lang: str = "en") -> str:
        """Tell it: the reasons, one a line."""
        head = say("fund_adjust.decision", lang, year=self.year, digest=self.record()["digest"][:12])
        return "\n".join([head, *(f"  - {one.say(lang)}" for one in self.why)])

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")


def sign(record: Mapping[str, Any], *, by: str, on: str, accepted: bool, note: str = "") -> dict[str, Any]:
    """Attach a person's decision to a record; the proposal must be the one that was printed. `on` is a date.

    The signature names who decided; it proves nothing about identity, which is for the office's own seal.

    Raises InputError record_changed where the proposal is not the one of its digest, record_signed for a second one.

    >>> from medfloor.fund.basis import national
    >>> record = decide(national(), shipped_steps()).record()
    >>> sign(record, by="Li", on="2025-12-01", accepted=True)["signature"]["accepted"]
    True
    """
    given: Any = record
    if not isinstance(given, Mapping) or set(given) != {"proposal", "digest", "signature"}:
        raise InputError("bad_record", "this is no record of an adjustment; `medfloor fund adjust --out DIR` makes one")
    if _digest(record["proposal"]) != record["digest"]:
        raise InputError("record_changed", "the proposal is not the one of its digest; take the record as written")
    if record["signature"] is not None:
        raise InputError("record_signed", "the record is signed already; make a new one for a new decision")
    return dict(record) | {"signature": {"by": by, "on": on, "accepted": accepted, "note": note}}


@dataclass(frozen=True, slots=True, eq=False)
class Adjustment:
    """Be a table of steps tried on a projection: the first decision, and both loops on the same shocks.

    `frame` has a row a year: shares of paths that were cut, raised, held at the floor or left; months of payment
    (trend, p5, p50, p95) open and closed; the probability of being below the table's line, open and closed; basic
    benefits on the trend, closed less open, in yuan. `benefits` has a row a year and benefit: on the trend, the mean
    and p5, p50, p95 of the ordinary, and the mean of the poor. `lists` has a row a year and entry of a ranked list: its
    rank, whether it is in on the trend, and the share of paths in which it is, for the ordinary and the poor.
    `trend` are the decisions along the trend.
    """

    open: Outlook
    closed: Outlook
    table: Steps
    trend: tuple[Decision, ...]
    frame: pl.DataFrame
    benefits: pl.DataFrame
    lists: pl.DataFrame
    notes: tuple[Phrase, ...] = ()

    @property
    def decision(self) -> Decision:
        """Give the decision of today: what the table proposes for the first year to come."""
        return self.trend[0]

    @property
    def warnings(self) -> tuple[Phrase, ...]:
        """Say that the basic fund is empty on the trend in spite of the table."""
        return self.closed.warnings

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the years with the place in words."""
        return self.frame.with_columns(pl.lit(self.open.name(lang)).alias("place"))

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON."""
        return {
            "place": self.open.name(lang), "table": table_dict(self.table), "decision": self.decision.record(),
            "trend": [one.record()["proposal"] for one in self.trend], "years": self.frame.to_dicts(),
            "benefits": self.benefits.to_dicts(), "lists": self.lists.to_dicts(),
            "moving_by_law": moving_benefits().to_dicts(),
            "open": self.open.to_dict(lang), "closed": self.closed.to_dict(lang),
            "notes": [one.say(lang) for one in self.said()], "warnings": [one.say(lang) for one in self.warnings],
        }  # fmt: skip

    def said(self) -> list[Phrase]:
        """Say what must be known beside the numbers."""
        told = [Phrase("fund_adjust.rule_not_optimal"), Phrase("fund_adjust.thresholds_ours")]
        told += [Phrase("fund_adjust.floors_bind"), Phrase("fund_adjust.poor_note"), Phrase("fund_adjust.no_response")]
        return [*told, Phrase("fund_adjust.not_forecast"), *self.notes]

    def head(self, lang: str) -> str:
        """Say what was tried."""
        return say(
            "fund_adjust.head", lang, place=self.open.name(lang), table=self.table.names[lang],
            first=self.open.base + 1, last=self.open.base + self.open.years, paths=f"{self.open.paths:,}",
            seed=self.open.seed,
        )  # fmt: skip

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal: today's decision, the years, the benefits, what the law moves by itself, notes."""
        lines = [self.head(lang), "", self.decision.text(lang), ""]
        for title, rows, right in self.tables(lang):
            lines += [title, *aligned(rows, right), ""]
        for heading, phrases in (("warnings", list(self.warnings)), ("notes", self.said())):
            if phrases:
                lines += [say(f"fund_project.{heading}", lang), *(f"  - {one.say(lang)}" for one in phrases), ""]
        return "\n".join(lines).rstrip()

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def tables(self, lang: str) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give the tables of the page: title, rows of cells (the first are heads), columns flush right."""
        lists = [self._list(one, lang) for one in self.table.benefits if one.ranked]
        return [_steps_table(self.table, lang), self._years(lang), self._benefits(lang), *lists, _law_table(lang)]

    def _shown(self) -> list[int]:
        return self.open._shown(None)

    def _years(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        heads = ("year", "months_open", "months_closed", "below_open", "below_closed", "cut", "raised", "held_at_floor")
        rows = [[say(f"fund_adjust.{one}", lang, line=f"{self.table.line:g}") for one in heads]]
        for row in self.frame.filter(pl.col("year").is_in(self._shown())).iter_rows(named=True):
            fans = [
                " | ".join(f"{row[f'{loop}_{one}']:.1f}" for one in ("p5", "p50", "p95")) for loop in ("open", "closed")
            ]
            shares = ("below_open", "below_closed", "cut", "raised", "held_at_floor")
            rows.append([str(row["year"]), *fans, *(f"{row[one]:.0%}" for one in shares)])
        return say("fund_adjust.loops", lang), rows, list(range(1, len(heads)))

    def _benefits(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        heads = ("year", "benefit", "trend", "mean", "fan", "poor", "floor")
        rows = [[say(f"fund_adjust.{one}", lang) for one in heads]]
        floors = {one.id: one.floor.value for one in self.table.benefits}
        shown = self._shown()
        for row in self.benefits.filter(pl.col("year").is_in([shown[0], shown[len(shown) // 2], shown[-1]])).iter_rows(
            named=True
        ):
            numbers = [f"{row['trend']:g}", f"{row['mean']:.2f}",
                       " | ".join(f"{row[one]:g}" for one in ("p5", "p50", "p95")), f"{row['poor']:.2f}"]  # fmt: skip
            rows.append([str(row["year"]), _named(row["benefit"], lang), *numbers, f"{floors[row['benefit']]:g}"])
        return say("fund_adjust.benefits", lang), rows, [2, 3, 4, 5, 6]

    def _list(self, benefit: Benefit, lang: str) -> tuple[str, list[list[str]], list[int]]:
        """Tell a ranked list: today, and in which share of paths each is in at the first, the middle and last year."""
        shown = self._shown()
        years = list(dict.fromkeys([shown[0], shown[len(shown) // 2], shown[-1]]))
        heads = [say(f"fund_adjust.{one}", lang) for one in ("rank", "entry", "start")]
        poor = say("fund_adjust.covered_poor", lang, year=years[-1])
        rows = [[*heads, *(str(one) for one in years), poor]]
        frame = self.lists.filter(pl.col("benefit") == benefit.id)
        for rank, entry in enumerate(benefit.ranked, 1):
            own = {row["year"]: row for row in frame.filter(pl.col("rank") == rank).iter_rows(named=True)}
            mark = "floor_in" if rank <= benefit.floor.value else "in" if rank <= benefit.start else "out"
            rows.append([str(rank), entry.names[lang], say(f"fund_adjust.list_{mark}", lang),
                         *(f"{own[one]['covered']:.0%}" for one in years),
                         f"{own[years[-1]]['covered_poor']:.0%}"])  # fmt: skip
        return say("fund_adjust.list", lang, benefit=_named(benefit.id, lang)), rows, list(range(3, len(rows[0])))


@dataclass(slots=True)
class _Loop:
    """Be the rule that `project` asks each year; it begins anew with every walk and keeps what it decided."""

    table: Steps
    past: tuple[float, ...]
    margin: float
    walks: list[list[tuple[Seen, Step]]] = field(default_factory=list)
    held: list[Array] = field(default_factory=list)

    def __call__(self, year: int, before: Year | None, reserve: Array) -> Controls:
        paths = reserve.shape[1]
        if before is None:
            self.walks.append([])
            self.held = [np.full(paths, one) for one in self.past]
            margin = np.full(paths, self.margin)
        else:
            income = before.of("income", "basic")
            with np.errstate(divide="ignore", invalid="ignore"):
                margin = np.where(income > 0, 100 * before.of("balance", "basic") / income, np.nan)
            self.held.append(months(before.of("reserve", "basic"), before.of("outgo", "basic")))
        walk = self.walks[-1]
        seen = Seen(self.held[-1], margin, _trend(self.held, self.table.trend_years))
        done = step(self.table, walk[-1][1].after if walk else begin(self.table, paths), seen)
        walk.append((seen, done))
        return controls(self.table, done.after)


def adjust(
    basis: Basis,
    table: Steps | None = None,
    *,
    years: int = YEARS,
    paths: int = PATHS,
    seed: int = SEED,
) -> Adjustment:
    """Try a table of steps on a projection, in open and in closed loop, on the same shocks.

    Raises what `project` raises.

    >>> from medfloor.fund.basis import national
    >>> found = adjust(national(), years=5, paths=100)
    >>> found.frame.columns[:4]
    ['year', 'cut', 'raised', 'held_at_floor']
    """
    asked = table or shipped_steps()
    past, margin = _history(basis, asked.trend_years)
    loop = _Loop(asked, past, margin)
    drawn: dict[str, Any] = {"years": years, "paths": paths, "seed": seed, "lines": (asked.line,)}
    closed = project(basis, rule=loop, **drawn)
    opened = project(basis, **drawn)
    along, chance = loop.walks
    trend = tuple(
        _decision(basis, asked, opened.base + 1 + place, seen, done) for place, (seen, done) in enumerate(along)
    )
    return Adjustment(
        opened, closed, asked, trend, _years_frame(asked, opened, closed, chance), _benefits_frame(
            asked, opened.base, along, chance), _lists_frame(asked, opened.base, along, chance),
        _notes(basis, asked, past),
    )  # fmt: skip


def decide(basis: Basis, table: Steps | None = None) -> Decision:
    """Decide the first year to come from what is known at the end of the base year; no path is drawn."""
    asked = table or shipped_steps()
    past, margin = _history(basis, asked.trend_years)
    loop = _Loop(asked, past, margin)
    loop(basis.year + 1, None, np.zeros((1, 1)))
    return _decision(basis, asked, basis.year + 1, *loop.walks[0][0])


def controls(table: Steps, state: State) -> Controls:
    """Translate benefits in force into what a projection understands.

    The ratio moves payments in proportion; a deductible moves critical illness payments by its power; a disease adds
    its cost. What the poor keep when others are cut is paid to them alone.
    """
    ratio: list[Array] = [np.ones(state.values.shape[1])] * 2
    critical, extra = list(ratio), [np.zeros(state.values.shape[1])] * 2
    for place, one in enumerate(table.benefits):
        both = (state.values[place], state.poor[place])
        if one.moves == "ratio":
            ratio = [value / one.start for value in both]
        elif one.moves == "critical":
            critical = [(value / one.start) ** -one.effect for value in both]
        else:
            extra = [one.costs(value) / 100 for value in both]
    return Controls(
        ratio=ratio[0], ratio_assisted=ratio[1] + extra[1] - extra[0], critical=critical[0],
        critical_assisted=critical[1], extra=extra[0],
    )  # fmt: skip


def table_dict(table: Steps) -> dict[str, Any]:
    """Give a table of steps as plain data, with the source and trust of every number."""
    return {
        "id": table.id, "names": dict(table.names), "source": table.source, "trust": table.trust, "line": table.line,
        "horizon": table.horizon, "scatter": table.scatter, "trend_years": table.trend_years, "wait": table.wait,
        "order_down": [table.benefits[one].id for one in table.order_down],
        "order_up": [table.benefits[one].id for one in table.order_up],
        "rows": [{"id": one.id, "step": one.step, "when": [dict(group) for group in one.when]} for one in table.rows],
        "benefits": [
            {
                "id": one.id, "moves": one.moves, "better": "higher" if one.sense > 0 else "lower", "unit": one.unit,
                "start": one.start, "start_source": one.start_source, "start_trust": one.start_trust,
                "bound": one.bound, "steps": dict(one.steps), "effect": one.effect,
                "list": [{"id": entry.id, "name": dict(entry.names), "cost": entry.cost} for entry in one.ranked],
                "floor": {
                    "value": one.floor.value, "quote": one.floor.quote, "source": one.floor.title("en"),
                    "document": one.floor.document, "policy": one.floor.policy, "path": one.floor.path,
                    "trust": one.floor.trust,
                },
            }
            for one in table.benefits
        ],
    }  # fmt: skip


def _history(basis: Basis, trend_years: int) -> tuple[tuple[float, ...], float]:
    """Give months of payment of the years up to the base, and the base year's margin in per cent of income.

    A place without series of its own has the months at its base only: its margin and trend are unknown (NaN).
    """
    book = basis.book
    if basis.id != book.id:
        setting = prepare(basis, 1)
        paid = setting.expected[0, :2].sum()
        return (12 * float(basis.reserve[0]) / float(paid) if paid > 0 else math.nan,), math.nan
    found = []
    for year in range(basis.year - trend_years, basis.year + 1):
        known = book["cumulative"].has(year) and book["spending"].has(year)
        found.append(12 * book["cumulative"].value(year) / book["spending"].value(year) if known else math.nan)
    # A reserve of the user's moves the months before it too: the published trend stays, and no jump is taken for one.
    moved = 12 * float(basis.reserve[0]) / 1e8 / book["spending"].value(basis.year) - found[-1]
    found = [one + moved for one in found]
    income = book["income"].value(basis.year)
    return tuple(found), 100 * (income - book["spending"].value(basis.year)) / income


def _trend(held: list[Array], years: int) -> Array:
    """Give the mean yearly change of months over the last years; NaN where the past is shorter."""
    if len(held) <= years:
        return np.full(held[-1].shape, np.nan)
    found: Array = (held[-1] - held[-1 - years]) / years
    return found


def _decision(basis: Basis, table: Steps, year: int, seen: Seen, done: Step) -> Decision:
    def plain(values: Array) -> dict[str, float]:
        return {one.id: round(float(values[place, 0]), 6) for place, one in enumerate(table.benefits)}

    known = {"months": seen.months, "margin": seen.margin, "trend": seen.trend, "probability": seen.probability(table)}
    shown = {name: None if math.isnan(value[0]) else round(float(value[0]), 4) for name, value in known.items()}
    row, benefit = int(done.row[0]), int(done.benefit[0])
    listed = {
        one.id: {
            "before": one.listed(done.before.values[place, 0]), "after": one.listed(done.after.values[place, 0]),
            "after_poor": one.listed(done.after.poor[place, 0]),
        }
        for place, one in enumerate(table.benefits) if one.ranked
    }  # fmt: skip
    return Decision(
        year, basis.id, table.id, shown, table.rows[row].id if row >= 0 else "",
        table.benefits[benefit].id if benefit >= 0 else "", plain(done.before.values), plain(done.after.values),
        plain(done.after.poor), {one.id: one.floor.value for one in table.benefits},
        tuple(reasons(table, done, seen)), listed,
    )  # fmt: skip


def _years_frame(table: Steps, opened: Outlook, closed: Outlook, chance: list[tuple[Seen, Step]]) -> pl.DataFrame:
    rows = []
    asks_less = np.array([one.step != "up" for one in table.rows] + [False])
    for place, (_, done) in enumerate(chance):
        year = opened.base + 1 + place
        less, moved = asks_less[done.row], done.benefit >= 0
        row: dict[str, Any] = {
            "year": year, "cut": float((less & moved).mean()), "raised": float((~less & moved).mean()),
            "held_at_floor": float((less & ~moved).mean()),
        }  # fmt: skip
        for name, one in (("open", opened), ("closed", closed)):
            for column in ("trend", "p5", "p50", "p95"):
                row[f"{name}_{column}"] = one.value("months", year, column=column)
            at = one.lines.filter((pl.col("fund") == "basic") & (pl.col("year") == year))
            row[f"below_{name}"] = float(at["now"].item())
        paid = [one.value("benefits", year) for one in (opened, closed)]
        row["benefits_change"] = paid[1] - paid[0]
        rows.append(row)
    return pl.DataFrame(rows)


def _benefits_frame(
    table: Steps, base: int, along: list[tuple[Seen, Step]], chance: list[tuple[Seen, Step]]
) -> pl.DataFrame:
    rows = []
    for at, ((_, flat), (_, done)) in enumerate(zip(along, chance, strict=True)):
        low, _, mid, _, high = fan(done.after.values)
        for place, one in enumerate(table.benefits):
            rows.append({
                "year": base + 1 + at, "benefit": one.id, "unit": one.unit,
                "trend": float(flat.after.values[place, 0]), "mean": float(done.after.values[place].mean()),
                "p5": float(low[place]), "p50": float(mid[place]), "p95": float(high[place]),
                "poor": float(done.after.poor[place].mean()),
            })  # fmt: skip
    return pl.DataFrame(rows)


def _lists_frame(
    table: Steps, base: int, along: list[tuple[Seen, Step]], chance: list[tuple[Seen, Step]]
) -> pl.DataFrame:
    rows = []
    for at, ((_, flat), (_, done)) in enumerate(zip(along, chance, strict=True)):
        for place, one in enumerate(table.benefits):
            held = [np.rint(values[place]) for values in (flat.after.values, done.after.values, done.after.poor)]
            for rank, entry in enumerate(one.ranked, 1):
                rows.append({
                    "year": base + 1 + at, "benefit": one.id, "rank": rank, "entry": entry.id,
                    "today": rank <= one.start,
                    "trend": bool(held[0][0] >= rank), "covered": float((held[1] >= rank).mean()),
                    "covered_poor": float((held[2] >= rank).mean()),
                })  # fmt: skip
    kinds = {"year": pl.Int64, "benefit": pl.String, "rank": pl.Int64, "entry": pl.String, "today": pl.Boolean,
             "trend": pl.Boolean, "covered": pl.Float64, "covered_poor": pl.Float64}  # fmt: skip
    return pl.DataFrame(rows, schema=kinds)


def _notes(basis: Basis, table: Steps, past: tuple[float, ...]) -> tuple[Phrase, ...]:
    found = []
    if len(past) == 1:
        found.append(Phrase("fund_adjust.no_history"))
    found += [
        Phrase.of("fund_adjust.starts_under", benefit=benefit_name(one.id), start=f"{one.start:g}",
                  floor=f"{one.floor.value:g}")
        for one in table.benefits if one.sense * (one.start - one.floor.value) < 0
    ]  # fmt: skip
    return (*found, *basis.notes)


def _named(name: str, lang: str) -> str:
    found = benefit_name(name)
    return found.say(lang) if isinstance(found, Phrase) else found


def _steps_table(table: Steps, lang: str) -> tuple[str, list[list[str]], list[int]]:
    heads = ("benefit", "start", "floor", "bound", "steps", "floor_source", "trust")
    rows = [[say(f"fund_adjust.{one}", lang) for one in heads]]
    for one in table.benefits:
        sizes = " / ".join(f"{one.steps[name]:g}" for name in ("alarm", "down", "up"))
        source = one.floor.document or one.floor.title(lang)
        rows.append([
            _named(one.id, lang), f"{one.start:g}", f"{one.floor.value:g}", f"{one.bound:g}", sizes, source,
            say(f"fund_trust.{one.floor.trust}", lang),
        ])  # fmt: skip
    return say("fund_adjust.table", lang), rows, [1, 2, 3, 4]


def _law_table(lang: str) -> tuple[str, list[list[str]], list[int]]:
    heads = ("policy", "number", "value", "quote", "trust")
    rows = [[say(f"fund_adjust.{one}", lang) for one in heads]]
    for row in moving_benefits().iter_rows(named=True):
        parts = row["path"].split("/")
        name = row[f"name_{lang}"] or row["path"]
        if knows(f"fund_adjust.growth_{parts[-1]}", lang):
            name = say("fund_adjust.growth_of", lang, pot=name, what=say(f"fund_adjust.growth_{parts[-1]}", lang))
        trust = say(f"fund_trust.{row['trust']}", lang)
        quote = row["quote"] if len(row["quote"]) <= 60 else row["quote"][:57] + "..."
        unit = "" if row["unit"] == "count" else f" {unit_text(row['unit'], lang)}"
        rows.append([row["policy"], name, f"{row['value']:g}{unit}", quote, trust])
    return say("fund_adjust.law", lang), rows, [2]


def _digest(proposal: Any) -> str:
    plain = json.dumps(proposal, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode("utf-8")).hexdigest()
