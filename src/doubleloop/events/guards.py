"""Triggers by which the database itself refuses to change or remove what is on record.

Migrations make them; a database that was restored from a dump, or meddled with, may have lost some, and the next start
makes those again.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from doubleloop.db.context import Ctx

TABLES = ("facts", "fact_checkpoints", "fact_cuts", "gate_evidence", "gate_decisions")
# What is unique in a table: SQLite's replacing insert removes the rows that are equal in any of these.
_KEYS = {
    "facts": ["seq = new.seq"],
    "fact_checkpoints": ["seq = new.seq"],
    "fact_cuts": ["seq = new.seq"],
    "gate_evidence": ["seq = new.seq", "id = new.id", 'subject = new.subject and "check" = new."check"'],
    "gate_decisions": ["seq = new.seq", "approval = new.approval and actor = new.actor"],
}
# Facts that were archived, and only they, may go.
_ARCHIVED = "not exists (select 1 from fact_cuts where fact_cuts.seq >= old.seq)"


def statements(dialect: str) -> Iterator[tuple[str, str, str]]:
    """Name, table and text of each trigger."""
    for table in TABLES:
        for verb in ("update", "delete"):
            when = f" when {_ARCHIVED}" if (table, verb) == ("facts", "delete") else ""
            name = f"{table}_no_{verb}"
            if dialect == "sqlite":
                body = f"begin select raise(abort, '{table} is append-only'); end"
                yield name, table, f"create trigger {name} before {verb} on {table}{when} {body}"
                continue
            # A trigger's condition cannot ask another table in Postgres: the function does.
            function = "doubleloop_refuse_unarchived" if when else "doubleloop_refuse"
            each = f"for each row execute function {function}()"
            yield name, table, f"create trigger {name} before {verb} on {table} {each}"
        if dialect == "sqlite":
            there = " or ".join(f"exists (select 1 from {table} where {key})" for key in _KEYS[table])
            body = f"begin select raise(abort, '{table} is append-only'); end"
            yield (
                f"{table}_no_replace",
                table,
                (f"create trigger {table}_no_replace before insert on {table} when {there} {body}"),
            )


def _missing(ctx: Ctx) -> list[tuple[str, str, str]]:
    """Those that are not there, or say something else than they should."""
    dialect = ctx.tx.dialect.name
    if dialect == "sqlite":
        query = "select name, sql from sqlite_master where type = 'trigger'"
        found = {row.name: " ".join(row.sql.lower().split()) for row in ctx.tx.execute(sa.text(query))}
        return [each for each in statements(dialect) if found.get(each[0]) != " ".join(each[2].lower().split())]
    query = "select tgname from pg_trigger where tgenabled <> 'D' and not tgisinternal"
    names = set(ctx.tx.execute(sa.text(query)).scalars())
    return [each for each in statements(dialect) if each[0] not in names]


def complete(ctx: Ctx) -> bool:
    return not _missing(ctx)


def restore(ctx: Ctx) -> list[str]:
    """Make the missing ones again; returns their names."""
    made = []
    for name, table, text in _missing(ctx):
        place = f" on {table}" if ctx.tx.dialect.name == "postgresql" else ""
        ctx.tx.execute(sa.text(f"drop trigger if exists {name}{place}"))
        ctx.tx.execute(sa.text(text))
        made.append(name)
    return made
