"""Alerts have a life: acknowledged, silenced, resolved, reopened."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_COLUMNS = (
    sa.Column("signal_type", sa.String(80), nullable=False, server_default=""),
    sa.Column("kind", sa.String(20), nullable=False, server_default="model"),
    sa.Column("severity", sa.String(20), nullable=False, server_default="warning"),
    sa.Column("state", sa.String(20), nullable=False, server_default="open"),
    sa.Column("silenced_until", sa.String(27), nullable=True),
    sa.Column("cleared_at", sa.String(27), nullable=True),
    sa.Column("last_value", sa.Float(), nullable=True),
    sa.Column("last_seen_at", sa.String(27), nullable=True),
    sa.Column("changed_by", sa.String(255), nullable=False, server_default=""),
    sa.Column("changed_at", sa.String(27), nullable=True),
    sa.Column("comment", sa.Text(), nullable=False, server_default=""),
)


def upgrade() -> None:
    for column in _COLUMNS:
        op.add_column("alerts", column)
    with op.batch_alter_table("alerts") as batch:
        for column in _COLUMNS:
            if column.server_default is not None:
                batch.alter_column(column.name, server_default=None)
    op.execute("update alerts set state = 'resolved', cleared_at = resolved_at where resolved_at is not null")


def downgrade() -> None:
    with op.batch_alter_table("alerts") as batch:
        for column in _COLUMNS:
            batch.drop_column(column.name)
