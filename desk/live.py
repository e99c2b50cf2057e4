"""Tells open pages that something has changed: server-sent events, one connection a page, no content in them.

A page that is told fetches its part anew, as its reader may see it. So there is one way in which anything is rendered,
and nothing travels to a page that its person may not see.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.responses import StreamingResponse

KEEP_ALIVE_S: Final = 15.0
_GATHER_S: Final = 0.1
"""Changes that come together are told once."""
REST_S: Final = 0.5
"""So that one process serves fifty pages of a queue in which something always happens."""


class Bell:
    """Rings for whoever waits for something by name; any thread may ring."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def bind(self) -> None:
        """To the running loop, whose pages wait."""
        self._loop = asyncio.get_running_loop()

    def ring(self, name: str) -> None:
        """Something of this name has changed."""
        loop = self._loop
        # A look without a lock: whoever begins to listen at this moment looks at what there is first.
        if loop is not None and name in self._waiting:
            try:
                loop.call_soon_threadsafe(self._wake, name)
            except RuntimeError:
                self._loop = None  # the loop has ended, and with it every page

    def listen(self, *names: str) -> asyncio.Event:
        """An event that is set whenever one of these rings."""
        event = asyncio.Event()
        for name in names:
            self._waiting.setdefault(name, set()).add(event)
        return event

    def leave(self, event: asyncio.Event, *names: str) -> None:
        """Listen no more."""
        for name in names:
            found = self._waiting.get(name)
            if found is not None:
                found.discard(event)
                if not found:
                    del self._waiting[name]

    def _wake(self, name: str) -> None:
        for event in self._waiting.get(name, ()):
            event.set()


def stream(
    bell: Bell,
    names: tuple[str, ...],
    look: Callable[[], object],
    ended: Callable[[], None] | None = None,
    *,
    rest_s: float = REST_S,
) -> StreamingResponse:
    """A response that tells of each change.

    Args:
        bell: Rings for them.
        names: What to listen for.
        look: What the page shows, in short: it is told only if this has become another.
        ended: Called when the page is closed.
        rest_s: A page that was just told is told again after so many seconds at the earliest; nothing is left out.
    """
    return StreamingResponse(
        _told(bell, names, look, ended, rest_s), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


async def _told(
    bell: Bell,
    names: tuple[str, ...],
    look: Callable[[], object],
    ended: Callable[[], None] | None,
    rest_s: float,
) -> AsyncIterator[str]:
    event = bell.listen(*names)
    try:
        shown = look()
        # The page was rendered a moment ago, and what came since would be missed: it looks once more.
        yield "retry: 1500\nevent: changed\ndata: begin\n\n"
        while True:
            try:
                await asyncio.wait_for(event.wait(), KEEP_ALIVE_S)
            except TimeoutError:
                yield ": here\n\n"
                continue
            await asyncio.sleep(_GATHER_S)
            event.clear()
            now = look()
            if now != shown:
                shown = now
                yield "event: changed\ndata: now\n\n"
                await asyncio.sleep(rest_s)
    finally:
        bell.leave(event, *names)
        if ended is not None:
            ended()
