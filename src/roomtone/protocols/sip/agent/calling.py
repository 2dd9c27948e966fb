"""What a leg does with INVITEs of ours: provisional responses in order, PRACK, the ACK of a 2xx (RFC 3261, 3262)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent.outgoing import Outgoing
from roomtone.protocols.sip.agent.refreshed import RefreshedLeg
from roomtone.protocols.sip.agent.session import agree
from roomtone.protocols.sip.dialog import Dialog, DialogState, new_branch
from roomtone.protocols.sip.headers.cseq import MAX_RSEQ, parse_number

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Response


class CallingLeg(RefreshedLeg):
    """A leg that may have called."""

    __slots__ = (
        "_ack",
        "_credentials",
        "_invite_cseq",
        "dialog",
        "local_offer",
        "remote_offer",
        "rseq_in",
        "waits_for_ack",
    )

    def __init__(self, agent: UserAgent, dialog: Dialog) -> None:
        super().__init__(agent)
        self.dialog = dialog
        self.local_offer = False
        self.remote_offer = False
        self.rseq_in: int | None = None
        self.waits_for_ack = False
        """Whether a 2xx of the peer waits for our user's `acknowledge`."""
        self._ack: tuple[Flow, bytes] | None = None
        self._credentials = b""
        self._invite_cseq = 0

    @property
    def was_confirmed(self) -> bool:
        """Whether a 2xx to an INVITE of ours has come."""
        return self._invite_cseq != 0

    def takes_provisional(self, response: Response) -> bool:
        """Whether a provisional response is new: a reliable one comes in order, and once (RFC 3262 section 4)."""
        value = response.headers.text("rseq")
        if value is None or "100rel" not in response.options("require"):
            return True
        rseq = parse_number(value, MAX_RSEQ, "RSeq")
        if self.rseq_in is not None and rseq != self.rseq_in + 1:
            return False
        self.rseq_in = rseq
        if response.body:
            self.on_body_received(is_offer=not self.local_offer)
        return True

    def prack(self, response: Response, block: bytes, body: bytes, now: int) -> Outgoing:
        """Acknowledge a reliable provisional response."""
        rack = b"RAck: %b %b\r\n" % (response.headers.get("rseq") or b"", response.headers.get("cseq") or b"")
        outgoing = Outgoing(self.agent, self.dialog, "PRACK", rack + block, body)
        outgoing.is_quiet = not body
        outgoing.send(now)
        return outgoing

    def confirm(self, response: Response, cseq: int, credentials: bytes, now: int) -> None:
        """Take a 2xx to an INVITE of ours: the dialog is confirmed, its target and session timer as it says."""
        dialog = self.dialog
        if dialog.state is DialogState.EARLY:
            dialog.state = DialogState.CONFIRMED
            dialog.take_routes(response)
        dialog.refresh_target(response)
        self._invite_cseq = cseq
        self._credentials = credentials
        self._ack = None
        self.waits_for_ack = True
        self.local_offer = False
        self._read_allow(response)
        self._keep(agree(response), now)

    def acknowledge(self, block: bytes, body: bytes, now: int) -> None:  # noqa: ARG002 - as all commands
        """Send the ACK of a 2xx (13.2.2.4), and again whenever the 2xx comes again."""
        dialog = self.dialog
        flow = dialog.next_flow()
        branch = new_branch(self.agent.layer.tokens.next())
        data = dialog.write("ACK", self._invite_cseq, branch, flow, self._credentials + block, body)
        self._ack = flow, data
        self.waits_for_ack = False
        self.remote_offer = False
        self.last_body = body or self.last_body
        self.agent.layer.send(flow, data)

    def acknowledge_again(self, cseq: int) -> None:
        """Send the ACK of the INVITE of this number again, if there was one yet."""
        if cseq == self._invite_cseq:
            if self._ack is not None:
                self.agent.layer.send(*self._ack)
        elif cseq < self._invite_cseq:  # lost, and a re-INVITE has followed
            flow = self.dialog.next_flow()
            branch = new_branch(self.agent.layer.tokens.next())
            self.agent.layer.send(flow, self.dialog.write("ACK", cseq, branch, flow))

    def on_body_sent(self, *, is_offer: bool) -> None:
        """Count a body of ours."""
        self.local_offer = is_offer
        self.remote_offer = False

    def on_body_received(self, *, is_offer: bool) -> None:
        """Count a body of the peer's."""
        self.remote_offer = is_offer
        self.local_offer = False
