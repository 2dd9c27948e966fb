"""Changes of a call: re-INVITE, UPDATE, glare, PRACK and session timers."""

from __future__ import annotations

import pytest
from agent_bench import ANSWER, OFFER, Pair

from roomtone.protocols.sip.agent import (
    AgentLimits,
    AgentSettings,
    Answered,
    Confirmed,
    Ended,
    EndReason,
    Pracked,
    Progressed,
    Refused,
    Reoffered,
    Responded,
    WrongStateError,
)
from roomtone.protocols.sip.message import Request, Response

HOLD = b"v=0\r\no=hold\r\n"
NO_TIMER = AgentSettings(session_expires_s=0)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("by", ["caller", "called"])
def test_an_offer_in_a_call_is_answered(method: str, by: str) -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    one, other = (pair.a, pair.b) if by == "caller" else (pair.b, pair.a)
    one.agent.reoffer(ours if by == "caller" else theirs, pair.now, body=HOLD, method=method)
    pair.run()
    reoffered = other.take(Reoffered)
    assert reoffered.request.body == HOLD
    other.agent.respond(reoffered.transaction, 200, pair.now, body=ANSWER)
    pair.run()
    responded = one.take(Responded)
    assert responded.response is not None
    assert responded.response.body == ANSWER
    assert one.none()
    if method == "INVITE":
        other.take(Confirmed)
    assert not ours.is_busy
    assert not theirs.is_busy
    pair.a.agent.bye(ours, pair.now)
    assert pair.is_empty()


def test_a_refused_offer_leaves_the_call_as_it_was() -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    pair.a.agent.reoffer(ours, pair.now, body=HOLD)
    pair.run()
    pair.b.agent.respond(pair.b.take(Reoffered).transaction, 488, pair.now)
    pair.run()
    response = pair.a.take(Responded).response
    assert response is not None
    assert response.status == 488
    assert not ours.is_over
    assert not ours.is_busy
    assert not theirs.is_busy


def test_a_reinvite_without_offer_is_answered_in_the_ack() -> None:
    pair = Pair()
    ours, _ = pair.talk()
    pair.a.agent.reoffer(ours, pair.now)
    pair.run()
    pair.b.agent.respond(pair.b.take(Reoffered).transaction, 200, pair.now, body=OFFER)
    pair.run()
    pair.a.take(Responded)
    assert ours.is_busy
    pair.a.agent.acknowledge(ours, pair.now, body=ANSWER)
    pair.run()
    assert pair.b.take(Confirmed).ack.body == ANSWER
    assert not ours.is_busy


def test_a_new_contact_is_where_requests_go_from_then_on() -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    ours.contact = b"Contact: <sip:moved@192.0.2.1:5060>\r\n"
    pair.a.agent.reoffer(ours, pair.now, body=HOLD)
    pair.run()
    pair.b.agent.respond(pair.b.take(Reoffered).transaction, 200, pair.now, body=ANSWER)
    pair.run()
    pair.b.agent.bye(theirs, pair.now)
    pair.run()
    bye = pair.b.sent[-1]
    assert isinstance(bye, Request)
    assert bye.uri_text == "sip:moved@192.0.2.1:5060"


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_offers_that_cross_are_refused_by_both_and_sent_again_in_turn(method: str) -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    pair.a.agent.reoffer(ours, pair.now, body=HOLD, method=method)
    pair.b.agent.reoffer(theirs, pair.now, body=HOLD, method=method)
    pair.run()
    assert [word for word in pair.words() if "491" in word] == [f"b 491 {method}", f"a 491 {method}"]
    start = pair.now
    while pair.b.none() and pair.now < start + 5_000:
        pair.wait(10)
        while not pair.a.none():
            event = pair.a.events.pop(0)
            if isinstance(event, Reoffered):
                assert pair.now - start <= 2_010  # the side that did not make the Call-ID comes first
                pair.a.agent.respond(event.transaction, 200, pair.now, body=ANSWER)
                pair.run()
                pair.b.take(Responded)
    assert 2_100 <= pair.now - start <= 4_010
    pair.b.agent.respond(pair.b.take(Reoffered).transaction, 200, pair.now, body=ANSWER)
    pair.run()
    assert isinstance(pair.a.events[-1], Responded)
    pair.a.agent.bye(ours, pair.now)
    assert pair.is_empty()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_peer_that_says_again_and_again_that_offers_cross_has_refused_ours_and_the_call_goes_on(method: str) -> None:
    pair = Pair()
    ours, _ = pair.talk()
    pair.a.agent.reoffer(ours, pair.now, body=HOLD, method=method)
    pair.run()
    start, asked = pair.now, 0
    while pair.a.none() and pair.now < start + 60_000:
        while not pair.b.none():
            asked += 1
            pair.b.agent.respond(pair.b.take(Reoffered).transaction, 491, pair.now)
            pair.run()
        pair.wait(10)
    responded = pair.a.take(Responded)
    assert responded.response is not None
    assert (responded.response.status, asked) == (491, AgentLimits().tries)
    assert not ours.is_over, "nothing of the call has changed"
    pair.a.agent.bye(ours, pair.now)
    pair.run()
    assert pair.b.take(Ended).reason is EndReason.REMOTE


def test_a_second_invite_before_the_first_is_answered_is_told_to_come_later() -> None:
    pair = Pair()
    ours, _ = pair.talk()
    pair.a.agent.reoffer(ours, pair.now, body=HOLD)
    pair.run()
    ours.reoffer, ours.local_offer = None, False
    pair.a.agent.reoffer(ours, pair.now, body=HOLD)
    pair.run()
    refused = next(m for m in pair.b.sent if isinstance(m, Response) and m.status == 500)
    assert 0 <= int(refused.headers.get("retry-after") or b"-1") <= 10


def test_an_offer_while_one_is_open_is_not_sent() -> None:
    pair = Pair()
    ours, _ = pair.talk()
    pair.a.agent.reoffer(ours, pair.now, body=HOLD)
    with pytest.raises(WrongStateError):
        pair.a.agent.reoffer(ours, pair.now, body=HOLD, method="UPDATE")


def test_a_bye_ends_what_is_open() -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    pair.a.agent.reoffer(ours, pair.now, body=HOLD)
    pair.run()
    transaction = pair.b.take(Reoffered).transaction
    pair.a.agent.bye(ours, pair.now)
    pair.run()
    assert theirs.is_over
    assert "b 487 INVITE" in pair.words()
    with pytest.raises(WrongStateError):
        pair.b.agent.respond(transaction, 200, pair.now, body=ANSWER)
    assert pair.is_empty()


def test_a_peer_that_lost_the_dialog_ends_the_leg() -> None:
    pair = Pair()
    ours, _ = pair.talk()
    pair.b.agent.dialogs.clear()
    pair.a.agent.reoffer(ours, pair.now, body=HOLD)
    pair.run()
    pair.a.take(Responded)
    assert pair.a.take(Ended).reason is EndReason.GONE


# reliable provisional responses


def test_reliable_provisionals_come_one_after_another_and_the_answer_after_them() -> None:
    pair = Pair()
    pair.call()
    leg = pair.invited()
    pair.lose = lambda message: isinstance(message, Request) and message.method == "PRACK"
    pair.b.agent.progress(leg, 183, pair.now, body=ANSWER, reliable=True)
    pair.b.agent.progress(leg, 180, pair.now, reliable=True)
    pair.b.agent.answer_invite(leg, pair.now, body=b"")
    pair.wait(3_400)
    assert [word for word in pair.words() if word[2:5] in {"183", "180", "200"}] == ["b 183 INVITE"] * 3
    pair.lose = lambda _: False
    pair.wait(4_000)
    assert [type(event) for event in pair.a.events] == [Progressed, Answered]
    assert [type(event) for event in pair.b.events] == [Pracked, Confirmed]
    pair.a.agent.bye(pair.a.events[-1].leg, pair.now)
    assert pair.is_empty()


def test_reliable_provisionals_without_answer_end_the_invite() -> None:
    pair = Pair()
    pair.call()
    leg = pair.invited()
    pair.lose = lambda message: isinstance(message, Request) and message.method == "PRACK"
    pair.b.agent.progress(leg, 183, pair.now, body=ANSWER, reliable=True)
    pair.wait(33_000)
    assert pair.b.take(Ended).reason is EndReason.NO_PRACK
    pair.a.take(Progressed)
    response = pair.a.take(Refused).response
    assert response is not None
    assert response.status == 504
    assert pair.is_empty()


def test_each_reliable_provisional_is_handed_up_once_and_in_order() -> None:
    pair = Pair()
    pair.call()
    leg = pair.invited()
    for status in (183, 180):
        pair.b.agent.progress(leg, status, pair.now, reliable=True)
        pair.run()
    assert [event.response.status for event in pair.a.events] == [183, 180]
    pair.b.events.clear()
    for late in [m for m in pair.b.sent if isinstance(m, Response) and m.status > 100 and m.cseq.method == "INVITE"]:
        pair.a.agent.handle_data(late.serialize(), pair.a.flow, pair.now)
    pair.run()
    assert len(pair.a.events) == 2


def test_an_offer_in_a_reliable_provisional_is_answered_in_its_prack() -> None:
    pair = Pair()
    pair.call(body=b"")
    leg = pair.invited()
    pair.b.agent.progress(leg, 183, pair.now, body=OFFER, reliable=True)
    pair.run()
    progressed = pair.a.take(Progressed)
    assert progressed.wants_answer
    assert progressed.leg is not None
    pair.a.agent.acknowledge_progress(progressed.leg, progressed.response, pair.now, body=ANSWER)
    pair.run()
    pracked = pair.b.take(Pracked)
    assert pracked.request.body == ANSWER
    assert pracked.transaction is None
    pair.a.take(Responded)


def test_a_peer_without_100rel_gets_no_reliable_provisional() -> None:
    pair = Pair(AgentSettings(reliable_provisionals=False))
    pair.call()
    with pytest.raises(WrongStateError):
        pair.b.agent.progress(pair.invited(), 183, pair.now, reliable=True)


def test_100rel_that_is_required_makes_provisionals_reliable() -> None:
    pair = Pair()
    pair.call(block=b"Require: 100rel\r\n")
    pair.b.agent.progress(pair.invited(), 180, pair.now)
    pair.run()
    assert pair.words()[2:] == ["b 180 INVITE", "a PRACK", "b 200 PRACK"]


def test_a_prack_of_nothing_is_refused() -> None:
    pair = Pair()
    pair.call()
    leg = pair.invited()
    pair.b.agent.progress(leg, 180, pair.now, reliable=True)
    pair.run()
    progressed = pair.a.take(Progressed)
    assert progressed.leg is not None
    pair.a.agent.request(progressed.leg.dialog, "PRACK", pair.now, block=b"RAck: 7 1 INVITE\r\n")
    pair.run()
    assert pair.words()[-1] in {"b 481 PRACK", "b 200 PRACK"}
    pair.a.agent.request(progressed.leg.dialog, "PRACK", pair.now, block=b"RAck: 4294967295 1 INVITE\r\n")
    pair.run()
    assert pair.words()[-1] == "b 481 PRACK"


def test_more_reliable_provisionals_than_may_wait_are_not_taken() -> None:
    pair = Pair(limits=AgentLimits(provisionals=2))
    pair.call()
    leg = pair.invited()
    for _ in range(3):
        pair.b.agent.progress(leg, 180, pair.now, reliable=True)
    with pytest.raises(WrongStateError):
        pair.b.agent.progress(leg, 180, pair.now, reliable=True)


def test_an_update_in_an_early_dialog_is_answered() -> None:
    pair = Pair()
    pair.call()
    leg = pair.invited()
    pair.b.agent.progress(leg, 183, pair.now, body=ANSWER, reliable=True)
    pair.run()
    early = pair.a.take(Progressed).leg
    assert early is not None
    pair.b.take(Pracked)
    pair.a.agent.reoffer(early, pair.now, body=HOLD, method="UPDATE")
    pair.run()
    reoffered = pair.b.take(Reoffered)
    pair.b.agent.respond(reoffered.transaction, 200, pair.now, body=ANSWER)
    pair.run()
    pair.a.take(Responded)


def test_an_update_before_the_first_answer_is_not_sent() -> None:
    pair = Pair()
    pair.call()
    leg = pair.invited()
    pair.b.agent.progress(leg, 180, pair.now)
    pair.run()
    early = pair.a.take(Progressed).leg
    assert early is not None
    with pytest.raises(WrongStateError):
        pair.a.agent.reoffer(early, pair.now, body=HOLD, method="UPDATE")


# session timers


def test_the_caller_refreshes_at_half_the_interval_by_update() -> None:
    pair = Pair(AgentSettings(session_expires_s=200))
    ours, theirs = pair.talk()
    assert ours.session is not None
    assert (ours.session.interval_s, ours.session.we_refresh) == (200, True)
    pair.wait(350_000)
    assert pair.words() == ["a UPDATE", "b 200 UPDATE"] * 3
    assert pair.a.none()
    assert pair.b.none()
    assert not theirs.is_over


def test_a_peer_without_update_is_refreshed_by_reinvite_with_the_same_description() -> None:
    with_out = frozenset({"INVITE", "ACK", "BYE", "CANCEL"})
    pair = Pair(AgentSettings(session_expires_s=200), AgentSettings(methods=with_out))
    pair.talk()
    pair.wait(100_000)
    assert pair.b.take(Reoffered).request.body == OFFER


def test_who_is_not_refreshed_ends_the_call() -> None:
    pair = Pair(AgentSettings(session_expires_s=180))
    pair.talk()
    pair.lose = lambda message: isinstance(message, Request)
    pair.wait(150_000)
    assert pair.a.take(Ended).reason is EndReason.TIMEOUT
    assert pair.b.take(Ended).reason is EndReason.EXPIRED
    assert pair.is_empty()


def test_an_interval_that_is_too_short_is_tried_again_with_a_longer_one() -> None:
    pair = Pair(AgentSettings(session_expires_s=60, min_session_s=30), AgentSettings(min_session_s=120))
    pair.call()
    assert pair.words()[:5] == ["a INVITE", "b 100 INVITE", "b 422 INVITE", "a ACK", "a INVITE"]
    pair.b.agent.answer_invite(pair.invited(), pair.now, body=ANSWER)
    pair.run()
    leg = pair.a.take(Answered).leg
    assert leg.session is not None
    assert leg.session.interval_s == 120


def test_a_caller_without_session_timers_is_refreshed_by_the_called() -> None:
    none = AgentSettings(session_expires_s=0, extensions=frozenset())
    pair = Pair(none, AgentSettings(session_expires_s=200))
    pair.talk()
    pair.wait(110_000)
    assert pair.words() == ["b UPDATE", "a 200 UPDATE"]


def test_without_session_timers_nothing_is_refreshed() -> None:
    pair = Pair(NO_TIMER, NO_TIMER)
    ours, _ = pair.talk()
    pair.wait(10_000_000)
    assert pair.words() == []
    assert not ours.is_over
