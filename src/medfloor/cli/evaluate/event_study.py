"""Be `medfloor evaluate event-study`."""

from __future__ import annotations

from typing import Any

import click

from medfloor.cli.evaluate.asking import answer, asks_for_columns
from medfloor.cli.evaluate.staggered import read_adoption
from medfloor.cli.measure.concentration import names_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@asks_for_columns("outcome", "start", "unit", "time", "covariates", "cluster", "weight", "winsorise", "level")
@click.option(
    "--estimator", type=click.Choice(["event_study", "sun_abraham", "callaway_santanna"]), default="event_study",
    show_default=True, help="One regression, or an estimator made for staggered starts.",
)  # fmt: skip
@click.option("--window", metavar="FIRST,LAST", help="Pool what lies further away in these ends, such as -3,3.")
@click.option(
    "--control", type=click.Choice(["never", "not_yet"]), default="never", show_default=True,
    help="sun_abraham, callaway_santanna: whom those under the policy are held against.",
)  # fmt: skip
@click.option("--no-sensitivity", is_flag=True, help="Leave out intervals that allow for other trends (some seconds).")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Look at the waves before and after the start of a policy, against the wave before it (事件研究).

    A joint test of the earlier waves, and how far trends would have to differ before the effect can no longer be told
    from none (Rambachan and Roth).

    \b
    Examples:
      medfloor evaluate event-study panel.csv --outcome poor --start start_wave --unit household_id --time wave \\
        --cluster city --figure event.svg
      medfloor evaluate event-study panel.csv --outcome poor --start start_wave --unit household_id --time wave \\
        --cluster city --estimator sun_abraham --lang zh

    Exit codes: 0 done, 1 done with warnings or unreadable rows, 2 misuse.
    """
    from medfloor.evaluation.event_study import event_study

    window = window_of(asked["window"])
    micro, common = read_adoption(asked)
    fit = event_study(
        micro.accepted, **common, estimator=asked["estimator"], window=window, control=asked["control"],
        honest=not asked["no_sensitivity"],
    )  # fmt: skip
    answer(ctx, asked, micro, fit)


def window_of(text: str | None) -> tuple[int, int] | None:
    """Read --window -3,3. Raises UsageError bad_window.

    >>> window_of("-3,3")
    (-3, 3)
    """
    if text is None:
        return None
    try:
        low, high = (int(one) for one in names_of(text))
    except ValueError:
        from medfloor.errors import UsageError

        raise UsageError("bad_window", f"--window {text!r} is not two numbers of waves; write -3,3") from None
    return low, high
