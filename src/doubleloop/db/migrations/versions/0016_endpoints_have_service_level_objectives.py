"""Endpoints have service level objectives."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("endpoints", sa.Column("slo", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("endpoints", "slo")
