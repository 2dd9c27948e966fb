"""What the routes of accounts share: the accounts themselves, who asks, the cookie."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from roomtone.control.policy import AccessToken, Role, require_ability
from roomtone.servers.api.accounts_schemas import AccountBody, LogInBody
from roomtone.servers.api.requests import bearer, context_of
from roomtone.servers.api.status import HttpProblem

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from roomtone.control.accounts import Accounts, ApiKeys, LogIn
    from roomtone.control.policy import Ability
    from roomtone.servers.api.context import AuditTrail
    from roomtone.store import AccountRecord

COOKIE = "roomtone_refresh"
COOKIE_PATH = "/api/v1/auth"


def accounts_of(request: Request) -> Accounts:
    """Give the accounts of this server."""
    accounts = context_of(request).accounts
    if accounts is None:
        raise _no_accounts()
    return accounts


def api_keys_of(request: Request) -> ApiKeys:
    """Give the keys of the database."""
    keys = context_of(request).api_keys
    if keys is None:
        raise _no_accounts()
    return keys


def audit_of(request: Request) -> AuditTrail:
    """Give the audit trail."""
    audit = context_of(request).audit
    if audit is None:
        raise _no_accounts()
    return audit


def token_of(request: Request) -> AccessToken:
    """Check the bearer token of a request; raise `AccessError`."""
    context = context_of(request)
    return context.keys.verify(bearer(request), context.wall_clock())


async def account_of(request: Request) -> AccountRecord:
    """Give the account of who asks, as it is now."""
    return await accounts_of(request).of(token_of(request))


async def actor_with(request: Request, ability: Ability) -> AccountRecord:
    """Give the account of who asks, when its role may do this."""
    token = token_of(request)
    require_ability(token.role, ability)
    account = await accounts_of(request).of(token)
    require_ability(Role(account.role), ability)  # as it is now, should another server have changed it
    return account


def account_body(account: AccountRecord) -> AccountBody:
    """Describe an account."""
    return AccountBody(
        id=account.id,
        username=account.username,
        name=account.name,
        email=account.email,
        role=Role(account.role),
        disabled=account.disabled,
        totp=account.totp_active,
        created_at=account.created_at,
    )


def log_in_body(request: Request, response: Response, made: LogIn) -> LogInBody:
    """Describe a log-in, and put its refresh token into the cookie."""
    # Strict: no other site's page can make a browser send it, so it needs no further token against that.
    response.set_cookie(
        COOKIE,
        made.refresh_token,
        max_age=int(made.refresh_expires_at - context_of(request).wall_clock()),
        path=COOKIE_PATH,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    response.headers["Cache-Control"] = "no-store"
    return LogInBody(
        access_token=made.access_token,
        access_expires_at=made.access_expires_at,
        refresh_token=made.refresh_token,
        refresh_expires_at=made.refresh_expires_at,
        account=account_body(made.account),
    )


def _no_accounts() -> HttpProblem:
    return HttpProblem(HTTPStatus.SERVICE_UNAVAILABLE, "no_accounts", "this server keeps no accounts")
