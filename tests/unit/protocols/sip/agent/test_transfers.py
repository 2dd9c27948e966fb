"""REFER, Replaces, SUBSCRIBE and NOTIFY between two user agents."""

from __future__ import annotations

import pytest
from agent_bench import A_HOST, ADDRESS, ANSWER, B_HOST, OFFER, Pair

from roomtone.protocols.sip.agent import (
    AgentLimits,
    Answered,
    Confirmed,
    Ended,
    EndReason,
    Invited,
    Notified,
    Progressed,
    Refused,
    Requested,
    Responded,
    Resubscribed,
    Subscription,
    SubscriptionEnded,
    TooManyError,
    WrongStateError,
)
from roomtone.protocols.sip.headers.address import Address
from roomtone.protocols.sip.headers.events import SubscriptionStatus
from roomtone.protocols.sip.message import Request

SUMMARY = b"Content-Type: application/simple-message-summary\r\n"


def replaces(pair: Pair, *, early_only: bool = False) -> bytes:
    """Name the (only) dialog of b as b has it."""
    (dialog,) = pair.b.agent.dialogs.values()
    early = ";early-only" if early_only else ""
    tags = f"to-tag={dialog.local_tag};from-tag={dialog.remote_tag}{early}"
    return f"Replaces: {dialog.call_id};{tags}\r\nRequire: replaces\r\n".encode()


def status(pair: Pair) -> int:
    response = pair.a.take(Refused).response
    assert response is not None
    return response.status


def test_an_invite_with_replaces_takes_the_place_of_the_dialog_when_it_is_answered() -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    pair.call(block=replaces(pair))
    invited = pair.b.take(Invited)
    assert invited.replaces is theirs
    assert not theirs.is_over
    pair.b.agent.answer_invite(invited.leg, pair.now, body=ANSWER)
    pair.run()
    ended = pair.b.take(Ended)
    assert (ended.leg, ended.reason) == (theirs, EndReason.REPLACED)
    assert {type(event) for event in pair.a.events} == {Answered, Ended}
    assert ours.is_over
    new = next(event for event in pair.a.events if isinstance(event, Answered)).leg
    pair.a.agent.bye(new, pair.now)
    assert pair.is_empty()


def test_a_refused_invite_with_replaces_leaves_the_dialog_alone() -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    pair.call(block=replaces(pair))
    pair.b.agent.refuse(pair.b.take(Invited).leg, 486, pair.now)
    pair.run()
    assert not ours.is_over
    assert not theirs.is_over


def test_replaces_of_nothing_is_refused() -> None:
    pair = Pair()
    pair.call(block=b"Replaces: x;to-tag=a;from-tag=b\r\n")
    assert status(pair) == 481
    pair.call(block=b"Replaces: x;to-tag=a\r\n")
    assert status(pair) == 400
    pair.call(block=b"Replaces: x;to-tag=a;from-tag=b\r\nReplaces: y;to-tag=a;from-tag=b\r\n")
    assert status(pair) == 400
    assert pair.b.none()


def test_replaces_for_early_dialogs_only_spares_a_confirmed_one() -> None:
    pair = Pair()
    pair.talk()
    pair.call(block=replaces(pair, early_only=True))
    assert status(pair) == 486


def test_replaces_of_an_early_dialog_that_the_peer_began_is_refused() -> None:
    pair = Pair()
    pair.call()
    pair.b.agent.progress(pair.invited(), 180, pair.now)
    pair.run()
    pair.a.take(Progressed)
    pair.call(block=replaces(pair))
    assert status(pair) == 481


def test_replaces_of_an_early_dialog_of_ours_cancels_it() -> None:
    pair = Pair()
    call = pair.b.agent.invite(f"sip:a@{A_HOST}", pair.b.flow, pair.now, from_=ADDRESS, to=ADDRESS, body=OFFER)
    pair.run()
    pair.a.agent.progress(pair.a.take(Invited).leg, 180, pair.now)
    pair.run()
    pair.b.take(Progressed)
    pair.call(block=replaces(pair, early_only=True))
    pair.b.agent.answer_invite(pair.b.take(Invited).leg, pair.now, body=ANSWER)
    pair.run()
    refused = next(event for event in pair.b.events if isinstance(event, Refused))
    assert (refused.call, refused.reason) == (call, EndReason.CANCELLED)
    assert any(isinstance(event, Answered) for event in pair.a.events)


def referred(pair: Pair) -> tuple[Subscription, Subscription]:
    ours, _ = pair.talk()
    sent = pair.a.agent.subscriptions.refer(ours.dialog, Address("sip:c@example.org"), pair.now)
    pair.run()
    requested = pair.b.take(Requested)
    assert requested.request.headers.get("refer-to") == b"<sip:c@example.org>"
    received = pair.b.agent.subscriptions.accept_refer(requested.transaction, pair.now)
    assert received is not None
    pair.run()
    response = pair.a.take(Responded).response
    assert response is not None
    assert response.status == 202
    return sent, received


def test_the_sender_of_a_refer_is_told_how_it_goes_to_its_end() -> None:
    pair = Pair()
    sent, received = referred(pair)
    pair.b.agent.subscriptions.tell_refer(received, 180, pair.now)
    pair.run()
    pair.b.agent.subscriptions.tell_refer(received, 200, pair.now)
    pair.run()
    bodies = [pair.a.take(Notified).request.body for _ in range(3)]
    assert bodies == [b"SIP/2.0 100 Trying\r\n", b"SIP/2.0 180 Ringing\r\n", b"SIP/2.0 200 OK\r\n"]
    ended = pair.a.take(SubscriptionEnded)
    assert (ended.subscription, ended.reason) == (sent, EndReason.REMOTE)
    assert pair.b.take(SubscriptionEnded).subscription is received
    with pytest.raises(WrongStateError):
        pair.b.agent.subscriptions.tell_refer(received, 200, pair.now)


def test_what_a_refer_tells_goes_on_after_the_call_has_ended() -> None:
    pair = Pair()
    _, received = referred(pair)
    leg = next(iter(pair.a.agent.dialogs.values())).leg
    pair.a.agent.bye(leg, pair.now)
    pair.run()
    pair.b.take(Ended)
    pair.b.agent.subscriptions.tell_refer(received, 503, pair.now)
    pair.run()
    assert pair.a.events[-2].request.body == b"SIP/2.0 503 Service Unavailable\r\n"
    assert pair.is_empty()


def test_a_refer_that_is_refused_ends_its_subscription() -> None:
    pair = Pair()
    ours, _ = pair.talk()
    pair.a.agent.subscriptions.refer(ours.dialog, Address("sip:c@example.org"), pair.now)
    pair.run()
    pair.b.agent.respond(pair.b.take(Requested).transaction, 603, pair.now)
    pair.run()
    assert pair.a.take(SubscriptionEnded).reason is EndReason.REFUSED
    pair.a.take(Responded)
    pair.a.agent.bye(ours, pair.now)
    assert pair.is_empty()


def test_a_refer_outside_of_a_dialog_makes_one() -> None:
    pair = Pair()
    dialog = pair.a.agent.new_dialog(f"sip:b@{B_HOST}", pair.a.flow, from_=ADDRESS, to=ADDRESS)
    pair.a.agent.subscriptions.refer(dialog, Address("sip:c@example.org"), pair.now)
    pair.run()
    received = pair.b.agent.subscriptions.accept_refer(pair.b.take(Requested).transaction, pair.now)
    assert received is not None
    pair.run()
    pair.b.agent.subscriptions.tell_refer(received, 200, pair.now)
    pair.run()
    assert [type(event) for event in pair.a.events] == [Responded, Notified, Notified, SubscriptionEnded]
    assert pair.is_empty()


def test_a_refer_without_subscription_is_accepted_without_one() -> None:
    pair = Pair()
    ours, _ = pair.talk()
    block = b"Refer-To: <sip:c@example.org>\r\nRefer-Sub: false\r\nRequire: norefersub\r\n"
    pair.a.agent.request(ours.dialog, "REFER", pair.now, block=block)
    pair.run()
    assert pair.b.agent.subscriptions.accept_refer(pair.b.take(Requested).transaction, pair.now) is None
    pair.run()
    response = pair.a.take(Responded).response
    assert response is not None
    assert (response.status, response.headers.get("refer-sub")) == (202, b"false")


def test_progress_of_a_refer_that_never_comes_is_not_waited_for_for_ever() -> None:
    pair = Pair()
    _, _ = referred(pair)
    pair.lose = lambda message: isinstance(message, Request) and message.method == "NOTIFY"
    pair.wait(400_000)
    assert isinstance(pair.a.events[-1], SubscriptionEnded)
    assert isinstance(pair.b.events[-1], SubscriptionEnded)


def subscribe(pair: Pair, expires_s: int = 600, package: str = "message-summary") -> Subscription:
    subscription = pair.a.agent.subscriptions.subscribe(
        f"sip:b@{B_HOST}", pair.a.flow, pair.now, package=package, from_=ADDRESS, to=ADDRESS, expires_s=expires_s
    )
    pair.run()
    return subscription


def accepted(pair: Pair) -> Subscription:
    subscription = pair.b.agent.subscriptions.accept(pair.b.take(Requested).transaction, pair.now)
    assert subscription is not None
    pair.b.agent.subscriptions.notify(subscription, pair.now, block=SUMMARY, body=b"Messages-Waiting: no\r\n")
    pair.run()
    return subscription


def test_a_subscription_is_notified_refreshed_and_ended_by_the_subscriber() -> None:
    pair = Pair()
    ours = subscribe(pair)
    theirs = accepted(pair)
    pair.b.agent.subscriptions.notify(theirs, pair.now, block=SUMMARY, body=b"Messages-Waiting: yes\r\n")
    pair.run()
    assert [type(event) for event in pair.a.events] == [Responded, Notified, Notified]
    assert pair.a.events[-1].request.body == b"Messages-Waiting: yes\r\n"
    pair.words()
    pair.wait(571_000)
    assert pair.words() == ["a SUBSCRIBE", "b 200 SUBSCRIBE", "b NOTIFY", "a 200 NOTIFY"]
    pair.b.take(Resubscribed)
    assert pair.a.events[-1].request.body == b"Messages-Waiting: yes\r\n"
    pair.a.agent.subscriptions.unsubscribe(ours, pair.now)
    pair.run()
    assert pair.a.events[-1].reason is EndReason.LOCAL
    pair.b.take(SubscriptionEnded)
    assert pair.is_empty()


def test_a_subscription_that_nobody_refreshes_ends() -> None:
    pair = Pair()
    subscribe(pair)
    accepted(pair)
    pair.lose = lambda message: isinstance(message, Request) and message.method == "SUBSCRIBE"
    pair.wait(700_000)
    assert isinstance(pair.b.events[-1], SubscriptionEnded)
    assert isinstance(pair.a.events[-1], (Responded, SubscriptionEnded))
    assert pair.is_empty()


def test_a_notifier_ends_a_subscription() -> None:
    pair = Pair()
    subscribe(pair)
    theirs = accepted(pair)
    pair.b.agent.subscriptions.notify(theirs, pair.now, status=SubscriptionStatus.TERMINATED, reason="deactivated")
    pair.run()
    assert pair.a.events[-1].reason is EndReason.REMOTE
    assert pair.is_empty()


def test_a_notify_may_be_faster_than_the_answer() -> None:
    pair = Pair()
    held: list[bytes] = []

    def hold(message: object) -> bool:
        if not isinstance(message, Request) and getattr(message, "status", 0) == 200 and not held:
            held.append(message.serialize())  # type: ignore[attr-defined]
            return True
        return False

    pair.lose = hold
    subscribe(pair)
    accepted(pair)
    assert [type(event) for event in pair.a.events] == [Notified]
    pair.a.agent.handle_data(held[0], pair.a.flow, pair.now)
    pair.run()
    assert [type(event) for event in pair.a.events] == [Notified, Responded]
    assert len(pair.a.agent.dialogs) == 1


def test_state_is_asked_for_once() -> None:
    pair = Pair()
    subscribe(pair, expires_s=0)
    accepted(pair)
    assert [type(event) for event in pair.a.events] == [Responded, Notified, SubscriptionEnded]
    assert pair.is_empty()


def test_too_short_a_subscription_and_one_of_nothing_are_refused() -> None:
    pair = Pair()
    subscribe(pair, expires_s=10)
    responses = [event.response for event in pair.a.events if isinstance(event, Responded)]
    assert (responses[0].status, responses[0].headers.get("min-expires")) == (423, b"60")
    dialog = pair.a.agent.new_dialog(f"sip:b@{B_HOST}", pair.a.flow, from_=ADDRESS, to=ADDRESS)
    pair.a.agent.request(dialog, "SUBSCRIBE", pair.now)
    pair.run()
    assert pair.a.events[-1].response.status == 489
    assert pair.b.none()


def test_a_subscriber_that_forgot_is_not_notified_any_more() -> None:
    pair = Pair()
    subscribe(pair)
    theirs = accepted(pair)
    pair.a.agent.dialogs.clear()
    pair.b.agent.subscriptions.notify(theirs, pair.now)
    pair.run()
    assert pair.b.take(SubscriptionEnded).reason is EndReason.GONE


def test_while_a_notify_is_on_its_way_only_the_newest_waits() -> None:
    pair = Pair()
    subscribe(pair)
    theirs = accepted(pair)
    pair.a.events.clear()
    for n in range(5):
        pair.b.agent.subscriptions.notify(theirs, pair.now, block=SUMMARY, body=b"%d" % n)
    pair.run()
    assert [event.request.body for event in pair.a.events] == [b"0", b"4"]


def test_more_subscriptions_than_may_be_are_refused() -> None:
    pair = Pair(limits=AgentLimits(subscriptions=1))
    subscribe(pair)
    accepted(pair)
    with pytest.raises(TooManyError):
        subscribe(pair)
    pair.a.agent.limits = AgentLimits()
    subscribe(pair)
    assert pair.b.agent.subscriptions.accept(pair.b.take(Requested).transaction, pair.now) is None
    pair.run()
    assert pair.a.events[-1].response.status == 503


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE", "PUBLISH", "REGISTER"])
def test_other_requests_are_handed_up_and_answered(method: str) -> None:
    pair = Pair()
    dialog = pair.a.agent.new_dialog(f"sip:b@{B_HOST}", pair.a.flow, from_=ADDRESS, to=ADDRESS)
    pair.a.agent.request(dialog, method, pair.now, body=b"hello", block=b"Content-Type: text/plain\r\n")
    pair.run()
    requested = pair.b.take(Requested)
    assert (requested.request.method, requested.request.body, requested.leg) == (method, b"hello", None)
    pair.b.agent.respond(requested.transaction, 200, pair.now, block=b"X-Seen: yes\r\n")
    pair.run()
    response = pair.a.take(Responded).response
    assert response is not None
    assert response.headers.get("x-seen") == b"yes"
    with pytest.raises(WrongStateError):
        pair.b.agent.respond(requested.transaction, 200, pair.now)
    assert pair.is_empty()


def test_info_in_a_call_is_handed_up_with_its_leg() -> None:
    pair = Pair()
    ours, theirs = pair.talk()
    pair.a.agent.request(
        ours.dialog, "INFO", pair.now, body=b"Signal=5\r\n", block=b"Content-Type: application/dtmf-relay\r\n"
    )
    pair.run()
    requested = pair.b.take(Requested)
    assert requested.leg is theirs
    pair.b.agent.respond(requested.transaction, 200, pair.now)
    pair.run()
    pair.a.take(Responded)
    assert Confirmed not in {type(event) for event in pair.b.events}
