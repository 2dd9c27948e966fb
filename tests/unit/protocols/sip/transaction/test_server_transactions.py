"""Server transactions, by the tables of RFC 3261 section 17.2 and RFC 6026."""

from __future__ import annotations

import pytest
from transaction_bench import TCP, UDP, Bench, answer, request

from roomtone.protocols.sip.message import Response
from roomtone.protocols.sip.overload import Overload, OverloadCause
from roomtone.protocols.sip.transaction import (
    AckReceived,
    CancelReceived,
    RequestReceived,
    State,
    TransactionFailed,
    TransactionFailure,
    TransactionLimits,
)


def test_invite_is_answered_100_at_once_and_handed_up_once() -> None:
    bench = Bench()
    for _ in range(3):
        bench.receive(request())
    assert bench.sent() == ["100", "100", "100"]
    assert len(bench.events()) == 1


def test_100_waits_for_200_ms_if_so_configured() -> None:
    bench = Bench(trying_after_ms=200)
    bench.receive(request())
    assert bench.until(300) == [(200, "100")]
    bench = Bench(trying_after_ms=200)
    bench.respond(bench.accept(), 180)
    assert bench.until(300) == [(0, "180")]


def test_repeated_invite_gets_the_last_provisional_response() -> None:
    bench = Bench()
    transaction = bench.accept()
    bench.respond(transaction, 180)
    bench.respond(transaction, 183)
    bench.sent()
    bench.receive(request())
    assert bench.sent() == ["183"]


def test_refusal_is_repeated_until_its_ack_and_the_ack_stays_here() -> None:
    bench = Bench()
    bench.respond(bench.accept(), 486)
    assert bench.until(4_000) == [(0, "100"), (0, "486"), (500, "486"), (1500, "486"), (3500, "486")]
    bench.receive(request())
    assert bench.sent() == ["486"]
    bench.receive(request("ACK", to=";tag=t"))
    assert bench.until(4_999) == []
    bench.receive(request())
    bench.receive(request("ACK", to=";tag=t"))
    assert bench.events() == []
    assert bench.sent() == []
    bench.until(1)
    assert bench.is_empty()


def test_refusal_that_is_never_acknowledged_is_repeated_up_to_t2_and_fails() -> None:
    bench = Bench()
    bench.respond(bench.accept(), 486)
    bench.sent()
    assert [at for at, _ in bench.until(32_000)] == [500, 1500, 3500, *range(7500, 32_000, 4000)]
    (event,) = bench.events()
    assert isinstance(event, TransactionFailed)
    assert event.failure is TransactionFailure.TIMEOUT
    assert bench.is_empty()


def test_refusal_over_a_connection_is_sent_once() -> None:
    bench = Bench(flow=TCP)
    bench.respond(bench.accept(), 486)
    assert bench.until(31_000) == [(0, "100"), (0, "486")]
    bench.receive(request("ACK", to=";tag=t"))
    assert bench.is_empty()


def test_accepted_invite_absorbs_repetitions_and_leaves_those_of_the_2xx_to_its_user() -> None:
    bench = Bench()
    transaction = bench.accept()
    bench.respond(transaction, 200)
    bench.sent()
    bench.receive(request())
    assert bench.until(10_000) == []
    assert bench.respond(transaction, 200)
    assert bench.sent() == ["200"]
    assert not bench.respond(transaction, 486)
    bench.until(21_999)
    assert not bench.is_empty()
    bench.until(1)
    assert bench.is_empty()


def test_ack_of_a_2xx_is_handed_up() -> None:
    bench = Bench()
    bench.respond(bench.accept(), 200)
    bench.receive(request("ACK", "z9hG4bKother", to=";tag=t"))
    bench.receive(request("ACK", to=";tag=t"))
    assert [type(event) for event in bench.events()] == [AckReceived, AckReceived]


def test_cancel_is_answered_and_its_invite_told() -> None:
    bench = Bench()
    invite = bench.accept()
    bench.sent()
    bench.receive(request("CANCEL"))
    bench.receive(request("CANCEL"))
    assert bench.sent() == ["200", "200"]
    (event,) = bench.events()
    assert isinstance(event, CancelReceived)
    assert event.invite is invite


def test_cancel_after_the_final_response_is_answered_and_changes_nothing() -> None:
    bench = Bench()
    bench.respond(bench.accept(), 200)
    bench.sent()
    bench.receive(request("CANCEL"))
    assert bench.sent() == ["200"]
    assert bench.events() == []


def test_cancel_of_nothing_is_answered_481() -> None:
    bench = Bench()
    bench.receive(request("CANCEL"))
    assert bench.sent() == ["481"]
    assert bench.layer.counters.stray_cancels == 1
    bench.until(32_000)
    assert bench.is_empty()


def test_invite_that_nobody_answers_is_refused_in_the_end() -> None:
    bench = Bench()
    bench.accept()
    bench.sent()
    assert bench.until(600_000)[0] == (600_000, "500")
    (event,) = bench.events()
    assert event.failure is TransactionFailure.ABANDONED
    bench.until(32_000)
    assert bench.is_empty()


def test_other_request_that_nobody_answers_is_forgotten_when_its_peer_gives_up() -> None:
    bench = Bench()
    transaction = bench.accept(request("OPTIONS"))
    bench.until(32_000)
    assert bench.is_empty()
    assert not bench.respond(transaction, 200, request("OPTIONS"))
    assert bench.sent() == []


def test_repeated_request_gets_what_was_sent_last_until_timer_j() -> None:
    bench = Bench()
    transaction = bench.accept(request("OPTIONS"))
    bench.receive(request("OPTIONS"))
    assert bench.sent() == []
    bench.respond(transaction, 100, request("OPTIONS"))
    bench.receive(request("OPTIONS"))
    assert bench.sent() == ["100", "100"]
    bench.respond(transaction, 200, request("OPTIONS"))
    bench.until(31_999)
    bench.receive(request("OPTIONS"))
    assert bench.sent() == ["200"]
    assert not bench.respond(transaction, 404, request("OPTIONS"))
    bench.until(1)
    assert bench.is_empty()
    bench.receive(request("OPTIONS"))
    assert isinstance(bench.events()[-1], RequestReceived)


def test_final_response_over_a_connection_ends_the_transaction_of_other_methods() -> None:
    bench = Bench(flow=TCP)
    bench.respond(bench.accept(request("OPTIONS")), 200, request("OPTIONS"))
    assert bench.is_empty()


def test_response_goes_back_to_where_the_request_came_from() -> None:
    bench = Bench()
    bench.flow = UDP._replace(remote_host="198.51.100.9", remote_port=1024)
    bench.receive(request())
    transmit = bench.layer.poll_transmit()
    assert transmit is not None
    assert transmit.flow == bench.flow
    assert b";rport=1024" in transmit.data
    assert b";received=198.51.100.9" in transmit.data


def test_response_without_rport_goes_to_the_port_of_sent_by() -> None:
    bench = Bench()
    bench.flow = UDP._replace(remote_port=1024)
    bench.receive(request(via="SIP/2.0/UDP 192.0.2.2:5080;branch=z9hG4bKx"))
    transmit = bench.layer.poll_transmit()
    assert transmit is not None
    assert transmit.flow.remote_port == 5080


def test_maddr_of_a_stranger_is_not_followed() -> None:
    bench = Bench()
    bench.receive(request(via="SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKx;maddr=203.0.113.7"))
    transmit = bench.layer.poll_transmit()
    assert transmit is not None
    assert transmit.flow.remote_host == "192.0.2.2"


def test_response_whose_connection_is_gone_goes_by_a_new_one_to_the_port_of_sent_by() -> None:
    bench = Bench(flow=TCP)
    transaction = bench.accept()
    bench.sent()
    bench.respond(transaction, 180)
    lost = bench.layer.poll_transmit()
    assert lost is not None
    bench.layer.handle_transport_error(lost, bench.now)
    again = bench.layer.poll_transmit()
    assert again is not None
    assert (again.data, again.flow.connection, again.flow.remote_port) == (lost.data, 0, 5060)
    assert bench.events() == []
    bench.layer.handle_transport_error(again, bench.now)
    (event,) = bench.events()
    assert event.failure is TransactionFailure.TRANSPORT_ERROR
    assert transaction.state is State.INVITE_SERVER_PROCEEDING


def test_old_peers_without_cookie_are_matched_by_what_rfc_2543_compares() -> None:
    bench = Bench()
    bench.respond(bench.accept(request(branch="1")), 486, request(branch="1"))
    bench.receive(request(branch="1"))
    assert bench.events() == []
    assert bench.sent() == ["100", "486", "486"]
    bench.receive(request("ACK", "1", to=";tag=another"))
    assert isinstance(bench.events()[0], AckReceived)
    bench.receive(request("ACK", "1", to=";tag=t"))
    assert bench.events() == []
    bench.until(5_000)
    assert bench.is_empty()


def test_old_peers_without_branch_can_cancel() -> None:
    bench = Bench()
    invite = bench.accept(request(branch=None))
    bench.receive(request("CANCEL", None))
    (event,) = bench.events()
    assert isinstance(event, CancelReceived)
    assert event.invite is invite
    bench.receive(request(branch=None, cseq="2"))
    assert isinstance(bench.events()[0], RequestReceived)


def test_requests_beyond_the_limit_get_503_and_leave_nothing() -> None:
    bench = Bench(limits=TransactionLimits(server=1, retry_after_s=9))
    bench.accept()
    bench.sent()
    bench.receive(request("OPTIONS", "z9hG4bKb"))
    (refusal,) = bench.messages()
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.headers.get("retry-after")) == (503, b"9")
    assert bench.layer.counters.refused == 1
    assert bench.layer.overload.refused == {OverloadCause.TRANSACTIONS: 1}
    assert len(bench.layer) == 1
    bench.receive(request("ACK", "z9hG4bKb", to=";tag=x"))
    assert bench.sent() == []


def test_overloaded_layer_refuses_what_is_new_and_serves_dialogs() -> None:
    bench = Bench()
    overload = bench.layer.overload = Overload({OverloadCause.QUEUE: 10})
    invite = bench.accept()
    bench.sent()
    overload.heed(OverloadCause.QUEUE, 11)
    bench.receive(request(branch="z9hG4bKn"))
    (refusal,) = bench.messages()
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.headers.get("retry-after")) == (503, b"5")
    bench.receive(request("ACK", "z9hG4bKn", to=";tag=x"))
    assert (bench.sent(), len(bench.layer)) == ([], 1), "nothing is left of what was refused"
    bench.events()
    bench.receive(request("BYE", "z9hG4bKb", to=";tag=t"))
    assert isinstance(bench.events()[0], RequestReceived)
    bench.receive(request())
    assert (bench.sent(), bench.events()) == (["100"], []), "the same INVITE again is not new"
    bench.receive(request("CANCEL"))
    (cancelled,) = bench.events()
    assert isinstance(cancelled, CancelReceived)
    assert cancelled.invite is invite
    overload.heed(OverloadCause.QUEUE, 5)
    bench.receive(request("OPTIONS", "z9hG4bKc"))
    assert overload.refused == {OverloadCause.QUEUE: 2}
    overload.heed(OverloadCause.QUEUE, 4)
    bench.receive(request("OPTIONS", "z9hG4bKd"))
    assert overload.refused == {OverloadCause.QUEUE: 2}


@pytest.mark.parametrize("status", [100, 180, 200, 302, 486, 503, 603])
def test_same_request_by_another_branch_is_another_transaction(status: int) -> None:
    bench = Bench()
    bench.respond(bench.accept(), status)
    bench.accept(request(branch="z9hG4bKb"))


def test_bytes_that_are_no_message_are_counted() -> None:
    bench = Bench()
    bench.receive(b"hello\r\n\r\n")
    bench.receive(answer(request(), 200).replace(b"CSeq: 1 INVITE", b"CSeq: x"))
    assert sum(bench.layer.counters.malformed.values()) == 2
    assert bench.is_empty()


def test_a_request_that_cannot_be_read_is_answered_without_keeping_anything() -> None:
    bench = Bench()
    for broken in (
        request().replace(b"CSeq: 1", b"CSeq: x"),
        request().replace(b"From: <sip:a@192.0.2.2>", b"From: <sip:a@192.0.2.2"),
        request().replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"),
    ):
        bench.receive(broken)
    assert bench.sent() == ["400", "400", "505"]
    bench.receive(request("ACK").replace(b"CSeq: 1", b"CSeq: x"))
    bench.receive(request().replace(b"Call-ID: c1\r\n", b""))
    assert bench.sent() == []
    assert bench.is_empty()
