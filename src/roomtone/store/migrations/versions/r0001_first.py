"""Accounts, keys, audit, chat, webhooks that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A migration is frozen: it repeats the tables as they were, and imports nothing that may change.
_MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}
_ROW_ID = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_LONG_BYTES = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
_TABLES = (
    "accounts",
    "api_keys",
    "audit_events",
    "backup_codes",
    "chat_messages",
    "refresh_tokens",
    "reset_tokens",
    "webhook_dead_letters",
)


def upgrade(op: Operations) -> None:
    """Make all tables."""
    _accounts(op)
    _api_keys(op)
    _audit_events(op)
    _backup_codes(op)
    _chat_messages(op)
    _refresh_tokens(op)
    _reset_tokens(op)
    _webhook_dead_letters(op)


def downgrade(op: Operations) -> None:
    """Drop all tables."""
    for name in reversed(_TABLES):
        op.drop_table(name)


def _accounts(op: Operations) -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password_hash", sa.String(length=128), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("totp_sealed", sa.Text(), nullable=True),
        sa.Column("totp_active", sa.Boolean(), nullable=False),
        sa.Column("totp_last_step", sa.BigInteger(), nullable=False),
        sa.Column("tokens_valid_after", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_accounts_email")),
        sa.UniqueConstraint("username", name=op.f("uq_accounts_username")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_accounts_tokens_valid_after"), "accounts", ["tokens_valid_after"], unique=False)


def _api_keys(op: Operations) -> None:
    op.create_table(
        "api_keys",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("secret_sealed", sa.Text(), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_api_keys")),
        **_MYSQL,
    )


def _audit_events(op: Operations) -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_audit_events_account"), "audit_events", ["account"], unique=False)
    op.create_index(op.f("ix_audit_events_at"), "audit_events", ["at"], unique=False)


def _backup_codes(op: Operations) -> None:
    op.create_table(
        "backup_codes",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_backup_codes")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_backup_codes_account_id"), "backup_codes", ["account_id"], unique=False)


def _chat_messages(op: Operations) -> None:
    op.create_table(
        "chat_messages",
        sa.Column("seq", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("room", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.String(length=256), nullable=False),
        sa.Column("sender_name", sa.String(length=256), nullable=False),
        sa.Column("text", _LONG_TEXT, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("edited_at", sa.Double(), nullable=True),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.Column("deleted_by", sa.String(length=256), nullable=True),
        sa.Column("reply_to", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_chat_messages"),
        sa.UniqueConstraint("room", "id", name="uq_chat_messages_room"),
        **_MYSQL,
    )
    op.create_index("ix_chat_messages_at", "chat_messages", ["at"], unique=False)
    op.create_index("ix_chat_messages_room_seq", "chat_messages", ["room", "seq"], unique=False)


def _refresh_tokens(op: Operations) -> None:
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_refresh_tokens")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_refresh_tokens_account_id"), "refresh_tokens", ["account_id"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_expires_at"), "refresh_tokens", ["expires_at"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_family"), "refresh_tokens", ["family"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_revoked_at"), "refresh_tokens", ["revoked_at"], unique=False)


def _reset_tokens(op: Operations) -> None:
    op.create_table(
        "reset_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_reset_tokens")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_reset_tokens_account_id"), "reset_tokens", ["account_id"], unique=False)
    op.create_index(op.f("ix_reset_tokens_expires_at"), "reset_tokens", ["expires_at"], unique=False)


def _webhook_dead_letters(op: Operations) -> None:
    op.create_table(
        "webhook_dead_letters",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("body", _LONG_BYTES, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("given_up_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_dead_letters")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_webhook_dead_letters_event_id"), "webhook_dead_letters", ["event_id"], unique=False)
    op.create_index(op.f("ix_webhook_dead_letters_given_up_at"), "webhook_dead_letters", ["given_up_at"], unique=False)
