"""SRTP in f8 mode, as RFC 3711 describes it, over the AES of another library: libsrtp has no such mode."""

from __future__ import annotations

import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SUITE = "F8_128_HMAC_SHA1_80"
KEY, SALT, TAG = 16, 14, 10
LENGTH = KEY + SALT
"""Master key and salt together, in bytes."""
_CLEAR_RTCP = 8


def _block(key: bytes, block: bytes) -> bytes:
    """Encrypt one block: adding zeros to the first of counter mode shows it."""
    return Cipher(algorithms.AES(key), modes.CTR(block)).encryptor().update(bytes(16))


def _add(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def keystream(key: bytes, salt: bytes, iv: bytes, length: int) -> bytes:
    """Section 4.1.2.1."""
    masked = _block(_add(key, salt.ljust(len(key), b"\x55")), iv)
    made, last = b"", bytes(16)
    while len(made) < length:
        count = (len(made) // 16).to_bytes(16, "big")
        last = _block(key, _add(_add(masked, count), last))
        made += last
    return made[:length]


class _Keys:
    """Session keys of RTP, or of RTCP (section 4.3)."""

    def __init__(self, master: bytes, first_label: int) -> None:
        key, salt = master[:KEY], master[KEY:]

        def derive(label: int, length: int) -> bytes:
            iv = _add(salt, label.to_bytes(8, "big") + bytes(6)) + bytes(2)
            return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(bytes(length))

        self.key, self.auth, self.salt = (derive(first_label + at, length) for at, length in enumerate((KEY, 20, SALT)))

    def crypt(self, iv: bytes, data: bytes) -> bytes:
        return _add(data, keystream(self.key, self.salt, iv, len(data)))

    def tag(self, signed: bytes) -> bytes:
        return hmac.digest(self.auth, signed, "sha1")[:TAG]


def _header_length(packet: bytes) -> int:
    length = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        length += 4 + 4 * int(struct.unpack_from("!H", packet, length + 2)[0])
    return length


class F8Session:
    """One direction, RTP and RTCP; whoever uses it looks for replays."""

    def __init__(self, master: bytes) -> None:
        assert len(master) == LENGTH
        self._rtp, self._rtcp = _Keys(master, 0), _Keys(master, 3)
        self._highest: dict[bytes, int] = {}
        self._reports = 0

    def protect(self, packet: bytes) -> bytes:
        """Seal an RTP packet."""
        roll_over = self._roll_over(packet)
        at = _header_length(packet)
        sealed = packet[:at] + self._rtp.crypt(b"\0" + packet[1:12] + roll_over, packet[at:])
        return sealed + self._rtp.tag(sealed + roll_over)

    def unprotect(self, sealed: bytes) -> bytes:
        """Open an RTP packet; raise `ValueError` where that fails."""
        packet, tag = sealed[:-TAG], sealed[-TAG:]
        before = dict(self._highest)
        roll_over = self._roll_over(packet)
        if self._rtp.tag(packet + roll_over) != tag:
            self._highest = before
            raise ValueError("forged")
        at = _header_length(packet)
        return packet[:at] + self._rtp.crypt(b"\0" + packet[1:12] + roll_over, packet[at:])

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Seal an RTCP compound."""
        self._reports += 1
        word = struct.pack("!I", 0x8000_0000 | self._reports)
        head = packet[:_CLEAR_RTCP]
        sealed = head + self._rtcp.crypt(bytes(4) + word + head, packet[_CLEAR_RTCP:]) + word
        return sealed + self._rtcp.tag(sealed)

    def unprotect_rtcp(self, sealed: bytes) -> bytes:
        """Open an encrypted RTCP compound; raise `ValueError` where that fails."""
        signed, tag = sealed[:-TAG], sealed[-TAG:]
        head, word = signed[:_CLEAR_RTCP], signed[-4:]
        if self._rtcp.tag(signed) != tag or not word[0] & 0x80:
            raise ValueError("forged, or in the clear")
        return head + self._rtcp.crypt(bytes(4) + word + head, signed[_CLEAR_RTCP:-4])

    def _roll_over(self, packet: bytes) -> bytes:
        """Give the roll-over counter of a packet, nearest to the highest index so far (section 3.3.1)."""
        sequence, ssrc = int(struct.unpack_from("!H", packet, 2)[0]), packet[8:12]
        highest = self._highest.get(ssrc, sequence)
        step = (sequence - highest) & 0xFFFF
        index = highest + (step if step < 0x8000 else step - 0x1_0000)
        self._highest[ssrc] = max(highest, index)
        return struct.pack("!I", index >> 16)
