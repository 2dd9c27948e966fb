"""Sections of offers: which track each carries, on the way in and on the way out."""

from __future__ import annotations

import itertools

import pytest
from livekit.protocol import models, rtc

from roomtone.media.values import Candidate, EncodingParameters, Fingerprint, MediaKind
from roomtone.protocols.livekit import AnnouncementError, OfferedTracks, PublishedTracks, ReceivedTracks, WantedTrack
from roomtone.protocols.livekit.publishing import prefer
from roomtone.protocols.sdp import (
    Codec,
    Direction,
    LocalPeer,
    NegotiatedMedia,
    NegotiationError,
    OfferedData,
    OfferedMedia,
    SdpError,
    Sending,
    Support,
    parse_session,
    read_peer_offer,
    write_offer,
)
from roomtone.protocols.sdp.repertoire import OPUS, VIDEO_CODECS
from roomtone.protocols.sdp.support import DEPENDENCY_DESCRIPTOR

SUPPORT = Support(max_media=64, max_tracks_per_kind=64)
LOCAL = LocalPeer(
    "ufrag",
    "p" * 22,
    (Fingerprint(algorithm="sha-256", value=":".join(["AB"] * 32)),),
    (Candidate(foundation="1", component=1, protocol="udp", priority=1, ip="192.0.2.1", port=40000, kind="host"),),
)
OTHER = LocalPeer("other", "q" * 22, LOCAL.fingerprints, LOCAL.candidates)
VP8 = (Codec(MediaKind.VIDEO, 120, "VP8", 90_000),)


def section(mid: str, kind: MediaKind, track: str, direction: Direction = Direction.SENDONLY) -> OfferedMedia:
    codecs = (OPUS,) if kind is MediaKind.AUDIO else (VIDEO_CODECS[0],)
    return OfferedMedia(mid, kind, codecs, direction, (), Sending(int(mid) + 10, None, "us", "-", track))


def offer(*sections: OfferedMedia | OfferedData, local: LocalPeer = LOCAL) -> str:
    return write_offer(sections, local, (1, 1)).serialize()


def add(cid: str, kind: models.TrackType = models.TrackType.VIDEO, **more: object) -> rtc.AddTrackRequest:
    return rtc.AddTrackRequest(cid=cid, type=kind, **more)  # type: ignore[arg-type]


def wanted(sid: str, kind: MediaKind = MediaKind.VIDEO) -> WantedTrack:
    codecs = VP8 if kind is MediaKind.VIDEO else (Codec(MediaKind.AUDIO, 96, "OPUS", 48_000, 2),)
    return WantedTrack(sid, kind, f"PA_1|{sid}", codecs)


# --- published ---


def test_a_track_starts_when_announced_and_offered_whichever_comes_first() -> None:
    tracks = PublishedTracks(SUPPORT)
    assert tracks.announce(add("cam"), "TR_1") is None
    plan = tracks.handle_offer(offer(section("0", MediaKind.VIDEO, "cam"), section("1", MediaKind.AUDIO, "mic")))
    assert [(start.mid, start.announced.sid) for start in plan.starting] == [("0", "TR_1")]
    assert set(plan.answers) == {"0", "1"}
    late = tracks.announce(add("mic", models.TrackType.AUDIO), "TR_2")
    assert late is not None
    assert (late.mid, late.announced.sid) == ("1", "TR_2")
    again = tracks.handle_offer(offer(section("0", MediaKind.VIDEO, "cam"), section("1", MediaKind.AUDIO, "mic")))
    assert (again.starting, again.stopping, again.restarted) == ((), (), False)


def test_a_track_stops_with_its_section_or_when_another_takes_the_section() -> None:
    tracks = PublishedTracks(SUPPORT)
    tracks.announce(add("a"), "TR_1")
    tracks.announce(add("b"), "TR_2")
    tracks.handle_offer(offer(section("0", MediaKind.VIDEO, "a")))
    plan = tracks.handle_offer(offer(section("0", MediaKind.VIDEO, "b")))
    assert (plan.stopping, [start.announced.sid for start in plan.starting]) == (("TR_1",), ["TR_2"])
    plan = tracks.handle_offer(offer(section("0", MediaKind.VIDEO, "b", Direction.INACTIVE)))
    assert plan.stopping == ("TR_2",)


def test_a_browser_that_calls_its_track_otherwise_is_understood_where_only_one_can_be_meant() -> None:
    tracks = PublishedTracks(SUPPORT)
    tracks.announce(add("cam"), "TR_1")
    plan = tracks.handle_offer(offer(section("0", MediaKind.VIDEO, "{made-up}")))
    assert [start.announced.sid for start in plan.starting] == ["TR_1"]
    two = PublishedTracks(SUPPORT)
    two.announce(add("a"), "TR_1")
    two.announce(add("b"), "TR_2")
    assert two.handle_offer(offer(section("0", MediaKind.VIDEO, "{made-up}"))).starting == ()


def test_an_offer_with_other_credentials_restarts_ice() -> None:
    tracks = PublishedTracks(SUPPORT)
    text = offer(OfferedData("0"))
    assert not tracks.handle_offer(text).restarted
    assert not tracks.handle_offer(text).restarted
    assert tracks.handle_offer(offer(OfferedData("0"), local=OTHER)).restarted


def test_an_offer_that_is_none_changes_nothing() -> None:
    tracks = PublishedTracks(SUPPORT)
    tracks.announce(add("cam"), "TR_1")
    tracks.handle_offer(offer(section("0", MediaKind.VIDEO, "cam")))
    for text, error in (("x", SdpError), (offer(OfferedData("0")).replace("a=fingerprint", "a=x"), NegotiationError)):
        with pytest.raises(error):
            tracks.handle_offer(text)
    assert tracks.handle_offer(offer(section("0", MediaKind.VIDEO, "cam"))).stopping == ()


def test_announcements_are_bounded_and_withdrawn() -> None:
    tracks = PublishedTracks(SUPPORT, limit=1)
    tracks.announce(add("a"), "TR_1")
    assert tracks.announced("TR_1") is not None
    with pytest.raises(AnnouncementError) as caught:
        tracks.announce(add("b"), "TR_2")
    assert caught.value.reason == rtc.RequestResponse.Reason.LIMIT_EXCEEDED
    tracks.withdraw("TR_1")
    assert tracks.announce(add("b"), "TR_2") is None


def test_the_codec_a_client_names_comes_first_and_opus_is_told_of_silence_and_stereo() -> None:
    video = NegotiatedMedia(0, MediaKind.VIDEO, "0", (VIDEO_CODECS[0], VIDEO_CODECS[1]))
    request = add("x", simulcast_codecs=[rtc.SimulcastCodec(codec="vp9")])
    assert [codec.name for codec in prefer(video, request).codecs] == ["VP9", "VP8"]
    layers = NegotiatedMedia(
        0, MediaKind.VIDEO, "0", (VIDEO_CODECS[0],), encodings=tuple(EncodingParameters(rid=rid) for rid in "fhq")
    )
    assert [encoding.rid for encoding in prefer(layers, request).encodings] == ["q", "h", "f"]
    audio = NegotiatedMedia(0, MediaKind.AUDIO, "0", (OPUS,))
    (opus,) = prefer(audio, add("x", models.TrackType.AUDIO, stereo=True)).codecs
    assert (opus.parameter("usedtx"), opus.parameter("stereo")) == ("1", "1")
    (opus,) = prefer(audio, add("x", models.TrackType.AUDIO, disable_dtx=True)).codecs
    assert (opus.parameter("usedtx"), opus.parameter("stereo")) == ("", "")


def test_what_is_encrypted_from_end_to_end_is_sent_without_redundancy() -> None:
    red = Codec(MediaKind.AUDIO, 63, "RED", 48_000, 2, (("111/111", None),))
    audio = NegotiatedMedia(0, MediaKind.AUDIO, "0", (OPUS, red))
    plain = add("x", models.TrackType.AUDIO)
    assert [codec.name for codec in prefer(audio, plain).codecs] == ["RED", "OPUS"]
    for request in (
        add("x", models.TrackType.AUDIO, disable_red=True),
        add("x", models.TrackType.AUDIO, encryption=models.Encryption.Type.GCM),
    ):
        assert [codec.name for codec in prefer(audio, request).codecs] == ["OPUS"]


# --- offered ---


def tracks_offered(*, reuse: bool = True, limit: int = 10) -> OfferedTracks:
    numbers = itertools.count(1000)
    return OfferedTracks(lambda: next(numbers), "us", reuse=reuse, limit=limit)


def take(tracks: OfferedTracks, text: str) -> tuple[list[str], tuple[str, ...]]:
    """Answer an offer, taking everything; gives what begins and what was refused."""
    answer = text.replace("a=setup:actpass", "a=setup:active").replace("a=sendonly", "a=recvonly")
    plan = tracks.handle_answer(answer.replace("a=ssrc", "a=x-ssrc"), tracks.offer_id)
    assert plan is not None
    return [accepted.sid for accepted in plan.accepted], plan.refused


def test_the_first_offer_has_data_channels_and_nothing_else() -> None:
    tracks = tracks_offered()
    assert tracks.changed
    text = tracks.make_offer(LOCAL)
    assert [section.kind for section in parse_session(text).media] == ["application"]
    assert (tracks.awaiting, tracks.changed) == (True, False)
    assert take(tracks, text) == ([], ())


def test_a_section_is_used_again_only_after_it_was_idle() -> None:
    tracks = tracks_offered()
    assert tracks.want(wanted("TR_1"))
    assert take(tracks, tracks.make_offer(LOCAL)) == (["TR_1"], ())
    tracks.drop("TR_1")
    tracks.want(wanted("TR_2"))
    assert tracks.mids() == {"2": "TR_2"}
    text = tracks.make_offer(LOCAL)
    assert [section.direction for section in parse_session(text).media[1:]] == [Direction.INACTIVE, Direction.SENDONLY]
    assert take(tracks, text) == (["TR_2"], ())
    tracks.want(wanted("TR_3", MediaKind.AUDIO))
    tracks.want(wanted("TR_4"))
    assert tracks.mids() == {"1": "TR_4", "2": "TR_2", "3": "TR_3"}


def test_where_clients_do_not_notice_each_track_has_a_section_of_its_own() -> None:
    tracks = tracks_offered(reuse=False)
    tracks.want(wanted("TR_1"))
    take(tracks, tracks.make_offer(LOCAL))
    tracks.drop("TR_1")
    take(tracks, tracks.make_offer(LOCAL))
    tracks.want(wanted("TR_2"))
    assert tracks.mids() == {"2": "TR_2"}


def test_what_changes_while_an_answer_is_awaited_is_in_the_next_offer() -> None:
    tracks = tracks_offered()
    tracks.want(wanted("TR_1"))
    text = tracks.make_offer(LOCAL)
    tracks.drop("TR_1")
    tracks.want(wanted("TR_2"))
    assert take(tracks, text) == ([], ())
    assert tracks.changed
    assert take(tracks, tracks.make_offer(LOCAL)) == (["TR_2"], ())


def test_a_section_the_client_rejects_is_a_track_it_cannot_take() -> None:
    tracks = tracks_offered()
    tracks.want(wanted("TR_1"))
    text = tracks.make_offer(LOCAL).replace("m=video 9", "m=video 0")
    assert take(tracks, text) == ([], ("TR_1",))


@pytest.mark.parametrize("mixed", [True, False])
def test_a_long_extension_goes_only_to_who_takes_the_long_form(*, mixed: bool) -> None:
    tracks = tracks_offered()
    tracks.want(wanted("TR_1"))
    text = tracks.make_offer(LOCAL).replace("a=setup:actpass", "a=setup:active").replace("a=sendonly", "a=recvonly")
    plan = tracks.handle_answer(text if mixed else text.replace("a=extmap-allow-mixed\r\n", ""))
    assert plan is not None
    (accepted,) = plan.accepted
    assert (DEPENDENCY_DESCRIPTOR in {extension.uri for extension in accepted.extensions}) is mixed


def test_lost_audio_is_not_asked_for_where_the_settings_say_so() -> None:
    tracks = OfferedTracks(lambda: 1, "us", audio_nack=False)
    tracks.want(wanted("TR_1", MediaKind.AUDIO))
    assert "111 nack" not in tracks.make_offer(LOCAL)


def test_answers_to_other_offers_and_unasked_ones_are_passed_over() -> None:
    tracks = tracks_offered()
    assert tracks.handle_answer("v=0") is None
    text = tracks.make_offer(LOCAL)
    assert tracks.handle_answer(text, 7) is None
    assert tracks.awaiting
    tracks.resume()
    assert not tracks.awaiting
    assert tracks.changed


def test_tracks_nobody_can_carry_and_too_many_are_not_wanted() -> None:
    tracks = tracks_offered(limit=1)
    odd = WantedTrack("TR_0", MediaKind.VIDEO, "PA|TR_0", (Codec(MediaKind.VIDEO, 100, "XYZ", 90_000),))
    assert not tracks.want(odd)
    assert tracks.want(wanted("TR_1"))
    assert not tracks.want(wanted("TR_2"))


# --- received ---


def received(*, limit: int = 10) -> ReceivedTracks:
    numbers = itertools.count(1000)
    return ReceivedTracks(lambda: next(numbers), "us", limit=limit)


def media_of(*sections: OfferedMedia) -> tuple[object, ...]:
    return read_peer_offer(parse_session(offer(*sections)), SUPPORT).media


def empty(mid: str, kind: MediaKind = MediaKind.VIDEO) -> OfferedMedia:
    made = section(mid, kind, "x", Direction.RECVONLY)
    return OfferedMedia(mid, kind, made.codecs, Direction.RECVONLY)


def test_sections_are_asked_for_once_and_tracks_placed_when_they_come() -> None:
    tracks = received()
    tracks.want(wanted("TR_1"))
    tracks.want(wanted("TR_2", MediaKind.AUDIO))
    assert tracks.changed
    assert tracks.missing() == (1, 1)
    assert tracks.missing() == (0, 0)
    sections = media_of(empty("0"), empty("1", MediaKind.AUDIO), empty("2"))
    assert {accepted.sid: accepted.mid for accepted in tracks.handle_offer(sections)} == {"TR_1": "0", "TR_2": "1"}
    answers = tracks.answers(sections)
    assert set(answers) == {"0", "1"}
    assert tracks.mids() == {"0": "TR_1", "1": "TR_2"}
    assert not tracks.unplaced
    tracks.want(wanted("TR_3"))
    assert tracks.missing() == (0, 0)  # there is a section left: an offer alone is needed
    assert [accepted.mid for accepted in tracks.handle_offer(sections)] == ["2"]


def test_a_received_section_too_is_idle_before_another_track_has_it() -> None:
    tracks = received()
    sections = media_of(empty("0"))
    tracks.want(wanted("TR_1"))
    tracks.handle_offer(sections)
    tracks.answers(sections)
    tracks.drop("TR_1")
    tracks.want(wanted("TR_2"))
    assert tracks.handle_offer(sections) == ()
    assert tracks.answers(sections) == {}
    assert tracks.unplaced
    assert [accepted.sid for accepted in tracks.handle_offer(sections)] == ["TR_2"]


def test_more_tracks_than_the_limit_are_not_wanted() -> None:
    tracks = received(limit=1)
    assert tracks.want(wanted("TR_1"))
    assert not tracks.want(wanted("TR_2"))
    assert tracks.holds("TR_1")
    assert not tracks.holds("TR_2")
