"""Looking at a model's files and at the packages of its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doubleloop.base import actors, verdicts
from doubleloop.components import queries as components
from doubleloop.db.context import Contexts
from doubleloop.environments import commands as environments
from doubleloop.jobs import queries as jobs
from doubleloop.models import model as models_model
from doubleloop.models import queries as models
from doubleloop.quarantine import advisories, pickles
from doubleloop.quarantine import model as quarantine
from doubleloop.releases import model
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage
from doubleloop.workspaces import queries as workspaces

ACTOR = actors.service("releases")


def measure(contexts: Contexts, question: model.Question) -> model.Measured:
    """``{"model", "packages"}`` as ``gates.checks.scan`` judges them."""
    with contexts.read(ACTOR, question.workspace) as ctx:
        version = models.get(ctx, *question.candidate)
        settings = workspaces.get(ctx, question.workspace).settings
    folder = contexts.port(Settings).home / "releases" / "models" / version.digest / "model"
    if not folder.exists():
        contexts.port(storage.Blobs).materialise(version.reference, folder)
    body: dict[str, Any] = {"model": None, "packages": None, "digest": version.digest}
    if question.check.get("model", True):
        body["model"] = _files(folder, settings.get("model_files") or {})
    if question.check.get("packages", True):
        body["packages"] = _packages(contexts, question.workspace, version, folder)
    return model.Measured(body)


def _files(folder: Path, allowed: dict[str, Any]) -> dict[str, Any]:
    known = (*jobs.classes_of_trainer(folder), *components.classes_of_catalog(folder))
    names = (*allowed.get("allow", ()), *known)
    policy = quarantine.Policy(names, bool(allowed.get("allow_code", False)))
    found = pickles.scan(folder, policy)
    blocking = [each for each in found if each.severity in quarantine.BLOCKING]
    return {
        "files": sum(1 for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 1,
        "findings": [{"file": each.file, "what": f"{each.global_name} {each.why}".strip()} for each in blocking],
        "notes": [str(each) for each in found if each.severity not in quarantine.BLOCKING],
    }


def _packages(contexts: Contexts, workspace: str, version: models_model.ModelVersion, folder: Path) -> dict[str, Any]:
    """Every pinned package of the model's environment against the advisories. Resolving the pins runs no model code."""
    prepared = environments.prepare(contexts, workspace, environments.source_of_model(folder))
    pins = [(name, number) for name, _, number in (each.partition("==") for each in prepared.lock.requirements)]
    place = contexts.port(Settings).advisories
    result = advisories.check(pins, Path(place) if place else None)
    checked = result.verdict.outcome is not verdicts.Outcome.NOT_CHECKED
    return {
        "checked": checked,
        "reason": "" if checked else "; ".join(result.verdict.reasons),
        "notes": list(result.verdict.reasons) if checked else [],
        "count": len(pins),
        "environment_lock": prepared.lock_digest,
        "findings": [
            {
                "package": each.package, "version": each.version, "id": each.id, "aliases": list(each.aliases),
                "severity": each.severity, "summary": each.summary, "fixed": list(each.fixed),
            }
            for each in result.findings
        ],
    }  # fmt: skip
