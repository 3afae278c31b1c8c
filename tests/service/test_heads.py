"""A head of a request that never ends is answered 400 and hung up on; bodies are not counted with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from medfloor.service.heads import MOST_HEAD_BYTES, BoundedHeads

BODY = b"x" * (4 * MOST_HEAD_BYTES)


async def _length(scope: Any, receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
    await send({"type": "http.response.body", "body": b"%6d" % size})


async def _answer(request: bytes) -> bytes:
    config = uvicorn.Config(_length, http="medfloor.service.heads:BoundedHeads", log_level="critical", lifespan="off")
    config.load()
    assert config.http_protocol_class is BoundedHeads
    loop = asyncio.get_running_loop()
    state = ServerState()
    server = await loop.create_server(lambda: BoundedHeads(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    answer = asyncio.create_task(reader.read(2048))
    try:
        async with asyncio.timeout(20):
            for start in range(0, len(request), 16_384):
                writer.write(request[start : start + 16_384])
                if (await asyncio.wait([answer], timeout=0.01))[0]:
                    break  # hung up on: what is sent now would only reset the connection
            return await answer
    finally:
        writer.close()
        server.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY, b"200"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + BODY, b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * MOST_HEAD_BYTES, b"400"),
        (b"GET /" + BODY, b"400"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: " + BODY, b"400"),
    ],
    ids=["a long body", "a long header", "many headers", "a long address", "a long trailer"],
)
def test_only_a_head_without_end_is_refused(request_: bytes, status: bytes) -> None:
    assert asyncio.run(_answer(request_)).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTTP/1.1\r\nHost", b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\nX: y"],
    ids=["nothing", "half a head", "half a head after a request"],
)
def test_a_head_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr("medfloor.service.heads.HEAD_SECONDS", 0.1)
    answer = asyncio.run(_all_of(sent))
    assert answer.endswith(b"came too late.")
    assert answer.startswith(b"HTTP/1.1 200" if b"\r\n\r\n" in sent else b"HTTP/1.1 400")


def test_a_body_may_take_longer_than_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medfloor.service.heads.HEAD_SECONDS", 0.05)
    answer = asyncio.run(_all_of(b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nx", b"y"))
    assert answer.startswith(b"HTTP/1.1 200")


async def _all_of(*pieces: bytes) -> bytes:
    """Send pieces with a pause between them, and give all that is said until the connection is closed."""
    config = uvicorn.Config(_length, http="medfloor.service.heads:BoundedHeads", log_level="critical", lifespan="off")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: BoundedHeads(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(20):
            for number, piece in enumerate(pieces):
                await asyncio.sleep(0.2 * number)
                writer.write(piece)
            return await reader.read()
    finally:
        writer.close()
        server.close()
