"""The connection on which a client sends; with one connection for both ways, also the one on which it receives."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from roomtone.control.rooms import (
    Connection,
    Encryption,
    LayerInfo,
    Participant,
    Publication,
    Refusal,
    RoomError,
    TrackId,
    TrackOffer,
    TrackSource,
)
from roomtone.media.values import MediaKind
from roomtone.protocols import sdp
from roomtone.protocols.livekit import (
    Announced,
    AnnouncementError,
    OfferPlan,
    PublishedTracks,
    Starting,
    describe_layers,
    wanted_qualities,
)
from roomtone.servers.livekit.context import Trouble
from roomtone.servers.livekit.infos import ENCRYPTION_OF, SOURCE_OF

if TYPE_CHECKING:
    from roomtone.servers.livekit.session import Session

_REFUSALS = {
    Refusal.NOT_PERMITTED: rtc.RequestResponse.Reason.NOT_ALLOWED,
    Refusal.CODEC_NOT_ALLOWED: rtc.RequestResponse.Reason.NOT_ALLOWED,
    Refusal.TOO_MANY_TRACKS: rtc.RequestResponse.Reason.LIMIT_EXCEEDED,
    Refusal.ENGINE_BUSY: rtc.RequestResponse.Reason.LIMIT_EXCEEDED,
    Refusal.TOO_LARGE: rtc.RequestResponse.Reason.LIMIT_EXCEEDED,
    Refusal.TOO_FAST: rtc.RequestResponse.Reason.LIMIT_EXCEEDED,
    Refusal.NO_SUCH_TRACK: rtc.RequestResponse.Reason.NOT_FOUND,
    Refusal.NO_SUCH_MESSAGE: rtc.RequestResponse.Reason.NOT_FOUND,
}
_STREAMS = {
    models.TrackSource.CAMERA: "camera",
    models.TrackSource.MICROPHONE: "camera",
    models.TrackSource.SCREEN_SHARE: "screenshare",
    models.TrackSource.SCREEN_SHARE_AUDIO: "screenshare",
}


def refusal_reason(refusal: Refusal) -> rtc.RequestResponse.Reason:
    """Say in LiveKit's words why something was refused."""
    return _REFUSALS.get(refusal, rtc.RequestResponse.Reason.UNCLASSIFIED_ERROR)


class Publisher:
    """What one client publishes."""

    def __init__(self, session: Session) -> None:
        self.connection: Connection | None = None
        self._session = session
        # What the room takes is settled with the client when it connects; what is changed later is held by the room.
        self._tracks = PublishedTracks(session.context.support.only(session.participant.room.options.codecs))
        self._publications: dict[str, Publication] = {}
        self._infos: dict[str, models.TrackInfo] = {}
        self._muted: dict[str, bool] = {}
        """Of announced tracks that have not begun."""
        self._told_muted: dict[str, bool] = {}
        self._number = secrets.randbits(62)
        self._version = 0

    # --- requests ---

    async def announce(self, request: rtc.AddTrackRequest) -> None:
        """Take an announcement of a track; the client gets the track's id, or why there is none."""
        session = self._session
        permissions = session.participant.permissions
        if not permissions.may_publish(SOURCE_OF.get(request.source, TrackSource.UNKNOWN)):
            session.refuse(rtc.RequestResponse.Reason.NOT_ALLOWED, "it may not publish this", add_track=request)
            return
        sid = session.context.rooms.new_track_id()
        try:
            starting = self._tracks.announce(request, sid)
        except AnnouncementError as error:
            session.refuse(error.reason, error.message, add_track=request)
            return
        self._infos[sid] = _info_of(sid, request)
        self._muted[sid] = request.muted
        published = rtc.TrackPublishedResponse(cid=request.cid, track=self._infos[sid])
        session.send(rtc.SignalResponse(track_published=published))
        if starting is not None:
            await self._start(starting)

    async def on_offer(self, description: rtc.SessionDescription) -> None:
        """Answer an offer; raise `SdpError`, `NegotiationError` or `RoomError` when there is no answer."""
        session, rooms = self._session, self._session.context.rooms
        plan = self._tracks.handle_offer(description.sdp)
        first = self.connection is None
        connection = self.connection
        if connection is None:
            connection = await rooms.open_connection(session.participant, plan.offer.peer, listener=session.data)
            self.connection = connection
        if plan.restarted:
            peer = plan.offer.peer
            await rooms.restart_ice(connection, peer.ice_ufrag, peer.ice_pwd, peer.candidates)
        for sid in plan.stopping:
            await self._stop(sid)
        for starting in plan.starting:
            await self._start(starting)
        answers = dict(plan.answers) | await session.subscriber.on_client_offer(plan.receiving)
        if first:
            await rooms.connect(connection, plan.offer.peer)
        self._answer(connection, plan, answers, description.id)
        await session.subscriber.negotiate()

    async def mute(self, request: rtc.MuteTrackRequest) -> None:
        """Mute or unmute a track for the client."""
        publication = self._publications.get(request.sid)
        if publication is not None:
            await self._session.context.rooms.mute(publication, muted=request.muted, by_server=False)
        elif request.sid in self._muted:
            self._muted[request.sid] = request.muted
        else:
            reason = rtc.RequestResponse.Reason.NOT_FOUND
            self._session.refuse(reason, "there is no such track", mute=request)

    def update_audio(self, request: rtc.UpdateLocalAudioTrack) -> None:
        """Note other features of an audio track."""
        info = self._infos.get(request.track_sid)
        if info is None or info.type != models.TrackType.AUDIO:
            reason = rtc.RequestResponse.Reason.NOT_FOUND
            self._session.refuse(reason, "there is no such audio track", update_audio_track=request)
            return
        del info.audio_features[:]
        info.audio_features.extend(request.features)
        info.stereo = models.AudioTrackFeature.TF_STEREO in request.features
        info.disable_dtx = models.AudioTrackFeature.TF_NO_DTX in request.features
        self._tell(request.track_sid)

    def update_video(self, request: rtc.UpdateLocalVideoTrack) -> None:
        """Note another size of a video track."""
        info = self._infos.get(request.track_sid)
        if info is None or info.type != models.TrackType.VIDEO:
            reason = rtc.RequestResponse.Reason.NOT_FOUND
            self._session.refuse(reason, "there is no such video track", update_video_track=request)
            return
        info.width, info.height = request.width, request.height
        self._tell(request.track_sid)

    def update_layers(self, request: rtc.UpdateVideoLayers) -> None:
        """Note other layers of a video track (older clients)."""
        info = self._infos.get(request.track_sid)
        if info is not None:
            del info.layers[:]
            info.layers.extend(request.layers)
            self._tell(request.track_sid)

    # --- what others ask, and what happens ---

    def info_of(self, sid: str) -> models.TrackInfo | None:
        """Describe a track as it was announced."""
        return self._infos.get(sid)

    def knows(self, sid: str) -> bool:
        """Whether a track is published or announced."""
        return sid in self._infos

    def on_unpublished(self, sid: str) -> None:
        """Tell the client of a track that ended here, if it still thinks it is published."""
        if self._publications.pop(sid, None) is None:
            return
        self._forget(sid)
        unpublished = rtc.TrackUnpublishedResponse(track_sid=sid)
        self._session.send(rtc.SignalResponse(track_unpublished=unpublished))

    def on_moved(self, successor: Participant) -> None:
        """Go on with the tracks that the client publishes in another room; it is told which it no longer does."""
        for sid in tuple(self._publications):
            publication = successor.publications.get(TrackId(sid))
            if publication is None:
                self.on_unpublished(sid)
            else:
                self._publications[sid] = publication

    def on_muted(self, publication: Publication) -> None:
        """Tell the client when the server mutes one of its tracks, or no longer does."""
        told = self._told_muted.get(publication.id, False)
        if publication.server_muted != told:
            self._told_muted[publication.id] = publication.server_muted
            mute = rtc.MuteTrackRequest(sid=publication.id, muted=publication.server_muted)
            self._session.send(rtc.SignalResponse(mute=mute))

    def on_wanted(self, publication: Publication) -> None:
        """Tell the client which qualities of a track anybody wants, so that it sends no other."""
        if publication.wanted is None or publication.offer.kind is not MediaKind.VIDEO:
            return
        qualities = wanted_qualities(publication.rids, publication.wanted)
        codec = publication.mime.partition("/")[2].lower()
        update = rtc.SubscribedQualityUpdate(
            track_sid=publication.id,
            subscribed_qualities=qualities,
            subscribed_codecs=[rtc.SubscribedCodec(codec=codec, qualities=qualities)],
        )
        self._session.send(rtc.SignalResponse(subscribed_quality_update=update))

    def tell_wanted(self) -> None:
        """Tell all of that anew."""
        for publication in self._publications.values():
            self.on_wanted(publication)

    # --- steps ---

    async def _start(self, starting: Starting) -> None:
        session = self._session
        announced = starting.announced
        offer = _track_offer(announced, starting, muted=self._muted.pop(announced.sid, False))
        connection = self.connection
        if connection is None:
            return
        try:
            publication = await session.context.rooms.publish(session.participant, connection, offer)
        except RoomError as error:
            session.context.troubles[Trouble.REFUSED] += 1
            self._tracks.withdraw(announced.sid)
            self._forget(announced.sid)
            session.refuse(refusal_reason(error.refusal), error.message, add_track=announced.request)
            unpublished = rtc.TrackUnpublishedResponse(track_sid=announced.sid)
            session.send(rtc.SignalResponse(track_unpublished=unpublished))
            return
        self._publications[announced.sid] = publication
        info = self._infos[announced.sid]
        codec = models.SimulcastCodecInfo(mime_type=publication.mime, mid=starting.mid, cid=announced.request.cid)
        codec.layers.extend(describe_layers(announced.request.layers, publication.rids))
        del info.codecs[:]
        info.codecs.append(codec)
        info.simulcast = len(publication.offer.encodings) > 1
        self.on_wanted(publication)

    async def _stop(self, sid: str) -> None:
        publication = self._publications.pop(sid, None)
        self._forget(sid)
        if publication is not None:
            await self._session.context.rooms.unpublish(publication)

    def _forget(self, sid: str) -> None:
        self._tracks.withdraw(sid)
        self._infos.pop(sid, None)
        self._muted.pop(sid, None)
        self._told_muted.pop(sid, None)

    def _answer(
        self, connection: Connection, plan: OfferPlan, answers: dict[str, sdp.MediaAnswer], offer_id: int
    ) -> None:
        self._version += 1
        text = sdp.write_peer_answer(plan.offer, local_peer(connection), (self._number, self._version), answers)
        answer = rtc.SessionDescription(
            type="answer", sdp=text.serialize(), id=offer_id, mid_to_track_id=self._session.subscriber.client_mids()
        )
        self._session.send(rtc.SignalResponse(answer=answer))

    def _tell(self, sid: str) -> None:
        publication = self._publications.get(sid)
        if publication is not None:
            info = self._infos[sid]
            layers = tuple(
                LayerInfo(layer.rid or None, layer.width, layer.height, layer.bitrate) for layer in info.layers
            )
            rooms = self._session.context.rooms
            rooms.describe_layers(publication, layers) if layers != publication.layers else rooms.tell_track(
                publication
            )


def local_peer(connection: Connection) -> sdp.LocalPeer:
    """Describe our side of a connection."""
    transport = connection.transport
    return sdp.LocalPeer(transport.ice_ufrag, transport.ice_pwd, transport.fingerprints, transport.candidates)


def _track_offer(announced: Announced, starting: Starting, *, muted: bool) -> TrackOffer:
    request, media = announced.request, starting.media
    features = frozenset(request.audio_features)
    return TrackOffer(
        kind=media.kind,
        codecs=media.codecs,
        mid=media.mid,
        encodings=media.encodings,
        extensions=media.extensions,
        source=SOURCE_OF.get(request.source, TrackSource.UNKNOWN),
        name=request.name,
        muted=muted,
        id=TrackId(announced.sid),
        layers=tuple(
            LayerInfo(layer.rid or None, layer.width, layer.height, layer.bitrate) for layer in request.layers
        ),
        dtx=not (request.disable_dtx or models.AudioTrackFeature.TF_NO_DTX in features),
        stereo=request.stereo or models.AudioTrackFeature.TF_STEREO in features,
        red=any(codec.name == "RED" for codec in media.codecs),
        stream=request.stream,
        encryption=ENCRYPTION_OF.get(request.encryption, Encryption.NONE),
    )


def _info_of(sid: str, request: rtc.AddTrackRequest) -> models.TrackInfo:
    """Describe a track as its publisher announces it."""
    features = list(request.audio_features)
    if request.stereo and models.AudioTrackFeature.TF_STEREO not in features:
        features.append(models.AudioTrackFeature.TF_STEREO)
    if request.disable_dtx and models.AudioTrackFeature.TF_NO_DTX not in features:
        features.append(models.AudioTrackFeature.TF_NO_DTX)
    info = models.TrackInfo(
        sid=sid,
        type=request.type,
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        source=request.source,
        layers=request.layers,
        disable_dtx=models.AudioTrackFeature.TF_NO_DTX in features,
        stereo=models.AudioTrackFeature.TF_STEREO in features,
        disable_red=request.disable_red,
        encryption=request.encryption,
        stream=request.stream or _STREAMS.get(request.source, ""),
        audio_features=features,
    )
    if request.simulcast_codecs:
        first = request.simulcast_codecs[0]
        mime = f"{'audio' if request.type == models.TrackType.AUDIO else 'video'}/{first.codec.rpartition('/')[2]}"
        info.mime_type = mime
        info.codecs.append(models.SimulcastCodecInfo(mime_type=mime, cid=first.cid, layers=request.layers))
    else:
        info.codecs.append(models.SimulcastCodecInfo(cid=request.cid, layers=request.layers))
    return info
