"""Keep an office's own policy files: those that people upload, and the file that the office settles by, as it was read.

An own policy is text of law and nothing else, kept as a file that is named by its content: `own/0123456789abcdef` says
the same for ever, so a job, a curve and a reform over it can be found again. A file of the server is never named.
"""

from __future__ import annotations

import functools
import json
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfloor.errors import ConflictError, NotFoundError, PolicyError, UsageError
from medfloor.policy.load import PolicySet, load_policy
from medfloor.service.policy_texts import write_policy
from medfloor.service.reforms import key_of, normal

if TYPE_CHECKING:
    from medfloor.policy.model import Policy

MOST = 200
"""So many policies an office keeps; more are refused, so that nobody fills its disk."""

LONGEST = 524_288
"""Characters of a policy at most: the longest of the library has a tenth of it."""

ADDRESS = re.compile(r"own/(?P<key>[0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class OwnPolicy:
    """Be a policy that the office keeps: its address, the law, who brought it and when."""

    address: str
    law: Policy
    saved_by: str
    saved_at: datetime


def kept(folder: Path) -> list[OwnPolicy]:
    """List the policies that were brought into an office, the newest first; `folder` is that of its jobs."""
    found = []
    for told in (folder / "policies").glob("*.json"):
        about: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
        law = load_own(folder, f"own/{told.stem}").versions[-1]
        found.append(OwnPolicy(f"own/{told.stem}", law, about["by"], datetime.fromisoformat(about["at"])))
    return sorted(found, key=lambda one: (one.saved_at, one.address), reverse=True)


def keep(folder: Path, text: str, *, login: str, now: datetime) -> str:
    """Keep a policy that can be read, and give its address; the same text is kept once, with who brought it first.

    Raises PolicyError with the line for one that cannot be read, UsageError (`policy_length`, `policy_text`),
    ConflictError (`many_policies`).
    """
    address = read(text)
    place = folder / "policies"
    place.mkdir(parents=True, exist_ok=True)
    told = place / f"{address.rpartition('/')[2]}.json"
    if not told.is_file():
        if len(list(place.glob("*.json"))) >= MOST:
            raise ConflictError("many_policies", f"the office keeps {MOST} policies; take some files out of its folder")
        _write(folder, address, normal(text))
        _replace(told, json.dumps({"by": login, "at": now.isoformat()}))
    return address


def read(text: str) -> str:
    """See that a text can be read as one policy, all that settling needs of it, and give the address it would have.

    Raises what `keep` raises; messages name `policy.yaml` and no folder of the server.
    """
    from medfloor.settlement.batch import Law

    if not text.strip() or len(text) > LONGEST:
        raise UsageError("policy_length", f"a policy has 1 to {LONGEST:,} characters")
    with tempfile.TemporaryDirectory(prefix="medfloor-policy-") as place:
        try:
            found = load_policy(str(write_policy(Path(place) / "policy.yaml", normal(text))))
            if len(found.versions) != 1:
                raise PolicyError(
                    "policy_versions", "policy.yaml: extends a place with several versions; say which with from: DAY"
                )
            Law.of(found)
        except PolicyError as error:
            raise PolicyError(error.code, error.message.replace(f"{place}/", "")) from None
        except (RecursionError, ValueError, ArithmeticError, TypeError, KeyError, AttributeError):
            raise PolicyError("policy_syntax", "the text cannot be read as a policy; see docs/policies.md") from None
    return f"own/{key_of(text)}"


def snapshot(folder: Path, law: Policy) -> str:
    """Keep the law by which an office settles, as it was read from its own files, and give its address.

    The file may change on the disk and may extend others there; what is kept is what settles, and it stays.
    """
    text, address = _as_read(_Same(law))
    if not _file(folder, address).is_file():
        (folder / "policies").mkdir(parents=True, exist_ok=True)
        _write(folder, address, text)
    return address


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """Be a law as a key: the same object is the same law, and comparing its content would cost what is saved."""

    law: Policy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.law is self.law

    def __hash__(self) -> int:
        return id(self.law)


@functools.lru_cache(maxsize=4)
def _as_read(same: _Same) -> tuple[str, str]:
    raw = same.law.model_dump(mode="json", by_alias=True, exclude_unset=True)
    raw.pop("extends", None)  # what it extends is in it already
    text = normal(json.dumps(raw, ensure_ascii=False, indent=1))
    return text, f"own/{key_of(text)}"


def source_of(folder: Path, address: str) -> str:
    """Give what `load_policy` takes for an address: an own policy's file, of which one version serves every claim.

    Raises NotFoundError (`policy_not_found`) for an own policy that is not kept here; another address is given back.
    """
    if not address.startswith("own/"):
        return address
    if ADDRESS.fullmatch(address) is None or not _file(folder, address).is_file():
        raise NotFoundError("policy_not_found", "the office keeps no policy of this address")
    return f"{_file(folder, address)}@9999-12-31"


def text_of_own(folder: Path, address: str) -> str:
    """Give the text of a policy that is kept. Raises NotFoundError (`policy_not_found`)."""
    source_of(folder, address)
    return _file(folder, address).read_text(encoding="utf-8")


def load_own(folder: Path, address: str) -> PolicySet:
    """Load a policy that is kept. Raises NotFoundError (`policy_not_found`)."""
    return _loaded(source_of(folder, address))


@functools.lru_cache(maxsize=64)
def _loaded(source: str) -> PolicySet:
    # The name of the file is the hash of its content, so what was read once is right for ever.
    return load_policy(source)


def without_folder(message: str, folder: Path) -> str:
    """Name policies in a message by their address, not by the folder of the server in which they are kept."""
    place = re.escape(f"{folder / 'policies'}/")
    return re.sub(rf"{place}([0-9a-f]{{16}})\.yaml(@9999-12-31)?", r"own/\1", message)


def jobs_folder_of(source: str) -> Path:
    """Give the folder of jobs beside which an own policy's file is kept; of a policy of the library it means nothing.

    >>> jobs_folder_of("/srv/jobs/policies/0123456789abcdef.yaml@9999-12-31").as_posix()
    '/srv/jobs'
    """
    return Path(source).parent.parent


def _file(folder: Path, address: str) -> Path:
    return folder / "policies" / f"{address.rpartition('/')[2]}.yaml"


def _write(folder: Path, address: str, text: str) -> None:
    _replace(_file(folder, address), text)


def _replace(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
