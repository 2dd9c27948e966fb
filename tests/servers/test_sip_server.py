"""SIP of a whole server: the settings open its listeners, the front door has /sip, a certificate is read again."""

from __future__ import annotations

import asyncio
import importlib.util
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sip_peers import PATIENCE_S, Authority, options_request, read_message, udp_peer, until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from roomtone.app.errors import StartError
from roomtone.app.server import Factories, Server
from roomtone.config import Settings
from roomtone.control.calls import Contact, Registration, Trunk
from roomtone.media import FakeLink
from roomtone.media.values import EngineConfig
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.message import parse_message

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)


def settings(tmp_path: Path, *, dev: bool = True, **sip: object) -> Settings:
    ports = {name: ["127.0.0.1:0"] for name in ("udp_listen", "tcp_listen", "tls_listen")}
    return Settings.model_validate(
        {
            "server": {"data_dir": str(tmp_path / "data"), "dev": dev, "shutdown_timeout_s": 5},
            "http": {"listen": ["127.0.0.1:0"], "tls_listen": ["127.0.0.1:0"]},
            "metrics": {"listen": "127.0.0.1:0"},
            "sip": ports | sip,
            "srt": {"enabled": False},
            "rtmp": {"enabled": False},
        }
    )


async def started(settings: Settings) -> Server:
    server = Server(settings, Factories(open_link=FakeLink))
    await server.start()
    return server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = await started(settings(tmp_path))
    yield server
    await server.close()


def port(server: Server, name: str) -> int:
    return int(server.addresses[name][0].rpartition(":")[2])


async def test_phones_are_answered_on_every_transport_and_counted(server: Server) -> None:
    async with udp_peer(port(server, "sip_udp")) as peer:
        answer = await peer.ask(options_request(port(server, "sip_udp")))
        assert answer.status == 200
        assert (answer.headers.text("server") or "").startswith("Roomtone/") or answer.headers.text("server") is None
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE  # the certificate made at first start
    for name, context in (("sip_tcp", None), ("sip_tls", trusting)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port(server, name), ssl=context)
        writer.write(options_request(port(server, name), name[4:].upper()))
        assert (await read_message(reader)).status == 200
        writer.close()
    async with httpx.AsyncClient() as client:
        page = (await client.get(f"http://{server.addresses['metrics'][0]}/metrics")).text
    for transport in ("udp", "tcp", "tls"):
        assert f'roomtone_sip_messages_received_total{{transport="{transport}"}} 1.0' in page


async def test_browsers_speak_sip_by_websocket_on_the_front_door(server: Server) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    for url, context, name in (
        (f"ws://{server.addresses['http'][0]}/sip", None, "WS"),
        (f"wss://{server.addresses['https'][0]}/sip", trusting, "WSS"),
    ):
        async with connect(url, subprotocols=["sip"], ssl=context) as socket:  # type: ignore[list-item]
            assert socket.subprotocol == "sip"
            request = options_request(5060, name, via="df7jal23ls0d.invalid")
            await socket.send(request.decode())
            answer = parse_message(str(await asyncio.wait_for(socket.recv(), PATIENCE_S)).encode())
            assert answer.via.received == "127.0.0.1"
            await socket.send(options_request(5060, name))  # as bytes
            assert "200 OK" in str(await asyncio.wait_for(socket.recv(), PATIENCE_S))
            await socket.send("\r\n\r\n")
            assert await asyncio.wait_for(socket.recv(), PATIENCE_S) == "\r\n"
    with pytest.raises(InvalidStatus):
        async with connect(f"ws://{server.addresses['http'][0]}/sip"):
            pass
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://{server.addresses['http'][0]}/sip")).status_code == 426
    assert server._phones is not None
    pool = server._phones.endpoint.pool
    await until(lambda: not len(pool))


async def test_certificates_of_sip_are_read_again_with_the_others(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("ours", "phones.test")
    server = await started(settings(tmp_path, cert=str(ours.chain), key=str(ours.key)))
    context = ssl.create_default_context(cafile=str(authority.file))

    async def serial() -> str:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port(server, "sip_tls"), ssl=context, server_hostname="phones.test"
        )
        number: str = writer.get_extra_info("peercert")["serialNumber"]
        writer.close()
        return number

    try:
        before = await serial()
        authority.issue("ours", "phones.test")
        await server.reload_certificate()
        assert (after := await serial()) != before
        ours.chain.write_text("nonsense")
        await server.reload_certificate()
        assert await serial() == after
    finally:
        await server.close()


async def test_without_dev_sip_is_off_until_enabled(tmp_path: Path) -> None:
    server = await started(settings(tmp_path, dev=False))
    try:
        assert not [name for name in server.addresses if name.startswith("sip")]
        with pytest.raises(InvalidStatus):
            async with connect(f"ws://{server.addresses['http'][0]}/sip", subprotocols=["sip"]):  # type: ignore[list-item]
                pass
    finally:
        await server.close()
    server = await started(settings(tmp_path, dev=False, enabled=True, websocket=False, tls_listen=[]))
    try:
        assert sorted(name for name in server.addresses if name.startswith("sip")) == ["sip_tcp", "sip_udp"]
    finally:
        await server.close()


async def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    first = await started(settings(tmp_path))
    taken = [f"127.0.0.1:{port(first, 'sip_udp')}"]
    try:
        with pytest.raises(StartError, match=taken[0].rpartition(":")[2]):
            await started(settings(tmp_path / "second", udp_listen=taken))
        missing = tmp_path / "none.pem"
        with pytest.raises(StartError, match=r"none\.pem"):
            await started(settings(tmp_path / "third", cert=str(missing), key=str(missing)))
    finally:
        await first.close()


async def test_new_requests_are_refused_while_the_loop_is_late(server: Server) -> None:
    phones = server._phones
    assert phones is not None
    phones.heed_lag(0.6)
    async with udp_peer(port(server, "sip_udp")) as peer:
        refused = await peer.ask(options_request(port(server, "sip_udp")))
        assert refused.status == 503
        assert refused.headers.text("retry-after")
        phones.heed_lag(0.3)
        assert (await peer.ask(options_request(port(server, "sip_udp")))).status == 503
        phones.heed_lag(0.01)
        assert (await peer.ask(options_request(port(server, "sip_udp")))).status == 200


def call_request(method: str, port: int, number: int, to_tag: str = "") -> bytes:
    """A request of a carrier's call to Bob; of the same number it is the same transaction, but for BYE."""
    body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    described = body if method == "INVITE" else ""
    return (
        f"{method} sip:bob@127.0.0.1:{port} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKburst{number};rport\r\n"
        f"From: <sip:0301@127.0.0.1>;tag=f{number}\r\n"
        f"To: <sip:bob@127.0.0.1>{to_tag}\r\n"
        f"Call-ID: burst{number}\r\n"
        f"CSeq: 1 {method}\r\n"
        f"Max-Forwards: 70\r\nContact: <sip:0301@127.0.0.1:9>\r\nContent-Type: application/sdp\r\n"
        f"Content-Length: {len(described)}\r\n\r\n{described}"
    ).encode()


async def test_a_burst_of_calls_is_refused_beyond_what_may_wait(tmp_path: Path) -> None:
    links: list[FakeLink] = []

    def open_link(config: EngineConfig) -> FakeLink:
        links.append(FakeLink(config))
        return links[-1]

    server = Server(settings(tmp_path, limits={"max_waiting_calls": 5}), Factories(open_link=open_link))
    await server.start()
    phones, here = server._phones, port(server, "sip_udp")
    assert phones is not None
    await phones.book.trunks.create(Trunk("carrier", addresses=("127.0.0.1",)))
    await phones.book.accounts.create("bob", "bobbob")
    try:
        async with udp_peer(here) as peer:
            flow = Flow(Transport.UDP, "127.0.0.1", peer.port, "127.0.0.1", here)
            registration = Registration("bob", flow, "c", 1)
            phones.book.registrar.register(registration, [Contact(f"sip:bob@127.0.0.1:{peer.port}", 600)], time.time())
            links[0].stalled = True  # as when its shards have too much to do
            for number in range(30):
                peer.send(call_request("INVITE", here, number))
            refused = [await peer.answer(503) for _ in range(24)]
            assert all(one.headers.text("retry-after") for one in refused)
            assert {str(one.headers.text("call-id")) for one in refused} == {f"burst{at}" for at in range(6, 30)}
            assert phones.calls.waiting == 6
            # What belongs to something there is, or was, is answered by that.
            peer.send(call_request("BYE", here, 100, ";tag=t"))
            assert (await peer.answer(481)).headers.text("call-id") == "burst100"
            peer.send(call_request("CANCEL", here, 0))
            assert (await peer.answer(487)).headers.text("call-id") == "burst0"
            links[0].resume()
            await until(lambda: phones.calls.waiting == 0)
            peer.send(options_request(here))
            await peer.answer(200)
        async with httpx.AsyncClient() as client:
            page = (await client.get(f"http://{server.addresses['metrics'][0]}/metrics")).text
        assert 'roomtone_sip_overload_refused_total{cause="queue"} 24.0' in page
        assert "roomtone_calls_waiting 0.0" in page
    finally:
        await server.close()
