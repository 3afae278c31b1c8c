"""Be `medfloor evaluate mediate`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns, read, split_covariates

_KINDS = ["linear", "logit", "probit"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--mediator", required=True, metavar="COLUMN", help="What the effect may go through: health, spending.")
@click.option("--unit", metavar="COLUMN", help="Who is followed; what lasts in a unit is taken out.")
@click.option("--time", metavar="COLUMN", help="The wave; what changed for all in a wave is taken out.")
@asks_for_columns("outcome", "treatment", "covariates", "cluster", "weight", "level")
@click.option(
    "--approach", type=click.Choice(["product", "quasi-bayes", "bootstrap"]), default="product", show_default=True,
    help="Product of coefficients, or simulated potential outcomes (as R's mediation) in one of two ways.",
)  # fmt: skip
@click.option(
    "--mediator-model", type=click.Choice(_KINDS), default="linear", show_default=True, help="Not for product."
)
@click.option(
    "--outcome-model", type=click.Choice(_KINDS), default="linear", show_default=True, help="Not for product."
)
@click.option(
    "--interaction", is_flag=True, help="The mediator may work differently under the treatment. Not for product."
)
@click.option(
    "--errors", type=click.Choice(["iid", "ml", "hc1", "hc3", "cluster"]),
    help="Of the equations. Default: cluster with --cluster (product: or --unit), else hc1 (product) or iid.",
)  # fmt: skip
@click.option("--draws", type=int, default=1000, show_default=True, help="Draws; product: 0 for the delta method.")
@click.option("--seed", type=int, default=20201123, show_default=True, help="The same seed gives the same draws.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Ask how much of an effect goes through a mediator (中介效应).

    Says total, direct and indirect effect, and how strong a confounder of mediator and outcome would have to be for the
    indirect effect to vanish. It is causal only under sequential ignorability, which no data prove.

    \b
    Examples:
      medfloor evaluate mediate panel.csv --outcome poor --treatment covered --mediator bad_health \\
        --unit person_id --time wave --cluster city
      medfloor evaluate mediate people.csv --outcome poor --treatment insured --mediator catastrophic \\
        --covariates age,i.sex --approach quasi-bayes --mediator-model probit --outcome-model probit --lang zh

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    from medfloor.evaluation.mediation import mediate

    covariates, numbers, labels = split_covariates(asked["covariates"])
    micro = read(
        asked,
        numbers=[asked["outcome"], asked["treatment"], asked["mediator"], *numbers, asked["time"], asked["weight"]],
        labels=[*labels, asked["unit"], asked["cluster"]],
    )
    names = ("outcome", "treatment", "mediator", "unit", "time", "cluster", "weight", "mediator_model", "outcome_model")
    more = ("interaction", "errors", "draws", "seed", "level")
    fit = mediate(
        micro.accepted,
        covariates=covariates,
        approach=asked["approach"].replace("-", "_"),
        **{name: asked[name] for name in (*names, *more)},
    )
    answer(ctx, asked, micro, fit)
