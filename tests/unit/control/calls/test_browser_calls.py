"""Calls of browsers: over ICE and DTLS on their side, and plain on the other; what is held, restarted and refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from browser_sdp import OTHER_PRINT, browser_sdp
from calls_world import KEY, FakeSignal, World, sdp

from roomtone.control.calls import Acknowledged, Call, CallEnd, Ended, Offered, PickedUp, Reanswered
from roomtone.media.fake_objects import FakeConsumer, FakeTransport
from roomtone.media.values import EngineCloseReason, TransportClosed, TransportId
from roomtone.protocols.sdp import Direction, SessionDescription, parse_session
from roomtone.protocols.sdp.telephony import MediaSecurity


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.open()
    yield world
    await world.close()


def transports(world: World) -> list[str]:
    return [held.kind for held in world.link.find(FakeTransport)]


def of_browser(world: World) -> FakeTransport:
    (found,) = [held for held in world.link.find(FakeTransport) if held.kind == "webrtc"]
    return found


def names(text: str, at: int = 0) -> list[str]:
    return [line.name.upper() for line in parse_session(text).media[at].rtp_maps]


def the_only(text: str) -> SessionDescription:
    session = parse_session(text)
    assert len(session.media) == 1
    return session


async def calls_a_phone(
    world: World, *, offer: str | None = None, answer: str | None = None
) -> tuple[Call, FakeSignal, FakeSignal]:
    """A browser has called a phone, which has answered."""
    await world.phone("bob", "h1")
    call, browser = await world.call("bob", offer or browser_sdp())
    phone = world.signalling.legs[-1]
    call.post(phone, PickedUp(answer or sdp(5000, "0 101")))
    await world.settle()
    return call, browser, phone


async def is_called(world: World, security: MediaSecurity = MediaSecurity.DTLS) -> tuple[Call, FakeSignal, FakeSignal]:
    """A phone calls an account with a browser."""
    world.signalling.browsers = True
    await world.phone("bob", "h1", security=security)
    call, phone = await world.call("bob", sdp(4000, "0 101"))
    return call, phone, world.signalling.legs[-1]


async def test_a_browser_calls_a_phone_and_the_codec_of_both_passes(world: World) -> None:
    call, browser, phone = await calls_a_phone(world)
    offered = the_only(phone.told[0][3]).media[0]
    assert offered.protocol == "RTP/AVP"
    assert names(phone.told[0][3]) == ["OPUS", "G722", "PCMU", "PCMA", "TELEPHONE-EVENT", "TELEPHONE-EVENT"]
    assert offered.feedback == (), "a profile without feedback speaks of none"
    session = the_only(browser.last[1])
    answer = session.media[0]
    assert (answer.protocol, answer.formats, answer.mid) == ("UDP/TLS/RTP/SAVPF", ("0", "126"), "0")
    assert session.bundle == ("0",)
    assert session.ice_lite
    assert (answer.setup, answer.has("rtcp-mux"), answer.direction) == ("passive", True, Direction.SENDRECV)
    assert [line.uri for line in answer.extensions] == ["urn:ietf:params:rtp-hdrext:sdes:mid"]
    assert answer.candidates
    assert call.codec == "PCMU/8000"
    assert transports(world) == ["webrtc", "plain"]
    assert (of_browser(world).answer_timeout_ms or 0) > 60_000, "a caller's outlives the ringing too"
    assert of_browser(world).connected
    assert world.objects() == {"Router": 1, "Transport": 2, "Producer": 2, "Consumer": 2}
    call.post(browser, Ended(CallEnd.COMPLETED))
    await world.settle()
    assert world.objects() == {}


async def test_a_browser_with_opus_alone_is_converted(world: World) -> None:
    call, browser, _ = await calls_a_phone(world, offer=browser_sdp("111 110"))
    assert call.codec == "OPUS/48000 to PCMU/8000"
    assert names(browser.last[1]) == ["OPUS", "TELEPHONE-EVENT"]
    assert world.objects() == {"Router": 1, "Transport": 2, "Producer": 4, "Consumer": 2, "Mixer": 1}


@pytest.mark.parametrize("security", [MediaSecurity.OPTIONAL, MediaSecurity.DTLS])
async def test_a_browser_is_called_with_an_offer_of_ours(world: World, security: MediaSecurity) -> None:
    call, phone, browser = await is_called(world, security)
    session = the_only(browser.told[0][3])
    offer = session.media[0]
    assert (offer.protocol, offer.setup, offer.mid, session.bundle) == ("UDP/TLS/RTP/SAVPF", "actpass", "0", ("0",))
    assert names(browser.told[0][3])[:2] == ["PCMU", "TELEPHONE-EVENT"]
    assert "OPUS" in names(browser.told[0][3])
    waits = of_browser(world)
    assert not waits.connected
    assert (waits.answer_timeout_ms or 0) > 60_000, "it outlives its ringing"
    call.post(browser, PickedUp(browser_sdp("0 101", "a=rtpmap:101 telephone-event/8000", setup="active")))
    await world.settle()
    assert phone.words == ["answer"]
    assert the_only(phone.last[1]).media[0].formats == ("0", "101")
    assert of_browser(world).connected
    assert call.codec == "PCMU/8000"


async def test_hold_stops_what_goes_to_the_browser_and_resume_starts_it_again(world: World) -> None:
    call, browser, _ = await calls_a_phone(world)
    flows = lambda: [not held.paused for held in world.link.find(FakeConsumer)]  # noqa: E731
    assert flows() == [True, True]
    for number, (said, answered, expected) in enumerate(
        [
            ("a=inactive", Direction.INACTIVE, [False, False]),
            ("a=sendonly", Direction.RECVONLY, [False, True]),
            ("a=sendrecv", Direction.SENDRECV, [True, True]),
        ]
    ):
        call.post(browser, Offered(number, browser_sdp("0 126", said, version=number + 2)))
        await world.settle()
        assert browser.last[:2] == ("answer_offer", number)
        section = the_only(browser.last[2]).media[0]
        assert (section.direction, section.setup) == (answered, "passive"), "its role stays"
        assert flows() == expected
    assert of_browser(world).ice_generation == 0


async def test_new_credentials_restart_ice(world: World) -> None:
    call, browser, _ = await calls_a_phone(world)
    before = the_only(browser.last[1]).media[0].ice_ufrag
    call.post(browser, Offered("again", browser_sdp("0 126", ufrag="wxyz", version=2)))
    await world.settle()
    assert browser.last[:2] == ("answer_offer", "again")
    assert the_only(browser.last[2]).media[0].ice_ufrag not in {None, before}
    assert of_browser(world).ice_generation == 1


@pytest.mark.parametrize(
    "offer",
    [
        browser_sdp("0 126", print_=OTHER_PRINT, version=2),
        sdp(4000, "0 101"),
        browser_sdp("18", version=2),
    ],
    ids=["another certificate", "plain", "another codec"],
)
async def test_what_cannot_be_changed_is_refused_and_the_call_goes_on(world: World, offer: str) -> None:
    call, browser, phone = await calls_a_phone(world)
    call.post(browser, Offered("again", offer))
    await world.settle()
    if phone.last[0] == "reoffer":  # a codec that cannot be converted: the other side is asked first
        call.post(phone, Reanswered(None, 488))
        await world.settle()
    assert browser.last == ("refuse_offer", "again", CallEnd.MEDIA_INCOMPATIBLE)
    assert call.end is None
    assert [not held.paused for held in world.link.find(FakeConsumer)] == [True, True]


@pytest.mark.parametrize(
    ("security", "offer"),
    [
        (MediaSecurity.DTLS, sdp()),
        (MediaSecurity.DTLS, sdp(4000, "0", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}", profile="RTP/SAVP")),
        (MediaSecurity.SDES, browser_sdp()),
        (MediaSecurity.OFF, browser_sdp()),
        (MediaSecurity.OPTIONAL, browser_sdp().replace("a=ice-ufrag", "a=x-ufrag")),
        (MediaSecurity.OPTIONAL, browser_sdp().replace("a=rtcp-mux", "a=x-mux")),
    ],
    ids=["dtls: plain", "dtls: SDES", "sdes: DTLS", "off: DTLS", "no ICE", "no rtcp-mux"],
)
async def test_an_account_refuses_what_it_may_not_have(world: World, security: MediaSecurity, offer: str) -> None:
    await world.phone("bob", "h1")
    _, caller = await world.call("bob", offer, security)
    assert caller.last == ("end", CallEnd.MEDIA_INCOMPATIBLE)
    assert world.objects() == {}


@pytest.mark.parametrize(
    "answer",
    [
        sdp(5000, "0"),
        browser_sdp("18", setup="active"),
        browser_sdp("0", "a=ice-lite", setup="active").replace("t=0 0", "t=0 0\r\na=ice-lite"),
    ],
    ids=["plain", "no codec of ours", "both are lite"],
)
async def test_an_answer_that_does_not_fit_ends_the_call(world: World, answer: str) -> None:
    call, phone, browser = await is_called(world)
    call.post(browser, PickedUp(answer))
    await world.settle()
    assert phone.last == ("end", CallEnd.MEDIA_INCOMPATIBLE)
    assert browser.last == ("end", CallEnd.MEDIA_INCOMPATIBLE)
    assert world.objects() == {}


async def test_a_caller_that_wants_an_offer_is_given_one_of_its_kind(world: World) -> None:
    await world.phone("bob", "h1")
    call, browser = await world.call("bob", None, MediaSecurity.DTLS, is_browser=True)
    call.post(world.signalling.legs[-1], PickedUp(sdp(5000, "0 101")))
    await world.settle()
    offer = the_only(browser.last[1]).media[0]
    assert (offer.protocol, offer.setup) == ("UDP/TLS/RTP/SAVPF", "actpass")
    call.post(browser, Acknowledged(browser_sdp("0 101", "a=rtpmap:101 telephone-event/8000", setup="passive")))
    await world.settle()
    assert of_browser(world).connected
    assert len(world.link.find(FakeConsumer)) == 2


async def test_two_browsers_have_pictures_too(world: World) -> None:
    world.signalling.browsers = True
    await world.phone("bob", "h1", security=MediaSecurity.DTLS)
    call, caller = await world.call("bob", browser_sdp(video="96 97"))
    callee = world.signalling.legs[-1]
    offer = parse_session(callee.told[0][3])
    assert offer.bundle == ("0", "1")
    assert names(callee.told[0][3], 1) == ["VP8"], "repairs are between each browser and us"
    call.post(callee, PickedUp(browser_sdp("111 110", setup="active", video="96")))
    await world.settle()
    answer = parse_session(caller.last[1])
    assert (answer.bundle, answer.media[1].formats) == (("0", "1"), ("96",))
    assert {line.feedback for line in answer.media[1].feedback} == {"transport-cc", "nack", "nack pli"}
    assert world.objects() == {"Router": 1, "Transport": 2, "Producer": 4, "Consumer": 4}
    assert call.codec == "OPUS/48000"


async def test_pictures_that_the_phone_has_not_keep_their_place(world: World) -> None:
    call, browser, _ = await calls_a_phone(world, offer=browser_sdp(video="96 97"), answer=sdp(5000, "0 101"))
    answer = parse_session(browser.last[1])
    assert answer.bundle == ("0",)
    assert [section.port != 0 for section in answer.media] == [True, False]
    call.post(browser, Offered("late", None))
    await world.settle()
    again = parse_session(browser.last[2])
    assert [(section.kind, section.port != 0) for section in again.media] == [("audio", True), ("video", False)]


async def test_a_browser_that_is_gone_ends_its_call(world: World) -> None:
    _, browser, phone = await calls_a_phone(world)
    lost = TransportId(of_browser(world).id)
    world.link.emit(TransportClosed(transport=lost, reason=EngineCloseReason.ICE_TIMEOUT))
    await world.settle()
    assert browser.last == ("end", CallEnd.MEDIA_LOST)
    assert phone.last == ("end", CallEnd.MEDIA_LOST)
    assert world.objects() == {}
