"""The notification target by which a group hears of rights that wait for its members' approval."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("groups", sa.Column("notify", sa.String(length=255), nullable=True))


def downgrade() -> None:
    op.drop_column("groups", "notify")
