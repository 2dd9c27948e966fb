"""SRTP by SDES on either side of a call: libsrtp seals what goes in and opens what comes out.

For suites that it is no measure of, what was written from the RFCs over another library's AES stands for it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from libsrtp import LENGTHS, SystemSession, has_libsrtp
from phone_peers import Exchange, Phone, Rtp, exchange, phone
from pylibsrtp import Policy, Session
from srtp_by_rfc import LENGTHS as BY_RFC
from srtp_by_rfc import RfcSession
from test_phone_conversion import PCMA, PCMU, Voice, hears

from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sdp.crypto import OFFERED, CryptoLine, read_crypto
from roomtone.protocols.sdp.crypto import SUITES as ALL
from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.agent import Answered, Invited, Refused

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
SUITES = {
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AES_CM_128_HMAC_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}
BY_SYSTEM = LENGTHS if has_libsrtp else {}
LENGTH_OF = {name: length for name, (_, length) in SUITES.items()} | BY_SYSTEM | BY_RFC
"""Key and salt, of each suite that there is something else for."""
AnySession = Session | SystemSession | RfcSession
DEFAULT = "AES_CM_128_HMAC_SHA1_80"


@dataclass
class Secure:
    """The keys of one phone, and libsrtp behind them."""

    suite: str
    key: bytes
    tag: int = 5

    @property
    def lines(self) -> tuple[str, ...]:
        return (f"a=crypto:{CryptoLine(self.tag, self.suite, self.key).serialize()}",)

    def seal(self, rtp: Rtp, payload: bytes) -> bytes:
        return session_of(self.suite, self.key, outbound=True).protect(rtp.packet(payload))


def session_of(suite: str, key: bytes, *, outbound: bool) -> AnySession:
    """What seals, or opens, packets of a suite."""
    if suite in BY_RFC:
        return RfcSession(suite, key)
    if suite in BY_SYSTEM:
        return SystemSession(suite, key, outbound=outbound)
    kind = Policy.SSRC_ANY_OUTBOUND if outbound else Policy.SSRC_ANY_INBOUND
    return Session(Policy(key=key, ssrc_type=kind, srtp_profile=SUITES[suite][0]))


class SecureRtp(Rtp):
    """A phone's socket for media whose packets are sealed and opened on the way."""

    def __init__(self, suite: str, key: bytes) -> None:
        super().__init__()
        self._sealing = session_of(suite, key, outbound=True)
        self.opening: AnySession | None = None

    def packet(self, payload: bytes, payload_type: int = 0) -> bytes:
        return self._sealing.protect(super().packet(payload, payload_type))

    async def next_packet(self) -> bytes:
        assert self.opening is not None
        return self.opening.unprotect(await super().next_packet())


def described(body: bytes) -> dict[str, CryptoLine]:
    """The keys somebody describes, by suite."""
    section = parse_session(body).media[0]
    assert section.protocol == "RTP/SAVP"
    lines = read_crypto(line.attribute_value for line in section.lines if line.attribute == "crypto")
    return {line.suite: line for line in lines}


def opened(body: bytes, suite: str) -> tuple[CryptoLine, AnySession]:
    """The key somebody describes for a suite, and what opens packets sealed with it."""
    line = described(body)[suite]
    return line, session_of(line.suite, line.key, outbound=False)


async def received(rtp: Rtp, session: AnySession | None, data: bytes, payload: bytes) -> None:
    """What is sent again and again arrives, once opened, as it was."""

    async def next_payload() -> bytes:
        packet = await rtp.next_packet()
        return packet[12:] if session is None else session.unprotect(packet)[12:]

    async def send() -> None:
        while True:
            sender.socket.sendto(data, ("127.0.0.1", sender.remote))
            await asyncio.sleep(0.02)

    sender = rtp.other
    assert sender is not None
    sending = asyncio.create_task(send())
    try:
        assert await next_payload() == payload
    finally:
        sending.cancel()


async def call(here: Exchange, ada: Phone, bob: Phone, ada_sdp: bytes, bob_sdp: bytes) -> tuple[bytes, bytes]:
    """Bring a call up: what the caller is answered, and what the callee was offered."""
    await bob.register()
    bob.answers = lambda phone, event: phone.agent.answer_invite(event.leg, phone.now(), body=bob_sdp)
    ada.call("bob", ada_sdp)
    answer = (await ada.wait_for(Answered)).response.body
    ada.rtp.other, bob.rtp.other = bob.rtp, ada.rtp
    assert len(here.calls) == 1
    return answer, (await bob.wait_for(Invited)).request.body


@pytest.mark.parametrize("suite", LENGTH_OF)
async def test_a_caller_with_srtp_talks_to_a_phone_without(tmp_path: Path, suite: str) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, phone(here, "ada") as ada, phone(here, "bob") as bob:
        mine = Secure(suite, os.urandom(LENGTH_OF[suite]))
        answer, offer = await call(here, ada, bob, ada.sdp("0", *mine.lines, profile="RTP/SAVP"), bob.sdp("0"))
        assert parse_session(offer).media[0].protocol == "RTP/AVP"
        assert list(described(answer)) == [suite]
        line, session = opened(answer, suite)
        assert (line.tag, line.suite) == (5, suite)
        assert line.key != mine.key
        await received(bob.rtp, None, mine.seal(ada.rtp, b"from the secure side"), b"from the secure side")
        await received(ada.rtp, session, bob.rtp.packet(b"from the plain side"), b"from the plain side")
        # What is not sealed with the key of the offer goes nowhere.
        stranger = Secure(suite, os.urandom(LENGTH_OF[suite]))
        bob.rtp.drain()
        ada.rtp.socket.sendto(stranger.seal(ada.rtp, b"forged"), ("127.0.0.1", ada.rtp.remote))
        await received(bob.rtp, None, mine.seal(ada.rtp, b"genuine"), b"genuine")


@pytest.mark.parametrize("suite", LENGTH_OF)
async def test_a_phone_that_is_called_chooses_any_of_the_suites(tmp_path: Path, suite: str) -> None:
    async with (
        exchange(tmp_path, "ada", srtp_suites=tuple(ALL)) as here,
        phone(here, "ada") as ada,
        phone(here, "bob") as bob,
    ):
        await here.book.accounts.create("bob", "bobbob", security=MediaSecurity.SDES)
        tag = list(ALL).index(suite) + 1
        mine = Secure(suite, os.urandom(LENGTH_OF[suite]), tag)
        _, offer = await call(here, ada, bob, ada.sdp("0"), bob.sdp("0", *mine.lines, profile="RTP/SAVP"))
        assert list(described(offer)) == list(ALL)
        line, session = opened(offer, suite)
        assert line.tag == tag
        await received(ada.rtp, None, mine.seal(bob.rtp, b"from the secure side"), b"from the secure side")
        await received(bob.rtp, session, ada.rtp.packet(b"from the plain side"), b"from the plain side")


@pytest.mark.parametrize("suite", BY_RFC)
async def test_tones_are_heard_both_ways_under_suites_that_are_not_offered_unasked(tmp_path: Path, suite: str) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, phone(here, "ada") as ada, phone(here, "bob") as bob:
        assert suite not in OFFERED
        mine = Secure(suite, os.urandom(LENGTH_OF[suite]))
        ada.rtp.close()
        secured = ada.rtp = SecureRtp(suite, mine.key)
        # Without a codec in common: what is heard was opened, decoded, made anew and sealed.
        answer, _ = await call(here, ada, bob, ada.sdp("0", *mine.lines, profile="RTP/SAVP"), bob.sdp("8"))
        secured.opening = opened(answer, suite)[1]
        voices = [Voice(ada.rtp, PCMU, 880), Voice(bob.rtp, PCMA, 440)]
        await hears(ada, PCMU, 440, voices)
        await hears(bob, PCMA, 880, voices)


async def test_an_account_that_wants_srtp_is_offered_it_and_gets_nothing_else(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada") as here, phone(here, "ada") as ada, phone(here, "bob") as bob:
        await here.book.accounts.create("bob", "bobbob", security=MediaSecurity.SDES)
        mine = Secure(DEFAULT, os.urandom(30), tag=4)
        answer, offer = await call(here, ada, bob, ada.sdp("0"), bob.sdp("0", *mine.lines, profile="RTP/SAVP"))
        assert parse_session(answer).media[0].protocol == "RTP/AVP"
        assert tuple(described(offer)) == OFFERED
        _, session = opened(offer, DEFAULT)
        await received(ada.rtp, None, mine.seal(bob.rtp, b"from the secure side"), b"from the secure side")
        await received(bob.rtp, session, ada.rtp.packet(b"from the plain side"), b"from the plain side")
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await here.becomes_empty()
        bob.call("ada", bob.sdp("0"))
        refused = await bob.wait_for(Refused)
        assert refused.response is not None
        assert refused.response.status in {480, 488}
        await ada.register()
        bob.call("ada", bob.sdp("0"))
        refused = await bob.wait_for(Refused, 2)
        assert refused.response is not None
        assert refused.response.status == 488, "plain RTP is refused"
        await here.becomes_empty()
