"""A publisher in a process of its own, to be killed; prints `live` once it is connected."""

from __future__ import annotations

import asyncio
import sys

from aiortc import RTCPeerConnection
from aiortc_peer import Grey, Tone, post


async def main(url: str, bearer: str) -> None:
    pc = RTCPeerConnection()
    pc.addTrack(Grey())
    pc.addTrack(Tone())
    connected = asyncio.Event()

    def look() -> None:
        if pc.connectionState == "connected":
            connected.set()

    pc.on("connectionstatechange", look)
    await post(pc, url, bearer)
    await connected.wait()
    print("live", flush=True)  # noqa: T201 - this is what the parent waits for
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:3]))
