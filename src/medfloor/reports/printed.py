"""Print a table of text as papers do: one layout for great_tables, HTML, LaTeX and Markdown."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from medfloor.reports.typeface import FAMILIES
from medfloor.sparing import sparing

if TYPE_CHECKING:
    import great_tables

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "\N{MINUS SIGN}": r"$-$", "²": r"\textsuperscript{2}", "≥": r"$\geq$", "≤": r"$\leq$", "×": r"$\times$",
    "β": r"$\beta$", "α": r"$\alpha$", "λ": r"$\lambda$", "γ": r"$\gamma$", "ρ": r"$\rho$", "δ": r"$\delta$",
    "τ": r"$\tau$", "σ": r"$\sigma$", "ε": r"$\varepsilon$", "θ": r"$\theta$", "Σ": r"$\Sigma$", "Φ": r"$\Phi$",
    "Λ": r"$\Lambda$", "√": r"$\surd$", "Δ": r"$\Delta$", "μ": r"$\mu$", "η": r"$\eta$", "ν": r"$\nu$",
}  # fmt: skip
_UNUSED = ("faicons",)
"""What great_tables imports for icons, which no table of ours has."""

_MARKS = re.compile(r"([|<*`\\_])")


@dataclass(frozen=True, slots=True)
class Printed:
    """Be a table as text.

    `heads` are the lines of heads, each as wide as a row; the first `names` columns name a row and stand to the left,
    numbers to the right. A line is drawn before each row whose place is in `rules`. `notes` stand below, in order.
    """

    title: str
    heads: Sequence[Sequence[str]]
    rows: Sequence[Sequence[str]]
    names: int
    notes: Sequence[str] = ()
    rules: Sequence[int] = field(default=())


def ready_tables() -> None:
    """Import great_tables without what no table of ours has."""
    with sparing(_UNUSED):
        import great_tables  # noqa: F401  # for whoever imports it next


def as_gt(table: Printed, *, name: str = "medfloor") -> great_tables.GT:
    """Give the table to great_tables; `name` is its id, fixed so that the same table gives the same file."""
    ready_tables()
    from great_tables import GT, loc, style
    from great_tables import html as raw

    columns = [f"c{place}" for place in range(len(table.heads[0]))]
    cells = {column: [row[place] for row in table.rows] for place, column in enumerate(columns)}
    frame = pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String()))
    heads = [
        "<br>".join(html.escape(line[place]) for line in table.heads if line[place]) for place in range(len(columns))
    ]
    made = GT(frame, id=name).tab_header(raw(html.escape(table.title)))
    made = made.cols_label({column: raw(head) for column, head in zip(columns, heads, strict=True)})
    made = made.cols_align("left", columns[: table.names]).cols_align("right", columns[table.names :])
    for place in table.rules:
        if 0 < place < len(table.rows):
            made = made.tab_style(style.borders("top", "#6B6B6B"), loc.body(rows=[place]))
    for note in table.notes:
        # Plain text would be read as Markdown, and the stars of a legend would be lost.
        made = made.tab_source_note(raw(html.escape(note)))
    return made.tab_options(table_font_names=list(FAMILIES), heading_align="left")


def as_page(tables: Sequence[Printed], lang: str) -> bytes:
    """Set tables on one HTML page that needs nothing from outside."""
    shown = [as_html(as_gt(table, name=f"medfloor-{place}")) for place, table in enumerate(tables, 1)]
    title = html.escape(tables[0].title)
    page = (
        f'<!DOCTYPE html>\n<html lang="{"zh-Hans" if lang == "zh" else "en"}">\n<head>\n<meta charset="utf-8"/>\n'
        f"<title>{title}</title>\n</head>\n<body>\n" + "\n".join(shown) + "\n</body>\n</html>\n"
    )
    return page.encode("utf-8")


def as_html(table: great_tables.GT, *, page: bool = False) -> str:
    """Set a table of great_tables in HTML, by itself or as a page."""
    with _without_shell():
        return str(table.as_raw_html(make_page=page))


@contextmanager
def _without_shell() -> Iterator[None]:
    """Let great_tables find no shell of IPython where there is none; it would import all of it to ask."""
    away = "IPython" not in sys.modules
    if away:
        # This is how Python is told that a module cannot be imported.
        sys.modules["IPython"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if away:
            sys.modules.pop("IPython", None)


def as_markdown(tables: Sequence[Printed]) -> bytes:
    """Write tables as Markdown, each with its notes as a list below it."""
    lines: list[str] = []
    for table in tables:
        heads = [" ".join(line[place] for line in table.heads if line[place]) for place in range(len(table.heads[0]))]
        lines += [f"**{_marked(table.title)}**", "", _piped(heads)]
        lines += [f"| {' | '.join(['---'] * table.names + ['---:'] * (len(heads) - table.names))} |"]
        lines += [_piped(row) for row in table.rows]
        lines += ["", *(f"{_marked(note)}  " for note in table.notes), ""]
    return ("\n".join(lines).rstrip() + "\n").encode("utf-8")


def as_latex(tables: Sequence[Printed]) -> bytes:
    r"""Write tables as LaTeX for a document with `\usepackage{booktabs}` (and ctex where there is Chinese)."""
    blocks = []
    for table in tables:
        form = "l" * table.names + "r" * (len(table.heads[0]) - table.names)
        lines = [r"\begin{table}[!htbp]", r"\centering", rf"\caption{{{latex(table.title)}}}"]
        lines += [rf"\begin{{tabular}}{{{form}}}", r"\toprule", *(_row(line) for line in table.heads), r"\midrule"]
        for place, row in enumerate(table.rows):
            lines += ([r"\midrule"] if place in table.rules and place else []) + [_row(row)]
        lines += [r"\bottomrule", r"\end{tabular}"]
        if table.notes:
            notes = [rf"{latex(note)}\par" for note in table.notes]
            lines += ["", r"\begin{minipage}{\linewidth}\footnotesize", *notes, r"\end{minipage}"]
        blocks.append("\n".join([*lines, r"\end{table}"]))
    return ("% \\usepackage{booktabs}; Chinese needs ctex\n" + "\n\n".join(blocks) + "\n").encode("utf-8")


def latex(text: str) -> str:
    r"""Write text so that LaTeX prints it as it stands.

    >>> latex("i.sex=1 & 50 % of a_b")
    'i.sex=1 \\& 50 \\% of a\\_b'
    """
    return "".join(_LATEX.get(one, one) for one in text)


def _row(cells: Sequence[str]) -> str:
    # A star or bracket right after the end of the row before would be taken for an option of it.
    texts = [latex(cell) for cell in cells]
    return " & ".join(f"{{}}{text}" if text[:1] in ("*", "[") else text for text in texts) + r" \\"


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_marked(cell) for cell in cells)} |"


def _marked(text: str) -> str:
    """Keep what Markdown reads as more than text behind a backslash."""
    return _MARKS.sub(r"\\\1", text)
