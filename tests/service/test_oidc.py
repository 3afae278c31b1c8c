"""Coming by the office's own log-in, against a real provider on loopback."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from office import SYSTEM, OfficeAtWork

from medfloor.errors import AccessError, UsageError
from medfloor.service.oidc import STATE_COOKIE, Provider
from medfloor.service.settings import Settings, settings_from
from medfloor.store import users
from medfloor.store.engine import Store
from medfloor.store.keys import Keyring

BACK = "/api/v1/session/oidc/back"


PROVIDER = """
import sys, oidc_provider_mock
with oidc_provider_mock.run_server_in_thread(require_nonce=True) as server:
    print(server.server_port, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # In a process of its own: its libraries warn of changes of theirs, and warnings are errors here.
    log = tmp_path_factory.mktemp("provider") / "log"
    with log.open("w") as told:
        server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PROVIDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        )
        assert server.stdin is not None and server.stdout is not None
        port = server.stdout.readline().strip()
        assert port, log.read_text()
        yield f"http://localhost:{port}"
        server.stdin.close()
        server.wait(10)
        server.stdout.close()


@pytest.fixture
def oidc_office(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork], issuer: str, tmp_path: Path
) -> OfficeAtWork:
    secret = tmp_path / "secret"
    secret.write_text("a secret of the office\n")
    office = open_office(
        sqlite_store, oidc_issuer=issuer, oidc_client_id="medfloor", public_url="http://office.example",
        oidc_client_secret_file=secret,
    )  # fmt: skip
    office.add_user("clerk1", "county_clerk", password=None)
    return office


def link(office: OfficeAtWork, issuer: str, subject: str) -> None:
    with office.store.writing() as connection:
        users.link_oidc(connection, "clerk1", issuer=issuer, subject=subject, actor=SYSTEM, now=office.clock.now)


def provider_lets_in(address: str, subject: str) -> dict[str, str]:
    """Be the browser at the provider: sign in, and give what it sends back."""
    answer = httpx.post(address, data={"sub": subject}, follow_redirects=False)
    assert answer.status_code in (302, 303), answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def test_a_clerk_comes_by_the_log_in_of_the_office(oidc_office: OfficeAtWork, issuer: str) -> None:
    link(oidc_office, issuer, "subject-1")
    caller = oidc_office.stranger()
    going = caller.get("/api/v1/session/oidc")
    assert going.status_code == 302
    asked = parse_qs(urlsplit(going.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"] and len(asked["nonce"][0]) > 20 and len(asked["state"][0]) > 20
    assert "HttpOnly" in going.headers["set-cookie"]
    back = caller.get(BACK, params=provider_lets_in(going.headers["location"], "subject-1"))
    assert (back.status_code, back.headers["location"]) == (303, "/")
    assert caller.get("/api/v1/session").json()["login"] == "clerk1"
    assert "log_in_oidc" in {row["action"] for row in audited(oidc_office)}


def audited(office: OfficeAtWork) -> list[dict[str, Any]]:
    return office.as_role("auditor", place="").get("/api/v1/audit").json()["traces"]


def test_someone_whom_no_account_is_linked_with_stays_out(oidc_office: OfficeAtWork) -> None:
    caller = oidc_office.stranger()
    going = caller.get("/api/v1/session/oidc")
    back = caller.get(BACK, params=provider_lets_in(going.headers["location"], "subject-unknown"))
    assert (back.status_code, back.json()["code"]) == (403, "oidc_unknown")
    assert caller.get("/api/v1/session").status_code == 401


def test_a_return_that_this_browser_did_not_begin_is_refused(oidc_office: OfficeAtWork, issuer: str) -> None:
    link(oidc_office, issuer, "subject-1")
    caller, other = oidc_office.stranger(), oidc_office.stranger()
    answer = provider_lets_in(caller.get("/api/v1/session/oidc").headers["location"], "subject-1")
    other.get("/api/v1/session/oidc")
    for browser in (oidc_office.stranger(), other):
        assert browser.get(BACK, params=answer).json()["code"] == "oidc_refused"
    assert caller.get(BACK, params={**answer, "state": "x"}).json()["code"] == "oidc_refused"
    assert caller.get(BACK, params={**answer, "code": "x"}).json()["code"] == "oidc_refused"
    assert caller.get(BACK, params={"error": "access_denied"}).json()["code"] == "oidc_refused"
    assert caller.get(BACK).json()["code"] == "oidc_refused"
    # A code works once.
    assert caller.get(BACK, params=answer).status_code == 303
    again = oidc_office.stranger()
    again.client.cookies.set(STATE_COOKIE, "x" * 50)
    assert again.get(BACK, params=answer).json()["code"] == "oidc_refused"


def test_a_provider_that_is_away_is_told_and_local_accounts_still_work(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork]
) -> None:
    office = open_office(
        sqlite_store, oidc_issuer="http://127.0.0.1:9", oidc_client_id="medfloor", public_url="http://office.example"
    )
    answer = office.stranger().get("/api/v1/session/oidc")
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_away")
    office.add_user("clerk2", "county_clerk")
    assert office.signed_in("clerk2").get("/api/v1/session").status_code == 200


def test_without_a_provider_there_is_no_such_way(small_office: OfficeAtWork) -> None:
    assert small_office.stranger().get("/api/v1/session/oidc").json()["code"] == "no_oidc"
    assert small_office.stranger().get(BACK, params={"code": "x", "state": "y"}).json()["code"] == "no_oidc"


KEY = RSAKey.generate_key(2048, parameters={"kid": "k1"})
OTHER = RSAKey.generate_key(2048, parameters={"kid": "k1"})
ISSUER = "https://login.example"
NOW = 1_750_000_000.0  # the clock of these tests stands still, however long the run takes
GOOD: dict[str, Any] = {
    "iss": ISSUER, "aud": "medfloor", "sub": "s1", "nonce": "n1", "iat": NOW, "exp": NOW + 300,
}  # fmt: skip


@pytest.fixture
def provider(keyring: Keyring) -> Provider:
    settings = Settings(oidc_issuer=ISSUER, oidc_client_id="medfloor", public_url="https://office.example")
    return Provider(settings, keyring, clock=lambda: NOW)


def checked(provider: Provider, claims: dict[str, Any], key: Any = KEY, alg: str = "RS256") -> str:
    token = jwt.encode({"alg": alg, "kid": "k1"}, claims, key, algorithms=[alg])
    return provider._checked(token, KeySet([KEY]).as_dict(private=False), "n1").subject


def test_a_token_of_the_provider_for_us_is_believed(provider: Provider) -> None:
    assert checked(provider, GOOD) == "s1"
    assert checked(provider, {**GOOD, "aud": ["medfloor", "other"], "azp": "medfloor"}) == "s1"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"}, {"aud": "other"}, {"aud": ["medfloor", "other"]}, {"nonce": "n2"},
        {"exp": NOW - 3600}, {"iat": NOW + 3600}, {"sub": ""}, {"sub": 5}, {"exp": "tomorrow"},
        {"nonce": None}, {"aud": None}, {"azp": "other", "aud": ["medfloor", "other"]},
    ],
)  # fmt: skip
def test_a_token_that_is_not_for_this_log_in_is_refused(provider: Provider, claims: dict[str, Any]) -> None:
    with pytest.raises(AccessError):
        checked(provider, {**GOOD, **claims})


def test_a_token_signed_by_another_or_by_nobody_is_refused(provider: Provider) -> None:
    with pytest.raises(AccessError):
        checked(provider, GOOD, OTHER)
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "none"}, GOOD)
    )
    for token in (f"{head}.{body}.", "x", "a.b.c", ""):
        with pytest.raises(AccessError):
            provider._checked(token, KeySet([KEY]).as_dict(private=False), "n1")


def test_an_issuer_without_tls_is_only_taken_on_this_machine(keyring: Keyring) -> None:
    settings = Settings(oidc_issuer="http://login.example", oidc_client_id="x", public_url="https://office.example")
    with pytest.raises(UsageError, match="https"):
        Provider(settings, keyring)


def test_settings_of_oidc_belong_together() -> None:
    with pytest.raises(UsageError, match="MEDFLOOR_OIDC_CLIENT_ID"):
        settings_from({"MEDFLOOR_OIDC_ISSUER": "https://login.example"})
