"""Say in words what tables and figures show: title, definition, notes, names of labels."""

from __future__ import annotations

import polars as pl

from medfloor.measures.result import SCHEMA, Result, label_of, name_of
from medfloor.words import join, knows, say

_SIGNS = {">=": "≥", "<=": "≤"}

_OWN = ("statistic", "column")
"""Labels that are not looked up: statistics have names of their own, and `column` in a cross table holds people's."""


def title_of(result: Result, lang: str, statistic: str | None = None) -> str:
    """Name the measure, and the statistic that is shown: the one given, or the only one.

    >>> from medfloor.words import Phrase
    >>> rows = pl.DataFrame({"statistic": ["headcount"], "estimate": [0.1]})
    >>> title_of(Result("catastrophic", rows, *[Phrase("weight.rows")] * 3), "en")
    'Catastrophic health spending: headcount'
    """
    measure = name_of("measure", result.measure, lang)
    if statistic is None:
        there = result.rows["statistic"].unique().to_list() if "statistic" in result.rows.columns else []
        statistic = str(there[0]) if len(there) == 1 else ""
    name = name_of("statistic", statistic, lang) if statistic else ""
    # Some measures bear the name of their one statistic; it is not said twice.
    if not name or name.casefold() in measure.casefold():
        return measure
    return say("caption.title", lang, measure=measure, statistic=name)


def definition_of(result: Result, lang: str) -> list[str]:
    """Say what was computed, with the inequality and the line: one sentence an item."""
    said = [say("result.definition", lang) + result.definition.say(lang)]
    if result.sign:
        # A sign never stands alone on a line: the blank before it does not break.
        said[0] += say("caption.sign", lang, sign=_SIGNS.get(result.sign, result.sign)).replace(
            ": ", ":\N{NO-BREAK SPACE}"
        )
    if result.line is not None:
        said.append(say("result.line", lang) + result.line.say(lang))
    return said


def notes_of(result: Result, lang: str) -> list[str]:
    """Say what was counted, how errors were made, which cases are special, and what else must be known."""
    said = [say("result.weight", lang) + result.weight.say(lang), say("result.errors", lang) + result.errors.say(lang)]
    if result.special:
        told = [f"{name_of('special', name, lang)} {number:,}" for name, number in result.special.items()]
        said.append(say("result.special", lang) + join(told, lang))
    return said + [say("result.note", lang, note=note.say(lang)) for note in result.notes]


def level_of(result: Result) -> str:
    """Give the level of the intervals in words.

    >>> from medfloor.words import Phrase
    >>> level_of(Result("x", pl.DataFrame(), *[Phrase("weight.rows")] * 3, level=0.9))
    '90 %'
    """
    return f"{100 * result.level:g} %"


def said(column: str, value: object, lang: str) -> str:
    """Say one label: a threshold in per cent, a quantile with its place, everything else by its name.

    >>> said("threshold", 0.25, "en"), said("group", None, "zh"), said("group", "edge", "en")
    ('25 %', '全部', 'edge')
    """
    if column == "threshold" and isinstance(value, float):
        return f"{100 * value:.4g} %"
    if column not in _OWN and value is not None and knows(f"{column}.{value}", lang):
        return say(f"{column}.{value}", lang)
    return str(value) if column == "column" else label_of(column, value, lang)


def head_of(column: str, lang: str) -> str:
    """Name a column of labels.

    >>> head_of("threshold", "zh"), head_of("hukou", "zh")
    ('阈值', 'hukou')
    """
    return name_of("column", column, lang)


def differing(rows: pl.DataFrame) -> list[str]:
    """List the columns of labels that tell the rows apart, other than statistic, by, group and against.

    >>> differing(pl.DataFrame({"statistic": ["a", "b"], "threshold": [0.1, 0.2], "line": ["x", "x"]}))
    ['threshold']
    """
    apart = ("statistic", "by", "group", "against")
    names = [name for name in rows.columns if name not in SCHEMA and name not in apart]
    return [name for name in names if rows[name].n_unique() > 1]
