"""Keep policies that come as text from reaching for files of the server, and from becoming more than it holds."""

from __future__ import annotations

import re
from pathlib import Path

from medfloor.errors import UsageError
from medfloor.policy.load import read_yaml
from medfloor.service.bodies.policies import LIBRARY_PATTERN


def write_policy(path: Path, text: str) -> Path:
    """Write a policy or reform that came as text into a file, and give the file.

    Raises UsageError (`policy_text`) for one that reaches for a file of the server or hides a bomb; PolicyError for one
    that is no YAML.
    """
    if _too_deep(text):
        raise UsageError("policy_text", "a policy given as text does not nest so deep; see docs/policies.md")
    if _has_alias(text):
        raise UsageError("policy_text", "a policy given as text has no anchors and aliases; write the values out")
    path.write_text(text, encoding="utf-8")
    parent = read_yaml(path).get("extends")
    if parent is not None and not re.fullmatch(LIBRARY_PATTERN, str(parent)):
        raise UsageError("policy_text", "a policy given as text extends one of the library, as cn/beijing")
    return path


def _too_deep(text: str) -> bool:
    """Say whether YAML nests deeper than any policy does; reading it would take seconds.

    >>> _too_deep("a: [[1], [2]]"), _too_deep("[" * 100), _too_deep("- " * 100)
    (False, True, True)
    """
    depth = most = 0
    for sign in re.findall(r"[\[\]{}]", text):
        depth += 1 if sign in "[{" else -1
        most = max(most, depth)
    return most > 40 or re.search(r"(?m)^ {200}|^\s*(?:[-?:]\s+){20}", text) is not None


def _has_alias(text: str) -> bool:
    """Say whether YAML repeats parts of itself, by which a few lines can become more than a machine holds."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.tokens import AliasToken, AnchorToken, TagToken

    try:
        return any(isinstance(token, AliasToken | AnchorToken | TagToken) for token in YAML(pure=True).scan(text))
    except (YAMLError, ValueError):
        return False  # what cannot be read is said by who reads it, with the line
