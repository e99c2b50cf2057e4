"""TCP proxies between one worker and its servers: they cut, hold up, and swallow answers of Kafka's transactions."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from typing import Self

from tests.faults.wire import Api, Conversation, Frames, api_of, astray

HOST = "127.0.0.1"
_PORTS = range(20_000, 30_000)
"""Below the ranges from which outgoing connections get theirs (see `topology/embedded/server.py`)."""
_PIECE = 1 << 16


class Proxies:
    """All proxies of a campaign, in one thread of their own. A context manager."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True)
        self._all: list[Proxy] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for proxy in self._all:
            self.run(proxy.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()

    def open(self, *, kafka: bool) -> Proxy:
        """One more, listening; its server is named later."""
        proxy = Proxy(self, kafka=kafka)
        self.run(proxy.listen())
        self._all.append(proxy)
        return proxy

    def run(self, todo) -> None:
        """Have it done in the proxies' thread, and wait."""
        asyncio.run_coroutine_threadsafe(todo, self.loop).result(10)


class Proxy:
    """One worker's way to one server. What the campaign sets here is looked at for every piece that comes by."""

    def __init__(self, proxies: Proxies, *, kafka: bool) -> None:
        self._proxies = proxies
        self._kafka = kafka
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task] = set()
        self._refuse_until = 0.0
        self.port = 0
        self.upstream = 0
        """The server's own port."""
        self.delay_s = 0.0
        """How long each piece is held, both ways."""
        self.cut_answer = False
        """Instead of the next piece from the server, all connections are cut: what was asked is done, unheard."""
        self.swallow: Counter[Api] = Counter()
        """So many answers to these are swallowed."""
        self.keep: Api | None = None
        """Questions of this kind are kept here instead of being passed on."""
        self.kept: list[bytes] = []
        self.astray = ""
        """The next request to produce to this topic asks for a partition that it does not have."""
        self.cuts = 0
        self.held = 0
        self.swallowed: Counter[Api] = Counter()

    async def listen(self) -> None:
        """Take a port and keep it."""
        for port in random.sample(_PORTS, 50):
            with contextlib.suppress(OSError):
                self._server = await asyncio.start_server(self._serve, HOST, port)
                self.port = port
                return
        raise OSError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1}")

    async def close(self) -> None:
        """Let everything go."""
        if self._server is not None:
            self._server.close()
        self._abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset(self) -> None:
        """As at the beginning, with the counters at nought; connections stay."""
        self.delay_s, self.cut_answer, self._refuse_until = 0.0, False, 0.0
        self.swallow, self.swallowed, self.cuts, self.held = Counter(), Counter(), 0, 0
        self.keep, self.kept, self.astray = None, [], ""

    def cut(self, seconds: float) -> None:
        """Cut all connections, and refuse new ones for so long; `cuts` counts them."""
        self._refuse_until = time.monotonic() + seconds
        done = threading.Event()

        def act() -> None:
            self._abort()
            done.set()

        self._proxies.loop.call_soon_threadsafe(act)
        done.wait(5)

    def _abort(self) -> None:
        self.cuts += len(self._open) // 2
        for writer in list(self._open):
            writer.transport.abort()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if time.monotonic() < self._refuse_until:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(HOST, self.upstream)
        except OSError:
            writer.transport.abort()
            return
        both, talk = {writer, back}, Conversation()
        self._open |= both
        ways = {
            asyncio.create_task(self._forward(reader, back, talk, asks=True)),
            asyncio.create_task(self._forward(there, writer, talk, asks=False)),
        }
        self._tasks |= ways
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ways:
                task.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._tasks -= ways
            self._open -= both
            for end in both:
                end.transport.abort()

    async def _forward(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, talk: Conversation, *, asks: bool
    ) -> None:
        frames = Frames()
        while piece := await source.read(_PIECE):
            if self.delay_s:
                self.held += 1
                await asyncio.sleep(self.delay_s)
            if not asks and self.cut_answer:
                self.cut_answer = False
                self._abort()
                return
            if self._kafka:
                passed = [frame for frame in frames.cut(piece) if self._passes(frame, talk, asks=asks)]
                target.writelines(map(self._turned, passed) if asks else passed)
            else:
                target.write(piece)
            await target.drain()

    def _turned(self, frame: bytes) -> bytes:
        if not self.astray or api_of(frame) is not Api.PRODUCE or self.astray.encode() not in frame:
            return frame
        topic, self.astray = self.astray, ""
        return astray(frame, topic)

    def _passes(self, frame: bytes, talk: Conversation, *, asks: bool) -> bool:
        if asks:
            if self.keep is not None and api_of(frame) is self.keep:
                self.kept.append(frame)
                return False
            talk.ask(frame)
            return True
        api = talk.answer(frame)
        if api is None or self.swallow[api] <= 0:
            return True
        self.swallow[api] -= 1
        self.swallowed[api] += 1
        return False
