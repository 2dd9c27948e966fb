"""`/api/v1/auth`: register, log in and out, refresh, passwords, one-time passwords."""

# ruff: noqa: TC002 - FastAPI reads the annotations

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from roomtone.control.accounts import AccountError, AccountRefusal
from roomtone.servers.api.accounts_access import COOKIE, COOKIE_PATH, account_of, accounts_of, log_in_body
from roomtone.servers.api.accounts_schemas import (
    BackupCodesBody,
    CodeBody,
    ForgotBody,
    LogInBody,
    LoginBody,
    PasswordBody,
    RefreshBody,
    RegisterBody,
    RemoveTotpBody,
    ResetBody,
    TotpBody,
)
from roomtone.servers.api.requests import client_address
from roomtone.servers.api.status import HttpProblem

_bearer = HTTPBearer(auto_error=False, description="An access token of an account")
router = APIRouter(prefix="/api/v1/auth", tags=["Accounts"])


@router.post("/register", status_code=201, summary="Register")
async def register(request: Request, response: Response, body: RegisterBody) -> LogInBody:
    """Make an account and log it in, where registration is open."""
    made = await accounts_of(request).register(
        body.username, body.password, body.email, body.name, client_address(request)
    )
    return log_in_body(request, response, made)


@router.post("/login", summary="Log in")
async def log_in(request: Request, response: Response, body: LoginBody) -> LogInBody:
    """Log in; 401 `totp_required` asks for a one-time password too."""
    made = await accounts_of(request).log_ins.log_in(body.login, body.password, body.totp, client_address(request))
    return log_in_body(request, response, made)


@router.post("/refresh", summary="Exchange a refresh token")
async def refresh(request: Request, response: Response, body: RefreshBody | None = None) -> LogInBody:
    """Give new tokens for a refresh token, which is good once; a second use ends everything that came of the log-in."""
    made = await accounts_of(request).log_ins.refresh(_refresh_token(request, body), client_address(request))
    return log_in_body(request, response, made)


@router.post("/logout", status_code=204, summary="Log out")
async def log_out(request: Request, body: RefreshBody | None = None) -> Response:
    """End a log-in: its refresh and access tokens are good no more."""
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    response.delete_cookie(COOKIE, path=COOKIE_PATH, httponly=True, samesite="strict")
    try:
        await accounts_of(request).log_ins.log_out(_refresh_token(request, body), client_address(request))
    except AccountError as error:
        # A stale cookie goes all the same; who gives a token in the body is told that it ended nothing.
        if body is not None and body.refresh_token is not None:
            raise
        if error.refusal is not AccountRefusal.BAD_REFRESH_TOKEN:
            raise
    return response


@router.post("/password", summary="Change one's password", dependencies=[Depends(_bearer)])
async def change_password(request: Request, response: Response, body: PasswordBody) -> LogInBody:
    """Set another password: all log-ins of the account end, and this one goes on with new tokens."""
    account = await account_of(request)
    made = await accounts_of(request).change_password(account, body.old, body.new, client_address(request))
    return log_in_body(request, response, made)


@router.post("/password/forgot", status_code=202, summary="Ask for a link that sets a new password")
async def forgot_password(request: Request, body: ForgotBody) -> Response:
    """Mail a link, if there is such an account and it has an address; the answer is the same if not."""
    await accounts_of(request).forgot_password(body.login, str(request.base_url), client_address(request))
    return Response(status_code=HTTPStatus.ACCEPTED)


@router.post("/password/reset", summary="Set a new password with a link")
async def reset_password(request: Request, response: Response, body: ResetBody) -> LogInBody:
    """Set a new password and log in. With one-time passwords in use 401 `totp_required` says: set, now log in."""
    made = await accounts_of(request).reset_password(body.token, body.password, client_address(request))
    return log_in_body(request, response, made)


@router.post("/totp/setup", summary="Set up one-time passwords", dependencies=[Depends(_bearer)])
async def set_up_totp(request: Request, response: Response) -> TotpBody:
    """Give a secret for an authenticator app; nothing changes until it is confirmed."""
    account = await account_of(request)
    setup = await accounts_of(request).second_factor.set_up(account, client_address(request))
    response.headers["Cache-Control"] = "no-store"
    return TotpBody(secret=setup.secret, uri=setup.uri)


@router.post("/totp/confirm", summary="Confirm one-time passwords", dependencies=[Depends(_bearer)])
async def confirm_totp(request: Request, response: Response, body: CodeBody) -> BackupCodesBody:
    """Take a first one-time password: from now on each log-in needs one. The backup codes are shown once."""
    account = await account_of(request)
    await accounts_of(request).log_ins.count_attempt(account, client_address(request))
    codes = await accounts_of(request).second_factor.confirm(account, body.totp, client_address(request))
    response.headers["Cache-Control"] = "no-store"
    return BackupCodesBody(backup_codes=codes)


@router.delete("/totp", status_code=204, summary="Remove one-time passwords", dependencies=[Depends(_bearer)])
async def remove_totp(request: Request, body: RemoveTotpBody) -> Response:
    """Ask for no one-time passwords any more; takes the password and one of them."""
    account = await account_of(request)
    await accounts_of(request).remove_totp(account, body.password, body.totp, client_address(request))
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _refresh_token(request: Request, body: RefreshBody | None) -> str:
    given = None if body is None else body.refresh_token
    token = given or request.cookies.get(COOKIE)
    if not token:
        raise HttpProblem(
            HTTPStatus.UNAUTHORIZED, AccountRefusal.BAD_REFRESH_TOKEN.value, "there is no refresh token: log in"
        )
    return token
