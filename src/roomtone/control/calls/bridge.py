"""What joins the media of two legs: each one's producers feed the other's consumers, as they are or converted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.calls.conversion import convert, spoken
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.telephony_codecs import is_speech, shared_codecs

if TYPE_CHECKING:
    from roomtone.control.calls.conversion import Conversion
    from roomtone.control.calls.streams import LegMedia, Stream
    from roomtone.media import Producer, Router
    from roomtone.protocols.sdp import Codec


async def join(router: Router, one: LegMedia, other: LegMedia, converting: Conversion | None) -> Conversion | None:
    """Join two legs, or bring them in step again after either has changed; each stream flows as both sides allow.

    Sound passes as it is where both have a codec, and is converted otherwise; gives the conversion, if there is one.
    """
    for kind in MediaKind:
        first, second = one.streams.get(kind), other.streams.get(kind)
        if first is None or second is None:
            continue
        await _produce_both(first, second)
        if kind is MediaKind.AUDIO and not _passes(first, second):
            converting = await convert(router, first, second, converting)
            if converting is not None:
                await _feed(first, second, converting.first.given, converting.first.mapped)
                await _feed(second, first, converting.second.given, converting.second.mapped)
            continue
        await _feed_both(first, second)
        if kind is MediaKind.AUDIO and converting is not None:
            await converting.mixer.close()
            converting = None
    return converting


def _passes(first: Stream, second: Stream) -> bool:
    """Whether two streams have a codec of speech in common."""
    return any(pair.is_speech for pair in shared_codecs(first.takes, second.takes))


def codec_of(one: LegMedia, other: LegMedia) -> str:
    """Name the codec that two legs speak, such as ``PCMU/8000``; both where they differ."""
    first, second = one.streams.get(MediaKind.AUDIO), other.streams.get(MediaKind.AUDIO)
    if first is None or second is None:
        return ""
    pairs = [pair.ours for pair in shared_codecs(first.takes, second.takes) if pair.is_speech]
    if pairs:
        return f"{pairs[0].name}/{pairs[0].clock_rate}"
    return " to ".join(f"{codec.name}/{codec.clock_rate}" for codec in (spoken(first), spoken(second)) if codec)


def may_send(stream: Stream) -> list[Codec]:
    """Give what the peer of a stream may send (RFC 3264 section 6.1): codecs of ours that it has too."""
    return [pair.ours for pair in shared_codecs(stream.ours, stream.takes) if is_speech(pair.ours)]


def hears(stream: Stream) -> tuple[Codec, ...]:
    """Give what is taken from a peer: our numbers, and its own where they are free, which some send by mistake."""
    numbers = {codec.payload_type for codec in stream.ours}
    pairs = shared_codecs(stream.ours, stream.takes)
    extra = [pair.theirs for pair in pairs if pair.theirs.payload_type not in numbers]
    return (*stream.ours, *extra)


def maps(source: Stream, sink: Stream) -> tuple[tuple[int, int], ...]:
    """Map the payload types of a source to those that a sink's peer takes."""
    mapped = {pair.ours.payload_type: pair.theirs.payload_type for pair in shared_codecs(source.ours, sink.takes)}
    for pair in shared_codecs(source.ours, source.takes):
        target = mapped.get(pair.ours.payload_type)
        if target is not None:
            mapped.setdefault(pair.theirs.payload_type, target)
    return tuple(mapped.items())


async def produce(stream: Stream) -> None:
    """Have the engine take what a peer may send now; nothing when it does already."""
    wanted = hears(stream)
    if stream.producer is not None and stream.heard == wanted:
        return
    old = stream.producer
    stream.producer = await stream.produce(wanted)
    stream.heard = wanted
    if old is not None:
        await old.close()


async def _produce_both(first: Stream, second: Stream) -> None:
    """Do what `produce` does for two streams; where nothing is there yet, in one turn."""
    if first.producer is not None or second.producer is not None:
        await produce(first)
        await produce(second)
        return
    first.heard, second.heard = hears(first), hears(second)
    asked = first.produce(first.heard), second.produce(second.heard)
    first.producer, second.producer = await asked[0], await asked[1]


async def _feed_both(first: Stream, second: Stream) -> None:
    """Feed two streams with each other; where nothing is there yet, in one turn."""
    mapped = maps(second, first), maps(first, second)
    if first.consumer is not None or second.consumer is not None:
        await _feed(first, second, second.producer, mapped[0])
        await _feed(second, first, first.producer, mapped[1])
        return
    flows = second.peer_sends and first.peer_receives, first.peer_sends and second.peer_receives
    asked = (
        first.consume(second.producer, mapped[0], paused=not flows[0]),
        second.consume(first.producer, mapped[1], paused=not flows[1]),
    )
    first.consumer, second.consumer = await asked[0], await asked[1]
    (first.mapped, second.mapped), (first.flowing, second.flowing) = mapped, flows


async def _feed(sink: Stream, source: Stream, producer: Producer | None, mapped: tuple[tuple[int, int], ...]) -> None:
    """Feed a sink with what comes of a source, paused unless the one sends and the other may be sent to."""
    flows = source.peer_sends and sink.peer_receives
    if sink.consumer is None or sink.consumer.closed:
        sink.consumer = await sink.consume(producer, mapped, paused=not flows)
    else:
        await sink.consumer.switch_source(producer, mapped)
        if flows and not sink.flowing:
            await sink.consumer.resume()
        elif sink.flowing and not flows:
            await sink.consumer.pause()
    sink.mapped, sink.flowing = mapped, flows
