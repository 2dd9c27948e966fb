"""Simulcast: three encodings of one picture by RID (RFC 8853); the sink chooses, and switches at keyframes.

The source sends small, middle and large pictures, and a keyframe when it is asked for one (PLI, FIR). The sink sees one
stream whose numbering has no break. Run: python examples/simulcast.py
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count, pairwise

from wire import Rtp, asks_for_keyframe, engine, is_rtcp, port_of, receive, udp, waiting

from roomtone.media.values import (
    CodecFeedback,
    CodecParameters,
    EncodingParameters,
    HeaderExtension,
    Latching,
    MediaKind,
)

RID = HeaderExtension(id=10, uri="urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id")
PLI = CodecFeedback(nack=True, pli=True)
VP8 = CodecParameters(payload_type=96, name="VP8", clock_rate=90_000, feedback=PLI)
SIZES = {"q": 100, "h": 400, "f": 1000}
"""Bytes of a picture, by RID."""


async def send(port: int) -> None:
    """Send thirty pictures a second of each encoding for ever."""
    source, key = udp(), set(SIZES)
    for n in count():
        for ssrc, (rid, size) in enumerate(SIZES.items(), start=1):
            first = b"\x10\x00" if rid in key else b"\x10\x01"  # VP8 descriptor, then the P bit (RFC 7741)
            packet = Rtp(ssrc, 96, n, n * 3000, first + bytes(size - 2), extensions={10: rid.encode()})
            source.sendto(packet.write(), ("127.0.0.1", port))
        key = set(SIZES) if any(asks_for_keyframe(data) for data in waiting(source) if is_rtcp(data)) else set()
        await asyncio.sleep(1 / 30)


async def main() -> int:
    """Ask for each encoding in turn and see it arrive."""
    sink = udp()
    seen: list[Rtp] = []
    async with engine() as media:
        router = await media.open_router()
        way_in = await router.open_plain_transport(latching=Latching.ONCE)
        encodings = [EncodingParameters(rid=rid) for rid in SIZES]
        camera = await way_in.produce(MediaKind.VIDEO, [VP8], encodings=encodings, header_extensions=[RID])
        way_out = await router.open_plain_transport()
        await way_out.connect("127.0.0.1", port_of(sink))
        consumer = await way_out.consume(MediaKind.VIDEO, camera, payload_types=[(96, 96)], feedback=PLI)
        sending = asyncio.create_task(send(way_in.port))
        for layer, rid in ((0, "q"), (2, "f"), (1, "h")):
            await consumer.set_preferred_layers(spatial=layer)
            while len(seen) < 5 or {len(packet.payload) for packet in seen[-5:]} != {SIZES[rid]}:  # noqa: PLR2004
                data = await receive(sink)
                if not is_rtcp(data):
                    seen.append(Rtp.read(data))
            print(f"asked for {rid}: five pictures of {SIZES[rid]} bytes, SSRC {seen[-1].ssrc:08x}")
        sending.cancel()
    unbroken = all((then.sequence + 1) & 0xFFFF == now.sequence for then, now in pairwise(seen))
    print(f"{len(seen)} pictures, numbered {'without' if unbroken else 'with'} a break")
    return 0 if unbroken and len({packet.ssrc for packet in seen}) == 1 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
