"""Commands about transcoders, as the fake engine does them."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from roomtone.media.fake_objects import FakeIngest, FakePackager, FakeTranscoder
from roomtone.media.fake_state import Refused
from roomtone.media.values import (
    AnyResult,
    CloseTranscoder,
    Done,
    ErrorCode,
    OpenTranscoder,
    TranscoderId,
    TranscoderOpened,
)

if TYPE_CHECKING:
    from roomtone.media.fake_state import FakeState

TranscoderCommand = OpenTranscoder | CloseTranscoder


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
        case _:
            assert_never(command)


def _open(state: FakeState, command: OpenTranscoder) -> AnyResult:
    packager = state.objects.get(command.packager)
    if not isinstance(packager, FakePackager | FakeIngest):
        raise Refused(ErrorCode.NOT_FOUND, f"there is no packager {command.packager}")
    if isinstance(packager, FakePackager) and packager.begun:
        raise Refused(ErrorCode.WRONG_STATE, "the packager has begun")
    others = state.find(FakeTranscoder)
    if any((other.packager, other.kind) == (packager.id, command.kind) for other in others):
        raise Refused(ErrorCode.WRONG_STATE, "tracks of this kind are coded anew already")
    if any(other.path == command.path for other in others):
        raise Refused(ErrorCode.INVALID, f"{command.path} cannot be listened at")
    id_ = state.new_id()
    state.objects[id_] = FakeTranscoder(id_, packager.id, command.kind, command.path, command.keep)
    return TranscoderOpened(transcoder=TranscoderId(id_))
