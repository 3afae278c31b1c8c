"""Link the waves of a household panel in three ways, and count what each holds.

By household: the core household keeps its number from wave to wave; a household that left another one is a split-off
and begins a chain of its own. By respondent: the person who answered for the household. Balanced: only chains of
households that are there in every wave. Studies differ in which they use, so the counts of all three are reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import polars as pl

Link = Literal["household", "respondent", "balanced"]


@dataclass(frozen=True, eq=False, slots=True)
class Linked:
    """Be a panel with its links, the counts of all three ways, and which rows the chosen way has no place for."""

    frame: pl.DataFrame
    links: list[dict[str, Any]]
    lost: pl.Series


def link_waves(households: pl.DataFrame, *, link: Link) -> Linked:
    """Link the rows of a panel by wave, household_id, respondent_id, and earlier_<wave>, a household's earlier number.

    Adds previous_wave and previous_household_id (the latest earlier row that this one goes back to), split_off (0 where
    it has that row's number still, 1 where it left under another, null where it goes back to none) and panel_id: the
    chain of the core household (`household`, `balanced`) or the respondent (`respondent`; null where unknown, or where
    somebody answered for a second household in one wave). All rows come back; `lost` is true for those without a
    panel_id, with `balanced` for those whose chain does not have a row in every wave.

    A row goes back to the latest earlier wave that has the number its file gives for it; without one, to the latest
    row of the same number. Only a row with the same number carries the chain on: CFPS leaves it with the core, so that
    a household under a new number is a split-off, also where the one that it left is never seen again.
    """
    rows = households.select(
        "wave", "household_id", *(name for name in households.columns if name.startswith("earlier_"))
    ).to_dicts()
    parents = _parents(rows)
    core = [parent is not None and parent[1] == row["household_id"] for row, parent in zip(rows, parents, strict=True)]
    chains = _chains(rows, parents, core)
    split = [None if parent is None else int(not on) for parent, on in zip(parents, core, strict=True)]
    frame = households.with_columns(
        pl.Series("previous_wave", [parent and parent[0] for parent in parents], dtype=pl.String),
        pl.Series("previous_household_id", [parent and parent[1] for parent in parents], dtype=pl.String),
        pl.Series("split_off", split, dtype=pl.Int8),
        pl.Series("chain", chains, dtype=pl.String),
    )
    first = pl.struct("wave", "respondent_id").is_first_distinct()
    frame = frame.with_columns(respondent=pl.when(pl.col("respondent_id").is_not_null() & first).then("respondent_id"))
    waves = frame["wave"].unique().sort().to_list()
    in_all = frame.select(pl.col("wave").n_unique().over("chain") == len(waves)).to_series()
    counts = [
        *count_units(frame, "chain", "household", waves),
        *count_units(frame.drop_nulls("respondent"), "respondent", "respondent", waves),
        *count_units(frame.filter(in_all), "chain", "balanced", waves),
    ]
    by = "respondent" if link == "respondent" else "chain"
    lost = ~in_all if link == "balanced" else frame[by].is_null()
    frame = frame.with_columns(panel_id=pl.col(by)).drop("chain", "respondent")
    return Linked(frame.drop(name for name in frame.columns if name.startswith("earlier_")), counts, lost)


def count_units(frame: pl.DataFrame, by: str, link: str, waves: list[str]) -> list[dict[str, Any]]:
    """Count units (the values of `by`) and rows: in any wave, in two or more, in every one, and to the next wave."""
    sizes = frame.group_by(by).agg(pl.col("wave").n_unique().alias("waves"), pl.len().alias("rows"))
    several = sizes.filter(pl.col("waves") >= 2)
    all_waves = sizes.filter(pl.col("waves") == len(waves))
    told: list[dict[str, Any]] = [
        {"link": link, "between": name, "units": one.height, "rows": int(one["rows"].sum())}
        for name, one in (("any wave", sizes), ("two or more waves", several), ("every wave", all_waves))
    ]
    for first, second in pairwise(waves):
        one = set(frame.filter(pl.col("wave") == first)[by])
        both = one & set(frame.filter(pl.col("wave") == second)[by])
        told.append({"link": link, "between": f"{first}-{second}", "units": len(both), "rows": 2 * len(both)})
    return told


_Row = dict[str, Any]
_Key = tuple[str, str]


def _parents(rows: list[_Row]) -> list[_Key | None]:
    """Find for each row the latest earlier row that it goes back to."""
    there = {(row["wave"], row["household_id"]) for row in rows}
    waves = sorted({row["wave"] for row in rows})
    found: list[_Key | None] = []
    for row in rows:
        parent = None
        for wave in reversed([wave for wave in waves if wave < row["wave"]]):
            number = row.get(f"earlier_{wave}")
            if number is not None and (wave, number) in there:
                parent = (wave, number)
                break
        if parent is None:
            same = [wave for wave in waves if wave < row["wave"] and (wave, row["household_id"]) in there]
            parent = (same[-1], row["household_id"]) if same else None
        found.append(parent)
    return found


def _chains(rows: list[_Row], parents: list[_Key | None], core: list[bool]) -> list[str]:
    """Give each row the number of the household that its chain began with."""
    order = sorted(range(len(rows)), key=lambda i: rows[i]["wave"])
    chain: dict[_Key, str] = {}
    taken: set[str] = set()
    for i in order:
        key, parent = (rows[i]["wave"], rows[i]["household_id"]), parents[i]
        if core[i] and parent is not None:
            chain[key] = chain[parent]
            continue
        name = key[1] if key[1] not in taken else f"{key[1]}@{key[0]}"
        taken.add(name)
        chain[key] = name
    return [chain[row["wave"], row["household_id"]] for row in rows]
