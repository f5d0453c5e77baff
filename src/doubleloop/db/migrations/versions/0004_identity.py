"""Assignments, activations, policies, and groups whose rights are just in time."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "activations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("of", sa.String(length=300), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("asked_at", tables.Moment(length=27), nullable=False),
        sa.Column("decided_by", sa.String(length=255), nullable=True),
        sa.Column("ends_at", tables.Moment(length=27), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activations")),
    )
    op.create_index(op.f("ix_activations_status"), "activations", ["status"], unique=False)
    op.create_index(op.f("ix_activations_user"), "activations", ["user"], unique=False)
    op.create_table(
        "assignments",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("principal", sa.String(length=300), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=True),
        sa.Column("workspace", sa.String(length=255), nullable=True),
        sa.Column("resource", sa.String(length=512), nullable=True),
        sa.Column("until", tables.Moment(length=27), nullable=True),
        sa.Column("eligible", sa.Boolean(), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", tables.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
    )
    op.create_index(op.f("ix_assignments_principal"), "assignments", ["principal"], unique=False)
    op.create_table(
        "policies",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_policies")),
    )
    op.add_column("groups", sa.Column("just_in_time", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("groups", sa.Column("needs_approval", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("groups", "needs_approval")
    op.drop_column("groups", "just_in_time")
    op.drop_table("policies")
    op.drop_index(op.f("ix_assignments_principal"), table_name="assignments")
    op.drop_table("assignments")
    op.drop_index(op.f("ix_activations_user"), table_name="activations")
    op.drop_index(op.f("ix_activations_status"), table_name="activations")
    op.drop_table("activations")
