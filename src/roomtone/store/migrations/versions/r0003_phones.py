"""Accounts of phones, where they can be reached, where calls go, and which there were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade(op: Operations) -> None:
    """Make the tables."""
    op.create_table(
        "sip_accounts",
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("password_sealed", sa.Text(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("media_security", sa.String(length=16), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("username", name=op.f("pk_sip_accounts")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_sip_accounts_updated_at"), "sip_accounts", ["updated_at"], unique=False)
    op.create_table(
        "sip_bindings",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("transport", sa.String(length=8), nullable=False),
        sa.Column("remote_host", sa.String(length=64), nullable=False),
        sa.Column("remote_port", sa.Integer(), nullable=False),
        sa.Column("local_host", sa.String(length=64), nullable=False),
        sa.Column("local_port", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("cseq", sa.BigInteger(), nullable=False),
        sa.Column("user_agent", sa.String(length=256), nullable=False),
        sa.Column("q", sa.Double(), nullable=False),
        sa.Column("registered_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sip_bindings")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_sip_bindings_account"), "sip_bindings", ["account"], unique=False)
    op.create_index(op.f("ix_sip_bindings_expires_at"), "sip_bindings", ["expires_at"], unique=False)
    op.create_table(
        "sip_dispatch_rules",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sip_dispatch_rules")),
        **_MYSQL,
    )
    _make_records(op)


def _make_records(op: Operations) -> None:
    op.create_table(
        "call_records",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("caller", sa.String(length=256), nullable=False),
        sa.Column("called", sa.String(length=256), nullable=False),
        sa.Column("caller_account", sa.String(length=64), nullable=False),
        sa.Column("callee_account", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.Double(), nullable=False),
        sa.Column("answered_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("codec", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_records")),
        **_MYSQL,
    )
    for column in ("caller_account", "callee_account", "begun_at"):
        op.create_index(op.f(f"ix_call_records_{column}"), "call_records", [column], unique=False)


def downgrade(op: Operations) -> None:
    """Drop them."""
    for table in ("call_records", "sip_dispatch_rules", "sip_bindings", "sip_accounts"):
        op.drop_table(table)
