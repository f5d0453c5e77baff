"""Labelling projects, their items, who holds which, and what was said."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = '0022'
down_revision = '0021'


def upgrade() -> None:
    op.create_table('labeling_answers',
    sa.Column('seq', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('workspace', sa.String(length=255), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('item', sa.Integer(), nullable=False),
    sa.Column('user', sa.String(length=255), nullable=False),
    sa.Column('said', sa.String(length=20), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.Column('at', tables.Moment(length=27), nullable=False),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_labeling_answers'))
    )
    op.create_index('ix_labeling_answers_workspace_project_item', 'labeling_answers', ['workspace', 'project', 'item'], unique=False)
    op.create_table('labeling_assignments',
    sa.Column('workspace', sa.String(length=255), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('item', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('user', sa.String(length=255), nullable=False),
    sa.Column('until', tables.Moment(length=27), nullable=False),
    sa.Column('done', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'project', 'item', 'user', name=op.f('pk_labeling_assignments'))
    )
    op.create_table('labeling_items',
    sa.Column('workspace', sa.String(length=255), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('content', sa.Text(), nullable=False),
    sa.Column('row', sa.Integer(), nullable=False),
    sa.Column('path', sa.Text(), nullable=False),
    sa.Column('prelabel', sa.Text(), nullable=False),
    sa.Column('gold', sa.Text(), nullable=False),
    sa.Column('is_gold', sa.Boolean(), nullable=False),
    sa.Column('score', sa.Float(), nullable=True),
    sa.Column('state', sa.String(length=20), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'project', 'number', name=op.f('pk_labeling_items'))
    )
    op.create_index('ix_labeling_items_workspace_project_state_number', 'labeling_items', ['workspace', 'project', 'state', 'number'], unique=False)
    op.create_table('labeling_projects',
    sa.Column('workspace', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('document', sa.Text(), nullable=False),
    sa.Column('status', sa.String(length=20), nullable=False),
    sa.Column('source', sa.String(length=600), nullable=False),
    sa.Column('output', sa.String(length=255), nullable=False),
    sa.Column('items', sa.Integer(), nullable=False),
    sa.Column('exported', sa.String(length=600), nullable=False),
    sa.Column('opened_by', sa.Text(), nullable=False),
    sa.Column('created_by', sa.String(length=255), nullable=False),
    sa.Column('created_at', tables.Moment(length=27), nullable=False),
    sa.Column('closed_at', tables.Moment(length=27), nullable=True),
    sa.PrimaryKeyConstraint('workspace', 'name', name=op.f('pk_labeling_projects'))
    )


def downgrade() -> None:
    op.drop_table('labeling_projects')
    op.drop_index('ix_labeling_items_workspace_project_state_number', table_name='labeling_items')
    op.drop_table('labeling_items')
    op.drop_table('labeling_assignments')
    op.drop_index('ix_labeling_answers_workspace_project_item', table_name='labeling_answers')
    op.drop_table('labeling_answers')
