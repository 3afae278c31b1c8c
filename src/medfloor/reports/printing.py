"""Hold a printed report as plain structure: sections, tables, figures, notes; write it as PDF, HTML or a workbook.

One structure makes all three, so that a number in the PDF is the number in the sheet. Tables and figures are numbered
in the order in which they stand, each with its definition, source and notes below it.
"""

from __future__ import annotations

import base64
import html
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, TypeAlias

from medfloor.errors import UsageError
from medfloor.intake.files import write_bytes
from medfloor.measures.result import figure_text
from medfloor.reports.chinese import chinese
from medfloor.reports.typeface import FAMILIES
from medfloor.reports.workbook import Cell, Sheet, words_sheet, workbook
from medfloor.words import say

FORMATS = (".pdf", ".html", ".xlsx")
"""What `write_printout` writes, by the ending of the file's name."""


@dataclass(frozen=True, slots=True)
class Points:
    """Be a list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Grid:
    """Be a numbered table: the first `names` columns name a row, the others hold numbers.

    `definition` says what was counted and how, `source` where from; `notes` is what else must be known. A cell is text,
    a number with its form (see `workbook.FORMS`), or None.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    names: int = 1
    definition: str = ""
    source: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Plate:
    """Be a numbered figure: an SVG, and `alt`, what it shows for who cannot see it.

    `share` is how much of the width of a page it may take.
    """

    title: str
    svg: bytes
    alt: str
    source: str = ""
    notes: Sequence[str] = ()
    share: float = 1.0


Block: TypeAlias = str | Points | Grid | Plate


@dataclass(frozen=True, slots=True)
class Part:
    """Be one section, numbered in a report and not in a letter; `level` 2 lies below the section before."""

    title: str
    blocks: Sequence[Block]
    level: int = 1


@dataclass(frozen=True, slots=True)
class Printout:
    """Be a report or a letter, ready to be set.

    `made` is the day that stands on it; nothing else depends on the day of printing. `marks` must be seen first
    (made-up data, a settlement taken back); `facts` name what it is about; `short` says it in a few sentences.
    `greeting`, `opening` and `closing` are a letter's.
    """

    title: str
    lang: str
    made: date
    parts: Sequence[Part]
    subtitle: str = ""
    marks: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    short: Sequence[str] = ()
    kind: Literal["report", "letter"] = "report"
    greeting: str = ""
    opening: Sequence[str] = ()
    closing: Sequence[str] = field(default=())

    def numbered(self) -> Iterator[tuple[str, Grid | Plate]]:
        """Give tables and figures in order, each with its number in words.

        >>> part = Part("a", [Grid("one", ["x"], []), Grid("two", ["x"], [])])
        >>> [name for name, _ in Printout("t", "en", date(2026, 1, 1), [part]).numbered()]
        ['Table 1', 'Table 2']
        """
        counts = {"table": 0, "figure": 0}
        for part in self.parts:
            for block in part.blocks:
                if isinstance(block, Grid | Plate):
                    kind = "table" if isinstance(block, Grid) else "figure"
                    counts[kind] += 1
                    yield say(f"printing.{kind}_number", self.lang, number=counts[kind]), block


def write_printout(printout: Printout, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Write a printout into one file by its ending, whole or not at all: .pdf, .html or .xlsx.

    The same printout gives the same bytes. Gives the characters that no font here has, for which 〓 stands (PDF only).

    Raises UsageError unknown_format for another ending, OutputError cannot_write.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise UsageError("unknown_format", f"{os.fspath(path)} ends in none of {', '.join(FORMATS)}. Rename it.")
    missing: tuple[str, ...] = ()
    if ending == ".pdf":
        from medfloor.reports.typesetting import typeset

        made = typeset(printout)
        content, missing = made.pdf, made.missing
    elif ending == ".html":
        content = page(printout).encode("utf-8")
    else:
        content = workbook(sheets(printout))
    write_bytes(content, path)
    return missing


def cell_text(cell: Cell) -> str:
    """Write a cell as it is printed.

    >>> from medfloor.reports.workbook import Figure
    >>> cell_text(Figure(0.5, "percent")), cell_text(Figure(2024, "whole")), cell_text(None), cell_text("<5")
    ('50.00 %', '2024', '', '<5')
    """
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    value = cell.value
    if value is None or math.isnan(value):
        return "-"
    if cell.form == "whole":
        return f"{value:.0f}"
    if cell.form == "any":
        return f"{value:,.4g}"
    return figure_text(value, cell.form, "p" if cell.form == "p" else "estimate")


def day_text(day: date, lang: str) -> str:
    """Write a day as the language does.

    >>> day_text(date(2026, 3, 1), "zh"), day_text(date(2026, 3, 1), "en")
    ('2026年3月1日', '1 March 2026')
    """
    if lang == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {say(f'month.{day.month}', 'en')} {day.year}"


def below(block: Grid | Plate, lang: str) -> list[str]:
    """List what stands below a table or figure: definition, source, notes."""
    told = []
    if isinstance(block, Grid) and block.definition:
        told.append(say("printing.definition", lang, text=block.definition))
    if block.source:
        told.append(say("printing.source", lang, text=block.source))
    prefix = say("printing.note", lang, text="").rstrip()
    # Notes of studies say what they are themselves.
    return [*told, *(one if one.startswith(prefix) else say("printing.note", lang, text=one) for one in block.notes)]


# A workbook


def sheets(printout: Printout) -> list[Sheet]:
    """Lay a printout out as sheets: one a table, by its number, and one of all words."""
    lang = printout.lang
    made = [
        Sheet(name, block.heads, block.rows) for name, block in printout.numbered() if isinstance(block, Grid)
    ]  # fmt: skip
    words: list[tuple[str, Sequence[str]]] = [
        (printout.title, [*([printout.subtitle] if printout.subtitle else []), *printout.marks]),
        *((name, [value]) for name, value in printout.facts),
        (say("printing.short", lang), printout.short),
        *([(printout.greeting, printout.opening)] if printout.opening else []),
    ]
    names = iter(printout.numbered())
    for part in printout.parts:
        told: list[str] = []
        beside: list[tuple[str, Sequence[str]]] = []
        for block in part.blocks:
            if isinstance(block, str):
                told.append(block)
            elif isinstance(block, Points):
                told += block.items
            else:
                name, _ = next(names)
                alt = [block.alt] if isinstance(block, Plate) else []
                beside.append((name, [block.title, *alt, *below(block, lang)]))
        words += [(part.title, told), *beside]
    return [*made, words_sheet([*words, (say("printing.closing", lang), printout.closing)], lang)]


# A page


_STYLE = """
:root { color-scheme: light; }
body { font-family: %s; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.7; color: #111;
  background: #fff; }
h1 { line-height: 1.3; } h2 { margin-top: 2.2rem; } .subtitle { font-size: 1.15rem; color: #333; }
.mark { border: 1px solid #9a5b00; background: #fff6e5; padding: .5rem .8rem; font-weight: bold; }
.short { background: #eef4fa; padding: .6rem 1rem; }
dl { border-block: 1px solid #999; padding: .5rem 0; }
dt { font-weight: bold; float: left; clear: left; margin-right: .8rem; } dd { margin: 0; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%%; border-block: 2px solid #111; font-size: .92rem; line-height: 1.45; }
caption, figcaption { text-align: left; font-weight: bold; padding: .4rem 0; }
th, td { padding: .25rem .5rem; text-align: right; vertical-align: top; }
thead th { border-bottom: 1px solid #111; vertical-align: bottom; }
th[scope=row], .name { text-align: left; font-weight: normal; } thead .name { font-weight: bold; }
figure { margin: 1.6rem 0; } img { max-width: 100%%; height: auto; }
.below { font-size: .85rem; color: #444; margin: .25rem 0; }
.letter { font-size: 1.3rem; } .closing { text-align: right; margin-top: 2rem; }
@media print { body { max-width: none; margin: 0; } h2, caption { break-after: avoid; }
  figure, tr { break-inside: avoid; } }
"""


def page(printout: Printout) -> str:
    """Write a printout as one HTML file that needs nothing from outside."""
    lang = printout.lang
    said = _said(lang)
    families = ", ".join(f"'{one}'" if " " in one else one for one in FAMILIES)
    head = [f"<h1>{said(printout.title)}</h1>"]
    head += [f'<p class="subtitle">{said(printout.subtitle)}</p>'] if printout.subtitle else []
    head += [f'<p class="mark">{said(one)}</p>' for one in printout.marks]
    if printout.facts:
        told = "".join(f"<dt>{said(name)}</dt><dd>{said(value)}</dd>" for name, value in printout.facts)
        head.append(f"<dl>{told}</dl>")
    if printout.short:
        name = said(say("printing.short", lang))
        head.append(f'<div class="short"><strong>{name}</strong>{_list(printout.short, said)}</div>')
    head += [f"<p><strong>{said(printout.greeting)}</strong></p>"] if printout.greeting else []
    head += [f"<p>{said(one)}</p>" for one in printout.opening]
    names = iter(printout.numbered())
    places = [0, 0]
    body = []
    for part in printout.parts:
        places = [places[0] + 1, 0] if part.level == 1 else [places[0], places[1] + 1]
        number = ".".join(str(one) for one in places[: part.level]) + " " if printout.kind == "report" else ""
        body.append(f"<h{part.level + 1}>{number}{said(part.title)}</h{part.level + 1}>")
        body += [_block(block, names, lang) for block in part.blocks]
    end = [f'<p class="closing">{"<br>".join(said(one) for one in printout.closing)}</p>'] if printout.closing else []
    return (
        f'<!DOCTYPE html>\n<html lang="{"zh-Hans" if lang == "zh" else "en"}">\n<head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{said(printout.title)}</title>'
        f'<style>{_STYLE % families}</style></head>\n<body class="{printout.kind}">\n<main>\n'
        + "\n".join([*head, *body, *end])
        + "\n</main>\n</body>\n</html>\n"
    )


def _block(block: Block, names: Iterator[tuple[str, Grid | Plate]], lang: str) -> str:
    said = _said(lang)
    if isinstance(block, str):
        return f"<p>{said(block)}</p>"
    if isinstance(block, Points):
        return _list(block.items, said)
    name, _ = next(names)
    notes = "".join(f'<p class="below">{said(one)}</p>' for one in below(block, lang))
    caption = f"{said(name)} {said(block.title)}"
    if isinstance(block, Plate):
        # As a picture of its own: names inside one drawing cannot meet those of another.
        data = base64.b64encode(block.svg).decode("ascii")
        picture = f'<img alt="{said(block.alt)}" src="data:image/svg+xml;base64,{data}">'
        return f"<figure>{picture}<figcaption>{caption}</figcaption>{notes}</figure>"
    kinds = [' class="name"' if place < block.names else "" for place in range(len(block.heads))]
    heads = "".join(f'<th scope="col"{kind}>{said(one)}</th>' for one, kind in zip(block.heads, kinds, strict=True))
    rows = "".join(f"<tr>{_row(row, block.names, said)}</tr>" for row in block.rows)
    table = f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{said(block.title)}">{table}</div>{notes}'


def _row(row: Sequence[Cell], names: int, said: Callable[[str], str]) -> str:
    first, *rest = (said(cell_text(one)) for one in row)
    told = f'<th scope="row">{first}</th>'
    for place, one in enumerate(rest, 1):
        told += f'<td class="name">{one}</td>' if place < names else f"<td>{one}</td>"
    return told


def _list(items: Sequence[str], said: Callable[[str], str]) -> str:
    return "<ul>" + "".join(f"<li>{said(one)}</li>" for one in items) + "</ul>"


def _said(lang: str) -> Callable[[str], str]:
    """Give what makes text of a language into HTML."""
    return (lambda text: html.escape(chinese(text))) if lang == "zh" else html.escape
