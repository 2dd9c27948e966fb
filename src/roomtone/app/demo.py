"""The demo room: a test publisher in a process of its own, joined by plain RTP."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import sys
from typing import TYPE_CHECKING

from roomtone.app.errors import StartError
from roomtone.app.supervisor import Supervisor, WorkerError
from roomtone.control.rooms import (
    JoinRequest,
    Participant,
    ParticipantKind,
    PlainAddress,
    RoomError,
    Rooms,
    TrackOffer,
    TrackSource,
)
from roomtone.media.values import CodecFeedback, EncodingParameters, MediaKind
from roomtone.protocols.sdp import Codec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.observe import Verdict

IDENTITY = "testcard"
VIDEO_PAYLOAD_TYPE, AUDIO_PAYLOAD_TYPE = 96, 111
NEEDS = ("av", "numpy", "PIL")
MAX_SSRC = (1 << 32) - 1


class Demo:
    """Keeps the test publisher in its room: started again when it ends, joined again when it is sent out."""

    def __init__(
        self,
        rooms: Rooms,
        room: str,
        *,
        on_restart: Callable[[], None] = lambda: None,
        command: Sequence[str] = (sys.executable, "-m", "roomtone.workers.testcard"),
    ) -> None:
        self._rooms = rooms
        self._room = room
        self._command = tuple(command)
        self._participant: Participant | None = None
        self._supervisor = Supervisor(IDENTITY, self._join, on_restart=on_restart)

    async def start(self) -> None:
        """Join and start to send; raise `StartError` when this installation cannot."""
        require_installed()
        try:
            await self._supervisor.start()
        except WorkerError as error:
            raise StartError(f"the test publisher did not start: {error}") from error

    async def close(self) -> None:
        """Stop sending and leave."""
        participant, self._participant = self._participant, None
        await self._supervisor.close()
        if participant is not None:
            await self._rooms.end(participant)

    def verdict(self) -> Verdict:
        """Whether the publisher runs."""
        return self._supervisor.verdict()

    async def _join(self) -> list[str]:
        """Join with fresh transports, which learn anew where the worker sends from."""
        video_ssrc, audio_ssrc = _two_ssrcs()
        learnt = PlainAddress()
        sources = [(_video(video_ssrc), learnt), (_audio(audio_ssrc), learnt)]
        request = JoinRequest(IDENTITY, name="Test card", kind=ParticipantKind.INGEST)
        try:
            participant, connections = await self._rooms.publish_plain(self._room, request, sources)
        except RoomError as error:
            raise WorkerError(error.message) from error
        self._participant = participant
        participant.when_closed(lambda _: self._on_closed(participant))
        video, audio = (connection.transport for connection in connections)
        return [
            *self._command,
            *("--video-to", _host_port(video.ip, video.port), "--video-ssrc", str(video_ssrc)),
            *("--video-payload-type", str(VIDEO_PAYLOAD_TYPE)),
            *("--audio-to", _host_port(audio.ip, audio.port), "--audio-ssrc", str(audio_ssrc)),
            *("--audio-payload-type", str(AUDIO_PAYLOAD_TYPE)),
            *("--cname", IDENTITY),
        ]

    def _on_closed(self, participant: Participant) -> None:
        if participant is self._participant:
            asyncio.get_running_loop().call_soon(self._supervisor.restart)


def require_installed() -> None:
    """Raise `StartError` where a test card cannot be made."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise StartError(f"--demo needs {', '.join(missing)}: install roomtone[testcard]")


def _two_ssrcs() -> tuple[int, int]:
    first = 1 + secrets.randbelow(MAX_SSRC - 1)
    return first, first + 1


def _host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _video(ssrc: int) -> TrackOffer:
    codec = Codec(
        kind=MediaKind.VIDEO,
        payload_type=VIDEO_PAYLOAD_TYPE,
        name="VP8",
        clock_rate=90_000,
        feedback=CodecFeedback(pli=True, fir=True),
    )
    return TrackOffer(
        MediaKind.VIDEO,
        (codec,),
        encodings=(EncodingParameters(ssrc=ssrc),),
        source=TrackSource.CAMERA,
        name="test picture",
    )


def _audio(ssrc: int) -> TrackOffer:
    codec = Codec(kind=MediaKind.AUDIO, payload_type=AUDIO_PAYLOAD_TYPE, name="OPUS", clock_rate=48_000, channels=2)
    return TrackOffer(
        MediaKind.AUDIO,
        (codec,),
        encodings=(EncodingParameters(ssrc=ssrc),),
        source=TrackSource.MICROPHONE,
        name="test tone",
    )
