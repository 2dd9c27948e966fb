"""Codecs by their names, for who offers fewer than all; and the one that is spoken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.protocols.sdp.telephony_codecs import default_audio, first_choice, is_speech, shared_codecs
from roomtone.sip.errors import SipCode, UseError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.control.calls.media.streams import Stream
    from roomtone.protocols.sdp import Codec


def audio_codecs(names: Iterable[str]) -> tuple[Codec, ...]:
    """Give codecs in this order (``opus``, ``g722``, ``pcmu``, ``pcma``), and telephone events of their clocks.

    Raises `UseError` for a name that is none of these; nothing is all of them.
    """
    known = {codec.name: codec for codec in default_audio() if is_speech(codec)}
    wanted = [name.upper() for name in names]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UseError(SipCode.BAD_INPUT, f"no codec of speech: {', '.join(unknown)}; there are {', '.join(known)}")
    if not wanted:
        return default_audio()
    speech = tuple(known[name] for name in wanted)
    rates = {codec.clock_rate for codec in speech}
    return speech + tuple(one for one in default_audio() if not is_speech(one) and one.clock_rate in rates)


def narrow(stream: Stream) -> None:
    """Take the first codec that both sides have as the one spoken: a bridge passes it where the other speaks it too."""
    if stream.remote is not None:
        shared = first_choice([pair.theirs for pair in shared_codecs(stream.ours, stream.takes)])
        stream.remote = replace(stream.remote, codecs=shared)


def spoken_codec(stream: Stream) -> Codec | None:
    """Give the codec that is spoken, as the peer describes it."""
    return next((pair.theirs for pair in shared_codecs(stream.ours, stream.takes) if is_speech(pair.ours)), None)
