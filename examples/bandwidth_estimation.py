"""Bandwidth estimation: what a line carries, found out by transport-wide feedback and probes.

Two WebRTC transports of the engine meet on loopback: one sends a picture that was published by plain RTP, the other
gives feedback as a browser does. The estimate begins at 1 Mbit/s and rises as probes come through.
Run: python examples/bandwidth_estimation.py
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from typing import TYPE_CHECKING

from wire import Rtp, engine, udp

from roomtone.media.values import (
    CodecFeedback,
    CodecParameters,
    DtlsRole,
    EncodingParameters,
    EstimateChanged,
    HeaderExtension,
    IceMode,
    Latching,
    MediaKind,
)

if TYPE_CHECKING:
    from roomtone.media import WebRtcTransport

SEQUENCE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
EXTENSION = [HeaderExtension(id=5, uri=SEQUENCE)]
FEEDBACK = CodecFeedback(nack=True, pli=True, transport_cc=True)
VP8 = CodecParameters(payload_type=96, name="VP8", clock_rate=90_000, rtx_payload_type=97, feedback=FEEDBACK)
SSRC = 0x1001


async def meet(one: WebRtcTransport, other: WebRtcTransport, role: DtlsRole) -> None:
    """Tell a transport of its peer, as signalling would."""
    candidates = [candidate for candidate in other.candidates if candidate.protocol == "udp"]
    await one.connect(
        dtls_role=role,
        fingerprints=other.fingerprints,
        ice_ufrag=other.ice_ufrag,
        ice_pwd=other.ice_pwd,
        candidates=candidates,
    )


async def send(port: int) -> None:
    """Send about 1.8 Mbit/s of pictures, each of seven packets."""
    source = udp()
    for n in count():
        for part in range(7):
            head = b"\x10\x00" if part == 0 else b"\x00"
            packet = Rtp(SSRC, 96, n * 7 + part, n * 3000, head + bytes(1100), marker=part == 6)  # noqa: PLR2004
            source.sendto(packet.write(), ("127.0.0.1", port))
        await asyncio.sleep(1 / 30)


async def main() -> int:
    """Follow the estimate until it is above what is sent."""
    async with engine(shards=2) as media:
        router, other = await media.open_router(0), await media.open_router(1)
        near = await router.open_webrtc_transport(ice_mode=IceMode.FULL)
        far = await other.open_webrtc_transport(ice_mode=IceMode.FULL)
        estimates = media.subscribe(near.id)
        way_in = await router.open_plain_transport(latching=Latching.ONCE)
        camera = await way_in.produce(MediaKind.VIDEO, [VP8], encodings=[EncodingParameters(ssrc=SSRC)])
        consumer = await near.consume(
            MediaKind.VIDEO,
            camera,
            payload_types=[(96, 96)],
            rtx_payload_types=[(96, 97)],
            header_extensions=EXTENSION,
            feedback=FEEDBACK,
        )
        stream = EncodingParameters(ssrc=consumer.ssrc, rtx_ssrc=consumer.rtx_ssrc)
        await far.produce(MediaKind.VIDEO, [VP8], encodings=[stream], header_extensions=EXTENSION)
        await meet(near, far, DtlsRole.ACTIVE)
        await meet(far, near, DtlsRole.PASSIVE)
        sending = asyncio.create_task(send(way_in.port))
        async with asyncio.timeout(30):
            async for event in estimates:
                if isinstance(event, EstimateChanged):
                    print(f"the line carries {event.bps / 1e6:.2f} Mbit/s")
                    if event.bps > 2_000_000:  # noqa: PLR2004
                        break
        sending.cancel()
        report = (await near.stats())[0]
    print(f"{report['feedbackReceived']} feedback packets, {report['probes']} probes, "
          f"{report['paddingBytesSent']} bytes of padding")  # fmt: skip
    return 0 if report["feedbackReceived"] and report["rtpPacketsSent"] else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
