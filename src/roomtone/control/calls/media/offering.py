"""Offers and answers of a call: what one leg is told follows from what the other has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.bridge import may_send, passes
from roomtone.control.calls.media.conversion import convertible, with_convertible
from roomtone.control.calls.media.streams import Wanted
from roomtone.control.calls.reasons import CallEnd
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp import NegotiationError, SdpError
from roomtone.protocols.sdp.telephony_codecs import (
    EVENTS,
    decoded_audio,
    default_audio,
    first_choice,
    is_speech,
    shared_codecs,
)
from roomtone.protocols.sdp.telephony_text import read_phone_text

if TYPE_CHECKING:
    from roomtone.control.calls.media.streams import LegMedia
    from roomtone.media import Together
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.telephony import PhoneDescription


def read_sdp(text: str) -> PhoneDescription:
    """Read a peer's description; raise `CallError`."""
    try:
        return read_phone_text(text)
    except SdpError as error:
        raise CallError(CallEnd.BAD_REQUEST, str(error)) from error
    except NegotiationError as error:
        raise CallError(CallEnd.MEDIA_INCOMPATIBLE, error.message) from error


async def take_first_offer(media: LegMedia, phone: PhoneDescription, together: Together | None = None) -> None:
    """Open what a caller offers, ``together`` with other things; raise `CallError`."""
    try:
        await media.take_offer(phone, together)
    except NegotiationError as error:
        raise CallError(CallEnd.MEDIA_INCOMPATIBLE, error.message) from error


def wanted_like(caller: LegMedia) -> list[Wanted]:
    """Give what to offer a callee: what the caller has first, so that it passes as it is; then what it can become."""
    return [
        Wanted(
            kind,
            with_convertible(stream.takes) if kind is MediaKind.AUDIO else stream.takes,
            ptime_ms=None if stream.remote is None else stream.remote.ptime_ms,
            max_ptime_ms=None if stream.remote is None else stream.remote.max_ptime_ms,
            feedback=kind is MediaKind.VIDEO and stream.protocol.endswith("F"),
        )
        for kind, stream in caller.streams.items()
    ]


def wanted_by_nobody() -> list[Wanted]:
    """Give what to offer a callee when the caller wants an offer itself."""
    return [Wanted(MediaKind.AUDIO, default_audio())]


def wanted_of(callee: LegMedia) -> list[Wanted]:
    """Give what to offer such a caller: the callee's first codec alone, since nothing would be converted."""
    stream = callee.streams[MediaKind.AUDIO]
    common = [pair.ours for pair in shared_codecs(stream.ours, stream.takes)]
    remote = stream.remote
    return [Wanted(MediaKind.AUDIO, first_choice(common), None if remote is None else remote.ptime_ms)]


async def answer_like(caller: LegMedia, phone: PhoneDescription, callee: LegMedia) -> str:
    """Write the answer for a caller out of the callee's, once that has been taken; raise `CallError`."""
    for kind in tuple(caller.streams):
        far = callee.streams.get(kind)
        codecs = () if far is None else caller.agree(kind, far.takes)
        if not codecs and far is not None and kind is MediaKind.AUDIO and convertible(far.takes):
            codecs = first_choice(caller.agree(kind, decoded_audio()))
        if codecs and far is not None:
            stream = caller.streams[kind]
            stream.ours = _with_keys(codecs, caller) if kind is MediaKind.AUDIO else codecs
            stream.ptime_ms = None if far.remote is None else far.remote.ptime_ms
        elif kind is MediaKind.AUDIO:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "no codec in common")
        else:
            await caller.drop(kind)
    return caller.answer(phone)


def _with_keys(codecs: tuple[Codec, ...], caller: LegMedia) -> tuple[Codec, ...]:
    """Add the events a caller offers where the callee takes none: its keys are translated."""
    rates = {codec.clock_rate for codec in codecs if is_speech(codec)}
    if not convertible(codecs) or any(codec.name == EVENTS for codec in codecs):
        return codecs
    offered = caller.agree(MediaKind.AUDIO, default_audio())
    return (*codecs, *(codec for codec in offered if codec.name == EVENTS and codec.clock_rate in rates))


async def answer_again(near: LegMedia, text: str, far: LegMedia | None) -> str:
    """Take an offer in the middle of a call and write its answer; raise `CallError`, and then nothing has changed.

    The far side goes on as it does: an offer without the codec it speaks is refused, unless it can be converted. So it
    is without a far side, or with several.
    """
    phone = read_sdp(text)
    audio = next((one for one in phone.media if one.kind is MediaKind.AUDIO and one.is_usable), None)
    spoken = may_send(near.streams[MediaKind.AUDIO] if far is None else far.streams[MediaKind.AUDIO])
    offered = () if audio is None else audio.codecs
    may_convert = convertible(spoken) and convertible(offered)
    if audio is not None and spoken and not may_convert and not shared_codecs(spoken[:1], offered):
        raise CallError(CallEnd.MEDIA_INCOMPATIBLE, f"the other side speaks {spoken[0].name}")
    await near.take_reoffer(phone, pictures=far is not None and MediaKind.VIDEO in far.streams)
    return await answer_like(near, phone, far) if far is not None else await answer_alone(near, phone)


async def answer_alone(near: LegMedia, phone: PhoneDescription) -> str:
    """Write the answer for a leg whose other side is a mix, or is not there yet; raise `CallError`."""
    stream = near.streams[MediaKind.AUDIO]
    codecs = first_choice(near.agree(MediaKind.AUDIO, decoded_audio())) or first_choice(
        near.agree(MediaKind.AUDIO, stream.ours)
    )
    if not codecs:
        raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "no codec in common")
    stream.ours = codecs
    await near.drop(MediaKind.VIDEO)
    return near.answer(phone)


def can_be_answered(near: LegMedia) -> bool:
    """Whether what a caller has offered holds a codec that a mixer has."""
    return MediaKind.AUDIO in near.streams and bool(first_choice(near.agree(MediaKind.AUDIO, default_audio())))


def read_answer(text: str) -> PhoneDescription:
    """Read the answer to an offer of ours, or none; raise `CallError`."""
    if not text:
        raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "answered without a description")
    return read_sdp(text)


def check_talk(one: LegMedia, other: LegMedia) -> None:
    """Raise `CallError` unless the sound of two legs can pass between them, as it is or converted."""
    first, second = one.streams.get(MediaKind.AUDIO), other.streams.get(MediaKind.AUDIO)
    if first is not None and second is not None:
        may_convert = convertible(may_send(first)) and convertible(may_send(second))
        if may_convert or passes(first, second):
            return
    raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "no codec that both sides have or that can be converted")


def keys_number(ours: tuple[Codec, ...], theirs: tuple[Codec, ...], spoken: Codec) -> int | None:
    """Give the payload type of telephone events beside what is spoken, as the peer takes them; None: it takes none."""
    events = (pair for pair in shared_codecs(ours, theirs) if pair.ours.name == EVENTS)
    return next((pair.theirs.payload_type for pair in events if pair.ours.clock_rate == spoken.clock_rate), None)


def spoken_codec(ours: tuple[Codec, ...], theirs: tuple[Codec, ...]) -> Codec | None:
    """Give the codec that is spoken, as the peer describes it."""
    return next((pair.theirs for pair in shared_codecs(ours, theirs) if is_speech(pair.ours)), None)


def check_still_spoken(ours: tuple[Codec, ...], phone: PhoneDescription) -> None:
    """Refuse an offer without the codec that the seat was made for."""
    audio = next((one for one in phone.media if one.kind is MediaKind.AUDIO and one.is_usable), None)
    if audio is None or spoken_codec(ours, audio.codecs) is None:
        raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "the room speaks another codec here")
