"""Be `medfloor evaluate panel`."""

from __future__ import annotations

import json
from typing import Any

import click

from medfloor.cli.evaluate.asking import asks_for_panel, check_tables, keep_rejects, read, write_panel
from medfloor.cli.measure.concentration import names_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--unit", required=True, metavar="COLUMN", help="Who is followed: household_id, person_id.")
@click.option("--time", required=True, metavar="COLUMN", help="The wave.")
@click.option("--treatment", metavar="COLUMN", help="The policy: 0 and 1, or a dose.")
@click.option("--needed", metavar="COLUMN,...", help="Leave out rows that lack one of these, and count them.")
@click.option("--balanced", is_flag=True, help="Keep units that are in all waves.")
@click.option("--drop-singletons", is_flag=True, help="Leave out units with one wave only.")
@asks_for_panel()
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Look a panel over: waves, singletons, switchers, balance.

    With --out the rows kept are written with two columns more: wave_index (1, 2, ... in the order of the waves) and
    cohort (the first wave in which the unit is treated; empty for never).

    \b
    Examples:
      medfloor evaluate panel panel.csv --unit household_id --time wave --treatment covered
      medfloor evaluate panel panel.csv --unit household_id --time wave --balanced --out balanced.parquet --lang zh

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    from medfloor.evaluation.panel import look_over

    check_tables(asked)
    needed = names_of(asked["needed"])
    # The unit is carried as it came, so that what is written can be joined with the file.
    micro = read(asked | {"out": None, "figure": None}, numbers=[asked["time"], asked["treatment"]])
    panel = look_over(
        micro.accepted, unit=asked["unit"], time=asked["time"], treatment=asked["treatment"], needed=needed,
        balanced=asked["balanced"], drop_singletons=asked["drop_singletons"],
    )  # fmt: skip
    if asked["form"] == "json":
        click.echo(json.dumps(panel.to_dict(asked["lang"]), ensure_ascii=False, indent=1))
    else:
        click.echo(panel.text(asked["lang"]))
    if asked["out"]:
        write_panel(panel.frame, asked["out"], [asked["time"], asked["treatment"], "cohort"])
    keep_rejects(asked, micro)
    if micro.rejects.height or panel.warnings:
        ctx.exit(1)
