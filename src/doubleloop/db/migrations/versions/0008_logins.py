"""Processes that people make; what tokens are limited to, and when they were used; logins by a provider."""

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
    op.create_table(
        "identity_links",
        sa.Column("issuer", sa.String(length=512), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("created_at", tables.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_identity_links")),
    )
    op.create_index(op.f("ix_identity_links_user"), "identity_links", ["user"])
    op.create_table(
        "identity_logins",
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("expires_at", tables.Moment(length=27), nullable=False),
        sa.Column("nonce", sa.String(length=64)),
        sa.Column("verifier", sa.String(length=128)),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("next", sa.Text(), nullable=False),
        sa.Column("browser", sa.String(length=64)),
        sa.Column("device_code", sa.Text()),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("asked_at", tables.Moment(length=27)),
        sa.PrimaryKeyConstraint("state", name=op.f("pk_identity_logins")),
    )
    op.create_index(op.f("ix_identity_logins_expires_at"), "identity_logins", ["expires_at"])
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
    op.drop_table("identity_logins")
    op.drop_table("identity_links")
    op.drop_table("principals")
