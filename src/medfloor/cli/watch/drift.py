"""Be `medfloor watch drift`: see whether inputs, alerts, confirmations or calibration have moved."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.watch.reading import check_year, read_model, read_years, register_options, rules_of

if TYPE_CHECKING:
    import polars as pl

    from medfloor.watch.drift import DriftRules


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", metavar="MODEL")
@register_options
@click.option("--year", required=True, type=click.IntRange(1990, 2200), help="Year of the features.")
@click.option("--outcomes", metavar="FILE", help="household_id, outcome (visited, confirmed, refused, false_alarm), "
              "and fell (yes or no) where it is known.")  # fmt: skip
@click.option("--earlier", metavar="FILE", help="Outcomes of an earlier time, to hold the confirmed rate against.")
@click.option("--lines", metavar="FILE", help="What counts as drift (TOML), laid over the shipped numbers.")
@click.option("--by", default="township", show_default=True, metavar="COLUMN|none", help="Places to look at apart.")
@click.option("--out", multiple=True, metavar="FILE", help="drift.md .html .json .csv .parquet, or the figure "
              "(.svg .png .pdf); may be given again.")  # fmt: skip
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Hold this year's households against those that MODEL was judged on.

    Inputs and scores by the population stability index (PSI) over the bins that the model file keeps; the alert rate;
    with --outcomes what visits confirmed, and how many fell for each one foretold; each for everybody and by township.
    Drift needs both: a line crossed, and more than chance does to so few households. It says that something has moved,
    not that the model is wrong. Prints counts that name nobody.

    \b
    Examples:
      medfloor watch drift model.json --people people.csv --households waves.csv --settlements settled.csv --year 2025
      medfloor watch drift model.json --people people.csv --households waves.csv --settlements settled.csv \\
        --year 2025 --outcomes visited.csv --lang zh --out drift.html --out drift.csv

    Exit codes: 0 no drift, 1 drift found or rows were refused, 2 nothing could be done.
    """
    from medfloor.intake.files import check_outputs
    from medfloor.reports.watch_pages import DRIFT_ENDINGS, check_endings, write_drift
    from medfloor.watch.drift import drift
    from medfloor.watch.features import features
    from medfloor.watch.profile import profile_from
    from medfloor.words import say

    year, lang = asked["year"], asked["lang"]
    check_endings(asked["out"], DRIFT_ENDINGS)
    names = ("model", "people", "households", "spells", "claims", "file", "outcomes", "earlier", "lines")
    check_outputs(asked["out"], [*(asked[one] for one in names), *asked["settlements"]], any_format=True)
    model = read_model(asked["model"])
    profile = profile_from(model.judged.get("profile", {}), where=Path(asked["model"]).name)
    lines = _lines(asked["lines"])
    read = read_years(asked)
    check_year(read.settlements, year, date(year, 12, 31))
    rules = rules_of(asked, str(model.target.get("place", "cn")))(date(year, 12, 31))
    lag = int(model.target.get("income_lag", 0))
    now = features(read.register, read.settlements, rules, year=year, income_lag=lag)
    found = drift(
        profile, now, model.score(now), outcomes=_outcomes(asked["outcomes"]), earlier=_outcomes(asked["earlier"]),
        rules=lines, by=None if asked["by"] == "none" else asked["by"],
    )  # fmt: skip
    click.echo(found.text(lang))
    if read.rejected.height:
        click.echo(say("watch_train.refused", lang, rows=f"{read.rejected.height:,}"))
    if read.synthetic or model.synthetic:
        click.echo(say("watch_train.synthetic", lang))
    for path in asked["out"]:
        write_drift(found, path, lang)
        click.echo(path, err=True)
    ctx.exit(1 if found.found or read.rejected.height else 0)


def _lines(name: str | None) -> DriftRules | None:
    from medfloor.errors import InputError
    from medfloor.watch.drift import read_drift_rules, shipped_drift_rules

    if name is None:
        return None
    file = Path(name)
    if not file.is_file():
        raise InputError("file_not_found", f"there is no file {file}; give what counts as drift (TOML)")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError("bad_drift_rules", f"{file.name} is not a text in UTF-8; save it as UTF-8") from None
    return read_drift_rules(text, where=file.name, over=shipped_drift_rules())


_YES, _NO = ("1", "true", "yes", "是"), ("0", "false", "no", "否")


def _outcomes(name: str | None) -> pl.DataFrame | None:
    """Read outcomes of visits; an empty cell is not known."""
    import polars as pl

    from medfloor.errors import InputError
    from medfloor.intake.files import read_table

    if name is None:
        return None
    frame = read_table(name, "outcomes")
    if "fell" in frame.columns and frame.schema["fell"] != pl.Boolean:
        text = pl.col("fell").cast(pl.String).str.strip_chars().str.to_lowercase()
        strange = frame.filter(~text.is_in([*_YES, *_NO, ""]))["fell"]
        if strange.len():
            raise InputError(
                "bad_outcome", f"{Path(name).name}: fell is {strange[0]!r}; write yes, no, or leave it empty"
            )
        said = pl.when(text.is_in(list(_YES))).then(True).when(text.is_in(list(_NO))).then(False)
        frame = frame.with_columns(said.alias("fell"))
    if "outcome" in frame.columns:
        text = pl.col("outcome").cast(pl.String).str.strip_chars()
        frame = frame.with_columns(pl.when(text != "").then(text).alias("outcome"))
    return frame
