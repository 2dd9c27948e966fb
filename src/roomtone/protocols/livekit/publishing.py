"""What a client publishes: tracks it announces by signal messages, and the sections of its offers that bring them.

Inputs: announcements and offers, in any order. Outputs: `Starting` tracks and the ids of those that stop.
Order: a track starts once it is announced and a section of an offer sends it, whichever comes first.
Limits: ``limit`` announced tracks whose media has not come; further ones are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp import Direction, MediaAnswer, PeerMedia, PeerOffer, parse_session, read_peer_offer
from roomtone.protocols.sdp.codecs import RED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sdp import Codec, NegotiatedMedia, Support

MAX_ANNOUNCED = 64
RIDS = ("q", "h", "f")
"""What LiveKit's clients call their encodings, lowest first; a browser may list them in any order."""
STEREO_BITRATE = 510_000
"""The most Opus sends (RFC 6716)."""
_KINDS = {models.TrackType.AUDIO: MediaKind.AUDIO, models.TrackType.VIDEO: MediaKind.VIDEO}


class AnnouncementError(ValueError):
    """A track cannot be announced; ``reason`` is LiveKit's for the client."""

    def __init__(self, reason: rtc.RequestResponse.Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Announced:
    """A track the client says it will send."""

    sid: str
    kind: MediaKind
    request: rtc.AddTrackRequest


@dataclass(frozen=True, slots=True)
class Starting:
    """An announced track whose section is there."""

    mid: str
    announced: Announced
    media: NegotiatedMedia


@dataclass(frozen=True, slots=True)
class OfferPlan:
    """What an offer brings and ends."""

    offer: PeerOffer
    starting: tuple[Starting, ...]
    stopping: tuple[str, ...]
    """Ids of tracks whose section sends no longer."""
    restarted: bool
    """The client's ICE credentials are new."""
    receiving: tuple[PeerMedia, ...]
    """Sections in which the client wants to receive."""
    answers: dict[str, MediaAnswer]
    """Of the sections in which it sends."""


@dataclass(slots=True)
class _Section:
    announced: Announced
    label: str
    """What the section calls its track."""


class PublishedTracks:
    """Announced tracks, and the sections that carry them."""

    def __init__(self, support: Support, limit: int = MAX_ANNOUNCED) -> None:
        self._support = support
        self._limit = limit
        self._waiting: dict[str, Announced] = {}
        self._sections: dict[str, _Section] = {}
        self._unclaimed: dict[str, PeerMedia] = {}
        self._credentials: tuple[str, str] | None = None

    def announce(self, request: rtc.AddTrackRequest, sid: str) -> Starting | None:
        """Take an announcement; gives the track when its section was there first. Raise `AnnouncementError`."""
        kind = _KINDS.get(request.type)
        reasons = rtc.RequestResponse.Reason
        if kind is None:
            raise AnnouncementError(reasons.UNSUPPORTED_TYPE, "only audio and video are published as tracks")
        if request.sid:
            raise AnnouncementError(reasons.UNSUPPORTED_TYPE, "a track has one codec here: no backup codec is taken")
        if not any(known.kind is kind for known in self._support.formats):
            raise AnnouncementError(reasons.NOT_ALLOWED, f"no {kind.value} is taken here")
        if not request.cid or request.cid in self._waiting:
            raise AnnouncementError(reasons.INVALID_REQUEST, "a track needs a client id of its own")
        if len(self._waiting) >= self._limit:
            raise AnnouncementError(reasons.LIMIT_EXCEEDED, f"{self._limit} announced tracks have sent nothing yet")
        announced = Announced(sid, kind, request)
        for mid, media in self._unclaimed.items():
            if media.kind is kind and request.cid in _labels(media):
                del self._unclaimed[mid]
                return self._start(media, announced)
        self._waiting[request.cid] = announced
        return None

    def announced(self, sid: str) -> Announced | None:
        """Find a track whose media has not come yet."""
        return next((track for track in self._waiting.values() if track.sid == sid), None)

    def handle_offer(self, text: str) -> OfferPlan:
        """Read an offer of the client; raise `SdpError` or `NegotiationError`, and then nothing has changed."""
        offer = read_peer_offer(parse_session(text), self._support)
        credentials = (offer.peer.ice_ufrag, offer.peer.ice_pwd)
        restarted = self._credentials not in {None, credentials}
        self._credentials = credentials
        sending = {media.mid: media for media in offer.media if media.direction.sends and media.incoming.codecs}
        stopping = self._stop(sending)
        starting = self._claim(sending)
        self._unclaimed = {mid: media for mid, media in sending.items() if mid not in self._sections}
        receiving = tuple(m for m in offer.media if m.mid not in sending and m.direction.receives and m.outgoing.codecs)
        answers = {mid: MediaAnswer(self._ordered(media), Direction.RECVONLY) for mid, media in sending.items()}
        return OfferPlan(offer, starting, stopping, restarted, receiving, answers)

    def withdraw(self, sid: str) -> None:
        """Forget a track, whose section may go on to send: nobody listens to it."""
        self._waiting = {cid: track for cid, track in self._waiting.items() if track.sid != sid}
        self._sections = {mid: held for mid, held in self._sections.items() if held.announced.sid != sid}

    def _stop(self, sending: dict[str, PeerMedia]) -> tuple[str, ...]:
        over = {
            mid: section
            for mid, section in self._sections.items()
            if mid not in sending or section.label not in {sending[mid].incoming.track or "", ""}
        }
        for mid in over:
            del self._sections[mid]
        return tuple(section.announced.sid for section in over.values())

    def _claim(self, sending: dict[str, PeerMedia]) -> tuple[Starting, ...]:
        """Find the announcements of sections that are new; by id, or where a browser made another id, the only one."""
        fresh = [media for mid, media in sending.items() if mid not in self._sections]
        starting = []
        nameless = []
        for media in fresh:
            cid = next((label for label in _labels(media) if label in self._waiting), None)
            if cid is not None and self._waiting[cid].kind is media.kind:
                starting.append(self._start(media, self._waiting.pop(cid)))
            else:
                nameless.append(media)
        for media in nameless:
            left = [track for track in self._waiting.values() if track.kind is media.kind]
            if len(left) == 1 and _only(nameless, media.kind):
                starting.append(self._start(media, self._waiting.pop(left[0].request.cid)))
        return tuple(starting)

    def _start(self, media: PeerMedia, announced: Announced) -> Starting:
        self._sections[media.mid] = _Section(announced, media.incoming.track or "")
        return Starting(media.mid, announced, prefer(media.incoming, announced.request))

    def _ordered(self, media: PeerMedia) -> NegotiatedMedia:
        section = self._sections.get(media.mid)
        return media.incoming if section is None else prefer(media.incoming, section.announced.request)


def prefer(media: NegotiatedMedia, request: rtc.AddTrackRequest) -> NegotiatedMedia:
    """Put first what a track is announced to be sent as, and tell an Opus sender of silence and stereo.

    Browsers send the first codec of the answer, and stereo only if the answer says so (RFC 7587 section 6.1). What is
    encrypted from end to end comes without redundancy: its frames are sealed one by one.
    """
    wanted = next((codec.codec.rpartition("/")[2] for codec in request.simulcast_codecs), "").upper()
    codecs = list(media.codecs)
    if request.disable_red or request.encryption != models.Encryption.Type.NONE:
        codecs = [codec for codec in codecs if codec.name != RED]
    elif media.kind is MediaKind.AUDIO:
        wanted = RED
    codecs.sort(key=lambda codec: codec.name != wanted)
    encodings = media.encodings
    if all(encoding.rid in RIDS for encoding in encodings):
        encodings = tuple(sorted(encodings, key=lambda encoding: RIDS.index(encoding.rid or "")))
    return replace(media, codecs=tuple(_tell_opus(codec, request) for codec in codecs), encodings=encodings)


def _tell_opus(codec: Codec, request: rtc.AddTrackRequest) -> Codec:
    if codec.name != "OPUS":
        return codec
    features = frozenset(request.audio_features)
    parameters = [pair for pair in codec.parameters if pair[0] not in {"usedtx", "stereo", "maxaveragebitrate"}]
    if not (request.disable_dtx or models.AudioTrackFeature.TF_NO_DTX in features):
        parameters.append(("usedtx", "1"))
    if request.stereo or models.AudioTrackFeature.TF_STEREO in features:
        parameters += [("stereo", "1"), ("maxaveragebitrate", str(STEREO_BITRATE))]
    return replace(codec, parameters=tuple(parameters))


def _labels(media: PeerMedia) -> tuple[str, ...]:
    return tuple(label for label in (media.incoming.track, media.incoming.stream) if label)


def _only(sections: Iterable[PeerMedia], kind: MediaKind) -> bool:
    return sum(section.kind is kind for section in sections) == 1
