"""SUBSCRIBE, NOTIFY and REFER of one user agent, in both roles (RFC 6665, RFC 3515)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.events import EndReason, Notified, Resubscribed
from roomtone.protocols.sip.agent.settings import TooManyError, WrongStateError
from roomtone.protocols.sip.agent.subscription import REFER, SubscribeRequest, Subscription
from roomtone.protocols.sip.dialog import Dialog, DialogState, contact_block, dialog_of_request
from roomtone.protocols.sip.headers.events import SubscriptionStatus, parse_event, parse_subscription_state
from roomtone.protocols.sip.headers.valued import parse_seconds
from roomtone.protocols.sip.message import reason_phrase

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.headers.address import Address
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction

_RETRY = b"Retry-After: 5\r\n"
_SIPFRAG = b"Content-Type: message/sipfrag;version=2.0\r\n"
_REFER_S = 180
"""How long the progress of a REFER is waited for and told."""


class Subscriptions:
    """Subscriptions of one user agent; its commands belong to those of `UserAgent`, and so do its errors."""

    __slots__ = ("_agent", "_waiting", "count")

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self._waiting: dict[tuple[str, str], Subscription] = {}
        """Ours without a dialog, by Call-ID and our tag: a NOTIFY may be faster than the 2xx."""
        self.count = 0

    def __len__(self) -> int:
        """How many of ours wait for their dialog."""
        return len(self._waiting)

    # as subscriber

    def subscribe(
        self,
        uri: str,
        flow: Flow,
        now: int,
        *,
        package: str,
        from_: Address,
        to: Address,
        expires_s: int = 3_600,
        block: bytes = b"",
        routes: tuple[str, ...] = (),
        owner: object = None,
    ) -> Subscription:
        """Subscribe: `Responded`, `Notified`, in the end `SubscriptionEnded`; refreshes go out by themselves.

        ``owner`` is that of the subscription and of its requests from the first one on. Raises `TooManyError`,
        `TooManyTransactionsError`.
        """
        self._count_one()
        dialog = self._agent.new_dialog(uri, flow, from_=from_, to=to, routes=routes)
        subscription = Subscription(self._agent, dialog, package, "", _contact(flow, dialog), is_ours=True)
        subscription.expires_s = expires_s
        subscription.block = block
        subscription.owner = owner
        self._await_dialog(subscription)
        subscription.subscribe(expires_s, now)
        return subscription

    def unsubscribe(self, subscription: Subscription, now: int) -> None:
        """End a subscription of ours: `SubscriptionEnded` follows with the last NOTIFY, or without it after a while."""
        if subscription.is_over or subscription.is_ending or not subscription.is_ours:
            raise WrongStateError("no subscription of ours that lasts")
        if subscription.package == REFER:
            raise WrongStateError("a REFER cannot be taken back")
        subscription.is_ending = True
        subscription.subscribe(0, now)

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
        contact = contact or _contact(dialog.next_flow(), dialog)
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

    # as notifier

    def refuses(self, transaction: ServerTransaction, request: Request, now: int) -> bool:
        """Refuse a SUBSCRIBE without a package (489), or for too short a time (423)."""
        agent = self._agent
        if "event" not in request.headers:
            agent.answer(transaction, 489, now)
            return True
        expires = parse_seconds(request.headers.text("expires"), "Expires")
        if expires is not None and 0 < expires < agent.settings.min_subscription_s:
            agent.answer(transaction, 423, now, b"Min-Expires: %d\r\n" % agent.settings.min_subscription_s)
            return True
        return False

    def accept(self, transaction: ServerTransaction, now: int, *, status: int = 200) -> Subscription | None:
        """Accept a SUBSCRIBE that `Requested` handed up; `notify` is to be called at once, whatever there is to tell.

        None when there is no room for it: it was refused with 503.
        """
        request = transaction.request
        if request is None or request.method != "SUBSCRIBE":
            raise WrongStateError("no SUBSCRIBE waits for an answer")
        event = parse_event(request.headers.text("event") or "")
        subscription = self._open(transaction, request, event.package, event.id or "", now)
        if subscription is not None:
            subscription.expires_s = self._granted(request)
            block = subscription.contact + b"Expires: %d\r\n" % subscription.expires_s
            self._agent.answer(transaction, status, now, block)
            subscription.wait(subscription.expires_s, now)
            if not subscription.expires_s:  # the state is asked for once
                subscription.is_ending = True
        return subscription

    def notify(
        self,
        subscription: Subscription,
        now: int,
        *,
        body: bytes = b"",
        block: bytes = b"",
        status: SubscriptionStatus = SubscriptionStatus.ACTIVE,
        reason: str = "noresource",
    ) -> None:
        """Tell a subscriber the state; ``block`` has the Content-Type of the body. Only the newest is sent again.

        With `SubscriptionStatus.TERMINATED` it is the last one, for ``reason``.
        """
        if subscription.is_over or subscription.is_ours:
            raise WrongStateError("no subscription of a peer")
        subscription.last = block, body
        if status is SubscriptionStatus.TERMINATED:
            subscription.finish(reason, now, block, body)
        elif subscription.is_ending:
            subscription.rest()
            subscription.notify(b"terminated;reason=timeout", block, body, now)
        else:
            state = b"%b;expires=%d" % (status.encode(), subscription.expires_s)
            subscription.notify(state, block, body, now)

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
            subscription.expires_s = _REFER_S
            subscription.wait(_REFER_S, now)
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

    # requests of peers

    def receive_notify(self, dialog: Dialog, transaction: ServerTransaction, request: Request, now: int) -> None:
        """Take a NOTIFY in a dialog."""
        event = parse_event(request.headers.text("event") or "")
        found = dialog.subscriptions or {}
        subscription = found.get((event.package, event.id or ""))
        if subscription is None and not event.id:  # of the first REFER, which needs no id (RFC 3515 section 2.4.6)
            subscription = next((one for (package, _), one in found.items() if package == event.package), None)
        if subscription is None or not subscription.is_ours:
            self._agent.counters.out_of_dialog += 1
            self._agent.answer(transaction, 481, now)
            return
        state = parse_subscription_state(request.headers.text("subscription-state") or "")
        self._agent.answer(transaction, 200, now)
        dialog.refresh_target(request)
        self._agent.tell(Notified(subscription, request))
        if state.status is SubscriptionStatus.TERMINATED:
            subscription.end(EndReason.LOCAL if subscription.is_ending else EndReason.REMOTE, request)
        elif subscription.package == REFER:
            subscription.wait(state.expires or _REFER_S, now)
        elif state.expires and not subscription.is_ending:
            subscription.wait_for_refresh(state.expires, now)

    def receive_first_notify(self, transaction: ServerTransaction, request: Request, now: int) -> bool:
        """Take a NOTIFY that overtook the 2xx of its SUBSCRIBE (RFC 6665 section 4.4.1); False: it is none."""
        subscription = self._waiting.get((request.call_id, request.to_tag or ""))
        if subscription is None:
            return False
        mine = subscription.dialog
        dialog = dialog_of_request(request, mine.local_tag, transaction.flow)
        dialog.local, dialog.local_cseq = mine.local, mine.local_cseq
        self.join_dialog(subscription, dialog)
        self.receive_notify(dialog, transaction, request, now)
        return True

    def receive_subscribe(self, dialog: Dialog, transaction: ServerTransaction, request: Request, now: int) -> None:
        """Take a SUBSCRIBE in a dialog: it refreshes or ends one, or is a new one for our user."""
        if self.refuses(transaction, request, now):
            return
        event = parse_event(request.headers.text("event") or "")
        subscription = (dialog.subscriptions or {}).get((event.package, event.id or ""))
        if subscription is None or subscription.is_ours or subscription.is_ending:
            self._agent.counters.out_of_dialog += 1
            self._agent.answer(transaction, 481, now)
            return
        dialog.refresh_target(request)
        subscription.expires_s = self._granted(request)
        self._agent.answer(transaction, 200, now, subscription.contact + b"Expires: %d\r\n" % subscription.expires_s)
        if not subscription.expires_s:
            subscription.finish("timeout", now)
            return
        subscription.wait(subscription.expires_s, now)
        block, body = subscription.last or (b"", b"")
        subscription.notify(b"active;expires=%d" % subscription.expires_s, block, body, now)
        self._agent.tell(Resubscribed(subscription, request))

    # their places

    def join_dialog(self, subscription: Subscription, dialog: Dialog) -> None:
        """Put a subscription of ours into the dialog that the peer's first message made."""
        self._waiting.pop((dialog.call_id, dialog.local_tag), None)
        dialog.state = DialogState.CONFIRMED
        subscription.dialog = dialog
        self._put(subscription)

    def forget(self, subscription: Subscription) -> None:
        """Let go of a subscription."""
        self.count -= 1
        dialog = subscription.dialog
        self._waiting.pop((dialog.call_id, dialog.local_tag), None)
        if dialog.subscriptions is not None:
            dialog.subscriptions.pop((subscription.package, subscription.id), None)
        self._agent.forget_dialog(dialog)

    def _open(
        self, transaction: ServerTransaction, request: Request, package: str, id_: str, now: int
    ) -> Subscription | None:
        agent = self._agent
        if self.count >= agent.limits.subscriptions:
            agent.counters.refused += 1
            agent.answer(transaction, 503, now, _RETRY)
            return None
        dialog = None
        if request.to_tag is not None:
            dialog = agent.dialogs.get((request.call_id, request.to_tag, request.from_tag or ""))
        if dialog is None:
            tag = agent.layer.tokens.next()
            dialog = dialog_of_request(request, tag, transaction.flow)
            dialog.state = DialogState.CONFIRMED
            transaction.answers.tag = tag.encode()
        self.count += 1
        subscription = Subscription(agent, dialog, package, id_, _contact(transaction.flow, dialog), is_ours=False)
        self._put(subscription)
        return subscription

    def _granted(self, request: Request) -> int:
        longest = self._agent.settings.max_subscription_s
        wanted = parse_seconds(request.headers.text("expires"), "Expires")
        return longest if wanted is None else min(wanted, longest)

    def _count_one(self) -> None:
        if self.count >= self._agent.limits.subscriptions:
            self._agent.counters.refused += 1
            raise TooManyError(f"{self.count} subscriptions")
        self._agent.layer.check_room()
        self.count += 1

    def _await_dialog(self, subscription: Subscription) -> None:
        dialog = subscription.dialog
        self._waiting[dialog.call_id, dialog.local_tag] = subscription

    def _put(self, subscription: Subscription) -> None:
        dialog = subscription.dialog
        if dialog.subscriptions is None:
            dialog.subscriptions = {}
        dialog.subscriptions[subscription.package, subscription.id] = subscription
        self._agent.dialogs[dialog.key] = dialog


def _contact(flow: Flow, dialog: Dialog) -> bytes:
    return contact_block(flow.transport, flow.local_host, flow.local_port, secure=dialog.secure)
