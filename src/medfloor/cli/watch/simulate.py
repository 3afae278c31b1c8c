"""Be `medfloor watch simulate`: made-up years with and without watching, at the same capacity."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import lang_option

if TYPE_CHECKING:
    from medfloor.watch.loop import Mapper
    from medfloor.watch.tally import Simulated


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--people", type=int, default=5_000, show_default=True, help="People of each made-up county.")
@click.option("--years", type=int, default=5, show_default=True, help="Years that are watched, 1 to 5.")
@click.option("--seeds", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many counties.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first; the same give the same.")
@click.option("--capacity", type=int, default=2, show_default=True, help="Visits a week, the same in every arm.")
@click.option("--share", type=float, help="Part of the visits kept for townships, 0 to 1.  [default: 0.3]")
@click.option("--place", default="cn/beijing", show_default=True, metavar="NAME", help="Policy that settles the bills.")
@click.option("--status", default="dibao_marginal", show_default=True, help="How a recognised household is settled.")
@click.option("--arms", metavar="A,B,...", help="Ways of watching.  [default: all]")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Replace an assumption; may be given again.")
@click.option("--processes", type=click.IntRange(1, 256), help="How many at a time.  [default: as processors]")
@click.option("--list", "listed", is_flag=True, help="List arms and assumptions, and stop.")
@click.option("--out", multiple=True, metavar="DIR|FILE", help="Folder for everything, or .html .md .json .csv "
              ".parquet .xlsx .svg .png .pdf; may be given again.")  # fmt: skip
@lang_option
def command(**asked: Any) -> None:
    """Live made-up years with and without watching, in several ways, at the same number of visits a week.

    Each seed is one county with spells of illness, bills settled by the place's law, a screening a month, visits as far
    as they go, cases by rule, help, recovery and exit. Every arm of a seed meets the same people and the same chance;
    intervals are over seeds, differences paired. Prints household-years under the line, who was helped before falling,
    visits in vain, hours and money, and what is assumed. All of it is synthetic. Twenty counties take minutes.

    \b
    Arms: none, rule, rule_first_come, burden, poverty, enrolment, missed_assistance, absent_care, rule_logistic,
    logistic, boosting, oracle.

    \b
    Examples:
      medfloor watch simulate --out simulated
      medfloor watch simulate --seeds 4 --arms rule,rule_first_come --lang zh
      medfloor watch simulate --capacity 5 --set help_at_most=5000 --set foresees=0.3 --out loop.json

    Exit codes: 0 done, 2 nothing could be done.
    """
    from medfloor.reports.watch_loop import check_loop_outputs, write_simulated
    from medfloor.watch.arms import DEFAULT, arms_of
    from medfloor.watch.capacity import assumptions
    from medfloor.watch.loop import simulate
    from medfloor.watch.world import Setting

    lang = asked["lang"]
    check_loop_outputs(asked["out"])
    names = [one.strip() for one in asked["arms"].split(",") if one.strip()] if asked["arms"] else list(DEFAULT)
    arms_of(names)
    share = assumptions()["fair_share"] if asked["share"] is None else asked["share"]
    setting = Setting(
        people=asked["people"], years=asked["years"], capacity=asked["capacity"], place=asked["place"],
        status=asked["status"], share=share, numbers=_assigned(asked["given"]),
    )  # fmt: skip
    if asked["listed"]:
        _list(setting, lang)
        return
    seeds = asked["seeds"]

    def run(mapper: Mapper) -> Simulated:
        return simulate(
            setting, seeds=seeds, first_seed=asked["seed"], arms=names, mapper=mapper, told=_told(seeds, lang)
        )

    found = _in_processes(run, min(seeds, asked["processes"] or _processors()))
    click.echo(found.text(lang))
    for path in asked["out"]:
        written = write_simulated(found, path, lang)
        click.echo(f"{path}: {', '.join(one.name for one in written)}", err=True)


def _assigned(given: tuple[str, ...]) -> dict[str, float]:
    from medfloor.errors import UsageError
    from medfloor.watch.world import loop_numbers

    found = {}
    for one in given:
        name, _, value = one.partition("=")
        known = loop_numbers().get(name.strip())
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        most = 1.0 if known is not None and known.unit == "probability" else 1e9
        if known is None or not 0 <= number <= most:
            raise UsageError(
                "bad_choice",
                f"--set {one}: write NAME=VALUE with a number (a probability from 0 to 1); names: "
                f"{', '.join(loop_numbers())}",
            )
        found[name.strip()] = number
    return found


def _list(setting: Any, lang: str) -> None:
    from medfloor.terminal import aligned
    from medfloor.watch.arms import DEFAULT
    from medfloor.watch.tally import assumption_rows
    from medfloor.words import say

    heads = ["--arms", say("watch_loop.arm", lang)]
    click.echo("\n".join(aligned([heads, *([name, say(f"watch_arm.{name}", lang)] for name in DEFAULT)])))
    click.echo("\n" + "\n".join(aligned(assumption_rows(setting, lang, names=True), [2])))


def _told(seeds: int, lang: str) -> Callable[[int], None]:
    """Tell how far it is: in one line that is written over on a terminal, each fifth county elsewhere."""
    from medfloor.words import say

    live = sys.stderr.isatty()

    def tell(done: int) -> None:
        if live:
            click.echo("\r" + say("watch_loop.done", lang, done=done, of=seeds), err=True, nl=done == seeds)
        elif done % 5 == 0 and seeds > 5:
            click.echo(say("watch_loop.done", lang, done=done, of=seeds), err=True)

    return tell


def _processors() -> int:
    from medfloor.settlement.settle import processors

    return processors()


def _in_processes(run: Callable[[Mapper], Simulated], processes: int) -> Simulated:
    """Work through the seeds in several processes; in one, where one is enough."""
    if processes < 2:
        return run(map)
    import multiprocessing

    # A fork would copy the locks of threads that polars has started.
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return run(lambda work, seeds: map(_opened, pool.imap(partial(_kept, work), seeds)))


def _kept(work: Callable[[int], list[dict[str, Any]]], seed: int) -> list[dict[str, Any]] | tuple[str, str, str]:
    """Do one seed in a process of its own; an error of ours comes back as texts, since it does not travel itself."""
    from medfloor.errors import MedfloorError

    try:
        return work(seed)
    except MedfloorError as error:
        return type(error).__name__, error.code, error.message


def _opened(done: list[dict[str, Any]] | tuple[str, str, str]) -> list[dict[str, Any]]:
    """Give the rows of a seed, or raise what its process kept."""
    from medfloor import errors

    if isinstance(done, tuple):
        kind = getattr(errors, done[0])
        raise (errors.PolicyError if issubclass(kind, errors.PolicyError) else kind)(done[1], done[2])
    return done
