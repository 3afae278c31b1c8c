"""Read the files of a register with its settlements at once, and gather every row of them that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from medfloor.errors import InputError
from medfloor.intake.claims import read_claims
from medfloor.intake.files import Source, read_table, scan_table, survey
from medfloor.intake.households import read_households
from medfloor.intake.layout import match_columns
from medfloor.intake.people import read_people
from medfloor.intake.settlements import read_settlements
from medfloor.intake.spells import read_spells
from medfloor.tables import RESIDENCES, SPELLS

REFUSED = {"table": pl.String, "household_id": pl.String, "person_id": pl.String, "claim_id": pl.String,
           "reason": pl.String, "detail": pl.String}  # fmt: skip
"""Columns of what was refused: which file, whose row, why."""
ROW, STAGE = "__row", "__stage"
"""In parts of files: the place of a row in the whole file, and the number of the list that refused it (`STAGES`)."""
BEHIND = 1 << 40
"""Added to ROW where rows of one table stand behind all of another."""
STAGES = ("bad_person", "people", "households", "settlements", "previous", "settled_again", "spells", "claims", "death")
"""The lists that make up what is refused, in their order."""


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """Be what the whole files say about the rows that are read, where those are only a part of them.

    Every table of a part has a column ROW, ascending. `again` says of each row of settlements, `before_again` of each
    row of previous, whether a row before it settles the same claim; `settled` of each row of previous whether
    settlements settle its claim. `wave` is the year of the households that are taken, None where they are no panel.
    """

    again: pl.Series
    before_again: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.Boolean))
    settled: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.Boolean))
    wave: int | None = None


@dataclass(frozen=True, eq=False, slots=True)
class RegisterFiles:
    """Be the tables of a register in their inside form (money Int64 fen), and what of the files was refused.

    `rejected` has the columns of REFUSED. `rows` counts, by table, the rows of the file. `own_fen` is what the
    patients' parts of all settlements come to, and `own_rejected_fen` those of refused rows. `wave` says which year's
    households were taken from a panel, None where the file is none.
    """

    people: pl.DataFrame
    households: pl.DataFrame
    settlements: pl.DataFrame
    spells: pl.DataFrame | None
    claims: pl.DataFrame | None
    rejected: pl.DataFrame
    rows: Mapping[str, int]
    own_fen: int
    own_rejected_fen: int
    wave: int | None = None


def read_register_files(
    *,
    people: Source,
    households: Source,
    settlements: Source,
    spells: Source | None = None,
    claims: Source | None = None,
    previous: Source | None = None,
    groups: Sequence[str] = (),
    year: int | None = None,
    part: Part | None = None,
) -> RegisterFiles:
    """Read the files of a register as `medfloor synthesise` and `settle` write them, in either spelling of columns.

    `previous` are settlements of the year before, from a file of their own. `groups` are statuses known beside those of
    the contract; a word of Latin letters that is neither is taken as a status of its own. Households of a panel (a
    column `wave`) are those of the year before `year`, else of the last wave before it, else of the first. Where the
    tables are parts of files, `part` brings what the whole files say; people, households, settlements and rejected then
    have ROW, and rejected STAGE. Raises InputError as `read_claims`, and unknown_group for a word that is no status.
    """
    persons, homes = read_people(people), read_households(households)
    settled = read_settlements(settlements, again=None if part is None else part.again)
    at = {name: None if part is None else _rows_of(given) for name, given in (
        ("people", people), ("households", households), ("settlements", settlements), ("previous", previous),
        ("spells", spells), ("claims", claims))}  # fmt: skip
    parts = [_refused(persons.bad, "people", at["people"], persons.bad_rows),
             _refused(homes.bad, "households", at["households"], homes.bad_rows),
             _refused(settled.bad, "settlements", at["settlements"], settled.bad_rows)]  # fmt: skip
    rows = {"people": persons.rows_in, "households": homes.rows_in, "settlements": settled.rows_in}
    own, own_rejected = settled.own_total_fen, settled.own_rejected_fen
    paid = _placed(settled.accepted, at["settlements"], settled.rows)
    if previous is not None:
        before = read_settlements(previous, again=None if part is None else part.before_again)
        old = _placed(before.accepted, at["previous"], before.rows, BEHIND)
        twice = old["claim_id"].is_not_null() & old["claim_id"].is_in(paid["claim_id"].implode())
        if part is not None:
            twice = part.settled.gather(before.rows)
        told = old.filter(twice).with_columns(
            pl.lit("duplicate_claim_id").alias("reason"),
            pl.lit("the settlements of the year settle the same claim").alias("detail"),
        )
        parts += [_refused(before.bad, "previous", at["previous"], before.bad_rows),
                  _refused(told, "previous", at["previous"], before.rows.filter(twice), "settled_again")]  # fmt: skip
        rows["previous"] = before.rows_in
        own += before.own_total_fen
        own_rejected += before.own_rejected_fen + int(told["own_total_fen"].sum())
        paid = pl.concat([paid, old.filter(~twice)], how="diagonal")
    held = None
    if spells is not None:
        read = read_spells(spells, groups_in(spells, groups))
        held, rows["spells"] = read.accepted, read.rows_in
        parts.append(_refused(read.bad, "spells", at["spells"], read.bad_rows))
    seen = None
    if claims is not None:
        asked = read_claims(claims)
        seen, rows["claims"] = asked.accepted, asked.rows_in
        named = asked.rejected.rename({"mdtrt_id": "claim_id", "psn_no": "person_id"}, strict=False)
        parts.append(_refused(named, "claims", at["claims"], asked.rejected_rows))
    alive, unread = _with_deaths(persons.accepted)
    taken, wave, other = _of_wave(with_residence(homes.accepted), year, part)
    return RegisterFiles(
        alive, taken, paid, held, seen, pl.concat([*parts, unread]), rows | ({"other_waves": other} if other else {}),
        own, own_rejected, wave,
    )  # fmt: skip


def waves_in(households: pl.DataFrame) -> list[int]:
    """List the years of a panel that read households hold, ascending; none where they are no panel."""
    if "wave" not in households.columns:
        return []
    return sorted(households["wave"].cast(pl.Int64, strict=False).drop_nulls().unique().to_list())


def wave_of(years: Sequence[int], year: int | None) -> int | None:
    """Say which of the years of a panel, ascending, a screening of `year` takes; None where there are none.

    >>> wave_of([2022, 2024, 2025], 2025), wave_of([2022, 2024, 2025], None), wave_of([2025], 2025)
    (2024, 2025, 2025)
    """
    before = [one for one in years if year is None or one < year]
    return (before[-1] if before else years[0]) if years else None


def is_made_up(people: pl.DataFrame) -> bool:
    """Say whether people carry a column `synthetic` that calls any of them made up."""
    if "synthetic" not in people.columns:
        return False
    return bool(people["synthetic"].cast(pl.String).str.to_lowercase().is_in(["true", "1"]).any())


_RESIDENCE = {"农村": "rural", "乡村": "rural", "城镇": "urban", "城市": "urban"}


def with_residence(households: pl.DataFrame) -> pl.DataFrame:
    """Put the words of an office for rural and urban into those of the contract; any other word stays as it is.

    >>> with_residence(pl.DataFrame({"residence": ["农村", " Urban", "moon", None]}))["residence"].to_list()
    ['rural', 'urban', 'moon', None]
    """
    if households.schema.get("residence") != pl.String:
        return households
    word = pl.col("residence").str.strip_chars()
    ours = word.str.to_lowercase()
    return households.with_columns(
        pl.when(ours.is_in(RESIDENCES)).then(ours).otherwise(word.replace(_RESIDENCE)).alias("residence")
    )


def read_known(sources: Sequence[Source]) -> pl.DataFrame | None:
    """Read earlier alerts, as a screening wrote them: household_id, signal, suppressed_until, excess; None for none.

    Raises InputError as `read_table`, missing_column, and bad_date for a suppressed_until that is no day: an earlier
    alert that was left out would be raised a second time.
    """
    frames = [_known(one) for one in sources]
    return pl.concat(frames) if frames else None


_TEXT_CODE = re.compile(r"[a-z][a-z_]{1,31}")


def groups_in(source: Source, groups: Sequence[str]) -> list[str]:
    """List the statuses of the contract and of the rules, with those that the file names by a word of their own."""
    scan = scan_table(source, "spells")
    layout = match_columns(scan, SPELLS, reserved=("row",))
    _, distinct = survey(scan, [layout.given["group"]])
    texts = {str(one).strip() for one in distinct[layout.given["group"]].drop_nulls()}
    known = ["tekun", "orphan", "dibao", "dibao_marginal", "returned_poor", "registered_poor", "monitored",
             "illness_poor", "disabled"]  # fmt: skip
    own = sorted(text for text in texts if _TEXT_CODE.fullmatch(text))
    return list(dict.fromkeys([*known, *groups, *own]))


def _rows_of(source: Source | None) -> pl.Series | None:
    """Give the column ROW of a part of a file."""
    return None if source is None else scan_table(source).frame.select(ROW).collect()[ROW]


def _placed(frame: pl.DataFrame, at: pl.Series | None, rows: pl.Series, behind: int = 0) -> pl.DataFrame:
    """Add ROW, the place in the whole file, to some rows of a part."""
    return frame if at is None else frame.with_columns((at.gather(rows) + behind).alias(ROW))


def _refused(
    bad: pl.DataFrame, table: str, at: pl.Series | None, rows: pl.Series, stage: str | None = None
) -> pl.DataFrame:
    """Give refused rows of one file under the columns of REFUSED, and of a part of a file with ROW and STAGE."""
    given = {name: pl.col(name).cast(pl.String) for name in REFUSED if name in bad.columns}
    given["table"] = pl.lit(table)
    found = bad.select(given.get(name, pl.lit(None, kind)).alias(name) for name, kind in REFUSED.items())
    if at is None:
        return found
    # People who cannot be read stand before those with two rows of one day, as `read_people` lists them.
    first = (pl.col("reason") == "bad_person") & (pl.col("table") == "people")
    number = pl.when(first).then(0).otherwise(STAGES.index(stage or table)).cast(pl.Int8)
    return found.with_columns(at.gather(rows).alias(ROW), number.alias(STAGE))


def _with_deaths(people: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read the column death_date where it came as text; a person whose day cannot be read is refused."""
    if people.schema.get("death_date") != pl.String:
        wrong, none = people.clear(), people.get_column(ROW, default=None)
        return people, _refused(wrong, "people", none, pl.Series([], dtype=pl.UInt32), "death")
    said = pl.col("death_date").str.strip_chars()
    told = said.is_not_null() & (said != "")
    day = said.str.to_date("%Y-%m-%d", strict=False)
    wrong = people.filter(told & day.is_null()).with_columns(
        pl.lit("bad_date").alias("reason"),
        pl.lit("death_date is not a day as in 2025-03-01").alias("detail"),
    )
    at = wrong.get_column(ROW, default=None)
    kept = people.filter(~(told & day.is_null())).with_columns(day.alias("death_date"))
    return kept, _refused(wrong, "people", at, pl.int_range(wrong.height, dtype=pl.UInt32, eager=True), "death")


def _of_wave(households: pl.DataFrame, year: int | None, part: Part | None) -> tuple[pl.DataFrame, int | None, int]:
    """Take one wave of a panel; give it, its year, and how many rows are of other waves."""
    if "wave" not in households.columns:
        return households, None, 0
    chosen = wave_of(waves_in(households), year) if part is None else part.wave
    if chosen is None:
        return households, None, 0
    taken = households.filter(households["wave"].cast(pl.Int64, strict=False) == chosen)
    return taken, chosen, households.height - taken.height


def _known(source: Source) -> pl.DataFrame:
    frame = read_table(source, "known")
    missing = [name for name in ("household_id", "signal", "suppressed_until") if name not in frame.columns]
    scan = scan_table(source, "known")
    if missing:
        raise InputError(
            "missing_column", f"{scan.place} has no column {missing[0]}; give the alerts of an earlier screening"
        )
    until = pl.col("suppressed_until")
    if frame.schema["suppressed_until"] == pl.String:
        until = until.str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
    days = frame.select(until.alias("day"))["day"]
    if days.null_count() or (frame.height and not isinstance(days.dtype, pl.Date)):
        where = days.is_null().arg_true()
        given = frame["suppressed_until"][where[0] if len(where) else 0]
        raise InputError(
            "bad_date",
            f"{scan.place}: suppressed_until is {'' if given is None else given!r}, which is not a day written "
            "YYYY-MM-DD; give the alerts as the screening wrote them",
        )
    excess = pl.col("excess").cast(pl.Float64, strict=False) if "excess" in frame.columns else pl.lit(None, pl.Float64)
    return frame.select(
        pl.col("household_id").cast(pl.String), pl.col("signal").cast(pl.String),
        until.cast(pl.Date).alias("suppressed_until"), excess.alias("excess"),
    )  # fmt: skip
