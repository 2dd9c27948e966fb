"""Requests that no player makes, or not often: how an origin answers them is half of the checklist."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from roomtone.checks.hls.following import with_directives
from roomtone.checks.hls.playlist import parse_media
from roomtone.checks.hls.seen import Delta, Probe, Probed

if TYPE_CHECKING:
    from roomtone.checks.hls.playlist import MediaPlaylist
    from roomtone.checks.hls.requests import Requests
    from roomtone.checks.hls.seen import Exchange, Rendition, Seen

CROWD, CROWD_AHEAD = 50, 2
PLAIN_TRIES = 10
TRIES = 4
FAR_SEGMENTS, FAR_PARTS = 10, 50
ADVANCE_S = 3.0
"""Parts this far ahead may be waited for (section 6.2.5.2)."""
BESIDE = 4
ORIGIN = {"Origin": "https://player.example"}


class Prober:
    """Probes one rendition while it is followed."""

    def __init__(self, seen: Seen, rendition: Rendition, requests: Requests) -> None:
        self._seen = seen
        self._rendition = rendition
        self._requests = requests

    async def probe(self) -> None:
        """Make all probes that make sense for this rendition."""
        if not self._rendition.states or self._rendition.newest.ended:
            return
        await self._probe_playlist()
        await self._probe_media()
        if self._rendition.newest.control.get("CAN-BLOCK-RELOAD") == "YES":
            await self._probe_refusals()
            await self._probe_waiting()
        if "CAN-SKIP-UNTIL" in self._rendition.newest.control:
            await self._probe_deltas()
        await self._probe_beside_media()

    async def probe_ended(self) -> None:
        """See what directives do after the end."""
        url = with_directives(self._rendition.url, wanted=(self._rendition.newest.last[0] + FAR_SEGMENTS, 0))
        await self._note(Probe.WHEN_ENDED, url)

    async def _probe_playlist(self) -> None:
        url = self._rendition.url
        for _ in range(PLAIN_TRIES):
            await self._note(Probe.PLAIN, url)
        await self._note(Probe.GZIP, url, {"Accept-Encoding": "gzip", **ORIGIN})
        await self._note(Probe.PLAYLIST_RANGE, url, {"Range": "bytes=0-9"})
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
        await self._note(Probe.PREFLIGHT, url, {**ORIGIN, **asked}, method="OPTIONS")
        await self._note(Probe.MISSING, self._rendition.resolve("no-such-segment-0.m4s"))

    async def _probe_media(self) -> None:
        segment = next((one for one in reversed(self._rendition.newest.segments) if not one.gap), None)
        if segment is None or segment.uri is None:
            return
        url = self._rendition.resolve(segment.uri)
        whole = await self._note(Probe.MEDIA_GZIP, url, {"Accept-Encoding": "gzip"})
        await self._note(Probe.HEAD, url, method="HEAD")
        await self._note(Probe.RANGE, url, {"Range": "bytes=0-99"})
        await self._note(Probe.RANGE_BEYOND, url, {"Range": f"bytes={len(whole.body) + 1000}-"})
        if "etag" in whole.headers:
            await self._note(Probe.NOT_MODIFIED, url, {"If-None-Match": whole.headers["etag"]})

    async def _probe_refusals(self) -> None:
        url = self._rendition.url
        joint = "&" if "?" in url else "?"
        await self._note(Probe.PART_ALONE, f"{url}{joint}_HLS_part=0")
        await self._note(Probe.NOT_A_NUMBER, f"{url}{joint}_HLS_msn=next")
        await self._note(Probe.NEGATIVE, f"{url}{joint}_HLS_msn=-1")
        far = self._rendition.newest.last[0] + FAR_SEGMENTS
        await self._note(Probe.TOO_FAR, with_directives(url, wanted=(far, None)))
        await self._probe_far_part()

    async def _probe_far_part(self) -> None:
        target = self._rendition.newest.part_target
        if not target:
            return
        limit = math.ceil(ADVANCE_S / target) if target < 1 else 3
        for _ in range(TRIES):
            before = self._rendition.newest
            number, parts = before.next
            url = with_directives(self._rendition.url, wanted=(number, parts + limit + FAR_PARTS))
            exchange = await self._requests.fetch(url)
            after = _playlist(exchange)
            if after is not None and after.next[0] > number:
                continue  # the segment was over meanwhile, and that part is the first of the next
            self._seen.note(Probe.PART_TOO_FAR, Probed(exchange, before, after))
            return

    async def _probe_waiting(self) -> None:
        for _ in range(TRIES):
            await self._probe_what_is_there()
        if self._rendition.newest.open is not None:
            await self._note_wanted(Probe.SEGMENT_ALONE, (self._rendition.newest.open.number, None))
        number, part = self._rendition.newest.next
        # Some further, so that all ask before it is there.
        wanted = (number, part + CROWD_AHEAD)
        await asyncio.gather(*(self._note_wanted(Probe.CROWD, wanted) for _ in range(CROWD)))

    async def _probe_what_is_there(self) -> None:
        newest = self._rendition.newest
        if not newest.segments:
            return
        await self._note_wanted(Probe.SATISFIED, (newest.segments[-1].number, None))
        await self._note_wanted(Probe.LEFT_WINDOW, (max(newest.media_sequence - 1, 0), None))
        done = self._rendition.newest.segments[-1]
        if done.parts:
            await self._note_wanted(Probe.PAST_LAST_PART, (done.number, len(done.parts)))

    async def _probe_deltas(self) -> None:
        for word in ("YES", "v2"):
            for _ in range(TRIES):
                held = self._rendition.newest
                exchange = await self._requests.fetch(with_directives(self._rendition.url, skip=word))
                whole = _playlist(await self._requests.fetch(self._rendition.url))
                delta = _playlist(exchange)
                if whole is None or delta is None:
                    return
                if (delta.end_uri, delta.media_sequence) == (whole.end_uri, whole.media_sequence):
                    self._seen.deltas.append(Delta(exchange, held, delta, whole))
                    break

    async def _probe_beside_media(self) -> None:
        old = [one for one in self._rendition.newest.segments if one.uri and not one.gap][-BESIDE:]
        urls = [self._rendition.resolve(one.uri or "") for one in old]
        if urls:
            media = [self._requests.fetch(url) for url in urls]
            await asyncio.gather(*media, self._note(Probe.BESIDE_MEDIA, self._rendition.url))

    async def _note_wanted(self, probe: Probe, wanted: tuple[int, int | None]) -> Exchange:
        return await self._note(probe, with_directives(self._rendition.url, wanted=wanted))

    async def _note(
        self, probe: Probe, url: str, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> Exchange:
        before = self._rendition.newest
        exchange = await self._requests.fetch(url, headers, method)
        self._seen.note(probe, Probed(exchange, before, _playlist(exchange)))
        return exchange


def _playlist(exchange: Exchange) -> MediaPlaylist | None:
    if exchange.status != 200 or not exchange.body.startswith(b"#EXTM3U"):  # noqa: PLR2004 - OK
        return None
    return parse_media(exchange.body.decode("utf-8", "replace"))
