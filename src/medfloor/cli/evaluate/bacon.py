"""Be `medfloor evaluate bacon`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns
from medfloor.cli.evaluate.staggered import read_adoption


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@asks_for_columns("outcome", "start", "unit", "time", "cluster", "weight", "winsorise", "level")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Show which comparisons two-way fixed effects are made of (培根分解).

    Units that miss a wave are left out: the identity needs a balanced panel.

    \b
    Examples:
      medfloor evaluate bacon panel.csv --outcome ln_income --start start_wave --unit household_id --time wave \\
        --cluster city --figure bacon.svg

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    from medfloor.evaluation.bacon import bacon

    micro, common = read_adoption(asked)
    answer(ctx, asked, micro, bacon(micro.accepted, **common))
