"""Secrets of deployments: pinned when one is made ready, sealed into what the gateway is asked to serve."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from doubleloop.base import actors, errors
from doubleloop.db.context import Contexts, Ctx
from doubleloop.endpoints import model, ports, store
from doubleloop.gateway import protocol
from doubleloop.specs import documents
from doubleloop.vault import commands as vault
from doubleloop.vault import queries as secrets

LOG = logging.getLogger("doubleloop.endpoints")


def check(ctx: Ctx, document: documents.Document) -> None:
    """That the secrets which a deployment's file names are there. Raises NotFound, InvalidInput, with the line."""
    for name, text in document.model.environment_variables.items():
        secrets.check(ctx, text, document.source.where(f"environment_variables.{name}"))


def pin(contexts: Contexts, actor: actors.Actor, deployment: model.Deployment) -> dict[str, str]:
    """To each variable that stands for a secret, the version that it means now, which can be opened.

    Raises NotFound, NotPermitted, Unavailable, Failed.
    """
    variables = documents.from_wire(deployment.spec).model.environment_variables
    with contexts.read(actor, deployment.workspace) as ctx:
        found = secrets.pinned(ctx, variables)
    _open(contexts, actor, deployment, found)
    return found


def sealed(
    contexts: Contexts, actor: actors.Actor, wanted: Mapping[str, protocol.Endpoint]
) -> dict[str, protocol.Endpoint]:
    """``wanted`` with the values of secrets, sealed; those that were published before are taken from there.

    A deployment whose secrets cannot be opened is left out: the others must not wait for it.
    """
    if not any(each.secrets for place in wanted.values() for each in place.deployments.values()):
        return dict(wanted)
    before = {
        each.id: each for place in contexts.port(ports.Serving).published().values()
        for each in place.deployments.values()
    }  # fmt: skip
    return {key: _sealed_place(contexts, actor, place, before) for key, place in wanted.items()}


def _sealed_place(
    contexts: Contexts, actor: actors.Actor, place: protocol.Endpoint, before: Mapping[str, protocol.Deployment]
) -> protocol.Endpoint:
    found = {}
    for name, each in place.deployments.items():
        known = before.get(each.id)
        try:
            values = known.sealed if known and known.secrets == each.secrets else _seal(contexts, actor, each)
        except errors.DoubleloopError as error:
            LOG.error("deployment %s is not served: %s", each.id, error)
            continue
        found[name] = replace(each, sealed=values)
    return replace(
        place, deployments=found,
        traffic={name: share for name, share in place.traffic.items() if name in found},
        mirror_traffic={name: share for name, share in place.mirror_traffic.items() if name in found},
    )  # fmt: skip


def _seal(contexts: Contexts, actor: actors.Actor, each: protocol.Deployment) -> dict[str, str]:
    if not each.secrets:
        return {}
    with contexts.read(actor) as ctx:
        deployment = store.deployment(ctx, each.id)
    assert deployment is not None
    serving = contexts.port(ports.Serving)
    values = _open(contexts, actor, deployment, each.secrets)
    return {name: serving.seal(each.id, name, value) for name, value in values.items()}


def _open(
    contexts: Contexts, actor: actors.Actor, deployment: model.Deployment, references: Mapping[str, str]
) -> dict[str, str]:
    to = f"deployment:{deployment.id}"
    return vault.give(contexts, actor, deployment.created_by, deployment.workspace, references, to)
