"""Which device a binding is of, and which of its flows (RFC 5626)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Add the columns; phones that are registered have neither until they register again."""
    op.add_column("sip_bindings", sa.Column("instance", sa.String(length=256), nullable=False, server_default=""))
    op.add_column("sip_bindings", sa.Column("reg_id", sa.Integer(), nullable=False, server_default="0"))


def downgrade(op: Operations) -> None:
    """Drop them."""
    op.drop_column("sip_bindings", "reg_id")
    op.drop_column("sip_bindings", "instance")
