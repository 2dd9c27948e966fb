"""A check of an origin, from its address to the verdicts."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from roomtone.checks.hls.following import Follower
from roomtone.checks.hls.playlist import Variant, parse_multivariant
from roomtone.checks.hls.probing import Prober
from roomtone.checks.hls.requests import Requests
from roomtone.checks.hls.rules import RULES
from roomtone.checks.hls.seen import Rendition, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from roomtone.checks.hls.playlist import Multivariant
    from roomtone.checks.hls.verdict import Rule, Verdict

MAX_RENDITIONS = 8
VIDEO = ("avc", "hvc", "hev", "av01", "vp09", "dvh")


class CannotCheckError(Exception):
    """There is no playlist at the address."""


async def observe(
    client: httpx.AsyncClient,
    url: str,
    seconds: float,
    *,
    slack_s: float = 0.15,
    clock: Callable[[], float] = time.monotonic,
) -> Seen:
    """Watch an origin for some seconds as players do and probe it; raise `CannotCheckError`."""
    requests = Requests(client, clock)
    seen = Seen(url, slack_s)
    first = await requests.fetch(url)
    text = first.body.decode("utf-8", "replace")
    if first.status != 200:  # noqa: PLR2004 - OK
        raise CannotCheckError(f"{url}: {first.status or text}")
    if not text.lstrip("\ufeff").startswith("#EXTM3U"):
        raise CannotCheckError(f"{url} is no playlist")
    multivariant = parse_multivariant(text)
    if multivariant is None:
        seen.renditions = [Rendition(first.url)]
    else:
        seen.multivariant.append((first, multivariant))
        seen.renditions = _renditions(first.url, multivariant)
    until = clock() + seconds
    followers = [Follower(seen, rendition, requests, clock) for rendition in seen.renditions]
    lead = next((one for one in followers if one.rendition.is_video), followers[0])
    prober = Prober(seen, lead.rendition, requests)

    async def probe() -> None:
        await lead.begun.wait()
        await prober.probe()

    await asyncio.gather(probe(), *(follower.follow(until) for follower in followers))
    if lead.rendition.states and lead.rendition.newest.ended:
        await prober.probe_ended()
    if multivariant is not None:
        again = await requests.fetch(url)
        newest = parse_multivariant(again.body.decode("utf-8", "replace"))
        if again.status == 200 and newest is not None:  # noqa: PLR2004 - OK
            seen.multivariant.append((again, newest))
            _tell_variants(seen, newest)
    seen.exchanges = requests.made
    if not any(rendition.states for rendition in seen.renditions):
        raise CannotCheckError(f"no media playlist of {url} can be read")
    return seen


def judge(seen: Seen) -> list[tuple[Rule, Verdict]]:
    """Give the verdict of each rule, in the checklist's order."""
    return [(rule, rule.judge(seen)) for rule in RULES]


def _renditions(base: str, multivariant: Multivariant) -> list[Rendition]:
    found: dict[str, Rendition] = {}
    for variant in (*multivariant.variants, *multivariant.media):
        if len(found) < MAX_RENDITIONS:
            url = urljoin(base, variant.uri)
            found.setdefault(url, Rendition(url, variant, is_video=_is_video(variant)))
    return list(found.values())


def _is_video(variant: Variant) -> bool:
    if "TYPE" in variant.attributes:
        return variant.attributes["TYPE"] == "VIDEO"
    codecs = variant.attributes.get("CODECS")
    return codecs is None or any(one.strip().startswith(VIDEO) for one in codecs.split(","))


def _tell_variants(seen: Seen, newest: Multivariant) -> None:
    """Give renditions what is said of them at the end, when bandwidths are known."""
    told = {one.uri: one for one in (*newest.media, *newest.variants)}
    for rendition in seen.renditions:
        if rendition.variant is not None:
            rendition.variant = told.get(rendition.variant.uri, rendition.variant)
