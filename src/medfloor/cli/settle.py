"""Be `medfloor settle`: a file of claims in, settlements out."""

from __future__ import annotations

import sys
from typing import Any

import click

from medfloor.cli.summary import say_summary


def memory_of(text: str) -> int:
    """Read an amount of memory such as 4GB, 512MB or 1.5G as bytes.

    >>> memory_of("4GB"), memory_of("512 mb")
    (4000000000, 512000000)
    """
    import re

    from medfloor.errors import UsageError

    found = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,12})?)\s*([kmgt]?)i?b?\s*", text.lower())
    scale = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
    if not found or float(found[1]) == 0:
        raise UsageError(
            "bad_memory", f"--limit-memory {text!r} is not an amount of memory; write it as in 4GB or 500MB"
        )
    return int(float(found[1]) * scale[found[2]])


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("claims", type=click.Path())
@click.option("--people", required=True, type=click.Path(), help="Who they are: CSV or Parquet, one row a person.")
@click.option("--spells", type=click.Path(), help="Dated statuses (dibao, tekun, ...), one row an interval.")
@click.option(
    "--policy", required=True, metavar="NAME[@DATE]|FILE", help="The law: cn/beijing, cn/beijing@2023-01-01, a file."
)
@click.option("--reform", "reforms", multiple=True, metavar="FILE", help="Apply a reform first; may be given again.")
@click.option("--out", required=True, type=click.Path(), help="Where the settlements go (.csv or .parquet).")
@click.option("--rejects", type=click.Path(), help="Where refused rows go; default: OUT.rejects, if there are any.")
@click.option("--trace", type=click.Path(), help="Also write one row a claim and tier, with everything that led to it.")
@click.option("--opening", type=click.Path(), help="Accumulators that an earlier run closed with.")
@click.option("--closing", type=click.Path(), help="Write what each person-year has used, for the next run.")
@click.option(
    "--previous", type=click.Path(), help="Earlier settlements: list what changed against them (late claims)."
)
@click.option("--differences", type=click.Path(), help="Where changes go; default: OUT.differences, if there are any.")
@click.option(
    "--columns",
    type=click.Choice(["ours", "national"]),
    default="ours",
    show_default=True,
    help="Names of the output's columns: ours, or the national platform's setlinfo.",
)
@click.option("--limit-memory", metavar="SIZE", help="Settle in person partitions so as to stay below it, such as 4GB.")
@click.option("--threads", type=click.IntRange(1), help="How many processors to use; default: all.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "kernel", "reference"]),
    default="auto",
    show_default=True,
    help="The compiled kernel, or the plain reference that is read beside the articles; they give the same.",
)
@click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language of the summary."
)
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Settle CLAIMS through every tier of a policy, to the fen.

    Columns are those of the data contract, ours or the national platform's; money is yuan. A row whose `reverses` names
    a claim takes its settlement back. Rows that cannot be settled are kept with a reason.

    \b
    Examples:
      medfloor settle claims.csv --people people.csv --policy cn/beijing --out settled.csv
      medfloor settle claims.parquet --people people.parquet --spells spells.csv \\
        --policy cn/beijing@2023-01-01 --reform cap.yaml --out settled.parquet --trace trace.parquet

    Exit codes: 0 all rows settled, 1 settled but some rows were refused, 2 nothing could be done.
    """
    from medfloor.settlement.chunks import Files, settle_files

    limit = memory_of(asked["limit_memory"]) if asked["limit_memory"] else None
    names = ("claims", "people", "spells", "opening", "previous", "out", "rejects", "trace", "closing", "differences")
    with Bar(sys.stderr.isatty()) as bar:
        tally = settle_files(
            Files(**{name: asked[name] for name in names}),
            asked["policy"],
            reforms=asked["reforms"],
            columns=asked["columns"],
            engine=asked["engine"],
            limit_memory=limit,
            threads=asked["threads"],
            progress=bar.show,
        )
    say_summary(tally, asked["policy"], asked["lang"])
    ctx.exit(1 if tally.rejected else 0)


class Bar:
    """Show progress on a terminal, and nothing elsewhere."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None

    def __enter__(self) -> Bar:
        return self

    def show(self, done: int, whole: int) -> None:
        """Show how many partitions are done; a run of one needs no bar."""
        if not self._shown or whole < 2:
            return
        if self._bar is None:
            self._bar = click.progressbar(length=whole, label="settling", file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(1)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
