"""A server that is told to end says goodbye to who is connected, and what it wrote while it ran holds no secret."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import httpx
import pytest
from aiortc_peer import Peer, live, publish, watch
from conftest import PATIENCE_S, sign, start_server, stop_server, until

pytestmark = pytest.mark.timeout(180)


def note_the_end(peer: Peer, ended: list[tuple[str, str]]) -> None:
    """Note the states of DTLS and ICE in the moment DTLS ends."""
    dtls = peer.pc.getTransceivers()[0].receiver.transport

    def note() -> None:
        if dtls.state not in {"connecting", "connected"}:
            ended.append((dtls.state, dtls.transport.state))

    dtls.on("statechange", note)


async def test_sigterm_closes_both_peers_and_the_log_at_debug_holds_no_secret_of_theirs(tmp_path: Path) -> None:
    server = await asyncio.to_thread(start_server, tmp_path, ROOMTONE_LOG__LEVEL="debug")
    publisher = await publish(server, "ends")
    await live(server, "ends")
    viewer = await watch(server, "ends")
    await viewer.frames(3)
    ended: list[tuple[str, str]] = []
    for peer in (publisher, viewer):
        note_the_end(peer, ended)
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        forged = sign("mallory", {"roomJoin": True, "room": "ends"})[:-4] + "AAAA"
        headers = {"Authorization": f"Bearer {forged}", "Content-Type": "application/sdp"}
        offer = publisher.pc.localDescription.sdp
        refused = await client.post(f"{server.http}/whip/ends", content=offer, headers=headers)
    assert refused.status_code == httpx.codes.UNAUTHORIZED
    server.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(until, lambda: len(ended) == 2, "both goodbyes")
    # Who had to notice by itself that nobody answers any more would have lost ICE first.
    assert ended == [("closed", "completed")] * 2
    await asyncio.to_thread(stop_server, server)  # its exit code is 0, and nothing panicked
    log = "".join(server.log)
    assert '"level": "debug"' in log
    described = publisher.pc.localDescription.sdp + publisher.answer + viewer.pc.localDescription.sdp + viewer.answer
    secrets = {publisher.bearer, viewer.bearer, forged, *re.findall(r"a=ice-pwd:(\S+)", described)}
    assert len(secrets) >= 7
    assert [secret for secret in secrets if secret in log] == []
    for peer in (publisher, viewer):
        await peer.close()
