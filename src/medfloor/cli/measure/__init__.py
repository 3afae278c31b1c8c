"""Be `medfloor measure`: one command a measure, each in its own module of this folder."""

from __future__ import annotations

import importlib

import click

MEASURES: dict[str, str] = {
    "catastrophic": "Count catastrophic health spending, under five definitions.",
    "impoverishing": "Count who is poor before and after paying for health.",
    "poverty": "Poverty, inequality and vulnerability.",
    "concentration": "Concentration curves and indices, decomposition, horizontal inequity.",
    "progressivity": "Kakwani, Reynolds-Smolensky, redistributive effect.",
    "incidence": "Who gets the benefit: by quantile, and net transfers by group and place.",
    "burden": "Burden reduction by tier, disease relative risk, the safe zone.",
    "reimbursement": "Reimbursement ratios, own payments, rates of illness, by group.",
    "cliff": "The jump at a status line.",
    "resources": "How doctors, beds and spending lie between places.",
    "consistency": "Can a printed percentage be k of n?",
    "by-tier": "Any measure before insurance and after each tier, from settlements.",
    "survey": "Means, totals, proportions, ratios and quantiles with survey errors.",
}
"""Measure -> its short help. The command is `command` in the module of that name (- becomes _)."""


class Measures(click.Group):
    """Be a group whose measures are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the measures."""
        return list(MEASURES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a measure; by_tier is by-tier too."""
        name = cmd_name.replace("_", "-")
        if name not in MEASURES:
            return None
        module = importlib.import_module(f"medfloor.cli.measure.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the measure, and name the nearest one for a mistyped name."""
        if args and args[0].replace("_", "-") not in MEASURES and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], MEASURES, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(MEASURES)}."
            ctx.fail(f"no such measure {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of measures from their short helps, importing none."""
        with formatter.section("Measures"):
            formatter.write_dl(list(MEASURES.items()))


@click.command(cls=Measures, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Measure financial protection and equity, with survey errors.

    TABLE is a table of households or people: CSV, Parquet, Stata, SPSS or SAS. Its columns are those of the data
    contract (oop, consumption, food, size, income, weight, stratum, psu, ...), or are mapped with --map.

    \b
    Examples:
      medfloor measure catastrophic survey.dta --map oop=med,consumption=totexp,food=foodexp
      medfloor measure poverty households.parquet --line cn-2010 --year 2018 --by residence
      medfloor measure concentration survey.csv --of oop --rank consumption --figure curve.svg --lang zh
    """
