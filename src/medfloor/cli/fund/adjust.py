"""Be `medfloor fund adjust`: next year's benefits by a published table of steps."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medfloor.fund.steps import Steps


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--place", default="national", show_default=True, metavar="national|FILE", help="Series and parameters (TOML)."
)
@click.option("--population", metavar="DIR", help="A folder with claims, people (spells): a county instead of a place.")
@click.option(
    "--policy", metavar="NAME[@DATE]|FILE", help="Settle the population under this law; default: DIR/policy.yaml."
)
@click.option("--settlements", metavar="FILE", help="Take the population's payments from here instead of settling.")
@click.option("--year", type=click.IntRange(1900, 2200), help="The year of the claims, where there are several.")
@click.option("--rules", metavar="FILE", help="A table of steps of your own (TOML); floors of law stay.")
@click.option("--start", "starts", multiple=True, metavar="NAME=VALUE", help="Where a benefit stands today; repeat.")
@click.option("--years", type=int, default=20, show_default=True, help="How many years of closed loop.")
@click.option("--paths", type=int, default=2_000, show_default=True, help="How many paths to draw.")
@click.option("--seed", type=int, default=20201123, show_default=True, help="The same seed gives the same numbers.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Replace a parameter of the projection.")
@click.option("--print-rules", is_flag=True, help="Print the shipped table (TOML), and stop.")
@click.option("--sign", metavar="FILE", help="Attach a decision to a record (decision.json) instead; needs --by, --on.")
@click.option("--by", help="Who decided.")
@click.option("--on", help="The day of the decision, YYYY-MM-DD.")
@click.option("--refused", is_flag=True, help="The proposal was refused; without it, accepted.")
@click.option("--out", multiple=True, metavar="DIR|FILE", help="Folder for everything, or .html .md .json .csv "
              ".parquet .xlsx .svg .png .pdf; may be given again.")  # fmt: skip
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language.")
@click.pass_context
def command(ctx: click.Context, /, **asked: Any) -> None:
    """Propose next year's benefits by a published table of steps, and try the table for twenty years.

    The table turns months of payment, the year's margin, the trend and the probability of falling under a line into at
    most one step a year of one benefit: the ratio, the critical illness deductible, or the list of diseases. It is fast
    down and slow up, never under the floors of law, and never cuts the poor. The proposal says why in words and is a
    record that a signed decision can be attached to. Closed loop and open loop meet the same shocks.

    \b
    Examples:
      medfloor fund adjust
      medfloor fund adjust --start ratio=75 --years 10 --out adjustment --lang zh
      medfloor fund adjust --print-rules > steps.toml
      medfloor fund adjust --population county --start ratio=75 --start diseases=8
      medfloor fund adjust --rules steps.toml --set reserve.start=5
      medfloor fund adjust --sign adjustment/decision.json --by "Li" --on 2025-12-01 --out signed.json

    Exit codes: 0 done, 1 done and the basic fund is empty on the trend in spite of the table, 2 nothing could be done.
    """
    from medfloor.errors import UsageError
    from medfloor.fund.adjustment import adjust
    from medfloor.fund.parameters import assignments
    from medfloor.reports.fund_pages import write_record
    from medfloor.reports.fund_projection import check_outputs_of

    if asked["sign"]:
        _sign(asked)
        return
    if asked["by"] or asked["on"] or asked["refused"]:
        raise UsageError("needs_sign", "--by, --on and --refused belong to --sign FILE; add it, or leave them out")
    if asked["print_rules"]:
        import medfloor.fund.steps as steps

        click.echo(steps._FILE.read_text(encoding="utf-8"), nl=False)
        return
    check_outputs_of(asked["out"])
    table = _table(asked)
    basis = _basis(asked, assignments(asked["given"]))
    found = adjust(basis, table, years=asked["years"], paths=asked["paths"], seed=asked["seed"])
    click.echo(found.text(asked["lang"]))
    for path in asked["out"]:
        written = write_record(found, path, asked["lang"])
        click.echo(f"{path}: {', '.join(one.name for one in written)}", err=True)
    ctx.exit(1 if found.warnings else 0)


def _basis(asked: dict[str, Any], given: dict[str, float]) -> Any:
    from medfloor.errors import UsageError
    from medfloor.fund.basis import national, place_from

    place, years = asked["place"], asked["years"]
    if asked["population"]:
        if place != "national":
            raise UsageError("needs_no_population", "give --place or --population, not both")
        return _counted(asked, given)
    for name in ("policy", "settlements", "year"):
        if asked[name]:
            raise UsageError("needs_population", f"--{name} needs a population; add --population DIR")
    if place == "national":
        return national(given=given, years=years)
    return place_from(_text(place, "a place file (TOML)"), where=Path(place).name, given=given, years=years)


def _counted(asked: dict[str, Any], given: dict[str, float]) -> Any:
    from medfloor.cli.fund.project import _tables
    from medfloor.errors import UsageError
    from medfloor.fund.county import county

    folder = Path(asked["population"])
    tables, settled = _tables(folder, asked["settlements"])
    policy = asked["policy"] or (str(folder / "policy.yaml") if (folder / "policy.yaml").is_file() else None)
    if policy is None:
        raise UsageError("no_policy", f"{folder} has no policy.yaml; name the law with --policy, such as cn/beijing")
    # The nation's id stands for its series; a folder of that name has none.
    name = folder.resolve().name
    name = f"./{name}" if name == "national" else name
    return county(tables, policy, settled=settled, year=asked["year"], given=given, name=name)


def _table(asked: dict[str, Any]) -> Steps:
    from medfloor.fund.steps import read_steps, shipped_steps

    rules = asked["rules"]
    table = read_steps(_text(rules, "a table of steps"), where=Path(rules).name) if rules else shipped_steps()
    return table.with_start(_starts(asked["starts"]))


def _starts(texts: Sequence[str]) -> dict[str, float]:
    from medfloor.errors import UsageError

    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise UsageError("bad_parameter", f"--start {text!r} is not NAME=VALUE; write ratio=75") from None
    return found


def _text(name: str, what: str) -> str:
    from medfloor.errors import InputError

    file = Path(name)
    if not file.is_file():
        raise InputError("file_not_found", f"there is no file {file}; write the path of {what}")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError("bad_step_table", f"{file} is not a text in UTF-8; save it as UTF-8") from None


def _sign(asked: dict[str, Any]) -> None:
    import json

    from medfloor.errors import InputError, UsageError
    from medfloor.fund.adjustment import sign
    from medfloor.intake.files import write_bytes

    if not asked["by"] or not asked["on"] or len(asked["out"]) != 1:
        raise UsageError("needs_signature", "a signature needs --by WHO, --on YYYY-MM-DD and one --out FILE")
    try:
        date.fromisoformat(asked["on"])
    except ValueError:
        raise UsageError("bad_day", f"--on {asked['on']!r} is no day such as 2025-12-01") from None
    try:
        record = json.loads(_text(asked["sign"], "a record of an adjustment"))
    except json.JSONDecodeError as error:
        raise InputError("bad_record", f"{asked['sign']} is no JSON: {error}; take decision.json as written") from None
    signed = sign(record, by=asked["by"], on=asked["on"], accepted=not asked["refused"])
    plain = json.dumps(signed, ensure_ascii=False, indent=1) + "\n"
    write_bytes(plain.encode("utf-8"), asked["out"][0])
    click.echo(f"{asked['out'][0]}: {record['digest'][:12]}", err=True)
