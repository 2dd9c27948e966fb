"""Phones: accounts, where they can be reached, where numbers lead, and calls between them."""

from roomtone.control.calls.calls import Calls
from roomtone.control.calls.directory.accounts import PhoneAccount, PhoneAccounts
from roomtone.control.calls.directory.bindings import (
    Binding,
    BindingChange,
    BindingEvent,
    Contact,
    RegistrarRules,
    Registration,
)
from roomtone.control.calls.directory.book import PhoneBook, PhoneTables, open_book
from roomtone.control.calls.directory.dispatch import Dispatch
from roomtone.control.calls.directory.records import CallRecords
from roomtone.control.calls.directory.registrar import Registrar
from roomtone.control.calls.directory.rules import ANY_TRUNK, ROOM_KINDS, DispatchRule, RuleTarget, TargetKind
from roomtone.control.calls.directory.trunk import Trunk
from roomtone.control.calls.directory.trunk_keeper import TrunkKeeper
from roomtone.control.calls.directory.trunk_life import TrunkDeed, TrunkLife, TrunkReply, TrunkState
from roomtone.control.calls.directory.trunks import Trunks
from roomtone.control.calls.errors import BindingError, BindingRefusal, CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.media.melody import melody
from roomtone.control.calls.media.plain_streams import Marking
from roomtone.control.calls.parties.call import Call
from roomtone.control.calls.parties.commands import Command, Hold, Merge, Mute, PressKeys, Redirect, Transfer
from roomtone.control.calls.parties.dialed_call import DialedCall
from roomtone.control.calls.parties.dialing import DialRequest
from roomtone.control.calls.parties.legs import Leg
from roomtone.control.calls.parties.parts import CallParts
from roomtone.control.calls.pins import PinGuard, PinRules
from roomtone.control.calls.ports import Signal, Signalling
from roomtone.control.calls.reasons import CallEnd, end_of_status, most_telling, sip_status
from roomtone.control.calls.values import (
    Acknowledged,
    Caller,
    CallState,
    Dialog,
    Ended,
    InfoSent,
    Invitation,
    Offered,
    PickedUp,
    Rang,
    Reanswered,
    Redirected,
    Referred,
    TakenOver,
    Target,
)

__all__ = [
    "ANY_TRUNK",
    "ROOM_KINDS",
    "Acknowledged",
    "Binding",
    "BindingChange",
    "BindingError",
    "BindingEvent",
    "BindingRefusal",
    "Call",
    "CallEnd",
    "CallError",
    "CallParts",
    "CallRecords",
    "CallState",
    "Caller",
    "Calls",
    "Command",
    "Contact",
    "DialRequest",
    "DialedCall",
    "Dialog",
    "Dispatch",
    "DispatchRule",
    "Ended",
    "Hold",
    "InfoSent",
    "Invitation",
    "Leg",
    "Marking",
    "Merge",
    "Mute",
    "Offered",
    "PhoneAccount",
    "PhoneAccounts",
    "PhoneBook",
    "PhoneError",
    "PhoneRefusal",
    "PhoneTables",
    "PickedUp",
    "PinGuard",
    "PinRules",
    "PressKeys",
    "Rang",
    "Reanswered",
    "Redirect",
    "Redirected",
    "Referred",
    "Registrar",
    "RegistrarRules",
    "Registration",
    "RuleTarget",
    "Signal",
    "Signalling",
    "TakenOver",
    "Target",
    "TargetKind",
    "Transfer",
    "Trunk",
    "TrunkDeed",
    "TrunkKeeper",
    "TrunkLife",
    "TrunkReply",
    "TrunkState",
    "Trunks",
    "end_of_status",
    "melody",
    "most_telling",
    "open_book",
    "sip_status",
]
