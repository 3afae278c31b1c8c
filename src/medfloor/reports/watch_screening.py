"""Put a screening into files and counts: alerts with reasons in words, households, what was refused, and a record.

Counts name nobody. Households and persons stand in the files alone, by the ids that came in.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import OutputError, UsageError
from medfloor.intake.files import TableWriter, write_bytes, write_table
from medfloor.intake.folders import parquet_files
from medfloor.intake.registers import REFUSED
from medfloor.money import group_yuan
from medfloor.reports.plain import json_of
from medfloor.watch.reasons import told
from medfloor.watch.rules import Rules
from medfloor.watch.screening import URGENCIES, Screening
from medfloor.words import say

KINDS = ("csv", "parquet")
TABLES = ("alerts", "absent", "households", "rejected", "known")
"""The tables of a screening, one file each; `known` are the alerts that were raised before it."""
RECORD = "screening.json"
KNOWN = {"household_id": pl.String, "signal": pl.String, "suppressed_until": pl.Date, "excess": pl.Float64}
"""Columns of `known`, which are all that a later screening asks of an earlier alert."""
_TOWNSHIP = 9


@dataclass(frozen=True, eq=False, slots=True)
class Screened:
    """Be a screening with what is told about it: of which year and day, by which rules, out of which files.

    `rejected` has all refused rows (REFUSED), of reading and of screening. `rows` counts the rows of each file, `money`
    what the patients' parts of the settlements come to, in fen, by where they went: used, previous, other, rejected.
    `inputs` maps each file to the SHA-256 of its bytes. `chosen` says that year and day were taken from the
    settlements, `statuses` whether there were any spells. `known` are the earlier alerts that were given to it.
    `households` gives the table of households piece by piece, where the screening itself holds only what counts need.
    """

    screening: Screening
    rules: Rules
    year: int
    as_of: date
    rejected: pl.DataFrame
    rows: Mapping[str, int] = field(default_factory=dict)
    money: Mapping[str, int] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    chosen: bool = False
    synthetic: bool = False
    wave: int | None = None
    statuses: bool = True
    known: pl.DataFrame | None = None
    households: Callable[[], Iterator[pl.DataFrame]] | None = None


def by_signal(found: Screening, rules: Rules) -> pl.DataFrame:
    """Count by signal: signal, kind, alerts, one column an urgency, suppressed, not_asked; a row for each that is on.

    `not_asked` counts the households whose missing numbers kept the signal from being asked.
    """
    new = found.alerts.group_by("signal").agg(
        pl.len().alias("alerts"), *((pl.col("urgency") == one).sum().alias(one) for one in URGENCIES)
    )
    known = found.suppressed.group_by("signal").agg(pl.len().alias("suppressed"))
    unasked = (
        found.households.filter(pl.col("not_asked") != "")
        .group_by("not_asked").agg(pl.len().alias("n"))
        .with_columns(pl.col("not_asked").str.split(";")).explode("not_asked", empty_as_null=True)
        .group_by(pl.col("not_asked").alias("signal")).agg(pl.col("n").sum().alias("not_asked"))
    )  # fmt: skip
    listed = pl.DataFrame({"signal": rules.signals, "kind": [rules[one].kind for one in rules.signals]},
                          schema={"signal": pl.String, "kind": pl.String})  # fmt: skip
    for counted in (new, known, unasked):
        listed = listed.join(counted, on="signal", how="left", maintain_order="left")
    return listed.with_columns(pl.exclude("signal", "kind").fill_null(0).cast(pl.Int64))


def by_township(found: Screening) -> pl.DataFrame:
    """Count by township: township, households, alerted, alerts, urgent (households); empty where none is known.

    The township is the column `township` of households, else the first nine digits of the division code in `place`.
    """
    homes = found.households
    if "township" in homes.columns:
        where = pl.col("township").cast(pl.String)
    else:
        where = pl.col("place").str.slice(0, _TOWNSHIP)
    counted = homes.group_by(where.alias("township")).agg(
        pl.len().cast(pl.Int64).alias("households"),
        (pl.col("alerts") > 0).sum().cast(pl.Int64).alias("alerted"),
        pl.col("alerts").sum().alias("alerts"),
        (pl.col("urgency") == "urgent").sum().cast(pl.Int64).alias("urgent"),
    )
    return counted.filter(pl.col("township").is_not_null()).sort("township")


def count_tables(one: Screened, lang: str) -> list[tuple[str, list[list[str]], list[int]]]:
    """Give the counts as tables in words: a title, rows with the heads first, and which columns stand flush right."""
    found = one.screening
    urgencies = [say(f"watch_urgency.{name}", lang) for name in URGENCIES]
    before, after = (
        [say(f"watch_screen.{name}", lang) for name in names]
        for names in (("signal", "alerts"), ("suppressed", "not_asked"))
    )
    heads = [*before, *urgencies, *after]
    rows = [
        [say(f"watch_signal.{row['signal']}", lang),
         *(f"{row[name]:,}" for name in ("alerts", *URGENCIES, "suppressed", "not_asked"))]
        for row in by_signal(found, one.rules).iter_rows(named=True)
    ]  # fmt: skip
    tables = [(say("watch_screen.by_signal", lang), [heads, *rows], [1, 2, 3, 4, 5, 6])]
    homes = found.households
    heads = [say(f"watch_screen.{name}", lang) for name in ("urgency", "households")]
    urgent = [[say(f"watch_urgency.{name}", lang), f"{int((homes['urgency'] == name).sum()):,}"]
              for name in reversed(URGENCIES)]  # fmt: skip
    quiet = [say("watch_screen.no_alert", lang), f"{homes['urgency'].null_count():,}"]
    tables.append((say("watch_screen.by_urgency", lang), [heads, *urgent, quiet], [1]))
    towns = by_township(found)
    if towns.height:
        names = ("township", "households", "alerted", "alerts", "urgent")
        body = [[row["township"], *(f"{row[name]:,}" for name in names[1:])] for row in towns.iter_rows(named=True)]
        heads = [*(say(f"watch_screen.{name}", lang) for name in names[:-1]), urgencies[-1]]
        tables.append((say("watch_screen.by_township", lang), [heads, *body], [1, 2, 3, 4]))
    return tables


def head_lines(one: Screened, lang: str) -> list[str]:
    """Say what was screened, by which rules, and what stands under the counts."""
    found = one.screening
    lines = [
        say("watch_screen.head", lang, year=one.year, day=one.as_of, place=one.rules.place,
            households=f"{found.households.height:,}")
    ]  # fmt: skip
    if one.chosen:
        lines.append(say("watch_screen.chosen", lang))
    if one.wave is not None:
        lines.append(say("watch_screen.wave", lang, year=one.wave))
    if one.synthetic:
        lines.append(say("watch_screen.synthetic", lang))
    return lines


def foot_lines(one: Screened, lang: str) -> list[str]:
    """Say where rows and money went, what could not be used, and what an alert is not."""
    counts = one.screening.counts
    lines = []
    if one.rows:
        refused = one.rejected["table"].is_in(["settlements", "previous"]).sum()
        whole = one.rows.get("settlements", 0) + one.rows.get("previous", 0)
        said = {name: f"{counts[name]:,}" for name in ("used", "previous", "other")}
        lines.append(say("watch_screen.rows", lang, whole=f"{whole:,}", **said, rejected=f"{refused:,}"))
    if one.money:
        yuan = {name: group_yuan(one.money[name]) for name in ("whole", "used", "previous", "other", "rejected")}
        lines.append(say("watch_screen.money", lang, **yuan))
    for row in one.rejected.group_by("table", "reason").len().sort("table", "reason").iter_rows(named=True):
        lines.append(say("watch_screen.refused", lang, table=row["table"], reason=row["reason"], n=f"{row['len']:,}"))
    if not one.statuses:
        lines.append(say("watch_screen.no_statuses", lang))
    if one.screening.standing.claims_until is None:
        lines.append(say("watch_screen.no_claims", lang))
    if not one.screening.standing.previous:
        lines.append(say("watch_screen.no_previous", lang))
    return [*lines, say("watch_screen.no_verdict", lang)]


def page_lines(found: Screening, most: int, lang: str) -> list[str]:
    """Tell the first households in words, the most urgent first: what fired, why, and with what it would not have."""
    first = found.alerts["household_id"].unique(maintain_order=True).head(most)
    shown = told(found.alerts.filter(pl.col("household_id").is_in(first.implode())), lang)
    lines: list[str] = []
    for household_id in first:
        lines.append(household_id)
        for row in shown.filter(pl.col("household_id") == household_id).iter_rows(named=True):
            urgency = say(f"watch_urgency.{row['urgency']}", lang)
            lines.append(say("watch_screen.told", lang, title=row["title"], urgency=urgency, why=row["why"]))
            lines.append(f"    {row['unless']}")
    return lines


def check_folder(folder: str | os.PathLike[str], kind: str, as_of: date | None, inputs: Sequence[object]) -> None:
    """Refuse a folder that holds an input, a screening of another day, or tables of the other format.

    Raises UsageError (other_screening, other_format), OutputError (would_replace_input, cannot_write).
    """
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise OutputError("cannot_write", f"{place} is a file; name a folder for the screening")
    if not place.resolve().parent.is_dir():
        raise OutputError("cannot_write", f"{place} lies in a folder that is not there. Create it first.")
    ours = {(place / f"{name}.{kind}").resolve() for name in TABLES}
    for given in inputs:
        if isinstance(given, (str, os.PathLike)) and (
            Path(given).resolve() in ours or Path(given).resolve() == place.resolve()
        ):
            raise OutputError("would_replace_input", f"{given} is one of the inputs, which stay as they are. "
                              "Name another folder.")  # fmt: skip
    other = next(one for one in KINDS if one != kind)
    if (place / f"alerts.{other}").exists():
        raise UsageError(
            "other_format", f"{place} has tables of an earlier run as .{other}; take them away, or write elsewhere"
        )
    earlier = _day_of(place)
    if as_of is not None and earlier is not None and earlier != str(as_of):
        raise UsageError(
            "other_screening",
            f"{place} holds the screening of {earlier}, whose alerts are needed as --known; write this one elsewhere",
        )


def write_screening(
    one: Screened, folder: str | os.PathLike[str], *, kind: str = "csv", lang: str = "en"
) -> list[Path]:
    """Write the tables (`TABLES`), and screening.json as their record; give the files.

    All are written beside the folder first, and take their places when all are there; the record, which holds the
    SHA-256 of each, comes last. Raises OutputError (cannot_write), and what `check_folder` raises.
    """
    target = Path(folder).resolve()
    check_folder(target, kind, one.as_of, ())
    beside = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.part")
    try:
        beside.mkdir()
        hashes = {}
        frames = _frames(one, lang)
        for name, frame in frames.items():
            path = beside / f"{name}.{kind}"
            if name == "households":
                height = _write_households(one, path)
            else:
                write_table(frame, path)
                height = frame.height
            hashes[path.name] = {"rows": height, "sha256": sha256_of(path)}
        write_bytes(json_of(record_of(one, lang) | {"outputs": hashes}), beside / RECORD)
        if not target.exists():
            os.rename(beside, target)
        else:
            # The record goes first and comes back last: without it nobody takes a mixture for a screening.
            (target / RECORD).unlink(missing_ok=True)
            for name in (*hashes, RECORD):
                os.replace(beside / name, target / name)
    except OSError as error:
        raise OutputError(
            "cannot_write", f"{target} cannot be written: {error.strerror}; choose another folder"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return [Path(folder) / name for name in (*hashes, RECORD)]


def record_of(one: Screened, lang: str) -> dict[str, Any]:
    """Give the record of a screening as plain data: rules with sources, counts, what went where; it names nobody."""
    from medfloor import __version__

    found = one.screening
    standing = found.standing
    lines = [
        {"name": line.name, "place": line.place, "year": line.year, "yuan": line.fen / 100,
         "source": one.rules.sources.get(line.source, line.source), "trust": line.trust}
        for line in one.rules.lines
    ]  # fmt: skip
    return {
        "form": "medfloor screening 1",
        "version": __version__,
        "place": one.rules.place,
        "year": one.year,
        "as_of": str(one.as_of),
        "synthetic": one.synthetic,
        "note": say("watch_screen.no_verdict", lang),
        "households": found.households.height,
        "alerts": found.burdened.height,
        "absent": found.absent.height,
        "suppressed": found.suppressed.height,
        "by_signal": by_signal(found, one.rules).to_dicts(),
        "by_township": by_township(found).to_dicts(),
        "rows": dict(one.rows),
        "settlements": dict(found.counts),
        "money_yuan": {name: fen / 100 for name, fen in one.money.items()},
        "rejected": one.rejected.group_by("table", "reason").len("rows").sort("table", "reason").to_dicts(),
        "standing": {
            "previous": standing.previous,
            "claims_until": None if standing.claims_until is None else str(standing.claims_until),
            "levels": dict(standing.levels),
        },
        "rules": one.rules.to_frame(lang).with_columns(pl.col("version").cast(pl.String)).to_dicts(),
        "lines": lines,
        "inputs": dict(one.inputs),
    }


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file's bytes; of a folder that of the paths and hashes of its Parquet files, in order."""
    place = Path(path)
    if place.is_dir():
        told = [f"{file.relative_to(place).as_posix()} {sha256_of(file)}\n" for file in parquet_files(place)]
        return hashlib.sha256("".join(told).encode()).hexdigest()
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_households(one: Screened, path: Path) -> int:
    """Write the households, which may be more than fit into memory; give how many there are."""
    height = 0
    with TableWriter(path) as writer:
        for frame in [one.screening.households] if one.households is None else one.households():
            writer.append(frame)
            height += frame.height
    return height


def _frames(one: Screened, lang: str) -> dict[str, pl.DataFrame]:
    found = one.screening
    alerts = told(found.alerts, lang)
    apart = pl.col("kind") == "absent_care"
    return {
        "alerts": alerts.filter(~apart),
        "absent": alerts.filter(apart),
        "households": found.households,
        "rejected": one.rejected.select(list(REFUSED)),
        "known": _known(one.known),
    }


def _known(earlier: pl.DataFrame | None) -> pl.DataFrame:
    """Give one row a household and signal that was alerted before, so that the next screening needs no other folder.

    What counts of them is the last day of silence and how bad it was at worst.
    """
    if earlier is None:
        return pl.DataFrame(schema=KNOWN)
    return earlier.group_by("household_id", "signal").agg(
        pl.col("suppressed_until").max(), pl.col("excess").max()
    ).select(list(KNOWN)).sort("household_id", "signal")  # fmt: skip


def _day_of(folder: Path) -> str | None:
    import json

    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    day = found.get("as_of") if isinstance(found, dict) else None
    return day if isinstance(day, str) else None
