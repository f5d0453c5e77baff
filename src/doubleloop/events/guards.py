"""Triggers by which the database itself refuses to change or remove what is on record.

Migrations make them; a database that was restored from a dump, or meddled with, may have lost some, and the next start
makes those again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


# Postgres: what a trigger does stands in a function, which could be changed behind it.
_FUNCTIONS = {
    "doubleloop_refuse": "begin raise exception '% is append-only', tg_table_name; end",
    "doubleloop_refuse_unarchived": (
        "begin if exists (select 1 from fact_cuts where fact_cuts.seq >= old.seq) then return old; end if; "
        "raise exception '% is append-only', tg_table_name; end"
    ),
}


@dataclass(frozen=True)
class Guard:
    """``made``: the statement that makes it; ``said``: how the database tells of one that is as it should be."""

    name: str
    table: str
    made: str
    said: str


def wanted(dialect: str) -> list[Guard]:
    """Every trigger, and on Postgres first the functions that they call (which belong to no table)."""
    if dialect == "sqlite":
        return [Guard(name, table, text, text) for table in TABLES for name, table, text in _sqlite(table)]
    functions = [
        Guard(name, "", f"create or replace function {name}() returns trigger language plpgsql as $$ {body} $$", body)
        for name, body in _FUNCTIONS.items()
    ]
    return functions + [each for table in TABLES for each in _postgres(table)]


def _sqlite(table: str) -> Iterator[tuple[str, str, str]]:
    body = f"begin select raise(abort, '{table} is append-only'); end"
    for verb in ("update", "delete"):
        when = f" when {_ARCHIVED}" if (table, verb) == ("facts", "delete") else ""
        name = f"{table}_no_{verb}"
        yield name, table, f"create trigger {name} before {verb} on {table}{when} {body}"
    there = " or ".join(f"exists (select 1 from {table} where {key})" for key in _KEYS[table])
    yield (
        f"{table}_no_replace",
        table,
        f"create trigger {table}_no_replace before insert on {table} when {there} {body}",
    )


def _postgres(table: str) -> Iterator[Guard]:
    for verb, each in (("update", "row"), ("delete", "row"), ("truncate", "statement")):
        # A trigger's condition cannot ask another table in Postgres: the function does.
        kept = (table, verb) == ("facts", "delete")
        function = "doubleloop_refuse_unarchived" if kept else "doubleloop_refuse"
        name = f"{table}_no_{verb}"
        begun, ended = f"create trigger {name} before {verb} on ", f" for each {each} execute function {function}()"
        yield Guard(name, table, f"{begun}{table}{ended}", f"{begun}{{schema}}.{table}{ended}")


def _missing(ctx: Ctx) -> list[Guard]:
    """Those that are not there, or say something else than they should."""
    dialect = ctx.tx.dialect.name
    if dialect == "sqlite":
        found = _told(ctx, "select name, sql from sqlite_master where type = 'trigger'")
        return [each for each in wanted(dialect) if found.get(each.name) != _plain(each.said)]
    schema = str(ctx.tx.execute(sa.text("select current_schema()")).scalar())
    found = _told(
        ctx, "select proname, prosrc from pg_proc where pronamespace = current_schema()::regnamespace "
        "union all select tgname, pg_get_triggerdef(pg_trigger.oid) from pg_trigger join pg_class on pg_class.oid = "
        "tgrelid where relnamespace = current_schema()::regnamespace and tgenabled = 'O' and not tgisinternal",
    )  # fmt: skip
    return [each for each in wanted(dialect) if found.get(each.name) != _plain(each.said.replace("{schema}", schema))]


def _told(ctx: Ctx, query: str) -> dict[str, str]:
    return {name: _plain(text) for name, text in ctx.tx.execute(sa.text(query))}


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def complete(ctx: Ctx) -> bool:
    return not _missing(ctx)


def restore(ctx: Ctx) -> list[str]:
    """Make the missing ones again; returns their names."""
    made = []
    for each in _missing(ctx):
        if each.table:
            place = f" on {each.table}" if ctx.tx.dialect.name == "postgresql" else ""
            ctx.tx.execute(sa.text(f"drop trigger if exists {each.name}{place}"))
        ctx.tx.execute(sa.text(each.made))
        made.append(each.name)
    return made
