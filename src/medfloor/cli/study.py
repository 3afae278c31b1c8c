"""Be `medfloor study`: list, describe and run the studies, each from survey files to the tables of a paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

LANG = click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Run studies as programs: from survey files to the tables that such a paper prints, beside what it printed.

    A study never claims to reproduce numbers from data that it does not have, and says so where the data are made up.

    \b
    Examples:
      medfloor study list
      medfloor study describe cii-poverty --lang zh
      medfloor survey example cfps --out made-up --seed 1
      medfloor study run cii-poverty --data made-up --out study
      medfloor study run urrbmi-relative-poverty --data CFPS --out study --lang zh
    """


@command.command("list")
@LANG
def list_studies(lang: str) -> None:
    """List the studies."""
    from medfloor.studies import STUDIES
    from medfloor.terminal import in_columns
    from medfloor.words import say

    for line in in_columns([(name, say(f"study_title.{name}", lang)) for name in STUDIES]):
        click.echo(line)


@command.command("describe")
@click.argument("name")
@LANG
def describe(name: str, lang: str) -> None:
    """Tell a study: question, data, design, equations, tables, what would be needed, options, limits.

    \b
    Example:
      medfloor study describe cii-poverty
    """
    from medfloor.studies import about_study

    click.echo(about_study(name).text(lang))


@command.command("run")
@click.argument("name")
@click.option("--data", required=True, type=click.Path(), metavar="DIR", help="The folder with the files.")
@click.option(
    "--out",
    type=click.Path(),
    metavar="DIR",
    help="Also write report.html, report.md, report.json, tables.xlsx, tables/ (CSV) and figures/ (SVG) there.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of permutations and bootstraps.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="An option of the study; `describe` lists them."
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What is printed."
)
@LANG
@click.pass_context
def run(
    ctx: click.Context, name: str, data: str, out: str | None, seed: int, settings: Sequence[str], form: str, lang: str
) -> None:
    """Run a study on a folder of files, print what it found, and write its tables and figures.

    \b
    Examples:
      medfloor study run cii-poverty --data made-up --out study
      medfloor study run cii-poverty --data CFPS --set rollout=starts.csv --set permutations=1000 --lang zh

    Exit codes: 0 done, 1 done with warnings or parts that could not be done, 2 nothing could be done.
    """
    from medfloor.studies import run_study

    chosen = settings_of(settings)
    _check_out(data, out)
    study = run_study(name, data, seed=seed, **chosen)
    written: list[Path] = []
    if out:
        from medfloor.studies.pages import write_study

        written = write_study(study, out, lang)
    if form == "json":
        import json

        click.echo(json.dumps(study.to_dict(lang), ensure_ascii=False, indent=1, allow_nan=False, default=str))
    else:
        from medfloor.words import say

        click.echo(study.text(lang))
        if out:
            click.echo("")
            click.echo(say("study.written", lang, files=len(written), folder=out))
    if study.findings:
        ctx.exit(1)


def settings_of(texts: Sequence[str]) -> dict[str, str]:
    """Split NAME=VALUE. Raises UsageError bad_setting."""
    from medfloor.errors import UsageError

    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError("bad_setting", f"--set {text!r}: write NAME=VALUE, such as permutations=500")
        found[name.strip().replace("-", "_")] = value
    return found


def _check_out(data: str, out: str | None) -> None:
    """Refuse, before any work is done, to write into the folder of the data, or where a file stands.

    Raises OutputError would_replace_input, cannot_write.
    """
    from medfloor.errors import OutputError

    if out is None:
        return
    place = Path(out).resolve()
    if place == Path(data).resolve():
        raise OutputError(
            "would_replace_input", f"{out} is the folder of the data, which stays as it is. Name another."
        )
    if place.exists() and not place.is_dir():
        raise OutputError("cannot_write", f"{out} is a file, and a folder is needed. Name another.")
