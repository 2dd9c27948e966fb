"""Session timers (RFC 4028): a leg that nobody refreshes ends, although no BYE ever came."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from roomtone.protocols.sip.headers.dialogs import Refresher, parse_min_se, parse_session_expires

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.settings import AgentSettings
    from roomtone.protocols.sip.message import Request, Response

_MAX_S = 2**31


class SessionTimer(NamedTuple):
    """What both sides agreed on."""

    interval_s: int
    we_refresh: bool

    @property
    def acts_after_ms(self) -> int:
        """When to refresh: half the interval; or to end it: a third of it or 32 s before it is over (section 10)."""
        if self.we_refresh:
            return self.interval_s * 500
        return (self.interval_s - min(32, self.interval_s // 3)) * 1_000

    @property
    def over_after_ms(self) -> int:
        """When a refresh that got no answer is too late, counted from the refresh."""
        return (self.interval_s // 2 - min(32, self.interval_s // 3)) * 1_000


class TooShort(NamedTuple):
    """The peer wants a shorter interval than we allow: 422."""

    min_s: int


def ask(settings: AgentSettings, min_s: int = 0, refresher: str = "") -> bytes:
    """Write the lines that ask for a session timer; none when it is off."""
    if not settings.session_expires_s:
        return b""
    least = max(settings.min_session_s, min_s)
    interval = max(settings.session_expires_s, least)
    return f"Session-Expires: {interval}{refresher}\r\nMin-SE: {least}\r\n".encode()


def grant(settings: AgentSettings, request: Request) -> tuple[SessionTimer | None, bytes] | TooShort:
    """Decide as the side that answers (section 9): the timer, and the lines of the 2xx. Raises `SipSyntaxError`."""
    asked = request.headers.text("session-expires")
    if asked is None and not settings.session_expires_s:
        return None, b""
    supported = "timer" in request.options("supported")
    interval = settings.session_expires_s or _MAX_S
    refresher = None
    if asked is not None:
        wanted, refresher, _ = parse_session_expires(asked)
        if wanted < settings.min_session_s and supported:
            return TooShort(settings.min_session_s)
        interval = max(min(wanted, interval), settings.min_session_s)
    least = None if asked is None else request.headers.text("min-se")
    if least is not None:
        interval = max(interval, parse_min_se(least))
    if not supported:
        return SessionTimer(interval, we_refresh=True), f"Session-Expires: {interval};refresher=uas\r\n".encode()
    they = refresher is not Refresher.UAS
    require = "Require: timer\r\n" if they else ""
    word = "uac" if they else "uas"
    return SessionTimer(interval, not they), f"{require}Session-Expires: {interval};refresher={word}\r\n".encode()


def agree(response: Response) -> SessionTimer | None:
    """Read what the 2xx to a request of ours says (section 7.2). Raises `SipSyntaxError`."""
    granted = response.headers.text("session-expires")
    if granted is None:
        return None
    interval, refresher, _ = parse_session_expires(granted)
    return SessionTimer(max(interval, 1), refresher is not Refresher.UAS)
