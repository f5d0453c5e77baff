"""What goes to production goes as one signed bundle and is deployed from that, never from a preproduction workspace."""

from __future__ import annotations

from typing import Any

from doubleloop.base import clock, errors
from doubleloop.bundles import commands as bundles
from doubleloop.bundles import model as bundle_model
from doubleloop.bundles import queries as bundle_queries
from doubleloop.db.context import Contexts, Ctx
from doubleloop.endpoints import queries as endpoints
from doubleloop.identity.model import WorkspaceKind
from doubleloop.releases import definitions, model, stages, store
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.workspaces import queries as workspaces


def pack(contexts: Contexts, id_: str) -> stages.Ending | None:
    """The bundle of a release that has come to a production workspace; elsewhere there is nothing to do.

    Called before the deployment, and again once it serves: then with what was decided and measured since.
    """
    with contexts.read(stages.ACTOR) as ctx:
        release, definition = stages.load(ctx, id_)
        if workspaces.get(ctx, release.workspace).kind is not WorkspaceKind.PRODUCTION:
            return None
        wanted = _wanted(ctx, release, definition)
    try:
        made = bundles.pack(contexts, stages.ACTOR, wanted)
    except errors.DoubleloopError as error:
        return stages.failed(f"the bundle could not be made: {error}")
    with contexts.write(stages.ACTOR) as ctx:
        release, _ = stages.load(ctx, id_, lock=True)
        store.tell_once(ctx, release, "release.bundled", ("bundle",), bundle=made.digest, key=made.key)
    return None


def _wanted(ctx: Ctx, release: model.Release, definition: model.Definition) -> bundle_model.Wanted:
    said = {
        "id": release.id, "number": release.number, "definition": definition.name,
        "definition_version": definition.version, "definition_hash": definition.hash,
        "definition_document": definition.document, "workspace": release.workspace, "position": release.position,
        "stages": [stage.workspace for stage in release.stages], "trigger": release.trigger,
        "created_by": release.created_by, "created_at": clock.iso(release.created_at),
    }  # fmt: skip
    deployment = definitions.stage_of(definition, release.position).deployment
    code = deployment.code_configuration.code if deployment and deployment.code_configuration else ""
    return bundle_model.Wanted(
        said, release.subject, release.workspace, (release.model, release.candidate),
        _lock(ctx, release, deployment), str(code or ""),
    )  # fmt: skip


def _lock(ctx: Ctx, release: model.Release, deployment: Any) -> str:
    """The packages that the candidate was tested with on its way here, when it is deployed into the same environment;
    else those that it runs with here, once it does."""
    for stage in (release.stage, *reversed(release.stages[: release.position])):
        if not stage.deployment or deployment is None:
            continue
        made = endpoints.deployment(ctx.in_workspace(stage.workspace), stage.deployment)
        before = documents.from_wire(made.spec).model.environment
        is_same = _plain(before) == _plain(deployment.environment)
        if made.environment_lock and is_same and made.model_version == release.candidate:
            return made.environment_lock
    return ""


def _plain(environment: Any) -> Any:
    return environment if environment is None or isinstance(environment, str) else specs.plain(environment)


def lock(ctx: Ctx, release: model.Release) -> str:
    """The environment lock of the release's bundle, checked against its signature. Raises Failed when it does not
    hold; empty when there is no bundle, or none of a tested environment."""
    made = bundle_queries.of_release(ctx, release.id)
    if made is None or made.workspace != release.workspace:
        return ""
    bundle_queries.verify(ctx, made)
    environment = bundle_queries.manifest(ctx, made)["environment"]
    return str(environment["digest"]) if environment else ""
