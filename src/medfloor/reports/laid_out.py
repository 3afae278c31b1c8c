"""Lay what a job found out as a printout: simulations, optimisations, funds, leads and measures, in both languages.

A printout is shown as a page, set as PDF, and has every table with its definition; so what an office sees on the screen
is what it prints. Figures come without the words around them: those stand in the page, where they can be read aloud.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl

from medfloor.fund.adjustment import Adjustment
from medfloor.fund.backtest import Backtest
from medfloor.fund.contrast import Contrast
from medfloor.fund.outgo import FUNDS
from medfloor.fund.outlook import Outlook
from medfloor.fund.pooling import Pooling
from medfloor.fund.sensitivity import Tornado
from medfloor.fund.series import series_text, source_text
from medfloor.fund.supervision import Leads
from medfloor.measures.result import Result, label_of, name_of
from medfloor.reports import fund_pages, fund_projection, fund_sharing, fund_supervision
from medfloor.reports.captions import definition_of, head_of, notes_of
from medfloor.reports.drawing import amounts_in_yuan
from medfloor.reports.figures import _drawn, kind_of
from medfloor.reports.packages import front_figure, optimum_sheets
from medfloor.reports.plates import Bar, Spot, drawn, spots, stacked
from medfloor.reports.policy_brief import policy_brief
from medfloor.reports.printing import Block, Grid, Part, Plate, Points, Printout
from medfloor.reports.sections import Section, SimulationWords, sections_of
from medfloor.reports.simulation import simulation_sheets
from medfloor.reports.tables import grid_of
from medfloor.reports.unframed import grids_of, plate_of
from medfloor.reports.workbook import Sheet, result_sheet, words_of, words_sheet
from medfloor.simulation.choice import Optimum
from medfloor.simulation.compare import Simulation
from medfloor.words import Phrase, say

_ENDS = ("estimate", "low", "high")


def simulation_printout(found: Simulation, *, made: date, lang: str) -> Printout:
    """Lay a simulation out: the policy brief, who wins and loses as figures, and every table as an appendix."""
    brief = policy_brief(found, made=made, lang=lang)
    words = SimulationWords(found, lang)
    told = [one for one in sections_of(found, lang) if one.rows and one.title != words.say("households")]
    more = Part(say("laid_out.gainers", lang), [*_gainers(found, words, lang), *_equity(found, words, lang)])
    appendix = [_part(one, level=2) for one in told]
    return replace(brief, parts=[*brief.parts, more, Part(say("laid_out.appendix", lang), []), *appendix])


def optimum_printout(found: Optimum, *, made: date, lang: str) -> Printout:
    """Lay an optimisation out: winners, status quo and candidates, the front as a figure, and what must be known."""
    blocks: list[Block] = [
        Plate(say("laid_out.front", lang), drawn(_quiet(front_figure(found, lang))), say("laid_out.front_alt", lang),
              notes=[say("laid_out.front_note", lang)])
    ]  # fmt: skip
    blocks += [Grid(title, heads, rows, max(1, names)) for title, heads, rows, names in found.tables(lang)]
    said = [
        Part(say(f"optimise.{title}", lang), [Points([one.say(lang) for one in phrases])])
        for title, phrases in found.said()
        if phrases
    ]
    parts = [Part(say("laid_out.results", lang), blocks), *said]
    return Printout(say("optimise.title", lang), lang, made, parts, subtitle=found.head(lang))


def projection_printout(records: Sequence[fund_projection.Record], *, made: date, lang: str) -> Printout:
    """Lay a projection out: what a change brings, each fund's fan with its tables, the tornado, all that it rests on.

    A fund's figure and its tables stand together, so that nobody turns pages between them.
    """
    outlook = records[0]
    assert isinstance(outlook, Outlook), "the first record is the outlook"
    charts = {
        name: plate_of(chart, head=outlook.head(lang)) for name, chart in fund_projection._charts(records, lang).items()
    }
    known = fund_projection._parameters(outlook, lang)
    parts = []
    for one in records:
        if isinstance(one, Contrast):
            parts.append(
                Part(say("laid_out.contrast", lang), [charts["contrast"], *_set(one.tables(lang), one.said(), lang)])
            )
    tables = outlook.tables(lang, funds=FUNDS)
    for place, fund in enumerate(FUNDS):
        own = _set(tables[2 * place : 2 * place + 2], (), lang)
        fan = charts["fan" if fund == "basic" else f"fan_{fund}"]
        parts.append(Part(say("laid_out.fan", lang, fund=say(f"fund_project.{fund}", lang)), [fan, *own]))
    parts.append(Part(say("laid_out.together", lang), _set(tables[2 * len(FUNDS) :], (), lang)))
    swings = [plate for name, plate in charts.items() if name.startswith("tornado")]
    swung = [(one.tables(lang), one.said()) for one in records if isinstance(one, Tornado)]
    if swings:
        held = [block for tables, told in swung for block in _set(tables, told, lang)]
        parts.append(Part(say("laid_out.tornado", lang), [*swings, *held]))
    told = [one.say(lang) for one in (*outlook.warnings, *outlook.said())]
    parts.append(Part(say("laid_out.known", lang), [Points(told)]))
    parts.append(Part(say("laid_out.parameters", lang), grids_of(known)))
    return Printout(say("fund_project.page_title", lang), lang, made, parts, subtitle=outlook.head(lang),
                    short=[one.say(lang) for one in outlook.warnings])  # fmt: skip


def _set(tables: Iterable[tuple[str, list[list[str]], list[int]]], told: Iterable[Phrase], lang: str) -> list[Block]:
    """Set tables as a terminal gets them: the first row are heads, what is to be known stands below the last."""
    made: list[Block] = [
        Grid(title, rows[0], rows[1:], max(1, min(right) if right else len(rows[0]))) for title, rows, right in tables
    ]
    notes = [one.say(lang) for one in told]
    if made and notes and isinstance(made[-1], Grid):
        made[-1] = replace(made[-1], notes=notes)
    return made


def backtest_printout(found: Backtest, *, made: date, lang: str) -> Printout:
    """Lay a back-test out: forecast beside what happened, the errors, and what must be known."""
    plate = plate_of(fund_projection.backtest_figure(found, lang), head=found.head(lang))
    tables = _set(found.tables(lang), found.said(), lang)
    breaks = [
        say("laid_out.break", lang, year=year, series=series_text(name, lang), what=source_text(what, lang))
        for year, name, what in found.breaks
    ]
    parts = [Part(say("laid_out.results", lang), [plate, *tables])]
    parts += [Part(say("laid_out.breaks", lang), [Points(breaks)])] if breaks else []
    return Printout(say("laid_out.backtest", lang), lang, made, parts, subtitle=found.head(lang))


def pooling_printout(found: Pooling, *, made: date, lang: str) -> Printout:
    """Lay pooling out: probability of ruin by size, designs side by side, who pays for whom."""
    plates = [plate_of(one, head=found.head(lang)) for one in fund_sharing.figures_of(found, lang).values()]
    *tables, known = fund_sharing._pages(found, lang)
    parts = [
        Part(say("laid_out.results", lang), [*plates, *grids_of(tables)]),
        Part(say("laid_out.parameters", lang), grids_of([known])),
    ]
    return Printout(say("fund_pool.page_title", lang), lang, made, parts, subtitle=found.head(lang))


def adjustment_printout(found: Adjustment, *, made: date, lang: str) -> Printout:
    """Lay a proposal of next year's benefits out: the step and why, closed loop beside open, each benefit."""
    decision, *tables = fund_pages._pages(found, lang)
    plates = [plate_of(one, head=found.head(lang)) for one in fund_pages._charts(found, lang).values()]
    first = Part(decision.title, [Points([row[0] for row in decision.rows])])
    parts = [first, Part(say("laid_out.results", lang), [*plates, *grids_of(tables)])]
    return Printout(say("fund_adjust.page_title", lang), lang, made, parts, subtitle=found.head(lang),
                    short=[one.say(lang) for one in found.warnings])  # fmt: skip


def leads_printout(found: Leads, *, made: date, lang: str) -> Printout:
    """Lay leads in claims out as counts by rule and facility; nobody is named."""
    pages = fund_supervision._pages(found, None, lang)
    plates = [plate_of(fund_supervision.rule_figure(found, lang), head=found.head(lang))] if found.leads.height else []
    marks = [say("supervision.synthetic", lang)] if found.synthetic else []
    parts = [Part(say("laid_out.results", lang), [*plates, *grids_of(pages)])]
    return Printout(say("supervision.page_title", lang), lang, made, parts, subtitle=found.head(lang), marks=marks)


def measure_printout(
    results: Sequence[tuple[str, Result]], *, made: date, lang: str, title: str, marks: Sequence[str] = ()
) -> Printout:
    """Lay measures of an office out, each a part by its title: its figure, its table with definition and errors.

    Amounts are in yuan, as all of the office's.
    """
    parts = []
    for name, result in results:
        blocks: list[Block] = [*_plates(result, name, lang), _table(result, name, lang)]
        parts.append(Part(name, blocks))
    return Printout(title, lang, made, parts, marks=marks)


def sheets_of_record(record: Any, lang: str) -> list[Sheet]:
    """Lay a record out as sheets with numbers as numbers: a simulation, an optimum, funds, leads, or measures."""
    if isinstance(record, Simulation):
        return simulation_sheets(record, lang)
    if isinstance(record, Optimum):
        return optimum_sheets(record, lang)
    if isinstance(record, Pooling):
        return fund_sharing._sheets(record, lang)
    if isinstance(record, Adjustment):
        return fund_pages._sheets(record, lang, "fund_adjust")
    if isinstance(record[0], Outlook):
        return fund_projection._sheets(record, lang)
    # A tab holds 31 characters.
    made = [result_sheet(result, lang, f"{number} {name}"[:31]) for number, (name, result) in enumerate(record, 1)]
    return [*made, words_sheet([words_of(result, lang) for _, result in record], lang)]


def _quiet(chart: Any) -> Any:
    """Leave a chart's own title away; it stands in the page."""
    from altair import Undefined

    made = chart.copy(deep=False)
    made.title = Undefined
    return made


def _part(section: Section, *, level: int = 1) -> Part:
    definition, *text = section.text or ("",)
    grid = Grid(section.title, section.heads, section.rows, max(1, section.names), definition=definition, notes=text)
    return Part(section.title, [grid], level)


def _plates(result: Result, name: str, lang: str) -> list[Block]:
    """Draw a result, where there is anything to draw: curves where it carries them, else its best figure."""
    from medfloor.errors import UsageError

    made: list[Block] = []
    if {"definition", "poverty"} & {*result.labels(), result.measure}:
        told = _spots(result, lang)
        if told:
            notes = [*definition_of(result, lang), say("laid_out.intervals", lang)]
            axis = say("laid_out.share", lang)
            return [Plate(name, spots(told, axis), " ".join([name, *definition_of(result, lang)]), notes=notes)]
    try:
        with amounts_in_yuan():
            drawing = _drawn(result, lang, kind_of(result), None)
    except UsageError:
        return made
    notes = [*drawing.fixed, *definition_of(result, lang), *drawing.remarks]
    return [Plate(name, drawn(drawing.chart), " ".join([name, *definition_of(result, lang)]), notes=notes)]


def _spots(result: Result, lang: str) -> list[Spot]:
    """Give shares of people or households with their intervals, one below the other."""
    rows = result.rows
    several = "definition" in rows.columns and rows["definition"].n_unique() > 1
    rows = rows.filter(pl.col("statistic").is_in(["headcount"] if several else ["headcount", "gap", "severity"]))
    if "group" in rows.columns:
        rows = rows.filter(pl.col("group").is_null())
    if rows.height < 2 or not rows["kind"].is_in(["proportion", "percent"]).all():
        return []
    made = []
    for row in rows.iter_rows(named=True):
        place = name_of("statistic", row["statistic"], lang)
        if several:
            place = f"{label_of('definition', row['definition'], lang)} {100 * row['threshold']:g} %"
        series = name_of("statistic", row["statistic"], lang) if several else ""
        made.append(Spot(place, series, row["estimate"], row["low"], row["high"]))
    return made


def _table(result: Result, name: str, lang: str) -> Grid:
    grid = grid_of(result, lang)
    grouped = any(grid.groups)
    heads = [*([head_of("by", lang)] if grouped else []), *grid.heads]
    rows = [[*([group] if grouped else []), *row] for group, row in zip(grid.groups, grid.rows, strict=True)]
    brackets = [say("table.in_brackets", lang)] if grid.brackets else []
    definition, *more = [*definition_of(result, lang), ""]
    notes = [one for one in (*more, *brackets, *notes_of(result, lang)) if one]
    return Grid(name, heads, rows, max(1, grid.names + grouped), definition=definition, notes=notes)


def _gainers(found: Simulation, words: SimulationWords, lang: str) -> list[Block]:
    """Draw, for each reform, the shares of people better off and worse off, by fifth of consumption."""
    rows = found.groups.rows.filter((pl.col("by") == "quintile") | pl.col("by").is_null())
    pieces = [say(f"laid_out.{one}", lang) for one in ("better", "worse")]
    made: list[Block] = []
    for scenario, response in rows.select("scenario", "response").unique(maintain_order=True).rows():
        here = rows.filter((pl.col("scenario") == scenario) & (pl.col("response") == response))
        bars = []
        for by, group in here.select("by", "group").unique(maintain_order=True).rows():
            one = here.filter(pl.col("by").eq_missing(by) & pl.col("group").eq_missing(group))
            told = dict(zip(one["statistic"].to_list(), one["estimate"].to_list(), strict=True))
            fifth = f"{name_of('column', by, lang)} {words.group(by, group)}" if by else ""
            name = fifth or say("result.all", lang)
            # Nearly everybody pays the same; drawn, they would leave no room for those who do not.
            shares = (told.get("better_off") or 0.0, told.get("worse_off") or 0.0)
            bars += [Bar(name, piece, share) for piece, share in zip(pieces, shares, strict=True)]
        title = say("laid_out.gainers_of", lang, reform=words.scenario(scenario, response))
        if not any(one.value for one in bars):
            made.append(say("laid_out.nobody", lang, reform=words.scenario(scenario, response)))
            continue
        made.append(Plate(title, stacked(bars, say("laid_out.share_people", lang)), title,
                          notes=[found.groups.definition.say(lang), say("laid_out.see_table", lang)]))  # fmt: skip
    return made


def _equity(found: Simulation, words: SimulationWords, lang: str) -> list[Block]:
    """Draw changes of the indices of equity with their intervals."""
    rows = found.protection.rows.filter(
        (pl.col("statistic") == "reform_change") & pl.col("of").is_in(["concentration_index", "kakwani"])
    )
    if "group" in rows.columns:
        rows = rows.filter(pl.col("group").is_null())
    points = [
        Spot(words.what(row), words.scenario(row["scenario"], row["response"]), *(row[one] for one in _ENDS))
        for row in rows.iter_rows(named=True)
        if row["estimate"] is not None
    ]
    if not points:
        return []
    title = say("laid_out.equity", lang)
    notes = [say("laid_out.equity_note", lang), say("laid_out.see_table", lang)]
    return [Plate(title, spots(points, say("laid_out.change_of_index", lang), kind="index"), title, notes=notes)]
