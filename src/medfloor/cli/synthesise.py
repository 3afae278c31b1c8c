"""Be `medfloor synthesise`: a made-up county or province, calibrated to published figures."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from medfloor.synthetic import Calibration, Place

_OF_PROVINCE = ("spending", "burden", "settled")
_SHOWN = ("income", "consumption", "care", "scope", "spending", "burden", "settled")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--people", type=int, required=True, help="How many people, from 1,000 to 5,000,000.")
@click.option("--seed", type=int, required=True, help="The same seed gives the same files.")
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Folder to write to; made if missing.")
@click.option("--place", metavar="FILE|NAME", help="Figures of your own (TOML); default: the shipped cn-2025.")
@click.option("--years", type=int, default=1, show_default=True, help="Years with claims, from 1 to 8.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Of the tables.",
)
@click.option("--policy", metavar="NAME[@DATE]|FILE", help="Settle the check under this law; default: the place's own.")
@click.option(
    "--lives", is_flag=True, help="Also what becomes of the households in these years: incomes, illness, the truth."
)
@click.option("--unsettled", is_flag=True, help="Leave out the checks that need a settlement.")
@click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language of the report."
)
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Make up a county or a province: households, people, statuses and claims that meet published figures.

    Nobody in it is real, and nothing is fitted to data of real people. The folder gets people, households, spells and
    claims in the columns of the data contract (each row says synthetic), policy.yaml where the place brings a law of
    its own, and the calibration (.json, .csv, .md): each target, what was reached, and how far the target can be
    trusted. With --lives also waves (each household in each year, its income before any help), illness (spells), truth
    (when a household's trouble began, with what, and how large) and causes (income without illness or lost work).

    \b
    Examples:
      medfloor synthesise --people 400000 --seed 7 --out county
      medfloor synthesise --people 50000 --seed 7 --years 2 --place my-county.toml --format csv --out mine --lang zh
      medfloor synthesise --people 20000 --seed 7 --years 5 --lives --out lived
      medfloor settle county/claims.parquet --people county/people.parquet --spells county/spells.parquet \\
        --policy county/policy.yaml --out county/settled.parquet

    Exit codes: 0 every bar is held, 1 written but a bar is missed, 2 nothing could be done.
    """
    from medfloor.intake import write_table
    from medfloor.synthetic import live, synthesise

    place = _place(asked["place"])
    folder = Path(asked["out"])
    _free_of_others(folder, asked["kind"])
    county = synthesise(asked["people"], seed=asked["seed"], place=place, years=asked["years"])
    calibration = county.calibration
    if not asked["unsettled"]:
        from medfloor.simulation.validate import validate

        calibration = validate(county, asked["policy"])
    folder.mkdir(parents=True, exist_ok=True)
    hashes, files = [], []
    tables = county.tables
    if asked["lives"]:
        tables |= live(county, seed=asked["seed"]).tables
    for name, frame in tables.items():
        path = folder / f"{name}.{asked['kind']}"
        write_table(frame, path, money_columns=[])
        hashes.append((path.name, _digest(path)))
        files.append(path)
    if place.policy_address != place.policy:
        files.append(folder / "policy.yaml")
        shutil.copyfile(place.policy_address, files[-1])
    calibration = calibration.also((), hashes=tuple(hashes))
    files += _written(calibration, folder, asked["lang"])
    _say(calibration, files, asked["lang"])
    ctx.exit(1 if calibration.missed or calibration.rejected else 0)


def _place(asked: str | None) -> Place:
    from medfloor.errors import InputError
    from medfloor.synthetic import place_from, shipped_place

    if asked is None:
        return shipped_place()
    if not asked.endswith(".toml") and not Path(asked).exists():
        return shipped_place(asked)
    try:
        place = place_from(Path(asked).read_text(encoding="utf-8"), where=asked)
    except UnicodeDecodeError:
        raise InputError("bad_place", f"{asked} is not UTF-8 text; save it as UTF-8") from None
    beside = Path(asked).parent / place.policy
    return replace(place, policy=str(beside)) if beside.is_file() else place


def _free_of_others(folder: Path, kind: str) -> None:
    """Refuse a folder with tables of an earlier run in another format: readers would not know which of them to take."""
    from medfloor.errors import UsageError

    other = "csv" if kind == "parquet" else "parquet"
    for name in ("people", "households", "spells", "claims", "waves", "illness", "truth", "causes"):
        path = folder / f"{name}.{other}"
        if path.exists():
            raise UsageError(
                "other_format",
                f"{path} is there from an earlier run in another format; take it away, or write elsewhere",
            )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _written(calibration: Calibration, folder: Path, lang: str) -> list[Path]:
    """Write the calibration in three forms."""
    from medfloor.intake.files import write_bytes, write_table

    paths = [folder / f"calibration.{ending}" for ending in ("md", "json", "csv")]
    write_bytes(calibration.to_markdown(lang).encode(), paths[0])
    write_bytes(calibration.to_json().encode(), paths[1])
    write_table(calibration.frame, paths[2], money_columns=[])
    return paths


def _say(calibration: Calibration, files: list[Path], lang: str) -> None:
    """Print what was reached, of the figures that are not simply met, and what was missed."""
    from medfloor.terminal import aligned
    from medfloor.words import say

    for line in calibration.said(lang):
        click.echo(line)
    heads, *rows = calibration.rows(lang)
    subjects = _OF_PROVINCE if calibration.place.counties else _SHOWN
    shown = [
        row
        for row, one in zip(rows, calibration.checks, strict=True)
        if one.figure.partition(".")[0] in subjects or one.within is False
    ]
    click.echo()
    for line in aligned([heads, *shown], right=(2, 3, 4, 5)):
        click.echo(line)
    click.echo()
    click.echo(say("synthetic.files", lang))
    for path in files:
        click.echo(f"  {path}")
