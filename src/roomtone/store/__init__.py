"""What must survive the process: SQL databases, and limits kept beside them.

Only the values are imported here; `roomtone.store.sql` and its neighbours load SQLAlchemy when they are imported.
"""

from roomtone.store.errors import StoreError, StoreFailure
from roomtone.store.records import (
    AccountRecord,
    ApiKeyRecord,
    AuditRecord,
    BackupCodeRecord,
    ChatRecord,
    DeadLetterRecord,
    RefreshTokenRecord,
    ResetTokenRecord,
    WaitingWebhookRecord,
)

__all__ = [
    "AccountRecord",
    "ApiKeyRecord",
    "AuditRecord",
    "BackupCodeRecord",
    "ChatRecord",
    "DeadLetterRecord",
    "RefreshTokenRecord",
    "ResetTokenRecord",
    "StoreError",
    "StoreFailure",
    "WaitingWebhookRecord",
]
