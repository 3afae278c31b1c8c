"""Be `medfloor evaluate match`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns, read, split_covariates


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--unit", metavar="COLUMN", help="With --time: match in a base wave, then compare before and after.")
@click.option("--time", metavar="COLUMN", help="The wave.")
@click.option("--base", type=float, metavar="WAVE", help="--unit: the wave in which units are matched; default: first.")
@click.option("--controls", metavar="COLUMN,...", help="--unit: covariates that change, held fixed in all waves.")
@asks_for_columns("outcome", "treatment", "covariates", "cluster", "level")
@click.option(
    "--method", type=click.Choice(["nearest", "weights"]), default="nearest", show_default=True,
    help="Nearest neighbours, or weights from the propensity score.",
)  # fmt: skip
@click.option(
    "--estimand", type=click.Choice(["att", "ate"]), default="att", show_default=True,
    help="The mean effect on the treated, or on all.",
)  # fmt: skip
@click.option("--neighbours", type=int, default=1, show_default=True, help="How many matches each row gets.")
@click.option("--without-replacement", is_flag=True, help="A control serves once.")
@click.option(
    "--ties", type=click.Choice(["all", "order"]),
    help="Everyone no farther than the last neighbour counts, or just so many. Default: all; with --unit order.",
)  # fmt: skip
@click.option(
    "--order", type=click.Choice(["largest", "smallest", "data"]), default="largest", show_default=True,
    help="--without-replacement: who chooses first, by the score.",
)  # fmt: skip
@click.option(
    "--distance", type=click.Choice(["score", "logit", "mahalanobis"]), default="score", show_default=True,
    help="Distance in the propensity score, in its logit, or of the covariates.",
)  # fmt: skip
@click.option(
    "--caliper",
    metavar="NUMBER|none",
    help="The farthest match, in standard deviations. Default: none; with --unit 0.2.",
)
@click.option(
    "--common-support/--no-common-support", default=None,
    help="Leave out rows whose score no one on the other side reaches. Default: no; with --unit yes.",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Compare the treated with controls who are alike (倾向得分匹配, PSM-DID).

    The propensity score is a logit of --treatment on --covariates. With --unit and --time, units are matched in a base
    wave and then compared before and after by two-way fixed effects (matched difference-in-differences).

    \b
    Examples:
      medfloor evaluate match people.csv --outcome oop --treatment insured --covariates age,i.sex,income
      medfloor evaluate match people.csv --outcome oop --treatment insured --covariates age,i.sex,income \\
        --without-replacement --caliper 0.2 --figure balance.svg --lang zh
      medfloor evaluate match panel.csv --outcome poor --treatment covered --covariates age,size,income \\
        --unit household_id --time wave --cluster city

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    covariates, numbers, labels = split_covariates(asked["covariates"])
    controls, more_numbers, more_labels = split_covariates(asked["controls"])
    if (asked["unit"] is None) != (asked["time"] is None):
        raise click.UsageError("--unit and --time go together: give both, or neither.", ctx)
    if asked["unit"] is None and (asked["base"] is not None or controls):
        raise click.UsageError("--base and --controls need --unit and --time.", ctx)
    if asked["unit"] and (asked["method"] != "nearest" or asked["estimand"] != "att"):
        raise click.UsageError("With --unit, only nearest neighbours and the effect on the treated are offered.", ctx)
    micro = read(
        asked,
        numbers=[asked["outcome"], asked["treatment"], *numbers, *more_numbers, asked["time"]],
        labels=[*labels, *more_labels, asked["unit"], asked["cluster"]],
    )
    common: dict[str, Any] = {
        "outcome": asked["outcome"], "treatment": asked["treatment"], "covariates": covariates,
        "neighbours": asked["neighbours"], "replace": not asked["without_replacement"], "order": asked["order"],
        "distance": asked["distance"], "cluster": asked["cluster"], "level": asked["level"],
    }  # fmt: skip
    common |= {name: asked[name] for name in ("ties", "common_support") if asked[name] is not None}
    if asked["caliper"] is not None:
        common["caliper"] = _caliper(asked["caliper"])
    if asked["unit"]:
        from medfloor.evaluation.matched_did import matched_did

        fit = matched_did(
            micro.accepted, unit=asked["unit"], time=asked["time"], base=asked["base"], controls=controls, **common
        )
    else:
        from medfloor.evaluation.matching import match

        fit = match(micro.accepted, method=asked["method"], estimand=asked["estimand"], **common)
    answer(ctx, asked, micro, fit)


def _caliper(text: str) -> float | None:
    """Read a number, or none. Raises UsageError bad_number."""
    from medfloor.errors import UsageError

    try:
        return None if text == "none" else float(text)
    except ValueError:
        raise UsageError("bad_number", f"--caliper {text!r} is neither a number nor none; write 0.2") from None
