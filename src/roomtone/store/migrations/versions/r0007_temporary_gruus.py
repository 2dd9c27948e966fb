"""What temporary GRUUs of a device are known by (RFC 5627)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Add the column; phones that are registered have no names until they register again."""
    op.add_column("sip_bindings", sa.Column("mark", sa.String(length=16), nullable=False, server_default=""))


def downgrade(op: Operations) -> None:
    """Drop it."""
    op.drop_column("sip_bindings", "mark")
