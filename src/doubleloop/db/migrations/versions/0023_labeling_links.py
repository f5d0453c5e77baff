"""Labelling projects that are worked on in a tool elsewhere."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = '0023'
down_revision = '0022'


def upgrade() -> None:
    op.create_table('labeling_links',
    sa.Column('workspace', sa.String(length=255), nullable=False),
    sa.Column('project', sa.String(length=255), nullable=False),
    sa.Column('remote', sa.Integer(), nullable=True),
    sa.Column('next_at', tables.Moment(length=27), nullable=True),
    sa.Column('last_at', tables.Moment(length=27), nullable=True),
    sa.Column('problem', sa.Text(), nullable=False),
    sa.Column('refused', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'project', name=op.f('pk_labeling_links'))
    )
    op.create_index('ix_labeling_links_next_at', 'labeling_links', ['next_at'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_labeling_links_next_at', table_name='labeling_links')
    op.drop_table('labeling_links')
