"""Keep the reforms that people write on a page: shipped ones to start from, saved ones as files named by their content.

A saved reform is text of law and nothing else; its address is the hash of its text, so it can be cited and never
changes. It is a file and no row, because jobs, the command line and a colleague's mail take files.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from medfloor.errors import ConflictError, NotFoundError
from medfloor.service.policy_texts import write_policy
from medfloor.service.settings import Settings

MOST = 1_000
"""So many reforms an office keeps; more are refused, so that nobody fills its disk."""

LONGEST = 131_072
"""Characters of a reform at most, as for `POST /api/v1/policies/check`."""

SHIPPED = Path(__file__).parents[1] / "policy" / "reforms"
"""Where an installed medfloor has the examples; in a checkout they are in examples/reforms."""

KEY = r"^(?:[a-z][a-z0-9_]{0,47}|[0-9a-f]{16})$"
"""What names a reform: the name of a shipped one, or sixteen hexadecimal digits of a saved one's hash."""


@dataclass(frozen=True, slots=True)
class Reform:
    """Be a reform as text: `key` names it, `over` is the policy that it was written over, `names` what it is called.

    `saved_by` and `saved_at` are empty for a shipped one; `others` are further policies that it is written for.
    """

    key: str
    text: str
    over: str
    names: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()
    saved_by: str = ""
    saved_at: datetime | None = None

    @property
    def shipped(self) -> bool:
        """Say whether it comes with medfloor."""
        return self.saved_at is None

    def title(self, lang: str) -> str:
        """Say what it is called; one without a name is called by its key."""
        return dict(self.names).get(lang) or self.key


@functools.cache
def shipped() -> tuple[Reform, ...]:
    """List the shipped reforms, by name.

    >>> "softer_cliff" in [one.key for one in shipped()]
    True
    """
    folder = SHIPPED if SHIPPED.is_dir() else Path(__file__).parents[3] / "examples" / "reforms"
    return tuple(_reform(file.stem, file.read_text(encoding="utf-8"), file) for file in sorted(folder.glob("*.yaml")))


def saved(settings: Settings) -> list[Reform]:
    """List the reforms that were saved in this office, the newest first."""
    files = _folder(settings).glob("*.json") if _folder(settings).is_dir() else ()
    found = [_saved(settings, file.stem) for file in files if re.fullmatch(KEY, file.stem)]
    return sorted(found, key=lambda one: (str(one.saved_at), one.key), reverse=True)


def find(settings: Settings, key: str) -> Reform:
    """Give a shipped or a saved reform. Raises NotFoundError (`no_such_reform`)."""
    known = next((one for one in shipped() if one.key == key), None)
    if known is not None:
        return known
    if not re.fullmatch(KEY, key) or not (_folder(settings) / f"{key}.json").is_file():
        raise NotFoundError("no_such_reform", "there is no reform of this name or hash in the office")
    return _saved(settings, key)


def keep(settings: Settings, text: str, over: str, *, login: str, now: datetime) -> Reform:
    """Save a reform, and give it with its key; the same text is kept once, with who saved it first.

    Raises ConflictError (`many_reforms`), and what `write_policy` raises for a text that may not be read.
    """
    text = normal(text)
    key = key_of(text)
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / f"{key}.json"
    if not told.is_file():
        if len(list(folder.glob("*.json"))) >= MOST:
            raise ConflictError("many_reforms", f"the office keeps {MOST} reforms; take some files out of its folder")
        part = folder / f".{key}.{os.getpid()}.yaml"
        try:
            write_policy(part, text)
            os.replace(part, folder / f"{key}.yaml")
        finally:
            part.unlink(missing_ok=True)
        # What is told of it comes last: a reform whose text is not yet there cannot be found.
        part.write_text(json.dumps({"over": over, "by": login, "at": now.isoformat()}), encoding="utf-8")
        os.replace(part, told)
    return _saved(settings, key)


def normal(text: str) -> str:
    r"""Give a text as it is saved: one kind of line end, none but one at the end.

    >>> normal("change:\r\n  a: 1 \r\n\r\n")
    'change:\n  a: 1\n'
    """
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return "\n".join(lines).strip("\n") + "\n"


def key_of(text: str) -> str:
    """Give the key of a text.

    >>> key_of("change: {}")
    '8614d8c3937e6e70'
    """
    return hashlib.sha256(normal(text).encode()).hexdigest()[:16]


def _folder(settings: Settings) -> Path:
    return Path(settings.jobs_folder) / "reforms"


def _saved(settings: Settings, key: str) -> Reform:
    folder = _folder(settings)
    told: dict[str, Any] = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
    file = folder / f"{key}.yaml"
    at = datetime.fromisoformat(told["at"])
    return _reform(key, file.read_text(encoding="utf-8"), file, over=told["over"], saved_by=told["by"], saved_at=at)


def _reform(key: str, text: str, file: Path, *, over: str = "", saved_by: str = "", saved_at: Any = None) -> Reform:
    from medfloor.errors import PolicyError
    from medfloor.simulation.reform import read_about

    try:
        about = read_about(file)
    except PolicyError:
        return Reform(key, text, over, (), (), saved_by, saved_at)  # what it says about itself is not needed to read it
    names = (("zh", about.name.zh), ("en", about.name.en)) if about.name else ()
    written_for = tuple(dict.fromkeys(one.policy for one in about.baselines))
    return Reform(key, text, over or next(iter(written_for), ""), names, written_for, saved_by, saved_at)
