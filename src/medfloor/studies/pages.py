"""Write a study out: a page for people, tables and figures one by one, a workbook, and all of it for programs."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from medfloor.errors import MedfloorError, OutputError
from medfloor.evaluation.result import Fit, title_of
from medfloor.intake.files import write_bytes
from medfloor.measures.result import Result
from medfloor.reports.captions import definition_of, head_of, notes_of
from medfloor.reports.fits import printed_fit, printed_fits
from medfloor.reports.printed import Printed, as_gt, as_html, as_markdown
from medfloor.reports.tables import grid_of
from medfloor.reports.typeface import FAMILIES
from medfloor.reports.workbook import Cell, Figure, Sheet, result_sheet, words_sheet, workbook
from medfloor.studies.study import Picture, Reason, Study, Table, fits_of, in_language, value_text
from medfloor.words import say

if TYPE_CHECKING:
    import altair as alt

_NUMBERS = ("estimate", "se", "statistic", "df", "low", "high", "p", "rows", "units", "clusters")
_LABELS = ("model", "outcome", "term", "at", "group")


def write_study(study: Study, folder: str | os.PathLike[str], lang: str = "en") -> list[Path]:
    """Write a study into a folder, each file whole or not at all; give the files written.

    report.html (stands alone, figures within) and report.md are for people; report.json has everything as one object,
    tables.xlsx a sheet a table and one of words, tables/NAME.csv each table with full numbers, figures/NAME.svg each
    figure. All is made before the first file is written. Tables and figures that an earlier run wrote there (its
    report.json lists them) and this one does not have are taken away.

    Raises OutputError cannot_write.
    """
    place = Path(folder)
    drawn = {one.name: draw(one, lang) for one in study.pictures()}
    files: dict[str, bytes] = {f"tables/{one.name}.csv": _csv(one, lang) for one in study.tables()}
    files |= {f"figures/{name}.svg": made for name, made in drawn.items() if isinstance(made, bytes)}
    files["tables.xlsx"] = study_workbook(study, lang)
    files["report.md"] = markdown(study, drawn, lang).encode("utf-8")
    files["report.html"] = page(study, drawn, lang).encode("utf-8")
    plain = study.to_dict(lang) | {"files": sorted([*files, "report.json"])}
    content = json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False, default=str)
    files["report.json"] = (content + "\n").encode("utf-8")
    earlier = _listed(place)
    try:
        for name in ("", "tables", "figures"):
            (place / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot_write", f"{folder} cannot be made: {error.strerror}. Name another folder.") from None
    for name, made in files.items():
        write_bytes(made, place / name)
    for name in earlier - set(files):
        (place / name).unlink(missing_ok=True)
    return [place / name for name in files]


def _listed(place: Path) -> set[str]:
    """List the tables and figures that an earlier run says it wrote here; nothing else is ever taken away."""
    try:
        told = json.loads((place / "report.json").read_text(encoding="utf-8"))
        names = told["files"] if "study" in told else []
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    parts = [Path(str(name)) for name in names]
    known = {("tables", ".csv"), ("figures", ".svg")}
    return {one.as_posix() for one in parts if len(one.parts) == 2 and (one.parts[0], one.suffix) in known}


# Tables as text


def printed_of(table: Table, lang: str) -> list[Printed]:
    """Lay a table of a study out as text: of a fit its further tables follow."""
    title, content = table.title.say(lang), table.content
    if isinstance(content, tuple):
        titles = [one.say(lang) for one in table.titles] if table.titles else None
        made = [printed_fits(content, lang, titles=titles, caption=title)]
    elif isinstance(content, Fit):
        made = printed_fit(content, lang, title=title)
    elif isinstance(content, Result):
        made = [_result(content, title, lang)]
    else:
        made = [_frame(table, content, title, lang)]
    if table.notes:
        first = made[0]
        notes = (*first.notes, *(one.say(lang) for one in table.notes))
        made[0] = Printed(first.title, first.heads, first.rows, first.names, notes, first.rules)
    return made


def _result(result: Result, title: str, lang: str) -> Printed:
    grid = grid_of(result, lang)
    grouped = any(grid.groups)
    heads = [*([head_of("by", lang)] if grouped else []), *grid.heads]
    rows = [[*([group] if grouped else []), *row] for group, row in zip(grid.groups, grid.rows, strict=True)]
    notes = [*definition_of(result, lang), *([say("table.in_brackets", lang)] if grid.brackets else [])]
    return Printed(title, [heads], rows, grid.names + grouped, [*notes, *notes_of(result, lang)])


def _frame(table: Table, frame: pl.DataFrame, title: str, lang: str) -> Printed:
    shown = in_language(frame, lang)
    texts = [name for name, dtype in shown.schema.items() if not dtype.is_numeric()]
    # What names a row stands first; a wave is a name too.
    names = [name for name in shown.columns if name in texts or table.forms.get(name) == "plain"]
    lead = []
    for name in shown.columns:
        if name not in names:
            break
        lead.append(name)
    rows = [
        [value_text(row[name], table.forms.get(name), lang) for name in shown.columns]
        for row in shown.iter_rows(named=True)
    ]
    return Printed(title, [[title_of("study_column", name, lang) for name in shown.columns]], rows, max(len(lead), 1))


# The page


def page(study: Study, drawn: Mapping[str, bytes | str], lang: str = "en") -> str:
    """Write the study as one HTML file that needs nothing from outside."""
    said = html.escape
    title = study.about.title.say(lang)
    parts = [f"<h1>{said(title)}</h1>", *(f'<p class="head">{said(one)}</p>' for one in study.head(lang))]
    parts += [f"<p>{said(one)}</p>" for one in _settings(study, lang)]
    parts += [
        "<ol>",
        *(f'<li><a href="#{one.name}">{said(one.title.say(lang))}</a></li>' for one in study.sections),
        "</ol>",
    ]
    for number, section in enumerate(study.sections, 1):
        parts.append(f'<h2 id="{section.name}">{number}. {said(section.title.say(lang))}</h2>')
        parts += [f"<p>{said(one.say(lang))}</p>" for one in section.text]
        told = study.told(section, lang)
        parts += ["<ul>", *(f"<li>{said(one)}</li>" for one in told), "</ul>"] if told else []
        for table in section.tables:
            for place, made in enumerate(printed_of(table, lang)):
                parts.append(_shown(made, f"{table.name}-{place}"))
        for picture in section.pictures:
            drawing = drawn[picture.name]
            if isinstance(drawing, str):
                parts.append(f"<p>{said(say('study_page.not_drawn', lang, why=drawing))}</p>")
            else:
                # As a picture of its own: names inside one drawing cannot meet those of another.
                data = base64.b64encode(drawing).decode("ascii")
                parts.append(f'<img alt="{said(picture.title.say(lang))}" src="data:image/svg+xml;base64,{data}"/>')
    for name, told in endings(study, lang):
        parts += [f"<h2>{said(name)}</h2>", "<ul>", *(f"<li>{said(one)}</li>" for one in told), "</ul>"]
    families = ", ".join(f"'{one}'" if " " in one else one for one in FAMILIES)
    style = (
        f"body{{font-family:{families};max-width:1100px;margin:2em auto;padding:0 1em}}h2{{margin-top:1.6em}}"
        "img{max-width:100%;display:block;margin:1em 0}.head{font-weight:bold}.gt_table{margin-left:0!important}"
    )
    code = "zh-Hans" if lang == "zh" else "en"
    return (
        f'<!DOCTYPE html>\n<html lang="{code}">\n<head><meta charset="utf-8"/><title>{said(title)}</title>'
        f"<style>{style}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _shown(table: Printed, name: str) -> str:
    return as_html(as_gt(table, name=f"t-{name}").tab_options(table_font_size="13px", data_row_padding="3px"))


def markdown(study: Study, drawn: Mapping[str, bytes | str], lang: str = "en") -> str:
    """Write the study as Markdown; figures are links to the files beside it."""
    lines = [f"# {study.about.title.say(lang)}", ""]
    lines += [line for one in (*study.head(lang), *_settings(study, lang)) for line in (one, "")]
    for number, section in enumerate(study.sections, 1):
        lines += [f"## {number}. {section.title.say(lang)}", ""]
        lines += [line for one in section.text for line in (one.say(lang), "")]
        told = study.told(section, lang)
        lines += [*(f"- {one}" for one in told), ""] if told else []
        for table in section.tables:
            lines += [as_markdown(printed_of(table, lang)).decode("utf-8")]
        for picture in section.pictures:
            made = drawn[picture.name]
            if isinstance(made, str):
                lines += [say("study_page.not_drawn", lang, why=made), ""]
            else:
                lines += [f"![{picture.title.say(lang)}](figures/{picture.name}.svg)", ""]
    for name, told in endings(study, lang):
        lines += [f"## {name}", "", *(f"- {one}" for one in told), ""]
    return "\n".join(lines).rstrip() + "\n"


def _settings(study: Study, lang: str) -> list[str]:
    told = ", ".join(f"{name}={value}" for name, value in study.settings.items() if value is not None)
    return [say("study_page.data", lang, text=study.data), say("study_page.settings", lang, text=told)]


def endings(study: Study, lang: str) -> list[tuple[str, list[str]]]:
    """Say what stands at the end of every form of a study: what it does not show, and its sources."""
    ends = [(say("study_page.limits", lang), [one.say(lang) for one in study.about.limits])]
    return [*ends, *([(say("study_page.sources", lang), list(study.sources))] if study.sources else [])]


# Figures


def draw(picture: Picture, lang: str) -> bytes | str:
    """Draw a figure as SVG; where its content does not allow it, say why."""
    if picture.undrawn is not None:
        return picture.undrawn.say(lang)
    try:
        chart = chart_of(picture, lang)
    except MedfloorError as error:
        return Reason.of_error(error).say(lang)
    text = io.StringIO()
    chart.save(text, format="svg")
    return text.getvalue().encode("utf-8")


def chart_of(picture: Picture, lang: str) -> alt.VConcatChart:
    """Give a figure with its words around it. Raises MedfloorError where its content does not allow it."""
    from medfloor.reports.effects import fit_figure
    from medfloor.reports.figures import figure

    if isinstance(picture.content, Fit):
        return fit_figure(_named(picture.content, lang), lang, picture.kind)  # type: ignore[arg-type]
    return figure(picture.content, lang, picture.kind)  # type: ignore[arg-type]


def _named(fit: Fit, lang: str) -> Fit:
    """Name outcomes by the words of studies, for titles and axes; equations keep the columns."""
    names = fit.rows["outcome"].drop_nulls().unique().to_list()
    words = {name: title_of("study_value", name, lang) for name in names}
    return replace(fit, rows=fit.rows.with_columns(pl.col("outcome").replace(words)))


# Files for programs


def rows_of(table: Table, lang: str) -> pl.DataFrame:
    """Give a table as one plain frame with full numbers; of several fits, with the title of each as a column."""
    content = table.content
    if isinstance(content, Result):
        return content.to_frame(lang)
    if isinstance(content, pl.DataFrame):
        return in_language(content, lang)
    fits = fits_of(content)
    titles = [one.say(lang) for one in table.titles] if table.titles else [""] * len(fits)
    made = [fit.to_frame(lang).with_columns(column=pl.lit(title)) for fit, title in zip(fits, titles, strict=True)]
    return pl.concat(made).select("column", pl.exclude("column")) if table.titles else pl.concat(made).drop("column")


def _csv(table: Table, lang: str) -> bytes:
    return rows_of(table, lang).write_csv().encode("utf-8")


def study_workbook(study: Study, lang: str) -> bytes:
    """Lay a study out as a workbook: a sheet a table with full numbers, and one of words."""
    sheets = [_sheet(table, lang) for table in study.tables()]
    words: list[tuple[str, Sequence[str]]] = [
        (study.about.title.say(lang), [*study.head(lang), *_settings(study, lang)])
    ]
    for number, section in enumerate(study.sections, 1):
        told = [*(one.say(lang) for one in section.text), *study.told(section, lang)]
        words.append((f"{number}. {section.title.say(lang)}", told))
        for table in section.tables:
            notes = [note for made in printed_of(table, lang) for note in made.notes]
            words.append((f"{table.name}: {table.title.say(lang)}", notes))
    words += endings(study, lang)
    return workbook([*sheets, words_sheet(words, lang)])


def _sheet(table: Table, lang: str) -> Sheet:
    content = table.content
    if isinstance(content, Result):
        return result_sheet(content, lang, table.name)
    if isinstance(content, pl.DataFrame):
        return _frame_sheet(table, in_language(content, lang), lang)
    fits = fits_of(content)
    titles = [one.say(lang) for one in table.titles] if table.titles else [""] * len(fits)
    rows = pl.concat([fit.rows.with_columns(column=pl.lit(title)) for fit, title in zip(fits, titles, strict=True)])
    labels = [name for name in ("column", *_LABELS) if rows[name].null_count() < rows.height]
    labels = [name for name in labels if name != "column" or table.titles]
    shown = [name for name in _NUMBERS if name == "estimate" or rows[name].null_count() < rows.height]
    heads = [say("study_page.column", lang) if one == "column" else title_of("fit_column", one, lang)
             for one in (*labels, *shown)]  # fmt: skip
    forms = {"p": "p", "rows": "count", "units": "count", "clusters": "count"}
    body: list[list[Cell]] = [
        [*(_label(name, row[name], lang) for name in labels),
         *(Figure(row[name], forms.get(name, "any")) for name in shown)]
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip
    return Sheet(table.name, heads, body)


def _label(name: str, value: object, lang: str) -> Cell:
    from medfloor.evaluation.result import label_text

    if isinstance(value, float):
        return Figure(value, "any")
    return None if value is None else label_text(name, value, lang) if name != "column" else str(value)


def _frame_sheet(table: Table, frame: pl.DataFrame, lang: str) -> Sheet:
    forms = {"percent": "percent", "count": "count", "amount": "amount", "index": "index", "p": "p", "plain": "whole"}
    rows: list[list[Cell]] = [
        [
            None
            if value is None
            else Figure(value, forms.get(table.forms.get(name, ""), "any"))
            if isinstance(value, (int, float)) and not isinstance(value, bool)
            else value_text(value, None, lang)
            for name, value in row.items()
        ]
        for row in frame.iter_rows(named=True)
    ]
    return Sheet(table.name, [title_of("study_column", name, lang) for name in frame.columns], rows)
