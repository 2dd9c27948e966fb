"""The signal of a leg that there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomtone.control.calls.reasons import CallEnd


class Nobody:
    """Stands for the leg of a caller, where a room is the caller or a party comes of another call."""

    media_ip = told_ip = source_ip = ""
    is_browser = False

    def end(self, end: CallEnd) -> None:
        """There is nobody to tell."""

    def ring(self, status: int, sdp: str | None) -> None:
        """There is nobody to tell."""

    def answer(self, sdp: str) -> None:
        """There is nobody to tell."""

    def answer_offer(self, offer: object, sdp: str) -> None:
        """Nobody offers."""

    def refuse_offer(self, offer: object, end: CallEnd) -> None:
        """Nobody offers."""

    def postpone_offer(self, offer: object) -> None:
        """Nobody offers."""

    def awaits(self, offer: object) -> bool:
        """Nobody offers."""
        del offer
        return False

    def reoffer(self, sdp: str) -> bool:
        """There is nobody to ask."""
        del sdp
        return False

    def send_info(self, content_type: str, body: bytes, reply: object) -> None:
        """There is nobody to tell."""

    def accept_referral(self, referral: object) -> bool:
        """Nobody refers."""
        del referral
        return False

    def refuse_referral(self, referral: object, status: int) -> None:
        """Nobody refers."""

    def tell_referral(self, referral: object, status: int) -> None:
        """Nobody refers."""

    def refer(self, to: str, tell: object) -> None:
        """There is nobody to ask."""

    def move_to(self, call: object) -> None:
        """There is nobody to move."""
