"""Which kind of media a leg has: chosen once, before anything of it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.calls.media.ice_media import IceLegMedia
from roomtone.control.calls.media.plain_media import PlainLegMedia
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.telephony import Keying, MediaSecurity

if TYPE_CHECKING:
    from roomtone.control.calls.media.plain_streams import Marking
    from roomtone.control.calls.media.streams import LegMedia
    from roomtone.control.calls.ports import Signal
    from roomtone.media import Router
    from roomtone.protocols.sdp.telephony import PhoneDescription


def media_for(
    router: Router,
    signal: Signal,
    security: MediaSecurity,
    offered: PhoneDescription | None,
    *,
    marking: Marking,
    extended_reports: bool,
    describes_silence: bool,
    srtp_suites: tuple[str, ...],
) -> LegMedia:
    """Make the media of a leg: of the kind its peer offers, or, where the offer is ours, of the kind it must have."""
    if _over_ice(signal, security, offered):
        return IceLegMedia(router, security=security)
    return PlainLegMedia(
        router,
        ip=signal.media_ip,
        told_ip=signal.told_ip,
        source_ip=signal.source_ip,
        security=security,
        marking=marking,
        extended_reports=extended_reports,
        describes_silence=describes_silence,
        srtp_suites=srtp_suites,
    )


def _over_ice(signal: Signal, security: MediaSecurity, offered: PhoneDescription | None) -> bool:
    if offered is None:
        # A browser has nothing else, and a phone that has ICE does without where none is offered.
        return signal.is_browser and security in {MediaSecurity.OPTIONAL, MediaSecurity.DTLS}
    audio = offered.first(MediaKind.AUDIO, security)
    return audio is not None and audio.keying is Keying.DTLS and audio.over_ice
