"""Digest behind the hooks of a user agent: who lets requests in, and who answers challenges for ours."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from roomtone.protocols.sip.digest.client import AnswerFailure, DigestClient
from roomtone.protocols.sip.digest.server import DigestServer, Secret, Verdict
from roomtone.protocols.sip.grammar import encode
from roomtone.protocols.sip.message import Request, header_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.protocols.sip.digest.values import Algorithm
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Response
    from roomtone.protocols.sip.uri import SipUri

_STATUS = {"Authorization": 401, "Proxy-Authorization": 407}
_ASKING = {"Authorization": "WWW-Authenticate", "Proxy-Authorization": "Proxy-Authenticate"}


class DigestGuard:
    """Challenges every request outside of dialogs before anything is told of what exists (`agent.Guard`).

    ``find_secret`` gives the secret of an account by the user name of credentials; ``algorithms_for`` limits what a
    request is challenged with (for the account it claims to be of), None: the policy's order. ``let_pass`` lets
    requests in without credentials: of trunks known by address. ``on_verdict`` hears of each verdict and where the
    request came from: there a source that fails too often is banned. ``now`` is the agent's time in milliseconds.
    """

    def __init__(
        self,
        server: DigestServer,
        now: Callable[[], int],
        find_secret: Callable[[str], Secret | None],
        *,
        algorithms_for: Callable[[Request], tuple[Algorithm, ...] | None] = lambda _: None,
        let_pass: Callable[[Request, Flow], bool] = lambda *_: False,
        on_verdict: Callable[[Verdict, Flow], None] = lambda *_: None,
        is_ours: Callable[[SipUri], bool] = lambda _: False,
    ) -> None:
        self._server = server
        self._now = now
        self._find_secret = find_secret
        self._algorithms_for = algorithms_for
        self._let_pass = let_pass
        self._on_verdict = on_verdict
        self._is_ours = is_ours
        self.verdicts: Counter[Verdict] = Counter()

    def check(self, request: Request, flow: Flow) -> tuple[int, bytes] | None:
        """Let a request pass with None, or refuse it: status and header lines."""
        if self._let_pass(request, flow):
            return None
        header = "Authorization" if request.method == "REGISTER" else "Proxy-Authorization"
        if header not in request.headers and "Authorization" in request.headers:
            header = "Authorization"  # what a phone was asked for by REGISTER, or what it prefers to send
        now = self._now()
        verdict = self._judge(request, header, now)
        self.verdicts[verdict] += 1
        self._on_verdict(verdict, flow)
        if verdict is Verdict.ACCEPTED:
            return None
        offered = self._server.challenges(now, stale=verdict.asks_again, algorithms=self._algorithms_for(request))
        lines = [header_line(_ASKING[header], challenge.serialize()) for challenge in offered]
        return _STATUS[header], b"".join([line + b"\r\n" for line in lines])

    def username(self, request: Request) -> str | None:
        """User name of the credentials of a request that was let pass; None when it came without."""
        for header in _STATUS:
            credentials = self._server.credentials(request, header)
            if not isinstance(credentials, Verdict):
                return credentials.username
        return None

    def _judge(self, request: Request, header: str, now: int) -> Verdict:
        credentials = self._server.credentials(request, header)
        if isinstance(credentials, Verdict):
            return credentials
        secret = self._find_secret(credentials.username)
        return self._server.verify(credentials, request, secret, now, self._is_ours)


class DigestAuthenticator:
    """Answers the challenges of our requests for one login (`agent.Authenticator`).

    ``failure`` says why the last challenge was not answered, ``failures`` how often that was so.
    """

    def __init__(self, client: DigestClient) -> None:
        self._client = client
        self.failure: AnswerFailure | None = None
        self.failures: Counter[AnswerFailure] = Counter()

    def answer(self, request: Request, response: Response, owner: object) -> bytes | None:  # noqa: ARG002
        """Write Authorization and Proxy-Authorization lines, each with its end; None: no (other) credentials."""
        answers = self._client.answer(response, request)
        if isinstance(answers, AnswerFailure):
            self.failure = answers
            self.failures[answers] += 1
            return None
        self.failure = None
        return b"".join([encode(f"{name}: {value}\r\n") for name, value in answers])
