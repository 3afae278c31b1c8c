"""Set a printout as PDF with typst: our typeface, tagged for screen readers (PDF/UA-1), the same bytes each time.

Characters that the packaged typeface lacks (a rare character of a name) are taken from the fonts of the machine; where
none has them, 〓 stands in their place, as printers do, and the caller is told.
"""

from __future__ import annotations

import functools
import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from medfloor import __version__
from medfloor.reports.chinese import chinese, together
from medfloor.reports.printing import Block, Grid, Plate, Points, Printout, below, cell_text, day_text
from medfloor.reports.typeface import FOLDER
from medfloor.terminal import width_of
from medfloor.words import say

GETA = "〓"
"""What printers set for a character that they do not have."""

TEMPLATES = Path(__file__).parent / "typst"

_WORDIEST, _NARROWED, _LEAST = 40.0, 9.0, 3.2
"""How wide a column of names may be, and be again where a page is too narrow; and how narrow any column, in ems."""

_POINTS, _ACROSS, _BROADSIDE = 0.7, 480.0, 725.0
"""Points that a pixel of a figure takes on paper (letters of all figures are of one size), and points across a page,
upright and on its side.
"""

_USUAL, _LARGE, _SMALL, _SMALLEST = 9.0, 13.0, 7.5, 6.5
"""Sizes of the letters of tables in points: in a report, in a letter to a family, where a table is wide, and where even
names that were broken into lines do not help. Wider ones stand on a page of their own, on its side.
"""

_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")
"""How typst writes a character in a message that it does not want to show."""

_HEAD_ENDS = (
    "（", "比例", "比重", "占比", "下限", "上限", "笔数", "人数", "支付", "负担", "之和", "之比", "均值", "风险",
    "至此层",
)  # fmt: skip
"""Where the head of a Chinese column may rather break than within a word: before one of these."""

_CONTROLS = dict.fromkeys((*range(32), 127), " ")

_TOGETHER = 18
"""Tables of so many rows stand on one page; longer ones may go on on the next."""

_TOGETHER_LARGE = 8
"""The same in a letter, whose rows are high and whose page holds half as many."""


@dataclass(frozen=True, slots=True)
class Typeset:
    """Be a PDF; `borrowed` characters came from fonts of the machine, `missing` ones from nowhere."""

    pdf: bytes
    borrowed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def typeset(printout: Printout) -> Typeset:
    """Set a printout as PDF.

    Fonts of the machine are looked at only where the packaged typeface lacks a character; without such characters the
    same printout gives the same bytes on every machine.
    """
    inputs = inputs_of(printout)
    lacking = lacking_in("".join(inputs.values()))
    missing: list[str] = []
    while True:
        try:
            pdf = _compiled(printout, inputs, system=bool(lacking))
        except RuntimeError as error:
            left = [one for one in lacking if one not in missing]
            if "could not be displayed" not in str(error) or not left:
                raise
            # One text after another is refused; each time its characters go, or where none can be told, all do.
            refused = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), str(error))
            gone = [one for one in left if one in refused] or left
            missing += gone
            inputs = {name: _without(text, gone) for name, text in inputs.items()}
            continue
        return Typeset(pdf, tuple(one for one in lacking if one not in missing), tuple(missing))


def png_pages(printout: Printout, *, ppi: float = 60) -> list[bytes]:
    """Set a printout as pictures of its pages, to look at."""
    made = _compiled(printout, inputs_of(printout), system=False, form="png", ppi=ppi)
    return made if isinstance(made, list) else [made]


def lacking_in(text: str) -> tuple[str, ...]:
    """List the characters of a text that the packaged typeface lacks, each once, in order.

    >>> lacking_in("张𠮷x 1")
    ('𠮷',)
    """
    held = _held()
    return tuple(dict.fromkeys(one for one in text if ord(one) not in held and ord(one) >= 32))


def inputs_of(printout: Printout) -> dict[str, str]:
    """Give what the template reads: the words as one JSON document, and each picture as SVG."""
    lang = printout.lang
    pictures: dict[str, str] = {}
    parts = [
        {"title": one.title, "level": one.level, "blocks": _blocks(one.blocks, pictures, printout)}
        for one in printout.parts
    ]
    document = {
        "title": printout.title, "subtitle": printout.subtitle, "lang": lang, "date": day_text(printout.made, lang),
        "running": printout.title, "author": f"medfloor {__version__}",
        "description": " ".join(printout.short[:2]) or None,
        "marks": list(printout.marks), "facts": [list(one) for one in printout.facts], "short": list(printout.short),
        "greeting": printout.greeting, "opening": list(printout.opening), "closing": list(printout.closing),
        "words": {name: say(f"printing.{name}", lang) for name in ("table", "figure", "short")},
        "sections": parts,
    }  # fmt: skip
    return {"document": json.dumps(_shown(document, lang), ensure_ascii=False), **pictures}


def _compiled(
    printout: Printout,
    inputs: Mapping[str, str],
    *,
    system: bool,
    form: Literal["pdf", "png"] = "pdf",
    ppi: float | None = None,
) -> Any:
    import typst

    return typst.compile(
        str(TEMPLATES / f"{printout.kind}.typ"),
        root=str(TEMPLATES),
        font_paths=[str(FOLDER)],
        ignore_system_fonts=not system,
        format=form,
        ppi=ppi,
        sys_inputs=dict(inputs),
        timestamp=datetime.combine(printout.made, time(), UTC),
        pdf_standards=["ua-1"] if form == "pdf" else [],
    )


def _shown(value: Any, lang: str) -> Any:
    """Set all texts as their language is printed, with blanks for control characters, which no font can show."""
    if isinstance(value, str):
        plain = value.translate(_CONTROLS)
        return together(chinese(plain) if lang == "zh" else plain)
    if isinstance(value, list):
        return [_shown(one, lang) for one in value]
    return {name: _shown(one, lang) for name, one in value.items()} if isinstance(value, dict) else value


def _without(text: str, gone: Sequence[str]) -> str:
    return text.translate({ord(one): GETA for one in gone})


def _blocks(blocks: Sequence[Block], pictures: dict[str, str], printout: Printout) -> list[dict[str, Any]]:
    """Give the blocks of a section; words right before a table or figure stand on its page."""
    made = [_block(one, pictures, printout) for one in blocks]
    for one, after in pairwise(made):
        one["sticky"] = one["kind"] == "text" and after["kind"] in ("table", "figure")
    return made


def _block(block: Block, pictures: dict[str, str], printout: Printout) -> dict[str, Any]:
    if isinstance(block, str):
        return {"kind": "text", "text": block}
    if isinstance(block, Points):
        return {"kind": "points", "items": list(block.items)}
    told = below(block, printout.lang)
    if isinstance(block, Plate):
        name = f"picture{len(pictures)}"
        pictures[name] = block.svg.decode("utf-8")
        return {
            "kind": "figure", "title": block.title, "picture": name, "alt": block.alt,
            "share": min(1.0, block.share, _POINTS * _pixels(block.svg) / _ACROSS),
            "below": told,
        }  # fmt: skip
    rows = [[cell_text(cell) for cell in row] for row in block.rows]
    most = _LARGE if printout.kind == "letter" else _USUAL
    least = most if printout.kind == "letter" else _SMALL
    widths = _fitted(_widths(block, rows), block.names, _ACROSS / least)
    needed = sum(widths)
    wide = needed * _SMALLEST > _ACROSS
    size = max(_SMALLEST - 0.5 * wide, min(most, (_BROADSIDE if wide else _ACROSS) / needed))
    # Columns grow until the table is as wide as the page.
    grown = (_BROADSIDE if wide else _ACROSS) / size / needed
    heads = [_head(head, width * grown) for head, width in zip(block.heads, widths, strict=True)]
    return {
        "kind": "table", "title": block.title, "names": block.names, "widths": [round(one, 2) for one in widths],
        "heads": heads, "rows": rows, "size": round(size, 2), "wide": wide,
        "breakable": len(rows) > (_TOGETHER_LARGE if printout.kind == "letter" else _TOGETHER), "below": told,
    }  # fmt: skip


def _pixels(svg: bytes) -> float:
    """Read how wide a drawing is."""
    found = re.search(rb'<svg[^>]*? width="([0-9.]+)', svg)
    return float(found[1]) if found else _ACROSS


def _widths(block: Grid, rows: Sequence[Sequence[str]]) -> list[float]:
    """Give each column what its longest text needs, in ems and within bounds; heads may break at blanks."""
    widths = []
    for place, head in enumerate(block.heads):
        longest = max((_em(row[place]) for row in rows), default=0.0)
        word = max((_em(one) for one in head.split()), default=0.0)
        # Chinese breaks anywhere: half a head a line is enough.
        least = min(word, _em(head) / 2 + 1) if any(ord(one) > 0x2E80 for one in head) else word
        widths.append(min(_WORDIEST if place < block.names else 99.0, max(longest, least, _LEAST)) + 1.1)
    return widths


def _head(head: str, width: float) -> list[str]:
    """Break the head of a Chinese column into even lines, rather before a word than within one."""
    if not any(ord(one) > 0x2E80 for one in head) or " " in head or _em(head) + 1.1 <= width:
        return [head]
    places = range(2, len(head) - 1)
    if not places:
        return [head]

    def cost(place: int) -> tuple[bool, bool, int]:
        longer = max(_em(head[:place]), _em(head[place:]))
        split = not head.startswith(_HEAD_ENDS, place) and head[place - 1] not in "，、）"
        return (longer + 1.1 > width + 0.01, split, abs(len(head) - 2 * place))

    place = min(places, key=cost)
    return [head[:place], head[place:]] if not cost(place)[0] and head[place] not in "，、）" else [head]


def _fitted(widths: Sequence[float], names: int, across: float) -> list[float]:
    """Let the columns of names that are wider than others give way where a page is too narrow for all."""
    fitted = list(widths)
    while sum(fitted) > across:
        widest = max(range(names), key=fitted.__getitem__)
        if fitted[widest] <= _NARROWED:
            break
        fitted[widest] = max(_NARROWED, fitted[widest] - max(1.0, (sum(fitted) - across) / 4))
    return fitted


def _em(text: str) -> float:
    return 0.56 * width_of(text)


@functools.cache
def _held() -> frozenset[int]:
    """Read which characters both packaged weights have, from their tables."""
    found = [_characters(path.read_bytes()) for path in sorted(FOLDER.glob("*.ttf"))]
    return frozenset.intersection(*found)


def _characters(font: bytes) -> frozenset[int]:
    """Read the characters of a TrueType font from its table cmap (formats 4 and 12)."""
    count = struct.unpack_from(">H", font, 4)[0]
    tables = {font[at : at + 4]: struct.unpack_from(">I", font, at + 8)[0] for at in range(12, 12 + 16 * count, 16)}
    start = tables[b"cmap"]
    held: set[int] = set()
    for entry in range(struct.unpack_from(">H", font, start + 2)[0]):
        at = start + struct.unpack_from(">I", font, start + 4 + 8 * entry + 4)[0]
        form = struct.unpack_from(">H", font, at)[0]
        if form == 12:
            groups = struct.unpack_from(">I", font, at + 12)[0]
            for one in range(groups):
                first, last, _ = struct.unpack_from(">III", font, at + 16 + 12 * one)
                held |= set(range(first, last + 1))
        elif form == 4:
            held |= _segments(font, at)
    return frozenset(held)


def _segments(font: bytes, at: int) -> set[int]:
    many = struct.unpack_from(">H", font, at + 6)[0] // 2
    ends = struct.unpack_from(f">{many}H", font, at + 14)
    starts = struct.unpack_from(f">{many}H", font, at + 16 + 2 * many)
    deltas = struct.unpack_from(f">{many}H", font, at + 16 + 4 * many)
    ranges_at = at + 16 + 6 * many
    ranges = struct.unpack_from(f">{many}H", font, ranges_at)
    held: set[int] = set()
    for place, (first, last, delta, offset) in enumerate(zip(starts, ends, deltas, ranges, strict=True)):
        for code in range(first, min(last, 0xFFFE) + 1):
            glyph = code
            if offset:
                glyph = struct.unpack_from(">H", font, ranges_at + 2 * place + offset + 2 * (code - first))[0]
            if glyph and (glyph + delta) & 0xFFFF:
                held.add(code)
    return held
