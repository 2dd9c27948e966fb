"""Calls of accounts as lamps beside keys show them: which dialogs there are, and how far (RFC 4235)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from roomtone.protocols.sip.packages import DialogEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.protocols.sip.dialog import Dialog
    from roomtone.protocols.sip.packages.dialogs import DialogInfoState
    from roomtone.servers.sip.signals import PhoneSignal


class _Lamp:
    __slots__ = ("account", "dialog", "direction", "id", "remote", "state")

    def __init__(self, account: str, id_: str, direction: Literal["initiator", "recipient"], remote: str) -> None:
        self.account = account
        self.id = id_
        self.direction = direction
        self.remote = remote
        self.state: DialogInfoState = "trying"
        self.dialog: Dialog | None = None
        """The last one there was: a forked INVITE of ours has several before it is answered."""


class Lamps:
    """The dialogs of all accounts.

    Inputs: `begin`, `note`, `end` as legs begin, change and end. Outputs: `of`; ``on_change`` is called with the
    account and what has ended, if anything. Limits: as many as there are legs.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[str, tuple[DialogEntry, ...]], None] = lambda *_: None
        self._lamps: dict[PhoneSignal, _Lamp] = {}
        self._accounts: dict[str, dict[PhoneSignal, _Lamp]] = {}
        self._count = 0

    def begin(
        self, signal: PhoneSignal, account: str, direction: Literal["initiator", "recipient"], remote: str
    ) -> None:
        """Note a leg of an account; one whose INVITE is repeated is the same."""
        if not account or signal in self._lamps:
            return
        self._count += 1
        lamp = _Lamp(account, f"d{self._count}", direction, remote)
        self._lamps[signal] = lamp
        self._accounts.setdefault(account, {})[signal] = lamp
        self.on_change(account, ())

    def note(self, signal: PhoneSignal, state: DialogInfoState, dialog: Dialog | None = None) -> None:
        """Note how far a leg is, and its dialog where the signal has none yet."""
        lamp = self._lamps.get(signal)
        if lamp is not None and dialog is not None:
            lamp.dialog = dialog
        if lamp is not None and lamp.state != state:
            lamp.state = state
            self.on_change(lamp.account, ())

    def end(self, signal: PhoneSignal) -> None:
        """Note the end of a leg; of what has none nothing."""
        lamp = self._lamps.pop(signal, None)
        if lamp is None:
            return
        held = self._accounts[lamp.account]
        del held[signal]
        if not held:
            del self._accounts[lamp.account]
        lamp.state = "terminated"
        self.on_change(lamp.account, (_entry(signal, lamp),))

    def of(self, account: str) -> tuple[DialogEntry, ...]:
        """Give the dialogs of an account, the oldest first."""
        return tuple(_entry(signal, lamp) for signal, lamp in self._accounts.get(account, {}).items())


def _entry(signal: PhoneSignal, lamp: _Lamp) -> DialogEntry:
    dialog = lamp.dialog if signal.leg is None else signal.leg.dialog
    # Tags as the phone has them: its own is what we call remote (RFC 4235 section 4.1.2).
    return DialogEntry(
        lamp.id,
        lamp.state,
        lamp.direction,
        call_id=None if dialog is None else dialog.call_id,
        local_tag=None if dialog is None else dialog.remote_tag or None,
        remote_tag=None if dialog is None else dialog.local_tag,
        remote=lamp.remote,
    )
