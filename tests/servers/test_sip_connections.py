"""Connections of SIP: certificates, one connection for many messages, and what cannot be sent."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest
from sip_peers import (
    HERE,
    PATIENCE_S,
    Authority,
    options_request,
    read_message,
    recording,
    running,
    until,
)

from roomtone.protocols.sip.flow import Flow, Transmit, Transport
from roomtone.servers.sip import (
    PeerCertificates,
    SendFailure,
    TlsError,
    TlsOptions,
    TransportOptions,
)

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS


def tls_client(authority: Authority, certificate: object = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if certificate is not None:
        context.load_cert_chain(certificate.chain, certificate.key)  # type: ignore[attr-defined]
    return context


async def test_certificates_are_chosen_by_name_and_read_again_while_listening(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    first, second = authority.issue("a", "a.test", "127.0.0.1"), authority.issue("b", "b.test", "*.b.test")
    options = TransportOptions(tls=HERE, security=TlsOptions((first, second)))

    async def serial(name: str) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port(TLS), ssl=tls_client(authority), server_hostname=name
        )
        writer.write(options_request(server.port(TLS), "TLS"))
        assert (await read_message(reader)).status == 200
        return int(writer.get_extra_info("peercert")["serialNumber"], 16), reader, writer

    async with running(options) as server:
        a, reader, writer = await serial("a.test")
        b, *_, b_writer = await serial("b.test")
        c, *_, c_writer = await serial("x.b.test")
        assert a != b
        assert b == c
        authority.issue("a", "a.test", "127.0.0.1")
        assert server.endpoint.listeners.certificates is not None
        server.endpoint.listeners.certificates.reload()
        renewed, *_, d_writer = await serial("a.test")
        assert renewed != a
        writer.write(options_request(server.port(TLS), "TLS"))
        assert (await read_message(reader)).status == 200  # who was there before stays
        first.key.write_text("broken")
        with pytest.raises(TlsError):
            server.endpoint.listeners.certificates.reload()
        still, *_, e_writer = await serial("a.test")
        assert still == renewed
        for one in (writer, b_writer, c_writer, d_writer, e_writer):
            one.close()
        await until(lambda: not server.endpoint.pool)


async def test_mutual_tls_tells_who_the_peer_is(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("server", "127.0.0.1")
    trunk = authority.issue("trunk", "trunk.test", "sip:carrier.test")
    security = TlsOptions((ours,), PeerCertificates.REQUIRED, authority.file)
    async with recording(TransportOptions(tls=HERE, security=security)) as (endpoint, core):
        port = endpoint.listeners.addresses()[TLS][0][1]
        with contextlib.suppress(ssl.SSLError, ConnectionError):  # with TLS 1.3 the client may hear of it late
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls_client(authority))
            writer.write(options_request(port, "TLS"))
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls_client(authority, trunk))
        writer.write(options_request(port, "TLS"))
        await until(lambda: core.messages)
        assert len(core.messages) == 1
        flow = core.messages[0][1]  # type: ignore[index]
        assert endpoint.certificate_names(flow) == ("trunk.test", "carrier.test")
        assert flow.transport is TLS
        writer.close()


async def test_a_connection_is_made_once_and_used_again(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("server", "server.test")
    there = TransportOptions(tcp=HERE, tls=HERE, security=TlsOptions((ours,)))
    here = TransportOptions(security=TlsOptions(authorities=authority.file), connect_timeout_s=PATIENCE_S)
    async with running(there) as server, recording(here) as (endpoint, core):
        for transport in (TCP, TLS):
            flow = Flow(transport, "127.0.0.1", server.port(transport), "127.0.0.1", 0)
            endpoint.name_peer("127.0.0.1", server.port(transport), "server.test")
            core.messages.clear()
            for _ in range(3):
                core.waiting.append(Transmit(flow, options_request(flow.remote_port, transport.upper())))
            endpoint.drain()
            await until(lambda: len(core.messages) == 3)
            core.waiting.append(Transmit(flow, options_request(flow.remote_port, transport.upper())))
            endpoint.drain()
            await until(lambda: len(core.messages) == 4)
            assert endpoint.counters.opened[transport] == 1
            assert server.endpoint.counters.connected[transport] == 1
        assert core.errors == []


async def test_what_cannot_be_sent_comes_back_with_a_reason(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("server", "server.test")
    there = TransportOptions(tls=HERE, security=TlsOptions((ours,)))
    here = TransportOptions(udp=HERE, security=TlsOptions(authorities=authority.file), waiting_per_peer=2)
    async with running(there) as server, recording(here) as (endpoint, core):
        nobody = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        closed_port = nobody.sockets[0].getsockname()[1]
        nobody.close()
        endpoint.name_peer("127.0.0.1", server.port(TLS), "another.test")
        flow = Flow(TCP, "127.0.0.1", closed_port, "127.0.0.1", 0)
        for wrong, why, many in (
            (flow, SendFailure.QUEUE, 3),
            (replace_flow(flow, transport=TLS, remote_port=server.port(TLS)), SendFailure.TLS, 1),
            (replace_flow(flow, connection=999), SendFailure.NO_CONNECTION, 1),
            (replace_flow(flow, transport=Transport.WS), SendFailure.NO_CONNECTION, 2),
            (replace_flow(flow, transport=UDP, remote_host="::1"), SendFailure.NO_LISTENER, 1),
        ):
            for _ in range(many):
                core.waiting.append(Transmit(wrong, b"x"))
            endpoint.drain()
            await until(lambda why=why: endpoint.counters.unsent[why])
        core.waiting.append(Transmit(replace_flow(flow, transport=UDP), b"x" * 70_000))
        endpoint.drain()
        assert endpoint.counters.unsent[SendFailure.TOO_LONG] == 1
        await until(lambda: endpoint.counters.unsent[SendFailure.CONNECT] == 2)
        assert len(core.errors) == sum(endpoint.counters.unsent.values()) == 9


def replace_flow(flow: Flow, **changes: object) -> Flow:
    return flow._replace(**changes)  # type: ignore[arg-type]
