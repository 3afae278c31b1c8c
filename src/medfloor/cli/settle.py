"""Be `medfloor settle`: a file of claims in, settlements out."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.summary import say_summary
from medfloor.errors import UsageError
from medfloor.words import say

if TYPE_CHECKING:
    from medfloor.settlement.chunks import Files, Tally


def memory_of(text: str) -> int:
    """Read an amount of memory such as 4GB, 512MB or 1.5G as bytes.

    >>> memory_of("4GB"), memory_of("512 mb")
    (4000000000, 512000000)
    """
    import re

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
@click.option(
    "--out",
    required=True,
    type=click.Path(),
    help="Where the settlements go (.csv or .parquet; with --engine spark also FOLDER/, by place and month).",
)
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
@click.option("--limit-memory", metavar="SIZE", help="Settle in parts by person so as to stay below it, such as 3GB.")
@click.option(
    "--work", metavar="FOLDER", help="Keep what is done there; the same command goes on after it was stopped or killed."
)
@click.option("--threads", type=click.IntRange(1), help="How many processors to use; default: all.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "kernel", "reference", "spark"]),
    default="auto",
    show_default=True,
    help="The compiled kernel, the plain reference that is read beside the articles, or the kernel on a Spark cluster; "
    "they give the same.",
)
@click.option(
    "--spark-master",
    metavar="ADDRESS",
    help="With --engine spark: spark://host:7077, local[2], ...; default: spark-submit's, SPARK_MASTER, local[*].",
)
@click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language of the summary."
)
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Settle CLAIMS through every tier of a policy, to the fen.

    Columns are those of the data contract, ours or the national platform's; money is yuan. A row whose `reverses` names
    a claim takes its settlement back. Rows that cannot be settled are kept with a reason. A table is a file, or a
    folder of Parquet files such as place=.../month=.../part.parquet.

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
    if asked["engine"] == "spark":
        tally = _on_spark(Files(**{name: asked[name] for name in names}), asked)
        say_summary(tally, asked["policy"], asked["lang"])
        ctx.exit(1 if tally.rejected else 0)
    if asked["spark_master"]:
        raise UsageError("spark_not_asked", "--spark-master is for --engine spark; give both, or neither")
    with Progress(sys.stderr.isatty(), asked["lang"]) as shown:
        tally = settle_files(
            Files(**{name: asked[name] for name in names}),
            asked["policy"],
            reforms=asked["reforms"],
            columns=asked["columns"],
            engine=asked["engine"],
            limit_memory=limit,
            work=asked["work"],
            threads=asked["threads"],
            progress=shown.show,
        )
    say_summary(tally, asked["policy"], asked["lang"])
    ctx.exit(1 if tally.rejected else 0)


def _on_spark(files: Files, asked: dict[str, Any]) -> Tally:
    """Settle on a Spark cluster, which has its own settings for memory and processors."""
    from medfloor.settlement.spark import settle_on_spark

    for option in ("limit_memory", "work", "threads"):
        if asked[option]:
            raise UsageError(
                "not_with_spark",
                f"--{option.replace('_', '-')} does not go with --engine spark; give the executors memory and "
                "processors by spark-submit --conf, such as spark.executor.cores=4",
            )
    return settle_on_spark(
        files, asked["policy"], reforms=asked["reforms"], columns=asked["columns"], master=asked["spark_master"]
    )


class Progress:
    """Show on stderr how far a run of several parts has come: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, terminal: bool, lang: str) -> None:
        self._terminal = terminal
        self._lang = lang
        self._bar: Any = None
        self._stage = ""
        self._told = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def show(self, stage: str, done: int, whole: int) -> None:
        """Show how much of a stage is done (`settlement.chunks.Progress`); a run of one part shows nothing."""
        if whole < 2:
            return
        if stage == "kept" or not self._terminal:
            late = time.monotonic() - self._told >= SECONDS_A_LINE
            if stage == "kept" or late:
                self._told = time.monotonic()
                click.echo(say(f"progress.{stage}", self._lang, done=f"{done:,}", whole=f"{whole:,}"), err=True)
            return
        if stage != self._stage:
            self.__exit__()
            self._stage = stage
            label = say(f"progress.{stage}_label", self._lang)
            self._bar = click.progressbar(length=whole, label=label, file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(done - self._bar.pos)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


SECONDS_A_LINE = 10
"""How often a line tells of the progress where there is no terminal."""
