"""The one place where errors of control and protocols become HTTP statuses (RFC 9725 section 4, issue of each code)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from roomtone.control.accounts import AccountError, AccountRefusal
from roomtone.control.calls import CallEnd, CallError, PhoneError, PhoneRefusal
from roomtone.control.live import LiveError, LiveRefusal
from roomtone.control.policy import AccessError, RateError
from roomtone.control.policy.attempts import AttemptsError
from roomtone.control.rooms import CloseReason, Refusal, RoomError
from roomtone.control.webhooks import WebhookError, WebhookRefusal
from roomtone.protocols.sdp import NegotiationCode, NegotiationError, SdpError
from roomtone.protocols.whip import Problem, WhipError
from roomtone.protocols.whip.problem import MEDIA_TYPE
from roomtone.store import StoreError

NOT_LIVE_RETRY_S = 2
BUSY_RETRY_S = 5

_OF_REFUSAL = {
    Refusal.BAD_NAME: HTTPStatus.NOT_FOUND,
    Refusal.BAD_IDENTITY: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.NO_SUCH_ROOM: HTTPStatus.NOT_FOUND,
    Refusal.NO_SUCH_PARTICIPANT: HTTPStatus.NOT_FOUND,
    Refusal.NO_SUCH_TRACK: HTTPStatus.NOT_FOUND,
    Refusal.NOT_LIVE: HTTPStatus.CONFLICT,
    Refusal.NO_COMMON_CODEC: HTTPStatus.NOT_ACCEPTABLE,
    Refusal.NO_SUCH_LAYER: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.TOO_MANY_ROOMS: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.TOO_MANY_PARTICIPANTS: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.TOO_MANY_VIEWERS: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.TOO_MANY_TRACKS: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.ROUTER_LOST: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.ENGINE_BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.ENGINE_REFUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.ENGINE_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    Refusal.NOT_PERMITTED: HTTPStatus.FORBIDDEN,
    Refusal.ROOM_LOCKED: HTTPStatus.FORBIDDEN,
    Refusal.MUST_ASK: HTTPStatus.FORBIDDEN,
    Refusal.LOBBY_FULL: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.NO_SUCH_KNOCK: HTTPStatus.NOT_FOUND,
    Refusal.CODEC_NOT_ALLOWED: HTTPStatus.NOT_ACCEPTABLE,
    Refusal.UNKNOWN_CODEC: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.ROOM_IS_ENCRYPTED: HTTPStatus.CONFLICT,
    Refusal.NOT_MOVABLE: HTTPStatus.CONFLICT,
    Refusal.SAME_ROOM: HTTPStatus.CONFLICT,
    Refusal.IDENTITY_TAKEN: HTTPStatus.CONFLICT,
    Refusal.IS_FORWARDED: HTTPStatus.CONFLICT,
    Refusal.MUTED_BY_PUBLISHER: HTTPStatus.CONFLICT,
    Refusal.TOO_MANY_FORWARDINGS: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.TOO_LARGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.TOO_FAST: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.NO_SUCH_MESSAGE: HTTPStatus.NOT_FOUND,
    Refusal.MESSAGE_EXISTS: HTTPStatus.CONFLICT,
    Refusal.EMPTY_MESSAGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.STORE_FAILED: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.CLOSED: HTTPStatus.NOT_FOUND,
    Refusal.SHUTTING_DOWN: HTTPStatus.SERVICE_UNAVAILABLE,
}

# What a request gets that was under way when its participant, viewer or room ended.
_OF_CLOSE = {
    CloseReason.LEFT: HTTPStatus.NOT_FOUND,
    CloseReason.DUPLICATE_IDENTITY: HTTPStatus.CONFLICT,
    CloseReason.REMOVED: HTTPStatus.FORBIDDEN,
    CloseReason.ROOM_CLOSED: HTTPStatus.CONFLICT,
    CloseReason.ROOM_EMPTY: HTTPStatus.CONFLICT,
    CloseReason.SERVER_SHUTDOWN: HTTPStatus.SERVICE_UNAVAILABLE,
    CloseReason.NEVER_CONNECTED: HTTPStatus.NOT_FOUND,
    CloseReason.CONNECTION_LOST: HTTPStatus.NOT_FOUND,
    CloseReason.PEER_CLOSED: HTTPStatus.NOT_FOUND,
    CloseReason.HANDSHAKE_FAILED: HTTPStatus.NOT_FOUND,
    CloseReason.CERTIFICATE_UNSUPPORTED: HTTPStatus.UNPROCESSABLE_ENTITY,
    CloseReason.CERTIFICATE_MISMATCH: HTTPStatus.UNPROCESSABLE_ENTITY,
    CloseReason.MEDIA_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    CloseReason.NOT_PERMITTED: HTTPStatus.FORBIDDEN,
    CloseReason.MOVED: HTTPStatus.CONFLICT,
    CloseReason.TOKEN_EXPIRED: HTTPStatus.UNAUTHORIZED,
    CloseReason.SIGNAL_TIMEOUT: HTTPStatus.NOT_FOUND,
    CloseReason.SLOW_CLIENT: HTTPStatus.NOT_FOUND,
    CloseReason.BAD_SIGNAL: HTTPStatus.NOT_FOUND,
    CloseReason.CALLEE_UNAVAILABLE: HTTPStatus.CONFLICT,
    CloseReason.CALLEE_REJECTED: HTTPStatus.CONFLICT,
    CloseReason.CALL_FAILED: HTTPStatus.CONFLICT,
    CloseReason.UNPUBLISHED: HTTPStatus.NOT_FOUND,
}

_OF_ACCOUNT = {
    AccountRefusal.BAD_CREDENTIALS: HTTPStatus.UNAUTHORIZED,
    AccountRefusal.TOTP_REQUIRED: HTTPStatus.UNAUTHORIZED,
    AccountRefusal.BAD_TOTP: HTTPStatus.UNAUTHORIZED,
    AccountRefusal.BAD_REFRESH_TOKEN: HTTPStatus.UNAUTHORIZED,
    AccountRefusal.REFRESH_TOKEN_REUSED: HTTPStatus.UNAUTHORIZED,
    AccountRefusal.NO_ACCOUNT: HTTPStatus.FORBIDDEN,
    AccountRefusal.BAD_RESET_TOKEN: HTTPStatus.BAD_REQUEST,
    AccountRefusal.REGISTRATION_CLOSED: HTTPStatus.FORBIDDEN,
    AccountRefusal.BAD_USERNAME: HTTPStatus.UNPROCESSABLE_ENTITY,
    AccountRefusal.BAD_EMAIL: HTTPStatus.UNPROCESSABLE_ENTITY,
    AccountRefusal.BAD_DISPLAY_NAME: HTTPStatus.UNPROCESSABLE_ENTITY,
    AccountRefusal.WEAK_PASSWORD: HTTPStatus.UNPROCESSABLE_ENTITY,
    AccountRefusal.BAD_KEY: HTTPStatus.UNPROCESSABLE_ENTITY,
    AccountRefusal.NAME_TAKEN: HTTPStatus.CONFLICT,
    AccountRefusal.KEY_TAKEN: HTTPStatus.CONFLICT,
    AccountRefusal.LAST_ADMIN: HTTPStatus.CONFLICT,
    AccountRefusal.LOCKED_OUT: HTTPStatus.CONFLICT,
    AccountRefusal.TOTP_ACTIVE: HTTPStatus.CONFLICT,
    AccountRefusal.TOTP_NOT_SET_UP: HTTPStatus.CONFLICT,
    AccountRefusal.NO_SUCH_ACCOUNT: HTTPStatus.NOT_FOUND,
    AccountRefusal.NO_SUCH_KEY: HTTPStatus.NOT_FOUND,
    AccountRefusal.NO_MAIL: HTTPStatus.SERVICE_UNAVAILABLE,
    AccountRefusal.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
}

_OF_WEBHOOK = {
    WebhookRefusal.NO_SUCH_LETTER: HTTPStatus.NOT_FOUND,
    WebhookRefusal.UNKNOWN_TARGET: HTTPStatus.CONFLICT,
    WebhookRefusal.QUEUE_FULL: HTTPStatus.SERVICE_UNAVAILABLE,
}

_OF_PHONE = {
    PhoneRefusal.BAD_USERNAME: HTTPStatus.UNPROCESSABLE_ENTITY,
    PhoneRefusal.BAD_PASSWORD: HTTPStatus.UNPROCESSABLE_ENTITY,
    PhoneRefusal.BAD_NAME: HTTPStatus.UNPROCESSABLE_ENTITY,
    PhoneRefusal.BAD_RULE: HTTPStatus.UNPROCESSABLE_ENTITY,
    PhoneRefusal.ACCOUNT_EXISTS: HTTPStatus.CONFLICT,
    PhoneRefusal.RULE_EXISTS: HTTPStatus.CONFLICT,
    PhoneRefusal.NO_SUCH_ACCOUNT: HTTPStatus.NOT_FOUND,
    PhoneRefusal.NO_SUCH_RULE: HTTPStatus.NOT_FOUND,
    PhoneRefusal.NO_SUCH_CALL: HTTPStatus.NOT_FOUND,
    PhoneRefusal.NO_SUCH_LEG: HTTPStatus.NOT_FOUND,
    PhoneRefusal.BAD_KEYS: HTTPStatus.UNPROCESSABLE_ENTITY,
    PhoneRefusal.WRONG_STATE: HTTPStatus.CONFLICT,
    PhoneRefusal.NOT_POSSIBLE: HTTPStatus.CONFLICT,
    PhoneRefusal.BAD_TRUNK: HTTPStatus.UNPROCESSABLE_ENTITY,
    PhoneRefusal.TRUNK_EXISTS: HTTPStatus.CONFLICT,
    PhoneRefusal.NO_SUCH_TRUNK: HTTPStatus.NOT_FOUND,
}

_OF_CALL_END = {
    CallEnd.BAD_REQUEST: HTTPStatus.UNPROCESSABLE_ENTITY,
    CallEnd.NOT_FOUND: HTTPStatus.NOT_FOUND,
    CallEnd.FORBIDDEN: HTTPStatus.FORBIDDEN,
    CallEnd.OVERLOADED: HTTPStatus.SERVICE_UNAVAILABLE,
    CallEnd.SERVER_SHUTDOWN: HTTPStatus.SERVICE_UNAVAILABLE,
    CallEnd.ENGINE_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    CallEnd.MEDIA_LOST: HTTPStatus.INTERNAL_SERVER_ERROR,
    CallEnd.FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""What the end of a call is to who asked for it; any other is a conflict with how the world is."""


_OF_LIVE = {
    LiveRefusal.SWITCHED_OFF: HTTPStatus.FORBIDDEN,
    LiveRefusal.NOBODY_LISTENS: HTTPStatus.FORBIDDEN,
    LiveRefusal.NO_SUCH_STREAM: HTTPStatus.NOT_FOUND,
    LiveRefusal.ALREADY_LIVE: HTTPStatus.CONFLICT,
    LiveRefusal.NOTHING_PUBLISHED: HTTPStatus.CONFLICT,
    LiveRefusal.NEEDS_TRANSCODING: HTTPStatus.UNPROCESSABLE_ENTITY,
    LiveRefusal.TOO_MANY_STREAMS: HTTPStatus.SERVICE_UNAVAILABLE,
    LiveRefusal.NO_KEYFRAME: HTTPStatus.CONFLICT,
    LiveRefusal.PREVIEW_FAILED: HTTPStatus.SERVICE_UNAVAILABLE,
    LiveRefusal.NO_SUCH_VIEWER: HTTPStatus.NOT_FOUND,
    LiveRefusal.TOO_MANY_READERS: HTTPStatus.SERVICE_UNAVAILABLE,
    LiveRefusal.NO_SUCH_KEY: HTTPStatus.NOT_FOUND,
    LiveRefusal.TOO_MANY_KEYS: HTTPStatus.CONFLICT,
    LiveRefusal.TOO_MANY_KICKED: HTTPStatus.SERVICE_UNAVAILABLE,
    LiveRefusal.TOO_MANY_NAMES: HTTPStatus.SERVICE_UNAVAILABLE,
    LiveRefusal.ENCRYPTED_BY_INPUT: HTTPStatus.CONFLICT,
    LiveRefusal.CANNOT_ENCRYPT: HTTPStatus.UNPROCESSABLE_ENTITY,
    LiveRefusal.LINE_REFUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    LiveRefusal.NOT_BEGUN: HTTPStatus.CONFLICT,
}


class HttpProblem(Exception):  # noqa: N818 (a problem in the sense of RFC 9457)
    """A request that the HTTP side itself refuses."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(status, code, detail)
        self.headers = headers or {}


def status_of_close(reason: CloseReason) -> HTTPStatus:
    """Map the end of something to the status of a request it cuts short."""
    return _OF_CLOSE[reason]


def _of_room(error: RoomError) -> tuple[Problem, dict[str, str]]:
    status = _OF_REFUSAL[error.refusal] if error.closed is None else status_of_close(error.closed)
    headers: dict[str, str] = {}
    if error.refusal is Refusal.NOT_LIVE:
        headers["Retry-After"] = str(NOT_LIVE_RETRY_S)
    elif status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(BUSY_RETRY_S)
    return Problem(status, error.refusal.value, error.message), headers


def _of_access(error: AccessError) -> tuple[Problem, dict[str, str]]:
    code = error.denial.value
    if error.denial.is_forbidden:
        return Problem(HTTPStatus.FORBIDDEN, code, error.message), {}
    challenge = 'Bearer realm="roomtone"' + ("" if code == "token_missing" else ', error="invalid_token"')
    return Problem(HTTPStatus.UNAUTHORIZED, code, error.message), {"WWW-Authenticate": challenge}


def _of_sdp(error: SdpError) -> tuple[Problem, dict[str, str]]:
    return Problem(HTTPStatus.BAD_REQUEST, "malformed_sdp", f"SDP {error}", error.line), {}


def _of_negotiation(error: NegotiationError) -> tuple[Problem, dict[str, str]]:
    no_codec = error.code is NegotiationCode.NO_COMMON_CODEC
    status = HTTPStatus.NOT_ACCEPTABLE if no_codec else HTTPStatus.UNPROCESSABLE_ENTITY
    return Problem(status, error.code.value, error.message), {}


def _of_whip(error: WhipError) -> tuple[Problem, dict[str, str]]:
    return Problem(error.status, error.status.name.lower(), error.message), {}


def _of_rate(error: RateError) -> tuple[Problem, dict[str, str]]:
    headers = {"Retry-After": str(error.retry_after_s)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, error.reason.value, str(error)), headers


def _of_account(error: AccountError) -> tuple[Problem, dict[str, str]]:
    headers = {"Retry-After": str(BUSY_RETRY_S)} if error.retryable else {}
    if _OF_ACCOUNT[error.refusal] is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="roomtone"'
    return Problem(_OF_ACCOUNT[error.refusal], error.refusal.value, error.message), headers


def _of_attempts(error: AttemptsError) -> tuple[Problem, dict[str, str]]:
    headers = {"Retry-After": str(error.retry_after_s)}
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "too_many_attempts", str(error)), headers


def _of_webhook(error: WebhookError) -> tuple[Problem, dict[str, str]]:
    status = _OF_WEBHOOK[error.refusal]
    headers = {"Retry-After": str(BUSY_RETRY_S)} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Problem(status, error.refusal.value, error.message), headers


def _of_phone(error: PhoneError) -> tuple[Problem, dict[str, str]]:
    return Problem(_OF_PHONE[error.refusal], error.refusal.value, error.message), {}


def _of_live(error: LiveError) -> tuple[Problem, dict[str, str]]:
    headers = {"Retry-After": str(NOT_LIVE_RETRY_S)} if error.retryable else {}
    return Problem(_OF_LIVE[error.refusal], error.refusal.value, error.message), headers


def _of_call(error: CallError) -> tuple[Problem, dict[str, str]]:
    status = _OF_CALL_END.get(error.end, HTTPStatus.CONFLICT)
    headers = {"Retry-After": str(BUSY_RETRY_S)} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Problem(status, error.end.value, error.message or error.end.value.replace("_", " ")), headers


def _of_store(error: StoreError) -> tuple[Problem, dict[str, str]]:
    # What the database said is for the log and the health page, not for strangers.
    del error
    headers = {"Retry-After": str(BUSY_RETRY_S)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "store_unavailable", "the database does not answer"), headers


def _of_validation(error: RequestValidationError) -> tuple[Problem, dict[str, str]]:
    first = error.errors()[0] if error.errors() else {}
    where = ".".join(str(part) for part in first.get("loc", ()))
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", f"{where}: {first.get('msg', 'invalid')}"), {}


def _of_http(error: HTTPException) -> tuple[Problem, dict[str, str]]:
    code = HTTPStatus(error.status_code).name.lower()
    return Problem(error.status_code, code, str(error.detail)), dict(error.headers or {})


def _of_problem(error: HttpProblem) -> tuple[Problem, dict[str, str]]:
    return error.problem, error.headers


_Mapper = Callable[..., tuple[Problem, dict[str, str]]]
MAPPERS: dict[type[Exception], _Mapper] = {
    AccessError: _of_access,
    AccountError: _of_account,
    AttemptsError: _of_attempts,
    CallError: _of_call,
    HTTPException: _of_http,
    HttpProblem: _of_problem,
    LiveError: _of_live,
    NegotiationError: _of_negotiation,
    PhoneError: _of_phone,
    RateError: _of_rate,
    RequestValidationError: _of_validation,
    RoomError: _of_room,
    SdpError: _of_sdp,
    StoreError: _of_store,
    WebhookError: _of_webhook,
    WhipError: _of_whip,
}


def respond(error: Exception) -> JSONResponse:
    """Answer a request with the problem an error is."""
    mapper = next(MAPPERS[base] for base in type(error).__mro__ if base in MAPPERS)
    problem, headers = mapper(error)
    return JSONResponse(problem.body(), problem.status, headers, media_type=MEDIA_TYPE)
