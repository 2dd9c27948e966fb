"""A peer in a process of its own, to be killed: publish|watch URL TOKEN; prints `live` once it is connected."""

from __future__ import annotations

import asyncio
import sys

from aiortc import RTCPeerConnection
from aiortc.contrib.media import MediaBlackhole
from aiortc_peer import Grey, Tone, post


async def main(mode: str, url: str, bearer: str) -> None:
    pc = RTCPeerConnection()
    connected = asyncio.Event()
    sink = MediaBlackhole()

    def look() -> None:
        if pc.connectionState == "connected":
            connected.set()

    pc.on("connectionstatechange", look)
    if mode == "publish":
        pc.addTrack(Grey())
        pc.addTrack(Tone())
    else:
        pc.on("track", sink.addTrack)
        pc.addTransceiver("video", direction="recvonly")
    await post(pc, url, bearer)
    await sink.start()
    await connected.wait()
    print("live", flush=True)  # noqa: T201 - this is what the parent waits for
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:4]))
