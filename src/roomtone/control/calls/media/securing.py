"""How the media of a phone is secured: keys in its descriptions (RFC 4568), or of a DTLS handshake (RFC 5763)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from roomtone.media.values import DtlsParameters, DtlsRole
from roomtone.protocols.sdp.attributes import Setup
from roomtone.protocols.sdp.crypto import OFFERED, SUITES, CryptoLine
from roomtone.protocols.sdp.telephony import Keying, MediaSecurity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sdp.telephony import PhoneMedia

OFFERS = {
    MediaSecurity.OFF: (Keying.NONE, "RTP/AVP"),
    MediaSecurity.OPTIONAL: (Keying.NONE, "RTP/AVP"),
    MediaSecurity.SDES: (Keying.SDES, "RTP/SAVP"),
    MediaSecurity.DTLS: (Keying.DTLS, "UDP/TLS/RTP/SAVP"),
}
"""What is offered, by what a leg must be."""


def setup_of(keying: Keying, dtls: DtlsParameters | None) -> Setup | None:
    """Say who begins to shake hands: the peer decides, unless it was agreed on before (RFC 8842 section 5.3)."""
    if keying is not Keying.DTLS:
        return None
    if dtls is None:
        return Setup.ACTPASS
    return Setup.ACTIVE if dtls.role is DtlsRole.ACTIVE else Setup.PASSIVE


def shake_hands(before: DtlsParameters | None, media: PhoneMedia) -> DtlsParameters | None:
    """Give who shakes hands how; with the certificate there was our role stays (RFC 8842 section 5.5)."""
    if media.keying is not Keying.DTLS:
        return None
    prints = list(media.fingerprints)
    if before is not None and before.fingerprints == prints:
        return before
    # Who may be either is waited for: its packets show where it is.
    role = DtlsRole.ACTIVE if media.setup is Setup.PASSIVE else DtlsRole.PASSIVE
    return DtlsParameters(role=role, fingerprints=prints)


def offered_keys(suites: Iterable[str] = OFFERED) -> tuple[CryptoLine, ...]:
    """Make a key for each of these suites, the preferred first (RFC 4568 section 6.1)."""
    return tuple(
        CryptoLine(tag, suite, secrets.token_bytes(SUITES[suite])) for tag, suite in enumerate(suites, start=1)
    )


def answer_key(media: PhoneMedia) -> CryptoLine:
    """Make our key for the first suite the peer offers, which is the one it prefers (RFC 4568 section 6.1)."""
    first = media.cryptos[0]
    return CryptoLine(first.tag, first.suite, secrets.token_bytes(len(first.key)))


def reanswer_key(ours: CryptoLine | None, media: PhoneMedia) -> CryptoLine | None:
    """Keep our key where its suite is offered again; make one for the suite the peer prefers where it is not."""
    if ours is None or same_suite(ours, media) is not None:
        return ours
    return answer_key(media)


def answered_key(agreed: CryptoLine | None, offered: tuple[CryptoLine, ...], media: PhoneMedia) -> CryptoLine | None:
    """Find our key that an answer takes: by tag and suite, or by suite alone, as some get the tag wrong."""
    ours = offered if agreed is None else (agreed, *offered)
    pairs = [(one, line) for line in media.cryptos for one in ours if one.known_suite == line.known_suite]
    exact = next((one for one, line in pairs if one.tag == line.tag), None)
    return exact or next((one for one, _ in pairs), None)


def same_suite(ours: CryptoLine, media: PhoneMedia) -> CryptoLine | None:
    """Find the peer's key of a suite of ours."""
    return next((line for line in media.cryptos if line.known_suite == ours.known_suite), None)
