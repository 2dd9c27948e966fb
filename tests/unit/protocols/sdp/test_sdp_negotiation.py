"""Offers of real clients, answered."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from roomtone.media.values import Candidate, DtlsRole, Fingerprint, MediaKind
from roomtone.protocols.sdp import (
    AnswerDetails,
    AnswerRole,
    LocalPeer,
    Negotiated,
    NegotiationCode,
    NegotiationError,
    SdpError,
    Sending,
    SessionDescription,
    negotiate,
    parse_session,
    write_answer,
)
from roomtone.protocols.sdp.attributes import Direction, Setup
from roomtone.protocols.sdp.support import DEPENDENCY_DESCRIPTOR, MID, RID, TRANSPORT_SEQUENCE, VIDEO_LAYERS_ALLOCATION

FOLDER = Path(__file__).parents[3] / "vectors" / "sdp"
LOCAL = LocalPeer(
    ice_ufrag="serv",
    ice_pwd="x" * 24,
    fingerprints=(Fingerprint(algorithm="sha-256", value=":".join(["AB"] * 32)),),
    candidates=(
        Candidate(
            foundation="3",
            component=1,
            protocol="tcp",
            priority=9,
            ip="192.0.2.1",
            port=2,
            kind="host",
            tcp_type="passive",
        ),
        Candidate(foundation="2", component=1, protocol="udp", priority=8, ip="2001:db8::1", port=1, kind="host"),
        Candidate(foundation="1", component=1, protocol="udp", priority=7, ip="192.0.2.1", port=1, kind="host"),
    ),
)


def offer(name: str) -> SessionDescription:
    return parse_session((FOLDER / f"{name}.sdp").read_bytes())


def agree(name: str) -> Negotiated:
    return negotiate(offer(name), role_of(name))


def role_of(name: str) -> AnswerRole:
    return AnswerRole.SEND if name.endswith("watch") else AnswerRole.RECEIVE


def answer(agreed: Negotiated) -> SessionDescription:
    sending = {media.index: Sending(100 + media.index, 200 + media.index, "cn", "demo", "t") for media in agreed.media}
    details = AnswerDetails(LOCAL, 7, sending if agreed.role is AnswerRole.SEND else {})
    return parse_session(write_answer(agreed, details).serialize())


def codecs(agreed: Negotiated, kind: MediaKind) -> list[str]:
    return list(dict.fromkeys(codec.name for media in agreed.media if media.kind is kind for codec in media.codecs))


ALL = sorted(path.stem for path in FOLDER.glob("*.sdp"))


@pytest.mark.parametrize("name", ALL)
def test_every_client_gets_audio_and_video(name: str) -> None:
    agreed = agree(name)
    assert {media.kind for media in agreed.media} == set(MediaKind)
    assert "OPUS" in codecs(agreed, MediaKind.AUDIO)
    assert codecs(agreed, MediaKind.VIDEO)


@pytest.mark.parametrize("name", ALL)
def test_an_answer_follows_the_offer(name: str) -> None:
    agreed = agree(name)
    text = answer(agreed)
    assert len(text.media) == len(agreed.offer.media)
    assert [m.mid for m in text.media] == [m.mid for m in agreed.offer.media]
    assert text.bundle == tuple(m.mid for m in agreed.media)
    assert text.ice_lite
    for ours, theirs in zip(text.media, agreed.offer.media, strict=True):
        assert set(ours.formats) <= set(theirs.formats)
        assert ours.protocol == theirs.protocol
        assert ours.direction is (Direction.RECVONLY if agreed.role is AnswerRole.RECEIVE else Direction.SENDONLY)
        assert ours.has("rtcp-mux")
        assert ours.has("rtcp-mux-only") == theirs.has("rtcp-mux-only")
        assert ours.ice_ufrag == "serv"
        assert ours.fingerprints == LOCAL.fingerprints
        offered = {(ext.id, ext.uri) for ext in theirs.extensions}
        assert {(ext.id, ext.uri) for ext in ours.extensions} <= offered
        given = {line.payload_type: line.parameters for line in theirs.format_parameters}
        for line in ours.format_parameters:
            assert line.parameters == given[line.payload_type]
        for feedback in ours.feedback:
            assert feedback.feedback in {
                f.feedback for f in theirs.feedback if f.payload_type in {None, feedback.payload_type}
            }


def test_all_candidates_are_in_the_answer_udp_over_ipv4_first() -> None:
    section = answer(agree("ffmpeg-publish")).media[0]
    assert [(c.transport, c.address) for c in section.candidates] == [
        ("udp", "192.0.2.1"),
        ("udp", "2001:db8::1"),
        ("tcp", "192.0.2.1"),
    ]
    assert section.has("end-of-candidates")


@pytest.mark.parametrize(
    ("name", "role", "setup"),
    [
        ("ffmpeg-publish", DtlsRole.ACTIVE, Setup.ACTIVE),
        ("chromium-publish", DtlsRole.PASSIVE, Setup.PASSIVE),
        ("aiortc-watch", DtlsRole.PASSIVE, Setup.PASSIVE),
    ],
)
def test_our_dtls_role_is_the_other_one(name: str, role: DtlsRole, setup: Setup) -> None:
    agreed = agree(name)
    assert agreed.peer.dtls_role is role
    assert answer(agreed).media[0].setup is setup


def test_chromiums_codecs_are_all_kept_with_their_rtx() -> None:
    agreed = agree("chromium-watch")
    assert {"VP8", "VP9", "AV1", "H264"} <= set(codecs(agreed, MediaKind.VIDEO))
    assert {"OPUS", "RED", "G722", "PCMU", "PCMA"} == set(codecs(agreed, MediaKind.AUDIO))
    video = next(media for media in agreed.media if media.kind is MediaKind.VIDEO)
    assert all(codec.rtx_payload_type is not None for codec in video.codecs)
    assert all(codec.feedback.nack and codec.feedback.pli and codec.feedback.transport_cc for codec in video.codecs)


def test_chromiums_simulcast_is_taken_in_its_order() -> None:
    agreed = agree("chromium-simulcast")
    video = next(media for media in agreed.media if media.kind is MediaKind.VIDEO)
    assert [encoding.rid for encoding in video.encodings] == ["q", "h", "f"]
    assert {MID, RID} <= {ext.uri for ext in video.extensions}
    section = answer(agreed).media[video.index]
    assert section.simulcast is not None
    assert section.simulcast.recv == (("q",), ("h",), ("f",))
    assert [(rid.id, rid.direction) for rid in section.rids] == [("q", "recv"), ("h", "recv"), ("f", "recv")]


def test_dependency_descriptors_go_only_to_viewers_that_take_the_long_form_of_extensions() -> None:
    text = (FOLDER / "chromium-watch.sdp").read_text()
    line = f"a=extmap:11 {DEPENDENCY_DESCRIPTOR}\r\n"
    mixed = text.replace("\r\n", "\n").replace("\n", "\r\n").replace("a=rtcp-mux\r\n", line + "a=rtcp-mux\r\n")
    strict = mixed.replace("a=extmap-allow-mixed\r\n", "")
    for offer, takes in ((mixed, True), (strict, False)):
        agreed = negotiate(parse_session(offer), AnswerRole.SEND)
        (video,) = [media for media in agreed.media if media.kind is MediaKind.VIDEO]
        assert any(ext.uri == DEPENDENCY_DESCRIPTOR for ext in video.extensions) is takes
        assert agreed.peer.mixed_extensions is takes


def test_a_publishers_dependency_descriptor_and_layer_allocation_are_taken() -> None:
    (video,) = [media for media in agree("chromium-simulcast").media if media.kind is MediaKind.VIDEO]
    assert {DEPENDENCY_DESCRIPTOR, VIDEO_LAYERS_ALLOCATION} <= {ext.uri for ext in video.extensions}


def test_rid_extensions_are_not_offered_to_viewers() -> None:
    uris = {ext.uri for media in agree("chromium-watch").media for ext in media.extensions}
    assert MID in uris
    assert RID not in uris


def test_ssrcs_name_the_encoding_where_there_are_no_rids() -> None:
    video = agree("ffmpeg-publish").media[1]
    assert [(e.ssrc, e.rtx_ssrc, e.rid) for e in video.encodings] == [(4205599033, 4205599034, None)]
    audio = agree("ffmpeg-publish").media[0]
    assert [(e.ssrc, e.rtx_ssrc) for e in audio.encodings] == [(4205599032, None)]
    assert [e.ssrc for e in agree("gstreamer-publish").media[0].encodings] == [2602861355]


def test_an_ssrc_simulcast_group_names_the_encodings() -> None:
    lines = (FOLDER / "aiortc-publish.sdp").read_bytes().decode().split("\r\n")
    index = next(i for i, line in enumerate(lines) if line.startswith("a=ssrc-group:FID"))
    lines[index : index + 1] = ["a=ssrc-group:SIM 1 2", "a=ssrc-group:FID 1 11", "a=ssrc-group:FID 2 12"]
    agreed = negotiate(parse_session("\r\n".join(lines)), AnswerRole.RECEIVE)
    assert [(e.ssrc, e.rtx_ssrc) for e in agreed.media[1].encodings] == [(1, 11), (2, 12)]


def test_transport_wide_feedback_needs_its_extension() -> None:
    gstreamer = agree("gstreamer-publish")
    assert all(ext.uri != TRANSPORT_SEQUENCE for media in gstreamer.media for ext in media.extensions)
    assert not any(codec.feedback.transport_cc for media in gstreamer.media for codec in media.codecs)


def test_a_section_held_only_by_the_bundle_is_accepted_at_port_nine() -> None:
    section = answer(agree("gstreamer-publish")).media[1]
    assert section.port == 9


def test_candidates_that_are_no_addresses_are_left_out() -> None:
    text = (FOLDER / "ffmpeg-publish.sdp").read_bytes().decode()
    host = "a=candidate:1 1 udp 2113937151 0a1b2c3d-0000-4000-8000-1234567890ab.local 5000 typ host\r\n"
    agreed = negotiate(parse_session(text + host), AnswerRole.RECEIVE)
    assert agreed.peer.candidates == ()


def test_an_offer_without_candidates_and_without_mid_is_answered() -> None:
    text = (FOLDER / "ffmpeg-publish.sdp").read_bytes().decode()
    head, audio, _ = text.split("m=", 2)
    single = head.replace("a=group:BUNDLE 0 1\r\n", "") + "m=" + audio.replace("a=mid:0\r\n", "")
    agreed = negotiate(parse_session(single), AnswerRole.RECEIVE)
    assert agreed.media[0].mid is None
    assert not answer(agreed).bundle


def test_a_data_channel_beside_the_media_is_refused_alone() -> None:
    text = (FOLDER / "ffmpeg-publish.sdp").read_bytes().decode().replace("BUNDLE 0 1", "BUNDLE 0 1 2")
    text += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sctp-port:5000\r\n"
    agreed = negotiate(parse_session(text), AnswerRole.RECEIVE)
    sections = answer(agreed).media
    assert [section.port for section in sections] == [9, 9, 0]
    assert answer(agreed).bundle == ("0", "1")


def edited(name: str, *replacements: tuple[str, str]) -> SessionDescription:
    text = (FOLDER / f"{name}.sdp").read_bytes().decode()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return parse_session(text)


@pytest.mark.parametrize(
    ("replacements", "code"),
    [
        ([("a=rtcp-mux\r\n", "")], NegotiationCode.NO_RTCP_MUX),
        ([("a=group:BUNDLE 0 1\r\n", "")], NegotiationCode.NOT_BUNDLED),
        ([("a=group:BUNDLE 0 1", "a=group:BUNDLE 0")], NegotiationCode.NOT_BUNDLED),
        ([("a=setup:passive", "a=setup:holdconn")], NegotiationCode.SETUP_UNSUPPORTED),
        ([("a=sendonly", "a=recvonly")], NegotiationCode.DIRECTION_UNSUPPORTED),
        ([("a=sendonly", "a=inactive")], NegotiationCode.DIRECTION_UNSUPPORTED),
        ([("UDP/TLS/RTP/SAVPF", "RTP/AVP")], NegotiationCode.PROTOCOL_UNSUPPORTED),
        ([("a=ice-ufrag:3832b781\r\n", "")], NegotiationCode.NO_ICE_CREDENTIALS),
        ([("H264/90000", "THEORA/90000")], NegotiationCode.NO_COMMON_CODEC),
        ([("m=video", "m=audio")], NegotiationCode.TOO_MANY_STREAMS),
        ([("m=video", "m=text"), ("m=audio", "m=text")], NegotiationCode.NO_MEDIA),
    ],
)
def test_what_cannot_be_served_says_why(replacements: list[tuple[str, str]], code: NegotiationCode) -> None:
    with pytest.raises(NegotiationError) as caught:
        negotiate(edited("ffmpeg-publish", *replacements), AnswerRole.RECEIVE)
    assert caught.value.code is code


def test_an_offer_without_fingerprint_is_refused() -> None:
    text = (FOLDER / "ffmpeg-publish.sdp").read_bytes().decode()
    kept = "\r\n".join(line for line in text.split("\r\n") if not line.startswith("a=fingerprint"))
    with pytest.raises(NegotiationError) as caught:
        negotiate(parse_session(kept), AnswerRole.RECEIVE)
    assert caught.value.code is NegotiationCode.NO_FINGERPRINT


def encodings(count: int) -> SessionDescription:
    """An offer of so many encodings of its video."""
    many = ";".join(f"r{n}" for n in range(count))
    rids = "".join(f"a=rid:r{n} send\r\n" for n in range(count))
    return edited("chromium-simulcast", ("a=simulcast:send q;h;f\r\n", f"{rids}a=simulcast:send {many}\r\n"))


def test_four_encodings_are_taken_and_a_fifth_is_refused() -> None:
    taken = negotiate(encodings(4), AnswerRole.RECEIVE)
    (video,) = [media for media in taken.media if media.kind is MediaKind.VIDEO]
    assert [encoding.rid for encoding in video.encodings] == ["r0", "r1", "r2", "r3"]
    with pytest.raises(NegotiationError) as caught:
        negotiate(encodings(5), AnswerRole.RECEIVE)
    assert caught.value.code is NegotiationCode.TOO_MANY_ENCODINGS


def test_a_viewer_that_knows_only_the_audio_gets_the_video_rejected() -> None:
    agreed = negotiate(edited("aiortc-watch", ("VP8/90000", "X/90000"), ("H264/90000", "Y/90000")), AnswerRole.SEND)
    assert [media.kind for media in agreed.media] == [MediaKind.AUDIO]
    ports = {section.kind: section.port for section in answer(agreed).media}
    assert ports == {"video": 0, "audio": 9}


@pytest.mark.parametrize("name", ALL)
def test_a_mutated_offer_is_answered_or_refused_with_a_reason(name: str) -> None:
    lines = (FOLDER / f"{name}.sdp").read_bytes().decode().split("\r\n")
    source = random.Random(name)  # noqa: S311 - a seeded source is the point
    role = role_of(name)
    outcomes = set()
    for _ in range(300):
        mutated = list(lines)
        for _ in range(source.randint(1, 6)):
            index = source.randrange(4, len(mutated))
            match source.randrange(3):
                case 0:
                    del mutated[index]
                case 1:
                    mutated.insert(index, source.choice(lines))
                case _:
                    mutated[index] = mutated[index].replace(source.choice("0123456789:/ "), source.choice("0129:;x"))
        try:
            agreed = negotiate(parse_session("\r\n".join(mutated)), role)
            answer(agreed)
            outcomes.add("answered")
        except (SdpError, NegotiationError) as error:
            outcomes.add(type(error).__name__)
    assert "answered" in outcomes
    assert len(outcomes) > 1
