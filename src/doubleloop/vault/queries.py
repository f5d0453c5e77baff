"""Names, versions and who wrote them; never a value."""

from __future__ import annotations

from collections.abc import Mapping

from doubleloop.base import errors
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.vault import rules, store
from doubleloop.vault.model import Reference, Secret


def secrets(ctx: Ctx) -> list[Secret]:
    """Those of the workspace that have a value, by name."""
    sees = things.seen(ctx, Action.SECRET_READ, "secret")
    return [each for each in store.secrets(ctx) if each.latest and sees(each.name)]


def show(ctx: Ctx, name: str) -> Secret:
    """Raises NotFound."""
    identity.permit(ctx, Action.SECRET_READ, resource=f"secret/{name}")
    found = store.secret(ctx, name)
    rules.chosen(found, Reference(name), str(ctx.workspace))
    assert found is not None
    return found


def check(ctx: Ctx, text: str, where: errors.Where | None = None) -> None:
    """That the secret which ``text`` stands for, if any, is there. Raises InvalidInput, NotFound, NotPermitted."""
    wanted = rules.reference(text, where)
    if wanted is None:
        return
    identity.permit(ctx, Action.SECRET_READ, resource=f"secret/{wanted.name}")
    try:
        rules.chosen(store.secret(ctx, wanted.name), wanted, str(ctx.workspace))
    except errors.NotFound as error:
        raise errors.NotFound(error.what, where=where, cure=error.cure) from error


def check_within(ctx: Ctx, text: str, where: errors.Where | None = None) -> None:
    """As ``check``, for a text that secrets may be a part of."""
    for mention in rules.mentions(text, where):
        check(ctx, mention, where)


def pinned(ctx: Ctx, variables: Mapping[str, str]) -> dict[str, str]:
    """Those variables that stand for secrets, with the version that each means now written into it.

    Raises NotFound, InvalidInput, NotPermitted.
    """
    found = {}
    for name, wanted in rules.references(variables).items():
        identity.permit(ctx, Action.SECRET_READ, resource=f"secret/{wanted.name}")
        version = rules.chosen(store.secret(ctx, wanted.name), wanted, str(ctx.workspace))
        found[name] = str(Reference(wanted.name, version.number))
    return found
