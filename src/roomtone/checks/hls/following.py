"""Watches one media playlist as a player does, with blocking reload, and fetches all it lists."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomtone.checks.hls.playlist import parse_media
from roomtone.checks.hls.seen import Probe, Probed, State

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from roomtone.checks.hls.playlist import MediaPlaylist, Part, Segment
    from roomtone.checks.hls.requests import Requests
    from roomtone.checks.hls.seen import Exchange, Rendition, Seen

FIRST_SEGMENTS = 3
"""Of those listed at first, how many are fetched."""
AT_ONCE = 16
MAX_FAILURES = 5
MAX_REMOVED = 6
COMPARED = 3
"""Hinted parts that are fetched again once they are listed."""


def with_directives(url: str, *, wanted: tuple[int, int | None] | None = None, skip: str | None = None) -> str:
    """Add delivery directives to an address, in the order that caches collapse (section 6.2.5)."""
    query = []
    if wanted is not None:
        query.append(f"_HLS_msn={wanted[0]}")
        if wanted[1] is not None:
            query.append(f"_HLS_part={wanted[1]}")
    if skip is not None:
        query.append(f"_HLS_skip={skip}")
    if not query:
        return url
    return url + ("&" if "?" in url else "?") + "&".join(query)


class Follower:
    """Follows a rendition until a moment or its end."""

    def __init__(self, seen: Seen, rendition: Rendition, requests: Requests, clock: Callable[[], float]) -> None:
        self.seen = seen
        self.rendition = rendition
        self.begun = asyncio.Event()
        """Some states have been seen, or there will be none."""
        self._requests = requests
        self._clock = clock
        self._asked: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._removed: list[tuple[Segment, float]] = []
        self._compared = 0
        self._parts_gone = 0

    async def follow(self, until: float) -> None:
        """Watch; ends with all that was asked for answered."""
        failures = 0
        try:
            while self._clock() < until and failures < MAX_FAILURES:
                if await self._reload():
                    failures = 0
                else:
                    failures += 1
                    await self._pause(1.0)
                if self.rendition.states and self.rendition.newest.ended:
                    break
        finally:
            self.begun.set()
        await self._ask_for_removed()
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _reload(self) -> bool:
        rendition = self.rendition
        newest = rendition.newest if rendition.states else None
        wanted: tuple[int, int | None] | None = None
        if newest is not None and newest.control.get("CAN-BLOCK-RELOAD") == "YES":
            wanted = newest.next
        exchange = await self._requests.fetch(with_directives(rendition.url, wanted=wanted))
        if exchange.status != 200:  # noqa: PLR2004 - OK
            return False
        playlist = parse_media(exchange.body.decode("utf-8", "replace"))
        rendition.states.append(State(exchange, playlist, wanted))
        self._fetch_new(playlist)
        if newest is not None:
            self._ask_for_what_left(newest, playlist)
        if len(rendition.states) >= 2:  # noqa: PLR2004 - one to hold and one that followed
            self.begun.set()
        # Nor is one asked again at once that answers a blocking request without anything new.
        if newest is not None and (wanted is None or playlist.end_uri == newest.end_uri):
            await self._pause(playlist.part_target or (playlist.target_duration or 2.0) / 2)
        return True

    async def _pause(self, seconds: float) -> None:
        """Wait as a player does that cannot have the server wait."""
        await asyncio.sleep(seconds)

    def _fetch_new(self, playlist: MediaPlaylist) -> None:
        rendition = self.rendition
        first = len(rendition.states) == 1
        for at, segment in enumerate(playlist.all_segments):
            if segment.map_uri is not None:
                self._fetch(rendition.resolve(segment.map_uri))
            for part in segment.parts:
                if not part.gap:
                    self._fetch_item(part)
            old = first and at < len(playlist.segments) - FIRST_SEGMENTS
            if segment.uri is not None and not segment.gap and not old:
                self._fetch_item(segment)
            elif segment.uri is not None:
                self._asked.add(rendition.key(rendition.resolve(segment.uri), segment))
        for hint in playlist.hints:
            if hint.get("TYPE") == "PART" and "URI" in hint:
                self._take_hint(rendition.resolve(hint["URI"]), hint.get("BYTERANGE-START"))

    def _fetch_item(self, item: Part | Segment) -> None:
        url = self.rendition.resolve(item.uri or "")
        piece = item.byte_range
        headers = None
        if piece is not None and piece.start is not None:
            headers = {"Range": f"bytes={piece.start}-{piece.start + piece.length - 1}"}
        self._fetch(url, self.rendition.key(url, item), headers)

    def _fetch(self, url: str, key: str | None = None, headers: dict[str, str] | None = None) -> None:
        key = key or url
        if key in self._asked:
            return
        self._asked.add(key)

        async def get() -> None:
            async with self._gate:
                self.rendition.media[key] = await self._requests.fetch(url, headers)

        self._spawn(get())

    def _take_hint(self, url: str, start: str | None) -> None:
        if url in self._asked:
            return
        self._asked.add(url)

        async def get() -> None:
            headers = {"Range": f"bytes={start}-"} if start is not None else None
            exchange = await self._requests.fetch(url, headers)
            if start is not None:
                self.seen.note(Probe.OPEN_RANGE, Probed(exchange, self.rendition.newest))
                return
            self.rendition.hinted[url] = exchange
            if exchange.status not in {200, 206}:
                self._asked.discard(url)  # if it is listed all the same it is asked for then
            elif self._compared < COMPARED:
                self._compared += 1
                self.rendition.media[url] = await self._requests.fetch(url)
            else:
                self.rendition.media[url] = exchange

        self._spawn(get())

    def _ask_for_what_left(self, before: MediaPlaylist, after: MediaPlaylist) -> None:
        now = self._clock()
        for segment in before.segments:
            if segment.number < after.media_sequence and not segment.gap and len(self._removed) < MAX_REMOVED:
                self._removed.append((segment, now + segment.duration + before.window_s))
                self._spawn(self._probe(Probe.REMOVED_SEGMENT, self.rendition.resolve(segment.uri or "")))
        without = {segment.number for segment in after.segments if not segment.parts}
        for segment in before.segments:
            if segment.number in without and segment.parts and self._parts_gone < MAX_REMOVED:
                part = segment.parts[0]
                if not part.gap and part.byte_range is None:
                    self._parts_gone += 1
                    self._spawn(self._probe(Probe.REMOVED_PART, self.rendition.resolve(part.uri)))

    async def _ask_for_removed(self) -> None:
        """Ask again for segments that must still be there."""
        for segment, until in self._removed:
            if self._clock() < until:
                await self._probe(Probe.REMOVED_SEGMENT, self.rendition.resolve(segment.uri or ""))

    async def _probe(self, probe: Probe, url: str) -> None:
        exchange: Exchange = await self._requests.fetch(url)
        self.seen.note(probe, Probed(exchange, self.rendition.newest))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
