"""Be `medfloor evaluate instrument`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns, percentiles, read, split_covariates
from medfloor.cli.evaluate.fixed_effects import effects_of
from medfloor.cli.measure.concentration import names_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--instruments", metavar="COLUMN,...", help="What moves the treatment and reaches the outcome only by it."
)
@click.option(
    "--others-in", metavar="COLUMN,...",
    help="Instead of --instruments: the mean of the treatment among the others of the same place and wave, "
    "such as community,wave.",
)  # fmt: skip
@click.option("--unit", metavar="COLUMN", help="Who is followed: household_id, person_id.")
@click.option("--time", metavar="COLUMN", help="The wave.")
@asks_for_columns("outcome", "treatment", "covariates", "cluster", "weight", "winsorise", "level")
@click.option("--effects", metavar="COLUMN,...", help="What is taken out instead of unit and time: none, or columns.")
@click.option(
    "--errors", type=click.Choice(["cluster", "hc1", "iid"]), help="Default: cluster (by --cluster, else by --unit)."
)
@click.option(
    "--small-sample", type=click.Choice(["fixest", "full", "none"]), default="fixest", show_default=True,
    help="How errors are enlarged in small samples.",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Estimate with instrumental variables, and test for weak instruments (工具变量).

    Two-stage least squares beside least squares, first stage and reduced form; the effective F, Wu-Hausman, the
    Anderson-Rubin test and set (which hold with weak instruments too), Sargan or Hansen with several instruments.

    \b
    Examples:
      medfloor evaluate instrument panel.csv --outcome poor --treatment enrolled --instruments rolled_out \\
        --unit household_id --time wave --cluster city
      medfloor evaluate instrument panel.csv --outcome poor --treatment enrolled --others-in community,wave \\
        --unit household_id --time wave --cluster city --lang zh

    Exit codes: 0 done, 1 done with warnings (weak instruments among them) or unreadable rows, 2 misuse.
    """
    from medfloor.evaluation.instruments import instrument, leave_one_out

    covariates, numbers, labels = split_covariates(asked["covariates"])
    instruments, others = names_of(asked["instruments"]), names_of(asked["others_in"])
    if bool(instruments) == bool(others):
        raise click.UsageError("Give either --instruments or --others-in.", ctx)
    clusters, effects = names_of(asked["cluster"]), effects_of(asked["effects"])
    parts = [part for one in effects or () for part in one.split("^")]
    micro = read(
        asked,
        numbers=[asked["outcome"], asked["treatment"], *instruments, *numbers, asked["time"], asked["weight"]],
        labels=[*labels, asked["unit"], *clusters, *parts, *others],
    )
    table = micro.accepted
    if others:
        made = leave_one_out(
            table, column=asked["treatment"], within=others, unit=asked["unit"], weight=asked["weight"]
        )
        table, instruments = table.with_columns(made), [made.name]
    fit = instrument(
        table, outcome=asked["outcome"], treatment=asked["treatment"], instruments=instruments, unit=asked["unit"],
        time=asked["time"], covariates=covariates, cluster=clusters or None, weight=asked["weight"], effects=effects,
        errors=asked["errors"], small_sample=asked["small_sample"], winsorise=percentiles(asked["winsorise"]),
        level=asked["level"],
    )  # fmt: skip
    answer(ctx, asked, micro, fit)
