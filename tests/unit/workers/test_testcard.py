from __future__ import annotations

import itertools
import random
import struct
from typing import Any

import av
import numpy as np
import pytest

from roomtone.workers.testcard.picture import FPS, HEIGHT, WIDTH, TestCard, clock_text
from roomtone.workers.testcard.publisher import Publisher, StreamNumbers
from roomtone.workers.testcard.rtcp import asks_for_keyframe, goodbye, sender_report
from roomtone.workers.testcard.rtp import MAX_PAYLOAD, RtpStream, vp8_payloads
from roomtone.workers.testcard.tone import BEEP_HZ, FRAME_SAMPLES, RATE, TONE_HZ, tone

VIDEO, AUDIO = 0x1111, 0x2222
NUMBERS = StreamNumbers(
    video_ssrc=VIDEO, video_payload_type=96, audio_ssrc=AUDIO, audio_payload_type=111, cname="testcard"
)
DAY = 1_700_000_000.0


def pli(ssrc: int) -> bytes:
    return struct.pack("!BBHII", 0x81, 206, 2, 0, ssrc)


def fir(ssrc: int) -> bytes:
    return struct.pack("!BBHIIIB3x", 0x84, 206, 4, 0, 0, ssrc, 1)


def run(publisher: Publisher, start: float, end: float) -> dict[int, list[bytes]]:
    """Play from start to end in virtual time; RTP packets by SSRC."""
    packets: dict[int, list[bytes]] = {VIDEO: [], AUDIO: []}
    now = start
    while now < end:
        for datagram in publisher.poll(now, DAY + now):
            if not 200 <= datagram.data[1] <= 206:
                packets[datagram.ssrc].append(datagram.data)
        now = max(now, publisher.next_timeout())
    return packets


def frames(packets: list[bytes]) -> list[bytes]:
    """Put VP8 frames together again; the descriptor has four bytes."""
    out: list[bytes] = []
    for packet in packets:
        if packet[12] & 0x10:
            out.append(b"")
        out[-1] += packet[16:]
    return out


def is_keyframe(frame: bytes) -> bool:
    return frame[0] & 1 == 0


def publisher() -> Publisher:
    return Publisher(NUMBERS, 0.0, random.Random(1))  # noqa: S311 - repeatable start numbers


def test_a_second_of_video_decodes_to_the_test_card() -> None:
    coded = frames(run(publisher(), 0, 1)[VIDEO])
    decoder: Any = av.CodecContext.create("vp8", "r")
    pictures = [picture for frame in coded for picture in decoder.decode(av.Packet(frame))]
    assert FPS - 1 <= len(pictures) <= FPS + 1
    assert is_keyframe(coded[0])
    luma = pictures[-1].to_ndarray(format="yuv420p")[:HEIGHT]
    assert (pictures[-1].width, pictures[-1].height) == (WIDTH, HEIGHT)
    assert abs(int(luma[40, 20]) - 180) < 12, "the grey bar"
    assert abs(int(luma[40, WIDTH - 20]) - 35) < 12, "the blue bar"
    assert luma[140:200].max() > 200, "digits on the clock"


def test_sequence_numbers_rise_by_one_and_one_frame_has_one_timestamp_and_one_marker() -> None:
    packets = run(publisher(), 0, 2)[VIDEO]
    sequences = [struct.unpack_from("!H", packet, 2)[0] for packet in packets]
    assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(sequences))
    by_time: dict[int, list[bool]] = {}
    for packet in packets:
        by_time.setdefault(struct.unpack_from("!I", packet, 4)[0], []).append(bool(packet[1] & 0x80))
    assert all(markers == [False] * (len(markers) - 1) + [True] for markers in by_time.values())
    steps = {(b - a) & 0xFFFF_FFFF for a, b in zip(by_time, list(by_time)[1:], strict=False)}
    assert steps == {90_000 // FPS}


def test_picture_ids_rise_by_one_a_frame() -> None:
    packets = run(publisher(), 0, 1)[VIDEO]
    ids = list(dict.fromkeys(struct.unpack_from("!H", packet, 14)[0] & 0x7FFF for packet in packets))
    assert all((b - a) & 0x7FFF == 1 for a, b in itertools.pairwise(ids))


@pytest.mark.parametrize("request_", [pli(VIDEO), fir(VIDEO)], ids=["PLI", "FIR"])
def test_a_keyframe_request_is_answered_by_the_next_frame(request_: bytes) -> None:
    source = publisher()
    run(source, 0, 1)
    source.handle_rtcp(request_)
    coded = frames(run(source, 1, 1.5)[VIDEO])
    assert [is_keyframe(frame) for frame in coded[:3]] == [True, False, False]


def test_a_storm_of_keyframe_requests_makes_two_keyframes_a_second() -> None:
    source = publisher()
    run(source, 0, 1)
    before, now = source.keyframes, 1.0
    while now < 3:
        source.handle_rtcp(pli(VIDEO))
        list(source.poll(now, DAY + now))
        now = source.next_timeout()
    assert source.keyframes - before <= 4


def test_requests_for_other_streams_and_garbage_change_nothing() -> None:
    assert not asks_for_keyframe(pli(AUDIO), VIDEO)
    assert asks_for_keyframe(goodbye(RtpStream(5, 96, 0)) + pli(VIDEO), VIDEO)
    rng = random.Random(3)  # noqa: S311 - repeatable garbage
    for length in range(64):
        asks_for_keyframe(rng.randbytes(length), VIDEO)
    assert not asks_for_keyframe(pli(VIDEO)[:8], VIDEO)


def test_the_tone_decodes_with_a_beep_at_the_full_second() -> None:
    decoder: Any = av.CodecContext.create("libopus", "r")
    samples: list[np.ndarray[Any, Any]] = []
    for packet in run(publisher(), 0, 2.2)[AUDIO]:
        samples.extend(
            frame.to_ndarray().astype(float).reshape(-1, len(frame.layout.channels))[:, 0]
            for frame in decoder.decode(av.Packet(packet[12:]))
        )
    sound = np.concatenate(samples)

    def peak(start_s: float) -> float:
        part = sound[int(start_s * RATE) : int(start_s * RATE) + 4096]
        return float(np.argmax(np.abs(np.fft.rfft(part * np.hanning(4096))))) * RATE / 4096

    assert peak(1.51) == pytest.approx(TONE_HZ, abs=12)
    assert peak(1.01) == pytest.approx(BEEP_HZ, abs=12)


def test_audio_goes_out_every_20_ms_with_timestamps_that_say_so() -> None:
    packets = run(publisher(), 0, 1)[AUDIO]
    assert 49 <= len(packets) <= 51
    times = [struct.unpack_from("!I", packet, 4)[0] for packet in packets]
    assert {(b - a) & 0xFFFF_FFFF for a, b in itertools.pairwise(times)} == {FRAME_SAMPLES}


def test_after_a_long_pause_frames_are_skipped_and_not_sent_in_a_rush() -> None:
    source = publisher()
    run(source, 0, 1)
    late = list(source.poll(30.0, DAY + 30))
    assert len(late) < 40


def test_sender_reports_tie_both_streams_to_one_clock() -> None:
    source = publisher()
    run(source, 0, 1.5)
    reports = [d for d in source.poll(2.0, DAY + 2) if d.data[1] == 200]
    assert {report.ssrc for report in reports} == {VIDEO, AUDIO}
    ntp = {struct.unpack_from("!II", report.data, 8) for report in reports}
    assert len(ntp) == 1
    assert next(iter(ntp))[0] == int(DAY) + 2 + 2_208_988_800


def test_a_sender_report_has_the_sizes_its_header_says() -> None:
    for cname in ("a", "ab", "abc", "abcd", "testcard"):
        data = sender_report(RtpStream(7, 96, 0, packets=3, octets=99), cname, DAY + 0.5, 1234)
        offset = 0
        while offset < len(data):
            offset += 4 * (1 + struct.unpack_from("!H", data, offset + 2)[0])
        assert offset == len(data)
        assert struct.unpack_from("!IIII", data, 12)[0] == 1 << 31


@pytest.mark.parametrize("size", [1, MAX_PAYLOAD, MAX_PAYLOAD + 1, 10 * MAX_PAYLOAD + 7])
def test_payloads_are_small_nearly_equal_and_lose_nothing(size: int) -> None:
    frame = bytes(number % 251 for number in range(size))
    payloads = vp8_payloads(frame, 0x7FFF)
    assert b"".join(payload[4:] for payload in payloads) == frame
    assert all(len(payload) <= MAX_PAYLOAD + 4 for payload in payloads)
    assert [payload[0] for payload in payloads] == [0x90] + [0x80] * (len(payloads) - 1)
    assert {payload[1:4] for payload in payloads} == {b"\x80\xff\xff"}
    assert max(map(len, payloads)) - min(map(len, payloads)) < len(payloads)


def test_the_clock_shows_time_and_frame() -> None:
    assert clock_text(DAY, 3).endswith(".03")
    assert clock_text(DAY, 3).count(":") == 2


def test_the_bar_crosses_the_picture_once_a_second() -> None:
    card = TestCard()
    lefts = [int(np.argmax(card.frame(DAY, number)[310])) for number in range(FPS)]
    assert lefts[0] == 0
    assert lefts == sorted(lefts)
    assert lefts[-1] == WIDTH - 16


def test_the_beep_is_louder_than_the_hum() -> None:
    assert np.abs(tone(0)).max() > 3 * np.abs(tone(RATE // 2)).max()
