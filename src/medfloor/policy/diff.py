"""List what changed between two policies: two dates, two places, or with and without a reform.

Values and switches are compared, not their words: a new quotation for the same number is no change. Cases are matched
by their condition, not by their position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from medfloor.policy.model import Case, Policy, When
from medfloor.policy.numbers import Leaf, address_of, ground_of, leaves_of
from medfloor.policy.wording import condition_text, ground_text, value_text
from medfloor.words import join, say


@dataclass(frozen=True)
class Change:
    """Be one change: the path, the condition, the value before and after in words, and what the new one rests on.

    `old` is None for what was added, `new` for what was taken out.
    """

    kind: Literal["added", "removed", "changed"]
    path: str
    when: str | None
    old: str | None
    new: str | None
    source: str


def diff_policies(before: Policy, after: Policy, lang: str = "en") -> list[Change]:
    """List the changes from one policy to another, in the order of the later file, what was taken out last.

    >>> from medfloor.policy.load import load_policy
    >>> old, new = (load_policy(f"cn/beijing@{day}").versions[0] for day in ("2018-01-01", "2019-01-01"))
    >>> change = diff_policies(old, new)[0]
    >>> change.path, change.new
    ('tiers/critical_illness/prefer', 'tekun, dibao, dibao_marginal')
    """
    old, new = _by_key(before), _by_key(after)
    changes: list[Change] = []
    for key, leaf in new.items():
        if key not in old:
            changes.append(_change("added", before, None, after, leaf, lang))
        elif _worth(old[key]) != _worth(leaf):
            changes.append(_change("changed", before, old[key], after, leaf, lang))
    changes.extend(_change("removed", before, leaf, after, None, lang) for key, leaf in old.items() if key not in new)
    return changes


def change_text(change: Change, lang: str) -> str:
    """Say one change in a line or two."""
    absent = say("diff.absent", lang)
    path = f"{change.path} ({say('diff.when', lang, when=change.when)})" if change.when else change.path
    line = say("diff.line", lang, path=path, old=change.old or absent, new=change.new or absent)
    return f"{line}\n    {change.source}" if change.source else line


def _by_key(policy: Policy) -> dict[tuple[Any, ...], Leaf]:
    """Index the leaves by path, and the cases of one parameter by their condition."""
    found: dict[tuple[Any, ...], Leaf] = {}
    for leaf in leaves_of(policy):
        key: tuple[Any, ...] = leaf.path
        if leaf.number is not None:
            when = leaf.number.case.when
            key = (*leaf.number.param, when.model_dump_json(exclude_none=True) if when else "")
        while key in found:
            key = (*key, "again")
        found[key] = leaf
    return found


def _worth(leaf: Leaf) -> tuple[Any, ...]:
    if leaf.number is None:
        return (leaf.value,)
    case = leaf.number.case
    return case.value, case.unit, case.of, case.column, case.unlimited


def _change(
    kind: Literal["added", "removed", "changed"],
    before: Policy,
    old: Leaf | None,
    after: Policy,
    new: Leaf | None,
    lang: str,
) -> Change:
    leaf, policy = (new, after) if new is not None else (old, before)
    assert leaf is not None
    number = leaf.number
    when: When | None = number.case.when if number else None
    return Change(
        kind,
        address_of(number.param) if number else leaf.address,
        condition_text(policy, when, lang) if when else None,
        None if old is None else _said(before, old, lang),
        None if new is None else _said(after, new, lang),
        ground_text(ground_of(policy, number), lang) if number else "",
    )


def _said(policy: Policy, leaf: Leaf, lang: str) -> str:
    if leaf.number is not None:
        case: Case = leaf.number.case
        return value_text(policy, case, lang)
    if isinstance(leaf.value, (list, tuple)):
        return join([str(item) for item in leaf.value], lang)
    if isinstance(leaf.value, bool):
        return say("diff.yes" if leaf.value else "diff.no", lang)
    return str(leaf.value)
