"""Calls and referrals that need credentials or another call: digest in both roles, attended transfers."""

from __future__ import annotations

import itertools

import pytest
from agent_bench import ADDRESS, ANSWER, B_HOST, Pair

from roomtone.protocols.sip.agent import (
    Answered,
    Ended,
    EndReason,
    Invited,
    RefersToNobodyError,
    Refused,
    Requested,
    Responded,
    read_referral,
    replaces_of,
)
from roomtone.protocols.sip.digest import (
    AnswerFailure,
    DigestClient,
    DigestPolicy,
    DigestServer,
    Login,
    Secret,
    Verdict,
)
from roomtone.protocols.sip.digest.hooks import DigestAuthenticator
from roomtone.protocols.sip.flow import Flow
from roomtone.protocols.sip.headers.address import Address
from roomtone.protocols.sip.message import Request, Response, header_line, parse_message
from roomtone.protocols.sip.uri import SipUri, parse_uri


class Doorkeeper:
    """Challenges whoever has no good credentials for the realm."""

    def __init__(self, password: str) -> None:
        self.server = DigestServer(DigestPolicy("example.org"), b"k" * 32)
        self.secret = Secret(password=password)
        self.verdicts: list[Verdict] = []

    def check(self, request: Request, flow: Flow) -> tuple[int, bytes] | None:  # noqa: ARG002
        credentials = self.server.credentials(request)
        if isinstance(credentials, Verdict):
            verdict = credentials
        else:
            verdict = self.server.verify(credentials, request, self.secret, 5_000)
        self.verdicts.append(verdict)
        if verdict is Verdict.ACCEPTED:
            return None
        challenges = self.server.challenges(5_000, stale=verdict is Verdict.STALE)
        return 401, b"".join(header_line("WWW-Authenticate", one.serialize()) + b"\r\n" for one in challenges)


def guarded(password: str) -> tuple[Pair, Doorkeeper, DigestAuthenticator]:
    words = itertools.count()
    client = DigestClient(Login("alice", password), lambda: f"cnonce{next(words)}")
    keeper, authenticator = Doorkeeper("sesame"), DigestAuthenticator(client)
    return Pair(a_hooks={"authenticator": authenticator}, b_hooks={"guard": keeper}), keeper, authenticator


def test_a_call_is_challenged_and_let_in_by_digest() -> None:
    pair, keeper, _ = guarded("sesame")
    pair.call()
    assert keeper.verdicts == [Verdict.NO_CREDENTIALS, Verdict.ACCEPTED]
    pair.b.agent.answer_invite(pair.invited(), pair.now, body=ANSWER)
    pair.run()
    leg = pair.a.take(Answered).leg
    ack = next(message for message in reversed(pair.a.sent) if isinstance(message, Request) and message.method == "ACK")
    assert "authorization" in ack.headers
    pair.a.agent.bye(leg, pair.now)
    assert pair.is_empty()


def test_a_wrong_password_is_tried_once() -> None:
    pair, keeper, authenticator = guarded("open")
    pair.call()
    assert pair.a.take(Refused).reason is EndReason.REFUSED
    assert len(keeper.verdicts) == 2
    assert authenticator.failures == {AnswerFailure.REJECTED: 1}
    assert pair.is_empty()


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE", "REGISTER"])
def test_other_requests_are_let_in_by_digest_as_well(method: str) -> None:
    pair, keeper, _ = guarded("sesame")
    dialog = pair.a.agent.new_dialog(f"sip:{B_HOST}", pair.a.flow, from_=ADDRESS, to=ADDRESS)
    pair.a.agent.request(dialog, method, pair.now, body=b"x", block=b"Content-Type: text/plain\r\n")
    pair.run()
    pair.b.agent.respond(pair.b.take(Requested).transaction, 200, pair.now)
    pair.run()
    response = pair.a.take(Responded).response
    assert response is not None
    assert response.status == 200
    assert keeper.verdicts == [Verdict.NO_CREDENTIALS, Verdict.ACCEPTED]


def refer(pair: Pair, *lines: str) -> Request:
    dialog = pair.a.agent.new_dialog(f"sip:{B_HOST}", pair.a.flow, from_=ADDRESS, to=ADDRESS)
    pair.a.agent.request(dialog, "REFER", pair.now, block="".join(f"{line}\r\n" for line in lines).encode())
    pair.run()
    return pair.b.take(Requested).request


def test_an_attended_transfer_takes_the_place_of_the_call_it_names() -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    target = parse_uri(f"sip:b@{B_HOST}")
    assert isinstance(target, SipUri)
    request = refer(pair, f"Refer-To: {replaces_of(ours).refer_to(target).serialize()}", "Referred-By: <sip:x@y>")
    referral = read_referral(request)
    assert referral.target == Address(f"sip:b@{B_HOST}")
    pair.call(block=referral.block)
    invited = pair.b.take(Invited)
    assert invited.replaces is theirs
    assert invited.request.headers.get("referred-by") == b"<sip:x@y>"
    pair.b.agent.answer_invite(invited.leg, pair.now, body=ANSWER)
    pair.run()
    assert pair.b.take(Ended).reason is EndReason.REPLACED
    assert ours.is_over


def test_only_replaces_is_taken_from_the_uri_of_a_refer() -> None:
    pair = Pair()
    request = refer(pair, "Refer-To: <sip:c@example.org;method=INVITE?Route=%3Csip:evil%3E&Subject=x>")
    referral = read_referral(request)
    assert referral.target.uri_text == "sip:c@example.org"
    assert referral.block == b""


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((), 400),
        (("Refer-To: <sip:c@h>", "Refer-To: <sip:d@h>"), 400),
        (("Refer-To: <sip:c@h;method=BYE>",), 603),
    ],
)
def test_a_refer_to_nobody_says_how_it_is_refused(lines: tuple[str, ...], status: int) -> None:
    request = refer(Pair(), *lines)
    with pytest.raises(RefersToNobodyError) as caught:
        read_referral(request)
    assert caught.value.status == status


REGISTER = (
    b"REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK%b;rport\r\n"
    b"From: <sip:alice@example.org>;tag=f\r\nTo: <sip:alice@example.org>\r\nCall-ID: c\r\nCSeq: 7 REGISTER\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def test_strangers_are_challenged_without_a_transaction() -> None:
    pair, keeper, _ = guarded("sesame")
    agent, flow = pair.b.agent, pair.b.flow
    told = []
    for branch in (b"1", b"1", b"2"):  # the first is repeated
        agent.handle_message(parse_message(REGISTER % branch), flow, pair.now)
        transmit = agent.poll_transmit()
        assert transmit is not None
        answer = parse_message(transmit.data)
        assert isinstance(answer, Response)
        assert (answer.status, len(agent.layer.servers), len(agent.layer.wheel)) == (401, 0, 0)
        assert answer.via.params.has("received")
        told.append((answer.to_tag, answer.headers.text("www-authenticate")))
    assert len({tag for tag, _ in told}) == 1, "a tag stays where its request is repeated"
    assert len({nonce for _, nonce in told}) == 3
    assert keeper.verdicts == [Verdict.NO_CREDENTIALS] * 3
    assert agent.poll_event() is None
