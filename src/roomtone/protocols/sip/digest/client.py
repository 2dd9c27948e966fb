"""Answering challenges: the client's side of digest, for one account at its realms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.protocols.sip.digest.values import (
    STRONGEST_FIRST,
    Algorithm,
    Challenge,
    Credentials,
    Qop,
    parse_challenges,
    parse_credentials,
    secret_hash,
)
from roomtone.protocols.sip.errors import SipSyntaxError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.protocols.sip.message import Request, Response

CHALLENGE_OF = {"Authorization": "WWW-Authenticate", "Proxy-Authorization": "Proxy-Authenticate"}
MAX_STALES = 3
"""Times in a row that a peer may call a fresh answer stale."""
MAX_REALMS = 16
"""Realms whose nonces one account remembers; the oldest is forgotten for another."""


class AnswerFailure(StrEnum):
    """Why a challenged request is not sent again."""

    NO_CHALLENGE = "no_challenge"
    """Nothing that could be answered: another scheme, unknown algorithms."""
    ALGORITHM_REFUSED = "algorithm_refused"
    """Only algorithms this account may not use."""
    REALM_UNKNOWN = "realm_unknown"
    """The account is for another realm."""
    REJECTED = "rejected"
    """The answer to this very challenge was not accepted: the password is wrong."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are: a name and password, for one realm or for whichever asks."""

    username: str
    password: str
    realm: str | None = None


@dataclass(slots=True)
class _Remembered:
    challenge: Challenge
    count: int = 0
    stales: int = 0  # challenges in a row that called a fresh answer stale


class DigestClient:
    """Answers challenges for one login and remembers nonces.

    Inputs: `answer` with a 401 or 407 and the request it refused. Outputs: headers for the next request; `known` gives
    those of challenges met before, for requests that were not challenged yet. Order: the strongest algorithm of
    ``order`` that is offered. Limits: ``MAX_REALMS`` nonces. ``cnonce`` gives a new unguessable word each time.
    """

    def __init__(
        self,
        login: Login,
        cnonce: Callable[[], str],
        order: Sequence[Algorithm] = STRONGEST_FIRST,
        *,
        integrity: bool = False,
    ) -> None:
        self.login = login
        self._cnonce = cnonce
        self._order = tuple(order)
        self._integrity = integrity
        """Whether auth-int is preferred where it is offered; else it is used where nothing else is."""
        self._remembered: dict[tuple[str, str], _Remembered] = {}

    def answer(self, response: Response, request: Request) -> list[tuple[str, str]] | AnswerFailure:
        """Give the headers with which the request is sent again (new CSeq, new branch), or why that is in vain.

        The request has its credentials in it already when it was refused with some.
        """
        answers = []
        failure = AnswerFailure.NO_CHALLENGE
        for header, asking in CHALLENGE_OF.items():
            by_realm: dict[str, list[Challenge]] = {}
            for challenge in parse_challenges(response.headers, asking):
                by_realm.setdefault(challenge.realm, []).append(challenge)
            for realm, offered in by_realm.items():
                chosen = self._choose(request, offered, (header, realm))
                if isinstance(chosen, AnswerFailure):
                    failure = chosen
                    if chosen is AnswerFailure.REJECTED:
                        return chosen
                    continue
                self._remember((header, realm), chosen)
                answers.append((header, self._write((header, realm), request)))
        return answers or failure

    def known(self, request: Request) -> list[tuple[str, str]]:
        """Give headers for the challenges met before, each with its next nonce count."""
        return [(key[0], self._write(key, request)) for key in self._remembered]

    def _choose(self, request: Request, offered: list[Challenge], key: tuple[str, str]) -> Challenge | AnswerFailure:
        if self.login.realm not in {None, key[1]}:
            return AnswerFailure.REALM_UNKNOWN
        before = _sent(request, key)
        if before is not None and before.count <= 1 and not self._may_be_stale(key, offered):
            return AnswerFailure.REJECTED
        usable = [challenge for challenge in offered if challenge.algorithm in self._order]
        if not usable:
            return AnswerFailure.ALGORITHM_REFUSED
        return min(usable, key=lambda challenge: self._order.index(challenge.algorithm))

    def _may_be_stale(self, key: tuple[str, str], offered: list[Challenge]) -> bool:
        remembered = self._remembered.get(key)
        return offered[0].stale and (remembered is None or remembered.stales < MAX_STALES)

    def _remember(self, key: tuple[str, str], challenge: Challenge) -> None:
        before = self._remembered.pop(key, None)
        stales = before.stales + 1 if before is not None and challenge.stale and before.count == 1 else 0
        if len(self._remembered) >= MAX_REALMS:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[key] = _Remembered(challenge, stales=stales)

    def _write(self, key: tuple[str, str], request: Request) -> str:
        remembered = self._remembered[key]
        remembered.count += 1
        return answer_challenge(
            remembered.challenge, self.login, request, remembered.count, self._cnonce(), integrity=self._integrity
        ).serialize()


def _sent(request: Request, key: tuple[str, str]) -> Credentials | None:
    try:
        return parse_credentials(request.headers, *key)
    except SipSyntaxError:
        return None


def answer_challenge(
    challenge: Challenge, login: Login, request: Request, count: int, cnonce: str, *, integrity: bool = False
) -> Credentials:
    """Compute the credentials for one challenge."""
    qop = None
    if challenge.qop:
        wanted = Qop.AUTH_INT if integrity else Qop.AUTH
        qop = wanted if wanted in challenge.qop else challenge.qop[0]
    blank = Credentials(
        username=login.username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=request.uri_text,
        response="",
        algorithm=challenge.algorithm,
        session=challenge.session,
        qop=qop,
        count=count if qop is not None else 0,
        cnonce=cnonce if qop is not None or challenge.session else "",
        opaque=challenge.opaque,
    )
    secret = secret_hash(challenge.algorithm, login.username, challenge.realm, login.password)
    return replace(blank, response=blank.expected(secret, request.method, request.body))
