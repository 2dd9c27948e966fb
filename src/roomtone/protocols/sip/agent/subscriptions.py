"""SUBSCRIBE, NOTIFY and REFER of one user agent, in both roles (RFC 6665, RFC 3515)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.events import EndReason, Notified, Resubscribed
from roomtone.protocols.sip.agent.places import contact_of
from roomtone.protocols.sip.agent.referrals import REFER_S, Referrals
from roomtone.protocols.sip.agent.settings import WrongStateError
from roomtone.protocols.sip.agent.subscription import REFER, Subscription
from roomtone.protocols.sip.dialog import Dialog, dialog_of_request
from roomtone.protocols.sip.headers.events import SubscriptionStatus, parse_event, parse_subscription_state
from roomtone.protocols.sip.headers.valued import parse_seconds

if TYPE_CHECKING:
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.headers.address import Address
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction


class Subscriptions(Referrals):
    """Subscriptions of one user agent; its commands belong to those of `UserAgent`, and so do its errors."""

    __slots__ = ()

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
        subscription = Subscription(self._agent, dialog, package, "", contact_of(flow, dialog), is_ours=True)
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
            subscription.wait(state.expires or REFER_S, now)
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

    def _granted(self, request: Request) -> int:
        longest = self._agent.settings.max_subscription_s
        wanted = parse_seconds(request.headers.text("expires"), "Expires")
        return longest if wanted is None else min(wanted, longest)
