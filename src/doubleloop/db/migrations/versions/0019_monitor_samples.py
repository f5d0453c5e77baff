"""What counters said at the newest run of each monitor."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "monitor_samples",
        sa.Column("workspace", sa.String(length=255), nullable=False),
        sa.Column("monitor", sa.String(length=255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "monitor", name=op.f("pk_monitor_samples")),
    )


def downgrade() -> None:
    op.drop_table("monitor_samples")
