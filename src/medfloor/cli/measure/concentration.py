"""Be `medfloor measure concentration`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.measure.asking import answer, asks_for_a_table, progress_bar, read

if TYPE_CHECKING:
    from medfloor.cli.measure.asking import Asked
    from medfloor.measures import Result


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--of", "of", default="oop", show_default=True, metavar="COLUMN", help="What may lie unevenly.")
@click.option(
    "--rank", default="consumption", show_default=True, metavar="COLUMN", help="What orders rows from poor to rich."
)
@click.option(
    "--rank-by",
    type=click.Choice(["person", "household"]),
    help="Divide the rank by size (person) or not; default: person for consumption and income, if there is size.",
)
@click.option(
    "--of-by",
    type=click.Choice(["person", "household"]),
    default="household",
    show_default=True,
    help="Divide --of by size, or take it as it stands.",
)
@click.option(
    "--index",
    default="standard",
    show_default=True,
    metavar="NAME,...",
    help="standard, generalised, modified, wagstaff, erreygers, extended, symmetric.",
)
@click.option("--bounds", metavar="A,B", help="Least and greatest value that --of can take; 0,1 for zeros and ones.")
@click.option("--nu", default="2", show_default=True, metavar="V,...", help="extended: aversion to inequality.")
@click.option("--beta", default="2", show_default=True, metavar="B,...", help="symmetric: sensitivity to both ends.")
@click.option("--achievement", is_flag=True, help="Also mean (1 - C(v)).")
@click.option("--shortfall", is_flag=True, help="Measure what is missing to the greatest value instead.")
@click.option("--finite-sample", is_flag=True, help="Multiply by n / (n - 1).")
@click.option(
    "--ordinates", type=click.IntRange(2, 1000), help="Also points of the curves with errors: 10 gives deciles."
)
@click.option(
    "--errors",
    type=click.Choice(["influence", "convenient", "delta", "kwv", "convenient_design", "delta_design"]),
    default="influence",
    show_default=True,
    help="All but influence are what older programs print: convenient_design is conindex with svy, the others do not "
    "see the design.",
)
@click.option(
    "--dominance",
    metavar="equality|lorenz|COLUMN",
    help="Test whether the curve lies above this one; with --by and --against also between groups.",
)
@click.option("--points", type=click.IntRange(1, 99), default=19, show_default=True, help="Of the dominance test.")
@click.option(
    "--decompose", metavar="COLUMN,...", help="Wagstaff's decomposition by these; i.sex for a column of categories."
)
@click.option(
    "--change", metavar="BEFORE,AFTER", help="With --decompose and --by: the change between two of its groups (Oaxaca)."
)
@click.option("--need", metavar="COLUMN,...", help="Horizontal inequity: what use should follow; i.sex for categories.")
@click.option("--control", metavar="COLUMN,...", help="Horizontal inequity: what is held at its mean.")
@click.option("--quantiles", type=click.IntRange(2, 100), help="Horizontal inequity: use by quantile group, 5 usually.")
@asks_for_a_table()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Measure whether spending, use or health lies with the poor (below zero) or the rich (above zero).

    Without --dominance, --decompose or --need the indices are printed; each of these prints its own table instead.

    \b
    Examples:
      medfloor measure concentration survey.csv --of oop --rank consumption --figure curve.svg
      medfloor measure concentration survey.csv --of ill --index wagstaff,erreygers --by residence --against urban
      medfloor measure concentration survey.csv --index extended --nu 2,3,4 --achievement
      medfloor measure concentration survey.csv --dominance lorenz
      medfloor measure concentration survey.csv --decompose age,educyr,i.sex
      medfloor measure concentration panel.csv --decompose age,i.sex --by wave --change 2018,2020
      medfloor measure concentration survey.csv --of visits --need age,chronic --control educyr --quantiles 5
    """
    from medfloor.errors import UsageError

    explaining = [one for name in ("decompose", "need", "control") for one in names_of(asked[name])]
    other = [asked["dominance"]] if asked["dominance"] not in (None, "equality", "lorenz") else []
    plain = [name for name in explaining if not name.startswith("i.")]
    labels = [name[2:] for name in explaining if name.startswith("i.")]
    needed = [asked["of"], asked["rank"], *other, *plain]
    if asked["control"] and not asked["need"]:
        raise UsageError("no_columns", "--control goes with --need, which says what use should follow")
    if asked["change"] and not (asked["decompose"] and len(asked["by"]) == 1):
        raise UsageError("two_groups", "--change goes with --decompose and one --by, whose groups it compares")
    given = read(asked, numbers=[*needed, "size"], labels=labels, required=[*needed, *labels])
    answer(ctx, given, *_results(asked, given, progress_bar("replicates")), figure=None)


def names_of(text: str | None) -> list[str]:
    """Split names at commas.

    >>> names_of("age, i.sex"), names_of(None)
    (['age', 'i.sex'], [])
    """
    return [one.strip() for one in text.split(",") if one.strip()] if text else []


def numbers_of(text: str, option: str) -> list[float]:
    """Read numbers between commas. Raises UsageError bad_number.

    >>> numbers_of("2, 3.5", "--nu")
    [2.0, 3.5]
    """
    from medfloor.errors import UsageError

    try:
        return [float(one) for one in names_of(text)]
    except ValueError:
        raise UsageError("bad_number", f"{option} {text!r} is not a list of numbers; write 2,3") from None


def _results(asked: dict[str, Any], given: Asked, progress: Any) -> list[Result]:
    from medfloor.measures.concentration import concentration
    from medfloor.measures.decomposition import oaxaca_change, wagstaff_decomposition
    from medfloor.measures.dominance import dominance
    from medfloor.measures.horizontal import horizontal_inequity

    table = given.micro.accepted
    results: list[Result] = []
    ranked: dict[str, Any] = {name: asked[name] for name in ("of", "rank", "rank_by", "of_by")} | {"progress": progress}
    if asked["dominance"]:
        results.append(dominance(table, **ranked, **given.common, over=asked["dominance"], points=asked["points"]))
    if asked["decompose"]:
        determinants = names_of(asked["decompose"])
        if asked["change"]:
            before, after = _two(asked["change"])
            common = {name: value for name, value in given.common.items() if name in ("design", "unit")}
            waves: dict[str, Any] = {"by": given.by[0], "before": before, "after": after}
            results.append(oaxaca_change(table, **ranked, **common, **waves, determinants=determinants))
        else:
            results.append(wagstaff_decomposition(table, **ranked, **given.common, determinants=determinants))
    if asked["need"]:
        split: dict[str, Any] = {"need": names_of(asked["need"]), "control": names_of(asked["control"])}
        results.append(horizontal_inequity(table, **ranked, **given.common, **split, quantiles=asked["quantiles"] or 0))
    if results:
        return results
    indices: Any = names_of(asked["index"])
    return [
        concentration(
            table,
            **ranked,
            **given.common,
            index=indices,
            bounds=_bounds(asked["bounds"]),
            nu=numbers_of(asked["nu"], "--nu"),
            beta=numbers_of(asked["beta"], "--beta"),
            achievement=asked["achievement"],
            shortfall=asked["shortfall"],
            finite_sample=asked["finite_sample"],
            ordinates=asked["ordinates"] or 0,
            errors=asked["errors"],
        )
    ]


def _two(text: str) -> tuple[str, str]:
    from medfloor.errors import UsageError

    found = names_of(text)
    if len(found) != 2:
        raise UsageError("two_groups", f"--change {text!r} is not two groups; write 2018,2020")
    return found[0], found[1]


def _bounds(text: str | None) -> tuple[float, float] | None:
    from medfloor.errors import UsageError

    if text is None:
        return None
    found = numbers_of(text, "--bounds")
    if len(found) != 2:
        raise UsageError("no_bounds", f"--bounds {text!r} is not two numbers; write 0,1")
    return found[0], found[1]
