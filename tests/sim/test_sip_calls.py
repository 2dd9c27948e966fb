"""Random SIP calls over bad lines, in virtual time: every one ends, each side is told once, and nothing is left."""

from __future__ import annotations

import gc
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from sip_line import DEAF, Forker, Line, Station, Weather

from roomtone.protocols.sip.agent import (
    AgentSettings,
    Answered,
    Confirmed,
    Ended,
    Invited,
    Leg,
    Notified,
    OutgoingInvite,
    Pracked,
    Progressed,
    Refused,
    Reoffered,
    Requested,
    Responded,
    Resubscribed,
    Subscription,
    SubscriptionEnded,
    WrongStateError,
)
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.headers.address import Address
from roomtone.protocols.sip.headers.events import SubscriptionStatus
from roomtone.protocols.sip.transaction import (
    ClientTransaction,
    InviteClientTransaction,
    InviteServerTransaction,
    ServerTransaction,
    Signal,
    State,
    TransactionFailure,
)
from roomtone.protocols.sip.transaction.machine import Transaction

SOMEBODY = Address("sip:z@192.0.2.9")
NOWHERE, FORKER = "192.0.2.77", "192.0.2.50"
OFFER, ANSWER = b"v=0\r\no=offer\r\n", b"v=0\r\no=answer\r\n"
BAD = Weather(loss=0.15, doubling=0.1, least_ms=1, most_ms=900)
SOME = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "PRACK", "REFER", "NOTIFY", "SUBSCRIBE", "INFO"})


class Subscriber:
    """What a random user does with an agent, drawn from the line's seed."""

    def __init__(self, station: Station, name: str) -> None:
        self.station = station
        self.agent = station.agent
        self.line = station.line
        self.chance = station.line.chance
        self.name = name
        self.seen: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        """How often each call of ours has come to its answer or refusal."""
        self.ends: Counter[int] = Counter()
        self.told: dict[int, object] = {}
        """Handles, kept so that an identity is not used again."""
        station.on_event = self.on_event

    def later(self, least_ms: int, most_ms: int, what: Any) -> None:
        def act(now: int) -> None:
            with suppress(WrongStateError):  # it has ended meanwhile, or another offer is open
                what(now)
            self.station.drain(now)

        self.line.at(self.line.now + self.chance.randint(least_ms, most_ms), act)

    def call(self, other: str, now: int) -> None:
        chance = self.chance
        transport = Transport.TCP if chance.random() < 0.1 else Transport.UDP
        body = OFFER if chance.random() < 0.8 else b""
        block = b"Require: 100rel\r\n" if chance.random() < 0.1 else b""
        uri = f"sip:x@{other}" + (";transport=tcp" if transport is Transport.TCP else "")
        address = Address(f"sip:{self.name}@{self.station.host}")
        call = self.agent.invite(
            uri, self.station.to(other, transport), now, from_=address, to=Address(uri), body=body, block=block
        )
        self.told[id(call)] = call
        self.answers[id(call)] = 0
        self.seen["called"] += 1
        if chance.random() < 0.25:
            self.later(0, 12_000, call.cancel)
        self.station.drain(now)

    def subscribe(self, other: str, now: int) -> None:
        address = Address(f"sip:{self.name}@{self.station.host}")
        subscription = self.agent.subscriptions.subscribe(
            f"sip:x@{other}", self.station.to(other), now, package="dialog", from_=address, to=address, expires_s=90
        )
        self.told[id(subscription)] = subscription
        if self.chance.random() < 0.5:
            self.later(0, 200_000, lambda at: self.agent.subscriptions.unsubscribe(subscription, at))
        self.station.drain(now)

    def go_home(self, now: int) -> None:
        """Hang up whatever still lives: calls with session timers would go on for ever."""
        for handle in list(self.told.values()):
            with suppress(WrongStateError):
                if isinstance(handle, Leg) and not handle.is_over:
                    self.agent.bye(handle, now)
                elif isinstance(handle, Subscription):
                    self.agent.subscriptions.unsubscribe(handle, now)
        self.station.drain(now)

    def on_event(self, event: Any, now: int) -> None:  # noqa: C901, PLR0912 - one case an event
        self.seen[type(event).__name__] += 1
        match event:
            case Invited(leg=leg):
                self.told[id(leg)] = leg
                self.ends[id(leg)] = 0
                self._answer_somehow(leg)
            case Progressed(leg=leg, response=response, wants_answer=True) if leg is not None:
                self.agent.acknowledge_progress(leg, response, now, body=ANSWER)
            case Answered(call=call, leg=leg):
                self.told[id(leg)] = leg
                self.ends[id(leg)] = 0
                self.answers[id(call)] += 1
                if leg.waits_for_ack:
                    self.later(0, 3_000, lambda at: self.agent.acknowledge(leg, at, body=ANSWER))
                self._live(leg)
            case Refused(call=call):
                self.answers[id(call)] += 1
            case Confirmed(leg=leg):
                self._live(leg)
            case Reoffered(transaction=transaction, request=request):
                status = 200 if self.chance.random() < 0.8 else 488
                body = b"" if status != 200 else ANSWER if request.body else OFFER
                self.later(0, 2_000, lambda at: self.agent.respond(transaction, status, at, body=body))
            case Requested(transaction=transaction, request=request) if request.method == "REFER":
                self._refer(transaction)
            case Requested(transaction=transaction, request=request) if request.method == "SUBSCRIBE":
                self._accept(transaction)
            case Requested(transaction=transaction):
                for status in (182, 183):
                    if self.chance.random() < 0.3:
                        self.later(0, 4_000, lambda at, status=status: self.agent.respond(transaction, status, at))
                if self.chance.random() < 0.9:
                    final = self.chance.choice([200, 200, 200, 415])
                    self.later(0, 5_000, lambda at: self.agent.respond(transaction, final, at))
            case Responded(outgoing=outgoing, response=response):
                leg = outgoing.dialog.leg
                if leg is not None and leg.waits_for_ack:
                    self.later(0, 500, lambda at: self.agent.acknowledge(leg, at, body=ANSWER))
                self.seen[f"responded {response.status if response else outgoing.method}"] += 1
            case Ended(leg=leg, reason=reason):
                self.ends[id(leg)] += 1
                self.seen[f"ended {reason}"] += 1
            case SubscriptionEnded(reason=reason):
                self.seen[f"subscription {reason}"] += 1
            case Pracked() | Notified() | Resubscribed() | Progressed():
                pass

    def _answer_somehow(self, leg: Leg) -> None:
        chance = self.chance
        agent = self.agent
        incoming = leg.incoming
        assert incoming is not None
        has_offer = incoming.has_offer
        body = ANSWER if has_offer else OFFER
        if chance.random() < 0.6:
            self.later(0, 500, lambda at: agent.progress(leg, 180, at))
        reliable = chance.random() < 0.4
        if reliable:
            self.later(0, 2_000, lambda at: agent.progress(leg, 183, at, body=body, reliable=True))
        match chance.random():
            case x if x < 0.7:
                answer = b"" if reliable and has_offer and chance.random() < 0.3 else body
                self.later(0, 15_000, lambda at: agent.answer_invite(leg, at, body=answer))
            case x if x < 0.95:
                self.later(0, 15_000, lambda at: agent.refuse(leg, chance.choice([302, 404, 486, 603]), at))
            case _:  # it rings until somebody gives up
                pass

    def _live(self, leg: Leg) -> None:
        chance, agent = self.chance, self.agent
        for _ in range(chance.randint(0, 3)):
            match chance.random():
                case x if x < 0.4:
                    self.later(0, 20_000, lambda at: agent.reoffer(leg, at, body=OFFER))
                case x if x < 0.5:
                    self.later(0, 20_000, lambda at: agent.reoffer(leg, at))
                case x if x < 0.7:
                    self.later(0, 20_000, lambda at: agent.reoffer(leg, at, body=OFFER, method="UPDATE"))
                case x if x < 0.9:
                    self.later(0, 20_000, lambda at: agent.request(leg.dialog, "INFO", at))
                case _:
                    self.later(0, 20_000, lambda at: agent.subscriptions.refer(leg.dialog, SOMEBODY, at))
        if chance.random() < 0.6:
            self.later(0, 30_000, lambda at: agent.bye(leg, at))

    def _refer(self, transaction: Any) -> None:
        def accept(now: int) -> None:
            subscription = self.agent.subscriptions.accept_refer(transaction, now)
            if subscription is not None and self.chance.random() < 0.8:
                self.later(0, 9_000, lambda at: self.agent.subscriptions.tell_refer(subscription, 200, at))

        self.later(0, 1_000, accept)

    def _accept(self, transaction: Any) -> None:
        def accept(now: int) -> None:
            subscription = self.agent.subscriptions.accept(transaction, now)
            if subscription is None:
                return
            self.agent.subscriptions.notify(subscription, now)
            for _ in range(self.chance.randint(0, 4)):
                self.later(0, 150_000, lambda at: self.agent.subscriptions.notify(subscription, at))
            if self.chance.random() < 0.3:
                last = SubscriptionStatus.TERMINATED
                self.later(0, 150_000, lambda at: self.agent.subscriptions.notify(subscription, at, status=last))

        self.later(0, 1_000, accept)


def a_day(seed: int, calls: int, weather: Weather, *, forks: bool = False) -> tuple[Line, list[Subscriber]]:
    """Some calls and subscriptions between three agents, one every 200 ms, and an hour and a half for all to end.

    With ``forks`` each call of the first goes to both others.
    """
    line = Line(seed, weather)
    line.forkers[FORKER] = Forker(line, FORKER, ["192.0.2.2", "192.0.2.3"])
    short = AgentSettings(session_expires_s=120)
    hosts = {
        "192.0.2.1": short,
        "192.0.2.2": AgentSettings(methods=SOME),
        "192.0.2.3": AgentSettings(session_expires_s=0),
    }
    people = [Subscriber(line.add(host, settings), f"p{n}") for n, (host, settings) in enumerate(hosts.items())]
    for n in range(calls):
        caller = line.chance.choice(people)
        other = line.chance.choice(
            [host for host in hosts if host != caller.station.host] + [NOWHERE, DEAF] * (n % 17 == 0)
        )
        if forks and caller is people[0]:
            other = FORKER
        act = caller.subscribe if line.chance.random() < 0.05 else caller.call
        line.at(2_000 + 200 * n, lambda now, act=act, other=other: act(other, now))
    evening = 2_000 + 200 * calls + 1_200_000
    for person in people:
        line.at(evening, person.go_home)
    line.run(evening + 4_000_000)
    return line, people


def assert_nothing_is_left(people: list[Subscriber]) -> None:
    for person in people:
        agent = person.agent
        layer = agent.layer
        assert (len(layer), sum(layer.gauges), len(layer.wheel)) == (0, 0, 0)
        assert (agent.dialogs, agent.calls, agent.merging) == ({}, set(), {})
        assert (agent.subscriptions.count, len(agent.subscriptions)) == (0, 0)
        assert set(person.answers.values()) <= {1}, "each call of ours comes to one answer or refusal"
        assert set(person.ends.values()) <= {1}, "each leg that was told ends once"
        assert all(not isinstance(handle, Leg) or handle.is_over for handle in person.told.values())
        assert all(handle.is_over for handle in person.told.values() if isinstance(handle, OutgoingInvite))


def total(people: list[Subscriber]) -> Counter[str]:
    return sum((person.seen for person in people), Counter())


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_over_a_bad_line_leave_nothing(seed: int) -> None:
    _, people = a_day(seed, 150, BAD)
    assert_nothing_is_left(people)
    seen = total(people)
    for kind in (
        "Invited",
        "Answered",
        "Refused",
        "Confirmed",
        "Reoffered",
        "Pracked",
        "Notified",
        "SubscriptionEnded",
    ):
        assert seen[kind] > 0, kind


BY_HAND = {
    (State.INVITE_SERVER_PROCEEDING, Signal.TRYING),  # not with these timings
    (State.INVITE_SERVER_PROCEEDING, Signal.ABANDONED),  # ten minutes without a word from either side
    (State.INVITE_SERVER_ACCEPTED, Signal.ACK),  # of a peer of RFC 2543
    (State.INVITE_CLIENT_PROCEEDING, Signal.GIVE_UP),  # a CANCEL and all that follows it lost
    (State.CLIENT_PROCEEDING, Signal.TRANSPORT_ERROR),
    (State.SERVER_PROCEEDING, Signal.TRANSPORT_ERROR),
    (State.SERVER_PROCEEDING, Signal.ABANDONED),
}


def test_bad_lines_reach_every_row_of_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[State, Signal]] = set()
    step = Transaction.step

    def watch(self: Transaction, signal: Signal, now: int, message: Any = None) -> bool:
        seen.add((self.state, signal))
        return step(self, signal, now, message)

    monkeypatch.setattr(Transaction, "step", watch)
    for seed in range(2):
        assert_nothing_is_left(a_day(seed, 150, BAD)[1])
    assert_nothing_is_left(a_day(11, 120, Weather(loss=0.1, failing=0.15, least_ms=1, most_ms=300))[1])
    kinds = (ClientTransaction, InviteClientTransaction, ServerTransaction, InviteServerTransaction)
    rows = {(state, signal) for kind in kinds for state, row in kind.TABLE.items() for signal in row}
    rows = {row for row in rows if row[1] is not Signal.LINGER}
    assert rows - seen <= BY_HAND


def test_a_line_that_cannot_even_send_leaves_nothing() -> None:
    _, people = a_day(11, 120, Weather(loss=0.1, failing=0.15, least_ms=1, most_ms=300))
    assert_nothing_is_left(people)
    failed = sum((person.agent.layer.counters.failed for person in people), Counter())
    assert failed[TransactionFailure.TRANSPORT_ERROR] > 0


@pytest.mark.parametrize("weather", [Weather(least_ms=1, most_ms=400), BAD], ids=["good", "bad"])
def test_calls_that_fork_leave_one_leg_or_none(weather: Weather) -> None:
    _, people = a_day(21, 150, weather, forks=True)
    assert_nothing_is_left(people)
    assert people[0].agent.counters.forks_ended > 0, "later forks that answer are acknowledged and ended"
    assert people[0].seen["Answered"] > 10


def test_a_good_line_answers_all_that_is_asked() -> None:
    _, people = a_day(5, 200, Weather(least_ms=10, most_ms=10))
    assert_nothing_is_left(people)
    failed = sum((person.agent.layer.counters.failed for person in people), Counter())
    assert failed[TransactionFailure.TRANSPORT_ERROR] <= 20, "only to the host that is not there"
    assert sum(person.agent.layer.counters.stray_responses for person in people) == 0


def test_calls_leave_no_circles_for_the_collector() -> None:
    a_day(3, 20, BAD)
    gc.collect()
    gc.disable()
    try:
        line, people = a_day(3, 20, BAD)
        agents = [person.agent for person in people]
        del line, people
        counts = [sum(1 for found in gc.get_objects() if type(found).__name__ == kind) for kind in ("Leg", "Dialog")]
        assert len(agents) == 3
    finally:
        gc.enable()
    assert counts[1] <= 60, "dialogs go with their calls, without the collector"


@pytest.mark.long
def test_ten_thousand_random_calls_leave_nothing() -> None:
    seen: Counter[str] = Counter()
    for seed in range(100, 120):
        _, people = a_day(seed, 500, BAD)
        assert_nothing_is_left(people)
        seen += total(people)
    assert seen["called"] > 9_000
