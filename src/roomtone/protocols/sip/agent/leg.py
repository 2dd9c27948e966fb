"""The usage of a dialog that an INVITE makes: one party's side of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomtone.protocols.sip.agent.calling import CallingLeg
from roomtone.protocols.sip.agent.events import EndReason
from roomtone.protocols.sip.agent.outgoing import Outgoing
from roomtone.protocols.sip.agent.reoffer import Reoffer
from roomtone.protocols.sip.agent.session import TooShort, grant
from roomtone.protocols.sip.agent.settings import WrongStateError
from roomtone.protocols.sip.dialog import Dialog, DialogState

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.agent.invited import IncomingInvite
    from roomtone.protocols.sip.agent.inviting import OutgoingInvite
    from roomtone.protocols.sip.message import Request, Response
    from roomtone.protocols.sip.transaction import ServerTransaction


_FINAL, _REDIRECT = 200, 300


class Leg(CallingLeg):
    """One party's side of a call; made by `UserAgent`.

    Offers and answers (RFC 3264) are counted, not read: any body is one. ``local_offer`` and ``remote_offer`` say that
    one waits for its answer.
    """

    __slots__ = (
        "call",
        "contact",
        "incoming",
        "is_caller",
        "is_ending",
        "merge_key",
        "owner",
        "reason",
        "reoffer",
        "replaces",
    )

    def __init__(self, agent: UserAgent, dialog: Dialog, contact: bytes, *, is_caller: bool) -> None:
        super().__init__(agent, dialog)
        dialog.leg = self
        self.contact = contact
        """Our Contact line, with its end."""
        self.is_caller = is_caller
        """Whether we sent the INVITE."""
        self.owner: Any = None
        self.call: OutgoingInvite | None = None
        """The INVITE of ours that made it."""
        self.reason: EndReason | None = None
        """Why it is over; None before that."""
        self.is_ending = False
        """Whether a BYE waits for the ACK of our 2xx."""
        self.incoming: IncomingInvite | None = None
        """The last INVITE of the peer, until it is acknowledged."""
        self.reoffer: Reoffer | None = None
        """A re-INVITE or UPDATE of ours without a final response."""
        self.replaces: Leg | None = None
        self.merge_key: tuple[str, str] | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.reason is not None

    # offers of ours

    def start_reoffer(self, method: str, block: bytes, body: bytes, now: int) -> Reoffer:
        """Send a re-INVITE or UPDATE. Raises `WrongStateError` while anything of the kind is under way."""
        if self.is_over:
            raise WrongStateError("the leg is over")
        if self.is_busy:
            raise WrongStateError("an offer is under way")
        if method == "INVITE" and self.dialog.state is not DialogState.CONFIRMED:
            raise WrongStateError("the first INVITE has no answer")
        reoffer = Reoffer(self, method, block, body)
        reoffer.send(now)
        self.reoffer = reoffer
        self.local_offer = bool(body)
        return reoffer

    @property
    def is_busy(self) -> bool:
        """Whether an offer now would cross another, or an INVITE another."""
        incoming = self.incoming
        return (
            self.reoffer is not None
            or self.waits_for_ack
            or self.local_offer
            or self.remote_offer
            or (incoming is not None and not incoming.is_final and not incoming.is_initial)
        )

    # INVITEs of the peer

    def on_answered(self, incoming: IncomingInvite, now: int) -> None:
        """Our 2xx is out: the dialog is confirmed, and what it replaces ends."""
        self._keep(incoming.session, now)
        if not incoming.is_initial:
            return
        self.dialog.state = DialogState.CONFIRMED
        self.agent.counters.started += 1
        replaced, self.replaces = self.replaces, None
        if replaced is not None and not replaced.is_over:
            replaced.hang_up(now, EndReason.REPLACED)

    def on_refused(self, incoming: IncomingInvite, reason: EndReason, message: Request | None, now: int) -> None:
        """Go on without what an INVITE wanted; without the first one there is no leg."""
        self.remote_offer = self.local_offer = False
        if incoming.is_initial:
            self.end(reason, message, now)

    def on_acknowledged(self, now: int) -> None:
        """Send a BYE that had to wait (RFC 3261 section 15)."""
        if self.is_ending:
            self.is_ending = False
            self._send_bye(now, b"")

    # the end

    def hang_up(self, now: int, reason: EndReason = EndReason.LOCAL, block: bytes = b"") -> None:
        """End it the way its state asks for: BYE, CANCEL, or a refusal of the INVITE (487)."""
        if self.dialog.state is not DialogState.EARLY:
            self.bye(now, block, reason=reason)
        elif self.call is not None:
            self.call.cancel(now, block)
        else:
            self.end(reason, None, now)

    def bye(
        self,
        now: int,
        block: bytes = b"",
        *,
        reason: EndReason = EndReason.LOCAL,
        message: Response | None = None,
        is_told: bool = True,
    ) -> None:
        """End it by BYE; after the ACK of our 2xx, if that has not come (15). Raises `WrongStateError` once over."""
        if self.is_over:
            raise WrongStateError("the leg is over")
        self.reason = reason
        self._stop_session()
        if is_told:
            self.agent.tell_ended(self, reason, message)
        incoming = self.incoming
        if incoming is not None and incoming.data is not None:
            self.is_ending = True
        else:
            self._send_bye(now, block)

    def _send_bye(self, now: int, block: bytes) -> None:
        bye = Outgoing(self.agent, self.dialog, "BYE", block, b"")
        bye.is_quiet = True
        bye.owner = self.owner  # who has credentials looks at whose it is
        self.drop()
        bye.send(now)

    def on_bye(self, transaction: ServerTransaction, request: Request, now: int) -> None:
        """Take a BYE of the peer."""
        self.agent.answer(transaction, 200, now)
        if self.is_ending:
            self.drop()
        else:
            self.end(EndReason.REMOTE, request, now)

    def give_up(self, reason: EndReason | None, message: Response | None, now: int) -> None:
        """End it because the peer does not know it, or cannot be reached."""
        if not self.is_over and self.dialog.state is DialogState.CONFIRMED:
            self.bye(now, reason=reason or EndReason.GONE, message=message)

    def end(self, reason: EndReason, message: Request | Response | None, now: int) -> None:
        """Be over, without a word to the peer but 487 to an INVITE that waits."""
        if self.reason is not None:
            return
        self.reason = reason
        incoming = self.incoming
        if incoming is not None:
            incoming.terminate(now)
        self.drop()
        self.agent.tell_ended(self, reason, message)

    def drop(self) -> None:
        """Leave the agent."""
        self.reason = self.reason or EndReason.FORKED
        self.is_ending = False
        self._stop_session()
        self.last_body = b""
        if self.incoming is not None:
            self.incoming.stop()
            self.incoming.transaction.owner = None
            self.incoming = None
        if self.reoffer is not None:
            self.reoffer.stop()
            self.reoffer = None
        self.call = None
        self.agent.forget_leg(self)

    # UPDATE and PRACK of the peer

    def on_respond(self, transaction: ServerTransaction, status: int, block: bytes, body: bytes, now: int) -> None:
        """Answer an UPDATE, or a PRACK with an offer."""
        request = transaction.request
        if status >= _FINAL:
            self.remote_offer = False
        if _FINAL <= status < _REDIRECT:
            self.last_body = body or self.last_body
            if request is not None and request.method == "UPDATE":
                session = grant(self.agent.settings, request)
                if not isinstance(session, TooShort) and self.dialog.state is DialogState.CONFIRMED:
                    self._keep(session[0], now)
                    block = session[1] + block
                block = self.contact + self.agent.allow_block + block
        self.agent.answer(transaction, status, now, block, body)

    def on_failure(self, _reason: EndReason, _now: int) -> None:
        """Take the end of such a transaction."""
        self.remote_offer = False
