"""Our own offers and the answers to them; answers to peers that send and receive on one connection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roomtone.media.values import Candidate, DtlsRole, Fingerprint, HeaderExtension, MediaKind
from roomtone.protocols.sdp import (
    Codec,
    Direction,
    LocalPeer,
    MediaAnswer,
    NegotiationCode,
    NegotiationError,
    OfferedData,
    OfferedMedia,
    Sending,
    Support,
    parse_session,
    read_answer,
    read_peer_offer,
    write_offer,
    write_peer_answer,
)
from roomtone.protocols.sdp.repertoire import OPUS, VIDEO_CODECS, offered_codecs, offered_extensions
from roomtone.protocols.sdp.support import RID

PRINT = Fingerprint(algorithm="sha-256", value=":".join(["AB"] * 32))
LOCAL = LocalPeer(
    "ufrag",
    "p" * 22,
    (PRINT,),
    (Candidate(foundation="1", component=1, protocol="udp", priority=1, ip="192.0.2.1", port=40000, kind="host"),),
)
MANY = Support(max_media=64, max_tracks_per_kind=64)
AUDIO = OfferedMedia(
    "0",
    MediaKind.AUDIO,
    (OPUS,),
    extensions=offered_extensions(MediaKind.AUDIO),
    sending=Sending(1, None, "us", "PA_1|TR_1", "TR_1"),
)
VIDEO = OfferedMedia(
    "1",
    MediaKind.VIDEO,
    offered_codecs([Codec(MediaKind.VIDEO, 120, "VP8", 90_000)]),
    extensions=offered_extensions(MediaKind.VIDEO),
    sending=Sending(2, 3, "us", "PA_1|TR_2", "TR_2"),
)
SECTIONS = (AUDIO, VIDEO, OfferedData("2"))


def answer_of(offer_text: str, **changes: str) -> str:
    """What a peer answers that takes everything: the offer with roles and directions turned round."""
    text = offer_text.replace("a=setup:actpass", "a=setup:active").replace("a=sendonly", "a=recvonly")
    text = text.replace("a=ice-lite\r\n", "").replace("a=ssrc", "a=x-ssrc")
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def test_an_offer_reads_as_sdp_and_its_answer_gives_back_what_was_offered() -> None:
    offer = write_offer(SECTIONS, LOCAL, (7, 2)).serialize()
    parsed = parse_session(offer)
    assert parsed.bundle == ("0", "1", "2")
    assert [section.kind for section in parsed.media] == ["audio", "video", "application"]
    assert parsed.media[2].sctp_port == 5000
    assert parsed.media[1].ssrc_groups[0].ssrcs == (2, 3)
    assert "o=- 7 2 " in offer
    read = read_answer(SECTIONS, parse_session(answer_of(offer)))
    assert read.data
    assert read.peer.dtls_role is DtlsRole.PASSIVE
    assert [media.codecs for media in read.media] == [AUDIO.codecs, VIDEO.codecs]
    assert [media.extensions for media in read.media] == [AUDIO.extensions, VIDEO.extensions]
    assert all(media.direction is Direction.RECVONLY for media in read.media)


def test_what_an_answer_rejects_or_leaves_out_is_not_sent() -> None:
    offer = write_offer(SECTIONS, LOCAL, (7, 2)).serialize()
    text = answer_of(offer).replace("m=video 9 ", "m=video 0 ").replace("a=rtcp-fb:111 nack\r\n", "")
    (audio,) = read_answer(SECTIONS, parse_session(text)).media
    assert not audio.codecs[0].feedback.nack
    assert audio.codecs[0].feedback.transport_cc


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("a=mid:1", "a=mid:other", NegotiationCode.ANSWER_MISMATCH),
        ("a=setup:active", "a=setup:actpass", NegotiationCode.SETUP_UNSUPPORTED),
        ("m=audio", "m=video", NegotiationCode.ANSWER_MISMATCH),
        ("a=fingerprint", "a=x-fingerprint", NegotiationCode.NO_FINGERPRINT),
    ],
)
def test_what_is_no_answer_to_the_offer_is_refused(old: str, new: str, code: NegotiationCode) -> None:
    text = answer_of(write_offer(SECTIONS, LOCAL, (7, 2)).serialize()).replace(old, new)
    with pytest.raises(NegotiationError) as caught:
        read_answer(SECTIONS, parse_session(text))
    assert caught.value.code is code


def test_an_answer_with_fewer_sections_is_refused() -> None:
    text = answer_of(write_offer(SECTIONS[:2], LOCAL, (7, 2)).serialize())
    with pytest.raises(NegotiationError, match="2 sections of 3"):
        read_answer(SECTIONS, parse_session(text))


def test_payload_types_of_the_repertoire_are_all_different() -> None:
    numbers = [codec.payload_type for codec in VIDEO_CODECS] + [codec.rtx_payload_type for codec in VIDEO_CODECS]
    numbers += [111, 112, 63, 62, 9, 0, 8]
    assert len(set(numbers)) == len(numbers)
    assert not {number for number in numbers if number is not None} & set(range(64, 96))  # RFC 5761 section 4


def test_what_is_offered_is_what_the_stream_may_be() -> None:
    high = Codec(MediaKind.VIDEO, 100, "H264", 90_000, 1, (("packetization-mode", "1"), ("profile-level-id", "640028")))
    assert [codec.parameter("profile-level-id") for codec in offered_codecs([high])] == ["64001f"]
    assert offered_codecs([Codec(MediaKind.VIDEO, 100, "XYZ", 90_000)]) == ()
    red, opus = offered_codecs([Codec(MediaKind.AUDIO, 96, "OPUS", 48_000, 2)], redundancy=True)
    assert red.blocks == (opus.payload_type,) * 2


def test_a_peer_that_sends_and_receives_is_answered_section_by_section() -> None:
    sections = (
        AUDIO,
        OfferedMedia("1", MediaKind.VIDEO, VIDEO.codecs, Direction.RECVONLY, VIDEO.extensions),
        OfferedMedia("3", MediaKind.VIDEO, VIDEO.codecs, Direction.RECVONLY, VIDEO.extensions),
        OfferedData("2"),
    )
    text = write_offer(sections, LOCAL, (1, 1)).serialize().replace("m=audio 9", "m=audio 9", 1)
    offer = read_peer_offer(parse_session(text), MANY)
    assert [media.direction for media in offer.media] == [Direction.SENDONLY, Direction.RECVONLY, Direction.RECVONLY]
    assert offer.data == 3
    audio, video, _ = offer.media
    answer = write_peer_answer(
        offer,
        LOCAL,
        (5, 1),
        {
            audio.mid: MediaAnswer(audio.incoming, Direction.RECVONLY),
            video.mid: MediaAnswer(video.outgoing, Direction.SENDONLY, Sending(8, 9, "us", "PA|TR", "TR")),
        },
    )
    parsed = parse_session(answer.serialize())
    directions = [section.direction for section in parsed.media[:3]]
    assert directions == [Direction.RECVONLY, Direction.SENDONLY, Direction.INACTIVE]
    assert parsed.media[1].msids[0].stream == "PA|TR"
    assert parsed.media[3].first("max-message-size") == "262144"
    assert parsed.bundle == ("0", "1", "3", "2")


def test_where_we_send_the_names_of_encodings_are_agreed_to_but_not_written() -> None:
    rid = HeaderExtension(id=13, uri=RID)
    receiving = replace(VIDEO, mid="0", direction=Direction.RECVONLY, extensions=(*VIDEO.extensions, rid))
    offer = read_peer_offer(parse_session(write_offer((receiving,), LOCAL, (1, 1)).serialize()), MANY)
    (video,) = offer.media
    assert rid not in video.outgoing.extensions
    answers = {"0": MediaAnswer(video.outgoing, Direction.SENDONLY, Sending(8, 9, "us", "PA|TR", "TR"))}
    (answered,) = parse_session(write_peer_answer(offer, LOCAL, (5, 1), answers).serialize()).media
    assert [line.id for line in answered.extensions if line.uri == RID] == [13]


def test_a_section_nobody_can_serve_is_rejected_alone() -> None:
    text = write_offer(SECTIONS, LOCAL, (1, 1)).serialize().replace("VP8/90000", "XYZ/90000")
    offer = read_peer_offer(parse_session(text), MANY)
    assert [media.mid for media in offer.media] == ["0"]
    parsed = parse_session(write_peer_answer(offer, LOCAL, (5, 1), {}).serialize())
    assert [section.port for section in parsed.media] == [9, 0, 9]
    assert parsed.bundle == ("0", "2")


def test_a_peer_with_data_channels_alone_is_answered() -> None:
    text = write_offer((OfferedData("0"),), LOCAL, (1, 1)).serialize()
    offer = read_peer_offer(parse_session(text), MANY)
    assert (offer.media, offer.data) == ((), 0)
    assert parse_session(write_peer_answer(offer, LOCAL, (5, 1), {}).serialize()).media[0].port == 9


def test_sections_outside_the_bundle_are_no_connection() -> None:
    text = write_offer(SECTIONS, LOCAL, (1, 1)).serialize().replace("a=group:BUNDLE 0 1 2", "a=group:BUNDLE 0")
    with pytest.raises(NegotiationError) as caught:
        read_peer_offer(parse_session(text), MANY)
    assert caught.value.code is NegotiationCode.NOT_BUNDLED
