"""Keep other sites from writing in the name of someone who is signed in.

A browser sends the cookie by itself, so whoever writes with the cookie must also show the session's token, which
only our own pages can read. Programs with a Bearer token send nothing by themselves and need none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from medfloor.errors import AccessError

HEADER = "x-csrf-token"
FIELD = "csrf_token"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def token_of(secret: str) -> str:
    """Give the token that a session's pages send along, from the session's secret.

    >>> len(token_of("secret"))
    43
    """
    digest = hmac.digest(secret.encode(), b"medfloor csrf", hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def check_token(secret: str | None, shown: str | None) -> None:
    """Go on only if the token shown is the session's. Raises AccessError (`csrf`)."""
    if not secret or not shown or not hmac.compare_digest(token_of(secret).encode(), shown.encode("utf-8", "replace")):
        raise AccessError("csrf", "this write lacks the session's token; send it as X-CSRF-Token (GET /api/v1/session)")


def check_site(headers: Mapping[str, str], public_url: str | None) -> None:
    """Go on only if a browser does not say that another site asks. Raises AccessError (`csrf`).

    >>> check_site({"sec-fetch-site": "same-origin"}, None)
    >>> check_site({"origin": "https://elsewhere.example", "host": "office.example"}, None)
    Traceback (most recent call last):
    medfloor.errors.AccessError: the request comes from another site
    """
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise AccessError("csrf", "the request comes from another site")
    origin = headers.get("origin")
    if origin is None:
        return
    own = {headers.get("host", "").lower()}
    if public_url:
        own.add(_host(public_url))
    if _host(origin) not in own:
        raise AccessError("csrf", "the request comes from another site")


def _host(address: str) -> str:
    """Give host and port of an address; of one that is none (`null`, broken) something that no site is called."""
    try:
        return urlsplit(address).netloc.lower() or "/"
    except ValueError:
        return "/"
