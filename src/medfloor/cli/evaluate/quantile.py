"""Be `medfloor evaluate quantile`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns, read, split_covariates
from medfloor.cli.evaluate.binary import one_cluster
from medfloor.cli.measure.concentration import names_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quantiles", default="0.25,0.5,0.75", show_default=True, metavar="Q,...", help="Between 0 and 1.")
@click.option("--unit", metavar="COLUMN", help="Who is followed; without --cluster its rows go together.")
@click.option("--time", metavar="COLUMN", help="The wave; each but the first has a column of its own.")
@click.option("--no-waves", is_flag=True, help="No columns for waves.")
@click.option(
    "--errors", type=click.Choice(["cluster", "robust", "iid", "bootstrap"]),
    help="Where errors come from; default: bootstrap with weights, cluster where there is one or a unit, else robust.",
)  # fmt: skip
@click.option("--draws", type=int, default=200, show_default=True, help="Draws of the bootstrap.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the bootstrap.")
@asks_for_columns("outcome", "treatment", "covariates", "cluster", "weight", "level")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Explain quantiles of an outcome, such as the high end of own payments.

    There are no effects of units here: people are compared who are alike in the covariates.

    \b
    Examples:
      medfloor evaluate quantile panel.csv --outcome oop --treatment covered --quantiles 0.5,0.75,0.9 \\
        --covariates age,i.region --time wave --cluster city --figure quantiles.svg
      medfloor evaluate quantile panel.csv --outcome oop --treatment covered --unit household_id \\
        --errors bootstrap --draws 500
    """
    from medfloor.evaluation import quantile

    covariates, numbers, categories = split_covariates(asked["covariates"])
    cluster = one_cluster(asked["cluster"])
    micro = read(
        asked,
        numbers=[asked["outcome"], asked["treatment"], *numbers, asked["time"], asked["weight"]],
        labels=[*categories, asked["unit"], cluster],
    )
    fit = quantile(
        micro.accepted,
        outcome=asked["outcome"],
        treatment=asked["treatment"],
        quantiles=_quantiles(asked["quantiles"]),
        unit=asked["unit"],
        time=asked["time"],
        covariates=covariates,
        cluster=cluster,
        weight=asked["weight"],
        waves=not asked["no_waves"],
        errors=asked["errors"],
        draws=asked["draws"],
        seed=asked["seed"],
        level=asked["level"],
    )
    answer(ctx, asked, micro, fit)


def _quantiles(text: str) -> list[float]:
    from medfloor.errors import UsageError

    try:
        return [float(one) for one in names_of(text)]
    except ValueError:
        raise UsageError(
            "bad_quantile", f"--quantiles {text!r} is not a list of numbers; write 0.25,0.5,0.75"
        ) from None
