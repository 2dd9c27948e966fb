"""Where the subscriptions of one user agent are kept: in their dialogs, and ours that wait for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.settings import TooManyError
from roomtone.protocols.sip.agent.subscription import Subscription
from roomtone.protocols.sip.dialog import Dialog, DialogState, contact_block, dialog_of_request

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction

_RETRY = b"Retry-After: 5\r\n"


class SubscriptionPlaces:
    """Subscriptions by dialog. Limit: `AgentLimits.subscriptions`."""

    __slots__ = ("_agent", "_waiting", "count")

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self._waiting: dict[tuple[str, str], Subscription] = {}
        """Ours without a dialog, by Call-ID and our tag: a NOTIFY may be faster than the 2xx."""
        self.count = 0

    def __len__(self) -> int:
        """How many of ours wait for their dialog."""
        return len(self._waiting)

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
        subscription = Subscription(agent, dialog, package, id_, contact_of(transaction.flow, dialog), is_ours=False)
        self._put(subscription)
        return subscription

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


def contact_of(flow: Flow, dialog: Dialog) -> bytes:
    """Write our Contact towards a peer."""
    return contact_block(flow.transport, flow.local_host, flow.local_port, secure=dialog.secure)
