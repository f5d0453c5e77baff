"""What must hold of a release definition beyond its form, and reading its parts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from doubleloop.base import errors
from doubleloop.catalog import rules as references
from doubleloop.db.context import Ctx
from doubleloop.frames import contracts
from doubleloop.gates.checks import counterfactual, model_quality, responsible_ai
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.identity.model import WorkspaceKind
from doubleloop.releases import model, rules
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.workspaces import queries as workspaces


def model_name(reference: str) -> str:
    return references.parse(reference).name


def check(ctx: Ctx, document: documents.Document) -> None:
    """Raises InvalidInput with file and line, NotFound for a workspace, NotPermitted."""
    for path in documents.local_paths(document):
        raise errors.InvalidInput(
            f"'{path.path}' is a path of another machine", where=document.where(path.pointer),
            cure="Send the file with `doubleloop release create -f`, which uploads what it names.",
        )  # fmt: skip
    for position, stage in enumerate(document.model.stages):
        _check_stage(ctx, document, position, stage)


def _check_stage(ctx: Ctx, document: documents.Document, position: int, stage: Any) -> None:
    at = f"stages.{position}"
    workspace = workspaces.get(ctx, stage.workspace)
    if workspace.kind is WorkspaceKind.PRODUCTION and stage.approval is None:
        decision = identity.decide(ctx, Action.RELEASE_WRITE, stage.workspace)
        if not decision.allowed:
            raise errors.NotPermitted(
                f"{document.where(at)}: the stage in the production workspace {stage.workspace} asks for no approval, "
                f"and {ctx.actor.id} may not decide that alone",
                cure="Add `approval: {personas: [project_lead]}` to the stage.",
            )
    if stage.retrain and isinstance(stage.retrain.job, str):
        raise errors.NotSupported(
            "a release cannot yet repeat a job by its name", where=document.where(f"{at}.retrain.job"),
            cure="Name the job's file.",
        )  # fmt: skip
    if stage.endpoint and stage.deployment and stage.endpoint.name != stage.deployment.endpoint_name:
        raise errors.InvalidInput(
            f"the deployment belongs to endpoint '{stage.deployment.endpoint_name}', not '{stage.endpoint.name}'",
            where=document.where(f"{at}.deployment"), cure="Give both files the same endpoint name.",
        )  # fmt: skip
    for index, each in enumerate(stage.checks):
        try:
            _check_check(specs.plain(each), stage)
        except errors.InvalidInput as error:
            where = document.where(f"{at}.checks.{index}")
            raise errors.InvalidInput(error.what, where=where, cure=error.cure) from error


def _check_check(check_: dict[str, Any], stage: Any) -> None:
    type_ = check_["type"]
    if type_ == "data_quality":
        contracts.parse(check_["contract"])
    if type_ in ("model_quality", "robustness"):
        model_quality.metric_name(check_["metric"])
    if type_ == "responsible_ai":
        responsible_ai.check_bounds(check_)
        if target(check_, stage) is None:
            raise errors.InvalidInput(
                "the check names no target, and no model_quality check of its stage does", cure="Add `target: COLUMN`."
            )
        by_language = any(each.endswith(".language") for each in check_["sensitive"])
        if check_.get("language_model") and not (by_language and rules.pinned(check_["language_model"])):
            raise errors.InvalidInput(
                f"the language_model '{check_['language_model']}' is asked for nothing, or may be another one tomorrow",
                cure="Name a version (azureml:NAME:VERSION), and COLUMN.language among `sensitive`.",
            )
    if type_ == "counterfactual":
        counterfactual.check_pairs(check_["swap"])
    held = ("model_quality", "responsible_ai", "counterfactual", "robustness")
    if type_ in held and not rules.pinned(check_["data"]):
        raise errors.InvalidInput(
            f"the hold-out '{check_['data']}' may become other rows tomorrow, so nothing could be compared on it",
            cure="Name a version (azureml:NAME:VERSION) or a label that you move (azureml:NAME@production).",
        )


def target(check_: dict[str, Any], stage: Any) -> str | None:
    """The column of true values: the check's own, else that of the stage's model_quality check."""
    named = [each.target for each in stage.checks if each.type == "model_quality"]
    return check_.get("target") or next(iter(named), None)


def document_of(definition: model.Definition) -> documents.Document:
    return documents.from_wire(definition.document)


def commits(definition: model.Definition) -> list[dict[str, Any]]:
    """What the code of its jobs and deployments was taken from."""
    return [asdict(each) for each in document_of(definition).source.commits]


def nested(definition: model.Definition, pointer: str) -> documents.Document:
    return documents.nested(document_of(definition), pointer)


def stage_of(definition: model.Definition, position: int) -> Any:
    return document_of(definition).model.stages[position]
