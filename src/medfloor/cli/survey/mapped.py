"""Be `medfloor survey map`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.survey.telling import answer


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path())
@click.option(
    "--map",
    "mapping",
    multiple=True,
    required=True,
    metavar="OURS=THEIRS,...|FILE",
    help="Which column is which; a text, or a file (.toml, .yaml, .json, .csv); may be given again.",
)
@click.option("--out", required=True, type=click.Path(), help="Folder for the panel and the report.")
@click.option("--missing", metavar="CODE,...", help="Codes for missing, such as -1,-2,-8,-9.")
@click.option(
    "--zero",
    multiple=True,
    metavar="COLUMN=CODE",
    help="A code that means zero in a column: oop=-8; may be given again.",
)
@click.option(
    "--signed", multiple=True, metavar="COLUMN", help="Can truly be negative, besides income; may be given again."
)
@click.option(
    "--number", "numbers", multiple=True, metavar="COLUMN", help="A further column of numbers; may be given again."
)
@click.option(
    "--form", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True, help="Format of the panel."
)
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Read any survey by a mapping, with the report that CFPS has.

    With person_id in the mapping the rows are people (people.parquet), else households (households.parquet).

    \b
    Examples:
      medfloor survey map survey.dta --map household_id=hhid,oop=med,consumption=totexp --out panel
      medfloor survey map survey.csv --map survey.toml --out panel --missing -1,-2,-8 --zero oop=-8

    Exit codes: 0 done, 1 done but some rows were refused, 2 nothing could be done.
    """
    from medfloor.intake.surveys import read_survey

    zero: dict[str, list[int]] = {}
    for one in asked["zero"]:
        column, _, codes = one.partition("=")
        zero.setdefault(column.strip(), []).extend(_codes(codes, "--zero"))
    survey = read_survey(
        asked["file"],
        mapping=list(asked["mapping"]),
        missing=_codes(asked["missing"], "--missing") if asked["missing"] else (),
        zero=zero,
        signed=("income", *asked["signed"]),
        numbers=asked["numbers"],
    )
    answer(ctx, survey, asked)


def _codes(text: str, option: str) -> list[int]:
    from medfloor.errors import UsageError

    try:
        return [int(code) for code in text.split(",")]
    except ValueError:
        raise UsageError(
            "bad_missing", f"{option}: {text!r} holds no whole numbers; write -1,-2,-8, or oop=-8 for --zero"
        ) from None
