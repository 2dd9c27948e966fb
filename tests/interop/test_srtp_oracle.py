"""libsrtp (by pylibsrtp) and crates/srtp seal the same bytes and open each other's packets, for random packets.

For suites that libsrtp is no measure of, what was written from the RFCs over another library's AES stands for it.
"""

from __future__ import annotations

import ctypes
import os
import random
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pylibsrtp import Policy, Session, _binding
from srtp_by_rfc import LENGTHS as BY_RFC
from srtp_by_rfc import RfcSession, counted, f8_stream

ROOT = Path(__file__).resolve().parents[2]
BUILD_WITHIN_S = 900
pytestmark = pytest.mark.timeout(BUILD_WITHIN_S + 60)
# SDES name → libsrtp's profile, and the length of key and salt (RFC 4568, RFC 7714).
PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AES_CM_128_HMAC_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
    **{name: (None, length) for name, length in BY_RFC.items()},
    # RFC 6188: libsrtp has them, its profiles of DTLS and so pylibsrtp have not.
    "AES_256_CM_HMAC_SHA1_80": (None, 46),
    "AES_256_CM_HMAC_SHA1_32": (None, 46),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}
Ask = Callable[[str, str, bytes, bytes], bytes | None]


@pytest.fixture(scope="module")
def ours() -> Iterator[Ask]:
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/roomtone/target"))
    subprocess.run(
        ["cargo", "build", "--quiet", "-p", "roomtone-srtp", "--example", "srtp_cli"],
        cwd=ROOT,
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
        check=True,
        timeout=BUILD_WITHIN_S,
    )
    process = subprocess.Popen(
        [target / "debug/examples/srtp_cli"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    questions, answers = process.stdin, process.stdout

    def ask(verb: str, profile: str, key: bytes, packet: bytes) -> bytes | None:
        """The packet that comes out, or None for an error."""
        questions.write(f"{verb} {profile} {key.hex()} {packet.hex()}\n")
        questions.flush()
        answer = answers.readline().strip()
        assert answer
        return None if answer.startswith("error") else bytes.fromhex(answer)

    yield ask
    questions.close()
    assert process.wait(timeout=30) == 0
    answers.close()


def policy(name: str, key: bytes, streams: int) -> Policy:
    """Describe streams to libsrtp."""
    profile = PROFILES[name][0]
    if profile is not None:
        return Policy(key=key, ssrc_type=streams, srtp_profile=profile)
    made = Policy(key=key, ssrc_type=streams)
    libsrtp = ctypes.CDLL(_binding.__file__)
    # The tag of SRTCP has 80 bits with either suite (RFC 6188 section 3).
    _, bits, _, _, _, tag = name.split("_")
    for part, length in ((made._policy.rtp, tag), (made._policy.rtcp, "80")):
        at = int(_binding.ffi.cast("uintptr_t", _binding.ffi.addressof(part)))
        libsrtp[f"srtp_crypto_policy_set_aes_cm_{bits}_hmac_sha1_{length}"](ctypes.c_void_p(at))
    return made


def sessions(name: str, key: bytes) -> tuple[Session | RfcSession, Session | RfcSession]:
    """One to seal and one to open."""
    if name in BY_RFC:
        return RfcSession(name, key), RfcSession(name, key)
    return Session(policy(name, key, Policy.SSRC_ANY_OUTBOUND)), Session(policy(name, key, Policy.SSRC_ANY_INBOUND))


def test_what_stands_for_libsrtp_gives_the_vectors_of_the_rfcs() -> None:
    key, salt = bytes.fromhex("234829008467be186c3de14aae72d62c"), bytes.fromhex("32f2870d")
    blocks = "71ef82d70a172660240709c7fbb19d8e3abd640a60919fd43bd289a09649b5fc220c7a8715266565b09ecc8a2a62b11b"
    iv = bytes.fromhex("006e5cba50681de55c621599d462564a")
    assert f8_stream(key, salt, iv, 48).hex() == blocks, "RFC 3711 B.1"
    # RFC 6188 sections 7.3, and 7.4 with the label of the encryption key, which changes nothing.
    key = bytes.fromhex("eab234764e517b2d3d160d587d8c86219740f65f99b6bcf7")
    block = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000")
    assert counted(key, block, 16).hex() == "35096cba4610028dc1b57503804ce37c"
    key = bytes.fromhex("73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1")
    derived = counted(key, bytes.fromhex("c8522f3acd4ce86d5add78edbb11") + bytes(2), 24)
    assert derived.hex() == "31874736a8f1143870c26e4857d8a5b2c4a354407faadabb"


def any_rtp(rng: random.Random, sequence: int, ssrc: int) -> bytes:
    sources, extended = rng.choice([0, 0, 0, 1, 15]), rng.random() < 0.5
    first = 0x80 | (extended << 4) | sources
    packet = struct.pack("!BBHII", first, rng.randrange(128), sequence & 0xFFFF, rng.getrandbits(32), ssrc)
    packet += rng.randbytes(4 * sources)
    if extended:
        words = rng.randrange(5)
        packet += struct.pack("!HH", 0xBEDE, words) + rng.randbytes(4 * words)
    return packet + rng.randbytes(rng.choice([0, 1, 15, 16, 17, 100, 1100, 1200]))


def any_rtcp(rng: random.Random, ssrc: int) -> bytes:
    return struct.pack("!BBHI", 0x80, 200, 6, ssrc) + rng.randbytes(rng.choice([0, 4, 20, 60]))


@pytest.mark.parametrize("name", PROFILES)
def test_random_packets_are_sealed_alike_and_opened_by_the_other(ours: Ask, name: str) -> None:
    length = PROFILES[name][1]
    seed = random.SystemRandom().getrandbits(32)
    rng = random.Random(seed)  # noqa: S311 - random packets, not keys that guard anything
    for _ in range(4):
        key = rng.randbytes(length)
        sender, receiver = sessions(name, key)
        # Sequence numbers start low, as both sides have to see the first packet before a wrap, and then wrap often.
        sequences = {rng.getrandbits(32): rng.randrange(0x7F00) for _ in range(3)}
        for count in range(200):
            ssrc = rng.choice(list(sequences))
            sequences[ssrc] += rng.choice([1, 1, 1, 2, 500, 9000])
            packet = any_rtp(rng, sequences[ssrc], ssrc)
            theirs, mine = sender.protect(packet), ours("seal", name, key, packet)
            assert mine == theirs, (seed, count)
            assert ours("open", name, key, theirs) == packet, (seed, count)
            assert receiver.unprotect(theirs) == packet, (seed, count)
            forged = bytearray(theirs)
            forged[rng.randrange(len(forged))] ^= 1 << rng.randrange(8)
            assert ours("open", name, key, bytes(forged)) is None, (seed, count)
            assert ours("open", name, key, theirs) is None, "replayed"
            if count % 5 == 0:
                report = any_rtcp(rng, ssrc)
                mine = ours("seal_rtcp", name, key, report)
                assert mine is not None
                assert receiver.unprotect_rtcp(mine) == report, (seed, count)
                theirs = sender.protect_rtcp(report)
                forged = bytearray(theirs)
                forged[rng.randrange(len(forged))] ^= 1 << rng.randrange(8)
                assert ours("open_rtcp", name, key, bytes(forged)) is None, (seed, count)
                assert ours("open_rtcp", name, key, theirs) == report, (seed, count)
                assert ours("open_rtcp", name, key, theirs) is None, "replayed"
