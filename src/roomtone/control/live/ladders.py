"""Ladders: at which sizes and rates a live stream is made anew. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from roomtone.media.values import MediaKind

if TYPE_CHECKING:
    from collections.abc import Callable

ROOM_KEYFRAME_S = 4.0
"""Between keyframes for rooms, where nobody asks for one."""
SOURCE = "source"
"""The ladder without rungs: what is published, as it is."""


class SoundCodec(StrEnum):
    """What sound is coded anew to, beside what is published."""

    NONE = "none"
    AAC = "aac"
    OPUS = "opus"


class RoomMaking(StrEnum):
    """When tracks of encoders that WebRTC does not carry are made anew for their rooms."""

    OFF = "off"
    DEMAND = "demand"
    """While somebody wants them, and a little longer."""
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Rung:
    """A size: ``lines`` of the shorter side; ``bps`` 0: by the size; ``fps`` 0: as the source."""

    lines: int
    bps: int = 0
    fps: int = 0
    codec: str = "h264"
    """``h264``, ``hevc`` or ``av1``."""


PRESETS: dict[str, tuple[Rung, ...]] = {
    SOURCE: (),
    "ladder-720": (Rung(720, 2_800_000), Rung(480, 1_200_000), Rung(360, 700_000)),
    "ladder-1080": (Rung(1080, 5_000_000), Rung(720, 2_800_000), Rung(480, 1_200_000), Rung(360, 700_000)),
}


@dataclass(frozen=True, slots=True)
class TranscodeRules:
    """How streams are made anew; see `roomtone.config.LiveSettings`."""

    rungs: tuple[Rung, ...] = ()
    rooms: bool = False
    """Rooms whose video lists cannot have go live too."""
    sound: SoundCodec = SoundCodec.NONE
    encoders: tuple[str, ...] = ("libx264",)
    hevc_encoders: tuple[str, ...] = ("libx265",)
    av1_encoders: tuple[str, ...] = ("libsvtav1",)
    preset: str = "veryfast"
    measure: bool = False
    making: RoomMaking = RoomMaking.OFF
    room_lines: int = 1080
    """The most that pictures made for rooms have, of the shorter side."""
    program_size: tuple[int, int] = (1280, 720)
    """Of pictures of rooms that are live as one program."""
    program_fps: int = 25
    slate_of: Callable[[str], str] = lambda _name: ""
    """What is shown of a name while nobody sends; nothing for a card of our own."""

    @property
    def wanted(self) -> bool:
        """Whether there is anything that needs a process."""
        makes = self.making is not RoomMaking.OFF
        return bool(self.rungs) or self.rooms or self.sound is not SoundCodec.NONE or makes

    def video_plan(self, *, keeps_source: bool) -> dict[str, Any]:
        """Give the plan of a process that makes pictures."""
        return {
            "rungs": [asdict(rung) for rung in self.rungs],
            "keeps_source": keeps_source,
            "encoders": list(self.encoders),
            "hevc_encoders": list(self.hevc_encoders),
            "av1_encoders": list(self.av1_encoders),
            "preset": self.preset,
            "measure": self.measure,
        }

    def program_plan(self, name: str) -> dict[str, Any]:
        """Give the plan of a process that makes one program of whoever a room shows."""
        slate = {"slate": shown} if (shown := self.slate_of(name)) else {}
        own = {"canvas": list(self.program_size), "fps": self.program_fps, "measure": False}
        return self.video_plan(keeps_source=False) | own | slate

    def sound_plan(self) -> dict[str, Any]:
        """Give the plan of a process that makes sound."""
        return {"sound": self.sound.value}

    def room_plan(self, kind: MediaKind) -> dict[str, Any]:
        """Give the plan of a process that makes what WebRTC carries: a profile that all clients have, or Opus."""
        if kind is MediaKind.AUDIO:
            return {"sound": SoundCodec.OPUS.value}
        largest = asdict(Rung(self.room_lines))
        apart = {"rungs": [largest], "profile": "baseline", "keyframe_s": ROOM_KEYFRAME_S, "measure": False}
        return self.video_plan(keeps_source=False) | apart


def rungs_of(name: str, own: dict[str, tuple[Rung, ...]]) -> tuple[Rung, ...]:
    """Give the rungs of a ladder by its name, one's own before the presets; raise `LookupError`."""
    if name in own:
        return own[name]
    if name not in PRESETS:
        raise LookupError(f"there is no ladder {name!r}: give one of {', '.join([*PRESETS, *own])}")
    return PRESETS[name]
