"""Be `medfloor measure cliff`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.measure.asking import (
    Asked,
    answer,
    asks_for_a_cluster,
    asks_for_a_table,
    check_places,
    percents,
    progress_bar,
    read,
    read_cases,
    refuse_cluster,
    say,
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--of", default="reimbursed", show_default=True, metavar="COLUMN", help="The outcome: a share, an amount, 0 or 1."
)
@click.option(
    "--running", default="income", show_default=True, metavar="COLUMN", help="The running variable that decides."
)
@click.option("--cutoff", type=float, help="Where the line is, in the unit of the running variable.")
@click.option(
    "--sign",
    type=click.Choice(["<", "<=", ">", ">="]),
    default="<",
    show_default=True,
    help="Who is eligible: below the line, or above it.",
)
@click.option("--received", metavar="COLUMN", help="0 or 1: has the status in fact, where not all keep to the line.")
@click.option(
    "--kernel",
    type=click.Choice(["uniform", "triangular", "epanechnikov"]),
    default="uniform",
    show_default=True,
    help="How rows lose weight with their distance from the line.",
)
@click.option(
    "--bandwidth",
    metavar="NUMBER|ik|rot",
    help="How far from the line rows count: a number, ik (Imbens and Kalyanaraman 2012), rot (Fan and Gijbels 1996). "
    "Default: all rows.",
)
@click.option("--order", type=click.IntRange(0, 3), default=1, show_default=True, help="Of the polynomials.")
@click.option(
    "--donut", type=float, default=0.0, show_default=True, help="Leave out rows nearer to the line than this."
)
@click.option("--no-sensitivity", is_flag=True, help="Leave out other bandwidths, kernels and orders.")
@click.option("--no-density", is_flag=True, help="Leave out McCrary's density test.")
@click.option(
    "--notch",
    is_flag=True,
    help="Who is worse off just above the line: needs --running and oop in one unit; with a column benefit also the "
    "effective marginal benefit.",
)
@click.option("--window", type=float, help="--notch: how far from the line rows count. Default: all rows.")
@click.option("--steps", type=click.IntRange(1, 100), default=5, show_default=True, help="--notch: bins on a side.")
@click.option("--status", metavar="COLUMN", help="Compare by status, where there is no running variable.")
@click.option("--eligible", multiple=True, metavar="VALUE", help="--status: a value that counts; may be given again.")
@click.option("--rates", metavar="IN,OUT", help="Only arithmetic, without a table: two rates such as 90%,65%.")
@click.option("--cost", type=float, help="--rates: of a cost.")
@asks_for_a_cluster
@asks_for_a_table(table=False)
@click.argument("table", required=False, type=click.Path())
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Measure the cliff at a status line (悬崖效应).

    Four questions. With --cutoff: how far does an outcome jump at a line in a running variable (regression
    discontinuity)? With --cutoff and --notch: over how much further income is one worse off than just inside the line?
    With --status: how do reimbursement ratios (columns paid and total) differ by status? With --rates and --cost: what
    do two rates mean for one cost?

    \b
    Examples:
      medfloor measure cliff people.csv --of share --running income --cutoff 6000 --bandwidth ik --kernel triangular
      medfloor measure cliff people.csv --notch --running income --cutoff 6000 --window 3000
      medfloor measure cliff stays.csv --status group --eligible dibao --map paid=pay_total
      medfloor measure cliff --rates 90%,65% --cost 10000
    """
    if asked["rates"] is not None or not asked["status"]:
        refuse_cluster(asked, "other questions than --status, which is the one about settlements")
    if asked["rates"] is not None:
        _arithmetic(ctx, asked)
        return
    if asked["table"] is None:
        raise click.UsageError("Missing argument 'TABLE' (only --rates needs none).", ctx)
    if asked["status"]:
        _by_status(ctx, asked)
        return
    if asked["cutoff"] is None:
        raise click.UsageError("Missing option '--cutoff': where the line is; or ask with --status, or --rates.", ctx)
    if asked["notch"]:
        _notch(ctx, asked)
        return
    from medfloor.measures.cliff import cliff

    columns = [asked["of"], asked["running"], *([asked["received"]] if asked["received"] else [])]
    given = read(asked, numbers=[*columns, "size"], required=columns)
    result = cliff(
        given.micro.accepted,
        outcome=asked["of"],
        running=asked["running"],
        cutoff=asked["cutoff"],
        sign=asked["sign"],
        received=asked["received"],
        kernel=asked["kernel"],
        bandwidth=_bandwidth(asked["bandwidth"]),
        order=asked["order"],
        donut=asked["donut"],
        sensitivity=not asked["no_sensitivity"],
        density=not asked["no_density"],
        **given.common,
        progress=progress_bar("replicates"),
    )
    answer(ctx, given, result)


def _bandwidth(text: str | None) -> Any:
    """Read a number or the name of a rule."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _notch(ctx: click.Context, asked: dict[str, Any]) -> None:
    from medfloor.measures.notch import notch

    given: Asked = read(asked, numbers=[asked["running"], "oop", "benefit", "size"], required=[asked["running"], "oop"])
    frame = given.micro.accepted
    result = notch(
        frame,
        running=asked["running"],
        benefit="benefit" if "benefit" in frame.columns else None,
        cutoff=asked["cutoff"],
        sign=asked["sign"],
        window=asked["window"],
        order=asked["order"],
        steps=asked["steps"],
        **given.common,
        progress=progress_bar("replicates"),
    )
    answer(ctx, given, result)


def _by_status(ctx: click.Context, asked: dict[str, Any]) -> None:
    from medfloor.measures.cliff import status_cliff

    if not asked["eligible"]:
        raise click.UsageError("Missing option '--eligible': which value of the status counts as having it.", ctx)
    given = read_cases(
        asked,
        numbers=["paid", "total", "size"],
        labels=[asked["status"]],
        required=["paid", "total", asked["status"]],
    )
    result = status_cliff(
        given.table,
        status=asked["status"],
        eligible=asked["eligible"],
        **given.common,
        progress=progress_bar("replicates"),
    )
    answer(ctx, given, result)


def _arithmetic(ctx: click.Context, asked: dict[str, Any]) -> None:
    from medfloor.measures.cliff import arithmetic_cliff

    rates = percents(asked["rates"]) or []
    if len(rates) != 2 or asked["cost"] is None:
        raise click.UsageError("--rates takes two rates and needs --cost: --rates 90%,65% --cost 10000.", ctx)
    check_places(asked)
    say(asked, arithmetic_cliff(rate_in=rates[0], rate_out=rates[1], cost=asked["cost"]))
