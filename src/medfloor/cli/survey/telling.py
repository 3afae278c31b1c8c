"""Write the panels and the report of a survey, and say what was found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.terminal import aligned, in_columns
from medfloor.words import say

if TYPE_CHECKING:
    import polars as pl

    from medfloor.intake.findings import Survey

_SYNTHETIC = ("surveys.synthetic", "surveys.synthetic_charls")

MOST = 12
"""Lines of one part of the summary; the files of the report have all."""


def waves_of(text: str | None) -> list[int] | None:
    """Read years such as 2012,2014 or 2012-2018 (every second year). Raises UsageError bad_waves.

    >>> waves_of("2012-2016,2020")
    [2012, 2014, 2016, 2020]
    """
    from medfloor.errors import UsageError

    if text is None:
        return None
    years: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            named = list(range(int(first), int(last) + 1, 2)) if dash else [int(first)]
        except ValueError:
            named = []
        if not named:  # no years, or a range that runs backwards
            raise UsageError("bad_waves", f"{part!r} is no wave; write 2012,2014 or 2012-2018")
        years += named
    return years


def folder_for(out: str) -> Path:
    """Make the folder of the output. Raises OutputError cannot_write."""
    from medfloor.errors import OutputError

    place = Path(out)
    try:
        (place / "report").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot_write", f"{out} cannot be made: {error.strerror}. Name another folder.") from None
    return place


def write(survey: Survey, place: Path, asked: dict[str, Any], *, lines: pl.DataFrame | None = None) -> list[Path]:
    """Write panels, refused rows and report. Refused rows of an earlier run do not stay beside this one's panels."""
    import polars as pl

    from medfloor.intake import check_outputs, write_table

    panels = {"households": survey.households, "people": survey.people}
    tables = {place / f"{name}.{asked['form']}": frame for name, frame in panels.items() if frame.height}
    rejects = place / "rejects.csv"
    if survey.rejects.height:
        tables[rejects] = survey.rejects
    elif rejects.is_file():
        tables[rejects] = pl.DataFrame(schema={"reason": pl.String, "detail": pl.String})
    check_outputs(tables, [asked["file"]] if asked.get("file") else [])
    for path, frame in tables.items():
        write_table(frame, path, money_columns=[])
    report = survey.findings.tables() | ({} if lines is None else {"poverty_lines": lines})
    for name, frame in report.items():
        write_table(frame, place / "report" / f"{name}.csv", money_columns=[])
    return [*(path for path in tables if path != rejects or survey.rejects.height), place / "report"]


def tell(survey: Survey, written: list[Path], lang: str) -> None:
    """Print what was found: rows by wave, columns that were not there, codes, dropped rows, links, remarks."""
    import polars as pl

    found = survey.findings
    click.echo(say("surveys.title", lang, survey=survey.name))
    for remark in found.remarks:
        if remark.key in _SYNTHETIC:
            click.echo(remark.say(lang))
    _rows_by_wave(survey, lang)
    lacking = found.columns.filter(pl.col("status") == "not_in_file")
    _listed("surveys.not_in_file", [f"{row['column']} ({row['file']})" for row in lacking.to_dicts()], lang)
    unverified = found.columns.filter(pl.col("status") == "unverified")["column"].unique().sort().to_list()
    _listed("surveys.unverified", unverified, lang)
    unknown = (
        found.columns.filter(pl.col("status") == "not_known").group_by("column").agg(pl.col("wave").unique().sort())
    )
    names = [f"{row['column']} ({', '.join(row['wave'])})" for row in unknown.sort("column").to_dicts()]
    _listed("surveys.not_known", names, lang)
    codes = found.codes.group_by("code", "read_as").agg(pl.col("rows").sum()).sort("code", "read_as")
    _table("surveys.codes", [[c, say(f"read_as.{a}", lang), f"{n:,}"] for c, a, n in codes.iter_rows()], lang)
    dropped = found.dropped.group_by("reason", "table").agg(pl.col("rows").sum()).sort("reason", "table")
    _table("surveys.dropped", [[_reason(r, lang), f"{n:,}"] for r, _, n in dropped.iter_rows()], lang)
    whole = found.links.filter(~pl.col("between").str.contains(r"^\d{4}-"))
    rows = [
        [say(f"link.{a}", lang), say(f"between.{b.replace(' ', '_')}", lang), f"{u:,}", f"{r:,}"]
        for a, b, u, r in whole.iter_rows()
    ]
    head = [say(f"surveys.head_{name}", lang) for name in ("link", "between", "units", "rows")]
    _table("surveys.links", [head, *rows] if rows else [], lang, numbers=2, head=True)
    for remark in found.remarks:
        if remark.key not in _SYNTHETIC:
            click.echo(f"{say('surveys.note', lang)} {remark.say(lang)}")
    for path in written:
        click.echo(say("surveys.written", lang, path=path))


def _rows_by_wave(survey: Survey, lang: str) -> None:
    counts: dict[str, dict[str, int]] = {}
    for name, frame in (("households", survey.households), ("people", survey.people)):
        if "wave" in frame.columns:
            for wave, rows in frame["wave"].value_counts().iter_rows():
                counts.setdefault(str(wave), {})[name] = rows
    if not counts:
        click.echo(say("surveys.rows", lang, n=f"{survey.households.height + survey.people.height:,}"))
        return
    head = [say(f"surveys.head_{name}", lang) for name in ("wave", "households", "people")]
    rows = [
        [wave, *(f"{one.get(name, 0):,}" for name in ("households", "people"))] for wave, one in sorted(counts.items())
    ]
    for line in aligned([head, *rows], right=(1, 2)):
        click.echo(f"  {line}")


def _listed(key: str, names: list[str], lang: str) -> None:
    if names:
        more = say("surveys.more", lang, n=len(names) - MOST) if len(names) > MOST else ""
        click.echo(say(key, lang, names=say("list.between", lang).join(names[:MOST]) + more))


def _table(key: str, rows: list[list[str]], lang: str, *, numbers: int = 1, head: bool = False) -> None:
    """Print rows under a title; the last `numbers` columns hold numbers."""
    if rows:
        click.echo(say(key, lang))
        right = tuple(range(len(rows[0]) - numbers, len(rows[0])))
        lines = aligned(rows, right=right) if head else in_columns([tuple(row) for row in rows], right=right)
        for line in lines:
            click.echo(f"  {line}")


def _reason(reason: str, lang: str) -> str:
    return say(f"dropped.{reason}", lang)


def answer(ctx: click.Context, survey: Survey, asked: dict[str, Any], *, lines: pl.DataFrame | None = None) -> None:
    """Write and tell, and end with 1 where rows were refused."""
    place = folder_for(asked["out"])
    written = write(survey, place, asked, lines=lines)
    tell(survey, written, asked["lang"])
    if survey.rejects.height:
        click.echo(say("surveys.refused", asked["lang"], n=f"{survey.rejects.height:,}"), err=True)
        ctx.exit(1)


def lines_of(survey: Survey, prices: int | None) -> pl.DataFrame:
    """Give the poverty lines of each wave: relative ones, the national standard carried by prices, and as published."""
    import polars as pl

    from medfloor.errors import UsageError
    from medfloor.intake.prices import LINES, poverty_lines
    from medfloor.measures.lines import poverty_line

    standard = poverty_line("cn-2010", year=2010)
    lines = poverty_lines(survey.households, absolute=standard.value, year=2010, prices=prices)
    published = []
    for wave in survey.households["wave"].unique().sort().to_list():
        if prices is not None:
            break  # as published means in the year's own prices
        try:
            line = poverty_line("cn-2010", year=int(wave))
        except UsageError:
            continue  # no line was published for that year
        published.append({"wave": wave, "area": "rural", "kind": "published", "value": line.value, "trust": line.trust})
    return pl.concat([lines, pl.DataFrame(published, schema=LINES)]).sort("wave", "kind", "area", "share")
