"""Cut a file of claims that is larger than memory into parts that can be settled one by one.

Parts are ranges of units in their order (person_id, or household_id), so that their settlements, put one behind the
other, are in the order in which a whole run writes them. What only shows in the whole file is found here: claim_ids
that occur twice, and claims that rows of another person name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from medfloor.intake import Keys, People, Scan, Spells, collect, read_claims, sink_all
from medfloor.settlement.batch import Law, register_of

ROW = "__row"
"""The column that holds a row's place in the whole file."""

SAMPLE = 100_000
"""From about how many rows the ranges are chosen."""

SINKS = 16
"""How many parts are written in one pass over the file; each keeps a group of rows in memory."""

MOST_PARTS = 1_000
"""Into how many parts a file is cut at most; smaller ones would gain nothing beside what the program itself takes."""

BYTES_A_HASH = 80
"""What it takes to see whether a claim_id occurs twice, per row."""

LEAST_HASHES = 1_000_000
"""How many of them are looked at together, however small the limit."""


@dataclass(frozen=True, eq=False)
class Part:
    """Be what one part of a run needs: its claims, people, statuses and accumulators.

    `elsewhere` lists claims of other parts that rows here may name (claim_id, person_id); None where the part is all.
    """

    claims: Scan | str
    people: People
    spells: Spells
    opening: pl.DataFrame | None
    elsewhere: pl.DataFrame | None


def count_parts(keys: Keys, rows: int, bytes_a_row: int, limit: int, held: int) -> int:
    """Say into how many parts a file of so many rows is cut for a limit of memory, of which `held` bytes are taken."""
    head = collect(keys.scan, keys.scan.frame.head(10_000))
    # As it came, a row is held three times at most: read, carried through, and handed back where it is refused.
    width = 3 * int(head.estimated_size()) // max(1, head.height)
    room = max(limit - held, limit // 4, 1)
    return max(1, min(-(-rows * (bytes_a_row + width) // room), MOST_PARTS))


def cut(
    keys: Keys,
    law: Law,
    people: People,
    spells: Spells,
    opening: pl.DataFrame | None,
    *,
    rows: int,
    count: int,
    limit: int,
    folder: Path,
) -> tuple[int, Iterator[Part]]:
    """Write the claims file as `count` Parquet files at most, and give how many there are and the parts one by one.

    Raises InputError where the file cannot be read to its end, OSError where the folder cannot be written.
    """
    ranges = _ranges(keys, law, people, rows, count)
    twice = _ids_that_occur_twice(keys, rows, limit)
    paths = [folder / f"{number}.parquet" for number in range(ranges.count)]
    _write_parts(keys, ranges, twice, paths)
    elsewhere = _named_by_others(keys, law, twice)
    people_in = ranges.of_persons(people.accepted["person_id"])
    spells_in = ranges.of_persons(spells.accepted["person_id"])
    opening_in = None if opening is None else ranges.of_persons(opening["person_id"])

    def parts() -> Iterator[Part]:
        for number, path in enumerate(paths):
            frame = pl.scan_parquet(path, glob=False)
            yield Part(
                Scan(frame, frame.collect_schema(), keys.scan.place, whole=False),
                replace(people, accepted=people.accepted.filter(people_in == number)),
                replace(spells, accepted=spells.accepted.filter(spells_in == number)),
                None if opening is None or opening_in is None else opening.filter(opening_in == number),
                elsewhere,
            )

    return len(paths), parts()


@dataclass(frozen=True, eq=False)
class _Ranges:
    """Be ranges of units: range k holds the units from bound k - 1 up to bound k.

    `units` says which unit a person belongs to (person_id, unit); None where each person is one.
    """

    bounds: pl.Series
    units: pl.DataFrame | None

    @property
    def count(self) -> int:
        """Count the ranges."""
        return len(self.bounds) + 1

    def of_units(self, units: pl.Series) -> pl.Series:
        """Number the range of each unit; 0 where the unit is not known."""
        if self.bounds.is_empty():
            return pl.zeros(len(units), pl.Int32, eager=True)
        return self.bounds.search_sorted(units, side="right").cast(pl.Int32)

    def of_persons(self, persons: pl.Series) -> pl.Series:
        """Number the range of each person; 0 where a household is not known."""
        if self.units is None:
            return self.of_units(persons)
        known = (
            persons.alias("person_id").to_frame().join(self.units, on="person_id", how="left", maintain_order="left")
        )
        return self.of_units(known["unit"])


def _ranges(keys: Keys, law: Law, people: People, rows: int, count: int) -> _Ranges:
    """Choose ranges of units with about as many claims each, from a sample of the claims."""
    every = max(1, rows // SAMPLE)
    sample = collect(keys.scan, keys.scan.frame.select(keys.person_id.alias("person_id")).gather_every(every))
    units = None
    if law.layout.household:
        register = register_of(people, law.layout)
        homes = register.rows["household_id"].gather(register.row_first[:-1])
        units = pl.DataFrame({"person_id": register.person_ids, "unit": homes})
        sample = sample.join(units, on="person_id", how="inner").select(pl.col("unit").alias("person_id"))
    order = sample["person_id"].drop_nulls().sort()
    cuts = [order[len(order) * number // count] for number in range(1, count)] if len(order) else []
    bounds = [cut for cut in dict.fromkeys(cuts) if cut != order[0]]
    return _Ranges(pl.Series("bound", bounds, dtype=pl.String), units)


def _ids_that_occur_twice(keys: Keys, rows: int, limit: int) -> pl.Series:
    """List the claim_ids of more than one row, with the ids of a fraction of the file in memory at a time."""
    ids = keys.scan.frame.select(keys.claim_id.alias("id")).drop_nulls()
    passes = max(1, -(-rows // max(LEAST_HASHES, limit // 2 // BYTES_A_HASH)))
    suspects = []
    for number in range(passes):
        hashes = ids.select(pl.col("id").hash().alias("hash")).filter(pl.col("hash") % passes == number)
        found = collect(keys.scan, hashes)["hash"]
        suspects.append(found.filter(found.is_duplicated()).unique())
    hashed = pl.concat(suspects)
    if hashed.is_empty():
        return pl.Series("id", [], pl.String)
    # Two ids may share a hash, so the ids themselves are compared.
    same = collect(keys.scan, ids.filter(pl.col("id").hash().is_in(hashed.implode())))["id"]
    return same.filter(same.is_duplicated()).unique()


def _write_parts(keys: Keys, ranges: _Ranges, twice: pl.Series, paths: Sequence[Path]) -> None:
    """Write each row, as it came and with its place in the file, to the part of its unit.

    Rows that share a claim_id go together, whosever they are, so that they are seen to; so do those of unknown people.
    """
    names, count = keys.scan.names, len(paths)
    frame = keys.scan.frame.with_row_index(ROW)
    if ranges.units is None:
        unit = keys.person_id
    else:
        frame = frame.with_columns(keys.person_id.alias("__person")).join(
            ranges.units.lazy().rename({"unit": "__unit"}),
            left_on="__person",
            right_on="person_id",
            how="left",
            maintain_order="left",
        )
        unit = pl.col("__unit")
    number = unit.map_batches(ranges.of_units, return_dtype=pl.Int32, is_elementwise=True)
    if ranges.units is not None:
        number = pl.when(unit.is_null()).then(_any_part(keys.person_id, count)).otherwise(number)
    if len(twice):
        shared = keys.claim_id.is_in(twice.implode())
        number = pl.when(shared).then(_any_part(keys.claim_id, count)).otherwise(number)
    frame = frame.with_columns(number.alias("__part"))
    parts = [frame.filter(pl.col("__part") == k).select(*names, ROW) for k in range(count)]
    for first in range(0, count, SINKS):
        chosen = slice(first, first + SINKS)
        sink_all(keys.scan, parts[chosen], paths[chosen])


def _any_part(key: pl.Expr, count: int) -> pl.Expr:
    """Choose a part for rows that are refused wherever they are: the same for the same key."""
    return (key.hash() % count).cast(pl.Int32)


def _named_by_others(keys: Keys, law: Law, twice: pl.Series) -> pl.DataFrame:
    """List the readable claims that a row of another person continues or reverses: claim_id, person_id."""
    naming = [
        keys.scan.frame.select(name.alias("claim_id"), keys.person_id.alias("_by")).drop_nulls()
        for name in (keys.continues, keys.reverses)
        if name is not None
    ]
    if not naming:
        return pl.DataFrame(schema={"claim_id": pl.String, "person_id": pl.String})
    owned = keys.scan.frame.with_row_index(ROW).select(
        ROW, keys.claim_id.alias("claim_id"), keys.person_id.alias("person_id")
    )
    pairs = owned.join(pl.concat(naming), on="claim_id").filter(pl.col("_by") != pl.col("person_id"))
    single = pairs.filter(~pl.col("claim_id").is_in(twice.implode()))
    rows = collect(keys.scan, single.select(ROW).unique())[ROW].to_numpy()
    wanted = pl.Series(ROW, np.sort(rows), pl.UInt32).to_frame().lazy()
    raw = collect(keys.scan, keys.scan.frame.with_row_index(ROW).join(wanted, on=ROW, how="semi").drop(ROW))
    codes = law.policies.versions[-1].codes
    named = read_claims(
        replace(keys.scan, frame=raw.lazy(), path=None, whole=False), med_type=codes.med_type, hosp_lv=codes.hosp_lv
    )
    return named.accepted.select("claim_id", "person_id")
