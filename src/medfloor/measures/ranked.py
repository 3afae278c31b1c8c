"""Take a table together with the rank of its rows: who is poor, by which column, per head or as it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.design import Design
from medfloor.measures.influence import Array
from medfloor.measures.rank import Ranking
from medfloor.measures.sample import Sample, Source, Table, Unit, frame_of, take
from medfloor.words import Phrase

By = Literal["person", "household"]

HOUSEHOLD_AMOUNTS = ("consumption", "income")
"""The contract's columns that hold an amount of a whole household, which ranks by what is there for each member."""


def take_ranked(
    table: Table,
    columns: Mapping[str, Source],
    *,
    rank: Source = "consumption",
    rank_by: By | None = None,
    per_head: Sequence[str] = (),
    size: Source = "size",
    unit: Unit = "household",
    by: str | Sequence[str] | None = None,
    design: Design | None = None,
) -> tuple[Sample, Phrase]:
    """Take columns of a table and a column `rank`, and say in words what the rank is.

    `rank_by` person divides the ranking column by the size of the household, household takes it as it stands. Without
    it, the contract's consumption and income are taken per head where the table has `size`, and any other column as it
    stands. `per_head` names the columns of `columns` that are divided by size too. Raises what `take` raises.

    >>> homes = {"oop": [1.0, 2.0], "consumption": [8.0, 5.0], "size": [4, 1]}
    >>> sample, words = take_ranked(homes, {"oop": "oop"})
    >>> sample["rank"].tolist(), words.say("en")
    ([2.0, 5.0], 'consumption per head (divided by size)')
    """
    if rank_by not in (None, "person", "household"):
        raise UsageError("bad_choice", f"rank_by {rank_by!r} is neither person nor household")
    frame = frame_of(table)
    has_size = not isinstance(size, str) or size in frame.columns
    if rank_by is None:
        known = isinstance(rank, str) and rank in HOUSEHOLD_AMOUNTS
        rank_by = "person" if known and has_size else "household"
    needs: dict[str, Source | None] = {**columns, "rank": rank}
    if rank_by == "person" or per_head or unit == "person":
        needs["size"] = size
    sample = take(frame, needs, unit=unit, size=size, by=by, design=design)
    divided = [*(["rank"] if rank_by == "person" else []), *per_head]
    if divided:
        sample = sample.also(**{name: sample[name] / sample["size"] for name in divided})
    return sample, in_words(rank, size if rank_by == "person" else None)


def in_words(column: Source, size: Source | None) -> Phrase:
    """Name a column in words: as it stands, or per head."""
    if size is None:
        return Phrase.of("ranked.as_it_stands", column=told(column))
    return Phrase.of("ranked.per_head", column=told(column), size=told(size))


def told(source: Source) -> str:
    """Name a column; an expression by the name of what it gives.

    >>> told("oop"), told((pl.col("oop") / pl.col("size")).alias("oop_per_head"))
    ('oop', 'oop_per_head')
    """
    if isinstance(source, str):
        return source
    try:
        return source.meta.output_name()
    except pl.exceptions.PolarsError:
        return "expression"


def ranked_once(sample: Sample, column: str = "rank") -> Callable[[Mapping[str, Array]], Ranking]:
    """Rank the whole sample, and give a function that ranks columns: the whole again at no cost, a group anew."""
    whole = sample[column]
    ranking = Ranking.of(whole)

    def ranked(columns: Mapping[str, Array]) -> Ranking:
        return ranking if columns[column] is whole else Ranking.of(columns[column])

    return ranked


def tied(ranking: Ranking) -> int:
    """Count the rows that share their rank with another.

    >>> tied(Ranking.of(np.array([1.0, 2.0, 2.0, 3.0])))
    2
    """
    if ranking.first is None:
        return 0
    sizes = np.diff(np.append(ranking.first, len(ranking.order)))
    return int(sizes[sizes > 1].sum())
