"""Be `medfloor fund price`: what an inclusive commercial product costs, and whether it lives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from medfloor.fund.parameters import Parameters
    from medfloor.fund.risks import Product, Risks


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--population", metavar="DIR", help="A folder with claims, people (spells): losses are counted from it.")
@click.option(
    "--policy", metavar="NAME[@DATE]|FILE", help="Settle the population under this law; default: DIR/policy.yaml."
)
@click.option("--settlements", metavar="FILE", help="Take the population's payments from here instead of settling.")
@click.option("--year", type=click.IntRange(1900, 2200), help="The year of the claims, where there are several.")
@click.option("--premium", type=float, help="Yuan a member and year; default 168 (seed 004).")
@click.option("--cap", type=float, help="Sum insured, yuan; default 3,300,000 (seed 004).")
@click.option("--deductible", type=float, help="Yuan a year that stay with the member; default 20,000 (assumption).")
@click.option("--rate", type=float, help="Per cent paid above the deductible; default 70 (assumption).")
@click.option("--history", "cover", type=click.Choice(["covered", "reduced", "excluded"]), default="covered",
              show_default=True, help="What happens to losses from a disease that was there before.")  # fmt: skip
@click.option("--years", type=int, default=10, show_default=True, help="How many years the premium follows losses.")
@click.option("--draws", type=int, default=10_000, show_default=True, help="Draws for the interval of a loss ratio.")
@click.option("--seed", type=int, default=20201123, show_default=True, help="The same seed gives the same numbers.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Replace a parameter; may be given again.")
@click.option("--parameters", "listed", is_flag=True, help="List all parameters with source and trust, and stop.")
@click.option("--out", multiple=True, metavar="DIR|FILE", help="Folder for everything, or .html .md .json .csv "
              ".parquet .xlsx .svg .png .pdf; may be given again.")  # fmt: skip
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Price an inclusive product beside basic insurance: expected loss, who joins, loss ratio, break-even, years.

    Without a population, losses come from stated parameters (a lognormal of what patients bear, most of it assumed);
    with one, from its settlements by age and history, with a bootstrap. Premium 168 and cap 3.3 million are those of
    seed 004. Shown beside it: prior disease paid in part or excluded, no selection, and premiums that follow losses.

    \b
    Examples:
      medfloor fund price
      medfloor fund price --premium 99 --history excluded --set market.selection=1
      medfloor fund price --set market.poor_paid=0 --out price --lang zh
      medfloor synthesise --people 20000 --seed 1 --out county
      medfloor fund price --population county --set market.take_up=50

    Exit codes: 0 done, 1 done and the premium is too low or the product dies of selection, 2 nothing could be done.
    """
    from medfloor.fund.commercial import price
    from medfloor.fund.parameters import assignments
    from medfloor.fund.risks import pricing_parameters, product_of

    given = assignments(asked["given"])
    for name in ("premium", "cap", "deductible", "rate"):
        if asked[name] is not None:
            given[f"product.{name}"] = asked[name]
    parameters, lang = pricing_parameters(given), asked["lang"]
    if asked["out"]:  # Else nothing of files and charts is loaded.
        from medfloor.reports.fund_pages import write_record
        from medfloor.reports.fund_projection import check_outputs_of

        check_outputs_of(asked["out"])
    if asked["listed"]:
        _list(parameters, lang)
        return
    product = product_of(parameters, asked["cover"])
    risks = _risks(asked, parameters, product)
    found = price(risks, product, parameters, years=asked["years"], seed=asked["seed"], draws=asked["draws"])
    click.echo(found.text(lang))
    for path in asked["out"]:
        written = write_record(found, path, lang)
        click.echo(f"{path}: {', '.join(one.name for one in written)}", err=True)
    ctx.exit(1 if found.warnings else 0)


def _risks(asked: dict[str, Any], parameters: Parameters, product: Product) -> Risks:
    import numpy as np

    from medfloor.cli.fund.project import _tables
    from medfloor.errors import UsageError
    from medfloor.fund.risks import population_risks, stated_risks

    if not asked["population"]:
        for name in ("policy", "settlements", "year"):
            if asked[name]:
                raise UsageError("needs_population", f"--{name} needs a population; add --population DIR")
        return stated_risks(parameters, product)
    folder = Path(asked["population"])
    tables, settled = _tables(folder, asked["settlements"])
    policy = asked["policy"] or (str(folder / "policy.yaml") if (folder / "policy.yaml").is_file() else None)
    if policy is None:
        raise UsageError("no_policy", f"{folder} has no policy.yaml; name the law with --policy, such as cn/beijing")
    rng = np.random.default_rng(asked["seed"])
    return population_risks(tables, policy, product, rng=rng, settled=settled, year=asked["year"])


def _list(parameters: Parameters, lang: str) -> None:
    from medfloor.fund.series import source_text, unit_text
    from medfloor.terminal import aligned
    from medfloor.words import say

    heads = [say(f"fund_project.{one}", lang) for one in ("parameter", "item", "value", "unit", "trust", "source")]
    rows = [
        [
            one.name, one.title(lang), f"{one.value:g}", unit_text(one.unit, lang),
            say(f"fund_trust.{one.trust}", lang), source_text(one.source, lang),
        ]
        for one in parameters.all
    ]  # fmt: skip
    for line in aligned([heads, *rows], right=[2]):
        click.echo(line)
