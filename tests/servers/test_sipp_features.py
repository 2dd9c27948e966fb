"""SIPp with a scenario for each feature of phones, each against a server and phones that it does not know."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from foreign_phones import free_ports
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import until
from sipp_scenes import (
    LOGIN,
    OPTIONAL,
    SDP,
    answer,
    answer_in_dialog,
    ask,
    bye,
    call,
    expect,
    expect_request,
    invite,
    request,
    run_sipp,
    scenario,
)
from test_foreign_transfers import is_taken
from test_phone_pins import gone, in_room

from roomtone.control.calls import RuleTarget, TargetKind
from roomtone.protocols.sip.agent import Answered, Ended, Invited, Requested
from roomtone.protocols.sip.digest import Algorithm
from roomtone.protocols.sip.flow import Transport

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed"),
    pytest.mark.timeout(120),
    pytest.mark.long,
]
Play = Callable[..., Awaitable[None]]
HELD = SDP + "a=sendonly\n"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob", "cleo", order=(Algorithm.MD5,)) as made:
        yield made


@pytest.fixture
async def pair(here: Exchange) -> AsyncIterator[tuple[Phone, Phone]]:
    """Two phones that are registered and pick up."""
    async with AsyncExitStack() as phones:
        made = [await phones.enter_async_context(phone(here, name)) for name in ("ada", "cleo")]
        for one in made:
            assert (await one.register()).status == 200
            one.answers = pick_up
        yield made[0], made[1]


@pytest.fixture
def play(here: Exchange, tmp_path: Path) -> Play:
    """Has SIPp go through steps, to their end."""

    async def run(*steps: str, words: tuple[str, ...] = ()) -> None:
        transport = Transport.TCP if "t1" in words else Transport.UDP
        port = here.endpoint.listeners.addresses()[transport][0][1]
        code, output = await run_sipp(tmp_path, scenario("feature", *steps), port, *words)
        assert code == 0, output

    return run


def kept(header: str, number: int, pattern: str = ".*") -> str:
    """Keep what stands in a header of a message that is awaited."""
    where = f'search_in="hdr" header="{header}:"'
    return f'<ereg regexp="{pattern}" {where} check_it="true" assign_to="{number}"/>'


# --- outside of calls ---


async def test_sipp_registers_refreshes_and_leaves(here: Exchange, play: Play) -> None:
    uri, to = "sip:[remote_ip]:[remote_port]", "To: <sip:bob@[remote_ip]>"
    await play(
        *ask("REGISTER", "", "Expires: 120", pattern="Contact:.*bob@.*expires=1"),
        request("REGISTER", uri, 3, "Expires: 0", to=to),
        expect(401, more='auth="true"'),
        request("REGISTER", uri, 4, LOGIN, "Expires: 0", to=to),
        expect(200),
    )
    assert not here.book.registrar.bindings("bob", 0.0)


async def test_sipp_keeps_the_path_it_registers_by(play: Play) -> None:
    path = "Path: <sip:edge.example.org;lr>"
    await play(*ask("REGISTER", "", path, "Supported: path", "Expires: 60", pattern="Path: .sip:edge.example.org"))


async def test_sipp_asks_what_there_is(play: Play) -> None:
    uri, to = "sip:[remote_ip]:[remote_port]", "To: <sip:[remote_ip]>"
    await play(request("OPTIONS", uri, 1, to=to), expect(200, pattern="Allow: .*INVITE"))


async def test_sipp_writes_to_a_phone(pair: tuple[Phone, Phone], play: Play) -> None:
    ada, _ = pair
    await play(*ask("MESSAGE", "ada", body="good morning", kind="text/plain"))
    (got,) = [event.request for event in ada.events if isinstance(event, Requested)]
    assert (got.method, got.body.strip(), got.from_.uri.serialize()) == (
        "MESSAGE",
        b"good morning",
        "sip:bob@127.0.0.1",
    )


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(
    "watched",
    [
        ("presence", "ada", "<basic>open"),
        ("dialog", "ada", "dialog-info"),
        ("message-summary", "bob", "Messages-Waiting: no"),
        ("reg", "bob", "reginfo"),
    ],
)
async def test_sipp_subscribes_and_is_told(here: Exchange, play: Play, watched: tuple[str, str, str]) -> None:
    package, user, told = watched
    event = f"Event: {package}"
    pattern = told.replace("<", "&lt;")
    await play(
        *ask("SUBSCRIBE", user, event, "Expires: 300"),
        expect_request("NOTIFY", pattern=pattern),
        answer_in_dialog(),
        request("SUBSCRIBE", "[next_url]", 3, event, "Expires: 0", to=f"To: <sip:{user}@[remote_ip]>[peer_tag_param]"),
        expect(200),
        expect_request("NOTIFY", pattern="Subscription-State: terminated"),
        answer_in_dialog(),
    )
    await here.becomes_empty()


async def test_sipp_may_watch_itself_only_where_that_is_private(play: Play) -> None:
    await play(*ask("SUBSCRIBE", "ada", "Event: message-summary", "Expires: 300", status=403))
    await play(*ask("SUBSCRIBE", "ada", "Event: weather", "Expires: 300", status=489, pattern="Allow-Events: "))


async def test_sipp_publishes_its_presence(play: Play) -> None:
    document = (
        '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@127.0.0.1">'
        '<tuple id="a"><status><basic>closed</basic></status></tuple></presence>'
    )
    kind = "application/pidf+xml"
    await play(*ask("PUBLISH", "bob", "Event: presence", "Expires: 300", body=document, kind=kind, pattern="SIP-ETag"))
    await play(*ask("PUBLISH", "ada", "Event: presence", body=document, kind=kind, status=403))


# --- calls ---


@pytest.mark.parametrize("words", [(), ("-t", "t1")], ids=["udp", "tcp"])
async def test_sipp_calls_a_phone(
    here: Exchange, pair: tuple[Phone, Phone], play: Play, words: tuple[str, ...]
) -> None:
    await play(*call("ada"), *bye(3), words=words)
    await pair[0].wait_for(Ended)
    await here.becomes_empty()


@pytest.mark.parametrize("status", [486, 603])
async def test_sipp_is_told_why_nobody_answers(pair: tuple[Phone, Phone], play: Play, status: int) -> None:
    pair[0].answers = lambda one, event: one.agent.refuse(event.leg, status, one.now())
    await play(*invite("ada"), expect(status), request("ACK", "sip:ada@[remote_ip]:[remote_port]", 2))


async def test_sipp_gives_up_and_the_phone_stops_ringing(here: Exchange, pair: tuple[Phone, Phone], play: Play) -> None:
    ada, _ = pair
    ada.answers = lambda one, event: one.agent.progress(event.leg, 180, one.now())
    uri, to = "sip:ada@[remote_ip]:[remote_port]", "To: <sip:ada@[remote_ip]>"
    cancel = request("CANCEL", uri, 2, to=to).replace("branch=[branch]", "branch=[branch-3]")
    await play(*invite("ada"), expect(180), cancel, expect(200), expect(487), request("ACK", uri, 2))
    await ada.wait_for(Ended)
    await here.becomes_empty()


async def test_sipp_hears_early_media_and_then_the_answer(
    here: Exchange, pair: tuple[Phone, Phone], play: Play
) -> None:
    def early(one: Phone, event: Invited) -> None:
        one.agent.progress(event.leg, 183, one.now(), body=one.sdp("0"))
        one.agent.answer_invite(event.leg, one.now(), body=one.sdp("0"))

    pair[0].answers = early
    acknowledged = request("ACK", "[next_url]", 2)
    await play(
        *invite("ada"),
        expect(183, pattern="m=audio [0-9]+ RTP/AVP 0"),
        expect(200, more='rrs="true"'),
        acknowledged,
        *bye(3),
    )
    await here.becomes_empty()


async def test_sipp_wants_an_offer(here: Exchange, pair: tuple[Phone, Phone], play: Play) -> None:
    del pair
    await play(
        *invite("ada", body=""),
        expect(180, more=OPTIONAL),
        expect(200, more='rrs="true"', pattern="m=audio [0-9]+ RTP/AVP 0"),
        request("ACK", "[next_url]", 2, body=SDP),
        *bye(3),
    )
    await here.becomes_empty()


async def test_of_two_phones_that_ring_for_sipp_one_answers_and_the_other_stops(
    here: Exchange, pair: tuple[Phone, Phone], play: Play
) -> None:
    ada, cleo = pair
    ada.answers = lambda one, event: one.agent.progress(event.leg, 180, one.now())
    await here.book.dispatch.create("both", ["600"], RuleTarget(TargetKind.GROUP, accounts=("ada", "cleo")))
    await play(*call("600"), *bye(3))
    assert (await ada.wait_for(Ended)).leg is (await ada.wait_for(Invited)).leg
    await cleo.wait_for(Ended)
    await here.becomes_empty()


async def test_sipp_acknowledges_reliable_ringing(here: Exchange, pair: tuple[Phone, Phone], play: Play) -> None:
    def ring(one: Phone, event: Invited) -> None:
        one.agent.progress(event.leg, 180, one.now())
        pick_up(one, event)

    pair[0].answers = ring
    await play(
        *invite("ada", "Require: 100rel"),
        f'<recv response="180" rrs="true"><action>{kept("RSeq", 2, "[0-9]+")}</action></recv>',
        request("PRACK", "[next_url]", 3, "RAck: [$2] 2 INVITE"),
        expect(200),
        expect(200, more='rrs="true"'),  # which waits for that
        request("ACK", "[next_url]", 2),
        *bye(4),
    )
    await here.becomes_empty()


async def test_sipp_rings_reliably_and_is_acknowledged(here: Exchange, pair: tuple[Phone, Phone], play: Play) -> None:
    ada, _ = pair
    (port,) = free_ports(1)
    await here.book.dispatch.create("door", ["door"], RuleTarget(TargetKind.URI, uri=f"sip:door@127.0.0.1:{port}"))
    contact = "Contact: <sip:door@[local_ip]:[local_port]>"
    head = ["SIP/2.0 200 OK", "Via:[$2]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "CSeq:[$3]", contact]
    text = "\n".join([*head, "Content-Type: application/sdp", "Content-Length: [len]", "", SDP])
    steps = (
        f'<recv request="INVITE"><action>{kept("Via", 2)}{kept("CSeq", 3)}</action></recv>',
        answer("183 Session Progress", contact, "Require: 100rel", "RSeq: 7"),
        expect_request("PRACK", pattern="RAck: 7 "),
        answer_in_dialog(),
        f'<send retrans="500"><![CDATA[\n{text}\n]]></send>',
        expect_request("ACK"),
        expect_request("BYE"),
        answer_in_dialog(),
    )
    running = asyncio.ensure_future(play(*steps, words=("-p", str(port))))
    await until(lambda: is_taken(port))
    ada.call("door")
    leg = (await ada.wait_for(Answered)).leg
    ada.hang_up(leg)
    await running
    await here.becomes_empty()


async def test_sipp_refreshes_its_session(here: Exchange, pair: tuple[Phone, Phone], play: Play) -> None:
    del pair
    timer = ("Supported: timer", "Session-Expires: 120;refresher=uac")
    await play(
        *call("ada", *timer, pattern="Session-Expires: 120;refresher=uac"),
        request("UPDATE", "[next_url]", 3, *timer),
        expect(200, pattern="Session-Expires: 120;refresher=uac"),
        *bye(4),
    )
    await here.becomes_empty()


async def test_sipp_asks_for_too_short_a_session(play: Play) -> None:
    timer = ("Supported: timer", "Session-Expires: 30")
    uri = "sip:ada@[remote_ip]:[remote_port]"
    await play(*invite("ada", *timer), expect(422, pattern="Min-SE: "), request("ACK", uri, 2))


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_sipp_holds_and_goes_on(here: Exchange, pair: tuple[Phone, Phone], play: Play, method: str) -> None:
    ada, _ = pair
    acknowledged = [request("ACK", "[next_url]", 3)] if method == "INVITE" else []
    again = [request("ACK", "[next_url]", 4)] if method == "INVITE" else []
    await play(
        *call("ada"),
        request(method, "[next_url]", 3, body=HELD),
        expect(100, more=OPTIONAL),
        expect(200, pattern="a=(recvonly|inactive)"),
        *acknowledged,
        request(method, "[next_url]", 4, body=SDP),
        expect(100, more=OPTIONAL),
        expect(200, pattern="m=audio [0-9]+ RTP/AVP 0"),
        *again,
        *bye(5),
    )
    await ada.wait_for(Ended)
    await here.becomes_empty()


async def test_sipp_presses_keys_by_info(here: Exchange, pair: tuple[Phone, Phone], play: Play) -> None:
    ada, _ = pair
    body = "Signal=5\nDuration=160\n"
    await play(
        *call("ada"),
        request("INFO", "[next_url]", 3, body=body, kind="application/dtmf-relay"),
        expect(200),
        *bye(4),
    )
    await ada.wait_for(Ended)
    await here.becomes_empty()


async def test_sipp_picks_up_for_a_phone_that_rings(here: Exchange, pair: tuple[Phone, Phone], play: Play) -> None:
    ada, cleo = pair
    cleo.answers = lambda one, event: one.agent.progress(event.leg, 180, one.now())
    ada.call("cleo")
    dialog = (await cleo.wait_for(Invited)).leg.dialog
    named = f"Replaces: {dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag};early-only"
    await play(*call("ada", named, "Require: replaces"), *bye(3))
    await cleo.wait_for(Ended)
    await ada.wait_for(Ended)
    await here.becomes_empty()


async def test_sipp_enters_a_room_by_its_pin(here: Exchange, play: Play) -> None:
    await here.book.dispatch.create("board", ["7001"], RuleTarget(TargetKind.ROOM, room="board"), pin="42")
    keys = []
    for cseq, key in enumerate("42", 3):
        body = f"Signal={key}\nDuration=160\n"
        keys += [request("INFO", "[next_url]", cseq, body=body, kind="application/dtmf-relay"), expect(200)]
    running = asyncio.create_task(play(*call("7001"), *keys, expect_request("BYE"), answer_in_dialog()))
    await until(lambda: running.done() or in_room(here, "board", "sip_bob"))
    if running.done():
        await running
    (one,) = here.calls.all()
    here.calls.hang_up(one.id)
    await running
    await gone(here)


async def test_sipp_asks_a_phone_into_its_room(here: Exchange, pair: tuple[Phone, Phone], play: Play) -> None:
    ada, _ = pair
    await here.book.dispatch.create("standup", ["7000"], RuleTarget(TargetKind.ROOM, room="standup"))
    notified = [step for word in ("100", "180", "200") for step in (told(word), answer_in_dialog())]
    await play(
        *call("7000"),
        request("REFER", "[next_url]", 3, "Refer-To: <sip:ada@[remote_ip]:[remote_port]>"),
        expect(202),
        *notified,
        request("BYE", "[next_url]", 4, to="To: <sip:7000@[remote_ip]>[peer_tag_param]"),
        expect(200),
    )
    assert in_room(here, "standup", "sip_ada")
    ada.hang_up((await ada.wait_for(Invited)).leg)
    await until(lambda: not len(here.calls))
    await gone(here)


def told(status: str) -> str:
    """Wait for a NOTIFY of how a REFER goes."""
    return expect_request("NOTIFY", pattern=f"SIP/2.0 {status}")


# --- what is wrong ---


async def test_sipp_is_told_what_is_not_possible(play: Play) -> None:
    uri, to = "sip:ada@[remote_ip]:[remote_port]", "To: <sip:ada@[remote_ip]>"
    await play(*invite("ada", "Require: telepathy"), expect(420), request("ACK", uri, 2))
    await play(request("BYE", uri, 1, to=f"{to};tag=none"), expect(481))
