"""Steps that only read and write the database: entering a stage, the gate's verdict, people, turns, the end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from doubleloop.base import actors, clock
from doubleloop.bundles import queries as bundles
from doubleloop.catalog import commands as catalog
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import queries as facts
from doubleloop.gates import commands as gate_commands
from doubleloop.gates import model as gate_model
from doubleloop.gates import queries as gates
from doubleloop.gates import rules as gate_rules
from doubleloop.identity import queries as identities
from doubleloop.jobs import queries as jobs
from doubleloop.models import queries as models
from doubleloop.releases import commands, definitions, model, queries, rules, store

ACTOR = actors.service("releases")
LONGEST_WAIT_S = 3600.0

Ending = dict[str, Any]


def failed(*reasons: str) -> Ending:
    return {"status": model.Status.FAILED.value, "reasons": list(reasons)}


def wanted_end(release: model.Release) -> Ending | None:
    """The end that somebody has asked for."""
    if release.ending is None:
        return None
    return {"status": release.ending["status"], "reasons": [release.ending["reason"]]}


def load(ctx: Ctx, id_: str, *, lock: bool = False) -> tuple[model.Release, model.Definition]:
    release = queries.find(ctx, id_, lock=lock)
    return release, queries.find_definition(ctx, release.definition, release.definition_version)


def begin(contexts: Contexts, id_: str) -> dict[str, Any]:
    with contexts.write(ACTOR) as ctx:
        release, definition = load(ctx, id_)
        version = models.get(ctx, release.model, release.version)
        catalog.link(ctx, version.id, "released", release.subject)
        return {"stages": len(definition.workspaces)}


def enter(contexts: Contexts, id_: str, position: int) -> dict[str, Any]:
    """What the stage asks for: {"end"} or {"retrain", "deployment", "sign", "checks": [types], "approval", "early"}.

    ``early`` tells that the deployment stands, without traffic, before people are asked, because a check needs it or
    because nobody is asked; otherwise nothing is put into the workspace before they have said yes.
    """
    with contexts.write(ACTOR) as ctx:
        release, definition = load(ctx, id_, lock=True)
        end = wanted_end(release)
        if end:
            return {"end": end}
        release = store.enter(ctx, release, position)
        stage = definitions.stage_of(definition, position)
        types = [check.type for check in stage.checks]
        early = bool(stage.deployment) and bool(types) and (stage.approval is None or "endpoint_performance" in types)
        last = position == len(definition.workspaces) - 1
        later = definitions.document_of(definition).model.stages[position:]
        return {
            "end": None, "retrain": stage.retrain is not None, "deployment": stage.deployment is not None,
            "sign": any(each.deployment for each in later),
            "checks": types, "approval": stage.approval is not None, "early": early,
            "rollout": stage.rollout is not None or last,
        }  # fmt: skip


def judge(contexts: Contexts, id_: str) -> Ending | None:
    """The gate: what the definition asks for, against the evidence that was deposited. Nothing else counts."""
    with contexts.write(ACTOR) as ctx:
        release, definition = load(ctx, id_)
        stage = definitions.stage_of(definition, release.position)
        altered = gates.altered(ctx, release.subject)
        if altered:
            return failed(f"the evidence of {', '.join(altered)} was changed after it was deposited")
        held = gates.evidence(ctx, release.subject)
        required = rules.required(release.position, [check.type for check in stage.checks])
        verdict = gate_rules.judge(required, held)
        store.tell_once(
            ctx, release, "release.judged", outcome=verdict.outcome.value, reasons=list(verdict.reasons),
            evidence_digest=gate_rules.digest(rules.of_stages(held, release.position)),
        )  # fmt: skip
        return None if verdict.passed else failed(*verdict.reasons)


def judge_scans(contexts: Contexts, id_: str) -> Ending | None:
    """Only the scans of the stage, before anything loads what they looked at."""
    with contexts.read(ACTOR) as ctx:
        release, definition = load(ctx, id_)
        stage = definitions.stage_of(definition, release.position)
        required = rules.required(release.position, [check.type for check in stage.checks])
        scans = [name for name in required if name.endswith(":scan")]
        verdict = gate_rules.judge(scans, gates.evidence(ctx, release.subject))
    return None if verdict.passed else failed(*verdict.reasons)


def overtake(ctx: Ctx, release: model.Release) -> None:
    """Older releases of this definition that have not begun to move traffic end here: this one is newer, and has
    come as far with everything checked."""
    store.lock_definition(ctx, release.definition)
    why = f"superseded by release {release.number} ({release.id}) of {release.model}:{release.candidate}"
    for other in rules.overtaken(release, store.active(ctx, release.definition)):
        commands.ask_to_end(ctx, other, model.Status.SUPERSEDED, why)
        gate_commands.withdraw(ctx, other.subject, why)


def ask_people(contexts: Contexts, id_: str) -> dict[str, Any]:
    """Open the approval, pinned to the evidence so far: {"end"} or {"topic"}."""
    with contexts.write(ACTOR) as ctx:
        release, definition = load(ctx, id_, lock=True)
        end = wanted_end(release)
        if end:
            return {"end": end}
        if release.stage.approval:
            return {"end": None, "topic": release.topic}
        overtake(ctx, release)
        ctx = ctx.in_workspace(release.workspace)
        asked = definitions.stage_of(definition, release.position).approval
        held = rules.of_stages(gates.evidence(ctx, release.subject), release.position)
        approval = gate_commands.open_approval(
            ctx, release.subject, personas=[str(each) for each in asked.personas], count=asked.count,
            not_author=_authors(ctx, release, definition) if asked.not_author else {},
            expires_at=ctx.now + clock.duration(asked.expires), evidence_digest=gate_rules.digest(held),
            notify=release.workflow, gate=str(release.position),
        )  # fmt: skip
        topic = f"approval:{approval.id}"
        release = store.note_stage(ctx, release, approval=approval.id, phase="waiting for approval")
        release = store.note(ctx, release, topic=topic)
        store.switch_status(
            ctx, release, model.Status.WAITING, "release.waiting", approval=approval.id,
            personas=list(approval.personas), count=approval.count, evidence_digest=approval.evidence_digest,
            expires_at=clock.iso(approval.expires_at) if approval.expires_at else None,
        )  # fmt: skip
        return {"end": None, "topic": topic}


def _authors(ctx: Ctx, release: model.Release, definition: model.Definition) -> dict[str, str]:
    numbers = dict.fromkeys([release.version, release.candidate])
    versions = [models.get(ctx, release.model, number) for number in numbers]
    found = [jobs.get(ctx, version.job) for version in versions if version.job]
    elsewhere = [bundles.authors(ctx, release.model, number) for number in numbers]
    started = [job for job in found if job is not None]
    commits = [*(each for job in started for each in job.commits), *definitions.commits(definition)]
    written = [each for each in store.definition_versions(ctx, definition.name) if each.version <= definition.version]
    named = rules.authors(
        release, written, versions, started, identities.wrote(ctx, commits),
        _retried(ctx, started),
    )  # fmt: skip
    return {name: why for each in (*elsewhere, named) for name, why in each.items()}


def _retried(ctx: Ctx, started: Sequence[Any]) -> list[tuple[str, str]]:
    """Who let a job run again that somebody else had submitted, and which."""
    return [
        (fact.actor, job.id)
        for job in started
        for fact in facts.facts(ctx, types=["job.retried"], subject=f"job:{job.id}")
    ]


def hear_people(contexts: Contexts, id_: str) -> dict[str, Any]:
    """Where the approval stands: {"end"}, {"go": True}, or {"wait": seconds until the next look}."""
    with contexts.write(ACTOR) as ctx:
        release, _ = load(ctx, id_, lock=True)
        approval = gate_commands.expire(ctx.in_workspace(release.workspace), release.stage.approval)
        end = wanted_end(release)
        if end:
            return {"end": end}
        if approval.status is gate_model.ApprovalStatus.OPEN:
            left = (approval.expires_at - ctx.now) if approval.expires_at else timedelta(seconds=LONGEST_WAIT_S)
            return {"end": None, "wait": min(LONGEST_WAIT_S, max(0.05, left.total_seconds()))}
        if approval.status is gate_model.ApprovalStatus.APPROVED:
            gone = void(ctx, release, approval)
            if gone:
                return {"end": failed(gone)}
            store.switch_status(
                ctx, release, model.Status.RUNNING, "release.approved", approval=approval.id,
                approvers=list(approval.approvers), evidence_digest=approval.evidence_digest,
            )  # fmt: skip
            return {"end": None, "go": True}
        return {"end": _ending_of(approval)}


def void(ctx: Ctx, release: model.Release, approval: gate_model.Approval) -> str:
    """Why the approval no longer stands: what lies before the gate is not what people said yes to. Empty: it stands."""
    altered = gates.altered(ctx, release.subject)
    held = rules.of_stages(gates.evidence(ctx, release.subject), int(approval.gate))
    if not altered and gate_rules.digest(held) == approval.evidence_digest:
        return ""
    which = f" ({', '.join(altered)})" if altered else ""
    return f"the approval is void: the evidence was changed{which} after it had been given on it"


def _ending_of(approval: gate_model.Approval) -> Ending:
    if approval.status is gate_model.ApprovalStatus.REJECTED:
        said = next(each for each in approval.decisions if each.decision == "reject")
        return {"status": model.Status.REJECTED.value, "reasons": [f"rejected by {said.actor}: {said.comment}"]}
    if approval.status is gate_model.ApprovalStatus.EXPIRED:
        asked = f"{len(approval.approvers)} of {approval.count} approvals by {' or '.join(approval.personas)}"
        until = clock.iso(approval.expires_at) if approval.expires_at else "its end"
        return {"status": model.Status.EXPIRED.value, "reasons": [f"{asked} until {until}"]}
    return {"status": model.Status.SUPERSEDED.value, "reasons": [approval.reason or "the approval was withdrawn"]}


def ending_without_workflow(contexts: Contexts, id_: str) -> Ending:
    """How a release ends whose workflow is gone: as somebody asked, or completed if it has passed all stages."""
    with contexts.read(ACTOR) as ctx:
        release, _ = load(ctx, id_)
    if all(stage.passed_at for stage in release.stages):
        return {"status": model.Status.COMPLETED.value, "reasons": []}
    return wanted_end(release) or failed("Doubleloop itself failed: the worker's log says more; start it again")


def finish(contexts: Contexts, id_: str, ending: Ending) -> dict[str, Any]:
    """Write the end and its fact. Raises nothing: an ended release stays as it ended."""
    status = model.Status(ending["status"])
    with contexts.write(ACTOR) as ctx:
        release, _ = load(ctx, id_, lock=True)
        gate_commands.withdraw(ctx, release.subject, f"the release is {status}")
        store.switch_status(ctx, release, status, f"release.{status}", reasons=ending["reasons"])
        store.note_stage(ctx, release, phase=status.value)
        return {"release": id_, "status": status.value, "reasons": ending["reasons"]}
