"""Who has which case open. A case is handed back once its holder has closed every page of it, after a short grace.

The grace is there for a page that is loaded anew. A desk that is stopped hands nothing back: then the lease ends by
its own time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable


class Presence:
    """Counts open pages by person and case; on the event loop only.

    Args:
        leave_s: The grace.
        gone: Called with person and case once it has passed.
    """

    def __init__(self, leave_s: float, gone: Callable[[str, str], Awaitable[None]]) -> None:
        self._leave_s = leave_s
        self._gone = gone
        self._open: Counter[tuple[str, str]] = Counter()
        self._leaving: dict[tuple[str, str], asyncio.Task[None]] = {}

    def came(self, person: str, case_id: str) -> None:
        """A page was opened."""
        place = (person, case_id)
        self._open[place] += 1
        task = self._leaving.pop(place, None)
        if task is not None:
            task.cancel()

    def left(self, person: str, case_id: str) -> None:
        """A page was closed, or its connection was lost."""
        place = (person, case_id)
        self._open[place] -= 1
        if self._open[place] > 0:
            return
        del self._open[place]
        self._leaving[place] = asyncio.create_task(self._after_grace(place))

    def is_open(self, person: str, case_id: str) -> bool:
        """Whether this person looks at this case."""
        return (person, case_id) in self._open

    async def _after_grace(self, place: tuple[str, str]) -> None:
        await asyncio.sleep(self._leave_s)
        self._leaving.pop(place, None)
        await self._gone(*place)
