"""What an offer in the middle of a call means for the other side: whether it has to be asked, and for what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.control.calls.media.bridge import may_send, passes
from roomtone.control.calls.media.conversion import convertible, with_convertible
from roomtone.control.calls.media.streams import Proposal, Wanted
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.telephony_codecs import is_speech, shared_codecs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.calls.media.streams import LegMedia
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.telephony import PhoneDescription

_DYNAMIC = range(96, 128)


def asked_first(near: LegMedia, phone: PhoneDescription, far: LegMedia) -> Proposal | None:
    """Give what the other side has to be asked before an offer can be answered; None: nothing.

    That is pictures where there were none, and a codec that the other side does not speak and nobody can convert.
    """
    pictures = _added_pictures(near, phone, far)
    sound = _foreign_sound(phone, far)
    return None if pictures is None and not sound else Proposal(sound, pictures)


def told_afterwards(before: Sequence[Codec], near: LegMedia, far: LegMedia) -> Proposal | None:
    """Give what the other side is to be offered once a change has been answered; ``before`` is what was taken.

    That is the end of pictures, and a codec by which sound would pass as it is instead of being converted.
    """
    ends = MediaKind.VIDEO in far.streams and MediaKind.VIDEO not in near.streams
    first, second = near.streams[MediaKind.AUDIO], far.streams[MediaKind.AUDIO]
    is_changed = bool(before) and speech_of(before) != speech_of(first.takes)
    sound: tuple[Codec, ...] = ()
    if is_changed and not passes(first, second):
        sound = _as_numbered(first.takes, second.ours, second.takes)
    return Proposal(sound, ends_pictures=ends) if ends or sound else None


def speech_of(codecs: Sequence[Codec]) -> frozenset[tuple[str, int, int]]:
    """Name the codecs of speech in a list."""
    return frozenset((one.name, one.clock_rate, one.channels) for one in codecs if is_speech(one))


def _added_pictures(near: LegMedia, phone: PhoneDescription, far: LegMedia) -> Wanted | None:
    if MediaKind.VIDEO in near.streams or MediaKind.VIDEO in far.streams or far.refuses_pictures:
        return None
    media = near.pictures_in(phone)
    if media is None:
        return None
    return Wanted(MediaKind.VIDEO, media.codecs, feedback=media.protocol.endswith("F"))


def _foreign_sound(phone: PhoneDescription, far: LegMedia) -> tuple[Codec, ...]:
    """Give the codecs of an offer where none of them meets what the other side speaks, as it is or converted."""
    stream = far.streams[MediaKind.AUDIO]
    audio = next((one for one in phone.media if one.kind is MediaKind.AUDIO and one.is_usable), None)
    spoken = may_send(stream)
    if audio is None or not spoken or shared_codecs(spoken[:1], audio.codecs):
        return ()
    if convertible(spoken) and convertible(audio.codecs):
        return ()
    return _as_numbered(audio.codecs, stream.ours, stream.takes)


def _as_numbered(codecs: Sequence[Codec], *known: Sequence[Codec]) -> tuple[Codec, ...]:
    """Give codecs, and what they can be converted to, under the numbers that a session has for them already.

    A number does not change its meaning while a session lasts (RFC 3264 section 8.3.2).
    """
    names = {one.payload_type: _form(one) for listed in known for one in listed}
    numbers = {form: number for number, form in reversed(names.items())}
    found: list[Codec] = []
    for codec in with_convertible(tuple(codecs)):
        number = numbers.get(_form(codec), codec.payload_type)
        taken = {one.payload_type for one in found}
        if number in taken or names.get(number, _form(codec)) != _form(codec):
            number = next((free for free in _DYNAMIC if free not in taken and free not in names), -1)
        if number >= 0:
            found.append(replace(codec, payload_type=number))
    return tuple(found)


def _form(codec: Codec) -> tuple[str, int, int]:
    return codec.name, codec.clock_rate, codec.channels
