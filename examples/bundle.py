"""BUNDLE (RFC 9143): audio and video on one transport, told apart by the MID of each packet.

The source sends Opus and VP8 from one port to one port; neither SSRC was signalled. The sink gets both on one port,
under MIDs of its own. Run: python examples/bundle.py
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

from wire import Rtp, engine, is_rtcp, port_of, receive, udp

from roomtone.media.values import CodecParameters, HeaderExtension, Latching, MediaKind

MID = HeaderExtension(id=1, uri="urn:ietf:params:rtp-hdrext:sdes:mid")
OPUS = CodecParameters(payload_type=111, name="OPUS", clock_rate=48_000, channels=2)
VP8 = CodecParameters(payload_type=96, name="VP8", clock_rate=90_000)
KEYFRAME = b"\x10\x00" + b"picture"
"""A VP8 payload descriptor (RFC 7741) of a first packet, and a keyframe's first octet."""
COUNT = 20


async def main() -> int:
    """Send both, and count what arrives by MID."""
    source, sink = udp(), udp()
    async with engine() as media:
        router = await media.open_router()
        way_in = await router.open_plain_transport(latching=Latching.ONCE)
        microphone = await way_in.produce(MediaKind.AUDIO, [OPUS], mid="mic", header_extensions=[MID])
        camera = await way_in.produce(MediaKind.VIDEO, [VP8], mid="cam", header_extensions=[MID])
        way_out = await router.open_plain_transport()
        await way_out.connect("127.0.0.1", port_of(sink))
        for kind, producer, mid, number in (
            (MediaKind.AUDIO, microphone, "hear", 111),
            (MediaKind.VIDEO, camera, "see", 96),
        ):
            await way_out.consume(kind, producer, mid=mid, payload_types=[(number, number)], header_extensions=[MID])
        for n in range(COUNT):
            audio = Rtp(0xA, 111, n, n * 960, b"opus", extensions={1: b"mic"})
            video = Rtp(0xB, 96, n, n * 3000, KEYFRAME, extensions={1: b"cam"})
            for packet in (audio, video):
                source.sendto(packet.write(), ("127.0.0.1", way_in.port))
        arrived: Counter[str] = Counter()
        while arrived.total() < 2 * COUNT:
            data = await receive(sink)
            if not is_rtcp(data):
                packet = Rtp.read(data)
                arrived[packet.extensions[1].decode()] += 1
        report = (await way_in.stats())[0]
    print(f"one port took {report['rtpPacketsReceived']} packets; the sink's port got {dict(sorted(arrived.items()))}")
    return 0 if arrived == {"hear": COUNT, "see": COUNT} else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
