"""Phones at the user agent: its events become steps of calls and registrations, and nothing is left unanswered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from roomtone.control.calls import CallEnd, CallError
from roomtone.protocols.sip.agent import (
    AgentEvent,
    AgentSettings,
    Answered,
    Confirmed,
    Ended,
    Invited,
    Notified,
    Pracked,
    Progressed,
    PublicationEnded,
    Refused,
    Reoffered,
    Requested,
    Responded,
    Resubscribed,
    StateChanged,
    SubscriptionEnded,
    UserAgent,
)
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.flow import Transport
from roomtone.servers.sip.asked import Asked
from roomtone.servers.sip.devices import FlowWatch
from roomtone.servers.sip.lamps import Lamps
from roomtone.servers.sip.local import LocalAddresses
from roomtone.servers.sip.messaging import Messages
from roomtone.servers.sip.outcomes import Outcomes
from roomtone.servers.sip.referring import heard_end, heard_of
from roomtone.servers.sip.registering import BrowserBindings
from roomtone.servers.sip.signals import OutboundSignal
from roomtone.servers.sip.states import PUBLISHED
from roomtone.servers.sip.trunking import TrunkAuthenticator, TrunkDesk
from roomtone.servers.sip.watching import Watching
from roomtone.servers.sip.ways import AddressesOnly, Ways

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.control.calls import Call, Calls, Registrar, Target, Trunks
    from roomtone.control.policy import IceServerRule
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.transaction import TransactionLayer
    from roomtone.servers.sip.domains import Domains
    from roomtone.servers.sip.endpoint import Endpoint
    from roomtone.servers.sip.guard import PhoneGuard
    from roomtone.servers.sip.ways import Names

METHODS = frozenset(
    {
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "INFO",
        "UPDATE",
        "PRACK",
        "REGISTER",
        "MESSAGE",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
        "REFER",
    }
)
EXTENSIONS = frozenset({"100rel", "gruu", "outbound", "path", "replaces", "timer"})
_log = logging.getLogger(__name__)


class PhoneServer:
    """The user agent of all phones, and its user.

    Its `after_input` is called after each input of the endpoint; `attach` gives it the endpoint and the calls.
    ``counters`` of the user agent and of the guard tell the rest.
    """

    def __init__(self, layer: TransactionLayer, guard: PhoneGuard, domains: Domains, product: str = "") -> None:
        self.guard = guard
        self.domains = domains
        settings = AgentSettings(
            methods=METHODS, extensions=EXTENSIONS, product=product, published_packages=frozenset(PUBLISHED)
        )
        self._authenticator = TrunkAuthenticator()
        self.agent = UserAgent(layer, settings, authenticator=self._authenticator, guard=guard)
        self._authenticator.agent = self.agent
        self.lamps = Lamps()
        self.messages = Messages(self)
        self.watching = Watching(self)
        self.lamps.on_change = self.watching.on_dialogs
        self.asked = Asked(self)
        self.outcomes = Outcomes(self.agent, self.lamps, domains)
        self.calls: Calls | None = None
        self.registrar: Registrar | None = None
        self.browsers: BrowserBindings | None = None
        self.trunk_desk: TrunkDesk | None = None
        self.wall_clock: Callable[[], float] = lambda: 0.0
        self.ice_rules: Sequence[IceServerRule] = ()
        """What browsers are told when they register."""
        self._endpoint: Endpoint | None = None
        self._addresses = LocalAddresses()
        self._ways: Ways | None = None

    def attach(
        self,
        endpoint: Endpoint,
        calls: Calls,
        registrar: Registrar,
        wall_clock: Callable[[], float],
        *,
        names: Names | None = None,
        trunks: Trunks | None = None,
    ) -> None:
        """Say what it works with; before this it takes no calls and no registrations. Without names none are found."""
        self._ways = Ways(endpoint, names or AddressesOnly())
        self.outcomes.ways, self.outcomes.trunks = self._ways, trunks
        self.trunk_desk = TrunkDesk(self, endpoint, self._ways, self._authenticator)
        self._endpoint, self.calls, self.registrar = endpoint, calls, registrar
        self.wall_clock = wall_clock
        registrar.on_change = self.watching.on_bindings
        self.guard.certificate_names = endpoint.certificate_names
        self.browsers = BrowserBindings(registrar)
        endpoint.pool.watchers.append(self.browsers)
        self.outcomes.flow_failed = lambda binding: registrar.flow_failed(binding, wall_clock())
        endpoint.pool.watchers.append(FlowWatch(registrar, wall_clock))

    def now(self) -> int:
        """Give the user agent's time."""
        return 0 if self._endpoint is None else self._endpoint.now()

    def drain(self) -> None:
        """Send what there is."""
        if self._endpoint is not None:
            self._endpoint.drain()

    def bound_ip(self, flow: Flow) -> str:
        """Give the address of ours by which a peer is reached; what is announced need not be one of this machine."""
        endpoint = self._endpoint
        is_named = flow.transport in {Transport.WS, Transport.WSS}
        if endpoint is None or (flow.local_host != endpoint.options.announced_ip and not is_named):
            return flow.local_host
        return self._addresses.toward("", flow.remote_host)

    # --- control's way out ---

    async def ways_to(self, target: Target) -> list[Target]:
        """Find the flows by which a target can be reached; raise `CallError`."""
        if self._ways is None:
            raise CallError(CallEnd.UNREACHABLE, "there are no sockets yet")
        return await self._ways.to(target)

    def leg_to(self, target: Target, call: Call) -> OutboundSignal:
        """Prepare a leg to a target that has a flow; raise `CallError` for another."""
        if target.flow is None:
            raise CallError(CallEnd.UNREACHABLE, f"no way to {target.uri} was looked for")
        signal = OutboundSignal(self, target.flow, target, self.domains)
        signal.owner = call
        return signal

    # --- the user agent's way in ---

    def after_input(self, now: int) -> None:
        """Take what the user agent has to tell."""
        while (event := self.agent.poll_event()) is not None:
            try:
                self._on_event(event, now)
            except SipSyntaxError as error:
                _log.info("a request could not be read: %s", error)
                if isinstance(event, Requested):
                    self.agent.answer(event.transaction, 400, now)
                elif isinstance(event, Invited):
                    self.agent.refuse(event.leg, 400, now)

    def _on_event(self, event: AgentEvent, now: int) -> None:
        match event:
            case Invited():
                self.asked.on_invited(event, now)
            case Progressed() | Answered() | Refused():
                self.outcomes.on_outgoing(event)
            case Reoffered():
                self.asked.on_reoffered(event, now)
            case Requested():
                self.asked.on_requested(event, now)
            case Confirmed() | Pracked() | Responded() | Ended():
                self.outcomes.on_outcome(event, now)
            case StateChanged():
                self.watching.on_published(event.change, now)
            case SubscriptionEnded():
                self.watching.on_ended(event.subscription)
                heard_end(event.subscription.owner, event.reason)
            case Notified():
                heard_of(event.subscription.owner, event.request)
            case Resubscribed() | PublicationEnded():
                pass  # refreshes are answered by the agent; nobody here publishes
            case _:
                assert_never(event)
