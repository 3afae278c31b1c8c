"""Be `medfloor household`: one family, all tiers, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from medfloor.simulation.household import Family


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--policy", required=True, metavar="NAME[@DATE]|FILE", help="The law, such as cn/beijing@2024-01-01.")
@click.option(
    "--baseline-reform", "baseline_reforms", multiple=True, metavar="FILE[+FILE]",
    help="A reform that belongs to the baseline: laid under it and under every reform. May be given again.",
)  # fmt: skip
@click.option("--reform", "reforms", multiple=True, metavar="FILE[+FILE]", help="A reform; may be given again.")
@click.option(
    "--vary",
    type=click.Choice(["bill", "income"]),
    default="bill",
    show_default=True,
    help="What runs.",
)
@click.option("--low", type=float, default=0.0, show_default=True, help="The lowest bill or income, yuan.")
@click.option("--high", type=float, help="The highest; default: a bill of 1,000,000, an income of 200,000.")
@click.option("--points", type=click.IntRange(2, 10001), default=201, show_default=True, help="How many amounts.")
@click.option("--size", type=click.IntRange(1), default=3, show_default=True, help="People in the household.")
@click.option("--age", type=click.IntRange(0, 120), default=45, show_default=True, help="Of the patient.")
@click.option("--sex", type=click.Choice(["male", "female"]), help="Of the patient.")
@click.option("--residence", type=click.Choice(["urban", "rural"]), help="Of the family.")
@click.option("--status", multiple=True, metavar="GROUP", help="A status held all year, such as dibao.")
@click.option(
    "--status-line", "lines", multiple=True, metavar="GROUP=YUAN", help="Below so much a head and year: this status."
)
@click.option(
    "--care",
    type=click.Choice(["inpatient", "outpatient", "special_outpatient", "two_disease"]),
    default="inpatient",
    show_default=True,
    help="Kind of care.",
)
@click.option(
    "--level", type=click.Choice(["primary", "1", "2", "3"]), default="3", show_default=True, help="Facility."
)
@click.option("--area", type=click.Choice(["local", "province", "outside"]), default="local", show_default=True)
@click.option(
    "--referral",
    type=click.Choice(["regular", "referred", "unreferred", "emergency"]),
    default="regular",
    show_default=True,
)
@click.option("--in-scope", default="0.8", show_default=True, metavar="SHARE", help="Of the bill, in the scope.")
@click.option("--bill", type=float, default=50_000.0, show_default=True, help="The bill where the income runs, yuan.")
@click.option("--income", type=float, default=60_000.0, show_default=True, help="The income where the bill runs, yuan.")
@click.option("--day", metavar="DATE", help="The day of the care; default: that of the pinned policy, or 2024-06-01.")
@click.option("--out", type=click.Path(), help="Also write every amount: .xlsx, .csv, .parquet or .json.")
@click.option("--figure", type=click.Path(), help="Also draw it: .svg, .png, .pdf or .json (Vega-Lite).")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
def command(**asked: Any) -> None:
    """Follow one family through all tiers as its bill or its income changes, before and after reforms.

    Told are what the family bears, how much of one more yuan it bears, and the cliffs: amounts at which one fen more of
    the bill, or one yuan more of income, makes a jump.

    \b
    Examples:
      medfloor household --policy cn/beijing@2024-01-01 --reform examples/reforms/oop_cap.yaml
      medfloor household --policy cn/neimenggu/ulanqab --high 60000 --points 13 --figure curve.svg
      medfloor household --policy cn/beijing@2024-01-01 --vary income --bill 80000 \\
        --status-line dibao=17000 --status-line dibao_marginal=25000 --lang zh

    Exit codes: 0 done, 2 nothing could be done.
    """
    from medfloor.simulation.household import household

    _check_places(asked)
    high = asked["high"] if asked["high"] is not None else 1_000_000.0 if asked["vary"] == "bill" else 200_000.0
    curve = household(
        _family(asked), asked["policy"], asked["reforms"], baseline_reforms=asked["baseline_reforms"],
        vary=asked["vary"], low=asked["low"], high=high, points=asked["points"],
    )  # fmt: skip
    click.echo(curve.text(asked["lang"]))
    if asked["out"]:
        from medfloor.reports.saving import save

        save(curve, asked["out"], asked["lang"])
    if asked["figure"]:
        from medfloor.reports.family import write_family_figure

        write_family_figure(curve, asked["figure"], asked["lang"])


def _family(asked: dict[str, Any]) -> Family:
    from datetime import date

    from medfloor.cli.measure.asking import percents
    from medfloor.errors import UsageError
    from medfloor.simulation.household import Family

    share = percents(asked["in_scope"]) or []
    if len(share) != 1:
        raise UsageError("bad_share", "--in-scope is one share, such as 0.8")
    pinned = asked["policy"].rpartition("@")[2].partition("+")[0] if "@" in asked["policy"] else None
    text = asked["day"] or pinned or "2024-06-01"
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError("bad_date", f"{text!r} is not a date; write --day 2024-06-01") from None
    return Family(
        size=asked["size"], age=asked["age"], sex=asked["sex"], residence=asked["residence"],
        status=tuple(asked["status"]), care_type=asked["care"], level=asked["level"], area=asked["area"],
        referral=asked["referral"], in_scope=share[0], bill=asked["bill"], income=asked["income"],
        lines=tuple(_status_line(one) for one in asked["lines"]), day=day,
    )  # fmt: skip


def _status_line(text: str) -> tuple[str, float]:
    from medfloor.errors import UsageError

    name, _, amount = text.partition("=")
    try:
        return name.strip(), float(amount)
    except ValueError:
        raise UsageError("bad_line", f"--status-line {text!r} is not GROUP=YUAN; write dibao=17000") from None


def _check_places(asked: dict[str, Any]) -> None:
    """Refuse outputs that cannot be written before any work is done."""
    from pathlib import Path

    from medfloor.errors import UsageError
    from medfloor.intake.files import check_outputs

    for option, known in (
        ("out", (".xlsx", ".csv", ".parquet", ".json")),
        ("figure", (".svg", ".png", ".pdf", ".json")),
    ):
        path = asked[option]
        if path and Path(path).suffix.lower() not in known:
            raise UsageError("unknown_format", f"--{option} {path} ends in none of {', '.join(known)}. Rename it.")
    inputs = [
        *(one for text in (*asked["reforms"], *asked["baseline_reforms"]) for one in text.split("+")),
        asked["policy"],
    ]
    check_outputs([asked["out"], asked["figure"]], inputs, any_format=True)
