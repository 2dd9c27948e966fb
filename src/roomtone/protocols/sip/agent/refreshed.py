"""The session timer of a leg (RFC 4028): refreshed by UPDATE or re-INVITE, or ended when nobody refreshes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.events import EndReason
from roomtone.protocols.sip.agent.session import SessionTimer, TooShort, grant

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.agent.reoffer import Reoffer
    from roomtone.protocols.sip.message import Request, Response
    from roomtone.protocols.sip.wheel import Timer


class RefreshedLeg(ABC):
    """A leg whose session is timed."""

    __slots__ = ("_session_timer", "agent", "last_body", "peer_updates", "session")

    def __init__(self, agent: UserAgent) -> None:
        self.agent = agent
        self.last_body = b""
        """The last description of ours that was accepted."""
        self.peer_updates = False
        """Whether the peer allows UPDATE."""
        self.session: SessionTimer | None = None
        self._session_timer: Timer | None = None

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""

    @property
    @abstractmethod
    def is_busy(self) -> bool:
        """Whether an offer now would cross another, or an INVITE another."""

    @abstractmethod
    def start_reoffer(self, method: str, block: bytes, body: bytes, now: int) -> Reoffer:
        """Send a re-INVITE or UPDATE."""

    @abstractmethod
    def bye(
        self,
        now: int,
        block: bytes = b"",
        *,
        reason: EndReason = EndReason.LOCAL,
        message: Response | None = None,
        is_told: bool = True,
    ) -> None:
        """End it by BYE."""

    def offer_session(self, request: Request) -> tuple[SessionTimer | None, bytes] | TooShort:
        """Decide on the session timer that a request of the peer asks for."""
        self._read_allow(request)
        return grant(self.agent.settings, request)

    def on_refreshed(self, session: SessionTimer | None, now: int) -> None:
        """Start the session timer again."""
        self._keep(session, now)

    def _read_allow(self, message: Request | Response) -> None:
        allow = message.headers.get("allow")
        if allow is not None:
            self.peer_updates = b"UPDATE" in allow

    def _keep(self, session: SessionTimer | None, now: int) -> None:
        self._stop_session()
        self.session = session
        if session is not None:
            self._session_timer = self.agent.layer.wheel.arm(now + session.acts_after_ms, self._on_session)

    def _stop_session(self) -> None:
        if self._session_timer is not None:
            self.agent.layer.wheel.cancel(self._session_timer)
            self._session_timer = None

    def _on_session(self, now: int) -> None:
        self._session_timer = None
        session = self.session
        if session is None or self.is_over:
            return
        if not session.we_refresh:
            self.bye(now, reason=EndReason.EXPIRED)
            return
        self._session_timer = self.agent.layer.wheel.arm(now + session.over_after_ms, self._on_expired)
        if not self.is_busy:  # whatever is under way refreshes it as well
            if self.peer_updates:
                self.start_reoffer("UPDATE", b"", b"", now).is_refresh = True
            else:
                self.start_reoffer(
                    "INVITE", self.agent.body_block(self.last_body), self.last_body, now
                ).is_refresh = True

    def _on_expired(self, now: int) -> None:
        self._session_timer = None
        if not self.is_over:
            self.bye(now, reason=EndReason.EXPIRED)
