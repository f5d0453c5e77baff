"""Writing secrets, telling them to those who may see them, and giving them to what runs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping

from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.vault import ports, rules, store
from doubleloop.vault.model import Place, Reference, Secret


def put(
    contexts: Contexts, actor: actors.Actor, workspace: str, name: str, value: str, description: str = ""
) -> Secret:
    """Keep a value as the next version of a secret. Raises InvalidInput, TooLarge, Unavailable, NotPermitted."""
    rules.check_name(name)
    rules.check_value(value)
    with contexts.read(actor, workspace) as ctx:
        identity.permit(ctx, Action.SECRET_WRITE, resource=f"secret/{name}")
    safe = contexts.port(ports.Safe)
    place = Place(workspace, name)
    kept = safe.keep(place, value)
    try:
        with contexts.write(actor, workspace) as ctx:
            identity.permit(ctx, Action.SECRET_WRITE, resource=f"secret/{name}")
            store.add(ctx, name, safe.kind, kept, description)
            found = store.secret(ctx, name)
    except BaseException:
        with contextlib.suppress(errors.DoubleloopError):
            safe.destroy(place, [kept])
        raise
    assert found is not None
    return found


def reveal(
    contexts: Contexts, actor: actors.Actor, workspace: str, name: str, number: int | None = None
) -> tuple[int, str]:
    """A version (default: the newest) and its value. That it was asked for is on record before it is told.

    Raises NotFound, NotPermitted, Unavailable, Failed.
    """
    with contexts.write(actor, workspace) as ctx:
        identity.permit(ctx, Action.SECRET_GET)
        kept = _find(ctx, Reference(name, number))
        events.record(ctx, "secret.revealed", f"secret:{workspace}/{name}", name=name, version=kept.number)
    return kept.number, _open(contexts, workspace, kept)


def give(
    contexts: Contexts, service: actors.Actor, owner: str, workspace: str, variables: Mapping[str, str], to: str
) -> dict[str, str]:
    """The values of those variables that stand for secrets, for the thing ``to`` that runs for ``owner``.

    The service opens them (``secret.get``); the owner must still be one who may know of them (``secret.read``).
    Raises NotFound, NotPermitted, Unavailable, Failed.
    """
    wanted = rules.references(variables)
    if not wanted:
        return {}
    kind = actors.ActorKind.SERVICE if owner.startswith("service:") else actors.ActorKind.PERSON
    found = {}
    with contexts.write(service, workspace) as ctx:
        identity.permit(ctx, Action.SECRET_GET)
        person = ctx.acting_as(actors.Actor(owner, kind))
        for variable, each in wanted.items():
            identity.permit(person, Action.SECRET_READ, resource=f"secret/{each.name}")
            kept = found[variable] = _find(ctx, each)
            events.record(
                ctx, "secret.given", f"secret:{workspace}/{each.name}", name=each.name, version=kept.number, to=to,
                owner=owner, variable=variable,
            )  # fmt: skip
    return {variable: _open(contexts, workspace, kept) for variable, kept in found.items()}


def fill(
    contexts: Contexts, service: actors.Actor, owner: str, workspace: str, texts: Mapping[str, str], to: str
) -> tuple[dict[str, str], list[str]]:
    """``texts`` with the values of the secrets that stand in them, and those values, to be masked wherever what was
    done with them is told. As ``give``, for the thing ``to`` that is done for ``owner``."""
    mentioned = {mention: mention for text in texts.values() for mention in rules.mentions(text)}
    values = give(contexts, service, owner, workspace, mentioned, to)
    # Each place is filled once: what stands in a value is no mention.
    places = re.compile("|".join(map(re.escape, values)) or r"(?!)")
    filled = {name: places.sub(lambda found: values[found[0]], text) for name, text in texts.items()}
    return filled, list(values.values())


def delete(contexts: Contexts, actor: actors.Actor, workspace: str, name: str) -> None:
    """Destroy the values of all versions; the name and its versions stay on record.

    Raises NotFound, Unavailable, Failed when some lie where this installation no longer looks.
    """
    with contexts.read(actor, workspace) as ctx:
        identity.permit(ctx, Action.SECRET_WRITE)
        rules.chosen(store.secret(ctx, name), Reference(name), workspace)
        found = store.kept(ctx, name)
    safe = contexts.port(ports.Safe)
    for each in found:
        if each.safe not in (safe.kind, ports.IN_THE_ROW):
            raise _elsewhere(each, safe)
    safe.destroy(Place(workspace, name), [each.kept for each in found if each.safe == safe.kind])
    with contexts.write(actor, workspace) as ctx:
        identity.permit(ctx, Action.SECRET_WRITE)
        store.destroy(ctx, name)


def renew(contexts: Contexts, actor: actors.Actor, workspace: str) -> int:
    """Lock every value of the workspace with the newest key; how many were locked anew. Raises Failed, Unavailable.

    Afterwards earlier keys are of no use for this workspace.
    """
    with contexts.read(actor, workspace) as ctx:
        identity.permit(ctx, Action.SECRET_WRITE)
        found = store.kept(ctx)
    safe = contexts.port(ports.Safe)
    fresh = [
        (each, safe.renew(Place(workspace, each.name), each.kept)) for each in found if each.safe == safe.kind
    ]  # fmt: skip
    with contexts.write(actor, workspace) as ctx:
        identity.permit(ctx, Action.SECRET_WRITE)
        changed = [each for each, kept in fresh if kept != each.kept and store.replace(ctx, each, kept)]
        events.record(ctx, "secret.renewed", f"workspace:{workspace}", versions=len(changed))
    return len(changed)


def _find(ctx: Ctx, wanted: Reference) -> store.Kept:
    version = rules.chosen(store.secret(ctx, wanted.name), wanted, str(ctx.workspace))
    return next(each for each in store.kept(ctx, wanted.name) if each.number == version.number)


def _open(contexts: Contexts, workspace: str, kept: store.Kept) -> str:
    safe = contexts.port(ports.Safe)
    if kept.safe != safe.kind:
        raise _elsewhere(kept, safe)
    return safe.open(Place(workspace, kept.name), kept.kept)


def _elsewhere(kept: store.Kept, safe: ports.Safe) -> errors.Failed:
    return errors.Failed(
        f"Version {kept.number} of secret {kept.name} is kept by '{kept.safe}', and this installation now uses "
        f"'{safe.kind}'",
        cure="Set DOUBLELOOP_SECRETS_SAFE back, or write the secret again.",
    )
