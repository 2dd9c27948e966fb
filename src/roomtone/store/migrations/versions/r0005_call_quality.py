"""How good the sound of each leg of a call was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade(op: Operations) -> None:
    """Add the column; calls that were before have none."""
    op.add_column("call_records", sa.Column("quality", sa.Text(), nullable=True))


def downgrade(op: Operations) -> None:
    """Drop it."""
    op.drop_column("call_records", "quality")
