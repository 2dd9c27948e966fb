"""Devices and the ways to them: GRUUs, outbound flows, Path; all by sockets that the test holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from phone_peers import Exchange, exchange
from sip_peers import PATIENCE_S, until
from sip_programs import Peer
from test_watched_accounts import Mailbox, account, at

from roomtone.control.calls import BindingEvent
from roomtone.protocols.sip.digest import DigestClient, Login
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.message import Request, Response, parse_message, respond
from roomtone.sip import Account, Endpoint, PeerError, SipCode

INSTANCE = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
OTHER = "urn:uuid:0c67446e-f1a1-11d9-94d3-000a95a0e128"


def device(here: Exchange, name: str, instance: str) -> Account:
    return Account(name, name * 2, f"127.0.0.1:{here.port}", instance=instance)


async def test_each_device_has_names_of_its_own_one_of_them_telling_nothing(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "bob") as here,
        Endpoint(host="127.0.0.1") as phone,
        Mailbox() as desk,
        Mailbox() as mobile,
    ):
        first = await desk.register(device(here, "bob", INSTANCE))
        await mobile.register(device(here, "bob", OTHER))
        assert first.public_gruu == f"sip:bob@127.0.0.1;gr={INSTANCE}"
        assert first.temporary_gruu.startswith("sip:tgruu.")
        assert "bob" not in first.temporary_gruu
        ada = account(here, "ada")
        server = f"@127.0.0.1:{here.port}"
        before = first.temporary_gruu
        await first.refresh()
        assert first.temporary_gruu != before
        for gruu in (first.public_gruu, before, first.temporary_gruu):
            await phone.message(gruu.replace("@127.0.0.1", server), "to the desk", account=ada)
        assert (len(desk.texts), len(mobile.texts)) == (3, 0)
        call = await phone.call(first.temporary_gruu.replace("@127.0.0.1", server), account=ada, sdp=desk.sdp)
        await until(lambda: desk.ringing)
        await desk.ringing[0].answer(desk.sdp)
        await call.wait_answered()
        assert not mobile.ringing
        await call.hang_up()
        await first.close()
        for gruu, status in ((first.public_gruu, 480), (first.temporary_gruu, 404)):
            with pytest.raises(PeerError) as gone:
                await phone.message(gruu.replace("@127.0.0.1", server), "to nobody", account=ada)
            assert gone.value.status == status


class Wire:
    """A phone by TCP, by hand: it registers flows, and rings for what comes."""

    def __init__(self, here: Exchange, name: str) -> None:
        self.name = name
        self.rang: list[Request] = []
        self.answers = 180
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self._responses: asyncio.Queue[Response] = asyncio.Queue()
        self._client = DigestClient(Login(name, name * 2), iter(f"c{n}" for n in range(99)).__next__)
        self._port = here.endpoint.listeners.addresses()[Transport.TCP][0][1]
        self._number = 0

    async def open(self) -> asyncio.Task[None]:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return asyncio.create_task(self._read())

    async def _read(self) -> None:
        while data := await self.reader.read(65_536):
            message = parse_message(data)
            if isinstance(message, Response):
                self._responses.put_nowait(message)
            elif message.method == "INVITE":
                self.rang.append(message)
                self.writer.write(respond(message.headers, self.answers, to_tag="t").serialize())

    async def register(self, reg_id: int, *, lines: str = "", vias: int = 1, outbound: bool = True) -> Response:
        """Register a flow; the final response."""
        response = await self._ask(reg_id, lines, vias, outbound=outbound, credentials="")
        if response.status == 401:
            request = parse_message(self._sent)
            assert isinstance(request, Request)
            found = self._client.answer(response, request)
            assert isinstance(found, list)
            credentials = "".join(f"{name}: {value}\r\n" for name, value in found)
            response = await self._ask(reg_id, lines, vias, outbound=outbound, credentials=credentials)
        return response

    async def _ask(self, reg_id: int, lines: str, vias: int, *, outbound: bool, credentials: str) -> Response:
        self._number += 1
        via = "".join(
            f"Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{self.name}{id(self)}{self._number}{n}\r\n"
            for n in range(vias)
        )
        supported = "outbound, path, gruu" if outbound else "path"
        self._sent = (
            f"REGISTER sip:127.0.0.1 SIP/2.0\r\n{via}From: <sip:{self.name}@127.0.0.1>;tag=f\r\n"
            f"To: <sip:{self.name}@127.0.0.1>\r\nCall-ID: {id(self)}\r\nCSeq: {self._number} REGISTER\r\n"
            f'Contact: <sip:{self.name}@127.0.0.1:9;transport=tcp>;+sip.instance="<{INSTANCE}>";reg-id={reg_id}\r\n'
            f"Supported: {supported}\r\nMax-Forwards: 70\r\n{lines}{credentials}Content-Length: 0\r\n\r\n"
        ).encode()
        self.writer.write(self._sent)
        async with asyncio.timeout(PATIENCE_S):
            return await self._responses.get()


@asynccontextmanager
async def wire(here: Exchange, name: str) -> AsyncIterator[Wire]:
    made = Wire(here, name)
    reading = await made.open()
    try:
        yield made
    finally:
        made.writer.close()
        reading.cancel()


async def test_a_device_with_two_flows_rings_once_and_by_the_other_when_one_is_gone(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, Peer() as phone, wire(here, "bob") as one:
        registered = await one.register(1)
        assert registered.status == 200
        assert registered.headers.text("Require") == "outbound"
        assert "reg-id=1" in (registered.headers.text("Contact") or "")
        registrar = here.book.registrar
        told: list[BindingEvent] = []
        registrar.on_change = lambda _, changes: told.extend(change.event for change in changes)
        async with wire(here, "bob") as two:
            assert (await two.register(2)).status == 200
            assert [binding.reg_id for binding in registrar.bindings("bob", time.time())] == [2, 1]
            call = await phone.call(at(here, "bob"), account=account(here, "ada"), sdp=phone.sdp)
            await until(lambda: two.rang)
            assert not one.rang
            await call.hang_up()
            two.answers = 430  # as an edge proxy says of a flow behind it that is dead
            call = await phone.call(at(here, "bob"), account=account(here, "ada"), sdp=phone.sdp)
            await until(lambda: one.rang)
            await call.hang_up()
            assert [binding.reg_id for binding in registrar.bindings("bob", time.time())] == [1]
            assert (await two.register(2)).status == 200
        await until(lambda: told.count(BindingEvent.REJECTED) == 2)
        assert [binding.reg_id for binding in registrar.bindings("bob", time.time())] == [1]


async def test_a_flow_number_without_outbound_is_none_and_a_proxy_that_keeps_no_flow_is_refused(tmp_path: Path) -> None:
    async with exchange(tmp_path, "bob") as here, wire(here, "bob") as phone:
        plain = await phone.register(1, outbound=False)
        assert (plain.status, plain.headers.text("Require")) == (200, None)
        (binding,) = here.book.registrar.bindings("bob", time.time())
        assert (binding.reg_id, binding.instance) == (0, INSTANCE)
        assert (await phone.register(1, vias=2)).status == 439
        assert (await phone.register(1, vias=2, lines="Path: <sip:192.0.2.1;lr>\r\n")).status == 439
        kept = await phone.register(1, vias=2, lines="Path: <sip:192.0.2.1;lr;ob>\r\n")
        assert kept.status == 200
        assert kept.headers.text("Path") == "<sip:192.0.2.1;lr;ob>"


async def test_who_registered_by_proxies_is_called_by_them_over_a_restart(tmp_path: Path) -> None:
    path = "<sip:edge.example.org;lr;ob>, <sip:inner.example.org;lr>"
    async with exchange(tmp_path, "ada", "bob") as here, wire(here, "bob") as proxy, Peer() as phone:
        assert (await proxy.register(1, lines=f"Path: {path}\r\n", outbound=False)).status == 200
        await here.book.registrar.flush()
        await here.book.registrar.load(time.time())
        (binding,) = here.book.registrar.bindings("bob", time.time())
        assert binding.instance == INSTANCE
        call = await phone.call(at(here, "bob"), account=account(here, "ada"), sdp=phone.sdp)
        await until(lambda: proxy.rang)
        assert proxy.rang[0].headers.items("Route") == path.split(", ")
        assert proxy.rang[0].uri_text == "sip:bob@127.0.0.1:9;transport=tcp"
        await call.hang_up()
        with pytest.raises(PeerError) as ended:
            await call.wait_answered()
        assert ended.value.code is SipCode.CANCELLED
