"""Be `medfloor watch prevention`: family doctors, control, avoidable stays, and what follow-up may save."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import polars as pl

    from medfloor.watch.evidence import Evidence
    from medfloor.watch.prevention import Prevention


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--people", required=True, metavar="FILE", help="People: birth_date, family_doctor, flags of illnesses.")
@click.option("--claims", required=True, metavar="FILE", help="Claims with diagnoses.")
@click.option("--spells", metavar="FILE", help="Dated statuses, for people lifted from poverty.")
@click.option("--contracts", metavar="FILE", help="person_id, signed, until, doctor_id; else family_doctor of people.")
@click.option("--contacts", metavar="FILE", help="person_id, date, kind (follow_up, exam).")
@click.option("--measurements", metavar="FILE", help="person_id, date, systolic, diastolic, glucose.")
@click.option("--doctors", metavar="FILE", help="doctor_id, hours a year for contracts.")
@click.option("--year", type=int, help="Year to look at; default: the last of the claims.")
@click.option("--programme", type=click.Choice(["usual", "intensive"]), default="usual", show_default=True,
              help="Which follow-up is simulated.")  # fmt: skip
@click.option("--rules", "file", metavar="FILE", help="Numbers of your own (TOML): [numbers] with name = number.")
@click.option("--out", metavar="DIR", help="Folder for the tables (CSV) and prevention.json; made if missing.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same numbers.")
@click.option("--draws", type=int, default=2000, show_default=True, help="How often the effect is drawn.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Look over family doctors in a county, and simulate what delivered follow-up may save beside what it costs.

    Prints key groups and contracts, hours owed against hours there, who signed and was not served, how many are in
    range, avoidable stays, and the simulated effect: none for signing alone, from trials for follow-up that is
    delivered, never above the avoidable share of spending. Counts only; persons stand in the files of --out.

    \b
    Examples:
      medfloor watch prevention --people people.csv --claims claims.csv
      medfloor watch prevention --people people.csv --claims claims.csv --contracts signed.csv --contacts visits.csv \\
        --measurements measured.csv --doctors doctors.csv --out prevention --lang zh

    Exit codes: 0 done, 1 done but rows could not be used, 2 nothing could be done.
    """
    from medfloor.intake.files import check_outputs, read_table
    from medfloor.watch.prevention import TABLES, prevention_of

    names = ("people", "claims", "spells", "contracts", "contacts", "measurements", "doctors", "file")
    folder = Path(asked["out"]) if asked["out"] else None
    if folder is not None and folder.is_dir():
        made = [folder / "prevention.json", *(folder / f"{name}.csv" for name in TABLES)]
        check_outputs(made, [asked[name] for name in names], any_format=True)
    evidence = _evidence(asked["file"])
    people, bad_people = _people(asked["people"])
    claims, bad_claims = _claims(asked["claims"])
    year = asked["year"] if asked["year"] is not None else _last_year(claims)
    tables = {name: read_table(asked[name], name) for name in names[3:7] if asked[name]}
    found = prevention_of(
        people, claims, year=year, spells=_spells(asked["spells"]), evidence=evidence, programme=asked["programme"],
        seed=asked["seed"], draws=asked["draws"], **tables,
    )  # fmt: skip
    _tell(found, bad_people + bad_claims, asked["lang"])
    if folder is not None:
        _write(found, folder, asked["lang"])
    ctx.exit(1 if found.rejected.height or bad_people or bad_claims else 0)


def _evidence(file: str | None) -> Evidence | None:
    from medfloor.errors import InputError
    from medfloor.watch.evidence import evidence_from

    if file is None:
        return None
    try:
        return evidence_from(Path(file).read_text(encoding="utf-8"), where=file)
    except UnicodeDecodeError:
        raise InputError("bad_rules", f"{file} is not UTF-8 text; save it as UTF-8") from None
    except FileNotFoundError:
        raise InputError("file_not_found", f"there is no file {file}; check the name") from None
    except OSError as error:
        raise InputError("cannot_read", f"{file} could not be read: {error.strerror}") from None


def _people(file: str) -> tuple[pl.DataFrame, int]:
    from medfloor.intake import read_people

    found = read_people(file)
    # A person with several spans of enrolment is one person.
    return found.accepted.unique("person_id", keep="last", maintain_order=True), found.bad.height


def _claims(file: str) -> tuple[pl.DataFrame, int]:
    import polars as pl

    from medfloor.intake import read_claims
    from medfloor.tables import CARE_TYPES

    found = read_claims(file)
    frame = found.accepted
    undone = frame["reverses"].drop_nulls() if "reverses" in frame.columns else pl.Series([], dtype=pl.String)
    if len(undone):
        # A stay that was taken back was none.
        frame = frame.filter(pl.col("reverses").is_null() & ~pl.col("claim_id").is_in(undone.implode()))
    care = pl.col("care_type").replace_strict(dict(enumerate(CARE_TYPES)), default=None, return_dtype=pl.String)
    return frame.select("person_id", care, "start_date", "diagnosis", "total_fen"), found.rejected.height


def _spells(file: str | None) -> pl.DataFrame | None:
    from medfloor.intake import read_spells
    from medfloor.policy.model import GROUPS

    return None if file is None else read_spells(file, GROUPS).accepted


def _last_year(claims: pl.DataFrame) -> int:
    from medfloor.errors import InputError

    last = claims["start_date"].max()
    if last is None:
        raise InputError("empty_file", "the claims have no usable row; name the year with --year")
    return int(last.year)  # type: ignore[union-attr]


def _tell(found: Prevention, refused: int, lang: str) -> None:
    from collections import Counter

    from medfloor.terminal import aligned
    from medfloor.words import join, say

    click.echo(say("watch_prevention.heading", lang, year=found.year))
    if found.synthetic:
        click.echo(say("watch_prevention.synthetic", lang))
    for section in found.sections(lang):
        click.echo(f"\n{section.title}")
        if section.rows:
            for line in aligned([section.heads, *section.rows], right=section.right):
                click.echo(line)
        for note in section.notes:
            click.echo(note)
    counts = Counter(found.rejected["reason"].to_list())
    if refused:
        counts["people, claims"] = refused
    if counts:
        reasons = join([f"{reason} {count}" for reason, count in sorted(counts.items())], lang)
        click.echo(f"\n{say('watch_prevention.rejected', lang, count=sum(counts.values()), reasons=reasons)}")


def _write(found: Prevention, folder: Path, lang: str) -> None:
    import json

    from medfloor.errors import OutputError
    from medfloor.intake.files import write_bytes, write_table
    from medfloor.words import join, say

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot_write", f"{folder} could not be made: {error.strerror}") from None
    written = []
    for name, table in found.tables.items():
        path = folder / f"{name}.csv"
        write_table(table, path, money_columns=[])
        written.append(path.name)
    text = json.dumps(found.to_dict(), ensure_ascii=False, indent=1, default=str)
    write_bytes(f"{text}\n".encode(), folder / "prevention.json")
    written.append("prevention.json")
    click.echo(say("watch_prevention.written", lang, files=join(written, lang)), err=True)
