"""SIP on real sockets: each transport, their limits, and peers that are not ours."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from sip_peers import (
    HERE,
    PATIENCE_S,
    UdpPeer,
    has_ipv6,
    options_request,
    read_message,
    recording,
    running,
    udp_peer,
    until,
)

from roomtone.protocols.sip.agent import AgentSettings, Requested, UserAgent
from roomtone.protocols.sip.digest import Algorithm, DigestPolicy, DigestServer, Secret, Verdict
from roomtone.protocols.sip.digest.hooks import DigestGuard
from roomtone.protocols.sip.edge import Drop, Edge, EdgeLimits
from roomtone.protocols.sip.flow import Flow, Transmit, Transport
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import TransactionLayer
from roomtone.servers.sip import (
    ConnectionEnd,
    Endpoint,
    Listen,
    SendFailure,
    TransportOptions,
)

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
VECTORS = sorted((Path(__file__).parents[1] / "vectors" / "sip" / "rfc4475").glob("*.dat"))


async def run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    return process.returncode or 0, output.decode("utf-8", "replace")


async def test_options_over_udp_are_answered_where_they_came_from() -> None:
    async with running(TransportOptions(udp=HERE)) as server, udp_peer(server.port(UDP)) as peer:
        answer = await peer.ask(options_request(server.port(UDP)))
        assert (answer.status, answer.via.rport, answer.via.received) == (200, peer.port, "127.0.0.1")
        assert answer.headers.text("allow") == "OPTIONS"
        refused = await peer.ask(options_request(server.port(UDP)).replace(b"OPTIONS", b"MESSAGE"))
        assert refused.status == 405


async def test_without_rport_the_port_of_the_via_gets_the_answer() -> None:
    async with running(TransportOptions(udp=HERE)) as server, udp_peer(server.port(UDP)) as asking:
        loop = asyncio.get_running_loop()
        transport, other = await loop.create_datagram_endpoint(UdpPeer, local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        assert asking.transport is not None
        asking.transport.sendto(options_request(server.port(UDP), via=f"phone.invalid:{port}", params=""))
        got = await asyncio.wait_for(other.got.get(), PATIENCE_S)
        assert got.startswith(b"SIP/2.0 200")
        assert b"received=127.0.0.1" in got
        transport.close()


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_ipv6_is_a_family_like_the_other() -> None:
    async with running(TransportOptions(udp=(Listen("::1", 0),))) as server:
        port = server.port(UDP)
        async with udp_peer(port, "::1") as peer:
            answer = await peer.ask(options_request(port, via="[2001:db8::9]:9"))
            assert (answer.status, answer.via.received) == (200, "::1")


async def test_flows_are_kept_alive_by_crlf_and_stun() -> None:
    async with running(TransportOptions(udp=HERE)) as server, udp_peer(server.port(UDP)) as peer:
        assert peer.transport is not None
        peer.transport.sendto(b"\r\n\r\n")
        request = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"0123456789ab"
        peer.transport.sendto(b"\x00\x01\x00\x00" + b"x" * 16)  # no cookie
        peer.transport.sendto(request)
        answer = await asyncio.wait_for(peer.got.get(), PATIENCE_S)
        assert answer[:2] == b"\x01\x01"
        assert answer[8:20] == b"0123456789ab"
        assert answer[20:26] == b"\x00\x20\x00\x08\x00\x01"
        assert int.from_bytes(answer[26:28], "big") ^ 0x2112 == peer.port
        assert bytes(a ^ b for a, b in zip(answer[28:], b"\x21\x12\xa4\x42", strict=True)) == b"\x7f\x00\x00\x01"
        assert (server.endpoint.counters.keep_alives, server.endpoint.counters.noise) == (2, 1)


async def test_sipsak_is_content() -> None:
    async with running(TransportOptions(udp=HERE)) as server:
        code, output = await run("sipsak", "-vv", "-s", f"sip:probe@127.0.0.1:{server.port(UDP)}")
        assert code == 0, output
        assert "200 OK" in output


SCENARIO = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="options">
<send><![CDATA[
OPTIONS sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]x[call_number]
To: <sip:[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 OPTIONS
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"""


@pytest.mark.parametrize(("transport", "mode"), [(UDP, "u1"), (UDP, "un"), (TCP, "t1"), (TCP, "tn")])
async def test_sipp_asks_five_hundred_times(tmp_path: Path, transport: Transport, mode: str) -> None:
    scenario = tmp_path / "options.xml"
    scenario.write_text(SCENARIO)
    async with running(TransportOptions(udp=HERE, tcp=HERE)) as server:
        code, output = await run(
            "sipp", f"127.0.0.1:{server.port(transport)}", "-sf", str(scenario), "-i", "127.0.0.1", "-t", mode,
            "-m", "500", "-r", "500", "-max_socket", "600", "-nostdin", "-timeout", f"{PATIENCE_S:.0f}s",
        )  # fmt: skip
        assert code == 0, output
        assert server.core.answered == 500
        await until(lambda: not server.endpoint.pool)


async def test_a_stream_is_cut_and_kept_alive_and_ends_alone() -> None:
    async with running(TransportOptions(tcp=HERE)) as server:
        port = server.port(TCP)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
        request = options_request(port, "TCP")
        for at in range(0, len(request), 50):
            writer.write(request[at : at + 50])
            await writer.drain()
        assert (await read_message(reader)).status == 200
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), PATIENCE_S) == b"\r\n"
        writer.write(options_request(port, "TCP") + options_request(port, "TCP"))
        assert [(await read_message(reader)).status for _ in range(2)] == [200, 200]
        writer.write(b"OPTIONS sip:a SIP/2.0\r\nTo: nobody\r\n\r\n")  # no Content-Length: no end
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        await until(lambda: server.endpoint.counters.ended[ConnectionEnd.FRAMING] == 1)
        other_writer.write(options_request(port, "TCP"))
        assert (await read_message(other_reader)).status == 200
        for one in (writer, other_writer):
            one.close()
        await until(lambda: server.endpoint.counters.ended[ConnectionEnd.PEER_CLOSED] == 1)


async def test_torture_over_udp_leaves_the_server_answering() -> None:
    async with running(TransportOptions(udp=HERE)) as server, udp_peer(server.port(UDP)) as peer:
        assert peer.transport is not None
        for path in VECTORS:
            peer.transport.sendto(path.read_bytes())
            probe = options_request(server.port(UDP))
            peer.transport.sendto(probe)
            while True:
                got = await asyncio.wait_for(peer.got.get(), PATIENCE_S)
                if got.startswith(b"SIP/2.0 200"):
                    break
        assert server.core.answered >= len(VECTORS)
        assert server.endpoint.edge.counters.refused > 10


async def test_torture_over_tcp_costs_at_most_its_own_connection() -> None:
    async with running(TransportOptions(tcp=HERE)) as server:
        port = server.port(TCP)
        for path in VECTORS:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(path.read_bytes())
            writer.write_eof()
            await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(options_request(port, "TCP"))
            assert (await read_message(reader)).status == 200
            writer.close()
        assert server.core.answered >= len(VECTORS)
        await until(lambda: not server.endpoint.pool)


async def test_idle_connections_end_and_addresses_have_so_many() -> None:
    async with running(TransportOptions(tcp=HERE, max_connections_per_address=2)) as server:
        port = server.port(TCP)
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await until(lambda: server.endpoint.counters.ended[ConnectionEnd.TOO_MANY] == 1)
        assert len(server.endpoint.pool) == 2
        now = asyncio.get_running_loop().time()
        server.endpoint.pool.check(now + 599)
        assert len(server.endpoint.pool) == 2
        server.endpoint.pool.check(now + 602)
        await until(lambda: server.endpoint.counters.ended[ConnectionEnd.IDLE] == 2)
        for _, writer in pairs:
            writer.close()


async def test_a_peer_that_takes_nothing_loses_its_connection() -> None:
    async with recording(TransportOptions(tcp=HERE, write_buffer_bytes=10_000)) as (endpoint, core):
        port = endpoint.listeners.addresses()[TCP][0][1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(options_request(port, "TCP"))
        await until(lambda: core.messages)
        flow = core.messages[0][1]  # type: ignore[index]
        for _ in range(2_000):
            core.waiting.append(Transmit(flow, b"x" * 60_000))
            endpoint.drain()
            if core.errors:
                break
        assert endpoint.counters.unsent[SendFailure.NO_CONNECTION] == 1
        await until(lambda: endpoint.counters.ended[ConnectionEnd.SLOW_PEER] == 1)
        writer.close()


async def test_strangers_are_limited_banned_and_scanners_not_answered() -> None:
    limits = EdgeLimits(messages_per_second=1, burst=5, failures=2, is_loopback_free=False)
    async with running(TransportOptions(udp=HERE), limits) as server, udp_peer(server.port(UDP)) as peer:
        assert peer.transport is not None
        counters = server.endpoint.edge.counters
        peer.transport.sendto(options_request(server.port(UDP), extra="User-Agent: Friendly-Scanner\r\n"))
        for _ in range(8):
            peer.transport.sendto(options_request(server.port(UDP)))
        await until(lambda: server.endpoint.counters.received[UDP] == 9)
        assert counters.dropped[Drop.SCANNER] == 1
        assert counters.dropped[Drop.TOO_MANY] >= 3
        now = server.endpoint.now()
        assert not server.endpoint.edge.note_failure("127.0.0.1", now)
        assert server.endpoint.edge.note_failure("127.0.0.1", now)
        peer.transport.sendto(options_request(server.port(UDP)))
        await until(lambda: counters.dropped[Drop.BANNED] == 1)


async def test_a_port_that_is_taken_is_an_error_or_left_out() -> None:
    async with running(TransportOptions(udp=HERE, tcp=HERE)) as server:
        for kind in (UDP, TCP):
            taken = Listen("127.0.0.1", server.port(kind))
            name = kind.value
            with pytest.raises(OSError, match=str(taken.port)):
                async with running(replace(TransportOptions(), **{name: (taken,)})):
                    pass
            optional = replace(taken, optional=True)
            async with running(replace(TransportOptions(), **{name: (optional,)})) as other:
                assert other.endpoint.listeners.refused == [f"{name} 127.0.0.1 port {taken.port}"]


REGISTER = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="register">
<send><![CDATA[
REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:alice@[remote_ip]>;tag=[pid]x[call_number]
To: <sip:alice@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 REGISTER
Contact: <sip:alice@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="401" auth="true"/>
<send><![CDATA[
REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:alice@[remote_ip]>;tag=[pid]x[call_number]
To: <sip:alice@[remote_ip]>
Call-ID: [call_id]
CSeq: 2 REGISTER
Contact: <sip:alice@[local_ip]:[local_port]>
[authentication username=alice password=PASSWORD]
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"""


async def sipp_registers(tmp_path: Path, password: str, **policy: object) -> tuple[int, str, DigestGuard]:
    tokens = Tokens(b"t" * 32)
    edge = Edge(tokens)
    loop = asyncio.get_running_loop()
    server = DigestServer(DigestPolicy("127.0.0.1", **policy), b"k" * 32)  # type: ignore[arg-type]
    guard = DigestGuard(
        server,
        lambda: int(loop.time() * 1000),
        {"alice": Secret("right")}.get,
        on_verdict=lambda verdict, flow: verdict.is_failure and edge.note_failure(flow.remote_host, 0),
    )
    agent = UserAgent(TransactionLayer(tokens), AgentSettings(methods=frozenset({"REGISTER"})), guard=guard)

    def accept(now: int) -> None:
        while (event := agent.poll_event()) is not None:
            assert isinstance(event, Requested)
            assert guard.username(event.request) == "alice"
            agent.answer(event.transaction, 200, now)

    endpoint = Endpoint(agent, edge, TransportOptions(udp=HERE), accept)
    await endpoint.open()
    scenario = tmp_path / "register.xml"
    scenario.write_text(REGISTER.replace("PASSWORD", password))
    try:
        port = endpoint.listeners.addresses()[UDP][0][1]
        code, output = await run(
            "sipp", f"127.0.0.1:{port}", "-sf", str(scenario), "-i", "127.0.0.1", "-t", "u1",
            "-m", "20", "-nostdin", "-timeout", "30s", "-recv_timeout", "20000",
        )  # fmt: skip
    finally:
        await endpoint.close()
    return code, output, guard


async def test_sipp_registers_with_its_password_and_not_with_another(tmp_path: Path) -> None:
    order = (Algorithm.MD5, Algorithm.SHA_256)  # SIPp gives up when the first is not MD5
    code, output, guard = await sipp_registers(tmp_path, "right", order=order)
    assert code == 0, output
    assert guard.verdicts == {Verdict.NO_CREDENTIALS: 20, Verdict.ACCEPTED: 20}
    code, output, guard = await sipp_registers(tmp_path, "wrong", order=order)
    assert code != 0
    assert guard.verdicts[Verdict.ACCEPTED] == 0
    assert guard.verdicts[Verdict.WRONG] >= 1


async def test_connections_of_ours_are_kept_alive_and_end_when_nobody_answers() -> None:
    answers = True
    got = bytearray()
    open_ends: set[asyncio.StreamWriter] = set()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ends.add(writer)
        while data := await _read(reader):
            got.extend(data)
            if answers and data.endswith(b"\r\n\r\n"):
                writer.write(b"\r\n")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        open_ends.discard(writer)

    there = await asyncio.start_server(peer, "127.0.0.1", 0)
    async with recording(TransportOptions(connect_timeout_s=PATIENCE_S)) as (endpoint, core):
        flow = Flow(TCP, "127.0.0.1", there.sockets[0].getsockname()[1], "127.0.0.1", 0)
        core.waiting.append(Transmit(flow, options_request(flow.remote_port, "TCP")))
        endpoint.drain()
        await until(lambda: len(endpoint.pool) == 1 and b"OPTIONS" in got)
        now = asyncio.get_running_loop().time()
        endpoint.look_at_flows(now + 80)
        assert endpoint.counters.pings == 0
        await until(lambda: endpoint.counters.keep_alives)  # the peer took the request's end for a ping
        for beat in (100, 200):
            endpoint.look_at_flows(now + beat)
            await until(lambda beat=beat: endpoint.counters.pings == endpoint.counters.keep_alives - 1 == beat // 100)
        answers = False
        endpoint.look_at_flows(now + 300)
        endpoint.look_at_flows(now + 309)
        assert len(endpoint.pool) == 1
        endpoint.look_at_flows(now + 311)
        await until(lambda: endpoint.counters.ended[ConnectionEnd.NO_PONG] == 1)
        for kept in (False, True):
            core.waiting.append(Transmit(flow, options_request(flow.remote_port, "TCP")))
            endpoint.drain()
            await until(lambda: len(endpoint.pool) == 1)
            ours = next(iter(endpoint.pool)).flow
            if kept:
                endpoint.keep_alive(ours)
            endpoint.look_at_flows(asyncio.get_running_loop().time() + 700)
            await until(
                lambda kept=kept: len(endpoint.pool) == kept and endpoint.counters.ended[ConnectionEnd.IDLE] == 1
            )
    await until(lambda: not open_ends)
    there.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(OSError):  # closed without a farewell
        return await reader.read(1_000)
    return b""


async def test_flows_of_udp_are_kept_alive_until_let_go() -> None:
    loop = asyncio.get_running_loop()
    transport, peer = await loop.create_datagram_endpoint(UdpPeer, local_addr=("127.0.0.1", 0))
    async with recording(TransportOptions(udp=HERE, max_kept_flows=1)) as (endpoint, _):
        local = endpoint.listeners.addresses()[UDP][0]
        flow = Flow(UDP, "127.0.0.1", transport.get_extra_info("sockname")[1], *local)
        assert endpoint.keep_alive(flow)
        assert not endpoint.keep_alive(flow._replace(remote_port=9))
        endpoint.look_at_flows(loop.time() + 10)
        endpoint.look_at_flows(loop.time() + 25)
        assert await asyncio.wait_for(peer.got.get(), PATIENCE_S) == b"\r\n\r\n"
        assert endpoint.counters.pings == 1
        endpoint.let_go(flow)
        endpoint.look_at_flows(loop.time() + 100)
        assert endpoint.counters.pings == 1
    transport.close()


async def test_a_defect_costs_one_message_and_timers_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with recording(TransportOptions(udp=HERE, tcp=HERE)) as (endpoint, core):
        due = [endpoint.now()]
        fired = []

        def fail_once(*_: object) -> None:
            monkeypatch.undo()
            raise ZeroDivisionError

        def fail(_: int) -> None:
            fired.append(due.pop())
            raise ZeroDivisionError

        core.next_timeout = lambda: due[0] if due else None  # type: ignore[method-assign]
        core.handle_timeout = fail  # type: ignore[method-assign]
        monkeypatch.setattr(core, "handle_message", fail_once)
        port = endpoint.listeners.addresses()[UDP][0][1]
        async with udp_peer(port) as peer:
            assert peer.transport is not None
            peer.transport.sendto(options_request(port))
            peer.transport.sendto(options_request(port))
            await until(lambda: core.messages and fired)
        assert endpoint.counters.defects == 2
        assert caplog.text.count("ZeroDivisionError") >= 2
