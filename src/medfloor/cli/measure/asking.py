"""Ask for a table and a design the same way in every measure, and answer the same way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from medfloor.intake import Microdata
    from medfloor.measures import Design, Result
    from medfloor.measures.cluster import Matched
    from medfloor.measures.settled import Cases
    from medfloor.reports import FigureKind

_DESIGN = {"weight": "weight", "strata": "stratum", "psu": "psu", "ssu": None, "fpc": "fpc", "fpc2": None}

_TABLE = [
    click.option(
        "--map",
        "mapping",
        multiple=True,
        metavar="OURS=THEIRS,...|FILE",
        help="Which column is which: oop=med,food=foodexp; the right side may be an expression such as exp(lnmed). "
        "Or a mapping file.",
    ),
    click.option(
        "--by", multiple=True, metavar="COLUMN", help="Also for each group of this column; may be given again."
    ),
    click.option("--against", metavar="GROUP", help="Also the difference of each group from this one, with its error."),
    click.option(
        "--unit", type=click.Choice(["household", "person"]), help="Count households, or people (weight times size)."
    ),
]
_DRAWN = [
    click.option("--weight", metavar="COLUMN", help="Sampling weight; default: weight, where the table has it."),
    click.option("--strata", metavar="COLUMN", help="Strata; default: stratum."),
    click.option("--psu", metavar="COLUMN", help="First-stage clusters; default: psu."),
    click.option("--ssu", metavar="COLUMN", help="Second-stage units (with --fpc and --fpc2); default: each row."),
    click.option(
        "--fpc", metavar="COLUMN", help="Clusters in the population of a stratum, or the share drawn; default: fpc."
    ),
    click.option("--fpc2", metavar="COLUMN", help="The same for units within a cluster."),
    click.option("--no-design", is_flag=True, help="Count every row once, even where the table has design columns."),
    click.option(
        "--lonely",
        type=click.Choice(["adjust", "average", "remove", "refuse"]),
        default="adjust",
        show_default=True,
        help="What a stratum with one cluster adds to the error.",
    ),
    click.option(
        "--method",
        type=click.Choice(["linearised", "jackknife", "bootstrap", "replicates", "none"]),
        default="linearised",
        show_default=True,
        help="Where standard errors come from.",
    ),
    click.option("--replicates", type=click.IntRange(2), default=1000, show_default=True, help="Of the bootstrap."),
    click.option("--seed", type=int, default=20201123, show_default=True, help="Of the bootstrap."),
    click.option("--replicate-weights", metavar="PREFIX|A,B,...", help="The survey's own replicate weights."),
    click.option(
        "--kind",
        type=click.Choice(["bootstrap", "brr", "fay", "jk1", "jk2", "jkn", "sdr"]),
        default="bootstrap",
        show_default=True,
        help="What the survey's replicate weights are.",
    ),
    click.option("--replicate-scales", metavar="X,...", help="Kind jkn: (n-1)/n of each replicate's stratum."),
    click.option("--fay", type=float, default=0.5, show_default=True, help="Fay's coefficient."),
    click.option(
        "--bootstrap-interval",
        type=click.Choice(["t", "percentile"]),
        default="t",
        show_default=True,
        help="Of the bootstrap: Student's t, or percentiles of the replicates.",
    ),
    click.option("--degrees", type=float, help="Degrees of freedom, where the survey's handbook gives them."),
    click.option("--level", type=float, default=0.95, show_default=True, help="Level of intervals."),
]
_ANSWER = [
    click.option("--out", type=click.Path(), help="Also write the result: .csv, .parquet, .json, .html, .md or .tex."),
    click.option("--figure", "figure", type=click.Path(), help="Also draw it: .svg, .png, .pdf or .json (Vega-Lite)."),
    click.option("--figure-kind", metavar="KIND", help="Which figure; default: what fits. A wrong one lists them."),
    click.option(
        "--figure-statistic",
        metavar="NAME",
        help="Which statistic it shows, as --format csv names it; default: the first.",
    ),
    click.option(
        "--rejects", type=click.Path(), help="Where unreadable rows go; default: TABLE.rejects.csv, if there are any."
    ),
    click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json", "csv"]),
        default="text",
        show_default=True,
        help="What is printed.",
    ),
    click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language."),
]
_CLUSTER = [
    click.option(
        "--engine",
        type=click.Choice(["auto", "spark"]),
        default="auto",
        show_default=True,
        help="Where settlements are read and added up: here, or on a Spark cluster (docs/spark.md).",
    ),
    click.option(
        "--spark-master",
        metavar="URL",
        help="With --engine spark: spark://host:7077, local[2], ...; default: spark-submit's, SPARK_MASTER, local[*].",
    ),
]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Be a table that was asked about: the rows that can be read, the design, and how to answer."""

    micro: Microdata
    design: Design
    options: dict[str, Any]
    cases: Cases | None = None

    @property
    def table(self) -> Any:
        """Give the rows as a measure of settlements takes them."""
        return self.micro.accepted if self.cases is None else self.cases

    @property
    def by(self) -> tuple[str, ...]:
        """Name the columns to group by."""
        return tuple(self.options["by"])

    @property
    def common(self) -> dict[str, Any]:
        """Give the arguments that every measure takes."""
        made = {"by": self.by, "against": self.options["against"], "design": self.design}
        return made | ({"unit": self.options["unit"]} if self.options["unit"] else {})


def asks_for_a_table(
    *, table: bool = True, measured: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the argument TABLE and the options that all measures share, behind its own.

    Without `measured` those that speak of groups, weights and errors are left out.
    """
    options = [*_TABLE, *_DRAWN, *_ANSWER] if measured else [_TABLE[0], *_ANSWER]

    def with_options(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return click.argument("table", type=click.Path())(function) if table else function

    return with_options


def asks_for_a_cluster(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that let a cluster read settlements."""
    for option in reversed(_CLUSTER):
        function = option(function)
    return function


def on_cluster(asked: dict[str, Any]) -> bool:
    """Say whether a cluster was asked for. Raises UsageError spark_not_asked."""
    if asked.get("engine") != "spark" and asked.get("spark_master"):
        from medfloor.errors import UsageError

        raise UsageError("spark_not_asked", "--spark-master is for --engine spark; give both, or neither")
    return asked.get("engine") == "spark"


def refuse_cluster(asked: dict[str, Any], what: str) -> None:
    """Refuse a cluster for what it does not do. Raises UsageError not_with_spark."""
    if on_cluster(asked):
        from medfloor.errors import UsageError

        raise UsageError("not_with_spark", f"--engine spark does not go with {what}; leave --engine out")


def read(
    asked: dict[str, Any],
    *,
    numbers: Sequence[str],
    labels: Sequence[str] = (),
    required: Sequence[str] = (),
) -> Asked:
    """Read the table with the columns that a measure needs, and those of the design.

    `numbers`, `labels` and `required` are the contract's names (or the user's own, for columns named by options).
    """
    from medfloor.intake import read_microdata

    wanted = _wanted(asked, numbers, labels, required)
    # What is asked of a cluster is large: columns that nobody asked for stay on the disk.
    micro = read_microdata(asked["table"], **wanted, carried=not on_cluster(asked))
    return _with_design(asked, micro, None)


def read_cases(
    asked: dict[str, Any],
    *,
    numbers: Sequence[str],
    labels: Sequence[str] = (),
    required: Sequence[str] = (),
    matched: Matched | None = None,
    used: Sequence[str] = (),
) -> Asked:
    """Read a table of settlements as `read` does, on a cluster where one was asked for.

    There those that were taken back are found, where `matched` says by which columns of those that are there: the total
    and what was paid. Columns in `used` keep their names.
    """
    if not on_cluster(asked):
        return read(asked, numbers=numbers, labels=labels, required=required)
    from medfloor.measures.cluster import Wanted, read_cases

    micro, cases = read_cases(
        Wanted(asked["table"], **_wanted(asked, numbers, labels, required)),
        matched=matched,
        used=[*used, *asked["by"], *(asked[field] for field in _DESIGN if asked[field])],
        master=asked["spark_master"],
        beside=asked["out"],
    )
    return _with_design(asked, micro, cases)


def _wanted(
    asked: dict[str, Any], numbers: Sequence[str], labels: Sequence[str], required: Sequence[str]
) -> dict[str, Any]:
    """Say what is to be read: the columns that a measure needs, and those of the design."""
    check_places(asked)
    named = {field: asked[field] for field in _DESIGN}
    weights = _replicate_names(asked)
    design_numbers = [named[name] or _DESIGN[name] for name in ("weight", "fpc", "fpc2")]
    design_labels = [named[name] or _DESIGN[name] for name in ("strata", "psu", "ssu")]
    return {
        "mapping": asked["mapping"],
        "numbers": _once([*numbers, *design_numbers, *weights]),
        "labels": _once([*labels, *asked["by"], *design_labels]),
        "required": _once([*required, *asked["by"], *(name for name in named.values() if name), *weights]),
    }


def _with_design(asked: dict[str, Any], micro: Microdata, cases: Cases | None) -> Asked:
    """Put the design beside what was read. Raises InputError no_rows where every row was refused."""
    from medfloor.measures import Design

    if micro.rejects.height and not micro.accepted.height:
        raise _all_refused(micro)
    columns = micro.accepted.columns
    named = {field: asked[field] for field in _DESIGN}
    if asked["no_design"]:
        found: dict[str, Any] = {}
    else:
        found = {
            name: given or (default if default in columns else None)
            for (name, default), given in zip(_DESIGN.items(), named.values(), strict=True)
        }
    design = Design(
        **found,
        lonely=asked["lonely"],
        method=asked["method"],
        replicates=asked["replicates"],
        seed=asked["seed"],
        replicate_weights=_expand(_replicate_names(asked), asked, columns),
        kind=asked["kind"],
        fay=asked["fay"],
        level=asked["level"],
        replicate_scales=tuple(percents(asked["replicate_scales"]) or ()),
        bootstrap_interval=asked["bootstrap_interval"],
        degrees=asked["degrees"],
    )
    return Asked(micro, design, asked, cases)


def answer(ctx: click.Context, asked: Asked, *results: Result, figure: FigureKind | None = None) -> None:
    """Print results, write what was asked for, keep rejected rows, and end with 1 if there are any.

    `figure` names the kind of figure, where a measure has more than one.
    """
    options = asked.options
    say(options, *results, figure=figure)
    rejects = asked.micro.rejects
    if rejects.height:
        from medfloor.intake import write_table
        from medfloor.words import say as say_words

        place = options["rejects"] or _rejects_of(options["table"])
        write_table(rejects, place)
        told = say_words(
            "asking.rejected",
            options["lang"],
            rejected=f"{rejects.height:,}",
            rows=f"{asked.micro.rows_in:,}",
            place=place,
        )
        click.echo(told, err=True)
        ctx.exit(1)


def say(options: dict[str, Any], *results: Result, figure: FigureKind | None = None) -> None:
    """Print results, and write table and figure where they were asked for."""
    if options["form"] == "json":
        import json

        told = [result.to_dict(options["lang"]) for result in results]
        click.echo(json.dumps(told[0] if len(told) == 1 else told, ensure_ascii=False, indent=1))
    elif options["form"] == "csv":
        for result in results:
            click.echo(result.rows.write_csv(), nl=False)
    else:
        click.echo("\n\n".join(result.text(options["lang"]) for result in results))
    if options["out"] or options["figure"]:
        from medfloor.reports import write_figure, write_table

        if options["out"]:
            for place, result in zip(_places(options["out"], len(results)), results, strict=True):
                write_table(result, place, options["lang"])
        if options["figure"]:
            kind = options["figure_kind"] or figure
            write_figure(
                results[0], options["figure"], options["lang"], kind=kind, statistic=options["figure_statistic"]
            )


def check_places(asked: dict[str, Any]) -> None:
    """Refuse, before any work is done, files to write that would replace an input or each other, or cannot be written.

    Raises OutputError: would_replace_input, same_output, cannot_write; UsageError unknown_format.
    """
    from medfloor.errors import UsageError
    from medfloor.intake import check_outputs

    if asked["out"] or asked["figure"]:
        from medfloor.reports import FIGURE_FORMATS, TABLE_FORMATS

        for place, formats in ((asked["out"], TABLE_FORMATS), (asked["figure"], FIGURE_FORMATS)):
            if place and Path(place).suffix.lower() not in formats:
                raise UsageError("unknown_format", f"{place} ends in none of {', '.join(formats)}. Rename it.")
    inputs = [asked.get(name) for name in ("table", "settlements", "people", "supply")]
    inputs += [one for name in ("mapping", "map_supply") for one in asked.get(name, ()) if isinstance(one, str)]
    check_outputs([asked["rejects"]], inputs)
    written = [*(_places(asked["out"], _MOST_RESULTS) if asked["out"] else []), asked["figure"]]
    rejects = asked["rejects"] or (_rejects_of(asked["table"]) if asked["table"] else None)
    # Where the table is not there, its reader says so better than its folder.
    known = rejects if rejects and Path(rejects).parent.is_dir() else None
    check_outputs([known, *written], inputs, any_format=True)


def progress_bar(label: str) -> Callable[[int, int], None] | None:
    """Show progress on a terminal, and nothing elsewhere. `label` is a name in the catalogue's section asking."""
    if not sys.stderr.isatty():
        return None
    from medfloor.words import say as say_words

    ctx = click.get_current_context()
    text = say_words(f"asking.{label}", ctx.params.get("lang", "en"))
    bar: Any = None

    def close() -> None:
        nonlocal bar
        if bar is not None:
            bar.__exit__(None, None, None)
        bar = None

    def show(done: int, whole: int) -> None:
        nonlocal bar
        if bar is None or done == 1:
            bar = click.progressbar(length=whole, label=text, file=sys.stderr)
            bar.__enter__()
        bar.update(1)
        if done == whole:
            close()

    # The bar hides the cursor, which must come back also when the work is interrupted.
    ctx.call_on_close(close)
    return show


def given_among(ctx: click.Context, names: Iterable[str]) -> list[str]:
    """Name the options among these that the user has given, and not left at what they are."""
    return [name for name in names if ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE]


def percents(text: str | None) -> list[float] | None:
    """Read shares such as 0.1,0.25 or 10%,25%. Raises UsageError bad_number.

    >>> percents("0.1,25%")
    [0.1, 0.25]
    """
    from medfloor.errors import UsageError

    if text is None:
        return None
    found = []
    for one in text.split(","):
        plain = one.strip()
        try:
            found.append(round(float(plain.rstrip("%").strip()) / 100, 12) if plain.endswith("%") else float(plain))
        except ValueError:
            raise UsageError("bad_number", f"{plain!r} is not a share; write 0.1 or 10%, with commas between") from None
    return found


def _all_refused(micro: Microdata) -> Exception:
    from medfloor.errors import InputError

    return InputError(
        "no_rows",
        f"all {micro.rows_in:,} rows were refused, the first because {micro.rejects['detail'][0]}. Name another "
        "column, or mend the file",
    )


_MOST_RESULTS = 9
"""As many results as one command gives at the most, and some."""


def _places(out: str, number: int) -> list[str]:
    """Give a file to each of several results: the second goes to name.2.csv."""
    path = Path(out)
    return [out, *(str(path.with_suffix(f".{place}{path.suffix}")) for place in range(2, number + 1))]


def _rejects_of(table: str) -> str:
    return f"{Path(table).with_suffix('')}.rejects.csv"


def _replicate_names(asked: dict[str, Any]) -> list[str]:
    """Name the columns of replicate weights, so that they are read as numbers; a typed file's are numbers already."""
    text = asked["replicate_weights"]
    if not text:
        return []
    if "," in text:
        return [name.strip() for name in text.split(",") if name.strip()]
    if Path(asked["table"]).suffix.lower() != ".csv" and not on_cluster(asked):
        return []
    from medfloor.intake import scan_table

    return [name for name in scan_table(asked["table"], "survey").names if name.startswith(text)]


def _expand(names: Sequence[str], asked: dict[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    text = asked["replicate_weights"]
    if not text or names:
        return tuple(names)
    return tuple(column for column in columns if column.startswith(text))


def _once(names: Sequence[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))
