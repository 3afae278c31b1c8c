"""Ask for a panel and its columns the same way in every method, and answer the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.measure.concentration import names_of
from medfloor.terminal import in_columns

if TYPE_CHECKING:
    import polars as pl

    from medfloor.evaluation import Fit
    from medfloor.intake import Microdata

_MAP = click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="OURS=THEIRS,...|FILE",
    help="Names of one's own for columns or expressions: lnoop=log(oop+1). Or a mapping file.",
)
_COLUMNS = {
    "outcome": click.option("--outcome", required=True, metavar="COLUMN", help="What the policy may have changed."),
    "treatment": click.option("--treatment", required=True, metavar="COLUMN", help="The policy: 0 and 1, or a dose."),
    "start": click.option(
        "--start", required=True, metavar="COLUMN",
        help="The first wave under the policy, as --time counts; empty or 0 for never.",
    ),
    "unit": click.option("--unit", required=True, metavar="COLUMN", help="Who is followed: household_id, person_id."),
    "time": click.option("--time", required=True, metavar="COLUMN", help="The wave; waves become 1, 2, ... in order."),
    "covariates": click.option(
        "--covariates", metavar="COLUMN,...", help="What is held fixed; i.sex for a column of categories."
    ),
    "cluster": click.option(
        "--cluster", metavar="COLUMN,...", help="Rows of one cluster may go together; where the policy is decided."
    ),
    "weight": click.option("--weight", metavar="COLUMN", help="Sampling weight."),
    "winsorise": click.option(
        "--winsorise", metavar="LOW,HIGH", help="Draw the outcome in to these percentiles, such as 1,99."
    ),
    "level": click.option("--level", type=float, default=0.95, show_default=True, help="Level of intervals."),
}  # fmt: skip
_ANSWER = [
    click.option(
        "--out", type=click.Path(), help="Also write the result: .csv, .parquet, .json, .xlsx, .html, .md or .tex."
    ),
    click.option("--figure", type=click.Path(), help="Also draw it: .svg, .png, .pdf or .json (Vega-Lite)."),
    click.option(
        "--rejects", type=click.Path(), help="Where unreadable rows go; default: TABLE.rejects.csv, if there are any."
    ),
    click.option(
        "--format", "form", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True,
        help="What is printed.",
    ),
    click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language."),
]  # fmt: skip


def asks_for_columns(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the argument TABLE, --map, these columns (names of `_COLUMNS`), and how to answer.

    Options of the command's own stand in between, in the order of its decorators.
    """
    chosen = [_COLUMNS[name] for name in names]

    def with_options(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed([_MAP, *chosen, *_ANSWER]):
            function = option(function)
        return click.argument("table", type=click.Path())(function)

    return with_options


def asks_for_panel(*, required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the argument TABLE, --map and how to answer, where what comes out is a table and no fit.

    With `required=False` TABLE may be left away.
    """
    options = [
        _MAP,
        click.option("--out", type=click.Path(), help="Write the table that comes out: .csv or .parquet."),
        _ANSWER[2],
        click.option(
            "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
            help="What is printed.",
        ),
        _ANSWER[4],
    ]  # fmt: skip

    def with_options(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return click.argument("table", type=click.Path(), required=required)(function)

    return with_options


def check_tables(asked: dict[str, Any], *, inputs: Sequence[str | None] = ()) -> None:
    """Refuse a table to write that is no CSV or Parquet, or would replace an input. Raises what `check_places` does."""
    from medfloor.errors import UsageError
    from medfloor.intake import check_outputs

    if not asked["out"]:
        return
    if Path(asked["out"]).suffix.lower() not in (".csv", ".parquet"):
        raise UsageError("unknown_format", f"{asked['out']} ends in none of .csv, .parquet. Rename it.")
    sources = [one for one in (asked["table"], *inputs) if one]
    check_outputs([asked["out"]], sources, any_format=True)


def write_panel(frame: pl.DataFrame, place: str, waves: Sequence[str | None]) -> None:
    """Write a panel; columns of waves that hold whole numbers are written without decimals. Raises OutputError."""
    import polars as pl

    from medfloor.intake import write_table

    named = [name for name in waves if name in frame.columns and frame.schema[name] == pl.Float64]
    whole = [name for name in named if (frame[name].drop_nulls() % 1 == 0).all()]
    write_table(frame.with_columns(pl.col(name).cast(pl.Int64) for name in whole), place)


def read(asked: dict[str, Any], *, numbers: Sequence[str | None], labels: Sequence[str | None] = ()) -> Microdata:
    """Read the table with these columns (None and repeats are left out), and refuse bad places to write to at once.

    Raises what `medfloor.intake.read_microdata` and `check_places` raise; InputError no_rows where none can be read.
    """
    from medfloor.errors import InputError
    from medfloor.intake import read_microdata

    check_places(asked)
    asked_numbers = list(dict.fromkeys(name for name in numbers if name))
    asked_labels = list(dict.fromkeys(name for name in labels if name and name not in asked_numbers))
    micro = read_microdata(
        asked["table"],
        mapping=asked["mapping"],
        numbers=asked_numbers,
        labels=asked_labels,
        required=[*asked_numbers, *asked_labels],
    )
    if micro.rejects.height and not micro.accepted.height:
        raise InputError(
            "no_rows",
            f"all {micro.rows_in:,} rows were refused, the first because {micro.rejects['detail'][0]}. Name another "
            "column, or mend the file.",
        )
    return micro


def split_covariates(text: str | None) -> tuple[list[str], list[str], list[str]]:
    """Split --covariates: all as given, those that are numbers, and the columns of categories.

    >>> split_covariates("age, i.sex")
    (['age', 'i.sex'], ['age'], ['sex'])
    """
    given = names_of(text)
    return given, [one for one in given if not one.startswith("i.")], [one[2:] for one in given if one.startswith("i.")]


def percentiles(text: str | None) -> tuple[float, float] | None:
    """Read --winsorise 1,99. Raises UsageError bad_number.

    >>> percentiles("1,99")
    (1.0, 99.0)
    """
    from medfloor.errors import UsageError

    if text is None:
        return None
    try:
        low, high = (float(one) for one in names_of(text))
    except ValueError:
        raise UsageError("bad_number", f"--winsorise {text!r} is not two percentiles; write 1,99") from None
    if not 0 <= low < high <= 100:
        raise UsageError("bad_number", f"--winsorise {text!r}: percentiles go up from 0 to 100; write 1,99")
    return low, high


def answer(ctx: click.Context, asked: dict[str, Any], micro: Microdata, fit: Fit) -> None:
    """Print a fit, write what was asked for, keep rejected rows; end with 1 if there are any, or warnings."""
    lang = asked["lang"]
    if asked["form"] == "json":
        import json

        click.echo(json.dumps(fit.to_dict(lang), ensure_ascii=False, indent=1))
    elif asked["form"] == "csv":
        click.echo(fit.rows.write_csv(), nl=False)
    else:
        click.echo(fit.text(lang))
    if asked["out"] or asked["figure"]:
        from medfloor.reports import write_fit, write_fit_figure

        if asked["out"]:
            write_fit(fit, asked["out"], lang)
        if asked["figure"]:
            write_fit_figure(fit, asked["figure"], lang)
    keep_rejects(asked, micro)
    if micro.rejects.height or fit.warnings:
        ctx.exit(1)


def keep_rejects(asked: dict[str, Any], micro: Microdata) -> None:
    """Write the rows that could not be read beside the table, and say so."""
    if not micro.rejects.height:
        return
    from medfloor.intake import write_table
    from medfloor.words import say

    place = asked["rejects"] or rejects_of(asked["table"])
    write_table(micro.rejects, place)
    told = say(
        "asking.rejected", asked["lang"],
        rejected=f"{micro.rejects.height:,}", rows=f"{micro.rows_in:,}", place=place,
    )  # fmt: skip
    click.echo(told, err=True)


def check_places(asked: dict[str, Any], *, inputs: Sequence[str | None] = ()) -> None:
    """Refuse, before any work is done, files to write that would replace an input or each other, or cannot be written.

    Raises OutputError: would_replace_input, same_output, cannot_write; UsageError unknown_format.
    """
    from medfloor.errors import UsageError
    from medfloor.intake import check_outputs

    if asked["out"] or asked["figure"]:
        from medfloor.reports import FIGURE_FORMATS, FIT_FORMATS

        for place, formats in ((asked["out"], FIT_FORMATS), (asked["figure"], FIGURE_FORMATS)):
            if place and Path(place).suffix.lower() not in formats:
                raise UsageError("unknown_format", f"{place} ends in none of {', '.join(formats)}. Rename it.")
    sources = [asked["table"], *inputs, *(one for one in asked["mapping"] if Path(one).is_file())]
    rejects = asked["rejects"] or rejects_of(asked["table"])
    known = rejects if Path(rejects).parent.is_dir() else None
    check_outputs([known, asked["out"], asked["figure"]], sources, any_format=True)


def rejects_of(table: str) -> str:
    """Name the file beside a table where its rejected rows go."""
    return str(Path(table).with_suffix("")) + ".rejects.csv"


def listed(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Align rows of cells for a terminal as one text."""
    return "\n".join(in_columns(rows, right))
