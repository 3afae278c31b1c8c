"""Render pages: who is signed in, where they may go, in which language, and where the vendored files are."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from fastapi import Depends, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from medfloor import __version__
from medfloor.periods import OFFICE_ZONE
from medfloor.policy.quotations import retold
from medfloor.reports import typeface
from medfloor.service import csrf
from medfloor.service.access import Acting, Need, need
from medfloor.service.details import detail_in
from medfloor.store.roles import ROLES
from medfloor.words import LANGS, knows, say

LANGUAGE_COOKIE = "medfloor-language"
STATIC = Path(__file__).parent / "static"
FONTS = typeface.FOLDER
_TEMPLATES = Path(__file__).parent / "templates"
_PATH = re.compile(r"^/(?![/\\])[^\\\x00-\x20\x7f]*$")


@dataclass(frozen=True, slots=True)
class Entry:
    """Be an entry of the menu: its name in the catalogue (`menu.<name>`), address, and the permission to see it."""

    name: str
    path: str
    permission: str | None


MENU = (
    Entry("home", "/", None),
    Entry("people", "/people", "read_person"),
    Entry("settle", "/settle", "settle"),
    Entry("watch", "/watch", "read_case_counts"),
    Entry("policies", "/policies", "read_policies"),
    Entry("laboratory", "/laboratory", "run_jobs"),
    Entry("fund", "/fund", "run_jobs"),
    Entry("measures", "/measures", "run_jobs"),
    Entry("office", "/office", "read_settings"),
)
"""What the menu shows, in this order; each role sees what it may ask."""


def page(permission: str | None) -> Any:
    """Give the dependency of a page: whoever has the permission (None: is signed in), in the language of the pages.

    `acting: Annotated[Acting, page("read_person")]`. Raises what `access.Need` raises.
    """
    guard = need(permission) if permission is not None else Need(None)

    async def asked(request: Request, acting: Acting = Depends(guard)) -> Acting:  # noqa: B008
        return replace(acting, language=language_of_page(request, acting))

    return Depends(asked)


def render(
    request: Request, acting: Acting | None, template: str, /, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Render a template, as a whole page or, where the template is a part (`_name.html`), as that part.

    Templates know `t(key, **values)` (the sentence of a key), `lang`, `acting`, `menu`, `csrf_token`, `static(name)`,
    and the filters `yuan`, `day`, `moment`, `count`, `percent`, `grouped` (an amount in text), `named`, `told` (the
    detail of an error), `retold` (whether a quotation is an English retelling of a Chinese law).
    """
    lang = acting.language if acting is not None else language_of_page(request, None)
    text = _environment().get_template(template).render(
        lang=lang,
        t=functools.partial(_sentence, lang),
        known=lambda key: knows(key, lang),
        acting=acting,
        role=acting.actor.role if acting else "",
        menu=menu_of(acting),
        here=request.url.path,
        where=quote(_own_address(request)),
        csrf_token=csrf_of(acting),
        done=_done(request),
        version=__version__,
        made_up=request.app.state.running.made_up,
        status=status,
        **values,
    )  # fmt: skip
    headers = {"Content-Language": lang, "Vary": "Cookie, Accept-Language, HX-Request"}
    return HTMLResponse(text, status, headers)


def go(path: str, *, done: str = "") -> Response:
    """Send the browser on after a form was taken (303); `done` names a sentence `done.<name>` that the page then says.

    >>> go("/people/p1", done="saved").headers["location"]
    '/people/p1?done=saved'
    """
    if done:
        path += ("&" if "?" in path else "?") + f"done={done}"
    return RedirectResponse(path, 303)


def wants_page(request: Request) -> bool:
    """Say whether a browser asks for a page, and not a program for JSON."""
    path = request.url.path
    return not path.startswith(("/api/", "/fhir/", "/health/", "/metrics")) and (
        "text/html" in request.headers.get("accept", "") or request.headers.get("hx-request") == "true"
    )


def is_part(request: Request) -> bool:
    """Say whether a script asks for a part of a page (htmx), to put it into the page that is open."""
    return request.headers.get("hx-request") == "true"


def own_path(text: str | None) -> str:
    """Give an address of this office, or "/" for anything that would lead elsewhere (open redirect).

    >>> own_path("/people/p1?year=2025"), own_path("//evil.example"), own_path("https://evil.example"), own_path(None)
    ('/people/p1?year=2025', '/', '/', '/')
    """
    return text if text and len(text) <= 2000 and _PATH.match(text) else "/"


def language_of_page(request: Request, acting: Acting | None) -> str:
    """Choose the language of pages: what was chosen on a page, then the account's, then the browser's, then Chinese."""
    from medfloor.service.problems import language_of

    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGS:
        return chosen
    if acting is not None and acting.actor.language in LANGS:
        return acting.actor.language
    return language_of(request.scope)


def menu_of(acting: Acting | None) -> tuple[Entry, ...]:
    """Give the entries of the menu that somebody may open."""
    if acting is None:
        return ()
    may = ROLES.get(acting.actor.role, frozenset())
    return tuple(one for one in MENU if one.permission is None or one.permission in may)


def csrf_of(acting: Acting | None) -> str:
    """Give the token that forms of a session send along; empty without a browser's session."""
    secret = acting.session.csrf_secret if acting is not None else None
    return csrf.token_of(secret) if secret else ""


@functools.cache
def static(name: str) -> str:
    """Give the address of a vendored file; it holds the file's hash, so a browser may keep it for ever.

    Raises FileNotFoundError for a file that there is not.
    """
    digest = hashlib.sha256(file_of(name).read_bytes()).hexdigest()[:12]
    return f"/static/{digest}/{name}"


def file_of(name: str) -> Path:
    """Find a vendored file by its name; fonts are those of the reports."""
    return (FONTS if name.endswith(".ttf") else STATIC) / name


def yuan(fen: int | float | None) -> str:
    """Say fen as yuan; nothing as a dash.

    >>> yuan(123456), yuan(-5), yuan(None)
    ('1,234.56', '-0.05', '–')
    """
    if fen is None:
        return "–"
    whole = round(fen)
    sign = "-" if whole < 0 else ""
    return f"{sign}{abs(whole) // 100:,}.{abs(whole) % 100:02d}"


def day(value: date | datetime | None, lang: str) -> str:
    """Say a day as the language does.

    >>> day(date(2025, 3, 1), "zh"), day(date(2025, 3, 1), "en"), day(None, "en")
    ('2025年3月1日', '1 March 2025', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, datetime):
        value = value.astimezone(OFFICE_ZONE).date()
    if lang == "zh":
        return f"{value.year}年{value.month}月{value.day}日"
    return f"{value.day} {say(f'month.{value.month}', 'en')} {value.year}"


def moment(value: datetime | None, lang: str) -> str:
    """Say day and minute in the office's time."""
    if value is None:
        return "–"
    local = value.astimezone(OFFICE_ZONE)
    return f"{day(local.date(), lang)} {local:%H:%M}"


def count(value: int | float | None) -> str:
    """Say a count with separators; nothing as a dash."""
    return "–" if value is None else f"{value:,.0f}"


def grouped(text: str) -> str:
    """Group the thousands of an amount that comes as text.

    >>> grouped("18357.9175"), grouped("-1300.00")
    ('18,357.9175', '-1,300.00')
    """
    return f"{Decimal(text):,f}"


def few(value: float | None) -> str:
    """Say a number with at most two decimals and never as a power of ten; nothing as a dash.

    >>> few(12960.0), few(150.83), few(0.5), few(None)
    ('12,960', '150.83', '0.5', '–')
    """
    return "–" if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")


def percent(value: float | None, digits: int = 1) -> str:
    """Say a share as a percentage; nothing as a dash.

    >>> percent(0.1234)
    '12.3 %'
    """
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def fielded(field: str, lang: str) -> str:
    """Name a field of a form as its label does; one without a name is shown as it is.

    >>> fielded("body.month", "en"), fielded("query.x", "en")
    ('Month', 'x')
    """
    last = field.rpartition(".")[2]
    return say(f"field_name.{last}", lang) if knows(f"field_name.{last}", lang) else last


def told(detail: str, lang: str) -> str:
    """Say the detail of an error or of a refused row in a language, or mark its English words as English.

    >>> told("the last day lies before the first", "zh"), told("a < b", "zh")
    ('止日早于起日', Markup('<span lang="en">a &lt; b</span>'))
    """
    found = detail_in(detail, lang)
    if found is None and lang != "en":
        return Markup('<span lang="en">{}</span>').format(detail) if detail else ""
    return detail if found is None else found


def _sentence(lang: str, key: str, /, **values: object) -> str:
    return say(key, lang, **values)


def _named(code: str | None, section: str, lang: str) -> str:
    """Say a code of a section in words; a code without a sentence is shown as it is."""
    if not code:
        return "–"
    key = f"{section}.{code}"
    return say(key, lang) if knows(key, lang) else code


def _done(request: Request) -> str:
    """Give the key of the sentence that says what was just done; only keys of the catalogue, never text of others."""
    key = f"done.{request.query_params.get('done', '')}"
    return key if knows(key) else ""


def _own_address(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


@functools.cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    filters: Mapping[str, Callable[..., object]] = {
        "yuan": yuan, "day": jinja2.pass_context(lambda context, value: day(value, context["lang"])),
        "moment": jinja2.pass_context(lambda context, value: moment(value, context["lang"])),
        "named": jinja2.pass_context(lambda context, value, section: _named(value, section, context["lang"])),
        "count": count, "percent": percent, "grouped": grouped, "few": few, "retold": retold,
        "fielded": jinja2.pass_context(lambda context, field: fielded(field, context["lang"])),
        "told": jinja2.pass_context(lambda context, detail: told(detail, context["lang"])),
    }  # fmt: skip
    made.filters.update(filters)
    made.globals.update(static=static, languages=LANGS, Markup=Markup)
    return made
