"""Rules that a scenario brought."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("rules", sa.Column("is_default", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("rules") as batch:
        batch.alter_column("is_default", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("rules") as batch:
        batch.drop_column("is_default")
