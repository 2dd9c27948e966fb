"""RTP header extensions: each side has ids of its own, and the engine maps them.

A source sends Opus with its audio level (RFC 6464) under id 3. The sink negotiated the same extension as id 9, and
the time of sending (abs-send-time) as id 5, which the engine writes itself. Run: python examples/header_extensions.py
"""

from __future__ import annotations

import asyncio
import sys

from wire import Rtp, engine, is_rtcp, port_of, receive, udp

from roomtone.media.values import CodecParameters, EncodingParameters, HeaderExtension, Latching, MediaKind

LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
OPUS = CodecParameters(payload_type=111, name="OPUS", clock_rate=48_000, channels=2)
SSRC = 0x1001
SPOKEN = 0x80
"""The level's first bit: this is speech."""


async def main() -> int:
    """Send ten packets and compare what arrives."""
    source, sink = udp(), udp()
    async with engine() as media:
        router = await media.open_router()
        way_in = await router.open_plain_transport(latching=Latching.ONCE)
        producer = await way_in.produce(
            MediaKind.AUDIO,
            [OPUS],
            encodings=[EncodingParameters(ssrc=SSRC)],
            header_extensions=[HeaderExtension(id=3, uri=LEVEL)],
        )
        way_out = await router.open_plain_transport()
        await way_out.connect("127.0.0.1", port_of(sink))
        await way_out.consume(
            MediaKind.AUDIO,
            producer,
            payload_types=[(111, 96)],
            header_extensions=[HeaderExtension(id=9, uri=LEVEL), HeaderExtension(id=5, uri=SEND_TIME)],
        )
        levels = [20 + n for n in range(10)]
        for n, level in enumerate(levels):
            sent = Rtp(SSRC, 111, n, n * 960, b"opus", extensions={3: bytes([SPOKEN | level])})
            source.sendto(sent.write(), ("127.0.0.1", way_in.port))
        heard: list[int] = []
        while len(heard) < len(levels):
            data = await receive(sink)
            if is_rtcp(data):
                continue
            got = Rtp.read(data)
            print(f"payload type {got.payload_type}, extensions { ({i: v.hex() for i, v in got.extensions.items()}) }")
            if set(got.extensions) != {5, 9}:
                return 1
            heard.append(got.extensions[9][0] & 0x7F)
    print(f"levels sent {levels} dBov below full, heard {heard}")
    return 0 if heard == levels else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
