"""Connections that are closed when their client lets the server wait."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True)
class Patience:
    """How long a client may take, in seconds.

    Attributes:
        head: until a request has begun and its head is there, from the connection or the last answer on.
        body: until the body is there.
        read: until a part of the answer is taken.
    """

    head: float = 10.0
    body: float = 60.0
    read: float = 60.0


def timed_protocol(patience: Patience) -> type[asyncio.Protocol]:
    """Uvicorn's protocol with limits on all that it would wait for without end."""
    limits = asdict(patience)

    class TimedProtocol(H11Protocol):
        """A connection, looked at now and then."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._awaited = self._what_is_awaited()
            self._since = self.loop.time()
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            self._next_look.cancel()
            super().connection_lost(exc)

        def _look(self) -> None:
            awaited = self._what_is_awaited()
            if awaited != self._awaited:
                self._awaited, self._since = awaited, self.loop.time()
            limit = limits.get(awaited[1])
            if limit is not None and self.loop.time() - self._since > limit:
                self.transport.abort()
                return
            self._next_look = self.loop.call_later(min(1.0, patience.head / 4), self._look)

        def _what_is_awaited(self) -> tuple[Any, str]:
            """The request that is under way and what of it the client owes; empty when it owes nothing."""
            if self.cycle is None or self.cycle.response_complete:
                return (self.cycle, "head")
            if self.flow.write_paused:
                return (self.cycle, "read")
            return (self.cycle, "body" if self.cycle.more_body else "")

    return TimedProtocol
