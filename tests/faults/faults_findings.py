"""What a release left behind, with everything taken out that may differ from one to the next."""

from __future__ import annotations

from collections import Counter
from typing import Any

from faults_site import ENDPOINT, LOOK, MODEL, PROD, STAGING, Site

from doubleloop.endpoints import model as endpoint_model
from doubleloop.endpoints import queries as endpoints
from doubleloop.endpoints import store as endpoint_store
from doubleloop.endpoints import workflows as deploying
from doubleloop.gates import queries as gates
from doubleloop.gateway import protocol
from doubleloop.jobs import queries as jobs
from doubleloop.models import queries as models
from doubleloop.releases import queries as releases

CHECKS = ["scan", "data_quality", "unit_tests", "model_quality", "endpoint_performance"]
ONCE = (
    "release.started", "release.candidate", "release.waiting", "approval.opened", "approval.given", "approval.closed",
    "release.approved", "release.rolling_out", "release.promoted", "release.completed",
)  # fmt: skip

# The one end that every release must have.
EXPECTED: dict[str, Any] = {
    "status": "completed", "reasons": [], "phases": ["passed", "completed"],
    "facts that must be told once": dict.fromkeys(ONCE, 1),
    "stages entered": 2,
    "evidence": [(f"0.{index}:{check}", "passed") for index, check in enumerate(CHECKS)],
    "altered evidence": [],
    "approvals": [("approved", ["grace approve"])],
    "retrain jobs": ["completed"],
    "deployments": {STAGING: [("blue", "deleted")], PROD: [("blue", "ready")]},
    "deployments made": {STAGING: 1, PROD: 1},
    "deployments that became ready": {STAGING: 1, PROD: 1},
    "production traffic": {"blue": 100.0},
    "champion is the candidate": True,
    "candidate is the job's": True,
    "desired state is that of the tables": True,
}  # fmt: skip


def of_release(site: Site, id_: str, number: int) -> dict[str, Any]:
    """``blue-r3`` of release 3 is told as ``blue``, so that all releases tell the same."""
    facts = site.facts()
    told = Counter(fact.type for fact in facts if fact.subject == f"release:{id_}")
    with site.contexts.read(LOOK) as ctx:
        release = releases.find(ctx, id_)
        held = gates.evidence(ctx, release.subject)
        asked = gates.approvals(ctx, release.subject)
        made = [each for each in endpoint_store.deployments(ctx) if each.release == id_]
        trained = [
            each for each in jobs.list(ctx.in_workspace(STAGING), limit=100).items if each.id.startswith(f"{id_}-")
        ]
        champion = models.champion(ctx, MODEL, PROD)
        candidates = {each.version for each in models.of_job(ctx, f"{id_}-train0", MODEL)}
        traffic = endpoints.get(ctx.in_workspace(PROD), ENDPOINT).traffic
        wanted = deploying.desired(ctx)
    plain = {f"blue-r{number}": "blue"}
    present = protocol.read_desired(site.settings.home)
    ids = {each.id: each.workspace for each in made}
    return {
        "status": release.status.value, "reasons": list(release.reasons),
        "phases": [stage.phase for stage in release.stages],
        "facts that must be told once": {name: told[name] for name in ONCE},
        "stages entered": told["release.stage_entered"],
        "evidence": sorted((each.check, each.outcome.value) for each in held),
        "altered evidence": _altered(site, release.subject),
        "approvals": [(each.status.value, [f"{d.actor} {d.decision}" for d in each.decisions]) for each in asked],
        "retrain jobs": [each.status.value for each in trained],
        "deployments": {
            place: [(plain.get(each.name, each.name), each.status.value) for each in made if each.workspace == place]
            for place in (STAGING, PROD)
        },
        "deployments made": _per_place(facts, "deployment.created", ids),
        "deployments that became ready": _per_place(facts, "deployment.ready", ids),
        "production traffic": {plain.get(name, name): share for name, share in traffic.items() if share},
        "champion is the candidate": champion is not None and champion.version == release.candidate,
        "candidate is the job's": release.candidate in candidates,
        "desired state is that of the tables": present is not None and dict(present.endpoints) == wanted,
    }  # fmt: skip


def _altered(site: Site, subject: str) -> list[str]:
    with site.contexts.read(LOOK) as ctx:
        return gates.altered(ctx, subject)


def _per_place(facts: list[Any], type_: str, ids: dict[str, str]) -> dict[str, int]:
    subjects = [fact.subject.removeprefix("deployment:") for fact in facts if fact.type == type_]
    return dict(Counter(ids[each] for each in subjects if each in ids))


def runs(site: Site, id_: str) -> tuple[int, int]:
    """How often the training command of a release began, and how many attempts the tables know."""
    began = site.lines("runs_file").count(f"begin {id_}-train0")
    with site.contexts.read(LOOK, STAGING) as ctx:
        return began, jobs.steps(ctx, f"{id_}-train0")[0].attempt


def others(site: Site) -> list[str]:
    """Deployments whose id came up twice, and those that no release made."""
    with site.contexts.read(LOOK) as ctx:
        every = endpoint_store.deployments(ctx)
    names = Counter((each.workspace, each.endpoint, each.name) for each in every)
    return [str(name) for name, count in names.items() if count > 1] + [each.id for each in every if not each.release]


def live(site: Site) -> list[str]:
    with site.contexts.read(LOOK) as ctx:
        return sorted(
            f"{each.workspace}/{each.name}" for each in endpoint_store.deployments(ctx, statuses=endpoint_model.LIVE)
        )
