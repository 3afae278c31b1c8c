"""Be `medfloor evaluate`: one command a method, each in its own module of this folder."""

from __future__ import annotations

import click

from medfloor.cli.groups import LazyGroup

METHODS: dict[str, str] = {
    "panel": "Look a panel over: waves, singletons, switchers, balance.",
    "rollout": "Check a table of where and when a policy began, and join it to a panel.",
    "fixed-effects": "Two-way fixed effects: linear, Poisson; clusters, wild bootstrap.",
    "instrument": "Instrumental variables, with tests for weak instruments.",
    "binary": "Logit and probit: conditional, pooled, correlated random effects, ordered.",
    "quantile": "Quantile regression.",
    "event-study": "Before and after, wave by wave, with a joint test of earlier trends.",
    "staggered": "Staggered adoption by several estimators, beside two-way fixed effects.",
    "bacon": "Which comparisons two-way fixed effects are made of.",
    "match": "Matching on the propensity score, also matched difference-in-differences.",
    "mediate": "How much of an effect goes through a mediator.",
    "discontinuity": "The jump at an eligibility line.",
    "placebo": "Permute the timing of a policy: how often would chance do as much?",
    "groups": "An effect by group, corrected for looking many times.",
    "fixed-line": "Relative poverty under a line that the policy cannot move.",
}
"""Method -> its short help. The command is `command` in the module of that name (- becomes _)."""


@click.command(
    cls=LazyGroup,
    helps=METHODS,
    package="medfloor.cli.evaluate",
    noun="method",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Say whether a policy worked, on a panel of households or people.

    TABLE is a table with one row a unit and wave: CSV, Parquet, Stata, SPSS or SAS. --outcome, --treatment, --unit and
    --time name its columns. The first run of a method takes some seconds more, while estimators are compiled.

    \b
    Examples:
      medfloor evaluate panel panel.csv --unit household_id --time wave --treatment covered
      medfloor evaluate fixed-effects panel.csv --outcome poor --treatment covered --unit household_id --time wave \\
        --cluster city
      medfloor evaluate staggered panel.csv --outcome ln_income --start start_wave --unit household_id --time wave \\
        --cluster city --figure event.svg --lang zh
    """
