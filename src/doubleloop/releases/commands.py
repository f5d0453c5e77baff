"""Defining releases, starting, deciding, cancelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doubleloop.base import canonical, errors, ids
from doubleloop.db.context import Ctx
from doubleloop.durable import commands as durable
from doubleloop.gates import commands as gates
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.models import queries as models
from doubleloop.releases import definitions, model, queries, rules, store
from doubleloop.specs import documents
from doubleloop.workspaces import queries as workspaces


def put_definition(ctx: Ctx, document: documents.Document) -> model.Definition:
    """A new version of a release definition, or the newest one when nothing has changed.

    A stage in a production workspace needs an approval, unless the actor may write releases there. Raises InvalidInput
    (with file and line), NotFound for a workspace, NotPermitted.
    """
    spec = document.model
    _not_a_jobs_code(ctx)
    identity.permit(ctx, Action.RELEASE_WRITE, ctx.workspace or spec.stages[0].workspace, rules.thing(spec.name))
    definitions.check(ctx, document)
    wire = document.to_wire()
    digest = canonical.sha256(wire["spec"])
    newest = store.definition(ctx, spec.name)
    if newest and newest.hash == digest:
        return newest
    definition = model.Definition(
        spec.name, newest.version + 1 if newest else 1, digest, definitions.model_name(spec.model), spec.trigger,
        spec.scenario, tuple(stage.workspace for stage in spec.stages), wire, ctx.actor.id, ctx.now,
    )  # fmt: skip
    store.insert_definition(ctx.in_workspace(None), definition)
    return definition


def _not_a_jobs_code(ctx: Ctx) -> None:
    """A job registers models; what becomes of them is not its code's to say, in whosever name it runs."""
    if ctx.actor.via.startswith("job:"):
        raise errors.NotPermitted(
            f"This is the code of {ctx.actor.via} acting for {ctx.actor.id}; a job steers no release",
            cure="Register the model: its definition's `trigger: on_register` starts the release.",
        )


def start(
    ctx: Ctx,
    name: str,
    *,
    model_version: str | None = None,
    trigger: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> model.Release:
    """Start a release of a model version (default: the newest) by the newest definition ``name``; once per ``id``.

    ``trigger`` says why: {"type": "manual" | "model.registered" | "rule" | …, "author": who wrote the rule, …}.
    Raises NotFound for the definition or the version.
    """
    definition = queries.find_definition(ctx, name)
    _not_a_jobs_code(ctx)
    identity.permit(ctx, Action.RELEASE_START, definition.workspaces[0], rules.thing(name))
    if id is not None:
        if not ids.is_name(id) or len(id) > model.MAX_ID:
            raise errors.InvalidInput(
                f"'{id}' cannot be the id of a release", cure="Use letters, digits, '.', '_', '-'."
            )
        known = store.get(ctx, id)
        if known and (known.definition != name or model_version not in (None, known.version)):
            raise errors.Conflict(
                f"There is a release {id} of {known.model}:{known.version} by '{known.definition}' already",
                cure="Use another id.",
            )
        if known:
            return known
    reference = f"{definition.model}:{model_version}" if model_version else definition.model
    version = models.resolve(ctx, reference)
    release = model.Release(
        id or ids.new_id("release"), 0, definition.name, definition.version, definition.model, version.version,
        version.version, model.Status.RUNNING, 0, definition.workspaces[0], "started", "", (),
        dict(trigger or {"type": "manual"}), None, ctx.actor.id, ctx.now,
    )  # fmt: skip
    release = store.insert(ctx, release, definition.workspaces)
    durable.start(ctx, "releases.run", release.workflow, {"release": release.id})
    return release


def approve(
    ctx: Ctx, id_: str, comment: str, evidence_digest: str, *, break_glass: bool = False
) -> model.Release:  # fmt: skip
    """Say yes to a waiting release, on the evidence that was seen. Raises as ``gates.commands.decide``."""
    return _decide(ctx, id_, "break_glass" if break_glass else "approve", comment, evidence_digest)


def reject(ctx: Ctx, id_: str, comment: str, evidence_digest: str) -> model.Release:
    """Say no, with the reason: the release ends and production stays as it is."""
    return _decide(ctx, id_, "reject", comment, evidence_digest)


def _decide(ctx: Ctx, id_: str, decision: str, comment: str, evidence_digest: str) -> model.Release:
    release = queries.find(ctx, id_)
    # The approval that was asked for last: answering after its end is told as a conflict there, with the reason.
    asked = [stage.approval for stage in release.stages if stage.approval]
    if not asked:
        _permit_answer(ctx, release, Action.IDENTITY_WRITE if decision == "break_glass" else Action.RELEASE_APPROVE)
        raise errors.Conflict(
            f"Release {release.number} ({release.id}) waits for nobody: it is {release.status}",
            cure="`doubleloop release list` shows those that wait.",
        )
    gates.decide(ctx, asked[-1], decision, comment, evidence_digest)
    return queries.find(ctx, id_)


def _permit_answer(ctx: Ctx, release: model.Release, action: Action) -> None:
    """That nobody is asked yet is told to those who could be, somewhere on its way; later the gate asks where it
    stands."""
    thing, known = rules.thing(release.definition), workspaces.names(ctx)
    places = [stage.workspace for stage in release.stages if stage.workspace in known]
    if not any(identity.decide(ctx, action, place, thing).allowed for place in places):
        identity.permit(ctx, action, release.workspace, thing)


def cancel(ctx: Ctx, id_: str, reason: str = "") -> model.Release:
    """Ask for the end of a release: what it has begun is stopped, traffic goes back, production stays as it was.

    Raises NotFound, Conflict when it has ended. Asking twice is harmless.
    """
    release = queries.find(ctx, id_, lock=True)
    _not_a_jobs_code(ctx)
    identity.permit(ctx, Action.RELEASE_START, release.stages[0].workspace, rules.thing(release.definition))
    if release.status in model.ENDED:
        raise errors.Conflict(f"Release {release.number} ({release.id}) has ended: it is {release.status}")
    why = f"cancelled by {ctx.actor.id}" + (f": {reason}" if reason else "")
    return ask_to_end(ctx, release, model.Status.CANCELLED, why)


def ask_to_end(ctx: Ctx, release: model.Release, status: model.Status, why: str) -> model.Release:
    """Note the end that is wanted and wake the workflow, wherever it waits. The first wish stands."""
    if release.ending is not None:
        return release
    release = store.note(ctx, release, ending={"status": status.value, "reason": why, "by": ctx.actor.id})
    store.tell(ctx, release, "release.end_requested", wanted=status.value, reason=why)
    if release.topic:
        durable.signal(ctx, release.workflow, release.topic, {"end": status.value}, key=f"end/{release.id}")
    return release
