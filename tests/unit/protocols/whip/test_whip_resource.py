"""What a PATCH asks for, and how header fields and problems are written."""

from __future__ import annotations

import pytest

from roomtone.media.values import Candidate
from roomtone.protocols.sdp import SdpError
from roomtone.protocols.whip import (
    IceGeneration,
    IceServer,
    LocalIce,
    PatchStatus,
    Problem,
    Restart,
    Trickle,
    WhipError,
    extension_links,
    ice_server_link,
    parse_fragment,
    plan_patch,
    write_fragment,
)
from roomtone.protocols.whip.fragment import MAX_CANDIDATES

NOW = IceGeneration("tag1", "EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
# The example of RFC 9725 section 4.3.2.
TRICKLE = """a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1
a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw network-id 2
a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw network-id 1
a=end-of-candidates
"""
RESTART = TRICKLE.replace("EsAw", "ysXw").replace("P2uYro0UCOQ4zxjKXaWCBui1", "vw5LmwG4y/e6dPP/zAP9Gp5k")


def test_candidates_of_the_present_generation_trickle() -> None:
    plan = plan_patch(NOW, '"tag1"', TRICKLE)
    assert isinstance(plan, Trickle)
    assert [(c.protocol, c.ip, c.port) for c in plan.candidates] == [
        ("udp", "192.0.2.1", 61764),
        ("udp", "198.51.100.2", 61765),
        ("tcp", "192.0.2.1", 9),
    ]
    assert plan.end_of_candidates


def test_a_fragment_without_credentials_trickles_too() -> None:
    body = "".join(line + "\n" for line in TRICKLE.splitlines() if not line.startswith("a=ice-"))
    assert isinstance(plan_patch(NOW, '"tag1"', body), Trickle)


def test_new_credentials_restart_ice() -> None:
    for if_match in ("*", '"*"', " * ", '"tag1"'):
        plan = plan_patch(NOW, if_match, RESTART)
        assert isinstance(plan, Restart)
        assert (plan.ice_ufrag, plan.ice_pwd) == ("ysXw", "vw5LmwG4y/e6dPP/zAP9Gp5k")
        assert len(plan.candidates) == 3


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        (None, PatchStatus.PRECONDITION_REQUIRED),
        ('"old"', PatchStatus.PRECONDITION_FAILED),
        ("tag1", PatchStatus.PRECONDITION_FAILED),
        ('W/"tag1"', PatchStatus.PRECONDITION_FAILED),
        ("", PatchStatus.PRECONDITION_FAILED),
        ('"a", "b"', PatchStatus.PRECONDITION_FAILED),
    ],
)
def test_a_wrong_precondition_is_refused_before_the_body_is_read(if_match: str | None, status: PatchStatus) -> None:
    with pytest.raises(WhipError) as caught:
        plan_patch(NOW, if_match, "no fragment")
    assert caught.value.status == status


def test_one_of_several_tags_is_enough() -> None:
    assert isinstance(plan_patch(NOW, 'W/"x", "old" , "tag1"', TRICKLE), Trickle)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("", 1),
        ("hello", 1),
        ("m=audio 9 X 0\na=candidate:nonsense\n", 2),
        ("v=0\n", 1),
        ("a=ice-ufrag:abcd\n", 1),
        ("a=ice-ufrag:abcd\na=ice-ufrag:abce\n", 2),
        ("a=candidate:1 1 udp 1 192.0.2.1 1 typ host\n" * (MAX_CANDIDATES + 1), MAX_CANDIDATES + 1),
    ],
)
def test_a_malformed_fragment_names_its_line(body: str, line: int) -> None:
    with pytest.raises(SdpError) as caught:
        parse_fragment(body)
    assert caught.value.line == line


def test_candidates_nobody_can_reach_are_left_out_in_silence() -> None:
    fragment = parse_fragment(
        "a=candidate:1 1 udp 1 host.local 1 typ host\na=candidate:2 1 sctp 1 192.0.2.1 1 typ host\n"
        "a=candidate:3 2 udp 1 192.0.2.1 1 typ host\na=candidate:4 1 udp 1 192.0.2.1 1 typ host\n"
    )
    assert [candidate.foundation for candidate in fragment.reachable()] == ["4"]


def test_the_answer_to_a_restart_is_a_fragment_with_our_side() -> None:
    candidate = Candidate(
        foundation="9", component=1, protocol="udp", priority=5, ip="192.0.2.7", port=40000, kind="host"
    )
    plan = plan_patch(NOW, "*", RESTART)
    assert isinstance(plan, Restart)
    text = write_fragment(LocalIce("newu", "n" * 24, [candidate]), plan.fragment)
    back = parse_fragment(text)
    assert (back.ice_ufrag, back.ice_pwd, back.mid) == ("newu", "n" * 24, "0")
    assert back.reachable() == (candidate,)
    assert "a=ice-lite\r\n" in text
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" in text


def test_ice_servers_are_written_as_rfc_9725_shows() -> None:
    assert ice_server_link(IceServer("stun:stun.example.net")) == '<stun:stun.example.net>; rel="ice-server"'
    link = ice_server_link(IceServer("turn:turn.example.net?transport=udp", 'us"er', "pass\\\r\nword"))
    assert link == (
        '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="us\\"er"; '
        'credential="pass\\\\word"; credential-type="password"'
    )


def test_wheps_extensions_have_their_urls() -> None:
    events, layer = extension_links("/whep/demo/x")
    assert events.startswith('</whep/demo/x/sse>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="')
    assert layer == '</whep/demo/x/layer>; rel="urn:ietf:params:whep:ext:core:layer"'


def test_a_problem_names_the_line_only_where_there_is_one() -> None:
    assert Problem(404, "x", "y").body()["title"] == "Not Found"
    assert "line" not in Problem(404, "x", "y").body()
    assert Problem(400, "x", "y", 3).body()["line"] == 3
