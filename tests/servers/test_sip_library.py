"""The public library: programs that call, answer, ask and are asked, over real sockets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from phone_peers import exchange
from sip_peers import until

from roomtone.sip import (
    Account,
    CallState,
    Endpoint,
    EndpointLimits,
    EndReason,
    InboundCall,
    InboundRequest,
    PeerError,
    Refusal,
    RegistrationState,
    Server,
    SipCode,
    SubscribeRequest,
    Transport,
    UseError,
)

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
HELD = SDP + "a=sendonly\r\n"
HERE = {"host": "127.0.0.1"}


def uri(server: Endpoint, user: str, transport: Transport = Transport.UDP) -> str:
    suffix = "" if transport is Transport.UDP else f";transport={transport}"
    return f"sip:{user}@127.0.0.1:{server.port(transport)}{suffix}"


class Desk(Server):
    """Answers, and notes what it saw."""

    def __init__(self, **more: object) -> None:
        super().__init__(host="127.0.0.1", **more)
        self.seen: list[InboundCall] = []
        self.messages: list[InboundRequest] = []

    async def on_invite(self, call: InboundCall) -> None:
        self.seen.append(call)
        user = call.received.uri_text.partition(":")[2].partition("@")[0]
        match user:
            case "busy":
                call.refuse(486)
            case "elsewhere":
                call.redirect("sip:other@192.0.2.1")
            case "forbidden":
                raise Refusal(403, headers=(("X-Why", "because"),))
            case "broken":
                raise RuntimeError("a defect")
            case "silent":
                return
            case "rings":
                call.ring()
                await call.wait_ended()
            case _:
                call.ring()
                await call.answer(SDP)

    async def on_message(self, message: InboundRequest) -> None:
        self.messages.append(message)
        if message.text == "no":
            raise Refusal(603)

    async def on_subscribe(self, request: SubscribeRequest) -> None:
        if request.package != "presence":
            raise Refusal(489)
        watcher = request.accept(b"open", "text/plain")
        watcher.notify(b"closed", "text/plain", final=True)


def test_the_library_is_imported_without_frameworks_and_databases() -> None:
    program = (
        "import sys, roomtone.sip; print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'fastapi', 'starlette', 'sqlalchemy', 'pydantic', 'dns', 'uvicorn', 'alembic', 'numpy'}))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
async def test_a_call_goes_through_its_states_and_both_sides_see_why_it_ends(transport: Transport) -> None:
    async with Desk() as desk, Endpoint(**HERE) as phone:
        call = await phone.call(uri(desk, "desk", transport), sdp=SDP)
        await call.wait_answered()
        assert call.state is CallState.ANSWERED
        assert call.remote_sdp == SDP
        (theirs,) = desk.seen
        assert theirs.remote_sdp == SDP
        await call.hang_up()
        assert (await call.wait_ended()).reason is EndReason.LOCAL
        assert (await theirs.wait_ended()).reason is EndReason.REMOTE
        assert not phone.calls


async def test_a_handler_sees_all_of_an_invite_in_order_what_it_does_not_know_among_it() -> None:
    async with Desk() as desk, Endpoint(**HERE) as phone:
        account = Account("ada", domain="example.org", display="Ada Lovelace")
        headers = [
            ("X-First", "1"),
            ("P-Asserted-Identity", '"Ada" <sip:ada@trusted.example>'),
            ("Privacy", "id"),
            ("x-Second", "zwei, und mehr"),
        ]
        call = await phone.call(uri(desk, "desk"), account=account, sdp=SDP, headers=headers)
        await call.wait_answered()
        seen = desk.seen[0].received
        assert seen.uri_text == uri(desk, "desk")
        assert seen.from_.display == "Ada Lovelace"
        assert seen.from_.uri_text == "sip:ada@example.org"
        assert seen.to.uri_text == uri(desk, "desk")
        assert [one.uri_text for one in seen.asserted] == ["sip:ada@trusted.example"]
        assert seen.is_private
        assert [pair for pair in seen.headers if pair in headers] == headers
        await call.hang_up()


@pytest.mark.parametrize(
    ("user", "status"),
    [("busy", 486), ("elsewhere", 302), ("forbidden", 403), ("broken", 500), ("silent", 480)],
)
async def test_what_a_handler_does_with_a_call_is_what_its_caller_is_told(user: str, status: int) -> None:
    async with Desk() as desk, Endpoint(**HERE) as phone:
        call = await phone.call(uri(desk, user), sdp=SDP)
        with pytest.raises(PeerError) as refused:
            await call.wait_answered()
        assert refused.value.status == status
        response = refused.value.response
        assert response is not None
        if status == 302:
            assert response.contact is not None
            assert response.contact.uri_text == "sip:other@192.0.2.1"
        if status == 403:
            assert response.headers.text("X-Why") == "because"
        assert desk.counters.handlers_failed == (user == "broken")


async def test_a_call_that_rings_is_taken_back() -> None:
    async with Desk() as desk, Endpoint(**HERE) as phone:
        call = await phone.call(uri(desk, "rings"), sdp=SDP)
        await call.wait_for(lambda one: one.state is CallState.RINGING)
        await call.hang_up()
        assert (await call.wait_ended()).reason is EndReason.CANCELLED
        assert (await desk.seen[0].wait_ended()).reason is EndReason.CANCELLED


async def test_hold_and_resume_are_offers_that_the_program_answers() -> None:
    async with Desk() as desk, Endpoint(**HERE) as phone:
        call = await phone.call(uri(desk, "desk"), sdp=SDP)
        await call.wait_answered()
        with pytest.raises(PeerError) as refused:
            await call.hold(HELD)
        assert refused.value.status == 488
        offers: list[str] = []

        async def take(offer: str) -> str:
            offers.append(offer)
            return SDP

        await desk.seen[0].wait_for(lambda one: one.state is CallState.ANSWERED)
        desk.seen[0].on_offer = take
        await call.hold(HELD)
        assert call.is_holding
        await call.resume(SDP)
        assert not call.is_holding
        assert offers == [HELD, SDP]


async def test_keys_by_info_arrive_and_what_is_none_is_refused() -> None:
    async with Desk() as desk, Endpoint(**HERE) as phone:
        call = await phone.call(uri(desk, "desk"), sdp=SDP)
        await call.wait_answered()
        await call.send_dtmf("12#", by_info=True)
        assert await desk.seen[0].gather_keys(5) == "12"
        assert (await call.request("INFO", b"x", "text/plain")).status == 415
        with pytest.raises(UseError):
            await call.send_dtmf("x", by_info=True)
        with pytest.raises(UseError) as unheard:
            await call.send_dtmf("1")
        assert unheard.value.code is SipCode.NO_MEDIA


async def test_messages_and_questions_are_answered() -> None:
    async with Desk() as desk, Endpoint(**HERE) as phone:
        assert (await phone.message(uri(desk, "desk"), "grüß dich")).status == 200
        assert desk.messages[0].text == "grüß dich"
        with pytest.raises(PeerError) as refused:
            await phone.message(uri(desk, "desk"), "no")
        assert refused.value.status == 603
        allowed = (await phone.options(uri(desk, "desk"))).headers.text("Allow") or ""
        assert "MESSAGE" in allowed
        assert "REGISTER" not in allowed
        with pytest.raises(PeerError) as not_allowed:
            await desk.message(uri(phone, "phone"), "hello")
        assert not_allowed.value.status == 405
        call = await desk.call(uri(phone, "phone"), sdp=SDP)
        with pytest.raises(PeerError) as nobody:
            await call.wait_answered()
        assert nobody.value.status == 480


async def test_a_subscriber_is_told_states_until_the_last() -> None:
    async with Desk() as desk, Endpoint(**HERE) as phone:
        watch = await phone.subscribe(uri(desk, "desk"), "presence", accept=["text/plain"])
        assert [note.text async for note in watch] == ["open", "closed"]
        assert watch.end is EndReason.REMOTE
        with pytest.raises(PeerError) as unknown:
            await phone.subscribe(uri(desk, "desk"), "weather")
        assert unknown.value.status == 489


async def test_strangers_are_challenged_and_accounts_are_known() -> None:
    async with Desk(accounts={"ada": "secret"}) as desk, Endpoint(**HERE) as phone:
        with pytest.raises(PeerError) as stranger:
            await phone.message(uri(desk, "desk"), "hello")
        assert stranger.value.code is SipCode.NO_CREDENTIALS
        wrong = Account("ada", "wrong", "127.0.0.1")
        with pytest.raises(PeerError):
            await phone.message(uri(desk, "desk"), "hello", account=wrong)
        ada = Account("ada", "secret", "127.0.0.1")
        await phone.message(uri(desk, "desk"), "hello", account=ada)
        assert [message.username for message in desk.messages] == ["ada"]
        call = await phone.call(uri(desk, "desk"), account=ada, sdp=SDP)
        await call.wait_answered()
        assert desk.seen[0].received.username == "ada"
        watch = await phone.subscribe(uri(desk, "desk"), "presence", account=ada)
        assert [note.text async for note in watch] == ["open", "closed"]


class Switch(Desk):
    """Follows transfers."""

    async def on_transfer(self, transfer: object) -> None:
        self.followed = await transfer.follow(sdp=SDP)  # type: ignore[attr-defined]


async def test_a_blind_transfer_is_followed_and_its_outcome_is_told() -> None:
    async with Switch() as switch, Desk() as desk, Endpoint(**HERE) as phone:
        call = await phone.call(uri(switch, "switch"), sdp=SDP)
        await call.wait_answered()
        with pytest.raises(PeerError) as refused:
            await call.transfer(uri(desk, "busy"))
        assert refused.value.status == 486
        assert call.state is CallState.ANSWERED
        assert await call.transfer(uri(desk, "desk")) == 200
        assert call.is_over
        assert len(desk.seen) == 2
        assert switch.followed.state is CallState.ANSWERED


async def test_an_attended_transfer_takes_a_call_over() -> None:
    async with Switch() as switch, Desk() as desk, Endpoint(**HERE) as phone:
        first = await phone.call(uri(switch, "switch"), sdp=SDP)
        second = await phone.call(uri(desk, "desk"), sdp=SDP)
        await asyncio.gather(first.wait_answered(), second.wait_answered())
        assert await first.transfer(second) == 200
        assert (await second.wait_ended()).reason is EndReason.REMOTE
        replacing = desk.seen[1]
        assert replacing.replaces is desk.seen[0]
        assert replacing.state is CallState.ANSWERED


async def test_who_cannot_be_reached_is_told_so() -> None:
    async with Endpoint(**HERE) as phone:
        with pytest.raises(UseError):
            await phone.call("tel:+491234", sdp=SDP)
        with pytest.raises(UseError):
            await phone.call("sip:somebody@127.0.0.1")
        call = await phone.call("sip:somebody@127.0.0.1:9;transport=tcp", sdp=SDP)
        with pytest.raises(PeerError) as gone:
            await call.wait_answered()
        assert gone.value.code is SipCode.UNREACHABLE
    with pytest.raises(UseError):
        await phone.call("sip:somebody@127.0.0.1", sdp=SDP)


async def test_an_account_registers_calls_by_the_server_and_is_called(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, Endpoint(**HERE) as phone, Desk() as desk:
        ada, bob = (Account(name, name * 2, f"127.0.0.1:{here.port}") for name in ("ada", "bob"))
        registration = await phone.register(ada, expires_s=30)
        assert registration.state is RegistrationState.REGISTERED
        assert registration.granted_s == 60, "the registrar takes no less"
        await desk.register(bob)
        (binding,) = here.book.registrar.bindings("bob", time.time())
        assert binding.contact == f"sip:bob@127.0.0.1:{desk.port()}"
        call = await phone.call(f"sip:bob@127.0.0.1:{here.port}", account=ada, sdp=SDP)
        await call.wait_answered()
        assert desk.seen[0].received.from_.uri.username == "ada"
        await call.hang_up()
        await registration.close()
        assert here.book.registrar.bindings("ada", time.time()) == []
        with pytest.raises(PeerError) as refused:
            await phone.register(Account("ada", "wrong", f"127.0.0.1:{here.port}"))
        assert refused.value.code is SipCode.NO_CREDENTIALS
        await here.becomes_empty()


async def test_the_end_of_an_endpoint_ends_what_it_began(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada") as here, Desk() as desk:
        async with Endpoint(**HERE) as phone:
            await phone.register(Account("ada", "adaada", f"127.0.0.1:{here.port}"))
            call = await phone.call(uri(desk, "desk"), sdp=SDP)
            await call.wait_answered()
        assert here.book.registrar.bindings("ada", time.time()) == []
        assert (await desk.seen[0].wait_ended()).reason is EndReason.REMOTE


class Slow(Server):
    """Takes its time."""

    def __init__(self) -> None:
        super().__init__(host="127.0.0.1", limits=EndpointLimits(handlers=1, waiting=2))
        self.goes_on = asyncio.Event()

    async def on_message(self, message: InboundRequest) -> None:
        await self.goes_on.wait()
        message.respond(202, headers=[("X-Taken", "yes")])
        with pytest.raises(UseError):
            message.respond(200)


async def test_more_handlers_than_may_run_are_refused_for_now() -> None:
    async with Slow() as slow, Endpoint(**HERE) as phone:
        first = asyncio.create_task(phone.message(uri(slow, "x"), "one"))
        await until(lambda: slow._handlers == 1)
        with pytest.raises(PeerError) as busy:
            await phone.message(uri(slow, "x"), "two")
        assert (busy.value.status, busy.value.retryable) == (503, True)
        assert slow.counters.handlers_refused == 1
        slow.goes_on.set()
        response = await first
        assert (response.status, response.headers.text("X-Taken")) == (202, "yes")


async def test_keys_nobody_takes_make_way_for_newer_ones() -> None:
    limits = EndpointLimits(waiting=2)
    async with Desk(limits=limits) as desk, Endpoint(**HERE) as phone:
        call = await phone.call(uri(desk, "desk"), sdp=SDP)
        await call.wait_answered()
        await call.send_dtmf("123", by_info=True)
        assert await desk.seen[0].gather_keys(5, pause_s=0.01) == "23"
        assert desk.counters.events_lost == 1
        await call.hang_up()
        assert [key async for key in desk.seen[0].keys()] == []  # noqa: SIM118 - of a call, and no mapping
        with pytest.raises(UseError):
            await desk.seen[0].next_key()


class Registrar(Server):
    """Refuses as it is told."""

    def __init__(self) -> None:
        super().__init__(host="127.0.0.1")
        self.refuses = 0
        self.taken: list[str] = []

    async def on_register(self, request: InboundRequest) -> None:
        self.taken.append(request.header("Expires") or "")
        if self.refuses:
            raise Refusal(self.refuses)
        request.respond(200, headers=[("Contact", f"{request.header('Contact')};expires=60")])


async def test_a_registration_that_fails_is_tried_again_and_says_how_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomtone.sip.registration.FIRST_PAUSE_S", 0.01)
    async with Registrar() as registrar, Endpoint(**HERE) as phone:
        account = Account("ada", domain=f"127.0.0.1:{registrar.port()}")
        made = await phone.register(account)
        assert made.granted_s == 60
        registrar.refuses = 503
        with pytest.raises(PeerError):
            await made.refresh()
        made._lost.set()
        await until(lambda: made.state is RegistrationState.FAILED and len(registrar.taken) > 3)
        registrar.refuses = 0
        await until(lambda: made.state is RegistrationState.REGISTERED)
        assert made.failure is None
        await made.close()
        assert registrar.taken[-1] == "0"
        with pytest.raises(UseError):
            await made.refresh()


class Idle(Server):
    """Looks at what comes, and does nothing."""

    def __init__(self) -> None:
        super().__init__(host="127.0.0.1")

    async def on_register(self, request: InboundRequest) -> None:
        assert request.message.contacts

    async def on_subscribe(self, request: SubscribeRequest) -> None:
        assert request.package == "presence"

    async def on_message(self, message: InboundRequest) -> None:
        assert message.text == "hello"


async def test_what_a_handler_has_not_done_is_not_called_done() -> None:
    async with Idle() as idle, Endpoint(**HERE) as phone:
        assert (await phone.message(uri(idle, "x"), "hello")).status == 200
        with pytest.raises(PeerError) as unregistered:
            await phone.register(Account("ada", domain=f"127.0.0.1:{idle.port()}"))
        assert unregistered.value.status == 500
        with pytest.raises(PeerError) as unsubscribed:
            await phone.subscribe(uri(idle, "x"), "presence")
        assert unsubscribed.value.status == 500
        assert idle.counters.handlers_failed == 0
