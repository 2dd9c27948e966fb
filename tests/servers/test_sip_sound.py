"""Sound of the public library: what is played is heard as its tone, keys go both ways, bridges join what they may."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest
from foreign_phones import write_tone
from sip_peers import PATIENCE_S
from sip_programs import Peer, at, engine, hears, transports
from test_phone_conversion import PCMA, PCMU, Voice

from roomtone.media import Engine
from roomtone.sip import CallState, InboundCall, MediaSecurity, PeerError, Server, SipCode, UseError

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]


class Greeter(Server):
    """Answers with the engine's sound and hands calls to the test."""

    def __init__(self, engine: Engine, **more: object) -> None:
        super().__init__(host="127.0.0.1", engine=engine, **more)
        self.taken: asyncio.Queue[InboundCall] = asyncio.Queue()

    async def on_invite(self, call: InboundCall) -> None:
        await call.answer()
        self.taken.put_nowait(call)


async def becomes_quiet(media: Engine) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await transports(media):  # noqa: ASYNC110 - counters tell nobody
            await asyncio.sleep(0.01)


async def test_what_is_played_is_heard_and_keys_go_both_ways() -> None:
    async with engine() as media, Greeter(media) as greeter, Peer() as peer:
        call = await peer.call(at(greeter), sdp=peer.sdp)
        await call.wait_answered()
        peer.listen_to(call)
        theirs = await greeter.taken.get()
        assert theirs.codec == "PCMU/8000"
        playing = await theirs.play_tone(440)
        await hears(peer.rtp, 440)
        await playing.stop()
        await (await theirs.play_tone(880, 0.3)).wait()
        peer.press(5)
        assert await theirs.next_key(PATIENCE_S) == "5"
        await theirs.send_dtmf("7")
        assert await peer.hears_key() == 7
        await theirs.hang_up()
        await call.wait_ended()
        with pytest.raises(UseError):
            await theirs.play_tone(440)
        await becomes_quiet(media)


async def test_a_wav_is_played_to_who_is_called(tmp_path: Path) -> None:
    write_tone(tmp_path / "tone.wav", 620, 2)
    async with engine() as media, Greeter(media) as greeter, Peer() as peer:
        call = await greeter.call(at(peer))
        await call.wait_answered()
        await call.play(tmp_path / "tone.wav", repeat=True)
        await hears(peer.rtp, 620)
        with pytest.raises(PeerError) as refused:
            await call.transfer(at(peer, "other"))
        assert refused.value.status == 405
        await call.hang_up()
        await becomes_quiet(media)


async def test_on_hold_the_peer_hears_what_is_played_and_both_forms_of_its_own_are_seen() -> None:
    async with engine() as media, Greeter(media) as greeter, Peer() as peer:
        call = await greeter.call(at(peer))
        await call.wait_answered()
        theirs = await peer.calls_in.get()
        await call.play_tone(440)
        await call.hold()
        assert "a=sendonly" in call.local_sdp
        await hears(peer.rtp, 440)
        await call.resume()
        assert "a=sendrecv" in call.local_sdp
        await theirs.hold(peer.sdp + "a=inactive\r\n")
        await call.wait_for(lambda one: one.is_held)
        peer.rtp.drain()
        await theirs.resume(peer.sdp)
        await call.wait_for(lambda one: not one.is_held)
        await hears(peer.rtp, 440)


@pytest.mark.parametrize("other", ["0 101", "8 101"], ids=["as it is", "converted"])
async def test_a_bridge_lets_two_hear_each_other_and_ends_with_either(other: str) -> None:
    async with engine() as media, Greeter(media) as greeter, Peer() as one, Peer(other) as two:
        first = await one.call(at(greeter), sdp=one.sdp)
        await first.wait_answered()
        one.listen_to(first)
        inbound = await greeter.taken.get()
        outbound = await greeter.call(at(two))
        await outbound.wait_answered()
        assert outbound.codec == ("PCMU/8000" if other[0] == "0" else "PCMA/8000")
        bridge = await inbound.bridge(outbound)
        assert (bridge.codec == "PCMU/8000") is (other[0] == "0")
        codec = PCMU if other[0] == "0" else PCMA
        talking = asyncio.create_task(talk([Voice(two.rtp, codec, 440), Voice(one.rtp, PCMU, 880)]))
        await hears(one.rtp, 440)
        one.press(3)
        assert await inbound.next_key(PATIENCE_S) == "3"
        with pytest.raises(UseError):
            await inbound.send_dtmf("1")
        talking.cancel()
        await first.hang_up()
        await outbound.wait_ended()
        assert bridge.is_over
        await becomes_quiet(media)


async def test_a_bridge_taken_apart_leaves_each_with_what_is_played_to_it() -> None:
    async with engine() as media, Greeter(media) as greeter, Peer() as one, Peer() as two:
        calls = [await greeter.call(at(peer)) for peer in (one, two)]
        await asyncio.gather(*(call.wait_answered() for call in calls))
        for peer in (one, two):
            await peer.calls_in.get()
        bridge = await calls[0].bridge(calls[1], together=False)
        await calls[0].play_tone(440)
        talking = asyncio.create_task(talk([Voice(two.rtp, PCMU, 880)]))
        await hears(one.rtp, 880)
        await bridge.close()
        await hears(one.rtp, 440)
        talking.cancel()
        assert all(call.state is CallState.ANSWERED for call in calls)


async def test_secured_sound_is_refused_or_had_as_the_endpoint_says() -> None:
    async with (
        engine() as media,
        Greeter(media, security=MediaSecurity.SDES) as careful,
        Greeter(media) as easy,
        Peer() as plain,
    ):
        call = await plain.call(at(careful), sdp=plain.sdp)
        with pytest.raises(PeerError) as refused:
            await call.wait_answered()
        assert refused.value.status == 488
        secured = await careful.call(at(easy))
        await secured.wait_answered()
        assert "RTP/SAVP" in secured.local_sdp
        assert secured.codec == "OPUS/48000"
        theirs = await easy.taken.get()
        await secured.send_dtmf("9")
        assert await theirs.next_key(PATIENCE_S) == "9"


async def test_sound_over_ice_and_dtls_is_heard_as_its_tone_and_bridged_to_a_plain_phone() -> None:
    async with (
        engine() as media,
        engine() as theirs,
        Greeter(media, security=MediaSecurity.DTLS) as careful,
        Greeter(theirs) as easy,
        Peer() as plain,
    ):
        call = await careful.call(at(easy), codecs=["pcmu"])
        await call.wait_answered()
        assert "UDP/TLS/RTP/SAVP" in call.local_sdp
        inbound = await easy.taken.get()
        outbound = await easy.call(at(plain))
        await outbound.wait_answered()
        await inbound.bridge(outbound)
        await call.play_tone(440)
        await hears(plain.rtp, 440)
        refused = await plain.call(at(careful), sdp=plain.sdp)
        with pytest.raises(PeerError) as error:
            await refused.wait_answered()
        assert error.value.status == 488
        await call.hang_up()
        await becomes_quiet(media)


async def test_an_offer_of_another_codec_or_of_none_is_told_apart() -> None:
    async with engine() as media, Greeter(media) as greeter, Peer("18") as odd:
        call = await odd.call(at(greeter), sdp=odd.sdp)
        with pytest.raises(PeerError) as refused:
            await call.wait_answered()
        assert refused.value.code is SipCode.REFUSED
        assert refused.value.status == 488
        await becomes_quiet(media)


async def talk(voices: list[Voice]) -> None:
    """Say tones until cancelled, in real time: what is mixed is."""
    while True:
        for voice in voices:
            voice.say()
        await asyncio.sleep(0.02)
