"""Calls between two user agents: RFC 3261 sections 9, 12, 13 and 15."""

from __future__ import annotations

import pytest
from agent_bench import ADDRESS, ANSWER, B_HOST, OFFER, Pair

from roomtone.protocols.sip.agent import (
    AgentLimits,
    AgentSettings,
    Answered,
    Confirmed,
    Ended,
    EndReason,
    Invited,
    Progressed,
    Refused,
    TooManyError,
    WrongStateError,
)
from roomtone.protocols.sip.dialog import DialogState
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.message import Request, Response
from roomtone.protocols.sip.transaction import TooManyTransactionsError, TransactionLimits


def test_a_call_is_set_up_and_ended_by_the_caller() -> None:
    pair = Pair()
    pair.call()
    invited = pair.b.take(Invited)
    assert invited.request.body == OFFER
    pair.b.agent.progress(invited.leg, 180, pair.now)
    pair.run()
    assert pair.a.take(Progressed).response.status == 180
    pair.b.agent.answer_invite(invited.leg, pair.now, body=ANSWER)
    pair.run()
    answered = pair.a.take(Answered)
    assert answered.response.body == ANSWER
    assert pair.b.take(Confirmed).leg is invited.leg
    pair.a.agent.bye(answered.leg, pair.now)
    pair.run()
    assert pair.a.take(Ended).reason is EndReason.LOCAL
    assert pair.b.take(Ended).reason is EndReason.REMOTE
    assert pair.words() == [
        "a INVITE", "b 100 INVITE", "b 180 INVITE", "b 200 INVITE", "a ACK", "a BYE", "b 200 BYE",
    ]  # fmt: skip
    assert pair.is_empty()
    assert pair.a.none()
    assert pair.b.none()


def test_a_call_is_ended_by_the_called() -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    pair.b.agent.bye(theirs, pair.now)
    pair.run()
    assert pair.a.take(Ended).leg is ours
    assert pair.is_empty()


def test_both_hang_up_at_once() -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    pair.a.agent.bye(ours, pair.now)
    pair.b.agent.bye(theirs, pair.now)
    pair.run()
    assert pair.words() == ["a BYE", "b BYE", "b 481 BYE", "a 481 BYE"]
    assert [event.reason for event in (pair.a.take(Ended), pair.b.take(Ended))] == [EndReason.LOCAL] * 2
    assert pair.is_empty()
    assert pair.a.none()


def test_a_refusal_ends_the_call() -> None:
    pair = Pair()
    pair.call()
    pair.b.agent.refuse(pair.invited(), 486, pair.now, block=b"Reason: Q.850;cause=17\r\n")
    pair.run()
    refused = pair.a.take(Refused)
    assert refused.reason is EndReason.REFUSED
    assert refused.response is not None
    assert (refused.response.status, refused.response.headers.get("reason")) == (486, b"Q.850;cause=17")
    assert pair.b.take(Ended).reason is EndReason.LOCAL
    assert pair.is_empty()


def test_cancel_ends_a_ringing_call_on_both_sides() -> None:
    pair = Pair()
    call = pair.call()
    pair.b.agent.progress(pair.invited(), 180, pair.now)
    pair.run()
    call.cancel(pair.now, b"Reason: SIP;cause=200\r\n")
    pair.run()
    ended = pair.b.take(Ended)
    assert ended.reason is EndReason.CANCELLED
    assert ended.message is not None
    assert ended.message.headers.get("reason") == b"SIP;cause=200"
    pair.a.take(Progressed)
    assert pair.a.take(Refused).reason is EndReason.CANCELLED
    assert pair.words()[3:] == ["a CANCEL", "b 200 CANCEL", "b 487 INVITE", "a ACK"]
    assert pair.is_empty()


def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() -> None:
    pair = Pair()
    call = pair.call()
    leg = pair.invited()
    pair.b.agent.answer_invite(leg, pair.now, body=ANSWER)
    call.cancel(pair.now)
    pair.run()
    assert pair.a.take(Refused).reason is EndReason.CANCELLED
    assert pair.b.take(Confirmed).leg is leg
    assert pair.b.take(Ended).reason is EndReason.REMOTE
    assert pair.a.none()
    assert pair.is_empty()


def test_cancel_of_an_answered_call_is_refused() -> None:
    pair = Pair()
    call = pair.call()
    pair.b.agent.answer_invite(pair.invited(), pair.now, body=ANSWER)
    pair.run()
    with pytest.raises(WrongStateError):
        call.cancel(pair.now)


def test_nobody_there() -> None:
    pair = Pair()
    pair.lose = lambda _: True
    pair.call()
    pair.wait(32_000)
    assert pair.a.take(Refused).reason is EndReason.TIMEOUT
    assert pair.is_empty()


def test_an_answer_is_repeated_until_its_ack_comes_and_acknowledged_again_each_time() -> None:
    pair = Pair()
    pair.call()
    leg = pair.invited()
    acks = iter([True, True, False])
    pair.lose = lambda message: isinstance(message, Request) and message.method == "ACK" and next(acks)
    pair.b.agent.answer_invite(leg, pair.now, body=ANSWER)
    pair.wait(10_000)
    assert pair.words()[2:] == ["b 200 INVITE", "a ACK"] * 3
    pair.a.take(Answered)
    pair.b.take(Confirmed)
    assert pair.a.none()
    assert pair.b.none()


def test_an_answer_that_is_never_acknowledged_ends_the_leg() -> None:
    pair = Pair()
    pair.call()
    leg = pair.invited()
    pair.lose = lambda message: isinstance(message, Request) and message.method == "ACK"
    pair.b.agent.answer_invite(leg, pair.now, body=ANSWER)
    pair.wait(40_000)
    assert pair.b.take(Ended).reason is EndReason.NO_ACK
    pair.a.take(Answered)
    assert pair.a.take(Ended).reason is EndReason.REMOTE
    assert pair.is_empty()


def test_bye_of_the_called_waits_for_the_ack() -> None:
    pair = Pair()
    pair.call()
    leg = pair.invited()
    pair.b.agent.answer_invite(leg, pair.now, body=ANSWER)
    pair.b.agent.bye(leg, pair.now)
    assert pair.b.agent.poll_event() is not None
    pair.run()
    assert pair.words()[2:] == ["b 200 INVITE", "a ACK", "b BYE", "a 200 BYE"]
    assert pair.is_empty()


def test_an_invite_without_an_offer_gets_it_in_the_answer_and_answers_in_the_ack() -> None:
    pair = Pair()
    pair.call(body=b"")
    leg = pair.invited()
    pair.b.agent.answer_invite(leg, pair.now, body=OFFER)
    pair.run()
    answered = pair.a.take(Answered)
    assert answered.response.body == OFFER
    assert "a ACK" not in pair.words()
    pair.a.agent.acknowledge(answered.leg, pair.now, body=ANSWER)
    pair.run()
    assert pair.b.take(Confirmed).ack.body == ANSWER
    with pytest.raises(WrongStateError):
        pair.a.agent.acknowledge(answered.leg, pair.now, body=ANSWER)


def test_expired_invite_is_refused() -> None:
    pair = Pair()
    pair.call(block=b"Expires: 20\r\n")
    pair.b.agent.progress(pair.invited(), 180, pair.now)
    pair.wait(20_000)
    assert pair.b.take(Ended).reason is EndReason.EXPIRED
    pair.a.take(Progressed)
    refused = pair.a.take(Refused)
    assert refused.response is not None
    assert refused.response.status == 487
    assert pair.is_empty()


def test_what_comes_too_late_is_refused_and_not_sent() -> None:
    pair = Pair()
    pair.call()
    leg = pair.invited()
    pair.b.agent.refuse(leg, 486, pair.now)
    pair.run()
    pair.words()
    for late in (
        lambda: pair.b.agent.answer_invite(leg, pair.now, body=ANSWER),
        lambda: pair.b.agent.progress(leg, 180, pair.now),
        lambda: pair.b.agent.refuse(leg, 486, pair.now),
        lambda: pair.b.agent.bye(leg, pair.now),
    ):
        with pytest.raises(WrongStateError):
            late()
    pair.run()
    assert pair.words() == []


def reply(invite: Request, status: int, tag: str, body: bytes = b"", *more: str) -> bytes:
    lines = [
        line
        for key, line in zip(invite.headers.keys, invite.headers.lines, strict=True)
        if key in {"via", "from", "to", "call-id", "cseq"}
    ]
    lines = [line + f";tag={tag}".encode() if line.startswith(b"To:") else line for line in lines]
    head = [
        b"SIP/2.0 %d X" % status,
        *lines,
        f"Contact: <sip:{tag}@{B_HOST}>".encode(),
        *[line.encode() for line in more],
    ]
    return b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"", body])


def test_the_first_fork_that_answers_wins_and_late_ones_are_acknowledged_and_ended() -> None:
    pair = Pair()
    pair.lose = lambda _: True
    pair.call()
    invite = pair.a.sent[0]
    assert isinstance(invite, Request)
    for status, tag in ((180, "one"), (183, "two"), (180, "three")):
        pair.a.agent.handle_data(reply(invite, status, tag), pair.a.flow, pair.now)
    pair.run()
    legs = [pair.a.take(Progressed).leg for _ in range(3)]
    assert len({id(leg) for leg in legs}) == 3
    for tag in ("two", "one", "four", "one"):
        pair.a.agent.handle_data(reply(invite, 200, tag, ANSWER), pair.a.flow, pair.now)
    pair.run()
    answered = pair.a.take(Answered)
    assert answered.leg is legs[1]
    assert pair.a.none()
    assert [word for word in pair.words() if word[2:] in {"ACK", "BYE"}] == [
        "a ACK", "a ACK", "a BYE", "a ACK", "a BYE", "a ACK",
    ]  # fmt: skip
    byes = [message.uri_text for message in pair.a.sent if isinstance(message, Request) and message.method == "BYE"]
    assert byes == [f"sip:one@{B_HOST}", f"sip:four@{B_HOST}"]
    assert pair.a.agent.counters.forks_ended == 2
    assert len(pair.a.agent.dialogs) == 1
    pair.a.agent.bye(answered.leg, pair.now)
    assert pair.is_empty()


def test_a_retransmitted_answer_of_a_lost_fork_is_acknowledged_again() -> None:
    pair = Pair()
    pair.lose = lambda _: True
    pair.call()
    invite = pair.a.sent[0]
    assert isinstance(invite, Request)
    for tag in ("one", "two", "two"):
        pair.a.agent.handle_data(reply(invite, 200, tag, ANSWER), pair.a.flow, pair.now)
    pair.run()
    assert pair.words().count("a ACK") == 3


def test_more_forks_than_may_be_are_not_remembered() -> None:
    pair = Pair(limits=AgentLimits(forks=4))
    pair.lose = lambda _: True
    pair.call()
    invite = pair.a.sent[0]
    assert isinstance(invite, Request)
    for n in range(10):
        pair.a.agent.handle_data(reply(invite, 180, f"t{n}"), pair.a.flow, pair.now)
    assert len(pair.a.agent.dialogs) == 4
    assert pair.a.agent.counters.forks_dropped == 6


def test_requests_follow_the_route_set_of_the_answer_and_the_contact() -> None:
    pair = Pair()
    pair.lose = lambda _: True
    pair.call()
    invite = pair.a.sent[0]
    assert isinstance(invite, Request)
    answer = reply(
        invite, 200, "x", ANSWER, "Record-Route: <sip:198.51.100.2;lr>", "Record-Route: <sip:198.51.100.1;lr>"
    )
    pair.a.agent.handle_data(answer, pair.a.flow, pair.now)
    transmit = pair.a.agent.poll_transmit()
    assert transmit is not None
    assert transmit.flow.remote_host == "198.51.100.1"
    pair.a.agent.layer.transmits.append(transmit)
    pair.run()
    ack = pair.a.sent[-1]
    assert isinstance(ack, Request)
    assert ack.uri_text == f"sip:x@{B_HOST}"
    assert ack.headers.items("route") == ["<sip:198.51.100.1;lr>", "<sip:198.51.100.2;lr>"]


def test_a_strict_router_finds_itself_in_the_request_uri() -> None:
    pair = Pair()
    pair.lose = lambda _: True
    pair.call()
    invite = pair.a.sent[0]
    assert isinstance(invite, Request)
    pair.a.agent.handle_data(reply(invite, 200, "x", ANSWER, "Record-Route: <sip:198.51.100.1>"), pair.a.flow, pair.now)
    pair.run()
    ack = pair.a.sent[-1]
    assert isinstance(ack, Request)
    assert ack.uri_text == "sip:198.51.100.1"
    assert ack.headers.items("route") == [f"<sip:x@{B_HOST}>"]


def test_the_same_invite_by_two_ways_is_answered_once() -> None:
    pair = Pair()
    pair.call()
    pair.b.take(Invited)
    invite = pair.a.sent[0]
    again = invite.serialize().replace(b"branch=z9hG4bK", b"branch=z9hG4bKother")
    pair.b.agent.handle_data(again, pair.b.flow, pair.now)
    pair.run()
    assert pair.words()[-1] == "b 482 INVITE"
    assert pair.b.none()
    assert pair.b.agent.counters.merged == 1


def test_an_old_cseq_in_a_dialog_is_refused() -> None:
    pair = Pair()
    ours, _ = pair.talk()
    pair.a.agent.request(ours.dialog, "INFO", pair.now)
    pair.run()
    ours.dialog.local_cseq -= 1
    pair.a.agent.request(ours.dialog, "MESSAGE", pair.now)
    ours.dialog.local_cseq -= 2
    pair.a.agent.request(ours.dialog, "MESSAGE", pair.now)
    pair.run()
    assert "b 500 MESSAGE" in pair.words()
    assert pair.b.agent.counters.out_of_order == 1


def test_a_request_of_no_dialog_is_refused() -> None:
    pair = Pair()
    ours, _ = pair.talk()
    pair.b.agent.dialogs.clear()
    pair.a.agent.request(ours.dialog, "INFO", pair.now)
    pair.run()
    assert "b 481 INFO" in pair.words()
    assert pair.a.events[-1].reason is EndReason.GONE


def test_what_is_required_and_not_there_is_named() -> None:
    pair = Pair()
    pair.call(block=b"Require: 100rel, teleport\r\n")
    refused = pair.a.take(Refused)
    assert refused.response is not None
    assert (refused.response.status, refused.response.headers.get("unsupported")) == (420, b"teleport")
    assert pair.is_empty()


def test_an_unwanted_method_is_refused_with_those_there_are() -> None:
    pair = Pair(b=AgentSettings(methods=frozenset({"INVITE", "ACK"})))
    dialog = pair.a.agent.new_dialog(f"sip:{B_HOST}", pair.a.flow, from_=ADDRESS, to=ADDRESS)
    pair.a.agent.request(dialog, "OPTIONS", pair.now)
    pair.run()
    assert pair.b.none()
    response = pair.a.events[0].response
    assert (response.status, response.headers.get("allow")) == (405, b"ACK, INVITE")


def test_more_legs_than_may_be_are_refused() -> None:
    pair = Pair(limits=AgentLimits(legs=1))
    pair.call()
    assert isinstance(pair.b.take(Invited), Invited)
    with pytest.raises(TooManyError):
        pair.call()
    pair.a.agent.limits = AgentLimits()
    pair.call()
    refused = pair.a.take(Refused)
    assert refused.response is not None
    assert refused.response.status == 503
    assert pair.b.agent.counters.refused == 1


def test_a_request_whose_connection_is_gone_goes_by_a_new_one_to_the_contact() -> None:
    pair = Pair()
    pair.a.flow = pair.a.flow._replace(transport=Transport.TCP, remote_port=41_000, connection=9)
    pair.b.flow = pair.b.flow._replace(transport=Transport.TCP, connection=9)
    ours, _ = pair.talk()
    pair.a.agent.bye(ours, pair.now)
    lost = pair.a.agent.poll_transmit()
    assert lost is not None
    assert (lost.flow.connection, lost.flow.remote_port) == (9, 41_000)
    pair.a.agent.handle_transport_error(lost, pair.now)
    again = pair.a.agent.poll_transmit()
    assert again is not None
    assert (again.flow.connection, again.flow.remote_port, again.flow.transport) == (0, 5060, Transport.TCP)
    pair.a.agent.handle_transport_error(again, pair.now)
    assert pair.a.agent.poll_transmit() is None
    pair.a.drain()
    assert pair.a.take(Ended).reason is EndReason.LOCAL


def test_with_too_many_transactions_nothing_new_begins_and_what_is_there_goes_on() -> None:
    pair = Pair()
    ours, _ = pair.talk()
    pair.a.agent.layer.limits = TransactionLimits(client=0)
    for begin in (
        pair.call,
        lambda: pair.a.agent.reoffer(ours, pair.now, body=OFFER),
        lambda: pair.a.agent.request(ours.dialog, "INFO", pair.now),
    ):
        with pytest.raises(TooManyTransactionsError):
            begin()
    assert pair.words() == []
    assert pair.a.agent.layer.counters.refused_own == 3
    pair.a.agent.bye(ours, pair.now)
    pair.run()
    assert pair.words() == ["a BYE", "b 200 BYE"]


def test_hops_that_are_left_are_passed_on_by_the_first_request_only() -> None:
    pair = Pair()
    pair.call(max_forwards=12)
    pair.b.agent.answer_invite(pair.invited(), pair.now, body=ANSWER)
    pair.run()
    pair.a.agent.bye(pair.a.take(Answered).leg, pair.now)
    pair.run()
    sent = [message for message in pair.a.sent if isinstance(message, Request)]
    assert [(message.method, message.max_forwards) for message in sent] == [("INVITE", 12), ("ACK", 70), ("BYE", 70)]


def test_a_request_with_a_header_that_cannot_be_read_is_answered_400() -> None:
    pair = Pair(AgentSettings(session_expires_s=0))
    pair.call(block=b"Session-Expires: soon\r\n")
    refused = pair.a.take(Refused)
    assert refused.response is not None
    assert (refused.response.status, refused.response.reason) == (400, "Bad Session-Expires")
    assert pair.b.agent.counters.malformed == 1


def test_the_guard_sees_strangers_first_and_dialogs_never() -> None:
    class Shut:
        def check(self, request: Request, flow: object) -> tuple[int, bytes] | None:  # noqa: ARG002
            return None if request.method == "INVITE" and "x-pass" in request.headers else (403, b"X-Why: closed\r\n")

    pair = Pair(b_hooks={"guard": Shut()})
    pair.call()
    refused = pair.a.take(Refused)
    assert refused.response is not None
    assert (refused.response.status, refused.response.headers.get("x-why")) == (403, b"closed")
    pair.call(block=b"X-Pass: 1\r\n")
    pair.b.agent.answer_invite(pair.invited(), pair.now, body=ANSWER)
    pair.run()
    leg = pair.a.take(Answered).leg
    assert leg.dialog.state is DialogState.CONFIRMED
    pair.a.agent.bye(leg, pair.now)
    pair.run()
    assert pair.words()[-1] == "b 200 BYE"


class Password:
    """Answers a challenge once with the right word."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.asked: list[str] = []

    def answer(self, request: Request, response: Response, owner: object) -> bytes | None:  # noqa: ARG002
        self.asked.append(str(response.status))
        return f"Authorization: {self.word}\r\n".encode()


class Challenge:
    """Lets pass who knows the word."""

    def check(self, request: Request, flow: object) -> tuple[int, bytes] | None:  # noqa: ARG002
        return None if request.headers.get("authorization") == b"sesame" else (401, b"WWW-Authenticate: Digest\r\n")


def test_a_challenged_call_is_tried_again_with_credentials() -> None:
    pair = Pair(a_hooks={"authenticator": Password("sesame")}, b_hooks={"guard": Challenge()})
    pair.call()
    assert pair.words() == ["a INVITE", "b 100 INVITE", "b 401 INVITE", "a ACK", "a INVITE", "b 100 INVITE"]
    first, second = (m for m in pair.a.sent if isinstance(m, Request) and m.method == "INVITE")
    assert (second.call_id, second.from_tag, second.cseq.number) == (first.call_id, first.from_tag, 2)
    pair.b.agent.answer_invite(pair.invited(), pair.now, body=ANSWER)
    pair.run()
    leg = pair.a.take(Answered).leg
    pair.a.agent.bye(leg, pair.now)
    assert pair.is_empty()


def test_wrong_credentials_are_not_tried_for_ever() -> None:
    password = Password("open")
    pair = Pair(a_hooks={"authenticator": password}, b_hooks={"guard": Challenge()})
    pair.call()
    refused = pair.a.take(Refused)
    assert refused.response is not None
    assert refused.response.status == 401
    assert len(password.asked) == 2
    assert pair.is_empty()
