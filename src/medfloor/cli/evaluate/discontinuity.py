"""Be `medfloor evaluate discontinuity`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns, read, split_covariates


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--running", required=True, metavar="COLUMN", help="What decides the status: income, a score.")
@click.option("--cutoff", type=float, default=0.0, show_default=True, help="Where the line is, in its unit.")
@click.option(
    "--sign", type=click.Choice(["<", "<=", ">", ">="]), default="<", show_default=True,
    help="Who is eligible: below the line, or above it.",
)  # fmt: skip
@click.option("--treatment", metavar="COLUMN", help="0 or 1: has it in fact, where not all keep to the line.")
@asks_for_columns("outcome", "covariates", "cluster", "weight", "level")
@click.option(
    "--kernel", type=click.Choice(["triangular", "uniform", "epanechnikov"]), default="triangular", show_default=True,
    help="How rows lose weight with their distance from the line.",
)  # fmt: skip
@click.option(
    "--bandwidth", metavar="NUMBER|RULE",
    help="How far from the line rows count: a number, ik (the default), rot, all; with rdrobust mserd (the default), "
    "cerrd, ...",
)  # fmt: skip
@click.option("--bias-bandwidth", type=float, help="--engine rdrobust: the bandwidth of the bias.")
@click.option("--order", type=click.IntRange(0, 3), default=1, show_default=True, help="Of the polynomials.")
@click.option(
    "--donut", type=float, default=0.0, show_default=True, help="Leave out rows nearer to the line than this."
)
@click.option(
    "--engine", type=click.Choice(["plain", "rdrobust"]), default="plain", show_default=True,
    help="Our local polynomials, or rdrobust with bias-corrected intervals (extra: medfloor[discontinuity], GPL-3).",
)  # fmt: skip
@click.option("--errors", type=click.Choice(["nn", "hc0", "hc1", "hc2", "hc3"]), help="--engine rdrobust; default: nn.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Estimate the jump at an eligibility line (断点回归).

    --covariates name columns that the line cannot have moved: their jumps are tested, not held fixed. Jumps where there
    is no line, other bandwidths, and McCrary's test of the density are always shown.

    \b
    Examples:
      medfloor evaluate discontinuity people.csv --outcome share --running income --cutoff 6000 --covariates age,size
      medfloor evaluate discontinuity people.csv --outcome oop --running income --cutoff 6000 --treatment dibao \\
        --engine rdrobust --figure line.svg --lang zh

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    from medfloor.evaluation.discontinuity import discontinuity

    covariates, numbers, labels = split_covariates(asked["covariates"])
    micro = read(
        asked,
        numbers=[asked["outcome"], asked["running"], asked["treatment"], *numbers, asked["weight"]],
        labels=[*labels, asked["cluster"]],
    )
    names = ("outcome", "running", "cutoff", "sign", "treatment", "kernel", "bias_bandwidth", "order", "donut")
    more = ("cluster", "weight", "engine", "errors", "level")
    fit = discontinuity(
        micro.accepted,
        covariates=covariates,
        bandwidth=_bandwidth(asked["bandwidth"]),
        **{name: asked[name] for name in (*names, *more)},
    )
    answer(ctx, asked, micro, fit)


def _bandwidth(text: str | None) -> float | str | None:
    """Read a number or the name of a rule."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
