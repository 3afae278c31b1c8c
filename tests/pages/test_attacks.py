"""All pages together: no form without its token or from elsewhere, no frame, no keeping, no leading astray."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.routing import APIRoute
from office import OfficeAtWork

from medfloor.service.app import create_app
from medfloor.service.pages import home, refusals
from medfloor.service.settings import Settings
from medfloor.store.engine import Store
from medfloor.store.roles import ROLES

HTML = {"accept": "text/html", "accept-language": "en"}
SCRIPT = "<script>alert(1)</script>"


def routes() -> list[tuple[str, str]]:
    """List every page: its method and an address of it."""
    found = []
    for route in create_app(Settings()).routes:
        for one in getattr(route, "routes", None) or getattr(
            getattr(route, "original_router", None), "routes", [route]
        ):
            if isinstance(one, APIRoute) and not one.include_in_schema:
                path = one.path
                while "{" in path:
                    before, _, rest = path.partition("{")
                    path = f"{before}1{rest.partition('}')[2]}"
                found += [(method, path) for method in one.methods or ()]
    return sorted(set(found))


PAGES = [path for method, path in routes() if method == "GET" and not path.startswith(("/static", "/language"))]
FORMS = [path for method, path in routes() if method == "POST" and path != "/login"]


def test_there_are_pages_and_forms() -> None:
    assert {"/", "/login", "/office/users", "/people"} <= set(PAGES)
    assert {"/office/users", "/logout", "/settle"} <= set(FORMS)


def test_no_form_is_taken_without_its_token_nor_from_another_site(office: OfficeAtWork) -> None:
    office.add_user("clerk1", "county_clerk")
    browser = office.signed_in("clerk1")
    token = browser.headers.pop("x-csrf-token")
    for path in FORMS:
        for kind in ("data", "files"):
            given = {"data": {"a": "b"}} if kind == "data" else {"files": {"file": ("a.csv", b"a,b\n")}}
            answer = browser.post(path, headers=HTML, **given)
            assert answer.status_code == 403, (path, kind, answer.status_code)
            assert "csrf" in answer.text
        for elsewhere in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
            answer = browser.post(path, headers={**HTML, **elsewhere}, data={"csrf_token": token})
            assert answer.status_code == 403, (path, elsewhere)
            assert "csrf" in answer.text
    # Nothing of this was done: whoever is signed in still is.
    assert browser.get("/account", headers=HTML).status_code == 200


def test_no_page_is_framed_kept_or_runs_what_is_foreign(office: OfficeAtWork) -> None:
    callers = [office.as_role(role) for role in sorted(ROLES)]
    for path in PAGES:
        answers = [caller.get(path, headers=HTML) for caller in (callers if path in ("/", "/office") else callers[:1])]
        for answer in [*answers, office.stranger().get(path, headers=HTML)]:
            assert answer.status_code < 500, path
            assert answer.headers["x-frame-options"] == "DENY"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "no-store" in answer.headers["cache-control"], path
            if "text/html" in answer.headers.get("content-type", ""):
                assert " style=" not in answer.text, path
                assert "<script>" not in answer.text, path
                assert " onclick=" not in answer.text, path


@pytest.mark.parametrize(
    "to",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/%0d%0aa: b",
     "evil.example", "/\tevil.example", "///evil.example", "http:evil.example"],
)  # fmt: skip
def test_nobody_is_led_astray(office: OfficeAtWork, to: str) -> None:
    office.add_user("clerk1", "county_clerk")
    from office import PASSWORD

    browser = office.stranger()
    said = {"login": "clerk1", "password": PASSWORD, "next": to}
    for answer in (
        browser.get("/language", params={"to": "en", "next": to}),
        browser.post("/login", data=said, headers=HTML),
    ):
        assert answer.status_code == 303
        where = answer.headers["location"]
        assert where.startswith("/")
        assert not where.startswith(("//", "/\\"))
        assert "\n" not in where
        assert "a: b" not in answer.headers
    asked = office.stranger().get("/login", params={"next": to}, headers=HTML)
    assert '<input type="hidden" name="next" value="/">' in asked.text


def test_what_an_address_says_is_shown_as_text_or_not_at_all(office: OfficeAtWork) -> None:
    caller = office.as_role("auditor", place="")
    names = ("cursor", "month", "kind", "state", "year", "by", "action", "person_id", "place", "signal", "done", "next")
    for path in PAGES:
        answer = caller.get(path, headers=HTML, params=dict.fromkeys(names, SCRIPT))
        assert answer.status_code < 500, path
        assert SCRIPT not in answer.text, path


def test_a_session_that_ended_opens_nothing(sqlite_store: Store, open_office: Callable[..., OfficeAtWork]) -> None:
    office = open_office(sqlite_store, remember_seconds=0)
    office.add_user("clerk1", "county_clerk")
    browser = office.signed_in("clerk1")
    assert browser.get("/office", headers=HTML).status_code == 200
    cookies = dict(browser.client.cookies)
    assert browser.post("/logout", headers=HTML).headers["location"] == "/login"
    browser.client.cookies.update(cookies)
    answer = browser.get("/office/imports?cursor=", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/office/imports%3Fcursor%3D")
    part = browser.get("/office", headers={**HTML, "hx-request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/login?next=/")
    idle = office.signed_in("clerk1")
    assert idle.get("/", headers=HTML).status_code == 200
    office.clock.forward(minutes=31)
    assert idle.get("/", headers=HTML).status_code == 303


def test_a_bug_is_said_on_a_page_with_the_way_back_and_without_its_message(
    office: OfficeAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("张三 150981197001010015")

    monkeypatch.setattr(home.glance, "month_of", broken)
    clerk = office.as_role("county_clerk")
    for lang, words in (("zh", "程序出现内部错误"), ("en", "met a mistake of its own")):
        answer = clerk.get("/", headers={**HTML, "cookie": f"medfloor-language={lang}"})
        assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
        assert words in answer.text
        assert answer.headers["x-request-id"] in answer.text
        assert 'href="/people"' in answer.text  # the menu of whoever asked is still there
        assert "张三" not in answer.text
        assert "no-store" in answer.headers["cache-control"]
    assert clerk.get("/", headers={"accept": "application/json"}).json()["code"] == "bug_inside"
    monkeypatch.setattr(refusals, "render", broken)
    assert clerk.get("/", headers=HTML).json()["code"] == "bug_inside", "a page that cannot be made at all"


def test_an_upload_beyond_the_limit_is_refused_on_a_page(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork]
) -> None:
    clerk = open_office(sqlite_store, upload_bytes=2_000).as_role("county_clerk")
    answer = clerk.post(
        "/settle/batch", headers={**HTML, "cookie": "medfloor-language=zh"}, files={"file": ("a.csv", b"x" * 5_000)}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "请把文件拆分后上传" in answer.text


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_refusal_says_in_the_reader_s_language_what_to_do(office: OfficeAtWork, lang: str) -> None:
    clerk = office.as_role("county_clerk")
    told = {
        "/people/nobody": ("请核对编号", "check the id"),
        "/month?month=abc": ("须写作 YYYY-MM，如 2026-05", "is written YYYY-MM"),
        "/office/audit": ("“县级经办”角色无权查看操作留痕", "the role County clerk may not see who looked"),
        "/nowhere": ("请检查网址", "look whether it was typed right"),
    }
    for path, (zh, en) in told.items():
        # The browser asks for the other language: what was chosen on a page counts.
        other = {**HTML, "accept-language": "en" if lang == "zh" else "zh", "cookie": f"medfloor-language={lang}"}
        text = clerk.get(path, headers=other).text
        assert (zh if lang == "zh" else en) in text, path
        assert 'lang="en">' not in text.partition("<main")[2], path
        assert "openapi" not in text
        assert "pattern" not in text.partition("<main")[2].lower()
