"""Messages are claimed before they are sent."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("workspace", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("claimed_at", tables.Moment(length=27), nullable=False),
        sa.Column("ended_at", tables.Moment(length=27), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_claimed_at"), "deliveries", ["claimed_at"])


def downgrade() -> None:
    op.drop_table("deliveries")
