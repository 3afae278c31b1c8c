"""Lay a study out as the paper that it would be printed as: numbered sections, tables and figures, sources."""

from __future__ import annotations

from datetime import date

from medfloor.reports.printed import Printed
from medfloor.reports.printing import Block, Grid, Part, Plate, Points, Printout
from medfloor.studies.pages import draw, printed_of
from medfloor.studies.study import Section, Study
from medfloor.words import say


def study_paper(study: Study, *, made: date, lang: str = "en") -> Printout:
    """Lay a study out in a language; `made` is the day that stands on it.

    What could not be drawn is said in its place.
    """
    settings = ", ".join(f"{name}={value}" for name, value in study.settings.items() if value is not None)
    facts = [
        (say("study_paper.data", lang), study.data),
        (say("study_paper.settings", lang), settings or "-"),
        (say("study_paper.document", lang), study.about.seed),
        (say("study_paper.made", lang), made.isoformat()),
    ]
    marks = [say("study.synthetic", lang)] if study.synthetic else []
    head = [one for one in study.head(lang) if one not in marks]
    parts = [_part(study, one, lang) for one in study.sections]
    ends = [(say("study_page.limits", lang), [one.say(lang) for one in study.about.limits])]
    ends += [(say("study_page.sources", lang), list(study.sources))] if study.sources else []
    parts += [Part(title, [Points(told)]) for title, told in ends if told]
    return Printout(study.about.title.say(lang), lang, made, parts, marks=marks, facts=facts, short=head)


def _part(study: Study, section: Section, lang: str) -> Part:
    blocks: list[Block] = [one.say(lang) for one in section.text]
    told = study.told(section, lang)
    blocks += [Points(told)] if told else []
    for table in section.tables:
        blocks += [_grid(one) for one in printed_of(table, lang)]
    for picture in section.pictures:
        drawing = draw(picture, lang)
        if isinstance(drawing, str):
            blocks.append(say("study_page.not_drawn", lang, why=drawing))
        else:
            title = picture.title.say(lang)
            blocks.append(Plate(title, drawing, say("study_paper.alt", lang, title=title)))
    return Part(section.title.say(lang), blocks)


def _grid(table: Printed) -> Grid:
    """Set a table of text; several lines of heads become one."""
    lines = [list(line) for line in table.heads]
    heads = [" ".join(line[place] for line in lines if line[place]) for place in range(len(lines[0]))]
    return Grid(table.title, heads, [list(row) for row in table.rows], table.names, notes=table.notes)
