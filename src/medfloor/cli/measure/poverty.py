"""Be `medfloor measure poverty`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.measure.asking import answer, asks_for_a_table, percents, progress_bar, read

if TYPE_CHECKING:
    from medfloor.cli.measure.asking import Asked
    from medfloor.measures import Result

_CUTOFF = re.compile(r"^\s*([^<>=]+?)\s*(<=|>=|<|>)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*$")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--line",
    metavar="LINE",
    help="What a person needs in the table's period: a number, a column, median:0.6, mean:50%, cn-2010@2018, wb-2.15, "
    "societal-2017, ... (`medfloor measure impoverishing --list-lines` shows the published ones).",
)
@click.option("--year", type=int, help="cn- lines: year of the survey's prices.")
@click.option("--ppp", type=float, help="wb- and societal lines: currency units for one international dollar.")
@click.option(
    "--days", type=float, default=365, show_default=True, help="Days that the table's amounts cover (365: a year)."
)
@click.option("--of", default="consumption", show_default=True, metavar="COLUMN", help="What is measured: or income.")
@click.option("--as-it-stands", is_flag=True, help="Do not divide it by size (people, or an equivalised income).")
@click.option(
    "--measures",
    default="headcount,gap,severity,watts,sen,sst",
    show_default=True,
    metavar="M,...",
    help="Also income_gap, gini_poor, median_gap.",
)
@click.option("--alphas", metavar="A,...", help="Further Foster-Greer-Thorbecke powers, such as 0.5,3.")
@click.option(
    "--sign", type=click.Choice(["<", "<="]), default="<", show_default=True, help="Is one exactly at the line poor?"
)
@click.option(
    "--sen",
    type=click.Choice(["population", "1976"]),
    default="population",
    show_default=True,
    help="Sen's index with the Gini index of the poor as it is, or times q/(q+1).",
)
@click.option("--floor", type=float, help="Raise lower values to this one (the Watts index needs values above zero).")
@click.option("--own-line", is_flag=True, help="Estimated lines: hold each group against its own, not that of all.")
@click.option(
    "--bandwidth",
    default="population",
    show_default=True,
    metavar="RULE",
    help="Estimated lines: the kernel's width, population, sample or a number.",
)
@click.option(
    "--inequality",
    "unequal",
    metavar="M,...|all",
    help="Also inequality: gini, ge, atkinson, quintile_share_ratio, quintile_sum_ratio, palma, p90p10, "
    "lorenz; or all of them.",
)
@click.option("--ge", default="0,1,2", show_default=True, metavar="A,...", help="Alphas of generalised entropy.")
@click.option(
    "--atkinson", default="0.5,1,2", show_default=True, metavar="E,...", help="Aversions of Atkinson's index."
)
@click.option(
    "--parts", metavar="COLUMN", help="Part generalised entropy: within and between the groups of this column."
)
@click.option("--leave-out", is_flag=True, help="Entropy and Atkinson: leave out values of zero and below.")
@click.option(
    "--dimension",
    "dimensions",
    multiple=True,
    metavar="NAME=RULE",
    help="Also multidimensional poverty (Alkire-Foster), given once for each dimension. RULE says who is deprived: "
    "educyr<6, a column of 0 and 1, or an expression over the file's columns such as foodexp>0.6*totexp.",
)
@click.option("--dimension-weights", metavar="NAME=W,...", help="Weights of dimensions; default: equal.")
@click.option("--k", metavar="K,...", help="Share of the dimensions' weight at which one is poor, such as 0.33,0.5.")
@click.option("--vulnerable", metavar="COLUMN,...", help="Also vulnerability, explained by these columns of numbers.")
@click.option("--categories", metavar="COLUMN,...", help="Explain it by these texts and codes too.")
@click.option("--cut", type=float, default=0.5, show_default=True, help="Vulnerable: a chance of poverty above this.")
@asks_for_a_table()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Measure poverty, inequality, multidimensional poverty and vulnerability.

    Needs consumption (or what --of names) and size. People are counted unless --unit household; a table of people takes
    --as-it-stands --unit household. An estimated line (median:0.6) brings its own error into every other.

    \b
    Examples:
      medfloor measure poverty survey.csv --line cn-2010 --year 2018 --by residence
      medfloor measure poverty survey.csv --of income --line median:0.6 --inequality all --parts region
      medfloor measure poverty survey.dta --dimension school="educyr<6" --dimension ill=ill --k 0.5
      medfloor measure poverty survey.csv --line 2995 --vulnerable age,educyr --categories sex,region
    """
    if not (asked["line"] or asked["unequal"] or asked["dimensions"]):
        raise click.UsageError(
            "Missing option '--line' (or --inequality, or --dimension); for example --line 2995.", ctx
        )
    for option, needed in (("vulnerable", "line"), ("categories", "line"), ("k", "dimensions")):
        if asked[option] and not asked[needed]:
            raise click.UsageError(f"--{option} needs --{needed.rstrip('s')}.", ctx)
    if asked["dimensions"] and not asked["k"]:
        raise click.UsageError("--dimension needs --k, such as --k 0.5.", ctx)
    line, ways = _line(asked), _ways(asked)
    measured = bool(asked["line"] or asked["unequal"])
    sized = (measured and not asked["as_it_stands"]) or asked["unit"] != "household"
    needs = [asked["of"]] * measured + ["size"] * sized + [line] * isinstance(line, str)
    needs += [way[0] if isinstance(way, tuple) else way for way in ways.values()]
    explaining, categories = _names(asked["vulnerable"]), _names(asked["categories"])
    labels = [*categories, *_names(asked["parts"])]
    given = read(asked, numbers=[*needs, *explaining], labels=labels, required=[*needs, *explaining, *labels])
    answer(ctx, given, *_results(asked, given, line, ways, [*explaining, *categories]))


def _results(
    asked: dict[str, Any], given: Asked, line: Any, ways: dict[str, Any], regressors: Sequence[str]
) -> list[Result]:
    """Measure all that was asked for, each as a result of its own."""
    from medfloor.measures.inequality import INEQUALITY_MEASURES, inequality
    from medfloor.measures.multidimensional import alkire_foster
    from medfloor.measures.poverty import poverty
    from medfloor.measures.vulnerability import vulnerability

    table, found = given.micro.accepted, []
    shared = {**given.common, "progress": progress_bar("replicates")}
    of = {"of": asked["of"], "per_head": not asked["as_it_stands"]}
    width: dict[str, Any] = {"bandwidth": _width(asked["bandwidth"])}
    if line is not None:
        powers = percents(asked["alphas"]) or ()
        rules = {name: asked[name] for name in ("sign", "sen", "floor", "own_line")}
        measures = _names(asked["measures"])
        found.append(poverty(table, line=line, measures=measures, alphas=powers, **rules, **of, **width, **shared))
    if asked["unequal"]:
        found.append(
            inequality(
                table,
                measures=INEQUALITY_MEASURES if asked["unequal"] == "all" else _names(asked["unequal"]),
                alphas=percents(asked["ge"]) or (),
                aversions=percents(asked["atkinson"]) or (),
                parts=asked["parts"],
                nonpositive="leave_out" if asked["leave_out"] else "keep",
                floor=asked["floor"],
                **of,
                **width,
                **shared,
            )
        )
    if ways:
        weights = _weights(asked["dimension_weights"])
        found.append(alkire_foster(table, dimensions=ways, k=percents(asked["k"]) or (), weights=weights, **shared))
    if regressors:
        found.append(vulnerability(table, line=line, regressors=regressors, cut=asked["cut"], **of, **shared))
    return found


def _line(asked: dict[str, Any]) -> Any:
    from medfloor.measures.lines import read_line

    if asked["line"] is None:
        return None
    return read_line(asked["line"], year=asked["year"], ppp=asked["ppp"], days=asked["days"]) or asked["line"]


def _ways(asked: dict[str, Any]) -> dict[str, Any]:
    """Read dimensions; one that is an expression joins the mapping, as a column of 0 and 1 under its own name."""
    from medfloor.errors import UsageError

    ways: dict[str, Any] = {}
    for text in asked["dimensions"]:
        name, equals, rule = (part.strip() for part in text.partition("="))
        if not (name and equals and rule):
            raise UsageError("bad_dimension", f'--dimension {text!r} is not NAME=RULE; write school="educyr<6"')
        simple = _CUTOFF.match(rule)
        if simple and simple[1].replace("_", "").isalnum():
            ways[name] = (simple[1], float(simple[3]), simple[2])
        elif rule.replace("_", "").isalnum():
            ways[name] = rule
        else:
            column = f"dimension_{name}"
            asked["mapping"] = (*asked["mapping"], {column: f"try_cast(({rule}) as int)"})
            ways[name] = column
    return ways


def _weights(text: str | None) -> dict[str, float] | None:
    from medfloor.errors import UsageError

    if text is None:
        return None
    weights = {}
    for entry in text.split(","):
        name, _, weight = (part.strip() for part in entry.partition("="))
        try:
            weights[name] = float(weight)
        except ValueError:
            raise UsageError("bad_weights", f"{entry!r} is not NAME=WEIGHT; write school=1,health=2") from None
    return weights


def _width(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]
