"""Deployments keep when they ended; budgets are told of once."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = '0024'
down_revision = '0023'


def upgrade() -> None:
    op.create_table('budget_alerts',
    sa.Column('budget', sa.String(length=255), nullable=False),
    sa.Column('period_start', tables.Moment(length=27), nullable=False),
    sa.Column('basis', sa.String(length=20), nullable=False),
    sa.Column('threshold', sa.Integer(), nullable=False),
    sa.Column('amount', sa.String(length=80), nullable=False),
    sa.Column('at', tables.Moment(length=27), nullable=False),
    sa.PrimaryKeyConstraint('budget', 'period_start', 'basis', 'threshold', 'amount', name=op.f('pk_budget_alerts'))
    )
    op.add_column('deployments', sa.Column('ended_at', tables.Moment(length=27), nullable=True))
    # What ended before is in the record, as far as that is not archived.
    op.execute(
        "update deployments set ended_at = (select min(facts.at) from facts where facts.subject = "
        "'deployment:' || deployments.id and facts.type in "
        "('deployment.failed', 'deployment.replaced', 'deployment.deleted')) "
        "where status in ('failed', 'replaced', 'deleted')"
    )


def downgrade() -> None:
    op.drop_column('deployments', 'ended_at')
    op.drop_table('budget_alerts')
