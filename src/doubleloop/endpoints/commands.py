"""Making endpoints and deployments, and steering traffic between them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from doubleloop.base import errors, ids
from doubleloop.catalog import commands as catalog
from doubleloop.db.context import Ctx
from doubleloop.durable import commands as durable
from doubleloop.endpoints import containers, model, rules, store, variables
from doubleloop.events import commands as events
from doubleloop.gateway import protocol, tokens
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.models import queries as models
from doubleloop.secrets import ports as secrets
from doubleloop.settings.model import Settings
from doubleloop.specs import documents
from doubleloop.specs import model as specs

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _publish(ctx: Ctx) -> None:
    """Have the worker write the gateway's desired state once this transaction is there."""
    durable.start(ctx, "endpoints.publish", ids.new_id("publish"), {})


def put_endpoint(ctx: Ctx, document: documents.Document, *, local: bool = False) -> model.Endpoint:
    """Create an endpoint, or change what the file says of one. Raises InvalidInput, Conflict.

    ``local`` is Azure's endpoint on one's own machine, which asks for no key; refused where others could reach it.
    """
    identity.permit(ctx, Action.ENDPOINT_WRITE, resource=f"endpoint/{document.model.name}")
    assert ctx.workspace is not None
    spec = document.model
    before = store.endpoint(ctx, ctx.workspace, spec.name)
    if spec.traffic:
        rules.check_traffic(spec.traffic, _readiness(ctx, spec.name))
    if spec.mirror_traffic:
        rules.check_mirror(spec.mirror_traffic, _readiness(ctx, spec.name))
    values: dict[str, Any] = {
        "auth_mode": _local(ctx) if local else spec.auth_mode,
        "description": spec.description or "",
        "tags": dict(spec.tags),
        "slo": {**specs.plain(spec.slo), "window": spec.slo.window} if spec.slo else None,
    }
    if spec.traffic:
        values["traffic"] = dict(spec.traffic)
    if spec.mirror_traffic:
        values["mirror_traffic"] = dict(spec.mirror_traffic)
    if before is None:
        made = model.Endpoint(
            ctx.workspace, spec.name, values["auth_mode"], values.get("traffic", {}), values.get("mirror_traffic", {}),
            values["description"], values["tags"], 1, 1, ctx.actor.id, ctx.now, values["slo"],
        )  # fmt: skip
        store.insert_endpoint(ctx, made)
        events.record(ctx, "endpoint.created", made.id, auth_mode=made.auth_mode)
        _publish(ctx)
        return made
    after = replace(before, **values)
    if after != before:
        store.update_endpoint(ctx, ctx.workspace, spec.name, **values)
        events.record(
            ctx, "endpoint.changed", before.id, **values, before={key: getattr(before, key) for key in values}
        )
        _publish(ctx)
    return after


def _local(ctx: Ctx) -> str:
    host = ctx.port(Settings).host
    if host not in LOOPBACK:
        raise errors.Conflict(
            f"A local endpoint asks for no key, and this installation listens on {host}",
            cure="Leave --local out and use the endpoint's key.",
        )
    return model.OPEN


def ensure_endpoint(ctx: Ctx, name: str) -> model.Endpoint:
    """The endpoint, made with key authentication if it is not there: what a release's stage needs."""
    identity.permit(ctx, Action.ENDPOINT_WRITE, resource=f"endpoint/{name}")
    assert ctx.workspace is not None
    found = store.endpoint(ctx, ctx.workspace, name)
    if found:
        return found
    made = model.Endpoint(ctx.workspace, name, "key", {}, {}, "", {}, 1, 1, ctx.actor.id, ctx.now)
    store.insert_endpoint(ctx, made)
    events.record(ctx, "endpoint.created", made.id, auth_mode=made.auth_mode)
    return made


def _readiness(ctx: Ctx, endpoint: str) -> dict[str, bool]:
    found = store.deployments(ctx, ctx.workspace, endpoint, statuses=model.LIVE)
    ready = {each.name: False for each in found}
    return ready | {each.name: True for each in found if each.status is model.Status.READY}


def get_endpoint(ctx: Ctx, name: str) -> model.Endpoint:
    """Raises NotFound, with the names there are."""
    assert ctx.workspace is not None
    found = store.endpoint(ctx, ctx.workspace, name)
    if found is None:
        names = [each.name for each in store.endpoints(ctx, ctx.workspace)]
        cure = things.known(ctx, Action.ENDPOINT_READ, "endpoint", names)
        raise errors.NotFound(f"No endpoint is named '{name}' in {ctx.workspace}", cure=cure)
    return found


def create_deployment(
    ctx: Ctx,
    document: documents.Document,
    *,
    id_: str | None = None,
    name: str | None = None,
    model_reference: str | None = None,
    signature: Mapping[str, Any] | None = None,
    lock: str = "",
    all_traffic: bool = False,
    release: str | None = None,
    notify: str | None = None,
    compiles: bool = True,
) -> model.Deployment:
    """Start a deployment; it takes no traffic by itself unless ``all_traffic`` or its name has some already.

    ``name``, ``model_reference``, ``signature`` and ``lock`` (the digest of an environment's lock) replace what the
    file says (a release does). ``compiles``: False keeps a plan from answering, whatever the file says. The end is
    signalled to the workflow ``notify`` on topic ``deployment:<id>``. The same ``id_`` again returns what was started.
    Raises NotFound for the endpoint or the model.
    """
    identity.permit(ctx, Action.ENDPOINT_WRITE)
    assert ctx.workspace is not None
    id_ = id_ or ids.new_id("deployment")
    known = store.deployment(ctx, id_)
    spec = document.model
    if known and (known.workspace, known.endpoint) != (ctx.workspace, spec.endpoint_name):
        raise errors.Conflict(f"There is a deployment {id_} elsewhere already", cure="Use another id.")
    if known:
        return known
    place = get_endpoint(ctx, spec.endpoint_name)
    rules.check_name(name or spec.name, document.where("name"))
    variables.check(ctx, document)
    containers.check(document)
    reference = model_reference or (spec.model if isinstance(spec.model, str) else None)
    version = models.resolve(ctx, reference) if reference and reference.startswith("azureml:") else None
    if version is None and spec.model is None:
        raise errors.InvalidInput(
            f"Deployment {spec.name} names no model",
            where=document.source.where(""),
            cure="Add `model: azureml:NAME:VERSION`.",
        )
    if version is None and reference and not reference.startswith(("blob:", "tree:")):
        version = models.resolve(ctx, reference)
    signature = dict(signature) if signature else version.signature if version else None
    if spec.code_configuration is None:
        rules.check_masking(masking(spec), signature, document.where("data_collector.column_masking"))
    wire = document.to_wire()
    if not compiles:
        wire = {**wire, "spec": {**wire["spec"], "compile": False}}
    made = model.Deployment(
        id_, ctx.workspace, spec.endpoint_name, name or spec.name, model.Status.PREPARING, "",
        version.name if version else "", version.version if version else "", version.id if version else "",
        wire, signature, lock, "", {},
        release, all_traffic or _alone(ctx, place), notify, ctx.actor.id, ctx.now,
    )  # fmt: skip
    store.insert_deployment(ctx, made)
    if version:
        catalog.link(ctx, version.id, "deployed", f"deployment:{id_}")
    events.record(
        ctx, "deployment.created", f"deployment:{id_}", endpoint=made.endpoint, name=made.name, model=made.model_id,
        release=release,
    )  # fmt: skip
    durable.start(ctx, "endpoints.deploy", f"deploy-{id_}", {"deployment": id_})
    return made


def masking(spec: Any) -> Mapping[str, str]:
    return spec.data_collector.column_masking if spec.data_collector else {}


def scale(
    ctx: Ctx, endpoint: str, name: str | None, id_: str, *, instances: int | None = None, change: int = 0,
    at_least: int = 1, at_most: int = 100,
) -> tuple[model.Deployment, int]:  # fmt: skip
    """Give a deployment (default: the one with most traffic) another number of instances, as a new version ``id_`` that
    takes over when it is ready. Returns it, or the one that has the number already, and the number before.

    ``change`` counts from the number there is where ``instances`` does not say one; both within the bounds. Raises
    NotFound, and Conflict for a deployment that follows the load by itself.
    """
    identity.permit(ctx, Action.ENDPOINT_WRITE, resource=f"endpoint/{endpoint}")
    place = get_endpoint(ctx, endpoint)
    chosen = name or max(place.traffic, key=lambda each: place.traffic[each], default="")
    there = [each for each in store.deployments(ctx, ctx.workspace, endpoint) if each.name == chosen and each.live]
    if not there:
        raise errors.NotFound(f"Endpoint {endpoint} has no deployment '{chosen}' that answers")
    current = there[-1]
    again = store.deployment(ctx, id_)
    if again is not None:
        return again, int(current.spec["spec"].get("instance_count") or 1)
    settings = current.spec["spec"].get("scale_settings") or {}
    if settings.get("type", "default") != "default":
        raise errors.Conflict(
            f"{chosen} of {endpoint} follows the load by itself", cure="Change its scale_settings and deploy it again."
        )
    before = int(current.spec["spec"].get("instance_count") or 1)
    wanted = min(max(instances if instances is not None else before + change, at_least), at_most)
    if wanted == before:
        return current, before
    wire = {**current.spec, "spec": {**current.spec["spec"], "instance_count": wanted}}
    version = f"azureml:{current.model_name}:{current.model_version}" if current.model_name else None
    made = create_deployment(
        ctx, documents.from_wire(wire), id_=id_, name=chosen, model_reference=version, signature=current.signature,
        lock=current.environment_lock, release=current.release,
    )  # fmt: skip
    return made, before


def _alone(ctx: Ctx, place: model.Endpoint) -> bool:
    """The first deployment of a local endpoint answers at once, as in Azure: there is no traffic to share."""
    return place.auth_mode == model.OPEN and not place.traffic


def set_traffic(
    ctx: Ctx, endpoint: str, traffic: Mapping[str, int], *, mirror: Mapping[str, int] | None = None, reason: str = ""
) -> model.Endpoint:
    """Share requests between deployments, in whole per cents. Raises InvalidInput, Conflict, NotFound."""
    identity.permit(ctx, Action.ENDPOINT_WRITE, resource=f"endpoint/{endpoint}")
    assert ctx.workspace is not None
    before = get_endpoint(ctx, endpoint)
    shares = {name: share for name, share in traffic.items() if share > 0 or name in before.traffic}
    rules.check_traffic({**traffic}, _readiness(ctx, endpoint))
    values: dict[str, Any] = {"traffic": {name: share for name, share in shares.items() if share > 0}}
    if mirror is not None:
        rules.check_mirror(mirror, _readiness(ctx, endpoint))
        values["mirror_traffic"] = {name: share for name, share in mirror.items() if share > 0}
    after = replace(before, **values)
    if after != before:
        store.update_endpoint(ctx, ctx.workspace, endpoint, **values)
        events.record(
            ctx, "endpoint.traffic", before.id, before=before.traffic, after=after.traffic,
            mirror=after.mirror_traffic, reason=reason,
        )  # fmt: skip
        _publish(ctx)
    return after


def delete_deployment(ctx: Ctx, endpoint: str, name: str) -> None:
    """Raises Conflict while it takes traffic, NotFound."""
    identity.permit(ctx, Action.ENDPOINT_WRITE, resource=f"endpoint/{endpoint}")
    assert ctx.workspace is not None
    place = get_endpoint(ctx, endpoint)
    if place.traffic.get(name, 0) > 0:
        raise errors.Conflict(
            f"Deployment {name} takes {place.traffic[name]} % of the traffic", cure="Move its traffic first."
        )
    found = [
        each
        for each in store.deployments(ctx, ctx.workspace, endpoint, name)
        if each.status not in (model.Status.DELETED, model.Status.REPLACED)
    ]
    if not found:
        raise errors.NotFound(f"Endpoint {endpoint} has no deployment '{name}'")
    for each in found:
        store.switch_status(ctx, each, model.Status.DELETED)
    mirror = {key: share for key, share in place.mirror_traffic.items() if key != name}
    store.update_endpoint(ctx, ctx.workspace, endpoint, mirror_traffic=mirror)
    _publish(ctx)


def delete_endpoint(ctx: Ctx, name: str) -> None:
    """The endpoint and its deployments; its inference log stays."""
    identity.permit(ctx, Action.ENDPOINT_WRITE, resource=f"endpoint/{name}")
    assert ctx.workspace is not None
    found = get_endpoint(ctx, name)
    for each in store.deployments(ctx, ctx.workspace, name):
        store.switch_status(ctx, each, model.Status.DELETED)
    store.delete_endpoint(ctx, ctx.workspace, name)
    events.record(ctx, "endpoint.deleted", found.id)
    _publish(ctx)


def keys(ctx: Ctx, name: str) -> tuple[str, str]:
    """Primary and secondary key."""
    identity.permit(ctx, Action.ENDPOINT_KEYS, resource=f"endpoint/{name}")
    return keys_of(ctx, get_endpoint(ctx, name))


def reveal(ctx: Ctx, name: str) -> dict[str, Any]:
    """As ``credentials``, for somebody who is to see them: that is on record."""
    found = credentials(ctx, name)
    events.record(ctx, "endpoint.keys_read", get_endpoint(ctx, name).id)
    return found


def credentials(ctx: Ctx, name: str) -> dict[str, Any]:
    """What callers of the endpoint show: its keys, or a token for the actor, in Azure's words."""
    identity.permit(ctx, Action.ENDPOINT_KEYS, resource=f"endpoint/{name}")
    endpoint = get_endpoint(ctx, name)
    if endpoint.auth_mode not in model.TOKEN_MODES:
        primary, secondary = keys_of(ctx, endpoint)
        return {"primaryKey": primary, "secondaryKey": secondary}
    expires = int(ctx.now.timestamp()) + model.TOKEN_HOURS * 3600
    return {
        "accessToken": tokens.make(_token_seed(ctx, endpoint), ctx.actor.id, expires), "expiryTimeUtc": expires,
        "refreshAfterTimeUtc": expires - 3600, "tokenType": "Bearer",
    }  # fmt: skip


def _token_seed(ctx: Ctx, endpoint: model.Endpoint) -> bytes:
    """Another key of the endpoint is another seed: tokens end when the primary key is made anew."""
    name = f"{endpoint.id}/token/{endpoint.primary_generation}"
    return hashlib.sha256(ctx.port(secrets.Keys).derive(name).encode()).digest()


def token_key(ctx: Ctx, endpoint: model.Endpoint) -> str:
    return tokens.public(_token_seed(ctx, endpoint))


def permit_invoke(ctx: Ctx, name: str) -> str:
    """The key to call an endpoint with, for an actor who may call it. Raises NotPermitted, NotFound."""
    identity.permit(ctx, Action.ENDPOINT_INVOKE, resource=f"endpoint/{name}")
    endpoint = get_endpoint(ctx, name)
    if endpoint.auth_mode in model.TOKEN_MODES:
        return tokens.make(_token_seed(ctx, endpoint), ctx.actor.id, int(ctx.now.timestamp()) + 600)
    return keys_of(ctx, endpoint)[0]


def keys_of(ctx: Ctx, endpoint: model.Endpoint) -> tuple[str, str]:
    source = ctx.port(secrets.Keys)
    return (
        source.derive(f"{endpoint.id}/primary/{endpoint.primary_generation}"),
        source.derive(f"{endpoint.id}/secondary/{endpoint.secondary_generation}"),
    )


def key_digests(ctx: Ctx, endpoint: model.Endpoint) -> tuple[str, ...]:
    return tuple(hashlib.sha256(key.encode()).hexdigest() for key in keys_of(ctx, endpoint))


def doors(ctx: Ctx, endpoint: model.Endpoint) -> dict[str, Any]:
    """The ways in, as the gateway is asked for them."""
    by_token = endpoint.auth_mode in model.TOKEN_MODES
    return {
        "auth": "none" if endpoint.auth_mode == model.OPEN else "key",
        "keys_sha256": () if by_token else key_digests(ctx, endpoint),
        "token_key": token_key(ctx, endpoint) if by_token else "",
    }


def access(ctx: Ctx, name: str) -> str:
    """What the gateway tells of an endpoint once its keys are in force."""
    return protocol.Endpoint({}, **doors(ctx, get_endpoint(ctx, name))).access()


def regenerate_key(ctx: Ctx, name: str, which: str) -> tuple[str, str]:
    """Replace the ``primary`` or ``secondary`` key; the old one stops working at once. Raises InvalidInput."""
    identity.permit(ctx, Action.ENDPOINT_KEYS, resource=f"endpoint/{name}")
    if which not in ("primary", "secondary"):
        raise errors.InvalidInput(f"'{which}' is not a key", cure="Use primary or secondary.")
    before = get_endpoint(ctx, name)
    column = f"{which}_generation"
    store.update_endpoint(ctx, before.workspace, name, **{column: getattr(before, column) + 1})
    events.record(ctx, "endpoint.key_regenerated", before.id, key=which)
    _publish(ctx)
    return keys_of(ctx, get_endpoint(ctx, name))
