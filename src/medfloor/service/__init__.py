"""Serve the office over HTTP: `create_app(settings)` is the only wiring, `Settings` what an office may set.

Nothing here computes a payment or keeps a record: routes read what was asked, look at who asks, call
`medfloor.store`, and say what came out or went wrong.
"""

from __future__ import annotations

from medfloor.service.settings import Settings, settings_from

__all__ = ["Settings", "settings_from"]
