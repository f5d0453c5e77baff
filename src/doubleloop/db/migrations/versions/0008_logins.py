"""Processes that people make; what tokens are limited to, and when they were used."""

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
    with op.batch_alter_table("tokens") as batch:
        batch.add_column(sa.Column("kind", sa.String(length=20), nullable=False, server_default="token"))
        batch.add_column(sa.Column("actions", sa.Text()))
        batch.add_column(sa.Column("resource", sa.String(length=512)))
        batch.add_column(sa.Column("created_by", sa.String(length=255), nullable=False, server_default=""))
        batch.add_column(sa.Column("last_used_at", tables.Moment(length=27)))
    op.execute("update tokens set kind = 'session' where name = 'session'")
    op.execute("update tokens set kind = 'job' where name like 'job:%'")


def downgrade() -> None:
    with op.batch_alter_table("tokens") as batch:
        for name in ("last_used_at", "created_by", "resource", "actions", "kind"):
            batch.drop_column(name)
    op.drop_table("principals")
