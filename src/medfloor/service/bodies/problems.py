"""Declare problem details (RFC 9457) for the OpenAPI: the form, and which statuses a route can answer with."""

from __future__ import annotations

import json
from typing import Any

_SAYS: dict[int, tuple[str, str]] = {
    400: ("bad_cursor", "The request cannot be meant like this. 请求有误"),
    401: ("not_signed_in", "Sign in first. 请先登录"),
    403: ("forbidden", "The role may not do this. 无权操作"),
    404: ("no_such_person", "It is not there, or outside the place of who asks. 不存在，或不在管辖区域"),
    409: ("key_reused", "It contradicts what is recorded. 与已有记录冲突"),
    413: ("body_too_large", "The body is too large. 请求过大"),
    415: ("not_acceptable_type", "The body is of another kind than this address takes. 请求类型不符"),
    422: ("bad_request_fields", "Fields cannot be read, or the law refuses the claim. 字段有误或不符合规定"),
    429: ("too_many_requests", "Ask again later. 请求过于频繁"),
    503: ("queue_full", "Ask again with the same key. 稍后以同一请求键重试"),
}
"""Status -> a code as example, and what the status says."""

_NO_JOBS = (
    "jobs_off",
    "Ask again where Retry-After says when; without it (jobs_off) the office has switched jobs off. "
    "有 Retry-After 时稍后重试；否则为本服务未开启后台任务",
)
"""What 503 says of a route that asks for a job."""

MEDIA_TYPE = "application/problem+json"

_TEXT = {"type": "string"}
_FIELD = {
    "type": "object",
    "required": ["field", "code", "message"],
    "properties": {"field": _TEXT, "code": _TEXT, "message": _TEXT},
}


def problems(*statuses: int, asks_for_job: bool = False) -> dict[int | str, dict[str, Any]]:
    """Give the `responses` of a route: the statuses named, and those that every route has.

    `asks_for_job` says that the route answers 503 for good where the office has switched jobs off.

    >>> sorted(problems(404))
    [400, 401, 403, 404, 413, 415, 422, 429, 503]
    >>> problems(asks_for_job=True)[503]["content"]["application/problem+json"]["example"]["code"]
    'jobs_off'
    """
    says = {**_SAYS, 503: _NO_JOBS} if asks_for_job else _SAYS
    return {
        status: {"description": says[status][1], "content": {MEDIA_TYPE: _media(status, *says[status])}}
        for status in sorted({400, 401, 403, 413, 415, 422, 429, 503, *statuses})
    }


def share_problems(openapi: dict[str, Any]) -> None:
    """Write each refusal once into `components/responses` of an OpenAPI and refer to it, as its form in `schemas`.

    >>> page = {"paths": {"/a": {"get": {"responses": problems(404)}}, "/b": {"get": {"responses": problems(404)}}}}
    >>> share_problems(page)
    >>> page["paths"]["/b"]["get"]["responses"][404]
    {'$ref': '#/components/responses/Problem404'}
    """
    components = openapi.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _FORM
    shared: dict[str, Any] = components.setdefault("responses", {})
    for methods in openapi["paths"].values():
        for operation in methods.values():
            responses = operation["responses"]
            for status, told in responses.items():
                if int(status) >= 400 and MEDIA_TYPE in told.get("content", {}):
                    responses[status] = {"$ref": f"#/components/responses/{_name(shared, status, told)}"}


def _name(shared: dict[str, Any], status: int | str, told: dict[str, Any]) -> str:
    """Give the name under which a response stands; one that says something else of a status gets a name of its own."""
    told = json.loads(json.dumps(told))
    kind = "Problem" if list(told["content"]) == [MEDIA_TYPE] else "Refusal"
    name, number = f"{kind}{status}", 1
    while shared.setdefault(name, told) != told:
        number += 1
        name = f"{kind}{status}_{number}"
    return name


def _media(status: int, code: str, says: str) -> dict[str, Any]:
    example = {
        "type": f"urn:medfloor:problem:{code}", "title": says, "status": status, "detail": says, "code": code,
        "instance": "urn:medfloor:request:7f3c",
    }  # fmt: skip
    return {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}


_FORM: dict[str, Any] = {
    "title": "Problem",
    "description": "Problem details (RFC 9457). 出错信息",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "instance"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": {"type": "string", "description": "Stable; docs/rejects.md lists them all. 固定代码"},
        "instance": {"type": "string", "description": "The id of the request, as in X-Request-ID. 请求编号"},
        "errors": {"type": "array", "items": _FIELD},
    },
}
