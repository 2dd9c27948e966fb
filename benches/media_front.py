"""Our engine behind the control protocol of rtpengine, so that one driver measures both: `audio.py` starts it.

`python benches/media_front.py PORT [--mix LEGS]` listens on loopback for ``offer``, ``answer`` and ``delete`` (bencoded
dictionaries behind a cookie, over UDP). A call is what a phone call is in the server: two plain transports, joined by
codec or by conversion. With ``--mix`` so many legs, of however many calls, are in one mix instead, and each hears all
others. The engine is set as the server sets it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
from dataclasses import dataclass, field
from typing import Any

from roomtone.control.calls.media.bridge import join, produce
from roomtone.control.calls.media.offering import answer_like, read_sdp, wanted_like
from roomtone.control.calls.media.pipes import Pipes
from roomtone.control.calls.media.plain_media import PlainLegMedia
from roomtone.control.calls.media.streams import Wanted
from roomtone.media import CoreLink, Engine, Mixer, Router
from roomtone.media.values import EngineConfig, MediaKind
from roomtone.protocols.sdp.telephony import MediaSecurity, PhoneDescription
from roomtone.protocols.sdp.telephony_codecs import default_audio

HERE = "127.0.0.1"
PORTS = (20_000, 29_999)
MOST = 20_000


def write(value: Any) -> bytes:
    """Bencode strings, numbers, lists and dictionaries."""
    if isinstance(value, str):
        raw = value.encode()
        return b"%d:%b" % (len(raw), raw)
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, dict):
        return b"d%be" % b"".join(write(key) + write(value[key]) for key in sorted(value))
    return b"l%be" % b"".join(map(write, value))


def read(data: bytes, at: int = 0) -> tuple[Any, int]:
    """Read one value, and where the next one begins."""
    if data[at : at + 1] == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if data[at : at + 1] in {b"l", b"d"}:
        items, is_dict, at = [], data[at : at + 1] == b"d", at + 1
        while data[at : at + 1] != b"e":
            item, at = read(data, at)
            items.append(item)
        return (dict(zip(items[::2], items[1::2], strict=True)) if is_dict else items), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end].decode(), end


@dataclass(slots=True)
class Pair:
    """A call."""

    router: Router
    offer: PhoneDescription
    first: PlainLegMedia
    second: PlainLegMedia
    pipes: Pipes = field(default_factory=Pipes)


class Front:
    """All calls."""

    def __init__(self, engine: Engine, mix: int) -> None:
        self._engine = engine
        self._mix = mix
        self._pairs: dict[str, Pair] = {}
        self._shared: Router | None = None
        self._mixer: Mixer | None = None
        self._in_mix = 0

    async def do(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do what one command says."""
        match asked["command"]:
            case "ping":
                return {"result": "pong"}
            case "statistics":
                return {"result": "ok", "engine": json.dumps(await self._engine.stats())}
            case "offer":
                return {"result": "ok", "sdp": await self._offer(asked)}
            case "answer":
                return {"result": "ok", "sdp": await self._answer(asked)}
            case "delete":
                pair = self._pairs.pop(asked["call-id"], None)
                if pair is not None and not self._mix:
                    await pair.router.close()
                return {"result": "ok"}
            case other:
                return {"result": "error", "error-reason": f"no command {other}"}

    async def _router(self) -> Router:
        if not self._mix:
            return await self._engine.open_router()
        if self._shared is None:
            self._shared = await self._engine.open_router()
        return self._shared

    async def _offer(self, asked: dict[str, Any]) -> str:
        router = await self._router()
        words = {"ip": HERE, "told_ip": HERE, "source_ip": HERE, "security": MediaSecurity.OFF}
        first, second = PlainLegMedia(router, **words), PlainLegMedia(router, **words)
        offer = read_sdp(asked["sdp"])
        await first.take_offer(offer)
        wanted = wanted_like(first)
        names = {name.upper() for name in asked.get("codec", {}).get("transcode", ())}
        if names:
            wanted = [Wanted(MediaKind.AUDIO, tuple(codec for codec in default_audio() if codec.name in names))]
        self._pairs[asked["call-id"]] = Pair(router, offer, first, second)
        return await second.offer(wanted)

    async def _answer(self, asked: dict[str, Any]) -> str:
        pair = self._pairs[asked["call-id"]]
        await pair.second.take_answer(read_sdp(asked["sdp"]))
        sdp = await answer_like(pair.first, pair.offer, pair.second)
        await pair.first.connect(MediaKind.AUDIO)
        if self._mix:
            await self._mix_in(pair.first)
            await self._mix_in(pair.second)
        else:
            await join(pair.first, pair.second, None, pair.pipes)
        return sdp

    async def _mix_in(self, leg: PlainLegMedia) -> None:
        if self._mixer is None or self._in_mix == self._mix:
            self._mixer, self._in_mix = await Mixer.open(await self._router()), 0
        self._in_mix += 1
        stream = leg.streams[MediaKind.AUDIO]
        await produce(stream)
        assert stream.producer is not None
        heard = await self._mixer.add_input(stream.producer)
        codec = stream.takes[0]
        given = await self._mixer.add_output(codec.to_parameters(), without=heard)
        await stream.consume(given, ((codec.payload_type, codec.payload_type),), paused=False)


class Socket(asyncio.DatagramProtocol):
    """Commands in, replies out."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the way out."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a command."""
        task = asyncio.get_running_loop().create_task(self._do(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, data: bytes, address: tuple[str, int]) -> None:
        cookie, _, rest = data.partition(b" ")
        reply = await self._front.do(read(rest)[0])
        self._transport.sendto(cookie + b" " + write(reply), address)


async def serve(port: int, mix: int) -> None:
    """Serve until it is killed."""
    config = EngineConfig(listen_ips=[HERE], webrtc_ports=(0, 0), plain_ports=PORTS, max_transports=MOST)
    engine = Engine(CoreLink(config))
    await engine.start()
    front = Front(engine, mix)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: Socket(front), local_addr=(HERE, port))
    gc.freeze()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--mix", type=int, default=0, metavar="LEGS")
    words = parser.parse_args()
    asyncio.run(serve(words.port, words.mix))
