"""What setup files made, and what they declare beside workspaces."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "declarations",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("created_at", tables.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_declarations")),
    )
    op.create_table(
        "setup_items",
        sa.Column("setup", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=600), nullable=False),
        sa.Column("made", sa.Boolean(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("applied_at", tables.Moment(length=27), nullable=False),
        sa.Column("applied_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("setup", "kind", "name", name=op.f("pk_setup_items")),
    )


def downgrade() -> None:
    op.drop_table("setup_items")
    op.drop_table("declarations")
