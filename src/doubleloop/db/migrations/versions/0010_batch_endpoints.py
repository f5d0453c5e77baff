"""Batch endpoints, their deployments and invocations."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables


revision = '0010'
down_revision = '0009'


def upgrade() -> None:
    op.create_table('batch_deployments',
    sa.Column('workspace', sa.String(length=255), nullable=False),
    sa.Column('endpoint', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('id', sa.String(length=255), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('spec', sa.Text(), nullable=False),
    sa.Column('model_name', sa.String(length=255), nullable=False),
    sa.Column('model_version', sa.String(length=255), nullable=False),
    sa.Column('model_id', sa.String(length=512), nullable=False),
    sa.Column('model_reference', sa.String(length=600), nullable=False),
    sa.Column('no_code', sa.Boolean(), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.Column('created_at', tables.Moment(length=27), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'endpoint', 'name', name=op.f('pk_batch_deployments')),
    sa.UniqueConstraint('id', name=op.f('uq_batch_deployments_id'))
    )
    op.create_table('batch_endpoints',
    sa.Column('workspace', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('auth_mode', sa.String(length=20), nullable=False),
    sa.Column('default_deployment', sa.String(length=255), nullable=False),
    sa.Column('description', sa.Text(), nullable=False),
    sa.Column('tags', sa.Text(), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.Column('created_at', tables.Moment(length=27), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'name', name=op.f('pk_batch_endpoints'))
    )
    op.create_table('batch_invocations',
    sa.Column('seq', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('job', sa.String(length=255), nullable=False),
    sa.Column('workspace', sa.String(length=255), nullable=False),
    sa.Column('endpoint', sa.String(length=255), nullable=False),
    sa.Column('deployment', sa.String(length=255), nullable=False),
    sa.Column('deployment_id', sa.String(length=255), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.Column('created_at', tables.Moment(length=27), nullable=False),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_batch_invocations')),
    sa.UniqueConstraint('job', name=op.f('uq_batch_invocations_job'))
    )
    op.create_index('ix_batch_invocations_workspace_endpoint', 'batch_invocations', ['workspace', 'endpoint'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_batch_invocations_workspace_endpoint', table_name='batch_invocations')
    op.drop_table('batch_invocations')
    op.drop_table('batch_endpoints')
    op.drop_table('batch_deployments')
