"""Versions of secrets."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "secret_versions",
        sa.Column("workspace", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=127), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("safe", sa.String(length=20), nullable=False),
        sa.Column("kept", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", tables.Moment(length=27), nullable=False),
        sa.Column("destroyed_at", tables.Moment(length=27), nullable=True),
        sa.PrimaryKeyConstraint("workspace", "name", "number", name=op.f("pk_secret_versions")),
    )


def downgrade() -> None:
    op.drop_table("secret_versions")
