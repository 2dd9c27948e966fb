"""libsrtp of the system, for the suites of RFC 6188 that its binding for Python does not name."""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

_NAME = ctypes.util.find_library("srtp2")
has_libsrtp = _NAME is not None
LENGTHS = {
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
}
"""Key and salt of each suite, in bytes."""
_INBOUND, _OUTBOUND, _ROOM, _ROUNDED_UP = 2, 3, 2_048, 144
_loaded: list[Any] = []


class _CryptoPolicy(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("cipher", "key_length", "auth", "auth_key", "auth_tag", "services")),
    )


class _Policy(ctypes.Structure):
    # What follows stays zero, which are its defaults in each version of the library.
    _fields_ = (
        ("ssrc_type", ctypes.c_int),
        ("ssrc", ctypes.c_uint),
        ("rtp", _CryptoPolicy),
        ("rtcp", _CryptoPolicy),
        ("key", ctypes.c_void_p),
        ("rest", ctypes.c_char * _ROUNDED_UP),
    )


def _library() -> Any:
    if not _loaded:
        assert _NAME is not None
        library = ctypes.CDLL(_NAME)
        assert library.srtp_init() == 0
        _loaded.append(library)
    return _loaded[0]


class SystemSession:
    """One direction of SRTP."""

    def __init__(self, suite: str, key: bytes, *, outbound: bool) -> None:
        assert len(key) == LENGTHS[suite]
        library = self._library = _library()
        _, bits, _, _, _, tag = suite.split("_")
        self._key = ctypes.create_string_buffer(key, len(key))
        policy = _Policy(ssrc_type=_OUTBOUND if outbound else _INBOUND, key=ctypes.addressof(self._key))
        getattr(library, f"srtp_crypto_policy_set_aes_cm_{bits}_hmac_sha1_{tag}")(ctypes.byref(policy.rtp))
        getattr(library, f"srtp_crypto_policy_set_aes_cm_{bits}_hmac_sha1_80")(ctypes.byref(policy.rtcp))
        self._session = ctypes.c_void_p()
        assert library.srtp_create(ctypes.byref(self._session), ctypes.byref(policy)) == 0

    def protect(self, packet: bytes) -> bytes:
        """Seal a packet."""
        return self._do(self._library.srtp_protect, packet)

    def unprotect(self, packet: bytes) -> bytes:
        """Open a packet; raise `ValueError` where that fails."""
        return self._do(self._library.srtp_unprotect, packet)

    def _do(self, what: Any, packet: bytes) -> bytes:
        room = ctypes.create_string_buffer(packet, _ROOM)
        length = ctypes.c_int(len(packet))
        status = what(self._session, room, ctypes.byref(length))
        if status:
            raise ValueError(f"libsrtp: {status}")
        return room.raw[: length.value]
