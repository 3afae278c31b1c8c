"""Keep what a job found as pages to look at: both languages, figures, PDF, workbook and Parquet in a folder of its own.

The folder `shown` lies within the job's; the routes of JSON do not list it. Pages read it and compute nothing anew, so
an address shows the same for as long as the job is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfloor.errors import NotFoundError
from medfloor.words import LANGS

if TYPE_CHECKING:
    import polars as pl

    from medfloor.reports.printing import Block, Printout
    from medfloor.reports.workbook import Sheet

FOLDER = "shown"
LEADS = "leads.parquet"
_NAME = re.compile(r"^[a-z0-9_-]{1,48}\.(svg|pdf|xlsx|parquet)$")


def keep(
    folder: Path,
    lay_out: Callable[[date, str], Printout],
    sheets: Callable[[str], Sequence[Sheet]],
    frames: Mapping[str, pl.DataFrame],
    *,
    made: date,
    facts: Sequence[tuple[str, str]] = (),
) -> None:
    """Write what a job found: `lay_out(day, language)` gives the printout, `sheets(language)` the workbook.

    `frames` become Parquet. `facts` (keys of the catalogue's section `asked` and their values) say what was asked for.
    Raises OutputError cannot_write.
    """
    from medfloor.intake.files import write_table
    from medfloor.reports.printing import write_printout
    from medfloor.reports.workbook import write_workbook
    from medfloor.words import say

    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    for lang in LANGS:
        told = [(say(f"asked.{name}", lang), value) for name, value in facts]
        printout = lay_out(made, lang)
        # What a report says of itself stands first; what was asked for follows.
        known = {name for name, _ in printout.facts}
        printout = replace(printout, facts=[*printout.facts, *(one for one in told if one[0] not in known)])
        _write_page(place, printout)
        write_printout(printout, place / f"result-{lang}.pdf")
        write_workbook(list(sheets(lang)), place / f"result-{lang}.xlsx")
    for name, frame in frames.items():
        write_table(frame, place / f"{name}.parquet", money_columns=[])


def shown_of(folder: Path, lang: str) -> dict[str, Any] | None:
    """Give what a job found as plain data, ready for a page; None where it kept nothing."""
    file = folder / FOLDER / f"page-{lang}.json"
    if not file.is_file():
        return None
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def downloads_of(folder: Path, lang: str) -> list[str]:
    """List what can be downloaded in a language: workbook, PDF, then tables."""
    place = folder / FOLDER
    first = [name for name in (f"result-{lang}.xlsx", f"result-{lang}.pdf") if (place / name).is_file()]
    return [*first, *sorted(one.name for one in place.glob("*.parquet") if one.name != LEADS)]


def file_of(folder: Path, name: str) -> Path:
    """Find a figure or a download by its name. Raises NotFoundError (`no_file`)."""
    place = folder / FOLDER / name
    if not _NAME.match(name) or name == LEADS or not place.is_file():
        raise NotFoundError("no_file", "the job has no such file")
    return place


def leads_in(folder: Path) -> int | None:
    """Count the leads that a supervision kept, without reading them; None where they are not kept any more."""
    import polars as pl

    file = folder / FOLDER / LEADS
    if not file.is_file():
        return None
    return int(pl.scan_parquet(file).select(pl.len()).collect().item())


def _write_page(place: Path, printout: Printout) -> None:
    from medfloor.reports.printing import cell_text

    lang = printout.lang
    numbers = iter(printout.numbered())
    figures = 0
    parts = []
    for part in printout.parts:
        blocks = []
        for block in part.blocks:
            told = _plain(block, lang)
            if told["kind"] in ("table", "figure"):
                told["number"], _ = next(numbers)
            if told["kind"] == "figure":
                figures += 1
                told["file"] = f"figure-{figures}-{lang}.svg"
                (place / told["file"]).write_bytes(told.pop("svg"))
            if told["kind"] == "table":
                told["rows"] = [[cell_text(cell) for cell in row] for row in told["rows"]]
                told["words"] = [_is_words([row[at] for row in told["rows"]]) for at in range(len(told["heads"]))]
            blocks.append(told)
        parts.append({"title": part.title, "level": part.level, "blocks": blocks})
    page = {
        "title": printout.title, "subtitle": printout.subtitle, "marks": list(printout.marks),
        "facts": [list(one) for one in printout.facts], "short": list(printout.short), "parts": parts,
        "made": printout.made.isoformat(),
    }  # fmt: skip
    (place / f"page-{lang}.json").write_text(json.dumps(page, ensure_ascii=False), encoding="utf-8")


def _is_words(cells: Sequence[str]) -> bool:
    r"""Say whether a column holds words rather than numbers; words stand to the left, whatever stands before them.

    >>> _is_words(["official", "assumption"]), _is_words(["1.2 %", "-"]), _is_words(["7.7 | 11.6", "- | -"])
    (True, False, False)
    """
    told = [one for one in cells if any(sign.isalnum() for sign in one)]
    wordy = [one for one in told if len(re.findall(r"[^\W\d_]", one)) > len(re.findall(r"\d", one))]
    return len(wordy) > len(told) / 2


def _plain(block: Block, lang: str) -> dict[str, Any]:
    from medfloor.reports.printing import Grid, Plate, Points, below

    if isinstance(block, str):
        return {"kind": "text", "text": block}
    if isinstance(block, Points):
        return {"kind": "points", "items": list(block.items)}
    told = {"title": block.title, "below": below(block, lang)}
    if isinstance(block, Plate):
        return told | {"kind": "figure", "alt": block.alt, "svg": block.svg}
    assert isinstance(block, Grid), "a block is a text, points, a table or a figure"
    return told | {"kind": "table", "heads": list(block.heads), "rows": block.rows, "names": block.names}
