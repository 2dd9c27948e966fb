"""What calls need of the world: tables, and signalling. `roomtone.store` and `roomtone.servers.sip` have them."""

# ruff: noqa: D102 - the tables of `roomtone.store` say what each method does

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from roomtone.control.calls.directory.trunk import Trunk
    from roomtone.control.calls.directory.trunk_life import TrunkReply
    from roomtone.control.calls.parties.call import Call
    from roomtone.control.calls.reasons import CallEnd
    from roomtone.control.calls.values import Caller, Target
    from roomtone.store import CallRecord, DispatchRuleRecord, SipAccountRecord, SipBindingRecord, SipTrunkRecord


class SipAccountTable(Protocol):
    """Phone accounts."""

    async def add(self, account: SipAccountRecord) -> None: ...
    async def list(self) -> list[SipAccountRecord]: ...
    async def version(self) -> tuple[int, float]: ...
    async def update(self, username: str, **values: Any) -> bool: ...
    async def delete(self, username: str) -> bool: ...


class BindingTable(Protocol):
    """Bindings."""

    async def write(self, kept: Sequence[SipBindingRecord], gone: Collection[str]) -> None: ...
    async def load(self, now: float) -> list[SipBindingRecord]: ...


class RuleTable(Protocol):
    """Dispatch rules."""

    async def add(self, rule: DispatchRuleRecord) -> None: ...
    async def replace(self, rule: DispatchRuleRecord) -> None: ...
    async def list(self) -> list[DispatchRuleRecord]: ...
    async def delete(self, name: str) -> bool: ...


class TrunkTable(Protocol):
    """Trunks."""

    async def add(self, trunk: SipTrunkRecord) -> None: ...
    async def replace(self, trunk: SipTrunkRecord) -> None: ...
    async def list(self) -> list[SipTrunkRecord]: ...
    async def delete(self, name: str) -> bool: ...


class CallRecordTable(Protocol):
    """Calls that have ended."""

    async def add(self, records: Sequence[CallRecord]) -> None: ...
    async def page(
        self, limit: int, *, before: float | None = None, account: str | None = None
    ) -> list[CallRecord]: ...
    async def purge(self, before: float) -> int: ...


class Secrets(Protocol):
    """Seals passwords."""

    def seal(self, secret: str) -> str: ...
    def unseal(self, sealed: str) -> str: ...
    def derive(self, purpose: str) -> str: ...


class Signal(Protocol):
    """One leg in signalling. Nothing here waits; what comes of it are events of the leg.

    ``media_ip`` is the address of ours where its media is to be received, ``told_ip`` what we call that towards the
    peer. ``source_ip`` is where its signalling comes from, empty where that is not known. ``is_browser``: it is reached
    by WebSocket, so that it has ICE and DTLS, and nothing else.
    """

    @property
    def media_ip(self) -> str: ...
    @property
    def told_ip(self) -> str: ...
    @property
    def source_ip(self) -> str: ...
    @property
    def is_browser(self) -> bool: ...

    def ring(self, status: int, sdp: str | None) -> None:
        """Tell the peer of an inbound leg that it rings elsewhere, with early media where there is a description."""

    def answer(self, sdp: str) -> None:
        """Accept the peer's INVITE; raise `CallError` when it cannot be any more."""

    def end(self, end: CallEnd) -> None:
        """End it the way its state asks for: a refusal, CANCEL or BYE; once it has ended nothing is done."""

    def answer_offer(self, offer: Any, sdp: str) -> None:
        """Accept an offer that came in the middle of the call."""

    def refuse_offer(self, offer: Any, end: CallEnd) -> None:
        """Refuse such an offer; the call goes on as it was."""

    def postpone_offer(self, offer: Any) -> None:
        """Refuse such an offer for now: the peer is to make it again after a while (491)."""

    def awaits(self, offer: Any) -> bool:
        """Whether the peer still waits for the answer to such an offer."""

    def reoffer(self, sdp: str) -> bool:
        """Offer something else in the middle of the call: `Reanswered` follows; False where that cannot be now."""

    def send_info(self, content_type: str, body: bytes, reply: Callable[[int], None]) -> None:
        """Send INFO; ``reply`` is called with the status of the peer's answer."""

    def accept_referral(self, referral: Any) -> bool:
        """Accept a REFER, whose progress is then told; False where it had to be refused."""

    def refuse_referral(self, referral: Any, status: int) -> None:
        """Refuse a REFER."""

    def tell_referral(self, referral: Any, status: int) -> None:
        """Tell the sender of a REFER how its call goes; a final status is the end."""

    def refer(self, to: str, tell: Callable[[int], None]) -> None:
        """Ask the peer to call a URI (RFC 3515); ``tell`` is called once, with the status of what came of it."""

    def move_to(self, call: Call) -> None:
        """Hand what happens from now on to another call."""


class OutboundSignal(Signal, Protocol):
    """A leg to somebody we call."""

    def invite(self, caller: Caller, called: str, sdp: str, referred_by: str = "") -> None:
        """Call the peer; raise `CallError`."""


class Signalling(Protocol):
    """Makes outbound legs."""

    async def ways_to(self, target: Target) -> list[Target]:
        """Find the flows by which a target can be reached, the best first; raise `CallError` where there is none."""

    def leg_to(self, target: Target, call: Call) -> OutboundSignal:
        """Prepare a leg of a call; nothing is sent yet. Raise `CallError` when there is no way there."""


class TrunkSignalling(Protocol):
    """Speaks to trunks. What fails is in the reply."""

    async def register(self, trunk: Trunk, expires_s: int) -> TrunkReply:
        """Register with a trunk, or take that back with 0 seconds."""

    async def probe(self, trunk: Trunk) -> TrunkReply:
        """Ask by OPTIONS whether it is there."""
