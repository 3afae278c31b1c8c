"""Be `medfloor fund supervise`: which claims must be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from medfloor.fund.supervision import Judged, Leads, Rule, Rules
    from medfloor.fund.supervision.rules import Setting


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("claims", required=False)
@click.option("--people", metavar="FILE", help="People: sex, age, enrolment, and death_date where known.")
@click.option("--items", metavar="FILE", help="Charge lines: claim_id, item_code, quantity, unit_price or amount.")
@click.option("--catalogue", metavar="FILE", help="What limits items: sex, ages, day_limit, price_limit.")
@click.option("--facilities", metavar="FILE", help="Facilities: provider_id and a yearly budget.")
@click.option("--rules", "file", metavar="FILE", help="Changes to the rules and their parameters (TOML).")
@click.option("--out", multiple=True, metavar="DIR|FILE", help="Folder for everything, or .html .md .json .csv "
              ".parquet .xlsx .svg .png .pdf; may be given again.")  # fmt: skip
@click.option("--memory", type=float, default=8.0, show_default=True, help="Gigabytes above which parts are made.")
@click.option("--planted", metavar="FILE", help="What was planted (rule, key): prints recall and precision.")
@click.option("--plant", type=click.IntRange(0), metavar="SEED", help="Plant errors in made-up claims first.")
@click.option("--many", type=int, default=40, show_default=True, help="How many errors of a kind --plant plants.")
@click.option("--list", "listed", is_flag=True, help="List all rules with article, source and trust, and stop.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Look CLAIMS over by rules, and give leads with evidence, the strongest first; a lead is no verdict.

    Finds copies, split stays, re-admissions, visits during a stay, two facilities at once, service after death,
    diagnoses and items of another sex or age, items over the limit of a day or the highest price, costs far above their
    group, facilities dearer than others or than their own past, payments near a ceiling, and people enrolled twice.
    Prints counts that name nobody; persons and claims stand in the files of --out alone.

    \b
    Examples:
      medfloor fund supervise claims.parquet --people people.parquet --out leads
      medfloor fund supervise claims.csv --rules mine.toml --lang zh --out leads.xlsx --out leads.parquet
      medfloor fund supervise --list
      medfloor synthesise --people 20000 --seed 1 --out county
      medfloor fund supervise county/claims.parquet --people county/people.parquet --plant 7

    Exit codes: 0 done, nothing found and nothing refused; 1 done with leads or refused rows; 2 misuse.
    """
    from medfloor.fund.supervision import judge, read_rules, supervise
    from medfloor.intake.files import check_outputs
    from medfloor.reports.fund_projection import check_outputs_of
    from medfloor.reports.fund_supervision import write_leads

    rules, lang = read_rules(asked["file"]), asked["lang"]
    if asked["listed"]:
        _list_rules(rules, lang)
        return
    if not asked["claims"]:
        raise click.UsageError("CLAIMS is missing; name a file of claims, or give --list", ctx)
    check_outputs_of(asked["out"])
    tables = {name: asked[name] for name in ("claims", "people", "items", "catalogue", "facilities")}
    single = [path for path in asked["out"] if Path(path).suffix and not Path(path).is_dir()]
    check_outputs(single, [*tables.values(), asked["file"], asked["planted"]], any_format=True)
    truth, fewer = None, ()
    if asked["plant"] is not None:
        tables, truth, fewer = _planted(asked, tables, rules)
    elif asked["planted"]:
        from medfloor.intake.files import read_table

        truth = read_table(asked["planted"], "planted")
    # Parts of a large file are written beside the results, where there is room for such files.
    beside = Path(asked["out"][0]).resolve().parent if asked["out"] else None
    folder = beside if beside is not None and beside.is_dir() else None
    leads = supervise(tables.pop("claims"), **tables, rules=rules, memory_gb=asked["memory"], folder=folder)
    judged = None if truth is None else judge(leads, truth, fewer=fewer)
    _tell(leads, judged, lang)
    for path in asked["out"]:
        written = write_leads(leads, path, lang, judged=judged)
        click.echo(f"{path}: {', '.join(one.name for one in written)}", err=True)
    ctx.exit(1 if leads.leads.height or leads.rejected.height else 0)


def _planted(asked: dict[str, Any], tables: dict[str, Any], rules: Rules) -> tuple[dict[str, Any], Any, Any]:
    """Plant errors, write what is then looked over beside the results; give tables, truth, and what had no room."""
    from medfloor.errors import UsageError
    from medfloor.fund.supervision import plant
    from medfloor.fund.supervision.planted import tables_of
    from medfloor.intake.files import read_table, write_table

    if not tables["people"] or tables["items"] or tables["facilities"] or asked["planted"]:
        raise UsageError(
            "plant_alone",
            "--plant needs --people, and makes up lines, facilities and what was planted; leave those out",
        )
    planted = plant(
        read_table(tables["claims"], "claims"), read_table(tables["people"], "people"), seed=asked["plant"],
        many=asked["many"], rules=rules,
    )  # fmt: skip
    made = tables_of(planted)
    for path in asked["out"]:
        if not Path(path).suffix or Path(path).is_dir():
            place = Path(path) / "planted"
            place.mkdir(parents=True, exist_ok=True)
            for name, frame in made.items():
                write_table(frame, place / f"{name}.parquet", money_columns=[])
    return {name: made[name] for name in tables}, made["truth"], planted.fewer


def _tell(leads: Leads, judged: Judged | None, lang: str) -> None:
    click.echo(leads.text(lang))
    if judged is not None:
        click.echo("\n" + judged.text(lang))


def _list_rules(rules: Rules, lang: str) -> None:
    from medfloor.fund.supervision.rules import shown, source_of, trust_of
    from medfloor.words import say

    def tell(text: str, one: Rule | Setting) -> None:
        said = say(
            "supervision.read", lang, text=text, trust=trust_of(one.trust, lang), source=source_of(one.source, lang)
        )
        click.echo(f"  {said}")

    for rule in rules.all:
        told = say("supervision.listed", lang, name=rule.name, title=rule.title(lang), weight=f"{rule.weight:g}")
        click.echo(told if rule.on else f"{told} {say('supervision.off', lang)}")
        click.echo(f"  {rule.reason(lang)}")
        tell(rule.law(lang), rule)
        for one in rule.settings:
            known = {"name": one.name, "value": shown(one.value), "unit": one.unit(lang)}
            tell(say("supervision.parameter", lang, **known, least=shown(one.least), most=shown(one.most)), one)
