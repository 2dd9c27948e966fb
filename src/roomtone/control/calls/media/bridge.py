"""What joins the media of two legs: each one's producers feed the other's consumers, as they are or converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.media.conversion import convert, spoken
from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.remembered import by_identity
from roomtone.protocols.sdp.telephony_codecs import is_speech, shared_codecs

if TYPE_CHECKING:
    from roomtone.control.calls.media.conversion import Conversion
    from roomtone.control.calls.media.pipes import Pipes
    from roomtone.control.calls.media.streams import LegMedia, Stream
    from roomtone.media import Producer, Together
    from roomtone.protocols.sdp import Codec


@dataclass(frozen=True, slots=True)
class Flows:
    """Which ways media may go between two legs, beside what their descriptions say."""

    there: bool = True
    """From the first to the second."""
    back: bool = True


BOTH_WAYS = Flows()


async def join(
    one: LegMedia,
    other: LegMedia,
    converting: Conversion | None,
    pipes: Pipes,
    flows: Flows = BOTH_WAYS,
    *,
    together: Together | None = None,
) -> Conversion | None:
    """Join two legs, or bring them in step again after either has changed; each stream flows as both sides allow.

    Sound passes as it is where both have a codec, and is converted otherwise; gives the conversion, if there is one.
    What was gathered in ``together`` is done before anything else, or with it.
    """
    together = one.router.engine.together() if together is None else together
    first, second = one.streams.get(MediaKind.AUDIO), other.streams.get(MediaKind.AUDIO)
    joined: list[MediaKind] = []
    if first is not None and second is not None and one.router is other.router and passes(first, second):
        joined = _join_anew(one, other, flows, together)
    await together.do()
    for kind in MediaKind:
        first, second = one.streams.get(kind), other.streams.get(kind)
        if first is None or second is None or kind in joined:
            continue
        await produce(first)
        await produce(second)
        there, back = _ways(first, second, flows)
        if kind is MediaKind.AUDIO and not passes(first, second):
            converting = await convert(one, other, converting, pipes)
            if converting is not None:
                await feed(first, converting.first.given, converting.first.mapped, flows=back)
                await feed(second, converting.second.given, converting.second.mapped, flows=there)
            continue
        from_first, from_second = first.producer, second.producer
        if from_first is not None and from_second is not None:
            from_first = await pipes.at(other.router, from_first, one.router)
            from_second = await pipes.at(one.router, from_second, other.router)
        await feed(first, from_second, maps(second, first), flows=back)
        await feed(second, from_first, maps(first, second), flows=there)
        if kind is MediaKind.AUDIO and converting is not None:
            await converting.mixer.close()
            converting = None
    return converting


def _join_anew(one: LegMedia, other: LegMedia, flows: Flows, together: Together) -> list[MediaKind]:
    """Have streams that nothing was made of yet produce, and feed each other, in one go; give their kinds."""
    joined = []
    for kind in MediaKind:
        first, second = one.streams.get(kind), other.streams.get(kind)
        if first is None or second is None or any((first.producer, second.producer, first.consumer, second.consumer)):
            continue
        for stream in (first, second):
            stream.heard = hears(stream)
            stream.produce_in(together, stream.heard)
        there, back = _ways(first, second, flows)
        for sink, source, flowing in ((first, second, back), (second, first, there)):
            sink.mapped, sink.flowing = maps(source, sink), flowing
            sink.consume_in(together, source.producer, sink.mapped, paused=not flowing)
        joined.append(kind)
    return joined


def _ways(first: Stream, second: Stream, flows: Flows) -> tuple[bool, bool]:
    """Tell whether media flows from the first to the second, and back."""
    return (
        flows.there and first.peer_sends and second.peer_receives,
        flows.back and second.peer_sends and first.peer_receives,
    )


def passes(first: Stream, second: Stream) -> bool:
    """Whether what each side speaks is what the other takes."""
    one, other = spoken_by(first), spoken_by(second)
    if one is None or other is None:
        return any(pair.is_speech for pair in shared_codecs(first.takes, second.takes))
    return bool(shared_codecs((one,), second.takes)) and bool(shared_codecs((other,), first.takes))


def spoken_by(stream: Stream) -> Codec | None:
    """Give the codec that the peer of a stream speaks, as far as that is known; None where nothing was agreed on."""
    return next(iter(may_send(stream)), None)


def codec_of(one: LegMedia, other: LegMedia) -> str:
    """Name the codec that two legs speak, such as ``PCMU/8000``; both where they differ."""
    first, second = one.streams.get(MediaKind.AUDIO), other.streams.get(MediaKind.AUDIO)
    if first is None or second is None:
        return ""
    pairs = [pair.ours for pair in shared_codecs(first.takes, second.takes) if pair.is_speech]
    if pairs and passes(first, second):
        return f"{pairs[0].name}/{pairs[0].clock_rate}"
    return " to ".join(f"{codec.name}/{codec.clock_rate}" for codec in (spoken(first), spoken(second)) if codec)


def may_send(stream: Stream) -> list[Codec]:
    """Give what the peer of a stream may send (RFC 3264 section 6.1): codecs of ours that it has too."""
    return [pair.ours for pair in shared_codecs(stream.ours, stream.takes) if is_speech(pair.ours)]


def hears(stream: Stream) -> tuple[Codec, ...]:
    """Give what is taken from a peer: our numbers, and its own where they are free, which some send by mistake."""
    return _heard(stream.ours, stream.takes)


@by_identity
def _heard(ours: tuple[Codec, ...], takes: tuple[Codec, ...], /) -> tuple[Codec, ...]:
    numbers = {codec.payload_type for codec in ours}
    extra = [pair.theirs for pair in shared_codecs(ours, takes) if pair.theirs.payload_type not in numbers]
    return (*ours, *extra)


def maps(source: Stream, sink: Stream) -> tuple[tuple[int, int], ...]:
    """Map the payload types of a source to those that a sink's peer takes."""
    return _mapped(source.ours, source.takes, sink.takes)


@by_identity
def _mapped(
    ours: tuple[Codec, ...], takes: tuple[Codec, ...], far: tuple[Codec, ...], /
) -> tuple[tuple[int, int], ...]:
    mapped = {pair.ours.payload_type: pair.theirs.payload_type for pair in shared_codecs(ours, far)}
    for pair in shared_codecs(ours, takes):
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


async def feed(sink: Stream, producer: Producer | None, mapped: tuple[tuple[int, int], ...], *, flows: bool) -> None:
    """Feed a sink with what comes of a producer of its router; paused unless it flows."""
    consumer = sink.consumer
    if consumer is None or consumer.closed:
        sink.consumer = await sink.consume(producer, mapped, paused=not flows)
    else:
        if sink.flowing and not flows:  # before anything of the new source gets through
            await consumer.pause()
        if producer is None or sink.fed is not producer or producer.closed or sink.mapped != mapped:
            await consumer.switch_source(producer, mapped)
        if flows and not sink.flowing:
            await consumer.resume()
    sink.fed, sink.mapped, sink.flowing = producer, mapped, flows
