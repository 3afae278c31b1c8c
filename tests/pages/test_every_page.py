"""The list of what a browser can ask for is whole: pictures are taken and times are measured of all of it."""

from __future__ import annotations

from fastapi.routing import APIRoute
from screens import every_page
from starlette.routing import compile_path

from medfloor.service.app import create_app
from medfloor.service.settings import Settings


def routes() -> list[str]:
    """List every address that a browser can get, in the order in which they are tried."""
    found = []
    for route in create_app(Settings()).routes:
        for one in getattr(getattr(route, "original_router", None), "routes", [route]):
            if isinstance(one, APIRoute) and not one.include_in_schema and "GET" in (one.methods or ()):
                found.append(one.path)
    return found


def test_every_address_that_a_browser_can_ask_for_is_in_the_list() -> None:
    class Anything(dict[str, str]):
        def __missing__(self, name: str) -> str:
            return "/static/0/pages.css" if name == "static" else "1"

    patterns = [(path, compile_path(path)[0]) for path in routes()]
    asked = set()
    for _, path in every_page():
        plain = path.format_map(Anything()).partition("?")[0]
        first = next((name for name, pattern in patterns if pattern.match(plain)), None)
        assert first is not None, f"the service has no {path}"
        asked.add(first)
    assert {path for path, _ in patterns} - asked == set(), "add these to FURTHER or PAGES of screens.py"
