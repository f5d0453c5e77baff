"""What a workspace holds, by the tables' own word: every row that names it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.identity import store as users

# The log is never shortened; rights, rules and datastores are judged as things of their own.
_NOT_HELD = ("facts", "assignments", "groups", "rules", "rule_firings", "datastores", "setup_items", "deliveries")
# Rows that belong to rows of a workspace and do not name it: table, its column, the table it belongs to, the column.
_BELOW = (("job_attempts", "job", "jobs", "id"),)
# What is under way must come to its end before its rows may go.
_UNDER_WAY = {
    "jobs": ("completed", "failed", "cancelled", "skipped"),
}
_HISTORY = ("releases", "release_stages", "gate_approvals")


def held(ctx: Ctx, workspace: str) -> dict[str, int]:
    """Table to number of rows, for those that have any."""
    found = {}
    for table in _tables():
        query = sa.select(sa.func.count()).select_from(table).where(table.c.workspace == workspace)
        number = ctx.tx.execute(query).scalar() or 0
        if number:
            found[table.name] = number
    return found


def words(found: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in found.items())


def stopped_by(ctx: Ctx, workspace: str, found: Mapping[str, int], staying: Collection[str]) -> str:
    """Why a workspace cannot go even when its data may; empty when it can.

    ``staying``: names of groups that would be left and are for this workspace.
    """
    for table, ended in _UNDER_WAY.items():
        rows = tables.METADATA.tables.get(table)
        if rows is not None and table in found:
            query = sa.select(rows.c.id).where(rows.c.workspace == workspace, rows.c.status.not_in(ended)).limit(3)
            running = [row.id for row in ctx.tx.execute(query)]
            if running:
                return f"{table} are under way in it ({', '.join(running)}): cancel them first"
    history = {table: found[table] for table in _HISTORY if table in found}
    if history:
        return f"releases went through it, and what was decided is kept ({words(history)})"
    if staying:
        return f"the group {', '.join(sorted(staying))} is for it: change or remove the group first"
    return ""


def given_by_hand(ctx: Ctx, principal: str | None, workspace: str | None, going: Collection[str]) -> list[str]:
    """Assignments for a principal, or in a workspace, that would be left with nothing to be for. ``going``: their
    ids that are removed too."""
    return [
        f"{each.role} of {each.principal}"
        for each in users.assignments(ctx)
        if each.id not in going and (each.principal == principal or (workspace and each.workspace == workspace))
    ]


def remove(ctx: Ctx, workspace: str) -> None:
    """Every row that a workspace holds. What lies in the stores of bytes and of MLflow is not touched."""
    for name, column, above, key in _BELOW:
        table, parent = tables.METADATA.tables.get(name), tables.METADATA.tables.get(above)
        if table is not None and parent is not None:
            ids = sa.select(parent.c[key]).where(parent.c.workspace == workspace)
            ctx.tx.execute(table.delete().where(table.c[column].in_(ids)))
    for table in reversed(_tables()):
        ctx.tx.execute(table.delete().where(table.c.workspace == workspace))


def _tables() -> list[sa.Table]:
    return [table for table in tables.METADATA.sorted_tables if "workspace" in table.c and table.name not in _NOT_HELD]
