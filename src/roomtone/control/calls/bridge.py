"""What joins the media of two legs: each one's producers feed the other's consumers, packets as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.codecs import media_feedback
from roomtone.protocols.sdp.telephony_codecs import is_speech, shared_codecs

if TYPE_CHECKING:
    from roomtone.control.calls.streams import LegMedia, Stream
    from roomtone.protocols.sdp import Codec


async def join(one: LegMedia, other: LegMedia) -> None:
    """Join two legs, or bring them in step again after either has changed; each stream flows as both sides allow."""
    for kind in MediaKind:
        first, second = one.streams.get(kind), other.streams.get(kind)
        if first is None or second is None:
            continue
        await produce(first)
        await produce(second)
        await _consume(first, second)
        await _consume(second, first)


def codec_of(one: LegMedia, other: LegMedia) -> str:
    """Name the codec that two legs speak, such as ``PCMU/8000``."""
    first, second = one.streams.get(MediaKind.AUDIO), other.streams.get(MediaKind.AUDIO)
    if first is None or second is None:
        return ""
    pairs = [pair.ours for pair in shared_codecs(first.takes, second.takes) if pair.is_speech]
    return f"{pairs[0].name}/{pairs[0].clock_rate}" if pairs else ""


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
    codecs = [codec.to_parameters() for codec in wanted]
    stream.producer = await stream.transport.produce(stream.kind, codecs)
    stream.heard = wanted
    if old is not None:
        await old.close()


async def _consume(sink: Stream, source: Stream) -> None:
    """Feed a sink from a source, paused unless the one sends and the other may be sent to."""
    flows = source.peer_sends and sink.peer_receives
    mapped = maps(source, sink)
    if sink.consumer is None or sink.consumer.closed:
        sink.consumer = await sink.transport.consume(
            sink.kind,
            source.producer,
            payload_types=mapped,
            feedback=media_feedback(sink.takes),
            paused=not flows,
        )
    else:
        await sink.consumer.switch_source(source.producer, mapped)
        if flows and not sink.flowing:
            await sink.consumer.resume()
        elif sink.flowing and not flows:
            await sink.consumer.pause()
    sink.mapped, sink.flowing = mapped, flows
