"""REFER of one user agent, in both roles (RFC 3515)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.settings import WrongStateError
from roomtone.protocols.sip.agent.subscription import REFER, SubscribeRequest, Subscription
from roomtone.protocols.sip.dialog import Dialog, DialogState
from roomtone.protocols.sip.message import reason_phrase

if TYPE_CHECKING:
    from roomtone.protocols.sip.headers.address import Address
    from roomtone.protocols.sip.transaction import ServerTransaction

from roomtone.protocols.sip.agent.places import SubscriptionPlaces, contact_of

_SIPFRAG = b"Content-Type: message/sipfrag;version=2.0\r\n"
REFER_S = 180
"""How long the progress of a REFER is waited for and told."""


class Referrals(SubscriptionPlaces):
    """REFERs of one user agent; its commands belong to those of `UserAgent`, and so do its errors."""

    __slots__ = ()

    def refer(
        self,
        dialog: Dialog,
        refer_to: Address,
        now: int,
        *,
        block: bytes = b"",
        contact: bytes = b"",
        owner: object = None,
    ) -> Subscription:
        """Ask the peer to call somebody (RFC 3515): in the dialog of a leg, or a first request (`new_dialog`).

        `Responded` tells whether it will, `Notified` how it goes (``message/sipfrag``). ``owner`` and errors are as of
        `subscribe`.
        """
        if dialog.state is DialogState.ENDED:
            raise WrongStateError("the dialog is over")
        self._count_one()
        contact = contact or contact_of(dialog.next_flow(), dialog)
        cseq = str(dialog.local_cseq + 1)
        subscription = Subscription(self._agent, dialog, REFER, cseq, contact, is_ours=True)
        subscription.owner = owner
        if dialog.state is DialogState.INITIAL:
            self._await_dialog(subscription)
        else:
            self._put(subscription)
        line = f"Refer-To: {refer_to.serialize()}\r\n".encode("utf-8", "surrogateescape")
        outgoing = SubscribeRequest(subscription, "REFER", contact + line + block, b"")
        outgoing.owner = owner
        outgoing.send(now)
        return subscription

    def accept_refer(self, transaction: ServerTransaction, now: int) -> Subscription | None:
        """Accept a REFER that `Requested` handed up; the peer is told 100 until `tell_refer`.

        None when there is no room for it (it was refused with 503), or when the peer does not want to be told
        (RFC 4488: it was accepted).
        """
        request = transaction.request
        if request is None or request.method != "REFER":
            raise WrongStateError("no REFER waits for an answer")
        wanted = request.headers.text("refer-sub")
        if wanted is not None and wanted.strip().lower().startswith("false"):
            self._agent.answer(transaction, 202, now, b"Refer-Sub: false\r\n")
            return None
        subscription = self._open(transaction, request, REFER, str(request.cseq.number), now)
        if subscription is not None:
            self._agent.answer(transaction, 202, now, subscription.contact)
            subscription.expires_s = REFER_S
            subscription.wait(REFER_S, now)
            self.tell_refer(subscription, 100, now)
        return subscription

    def tell_refer(self, subscription: Subscription, status: int, now: int, *, reason: str | None = None) -> None:
        """Tell the sender of a REFER how its call goes; a final status is the end."""
        if subscription.is_over or subscription.is_ending or subscription.package != REFER:
            raise WrongStateError("the REFER is over")
        body = f"SIP/2.0 {status} {reason or reason_phrase(status)}\r\n".encode()
        if status >= 200:  # noqa: PLR2004 - the first final status
            subscription.finish("noresource", now, _SIPFRAG, body)
        else:
            subscription.notify(b"active;expires=%d" % subscription.expires_s, _SIPFRAG, body, now)
