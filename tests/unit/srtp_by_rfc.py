"""SRTP as RFC 3711 and RFC 6188 have it, over the AES of another library, for suites that libsrtp is no measure of.

It has no f8 mode, and derived the keys of AES-192 by AES-256 (https://github.com/cisco/libsrtp/issues/763, found in
pylibsrtp 1.0 and Debian 12).
"""

from __future__ import annotations

import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

F8 = "F8_128_HMAC_SHA1_80"
SALT, REPORT_TAG, CLEAR = 14, 10, 8
LENGTHS = {F8: 16 + SALT, "AES_192_CM_HMAC_SHA1_80": 24 + SALT, "AES_192_CM_HMAC_SHA1_32": 24 + SALT}
"""Master key and salt together of each suite, in bytes."""


def _block(key: bytes, block: bytes) -> bytes:
    """Encrypt one block: adding zeros to the first of counter mode shows it."""
    return Cipher(algorithms.AES(key), modes.CTR(block)).encryptor().update(bytes(16))


def _add(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def counted(key: bytes, block: bytes, length: int) -> bytes:
    """Give the key stream of counter mode that begins at a block (RFC 3711 section 4.1.1)."""
    return Cipher(algorithms.AES(key), modes.CTR(block)).encryptor().update(bytes(length))


def f8_stream(key: bytes, salt: bytes, iv: bytes, length: int) -> bytes:
    """Give the key stream of f8 mode (RFC 3711 section 4.1.2.1)."""
    masked = _block(_add(key, salt.ljust(len(key), b"\x55")), iv)
    made, last = b"", bytes(16)
    while len(made) < length:
        count = (len(made) // 16).to_bytes(16, "big")
        last = _block(key, _add(_add(masked, count), last))
        made += last
    return made[:length]


class _Keys:
    """Session keys of RTP, or of RTCP (RFC 3711 section 4.3, RFC 6188 section 3)."""

    def __init__(self, suite: str, master: bytes, first_label: int) -> None:
        self._is_f8 = suite == F8
        key, salt = master[:-SALT], master[-SALT:]

        def derive(label: int, length: int) -> bytes:
            return counted(key, _add(salt, label.to_bytes(8, "big") + bytes(6)) + bytes(2), length)

        lengths = (len(key), 20, SALT)
        self.key, self.auth, self.salt = (derive(first_label + at, length) for at, length in enumerate(lengths))

    def crypt(self, iv: bytes, ssrc: bytes, index: int, data: bytes) -> bytes:
        """Seal, or open; ``iv`` is that of f8 mode."""
        if self._is_f8:
            return _add(data, f8_stream(self.key, self.salt, iv, len(data)))
        place = bytes(4) + ssrc + index.to_bytes(6, "big")
        return _add(data, counted(self.key, _add(self.salt, place) + bytes(2), len(data)))

    def tag(self, signed: bytes, length: int) -> bytes:
        return hmac.digest(self.auth, signed, "sha1")[:length]


def _header_length(packet: bytes) -> int:
    length = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        length += 4 + 4 * int(struct.unpack_from("!H", packet, length + 2)[0])
    return length


class RfcSession:
    """One direction, RTP and RTCP; whoever uses it looks for replays."""

    def __init__(self, suite: str, master: bytes) -> None:
        assert len(master) == LENGTHS[suite]
        self._tag = int(suite.rpartition("_")[2]) // 8
        self._rtp, self._rtcp = _Keys(suite, master, 0), _Keys(suite, master, 3)
        self._highest: dict[bytes, int] = {}
        self._reports = 0

    def protect(self, packet: bytes) -> bytes:
        """Seal an RTP packet."""
        index = self._index(packet)
        sealed = self._crypt(packet, index)
        return sealed + self._rtp.tag(sealed + _roll_over(index), self._tag)

    def unprotect(self, sealed: bytes) -> bytes:
        """Open an RTP packet; raise `ValueError` where that fails."""
        packet, tag = sealed[: -self._tag], sealed[-self._tag :]
        before = dict(self._highest)
        index = self._index(packet)
        if self._rtp.tag(packet + _roll_over(index), self._tag) != tag:
            self._highest = before
            raise ValueError("forged")
        return self._crypt(packet, index)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Seal an RTCP compound."""
        self._reports += 1
        word = struct.pack("!I", 0x8000_0000 | self._reports)
        sealed = self._crypt_rtcp(packet, word) + word
        return sealed + self._rtcp.tag(sealed, REPORT_TAG)

    def unprotect_rtcp(self, sealed: bytes) -> bytes:
        """Open an encrypted RTCP compound; raise `ValueError` where that fails."""
        signed, tag = sealed[:-REPORT_TAG], sealed[-REPORT_TAG:]
        word = signed[-4:]
        if self._rtcp.tag(signed, REPORT_TAG) != tag or not word[0] & 0x80:
            raise ValueError("forged, or in the clear")
        return self._crypt_rtcp(signed[:-4], word)

    def _crypt(self, packet: bytes, index: int) -> bytes:
        at, iv = _header_length(packet), b"\0" + packet[1:12] + _roll_over(index)
        return packet[:at] + self._rtp.crypt(iv, packet[8:12], index, packet[at:])

    def _crypt_rtcp(self, packet: bytes, word: bytes) -> bytes:
        head, iv = packet[:CLEAR], bytes(4) + word + packet[:CLEAR]
        index = int.from_bytes(word, "big") & 0x7FFF_FFFF
        return head + self._rtcp.crypt(iv, packet[4:8], index, packet[CLEAR:])

    def _index(self, packet: bytes) -> int:
        """Give the index nearest to the highest one so far (section 3.3.1)."""
        sequence, ssrc = int(struct.unpack_from("!H", packet, 2)[0]), packet[8:12]
        highest = self._highest.get(ssrc, sequence)
        step = (sequence - highest) & 0xFFFF
        index = highest + (step if step < 0x8000 else step - 0x1_0000)
        self._highest[ssrc] = max(highest, index)
        return index


def _roll_over(index: int) -> bytes:
    return struct.pack("!I", index >> 16)
