"""Read HTTP with httptools, and hang up on a head that never ends: the parser itself takes headers of any length."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 65_536
"""So many bytes may come in a row of which nothing is a body or the end of a head."""


class BoundedHeads(HttpToolsProtocol):
    """Be one connection; `uvicorn.Config(http="medfloor.service.heads:BoundedHeads")` makes them."""

    _open = 0
    _went_on = False

    def data_received(self, data: bytes) -> None:
        """Take what came, and answer 400 where a head (or what follows a body) has grown too long."""
        self._went_on = False
        super().data_received(data)
        self._open = 0 if self._went_on else self._open + len(data)
        if self._open > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        """Note that a head has ended."""
        self._went_on = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that a body goes on; how long it may be, `limits` says."""
        self._went_on = True
        super().on_body(body)
