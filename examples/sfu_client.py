"""A back end that signals for its peers: rooms and media of a server by `SfuClient`, over HTTP.

It starts a development server, lets two peers into a room, and hands each peer's parameters to the server and back, as
a back end does between its own protocol and `mediasoup-client`. The peers are transports of an engine of our own; one
sends Opus, the other gets it. Run: python examples/sfu_client.py
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from wire import Rtp, engine, is_rtcp, port_of, udp

from roomtone.client import SfuClient, SfuTransportInfo
from roomtone.control.policy import DEV_KEY, DEV_SECRET, KeyTable, VideoGrants
from roomtone.media.values import (
    Candidate,
    CodecParameters,
    DtlsRole,
    EncodingParameters,
    Fingerprint,
    HeaderExtension,
    IceMode,
    Latching,
    MediaKind,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roomtone.media import Router, WebRtcTransport

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
OPUS = CodecParameters(payload_type=111, name="OPUS", clock_rate=48_000, channels=2)
ROOM = "studio"
SSRC = 0x5F0
ENOUGH = 20
PACE_S = 0.02
WITHIN_S = 30


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[str]:
    """Run a development server on ports the kernel chooses; gives its URL."""
    free = "127.0.0.1:0"
    ports = {f"ROOMTONE_{name}__LISTEN": free for name in ("HTTP", "METRICS")}
    more = {"ROOMTONE_HTTP__TLS_LISTEN": free, "ROOMTONE_WEBRTC__PORTS": "0-0", "ROOMTONE_LOG__FORMAT": "json"}
    with tempfile.TemporaryDirectory() as folder:
        line = ["-m", "roomtone", "serve", "--dev", "--data-dir", folder]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *line,
            env=os.environ | ports | more,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            while text := await process.stdout.readline() if process.stdout else b"":
                told = json.loads(text) if text.startswith(b"{") else {}
                if told.get("event") == "ready":
                    yield f"http://{told['http'][0]}"
                    break
        finally:
            process.terminate()
            await process.communicate()


def token() -> str:
    """Sign a token of the development key that acts for all peers of all rooms."""
    return KeyTable({DEV_KEY: DEV_SECRET}).sign(DEV_KEY, "back-end", VideoGrants(room_admin=True), time.time(), 600)


async def connect(sfu: SfuClient, peer: str, router: Router, info: SfuTransportInfo) -> WebRtcTransport:
    """Be a peer: check the server's candidates, and begin the DTLS handshake."""
    transport = await router.open_webrtc_transport(ice_mode=IceMode.FULL)
    ours = [{"algorithm": one.algorithm, "value": one.value} for one in transport.fingerprints]
    await sfu.connect_transport(ROOM, peer, info.id, {"role": "client", "fingerprints": ours})
    await transport.connect(
        dtls_role=DtlsRole.ACTIVE,
        fingerprints=[Fingerprint(algorithm=f["algorithm"], value=f["value"]) for f in fingerprints_of(info)],
        ice_ufrag=info.ice_parameters["usernameFragment"],
        ice_pwd=info.ice_parameters["password"],
        ice_lite=True,
        candidates=[
            Candidate(
                foundation=c["foundation"],
                component=1,
                protocol=c["protocol"],
                priority=c["priority"],
                ip=c["ip"],
                port=c["port"],
                kind=c["type"],
            )
            for c in info.ice_candidates
            if c["protocol"] == "udp"
        ],
    )
    return transport


def fingerprints_of(info: SfuTransportInfo) -> list[dict[str, str]]:
    """Give the server's fingerprints that are SHA-256."""
    return [one for one in info.dtls_parameters["fingerprints"] if one["algorithm"] == "sha-256"]


def sends() -> dict[str, Any]:
    """Say what the sending peer sends, as `mediasoup-client` does."""
    return {
        "mid": "0",
        "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48_000, "channels": 2}],
        "headerExtensions": [{"uri": MID, "id": 1}],
        "encodings": [{"ssrc": SSRC}],
        "rtcp": {"cname": "sender"},
    }


async def main() -> int:
    """Signal for both peers, and count what arrives."""
    source, sink = udp(), udp()
    # A shard for each peer: to one address of the server, each socket has one connection.
    async with server() as url, SfuClient(f"{url}/sfu", token()) as sfu, engine(shards=2) as media:
        sender, receiver = await media.open_router(shard=0), await media.open_router(shard=1)
        await sfu.add_peer(ROOM, "sender")
        joined = await sfu.add_peer(ROOM, "receiver")

        sending = await sfu.create_transport(ROOM, "sender", "send")
        produced = await sfu.produce(ROOM, "sender", sending.id, "audio", sends(), app_data={"source": "microphone"})
        way_out = await connect(sfu, "sender", sender, sending)
        entry = await sender.open_plain_transport(latching=Latching.ONCE)
        microphone = await entry.produce(MediaKind.AUDIO, [OPUS], encodings=[EncodingParameters(ssrc=1)])
        mid = HeaderExtension(id=1, uri=MID)
        await way_out.consume(
            MediaKind.AUDIO, microphone, mid="0", payload_types=[(111, 111)], header_extensions=[mid], ssrc=SSRC
        )

        receiving = await sfu.create_transport(ROOM, "receiver", "recv")
        consumed = await sfu.consume(ROOM, "receiver", receiving.id, produced.id, joined.rtp_capabilities, paused=False)
        way_in = await connect(sfu, "receiver", receiver, receiving)
        gets = consumed.rtp_parameters
        number, ssrc = gets["codecs"][0]["payloadType"], gets["encodings"][0]["ssrc"]
        opus = CodecParameters(payload_type=number, name="OPUS", clock_rate=48_000, channels=2)
        arriving = await way_in.produce(MediaKind.AUDIO, [opus], encodings=[EncodingParameters(ssrc=ssrc)])
        exit_ = await receiver.open_plain_transport()
        await exit_.connect("127.0.0.1", port_of(sink))
        await exit_.consume(MediaKind.AUDIO, arriving, payload_types=[(number, 111)])

        heard = await play(source, entry.port, sink)
        room = await sfu.room(ROOM)
        peers = [peer["peerId"] for peer in room.peer_list]
        for peer in peers:
            await sfu.leave(ROOM, peer)
    print(f"{peers} were in the room; of what the first sent, the second got {heard} packets")
    return 0 if heard >= ENOUGH and peers == ["sender", "receiver"] else 1


async def play(source: Any, port: int, sink: Any) -> int:
    """Send a packet each 20 ms until enough have come; gives how many did."""
    heard = sent = 0
    end = asyncio.get_running_loop().time() + WITHIN_S
    while heard < ENOUGH and asyncio.get_running_loop().time() < end:
        source.sendto(Rtp(1, 111, sent, sent * 960, b"opus").write(), ("127.0.0.1", port))
        sent += 1
        await asyncio.sleep(PACE_S)
        with contextlib.suppress(BlockingIOError):
            while True:
                heard += not is_rtcp(sink.recv(2048))
    return heard


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
