"""Client transactions, by the tables of RFC 3261 section 17.1 and RFC 6026."""

from __future__ import annotations

import pytest
from transaction_bench import TCP, Bench, answer, request

from roomtone.protocols.sip.message import Request
from roomtone.protocols.sip.transaction import (
    InviteClientTransaction,
    ResponseReceived,
    State,
    TooManyTransactionsError,
    TransactionFailed,
    TransactionFailure,
    TransactionLimits,
)

REPEATED_INVITE = [(0, "INVITE"), *((at, "INVITE") for at in (500, 1500, 3500, 7500, 15500, 31500))]


def statuses(bench: Bench) -> list[int]:
    return [event.response.status for event in bench.events() if isinstance(event, ResponseReceived)]


def failure(bench: Bench) -> TransactionFailure:
    (event,) = bench.events()
    assert isinstance(event, TransactionFailed)
    return event.failure


def test_invite_is_repeated_with_doubling_intervals_and_given_up_at_64_t1() -> None:
    bench = Bench()
    bench.ask()
    assert bench.until(31_999) == REPEATED_INVITE
    assert bench.events() == []
    assert bench.until(1) == []
    assert failure(bench) is TransactionFailure.TIMEOUT
    assert bench.is_empty()


def test_invite_over_a_connection_is_sent_once_and_given_up_at_64_t1() -> None:
    bench = Bench(flow=TCP)
    bench.ask()
    assert bench.until(32_000) == [(0, "INVITE")]
    assert failure(bench) is TransactionFailure.TIMEOUT
    assert bench.is_empty()


def test_provisional_response_ends_repetitions_until_timer_c_cancels() -> None:
    bench = Bench()
    bench.ask()
    bench.until(600)
    bench.receive(answer(request(), 180))
    assert bench.until(179_999) == []
    assert statuses(bench) == [180]
    assert bench.until(1) == [(1, "CANCEL")]


def test_each_provisional_but_100_starts_timer_c_again() -> None:
    bench = Bench()
    bench.ask()
    bench.receive(answer(request(), 180))
    bench.until(100_000)
    bench.receive(answer(request(), 183))
    bench.until(100_000)
    bench.receive(answer(request(), 100))
    assert "CANCEL" not in [word for _, word in bench.until(79_000)]
    assert "CANCEL" in [word for _, word in bench.until(2_000)]


def test_failure_is_acknowledged_each_time_it_comes_until_timer_d() -> None:
    bench = Bench()
    bench.ask(route="<sip:proxy;lr>")
    bench.sent()
    bench.receive(answer(request(), 486, "busy"))
    (ack,) = bench.messages()
    assert isinstance(ack, Request)
    assert (ack.method, ack.uri_text, ack.cseq.number, ack.cseq.method) == ("ACK", "sip:b@192.0.2.1", 1, "ACK")
    assert (ack.via.branch, ack.to_tag, ack.headers.items("route")) == ("z9hG4bKa", "busy", ["<sip:proxy;lr>"])
    bench.until(31_000)
    bench.receive(answer(request(), 486, "busy"))
    assert bench.sent() == ["ACK"]
    assert statuses(bench) == [486]
    bench.until(1_000)
    assert bench.is_empty()


def test_failure_over_a_connection_ends_it_at_once() -> None:
    bench = Bench(flow=TCP)
    bench.ask()
    bench.receive(answer(request(), 404))
    assert bench.sent() == ["INVITE", "ACK"]
    assert bench.is_empty()


def test_every_2xx_of_an_invite_is_handed_up_until_timer_m_and_none_is_acknowledged_here() -> None:
    bench = Bench()
    bench.ask()
    bench.sent()
    for tag in ("one", "two", "one"):
        bench.receive(answer(request(), 200, tag))
    bench.receive(answer(request(), 180, "late"))
    bench.receive(answer(request(), 486, "late"))
    assert statuses(bench) == [200, 200, 200]
    assert bench.until(31_999) == []
    assert not bench.is_empty()
    bench.until(1)
    assert bench.is_empty()
    bench.receive(answer(request(), 200, "three"))
    assert bench.layer.counters.stray_responses == 1


def test_cancel_waits_for_a_provisional_response() -> None:
    bench = Bench()
    transaction = bench.ask()
    assert isinstance(transaction, InviteClientTransaction)
    assert transaction.cancel(bench.now, [b"Reason: SIP;cause=200"])
    assert bench.sent() == ["INVITE"]
    bench.receive(answer(request(), 100))
    (cancel,) = bench.messages()
    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.via.branch, cancel.cseq.number) == ("CANCEL", "z9hG4bKa", 1)
    assert cancel.to_tag is None
    assert cancel.headers.get("reason") == b"SIP;cause=200"


def test_cancelled_invite_without_final_response_is_given_up() -> None:
    bench = Bench()
    transaction = bench.ask()
    assert isinstance(transaction, InviteClientTransaction)
    bench.receive(answer(request(), 180))
    assert transaction.cancel(bench.now)
    bench.receive(answer(request("CANCEL"), 200))
    assert statuses(bench) == [180]
    bench.until(32_000)
    assert failure(bench) is TransactionFailure.TIMEOUT
    assert bench.is_empty()


def test_cancel_after_the_final_response_is_refused() -> None:
    bench = Bench()
    transaction = bench.ask()
    assert isinstance(transaction, InviteClientTransaction)
    bench.receive(answer(request(), 200))
    assert not transaction.cancel(bench.now)
    assert bench.sent() == ["INVITE"]


def test_response_to_the_cancel_is_not_one_to_the_invite() -> None:
    bench = Bench()
    transaction = bench.ask()
    assert isinstance(transaction, InviteClientTransaction)
    bench.receive(answer(request(), 180))
    transaction.cancel(bench.now)
    bench.receive(answer(request("CANCEL"), 481))
    assert transaction.state is State.INVITE_CLIENT_PROCEEDING
    bench.receive(answer(request(), 487))
    assert statuses(bench) == [180, 487]


def test_other_requests_are_repeated_up_to_t2_and_given_up_at_64_t1() -> None:
    bench = Bench()
    bench.ask("OPTIONS")
    times = [0, 500, 1500, 3500, *range(7500, 32_000, 4000)]
    assert bench.until(32_000) == [(at, "OPTIONS") for at in times]
    assert failure(bench) is TransactionFailure.TIMEOUT
    assert bench.is_empty()


def test_provisional_response_slows_repetitions_to_t2() -> None:
    bench = Bench()
    bench.ask("OPTIONS")
    bench.sent()
    bench.receive(answer(request("OPTIONS"), 100))
    assert bench.until(9_000) == [(500, "OPTIONS"), (4500, "OPTIONS"), (8500, "OPTIONS")]
    bench.receive(answer(request("OPTIONS"), 200))
    assert statuses(bench) == [100, 200]


@pytest.mark.parametrize("status", [200, 302, 404, 503, 603])
def test_final_response_is_handed_up_once_and_absorbed_for_t4(status: int) -> None:
    bench = Bench()
    bench.ask("OPTIONS")
    for _ in range(3):
        bench.receive(answer(request("OPTIONS"), status))
    assert statuses(bench) == [status]
    bench.until(4_999)
    assert not bench.is_empty()
    bench.until(1)
    assert bench.is_empty()


def test_final_response_over_a_connection_ends_it_at_once() -> None:
    bench = Bench(flow=TCP)
    bench.ask("OPTIONS")
    bench.receive(answer(request("OPTIONS"), 200))
    assert bench.is_empty()


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_what_cannot_be_sent_fails_at_once(method: str) -> None:
    bench = Bench()
    bench.ask(method)
    transmit = bench.layer.poll_transmit()
    assert transmit is not None
    bench.layer.handle_transport_error(transmit, bench.now)
    assert failure(bench) is TransactionFailure.TRANSPORT_ERROR
    assert bench.is_empty()
    bench.layer.handle_transport_error(transmit, bench.now)
    assert bench.events() == []


def test_more_requests_than_may_be_are_refused_and_nothing_is_sent() -> None:
    bench = Bench(limits=TransactionLimits(client=1))
    bench.ask("OPTIONS")
    with pytest.raises(TooManyTransactionsError):
        bench.layer.send_request("OPTIONS", "z9hG4bKb", request("OPTIONS", "z9hG4bKb"), bench.flow, bench.now)
    assert bench.sent() == ["OPTIONS"]
