"""Put a simulation on one page: Markdown and HTML for people, JSON, Parquet and CSV for programs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from medfloor.intake.files import write_bytes
from medfloor.reports.essentials import essentials_of
from medfloor.reports.printed import as_html, ready_tables
from medfloor.reports.sections import Section, SimulationWords, sections_of
from medfloor.reports.tables import write_table
from medfloor.reports.typeface import FAMILIES
from medfloor.reports.workbook import Sheet, result_sheet, words_of, words_sheet, write_workbook
from medfloor.simulation.compare import Simulation
from medfloor.words import say


def write_simulation(simulation: Simulation, folder: str | os.PathLike[str], lang: str = "en") -> list[Path]:
    """Write a simulation into a folder: the page, the tables, and all as JSON.

    page.md and page.html are one page of the essentials, appendix.md and appendix.html have every table, households.md
    explains the households most changed; protection, payers, groups, funds, use (and regions and with_premiums, where
    there are any) stand there as CSV and Parquet, simulation.xlsx has each as a sheet, simulation.json has everything.
    Gives the files written. Raises OutputError cannot_write.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    page, sections = essentials_of(simulation, lang), sections_of(simulation, lang)
    plain = json.dumps(simulation.to_dict(lang), ensure_ascii=False, indent=1, allow_nan=False, default=str)
    texts = {
        "page.md": markdown(simulation, page, lang),
        "page.html": html(simulation, page, lang),
        "appendix.md": markdown(simulation, sections, lang, title="appendix"),
        "appendix.html": html(simulation, sections, lang, title="appendix"),
        "simulation.json": plain + "\n",
        "households.md": _households_page(simulation, lang),
    }
    written = []
    for name, text in texts.items():
        write_bytes(text.encode("utf-8"), place / name)
        written.append(place / name)
    for name, result in simulation.results.items():
        for ending in (".csv", ".parquet"):
            write_table(result, place / f"{name}{ending}", lang)
            written.append(place / f"{name}{ending}")
    write_workbook(simulation_sheets(simulation, lang), place / "simulation.xlsx")
    return [*written, place / "simulation.xlsx"]


def simulation_sheets(simulation: Simulation, lang: str = "en") -> list[Sheet]:
    """Lay a simulation out as sheets of a workbook: its results, cliffs, the households most changed, and notes."""
    words = SimulationWords(simulation, lang)
    results = simulation.results
    sheets = [result_sheet(one, lang, words.say(f"sheet_{name}"), words.label) for name, one in results.items()]
    sheets += [one for one in (words.cliff_sheet(), words.household_sheet()) if one is not None]
    told = [words.reforms(), words.flags(), words.notes()]
    about = [(say("page.title", lang), [_head(simulation, lang)]), *(words_of(one, lang) for one in results.values())]
    about += [(one.title, list(one.text)) for one in told if one is not None]
    return [*sheets, words_sheet(about, lang)]


def markdown(simulation: Simulation, sections: Sequence[Section], lang: str = "en", *, title: str = "title") -> str:
    """Write sections as a page of Markdown; `title` is the key of its title."""
    lines = [f"# {say(f'page.{title}', lang)}", "", _head(simulation, lang), ""]
    for section in sections:
        lines += [f"## {section.title}", ""]
        lines += [line for text in section.text for line in (_plain(text), "")]
        if section.rows:
            rules = ["---"] * section.names + ["---:"] * (len(section.heads) - section.names)
            lines += [_piped(section.heads), _piped(rules, raw=True), *(_piped(row) for row in section.rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def html(simulation: Simulation, sections: Sequence[Section], lang: str = "en", *, title: str = "title") -> str:
    """Write sections as one HTML file with nothing outside, its tables by great_tables."""
    from html import escape

    ready_tables()
    from great_tables import GT

    families = ", ".join(f"'{one}'" if " " in one else one for one in FAMILIES)
    headline = escape(say(f"page.{title}", lang))
    parts = [f"<h1>{headline}</h1>", f"<p>{escape(_head(simulation, lang))}</p>"]
    for number, section in enumerate(sections):
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [f"<p>{escape(text)}</p>" for text in section.text]
        if section.rows:
            names = [f"c{place}" for place in range(len(section.heads))]
            kinds = dict.fromkeys(names, pl.String)
            frame = pl.DataFrame([list(row) for row in section.rows], schema=kinds, orient="row")
            table = GT(frame, id=f"t{number}").cols_label(dict(zip(names, section.heads, strict=True)))
            table = table.cols_align("left", names[: section.names]).cols_align("right", names[section.names :])
            table = table.tab_options(table_font_names=list(FAMILIES), table_font_size="13px", data_row_padding="3px")
            parts.append(as_html(table))
    code = "zh-Hans" if lang == "zh" else "en"
    style = f"body{{font-family:{families};max-width:1100px;margin:2em auto;padding:0 1em}}h2{{margin-top:1.6em}}"
    return (
        f'<!DOCTYPE html>\n<html lang="{code}">\n<head><meta charset="utf-8"><title>{headline}</title>'
        f"<style>{style}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _head(simulation: Simulation, lang: str) -> str:
    return say(
        "page.baseline", lang, address=simulation.scenarios[0].address, people=f"{simulation.people:,}",
        households=f"{simulation.households:,}", claims=f"{simulation.claims:,}",
    )  # fmt: skip


def _households_page(simulation: Simulation, lang: str) -> str:
    """Explain the claim that changed most of each household, before and after."""
    words = SimulationWords(simulation, lang)
    lines = [f"# {say('page.households', lang)}", ""]
    for one in simulation.changed:
        lines += [f"## {words.scenario(one.scenario, 'none')}: {one.household_id}", ""]
        lines += ["```text", one.text(lang).rstrip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


_MARKS = re.compile(r"([|<*`\\])")


def _plain(text: str) -> str:
    """Keep the plain meaning of what Markdown would read as more."""
    return _MARKS.sub(r"\\\1", text)


def _piped(cells: Sequence[str], raw: bool = False) -> str:
    return f"| {' | '.join(cells if raw else [_plain(cell) for cell in cells])} |"


def lines_of(sections: Sequence[Section]) -> Iterator[str]:
    """Tell sections on a terminal: title, text, and aligned tables."""
    from medfloor.terminal import aligned

    for section in sections:
        yield section.title
        yield from (f"  {text}" for text in section.text)
        if section.rows:
            yield from aligned([section.heads, *section.rows], right=range(section.names, len(section.heads)))
        yield ""
