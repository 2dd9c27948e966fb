"""Media over TCP on the HTTPS port: the first byte tells, and a check reaches the transport it names."""

from __future__ import annotations

import asyncio
import hmac
import importlib.util
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aioice import stun

from roomtone.app.errors import StartError
from roomtone.app.server import Factories, Server
from roomtone.config import Settings
from roomtone.control.policy import KeyTable, VideoGrants
from roomtone.media import FakeLink
from roomtone.media.values import Candidate
from roomtone.protocols.sdp.attributes_ice import IceCandidate
from roomtone.protocols.sdp.model import parse_session

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
OFFER = (Path(__file__).parents[1] / "vectors" / "sdp" / "chromium-publish.sdp").read_bytes()
SHARDS = 2


def settings(tmp_path: Path, tls_listen: list[str], **webrtc: object) -> Settings:
    return Settings.model_validate(
        {
            "server": {"data_dir": str(tmp_path / "data"), "dev": True, "shutdown_timeout_s": 5},
            "http": {"listen": ["127.0.0.1:0"], "tls_listen": tls_listen},
            "metrics": {"listen": "127.0.0.1:0"},
            "sip": {"udp_listen": [], "tcp_listen": [], "tls_listen": []},
            "srt": {"enabled": False},
            "rtmp": {"enabled": False},
            "webrtc": {"share_https_port": True, "ports": "0-0", "listen_ips": ["127.0.0.1"], **webrtc},
            "engine": {"shards": SHARDS},
        }
    )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(settings(tmp_path, ["127.0.0.1:0"]))
    await server.start()
    yield server
    await server.close()


async def publish(server: Server, room: str) -> tuple[tuple[str, str], list[Candidate]]:
    """Publish; our credentials and the candidates of the answer."""
    grants = VideoGrants(room=room, room_join=True)
    token = KeyTable({"devkey": "secret"}).sign("devkey", "alice", grants, server.parts.api.state.context.wall_clock())
    async with httpx.AsyncClient() as client:
        response = await client.post(
            f"http://{server.addresses['http'][0]}/whip/{room}",
            content=OFFER,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"},
        )
    assert response.status_code == 201, response.text
    media = parse_session(response.content).media[0]
    candidates = [line.typed.to_candidate() for line in media.lines if isinstance(line.typed, IceCandidate)]
    assert media.ice_ufrag
    assert media.ice_pwd
    return (media.ice_ufrag, media.ice_pwd), [candidate for candidate in candidates if candidate is not None]


def offered_ufrag() -> str:
    ufrag = parse_session(OFFER).media[0].ice_ufrag
    assert ufrag
    return ufrag


async def check(port: int, credentials: tuple[str, str]) -> stun.Message:
    """Send one connectivity check in an RFC 4571 frame; the response that comes back in one."""
    ufrag, password = credentials
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{ufrag}:{offered_ufrag()}"
    request.attributes["PRIORITY"] = 1
    request.attributes["ICE-CONTROLLING"] = 1
    request.add_message_integrity(password.encode())
    request.add_fingerprint()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    frame = bytes(request)
    writer.write(struct.pack("!H", len(frame)) + frame)
    async with asyncio.timeout(10):
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        data = await reader.readexactly(length)
    response = stun.parse_message(data)
    # MESSAGE-INTEGRITY, then FINGERPRINT, are the last attributes (RFC 8489 sections 14.5 and 14.7).
    covered = data[:2] + struct.pack("!H", length - 20 - 8) + data[4:-32]
    assert response.attributes["MESSAGE-INTEGRITY"] == hmac.digest(password.encode(), covered, "sha1")
    local = writer.get_extra_info("sockname")
    assert response.attributes["XOR-MAPPED-ADDRESS"] == (local[0], local[1])
    writer.close()
    assert response.transaction_id == request.transaction_id
    return response


async def test_a_check_in_a_frame_on_the_https_port_is_answered_by_its_transport_on_any_shard(server: Server) -> None:
    port = int(server.addresses["https"][0].rpartition(":")[2])
    prefixes = set()
    for room in ("one", "two"):
        credentials, candidates = await publish(server, room)
        shared = [c for c in candidates if c.port == port]
        assert [(c.protocol, c.ip, c.tcp_type) for c in shared] == [("tcp", "127.0.0.1", "passive")]
        assert all(c.priority > shared[0].priority for c in candidates if c is not shared[0])
        response = await check(port, credentials)
        assert response.message_class is stun.Class.RESPONSE
        prefixes.add(credentials[0][:2])
    assert len(prefixes) == SHARDS, "the two transports are on different shards"


@pytest.mark.parametrize(
    ("announced", "told"), [("127.0.0.1=203.0.113.5", {"203.0.113.5"}), ("203.0.113.5", {"127.0.0.1"})]
)
async def test_the_shared_port_is_announced_where_the_engine_is(tmp_path: Path, announced: str, told: set[str]) -> None:
    # An address announced for all stands for those that are not loopback.
    server = Server(settings(tmp_path, ["127.0.0.1:0"], announced_ips=[announced]))
    await server.start()
    try:
        _, candidates = await publish(server, "demo")
    finally:
        await server.close()
    port = int(server.addresses["https"][0].rpartition(":")[2])
    assert {c.ip for c in candidates} == told
    assert {c.ip for c in candidates if c.port == port} == told


async def test_https_is_answered_on_the_same_port(server: Server) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with httpx.AsyncClient(verify=context) as client:
        assert (await client.get(f"https://{server.addresses['https'][0]}/livez")).status_code == 200


async def test_a_port_that_is_not_shared_answers_no_check(tmp_path: Path) -> None:
    server = Server(settings(tmp_path, ["127.0.0.1:0"], share_https_port=False))
    await server.start()
    try:
        credentials, _ = await publish(server, "demo")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await check(int(server.addresses["https"][0].rpartition(":")[2]), credentials)
    finally:
        await server.close()


async def test_sharing_needs_an_https_port(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"set http\.tls_listen"):
        await Server(settings(tmp_path, [])).start()


async def test_sharing_needs_an_engine_in_this_process(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="media engine in this process"):
        await Server(settings(tmp_path, ["127.0.0.1:0"]), Factories(open_link=FakeLink)).start()
