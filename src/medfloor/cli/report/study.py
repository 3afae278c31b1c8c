"""Be `medfloor report study`: a study as it would be printed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from medfloor.cli.report.asking import asks_for_a_report, check_outs, day_of, write
from medfloor.cli.study import settings_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.option("--data", required=True, type=click.Path(), metavar="DIR", help="The folder with the files.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of permutations and bootstraps.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="An option of the study; `medfloor study describe`."
)
@click.option(
    "--few", type=click.IntRange(2, 1000), default=5, show_default=True, help="Hide cells of fewer people or cases."
)
@asks_for_a_report
@click.pass_context
def command(
    ctx: click.Context, name: str, data: str, seed: int, settings: Sequence[str], few: int, outs: Sequence[str],
    made: datetime | None, lang: str,
) -> None:  # fmt: skip
    """Run a study and print it as a paper: numbered sections, tables and figures, limits and sources.

    The workbook has the full numbers of every table; PDF and HTML print them as a paper does. Rows of fewer people or
    cases than --few are hidden in all three; `medfloor study run` writes them, for who may see them.

    \b
    Example:
      medfloor report study county-ledger --data county --date 2026-03-01 --out study.pdf

    Exit codes: 0 done, 1 done with warnings or parts that could not be done, 2 nothing could be done.
    """
    from medfloor.studies import run_study
    from medfloor.studies.pages import study_workbook
    from medfloor.studies.paper import study_paper
    from medfloor.studies.small_cells import without_few

    check_outs(outs)
    study = without_few(run_study(name, data, seed=seed, **settings_of(settings)), few)
    paper = study_paper(study, made=day_of(made), lang=lang)
    write(paper, outs, lang, xlsx=lambda: study_workbook(study, lang))
    if study.findings:
        ctx.exit(1)
