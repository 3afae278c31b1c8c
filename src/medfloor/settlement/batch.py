"""Bring claims, people, spells and law together as sorted columns, ready for an engine.

Rows that cannot be settled are refused here with their reasons: unknown people, dates outside the policy, stays that
continue nothing, reversals of nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor import tables
from medfloor.errors import MissingValueError, PolicyError
from medfloor.intake import People, Spells
from medfloor.money import MAX_FEN
from medfloor.policy.compile import Dimensions, Layout, Profiles, dimensions_of, layout_of, profiles_of, resolve_kinds
from medfloor.policy.load import PolicySet
from medfloor.policy.resolve import Facts, Rules
from medfloor.settlement.scope import DAWN, FAR, ClassRules, Columns, SpellColumns, kinds_of, prefix_masks
from medfloor.settlement.sequence import Segments, first_of_stays, order_of, segments_of

Ints = npt.NDArray[np.int64]
EPOCH = date(1970, 1, 1)
UNREADABLE = -2
"""What stands for an amount of an input column that cannot be read."""


@dataclass(frozen=True)
class Law:
    """Be a policy made ready: its versions, its counters, and the questions that it asks."""

    policies: PolicySet
    layout: Layout
    dimensions: Dimensions
    known: dict[Any, Rules] = field(default_factory=dict, repr=False, compare=False)
    """What it said of kinds of claims so far: the next batch need not ask again."""
    class_rules: ClassRules = field(default_factory=dict, repr=False, compare=False)
    """What its versions said of ages so far."""

    @classmethod
    def of(cls, policies: PolicySet) -> Law:
        """Make a policy ready."""
        return cls(policies, layout_of(policies), dimensions_of(policies))


@dataclass(frozen=True)
class Register:
    """Be the people of a run: distinct persons in order of unit and person_id, and their rows.

    A unit is a household where the policy counts by household, else a person. Person p has the rows row_first[p] to
    row_first[p + 1] of `rows` (several where the scheme changed).
    """

    person_ids: pl.Series
    unit: Ints
    unit_first: Ints
    row_first: Ints
    rows: pl.DataFrame


@dataclass(frozen=True)
class Batch:
    """Be claims in the order of settlement, with everything that an engine needs.

    `frame` holds the accepted claims in that order; `person` and `unit` are positions in the register; `stay_of` and
    `stay_first` say which continuous stay a claim belongs to (-1: none that anybody continues). `rules` are the
    distinct rules and `profile` the one of each claim.
    """

    law: Law
    register: Register
    spells: SpellColumns
    frame: pl.DataFrame
    columns: Columns
    person: Ints
    unit: Ints
    segments: Segments
    rules: tuple[Rules, ...]
    profiles: Profiles
    profile: npt.NDArray[np.int32]
    amounts: Ints
    stay_of: npt.NDArray[np.int32]
    stay_first: tuple[str, ...]

    @property
    def height(self) -> int:
        """Count the claims."""
        return self.frame.height

    @property
    def pays(self) -> bool:
        """Say whether any claim meets a tier that pays by known numbers."""
        return any(step.pays != "nothing" for rule in self.rules for step in rule.steps)


@dataclass(frozen=True)
class Refusals:
    """Be rows refused on the way: positions in the input, reasons and details.

    `unpublished` is the first number that a claim needed and that was never published; None where none was lacking.
    """

    rows: pl.DataFrame
    unpublished: MissingValueError | None = None

    @classmethod
    def none(cls) -> Refusals:
        """Make an empty list."""
        return cls(pl.DataFrame(schema={"row": pl.UInt32, "reason": pl.String, "detail": pl.String}))

    def add(self, frame: pl.DataFrame, reason: str, detail: str | pl.Expr) -> Refusals:
        """Add the rows of a frame that has a column `row`."""
        if frame.height == 0:
            return self
        text = pl.lit(detail) if isinstance(detail, str) else detail
        more = frame.select(pl.col("row").cast(pl.UInt32), pl.lit(reason).alias("reason"), text.alias("detail"))
        return replace(self, rows=pl.concat([self.rows, more]))


def register_of(people: People, layout: Layout) -> Register:
    """Sort people by unit and person, and number them."""
    frame = people.accepted
    ids = frame["person_id"]
    if not (ids.slice(1) > ids.slice(0, max(0, frame.height - 1))).all():
        frame = frame.sort("person_id", "enrolled_from")
    if layout.household:
        # Who moves between two rows counts with the first household, so that a person has one unit.
        frame = frame.with_columns(pl.col("household_id").first().over("person_id"))
        frame = frame.sort("household_id", "person_id", maintain_order=True)
    new = np.ones(frame.height, bool)
    ids = frame["person_id"]
    if frame.height > 1:
        new[1:] = (ids.slice(1) != ids.slice(0, frame.height - 1)).to_numpy()
    row_first = np.append(np.flatnonzero(new), frame.height).astype(np.int64)
    persons = ids.gather(row_first[:-1]) if frame.height else ids
    if layout.household and frame.height:
        homes = frame["household_id"].gather(row_first[:-1])
        unit = homes.rle_id().to_numpy().astype(np.int64)
        unit_first = np.append(np.flatnonzero(np.diff(unit, prepend=-1)), len(unit)).astype(np.int64)
    else:
        unit = np.arange(len(persons), dtype=np.int64)
        unit_first = np.arange(len(persons) + 1, dtype=np.int64)
    return Register(persons, unit, unit_first, row_first, frame)


def spell_columns(spells: Spells, register: Register, groups: Sequence[str]) -> SpellColumns:
    """Sort statuses by person; those that no question of the law names are left out."""
    frame = spells.accepted.filter(pl.col("group").is_in(list(groups)))
    index = pl.DataFrame({"person_id": register.person_ids, "person": np.arange(len(register.person_ids))})
    frame = frame.join(index, on="person_id", how="inner").sort("person", maintain_order=True)
    counts = np.bincount(frame["person"].to_numpy(), minlength=len(register.person_ids))
    names = {name: number for number, name in enumerate(groups)}
    return SpellColumns(
        np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        frame["group"].replace_strict(names, return_dtype=pl.Int64).to_numpy()
        if frame.height
        else np.zeros(0, np.int64),
        _days(frame["from_date"], DAWN),
        np.minimum(_days(frame["to_date"], FAR) + 1, FAR + 1),
        tuple(groups),
    )


def _days(dates: pl.Series, empty: int) -> Ints:
    return dates.cast(pl.Int32).fill_null(empty).cast(pl.Int64).to_numpy()


def prepare(
    law: Law,
    accepted: list[pl.DataFrame],
    people: People,
    spells: Spells,
    opening: pl.DataFrame | None = None,
    elsewhere: pl.DataFrame | None = None,
) -> tuple[Batch, pl.DataFrame, Refusals]:
    """Make a batch of all claims that can be settled.

    `accepted` holds the accepted claims of intake as its one item; it is taken out, so that their memory can be freed
    as soon as they are sorted. `opening` has the accumulators in inside form; it brings the stays that may be
    continued and what the year's sums begin with. Returns the batch (without reversal rows), the reversal rows that
    are in order (row, claim_id, reverses, settled_date, start_date), and the refusals. `elsewhere` says that these
    claims are a part of a file, and lists those of its other parts that are named here (claim_id, person_id).

    Raises MissingValueError where numbers that the law needs were never published and no claim can be paid without
    them; of a part of a file the caller judges that (`Refusals.unpublished`, `Batch.pays`).
    """
    register = register_of(people, law.layout)
    spells_bad = spells.bad
    refused = Refusals.none()
    frame = _without_empty(accepted.pop())
    owners = _owners_of_named(frame, elsewhere)
    frame, refused = _find_people(frame, register, people, spells_bad, refused)
    frame, refused = _find_versions(law, frame, refused)
    reversals = frame.filter(pl.col("reverses").is_not_null())
    if reversals.height:
        frame = frame.filter(pl.col("reverses").is_null())
    frame, refused = _check_sums(frame, register, opening, law.layout, refused)
    known_stays = None
    if opening is not None:
        known_stays = opening.filter(pl.col("last_stay").is_not_null()).select("person_id", "last_stay")
    frame, refused = _check_continues(frame, known_stays, owners, refused)
    while True:
        # In a list, as above, so that sorted and unsorted claims do not both stay in memory.
        unsorted = [frame]
        del frame
        batch, frame, lacking, batch_pays = _sorted_batch(law, register, spells, unsorted)
        if not lacking:
            unreadable = (batch.amounts == UNREADABLE).any(axis=0)
            if not unreadable.any():
                break
            names = " or ".join(law.dimensions.columns)
            lost = batch.frame.filter(pl.Series(unreadable))
            refused = refused.add(
                lost, "bad_amount",
                f"{names}: the policy reads an amount here, in yuan from 0 to 9 trillion with at most two decimals",
            )  # fmt: skip
            frame = frame.filter(~pl.col("row").is_in(lost["row"].implode()))
            frame, refused = _check_continues(frame, known_stays, owners, refused)
            continue
        error = next(iter(lacking.values()))
        if not batch_pays and elsewhere is None:
            raise error
        refused = replace(refused, unpublished=refused.unpublished or error)
        gone = pl.Series(list(lacking), dtype=pl.UInt32)
        reason = {row: f"the policy cannot settle this claim: {error.message}" for row, error in lacking.items()}
        refused = refused.add(
            frame.filter(pl.col("row").cast(pl.UInt32).is_in(gone.implode())),
            "policy_value_missing",
            pl.col("row").cast(pl.UInt32).replace_strict(reason, return_dtype=pl.String, default=""),
        )
        frame = frame.filter(~pl.col("row").cast(pl.UInt32).is_in(gone.implode()))
        frame, refused = _check_continues(frame, known_stays, owners, refused)
    reversals, refused = _check_reversals(reversals, frame, owners, refused)
    return batch, reversals, refused


@dataclass(frozen=True)
class Asked:
    """Be what a law's questions make of the claims of a batch; laws that ask the same share it.

    `kind` gives each claim its place in `kinds`.
    """

    spells: SpellColumns
    columns: Columns
    amounts: Ints
    kind: npt.NDArray[np.int32]
    kinds: list[tuple[int, Facts]]


def same_order(one: Law, other: Law) -> bool:
    """Say whether two laws put claims into the same units, versions, years and so the same order."""

    def order(law: Law) -> tuple[Any, ...]:
        versions = law.policies.versions
        spans = [law.policies.span(number) for number in range(len(versions))]
        return law.layout.household, spans, [(v.benefit_year.starts, v.benefit_year.belongs_by) for v in versions]

    return order(one) == order(other)


def under(batch: Batch, law: Law, spells: Spells, known: dict[Any, Asked] | None = None) -> Batch:
    """Ask another law about the claims of a batch, which stay where they are: only what they are asked changes.

    The laws must have the `same_order`. `known` remembers what the questions made of these claims, so that a law which
    differs in its numbers only is asked about its kinds of claims and nothing else.

    Raises MissingValueError for the first number that a claim needs and that was never published, PolicyError
    policy_amount where a column that the law reads holds no amount.
    """
    assert same_order(batch.law, law)
    known = {} if known is None else known
    key = (law.dimensions, tuple(repr(version.classes) for version in law.policies.versions))
    if key not in known:
        known[key] = _asked(batch, law, spells)
    asked = known[key]
    rules, index, missing = resolve_kinds(law.policies, asked.kinds, law.known)
    if missing:
        raise next(iter(missing.values()))
    return replace(
        batch,
        law=law,
        spells=asked.spells,
        columns=asked.columns,
        amounts=asked.amounts,
        rules=tuple(rules),
        profiles=profiles_of(rules, law.layout, law.dimensions.columns),
        profile=np.array(index, np.int32)[asked.kind] if len(index) else np.zeros(0, np.int32),
    )


def _asked(batch: Batch, law: Law, spells: Spells) -> Asked:
    columns = batch.columns
    columns = _columns(law, batch.register, batch.frame, batch.person, columns.settled, columns.start, columns.year)
    groups = list(dict.fromkeys(name for _, names in law.dimensions.groups for name in names))
    marks = spell_columns(spells, batch.register, groups)
    amounts = _own_amounts(law, batch.register, batch.frame, columns)
    if (amounts == UNREADABLE).any():
        raise PolicyError(
            "policy_amount",
            f"{law.policies.address} reads {' or '.join(law.dimensions.columns)}, and a claim has no amount there; "
            "mend the column, in yuan with at most two decimals",
        )
    return Asked(marks, columns, amounts, *kinds_of(law.policies, law.dimensions, columns, marks, law.class_rules))


def _without_empty(frame: pl.DataFrame) -> pl.DataFrame:
    """Give text columns that hold nothing the type Null, which takes no memory."""
    ours = [name for name in ("continues", "reverses", "diagnosis", "provider_id") if frame.schema[name] == pl.String]
    empty = [name for name in ours if frame[name].null_count() == frame.height]
    return frame.with_columns(pl.lit(None).alias(name) for name in empty)


def _find_people(
    frame: pl.DataFrame, register: Register, people: People, bad_spells: pl.DataFrame, refused: Refusals
) -> tuple[pl.DataFrame, Refusals]:
    index = pl.DataFrame(
        {"person_id": register.person_ids, "_person": np.arange(len(register.person_ids), dtype=np.int64)}
    )
    if frame.height and frame["person_id"].equals(register.person_ids):
        frame = frame.with_columns(index["_person"])
    else:
        frame = frame.with_columns(_positions(frame["person_id"], index))
    bad = pl.concat([people.bad, bad_spells]) if people.bad.height or bad_spells.height else None
    if bad is not None:
        bad = bad.unique("person_id", keep="first", maintain_order=True)
        hit = frame.select("row", "person_id").join(bad, on="person_id", how="inner")
        for (reason,), rows in hit.group_by("reason", maintain_order=True):
            refused = refused.add(rows, str(reason), pl.col("detail"))
        frame = frame.filter(~pl.col("person_id").is_in(bad["person_id"].implode()))
    if frame["_person"].null_count():
        lost = frame.filter(pl.col("_person").is_null())
        refused = refused.add(
            lost, "unknown_person", "person_id: people has no row for the value in this row; add the person"
        )
        frame = frame.filter(pl.col("_person").is_not_null())
    return _born_already(frame, register, refused)


def _positions(persons: pl.Series, index: pl.DataFrame) -> pl.Series:
    """Find each claim's person in `index` (person_id, _person); where runs of claims are one person's, once a run."""
    runs = persons.rle_id()
    if 2 * (len(runs) and int(runs[-1]) + 1) > len(persons):
        asked = persons.alias("person_id").to_frame()
        return asked.join(index, on="person_id", how="left", maintain_order="left")["_person"]
    first = np.flatnonzero(np.diff(runs.to_numpy().astype(np.int64), prepend=-1))
    once = persons.gather(first).alias("person_id").to_frame()
    found = once.join(index, on="person_id", how="left", maintain_order="left")["_person"]
    return found.gather(runs)


def _says(column: str, text: str) -> pl.Expr:
    """Name the column and its value, a claim_id, before what is wrong with it."""
    return pl.format("{} {}: {}", pl.lit(column), pl.col(column), pl.lit(text))


def _born_already(frame: pl.DataFrame, register: Register, refused: Refusals) -> tuple[pl.DataFrame, Refusals]:
    """Refuse care that began before its person was born."""
    births = register.rows["birth_date"]
    if births.null_count() == len(births) or frame.height == 0:
        return frame, refused
    first = _days(births, DAWN)[register.row_first[frame["_person"].cast(pl.Int64).to_numpy()]]
    early = pl.Series(first > frame["start_date"].cast(pl.Int32).to_numpy())
    if not early.any():
        return frame, refused
    detail = pl.format(
        "start_date {}: the birth_date of this person in people lies later; mend one", pl.col("start_date")
    )
    return frame.filter(~early), refused.add(frame.filter(early), "born_after_care", detail)


def _find_versions(law: Law, frame: pl.DataFrame, refused: Refusals) -> tuple[pl.DataFrame, Refusals]:
    """Find the version in force on each settled date, and the benefit year by that version's rule."""
    policies = law.policies
    spans = [policies.span(number) for number in range(len(policies.versions))]
    settled = frame["settled_date"].cast(pl.Int32).to_numpy()
    first = np.array([(start - EPOCH).days for start, _ in spans], np.int64)
    last = np.array([(end - EPOCH).days for _, end in spans], np.int64)
    version = np.searchsorted(first, settled, side="right") - 1
    outside = (version < 0) | (settled > last[np.maximum(version, 0)])
    frame = frame.with_columns(pl.Series("_version", version.astype(np.int32)))
    if outside.any():
        lost = frame.filter(pl.Series(outside))
        begin, end = spans[0][0], spans[-1][1]
        until = "" if end == date.max else f" to {end}"
        detail = pl.format(
            f"settled_date {{}}: {policies.address} is in force from {begin}{until}; "
            "pin a version as NAME@DATE or use another policy",
            pl.col("settled_date"),
        )
        refused = refused.add(lost, "outside_policy_dates", detail)
        frame = frame.filter(~pl.Series(outside))
    year = pl.lit(0)
    for number, policy in enumerate(policies.versions):
        rule = policy.benefit_year
        month, day = rule.first_day
        own = pl.col(rule.belongs_by).dt.year().cast(pl.Int64)
        if (month, day) != (1, 1):
            at = pl.col(rule.belongs_by).dt.month().cast(pl.Int32) * 100 + pl.col(rule.belongs_by).dt.day()
            own = own - (at < month * 100 + day).cast(pl.Int64)
        year = own if number == 0 else pl.when(pl.col("_version") == number).then(own).otherwise(year)
    same = len({(p.benefit_year.belongs_by, p.benefit_year.starts) for p in policies.versions}) == 1
    return frame.with_columns((own if same else year).alias("_year")), refused


def _check_sums(
    frame: pl.DataFrame, register: Register, opening: pl.DataFrame | None, layout: Layout, refused: Refusals
) -> tuple[pl.DataFrame, Refusals]:
    """Refuse unit-years whose sum, with what was used before, leaves the range in which engines count exactly."""
    sums_of = [name for name, start in zip(layout.names, layout.initial, strict=True) if start == 0]
    opened: Any = 0
    if opening is not None and opening.height:
        opened = opening.select(sums_of).max().transpose().to_series().max()
    mean: Any = frame["total_fen"].mean()
    whole = float(mean or 0) * frame.height
    if whole + float(opened or 0) < MAX_FEN / 2:  # the usual case, and far from where a double is no longer exact
        return frame, refused
    units = pl.Series(register.unit)
    keys = frame.select("row", "total_fen", "_year", units.gather(frame["_person"]).alias("unit"))
    sums = keys.group_by("unit", "_year").agg(pl.col("total_fen").cast(pl.Int128).sum().alias("sum"))
    if opening is not None:
        index = pl.DataFrame({"person_id": register.person_ids, "unit": units})
        before = opening.select("person_id", pl.col("benefit_year").alias("_year"), used=pl.max_horizontal(sums_of))
        before = before.join(index, on="person_id").group_by("unit", "_year").agg(pl.col("used").max())
        sums = sums.join(before, on=["unit", "_year"], how="left")
        sums = sums.with_columns(pl.col("sum") + pl.col("used").fill_null(0).cast(pl.Int128))
    over = sums.filter(pl.col("sum") > MAX_FEN)
    lost = keys.join(over, on=["unit", "_year"], how="semi")
    whose = "household" if layout.household else "person"
    refused = refused.add(
        lost, "amount_too_large", f"total: the claims of this {whose}'s benefit year come to more than 9 trillion yuan"
    )
    return frame.filter(~pl.col("row").is_in(lost["row"].implode())), refused


def _owners_of_named(frame: pl.DataFrame, elsewhere: pl.DataFrame | None) -> pl.DataFrame:
    """List whose the claims are that others continue or reverse: claim_id, _owner; refused later or not."""
    named = pl.concat([frame[name].drop_nulls().cast(pl.String).unique() for name in ("continues", "reverses")])
    if named.is_empty():
        return pl.DataFrame(schema={"claim_id": pl.String, "_owner": pl.String})
    owners = frame.select("claim_id", "person_id").filter(pl.col("claim_id").is_in(named.implode()))
    if elsewhere is not None:
        owners = pl.concat([owners, elsewhere.filter(pl.col("claim_id").is_in(named.implode()))]).unique()
    return owners.rename({"person_id": "_owner"})


def _check_continues(
    frame: pl.DataFrame, known_stays: pl.DataFrame | None, owners: pl.DataFrame, refused: Refusals
) -> tuple[pl.DataFrame, Refusals]:
    """Refuse stays that continue nothing, another's stay, or one that is settled later; again until all is well."""
    while frame["continues"].null_count() < frame.height:
        keys = ("settled_date", "start_date", "claim_id")
        before = frame.select(
            pl.col("claim_id").alias("_b"), pl.col("person_id").alias("_b_person"),
            pl.struct(*keys).alias("_b_key"),
        )  # fmt: skip
        after = frame.filter(pl.col("continues").is_not_null()).with_columns(pl.struct(*keys).alias("_key"))
        pairs = after.join(
            before.filter(pl.col("_b").is_in(after["continues"].unique().implode())),
            left_on="continues", right_on="_b", how="left", maintain_order="left",
        )  # fmt: skip
        theirs = _of_others(pairs, "continues", owners)
        lost = pairs.filter(pl.col("_b_person").is_null()).join(theirs, on="row", how="anti", maintain_order="left")
        if known_stays is not None and lost.height:
            lost = lost.join(
                known_stays, left_on=["person_id", "continues"], right_on=["person_id", "last_stay"], how="anti"
            )
        mine = pairs.filter(pl.col("_b_person") == pl.col("person_id"))
        later = mine.filter(_not_before(mine))
        refused = refused.add(
            lost, "unknown_continues",
            _says(
                "continues", "no settled claim of this file has that claim_id, nor is it the last stay of the opening"
            ),
        )  # fmt: skip
        refused = refused.add(
            theirs, "continues_other_person", _says("continues", "that stay belongs to another person")
        )
        refused = refused.add(
            later, "continues_later", _says("continues", "that stay is settled after this one; check the dates")
        )
        gone = pl.concat([lost["row"], theirs["row"], later["row"]])
        if not len(gone):
            break
        frame = frame.filter(~pl.col("row").is_in(gone.implode()))
    return frame, refused


def _of_others(pairs: pl.DataFrame, naming: str, owners: pl.DataFrame) -> pl.DataFrame:
    """Give the rows that name another person's claim."""
    named = pairs.join(owners, left_on=naming, right_on="claim_id", how="inner", maintain_order="left")
    return named.filter(pl.col("_owner") != pl.col("person_id"))


def _not_before(pairs: pl.DataFrame) -> pl.Series:
    """Say of which pairs the earlier claim is not settled before the later one."""
    key, other = pl.col("_key").struct, pl.col("_b_key").struct
    parts = ("settled_date", "start_date", "claim_id")
    before = pl.lit(False)
    for name in reversed(parts):
        a, b = other.field(name), key.field(name)
        before = (a < b) | ((a == b) & before)
    return pairs.select(~before).to_series()


def _check_reversals(
    reversals: pl.DataFrame, frame: pl.DataFrame, owners: pl.DataFrame, refused: Refusals
) -> tuple[pl.DataFrame, Refusals]:
    """Refuse reversals of nothing, of another's claim, of a claim taken back already or not yet settled."""
    kept = [name for name in reversals.columns if name not in ("_person", "_version", "_year")]
    if reversals.height == 0:
        return reversals.select(kept), refused
    keys = ("settled_date", "start_date", "claim_id")
    before = frame.filter(pl.col("claim_id").is_in(reversals["reverses"].unique().implode())).select(
        pl.col("claim_id").alias("_b"), pl.col("person_id").alias("_b_person"), pl.struct(*keys).alias("_b_key"),
    )  # fmt: skip
    pairs = (
        reversals.sort("settled_date", "start_date", "claim_id")
        .with_columns(pl.struct(*keys).alias("_key"))
        .join(before, left_on="reverses", right_on="_b", how="left", maintain_order="left")
    )
    theirs = _of_others(pairs, "reverses", owners)
    lost = pairs.filter(pl.col("_b_person").is_null()).join(theirs, on="row", how="anti", maintain_order="left")
    mine = pairs.filter(pl.col("_b_person") == pl.col("person_id"))
    early = mine.filter(_not_before(mine))
    mine = mine.filter(~_not_before(mine))
    twice = mine.filter(~pl.col("reverses").is_first_distinct())
    refused = refused.add(
        lost, "unknown_reversed",
        _says("reverses", "no settled claim of this file has that claim_id; settle the year's earlier claims with it"),
    )  # fmt: skip
    refused = refused.add(theirs, "reversed_other_person", _says("reverses", "that claim belongs to another person"))
    refused = refused.add(early, "reversal_too_early", _says("reverses", "that claim is settled after this reversal"))
    refused = refused.add(
        twice, "reversed_twice", _says("reverses", "that claim is already taken back by an earlier row")
    )
    return mine.filter(pl.col("reverses").is_first_distinct()).select(kept), refused


def _sorted_batch(
    law: Law, register: Register, spells: Spells, unsorted: list[pl.DataFrame]
) -> tuple[Batch, pl.DataFrame, dict[int, MissingValueError], bool]:
    """Sort the claims, ask the law about each kind, and give the batch, the sorted claims, and what is missing.

    `unsorted` holds the claims as its one item, which is taken out. The last two values are the rows whose numbers are
    missing, without which there is no batch, and whether any claim meets a tier that pays by known numbers.
    """
    frame = unsorted.pop()
    person = frame["_person"].cast(pl.Int64).to_numpy()
    unit = register.unit[person]
    year = frame["_year"].cast(pl.Int64).to_numpy()
    settled = frame["settled_date"].cast(pl.Int32).to_numpy()
    start = frame["start_date"].cast(pl.Int32).to_numpy()
    order = order_of(unit, year, settled, start, frame["claim_id"])
    if not np.array_equal(order, np.arange(len(order))):
        person, unit, year = person[order], unit[order], year[order]
        settled, start = settled[order], start[order]
        parts = []
        while frame.width:
            some = frame.columns[:_AT_ONCE]
            parts.append(frame.select(some)[order])
            frame = frame.drop(some)
        frame = pl.concat(parts, how="horizontal")
    columns = _columns(law, register, frame, person, settled, start, year)
    groups = list(dict.fromkeys(name for _, names in law.dimensions.groups for name in names))
    marks = spell_columns(spells, register, groups)
    kind, kinds = kinds_of(law.policies, law.dimensions, columns, marks, law.class_rules)
    rules, index, missing = resolve_kinds(law.policies, kinds, law.known)
    if missing:
        hit = np.isin(kind, np.array(sorted(missing)))
        rows = frame["row"].to_numpy()[hit]
        pays = any(step.pays != "nothing" for rule in rules for step in rule.steps)
        return _EMPTY, frame, {int(row): missing[int(k)] for row, k in zip(rows, kind[hit], strict=True)}, pays
    profile = np.array(index, np.int32)[kind] if len(index) else np.zeros(0, np.int32)
    stay_of, stay_first = _stays(frame)
    batch = Batch(
        law,
        register,
        marks,
        frame,
        columns,
        person,
        unit,
        segments_of(unit, year),
        tuple(rules),
        profiles_of(rules, law.layout, law.dimensions.columns),
        profile,
        _own_amounts(law, register, frame, columns),
        stay_of,
        stay_first,
    )
    return batch, frame, {}, True


_EMPTY: Any = None
_AT_ONCE = 4
"""So many columns are put in order together and then let go: enough for two processors, little to hold twice."""


def _columns(
    law: Law, register: Register, frame: pl.DataFrame, person: Ints, settled: Any, start: Any, year: Any
) -> Columns:
    rows = register.rows
    n = len(person)
    row, covered = _rows_of_people(register, person, start)

    def of_person(name: str, missing: int, kind: Any) -> npt.NDArray[Any]:
        column = rows[name]
        if column.null_count() == len(column):
            return np.broadcast_to(np.array(missing, kind), n)
        values: npt.NDArray[Any] = column.fill_null(missing).cast(pl.Int32).to_numpy().astype(kind)
        return values[row]

    def signed(name: str) -> npt.NDArray[Any]:
        column = rows[name].cast(pl.Int8)
        if column.null_count() == len(column):
            return np.broadcast_to(np.array(-1, np.int8), n)
        values: npt.NDArray[Any] = column.fill_null(-1).to_numpy()
        return values[row]

    scheme = rows["scheme"].to_numpy()[row]
    if not covered.all():
        scheme = np.where(covered, scheme, tables.SCHEMES.index("none")).astype(np.uint8)
    needs_age = law.dimensions.age or "insured_class" in law.dimensions.coded
    prefixes = law.dimensions.prefixes
    return Columns(
        care_type=frame["care_type"].to_numpy(),
        facility_level=frame["facility_level"].to_numpy(),
        area=frame["area"].to_numpy(),
        referral=frame["referral"].to_numpy(),
        scheme=scheme,
        insured_class=signed("insured_class"),
        residence=signed("residence"),
        sex=signed("sex"),
        family_doctor=of_person("family_doctor", 0, np.int8),
        age=_ages(rows["birth_date"], row, frame["start_date"]) if needs_age else np.broadcast_to(np.int16(-1), n),
        continuous_years=of_person("continuous_years", -1, np.int32),
        claim_free_years=of_person("claim_free_years", -1, np.int32),
        total_fen=frame["total_fen"].to_numpy(),
        prefixes=_prefixes(frame["diagnosis"], prefixes) if prefixes else np.zeros(0, np.int64),
        start=start,
        end=frame["end_date"].cast(pl.Int32).to_numpy(),
        settled=settled,
        version=frame["_version"].to_numpy(),
        year=year,
        person=person,
    )


def _rows_of_people(register: Register, person: Ints, start: Any) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Choose each claim's row of people: the one that covers the first day of the care, else the person's first."""
    rows = register.rows
    row = register.row_first[person]
    covered = np.ones(len(person), bool)
    since, until = rows["enrolled_from"], rows["enrolled_to"]
    if since.null_count() == len(since) and until.null_count() == len(until):
        return row, covered
    first, last = _days(since, DAWN), _days(until, FAR)
    covered = (first[row] <= start) & (start <= last[row])
    several = np.flatnonzero(~covered & (register.row_first[person + 1] - row > 1))
    for i in several:
        for candidate in range(register.row_first[person[i]], register.row_first[person[i] + 1]):
            if first[candidate] <= start[i] <= last[candidate]:
                row[i] = candidate
                covered[i] = True
    return row, covered


def _ages(births: pl.Series, row: Ints, starts: pl.Series) -> npt.NDArray[Any]:
    """Count completed years of age at the start of each claim; -1 where the birth date is unknown."""
    if births.null_count() == len(births):
        return np.broadcast_to(np.int16(-1), len(row))
    born = _year_month_day(births)[row]
    now = _year_month_day(starts)
    age = np.maximum(0, now // 10_000 - born // 10_000 - (now % 10_000 < born % 10_000)).astype(np.int16)
    age[born < 0] = -1
    counted: npt.NDArray[Any] = age
    return counted


def _year_month_day(dates: pl.Series) -> npt.NDArray[Any]:
    """Give days as numbers like 20240131, -1 where empty; looked up, because many dates are few days."""
    low, high = dates.cast(pl.Int32).min(), dates.cast(pl.Int32).max()
    if not isinstance(low, int) or not isinstance(high, int):
        return np.full(len(dates), -1, np.int32)
    if high - low > len(dates):
        return _written(dates)
    table = np.append(_written(pl.Series(np.arange(low, high + 1, dtype=np.int32)).cast(pl.Date)), np.int32(-1))
    found: npt.NDArray[Any] = table[(dates.cast(pl.Int32) - low).fill_null(-1).to_numpy()]
    return found


def _written(dates: pl.Series) -> npt.NDArray[Any]:
    parts = (
        dates.dt.year().cast(pl.Int32) * 10_000 + dates.dt.month().cast(pl.Int32) * 100 + dates.dt.day().cast(pl.Int32)
    )
    return parts.fill_null(-1).to_numpy()


def _prefixes(diagnosis: pl.Series, prefixes: Sequence[str]) -> npt.NDArray[Any]:
    codes = diagnosis.unique()
    masks = prefix_masks(codes.to_list(), prefixes)
    return diagnosis.replace_strict(codes, pl.Series(masks, dtype=pl.Int64), return_dtype=pl.Int64).to_numpy()


def _own_amounts(law: Law, register: Register, frame: pl.DataFrame, columns: Columns) -> Ints:
    """Collect the amounts that input columns bring, in fen: shape (columns, claims), -1 where empty, or UNREADABLE."""
    names = law.dimensions.columns
    amounts = np.full((len(names), frame.height), -1, np.int64)
    if not names:
        return amounts
    row, _ = _rows_of_people(register, columns.person, columns.start)
    for number, name in enumerate(names):
        if name in frame.columns:
            amounts[number] = _fen_of(frame[name])
        elif name in register.rows.columns:
            amounts[number] = _fen_of(register.rows[name])[row]
        elif name == "pay_basic" and "hifp_pay" in frame.columns:
            amounts[number] = _fen_of(frame["hifp_pay"])
    return amounts


def _fen_of(values: pl.Series) -> Ints:
    """Read a carried column of yuan as fen; empty is -1, what is no amount is UNREADABLE."""
    text = values.cast(pl.String).str.strip_chars()
    empty = text.is_null() | (text == "")
    if values.dtype.is_float():
        exact = values.cast(pl.Float64) * 100
        # The double nearest to an amount differs from it by less than a thousandth of a fen up to the largest amount.
        near = (exact - exact.round()).abs() <= 1e-3
    else:
        exact = text.cast(pl.Decimal(38, 6), strict=False) * 100
        near = exact == exact.round()
    good = near & exact.is_between(0, MAX_FEN)
    fen = exact.round().cast(pl.Int64, strict=False)
    fen = fen.set(~good.fill_null(False), UNREADABLE)
    return fen.set(empty, -1).to_numpy()


def _stays(frame: pl.DataFrame) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Number the stays that some claim continues; claims outside them have -1.

    A stay that goes on in the next benefit year is another stay there, because each year has its own account.
    """
    if frame["continues"].null_count() == frame.height:
        return np.zeros(0, np.int32), ()
    chained = (
        frame.select("claim_id", "continues", "_year").with_row_index("at").filter(pl.col("continues").is_not_null())
    )
    first = first_of_stays(chained["claim_id"].to_list(), chained["continues"].to_list())
    keys = [(first[claim], year) for claim, year in zip(chained["claim_id"], chained["_year"], strict=True)]
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    stay_of = np.full(frame.height, -1, np.int32)
    stay_of[chained["at"].to_numpy()] = [number[key] for key in keys]
    roots = frame.select("claim_id", "_year").with_row_index("at")
    roots = roots.filter(pl.col("claim_id").is_in(list(set(first.values()))))
    stay_of[roots["at"].to_numpy()] = [
        number.get(key, -1) for key in zip(roots["claim_id"], roots["_year"], strict=True)
    ]
    return stay_of, tuple(first for first, _ in number)
