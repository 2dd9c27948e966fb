"""Dialogs of SIP (RFC 3261 section 12)."""

from roomtone.protocols.sip.dialog.dialog import (
    Dialog,
    DialogKey,
    DialogState,
    contact_uri,
    dialog_of_request,
    new_branch,
)
from roomtone.protocols.sip.dialog.hop import contact_block, direct_flow, next_flow, via_prefix

__all__ = [
    "Dialog",
    "DialogKey",
    "DialogState",
    "contact_block",
    "contact_uri",
    "dialog_of_request",
    "direct_flow",
    "new_branch",
    "next_flow",
    "via_prefix",
]
