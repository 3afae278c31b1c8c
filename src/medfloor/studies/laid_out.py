"""Lay a study out as a printout: what it found beside what the document printed, its tables and figures in order."""

from __future__ import annotations

import io
from datetime import date

from medfloor.reports.laid_out import plate_of
from medfloor.reports.printing import Block, Grid, Part, Plate, Points, Printout
from medfloor.studies.pages import _end, _named, _settings, printed_of
from medfloor.studies.study import Picture, Reason, Study
from medfloor.words import say


def study_printout(study: Study, *, made: date, lang: str) -> Printout:
    """Lay a study out in a language; `made` is the day that stands on it."""
    parts = []
    for section in study.sections:
        told = study.told(section, lang)
        blocks: list[Block] = [*(one.say(lang) for one in section.text), *([Points(told)] if told else [])]
        blocks += [_plate(one, lang) for one in section.pictures]
        for table in section.tables:
            for one in printed_of(table, lang):
                heads = [" · ".join(part for part in column if part) for column in zip(*one.heads, strict=True)]
                blocks.append(Grid(one.title, heads, one.rows, max(1, one.names), notes=one.notes))
        parts.append(Part(section.title.say(lang), blocks))
    parts += [Part(name, [Points(told)]) for name, told in _end(study, lang) if told]
    marks = [say("study.synthetic", lang)] if study.synthetic else []
    short = [one for one in (*study.head(lang), *_settings(study, lang)) if one not in marks]
    return Printout(study.about.title.say(lang), lang, made, parts, marks=marks, short=short)


def _plate(picture: Picture, lang: str) -> Plate | str:
    """Draw a figure of a study; where its content does not allow it, say why."""
    from medfloor.errors import MedfloorError
    from medfloor.evaluation.result import Fit
    from medfloor.reports.effects import fit_figure
    from medfloor.reports.figures import figure

    try:
        if isinstance(picture.content, Fit):
            chart = fit_figure(_named(picture.content, lang), lang, picture.kind)  # type: ignore[arg-type]
        else:
            chart = figure(picture.content, lang, picture.kind)  # type: ignore[arg-type]
    except MedfloorError as error:
        return say("study_page.not_drawn", lang, why=Reason.of_error(error).say(lang))
    title = picture.title.say(lang)
    try:
        made = plate_of(chart)
    except (AttributeError, IndexError, TypeError):
        # A chart without words around it is drawn as it is.
        text = io.StringIO()
        chart.save(text, format="svg")
        return Plate(title, text.getvalue().encode("utf-8"), title)
    return Plate(title, made.svg, f"{title}. {made.alt}", notes=made.notes)
