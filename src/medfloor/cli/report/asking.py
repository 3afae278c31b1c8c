"""Ask for the day, the language and the files of a report the same way everywhere, and write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from medfloor.reports.printing import Printout

_Function = TypeVar("_Function", bound=Callable[..., Any])

FORMATS = (".pdf", ".html", ".xlsx")


def asks_for_a_report(function: _Function) -> _Function:
    """Add --out, --date and --lang."""
    options = (
        click.option(
            "--out", "outs", required=True, multiple=True, type=click.Path(),
            help="The file: .pdf, .html or .xlsx; again for another form of the same report.",
        ),
        click.option(
            "--date", "made", type=click.DateTime(["%Y-%m-%d"]),
            help="The day that stands on the report; nothing else depends on it.  [default: today]",
        ),
        click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def day_of(made: datetime | None) -> date:
    """Give the day of the report: the one that was asked for, else today where offices are."""
    from medfloor.cli.opened import moment
    from medfloor.periods import OFFICE_ZONE

    return moment().astimezone(OFFICE_ZONE).date() if made is None else made.date()


def check_outs(outs: Sequence[str], inputs: Sequence[str | None] = ()) -> None:
    """Refuse files that cannot be written before any work is done. Raises UsageError, OutputError."""
    from medfloor.errors import UsageError
    from medfloor.intake.files import check_outputs

    for path in outs:
        if Path(path).suffix.lower() not in FORMATS:
            raise UsageError("unknown_format", f"--out {path} ends in none of {', '.join(FORMATS)}. Rename it.")
    check_outputs(list(outs), [one for one in inputs if one], any_format=True)


def write(printout: Printout, outs: Sequence[str], lang: str, *, xlsx: Callable[[], bytes] | None = None) -> None:
    """Write a report into its files and say so; `xlsx` makes a workbook with more in it than the printed tables."""
    from medfloor.intake.files import write_bytes
    from medfloor.reports.printing import write_printout
    from medfloor.words import join, say

    for path in outs:
        if xlsx is not None and Path(path).suffix.lower() == ".xlsx":
            write_bytes(xlsx(), path)
        else:
            missing = write_printout(printout, path)
            if missing:
                click.echo(say("printing.missing", lang, characters=join(list(missing), lang)), err=True)
        click.echo(say("printing.written", lang, file=path))
