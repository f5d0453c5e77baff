"""Facts, evidence and decisions can be added, never changed or removed: the database itself refuses."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = ("facts", "gate_evidence", "gate_decisions")


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        op.execute(
            "create function doubleloop_refuse() returns trigger language plpgsql as "
            "$$ begin raise exception '% is append-only', tg_table_name; end $$"
        )
    for table in TABLES:
        for verb in ("update", "delete"):
            if dialect == "sqlite":
                op.execute(
                    f"create trigger {table}_no_{verb} before {verb} on {table} "
                    f"begin select raise(abort, '{table} is append-only'); end"
                )
            else:
                op.execute(
                    f"create trigger {table}_no_{verb} before {verb} on {table} "
                    "for each row execute function doubleloop_refuse()"
                )


def downgrade() -> None:
    for table in TABLES:
        for verb in ("update", "delete"):
            suffix = f" on {table}" if op.get_bind().dialect.name == "postgresql" else ""
            op.execute(f"drop trigger {table}_no_{verb}{suffix}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("drop function doubleloop_refuse()")
