"""Be `medfloor evaluate binary`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns, read, split_covariates
from medfloor.cli.measure.concentration import names_of

_MODELS = (
    "lpm", "conditional-logit", "logit", "probit", "cre-logit", "cre-probit", "ordered-logit", "ordered-probit",
)  # fmt: skip


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--model", type=click.Choice(_MODELS), default="logit", show_default=True,
    help="lpm: least squares with effects of unit and wave; conditional: within units whose outcome changes; cre: with "
    "unit means beside it; ordered: a few ordered numbers.",
)  # fmt: skip
@click.option("--unit", metavar="COLUMN", help="Who is followed: household_id, person_id.")
@click.option("--time", metavar="COLUMN", help="The wave; each but the first has a column of its own.")
@click.option("--no-waves", is_flag=True, help="No columns for waves.")
@click.option("--ame", is_flag=True, help="Also average marginal effects: percentage points instead of log odds.")
@click.option(
    "--errors", type=click.Choice(["cluster", "robust", "iid"]),
    help="Where errors come from; default: cluster where there is one or a unit, else robust.",
)  # fmt: skip
@asks_for_columns("outcome", "treatment", "covariates", "cluster", "weight", "level")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Explain an outcome of yes and no, or a few ordered numbers.

    Coefficients of logits are log odds; --ame says them in percentage points. A conditional logit holds everything
    fixed that lasts in a unit, and is of the units whose outcome changes alone.

    \b
    Examples:
      medfloor evaluate binary panel.csv --outcome ill --treatment covered --unit person_id --time wave \\
        --model conditional-logit --cluster city
      medfloor evaluate binary panel.csv --outcome poor --treatment covered --covariates age,i.region \\
        --unit household_id --time wave --model cre-logit --ame --out poor.html --lang zh
      medfloor evaluate binary panel.csv --outcome health --treatment covered --model ordered-probit --ame
    """
    from medfloor.evaluation import binary

    covariates, numbers, categories = split_covariates(asked["covariates"])
    cluster = one_cluster(asked["cluster"])
    micro = read(
        asked,
        numbers=[asked["outcome"], asked["treatment"], *numbers, asked["time"], asked["weight"]],
        labels=[*categories, asked["unit"], cluster],
    )
    fit = binary(
        micro.accepted,
        outcome=asked["outcome"],
        treatment=asked["treatment"],
        model=asked["model"].replace("-", "_"),
        unit=asked["unit"],
        time=asked["time"],
        covariates=covariates,
        cluster=cluster,
        weight=asked["weight"],
        waves=not asked["no_waves"],
        marginal=asked["ame"],
        errors=asked["errors"],
        level=asked["level"],
    )
    answer(ctx, asked, micro, fit)


def one_cluster(text: str | None) -> str | None:
    """Read --cluster where only one column can be given. Raises UsageError bad_errors.

    >>> one_cluster("city"), one_cluster(None)
    ('city', None)
    """
    from medfloor.errors import UsageError

    given = names_of(text)
    if len(given) > 1:
        raise UsageError("bad_errors", f"--cluster {text!r}: here rows go together by one column only; name one")
    return given[0] if given else None
