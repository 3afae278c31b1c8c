"""Hide what a study says of few people before it is printed: rows of tables, lines of figures, counts in sentences."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from medfloor.measures.result import Result
from medfloor.studies.study import Picture, Section, Study, Table
from medfloor.words import Phrase

COUNTS = ("cases", "people", "insured", "households")
"""Columns of tables that count people, households or their bills."""

_WAYS = ("by", "tier", "year", "wave")
"""Columns that say of what the rows are parts; rows that are alike in them add up to one whole."""


def without_few(study: Study, few: int) -> Study:
    """Hide rows of fewer than `few` people or cases in all that a study prints, and say so below the table.

    Where only one row of a whole is hidden, the next smallest is hidden too, or the first could be worked out from the
    sum. In figures such groups are left out; in the sentences of a section that hides a row small counts become `<few`.
    Fits are not touched: estimates of a model tell of nobody.
    """
    return replace(study, sections=tuple(_section(one, few) for one in study.sections))


def _section(section: Section, few: int) -> Section:
    tables = tuple(_table(one, few) for one in section.tables)
    pictures = tuple(_picture(one, few) for one in section.pictures)
    if all(new is old for new, old in zip((*tables, *pictures), (*section.tables, *section.pictures), strict=True)):
        return section
    claims = tuple(replace(one, found=_sentence(one.found, few)) for one in section.claims)
    found = tuple(_sentence(one, few) for one in section.found)
    return replace(section, tables=tables, pictures=pictures, claims=claims, found=found)


def _table(table: Table, few: int) -> Table:
    content = table.content
    note = Phrase.of("study_paper.hidden", few=few)
    if isinstance(content, Result):
        rows = _kept(content, few)
        return table if rows is content.rows else replace(table, content=replace(content, rows=rows),
                                                          notes=(*table.notes, note))  # fmt: skip
    if not isinstance(content, pl.DataFrame):
        return table
    counts = [name for name in COUNTS if name in content.columns and content[name].dtype.is_numeric()]
    hidden = _hidden(content, counts, few)
    if not any(hidden):
        return table
    # What names a row stays; a year is a name too.
    gone = [
        name for name, kind in content.schema.items()
        if (kind.is_numeric() or kind == pl.Boolean) and table.forms.get(name) != "plain"
    ]  # fmt: skip
    mask = pl.Series(hidden)
    shown = content.with_columns(pl.when(mask).then(None).otherwise(pl.col(name)).alias(name) for name in gone)
    return replace(table, content=shown, notes=(*table.notes, note))


def _picture(picture: Picture, few: int) -> Picture:
    if not isinstance(picture.content, Result):
        return picture
    rows = _kept(picture.content, few)
    if rows is picture.content.rows:
        return picture
    told = rows["group"].is_not_null().any()
    # What is left of a figure of groups without any group is nothing to draw.
    undrawn = None if told else Phrase.of("study_paper.all_hidden", title=picture.title, few=few)
    return replace(picture, content=replace(picture.content, rows=rows), undrawn=undrawn)


def _kept(result: Result, few: int) -> pl.DataFrame:
    """Leave the groups of few out of a measure; what is told of everybody stays."""
    rows = result.rows
    if not {"group", "n"} <= set(rows.columns):
        return rows
    groups = rows.filter(pl.col("group").is_not_null() & pl.col("n").is_not_null())
    keys = [name for name in ("by", "group") if name in rows.columns]
    sizes = groups.group_by(keys, maintain_order=True).agg(pl.col("n").max())
    gone = sizes.filter(pl.Series(_hidden(sizes, ["n"], few), dtype=pl.Boolean))
    return rows.join(gone, on=keys, how="anti", maintain_order="left") if gone.height else rows


def _hidden(rows: pl.DataFrame, counts: list[str], few: int) -> list[bool]:
    """Say of each row whether it is hidden."""
    if not counts or rows.is_empty():
        return [False] * rows.height
    ways = [name for name in _WAYS if name in rows.columns and name not in counts]
    least = [min((one for one in row if one is not None), default=0) for row in rows.select(counts).rows()]
    hidden = {place for place, number in enumerate(least) if 0 < number < few}
    wholes: dict[tuple[object, ...], list[int]] = {}
    # Where each row is a part in one way only, as tiers are, all rows are parts of one whole.
    alone = rows.select(ways).n_unique() == rows.height if ways else True
    for place, way in enumerate(rows.select(ways).rows() if ways and not alone else [()] * rows.height):
        wholes.setdefault(way, []).append(place)
    for mine in wholes.values():
        others = [one for one in mine if one not in hidden and least[one] > 0]
        if sum(one in hidden for one in mine) == 1 and others:
            hidden.add(min(others, key=lambda one: least[one]))
    return [place in hidden for place in range(rows.height)]


def _sentence(phrase: Phrase, few: int) -> Phrase:
    """Put `<few` for small counts among a sentence's values; counts come as text of digits."""
    values = tuple(
        (name, f"<{few}" if isinstance(value, str) and value.isdigit() and 0 < int(value) < few else value)
        for name, value in phrase.values
    )
    return replace(phrase, values=values)
