"""A phone with DTLS-SRTP and without ICE calls one with plain RTP: OpenSSL shakes hands, libsrtp seals and opens."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib.util
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from phone_peers import PATIENCE_S, Phone, Rtp, exchange, phone
from pylibsrtp import Policy, Session

from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.agent import Answered, Invited

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
LABEL = b"EXTRACTOR-dtls_srtp"
KEY, SALT = 16, 14


class Handshake:
    """One end of DTLS-SRTP (RFC 5764), by OpenSSL."""

    def __init__(self, *, client: bool) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "phone")])
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(7).not_valid_before(now - dt.timedelta(days=1))
        self.certificate = builder.not_valid_after(now + dt.timedelta(days=1)).sign(key, hashes.SHA256())
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_certificate(self.certificate)
        context.use_privatekey(key)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
        self.ssl = SSL.Connection(context)
        self.client = client
        if client:
            self.ssl.set_connect_state()
        else:
            self.ssl.set_accept_state()

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    async def shake(self, rtp: Rtp) -> tuple[Session, Session]:
        """Shake hands with where the phone sends to; what seals for it, and what opens what it sends."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                done = self._step()
                self._flush(rtp)
                if done:
                    return self._sessions()
                try:
                    async with asyncio.timeout(0.5):
                        data = await loop.sock_recv(rtp.socket, 4096)
                except TimeoutError:
                    self.ssl.DTLSv1_handle_timeout()
                    continue
                if 20 <= data[0] <= 63:
                    self.ssl.bio_write(data)

    def _step(self) -> bool:
        try:
            self.ssl.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def _flush(self, rtp: Rtp) -> None:
        while True:
            try:
                data = self.ssl.bio_read(4096)
            except SSL.WantReadError:
                return
            rest = data
            while rest:  # a record each, of several in the buffer
                length = 13 + int.from_bytes(rest[11:13])
                rtp.socket.sendto(rest[:length], ("127.0.0.1", rtp.remote))
                rest = rest[length:]

    def _sessions(self) -> tuple[Session, Session]:
        material = self.ssl.export_keying_material(LABEL, 2 * (KEY + SALT))
        keys, salts = material[: 2 * KEY], material[2 * KEY :]
        client, server = keys[:KEY] + salts[:SALT], keys[KEY:] + salts[SALT:]
        mine, theirs = (client, server) if self.client else (server, client)
        profile = Policy.SRTP_PROFILE_AES128_CM_SHA1_80
        return (
            Session(Policy(key=mine, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)),
            Session(Policy(key=theirs, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)),
        )


async def next_sealed(rtp: Rtp) -> bytes:
    while True:
        packet = await rtp.next_packet()
        if packet[0] >= 128:
            return packet


@pytest.mark.parametrize("setup", ["active", "actpass", "passive"])
async def test_a_phone_with_dtls_talks_to_one_without(tmp_path: Path, setup: str) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, phone(here, "ada") as ada, phone(here, "bob") as bob:
        await bob.register()
        bob.answers = lambda phone, event: phone.agent.answer_invite(event.leg, phone.now(), body=bob.sdp("0"))
        hands = Handshake(client=setup != "passive")
        lines = (f"a=fingerprint:sha-256 {hands.fingerprint}", f"a=setup:{setup}", "a=rtcp-mux")
        ada.call("bob", ada.sdp("0", *lines, profile="UDP/TLS/RTP/SAVP"))
        answer = parse_session((await ada.wait_for(Answered)).response.body).media[0]
        assert answer.protocol == "UDP/TLS/RTP/SAVP"
        assert answer.setup is not None
        assert answer.setup.value == ("active" if setup == "passive" else "passive")
        seal, open_ = await hands.shake(ada.rtp)
        shown = hands.ssl.get_peer_certificate(as_cryptography=True)
        assert shown is not None
        assert shown.fingerprint(hashes.SHA256()).hex(":").upper() == answer.fingerprints[0].value
        await talk(ada, bob, seal, open_)


async def talk(secure: Phone, plain: Phone, seal: Session, open_: Session) -> None:
    """What is sealed is heard by the other in clear, and the other way round; what is not sealed is not heard."""
    heard = asyncio.create_task(plain.rtp.next())
    while not heard.done():
        secure.rtp.socket.sendto(secure.rtp.packet(b"in clear"), ("127.0.0.1", secure.rtp.remote))
        sealed = seal.protect(secure.rtp.packet(b"from the secure side"))
        secure.rtp.socket.sendto(sealed, ("127.0.0.1", secure.rtp.remote))
        await asyncio.wait([heard], timeout=0.05)
    assert heard.result() == (0, b"from the secure side")
    answered = asyncio.create_task(next_sealed(secure.rtp))
    while not answered.done():
        plain.rtp.send(b"from the plain side")
        await asyncio.wait([answered], timeout=0.05)
    assert open_.unprotect(answered.result())[12:] == b"from the plain side"


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_a_phone_is_called_with_dtls_and_shakes_hands_in_either_role(tmp_path: Path, setup: str) -> None:
    async with exchange(tmp_path, "ada") as here, phone(here, "ada") as ada, phone(here, "bob") as bob:
        await here.book.accounts.create("bob", "bobbob", security=MediaSecurity.DTLS)
        await bob.register()
        hands = Handshake(client=setup == "active")
        lines = (f"a=fingerprint:sha-256 {hands.fingerprint}", f"a=setup:{setup}")
        body = bob.sdp("0", *lines, profile="UDP/TLS/RTP/SAVP")
        bob.answers = lambda phone, event: phone.agent.answer_invite(event.leg, phone.now(), body=body)
        ada.call("bob", ada.sdp("0"))
        await ada.wait_for(Answered)
        offer = parse_session((await bob.wait_for(Invited)).request.body).media[0]
        assert (offer.protocol, offer.setup) == ("UDP/TLS/RTP/SAVP", "actpass")
        seal, open_ = await hands.shake(bob.rtp)
        shown = hands.ssl.get_peer_certificate(as_cryptography=True)
        assert shown is not None
        assert shown.fingerprint(hashes.SHA256()).hex(":").upper() == offer.fingerprints[0].value
        await talk(bob, ada, seal, open_)
