"""The tables. A change here needs a migration in `migrations/versions`; a test holds one to the other."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql, sqlite

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Names and digests are compared byte by byte; MySQL's default collation would take "a" for "A" and "ä".
_EXACT = "utf8mb4_bin"
_MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": _EXACT, "mysql_engine": "InnoDB"}
_ROW_ID = BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_LONG_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_LONG_BYTES = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("username", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password_hash", String(128), nullable=False),
    Column("email", String(254), nullable=True, unique=True),
    Column("name", String(128), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("totp_sealed", Text, nullable=True),
    Column("totp_active", Boolean, nullable=False),
    Column("totp_last_step", BigInteger, nullable=False),
    Column("tokens_valid_after", Double, nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    **_MYSQL,
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("family", String(32), nullable=False, index=True),
    Column("account_id", String(32), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("used_at", Double, nullable=True),
    Column("revoked_at", Double, nullable=True, index=True),
    **_MYSQL,
)

reset_tokens = Table(
    "reset_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account_id", String(32), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("used_at", Double, nullable=True),
    **_MYSQL,
)

backup_codes = Table(
    "backup_codes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account_id", String(32), nullable=False, index=True),
    Column("used_at", Double, nullable=True),
    **_MYSQL,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("secret_sealed", Text, nullable=False),
    Column("label", String(128), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("revoked_at", Double, nullable=True),
    **_MYSQL,
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("account", String(64), nullable=False, index=True),
    Column("actor", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    **_MYSQL,
)

chat_messages = Table(
    "chat_messages",
    metadata,
    Column("seq", _ROW_ID, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False),
    Column("room", String(64), nullable=False),
    Column("sender", String(256), nullable=False),
    Column("sender_name", String(256), nullable=False),
    Column("text", _LONG_TEXT, nullable=False),
    Column("at", Double, nullable=False),
    Column("edited_at", Double, nullable=True),
    Column("deleted_at", Double, nullable=True),
    Column("deleted_by", String(256), nullable=True),
    Column("reply_to", String(64), nullable=True),
    Index("ix_chat_messages_room_seq", "room", "seq"),
    Index("ix_chat_messages_at", "at"),
    UniqueConstraint("room", "id", name="uq_chat_messages_room"),
    **_MYSQL,
)

webhook_dead_letters = Table(
    "webhook_dead_letters",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("url", Text, nullable=False),
    Column("event_id", String(64), nullable=False, index=True),
    Column("event", String(64), nullable=False),
    Column("body", _LONG_BYTES, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("given_up_at", Double, nullable=False, index=True),
    **_MYSQL,
)

webhooks_waiting = Table(
    "webhooks_waiting",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("owner", String(32), nullable=False, index=True),
    Column("lease_until", Double, nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("event", String(64), nullable=False),
    Column("room", String(64), nullable=False),
    Column("body", _LONG_BYTES, nullable=False),
    Column("created_at", Double, nullable=False),
    **_MYSQL,
)

stream_keys = Table(
    "stream_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("stream", String(64), nullable=False, index=True),
    Column("label", String(128), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", String(256), nullable=False),
    **_MYSQL,
)

ingresses = Table(
    "ingresses",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("profile", Text, nullable=False),
    Column("key_sealed", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    **_MYSQL,
)

sip_accounts = Table(
    "sip_accounts",
    metadata,
    Column("username", String(64), primary_key=True),
    Column("password_sealed", Text, nullable=False),
    Column("name", String(128), nullable=False),
    Column("media_security", String(16), nullable=False),
    Column("algorithm", String(16), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False, index=True),
    **_MYSQL,
)

sip_bindings = Table(
    "sip_bindings",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("account", String(64), nullable=False, index=True),
    Column("contact", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("transport", String(8), nullable=False),
    Column("remote_host", String(64), nullable=False),
    Column("remote_port", Integer, nullable=False),
    Column("local_host", String(64), nullable=False),
    Column("local_port", Integer, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("cseq", BigInteger, nullable=False),
    Column("user_agent", String(256), nullable=False),
    Column("q", Double, nullable=False),
    Column("registered_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("instance", String(256), nullable=False, server_default=""),
    Column("reg_id", Integer, nullable=False, server_default="0"),
    Column("mark", String(16), nullable=False, server_default=""),
    **_MYSQL,
)

sip_dispatch_rules = Table(
    "sip_dispatch_rules",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("numbers", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    **_MYSQL,
)

sip_trunks = Table(
    "sip_trunks",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("profile", Text, nullable=False),
    Column("password_sealed", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    **_MYSQL,
)

call_records = Table(
    "call_records",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("caller", String(256), nullable=False),
    Column("called", String(256), nullable=False),
    Column("caller_account", String(64), nullable=False, index=True),
    Column("callee_account", String(64), nullable=False, index=True),
    Column("begun_at", Double, nullable=False, index=True),
    Column("answered_at", Double, nullable=True),
    Column("ended_at", Double, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("codec", String(64), nullable=False),
    Column("quality", Text, nullable=True),
    **_MYSQL,
)
