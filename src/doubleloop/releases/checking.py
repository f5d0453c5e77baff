"""One check of a stage: measure, judge by its rules, deposit the evidence once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from doubleloop.base import clock, errors, verdicts
from doubleloop.catalog import commands as catalog
from doubleloop.db.context import Contexts, Ctx
from doubleloop.gates import commands as gate_commands
from doubleloop.gates import queries as gates
from doubleloop.gates.checks import (
    counterfactual,
    data_quality,
    endpoint_performance,
    model_quality,
    responsible_ai,
    robustness,
    scan,
    unit_tests,
)
from doubleloop.releases import definitions, measuring, model, rolling, rules, running, stages, store
from doubleloop.specs import model as specs

LOG = logging.getLogger("doubleloop.releases")
TRIES = 4

_JUDGES: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], verdicts.Verdict]] = {
    "counterfactual": counterfactual.judge,
    "data_quality": data_quality.judge,
    "endpoint_performance": endpoint_performance.judge,
    "model_quality": model_quality.judge,
    "responsible_ai": responsible_ai.judge,
    "robustness": robustness.judge,
    "scan": scan.judge,
    "unit_tests": unit_tests.judge,
}


def check(contexts: Contexts, id_: str, index: int, attempt: int) -> dict[str, Any]:
    """{"end"}, {"retry": why}, or {"outcome"}. A repetition after a crash measures again unless the evidence lies
    there already; it is never deposited twice."""
    with contexts.write(stages.ACTOR) as ctx:
        release, definition = stages.load(ctx, id_, lock=True)
        end = stages.wanted_end(release)
        if end:
            return {"end": end}
        question = _question(ctx, release, definition, index)
        name = rules.check_name(release.position, index, question.check["type"])
        known = gates.find_evidence(ctx, release.subject, name)
        if known:
            running.forget(contexts, question.run)
            return {"end": None, "outcome": known.outcome.value}
        release = store.note_stage(ctx, release, phase=f"checking {question.check['type']}"[:40])
        if question.check["type"] == "model_quality" and question.check.get("champion") is not None:
            store.note_stage(ctx, release, champion_judged=question.champion[1] if question.champion else "")
    try:
        measured = measuring.chosen(contexts).measure(contexts, question)
        verdict = _JUDGES[question.check["type"]](question.check, measured.body)
    except errors.Unavailable as error:
        if attempt < TRIES:
            return {"end": None, "retry": str(error)}
        measured, verdict = model.Measured({}), verdicts.not_checked(f"could not be measured: {error}")
    except errors.DoubleloopError as error:
        measured, verdict = model.Measured({}), verdicts.failed(f"could not be measured: {error}")
    except Exception as error:  # a fault of ours or of a library must not pass a gate, nor leave a release hanging
        LOG.exception("check %s of %s", name, id_)
        measured = model.Measured({})
        verdict = verdicts.failed(f"could not be measured: {type(error).__name__}: {error}"[:2000])
    answer = _deposit(contexts, id_, question, name, verdict, measured)
    running.forget(contexts, question.run)
    return answer


def _question(ctx: Ctx, release: model.Release, definition: model.Definition, index: int) -> model.Question:
    stage = definitions.stage_of(definition, release.position)
    check_ = specs.plain(stage.checks[index])
    reigning = rolling.champion(ctx, release, rolling.champion_workspace(definition))
    spec = definitions.document_of(definition).model
    holdouts = [
        each.data for known in spec.stages for each in known.checks if each.type in ("model_quality", "responsible_ai")
    ]
    return model.Question(
        run=f"{release.id}-s{release.position}c{index}",
        workspace=release.workspace,
        check=check_,
        candidate=(release.model, release.candidate),
        champion=(release.model, reigning) if reigning else None,
        target=definitions.target(check_, stage),
        signature=release.stage.signature,
        holdouts=tuple(dict.fromkeys(holdouts)),
        endpoint=release.stage.endpoint,
        deployment=release.stage.deployment,
        deployment_name=release.stage.deployment_name,
        job=release.stage.job,
        asked_at=clock.iso(ctx.now),
    )


def _deposit(
    contexts: Contexts,
    id_: str,
    question: model.Question,
    name: str,
    verdict: verdicts.Verdict,
    measured: model.Measured,
) -> dict[str, Any]:
    with contexts.write(stages.ACTOR) as ctx:
        release, definition = stages.load(ctx, id_)
        ctx = ctx.in_workspace(release.workspace)
        body = {
            "check": question.check,
            "measurements": measured.body,
            "model": f"{question.candidate[0]}:{question.candidate[1]}",
            "champion": f"{question.champion[0]}:{question.champion[1]}" if question.champion else None,
            "definition": {"name": definition.name, "version": definition.version, "hash": definition.hash},
            "workspace": question.workspace,
        }
        evidence = gate_commands.deposit(ctx, release.subject, name, verdict, body, measured.attachments)
        for data in measured.body.get("data_ids", []):
            catalog.link(ctx, data, "checked", release.subject)
        return {"end": None, "outcome": evidence.outcome.value}
