"""What must survive the process: SQL databases, and limits kept beside them.

Only the values are imported here; `roomtone.store.sql` and its neighbours load SQLAlchemy when they are imported.
"""

from roomtone.store.errors import StoreError, StoreFailure
from roomtone.store.records import (
    AccountRecord,
    ApiKeyRecord,
    AuditRecord,
    BackupCodeRecord,
    CallRecord,
    ChatRecord,
    DeadLetterRecord,
    DispatchRuleRecord,
    IngressRecord,
    RefreshTokenRecord,
    ResetTokenRecord,
    SipAccountRecord,
    SipBindingRecord,
    SipTrunkRecord,
    StreamKeyRecord,
    WaitingWebhookRecord,
)

__all__ = [
    "AccountRecord",
    "ApiKeyRecord",
    "AuditRecord",
    "BackupCodeRecord",
    "CallRecord",
    "ChatRecord",
    "DeadLetterRecord",
    "DispatchRuleRecord",
    "IngressRecord",
    "RefreshTokenRecord",
    "ResetTokenRecord",
    "SipAccountRecord",
    "SipBindingRecord",
    "SipTrunkRecord",
    "StoreError",
    "StoreFailure",
    "StreamKeyRecord",
    "WaitingWebhookRecord",
]
