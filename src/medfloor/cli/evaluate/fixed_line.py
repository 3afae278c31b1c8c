"""Be `medfloor evaluate fixed-line`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns
from medfloor.cli.evaluate.staggered import read_adoption


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--income", required=True, metavar="COLUMN", help="Income per head, in prices of one year.")
@asks_for_columns("start", "unit", "time", "covariates", "cluster", "weight", "level")
@click.option("--share", type=float, default=0.5, show_default=True, help="The line as a share of the median.")
@click.option("--base", type=float, metavar="WAVE", help="The wave whose line stands still; default: the first.")
@click.option("--by", metavar="COLUMN", help="Lines apart for each value, such as town and country.")
@click.option("--line-weight", metavar="COLUMN", help="Weight of the medians: persons that a row stands for.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Estimate the effect on relative poverty under lines that the policy cannot move (相对贫困线的内生性).

    Under the line of each wave, under that of a base wave, and under the base line carried forward with those never
    under the policy; by two-way fixed effects and imputation.

    \b
    Examples:
      medfloor evaluate fixed-line panel.csv --income income_per_head --start start_wave --unit household_id \\
        --time wave --cluster city --line-weight persons --by residence

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    from medfloor.evaluation.fixed_line import fixed_line

    micro, common = read_adoption(asked, asked["by"], numbers=[asked["income"], asked["line_weight"]])
    fit = fixed_line(
        micro.accepted, **common, income=asked["income"], share=asked["share"], base=asked["base"], by=asked["by"],
        line_weight=asked["line_weight"],
    )  # fmt: skip
    answer(ctx, asked, micro, fit)
