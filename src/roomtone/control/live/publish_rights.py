"""Who may publish by SRT and RTMP: tokens, API keys, stream keys, accounts, and whom a hook lets in.

What an encoder shows is checked here first. What opens nothing here is put to the hook, where there is one, with all
that the encoder said; its answer is the last word. Whoever answers nothing refuses.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol

from roomtone.control.live.ingress import IngressInput
from roomtone.control.live.stream_keys import PREFIX
from roomtone.control.policy import Ability, AccessDenial, AccessError, Grant, KeyTable, Role, require, require_ability
from roomtone.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.live.ingress_book import IngressBook
    from roomtone.control.live.stream_keys import StreamKeys
    from roomtone.media.values import Question


class AccountCheck(Protocol):
    """Accounts, as far as encoders log in with them."""

    async def __call__(self, login: str, password: str, address: str) -> Role:
        """Give the role of an account whose password this is; raise `AccessError`."""
        ...


class PublishHook(Protocol):
    """A program elsewhere that decides."""

    async def __call__(self, question: Question) -> str:
        """Ask it; empty where it lets the encoder in, otherwise why not."""
        ...


@dataclass(slots=True)
class PublishRights:
    """Decides. ``open_to_loopback``: programs of this machine need show nothing."""

    keys: KeyTable
    clock: Callable[[], float]
    open_to_loopback: bool = False
    stream_keys: StreamKeys | None = None
    accounts: AccountCheck | None = None
    hook: PublishHook | None = None
    ingresses: IngressBook | None = None
    """Names that are ingresses are opened by their own keys alone."""
    secret_of: Callable[[str], str] = lambda _name: ""
    """Gives what alone opens a name while a process of this server fetches its stream; empty where none does."""

    async def require(self, question: Question) -> None:
        """Let an encoder publish, or raise `AccessError`."""
        if secret := self.secret_of(question.subject):
            if not secrets.compare_digest((question.credential or "").encode(), secret.encode()):
                raise AccessError(AccessDenial.NOT_GRANTED, "this stream is fetched from another server")
            return
        ingress = None if self.ingresses is None else self.ingresses.find(question.subject)
        if self.ingresses is not None and ingress is not None:
            self.ingresses.require(ingress, question.credential, IngressInput.RTMP)
            return
        try:
            await self._check(question)
        except AccessError:
            if self.hook is None:
                raise
            if why := await self.hook(question):
                raise AccessError(AccessDenial.HOOK_REFUSED, why) from None

    async def _check(self, question: Question) -> None:
        user, credential = question.user, question.credential
        if user is None and credential is None:
            if not (self.open_to_loopback and is_loopback(question.remote)):
                raise AccessError(AccessDenial.MISSING, "publishing here takes a token or a stream key")
        elif credential is not None and credential.startswith(PREFIX):
            await self.require_stream_key(credential, question.subject)
        elif user is None or is_token(credential):
            self._check_token(credential, question.subject)
        else:
            role = await self.require_pair(user, credential or "", question.remote)
            if role is not None:
                require_ability(role, Ability.PUBLISH)

    def _check_token(self, token: str | None, name: str) -> None:
        require(self.keys.verify(token, self.clock()), name, Grant.PUBLISH)

    async def require_stream_key(self, key: str, name: str) -> None:
        """Check a key of a stream; raise `AccessError`."""
        try:
            opens = self.stream_keys is not None and await self.stream_keys.opens(key, name)
        except StoreError as error:
            raise AccessError(AccessDenial.UNDECIDED, "stream keys cannot be read now: try again") from error
        if not opens:
            raise AccessError(AccessDenial.WRONG_STREAM_KEY, "this is no key of this stream, or none any more")

    async def require_pair(self, user: str, password: str, remote: str | None) -> Role | None:
        """Check an API key and its secret, which may do all, or give the role of an account; raise `AccessError`."""
        secret = self.keys.secrets.get(user)
        if secret is not None:
            if not secrets.compare_digest(secret.encode(), password.encode()):
                raise AccessError(AccessDenial.WRONG_PASSWORD, "this is not the secret of that key")
            return None
        if self.accounts is None or not password:
            raise AccessError(AccessDenial.WRONG_PASSWORD, "user name and password open nothing here")
        return await self.accounts(user, password, _host(remote))


def is_token(credential: str | None) -> bool:
    """Whether something has the form of a JWT, which no password with an account's rules needs to have."""
    return credential is not None and credential.count(".") == 2  # noqa: PLR2004 - head, claims, signature


def is_loopback(remote: str | None) -> bool:
    """Whether an ``IP:PORT`` is of this machine."""
    if remote is None:
        return False
    address = ip_address(_host(remote))
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _host(remote: str | None) -> str:
    return (remote or "").rpartition(":")[0].strip("[]")
