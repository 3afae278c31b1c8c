"""Keep personal data unreadable without keys that are never in the store.

A ring holds one secret a key; what is enciphered names its key, so that old rows stay readable after a rotation.
Names, identity numbers and refused rows are enciphered with AES-256-GCM; an identity number is found again by
HMAC-SHA256 of its one spelling, so that whoever has the store without the keys can neither read nor guess it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medfloor.errors import StoreError, UsageError
from medfloor.store.identity import normalise_identity

KEYS = "MEDFLOOR_KEYS"
"""The environment variable that may hold the text of a keys file."""

KEYS_FILE = "MEDFLOOR_KEYS_FILE"
"""The environment variable that may name a keys file."""

DEFAULT_FILE = "medfloor.keys"
"""The keys file in the folder where medfloor runs, when nothing else is named."""

_FORM = 1
_SECRET_BYTES = 32
_NONCE_BYTES = 12
_ID_BYTES = 4


@dataclass(frozen=True)
class Keyring:
    """Be the keys of an office: those it has, and which of them is used for what is new.

    `active` is used; `coming` is the key to which a rotation is under way. Nothing secret is in the repr.

    >>> ring = new_keys()
    >>> ring.decrypt(ring.encrypt("张三丰"))
    '张三丰'
    >>> ring.lookup("11010519491231002x") == ring.lookup("110105491231002")
    True
    >>> ring.open_row(ring.seal_row({"name": "张三丰"}))
    {'name': '张三丰'}
    """

    active: str
    secrets: Mapping[str, bytes] = field(repr=False)
    coming: str | None = None

    def encrypt(self, text: str) -> bytes:
        """Encipher a text with the active key; the same text gives other bytes each time."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        head = bytes([_FORM]) + bytes.fromhex(self.active)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return head + nonce + AESGCM(self._derive(self.active, "encipher")).encrypt(nonce, text.encode("utf-8"), head)

    def decrypt(self, sealed: bytes) -> str:
        """Read what `encrypt` made. Raises StoreError: key_missing, cipher_broken."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        sealed = bytes(sealed)
        start = 1 + _ID_BYTES
        head, nonce, rest = sealed[:start], sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        if len(sealed) < start + _NONCE_BYTES + 16 or head[0] != _FORM:
            raise StoreError("cipher_broken", "an enciphered value of the store is broken; restore a backup")
        try:
            return AESGCM(self._derive(head[1:].hex(), "encipher")).decrypt(nonce, rest, head).decode("utf-8")
        except InvalidTag:
            raise StoreError(
                "cipher_broken", "an enciphered value of the store was changed, or the keys are of another office"
            ) from None

    def key_of(self, sealed: bytes) -> str:
        """Give the id of the key with which a value was enciphered."""
        return bytes(sealed)[1 : 1 + _ID_BYTES].hex()

    def lookup(self, number: str) -> str:
        """Give what an identity number is found by: the key's id and a keyed hash of its one spelling (52 places)."""
        return f"{self.active}:{self._mac(self.active, 'look-up', normalise_identity(number))}"

    def pseudonym(self, text: str, *, purpose: str = "") -> str:
        """Give a name that says nothing for an id: the same within a purpose, another for another purpose."""
        return self._mac(self.active, f"pseudonym/{purpose}", text)[:22]

    def stand_ins(self, number: str) -> tuple[str, ...]:
        """Give what stands for a household that is named by an identity number: of each key, the active one first.

        Files of before a rotation made other ones: who has a stand-in of any key keeps it.
        """
        keys = sorted(self.secrets, key=lambda key: key != self.active)
        return tuple(f"h{self._mac(key, 'household', normalise_identity(number))[:22]}" for key in keys)

    def seal_row(self, row: Mapping[str, Any]) -> bytes:
        """Encipher a row as it came (what JSON can hold)."""
        return self.encrypt(json.dumps(dict(row), ensure_ascii=False, separators=(",", ":"), default=str))

    def open_row(self, sealed: bytes) -> dict[str, Any]:
        """Read what `seal_row` made. Raises what `decrypt` raises."""
        row: dict[str, Any] = json.loads(self.decrypt(sealed))
        return row

    def with_coming(self) -> Keyring:
        """Give the ring with a fresh key to rotate to, or as it is when a rotation is already under way."""
        if self.coming is not None:
            return self
        fresh = new_keys()
        return replace(self, secrets={**self.secrets, **fresh.secrets}, coming=fresh.active)

    def turned(self) -> Keyring:
        """Give the ring in which the coming key is the active one."""
        return self if self.coming is None else replace(self, active=self.coming, coming=None)

    def text(self) -> str:
        """Give the text of a keys file. It is secret."""
        kept = {name: base64.b64encode(secret).decode("ascii") for name, secret in self.secrets.items()}
        return json.dumps({"active": self.active, "coming": self.coming, "keys": kept}, indent=1) + "\n"

    def _derive(self, key: str, purpose: str) -> bytes:
        if key not in self.secrets:
            raise StoreError(
                "key_missing", f"the ring has no key {key}; use the keys file with which the store was made"
            )
        # One secret, one key a purpose: HMAC as the expanding half of HKDF (RFC 5869), the secret being uniform.
        return hmac.digest(self.secrets[key], b"medfloor/" + purpose.encode("utf-8") + b"\x01", hashlib.sha256)

    def _mac(self, key: str, purpose: str, text: str) -> str:
        digest = hmac.digest(self._derive(key, purpose), text.encode("utf-8"), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def new_keys() -> Keyring:
    """Make a ring with one fresh key."""
    key = secrets.token_hex(_ID_BYTES)
    return Keyring(key, {key: secrets.token_bytes(_SECRET_BYTES)})


def keyring_from(environment: Mapping[str, str], *, file: str | Path | None = None) -> Keyring:
    """Read the ring from a file, or what MEDFLOOR_KEYS_FILE names, or MEDFLOOR_KEYS itself, or medfloor.keys here.

    Raises UsageError: no_keys, keys_open (others may read the file), bad_keys.
    """
    path = file or environment.get(KEYS_FILE)
    if path:
        return _read(Path(path))
    if environment.get(KEYS):
        return ring_from_text(environment[KEYS], KEYS)
    if Path(DEFAULT_FILE).is_file():
        return _read(Path(DEFAULT_FILE))
    raise UsageError(
        "no_keys", f"there are no keys; name the office's keys file in {KEYS_FILE}, or make one: medfloor admin init"
    )


def ring_from_text(text: str, place: str = "the keys") -> Keyring:
    """Read the text of a keys file. Raises UsageError (`bad_keys`), whose message holds nothing of it."""
    try:
        found = json.loads(text)
        kept = {str(name): base64.b64decode(secret, validate=True) for name, secret in found["keys"].items()}
        ring = Keyring(found["active"], kept, found.get("coming"))
        whole = all(len(bytes.fromhex(name)) == _ID_BYTES and len(kept[name]) == _SECRET_BYTES for name in kept)
        if not whole or ring.active not in kept or (ring.coming is not None and ring.coming not in kept):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError("bad_keys", f"{place} holds no keys of medfloor; restore the office's keys file") from None
    return ring


def write_keys(path: str | Path, ring: Keyring, *, replace_file: bool = False) -> None:
    """Write a keys file that only its owner may read, whole or not at all; an old one stays unless `replace_file`.

    Raises UsageError (`keys_exist`).
    """
    target = Path(path).resolve()
    if target.exists() and not replace_file:
        raise UsageError("keys_exist", f"{target} is there and is never overwritten; name another file")
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(ring.text())
            file.flush()
            os.fsync(file.fileno())
        if replace_file:
            os.replace(beside, target)
        else:
            # A link fails where another was quicker; a rename would put ours in its place.
            try:
                os.link(beside, target)
            except FileExistsError:
                raise UsageError(
                    "keys_exist", f"{target} is there and is never overwritten; name another file"
                ) from None
    finally:
        beside.unlink(missing_ok=True)


def _read(path: Path) -> Keyring:
    if not path.is_file():
        raise UsageError("no_keys", f"there is no keys file {path}; name the office's keys file in {KEYS_FILE}")
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UsageError("keys_open", f"others may read {path}; run chmod 600 on it")
    return ring_from_text(path.read_text(encoding="utf-8"), str(path))
