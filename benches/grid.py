"""A room of thirty: everybody publishes three encodings, everybody watches nine others, layers change all the time.

The engine runs in a process of its own with as much signalling as `roomtone-load --shape grid` needs: an offer to
`/publish/N` becomes a transport with a simulcast producer, one to `/view/N` a transport with a consumer in each
section. `python benches/grid.py` prints one JSON line; PYTHONPATH names the tree whose engine is meant.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import engine_figures
from targets import CARGO_TARGET, BenchError, get

if TYPE_CHECKING:
    from collections.abc import Iterator

PEERS = 30
# What a viewer shows: one large picture, the others smaller.
LARGE, SMALL = 2, 1
SWITCH_EVERY_S = 0.05
SWITCHERS = 4
LINE_BPS = 20_000_000
PATIENCE_S = 60


def figures(tree: Path, *, seconds: int) -> dict[str, Any]:
    """Put the load on an engine of ``tree`` and let layers change; CPU time a packet, runs, latency of changes."""
    with served(tree) as (base, pid):
        words = [str(CARGO_TARGET / "release" / "roomtone-load"), "--name", "grid", "--shape", "grid"]
        words += ["--publish", f"{base}/publish/{{n}}", "--play", f"{base}/view/{{n}}", "--pid", str(pid)]
        words += ["--viewers", str(PEERS), "--warm", "4", "--seconds", str(seconds)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            wait_for_views(base, client)
            time.sleep(4)
            before = json.loads(get(f"{base}/counters"))
            post(f"{base}/switch/{seconds}")
            outcome = finish(client, seconds)
        after = json.loads(get(f"{base}/counters"))
        switches = json.loads(get(f"{base}/switches"))
    late = sorted(switches["ms"])
    if len(late) < 20:
        raise BenchError(f"grid: {len(late)} changes of layers were seen")
    return (
        {name: outcome[name] for name in ("cpu_us_per_packet", "out_packets", "lost_packets", "mbit_s_out")}
        | engine_figures(before, after)
        | {
            "peers": PEERS,
            "switches": len(late),
            "switches_unseen": switches["unseen"],
            "switch_p50_ms": statistics.median(late),
            "switch_p95_ms": statistics.quantiles(late, n=20)[18],
        }
    )


@contextmanager
def served(tree: Path) -> Iterator[tuple[str, int]]:
    """Run the engine until the block ends; its URL and process."""
    words = [sys.executable, str(Path(__file__).resolve()), "--serve"]
    env = os.environ | {"PYTHONPATH": str(tree)}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            if not line.strip().isdecimal():
                raise BenchError("grid: the engine did not start")
            yield f"http://127.0.0.1:{int(line)}", process.pid
        finally:
            process.terminate()


def wait_for_views(base: str, client: subprocess.Popen[str]) -> None:
    """Return when everybody watches."""
    end = time.monotonic() + PATIENCE_S
    while json.loads(get(f"{base}/counters"))["views"] < PEERS:
        if client.poll() is not None or time.monotonic() > end:
            client.kill()
            _, errors = client.communicate()
            raise BenchError(f"grid: not everybody joined: {errors.strip()[-600:]}")
        time.sleep(0.1)


def finish(client: subprocess.Popen[str], seconds: int) -> dict[str, Any]:
    """Wait for the client; its figures."""
    try:
        out, errors = client.communicate(timeout=seconds + PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        client.kill()
        raise BenchError("grid: the client did not end in time") from error
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchError(f"grid: {errors.strip()[-600:]}")
    outcome: dict[str, Any] = json.loads(lines[-1])
    if outcome["failures"] or outcome["silent_viewers"]:
        raise BenchError(f"grid: {outcome['failures']}, {outcome['silent_viewers']} viewers got nothing")
    return outcome


def post(url: str) -> None:
    """Post nothing."""
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10):  # noqa: S310 - our own server
        pass


class Room:
    """The engine's router and who is in it."""

    def __init__(self, engine: Any, router: Any) -> None:
        from roomtone.protocols import sdp  # noqa: PLC0415 - only the serving process loads the product

        self.sdp = sdp
        self.engine = engine
        self.router = router
        self.support = sdp.Support(max_media=16, max_tracks_per_kind=9)
        self.published: dict[int, tuple[Any, Any]] = {}
        self.consumers: list[Any] = []
        self.views = 0
        self.latencies_ms: list[float] = []
        self.unseen = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def publish(self, number: int, offer: str) -> str:
        """Take a simulcast source in."""
        agreed = self.sdp.negotiate(self.sdp.parse_session(offer.encode()), self.sdp.AnswerRole.RECEIVE, self.support)
        transport = await self.router.open_webrtc_transport()
        media = agreed.media[0]
        producer = await transport.produce(
            media.kind,
            [codec.to_parameters() for codec in media.codecs],
            encodings=media.encodings,
            mid=media.mid,
            header_extensions=media.extensions,
        )
        self.published[number] = (producer, media.codecs)
        return await self.answer(agreed, transport, {})

    async def view(self, number: int, offer: str) -> str:
        """Send one of the others in each section."""
        agreed = self.sdp.negotiate(self.sdp.parse_session(offer.encode()), self.sdp.AnswerRole.SEND, self.support)
        transport = await self.router.open_webrtc_transport()
        sending = {}
        for tile, media in enumerate(agreed.media):
            producer, codecs = self.published[(number + tile + 1) % PEERS]
            consumer = await transport.consume(
                media.kind,
                producer,
                mid=media.mid,
                payload_types=self.sdp.map_payload_types(codecs, media.codecs),
                rtx_payload_types=self.sdp.rtx_payload_types(media.codecs),
                header_extensions=media.extensions,
                feedback=self.sdp.media_feedback(media.codecs),
            )
            await consumer.set_preferred_layers(SMALL if tile else LARGE)
            self.consumers.append(consumer)
            sending[media.index] = self.sdp.Sending(
                consumer.ssrc, consumer.rtx_ssrc, consumer.cname, stream="grid", track=f"{number}-{tile}"
            )
        answer = await self.answer(agreed, transport, sending)
        self.views += 1
        return answer

    async def answer(self, agreed: Any, transport: Any, sending: dict[int, Any]) -> str:
        """Connect a transport to its peer; the answer."""
        peer = agreed.peer
        await transport.connect(
            dtls_role=peer.dtls_role,
            fingerprints=peer.fingerprints,
            ice_ufrag=peer.ice_ufrag or None,
            ice_pwd=peer.ice_pwd or None,
            ice_lite=peer.ice_lite,
            candidates=peer.candidates,
        )
        local = self.sdp.LocalPeer(transport.ice_ufrag, transport.ice_pwd, transport.fingerprints, transport.candidates)
        text: str = self.sdp.write_answer(agreed, self.sdp.AnswerDetails(local, 1, sending)).serialize()
        return text

    async def switch(self, seconds: float) -> None:
        """Change the layer of one tile after another, there and back; note how long each took."""
        await asyncio.gather(*(self.switch_some(seconds, number) for number in range(SWITCHERS)))

    async def switch_some(self, seconds: float, number: int) -> None:
        """Change layers of every fourth consumer or so."""
        draw = random.Random(number)  # noqa: S311 - no secret
        end = time.monotonic() + seconds - 2
        while time.monotonic() < end:
            consumer = draw.choice(self.consumers[number::SWITCHERS])
            for layer in (0, SMALL):
                await self.timed(consumer, layer)
            await asyncio.sleep(SWITCH_EVERY_S)

    async def timed(self, consumer: Any, layer: int) -> None:
        """Ask for a layer and wait until it is sent."""
        with self.engine.subscribe(consumer.id) as events:
            began = time.perf_counter()
            await consumer.set_preferred_layers(layer)
            try:
                async with asyncio.timeout(2):
                    while getattr(await events.get(), "spatial", None) != layer:
                        pass
            except TimeoutError:
                self.unseen += 1
            else:
                self.latencies_ms.append((time.perf_counter() - began) * 1e3)

    async def counters(self) -> dict[str, float]:
        """Sums over the shards, and how many watch."""
        sums: dict[str, float] = {"views": self.views}
        for report in await self.engine.stats():
            for name, value in report.items():
                if isinstance(value, int | float):
                    sums[name] = sums.get(name, 0) + value
        return sums

    async def handle(self, method: str, path: str, body: str) -> str:
        """Answer a request."""
        match [method, *path.strip("/").split("/")]:
            case ["POST", "publish", number]:
                return await self.publish(int(number), body)
            case ["POST", "view", number]:
                return await self.view(int(number), body)
            case ["POST", "switch", seconds]:
                self.tasks.add(asyncio.create_task(self.switch(float(seconds))))
                return ""
            case ["GET", "counters"]:
                return json.dumps(await self.counters())
            case ["GET", "switches"]:
                return json.dumps({"ms": self.latencies_ms, "unseen": self.unseen})
            case _:
                return ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request of a connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        lengths = [line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length:")]
        body = (await reader.readexactly(int(lengths[0]))).decode() if lengths else ""
        text = await self.handle(method, path, body)
        status = "201 Created" if method == "POST" else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()


async def serve() -> None:
    """Run the engine with its signalling until the process is ended; the port is printed."""
    from roomtone.media.core import CoreLink  # noqa: PLC0415 - only this process loads the engine
    from roomtone.media.engine import Engine  # noqa: PLC0415
    from roomtone.media.values import BandwidthConfig, EngineConfig  # noqa: PLC0415

    # Lines are estimated and paced, but a client that lacks processor time is not a line that lacks bandwidth.
    bandwidth = BandwidthConfig(start_bps=LINE_BPS, min_bps=LINE_BPS)
    config = EngineConfig(listen_ips=["127.0.0.1"], webrtc_ports=(0, 0), plain_ports=(0, 0), bandwidth=bandwidth)
    engine = Engine(CoreLink(config))
    await engine.start()
    room = Room(engine, await engine.open_router())
    server = await asyncio.start_server(room.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    for _ in itertools.count():
        await asyncio.sleep(3_600)


def main() -> int:
    """Serve, or print the figures of the tree in PYTHONPATH."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the server")
    parser.add_argument("--seconds", type=int, default=8)
    words = parser.parse_args()
    if words.serve:
        asyncio.run(serve())
    else:
        print(json.dumps(figures(Path(os.environ["PYTHONPATH"]), seconds=words.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
