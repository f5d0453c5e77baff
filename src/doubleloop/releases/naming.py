"""What an id that somebody asks about names: a release, a decision, a deployment, a job, a model version, data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from doubleloop.base import errors
from doubleloop.catalog import queries as assets
from doubleloop.data import model as data_model
from doubleloop.data import queries as datasets
from doubleloop.db.context import Ctx
from doubleloop.endpoints import model as endpoints
from doubleloop.endpoints import queries as endpoint_queries
from doubleloop.gates import queries as gates
from doubleloop.jobs import model as jobs_model
from doubleloop.jobs import queries as jobs
from doubleloop.models import model as models_model
from doubleloop.models import queries as models
from doubleloop.releases import model, store
from doubleloop.workspaces import queries as workspaces
from doubleloop.workspaces.model import REGISTRY


def release(ctx: Ctx, id_: str) -> model.Release | None:
    """By id or number."""
    return store.get(ctx, id_) or (store.by_number(ctx, int(id_)) if id_.isdigit() else None)


def decided(ctx: Ctx, id_: str) -> model.Release | None:
    """The release that an approval is about."""
    try:
        asked = gates.approval(ctx, id_)
    except errors.NotFound:
        return None
    return store.get(ctx, asked.subject.removeprefix("release:"))


def deployment(ctx: Ctx, id_: str) -> endpoints.Deployment | None:
    try:
        return endpoint_queries.deployment(ctx, id_)
    except errors.NotFound:
        return None


def deployment_named(ctx: Ctx, name: str) -> endpoints.Deployment | None:
    """By its name (``blue-r1``, ``bikes/blue-r1``, ``prod/bikes/blue-r1``) among those there are now that the actor may
    read. Raises InvalidInput when several have it."""
    parts = name.split("/")
    found = [each for each in _deployments(ctx) if [each.workspace, each.endpoint, each.name][-len(parts) :] == parts]
    if len(found) > 1:
        whole = ", ".join(f"{each.workspace}/{each.endpoint}/{each.name}" for each in found)
        raise errors.InvalidInput(f"Several deployments are named '{name}'", cure=f"Name one of {whole}.")
    return found[0] if found else None


def _deployments(ctx: Ctx) -> Iterator[endpoints.Deployment]:
    for workspace in workspaces.visible(ctx):
        place = ctx.in_workspace(workspace.name)
        with contextlib.suppress(errors.NotPermitted):
            for endpoint in endpoint_queries.endpoints(place):
                yield from endpoint_queries.deployments(place, endpoint.name)


def job(ctx: Ctx, id_: str) -> jobs_model.Job | None:
    """Raises NotPermitted for one of a workspace that the actor may not read."""
    return jobs.get(ctx, id_)


def version(ctx: Ctx, id_: str) -> models_model.ModelVersion | None:
    if ":" not in id_ and "@" not in id_:
        return None
    try:
        return models.resolve(ctx, id_.removeprefix("model:").rpartition("/")[2])
    except (errors.NotFound, errors.InvalidInput):
        return None


def data(ctx: Ctx, id_: str) -> list[data_model.DataVersion]:
    """The versions that ``prod/rides:3`` or ``rides:3`` names in the places that the actor may read; a name alone may
    mean one in several workspaces."""
    place, _, reference = id_.removeprefix("data:").removeprefix("azureml:").rpartition("/")
    if ":" not in reference and "@" not in reference:
        return []
    seen = [place] if place else [*(each.name for each in workspaces.visible(ctx)), REGISTRY]
    found: dict[str, data_model.DataVersion] = {}
    for each in dict.fromkeys(seen):
        with contextlib.suppress(errors.NotFound, errors.InvalidInput, errors.NotPermitted):
            known = datasets.resolve(ctx.in_workspace(each), reference)
            found[known.id] = known
    return list(found.values())


def led_to(ctx: Ctx, ids: list[str]) -> list[str]:
    """What was made of these, nearest first: steps, models, releases."""
    return list(dict.fromkeys(edge.target for id_ in ids for edge in assets.descent(ctx, id_)))
