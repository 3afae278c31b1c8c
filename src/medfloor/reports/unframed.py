"""Take charts and tables out of the words that stand around them elsewhere, for a page that says them as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from medfloor.reports.plates import drawn
from medfloor.reports.printed import Printed
from medfloor.reports.printing import Block, Grid, Plate

if TYPE_CHECKING:
    import altair as alt


def plate_of(chart: alt.VConcatChart, *, head: str = "") -> Plate:
    """Take a chart out of the words that `set_in_words` put around it, and keep them as title and notes.

    `head` is what the page says already, and is no note.
    """
    title = chart.vconcat[0].title
    name = _joined(title.text)
    meant = chart.usermeta if isinstance(chart.usermeta, dict) else {}
    above = meant.get("above") or list(filter(None, [_joined(_told(title.subtitle))]))
    below = meant.get("below") or list(filter(None, [_joined(_told(chart.title.text))]))
    notes = [one for one in (*above, *below) if one != head]
    return Plate(name, drawn(_bare(chart)), " ".join([name, *above]), notes=notes)


def _told(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text) if isinstance(text, list | tuple) else []


def _joined(lines: Any) -> str:
    """Join lines that were broken to fit: between Chinese characters nothing, else a space."""
    made = ""
    for line in _told(lines):
        close = not made or ord(made[-1]) > 0x2E7F or ord(line[:1] or "一") > 0x2E7F
        made += line if close else f" {line}"
    return made


def _bare(chart: Any) -> Any:
    from altair import Undefined

    data = Undefined
    for _ in range(2):
        data = chart.data if chart.data is not Undefined else data
        chart = chart.vconcat[0]
    if chart.data is Undefined and data is not Undefined:
        chart = chart.copy(deep=False)
        chart.data = data
    return chart


def grids_of(tables: Iterable[Printed]) -> list[Block]:
    """Set tables of text; several lines of heads become one."""
    made: list[Block] = []
    for one in tables:
        heads = [" · ".join(part for part in column if part) for column in zip(*one.heads, strict=True)]
        made.append(Grid(one.title, heads, one.rows, max(1, one.names), notes=one.notes))
    return made
