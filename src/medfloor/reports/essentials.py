"""Put the essentials of a simulation on one page: a column a law, a row a question; all else is in the appendix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medfloor.measures.result import Result, figure_text, name_of
from medfloor.reports.reform_words import in_points
from medfloor.reports.sections import Section, SimulationWords
from medfloor.simulation.compare import Simulation
from medfloor.simulation.jumps import Jump
from medfloor.simulation.protection import Key
from medfloor.words import say

SIDE_BY_SIDE = 3
"""So many reforms stand in one table."""

FLAGS = 6
"""So many conclusions that hold only without response stand on the page, and the number of the others."""

APPENDIX = "appendix.md"

_PRICED = ("headcount", "net_headcount")
_OF_ALL = ("extra_paid_in", "extra_subsidy", "public_cost")
_COUNTED = ("headcount", "net_headcount", "net_gap")
_OF_POOR = ("better_off", "worse_off", "mean_change")
_ALWAYS = ("headcount", "overshoot", "net_headcount", "net_gap", "impoverished", "concentration_index", "kakwani")


def essentials_of(simulation: Simulation, lang: str = "en", *, side_by_side: int = SIDE_BY_SIDE) -> list[Section]:
    """Lay out one page: who pays, protection, winners and losers, funds, what money buys, cliffs, flags and notes.

    Every cell that is estimated has its interval. Reforms stand side by side, `side_by_side` of them in a table.
    """
    words = SimulationWords(simulation, lang)
    reforms = [one.name for one in simulation.scenarios[1:]]
    about = words.reforms()
    sections = [] if about is None else [about]
    for first in range(0, len(reforms), side_by_side):
        sections.append(_table(simulation, words, reforms[first : first + side_by_side], lang, head=first == 0))
    last = (words.regions(), _flags(simulation, words, lang), _notes(simulation, words, lang))
    sections += [one for one in last if one is not None]
    return sections


def _table(simulation: Simulation, words: SimulationWords, reforms: Sequence[str], lang: str, *, head: bool) -> Section:
    base = simulation.scenarios[0].name
    found = simulation.protection.rows.select("scenario", "response").unique(maintain_order=True).rows()
    keys: list[Key] = [(base, "none"), *(key for key in found if key[0] in reforms)]
    titles = [words.scenario(*key) for key in keys]
    rows: list[tuple[str, ...]] = []
    for title, cells in _rows(simulation, words, keys, lang):
        if any(cells.get(key) for key in keys[1:]):
            rows.append((title, *(cells.get(key) or "-" for key in keys)))
    names = ", ".join(dict.fromkeys(one.title(lang) for one in simulation.scenarios if one.name in reforms))
    text = (words.say("essentials"),) if head else ()
    return Section(words.say("short", names=names), text, (name_of("column", "statistic", lang), *titles), tuple(rows))


Row = tuple[str, dict[Key, str]]


def _rows(simulation: Simulation, words: SimulationWords, keys: Sequence[Key], lang: str) -> Iterator[Row]:
    yield from _payers(simulation, words)
    yield from _protection(simulation.protection, words, "e_protection", _ALWAYS)
    if simulation.with_premiums is not None:
        yield from _protection(simulation.with_premiums, words, "e_premiums", _COUNTED)
    yield from _groups(simulation, words, lang)
    yield from _funds(simulation, words, lang)
    yield from _prices(simulation.protection, words, "e_price")
    if simulation.with_premiums is not None:
        yield from _prices(simulation.with_premiums, words, "e_price_premiums")
    if simulation.jumps is not None:
        yield from _cliffs(simulation.jumps, words, keys[1:])


def _cliffs(jumps: Sequence[Jump], words: SimulationWords, keys: Sequence[Key]) -> Iterator[Row]:
    """Count the cliffs that differ by what became of them, and tell the largest of them before and after."""
    counts: dict[Key, str] = {}
    largest: dict[Key, str] = {}
    for key in keys:
        mine = [one for one in jumps if one.scenario == key[0]]
        changed = [abs(one.jump_after_fen) - abs(one.jump_before_fen) for one in mine if one.fate == "changed"]
        fates = [sum(one.fate == fate for one in mine) for fate in ("opened", "closed")]
        fates += [sum(one < 0 for one in changed), sum(one >= 0 for one in changed)]
        counts[key] = " / ".join(map(str, fates))
        ends = [[abs(fen) for fen in (one.jump_before_fen, one.jump_after_fen)] for one in mine]
        if ends:
            largest[key] = " → ".join(f"{max(side) / 100:,.2f}" for side in zip(*ends, strict=True))
    yield words.say("e_cliffs"), counts
    if largest:
        yield words.say("e_largest"), largest


def _payers(simulation: Simulation, words: SimulationWords) -> Iterator[Row]:
    """Tell payers that some law moves, or that pay anything."""
    found: dict[str, dict[Key, str]] = {}
    for row in simulation.payers.rows.iter_rows(named=True):
        first = row["scenario"] == simulation.scenarios[0].name
        if first == (row["statistic"] == "amount"):
            found.setdefault(str(row["payer"]), {})[_key(row)] = _cell(row)
    for payer, cells in found.items():
        yield f"{words.say('e_payers')}: {words.payer(payer)}", cells


def _protection(result: Result, words: SimulationWords, title: str, kept: Sequence[str]) -> Iterator[Row]:
    """Tell levels under the first law, and changes under the others; for everybody, not by group."""
    found: dict[str, dict[Key, str]] = {}
    for row in result.rows.iter_rows(named=True):
        level = row["statistic"] in kept and row["scenario"] == result.rows["scenario"][0]
        change = row["statistic"] == "reform_change" and row["of"] in kept
        if (level or change) and row.get("group") is None:
            cell = _cell(row)
            found.setdefault(words.what(row), {})[_key(row)] = in_points(cell, words.lang) if change else cell
    for name, cells in found.items():
        yield f"{words.say(title)}: {name}", cells


def _groups(simulation: Simulation, words: SimulationWords, lang: str) -> Iterator[Row]:
    """Tell winners and losers among all people, and among the poorest fifth."""
    for by, group, title in ((None, None, say("result.all", lang)), ("quintile", "1", words.say("e_poor"))):
        found: dict[str, dict[Key, str]] = {}
        for row in simulation.groups.rows.iter_rows(named=True):
            if (row["by"], row["group"]) == (by, group) and (by is None or row["statistic"] in _OF_POOR):
                found.setdefault(row["statistic"], {})[_key(row)] = _cell(row)
        for name, cells in found.items():
            yield f"{words.say('e_groups')}: {title}: {name_of('statistic', name, lang)}", cells


def _funds(simulation: Simulation, words: SimulationWords, lang: str) -> Iterator[Row]:
    found: dict[tuple[str, str], dict[Key, str]] = {}
    for row in simulation.funds.rows.iter_rows(named=True):
        whole = row["fund"] == "all" and row["statistic"] in _OF_ALL
        first = row["statistic"] == "paid_out" and row["scenario"] == simulation.scenarios[0].name
        if whole or first or row["statistic"] == "extra":
            name = "extra" if row["statistic"] == "paid_out" else row["statistic"]
            found.setdefault((row["fund"], name), {})[_key(row)] = _cell(row, whole=True)
    for (fund, name), cells in found.items():
        yield f"{words.say('e_funds')}: {words.fund(fund)}: {name_of('statistic', name, lang)}", cells


def _prices(result: Result, words: SimulationWords, title: str) -> Iterator[Row]:
    found: dict[str, dict[Key, str]] = {}
    for row in result.rows.iter_rows(named=True):
        wanted = row["statistic"] == "change_per_10000" and row["of"] in _PRICED
        if wanted and row.get("group") is None and row["estimate"] is not None:
            found.setdefault(words.what(row), {})[_key(row)] = _cell(row)
    for name, cells in found.items():
        yield f"{words.say(title)}: {name}", cells


def _key(row: Mapping[str, Any]) -> Key:
    return row["scenario"], row["response"]


def _cell(row: Mapping[str, Any], *, whole: bool = False) -> str:
    kind = "count" if whole and row["kind"] == "amount" else row["kind"]
    low, high = (figure_text(row[one], kind) for one in ("low", "high"))
    around = "" if low == "-" or low == high else f" ({low} – {high})"
    return figure_text(row["estimate"], kind) + around


def _flags(simulation: Simulation, words: SimulationWords, lang: str) -> Section | None:
    whole = words.flags()
    if whole is None or len(whole.text) <= FLAGS:
        return whole
    # What is said of everybody comes before what is said of groups.
    first = sorted(simulation.flags, key=lambda one: one.group is not None)[:FLAGS]
    more = words.say("more_flags", number=len(whole.text) - FLAGS, file=APPENDIX)
    return Section(whole.title, (*(one.text(lang) for one in first), more))


def _notes(simulation: Simulation, words: SimulationWords, lang: str) -> Section:
    """Tell the notes on this run; those on definitions are in the appendix."""
    told = [note.say(lang) for note in simulation.notes]
    line = simulation.protection.line
    told += [line.say(lang)] if line else []
    told.append(words.say("rest_in_appendix", file=APPENDIX))
    return Section(words.say("notes"), tuple(dict.fromkeys(told)))
