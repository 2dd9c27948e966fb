"""Event packages of SIP: what NOTIFY and PUBLISH carry, as values and as bodies."""

from roomtone.protocols.sip.packages.body import BodyError, EventPackage
from roomtone.protocols.sip.packages.dialogs import DialogEntry, DialogInfo
from roomtone.protocols.sip.packages.presence import Presence, PresenceTuple
from roomtone.protocols.sip.packages.progress import Progress
from roomtone.protocols.sip.packages.registrations import RegisteredContact, Registration, RegistrationInfo
from roomtone.protocols.sip.packages.summary import MessageCounts, MessageSummary

__all__ = [
    "BodyError",
    "DialogEntry",
    "DialogInfo",
    "EventPackage",
    "MessageCounts",
    "MessageSummary",
    "Presence",
    "PresenceTuple",
    "Progress",
    "RegisteredContact",
    "Registration",
    "RegistrationInfo",
]
