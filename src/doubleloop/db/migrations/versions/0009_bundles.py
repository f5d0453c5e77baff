"""Promotion bundles, the keys that bundles of other installations are trusted by, and the commits of a job's code."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "bundles",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("release", sa.String(length=255), nullable=False),
        sa.Column("workspace", sa.String(length=255), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("signature", sa.String(length=88), nullable=False),
        sa.Column("authors", sa.Text(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", tables.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_bundles")),
        sa.UniqueConstraint("digest", name=op.f("uq_bundles_digest")),
    )
    op.create_index(op.f("ix_bundles_content"), "bundles", ["content"], unique=False)
    op.create_index(op.f("ix_bundles_release"), "bundles", ["release"], unique=False)
    op.create_table(
        "trusted_keys",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("public", sa.String(length=44), nullable=False),
        sa.Column("added_by", sa.String(length=255), nullable=False),
        sa.Column("added_at", tables.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trusted_keys")),
    )
    op.add_column("jobs", sa.Column("commits", sa.Text(), nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("commits")
    op.drop_table("trusted_keys")
    op.drop_index(op.f("ix_bundles_release"), table_name="bundles")
    op.drop_index(op.f("ix_bundles_content"), table_name="bundles")
    op.drop_table("bundles")
