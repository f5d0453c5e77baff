"""SQLite's `insert or replace` removes a row without asking the delete trigger: it is refused by one of its own."""

from alembic import op

revision = "0003"
down_revision = "0002"

# Table and everything that is unique in it: a replacing insert removes the rows that are equal in any of these.
TABLES = {
    "facts": ["seq = new.seq"],
    "gate_evidence": ["seq = new.seq", "id = new.id", 'subject = new.subject and "check" = new."check"'],
    "gate_decisions": ["seq = new.seq", "approval = new.approval and actor = new.actor"],
}


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return  # elsewhere a replacing insert is an update, which is refused already
    for table, keys in TABLES.items():
        there = " or ".join(f"exists (select 1 from {table} where {key})" for key in keys)
        op.execute(
            f"create trigger {table}_no_replace before insert on {table} when {there} "
            f"begin select raise(abort, '{table} is append-only'); end"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in TABLES:
            op.execute(f"drop trigger {table}_no_replace")
