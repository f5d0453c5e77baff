"""Postgres: emptying a table asks no trigger of its rows, so there is one that is asked for the whole."""

from alembic import op

revision = "0014"
down_revision = "0013"

TABLES = ("facts", "fact_checkpoints", "fact_cuts", "gate_evidence", "gate_decisions")


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return  # SQLite has no such statement
    for table in TABLES:
        op.execute(
            f"create trigger {table}_no_truncate before truncate on {table} "
            "for each statement execute function doubleloop_refuse()"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            op.execute(f"drop trigger {table}_no_truncate on {table}")
