"""Signing in and out, the language, and what every page has, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from office import OfficeAtWork
from visits import NARROW, WIDE, Visit


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_sign_in_look_and_sign_out(
    office: OfficeAtWork, visit: Callable[..., Visit], lang: str, size: dict[str, int]
) -> None:
    office.add_user("clerk1", "county_clerk")
    someone = visit(lang=lang, size=size)
    page = someone.open("/account")
    assert page.url.endswith("/login?next=/account")
    assert page.get_attribute("html", "lang") == ("zh-CN" if lang == "zh" else "en")
    assert not someone.axe()
    assert not someone.wider_than_screen()
    someone.sign_in("clerk1", path="/account")
    assert page.url.endswith("/account")
    # The account's own language is Chinese; the pages keep that of the page on which one signed in.
    assert page.text_content("h1") == {"zh": "我的账户", "en": "My account"}[lang]
    assert not someone.axe()
    assert not someone.wider_than_screen()
    page.click("form[action='/logout'] button")
    assert page.url.endswith("/login")
    assert someone.open("/account").url.endswith("/login?next=/account")


def test_a_wrong_password_is_said_and_leads_nowhere(office: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    office.add_user("clerk1", "county_clerk")
    someone = visit(lang="en")
    someone.expected = (401,)
    page = someone.open("/login?next=//evil.example/")
    page.fill("#login", "clerk1")
    page.fill("#password", "wrong")
    page.click("form[action='/login'] button")
    assert page.text_content("[role=alert]")
    someone.sign_in("clerk1", path="/login?next=//evil.example/")
    assert page.url == f"{someone.address}/"


def test_the_menu_is_reached_by_keyboard(office: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    office.add_user("clerk1", "county_clerk")
    someone = visit()
    page = someone.sign_in("clerk1")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_language_of_the_form_is_kept_after_signing_in(office: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    office.add_user("clerk1", "county_clerk")
    someone = visit(lang="en")
    page = someone.sign_in("clerk1")
    assert page.get_attribute("html", "lang") == "en"
    page.click("a[hreflang=zh]")
    assert page.get_attribute("html", "lang") == "zh-CN", "what is chosen on a page goes before"
    page.click("form[action='/logout'] button")
    someone.sign_in("clerk1")
    assert page.get_attribute("html", "lang") == "zh-CN"
