"""Running a project's own tests in the environment that its model was trained in."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from typing import Any

from doubleloop.base import actors, clock, errors
from doubleloop.compute import model as compute
from doubleloop.db.context import Contexts
from doubleloop.environments import commands as environments
from doubleloop.environments import model as environment_model
from doubleloop.environments import queries as pins
from doubleloop.environments.sources import EnvironmentSource
from doubleloop.gates.checks import unit_tests
from doubleloop.jobs import queries as jobs
from doubleloop.models import queries as models
from doubleloop.releases import model, running
from doubleloop.settings.model import Settings
from doubleloop.storage import ports as storage

ACTOR = actors.service("releases")
DEFAULT_TIMEOUT = "30m"
_PYTEST = environment_model.Requirement("pytest", 0, "the unit_tests check")


def measure(contexts: Contexts, question: model.Question) -> model.Measured:
    """Exit code and JUnit report of the check's command; log and report are kept as attachments."""
    check = question.check
    source = _source(contexts, question)
    prepared = environments.prepare(contexts, question.workspace, source)
    blobs = contexts.port(storage.Blobs)

    def ask(attempt: int) -> compute.StepRun:
        place = running.folder(contexts, question.run, attempt)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        written = check.get("environment_variables", {})
        # pytest takes options from here, so the command stays as its author wrote it.
        options = f"{written.get('PYTEST_ADDOPTS', '')} --junitxml={shlex.quote(str(place / 'junit.xml'))}"
        variables = {**running.QUIET, **written, "PYTEST_ADDOPTS": options.strip(), "DOUBLELOOP_CHECK": "unit_tests"}
        return compute.StepRun(
            id=question.run, attempt=attempt,
            command=f"cd {shlex.quote(check.get('directory') or '.')} && {check['command']}",
            python=prepared.python, env=variables,
            code=blobs.materialise(check["code"], place / "code", writable=True) if check.get("code") else None,
            timeout_s=clock.duration(check.get("timeout") or DEFAULT_TIMEOUT).total_seconds(),
            quota_bytes=contexts.port(Settings).step_quota,
        )  # fmt: skip

    status, attempt = running.finished(contexts, question.run, ask)
    report = running.folder(contexts, question.run, attempt) / "junit.xml"
    attachments = {"log": f"blob:sha256:{blobs.put_bytes(running.log(contexts, question.run, attempt))}"}
    counts = None
    if report.exists():
        attachments["report"] = f"blob:sha256:{blobs.put_file(report)}"
        counts = unit_tests.parse(report.read_bytes())
    exit_ = status.exit
    body = {
        "exit_code": exit_.exit_code if exit_ else None,
        "reason": status.message or status.reason,
        "report": counts,
        "environment_lock": prepared.lock_digest,
    }
    return model.Measured(body, attachments)


def _source(contexts: Contexts, question: model.Question) -> EnvironmentSource:
    """The check's own environment, else that of the step that registered the candidate, else the model's; with pytest
    in it, which few training environments hold."""
    source = _written(contexts, question)
    if any(each.name == "pytest" for each in source.spec.requirements):
        return source
    return replace(source, asset=None, spec=replace(source.spec, requirements=(*source.spec.requirements, _PYTEST)))


def _written(contexts: Contexts, question: model.Question) -> EnvironmentSource:
    wanted: Any = question.check.get("environment")
    with contexts.read(ACTOR, question.workspace) as ctx:
        version = models.get(ctx, *question.candidate)
        trained_by = question.job or version.job
        job = jobs.get(ctx, trained_by) if trained_by else None
        if wanted is None and job is not None:
            steps = jobs.steps(ctx.in_workspace(job.workspace), job.id)
            step = next((each for each in steps if each.name == version.step), steps[0] if steps else None)
            wanted = step.task.environment if step else None
        if wanted is not None:
            place = ctx.in_workspace(job.workspace) if job is not None else ctx
            return pins.resolve(place, wanted)
    folder = contexts.port(Settings).home / "releases" / "models" / version.digest / "model"
    if not folder.exists():
        contexts.port(storage.Blobs).materialise(version.reference, folder)
    try:
        return environments.source_of_model(folder)
    except errors.InvalidInput as error:
        raise errors.InvalidInput(
            f"There is no environment to run the tests in: {error.what}", cure="Name an `environment` in the check."
        ) from error
