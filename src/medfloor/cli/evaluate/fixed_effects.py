"""Be `medfloor evaluate fixed-effects`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns, percentiles, read, split_covariates
from medfloor.cli.measure.concentration import names_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--treatment", required=True, metavar="COLUMN,...", help="The policy: 0 and 1, or a dose; several at once."
)
@click.option("--unit", metavar="COLUMN", help="Who is followed: household_id, person_id.")
@click.option("--time", metavar="COLUMN", help="The wave.")
@asks_for_columns("outcome", "covariates", "cluster", "weight", "winsorise", "level")
@click.option(
    "--effects", metavar="COLUMN,...",
    help="What is taken out instead of unit and time: none, or columns; province^wave is one level for each pair.",
)  # fmt: skip
@click.option(
    "--family", type=click.Choice(["linear", "poisson"]), default="linear", show_default=True,
    help="Linear, or Poisson for counts and amounts from 0 (the change of the logarithm of the mean).",
)  # fmt: skip
@click.option(
    "--errors", type=click.Choice(["cluster", "hc1", "iid", "cr2"]),
    help="Default: cluster (by --cluster, else by --unit). cr2: bias-reduced, for few clusters.",
)  # fmt: skip
@click.option(
    "--small-sample", type=click.Choice(["fixest", "full", "none"]), default="fixest", show_default=True,
    help="How errors are enlarged: fixest does not count effects nested in clusters, full (Stata's areg) counts all.",
)  # fmt: skip
@click.option("--keep-singletons", is_flag=True, help="Keep rows that are alone in a level of an effect.")
@click.option("--wild", type=int, metavar="DRAWS", help="Wild cluster bootstrap with so many draws: 999.")
@click.option(
    "--wild-weights", type=click.Choice(["auto", "rademacher", "webb", "mammen"]), default="auto", show_default=True,
    help="--wild: auto takes Webb's six points below 12 clusters, else signs.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="--wild: the same seed gives the same draws.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Compare the same households before and after (双向固定效应).

    What goes with --treatment within each unit, with what changed for all in a wave taken out. With --effects none it
    is ordinary least squares. Where the policy began at different times, also run `medfloor evaluate staggered`.

    \b
    Examples:
      medfloor evaluate fixed-effects panel.csv --outcome poor --treatment covered --unit household_id --time wave \\
        --cluster city
      medfloor evaluate fixed-effects panel.csv --outcome poor --treatment covered --unit household_id --time wave \\
        --cluster province --wild 999 --seed 1 --lang zh
      medfloor evaluate fixed-effects panel.csv --outcome visits --treatment covered --unit person_id --time wave \\
        --family poisson --covariates age,i.sex

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    covariates, numbers, labels = split_covariates(asked["covariates"])
    treatments = names_of(asked["treatment"])
    clusters = names_of(asked["cluster"])
    effects = effects_of(asked["effects"])
    parts = [part for one in effects or () for part in one.split("^")]
    micro = read(
        asked,
        numbers=[asked["outcome"], *treatments, *numbers, asked["time"], asked["weight"]],
        labels=[*labels, asked["unit"], *clusters, *parts],
    )
    common: dict[str, Any] = {
        "outcome": asked["outcome"], "unit": asked["unit"], "time": asked["time"], "covariates": covariates,
        "weight": asked["weight"], "effects": effects, "winsorise": percentiles(asked["winsorise"]),
        "level": asked["level"],
    }  # fmt: skip
    if asked["wild"] is not None:
        from medfloor.evaluation.wild import wild_bootstrap

        if len(treatments) != 1 or len(clusters) > 1 or asked["family"] != "linear" or asked["errors"]:
            raise click.UsageError(
                "--wild is for one --treatment, one --cluster, the linear family and no --errors.", ctx
            )
        fit = wild_bootstrap(
            micro.accepted, treatment=treatments[0], cluster=clusters[0] if clusters else None, draws=asked["wild"],
            seed=asked["seed"], weights=asked["wild_weights"], **common,
        )  # fmt: skip
    else:
        from medfloor.evaluation.fixed_effects import two_way_fixed_effects

        fit = two_way_fixed_effects(
            micro.accepted, treatment=treatments, cluster=clusters or None, family=asked["family"],
            errors=asked["errors"], small_sample=asked["small_sample"], keep_singletons=asked["keep_singletons"],
            **common,
        )  # fmt: skip
    answer(ctx, asked, micro, fit)


def effects_of(text: str | None) -> list[str] | None:
    """Read --effects: None for unit and time, `none` for no effects.

    >>> effects_of(None), effects_of("none"), effects_of("household_id, province^wave")
    (None, [], ['household_id', 'province^wave'])
    """
    if text is None:
        return None
    return [] if text.strip().lower() == "none" else names_of(text)
