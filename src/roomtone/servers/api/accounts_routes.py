"""`/api/v1/me`, `/api/v1/accounts`, `/api/v1/keys`, `/api/v1/audit` and room tokens for accounts."""

# ruff: noqa: TC001, TC002 - FastAPI reads the annotations

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from roomtone.control.policy import ROLES, Ability, Role
from roomtone.control.rooms import CloseReason, Refusal, RoomError, is_room_name
from roomtone.servers.api.accounts_access import (
    COOKIE,
    COOKIE_PATH,
    account_body,
    account_of,
    accounts_of,
    actor_with,
    api_keys_of,
    audit_of,
    token_of,
)
from roomtone.servers.api.accounts_schemas import (
    AccountBody,
    AccountChangeBody,
    AuditBody,
    KeyBody,
    MadeKeyBody,
    MeBody,
    NewAccountBody,
    NewKeyBody,
    ProfileBody,
    ResetLinkBody,
    RoomTokenBody,
)
from roomtone.servers.api.requests import client_address, context_of
from roomtone.store import AccountRecord

MAX_PAGE = 200
_bearer = HTTPBearer(auto_error=False, description="An access token of an account")
router = APIRouter(prefix="/api/v1", tags=["Accounts"], dependencies=[Depends(_bearer)])
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


@router.get("/me", summary="Read one's account")
async def read_me(request: Request) -> MeBody:
    """Give the account of who asks."""
    return _me(await account_of(request))


@router.patch("/me", summary="Change one's account")
async def change_me(request: Request, body: ProfileBody) -> MeBody:
    """Change one's name or mail address."""
    account = await account_of(request)
    changed = await accounts_of(request).change_profile(
        account, name=body.name, email=body.email, password=body.password, address=client_address(request)
    )
    return _me(changed)


@router.delete("/me/log-ins", status_code=204, summary="Log out everywhere")
async def end_my_log_ins(request: Request) -> Response:
    """End all log-ins of who asks, this one too; whoever is in a room by this account leaves it."""
    account = await account_of(request)
    await accounts_of(request).recovery.end_log_ins(account, account.username, client_address(request))
    await _send_out(request, account.id)
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    response.delete_cookie(COOKIE, path=COOKIE_PATH, httponly=True, samesite="strict")
    return response


@router.get("/accounts", summary="List accounts")
async def list_accounts(
    request: Request, offset: Annotated[int, Query(ge=0)] = 0, limit: Limit = 50
) -> list[AccountBody]:
    """List accounts by user name; for administrators."""
    await actor_with(request, Ability.MANAGE_ACCOUNTS)
    found = await accounts_of(request).parts.tables.accounts.page(offset, limit)
    return [account_body(account) for account in found]


@router.post("/accounts", status_code=201, summary="Make an account")
async def create_account(request: Request, body: NewAccountBody) -> AccountBody:
    """Make an account of any role; for administrators."""
    actor = await actor_with(request, Ability.MANAGE_ACCOUNTS)
    made = await accounts_of(request).create(
        body.username,
        body.password,
        body.email,
        body.name,
        body.role,
        address=client_address(request),
        actor=actor.username,
    )
    return account_body(made)


@router.get("/accounts/{account_id}", summary="Read an account")
async def read_account(request: Request, account_id: str) -> AccountBody:
    """Give an account; for administrators."""
    await actor_with(request, Ability.MANAGE_ACCOUNTS)
    return account_body(await accounts_of(request).find(account_id))


@router.patch("/accounts/{account_id}", summary="Change an account's role, or lock it out")
async def change_account(request: Request, account_id: str, body: AccountChangeBody) -> AccountBody:
    """Change role or lock; what the account holds ends at once, and one locked out leaves all rooms.

    For administrators.
    """
    actor = await actor_with(request, Ability.MANAGE_ACCOUNTS)
    accounts, address = accounts_of(request), client_address(request)
    account = await accounts.find(account_id)
    if body.role is not None and body.role.value != account.role:
        account = await accounts.change_role(account_id, body.role, actor, address)
    if body.disabled is not None and body.disabled != account.disabled:
        account = await accounts.set_disabled(account_id, actor, address, disabled=body.disabled)
        if body.disabled:
            await _send_out(request, account_id)
    return account_body(account)


async def _send_out(request: Request, account_id: str) -> None:
    """Send an account's participants out of all rooms: their tokens open nothing, but they are inside."""
    rooms = context_of(request).rooms
    inside = [
        participant
        for room in rooms.by_name.values()
        for participant in room.participants.values()
        if participant.account_id == account_id
    ]
    for participant in inside:
        await rooms.end(participant, CloseReason.REMOVED)


@router.delete("/accounts/{account_id}/log-ins", status_code=204, summary="Log an account out everywhere")
async def end_log_ins(request: Request, account_id: str) -> Response:
    """End all log-ins of an account; whoever is in a room by it leaves it. For administrators."""
    actor = await actor_with(request, Ability.MANAGE_ACCOUNTS)
    accounts = accounts_of(request)
    account = await accounts.find(account_id)
    await accounts.recovery.end_log_ins(account, actor.username, client_address(request))
    await _send_out(request, account_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/accounts/{account_id}/reset-link", status_code=201, summary="Make a link that sets a new password")
async def make_reset_link(request: Request, response: Response, account_id: str) -> ResetLinkBody:
    """Make a link for somebody who has lost the password, where no mail goes; for administrators.

    The password stays as it is until the link is used, which ends all log-ins. 409 for an account that is locked out.
    """
    actor = await actor_with(request, Ability.MANAGE_ACCOUNTS)
    accounts = accounts_of(request)
    account = await accounts.find(account_id)
    base, address = str(request.base_url), client_address(request)
    link = await accounts.recovery.link_for(account, base, actor.username, address)
    response.headers["Cache-Control"] = "no-store"
    return ResetLinkBody(link=link.url, expires_at=link.expires_at)


@router.delete("/accounts/{account_id}/totp", status_code=204, summary="Remove an account's one-time passwords")
async def remove_account_totp(request: Request, account_id: str) -> Response:
    """Remove one-time passwords of somebody who has lost them; for administrators."""
    actor = await actor_with(request, Ability.MANAGE_ACCOUNTS)
    accounts = accounts_of(request)
    account = await accounts.find(account_id)
    await accounts.second_factor.remove(account, client_address(request), actor.username)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/keys", summary="List API keys")
async def list_keys(request: Request) -> list[KeyBody]:
    """List the keys of the settings and of the database, without their secrets; for administrators."""
    await actor_with(request, Ability.MANAGE_KEYS)
    keys = api_keys_of(request)
    of_settings = [
        KeyBody(key=name, label="", created_at=None, created_by="settings", revoked_at=None, settings=True)
        for name in keys.ring
        if keys.ring.is_of_settings(name)
    ]
    stored = [
        KeyBody(
            key=key.name,
            label=key.label,
            created_at=key.created_at,
            created_by=key.created_by,
            revoked_at=key.revoked_at,
            settings=False,
        )
        for key in await keys.list()
    ]
    return of_settings + stored


@router.post("/keys", status_code=201, summary="Make an API key")
async def create_key(request: Request, response: Response, body: NewKeyBody) -> MadeKeyBody:
    """Make a key; its secret is shown this once. For administrators."""
    actor = await actor_with(request, Ability.MANAGE_KEYS)
    made = await api_keys_of(request).create(body.label, actor.username, body.name, client_address(request))
    response.headers["Cache-Control"] = "no-store"
    return MadeKeyBody(key=made.name, secret=made.secret)


@router.delete("/keys/{key}", status_code=204, summary="Revoke an API key")
async def revoke_key(request: Request, key: str) -> Response:
    """Let a key and all tokens signed with it open nothing any more; for administrators."""
    actor = await actor_with(request, Ability.MANAGE_KEYS)
    await api_keys_of(request).revoke(key, actor.username, client_address(request))
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/audit", summary="Read the audit trail")
async def read_audit(
    request: Request, limit: Limit = 50, before: int | None = None, account: str | None = None
) -> list[AuditBody]:
    """Give audited events, the newest first; for administrators."""
    await actor_with(request, Ability.READ_AUDIT)
    accounts_of(request)
    await accounts_of(request).parts.audit.flush()
    events = await audit_of(request).list(limit, before=before, account=account)
    return [
        AuditBody(
            id=event.id or 0,
            at=event.at,
            kind=event.kind,
            outcome=event.outcome,
            account=event.account,
            actor=event.actor,
            address=event.address,
            detail=event.detail,
        )
        for event in events
    ]


@router.post("/rooms/{room}/token", summary="Get a token for a room")
async def room_token(request: Request, response: Response, room: str) -> RoomTokenBody:
    """Give an account a token for a room, by its role; for every protocol that takes LiveKit's tokens."""
    if not is_room_name(room):
        raise RoomError(Refusal.BAD_NAME, "a room's name is 1 to 64 letters, digits, '.', '_' or '-'")
    token, identity, expires_at = await accounts_of(request).room_token(
        token_of(request), room, client_address(request)
    )
    response.headers["Cache-Control"] = "no-store"
    return RoomTokenBody(token=token, room=room, identity=identity, expires_at=expires_at)


def _me(account: AccountRecord) -> MeBody:
    role = Role(account.role)
    return MeBody(**account_body(account).model_dump(), abilities=sorted(ROLES[role]))
