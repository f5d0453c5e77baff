"""What permitted a fact and where it came from; signed checkpoints; facts may leave the table once they are archived."""

import sqlalchemy as sa
from alembic import op

from doubleloop.db import tables

revision = "0011"
down_revision = "0010"

NEW = ("fact_checkpoints", "fact_cuts")
REFUSE_UNARCHIVED = (
    "create function doubleloop_refuse_unarchived() returns trigger language plpgsql as $$ begin "
    "if exists (select 1 from fact_cuts where fact_cuts.seq >= old.seq) then return old; end if; "
    "raise exception '% is append-only', tg_table_name; end $$"
)


def upgrade() -> None:
    op.add_column("facts", sa.Column("context", sa.Text(), nullable=True))
    op.create_index("ix_assets_digest", "assets", ["digest"], unique=False)
    op.create_index("ix_facts_actor_seq", "facts", ["actor", "seq"], unique=False)
    op.create_index("ix_facts_workspace_seq", "facts", ["workspace", "seq"], unique=False)
    op.create_table(
        "fact_checkpoints",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("at", tables.Moment(length=27), nullable=False),
        sa.Column("public", sa.String(length=44), nullable=False),
        sa.Column("signature", sa.String(length=88), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_fact_checkpoints")),
    )
    op.create_table(
        "fact_cuts",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("at", tables.Moment(length=27), nullable=False),
        sa.Column("file", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("signature", sa.String(length=88), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_fact_cuts")),
    )
    _guard(op.get_bind().dialect.name)


def _guard(dialect: str) -> None:
    sqlite = dialect == "sqlite"
    for table in NEW:
        for verb in ("update", "delete"):
            body = (
                f"begin select raise(abort, '{table} is append-only'); end"
                if sqlite
                else "for each row execute function doubleloop_refuse()"
            )
            op.execute(f"create trigger {table}_no_{verb} before {verb} on {table} {body}")
        if sqlite:
            op.execute(
                f"create trigger {table}_no_replace before insert on {table} when exists (select 1 from {table} "
                f"where seq = new.seq) begin select raise(abort, '{table} is append-only'); end"
            )
    op.execute("drop trigger facts_no_delete" + ("" if sqlite else " on facts"))
    if sqlite:
        op.execute(
            "create trigger facts_no_delete before delete on facts when not exists (select 1 from fact_cuts where "
            "fact_cuts.seq >= old.seq) begin select raise(abort, 'facts is append-only'); end"
        )
    else:
        op.execute(REFUSE_UNARCHIVED)
        op.execute(
            "create trigger facts_no_delete before delete on facts for each row "
            "execute function doubleloop_refuse_unarchived()"
        )


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute("drop trigger facts_no_delete" + ("" if sqlite else " on facts"))
    body = (
        "begin select raise(abort, 'facts is append-only'); end"
        if sqlite
        else "for each row execute function doubleloop_refuse()"
    )
    op.execute(f"create trigger facts_no_delete before delete on facts {body}")
    if not sqlite:
        op.execute("drop function doubleloop_refuse_unarchived()")
    for table in NEW:
        op.drop_table(table)
    op.drop_index("ix_assets_digest", "assets")
    op.drop_index("ix_facts_workspace_seq", "facts")
    op.drop_index("ix_facts_actor_seq", "facts")
    op.drop_column("facts", "context")
