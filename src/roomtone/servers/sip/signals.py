"""Legs of calls in SIP: what control asks of one becomes requests and responses of the user agent."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from roomtone.control.calls import CallEnd, CallError, sip_status
from roomtone.protocols.sip.agent import TooManyError, WrongStateError
from roomtone.protocols.sip.dialog import DialogState
from roomtone.protocols.sip.errors import SipBuildError, SipSyntaxError
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.headers import Address
from roomtone.protocols.sip.message import header_line
from roomtone.protocols.sip.transaction import TooManyTransactionsError
from roomtone.protocols.sip.uri import SipUri, make_sip_uri, parse_uri
from roomtone.servers.sip.offers import OfferingSignal, SignalDriver
from roomtone.servers.sip.referring import Referring
from roomtone.servers.sip.trunk_calls import identities

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls import Call, Caller, Target, Trunk
    from roomtone.protocols.sip.agent import Leg, OutgoingInvite, Subscription
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.transaction import ServerTransaction
    from roomtone.servers.sip.domains import Domains

STREAM_ABOVE_BYTES = 1_300
"""Requests longer than this may not fit a datagram (RFC 3261 section 18.1.1)."""
HEADERS_BYTES = 700
"""What is reckoned for the headers of an INVITE, which are written when its way is chosen."""
_MAX_WARNING = 120
_WEBSOCKETS = frozenset({Transport.WS, Transport.WSS})


class PhoneSignal(OfferingSignal):
    """One leg."""

    def __init__(self, driver: SignalDriver, flow: Flow) -> None:
        super().__init__(driver)
        self.flow = flow
        self.invite_sent: OutgoingInvite | None = None
        self.owner: Call | None = None
        """The call it is a leg of."""
        self.trunk: Trunk | None = None
        """The trunk it goes by or has come by."""

    @property
    def media_ip(self) -> str:
        """Our address towards the peer, as the machine has it."""
        return self._driver.bound_ip(self.flow)

    @property
    def told_ip(self) -> str:
        """Our address as the peer knows it; by WebSocket it knows a name, and descriptions have addresses."""
        return self.media_ip if self.flow.transport in _WEBSOCKETS else self.flow.local_host

    @property
    def source_ip(self) -> str:
        """Where the peer's signalling comes from."""
        return self.flow.remote_host

    @property
    def is_browser(self) -> bool:
        """Whether the peer is reached by WebSocket (RFC 7118), which browsers have and phones have not."""
        return self.flow.transport in _WEBSOCKETS

    def ring(self, status: int, sdp: str | None) -> None:
        """Send a provisional response; too late for it is no harm."""
        if self.leg is not None:
            with suppress(WrongStateError):
                self.agent.progress(self.leg, status, self._driver.now(), body=(sdp or "").encode())
                self._driver.lamps.note(self, "early")
            self._driver.drain()

    def answer(self, sdp: str) -> None:
        """Send 200 with a description; raise `CallError` when the INVITE was cancelled meanwhile."""
        if self.leg is None:
            raise CallError(CallEnd.FAILED, "no INVITE to answer")
        try:
            self.agent.answer_invite(self.leg, self._driver.now(), body=sdp.encode())
            self._driver.lamps.note(self, "confirmed")
        except WrongStateError as error:
            raise CallError(CallEnd.CANCELLED, str(error)) from error
        finally:
            self._driver.drain()

    def end(self, end: CallEnd) -> None:
        """Refuse, cancel or hang up, whichever the state asks for."""
        now = self._driver.now()
        with suppress(WrongStateError):
            if self.leg is not None:
                self._end_leg(self.leg, end, now)
            elif self.invite_sent is not None and not self.invite_sent.is_over:
                self.invite_sent.cancel(now, _reason(end))
        self._driver.lamps.end(self)
        self._driver.drain()

    def _end_leg(self, leg: Leg, end: CallEnd, now: int) -> None:
        if leg.is_over:
            return
        if leg.dialog.state is DialogState.EARLY:
            status, phrase = sip_status(end)
            # RFC 3261 section 20.43: 399 is any text for people.
            self.agent.refuse(leg, status, now, block=_line("Warning", f'399 roomtone "{phrase[:_MAX_WARNING]}"'))
        else:
            self.agent.bye(leg, now, block=_reason(end))

    def send_info(self, content_type: str, body: bytes, reply: Callable[[int], None]) -> None:
        """Send INFO in the dialog."""
        if self.leg is None:
            reply(sip_status(CallEnd.LEG_LOST)[0])
            return
        try:
            block = _line("Content-Type", content_type) if body else b""
            request = self.agent.request(self.leg.dialog, "INFO", self._driver.now(), body=body, block=block)
        except (WrongStateError, TooManyTransactionsError, SipBuildError):
            reply(sip_status(CallEnd.LEG_LOST)[0])
            return
        request.owner = reply
        self._driver.drain()

    # --- referrals ---

    def accept_referral(self, referral: Referral) -> bool:
        """Accept a REFER with 202, and tell 100; False where there was no room for it (503)."""
        request = referral.transaction.request
        wanted = None if request is None else request.headers.text("refer-sub")
        is_quiet = wanted is not None and wanted.strip().lower().startswith("false")
        try:
            referral.told = self.agent.subscriptions.accept_refer(referral.transaction, self._driver.now())
        except WrongStateError:
            return False
        finally:
            self._driver.drain()
        return is_quiet or referral.told is not None

    def refuse_referral(self, referral: Referral, status: int) -> None:
        """Refuse a REFER."""
        with suppress(WrongStateError):
            self.agent.respond(referral.transaction, status, self._driver.now())
        self._driver.drain()

    def tell_referral(self, referral: Referral, status: int) -> None:
        """Send NOTIFY with a status (RFC 3515 section 2.4.4), if it is wanted and not too late."""
        if referral.told is not None:
            with suppress(WrongStateError):
                self.agent.subscriptions.tell_refer(referral.told, status, self._driver.now())
            self._driver.drain()

    def refer(self, to: str, tell: Callable[[int], None]) -> None:
        """Send REFER; ``tell`` is called once with the status of what came of it."""
        if self.leg is None or self.leg.is_over:
            tell(sip_status(CallEnd.LEG_LOST)[0])
            return
        try:
            self.agent.subscriptions.refer(self.leg.dialog, Address(to), self._driver.now(), owner=Referring(tell))
        except (WrongStateError, TooManyError, TooManyTransactionsError, SipBuildError):
            tell(sip_status(CallEnd.LEG_LOST)[0])
        self._driver.drain()

    def move_to(self, call: Call) -> None:
        """Hand what happens from now on to another call."""
        self.owner = call


class Referral:
    """A REFER of a peer, and what tells it how that goes."""

    __slots__ = ("told", "transaction")

    def __init__(self, transaction: ServerTransaction) -> None:
        self.transaction = transaction
        self.told: Subscription | None = None


class OutboundSignal(PhoneSignal):
    """A leg to a phone."""

    def __init__(self, driver: SignalDriver, flow: Flow, target: Target, domains: Domains) -> None:
        super().__init__(driver, flow)
        self.target = target
        self.trunk = target.trunk
        self._domains = domains
        self._asked: tuple[Caller, str, str, str] | None = None
        """What was asked for by TCP, to be said once more by UDP where nobody takes TCP."""

    @property
    def is_browser(self) -> bool:
        """Whether the peer is reached by WebSocket, here or at the last of the proxies on the way to it."""
        return super().is_browser or (bool(self.target.path) and _names_websocket(self.target.uri))

    def invite(self, caller: Caller, called: str, sdp: str, referred_by: str = "") -> None:
        """Send the INVITE; raise `CallError`."""
        stream = self.target.stream
        if stream is not None and len(sdp) + HEADERS_BYTES > STREAM_ABOVE_BYTES:
            self._asked = caller, called, sdp, referred_by
            self._invite(stream, caller, called, sdp, referred_by)
        else:
            self._invite(self.flow, caller, called, sdp, referred_by)

    def invite_by_datagram(self) -> bool:
        """Send the INVITE by UDP that nobody took by TCP (RFC 3261 section 18.1.1); False when it was sent so."""
        if self._asked is None:
            return False
        asked, self._asked = self._asked, None
        try:
            self._invite(self.flow, *asked)
        except CallError:
            return False
        return True

    def _invite(self, flow: Flow, caller: Caller, called: str, sdp: str, referred_by: str) -> None:
        target = self.target
        hops = self._hops()
        try:
            from_, to, block = self._identities(flow, caller, called)
            block += b"".join(_line(name, value) for name, value in caller.headers)
            if referred_by:
                block += _line("Referred-By", referred_by)
            sent = self.agent.invite(
                target.uri,
                flow,
                self._driver.now(),
                from_=from_,
                to=to,
                body=sdp.encode(),
                block=block,
                routes=target.path,
                user="" if self.trunk is None else self.trunk.username,
                max_forwards=hops,
            )
        except (TooManyError, TooManyTransactionsError) as error:
            raise CallError(CallEnd.OVERLOADED, str(error)) from error
        except SipBuildError as error:
            raise CallError(CallEnd.FAILED, str(error)) from error
        sent.owner = self
        self.invite_sent = sent
        self._driver.lamps.begin(self, target.account, "recipient", from_.uri_text)
        self._driver.drain()

    def _hops(self) -> int:
        """Count this server as one by which the call has come (RFC 7332 section 4); raise `CallError` at the last."""
        hops = 0 if self.owner is None else self.owner.invitation.hops
        if not hops:
            raise CallError(CallEnd.TOO_MANY_HOPS, "it has come by as many servers as it may")
        return hops - 1

    def _identities(self, flow: Flow, caller: Caller, called: str) -> tuple[Address, Address, bytes]:
        if self.trunk is not None:
            return identities(self.trunk, self.target, caller)
        domain = self._domains.named(flow)
        return _address(domain, caller.account, caller.name), _address(domain, called), b""


@lru_cache(4_096)  # phones call the same few numbers, and addresses are not changed
def _address(domain: str, user: str, name: str = "") -> Address:
    """Make From or To of somebody here. Raises `SipBuildError`."""
    return Address(make_sip_uri(domain, user=user).serialize(), display=name)


def _names_websocket(text: str) -> bool:
    """Whether a contact is at the other end of a WebSocket, as it says itself (RFC 7118 section 5.2.2)."""
    try:
        uri = parse_uri(text)
    except SipSyntaxError:
        return False
    return isinstance(uri, SipUri) and uri.transport in _WEBSOCKETS


def _reason(end: CallEnd) -> bytes:
    """Say why (RFC 3326), where the peer would not guess it."""
    status, phrase = sip_status(end)
    if end in {CallEnd.COMPLETED, CallEnd.CANCELLED}:
        return b""
    cause = 200 if end in {CallEnd.ANSWERED_ELSEWHERE, CallEnd.TRANSFERRED} else status
    return _line("Reason", f'SIP;cause={cause};text="{phrase}"')


def _line(name: str, value: str) -> bytes:
    return header_line(name, value) + b"\r\n"
