"""Phones by HTTP: accounts, registrations, dispatch rules, calls; for administrators and tokens that administer SIP."""

# ruff: noqa: TC002 - FastAPI reads the annotations

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from roomtone.control.calls import CallEnd, DispatchRule, RuleTarget, TargetKind
from roomtone.control.policy import Ability
from roomtone.servers.api.accounts_access import actor_with, token_of
from roomtone.servers.api.phone_schemas import (
    AccountTargetBody,
    CallBody,
    CallRecordBody,
    DispatchRuleBody,
    DispatchRuleCreateBody,
    GroupTargetBody,
    LegBody,
    LegQualityBody,
    RegistrationBody,
    RoomOfTargetBody,
    RoomTargetBody,
    SipAccountBody,
    SipAccountCreateBody,
    TargetBody,
    TrunkTargetBody,
    UriTargetBody,
)
from roomtone.servers.api.requests import context_of
from roomtone.servers.api.status import HttpProblem

if TYPE_CHECKING:
    from roomtone.control.calls import Call, Calls, Leg, PhoneAccount, PhoneBook

MAX_PAGE = 500
_bearer = HTTPBearer(auto_error=False, description="A token of an administrator's account, or one with sip.admin")
router = APIRouter(prefix="/api/v1", tags=["Phones"], dependencies=[Depends(_bearer)])


async def may_manage_phones(request: Request) -> None:
    """Refuse who may not, before the body is looked at: administrators may, and tokens with the grant ``sip.admin``."""
    if not token_of(request).administers_sip:
        await actor_with(request, Ability.MANAGE_PHONES)


allowed = [Depends(may_manage_phones)]


@router.post("/sip-accounts", status_code=201, summary="Make an account for phones", dependencies=allowed)
async def create_sip_account(request: Request, body: SipAccountCreateBody) -> SipAccountBody:
    """Make an account that phones register with."""
    made = await phone_book(request).accounts.create(
        body.username, body.password, name=body.name, security=body.media_security, algorithm=body.algorithm
    )
    return _account(request, made)


@router.get("/sip-accounts", summary="List accounts for phones", dependencies=allowed)
async def list_sip_accounts(request: Request) -> list[SipAccountBody]:
    """List all accounts by user name."""
    return [_account(request, account) for account in phone_book(request).accounts.list()]


@router.delete("/sip-accounts/{username}", status_code=204, summary="Delete such an account", dependencies=allowed)
async def delete_sip_account(request: Request, username: str) -> Response:
    """Delete an account; its phones are no longer called. Calls that go on are not ended."""
    await phone_book(request).delete_account(username)
    return Response(status_code=204)


@router.get("/registrations", summary="List phones that are registered", dependencies=allowed)
async def list_registrations(request: Request) -> list[RegistrationBody]:
    """List where accounts can be reached now."""
    book = phone_book(request)
    return [
        RegistrationBody(
            account=binding.account,
            contact=binding.contact,
            transport=binding.flow.transport.value,
            address=f"{binding.flow.remote_host} port {binding.flow.remote_port}",
            user_agent=binding.user_agent,
            registered_at=binding.registered_at,
            expires_at=binding.expires_at,
        )
        for binding in book.registrar.all(book.clock())
    ]


@router.post("/dispatch-rules", status_code=201, summary="Say where numbers lead", dependencies=allowed)
async def create_dispatch_rule(request: Request, body: DispatchRuleCreateBody) -> DispatchRuleBody:
    """Make a rule. The most exact number wins; rules come before accounts of the same name."""
    made = await phone_book(request).dispatch.create(
        body.name,
        body.numbers,
        _target(body.target),
        pin=body.pin,
        trunks=tuple(body.trunks),
        hides_number=body.hide_number,
    )
    return _rule(made)


@router.get("/dispatch-rules", summary="List dispatch rules", dependencies=allowed)
async def list_dispatch_rules(request: Request) -> list[DispatchRuleBody]:
    """List all rules, the oldest first."""
    return [_rule(rule) for rule in phone_book(request).dispatch.rules()]


@router.delete("/dispatch-rules/{name}", status_code=204, summary="Delete a dispatch rule", dependencies=allowed)
async def delete_dispatch_rule(request: Request, name: str) -> Response:
    """Delete a rule; calls that go on are not ended."""
    await phone_book(request).dispatch.delete(name)
    return Response(status_code=204)


@router.get("/calls", summary="List calls that go on", dependencies=allowed)
async def list_calls(
    request: Request, quality: Annotated[bool, Query(description="Whether the sound of each leg is judged")] = False
) -> list[CallBody]:
    """List calls of phones that ring or go on, the oldest first."""
    calls = calls_of(request).all()
    if not quality:
        return [_call(call) for call in calls]
    return [
        _call(call).model_copy(update={"quality": [LegQualityBody.model_validate(one.as_dict()) for one in judged]})
        for call in calls
        for judged in [await call.judge()]
    ]


@router.delete("/calls/{call}", status_code=202, summary="End a call", dependencies=allowed)
async def end_call(request: Request, call: str) -> Response:
    """Hang up on all its parties."""
    calls_of(request).hang_up(call)
    return Response(status_code=202)


@router.get("/call-records", summary="List calls that have ended", dependencies=allowed)
async def list_call_records(
    request: Request,
    before: Annotated[float | None, Query(description="Only calls that began before, in seconds since 1970")] = None,
    account: Annotated[str | None, Query(description="Only calls of this account, on whichever side")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> list[CallRecordBody]:
    """List calls that have ended, the newest first; a call is there about two seconds after its end."""
    records = await phone_book(request).records.table.page(limit, before=before, account=account)
    return [
        CallRecordBody(
            id=record.id,
            caller=record.caller,
            called=record.called,
            caller_account=record.caller_account,
            callee_account=record.callee_account,
            begun_at=record.begun_at,
            answered_at=record.answered_at,
            ended_at=record.ended_at,
            reason=CallEnd(record.reason),
            status=record.status,
            codec=record.codec,
            quality=[LegQualityBody.model_validate(one) for one in json.loads(record.quality or "[]")],
        )
        for record in records
    ]


def phone_book(request: Request) -> PhoneBook:
    """Give what is known of phones; raise `HttpProblem` where none are served."""
    book = context_of(request).phone_book
    if book is None:
        raise _no_phones()
    return book


def calls_of(request: Request) -> Calls:
    """Give the calls of phones; raise `HttpProblem` where none are served."""
    calls = context_of(request).calls
    if calls is None:
        raise _no_phones()
    return calls


def _no_phones() -> HttpProblem:
    return HttpProblem(HTTPStatus.SERVICE_UNAVAILABLE, "no_phones", "this server serves no phones: set sip.enabled")


def _account(request: Request, account: PhoneAccount) -> SipAccountBody:
    book = phone_book(request)
    return SipAccountBody(
        username=account.username,
        name=account.name,
        media_security=account.security,
        algorithm=account.algorithm,
        disabled=account.disabled,
        created_at=account.created_at,
        registered=len(book.registrar.bindings(account.username, book.clock())),
    )


def _target(body: TargetBody) -> RuleTarget:
    match body:
        case AccountTargetBody():
            return RuleTarget(TargetKind.ACCOUNT, (body.account,))
        case GroupTargetBody():
            return RuleTarget(TargetKind.GROUP, tuple(body.accounts))
        case UriTargetBody():
            return RuleTarget(TargetKind.URI, uri=body.uri)
        case RoomTargetBody():
            return RuleTarget(TargetKind.ROOM, room=body.room)
        case RoomOfTargetBody():
            return RuleTarget(TargetKind(body.kind), room=body.prefix, is_random=body.random)
        case TrunkTargetBody():
            return RuleTarget(TargetKind.TRUNK, trunk=body.trunk, strip=body.strip, prefix=body.prefix)
        case _:
            assert_never(body)


def _rule(rule: DispatchRule) -> DispatchRuleBody:
    return DispatchRuleBody(
        name=rule.name,
        numbers=list(rule.numbers),
        target=_target_body(rule.target),
        trunks=list(rule.trunks),
        hide_number=rule.hides_number,
        has_pin=bool(rule.pin),
        created_at=rule.created_at,
    )


def _target_body(target: RuleTarget) -> TargetBody:
    match target.kind:
        case TargetKind.ACCOUNT:
            return AccountTargetBody(kind="account", account=target.accounts[0])
        case TargetKind.GROUP:
            return GroupTargetBody(kind="group", accounts=list(target.accounts))
        case TargetKind.URI:
            return UriTargetBody(kind="uri", uri=target.uri)
        case TargetKind.ROOM:
            return RoomTargetBody(kind="room", room=target.room)
        case TargetKind.ROOM_OF_CALLER | TargetKind.ROOM_OF_NUMBER:
            kind: Literal["room_of_caller", "room_of_number"]
            kind = "room_of_caller" if target.kind is TargetKind.ROOM_OF_CALLER else "room_of_number"
            return RoomOfTargetBody(kind=kind, prefix=target.room, random=target.is_random)
        case TargetKind.TRUNK:
            return TrunkTargetBody(kind="trunk", trunk=target.trunk, strip=target.strip, prefix=target.prefix)
    assert_never(target.kind)


def _call(call: Call) -> CallBody:
    return CallBody(
        id=call.id,
        caller=call.invitation.caller.account,
        called=call.invitation.called,
        state=call.state,
        begun_at=call.begun_at,
        answered_at=call.answered_at,
        codec=call.codec,
        legs=[_leg(call, leg) for leg in call.legs],
    )


def _leg(call: Call, leg: Leg) -> LegBody:
    return LegBody(
        id=leg.id,
        account=leg.account,
        state=leg.state.value,
        is_party=leg in call.parties,
        holds=leg.holds,
        held=leg.held,
        muted=leg.muted,
    )
