"""Contracts of data assets, and how versions kept them."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "data_contracts",
        sa.Column("workspace", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("on_break", sa.String(length=20), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", tables.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name", name=op.f("pk_data_contracts")),
    )
    op.create_table(
        "data_contract_checks",
        sa.Column("workspace", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("contract", sa.String(length=64), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("violations", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("at", tables.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name", "version", "contract", name=op.f("pk_data_contract_checks")),
    )


def downgrade() -> None:
    op.drop_table("data_contract_checks")
    op.drop_table("data_contracts")
