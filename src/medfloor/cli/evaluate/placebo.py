"""Be `medfloor evaluate placebo`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns
from medfloor.cli.evaluate.staggered import read_adoption


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@asks_for_columns("outcome", "start", "unit", "time", "covariates", "cluster", "weight", "winsorise", "level")
@click.option("--within", metavar="COLUMN", help="Permute only among clusters of one region, such as a province.")
@click.option("--permutations", type=int, default=1000, show_default=True, help="How many.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same permutations.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Permute which place began when, and see how often chance alone would do as much (安慰剂检验).

    Starts are permuted over --cluster (over units without it); all units of a cluster share one start.

    \b
    Examples:
      medfloor evaluate placebo panel.csv --outcome poor --start start_wave --unit household_id --time wave \\
        --cluster city --permutations 1000 --seed 1 --figure placebo.svg

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    from medfloor.evaluation.placebo import placebo

    micro, common = read_adoption(asked, asked["within"])
    fit = placebo(
        micro.accepted, **common, within=asked["within"], permutations=asked["permutations"], seed=asked["seed"]
    )
    answer(ctx, asked, micro, fit)
