"""Steps that are made of steps: what a group has seen of its steps, and why one of them is to stop."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("job_steps", sa.Column("stop", sa.Text(), server_default="", nullable=False))
    op.add_column("job_steps", sa.Column("progress", sa.Text(), server_default="{}", nullable=False))


def downgrade() -> None:
    op.drop_column("job_steps", "progress")
    op.drop_column("job_steps", "stop")
