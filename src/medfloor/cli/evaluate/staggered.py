"""Be `medfloor evaluate staggered`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns, percentiles, read, split_covariates
from medfloor.cli.measure.concentration import names_of

if TYPE_CHECKING:
    from medfloor.intake import Microdata


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@asks_for_columns("outcome", "start", "unit", "time", "covariates", "cluster", "weight", "winsorise", "level")
@click.option(
    "--estimators", default="callaway_santanna,sun_abraham,imputation", show_default=True, metavar="NAME,...",
    help="Also gardner and stacked. Two-way fixed effects always stand beside them.",
)  # fmt: skip
@click.option(
    "--control", type=click.Choice(["never", "not_yet"]), default="never", show_default=True,
    help="Held against those never under the policy, or also against those not yet under it.",
)  # fmt: skip
@click.option(
    "--anticipation", type=int, default=0, show_default=True, help="Waves before the start that may show effects."
)
@click.option(
    "--covariate-method", type=click.Choice(["dr", "reg", "ipw"]), default="dr", show_default=True,
    help="Callaway-Sant'Anna: doubly robust, regression, or weighting by the propensity score.",
)  # fmt: skip
@click.option(
    "--by", default="event", show_default=True, metavar="NAME,...",
    help="How effects are told apart: event (waves since the start), cohort (start), wave, cells (start and wave).",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Estimate the effect of a policy that came to different places in different waves (交错双重差分).

    Several estimators beside two-way fixed effects, with a warning where they differ in sign or by more than two
    errors, or where two-way fixed effects give treated rows negative weights. Name the place that decides as --cluster.

    \b
    Examples:
      medfloor evaluate staggered panel.csv --outcome ln_income --start start_wave --unit household_id --time wave \\
        --cluster city --figure event.svg
      medfloor evaluate staggered panel.csv --outcome poor --start start_wave --unit household_id --time wave \\
        --cluster city --control not_yet --by event,cohort,wave,cells --out staggered.xlsx --lang zh

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    from medfloor.evaluation.staggered import staggered

    micro, common = read_adoption(asked)
    fit = staggered(
        micro.accepted, **common, estimators=names_of(asked["estimators"]), control=asked["control"],
        anticipation=asked["anticipation"], covariate_method=asked["covariate_method"], by=names_of(asked["by"]),
    )  # fmt: skip
    answer(ctx, asked, micro, fit)


def read_adoption(
    asked: dict[str, Any], *labels: str | None, numbers: Sequence[str | None] = ()
) -> tuple[Microdata, dict[str, Any]]:
    """Read the table of a staggered policy with further columns, and give what all methods on it are called with.

    Raises UsageError one_column where --cluster names several, and what `read` raises.
    """
    covariates, plain, categories = split_covariates(asked.get("covariates"))
    clusters = names_of(asked.get("cluster"))
    if len(clusters) > 1:
        from medfloor.errors import UsageError

        raise UsageError("one_column", f"--cluster {asked['cluster']!r}: name one column here")
    cluster = clusters[0] if clusters else None
    micro = read(
        asked, numbers=[asked.get("outcome"), asked["start"], *plain, *numbers, asked["time"], asked["weight"]],
        labels=[*categories, asked["unit"], cluster, *labels],
    )  # fmt: skip
    common: dict[str, Any] = {name: asked[name] for name in ("start", "unit", "time", "weight", "level")}
    if "outcome" in asked:
        common["outcome"] = asked["outcome"]
    if "covariates" in asked:
        common["covariates"] = covariates
    if "winsorise" in asked:
        common["winsorise"] = percentiles(asked["winsorise"])
    return micro, common | {"cluster": cluster}
