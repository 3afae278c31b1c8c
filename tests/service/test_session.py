"""Signing in and out, cookies, CSRF, tokens, expiry, lock-out."""

from __future__ import annotations

from collections.abc import Callable

from office import PASSWORD, OfficeAtWork

from medfloor.store.engine import Store


def test_a_clerk_signs_in_and_is_known_by_the_cookie(office: OfficeAtWork) -> None:
    office.add_user("clerk1", "county_clerk")
    caller = office.stranger()
    answer = caller.post("/api/v1/session", json={"login": "clerk1", "password": PASSWORD})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
    me = caller.get("/api/v1/session").json()
    assert (me["login"], me["role"], me["place"], me["kind"]) == ("clerk1", "county_clerk", "150981", "browser")
    assert "settle" in me["permissions"]


def test_behind_tls_the_cookie_is_secure_and_bound_to_the_host(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork]
) -> None:
    office = open_office(sqlite_store, https=True)
    office.add_user("clerk1", "county_clerk")
    caller = office.stranger(scheme="https")
    answer = caller.post("/api/v1/session", json={"login": "clerk1", "password": PASSWORD})
    assert "__Host-medfloor=" in answer.headers["set-cookie"] and "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert caller.get("/api/v1/session").status_code == 200


def test_who_shows_nothing_is_asked_to_sign_in(small_office: OfficeAtWork) -> None:
    answer = small_office.stranger().get("/api/v1/session", headers={"accept-language": "en"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    body = answer.json()
    assert (body["code"], body["title"]) == ("not_signed_in", "Sign in first")
    assert body["instance"].endswith(answer.headers["x-request-id"])


def test_a_write_by_cookie_needs_the_token_of_the_session(small_office: OfficeAtWork) -> None:
    small_office.add_user("clerk1", "county_clerk")
    caller = small_office.signed_in("clerk1")
    token = caller.headers.pop("x-csrf-token")
    assert caller.delete("/api/v1/session").json()["code"] == "csrf"
    assert caller.delete("/api/v1/session", headers={"x-csrf-token": b"\xfc"}).json()["code"] == "csrf"
    assert caller.delete("/api/v1/session", headers={"x-csrf-token": token + "x"}).json()["code"] == "csrf"
    foreign = {"x-csrf-token": token, "origin": "https://elsewhere.example"}
    assert caller.delete("/api/v1/session", headers=foreign).json()["code"] == "csrf"
    for broken in ("null", "http://[", "x"):
        answer = caller.delete("/api/v1/session", headers={"x-csrf-token": token, "origin": broken})
        assert answer.json()["code"] == "csrf"
    own = {"x-csrf-token": token, "origin": "http://office.example", "sec-fetch-site": "same-origin"}
    assert caller.delete("/api/v1/session", headers=own).status_code == 204


def test_another_site_cannot_sign_a_browser_in(small_office: OfficeAtWork) -> None:
    small_office.add_user("clerk1", "county_clerk")
    answer = small_office.stranger().post(
        "/api/v1/session", json={"login": "clerk1", "password": PASSWORD}, headers={"sec-fetch-site": "cross-site"}
    )
    assert answer.json()["code"] == "csrf"


def test_signing_out_ends_the_session_at_once(office: OfficeAtWork) -> None:
    office.add_user("clerk1", "county_clerk")
    caller = office.signed_in("clerk1")
    kept = {"cookie": f"medfloor={caller.client.cookies['medfloor']}"}
    assert caller.get("/api/v1/session").status_code == 200
    assert caller.delete("/api/v1/session").status_code == 204
    assert office.stranger().get("/api/v1/session", headers=kept).status_code == 401


def test_signing_in_again_gives_another_session_and_ends_the_one_before(small_office: OfficeAtWork) -> None:
    small_office.add_user("clerk1", "county_clerk")
    caller = small_office.signed_in("clerk1")
    before = caller.client.cookies["medfloor"]
    answer = caller.post("/api/v1/session", json={"login": "clerk1", "password": PASSWORD})
    assert answer.status_code == 200
    assert caller.client.cookies["medfloor"] != before
    old = small_office.stranger().get("/api/v1/session", headers={"cookie": f"medfloor={before}"})
    assert old.status_code == 401


def test_sessions_end_when_idle_and_at_the_latest_after_the_day(small_office: OfficeAtWork) -> None:
    small_office.add_user("clerk1", "county_clerk")
    caller = small_office.signed_in("clerk1")
    for _ in range(3):
        small_office.clock.forward(minutes=20)
        small_office.running.sessions.forget(session_id=1)
        assert caller.get("/api/v1/session").status_code == 200
    small_office.clock.forward(minutes=31)
    small_office.running.sessions.forget(session_id=1)
    assert caller.get("/api/v1/session").json()["code"] == "session_over"
    caller = small_office.signed_in("clerk1")
    for _ in range(40):
        small_office.clock.forward(minutes=15)
        small_office.running.sessions.forget(session_id=2)
        last = caller.get("/api/v1/session").status_code
    assert last == 401


def test_a_token_of_a_program_works_without_csrf_and_ends_at_once(office: OfficeAtWork) -> None:
    office.add_user("clerk1", "county_clerk")
    caller = office.signed_in("clerk1")
    made = caller.post("/api/v1/session/tokens", json={"label": "hospital interface", "days": 30})
    assert made.status_code == 201
    program = office.stranger()
    program.headers["authorization"] = f"Bearer {made.json()['token']}"
    assert program.get("/api/v1/session").json()["kind"] == "token"
    assert program.get("/api/v1/session").json()["csrf_token"] is None
    again = program.post("/api/v1/session/tokens", json={"label": "another"})
    assert (again.status_code, again.json()["code"]) == (403, "token_by_token")
    listed = caller.get("/api/v1/session/tokens").json()["tokens"]
    assert [one["kind"] for one in listed] == ["browser", "token"] and "token" not in listed[1]
    assert caller.delete(f"/api/v1/session/tokens/{made.json()['id']}").status_code == 204
    assert program.get("/api/v1/session").status_code == 401
    assert caller.delete(f"/api/v1/session/tokens/{made.json()['id']}").status_code == 404


def test_a_cookie_is_no_bearer_token(small_office: OfficeAtWork) -> None:
    small_office.add_user("clerk1", "county_clerk")
    caller = small_office.signed_in("clerk1")
    stolen = {"authorization": f"Bearer {caller.client.cookies['medfloor']}"}
    assert small_office.stranger().get("/api/v1/session", headers=stolen).status_code == 401


def test_a_wrong_password_locks_and_does_not_say_what_was_wrong(office: OfficeAtWork) -> None:
    office.add_user("clerk1", "county_clerk")
    caller = office.stranger()
    bodies = [
        caller.post("/api/v1/session", json={"login": name, "password": "wrong wrong wrong 1"}).json()
        for name in ("clerk1", "nobody", *["clerk1"] * 4)
    ]
    for body in bodies:
        body.pop("instance")
    assert all(body == bodies[0] for body in bodies) and bodies[0]["status"] == 401
    right = office.stranger(address="192.0.2.8").post("/api/v1/session", json={"login": "clerk1", "password": PASSWORD})
    assert right.status_code == 401
    office.clock.forward(minutes=16)
    right = office.stranger(address="192.0.2.8").post("/api/v1/session", json={"login": "clerk1", "password": PASSWORD})
    assert right.status_code == 200


def test_one_address_may_not_try_for_ever(sqlite_store: Store, open_office: Callable[..., OfficeAtWork]) -> None:
    office = open_office(sqlite_store, logins_a_minute=3)
    caller = office.stranger()
    codes = [
        caller.post("/api/v1/session", json={"login": f"nobody{i}", "password": "wrong wrong wrong"}).json()["code"]
        for i in range(5)
    ]
    assert codes == ["login_failed"] * 3 + ["too_many_logins"] * 2


def test_a_new_password_ends_all_sessions(small_office: OfficeAtWork) -> None:
    small_office.add_user("clerk1", "county_clerk")
    one, two = small_office.signed_in("clerk1"), small_office.signed_in("clerk1")
    wrong = one.post("/api/v1/session/password", json={"old": "not the old one", "new": "another 8 staple paper"})
    assert wrong.json()["code"] == "login_failed"
    weak = one.post("/api/v1/session/password", json={"old": PASSWORD, "new": "short"})
    assert (weak.status_code, weak.json()["code"]) == (400, "weak_password")
    done = one.post("/api/v1/session/password", json={"old": PASSWORD, "new": "another 8 staple paper"})
    assert done.status_code == 204
    assert one.get("/api/v1/session").status_code == two.get("/api/v1/session").status_code == 401


def test_a_disabled_account_is_out_at_once(office: OfficeAtWork) -> None:
    office.add_user("clerk1", "county_clerk")
    caller = office.signed_in("clerk1")
    admin = office.as_role("administrator", place="")
    assert admin.patch("/api/v1/users/clerk1", json={"active": False}).json()["active"] is False
    assert caller.get("/api/v1/session").status_code == 401
