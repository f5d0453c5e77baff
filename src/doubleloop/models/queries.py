"""Finding model versions and champions."""

from __future__ import annotations

from doubleloop.base import errors
from doubleloop.catalog import model as catalog
from doubleloop.catalog import queries as assets
from doubleloop.db.context import Ctx
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.models import model, rules
from doubleloop.workspaces.model import REGISTRY


def from_asset(asset: catalog.Asset) -> model.ModelVersion:
    spec = asset.spec
    return model.ModelVersion(
        asset.name, asset.version, spec.get("workspace"), asset.digest, spec["reference"], spec["flavor"],
        spec.get("run_id"), asset.job, spec.get("step"), asset.created_by, asset.created_at, spec.get("signature"),
        tuple(spec.get("authors", ())), spec.get("tags", {}), spec.get("description", ""), asset.labels,
        tuple(spec.get("training_data", ())), spec.get("number") or asset.version, spec.get("properties", {}),
    )  # fmt: skip


def find(ctx: Ctx, name: str, version: str) -> model.ModelVersion | None:
    asset = assets.get(ctx, "model", REGISTRY, name, version)
    return from_asset(asset) if asset else None


def numbered(ctx: Ctx, name: str, number: str) -> model.ModelVersion | None:
    """The version that MLflow knows by this number."""
    found = map(from_asset, assets.versions(ctx.in_workspace(REGISTRY), "model", name))
    return next((each for each in found if each.number == number), None)


def get(ctx: Ctx, name: str, version: str) -> model.ModelVersion:
    """Raises NotFound."""
    identity.permit(ctx, Action.MODEL_READ, ctx.workspace or REGISTRY)
    return from_asset(assets.resolve(ctx.in_workspace(REGISTRY), "model", f"{name}:{version}"))


def resolve(ctx: Ctx, reference: str) -> model.ModelVersion:
    """``azureml:bikes:3``, ``bikes@latest``, ``bikes`` (newest), ``bikes@champion.prod``. Raises NotFound."""
    identity.permit(ctx, Action.MODEL_READ, ctx.workspace or REGISTRY)
    return from_asset(assets.resolve(ctx.in_workspace(REGISTRY), "model", reference))


def versions(ctx: Ctx, name: str) -> list[model.ModelVersion]:
    """Newest first."""
    identity.permit(ctx, Action.MODEL_READ, ctx.workspace or REGISTRY)
    return [from_asset(asset) for asset in assets.versions(ctx.in_workspace(REGISTRY), "model", name)]


def names(ctx: Ctx, archived: bool = False) -> list[model.ModelVersion]:
    """The newest version of each model; of archived ones too when asked for."""
    sees = things.seen(ctx.in_workspace(ctx.workspace or REGISTRY), Action.MODEL_READ, "model")
    return [
        from_asset(asset) for asset in assets.names(ctx.in_workspace(REGISTRY), "model", archived) if sees(asset.name)
    ]


def all_versions(ctx: Ctx) -> list[model.ModelVersion]:
    return [version for newest in names(ctx) for version in versions(ctx, newest.name)]


def champion(ctx: Ctx, name: str, workspace: str) -> model.ModelVersion | None:
    """The version that serves in ``workspace``, if there is one."""
    try:
        return resolve(ctx, f"{name}@{rules.champion_label(workspace)}")
    except errors.NotFound:
        return None


def of_job(ctx: Ctx, job: str, name: str | None = None) -> list[model.ModelVersion]:
    """Versions that a job registered, newest first."""
    found = [each for each in all_versions(ctx) if each.job == job]
    return [each for each in found if name is None or each.name == name]
