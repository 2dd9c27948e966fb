"""Errors of the SDP core: a text that is no SDP, and an offer that cannot be served."""

from __future__ import annotations

from enum import StrEnum


class SdpError(ValueError):
    """The text is not SDP (RFC 8866); ``line`` counts from one."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


class NegotiationCode(StrEnum):
    """Why a well-formed offer cannot be answered."""

    NO_MEDIA = "no_media"
    NO_COMMON_CODEC = "no_common_codec"
    NOT_BUNDLED = "not_bundled"
    NO_RTCP_MUX = "no_rtcp_mux"
    NO_FINGERPRINT = "no_fingerprint"
    NO_ICE_CREDENTIALS = "no_ice_credentials"
    SETUP_UNSUPPORTED = "setup_unsupported"
    DIRECTION_UNSUPPORTED = "direction_unsupported"
    PROTOCOL_UNSUPPORTED = "protocol_unsupported"
    TOO_MANY_MEDIA = "too_many_media"
    TOO_MANY_ENCODINGS = "too_many_encodings"
    TOO_MANY_STREAMS = "too_many_streams"
    ANSWER_MISMATCH = "answer_mismatch"
    ADDRESS_UNSUPPORTED = "address_unsupported"
    SECURITY_REFUSED = "security_refused"


class NegotiationError(ValueError):
    """The offer is SDP, but nothing here can answer it; ``code`` says which rule it breaks."""

    def __init__(self, code: NegotiationCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
