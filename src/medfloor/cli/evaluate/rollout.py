"""Be `medfloor evaluate rollout`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.evaluate.asking import asks_for_panel, check_tables, keep_rejects, read, write_panel

if TYPE_CHECKING:
    import polars as pl


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rollout", required=True, type=click.Path(), help="The roll-out table: where and when a policy began.")
@click.option("--place", metavar="COLUMN", help="Where a row lives: GB/T 2260 codes, or numbers for --crosswalk.")
@click.option("--time", metavar="COLUMN", help="The year of the wave.")
@click.option("--policy", help="Which policy of the roll-out table; needed where it has several.")
@click.option("--scope", type=click.Choice(["NRCMS", "URBMI", "both"]), help="Rows of this scope, and of both.")
@click.option(
    "--crosswalk", type=click.Path(), help="A table with place (or countyid) and admin_code: the survey's numbers."
)
@click.option("--when", metavar="COLUMN", help="The date of the interview, if waves are not years enough.")
@click.option(
    "--codes", type=click.Choice(["gb2260", "any"]), default="gb2260", show_default=True,
    help="any: serial numbers of an anonymous or made-up survey, as they are.",
)  # fmt: skip
@asks_for_panel(required=False)
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Check a table of where and when a policy began, and join it to a panel.

    Without TABLE the roll-out table is only checked. With it, the panel is written to --out with three columns more:
    treated (0 or 1), start (the first wave under the policy; empty for never), years_exposed. A county's start goes
    before its city's, the city's before its province's. The table has the columns policy, admin_level (province, city,
    county), admin_code (GB/T 2260), start_date, document_no, url, scope (NRCMS, URBMI, both), note.

    \b
    Examples:
      medfloor evaluate rollout --rollout rollout.csv
      medfloor evaluate rollout panel.csv --rollout rollout.csv --place county --time wave \\
        --policy critical_illness_insurance --out exposed.parquet
      medfloor evaluate rollout panel.csv --rollout rollout.csv --place countyid --crosswalk county_crosswalk.csv \\
        --time wave --out exposed.csv --lang zh

    Exit codes: 0 done, 1 done with refused rows or warnings, 2 misuse.
    """
    from medfloor.evaluation.rollout import check_rollout, expose, reason_of

    lang = asked["lang"]
    if asked["table"] is not None and not (asked["place"] and asked["time"]):
        raise click.UsageError("With a panel, give --place and --time.", ctx)
    if asked["table"] is None and asked["out"]:
        raise click.UsageError("--out writes the panel; give one, or leave --out away.", ctx)
    check_tables(asked, inputs=[asked["rollout"], asked["crosswalk"]])
    checked = check_rollout(_text_table(asked["rollout"]), codes=asked["codes"])
    refused = [reason_of(row, lang) for row in checked.refused.iter_rows(named=True)]
    told: dict[str, Any] = {"accepted": checked.accepted.height, "refused": refused}
    if asked["table"] is None:
        if asked["form"] == "json":
            told["warnings"] = [one.say(lang) for one in checked.warnings]
            click.echo(json.dumps(told, ensure_ascii=False, indent=1))
        else:
            click.echo(checked.text(lang))
        ctx.exit(1 if refused or checked.warnings else 0)
    # The place is carried as it came: a label of Stata would hide its code.
    micro = read(asked | {"out": None, "figure": None}, numbers=[asked["time"]], labels=[asked["when"]])
    exposure = expose(
        micro.accepted, checked, place=asked["place"], time=asked["time"], policy=asked["policy"],
        scope=asked["scope"], when=asked["when"], codes=asked["codes"],
        crosswalk=_text_table(asked["crosswalk"]) if asked["crosswalk"] else None,
    )  # fmt: skip
    if asked["form"] == "json":
        click.echo(json.dumps(told | exposure.to_dict(lang), ensure_ascii=False, indent=1))
    else:
        click.echo(checked.text(lang))
        click.echo("\n" + exposure.text(lang))
    if asked["out"]:
        write_panel(exposure.frame, asked["out"], [asked["time"], "start"])
    keep_rejects(asked, micro)
    if refused or micro.rejects.height or exposure.warnings:
        ctx.exit(1)


def _text_table(path: str) -> pl.DataFrame:
    """Read a small table with all its columns as text, whatever its format."""
    from medfloor.intake import read_microdata

    first = read_microdata(path).accepted
    return read_microdata(path, labels=first.columns).accepted
