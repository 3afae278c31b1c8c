"""Be `medfloor measure`: one command a measure, each in its own module of this folder."""

from __future__ import annotations

import click

from medfloor.cli.groups import LazyGroup

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


@click.command(
    cls=LazyGroup,
    helps=MEASURES,
    package="medfloor.cli.measure",
    noun="measure",
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
