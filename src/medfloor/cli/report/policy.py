"""Be `medfloor report policy`: a brief of what reforms change."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.report.asking import asks_for_a_report, check_outs, day_of, write


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--population", "populations", multiple=True, required=True, metavar="DIR",
    help="A folder with claims, people, households (and spells). Given again: another draw of the same place.",
)  # fmt: skip
@click.option("--baseline", required=True, metavar="NAME[@DATE]|FILE", help="The law as it is, such as cn/beijing.")
@click.option(
    "--baseline-reform", "baseline_reforms", multiple=True, metavar="FILE[+FILE]",
    help="A reform that belongs to the baseline. May be given again.",
)  # fmt: skip
@click.option(
    "--reform", "reforms", multiple=True, required=True, metavar="FILE[+FILE]", help="One scenario; may be given again."
)
@click.option("--year", type=click.IntRange(1900, 2200), help="The year of the claims, where there are several.")
@click.option(
    "--behaviour", type=click.Choice(["none", "stated"]), default="stated", show_default=True,
    help="Whether use responds to its price; no response stands beside it.",
)  # fmt: skip
@click.option("--draws", type=click.IntRange(0, 1000), default=0, show_default=True, help="Draws of stated numbers.")
@click.option("--seed", type=int, default=20201123, show_default=True, help="Of draws and responses.")
@click.option(
    "--line", default="median:0.5", show_default=True, help="Poverty line: yuan a head and year, cn-2010@2020, ..."
)
@click.option("--no-cliffs", is_flag=True, help="Do not look for cliffs, which takes seconds for each law.")
@asks_for_a_report
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Print a brief of reforms: what they change, who pays, who gains, what protection costs, what remains doubtful.

    `medfloor simulate` settles the people in the same way and writes every table; the brief is for who decides.

    \b
    Example:
      medfloor report policy --population county --baseline county/policy.yaml \\
        --reform examples/reforms/oop_cap.yaml --date 2026-03-01 --out brief.pdf

    Exit codes: 0 done, 1 done but claims could not be settled or households were set aside, 2 nothing could be done.
    """
    from medfloor.measures.lines import read_line
    from medfloor.reports.policy_brief import policy_brief
    from medfloor.simulation import read_population, simulate

    files = [one for text in (*asked["reforms"], *asked["baseline_reforms"]) for one in text.split("+")]
    check_outs(asked["outs"], [asked["baseline"], *files])
    found = simulate(
        [read_population(one, year=asked["year"]) for one in asked["populations"]],
        asked["baseline"], asked["reforms"], baseline_reforms=asked["baseline_reforms"], behaviour=asked["behaviour"],
        draws=asked["draws"], seed=asked["seed"], line=read_line(asked["line"]) or asked["line"],
        cliffs=not asked["no_cliffs"], most=0,
    )  # fmt: skip
    write(policy_brief(found, made=day_of(asked["made"]), lang=asked["lang"]), asked["outs"], asked["lang"])
    ctx.exit(1 if found.rejects is not None or any(one.key == "simulation.refused" for one in found.notes) else 0)
