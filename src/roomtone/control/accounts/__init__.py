"""Accounts of people and keys of servers."""

from roomtone.control.accounts.accounts import Accounts
from roomtone.control.accounts.errors import AccountError, AccountRefusal
from roomtone.control.accounts.gate import WithdrawnTokens
from roomtone.control.accounts.keys import ApiKeys, KeyRing, NewKey
from roomtone.control.accounts.log_ins import LogIn
from roomtone.control.accounts.parts import COMMAND_LINE, SERVER, AccountParts, AccountRules, Tables
from roomtone.control.accounts.passwords import PasswordHasher
from roomtone.control.accounts.ports import Mail, Mailer
from roomtone.control.accounts.recovery import ResetLink
from roomtone.control.accounts.second_factor import TotpSetup

__all__ = [
    "COMMAND_LINE",
    "SERVER",
    "AccountError",
    "AccountParts",
    "AccountRefusal",
    "AccountRules",
    "Accounts",
    "ApiKeys",
    "KeyRing",
    "LogIn",
    "Mail",
    "Mailer",
    "NewKey",
    "PasswordHasher",
    "ResetLink",
    "Tables",
    "TotpSetup",
    "WithdrawnTokens",
]
