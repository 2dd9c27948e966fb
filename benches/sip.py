"""Calls per CPU second of the SIP stack: signalling only, one core.

`python benches/sip.py` runs a back-to-back user agent of two dialogs a call and 13 messages: INVITE, 100, 180, 200,
ACK, BYE and 200 with the caller; the same but 100 with the called. Both of them are templates outside of the clock.
Calls come in batches, as a socket that is read until it is empty delivers them; the clock of the protocol runs at
``--rate`` calls a second, so that after half a minute of it as many transactions end as begin. ``--profile`` says where
the time goes. Collections of cycles are rare, as the server sets them: calls leave none behind.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import re
import resource
import statistics
import time
from typing import TYPE_CHECKING, Any

from roomtone.protocols.sip.agent import Answered, Ended, Invited, Progressed, UserAgent
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.headers.address import Address
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import TransactionLayer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sip.agent import Leg, OutgoingInvite

CALLER = Flow(Transport.UDP, "192.0.2.10", 5061, "192.0.2.1", 5060)
CALLED = Flow(Transport.UDP, "192.0.2.20", 5062, "192.0.2.1", 5060)
SDP = (
    b"v=0\r\no=user1 53655765 2353687637 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    b"m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
INVITE = (
    b"INVITE sip:service@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5061;branch=z9hG4bK-%d-1-0;rport\r\n"
    b"From: sipp <sip:sipp@192.0.2.10:5061>;tag=%dSIPpTag00\r\nTo: service <sip:service@192.0.2.1:5060>\r\n"
    b"Call-ID: %d-1@192.0.2.10\r\nCSeq: 1 INVITE\r\nContact: <sip:sipp@192.0.2.10:5061>\r\nMax-Forwards: 70\r\n"
    b"Subject: Performance Test\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%b"
)
REQUEST = (
    b"%b %b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5061;branch=z9hG4bK-%d-1-%d;rport\r\n"
    b"From: sipp <sip:sipp@192.0.2.10:5061>;tag=%dSIPpTag00\r\nTo: %b\r\nCall-ID: %d-1@192.0.2.10\r\n"
    b"CSeq: %d %b\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
CONTACT = b"Contact: <sip:192.0.2.20:5062>\r\n"
_COPIED = re.compile(rb"^((?:Via|From|Call-ID|CSeq): .*\r\n)", re.MULTILINE)
_TO = re.compile(rb"^To: (.*)\r\n", re.MULTILINE)
_NUMBER = re.compile(rb"^Call-ID: (\d+)-1@", re.MULTILINE)
MESSAGES = 13
PARTS = 10


class Bridge:
    """The least that joins two legs."""

    def __init__(self, called: Flow = CALLED) -> None:
        self.agent = UserAgent(TransactionLayer(Tokens(b"s" * 32)))
        self.called = called
        self.called_uri = f"sip:service@{called.remote_host}:{called.remote_port}"
        self.callers: dict[OutgoingInvite, Leg] = {}
        self.others: dict[Leg, Leg] = {}
        self.calls = 0

    def work(self, messages: Iterable[bytes], flow: Flow, now: int) -> list[tuple[Flow, bytes]]:
        """Take a batch of messages; what leaves."""
        agent = self.agent
        out = []
        for data in messages:
            agent.handle_data(data, flow, now)
            self.take_events(now)
            while (transmit := agent.poll_transmit()) is not None:
                out.append((transmit.flow, transmit.data))
        return out

    def take_events(self, now: int) -> None:
        """Do what there is to do."""
        while (event := self.agent.poll_event()) is not None:
            self._on_event(event, now)

    def expire(self, now: int) -> None:
        """Do what is due."""
        self.agent.handle_timeout(now)

    def _on_event(self, event: object, now: int) -> None:
        agent = self.agent
        match event:
            case Invited(leg=leg, request=request):
                from_, to = request.from_, request.to
                call = agent.invite(
                    self.called_uri,
                    self.called,
                    now,
                    from_=Address(from_.uri_text, display=from_.display),
                    to=Address(to.uri_text, display=to.display),
                    body=request.body,
                )
                self.callers[call] = leg
            case Progressed(call=call, response=response):
                agent.progress(self.callers[call], response.status, now)
            case Answered(call=call, leg=theirs, response=response):
                ours = self.callers.pop(call)
                self.others[ours], self.others[theirs] = theirs, ours
                agent.answer_invite(ours, now, body=response.body)
                self.calls += 1
            case Ended(leg=leg):
                other = self.others.pop(leg, None)
                if other is not None and not other.is_over:
                    self.others.pop(other, None)
                    agent.bye(other, now)
            case _:
                pass


def _reply(data: bytes, status: bytes, more: bytes, body: bytes = b"") -> bytes:
    """Answer as the called does."""
    to = _TO.search(data)
    assert to is not None
    tag = b"" if b"tag=" in to[1] else b";tag=1SIPpTag01"
    head = b"".join(_COPIED.findall(data))
    return b"SIP/2.0 %b\r\n%bTo: %b%b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        status,
        head,
        to[1],
        tag,
        more,
        len(body),
        body,
    )


def _follow(method: bytes, cseq: int, step: int, answer: bytes) -> bytes:
    """Go on as the caller does, after the 200."""
    to, number = _TO.search(answer), _NUMBER.search(answer)
    assert to is not None
    assert number is not None
    n = int(number[1])
    return REQUEST % (method, b"sip:192.0.2.1:5060", n, step, n, to[1], n, cseq, method)


class Run:
    """Batches of calls through one bridge, with the bridge on the clock and nothing else."""

    def __init__(self, bridge: Any, profile: cProfile.Profile | None = None) -> None:
        self.bridge = bridge
        self.now = 1_000
        self.number = 0
        self.messages = 0
        self.profile = profile

    def _timed(self, messages: list[bytes], flow: Flow) -> tuple[list[tuple[Flow, bytes]], float]:
        if self.profile is not None:
            self.profile.enable()
        start = time.thread_time()
        out = self.bridge.work(messages, flow, self.now)
        took = time.thread_time() - start
        if self.profile is not None:
            self.profile.disable()
        self.messages += len(messages) + len(out)
        return out, took

    def batch(self, calls: int, gap_ms: int) -> float:
        """Run some calls to their end; CPU seconds."""
        invites = []
        for _ in range(calls):
            self.number += 1
            n = self.number
            invites.append(INVITE % (n, n, n, len(SDP), SDP))
        out, took = self._timed(invites, CALLER)
        at_called = [data for flow, data in out if flow == CALLED]
        assert len(at_called) == calls
        ringing = [_reply(data, b"180 Ringing", CONTACT) for data in at_called]
        out, more = self._timed(ringing, CALLED)
        took += more
        assert len(out) == calls
        block = CONTACT + b"Content-Type: application/sdp\r\n"
        answers = [_reply(data, b"200 OK", block, SDP) for data in at_called]
        out, more = self._timed(answers, CALLED)
        took += more
        accepted = [data for flow, data in out if flow == CALLER]
        assert len(accepted) == calls
        assert len(out) == 2 * calls
        out, more = self._timed([_follow(b"ACK", 1, 5, data) for data in accepted], CALLER)
        took += more
        assert out == []
        out, more = self._timed([_follow(b"BYE", 2, 7, data) for data in accepted], CALLER)
        took += more
        byes = [data for flow, data in out if flow == CALLED]
        assert len(byes) == calls
        out, more = self._timed([_reply(data, b"200 OK", b"") for data in byes], CALLED)
        took += more
        assert out == []
        self.now += gap_ms
        if self.profile is not None:
            self.profile.enable()
        start = time.thread_time()
        self.bridge.expire(self.now)
        took += time.thread_time() - start
        if self.profile is not None:
            self.profile.disable()
        return took


def speed() -> float:
    """Microseconds that a hundred dictionary entries take now: what else the machine does is in every figure."""
    start = time.thread_time()
    for _ in range(200):
        entries = {}
        for n in range(100):
            entries[n] = n  # noqa: PERF403 - that it is slow is the point
    return (time.thread_time() - start) * 5e3


def measure(run: Run, calls: int, size: int, gap: int) -> tuple[list[float], list[float]]:
    """Run calls in `PARTS` parts: calls a CPU second of each, and the `speed` meanwhile."""
    batches = max(1, calls // size // PARTS)
    rates = []
    speeds = []
    for _ in range(PARTS):
        took = 0.0
        parts = []
        for _ in range(batches):
            took += run.batch(size, gap)
            parts.append(speed())
        rates.append(batches * size / took)
        speeds.append(statistics.fmean(parts))
    return rates, speeds


def bench(calls: int, rate: int, size: int, profile: cProfile.Profile | None = None) -> None:
    """Warm up for 35 s of the protocol's clock, then measure."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    run = Run(Bridge(), profile)
    gap = size * 1_000 // rate
    for _ in range(35_000 // gap):
        run.batch(size, gap)
    if profile is not None:
        profile.clear()
    warm = run.bridge.calls
    run.messages = 0
    rates, speeds = measure(run, calls, size, gap)
    done = run.bridge.calls - warm
    assert run.messages == MESSAGES * done
    layer = run.bridge.agent.layer
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    middle = statistics.median(rates)
    steps = statistics.median(1e6 / rate / one for rate, one in zip(rates, speeds, strict=True))
    print(
        f"{middle:,.0f} calls per CPU second ({min(rates):,.0f} to {max(rates):,.0f} in {PARTS} parts), "
        f"{1e6 / middle:.1f} us a call, {1e6 / middle / MESSAGES:.1f} us a message; a hundred dictionary entries took "
        f"{statistics.median(speeds):.2f} us meanwhile, a call {steps:.1f} times that; "
        f"{len(layer):,} transactions alive, {memory} MiB"
    )
    run.now += 40_000
    run.bridge.agent.handle_timeout(run.now)
    assert len(layer) == 0
    assert not run.bridge.agent.dialogs


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=500, help="calls a second of the protocol's clock")
    parser.add_argument("--size", type=int, default=50, help="calls in a batch")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if not arguments.profile:
        bench(arguments.calls, arguments.rate, arguments.size)
        return
    profile = cProfile.Profile()
    bench(arguments.calls, arguments.rate, arguments.size, profile)
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
