"""Messages of the engine, read however they are cut; the other way is read by the engine's own tests."""

from __future__ import annotations

import struct

import pytest

from roomtone.workers.transcode.messages import (
    Break,
    Codec,
    Format,
    MessageError,
    Reader,
    Skipped,
    Time,
    Unit,
    output_break,
    output_format,
    output_unit,
    outputs,
)


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("!IB", len(body) + 1, kind) + body


def test_messages_are_read_byte_by_byte() -> None:
    sent = (
        message(1, b"\x04\x00\x00\xbb\x80\x02\x11\x90")
        + message(2, b"\x01" + struct.pack("!qq", -5, 7) + b"frame")
        + message(3)
        + message(4, struct.pack("!I", 9))
        + message(6, struct.pack("!q", 90_000))
    )
    reader, told = Reader(), []
    for byte in sent:
        reader.feed(bytes((byte,)))
        while (one := reader.poll()) is not None:
            told.append(one)
    assert told == [
        Format(Codec.AAC, 48_000, 2, b"\x11\x90"),
        Unit(dts=-5, pts=7, keyframe=True, data=b"frame"),
        Break(),
        Skipped(9),
        Time(90_000),
    ]


@pytest.mark.parametrize(
    "bad", [b"\0\0\0\0", b"\xff\xff\xff\xff", message(9), message(2, b"\1"), message(6, b"\1"), message(1, b"\x63" * 6)]
)
def test_what_is_no_message_is_refused(bad: bytes) -> None:
    reader = Reader()
    reader.feed(bad)
    with pytest.raises(MessageError):
        reader.poll()


def test_what_is_made_is_written_as_the_engine_reads_it() -> None:
    assert outputs([("v720", True), ("aac", False)]) == message(16, b"\x00\x01\x04v720\x01\x00\x03aac")
    assert output_format(1, Format(Codec.OPUS, 48_000, 2, b"\0\0")) == message(17, b"\x01\x05\x00\x00\xbb\x80\x02\0\0")
    unit = Unit(dts=1, pts=2, keyframe=True, data=b"x")
    assert output_unit(0, unit) == message(18, b"\x00\x01" + struct.pack("!qq", 1, 2) + b"x")
    assert output_break(3) == message(19, b"\x03")
