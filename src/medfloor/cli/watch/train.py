"""Be `medfloor watch train`: learn from the years before who falls next year, and judge it on a year held back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.watch.reading import read_years, register_options, rules_of

if TYPE_CHECKING:
    from medfloor.watch.training import Trained


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@register_options
@click.option("--years", required=True, metavar="A-B", help="First year of features, and last year of outcomes.")
@click.option("--capacity", required=True, type=click.IntRange(1), metavar="K", help="Households visited in a week.")
@click.option("--out", required=True, metavar="FILE", help="Where the model goes (.json).")
@click.option("--report", metavar="DIR", help="Folder for the judgement and its tables; made if missing.")
@click.option("--kind", type=click.Choice(["auto", "logistic", "boosting"]), default="auto", show_default=True,
              help="auto takes boosted trees only where they are better at both.")  # fmt: skip
@click.option("--target", type=click.Choice(["both", "catastrophic", "line"]), default="both", show_default=True,
              help="What is foretold: catastrophic spending, a fall under the line, or either.")  # fmt: skip
@click.option("--definition", type=click.Choice(["budget", "nonfood", "who", "europe", "sdg"]), default="who",
              show_default=True, help="Of catastrophic spending; who is capacity to pay.")  # fmt: skip
@click.option("--threshold", type=float, default=0.4, show_default=True, help="Share of what a household can pay.")
@click.option("--income-lag", type=click.IntRange(0, 2), default=0, show_default=True,
              help="Years until a household's row of a year is known.")  # fmt: skip
@click.option("--place", default="cn", show_default=True, metavar="CODE|cn|cn/...", help="Whose rules and lines.")
@click.option("--draws", type=click.IntRange(20, 2000), default=200, show_default=True, help="Of the bootstrap.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed, the same model.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Train a model of who will have catastrophic spending or fall under the line next year, and judge it.

    What was known on the last day of a year stands beside what befell in the year after. The last year is held back:
    the model never sees it, and is judged on it, first of all by what K visits a week reach, beside the official rule.
    The model is plain JSON, with a hash; the same files and seed give the same file. Prints figures that name nobody.

    \b
    Examples:
      medfloor synthesise --people 20000 --seed 1 --years 5 --lives --out lived
      medfloor settle lived/claims.parquet --people lived/people.parquet --spells lived/spells.parquet \\
        --policy cn/beijing --out settled.parquet
      medfloor watch train --people lived/people.parquet --households lived/waves.parquet \\
        --spells lived/spells.parquet --claims lived/claims.parquet --settlements settled.parquet \\
        --years 2025-2029 --capacity 8 --out model.json --report judged

    Exit codes: 0 done, 1 done but rows were refused, 2 nothing could be done.
    """
    from medfloor.intake.files import check_outputs, write_bytes
    from medfloor.watch.training import Target, train

    first, last = _years(asked["years"])
    inputs = [asked[name] for name in ("people", "households", "spells", "claims", "file")]
    check_outputs([asked["out"]], [*inputs, *asked["settlements"]], any_format=True)
    read = read_years(asked)
    target = Target(asked["target"], asked["definition"], asked["threshold"], asked["income_lag"], asked["place"])
    trained = train(
        read.register, read.settlements, rules_of(asked, asked["place"]), first=first, last=last,
        capacity=asked["capacity"], kind=asked["kind"], target=target, draws=asked["draws"], seed=asked["seed"],
        synthetic=read.synthetic,
    )  # fmt: skip
    text = json.dumps(trained.model.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)
    write_bytes((text + "\n").encode(), asked["out"])
    told = _told(trained, asked["lang"], read.rejected.height)
    click.echo("\n".join(told))
    if asked["report"]:
        _report(trained, asked["report"], told)
    ctx.exit(1 if read.rejected.height else 0)


def _years(text: str) -> tuple[int, int]:
    """Read a span of years.

    >>> _years("2021-2025")
    (2021, 2025)
    """
    from medfloor.errors import UsageError

    found = re.fullmatch(r"\s*(\d{4})\s*[-–]\s*(\d{4})\s*", text)
    if not found:
        raise UsageError("bad_years", f"--years {text!r} is no span of years; write 2021-2025")
    return int(found[1]), int(found[2])


def _told(trained: Trained, lang: str, refused: int) -> list[str]:
    """Tell the judgement first, then what the model is."""
    from medfloor.words import say

    model, target = trained.model, trained.model.target
    years = "–".join(dict.fromkeys(map(str, (model.years[0], model.years[-1]))))
    words = say(f"watch_definition.{target['definition']}", lang)
    lines = trained.judged.text(lang).split("\n")
    lines += [
        "",
        say(f"watch_train.target_{target['target']}", lang, definition=words,
            threshold=f"{100 * target['threshold']:g}"),
        say("watch_train.trained", lang, years=years, rows=f"{model.rows:,}", fell=f"{model.fell:,}",
            share=f"{100 * model.fell / model.rows:.1f}", judged=model.judged_year),
    ]  # fmt: skip
    kind, choice = say(f"watch_order.{model.kind}", lang), trained.choice
    if choice is None:
        lines.append(say("watch_train.asked", lang, kind=kind))
    else:
        spans = {
            name: "{:+.4f} [{:+.4f}, {:+.4f}]".format(*getattr(choice, name)) for name in ("precision", "calibration")
        }
        least = f"{choice.adoption.precision:g} / {choice.adoption.calibration:g}"
        lines.append(say("watch_train.chosen", lang, kind=kind, year=choice.year, least=least, **spans))
        if not choice.apart:
            lines.append(say("watch_train.chosen_same", lang))
    if refused:
        lines.append(say("watch_train.refused", lang, rows=f"{refused:,}"))
    if model.synthetic:
        lines.append(say("watch_train.synthetic", lang))
    lines.append(say("watch_train.decides", lang))
    return lines


def _report(trained: Trained, folder: str, told: list[str]) -> None:
    """Write the judgement: what was printed, its tables, and the scores of the judged year beside what came."""
    from medfloor.errors import OutputError
    from medfloor.intake.files import write_bytes, write_table

    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise OutputError("cannot_write", f"{folder} cannot be made a folder; give another --report") from None
    judged = trained.judged
    write_bytes(("\n".join(told) + "\n").encode(), place / "judgement.txt")
    text = json.dumps(judged.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)
    write_bytes((text + "\n").encode(), place / "judgement.json")
    came = trained.panel.select("household_id", "year", "fell", "catastrophic", "under_line", "fell_on").filter(
        trained.panel["year"] == trained.model.judged_year
    )
    scores = trained.scores.join(came, on="household_id", maintain_order="left")
    for name, frame in (("deciles", judged.deciles), ("by_capacity", judged.by_capacity), ("slices", judged.slices),
                        ("scores", scores)):  # fmt: skip
        write_table(frame, place / f"{name}.csv", money_columns=[])
