"""Read HTTP with httptools, and hang up on a head that never ends, in bytes or in time: the parser itself takes any."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 65_536
"""So many bytes may come in a row of which nothing is a body or the end of a head."""

HEAD_SECONDS = 30.0
"""So long at most a head is waited for, from its first byte or from the beginning of a connection."""


class BoundedHeads(HttpToolsProtocol):
    """Be one connection; `uvicorn.Config(http="medfloor.service.heads:BoundedHeads")` makes them."""

    _open = 0
    _went_on = False
    _in_head = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and answer 400 where a head (or what follows a body) has grown too long."""
        self._went_on = False
        super().data_received(data)
        self._open = 0 if self._went_on else self._open + len(data)
        if self._open > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")
        elif self._in_head and self._timer is None:
            # A head that came in one piece has needed no clock.
            self._wait()

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that a head has ended."""
        self._went_on, self._in_head = True, False
        self._arrived()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that a body goes on; how long it may be, and how long it may take, `limits` says."""
        self._went_on = True
        super().on_body(body)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._late)

    def _arrived(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        answering: Any = self.cycle  # None before the first request, whatever its type says
        if answering is not None and not answering.response_complete:
            self._wait()  # the request before it is still being answered
        else:
            self.send_400_response("The head of the request came too late.")
