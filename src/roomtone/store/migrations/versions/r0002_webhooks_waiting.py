"""Webhooks that are still to arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}
_ROW_ID = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
_LONG_BYTES = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def upgrade(op: Operations) -> None:
    """Make the table."""
    op.create_table(
        "webhooks_waiting",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("room", sa.String(length=64), nullable=False),
        sa.Column("body", _LONG_BYTES, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks_waiting")),
        **_MYSQL,
    )
    op.create_index(op.f("ix_webhooks_waiting_owner"), "webhooks_waiting", ["owner"], unique=False)
    op.create_index(op.f("ix_webhooks_waiting_lease_until"), "webhooks_waiting", ["lease_until"], unique=False)


def downgrade(op: Operations) -> None:
    """Drop it."""
    op.drop_table("webhooks_waiting")
