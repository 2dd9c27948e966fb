"""SVC: one VP9 stream with three spatial layers (L3T1, RFC 9628); the sink gets as many as it asks for.

Each picture is three packets, one a layer. Layers above the wanted one are left out, the marker moves to the last that
is sent, and the numbering has no break. Run: python examples/svc.py
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count, pairwise

from wire import Rtp, asks_for_keyframe, engine, is_rtcp, port_of, receive, udp, waiting

from roomtone.media.values import CodecFeedback, CodecParameters, EncodingParameters, Latching, MediaKind

PLI = CodecFeedback(nack=True, pli=True)
VP9 = CodecParameters(payload_type=98, name="VP9", clock_rate=90_000, feedback=PLI)
LAYERS = 3
SSRC = 0x999
STRUCTURE = bytes([(LAYERS - 1) << 5 | 0x10]) + b"".join(
    (160 << n).to_bytes(2) + (90 << n).to_bytes(2) for n in range(LAYERS)
)
"""Scalability structure: how many spatial layers, and the size of each."""


def payload(picture: int, layer: int, *, key: bool) -> bytes:
    """Write a descriptor with picture id and layer indices (not flexible), and the layer's number as its picture."""
    inter, structure = not key, key and layer == 0
    flags = 0x80 | inter << 6 | 0x20 | 0x08 | 0x04 | structure << 1
    head = bytes([flags, 0x80 | picture >> 8 & 0x7F, picture & 0xFF, layer << 1 | (layer > 0), picture & 0xFF])
    return head + (STRUCTURE if structure else b"") + bytes([layer]) * (100 << layer)


async def send(port: int) -> None:
    """Send thirty pictures a second for ever."""
    source, key = udp(), True
    for picture in count():
        for layer in range(LAYERS):
            last = layer == LAYERS - 1
            packet = Rtp(SSRC, 98, picture * LAYERS + layer, picture * 3000, payload(picture, layer, key=key), last)
            source.sendto(packet.write(), ("127.0.0.1", port))
        key = any(asks_for_keyframe(data) for data in waiting(source) if is_rtcp(data))
        await asyncio.sleep(1 / 30)


async def main() -> int:
    """Ask for one, three and two layers, and see pictures end with the layer asked for."""
    sink = udp()
    seen: list[Rtp] = []
    async with engine() as media:
        router = await media.open_router()
        way_in = await router.open_plain_transport(latching=Latching.ONCE)
        camera = await way_in.produce(MediaKind.VIDEO, [VP9], encodings=[EncodingParameters(ssrc=SSRC)])
        way_out = await router.open_plain_transport()
        await way_out.connect("127.0.0.1", port_of(sink))
        consumer = await way_out.consume(MediaKind.VIDEO, camera, payload_types=[(98, 98)], feedback=PLI)
        sending = asyncio.create_task(send(way_in.port))
        for wanted in (0, 2, 1):
            await consumer.set_preferred_layers(spatial=wanted)
            ends: list[int] = []
            while len(ends) < 5 or set(ends[-5:]) != {wanted}:  # noqa: PLR2004
                data = await receive(sink)
                if not is_rtcp(data):
                    seen.append(Rtp.read(data))
                    ends += [seen[-1].payload[-1]] if seen[-1].marker else []
            print(f"asked for layer {wanted}: five pictures that end with it")
        sending.cancel()
    unbroken = all((then.sequence + 1) & 0xFFFF == now.sequence for then, now in pairwise(seen))
    print(f"{len(seen)} packets, numbered {'without' if unbroken else 'with'} a break")
    return 0 if unbroken else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
