"""Looking at users and groups."""

from __future__ import annotations

from doubleloop.db.context import Ctx
from doubleloop.identity import commands, model, store
from doubleloop.identity.actions import Action


def users(ctx: Ctx) -> list[model.User]:
    commands.permit(ctx, Action.IDENTITY_READ)
    return store.users(ctx)


def groups(ctx: Ctx) -> list[model.Group]:
    commands.permit(ctx, Action.IDENTITY_READ)
    return store.groups(ctx)
