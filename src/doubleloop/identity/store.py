"""Tables of users, tokens and groups. Passwords are argon2 hashes; tokens and sessions SHA-256 of 256 bits."""

from __future__ import annotations

import json
from datetime import datetime

import sqlalchemy as sa

from doubleloop.db import tables
from doubleloop.db.context import Ctx
from doubleloop.identity import model

USERS = sa.Table(
    "users",
    tables.METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("display_name", sa.String(255), nullable=False),
    sa.Column("password_hash", sa.Text),
    sa.Column("is_admin", sa.Boolean, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
GROUPS = sa.Table(
    "groups",
    tables.METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("persona", sa.String(40), nullable=False),
    sa.Column("members", sa.Text, nullable=False),
    sa.Column("workspaces", sa.Text, nullable=False),
)
# Tokens and console sessions are one thing: a secret shown once, its hash kept, an end time, an owner.
TOKENS = sa.Table(
    "tokens",
    tables.METADATA,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("user", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("workspace", sa.String(255)),
    sa.Column("expires_at", tables.Moment),
    sa.Column("created_at", tables.Moment, nullable=False),
)


def _user(row: sa.Row[tuple[object, ...]]) -> model.User:
    return model.User(row.name, row.display_name, row.is_admin, row.disabled, row.created_at)


def user(ctx: Ctx, name: str) -> model.User | None:
    row = ctx.tx.execute(sa.select(USERS).where(USERS.c.name == name)).one_or_none()
    return _user(row) if row else None


def users(ctx: Ctx) -> list[model.User]:
    return [_user(row) for row in ctx.tx.execute(sa.select(USERS).order_by(USERS.c.name))]


def password_hash(ctx: Ctx, name: str) -> str | None:
    return ctx.tx.execute(
        sa.select(USERS.c.password_hash).where(USERS.c.name == name, USERS.c.disabled.is_(False))
    ).scalar()


def insert_user(ctx: Ctx, name: str, display_name: str, is_admin: bool) -> None:
    ctx.tx.execute(
        USERS.insert().values(
            name=name, display_name=display_name, is_admin=is_admin, disabled=False, created_at=ctx.now
        )
    )


def update_user(ctx: Ctx, name: str, **values: object) -> None:
    ctx.tx.execute(USERS.update().where(USERS.c.name == name).values(**values))


def _group(row: sa.Row[tuple[object, ...]]) -> model.Group:
    return model.Group(
        row.name,
        model.Persona(row.persona),
        tuple(json.loads(row.members)),
        tuple(json.loads(row.workspaces)),
    )


def groups(ctx: Ctx) -> list[model.Group]:
    return [_group(row) for row in ctx.tx.execute(sa.select(GROUPS).order_by(GROUPS.c.name))]


def put_group(ctx: Ctx, group: model.Group) -> None:
    values = {
        "persona": group.persona.value,
        "members": json.dumps(sorted(group.members)),
        "workspaces": json.dumps(sorted(group.workspaces)),
    }
    if ctx.tx.execute(GROUPS.update().where(GROUPS.c.name == group.name).values(**values)).rowcount == 0:
        ctx.tx.execute(GROUPS.insert().values(name=group.name, **values))


def insert_token(ctx: Ctx, token: model.Token, hash_: str) -> None:
    ctx.tx.execute(
        TOKENS.insert().values(
            id=token.id, hash=hash_, user=token.user, name=token.name, workspace=token.workspace,
            expires_at=token.expires_at, created_at=token.created_at,
        )
    )  # fmt: skip


def token_by_hash(ctx: Ctx, hash_: str, now: datetime) -> model.Token | None:
    row = ctx.tx.execute(
        sa.select(TOKENS).where(
            TOKENS.c.hash == hash_, sa.or_(TOKENS.c.expires_at.is_(None), TOKENS.c.expires_at > now)
        )
    ).one_or_none()
    if row is None:
        return None
    return model.Token(row.id, row.user, row.name, row.workspace, row.expires_at, row.created_at)


def token_owner(ctx: Ctx, id_: str) -> str | None:
    return ctx.tx.execute(sa.select(TOKENS.c.user).where(TOKENS.c.id == id_)).scalar()


def delete_token(ctx: Ctx, id_: str) -> bool:
    return ctx.tx.execute(TOKENS.delete().where(TOKENS.c.id == id_)).rowcount > 0
