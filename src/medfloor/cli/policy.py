"""Be `medfloor policy`: list, show, schema, check, diff, cliffs.

The rooms are imported inside the commands, so that help starts at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from medfloor.policy.load import PolicySet
    from medfloor.policy.model import Policy
    from medfloor.policy.numbers import Leaf

_Function = TypeVar("_Function", bound=Callable[..., Any])

_FINDINGS = 1


def _lang(function: _Function) -> _Function:
    choice = click.Choice(["zh", "en"])
    return click.option("--lang", type=choice, default="en", show_default=True, help="Language of the output.")(
        function
    )


def _as_json(function: _Function) -> _Function:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


def _reforms(function: _Function) -> _Function:
    return click.option(
        "--reform", "reforms", multiple=True, metavar="FILE", help="Apply a reform file first; may be given again."
    )(function)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List, show, check and compare policies.

    A policy is named by its place, cn/beijing (on the version in force), by place and date, cn/beijing@2023-01-01,
    or by the path of a YAML file.

    \b
    Examples:
      medfloor policy list --lang zh
      medfloor policy show cn/beijing@2023-01-01
      medfloor policy check my-city.yaml
    """


@command.command("list")
@_lang
@_as_json
@click.pass_context
def list_(ctx: click.Context, lang: str, as_json: bool) -> None:
    """List the shipped policies.

    Columns: address, dates of the versions, name, tiers, missing values and how many numbers rest on which trust. The
    last three are those of the latest version. Exit code 1 where a file cannot be loaded.

    \b
    Example:
      medfloor policy list --lang zh
    """
    from medfloor.errors import PolicyError
    from medfloor.policy.load import list_policies, load_policy
    from medfloor.words import say

    rows: list[dict[str, Any]] = []
    broken = False
    for address, dates in list_policies():
        row: dict[str, Any] = {"address": address, "dates": [day.isoformat() for day in dates]}
        try:
            row |= _summary(load_policy(address).versions[-1], lang)
        except PolicyError as error:
            broken = True
            row |= {"name": say("policies.broken", lang, why=error.message), "tiers": [], "missing": 0, "trust": {}}
        rows.append(row)
    if as_json:
        _print_json(rows)
    else:
        _print_list(rows, lang)
    if broken:
        ctx.exit(_FINDINGS)


@command.command()
@click.argument("name")
@_reforms
@_lang
@click.option("--names", is_flag=True, help="Print every path that a reform may change, with its value now.")
@_as_json
def show(name: str, reforms: tuple[str, ...], lang: str, names: bool, as_json: bool) -> None:
    """Render the policy NAME in words, each value with its source.

    Of several versions, the one in force today is shown (the latest where none is); name a date for another, as in
    cn/beijing@2019-01-01.

    \b
    Examples:
      medfloor policy show cn/beijing@2023-01-01 --lang zh
      medfloor policy show cn/beijing --names
    """
    from medfloor.policy.load import load_policy
    from medfloor.policy.show import names_text
    from medfloor.policy.show import show as show_policy
    from medfloor.words import say

    policies = load_policy(name, reforms)
    policy = _in_force(policies)
    if names and as_json:
        from medfloor.policy.numbers import leaves_of

        _print_json({leaf.address: _plain(leaf) for leaf in leaves_of(policy)})
    elif as_json:
        _print_json(policy.model_dump(mode="json", by_alias=True, exclude_none=True))
    elif names:
        click.echo(names_text(policy, lang), nl=False)
    else:
        others = [version.from_.isoformat() for version in policies.versions if version is not policy]
        text = show_policy(policy, lang)
        if others:
            head, _, rest = text.partition("\n")
            text = f"{head}\n{say('show.others', lang, dates=', '.join(others))}\n{rest}"
        click.echo(text, nl=False)


@command.command()
def schema() -> None:
    """Print the JSON Schema of policy files and reforms (draft 2020-12).

    Point your editor to it and it completes keys and marks mistakes.

    \b
    Example:
      medfloor policy schema > policy.schema.json
    """
    from medfloor.policy.schema import schema_text

    click.echo(schema_text(), nl=False)


@command.command()
@click.argument("name")
@_reforms
@_lang
@_as_json
@click.pass_context
def check(ctx: click.Context, name: str, reforms: tuple[str, ...], lang: str, as_json: bool) -> None:
    """Find what is wrong, missing or doubtful in the policy NAME, with file and line.

    An error is a fault of the file, a warning a doubt to look at, a notice something to know. Exit codes: 0 nothing or
    notices only, 1 errors or warnings, 2 the file cannot be loaded.

    \b
    Examples:
      medfloor policy check cn/beijing
      medfloor policy check cn/beijing --reform reform.yaml --lang zh
    """
    from medfloor.policy.check import check as check_policy
    from medfloor.policy.check import count_severities, summary_text
    from medfloor.words import say

    findings = check_policy(name, reforms)
    if as_json:
        _print_json(
            [
                {
                    "code": finding.code,
                    "severity": finding.severity,
                    "path": finding.path,
                    "file": str(finding.file),
                    "line": finding.line,
                    "message": finding.message(lang),
                }
                for finding in findings
            ]
        )
    else:
        for finding in findings:
            severity = say(f"severity.{finding.severity}", lang)
            click.echo(f"{finding.file}:{finding.line}: {severity} [{finding.code}] {finding.path}")
            click.echo(f"    {finding.message(lang)}")
        click.echo(summary_text(findings, lang))
    counts = count_severities(findings)
    if counts["error"] or counts["warning"]:
        ctx.exit(_FINDINGS)


@command.command()
@click.argument("before")
@click.argument("after", required=False)
@click.option("--reform", "reforms", multiple=True, metavar="FILE", help="Apply to the second policy; may be repeated.")
@click.option("--reform-a", "reforms_a", multiple=True, metavar="FILE", help="Apply to the first policy.")
@click.option("--reform-b", "reforms_b", multiple=True, metavar="FILE", help="The same as --reform.")
@_lang
@_as_json
def diff(
    before: str,
    after: str | None,
    reforms: tuple[str, ...],
    reforms_a: tuple[str, ...],
    reforms_b: tuple[str, ...],
    lang: str,
    as_json: bool,
) -> None:
    """List what changed from the policy BEFORE to the policy AFTER.

    Without AFTER, BEFORE is compared with itself under the reform.

    \b
    Examples:
      medfloor policy diff cn/beijing@2019-01-01 cn/beijing@2023-01-01
      medfloor policy diff cn/beijing --reform reform.yaml
    """
    from dataclasses import asdict

    from medfloor.policy.diff import change_text, diff_policies
    from medfloor.policy.load import load_policy
    from medfloor.words import say

    reforms_b = (*reforms, *reforms_b)
    if after is None and not (reforms_b or reforms_a):
        raise click.UsageError("name a second policy, or a reform with --reform")
    old = _in_force(load_policy(before, reforms_a))
    new = _in_force(load_policy(after or before, reforms_b))
    changes = diff_policies(old, new, lang)
    if as_json:
        _print_json([asdict(change) for change in changes])
        return
    titles = [_title(old, reforms_a), _title(new, reforms_b)]
    click.echo(say("diff.title", lang, before=titles[0], after=titles[1]))
    for change in changes:
        click.echo(f"[{say(f'diff.{change.kind}', lang)}] {change_text(change, lang)}")
    click.echo(say("diff.count", lang, count=len(changes)) if changes else say("diff.nothing", lang))


@command.command()
@click.argument("name")
@_reforms
@click.option(
    "--care-type",
    "care_types",
    multiple=True,
    type=click.Choice(["inpatient", "outpatient", "special_outpatient", "two_disease"]),
    help="Look at this kind of care only; may be given again.",
)
@_lang
@_as_json
def cliffs(name: str, reforms: tuple[str, ...], care_types: tuple[str, ...], lang: str, as_json: bool) -> None:
    """List where one more fen, or one status more or less, changes what the patient pays by a jump.

    The break points are found to the fen, for each care type, level, area and insured class, for the first claim of a
    year with all of its cost in one pool. For statuses the largest difference is listed, and where a status that is
    preferred makes the patient pay more. Of several versions, the one in force today is looked at.

    \b
    Examples:
      medfloor policy cliffs cn/neimenggu/ulanqab
      medfloor policy cliffs cn/beijing --care-type inpatient --lang zh
    """
    from medfloor.policy.load import load_policy
    from medfloor.policy.wording import text_of
    from medfloor.settlement.cliffs import search_cliffs
    from medfloor.words import say

    policy = _in_force(load_policy(name, reforms))
    search = search_cliffs(policy, care_types=care_types)
    if as_json:
        _print_json([cliff.to_dict() for cliff in search.cliffs])
        return
    click.echo(say("cliffs.title", lang, name=text_of(policy.name, lang), id=policy.id, start=policy.from_))
    for kind in ("cost", "worse_off", "status"):
        found = [cliff for cliff in search.cliffs if cliff.kind == kind]
        click.echo(f"\n{say(f'cliffs.head_{kind}', lang)}")
        for line in [cliff.text(lang) for cliff in found] or [say("cliffs.none", lang)]:
            click.echo(f"  {line}")
    if search.skipped:
        why = search.skipped[0][1].in_(lang)
        click.echo("\n" + say("cliffs.skipped", lang, n=len(search.skipped), why=why))


def _plain(leaf: Leaf) -> Any:
    """Give a value for programs; a number of law with its unit and condition."""
    if leaf.number is None:
        return leaf.value
    keep = {"value", "unit", "of", "column", "unlimited", "when"}
    return leaf.number.case.model_dump(mode="json", by_alias=True, include=keep, exclude_none=True)


def _in_force(policies: PolicySet) -> Policy:
    """Give the version in force today, or the latest."""
    index = policies.index_on(date.today())
    return policies.versions[-1 if index is None else index]


def _title(policy: Policy, reforms: tuple[str, ...]) -> str:
    return f"{policy.id}@{policy.from_}" + "".join(f" + {reform}" for reform in reforms)


def _summary(policy: Policy, lang: str) -> dict[str, Any]:
    """Sum up one version: name, tiers, how many values are missing, how many numbers rest on which trust."""
    from medfloor.policy.numbers import ground_of, numbers_of
    from medfloor.policy.wording import text_of

    trust: dict[str, int] = {}
    missing = 0
    for number in numbers_of(policy):
        if number.case.missing and number.case.column is None:
            missing += 1
        else:
            mark = ground_of(policy, number).trust
            trust[mark] = trust.get(mark, 0) + 1
    return {
        "name": text_of(policy.name, lang),
        "tiers": [tier.id for tier in policy.tiers],
        "missing": missing,
        "trust": trust,
    }


def _print_list(rows: list[dict[str, Any]], lang: str) -> None:
    from medfloor.terminal import aligned
    from medfloor.words import say

    heads = [say(f"policies.{head}", lang) for head in ("address", "dates", "name", "tiers", "missing", "trust")]
    cells = [heads]
    for row in rows:
        missing, trust = row["missing"], row["trust"]
        cells.append(
            [
                row["address"],
                ", ".join(row["dates"]),
                row["name"],
                ", ".join(row["tiers"]) or say("policies.none", lang),
                say("policies.count_missing", lang, count=missing) if missing else say("policies.complete", lang),
                ", ".join(f"{say(f'trust.{mark}', lang)} {count}" for mark, count in trust.items()),
            ]
        )
    click.echo("\n".join(aligned(cells)))


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=1, default=str))
