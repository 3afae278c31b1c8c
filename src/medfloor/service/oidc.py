"""Let people come by the office's own log-in: OpenID Connect, authorization code with PKCE, state and nonce.

What must be remembered between going and coming back (state, nonce, the verifier of PKCE) travels in a cookie that
only this office's keys can open, so that any worker can finish what another one began. Nothing but issuer and
subject is taken from the provider: role and place are the office's own decision.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from medfloor.errors import AccessError, InputError, StoreError, UsageError
from medfloor.service.settings import Settings
from medfloor.store.keys import Keyring

if TYPE_CHECKING:
    import httpx

STATE_COOKIE = "medfloor_oidc"
STATE_SECONDS = 600
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures of id tokens that are believed; never `none`, never one with a shared secret."""

LEEWAY_SECONDS = 60
_BEGINS = "medfloor oidc:"
_METADATA_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Known:
    """Be whom the provider vouches for."""

    issuer: str
    subject: str


class Provider:
    """Talk to the office's OpenID provider. `clock` gives seconds since 1970.

    Raises UsageError (`bad_setting`) for an issuer without TLS that is not on this machine, InputError for a
    secret's file that cannot be read.
    """

    def __init__(self, settings: Settings, keyring: Keyring, *, clock: Callable[[], float] = time.time) -> None:
        assert (
            settings.oidc_issuer is not None and settings.oidc_client_id is not None and settings.public_url is not None
        )
        if urlsplit(settings.oidc_issuer).scheme != "https" and not _on_this_machine(settings.oidc_issuer):
            raise UsageError("bad_setting", "MEDFLOOR_OIDC_ISSUER must begin with https://")
        self.issuer = settings.oidc_issuer.rstrip("/")
        self.client_id = settings.oidc_client_id
        self.secret = _secret_of(settings)
        self.back = settings.public_url.rstrip("/") + "/api/v1/session/oidc/back"
        self.keyring, self.clock = keyring, clock
        self._metadata: tuple[float, dict[str, Any]] | None = None

    async def begin(self) -> tuple[str, str]:
        """Say where to send the browser, and the cookie that it must bring back. Raises StoreError `provider_away`."""
        metadata = await self._discover()
        verifier, state, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code", "scope": "openid", "client_id": self.client_id, "redirect_uri": self.back,
            "state": state, "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        kept = {"state": state, "nonce": nonce, "verifier": verifier, "until": self.clock() + STATE_SECONDS}
        sealed = base64.urlsafe_b64encode(self.keyring.encrypt(_BEGINS + json.dumps(kept))).decode()
        begins = str(metadata["authorization_endpoint"])
        return f"{begins}{'&' if '?' in begins else '?'}{urlencode(query)}", sealed

    async def finish(self, *, code: str, state: str, cookie: str) -> Known:
        """Take the browser back: give whom the provider vouches for.

        Raises AccessError (`oidc_refused`) for a return that nobody began here, that is late, or whose token is not
        good; StoreError (`provider_away`).
        """
        kept = self._open(cookie)
        if not hmac.compare_digest(str(kept["state"]).encode(), state.encode("utf-8", "replace")):
            raise _refused()
        metadata = await self._discover()
        token = await self._token(metadata, code, str(kept["verifier"]))
        keys = await _fetch(lambda client: client.get(str(metadata["jwks_uri"])))
        return self._checked(token, keys, str(kept["nonce"]))

    def _open(self, cookie: str) -> dict[str, Any]:
        try:
            text = self.keyring.decrypt(base64.urlsafe_b64decode(cookie.encode("ascii", "replace")))
            kept: dict[str, Any] = json.loads(text.removeprefix(_BEGINS)) if text.startswith(_BEGINS) else {}
        except Exception:
            # Whatever a stranger puts into a cookie, it is not ours.
            raise _refused() from None
        if float(kept.get("until", 0)) < self.clock():
            raise _refused()
        return kept

    async def _discover(self) -> dict[str, Any]:
        if self._metadata is not None and self.clock() < self._metadata[0]:
            return self._metadata[1]
        found = await _fetch(lambda client: client.get(f"{self.issuer}/.well-known/openid-configuration"))
        needed = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
        # An issuer that calls itself otherwise is another one (mix-up).
        if any(not isinstance(found.get(name), str) for name in needed) or found["issuer"].rstrip("/") != self.issuer:
            raise StoreError(
                "provider_away", "the OIDC provider does not describe itself as MEDFLOOR_OIDC_ISSUER names it"
            )
        self._metadata = (self.clock() + _METADATA_SECONDS, found)
        return found

    async def _token(self, metadata: dict[str, Any], code: str, verifier: str) -> str:
        import httpx

        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.back, "code_verifier": verifier,
            "client_id": self.client_id,
        }  # fmt: skip
        auth: httpx.Auth = httpx.Auth()
        if self.secret is not None:
            ways = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
            if "client_secret_basic" in ways:
                auth = httpx.BasicAuth(self.client_id, self.secret)
            else:
                form["client_secret"] = self.secret
        answer = await _fetch(lambda client: client.post(str(metadata["token_endpoint"]), data=form, auth=auth))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise _refused()
        return token

    def _checked(self, token: str, keys: dict[str, Any], nonce: str) -> Known:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        try:
            claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=ALGORITHMS).claims  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError):
            raise _refused() from None
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        now = self.clock()
        expires, issued, subject = claims.get("exp"), claims.get("iat"), claims.get("sub")
        good = (
            str(claims.get("iss", "")).rstrip("/") == self.issuer
            and self.client_id in audiences
            # Given to several, the token must have been asked for by us.
            and (len(audiences) == 1 or claims.get("azp") == self.client_id)
            and isinstance(expires, int | float)
            and expires > now - LEEWAY_SECONDS
            and isinstance(issued, int | float)
            and issued < now + LEEWAY_SECONDS
            and hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode())
            and isinstance(subject, str)
            and 0 < len(subject) <= 255
        )
        if not good:
            raise _refused()
        return Known(self.issuer, str(subject))


async def _fetch(ask: Callable[[httpx.AsyncClient], Any]) -> dict[str, Any]:
    """Ask the provider, and give its object of JSON."""
    import httpx

    try:
        async with httpx.AsyncClient(timeout=10.0, follow_redirects=False) as client:
            response: httpx.Response = await ask(client)
        if 400 <= response.status_code < 500:
            raise _refused()
        found = response.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        raise StoreError(
            "provider_away", "the OIDC provider does not answer as it should; try again in a minute"
        ) from None
    if not isinstance(found, dict):
        raise StoreError("provider_away", "the OIDC provider does not answer as it should; try again in a minute")
    return found


def _secret_of(settings: Settings) -> str | None:
    if settings.oidc_client_secret_file is None:
        return None
    try:
        return settings.oidc_client_secret_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise InputError(
            "no_secret_file", "the file of MEDFLOOR_OIDC_CLIENT_SECRET_FILE cannot be read; check path and permissions"
        ) from None


def _on_this_machine(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refused() -> AccessError:
    return AccessError("oidc_refused", "the office's log-in did not let you in; begin again")
