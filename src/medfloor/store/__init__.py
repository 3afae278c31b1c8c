"""Remember what an office did: the register, the ledger, who works there and who looked.

The names are imported when they are used, so that roles can be asked without loading a database.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medfloor.store.engine import Store, default_address, open_store
    from medfloor.store.keys import Keyring, keyring_from, new_keys
    from medfloor.store.migrate import check, current, upgrade
    from medfloor.store.roles import Actor, may, require, sees

__all__ = [
    "Actor",
    "Keyring",
    "Store",
    "check",
    "current",
    "default_address",
    "keyring_from",
    "may",
    "new_keys",
    "open_store",
    "require",
    "sees",
    "upgrade",
]

_HOMES = {
    "Actor": "roles",
    "Keyring": "keys",
    "Store": "engine",
    "check": "migrate",
    "current": "migrate",
    "default_address": "engine",
    "keyring_from": "keys",
    "may": "roles",
    "new_keys": "keys",
    "open_store": "engine",
    "require": "roles",
    "sees": "roles",
    "upgrade": "migrate",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"medfloor.store has no {name}")
    return getattr(importlib.import_module(f"medfloor.store.{_HOMES[name]}"), name)
