"""Cut the files of a run that is larger than memory into parts that can be settled one by one.

Parts are ranges of units in their order (person_id, or household_id), so that their settlements, put one behind the
other, are in the order in which a whole run writes them. All inputs are cut at the same bounds: a file that is in order
already by ranges of its rows, where it stands; any other is written to pieces in one pass. What only shows in the whole
file is found here: claim_ids that occur twice, and claims that rows of another person name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.intake import (
    HeldPieces,
    Keys,
    People,
    PeopleKeys,
    Pieces,
    Scan,
    Spells,
    batches,
    collect,
    number_of,
    people_keys,
    read_claims,
    read_keys,
    read_people,
    read_spells,
    scan_table,
    spells_keys,
    writing,
)
from medfloor.policy.load import groups_of
from medfloor.settlement.balance import from_table
from medfloor.settlement.batch import Law

ROW = "__row"
"""The column that holds a row's place in the whole file."""

SAMPLE = 100_000
"""From about how many rows the ranges are chosen."""

MOST_PARTS = 1_000
"""Into how many parts a file is cut at most; smaller ones would gain nothing beside what the program itself takes."""

HASHES = 20_000_000
"""Of how many claim_ids it is seen together whether any occurs twice, where no limit asks for fewer."""

LEAST_HASHES = 1_000_000
"""How many of them are looked at together, however small the limit."""

BYTES_A_HASH = 40
"""What it takes to see whether a claim_id occurs twice, per row."""

Told = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Part:
    """Be what one part of a run needs: its claims, people, statuses and accumulators.

    `elsewhere` lists claims of other parts that rows here may name (claim_id, person_id); None where the part is all.
    `previous` are the earlier settlements of its persons, as they came; None where none were named.
    """

    claims: Scan | str
    people: People
    spells: Spells
    opening: pl.DataFrame | None
    previous: pl.DataFrame | None
    elsewhere: pl.DataFrame | None
    distinct: Any = None


@dataclass(frozen=True, eq=False)
class Inputs:
    """Be the files of a run as they are known before a row is read, and the expressions that say whose a row is.

    `opening` and `previous` are None where none were named.
    """

    law: Law
    claims: Keys
    people: PeopleKeys
    spells: Scan
    spells_person: pl.Expr
    opening: Scan | None
    previous: Scan | None

    @classmethod
    def of(cls, law: Law, files: Mapping[str, str | None]) -> Inputs:
        """Look at every file as a whole. Raises InputError for one that cannot be used at all."""
        claims, people = files["claims"], files["people"]
        spells, opening, previous = files["spells"], files["opening"], files["previous"]
        assert claims is not None
        assert people is not None
        codes = law.policies.versions[-1].codes
        keys = read_keys(claims, med_type=codes.med_type, hosp_lv=codes.hosp_lv)
        folk = people_keys(people)
        scan, person = spells_keys(spells, groups_of(law.policies))
        opened = None if opening is None else scan_table(opening, "opening accumulators")
        if opened is not None:
            from_table(collect(opened, opened.frame.head(0)), law.layout, opened.place)
        before = None if previous is None else scan_table(previous, "settlements")
        return cls(law, keys, folk, scan, person, opened, before)

    def tables(self) -> dict[str, tuple[Scan, pl.Expr]]:
        """List the files beside the claims, and whose their rows are."""
        found = {"people": (self.people.scan, self.people.person_id), "spells": (self.spells, self.spells_person)}
        for name, scan in (("opening", self.opening), ("previous", self.previous)):
            if scan is not None:
                known = "person_id" in scan.names
                whose = pl.col("person_id").cast(pl.String) if known else pl.lit(None, dtype=pl.String)
                found[name] = (scan, whose)
        return found


@dataclass(frozen=True, eq=False)
class Plan:
    """Be how the files of a run are cut.

    `edges` has, for a file that is in order, the rows at which its parts begin and end (count + 1 of them), and None
    for one that was written to pieces. `rows` counts the claims.
    """

    rows: int
    count: int
    edges: dict[str, list[int] | None] = field(default_factory=dict)

    def parts(self, inputs: Inputs, folder: Path, held: Held | None = None) -> Iterator[Callable[[], Part]]:
        """Give what reads each part, in order, once; `held` has the pieces where they are not in `folder`."""
        path = folder / ELSEWHERE
        elsewhere = pl.read_ipc(path.read_bytes()) if path.exists() else None
        for number in range(self.count):
            yield lambda number=number: self._part(inputs, folder, held, number, elsewhere)  # type: ignore[misc]

    def _part(
        self, inputs: Inputs, folder: Path, held: Held | None, number: int, elsewhere: pl.DataFrame | None
    ) -> Part:
        law = inputs.law
        scans = {name: self._scan(name, scan, folder, held, number) for name, (scan, _) in inputs.tables().items()}
        claims = self._scan("claims", inputs.claims.scan, folder, held, number)
        for pieces in (held or {}).values():
            pieces.drop(number)
        opening = None
        if inputs.opening is not None:
            opening = from_table(collect(scans["opening"], scans["opening"].frame), law.layout, inputs.opening.place)
        previous = None if inputs.previous is None else collect(scans["previous"], scans["previous"].frame)
        return Part(
            claims,
            read_people(scans["people"]),
            read_spells(scans["spells"], groups_of(law.policies)),
            opening,
            previous,
            elsewhere,
            inputs.claims.distinct,
        )

    def _scan(self, name: str, scan: Scan, folder: Path, held: Held | None, number: int) -> Scan:
        """Give a part of a file as a scan; claims bring their place in the whole file."""
        edges = self.edges[name]
        if edges is not None:
            frame = scan.frame.slice(edges[number], edges[number + 1] - edges[number])
            if name == "claims":
                frame = frame.with_row_index(ROW, offset=edges[number])
        else:
            schema = scan.schema if name != "claims" else pl.Schema({**scan.schema, ROW: pl.UInt32()})
            frame = _pieces(folder, held, name, scan).read(number, schema).lazy()
        return Scan(frame, frame.collect_schema(), scan.place, whole=False)


ELSEWHERE = "elsewhere.arrow"

Held = dict[str, HeldPieces]
"""The pieces of each table that are kept in memory."""


def _pieces(folder: Path, held: Held | None, name: str, scan: Scan) -> Pieces | HeldPieces:
    """Give where the pieces of a table are: on the disk, or in memory."""
    return Pieces(folder, name, scan.place) if held is None else held.setdefault(name, HeldPieces())


def count_rows(keys: Keys) -> int:
    """Count the claims of a file."""
    return int(collect(keys.scan, keys.scan.frame.select(pl.len())).item())


def count_parts(keys: Keys, rows: int, bytes_a_row: int, limit: int, held: int) -> int:
    """Say into how many parts a file of so many rows is cut for a limit of memory, of which `held` bytes are taken."""
    head = collect(keys.scan, keys.scan.frame.head(10_000))
    # As it came, a row is held four times at most: read, carried through, handed back where it is refused, and read
    # for the next part meanwhile.
    width = 4 * int(head.estimated_size()) // max(1, head.height)
    room = max(limit - held, limit // 4, 1)
    return max(1, min(-(-rows * (bytes_a_row + width) // room), MOST_PARTS))


def look(inputs: Inputs, *, stop: bool = False) -> Seen:
    """Pass over the claims' keys once, and with `stop` once more without the ids where they are in no order."""
    keys = inputs.claims
    names = [name for name in (keys.continues, keys.reverses) if name is not None]
    seen = _look(keys.scan, keys.person_id, keys.claim_id, names, stop=stop)
    return seen if seen.in_order or not stop else _look(keys.scan, keys.person_id, naming=names)


def cut(
    inputs: Inputs,
    seen: Seen,
    *,
    rows: int,
    count: int,
    limit: int | None,
    folder: Path,
    told: Told,
    held: Held | None = None,
) -> Plan:
    """Cut the files of a run into `count` parts at most; what is not in order goes to pieces.

    They are written into `folder`, or put into `held` where that is given. `seen` is what a whole `look` showed, `told`
    hears how many claims of how many are cut. Raises InputError where a file cannot be read to its end, OutputError
    where the disk is full.
    """
    keys = inputs.claims
    ranges = _ranges(inputs, seen.sample, count)
    twice = pl.Series("id", [], pl.String) if seen.ids_rise else _ids_that_occur_twice(keys, rows, limit)
    # Written as text only where it must be: a CSV file has to be read from its beginning to reach any row of it.
    stays = seen.in_order and not len(twice) and ranges.of_person is None and not keys.scan.is_csv
    edges: dict[str, list[int] | None] = {}
    if stays:
        edges["claims"] = _edges_of(keys, seen, ranges.bounds, rows)
    else:
        edges["claims"] = None
        pieces = _pieces(folder, held, "claims", keys.scan)
        _write_claims(keys, ranges, twice, pieces, lambda done: told(done, rows))
    for name, (scan, whose) in inputs.tables().items():
        edges[name] = _cut_table(scan, whose, ranges, lambda: _pieces(folder, held, name, scan))  # noqa: B023
    plan = Plan(rows, ranges.count, edges)
    elsewhere = _named_by_others(inputs, plan, twice, folder, held) if seen.names_others else _NOBODY
    with writing(folder, keys.scan.place):
        elsewhere.write_ipc(folder / ELSEWHERE)
    return plan


_NOBODY = pl.DataFrame(schema={"claim_id": pl.String, "person_id": pl.String})


@dataclass(frozen=True, eq=False)
class Seen:
    """Be what one pass over the keys of a file shows.

    `in_order` says that the keys never fall and none is empty, `ids_rise` that no claim_id can occur twice, `edges`
    where the ranges begin (of use where the keys are in order), `names_others` that some row names another claim.
    `sample` has the keys of every `every`-th row, from the first on, but for empty ones.
    """

    in_order: bool
    ids_rise: bool
    sample: pl.Series
    every: int
    edges: list[int]
    names_others: bool


def _look(
    scan: Scan,
    key: pl.Expr,
    claim_id: pl.Expr | None = None,
    naming: list[pl.Expr] | None = None,
    bounds: list[str] | None = None,
    stop: bool = False,
) -> Seen:
    """Pass over the keys of a file once; with `stop` only until they are seen not to be in order."""
    asked = [key.alias("key"), *([claim_id.alias("id")] if claim_id is not None else [])]
    asked += [name.alias(f"n{i}") for i, name in enumerate(naming or [])]
    ordered, rise, named, rows, every = True, claim_id is not None, False, 0, 1
    last: str | None = None
    last_id: str | None = None
    kept: list[pl.Series] = []
    edges = np.zeros(len(bounds or []), np.int64)
    for batch in batches(scan, scan.frame.select(asked)):
        if not batch.height:
            continue
        keys = batch["key"]
        ordered = ordered and _never_falls(keys, last)
        if stop and not ordered:
            break
        last = keys[-1]
        if rise:
            ids = batch["id"]
            rise = ids.null_count() == 0 and (last_id is None or ids[0] > last_id) and bool((ids > ids.shift(1)).all())
            last_id = ids[-1]
        if bounds is not None and ordered:
            edges += keys.search_sorted(pl.Series(bounds, dtype=pl.String), side="left").to_numpy()
        named = named or any(batch[f"n{i}"].null_count() < batch.height for i in range(len(naming or [])))
        kept.append(keys.gather_every(every, -rows % every))
        rows += batch.height
        if sum(map(len, kept)) > 2 * SAMPLE:
            kept, every = [pl.concat(kept).gather_every(2)], 2 * every
    sample = pl.concat(kept) if kept else pl.Series("key", [], pl.String)
    return Seen(ordered, rise, sample.drop_nulls(), every, [0, *edges.tolist(), rows], named)


def _edges_of(keys: Keys, seen: Seen, bounds: list[str], rows: int) -> list[int]:
    """Find the rows at which ranges of a file in order begin, between two rows of what was seen of it."""
    edges = [0]
    for bound in bounds:
        after = int(seen.sample.search_sorted(bound, side="left"))
        first = max(0, after - 1) * seen.every
        some = keys.scan.frame.slice(first, seen.every + 1).select(keys.person_id.alias("key"))
        edges.append(first + int(collect(keys.scan, some)["key"].search_sorted(bound, side="left")))
    return [*edges, rows]


def _never_falls(keys: pl.Series, last: str | None) -> bool:
    if keys.null_count():
        return False
    return (last is None or keys[0] >= last) and bool((keys >= keys.shift(1)).all())


@dataclass(frozen=True, eq=False)
class _Ranges:
    """Be ranges of units: range k holds the units from bound k - 1 up to bound k.

    `of_person` gives, where a unit is a household, the sorted hashes of the persons and the range of each; None where
    each person is a unit.
    """

    bounds: list[str]
    of_person: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint16], int] | None

    @property
    def count(self) -> int:
        """Count the ranges."""
        return len(self.bounds) + 1

    def of_persons(self, persons: pl.Series) -> pl.Series:
        """Number the range of each person; any, but the same for the same person, where a household is not known."""
        if self.of_person is None:
            return number_of(self.bounds, persons)
        known, number, seed = self.of_person
        hashes = persons.hash(seed=seed).to_numpy()
        found = (hashes % self.count).astype(np.uint16)
        if len(known):
            at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            found = np.where(known[at] == hashes, number[at], found)
        return pl.Series(found)


def _ranges(inputs: Inputs, sample: pl.Series, count: int) -> _Ranges:
    """Choose ranges of units with about as many claims each, from a sample of the claims' persons."""
    if not inputs.law.layout.household:
        return _Ranges(_bounds(sample, count), None)
    keys = inputs.people
    home = keys.person_id if keys.household_id is None else pl.coalesce(keys.household_id, keys.person_id)
    since = pl.lit(None, dtype=pl.Date) if keys.enrolled_from is None else keys.enrolled_from
    asked = [keys.person_id.alias("person_id"), home.alias("unit"), since.alias("since")]
    rows = collect(keys.scan, keys.scan.frame.select(asked)).drop_nulls("person_id")
    # Who moves between two rows counts with the first household, so that a person has one unit.
    if rows["person_id"].n_unique() < rows.height:
        rows = rows.sort("person_id", "since").unique("person_id", keep="first", maintain_order=True)
    units = rows.join(sample.alias("person_id").to_frame(), on="person_id", how="inner")["unit"]
    bounds = _bounds(units, count)
    number = number_of(bounds, rows["unit"]).to_numpy()
    persons = rows["person_id"]
    for seed in range(8):
        hashes = persons.hash(seed=seed).to_numpy()
        order = np.argsort(hashes, kind="stable")
        known, place = hashes[order], number[order]
        if not ((known[1:] == known[:-1]) & (place[1:] != place[:-1])).any():
            return _Ranges(bounds, (known, place, seed))
    raise AssertionError("persons of different households share a hash under eight seeds")


def _bounds(units: pl.Series, count: int) -> list[str]:
    order = units.sort()
    cuts = [order[len(order) * number // count] for number in range(1, count)] if len(order) else []
    return [cut for cut in dict.fromkeys(cuts) if cut != order[0]]


def _ids_that_occur_twice(keys: Keys, rows: int, limit: int | None) -> pl.Series:
    """List the claim_ids of more than one row, with the ids of a fraction of the file in memory at a time."""
    at_once = HASHES if limit is None else max(LEAST_HASHES, limit // 2 // BYTES_A_HASH)
    ids = keys.scan.frame.select(keys.claim_id.alias("id")).drop_nulls()
    passes = max(1, -(-rows // at_once))
    suspects = []
    for number in range(passes):
        hashed = ids.select(pl.col("id").hash().alias("hash"))
        if passes > 1:
            hashed = hashed.filter(pl.col("hash") % passes == number)
        found = [batch["hash"].to_numpy() for batch in batches(keys.scan, hashed)]
        if not found:
            continue
        hashes = np.concatenate(found)
        del found
        hashes.sort()
        suspects.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
    shared = pl.Series("hash", np.concatenate([np.zeros(0, np.uint64), *suspects]), pl.UInt64)
    if shared.is_empty():
        return pl.Series("id", [], pl.String)
    # Two ids may share a hash, so the ids themselves are compared.
    same = collect(keys.scan, ids.filter(pl.col("id").hash().is_in(shared.implode())))["id"]
    return same.filter(same.is_duplicated()).unique()


def _write_claims(
    keys: Keys, ranges: _Ranges, twice: pl.Series, pieces: Pieces | HeldPieces, told: Callable[[int], None]
) -> None:
    """Write each row, as it came and with its place in the file, to the piece of its unit.

    Rows that share a claim_id go together, whosever they are, so that they are seen to.
    """
    names = keys.scan.names
    query = keys.scan.frame.with_row_index(ROW).with_columns(
        keys.person_id.alias("__person"), *([keys.claim_id.alias("__id")] if len(twice) else [])
    )
    done = 0
    for batch in batches(keys.scan, query):
        number = ranges.of_persons(batch["__person"])
        if len(twice):
            shared = batch["__id"].is_in(twice.implode()).fill_null(False)
            any_part = (batch["__id"].hash() % ranges.count).cast(pl.UInt16)
            number = any_part.zip_with(shared, number)
        pieces.append(batch.select(*names, ROW), number)
        done += batch.height
        told(done)


def _cut_table(
    scan: Scan, whose: pl.Expr, ranges: _Ranges, where: Callable[[], Pieces | HeldPieces]
) -> list[int] | None:
    """Cut a file beside the claims: give the edges of its parts where it is in order, else write pieces of it."""
    if ranges.of_person is None and not scan.is_csv:
        seen = _look(scan, whose, bounds=ranges.bounds)
        if seen.in_order:
            return seen.edges
    pieces = where()
    for batch in batches(scan, scan.frame.with_columns(whose.alias("__person"))):
        pieces.append(batch.drop("__person"), ranges.of_persons(batch["__person"]))
    return None


def _named_by_others(inputs: Inputs, plan: Plan, twice: pl.Series, folder: Path, held: Held | None) -> pl.DataFrame:
    """List the readable claims that a row of another part continues or reverses: claim_id, person_id."""
    keys = inputs.claims
    naming = [name for name in (keys.continues, keys.reverses) if name is not None]
    lost = []
    for number in range(plan.count):
        part = plan._scan("claims", keys.scan, folder, held, number)
        rows = collect(
            part, part.frame.select(keys.claim_id.alias("id"), *(n.alias(f"n{i}") for i, n in enumerate(naming)))
        )
        named = pl.concat([rows[f"n{i}"].rename("id") for i in range(len(naming))]).drop_nulls().unique()
        lost.append(named.filter(~named.is_in(rows["id"].drop_nulls().implode())))
    wanted = pl.concat(lost).unique()
    wanted = wanted.filter(~wanted.is_in(twice.implode()))
    if wanted.is_empty():
        return _NOBODY
    raw = collect(keys.scan, keys.scan.frame.filter(keys.claim_id.is_in(wanted.implode())))
    codes = inputs.law.policies.versions[-1].codes
    named_claims = read_claims(
        replace(keys.scan, frame=raw.lazy(), path=None, whole=False), med_type=codes.med_type, hosp_lv=codes.hosp_lv
    )
    return named_claims.accepted.select("claim_id", "person_id")
