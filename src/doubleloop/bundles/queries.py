"""Looking at bundles, and proving that one is what was signed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from doubleloop.base import canonical, errors
from doubleloop.bundles import model, rules, signing, store
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.secrets import ports as secrets
from doubleloop.storage import ports as storage
from doubleloop.workspaces.model import REGISTRY


def list(ctx: Ctx, model_name: str | None = None, release: str | None = None) -> tuple[model.Bundle, ...]:
    """Newest first."""
    identity.permit(ctx, Action.MODEL_READ, REGISTRY)
    return tuple(store.select(ctx, model_=model_name, release=release))


def find(ctx: Ctx, digest: str) -> model.Bundle:
    """Raises NotFound."""
    identity.permit(ctx, Action.MODEL_READ, REGISTRY)
    found = store.get(ctx, digest)
    if found is None:
        raise errors.NotFound(f"There is no bundle {digest[:12]}…", cure="`doubleloop registry bundles` shows them.")
    return found


def of_release(ctx: Ctx, release: str) -> model.Bundle | None:
    """The newest one of a release."""
    return next(iter(store.select(ctx, release=release)), None)


def manifest(ctx: Ctx, bundle: model.Bundle) -> dict[str, Any]:
    """What the bundle says. Raises Failed when the stored text is not what was signed."""
    text = ctx.port(storage.Blobs).read(bundle.digest).decode()
    if canonical.sha256(text) != bundle.digest:
        raise errors.Failed(f"The manifest of bundle {bundle.digest[:12]}… was changed where it is stored")
    found: dict[str, Any] = json.loads(text)
    return found


def verify(ctx: Ctx, bundle: model.Bundle) -> None:
    """Raises Failed unless the signature holds for what is stored, under our key or one that is trusted."""
    content = manifest(ctx, bundle)
    public = public_of(ctx, bundle.key)
    if public is None or not signing.verify(public, bundle.digest, bundle.signature):
        raise errors.Failed(f"The signature of bundle {bundle.digest[:12]}… does not hold")
    rules.check(content)


def public_of(ctx: Ctx, key: str) -> str | None:
    """The public key behind an id: our own, or a trusted one."""
    own = signing.public_key(ctx.port(secrets.Keys))
    if signing.key_id(own) == key:
        return own
    return next((each.public for each in store.keys(ctx) if each.id == key), None)


def own_key(ctx: Ctx) -> str:
    """The public key by which others may trust this installation's bundles. It is no secret."""
    identity.permit(ctx, Action.MODEL_READ, REGISTRY)
    return signing.public_key(ctx.port(secrets.Keys))


def keys(ctx: Ctx) -> tuple[model.TrustedKey, ...]:
    identity.permit(ctx, Action.MODEL_READ, REGISTRY)
    return tuple(store.keys(ctx))


def authors(ctx: Ctx, model_name: str, version: str) -> Mapping[str, str]:
    """Who made a version elsewhere, before it was imported here: person to what they did."""
    found = store.select(ctx, model_=model_name, version=version)
    return {name: "made the model that was imported" for each in found if each.imported for name in each.authors}
