"""Know the parts of the watch, and who may open which."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from medfloor.service.access import Acting
from medfloor.service.pages.frame import render
from medfloor.store.roles import may

_PARTS = (
    ("overview", "/watch", "read_case_counts"),
    ("alerts", "/watch/alerts", "read_alerts"),
    ("absent_care", "/watch/absent-care", "read_alerts"),
    ("visits", "/watch/visits", "read_alerts"),
    ("cases", "/watch/cases", "read_cases"),
    ("checks", "/watch/checks", "read_cases"),
    ("screenings", "/watch/screenings", "read_alerts"),
    ("exchange", "/watch/exchange", "read_exchanges"),
    ("prevention", "/watch/prevention", "read_person"),
    ("risk", "/watch/risk", "read_case_counts"),
)


def parts_for(acting: Acting) -> list[tuple[str, str]]:
    """List the parts of the watch that somebody may open: name in the catalogue (`watch_part.<name>`) and address."""
    return [(name, path) for name, path, permission in _PARTS if may(acting.actor, permission)]


def render_watch(request: Request, acting: Acting, template: str, /, *, status: int = 200, **values: Any) -> Response:
    """Render a page of the watch, with the parts that whoever asks may open."""
    return render(request, acting, template, status=status, parts=parts_for(acting), **values)
