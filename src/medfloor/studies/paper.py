"""Lay a study out as the paper that it would be printed as: numbered sections, figures and tables, limits, sources.

The command line prints it and the office shows it as a page; both have the same parts in the same order.
"""

from __future__ import annotations

from datetime import date

from medfloor.errors import MedfloorError
from medfloor.reports.printing import Block, Part, Plate, Points, Printout, day_text
from medfloor.reports.unframed import grids_of, plate_of
from medfloor.studies.pages import chart_of, endings, printed_of
from medfloor.studies.study import Picture, Reason, Section, Study
from medfloor.words import say


def study_paper(study: Study, *, made: date, lang: str = "en") -> Printout:
    """Lay a study out in a language; `made` is the day that stands on it.

    What could not be drawn is said in its place.
    """
    settings = ", ".join(f"{name}={value}" for name, value in study.settings.items() if value is not None)
    facts = [(say("study_paper.data", lang), study.data)] if study.data else []
    facts += [
        (say("study_paper.settings", lang), settings or "-"),
        (say("study_paper.document", lang), study.about.seed),
        (say("study_paper.made", lang), day_text(made, lang)),
    ]
    marks = [say("study.synthetic", lang)] if study.synthetic else []
    head = [one for one in study.head(lang) if one not in marks]
    parts = [_part(study, one, lang) for one in study.sections]
    parts += [Part(title, [Points(told)]) for title, told in endings(study, lang) if told]
    return Printout(study.about.title.say(lang), lang, made, parts, marks=marks, facts=facts, short=head)


def _part(study: Study, section: Section, lang: str) -> Part:
    told = study.told(section, lang)
    blocks: list[Block] = [*(one.say(lang) for one in section.text), *([Points(told)] if told else [])]
    blocks += [_plate(one, lang) for one in section.pictures]
    for table in section.tables:
        blocks += grids_of(printed_of(table, lang))
    return Part(section.title.say(lang), blocks)


def _plate(picture: Picture, lang: str) -> Plate | str:
    """Draw a figure; its definition and notes stand below it as text, where they can be read and searched."""
    if picture.undrawn is not None:
        return picture.undrawn.say(lang)
    try:
        chart = chart_of(picture, lang)
    except MedfloorError as error:
        return say("study_page.not_drawn", lang, why=Reason.of_error(error).say(lang))
    title = picture.title.say(lang)
    made = plate_of(chart)
    alt = " ".join([made.alt, say("study_paper.alt", lang, title=title)])
    return Plate(title, made.svg, alt, notes=made.notes)
