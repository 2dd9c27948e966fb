"""Commands about packagers, as the fake engine does them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from roomtone.media.fake_objects import (
    FakeIngest,
    FakePackager,
    FakePackagerTrack,
    FakeProducer,
    FakeRouter,
    FakeTranscoder,
)
from roomtone.media.fake_state import Refused
from roomtone.media.values import (
    AddPackagerTrack,
    AnyResult,
    ClosePackager,
    CodecParameters,
    Done,
    EncryptionMethod,
    EngineCloseReason,
    ErrorCode,
    GetStreamPressure,
    GetStreamSync,
    MediaKind,
    OpenPackager,
    PackagerId,
    PackagerOpened,
    PackagerTrackAdded,
    PackagerTrackId,
    RemovePackagerTrack,
    SetStreamEncryption,
    SetStreamSync,
    ShowStreamText,
    Stats,
    SwitchPackagerTrack,
)

if TYPE_CHECKING:
    from roomtone.media.engine import Report
    from roomtone.media.fake_state import FakeState
    from roomtone.media.values import LiveEncryption

PackagerCommand = (
    OpenPackager
    | AddPackagerTrack
    | RemovePackagerTrack
    | ClosePackager
    | SwitchPackagerTrack
    | SetStreamEncryption
    | SetStreamSync
    | ShowStreamText
    | GetStreamSync
    | GetStreamPressure
)

_MAX_NAME = 256
_MAX_TRACKS = 8
_SECRET_BYTES = 32
_MAX_WINDOW_MS = 24 * 3_600_000
_PART_MS = range(100, 2_001)
_OFFSET_MS = range(-500, 1_001)
_DELAY_MS = range(-10_000, 30_001)
_DURATION_MS = range(100, 60_001)
_TEXT_BYTES = 4_096
_LANGUAGES = 8
_LANGUAGE = re.compile(r"(?=.{1,35}$)[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")
_CARRIED = {("H264", 90_000), ("H265", 90_000), ("AV1", 90_000), ("OPUS", 48_000)}
_REPAIR = {"RTX", "RED", "ULPFEC", "FLEXFEC", "FLEXFEC-03"}


def execute(state: FakeState, command: PackagerCommand) -> AnyResult:
    """Do a command about a packager; one that is refused has no effect."""
    result: AnyResult
    match command:
        case OpenPackager():
            result = _open(state, command)
        case AddPackagerTrack():
            result = _add_track(state, state.get(FakePackager, command.packager), command.producer)
        case RemovePackagerTrack():
            result = _remove_track(state, command)
        case SwitchPackagerTrack():
            result = _switch_track(state, command)
        case ClosePackager():
            state.drop_packager(state.get(FakePackager, command.packager), EngineCloseReason.REQUESTED)
            result = Done()
        case SetStreamSync() | SetStreamEncryption():
            result = _set(state, command)
        case ShowStreamText():
            result = _show_text(state, command)
        case GetStreamSync():
            result = _sync_of(state, command)
        case GetStreamPressure():
            result = _pressure_of(state, command)
        case _:
            assert_never(command)
    return result


def _remove_track(state: FakeState, command: RemovePackagerTrack) -> AnyResult:
    packager = state.get(FakePackager, command.packager)
    if command.track not in packager.tracks:
        raise Refused(ErrorCode.NOT_FOUND, f"no track {command.track}")
    if packager.begun:
        packager.tracks[command.track].producer = None
    else:
        del packager.tracks[command.track]
    return Done()


def _stream(state: FakeState, packager: int) -> FakePackager | FakeIngest:
    held = state.objects.get(packager)
    if not isinstance(held, FakePackager | FakeIngest):
        raise Refused(ErrorCode.NOT_FOUND, f"there is no packager {packager}")
    return held


def _set(state: FakeState, command: SetStreamSync | SetStreamEncryption) -> AnyResult:
    return _set_sync(state, command) if isinstance(command, SetStreamSync) else _set_encryption(state, command)


def _set_encryption(state: FakeState, command: SetStreamEncryption) -> AnyResult:
    wanted = command.encryption
    check_encryption(wanted)
    held = _stream(state, command.packager)
    codecs = [track.codec for track in held.tracks.values()] if isinstance(held, FakeIngest) else []
    by_samples = wanted is not None and wanted.method is EncryptionMethod.SAMPLE_AES
    if by_samples and any(codec.startswith("av01") for codec in codecs):
        raise Refused(ErrorCode.UNSUPPORTED, "AV1 is not encrypted by SAMPLE-AES here: choose AES-128")
    held.encryption = wanted
    return Done()


def _set_sync(state: FakeState, command: SetStreamSync) -> AnyResult:
    if command.audio_offset_ms not in _OFFSET_MS:
        raise Refused(ErrorCode.INVALID, "audio_offset_ms is -500 to 1000")
    held = _stream(state, command.packager)
    held.audio_offset_ms = command.audio_offset_ms
    if isinstance(held, FakeIngest):
        held.shifted = list(command.tracks)
    return Done()


def _show_text(state: FakeState, command: ShowStreamText) -> AnyResult:
    held = _stream(state, command.packager)
    if command.delay_ms not in _DELAY_MS:
        raise Refused(ErrorCode.INVALID, "delay_ms is -10000 to 30000")
    if command.duration_ms is not None and command.duration_ms not in _DURATION_MS:
        raise Refused(ErrorCode.INVALID, "duration_ms is 100 to 60000")
    if command.language is not None and not _LANGUAGE.fullmatch(command.language):
        raise Refused(ErrorCode.INVALID, "language is a tag of BCP 47: en, pt-BR")
    if isinstance(held, FakePackager) and not held.begun:
        raise Refused(ErrorCode.WRONG_STATE, "the stream has not begun")
    if len(command.text.encode()) > _TEXT_BYTES:
        raise Refused(ErrorCode.INVALID, "text is up to 4096 bytes")
    if len({line.language for line in held.said} | {command.language}) > _LANGUAGES:
        raise Refused(ErrorCode.LIMIT, "a stream has up to 8 languages")
    held.said.append(command)
    return Done()


def _sync_of(state: FakeState, command: GetStreamSync) -> AnyResult:
    """All lies as it is said to: pictures where their clock says, sound where it was shifted to."""
    shift = float(_stream(state, command.packager).audio_offset_ms)
    timeline: Report = {"type": "packager-timeline", "raised": 0, "refusedReports": 0, "discontinuities": 0}
    known: Report = {"type": "packager-alignment", "sharedClock": True, "clockTied": True, "errorMs": 0.0}
    unknown: Report = {"driftPpm": None, "driftOverS": None}
    video: Report = {"name": "video", "video": True, "lateMs": 20.0, "shiftMs": 0.0}
    audio: Report = {"name": "audio", "video": False, "lateMs": 30.0, "shiftMs": shift}
    return Stats(reports=[timeline, known | unknown | video, known | unknown | audio])


def _pressure_of(state: FakeState, command: GetStreamPressure) -> AnyResult:
    """All queues are empty but that of one track, which is half full, and as many as are made for who watches."""
    held = _stream(state, command.packager)
    dropped: Report = {"unitsDropped": 0, "groupsDropped": 0}
    none: Report = {"bytes": 0, "bytesLimit": None, "units": 0, "unitsLimit": None, "level": "normal"}
    common: Report = {"type": "packager-queue", "slowsSource": False}
    queue = common | none | dropped
    half: Report = {"level": "elevated", "units": 2_048, "unitsLimit": 4_096, "bytes": 90_000}
    reports: list[Report] = [
        queue | half | {"name": "track-1", "kind": "track"},
        queue | {"name": "memory", "kind": "memory", "bytes": 1_000, "bytesLimit": 64_000},
    ]
    if isinstance(held, FakeIngest):
        reports.insert(0, queue | {"name": "way_in", "kind": "way_in", "bytesLimit": 8 << 20, "slowsSource": True})
    reports += [queue | {"name": f"making-{track}", "kind": "making"} for track in command.tracks]
    total: Report = {"type": "live-memory", "level": "normal", "bytes": 1_000, "bytesLimit": 1 << 30}
    return Stats(reports=[*reports, total])


def _open(state: FakeState, command: OpenPackager) -> AnyResult:
    name = command.name
    if not 1 <= len(name.encode()) <= _MAX_NAME:
        raise Refused(ErrorCode.INVALID, f"name has 1 to {_MAX_NAME} bytes")
    if name in {".", ".."} or "/" in name or any(ord(letter) < ord(" ") for letter in name):
        raise Refused(
            ErrorCode.INVALID, "name is one step of a path: neither . nor .., without / and control characters"
        )
    if command.window_ms > _MAX_WINDOW_MS:
        raise Refused(ErrorCode.INVALID, "window_ms is above 24 hours")
    if command.part_ms is not None and command.part_ms not in _PART_MS:
        raise Refused(ErrorCode.INVALID, "part_ms is 100 to 2000")
    check_encryption(command.encryption)
    router = state.get(FakeRouter, command.router)
    if any(packager.name == name for packager in state.find(FakePackager)):
        raise Refused(ErrorCode.WRONG_STATE, f"another packager is called {name}")
    packager = FakePackager(state.new_id(), router.id, name, command.window_ms, command.part_ms)
    packager.encryption = command.encryption
    state.objects[packager.id] = packager
    return PackagerOpened(packager=PackagerId(packager.id))


def check_encryption(encryption: LiveEncryption | None) -> None:
    """Refuse a secret of another length, as the engine does."""
    if encryption is not None and len(encryption.secret) != _SECRET_BYTES:
        raise Refused(ErrorCode.INVALID, "encryption.secret has 32 bytes")


def _add_track(state: FakeState, packager: FakePackager, producer: int) -> AnyResult:
    source = state.get(FakeProducer, producer)
    _check_carried(state, packager, producer, source)
    free = [
        id_
        for id_, track in packager.tracks.items()
        if track.kind is source.kind and track.producer not in state.objects
    ]
    if free:
        packager.tracks[free[0]].producer = producer
        return PackagerTrackAdded(track=PackagerTrackId(free[0]))
    if len(packager.tracks) >= _MAX_TRACKS:
        raise Refused(ErrorCode.LIMIT, f"{_MAX_TRACKS} tracks are on this packager")
    if packager.begun and not _may_come_late(state, packager, source.kind):
        raise Refused(
            ErrorCode.WRONG_STATE,
            f"the packager has begun and none of its tracks waits for {source.kind.value}: take one off first, "
            "or open another packager",
        )
    track = PackagerTrackId(state.new_id())
    packager.tracks[track] = FakePackagerTrack(_free_name(packager, source.kind), source.kind, producer)
    return PackagerTrackAdded(track=track)


def _may_come_late(state: FakeState, packager: FakePackager, kind: MediaKind) -> bool:
    """Say whether a source of this kind may come after the beginning, since nothing of it is listed."""
    jobs = [held for held in state.find(FakeTranscoder) if (held.packager, held.kind) == (packager.id, kind)]
    return any(job.paces for job in jobs)


def _decodable(state: FakeState, packager: FakePackager, kind: MediaKind) -> set[tuple[str, int]]:
    """Give what only lists cannot have, where the track is coded anew and in no list itself."""
    jobs = [held for held in state.find(FakeTranscoder) if (held.packager, held.kind) == (packager.id, kind)]
    return {("VP8", 90_000)} if any(not job.keep for job in jobs) else set()


def _free_name(packager: FakePackager, kind: MediaKind) -> str:
    taken = {track.name for track in packager.tracks.values()}
    names = (kind.value if number == 1 else f"{kind.value}{number}" for number in range(1, _MAX_TRACKS + 2))
    return next(name for name in names if name not in taken)


def _switch_track(state: FakeState, command: SwitchPackagerTrack) -> AnyResult:
    """Go on with another producer at once: nothing is shown here that it would have to wait for."""
    packager = state.get(FakePackager, command.packager)
    track = packager.tracks.get(command.track)
    if track is None:
        raise Refused(ErrorCode.NOT_FOUND, f"no track {command.track}")
    source = state.get(FakeProducer, command.producer)
    if source.kind is not track.kind:
        raise Refused(ErrorCode.INVALID, "a track goes on with what is of its kind")
    if not packager.begun:
        raise Refused(ErrorCode.WRONG_STATE, "the packager has not begun: take the track off and add the other")
    _check_carried(state, packager, command.producer, source)
    track.producer = command.producer
    return PackagerTrackAdded(track=command.track)


def _check_carried(state: FakeState, packager: FakePackager, producer: int, source: FakeProducer) -> None:
    state.check_source(producer, packager.router, source.kind)
    carried = _CARRIED | _decodable(state, packager, source.kind)
    if not any((codec.name.upper(), codec.clock_rate) in carried for codec in source.codecs):
        raise Refused(ErrorCode.UNSUPPORTED, _cannot_carry(source.codecs, source.kind))


def _cannot_carry(codecs: list[CodecParameters], kind: MediaKind) -> str:
    names = ", ".join(codec.name for codec in codecs if codec.name.upper() not in _REPAIR)
    needed = "H264" if kind is MediaKind.VIDEO else "opus"
    return f"HLS does not carry {names}: it would have to be transcoded to {needed} first"
