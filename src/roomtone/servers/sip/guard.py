"""Who may ask for anything: strangers are challenged before any answer that tells what exists (RFC 7616, RFC 8760)."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from roomtone.protocols.sip.digest import Algorithm, Challenge, Credentials, DigestServer, Qop, Secret, Verdict
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.headers import Address, parse_event
from roomtone.protocols.sip.message import header_line
from roomtone.protocols.sip.uri import SipUri
from roomtone.servers.sip.states import PUBLISHED, check_published

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls import PhoneAccount, PhoneAccounts, Trunk, Trunks
    from roomtone.protocols.sip.edge import Edge
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request
    from roomtone.servers.sip.domains import Domains

_CHALLENGE, _FORBIDDEN = 401, 403
_OF_TRUNKS = frozenset({"INVITE", "OPTIONS"})


class PhoneGuard:
    """Lets requests of known accounts pass; all others are challenged, and failures are counted against their source.

    Calls and questions from a trunk's address, or with a certificate for its name, pass without, unless they have
    credentials with them: those may be a trunk's as well.
    ``verdicts`` counts what credentials were worth.
    """

    def __init__(
        self,
        accounts: PhoneAccounts,
        digest: DigestServer,
        domains: Domains,
        edge: Edge,
        clock: Callable[[], int],
        *,
        trunks: Trunks | None = None,
    ) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self._accounts = accounts
        self._digest = digest
        self._domains = domains
        self._edge = edge
        self._clock = clock
        self._trunks = trunks
        self.certificate_names: Callable[[Flow], tuple[str, ...]] = lambda _: ()
        """Gives the names in the verified certificate of a flow's peer."""
        self._proved: tuple[Request, Trunk] | None = None
        """The last request with the login of a trunk, and which: that is asked for next."""
        self._passed: tuple[Request, PhoneAccount] | None = None
        """The last request that was let pass by its credentials, and whose it is: that is asked for next."""

    def check(self, request: Request, flow: Flow) -> tuple[int, bytes] | None:
        """Let a request outside of dialogs pass with None, or refuse it with a status and header lines."""
        is_open = request.method == "OPTIONS" and _is_for_server(request)
        if is_open or self.trunk_of(request, flow) is not None:
            return None
        now = self._clock()
        found = self._digest.credentials(request)
        if not isinstance(found, Credentials):
            return self._refuse(found, request, flow, now)
        account = self._accounts.find(found.username)
        trunks = None if account is not None else self._trunks
        trunk = None if trunks is None else trunks.of_login(found.username, flow.remote_host)
        verdict = self._digest.verify(
            found, request, _secret(account, trunk), now, lambda uri: self._domains.serves(uri.address, flow)
        )
        if verdict is not Verdict.ACCEPTED:
            return self._refuse(verdict, request, flow, now)
        self.verdicts[verdict] += 1
        if trunk is not None:
            self._proved = request, trunk
            return None if request.method in _OF_TRUNKS else (_FORBIDDEN, b"")
        if request.method == "REGISTER" and _user(request.to.uri_text, request) != found.username:
            return _FORBIDDEN, b""  # nobody registers for another
        self._passed = None if account is None else (request, account)
        return self._refuse_state(request, found.username) if request.method == "PUBLISH" else None

    def _refuse_state(self, request: Request, account: str) -> tuple[int, bytes] | None:
        """Refuse what would be published of another, and what is no state of its package."""
        if _user(request.uri_text, request) != account:
            return _FORBIDDEN, b""
        if not request.body or "event" not in request.headers:
            return None
        package = parse_event(request.headers.text("event") or "").package
        status = check_published(package, request.content_type or "", request.body)
        if not status:
            return None
        types = ", ".join(one.content_type for one in PUBLISHED if one == package)
        return status, header_line("Accept", types) + b"\r\n"

    def knows(self, account: str) -> bool:
        """Whether there is an account."""
        return self._accounts.find(account) is not None

    def account_of(self, request: Request) -> PhoneAccount | None:
        """Give the account of a request that was let pass."""
        passed = self._passed
        if passed is not None and passed[0] is request:
            self._passed = None
            return passed[1]
        found = self._digest.credentials(request)
        return self._accounts.find(found.username) if isinstance(found, Credentials) else None

    def trunk_of(self, request: Request, flow: Flow) -> Trunk | None:
        """Give the trunk that a call comes by: by what it proved, its certificate's name, or its address.

        None for one with credentials of somebody else.
        """
        if self._trunks is None or request.method not in _OF_TRUNKS:
            return None
        if "authorization" in request.headers:
            return self._proved[1] if self._proved is not None and self._proved[0] is request else None
        if flow.transport is Transport.TLS:
            trunk = self._trunks.of_certificate(self.certificate_names(flow))
            if trunk is not None:
                return trunk
        return self._trunks.of_address(flow.remote_host)

    def _refuse(self, verdict: Verdict, request: Request, flow: Flow, now: int) -> tuple[int, bytes]:
        self.verdicts[verdict] += 1
        if verdict.is_failure:
            self._edge.note_failure(flow.remote_host, now)
        challenges = self._digest.challenges(now, stale=verdict.asks_again, algorithms=self._limited(request))
        return _CHALLENGE, b"".join(map(_challenge_line, challenges))

    def _limited(self, request: Request) -> tuple[Algorithm, ...] | None:
        """Give the one algorithm of an account that is confused by others."""
        account = self._accounts.find(_user(request.from_.uri_text, request))
        return (Algorithm(account.algorithm),) if account is not None and account.algorithm else None


def _challenge_line(challenge: Challenge) -> bytes:
    """Write one challenge; all but the nonce, of which every character may stand in quotes, is written once."""
    of_all = challenge.realm, challenge.algorithm, challenge.session, challenge.qop, challenge.opaque, challenge.stale
    before, after = _around_nonce(*of_all)
    return b"%b%b%b" % (before, challenge.nonce.encode(), after)


@lru_cache(64)
def _around_nonce(  # noqa: PLR0917 - all but the nonce
    realm: str, algorithm: Algorithm, session: bool, qop: tuple[Qop, ...], opaque: str | None, stale: bool
) -> tuple[bytes, bytes]:
    challenge = Challenge(realm, "", algorithm, session, qop, opaque, stale)
    line = header_line("WWW-Authenticate", challenge.serialize()) + b"\r\n"
    before, mark, after = line.partition(b'nonce="')
    return before + mark, after


def _secret(account: PhoneAccount | None, trunk: Trunk | None) -> Secret | None:
    if account is None:
        return None if trunk is None else Secret(trunk.password)
    if account.algorithm:
        return Secret(account.password, algorithms=(Algorithm(account.algorithm),))
    return Secret(account.password)


def _is_for_server(request: Request) -> bool:
    """Whether a request is for the server itself: what that can do is no secret."""
    try:
        uri = request.uri
    except SipSyntaxError:
        return False
    return isinstance(uri, SipUri) and not uri.user


def _user(uri_text: str, request: Request) -> str:
    uri = request.uri if uri_text == request.uri_text else Address(uri_text).uri
    return uri.username if isinstance(uri, SipUri) else ""
