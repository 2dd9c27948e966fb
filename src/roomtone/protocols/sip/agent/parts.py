"""What the parts of a user agent have of it: what it is set to and holds, and how they answer and tell."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.events import AgentEvent, Ended, EndReason
from roomtone.protocols.sip.agent.settings import AgentCounters, AgentLimits, AgentSettings
from roomtone.protocols.sip.dialog import DialogState
from roomtone.protocols.sip.grammar import encode

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.hooks import Authenticator, Guard
    from roomtone.protocols.sip.agent.inviting import OutgoingInvite
    from roomtone.protocols.sip.agent.leg import Leg
    from roomtone.protocols.sip.dialog import Dialog, DialogKey
    from roomtone.protocols.sip.message import Request, Response
    from roomtone.protocols.sip.transaction import ServerTransaction, TransactionLayer

_SDP = b"Content-Type: application/sdp\r\n"


class AgentParts:
    """The ground that legs, calls and subscriptions of a `UserAgent` stand on."""

    def __init__(
        self,
        layer: TransactionLayer,
        settings: AgentSettings | None = None,
        limits: AgentLimits | None = None,
        *,
        authenticator: Authenticator | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.layer = layer
        self.settings = settings or AgentSettings()
        self.limits = limits or AgentLimits()
        self.authenticator = authenticator
        self.guard = guard
        self.counters = AgentCounters()
        self.dialogs: dict[DialogKey, Dialog] = {}
        self.calls: set[OutgoingInvite] = set()
        """INVITEs of ours without a final response."""
        self.merging: dict[tuple[str, str], Leg] = {}
        """Legs of INVITEs of peers by Call-ID and their tag, to know one that comes by two ways (8.2.2.2)."""
        self.events: deque[AgentEvent] = deque()
        self.allow_block = b"Allow: " + ", ".join(sorted(self.settings.methods)).encode() + b"\r\n"
        supported = b"Supported: " + ", ".join(sorted(self.offered_extensions())).encode() + b"\r\n"
        self.product_block = encode(f"User-Agent: {self.settings.product}\r\n") if self.settings.product else b""
        self.invite_block = self.allow_block + supported + self.product_block

    def offered_extensions(self) -> frozenset[str]:
        """Tell what is written into Supported."""
        settings = self.settings
        without = set() if settings.reliable_provisionals else {"100rel"}
        return settings.extensions - without

    def answer(
        self,
        transaction: ServerTransaction,
        status: int,
        now: int,
        block: bytes = b"",
        body: bytes = b"",
        *,
        reason: bytes | None = None,
    ) -> None:
        """Write and send a response."""
        if transaction.request is None:
            return
        answers = transaction.answers
        if not answers.tag and not answers.has_tag:
            answers.tag = self.layer.tokens.next().encode()
        self.layer.respond(transaction, status, answers.write(status, block, body, reason), now)

    def body_block(self, body: bytes, block: bytes = b"") -> bytes:
        """Put a Content-Type before header lines that have none, if there is a body."""
        if not body or b"content-type:" in block.lower():
            return block
        return _SDP + block

    def tell(self, event: AgentEvent) -> None:
        """Hand an event up."""
        self.events.append(event)

    def tell_ended(self, leg: Leg, reason: EndReason, message: Request | Response | None) -> None:
        """Hand the end of a leg up."""
        ended = self.counters.ended
        ended[reason] = ended.get(reason, 0) + 1
        self.events.append(Ended(leg, reason, message))

    def forget_leg(self, leg: Leg) -> None:
        """Let go of a leg, and its dialog if nothing else uses it."""
        dialog = leg.dialog
        if dialog.leg is leg:
            dialog.leg = None
        key = leg.merge_key
        if key is not None and self.merging.get(key) is leg:
            del self.merging[key]
        self.forget_dialog(dialog)

    def forget_dialog(self, dialog: Dialog) -> None:
        """Let go of a dialog that nothing uses any more."""
        if not dialog.is_used:
            dialog.state = DialogState.ENDED
            self.dialogs.pop(dialog.key, None)

    def random_below(self, bound: int) -> int:
        """Draw a number."""
        return int(self.layer.tokens.next(), 16) % bound
