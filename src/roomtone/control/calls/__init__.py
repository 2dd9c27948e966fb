"""Phones: accounts, where they can be reached, where numbers lead, and calls between them."""

from roomtone.control.calls.accounts import PhoneAccount, PhoneAccounts
from roomtone.control.calls.dispatch import Dispatch, DispatchRule, RuleTarget, TargetKind
from roomtone.control.calls.errors import BindingError, BindingRefusal, CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.reasons import CallEnd, end_of_status, sip_status
from roomtone.control.calls.records import CallRecords
from roomtone.control.calls.registrar import Binding, Contact, Registrar, RegistrarRules, Registration

__all__ = [
    "Binding",
    "BindingError",
    "BindingRefusal",
    "CallEnd",
    "CallError",
    "CallRecords",
    "Contact",
    "Dispatch",
    "DispatchRule",
    "PhoneAccount",
    "PhoneAccounts",
    "PhoneError",
    "PhoneRefusal",
    "Registrar",
    "RegistrarRules",
    "Registration",
    "RuleTarget",
    "TargetKind",
    "end_of_status",
    "sip_status",
]
