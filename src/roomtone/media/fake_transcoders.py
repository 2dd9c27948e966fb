"""Commands about transcoders, as the fake engine does them."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import msgspec

from roomtone.media.fake_objects import FakeIngest, FakePackager, FakeTrackTranscoder, FakeTranscoder
from roomtone.media.fake_state import Refused
from roomtone.media.values import (
    AnyResult,
    CloseTrackTranscoder,
    CloseTranscoder,
    Done,
    ErrorCode,
    IngestTrackId,
    MediaKind,
    OpenTrackTranscoder,
    OpenTranscoder,
    TrackTranscoderOpened,
    TranscoderId,
    TranscoderOpened,
)

if TYPE_CHECKING:
    from roomtone.media.fake_state import FakeState

TranscoderCommand = OpenTranscoder | CloseTranscoder | OpenTrackTranscoder | CloseTrackTranscoder


def execute(state: FakeState, command: TranscoderCommand) -> AnyResult:
    """Do a command about a transcoder; one that is refused has no effect."""
    match command:
        case OpenTranscoder():
            return _open(state, command)
        case CloseTranscoder():
            transcoder = state.get(FakeTranscoder, command.transcoder)
            if transcoder.packager != command.packager:
                raise Refused(ErrorCode.NOT_FOUND, f"there is no transcoder {command.transcoder}")
            del state.objects[transcoder.id]
            return Done()
        case OpenTrackTranscoder():
            return _open_of_track(state, command)
        case CloseTrackTranscoder():
            of_track = state.get(FakeTrackTranscoder, command.transcoder)
            stream = state.objects.get(of_track.packager)
            if isinstance(stream, FakeIngest):
                stream.tracks.pop(of_track.made, None)
            del state.objects[of_track.id]
            return Done()
        case _:
            assert_never(command)


def _open(state: FakeState, command: OpenTranscoder) -> AnyResult:
    packager = state.objects.get(command.packager)
    if not isinstance(packager, FakePackager | FakeIngest):
        raise Refused(ErrorCode.NOT_FOUND, f"there is no packager {command.packager}")
    if command.paces and (command.keep or command.kind is not MediaKind.VIDEO):
        raise Refused(ErrorCode.INVALID, "only pictures that are not kept are made at a pace of their own")
    if isinstance(packager, FakePackager) and packager.begun:
        raise Refused(ErrorCode.WRONG_STATE, "the packager has begun")
    others = state.find(FakeTranscoder)
    if any((other.packager, other.kind) == (packager.id, command.kind) for other in others):
        raise Refused(ErrorCode.WRONG_STATE, "tracks of this kind are coded anew already")
    if any(other.path == command.path for other in others):
        raise Refused(ErrorCode.INVALID, f"{command.path} cannot be listened at")
    id_ = state.new_id()
    state.objects[id_] = FakeTranscoder(id_, packager.id, command.kind, command.path, command.keep, command.paces)
    return TranscoderOpened(transcoder=TranscoderId(id_))


def _open_of_track(state: FakeState, command: OpenTrackTranscoder) -> AnyResult:
    stream = next((held for held in state.find(FakeIngest) if command.track in held.tracks), None)
    if stream is None:
        raise Refused(ErrorCode.NOT_FOUND, f"there is no track {command.track}")
    if any(other.made == command.track for other in state.find(FakeTrackTranscoder)):
        raise Refused(ErrorCode.WRONG_STATE, "the track is made of another")
    id_, made = state.new_id(), IngestTrackId(state.new_id())
    source = stream.tracks[command.track]
    codec = "opus" if source.kind is MediaKind.AUDIO else "avc1.42e01f"
    stream.tracks[made] = msgspec.structs.replace(source, track=made, codec=codec, bar=None)
    state.objects[id_] = FakeTrackTranscoder(id_, stream.id, command.track, made, command.path)
    return TrackTranscoderOpened(transcoder=TranscoderId(id_), track=made)
