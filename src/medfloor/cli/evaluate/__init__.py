"""Be `medfloor evaluate`: one command a method, each in its own module of this folder."""

from __future__ import annotations

import importlib

import click

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


class Methods(click.Group):
    """Be a group whose methods are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the methods."""
        return list(METHODS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a method; fixed_effects is fixed-effects too."""
        name = cmd_name.replace("_", "-")
        if name not in METHODS:
            return None
        module = importlib.import_module(f"medfloor.cli.evaluate.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the method, and name the nearest one for a mistyped name."""
        if args and args[0].replace("_", "-") not in METHODS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], METHODS, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(METHODS)}."
            ctx.fail(f"no such method {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of methods from their short helps, importing none."""
        with formatter.section("Methods"):
            formatter.write_dl(list(METHODS.items()))


@click.command(cls=Methods, context_settings={"help_option_names": ["-h", "--help"]})
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
