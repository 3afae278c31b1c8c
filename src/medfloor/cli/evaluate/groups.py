"""Be `medfloor evaluate groups`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns, percentiles, read, split_covariates
from medfloor.cli.measure.concentration import names_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@asks_for_columns(
    "outcome", "treatment", "unit", "time", "covariates", "cluster", "weight", "winsorise", "level"
)  # fmt: skip
@click.option("--by", required=True, metavar="COLUMN,...", help="Columns of groups, from before the policy.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Estimate an effect in each group, and correct for looking many times (分组效应).

    \b
    Examples:
      medfloor evaluate groups panel.csv --outcome poor --treatment covered --by region,income_third \\
        --unit household_id --time wave --cluster city

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    from medfloor.evaluation.groups import by_group

    covariates, numbers, categories = split_covariates(asked["covariates"])
    clusters = names_of(asked["cluster"])
    if len(clusters) > 1:
        from medfloor.errors import UsageError

        raise UsageError("one_column", f"--cluster {asked['cluster']!r}: name one column here")
    by = names_of(asked["by"])
    micro = read(
        asked, numbers=[asked["outcome"], asked["treatment"], *numbers, asked["time"], asked["weight"]],
        labels=[*categories, *by, asked["unit"], *clusters],
    )  # fmt: skip
    fit = by_group(
        micro.accepted, outcome=asked["outcome"], treatment=asked["treatment"], by=by, unit=asked["unit"],
        time=asked["time"], covariates=covariates, cluster=clusters[0] if clusters else None, weight=asked["weight"],
        winsorise=percentiles(asked["winsorise"]), level=asked["level"],
    )  # fmt: skip
    answer(ctx, asked, micro, fit)
