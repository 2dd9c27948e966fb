"""Redundant audio, requests for lost audio and in-band correction, as they are agreed."""

from __future__ import annotations

from pathlib import Path

import pytest

from roomtone.media.values import AudioRedundancy, CodecFeedback, MediaKind
from roomtone.protocols.sdp import (
    AnswerDetails,
    AnswerRole,
    Codec,
    LocalPeer,
    MediaDescription,
    NegotiatedMedia,
    Support,
    map_payload_types,
    media_feedback,
    negotiate,
    parse_session,
    redundancy_wanted,
    write_answer,
)

FOLDER = Path(__file__).parents[3] / "vectors" / "sdp"
LOCAL = LocalPeer(ice_ufrag="serv", ice_pwd="x" * 24, fingerprints=(), candidates=())


def agree(
    *replacements: tuple[str, str], name: str = "chromium-watch", support: Support | None = None
) -> tuple[NegotiatedMedia, MediaDescription]:
    """What is agreed for audio, and its section of the answer."""
    text = (FOLDER / f"{name}.sdp").read_bytes().decode()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    role = AnswerRole.SEND if name.endswith("watch") else AnswerRole.RECEIVE
    agreed = negotiate(parse_session(text), role, support)
    audio = next(media for media in agreed.media if media.kind is MediaKind.AUDIO)
    answer = parse_session(write_answer(agreed, AnswerDetails(LOCAL, 7)).serialize())
    return audio, answer.media[audio.index]


def opus(payload_type: int, feedback: CodecFeedback | None = None) -> Codec:
    return Codec(MediaKind.AUDIO, payload_type, "OPUS", 48000, 2, feedback=feedback or CodecFeedback())


def red(payload_type: int, blocks: str) -> Codec:
    return Codec(MediaKind.AUDIO, payload_type, "RED", 48000, 2, parameters=((blocks, None),))


@pytest.mark.parametrize("name", ["chromium-publish", "chromium-watch", "safari-publish", "safari-watch"])
def test_redundant_audio_is_agreed_to_with_what_it_wraps(name: str) -> None:
    audio, section = agree(name=name)
    wrapping = next(codec for codec in audio.codecs if codec.name == "RED")
    inside = next(codec for codec in audio.codecs if codec.name == "OPUS")
    assert set(wrapping.blocks) == {inside.payload_type}
    assert f"{wrapping.payload_type}" in section.formats
    assert (wrapping.payload_type, "red") in {(line.payload_type, line.name) for line in section.rtp_maps}
    named = {fmtp.payload_type: fmtp.parameters for fmtp in section.format_parameters}
    assert named[wrapping.payload_type] == wrapping.parameters


def test_it_can_be_switched_off() -> None:
    audio, section = agree(support=Support(redundant_audio=False))
    assert "RED" not in {codec.name for codec in audio.codecs}
    assert "63" not in section.formats


@pytest.mark.parametrize("blocks", ["112/112", "111/9", "", "x/y", "111/"])
def test_redundancy_around_what_is_not_agreed_is_left_out(blocks: str) -> None:
    audio, _ = agree(("a=fmtp:63 111/111\r\n", f"a=fmtp:63 {blocks}\r\n" if blocks else ""))
    names = {codec.name for codec in audio.codecs}
    assert "OPUS" in names
    assert "RED" not in names


def test_who_names_redundancy_first_asks_for_it() -> None:
    wanted = AudioRedundancy(payload_type=63, protects=111, blocks=1)
    assert redundancy_wanted([red(63, "111/111"), opus(111)]) == wanted
    assert redundancy_wanted([opus(111), red(63, "111/111")]) is None
    assert redundancy_wanted([opus(111)]) is None
    assert redundancy_wanted([red(63, "111"), opus(111)]) is None, "no block but the primary one"
    most = redundancy_wanted([red(63, "/".join(["111"] * 9)), opus(111)])
    assert most is not None
    assert most.blocks == 4


def test_a_viewer_that_prefers_redundancy_keeps_its_order() -> None:
    audio, section = agree(("111 63", "63 111"))
    assert section.formats[:2] == ("63", "111")
    assert redundancy_wanted(audio.codecs) == AudioRedundancy(payload_type=63, protects=111, blocks=1)


def test_redundant_packets_go_to_who_takes_them_and_plain_ones_to_all() -> None:
    publisher = [red(63, "111/111"), opus(111)]
    assert map_payload_types(publisher, [opus(109), red(64, "109/109")]) == [(63, 64), (111, 109)]
    assert map_payload_types(publisher, [opus(109)]) == [(111, 109)]


def test_feedback_is_that_of_the_codec_inside() -> None:
    asked = CodecFeedback(transport_cc=True)
    assert media_feedback([red(63, "111/111"), opus(111, asked)]) == asked
    assert media_feedback([red(63, "111/111")]) == CodecFeedback()


def test_lost_audio_is_asked_for_where_both_sides_agree() -> None:
    line = "a=rtcp-fb:111 transport-cc"
    audio, section = agree((line, f"{line}\r\na=rtcp-fb:111 nack"))
    assert media_feedback(audio.codecs).nack
    assert "nack" in {feedback.feedback for feedback in section.feedback if feedback.payload_type == 111}
    audio, section = agree((line, f"{line}\r\na=rtcp-fb:111 nack"), support=Support(audio_nack=False))
    assert not any(codec.feedback.nack for codec in audio.codecs)
    assert "nack" not in {feedback.feedback for feedback in section.feedback}
    audio, _ = agree()
    assert not media_feedback(audio.codecs).nack, "not offered"


def test_video_is_asked_for_again_whatever_holds_for_audio() -> None:
    agreed = negotiate(
        parse_session((FOLDER / "chromium-watch.sdp").read_bytes()), AnswerRole.SEND, Support(audio_nack=False)
    )
    video = next(media for media in agreed.media if media.kind is MediaKind.VIDEO)
    assert all(codec.feedback.nack for codec in video.codecs)


@pytest.mark.parametrize("name", ["chromium-publish", "chromium-watch"])
def test_in_band_correction_of_opus_passes(name: str) -> None:
    audio, section = agree(name=name)
    inside = next(codec for codec in audio.codecs if codec.name == "OPUS")
    assert inside.parameter("useinbandfec") == "1"
    named = {fmtp.payload_type: dict(fmtp.parameters) for fmtp in section.format_parameters}
    assert named[inside.payload_type]["useinbandfec"] == "1"


@pytest.mark.parametrize("name", ["chromium-publish", "chromium-watch"])
def test_correction_of_video_is_not_agreed_to_with_browsers(name: str) -> None:
    """Their correction covers header extensions, which a forwarder rewrites: it could repair nothing."""
    text = (FOLDER / f"{name}.sdp").read_bytes().decode()
    assert "ulpfec/90000" in text
    role = AnswerRole.SEND if name.endswith("watch") else AnswerRole.RECEIVE
    agreed = negotiate(parse_session(text), role)
    named = {codec.name for media in agreed.media if media.kind is MediaKind.VIDEO for codec in media.codecs}
    assert not named & {"RED", "ULPFEC", "FLEXFEC-03"}
