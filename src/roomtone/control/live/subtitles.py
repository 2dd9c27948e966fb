"""Lines of text that are shown with live streams: subtitles (WebVTT in the lists)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.live.values import LiveError, LiveRefusal
from roomtone.media import EngineCommandError, show_text
from roomtone.media.values import ErrorCode, ShowStreamText

if TYPE_CHECKING:
    from roomtone.media import Engine
    from roomtone.media.values import PackagerId

_REFUSALS = {
    ErrorCode.INVALID: LiveRefusal.LINE_REFUSED,
    ErrorCode.LIMIT: LiveRefusal.LINE_REFUSED,
    ErrorCode.WRONG_STATE: LiveRefusal.NOT_BEGUN,
}


@dataclass(frozen=True, slots=True)
class SubtitleLine:
    """A line of text; the values are those of `roomtone.media.values.ShowStreamText`."""

    text: str
    language: str | None = None
    delay_ms: int = 0
    duration_ms: int | None = None


async def show_line(engine: Engine, packager: PackagerId, line: SubtitleLine) -> None:
    """Have it shown; raise `LiveError` where nobody would see it, and `EngineCommandError` where the stream is gone."""
    command = ShowStreamText(
        packager=packager,
        text=line.text,
        language=line.language,
        delay_ms=line.delay_ms,
        duration_ms=line.duration_ms,
    )
    try:
        await show_text(engine, command)
    except EngineCommandError as error:
        refusal = _REFUSALS.get(error.code)
        if refusal is None:
            raise
        raise LiveError(refusal, str(error)) from error
