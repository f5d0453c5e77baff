"""Processes that people make."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = "0008"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "principals",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("workspace", sa.String(length=255)),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", tables.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_principals")),
    )


def downgrade() -> None:
    op.drop_table("principals")
