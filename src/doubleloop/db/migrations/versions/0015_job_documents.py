"""What was submitted as a job is kept, to be started again by name; jobs are archived; addresses are fetched once."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "job_documents",
        sa.Column("job", sa.String(length=255), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_job_documents")),
    )
    op.create_table(
        "fetched_addresses",
        sa.Column("workspace", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("modified", sa.Text(), nullable=False),
        sa.Column("fetched_at", tables.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "key", name=op.f("pk_fetched_addresses")),
    )
    op.add_column("jobs", sa.Column("archived", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("jobs", "archived")
    op.drop_table("fetched_addresses")
    op.drop_table("job_documents")
