"""Names of SIP, found by the resolver for those who send."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from roomtone.clients.resolver import FailedTargets, Locator, NotFoundError, SystemDns, Target
from roomtone.control.calls import CallEnd, CallError
from roomtone.servers.sip.ways import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.clients.resolver import Dns
    from roomtone.protocols.sip.uri import SipUri


class ResolvedNames:
    """Places of URIs by NAPTR, SRV and addresses; those that failed in the last half minute come last."""

    def __init__(self, dns: Dns) -> None:
        # the weights of SRV spread load and keep no secret
        self._locator = Locator(dns, random.randrange)
        self._failures = FailedTargets()

    async def find(self, uri: SipUri, now: int) -> Sequence[Place]:
        """Find where a URI leads, the best first; raise `CallError`."""
        try:
            targets = await self._locator.locate(uri)
        except NotFoundError as error:
            raise CallError(CallEnd.UNREACHABLE, str(error)) from error
        return [Place(*target) for target in self._failures.sort(targets, now)]

    def failed(self, place: Place, now: int) -> None:
        """Note that a place was not reached, or answered 503."""
        self._failures.failed(Target(*place), now)

    def succeeded(self, place: Place) -> None:
        """Note that a place answered."""
        self._failures.succeeded(Target(*place))


def system_names(*, has_ipv6: bool) -> ResolvedNames:
    """Ask the resolvers of this machine."""
    return ResolvedNames(SystemDns(has_ipv6=has_ipv6))
