"""Tables of users, tokens and groups. Passwords are argon2 hashes; tokens and sessions SHA-256 of 256 bits."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from doubleloop.base import actors
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
    sa.Column("just_in_time", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("needs_approval", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("notify", sa.String(255)),
)
ASSIGNMENTS = sa.Table(
    "assignments",
    tables.METADATA,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("principal", sa.String(300), nullable=False, index=True),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("kind", sa.String(20)),
    sa.Column("workspace", sa.String(255)),
    sa.Column("resource", sa.String(512)),
    sa.Column("until", tables.Moment),
    sa.Column("eligible", sa.Boolean, nullable=False),
    sa.Column("needs_approval", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
# Processes that people made. Their names have no ``service:`` here.
PRINCIPALS = sa.Table(
    "principals",
    tables.METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("workspace", sa.String(255)),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("created_at", tables.Moment, nullable=False),
)
ACTIVATIONS = sa.Table(
    "activations",
    tables.METADATA,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("user", sa.String(255), nullable=False, index=True),
    sa.Column("of", sa.String(300), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("seconds", sa.Integer, nullable=False),
    sa.Column("status", sa.String(20), nullable=False, index=True),
    sa.Column("asked_at", tables.Moment, nullable=False),
    sa.Column("decided_by", sa.String(255)),
    sa.Column("ends_at", tables.Moment),
)
# Cedar that was added to this installation, beside what is made from groups and assignments.
POLICIES = sa.Table(
    "policies",
    tables.METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
)
# How long a token that has ended is still listed.
KEPT = timedelta(days=30)
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
    sa.Column("kind", sa.String(20), nullable=False, server_default="token"),
    sa.Column("actions", sa.Text),
    sa.Column("resource", sa.String(512)),
    sa.Column("created_by", sa.String(255), nullable=False, server_default=""),
    sa.Column("last_used_at", tables.Moment),
)


# Who of an OpenID Connect provider is which user.
LINKS = sa.Table(
    "identity_links",
    tables.METADATA,
    sa.Column("issuer", sa.String(512), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("user", sa.String(255), nullable=False, index=True),
    sa.Column("created_at", tables.Moment, nullable=False),
)
# Logins that are under way at a provider.
LOGINS = sa.Table(
    "identity_logins",
    tables.METADATA,
    sa.Column("state", sa.String(64), primary_key=True),
    sa.Column("expires_at", tables.Moment, nullable=False, index=True),
    sa.Column("nonce", sa.String(64)),
    sa.Column("verifier", sa.String(128)),
    sa.Column("redirect_uri", sa.Text, nullable=False),
    sa.Column("next", sa.Text, nullable=False),
    sa.Column("browser", sa.String(64)),
    sa.Column("device_code", sa.Text),
    sa.Column("interval", sa.Integer, nullable=False),
    sa.Column("asked_at", tables.Moment),
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


def principal(ctx: Ctx, id_: str) -> model.Principal | None:
    """By the id that stands in the record: ``service:ci``."""
    if not id_.startswith(actors.PREFIX):
        return None
    query = sa.select(PRINCIPALS).where(PRINCIPALS.c.name == id_.removeprefix(actors.PREFIX))
    row = ctx.tx.execute(query).one_or_none()
    return model.Principal(**row._mapping) if row else None


def principals(ctx: Ctx) -> list[model.Principal]:
    return [
        model.Principal(**row._mapping) for row in ctx.tx.execute(sa.select(PRINCIPALS).order_by(PRINCIPALS.c.name))
    ]


def insert_principal(ctx: Ctx, principal: model.Principal) -> None:
    ctx.tx.execute(PRINCIPALS.insert().values(**dataclasses.asdict(principal)))


def disable_principal(ctx: Ctx, name: str, disabled: bool) -> None:
    ctx.tx.execute(PRINCIPALS.update().where(PRINCIPALS.c.name == name).values(disabled=disabled))


def delete_principal(ctx: Ctx, principal: model.Principal) -> None:
    """With its tokens and the roles that it was given."""
    ctx.tx.execute(TOKENS.delete().where(TOKENS.c.user == principal.id))
    ctx.tx.execute(ASSIGNMENTS.delete().where(ASSIGNMENTS.c.principal == principal.id))
    ctx.tx.execute(PRINCIPALS.delete().where(PRINCIPALS.c.name == principal.name))


def _group(row: sa.Row[tuple[object, ...]]) -> model.Group:
    return model.Group(
        row.name,
        model.Persona(row.persona),
        tuple(json.loads(row.members)),
        tuple(json.loads(row.workspaces)),
        row.just_in_time,
        row.needs_approval,
        row.notify,
    )


def groups(ctx: Ctx) -> list[model.Group]:
    return [_group(row) for row in ctx.tx.execute(sa.select(GROUPS).order_by(GROUPS.c.name))]


def groups_of(ctx: Ctx, user: str, *, sleeping: bool = False) -> list[model.Group]:
    """The groups that count for ``user`` now; ``sleeping``: those that would if they were activated."""
    found = [group for group in groups(ctx) if user in group.members]
    active = _active(ctx, user) if any(group.just_in_time for group in found) else set()
    return [group for group in found if (group.just_in_time and f"group:{group.name}" not in active) is sleeping]


def _active(ctx: Ctx, user: str) -> set[str]:
    """What ``user`` has activated; one whose time is over does not count, whether or not that was noted already."""
    running = activations(ctx, user=user, status="active")
    return {each.of for each in running if each.ends_at is not None and each.ends_at > ctx.now}


def assignments(ctx: Ctx) -> list[model.Assignment]:
    found = ctx.tx.execute(sa.select(ASSIGNMENTS).order_by(ASSIGNMENTS.c.created_at, ASSIGNMENTS.c.id))
    return [model.Assignment(**row._mapping) for row in found]


def assignments_of(ctx: Ctx, principal: str, groups: Sequence[str]) -> list[model.Assignment]:
    """Those that count now for a user or service (``service:ci``) in these groups."""
    own = principal if principal.startswith(actors.PREFIX) else f"user:{principal}"
    query = (
        sa.select(ASSIGNMENTS)
        .where(
            ASSIGNMENTS.c.principal.in_([own, *(f"group:{name}" for name in groups)]),
            sa.or_(ASSIGNMENTS.c.until.is_(None), ASSIGNMENTS.c.until > ctx.now),
        )
        .order_by(ASSIGNMENTS.c.created_at, ASSIGNMENTS.c.id)
    )
    found = [model.Assignment(**row._mapping) for row in ctx.tx.execute(query)]
    if not any(each.eligible for each in found):
        return found
    active = _active(ctx, principal)
    # An eligible assignment of a group is activated by each member for themselves.
    return [
        dataclasses.replace(each, principal=own) if each.eligible else each
        for each in found
        if not each.eligible or f"assignment:{each.id}" in active
    ]


def assignment(ctx: Ctx, id_: str) -> model.Assignment | None:
    row = ctx.tx.execute(sa.select(ASSIGNMENTS).where(ASSIGNMENTS.c.id == id_)).one_or_none()
    return model.Assignment(**row._mapping) if row else None


def insert_assignment(ctx: Ctx, assignment: model.Assignment) -> None:
    ctx.tx.execute(ASSIGNMENTS.insert().values(**dataclasses.asdict(assignment)))


def delete_assignment(ctx: Ctx, id_: str) -> bool:
    return ctx.tx.execute(ASSIGNMENTS.delete().where(ASSIGNMENTS.c.id == id_)).rowcount > 0


def activations(
    ctx: Ctx, *, user: str | None = None, status: str | None = None, id_: str | None = None
) -> list[model.Activation]:
    query = sa.select(ACTIVATIONS).order_by(ACTIVATIONS.c.asked_at, ACTIVATIONS.c.id)
    for column, value in ((ACTIVATIONS.c.user, user), (ACTIVATIONS.c.status, status), (ACTIVATIONS.c.id, id_)):
        if value is not None:
            query = query.where(column == value)
    return [
        model.Activation(**{**row._mapping, "status": model.ActivationStatus(row.status)})
        for row in ctx.tx.execute(query)
    ]


def put_activation(ctx: Ctx, activation: model.Activation) -> None:
    values = dataclasses.asdict(activation)
    if ctx.tx.execute(ACTIVATIONS.update().where(ACTIVATIONS.c.id == activation.id).values(**values)).rowcount == 0:
        ctx.tx.execute(ACTIVATIONS.insert().values(**values))


def policies(ctx: Ctx) -> list[str]:
    return [row.text for row in ctx.tx.execute(sa.select(POLICIES).order_by(POLICIES.c.name))]


def named_policies(ctx: Ctx) -> dict[str, str]:
    return {row.name: row.text for row in ctx.tx.execute(sa.select(POLICIES).order_by(POLICIES.c.name))}


def put_policy(ctx: Ctx, name: str, text: str) -> None:
    if ctx.tx.execute(POLICIES.update().where(POLICIES.c.name == name).values(text=text)).rowcount == 0:
        ctx.tx.execute(POLICIES.insert().values(name=name, text=text))


def delete_policy(ctx: Ctx, name: str) -> bool:
    return ctx.tx.execute(POLICIES.delete().where(POLICIES.c.name == name)).rowcount > 0


def put_group(ctx: Ctx, group: model.Group) -> None:
    values = {
        "persona": group.persona.value,
        "members": json.dumps(sorted(group.members)),
        "workspaces": json.dumps(sorted(group.workspaces)),
        "just_in_time": group.just_in_time,
        "needs_approval": group.needs_approval,
        "notify": group.notify,
    }
    if ctx.tx.execute(GROUPS.update().where(GROUPS.c.name == group.name).values(**values)).rowcount == 0:
        ctx.tx.execute(GROUPS.insert().values(name=group.name, **values))


def delete_group(ctx: Ctx, name: str) -> None:
    ctx.tx.execute(GROUPS.delete().where(GROUPS.c.name == name))


def insert_token(ctx: Ctx, token: model.Token, hash_: str) -> None:
    """What of the same owner ended long ago is forgotten."""
    over = sa.and_(TOKENS.c.user == token.user, TOKENS.c.expires_at < ctx.now - KEPT)
    ctx.tx.execute(TOKENS.delete().where(over))
    actions = None if token.actions is None else json.dumps(token.actions)
    values = {**dataclasses.asdict(token), "kind": token.kind.value, "actions": actions}
    ctx.tx.execute(TOKENS.insert().values(hash=hash_, **values))


def token_by_hash(ctx: Ctx, hash_: str, now: datetime) -> model.Token | None:
    row = ctx.tx.execute(
        sa.select(TOKENS).where(
            TOKENS.c.hash == hash_, sa.or_(TOKENS.c.expires_at.is_(None), TOKENS.c.expires_at > now)
        )
    ).one_or_none()
    return _token(row) if row else None


def _token(row: sa.Row[tuple[object, ...]]) -> model.Token:
    values = {key: value for key, value in row._mapping.items() if key != "hash"}
    actions = None if row.actions is None else tuple(json.loads(row.actions))
    return model.Token(**{**values, "kind": model.TokenKind(row.kind), "actions": actions})


def tokens(ctx: Ctx, user: str) -> list[model.Token]:
    found = ctx.tx.execute(sa.select(TOKENS).where(TOKENS.c.user == user).order_by(TOKENS.c.created_at, TOKENS.c.id))
    return [_token(row) for row in found]


def touch_token(ctx: Ctx, id_: str, before: datetime) -> None:
    """Note its use, unless one after ``before`` is noted already."""
    stale = sa.or_(TOKENS.c.last_used_at.is_(None), TOKENS.c.last_used_at <= before)
    ctx.tx.execute(TOKENS.update().where(TOKENS.c.id == id_, stale).values(last_used_at=ctx.now))


def token(ctx: Ctx, id_: str) -> model.Token | None:
    row = ctx.tx.execute(sa.select(TOKENS).where(TOKENS.c.id == id_)).one_or_none()
    return _token(row) if row else None


def delete_token(ctx: Ctx, id_: str) -> bool:
    return ctx.tx.execute(TOKENS.delete().where(TOKENS.c.id == id_)).rowcount > 0


def linked(ctx: Ctx, issuer: str, subject: str) -> str | None:
    query = sa.select(LINKS.c.user).where(LINKS.c.issuer == issuer, LINKS.c.subject == subject)
    return ctx.tx.execute(query).scalar()


def insert_link(ctx: Ctx, issuer: str, subject: str, user: str) -> None:
    ctx.tx.execute(LINKS.insert().values(issuer=issuer, subject=subject, user=user, created_at=ctx.now))


def delete_links(ctx: Ctx, user: str) -> bool:
    return ctx.tx.execute(LINKS.delete().where(LINKS.c.user == user)).rowcount > 0


def count_logins(ctx: Ctx) -> int:
    """Those under way; the old ones are forgotten."""
    ctx.tx.execute(LOGINS.delete().where(LOGINS.c.expires_at <= ctx.now))
    return int(ctx.tx.execute(sa.select(sa.func.count()).select_from(LOGINS)).scalar_one())


def insert_login(ctx: Ctx, state: str, expires_at: datetime, **values: object) -> None:
    kept = {"redirect_uri": "", "next": "/", "interval": 0, **values}
    ctx.tx.execute(LOGINS.insert().values(state=state, expires_at=expires_at, **kept))


def login(ctx: Ctx, state: str) -> model.Login | None:
    row = ctx.tx.execute(
        sa.select(LOGINS).where(LOGINS.c.state == state, LOGINS.c.expires_at > ctx.now)
    ).one_or_none()  # fmt: skip
    return model.Login(**row._mapping) if row else None


def take_login(ctx: Ctx, state: str) -> model.Login | None:
    """It is handed out once: of two that ask at the same time, one gets it."""
    found = login(ctx, state)
    return found if ctx.tx.execute(LOGINS.delete().where(LOGINS.c.state == state)).rowcount else None


def note_login_asked(ctx: Ctx, state: str, interval: int) -> None:
    ctx.tx.execute(LOGINS.update().where(LOGINS.c.state == state).values(asked_at=ctx.now, interval=interval))
